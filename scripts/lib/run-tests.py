"""run-tests - runs the rows of a list of tests and adds up what they count.

A row is `name | level kind | timeout in s | command`; level is quick, everyday or long. A command is run by
the shell in the root of the tree and prints 'N passed, N failed' last. One that prints no such line, ends
with a status that does not agree, or takes too long, counts as one failure. Nothing is skipped silently:
rows left out by level are named.

The kind says what may run beside the row: `busy` rows keep the cores busy and run one after another, at a lower
priority; beside them run up to --beside rows that mostly `wait` for clocks, disks and programs. A row of no kind
runs alone, after the others. Each row of a kind has a network of its own, so that no two want one port; where
that cannot be had, all run one after another. A row whose command names GH_BUILD_SAN or GH_BUILD_FUZZ waits for the row of its build,
which is run for it also when --only leaves it out.
"""
import argparse
import collections
import fnmatch
import os
import re
import signal
import subprocess
import sys
import threading
import time

LEVELS = ["quick", "everyday", "long"]
KINDS = ["busy", "waits", "alone"]
COUNT = re.compile(rb"^(\d+) passed, (\d+) failed\s*$", re.M)
LOGS = "build-test.logs"
OWN_NET = [sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), "own_net.py")]
BUILDS = {"GH_BUILD_SAN": "build-san", "GH_BUILD_FUZZ": "build-fuzz"}
Row = collections.namedtuple("Row", "name level kind seconds command needs")
LIVE = set()  # the first processes of the rows that run


def read_list(path):
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            parts = [p.strip() for p in line.split("|", 3)]
            words = parts[1].split() if len(parts) == 4 else []
            if not words or words[0] not in LEVELS or (words[1:] or KINDS[-1:])[0] not in KINDS or \
                    len(words) > 2 or not parts[2].isdigit():
                sys.exit("%s:%d: not 'name | level kind | seconds | command'" % (path, number))
            needs = {row for variable, row in BUILDS.items() if variable in parts[3] and row != parts[0]}
            yield Row(parts[0], words[0], (words[1:] or ["alone"])[0], int(parts[2]), parts[3], needs)


def choose(rows, level, only):
    """The rows to run: those of the level whose name fits, and the builds that they need."""
    chosen = []
    for r in rows:
        if fnmatch.fnmatch(r.name, only):
            if LEVELS.index(r.level) <= LEVELS.index(level):
                chosen.append(r)
            else:
                print("not run at this level: %s (%s)" % (r.name, r.level))
    needed = set().union(*(r.needs for r in chosen))
    # Builds first: a row may be what is run next only when nothing can be missing to it.
    return sorted((r for r in rows if r in chosen or r.name in needed), key=lambda r: r.name not in BUILDS.values())


def log_of(row):
    return os.path.join(LOGS, row.name + ".log")


def stop(process):
    """Ends the whole session of a test that is over: nothing of it may disturb the next."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def run_one(row, own_net):
    """Returns (passed, failed, what went wrong or None)."""
    command = ["/bin/sh", "-c", row.command]
    if row.kind == "busy":
        command = ["nice", "-n", "5", *command]
    if own_net and row.kind != "alone":
        command = OWN_NET + command
    with open(log_of(row), "wb") as log:
        p = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                             start_new_session=True)
        LIVE.add(p)
        try:
            status = p.wait(timeout=row.seconds)
        except subprocess.TimeoutExpired:
            stop(p)
            p.wait()
            return 0, 1, "took longer than %d s" % row.seconds
        finally:
            stop(p)
            LIVE.discard(p)
    with open(log_of(row), "rb") as log:
        found = COUNT.findall(log.read())
    if not found:
        return 0, 1, "ended with status %d and counted nothing" % status
    passed, failed = int(found[-1][0]), int(found[-1][1])
    if passed + failed == 0:
        return 0, 1, "ran no test"
    if status != 0 and failed == 0:
        return passed, 1, "ended with status %d" % status
    return passed, failed, "%d failed" % failed if failed else None


def tail(path, lines=60):
    with open(path, "rb") as f:
        text = f.read().decode("utf-8", "replace").splitlines()
    return "\n".join("    " + line for line in text[-lines:])


class Schedule:
    """Which rows run now: none beside a row that is alone, one busy one, up to `beside` that wait."""

    def __init__(self, rows, beside):
        self.rows, self.beside = rows, beside
        self.todo = [r for r in rows if r.kind != "alone"] + [r for r in rows if r.kind == "alone"]
        if not beside:
            self.todo = list(rows)
        self.running, self.bad = [], []
        self.passed = self.failed = 0
        self.changed = threading.Condition()

    def may_start(self, row):
        if any(r.name in row.needs for r in self.running + self.todo):
            return False
        if row.kind == "alone" or not self.beside:
            return not self.running
        beside = [r.kind for r in self.running]
        return "alone" not in beside and beside.count(row.kind) < (1 if row.kind == "busy" else self.beside)

    def run(self, row):
        began = time.monotonic()
        try:
            if row.needs & set(self.bad):
                result = 0, 1, "%s failed" % ", ".join(row.needs & set(self.bad))
                open(log_of(row), "w", encoding="ascii").close()
            else:
                result = run_one(row, self.beside)
        except Exception as e:  # what keeps a row from being run is its failure
            result = 0, 1, "%s: %s" % (type(e).__name__, e)
        with self.changed:
            self.running.remove(row)
            self.changed.notify()
            self.count(row, time.monotonic() - began, *result)

    def count(self, row, seconds, ok, not_ok, why):
        self.passed, self.failed = self.passed + ok, self.failed + not_ok
        print("%-28s %5d passed %3d failed  %6.1f s" % (row.name, ok, not_ok, seconds))
        if why:
            self.bad.append(row.name)
            print("  %s: %s; the end of %s:\n%s" % (row.name, why, log_of(row), tail(log_of(row))))
        sys.stdout.flush()

    def run_all(self):
        with self.changed:
            while self.todo:
                # A row alone is not overtaken: it comes when those before it are done.
                first_alone = self.todo[0].kind == "alone" or not self.beside
                ready = [r for r in (self.todo[:1] if first_alone else self.todo) if self.may_start(r)]
                if not ready:
                    self.changed.wait()
                    continue
                self.todo.remove(ready[0])
                self.running.append(ready[0])
                threading.Thread(target=self.run, args=(ready[0],), daemon=True).start()
            while self.running:
                self.changed.wait()


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("list")
    ap.add_argument("--level", choices=LEVELS, default="everyday")
    ap.add_argument("--only", default="*")
    ap.add_argument("--beside", type=int, default=2)
    ap.add_argument("--already", nargs=2, type=int, default=[0, 0])
    args = ap.parse_args()
    os.makedirs(LOGS, exist_ok=True)
    if args.beside and subprocess.run(OWN_NET + ["true"], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        print("no network namespaces of our own: the rows run one after another")
        args.beside = 0
    began = time.monotonic()
    s = Schedule(choose(list(read_list(args.list)), args.level, args.only), args.beside)
    s.passed, s.failed = args.already
    if s.failed:
        s.bad.append("build")
    try:
        s.run_all()
    finally:
        for p in list(LIVE):
            stop(p)
    print("%d rows in %d s" % (len(s.rows), time.monotonic() - began))
    if s.bad:
        print("failed: " + ", ".join(s.bad))
    print("%d passed, %d failed" % (s.passed, s.failed))
    return 1 if s.failed or not s.passed else 0


if __name__ == "__main__":
    sys.exit(main())
