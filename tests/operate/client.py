"""client - speaks to the suite in a booted machine: as a module for LMTP, as a program in the machine's network.

    client.py pop PORT USER PASSWORD CAFILE NAME     the subjects of a mailbox, as JSON
    client.py connect PORT                           "yes", or the name of the error
"""
import json
import poplib
import smtplib
import socket
import ssl
import sys


class Lmtp(smtplib.LMTP):
    """Over a Unix socket whose path is longer than that library's name for the host may be."""

    def _get_socket(self, host, port, timeout):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(timeout)
        sock.connect(self.path)
        return sock

    def __init__(self, path, timeout=10):
        self.path = path
        super().__init__("localhost", timeout=timeout, local_hostname="sender.example")

    def connect(self, host="localhost", port=0, source_address=None):
        self.sock = self._get_socket(host, port, self.timeout)
        return self.getreply()


def deliver(path, to, subject, text="text"):
    """True when it was acknowledged, False when it was not."""
    try:
        with Lmtp(path) as lmtp:
            lmtp.sendmail("sender@sender.example", [to], "Subject: %s\r\nTo: %s\r\n\r\n%s\r\n" % (subject, to, text))
            return True
    except (OSError, smtplib.SMTPException):
        return False


class Pop(poplib.POP3_SSL):
    """The certificate is checked for the name that it was made for, wherever that leads on this machine."""

    def __init__(self, port, ca, name):
        self.name = name
        super().__init__("127.0.0.1", port, timeout=10, context=ssl.create_default_context(cafile=ca))

    def _create_socket(self, timeout):
        sock = socket.create_connection(("127.0.0.1", self.port), timeout)
        return self.context.wrap_socket(sock, server_hostname=self.name)


def pop_open(port, user, password, ca, name):
    p = Pop(port, ca, name)
    p.user(user)
    p.pass_(password)
    return p


def subjects(p):
    found = []
    for number in range(1, p.stat()[0] + 1):
        for line in p.top(number, 0)[1]:
            if line.startswith(b"Subject: "):
                found.append(line[9:].decode())
    return found


def main():
    if sys.argv[1] == "pop":
        p = pop_open(int(sys.argv[2]), *sys.argv[3:7])
        print(json.dumps(subjects(p)))
        p.quit()
    else:
        try:
            socket.create_connection(("127.0.0.1", int(sys.argv[2])), 5).close()
            print("yes")
        except OSError as e:
            print(type(e).__name__)


if __name__ == "__main__":
    main()
