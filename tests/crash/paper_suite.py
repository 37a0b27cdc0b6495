#!/usr/bin/python3
"""paper_suite - the states of paper.py under the whole suite: a client's work, then its store after power cuts.

    paper_suite.py BUILD [--operations 60] [--every 50] [--subsets 50] [--states N] [--starts 3] [--seed N]
                         [--shards N] [--without SITE | --table [--traces N]]

One client delivers, appends, flags, copies, moves, expunges, creates, deletes, renames, subscribes, restores and
purges, one after the other, half of the time with compression; compactions and backups go on beside it, and stored
is struck dead or its disk fails a few times. What stored does to its disk is written down, and with each answer how
far that had come. Then states are made as a power cut between any two syncs may leave them: without anything that was
not synced, and `subsets` with a part of it (one in `every` of these; at most `states` of them). Each must open, and
mailboxes, subscriptions, bytes, threads, and what can be restored must be as the last operation answered before the cut
left them, or as the one in flight would have; nothing that was shown is taken back. On a few the suite is started.
With a sync left out a state with a loss must be found: --table does that for each, --without for one.

With --shards 3 the store begins with one shard and grows; an account in each of the new ones, made on the way, works
besides, messages for all of them and copies from one account to the other cross the shards, and accounts come and go
there. A state of before the growth must grow by itself, a later one has its shards already.
"""
import argparse
import collections
import itertools
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import below  # noqa: E402
import faultdisk  # noqa: E402
import look  # noqa: E402
import mix_account  # noqa: E402
import paper  # noqa: E402
import papertree  # noqa: E402
import suite  # noqa: E402
from kill_imap import Lost  # noqa: E402
from mix_account import Account  # noqa: E402
from paper_family import NOBODY, Family  # noqa: E402

Cut = collections.namedtuple("Cut", "position how draw")
WAYS = (paper.PREFIX, paper.WRITES, paper.BLOCKS, paper.SECTORS)
# What happens to stored on the way: it dies with a frame that was not synced, half of one, or anywhere; a sync fails.
STRIKES = ((faultdisk.DIE_AFTER, 1 << faultdisk.WRITE), (faultdisk.FAIL, 1 << faultdisk.SYNC), (faultdisk.DIE_HALF, 1 << faultdisk.WRITE),
           (faultdisk.DIE_AFTER, faultdisk.CHANGES))


class Traced(below.Below):
    small = True
    trace_mib = 256

    def stopped(self):
        self.store = os.path.join(self.dir, "data", "store")
        os.unlink(os.path.join(self.store, "data.mdb"))  # the index: it is made of the log
        self.before = papertree.snapshot(self.store)
        self.plain = self.libexec
        if self.shards > 1:
            self.edit("store_shards = 1", "store_shards = %d" % self.shards)

    def oldest(self):
        """The first segment of the log that there is, in the shard that the client is in."""
        return min(name for name in os.listdir(self.store) if name.startswith("log-"))

    def disk(self, without=None):
        return papertree.Tree.of(self.before, without)


def backup(s):
    """Its exit status."""
    program = os.path.join(s.root, "usr/lib/gatehouse/gatehouse-backup")
    return subprocess.run([program, "--json", "--keep=1", "backup", os.path.join(s.dir, "data"), os.path.join(s.dir, "backup")],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE).returncode


def beside(s, stop, backups):
    """Compactions, and now and then a backup."""
    for turn in itertools.count(1):
        if turn % 8 == 0:
            backups.append(backup(s))
        else:
            s.ctl("store", "compact", ok=False)
        if stop.wait(0.02):
            return


def done(family):
    return sum(c.done for c in family.clients)


def work(s, opt):
    family = Family(s, opt)
    stop, rng = threading.Event(), random.Random("strikes %s" % opt.seed)
    family.backups = [backup(s)]  # one that nothing disturbs
    helper = threading.Thread(target=beside, args=(s, stop, family.backups))
    helper.start()
    struck, compressed, oldest = 0, False, s.oldest()
    try:
        # In the long forms until a compaction gave something back, which takes its time on a busy machine.
        while done(family) < opt.operations or (opt.operations >= 150 and s.oldest() == oldest and done(family) < 20 * opt.operations):
            if done(family) * 2 > opt.operations and not compressed:
                compressed = True
                s.ctl("domain", "settings", suite.DOMAIN, "CompressMessages=YES")
            if struck < len(STRIKES) and done(family) > (struck + 1) * opt.operations // (len(STRIKES) + 1):
                family.calm = min(family.calm, s.board.get("trace_n"))
                s.board.strike(rng.randrange(1, 4), *STRIKES[struck % len(STRIKES)], error=5)
                struck += 1
            family.one()
        s.board.rest()
        family.check()
    finally:
        s.board.rest()
        stop.set()
        helper.join()
    return family


class Cuts:
    """The states to visit, and what each must be."""

    def __init__(self, s, opt, family):
        self.s, self.opt, self.family = s, opt, family
        events, where = s.board.trace()
        self.trace = list(zip(events, where))
        self.syncs = sum(1 for e in events if e.what in (faultdisk.EV_SYNC, faultdisk.EV_SYNC_DIR))
        # From its first answer on the suite has its shards. With the master gone stored may have stopped in order before it was killed.
        self.begun = family.clients[0].journal[1].at
        self.in_order = next((p for e, p in self.trace if e.what == faultdisk.EV_UNLINK and e.data == b"running"), self.trace[-1][1] + 1)
        self.made = sum(1 for e in events if e.what == faultdisk.EV_CREATE)
        self.given_back = sum(1 for e in events if e.what == faultdisk.EV_UNLINK)
        self.judge = look.Judge(opt.build)
        self.dir = tempfile.mkdtemp(prefix="gh-paper-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        self.looked = collections.Counter()
        accounts, self.at_end = self.judge.look(s.store)
        # Numbers grow, and clients began one after the other.
        self.accounts = dict(zip(sorted(n for n, found in accounts.items() if Account.second in found.boxes), family.clients))
        self.others = {n for n in accounts if n < max(self.accounts)} - set(self.accounts)

    def close(self):
        self.judge.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def boundaries(self, disk):
        """Before each sync, and at the end: (number, position); steps the disk."""
        for number, (event, position) in enumerate(self.trace):
            if event.what in (faultdisk.EV_SYNC, faultdisk.EV_SYNC_DIR):
                yield number, position
            disk.step(event, position)
        yield len(self.trace), self.s.board.get("trace_n")

    def chosen(self, without):
        """{number: [Cut]} of all states to visit."""
        disk, every, out = self.s.disk(without), [], {}
        for number, position in self.boundaries(disk):
            rng = random.Random("%s %d" % (self.opt.seed, number))
            out[number] = [Cut(position, paper.NOTHING, 0)]
            if disk.open_ends():
                every += [(number, Cut(position, WAYS[k % 4], rng.random())) for k in range(self.opt.subsets)]
        wanted = min(len(every) // self.opt.every, self.opt.states or len(every))
        for number, cut in sorted(random.Random("states %s" % self.opt.seed).sample(every, wanted)):
            out[number].append(cut)
        return out

    def states(self, without=None):
        """(Cut, {name: bytes}) of each."""
        chosen, disk = self.chosen(without), self.s.disk(without)
        for number, position in self.boundaries(disk):
            for cut in chosen[number]:
                yield cut, disk.state(cut.how, random.Random(cut.draw))

    def unmarked(self, cut, state):
        """A part of the store that does not say that the stop was not in order."""
        parts = [state] + [state.get("shard-%d" % k, {}) for k in range(1, self.opt.shards)]
        return self.begun <= cut.position <= self.in_order and any(not part.get("running", b"").strip(b"\0") for part in parts)

    def wrong(self, cut, state):
        """None, or what is wrong with a state."""
        self.looked[cut.how] += 1
        if self.unmarked(cut, state):
            return "nothing says that the stop was not in order"
        where = os.path.join(self.dir, "store")
        papertree.write(where, state)
        lacked = self.judge.facts[2]
        accounts, wrong = self.judge.look(where, "%d*lmdb" % (1 if cut.position >= self.begun else self.opt.shards))
        if wrong:
            return "; ".join(wrong[:3])
        if self.judge.shards != self.opt.shards:
            return "it has %d shards" % self.judge.shards
        # A commit that fails may leave some to be made anew.
        if self.judge.facts[2] > lacked and cut.position <= self.family.calm:
            return "%d messages have neither facts nor a kept header" % (self.judge.facts[2] - lacked)
        return self.differs(accounts, cut.position)

    def differs(self, accounts, position):
        for number, client in self.accounts.items():
            states, shown = client.allowed(position)
            why = look.differs(accounts.get(number, look.Found()), states, shown, client.sums, client.roots)
            if why:
                return "%s: %s" % (client.name, why)
        there = {client: look.exact(accounts.get(number, look.Found()).state()) for number, client in self.accounts.items()}
        why = self.family.in_neither(position, there)
        if why:
            return why
        # One that comes and goes.
        passing = [found for number, found in accounts.items() if number not in self.accounts and number not in self.others]
        if len(passing) > 1:
            return "%d accounts are too many" % (len(passing) - 1)
        states, _ = self.family.passing.allowed(position)
        return look.differs(passing[0] if passing else look.Found(), states, None, self.family.passing.sums, {})

    def play(self, without=None, first=False):
        out = []
        for cut, state in self.states(without):
            why = self.wrong(cut, state)
            if why:
                out.append("at %d of %d, of what was not synced %s: %s" % (cut.position, self.trace[-1][1], paper.HOW[cut.how], why[:1500]))
                if first:
                    break
        return out

    # ---- the whole suite on a few of them ----

    def starts(self):
        n = sum(self.looked.values())
        picked = set(random.Random("starts %s" % self.opt.seed).sample(range(n), min(self.opt.starts, n)))
        # A state is good until the next one is asked for.
        return [why for k, (cut, state) in enumerate(self.states()) if k in picked for why in [self.start(cut, state)] if why]

    def start(self, cut, state):
        s = self.s
        papertree.write(s.store, state, os.stat(s.store))
        s.start_again()
        try:
            for client in self.family.clients:
                allowed, _ = client.allowed(cut.position)
                if NOBODY not in allowed:
                    why = self.enter(client, allowed)
                    if why:
                        return "%s: %s" % (client.name, why)
            return None
        finally:
            s.kill_all()

    def enter(self, client, allowed):
        found, end = client.stranger(), time.monotonic() + 60
        while True:
            try:
                found.connect()
                there, right = found.look(), [mix_account.told(a) for a in allowed]
                if there not in right:
                    return "the suite shows %r; must be one of %r" % (there, right)
                for box in [b for b, rows in there[0].items() if rows]:
                    found.check_facts(box)
                return "; ".join(found.faults)
            except Lost:
                if time.monotonic() > end:
                    return "nobody can log in"
            finally:
                found.drop()


def missed(cuts, table, only):
    """Leaves out each sync of a trace whose absence was not noticed so far."""
    for site, name in paper.site_names(cuts.s.program, cuts.s.board.sites(), cuts.trace).items():
        if (only is None or name == only) and not table.setdefault(name, ""):
            cuts.looked.clear()
            wrong = cuts.play(site, first=True)
            if wrong:
                table[name] = "seed %s, %d states: %s" % (cuts.opt.seed, sum(cuts.looked.values()), wrong[0][:300].split("\n")[0])


def run(opt, table):
    """A trace and its states: what is wrong."""
    began = time.monotonic()
    traced = Traced(opt.build, 22900, accounts=1, hash="plain", settings=("store_shards = 1",))
    traced.shards = opt.shards
    with traced as s:
        family = work(s, opt)
        s.kill_all()
        s.libexec = s.plain
        cuts = Cuts(s, opt, family)
        try:
            wrong = cuts.at_end + cuts.play()
            looked = cuts.looked.copy()
            facts = cuts.judge.facts
            starts = cuts.starts()
            if opt.table or opt.without:
                missed(cuts, table, opt.without)
        finally:
            cuts.close()
    states = sum(looked.values())
    good = not wrong and not starts and family.backups[0] == 0 and facts[1] > 0 and (opt.shards == 1 or family.crossed["a move"] > 0) and (cuts.given_back > 0 or opt.operations < 150) and states > cuts.syncs // 2 and looked[paper.NOTHING] < states
    for line in (wrong + starts)[:5]:
        print("    " + line)
    print("%d shards; %s; of the messages in these states %d had facts of their own, %d by a loan, %d none" % (
        opt.shards, ", ".join("%d times %s" % (n, what) for what, n in sorted(family.crossed.items())) or "nothing crossed", *facts))
    print("%s: %d operations, %d syncs, %d files made and %d given back, %d backups, %d states after power cuts (%s), %d losses, the suite started on %d of them, %d wrong, seed %s, %.1f s" % (
        "ok" if good else "FAILED", done(family), cuts.syncs, cuts.made, cuts.given_back, family.backups.count(0), states, ", ".join("%s %d" % (paper.HOW[h], n) for h, n in sorted(looked.items())),
        len(wrong), opt.starts, len(starts), opt.seed, time.monotonic() - began), flush=True)
    return good


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build")
    p.add_argument("--operations", type=int, default=60)
    p.add_argument("--subsets", type=int, default=50)
    p.add_argument("--every", type=int, default=50, help="visit one in N of the states with a part of what was not synced")
    p.add_argument("--states", type=int, default=0, help="at most so many of these")
    p.add_argument("--starts", type=int, default=3)
    p.add_argument("--seed", default="1")
    p.add_argument("--shards", type=int, default=int(os.environ.get("GH_SHARDS", "1")))
    p.add_argument("--without", help="leave this sync out, which must be noticed")
    p.add_argument("--table", action="store_true", help="leave out each sync in turn")
    p.add_argument("--traces", type=int, default=6, help="with these: so many, until each sync was missed")
    opt = p.parse_args()
    syncs = paper.SYNCS + (paper.SHARD_SYNCS if opt.shards > 1 else ())
    return paper.tables(opt, (opt.without,) if opt.without else syncs if opt.table else (), syncs, run)


if __name__ == "__main__":
    sys.exit(main())
