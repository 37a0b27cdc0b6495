"""lexer - the terminals of IMAP responses (RFC 3501 9, RFC 9051 9), read strictly.

A response is the pieces that the connection read: text between literals as bytes, literals as Literal. Every
method of Cursor reads one production and raises Ungrammatical where the server sent something else; nothing is
skipped or guessed.
"""
import base64
import re


class Ungrammatical(Exception):
    """The server sent what no grammar allows."""


class Literal(bytes):
    """A string that came as a literal; `eight` for literal8."""
    eight = False


ATOM = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\\]]+")
ASTRING = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\]+")
NUMBER = re.compile(rb"(0|[1-9][0-9]*)(?![0-9])")
SEQ = rb"[1-9][0-9]*(:[1-9][0-9]*)?"
SEQUENCE_SET = re.compile(SEQ + rb"(," + SEQ + rb")*")
DATE_TIME = re.compile(rb'"([ 0-3][0-9]-(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)-[0-9]{4} '
                       rb'[0-2][0-9]:[0-5][0-9]:[0-6][0-9] [+-][0-9]{4})"')
FLAG = re.compile(rb"\\?[^\x00-\x20\x7f-\xff(){%*\"\\\]]+")
OBJECTID = re.compile(rb"[A-Za-z0-9_-]{1,255}")
MAX_ITEMS = 1 << 20  # of one sequence set, unrolled


class Cursor:
    eight_bit_text = False  # set for Dovecot, which writes mailbox names into its texts

    def __init__(self, pieces, utf8=False):
        self.pieces, self.utf8 = pieces, utf8
        self.i, self.at = 0, 0

    def fail(self, what):
        rest = self.rest()
        before = self.pieces[self.i][max(0, self.at - 60):self.at] if self.i < len(self.pieces) else b""
        raise Ungrammatical("%s expected after %r, not %.120r" % (what, before, rest))

    def rest(self):
        if self.i < len(self.pieces) and not isinstance(self.pieces[self.i], Literal):
            return self.pieces[self.i][self.at:]
        return b"" if self.i >= len(self.pieces) else b"{literal}"

    def is_text(self):
        return self.i < len(self.pieces) and not isinstance(self.pieces[self.i], Literal)

    def step(self):
        while self.i < len(self.pieces) and self.is_text() and self.at >= len(self.pieces[self.i]):
            self.i, self.at = self.i + 1, 0

    def peek(self, literal):
        """Whether these octets come next (letters in the case given)."""
        return self.is_text() and self.pieces[self.i].startswith(literal, self.at)

    def take(self, regex, what):
        m = regex.match(self.pieces[self.i], self.at) if self.is_text() else None
        if not m:
            self.fail(what)
        self.at = m.end()
        self.step()
        return m

    def byte(self, literal):
        if not self.peek(literal):
            self.fail(repr(literal))
        self.at += len(literal)
        self.step()

    def maybe(self, literal):
        if self.peek(literal):
            self.byte(literal)
            return True
        return False

    def sp(self):
        self.byte(b" ")

    def end(self):
        if self.i < len(self.pieces):
            self.fail("end of the response")

    # ---- terminals ----

    def number(self, maximum=0xffffffff):
        n = int(self.take(NUMBER, "number")[0])
        if n > maximum:
            self.fail("number up to %d" % maximum)
        return n

    def nz(self, maximum=0xffffffff):
        n = self.number(maximum)
        if n == 0:
            self.fail("nz-number")
        return n

    def modseq(self):
        return self.nz((1 << 63) - 1)

    def modseq_zero(self):
        return self.number((1 << 63) - 1)

    def atom(self):
        return self.take(ATOM, "atom")[0].decode("ascii")

    def word(self):
        """An atom in upper case."""
        return self.atom().upper()

    def quoted(self):
        piece, at = (self.pieces[self.i], self.at) if self.is_text() else (b"", 0)
        if not piece.startswith(b'"', at):
            self.fail("quoted")
        out, at = bytearray(), at + 1
        while True:
            if at >= len(piece):
                self.fail("closing quote")
            c = piece[at]
            if c == 0x22:
                break
            if c == 0x5c:
                at += 1
                if at >= len(piece) or piece[at] not in b'"\\':
                    self.fail("quoted-special after a backslash")
                c = piece[at]
            elif c in (0, 10, 13) or (c > 127 and not self.utf8):
                self.fail("QUOTED-CHAR, not %#x" % c)
            out.append(c)
            at += 1
        self.at = at + 1
        self.step()
        value = bytes(out)
        if self.utf8:
            try:
                value.decode("utf-8")
            except UnicodeDecodeError:
                self.fail("UTF-8 in a quoted string")
        return value

    def is_string(self, eight=False):
        self.step()
        if self.i < len(self.pieces) and not self.is_text():
            return eight or not self.pieces[self.i].eight
        return self.peek(b'"')

    def string(self, eight=False):
        self.step()
        if self.i < len(self.pieces) and not self.is_text():
            value = self.pieces[self.i]
            if value.eight and not eight:
                self.fail("string, not literal8,")
            if not value.eight and b"\0" in value:
                self.fail("literal without NUL")
            self.i, self.at = self.i + 1, 0
            return bytes(value)
        return self.quoted()

    def nil(self):
        """Whether NIL comes next; then it is taken."""
        m = re.compile(rb"NIL(?![^\x00-\x20\x7f-\xff(){%*\"\\\]])", re.I).match(self.pieces[self.i], self.at) \
            if self.is_text() else None
        if m:
            self.at = m.end()
            self.step()
        return bool(m)

    def nstring(self, eight=False):
        return None if self.nil() else self.string(eight)

    def astring(self):
        if self.is_string():
            return self.string()
        return self.take(ASTRING, "astring")[0]

    def flag(self, perm=False):
        if perm and self.maybe(b"\\*"):
            return "\\*"
        return self.take(FLAG, "flag")[0].decode("ascii")

    def date_time(self):
        """Always with two digits for the day."""
        return self.take(DATE_TIME, "date-time")[1].decode("ascii").replace(" ", "0", 1) if self.peek(b'" ') else \
            self.take(DATE_TIME, "date-time")[1].decode("ascii")

    def objectid(self):
        self.byte(b"(")
        value = self.take(OBJECTID, "objectid")[0].decode("ascii")
        self.byte(b")")
        return value

    def sequence_set(self):
        return unroll(self.take(SEQUENCE_SET, "sequence-set")[0].decode("ascii"))

    def items(self, read, empty=True):
        """"(" read *(SP read) ")"."""
        out = []
        self.byte(b"(")
        if empty and self.maybe(b")"):
            return out
        while True:
            out.append(read())
            if self.maybe(b")"):
                return out
            self.sp()

    def mailbox(self):
        raw = self.astring()
        return mailbox_name(raw, self.utf8, self.fail)

    def text(self):
        """The rest of the line as text of at least one character."""
        rest = self.rest()
        if not rest or self.i != len(self.pieces) - 1 or re.search(rb"[\0\r\n]", rest):
            self.fail("text")
        if not self.utf8 and max(rest) > 127 and not self.eight_bit_text:
            self.fail("TEXT-CHAR")
        self.i += 1
        return rest.decode("utf-8")


def unroll(text):
    """A sequence set without '*' as a list in the order written; ranges both ways (RFC 9051 9)."""
    out = []
    for part in text.split(","):
        a, _, b = part.partition(":")
        a, b = int(a), int(b or a)
        if max(a, b) > 0xffffffff or abs(b - a) + len(out) > MAX_ITEMS:
            raise Ungrammatical("a set as large as %r" % part)
        out += range(min(a, b), max(a, b) + 1)
    return out


# ---- modified UTF-7 (RFC 3501 5.1.3) ----

def utf7_encode(name):
    out, wide = [], ""
    for c in name + "\0":
        if " " <= c <= "~" or c == "\0":
            if wide:
                raw = base64.b64encode(wide.encode("utf-16-be")).rstrip(b"=").replace(b"/", b",")
                out.append("&" + raw.decode("ascii") + "-")
                wide = ""
            out.append("" if c == "\0" else "&-" if c == "&" else c)
        else:
            wide += c
    return "".join(out).encode("ascii")


def utf7_decode(raw):
    out, i = [], 0
    while i < len(raw):
        if raw[i:i + 1] != b"&":
            out.append(raw[i:i + 1].decode("ascii"))
            i += 1
            continue
        end = raw.index(b"-", i)
        coded = raw[i + 1:end].replace(b",", b"/")
        out.append(base64.b64decode(coded + b"=" * (-len(coded) % 4)).decode("utf-16-be") if coded else "&")
        i = end + 1
    return "".join(out)


def mailbox_name(raw, utf8, fail):
    """INBOX in any case is INBOX; a name must be the one canonical encoding of itself."""
    if raw.upper() == b"INBOX":
        return "INBOX"
    try:
        if utf8:
            return raw.decode("utf-8")
        name = utf7_decode(raw)
    except (UnicodeError, ValueError):
        fail("mailbox name, not %r" % raw)
    if utf7_encode(name) != raw:
        fail("canonical modified UTF-7, not %r" % raw)
    return name
