#!/usr/bin/python3
"""pwd - the PWD port: logins, the own password, and the rights of an account and no more."""
import hashlib
import imaplib
import json
import os
import re
import signal
import socket
import time

import suite
from suite import DOMAIN, PASSWORD, case, check, equal, main, wait


class Pwd(suite.Line):
    """A connection to the PWD port; logged in when a user is named."""

    def __init__(self, s, user=None, password=PASSWORD, tls=False):
        super().__init__(("127.0.0.1", s.port(996 if tls else 106)), timeout=60)
        if tls:
            self.tls(s.ca())
        self.greeting = self.want(None, "200 ")
        if user:
            self.login(user, password)

    def login(self, user, password=PASSWORD):
        self.want("USER " + user, "300 ")
        self.want("PASS " + password, "200 ")

    def no(self, text, code="501 "):
        return self.want(text, code)

    def yes(self, text):
        return self.want(text, "200 ")


def opens(s, user, password):
    """Does the password open the account by POP?"""
    try:
        s.pop(user, password).quit()
        return True
    except suite.poplib.error_proto:
        return False


@case("USER and PASS, APOP, AUTH and both kinds of TLS open the account that the name leads to")
def ways(s):
    for tls in (False, True):
        c = Pwd(s, "u1", tls=tls)
        c.yes("INLINE")
        check('AccountName="u1@%s"' % DOMAIN in c.want("GetAccountInfo *", "201 "), "another account was opened")
        c.yes("QUIT")
        equal(c.line(), None, "what follows QUIT")
        c.close()
    c = Pwd(s)
    stamp = re.search(r"<[^>]+>", c.greeting)[0]
    other = Pwd(s)
    check(re.search(r"<[^>]+>", other.greeting)[0] != stamp, "two greetings have one stamp")
    c.yes("APOP u2 " + hashlib.md5((stamp + PASSWORD).encode()).hexdigest())
    other.no("APOP u2 " + hashlib.md5((stamp + PASSWORD).encode()).hexdigest())
    other.want("AUTH PLAIN", "300 ")
    other.yes(suite.plain("u2%" + DOMAIN, PASSWORD))
    for one in (c, other):
        one.close()
    c = Pwd(s)
    c.yes("STLS")
    c.tls(s.ca())
    c.login("u1")
    c.close()


@case("NEWPASS: the new password opens the account, the old one does not; other sessions end, this one goes on")
def newpass(s):
    c, other, pop = Pwd(s, "u2"), Pwd(s, "u2"), s.pop("u2")
    new = 'a "new" one (with blanks'
    c.yes("NEWPASS " + new)
    wait(lambda: other.line() is None, 60, "the end of the other connection")
    check(opens(s, "u2", new), "the new password opens nothing")
    check(not opens(s, "u2", PASSWORD), "the old password still opens the account")
    try:
        check(not pop.noop().startswith(b"+OK"), "a session by the old password goes on")
    except (OSError, EOFError, suite.poplib.error_proto):
        pass
    pop.close()
    c.yes("NOOP")
    c.yes("NEWPASS " + PASSWORD)
    check(opens(s, "u2", PASSWORD), "the password is not back")
    c.close()
    other.close()


@case("tagged passwords: an account gives itself some, CHECK refuses what is easily guessed, and none of them opens this door")
def tagged(s):
    c = Pwd(s, "u2")
    with suite.Line(s.admin) as root:
        root.want(None, "200 ")
        root.want("SetAccountPassword postmaster PASSWORD my-PostMaster-1 CHECK", "501 the account's name")
    for weak in ("short", "aaaaaaaaaa", ""):
        c.no("SetAccountPassword * PASSWORD \"%s\" CHECK" % weak)
        c.no("SetAccountPassword * PASSWORD \"%s\" TAG phone CHECK" % weak)
    c.no("SetAccountPassword * PASSWORD x TAG \"a b\"")
    c.no("SetAccountPassword * PASSWORD x TAG " + "t" * 33)
    c.no("SetAccountPassword * PASSWORD x TAG phone METHOD plain")
    c.no("SetAccountPassword u1 PASSWORD \"long enough\" TAG phone")
    c.yes("SetAccountPassword * PASSWORD \"long enough\" TAG phone CHECK")
    c.yes("INLINE")
    equal(c.want("ListAccountPasswords *", "201 "), "201 (phone)", "the tags")
    c.no("ListAccountPasswords u1")
    check(opens(s, "u2", "long enough") and opens(s, "u2", PASSWORD), "one of the two opens nothing")
    other = Pwd(s)
    other.want("USER u2", "300 ")
    other.no("PASS long enough")
    other.close()
    c.no("VerifyAccountPassword * PASSWORD \"long enough\"")
    for i in range(7):
        c.yes("SetAccountPassword * PASSWORD \"long enough\" TAG t%d" % i)
    c.no("SetAccountPassword * PASSWORD \"long enough\" TAG t7")
    for tag in ["phone"] + ["t%d" % i for i in range(7)]:
        c.yes("SetAccountPassword * PASSWORD \"\" TAG " + tag)
    check(not opens(s, "u2", "long enough"), "a removed one opens the account")
    c.yes("SetAccountPassword * PASSWORD \"long enough\" TAG phone")
    c.no("SetAccountPassword * PASSWORD %s TAG phone ALL" % PASSWORD)
    c.yes("SetAccountPassword * PASSWORD %s ALL" % PASSWORD)
    equal(c.want("ListAccountPasswords *", "201 "), "201 ()", "the tags after a reset of all")
    c.close()


@case("an account sets its own mailbox aliases, and no other setting of its own by them")
def own_aliases(s):
    c = Pwd(s, "u2")
    c.yes("INLINE")
    c.yes("SetMailboxAliases * {news=\"~u1/News\";}")
    c.yes("SetMailboxAliases u2@%s {news=\"~u1/News\"; w=Work;}" % DOMAIN)
    equal(c.want("GetMailboxAliases *", "201 "), '201 {news="~u1/News";w=Work;}', "the aliases")
    for bad in ("SetMailboxAliases u1 {a=b;}", "SetMailboxAliases nobody {a=b;}", "SetMailboxAliases * {a=(b);}",
                "SetMailboxAliases * a", "UpdateAccountSettings * {MailboxAliases={a=b;};}", "GetMailboxAliases u1",
                "UpdateAccountSettings * {RealName=x;}"):
        c.no(bad)
    c.yes("SetMailboxAliases * {}")
    wait(lambda: "verb=mailbox_aliases_set object=u2@" + DOMAIN in s.log_text(), 60, "a line of the change, with the name")
    equal(c.want("GetMailboxAliases *", "201 "), "201 {}", "the aliases")
    c.close()


@case("VerifyAccountIdentity: the own names, those that are granted, and no others; for the own account and by who may look")
def identity(s):
    s.ctl("alias", "set", "u1", "sales")
    s.ctl("account", "settings", "u1", 'SenderAddresses=("*@far.example")')
    c = Pwd(s, "u1")
    for mine in ("u1@" + DOMAIN, "The <sales@%s>" % DOMAIN, "u1+x@%s, (me) U1@%s" % (DOMAIN, DOMAIN.upper()), "Far <any@Far.example>"):
        c.yes("VerifyAccountIdentity * FOR \"%s\"" % mine)
    for bad in ("u2@" + DOMAIN, "u1@%s, u2@%s" % (DOMAIN, DOMAIN), "x@sub.far.example", "nobody@" + DOMAIN, "u1", "", "<>", "a, b",
                ",".join(["u1@" + DOMAIN] * 33)):
        c.no("VerifyAccountIdentity * FOR \"%s\"" % bad)
    c.no("VerifyAccountIdentity u2 FOR u2@" + DOMAIN)
    s.ctl("alias", "set", "u1")
    c.no("VerifyAccountIdentity * FOR sales@" + DOMAIN)
    s.ctl("account", "settings", "u1", "SenderAddresses=default")
    c.no("VerifyAccountIdentity * FOR any@far.example")
    c.close()


@case("an administrator's change of the password, suspending and deleting end the account's connections")
def ends(s):
    for what, undo in ((("password", "set", "u2"), None), (("account", "suspend", "u2"), ("account", "resume", "u2"))):
        c = Pwd(s, "u2")
        s.ctl(*what, stdin=PASSWORD + "\n" if what[0] == "password" else "")
        wait(lambda: c.line() is None, 60, "the end after " + " ".join(what))
        c.close()
        if what[1] == "suspend":
            c = Pwd(s)
            c.want("USER u2", "300 ")
            c.want("PASS " + PASSWORD, "50")
            c.close()
        if undo:
            s.ctl(*undo)
    s.ctl("account", "create", "gone")
    s.ctl("password", "set", "gone", stdin=PASSWORD + "\n")
    c = Pwd(s, "gone")
    s.ctl("account", "delete", "gone")
    wait(lambda: c.line() is None, 60, "the end after the deletion")
    c.close()
    c = Pwd(s, "u2")
    s.ctl("session", "kick", "u2")
    wait(lambda: c.line() is None, 60, "the end after a kick")
    c.close()


@case("an account sees and ends its own sessions and nobody else's")
def sessions(s):
    mine, theirs = s.pop("u1"), s.pop("u2")
    c = Pwd(s, "u1")
    c.yes("INLINE")
    rows = c.want("ListSessions *", "201 ")
    check('Account="u1@%s"' % DOMAIN in rows and "u2@" not in rows, "the sessions are %s", rows)
    check("()" in c.want("ListSessions", "201 "), "the sessions of all are shown")
    for row in json.loads(s.ctl("--json", "session", "list", "u2")):
        c.no("KillSession " + row["SID"])
    c.no("KillAccountSessions u2")
    c.want("KillSession " + re.search(r'SID="([^"]+)"', rows)[1], "201 ")
    check(theirs.noop().startswith(b"+OK"), "the other's session has ended")
    theirs.quit()
    mine.close()
    c.close()


@case("an account brings back what it deleted, with its flags; more than RestoreDailyLimit in a day is refused as a whole")
def restores(s):
    s.ctl("account", "settings", "u2", "RestoreDailyLimit=3")
    i = imaplib.IMAP4("127.0.0.1", s.port(143), timeout=60)
    i.login("u2", PASSWORD)
    for k, flags in enumerate(("(\\Flagged Work)", "(\\Seen)", None, "(\\Answered $Forwarded)")):
        i.append("INBOX", flags, '"01-Feb-2021 10:00:00 +0000"', b"Subject: %d\r\n\r\ntext\r\n" % k)
    i.select("INBOX")
    i.store("1:4", "+FLAGS", "(\\Deleted)")
    i.expunge()
    c = Pwd(s, "u2")

    def data(text):
        got = c.want(text, "20")
        return c.line() if "data follow" in got else got

    check(data("ListRecoverable u2").count("Flagged") == 1, "what is listed")
    c.want("RestoreMessages u2", "5")  # four
    equal(i.noop()[0] == "OK" and i.uid("SEARCH", "ALL")[1], [b""], "what came back with a refused one")
    got = data('RestoreMessages u2 {UID="1"; }')
    check("Messages=#1;" in got, "what came back: %s", got)
    c.want("RestoreMessages u2", "5")  # three, and one was before
    i.select("INBOX")
    text = i.fetch("1:*", "(FLAGS INTERNALDATE)")[1]
    check(len(text) == 1 and b"\\Flagged" in text[0] and b"Work" in text[0] and b"Deleted" not in text[0] and
          b"1-Feb-2021 10:00:00" in text[0], "it is back with %s", text)
    got = data("CountRecoverable u2")
    check("Messages=#3;" in got, "what is left: %s", got)
    i.logout()
    c.close()
    s.empty("u2")


@case("PWDAllowed and the service PWD are obeyed at once; a domain's administrator has passwords of that domain in hand")
def rights(s):
    c = Pwd(s, "u2")
    s.ctl("account", "settings", "u2", "PWDAllowed=NO")
    c.no("NEWPASS another")
    c.no("SetAccountPassword * PASSWORD another")
    s.ctl("account", "settings", "u2", "PWDAllowed=default")
    c.yes("NEWPASS " + PASSWORD)
    s.ctl("account", "settings", "u2", "AccessModes=(4,Mail,POP,IMAP)")
    wait(lambda: c.line() is None, 60, "the end of a connection whose service was switched off")
    c.close()
    c = Pwd(s)
    c.want("USER u2", "300 ")
    c.no("PASS " + PASSWORD, "50")
    c.close()
    s.ctl("account", "settings", "u2", "AccessModes=default")
    s.ctl("domain", "create", "d.test")
    for name in ("boss@d.test", "one@d.test"):
        s.ctl("account", "create", name)
        s.ctl("password", "set", name, stdin=PASSWORD + "\n")
    s.ctl("account", "rights", "boss@d.test", "=", "Domain", "BasicSettings")
    c = Pwd(s, "boss@d.test")
    c.yes("SetAccountPassword one@d.test PASSWORD other")
    check(opens(s, "one@d.test", "other"), "the new password opens nothing")
    c.no("SetAccountPassword u1 PASSWORD other")
    c.no("SetAccountRights boss@d.test (Domain, CanCreateAccounts)")
    c.no("CreateAccount two@d.test")
    s.ctl("account", "rights", "boss@d.test", "=")
    try:
        answer = c.ask("SetAccountPassword one@d.test PASSWORD third")
    except OSError:
        answer = None
    check(answer is None or answer.startswith("501 "), "without rights it is answered %s", answer)
    check(opens(s, "one@d.test", "other"), "the password was changed without a right")
    c.close()
    for name in ("boss@d.test", "one@d.test"):
        s.ctl("account", "delete", name)
    s.ctl("domain", "delete", "d.test")


@case("three failed logins end a connection, an unknown name is answered 500, and each is in the log")
def failures(s):
    c = Pwd(s)
    for i in range(3):
        c.want("USER u1", "300 ")
        c.no("PASS wrong")
    equal(c.line(), None, "what follows the third failure")
    c.close()
    c = Pwd(s)
    c.want("USER nobody", "300 ")
    c.no("PASS x", "500 ")
    c.close()

    def told(user):
        return sum("auth.refused" in line and "service=pwd" in line and user in line for line in s.log_text().splitlines())
    wait(lambda: told("user=u1") >= 3 and told("user=nobody") > 0, 60, "the lines of the log")


def limited(s, old, new):
    """The configuration with other limits, which count for new connections when the doors have heard of them."""
    s.edit(old, new)
    os.kill(s.master(), signal.SIGHUP)


def greeted(s, n):
    """How many of so many connections at a time are let in; the others hear why not."""
    lines = [suite.Line(("127.0.0.1", s.port(106))) for _ in range(n)]
    try:
        first = [line.line() for line in lines]
    finally:
        for line in lines:
            line.close()
    check(all(x is None or x.startswith(("200 ", "501 too many connections")) for x in first), "the greetings are %s", first)
    return sum(x is not None and x.startswith("200 ") for x in first)


def ended(s, user, words):
    """Is a connection on which nothing more is said closed with these words? Not before the door has heard of the limit."""
    try:
        c = Pwd(s, user)
    except suite.Failed:  # the ones before are not all gone
        return False
    with c:
        c.sock.settimeout(5)
        try:
            said = c.line()
        except socket.timeout:
            return False
        check(said is not None and words in said, "it ended with %r", said)
        equal(c.line(), None, "what follows")
        return True


@case("limits: connections of an address, the time for a login, also of who says something all the time, and an idle one's")
def limits(s):
    usual = "plaintext_login = loopback"
    few = usual + "\nconnections_max_per_address = 3\nadmin_idle_timeout = 1s"
    quick = usual + "\nlogin_timeout = 1s"
    limited(s, usual, few)
    wait(lambda: greeted(s, 6) == 3, 60, "three of six connections")
    wait(lambda: ended(s, "u1", "no command for too long"), 60, "the end of an idle one")
    limited(s, few, quick)
    wait(lambda: greeted(s, 6) == 6, 60, "six of six connections")
    wait(lambda: ended(s, None, "no login for too long"), 60, "the end of who does not log in")
    with Pwd(s) as c:
        wait(lambda: talk(c) != "200 done", 60, "the end of who only talks")
    limited(s, quick, usual)
    # A login alone may be quicker than the limit that is to go.
    wait(lambda: stays(s), 60, "a connection that may take its time")


def talk(c):
    """Its last words may be lost when it is closed just then."""
    try:
        return c.ask("NOOP")
    except OSError:
        return None


def stays(s):
    try:
        with Pwd(s) as c:
            time.sleep(3)
            return talk(c) == "200 done"
    except suite.Failed:
        return False


@case("text before TLS, a line without an end, and a login that is not made: the connection ends, others go on")
def hostile(s):
    other = Pwd(s, "u1")
    c = Pwd(s)
    c.send("STLS\r\nUSER u1\r\n")
    c.want(None, "200 ")
    equal(c.line(), None, "what follows text before TLS")
    c.close()
    c = Pwd(s)
    try:
        c.send("x" * (1 << 20))
    except OSError:
        pass
    try:
        answer = c.line()
    except (OSError, socket.timeout):
        answer = None
    check(answer is None or answer.startswith("501 "), "answered %r", answer)
    c.close()
    other.yes("NOOP")
    other.close()


if __name__ == "__main__":
    main(26600)
