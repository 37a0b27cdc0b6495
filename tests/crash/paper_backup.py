#!/usr/bin/python3
"""paper_backup - the states of paper.py below a backup's target, and below a data directory that is restored.

    paper_backup.py BUILD [--backups 8] [--every 10] [--subsets 50] [--starts 2] [--seed N] [--table [--traces N]]

Generations are made of a suite at work, with --keep=2; some of these programs die at any call. What they do to
the target is written down. Between any two syncs states are made as a power cut may leave them: every
generation without ".part" must be byte for byte what it was when it was made, and those that were answered must
be there until a later run removes them. Each was restored once and is what the mailboxes were. On a few
states the next backup is made. A restore is looked at in the same way: as long as its mark is there, or no folder has its
name, no server starts; else all of it must be there. With --table each sync is left out in turn; a state
with a loss must be found.
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
import below  # noqa: E402, F401 (finds suite)
import faultdisk  # noqa: E402
import look  # noqa: E402
import paper  # noqa: E402
import papertree  # noqa: E402
import suite  # noqa: E402
from mix_account import Account  # noqa: E402

GENERATION = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ(-\d+)?$")
FOLDERS = ("store", "directory", "secrets")
WAYS = (paper.PREFIX, paper.WRITES, paper.BLOCKS, paper.SECTORS)
DEATHS = (faultdisk.DIE_BEFORE, faultdisk.DIE_HALF, faultdisk.DIE_AFTER)
SYNCS = ("copy_file", "db_restore (directory)", "dir_open (directory)", "finish (directory) 1", "finish (directory) 2", "gen_manifest_write",
         "gen_sweep (directory)", "hide (directory)", "mark_remove (directory)", "mark_write", "mark_write (directory)", "show (directory)",
         "take_db (directory)")


class Scenario:
    """A trace below a directory, and what its states must be."""

    def __init__(self, rig, name):
        self.rig = rig
        self.root = os.path.join(rig.s.dir, name)
        os.mkdir(self.root)
        self.inode = os.stat(self.root).st_ino
        self.board = faultdisk.Board(os.path.join(rig.s.dir, name + ".board"), trace_mib=64)
        self.board.set(kinds=faultdisk.CHANGES)
        self.looked = 0

    def run(self, *words):
        return subprocess.run([self.rig.program, "--json", *words], env=self.board.env(self.rig.library), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)

    def read(self):
        events, where = self.board.trace()
        self.trace = list(zip(events, where))
        self.end = self.board.get("trace_n")

    def states(self, without):
        """(position, how, {name: bytes or the same of a folder})"""
        opt, tree, n = self.rig.opt, papertree.Tree(self.inode, without), 0
        for event, position in self.trace + [(None, self.end)]:
            if event is None or event.what in (faultdisk.EV_SYNC, faultdisk.EV_SYNC_DIR):
                yield position, paper.NOTHING, tree.state(paper.NOTHING, None)
                rng = random.Random("%s %d" % (opt.seed, position))
                for k in range(opt.subsets if tree.open_ends() else 0):
                    n, draw = n + 1, rng.random()
                    if rng.randrange(opt.every) == 0:
                        yield position, WAYS[k % 4], tree.state(WAYS[k % 4], random.Random(draw))
            if event is not None:
                tree.step(event, position)

    def play(self, without=None, first=False):
        out = []
        for position, how, state in self.states(without):
            self.looked += 1
            why = self.wrong(position, state)
            if why:
                out.append("at %d of %d, of what was not synced %s: %s" % (position, self.end, paper.HOW[how], why))
                if first:
                    break
        return out

    def missed(self, table):
        for site, name in paper.site_names(self.rig.program, self.board.sites(), self.trace).items():
            if name in paper.SYNCS:
                continue  # the engine's: paper.py
            if not table.setdefault(name, ""):
                self.looked = 0
                wrong = self.play(site, first=True)
                if wrong:
                    table[name] = "seed %s, %d states: %s" % (self.rig.opt.seed, self.looked, wrong[0][:200])


class Backups(Scenario):
    def __init__(self, rig):
        super().__init__(rig, "copies")
        self.target = os.path.join(self.root, "backup")
        self.whole = {}    # name of a generation -> its files
        self.mail = {}     # and the mailboxes of that moment
        self.answered = []  # (position, name)
        self.runs = []     # (begin, names behind it)

    def generations(self):
        return {name: papertree.files_of(os.path.join(self.target, name)) for name in os.listdir(self.target) if GENERATION.match(name)}

    def make(self):
        rig, rng = self.rig, random.Random("backups %s" % self.rig.opt.seed)
        for k in range(rig.opt.backups):
            rig.work(6)
            if k % 3 == 2:
                rig.s.ctl("store", "compact", "--wait")
            before, calls, begin = set(self.whole), self.board.get("count"), self.board.get("trace_n")
            if k % 2 == 1:
                self.board.strike(rng.randrange(1, usual), rng.choice(DEATHS))
            done = self.run("--keep=2", "backup", os.path.join(rig.s.dir, "data"), self.target)
            self.board.rest()
            usual = self.board.get("count") - calls if k % 2 == 0 else usual
            suite.check(done.returncode in ((0,) if k % 2 == 0 else (0, faultdisk.DIED)), "a backup ended with %d: %s", done.returncode, done.stderr)
            there = self.generations()
            for name, files in there.items():
                if self.whole.setdefault(name, files) != files:
                    rig.wrong.append("generation %s is no longer what it was" % name)
                self.mail.setdefault(name, rig.account.state())
            self.runs.append((begin, set(there)))
            if done.returncode == 0:
                new = set(there) - before
                suite.equal(len(new), 1, "new generations")
                self.answered.append((self.board.get("trace_n"), new.pop()))
        self.read()

    def wrong(self, position, state):
        there = {name: files for name, files in state.get("backup", {}).items() if GENERATION.match(name)}
        for name, files in there.items():
            if files != self.whole[name]:
                return "generation %s is not whole: %s" % (name, papertree.differences(files, self.whole[name]))
        for at, name in self.answered:
            later = [left for begin, left in self.runs if begin <= position and begin >= at]
            if at <= position and all(name in left for left in later) and name not in there:
                return "generation %s was made, and is not there" % name
        return None

    def restorable(self):
        """Each generation that ever was, restored: the mailboxes of its moment."""
        for name, files in self.whole.items():
            papertree.write(os.path.join(self.rig.dir, "generation"), files)
            why = self.rig.restored(os.path.join(self.rig.dir, "generation"), self.mail[name])
            if why:
                self.rig.wrong.append("generation %s: %s" % (name, why))

    def starts(self):
        """The next backup, on some states."""
        picked = set(random.Random("starts %s" % self.rig.opt.seed).sample(range(self.looked), min(self.looked, self.rig.opt.starts)))
        for k, (position, _, state) in enumerate(self.states(None)):
            if k not in picked:
                continue
            papertree.write(os.path.join(self.rig.dir, "next"), state.get("backup", {}))
            done = subprocess.run([self.rig.program, "--json", "--keep=2", "backup", os.path.join(self.rig.s.dir, "data"),
                                   os.path.join(self.rig.dir, "next")], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            names = os.listdir(os.path.join(self.rig.dir, "next"))
            why = "status %d: %s" % (done.returncode, done.stderr[-300:]) if done.returncode else None
            if not all(GENERATION.match(n) for n in names):
                why = "it leaves %s" % names
            why = why or self.rig.restored(os.path.join(self.rig.dir, "next", max(names)), self.rig.account.state())
            if why:
                self.rig.wrong.append("the next backup after a cut at %d: %s" % (position, why))


class Restore(Scenario):
    def __init__(self, rig):
        super().__init__(rig, "restored")

    def make(self, files, mail):
        papertree.write(os.path.join(self.rig.dir, "generation"), files)
        done = self.run("restore", os.path.join(self.rig.dir, "generation"), os.path.join(self.root, "new"))
        suite.equal(done.returncode, 0, "the status of a restore")
        self.files, self.mail = files, mail
        self.inodes = {f: os.stat(os.path.join(self.root, "new", f)).st_ino for f in FOLDERS}
        self.read()

    def again(self, new):
        """The same command begins anew. The mark has inodes, which are others here."""
        where = os.path.join(self.rig.dir, "new")
        papertree.write(where, new)
        mark = os.path.join(where, "restoring")
        for f in FOLDERS if os.path.exists(mark) else ():
            is_at = [n for n in (f, f + ".restoring") if n in new]
            with open(mark, "r+b") as m:
                text = m.read().replace(b"%s %d\n" % (f.encode(), self.inodes[f]), b"%s %d\n" % (
                    f.encode(), os.stat(os.path.join(where, is_at[0])).st_ino if is_at else 1))
                m.seek(0)
                m.truncate()
                m.write(text)
        why = self.rig.restored(os.path.join(self.rig.dir, "generation"), self.mail, False)
        return why and "the same command: " + why

    def wrong(self, position, state):
        new = state.get("new", {})
        if "restoring" in new or not any(f in new for f in FOLDERS):
            return "it was answered, and is not there" if position >= self.end else self.again(new)
        for folder in FOLDERS:
            if folder not in new:
                return "%s is missing, and nothing says so" % folder
        for folder in FOLDERS[1:]:
            if new[folder] != self.files[folder]:
                return papertree.differences(new[folder], self.files[folder])
        where = os.path.join(self.rig.dir, "looked")
        papertree.write(where, new["store"])
        return self.rig.look(where, self.mail)


class Rig:
    def __init__(self, s, opt):
        self.s, self.opt, self.wrong = s, opt, []
        self.program = os.path.join(s.root, "usr/lib/gatehouse/gatehouse-backup")
        self.library = os.path.join(s.build, "tests", "crash", "faultdisk.so")
        self.dir = tempfile.mkdtemp(prefix="gh-paper-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        self.judge = look.Judge(opt.build)
        self.account = Account(s, "u1", opt.seed)
        self.account.prepare()

    def close(self):
        self.judge.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def work(self, n):
        n += self.account.done
        while self.account.done < n:
            self.account.act()
        suite.check(not self.account.faults and self.account.maybe is None, "%s", self.account.faults)

    def look(self, store, mail):
        """None, or why a store is not what the mailboxes were."""
        accounts, wrong = self.judge.look(store)
        if wrong:
            return "; ".join(wrong[:3])
        found = next((f for f in accounts.values() if "Other" in f.boxes), look.Found())
        return look.differs(found, [mail], None, self.account.sums, self.account.roots)

    def restored(self, generation, mail, fresh=True):
        new = os.path.join(self.dir, "new")
        if fresh:
            shutil.rmtree(new, ignore_errors=True)
        done = subprocess.run([self.program, "--json", "restore", generation, new], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode:
            return "status %d: %s" % (done.returncode, done.stderr[-300:])
        return self.look(os.path.join(new, "store"), mail)


def run(opt, table):
    began = time.monotonic()
    with suite.Suite(opt.build, 23000, accounts=1, hash="plain") as s:
        rig = Rig(s, opt)
        try:
            backups, restore = Backups(rig), Restore(rig)
            backups.make()
            _, newest = backups.answered[-1]
            restore.make(backups.whole[newest], backups.mail[newest])
            wrong = backups.play() + restore.play()
            looked = (backups.looked, restore.looked)
            backups.restorable()
            backups.starts()
            if opt.table:
                backups.missed(table)
                restore.missed(table)
        finally:
            rig.close()
    wrong += rig.wrong
    good = not wrong and len(backups.answered) >= opt.backups // 2 and min(looked) > 10
    for line in wrong[:5]:
        print("    " + line)
    print("%s: %d generations, %d answered, %d states of the target, %d of a restore, %d wrong, seed %s, %.1f s" % (
        "ok" if good else "FAILED", len(backups.whole), len(backups.answered), *looked, len(wrong), opt.seed, time.monotonic() - began),
        flush=True)
    return good


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build")
    p.add_argument("--backups", type=int, default=8)
    p.add_argument("--subsets", type=int, default=50)
    p.add_argument("--every", type=int, default=10, help="visit about one in N of the states with a part of what was not synced")
    p.add_argument("--starts", type=int, default=2, help="make the next backup on so many")
    p.add_argument("--seed", default="1")
    p.add_argument("--table", action="store_true", help="leave out each sync in turn")
    p.add_argument("--traces", type=int, default=4, help="with --table: so many, until each sync was missed")
    opt = p.parse_args()
    return paper.tables(opt, SYNCS if opt.table else (), SYNCS, run)


if __name__ == "__main__":
    sys.exit(main())
