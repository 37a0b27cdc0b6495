"""queries - SEARCH, SORT, THREAD and saved results under concurrent changes: what may be in the answer, what must.

The oracle (oracle.py) judges what text means; here only what flags, sizes and numbers make certain.
"""
import time

from client import ranges
from ops import Mailbox
from view import must

BOTH = {True, False}
FLAG_KEYS = {"ANSWERED": "\\answered", "FLAGGED": "\\flagged", "DELETED": "\\deleted", "SEEN": "\\seen", "DRAFT": "\\draft"}


class Key:
    """A search key as text and as a function: row, possible(flag) -> set of the truth values it can have."""

    def __init__(self, text, value):
        self.text, self.value = text, value


def negate(values):
    return {not v for v in values}


def draw(rng, view, depth=0):
    kind = rng.randrange(12 if depth < 2 else 8)
    if kind == 0:
        return Key("ALL", lambda m, n, p: {True})
    if kind in (1, 2):
        name = rng.choice(sorted(FLAG_KEYS))
        flag = FLAG_KEYS[name]
        if rng.random() < 0.5:
            return Key(name, lambda m, n, p: p(flag))
        return Key("UN" + name, lambda m, n, p: negate(p(flag)))
    if kind == 3:
        word, flag = rng.choice([("$Alpha", "$alpha"), ("BETA", "beta"), ("gamma-3", "gamma-3")])
        if rng.random() < 0.5:
            return Key("KEYWORD " + word, lambda m, n, p: p(flag))
        return Key("UNKEYWORD " + word, lambda m, n, p: negate(p(flag)))
    if kind == 4:
        size = rng.choice([300, 700, 1500, 3000])
        return Key("LARGER %d" % size, lambda m, n, p: {m.fixed["RFC822.SIZE"] > size} if "RFC822.SIZE" in m.fixed else BOTH)
    if kind == 5:
        row = rng.choice(view.rows)
        ident = view.box.get(row.uid).ident or "nobody"
        return Key("HEADER X-Ident %s" % ident, lambda m, n, p: {ident in m.ident} if m.ident else BOTH)
    if kind == 6:
        uids = set(rng.sample([r.uid for r in view.rows], rng.randint(1, len(view.rows))))
        return Key("UID " + ranges(uids), lambda m, n, p: {m.uid in uids})
    if kind == 7:
        a = rng.randint(1, len(view.rows))
        b = rng.randint(a, len(view.rows))
        return Key("%d:%d" % (a, b), lambda m, n, p: {a <= n <= b})
    if kind == 8:
        one = draw(rng, view, depth + 1)
        return Key("NOT " + one.text, lambda m, n, p: negate(one.value(m, n, p)))
    one, two = draw(rng, view, depth + 1), draw(rng, view, depth + 1)
    if kind == 9:
        return Key("OR %s %s" % (one.text, two.text),
                   lambda m, n, p: {x or y for x in one.value(m, n, p) for y in two.value(m, n, p)})
    return Key("(%s %s)" % (one.text, two.text),
               lambda m, n, p: {x and y for x in one.value(m, n, p) for y in two.value(m, n, p)})


class Queries(Mailbox):
    def judge(self, found, key, rows, since, done, uid, exact_set=True):
        """`found`: UIDs. Messages whose truth is certain are in it or not; others may be."""
        box = self.view.box
        must(len(found) == len(set(found)), "a message twice in the result of %s", key.text)
        with self.world.lock:
            for n, row in enumerate(rows, 1):
                m = box.get(row.uid)
                if m.gone is not None or box.explained(m) or m.claimed is None:
                    continue
                truth = key.value(m, n, lambda f, m=m: m.possible(f, since, done))
                # Dovecot 2.3 begins OR UNSEEN UNFLAGGED at the first unseen message.
                if truth == {True} and exact_set and not (self.lenient and "UNSEEN" in key.text):
                    must(row.uid in found, "SEARCH %s lacks message %d, UID %d of %s: %s", key.text, n, row.uid, box.name,
                         self.flags_text(m, since, done))
                must(truth != {False} or row.uid not in found, "SEARCH %s has message %d, UID %d of %s: %s", key.text, n,
                     row.uid, box.name, self.flags_text(m, since, done))

    @staticmethod
    def flags_text(m, since, done):
        values = {f: m.possible(f, since, done) for f in (m.flags or ())}
        return " ".join(f + ("?" if len(v) > 1 else "") for f, v in values.items() if True in v)

    def numbers_to_uids(self, numbers, uid, rows):
        if uid:
            return list(numbers)
        must(all(n <= len(rows) for n in numbers), "numbers beyond the mailbox: %r", numbers)
        return [rows[n - 1].uid for n in numbers]

    def op_search(self):
        rng, view = self.rng, self.view
        key, uid = draw(rng, view), rng.random() < 0.5
        rows = list(view.rows)
        extended = self.has("ESEARCH") and rng.random() < 0.5
        wanted = rng.sample(["MIN", "MAX", "ALL", "COUNT"], rng.randint(0, 4)) if extended else []
        args = ["SEARCH"] + (["RETURN (%s)" % " ".join(wanted)] if extended else []) + [key.text]
        r = self.run(*args, uid=uid)
        self.expect_ok(r, "SEARCH")
        told = [one for one in r.untagged if one.kind in ("SEARCH", "ESEARCH")]
        must(len(told) == 1 and told[0].kind == ("ESEARCH" if extended else "SEARCH"), "%r answered %r", args, told)
        if not extended:
            numbers = told[0].data[0]
            must(numbers == sorted(numbers), "SEARCH not ascending")
            self.judge(self.numbers_to_uids(numbers, uid, rows), key, rows, self.since, r.done, uid)
            return
        tag, is_uid, values = told[0].data
        must(tag is not None and is_uid == uid, "ESEARCH with TAG %r, UID %r", tag, is_uid)
        wanted = wanted or ["ALL"]
        must(set(values) <= set(wanted) and ("COUNT" in values) == ("COUNT" in wanted), "RETURN %r answered %r", wanted, values)
        if "ALL" in wanted:
            numbers = values.get("ALL", [])
            self.judge(self.numbers_to_uids(numbers, uid, rows), key, rows, self.since, r.done, uid)
            must(values.get("COUNT", len(numbers)) == len(numbers), "COUNT %r of %r", values.get("COUNT"), numbers)
            for name, fun in (("MIN", min), ("MAX", max)):
                if name in wanted:
                    must(values.get(name) == (fun(numbers) if numbers else None), "%s %r of %r", name, values.get(name), numbers)
        else:
            numbers = [values[k] for k in ("MIN", "MAX") if k in values]
            self.judge(set(self.numbers_to_uids(numbers, uid, rows)), key, rows, self.since, r.done, uid, exact_set=False)

    def op_saved(self):
        """SEARCH RETURN (SAVE) and the use of $ (RFC 5182)."""
        if not self.has("SEARCHRES"):
            return
        rng, view = self.rng, self.view
        key = draw(rng, view)
        rows = list(view.rows)
        r = self.run("SEARCH RETURN (SAVE)", key.text)
        self.expect_ok(r, "SEARCH")
        must(not any(one.kind in ("SEARCH", "ESEARCH") for one in r.untagged), "SAVE alone was answered with a result")
        self.answered = {}
        r2 = self.run("FETCH", "$", "(UID RFC822.SIZE)", uid=rng.random() < 0.5)
        found = [u for u, got in self.answered.items() if "RFC822.SIZE" in got]
        if r2.status == "OK":
            self.judge(found, key, rows, self.since, r2.done, True)

    def op_sort(self):
        if not self.has("SORT"):
            return
        rng, view = self.rng, self.view
        key, uid = draw(rng, view), rng.random() < 0.5
        rows = list(view.rows)
        by = rng.choice(["SIZE", "REVERSE SIZE", "ARRIVAL", "SUBJECT", "FROM DATE", "REVERSE DATE SUBJECT", "TO CC"])
        r = self.run("SORT", "(%s)" % by, "UTF-8", key.text, uid=uid)
        self.expect_ok(r, "SORT")
        told = [one.data[0] for one in r.untagged if one.kind == "SORT"]
        must(len(told) == 1, "%d SORT responses", len(told))
        found = self.numbers_to_uids(told[0], uid, rows)
        self.judge(found, key, rows, self.since, r.done, uid)
        if "SIZE" in by:
            place = {row.uid: i for i, row in enumerate(rows)}
            sign = -1 if "REVERSE" in by else 1
            keys = [(sign * view.box.get(u).fixed.get("RFC822.SIZE", 0), place.get(u, 0)) for u in found]
            must(keys == sorted(keys) or any(k[0] == 0 for k in keys), "SORT (%s) gives %r", by, keys)

    def op_thread(self):
        how = self.rng.choice(["REFERENCES", "ORDEREDSUBJECT"])
        if not self.has("THREAD=" + how):
            return
        rng, view = self.rng, self.view
        key, uid = draw(rng, view), rng.random() < 0.5
        rows = list(view.rows)
        r = self.run("THREAD", how, "UTF-8", key.text, uid=uid)
        self.expect_ok(r, "THREAD")
        told = [one.data for one in r.untagged if one.kind == "THREAD"]
        must(len(told) == 1, "%d THREAD responses", len(told))
        flat = []

        def walk(nodes):
            for number, below in nodes:
                flat.extend([number] if number else [])
                walk(below)
        walk(told[0])
        self.judge(self.numbers_to_uids(flat, uid, rows), key, rows, self.since, r.done, uid)

    def op_modseq(self):
        """SEARCH MODSEQ and FETCH CHANGEDSINCE agree with what was told."""
        if not self.has("CONDSTORE") or not self.view.box.highestmodseq:
            return
        rng, view = self.rng, self.view
        self.condstore = True
        since = rng.randint(1, view.box.highestmodseq + 1)
        sent = time.monotonic()
        if rng.random() < 0.5:
            r = self.run("SEARCH", "MODSEQ %d" % since, uid=True)
            self.expect_ok(r, "SEARCH")
            numbers, top = [one.data for one in r.untagged if one.kind == "SEARCH"][0]
            must(bool(numbers) == (top is not None), "SEARCH MODSEQ found %r and tells %r (RFC 7162 3.1.5)", numbers, top)
            found = set(numbers)
        else:
            since -= 1
            self.answered = {}
            r = self.run("FETCH", "1:*", "(FLAGS) (CHANGEDSINCE %d)" % max(since, 1), uid=True)
            self.expect_ok(r, "FETCH")
            found = {u for u, got in self.answered.items() if "MODSEQ" in got}
            since += 1
            since = max(since, 2)
        if self.lenient and not found:  # Dovecot counts from the first CONDSTORE command on
            return
        with self.world.lock:
            for row in view.rows:
                m = view.box.get(row.uid)
                if m.gone is None and m.claimed and not view.box.explained(m) and m.top_modseq >= since and \
                        m.top_seen < min(sent, self.since):
                    must(row.uid in found, "UID %d with mod-sequence %d is not among those from %d on", row.uid,
                         m.top_modseq, since)
