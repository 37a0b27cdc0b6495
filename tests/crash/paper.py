#!/usr/bin/python3
"""paper - every state that a power cut may leave, by the rules on paper: only what was synced is sure.

    paper.py BUILD [--commits N] [--subsets N] [--every N] [--seed N] [--shards N] [--table]

The store's writer carries out its plan below faultdisk.so, which writes down every write, sync and name. It is
struck dead, fed with a failing sync, and goes on. Afterwards states are made of that: what was synced, and of
the rest nothing, or whole writes, blocks, sectors, names, drawn from the seed. A file whose directory was not
synced may be missing, one that was removed may be back; ext4 would forgive that, these states do not. The store
must open in each, with everything that was acknowledged. Then each single sync is left out in turn: a state with
a loss must be found, or nothing shows what that sync is for.

With --shards 3 a store of one shard is written to, and grows to three on the way, while the process dies or its disk
fails at any call; then commits go to all of them, bodies from one to the other. Before the growth was acknowledged a
state must grow in the same way, afterwards it must have all of its shards by itself.
"""
import argparse
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import faultdisk  # noqa: E402
import papertree  # noqa: E402
from faultdisk import EV_ACK, EV_SYNC, EV_SYNC_DIR, EV_UNLINK, EV_WRITE  # noqa: E402
from papertree import BLOCKS, HOW, NOTHING, O_DSYNC, PREFIX, SECTORS, WRITES  # noqa: E402, F401 (others take them from here)

# Every sync of the engine, by the function that calls it. A new one comes here when its absence is noticed.
SYNCS = ("O_DSYNC", "apply_once via liblmdb", "file_finish", "file_finish (directory)", "finish", "finish (directory)", "index_born via liblmdb",
         "log_reopen", "log_segment_new", "log_segment_new (directory)", "log_write", "run_write")
# And of a store with shards, where those of an index are as in any store.
SHARD_SYNCS = ("dir_make (directory)", "identity_write (directory)", "write_new")
INDEX_SYNCS = ("O_DSYNC", "apply_once via liblmdb", "index_born via liblmdb")


def site_name(program, site):
    """function of the program, via the library that it called"""
    out = subprocess.run(["addr2line", "-fe", program, hex(site.program - 1)], stdout=subprocess.PIPE, text=True)
    return out.stdout.split("\n")[0] + (" via " + site.library.split(".")[0] if site.library else "")


def site_names(program, sites, trace):
    """{number: name} of the syncs in a trace; several in one function are numbered in the order of the program."""
    there, of_name, names = {e.flag: e.what for e, _ in trace if e.what in (EV_SYNC, EV_SYNC_DIR)}, {}, {}
    for number, what in sorted(there.items(), key=lambda item: sites[item[0]].program):
        name = site_name(program, sites[number]) + (" (directory)" if what == EV_SYNC_DIR else "")
        of_name.setdefault(name, []).append(number)
    for name, numbers in of_name.items():
        for k, number in enumerate(numbers):
            names[number] = name + (" %d" % (k + 1) if len(numbers) > 1 else "")
    if any(e.what == EV_WRITE and e.flag for e, _ in trace):
        names[O_DSYNC] = "O_DSYNC"
    return names


def tables(opt, wanted, known, run):
    """run(opt, table) for seeds from opt.seed on, until each wanted sync was missed; says so. The exit status."""
    table, passed, failed, seed = {}, 0, 0, int(opt.seed)
    for k in range(opt.traces if wanted else 1):
        opt.seed = str(seed + k)
        good = run(opt, table)
        passed, failed = passed + good, failed + (not good)
        if set(wanted) <= {name for name, found in table.items() if found}:
            break
    for name in sorted(set(table) | set(wanted) if wanted else ()):
        good = bool(table.get(name)) and name in known
        passed, failed = passed + good, failed + (not good)
        print("%s: without %-40s %s%s" % ("ok" if good else "FAILED", name, table.get(name) or "nothing is lost",
                                          "" if name in known else "; it is not in the list"))
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


class Paper:
    def __init__(self, opt):
        self.opt = opt
        where = os.path.join(os.path.abspath(opt.build), "tests", "crash")
        self.writer, self.library = os.path.join(where, "engine-writer"), os.path.join(where, "faultdisk.so")
        base = "/dev/shm" if os.path.isdir("/dev/shm") else None
        self.dir = tempfile.mkdtemp(prefix="gh-paper-", dir=base)
        self.store, self.ack = os.path.join(self.dir, "store"), os.path.join(self.dir, "acks")
        self.looked = self.deaths = 0
        self.spec = "%d*lmdb" % opt.shards if opt.shards > 1 else "lmdb"
        self.syncs = tuple(s for s in SYNCS if s not in INDEX_SYNCS) + SHARD_SYNCS if opt.shards > 1 else SYNCS

    def lives(self):
        """(commits, spec, calls among which one is struck, what may happen) of each life in turn."""
        opt = self.opt
        ends = [(faultdisk.DIE_HALF, 1 << faultdisk.WRITE), (faultdisk.FAIL, 1 << faultdisk.SYNC),
                (faultdisk.DIE_AFTER, faultdisk.CHANGES), (faultdisk.FAIL_HALF, 1 << faultdisk.WRITE),
                (faultdisk.DIE_HALF, 1 << faultdisk.WRITE)]
        if opt.shards > 1:
            for k in range(4):
                yield opt.commits // 4, "1*lmdb", opt.commits // 16, ends[k]
            yield opt.commits // 4, "1*lmdb", 0, None
            # The growth is some eighty calls; each life goes on where the one before ended. In one trace of three it is all of one life.
            for act in (faultdisk.DIE_BEFORE, faultdisk.DIE_HALF, faultdisk.DIE_AFTER, faultdisk.FAIL, faultdisk.DIE_AFTER,
                        faultdisk.DIE_HALF) if int(opt.seed) % 3 else ():
                yield opt.commits, self.spec, 40, (act, faultdisk.CHANGES)
        for k in range(2 * len(ends)):
            yield opt.commits, self.spec, opt.commits // 8, ends[k % len(ends)]
        while True:
            yield opt.commits, self.spec, 0, None

    def write(self):
        """The plan in several lives; the trace of all of them."""
        rng = random.Random("paper %s" % self.opt.seed)
        board = faultdisk.Board(os.path.join(self.dir, "board"), trace_mib=8 + self.opt.commits)
        shutil.rmtree(self.store, ignore_errors=True)
        os.mkdir(self.store)
        self.inode = os.stat(self.store).st_ino
        open(self.ack, "w", encoding="ascii").close()
        board.set(sync_us=300)  # so that checkpoints and compaction go on beside the commits
        for commits, spec, calls, end in self.lives():
            if end:
                board.strike(rng.randrange(1, 1 + calls), end[0], end[1], error=5)
            else:
                board.rest()
            done = subprocess.run([self.writer, "resume", self.store, self.ack, self.opt.seed, str(commits), spec], timeout=120,
                                  env=board.env(self.library, self.ack), capture_output=True, text=True)
            if done.returncode == 0 and commits == self.opt.commits:
                break
            self.deaths += done.returncode != 0
            # A sync that fails while the store is opened is a reason not to open it, and half a write is a full disk for LMDB.
            if done.returncode not in (0, faultdisk.DIED, 4) and not re.search("does not open: (io|full)", done.stderr):
                raise SystemExit("FAILED: a life ended with %d: %s" % (done.returncode, done.stdout + done.stderr))
        events, where = board.trace()
        sites = board.sites()
        board.close()
        shutil.rmtree(self.store)
        return list(zip(events, where)), sites

    def unmarked(self, state, acks):
        """A part of the store that does not say that the stop was not in order."""
        shards = max([1] + [int(a) - self.opt.commits for a in acks])
        parts = [state] + [state.get("shard-%d" % k, {}) for k in range(1, shards)]
        return acks and not self.stopped and any(not part.get("running", b"").strip(b"\0") for part in parts)

    def check(self, state, acks):
        """None or what is wrong."""
        self.looked += 1
        if self.unmarked(state, acks):
            return "nothing says that the stop was not in order"
        papertree.write(self.store, state)
        with open(self.ack, "w", encoding="ascii") as f:
            f.write("".join(a + "\n" for a in acks))
        # What was counted needs nobody who asks for it.
        spec = "1*lmdb" if any(int(a) == self.opt.commits + self.opt.shards for a in acks) else self.spec
        done = subprocess.run([self.writer, "check", self.store, self.ack, self.opt.seed, str(self.opt.commits), spec], timeout=60,
                              capture_output=True, text=True)
        return None if done.returncode == 0 else "exit %d: %s" % (
            done.returncode, (done.stdout + done.stderr).strip()[-200:])

    def play(self, trace, without=None, every=1, first=False):
        """[what is wrong] in the states of a trace."""
        disk, wrong, acks, n = papertree.Tree(self.inode, without), [], [], 0
        self.stopped = False
        for event, position in trace + [(None, 0)]:
            if (event is None or event.what in (EV_SYNC, EV_SYNC_DIR)) and disk.open_ends():
                rng = random.Random("%s %d" % (self.opt.seed, n))
                for k in range(1 + self.opt.subsets):
                    n += 1
                    if k > 0 and n % every:
                        continue
                    how = NOTHING if k == 0 else 1 + k % 4
                    why = self.check(disk.state(how, random.Random(rng.random())), acks)
                    if why:
                        wrong.append("state %d, of what was not synced %s: %s" % (n, HOW[how], why))
                        if first:
                            return wrong
            if event is not None:
                disk.step(event, position)
                acks += event.data.decode().split() if event.what == EV_ACK else []
                # A growth that fails closes what was opened; nothing happens to it until something is acknowledged again.
                self.stopped = event.what != EV_ACK and (self.stopped or (event.what == EV_UNLINK and event.data == b"running"))
        return wrong


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("build")
    a.add_argument("--commits", type=int, default=60)
    a.add_argument("--subsets", type=int, default=50)
    a.add_argument("--every", type=int, default=1, help="visit one state in N")
    a.add_argument("--seed", default="1")
    a.add_argument("--shards", type=int, default=1)
    a.add_argument("--table", action="store_true", help="leave out each sync in turn")
    a.add_argument("--traces", type=int, default=12, help="with --table: so many, until each sync was missed")
    opt = a.parse_args()
    paper = Paper(opt)
    passed = failed = 0
    try:
        good, table = run(paper, opt)
        passed, failed = passed + good, failed + (not good)
        for name in sorted(set(table) | set(paper.syncs) if opt.table else ()):
            found = table.get(name)
            good = bool(found) and name in paper.syncs
            passed, failed = passed + good, failed + (not good)
            print("%s: without %-40s %s%s" % ("ok" if good else "FAILED", name, found or "nothing is lost",
                                              "" if name in paper.syncs else "; it is not in the list"))
    finally:
        shutil.rmtree(paper.dir)
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


def run(paper, opt):
    """Traces, until each sync was missed in one of them; (no loss in any as it is, {sync: how it was missed})."""
    began, table, wrong, acks, syncs, seed = time.monotonic(), {}, [], 0, 0, int(opt.seed)
    states = 0
    for k in range(opt.traces if opt.table else 1):
        paper.opt.seed = str(seed + k)
        trace, sites = paper.write()
        acks += sum(1 for e, _ in trace if e.what == EV_ACK)
        syncs += sum(1 for e, _ in trace if e.what in (EV_SYNC, EV_SYNC_DIR))
        paper.looked = 0
        wrong += ["seed %s, %s" % (paper.opt.seed, w) for w in paper.play(trace, every=opt.every)]
        states += paper.looked
        if opt.table:
            miss(paper, trace, sites, table)
        if set(paper.syncs) <= set(name for name, found in table.items() if found):
            break
    good = not wrong and acks >= opt.commits // 2 and syncs > 10
    print("%s: %d states after power cuts, %d deaths, %d acknowledgements, %d syncs, %d losses, seeds %d to %s, %.1f s" % (
        "ok" if good else "FAILED", states, paper.deaths, acks, syncs, len(wrong), seed, paper.opt.seed, time.monotonic() - began))
    for line in wrong[:5]:
        print("    " + line)
    return good, table


def miss(paper, trace, sites, table):
    """Leaves out each sync of a trace whose absence was not noticed so far."""
    for site, name in site_names(paper.writer, sites, trace).items():
        if (name in paper.syncs or name not in INDEX_SYNCS) and table.setdefault(name, "") == "":
            paper.looked = 0
            wrong = paper.play(trace, without=site, first=True, every=paper.opt.every)
            if wrong:
                table[name] = "seed %s, %d states: %s" % (paper.opt.seed, paper.looked, wrong[0].split("\n")[0])


if __name__ == "__main__":
    sys.exit(main())
