#!/usr/bin/python3
"""port_dovecot - mail moved in from a private Dovecot by IMAP, whole and broken off; and what is remembered of it, made by parsed."""
import imaplib
import os
import random
import signal
import subprocess
import sys
import time

import openmetrics
from maildirs import account, export_json, folder, import_json, make_maildir, read_box, same_box
from suite import A1, PASSWORD, TOP, case, check, equal, main, wait

sys.path.insert(0, os.path.join(TOP, "tests", "imap"))
import servers  # noqa: E402

BOXES = {"INBOX": ("INBOX", ""), "Work": ("Work", ".Work"), "Work/A\xe4.b": ('"Work/A&AOQ-_b"', ".Work.A&AOQ-_b")}
MANY = ["word%d" % i for i in range(120)]  # Dovecot keeps hundreds of keywords in a mailbox


def fill(c, want):
    """The messages of each mailbox as they were appended: {uid: message}."""
    have = {}
    for box, (raw, _) in BOXES.items():
        c.create(raw)
        c.subscribe(raw)
        have[box] = {}
        for uid, (data, flags, keywords, when) in enumerate(want[box][0].values(), 1):
            more = set(MANY) if uid == 2 and box == "INBOX" else set()
            equal(c.append(raw, " ".join(sorted(flags | keywords | more)), imaplib.Time2Internaldate(when), data)[0], "OK", "append")
            have[box][uid] = (data, flags, keywords | more, when)
    c.select("Work")
    c.store("3:5", "+FLAGS", "\\Deleted")
    c.expunge()
    have["Work"] = {u: m for u, m in have["Work"].items() if u not in (3, 4, 5) and "\\Deleted" not in m[1]}
    c.select("Work", readonly=True)
    return have, [int(c.response(k)[1][0]) for k in ("UIDVALIDITY", "UIDNEXT")]


def run(s, seconds, *args, stdin):
    """Ends it after so many seconds, if it is not over by then: its status, or None."""
    p = subprocess.Popen([os.path.join(s.root, "usr/bin/gatehousectl"), "--socket", s.admin, "--quiet", "store", "import", *args],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        err = p.communicate(stdin.encode(), timeout=seconds)[1]
        check(p.returncode == 0, "import: %s", err)
        return 0
    except subprocess.TimeoutExpired:
        p.kill()
        p.communicate()
        return None


def compare(s, name, have, status, d):
    export_json(s, name, d)
    for box, (_, sub) in BOXES.items():
        if box == "INBOX":
            continue  # a Maildir has no room for its keywords; by IMAP below
        got = read_box(os.path.join(d, sub))
        same_box(got, (have[box], *got[1:]), box)
        if box == "Work":
            equal(list(got[1:]), status, "uidvalidity and uidnext")
    with imaplib.IMAP4(A1, s.port(143)) as c:
        c.login(name, PASSWORD)
        c.select("INBOX", readonly=True)
        for uid, (data, flags, keywords, when) in have["INBOX"].items():
            got = c.uid("FETCH", str(uid), "(FLAGS INTERNALDATE BODY.PEEK[])")[1][0]
            equal(got[1], data, "bytes of uid %d" % uid)
            equal({f.decode() for f in imaplib.ParseFlags(got[0])} - {"\\Recent"}, flags | keywords, "flags of uid %d" % uid)
    with open(d + "/subscriptions", encoding="ascii") as f:
        equal(sorted(f.read().split("\n")[2:]), ["", "INBOX", "Work", "Work\tA&AOQ-_b"], "subscriptions")


@case("from Dovecot by IMAP: bytes, flags, hundreds of keywords, dates, uids, subscriptions; broken off at any moment and continued as well")
def dovecot(s):
    r = random.Random(12)
    names = [account(s, "dove%d" % i) for i in (1, 2)]  # uidvalidities are times: these come before all there
    with folder() as d, servers.start("dovecot", 1, s.offset + 2000, format="maildir") as peer:
        with imaplib.IMAP4("127.0.0.1", peer.imap) as c:
            c.login("u1", peer.password)
            have, status = fill(c, make_maildir(d + "/in", 11, 90))
        began = time.monotonic()
        source = ["imap://u1@127.0.0.1:%d" % peer.imap, "--state"]
        run(s, 120, names[0], *source, d + "/state-whole", stdin=peer.password + "\n")
        length = time.monotonic() - began
        kills = 0
        while run(s, r.uniform(0, length * 0.5) + kills * 0.05, names[1], *source, d + "/state-broken", stdin=peer.password + "\n") is None:
            kills += 1
        for name in names:
            compare(s, name, have, status, d + "/out-" + name)
        check(kills > 0, "it was never broken off")


@case("what is moved in waits for parsed, and has its facts from there")
def facts(s):
    name = account(s, "f1")
    queue = lambda: openmetrics.value(openmetrics.scrape(s), "parse_queue")  # noqa: E731
    with folder() as d:
        make_maildir(d + "/in", 3, 60)
        equal(queue(), 0, "messages that wait before")
        pids = s.pids("parsed")
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            import_json(s, name, d + "/in")
            check(queue() > 0, "nothing waits for parsed")
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
        wait(lambda: queue() == 0, what="the end of the queue")
        with imaplib.IMAP4(A1, s.port(143)) as c:
            c.login(name, PASSWORD)
            c.select("Work", readonly=True)
            for row in c.fetch("1:*", "(ENVELOPE BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1][::2]:
                subject = row[1].split(b"Subject: ")[1].strip()
                check(b'"%s"' % subject in row[0], "an envelope is %r", row[0])


if __name__ == "__main__":
    main(23100, accounts=0)
