"""A POP3 server of some sixty lines that serves a list of messages and nothing else.

fetchmail and getmail rewrite what they fetch. What they make of the same bytes served from here is
the measure of what they make of the server under test. It accepts every name and password.
"""
import os
import socketserver
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "corpus"))
import gen  # noqa: E402


class Dialogue(socketserver.StreamRequestHandler):
    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")

    def many(self, lines):
        self.wfile.write(b"+OK\r\n" + b"".join(x.encode() + b"\r\n" for x in lines) + b".\r\n")

    def message(self, number, body_lines=None):
        data = self.server.messages[number - 1]
        if body_lines is not None:
            head, blank, body = data.partition(b"\r\n\r\n")
            data = head + blank + b"".join(body.splitlines(keepends=True)[:body_lines])
        self.wfile.write(b"+OK\r\n" + gen.stuffed(data))

    def answer(self, verb, args):
        sizes = [len(m) for m in self.server.messages]
        if verb == "CAPA":
            self.many(["USER", "UIDL", "TOP"])
        elif verb == "STAT":
            self.say("+OK %d %d" % (len(sizes), sum(sizes)))
        elif verb in ("LIST", "UIDL"):
            row = {"LIST": lambda i: str(sizes[i - 1]), "UIDL": lambda i: "uid%06d" % i}[verb]
            if args:
                self.say("+OK %d %s" % (int(args[0]), row(int(args[0]))))
            else:
                self.many("%d %s" % (i, row(i)) for i in range(1, len(sizes) + 1))
        elif verb == "RETR":
            self.message(int(args[0]))
        elif verb == "TOP":
            self.message(int(args[0]), int(args[1]))
        elif verb in ("USER", "PASS", "DELE", "NOOP", "RSET", "QUIT"):
            self.say("+OK")
        else:
            self.say("-ERR not here")

    def handle(self):
        self.say("+OK reference")
        for line in self.rfile:
            words = line.decode("latin-1").split()
            if not words:
                continue
            self.answer(words[0].upper(), words[1:])
            if words[0].upper() == "QUIT":
                return


class Reference(socketserver.ThreadingTCPServer):
    """Serves `messages` (CR LF bytes); has .ports like the servers of tests/bench."""
    allow_reuse_address = True
    daemon_threads = True
    ca = "/dev/null"

    def __init__(self, messages):
        super().__init__(("127.0.0.1", 0), Dialogue)
        self.messages = messages
        self.ports = {"pop3": self.server_address[1]}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def stop(self):
        self.shutdown()
        self.server_close()
