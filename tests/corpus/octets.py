"""POP3 over a bare socket: a message is the octets behind +OK, with nothing mended on the way.

poplib hands over lines without their ends and takes a bare LF for one; here a line ends in CR LF, a
line of the body that begins with a dot has a second one, and anything else is Wrong.
"""
import socket


class Wrong(Exception):
    """What came is no POP3: not an error that the server told."""


class Refused(Exception):
    """-ERR and its text."""


class Lost(ConnectionError):
    """The connection ended before the answer did."""


def unstuffed(lines):
    """Octets of a message from its lines on the wire, each with its end; the dot at the end is not
    among them."""
    out = []
    for line in lines:
        if not line.endswith(b"\r\n"):
            # A bare LF is a byte of the message: what follows it is no line of the wire.
            raise Wrong("a line ends in %r" % line[-4:])
        if line.startswith(b".") and not line.startswith(b".."):
            raise Wrong("a dot that was not doubled: %r" % line[:40])
        out.append(line[1:] if line.startswith(b".") else line)
    return b"".join(out)


class Pop:
    """One session, logged in. The server may send as long a line as it likes."""

    def __init__(self, port, account, password, host="127.0.0.1", timeout=60):
        self.sock = socket.create_connection((host, port), timeout=timeout)
        self.file = self.sock.makefile("rb")
        try:
            self.status()
            self.command("USER " + account)
            self.command("PASS " + password)
        except BaseException:
            self.close()
            raise

    def line(self):
        line = self.file.readline()
        if not line.endswith(b"\n"):
            raise Lost("after %r" % line[-40:])
        return line

    def status(self):
        line = self.line()
        if not line.endswith(b"\r\n"):
            raise Wrong("a status line ends in %r" % line[-4:])
        if line.startswith(b"-ERR"):
            raise Refused(line[:-2].decode("latin-1"))
        if not line.startswith(b"+OK"):
            raise Wrong("%r is no status" % line[:60])
        return line[:-2]

    def command(self, text):
        self.sock.sendall(text.encode() + b"\r\n")
        return self.status()

    def octets(self, text):
        """What a command with many lines gives, without doubled dots and the end."""
        self.command(text)
        lines = []
        while True:
            line = self.line()
            if line == b".\r\n":
                return unstuffed(lines)
            lines.append(line)

    def listing(self, verb):
        """UIDL or LIST: the second words, in order of the numbers, which must be 1, 2, 3..."""
        rows = [line.split(b" ") for line in self.octets(verb).split(b"\r\n")[:-1]]
        if [row[0] for row in rows] != [b"%d" % i for i in range(1, len(rows) + 1)]:
            raise Wrong("%s numbers messages %r" % (verb, [row[0] for row in rows][:20]))
        return [row[1] for row in rows]

    def retr(self, number):
        return self.octets("RETR %d" % number)

    def quit(self):
        self.command("QUIT")
        self.close()

    def close(self):
        self.file.close()
        self.sock.close()


def mailbox(port, account, password):
    """All messages, nothing deleted; their lengths are those that LIST gives."""
    pop = Pop(port, account, password)
    try:
        sizes = [int(size) for size in pop.listing("LIST")]
        out = [pop.retr(i + 1) for i in range(len(sizes))]
    finally:
        pop.close()
    if [len(m) for m in out] != sizes:
        raise Wrong("LIST has other sizes than RETR: message %d" % (1 + [len(m) == n for m, n in zip(out, sizes)].index(False)))
    return out
