"""model - what is true of the mailboxes, as far as the clients of the checker can know.

Commands of different connections run at the same time, so a flag is a register with a history: every write has
the time when it was sent and the time when it was answered, and a value is possible from the sending until
another write, that began after this one was answered, is answered. An observation by a session is right when the
value was possible at some moment between the start of the session's last synchronisation and now. At quiet points
(quiet()) histories shrink to one value.

A message is known by its identity, the X-Ident field that every message of the checker carries; its octets are
those that were sent. All methods are called with the world's lock held.
"""
import hashlib
import threading
import time

from view import must

FOREVER = float("inf")
SYSTEM = ["\\answered", "\\flagged", "\\deleted", "\\seen", "\\draft"]
KEYWORDS = ["$alpha", "beta", "gamma-3"]
ALL_FLAGS = SYSTEM + KEYWORDS
LATE_FAILS_S = 5.0


class Write:
    """One value of a flag. done is FOREVER while it is not known to have happened."""
    __slots__ = ("value", "sent", "done", "end")

    def __init__(self, value, sent, done):
        self.value, self.sent, self.done, self.end = value, sent, done, FOREVER


class Message:
    def __init__(self, uid):
        self.uid = uid
        self.ident = self.size = self.date = None
        self.claimed = None   # (sent, done) of what made it
        self.guessed = False  # claimed as a delivery, because of its identity
        self.gone = None      # when somebody was told that it is expunged
        self.flags = None     # flag -> [Write]; None while nothing is known
        self.base = []        # the Writes that say what it began with
        self.modseqs = {}     # modseq -> flags
        self.top_modseq = 0
        self.top_seen = 0.0
        self.fixed = {}       # attributes that never change
        self.recent = set()   # sessions that saw \Recent

    def set_base(self, flags, sent, done):
        self.flags = self.flags or {}
        for f in ALL_FLAGS:
            values = {f in flags} if not isinstance(flags, dict) else flags[f]
            base = [Write(v, sent, done) for v in values]
            self.base += base
            self.flags.setdefault(f, [])[:0] = base
            settle(self.flags[f])

    def drop_base(self):
        """The flags it was thought to begin with are forgotten; what was written since stays."""
        for f in ALL_FLAGS:
            self.flags[f] = [w for w in self.flags.get(f, ()) if w not in self.base]
        self.base = []

    def begin(self, flag, value, sent):
        w = Write(value, sent, FOREVER)
        if self.flags is None:
            self.flags = {}
        self.flags.setdefault(flag, []).append(w)
        return w

    def possible(self, flag, since, until):
        """The values that the flag can have had between two moments."""
        if self.flags is None or self.claimed is None:
            return {True, False}
        return {w.value for w in self.flags.get(flag, ()) if w.sent <= until and w.end >= since}

    def late(self, flag, value, since, until):
        """0 when the value was possible; otherwise how long it has been impossible, FOREVER if it never was."""
        if value in self.possible(flag, since, until):
            return 0
        ends = [w.end for w in self.flags.get(flag, ()) if w.value == value and w.sent <= until]
        return since - max(ends) if ends else FOREVER

    def quiet(self, flags, now):
        """Nothing is under way: these are its flags."""
        self.flags = {f: [Write(f in flags, now, now)] for f in ALL_FLAGS}


def settle(history):
    for w in history:
        w.end = min((o.done for o in history if o is not w and o.sent >= w.done), default=FOREVER)


class Removal:
    """A command that may have removed messages."""

    def __init__(self, sent, uids=None, idents=None, any_flag=False):
        self.sent, self.done = sent, FOREVER
        self.uids, self.idents, self.any_flag = uids, idents, any_flag

    def explains(self, m):
        if self.uids is not None and m.uid not in self.uids:
            return False
        if self.idents is not None and m.ident not in self.idents:
            return False
        return self.any_flag or True in m.possible("\\deleted", self.sent, self.done)


class Box:
    """One incarnation of a mailbox."""

    def __init__(self, name, uidvalidity):
        self.name, self.uidvalidity = name, uidvalidity
        self.messages = {}
        self.removals = []
        self.delivered = {}  # ident -> (sent, done) of what came without a UID (LMTP, restored)
        self.restored = {}   # ident -> how often it was brought back after it was expunged
        self.uidnext = 1     # the highest told
        self.highestmodseq = 0

    def get(self, uid):
        m = self.messages.get(uid)
        if m is None:
            m = self.messages[uid] = Message(uid)
        return m

    def explained(self, m):
        return any(r.explains(m) for r in self.removals)


class World:
    def __init__(self):
        self.lock = threading.RLock()
        self.boxes = {}      # name -> Box
        self.old = {}        # name -> UIDVALIDITYs of deleted incarnations
        self.bodies = {}     # ident -> octets as sent
        self.late_max = 0.0
        self.late_count = 0
        self.late_what = ""
        self.checks = 0
        self.notes = []      # for the transcript: who put what where, who removed it

    def note(self, text, *values):
        self.notes.append("%.3f " % time.monotonic() + text % values)

    # ---- mailboxes ----

    def box(self, name, uidvalidity):
        box = self.boxes.get(name)
        if box is None:
            must(uidvalidity not in self.old.get(name, ()), "%s made anew has the UIDVALIDITY %d of one that was "
                 "deleted (RFC 3501 2.3.1.1)", name, uidvalidity)
            box = self.boxes[name] = Box(name, uidvalidity)
        must(box.uidvalidity == uidvalidity, "UIDVALIDITY of %s was %d and is %d", name, box.uidvalidity, uidvalidity)
        return box

    def forget(self, name):
        box = self.boxes.pop(name, None)
        if box is not None:
            self.old.setdefault(name, set()).add(box.uidvalidity)

    def told_uidnext(self, box, uidnext, sent):
        self.checks += 1
        for m in box.messages.values():
            if m.claimed and m.claimed[1] < sent:
                must(m.uid < uidnext, "UIDNEXT %d of %s, but UID %d exists since before", uidnext, box.name, m.uid)
        box.uidnext = max(box.uidnext, uidnext)

    # ---- messages ----

    def claim(self, box, uid, ident, flags, sent, done):
        """APPENDUID, COPYUID: this UID is this message."""
        m = box.get(uid)
        if m.guessed:
            m.claimed, m.guessed = None, False
            m.drop_base()
        must(m.claimed is None, "UID %d of %s was given to %s and to %s", uid, box.name, m.ident, ident)
        must(m.ident in (None, ident), "UID %d of %s is %s, not %s as told", uid, box.name, m.ident, ident)
        m.ident, m.claimed = ident, (sent, done)
        self.note("UID %d of %s is %s", uid, box.name, ident)
        m.set_base(flags, sent, done)
        return m

    def saw_ident(self, box, uid, ident, now):
        m = box.get(uid)
        must(m.ident in (None, ident), "UID %d of %s was %s and is %s", uid, box.name, m.ident, ident)
        if m.ident is None:
            must(ident in self.bodies, "a message that nobody sent: %r", ident)
            m.ident = ident
        if ident in box.delivered and m.claimed is None:
            # It is here, so it is stored. But it may be a copy whose COPYUID is on its way: then claim() comes later.
            sent = box.delivered[ident][0]
            m.claimed, m.guessed = (sent, now), True
            m.set_base({f: {True, False} for f in ALL_FLAGS}, *m.claimed)
        return m

    def saw_flags(self, box, uid, flags, modseq, session, since, now):
        m = box.get(uid)
        self.checks += 1
        real = frozenset(flags) - {"\\recent"}
        if "\\recent" in flags and session is not None:
            m.recent.add(session)
            must(len(m.recent) == 1, "UID %d of %s is \\Recent for two sessions: %r", uid, box.name, m.recent)
        if modseq is not None:
            old = m.modseqs.setdefault(modseq, real)
            must(old == real, "UID %d of %s has mod-sequence %d with %s and with %s (RFC 7162 3.1)", uid, box.name,
                 modseq, sorted(old), sorted(real))
            if modseq > m.top_modseq:
                m.top_modseq, m.top_seen = modseq, now
            box.highestmodseq = max(box.highestmodseq, modseq)
        if m.claimed is None:
            return
        for f in ALL_FLAGS:
            late = m.late(f, f in real, since, now)
            must(late != FOREVER, "UID %d of %s: %s is %s, which nobody can have made so", uid, box.name, f, f in real)
            self.was_late(late, "flags of UID %d of %s" % (uid, box.name))

    def saw_fixed(self, box, uid, name, value):
        m = box.get(uid)
        self.checks += 1
        old = m.fixed.setdefault(name, value)
        must(old == value, "%s of UID %d of %s was %.200r and is %.200r", name, uid, box.name, old, value)

    def saw_gone(self, box, uid, now):
        m = box.get(uid)
        self.checks += 1
        if m.gone is None:
            must(m.claimed is None or box.explained(m), "UID %d of %s was expunged, but nobody removed it", uid, box.name)
            m.gone = now
            self.note("UID %d of %s is told as gone", uid, box.name)

    def was_late(self, seconds, what):
        if seconds > 0:
            self.late_count += 1
            if seconds > self.late_max:
                self.late_max, self.late_what = seconds, what
            must(seconds < LATE_FAILS_S, "%s: %.1f s late", what, seconds)

    def check_octets(self, ident, got, what, origin=None):
        """`got` must be the message, or the slice of it from `origin` on."""
        self.checks += 1
        want = self.bodies[ident]
        if got is not None and origin is None and len(got) > len(want) and got.endswith(want):
            return  # LMTP put trace fields before it
        must(got == want, "%s of %s differs: %d octets (%s), sent were %d (%s)", what, ident, len(got or b""),
             hashlib.sha1(got or b"").hexdigest()[:8], len(want), hashlib.sha1(want).hexdigest()[:8])

    def audit(self, box, rows, now):
        """Nothing is under way; rows: uid -> (ident, flags, modseq, size). Exactly what must be there is there."""
        for uid, (ident, flags, modseq, size) in rows.items():
            m = self.saw_ident(box, uid, ident, now)
            must(m.gone is None, "UID %d of %s came back after it was expunged", uid, box.name)
            must(m.claimed is not None, "UID %d of %s (%s): nobody put it there", uid, box.name, ident)
            self.saw_flags(box, uid, flags, modseq, None, now, now)
            m.quiet(frozenset(flags) - {"\\recent"}, now)
            m.size = size
        for ident in {m.ident for m in box.messages.values() if m.guessed}:
            same = [m.uid for m in box.messages.values() if m.guessed and m.ident == ident]
            must(len(same) <= 1 + box.restored.get(ident, 0), "%s came once, was restored %d times, and is in %s as UIDs %r",
                 ident, box.restored.get(ident, 0), box.name, same)
        there = {}
        for ident, _, _, _ in rows.values():
            there[ident] = there.get(ident, 0) + 1
        for m in list(box.messages.values()):
            if m.uid in rows:
                continue
            if m.claimed is not None and m.gone is None:
                must(box.explained(m), "UID %d of %s (%s) is lost: nobody removed it", m.uid, box.name, m.ident)
            if m.claimed is not None or m.gone is not None:
                m.gone = m.gone or now
        for ident in box.delivered:
            met = [m for m in box.messages.values() if m.ident == ident]
            if not met:  # came and went before anybody looked
                must(any(r.any_flag or r.uids is None for r in box.removals), "%s was delivered and is lost", ident)
        for r in list(box.removals):
            if r.done < now:
                box.removals.remove(r)
        box.delivered = {i: t for i, t in box.delivered.items() if there.get(i)}


def clock():
    return time.monotonic()
