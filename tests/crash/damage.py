#!/usr/bin/python3
"""damage - stores with damaged bytes and pages under the whole suite: it starts, says what to do, and gives nothing wrong.

    damage.py BUILD [--stores 10] [--seed N]

A store is made once, stopped cleanly and by kill -9. In each round a copy of one of the two is damaged, from one
byte to a thousand bytes or pages, in the index, in segments of the log, in body files, or anywhere. Then the
suite starts, and every message is read by IMAP: what comes has the bytes, flags and date it had, and every message
whose bytes and frame were not hit comes. Where the store is refused the suite runs all the same: the doors answer that it is
for now, the log names `gatehousectl store salvage`.
In both cases salvage saves every message that was not hit, with mailbox, flags and date, and what is missing is
named by verify.
"""
import argparse
import bisect
import collections
import datetime
import glob
import hashlib
import json
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import below  # noqa: E402
import suite  # noqa: E402
from suite import A1, DOMAIN, PASSWORD, Failed, Line, check, message  # noqa: E402

BOXES = {"u1": ("INBOX", "Work", "Work/Deep"), "u2": ("INBOX",), "u3": ("INBOX", "Drafts")}
Known = collections.namedtuple("Known", "account box uid sha flags date spans")
FRAME_HEAD, SEG_HEAD, PAGE = 48, 64, 4096


def opened(s, account):
    c = Line((A1, s.port(143)), timeout=60)
    c.want(None, "* OK")
    c.want("a LOGIN %s %s" % (account, PASSWORD), "a OK")
    return c


def fetch(c, uid):
    """(sha, flags, date, bytes), or None; ConnectionError when the server cannot go on with a literal it began."""
    c.send("d UID FETCH %d (FLAGS INTERNALDATE BODY.PEEK[])\r\n" % uid)
    got = None
    while True:
        line = c.file.readline()
        if line.startswith(b"d "):
            return got if line.startswith(b"d OK") else None
        size = re.search(rb"\{(\d+)\}\r\n$", line)
        body = c.file.read(int(size[1])) if size else b""
        if size:
            line += c.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the connection ended")
        if size:
            flags = re.search(rb"FLAGS \(([^)]*)\)", line)[1].decode().split()
            got = (hashlib.sha256(body).hexdigest(), tuple(sorted(set(flags) - {"\\Recent"})),
                   re.search(rb'INTERNALDATE "([^"]*)"', line)[1].decode(), body)


def read_all(s, account):
    """{(box, uid): (sha, flags, date, bytes)} of what is served, and [(box, uid)] of what was refused."""
    out, refused, c = {}, [], opened(s, account)
    for box in BOXES[account]:
        found = answer(c, 'b EXAMINE "%s"' % box) + answer(c, "c UID SEARCH ALL")
        for uid in [int(u) for line in found if line.startswith("* SEARCH") for u in line.split()[2:]]:
            try:
                got = fetch(c, uid)
            except ConnectionError:
                c.close()
                c, got = opened(s, account), None
                answer(c, 'b EXAMINE "%s"' % box)
            if got:
                out[box, uid] = got
            else:
                refused.append((box, uid))
    c.close()
    return out, refused


def answer(c, text):
    """All lines of an answer; an answer of NO has none."""
    tag = text.split()[0]
    line, out = c.ask(text), []
    while line is not None and not line.startswith(tag + " "):
        out.append(line)
        line = c.line()
    check(line is not None, "the connection ended after %r", text)
    return out if line.startswith(tag + " OK") else []


def copy(path, to):
    """With owners, times and modes."""
    shutil.rmtree(to, ignore_errors=True)
    subprocess.run(["cp", "-a", path, to], check=True)


def fill(s, rng):
    for name, boxes in BOXES.items():
        with Line((A1, s.port(143)), timeout=60) as c:
            c.want(None, "* OK")
            c.want("a LOGIN %s %s" % (name, PASSWORD), "a OK")
            for box in boxes[1:]:
                check(c.ask('b CREATE "%s"' % box).startswith("b OK"), "CREATE")
            for k in range(12):
                box = rng.choice(boxes)
                n = rng.choice((10, 300, 3000, 20000, 90000))
                body = message("".join("%016x\r\n" % rng.getrandbits(64) for _ in range(n // 18)), "%s %d" % (name, k))
                flags = rng.sample(("\\Seen", "\\Flagged", "\\Answered", "one", "two"), rng.randrange(3))
                c.send('d APPEND "%s" (%s) "0%d-Feb-2021 10:00:0%d +0000" {%d+}\r\n' % (box, " ".join(flags), 1 + k % 9, k % 10, len(body)))
                c.send(body + b"\r\n")
                line = c.line()
                while not line.startswith("d "):
                    line = c.line()
                check(line.startswith("d OK"), "APPEND: %s", line)
            answer(c, 'f SELECT "INBOX"')
            answer(c, "g STORE 1:2 +FLAGS (\\Seen three)")
            answer(c, "h UID COPY 1 \"%s\"" % boxes[-1])
    s.deliver("u2@" + DOMAIN, message("".join("%016x\r\n" % rng.getrandbits(64) for _ in range(90000)), "large"))


class Store:
    """A store's files as they were, what is in it, and where that lies."""

    def __init__(self, path, known):
        self.path, self.known = path, known

    @staticmethod
    def frames(data):
        """[(from, to)] of the heads and rows of a segment's frames: all of it but bodies."""
        out, at = [(0, SEG_HEAD)], SEG_HEAD
        while data[at:at + 4] == b"GHF1":
            _, rows, _, bodies = struct.unpack_from("<IIIQ", data, at + 4)
            end = at + FRAME_HEAD + (rows + 7) // 8 * 8
            out.append((at, end))
            at = end + bodies
        return out

    @classmethod
    def learn(cls, path, served):
        files = {}
        for name in sorted(os.listdir(path)):
            if name.startswith(("log-", "body-")):
                with open(os.path.join(path, name), "rb") as f:
                    files[name] = f.read()
        known = []
        for account, rows in served.items():
            for (box, uid), (sha, flags, date, body) in rows.items():
                # Its bytes lie in one piece, its table of sums (8 for each 4 KiB at most) behind them.
                spans = [(name, at, at + len(body) + len(body) // 512 + 64) for name, data in files.items()
                         for at in [data.find(body)] if at >= 0]
                check(spans, "the bytes of %s %s %d were not found", account, box, uid)
                known.append(Known(account, box, uid, sha, flags, date, spans))
        return cls(path, known)

    def damage(self, to, rng):
        """Copies the store to `to`, damaged; (what was done, {file: [places]}, whether rows of the log were hit)."""
        copy(self.path, to)
        kind = rng.choice(("data.mdb", "data.mdb", "log-*", "log-*", "body-*", "*"))
        files = [p for p in sorted(glob.glob(os.path.join(to, kind))) if os.path.basename(p).startswith(("log-", "body-", "data.mdb"))
                 and os.path.getsize(p) > 0]
        pages, many = rng.random() < 0.4, rng.choice((1, 1, 3, 10, 100, 1000))
        hits = collections.defaultdict(set)
        for _ in range(many):
            path = rng.choice(files)
            with open(path, "r+b") as f:
                at = rng.randrange(os.path.getsize(path))
                n = 1
                if pages:
                    at, n = at // PAGE * PAGE, PAGE
                f.seek(at)
                was = f.read(n)
                new = bytes([was[0] ^ rng.randrange(1, 256)]) if not pages else rng.choice((bytes(len(was)), rng.randbytes(len(was))))
                f.seek(at)
                f.write(new)
                hits[os.path.basename(path)].update(at + i for i in range(len(was)) if was[i] != new[i])
        rows = False
        for name, places in hits.items():
            if name.startswith("log-"):
                with open(os.path.join(self.path, name), "rb") as f:
                    parts = self.frames(f.read())
                rows = rows or any(self.touched(sorted(places), a, b) for a, b in parts)
        return "%d %s in %s" % (many, "pages" if pages else "bytes", kind), {n: sorted(p) for n, p in hits.items()}, rows

    @staticmethod
    def touched(places, begin, end):
        i = bisect.bisect_left(places, begin)
        return i < len(places) and places[i] < end

    def hit(self, k, hits):
        """Whether the bytes of a message were."""
        return any(name in hits and self.touched(hits[name], a, b) for name, a, b in k.spans) or \
            any(self.touched(p, 0, SEG_HEAD) for n, p in hits.items() if any(n == span[0] for span in k.spans))


class Run:
    def __init__(self, opt, s):
        self.opt, self.s = opt, s
        self.store = os.path.join(s.dir, "data", "store")
        self.figures = collections.Counter()

    def make(self):
        """The two stores, and the data directory as it is for both."""
        fill(self.s, random.Random("damage"))
        served = {a: read_all(self.s, a)[0] for a in BOXES}
        out = []
        for name in ("killed", "clean"):
            if name == "killed":
                below.Below.kill_all(self.s)
            else:
                self.s.start_again()
                self.s.stop()
            kept = os.path.join(self.s.dir, name)
            copy(self.store, kept)
            out.append(Store.learn(kept, served))
        return out

    def tool(self, *args):
        done = subprocess.run([os.path.join(self.s.root, "usr/lib/gatehouse/gatehouse-salvage"), "--json", *args], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
        check(done.returncode in (0, 1), "%s: status %d: %s", args[0], done.returncode, done.stderr[-500:])
        return json.loads(done.stdout)

    def salvaged(self, store, hits, rows):
        out = os.path.join(self.s.dir, "out")
        shutil.rmtree(out, ignore_errors=True)
        self.tool("salvage", os.path.join(self.s.dir, "data"), out)
        found = set()
        with open(os.path.join(out, "manifest.jsonl"), encoding="utf-8") as f:
            for row in map(json.loads, f):
                found.add((row["account"].split("@")[0], row["mailbox"], row["sha256"], tuple(sorted(row["flags"])), row["date"]))
        for k in store.known:
            if not store.hit(k, hits) and not rows:
                date = int(datetime.datetime.strptime(k.date.strip(), "%d-%b-%Y %H:%M:%S %z").timestamp())
                check((k.account, k.box, k.sha, k.flags, date) in found, "salvage did not save %s %s %d", k.account, k.box, k.uid)
        return {f[2] for f in found}

    def served(self, store, hits, rows):
        missing = 0
        for account in BOXES:
            try:
                got, refused = read_all(self.s, account)
            except (OSError, Failed) as e:
                raise Failed("%s: %s" % (account, e)) from None
            for k in (k for k in store.known if k.account == account):
                now = got.get((k.box, k.uid))
                if now is None:
                    missing += 1
                    check(store.hit(k, hits) or rows, "%s %s %d is not served, and was not damaged%s", account, k.box, k.uid,
                          ": refused" if (k.box, k.uid) in refused else "")
                else:
                    check(now[0] == k.sha, "%s %s %d has other bytes", account, k.box, k.uid)
                    check(rows or (now[1], now[2]) == (k.flags, k.date), "%s %s %d has %s, not %s", account, k.box, k.uid, now[1:3],
                          (k.flags, k.date))
        return missing

    def shut(self):
        """The suite runs, and says that it cannot serve mail now."""
        suite.refused(self.s.pop, text="[SYS/TEMP]")
        with self.s.lmtp() as l:
            l.command("MAIL FROM:<>", 250)
            check(l.command("RCPT TO:<u1@%s>" % DOMAIN)[0] // 100 == 4, "LMTP takes mail")
        check(DOMAIN in self.s.ctl("domain", "list"), "administrators are not served")

    def round(self, number, stores):
        rng = random.Random("%s %d" % (self.opt.seed, number))
        store = rng.choice(stores)
        what, hits, rows = store.damage(self.store, rng)
        self.what = "%s, %s" % (os.path.basename(store.path), what)
        before = len(self.s.log_text())
        self.s.start_again()
        said = self.s.log_text()[before:]
        if "database.refused" in said:
            check("gatehousectl store salvage" in said, "the store is refused, and nobody says what to do: %s", said[-800:])
            check(rows or any(n.startswith("log-") for n in hits), "refused for nothing: %s", said[-800:])
            self.shut()
            self.figures["refused"] += 1
            self.s.stop()
            self.salvaged(store, hits, rows)
            return
        missing = self.served(store, hits, rows)
        self.figures["started"] += 1
        self.figures["not served"] += missing
        self.figures["rebuilt"] += "engine.rebuilt" in self.s.log_text()[before:]
        self.s.stop()
        if missing:
            named = self.tool("verify", os.path.join(self.s.dir, "data"))
            check(named["items"], "%d messages are not served, and verify names nothing", missing)
        if number % 3 == 0:
            self.salvaged(store, hits, rows)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build")
    p.add_argument("--stores", type=int, default=10)
    p.add_argument("--first", type=int, default=0)
    p.add_argument("--seconds", type=int, default=3600, help="no new store after so long")
    p.add_argument("--seed", default="1")
    opt = p.parse_args()
    passed = failed = 0
    began = time.monotonic()
    with suite.Suite(opt.build, 22800, accounts=3, hash="plain") as s:
        run = Run(opt, s)
        stores = run.make()
        for number in range(opt.first, opt.first + opt.stores):
            if time.monotonic() - began > opt.seconds:
                break
            try:
                run.round(number, stores)
                passed += 1
            except (Failed, OSError, ValueError, subprocess.SubprocessError) as e:
                failed += 1
                print("FAILED: store %d of seed %s (%s): %s" % (number, opt.seed, run.what, e), flush=True)
                if s.master():
                    s.stop()
                s.process = None
    print("%d stores: %s, seed %s, %.0f s" % (passed + failed, dict(run.figures), opt.seed, time.monotonic() - began))
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
