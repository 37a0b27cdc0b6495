"""view - what one session has been told of its mailbox, and the rules by which it may be told more.

Rules: RFC 3501 5.5 and 7.4.1, RFC 2180, RFC 7162 3.2.10. Every response of a selected session goes through
apply(); one that breaks a rule raises Broken. Sequence numbers are positions in `rows`.
"""


class Broken(Exception):
    """The server broke a rule; the text says which."""


def must(condition, text, *values):
    if not condition:
        raise Broken(text % values if values else text)


class Row:
    __slots__ = ("uid", "flags", "modseq")

    def __init__(self):
        self.uid = self.flags = self.modseq = None


# While these run by sequence number, no message may go (RFC 3501 7.4.1, 5256 3).
NO_EXPUNGE = {"FETCH", "STORE", "SEARCH", "SORT", "THREAD"}


class View:
    def __init__(self, box, read_only):
        self.box, self.read_only = box, read_only
        self.rows, self.by_uid = [], {}
        self.uidvalidity = self.uidnext = self.highestmodseq = None
        self.recent = 0
        self.expunged = []  # UIDs told as gone (None: never learnt), since the caller looked

    def __len__(self):
        return len(self.rows)

    def uids(self):
        return [r.uid for r in self.rows]

    def unknown(self):
        return [i + 1 for i, r in enumerate(self.rows) if r.uid is None]

    def exists(self, n):
        must(n >= len(self.rows), "EXISTS %d where %d messages are known: only EXPUNGE makes a mailbox smaller "
             "(RFC 3501 7.3.1)", n, len(self.rows))
        while len(self.rows) < n:
            self.rows.append(Row())

    def expunge(self, n):
        must(n <= len(self.rows), "%d EXPUNGE of %d messages", n, len(self.rows))
        row = self.rows.pop(n - 1)
        self.expunged.append(row.uid)
        if row.uid is not None:
            del self.by_uid[row.uid]

    def vanished(self, uids, known_only=True):
        left, gone = [], set()
        for uid in uids:
            if uid in self.by_uid:
                gone.add(uid)
            else:
                left.append(uid)
        if known_only:
            for uid in left:
                self.drop_unknown(uid)
        self.rows = [r for r in self.rows if r.uid not in gone]
        for uid in gone:
            del self.by_uid[uid]
        self.expunged += sorted(gone) + left

    def drop_unknown(self, uid):
        """A message goes that was counted but never looked at: one of those between its neighbours."""
        found = None
        for i, row in enumerate(self.rows):
            if row.uid is None:
                found = i
            elif row.uid > uid:
                break
            else:
                found = None
        must(found is not None, "VANISHED has UID %d, which is not in the view (RFC 7162 3.2.10)", uid)
        del self.rows[found]

    def fetch(self, n, data):
        must(n <= len(self.rows), "%d FETCH of %d messages", n, len(self.rows))
        row = self.rows[n - 1]
        uid = data.get("UID")
        if uid is not None:
            if row.uid is None:
                self.learn(n, row, uid)
            must(row.uid == uid, "message %d has UID %s, but had %s", n, uid, row.uid)
        if "FLAGS" in data:
            row.flags = frozenset(f.lower() for f in data["FLAGS"])
        if "MODSEQ" in data:
            must(row.modseq is None or data["MODSEQ"] >= row.modseq,
                 "the mod-sequence of UID %s went back from %s to %s (RFC 7162 3.1)", row.uid, row.modseq,
                 data["MODSEQ"])
            row.modseq = data["MODSEQ"]
        return row

    def learn(self, n, row, uid):
        for step in (-1, 1):
            i = n - 1 + step
            while 0 <= i < len(self.rows) and self.rows[i].uid is None:
                i += step
            if 0 <= i < len(self.rows):
                other = self.rows[i].uid
                must((uid - other) * step < 0, "UID %d of message %d beside UID %d of message %d: not ascending "
                     "(RFC 3501 2.3.1.1)", uid, n, other, i + 1)
        row.uid = uid
        self.by_uid[uid] = row

    def apply(self, r, command, uid_form, qresync, idle=False):
        """One untagged response while `command` runs. True when it was about the mailbox."""
        if r.kind == "num":
            if r.name == "EXISTS":
                self.exists(r.num)
            elif r.name == "RECENT":
                must(r.num <= len(self.rows), "RECENT %d of %d messages", r.num, len(self.rows))
                self.recent = r.num
            else:
                must(not qresync, "EXPUNGE after ENABLE QRESYNC (RFC 7162 3.2.10)")
                self.may_go(command, uid_form, idle)
                self.expunge(r.num)
            return True
        if r.kind == "VANISHED":
            earlier, uids = r.data
            must(qresync, "VANISHED without ENABLE QRESYNC")
            if not earlier:
                self.may_go(command, uid_form, idle)
                self.vanished(uids)
            else:
                must(command == "FETCH" and uid_form, "VANISHED (EARLIER) in answer to %s", command)
            return True
        if r.kind == "fetch":
            must(not (qresync and "FLAGS" in r.data and command != "FETCH") or ("UID" in r.data and "MODSEQ" in r.data),
                 "FETCH with FLAGS without UID and MODSEQ after ENABLE QRESYNC (RFC 7162 3.2.4): %r", dict(r.data))
            self.fetch(r.num, r.data)
            return True
        return False

    def may_go(self, command, uid_form, idle):
        must(command is not None or idle, "a message expunged while no command runs (RFC 3501 7.4.1)")
        must(uid_form or command not in NO_EXPUNGE, "a message expunged during %s by number (RFC 3501 7.4.1)", command)
