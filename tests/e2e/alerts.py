#!/usr/bin/python3
"""alerts - what administrators post is shown to the users of an account, once each; and who may log in as another one."""
import base64
import concurrent.futures
import imaplib
import re

import suite
from cli import Cli
from desk import Pwd, admin
from suite import A1, DOMAIN, PASSWORD, Line, case, check, equal, main, refused, wait


class Imap(Line):
    """A session by lines; keeps the texts of alerts in the order in which they came."""

    def __init__(self, s, user="u1"):
        super().__init__((A1, s.port(143)))
        self.want(None, "* OK")
        self.alerts, self.n = [], 0
        self.run("LOGIN %s %s" % (user, PASSWORD))

    def take(self):
        line = self.line()
        check(line is not None, "the connection ended")
        if line.startswith("* OK [ALERT] "):
            self.alerts.append(line[len("* OK [ALERT] "):])
        return line

    def run(self, text):
        self.n += 1
        self.send("a%d %s\r\n" % (self.n, text))
        line = self.take()
        while line.startswith("* "):
            line = self.take()
        check(line.startswith("a%d OK" % self.n), "%s was answered %s", text, line)

    def has(self, n):
        """After commands that tell: so many alerts have come."""
        def come():
            self.run("NOOP")
            return len(self.alerts) >= n
        wait(come, 60, "%d alerts, there are %r" % (n, self.alerts))
        return self.alerts

    def has_no_more(self):
        """Whoever else asked stored before has its answer by then."""
        before = len(self.alerts)
        self.run("STATUS INBOX (MESSAGES)")
        self.run("NOOP")
        equal(self.alerts[before:], [], "alerts")


@case("alerts of the server, the domain and the account are shown to an IMAP client, in that order, and once")
def once(s):
    admin(s, 'PostServerAlert ALERT "of the server"', 'PostDomainAlert %s ALERT "of the domain"' % DOMAIN,
          'PostAccountAlert u1 ALERT "of u1"')
    with Imap(s) as c:
        equal(c.has(3), ["of the server", "of the domain", "of u1"], "alerts")
    with Imap(s) as c:
        admin(s, 'PostAccountAlert u1 ALERT "another"')
        equal(c.has(1), ["another"], "alerts in a later session")
    with Imap(s, "u2") as c:
        equal(c.has(2), ["of the server", "of the domain"], "alerts of another account")


@case("an alert that is posted meanwhile comes with the next command, and in IDLE at once; one session of several shows it")
def meanwhile(s):
    with Imap(s) as one, Imap(s) as two:
        admin(s, 'PostAccountAlert u1 ALERT "for one of you"')

        def come():
            one.run("NOOP")
            two.run("NOOP")
            return one.alerts + two.alerts
        equal(wait(come, 60, "the alert"), ["for one of you"], "alerts of both")
        one.has_no_more()
        two.has_no_more()
    wait(lambda: not s.sessions("u1"), 60, "the end of the sessions")
    with Imap(s) as c:
        c.run("SELECT INBOX")
        c.want("b IDLE", "+ ")
        admin(s, 'PostServerAlert ALERT "in a moment"')
        equal(c.take(), "* OK [ALERT] in a moment", "what comes in IDLE")
        c.want("DONE", "b OK")


@case("what a session did not show before it ended, the next one shows; after a restart nothing is shown again")
def lost(s):
    with Imap(s) as c:
        admin(s, 'PostAccountAlert u1 ALERT "shown before"')
        c.has(1)
    if s.engine == "memory":
        return
    wait(lambda: not s.sessions("u1"), 60, "the end of the session")
    admin(s, 'PostAccountAlert u1 ALERT "not yet"')
    s.restart()
    with Imap(s) as c:
        equal(c.has(1), ["not yet"], "alerts")
        c.has_no_more()


@case("letters that are not ASCII come as they are after ENABLE UTF8=ACCEPT, else as one ? each")
def letters(s):
    with Imap(s) as c:
        admin(s, 'PostAccountAlert u1 ALERT "K\u00e4se \u20ac"')
        equal(c.has(1), ["K?se ?"], "alerts")
        c.run("ENABLE UTF8=ACCEPT")
        admin(s, 'PostAccountAlert u1 ALERT "K\u00e4se \u20ac 2"')
        equal(c.has(2)[1], "K\u00e4se \u20ac 2", "the second")


@case("SetAlerts shows only what is new; whoever logs in by PWD is told how many there are, and may look at them")
def set_and_pwd(s):
    admin(s, "SetServerAlerts ()", "SetDomainAlerts %s ()" % DOMAIN, 'SetAccountAlerts u1 ("one", "two")')
    with Imap(s) as c:
        equal(c.has(2), ["one", "two"], "alerts")
        admin(s, 'SetAccountAlerts u1 ("two", "three")')
        equal(c.has(3)[2:], ["three"], "alerts after the second set")
    with Pwd(s, "u1") as c:
        check("alerts for you: 2" in c.welcome, "the number is not told: %s", c.welcome)
        texts = re.findall(r"=\"?([a-z]+)\"?;", c.want("GetAccountEffectiveAlerts *", "201 "))
        equal(texts, ["two", "three"], "what is shown")
        c.want("GetAccountEffectiveAlerts u2", "501 ")
        c.want("GetServerAlerts", "501 ")
        c.want('PostAccountAlert * ALERT "own"', "501 ")
    admin(s, "SetAccountAlerts u1 ()")
    with Pwd(s, "u1") as c:
        equal(c.welcome, "200 you are logged in", "without alerts")


@case("alerts that came in the same second are told apart: each has a time of its own among all that concern an account")
def apart(s):
    c = Cli(s.admin)
    texts = {whose: ["%s-%d" % (whose, i) for i in range(20)] for whose in ("server", "domain", "account")}
    for line in ("SetServerAlerts (%s)", "SetDomainAlerts " + DOMAIN + " (%s)", "SetAccountAlerts u1 (%s)"):
        c.yes(line % ",".join('"%s"' % t for t in texts[line.split("A")[0][3:].lower() or "account"]))
    told = c.yes("GetAccountEffectiveAlerts u1")  # a key that comes twice is an error there
    equal(sorted(told.values()), sorted(sum(texts.values(), [])), "texts")
    for line in ("SetServerAlerts ()", "SetDomainAlerts %s ()" % DOMAIN, "SetAccountAlerts u1 ()"):
        c.yes(line)
    c.close()


# ---- acting for others ----

def acting(s, target, who, password=PASSWORD, port=143):
    """IMAP by PLAIN with an authorization identity; the connection, or the refusal's text."""
    c = imaplib.IMAP4(A1, s.port(port), timeout=20)
    try:
        c.authenticate("PLAIN", lambda _: ("%s\0%s\0%s" % (target, who, password)).encode())
    except imaplib.IMAP4.error as e:
        c.shutdown()
        return str(e)
    return c


@case("CanImpersonate: an administrator opens an account of the domain under its own password, no other one, and it is in the log")
def impersonate(s):
    admin(s, "CreateDomain d.test", "CreateDomain other.test",
          *("CreateAccount %s {Password=\"%s\";}" % (a, PASSWORD)
            for a in ("boss@d.test", "ann@d.test", "chief@d.test", "none@d.test", "eve@other.test")),
          "SetAccountRights boss@d.test (Domain,CanImpersonate)", "SetAccountRights none@d.test (Domain,BasicSettings)",
          "SetAccountRights chief@d.test (Domain,CanImpersonate,CanCreateAccounts)", "SetAccountAliases ann@d.test (annie)")
    for name in ("ann@d.test", "annie@d.test"):
        c = acting(s, name, "boss@d.test")
        check(not isinstance(c, str), "refused: %s", c)
        equal([r["Account"] for r in s.sessions("ann@d.test")], ["ann@d.test"], "sessions of the account")
        c.logout()
        wait(lambda: not s.sessions("ann@d.test"), 60, "the end of the session")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:  # each is answered after a second
        answers = set(pool.map(lambda pair: acting(s, *pair), (
            ("chief@d.test", "boss@d.test"), ("eve@other.test", "boss@d.test"), ("nobody@d.test", "boss@d.test"),
            ("nobody@nowhere.test", "boss@d.test"), ("u1", "boss@d.test"), ("ann@d.test", "none@d.test"),
            ("boss@d.test", "ann@d.test"), ("ann@d.test", "boss@d.test", "wrong"))))
    equal(len(answers), 1, "different answers to what is refused: %r" % answers)
    check(isinstance(answers.pop(), str), "all were taken")
    admin(s, "UpdateAccountSettings ann@d.test {Suspended=YES;}")
    check(isinstance(acting(s, "ann@d.test", "boss@d.test"), str), "a suspended account was opened")
    admin(s, "UpdateAccountSettings ann@d.test {Suspended=NO;}")

    def told(what, how):
        return any("auth.acting" in l and "who=boss@d.test" in l and what in l and how in l for l in s.log_text().splitlines())
    wait(lambda: told("object=ann@d.test", "result=ok") and told("object=eve@other.test", "result=denied"), 60,
         "the lines of the log")


@case("who acts for an account by POP, submission and PWD is that account, with its rights and no others")
def impersonate_doors(s):
    def plain(target):
        return base64.b64encode(("%s\0boss@d.test\0%s" % (target, PASSWORD)).encode()).decode()

    s.deliver("ann@d.test")
    with s.pop_line() as c:
        c.want("AUTH PLAIN " + plain("ann@d.test"), "+OK")
        check(c.want("STAT", "+OK").startswith("+OK 1 "), "another mailbox")
        c.want("QUIT", "+OK")
    with Line((A1, s.port(106))) as c:
        c.want(None, "200 ")
        c.want("AUTH PLAIN " + plain("ann@d.test"), "200 ")
        c.want("INLINE", "200 ")
        check("ann@d.test" in c.want("GetAccountInfo *", "201 "), "another account")
        c.want("ListAccounts d.test", "501 ")
    with Line((A1, s.port(587))) as c:
        c.want(None, "220 ")
        c.send("EHLO client.example\r\n")
        while not c.line().startswith("250 "):
            pass
        c.want("AUTH PLAIN " + plain("ann@d.test"), "235 ")
        c.want("MAIL FROM:<ann@d.test>", "250 ")
        c.want("RSET", "250 ")
        c.want("MAIL FROM:<boss@d.test>", "5")
    admin(s, "SetAccountRights boss@d.test (Domain)")
    refused(lambda: pop_plain(s, plain("ann@d.test")))


def pop_plain(s, initial):
    with s.pop_line() as c:
        line = c.ask("AUTH PLAIN " + initial)
        if not line.startswith("+OK"):
            raise suite.poplib.error_proto(line)


if __name__ == "__main__":
    main(24500)
