"""client - an IMAP connection that parses every response and keeps a transcript.

    c = Imap(port); c.login(user, password)
    r = c.ok("SELECT", "INBOX")       r.untagged, r.code, r.text; NO and BAD raise Refused
    r = c.run("STORE", "1", "+FLAGS", r"(\\Seen)")

Arguments: str is sent as it is, bytes as a string (quoted where that is possible, else a literal), Lit as a
literal. Everything the server sends goes through grammar.parse.
"""
import collections
import re
import socket
import ssl
import time
import zlib

import grammar
import lexer

Result = collections.namedtuple("Result", "status code text untagged sent done")
LITERAL_END = re.compile(rb"(~?)\{([0-9]+)\}$")
QUOTABLE = re.compile(rb"[\x20-\x7e]*")
MAX_LITERAL = 1 << 28


class Refused(Exception):
    """The server answered NO or BAD where the caller needed OK."""


class Closed(Exception):
    """The connection ended."""


class Lit(bytes):
    """An argument that must go as a literal."""
    eight = False


def lit8(data):
    out = Lit(data)
    out.eight = True
    return out


def quote(data):
    return b'"' + data.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


class Imap:
    def __init__(self, port, host="127.0.0.1", tls=None, timeout=60, name="c"):
        self.sock = socket.create_connection((host, port), timeout=timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.sock = tls.wrap_socket(self.sock, server_hostname="localhost")
        self.name, self.buf, self.number = name, b"", 0
        self.utf8 = False
        self.log = collections.deque(maxlen=400)
        self.capabilities = set()
        self.literal_plus = False
        self.on_response = None  # called with every response, before the command ends
        self.greeting = self.response()
        if self.greeting.name not in ("OK", "PREAUTH"):
            raise Closed("greeting %r" % (self.greeting,))
        self.learn(self.greeting)

    # ---- octets ----

    def note(self, way, data):
        self.log.append((time.monotonic(), way, data if len(data) < 300 else data[:200] + b"...%d..." % len(data) + data[-40:]))

    def transcript(self, last=80):
        return ["%.3f %s %s %s" % (t, self.name, way, data.decode("utf-8", "backslashreplace").rstrip("\r\n"))
                for t, way, data in list(self.log)[-last:]]

    def more(self):
        try:
            data = self.sock.recv(1 << 16)
        except (ConnectionError, ssl.SSLError) as e:
            raise Closed(str(e)) from e
        if not data:
            raise Closed("the server closed the connection")
        self.buf += self.inflate.decompress(data) if self.inflate else data

    inflate = deflate = None

    def compress(self):
        """RFC 4978: both directions from here on."""
        self.ok("COMPRESS", "DEFLATE")
        self.inflate, self.deflate = zlib.decompressobj(-15), zlib.compressobj(wbits=-15)
        if self.buf:
            self.buf = self.inflate.decompress(self.buf)

    def raw_line(self):
        at = 0
        while True:
            end = self.buf.find(b"\n", at)
            if end >= 0:
                break
            at = len(self.buf)
            self.more()
        line, self.buf = self.buf[:end + 1], self.buf[end + 1:]
        if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
            raise lexer.Ungrammatical("a line with other ends than CR LF: %r" % line[-80:])
        return line[:-2]

    def raw_literal(self, n):
        chunks, have = [self.buf[:n]], min(n, len(self.buf))
        self.buf = self.buf[n:]
        while have < n:
            self.more()
            chunks.append(self.buf[:n - have])
            have += len(chunks[-1])
            self.buf = self.buf[len(chunks[-1]):]
        return b"".join(chunks)

    def response(self):
        pieces = []
        while True:
            line = self.raw_line()
            pieces.append(line)
            m = LITERAL_END.search(line)
            if not m:
                break
            if int(m[2]) > MAX_LITERAL:
                raise lexer.Ungrammatical("a literal of %s octets" % m[2])
            literal = lexer.Literal(self.raw_literal(int(m[2])))
            literal.eight = bool(m[1])
            pieces[-1] = line[:m.start()]
            pieces.append(literal)
        if self.log.maxlen:
            self.note("S:", b"".join(p if not isinstance(p, lexer.Literal) else b"{%d}\r\n%s" % (len(p), p[:200])
                                     for p in pieces))
        return grammar.parse([p for p in pieces if p or isinstance(p, lexer.Literal)], self.utf8)

    def send(self, data):
        self.note("C:", data)
        if self.deflate:
            data = self.deflate.compress(data) + self.deflate.flush(zlib.Z_SYNC_FLUSH)
        try:
            self.sock.sendall(data)
        except (ConnectionError, ssl.SSLError) as e:
            raise Closed(str(e)) from e

    # ---- commands ----

    def learn(self, r):
        words = r.data if r.kind == "CAPABILITY" else r.code.data if r.code and r.code.name == "CAPABILITY" else None
        if words is not None:
            self.capabilities = set(w.upper() for w in words)
            self.literal_plus = "LITERAL+" in self.capabilities

    def encode(self, arg):
        """An argument as [octets before a literal, literal] pairs flattened: bytes, Lit, bytes ..."""
        if isinstance(arg, str):
            return [arg.encode("utf-8")]
        if isinstance(arg, Lit):
            return [arg]
        if isinstance(arg, (list, tuple)):
            out = [b"("]
            for i, one in enumerate(arg):
                out += ([b" "] if i else []) + self.encode(one)
            return out + [b")"]
        return [quote(arg)] if QUOTABLE.fullmatch(arg) and len(arg) < 1000 else [Lit(arg)]

    def start(self, *args, glue=" "):
        """Sends a command and returns its tag; literals wait for the server unless it has LITERAL+."""
        self.number += 1
        tag = "%s%d" % (self.name, self.number)
        out = tag.encode("ascii")
        for i, arg in enumerate(args):
            out += b" " if i == 0 else glue.encode("ascii")
            for piece in self.encode(arg):
                if not isinstance(piece, Lit):
                    out += piece
                    continue
                out += b"%s{%d%s}\r\n" % (b"~" if piece.eight else b"", len(piece), b"+" if self.literal_plus else b"")
                if self.literal_plus:
                    out += piece
                    continue
                self.send(out)
                if not self.wait_continuation(tag):
                    return tag
                out = bytes(piece)
        self.send(out + b"\r\n")
        return tag

    def wait_continuation(self, tag):
        """False when the server refused the command instead; its answer is kept for finish()."""
        self.pending = []
        while True:
            r = self.response()
            if r.kind == "cont":
                return True
            self.pending.append(r)
            if r.kind == "tagged":
                return False

    pending = ()

    def finish(self, tag, sent=None):
        """All responses up to the tagged one."""
        untagged, early = [], list(self.pending)
        self.pending = ()
        while True:
            r = early.pop(0) if early else self.response()
            self.learn(r)
            if r.kind == "tagged":
                if r.tag != tag:
                    raise lexer.Ungrammatical("tag %r answered, %r expected" % (r.tag, tag))
                if self.on_response:
                    self.on_response(r)
                return Result(r.name, r.code, r.text, untagged, sent, time.monotonic())
            if r.kind == "cont":
                raise lexer.Ungrammatical("a continuation nobody asked for: %r" % (r.text,))
            if self.on_response:
                self.on_response(r)
            untagged.append(r)
            if r.kind == "cond" and r.name == "BYE" and not self.leaving:
                raise Closed("BYE %s" % r.text)

    leaving = False

    def run(self, *args, glue=" "):
        sent = time.monotonic()
        return self.finish(self.start(*args, glue=glue), sent)

    def ok(self, *args, glue=" "):
        r = self.run(*args, glue=glue)
        if r.status != "OK":
            raise Refused("%.300r: %s %s %s" % (args, r.status, r.code, r.text))
        return r

    def login(self, user, password):
        if "LOGINDISABLED" in self.capabilities:
            raise Refused("LOGINDISABLED")
        r = self.ok("LOGIN", user.encode(), password.encode())
        if not (r.code and r.code.name == "CAPABILITY"):
            self.ok("CAPABILITY")
        return self

    def starttls(self, context):
        self.ok("STARTTLS")
        if self.buf:
            raise lexer.Ungrammatical("octets behind the answer to STARTTLS: %r" % self.buf)
        self.sock = context.wrap_socket(self.sock, server_hostname="localhost")
        self.ok("CAPABILITY")

    def idle(self, until, timeout):
        """IDLE until until(response) is true or the time is over; the untagged responses."""
        tag, out, end = self.start("IDLE"), [], time.monotonic() + timeout
        while self.response_kept(out).kind != "cont":
            pass
        try:
            while not (out and until(out[-1])) and time.monotonic() < end:
                self.sock.settimeout(max(0.001, end - time.monotonic()))
                try:
                    self.response_kept(out)
                except (TimeoutError, socket.timeout):
                    break
        finally:
            self.sock.settimeout(60)
        self.send(b"DONE\r\n")
        r = self.finish(tag)
        return out + r.untagged

    def response_kept(self, out):
        r = self.response()
        if r.kind != "cont":
            out.append(r)
            if self.on_response:
                self.on_response(r)
        return r

    def box(self, name):
        """A mailbox name as an argument."""
        return name.encode("utf-8") if self.utf8 else box(name)

    def append(self, mailbox, data, flags=None, date=None, binary=False):
        args = ["APPEND", self.box(mailbox)]
        args += [list(flags)] if flags is not None else []
        args += ['"%s"' % date] if date else []
        return self.run(*args, lit8(data) if binary else Lit(data))

    def logout(self):
        self.leaving = True
        try:
            self.run("LOGOUT")
        except Closed:
            pass
        self.close()

    def close(self):
        self.sock.close()


def box(name):
    """A mailbox name as an argument."""
    return lexer.utf7_encode(name) if isinstance(name, str) else name


def ranges(numbers):
    """[1, 2, 3, 7] as 1:3,7"""
    out, numbers = [], sorted(numbers)
    for n in numbers:
        if out and out[-1][1] == n - 1:
            out[-1][1] = n
        else:
            out.append([n, n])
    return ",".join("%d" % a if a == b else "%d:%d" % (a, b) for a, b in out)
