#!/usr/bin/python3
"""smtp - mail from anybody and from our own users: whose address a login may send from, one answer for
all recipients, and what a connection holds."""
import email
import os
import re
import signal
import threading
import time

from desk import admin
from suite import A1, DOMAIN, Failed, Lmtp, behind_trace, case, check, equal, main, message, plain, wait

U1, U2, U3 = "u1@" + DOMAIN, "u2@" + DOMAIN, "u3@" + DOMAIN


class Smtp(Lmtp):
    """SMTP on 25, or submission with a login: one answer after the message."""

    def __init__(self, s, user=None, port=None, password="gatehouse"):
        super().__init__((A1, s.port(port or (587 if user else 25))), hello="client.example")
        if user:
            self.command("AUTH PLAIN " + plain(user, password), 235)

    def command(self, text, code=None):
        return super().command(text.replace("LHLO ", "EHLO "), code)

    def answer(self, text):
        """Code and text of the last line."""
        code, texts = self.command(text)
        return "%d %s" % (code, texts[-1])

    def send_message(self, recipients, data, sender="sender@sender.example", options=""):
        self.begin(recipients, sender, options)
        self.command("DATA", 354)
        self.send(data.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        code, texts = self.reply()
        return "%d %s" % (code, texts[-1])


def mails(s, user):
    found = [behind_trace(m) for m in s.mail(user)]
    s.empty(user)
    return found


def may_send_as(c, address):
    answer = c.answer("MAIL FROM:<%s>" % address)
    c.command("RSET", 250)
    check(answer[:3] in ("250", "550"), "MAIL FROM:<%s> is answered %s", address, answer)
    return answer.startswith("250 2.1.0")


def back(s, work):
    def ready():
        try:
            work()
            return True
        except Exception:
            return False
    wait(ready, 60, "the return of the service")


@case("250 is for all recipients: stored killed right after it, both have the message", engines=("lmdb",))
def durable(s):
    data = message("durable " + "z" * 100000)
    with Smtp(s) as c:
        check(c.send_message([U1, U2], data).startswith("250 2.0.0"), "not taken")
        os.kill(s.pids("stored")[0], signal.SIGKILL)
    wait(lambda: s.pids("stored"), 60, "the store's return")
    back(s, lambda: s.pop("u1").quit())
    equal(mails(s, "u1"), [data], "u1's mail")
    equal(mails(s, "u2"), [data], "u2's mail")


@case("stored killed under load: what was acknowledged is there for both, once; nothing is there twice", engines=("lmdb",))
def killed(s):
    acked, numbers, over = set(), iter(range(1000000)), threading.Event()

    def work():
        while not over.is_set():
            try:
                with Smtp(s) as c:
                    for _ in range(20):
                        n = next(numbers)
                        if c.send_message([U1, U2], message("z" * (n % 40 * 1000), "number-%d-" % n)).startswith("250"):
                            acked.add(n)
            except (OSError, AssertionError, Failed):
                time.sleep(0.02)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for t in threads:
        t.start()
    for _ in range(4):
        time.sleep(0.4)
        os.kill(wait(lambda: s.pids("stored"), 60, "the store's return")[0], signal.SIGKILL)
    time.sleep(0.4)
    over.set()
    for t in threads:
        t.join(40)
    back(s, lambda: s.pop("u1").quit())
    check(len(acked) > 20, "only %d were acknowledged", len(acked))
    for user in ("u1", "u2"):
        there = [int(n) for m in mails(s, user) for n in re.findall(rb"number-(\d+)-", m)]
        equal(len(there), len(set(there)), "copies of " + user)
        equal(sorted(acked - set(there)), [], "what %s lost" % user)
    print("        %d acknowledged" % len(acked))


@case("over quota for this message: nobody has it; with SIZE the others get it, once")
def quota(s):
    s.ctl("account", "quota", "u2", "20000")
    data = message("q" * 30000)
    with Smtp(s) as c:
        answer = c.send_message([U1, U2], data)
        check(answer.startswith("452 4.2.2"), "answered %s", answer)
        equal(mails(s, "u1") + mails(s, "u2"), [], "what was kept")
        c.command("MAIL FROM:<a@b.example> SIZE=%d" % len(data), 250)
        c.command("RCPT TO:<%s>" % U1, 250)
        check(c.answer("RCPT TO:<%s>" % U2).startswith("452 4.2.2"), "no room, and taken")
        c.command("DATA", 354)
        c.send(data + b".\r\n")
        c.reply(250)
    equal(mails(s, "u1"), [data], "u1's mail")
    equal(mails(s, "u2"), [], "u2's mail")
    s.ctl("account", "quota", "u2", "unlimited")


@case("a hundred recipients and more; addresses of one account get one copy")
def many(s):
    with Smtp(s) as c:
        answer = c.send_message(["u1+%d@%s" % (i, DOMAIN) for i in range(250)], message("many"))
        check(answer.startswith("250"), "answered %s", answer)
    equal(len(mails(s, "u1")), 1, "copies")


@case("a sender is the login's own: name, alias, detail, other name of the domain; changes count at once")
def senders(s):
    s.ctl("domain", "aliases", DOMAIN, "=", "other.test")
    with Smtp(s, "u1") as c:
        for own in (U1, "u1+x@" + DOMAIN, '"u1"@' + DOMAIN, "U1@" + DOMAIN.upper(), "u1@other.test", ""):
            check(may_send_as(c, own), "%s is not its own", own)
        for other in (U2, "postmaster@" + DOMAIN, "nobody@" + DOMAIN, "u1@elsewhere.example", "sales@" + DOMAIN,
                      '"u1@elsewhere.example"@' + DOMAIN, "u1%elsewhere.example@" + DOMAIN, "null@" + DOMAIN):
            check(not may_send_as(c, other), "%s is its own", other)
        s.ctl("alias", "set", "u1", "sales")
        check(may_send_as(c, "sales@" + DOMAIN), "the new alias is not its own")
        s.ctl("alias", "set", "u1")
        s.ctl("alias", "set", "u2", "sales")
        check(not may_send_as(c, "sales@" + DOMAIN), "an alias that was given away is still its own")
        s.ctl("alias", "set", "u2")
    s.ctl("domain", "aliases", DOMAIN, "=")


@case("a login by an alias sends as the account and as the alias")
def by_alias(s):
    s.ctl("alias", "set", "u1", "one")
    with Smtp(s, "one@" + DOMAIN) as c:
        check(may_send_as(c, U1) and may_send_as(c, "one@" + DOMAIN), "not its own")
        check(not may_send_as(c, U2), "another's is its own")
    s.ctl("alias", "set", "u1")


@case("a suspended account sends no more, one with a new password has to log in again")
def ends(s):
    with Smtp(s, "u3") as c:
        check(may_send_as(c, U3), "not its own")
        s.ctl("account", "suspend", "u3")
        check(c.answer("MAIL FROM:<%s>" % U3).startswith("550 5.2.1"), "a suspended account sends")
        s.ctl("account", "resume", "u3")
        check(may_send_as(c, U3), "not its own after all")
    with Smtp(s, "u1") as other, Smtp(s, "u3") as c:
        s.ctl("password", "set", "u3", "plain", stdin="changed\n")
        wait(lambda: c.answer("NOOP") and c.answer("MAIL FROM:<%s>" % U3).startswith("421"), 60, "the end of the login")
        check(may_send_as(other, U1), "somebody else's login ended, too")
    with Smtp(s, "u3", password="changed") as c:
        check(may_send_as(c, U3), "the new password does not do")
    s.ctl("password", "set", "u3", "plain", stdin="gatehouse\n")


@case("a login to send mail opens no session, and its process holds no channel to a mailbox")
def no_session(s):
    def sockets(port, user):
        before = set(s.pids("smtp", child=True))
        with Smtp(s, user, port):
            new = set(s.pids("smtp", child=True)) - before
            equal(s.sessions(), [], "sessions")
            if len(new) != 1 or os.geteuid() != 0:
                return None  # several connections a process; or not dumpable: only root may look
            folder = "/proc/%d/fd" % new.pop()
            return sum(os.readlink(os.path.join(folder, fd)).startswith("socket:") for fd in os.listdir(folder))

    free, login = sockets(25, None), sockets(587, "u1")
    # Client, routerd, stored's post channel, signer, log; the dialogue with authd is over.
    check(free == login and (free is None or free == 5), "%s sockets on 25, %s after a login", free, login)


@case("processes die: authd is not missed after the login, routerd's death costs the connection, not the mail",
      engines=("lmdb",))
def deaths(s):
    with Smtp(s, "u1") as c:
        os.kill(s.pids("authd")[0], signal.SIGKILL)
        time.sleep(0.1)
        check(c.send_message([U2], message("x"), U1).startswith("250"), "not without authd")
    back(s, lambda: Smtp(s, "u1").close())
    with Smtp(s, "u1") as c:
        c.begin([U2], U1)
        os.kill(s.pids("routerd")[0], signal.SIGKILL)
        time.sleep(0.1)
        c.command("DATA", 354)
        c.send(message("y") + b".\r\n")
        c.reply(250)
        check(c.answer("MAIL FROM:<%s>" % U1).startswith("421 4.3.2"), "the login outlives routerd")
    back(s, lambda: Smtp(s, "u1").close())
    equal(len(mails(s, "u2")), 2, "messages")


@case("plaintext_login = never: submission offers passwords inside TLS only", engines=("lmdb",))
def never(s):
    s.edit("plaintext_login = loopback", "plaintext_login = never")
    s.restart()
    with Smtp(s, port=587) as c:
        code, offered = c.command("EHLO a", 250)
        check("AUTH SCRAM-SHA-256" in offered, "offered: %s", offered)
        check(c.answer("AUTH PLAIN " + plain("u1", "gatehouse")).startswith("538 5.7.11"), "taken in the clear")
        c.command("STARTTLS", 220)
        c.tls(s.ca())
        code, offered = c.command("EHLO a", 250)
        check("AUTH PLAIN LOGIN SCRAM-SHA-256" in offered, "offered: %s", offered)
        c.command("AUTH PLAIN " + plain("u1", "gatehouse"), 235)
    s.edit("plaintext_login = never", "plaintext_login = loopback")
    s.restart()



@case("NOTIFY=SUCCESS: the sender finds a report when the message is answered; nobody else, and of no report another one")
def reports(s):
    group = "team@" + DOMAIN
    admin(s, "CreateGroup %s {Members=(u2,u3);}" % group, 'UpdateAccountSettings u1 {SenderAddresses=("x@far.example");}')

    def send(to, sender=U1):
        """Recipients with their parameters; what u1 finds then."""
        with Smtp(s, "u1") as c:
            c.command("MAIL FROM:<%s> RET=HDRS ENVID=q+2Bq" % sender, 250)
            for address, params in to:
                c.command("RCPT TO:<%s>%s" % (address, params), 250)
            c.command("DATA", 354)
            c.send(message("reported") + b".\r\n")
            c.reply(250)
        found = s.mail("u1")
        s.empty("u1")
        return found

    found = send([(U2, " NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Who+2B@else.example"), (U3, " NOTIFY=NEVER")])
    equal(len(found), 1, "messages to the sender")
    check(found[0].startswith(b"Return-Path: <>\r\n"), "the report begins with %r", found[0][:60])
    m = email.message_from_bytes(found[0])
    equal((m.get_content_type(), m.get_param("report-type"), m["To"]), ("multipart/report", "delivery-status", "<%s>" % U1), "the report")
    status = m.get_payload()[1]
    equal(status.get_content_type(), "message/delivery-status", "the second part")
    whole, one = status.get_payload()
    equal(whole["Original-Envelope-Id"], "q+q", "envelope")
    kind, host = whole["Reporting-MTA"].split(";")
    equal(kind, "dns" if "." in host else "x-local-hostname", "the kind of " + host)
    equal({k: one[k] for k in one.keys()}, {"Original-Recipient": "rfc822;Who+@else.example", "Final-Recipient": "rfc822;" + U2,
                                            "Action": "delivered", "Status": "2.0.0"}, "the recipient")
    equal((len(m.get_payload()), m.get_payload()[2].get_content_type()), (3, "text/rfc822-headers"), "the third part")
    back = m.get_payload()[2].get_payload()
    check("\nSubject: " in back and "reported" not in back.split("\nSubject: ")[1].partition("\n")[2], "what came back is %r", back)
    for to, sender in (([(U2, "")], U1), ([(U2, " NOTIFY=FAILURE")], U1), ([(U2, " NOTIFY=SUCCESS")], "")):
        equal(send(to, sender), [], "reports of %s by %s" % (to, sender))
    # An address that is not here: who logged in has asked, and who has the address cannot be told.
    m = email.message_from_bytes(send([(U2, " NOTIFY=SUCCESS")], "x@far.example")[0])
    equal((m["To"], m.get_payload()[1].get_payload()[1]["Final-Recipient"]), ("<x@far.example>", "rfc822;" + U2), "the report")
    found = send([(group, " NOTIFY=SUCCESS"), (U1, " NOTIFY=SUCCESS")])
    equal(len(found), 2, "messages to a sender who is a recipient")
    actions = [p["Action"] for p in email.message_from_bytes(found[1]).get_payload()[1].get_payload()[1:]]
    equal(actions, ["expanded", "delivered"], "what happened")
    equal([len(mails(s, u)) for u in ("u2", "u3")], [6, 2], "messages of the others")
    admin(s, "DeleteGroup " + group, "UpdateAccountSettings u1 {SenderAddresses=default;}")
    with Smtp(s, port=25) as c:
        check("DSN" not in [f.split()[0] for f in c.features[1]], "port 25 offers %s", c.features)
        c.command("MAIL FROM:<a@b.example> RET=HDRS", 250)
        c.command("RCPT TO:<%s> NOTIFY=SUCCESS" % U2, 555)
        c.command("RCPT TO:<%s> NOTIFY=FAILURE,DELAY ORCPT=rfc822;a@b.example" % U2, 250)


@case("NOTIFY=SUCCESS on port 25: a sender who is here has the report; others are refused at RCPT")
def reports_on_25(s):
    wish = [(U2, " NOTIFY=SUCCESS ORCPT=rfc822;two@old.example"), (U3, " NOTIFY=FAILURE")]
    equal(sent_by(s, "smtp", wish, U1, " RET=FULL ENVID=e2", "wished"), ([250, 250], [250]), "answers")
    found = s.mail("u1")
    s.empty("u1")
    equal((len(found), len(mails(s, "u2")), len(mails(s, "u3"))), (1, 1, 1), "messages")
    m = email.message_from_bytes(found[0])
    equal((m["Return-Path"], m["To"], m.get_content_type()), ("<>", "<%s>" % U1, "multipart/report"), "the report")
    words, status, back = m.get_payload()
    whole, one = status.get_payload()
    equal((whole["Original-Envelope-Id"], dict(one.items())), ("e2", {"Original-Recipient": "rfc822;two@old.example",
          "Final-Recipient": "rfc822;" + U2, "Action": "delivered", "Status": "2.0.0"}), "what it says")
    check("Message-ID: <1@client.example>" in back.get_payload() and "wished" not in back.get_payload(), "back came %r", back.get_payload())
    for sender in ("s@else.example", NOBODY, "null@" + DOMAIN):
        equal(sent_by(s, "smtp", wish[:1], sender), ([555], []), "answers to " + sender)
    equal(sent_by(s, "smtp", wish, ""), ([250, 250], [250]), "answers to <>")
    s.empty("u2")
    s.empty("u3")
    equal(s.mail("u1"), [], "mail of u1")


class Bounced:
    """The Main Domain bounces names that nobody has."""

    def __init__(self, s):
        self.s = s

    def __enter__(self):
        self.s.ctl("settings", "set", "domain", DOMAIN, "MailToUnknown=Accepted and Bounced")

    def __exit__(self, *unused):
        self.s.ctl("settings", "set", "domain", DOMAIN, "MailToUnknown=default")


NOBODY = "nobody@" + DOMAIN


def sent_by(s, way, to, sender, options="", text="bounced"):
    """Answers to the RCPTs and after the message; `to` has (address, parameters)."""
    with s.lmtp() if way == "lmtp" else Smtp(s, "u1" if way == "submission" else None) as c:
        c.command("MAIL FROM:<%s>%s" % (sender, options), 250)
        first = [c.command("RCPT TO:<%s>%s" % one) for one in to]
        taken = sum(code == 250 for code, _ in first)
        if not taken:
            return [code for code, _ in first], []
        c.command("DATA", 354)
        c.send(message(text, **{"From": U1, "Date": "x", "Message-ID": "<1@client.example>"}) + b".\r\n")
        return [code for code, _ in first], [c.reply()[0] for _ in range(taken if way == "lmtp" else 1)]


def report_of(m):
    """The status fields of each recipient, and the part that came back, of a report."""
    check(m.startswith(b"Return-Path: <>\r\n"), "it begins with %r", m[:60])
    m = email.message_from_bytes(m)
    equal((m.get_content_type(), m.get_param("report-type"), m["To"]), ("multipart/report", "delivery-status", "<%s>" % U1), "the report")
    check("postmaster@" in m["From"] and m["Auto-Submitted"] == "auto-replied", "its header is %s", m.items())
    words, status, back = m.get_payload()
    check(NOBODY in words.get_payload(), "its words are %r", words.get_payload())
    return [dict(p.items()) for p in status.get_payload()], back


@case("accepted and bounced, by LMTP, SMTP and submission: one report of failure in the sender's INBOX when it is answered")
def bounced(s):
    with Bounced(s):
        for way in ("lmtp", "smtp", "submission"):
            first, last = sent_by(s, way, [(NOBODY, ""), (U2, ""), ("no.body@" + DOMAIN, "")], U1)
            equal((first, set(last)), ([250, 250, 250], {250}), "answers by " + way)
            found = s.mail("u1")
            s.empty("u1")
            equal([len(found), len(mails(s, "u2"))], [1, 1], "messages of the sender and of the other by " + way)
            fields, back = report_of(found[0])
            equal(fields[1:], [{"Final-Recipient": "rfc822;" + n, "Action": "failed", "Status": "5.1.1"}
                               for n in (NOBODY, "no.body@" + DOMAIN)], "the recipients")
            equal(back.get_content_type(), "text/rfc822-headers", "what came back")
            check("Message-ID: <1@client.example>" in back.get_payload() and "bounced" not in back.get_payload(), "it is %r", back.get_payload())
        first, last = sent_by(s, "submission", [(NOBODY, " NOTIFY=FAILURE ORCPT=rfc822;lost@old.example"), (U2, " NOTIFY=SUCCESS")], U1,
                              " RET=FULL ENVID=e1", "the whole text")
        fields, back = report_of(s.mail("u1")[0])
        equal(fields[0].get("Original-Envelope-Id"), "e1", "envelope")
        equal([(f.get("Original-Recipient"), f["Action"]) for f in fields[1:]], [("rfc822;lost@old.example", "failed"), (None, "delivered")], "recipients")
        equal((back.get_content_type(), back.get_payload()[0].get_payload()), ("message/rfc822", "the whole text\r\n"), "what came back")
        s.empty("u1")
        s.empty("u2")
        said = s.ctl("route", "test", NOBODY, "--mode", "mail")
        check(re.search(r"module +SYSTEM\nqueue +bounce\naddress +nobody\n", said) and "report of failure" in said, "route test says %s", said)


@case("no report: of a message without sender, to who wants none, to who is not here, to a group, to a full mailbox; then 550 at RCPT")
def not_bounced(s):
    group = "team@" + DOMAIN
    admin(s, "CreateGroup %s {Members=(u1);}" % group, "CreateForwarder far@%s TO far@else.example" % DOMAIN)
    with Bounced(s):
        for way in ("lmtp", "smtp"):
            for sender in ("", "s@else.example", "far@" + DOMAIN, group, NOBODY, "null@" + DOMAIN):
                equal(sent_by(s, way, [(NOBODY, "")], sender), ([550], []), "answers to %r by %s" % (sender, way))
        equal(sent_by(s, "submission", [(NOBODY, "")], ""), ([550], []), "answers to a sender <>")
        for notify in ("NEVER", "SUCCESS", "DELAY"):
            equal(sent_by(s, "submission", [(NOBODY, " NOTIFY=" + notify)], U1), ([550], []), "answers to " + notify)
        s.ctl("account", "quota", "u1", "2000")
        equal(sent_by(s, "submission", [(NOBODY, "")], U1), ([550], []), "answers to who is over quota")
        s.ctl("account", "quota", "u1", "unlimited")
    equal(mails(s, "u1"), [], "mail of u1")
    admin(s, "DeleteGroup " + group, "DeleteForwarder far@" + DOMAIN)


@case("stored dies while bounced mail is taken: 250 means that the report is there and the others have it; nothing is there twice",
      engines=("lmdb",))
def bounced_and_killed(s):
    answered = []

    def kill(pid, late_s):
        time.sleep(late_s)
        os.kill(pid, signal.SIGKILL)

    with Bounced(s):
        for n, late_s in enumerate((0, 0.0005, 0.001, 0.002, 0.004, 0.1)):
            with Smtp(s) as c:
                c.begin([NOBODY, U2], U3)
                c.command("DATA", 354)
                thread = threading.Thread(target=kill, args=(s.pids("stored")[0], late_s))
                thread.start()
                try:
                    c.send(message("x", "number-%d-" % n) + b".\r\n")
                    if c.reply()[0] == 250:
                        answered.append(n)
                except OSError:
                    pass
                finally:
                    thread.join(60)
            back(s, lambda: s.pop("u2").quit())
    reported, stored = ([int(n) for m in s.mail(user) for n in re.findall(rb"\r\nSubject: number-(\d+)-", m)] for user in ("u3", "u2"))
    s.empty("u3")
    s.empty("u2")
    equal(sorted(set(answered) - set(reported)), [], "what was taken and not reported")
    equal(sorted(set(reported) - set(stored)), [], "reports of messages that were not stored")
    equal((len(reported), len(stored)), (len(set(reported)), len(set(stored))), "copies")
    print("        %d answered 250, %d reported, %d stored, of 6" % (len(answered), len(reported), len(stored)))


if __name__ == "__main__":
    main(23100, accounts=3)
