#!/usr/bin/python3
"""full - the disk is full: mail is put off and none is lost, reading goes on, and with room again all works.

The data directory is a small file system of its own, so this needs root; it runs in a mount namespace.
"""
import contextlib
import os
import subprocess
import tempfile

import own_mounts
import suite
from suite import DOMAIN, behind_trace, case, check, equal, message, wait

U1, U2 = "u1@" + DOMAIN, "u2@" + DOMAIN
SIZE = 48 << 20
SENT = []


def data_of(s):
    return os.path.join(s.dir, "data")


def send(s, to=U1, n=200000):
    """Sends one message of about n bytes; the code."""
    data = message("%d " % len(SENT) + ("f" * 70 + "\r\n") * (n // 72))
    with s.lmtp() as l:
        code, text = l.data([to], data)[0]
    if code == 250 and to == U1:
        SENT.append(data)
    return code, text


def ballast(s, leave):
    """Fills the file system from outside, up to `leave` bytes."""
    v = os.statvfs(data_of(s))
    n = v.f_bavail * v.f_frsize - leave
    with open(os.path.join(data_of(s), "ballast"), "ab") as f:
        f.write(b"\0" * max(n, 0))


@case("a full disk: messages are put off with 452, what was taken before is whole, reading goes on")
def filled(s):
    for _ in range(5):
        equal(send(s)[0], 250, "the answer with room")
    ballast(s, 1 << 20)
    codes = []
    for _ in range(30):
        code, text = send(s)
        codes.append(code)
        check(code == 250 or code // 10 == 45, "answered %d %s", code, text)
    print("        taken with the last MB: %d, then %s" % (codes.count(250), sorted(set(codes) - {250})))
    check(codes[-1] in (451, 452) and 452 in codes, "the answers at the end are %s", codes[-5:])
    check(s.pids("stored") == s.first_stored, "the store was started anew")
    got = [behind_trace(m) for m in s.mail()]
    equal(len(got), len(SENT), "messages")
    check(got == SENT, "a message was changed")


@case("a full disk: changes of the directory and of passwords are refused or done, never half")
def directory(s):
    made = []
    for i in range(40):
        status, _, err = s.ctl("account", "create", "full%d" % i, ok=False)
        check(status in (0, 1), "status %d: %s", status, err)
        if status == 0:
            made.append("full%d" % i)
    listed = [n for n in s.ctl("account", "list").split() if n.startswith("full")]
    equal(sorted(listed), sorted(made), "the accounts")


@case("room again: mail is taken without a restart, and nothing was lost")
def room(s):
    os.unlink(os.path.join(data_of(s), "ballast"))

    def taken():
        return send(s)[0] == 250

    wait(taken, 60, "a delivery")
    for _ in range(3):
        equal(send(s)[0], 250, "the answer with room")
    s.ctl("account", "create", "afterwards")
    check(s.pids("stored") == s.first_stored, "the store was started anew")
    check([behind_trace(m) for m in s.mail()] == SENT, "a message was lost or changed")


@case("after a restart everything that was acknowledged is there, once")
def restarted(s):
    s.restart()
    got = [behind_trace(m) for m in s.mail()]
    equal(len(got), len(SENT), "messages")
    check(got == SENT, "a message was changed")
    equal(send(s)[0], 250, "the answer afterwards")


def run(build):
    where = tempfile.mkdtemp(prefix="gh-e2e-")
    data = os.path.join(where, "data")
    os.mkdir(data, 0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0700,size=%d" % SIZE, "tmpfs", data], check=True)
    with contextlib.ExitStack() as stack:
        stack.callback(subprocess.run, ["umount", data])
        s = stack.enter_context(suite.Suite(build, 23000, directory=where))
        s.first_stored = s.pids("stored")
        return suite.play(s)


if __name__ == "__main__":
    own_mounts.main(run, "a file system of its own")
