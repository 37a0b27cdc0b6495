"""One account under every kind of work, by one client that knows what must be in it.

What was answered OK has happened; what was in flight when a connection ended has happened as a whole or not
at all. Whoever else looks (Witness) writes down what it was shown: no uid, flag or mod-sequence that anybody
was ever shown is taken back by a restart.
"""
import collections
import hashlib
import random
import re
import threading

import kill_imap
import kill_tree
import suite
from kill_imap import Lost

# More keywords than a message's row has bits for: the others are numbers behind it.
FLAGS, MANY = ("\\Seen", "\\Flagged", "\\Deleted", "one", "two"), tuple("k%d" % i for i in range(80))
ROW = re.compile(r"\* (\d+) FETCH \((.*)$")


def parse(line):
    """(uid, flags, modseq) of a FETCH line, with None for what it does not say; None for other lines."""
    m = ROW.match(line)
    if not m:
        return None
    uid, flags, modseq = re.search(r"\bUID (\d+)", m[2]), re.search(r"FLAGS \(([^)]*)\)", m[2]), re.search(r"MODSEQ \((\d+)\)", m[2])
    return (uid and int(uid[1]), flags and frozenset(flags[1].split()) - {"\\Recent"}, modseq and int(modseq[1]))


def told(state):
    """What a look at (boxes, subscriptions) tells; which messages of other mailboxes can be restored only salvage and the engine know."""
    boxes, subs = state
    return ({b: None if v is None else sorted((n, tuple(sorted(f))) for n, f, lost in v if not lost) for b, v in boxes.items()},
            subs, sum(1 for m in boxes["INBOX"] if m[2]))


class Shown:
    """What anybody was shown of the mailboxes of an account, by uidvalidity. Grows only."""

    def __init__(self, fault):
        self.fault, self.lock = fault, threading.Lock()
        self.uidnext, self.highest = {}, {}
        self.rows = {}   # (uidvalidity, uid) -> (modseq, flags): the newest
        self.ids = {}    # (uidvalidity, uid) -> id of the message
        self.threads = {}  # id of the message -> id of its thread

    def row(self, validity, uid, flags, modseq):
        with self.lock:
            old = self.rows.get((validity, uid))
            if old and modseq == old[0] and flags != old[1]:
                self.fault("uid %d at mod-sequence %d has flags %s and %s" % (uid, modseq, sorted(old[1]), sorted(flags)))
            if not old or modseq > old[0]:
                self.rows[validity, uid] = (modseq, flags)
            self.uidnext[validity] = max(self.uidnext.get(validity, 0), uid + 1)
            self.highest[validity] = max(self.highest.get(validity, 0), modseq)

    def message(self, validity, uid, number, thread):
        with self.lock:
            if self.threads.setdefault(number, thread) != thread:
                self.fault("message %d is of thread %s, and was of %s" % (number, thread, self.threads[number]))
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
        for line in self.conn.ok("UID FETCH %s (FLAGS MODSEQ THREADID BODY.PEEK[HEADER.FIELDS (X-Id)])" % what):
            row = parse(line)
            if row and None not in row:
                last, thread = row, re.search(r"THREADID (\(\S+\)|NIL)", line)
            m = re.match(r"X-Id: (\d+)", line)
            if m and last:
                uid, flags, modseq = last
                found[uid] = (flags, modseq, int(m[1]))
                self.shown.row(self.validity, uid, flags, modseq)
                self.shown.message(self.validity, uid, int(m[1]), thread and thread[1])
        return found


class Sink:
    """An account into which the others' mail is moved; nobody works on it."""

    def __init__(self, name):
        self.name, self.lock = name, threading.Lock()
        self.ids = collections.Counter()

    def add(self, ids):
        with self.lock:
            self.ids.update(ids)

    def differs(self, port):
        """Each is there as often as it was moved; or what is wrong."""
        conn, found = kill_imap.Conn(port, self.name), collections.Counter()
        if "* 0 EXISTS" not in conn.ok("SELECT INBOX"):
            found.update(int(m[1]) for m in map(re.compile(r"X-Id: (\d+)").match,
                                                conn.ok("UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (X-Id)])")) if m)
        conn.close()
        return None if found == self.ids else "%s lacks %s and has %s besides" % (self.name, self.ids - found, found - self.ids)


class Account(kill_tree.TreeActs):
    def __init__(self, s, name, seed, sinks=()):
        self.s, self.name, self.sinks = s, name, sinks
        self.crossing = None                              # (sink, ids) of what is in flight
        self.rng = random.Random("mix %s %s" % (seed, name))
        self.second = "Other"
        self.boxes = {"INBOX": []}                        # [(id, flags, can only be restored)] in no order; None: holds others only
        self.subs = frozenset()
        self.maybe = None                                 # (boxes, subs) if what was in flight has happened
        self.what = "nothing"
        self.faults, self.done = [], 0
        self.shown = Shown(self.fault)
        self.removed = {}                                 # uidvalidity -> ids that something was told to remove
        self.next = int(name[1:]) * 1000000
        self.sums, self.roots = {}, {}                    # id -> of its bytes; id -> that of the first of its thread
        self.big = 0.01                                   # share of messages that get a file of their own
        self.reader = None

    def fault(self, text):
        self.faults.append("%s: %s" % (self.name, text))
        print("    FAULT: " + self.faults[-1], flush=True)

    # ---- looking ----

    def connect(self):
        if self.reader is None:
            self.reader = Reader(self.s.port(143), self.name, self.shown)

    def prepare(self):
        self.check()
        self.run("CREATE " + self.second, (dict(self.boxes, **{self.second: []}), self.subs))

    def read(self, box):
        """What is in a mailbox; nothing that was shown is taken back."""
        # Shown before this look began: what others are shown meanwhile is newer than it.
        with self.shown.lock:
            before, ids = dict(self.shown.rows), dict(self.shown.ids)
            uidnext, highest = dict(self.shown.uidnext), dict(self.shown.highest)
        values = self.reader.select(box)
        v = values["UIDVALIDITY"]
        rows = self.reader.fetch("1:*") if values["UIDNEXT"] > 1 else {}
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
        return sorted((number, tuple(sorted(flags))) for flags, _, number in rows.values())

    def look(self):
        """({mailbox: messages; None: a name that only holds others}, subscriptions, how many of INBOX can be restored)."""
        listed = kill_tree.names(self.reader.conn.ok('LIST "" *'))
        there = {name: None if "\\Noselect" in how else self.read(name) for name, how in listed.items()}
        return there, frozenset(kill_tree.names(self.reader.conn.ok('LSUB "" *'))), self.recoverable()

    def check(self):
        """Reads all; it must be as it was to be, with or without what was in flight."""
        self.connect()
        there = self.look()
        for state in (self.state(), self.maybe):
            if state and told(state) == there:
                self.boxes, self.subs = state
                if state is self.maybe and self.crossing:
                    self.crossing[0].add(self.crossing[1])
                break
        else:
            self.fault("%s: is %r, must be %r%s" % (
                self.what, there, told(self.state()), " or %r" % (told(self.maybe),) if self.maybe else ""))
            lost = [m for m in self.boxes["INBOX"] if m[2]][:there[2]]
            self.boxes = {b: None if rows is None else [(n, frozenset(f), False) for n, f in rows] for b, rows in there[0].items()}
            self.boxes["INBOX"] += lost
            self.subs = there[1]
        self.maybe = self.crossing = None
        self.check_threads()
        self.reader.select("INBOX")
        self.view = self.uids_in_view()

    def check_threads(self):
        """Who answers is in the thread of the first, and nobody else."""
        seen = {}
        with self.shown.lock:
            threads = dict(self.shown.threads)
        for number, thread in threads.items():
            if seen.setdefault(self.roots[number], thread) != thread or thread in (None, "NIL"):
                self.fault("message %d is of thread %s, the first of them of %s" % (number, thread, seen[self.roots[number]]))
        if len(set(seen.values())) < len(seen):
            self.fault("strangers share a thread")

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

    def there(self, box):
        """Its messages, without those that can only be restored."""
        return [m for m in self.boxes[box] if not m[2]]

    def uids_in_view(self):
        return [(uid, number) for uid, (_, _, number) in sorted(self.reader.fetch("1:*").items())] if self.there("INBOX") else []

    # ---- doing ----

    def snapshot(self):
        """What was shown until now, as look.differs() takes it."""
        shown = self.shown
        with shown.lock:
            return dict(shown.uidnext), dict(shown.highest), dict(shown.rows), dict(shown.ids)

    def copy_of(self):
        return {b: None if v is None else list(v) for b, v in self.boxes.items()}, self.subs

    state = copy_of

    def begin(self, what, after):
        self.maybe, self.what = after, what

    def happened(self):
        (self.boxes, self.subs), self.maybe = self.maybe, None
        self.done += 1

    def run(self, text, after):
        self.begin(str(text)[:60], after)
        word, lines = self.reader.conn.command(text)
        if word == "OK":
            self.happened()
        elif not re.search("UNAVAILABLE|OVERQUOTA|LIMIT|SERVERBUG", lines[-1]):
            self.fault("%r was answered %s" % (self.what, lines[-1]))
        return word == "OK"

    def make(self, large=False):
        """(id, bytes) of a message. Some are parted in the store, a few (`large`: this one) have a file of their own; some are answers."""
        self.next += 1
        number, draw = self.next, 0 if large else self.rng.random()
        root = self.rng.choice(sorted(self.roots.values())[-20:]) if self.roots and self.rng.random() < 0.3 else number
        self.roots[number] = root
        head = b"X-Id: %d\r\nSubject: %d\r\nMessage-ID: <%d@mix.example>\r\n" % (number, number, number)
        if root != number:
            head += b"References: <%d@mix.example>\r\n" % root
        if draw > self.big + 0.06:
            text = b"text \xff\r\n" * self.rng.choice((1, 40, 900))
        else:
            lines = 18000 if large or draw < self.big else 700
            text = b"".join(b"%s\r\n" % self.rng.randbytes(36).hex().encode() for _ in range(lines))
        self.sums[number] = hashlib.sha256(head + b"\r\n" + text).hexdigest()
        return number, head + b"\r\n" + text

    def keyword(self):
        return self.rng.choice(MANY if self.rng.random() < 0.2 else FLAGS)

    def append(self):
        after, text = self.state(), b"APPEND INBOX"
        for _ in range(self.rng.choice((1, 1, 3))):
            flags = sorted({self.keyword() for _ in range(self.rng.randrange(3))})
            number, body = self.make()
            text += b" (%s) {%d+}\r\n" % (" ".join(flags).encode(), len(body)) + body
            after[0]["INBOX"].append((number, frozenset(flags), False))
        self.run(text, after)

    def some(self):
        """A few messages of INBOX: their uids as text, their ids."""
        picked = self.rng.sample(self.view, self.rng.randrange(1, 1 + min(4, len(self.view))))
        return ",".join(str(uid) for uid, _ in picked), {number for _, number in picked}

    def flag(self):
        uids, ids = self.some()
        flag, add = self.keyword(), self.rng.random() < 0.6
        after = self.state()
        after[0]["INBOX"] = [(n, (f | {flag} if add else f - {flag}) if n in ids and not lost else f, lost)
                             for n, f, lost in after[0]["INBOX"]]
        self.run("UID STORE %s %sFLAGS.SILENT (%s)" % (uids, "+" if add else "-", flag), after)

    def copy(self, move=False):
        uids, ids = self.some()
        to = self.rng.choice([self.second] + [b for b in sorted(self.moving()) if self.boxes[b] is not None])
        after = self.state()
        after[0][to] += [m for m in after[0]["INBOX"] if m[0] in ids and not m[2]]
        if move:
            after[0]["INBOX"] = [m for m in after[0]["INBOX"] if m[0] not in ids or m[2]]
            self.removed.setdefault(self.reader.validity, set()).update(ids)
        self.run('UID %s %s "%s"' % ("MOVE" if move else "COPY", uids, to), after)

    def move(self):
        self.copy(True)

    def cross(self):
        """Into another account, by somebody who may use both; here they can be restored from then on."""
        uids, ids = self.some()
        sink, after = self.rng.choice(self.sinks), self.state()
        gone = [m[0] for m in after[0]["INBOX"] if m[0] in ids and not m[2]]
        after[0]["INBOX"] = [(n, f - {"\\Deleted"}, True) if n in ids and not lost else (n, f, lost) for n, f, lost in after[0]["INBOX"]]
        self.removed.setdefault(self.reader.validity, set()).update(ids)
        conn = kill_imap.Conn(self.s.port(143), "postmaster")
        try:
            conn.ok('SELECT "~%s/INBOX"' % self.name)
            self.begin("MOVE %s to %s" % (uids, sink.name), after)
            self.crossing = (sink, gone)
            word, lines = conn.command('UID MOVE %s "~%s/INBOX"' % (uids, sink.name))
        finally:
            conn.close()
        if word == "OK":
            sink.add(gone)
            self.crossing = None
            self.happened()
        elif not re.search("UNAVAILABLE|OVERQUOTA|LIMIT|SERVERBUG", lines[-1]):
            self.fault("%r was answered %s" % (self.what, lines[-1]))
        self.reader.select("INBOX")

    def expunge(self, box="INBOX"):
        after = self.state()
        gone = [m for m in after[0][box] if "\\Deleted" in m[1] and not m[2]]
        after[0][box] = [m if m[2] or "\\Deleted" not in m[1] else (m[0], m[1] - {"\\Deleted"}, True) for m in after[0][box]]
        self.removed.setdefault(self.reader.validity, set()).update(m[0] for m in gone)
        self.run("EXPUNGE", after)

    def trim(self):
        """Empties the second mailbox, in steps that are whole each, and deletes those that come and go."""
        self.reader.select(self.second)
        after = self.state()
        after[0][self.second] = [m if m[2] else (m[0], m[1] | {"\\Deleted"}, False) for m in after[0][self.second]]
        if self.run("UID STORE 1:* +FLAGS.SILENT (\\Deleted)", after):
            self.expunge(self.second)
        self.reader.select("INBOX")
        while self.maybe is None and self.moving():
            self.delete()

    def admin(self, verb, after):
        self.begin(verb, after)
        try:
            with suite.Line(self.s.admin) as line:
                line.want(None, "200 ")
                answer = line.ask("%s %s {Mailbox=\"%s\";}" % (verb, self.name, "INBOX"))
        except (OSError, suite.Failed) as e:
            raise Lost(str(e)) from None
        if answer is None:
            raise Lost("closed")
        if answer.startswith("200 "):
            self.happened()

    def restore(self):
        after = self.state()
        after[0]["INBOX"] = [(n, f, False) for n, f, _ in after[0]["INBOX"]]
        self.admin("RestoreMessages", after)

    def purge(self):
        after = self.state()
        after[0]["INBOX"] = [m for m in after[0]["INBOX"] if not m[2]]
        self.admin("PurgeMessages", after)

    def deliver(self):
        after = self.state()
        number, body = self.make()
        after[0]["INBOX"].append((number, frozenset(), False))
        self.begin("a delivery", after)
        try:
            with self.s.lmtp() as l:
                code, _ = l.data([self.name + "@" + suite.DOMAIN], body)[0]
        except (OSError, suite.Failed) as e:
            raise Lost(str(e)) from None
        if code == 250:
            self.happened()

    def act(self):
        """One operation; then INBOX is read, unless all is well known."""
        if self.maybe is not None:
            self.check()
        if sum(len(self.there(b)) for b in self.boxes if b != "INBOX" and self.boxes[b]) > 12:
            self.trim()
        elif len(self.there("INBOX")) > 14 and self.view:
            self.expunge() if any("\\Deleted" in f for _, f, _ in self.there("INBOX")) else self.move()
        elif self.rng.random() < 0.25:
            self.rng.choice((self.create, self.create, self.delete, self.rename, self.rename, self.subscribe))()
        elif not self.view:
            self.rng.choice((self.append, self.deliver, self.restore))()
        else:
            self.rng.choice((self.append, self.deliver, self.deliver, self.flag, self.flag, self.copy, self.move,
                             self.expunge, self.restore, self.purge) + (self.cross, self.cross) * bool(self.sinks))()
        if self.maybe is None:
            self.view = self.uids_in_view()

    def drop(self):
        if self.reader:
            self.reader.conn.close()
        self.reader = None
