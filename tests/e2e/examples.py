#!/usr/bin/python3
"""examples - every row of the two tables of worked examples, one case each, end to end.

Rows L1 to L22 are logins (which account a typed name opens), rows R1 to R15 the Router's, rows S1 to S7 its special
names. Where a door for the
protocol exists it is used: POP, IMAP and PWD on two addresses of this machine, LMTP, SMTP and submission. What
comes by a door that is not built yet (FTP, HTTP, XMPP, signals) goes through `route test` with what that door would
say. The last case fails when a row has none.

example.test is the Main Domain; client1.test has the addresses 127.0.0.2 to 127.0.0.9, client2.test has none, and
each has an account info.
"""
import contextlib
import imaplib
import json
import os
import re
import shlex

import suite
from suite import A1, A2, DOMAIN, PASSWORD, Failed, Line, behind_trace, case, check, equal, main, message, plain, refused, wait

ROWS = ["L%d" % n for n in range(1, 23)] + ["R%d" % n for n in range(1, 16)] + \
    ["S%d" % n for n in range(1, 8)]
DONE = []
# With these nothing is added to a message of our own users.
COMPLETE = {"From": "u1@" + DOMAIN, "Date": "Sun, 22 Nov 2026 08:00:00 +0000", "Message-ID": "<1@client.example>"}
A9, A10 = "127.0.0.9", "127.0.0.10"


def row(number, text):
    def mark(function):
        DONE.append(number)
        return case("%s: %s" % (number, text))(prepared(function))
    return mark


def prepared(function):
    def run(s):
        prepare(s)
        function(s)
    return run


def prepare(s):
    """Once for all rows."""
    if "client1.test" in s.ctl("domain", "list").split():
        return
    for d in ("client1.test", "client2.test", "domain.test"):
        s.ctl("domain", "create", d)
    s.ctl("domain", "addresses", "client1.test", "=", A2 + "-" + A9)
    s.ctl("domain", "aliases", "client1.test", "=", "mail.client1.test")
    names = ["info@" + DOMAIN, "info@client1.test", "info@client2.test", "john@" + DOMAIN, "j.smith@client1.test",
             "client1@" + DOMAIN, "jim@domain.test"]
    s.ctl("account", "import", "-", stdin="".join("%s:{PLAIN}%s\n" % (n, PASSWORD) for n in names))
    s.ctl("alias", "set", "john", "john_smith")
    s.ctl("list", "create", "news", "john")
    s.ctl("forwarder", "create", "jim@client1.test", "john@other.test")


@contextlib.contextmanager
def router(s, *lines):
    """The Router's table for the time of a case."""
    s.ctl("router", "set", "-", stdin="".join(line + "\n" for line in lines))
    try:
        yield
    finally:
        s.ctl("router", "set", "-")


@contextlib.contextmanager
def unknown(s, domain, address):
    s.ctl("settings", "set", "domain", domain, "MailToUnknown=Rerouted to", "MailRerouteAddress=" + address)
    try:
        yield
    finally:
        s.ctl("settings", "set", "domain", domain, "MailToUnknown=default", "MailRerouteAddress=default")


# ---- doors: each opens an account by a name and says which it was, or raises Refused with the answer ----

class Refused(Exception):
    pass


def session_of(s):
    rows = s.sessions()
    equal(len(rows), 1, "number of sessions")
    return rows[0]["Account"]


def by_pop(s, name, address):
    try:
        with contextlib.closing(s.pop(name, address=address)) as p:
            account = session_of(s)
            p.quit()
    except suite.poplib.error_proto as e:
        raise Refused(e.args[0].decode()) from e
    wait(lambda: not s.sessions(), 60, "the session's end")
    return account


def by_imap(s, name, address):
    m = imaplib.IMAP4(address, s.port(143), timeout=30)
    try:
        m.login(name, PASSWORD)
        account = session_of(s)
    except imaplib.IMAP4.error as e:
        raise Refused(str(e)) from e
    finally:
        m.logout()
    wait(lambda: not s.sessions(), 60, "the session's end")
    return account


def by_pwd(s, name, address):
    with Line((address, s.port(106))) as l:
        l.want(None, "200 ")
        l.want("USER " + name, "300 ")
        answer = l.ask("PASS " + PASSWORD)
        if not answer.startswith("200 "):
            raise Refused(answer)
        l.want("INLINE", "200 ")
        return re.search(r'AccountName="([^"]+)"', l.want("GetAccountInfo *", "201 "))[1]


def by_test(s, name, address, domain=None, mode="access"):
    """What a door that is not there yet would be told."""
    more = ["--domain", domain] if domain else []
    out = json.loads(s.ctl("--json", "route", "test", name, "--mode", mode, "--local", address, *more))
    if out[0] != "LOCAL" or out[3] != "ok":
        raise Refused("%s %s" % (out[0], out[3]))
    return out[2]


DOORS = (by_pop, by_imap, by_pwd)


def opens(s, typed, account, address=A1):
    """By every door there is, and as `route test` says."""
    for door in DOORS + (by_test,):
        equal(door(s, typed, address), account, "the account opened %s at %s" % (door.__name__, address))


def is_refused(s, typed, words):
    for door in DOORS + (by_test,):
        try:
            raise Failed("%s opened %s" % (door.__name__, door(s, typed, A1)))
        except Refused as e:
            check(words in str(e), "%s answered %s", door.__name__, e)


def routed(s, name, mode="mail"):
    """module, queue, address, result, steps as `route test` says."""
    return json.loads(s.ctl("--json", "route", "test", name, "--mode", mode))


def leads(s, name, module, queue, address, mode="mail", relay="from anybody"):
    got = routed(s, name, mode)
    equal(got[:3], [module, queue, address], "where %s leads (%r)" % (name, got[3:]))
    if module == "SMTP" and mode == "mail":
        check(any(relay in step for step in got[4:]), "no step says who may relay: %r", got[4:])
        for code, text in mail_answers(s, name):
            check(code == 550 and text.startswith("5."), "mail for %s was answered %d %s", name, code, text)


def mail_answers(s, to):
    """What LMTP, SMTP and submission say to the recipient."""
    with s.lmtp() as l:
        l.command("MAIL FROM:<>", 250)
        code, text = l.command("RCPT TO:<%s>" % to)
        yield code, text[-1]
    for port in (25, 587):
        with suite.Line((A1, s.port(port))) as l:
            l.want(None, "220 ")
            helo(l, port)
            l.want("MAIL FROM:<%s>" % ("u1@" + DOMAIN if port == 587 else "a@b.example"), "250")
            answer = l.ask("RCPT TO:<%s>" % to)
            yield int(answer[:3]), answer[4:]


def helo(l, port):
    if port != 587:
        l.want("HELO client.example", "250 ")
        return
    l.want("EHLO client.example", "250-")
    while not l.line().startswith("250 "):
        pass
    l.want("AUTH PLAIN " + plain("u1", PASSWORD), "235")


def deliver(s, to, sent, way):
    if way == "lmtp":
        s.deliver(to, sent)
        return
    port = {"smtp": 25, "submission": 587}[way]
    with suite.Line((A1, s.port(port))) as l:
        l.want(None, "220 ")
        helo(l, port)
        l.want("MAIL FROM:<u1@%s>" % DOMAIN if port == 587 else "MAIL FROM:<a@b.example>", "250")
        l.want("RCPT TO:<%s>" % to, "250")
        l.want("DATA", "354")
        l.send(sent + b".\r\n")
        l.want(None, "250")


def delivered(s, to, account):
    """By all three ways; and `route test` says the same."""
    equal(routed(s, to)[:4], ["LOCAL", "", account, "ok"], "where mail leads")
    for way in ("lmtp", "smtp", "submission"):
        sent = message("%s by %s" % (to, way), **COMPLETE)
        deliver(s, to, sent, way)
        got = s.mail(account)
        equal([behind_trace(m) for m in got], [sent], "mail of %s" % account)
        s.empty(account)
    return got[0]


# ---- logins ----

@row("L1", "a name alone, at an address of no domain, is of the Main Domain")
def l1(s):
    opens(s, "info", "info@" + DOMAIN)
    opens(s, "info", "info@" + DOMAIN, A10)


@row("L2", "a name alone, at an address of a domain's range, is of that domain")
def l2(s):
    opens(s, "info", "info@client1.test", A2)
    opens(s, "info", "info@client1.test", A9)


@row("L3", "the domain that was only meant does not count")
def l3(s):
    opens(s, "info", "info@" + DOMAIN)


@row("L4", "name%domain is a full name")
def l4(s):
    opens(s, "info%client2.test", "info@client2.test")


@row("L5", "a full name does not look at the address")
def l5(s):
    opens(s, "info%client2.test", "info@client2.test", A2)


@row("L6", "name@domain is a full name")
def l6(s):
    opens(s, "info@" + DOMAIN, "info@" + DOMAIN, A2)


@row("L7", "FTP: a name alone is of the domain of the address")
def l7(s):
    equal(by_test(s, "info", A1), "info@" + DOMAIN)
    equal(by_test(s, "info", A2), "info@client1.test")


@row("L8", "FTP: name%domain is a full name")
def l8(s):
    equal(by_test(s, "info%client2.test", A1), "info@client2.test")


@row("L9", "HTTP: a name alone is of the host's domain, whatever the address")
def l9(s):
    equal(by_test(s, "info", A1, "client2.test"), "info@client2.test")
    equal(by_test(s, "info", A2, "client2.test"), "info@client2.test")


@row("L10", "HTTP: a full name does not look at the host")
def l10(s):
    equal(by_test(s, "info@client1.test", A1, "client2.test"), "info@client1.test")


@row("L11", "HTTP: a host that is an address is the domain that has it")
def l11(s):
    equal(by_test(s, "info", A2, A2), "info@client1.test")
    equal(by_test(s, "info", A1, "[%s]" % A9), "info@client1.test")
    equal(by_test(s, "info", A2, A1), "info@" + DOMAIN)


@row("L12", "XMPP: a name alone is of the stream's domain")
def l12(s):
    equal(by_test(s, "info", A1, "client2.test"), "info@client2.test")


@row("L13", "XMPP: name%domain is a full name")
def l13(s):
    equal(by_test(s, "info%client1.test", A1, "client2.test"), "info@client1.test")


@row("L14", "MAPI: the connector makes the name full, and logs in by IMAP")
def l14(s):
    equal(by_imap(s, "info@client2.test", A1), "info@client2.test")


@row("L15", "an alias opens its account")
def l15(s):
    opens(s, "john_smith", "john@" + DOMAIN)


@row("L16", "the account's own name opens it")
def l16(s):
    opens(s, "john", "john@" + DOMAIN)


@row("L17", "a record leads the login to an account of another domain")
def l17(s):
    with router(s, "<John> = j.smith@client1.test"):
        opens(s, "john", "j.smith@client1.test")
    opens(s, "john", "john@" + DOMAIN)


@row("L18", "and mail for that name is delivered there")
def l18(s):
    with router(s, "<John> = j.smith@client1.test"):
        delivered(s, "john@" + DOMAIN, "j.smith@client1.test")
    equal(s.mail("john"), [], "mail of john")


@row("L19", "a mailing list's name is refused")
def l19(s):
    is_refused(s, "news", "does not lead to an account")


@row("L20", "a name that leads to another server is refused")
def l20(s):
    with router(s, "<old> = old@elsewhere.example"):
        is_refused(s, "old", "does not lead to an account")
        leads(s, "old@" + DOMAIN, "SMTP", "elsewhere.example", "old@elsewhere.example")


@row("L21", "a name that leads nowhere is refused, and the answer says so")
def l21(s):
    is_refused(s, "nobody", "no such user")
    line = refused(s.pop, "nobody")
    check("[AUTH]" in line, "answered %s", line)


@row("L22", "a domain alias is its domain")
def l22(s):
    opens(s, "info%mail.client1.test", "info@client1.test")


# ---- the Router ----

OLD = "*%domain.test@oldserver.example.via"


@row("R1", "mail for a name that has not moved yet goes on to the old server")
def r1(s):
    with unknown(s, "domain.test", OLD):
        leads(s, "aname@domain.test", "SMTP", "oldserver.example", "aname@domain.test")


@row("R2", "mail for one that has moved stays here")
def r2(s):
    with unknown(s, "domain.test", OLD):
        s.ctl("account", "import", "-", stdin="aname@domain.test:{PLAIN}%s\n" % PASSWORD)
        delivered(s, "aname@domain.test", "aname@domain.test")
        s.ctl("account", "delete", "aname@domain.test")


@row("R3", "the old server by its address")
def r3(s):
    with unknown(s, "domain.test", "*%domain.test@[11.22.33.44]"):
        leads(s, "aname@domain.test", "SMTP", "11.22.33.44", "aname@domain.test")
        check("host: this one itself, without its MX records" in routed(s, "aname@domain.test"), "MX is asked")


@row("R4", "backup for a domain")
def r4(s):
    with router(s, "Relay:friend.test = friend.test._via"):
        leads(s, "u@friend.test", "SMTP", "friend.test", "u@friend.test")


@row("R5", "backup for a domain by a firewall")
def r5(s):
    with router(s, "Relay:<*@friend.test> = *%friend.test@firewall.friend.test._via"):
        leads(s, "u@friend.test", "SMTP", "firewall.friend.test", "u@friend.test")


@row("R6", "a host with port 25 is that host itself, not its MX")
def r6(s):
    with router(s, "<*@dom.test> = *%dom.test@relay.domain:25"):
        leads(s, "u@dom.test", "SMTP", "relay.domain:25", "u@dom.test")
        check("host: this one itself, without its MX records" in routed(s, "u@dom.test"), "MX is asked")


@row("R7", "a program at another port of this machine, for our own users only")
def r7(s):
    with router(s, "NoRelay:<*@client57.test> = *%client57.test@other-port", "other-port = [127.0.0.1]:26"):
        leads(s, "u@client57.test", "SMTP", "127.0.0.1:26", "u@client57.test", relay="our own users only, by a record")


@row("R8", "a server at another address")
def r8(s):
    with router(s, "NoRelay:<*@client57.test> = *%client57.test@other-ip", "other-ip = [11.22.33.44]:25"):
        leads(s, "u@client57.test", "SMTP", "11.22.33.44:25", "u@client57.test", relay="our own users only, by a record")


@row("R9", "several domains in one queue")
def r9(s):
    with router(s, *("<*@domain%d.test> = *%%domain%d.test@domain1.test._via" % (n, n) for n in (2, 3))):
        for n in (2, 3):
            leads(s, "u@domain%d.test" % n, "SMTP", "domain1.test", "u@domain%d.test" % n)


@row("R10", "a name of the Main Domain that has moved: mail, access and signals")
def r10(s):
    with router(s, "<John> = j.smith@client1.test"):
        delivered(s, "john@" + DOMAIN, "j.smith@client1.test")
        opens(s, "john@" + DOMAIN, "j.smith@client1.test")
        equal(by_test(s, "john@" + DOMAIN, A1, mode="signal"), "j.smith@client1.test")


@row("R11", "an alias")
def r11(s):
    delivered(s, "john_smith@" + DOMAIN, "john@" + DOMAIN)


@row("R12", "all mail of a domain into one account, which sees for whom it was")
def r12(s):
    with router(s, "client7.test = client1.local"):
        got = delivered(s, "anyone@client7.test", "client1@" + DOMAIN)
        check(b"for <anyone@client7.test>" in got[:600].replace(b"\r\n\t", b" "), "the trace is %r", got[:600])
        check("detail: anyone" in routed(s, "anyone@client7.test"), "the name is no detail")
        names = ["anyone@client7.test", "someone@client7.test", "anyone@client7.test"]
        for others, want in (([], names[:2]), (["john@" + DOMAIN], [])):
            with s.lmtp() as l:
                equal([r[0] for r in l.data(names + others, message("for several"))], [250] * (3 + len(others)), "answers")
            for got in s.mail("client1@" + DOMAIN):
                equal(re.findall(rb"^X-Original-To: <(.*)>\r$", got, re.M), [n.encode() for n in want], "whom it was for")
                check(b" for <" not in got[:600], "one of several is named: %r", got[:600])
            s.empty("client1@" + DOMAIN)
        s.empty("john@" + DOMAIN)


@row("R13", "another name of the Main Domain")
def r13(s):
    with router(s, "localhost ="):
        delivered(s, "john@localhost", "john@" + DOMAIN)


@row("R14", "HTTP: personal sites by host name")
def r14(s):
    with router(s, "<LoginPage@*.domain.test> = *@domain.test"):
        equal(by_test(s, "LoginPage@jim.domain.test", A1), "jim@domain.test")
        equal(routed(s, "LoginPage@domain.test", "access")[:2], ["HTTP", "domain.test"], "the domain's own page")


@row("R15", "a forwarder is as a record marked Relay:")
def r15(s):
    leads(s, "jim@client1.test", "SMTP", "other.test", "john@other.test")


# ---- special names: each by LMTP, SMTP and submission ----

def dropped(s, to, queue):
    """Taken, and nobody has it."""
    equal(routed(s, to)[:2], ["SYSTEM", queue], "where mail leads")
    for way in ("lmtp", "smtp", "submission"):
        deliver(s, to, message(way, **COMPLETE), way)
    equal(s.mail("u1"), [], "mail of the sender")


def refused_mail(s, to, queue):
    equal(routed(s, to)[:2], ["SYSTEM", queue], "where mail leads")
    for code, text in mail_answers(s, to):
        check(code == 550 and text.startswith("5.7.1"), "mail for %s was answered %d %s", to, code, text)


@row("S1", "null is taken and dropped, whatever leads there")
def s1(s):
    dropped(s, "null@" + DOMAIN, "null")
    with router(s, "<drop> = NULL", "spam.test = null"):
        dropped(s, "drop@" + DOMAIN, "null")
        dropped(s, "anyone@spam.test", "null")


@row("S2", "error is refused")
def s2(s):
    refused_mail(s, "error@" + DOMAIN, "error")
    with router(s, "<no> = error"):
        refused_mail(s, "no@" + DOMAIN, "error")
    with unknown(s, "domain.test", "error"):
        refused_mail(s, "aname@domain.test", "error")


@row("S3", "mail to the spam trap is taken and dropped, and the log says who sent it")
def s3(s):
    def marks():
        return re.findall(r"route\.trap .*service=(\w+) peer=(\S+)", s.log_text())
    before = len(marks())
    dropped(s, "spamtrap@" + DOMAIN, "spamtrap")
    with unknown(s, "domain.test", "spamtrap"):
        dropped(s, "aname@domain.test", "spamtrap")
    wait(lambda: len(marks()) >= before + 6, 60, "six marks")
    equal(marks()[before:], [(way, A1) for way in ("lmtp", "smtp", "submission")] * 2, "the marks")


@row("S4", "blacklisted is refused")
def s4(s):
    refused_mail(s, "u1%%%s@blacklisted" % DOMAIN, "blacklisted")
    refused_mail(s, "blacklist-admin@blacklisted", "blacklisted")


@row("S5", "but for the one way in that a record leaves")
def s5(s):
    s.ctl("password", "set", "postmaster", "plain", stdin=PASSWORD + "\n")
    with router(s, "<blacklist-admin*@blacklisted> = postmaster"):
        delivered(s, "blacklist-admin%%%s@blacklisted" % DOMAIN, "postmaster@" + DOMAIN)
        refused_mail(s, "u1%%%s@blacklisted" % DOMAIN, "blacklisted")


@row("S7", "mail from a black-listed host is for blacklisted, on port 25; submission and LMTP are as before")
def s7(s):
    s.ctl("password", "set", "postmaster", "plain", stdin=PASSWORD + "\n")
    s.ctl("settings", "set", "server", 'BlacklistedIPs=("192.0.2.1","127.0.0.0/8")')
    try:
        with router(s, "<blacklist-admin*@blacklisted> = postmaster"):
            codes = [code for code, _ in mail_answers(s, "john@" + DOMAIN)]
            equal(codes, [250, 550, 250], "the answers of LMTP, SMTP and submission")
            sent = message("let me in", **COMPLETE)
            deliver(s, "blacklist-admin@" + DOMAIN, sent, "smtp")
            equal([behind_trace(m) for m in s.mail("postmaster")], [sent], "mail of postmaster")
            s.empty("postmaster")
    finally:
        s.ctl("settings", "set", "server", "BlacklistedIPs=default")
    delivered(s, "john@" + DOMAIN, "john@" + DOMAIN)


@row("S6", "postmaster is always there, whatever a pattern says")
def s6(s):
    with router(s, "Mail:<post*> = null"):
        dropped(s, "posters@" + DOMAIN, "null")
        delivered(s, "postmaster@" + DOMAIN, "postmaster@" + DOMAIN)


@case("the page on names has a way to move from another server, which works word for word")
def moving(s):
    with open(os.path.join(suite.TOP, "docs", "names.md"), encoding="utf-8") as f:
        section = f.read().split("## Moving from another server")[1].split("\n## ")[0]
    commands = [shlex.split(line)[1:] for line in section.splitlines() if line.startswith("    gatehousectl ")]
    equal(len(commands), 6, "the number of commands")
    with open(os.path.join(s.dir, "accounts.txt"), "w", encoding="utf-8") as f:
        f.write("first@client.example:{PLAIN}%s\nsecond@client.example\n" % PASSWORD)
    said = []
    for words in commands[:5]:
        words = [os.path.join(s.dir, w) if w == "accounts.txt" else w for w in words]
        said.append(s.ctl("--json", *words))
    equal(json.loads(said[3])[:3], ["LOCAL", "", "first@client.example"], "the first test")
    equal(json.loads(said[4])[:3], ["SMTP", "oldserver.example", "later@client.example"], "the second test")
    equal(by_pop(s, "first@client.example", A1), "first@client.example", "the account opened")
    delivered(s, "first@client.example", "first@client.example")
    leads(s, "later@client.example", "SMTP", "oldserver.example", "later@client.example")
    s.ctl(*commands[5])
    check("MailToUnknown is Rejected (the default)" in s.ctl(*commands[4]), "the last command changed nothing")


@case("every row of the tables has a case")
def complete(s):
    equal(sorted(DONE), sorted(ROWS), "the rows with a case")


if __name__ == "__main__":
    main(24000, addresses=(A1, A2, A9, A10))
