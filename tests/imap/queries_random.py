"""queries_random - random search keys: as tuples for searching.py and as arguments for client.py."""
import datetime
import re

import mailtext

MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
SYSTEM = sorted(["answered", "deleted", "draft", "flagged", "seen"])
WORDS = ["$Alpha", "beta", "Gamma-3"]
NAMES = ["Subject", "From", "To", "Received", "X-Mailer", "Message-ID", "Content-Type", "MIME-Version", "List-Id", "date",
         "Return-Path", "X-Nobody-Has-This", "Content-Transfer-Encoding"]


def snippet(rng, text):
    """A piece of a text that can be asked for: one line, no replaced characters."""
    lines = [l for l in re.split(r"[\r\n\0\ufffd]", text) if len(l.strip()) > 1]
    if not lines:
        return None
    line = rng.choice(lines)
    a = rng.randrange(len(line))
    piece = line[a:a + rng.randint(1, 14)]
    if any(ord(c) < 32 or 127 <= ord(c) < 160 or 0xd800 <= ord(c) < 0xe000 for c in piece):
        return None
    change = rng.randrange(4)
    piece = piece.upper() if change == 0 else piece.lower() if change == 1 else piece
    try:
        piece.encode("utf-8")
    except UnicodeEncodeError:
        return None
    return piece


def text_for(rng, messages, source):
    """Something to look for: of a message, or of nobody."""
    for _ in range(8):
        if rng.random() < 0.12:
            return rng.choice(["xyzzy", "qqqq", "", "no such words", "Ωλ", "e"])
        m = rng.choice(messages)
        if source == "body":
            texts = [t for t in (mailtext.leaf_text(p) for p in m.tree.walk()) if t]
            piece = snippet(rng, rng.choice(texts)[0]) if texts else None
        else:
            rows = [t for n, (t, _), _ in m.header if source is None or n.decode("latin-1").lower() == source.lower()]
            piece = snippet(rng, rng.choice(rows)) if rows else None
        if piece:
            return piece
    return "zzz"


def date_arg(d):
    return "%d-%s-%04d" % (d[2], MONTHS[d[1] - 1], d[0])


def some_date(rng, messages):
    m = rng.choice(messages)
    d = datetime.datetime.fromtimestamp(m.internal, datetime.timezone.utc)
    if isinstance(m.sent, tuple) and rng.random() < 0.5:
        d = datetime.datetime(*m.sent[0])
    d += datetime.timedelta(days=rng.choice([-1, 0, 0, 1, 30]))
    return d.year, d.month, d.day


def number_set(rng, top):
    parts = []
    for _ in range(rng.randint(1, 3)):
        a, b = rng.randint(1, top), rng.randint(1, top)
        parts.append(rng.choice(["%d" % a, "%d:%d" % (a, b), "%d:*" % a, "*:%d" % a, "*"]))
    return ",".join(parts)


class Source:
    """What the keys may use."""

    def __init__(self, rng, messages, can):
        self.rng, self.messages, self.can = rng, messages, can

    def key(self, depth=0):
        """(tuple, arguments)"""
        rng = self.rng
        kind = rng.randrange(18 if depth < 3 else 13)
        if kind < 7:
            return self.text_key()
        if kind == 7:
            return self.date_key()
        if kind == 8:
            name = rng.choice(SYSTEM)
            name = rng.choice([name, "un" + name])
            return (name,), [rng.choice([name.upper(), name])]
        if kind == 9:
            word, name = rng.choice(WORDS + ["nobody"]), rng.choice(["keyword", "unkeyword"])
            return (name, word), [name.upper(), rng.choice([word, word.upper()])]
        if kind == 10:
            size, name = rng.choice(self.messages).size + rng.choice([-1, 0, 1]), rng.choice(["larger", "smaller"])
            return (name, size), [name.upper(), str(max(size, 0))]
        if kind == 11:
            return self.set_key()
        if kind == 12:
            return self.extra_key()
        if kind in (13, 14):
            k, args = self.key(depth + 1)
            return ("not", k), ["NOT"] + args
        if kind == 15:
            (a, x), (b, y) = self.key(depth + 1), self.key(depth + 1)
            return ("or", a, b), ["OR"] + x + y
        pairs = [self.key(depth + 1) for _ in range(rng.randint(1, 3))]
        return ("and", *(k for k, _ in pairs)), ["("] + [a for _, args in pairs for a in args] + [")"]

    def text_key(self):
        rng = self.rng
        name = rng.choice(["subject", "from", "to", "cc", "header", "header", "body", "body", "text", "text"])
        if name == "header":
            field = rng.choice(NAMES)
            value = text_for(rng, self.messages, field)
            return ("header", field, value), ["HEADER", field, value.encode("utf-8")]
        value = text_for(rng, self.messages, name if name not in ("text",) else rng.choice(["body", None]))
        return (name, value), [name.upper(), value.encode("utf-8")]

    def date_key(self):
        rng = self.rng
        name = rng.choice(["before", "on", "since", "sentbefore", "senton", "sentsince"] +
                          (["savedbefore", "savedon", "savedsince"] if self.can("SAVEDATE") else []))
        d = some_date(rng, self.messages)
        arg = date_arg(d)
        return (name, d), [name.upper(), rng.choice([arg, '"%s"' % arg])]

    def set_key(self):
        rng = self.rng
        if self.can("SEARCHRES") and rng.random() < 0.2:
            return ("saved",), ["$"]
        if rng.random() < 0.5:
            text = number_set(rng, len(self.messages))
            return ("seq", text), [text]
        text = number_set(rng, max(m.uid for m in self.messages) + 3)
        return ("uid", text), ["UID", text]

    def extra_key(self):
        rng = self.rng
        choices = ["all"]
        choices += ["older", "younger"] if self.can("WITHIN") else []
        choices += ["modseq"] if self.can("CONDSTORE") else []
        choices += ["emailid", "threadid"] if self.can("OBJECTID") else []
        name = rng.choice(choices)
        if name == "all":
            return ("all",), ["ALL"]
        if name == "modseq":
            top = max(m.modseq for m in self.messages)
            n = rng.randint(1, top + 1)
            return ("modseq", n), ["MODSEQ"] + (['"/flags/\\\\Seen"', "all"] if rng.random() < 0.3 else []) + [str(n)]
        if name in ("emailid", "threadid"):
            wanted = rng.choice([m.ids[name] for m in self.messages if m.ids[name]] + ["none-of-yours"])
            return (name, wanted), [name.upper(), wanted]
        n = rng.choice([1, 3600, 86400, 10 ** 7, 3 * 10 ** 8])
        return (name, n), [name.upper(), str(n)]


def joined(args):
    """Arguments with blanks where the grammar wants them."""
    out = []
    for i, a in enumerate(args):
        if i and a != ")" and args[i - 1] != "(":
            out.append(" ")
        out.append(a)
    return out
