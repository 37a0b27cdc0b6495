#!/usr/bin/python3
"""kill_imap - kill -9 of processes while IMAP clients change their mailboxes, then look at what is there.

    kill_imap.py BUILD [--kills N] [--seed N]

Each client has an account of its own with two mailboxes and knows what must be in them: which messages, in
which order, with which flags. Whatever it was doing when its connection ended (APPEND of several messages,
STORE, COPY, MOVE, EXPUNGE) must have happened as a whole or not at all; whatever was answered OK must have
happened. A uid never means another message.
"""
import argparse
import os
import random
import re
import signal
import socket
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))
import suite  # noqa: E402

BOXES = ("INBOX", "Other")
FLAGS = ("\\Seen", "\\Flagged", "\\Deleted", "one", "two")
KINDS = ("stored", "stored", "stored", "imap", "imap child", "authd", "routerd", "authd-worker", "logd")
CLIENTS = 6


class Lost(Exception):
    pass


class Conn:
    def __init__(self, port, user):
        try:
            self.sock = socket.create_connection(("127.0.0.1", port), timeout=20)
            self.file = self.sock.makefile("rb")
            self.tag = 0
            if not self.line().startswith("* OK"):
                raise Lost("no greeting")
            self.ok("LOGIN %s %s" % (user, suite.PASSWORD))
        except OSError as e:
            raise Lost(str(e)) from None

    def line(self):
        try:
            line = self.file.readline()
        except OSError as e:
            raise Lost(str(e)) from None
        if not line.endswith(b"\r\n"):
            raise Lost("closed")
        return line[:-2].decode("latin-1")

    def send(self, data):
        try:
            self.sock.sendall(data)
        except OSError as e:
            raise Lost(str(e)) from None

    def command(self, text):
        """(OK/NO/BAD, untagged lines)"""
        self.tag += 1
        tag = "t%d" % self.tag
        data = text if isinstance(text, bytes) else text.encode()
        self.send(tag.encode() + b" " + data + b"\r\n")
        seen = []
        while True:
            line = self.line()
            if line.startswith(tag + " "):
                return line.split(" ", 2)[1], seen + [line]
            if line.startswith("* BYE"):
                raise Lost(line)
            seen.append(line)

    def ok(self, text):
        word, lines = self.command(text)
        if word != "OK":
            raise Lost("%r: %s" % (text, lines[-1]))
        return lines

    def close(self):
        self.file.close()
        self.sock.close()


def message(number):
    rng = random.Random(number)
    return b"X-Id: %d\r\nSubject: message %d\r\n\r\n" % (number, number) + b"text \xff\r\n" * rng.choice((1, 50, 4000))


class Client:
    """Mailboxes as lists of [id, flags]; `maybe` is what they are if the command in flight happened."""

    def __init__(self, port, number, seed):
        self.port, self.user = port, "u%d" % number
        self.rng = random.Random("imap %s %d" % (seed, number))
        self.boxes = {name: [] for name in BOXES}
        self.maybe = None
        self.next = number * 1000000
        self.uids = {}  # (box, uid) -> id
        self.faults, self.done, self.lost = [], 0, 0
        self.stop = False
        self.conn = None

    def fault(self, text):
        self.faults.append("%s: %s" % (self.user, text))
        print("    FAULT: " + self.faults[-1], flush=True)

    def read(self, name):
        self.conn.ok("SELECT " + name)
        found = []
        uid = flags = None
        for line in self.conn.ok("UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (X-Id)])"):
            m = re.match(r"\* \d+ FETCH \(UID (\d+) FLAGS \(([^)]*)\)", line)
            if m:
                uid, flags = int(m[1]), frozenset(m[2].split()) - {"\\Recent"}
            m = re.match(r"X-Id: (\d+)", line)
            if m:
                found.append([int(m[1]), flags])
                if self.uids.setdefault((name, uid), int(m[1])) != int(m[1]):
                    self.fault("uid %d of %s means another message" % (uid, name))
        return found

    def check(self):
        """Reads all, and takes what is there for what must be there from now on."""
        there = {name: self.read(name) for name in BOXES}
        if there != self.boxes and (self.maybe is None or there != self.maybe):
            self.fault("%s: is %r, must be %r%s" % (
                self.what, there, self.boxes, "" if self.maybe is None else " or %r" % self.maybe))
        self.boxes, self.maybe = there, None

    def run(self, text, after):
        """A command that turns the mailboxes into `after` if it is answered OK."""
        self.maybe, self.what = after, text[:80]
        word, lines = self.conn.command(text)
        if word == "OK":
            self.boxes = after
            self.done += 1
        elif "UNAVAILABLE" not in lines[-1]:
            self.fault("%r was answered %s" % (text[:80], lines[-1]))
        if word == "OK":
            self.maybe = None

    def copy_of(self):
        return {name: [list(m) for m in box] for name, box in self.boxes.items()}

    def append(self):
        after, text = self.copy_of(), b"APPEND INBOX"
        for _ in range(self.rng.choice((1, 1, 3))):
            flags = self.rng.sample(FLAGS, self.rng.randrange(3))
            body = message(self.next)
            text += b" (%s) {%d+}\r\n" % (" ".join(flags).encode(), len(body)) + body
            after["INBOX"].append([self.next, frozenset(flags)])
            self.next += 1
        self.run(text, after)

    def numbers(self):
        box = self.boxes["INBOX"]
        some = sorted(self.rng.sample(range(len(box)), self.rng.randrange(1, len(box) + 1)))
        return some, ",".join(str(i + 1) for i in some)

    def store(self):
        some, numbers = self.numbers()
        flag, add = self.rng.choice(FLAGS), self.rng.random() < 0.6
        after = self.copy_of()
        for i in some:
            old = after["INBOX"][i][1]
            after["INBOX"][i][1] = old | {flag} if add else old - {flag}
        self.run("STORE %s %sFLAGS.SILENT (%s)" % (numbers, "+" if add else "-", flag), after)

    def copy(self, move=False):
        some, numbers = self.numbers()
        after = self.copy_of()
        after["Other"] += [list(after["INBOX"][i]) for i in some]
        if move:
            after["INBOX"] = [m for i, m in enumerate(after["INBOX"]) if i not in some]
        self.run("%s %s Other" % ("MOVE" if move else "COPY", numbers), after)

    def expunge(self):
        after = self.copy_of()
        after["INBOX"] = [m for m in after["INBOX"] if "\\Deleted" not in m[1]]
        self.run("EXPUNGE", after)

    def act(self):
        if not self.boxes["INBOX"]:
            self.append()
            return
        self.rng.choice((self.append, self.store, self.store, self.copy, lambda: self.copy(True), self.expunge))()
        if len(self.boxes["INBOX"]) + len(self.boxes["Other"]) > 60:
            self.trim()

    def trim(self):
        """Empties both mailboxes, in steps that happen as a whole each."""
        for name in BOXES:
            self.conn.ok("SELECT " + name)
            if not self.boxes[name]:
                continue
            marked = self.copy_of()
            for m in marked[name]:
                m[1] = m[1] | {"\\Deleted"}
            self.run("STORE 1:* +FLAGS.SILENT (\\Deleted)", marked)
            self.run("EXPUNGE", {n: [] if n == name else b for n, b in self.boxes.items()})
        self.conn.ok("SELECT INBOX")

    def connect(self):
        while not self.stop:
            try:
                self.conn = Conn(self.port, self.user)
                self.conn.command("CREATE Other")
                self.check()
                self.conn.ok("SELECT INBOX")
                return True
            except Lost:
                time.sleep(0.03)
        return False

    def work(self):
        self.what = "nothing"
        while not self.stop and self.connect():
            try:
                while not self.stop:
                    self.act()
                    time.sleep(0.002)
            except Lost:
                self.lost += 1
                self.conn.close()


def victims(s, kind):
    if kind == "imap child":
        return s.pids("imap", child=True)
    return s.pids(kind)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build")
    p.add_argument("--kills", type=int, default=30)
    p.add_argument("--seed", default="1")
    opt = p.parse_args()
    rng = random.Random("kills %s" % opt.seed)
    with suite.Suite(opt.build, 25700, accounts=CLIENTS, hash="plain") as s:
        clients = [Client(143 + s.offset, i + 1, opt.seed) for i in range(CLIENTS)]
        threads = [threading.Thread(target=c.work) for c in clients]
        for t in threads:
            t.start()
        killed = {}
        for _ in range(opt.kills):
            time.sleep(0.15 + rng.random() * 0.3)
            kind = rng.choice(KINDS)
            pids = victims(s, kind)
            if not pids:
                continue
            os.kill(rng.choice(pids), signal.SIGKILL)
            killed[kind] = killed.get(kind, 0) + 1
        time.sleep(1.5)
        for c in clients:
            c.stop = True
        for t in threads:
            t.join()
        for c in clients:
            c.stop = False
            if not c.connect():
                c.fault("no login at the end")
        done, lost = sum(c.done for c in clients), sum(c.lost for c in clients)
        faults = sum(len(c.faults) for c in clients)
    print("seed %s: killed %s; %d commands done, %d connections lost, %d faults" % (
        opt.seed, " ".join("%s %d" % k for k in sorted(killed.items())), done, lost, faults))
    good = faults == 0 and done > 50 * CLIENTS and lost >= CLIENTS
    print("%d passed, %d failed" % (good, not good))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
