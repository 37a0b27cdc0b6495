#!/usr/bin/python3
"""kill_imap - kill -9 of processes while IMAP clients change their mailboxes, then look at what is there.

    kill_imap.py BUILD [--kills N] [--seed N]

Each client has an account of its own and knows what must be in it: which mailboxes, directories and
subscriptions; in a mailbox which messages, in which order, with which flags. Whatever it was doing when its
connection ended (APPEND of several messages, STORE, COPY, MOVE, EXPUNGE, CREATE, DELETE, RENAME, also of
INBOX, SUBSCRIBE, UNSUBSCRIBE) must have happened as a whole or not at all; whatever was answered OK must have
happened. LIST, LSUB, STATUS and the messages themselves say so. A uid never means another message. Envelope, structure
and a search by subject fit each message, too, also of copies, which share them: in the second half those of two messages do.
"""
import argparse
import collections
import os
import random
import re
import signal
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import below  # noqa: E402
import kill_tree  # noqa: E402
import suite  # noqa: E402

FLAGS = ("\\Seen", "\\Flagged", "\\Deleted", "one", "two")
KINDS = ("stored", "stored", "stored", "imap", "imap child", "authd", "routerd", "authd-worker", "logd")
CLIENTS = 6
FACTS = re.compile(r'\* \d+ FETCH \(UID (\d+) ENVELOPE \(\S+ "([^"]*)" .*BODYSTRUCTURE \(.* (\d+) (\d+) NIL NIL NIL NIL\)', re.I)
VERBS = {"APPEND", "STORE", "COPY", "MOVE", "EXPUNGE", "CREATE", "DELETE", "RENAME", "SUBSCRIBE", "UNSUBSCRIBE"}


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


def lines_of(number):
    return random.Random(number).choice((1, 50, 4000))


def message(number):
    return b"X-Id: %d\r\nSubject: message %d\r\n\r\n" % (number, number) + b"text \xff\r\n" * lines_of(number)


class Client(kill_tree.TreeActs):
    """Mailboxes as lists of [id, flags]; `maybe` is what all is if the command in flight happened."""

    def __init__(self, port, number, seed):
        self.port, self.user = port, "u%d" % number
        self.rng = random.Random("imap %s %d" % (seed, number))
        self.boxes, self.subs = {"INBOX": []}, frozenset()
        self.maybe = None
        self.next = number * 1000000
        self.uids = {}  # (uidvalidity, uid) -> id
        self.faults, self.done, self.lost = [], {}, 0
        self.stop = False
        self.conn = None

    def fault(self, text):
        self.faults.append("%s: %s" % (self.user, text))
        print("    FAULT: " + self.faults[-1], flush=True)

    def read(self, name):
        validity = None
        for line in self.conn.ok("SELECT " + name):
            m = re.match(r"\* OK \[UIDVALIDITY (\d+)\]", line)
            validity = m[1] if m else validity
        found = []
        uid = flags = None
        for line in self.conn.ok("UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (X-Id)])"):
            m = re.match(r"\* \d+ FETCH \(UID (\d+) FLAGS \(([^)]*)\)", line)
            if m:
                uid, flags = int(m[1]), frozenset(m[2].split()) - {"\\Recent"}
            m = re.match(r"X-Id: (\d+)", line)
            if m:
                found.append([int(m[1]), flags])
                if self.uids.setdefault((validity, uid), int(m[1])) != int(m[1]):
                    self.fault("uid %d of %s means another message" % (uid, name))
        told = self.conn.ok("STATUS %s (MESSAGES)" % name)
        if not any("(MESSAGES %d)" % len(found) in line for line in told):
            self.fault("%s: %d messages, and %s" % (name, len(found), told))
        if found:
            self.facts(name, [number for number, _ in found])
        return found

    def facts(self, name, ids):
        """What is said of the messages without their bytes; the mailbox is selected."""
        found = {}
        for line in self.conn.ok("UID FETCH 1:* (ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (X-Id)])"):
            m = FACTS.match(line)
            if m:
                told, uid = (m[2], int(m[3]), int(m[4])), int(m[1])
            m = re.match(r"X-Id: (\d+)", line)
            if m:
                number = found[uid] = int(m[1])
                want = ("message %d" % number, 8 * lines_of(number), lines_of(number))
                if told != want:
                    self.fault("uid %d of %s is said to be %r, and is %r" % (uid, name, told, want))
        if sorted(found.values()) != sorted(ids):
            self.fault("%s has %r by its facts, not %r" % (name, sorted(found.values()), sorted(ids)))
        for number in self.rng.sample(sorted(set(found.values())), min(1, len(set(found.values())))):
            line = [one for one in self.conn.ok('UID SEARCH SUBJECT "message %d"' % number) if one.startswith("* SEARCH")]
            there = sorted(int(w) for w in line[0].split()[2:]) if line else []
            if there != sorted(uid for uid, one in found.items() if one == number):
                self.fault("a search for %d in %s finds %r of %r" % (number, name, there, found))

    def look(self):
        """All there is: (mailboxes and directories, subscriptions)."""
        listed = kill_tree.names(self.conn.ok('LIST "" *'))
        boxes = {name: None if "\\Noselect" in how else self.read(name) for name, how in listed.items()}
        return boxes, frozenset(kill_tree.names(self.conn.ok('LSUB "" *'))) - {"barrier"}

    def check(self):
        """Looks, and takes what is there for what must be there from now on."""
        there = self.look()
        if there != (self.boxes, self.subs) and (self.maybe is None or there != self.maybe):
            self.fault("%s: is %r, must be %r%s" % (
                self.what, there, (self.boxes, self.subs), "" if self.maybe is None else " or %r" % (self.maybe,)))
        (self.boxes, self.subs), self.maybe = there, None

    def run(self, text, after):
        """A command that turns all there is into `after` if it is answered OK."""
        self.maybe, self.what = after, text[:80]
        word, lines = self.conn.command(text)
        if word == "NO" and "UNAVAILABLE" in lines[-1]:
            raise Lost(lines[-1])  # nobody knows whether it happened
        if word == "OK":
            self.boxes, self.subs = after
            verb = (text if isinstance(text, str) else text.decode("latin-1")).split()[0]
            self.done[verb] = self.done.get(verb, 0) + 1
        else:
            self.fault("%r was answered %s" % (text[:80], lines[-1]))
        self.maybe = None

    def copy_of(self):
        return {name: None if box is None else [list(m) for m in box] for name, box in self.boxes.items()}, self.subs

    def append(self):
        (after, subs), text = self.copy_of(), b"APPEND INBOX"
        for _ in range(self.rng.choice((1, 1, 3))):
            flags = self.rng.sample(FLAGS, self.rng.randrange(3))
            body = message(self.next)
            text += b" (%s) {%d+}\r\n" % (" ".join(flags).encode(), len(body)) + body
            after["INBOX"].append([self.next, frozenset(flags)])
            self.next += 1
        self.run(text, (after, subs))

    def numbers(self):
        box = self.boxes["INBOX"]
        some = sorted(self.rng.sample(range(len(box)), self.rng.randrange(1, len(box) + 1)))
        return some, ",".join(str(i + 1) for i in some)

    def store(self):
        some, numbers = self.numbers()
        flag, add = self.rng.choice(FLAGS), self.rng.random() < 0.6
        after, subs = self.copy_of()
        for i in some:
            old = after["INBOX"][i][1]
            after["INBOX"][i][1] = old | {flag} if add else old - {flag}
        self.run("STORE %s %sFLAGS.SILENT (%s)" % (numbers, "+" if add else "-", flag), (after, subs))

    def copy(self, move=False):
        some, numbers = self.numbers()
        after, subs = self.copy_of()
        after["Other"] += [list(after["INBOX"][i]) for i in some]
        if move:
            after["INBOX"] = [m for i, m in enumerate(after["INBOX"]) if i not in some]
        self.run("%s %s Other" % ("MOVE" if move else "COPY", numbers), (after, subs))

    def expunge(self):
        after, subs = self.copy_of()
        after["INBOX"] = [m for m in after["INBOX"] if "\\Deleted" not in m[1]]
        self.run("EXPUNGE", (after, subs))

    def act(self):
        if self.rng.random() < 0.4:
            self.rng.choice((self.create, self.delete, self.rename, self.rename_inbox, self.subscribe))()
        elif not self.boxes["INBOX"]:
            self.append()
        else:
            self.rng.choice((self.append, self.store, self.store, self.copy, lambda: self.copy(True), self.expunge))()
        if sum(len(box or ()) for box in self.boxes.values()) > 60:
            self.trim()

    def trim(self):
        """Deletes or empties all mailboxes, in steps that happen as a whole each."""
        while self.moving():
            self.delete()
        for name in kill_tree.FIXED:
            self.conn.ok("SELECT " + name)
            if not self.boxes[name]:
                continue
            marked, subs = self.copy_of()
            for m in marked[name]:
                m[1] = m[1] | {"\\Deleted"}
            self.run("STORE 1:* +FLAGS.SILENT (\\Deleted)", (marked, subs))
            emptied, subs = self.copy_of()
            self.run("EXPUNGE", (dict(emptied, **{name: []}), subs))
        self.conn.ok("SELECT INBOX")

    def connect(self):
        while not self.stop:
            try:
                self.conn = Conn(self.port, self.user)
                # What the connection before left under way is committed before these are.
                self.conn.ok("SUBSCRIBE barrier")
                self.conn.ok("UNSUBSCRIBE barrier")
                self.check()
                if "Other" not in self.boxes:
                    boxes, subs = self.copy_of()
                    self.run("CREATE Other", (dict(boxes, Other=[]), subs))
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
    with below.Below(opt.build, 25700, accounts=CLIENTS, hash="plain") as s:
        clients = [Client(143 + s.offset, i + 1, opt.seed) for i in range(CLIENTS)]
        threads = [threading.Thread(target=c.work) for c in clients]
        for t in threads:
            t.start()
        killed = {}
        for k in range(opt.kills):
            if k == opt.kills // 2:
                s.use(s.small_files())
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
        done, lost = collections.Counter(), sum(c.lost for c in clients)
        for c in clients:
            done.update(c.done)
        faults = sum(len(c.faults) for c in clients)
    print("done: " + " ".join("%s %d" % k for k in sorted(done.items())))
    print("seed %s: killed %s; %d commands done, %d connections lost, %d faults" % (
        opt.seed, " ".join("%s %d" % k for k in sorted(killed.items())), sum(done.values()), lost, faults))
    good = faults == 0 and sum(done.values()) > 50 * CLIENTS and lost >= CLIENTS and set(done) == VERBS
    print("%d passed, %d failed" % (good, not good))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
