#!/usr/bin/python3
"""lmtp - what is answered for each recipient, and what is in the mailboxes afterwards."""
import json
import os
import random
import signal
import time

from stores import written
from suite import DOMAIN, Lmtp, behind_trace, case, check, equal, main, message, wait

SIZE_MAX = 2 << 20
RCPTS_MAX = 150
U1, U2 = "u1@" + DOMAIN, "u2@" + DOMAIN


def mails(s, user="u1"):
    """The messages without trace; the mailbox is empty afterwards."""
    found = [behind_trace(m) for m in s.mail(user)]
    s.empty(user)
    return found


def login_back(s, user="u1"):
    def ready():
        try:
            s.pop(user).quit()
            return True
        except Exception:
            return False
    wait(ready, 60, "a login")


@case("250 means durable: stored killed right after it has the message, each time", engines=("lmdb",))
def durable(s):
    sent = []
    for i in range(3):
        data = message("durable %d " % i + "z" * random.Random(i).randrange(200000))
        with s.lmtp() as l:
            l.begin([U1])
            l.command("DATA", 354)
            l.send(data + b".\r\n")
            l.reply(250)
            os.kill(s.pids("stored")[0], signal.SIGKILL)
        sent.append(data)
        wait(lambda: s.pids("stored"), 60, "the store's return")
        login_back(s)
        equal([len(m) for m in (behind_trace(m) for m in s.mail())], [len(m) for m in sent], "lengths")
    check(mails(s) == sent, "a message was changed")


@case("killed before the answer: what was not acknowledged is there whole or not at all", engines=("lmdb",))
def unknown(s):
    data = message("q" * 300000)
    acknowledged = 0
    for i in range(2):
        with s.lmtp() as l:
            l.begin([U1])
            l.command("DATA", 354)
            l.send(data + b".\r\n")
            time.sleep(0.004 * i)
            os.kill(s.pids("stored")[0], signal.SIGKILL)
            try:
                code = l.reply()[0]
                check(code in (250, 451, 421), "answered %d", code)
                acknowledged += code == 250
            except ConnectionError:
                pass
        wait(lambda: s.pids("stored"), 60, "the store's return")
        login_back(s)
    found = mails(s)
    check(acknowledged <= len(found) <= 2, "%d of %d acknowledged ones", len(found), acknowledged)
    check(all(m == data for m in found), "a message was changed")


@case("over quota is a temporary refusal for that recipient alone; with more room it is taken")
def quota(s):
    s.ctl("account", "quota", "u2", "5000")
    try:
        equal(s.lmtp().data([U1, U2], message("fits"))[1][0], 250, "the first answer")
        with s.lmtp() as l:
            answers = l.data([U1, U2], message("x" * 6000))
            equal([a[0] for a in answers], [250, 452], "the answers")
            check(answers[1][1].startswith("4.2.2"), "answered %s", answers[1][1])
            equal(l.data([U2], message("small"))[0][0], 250, "the answer to a small one")
        s.ctl("account", "quota", "u2", "1M")
        s.deliver(U2, message("x" * 6000))
    finally:
        s.ctl("account", "quota", "u2", "unlimited")
    equal(len(mails(s, "u2")), 3, "messages")
    equal(len(mails(s)), 2, "messages of the other")


@case("quota counts what is there: deleting makes room again")
def quota_room(s):
    s.ctl("account", "quota", "u2", "20K")
    try:
        big = message("x" * 15000)
        s.deliver(U2, big)
        with s.lmtp() as l:
            equal(l.data([U2], big)[0][0], 452, "the answer over quota")
        s.empty("u2")
        s.deliver(U2, big)
    finally:
        s.ctl("account", "quota", "u2", "unlimited")
    equal(mails(s, "u2"), [big], "messages")


@case("SIZE: what is declared or sent beyond the limit is refused for ever, and the session goes on")
def size(s):
    with s.lmtp() as l:
        check("SIZE %d" % SIZE_MAX in l.features[1], "features are %s", l.features[1])
        code, text = l.command("MAIL FROM:<a@b.example> SIZE=%d" % (SIZE_MAX + 1))
        equal((code, text[-1][:5]), (552, "5.3.4"), "the answer to a size declared")
        for bad in ("SIZE=", "SIZE=-1", "SIZE=1x", "SIZE=1 SIZE=2"):
            equal(l.command("MAIL FROM:<a@b.example> " + bad)[0], 501, "the answer to %s" % bad)
        equal(l.command("MAIL FROM:<a@b.example> SIZE=99999999999999999999")[0], 552, "the answer to 20 digits")
        code, text = l.data([U1], message("y" * SIZE_MAX))[0]
        equal((code, text[:5]), (552, "5.3.4"), "the answer to a size sent")
        equal(l.data([U1], message("after it"), options=" SIZE=100")[0][0], 250, "the answer after it")
    equal(mails(s), [message("after it")], "messages")


@case("messages of every size up to the limit are taken without a pause, byte for byte")
def sizes(s):
    sent = []
    rng = random.Random(7)
    for n in (0, 1, 4000, 4096, 65535, 65536, 131072, 262144, 262145, 800000, 1 << 20, SIZE_MAX - 2000) * 2:
        lines, left = [], n
        while left > 0:
            lines.append(rng.choice([".", "..", "a", " "]) + "b" * min(left, rng.randrange(1, 4000)))
            left -= len(lines[-1]) + 2
        sent.append(message("\r\n".join(lines)))
        began = time.monotonic()
        s.deliver(U1, sent[-1])
        check(time.monotonic() - began < 60, "%d bytes took %.1f s", n, time.monotonic() - began)
    got = mails(s)
    equal([len(m) for m in got], [len(m) for m in sent], "sizes")
    check(got == sent, "a message was changed")


@case("8BITMIME: 8-bit bodies come back as they went in")
def eight_bit(s):
    data = message("", **{"Content-Transfer-Encoding": "8bit"}) + \
        bytes(c for c in range(1, 256) if c not in (10, 13)) + b"\r\n" + "\u00e4\u20ac\U0001f600\r\n".encode()
    with s.lmtp() as l:
        check("8BITMIME" in l.features[1], "not offered")
        for body in (" BODY=8BITMIME", " BODY=7BIT", ""):
            equal(l.data([U1], data, options=body)[0][0], 250, "the answer with%s" % body)
        equal(l.command("MAIL FROM:<> BODY=9BIT")[0], 501, "the answer to 9BIT")
    equal(mails(s), [data] * 3, "messages")


@case("SMTPUTF8: an address beyond ASCII needs it, and is kept in Return-Path")
def utf8(s):
    with s.lmtp() as l:
        check("SMTPUTF8" in l.features[1], "not offered")
        check(l.command("MAIL FROM:<j\u00f6rg@b\u00fccher.example>")[0] // 100 == 5, "taken without SMTPUTF8")
        equal(l.data([U1], message("\u00fc"), "j\u00f6rg@b\u00fccher.example", " SMTPUTF8")[0][0], 250, "the answer")
        l.command("MAIL FROM:<> SMTPUTF8", 250)
        equal(l.command("RCPT TO:<j\u00f6rg@%s>" % DOMAIN)[0], 550, "the answer for a name that is none of ours")
    mail = s.mail()[0]
    check(mail.startswith("Return-Path: <j\u00f6rg@b\u00fccher.example>\r\n".encode()), "begins %r", mail[:80])
    check(b"with UTF8LMTP id" in mail, "the Received field is %r", mail[:300])
    s.empty()


@case("CHUNKING: BDAT in pieces of any size, wherever they are cut")
def bdat(s):
    data = message("line\r\n.\r\n..\r\nend " + "c" * 100000)
    with s.lmtp() as l:
        check("CHUNKING" in l.features[1], "not offered")
        for sizes_of in ([len(data)], [1] * 40 + [len(data) - 40], [data.index(b"\r") + 1, 1, 70000, 0]):
            l.begin([U1])
            at = 0
            for n in sizes_of:
                last = n == sizes_of[-1] and at + n >= len(data)
                l.send(b"BDAT %d%s\r\n" % (n, b" LAST" if last else b"") + data[at:at + n])
                l.reply(250)
                at += n
            if not last:
                l.send(b"BDAT %d LAST\r\n" % (len(data) - at) + data[at:])
                l.reply(250)
        l.begin([U1])
        l.send(b"BDAT 4\r\na\nb\r")
        equal(l.reply()[0], 550, "the answer to a bare LF in a chunk")
        l.send("RSET\r\n")
        l.reply(250)
        l.send(b"BDAT 6 LAST\r\nQUIT\r\n")
        equal(l.reply()[0], 503, "the answer to BDAT without MAIL")
        l.command("NOOP", 250)
    equal(mails(s), [data] * 3, "messages")


@case("PIPELINING: everything in one piece, and the answers in order")
def pipelining(s):
    with s.lmtp() as l:
        check("PIPELINING" in l.features[1], "not offered")
        l.send("MAIL FROM:<>\r\nRCPT TO:<%s>\r\nRCPT TO:<nobody@%s>\r\nRCPT TO:<%s>\r\nDATA\r\n" % (U1, DOMAIN, U2))
        equal([l.reply()[0] for _ in range(5)], [250, 250, 550, 250, 354], "the answers")
        l.send(message("piped") + b".\r\nRSET\r\nMAIL FROM:<>\r\nDATA\r\nQUIT\r\n")
        equal([l.reply()[0] for _ in range(6)], [250, 250, 250, 250, 503, 221], "the answers after the dot")
        equal(l.line(), None, "what follows QUIT")
    equal((mails(s), mails(s, "u2")), ([message("piped")], [message("piped")]), "messages")


@case("a message cannot be ended, and commands smuggled, with anything but CR LF dot CR LF")
def smuggling(s):
    inner = b"MAIL FROM:<evil@evil.example>\r\nRCPT TO:<%s>\r\nDATA\r\nsmuggled\r\n" % U2.encode()
    ends = (b"\n.\n", b"\r\n.\n", b"\n.\r\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\r\r\n.\r\r\n", b"\n.\r", b"\r\n.\0\r\n",
            b"\r\n\0.\r\n")
    for end in ends:
        for split in (False, True):
            with s.lmtp() as l:
                l.begin([U1])
                l.command("DATA", 354)
                first = b"Subject: outer\r\n\r\ntext" + end
                if split:
                    for i in range(len(first)):
                        l.send(first[i:i + 1])
                    l.send(inner + b".\r\n")
                else:
                    l.send(first + inner + b".\r\n")
                code = l.reply()[0]
                bare = b"\0" not in end
                check(code == 550 if bare else code in (250, 550), "%r was answered %d", end, code)
                l.command("NOOP", 250)
                l.command("QUIT", 221)
                equal(l.line(), None, "what follows QUIT after %r" % end)
    equal(mails(s, "u2"), [], "smuggled messages")
    check(all(b"\0" in m and b"smuggled" in m for m in mails(s)), "a message with bare line ends was stored")
    with s.lmtp() as l:
        l.send("NOOP\nNOOP\r\n")
        equal(l.reply()[0], 421, "the answer to a command that ends in LF")


@case("a message with too many Received fields goes in a loop and is refused; one fewer is taken")
def loop(s):
    hop = b"Received: from a.example by b.example;\r\n\tSat, 21 Nov 2026 00:00:00 +0000\r\n"
    with s.lmtp() as l:
        code, text = l.data([U1], hop * 51 + message("loop"))[0]
        equal((code, text[:5]), (554, "5.4.6"), "the answer to 51 fields")
        equal(l.data([U1], hop * 50 + message("no loop"))[0][0], 250, "the answer to 50 fields")
        equal(l.data([U1], message("x\r\n" + "Received: in the text\r\n" * 60))[0][0], 250, "the answer to text")
    equal(len(mails(s)), 2, "messages")


@case("many recipients get one body: the log grows by little more than the message")
def one_body(s):
    s.ctl("account", "import", "-", stdin="".join("r%d:{PLAIN}gatehouse\n" % i for i in range(100)))
    to = ["r%d@%s" % (i, DOMAIN) for i in range(100)]
    for size in (2000000, 500000):  # one in a file of its own, one in the log
        for i in (0, 1, 50, 99):
            s.empty("r%d" % i)
        data = message(("b" * 78 + "\r\n") * (size // 80))
        before = written(s)
        with s.lmtp() as l:
            equal({code for code, _ in l.data(to, data)}, {250}, "the answers")
        after = written(s)
        print("        %d bytes to 100 recipients: %d bytes written" % (len(data), after - before))
        check(after - before < 1.2 * len(data), "%d bytes were written", after - before)
        for i in (0, 50, 99):
            equal([behind_trace(m) for m in s.mail("r%d" % i)] == [data], True, "the message of r%d is whole" % i)
    s.empty("r0")
    check([behind_trace(m) for m in s.mail("r1")] == [data], "deleting one copy took the others")


@case("two names of one account: one copy, two answers; an unknown one beside them is refused alone")
def aliases(s):
    s.ctl("alias", "set", "u1", "first")
    with s.lmtp() as l:
        l.command("MAIL FROM:<>", 250)
        l.command("RCPT TO:<%s>" % U1, 250)
        l.command("RCPT TO:<first@%s>" % DOMAIN, 250)
        equal(l.command("RCPT TO:<nobody@%s>" % DOMAIN)[0], 550, "the answer for nobody")
        check(l.command("RCPT TO:<u1@elsewhere.example>")[0] // 100 == 5, "takes mail for other hosts")
        l.command("DATA", 354)
        l.send(message("once") + b".\r\n")
        equal([l.reply()[0] for _ in range(2)], [250, 250], "the answers")
    names = "".join("X-Original-To: <%s>\r\n" % x for x in (U1, "first@" + DOMAIN)).encode()
    equal(mails(s), [names + message("once")], "messages")


@case("recipients beyond the limit are put off, those before it get their mail")
def many(s):
    with s.lmtp() as l:
        l.command("MAIL FROM:<>", 250)
        l.send("".join("RCPT TO:<%s>\r\n" % U1 for _ in range(RCPTS_MAX + 1)))
        answers = [l.reply() for _ in range(RCPTS_MAX + 1)]
        equal([c for c, _ in answers], [250] * RCPTS_MAX + [452], "the answers")
        l.command("DATA", 354)
        l.send(message("many") + b".\r\n")
        equal([l.reply()[0] for _ in range(RCPTS_MAX)], [250] * RCPTS_MAX, "the answers to the message")
    equal(mails(s), [message("many")], "messages")


@case("a message that is broken off is not stored, by RSET, QUIT or a lost connection")
def broken_off(s):
    for end in ("RSET", "QUIT", "lost", "half", "bdat"):
        with s.lmtp() as l:
            l.begin([U1])
            if end in ("RSET", "QUIT"):
                l.command(end)
            elif end == "bdat":
                l.send(b"BDAT 10\r\nabcdefgh\r\n")
                l.reply(250)
            else:
                l.command("DATA", 354)
                l.send(message("half") + (b"" if end == "lost" else b"."))
                if end == "half":
                    l.sock.shutdown(1)
    time.sleep(0.2)
    equal(mails(s), [], "messages")


@case("a failing sequence leaves the session usable: order of commands, unknown ones, long lines")
def order(s):
    with Lmtp(s.lmtp_socket) as l:
        for text, code in (("RCPT TO:<%s>" % U1, 503), ("DATA", 503), ("EHLO x", 500), ("HELO x", 500),
                           ("NONSENSE", 500), ("MAIL TO:<x>", 501), ("MAIL FROM:<%s" % U1, 501),
                           ("MAIL FROM:<a b@c>", 501), ("MAIL FROM:<> X=Y", 555), ("NOOP " + "x" * 5000, 500)):
            got = l.command(text)[0]
            check(got // 100 == 5, "%s was answered %d, not like %d", text[:30], got, code)
        equal(l.data([U1], message("good"))[0][0], 250, "the answer at last")
        l.command("MAIL FROM:<>", 250)
        check(l.command("MAIL FROM:<>")[0] in (250, 503), "MAIL twice")
    equal(mails(s), [message("good")], "messages")


if __name__ == "__main__":
    main(22500, settings=("message_size_max = %d" % SIZE_MAX, "recipients_max = %d" % RCPTS_MAX))
