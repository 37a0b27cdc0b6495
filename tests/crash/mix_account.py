"""One account under every kind of work, by one client that knows what must be in it.

What was answered OK has happened; what was in flight when a connection ended has happened as a whole or not
at all. Whoever else looks (Witness) writes down what it was shown: no uid, flag or mod-sequence that anybody
was ever shown is taken back by a restart.
"""
import random
import re
import threading

import kill_imap
import suite
from kill_imap import Lost

FLAGS = ("\\Seen", "\\Flagged", "\\Deleted", "one", "two")
ROW = re.compile(r"\* (\d+) FETCH \((.*)$")
SECOND = ("Other", "Moved/Here")


def parse(line):
    """(uid, flags, modseq) of a FETCH line, with None for what it does not say; None for other lines."""
    m = ROW.match(line)
    if not m:
        return None
    uid, flags, modseq = re.search(r"\bUID (\d+)", m[2]), re.search(r"FLAGS \(([^)]*)\)", m[2]), re.search(r"MODSEQ \((\d+)\)", m[2])
    return (uid and int(uid[1]), flags and frozenset(flags[1].split()) - {"\\Recent"}, modseq and int(modseq[1]))


class Shown:
    """What anybody was shown of the mailboxes of an account, by uidvalidity. Grows only."""

    def __init__(self, fault):
        self.fault, self.lock = fault, threading.Lock()
        self.uidnext, self.highest = {}, {}
        self.rows = {}   # (uidvalidity, uid) -> (modseq, flags): the newest
        self.ids = {}    # (uidvalidity, uid) -> id of the message

    def row(self, validity, uid, flags, modseq):
        with self.lock:
            old = self.rows.get((validity, uid))
            if old and modseq == old[0] and flags != old[1]:
                self.fault("uid %d at mod-sequence %d has flags %s and %s" % (uid, modseq, sorted(old[1]), sorted(flags)))
            if not old or modseq > old[0]:
                self.rows[validity, uid] = (modseq, flags)
            self.uidnext[validity] = max(self.uidnext.get(validity, 0), uid + 1)
            self.highest[validity] = max(self.highest.get(validity, 0), modseq)

    def message(self, validity, uid, number):
        with self.lock:
            if self.ids.setdefault((validity, uid), number) != number:
                self.fault("uid %d means message %d, and meant %d" % (uid, number, self.ids[validity, uid]))


class Reader:
    """Selects and reads whole mailboxes on a connection, and says what it was shown."""

    def __init__(self, port, user, shown):
        self.conn, self.shown = kill_imap.Conn(port, user), shown
        self.conn.ok("ENABLE CONDSTORE")

    def select(self, name):
        values = {}
        for line in self.conn.ok('SELECT "%s"' % name):
            m = re.match(r"\* OK \[(UIDVALIDITY|UIDNEXT|HIGHESTMODSEQ) (\d+)\]", line)
            if m:
                values[m[1]] = int(m[2])
        self.validity = values["UIDVALIDITY"]
        return values

    def fetch(self, what):
        """{uid: (flags, modseq, id)} of UID FETCH."""
        found, last = {}, None
        for line in self.conn.ok("UID FETCH %s (FLAGS MODSEQ BODY.PEEK[HEADER.FIELDS (X-Id)])" % what):
            row = parse(line)
            if row and None not in row:
                last = row
            m = re.match(r"X-Id: (\d+)", line)
            if m and last:
                uid, flags, modseq = last
                found[uid] = (flags, modseq, int(m[1]))
                self.shown.row(self.validity, uid, flags, modseq)
                self.shown.message(self.validity, uid, int(m[1]))
        return found


class Account:
    def __init__(self, s, name, seed):
        self.s, self.name = s, name
        self.rng = random.Random("mix %s %s" % (seed, name))
        self.second = SECOND[0]
        self.boxes = {"INBOX": [], self.second: []}      # [(id, flags)] in no order
        self.lost = {"INBOX": [], self.second: []}       # what can be restored
        self.maybe = None                                 # (boxes, lost, second) if what was in flight has happened
        self.what = "nothing"
        self.faults, self.done = [], 0
        self.shown = Shown(self.fault)
        self.removed = {}                                 # uidvalidity -> ids that something was told to remove
        self.next = int(name[1:]) * 1000000
        self.reader = None

    def fault(self, text):
        self.faults.append("%s: %s" % (self.name, text))
        print("    FAULT: " + self.faults[-1], flush=True)

    # ---- looking ----

    def connect(self):
        if self.reader is None:
            self.reader = Reader(self.s.port(143), self.name, self.shown)

    def prepare(self):
        self.connect()
        self.reader.conn.ok("CREATE " + self.second)
        self.check()

    def second_now(self):
        names = [line.replace('"', "") for line in self.reader.conn.ok('LIST "" "*"')]
        return [name for name in SECOND if any(line.endswith(" " + name) for line in names)]

    def check(self):
        """Reads all; it must be as it was to be, with or without what was in flight."""
        self.connect()
        names = self.second_now()
        if len(names) != 1:
            self.fault("%s: the second mailbox is %s" % (self.what, names))
            return
        name, there = names[0], {}
        for box in ("INBOX", name):
            # Shown before this look began: what others are shown meanwhile is newer than it.
            with self.shown.lock:
                before, ids = dict(self.shown.rows), dict(self.shown.ids)
                uidnext, highest = dict(self.shown.uidnext), dict(self.shown.highest)
            values = self.reader.select(box)
            v = values["UIDVALIDITY"]
            rows = self.reader.fetch("1:*") if values["UIDNEXT"] > 1 else {}
            there[box] = sorted((number, tuple(sorted(flags))) for flags, _, number in rows.values())
            if values["UIDNEXT"] < uidnext.get(v, 0) or values["HIGHESTMODSEQ"] < highest.get(v, 0):
                self.fault("%s went back: %s, was %d %d" % (box, values, uidnext.get(v, 0), highest.get(v, 0)))
            for (validity, uid), (modseq, flags) in before.items():
                if validity != v:
                    continue
                if uid not in rows:
                    if ids.get((v, uid)) not in self.removed.setdefault(v, set()):
                        self.fault("uid %d of %s was shown and has gone" % (uid, box))
                elif rows[uid][1] < modseq:
                    self.fault("uid %d of %s: mod-sequence %d was shown, is %d" % (uid, box, modseq, rows[uid][1]))
        recoverable = self.recoverable()
        for state in (self.state(), self.maybe):
            if state and state[2] == name and self.same(state[0], there) and len(state[1]["INBOX"]) == recoverable:
                self.boxes, self.lost, self.second = state
                break
        else:
            self.fault("%s: is %r and %d recoverable, must be %r%s" % (
                self.what, there, recoverable, self.state(), " or %r" % (self.maybe,) if self.maybe else ""))
            self.lost["INBOX"] = self.lost["INBOX"][:recoverable]
            self.boxes, self.second = {b: [(n, frozenset(f)) for n, f in rows] for b, rows in there.items()}, name
        self.maybe = None
        self.reader.select("INBOX")
        self.view = self.uids_in_view()

    def recoverable(self):
        """How many messages of INBOX can be restored."""
        try:
            with suite.Line(self.s.admin) as line:
                line.want(None, "200 ")
                answer = line.ask('CountRecoverable %s {Mailbox="INBOX";}' % self.name)
                figures = line.line() if answer and answer.startswith("200 ") else None
        except (OSError, suite.Failed) as e:
            raise Lost(str(e)) from None
        if not figures:
            raise Lost("no answer")
        return int(re.search(r"Messages=#?(\d+)", figures)[1])

    @staticmethod
    def same(boxes, there):
        return all(sorted((n, tuple(sorted(f))) for n, f in boxes.get(b, ())) == rows for b, rows in there.items())

    def uids_in_view(self):
        return [(uid, number) for uid, (_, _, number) in sorted(self.reader.fetch("1:*").items())] if self.boxes["INBOX"] else []

    # ---- doing ----

    def state(self):
        return {b: list(v) for b, v in self.boxes.items()}, {b: list(v) for b, v in self.lost.items()}, self.second

    def run(self, text, after):
        self.maybe, self.what = after, str(text)[:60]
        word, lines = self.reader.conn.command(text)
        if word == "OK":
            self.boxes, self.lost, self.second = after
            self.maybe = None
            self.done += 1
        elif not re.search("UNAVAILABLE|OVERQUOTA|LIMIT|SERVERBUG", lines[-1]):
            self.fault("%r was answered %s" % (self.what, lines[-1]))
        return word == "OK"

    def make(self):
        self.next += 1
        return self.next, b"X-Id: %d\r\nSubject: %d\r\n\r\n" % (self.next, self.next) + b"text \xff\r\n" * self.rng.choice((1, 40, 900))

    def append(self):
        after, text = self.state(), b"APPEND INBOX"
        for _ in range(self.rng.choice((1, 1, 3))):
            flags = self.rng.sample(FLAGS, self.rng.randrange(3))
            number, body = self.make()
            text += b" (%s) {%d+}\r\n" % (" ".join(flags).encode(), len(body)) + body
            after[0]["INBOX"].append((number, frozenset(flags)))
        self.run(text, after)

    def some(self):
        """A few messages of INBOX: their uids as text, their ids."""
        picked = self.rng.sample(self.view, self.rng.randrange(1, 1 + min(4, len(self.view))))
        return ",".join(str(uid) for uid, _ in picked), {number for _, number in picked}

    def flag(self):
        uids, ids = self.some()
        flag, add = self.rng.choice(FLAGS), self.rng.random() < 0.6
        after = self.state()
        after[0]["INBOX"] = [(n, (f | {flag} if add else f - {flag}) if n in ids else f) for n, f in after[0]["INBOX"]]
        self.run("UID STORE %s %sFLAGS.SILENT (%s)" % (uids, "+" if add else "-", flag), after)

    def copy(self, move=False):
        uids, ids = self.some()
        after = self.state()
        after[0][self.second] += [(n, f) for n, f in after[0]["INBOX"] if n in ids]
        if move:
            after[0]["INBOX"] = [m for m in after[0]["INBOX"] if m[0] not in ids]
            self.removed.setdefault(self.reader.validity, set()).update(ids)
        self.run('UID %s %s "%s"' % ("MOVE" if move else "COPY", uids, self.second), after)

    def move(self):
        self.copy(True)

    def expunge(self, box="INBOX"):
        after = self.state()
        gone = [m for m in after[0][box] if "\\Deleted" in m[1]]
        after[0][box] = [m for m in after[0][box] if "\\Deleted" not in m[1]]
        after[1][box] += [(n, f - {"\\Deleted"}) for n, f in gone]
        self.removed.setdefault(self.reader.validity, set()).update(n for n, _ in gone)
        self.run("EXPUNGE", after)

    def trim(self):
        """Empties the second mailbox, in steps that are whole each."""
        self.reader.select(self.second)
        after = self.state()
        after[0][self.second] = [(n, f | {"\\Deleted"}) for n, f in after[0][self.second]]
        if self.run("UID STORE 1:* +FLAGS.SILENT (\\Deleted)", after):
            self.expunge(self.second)
        self.reader.select("INBOX")

    def rename(self):
        new = SECOND[1 - SECOND.index(self.second)]
        after = self.state()
        for part in after[:2]:
            part[new] = part.pop(self.second)
        self.run('RENAME "%s" "%s"' % (self.second, new), (after[0], after[1], new))

    def admin(self, verb, after):
        self.maybe, self.what = after, verb
        try:
            with suite.Line(self.s.admin) as line:
                line.want(None, "200 ")
                answer = line.ask("%s %s {Mailbox=\"%s\";}" % (verb, self.name, "INBOX"))
        except (OSError, suite.Failed) as e:
            raise Lost(str(e)) from None
        if answer is None:
            raise Lost("closed")
        if answer.startswith("200 "):
            self.boxes, self.lost, self.second = after
            self.maybe = None
            self.done += 1

    def restore(self):
        after = self.state()
        after[0]["INBOX"] += after[1]["INBOX"]
        after[1]["INBOX"] = []
        self.admin("RestoreMessages", after)

    def purge(self):
        after = self.state()
        after[1]["INBOX"] = []
        self.admin("PurgeMessages", after)

    def deliver(self):
        after = self.state()
        number, body = self.make()
        after[0]["INBOX"].append((number, frozenset()))
        self.maybe, self.what = after, "a delivery"
        try:
            with self.s.lmtp() as l:
                code, _ = l.data([self.name + "@" + suite.DOMAIN], body)[0]
        except (OSError, suite.Failed) as e:
            raise Lost(str(e)) from None
        if code == 250:
            self.boxes, self.lost, self.second = after
            self.maybe = None
            self.done += 1

    def act(self):
        """One operation; then INBOX is read, unless all is well known."""
        if self.maybe is not None:
            self.check()
        if len(self.boxes[self.second]) > 12:
            self.trim()
        elif len(self.boxes["INBOX"]) > 14:
            self.expunge() if any("\\Deleted" in f for _, f in self.boxes["INBOX"]) else self.move()
        elif not self.view:
            self.rng.choice((self.append, self.deliver, self.restore))()
        else:
            self.rng.choice((self.append, self.deliver, self.deliver, self.flag, self.flag, self.copy, self.move, self.expunge,
                             self.rename, self.restore, self.purge))()
        if self.maybe is None:
            self.view = self.uids_in_view()

    def drop(self):
        if self.reader:
            self.reader.conn.close()
        self.reader = None
