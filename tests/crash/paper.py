#!/usr/bin/python3
"""paper - every state that a power cut may leave, by the rules on paper: only what was synced is sure.

    paper.py BUILD [--commits N] [--subsets N] [--every N] [--seed N] [--table]

The store's writer carries out its plan below faultdisk.so, which writes down every write, sync and name. It is
struck dead, fed with a failing sync, and goes on. Afterwards states are made of that: what was synced, and of
the rest nothing, or whole writes, blocks, sectors, names, drawn from the seed. A file whose directory was not
synced may be missing, one that was removed may be back; ext4 would forgive that, these states do not. The store
must open in each, with everything that was acknowledged. Then each single sync is left out in turn: a state with
a loss must be found, or nothing shows what that sync is for.
"""
import argparse
import collections
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import faultdisk  # noqa: E402
from faultdisk import (EV_ACK, EV_CREATE, EV_RENAME, EV_SYNC, EV_SYNC_DIR, EV_TRUNCATE,  # noqa: E402
                       EV_UNLINK, EV_WRITE)

NOTHING, PREFIX, WRITES, BLOCKS, SECTORS = range(5)
HOW = ("nothing", "a torn prefix", "some writes", "some blocks", "some sectors")
O_DSYNC = -1  # stands for the site of LMDB's own synchronous writes
# Every sync of the engine, by the function that calls it. A new one comes here when its absence is noticed.
SYNCS = ("O_DSYNC", "apply_once via liblmdb", "file_finish", "file_finish (directory)", "finish", "finish (directory)", "index_born via liblmdb",
         "log_reopen", "log_segment_new", "log_segment_new (directory)", "log_write", "run_write")


class File:
    """What is sure of it, and what was done since: [event]."""

    def __init__(self):
        self.sure, self.since = bytearray(), []


def change(data, event):
    if event.what == EV_TRUNCATE:
        del data[event.at:]
        data.extend(bytes(event.at - len(data)))
        return
    end = event.at + len(event.data)
    data.extend(bytes(max(0, end - len(data))))
    data[event.at:end] = event.data


def parts(event, size):
    """A write as writes of single blocks."""
    at = event.at
    while at < event.at + len(event.data):
        end = min((at // size + 1) * size, event.at + len(event.data))
        yield event._replace(at=at, data=event.data[at - event.at:end - event.at])
        at = end


class Disk:
    """Follows a trace; `without` is a site whose syncs do nothing."""

    def __init__(self, without=None):
        self.without = without
        self.files = {}          # number -> File
        self.of_ino = {}         # inode -> number, now
        self.names = {}          # name -> number, sure
        self.moves = []          # (event, number) of names, since
        self.acks = []

    def base(self, directory):
        """What lies there is sure."""
        for name in os.listdir(directory):
            path, number = os.path.join(directory, name), len(self.files)
            self.files[number] = File()
            with open(path, "rb") as f:
                self.files[number].sure += f.read()
            self.of_ino[os.stat(path).st_ino] = number
            self.names[name] = number

    def step(self, event, position):
        if event.what in (EV_WRITE, EV_TRUNCATE):
            number = self.of_ino.get(event.ino)
            if number is None:
                return  # not of the store
            f = self.files[number]
            if event.what == EV_WRITE and event.flag and self.without != O_DSYNC:
                change(f.sure, event)
            else:
                f.since.append((event, position))
        elif event.what == EV_CREATE:
            number = len(self.files)
            self.files[number] = File()
            self.of_ino[event.ino] = number
            self.moves.append((event, position, number))
        elif event.what in (EV_UNLINK, EV_RENAME):
            self.moves.append((event, position, None))
        elif event.what == EV_ACK:
            self.acks += event.data.decode().split()
        elif event.what in (EV_SYNC, EV_SYNC_DIR) and event.flag != self.without:
            self.sync(event)

    def sync(self, event):
        if event.what == EV_SYNC_DIR:
            for move in self.moves:
                if move[1] < event.at:
                    self.rename(self.names, move)
            self.moves = [m for m in self.moves if m[1] >= event.at]
            return
        number = self.of_ino.get(event.ino)
        if number is None:
            return
        f = self.files[number]
        for e, p in f.since:
            if p < event.at:
                change(f.sure, e)
        f.since = [(e, p) for e, p in f.since if p >= event.at]

    @staticmethod
    def rename(names, move):
        event, _, number = move
        if event.what == EV_CREATE:
            names[event.data.decode()] = number
        elif event.what == EV_UNLINK:
            names.pop(event.data.decode(), None)
        else:
            old, new = event.data.decode().rstrip("\0").split("\0")
            if old in names:
                names[new] = names.pop(old)

    def open_ends(self):
        return len(self.moves) + sum(len(f.since) for f in self.files.values())

    def state(self, how, rng):
        """{name: bytes} of one state that a cut now may leave."""
        def lives():
            return how != NOTHING and rng.random() < 0.5
        names = dict(self.names)
        moves = self.moves[:rng.randrange(len(self.moves) + 1)] if how == PREFIX else [m for m in self.moves if lives()]
        for move in moves:
            self.rename(names, move)
        out = {}
        cut = rng.randrange(1 + max([p for f in self.files.values() for _, p in f.since], default=0)) if how == PREFIX else 0
        for name, number in names.items():
            f = self.files[number]
            data = f.sure
            if how != NOTHING and f.since:
                data = bytearray(data)
                for e, p in f.since:
                    if how == PREFIX:
                        if p < cut:
                            change(data, e)
                    elif how == WRITES or e.what == EV_TRUNCATE:
                        if lives():
                            change(data, e)
                    else:
                        for part in parts(e, 4096 if how == BLOCKS else 512):
                            if lives():
                                change(data, part)
            out[name] = data
        return out


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

    def write(self):
        """The plan in several lives; the trace of all of them."""
        rng = random.Random("paper %s" % self.opt.seed)
        board = faultdisk.Board(os.path.join(self.dir, "board"), trace_mib=8 + self.opt.commits)
        shutil.rmtree(self.store, ignore_errors=True)
        os.mkdir(self.store)
        open(self.ack, "w", encoding="ascii").close()
        board.set(sync_us=300)  # so that checkpoints and compaction go on beside the commits
        lives = []  # how each ended
        while True:
            plan = [(faultdisk.DIE_HALF, 1 << faultdisk.WRITE), (faultdisk.FAIL, 1 << faultdisk.SYNC),
                    (faultdisk.DIE_AFTER, faultdisk.CHANGES), (faultdisk.FAIL_HALF, 1 << faultdisk.WRITE),
                    (faultdisk.DIE_HALF, 1 << faultdisk.WRITE)]
            if len(lives) < 2 * len(plan):
                act, kinds = plan[len(lives) % len(plan)]
                board.strike(rng.randrange(1, 1 + self.opt.commits // 8), act, kinds, error=5)
            else:
                board.rest()
            done = subprocess.run([self.writer, "resume", self.store, self.ack, self.opt.seed, str(self.opt.commits)], timeout=120,
                                  env=board.env(self.library, self.ack), capture_output=True, text=True)
            lives.append(done.returncode)
            if done.returncode == 0:
                break
            # A sync that fails while the store is opened is a reason not to open it.
            if done.returncode not in (faultdisk.DIED, 4) and "does not open: io" not in done.stderr:
                raise SystemExit("FAILED: life %d ended with %d: %s" % (len(lives), done.returncode, done.stdout + done.stderr))
        self.deaths += len(lives) - 1
        events, where = board.trace()
        sites = board.sites()
        board.close()
        shutil.rmtree(self.store)
        return list(zip(events, where)), sites

    def check(self, state, acks):
        """None or what is wrong."""
        self.looked += 1
        if acks and not state.get("running", b"").strip(b"\0"):
            return "nothing says that the stop was not in order"
        shutil.rmtree(self.store, ignore_errors=True)
        os.mkdir(self.store)
        for name, data in state.items():
            with open(os.path.join(self.store, name), "wb") as f:
                f.write(data)
        with open(self.ack, "w", encoding="ascii") as f:
            f.write("".join(a + "\n" for a in acks))
        done = subprocess.run([self.writer, "check", self.store, self.ack, self.opt.seed, str(self.opt.commits)], timeout=60,
                              capture_output=True, text=True)
        return None if done.returncode == 0 else "exit %d: %s" % (
            done.returncode, (done.stdout + done.stderr).strip()[-200:])

    def play(self, trace, without=None, every=1, first=False):
        """[what is wrong] in the states of a trace."""
        disk, wrong, n = Disk(without), [], 0
        for event, position in trace + [(None, 0)]:
            if (event is None or event.what in (EV_SYNC, EV_SYNC_DIR)) and disk.open_ends():
                rng = random.Random("%s %d" % (self.opt.seed, n))
                for k in range(1 + self.opt.subsets):
                    n += 1
                    if k > 0 and n % every:
                        continue
                    how = NOTHING if k == 0 else 1 + k % 4
                    why = self.check(disk.state(how, random.Random(rng.random())), disk.acks)
                    if why:
                        wrong.append("state %d, of what was not synced %s: %s" % (n, HOW[how], why))
                        if first:
                            return wrong
            if event is not None:
                disk.step(event, position)
        return wrong


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("build")
    a.add_argument("--commits", type=int, default=60)
    a.add_argument("--subsets", type=int, default=50)
    a.add_argument("--every", type=int, default=1, help="visit one state in N")
    a.add_argument("--seed", default="1")
    a.add_argument("--table", action="store_true", help="leave out each sync in turn")
    a.add_argument("--traces", type=int, default=12, help="with --table: so many, until each sync was missed")
    opt = a.parse_args()
    paper = Paper(opt)
    passed = failed = 0
    try:
        good, table = run(paper, opt)
        passed, failed = passed + good, failed + (not good)
        for name in sorted(set(table) | set(SYNCS) if opt.table else ()):
            found = table.get(name)
            good = bool(found) and name in SYNCS
            passed, failed = passed + good, failed + (not good)
            print("%s: without %-40s %s%s" % ("ok" if good else "FAILED", name, found or "nothing is lost",
                                              "" if name in SYNCS else "; it is not in the list"))
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
        if set(SYNCS) <= set(name for name, found in table.items() if found):
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
        if table.setdefault(name, "") == "":
            paper.looked = 0
            wrong = paper.play(trace, without=site, first=True, every=paper.opt.every)
            if wrong:
                table[name] = "seed %s, %d states: %s" % (paper.opt.seed, paper.looked, wrong[0].split("\n")[0])


if __name__ == "__main__":
    sys.exit(main())
