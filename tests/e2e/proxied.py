#!/usr/bin/python3
"""proxied - connections through a proxy that names the real addresses (PROXY protocol, version 2).

The first rows of the table of worked examples for logins, with made-up local addresses: client1.test has
192.0.2.2, and 192.0.2.1 belongs to no domain.
"""
import contextlib
import poplib
import socket
import struct

from desk import admin
from suite import A1, A2, DOMAIN, PASSWORD, case, check, equal, main, wait

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
PEER, LOCAL1, LOCAL2 = "203.0.113.7", "192.0.2.1", "192.0.2.2"
PEER6, LOCAL6 = "2001:db8:1::7", "2001:db8::25"
LISTED = 113  # the listener that has a list of clients
SLOW = []  # begun when the test begins, and never gone on with


def header(peer, local, command=0x21, more=b""):
    family = socket.AF_INET6 if ":" in peer else socket.AF_INET
    body = socket.inet_pton(family, peer) + socket.inet_pton(family, local) + struct.pack("!HH", 40000, 110) + more
    return SIGNATURE + bytes([command, 0x21 if ":" in peer else 0x11]) + struct.pack("!H", len(body)) + body


def prepare(s):
    """Once: listeners behind a proxy on A1, and the domain."""
    if "client1.test" in s.ctl("domain", "list").split():
        return
    listener = "listener %s {\n\taddress = %s\n\tport = %d\n\tproxies = %s\n%s}\n"
    s.edit("listener metrics {", "".join(listener % (door, A1, s.port(port), A1, more) for door, port, more in (
        ("pop3", 111, ""), ("pop3", 112, "\ttls = yes\n"), ("imap", 144, ""), ("smtp", 26, "\tprotocol = smtp\n"),
        ("pop3", LISTED, "\tclients = 203.0.113.0/24 !203.0.113.66 198.51.100.4-198.51.100.6 2001:db8:1::/48\n"))) + "listener metrics {")
    s.edit("plaintext_login = loopback", "plaintext_login = always\nconnections_max_per_address = 20")
    s.restart()
    SLOW.append(connect(s, SIGNATURE[:7]))
    s.ctl("domain", "create", "client1.test")
    s.ctl("domain", "addresses", "client1.test", "=", LOCAL2 + "-192.0.2.9", "2001:db8::/64")
    s.ctl("account", "import", "-", stdin="".join(
        "info@%s:{PLAIN}%s\n" % (d, PASSWORD) for d in (DOMAIN, "client1.test")))


def connect(s, first, port=111, source=A1):
    sock = socket.create_connection((A1, s.port(port)), timeout=60, source_address=(source, 0))
    sock.sendall(first)
    return sock


class Pop(poplib.POP3):
    """Over a connection that is there already."""

    def __init__(self, sock):
        self.given = sock
        super().__init__("proxied", timeout=60)

    def _create_socket(self, timeout):
        return self.given


def login(s, sock, user="info"):
    """The account that the name opens, and the address of the session."""
    with contextlib.closing(Pop(sock)) as p:
        p.user(user)
        p.pass_(PASSWORD)
        rows = s.sessions()
        equal(len(rows), 1, "number of sessions")
        p.quit()
    wait(lambda: not s.sessions(), 60, "the session's end")
    return rows[0]["Account"], rows[0]["Address"]


def closed(sock):
    with contextlib.closing(sock):
        try:
            return sock.recv(100) == b""
        except ConnectionResetError:
            return True


@case("row 1: a name alone, at a local address of no domain, is of the Main Domain")
def row_1(s):
    prepare(s)
    equal(login(s, connect(s, header(PEER, LOCAL1))), ("info@" + DOMAIN, PEER), "account and address")


@case("row 2: a name alone, at a domain's local address, is of that domain")
def row_2(s):
    prepare(s)
    equal(login(s, connect(s, header(PEER, LOCAL2))), ("info@client1.test", PEER), "account and address")


@case("every address of a domain's range counts, also of IPv6; one mapped into IPv6 is that of IPv4")
def ranges(s):
    prepare(s)
    for peer, local, account, shown in (
            (PEER, "192.0.2.9", "info@client1.test", PEER), (PEER, "192.0.2.10", "info@" + DOMAIN, PEER),
            (PEER6, LOCAL6, "info@client1.test", PEER6), (PEER6, "2001:db8:0:1::", "info@" + DOMAIN, PEER6),
            ("::ffff:" + PEER, "::ffff:" + LOCAL2, "info@client1.test", PEER)):
        equal(login(s, connect(s, header(peer, local))), (account, shown), "account and address at %s" % local)


@case("IMAP and SMTP take it as well: the domain of a login, the address in the trace")
def doors(s):
    prepare(s)
    with contextlib.closing(connect(s, header(PEER, LOCAL2), 144)) as sock, sock.makefile("rb") as f:
        check(f.readline().startswith(b"* OK"), "no greeting")
        sock.sendall(b"a LOGIN info %s\r\n" % PASSWORD.encode())
        check(f.readline().startswith(b"a OK"), "no login")
        equal([(r["Account"], r["Address"], r["Proxied"]) for r in s.sessions()], [("info@client1.test", PEER, "YES")], "the sessions")
        equal(admin(s, "FindAccountSession info@client1.test FOR " + PEER).strip('"'), s.sessions()[0]["SID"], "found for whom the proxy connects")
        for words in (("--for=" + PEER,), ("--peer=" + PEER, "--for=" + PEER, "--service=imap")):
            equal(s.ctl("session", "find", "info@client1.test", *words).strip(), s.sessions()[0]["SID"], "the one behind the proxy")
        equal(s.ctl("session", "list", "--for=" + A1).count("imap"), 0, "those for another address")
        sock.sendall(b"b LOGOUT\r\n")
        f.read()
    wait(lambda: not s.sessions(), 60, "the session's end")
    with contextlib.closing(connect(s, header(PEER, LOCAL1), 26)) as sock, sock.makefile("rb") as f:
        for line, answer in ((None, b"220"), ("HELO x.example", b"250"), ("MAIL FROM:<a@b.example>", b"250"),
                             ("RCPT TO:<info@%s>" % DOMAIN, b"250"), ("DATA", b"354"), ("Subject: x\r\n\r\nx\r\n.", b"250")):
            if line:
                sock.sendall(line.encode() + b"\r\n")
            check(f.readline().startswith(answer), "the answer to %r", line)
    got = s.mail("info")
    check(len(got) == 1 and b"[%s]" % PEER.encode() in got[0].split(b"\r\n\tby ")[0], "the trace is %r", got)
    s.empty("info")


@case("the clients of a listener are known by the address that is passed on, not by the proxy's")
def clients(s):
    prepare(s)
    for peer, local in ((PEER, LOCAL1), (PEER6, LOCAL6), ("198.51.100.6", LOCAL1)):
        equal(login(s, connect(s, header(peer, local), LISTED))[1], peer, "the address")
    for first in (header("203.0.114.7", LOCAL1), header("203.0.113.66", LOCAL1), header("198.51.100.7", LOCAL1),
                  header("2001:db8:2::7", LOCAL6), header(A1, LOCAL1),
                  SIGNATURE + b"\x20\0\0\0"):
        with contextlib.closing(connect(s, first, LISTED)) as sock:
            answer = sock.makefile("rb").read()
            check(not answer.startswith(b"+OK"), "%r is served: %r", first, answer)
    wait(lambda: s.log_text().count('why="not listed"') >= 6, 60, "a line for each in the log")


@case("the limit of connections counts each address that is passed on by itself")
def limit(s):
    prepare(s)
    with contextlib.ExitStack() as stack:
        def served(peer):
            sock = stack.enter_context(contextlib.closing(connect(s, header(peer, LOCAL1))))
            return sock.makefile("rb").readline().startswith(b"+OK")

        check(all(served("203.0.113.50") for _ in range(20)), "one of 20 is refused")
        check(not served("203.0.113.50"), "the 21st is served")
        check(served("203.0.113.51"), "another address is refused")


@case("the header comes before TLS")
def before_tls(s):
    prepare(s)
    sock = s.ca().wrap_socket(connect(s, header(PEER, LOCAL2), 112), server_hostname="localhost")
    equal(login(s, sock), ("info@client1.test", PEER), "account and address")


@case("a header that comes byte by byte is a header")
def pieces(s):
    prepare(s)
    text = header(PEER, LOCAL2)
    sock = connect(s, text[:1])
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for b in text[1:]:
        sock.sendall(bytes([b]))
    equal(login(s, sock)[0], "info@client1.test", "the account opened")


@case("what stands behind the addresses is skipped, up to 2 KiB in all")
def more(s):
    prepare(s)
    alpn, ssl, noop = b"\x01\0\x04pop3", b"\x20\0\x0b\x01\0\0\0\0\x21\0\x03TLS", b"\x04\x00\x00"
    for text in (alpn, ssl, noop * 100, b"\xee\xff\xff", b"\0" * (2048 - 28)):
        equal(login(s, connect(s, header(PEER, LOCAL2, more=text))), ("info@client1.test", PEER), "account and address")
    check(closed(connect(s, header(PEER, LOCAL2, more=b"\0" * (2048 - 27)))), "2049 bytes were taken")
    equal(login(s, connect(s, SIGNATURE + b"\x20\x11\0\x0c" + b"x" * 12)), ("info@" + DOMAIN, A1), "with LOCAL")
    equal(login(s, connect(s, SIGNATURE + b"\x21\0\0\x03xyz")), ("info@" + DOMAIN, A1), "of no family")


@case("a proxy that speaks for itself has its own addresses")
def for_itself(s):
    prepare(s)
    equal(login(s, connect(s, SIGNATURE + b"\x20\0\0\0")), ("info@" + DOMAIN, A1), "account and address")


@case("who sends no header, or another one, is closed without a word")
def none(s):
    prepare(s)
    for first in (b"USER info\r\n", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n", header(PEER, LOCAL1, 0x31),
                  SIGNATURE + b"\x21\x11\xff\xff", SIGNATURE + b"\x21\x31\0\0", SIGNATURE + b"\x21\x12\0\x0c" + b"x" * 12,
                  SIGNATURE + b"\x21\x21\0\x0c" + b"x" * 12, SIGNATURE + b"\x21\x11\0\x0b" + b"x" * 11,
                  SIGNATURE + b"\x22\x11\0\x0c" + b"x" * 12, b"PROXY UNKNOWN\r\n", SIGNATURE[:11] + b"x"):
        check(closed(connect(s, first)), "%r was answered", first)


@case("who is no listed proxy is closed, header or not")
def not_listed(s):
    prepare(s)
    check(closed(connect(s, header(PEER, LOCAL2), source=A2)), "was answered")


@case("a header that is not there in time: closed")
def late(s):
    prepare(s)
    SLOW[0].settimeout(60)
    check(closed(SLOW[0]), "was answered")


if __name__ == "__main__":
    main(21500, addresses=(A1, A2))
