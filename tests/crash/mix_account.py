"""One account under every kind of work, by one client that knows what must be in it.

What was answered OK has happened; what was in flight when a connection ended has happened as a whole or not
at all. Whoever else looks (Witness) writes down what it was shown: no uid, flag or mod-sequence that anybody
was ever shown is taken back by a restart.
"""
import hashlib
import random
import re

import kill_imap
import kill_tree
import suite
from kill_imap import Lost
from mix_reader import Reader, Shown

# More keywords than a message's row has bits for: the others are numbers behind it.
FLAGS, MANY = ("\\Seen", "\\Flagged", "\\Deleted", "one", "two"), tuple("k%d" % i for i in range(80))


def told(state):
    """What a look at (boxes, subscriptions) tells; which messages of other mailboxes can be restored only salvage and the engine know."""
    boxes, subs = state
    return ({b: None if v is None else sorted((n, tuple(sorted(f))) for n, f, lost in v if not lost) for b, v in boxes.items()},
            subs, sum(1 for m in boxes["INBOX"] if m[2]))


class Account(kill_tree.TreeActs):
    second = "Other"

    def __init__(self, s, name, seed, sinks=()):
        self.s, self.name, self.sinks = s, name, sinks
        self.crossing = None                              # (sink, ids) of what is in flight
        self.rng = random.Random("mix %s %s" % (seed, name))
        self.boxes = {"INBOX": []}                        # [(id, flags, can only be restored)] in no order; None: holds others only
        self.subs = frozenset()
        self.maybe = None                                 # (boxes, subs) if what was in flight has happened
        self.what = "nothing"
        self.faults, self.done = [], 0
        self.base = int(name[1:]) * 1000000
        self.shown = Shown(self.fault, lambda number: self.base < number < self.base + 1000000)
        self.removed = {}                                 # uidvalidity -> ids that something was told to remove
        self.next = self.base
        self.sums, self.roots = {}, {}                    # id -> of its bytes; id -> that of the first of its thread
        self.bodies = {}                                  # id -> octets and lines of its body, and whom it answers
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
        for box in [b for b, rows in self.boxes.items() if rows]:
            self.check_facts(box)
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

    def check_facts(self, box):
        """What the server says of each message without its bytes, or by its header alone, is its own; also of copies, which share it."""
        self.reader.select(box)
        found = self.reader.facts()
        for uid, (number, subject, message_id, octets, lines, fields) in found.items():
            told = (int(subject), message_id, int(octets), int(lines), fields)
            want = (number, "<%d@mix.example>" % number, *self.bodies[number][:2], [str(number), "<%d@mix.example>" % number])
            if told != want:
                self.fault("uid %d of %s, message %d, is said to be %r, and is %r" % (uid, box, number, told, want))
        if found:
            number = self.rng.choice(sorted(found.values()))[0]
            want = sorted(uid for uid, one in found.items() if one[0] == number)
            answers = sorted(uid for uid, one in found.items() if self.bodies[one[0]][2] == number != one[0])
            for key, more in (("SUBJECT %d" % number, []), ("HEADER Message-ID %d@mix" % number, []), ("TEXT <%d@mix" % number, answers)):
                there = self.reader.search(key)
                if there != sorted(want + more):
                    self.fault("UID SEARCH %s in %s finds %r, not %r" % (key, box, there, sorted(want + more)))

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
        self.bodies[number] = (len(text), text.count(b"\r\n"), root)
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

    def elsewhere(self):
        """A copy or a move out of another mailbox: of what may be a copy itself, and others' facts may be its. INBOX has each message once."""
        if not any(self.boxes[b] is not None for b in self.moving()):
            return self.create()
        of, to = self.rng.sample([b for b in sorted(self.boxes) if b != "INBOX" and self.boxes[b] is not None], 2)
        self.reader.select(of)
        rows = [(uid, (number, flags)) for uid, (flags, _, number) in sorted((self.reader.fetch("1:*") if self.there(of) else {}).items())]
        picked = dict(self.rng.sample(rows, min(len(rows), self.rng.randrange(1, 5))))
        if picked:
            self.relocate(",".join(str(uid) for uid in sorted(picked)), picked, of, to, self.rng.random() < 0.4)
        return self.reader.select("INBOX")

    def relocate(self, uids, picked, of, to, move):
        """{uid: (id, flags)}: of a message there may be several copies."""
        after, left = self.state(), list(picked.values())
        rows, after[0][of] = after[0][of], []
        for m in rows:
            if m[:2] in left and not m[2]:
                left.remove(m[:2])
                after[0][to].append(m)
                after[0][of] += [] if move else [m]
            else:
                after[0][of].append(m)
        if move:
            self.removed.setdefault(self.reader.validity, set()).update(number for number, _ in picked.values())
        self.run('UID %s %s "%s"' % ("MOVE" if move else "COPY", uids, to), after)

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

    def admin(self, verb, box, after):
        self.begin(verb, after)
        try:
            with suite.Line(self.s.admin) as line:
                line.want(None, "200 ")
                answer = line.ask("%s %s {Mailbox=\"%s\";}" % (verb, self.name, box))
        except (OSError, suite.Failed) as e:
            raise Lost(str(e)) from None
        if answer is None:
            raise Lost("closed")
        if answer.startswith("200 "):
            self.happened()

    def restore(self):
        after, box = self.state(), self.rng.choice(("INBOX", "INBOX", self.second))
        after[0][box] = [(n, f, False) for n, f, _ in after[0][box]]
        self.admin("RestoreMessages", box, after)

    def purge(self):
        after, box = self.state(), self.rng.choice(("INBOX", "INBOX", self.second))
        after[0][box] = [m for m in after[0][box] if not m[2]]
        self.admin("PurgeMessages", box, after)

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
        # What was restored may not have been told yet.
        if self.maybe is not None or (not self.view and self.there("INBOX")):
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
            self.rng.choice((self.append, self.deliver, self.deliver, self.flag, self.flag, self.copy, self.copy, self.move, self.elsewhere,
                             self.expunge, self.restore, self.purge) + (self.cross, self.cross) * bool(self.sinks))()
        if self.maybe is None:
            self.view = self.uids_in_view()

    def drop(self):
        if self.reader:
            self.reader.conn.close()
        self.reader = None
