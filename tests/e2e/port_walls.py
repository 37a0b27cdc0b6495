#!/usr/bin/python3
"""port_walls - the processes that read and write strangers' files for gatehousectl: what they may, and what their death costs."""
import contextlib
import json
import os
import random
import signal
import subprocess
import time

from maildirs import BOXES, account, folder, import_json, make_maildir, read_box, text_of, write
from suite import PASSWORD, case, check, equal, main

NOBODY = 65534


def start(s, *args):
    return subprocess.Popen([os.path.join(s.root, "usr/bin/gatehousectl"), "--json", "--socket", s.admin, "store", *args],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def status_of(pid):
    """Lines of /proc/PID/status; none when it is gone."""
    try:
        with open("/proc/%d/status" % pid, encoding="latin-1") as f:
            return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
    except OSError:
        return {}


def child_of(p):
    try:
        with open("/proc/%d/task/%d/children" % (p.pid, p.pid), encoding="ascii") as f:
            return [int(pid) for pid in f.read().split()]
    except OSError:
        return []


def behind_walls(p, filters):
    """Its child once it has so many filters, with the parent stopped; None when all was over before."""
    while p.poll() is None:
        for pid in child_of(p):
            if status_of(pid).get("Seccomp_filters") == filters:
                os.kill(p.pid, signal.SIGSTOP)
                return pid
    return None


def filters_here():
    return int(status_of(os.getpid())["Seccomp_filters"])


def look(pid, uid):
    found = status_of(pid)
    equal(found["Seccomp"], "2", "the filter")
    equal(found["NoNewPrivs"], "1", "no new privileges")
    equal((found["CapPrm"], found["CapEff"]), ("0" * 16, "0" * 16), "capabilities")
    if os.geteuid() == 0:
        equal(found["Uid"].split(), [str(uid)] * 4, "its user")
        equal(found["Groups"].split(), [], "further groups")
        equal(os.listdir("/proc/%d/root" % pid), [], "its root directory")
        check(os.readlink("/proc/%d/ns/net" % pid) != os.readlink("/proc/self/ns/net"), "it has this machine's network")


def walled(s, what, uid, *args):
    """Runs until it was seen at work; its processes are all like that."""
    for _ in range(50):
        p = start(s, *args)
        pid = behind_walls(p, str(filters_here() + 1))
        try:
            if pid is not None:
                look(pid, uid)
                return
        finally:
            if p.poll() is None:
                os.kill(p.pid, signal.SIGCONT)
            p.communicate(timeout=120)
    check(False, "%s was never seen at work", what)


def uid_of(name):
    return int(subprocess.run(["id", "-u", name], stdout=subprocess.PIPE, check=True).stdout)


@case("what reads a source has no rights, no network and nothing to name; what writes an export is its directory's owner")
def walls(s):
    reader = uid_of("gatehouse-reader") if os.geteuid() == 0 else None
    with folder() as d:
        os.chmod(d, 0o755)
        make_maildir(d + "/in", 1, 900)
        name = account(s, "w1")
        walled(s, "the reader", reader, "import", "--dry-run", name, d + "/in")
        import_json(s, name, d + "/in")
        os.mkdir(d + "/out")
        if os.geteuid() == 0:
            os.chown(d + "/out", NOBODY, NOBODY)
        walled(s, "the export", NOBODY, "export", name, d + "/out")
        s.ctl("store", "export", name, d + "/out")
        for top, _, names in os.walk(d + "/out"):
            for f in names + ["."]:
                equal(os.stat(os.path.join(top, f)).st_uid, os.stat(d + "/out").st_uid, "owner of " + f)


def crash(s, name, source, r, n):
    """Kills the reader as a fault of its own would, at some moment; what the import said, or None when it was quicker."""
    p = start(s, "import", name, source)
    until = time.monotonic() + r.uniform(0, 0.15)
    pids = []
    while p.poll() is None and (not pids or time.monotonic() < until):
        pids = child_of(p) or pids
    for pid in pids[:1] if p.poll() is None else []:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSEGV)
    out, err = p.communicate(timeout=120)
    check(p.returncode in (0, 1), "the import's status is %d: %s", p.returncode, err)
    if p.returncode == 0:
        return None
    said = json.loads(out)
    if "left" not in said:  # it had not told its mailboxes yet
        check("crashed" in json.dumps(said), "it said %s", said)
        return said
    check(said["left"] and all("crashed" in one["why"] and one["what"] for one in said["left"]), "it left %s", said["left"])
    return said


def in_order(box):
    return sorted((data, sorted(flags), sorted(keywords), when) for data, flags, keywords, when in box.values())


@case("a reader that crashes costs what it was reading, which is told by name; the rest is moved, and by the next run all of it")
def crashes(s):
    r = random.Random(9)
    crashed = went_on = 0
    with folder() as d:
        want = make_maildir(d + "/in", 2, 300)
        for i in range(60):
            if crashed >= 6 and went_on >= 3:
                break
            name = account(s, "c%d" % i)
            said = crash(s, name, d + "/in", r, 300)
            crashed += said is not None
            went_on += said is not None and said.get("moved", 0) > 0
            if said is None:
                continue
            done = import_json(s, name, d + "/in")
            equal((said.get("moved", 0) + done["moved"], done["left"]), (300, []), "moved by both runs")
            s.ctl("store", "export", name, d + "/out%d" % i)
            for box, sub in BOXES.items():  # what came later has another uid
                got = read_box(os.path.join(d + "/out%d" % i, sub))[0]
                check(in_order(got) == in_order(want[box][0]), "messages of %s are others", box)
    check(crashed >= 6 and went_on >= 3, "it crashed %d times and went on %d times", crashed, went_on)


@case("what the mailbox has already can be left out, and one message be chosen by its Message-ID")
def present(s):
    r = random.Random(5)
    name = account(s, "p1")
    texts = [text_of(r, i, "\r\n") for i in range(30)]
    with folder() as d:
        os.makedirs(d + "/a/cur")
        os.makedirs(d + "/b/cur")
        for i, text in enumerate(texts):
            for top in "ab":
                # The same messages twice under other names; one has another date, one is there twice.
                write(os.path.join(d, top, "cur", "%d.%s%d.host:2,S" % (i, top, i)), text, 1000000000 + i + (i == 7 and top == "b"))
        write(d + "/b/cur/again.host:2,", texts[3], 1000000003)
        done = import_json(s, "--message-id=<4@b.example>", "--state=" + d + "/s1", name, d + "/a")
        equal((done["moved"], done["left"]), (1, []), "one by its id")
        done = import_json(s, "--skip-present", "--state=" + d + "/s2", name, d + "/a")
        equal((done["moved"], done["already"]), (29, 1), "what was missing")
        done = import_json(s, "--dry-run", "--skip-present", "--state=" + d + "/s3", name, d + "/b")
        equal((done["to be moved"], done["already"]), (2, 29), "what would come")
        done = import_json(s, "--skip-present", "--state=" + d + "/s3", name, d + "/b")
        equal((done["moved"], done["already"]), (2, 29), "another date is another message, and twice is two")
        equal(sorted(s.mail("p1", PASSWORD)), sorted(texts + [texts[3], texts[7]]), "the mail")


if __name__ == "__main__":
    main(23000, accounts=0)
