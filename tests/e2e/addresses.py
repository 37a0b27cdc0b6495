#!/usr/bin/python3
"""addresses - listeners on all addresses know the local one of each connection, of IPv4 and IPv6, and it chooses the
domain of a name alone.

The machine's own addresses are not ours to change, so this runs in a network namespace that it makes, and needs root.
"""
import contextlib
import fcntl
import imaplib
import json
import os
import re
import socket
import struct
import subprocess
import sys

import suite
from suite import DOMAIN, PASSWORD, case, check, equal, wait

sys.path.append(os.path.join(suite.TOP, "scripts", "lib"))
from own_net import own_network  # noqa: E402

# client1.test has 127.0.0.4/30, fd00:1::/64 and fd00:2::5 to fd00:2::ff; client2.test fd00:3::1 alone.
RANGES = {"client1.test": ["127.0.0.4/30", "fd00:1::/64", "fd00:2::5-fd00:2::ff"], "client2.test": ["fd00:3::1"]}
PLACES = {"127.0.0.1": DOMAIN, "127.0.0.3": DOMAIN, "127.0.0.4": "client1.test", "127.0.0.7": "client1.test",
          "127.0.0.8": DOMAIN, "::1": DOMAIN, "fd00:1::1": "client1.test", "fd00:1::ffff:ffff:ffff:ffff": "client1.test",
          "fd00:1:0:1::": DOMAIN, "fd00:2::4": DOMAIN, "fd00:2::5": "client1.test", "fd00:2::ff": "client1.test",
          "fd00:2::100": DOMAIN, "fd00:3::1": "client2.test", "fd00:3::2": DOMAIN}
SIOCSIFADDR = 0x8916


def make_network():
    """A namespace whose loopback has all of PLACES."""
    own_network()
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
        for a in PLACES:
            if ":" in a and a != "::1":
                fcntl.ioctl(s, SIOCSIFADDR, struct.pack("16sIi", socket.inet_pton(socket.AF_INET6, a), 128,
                                                        socket.if_nametoindex("lo")))


def prepare(s):
    """Once: listeners on all addresses of both families, and who has which."""
    if "client1.test" in s.ctl("domain", "list").split():
        return
    s.edit("address = 0.0.0.0", "address = 0.0.0.0 ::")
    s.edit("plaintext_login = loopback", "plaintext_login = always")
    s.restart()
    for d, ranges in RANGES.items():
        s.ctl("domain", "create", d)
        s.ctl("domain", "addresses", d, "=", *ranges)
    s.ctl("account", "import", "-", stdin="".join(
        "info@%s:{PLAIN}%s\n" % (d, PASSWORD) for d in (DOMAIN, *RANGES)))


def session(s):
    rows = s.sessions()
    equal(len(rows), 1, "number of sessions")
    return rows[0]["Account"]


def by_pop(s, address):
    with contextlib.closing(s.pop("info", address=address)) as p:
        found = session(s)
        p.quit()
    wait(lambda: not s.sessions(), 60, "the session's end")
    return found


def by_imap(s, address):
    with imaplib.IMAP4(address, s.port(143), timeout=30) as m:
        m.login("info", PASSWORD)
        found = session(s)
    wait(lambda: not s.sessions(), 60, "the session's end")
    return found


def by_pwd(s, address):
    with socket.create_connection((address, s.port(106)), timeout=30) as sock, sock.makefile("rb") as f:
        for line in (None, b"USER info", b"PASS " + PASSWORD.encode(), b"INLINE", b"GetAccountInfo *"):
            if line:
                sock.sendall(line + b"\r\n")
            answer = f.readline().decode()
        return re.search(r'AccountName="([^"]+)"', answer)[1]


@case("the local address of each connection chooses the domain, by POP, IMAP and PWD")
def places(s):
    prepare(s)
    for address, domain in PLACES.items():
        for door in (by_pop, by_imap, by_pwd):
            equal(door(s, address), "info@" + domain, "the account opened %s at %s" % (door.__name__, address))
        steps = json.loads(s.ctl("--json", "route", "test", "info", "--local", address))
        equal(steps[2], "info@" + domain, "what route test says of %s" % address)
        if domain != DOMAIN:
            check(any("address " + address in x for x in steps[4:]), "no step names %s: %r", address, steps)


@case("the ranges are shown and counted the same after a restart")
def restart(s):
    prepare(s)
    before = [s.ctl("domain", "addresses", d).split() for d in RANGES]
    equal(before, list(RANGES.values()), "the ranges")
    s.restart()
    equal([s.ctl("domain", "addresses", d).split() for d in RANGES], before, "the ranges after a restart")
    equal(by_pop(s, "fd00:2::ff"), "info@client1.test", "the account opened")


@case("a range that another domain has part of is refused, and the answer names it")
def meets(s):
    prepare(s)
    status, _, err = s.ctl("domain", "addresses", "client2.test", "=", "fd00:2::/64", ok=False)
    check(status == 1 and "fd00:2::/64 meets fd00:2::5-fd00:2::ff, which belongs to client1.test" in err, "it says %s", err)
    equal(s.ctl("domain", "addresses", "client2.test").split(), RANGES["client2.test"], "the ranges")


def main():
    build = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else os.path.join(suite.TOP, "build")
    passed, failed = 0, 1
    if os.geteuid() != 0:
        print("FAILED  a network namespace of its own needs root")
    else:
        try:
            make_network()
            with suite.Suite(build, 24200, addresses=("0.0.0.0",)) as s:
                passed, failed = suite.play(s)
        except (suite.Failed, OSError, subprocess.SubprocessError) as e:
            print("FAILED  %s" % e)
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
