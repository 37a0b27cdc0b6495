"""searching - SEARCH, SORT and THREAD by brute force on raw messages, as docs/imap-search.md says.

A key's value is True, False or None (not certain: the page does not decide it for this message).
"""
import datetime
import re

import mailtext
from mailtext import fold


class Message:
    def __init__(self, uid, data, flags=(), internal=0, saved=0, modseq=0):
        self.uid, self.data, self.size = uid, data, len(data)
        self.flags, self.internal, self.saved, self.modseq = {f.lower() for f in flags}, internal, saved, modseq
        self.number, self.ids = 0, {}
        self.tree = mailtext.parse(data)
        self.doubtful = mailtext.nested_boundaries_clash(self.tree)
        self.header = [(n, mailtext.decode_field(v), v) for n, v in self.tree.fields]
        self.long_header = self.tree.body - self.tree.start > mailtext.HEADER_MAX
        self.sent = mailtext.sent_date(self.tree.first(b"date"))
        self._leaves = self._heads = None
        self.keys()

    # ---- text ----

    def named(self, name):
        return [(fold(text), sure and len(raw) < mailtext.FIELD_MAX and not self.long_header) for n, (text, sure), raw in self.header
                if n.lower() == name.encode("utf-8").lower()]

    def leaves(self):
        if self._leaves is None:
            found = [mailtext.leaf_text(p) for p in self.tree.walk()]
            self._leaves = [(fold(t), sure and not self.doubtful) for t, sure in (f for f in found if f is not None)]
            if self.doubtful:
                self._leaves.append(("", False))
        return self._leaves

    def heads(self):
        """Fields of all headers as TEXT sees them."""
        if self._heads is None:
            self._heads = []
            for p in self.tree.walk():
                for name, value in p.fields:
                    text, sure = mailtext.decode_field(value)
                    sure = sure and not self.doubtful and len(value) < mailtext.FIELD_MAX and p.body - p.start < mailtext.HEADER_MAX
                    self._heads.append((fold(name.decode("latin-1") + ": " + text), sure))
        return self._heads

    # ---- sort keys ----

    def keys(self):
        subject = [(t, s, raw) for n, (t, s), raw in self.header if n.lower() == b"subject"][:1]
        text, sure, raw = subject[0] if subject else ("", True, b"")
        self.base, self.reply = mailtext.base_subject(text)
        self.sure_subject = sure and len(self.base.encode("utf-8")) <= 512 and len(text.encode("utf-8")) < 2048 and \
            "\ufffd" not in text and not re.search(r"[^\S ]", text) and len(raw) < 8192
        self.base_key = fold(self.base).encode("utf-8")
        self.sure_subject = self.sure_subject and not self.long_header
        self.moment = self.internal if self.sent is None or self.sent == "?" else self.sent[1]
        self.sure_date = self.sent != "?" and not self.long_header
        self.mailbox, self.sure_mailbox = {}, {}
        for name in (b"from", b"to", b"cc"):
            self.mailbox[name], sure = first_local(self.tree.first(name))
            self.sure_mailbox[name] = sure and not self.long_header
        self.ident = ids(self.tree.first(b"message-id"))[:1]
        refs = ids(self.tree.first(b"references"))
        self.references = refs or ids(self.tree.first(b"in-reply-to"))[:1]
        odd = [v for n, v in self.tree.fields if n.lower() in (b"references", b"in-reply-to", b"message-id")
               if re.search(rb'["\\(]|<[^>]*<|\s[^<>\s]*@', v)]
        self.sure_thread = self.sure_subject and self.sure_date and len(refs) <= 60 and not odd and \
            sum(len(r) + 2 for r in self.references) < 3500


def ids(value):
    if value is None:
        return []
    found = re.findall(rb"<([^<>]*)>", value)
    clean = [re.sub(rb"[\s\0\"]", b"", f) for f in found if 0 < f.find(b"@") and len(f) <= 512]
    return clean


SIMPLE = re.compile(r'\s*(?:"(?:[^"\\]|\\.)*"|[^<>@,;:()"\[\]\\])*<\s*([A-Za-z0-9!#$%&\'*+/=?^_`{|}~.-]+)@[^<>@,;:()\s]+\s*>\s*(?:,|$)|'
                    r'\s*([A-Za-z0-9!#$%&\'*+/=?^_`{|}~.-]+)@[^<>@,;:()\s]+\s*(?:,|$)')


def first_local(value):
    """Folded local part of the first address as octets, and whether that is certain."""
    if value is None:
        return b"", True
    text = mailtext.unfold(value).decode("latin-1")
    if not text:
        return b"", True
    m = SIMPLE.match(text)
    if not m or "=?" in (m[1] or m[2]):
        return b"", False
    return fold(m[1] or m[2]).encode("utf-8"), True


# ---- SEARCH ----

def contains(texts, wanted):
    value = False
    for text, sure in texts:
        if wanted in text and sure:
            return True
        if not sure and (wanted in text or value is False):
            value = None
    return value


def no(v):
    return None if v is None else not v


def both(a, b):
    return False if a is False or b is False else None if a is None or b is None else True


def either(a, b):
    return no(both(no(a), no(b)))


def day(epoch):
    d = datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc)
    return d.year, d.month, d.day


FLAGS = {"answered": "\\answered", "deleted": "\\deleted", "draft": "\\draft", "flagged": "\\flagged", "seen": "\\seen"}
COMPARE = {"before": lambda a, b: a < b, "on": lambda a, b: a == b, "since": lambda a, b: a >= b}


def matches(key, m, context):
    """key: nested tuples (name, arguments ...). context: now, count, top (highest UID), saved (UIDs of $)."""
    name, args = key[0], key[1:]
    if name == "and":
        value = True
        for k in args:
            value = both(value, matches(k, m, context))
        return value
    if name == "or":
        return either(matches(args[0], m, context), matches(args[1], m, context))
    if name == "not":
        return no(matches(args[0], m, context))
    if name == "all":
        return True
    if name in FLAGS:
        return FLAGS[name] in m.flags
    if name.startswith("un") and name[2:] in FLAGS:
        return FLAGS[name[2:]] not in m.flags
    if name in ("keyword", "unkeyword"):
        return (args[0].lower() in m.flags) == (name == "keyword")
    if name in ("larger", "smaller"):
        return m.size > args[0] if name == "larger" else m.size < args[0]
    if name in ("older", "younger"):
        limit = context["now"] - args[0]
        if abs(m.internal - limit) < 30:
            return None
        return m.internal <= limit if name == "older" else m.internal >= limit
    if name == "modseq":
        return m.modseq >= args[0]
    if name in ("emailid", "threadid"):
        return m.ids[name] == args[0]
    if name in ("seq", "uid"):
        return in_set(args[0], m.number if name == "seq" else m.uid, context["count" if name == "seq" else "top"])
    if name == "saved":
        return m.uid in context["saved"]
    return matches_text(name, args, m, context)


def matches_text(name, args, m, context):
    if name in COMPARE:
        return COMPARE[name](day(m.internal), args[0])
    if name.startswith("saved") and name[5:] in COMPARE:
        return COMPARE[name[5:]](day(m.saved), args[0]) if context.get("savedate") else None
    if name.startswith("sent"):
        return None if not m.sure_date else m.sent is not None and COMPARE[name[4:]](m.sent[0], args[0])
    wanted = fold(args[-1])
    if name == "body":
        return True if not wanted else contains(m.leaves(), wanted)
    if name == "text":
        return True if not wanted else either(contains(m.leaves(), wanted), contains(m.heads(), wanted))
    found = m.named(args[0] if name == "header" else name)
    if name != "header":
        found = found[:1]
    value = contains(found, wanted)
    return None if value is False and m.long_header else value


def in_set(text, n, top):
    for part in text.split(","):
        a, _, b = part.partition(":")
        a, b = (top if x == "*" else int(x) for x in (a, b or a))
        if min(a, b) <= n <= max(a, b):
            return True
    return False


# ---- SORT ----

def sort_key(m, name):
    if name == "ARRIVAL":
        return m.internal
    if name == "DATE":
        return m.moment
    if name == "SIZE":
        return m.size
    if name == "SUBJECT":
        return m.base_key
    return m.mailbox[name.lower().encode()]


def certain_for_sort(m, names):
    for name in names:
        if name == "DATE" and not m.sure_date or name == "SUBJECT" and not m.sure_subject:
            return False
        if name in ("FROM", "TO", "CC") and not m.sure_mailbox[name.lower().encode()]:
            return False
    return True


def sort(messages, program):
    """program: [(name, reverse)], the first the most important. Stable, so REVERSE keeps ties in mailbox order."""
    out = sorted(messages, key=lambda m: m.number)
    for name, reverse in reversed(program):
        keys = {m: sort_key(m, name) for m in out}
        if reverse:
            ordered = sorted(set(keys.values()), reverse=True)
            place = {k: i for i, k in enumerate(ordered)}
            out.sort(key=lambda m, keys=keys, place=place: place[keys[m]])
        else:
            out.sort(key=lambda m, keys=keys: keys[m])
    return out


# ---- THREAD ----

class Node:
    def __init__(self, message=None):
        self.message, self.parent, self.children = message, None, []

    def adopt(self, child):
        if child.parent is not None:
            child.parent.children.remove(child)
        child.parent = self
        self.children.append(child)

    def is_above(self, other):
        while other is not None:
            if other is self:
                return True
            other = other.parent
        return False


def by_date(n):
    """What a set of siblings is sorted by; a dummy stands for its first child."""
    m = n.message or n.children[0].message
    return m.moment, m.number


def ordered_subject(messages):
    groups = {}
    for m in sorted(messages, key=lambda m: (m.base_key, m.moment, m.number)):
        groups.setdefault(m.base_key, []).append(m)
    threads = sorted(groups.values(), key=lambda g: (g[0].moment, g[0].number))
    return [(g[0].number, [(m.number, []) for m in g[1:]]) for g in threads]


def references(messages):
    table, roots = link(sorted(messages, key=lambda m: m.number))
    del table
    pruned = []
    for n in roots:
        pruned += prune(n, True)
    for n in pruned:
        n.parent = None
        if n.message is None:
            n.children.sort(key=by_date)
    pruned.sort(key=by_date)
    merged = merge(pruned)
    for n in merged:
        sort_below(n)
    merged.sort(key=by_date)
    return [shape(n) for n in merged]


def link(messages):
    """Step 1: parents by references."""
    table, own = {}, {}
    for m in messages:
        ident = m.ident[0] if m.ident else None
        if ident is None or (ident in table and table[ident].message is not None):
            ident = ("unique", m.number)
        node = table.setdefault(ident, Node())
        node.message = m
        own[m] = node
        previous = None
        for ref in m.references:
            n = table.setdefault(ref, Node())
            if previous is not None and n.parent is None and not n.is_above(previous):
                previous.adopt(n)
            previous = n
        if node.parent is not None:
            node.parent.children.remove(node)
            node.parent = None
        if previous is not None and not node.is_above(previous):
            previous.adopt(node)
    # A message met after a dummy of its id was made fills that dummy, so all nodes are in the table.
    return table, [n for n in table.values() if n.parent is None]


def prune(n, at_root):
    """Step 3: what stands in the place of this node."""
    below = []
    for c in n.children:
        below += prune(c, False)
    n.children = below
    for c in below:
        c.parent = n
    if n.message is not None:
        return [n]
    if not below:
        return []
    if at_root and len(below) > 1:
        return [n]
    return below


def merge(roots):
    """Step 5: threads of one base subject."""
    table = {}

    def subject(n):
        m = n.message or n.children[0].message
        return m.base_key

    def is_reply(n):
        return n.message is not None and n.message.reply
    for n in roots:
        s = subject(n)
        old = table.get(s)
        if not s:
            continue
        if old is None or (old.message is not None and (n.message is None or (is_reply(old) and not is_reply(n)))):
            table[s] = n
    out = list(roots)
    for n in roots:
        s = subject(n)
        if not s or table[s] is n:
            continue
        other = table[s]
        if n.message is None and other.message is None:
            for c in list(n.children):
                other.adopt(c)
            out.remove(n)
        elif other.message is None or (is_reply(n) and not is_reply(other)):
            other.adopt(n)
            out.remove(n)
        else:
            dummy = Node()
            out[out.index(other)] = dummy
            out.remove(n)
            dummy.adopt(other)
            dummy.adopt(n)
            table[s] = dummy
    return out


def sort_below(n):
    for c in n.children:
        sort_below(c)
    n.children.sort(key=by_date)


def shape(n):
    return (n.message.number if n.message else None), [shape(c) for c in n.children]
