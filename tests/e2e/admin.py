#!/usr/bin/python3
"""admin - the administration protocol, line by line: wrong lines change nothing, right ones keep their order."""
import contextlib
import os
import re
import signal
import subprocess
import sys
import time

import suite
from suite import DOMAIN, PASSWORD, case, check, equal, main, wait


def parse(text):
    """A value of the protocol as Python's: str, int, list, dict; reads a small part of the grammar."""
    value, rest = parse_one(text.lstrip())
    check(not rest.strip(), "text after the value: %r", rest)
    return value


def parse_one(t):
    if t.startswith("("):
        out, t = [], t[1:].lstrip()
        while not t.startswith(")"):
            value, t = parse_one(t)
            out.append(value)
            t = t.lstrip().removeprefix(",").lstrip()
        return out, t[1:]
    if t.startswith("{"):
        out, t = {}, t[1:].lstrip()
        while not t.startswith("}"):
            key, t = parse_one(t)
            check(t.startswith("="), "no = in %r", t)
            out[key], t = parse_one(t[1:])
            check(t.startswith(";"), "no ; in %r", t)
            t = t[1:].lstrip()
        return out, t[1:]
    m = re.match(r'"((?:[^"\\]|\\.)*)"', t)
    if m:
        plain = re.sub(r'\\(\d{3}|.)', lambda e: chr(int(e[1])) if e[1].isdigit() else
                       {"r": "\r", "n": "\n", "e": "\n"}.get(e[1], e[1]), m[1])
        return plain, t[m.end():]
    m = re.match(r"#(-?\d+)", t)
    if m:
        return int(m[1]), t[m.end():]
    m = re.match(r"[A-Za-z0-9_.@!%:-]+", t)
    check(m, "not a value: %r", t)
    return m[0], t[m.end():]


class Cli(suite.Line):
    """An administrator's connection, with data on the reply's line."""

    def __init__(self, s):
        super().__init__(s.admin)
        self.want(None, "200 ")
        equal(self.ask("INLINE"), "200 done", "the answer to INLINE")

    def get(self, text):
        line = self.want(text, "201 ")
        return parse(line[4:])

    def no(self, text):
        return self.want(text, "501 ")

    def yes(self, text):
        return self.want(text, "200 ")


def everything(c):
    """What the directory holds, as far as it can be asked for."""
    domains = c.get("ListDomains")
    return {"domains": domains, "table": c.get("GetRouterTable"),
            "objects": [c.get("ListDomainObjects %s 100" % d) + c.get("ListGroups " + d) + c.get("ListLists " + d)
                        for d in domains],
            "of domains": [(c.get("GetDomainAliases " + d), c.get("GetDomainSettings " + d)) for d in domains],
            "accounts": [{a: (c.get('GetAccountInfo "%s@%s"' % (a, d)), c.get('GetAccountAliases "%s@%s"' % (a, d)))
                          for a in c.get("ListAccounts " + d)} for d in domains]}


WRONG = r'''
CreateDomain
CreateDomain a.test b.test
CreateDomain (a.test)
CreateDomain {}
CreateDomain #5
CreateDomain "bad name"
CreateDomain ""
CreateDomain .test
CreateDomain a..test
CreateDomain a_b.test
CreateDomain new.test {IPAddresses=("not an address");}
CreateDomain new.test {IPAddresses=127.0.0.9;}
CreateDomain new.test {IPAddresses=((1));}
CreateDomain new.test {Nonsense=1;}
CreateDomain example.test
DeleteDomain nowhere.test
DeleteDomain example.test
DeleteDomain
SetDomainAliases other.test alias.test
SetDomainAliases other.test {a=b;}
SetDomainAliases other.test ("bad name")
SetDomainAliases other.test (example.test)
SetDomainAliases other.test ((x.test))
SetDomainAliases nowhere.test (x.test)
SetDomainAliases other.test (x.test
SetDomainAliases (other.test) (x.test)
GetDomainAliases nowhere.test
GetDomainSettings (x)
GetDomainSettings nowhere.test
UpdateDomainSettings other.test {IPAddresses=("1.2.3");}
UpdateDomainSettings other.test {IPAddresses=("1.2.3.4.5");}
UpdateDomainSettings other.test {IPAddresses=(#I[x]:1);}
UpdateDomainSettings other.test {Colour=red;}
UpdateDomainSettings (other.test) {IPAddresses=("127.0.0.7");}
UpdateDomainSettings other.test
UpdateDomainSettings nowhere.test {IPAddresses=("127.0.0.7");}
ListAccounts nowhere.test
ListAccounts (x)
CreateAccount
CreateAccount u1
CreateAccount "u1@Example.TEST"
CreateAccount new TextMailbox
CreateAccount new@nowhere.test
CreateAccount "a b"
CreateAccount ""
CreateAccount ".a"
CreateAccount "a."
CreateAccount (new)
CreateAccount {Password=x;}
CreateAccount new {Password=x}
CreateAccount new {Password=(x);}
CreateAccount new {PasswordHash="{ODD}x";}
CreateAccount new {PasswordHash={};}
CreateAccount new {Password=x; PasswordMethod=nonsense;}
CreateAccount new {Password=x; PasswordMethod=#5;}
CreateAccount new {MaxAccountSize="1X";}
CreateAccount new {MaxAccountSize="-1";}
CreateAccount new {MaxAccountSize="99999999999999999999";}
CreateAccount new {MaxAccountSize="9999999999G";}
CreateAccount new {MaxAccountSize=;}
CreateAccount new {MaxAccountSize=(1);}
CreateAccount new {Nonsense=x;}
CreateAccount new MultiMailbox {} more
DeleteAccount
DeleteAccount nobody
DeleteAccount (u1)
DeleteAccount u1 u2
DeleteAccount #1
GetAccountInfo nobody
GetAccountInfo (u1)
GetAccountSettings
UpdateAccountSettings u1
UpdateAccountSettings u1 x
UpdateAccountSettings u1 {Suspended=maybe;}
UpdateAccountSettings u1 {Suspended=(YES);}
UpdateAccountSettings u1 {MaxAccountSize=5K; Suspended=maybe;}
UpdateAccountSettings u1 {MaxAccountSize=5K; Colour=red;}
UpdateAccountSettings nobody {Suspended=YES;}
SetAccountPassword u1
SetAccountPassword u1 PASSWORD
SetAccountPassword u1 PASSWORD (x)
SetAccountPassword u1 (x)
SetAccountPassword u1 PASSWORD x METHOD
SetAccountPassword u1 PASSWORD x METHOD nonsense
SetAccountPassword u1 PASSWORD x NONSENSE plain
SetAccountPassword nobody PASSWORD x
SetAccountPassword u1 PASSWORD "{ODD}x" METHOD given
VerifyAccountPassword u1 PASSWORD wrong
VerifyAccountPassword u1 wrong PASSWORD
VerifyAccountPassword nobody PASSWORD x
SetAccountAliases u1 alias
SetAccountAliases u1 (u2)
SetAccountAliases u1 ("bad name")
SetAccountAliases u1 ("a@other.test")
SetAccountAliases u1 ((a))
SetAccountAliases u1 (a,a,#5)
SetAccountAliases nobody (a)
SetRouterTable
SetRouterTable "no equals sign"
SetRouterTable "<a> = u1\enonsense"
SetRouterTable "<postmaster> = u2"
SetRouterTable "<a> = u1\e<PostMaster@Example.Test> = u2"
SetRouterTable (x)
Route
Route a b
Route (a)
Route a@b mail more
Route "" mail
RouteLogin a
RouteLogin a LOCAL nonsense
RouteLogin a HERE 127.0.0.1
ListSessions nobody
ListSessions (x)
KillSession
KillSession x
KillSession #0
KillSession #-1
KillSession 99999999999999999999
KillSession (1)
KillAccountSessions nobody
KillAccountSessions #5
ListStat nobody
ListStat (u1)
INLINE now
QUIT now
GetVersion x
Nonsense
RenameAccount u1 to u3
RenameAccount u1 into u2
RenameAccount nobody into u3
RenameAccount u1 into u3 PATH x
RenameAccount u1 into (u3)
RenameDomain other.test into example.test
RenameDomain other.test new.test
RenameDomain other.test into new.test PATH x
SuspendDomain example.test
SuspendDomain nowhere.test
CreateDomain new.test SHARED
DeleteDomain nowhere.test FORCE
ListDomainObjects other.test
ListDomainObjects other.test many
ListDomainObjects other.test FILTER 10
ListDomainObjects nowhere.test 10
CreateGroup u1
CreateGroup group {Members=((u1));}
CreateGroup group {Members=("a b");}
CreateGroup group {Expand=maybe;}
CreateGroup group (u1)
SetGroup nobody {}
SetGroup u1 {Members=(u2);}
RenameGroup nobody into group
GetGroup u1
DeleteGroup u1
CreateForwarder u1 TO u2
CreateForwarder fwd u2
CreateForwarder fwd TO "a b"
CreateForwarder fwd TO (u2)
RenameForwarder nobody into fwd
DeleteForwarder u1
GetForwarder u1
FindForwarders nowhere.test TO u1
CreateList news
CreateList news for nobody
CreateList u1 for u2
RenameList nobody into news
DeleteList u1
GetAccountInfo u1 (State) KEY State
GetAccountInfo u1 KEY Nothing
FindAccountSession u1
FindAccountSession u1 FOR 192.0.2.1
FindAccountSession u1 TRANSPORT tls
FindAccountSession u1 CLIENT mutt
GetSession 1-2
GetSession (1)
GetStatElement nothing
GetNextStatName nothing
GetAccountStat u1 KEY nothing
"ListDomains"
(ListDomains)
CreateAccount "unfinished
CreateAccount (unfinished
CreateAccount {unfinished
CreateAccount [!!]
CreateAccount "\999"
CreateAccount #Tnonsense
CreateAccount a b c d e f g h i j k l m n o p q r s t
'''


@case("a wrong line of any kind is answered 501, and nothing has changed")
def wrong(s):
    c = Cli(s)
    c.yes("CreateDomain other.test {IPAddresses=(\"127.0.0.3\");}")
    c.yes("SetAccountAliases u1 (known)")
    before = everything(c)
    for line in WRONG.strip("\n").split("\n"):
        c.no(line)
        now = everything(c)
        equal(now, before, "what is there after %s" % line)
    c.yes("VerifyAccountPassword u1 PASSWORD " + PASSWORD)
    many = ",".join("a%d" % i for i in range(300))
    for line in ("SetAccountAliases u1 (%s)" % many, "CreateAccount " + "a" * 129, "CreateDomain " + "a." * 200,
                 "CreateAccount new {Password=\"%s\";}" % ("x" * 1025), "CreateAccount new " + "(" * 50000,
                 "SetAccountPassword u1 PASSWORD \"%s\"" % ("x" * 1025), "CreateAccount a\0b",
                 "SetRouterTable \"%s\"" % ("; remark\\e" * 5000 + "x")):
        c.no(line)
    equal(everything(c), before, "what is there after long lines")
    c.yes("SetAccountAliases u1 ()")
    c.yes("DeleteDomain other.test")
    c.close()


@case("a line without an end is refused and ends the connection; others go on")
def endless(s):
    other = Cli(s)
    c = Cli(s)
    try:
        c.send("CreateAccount \"" + "x" * (13 << 20))
    except OSError:
        pass
    answer = None
    try:
        answer = c.line()
    except OSError:
        pass
    check(answer is None or answer.startswith("501 "), "answered %r", answer)
    other.yes("NOOP")
    for one in (c, other):
        one.close()


@case("data follows the reply, or stands in its line after INLINE; verbs in any case, LF or CR LF")
def shapes(s):
    with suite.Line(s.admin) as c:
        greeting = c.want(None, "200 ")
        check("ready" in greeting, "the greeting is %s", greeting)
        equal((c.ask("listDOMAINS"), c.line()), ("200 data follow", '("example.test")'), "the answer")
        equal((c.ask("MainDomainName"), c.line()), ("200 data follow", '"example.test"'), "the answer")
        c.send("inline\nmaindomainname\n\n   NOOP  \n")
        equal([c.line() for _ in range(3)], ["200 done", '201 "example.test"', "200 done"], "the answers")
        c.want("QUIT", "200 ")
        equal(c.line(), None, "what follows")


@case("strings may be quoted, escaped and joined; what comes back can be read back")
def quoting(s):
    c = Cli(s)
    c.yes(r'CreateAccount "q" "-1" {"Pass" "word"="a \"b\" \\ \116 " "joined"; "MaxAccountSize"=2K;}'
          .replace('"q" "-1"', '"q-1"'))
    c.yes(r'VerifyAccountPassword q-1 PASSWORD "a \"b\" \\ t joined"')
    equal(c.get("GetAccountInfo Q-1@EXAMPLE.TEST")["MaxAccountSize"], "2048", "the size")
    table = '; a "remark" \\ here\n<Q1> = u1\n\n<q2>=u2;x'
    c.yes('SetRouterTable "%s"' % table.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\e"))
    equal(c.get("GetRouterTable"), table, "the table")
    equal(c.get("Route q1@%s mail" % DOMAIN)[2], "u1@" + DOMAIN, "the way of q1")
    c.yes('SetRouterTable ""')
    equal(c.get("GetRouterTable"), "", "the empty table")
    c.yes("CreateAccount 8bit {Password=p\u00e4ss;}")
    c.yes('VerifyAccountPassword 8bit PASSWORD "p\\195\\164ss"')
    for name in ("q-1", "8bit"):
        c.yes("DeleteAccount " + name)
    c.close()


@case("sizes with K, M, G, as a number or unlimited; suspending and resuming by settings")
def settings(s):
    c = Cli(s)
    for given, shown in (("5000", "5000"), ("#6000", "6000"), ("3k", "3K"), ("2048K", "2M"), ("1G", "1G"),
                         ("unlimited", "unlimited"), ("0", "unlimited")):
        c.yes("UpdateAccountSettings u2 {MaxAccountSize=%s;}" % given)
        equal(str(c.get("GetAccountOneSetting u2 MaxAccountSize")), shown, "the setting after %s" % given)
    c.yes("UpdateAccountSettings u2 {MaxAccountSize=7; Suspended=yes;}")
    equal({k: str(v) for k, v in c.get("GetAccountSettings u2").items()}, {"Suspended": "YES", "MaxAccountSize": "7"}, "the settings")
    c.yes("UpdateAccountSettings u2 {MaxAccountSize=default; Suspended=NO;}")
    c.yes("UpdateAccountSettings u2 {}")
    equal(c.get("GetAccountEffectiveSettings u2")["Suspended"], "NO", "the settings")
    c.close()


@case("a pipeline of hundreds of commands is answered in order, and means the same as line by line")
def pipeline(s):
    c = Cli(s)
    lines, want = [], []
    for i in range(300):
        lines += ["CreateAccount p%d {Password=x;}" % i, "CreateAccount p%d" % i]
        want += ["200 done", "501"]
        if i % 50 == 49:
            lines += ["GetAccountInfo p%d" % i, "Nonsense", "SetAccountAliases p%d (pa%d)" % (i, i),
                      "VerifyAccountPassword p%d PASSWORD x" % i, "CreateAccount pa%d" % i]
            want += ['201 {AccountName="p%d@%s"' % (i, DOMAIN), "501", "200", "200", "501"]
    for i in range(60):  # the name goes from hand to hand
        lines += ["SetAccountAliases p%d (last)" % i, "SetAccountAliases p%d (own%d)" % (i, i)]
        want += ["200 done", "200 done"]
    lines += ["SetAccountAliases p1 (last)", "SetAccountAliases p2 (last)", "GetAccountAliases p59", "GetAccountAliases p1"]
    want += ["200 done", "501", "201 (own59)", "201 (last)"]
    for i in range(300):
        lines.append("DeleteAccount p%d" % i)
        want.append("200 done")
    lines.append("ListAccounts")
    want.append("201 {")
    c.send("".join(line + "\r\n" for line in lines))
    for line, start in zip(lines, want):
        got = c.line()
        check(got is not None and got.startswith(start), "%s was answered %r, not %s", line, got, start)
    check("p1" not in parse(got[4:]), "accounts are left")
    c.close()


@case("a client that goes away in the middle harms nobody, and what it had asked is whole or not at all")
def gone(s):
    for _ in range(5):
        c = Cli(s)
        c.send("".join("CreateAccount g%d {Password=x;}\r\n" % i for i in range(200)))
        c.close()
    c = Cli(s)
    for _ in range(2):  # what was under way when the first was looked at comes to the second
        for i in range(200):
            wait(lambda: settled(c, "g%d" % i), what="an end of g%d" % i)
        made = [n for n in c.get("ListAccounts") if n.startswith("g")]
        for name in made[:30]:
            c.yes("VerifyAccountPassword %s PASSWORD x" % name)
        for name in made:
            c.yes("DeleteAccount " + name)
    c.close()


def settled(c, name):
    return not any(state in c.ask("GetAccountInfo " + name) for state in ("creating", "deleting"))


@case("an account is made whole: with its password and its settings it is there, or it is not")
def whole(s):
    c = Cli(s)
    c.yes('CreateAccount w1 {Password="a b"; RealName="W One"; MaxAccountSize=2M;}')
    equal(c.get("GetAccountSettings w1"), {"RealName": "W One", "MaxAccountSize": "2M"}, "the settings")
    with contextlib.closing(s.pop("w1", "a b")) as p:
        equal(p.stat(), (0, 0), "the mailbox")
    for wrong in ('{Password=x; RealName="W"; Shoe=9;}', "{Password=x; MaxAccountSize=much;}", '{RealName=W; PasswordHash="{ODD}x";}',
                  "{RealName=W; Password=x; PasswordMethod=nonsense;}"):
        c.no("CreateAccount w2 " + wrong)
        check("no such account" in c.ask("GetAccountInfo w2"), "there is something of %s", wrong)
    c.yes("CreateAccount w2 {Password=x;}")
    equal(c.get("GetAccountSettings w2"), {}, "the settings")
    c.no('CreateDomain w.test {IPAddresses=("127.0.0.77"); MailToUnknown=Nonsense;}')
    c.no('CreateDomain w.test {IPAddresses=("127.0.0.77", "127.0.0.x"); MailToUnknown=Discarded;}')
    equal("w.test" in c.get("ListDomains"), False, "the domain is there")
    c.yes('CreateDomain w.test {IPAddresses=("127.0.0.77"); MailToUnknown=Discarded;}')
    equal(c.get("GetDomainSettings w.test"), {"MailToUnknown": "Discarded", "IPAddresses": ["127.0.0.77"]}, "the settings")
    for line in ("DeleteDomain w.test", "DeleteAccount w1", "DeleteAccount w2"):
        c.yes(line)
    c.close()


@case("an import that was broken off goes on, and every account has its hash", engines=("lmdb",))
def broken_import(s):
    names = ["i%d" % i for i in range(60)]
    path = os.path.join(s.dir, "accounts")
    with open(path, "w") as f:
        f.writelines("%s:{PLAIN}pw-%s\n" % (n, n) for n in names)
    for victim in ("routerd", "authd", "stored", "admin"):
        c = Cli(s)
        pid = s.pids(victim, child=victim == "admin")[0]
        c.send("".join('CreateAccount %s {PasswordHash="{PLAIN}pw-%s"; RealName="%s";}\r\n' % (n, n, n) for n in names))
        c.want(None, "200 ")
        os.kill(pid, signal.SIGKILL)
        try:
            while c.line() is not None:
                pass
        except OSError:
            pass
        c.close()

        def imported():
            _, _, err = s.ctl("account", "import", path, ok=False)
            return all("exists already" in line for line in err.splitlines())
        wait(imported, what="the end of the import after a kill of " + victim)
        c = Cli(s)
        for n in names:
            c.yes("VerifyAccountPassword %s PASSWORD pw-%s" % (n, n))
            check(c.get("GetAccountSettings " + n) in ({}, {"RealName": n}), "%s is half", n)
            c.yes("DeleteAccount " + n)
        c.close()


@case("who may connect but is no administrator is refused; admin_users lets more in", engines=("lmdb",))
def users(s):
    code = "import socket; s = socket.socket(socket.AF_UNIX); s.connect(%r); f = s.makefile('rw', newline='\\n');" \
        "print(f.readline().strip(), flush=True); f.write('NOOP\\n'); f.flush(); print(f.readline().strip())" % s.admin
    if os.geteuid() != 0:
        print("        not root: other users were not tried")
        return

    def as_nobody():
        return subprocess.run(["/usr/bin/python3", "-c", code], cwd="/", user=65534, group=65534, extra_groups=[],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30).stdout.decode().split("\n")

    equal(as_nobody(), [""], "what another user gets from a socket of mode 0600")
    for path in (s.dir, os.path.join(s.dir, "run")):
        os.chmod(path, 0o755)
    os.chmod(s.admin, 0o666)
    answer = as_nobody()
    check(answer[0].startswith("501 ") and "administrator" in answer[0], "another user gets %r", answer)
    check(not answer[1:2] or answer[1] in ("None", ""), "and then %r", answer)
    s.stop()
    s.edit("mode = 0600", "mode = 0666")
    s.edit("main_domain = ", "admin_users = root 65534\nmain_domain = ")
    s.start_again()
    answer = as_nobody()
    check(answer[0].startswith("200 ") and answer[1] == "200 done", "a listed user gets %r", answer)


@case("gatehousectl says what is wrong by its status: 1 refused, 2 wrong usage, 3 not reached")
def ctl(s):
    equal(s.ctl("domain", "list"), DOMAIN + "\n", "the output")
    for args, status in ((["domain", "create", DOMAIN], 1), (["domain"], 2), (["nonsense"], 2), (["domain", "list", "x"], 2),
                         (["account", "info", "nobody"], 1), (["--socket", "/nonexistent", "domain", "list"], 3),
                         (["--nonsense"], 2), (["password", "set", "nobody"], 1), (["cli"], 0)):
        got, _, err = s.ctl(*args, stdin="x\n" if args[0] == "password" else "", ok=False)
        equal(got, status, "status of %s" % args)
        check(bool(err) == (status != 0), "%s says %r", args, err)
    got, out, _ = s.ctl("cli", stdin="GetVersion\nNonsense\nQUIT\nNOOP\n", ok=False)
    equal([line.split()[0] for line in out.splitlines()], ["201", "501", "200"], "answers through gatehousectl cli")


if __name__ == "__main__":
    main(23600)
