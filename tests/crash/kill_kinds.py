"""The kinds of process there are, from the table of the sandbox: each row but a few is one, and must be killed.

A kind is the name of a row, as "pop3" or "pop3-child"; what runs under a name that no row has ("parsed-fork") is one,
too. Company holds the clients without which there would be no child to kill.
"""
import contextlib
import imaplib
import os
import socket
import ssl
import subprocess
import time

import kill_check
import lmtp
import octets

# Rows that are no process of a running suite.
NOT_RUNNING = {"conf": "reads the configuration and ends, before anybody is started",
               "ctl-reader": "a process of gatehousectl's", "ctl-export": "a process of gatehousectl's"}
FAILURES = (OSError, EOFError, octets.Refused, imaplib.IMAP4.error, lmtp.Refused,
            subprocess.SubprocessError)


def rows(build):
    """All kinds that there must be."""
    probe = os.path.join(build, "tests", "hostile", "hostile-probe")
    done = subprocess.run([probe, "--rows"], stdout=subprocess.PIPE, check=True)
    return set(done.stdout.decode().split()) - set(NOT_RUNNING)


def descendants(pid):
    found = []
    with contextlib.suppress(OSError):
        for task in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/children" % (pid, task), encoding="ascii") as f:
                for child in map(int, f.read().split()):
                    found += [child] + descendants(child)
    return found


def kind_of(pid):
    """None for what ends or begins just now. Programs lead a group of their own; children stay in it."""
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            title = f.read().split(b"\0")[0].decode("latin-1").split()
        leads = os.getpgid(pid) == pid
    except OSError:
        return None
    if len(title) < 2 or title[0] != "gatehouse:":
        return None
    return title[1] if leads or title[1].endswith(("-child", "-fork")) else title[1] + "-child"


def lives(pid):
    """A zombie does not: whoever reaps what the master leaves behind may take a second."""
    try:
        with open("/proc/%d/stat" % pid, encoding="latin-1") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def running(root):
    """{kind: [pids]}"""
    out = {"master": [root]} if os.path.exists("/proc/%d" % root) else {}
    for pid in descendants(root):
        kind = kind_of(pid)
        if kind is not None:
            out.setdefault(kind, []).append(pid)
    return out


class Door:
    """One connection of lines; with a CA under TLS."""

    def __init__(self, where, greeting, ca=None):
        self.sock = socket.socket(socket.AF_UNIX if isinstance(where, str) else socket.AF_INET)
        self.sock.settimeout(30)
        self.sock.connect(where)
        if ca:
            self.sock = ssl.create_default_context(cafile=ca).wrap_socket(self.sock, server_hostname="localhost")
        self.file = self.sock.makefile("rb")
        self.expect(greeting)

    def expect(self, start):
        line = self.file.readline()
        if not line.startswith(start):
            raise ConnectionError("answered %r" % line)

    def ask(self, line, start):
        self.sock.sendall(line + b"\r\n")
        self.expect(start)
        return self

    def close(self):
        self.file.close()
        self.sock.close()


class Company:
    """Clients of a servers.Gatehouse. Each way in is a function, by the program's name."""

    def __init__(self, server, spare):
        self.server, self.spare = server, spare  # spare: an account that nobody else looks at
        self.run = os.path.join(server.dir, "run")
        self.ports = dict(server.ports, pwd=server.base_port + 106)
        self.ways = {"pop3": self.pop3, "imap": self.imap, "smtp": self.smtp, "pwd": self.pwd, "admin": self.admin,
                     "metrics": self.metrics, "signer": self.tls}
        self.guests = {}
        self.letters = 0

    def pop3(self):
        return kill_check.login(self.ports["pop3"], "u1")

    def tls(self):
        c = Door(("127.0.0.1", self.server.base_port + 995), b"+OK", os.path.join(self.server.dir, "tls", "ca.pem"))
        return c.ask(b"USER u1", b"+OK").ask(b"PASS " + kill_check.PASSWORD.encode(), b"+OK")

    def imap(self):
        c = imaplib.IMAP4("127.0.0.1", self.ports["imap"], timeout=30)
        c.login("u1", kill_check.PASSWORD)
        c.select("INBOX", readonly=True)
        return c

    def smtp(self):
        c = lmtp.Lmtp(self.ports["lmtp"])
        c.command("MAIL FROM:<>", 250)
        c.command("RCPT TO:<u1@example.test>", 250)
        return c

    def pwd(self):
        c = Door(("127.0.0.1", self.ports["pwd"]), b"200")
        return c.ask(b"USER u1", b"300").ask(b"PASS " + kill_check.PASSWORD.encode(), b"200")

    def admin(self):
        return Door(os.path.join(self.run, "admin.sock"), b"200")

    def metrics(self):
        c = socket.socket(socket.AF_UNIX)
        c.settimeout(30)
        c.connect(os.path.join(self.run, "metrics.sock"))
        c.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        if not c.recv(100).startswith(b"HTTP/1.1 200"):
            raise ConnectionError("no figures")
        return c

    def question(self):
        """For figures, and not at its end."""
        c = socket.socket(socket.AF_UNIX)
        c.settimeout(30)
        c.connect(os.path.join(self.run, "metrics.sock"))
        c.sendall(b"GET /metrics HTTP/1.1\r\n")
        return c

    def dialogue(self):
        """A login that a worker waits for."""
        return Door(("127.0.0.1", self.ports["pop3"]), b"+OK").ask(b"AUTH LOGIN", b"+ ")

    def letter(self):
        """A message that nobody has looked into, so that a reader must."""
        self.letters += 1
        path = os.path.join(self.server.dir, "letter-%d" % self.letters)
        with open(path, "w", encoding="ascii") as f:
            f.write("From a@b.example Thu Jan  1 00:00:00 2026\nSubject: %d\nMessage-ID: <%d@b.example>\n\ntext\n"
                    % (self.letters, self.letters))
        prefix = os.path.dirname(os.path.dirname(self.server.exe))
        subprocess.run([os.path.join(prefix, "bin", "gatehousectl"), "--socket", os.path.join(self.run, "admin.sock"),
                        "store", "import", self.spare, path], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                       check=True, timeout=60)
        return None

    def invite(self, kind, deadline_s=60):
        """A process of that kind is there soon, if it is one that serves a client."""
        ways = {name + "-child": way for name, way in self.ways.items() if name != "smtp"}  # senders are there anyhow
        ways.update({"metrics-child": self.question, "authd-worker-child": self.dialogue, "parsed-child": self.letter})
        if kind in ways:
            self.leave(kind)
            self.guests[kind] = insist(ways[kind], deadline_s)

    def leave(self, kind):
        guest = self.guests.pop(kind, None)
        if guest is not None:
            with contextlib.suppress(*FAILURES):
                guest.shutdown() if isinstance(guest, imaplib.IMAP4) else guest.close()

    def way_in(self, kind):
        """Goes in as a client of that kind of process would, by POP3 where it has none; returns when that has worked."""
        self.guests["way in"] = insist(self.ways.get(kind.removesuffix("-child"), self.pop3), 60)
        self.leave("way in")


def insist(function, deadline_s):
    """What the function returns as soon as it works."""
    began = time.monotonic()
    while True:
        try:
            return function()
        except FAILURES:
            if time.monotonic() - began > deadline_s:
                raise
            time.sleep(0.01)
