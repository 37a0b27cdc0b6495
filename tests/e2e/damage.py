#!/usr/bin/python3
"""damage - the index of a store is damaged, stopped or running: the server heals it, and all mail is there.

With --rounds N that many seeded damages below a running server (default 4).
"""
import contextlib
import fcntl
import glob
import hashlib
import imaplib
import json
import os
import signal
import smtplib
import sys
import threading

import openmetrics
import suite
from stores import data, flip, tool
from suite import DOMAIN, PASSWORD, case, check, equal, message, wait

U1 = "u1@" + DOMAIN
BOXES = ("INBOX", "Work")
ROUNDS = 4


def store(s, name="data.mdb"):
    return os.path.join(s.dir, "data", "store", name)


def imap(s):
    i = imaplib.IMAP4(suite.A1, s.port(143), timeout=30)
    i.login("u1", PASSWORD)
    return i


def mail(s):
    """{(mailbox, uid): (flags, sum of the bytes)}; fails where the server says that it cannot."""
    found = {}
    i = imap(s)
    try:
        for box in BOXES:
            check(i.select(box, readonly=True)[0] == "OK", "SELECT was refused")
            status, parts = i.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[])")
            check(status == "OK", "FETCH was refused")
            for part in parts:
                if not isinstance(part, tuple):
                    continue
                head = part[0].decode()
                uid = int(head.split("UID ")[1].split()[0].rstrip(")"))
                flags = sorted(f for f in head.split("FLAGS (")[1].split(")")[0].split() if f != "\\Recent")
                found[box, uid] = (flags, hashlib.sha256(part[1]).hexdigest())
        i.logout()
    finally:
        with contextlib.suppress(Exception):
            i.shutdown()
    return found


def quiet(function, *args):
    try:
        return function(*args)
    except Exception:
        return None


def said(s, event):
    return s.log_text().count(event)


def settle(s, seconds=60):
    """The server answers, and says all that it said before."""
    wait(lambda: quiet(mail, s) == MAIL, seconds, "the return of all mail")


MAIL = {}


@case("an index damaged while the server is stopped: it starts, with a new one", engines=("lmdb",))
def stopped(s):
    for k in range(60):
        s.deliver(U1, message("%d " % k + "x" * (k * 37 % 3000), str(k)))
    i = imap(s)
    i.create("Work")
    i.select("INBOX")
    for k in range(1, 61, 3):
        i.uid("STORE", str(k), "+FLAGS", "(\\Seen $Label%d)" % (k % 5))
    i.uid("MOVE", "10:20", "Work")
    i.uid("STORE", "30:33", "+FLAGS", "(\\Deleted)")
    i.expunge()
    i.logout()
    MAIL.update(mail(s))
    equal(len(MAIL), 56, "messages")
    for k in range(ROUNDS):
        s.stop()
        flip(store(s), k, pages=k % 2 == 1)
        before = said(s, "engine.rebuilt")
        s.start_again()
        equal(mail(s), MAIL, "mail")
        check(said(s, "engine.rebuilt") <= before + 1, "more than one new index")
        check(len(glob.glob(store(s, "data.mdb.damaged-*"))) <= 1, "more than one index was kept")
    check(said(s, "engine.rebuilt") > 0, "no damage was found")


@case("killed, and its index damaged: a look before it is used finds that", engines=("lmdb",))
def killed(s):
    s.restart()  # what the log made anew is in the index then
    master = s.master()
    stored = s.pids("stored")[0]
    os.kill(master, signal.SIGSTOP)  # it does not start another one now
    os.kill(stored, signal.SIGKILL)
    wait(lambda: not suite.alive(stored), 60, "the death of stored")
    check(os.path.exists(store(s, "running")), "nothing says that it did not stop in order")
    size = os.path.getsize(store(s))
    with open(store(s), "r+b") as f:
        for page in range(8192, size, 4096):
            for at in (page + 20, page + 4000):
                f.seek(at)
                was = f.read(8)
                f.seek(at)
                f.write(bytes(b ^ 0x55 for b in was))
    before = said(s, "engine.rebuilt")
    os.kill(master, signal.SIGCONT)
    settle(s)
    equal(said(s, "engine.rebuilt"), before + 1, "new indexes")
    s.restart()
    check(said(s, "engine.checked") == 0 or said(s, "engine.rebuilt") == before + 1, "rebuilt once more")


@case("pages flip below a running server: errors or a new start, never other mail, and all of it comes back",
      engines=("lmdb",))
def running(s):
    for k in range(ROUNDS):
        s.restart()
        equal(mail(s), MAIL, "mail")
        old = s.pids("stored")
        flip(store(s), 100 + k, pages=k % 2 == 1)
        for _ in range(3):
            got = quiet(mail, s)
            wrong = {m: v for m, v in (got or {}).items() if MAIL.get(m, v)[1] != v[1]}
            equal(wrong, {}, "messages that are not what they were")
        # Damage that nobody has met yet is found at the next start.
        if s.pids("stored") == old:
            s.restart()
        settle(s)
        os.path.exists(store(s, "running"))


@case("stored dies of a bad access: looked at once, at the second death the index goes", engines=("lmdb",))
def segfaults(s):
    s.restart()
    equal(mail(s), MAIL, "mail")
    rebuilt, checked = said(s, "engine.rebuilt"), said(s, "engine.checked")
    for k in range(2):
        stored = s.pids("stored")[0]
        os.kill(stored, signal.SIGSEGV if k == 0 else signal.SIGBUS)
        wait(lambda: not suite.alive(stored), 60, "the death of stored")
        settle(s)
        equal((said(s, "engine.checked") - checked, said(s, "engine.rebuilt") - rebuilt), (1, k),
              "looks and new indexes after death %d" % (k + 1))


def nobody_in(s, submission=454):
    """POP, IMAP in both of its ways, and submission say that it is for now only, in their words; the connections go on.
    Who wants to send needs no store to log in: each recipient is answered "later"."""
    suite.refused(s.pop, text="[SYS/TEMP]")
    for way in (lambda i: i.login("u1", PASSWORD), lambda i: i.authenticate("PLAIN", lambda _: b"\0u1\0" + PASSWORD.encode())):
        i = imaplib.IMAP4(suite.A1, s.port(143), timeout=30)
        try:
            way(i)
            raise suite.Failed("IMAP let u1 in")
        except imaplib.IMAP4.error as e:
            check("[UNAVAILABLE]" in str(e), "IMAP said %s", e)
        equal(i.noop()[0], "OK", "NOOP behind it")
        i.shutdown()
    with smtplib.SMTP("localhost", s.port(587), timeout=30) as c:
        c.starttls(context=s.ca())
        c.ehlo()
        code, text = c.docmd("AUTH", "PLAIN " + suite.plain("u1", PASSWORD))
        equal(code, submission, "submission's answer (%s)" % text)
        equal(c.noop()[0], 250, "NOOP behind it")


def figures(s):
    """Which databases the metrics say are refused."""
    now = openmetrics.scrape(s)
    return [d for d in ("directory", "secrets", "store") if openmetrics.value(now, "database_refused", database=d)]


def temporary(s):
    """Every door says that it is for now only, in its protocol's words; administrators are served."""
    nobody_in(s, 235)
    equal(figures(s), ["store"], "what the metrics tell")
    with s.lmtp() as l:
        l.command("MAIL FROM:<>", 250)
        code, text = l.command("RCPT TO:<%s>" % U1)
        if code == 250:
            code, text = l.command("DATA")
        equal(code // 100, 4, "LMTP's answer: %s" % text)
    check(DOMAIN in s.ctl("domain", "list"), "no list of domains")
    equal(json.loads(s.ctl("--json", "stat"))["engine-health"], 4, "what is told of the store")
    check("nothing of it is served" in s.ctl("store", "stat"), "store stat does not tell it")
    check(s.ctl("store", "compact", ok=False)[0] == 1, "it is compacted")
    status, out, _ = s.ctl("--conf", s.conf, "check", ok=False)
    check(status == 1 and "store salvage" in out and "store rebuild" in out, "the check says %s", out)


@case("neither index nor log: it is left untouched, the suite runs and says what helps; repaired, all mail is there", engines=("lmdb",))
def refused(s):
    s.stop()
    flip(store(s), 7, size=8192)
    logs = sorted(glob.glob(store(s, "log-*")))
    with open(logs[0], "r+b") as f:
        f.seek(400)
        was = f.read(6)
        f.seek(400)
        f.write(b"damage")
    names = logs + [store(s)]

    def sums():
        return [hashlib.sha256(open(n, "rb").read()).hexdigest() for n in names]
    before = sums()
    for _ in range(2):
        told = said(s, "database.refused")
        s.start_again()
        wait(lambda: said(s, "database.refused") > told and s.log_text().endswith("\n"), 60, "the word about it in the log")
        check("store salvage" in s.log_text().rsplit("database.refused", 1)[1], "no word about salvage")
        temporary(s)
        s.stop()
        equal(sums(), before, "the files")
    with open(logs[0], "r+b") as f:
        f.seek(400)
        f.write(was)
    tool(s, "rebuild", data(s))
    s.start_again()
    settle(s)


def broken(s, database):
    """Damages index and log of one of the three databases of a stopped suite; what undoes the log's part."""
    here = os.path.join(s.dir, "data", database)
    log = sorted(glob.glob(os.path.join(here, "log-*")))[0]
    flip(os.path.join(here, "data.mdb"), 7, size=8192)
    with open(log, "r+b") as f:
        f.seek(300)
        was = f.read(6)
        f.seek(300)
        f.write(b"damage")

    def undo():
        with open(log, "r+b") as f:
            f.seek(300)
            f.write(was)
        tool(s, "rebuild", here)
    return undo


def sums_of(s, database):
    return {n: hashlib.sha256(open(n, "rb").read()).hexdigest()
            for n in glob.glob(os.path.join(s.dir, "data", database, "log-*"))}


def repaired_and_reloaded(s, database, undo):
    """With the suite running: the files are free; a reload looks again."""
    undo()
    again = said(s, "database.again")
    os.kill(s.master(), signal.SIGHUP)
    wait(lambda: said(s, "database.again") > again, 60, "a second look at the " + database)

    def served():
        with contextlib.suppress(Exception):
            mail(s)
            return True
        return False
    wait(served, 60, "the " + database)
    equal(figures(s), [], "what the metrics tell after the repair")
    settle(s)
    status, out, _ = s.ctl("--conf", s.conf, "check", ok=False)
    check("damaged" not in out, "after the repair the check says %s", out)


@case("a damaged directory or damaged secrets: the suite runs, says 'later' and what helps; repaired beside it, a reload looks again", engines=("lmdb",))
def names_refused(s):
    for database in ("directory", "secrets", "store"):
        s.stop()
        undo = broken(s, database)
        before = sums_of(s, database)
        s.start_again()
        nobody_in(s, 235 if database == "store" else 454)
        equal(figures(s), [database], "what the metrics tell")
        status, out, _ = s.ctl("--conf", s.conf, "check", ok=False)
        check(status == 1 and "store salvage" in out and "store rebuild" in out and database in out, "the check says %s", out)
        with s.lmtp() as l:
            l.command("MAIL FROM:<>", 250)
            code, text = l.command("RCPT TO:<%s>" % U1)
            equal(code, 250 if database == "secrets" else 451, "the answer to RCPT TO")
            check(database == "secrets" or text[-1].startswith("4."), "LMTP said %s", text)
        if database == "directory":
            status, _, err = s.ctl("domain", "list", ok=False)
            check(status != 0 and "damaged" in err, "a list of domains: %s %s", status, err)
        if database == "secrets":
            check(s.ctl("password", "set", U1, stdin="other\n", ok=False)[0] != 0, "a password is set")
        equal(sums_of(s, database), before, "the log of the " + database)
        repaired_and_reloaded(s, database, undo)


@case("a database that somebody still has open is waited for; who keeps it open refuses the start, with a sentence (the long form)", engines=("lmdb",))
def held(s):
    s.stop()
    with open(store(s, "lock"), "rb") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        let_go = threading.Timer(1, fcntl.flock, (f, fcntl.LOCK_UN))
        let_go.start()
        s.start_again()
        let_go.join()
    settle(s)
    if ROUNDS < 10:
        return  # the rest waits for seven seconds
    s.stop()
    with open(os.path.join(s.dir, "data", "secrets", "lock"), "rb") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        try:
            s.start_again()
        except suite.Failed as e:
            check("authd did not start: another process has this database open" in str(e), "%s", e)
        else:
            raise suite.Failed("it is ready without its secrets")
        s.process.wait(60)
        s.process = None
    s.start_again()
    settle(s)


if __name__ == "__main__":
    if "--rounds" in sys.argv:
        at = sys.argv.index("--rounds")
        ROUNDS = int(sys.argv[at + 1])
        del sys.argv[at:at + 2]
    suite.main(11000)
