"""grammar - IMAP responses as values, by RFC 3501, 9051 and the extensions that Gatehouse has.

parse(pieces) gives a Response or raises Ungrammatical. Unknown responses, attributes and response codes are
refused: a server may send only what it advertised.
"""
import collections
import re

from fetch import Address, Envelope, Part, fetch_attributes
from lexer import Cursor, Ungrammatical

# kind: "tagged" "cont" "cond" (untagged OK NO BAD BYE PREAUTH) "num" (EXISTS RECENT EXPUNGE) "fetch" or a name.
Response = collections.namedtuple("Response", "kind tag name num data code text")
Code = collections.namedtuple("Code", "name data")
DOVECOT = False  # set by those that speak to one: it writes a blank after the THREAD of an empty result

TAG = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\+]+")
CODE_ATOM = re.compile(rb"[A-Z][A-Z0-9-]*")
PLAIN_CODES = set("""ALERT PARSE READ-ONLY READ-WRITE TRYCREATE UIDNOTSTICKY NOMODSEQ CLOSED UNAVAILABLE
    AUTHENTICATIONFAILED AUTHORIZATIONFAILED EXPIRED PRIVACYREQUIRED CONTACTADMIN NOPERM INUSE EXPUNGEISSUED
    CORRUPTION SERVERBUG CLIENTBUG CANNOT LIMIT OVERQUOTA ALREADYEXISTS NONEXISTENT NOTSAVED HASCHILDREN UNKNOWN-CTE
    USEATTR TOOBIG COMPRESSIONACTIVE""".split())
NUMBER_CODES = {"UIDNEXT", "UIDVALIDITY", "UNSEEN"}
STATUS_ITEMS = {"MESSAGES": "number", "RECENT": "number", "UIDNEXT": "nz", "UIDVALIDITY": "nz", "UNSEEN": "number",
                "HIGHESTMODSEQ": "modseq_zero", "SIZE": "number63", "MAILBOXID": "objectid", "APPENDLIMIT": "nnumber",
                "DELETED": "number", "DELETED-STORAGE": "number63"}


def parse(pieces, utf8=False):
    c = Cursor(pieces, utf8)
    if c.maybe(b"+ "):
        return Response("cont", None, "+", None, None, None, c.rest())
    if c.maybe(b"* "):
        r = untagged(c)
    else:
        tag = c.take(TAG, "tag")[0].decode("ascii")
        c.sp()
        name = c.word()
        if name not in ("OK", "NO", "BAD"):
            c.fail("OK, NO or BAD")
        r = condition(c, "tagged", name)._replace(tag=tag)
    c.end()
    return r


def make(kind, name, num=None, data=None, code=None, text=None):
    return Response(kind, None, name, num, data, code, text)


def condition(c, kind, name):
    c.sp()
    code = None
    if c.maybe(b"["):
        code = response_code(c)
        c.byte(b"]")
        c.sp()
    return make(kind, name, code=code, text=c.text())


def untagged(c):
    if c.rest()[:1].isdigit():
        n = c.number()
        c.sp()
        name = c.word()
        if name in ("EXISTS", "RECENT"):
            return make("num", name, n)
        if name in ("EXPUNGE", "FETCH") and n == 0:
            c.fail("nz-number")
        if name == "EXPUNGE":
            return make("num", name, n)
        if name != "FETCH":
            c.fail("EXISTS, RECENT, EXPUNGE or FETCH")
        c.sp()
        return make("fetch", name, n, fetch_attributes(c))
    name = c.word()
    if name in ("OK", "NO", "BAD", "BYE", "PREAUTH"):
        return condition(c, "cond", name)
    read = UNTAGGED.get(name)
    if read is None:
        c.fail("known response, not %s," % name)
    return make(name, name, data=read(c))


# ---- response codes ----

def response_code(c):
    name = c.take(CODE_ATOM, "response code")[0].decode("ascii")
    if name in PLAIN_CODES:
        return Code(name, None)
    if name == "BADCHARSET":
        return Code(name, c.items(c.astring, empty=False) if c.maybe(b" ") else None)
    c.sp()
    if name in NUMBER_CODES:
        return Code(name, c.nz())
    if name == "HIGHESTMODSEQ":
        return Code(name, c.modseq())
    if name == "CAPABILITY":
        return Code(name, capabilities(c, b"]"))
    if name == "PERMANENTFLAGS":
        return Code(name, c.items(lambda: c.flag(perm=True)))
    if name == "MODIFIED":
        return Code(name, c.sequence_set())
    if name == "MAILBOXID":
        return Code(name, c.objectid())
    if name in ("APPENDUID", "COPYUID"):
        out = [c.nz()]
        for _ in range(1 if name == "APPENDUID" else 2):
            c.sp()
            out.append(c.sequence_set())
        if name == "COPYUID" and len(out[1]) != len(out[2]):
            c.fail("COPYUID with as many UIDs on both sides")
        return Code(name, out)
    return c.fail("known response code, not %s," % name)


def capabilities(c, stop=None):
    out = []
    while True:
        out.append(c.atom())
        if (stop and c.peek(stop)) or not c.maybe(b" "):
            return out


# ---- simple responses ----

def read_capability(c):
    c.sp()
    return capabilities(c)


def read_enabled(c):
    out = []
    while c.maybe(b" "):
        out.append(c.word())
    return out


def read_flags(c):
    c.sp()
    return c.items(c.flag)


def delimiter(c):
    if c.nil():
        return None
    d = c.quoted()
    if len(d) != 1:
        c.fail("one character as delimiter")
    return d.decode("ascii")


def read_list(c):
    c.sp()
    flags = c.items(lambda: c.flag())
    c.sp()
    d = delimiter(c)
    c.sp()
    name = c.mailbox()
    extended = {}
    if c.maybe(b" "):
        for tag, value in c.items(lambda: list_item(c)):
            extended[tag] = value
    return flags, d, name, extended


def list_item(c):
    tag = c.astring().decode("ascii").upper()
    c.sp()
    if tag == "CHILDINFO":
        return tag, c.items(lambda: c.astring().decode("ascii"), empty=False)
    if tag == "OLDNAME":
        return tag, c.items(c.mailbox, empty=False)
    return c.fail("known extended item of LIST, not %s," % tag)


def read_numbers(c):
    """SEARCH, SORT: numbers and perhaps (MODSEQ n)."""
    out, modseq = [], None
    while c.maybe(b" "):
        if c.maybe(b"("):
            if c.word() != "MODSEQ":
                c.fail("MODSEQ")
            c.sp()
            modseq = c.modseq()
            c.byte(b")")
            break
        out.append(c.nz())
    return out, modseq


def read_esearch(c):
    tag, uid, values = None, False, {}
    if c.maybe(b" ("):
        if c.word() != "TAG":
            c.fail("TAG")
        c.sp()
        tag = c.string().decode("ascii")
        c.byte(b")")
    if re.match(rb" UID(?= |$)", c.rest(), re.I):
        c.sp()
        c.word()
        uid = True
    while c.maybe(b" "):
        name = c.word()
        c.sp()
        read = {"MIN": c.nz, "MAX": c.nz, "ALL": c.sequence_set, "COUNT": c.number, "MODSEQ": c.modseq}.get(name)
        if read is None or name in values:
            c.fail("a known return item once, not %s," % name)
        values[name] = read()
    return tag, uid, values


def read_status(c):
    c.sp()
    name = c.mailbox()
    c.sp()
    out = {}
    for key, value in c.items(lambda: status_item(c)):
        if key in out:
            c.fail("each status item once, not %s again," % key)
        out[key] = value
    return name, out


def status_item(c):
    key = c.word()
    if key not in STATUS_ITEMS:
        c.fail("status item, not %s," % key)
    c.sp()
    how = STATUS_ITEMS[key]
    if how == "number63":
        return key, c.number((1 << 63) - 1)
    if how == "nnumber":
        return key, None if c.nil() else c.number()
    return key, getattr(c, how)()


def read_vanished(c):
    c.sp()
    earlier = False
    if c.maybe(b"("):
        if c.word() != "EARLIER":
            c.fail("EARLIER")
        c.byte(b")")
        c.sp()
        earlier = True
    return earlier, c.sequence_set()


def read_thread(c):
    if not c.maybe(b" "):
        return []
    out = []
    while c.peek(b"("):
        out.append(thread_list(c))
    if not out and not DOVECOT:
        c.fail("thread-list")
    return out


def thread_list(c):
    """A thread as (number or None, [children]), each child likewise."""
    c.byte(b"(")
    node = thread_rest(c)
    c.byte(b")")
    return node


def thread_rest(c):
    if c.peek(b"("):
        return None, thread_nested(c)
    first = c.nz()
    at = []
    node = (first, at)
    while c.maybe(b" "):
        if c.peek(b"("):
            at += thread_nested(c)
            break
        below = []
        at.append((c.nz(), below))
        at = below
    return node


def thread_nested(c):
    out = []
    while c.peek(b"("):
        out.append(thread_list(c))
    if len(out) < 2:
        c.fail("two thread-lists or more in thread-nested")
    return out


def read_id(c):
    c.sp()
    if c.nil():
        return {}
    out = {}

    def pair():
        key = c.string()
        c.sp()
        return key, c.nstring()
    for key, value in c.items(pair):
        out[key.lower().decode("ascii")] = value
    return out


def read_namespace(c):
    out = []
    for _ in range(3):
        c.sp()
        out.append(None if c.nil() else namespaces(c))
    return out


def namespaces(c):
    out = []
    c.byte(b"(")
    while not out or c.peek(b"("):
        c.byte(b"(")
        prefix = c.string()
        c.sp()
        out.append((prefix, delimiter(c)))
        c.byte(b")")
    c.byte(b")")
    return out


def read_quota(c):
    c.sp()
    root = c.astring()
    c.sp()

    def resource():
        name = c.word()
        c.sp()
        used = c.number((1 << 63) - 1)
        c.sp()
        return name, used, c.number((1 << 63) - 1)
    return root, c.items(resource)


def read_quotaroot(c):
    c.sp()
    name, roots = c.mailbox(), []
    while c.maybe(b" "):
        roots.append(c.astring())
    return name, roots


UNTAGGED = {"CAPABILITY": read_capability, "ENABLED": read_enabled, "FLAGS": read_flags, "LIST": read_list,
            "LSUB": read_list, "SEARCH": read_numbers, "SORT": read_numbers, "ESEARCH": read_esearch,
            "STATUS": read_status, "VANISHED": read_vanished, "THREAD": read_thread, "ID": read_id,
            "NAMESPACE": read_namespace, "QUOTA": read_quota, "QUOTAROOT": read_quotaroot}


__all__ = ["parse", "Response", "Code", "Envelope", "Address", "Part", "Ungrammatical"]
