#!/usr/bin/python3
"""imap - what IMAP sessions do to each other, to POP and to deliveries, by Python's own client."""
import contextlib
import imaplib
import json
import os
import re
import signal
import time
import zlib

from imap_session import good, session
from stores import written
from suite import DOMAIN, PASSWORD, Failed, Line, behind_trace, case, check, equal, main, message, wait

TO = "u1@" + DOMAIN
imaplib._MAXLINE = 1 << 24


def bodies(m, what="1:*"):
    data = good(m.fetch(what, "(BODY.PEEK[])"))
    return [part[1] for part in data if isinstance(part, tuple)]


def numbers(m):
    return [int(n) for n in good(m.uid("SEARCH", "ALL"))[0].split()]


def empty(s, user="u1"):
    s.empty()
    with session(s, user, None) as m:
        for line in good(m.list()):
            name = re.search(rb'"/" (.*)$', line)[1].decode().strip('"')
            if name != "INBOX":
                m.delete('"%s"' % name)


def deliver(s, n=1, subject="delivered"):
    with s.lmtp() as l:
        for i in range(n):
            equal(l.data([TO], message("text %d" % i, "%s %d" % (subject, i)))[0][0], 250, "a delivery")


@case("a login works in clear text on loopback, by STARTTLS and by TLS")
def logins(s):
    context = s.ca()
    with session(s) as m:
        check("STARTTLS" in m.capabilities, "no STARTTLS offered: %r", m.capabilities)
    m = imaplib.IMAP4("localhost", 143 + s.offset, timeout=20)
    good(m.starttls(context))
    check("STARTTLS" not in m.capabilities, "STARTTLS offered again")
    good(m.login("u1", PASSWORD))
    m.logout()
    m = imaplib.IMAP4_SSL("localhost", 993 + s.offset, ssl_context=context, timeout=20)
    good(m.login("u1@" + DOMAIN, PASSWORD))
    m.logout()


@case("three wrong passwords end the connection")
def wrong(s):
    with Line(("127.0.0.1", 143 + s.offset)) as c:
        c.line()
        for i in range(3):
            c.want("%d LOGIN u1 wrong" % i, "%d NO [AUTHENTICATIONFAILED]" % i)
        equal(c.line(), None, "after three failures")


@case("a message that is appended comes back byte for byte, with its flags and date")
def appended(s):
    empty(s)
    text = message("one\r\n.\r\nbare \xe4\xf6 bytes", "appended").replace(b"\xc3", b"\xff")
    text += bytes(b for b in range(1, 256) if b not in b"\r\n") + b"\r\n"  # imaplib changes line ends
    with session(s) as m:
        answer = good(m.append("INBOX", r"(\Seen \Flagged $Work)", '"17-Jul-1996 02:44:25 -0700"', text))[0]
        check(re.match(rb"\[APPENDUID \d+ \d+\]", answer), "no APPENDUID: %r", answer)
        data = good(m.fetch("1", "(FLAGS INTERNALDATE RFC822.SIZE BODY[])"))
        head = data[0][0] + data[1]
        equal(data[0][1], text, "the message")
        for part in (rb"\Seen", rb"\Flagged", b"$Work", b'"17-Jul-1996 09:44:25 +0000"', b"RFC822.SIZE %d" % len(text)):
            check(part in head, "%r is not in %r", part, head)


@case("a large message goes in and out whole")
def large(s):
    empty(s)
    text = message("x" * 70 + "\r\n" + ("0123456789abcdef" * 4 + "\r\n") * 80000, "large")
    with session(s) as m:
        good(m.append("INBOX", None, None, text))
        equal(bodies(m)[0] == text, True, "the message's equality")
        part = good(m.fetch("1", "(BODY.PEEK[]<1000000.100000>)"))[0][1]
        equal(part == text[1000000:1100000], True, "a part's equality")


@case("a message over the limit is refused before it is sent")
def too_large(s):
    with Line(("127.0.0.1", 143 + s.offset)) as c:
        c.line()
        c.want("a LOGIN u1 " + PASSWORD, "a OK")
        c.want("b APPEND INBOX {99999999999}", "b NO [TOOBIG]")
        c.want("c NOOP", "c OK")


@case("several messages of one APPEND appear together or not at all")
def multiappend(s):
    empty(s)
    with Line(("127.0.0.1", 143 + s.offset)) as c, session(s) as m:
        c.line()
        c.want("a LOGIN u1 " + PASSWORD, "a OK")
        one, two = message("1", "one"), message("2", "two")
        c.send("b APPEND INBOX {%d+}\r\n" % len(one))
        c.send(one)
        c.send(" {%d+}\r\n" % len(two))
        c.send(two[:-5])
        time.sleep(0.3)
        m.noop()
        equal(numbers(m), [], "messages before the end")
        c.send(two[-5:] + b"\r\n")
        check(re.match(r"b OK \[APPENDUID \d+ \d+:\d+\]", c.line()), "the answer")
        m.noop()
        equal(bodies(m), [one, two], "the messages")
        c.send("c APPEND INBOX {%d+}\r\n" % len(one))
        c.send(one)
        c.send(" {0+}\r\n\r\n")
        check(c.line().startswith("c NO"), "an empty message was taken")
        m.noop()
        equal(len(numbers(m)), 2, "messages after one that failed")


@case("what is delivered is told to a waiting session, without a command of its own (how soon: tests/imap/together.py)")
def idle(s):
    empty(s)
    with Line(("127.0.0.1", 143 + s.offset)) as c:
        c.line()
        c.want("a LOGIN u1 " + PASSWORD, "a OK")
        c.send("b SELECT INBOX\r\n")
        while not c.line().startswith("b OK"):
            pass
        c.want("c IDLE", "+ ")
        with s.lmtp() as l:
            l.begin([TO])
            l.command("DATA", 354)
            l.send(message("x") + b".\r\n")
            equal(l.reply()[0], 250, "the delivery")
            equal(c.line(), "* 1 EXISTS", "what is told")
        c.line()
        c.want("DONE", "c OK")


def kept_alive(port, peer_port):
    """Seconds until the kernel asks the peer of this connection whether it is there; None: it does not."""
    with open("/proc/self/net/tcp", encoding="ascii") as f:
        for line in f.read().splitlines()[1:]:
            row = line.split()
            if row[1].endswith(":%04X" % port) and row[2].endswith(":%04X" % peer_port):
                kind, ticks = row[5].split(":")
                return int(ticks, 16) / os.sysconf("SC_CLK_TCK") if kind == "02" else None
    raise Failed("no such connection")


@case("a client that only waits is asked by TCP, before translators of addresses on the way forget it", engines=("lmdb",))
def long_idle(s):
    for port in (143, 110, 25, 587):
        with Line(("127.0.0.1", port + s.offset)) as c:
            c.line()
            left = wait(lambda: kept_alive(port + s.offset, c.sock.getsockname()[1]), what="a timer on port %d" % port)
            check(left <= 240, "port %d: asked in %s s", port, left)


@case("sessions see each other's flags and removals; POP's removals, too")
def together(s):
    empty(s)
    deliver(s, 4)
    with session(s) as a, session(s) as b:
        good(a.store("2", "+FLAGS", r"(\Flagged)"))
        b.noop()
        check(any(rb"\Flagged" in line for line in b.response("FETCH")[1]), "the flag was not told")
        good(a.store("1", "+FLAGS.SILENT", r"(\Deleted)"))
        good(a.expunge())
        b.noop()
        equal(b.response("EXPUNGE")[1][:1], [b"1"], "what is told")
        with contextlib.closing(s.pop()) as p:
            equal(p.stat()[0], 3, "messages by POP")
            p.dele(3)
            p.quit()
        b.noop()
        equal(b.response("EXPUNGE")[1][:1], [b"3"], "what is told after POP's QUIT")
        a.noop()
        equal(numbers(a), numbers(b), "uids")


@case("two thousand keywords in one mailbox: stored, told, found, copied, kept over a restart, and refused beyond the limit")
def keywords(s):
    empty(s)
    deliver(s, 3)
    names = ["topic-%04d" % n for n in range(4096)]
    with session(s) as m, session(s) as other:
        for at in range(0, 2000, 500):
            good(m.store("1:2", "+FLAGS.SILENT", "(%s)" % " ".join(names[at : at + 500])))
        good(m.store("2", "-FLAGS.SILENT", "(%s)" % " ".join(names[1:2000:2])))
        good(m.store("3", "FLAGS.SILENT", "(TOPIC-1999 topic-0007)"))
        keyword_check(m, names)
        good(other.noop())
        told = [f for f in other.response("FLAGS")[1] if f]
        check(names[1999].encode() in told[-1], "the other session was not told of the keywords")
        keyword_check(other, names)
        m.create("there")
        good(m.copy("1:3", "there"))
        good(m.select("there"))
        keyword_check(m, names)
    if s.engine != "memory":
        s.restart()
    with session(s, box="there") as m:
        keyword_check(m, names)
        good(m.store("3", "+FLAGS.SILENT", "(%s)" % " ".join(names[2000:4000])))
        good(m.store("3", "+FLAGS.SILENT", "(%s)" % " ".join(names[4000:4096])))
        answer = m.store("3", "+FLAGS", "(one-more)")
        equal(answer[0], "NO", "a keyword beyond the limit")
        check(b"[LIMIT]" in answer[1][0], "the refusal says %r" % answer[1])
        equal(good(m.search(None, "KEYWORD", names[4095])), [b"3"], "what has the last keyword")
        m.select("there")
        check(b"\\*" not in m.response("PERMANENTFLAGS")[1][0], "PERMANENTFLAGS still lets keywords be made")
        m.select("INBOX")
        m.delete("there")


def keyword_check(m, names):
    """Messages 1: the first 2000; 2: every second of them; 3: two."""
    want = {1: set(names[:2000]), 2: set(names[:2000:2]), 3: {names[7], names[1999]}}
    for line in good(m.fetch("1:3", "(FLAGS)")):
        n, flags = re.match(rb"(\d+) \(FLAGS \(([^)]*)\)", line).groups()
        got = {f for f in flags.decode().split() if not f.startswith("\\")}
        equal(got == want[int(n)], True, "keywords of message %s (%d, not %d)" % (n.decode(), len(got), len(want[int(n)])))
    for name, found in ((names[0], b"1 2"), (names[62], b"1 2"), (names[63], b"1"), (names[64], b"1 2"), (names[1999], b"1 3"), (names[7].upper(), b"1 3")):
        equal(good(m.search(None, "KEYWORD", name)), [found], "messages with " + name)
    equal(good(m.search(None, "UNKEYWORD", names[1999])), [b"2"], "messages without a keyword")


@case("COPY and MOVE keep message, flags and date")
def copies(s):
    empty(s)
    deliver(s, 3)
    with session(s) as m:
        good(m.create("Box"))
        good(m.store("1:2", "+FLAGS.SILENT", r"(\Seen kw)"))
        before = bodies(m)
        good(m.copy("1", "Box"))
        uids = numbers(m)
        good(m._simple_command("UID", "MOVE", "%d:%d" % (uids[1], uids[2]), "Box"))
        m.noop()
        equal(numbers(m), uids[:1], "what is left")
        good(m.select("Box"))
        equal(bodies(m), before, "the messages")
        flags = [imaplib.ParseFlags(line) for line in good(m.fetch("1:*", "FLAGS"))]
        equal([rb"\Seen" in f and b"kw" in f for f in flags], [True, True, False], "flags kept")
        equal(m.copy("1", "Nowhere")[0], "NO", "a copy into nothing")


@case("mailboxes, subscriptions and flags are there after a restart")
def restart(s):
    if s.engine == "memory":
        return
    empty(s)
    deliver(s)
    with session(s) as m:
        for name in ("One", "One/Two", '"Entw&APw-rfe"'):
            good(m.create(name))
        good(m.subscribe("One/Two"))
        good(m.store("1", "+FLAGS.SILENT", r"(\Answered later)"))
        good(m.rename("One", "Uno"))
        before = (good(m.list()), good(m.lsub()), good(m.fetch("1", "(UID FLAGS BODY.PEEK[])")),
                  m.response("UIDVALIDITY"))
        good(m.select())
    s.restart()
    with session(s) as m:
        equal((good(m.list()), good(m.lsub())), before[:2], "names")
        got = good(m.fetch("1", "(UID FLAGS BODY.PEEK[])"))
        equal(got[0][1], before[2][0][1], "the message")
        check(b"later" in got[0][0] + got[1] and rb"\Answered" in got[0][0] + got[1], "flags are lost: %r", got)
        good(m.delete("Uno/Two"))
        good(m.delete("Uno"))


@case("a session is told BYE when stored dies, and the next one works at once")
def death(s):
    if s.engine == "memory":
        return
    empty(s)
    deliver(s)
    with Line(("127.0.0.1", 143 + s.offset)) as c:
        c.line()
        c.want("a LOGIN u1 " + PASSWORD, "a OK")
        c.send("b SELECT INBOX\r\n")
        while not c.line().startswith("b OK"):
            pass
        c.want("c STORE 1 +FLAGS.SILENT (\\Seen)", "c OK")
        os.kill(s.pids("stored")[0], signal.SIGKILL)
        check((c.line() or "").startswith("* BYE"), "no BYE")
        equal(c.line(), None, "behind the BYE")

    def again():
        try:
            with session(s) as m:
                return good(m.fetch("1", "FLAGS"))
        except (OSError, imaplib.IMAP4.error):
            return None
    flags = wait(again, 60, "a new session")
    check(rb"\Seen" in flags[0], "an acknowledged flag is lost: %r", flags)


@case("many changes are told to others, and none of them to a session that stored in silence")
def many(s):
    empty(s)
    n = 6000  # more than a session remembers one by one
    with Line(("127.0.0.1", 143 + s.offset)) as a, session(s) as b:
        a.line()
        a.want("a LOGIN u1 " + PASSWORD, "a OK")
        for _ in range(n // 1000):
            a.send(b"b APPEND INBOX" + b" {8+}\r\ntext: x\n" * 1000 + b"\r\n")
            check(a.line().startswith("b OK"), "APPEND")
        a.send("c EXAMINE INBOX\r\nc SELECT INBOX\r\n")
        for _ in range(2):
            while not a.line().startswith("c OK"):
                pass
        b.noop()
        equal(b.response("EXISTS")[1][-1], b"%d" % n, "messages")
        a.want("d STORE 1:* +FLAGS.SILENT (\\Answered)", "d OK")
        told, end = 0, time.monotonic() + 60
        while told < n and time.monotonic() < end:
            b.noop()
            told += len([line for line in b.response("FETCH")[1] if line and rb"\Answered" in line])
        equal(told, n, "changes that others were told of")
        b.noop()
        equal(b.response("FETCH")[1], [None], "what is told again")
        good(b.store("1:%d" % n, "+FLAGS.SILENT", r"(\Deleted)"))
        good(b.expunge())
        lines, end = [], time.monotonic() + 60
        while len(lines) < n and time.monotonic() < end:  # others may learn a moment later
            a.send("e NOOP\r\n")
            lines += iter(a.line, "e OK done")
        equal(lines, ["* 1 EXPUNGE"] * n, "removals, told in the order of uids")


class Deflated:
    """A socket of lines behind raw DEFLATE."""

    def __init__(self, sock):
        self.sock, self.seen = sock, b""
        self.inflate, self.deflate = zlib.decompressobj(-15), zlib.compressobj(6, zlib.DEFLATED, -15)

    def send(self, data):
        self.sock.sendall(self.deflate.compress(data) + self.deflate.flush(zlib.Z_SYNC_FLUSH))

    def until(self, tag):
        """All that comes up to the tagged line; the line too."""
        while not re.search(rb"^%s [^\r\n]*\r\n$" % tag, self.seen[-200:], re.M):
            data = self.sock.recv(65536)
            check(data, "the server closed after %r", self.seen[-200:])
            self.seen += self.inflate.decompress(data)
        seen, self.seen = self.seen, b""
        return seen


@case("COMPRESS=DEFLATE carries a session, large answers too")
def compressed(s):
    empty(s)
    text = message("0123456789 " * 300000, "compressed")
    for context in (None, s.ca()):
        with Line(("127.0.0.1" if context is None else "localhost", (143 if context is None else 993) + s.offset)) as c:
            if context is not None:
                c.tls(context)
            c.line()
            c.want("a LOGIN u1 " + PASSWORD, "a OK")
            c.want("b COMPRESS DEFLATE", "b OK")
            z = Deflated(c.sock)
            z.send(b"c COMPRESS DEFLATE\r\n")
            check(z.until(b"c").startswith(b"c NO [COMPRESSIONACTIVE]"), "compression twice")
            z.send(b"d SELECT INBOX\r\n")
            z.until(b"d")
            z.send(b"e APPEND INBOX {%d+}\r\n" % len(text) + text + b"\r\n")
            check(b"e OK" in z.until(b"e"), "APPEND")
            z.send(b"f NOOP\r\ng FETCH 1 BODY.PEEK[]\r\nh UID FETCH * BODY.PEEK[]\r\n")
            got = z.until(b"h")
            equal(got.count(text), 2, "messages that came back")
            z.send(b"i LOGOUT\r\n")
            z.until(b"i")


@case("an account sees nothing of another's mailboxes")
def apart(s):
    empty(s)
    deliver(s)
    with session(s, "u2") as m:
        good(m.create("Mine"))
        with session(s) as other:
            check(not any(b"Mine" in line for line in good(other.list())), "another's mailbox is listed")
            equal(other.select("Mine")[0], "NO", "another's mailbox")
            equal(other.select("~u2/Mine")[0], "NO", "another's mailbox by its name")
        good(m.delete("Mine"))


@case("gatehousectl restores what a client expunged, with its flags, and a mailbox that it deleted")
def undelete(s):
    empty(s)
    with session(s, "u1", None) as m:
        good(m.create("Papers"))
        for i in range(3):
            good(m.append("Papers", "(\\Flagged Work)" if i == 1 else None, None, b"Subject: %d\r\n\r\ntext %d\r\n" % (i, i)))
        good(m.select("Papers"))
        good(m.store("2", "+FLAGS", "(\\Deleted)"))
        good(m.expunge())
        good(m.close())
        rows = json.loads(s.ctl("undelete", "list", "u1", "--mailbox", "Papers", "--since", "1h", "--json"))
        equal([(r["UID"], r["Flags"]) for r in rows], [(2, "Flagged Deleted")], "rows")
        check("1 messages" in s.ctl("undelete", "restore", "u1", "--mailbox=Papers", "--dry-run"), "the dry run")
        check("Papers" in s.ctl("undelete", "list", "u1"), "the table")
        good(m.delete("Papers"))
        equal(json.loads(s.ctl("undelete", "restore", "u1", "--mailbox=Papers", "--json"))["Messages"], 3, "restored")
        good(m.select("Papers"))
        equal([re.sub(rb"\D", b"", b.split(b"\r\n")[0]) for b in bodies(m)], [b"0", b"1", b"2"], "bodies")
        flags = good(m.fetch("2", "(FLAGS)"))[0]
        check(b"\\Flagged" in flags and b"Work" in flags and b"\\Deleted" not in flags, "flags %r", flags)
    status, _, err = s.ctl("undelete", "list", "u1", "--since", "yesterday", ok=False)
    check(status != 0 and "2025-11-22" in err, "a time that is none: %r", err)


@case("COPY, MOVE and bringing back write a message's rows, and not its bytes again")
def shared(s):
    empty(s)
    for size in (500000, 2000000):
        s.ctl("undelete", "purge", "u1")
        with session(s) as m, s.lmtp() as l:
            one = message("%d" % size + ("\r\n" + "x" * 78) * (size // 80))
            equal(l.data([TO], one)[0][0], 250, "a delivery")
            good(m.create("Copies"))
            good(m.create("Moved"))
            wait(lambda: good(m.noop()) and numbers(m), 60, "the message")
            began = written(s)
            good(m.copy("1", "Copies"))
            good(m.select("Copies"))
            good(m.uid("MOVE", "1", "Moved"))
            good(m.select("Moved"))
            good(m.store("1", "+FLAGS", "(\\Deleted)"))
            good(m.expunge())
            good(m.close())
            equal(json.loads(s.ctl("undelete", "restore", "u1", "--mailbox=Moved", "--json"))["Messages"], 1, "restored")
            check(written(s) - began < 50000, "%d bytes were written", written(s) - began)
            for box in ("INBOX", "Moved"):
                good(m.select(box))
                equal([behind_trace(b) for b in bodies(m)] == [one], True, "the message in %s is whole" % box)
        empty(s)


@case("a level of the quota that is passed is told once")
def quota_levels(s):
    empty(s)
    s.ctl("account", "quota", "u1", "100K")
    with session(s) as m:
        told = []

        def levels():
            good(m.noop())
            told.extend(t for t in m.response("OK")[1] or [] if t and b"[ALERT]" in t)
            return told

        texts = [b"[ALERT] %d %% of the quota of octets is used" % level for level in (80, 90)]
        for size, want in ((70000, []), (15000, texts[:1]), (1000, texts[:1]), (8000, texts)):
            with s.lmtp() as l:
                equal(l.data([TO], message("x" * size))[0][0], 250, "a delivery")
            wait(lambda: len(levels()) >= len(want), 60, "a level")
            equal(told, want, "what was told")
        good(m.getquota('""'))
        wait(lambda: good(m.noop()) and len(numbers(m)) == 5, 60, "the message about it")
        equal(len(good(m.uid("SEARCH", "SUBJECT", '"storage is filling up"'))[0].split()), 1, "messages about it")
    s.ctl("account", "quota", "u1", "unlimited")


if __name__ == "__main__":
    main(25500)
