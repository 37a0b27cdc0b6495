#!/usr/bin/python3
"""mix - every kind of work on many accounts while stored, or the whole suite, is killed; then look at what is there.

    mix.py BUILD [--rounds 8] [--accounts 50] [--workers 5] [--seed N]

In each round workers deliver, append, flag, copy, move (also into other accounts), expunge, create, delete, rename, subscribe,
restore and purge on some of their accounts, the second half of the time with compression and small segments, witnesses look on, sometimes
a backup or a compaction goes on beside them, and something dies: stored by kill -9 at any moment, stored at a certain write,
sync, or change of a name, before, in the middle of or behind it, or every process at once. Afterwards all accounts
of the round are read (mix_account.py), in the end all, and every byte in the stopped store (look.py).
"""
import argparse
import collections
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import below  # noqa: E402
import faultdisk  # noqa: E402
import look  # noqa: E402
import suite  # noqa: E402
from kill_imap import Lost  # noqa: E402
from mix_account import Account  # noqa: E402
from mix_reader import Reader, Sink  # noqa: E402

BACK_S, SINKS = 60, 3
DEATHS = ("call", "call", "kill", "kill", "suite")


class Worker(threading.Thread):
    """Works on some of its accounts until told to rest; then it reads what it worked on, and says so."""

    def __init__(self, run, accounts, seed):
        super().__init__(daemon=True)
        self.run_of, self.accounts = run, accounts
        self.rng = random.Random(seed)
        self.dirty, self.trouble = [], None
        self.rested = threading.Event()

    def run(self):
        try:
            while not self.run_of.over:
                if self.run_of.working.is_set():
                    self.rested.clear()
                    self.dirty = self.rng.sample(self.accounts, min(2, len(self.accounts)))
                    while self.run_of.working.is_set():
                        self.one(self.rng.choice(self.dirty), Account.act)
                        time.sleep(0.002)
                    for a in self.run_of.everything and self.accounts or self.dirty:
                        self.until_done(a)
                    self.rested.set()
                time.sleep(0.005)
        except Exception as e:  # told by the main thread
            self.trouble = e
            self.rested.set()
            raise

    def one(self, account, what):
        try:
            if account.reader is None:
                account.check()
            what(account)
            return True
        except Lost:
            account.drop()
            time.sleep(0.03)
            return False

    def until_done(self, account):
        end = time.monotonic() + BACK_S
        while not self.one(account, Account.check):
            if time.monotonic() > end:
                account.fault("nobody can log in")
                return
        if self.run_of.everything:
            account.drop()


class Witness(threading.Thread):
    """Somebody else who has the mailboxes of a few accounts open."""

    def __init__(self, run, accounts):
        super().__init__(daemon=True)
        self.run_of, self.accounts, self.looks = run, accounts, 0

    def run(self):
        readers = {}
        while not self.run_of.over:
            for a in self.accounts:
                try:
                    if a not in readers:
                        readers[a] = Reader(a.s.port(143), a.name, a.shown)
                    readers[a].select(a.second if self.looks % 3 == 0 else "INBOX")
                    readers[a].fetch("1:*")
                    self.looks += 1
                except (Lost, KeyError):
                    if a in readers:
                        readers.pop(a).conn.close()
                time.sleep(0.02)


class Run:
    def __init__(self, opt, s):
        self.opt, self.s = opt, s
        self.rng = random.Random("mix %s" % opt.seed)
        self.over = self.everything = False
        self.working = threading.Event()
        self.sinks = [Sink("u%d" % (opt.accounts + i + 1)) for i in range(SINKS)]
        self.accounts = [Account(s, "u%d" % (i + 1), opt.seed, self.sinks) for i in range(opt.accounts)]
        self.workers = [Worker(self, self.accounts[i::opt.workers], "%s %d" % (opt.seed, i)) for i in range(opt.workers)]
        self.witness = Witness(self, self.accounts[:4])
        self.deaths, self.beside = collections.Counter(), collections.Counter()
        self.bad = []

    def rest(self):
        """All workers have read what they worked on."""
        self.working.clear()
        for w in self.workers:
            if not w.rested.wait(2 * BACK_S) or w.trouble:
                self.bad.append("a worker does not rest: %r" % w.trouble)

    def start_beside(self, number):
        """A backup, or a compaction, that the death may hit."""
        if number % 4 not in (1, 2):
            return None
        self.beside["backup" if number % 4 == 1 else "compaction"] += 1
        words = ["backup", os.path.join(self.s.dir, "data"), os.path.join(self.s.dir, "backup"), "--keep=1"] if number % 4 == 1 else \
            ["compact", "--wait"]
        return subprocess.Popen([os.path.join(self.s.root, "usr/bin/gatehousectl"), "--socket", self.s.admin, "--json", "--conf", self.s.conf,
                                 "store"] + words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                env=dict(os.environ, GATEHOUSE_LIBEXEC=os.path.join(self.s.root, "usr/lib/gatehouse")))

    def die(self):
        how = self.rng.choice(DEATHS)
        old = self.s.pids("stored")
        if how == "call":
            self.s.board.strike(self.rng.randrange(1, 40), self.rng.choice((faultdisk.DIE_BEFORE, faultdisk.DIE_HALF, faultdisk.DIE_AFTER)))
            end = time.monotonic() + 5
            while not self.s.board.get("struck") and time.monotonic() < end:
                time.sleep(0.01)
            self.deaths["call" if self.s.board.get("struck") else "none"] += 1
            self.s.board.rest()
        elif how == "kill":
            for pid in old:
                os.kill(pid, signal.SIGKILL)
            self.deaths["kill"] += 1
        else:
            self.s.kill_all()
            self.s.start_again()
            self.deaths["suite"] += 1

    def round(self, number):
        for w in self.workers:
            w.rested.clear()
        self.working.set()
        time.sleep(0.1 + self.rng.random() * 0.4)
        beside = self.start_beside(number)
        if beside:
            time.sleep(self.rng.random() * 0.1)
        self.die()
        time.sleep(0.05)
        self.everything = number % 25 == 24 or number == self.opt.rounds - 1
        self.rest()
        if beside:
            beside.kill()
            beside.wait()

    def faults(self):
        return sum(len(a.faults) for a in self.accounts) + len(self.bad)

    def play(self):
        for a in self.accounts:
            a.prepare()
            a.drop()
        for t in self.workers + [self.witness]:
            t.start()
        end = time.monotonic() + self.opt.seconds
        for number in range(self.opt.rounds):
            if time.monotonic() > end:
                self.opt.rounds = number + 1  # the last one, which looks at everything
            if number == self.opt.rounds // 2:
                self.s.ctl("domain", "settings", suite.DOMAIN, "CompressMessages=YES")
                self.s.use(self.s.small_files())
            self.round(number)
            if number % 25 == 24:
                print("round %d: %d operations, deaths %s, %d faults" % (
                    number + 1, sum(a.done for a in self.accounts), dict(self.deaths), self.faults()), flush=True)
            if self.faults() > 20 or number + 1 >= self.opt.rounds:
                break
        self.over = True
        self.rounds_done = number + 1
        for sink in self.sinks:
            self.bad += filter(None, [sink.differs(self.s.port(143))])
            self.s.ctl("account", "delete", sink.name)  # look.py knows accounts by their mail

    def look(self):
        """All bytes, and what can be restored of each mailbox, as the stopped store has them."""
        judge = look.Judge(self.opt.build)
        found, wrong = judge.look(os.path.join(self.s.dir, "data", "store"))
        judge.close()
        self.bad += wrong
        self.facts = judge.facts
        if self.facts[2] > 3:  # a death between two commits of a purge may cost some (docs/store.md, Loans)
            self.bad.append("%d messages have no facts and no kept header" % self.facts[2])
        number_of = {min(f.sums) // 1000000: f for f in found.values() if f.sums and Account.second in f.boxes}
        for a in self.accounts:
            there = number_of.get(int(a.name[1:]))
            why = there and look.differs(there, [a.state()], a.snapshot(), a.sums, a.roots)
            if why:
                a.fault("in the store: " + why)
        suite.check(len(number_of) > len(self.accounts) // 2, "only %d accounts have messages", len(number_of))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build")
    p.add_argument("--rounds", type=int, default=8)
    p.add_argument("--seconds", type=int, default=3600, help="no new round after so long")
    p.add_argument("--accounts", type=int, default=50)
    p.add_argument("--workers", type=int, default=5)
    p.add_argument("--seed", default="1")
    opt = p.parse_args()
    began = time.monotonic()
    with below.Below(opt.build, 22600, accounts=opt.accounts + SINKS, hash="plain") as s:
        run = Run(opt, s)
        run.play()
        s.stop()
        data = os.path.join(s.dir, "data")
        status = subprocess.run([os.path.join(s.root, "usr/lib/gatehouse/gatehouse-salvage"), "--json", "verify", data],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if status.returncode != 0:
            run.bad.append("verify: status %d: %s" % (status.returncode, status.stdout[-500:].decode("utf-8", "replace")))
        run.look()
        if run.faults():
            kept = "/tmp/gh-mix-%d" % os.getpid()
            shutil.copytree(s.dir, kept, symlinks=True, ignore=lambda d, names: [n for n in names if n in ("run", "below")])
            print("kept: " + kept)
    done = sum(a.done for a in run.accounts)
    for line in run.bad[:10]:
        print("    " + line)
    deaths = sum(v for k, v in run.deaths.items() if k != "none")
    print("of the messages %d have facts of their own, %d by a loan, %d none" % tuple(run.facts))
    good = not run.faults() and deaths >= run.rounds_done * 3 // 4 and done > 5 * run.rounds_done and run.witness.looks > 0 and any(x.ids for x in run.sinks)
    print("%s: seed %s: %d rounds, %d operations, deaths %s, beside %s, %d looks of others, %d crossed, %d faults, %.0f s" % (
        "ok" if good else "FAILED", opt.seed, run.rounds_done, done, dict(run.deaths), dict(run.beside), run.witness.looks,
        sum(sum(x.ids.values()) for x in run.sinks), run.faults(), time.monotonic() - began))
    print("%d passed, %d failed" % (good, not good))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
