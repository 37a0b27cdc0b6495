"""mailtext - messages read by the rules of docs/mail.md and docs/imap-search.md, for the judges.

Written from those pages and the RFCs, without the server's code. What the pages leave open (a part that its charset
cannot decode, a date of no known form) is marked, so that no judge asks for it.
"""
import base64
import codecs
import re
import unicodedata

DEPTH_MAX, PARTS_MAX, HEADER_MAX, FIELD_MAX = 31, 1000, 64 * 1024, 16 * 1024
LINE = re.compile(rb"[^\n]*\n|[^\n]+$")


# ---- header ----

def header_end(data, start, end):
    """Offset after the empty line; `end` without one."""
    at = start
    while at < end:
        stop = data.find(b"\n", at, end)
        if stop < 0:
            return end
        if data[at:stop] in (b"", b"\r"):
            return stop + 1
        at = stop + 1
    return end


def fields(block):
    """[(name, raw value)] of a header section; a line that is no field goes with its folded lines."""
    out, current = [], None
    for line in LINE.findall(block):
        text = line.rstrip(b"\n")
        text = text[:-1] if text.endswith(b"\r") else text
        if not text:
            break
        if text[:1] in b" \t":
            if current is not None:
                out[-1][1].append(line)
            continue
        m = re.match(rb"([\x21-\x39\x3b-\x7e]+)[ \t]*:", text)
        current = m
        if m:
            out.append([m[1], [line[m.end():]]])
    return [(name, b"".join(lines)) for name, lines in out]


def unfold(value):
    value = re.sub(rb"\r?\n", b"", value)
    return value.replace(b"\0", b"").replace(b"\r", b" ").strip(b" \t")


# ---- charsets ----

KNOWN = {"utf-8", "ascii", "utf-16", "utf-16-le", "utf-16-be", "koi8-r", "koi8-u", "cp437", "cp850", "cp866", "mac-roman",
         "gb2312", "gbk", "gb18030", "euc_kr", "cp949", "big5", "big5hkscs", "cp950", "shift_jis", "cp932", "euc_jp",
         "iso2022_jp", "cp874", "tis-620"} | {"cp%d" % n for n in range(1250, 1259)} | \
    {"iso8859-%d" % n for n in range(1, 17)}
PLAIN_ENCODINGS = ("7bit", "8bit", "binary")
WIDER = {"gb2312": "gb18030", "gbk": "gb18030", "euc_kr": "cp949", "big5": "big5hkscs", "cp950": "big5hkscs",
         "shift_jis": "cp932", "ascii": "utf-8"}
OTHER_NAMES = {"iso-8859-8-i": "iso8859-8", "iso-8859-8-e": "iso8859-8", "iso-8859-6-i": "iso8859-6", "x-sjis": "cp932",
               "x-gbk": "gb18030", "x-euc-jp": "euc_jp", "ansi_x3.4-1968": "utf-8"}
MULTI = {"gb18030", "cp949", "big5hkscs", "cp932", "euc_jp", "iso2022_jp"}


def codec(name):
    """Python's codec of a MIME charset; None when it is none of ours; "?" when that cannot be said for certain."""
    name = name.strip().lower()
    if name in OTHER_NAMES:
        return OTHER_NAMES[name]
    try:
        found = codecs.lookup(name).name
    except (LookupError, UnicodeError, ValueError):
        family = re.search(r"mac|iso|utf|cp|win|koi|big|gb|euc|jis|ksc|ibm|tis|unicode", name)
        return None if re.fullmatch(r"[a-z0-9_.:-]*", name) and not family else "?"
    if found not in KNOWN:
        return "?" if found.startswith(("iso", "cp", "utf", "mac")) else None
    return WIDER.get(found, found)


def decode(raw, name):
    """Text and whether it is certain."""
    if name == "utf-16":
        name = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-16-be"
    try:
        text = raw.decode(name)
        return text, not (name in MULTI and any(ord(c) > 0xffff for c in text))
    except UnicodeDecodeError:
        return raw.decode(name, "replace"), name == "utf-8"


# ---- encoded words ----

WORD = re.compile(rb"=\?([^?\s*]+)(\*[^?\s]*)?\?([bBqQ])\?([^?\s]*)\?=")


def base64_octets(raw):
    out, group, bits = bytearray(), 0, 0
    values = {c: i for i, c in enumerate(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")}
    if re.fullmatch(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", re.sub(rb"\s", b"", raw)):
        return base64.b64decode(raw)
    for c in raw:
        if c == 0x3d:
            bits = 0
            continue
        v = values.get(c)
        if v is None:
            continue
        group, bits = (group << 6 | v) & 0xffffff, bits + 6
        if bits >= 8:
            bits -= 8
            out.append(group >> bits & 255)
    return bytes(out)


def qp_octets(raw, word=False):
    def one(m):
        return bytes([int(m[1], 16)]) if m[1] else b""
    if word:
        raw = raw.replace(b"_", b" ")
    return re.sub(rb"=(?:([0-9A-Fa-f]{2})|[ \t\r]*\n|[ \t\r]*$)", one, raw)


def control_free(text):
    return "".join(" " if ord(c) < 32 or ord(c) == 127 else c for c in text)


def decode_field(value):
    """The text of a field (docs/imap-search.md) and whether it is certain."""
    raw, out, certain = unfold(value), [], True
    at, previous = 0, None
    while at < len(raw):
        m = WORD.search(raw, at)
        if not m:
            break
        name = codec(m[1].decode("ascii", "replace"))
        gap = raw[at:m.start()]
        if name is None or name == "?":
            certain = certain and name is None
            text, good = decode(raw[at:m.end()], "utf-8")
            out.append(control_free(text))
            at, previous = m.end(), None
            continue
        if previous is None or gap.strip(b" \t") or not gap:
            out.append(control_free(decode(gap, "utf-8")[0]))
            joined = False
        else:
            joined = previous == name
        octets = base64_octets(m[4]) if m[3] in b"bB" else qp_octets(m[4], word=True)
        if joined:
            octets, start = held + octets, out.pop()  # noqa: F821
            del start
        text, good = decode(octets, name)
        certain = certain and good
        held = octets
        out.append(control_free(text))
        at, previous = m.end(), name
    out.append(control_free(decode(raw[at:], "utf-8")[0]))
    return "".join(out), certain


# ---- MIME ----

def parameters(value):
    """(lower-case value, {name: value}) of Content-Type and the like; RFC 2231 joined, charset names kept as they are."""
    text = unfold(value).decode("latin-1")
    text = strip_comments(text)
    head, _, rest = text.partition(";")
    out = {}
    for m in re.finditer(r'\s*([^\s=;"]+)\s*=\s*(?:"((?:\\.|[^"\\])*)"?|([^\s;]*))[^;]*(?:;|$)', rest):
        name = m[1].lower()
        out.setdefault(name, re.sub(r"\\(.)", r"\1", m[2]) if m[2] is not None else m[3])
    return head.strip().lower(), out


def strip_comments(text):
    if "(" not in text:
        return text
    out, depth, quoted, i = [], 0, False, 0
    while i < len(text):
        c = text[i]
        if c == "\\" and (quoted or depth):
            out.append(text[i:i + 2] if not depth else "")
            i += 2
            continue
        if c == '"' and not depth:
            quoted = not quoted
        if c == "(" and not quoted:
            depth += 1
        elif c == ")" and depth and not quoted:
            depth -= 1
            i += 1
            continue
        out.append(c if not depth else "")
        i += 1
    return "".join(out)


class Part:
    """A message or body part: header [start, body), body [body, end)."""

    def __init__(self, data, start, default, depth):
        self.data, self.start, self.depth, self.default = data, start, depth, default
        self.body = self.end = None
        self.fields, self.children, self.opaque, self.open_end = [], [], False, False
        self.readable, self.params, self.encoding = False, {}, "7bit"
        self.type, self.subtype = default.split("/")

    def header_is(self, body):
        self.body = body
        self.fields = fields(self.data[self.start:body])
        value = self.first(b"content-type")
        kind, params = parameters(value) if value is not None else ("", {})
        m = re.match(r"([^\s/;()<>@,:\\\"\[\]?=]+)\s*/\s*([^\s/;()<>@,:\\\"\[\]?=]+)", kind)
        if m:
            self.readable, self.params = True, params
            self.type, self.subtype = m[1], m[2]
        encoding = self.first(b"content-transfer-encoding")
        if encoding is not None:
            self.encoding = strip_comments(unfold(encoding).decode("latin-1")).strip().lower()

    def first(self, name):
        for n, value in self.fields:
            if n.lower() == name:
                return value
        return None

    @property
    def is_message(self):
        return self.type == "message" and self.subtype in ("rfc822", "global")

    @property
    def boundary(self):
        return self.params.get("boundary", "").encode("latin-1") if self.type == "multipart" else b""

    def walk(self):
        yield self
        for child in self.children:
            yield from child.walk()

    def lines(self):
        return self.data.count(b"\n", self.body, self.end)


class Parser:
    """Line by line, with the parts that are open, by the rules of docs/mail.md."""

    def __init__(self, data):
        self.data, self.count = data, 0
        self.open = []   # from the message inwards
        self.root = self.begin(0, "text/plain")
        at = 0
        while at < len(data):
            stop = data.find(b"\n", at)
            stop = len(data) if stop < 0 else stop + 1
            self.line(at, stop)
            at = stop
        self.close(0, len(data))

    def begin(self, start, default):
        part = Part(self.data, start, default, len(self.open))
        self.count += 1
        if self.open:
            self.open[-1].children.append(part)
        self.open.append(part)
        return part

    def close(self, down_to, end):
        while len(self.open) > down_to:
            part = self.open.pop()
            part.end = max(end, part.start)
            if part.body is None:
                self.header(part, part.end)
            # The empty line of a header may be the line end before the delimiter: it stays with the header.
            part.end = end = max(part.end, part.body)

    def header(self, part, body):
        """The header of the innermost part is over."""
        part.header_is(min(body, len(self.data)))

    def line(self, at, stop):
        found = self.delimiter(at, stop)
        if found is not None:
            self.delimited(found, at, stop)
            return
        part = self.open[-1]
        if part.body is None and self.data[at:stop] in (b"\r\n", b"\n"):
            self.header(part, stop)
            part.full = part.depth >= DEPTH_MAX or self.count >= PARTS_MAX
            if part.is_message:
                part.opaque = part.full
                if not part.full:
                    self.begin(stop, "text/plain")
            elif part.type == "multipart" and (part.full or not part.boundary):
                part.opaque = True

    def delimiter(self, at, stop):
        """Of the open multiparts the one whose delimiter this line is: the longest boundary, then the innermost."""
        if self.data[at:at + 2] != b"--":
            return None
        best = None
        for i, part in enumerate(self.open):
            if part.body is None or part.opaque or not part.boundary or getattr(part, "over", False):
                continue
            if self.data.startswith(part.boundary, at + 2) and at + 2 + len(part.boundary) <= stop:
                if best is None or len(part.boundary) >= len(self.open[best].boundary):
                    best = i
        return best

    def delimited(self, i, at, stop):
        cut = at
        if cut > 0 and self.data[cut - 1:cut] == b"\n":
            cut -= 2 if self.data[cut - 2:cut] == b"\r\n" else 1
        self.close(i + 1, cut)
        part = self.open[i]
        if self.data.startswith(b"--", at + 2 + len(part.boundary)):
            part.over = True
        elif self.count >= PARTS_MAX:
            part.opaque = True
        else:
            self.begin(stop, "message/rfc822" if part.subtype == "digest" else "text/plain")


def parse(data):
    """The tree of a message, by exact offsets."""
    return Parser(data).root


def nested_boundaries_clash(part, above=()):
    """Whether delimiters of different multiparts can be taken for each other: then the tree is not certain."""
    mine = part.params.get("boundary", "").encode("latin-1") if part.type == "multipart" else None
    if mine is not None and any(mine.startswith(a) or a.startswith(mine) for a in above):
        return True
    below = above + ((mine,) if mine else ())
    return any(nested_boundaries_clash(c, below) for c in part.children)


# ---- text ----

def leaf_text(part):
    """Text of a leaf that is searched, and whether it is certain; None when it is not searched."""
    if part.children or part.type == "multipart" or (part.is_message and not part.opaque):
        return None
    if part.type not in ("text", "message"):
        return None
    raw = part.data[part.body:part.end]
    encoding = part.encoding if not part.is_message else "7bit"
    if encoding == "base64":
        raw = base64_octets(raw)
    elif encoding == "quoted-printable":
        raw = qp_octets(raw)
    elif not re.fullmatch(r"[a-z0-9!#$&+.^_-]+", encoding):
        return raw.decode("utf-8", "replace"), False
    elif encoding not in PLAIN_ENCODINGS:
        return None
    name = codec(part.params["charset"]) if "charset" in part.params else "utf-8"
    if name == "?":
        return raw.decode("utf-8", "replace"), False
    return decode(raw, name or "utf-8")


CACHE = {}


def fold(text):
    out = []
    for c in text:
        f = CACHE.get(c)
        if f is None:
            f = CACHE[c] = fold_one(c)
        out.append(f)
    return "".join(out)


def fold_one(c):
    out = []
    t = c.title()
    stack = [t if len(t) == 1 else c]
    while stack:
        c = stack.pop()
        d = unicodedata.decomposition(c)
        if d:
            stack += [chr(int(x, 16)) for x in reversed(d.split()) if x[0] != "<"]
        else:
            out.append(c)
    return "".join(out)


# ---- dates ----

MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
ZONES = {"ut": 0, "gmt": 0, "utc": 0, "z": 0, "edt": -240, "est": -300, "cdt": -300, "cst": -360, "mdt": -360, "mst": -420,
         "pdt": -420, "pst": -480}
DATE = re.compile(r"(?:(?:mon|tue|wed|thu|fri|sat|sun),? )?([0-9]{1,2}) ([a-z]{3}) ([0-9]{4}|[0-9]{2,3}) "
                  r"([0-9]{2}):([0-9]{2})(?::([0-9]{2}))? ([+-][0-9]{4}|[a-z]{1,3})")


def sent_date(value):
    """(day as year, month, day; moment in Unix seconds) of a Date field; None without one; "?" when its form is odd."""
    if value is None:
        return None
    text = " ".join(strip_comments(unfold(value).decode("latin-1")).lower().split())
    m = DATE.fullmatch(text)
    if not m:
        return "?"
    day, month, year, zone = int(m[1]), m[2], int(m[3]), m[7]
    year += 0 if len(m[3]) == 4 else 1900 if len(m[3]) == 3 or year >= 50 else 2000
    if month not in MONTHS or (zone[0] not in "+-" and zone not in ZONES):
        return "?"
    minutes = ZONES[zone] if zone in ZONES else int(zone[1:3]) * 60 + int(zone[3:])
    if zone[0] in "+-" and (int(zone[3:]) > 59 or int(zone[1:3]) > 14):
        return "?"
    minutes = -minutes if zone[0] == "-" else minutes
    month = MONTHS.index(month) + 1
    try:
        import datetime
        when = datetime.datetime(year, month, day, int(m[4]), int(m[5]), int(m[6] or 0), tzinfo=datetime.timezone.utc)
    except ValueError:
        return "?"
    return (year, month, day), int(when.timestamp()) - minutes * 60


# ---- RFC 5256 2.1 ----

BLOB = re.compile(r"\[[^\[\]]*\] *")
REFWD = re.compile(r"(?:re|fwd?) *(?:\[[^\[\]]*\] *)?: *", re.I)


def base_subject(text):
    """(base subject, whether it was a reply or forward)."""
    text, reply = " ".join(text.replace("\t", " ").split(" ")), False
    text = re.sub(" +", " ", text).strip(" ")
    while True:
        while True:  # trailers
            text = text.rstrip(" ")
            if not text.lower().endswith("(fwd)"):
                break
            text, reply = text[:-5], True
        while True:
            before = text
            text = text.lstrip(" ")
            at = 0
            while True:
                m = BLOB.match(text, at)
                if not m:
                    break
                at = m.end()
            m = REFWD.match(text, at)
            if m:
                text, reply = text[m.end():], True
            else:
                m = BLOB.match(text)
                if m and text[m.end():]:
                    text = text[m.end():]
            if text == before:
                break
        if not (text.lower().startswith("[fwd:") and text.endswith("]")):
            return text, reply
        text, reply = text[5:-1], True
