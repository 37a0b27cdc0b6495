#!/usr/bin/python3
"""death - a process dies: who notices, and how soon all works again.

Times are printed; what is asserted is a wide bound, so that a busy machine does not fail the test.
"""
import contextlib
import imaplib
import os
import signal
import subprocess
import threading
import time

import suite
from suite import DOMAIN, PASSWORD, behind_trace, case, check, equal, fetch, main, message, wait

BOUND_S = 60
U1 = "u1@" + DOMAIN


def quiet(function):
    """function() with every failure as None: the door may be shut for a moment."""
    try:
        return function()
    except Exception:
        return None


def login(s):
    with contextlib.closing(s.pop("u1")) as p:
        p.stat()
        p.quit()
        return True


def deliver(s):
    s.deliver("u2@" + DOMAIN, message("again"))
    return True


def settle(s):
    """What an earlier case killed is back."""
    for ready in (login, deliver, admin):
        wait(lambda: quiet(lambda: ready(s)), 60, ready.__name__)
    s.empty("u2")


def kill(s, name):
    """Kills the processes of that name, one as a rule; the time of death."""
    pids = s.pids(name)
    check(pids, "no process %s", name)
    others = s.pids(name, child=True)  # they outlive it, and are the master's then
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    return time.monotonic(), pids + others


def back(s, name, died, old, *checks):
    """Waits for the new process and for each of the checks; says how long that took."""
    wait(lambda: set(s.pids(name)) - set(old), BOUND_S, "the return of " + name)
    there = time.monotonic() - died
    for c in checks:
        wait(lambda: quiet(lambda: c(s)), BOUND_S, c.__name__)
    print("        %s back after %.2f s, all of it after %.2f s" % (name, there, time.monotonic() - died))
    check(time.monotonic() - died < BOUND_S, "took %.1f s", time.monotonic() - died)


def admin(s):
    return s.ctl("domain", "list")


for process in ("authd", "routerd", "authd-worker", "signer", "logd", "parsed", "stored-external"):
    @case("%s dies: running sessions go on, new logins, deliveries and administration work soon" % process)
    def helper(s, name=process):
        settle(s)
        s.empty()
        s.deliver(U1, message("first"))
        with contextlib.closing(s.pop("u1")) as p, s.pop_line_tls() as over_tls, s.lmtp() as l, \
                contextlib.closing(s.pop_open()) as waiting:
            over_tls.want("USER u2", "+OK")
            over_tls.want("PASS " + PASSWORD, "+OK")
            died, old = kill(s, name)
            for _ in range(3):
                equal(p.stat()[0], 1, "messages in the running session")
                equal(behind_trace(fetch(p, 1)), message("first"), "its message")
                over_tls.want("STAT", "+OK")
                time.sleep(0.05)
            back(s, name, died, old, login, deliver, admin)
            with s.pop_line_tls() as fresh:
                fresh.want("CAPA", "+OK")
            p.dele(1)
            p.quit()
            over_tls.want("QUIT", "+OK")
            # A connection that was open before either works on or is closed properly, with a reason.
            code = quiet(lambda: l.command("MAIL FROM:<>")[0])
            check(code in (250, 421), "the waiting LMTP client was answered %s", code)
            try:
                waiting.user("u1")
                waiting.pass_(PASSWORD)
            except suite.poplib.error_proto as e:
                check(b"[SYS/TEMP]" in e.args[0], "the waiting POP client was answered %s", e)
        equal(s.mail(), [], "messages after QUIT")
        s.empty("u2")


@case("stored dies: its sessions are told -ERR and closed, deletions undone; logins work again soon",
      engines=("lmdb",))
def stored(s):
    settle(s)
    s.empty()
    for i in range(3):
        s.deliver(U1, message("kept %d" % i))
    with s.pop_line() as l, s.pop_line() as idle, s.lmtp() as m:
        for one in (l, idle):
            one.want("USER u1", "+OK")
            one.want("PASS " + PASSWORD, "+OK")
            one.want("DELE 1", "+OK")
        m.begin([U1])
        m.command("DATA", 354)
        m.send("Subject: in flight\r\n\r\n")
        died, old = kill(s, "stored")
        l.want("RETR 2", "-ERR [SYS/TEMP]")
        idle.want(None, "-ERR [SYS/TEMP]")
        for one in (l, idle):
            rest = one.line()
            check(rest is None or rest.startswith("-ERR [SYS/TEMP]") and one.line() is None, "then came %r", rest)
        m.send("text\r\n.\r\n")
        equal(m.reply()[0], 451, "the answer to the message in flight")
        equal(m.command("MAIL FROM:<>")[0], 421, "the answer to the next one")
        back(s, "stored", died, old, login, deliver, admin)
    equal([behind_trace(x) for x in s.mail()], [message("kept %d" % i) for i in range(3)], "messages")
    s.empty("u2")


@case("a child of a front-end dies: its connection ends, the one beside it does not notice")
def child(s):
    settle(s)
    s.empty()
    s.deliver(U1, message("one"))
    before = set(s.pids("pop3", child=True))
    with s.pop_line() as victim:
        mine = set(s.pids("pop3", child=True)) - before
        equal(len(mine), 1, "children for one connection")
        with contextlib.closing(s.pop("u1")) as other:
            for pid in mine:
                os.kill(pid, signal.SIGKILL)
            equal(victim.line(), None, "what the client sees")
            equal(other.stat()[0], 1, "messages in the other session")
            login(s)
            other.quit()
    smtp = set(s.pids("smtp", child=True))
    with s.lmtp() as a:
        mine = set(s.pids("smtp", child=True)) - smtp
        with s.lmtp() as b:
            b.begin([U1])
            for pid in mine:
                os.kill(pid, signal.SIGKILL)
            equal(a.line(), None, "what the client sees")
            b.command("DATA", 354)
            b.send(message("two") + b".\r\n")
            b.reply(250)
    equal([behind_trace(m) for m in s.mail()], [message("one"), message("two")], "messages")


def dying_worker(s, how):
    """A login whose worker dies in the middle: its answer, and whether the pool that forked it is another now."""
    settle(s)
    pool, before = s.pids("authd-worker"), set(s.pids("authd-worker", child=True))
    with s.pop_line() as line:
        line.send(b"AUTH LOGIN\r\n")
        line.want(None, "+ ")
        mine = set(s.pids("authd-worker", child=True)) - before
        equal(len(mine), 1, "workers for one dialogue")
        os.kill(mine.pop(), how)
        time.sleep(0.3)
        line.send(b"dTE=\r\n")
        answer = line.line()
    settle(s)
    return answer, s.pids("authd-worker") != pool


@case("a worker crashes: its login fails for now, and workers get another address layout")
def worker_crash(s):
    answer, another = dying_worker(s, signal.SIGSEGV)
    check(answer.startswith("-ERR [SYS/TEMP]"), "answered %r", answer)
    check(another, "the pool is still the old one")


@case("a worker is killed from outside: its login fails for now, the pool stays")
def worker_killed(s):
    answer, another = dying_worker(s, signal.SIGKILL)
    check(answer.startswith("-ERR [SYS/TEMP]"), "answered %r", answer)
    check(not another, "the pool is another one")


def imap(s):
    with imaplib.IMAP4("127.0.0.1", s.port(143), timeout=20) as c:
        return c.login("u1", PASSWORD)


def pwd(s):
    with suite.Line(("127.0.0.1", s.port(106))) as l:
        for text, start in ((None, "200 "), ("USER u1", "300 "), ("PASS " + PASSWORD, "200 ")):
            l.want(text, start)
        return True


DOORS = {"pop3": (), "imap": (imap,), "smtp": (), "admin": (), "pwd": (pwd,)}
for door in DOORS:
    @case("the acceptor of %s dies: no other door notices, and its listeners answer again soon" % door)
    def acceptor(s, name=door):
        settle(s)
        s.empty()
        s.empty("u2")
        with contextlib.closing(s.pop("u1")) as p, s.lmtp() as l:
            died, old = kill(s, name)
            if name != "pop3":
                equal(p.stat()[0], 0, "messages in the running session")
                quiet(p.quit)
            if name != "smtp":
                equal(l.data([U1], message("goes on"))[0][0], 250, "the answer to the running client")
            else:
                # What the client of the dead door had begun may go on or end, but not hang.
                quiet(lambda: l.command("NOOP"))
            back(s, name, died, old, login, deliver, admin, *DOORS[name])
        equal(len(s.mail()), 0 if name == "smtp" else 1, "messages")
        s.empty("u2")


@case("every helper at once: all is back, and nothing that was acknowledged is lost", engines=("lmdb",))
def all_at_once(s):
    settle(s)
    s.empty()
    s.deliver(U1, message("before"))
    names = ("authd", "routerd", "authd-worker", "signer", "logd", "parsed", "stored", "stored-external", "pop3", "imap", "smtp",
             "admin", "pwd", "metrics")
    old = {n: s.pids(n) for n in names}
    died = time.monotonic()
    for pids in old.values():
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
    for n in names:
        back(s, n, died, old[n])
    back(s, "stored", died, old["stored"], login, deliver, admin, imap, pwd)
    equal([behind_trace(m) for m in s.mail()], [message("before")], "messages")
    s.empty("u2")


@case("an orderly stop tells every client, finishes what was acknowledged, and ends all processes",
      engines=("lmdb",))
def stop(s):
    settle(s)
    s.empty()
    s.deliver(U1, message("stays"))
    with s.pop_line() as p, s.pop_line() as fresh, s.lmtp() as l, suite.Line(s.admin) as a:
        p.want("USER u1", "+OK")
        p.want("PASS " + PASSWORD, "+OK")
        p.want("DELE 1", "+OK")
        a.want(None, "200")
        pids = [pid for pid, _, _ in s.processes()]
        began = time.monotonic()
        ending = threading.Thread(target=s.stop)
        ending.start()
        for one, start in ((p, "-ERR [SYS/TEMP]"), (fresh, "-ERR [SYS/TEMP]"), (l, "421"), (a, "501")):
            one.want(None, start)
            equal(one.line(), None, "what follows")
        ending.join(30)
        print("        stopped after %.2f s" % (time.monotonic() - began))
    wait(lambda: not [pid for pid in pids if os.path.exists("/proc/%d" % pid)], 60, "the end of all processes")
    began = time.monotonic()
    s.start_again()
    print("        started after %.2f s" % (time.monotonic() - began))
    equal([behind_trace(m) for m in s.mail()], [message("stays")], "messages")


@case("the master dies: all its processes end by themselves, and a new one finds everything", engines=("lmdb",))
def master(s):
    settle(s)
    s.deliver(U1, message("too"))
    pids = [pid for pid, _, _ in s.processes()]
    pid = s.master()
    os.kill(pid, signal.SIGKILL)
    if s.process:
        s.process.wait(10)
        s.process = None
    wait(lambda: not [p for p in pids if os.path.exists("/proc/%d" % p)], BOUND_S, "the end of all processes")
    s.start_again()
    equal([behind_trace(m) for m in s.mail()], [message("stays"), message("too")], "messages")


@case("a second master on the same directory is refused and harms nothing")
def second(s):
    first = s.master()
    done = subprocess.run([os.path.join(s.root, "usr/sbin/gatehouse"), "--libexec",
                           os.path.join(s.root, "usr/lib/gatehouse"), s.conf], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30)
    check(done.returncode != 0 and b"running already" in done.stdout, "it said %r", done.stdout)
    equal(s.master(), first, "the process in the pid file")
    login(s)
    deliver(s)


if __name__ == "__main__":
    main(23300)
