#!/usr/bin/python3
"""unknown - what a domain does with names that it does not have, by every door: mail by LMTP and port 25, logins by POP, IMAP
and PWD; each value of MailToUnknown and AccessToUnknown, set for the domain or for all domains.

unknown.test has the account all, other.test has all and ann; nobody has nobody.
"""
import concurrent.futures
import contextlib
import functools
import imaplib
import json
import poplib
import smtplib

from suite import A1, DOMAIN, PASSWORD, Line, case, check, equal, main, message, wait

HERE, OTHER, CIRCLE, BARE = "unknown.test", "other.test", "circle.test", "bare.test"
ANN, NOBODY, ALL = "ann@" + HERE, "nobody@" + HERE, "all@" + HERE
U1, STRANGER = "u1@" + DOMAIN, "s@else.example"
READERS = (ALL, "all@" + OTHER, "ann@" + OTHER, U1)
MAIL = {"LMTP": (smtplib.LMTP, 24), "port 25": (smtplib.SMTP, 25)}
WORDS = {"MailToUnknown": "mail", "AccessToUnknown": "access"}


def each(what, doors):
    """One case for each door, which the function gets as its second argument."""
    def mark(function):
        for door in doors:
            case("%s, by %s" % (what, door))(functools.partial(run, function, door))
        return function
    return mark


def run(function, door, s):
    if HERE not in s.ctl("domain", "list").split():
        for d in (HERE, OTHER, CIRCLE, BARE):
            s.ctl("domain", "create", d)
        s.ctl("account", "import", "-", stdin="".join("%s:{PLAIN}%s\n" % (n, PASSWORD) for n in READERS if n != U1))
    function(s, door)


@contextlib.contextmanager
def doing(s, *values, of=("domain", HERE)):
    """With these settings."""
    s.ctl("settings", "set", *of, *values)
    try:
        yield
    finally:
        s.ctl("settings", "set", *of, *(v.split("=")[0] + "=default" for v in values))


# ---- mail ----

def sent(s, door, *to, sender=STRANGER):
    """The answers to each RCPT, and the last one of those after the message (None: there was none)."""
    kind, port = MAIL[door]
    with kind(A1, s.port(port), local_hostname="client.example", timeout=60) as c:
        c.ehlo()
        equal(c.mail(sender)[0], 250, "the answer to MAIL")
        codes = [c.rcpt(one) for one in to]
        taken, last = [code for code, _ in codes].count(250), None
        if taken:
            last = c.data(message("to unknown"))[0]
            for _ in range(taken - 1 if kind is smtplib.LMTP else 0):
                equal(c.getreply()[0], last, "the answer for another recipient")
    return [code for code, _ in codes], last


def arrived(s):
    """Who got it, as often as he did; taken away then."""
    found = []
    for reader in READERS:
        got = s.mail(reader)
        found += [reader] * len(got)
        if got:
            check(reader == U1 or all(m.endswith(message("to unknown")) for m in got), "it was changed: %r", got)
            s.empty(reader)
    return found


def delivered(s):
    return json.loads(s.ctl("--json", "stat"))["delivered"]


@each("mail, Rejected: 550 at RCPT, for that name alone, whatever all domains do", MAIL)
def mail_rejected(s, door):
    equal(sent(s, door, NOBODY), ([550], None), "the answers as it is by default")
    with doing(s, "MailToUnknown=Discarded", of=("domain-defaults",)), doing(s, "MailToUnknown=Rejected"):
        equal(sent(s, door, NOBODY, ALL), ([550, 250], 250), "the answers where it is set")
    equal(arrived(s), [ALL], "who got mail")


@each("mail, Discarded: taken like any other, and nobody has it", MAIL)
def mail_discarded(s, door):
    before = delivered(s)
    for of in (("domain", HERE), ("domain-defaults",)):
        with doing(s, "MailToUnknown=Discarded", of=of):
            equal(sent(s, door, NOBODY), ([250], 250), "the answers, set for %s" % (of,))
            check("MailToUnknown is Discarded" in s.ctl("route", "test", NOBODY, "mail"), "route test says another")
    equal((arrived(s), delivered(s)), ([], before), "who got mail, and what was delivered")
    with doing(s, "MailToUnknown=Discarded"):
        equal(sent(s, door, NOBODY, ALL), ([250, 250], 250), "the answers with somebody beside")
    equal(arrived(s), [ALL], "who got mail")


@each("mail, Rerouted to an address: to it, once, be they two names", MAIL)
def mail_rerouted(s, door):
    with doing(s, "MailToUnknown=Rerouted to", "MailRerouteAddress=" + ALL):
        equal(sent(s, door, NOBODY), ([250], 250), "the answers")
        equal(arrived(s), [ALL], "who got mail")
        equal(sent(s, door, NOBODY, ANN, "x+y@" + HERE), ([250] * 3, 250), "the answers for three names")
        equal(arrived(s), [ALL], "who got mail for three names")
    with doing(s, "MailToUnknown=Rerouted to"):
        equal(sent(s, door, NOBODY), ([550], None), "the answers without an address")


@each("mail, Rerouted to a template: * is the name, and where that is unknown, the domain that it leads to decides", MAIL)
def mail_template(s, door):
    with doing(s, "MailToUnknown=Rerouted to", "MailRerouteAddress=*@" + OTHER):
        equal(sent(s, door, ANN, ALL), ([250, 250], 250), "the answers")
        equal(arrived(s), [ALL, "ann@" + OTHER], "who got mail")
        equal(sent(s, door, NOBODY), ([550], None), "the answers for a name that neither has")
        with doing(s, "MailToUnknown=Rerouted to", "MailRerouteAddress=all@" + OTHER, of=("domain", OTHER)):
            equal(sent(s, door, NOBODY), ([250], 250), "the answers when that one reroutes, too")
        equal(arrived(s), ["all@" + OTHER], "who got mail")
    with doing(s, "MailToUnknown=Rerouted to", "MailRerouteAddress=x*@" + HERE):
        codes, last = sent(s, door, NOBODY)
        check(codes[0] // 100 == 5 and last is None, "a circle is answered %s", codes)
    equal(arrived(s), [], "who got mail")


@each("mail, Accepted and Bounced: a sender who is here has the report, others hear 550", MAIL)
def mail_bounced(s, door):
    with doing(s, "MailToUnknown=Accepted and Bounced"):
        equal(sent(s, door, NOBODY, sender=U1), ([250], 250), "the answers")
        report = s.mail("u1")
        equal(len(report), 1, "reports")
        check(report[0].startswith(b"Return-Path: <>\r\n") and b"Final-Recipient: rfc822;" + NOBODY.encode() in report[0] and
              b"Action: failed" in report[0], "the report is %r", report[0])
        s.empty("u1")
        for sender in (STRANGER, ""):
            equal(sent(s, door, NOBODY, sender=sender), ([550], None), "the answers to %r" % sender)
    equal(arrived(s), [], "who got mail")


# ---- logins ----

def by_pop(s, name):
    with contextlib.closing(s.pop(name)) as p:
        account = s.sessions()[0]["Account"]
        p.quit()
    return account


def by_imap(s, name):
    with imaplib.IMAP4(A1, s.port(143), timeout=60) as m:
        m.login(name, PASSWORD)
        return s.sessions()[0]["Account"]


def by_pwd(s, name):
    with Line((A1, s.port(106))) as c:
        c.want(None, "200 ")
        c.want("USER " + name, "300 ")
        answer = c.ask("PASS " + PASSWORD)
        if not answer.startswith("200 "):
            raise ConnectionRefusedError(answer)
        c.want("INLINE", "200 ")
        return c.want("GetAccountInfo *", "201 ").split('AccountName="')[1].split('"')[0]


LOGIN = {"POP": by_pop, "IMAP": by_imap, "PWD": by_pwd}


def opened(s, door, name):
    """The account that the name opens there."""
    try:
        return LOGIN[door](s, name)
    finally:
        wait(lambda: not s.sessions(), 60, "the session's end")


def refused(s, door, *names):
    """All of them, and for good. At once: a wrong login is answered after a second."""
    def ask(name):
        try:
            return LOGIN[door](s, name)
        except (poplib.error_proto, imaplib.IMAP4.error, ConnectionRefusedError) as e:
            return any(word in str(e) for word in ("[AUTH]", "[AUTHENTICATIONFAILED]", "500 ")) or str(e)

    with concurrent.futures.ThreadPoolExecutor() as pool:
        equal(list(pool.map(ask, names)), [True] * len(names), "refusals by %s of %s" % (door, names))


@each("a login, Rejected: refused, whatever becomes of mail", LOGIN)
def login_rejected(s, door):
    equal(opened(s, door, ALL), ALL, "the account")
    with doing(s, "AccessToUnknown=Rejected", "MailToUnknown=Rerouted to", "MailRerouteAddress=" + ALL), \
            doing(s, "AccessToUnknown=Rerouted to", "AccessRerouteAddress=" + ALL, of=("domain-defaults",)):
        refused(s, door, NOBODY, ANN)
        equal(opened(s, door, ALL), ALL, "the account where it is set")


@each("a login, Rerouted: to an address or a template, for the domain or for all; a circle is refused, and so is no address", LOGIN)
def login_rerouted(s, door):
    for of in (("domain", HERE), ("domain-defaults",)):
        with doing(s, "AccessToUnknown=Rerouted to", "AccessRerouteAddress=" + ALL, of=of):
            equal([opened(s, door, n) for n in (NOBODY, "x%" + HERE)], [ALL, ALL], "the accounts, set for %s" % (of,))
    with doing(s, "AccessToUnknown=Rerouted to", "AccessRerouteAddress=*@" + OTHER), \
            doing(s, "AccessToUnknown=Rerouted to", "AccessRerouteAddress=x*@" + CIRCLE, of=("domain", CIRCLE)), \
            doing(s, "AccessToUnknown=Rerouted to", of=("domain", BARE)):
        equal([opened(s, door, n) for n in (ANN, ALL)], ["ann@" + OTHER, ALL], "the accounts by the template")
        check("AccessToUnknown is \"Rerouted to\"" in s.ctl("route", "test", ANN), "route test says another")
        equal(sent(s, "LMTP", NOBODY), ([550], None), "the answers to mail meanwhile")
        refused(s, door, NOBODY, "nobody@" + OTHER, "nobody@" + CIRCLE, "nobody@" + BARE)


@case("a login cannot be discarded nor bounced: no such value is taken; signals are discarded, as route test shows")
def no_such_values(s):
    for value in ("Discarded", "Accepted and Bounced"):
        equal(s.ctl("settings", "set", "domain", DOMAIN, "AccessToUnknown=" + value, ok=False)[0], 1, "status for " + value)
    with doing(s, "SignalToUnknown=Discarded", of=("domain", DOMAIN)):
        said = s.ctl("route", "test", "nobody@" + DOMAIN, "signal")
        check("SignalToUnknown is Discarded" in said, "route test says %s", said)


if __name__ == "__main__":
    main(21000, accounts=1)
