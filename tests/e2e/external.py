#!/usr/bin/python3
"""external - passwords that others know: an external helper that is right, wrong, slow, mute, dead, verbose or mad."""
import atexit
import contextlib
import imaplib
import os
import shutil
import smtplib
import socket
import subprocess
import tempfile
import threading
import time
import urllib.parse

import suite
from suite import A1, DOMAIN, PASSWORD, Line, case, check, equal, main, message, refused, wait

TOP = suite.TOP
HERE = tempfile.mkdtemp(prefix="gh-ext-")
atexit.register(shutil.rmtree, HERE, ignore_errors=True)
U1, U2 = "u1@" + DOMAIN, "u2@" + DOMAIN
SECRET = "from else where %\u00e4"
WRONG = "it is not this one"


class Helper:
    """Listens, and answers as `answers` says: a function of verb and words that gives the rest of a line, bytes
    that are sent as they are, or None for nothing. Everything that was asked is in `asked`."""

    def __init__(self, path):
        self.path, self.answers = path, self.right
        self.asked, self.greeted, self.conns, self.passwords = [], 0, [], {}
        self.can = "CHECK CREATE"
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.bind(path)
        self.sock.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def right(self, verb, words):
        have = self.passwords.get(words[0])
        if have is None:
            return "UNKNOWN"
        return "OK" if len(words) < 3 or words[-1] == have else "NO"

    def accept(self):
        while True:
            one = self.sock.accept()[0]
            self.conns.append(one)
            threading.Thread(target=self.serve, args=[one], daemon=True).start()

    def serve(self, one):
        with contextlib.suppress(OSError), one.makefile("rb") as lines:
            for line in lines:
                number, verb, *words = line.decode("ascii").rstrip("\n").split(" ")
                words = [urllib.parse.unquote(w) for w in words]
                if verb == "HELLO":
                    one.sendall(("%s OK %s\n" % (number, self.can)).encode())
                    self.greeted += 1
                    continue
                self.asked.append((verb, *words))
                # Each answer in its own time: a slow one holds up no other.
                threading.Thread(target=self.reply, args=[one, number, verb, words], daemon=True).start()

    def reply(self, one, number, verb, words):
        got = self.answers(verb, words)
        with contextlib.suppress(OSError):
            if isinstance(got, bytes):
                one.sendall(got)
            elif got is not None:
                one.sendall(("%s %s\n" % (number, got)).encode())

    def drop(self):
        """All connections end, as if it had died."""
        for one in self.conns:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self.conns = []


PAM = os.path.join(HERE, "pam.sock")
helper = Helper(os.path.join(HERE, "helper.sock"))


def admin(s, *commands):
    with Line(s.admin) as c:
        c.want(None, "200 ")
        c.want("INLINE", "200 ")
        for command in commands:
            answer = c.want(command, "20")
    return answer[4:]


def settled(s):
    """The helper is there and right, its answers are taken, u2 is its, and nobody has failed."""
    helper.answers, helper.passwords = helper.right, {U2: SECRET}
    admin(s, "UpdateAccountSettings u1 {UseExtPassword=default;FailedLoginFlow=(1000,1h);}",
          "UpdateAccountSettings u2 {UseExtPassword=YES;UseAppPassword=default;FailedLoginFlow=(1000,1h);}")
    wait(lambda: opens(s, "u2", SECRET), 60, "the helper's first yes")
    helper.asked.clear()


def opens(s, user, password):
    try:
        s.pop(user, password).quit()
        return True
    except suite.poplib.error_proto:
        return False


def pop(s, user, password):
    s.pop(user, password).quit()


def imap(s, user, password):
    c = imaplib.IMAP4(A1, s.port(143), timeout=60)
    try:
        c.login(user, password)
    finally:
        c.shutdown()


def submission(s, user, password):
    with smtplib.SMTP(A1, s.port(587), timeout=60) as c:
        c.ehlo("client.example")
        c.login(user, password)


def pwd(s, user, password):
    with Line((A1, s.port(106))) as c:
        c.want(None, "200 ")
        c.want("USER " + user, "300 ")
        c.want("PASS " + password, "200 ")


def served(door, s):
    """A busy machine may be too slow for a helper's time: that is "try later", and counts as nothing asked."""
    before = len(helper.asked)
    try:
        door(s, "u2", "else where")
        return True
    except (suite.poplib.error_proto, imaplib.IMAP4.error, smtplib.SMTPException, suite.Failed):
        del helper.asked[before:]
        return False


@case("every door asks the helper, with the account's name, the service and the client's address")
def doors(s):
    settled(s)
    helper.passwords = {U2: "else where"}
    for door in (pop, imap, submission, pwd):
        wait(lambda: served(door, s), 60, "the yes by " + door.__name__)
    equal([a[:4] for a in helper.asked],
          [("CHECK", U2, service, A1) for service in ("pop3", "imap", "smtp", "pwd")], "questions")


@case("the own password asks nobody; one that nobody has is refused like any other; who did not want it is not asked")
def order(s):
    settled(s)
    s.pop("u2").quit()
    equal(helper.asked, [], "questions for the own password")
    equal(refused(s.pop, "u2", WRONG), refused(s.pop, "u1", WRONG), "answers to a wrong password")
    equal([a[0:2] for a in helper.asked], [("CHECK", U2)], "questions")
    refused(s.pop, "u1", SECRET, text="[AUTH]")
    equal(len(helper.asked), 1, "questions")
    admin(s, "UpdateAccountSettings u2 {UseAppPassword=NO;}")
    refused(s.pop, "u2", text="[AUTH]")
    s.pop("u2", SECRET).quit()


@case("one attempt is one failure, however many said no")
def failures(s):
    settled(s)
    helper.passwords = {"u3@" + DOMAIN: SECRET}
    admin(s, "UpdateAccountSettings u3 {UseExtPassword=YES;FailedLoginFlow=(2,1h);}")
    for _ in range(2):
        refused(s.pop, "u3", WRONG, text="[AUTH]")
    refused(s.pop, "u3", SECRET, text="too many failed logins")
    equal(len(helper.asked), 2, "questions")
    admin(s, "UpdateAccountSettings u3 {FailedLoginFlow=(1000,1h);}")
    s.pop("u3", SECRET).quit()


@case("a helper that cannot say makes it \"try later\", and no failure of who has no other password")
def later(s):
    settled(s)
    helper.passwords = {"u4@" + DOMAIN: SECRET}
    admin(s, "UpdateAccountSettings u4 {UseAppPassword=NO;UseExtPassword=YES;FailedLoginFlow=(1,1h);}")
    helper.answers = lambda *a: "LATER"
    refused(s.pop, "u4", SECRET, text="[SYS/TEMP]")
    helper.answers = helper.right
    s.pop("u4", SECRET).quit()


@case("its death during a login is \"try later\"; the next one finds it again; own passwords notice nothing")
def death(s):
    settled(s)
    asked = threading.Event()
    helper.answers = lambda *a: asked.set()
    with s.pop_line() as l:
        l.want("USER u2", "+OK")
        l.send("PASS %s\r\n" % WRONG)
        check(asked.wait(60), "it was not asked")
        s.pop("u2").quit()
        helper.drop()
        l.want(None, "-ERR [SYS/TEMP]")
    helper.answers = helper.right
    wait(lambda: opens(s, "u2", SECRET), 60, "the next yes")


@case("a mad one loses its connection, and gets a new one")
def mad(s):
    settled(s)
    for nonsense in (b"99999 OK\n", b"x" * 5000):
        before = helper.greeted
        helper.answers = lambda *a, n=nonsense: n
        refused(s.pop, "u2", WRONG, text="[SYS/TEMP]")
        wait(lambda: helper.greeted > before, 60, "a new connection")
    helper.answers = helper.right
    wait(lambda: opens(s, "u2", SECRET), 60, "the next yes")


@case("beside a mute helper own passwords open as quickly as ever, its users wait for nobody but themselves")
def mute(s):
    settled(s)
    def took(n=60):
        times = []
        for _ in range(n):
            begin = time.monotonic()
            s.pop("u1").quit()
            times.append(time.monotonic() - begin)
        return sorted(times)
    alone = took()
    helper.answers = lambda *a: None
    with contextlib.ExitStack() as stack:
        lines = [stack.enter_context(s.pop_line()) for _ in range(20)]
        for l in lines:
            l.want("USER u2", "+OK")
            l.send("PASS %s\r\n" % WRONG)
        # So many as one name may have wait; the others are told at once.
        wait(lambda: len(helper.asked) == 8, 60, "eight questions")
        beside = took()
        helper.drop()
        for l in lines:
            l.want(None, "-ERR [SYS/TEMP]")
    print("        own passwords: alone p50 %.1f ms, p99 %.1f; beside a mute helper p50 %.1f, p99 %.1f" %
          tuple(t[i] * 1000 for t in (alone, beside) for i in (len(t) // 2, -1)))
    check(beside[len(beside) // 2] < 5 * alone[len(alone) // 2] + 1, "logins are slow beside a mute helper")


@case("keep=yes: the password that was confirmed is the account's own from then on")
def keep(s):
    settled(s)
    helper.answers = lambda verb, words: "OK keep=yes" if words[-1] == "a kept secret" else "NO"
    s.pop("u2", "a kept secret").quit()
    helper.answers = lambda *a: "NO"
    wait(lambda: opens(s, "u2", "a kept secret"), 60, "the own password")
    refused(s.pop, "u2", PASSWORD, text="[AUTH]")
    s.ctl("password", "set", "u2", "plain", stdin=PASSWORD + "\n")


@case("authd-external dies during a login: \"try later\", then a new one serves")
def process(s):
    settled(s)
    asked = threading.Event()
    helper.answers = lambda *a: asked.set()
    with s.pop_line() as l:
        l.want("USER u2", "+OK")
        l.send("PASS %s\r\n" % WRONG)
        check(asked.wait(60), "it was not asked")
        os.kill(s.pids("authd-external")[0], 9)
        l.want(None, "-ERR [SYS/TEMP]")
    helper.answers = helper.right
    wait(lambda: opens(s, "u2", SECRET), 60, "the next yes")


@case("the example of the documentation does what it says")
def example(s):
    path, sock = os.path.join(HERE, "accounts"), os.path.join(HERE, "example.sock")
    program = [os.path.join(TOP, "docs", "examples", "helper"), path]
    for name, password in ((U2, "pass word"), ("other@example.test", "x")):
        subprocess.run(program + ["--add", name], input=password.encode() + b"\n", check=True, timeout=60)
    with subprocess.Popen(program + ["--listen", sock]) as p:
        try:
            wait(lambda: os.path.exists(sock), 60, "its socket")
            s.edit(helper.path, sock)
            os.kill(s.master(), 1)
            wait(lambda: opens(s, "u2", "pass word"), 60, "its yes")
            check(not opens(s, "u2", "pass wort"), "it says yes to anything")
        finally:
            p.kill()
            s.edit(sock, helper.path)
            os.kill(s.master(), 1)
    wait(lambda: opens(s, "u2", SECRET), 60, "the other helper")
    # Another helper is another authd: one whose engine is its memory knows no own password any more.
    helper.answers = lambda *a: "NO"
    equal(answer(s, "u2", PASSWORD), "[AUTH]" if s.engine == "memory" else "+OK", "the own password")
    if s.engine == "memory":
        s.ctl("password", "set", "u2", "plain", stdin=PASSWORD + "\n")


# ---- accounts that the helper knows ----

EXT = ""


def asking(s, domain):
    """A new domain whose unknown names are asked about. One for each case: each may ask so much in a second."""
    global EXT
    EXT = domain
    settled(s)
    admin(s, "CreateDomain " + EXT, "UpdateAccountDefaults %s {UseExtPassword=YES;FailedLoginFlow=(1000,1h);}" % EXT,
          "UpdateDomainSettings %s {ExternalOnUnknown=YES;ExternalOnProvision=YES;}" % EXT)
    helper.asked.clear()


def accounts(s):
    return s.ctl("account", "list", EXT).split()


def creates():
    return [a for a in helper.asked if a[0] == "CREATE"]


def rcpt(s, *names):
    with s.lmtp() as l:
        l.command("MAIL FROM:<>", 250)
        return [l.command("RCPT TO:<%s>" % name)[0] for name in names]


@case("the first login makes the account, with what the helper tells of it; the next one is like any other")
def first_login(s):
    asking(s, "login.test")
    helper.passwords = {"ann@" + EXT: SECRET, "kay@" + EXT: "a kept secret"}
    refused(s.pop, "ann@" + EXT, WRONG, text="[AUTH] wrong")
    equal(refused(s.pop, "nobody@" + EXT, WRONG), refused(s.pop, "nobody@" + DOMAIN, WRONG), "answers to unknown names")
    check("ann" not in accounts(s), "an account by a wrong password")
    right = helper.right
    helper.answers = lambda *a: right(*a).replace("OK", "OK quota=1048576 keep=yes name=Ann%20%22D%C3%B6e%22")
    equal(s.opened("Ann@" + EXT, SECRET), "ann@" + EXT, "the account that was opened")
    equal(creates()[-1], ("CREATE", "ann@" + EXT, "login", SECRET), "the question")
    have = admin(s, "GetAccountSettings ann@" + EXT)
    check("MaxAccountSize=1M" in have and 'RealName="Ann \\"D' in have, "its settings are %s", have)
    s.deliver("ann@" + EXT)
    helper.answers = lambda *a: "NO"
    wait(lambda: opens(s, "ann@" + EXT, SECRET), 60, "the kept password")
    equal(len(creates()), 3, "questions")
    # PLAIN says the password with the name; what cannot show it finds nobody.
    helper.answers = right
    imap(s, "kay@" + EXT, "a kept secret")
    equal(len(s.mail("kay@" + EXT, "a kept secret")), 0, "messages")


@case("whose settings do not name the helper is not let in by its word, made by it or not; a password that it keeps is the own one")
def not_named(s):
    asking(s, "named.test")
    admin(s, "UpdateAccountDefaults %s {UseExtPassword=NO;}" % EXT)
    helper.passwords = {"eve@" + EXT: SECRET, "fay@" + EXT: "a kept secret"}
    equal([answer(s, "eve@" + EXT, SECRET) for _ in range(2)], ["[AUTH]"] * 2, "answers")
    equal((accounts(s), len(creates())), (["eve"], 1), "the account, and the questions")
    admin(s, "UpdateAccountSettings eve@%s {UseExtPassword=YES;}" % EXT)
    equal(answer(s, "eve@" + EXT, SECRET), "+OK", "the answer when they do")
    helper.answers = lambda *a: helper.right(*a).replace("OK", "OK keep=yes")
    equal(answer(s, "fay@" + EXT, "a kept secret"), "+OK", "the answer with keep=yes")
    helper.answers = lambda *a: "NO"
    wait(lambda: opens(s, "fay@" + EXT, "a kept secret"), 60, "the kept password")


@case("the first mail makes the account; a name that the helper does not know is refused, later is later")
def first_mail(s):
    asking(s, "mail.test")
    helper.passwords = {"bob@" + EXT: SECRET}
    equal(rcpt(s, "who@" + EXT), [550], "the answer for a name that nobody knows")
    helper.answers = lambda *a: "LATER"
    equal(rcpt(s, "bob@" + EXT)[0] // 10, 45, "the answer to later")
    helper.answers = helper.right
    s.deliver("Bob+news@" + EXT, message("first"))
    equal(creates()[-1], ("CREATE", "bob@" + EXT, "mail"), "the question")
    equal(len(s.mail("bob@" + EXT, SECRET)), 1, "messages")
    admin(s, "UpdateDomainSettings %s {ExternalOnUnknown=NO;ExternalOnProvision=NO;}" % EXT)
    helper.asked.clear()
    equal(rcpt(s, "who@" + EXT), [550], "the answer where nobody is asked")
    refused(s.pop, "who@" + EXT, WRONG)
    equal(helper.asked, [], "questions")


@case("many first logins and mails at once: one question, one account, and each by its own password")
def at_once(s):
    asking(s, "once.test")
    go = threading.Event()
    helper.passwords = {"cat@" + EXT: SECRET}
    helper.answers = lambda *a: go.wait(60) and helper.right(*a)
    got = []
    def login(password):
        got.append((password, answer(s, "cat@" + EXT, password)))
    def mail():
        got.append(("mail", rcpt(s, "cat@" + EXT)[0]))
    threads = [threading.Thread(target=login, args=[SECRET])]
    threads[0].start()
    wait(lambda: helper.asked, 60, "the question")
    threads += [threading.Thread(target=login, args=[p]) for p in [SECRET] * 5 + [WRONG] * 2] + \
        [threading.Thread(target=mail) for _ in range(3)]
    for t in threads[1:]:
        t.start()
    # Not more than a helper may be asked about one name: some may come late, and are asked about by themselves.
    wait(lambda: len(s.pids("pop3", child=True)) + len(s.pids("smtp", child=True)) >= 11, 60, "all connections")
    go.set()
    for t in threads:
        t.join(60)
    equal(sorted(got, key=str), sorted([(SECRET, "+OK")] * 6 + [(WRONG, "[AUTH]")] * 2 + [("mail", 250)] * 3, key=str),
          "answers")
    equal(len(creates()), 1, "questions")
    equal(accounts(s).count("cat"), 1, "accounts")


@case("stored dies while an account is made: \"try later\" or not, then there is one, and one only",
      engines=("lmdb",))
def made_without_store(s):
    asking(s, "store.test")
    helper.passwords = {"dan@" + EXT: SECRET}
    def kill(*a):
        os.kill(s.pids("stored")[0], 9)
        return helper.right(*a)
    helper.answers = kill
    check(answer(s, "dan@" + EXT, SECRET) in ("+OK", "[SYS/TEMP]"), "another answer")
    helper.answers = helper.right
    wait(lambda: opens(s, "dan@" + EXT, SECRET), 60, "the login")
    equal(accounts(s).count("dan"), 1, "accounts")
    s.deliver("dan@" + EXT)


@case("a dictionary of names is a trickle at the helper")
def trickle(s):
    asking(s, "trickle.test")
    begin = time.monotonic()
    codes = rcpt(s, *("name%d@%s" % (i, EXT) for i in range(200)))
    took = time.monotonic() - begin
    check(set(codes) <= {550, 450, 451} and codes.count(550) == len(creates()), "answers %s", codes)
    check(1 <= len(creates()) <= 10 * (took + 2), "%d questions in %.1f s", len(creates()), took)


# What PAM is told to do for a test, in a folder of its own. pam_exec gives a script the password.
SERVICES = {
    "permit": "auth required pam_permit.so\naccount required pam_permit.so\n",
    "deny": "auth required pam_deny.so\naccount required pam_permit.so\n",
    "expired": "auth required pam_permit.so\naccount required pam_deny.so\n",
    # Of its own, pam_exec knows no "wrong password", only that something went wrong.
    "script": "auth [success=done default=ignore] pam_exec.so quiet expose_authtok %s/script\n"
              "auth required pam_deny.so\naccount required pam_permit.so\n" % HERE,
    "sleep": "auth required pam_exec.so quiet /bin/sleep 600\naccount required pam_permit.so\n",
    "broken": "auth required pam_there_is_none.so\n",
}
SCRIPT = """#!/bin/sh
[ "$PAM_USER" = u2 ] && [ "$PAM_SERVICE" = script ] && [ "$PAM_RHOST" = 127.0.0.1 ] || exit 1
[ "$(tr -d '\\0')" = 'of the system' ]
"""


@contextlib.contextmanager
def pam(s, service):
    """gatehouse-pam with a service of the test's, at the place that the configuration names."""
    os.makedirs(os.path.join(HERE, "pam.d"), exist_ok=True)
    for name, text in SERVICES.items():
        with open(os.path.join(HERE, "pam.d", name), "w", encoding="ascii") as f:
            f.write(text)
    with open(os.path.join(HERE, "script"), "w", encoding="ascii") as f:
        f.write(SCRIPT)
    os.chmod(os.path.join(HERE, "script"), 0o700)
    program = os.path.join(s.root, "usr/lib/gatehouse/gatehouse-pam")
    p = subprocess.Popen([program, "--listen", PAM, "--service", service, "--confdir", os.path.join(HERE, "pam.d"),
                          "--limit", "2"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        yield p
    finally:
        p.kill()
        p.wait(60)
        text = p.stderr.read().decode()
        p.stderr.close()
        check(("not root" in text) == (os.geteuid() != 0), "it said: %s", text)


@case("PAM: a module's yes opens the account, its no and an account that is closed do not; before the helper")
def pam_answers(s):
    settled(s)
    admin(s, "UpdateAccountSettings u2 {UseSysPassword=YES;}")
    helper.answers = lambda *a: "NO"
    with pam(s, "script"):
        wait(lambda: opens(s, "u2", "of the system"), 60, "its yes")
        helper.asked.clear()
        s.pop("u2", "of the system").quit()
        equal(helper.asked, [], "questions to the helper")
        refused(s.pop, "u2", WRONG, text="[AUTH]")
        equal(len(helper.asked), 1, "questions to the helper")
        helper.answers = helper.right
        s.pop("u2", SECRET).quit()
    helper.answers = lambda *a: "NO"
    for service, good in (("permit", True), ("deny", False), ("expired", False)):
        with pam(s, service):
            got = wait(lambda: said(answer(s, "u2", WRONG)), 60, "its connection")
            equal(got, "+OK" if good else "[AUTH]", "the answer with " + service)


def said(text):
    """None while it is not connected."""
    return text if text != "[SYS/TEMP]" else None


def answer(s, user, password):
    try:
        s.pop(user, password).quit()
    except suite.poplib.error_proto as e:
        return e.args[0].decode().split()[1]
    return "+OK"


@case("PAM: a module that sleeps is ended, one that is missing is told; both are \"try later\"")
def pam_sleeps(s):
    settled(s)
    helper.answers = lambda *a: "NO"
    for service in ("sleep", "broken"):
        with pam(s, service) as p:
            begin = time.monotonic()
            while time.monotonic() - begin < 60:
                began = time.monotonic()
                equal(answer(s, "u2", WRONG), "[SYS/TEMP]", "the answer with " + service)
                if service == "broken" or time.monotonic() - began > 1.5:
                    break
            check(service == "broken" or time.monotonic() - began > 1.5, "it was never asked")
            wait(lambda: not children(p.pid), 60, "the end of what it started")
    admin(s, "UpdateAccountSettings u2 {UseSysPassword=default;}")
    equal(answer(s, "u2", PASSWORD), "+OK", "the own password")


def children(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as f:
        return f.read().split()


@case("no password is in any line of the log")
def log(s):
    text = s.log_text()
    for secret in (SECRET, WRONG, "else where", "pass word", "of the system", urllib.parse.quote(SECRET), "a kept secret"):
        check(secret not in text, "%r is in the log", secret)
    check("auth.helper" in text and "auth.kept" in text, "no word about the helper")
    granted = [line for line in text.splitlines() if " auth.granted " in line]
    for user, source in (("u1@" + DOMAIN, "own"), (U2, "helper"), ("ann@login.test", "helper"), (U2, "system")):
        check(any(" user=%s " % user in line and " source=%s " % source in line for line in granted),
              "no login of %s by %s", user, source)


if __name__ == "__main__":
    main(23500, accounts=4, settings=("external_helper = " + helper.path, "pam_helper = " + PAM, "log_level = debug"))
