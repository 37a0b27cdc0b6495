#!/usr/bin/python3
"""bursts - clients that send all they have at once, and those that then close their half."""
import socket

from suite import DOMAIN, PASSWORD, behind_trace, case, check, equal, main, message

U1 = "u1@" + DOMAIN
# Around one and two buffers of input, in steps that no buffer's size is a multiple of.
SIZES = list(range(60000, 140000, 5003)) + [262144, 1000001]


def envelope(l):
    l.send("MAIL FROM:<s@sender.example>\r\nRCPT TO:<%s>\r\n" % U1)


def text_of(n):
    return message(("y" * 70 + "\r\n") * (n // 72))


def send_all(s, l, chunked):
    """Every size in one piece with its envelope; nothing is read before all of it is sent."""
    for n in SIZES:
        data = text_of(n)
        head = "MAIL FROM:<s@sender.example>\r\nRCPT TO:<%s>\r\n" % U1
        head += "BDAT %d LAST\r\n" % len(data) if chunked else "DATA\r\n"
        l.sock.settimeout(5)
        l.send(head.encode() + data + (b"" if chunked else b".\r\n"))
        for code in (250, 250, 250) if chunked else (250, 250, 354, 250):
            l.reply(code)


def check_all(s):
    got = [behind_trace(m) for m in s.mail("u1")]
    s.empty("u1")
    check(got == [text_of(n) for n in SIZES], "a message was changed")


@case("envelope, DATA and message in one piece, of sizes around the buffers")
def data(s):
    with s.lmtp() as l:
        send_all(s, l, False)
    check_all(s)


@case("envelope, BDAT and message in one piece, of sizes around the buffers")
def bdat(s):
    with s.lmtp() as l:
        send_all(s, l, True)
    check_all(s)


@case("the same under TLS")
def tls(s):
    with s.lmtp() as l:
        l.command("STARTTLS", 220)
        l.tls(s.ca())
        l.command("LHLO client.example", 250)
        send_all(s, l, False)
    check_all(s)


@case("more POP3 commands at once than a buffer holds")
def commands(s):
    with s.pop_line() as l:
        l.want("USER u1", "+OK")
        l.want("PASS " + PASSWORD, "+OK")
        for n in (11000, 13500, 21000):
            l.sock.settimeout(5)
            l.send("NOOP\r\n" * n)
            for _ in range(n):
                l.want(None, "+OK")


@case("who closes his half behind QUIT gets every answer")
def half_pop(s):
    big = message(("x" * 70 + "\r\n") * 60000)
    s.deliver(U1, big)
    with s.pop_line() as l:
        l.send("USER u1\r\nPASS %s\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n" % PASSWORD)
        l.sock.shutdown(socket.SHUT_WR)
        got = l.file.read()
    check(big in got, "the message is not there")
    equal(got.split(b"\r\n.\r\n")[-1].count(b"+OK"), 2, "answers behind the message")
    equal(s.mail("u1"), [], "messages left")


@case("who closes his half behind the last dot gets his answer, and who does it before delivers nothing")
def half_lmtp(s):
    for end, stored in ((b".\r\n", 1), (b".\r", 0), (b".", 0), (b"", 0)):
        with s.lmtp() as l:
            envelope(l)
            l.send(b"DATA\r\n" + text_of(100000) + end)
            l.sock.shutdown(socket.SHUT_WR)
            got = l.file.read()
        equal(got.count(b"250 2.0.0"), stored, "messages acknowledged")
        equal(len(s.mail("u1")), stored, "messages")
        s.empty("u1")


if __name__ == "__main__":
    main(24200)
