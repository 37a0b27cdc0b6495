#!/usr/bin/python3
"""settings - what settings and rights do over the wire: services, senders, limits, templates, administrators."""
import contextlib
import hashlib
import imaplib
import json
import re
import smtplib

import suite
from cli import parse
from desk import Pwd, admin
from suite import A1, DOMAIN, PASSWORD, Line, case, check, equal, main, message, refused, wait

U1, U2 = "u1@" + DOMAIN, "u2@" + DOMAIN


def account(s, name, text):
    admin(s, "UpdateAccountSettings %s {%s}" % (name, text))


@contextlib.contextmanager
def put(s, command, text, back):
    """A setting for as long as it is looked at; then `back` is written again."""
    admin(s, command + " {" + text + "}")
    try:
        yield
    finally:
        admin(s, command + " {" + back + "}")


@contextlib.contextmanager
def imap(s, user="u1", password=PASSWORD):
    c = imaplib.IMAP4(A1, s.port(143), timeout=20)
    try:
        c.login(user, password)
        yield c
    finally:
        with contextlib.suppress(imaplib.IMAP4.error, OSError):
            c.logout()


@contextlib.contextmanager
def submission(s, user="u1"):
    c = smtplib.SMTP(A1, s.port(587), timeout=20)
    try:
        c.ehlo("client.example")
        c.login(user, PASSWORD)
        yield c
    finally:
        c.close()


def rcpt(s, to):
    with s.lmtp() as l:
        l.command("MAIL FROM:<>", 250)
        code, text = l.command("RCPT TO:<%s>" % to)
        return "%d %s" % (code, text[-1])


@case("a service that is off for the account refuses logins and ends its own sessions, no others")
def services(s):
    with contextlib.closing(s.pop("u1")) as pop, imap(s) as i:
        with put(s, "UpdateAccountSettings u1", "AccessModes=(Mail,IMAP,TLS,Relay);", "AccessModes=default;"):
            wait(lambda: [r["Protocol"] for r in s.sessions("u1")] == ["imap"], 60, "the end of the POP session")
            refused(pop.noop)
            refused(s.pop, "u1", text="[SYS/PERM]")
            equal(i.noop()[0], "OK", "the IMAP session")
            s.pop("u2").quit()
    s.pop("u1").quit()


@case("PWD that is off ends its connections; POP that is off does not")
def pwd_off(s):
    with Pwd(s, "u1") as c:
        with put(s, "UpdateAccountSettings u1", "AccessModes=(PWD,TLS);", "AccessModes=default;"):
            c.want("NOOP", "200 ")
            admin(s, "UpdateAccountSettings u1 {AccessModes=(POP,TLS);}")
            wait(lambda: over(c), 60, "the end of the connection")
            with Line((A1, s.port(106))) as other:
                other.want(None, "200 ")
                other.want("USER u1", "300 ")
                check("switched off" in other.want("PASS " + PASSWORD, "501 "), "another refusal")


@case("TLS that is off refuses every login over an encrypted link, by all doors, and none without; what is there goes on")
def tls_off(s):
    ways = encrypted_ways(s)
    with s.pop_line_tls() as before:
        before.want("USER u1", "+OK")
        before.want("PASS " + PASSWORD, "+OK")
        with put(s, "UpdateAccountSettings u1", "AccessModes=(Mail,Relay,POP,IMAP,PWD);", "AccessModes=default;"):
            for name, way in ways.items():
                answer = way("u1")
                check("switched off" in answer or answer.startswith("525 5.7.13"), "%s: %r", name, answer)
            equal(ways["POP, STLS"]("u2"), "", "another account")
            with imap(s), submission(s), Pwd(s, "u1"):
                s.pop("u1").quit()
            before.want("NOOP", "+OK")
    for name, way in ways.items():
        equal(way("u1"), "", name + " when it is on again")


def encrypted_ways(s):
    """Logins over TLS by name of the way: a function of the user; '' or the refusal."""
    def pop(user, first):
        with (s.pop_line_tls() if first else s.pop_line()) as c:
            if not first:
                c.want("STLS", "+OK")
                c.tls(s.ca())
            c.want("USER " + user, "+OK")
            answer = c.ask("PASS " + PASSWORD)
        return "" if answer.startswith("+OK") else answer

    def imap4(user, first):
        c = imaplib.IMAP4_SSL("localhost", s.port(993), ssl_context=s.ca(), timeout=60) if first else \
            imaplib.IMAP4("localhost", s.port(143), timeout=60)
        try:
            if not first:
                c.starttls(s.ca())
            c.login(user, PASSWORD)
        except imaplib.IMAP4.error as e:
            return str(e)
        finally:
            c.shutdown()
        return ""

    def send(user, first):
        with contextlib.closing(smtplib.SMTP_SSL("localhost", s.port(465), context=s.ca(), timeout=60) if first else
                                smtplib.SMTP("localhost", s.port(587), timeout=60)) as c:
            if not first:
                c.starttls(context=s.ca())
            try:
                c.login(user, PASSWORD)
            except smtplib.SMTPAuthenticationError as e:
                return "%d %s" % (e.smtp_code, e.smtp_error.decode())
        return ""

    def pwd(user, first):
        with Line(("localhost", s.port(996 if first else 106)), timeout=60) as c:
            if first:
                c.tls(s.ca())
            c.want(None, "200 ")
            if not first:
                c.want("STLS", "200 ")
                c.tls(s.ca())
            c.want("USER " + user, "300 ")
            answer = c.ask("PASS " + PASSWORD)
        return "" if answer.startswith("200 ") else answer

    found = {}
    for door, way in (("POP", pop), ("IMAP", imap4), ("submission", send), ("PWD", pwd)):
        found[door + " on a TLS port"] = lambda user, way=way: way(user, True)
        found[door + ", STLS"] = lambda user, way=way: way(user, False)
    return found


def over(c):
    try:
        c.send("NOOP\r\n")
        return c.line() is None
    except OSError:
        return True


@case("a service that is off for the domain is off for every account of it, whatever the account says")
def domain_services(s):
    account(s, "u1", "AccessModes=All;")
    with put(s, "UpdateDomainSettings", "DomainAccessModes=(Mail,POP,TLS);", "DomainAccessModes=default;"):
        s.pop("u1").quit()
        for user in ("u1", "u2"):
            try:
                with imap(s, user):
                    raise suite.Failed("%s logged in by IMAP" % user)
            except imaplib.IMAP4.error as e:
                check("AUTHORIZATIONFAILED" in str(e), "refused with %s", e)
    with imap(s):
        pass
    account(s, "u1", "AccessModes=default;")


@case("submission that is switched off ends at once, and the login is refused")
def relay(s):
    with submission(s) as c:
        equal(c.mail(U1)[0], 250, "before")
        c.rset()
        with put(s, "UpdateAccountSettings u1", "AccessModes=(Mail,POP,IMAP,TLS);", "AccessModes=default;"):
            check(wait(lambda: lost(c), 60, "the end of the login"), "never")
            try:
                with submission(s):
                    raise suite.Failed("the login was taken")
            except smtplib.SMTPAuthenticationError as e:
                equal(e.smtp_code, 525, "answer")
    with submission(s):
        pass


def lost(c):
    try:
        return c.mail(U1)[0] == 421
    except smtplib.SMTPServerDisconnected:
        return True


@case("mail to an account whose Mail is off is put off, and taken when it is on again")
def mail_off(s):
    with put(s, "UpdateAccountSettings u2", "AccessModes=(POP,TLS);", "AccessModes=default;"):
        check(rcpt(s, U2).startswith("450 4.2.1"), "answered %s", rcpt(s, U2))
        check(rcpt(s, U1).startswith("250"), "u1: %s", rcpt(s, U1))
    s.deliver(U2)
    equal(len(s.mail("u2")), 1, "messages")
    s.empty("u2")


@case("SenderAddresses: an address and a whole domain may be sent from while they are granted")
def senders(s):
    def may(c, address):
        code = c.mail(address)[0]
        c.rset()
        return code == 250

    with submission(s) as c:
        for address in ("sales@far.example", "x@near.example", U2):
            check(not may(c, address), "%s is granted to nobody", address)
        account(s, "u1", 'SenderAddresses=("Sales@Far.example","*@near.example","%s");' % U2)
        for address in ("sales@far.example", "x@near.example", "y+z@NEAR.example", U2, U1):
            check(may(c, address), "%s is refused", address)
        for address in ("other@far.example", "x@sub.near.example", "postmaster@" + DOMAIN):
            check(not may(c, address), "%s is taken", address)
        c.sendmail("sales@far.example", [U2], message("granted"))
        equal(len(s.mail("u2")), 1, "messages")
        check(s.mail("u2")[0].startswith(b"Return-Path: <sales@far.example>"), "another sender")
        account(s, "u1", "SenderAddresses=default;")
        check(not may(c, "sales@far.example"), "taken after it was taken away")
        check(may(c, U1), "the own address is refused")
    s.empty("u2")


@case("RequireAPOP: no password in clear text on a link without TLS; APOP and TLS open the account")
def secure(s):
    account(s, "u1", "RequireAPOP=YES;")
    refused(s.pop, "u1", text="TLS")
    refused(s.pop, "u1", "wrong", text="TLS")
    s.pop("u2").quit()
    with s.pop_line() as c:
        stamp = re.search(r"<[^>]+>", c.greeting)[0]
        c.want("APOP u1 " + hashlib.md5((stamp + PASSWORD).encode()).hexdigest(), "+OK")
        c.want("QUIT", "+OK")
    with s.pop_line_tls() as c:
        c.want("USER u1", "+OK")
        c.want("PASS " + PASSWORD, "+OK")
    account(s, "u1", "RequireAPOP=default;")
    s.pop("u1").quit()


@case("FailedLoginFlow: after so many wrong passwords even the right one is refused, by every service")
def flow(s):
    account(s, "u2", "FailedLoginFlow=(2,1h);")
    for _ in range(2):
        refused(s.pop, "u2", "wrong", text="[AUTH]")
    refused(s.pop, "u2", text="too many failed logins")
    try:
        with imap(s, "u2"):
            raise suite.Failed("IMAP let in")
    except imaplib.IMAP4.error as e:
        check("LIMIT" in str(e), "refused with %s", e)
    s.pop("u1").quit()
    admin(s, "UpdateServerSettings {HideAccountUnknown=YES;}")
    equal(refused(s.pop, "u2"), refused(s.pop, "nobody"), "answers to a locked and an unknown name")
    admin(s, "UpdateServerSettings {HideAccountUnknown=default;}")
    account(s, "u2", "FailedLoginFlow=default;")
    s.pop("u2").quit()


@case("a quota that is set counts at once in a session that goes on, whether it is the account's, its domain's or of all")
def quota(s):
    with imap(s) as c:
        def limit():
            return re.search(rb"STORAGE \d+ (\d+)", b" ".join(c.getquotaroot("INBOX")[1][1])) or None

        for command, what in (("UpdateServerAccountDefaults", 3), ("UpdateAccountDefaults", 2), ("UpdateAccountSettings u1", 1)):
            admin(s, "%s {MaxAccountSize=%dM;}" % (command, what))
            wait(lambda: limit() and int(limit()[1]) == what << 10, 20, "a quota of %d MB" % what)
        for command in ("UpdateServerAccountDefaults", "UpdateAccountDefaults", "UpdateAccountSettings u1"):
            admin(s, command + " {MaxAccountSize=default;}")
        wait(lambda: not limit(), 20, "the end of the quota")


@case("UseAppPassword: the own password opens nothing while it is off")
def app_password(s):
    with put(s, "UpdateAccountSettings u2", "UseAppPassword=NO;", "UseAppPassword=default;"):
        refused(s.pop, "u2", text="[AUTH] wrong")
    s.pop("u2").quit()


@case("PWDAllowed: the user may not change the password while it is off")
def pwd_allowed(s):
    with Pwd(s, "u1") as c:
        account(s, "u1", "PWDAllowed=NO;")
        c.want("NEWPASS other", "501 ")
        account(s, "u1", "PWDAllowed=default;")
        c.want("NEWPASS " + PASSWORD, "20")


@case("a new account has what the template of its domain says: settings, mailboxes, subscriptions")
def template(s):
    admin(s, "CreateDomain t.test", "UpdateAccountTemplate t.test {DefaultMailboxes=(Drafts,\"Work/Old\");"
          "MailboxSubscription=(INBOX,Drafts,\"~all/news\");RealName=\"somebody new\";MaxAccountSize=5M;"
          "MailboxAliases={news=\"~all/news\";\"old work\"=\"Work/Old\";};}",
          "CreateAccount ann@t.test {Password=\"%s\";}" % PASSWORD)
    s.ctl("account", "import", "-", stdin="ben@t.test:{PLAIN}%s\n" % PASSWORD)
    for name in ("ann@t.test", "ben@t.test"):
        with imap(s, name) as c:
            names = sorted(r.decode().split('"/" ')[1].strip('"') for r in c.list()[1])
            equal(names, ["Drafts", "INBOX", "Work", "Work/Old"], "mailboxes of " + name)
            subs = sorted(r.decode().split('"/" ')[1].strip('"') for r in c.lsub()[1])
            equal(subs, ["Drafts", "INBOX", "~all/news"], "subscriptions of " + name)
        got = admin(s, "GetAccountSettings " + name)
        check("5M" in got and "somebody new" in got, "settings of %s are %s", name, got)
        equal(parse(admin(s, "GetMailboxAliases " + name)), {"news": "~all/news", "old work": "Work/Old"}, "mailbox aliases of " + name)
    admin(s, "UpdateAccountTemplate t.test {RealName=default;}")
    check("somebody new" in admin(s, "GetAccountSettings ann@t.test"), "the account changed with the template")


@case("an administrator of a domain does there what the rights say, nothing elsewhere, and at once no more")
def domain_administrator(s):
    admin(s, "CreateDomain d.test", "CreateAccount boss@d.test {Password=\"%s\";}" % PASSWORD,
          "CreateAccount user@d.test {Password=\"%s\";}" % PASSWORD, "CreateAccount chief@d.test",
          "SetAccountRights boss@d.test (Domain,BasicSettings,CanCreateAccounts)",
          "SetAccountRights chief@d.test (Domain,CanAccessMailboxes)")
    with Pwd(s, "boss@d.test") as c:
        c.want("CreateAccount new@d.test", "20")
        c.want("ListAccounts d.test", "201 ")
        c.want("SetAccountPassword user@d.test PASSWORD \"another\"", "20")
        c.want("UpdateAccountSettings user@d.test {RealName=Uma;MaxAccountSize=1G;}", "20")
        got = admin(s, "GetAccountSettings user@d.test")
        check("Uma" in got and "1G" not in got, "settings are %s", got)
        for other in ("CreateAccount x@" + DOMAIN, "SetAccountPassword u1 PASSWORD x", "ListAccounts " + DOMAIN,
                      "SetAccountPassword chief@d.test PASSWORD x", "DeleteAccount chief@d.test",
                      "SetAccountAliases user@d.test (a)", "SetAccountRights user@d.test (Domain)",
                      "DeleteDomain d.test", "SetRouterTable \"\"", "KillAccountSessions u1", "ListSessions u1",
                      "UpdateServerSettings {HideAccountUnknown=YES;}"):
            c.want(other, "501 ")
        with contextlib.closing(s.pop("user@d.test", "another")) as pop:
            check("user@d.test" in c.want("ListSessions user@d.test", "201 "), "no session is seen")
            c.want("KillAccountSessions user@d.test", "201 ")
            wait(lambda: not s.sessions("user@d.test"), 60, "the end of the session")
            refused(pop.noop)
        admin(s, "SetAccountRights boss@d.test ()")
    with Pwd(s, "boss@d.test") as c:
        c.want("CreateAccount late@d.test", "501 ")
        c.want("GetAccountInfo *", "201 ")
    s.pop("u1").quit()


@case("a session is found by its protocol, address, link and the name of its client, together, too")
def found(s):
    def find(words):
        with Line(s.admin) as c:
            for line in (None, "INLINE", "FindAccountSession u1 " + words):
                answer = c.want(line, "")
            return answer

    def sid(service):
        return [r["SID"] for r in s.connections("u1") if r["Protocol"] == service][0]

    wait(lambda: not s.connections(), 60, "the end of those before")
    with imap(s) as i, s.pop_line_tls() as pop, submission(s), Pwd(s, "u1"):
        pop.want("USER u1", "+OK")
        pop.want("PASS " + PASSWORD, "+OK")
        i.xatom("ID", '("version" "1" "name" "Mail \\"er\\"")')
        i.noop()
        sids = {what: sid(what) for what in ("imap", "pop3", "submission", "pwd")}
        for what, words in (("pop3", "TRANSPORT TLS"), ("pop3", "ADDRESS %s PROTOCOL POP3" % A1), ("imap", r'CLIENT "mail \"ER\""'),
                            ("imap", r'PROTOCOL imap TRANSPORT plain CLIENT "Mail \"er\""'), ("pwd", "PROTOCOL pwd TRANSPORT plain"),
                            ("submission", "ADDRESS %s PROTOCOL submission TRANSPORT plain" % A1)):
            equal(find(words), '201 "%s"' % sids[what], words)
        for words in ("FOR " + A1, "PROTOCOL imap TRANSPORT tls", "CLIENT x", r'PROTOCOL pop3 CLIENT "Mail \"er\""', "TRANSPORT radio"):
            check(find(words).startswith("501 "), "%s finds one", words)
        equal(s.ctl("session", "find", "u1", "--transport=tls", "--service=pop3").strip(), sids["pop3"], "found by gatehousectl")
        equal(json.loads(s.ctl("--json", "session", "find", "u1", "--client=mail \"er\"")), sids["imap"], "as JSON")
        equal([(r["Protocol"], r["Transport"], r.get("Client")) for r in json.loads(
            s.ctl("--json", "session", "list", "--transport=plain", "--client=Mail \"er\""))], [("imap", "plain", 'Mail "er"')], "listed")


@case("submission, LMTP and PWD connections are in the list of sessions, and end by their number or with their account's")
def connections(s):
    def kinds(*account):
        return sorted(r["Protocol"] for r in s.connections(*account))

    def row(what):
        return [r for r in s.connections() if r["Protocol"] == what and r["Account"] in ("", U1)][0]

    wait(lambda: not s.connections(), 60, "the end of those before")
    with submission(s) as c, s.lmtp() as l, Pwd(s, "u1") as p:
        equal(kinds(), ["lmtp", "pwd", "submission"], "connections")
        equal(kinds("u1"), ["pwd", "submission"], "those of the account")
        equal([(r["Account"], r["Address"]) for r in s.connections("u1")], [(U1, A1)] * 2, "account and address")
        equal(row("lmtp")["Account"], "", "the account of LMTP")
        equal(p.want("FindAccountSession * PROTOCOL submission", "201 ")[4:].strip('"'), row("submission")["SID"], "found")
        with Pwd(s, "u2") as other:
            for what in ("pwd", "submission", "lmtp"):
                other.want("GetSession " + row(what)["SID"], "501 ")
                other.want("KillSession " + row(what)["SID"], "501 ")
            equal(other.want("ListSessions", "201 ")[4:], "()", "all, to another account")
        equal(p.want("KillSession " + row("submission")["SID"], "201 ")[4:], "#1", "ended by its user")
        check(wait(lambda: lost(c), 60, "the end of the submission"), "never")
        s.ctl("session", "kick", row("lmtp")["SID"])
        s.ctl("session", "kick", row("pwd")["SID"])
        wait(lambda: over(p), 60, "the end of the PWD connection")
    with submission(s) as c, Pwd(s, "u1") as p, contextlib.closing(s.pop("u1")) as pop:
        equal(json.loads(s.ctl("--json", "session", "kick", "u1"))["ended"], 3, "ended")
        check(wait(lambda: lost(c), 60, "the end of the submission"), "never")
        wait(lambda: over(p), 60, "the end of the PWD connection")
        refused(pop.noop)


@case("settings and rights are there after a restart, and nothing is where memory was all")
def restart(s):
    if s.engine == "memory":
        s.restart()
        refused(s.pop)  # with its engine all it knew is gone
        return
    account(s, "u1", 'SenderAddresses=("a@b.example");AccessModes=(Mail,POP);')
    admin(s, "SetAccountRights u1 (Monitors)")
    s.restart()
    got = admin(s, "GetAccountSettings u1")
    check("a@b.example" in got and "POP" in got, "settings are %s", got)
    check("Monitors" in admin(s, "GetAccountRights u1"), "the right is gone")
    admin(s, "SetAccountRights u1 ()", "UpdateAccountSettings u1 {SenderAddresses=default;AccessModes=default;}")


if __name__ == "__main__":
    main(24300)
