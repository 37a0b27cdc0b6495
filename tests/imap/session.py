"""session - one IMAP connection of the checker: sends commands, holds every response against view and world.

An operation is a method op_*; it draws what it needs from the session's own random numbers. The world's lock is
held while responses are looked at, never while waiting for the server.
"""
import random
import re
import time

from client import Closed, Imap, ranges
from model import ALL_FLAGS
from view import must

IDENT = re.compile(rb"X-Ident: *([^\r\n]*)", re.I)
NEW_ITEMS = "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (X-Ident)])"
IDENT_KEY = "BODY[HEADER.FIELDS (X-IDENT)]"
FIXED = ("INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODYSTRUCTURE", "BODY", "EMAILID", "THREADID", "PREVIEW", "SAVEDATE")
PROPER = {f.lower(): f for f in ["\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft", "$Alpha", "beta", "Gamma-3"]}


def spell(flags):
    return "(%s)" % " ".join(PROPER[f] for f in flags)


class Session:
    def __init__(self, number, world, server, boxes, seed, messages):
        self.number, self.world, self.server, self.boxes = number, world, server, boxes
        self.rng = random.Random("%s/%d" % (seed, number))
        self.messages = messages
        self.view = None
        self.since = 0.0        # start of the last synchronisation
        self.qresync = self.condstore = False
        self.made = 0
        self.commands = 0
        self.life = 0
        self.command, self.uid_form = None, False
        self.answered = {}      # uid -> attributes, of the running FETCH
        self.past = {}          # box -> (uidvalidity, modseq, uids, flags) for QRESYNC
        self.copied = None
        # Dovecot, on which the checker is tried, differs from what Gatehouse must do: EXPUNGE
        # after EXAMINE is OK there, and an expunged message may have no octets any more.
        self.lenient = server.name == "dovecot"
        self.connect()

    def connect(self):
        self.c = Imap(self.server.imap, name="c%d." % self.number)
        self.c.on_response = self.on_response
        self.c.login(self.server.users[0], self.server.password)
        if "COMPRESS=DEFLATE" in self.c.capabilities and self.rng.random() < 0.3:
            self.c.compress()
        self.life += 1
        self.view, self.qresync, self.condstore = None, False, False

    def lost_mailbox(self):
        """The selected mailbox was deleted by somebody else."""
        self.view = None
        self.c.on_response = None
        try:
            self.c.run("NOOP")
            self.c.run("UNSELECT")
            self.c.on_response = self.on_response
        except Closed:
            self.c.close()
            self.connect()

    def has(self, word):
        return word in self.c.capabilities

    # ---- responses ----

    def on_response(self, r):
        now = time.monotonic()
        with self.world.lock:
            if r.code and r.code.name == "HIGHESTMODSEQ" and self.view and self.command != "SELECT":
                self.view.highestmodseq = r.code.data
            if r.kind == "tagged" or self.command == "SELECT":
                return
            if self.view is None:
                must(r.kind not in ("num", "fetch", "VANISHED"), "%r without a selected mailbox", r)
                return
            if r.code and r.code.name == "COPYUID":
                self.copied = r.code.data
            if self.view.apply(r, self.command, self.uid_form, self.qresync, self.command == "IDLE"):
                self.told_gone(now)
                if r.kind == "fetch":
                    self.told_fetch(r, now)

    def told_gone(self, now):
        box = self.view.box
        for uid in self.view.expunged:
            if uid is not None:
                self.world.saw_gone(box, uid, now)
        self.view.expunged = []

    def told_fetch(self, r, now):
        box, row = self.view.box, self.view.rows[r.num - 1]
        if row.uid is None:
            return
        if IDENT_KEY in r.data:
            found = IDENT.search(r.data[IDENT_KEY] or b"")
            must(found or self.lenient, "no X-Ident in %r", r.data[IDENT_KEY])
            if found:
                self.world.saw_ident(box, row.uid, found[1].decode("ascii"), now)
        m = box.get(row.uid)
        there = m.gone is None and not box.explained(m)
        for name in FIXED:
            if name in r.data and (there or not self.lenient):
                self.world.saw_fixed(box, row.uid, name, r.data[name])
        if "FLAGS" in r.data:
            self.told_flags.add(row.uid)
            who = None if self.view.read_only else (self.number, self.life)
            self.world.saw_flags(box, row.uid, row.flags, r.data.get("MODSEQ"), who, self.since, now)
        for key, value in r.data.items():
            octets = key.startswith(("BODY[", "RFC822", "BINARY[")) and key not in ("RFC822.SIZE", IDENT_KEY)
            if octets and (there or not self.lenient):
                self.world.saw_fixed(box, row.uid, key + str(self.partial), value)
        if "BODY[]" in r.data and m.ident and (there or not self.lenient):
            self.world.check_octets(m.ident, r.data["BODY[]"], "BODY[]")
        if self.command == "FETCH":
            self.answered.setdefault(row.uid, {}).update(r.data)

    partial = ""
    told_flags = set()

    # ---- running commands ----

    def run(self, *args, uid=False, command=None):
        self.command = command or args[0].split(" ")[0].upper()
        self.uid_form = uid
        self.commands += 1
        try:
            return self.c.run(*(("UID",) if uid else ()), *args)
        finally:
            self.command = None

    def expect_ok(self, r, what):
        must(r.status == "OK", "%s: %s %s %s", what, r.status, r.code or "", r.text)
        return r

    def sync(self):
        """Whatever was finished before now is in the view afterwards."""
        sent = time.monotonic()
        r = self.run(self.rng.choice(["NOOP", "NOOP", "CHECK"]))
        self.expect_ok(r, "NOOP")
        self.since = sent
        self.learn_new()
        self.check_seen(sent)

    def check_seen(self, sent):
        """What others finished before `sent` must be in the view now (how late it is: see LATE_FAILS_S)."""
        view = self.view
        if view is None:
            return
        with self.world.lock:
            now = time.monotonic()
            for m in view.box.messages.values():
                if m.gone is not None and m.uid in view.by_uid and m.gone < sent:
                    self.world.was_late(now - m.gone, "expunge of UID %d of %s" % (m.uid, view.box.name))
                elif m.claimed and m.gone is None and m.claimed[1] < sent and m.uid not in view.by_uid:
                    if not view.box.explained(m):
                        self.world.was_late(now - m.claimed[1], "arrival of UID %d in %s" % (m.uid, view.box.name))

    def learn_new(self):
        """Fetches UID and identity of messages that were only counted."""
        stuck = 0
        while stuck < 20:
            new = self.not_known()
            if not new:
                return
            before = {id(self.view.rows[n - 1]) for n in new}
            self.expect_ok(self.run("FETCH", ranges(new), NEW_ITEMS), "FETCH of new messages")
            if before & {id(self.view.rows[n - 1]) for n in self.not_known()}:
                self.expect_ok(self.run("NOOP"), "NOOP")  # expunged before they could be looked at (RFC 2180 4.1)
                stuck += 1
        must(False, "messages %r have no UID or no octets", new)

    def not_known(self):
        return [] if self.view is None else [i + 1 for i, row in enumerate(self.view.rows) if row.uid is None or
                                             self.view.box.get(row.uid).ident is None]

    # ---- choosing ----

    def some(self, most=6):
        """Some messages of the view as (set, rows, by UID)."""
        rng, rows = self.rng, self.view.rows
        n = len(rows)
        kind = rng.random()
        if kind < 0.15:
            picked = list(range(n))
        elif kind < 0.5:
            a = rng.randrange(n)
            picked = list(range(a, min(n, a + rng.randint(1, most))))
        else:
            picked = sorted(rng.sample(range(n), min(n, rng.randint(1, most))))
        uid = rng.random() < 0.6
        names = [rows[i].uid if uid else i + 1 for i in picked]
        if uid and rng.random() < 0.1:
            names.append(names[-1] + 100000)  # exists nowhere: ignored (RFC 3501 6.4.8)
        return ranges(names), [rows[i] for i in picked], uid

    def some_flags(self):
        rng = self.rng
        return rng.sample(ALL_FLAGS, rng.choice([0, 1, 1, 1, 2, 3]))

    def new_message(self):
        self.made += 1
        ident = "m%d-%d" % (self.number, self.made)
        data = b"X-Ident: " + ident.encode() + b"\r\n" + self.rng.choice(self.messages)
        with self.world.lock:
            self.world.bodies[ident] = data
        return ident, data

    def possible_flags(self, box, uid, since, until):
        m = box.get(uid)
        return {f: m.possible(f, since, until) for f in ALL_FLAGS}
