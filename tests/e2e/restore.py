#!/usr/bin/python3
"""restore - a message, a mailbox, an account out of a backup into a running server: as it was, once, and beside what is there."""
import contextlib
import imaplib
import os
import re
import time

import suite
from stores import data, target, tool
from suite import A1, DOMAIN, PASSWORD, case, check, equal

imaplib._MAXLINE = 1 << 24
GENERATIONS = []  # (path, what each account held)
BOXES = ("INBOX", "Work", "Work/Old", "A&AOQ-")


@contextlib.contextmanager
def imap(s, user="u1"):
    with imaplib.IMAP4(A1, s.port(143)) as c:
        c.login(user, PASSWORD)
        yield c


def text_of(i):
    return ("From: a@b.example\r\nMessage-ID: <m%d@b.example>\r\nSubject: number %d\r\n\r\n" % (i, i)).encode() + b"text \xe4\r\n" * (i * i)


def fill(s, box, numbers):
    with imap(s) as c:
        c.create(box)
        for i in numbers:
            flags = "(%s)" % " ".join(f for k, f in enumerate(("\\Seen", "\\Flagged", "\\Answered", "$Label%d" % (i % 3), "todo")) if i >> k & 1)
            equal(c.append('"%s"' % box, flags, imaplib.Time2Internaldate(1500000000 + i * 77777), text_of(i))[0], "OK", "append")


def held(s, user="u1"):
    """{mailbox: [(bytes, flags, date)] in an order of their own}."""
    found = {}
    with imap(s, user) as c:
        for line in c.list()[1]:
            box = line.decode().rsplit('"/" ', 1)[1].strip('"')
            if b"\\Noselect" in line or c.select('"%s"' % box, readonly=True)[1] == [b"0"]:
                continue
            rows = c.fetch("1:*", "(FLAGS INTERNALDATE BODY.PEEK[])")[1]
            found[box] = sorted((r[1], sorted(f.decode() for f in imaplib.ParseFlags(r[0] + tail) if f != b"\\Recent"),
                                 int(time.mktime(imaplib.Internaldate2tuple(r[0]))))
                                for r, tail in zip(rows[::2], rows[1::2]))
    return found


def uid_of(s, box, i):
    with imap(s) as c:
        c.select('"%s"' % box, readonly=True)
        return c.uid("SEARCH", "HEADER", "Message-ID", "<m%d@b.example>" % i)[1][0].split()[0].decode()


def expunge(s, box, i):
    with imap(s) as c:
        c.select('"%s"' % box)
        uid = c.uid("SEARCH", "HEADER", "Message-ID", "<m%d@b.example>" % i)[1][0].split()[0].decode()
        c.uid("STORE", uid, "+FLAGS", "(\\Deleted)")
        c.expunge()
        return uid


def back(s, *args, account="u1", generation=0, ok=(0,)):
    return tool(s, "restore", GENERATIONS[generation][0], "--account=" + account, *args, ok=ok)


def counts(said):
    return said["moved"], said["already"], said["left"]


@case("two generations of a server whose users go on working")
def made(s):
    for box, numbers in zip(BOXES, (range(1, 13), range(20, 32), range(40, 44), range(50, 53))):
        fill(s, box, numbers)
    for k in range(2):
        said = tool(s, "backup", data(s), target(s))
        GENERATIONS.append((os.path.join(target(s), said["generation"]), held(s)))
        fill(s, "INBOX", range(60 + k, 61 + k))
    equal(GENERATIONS[1][1]["INBOX"].__len__(), 13, "messages of the second one")


@case("a message by its uid: bytes, flags, keywords and date as they were; a second time it is there already")
def one(s):
    before = held(s)
    uid = expunge(s, "INBOX", 7)
    said = back(s, "--mailbox=INBOX", "--uid=" + uid, "--dry-run")
    equal((said["to be moved"], held(s) == before), (1, False), "dry run")
    equal(counts(back(s, "--mailbox=INBOX", "--uid=" + uid)), (1, 0, []), "restored")
    check(held(s) == before, "it is not as it was")
    equal(counts(back(s, "--mailbox=INBOX", "--uid=" + uid)), (0, 1, []), "again")
    check(held(s) == before, "it came twice")


@case("a message by its Message-ID, with brackets or without, from wherever it was")
def by_id(s):
    before = held(s)
    expunge(s, "Work", 25)
    equal(counts(back(s, "--message-id=<m25@b.example>")), (1, 0, []), "restored")
    check(held(s) == before, "it is not as it was")
    equal(counts(back(s, "--mailbox=Work", "--message-id=m25@b.example")), (0, 1, []), "again")


@case("a mailbox that was deleted, and one of which some is there with other flags: that stays as it is")
def mailboxes(s):
    before = held(s)
    with imap(s) as c:
        equal(c.delete("Work/Old")[0], "OK", "delete")
        c.select("Work")
        c.store("1:3", "+FLAGS", "(mine)")
    expunge(s, "Work", 31)
    equal(counts(back(s, "--mailbox=Work/Old")), (4, 0, []), "the deleted one")
    equal(held(s)["Work/Old"], before["Work/Old"], "the deleted one")
    changed = held(s)["Work"]
    equal(counts(back(s, "--mailbox=Work")), (1, 11, []), "the one in use")
    got = held(s)["Work"]
    equal([m for m in got if m not in changed], [m for m in before["Work"] if m[0] == text_of(31)], "what came")
    equal([m for m in changed if m not in got], [], "what went")


@case("an account of each generation below a mailbox: all of it, equal to what it was at that time; another account's as well")
def accounts(s):
    for k, (path, was) in enumerate(GENERATIONS):
        said = back(s, "--into=Back%d" % k, generation=k)
        equal(counts(said), (sum(map(len, was.values())), 0, []), "restored")
        now = held(s)
        equal({box: now["Back%d" % k if box == "INBOX" else "Back%d/%s" % (k, box)] for box in was}, was, "generation %d" % k)
    said = back(s, "--from=u1@" + DOMAIN, account="u2")
    equal(held(s, "u2"), GENERATIONS[0][1], "moved in for another")
    equal(counts(back(s, "--from=u1@" + DOMAIN, account="u2"))[0], 0, "moved twice")


def conversation(i, *refs):
    """Number i, which answers the last of `refs`; one that was cut names no other."""
    head = "In-Reply-To: <c%d@b.example>\r\n" % refs[-1] if refs else ""
    if len(refs) > 1:
        head += "References: %s\r\n" % " ".join("<c%d@b.example>" % k for k in refs)
    return ("From: a@b.example\r\nMessage-ID: <c%d@b.example>\r\n%sSubject: talk\r\n\r\nnumber %d\r\n" % (i, head, i)).encode()


def talk(s, user):
    """{Message-ID: thread id} of INBOX."""
    with imap(s, user) as c:
        c.select("INBOX", readonly=True)
        rows = [r for r in c.fetch("1:*", "(THREADID BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")[1] if isinstance(r, tuple)]
    return {re.search(rb"<(.*)@", r[1]).group(1).decode(): re.search(rb"THREADID \((\w+)\)", r[0]).group(1).decode() for r in rows}


def made_anew(s):
    s.ctl("account", "import", "-", stdin="talk@%s:{PLAIN}%s\n" % (DOMAIN, PASSWORD))


def say(s, user, *messages):
    with imap(s, user) as c:
        for m in messages:
            equal(c.append("INBOX", "", None, conversation(*m))[0], "OK", "append")


@case("thread ids: as they were in the account that is there and in one that is made anew, and what is answered later joins")
def threads(s):
    made_anew(s)
    say(s, "talk", (1,), (2, 1), (3, 2), (4, 3), (5,))
    was = talk(s, "talk")
    equal(len({was["c%d" % i] for i in range(1, 5)}), 1, "threads of the conversation")
    said = tool(s, "backup", data(s), target(s))
    GENERATIONS.append((os.path.join(target(s), said["generation"]), None))
    with imap(s, "talk") as c:
        c.select("INBOX")
        c.store("3:5", "+FLAGS", "(\\Deleted)")
        c.expunge()
    equal(counts(back(s, account="talk", generation=-1)), (3, 2, []), "restored")
    equal(talk(s, "talk"), was, "threads of the account")
    say(s, "talk", (6, 4))
    equal(talk(s, "talk")["c6"], was["c1"], "the answer's thread")
    s.ctl("account", "delete", "talk@" + DOMAIN)
    made_anew(s)
    equal(counts(back(s, "--mailbox=INBOX", "--uid=4", account="talk", generation=-1)), (1, 0, []), "one of it")
    equal(counts(back(s, "--message-id=c3@b.example", account="talk", generation=-1)), (1, 0, []), "another")
    say(s, "talk", (7, 4))
    equal(talk(s, "talk"), {"c%d" % i: was["c1"] for i in (3, 4, 7)}, "threads of the account that was made anew")


@case("what is not in it is said, nothing is changed, and no copy is left")
def nothing(s):
    before = held(s)
    for args, text in (("--mailbox=Nowhere",), "mailbox"), (("--mailbox=INBOX", "--uid=4711"), "no such message"), \
            (("--message-id=<x@y>",), "no such message"), (("--from=nobody",), "nothing"):
        check(text in back(s, *args, ok=(1,))["error"], "%s: it is not said", args)
    for args in ("--account=u1", "--uid=3"), ("--mailbox=INBOX",), ():
        equal(s.ctl("store", "restore", GENERATIONS[0][0], *args, ok=False)[0], 2, "status of %s" % (args,))
    check("account" in back(s, account="nobody", ok=(1,))["error"], "an account that is not there")
    check(held(s) == before, "something was changed")
    equal([n for n in os.listdir(s.dir) if n.startswith("gatehouse-restore-")], [], "copies that are left")


if __name__ == "__main__":
    suite.main(23050)
