"""client - speaks to the suite in a booted machine: as a module for LMTP, as a program in the machine's network.

    client.py pop PORT USER PASSWORD CAFILE NAME     the subjects of a mailbox, as JSON
    client.py imap PORT tls|starttls USER PASSWORD CAFILE NAME    how many messages are in the INBOX
    client.py flags, stay  (as imap)                 which messages are flagged; flags one and stays until the end
    client.py send PORT tls|starttls USER PASSWORD CAFILE NAME TO SUBJECT
    client.py naked imap|smtp PORT USER PASSWORD     tries to log in without TLS: "refused" or what happened
    client.py connect PORT                           "yes", or the name of the error
    client.py knock PORT SECONDS                     the same again and again, for so long
"""
import imaplib
import json
import poplib
import smtplib
import socket
import ssl
import sys
import time


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


class Imap(imaplib.IMAP4_SSL):
    def __init__(self, port, context, name):
        self.name = name
        super().__init__("127.0.0.1", port, ssl_context=context, timeout=20)

    def _create_socket(self, timeout):
        return self.ssl_context.wrap_socket(imaplib.IMAP4._create_socket(self, timeout), server_hostname=self.name)


class ImapStarttls(imaplib.IMAP4):
    def __init__(self, port, context, name):
        super().__init__("127.0.0.1", port, timeout=20)
        self.host = name
        self.starttls(context)


def imap_open(port, kind, user, password, ca, name):
    context = ssl.create_default_context(cafile=ca)
    imap = (Imap if kind == "tls" else ImapStarttls)(int(port), context, name)
    imap.login(user, password)
    imap.select("INBOX")
    return imap


def flagged(imap):
    _, data = imap.uid("SEARCH", "FLAGGED")
    return "flagged " + data[0].decode()


def stay(imap):
    """The answer to STORE was seen: the flag must survive whatever comes. Then waits for the end of the session."""
    imap.store("1", "+FLAGS", "(\\Flagged)")
    print(flagged(imap), flush=True)
    try:
        while True:
            imap.noop()
            time.sleep(0.1)
    except (imaplib.IMAP4.abort, OSError) as e:
        print("BYE" if "BYE" in str(e) else "closed")


def send(port, kind, user, password, ca, name, to, subject):
    context = ssl.create_default_context(cafile=ca)
    smtp = smtplib.SMTP(timeout=20)
    smtp._host = name  # what the certificate is checked for
    if kind == "tls":
        smtp.sock = context.wrap_socket(socket.create_connection(("127.0.0.1", int(port)), 20), server_hostname=name)
        smtp.file = None
        smtp.getreply()
    else:
        smtp.connect("127.0.0.1", int(port))
        smtp._host = name
        smtp.starttls(context=context)
    smtp.login(user, password)
    smtp.sendmail(to, [to], "From: %s\r\nTo: %s\r\nSubject: %s\r\n\r\ntext\r\n" % (to, to, subject))
    smtp.quit()


def naked(protocol, port, user, password):
    try:
        if protocol == "imap":
            imap = imaplib.IMAP4("127.0.0.1", int(port), timeout=20)
            if "LOGINDISABLED" not in imap.capabilities:
                return "LOGINDISABLED is not announced"
            imap.login(user, password)
        else:
            smtp = smtplib.SMTP("127.0.0.1", int(port), timeout=20)
            smtp.ehlo()
            if {"PLAIN", "LOGIN"} & set(smtp.esmtp_features.get("auth", "").split()):
                return "PLAIN or LOGIN is announced"
            code, text = smtp.docmd("AUTH PLAIN AGFubgBwdw==")
            return "refused" if code in (502, 503, 504, 530, 538) else "%d %s" % (code, text)
    except imaplib.IMAP4.error:
        return "refused"
    return "let in"


def connect(port):
    try:
        socket.create_connection(("127.0.0.1", int(port)), 5).close()
        return "yes"
    except OSError as e:
        return type(e).__name__


def knock(port, seconds):
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        print(connect(port))
        time.sleep(0.02)


def pop(port, *login):
    p = pop_open(int(port), *login)
    found = subjects(p)
    p.quit()
    return json.dumps(found)


COMMANDS = {"pop": pop, "imap": lambda *login: imap_open(*login).untagged_responses["EXISTS"][-1].decode(),
            "flags": lambda *login: flagged(imap_open(*login)), "stay": lambda *login: stay(imap_open(*login)),
            "send": send, "naked": naked, "connect": connect, "knock": knock}


def main():
    said = COMMANDS[sys.argv[1]](*sys.argv[2:])
    if said is not None:
        print(said)


if __name__ == "__main__":
    main()
