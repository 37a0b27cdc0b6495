#!/usr/bin/python3
"""pop - what a POP3 session sees and does while other sessions use the same mailbox."""
import contextlib
import os
import signal
import time

from suite import DOMAIN, PASSWORD, behind_trace, case, check, equal, fetch, main, message, refused, uidls, wait

TO = "u1@" + DOMAIN


def fill(s, n, first=1):
    if first == 1:
        s.empty()
    with s.lmtp() as l:
        for i in range(first, first + n):
            equal(l.data([TO], numbered(i))[0][0], 250, "the answer to message %d" % i)


def numbered(i):
    return message("text of message %d\r\n.\r\n..two dots" % i, "number %d" % i)


def bodies(p):
    return [behind_trace(fetch(p, int(line.split()[0]))) for line in p.list()[1]]


def session(s, user="u1"):
    return contextlib.closing(s.pop(user))


@case("what is delivered during a session is seen by the next one, not by this one")
def delivered(s):
    fill(s, 3)
    with session(s) as a:
        before = (a.stat(), a.list(), a.uidl())
        fill(s, 2, first=4)
        equal((a.stat(), a.list(), a.uidl()), before, "the first session's view")
        refused(a.retr, 4)
        with session(s) as b:
            equal(b.stat()[0], 5, "messages in the second session")
            equal(uidls(b)[:3], uidls(a), "unique ids")
            b.quit()
        equal(bodies(a), [numbered(i) for i in (1, 2, 3)], "the first session's messages")
        a.quit()


@case("a message that another session expunged stays in this one, readable to its last byte")
def expunged(s):
    fill(s, 3)
    with session(s) as a, session(s) as b:
        before = (a.stat(), a.list(), a.uidl())
        for i in (1, 2, 3):
            b.dele(i)
        b.quit()
        with session(s) as c:
            equal(c.stat()[0], 0, "messages in a new session")
            c.quit()
        fill(s, 1, first=4)
        equal((a.stat(), a.list(), a.uidl()), before, "the view")
        equal(bodies(a), [numbered(i) for i in (1, 2, 3)], "the messages")
        equal(b"\r\n".join(a.top(2, 0)[1]).split(b"Subject: ")[1][:8], b"number 2", "TOP of an expunged message")
        a.quit()
    equal([behind_trace(m) for m in s.mail()], [numbered(4)], "what is left")


@case("DELE deletes at QUIT and not before; RSET takes it back")
def at_quit(s):
    fill(s, 3)
    with session(s) as a:
        a.dele(1)
        a.rset()
        a.dele(2)
        refused(a.retr, 2)
        refused(a.dele, 2)
        equal(a.stat()[0], 2, "messages that are left in this session")
        equal([line.split()[0] for line in a.list()[1]], [b"1", b"3"], "the numbers that are left")
        with session(s) as b:
            equal(b.stat()[0], 3, "messages in another session before QUIT")
            a.quit()
            equal(bodies(b), [numbered(i) for i in (1, 2, 3)], "messages of the other session after it")
            b.quit()
    equal([behind_trace(m) for m in s.mail()], [numbered(1), numbered(3)], "what is left")


@case("a connection that is lost deletes nothing, in whatever way it is lost")
def lost(s):
    fill(s, 2)
    for how in ("close", "half", "reset", "line", "child"):
        with s.pop_line() as l:
            l.want("USER u1", "+OK")
            l.want("PASS " + PASSWORD, "+OK")
            l.want("DELE 1", "+OK")
            l.want("DELE 2", "+OK")
            if how == "half":
                l.sock.shutdown(1)
                equal(l.line(), None, "what follows the end")
            elif how == "reset":
                l.sock.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER: close sends a reset
            elif how == "line":
                l.send("QUI")
            elif how == "child":
                for pid in s.pids("pop3", child=True):
                    os.kill(pid, signal.SIGKILL)
                equal(l.line(), None, "what follows")
        wait(lambda: not s.sessions(), 60, "the end of the session")
        equal(len(s.mail()), 2, "messages left after '%s'" % how)


@case("two sessions delete the same message: both are told that all is well, the others stay")
def both(s):
    fill(s, 3)
    with session(s) as a, session(s) as b:
        for p in (a, b):
            p.dele(2)
        a.dele(1)
        for p in (a, b):
            check(p.quit().startswith(b"+OK"), "QUIT failed")
    equal([behind_trace(m) for m in s.mail()], [numbered(3)], "what is left")


@case("many sessions of one account at once: nobody waits for another")
def at_once(s):
    fill(s, 2)
    with contextlib.ExitStack() as stack:
        began = time.monotonic()
        all_of_them = [stack.enter_context(session(s)) for _ in range(20)]
        for p in all_of_them:
            equal(p.stat()[0], 2, "messages")
        check(time.monotonic() - began < 60, "took %.1f s", time.monotonic() - began)
        for p in reversed(all_of_them):
            p.quit()


@case("a client that does not read its mail keeps neither other sessions nor deliveries waiting")
def slow(s):
    s.empty()
    big = message("x" * 70 + ("\r\n" + "y" * 70) * 200000)  # 14 MB
    s.deliver(TO, big)
    with s.pop_line() as l:
        l.want("USER u1", "+OK")
        l.want("PASS " + PASSWORD, "+OK")
        l.send("RETR 1\r\n")
        time.sleep(0.3)
        began = time.monotonic()
        for _ in range(3):
            s.deliver(TO, message("meanwhile"))
        with session(s) as p:
            equal(p.stat()[0], 4, "messages")
            p.dele(1)
            p.quit()
        check(time.monotonic() - began < 30, "others took %.1f s", time.monotonic() - began)
        l.want(None, "+OK")
        got = bytearray()
        while not got.endswith(b"\r\n.\r\n"):
            got += l.file.read1(1 << 20)
        equal(len(behind_trace(bytes(got[:-3]))), len(big), "length of the message")
        check(behind_trace(bytes(got[:-3])) == big, "the message was changed")
    s.empty()


@case("commands that come in one piece are answered in their order")
def pipelined(s):
    fill(s, 3)
    with s.pop_line() as l:
        l.want("USER u1", "+OK")
        l.want("PASS " + PASSWORD, "+OK")
        l.send("STAT\r\nRETR 2\r\nNOOP\r\nRETR 9\r\nDELE 1\r\nRETR 1\r\nSTAT\r\nRSET\r\nQUIT\r\n")
        starts = []
        while True:
            line = l.line()
            if line is None:
                break
            if line.startswith(("+OK", "-ERR")):
                starts.append(line.split()[0])
        equal(starts, ["+OK", "+OK", "+OK", "-ERR", "+OK", "-ERR", "+OK", "+OK", "+OK"], "the answers")
    equal(len(s.mail()), 3, "messages")


@case("LIST tells exactly the octets that RETR sends, dots not counted twice")
def sizes(s):
    s.empty()
    for text in ("", ".", "..\r\n...", "a" * 5000, "\u00e4\u00f6", "last\r\n\r\n"):
        s.deliver(TO, message(text))
    with session(s) as p:
        for line in p.list()[1]:
            number, size = map(int, line.split())
            equal(len(fetch(p, number)), size, "size of message %d" % number)
        equal(p.stat()[1], sum(int(line.split()[1]) for line in p.list()[1]), "size of all")
        p.quit()


@case("a unique id is never given again, though its message and those after it are gone")
def ids_once(s):
    fill(s, 2)
    with session(s) as p:
        seen = set(uidls(p))
        p.quit()
    for _ in range(3):
        fill(s, 2)
        with session(s) as p:
            new = uidls(p)
            check(not seen & set(new), "came back: %s", seen & set(new))
            seen |= set(new)
            p.quit()


@case("unique ids stay the same over restarts and the death of the store", engines=("lmdb",))
def ids_stay(s):
    fill(s, 3)
    with session(s) as p:
        ids = uidls(p)
        p.dele(3)
        p.quit()
    s.restart()
    fill(s, 1, first=4)
    with session(s) as p:
        now = uidls(p)
        equal(now[:2], ids[:2], "unique ids after a restart")
        check(now[2] not in ids, "an id came back")
        p.quit()
    os.kill(s.pids("stored")[0], signal.SIGKILL)
    time.sleep(0.1)

    def again():
        try:
            with session(s) as p:
                found = uidls(p)
                p.quit()
                return found
        except Exception:
            return None

    equal(wait(again, 60, "a login after the store's death"), now, "unique ids after a kill")


if __name__ == "__main__":
    main(22000)
