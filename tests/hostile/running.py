#!/usr/bin/python3
"""Look at the processes of a running suite from outside: are they where their rows say?

usage: running.py MASTER_PID          check that suite
       running.py BUILD               start a demo with scripts/run, open connections, check, stop

What a process must be is written here again, on purpose not read from the table. A suite that runs
as an ordinary user has no roots, users and namespaces of its own; nobody but root can look into
undumpable processes, so for others only /proc/PID/status is checked.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import types

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "crash"))
import kill_kinds  # noqa: E402

ROOT = os.geteuid() == 0
# Programs that hold directories or files.
HOLDS_DIRS = {"stored", "authd", "routerd", "stored-external"}
HOLDS_FILES = HOLDS_DIRS | {"logd"}
# Certificates are public; who takes the signer has the keys anyway. Their children hold neither.
HOLDS_PEM = {"signer", "pop3", "imap", "smtp", "admin", "pwd", "metrics"}
HOLDS_LISTENERS = {"pop3", "imap", "smtp", "admin", "pwd", "metrics"}
MUST_RUN = {"logd", "signer", "stored", "stored-external", "authd", "authd-worker", "routerd", "parsed", "parsed-fork", "pop3",
            "imap", "smtp", "admin", "pwd", "metrics"}
CAPS_MASTER = 1 << 0 | 1 << 2 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 18 | 1 << 21
HARMLESS = re.compile(r"socket:\[\d+\]|pipe:\[\d+\]|/dev/null|"
                      r"anon_inode:\[(eventpoll|eventfd|timerfd|signalfd)\]")


def read(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()


class Process:
    def __init__(self, pid, parent):
        self.pid, self.parent = pid, parent
        self.title = read("/proc/%d/cmdline" % pid).rstrip("\0")
        self.status = dict(re.findall(r"^(\w+):[ \t]*(.*)$", read("/proc/%d/status" % pid), re.M))
        name = self.title.split(": ", 1)[-1].split(" ")[0]
        self.is_master = parent is None
        self.full = parent.full if parent else self.status["Uid"].split()[0] == "0"
        self.is_forker = name.endswith("-fork")  # as parsed, but has seen no mail
        self.is_child = parent is not None and not parent.is_master and not self.is_forker
        self.program = parent.program if self.is_child or self.is_forker else name
        self.name = "master" if self.is_master else name if self.is_forker else \
            self.program + ("-child" if self.is_child else "")

    def children(self):
        found = []
        for task in os.listdir("/proc/%d/task" % self.pid):
            for pid in read("/proc/%d/task/%s/children" % (self.pid, task)).split():
                try:
                    found.append(Process(int(pid), self))
                except (FileNotFoundError, ProcessLookupError):
                    pass  # ended meanwhile
        return found


def check_status(p):
    """Differences as sentences; what anybody may see."""
    s, bad = p.status, []
    least = 1 if p.is_master else 3 if p.is_child else 2
    if s["Seccomp"] != "2":
        bad.append("no seccomp filter")
    if int(s.get("Seccomp_filters", least)) < least:
        bad.append("%s filters, not %d" % (s["Seccomp_filters"], least))
    if s["NoNewPrivs"] != "1":
        bad.append("may gain privileges")
    if not p.title.startswith("gatehouse"):
        bad.append("is called %r" % p.title)
    want = CAPS_MASTER if p.is_master and p.full else 0
    for field in ("CapEff", "CapPrm", "CapAmb", "CapInh") + (("CapBnd",) if p.full else ()):
        extra = int(s[field], 16) & ~want
        if extra:
            bad.append("%s holds %x" % (field, extra))
    uids = set(s["Uid"].split())
    if p.full and not p.is_master and (len(uids) != 1 or "0" in uids or set(s["Gid"].split()) & {"0"} or
                                     s["Groups"].strip()):
        bad.append("ids are %s / %s / %s" % (s["Uid"], s["Gid"], s["Groups"]))
    return bad


def check_inside(p):
    """What root can see of one process that is not master."""
    base, bad = "/proc/%d/" % p.pid, []
    if p.full and os.listdir(base + "root"):
        bad.append("its root directory is not empty")
    for ns in ("net", "ipc"):
        if p.full and os.readlink(base + "ns/" + ns) == os.readlink("/proc/self/ns/" + ns):
            bad.append("shares the %s namespace of the host" % ns)
    limits = read(base + "limits")
    if not re.search(r"^Max core file size +0 +0 ", limits, re.M):
        bad.append("may dump core")
    if p.is_child and not re.search(r"^Max processes +0 +0 ", limits, re.M):
        bad.append("may have processes")
    if re.search(r"^\S+ .w.?x", read(base + "maps").replace("-", " ", 1), re.M):
        bad.append("has memory that is writable and executable")
    return bad


def check_fds(p):
    base, bad = "/proc/%d/fd/" % p.pid, []
    listening = listening_inodes()
    for fd in os.listdir(base):
        try:
            target = os.readlink(base + fd)
            is_dir = os.path.isdir(base + fd)
        except FileNotFoundError:
            continue
        inode = target[8:-1] if target.startswith("socket:[") else None
        if inode in listening and (p.is_child or p.program not in HOLDS_LISTENERS):
            bad.append("holds the listener %s" % target)
        if HARMLESS.fullmatch(target) or fd == "2":
            continue
        if p.name in HOLDS_PEM and not is_dir and read_only(p, fd):
            continue
        if p.program in (HOLDS_DIRS if is_dir else HOLDS_FILES) and target.startswith("/"):
            continue
        bad.append("holds %s as %s" % (target, fd))
    return bad


def read_only(p, fd):
    flags = re.search(r"^flags:\s*(\d+)", read("/proc/%d/fdinfo/%s" % (p.pid, fd)), re.M)
    return int(flags.group(1), 8) & os.O_ACCMODE == os.O_RDONLY


def listening_inodes():
    found = set()
    for table in ("tcp", "tcp6"):
        for line in read("/proc/net/" + table).splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                found.add(fields[9])
    for line in read("/proc/net/unix").splitlines()[1:]:
        fields = line.split()
        if fields[3] == "00010000":
            found.add(fields[6])
    return found


def check_suite(master_pid, children):
    master = Process(master_pid, None)
    todo, everyone = [master], []
    while todo:
        p = todo.pop()
        everyone.append(p)
        todo += p.children()
    passed, failed = 0, []
    for p in list(everyone):
        try:
            bad = check_status(p)
            if ROOT and not p.is_master:
                bad += check_inside(p) + check_fds(p)
        except (FileNotFoundError, ProcessLookupError):
            if kill_kinds.lives(p.pid):
                raise
            everyone.remove(p)
            continue
        failed += ["%s (%d): %s" % (p.name, p.pid, b) for b in bad]
        passed += not bad
    programs = {}
    for p in everyone:
        if not p.is_master:
            programs.setdefault(p.status["Uid"].split()[0], set()).add(p.program)
    for uid, names in programs.items() if master.full else ():
        if len(names) > 1:
            failed.append("user %s is shared by %s" % (uid, sorted(names)))
    for name in sorted((MUST_RUN | children) - {p.name for p in everyone}):
        failed.append("%s does not run" % name)
    if not ROOT:
        print("not root: descriptors, roots and namespaces were not looked at")
    print("looked at: " + " ".join(sorted(p.name for p in everyone)))
    return passed, failed


def master_of(run_dir):
    return int(read(os.path.join(run_dir, "gatehouse.pid")).split()[0])


def check_demo(build):
    top = os.path.join(HERE, "..", "..")
    run = os.path.join(top, "scripts", "run")
    where = tempfile.mkdtemp(prefix="gh-running-")
    demo = ["--dir", where, "--port-offset", "23000"]
    try:
        # A helper that is not there: the process that would speak to it runs.
        subprocess.run([run, *demo, "--build", build, "--set", "external_helper = " + where + "/none", "--detach"], check=True, timeout=300,
                       stdout=subprocess.DEVNULL)
        master = master_of(os.path.join(where, "run"))
        company = kill_kinds.Company(types.SimpleNamespace(
            dir=where, base_port=23000, exe=os.path.join(os.path.abspath(build) + ".root", "usr/sbin/gatehouse"),
            ports={"pop3": 23110, "imap": 23143, "lmtp": 23024}), "u2")
        sender = company.smtp()
        kinds = kill_kinds.rows(build)
        for kind in kinds - {"parsed-child"}:
            company.invite(kind)
        # The reader of mail comes when there is some, and goes two seconds later.
        for _ in range(10):
            company.invite("parsed-child")
            end = time.monotonic() + 5
            while "parsed-child" not in kill_kinds.running(master) and time.monotonic() < end:
                time.sleep(0.02)
            found = check_suite(master, kinds)
            if "parsed-child does not run" not in found[1]:
                break
        sender.close()
        return found
    finally:
        subprocess.run([run, "--dir", where, "--stop"], timeout=60, stdout=subprocess.DEVNULL)
        shutil.rmtree(where, ignore_errors=True)


def main():
    what = sys.argv[1]
    try:
        passed, failed = check_suite(int(what), set()) if what.isdigit() else check_demo(what)
    except (RuntimeError, OSError, subprocess.SubprocessError) as e:
        passed, failed = 0, [str(e)]
    for f in failed:
        print("FAIL " + f)
    print("%d passed, %d failed" % (passed, len(failed)))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
