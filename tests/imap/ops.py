"""ops - the commands of the checker's sessions, each with everything that must hold of its answer."""
import time

from client import Lit, ranges
from model import ALL_FLAGS, Removal, settle
from session import Session, spell
from view import View, must

MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
FETCHES = ["FLAGS", "(UID FLAGS)", "FAST", "ALL", "FULL", "(FLAGS MODSEQ)", "BODY.PEEK[]", "BODY[]", "(UID BODY[TEXT])",
           "(FLAGS BODY.PEEK[HEADER])", "BODY.PEEK[1]", "BODY[1]", "RFC822.HEADER", "RFC822", "RFC822.TEXT", "ENVELOPE",
           "(UID BODYSTRUCTURE)", "(INTERNALDATE RFC822.SIZE)", "BODY.PEEK[HEADER.FIELDS (Subject From X-Ident)]",
           "BODY.PEEK[HEADER.FIELDS.NOT (Received)]", "BODY", "BINARY.PEEK[1]", "(UID PREVIEW)", "(EMAILID THREADID)", "SAVEDATE",
           "(ENVELOPE FLAGS UID BODY.PEEK[]<%d.%d>)"]


def opened(self, name, read_only, r, sent, past):
    untagged = r.untagged
    for i, one in enumerate(untagged):
        if one.code and one.code.name == "CLOSED":
            untagged = untagged[i + 1:]
            break
    codes = {one.code.name: one.code.data for one in untagged if one.code}
    for need in ("UIDVALIDITY", "UIDNEXT", "PERMANENTFLAGS"):
        must(need in codes, "SELECT without %s (RFC 3501 6.3.1)", need)
    must([one for one in untagged if one.kind == "FLAGS"], "SELECT without FLAGS")
    counts = {one.name: one.num for one in untagged if one.kind == "num"}
    must(set(counts) == {"EXISTS", "RECENT"}, "SELECT told %r, not EXISTS and RECENT", counts)
    want = "READ-ONLY" if read_only else "READ-WRITE"
    must(r.code and r.code.name == want, "SELECT answered %r, not [%s]", r.code, want)
    view = View(self.world.box(name, codes["UIDVALIDITY"]), read_only)
    view.uidvalidity, view.uidnext, view.highestmodseq = codes["UIDVALIDITY"], codes["UIDNEXT"], codes.get("HIGHESTMODSEQ")
    self.world.told_uidnext(view.box, codes["UIDNEXT"], sent)
    exists = counts["EXISTS"]
    if past is None:
        must(not any(one.kind in ("fetch", "VANISHED") for one in untagged), "SELECT sent FETCH or VANISHED unasked")
        view.exists(exists)
        return view
    resynced(self, view, exists, untagged, past)
    return view


def resynced(self, view, exists, untagged, past):
    """RFC 7162 3.2.5: what the session knew, without VANISHED, with the changes, is the mailbox."""
    uidvalidity, _, uids, flags, limited = past
    must(view.highestmodseq is not None, "QRESYNC without HIGHESTMODSEQ")
    if uidvalidity != view.uidvalidity:
        must(not any(one.kind in ("fetch", "VANISHED") for one in untagged), "changes for another UIDVALIDITY")
        view.exists(exists)
        return
    gone, fetched = set(), {}
    for one in untagged:
        if one.kind == "VANISHED":
            must(one.data[0], "VANISHED without (EARLIER) in SELECT (RFC 7162 3.2.10.1)")
            gone |= set(one.data[1])
        elif one.kind == "fetch":
            must("UID" in one.data and "MODSEQ" in one.data, "FETCH without UID and MODSEQ in SELECT: %r", dict(one.data))
            fetched[one.num] = one.data
    for uid in uids:
        m = view.box.get(uid)
        must(uid not in gone or m.claimed is None or m.gone is not None or view.box.explained(m),
             "VANISHED (EARLIER) has UID %d, which exists", uid)
    now = set(uids) - gone
    if limited:  # then new messages are not told (RFC 7162 3.2.5.1)
        must(gone | {d["UID"] for d in fetched.values()} <= set(uids), "changes of UIDs that were not asked for")
        must(len(now) <= exists, "%d messages left of those known, but %d exist", len(now), exists)
        view.exists(exists)
        self.left = now
        return
    now |= {d["UID"] for d in fetched.values()}
    must(len(now) == exists, "after QRESYNC %d messages are known (%d before, %d vanished, %d fetched), but %d exist "
         "(RFC 7162 3.2.5.1)", len(now), len(uids), len(gone & set(uids)), len(fetched), exists)
    view.exists(exists)
    for row, uid in zip(view.rows, sorted(now)):
        row.uid = uid
        view.by_uid[uid] = row
        row.flags = flags.get(uid)
    for num, data in fetched.items():
        must(num <= exists and view.rows[num - 1].uid == data["UID"], "%d FETCH (UID %d) in SELECT does not fit", num,
             data["UID"])
        view.fetch(num, data)
        if "FLAGS" in data:
            self.world.saw_flags(view.box, data["UID"], view.rows[num - 1].flags, data["MODSEQ"],
                                 None if view.read_only else (self.number, self.life), 0.0, time.monotonic())


def complete(self, r, rows, items):
    """Every message that was not expunged got all its items; NO only with expunged ones (RFC 2180 4.1)."""
    box = self.view.box
    if "BINARY" in items and r.status == "NO":  # an encoding that cannot be undone (RFC 3516 4.3)
        return
    want = {"FAST": ["FLAGS", "INTERNALDATE", "RFC822.SIZE"], "ALL": ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"],
            "FULL": ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"]}.get(items)
    with self.world.lock:
        for row in rows:
            m = box.get(row.uid)
            # Gatehouse promises more than RFC 2180 4.1: what others expunge stays readable until it is told.
            if self.lenient and (m.gone is not None or box.explained(m)):
                continue
            must(r.status == "OK", "FETCH of messages that exist: %s %s", r.status, r.text)
            got = self.answered.get(row.uid)
            must(got is not None, "FETCH %s: no answer for UID %d", items, row.uid)
            missing = [k for k in (want or keys_of(items)) if k not in got]
            must(not missing, "FETCH %s: %r missing for UID %d", items, missing, row.uid)


def keys_of(items):
    text = items.replace(".PEEK[", "[").upper()
    if text.startswith("("):
        text = text[1:-1]
    out, depth, word = [], 0, ""
    for c in text + " ":
        depth += (c in "[(") - (c in "])")
        if c == " " and depth == 0:
            out.append(word.split("<")[0] + ("<%s>" % word.split("<")[1].split(".")[0] if "<" in word else ""))
            word = ""
        else:
            word += c
    return out


def stored(self, r, rows, uid, writes, limit, newer):
    view = self.view
    box = view.box
    if view.read_only:
        must(r.status == "NO" or self.lenient, "STORE after EXAMINE: %s", r.status)
        return
    refused = set()
    if r.code and r.code.name == "MODIFIED":
        must(limit is not None, "MODIFIED without UNCHANGEDSINCE")
        numbers = r.code.data
        refused = set(numbers) if uid else {view.rows[n - 1].uid for n in numbers if n <= len(view.rows)}
        must(refused <= {row.uid for row in rows}, "MODIFIED names messages that were not asked for: %r", refused)
    there = [row.uid for row in rows if box.get(row.uid).gone is None and not box.explained(box.get(row.uid))]
    if r.status != "OK" and limit is None and len(there) == len(rows):
        must(False, "STORE of messages that exist: %s %s", r.status, r.text)
    for one in newer:
        must(one in refused or one not in there, "STORE (UNCHANGEDSINCE %d) changed UID %d, whose mod-sequence was %d "
             "(RFC 7162 3.1.3)", limit or 0, one, box.get(one).top_modseq)
    for one, list_ in writes.items():
        m = box.get(one)
        for f, w in list_:
            history = m.flags[f]
            if one in refused:
                if w in history:
                    history.remove(w)
            elif r.status == "OK":
                w.done = r.done
                settle(history)


def assume(self, rows, how, flags, r):
    """
    After .SILENT the client itself knows the flags: what it knew with its change, unless the server said
    otherwise (RFC 3501 6.4.6: "determinate without a race condition").
    """
    refused = r.code is not None and r.code.name == "MODIFIED"
    for row in rows:
        if row.uid in self.told_flags or row.flags is None:
            continue
        if self.lenient or refused:
            row.flags = None
        else:
            row.flags = flags if how == "FLAGS" else row.flags | flags if how == "+FLAGS" else row.flags - flags


def copied(self, source, target, told, asked, sent, done):
    pairs = list(zip(told[1], told[2]))
    must(len(set(told[2])) == len(told[2]) and set(told[1]) <= asked, "COPYUID %r", told)
    for old, new in pairs:
        m = source.get(old)
        must(m.ident is not None, "UID %d was copied, but nobody knows it", old)
        self.world.claim(target, new, m.ident, self.possible_flags(source, old, min(self.since, sent), done), sent, done)
        for name in ("INTERNALDATE", "RFC822.SIZE"):
            if name in m.fixed:
                self.world.saw_fixed(target, new, name, m.fixed[name])


class Mailbox(Session):
    """Commands on messages."""

    def selecting(self, read_only=None, name=None):
        """SELECT or EXAMINE, with CONDSTORE or QRESYNC at times."""
        rng, world = self.rng, self.world
        name = name or rng.choice(self.boxes)
        read_only = rng.random() < 0.15 if read_only is None else read_only
        args, past = ["EXAMINE" if read_only else "SELECT", self.c.box(name)], None
        if self.qresync and name in self.past and rng.random() < 0.8:
            past = self.past[name]
            known = " %s" % ranges(past[2]) if past[2] and rng.random() < 0.5 else ""
            args.append("(QRESYNC (%d %d%s))" % (past[0], past[1], known))
            past = (*past, bool(known))
        elif self.has("CONDSTORE") and rng.random() < 0.3:
            args.append("(CONDSTORE)")
            self.condstore = True
        self.leave_view()
        sent = time.monotonic()
        r = self.run(*args, command="SELECT")
        self.expect_ok(r, repr(args))
        with world.lock:
            self.view = opened(self, name, read_only, r, sent, past)
            self.since = sent
        self.learn_new()
        must(self.left <= set(self.view.uids()) or any(self.view.box.explained(self.view.box.get(u)) for u in self.left),
             "UIDs %r neither vanished nor exist after QRESYNC", sorted(self.left - set(self.view.uids())))
        self.left = set()
        self.check_seen(sent)

    left = frozenset()  # of a QRESYNC with known UIDs

    def leave_view(self):
        """Remembers what QRESYNC needs; the mailbox is not selected any more."""
        v = self.view
        if v is not None and v.highestmodseq and not v.unknown():
            self.past[v.box.name] = (v.uidvalidity, v.highestmodseq, v.uids(), {r.uid: r.flags for r in v.rows})
        self.view = None
        self.life += 1

    def op_closing(self):
        """CLOSE or UNSELECT."""
        view, close = self.view, self.rng.random() < 0.5
        removal = None
        if close and not view.read_only:
            with self.world.lock:
                removal = Removal(time.monotonic())
                view.box.removals.append(removal)
        verb = "CLOSE" if close else "UNSELECT"
        r = self.run(verb)
        self.expect_ok(r, verb)
        must(not any(one.kind in ("num", "VANISHED") and one.name in ("EXPUNGE", "VANISHED") for one in r.untagged) or
             not close, "EXPUNGE in answer to CLOSE (RFC 3501 6.4.2)")
        if removal:
            removal.done = r.done
        self.leave_view()

    def op_fetch(self):
        rng, view = self.rng, self.view
        names, rows, uid = self.some()
        items = rng.choice(FETCHES)
        if "%d" in items:
            self.partial = items % (rng.choice([0, 1, 7, 50, 4000]), rng.choice([1, 20, 5000]))
            items = self.partial
        needs = {"MODSEQ": "CONDSTORE", "BINARY": "BINARY", "PREVIEW": "PREVIEW", "EMAILID": "OBJECTID", "SAVEDATE": "SAVEDATE"}
        if any(word in items and not self.has(need) for word, need in needs.items()):
            items = "FLAGS"
        marks = not view.read_only and any(k in items for k in ("BODY[", "RFC822")) and \
            items not in ("RFC822.HEADER", "(INTERNALDATE RFC822.SIZE)")
        with self.world.lock:
            if marks:
                for row in rows:
                    view.box.get(row.uid).begin("\\seen", True, time.monotonic())  # only where it was not set: never "done"
        self.answered = {}
        if "MODSEQ" in items:
            self.condstore = True
        r = self.run("FETCH", names, items, uid=uid)
        self.partial = ""
        complete(self, r, rows, items)

    def op_store(self):
        rng, view, world = self.rng, self.view, self.world
        names, rows, uid = self.some()
        how, flags, silent = rng.choice(["FLAGS", "+FLAGS", "+FLAGS", "-FLAGS"]), self.some_flags(), rng.random() < 0.4
        if rng.random() < 0.15:
            how, flags = "+FLAGS", ["\\deleted"]
        args = ["STORE", names]
        limit = None
        if self.has("CONDSTORE") and rng.random() < 0.25:
            known = [row.modseq for row in rows if row.modseq]
            limit = rng.choice(known) if known else view.box.highestmodseq or 1
            args.append("(UNCHANGEDSINCE %d)" % limit)
            self.condstore = True
        args += [how + (".SILENT" if silent else ""), spell(flags)]
        sent = time.monotonic()
        with world.lock:
            touched = ALL_FLAGS if how == "FLAGS" else flags
            writes = {} if view.read_only else {
                row.uid: [(f, view.box.get(row.uid).begin(f, f in flags and how != "-FLAGS", sent)) for f in touched]
                for row in rows}
            newer = [row.uid for row in rows if limit is not None and view.box.get(row.uid).top_modseq > limit and
                     view.box.get(row.uid).top_seen < sent]
        self.told_flags = set()
        r = self.run(*args, uid=uid)
        with world.lock:
            stored(self, r, rows, uid, writes, limit, newer)
            if silent and r.status == "OK":
                assume(self, rows, how, frozenset(flags), r)

    def op_append(self):
        rng = self.rng
        name = rng.choice(self.boxes)
        count = rng.choice([1, 1, 1, 2, 3]) if self.has("MULTIAPPEND") else 1
        args, rows = [], []
        for _ in range(count):
            ident, data = self.new_message()
            flags = self.some_flags()
            date = None
            if flags or rng.random() < 0.3:
                args.append(spell(flags))
            if rng.random() < 0.4:
                date = "%02d-%s-%d %02d:%02d:%02d +0000" % (rng.randint(1, 28), rng.choice(MONTHS), rng.randint(1990, 2025),
                                                         rng.randrange(24), rng.randrange(60), rng.randrange(60))
                args.append('"%s"' % date)
            args.append(Lit(data))
            rows.append((ident, flags, date, len(data)))
        r = self.run("APPEND", self.c.box(name), *args)
        self.expect_ok(r, "APPEND")
        must(r.code and r.code.name == "APPENDUID", "APPEND without APPENDUID")
        uidvalidity, uids = r.code.data
        must(len(uids) == count and uids == sorted(set(uids)), "APPENDUID %r for %d messages", uids, count)
        with self.world.lock:
            box = self.world.box(name, uidvalidity)
            for uid, (ident, flags, date, size) in zip(uids, rows):
                self.world.claim(box, uid, ident, flags, r.sent, r.done)
                self.world.saw_fixed(box, uid, "RFC822.SIZE", size)
                if date:
                    self.world.saw_fixed(box, uid, "INTERNALDATE", date)

    def op_copy(self, move=False):
        view, world = self.view, self.world
        if move and view.read_only and self.lenient:
            return
        names, rows, uid = self.some(4)
        name = self.rng.choice(self.boxes)
        sent = time.monotonic()
        removal = None
        if move:
            with world.lock:
                removal = Removal(sent, uids={row.uid for row in rows}, any_flag=True)
                view.box.removals.append(removal)
        self.copied = None
        verb = "MOVE" if move else "COPY"
        r = self.run(verb, names, self.c.box(name), uid=uid)
        done = time.monotonic()
        told = r.code.data if r.code and r.code.name == "COPYUID" else self.copied
        with world.lock:
            world.note("%s %s UIDs %r of %s to %s: %s %r", self.c.name, verb, [row.uid for row in rows], view.box.name, name,
                       r.status, told)
            if removal:
                removal.done = done
            there = [row for row in rows if view.box.get(row.uid).gone is None and not view.box.explained(view.box.get(row.uid))]
            if move and view.read_only:
                must(r.status != "OK", "MOVE out of a mailbox opened by EXAMINE: OK")
            if told is None:
                must(r.status != "OK" or (not there and not move) or move, "%s without COPYUID", verb)
                must(r.status == "OK" or move or len(there) < len(rows), "COPY of messages that exist: %s %s", r.status, r.text)
                return
            must(r.status == "OK" or move, "%s answered %s with COPYUID", verb, r.status)
            copied(self, view.box, world.box(name, told[0]), told, {row.uid for row in rows}, sent, done)
            if r.status == "OK" and not move:
                must({row.uid for row in there} <= set(told[1]), "COPYUID has %r, existing were %r", told[1],
                     [row.uid for row in there])
            if move:
                left = [u for u in told[1] if u in view.by_uid]
                must(not left, "MOVE told no EXPUNGE of UIDs %r (RFC 6851 3.3)", left)

    def op_move(self):
        self.op_copy(move=True)

    def op_expunge(self):
        """EXPUNGE or UID EXPUNGE: gone is what had \\Deleted, and all of it."""
        rng, view, world = self.rng, self.view, self.world
        by_uid = self.has("UIDPLUS") and rng.random() < 0.4
        picked = {row.uid for row in view.rows if rng.random() < 0.5} if by_uid else {row.uid for row in view.rows}
        if by_uid and not picked:
            return
        sent = time.monotonic()
        with world.lock:
            must_go = [u for u in picked if view.box.get(u).claimed and view.box.get(u).gone is None]
            removal = Removal(sent, uids=picked if by_uid else None)
            if not view.read_only:
                view.box.removals.append(removal)
        r = self.run("EXPUNGE", ranges(picked), uid=True) if by_uid else self.run("EXPUNGE")
        with world.lock:
            removal.done = r.done
            if view.read_only:
                must(r.status == "NO" or self.lenient, "EXPUNGE after EXAMINE: %s", r.status)
                return
            self.expect_ok(r, "EXPUNGE")
            for u in must_go:
                m = view.box.get(u)
                sure = m.possible("\\deleted", min(self.since, sent), r.done) == {True}
                must(not (sure and u in view.by_uid), "EXPUNGE left UID %d, which has \\Deleted", u)

    def op_status(self):
        rng, world = self.rng, self.world
        name = rng.choice(self.boxes)
        items = ["MESSAGES", "UIDNEXT", "UIDVALIDITY", "UNSEEN"] + (["HIGHESTMODSEQ"] if self.has("CONDSTORE") else []) + \
            (["SIZE"] if self.has("STATUS=SIZE") else [])
        items = rng.sample(items, rng.randint(1, len(items)))
        sent = time.monotonic()
        r = self.run("STATUS", self.c.box(name), "(%s)" % " ".join(items))
        self.expect_ok(r, "STATUS")
        told = [one.data for one in r.untagged if one.kind == "STATUS"]
        must(len(told) == 1 and told[0][0] == name and set(told[0][1]) == set(items), "STATUS %s answered %r", items, told)
        values = told[0][1]
        with world.lock:
            box = world.boxes.get(name)
            if "UIDVALIDITY" in values:
                box = world.box(name, values["UIDVALIDITY"])
            if box and "UIDNEXT" in values:
                mine = self.view is not None and self.view.box is box  # of the selected mailbox the view may be told
                world.told_uidnext(box, values["UIDNEXT"], self.since if mine else sent)

    def op_list(self):
        r = self.run("LIST", '""', '"*"')
        self.expect_ok(r, "LIST")
        names = [one.data[2] for one in r.untagged if one.kind == "LIST"]
        must(len(names) == len(set(names)), "LIST names a mailbox twice: %r", names)
        missing = [b for b in self.boxes if b not in names]
        must(not missing, "LIST does not have %r", missing)

    def op_enable(self):
        if not self.has("ENABLE") or self.view is not None:
            return
        what = self.rng.choice(["CONDSTORE", "QRESYNC", "QRESYNC", "UTF8=ACCEPT"])
        if what not in self.c.capabilities:
            return
        r = self.run("ENABLE", what)
        self.expect_ok(r, "ENABLE")
        self.qresync = self.qresync or what == "QRESYNC"
        self.c.utf8 = self.c.utf8 or what == "UTF8=ACCEPT"  # from now on names are UTF-8 (RFC 6855 3)

    def op_idle(self):
        if not self.has("IDLE"):
            return
        self.command, self.uid_form = "IDLE", False
        self.commands += 1
        try:
            self.c.idle(lambda r: False, self.rng.choice([0.0, 0.02, 0.1]))
        finally:
            self.command = None
        self.learn_new()

    def op_noop(self):
        self.sync()
