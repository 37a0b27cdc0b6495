#!/usr/bin/python3
"""grammar - a client of the administration protocol written from its description alone: every command, right and
wrong, over the Unix socket and over the PWD port.

Each row of COMMANDS is a command line that works, in the order in which they are run; from each of them wrong ones
are made: words that are missing or too many, values of another kind, names of nothing. A wrong one is answered 5xx,
and what the directory holds is as before. Which words may be missing is told by the forms that the server shows.
"""
import os
import re

import suite
from cli import Cli, Reader, everything, lines_of, words_of
from suite import DOMAIN, case, check, equal, main


# ---- the commands, as the description lists them ----

COMMANDS = r'''
MainDomainName
ListDomains
CreateDomain a.test
CreateDomain b.test {MailToUnknown=Discarded;}
RenameDomain a.test into c.test
SuspendDomain c.test
ResumeDomain c.test
GetDomainSettings c.test
GetDomainEffectiveSettings c.test
UpdateDomainSettings c.test {MailToUnknown="Rerouted to"; MailRerouteAddress="all@b.test";}
UpdateDomainSettings c.test {MailToUnknown=default;}
SetDomainSettings c.test {MailToUnknown=Rejected;}
SetDomainAliases c.test (d.test, "e.test")
GetDomainAliases c.test
ListAdminDomains
ListAdminDomains c.test
GetDomainInfo c.test
GetAccountDefaults c.test
UpdateAccountDefaults c.test {QuotaNotice=50;}
SetAccountDefaults c.test {MaxAccountSize=10M;}
GetAccountTemplate c.test
UpdateAccountTemplate c.test {RealName=new;}
SetAccountTemplate c.test {}
GetDomainDefaults
UpdateDomainDefaults {AccessToUnknown=Rejected;}
SetDomainDefaults {}
GetServerAccountDefaults
UpdateServerAccountDefaults {QuotaAlert=#70;}
SetServerAccountDefaults {}
GetServerSettings
UpdateServerSettings {HideAccountUnknown=YES;}
UpdateServerSettings {HideAccountUnknown=default;}
GetSettingsTable
CreateAccount x@c.test
CreateAccount y@c.test MultiMailbox {Password="a b"; RealName="Y Z"; MaxAccountSize=5M;}
CreateAccount z
ListAccounts c.test
RenameAccount z into zz@c.test
GetAccountSettings y@c.test
GetAccountEffectiveSettings y@c.test
GetAccountOneSetting y@c.test RealName
UpdateAccountSettings y@c.test {RealName="Another"; Suspended=YES;}
SetAccountSettings y@c.test {RealName="One"; Suspended=NO;}
SetAccountPassword y@c.test PASSWORD "new \"one\""
SetAccountPassword y@c.test PASSWORD gatehouse METHOD plain
VerifyAccountPassword y@c.test PASSWORD gatehouse
VerifyAccountIdentity y@c.test FOR "y@c.test"
VerifyAccountIdentity y@c.test FOR "Y Z <y@c.test>, (both) y+d@c.test"
SetAccountPassword y@c.test PASSWORD "for the phone" TAG phone
SetAccountPassword y@c.test PASSWORD "another for it" TAG phone CHECK
SetAccountPassword y@c.test PASSWORD "new and long" CHECK
SetAccountPassword y@c.test PASSWORD "new and long" METHOD plain CHECK
ListAccountPasswords y@c.test
SetAccountPassword y@c.test PASSWORD "" TAG phone
SetAccountType y@c.test multimailbox
GetAccountLocation y@c.test
GetDomainLocation c.test
SetMailboxAliases y@c.test {news="~x/News"; "two words"=Work;}
GetMailboxAliases y@c.test
SetAccountAliases y@c.test (yy, "y.y")
GetAccountAliases y@c.test
GetAccountRights y@c.test
SetAccountRights y@c.test (Domain, CanCreateAccounts)
GetAccountInfo y@c.test
GetAccountInfo y@c.test (AccountName, State)
GetAccountInfo y@c.test Key AccountName
CreateGroup g@c.test {Members=("y@c.test", "else@where.test");}
CreateGroup h@c.test
RenameGroup h@c.test into hh@c.test
GetGroup g@c.test
SetGroup g@c.test {Members=(x, y);}
ListGroups c.test
CreateForwarder f@c.test TO "else@where.test"
RenameForwarder f@c.test into ff@c.test
GetForwarder ff@c.test
FindForwarders c.test TO "else@where.test"
ListForwarders c.test
CreateList news@c.test for y@c.test
RenameList news@c.test into olds@c.test
ListLists c.test
GetList olds@c.test
ListDomainObjects c.test 10
ListDomainObjects c.test FILTER y 10 ACCOUNTS ALIASES FORWARDERS COOKIE a
SetRouterTable "<one> = y@c.test\e; remark"
GetRouterTable
GetRouterSettings
SetRouterSettings {}
Route one
Route one@example.test mail
RouteTrace one access
RouteLogin one LOCAL 127.0.0.1
FindAccountSession u1
FindAccountSession u1 ADDRESS 127.0.0.1
FindAccountSession u1 PROTOCOL pop3 TRANSPORT plain
FindAccountSession u1 ADDRESS 127.0.0.1 PROTOCOL POP3 TRANSPORT plain
GetSession {session}
GetSession {session} DOMAIN example.test
ListSessions y@c.test
ListStat y@c.test
PostServerAlert ALERT "the server"
PostDomainAlert c.test ALERT "the domain"
PostAccountAlert y@c.test ALERT "the \"account\""
GetServerAlerts
GetDomainAlerts c.test
GetAccountAlerts y@c.test
SetAccountAlerts y@c.test ("one", "two")
RemoveAccountAlert y@c.test ALERT one
RemoveDomainAlert c.test ALERT "the domain"
RemoveServerAlert ALERT "the server"
SetServerAlerts ()
SetDomainAlerts c.test (one)
GetStatElement sessions
SetStatElement custom.tickets SET 5
SetStatElement custom.tickets INC 2
GetStatElement custom.tickets
GetNextStatName ""
GetNextStatName sessions
GetAccountStat y@c.test
GetAccountStat y@c.test Key messages
GetAccountStat y@c.test Key recipients
ResetAccountStat y@c.test
GetDomainStat c.test
ResetDomainStat c.test
WriteLog 2 "a line of the operator's"
KillSession {session}
KillSession {session} DOMAIN example.test
FindAccountSession u1
KillAccountSessions u1
NOOP
GetVersion
DeleteList olds@c.test
DeleteForwarder ff@c.test
DeleteGroup g@c.test
DeleteGroup hh@c.test
DeleteAccount x@c.test
DeleteAccount y@c.test
DeleteAccount zz@c.test
SetRouterTable ""
DeleteDomain c.test
DeleteDomain b.test
CreateDomain w.test
CreateAccount w@w.test
DeleteDomain w.test FORCE
'''

# Understood, and of no session that is there: settings.py and proxied.py find some by these words.
OF_NO_SESSION = r'''
FindAccountSession u1 FOR 192.0.2.1
FindAccountSession u1 CLIENT "a program"
FindAccountSession u1 ADDRESS 127.0.0.1 FOR 192.0.2.1 PROTOCOL pop3 TRANSPORT plain CLIENT program
GetSession 1-2 DOMAIN example.test
KillSession 1-2 DOMAIN example.test
'''

# Commands without a line above, and the test that has them.
ELSEWHERE = {
    "USER": "pwd", "PASS": "pwd", "APOP": "pwd", "AUTH": "pwd", "STLS": "pwd", "NEWPASS": "pwd", "QUIT": "pwd", "INLINE": "cli",
    "SetServerSettings": "dump", "OpenSession": "rights", "ListRecoverable": "pwd", "CountRecoverable": "pwd", "RestoreMessages": "pwd",
    "PurgeMessages": "rights", "SetRecoveryHold": "rights", "GetStoreState": "rights", "CompactStore": "rights", "ScrubStore": "rights",
    "ListDamaged": "rights", "GetAccountEffectiveAlerts": "alerts",
}

# What the description lists and this server cannot do: each is refused with a word, whatever comes with it.
NOT_HERE = r'''
CreateDomain s.test SHARED
CreateDomain s.test PATH mount
CreateAccount s PATH mount
CreateAccount s LEGACY
CreateAccount s TextMailbox
CreateAccount s AGrade
SetAccountType u1 TextMailbox
SetRouterSettings {Setting=1;}
SetAccountPassword u1 PASSWORD gatehouse METHOD plain TAG x
SetStatElement messages SET 5
Nonsense
'''


def is_keyword(word):
    return word.isalpha() and word.lower() in (
        "into", "to", "for", "password", "method", "tag", "check", "alert", "key", "filter", "accounts", "aliases", "forwarders", "cookie",
        "force", "address", "protocol", "transport", "client", "domain", "local")


def forms():
    """What the server says of each command when its words do not fit: [words] may be missing."""
    with open(os.path.join(suite.TOP, "protocols", "admin", "verbs.c"), encoding="utf-8") as f:
        return dict(re.findall(r'^\t\{ "(\w+)", "([^"]*)"', f.read(), re.M))


FORMS = forms()


def word_fits(word, token):
    if token[0] in "({" or word[0] in "({":
        return token[0] == word[0]
    text = Reader(word).value() if word[0] == '"' else word
    if "|" in token or token.isupper():
        return text.lower() in token.lower().split("|")
    return True


def fits(words):
    """Could the words be meant so? What is in brackets is there when its first word is."""
    tokens, at, i, opened = re.findall(r"\[|\]|[^\s\[\]]+", FORMS[words[0]]), 1, 0, False
    while i < len(tokens):
        token, here = tokens[i], words[at] if at < len(words) else None
        i += 1
        if token == "[":
            opened = here is not None and word_fits(here, tokens[i]) and (
                tokens[i].isupper() or not any(t.isupper() and word_fits(here, t) for t in tokens[i:]))
            if not opened:
                i = tokens.index("]", i) + 1
        elif token != "]":
            empty = here == '""' and not opened and token not in ("text", "password", "cookie")
            if here is None or empty or not word_fits(here, token):
                return False
            opened, at = False, at + 1
    return at == len(words)


def wrong_ones(line):
    """Command lines that cannot mean anything, made from one that does."""
    words = words_of(line)
    yield " ".join(words + ["one", "(more)", "{}", "x", "y"])
    yield " ".join(words) + " ("
    yield " ".join(words) + ' "'
    for i in range(1, len(words)):
        rest = words[:i], words[i + 1:]
        if not fits(rest[0] + rest[1]):
            yield " ".join(rest[0] + rest[1])
        if is_keyword(words[i]):
            yield " ".join(rest[0] + ["nonsense"] + rest[1])
            continue
        kinds = ["(((a)))", "{a={b=c;};}", "{a;}", "(a", '"\\999"']
        if words[i][0] == "(":
            kinds += ["word", "((a),(b))", "(#NULL#)"]
        elif words[i][0] == "{":
            kinds += ["word", "(a,b)"]
            kinds += ["{Nonsense=(1);}" if words[0] == "SetMailboxAliases" else "{Nonsense=1;}"]
        for kind in kinds:
            yield " ".join(rest[0] + [kind] + rest[1])


# Names of nothing; a listing of them is no listing.
ASTRAY = ["nobody@c.test", "nobody@nowhere.test", "nowhere.test", "a\u00e4@c.test", '"a b"', ".x@c.test", '""']
TAKES_NEW_NAMES = ("CreateDomain", "CreateAccount", "CreateGroup", "CreateForwarder", "CreateList", "Route", "RouteTrace", "RouteLogin",
                   "WriteLog", "GetNextStatName")
CHANGES = re.compile("Create|Rename|Delete|Suspend|Resume|Update|Set|Post|Remove|Reset|Kill|WriteLog")


def astray(line):
    words = words_of(line)
    if len(words) < 2 or words[0] in TAKES_NEW_NAMES or words[1][0] in '({"':
        return
    for name in ASTRAY:
        if name == '""' and words[0].startswith(("List", "Get", "Update", "SetDomainS", "SetAccountDef", "SetAccountTem")):
            continue  # the Main Domain
        yield " ".join([words[0], name] + words[2:])


class Session:
    """u1 is logged in by POP whenever a command is about that."""

    def __init__(self, s, c):
        self.s, self.c, self.pop = s, c, None

    def put_in(self, line):
        if "ession" not in line:
            return line
        if self.c.command("FindAccountSession u1")[0] == 501:
            self.close()
            self.pop = self.s.pop("u1")
        return line.replace("{session}", self.c.yes("FindAccountSession u1"))

    def close(self):
        if self.pop:
            self.pop.close()


def drive(c, session):
    """Runs all commands, with the wrong ones of each before it."""
    wrong = 0
    for line in lines_of(COMMANDS):
        line = session.put_in(line)
        check(fits(words_of(line)), "%s is not of its form", line)
        before = everything(c) if CHANGES.match(line) else None
        for bad in (*wrong_ones(line), *astray(line)):
            c.no(bad)
            wrong += 1
        if before:
            equal(everything(c), before, "what is there after wrong lines like %s" % line)
        c.yes(line)
    for line in lines_of(OF_NO_SESSION):
        equal(c.no(line), "there is no such session", "the answer to " + line)
        for bad in wrong_ones(line):
            c.no(bad)
    return wrong


@case("every command of the server has a line here, or it is said which test has it")
def complete(s):
    here = {line.split()[0] for line in lines_of(COMMANDS)}
    equal(sorted(verb for verb in FORMS if verb not in here and verb not in ELSEWHERE), [], "commands without a line")
    equal(sorted(verb for verb in (*here, *ELSEWHERE) if verb not in FORMS or verb in here and verb in ELSEWHERE), [], "lines of nothing")
    for verb, test in ELSEWHERE.items():
        with open(os.path.join(suite.TOP, "tests", "e2e", test + ".py"), encoding="utf-8") as f:
            check(re.search(r"\b%s\b" % verb, f.read()), "%s.py has no %s", test, verb)


@case("every command does what it says over the Unix socket, and its wrong forms are 5xx and change nothing")
def unix(s):
    c = Cli(s.admin)
    before = everything(c)
    session = Session(s, c)
    wrong = drive(c, session)
    equal(everything(c), before, "what is there at the end")
    print("        %d commands, %d wrong ones" % (len(lines_of(COMMANDS)), wrong))
    for line in lines_of(NOT_HERE):
        c.no(line)
    equal(everything(c), before, "what is there after commands that are not possible")
    session.close()
    c.close()


@case("over the PWD port the same, for an account with the Master right; data stands in the line after INLINE")
def pwd(s):
    c = Cli(("127.0.0.1", s.port(106)))
    c.login("postmaster")
    c.inline()
    before = everything(c)
    session = Session(s, c)
    drive(c, session)
    equal(everything(c), before, "what is there at the end")
    for line in lines_of(NOT_HERE):
        c.no(line)
    session.close()
    c.close()


@case("an account without rights may do nothing to others by any command of the grammar")
def ordinary(s):
    admin = Cli(s.admin)
    before = everything(admin)
    c = Cli(("127.0.0.1", s.port(106)))
    c.login("u1")
    allowed = ("MainDomainName", "NOOP", "GetVersion", "GetSettingsTable")
    for line in lines_of(COMMANDS):
        line = line.replace("{session}", "1-1").replace("y@c.test", "u2").replace("c.test", DOMAIN)
        if words_of(line)[0] in allowed or line == "ListAdminDomains":
            continue
        if words_of(line)[0] == "FindAccountSession":
            line = "FindAccountSession u2"
        c.no(line)
    equal(everything(admin), before, "what is there")
    equal(c.yes("GetAccountInfo * Key AccountName"), "u1@" + DOMAIN, "the own name")
    for one in (c, admin):
        one.close()


@case("what the page says is not here yet is unknown, with or without words")
def not_yet(s):
    with open(os.path.join(suite.TOP, "docs", "admin.md"), encoding="utf-8") as f:
        part = f.read().split("**Not here yet**")[1].split("\n\n")[1]
    verbs = re.findall(r"`(\w+)`", part)
    check(len(verbs) > 60, "the page names %d", len(verbs))
    c = Cli(s.admin)
    for verb in verbs:
        for words in ("", " u1", " u1 ()"):
            equal(c.no(verb + words), "unknown command", "the answer to " + verb + words)
    c.close()


@case("a Router's table of 500 KB is set and comes back; one with a wrong line changes nothing")
def table(s):
    c = Cli(s.admin)
    text = "\n" + "\n".join("<n%d> = name-%d-of-some-length@elsewhere%d.example" % (i, i, i % 100) for i in range(10000))
    c.yes('SetRouterTable "%s"' % text.replace("\n", "\\e"))
    equal(c.yes("GetRouterTable"), text, "the table")
    c.no('SetRouterTable "%s\\ewhat is this"' % text.replace("\n", "\\e"))
    equal(c.yes("GetRouterTable"), text, "the table after a wrong one")
    equal(c.yes("Route n9999")[2], "name-9999-of-some-length@elsewhere99.example", "where the last one leads")
    c.yes('SetRouterTable ""')
    equal(c.yes("GetRouterTable"), "", "the table")
    c.close()


@case("what was asked for is counted for the account and its domain, until it is counted anew; an operator's figures stand by")
def figures(s):
    c = Cli(s.admin)
    c.yes("CreateDomain f.test")
    c.yes('CreateAccount f@f.test {Password="%s";}' % suite.PASSWORD)
    equal([c.yes("GetAccountStat f@f.test KEY " + k) for k in ("recipients", "logins-tried", "counted-since")], [0, 0, 0], "figures")
    s.deliver("f@f.test")
    s.mail("f@f.test")
    for get, keys in (("GetAccountStat f@f.test", ("recipients", "logins-tried", "counted-since")),
                      ("GetDomainStat f.test", ("Recipients", "LoginsTried", "CountedSince"))):
        got = c.yes(get)
        equal([got[k] for k in keys[:2]], [1, 1], get)
        check(got[keys[2]] > 1500000000, "counted since %s", got[keys[2]])
    c.yes("ResetAccountStat f@f.test")
    equal([c.yes("GetAccountStat f@f.test")[k] for k in ("recipients", "logins-tried", "messages")], [0, 0, 1], "figures after")
    equal(c.yes("GetDomainStat f.test")["Recipients"], 1, "the domain's")
    c.yes("ResetDomainStat f.test")
    equal(c.yes("GetDomainStat f.test")["Recipients"], 0, "the domain's")
    for bad in ("x", "custom.", "custom.a_b", "messages", "custom." + "x" * 41):
        c.no("SetStatElement %s SET 1" % bad)
    for bad in ("SET -1", "SET x", "INC", "ADD 1", "SET 9223372036854775808"):
        c.no("SetStatElement custom.a " + bad)
    c.yes("SetStatElement custom.Big SET 9223372036854775807")
    c.no("SetStatElement custom.big INC 1")
    equal(c.yes("GetStatElement custom.BIG"), 9223372036854775807, "the figure")
    for d in ("DeleteAccount f@f.test", "DeleteDomain f.test", "SetStatElement custom.big SET 0"):
        c.yes(d)
    c.close()


@case("a value written in any of the ways of the data format is the same value")
def values(s):
    c = Cli(s.admin)
    for form, want in (('"a b"', "a b"), ('"a" " b"', "a b"), ('"a\\032b"', "a b"), ("ab", "ab"), ('"q\\"\\\\"', 'q"\\'),
                       ("\u00e4-1_.x", "\u00e4-1_.x")):
        c.yes("UpdateAccountSettings u1 {RealName=%s;}" % form)
        equal(c.yes("GetAccountOneSetting u1 RealName"), want, "what was written as %s" % form)
    c.yes("updateACCOUNTsettings u1 { realname = default ; }")
    equal(c.yes("GetAccountSettings u1"), {}, "the settings")
    c.send("GetAccountOneSetting u1 RealName\nMainDomainName\r\n")
    equal([c.line() for _ in range(4)], ["200 data follow", '""', "200 data follow", '"%s"' % DOMAIN], "the answers")
    c.close()


if __name__ == "__main__":
    main(27500)
