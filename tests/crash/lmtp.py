"""A small LMTP client: one reply for each recipient after the data, as RFC 2033 has it.

Python's own smtplib.LMTP reads one reply only. Use one Lmtp per thread.
"""
import os
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "corpus"))
import gen  # noqa: E402


class Refused(Exception):
    """An answer that is not the expected one; .code has it."""

    def __init__(self, code, text):
        super().__init__("%d %s" % (code, text))
        self.code = code


class Lmtp:
    def __init__(self, port, host="127.0.0.1", timeout=30):
        self.socket = socket.create_connection((host, port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")
        self.expect(220)
        self.command("LHLO proof.example", 250)

    def reply(self):
        """(code, text of the last line); OSError when the connection is gone."""
        while True:
            line = self.file.readline()
            if not line.endswith(b"\r\n"):
                raise ConnectionError("connection lost")
            if line[3:4] != b"-":
                return int(line[:3]), line[4:].decode("latin-1").strip()

    def expect(self, code):
        got, text = self.reply()
        if got != code:
            raise Refused(got, text)

    def command(self, line, code):
        self.socket.sendall(line.encode() + b"\r\n")
        self.expect(code)

    def begin(self, recipients, sender="sender@sender.example"):
        """Up to and with 354; refused recipients raise."""
        self.command("MAIL FROM:<%s>" % sender, 250)
        for one in recipients:
            self.command("RCPT TO:<%s>" % one, 250)
        self.command("DATA", 354)

    def deliver(self, recipients, data):
        """Sends one message; returns the code for each recipient."""
        self.begin(recipients)
        self.socket.sendall(gen.stuffed(data))
        return [self.reply()[0] for _ in recipients]

    def close(self):
        self.file.close()
        self.socket.close()
