#!/usr/bin/python3
"""SEARCH, SORT and THREAD of a server against brute force on the raw messages (searching.py, docs/imap-search.md).

    oracle.py [BUILD] [--server dovecot] [--queries 400] [--seed N] [--generated 60] [--only search,sort,thread]

The mailbox is the corpus, messages made for this (threads, sort keys, odd encodings) and flags from the seed. Random
expressions are asked as SEARCH, UID SEARCH, with RETURN, as SORT and THREAD; results must be equal. What the page does
not decide for a message is not asked of it.
"""
import argparse
import os
import random
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import servers  # noqa: E402
from client import Imap, Lit, ranges  # noqa: E402
import made  # noqa: E402
import queries_random  # noqa: E402
import relaxed  # noqa: E402
import searching  # noqa: E402

sys.path.append(os.path.join(servers.TOP, "tests", "corpus"))
import corpus  # noqa: E402

SORT_KEYS = ["ARRIVAL", "CC", "DATE", "FROM", "SIZE", "SUBJECT", "TO"]


class Oracle:
    def __init__(self, opt, server):
        self.opt, self.rng = opt, random.Random(opt.seed)
        self.c = Imap(server.imap).login(server.users[0], server.password)
        self.relax = relaxed.Dovecot() if server.name == "dovecot" else relaxed.Nothing()
        self.passed = self.failed = self.asked = 0
        self.saved = set()
        self.upload()

    def can(self, word):
        return word in self.c.capabilities

    def upload(self):
        rng, c = self.rng, self.c
        data = [m.data for m in corpus.load(seed=self.opt.seed, generated=self.opt.generated,
                                            use_outside=not self.opt.own_only)] + made.messages(rng)
        rng.shuffle(data)
        data = data[:self.opt.messages]
        c.ok("CREATE", "oracle")
        start = int(time.time())
        for one in data:
            flags = [f for f in ("\\Answered", "\\Deleted", "\\Draft", "\\Flagged", "\\Seen", "$Alpha", "beta", "Gamma-3")
                     if rng.random() < 0.3]
            when = rng.choice([start - rng.randrange(10 ** 7), start - rng.randrange(10 ** 9), start - 86400 * rng.randrange(9)])
            date = time.strftime("%d-%b-%Y %H:%M:%S +0000", time.gmtime(when))
            c.ok("APPEND", "oracle", "(%s)" % " ".join(flags), '"%s"' % date, Lit(one))
        c.ok("SELECT", "oracle")
        if self.can("CONDSTORE"):
            c.ok("FETCH", "1", "(MODSEQ)")
        for _ in range(10):  # for gaps in the UIDs and different mod-sequences
            c.ok("STORE", str(rng.randint(1, len(data))), "+FLAGS", "(\\Flagged)")
        gone = set(rng.sample(range(1, len(data) + 1), len(data) // 10))
        c.ok("STORE", "1:*", "-FLAGS.SILENT", "(\\Deleted)")
        c.ok("STORE", ranges(gone), "+FLAGS.SILENT", "(\\Deleted)")
        c.ok("EXPUNGE")
        self.read([d for i, d in enumerate(data, 1) if i not in gone])

    def read(self, data):
        items = "(UID FLAGS INTERNALDATE RFC822.SIZE%s%s%s)" % (
            " MODSEQ" * self.can("CONDSTORE"), " SAVEDATE" * self.can("SAVEDATE"), " EMAILID THREADID" * self.can("OBJECTID"))
        rows = [r for r in self.c.ok("FETCH", "1:*", items).untagged if r.kind == "fetch"]
        assert len(rows) == len(data)
        self.messages = []
        for number, (r, raw) in enumerate(zip(rows, data), 1):
            d = r.data
            assert r.num == number and d["RFC822.SIZE"] == len(raw), (d, len(raw))
            m = searching.Message(d["UID"], raw, d["FLAGS"], epoch(d["INTERNALDATE"]), epoch(d.get("SAVEDATE")),
                                  d.get("MODSEQ", 0))
            m.number = number
            m.ids = {k.lower(): d.get(k) for k in ("EMAILID", "THREADID")}
            self.messages.append(m)
        self.source = queries_random.Source(self.rng, self.messages, self.can)

    # ---- asking ----

    def context(self):
        return {"now": time.time(), "count": len(self.messages), "top": max(m.uid for m in self.messages),
                "saved": self.saved, "savedate": self.can("SAVEDATE")}

    def expected(self, key):
        context = self.context()
        yes, maybe = set(), set()
        for m in self.messages:
            value = searching.matches(key, m, context)
            if value:
                yes.add(m.number)
            elif value is None:
                maybe.add(m.number)
        return yes, maybe

    def ask(self, *args):
        self.asked += 1
        return self.c.run(*args, glue="")

    def verdict(self, good, what, detail=""):
        self.passed += good
        self.failed += not good
        if not good and self.failed <= 20:
            print("FAILED: %s %s" % (what, detail))
            sys.stdout.flush()

    def number(self, n, uid):
        if not uid:
            return n
        return self.by_uid().get(n, -n)

    def by_uid(self):
        return {m.uid: m.number for m in self.messages}

    def compare(self, found, key, what):
        yes, maybe = self.expected(key)
        wrong = {n for n in (yes - found) | (found - yes - maybe) if not self.relax.excuse(key, self.messages[n - 1] if
                 0 < n <= len(self.messages) else None)}
        detail = ""
        if wrong:
            n = min(wrong)
            detail = "message %d %s: %.100r..." % (n, "missing" if n in yes else "too much",
                                                   self.messages[n - 1].data[:60] if n > 0 else None)
        self.verdict(not wrong, what, detail)

    def search(self):
        key, args = self.source.key()
        if self.relax.refuses(key):
            return
        uid, shown = self.rng.random() < 0.5, " ".join(a if isinstance(a, str) else repr(a.decode()) for a in args)
        head = ["UID SEARCH" if uid else "SEARCH", " "]
        charset = ["CHARSET UTF-8", " "] if self.rng.random() < 0.5 or any(
            isinstance(a, bytes) and not a.isascii() for a in args) else []
        extended = self.can("ESEARCH") and self.rng.random() < 0.5
        if not extended:
            r = self.ask(*head, *charset, *queries_random.joined(args))
            told = [x.data for x in r.untagged if x.kind == "SEARCH"]
            if r.status != "OK" or len(told) != 1:
                self.verdict(False, shown, "answered %s %s, %d SEARCH" % (r.status, r.text, len(told)))
                return
            self.compare({self.number(n, uid) for n in told[0][0]}, key, head[0] + " " + shown)
            self.check_modseq(key, {self.number(n, uid) for n in told[0][0]}, told[0][1], shown)
            return
        wanted = self.rng.sample(["MIN", "MAX", "ALL", "COUNT"] + ["SAVE"] * self.can("SEARCHRES"), self.rng.randint(0, 4))
        r = self.ask(*head, "RETURN (%s)" % " ".join(wanted), " ", *charset, *queries_random.joined(args))
        self.extended(r, key, wanted, uid, "RETURN (%s) %s" % (" ".join(wanted), shown))

    def check_modseq(self, key, found, told, shown):
        if not has_modseq(key):
            self.verdict(told is None, shown, "MODSEQ %s unasked" % told)
        elif found and max(found) > 0:
            top = max(self.messages[n - 1].modseq for n in found)
            self.verdict(told == top, shown, "MODSEQ %s, the highest found is %d" % (told, top))
        else:
            self.verdict(told is None, shown, "MODSEQ %s of nothing" % told)

    def extended(self, r, key, wanted, uid, shown):
        told = [x.data for x in r.untagged if x.kind == "ESEARCH"]
        if wanted == ["SAVE"]:
            told = [] if self.relax.saved_modseq() and has_modseq(key) else told
            self.verdict(r.status == "OK" and not told, shown, "answered %s %r" % (r.status, told))
        elif r.status != "OK" or len(told) != 1 or told[0][1] != uid:
            self.verdict(False, shown, "answered %s %s %r" % (r.status, r.text, told))
            return
        values = told[0][2] if told else {}
        yes, maybe = self.expected(key)
        every = yes
        if "ALL" in wanted or not wanted:
            every = {self.number(n, uid) for n in values.get("ALL", [])}
            self.compare(every, key, shown)
        elif maybe or self.relax.any_excuse(key, self.messages):
            if "SAVE" in wanted:
                self.saved = self.fetch_saved()
            return
        numbers = sorted(self.messages[n - 1].uid if uid else n for n in every if 0 < n <= len(self.messages))
        for name, fun in (("MIN", min), ("MAX", max), ("COUNT", len)):
            if name in wanted:
                want = len(numbers) if name == "COUNT" else fun(numbers) if numbers else None
                self.verdict(values.get(name) == want, shown, "%s %s, not %s" % (name, values.get(name), want))
        if has_modseq(key) and wanted != ["SAVE"]:
            # RFC 4731 3.2: of MIN and MAX when nothing else was asked for, else of all that was found.
            some = sorted(every) if set(wanted) & {"ALL", "COUNT"} or not set(wanted) & {"MIN", "MAX"} else \
                [n for name, n in (("MIN", min(every, default=0)), ("MAX", max(every, default=0))) if name in wanted and n]
            self.check_modseq(key, set(some), values.get("MODSEQ"), shown)
        if "SAVE" in wanted:
            ends = {n for n in ("MIN", "MAX") if n in wanted}
            uids = sorted(self.messages[n - 1].uid for n in every if n > 0)
            if ends and not {"ALL", "COUNT"} & set(wanted):
                uids = sorted({uids[0] if "MIN" in ends else uids[-1], uids[-1] if "MAX" in ends else uids[0]}) if uids else []
            self.saved = set(uids)
            got = self.fetch_saved()
            self.verdict(got == self.saved, shown, "$ is %r, not %r" % (sorted(got)[:9], uids[:9]))
            self.saved = got

    def fetch_saved(self):
        return {x.data["UID"] for x in self.c.ok("FETCH", "$", "(UID)").untagged if x.kind == "fetch" and "UID" in x.data}

    # ---- SORT and THREAD: only what is certain is asked for, by UID ----

    def certain(self, test):
        """A key for messages that are certain, with a search key whose values are."""
        for _ in range(20):
            key, args = self.source.key(1) if self.rng.random() < 0.6 else (("all",), ["ALL"])
            if self.relax.refuses(key) or has_modseq(key):
                continue
            yes, maybe = self.expected(key)
            excused = {m.number for m in self.messages if self.relax.excuse(key, m)}
            sure = [m for m in self.messages if test(m) and m.number not in maybe and m.number not in excused]
            if sure:
                return [m for m in sure if m.number in yes], ["UID " + ranges(m.uid for m in sure), " "] + \
                    queries_random.joined(args)
        return None, None

    def sort(self):
        program = [(k, self.rng.random() < 0.4) for k in self.rng.sample(SORT_KEYS, self.rng.choice([1, 1, 2, 3]))]
        names = [k for k, _ in program]
        found, args = self.certain(lambda m: searching.certain_for_sort(m, names) and self.relax.sortable(m, names))
        if args is None:
            return
        uid, text = self.rng.random() < 0.5, " ".join("REVERSE " * r + k for k, r in program)
        r = self.ask("UID SORT" if uid else "SORT", " ", "(%s)" % text, " ", "UTF-8", " ", *args)
        told = [x.data[0] for x in r.untagged if x.kind == "SORT"]
        want = [m.uid if uid else m.number for m in searching.sort(found, program)]
        good = r.status == "OK" and told == [want]
        where = ""
        if not good and told and set(told[0]) != set(want):
            where = "lacks %r, too much %r" % (sorted(set(want) - set(told[0]))[:9], sorted(set(told[0]) - set(want))[:9])
        elif not good and told:
            i = next((i for i, (a, b) in enumerate(zip(told[0], want)) if a != b), min(len(told[0]), len(want)))
            where = "place %d of %d: %r, not %r" % (i, len(want), told[0][i:i + 3], want[i:i + 3])
        self.verdict(good, "%sSORT (%s) %s" % ("UID " * uid, text, shorten(args)), where or "%s %s" % (r.status, r.text))

    def thread(self):
        how = self.rng.choice(["REFERENCES", "ORDEREDSUBJECT"])
        if not self.can("THREAD=" + how):
            return
        test = (lambda m: m.sure_thread) if how == "REFERENCES" else (lambda m: m.sure_subject and m.sure_date)
        found, args = self.certain(lambda m: test(m) and self.relax.sortable(m, ["SUBJECT", "DATE"]))
        if args is None:
            return
        uid = self.rng.random() < 0.5
        r = self.ask("UID THREAD" if uid else "THREAD", " ", how, " UTF-8 ", *args)
        told = [x.data for x in r.untagged if x.kind == "THREAD"]
        want = searching.references(found) if how == "REFERENCES" else searching.ordered_subject(found)
        if uid:
            want = [renumber(n, self.messages) for n in want]
        good = r.status == "OK" and told == [want]
        where = ""
        if not good and told:
            i = next((i for i, (a, b) in enumerate(zip(told[0], want)) if a != b), 0)
            where = "thread %d of %d: %.300r, not %.300r" % (i, len(want), told[0][i:i + 1], want[i:i + 1])
        self.verdict(good, "%s of %d" % (how, len(found)), where or "%s %s" % (r.status, r.text))


def renumber(node, messages):
    n, below = node
    return (messages[n - 1].uid if n else None), [renumber(c, messages) for c in below]


def shorten(args):
    return " ".join(repr(a)[:60] for a in args if a != " ")


def has_modseq(key):
    return key[0] == "modseq" or any(isinstance(k, tuple) and k and isinstance(k[0], str) and has_modseq(k) for k in key[1:])


def epoch(text):
    if text is None:
        return 0
    import datetime
    return int(datetime.datetime.strptime(text, "%d-%b-%Y %H:%M:%S %z").timestamp())


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    servers.options(p, 25050)
    p.add_argument("--queries", type=int, default=400)
    p.add_argument("--seed", default=str(random.SystemRandom().randrange(1 << 32)))
    p.add_argument("--generated", type=int, default=60)
    p.add_argument("--messages", type=int, default=1000, help="at most so many")
    p.add_argument("--own-only", action="store_true", help="without messages from outside the tree")
    p.add_argument("--only", default="search,sort,thread")
    opt = p.parse_args()
    print("seed %s" % opt.seed, flush=True)
    with servers.from_options(opt) as server:
        o = Oracle(opt, server)
        print("%d messages" % len(o.messages))
        kinds = opt.only.split(",")
        began = time.monotonic()
        for _ in range(opt.queries):
            kind = o.rng.choices(kinds, [6 if k == "search" else 2 for k in kinds])[0]
            getattr(o, kind)()
        o.c.logout()
        print("%d questions in %.1f s%s" % (o.asked, time.monotonic() - began, o.relax.describe()))
    print("%d passed, %d failed" % (o.passed, o.failed))
    return o.failed > 0


if __name__ == "__main__":
    sys.exit(main())
