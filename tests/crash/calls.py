#!/usr/bin/python3
"""calls - the store is struck dead at every single call that changes its disk, and once more while it recovers.

    calls.py BUILD [--commits N] [--every N] [--seed N]

A dry run counts the calls of the writer's plan: writes, syncs, names made and removed, lengths. Then for each of
them a store of its own: the writer dies before that call, in the middle or behind it, is started again and dies
soon (in the recovery, or in what it does next), is started again and finishes the plan. Everything acknowledged
is there each time, each group holds whole batches. Compaction and checkpoints go on beside the commits.
"""
import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import faultdisk  # noqa: E402

ACTS = (faultdisk.DIE_BEFORE, faultdisk.DIE_HALF, faultdisk.DIE_AFTER)


class Calls:
    def __init__(self, opt):
        self.opt = opt
        where = os.path.join(os.path.abspath(opt.build), "tests", "crash")
        self.writer, self.library = os.path.join(where, "engine-writer"), os.path.join(where, "faultdisk.so")
        self.dir = tempfile.mkdtemp(prefix="gh-calls-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        self.store, self.ack = os.path.join(self.dir, "store"), os.path.join(self.dir, "acks")
        self.board = faultdisk.Board(os.path.join(self.dir, "board"))
        self.board.set(sync_us=300, kinds=faultdisk.CHANGES)
        self.deaths = 0

    def fresh(self):
        shutil.rmtree(self.store, ignore_errors=True)
        os.mkdir(self.store)
        open(self.ack, "w", encoding="ascii").close()

    def life(self, number=0, act=faultdisk.NOTHING, what="resume"):
        """Runs the writer, which dies at that call. None, or what is wrong."""
        if number:
            self.board.strike(number, act)
        else:
            self.board.rest()
        done = subprocess.run([self.writer, what, self.store, self.ack, str(self.opt.seed), str(self.opt.commits)],
                              env=self.board.env(self.library), capture_output=True, text=True, timeout=120)
        if done.returncode == faultdisk.DIED and number:
            self.deaths += 1
        elif done.returncode != 0:
            return "exit %d: %s" % (done.returncode, (done.stdout + done.stderr).strip()[-300:])
        return None

    def log_alone(self):
        """The log, as it was left, makes an index of all that was acknowledged."""
        whole, self.store = self.store, self.store + "-log"
        shutil.rmtree(self.store, ignore_errors=True)
        shutil.copytree(whole, self.store, ignore=lambda d, names: [n for n in names if n.endswith(".mdb")])
        why = self.life(what="check")
        self.store = whole
        return why and "without its index: " + why

    def one(self, number):
        rng = random.Random("calls %s %d" % (self.opt.seed, number))
        self.fresh()
        for step in ((number, rng.choice(ACTS)), (rng.randrange(1, 12), rng.choice(ACTS)), ()):
            why = self.life(*step) or self.log_alone()
            if why:
                return "struck at call %d, then %s: %s" % (number, step, why)
        return self.life(what="check")


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("build")
    a.add_argument("--commits", type=int, default=60)
    a.add_argument("--every", type=int, default=1)
    a.add_argument("--seed", default="1")
    opt = a.parse_args()
    calls = Calls(opt)
    began, wrong, tried = time.monotonic(), [], 0
    try:
        calls.fresh()
        why = calls.life()
        total = calls.board.get("count")
        if why:
            wrong.append("without a death: " + why)
        for number in range(1, total + 1, opt.every):
            tried += 1
            why = calls.one(number)
            if why:
                wrong.append(why)
    finally:
        calls.board.close()
        shutil.rmtree(calls.dir)
    good = not wrong and calls.deaths > tried and total > opt.commits
    for line in wrong[:10]:
        print("    " + line)
    print("%s: %d of %d calls, %d deaths, %d faults, seed %s, %.1f s" % (
        "ok" if good else "FAILED", tried, total, calls.deaths, len(wrong), opt.seed, time.monotonic() - began))
    print("%d passed, %d failed" % (good, not good))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
