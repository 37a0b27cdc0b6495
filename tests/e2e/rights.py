#!/usr/bin/python3
"""rights - every role asks every command about every kind of target, over the PWD port and the Unix socket; who may do
more than the administrator, be it only when he is resumed, is nobody's to change; and an intruder with all rights over one
domain learns nothing of another.

ROWS was written from the description of rights (docs/settings.md), not from the columns of the code. A command that is
neither there nor in OUTSIDE fails the test. The lines are such that one which is allowed changes nothing: it is refused for
another reason, or sets what is there already.
"""
import base64
import os
import re

import later
import suite
from cli import Cli, everything, lines_of
from suite import DOMAIN, PASSWORD, TOP, case, check, equal, main

# What a refusal for want of a right says.
DENIED = ("this needs a right that you do not have", "you may not do this with the password of this account",
          "these figures are not yours to see", "you may not do this to that account", "the store's upkeep is not yours",
          "only over the administration socket of this machine")

# In a line $ is the target's domain. Enough is any of the rights; "all": whoever administers, "everybody": whoever logged
# in, "self": the account itself, "none": Master alone, "socket": root alone, since a descriptor does not go over TCP.
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
GetDomainLocation $ | LOOK
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
SetAccountPassword user@$ PASSWORD short CHECK | LOOK Monitors self
ListAccountPasswords user@$ | UserAccounts BasicSettings self
VerifyAccountIdentity user@$ FOR a@b.example | LOOK self
GetAccountLocation user@$ | LOOK Monitors self
SetAccountType user@$ AGrade | UserAccounts CanCreateAccounts
GetAccountPrefs user@$ | LOOK self
GetAccountEffectivePrefs user@$ | LOOK self
UpdateAccountPrefs user@$ {""=x;} | UserAccounts WebUserSettings self
SetAccountPrefs user@$ {""=x;} | UserAccounts WebUserSettings self
GetAccountDefaultPrefs $ | LOOK
UpdateAccountDefaultPrefs $ {""=x;} | UserAccounts WebUserSettings
SetAccountDefaultPrefs $ {""=x;} | UserAccounts WebUserSettings
GetMailboxAliases user@$ | LOOK self
SetMailboxAliases user@$ {a="";} | UserAccounts BasicSettings self
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
GetDomainLists $ | LOOK
GetAccountLists user@$ | LOOK self
CreateList bad*name@$ FOR user@$ | UserAccounts CanCreateLists
RenameList nobody@$ into other@$ | UserAccounts CanCreateLists
DeleteList nobody@$ | UserAccounts CanCreateLists
GetList news@$ | LOOK
GetRouterTable | Settings
SetRouterTable "what is this" | Settings
GetRouterSettings | Settings
SetRouterSettings {NoSuch=1;} | Settings
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
SetStatElement messages SET 1 | Monitors
ListStat user@$ | LOOK Monitors self
GetAccountStat user@$ | LOOK Monitors self
ResetAccountStat nobody@$ | UserAccounts BasicSettings
GetDomainStat $ | LOOK
ResetDomainStat $ | UserAccounts BasicSettings
ListRecoverable user@$ | UserAccounts CanAccessMailboxes self
CountRecoverable user@$ | UserAccounts CanAccessMailboxes self
RestoreMessages user@$ | UserAccounts CanAccessMailboxes self
PurgeMessages user@$ | none
SetRecoveryHold user@$ NO | none
GetStoreState | Monitors
ListDamaged | Monitors
CompactStore | Settings
ScrubStore | Settings
NEWPASS gatehouse | everybody
GetBlacklistedIPs | Settings
SetBlacklistedIPs ("bad*address") | Settings
OpenSession user@$ | socket
'''

# Those that take the number of a session, or show none to who may see none: session_matrix() below. The same form; $ is
# the number of a session of user@ in the target's domain.
SESSION_ROWS = '''
ListSessions | UserAccounts Monitors
GetSession $ | UserAccounts Monitors self
KillSession $ | UserAccounts BasicSettings self
'''

# Of one connection.
OUTSIDE = {"INLINE", "QUIT", "NOOP", "GetVersion", "HELP", "USER", "PASS", "APOP", "AUTH", "STLS"}

ROLES = {
    "master@" + DOMAIN: "Master", "settings@" + DOMAIN: "Settings", "users@" + DOMAIN: "UserAccounts",
    "reader@" + DOMAIN: "DomainsRead", "monitor@" + DOMAIN: "Monitors", "directory@" + DOMAIN: "Directory",
    "maindom@" + DOMAIN: "Domain CanCreateAccounts", "domain@one.test": "Domain", "basic@one.test": "Domain BasicSettings",
    "creator@one.test": "Domain CanCreateAccounts", "aliaser@one.test": "Domain CanCreateAliases",
    "grouper@one.test": "Domain CanCreateGroups", "forwarder@one.test": "Domain CanCreateForwarders",
    "lister@one.test": "Domain CanCreateLists", "mail@one.test": "Domain CanAccessMailboxes",
    "actor@one.test": "Domain CanImpersonate", "ruler@one.test": "Domain RulesAllowed CanCreateTelnums CanModifyRSIP",
    "rover@one.test": "Domain SignalRulesAllowed CanModifyRPOP WebUserSettings CanAccessWebSites",
    "idle@one.test": "Domain PSTNSettings CanCreateSpecialAccounts CanCreateNamedTasks CentralDirectory",
    "alone@one.test": "CanCreateAccounts BasicSettings", "user@one.test": "",
}
INTRUDER = "boss@one.test"
ALL_OF_A_DOMAIN = ("Domain BasicSettings WebUserSettings CanCreateAccounts CanCreateAliases CanCreateGroups "
                   "CanCreateForwarders CanCreateLists CanAccessMailboxes CanImpersonate")
SERVER_RIGHTS = {"Settings", "UserAccounts", "DomainsRead", "Monitors", "Directory"}
DOMAINS = (DOMAIN, "one.test", "two.test")


def rows(text=ROWS + later.ROWS.lstrip()):
    for line in text.strip().split("\n"):
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
    if "socket" in may:
        return False
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
    mine = {command.split()[0] for command, _ in [*rows(), *rows(SESSION_ROWS)]}
    equal(sorted(there - mine - OUTSIDE), [], "commands without a row in the matrix of rights")
    equal(sorted((mine | OUTSIDE) - there), [], "rows of commands that do not exist")
    with open(os.path.join(TOP, "common", "ipc", "rights.def"), encoding="utf-8") as f:
        rights = set(re.findall(r'^RIGHT\(\w+, "(\w+)"', f.read(), re.M))
    equal(sorted(rights ^ set(" ".join(ROLES.values()).split())), [], "rights without a role, or roles of no right")


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


@case("the matrix of sessions: which role sees and ends whose, and DOMAIN is the domain of the account or the answer is no")
def session_matrix(s):
    root, pops, sid = Cli(s.admin), {}, {}

    def open_one(d):
        pops[d] = s.pop("user@" + d)
        sid[d] = root.yes("FindAccountSession user@%s PROTOCOL pop3" % d)

    def done(c, command, d):
        code, value = c.command(command.replace("$", sid[d]))
        if command == "ListSessions":
            return sid[d] in {r["SID"] for r in value}
        return code == 201 and (command.startswith("Kill") or value["Account"] == "user@" + d)

    for d in DOMAINS:
        open_one(d)
    for role in list(ROLES) + [None]:
        c, wrong = login(s, role) if role else Cli(s.admin), []
        c.inline()
        for command, may in rows(SESSION_ROWS):
            for d in DOMAINS:
                want = role is None or expected(role, may, d if "$" in command else None)
                other = DOMAINS[DOMAINS.index(d) - 1]
                if "$" in command:
                    equal(again(c, command.replace("$", sid[d]) + " DOMAIN " + other), "501 there is no such session",
                          "a session of %s as one of %s, to %s" % (d, other, role or "root"))
                    equal(sid[d] in {r["SID"] for r in root.yes("ListSessions")}, True, "the session is there")
                if done(c, command, d) != want:
                    wrong.append("%s: %s" % (command, d))
                if want and command.startswith("Kill"):
                    pops[d].close()
                    open_one(d)
        equal(wrong, [], "what %s may not, or cannot" % (role or "root"))
        c.close()
    equal(root.yes("GetSession %s DOMAIN Two.Test" % sid["two.test"])["SID"], sid["two.test"], "the session by its domain")
    equal(root.yes("KillSession %s DOMAIN two.test" % sid["two.test"]), 1, "ended by its domain")
    pops.pop("two.test").close()
    for pop in pops.values():
        pop.close()
    root.close()


def acts_for(s, who, target):
    """Does he open the target's mail with his own password (RFC 4616)?"""
    with s.pop_line() as l:
        return l.ask("AUTH PLAIN " + base64.b64encode(("%s\0%s\0%s" % (target, who, PASSWORD)).encode()).decode()).startswith("+OK")


# Each would do something, if it were allowed.
TAKEOVERS = r'''
SetAccountPassword {} PASSWORD taken
VerifyAccountPassword {} PASSWORD gatehouse
UpdateAccountSettings {} {{Suspended=NO;}}
SetAccountSettings {} {{Suspended=NO; RealName=taken;}}
RenameAccount {} into taken
RenameAccount {} into taken@one.test
DeleteAccount {}
SetAccountAliases {} (taken)
KillAccountSessions {}
ListRecoverable {}
RestoreMessages {}
PostAccountAlert {} ALERT taken
'''


@case("who may do more is nobody's to change, awake or suspended: by no command, and by acting for him")
def higher(s):
    root = Cli(s.admin)
    higher_ones = {"chief": "Master", "clerk": "Settings", "guard": "Monitors,Domain"}
    for name, rights in higher_ones.items():
        root.yes('CreateAccount %s {Password="%s";}' % (name, PASSWORD))
        root.yes("SetAccountRights %s (%s)" % (name, rights))
    root.yes('CreateAccount all@%s {Password="%s";}' % (DOMAIN, PASSWORD))
    root.yes("SetAccountRights all (%s)" % ",".join(ALL_OF_A_DOMAIN.split()))
    for suspended in ("NO", "YES"):
        for name in higher_ones:
            root.yes("UpdateAccountSettings %s {Suspended=%s;}" % (name, suspended))
        before = everything(root)
        for who in ("users@" + DOMAIN, "all@" + DOMAIN):
            with login(s, who) as c:
                for name in higher_ones:
                    for line in lines_of(TAKEOVERS):
                        answer = c.command(line.format(name))
                        check(denied(answer), "%s: %s was answered %s", who, line.format(name), answer)
        check(not acts_for(s, "all@" + DOMAIN, "chief"), "acts for a Master, suspended %s", suspended)
        equal(everything(root), before, "what is there afterwards, suspended %s" % suspended)
    # The same by who may: nothing was refused for another reason.
    with login(s, "master@" + DOMAIN) as c:
        c.yes("SetAccountPassword chief PASSWORD " + PASSWORD)
        c.yes("UpdateAccountSettings chief {Suspended=NO;}")
    with login(s, "chief@" + DOMAIN) as c:
        c.yes("SetAccountRights clerk ()")
    for name in [*higher_ones, "all"]:
        root.yes("DeleteAccount " + name)
    root.close()


@case("an account that moves to another domain has no right there, nor when it comes back; the log says which it lost")
def moved(s):
    root = Cli(s.admin)
    for name, rights in (("out", "Master"), ("over@one.test", "Domain,BasicSettings")):
        root.yes('CreateAccount %s {Password="%s";}' % (name, PASSWORD))
        root.yes("SetAccountRights %s (%s)" % (name, rights))
    for old, new in (("out", "out@two.test"), ("over@one.test", "over@two.test")):
        root.yes("RenameAccount %s into %s" % (old, new))
        equal(root.yes("GetAccountRights " + new), [], "rights of " + new)
    with login(s, "over@two.test") as c:
        check(denied(c.command("ListAccounts two.test")), "it administers the new domain")
    with login(s, "users@" + DOMAIN) as c:
        c.yes("SetAccountPassword out@two.test PASSWORD " + PASSWORD)
        c.yes("RenameAccount out@two.test into out")
    with login(s, "out") as c:
        equal(c.yes("GetAccountRights *"), [], "rights of who came back")
        check(denied(c.command("SetAccountRights out (Master)")), "it is Master again")
    def told():
        return [x for x in s.log_text().splitlines() if "admin.rights" in x and "object=out@two.test" in x]
    suite.wait(told, 60, "its line in the log")
    line = told()
    check(len(line) == 1 and "from=out@" + DOMAIN in line[0] and "rights=Master" in line[0], "the log has %s", line)
    for name in ("out", "over@two.test"):
        root.yes("DeleteAccount " + name)
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
