#!/usr/bin/python3
"""compress - mail of a domain that compresses it reads as it came, by every door and part, whatever becomes of the setting, the
server and its data; and takes less room."""
import contextlib
import imaplib
import json
import os
import random

import suite
from stores import data, target, tool
from suite import A1, DOMAIN, PASSWORD, case, check, equal

imaplib._MAXLINE = 1 << 24
U1 = "u1@" + DOMAIN
SENT = []  # in the order of the mailbox
WORDS = "and the letter says once more what was said in the letter before".split()


def text(size, seed, noise=0):
    """Words; each `noise`th line is one that nothing can make shorter."""
    r = random.Random(seed)
    lines = ["From: a@b.example", "Subject: number %s" % seed, ""]
    while size > 60 * len(lines):
        lines.append(r.randbytes(27).hex() if noise and len(lines) % noise == 0 else " ".join(r.choice(WORDS) for _ in range(12)))
    return "\r\n".join(lines).encode() + b"\r\n"


def send(s, one):
    s.deliver(U1, one)
    SENT.append(one)


def set_to(s, value):
    s.ctl("domain", "settings", DOMAIN, "CompressMessages=" + value)


def state(s):
    """Octets as clients see them, and as they are stored."""
    s.ctl("store", "compact", "--wait")
    st = json.loads(s.ctl("--json", "store", "stat"))
    return int(st["body-raw-bytes"]), int(st["body-stored-bytes"])


@contextlib.contextmanager
def imap(s):
    with imaplib.IMAP4(A1, s.port(143)) as c:
        c.login("u1", PASSWORD)
        equal(c.select("INBOX", readonly=True)[0], "OK", "the answer to SELECT")
        yield c


def one_of(c, uid, what):
    parts = [p for p in c.uid("FETCH", uid, what)[1] if isinstance(p, tuple)]
    equal(len(parts), 1, "parts of FETCH %s" % what)
    return parts[0][1]


def reads(s):
    """By POP and by IMAP: whole, header, text, and parts of it around the ends of chunks."""
    for got, sent in zip(s.mail(), SENT, strict=True):
        check(got.endswith(sent), "a message of %d octets by POP", len(sent))
    with imap(s) as c:
        for uid, sent in zip(c.uid("SEARCH", "ALL")[1][0].decode().split(), SENT, strict=True):
            whole = one_of(c, uid, "BODY.PEEK[]")
            check(whole.endswith(sent), "a message of %d octets by IMAP", len(sent))
            size = int(c.uid("FETCH", uid, "RFC822.SIZE")[1][0].decode().split("RFC822.SIZE ")[1].split()[0].rstrip(")"))
            equal(size, len(whole), "RFC822.SIZE")
            equal(one_of(c, uid, "BODY.PEEK[HEADER]") + one_of(c, uid, "BODY.PEEK[TEXT]"), whole, "header and text")
            for at in (0, 1, 8191, 8192, 40000, 65535, 65536, len(whole) - 1):
                for n in (1, 1000, 70000):
                    if at < len(whole):
                        equal(one_of(c, uid, "BODY.PEEK[]<%d.%d>" % (at, n)), whole[at:at + n], "%d octets at %d" % (n, at))


@case("what was there stays, what comes is compressed and reads as it came", engines=("lmdb",))
def compressed(s):
    send(s, text(100000, "before"))
    before = state(s)
    check(before[1] >= before[0], "%d octets took %d before", *before)
    set_to(s, "YES")
    for size in (200, 1000, 1100, 8000, 33000, 66000, 300000, 1500000):
        send(s, text(size, size, noise=5))
    with imap(s) as c:
        one = text(50000, "appended")
        equal(c.append("INBOX", None, None, one)[0], "OK", "the answer to APPEND")
        SENT.append(one)
    raw, stored = (now - was for now, was in zip(state(s), before))
    check(1500000 < raw and stored < raw * 0.7, "%d octets take %d", raw, stored)
    reads(s)


@case("switched off again, and after another start", engines=("lmdb",))
def off(s):
    before = state(s)
    set_to(s, "default")
    send(s, text(120000, "after"))
    raw, stored = (now - was for now, was in zip(state(s), before))
    check(stored >= raw > 0, "%d octets take %d after", raw, stored)
    reads(s)
    s.restart()
    reads(s)


@case("one body for two accounts; what one of them deletes the other keeps", engines=("lmdb",))
def shared(s):
    set_to(s, "YES")
    one = text(20000, "two")
    with s.lmtp() as l:
        equal([code for code, _ in l.data([U1, "u2@" + DOMAIN], one)], [250, 250], "answers")
    SENT.append(one)
    s.empty("u2")
    s.ctl("undelete", "purge", "u2")
    state(s)
    reads(s)


@case("verified, backed up, restored, and written anew by salvage", engines=("lmdb",))
def kept(s):
    said = tool(s, "backup", data(s), target(s))
    equal(said["lost"], 0, "lost in the backup")
    s.stop()
    os.rename(data(s), data(s) + ".was")
    tool(s, "restore", os.path.join(target(s), said["generation"]), data(s))
    equal(tool(s, "verify", "--offline=" + data(s))["items"], [], "what verify found")
    st = {k: v for k, v in tool(s, "stat", "--offline=" + data(s)).items() if k.endswith("body-bytes")}
    check(st["live-body-bytes"] < st["raw-body-bytes"] * 0.8, "%s", st)
    new = os.path.join(s.dir, "new")
    equal(tool(s, "salvage", "--as-store", data(s), new)["lost"], 0, "lost by salvage")
    again = tool(s, "stat", "--offline=" + new)
    check(again["live-body-bytes"] < again["raw-body-bytes"] * 0.8, "salvage unpacked it: %s", again)
    s.start_again()
    reads(s)


if __name__ == "__main__":
    suite.main(21000)
