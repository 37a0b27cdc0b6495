#!/usr/bin/python3
"""grammar - a client of the administration protocol written from its description alone: every command, right and
wrong, over the Unix socket and over the PWD port.

Each row of COMMANDS (lines.py) is a command line that works, in the order in which they are run; from each of them wrong ones
are made: words that are missing or too many, values of another kind, names of nothing. A wrong one is answered 5xx,
and what the directory holds is as before. Which words may be missing is told by the forms that the server shows.
"""
import os
import re

import later
import suite
from cli import Cli, Reader, everything, lines_of, words_of
from lines import COMMANDS, NOT_HERE, OF_NO_SESSION
from suite import DOMAIN, case, check, equal, main

# Commands without a line above, and the test that has them.
ELSEWHERE = {
    "USER": "pwd", "PASS": "pwd", "APOP": "pwd", "AUTH": "pwd", "STLS": "pwd", "NEWPASS": "pwd", "QUIT": "pwd", "INLINE": "cli",
    "SetServerSettings": "dump", "OpenSession": "rights", "ListRecoverable": "pwd", "CountRecoverable": "pwd", "RestoreMessages": "pwd",
    "PurgeMessages": "rights", "SetRecoveryHold": "rights", "GetStoreState": "rights", "CompactStore": "rights", "ScrubStore": "rights",
    "ListDamaged": "rights", "GetAccountEffectiveAlerts": "alerts",
}


def is_keyword(word):
    return word.isalpha() and word.lower() in (
        "into", "to", "for", "password", "method", "tag", "check", "alert", "key", "filter", "accounts", "aliases", "forwarders", "cookie",
        "force", "address", "protocol", "transport", "client", "domain", "local", "mailbox", "mailboxes", "auth", "class", "file", "offset",
        "size", "data", "path", "subset", "name", "queue", "temp", "skin", "delete", "silently", "confirm", "all")


def forms():
    """What the server says of each command when its words do not fit: [words] may be missing."""
    with open(os.path.join(suite.TOP, "protocols", "admin", "verbs.c"), encoding="utf-8") as f:
        return dict(re.findall(r'^\t\{ "(\w+)", "([^"]*)"', f.read(), re.M))


FORMS = forms()


LATER_VERBS = {line.split()[0] for line in later.lines("c.test")}


def word_fits(word, token):
    if token[0] in "({<" or word[0] in "({[":
        return token[0] == word[0].replace("[", "<")
    if token.isupper() and "|" not in token:
        return word.upper() == token
    text = Reader(word).value() if word[0] == '"' else word
    if "|" in token or token.isupper():
        return text.lower() in token.lower().split("|")
    return True


def is_flag(word, token, later):
    """A value that is, without quotes, what may stand alone in brackets later: somebody forgot the value."""
    flags = [later[k + 1] for k in range(len(later) - 2) if later[k] == "[" and later[k + 2] == "]" and later[k + 1].isupper()]
    return not token.isupper() and "|" not in token and word.upper() in flags


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
            if here is None or empty or not word_fits(here, token) or (at > 1 and is_flag(here, token, tokens[i:])):
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
            if words[0].endswith("Prefs"):
                kinds = ["(((a)))", "{a;}", "(a", "word", '{""=1;}', "{a=1;A=2;}"]
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
    here = {line.split()[0] for line in lines_of(COMMANDS)} | LATER_VERBS
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
    allowed = ("MainDomainName", "NOOP", "GetVersion", "GetSettingsTable", "HELP")
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


# Values that are wrong for what they mean: nobody looks at that yet.
INSIDE = ("{Nonsense=1;}", "(#NULL#)", "((a),(b))", "{a={b=c;};}", "(((a)))")


def not_here(verb):
    return "%s is not here yet: " % verb


def make_objects(c):
    for line in ("CreateDomain c.test", "CreateAccount user@c.test", "CreateList news@c.test FOR user@c.test"):
        c.yes(line)


@case("what comes later is understood and refused by its name; its wrong forms, and names of nothing, are refused before")
def not_yet(s):
    c = Cli(s.admin)
    empty = everything(c)
    make_objects(c)
    before, wrong = everything(c), 0
    for line in later.lines("c.test"):
        words = words_of(line)
        check(fits(words), "%s is not of its form", line)
        check(c.no(line).startswith(not_here(words[0])), "%s was answered %r", line, c.no(line))
        for bad in wrong_ones(line):
            told = c.no(bad)
            check(not told.startswith(not_here(words[0])) or any(inside in bad for inside in INSIDE), "%s was answered %r", bad, told)
            wrong += 1
        for bad in astray(line) if "@c.test" in line or " c.test" in line else ():
            check(not c.no(bad).startswith(not_here(words[0])), "%s was understood", bad)
    for line in ("UpdateAccountMailRule user@c.test", "UpdateAccountMailRule user@c.test (a) DELETE a"):
        check(c.no(line).startswith("usage: "), "%s was understood", line)
    equal(everything(c), before, "what is there")
    print("        %d commands, %d wrong ones" % (len(later.ROWS.split("\n")) - 2, wrong))
    for line in ("DeleteList news@c.test", "DeleteAccount user@c.test", "DeleteDomain c.test"):
        c.yes(line)
    equal(everything(c), empty, "what is there at the end")
    c.close()


@case("HELP tells every command with its form, and of those that come later what they come with; the page names the same")
def told_by_help(s):
    with open(os.path.join(suite.TOP, "docs", "admin.md"), encoding="utf-8") as f:
        part = f.read().split("**Not here yet**")[1].split("\n\n")[1]
    c = Cli(s.admin)
    rows = c.yes("HELP")
    equal({r["Command"]: r["Form"] for r in rows}, FORMS, "commands and forms")
    equal({r["Command"] for r in rows if "Later" in r}, LATER_VERBS, "those that come later")
    equal(sorted(re.findall(r"`(\w+)`", part)), sorted(LATER_VERBS), "those that the page names")
    equal(c.yes("help routetrace"), [{"Command": "RouteTrace", "Form": FORMS["RouteTrace"]}], "one of them")
    c.close()


@case("preferences are kept as they are given and changed key by key; what counts is put together from account, domain and server")
def prefs(s):
    c = Cli(s.admin)
    given = {"Language": "english", "A signature": "two\nlines", "Empty": "", "Nested": {"a": ["b", 5]}}
    c.yes('SetAccountPrefs u1 {Language=english; "A signature"="two\\elines"; Empty=""; Nested={a=(b,#5);};}')
    equal(c.yes("GetAccountPrefs u1"), given, "what was set")
    c.yes("UpdateAccountDefaultPrefs {language=german; Skin=plain; Zone=default;}")
    c.yes("UpdateAccountDefaultPrefs {Hours=(9,17);}")
    c.yes("UpdateServerAccountDefaults {Prefs={Skin=other; Zone=UTC;};}")
    equal(c.yes("GetAccountDefaultPrefs " + DOMAIN), {"language": "german", "Skin": "plain", "Hours": ["9", "17"]}, "the domain's")
    equal(c.yes("GetAccountEffectivePrefs u1"), {**given, "Skin": "plain", "Hours": ["9", "17"], "Zone": "UTC"}, "what counts")
    u1 = Cli(("127.0.0.1", s.port(106)))
    u1.login("u1")
    u1.yes("UpdateAccountPrefs * {nested=default; Empty=default; Skin=mine;}")
    equal(u1.yes("GetAccountPrefs u1"), {"Language": "english", "A signature": "two\nlines", "Skin": "mine"}, "what u1 left")
    equal(u1.yes("GetAccountEffectivePrefs *")["Skin"], "mine", "the skin")
    for line in ("GetAccountPrefs u2", "SetAccountPrefs u2 {a=b;}", "UpdateAccountDefaultPrefs {a=b;}", "UpdateAccountPrefs u1 {a=%s;}" % ("x" * 16384),
                 "SetAccountPrefs u1 {a=[%s];}" % ("A" * 56000)):
        u1.no(line)
    if s.engine != "memory":
        s.restart()
        c = Cli(s.admin)
        equal(c.yes("GetAccountPrefs u1")["Skin"], "mine", "the skin after a new start")
    for line in ("SetAccountPrefs u1 {}", "SetAccountDefaultPrefs {}", "UpdateServerAccountDefaults {Prefs=default;}"):
        c.yes(line)
    equal(c.yes("GetAccountSettings u1"), {}, "what is left")
    for one in (c, u1):
        one.close()


@case("lists of a domain and of an account are told with how many subscribe")
def lists(s):
    c = Cli(s.admin)
    for line in ("CreateList one FOR u1", "CreateList two FOR u2"):
        c.yes(line)
    equal(c.yes("GetDomainLists"), {"one": 0, "two": 0}, "of the domain")
    equal(c.yes("GetAccountLists u2"), {"two": 0}, "of u2")
    equal(c.yes("GetAccountLists postmaster"), {}, "of postmaster")
    for line in ("DeleteList one", "DeleteList two"):
        c.yes(line)
    c.close()


@case("a word that may stand alone later is no password without quotes: one that a script forgot changes nothing")
def forgotten(s):
    c = Cli(s.admin)
    for line in ("SetAccountPassword u1 PASSWORD CHECK", "SetAccountPassword u1 check", "SetAccountPassword u1 PASSWORD All",
                 "SetAccountPassword u1 PASSWORD x TAG CHECK"):
        check(c.no(line).startswith("usage: "), "%s was understood", line)
    c.yes("VerifyAccountPassword u1 PASSWORD " + suite.PASSWORD)
    equal(c.yes("ListAccountPasswords u1"), [], "tags")
    c.yes('SetAccountPassword u1 PASSWORD "CHECK"')
    s.ctl("password", "check", "u1", stdin="CHECK")
    s.ctl("password", "set", "u1", stdin="all")
    c.yes('VerifyAccountPassword u1 PASSWORD "all"')
    c.yes("SetAccountPassword u1 PASSWORD " + suite.PASSWORD)
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
