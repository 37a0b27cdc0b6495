"""Opens COUNT IMAP connections, each logged in, INBOX selected, in IDLE; says "ready", holds them until standard
input ends.

    idle_imap.py PORT COUNT ACCOUNTS PASSWORD [tls]
"""
import resource
import socket
import ssl
import sys


def ask(s, line, done):
    s.sendall(line)
    got = b""
    while done not in got:
        data = s.recv(65536)
        if not data:
            sys.exit("the server closed: %r" % got)
        got += data


def main():
    port, count, accounts, password = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    context = None
    if len(sys.argv) > 5:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 100), hard))
    held = []
    for i in range(count):
        # Several own addresses: the server counts connections of each.
        s = socket.create_connection(("127.0.0.1", port), source_address=("127.0.0.%d" % (1 + i % 50), 0))
        if context:
            s = context.wrap_socket(s)
        ask(s, b"", b"\r\n")
        ask(s, b"a LOGIN u%d %s\r\n" % (1 + i % accounts, password.encode()), b"a OK")
        ask(s, b"b SELECT INBOX\r\n", b"b OK")
        ask(s, b"c IDLE\r\n", b"+ ")
        held.append(s)
    print("idle %d" % count)
    print("ready", flush=True)
    sys.stdin.read()


main()
