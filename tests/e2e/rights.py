#!/usr/bin/python3
"""rights - every role asks every command about every kind of target, over the PWD port and the Unix socket; and an
intruder with all rights over one domain learns nothing of another.

ROWS was written from the description of rights (docs/settings.md), not from the columns of the code. A command that is
neither there nor in OUTSIDE fails the test. The lines are such that one which is allowed changes nothing: it is refused for
another reason, or sets what is there already.
"""
import os
import re

import suite
from cli import Cli, everything
from suite import DOMAIN, PASSWORD, TOP, case, check, equal, main

# What a refusal for want of a right says.
DENIED = ("this needs a right that you do not have", "you may not do this with the password of this account",
          "these figures are not yours to see", "you may not do this to that account", "the store's upkeep is not yours")

# In a line $ is the target's domain. Enough is any of the rights; "all": whoever administers, "everybody": whoever logged
# in, "self": the account itself, "none": Master alone.
LOOK = "UserAccounts DomainsRead Domain"
ROWS = r'''
ListDomains | UserAccounts DomainsRead
ListAdminDomains | everybody
ListAdminDomains $ | LOOK
MainDomainName | all
CreateDomain bad*name | UserAccounts
RenameDomain $ into bad*name | UserAccounts
DeleteDomain $ | UserAccounts
SuspendDomain no.$ | UserAccounts
ResumeDomain no.$ | UserAccounts
GetDomainInfo $ | LOOK
ListDomainObjects $ 10 | LOOK
GetDomainAliases $ | LOOK
SetDomainAliases $ ("bad*name") | UserAccounts
GetDomainSettings $ | LOOK
GetDomainEffectiveSettings $ | LOOK
UpdateDomainSettings $ {} | UserAccounts Domain
UpdateDomainSettings $ {IPAddresses=("bad*address");} | UserAccounts
SetDomainSettings $ {NoSuch=1;} | UserAccounts Domain
GetAccountDefaults $ | LOOK
UpdateAccountDefaults $ {} | UserAccounts Domain
SetAccountDefaults $ {NoSuch=1;} | UserAccounts Domain
GetAccountTemplate $ | LOOK
UpdateAccountTemplate $ {} | UserAccounts Domain
SetAccountTemplate $ {NoSuch=1;} | UserAccounts Domain
GetDomainDefaults | Settings
UpdateDomainDefaults {} | Settings
SetDomainDefaults {NoSuch=1;} | Settings
GetServerAccountDefaults | Settings
UpdateServerAccountDefaults {} | Settings
SetServerAccountDefaults {NoSuch=1;} | Settings
GetServerSettings | Settings
UpdateServerSettings {} | Settings
SetServerSettings {NoSuch=1;} | Settings
GetSettingsTable | all
ListAccounts $ | LOOK
CreateAccount bad*name@$ | UserAccounts CanCreateAccounts
RenameAccount user@$ into bad*name@$ | UserAccounts CanCreateAccounts
RenameAccount user@one.test into bad*name@two.test | UserAccounts
DeleteAccount nobody@$ | UserAccounts CanCreateAccounts
GetAccountSettings user@$ | LOOK self
GetAccountEffectiveSettings user@$ | LOOK self
GetAccountOneSetting user@$ RealName | LOOK self
UpdateAccountSettings user@$ {} | UserAccounts Domain
SetAccountSettings user@$ {NoSuch=1;} | UserAccounts Domain
GetAccountRights user@$ | LOOK self
SetAccountRights user@$ (NoSuchRight) | UserAccounts
GetAccountInfo user@$ | LOOK Monitors self
SetAccountPassword user@$ PASSWORD gatehouse METHOD nonsense | UserAccounts BasicSettings self
VerifyAccountPassword user@$ PASSWORD wrong | UserAccounts BasicSettings self
GetAccountAliases user@$ | LOOK self
SetAccountAliases user@$ ("bad*name") | UserAccounts CanCreateAliases
ListGroups $ | LOOK
CreateGroup bad*name@$ | UserAccounts CanCreateGroups
RenameGroup nobody@$ into other@$ | UserAccounts CanCreateGroups
DeleteGroup nobody@$ | UserAccounts CanCreateGroups
GetGroup group@$ | LOOK
SetGroup group@$ {NoSuch=1;} | UserAccounts CanCreateGroups
ListForwarders $ | LOOK
CreateForwarder bad*name@$ TO a@b.example | UserAccounts CanCreateForwarders
RenameForwarder nobody@$ into other@$ | UserAccounts CanCreateForwarders
DeleteForwarder nobody@$ | UserAccounts CanCreateForwarders
GetForwarder away@$ | LOOK
FindForwarders $ TO a@b.example | LOOK
ListLists $ | LOOK
CreateList bad*name@$ FOR user@$ | UserAccounts CanCreateLists
RenameList nobody@$ into other@$ | UserAccounts CanCreateLists
DeleteList nobody@$ | UserAccounts CanCreateLists
GetList news@$ | LOOK
GetRouterTable | Settings
SetRouterTable "what is this" | Settings
Route user@$ | Settings UserAccounts
RouteTrace user@$ | Settings UserAccounts
RouteLogin user LOCAL 127.0.0.1 DOMAIN $ | Settings UserAccounts
GetServerAlerts | Settings Monitors
SetServerAlerts ("\010") | Settings
PostServerAlert ALERT "\010" | Settings
RemoveServerAlert ALERT none | Settings
GetDomainAlerts $ | LOOK Monitors
SetDomainAlerts $ ("\010") | UserAccounts BasicSettings
PostDomainAlert $ ALERT "\010" | UserAccounts BasicSettings
RemoveDomainAlert $ ALERT none | UserAccounts BasicSettings
GetAccountAlerts user@$ | LOOK Monitors self
GetAccountEffectiveAlerts user@$ | LOOK self
SetAccountAlerts user@$ ("\010") | UserAccounts BasicSettings
PostAccountAlert user@$ ALERT "\010" | UserAccounts BasicSettings
RemoveAccountAlert user@$ ALERT none | UserAccounts BasicSettings
WriteLog 9 text | Monitors
ListSessions user@$ | LOOK Monitors self
FindAccountSession user@$ | LOOK Monitors self
KillAccountSessions user@$ | UserAccounts BasicSettings self
ListStat | Monitors
GetStatElement directory.domains | Monitors
GetNextStatName | Monitors
ListStat user@$ | LOOK Monitors self
GetAccountStat user@$ | LOOK Monitors self
GetDomainStat $ | LOOK
ListRecoverable user@$ | UserAccounts CanAccessMailboxes self
CountRecoverable user@$ | UserAccounts CanAccessMailboxes self
RestoreMessages user@$ | UserAccounts CanAccessMailboxes self
PurgeMessages user@$ | none
SetRecoveryHold user@$ NO | none
GetStoreState | Monitors
ListDamaged | Monitors
CompactStore | Settings
ScrubStore | Settings
'''

# Of one connection; about the own account; a descriptor, which goes over the Unix socket alone; and what takes the
# number of a session, which sessions() below looks at.
OUTSIDE = {"INLINE", "QUIT", "NOOP", "GetVersion", "NEWPASS", "USER", "PASS", "APOP", "AUTH", "STLS", "OpenSession",
           "ListSessions", "GetSession", "KillSession"}

ROLES = {
    "master@" + DOMAIN: "Master", "settings@" + DOMAIN: "Settings", "users@" + DOMAIN: "UserAccounts",
    "reader@" + DOMAIN: "DomainsRead", "monitor@" + DOMAIN: "Monitors", "directory@" + DOMAIN: "Directory",
    "maindom@" + DOMAIN: "Domain CanCreateAccounts", "domain@one.test": "Domain", "basic@one.test": "Domain BasicSettings",
    "creator@one.test": "Domain CanCreateAccounts", "aliaser@one.test": "Domain CanCreateAliases",
    "grouper@one.test": "Domain CanCreateGroups", "forwarder@one.test": "Domain CanCreateForwarders",
    "lister@one.test": "Domain CanCreateLists", "mail@one.test": "Domain CanAccessMailboxes",
    "actor@one.test": "Domain CanImpersonate", "alone@one.test": "CanCreateAccounts BasicSettings", "user@one.test": "",
}
INTRUDER = "boss@one.test"
ALL_OF_A_DOMAIN = ("Domain BasicSettings WebUserSettings CanCreateAccounts CanCreateAliases CanCreateGroups "
                   "CanCreateForwarders CanCreateLists CanAccessMailboxes CanImpersonate")
SERVER_RIGHTS = {"Settings", "UserAccounts", "DomainsRead", "Monitors", "Directory"}
DOMAINS = (DOMAIN, "one.test", "two.test")


def rows():
    for line in ROWS.strip().split("\n"):
        command, may = line.rsplit(" | ", 1)
        yield command, set(may.replace("LOOK", LOOK).split())


def make_world(s):
    c = Cli(s.admin)
    for d in DOMAINS[1:]:
        c.yes("CreateDomain " + d)
    for d in DOMAINS:
        c.yes('CreateAccount user@%s {Password="%s";}' % (d, PASSWORD))
        c.yes("CreateGroup group@%s {Members=(user);}" % d)
        c.yes("CreateForwarder away@%s TO a@b.example" % d)
        c.yes("CreateList news@%s FOR user@%s" % (d, d))
    for name, rights in {**ROLES, INTRUDER: ALL_OF_A_DOMAIN}.items():
        if not name.startswith("user@"):
            c.yes('CreateAccount %s {Password="%s";}' % (name, PASSWORD))
        c.yes("SetAccountRights %s (%s)" % (name, ",".join(rights.split())))
    return c


def expected(role, may, domain):
    rights = set(ROLES[role].split())
    if "everybody" in may or "Master" in rights:
        return True
    if "all" in may:
        return bool(rights)
    if rights & SERVER_RIGHTS & may:
        return True
    if domain is None or role.split("@")[1] != domain:
        return False
    return ("self" in may and role == "user@" + domain) or ("Domain" in rights and bool(rights & may))


def login(s, user):
    c = Cli(("127.0.0.1", s.port(106)))
    c.login(user)
    c.inline()
    return c


def denied(answer):
    return answer[0] == 501 and answer[1] in DENIED


@case("every command of the grammar has a row or a reason why not, and every row is a command")
def complete(s):
    with open(os.path.join(TOP, "protocols", "admin", "verbs.c"), encoding="utf-8") as f:
        there = set(re.findall(r'^\t\{ "(\w+)", "', f.read(), re.M))
    check(len(there) > 100, "the table of commands was not found")
    mine = {command.split()[0] for command, _ in rows()}
    equal(sorted(there - mine - OUTSIDE), [], "commands without a row in the matrix of rights")
    equal(sorted((mine | OUTSIDE) - there), [], "rows of commands that do not exist")


@case("the matrix: every role, every command, every domain, over the PWD port; root by the Unix socket may all")
def matrix(s):
    root = make_world(s)
    before = everything(root)
    cells = yes = 0
    for role in list(ROLES) + [None]:
        c = login(s, role) if role else Cli(s.admin)
        wrong = []
        for command, may in rows():
            for d in DOMAINS if "$" in command else DOMAINS[:1]:
                answer = c.command(command.replace("$", d))
                want = role is None or expected(role, may, about(command, d))
                if denied(answer) == want:
                    wrong.append("%s: %s %s" % (command.replace("$", d), *answer))
                cells += 1
                yes += want
        equal(wrong, [], "what %s was answered" % (role or "root"))
        c.close()
    equal(everything(root), before, "what is there afterwards")
    print("        %d cells, %d allowed" % (cells, yes))
    root.close()


def about(command, domain):
    return domain if "$" in command else "one.test" if "one.test" in command and "two.test" not in command else None


def again(c, command):
    answer = c.command(command)
    return "%s %s" % answer


@case("an intruder with every right over one domain is answered the same about names of another that exist and that do not")
def probing(s):
    root = Cli(s.admin)
    before = everything(root)
    c = login(s, INTRUDER)
    n = 0
    for command, _ in rows():
        if "$" not in command and "two.test" not in command:
            continue
        line = command.replace("$", "two.test").replace("one.test", "two.test")
        answers = {again(c, line.replace("two.test", d).replace("user@", who + "@")).replace(d, "DOMAIN")
                   for d in ("two.test", "nowhere.test", DOMAIN) for who in ("user", "nobody")}
        equal(len(answers), 1, "different answers to %s: %r" % (line, answers))
        check(answers.pop().startswith("501 "), "%s is answered", line)
        n += 1
    # Names of others where they are no target of the command.
    for line in ("CreateList l@one.test FOR {}", "RenameAccount alone@one.test into {}", "RenameGroup group@one.test into {}",
                 "RenameForwarder away@one.test into {}", "RenameList news@one.test into {}", "RouteLogin x LOCAL 127.0.0.1 DOMAIN {}",
                 "Route {}", "RouteTrace {} access", "GetSession 1-1 DOMAIN {}", "KillSession 1-1 DOMAIN {}"):
        answers = {again(c, line.format(name)) for name in
                   ("user@two.test", "nobody@two.test", "nobody@nowhere.test", "group@two.test", "news@two.test")}
        equal(len(answers), 1, "different answers to %s: %r" % (line, answers))
    # What is kept as a text is shown as it was typed, whatever is there.
    names = ["User@Two.Test", "Nobody@Two.Test", "User@Nowhere.Test", "Group@Two.Test", "News@two.test"]
    c.yes("CreateGroup probe@one.test {Members=(%s);}" % ",".join(names))
    equal(c.yes("GetGroup probe@one.test")["Members"], names, "members")
    c.yes("DeleteGroup probe@one.test")
    for name in names:
        c.yes("CreateForwarder probe@one.test TO " + name)
        equal(c.yes("GetForwarder probe@one.test"), name, "address")
        c.yes("DeleteForwarder probe@one.test")
    equal(everything(root), before, "what is there afterwards")
    check("two.test" not in str([c.yes(q) for q in ("ListAdminDomains", "ListDomainObjects one.test 100", "GetSettingsTable",
                                                    "ListSessions *", "GetAccountEffectiveAlerts *")]), "another domain is shown")
    print("        %d commands probed" % n)
    c.close()
    root.close()


@case("sessions of other domains are nobody's to see or end, by number neither")
def sessions(s):
    pops = {d: s.pop("user@" + d) for d in DOMAINS}
    root, boss, user = Cli(s.admin), login(s, INTRUDER), login(s, "user@one.test")
    sid = {d: root.yes("FindAccountSession user@" + d) for d in DOMAINS}
    for c in (boss, user):
        answers = {again(c, verb % n) for n in (sid[DOMAIN], sid["two.test"], "1-1")
                   for verb in ("GetSession %s", "KillSession %s", "GetSession %s DOMAIN two.test")}
        equal(len(answers), 1, "different answers: %r" % answers)
        equal(c.yes("ListSessions"), [], "sessions of all")
    mine = boss.yes("ListSessions user@one.test")
    equal([r["Protocol"] for r in mine], ["pop3", "pwd"], "sessions of the own domain")
    equal(mine[0]["SID"], sid["one.test"], "the session by POP")
    for name in ("monitor@" + DOMAIN, "users@" + DOMAIN):
        with login(s, name) as c:
            check({sid[d] for d in DOMAINS} <= {r["SID"] for r in c.yes("ListSessions")}, "%s does not see all", name)
    equal(user.yes("KillSession " + sid["one.test"]), 1, "ended by the user")
    for d in (DOMAIN, "two.test"):
        check(pops[d].noop().startswith(b"+OK"), "a session of %s has ended", d)
    for c in (root, boss, user, *pops.values()):
        c.close()


if __name__ == "__main__":
    main(24600)
