#!/usr/bin/python3
"""proxied - connections through a proxy that names the real addresses (PROXY protocol, version 2).

The first rows of the table of worked examples for logins, with made-up local addresses: client1.test has
192.0.2.2, and 192.0.2.1 belongs to no domain.
"""
import contextlib
import poplib
import socket
import struct

from suite import A1, A2, DOMAIN, PASSWORD, case, check, equal, main, wait

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
PEER, LOCAL1, LOCAL2 = "203.0.113.7", "192.0.2.1", "192.0.2.2"


def header(peer, local, command=0x21):
    family = socket.AF_INET6 if ":" in peer else socket.AF_INET
    body = socket.inet_pton(family, peer) + socket.inet_pton(family, local) + struct.pack("!HH", 40000, 110)
    return SIGNATURE + bytes([command, 0x21 if ":" in peer else 0x11]) + struct.pack("!H", len(body)) + body


def prepare(s):
    """Once: listeners behind a proxy on A1, and the domain."""
    if "client1.test" in s.ctl("domain", "list").split():
        return
    listener = "listener pop3 {\n\taddress = %s\n\tport = %d\n\tproxies = %s\n%s}\n"
    s.edit("listener metrics {", listener % (A1, s.port(111), A1, "") +
           listener % (A1, s.port(112), A1, "\ttls = yes\n") + "listener metrics {")
    s.edit("plaintext_login = loopback", "plaintext_login = always")
    s.restart()
    s.ctl("domain", "create", "client1.test")
    s.ctl("domain", "addresses", "client1.test", "=", LOCAL2)
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


@case("a proxy that speaks for itself has its own addresses")
def for_itself(s):
    prepare(s)
    equal(login(s, connect(s, SIGNATURE + b"\x20\0\0\0")), ("info@" + DOMAIN, A1), "account and address")


@case("who sends no header, or another one, is closed without a word")
def none(s):
    prepare(s)
    for first in (b"USER info\r\n", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n", header(PEER, LOCAL1, 0x31),
                  SIGNATURE + b"\x21\x11\xff\xff", SIGNATURE + b"\x21\x31\0\0"):
        check(closed(connect(s, first)), "%r was answered", first)


@case("who is no listed proxy is closed, header or not")
def not_listed(s):
    prepare(s)
    check(closed(connect(s, header(PEER, LOCAL2), source=A2)), "was answered")


if __name__ == "__main__":
    main(21500, addresses=(A1, A2))
