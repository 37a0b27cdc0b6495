"""fetch - the attributes of a FETCH response as values: sections, ENVELOPE, BODY and BODYSTRUCTURE."""
import collections
import re

Envelope = collections.namedtuple("Envelope", "date subject from_ sender reply_to to cc bcc in_reply_to message_id")
Address = collections.namedtuple("Address", "name route mailbox host")
Part = collections.namedtuple(
    "Part", "type subtype params id description encoding size lines envelope children md5 disposition language "
    "location extension")

SECTION = re.compile(rb"\[((?:[1-9][0-9]*(?:\.[1-9][0-9]*)*)?)"
                     rb"(\.?)((?:HEADER\.FIELDS\.NOT|HEADER\.FIELDS|HEADER|TEXT|MIME)?)", re.I)
ORIGIN = re.compile(rb"<(0|[1-9][0-9]*)>")


def fetch_attributes(c):
    out = collections.OrderedDict()
    for key, value in c.items(lambda: attribute(c), empty=False):
        if key in out:
            c.fail("each attribute once, not %r again," % (key,))
        out[key] = value
    return out


NAME = re.compile(rb"[A-Za-z0-9.]+")


def attribute(c):
    name = c.take(NAME, "attribute")[0].decode("ascii").upper()
    if name in ("BODY", "BINARY", "BINARY.SIZE") and c.peek(b"["):
        return sectioned(c, name)
    read = {
        "FLAGS": lambda: c.items(c.flag), "UID": c.nz, "MODSEQ": lambda: c.items(c.modseq, empty=False),
        "INTERNALDATE": c.date_time, "RFC822": c.nstring, "RFC822.HEADER": c.nstring, "RFC822.TEXT": c.nstring,
        "RFC822.SIZE": lambda: c.number((1 << 63) - 1), "ENVELOPE": lambda: envelope(c),
        "BODY": lambda: body(c, False), "BODYSTRUCTURE": lambda: body(c, True), "EMAILID": c.objectid,
        "THREADID": lambda: None if c.nil() else c.objectid(), "PREVIEW": c.nstring,
        "SAVEDATE": lambda: None if c.nil() else c.date_time(),
    }.get(name)
    if read is None:
        c.fail("known attribute, not %s," % name)
    c.sp()
    value = read()
    if name == "MODSEQ":
        if len(value) != 1:
            c.fail("one mod-sequence")
        value = value[0]
    return name, value


def sectioned(c, name):
    """BODY[...]<origin> and BINARY: the key is what a client would compare, in upper case but for field names."""
    m = c.take(SECTION, "section")
    part, dot, what = m[1], m[2], m[3].upper()
    if bool(dot) != bool(part and what) or (what == b"MIME" and not part) or (name != "BODY" and what):
        c.fail("section")
    key = "%s[%s" % (name, (part + dot + what).decode("ascii"))
    if what.startswith(b"HEADER.FIELDS"):
        c.sp()
        key += " (%s)" % " ".join(f.decode("ascii").upper() for f in c.items(c.astring, empty=False))
    c.byte(b"]")
    key += "]"
    if name != "BINARY.SIZE" and c.peek(b"<"):
        key += "<%d>" % int(c.take(ORIGIN, "origin")[1])
    c.sp()
    if name == "BINARY.SIZE":
        return key, c.number((1 << 63) - 1)
    return key, c.nstring(eight=name == "BINARY")


def envelope(c):
    c.byte(b"(")
    values = [c.nstring()]
    for i in range(9):
        c.sp()
        values.append(addresses(c) if 1 <= i <= 6 else c.nstring())
    c.byte(b")")
    return Envelope(*values)


def addresses(c):
    if c.nil():
        return None
    out = []
    c.byte(b"(")
    while not out or c.peek(b"("):
        c.byte(b"(")
        values = [c.nstring()]
        for _ in range(3):
            c.sp()
            values.append(c.nstring())
        c.byte(b")")
        out.append(Address(*values))
    c.byte(b")")
    return out


def body(c, extended):
    c.byte(b"(")
    part = multipart(c, extended) if c.peek(b"(") else single(c, extended)
    c.byte(b")")
    return part


def multipart(c, extended):
    children = []
    while c.peek(b"("):
        children.append(body(c, extended))
    c.sp()
    subtype = c.string()
    rest = extension(c, extended, lambda: params(c))
    return Part(b"MULTIPART", subtype, rest[0], None, None, None, None, None, None, children, None, *rest[1:])


def single(c, extended):
    kind = c.string()
    c.sp()
    subtype = c.string()
    c.sp()
    par = params(c)
    c.sp()
    ident = c.nstring()
    c.sp()
    description = c.nstring()
    c.sp()
    encoding = c.string()
    c.sp()
    size = c.number((1 << 63) - 1)
    env, children, lines = None, [], None
    if kind.upper() == b"MESSAGE" and subtype.upper() in (b"RFC822", b"GLOBAL"):
        c.sp()
        env = envelope(c)
        c.sp()
        children = [body(c, extended)]
    if kind.upper() == b"TEXT" or env is not None:
        c.sp()
        lines = c.number((1 << 63) - 1)
    rest = extension(c, extended, c.nstring)
    return Part(kind, subtype, par, ident, description, encoding, size, lines, env, children, *rest)


def params(c):
    """The parameter list as a list of pairs; None for NIL."""
    if c.nil():
        return None
    flat = c.items(c.string, empty=False)
    if len(flat) % 2:
        c.fail("pairs of parameters")
    return list(zip(flat[::2], flat[1::2]))


def extension(c, extended, first):
    """The value of the first extension field, then disposition, language, location, the rest."""
    out = [None, None, None, None, None]
    readers = [first, lambda: disposition(c), lambda: languages(c), c.nstring]
    for i, read in enumerate(readers):
        if not c.peek(b" "):
            return out
        if not extended:
            c.fail("no extension data in BODY")
        c.sp()
        out[i] = read()
    more = []
    while c.maybe(b" "):
        more.append(any_extension(c))
    out[4] = more or None
    return out


def disposition(c):
    if c.nil():
        return None
    c.byte(b"(")
    kind = c.string()
    c.sp()
    par = params(c)
    c.byte(b")")
    return kind, par


def languages(c):
    if c.peek(b"("):
        return c.items(c.string, empty=False)
    one = c.nstring()
    return None if one is None else [one]


def any_extension(c):
    if c.peek(b"("):
        return c.items(lambda: any_extension(c), empty=False)
    if c.rest()[:1].isdigit():
        return c.number()
    return c.nstring()
