"""run-tests - runs the rows of a list of tests and adds up what they count.

A row is `name | level | timeout in s | command`; level is quick, everyday or long. A command is run by
the shell in the root of the tree and prints 'N passed, N failed' last. One that prints no such line, ends
with a status that does not agree, or takes too long, counts as one failure. Nothing is skipped silently:
rows left out by level are named.
"""
import argparse
import fnmatch
import os
import re
import signal
import subprocess
import sys
import time

LEVELS = ["quick", "everyday", "long"]
COUNT = re.compile(rb"^(\d+) passed, (\d+) failed\s*$", re.M)


def read_list(path):
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            parts = [p.strip() for p in line.split("|", 3)]
            if len(parts) != 4 or parts[1] not in LEVELS or not parts[2].isdigit():
                sys.exit("%s:%d: not 'name | level | seconds | command'" % (path, number))
            yield parts[0], parts[1], int(parts[2]), parts[3]


def stop(process):
    """Ends the whole session of a test that is over: nothing of it may disturb the next."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def run_one(command, seconds, log_path):
    """Returns (passed, failed, what went wrong or None)."""
    with open(log_path, "wb") as log:
        p = subprocess.Popen(command, shell=True, stdin=subprocess.DEVNULL, stdout=log,
                             stderr=subprocess.STDOUT, start_new_session=True)
        try:
            status = p.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            stop(p)
            p.wait()
            return 0, 1, "took longer than %d s" % seconds
        finally:
            stop(p)
    with open(log_path, "rb") as log:
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


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("list")
    ap.add_argument("--level", choices=LEVELS, default="everyday")
    ap.add_argument("--only", default="*")
    ap.add_argument("--already", nargs=2, type=int, default=[0, 0])
    args = ap.parse_args()
    passed, failed = args.already
    bad = ["build"] if failed else []
    logs = "build-test.logs"
    os.makedirs(logs, exist_ok=True)
    for name, level, seconds, command in read_list(args.list):
        if not fnmatch.fnmatch(name, args.only):
            continue
        if LEVELS.index(level) > LEVELS.index(args.level):
            print("not run at this level: %s (%s)" % (name, level))
            continue
        log_path = os.path.join(logs, name + ".log")
        start = time.monotonic()
        ok, not_ok, why = run_one(command, seconds, log_path)
        passed, failed = passed + ok, failed + not_ok
        print("%-28s %5d passed %3d failed  %6.1f s" % (name, ok, not_ok, time.monotonic() - start))
        if why:
            bad.append(name)
            print("  %s: %s; the end of %s:\n%s" % (name, why, log_path, tail(log_path)))
        sys.stdout.flush()
    if bad:
        print("failed: " + ", ".join(bad))
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed or not passed else 0


sys.exit(main())
