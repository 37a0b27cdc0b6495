#!/usr/bin/python3
"""objects - groups, forwarders, lists, renames and suspended domains, by mail and logins."""
import contextlib
import json
import smtplib

from suite import A1, DOMAIN, PASSWORD, Line, behind_trace, case, check, equal, main, message, refused, wait

SECOND = "second.test"


def say(s, *commands):
    """Lines of the administration protocol, each of which must be done; the last reply's text."""
    with Line(s.admin) as l:
        l.want(None, "200")
        l.want("INLINE", "200")
        for c in commands:
            answer = l.want(c, "20")
    return answer[4:]


def account(s, name, size=""):
    say(s, "CreateAccount %s {Password=%s;PasswordMethod=plain;%s}" % (
        name, PASSWORD, "MaxAccountSize=%s;" % size if size else ""))


def prepare(s):
    if SECOND in s.ctl("domain", "list").split():
        return
    say(s, "CreateDomain " + SECOND)
    for name in ("ann", "ben", "cat@" + SECOND):
        account(s, name)


def rcpt(s, address):
    with s.lmtp() as l:
        l.command("MAIL FROM:<>", 250)
        return l.command("RCPT TO:<%s>" % address)


@case("a forwarder leads mail on, and a login where it leads to an account; elsewhere it is refused")
def forwarder(s):
    prepare(s)
    say(s, "CreateForwarder desk TO cat@" + SECOND, "CreateForwarder jim@%s TO john@other.test" % SECOND)
    s.deliver("desk@" + DOMAIN, message("forwarded"))
    equal([behind_trace(m) for m in s.mail("cat@" + SECOND)], [message("forwarded")], "the mail")
    s.empty("cat@" + SECOND)
    equal(s.opened("desk"), "cat@" + SECOND, "the account opened")
    code, text = rcpt(s, "jim@" + SECOND)
    equal((code, text[-1][:5]), (550, "5.7.1"), "the answer for mail that would leave")
    refused(s.pop, "jim@" + SECOND)
    check("john@other.test" in s.ctl("route", "test", "jim@" + SECOND, "mail"), "the route does not say where")


@case("mail to a group is answered when all its members have it, each once; nobody logs in to a group")
def group(s):
    prepare(s)
    say(s, "CreateGroup inner {Members=(ben, cat@%s);}" % SECOND, "CreateGroup staff {Members=(ann, ben, inner, desk);}")
    everybody = ("ann", "ben", "cat@" + SECOND)
    with s.lmtp() as l:
        # ben is a recipient of his own, too; one answer for each RCPT.
        answers = l.data(["staff@" + DOMAIN, "ben@" + DOMAIN], message("to all"))
    equal([a[0] for a in answers], [250, 250], "the answers")
    for name in everybody:
        equal([behind_trace(m) for m in s.mail(name)], [message("to all")], "mail of " + name)
        s.empty(name)
    with smtplib.SMTP(A1, s.port(25), timeout=30) as m:
        m.sendmail("x@y.example", ["staff@" + DOMAIN], message("by SMTP"))
    for name in everybody:
        equal(len(s.mail(name)), 1, "number of messages of " + name)
        s.empty(name)
    refused(s.pop, "staff")


@case("a group is taken whole or not at all: nobody has what one of its members cannot have")
def whole_group(s):
    prepare(s)
    account(s, "small", "3000")
    say(s, "CreateGroup some {Members=(ann, small);}")
    big = message("z" * 3000)
    with s.lmtp() as l:
        # The size is not known at RCPT: only stored finds out. ben is not concerned.
        answers = l.data(["some@" + DOMAIN, "ben@" + DOMAIN, "ann@" + DOMAIN], big)
    equal([a[0] for a in answers], [452, 250, 250], "the answers")
    equal([len(s.mail(n)) for n in ("ann", "small", "ben")], [1, 0, 1], "numbers of messages")
    with s.lmtp() as l:
        answers = l.data(["ann@" + DOMAIN, "some@" + DOMAIN], big)
    equal([a[0] for a in answers], [250, 452], "the answers in the other order")
    equal([len(s.mail(n)) for n in ("ann", "small", "ben")], [2, 0, 1], "numbers of messages")
    s.empty("ann")
    s.empty("ben")
    with smtplib.SMTP(A1, s.port(25), timeout=30) as m:
        m.ehlo()
        m.mail("x@y.example", ["SIZE=%d" % len(big)])
        equal(m.rcpt("some@" + DOMAIN)[0], 452, "the code when the size is known")
    say(s, "SetGroup some {Members=(ann, x@elsewhere.test);}")
    code, text = rcpt(s, "some@" + DOMAIN)
    check(code == 550 and "not on this server" in text[-1], "a remote member: %s %s", code, text)
    say(s, "SetGroup some {Members=(ann); EmailDisabled=YES;}")
    equal(rcpt(s, "some@" + DOMAIN)[0], 550, "the code for a group without mail")
    say(s, "DeleteGroup some", "DeleteAccount small")


@case("a mailing list holds its name: mail and logins are refused, its owner cannot go before it")
def mailing_list(s):
    prepare(s)
    say(s, "CreateList news FOR ann")
    code, text = rcpt(s, "news@" + DOMAIN)
    check(code == 550 and "mailing list" in text[-1], "mail: %s %s", code, text)
    refused(s.pop, "news")
    equal(s.ctl("account", "delete", "ann", ok=False)[0], 1, "status of deleting the owner")
    status, _, err = s.ctl("account", "create", "news", ok=False)
    check(status == 1 and "a mailing list with this name exists already" in err, "%d %s", status, err)
    say(s, "DeleteList news")


@case("an account is renamed and moved to another domain with its mail, number and password; its sessions end")
def move(s):
    prepare(s)
    account(s, "dora")
    say(s, "SetAccountAliases dora (d.d)")
    s.deliver("dora@" + DOMAIN, message("before"))
    number = json.loads(s.ctl("--json", "account", "info", "dora"))["ID"]
    with contextlib.closing(s.pop("dora")) as p:
        uid = p.uidl()[1]
        say(s, "RenameAccount dora INTO dorothy")
        wait(lambda: not s.sessions(), 60, "the end of the session")
        with contextlib.suppress(EOFError, OSError):
            refused(p.stat)
    equal(s.opened("d.d"), "dorothy@" + DOMAIN, "the account of the alias")
    with s.lmtp() as l:
        # Taken under the old name, stored under the new one: it is the same account.
        l.begin(["dorothy@" + DOMAIN])
        say(s, "RenameAccount dorothy INTO dora@" + SECOND)
        l.command("DATA", 354)
        l.send(message("meanwhile") + b".\r\n")
        equal(l.reply()[0], 250, "the code for mail under way")
    refused(s.pop, "dorothy")
    refused(s.pop, "d.d")
    equal(rcpt(s, "dorothy@" + DOMAIN)[0], 550, "the code for the old name")
    with contextlib.closing(s.pop("dora@" + SECOND)) as p:
        equal(p.uidl()[1][0], uid[0], "the unique id")
        p.quit()
    s.deliver("dora@" + SECOND, message("after"))
    equal([behind_trace(m) for m in s.mail("dora@" + SECOND)],
          [message("before"), message("meanwhile"), message("after")], "the mail")
    equal(json.loads(s.ctl("--json", "account", "info", "dora@" + SECOND))["ID"], number, "the number")
    s.ctl("account", "delete", "dora@" + SECOND)


@case("a domain and the Main Domain are renamed with all that is in them, also over a restart", engines=("lmdb",))
def rename_domain(s):
    prepare(s)
    s.deliver("cat@" + SECOND, message("kept"))
    say(s, "RenameDomain %s INTO third.test" % SECOND, "RenameDomain %s INTO main.test" % DOMAIN)
    try:
        s.restart()
        equal(say(s, "MainDomainName").strip('"'), "main.test", "the Main Domain")
        equal([behind_trace(m) for m in s.mail("cat@third.test")], [message("kept")], "the mail")
        equal(s.opened("ann"), "ann@main.test", "the account opened")
        equal(s.opened("postmaster@main.test"), "postmaster@main.test", "postmaster")
        equal(rcpt(s, "ann@" + DOMAIN)[0], 550, "the code for the old name")
        wait(lambda: "route.main" in s.log_text(), 60, "the log's word of the configuration's name")
    finally:
        say(s, "RenameDomain third.test INTO " + SECOND, "RenameDomain main.test INTO " + DOMAIN)
    s.empty("cat@" + SECOND)


@case("a suspended domain: sessions end, logins are refused, mail is to come later")
def suspend_domain(s):
    prepare(s)
    with contextlib.closing(s.pop("cat@" + SECOND)):
        say(s, "SuspendDomain " + SECOND)
        try:
            wait(lambda: not s.sessions(), 60, "the end of the session")
            refused(s.pop, "cat@" + SECOND)
            equal(rcpt(s, "cat@" + SECOND)[0], 451, "the code for mail")
        finally:
            say(s, "ResumeDomain " + SECOND)
    s.deliver("cat@" + SECOND, message("later"))
    equal(s.opened("cat@" + SECOND), "cat@" + SECOND, "the account opened")
    s.empty("cat@" + SECOND)


@case("a domain goes with all its objects by force; what is on hold stops it, and it goes on with the rest")
def forced(s):
    prepare(s)
    before = s.ctl("dump")
    say(s, "CreateDomain third.test", "SetDomainAliases third.test (drei.test)",
        *("CreateAccount a%d@third.test" % n for n in range(30)), "SetAccountAliases a1@third.test (b1,c1)",
        "CreateGroup g@third.test {Members=(a1,ben@%s);}" % DOMAIN, "CreateForwarder f@third.test TO a2@third.test",
        "CreateList l@third.test FOR a3@third.test", "UpdateAccountSettings a4@third.test {Suspended=YES;}",
        "SetRecoveryHold a9@third.test YES")
    s.deliver("a1@third.test")
    with Line(s.admin) as l:
        l.want(None, "200")
        l.want("INLINE", "200")
        l.want("DeleteDomain third.test", "501 the domain still has objects")
        l.want("DeleteDomain drei.test FORCE", "501 this is another name")
        l.want("DeleteDomain %s FORCE" % DOMAIN, "501 the Main Domain")
        l.want("DeleteDomain nowhere.test FORCE", "501 there is no such domain")
        check("Accounts=#30;" in l.want("GetDomainInfo third.test", "20"), "not 30 accounts")
        l.want("DeleteDomain third.test FORCE", "501 ")
        check("Accounts=#0;" not in l.want("GetDomainInfo third.test", "20"), "the account on hold is gone")
        l.want("SetRecoveryHold a9@third.test NO", "20")
    s.ctl("domain", "delete", "third.test", "--force")
    equal(s.ctl("dump"), before, "what is there afterwards")
    equal(rcpt(s, "a1@third.test")[0], 550, "mail to what is gone")
    say(s, "CreateDomain third.test", "CreateAccount a1@third.test")
    s.ctl("domain", "delete", "--force", "third.test")


if __name__ == "__main__":
    main(21800)
