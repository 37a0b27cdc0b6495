#!/usr/bin/python3
"""engines - the other tests again: on the memory engine, with connections sharing processes, and as an
ordinary user.

    engines.py BUILD [--doors]

--doors: the files of DOORS alone, on the memory engine.

The runs go side by side; each has a suite of its own. As an ordinary user the sandbox has fewer layers,
and the log must name each that is missing. Root tries that as the user nobody, with a copy of the build
that lies, for its eyes alone, where the build lies.
"""
import concurrent.futures
import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile

import suite

NOBODY = 65534
FILES = ("names", "auth", "pop", "imap", "lmtp", "smtp", "admin")
# The rest of those that speak to a door, on the memory engine too; the slowest first.
DOORS = ("external", "pwd", "examples", "proxied", "settings", "alerts", "rights", "grammar", "bursts", "slow")


def run_file(name, build, *args):
    done = subprocess.run([sys.executable, os.path.join(suite.HERE, name + ".py"), build, *args],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=200)
    text = done.stdout.decode("utf-8", "replace")
    counts = re.findall(r"^(\d+) passed, (\d+) failed$", text, re.M)
    if not counts or (done.returncode != 0) != (counts[-1][1] != "0"):
        return 0, 1, text
    return int(counts[-1][0]), int(counts[-1][1]), text


def side_by_side(title, names, build, *args):
    """Runs the files; (passed, failed)."""
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor() as pool:
        jobs = [(n, pool.submit(run_file, n, build, *args, "--port-offset", str(24000 + 500 * i)))
                for i, n in enumerate(names)]
        for name, job in jobs:
            ok, bad, text = job.result()
            passed, failed = passed + ok, failed + bad
            print("%-28s %-8s %3d passed %3d failed" % (title, name, ok, bad))
            if bad:
                print("    " + "\n    ".join(line for line in text.splitlines() if not line.startswith("ok ")))
            sys.stdout.flush()
    return passed, failed


def missing_layers(build):
    """A suite of an ordinary user says in its log what each of its processes lacks."""
    with suite.Suite(build, 26500) as s:
        s.deliver("u1@" + suite.DOMAIN)
        suite.equal(len(s.mail()), 1, "messages")
        lines = dict(re.findall(r' master\.child name=(\S+) .*missing="?([^"\n]*)"?', s.log_text()))
        for name in ("logd", "signer", "stored", "authd", "authd-worker", "routerd", "parsed", "pop3", "imap", "smtp", "admin"):
            suite.check(lines.get(name), "the log names nothing that %s lacks: %r", name, lines)
        print("missing as an ordinary user: " + lines["pop3"])


def as_user(build):
    """All that an ordinary user can run; called as that user."""
    passed, failed = side_by_side("as user %d" % os.geteuid(), FILES, build)
    try:
        missing_layers(build)
        passed += 1
    except (suite.Failed, OSError) as e:
        print("FAILED  " + str(e))
        failed += 1
    return passed, failed


def with_copy(build):
    """In a mount namespace of our own: a copy of tree and build that belongs to nobody, in their place."""
    top = suite.TOP
    copy = tempfile.mkdtemp(prefix="gh-e2e-user-")
    try:
        names = subprocess.run(["git", "-C", top, "ls-files", "-z"], stdout=subprocess.PIPE, check=False).stdout
        names = [n for n in names.decode().split("\0") if n and os.path.exists(os.path.join(top, n))]
        if not names:  # a tree without git
            names = [n for n in os.listdir(top) if not n.startswith("build") and not n.startswith(".")]
        names.append(os.path.relpath(build, top))
        with open(build + ".lock", "a", encoding="ascii") as lock:  # scripts/run writes to the build, too
            fcntl.flock(lock, fcntl.LOCK_EX)
            subprocess.run(["tar", "-C", top, "-cf", os.path.join(copy, "tar"), *names], check=True)
        tree = os.path.join(copy, "tree")
        os.mkdir(tree)
        subprocess.run(["tar", "-C", tree, "-xpf", os.path.join(copy, "tar")], check=True)
        os.unlink(os.path.join(copy, "tar"))
        subprocess.run(["chown", "-R", "%d:%d" % (NOBODY, NOBODY), tree], check=True)
        os.chmod(copy, 0o755)
        home = os.path.join(copy, "home")
        os.mkdir(home)
        os.chown(home, NOBODY, NOBODY)
        # All is built, and the build may hang on programs that nobody cannot reach (a Python below /root).
        with open(os.path.join(home, "ninja"), "w", encoding="ascii") as f:
            f.write("#!/bin/sh\nexit 0\n")
        os.chmod(f.name, 0o755)
        ninja = shutil.which("ninja", path="/usr/bin:/bin") or shutil.which("ninja")
        subprocess.run(["mount", "--bind", f.name, os.path.realpath(ninja)], check=True)
        subprocess.run(["mount", "--bind", tree, top], check=True)
        os.chdir(top)
        return subprocess.run(["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups",
                               "/usr/bin/python3", os.path.join(suite.HERE, "engines.py"), build, "--user"],
                              env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": home, "LANG": "C.UTF-8",
                                   "PYTHONDONTWRITEBYTECODE": "1"},
                              stdin=subprocess.DEVNULL, timeout=250).returncode
    finally:
        subprocess.run(["umount", top], stderr=subprocess.DEVNULL)
        shutil.rmtree(copy, ignore_errors=True)


def run_user(build):
    """The part for an ordinary user, whoever we are; (passed, failed)."""
    if os.geteuid() != 0:
        return as_user(build)
    done = subprocess.run(["unshare", "-m", "--propagation", "private", sys.executable, __file__, build, "--copy"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=280)
    text = done.stdout.decode("utf-8", "replace")
    counts = re.findall(r"^(\d+) passed, (\d+) failed$", text, re.M)
    print(re.sub(r"^\d+ passed, \d+ failed\n", "", text, flags=re.M).rstrip())
    return (int(counts[-1][0]), int(counts[-1][1])) if counts else (0, 1)


def main():
    build = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else os.path.join(suite.TOP, "build")
    mode = sys.argv[2] if len(sys.argv) > 2 else "all"
    if mode == "--copy":
        return with_copy(build)
    if mode == "--user":
        runs = [as_user(build)]
    elif mode == "--doors":
        runs = [side_by_side("memory engine", DOORS, build, "--engine", "memory")]
    else:
        runs = [side_by_side("memory engine", FILES, build, "--engine", "memory"),
                side_by_side("8 connections a process", ("pop", "imap", "lmtp", "smtp", "auth", "admin"), build,
                             "--connections-per-process", "8"),
                run_user(build)]
    passed, failed = sum(r[0] for r in runs), sum(r[1] for r in runs)
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
