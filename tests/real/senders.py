#!/usr/bin/python3
"""senders - real programs that send mail: by SMTP to port 25, as submission to 587 and 465.

swaks, curl, msmtp, s-nail, smtp-source and Python's smtplib, with each way of TLS and each mechanism
they know. What arrives is fetched by POP3 and must be what was sent, byte for byte, behind the fields
that the server puts in front; s-nail writes its messages itself, so that there the text must be it.
"""
import email
import os
import re
import smtplib
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(ROOT, "tests", "e2e"), os.path.join(ROOT, "tests", "corpus"), HERE]
import corpus  # noqa: E402
import expected  # noqa: E402
import gen  # noqa: E402
from suite import DOMAIN, PASSWORD, behind_trace, case, check, equal, main  # noqa: E402

U1, U2 = "u1@" + DOMAIN, "u2@" + DOMAIN
MISSING = re.compile(rb"(Date: [^\r\n]*\r\n)?(Message-ID: <[^\r\n]*>\r\n)?")
WAYS = ("plain", "starttls", "tls")


class Refused(Exception):
    pass


def program(cmd, data=b"", env=None):
    done = subprocess.run(cmd, input=data, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=90, env=env)
    if done.returncode != 0:
        raise Refused("%s: exit %d\n%s" % (cmd[0], done.returncode, done.stdout[-600:].decode("utf-8", "replace")))
    return done.stdout.decode("utf-8", "replace")


class Way:
    """How to connect: to port 25 without a login, or with one (then `mech` is a mechanism or "")."""

    def __init__(self, s, tls, login=True, mech="", sender=U1, password=PASSWORD):
        self.tls, self.login, self.mech, self.sender, self.password = tls, login, mech, sender, password
        self.port = s.port(25 if not login else 465 if tls == "tls" else 587)
        self.ca = os.path.join(s.dir, "tls", "ca.pem")
        self.scratch = s.dir


def swaks(way, data):
    run_swaks(way, gen.stuffed(data), "--helo", "client.example", "--no-data-fixup", "--pipeline")


def run_swaks(way, data, *options):
    """Without data it sends a message of its own."""
    cmd = ["swaks", "--server", "localhost", "--port", str(way.port), "--from", way.sender, "--to", U2, *options]
    if data:
        path = os.path.join(way.scratch, "swaks.data")
        with open(path, "wb") as f:
            f.write(data)
        cmd += ["--data", "@" + path]
    cmd += {"plain": [], "starttls": ["--tls"], "tls": ["--tls-on-connect"]}[way.tls]
    if way.tls != "plain":
        cmd += ["--tls-verify", "--tls-ca-path", way.ca]
    if way.login:
        cmd += ["--auth", way.mech or "PLAIN", "--auth-user", "u1", "--auth-password", way.password]
    program(cmd)


def curl(way, data):
    path = os.path.join(way.scratch, "curl.data")
    with open(path, "wb") as f:
        f.write(data)
    cmd = ["curl", "--silent", "--show-error", "--mail-from", way.sender, "--mail-rcpt", U2, "--upload-file", path,
           "--cacert", way.ca, "%s://localhost:%d/client.example" % ("smtps" if way.tls == "tls" else "smtp", way.port)]
    if way.tls == "starttls":
        cmd += ["--ssl-reqd"]
    if way.login:
        cmd += ["--user", "u1:" + way.password]
        if way.mech:
            cmd += ["--login-options", "AUTH=" + way.mech]
    program(cmd)


def msmtp(way, data):
    # What it would change in the message by itself.
    run_msmtp(way, data, "--set-date-header=off", "--set-msgid-header=off", "--set-from-header=off", "--remove-bcc-headers=off")


def run_msmtp(way, data, *options):
    cmd = ["msmtp", "--file=/dev/null", "--host=localhost", "--port=%d" % way.port, "--from=" + way.sender, *options]
    if way.tls == "plain":
        cmd += ["--tls=off"]
    else:
        cmd += ["--tls=on", "--tls-starttls=" + ("on" if way.tls == "starttls" else "off"),
                "--tls-trust-file=" + way.ca]
    if way.login:
        cmd += ["--auth=" + (way.mech.lower() or "on"), "--user=u1", "--passwordeval=echo " + way.password]
    program(cmd + ["--", U2], data.replace(b"\r\n", b"\n"))


def python(way, data):
    import ssl
    context = ssl.create_default_context(cafile=way.ca)
    try:
        if way.tls == "tls":
            server = smtplib.SMTP_SSL("localhost", way.port, context=context, timeout=30)
        else:
            server = smtplib.SMTP("localhost", way.port, timeout=30)
        with server:
            if way.tls == "starttls":
                server.starttls(context=context)
            if way.login:
                server.login("u1", way.password)
            refused = server.sendmail(way.sender, [U2], data, mail_options=["BODY=8BITMIME"])
            check(refused == {}, "refused: %s", refused)
    except smtplib.SMTPException as e:
        raise Refused(str(e)) from None


def nail(way, text, subject):
    scheme = "smtps" if way.tls == "tls" else "submission" if way.login else "smtp"
    who = "u1:%s@" % way.password if way.login else ""
    cmd = ["s-nail", "-:/", "-Sv15-compat=yes", "-Smta=%s://%slocalhost:%d" % (scheme, who, way.port),
           "-Sttycharset=utf-8", "-Stls-ca-file=" + way.ca, "-Stls-ca-no-defaults", "-Stls-verify=strict",
           "-Snosave", "-r", way.sender, "-s", subject]
    cmd += ["-Ssmtp-auth=" + (way.mech.lower() or "plain")] if way.login else ["-Ssmtp-auth=none"]
    if way.tls == "starttls":
        cmd += ["-Ssmtp-use-starttls"]
    program(cmd + [U2], text.encode(), dict(os.environ, LC_ALL="C.UTF-8", HOME=way.scratch, MAILRC="/dev/null"))


def arrived(s):
    found = [behind_trace(m) for m in s.mail("u2")]
    s.empty("u2")
    return found


def check_same(got, sent, login):
    equal(len(got), len(sent), "number of messages")
    for g, m in zip(got, sent):
        check(g.endswith(m.data), "%s: not what was sent: %.300r", m.name, g)
        extra = g[:len(g) - len(m.data)]
        check(MISSING.fullmatch(extra) if login else extra == b"", "%s: put in front: %r", m.name, extra)
        head = g.split(b"\r\n\r\n")[0].lower()
        if login and head and not head.startswith(b" "):
            check(b"date:" in head and b"message-id:" in head, "%s: a field is missing: %r", m.name, head)


def messages(count):
    """A spread of the corpus, the odd ones of our own first."""
    everything = [m for m in corpus.load(seed=3, generated=20) if len(m.data) < 300000]
    step = max(1, len(everything) // count)
    return everything[::step][:count]


ODD = corpus.Message("dots", b"Subject: dots\r\n\r\n.\r\n..\r\n.a\r\n\r\nlast\r\n.\r\n", False)
EIGHT = corpus.Message("eight bits", b"Subject: \xc3\xa4\r\nDate: Sun, 1 Jan 2023 00:00:00 +0000\r\n\r\n\xff\xfe\x80 \r\n"
                       + b"x" * 997 + b"\r\n", False)


def send_all(s, client, count, **kw):
    sent = [ODD, EIGHT] + messages(count)
    way = Way(s, **kw)
    for m in sent:
        client(way, m.data)
    check_same(arrived(s), sent, way.login)


def pairs(client, mechs, count):
    """One case for each way and each mechanism; few messages for a mechanism, more for a way."""
    name = client.__name__

    @case("%s to port 25, plain and STARTTLS: byte for byte" % name)
    def to_25(s):
        for tls in ("plain", "starttls"):
            send_all(s, client, count, tls=tls, login=False, sender="someone@sender.example")

    for tls in WAYS:
        @case("%s, submission, %s: byte for byte" % (name, tls))
        def submission(s, tls=tls):
            send_all(s, client, count, tls=tls)

        if not mechs:
            continue

        @case("%s, submission, %s: logs in by %s" % (name, tls, " ".join(mechs)))
        def login(s, tls=tls):
            for mech in mechs:
                send_all(s, client, 1, tls=tls, mech=mech)

    @case("%s hears of a wrong password and of a sender that is not its own" % name)
    def refused(s):
        for kw in ({"password": "wrong"}, {"sender": U2}, {"sender": "u1@sender.example"}):
            try:
                client(Way(s, "starttls", **kw), ODD.data)
            except Refused:
                continue
            check(False, "%s was taken", kw)
        equal(arrived(s), [], "what arrived")


pairs(swaks, ("PLAIN", "LOGIN"), 30)
pairs(curl, ("PLAIN", "LOGIN"), 30)
pairs(msmtp, ("PLAIN", "LOGIN", "SCRAM-SHA-256"), 30)
pairs(python, (), 60)


# (TLS, with a login) for a program at its defaults: 25 twice, 587 twice, 465.
DOORS = (("plain", False), ("starttls", False), ("plain", True), ("starttls", True), ("tls", True))
STRANGER = "someone@sender.example"
SWAKS_ODD = corpus.Message("tokens", b"From someone Mon Jan  2 03:04:05 2023\r\nSubject: to %TO_ADDRESS%\r\nFrom: %FROM_ADDRESS%\r\n"
                           b"\r\nC:\\new%NEWLINE%here\r\n..\r\n%BODY%\r\n", False)
SWAKS_OWN = (rb"Date: (\w{3}, \d\d \w{3} \d{4} [\d:]{8} [+-]\d{4})\r\nTo: %s\r\nFrom: %s\r\nSubject: test \1\r\nMessage-Id: <[^<>\r\n]+>\r\n"
             rb"X-Mailer: swaks v[\d.]+ jetmore\.org/john/code/swaks/\r\n\r\nThis is a test mailing\r\n\r\n\r\n")


@case("swaks at its defaults, to 25, 587 and 465: its own message, and what it makes of others")
def swaks_defaults(s):
    for tls, login in DOORS:
        way = Way(s, tls, login, sender=U1 if login else STRANGER)
        made = []
        for m in [ODD, EIGHT, SWAKS_ODD] + messages(3):
            data = expected.swaks_makes(m.data, way.sender, [U2])
            if data is not None:
                made.append(corpus.Message(m.name, data, False))
                run_swaks(way, expected.swaks_file(m.data))
        check(any(m.name == "tokens" and b"%" not in m.data for m in made), "nothing to replace")
        check_same(arrived(s), made, login)
        run_swaks(way, b"")
        own = arrived(s)
        equal(len(own), 1, "messages of its own")
        check(re.fullmatch(SWAKS_OWN % (re.escape(U2.encode()), re.escape(way.sender.encode())), own[0]),
              "its own message: %r", own[0])


def complete(data):
    """True where msmtp finds nothing to add or to take away."""
    lines = data.partition(b"\r\n\r\n")[0].split(b"\r\n")
    if any(re.match(rb"[!-9;-~]+:|[ \t]", line) is None for line in lines):
        return False  # its header ends sooner for it and for the server
    has = {line.partition(b":")[0].lower() for line in lines}
    return {b"from", b"date", b"message-id"} <= has and not has & {b"bcc", b"resent-bcc"}


@case("msmtp at its defaults, to 25, 587 and 465: byte for byte what has From, Date, Message-ID and no Bcc")
def msmtp_defaults(s):
    whole = [m for m in messages(1000) if complete(m.data)]
    check(len(whole) >= 8, "only %d messages are complete", len(whole))
    whole = whole[::len(whole) // 8][:8]
    for tls, login in DOORS:
        way = Way(s, tls, login, sender=U1 if login else STRANGER)
        for m in whole:
            run_msmtp(way, m.data)
        got = arrived(s)
        equal(len(got), len(whole), "number of messages")
        for g, m in zip(got, whole):
            check(g == m.data, "%s: not what was sent: %.300r", m.name, g)


@case("s-nail: its text arrives, in each way and by each mechanism")
def s_nail(s):
    text = "Grüße\n.\n.a line\nFrom here\n" + "long " * 300 + "\nlast\n"
    for login, tls, mech in [(False, "plain", ""), (False, "starttls", "")] + \
            [(True, tls, mech) for tls in WAYS for mech in ("PLAIN", "LOGIN")]:
        subject = "s-nail %s %s %s" % (login, tls, mech)
        nail(Way(s, tls, login, mech), text, subject)
        got = arrived(s)
        equal(len(got), 1, "number of messages by " + subject)
        parsed = email.message_from_bytes(got[0])
        equal(parsed["Subject"], subject, "subject")
        equal(parsed.get_payload(decode=True).decode().replace("\r\n", "\n"), text, "text of " + subject)


@case("smtp-source: 200 messages over five sessions, two recipients each")
def smtp_source(s):
    program(["smtp-source", "-s", "5", "-m", "200", "-l", "6000", "-f", "sender@sender.example", "-t", U2,
             "127.0.0.1:%d" % s.port(25)])
    got = s.mail("u2")
    s.empty("u2")
    equal(len(got), 200, "number of messages")
    ids = {re.search(rb"(?mi)^Message-ID: *(.*)$", m).group(1) for m in got}
    equal(len(ids), 200, "number of ids")


@case("nothing of where a sender sits is in what it submits")
def private(s):
    python(Way(s, "tls"), ODD.data)
    got = s.mail("u2")[0]
    s.empty("u2")
    head = got.split(b"\r\n\r\n")[0]
    check(b"127.0.0.1" not in head and b" from " not in head and b"u1" not in head.split(b"\r\n", 1)[1],
          "the trace tells too much: %r", head)
    check(b"with ESMTPSA id" in head, "the trace tells too little: %r", head)


if __name__ == "__main__":
    main(23200)
