#!/usr/bin/python3
"""slow - many clients that send large messages at the same time, none faster than the others, half by IMAP's APPEND
and half by LMTP: memory stays within what docs/store.md states, and each body is written once.

    slow.py BUILD [--clients 100] [--mb 50]

Small by default; --clients 100 --mb 50 is the measured form.
"""
import argparse
import imaplib
import os
import sys

from suite import DOMAIN, PASSWORD, TOP, Failed, Line, Lmtp, Suite, check, equal, wait

PIECE = 64 * 1000
STORED_KB, STORED_CLIENT_KB = 32 << 10, 1536  # stored: all of it, and for each upload
DOOR_KB = 4 << 10  # the process of one connection, what it does not share
imaplib._MAXLINE = 1 << 26


def anon_kb(pid):
    """Memory of its own that a process has, in KiB; 0 when it is gone."""
    try:
        with open("/proc/%d/status" % pid, encoding="ascii", errors="replace") as f:
            status = dict(line.split(":", 1) for line in f)
    except (FileNotFoundError, ProcessLookupError):
        return 0
    # One that is ending, or has ended and was not waited for yet, has no memory and no such line.
    return int(status.get("RssAnon", "0").split()[0])


def written(pid):
    """Octets that a process has handed to write() and the like; None when it may not be seen."""
    try:
        with open("/proc/%d/io" % pid, encoding="ascii") as f:
            return int(dict(line.split(": ") for line in f.read().splitlines())["wchar"])
    except OSError:
        return None


def on_disk(directory):
    total = 0
    for base, _, files in os.walk(directory):
        for name in files:
            try:
                total += os.stat(os.path.join(base, name)).st_blocks * 512
            except FileNotFoundError:
                pass
    return total


class Upload:
    """One message on its way: a head of its own and so many equal pieces."""

    def __init__(self, s, number, pieces):
        self.number, self.left = number, pieces
        self.head = b"Subject: message %d\r\n\r\n" % number
        self.piece = (b"%05d" % number + b"x" * 71 + b"\r\n") * (PIECE // 78)
        self.size = len(self.head) + pieces * len(self.piece)
        self.imap = number % 2 == 0
        if self.imap:
            self.line = Line(("127.0.0.1", s.port(143)), 120)
            self.line.want(None, "* OK")
            self.line.want("a LOGIN u1 " + PASSWORD, "a OK")
            self.line.send("b APPEND INBOX {%d}\r\n" % self.size)
            self.line.want(None, "+")
        else:
            self.line = Lmtp(("127.0.0.1", s.port(24)), timeout=120)
            self.line.begin(["u2@" + DOMAIN])
            self.line.command("DATA", 354)
        self.line.send(self.head)

    def send(self):
        self.line.send(self.piece)
        self.left -= 1

    def end(self):
        if self.imap:
            self.line.send("\r\n")
            self.line.want(None, "b OK")
        else:
            self.line.send(".\r\n")
            self.line.reply(250)
        self.line.close()


def look(s, peak):
    stored = s.pids("stored")[0]
    doors = [anon_kb(p) for name in ("imap", "smtp") for p in s.pids(name, child=True)]
    peak["stored"] = max(peak["stored"], anon_kb(stored))
    peak["door"] = max([peak["door"]] + doors)
    peak["doors"] = max(peak["doors"], len(doors))
    peak["disk"] = max(peak["disk"], on_disk(os.path.join(s.dir, "data", "store")))


def check_all(s, sizes):
    """Every message is there as it was sent: by its size."""
    got = {}
    for user in ("u1", "u2"):
        m = imaplib.IMAP4("127.0.0.1", s.port(143), timeout=120)
        m.login(user, PASSWORD)
        m.select("INBOX", readonly=True)
        for row in m.fetch("1:*", "(RFC822.SIZE BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]:
            if isinstance(row, tuple):
                got[int(row[1].split()[2])] = int(row[0].split(b"RFC822.SIZE ")[1].split()[0])
        m.logout()
    equal(sorted(got), sorted(sizes), "messages")
    for number, size in sizes.items():
        trace = got[number] - size  # LMTP puts its own fields in front
        check(trace == 0 if number % 2 == 0 else 0 < trace < 1000, "message %d has %d octets of %d", number,
              got[number], size)


def run(s, clients, mb):
    pieces = mb * 1000 * 1000 // (PIECE // 78 * 78)
    stored = s.pids("stored")[0]
    before, wrote = anon_kb(stored), written(stored)
    disk = on_disk(os.path.join(s.dir, "data", "store"))
    peak = {"stored": 0, "door": 0, "doors": 0, "disk": 0}
    uploads = [Upload(s, n, pieces) for n in range(clients)]
    total = sum(u.size for u in uploads)
    for i in range(pieces):
        for u in uploads:
            u.send()
        if i in (pieces // 3, pieces * 2 // 3, pieces - 1):
            look(s, peak)
    for u in uploads:
        u.end()
    look(s, peak)
    print("%d clients, %d MB each: stored %d KiB before, %d at most; the largest of %d doors %d KiB; disk %.2f of the mail"
          % (clients, mb, before, peak["stored"], peak["doors"], peak["door"], (peak["disk"] - disk) / total))
    if wrote is not None:
        print("written by stored: %.3f of the mail" % ((written(stored) - wrote) / total))
        check(written(stored) - wrote < total * 1.05 + (8 << 20), "stored wrote bodies more than once")
    # The memory engine has the mail there, and nothing on the disk.
    kept = 2 * total >> 10 if s.engine == "memory" else 0
    check(peak["stored"] < STORED_KB + clients * STORED_CLIENT_KB + kept, "stored takes %d KiB", peak["stored"])
    check(peak["stored"] > 0 and peak["door"] > 0, "no RssAnon of any")
    check(peak["doors"] >= clients, "%d doors", peak["doors"])
    check(peak["door"] < DOOR_KB, "a door takes %d KiB", peak["door"])
    check(peak["disk"] - disk < total * 1.05 + (72 << 20), "the disk takes %d for %d", peak["disk"] - disk, total)
    check_all(s, {u.number: u.size for u in uploads})


def main():
    a = argparse.ArgumentParser()
    a.add_argument("build", nargs="?", default=os.path.join(TOP, "build"))
    a.add_argument("--clients", type=int, default=16)
    a.add_argument("--mb", type=int, default=3)
    a.add_argument("--engine", choices=["lmdb", "memory"], default="lmdb")
    a.add_argument("--port-offset", type=int, default=27500)
    opt = a.parse_args()
    failed = 0
    try:
        with Suite(opt.build, opt.port_offset, engine=opt.engine, settings=("connections_max_per_address=1000",)) as s:
            run(s, opt.clients, opt.mb)
            wait(lambda: not s.sessions(), 60, "the sessions' end")
    except (Failed, OSError, ConnectionError) as e:
        print("FAILED  %s: %s" % (type(e).__name__, e))
        failed = 1
    print("%d passed, %d failed" % (1 - failed, failed))
    sys.exit(failed)


if __name__ == "__main__":
    main()
