#!/usr/bin/python3
"""paper_suite - the states of paper.py under the whole suite: a client's work, then its mailboxes after power cuts.

    paper_suite.py BUILD [--operations 60] [--states 12] [--seed N]

One client delivers, appends, flags, copies, moves, expunges, renames, restores and purges, one after the other;
compactions go on beside it. What stored does to its disk is written down, and with each answer how far that had
come. Then the suite is started on states that a power cut may leave: the mailboxes are as the last operation
answered before the cut left them, or as the one in flight would have.
"""
import argparse
import os
import random
import shutil
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import below  # noqa: E402
import faultdisk  # noqa: E402
import paper  # noqa: E402
import suite  # noqa: E402
from kill_imap import Lost  # noqa: E402
from mix_account import Account  # noqa: E402


class Traced(below.Below):
    trace_mib = 192

    def stopped(self):
        self.store = os.path.join(self.dir, "data", "store")
        self.disk = paper.Disk()
        self.disk.base(self.store)
        self.plain = self.libexec


class Client(Account):
    """Remembers its state after each answer, and where the trace stood then."""

    def __init__(self, s, name, seed):
        self.answers = []
        super().__init__(s, name, seed)

    @property
    def done(self):
        return len(self.answers)

    @done.setter
    def done(self, _):
        if hasattr(self, "shown"):
            self.answers.append((self.s.board.get("trace_n"), self.state()))


def work(s, opt):
    client = Client(s, "u1", opt.seed)
    client.prepare()
    client.done = 0
    stop = threading.Event()

    def compact():
        while not stop.is_set():
            s.ctl("store", "compact", "--wait", ok=False)
            stop.wait(0.05)
    beside = threading.Thread(target=compact)
    beside.start()
    try:
        while client.done < opt.operations:
            client.act()
            suite.check(client.maybe is None and not client.faults, "%s was not done", client.what)
    finally:
        stop.set()
        beside.join()
    client.drop()
    return client


def cuts(s, opt, first):
    """[(position, {name: bytes}, how)] of the states to visit, from the first answer on."""
    events, where = s.board.trace()
    disk, places = s.disk, []
    for event, position in zip(events, where):
        if event.what in (faultdisk.EV_SYNC, faultdisk.EV_SYNC_DIR) and position >= first:
            places.append(position)
    rng = random.Random("cuts %s" % opt.seed)
    chosen = set(rng.sample(places, min(opt.states, len(places))))
    for event, position in zip(events, where):
        if position in chosen:
            how = rng.choice((paper.NOTHING, paper.NOTHING, paper.PREFIX, paper.WRITES, paper.BLOCKS, paper.SECTORS))
            yield position, disk.state(how, rng), paper.HOW[how]
        disk.step(event, position)


def look(s, client, allowed):
    """None, or what is wrong. `allowed`: states of which one must be there."""
    found = Account(s, client.name, "look")
    end = time.monotonic() + 60
    while True:
        try:
            found.connect()
            names = found.second_now()
            there = {}
            for box in ["INBOX"] + names:
                found.reader.select(box)
                there[box] = sorted((number, tuple(sorted(flags))) for flags, _, number in found.reader.fetch("1:*").values())
            recoverable = found.recoverable()
            break
        except Lost:
            found.drop()
            if time.monotonic() > end:
                return "nobody can log in"
    found.drop()
    for boxes, lost, second in allowed:
        if names == [second] and Account.same(boxes, there) and len(lost["INBOX"]) == recoverable:
            return None
    return "is %r, %d recoverable; must be one of %r" % (there, recoverable, allowed)


def visit(s, client, state, position):
    owner = os.stat(s.store)
    shutil.rmtree(s.store)
    os.mkdir(s.store, 0o700)
    os.chown(s.store, owner.st_uid, owner.st_gid)
    for name, data in state.items():
        with open(os.path.join(s.store, name), "wb") as f:
            f.write(data)
        os.chown(f.name, owner.st_uid, owner.st_gid)
        os.chmod(f.name, 0o600)
    answered = [k for k, (at, _) in enumerate(client.answers) if at <= position]
    last = answered[-1] if answered else 0
    s.start_again()
    try:
        return look(s, client, [a for _, a in client.answers[last:last + 2]])
    finally:
        s.kill_all()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build")
    p.add_argument("--operations", type=int, default=60)
    p.add_argument("--states", type=int, default=12)
    p.add_argument("--seed", default="1")
    opt = p.parse_args()
    began, wrong, looked = time.monotonic(), [], 0
    with Traced(opt.build, 22900, accounts=1, hash="plain") as s:
        client = work(s, opt)
        s.kill_all()
        s.libexec = s.plain
        for position, state, how in cuts(s, opt, client.answers[0][0]):
            looked += 1
            try:
                why = visit(s, client, state, position)
            except suite.Failed as e:
                why = str(e)
            if why:
                wrong.append("at %d, of what was not synced %s: %s" % (position, how, why[-1500:]))
        shutil.rmtree(s.store)
    good = not wrong and looked >= min(opt.states, opt.operations // 2)
    for line in wrong[:5]:
        print("    " + line)
    print("%s: %d operations, %d states after power cuts, %d losses, seed %s, %.1f s" % (
        "ok" if good else "FAILED", client.done, looked, len(wrong), opt.seed, time.monotonic() - began))
    print("%d passed, %d failed" % (good, not good))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
