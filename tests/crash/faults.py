#!/usr/bin/python3
"""faults - stored's disk fails call by call below a running suite: clients hear "not now", and it recovers by itself.

    faults.py BUILD [--calls 6] [--seed N]

For each kind of failure (no room or an I/O error at a write, at half a write, at a sync, at a new name, at a new
length, at a read), and for the n-th such call from now on, n swept, once and for many calls in a row, clients
deliver, append, flag, copy, move, also into other accounts, expunge, restore and purge, read by IMAP and POP. Each is answered OK, or 4xx
by LMTP, NO or BYE by IMAP, -ERR by POP; never with wrong bytes. When the disk is well again all of it works,
in the same stored, and the accounts hold what was answered (mix_account.py).
"""
import argparse
import errno
import os
import poplib
import re
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import below  # noqa: E402
import faultdisk  # noqa: E402
import suite  # noqa: E402
from kill_imap import Lost  # noqa: E402
from mix_account import Account  # noqa: E402
from mix_reader import Sink  # noqa: E402

WRITE, SYNC, CREATE, TRUNCATE, READ = (1 << k for k in (
    faultdisk.WRITE, faultdisk.SYNC, faultdisk.CREATE, faultdisk.TRUNCATE, faultdisk.READ))
FAULTS = (
    ("no room at a write", faultdisk.FAIL, WRITE, errno.ENOSPC),
    ("no room in the middle of a write", faultdisk.FAIL_HALF, WRITE, errno.ENOSPC),
    ("an I/O error at a write", faultdisk.FAIL, WRITE, errno.EIO),
    ("an I/O error in the middle of a write", faultdisk.FAIL_HALF, WRITE, errno.EIO),
    ("a sync that fails", faultdisk.FAIL, SYNC, errno.EIO),
    ("no room at a sync", faultdisk.FAIL, SYNC, errno.ENOSPC),
    ("no room for a new name, or length", faultdisk.FAIL, CREATE | TRUNCATE, errno.ENOSPC),
    ("any change fails", faultdisk.FAIL, faultdisk.CHANGES, errno.EIO),
    ("a read that fails", faultdisk.FAIL, READ, errno.EIO),
)
WORK = (Account.append, Account.deliver, Account.flag, Account.copy, Account.move, Account.append, Account.cross, Account.expunge,
        Account.restore, Account.purge)
OFTEN = 1 << 40


def large(account):
    """An append that goes to a file of its own."""
    number, body = account.make(large=True)
    after = account.state()
    after[0]["INBOX"].append((number, frozenset(), False))
    account.run(b"APPEND INBOX {%d+}\r\n" % len(body) + body, after)


class Reads:
    """One large message, read whole while reads may fail."""

    def __init__(self, s):
        self.s = s
        self.want = suite.message("\r\n".join("line %d %s" % (i, "x" * 60) for i in range(40000)))
        s.deliver("big@" + suite.DOMAIN, self.want)
        self.failed = 0

    def pop(self):
        try:
            got = self.s.mail("big")
        except (OSError, EOFError, poplib.error_proto):
            self.failed += 1
            return
        suite.check(len(got) == 1 and suite.behind_trace(got[0]) == self.want, "POP gave other bytes")

    def imap(self):
        conn = suite.Line((suite.A1, self.s.port(143)))
        with conn:
            data = conn.file
            conn.want(None, "* OK")
            if not (conn.ask("a LOGIN big " + suite.PASSWORD) or "").startswith("a OK"):
                return self.count()
            conn.send("b EXAMINE INBOX\r\nc FETCH 1 BODY.PEEK[]\r\n")
            while True:
                line = data.readline()
                m = re.search(rb"BODY\[\] \{(\d+)\}\r\n$", line)
                if m:
                    got = data.read(int(m[1]))
                    if len(got) == int(m[1]):
                        suite.check(suite.behind_trace(got) == self.want, "IMAP gave other bytes")
                elif not line or re.match(rb"c |b NO|b BAD|\* BYE", line):
                    suite.check(not line.startswith((b"b BAD", b"c BAD")), "BAD: %r", line)
                    if not line.startswith(b"c OK"):
                        self.count()
                    return None

    def count(self):
        self.failed += 1


class Run:
    def __init__(self, opt, s):
        self.opt, self.s = opt, s
        self.sinks = [Sink("u2"), Sink("u3")]
        self.account = Account(s, "u1", opt.seed, self.sinks)
        self.account.prepare()
        s.ctl("account", "import", "-", stdin="big:{PLAIN}%s\n" % suite.PASSWORD)
        self.reads = Reads(s)
        self.lost = self.turned_down = self.struck = 0
        self.pid = s.pids("stored")

    def one(self, what):
        """An operation; whatever is answered, the account knows."""
        a = self.account
        try:
            if a.reader is None:
                a.connect()
                a.reader.select("INBOX")
            if a.maybe is not None:
                a.check()
            if what in (Account.flag, Account.copy, Account.move, Account.cross) and not a.view:
                return
            what(a)
            self.turned_down += a.maybe is not None
        except Lost:
            self.lost += 1
            a.drop()

    def well(self):
        """Everything works again, soon, and holds what was answered."""
        a, end = self.account, time.monotonic() + 60
        while True:
            try:
                a.check()
                done = a.done
                a.append()
                a.check()
                a.deliver()
                a.check()
                if a.done == done + 2:
                    break
            except Lost:
                a.drop()
            suite.check(time.monotonic() < end, "the store is not well again after 60 s")
            time.sleep(0.1)
        if len(a.there("INBOX")) > 12:
            a.move()
        if len(a.there(a.second)) > 12:
            a.trim()

    def case(self, act, kinds, error, number, times):
        self.s.board.strike(number, act, kinds, error, times)
        for what in WORK + (large,):
            self.one(what)
        self.reads.pop()
        self.reads.imap()
        self.struck += self.s.board.get("struck")
        self.s.board.rest()
        self.well()
        suite.equal(self.s.pids("stored"), self.pid, "the process of the store")

    def index(self, kinds):
        """The index cannot be written, for a while. LMDB is no good after its root failed: then stored begins anew."""
        def told(event):
            return self.s.log_text().count(event)
        stuck, unstuck = told("engine.stuck"), told("engine.unstuck")
        self.s.board.strike(1, faultdisk.FAIL, kinds, errno.EIO, OFTEN)
        suite.wait(lambda: self.one(Account.append) or told("engine.stuck") > stuck, 60, "a checkpoint that fails")
        self.struck += self.s.board.get("struck")
        self.s.board.rest()
        suite.wait(lambda: told("engine.unstuck") > unstuck or self.s.pids("stored") not in ([], self.pid), 60, "its recovery")
        self.well()
        if kinds != 1 << faultdisk.DSYNC:
            suite.equal(self.s.pids("stored"), self.pid, "the process of the store")
        self.pid = self.s.pids("stored")

    def play(self):
        passed = failed = 0
        for text, kinds in (("the index's root cannot be written", 1 << faultdisk.DSYNC), ("nor any of it", faultdisk.CHANGES)):
            try:
                self.index(kinds)
                good = True
            except suite.Failed as e:
                good = False
                print("    %s\n%s" % (e, self.s.log_text()[-1500:]))
                self.s.board.rest()
                self.pid = self.s.pids("stored")
            passed, failed = passed + good, failed + (not good)
            print("%s: %s" % ("ok" if good else "FAILED", text), flush=True)
        for text, act, kinds, error in FAULTS:
            began, down, lost, struck = time.monotonic(), self.turned_down + self.reads.failed, self.lost, self.struck
            try:
                for number in range(1, self.opt.calls + 1):
                    for times in (1, OFTEN) if number == 1 else (1,):
                        self.case(act, kinds, error, number, times)
                suite.check(not self.account.faults, "%s", self.account.faults[:1])
                suite.check(self.struck > struck, "no call failed")
                good = True
            except suite.Failed as e:
                good = False
                print("    call %d: %s\n%s" % (number, e, self.s.log_text()[-1500:]))
                self.account.faults.clear()
                self.pid = self.s.pids("stored")
                self.s.board.rest()
            passed, failed = passed + good, failed + (not good)
            print("%s: %s: %d calls failed, %d answered \"not now\", %d connections ended, %.1f s" % (
                "ok" if good else "FAILED", text, self.struck - struck, self.turned_down + self.reads.failed - down, self.lost - lost,
                time.monotonic() - began), flush=True)
        wrong = list(filter(None, [sink.differs(self.s.port(143)) for sink in self.sinks]))
        print("%s: %d messages that were moved into other accounts %s" % (
            "FAILED" if wrong else "ok", sum(sum(x.ids.values()) for x in self.sinks), "; ".join(wrong)))
        return passed + (not wrong), failed + bool(wrong)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build")
    p.add_argument("--calls", type=int, default=6)
    p.add_argument("--seed", default="1")
    opt = p.parse_args()
    with below.Below(opt.build, 22700, accounts=3, hash="plain") as s:
        passed, failed = Run(opt, s).play()
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
