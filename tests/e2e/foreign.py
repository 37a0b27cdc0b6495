#!/usr/bin/python3
"""foreign - ~name/mailbox over IMAP: who may open mailboxes of others, by which names, what the log says of it, and that
everybody else is told the same of accounts that exist and that do not."""
import contextlib
import imaplib

from cli import Cli
from imap_session import good, session
from suite import DOMAIN, PASSWORD, case, check, equal, main, message, wait

ROLES = {
    "master@" + DOMAIN: "Master", "users@" + DOMAIN: "UserAccounts", "settings@" + DOMAIN: "Settings",
    "reader@" + DOMAIN: "DomainsRead", "monitor@" + DOMAIN: "Monitors", "own@" + DOMAIN: "Domain CanAccessMailboxes",
    "mail@one.test": "Domain CanAccessMailboxes", "domain@one.test": "Domain BasicSettings",
    "alone@one.test": "CanAccessMailboxes", "nobody@one.test": "", "boss@one.test": "", "boss@two.test": "",
    "boss@" + DOMAIN: "",
}
# Who may open the mailboxes of whom, also of those who may do more; everybody his own.
MAY = {"master@" + DOMAIN: ROLES, "users@" + DOMAIN: ROLES,
       "own@" + DOMAIN: [n for n in ROLES if n.endswith("@" + DOMAIN)],
       "mail@one.test": [n for n in ROLES if n.endswith("@one.test")]}


def found(m, *what):
    return good(m.search(None, *what))[0]


def said(call, *args):
    """The answer's first word and its code."""
    kind, data = call(*args)
    return "OK" if kind == "OK" else "NO " + str(data).split("[")[-1].split("]")[0]


def audited(s, **want):
    return [line for line in s.log_text().splitlines()
            if "stored.foreign" in line and all("%s=%s" % pair in line for pair in want.items())]


@case("every role and every account: who may opens it, and the others are told that there is no such mailbox")
def matrix(s):
    c = Cli(s.admin)
    for d in ("one.test", "two.test"):
        c.yes("CreateDomain " + d)
    for name, rights in ROLES.items():
        c.yes('CreateAccount %s {Password="%s";}' % (name, PASSWORD))
        c.yes("SetAccountRights %s (%s)" % (name, ",".join(rights.split())))
    c.close()
    wrong, entered = [], set()
    for who in ROLES:
        with session(s, who, None) as m:
            for whose in [*ROLES, "missing@one.test", "missing@" + DOMAIN, "boss@elsewhere.test"]:
                want = whose == who or whose in MAY.get(who, ())
                got = said(m.status, "~%s/INBOX" % whose, "(MESSAGES)")
                if got != ("OK" if want else "NO NONEXISTENT"):
                    wrong.append("%s of %s: %s" % (who, whose, got))
                if want and whose != who:
                    entered.add((who, whose))
    equal(wrong, [], "cells that are not as they should be")
    wait(lambda: len(audited(s, result="ok")) >= len(entered), 60, "the log")
    lines = [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in audited(s, result="ok")]
    equal({(l["who"], l["object"]) for l in lines}, entered, "who went where, as the log has it")
    equal({l["what"] for l in lines}, {"status"}, "what they did")


@case("a name leads where it would at a login: simple names, aliases, forwarders, records, other names of domains, a move")
def names(s):
    c = Cli(s.admin)
    c.yes("SetAccountAliases boss@one.test (chief)")
    c.yes("CreateForwarder away@one.test TO boss@one.test")
    c.yes("CreateForwarder far@one.test TO a@b.example")
    c.yes("CreateList news@one.test FOR nobody@one.test")
    c.yes("CreateGroup all@one.test {Members=(boss);}")
    c.yes('SetDomainAliases one.test ("uno.test")')
    c.yes('SetRouterTable "A:<jim@one.test> = boss@one.test\\eM:<joe@one.test> = boss@one.test"')
    s.deliver("boss@one.test")
    s.deliver("boss@" + DOMAIN)
    s.deliver("boss@" + DOMAIN)
    with session(s, "mail@one.test", None) as m:
        def count(name):
            kind, data = m.status('"~%s/INBOX"' % name, "(MESSAGES)")
            return int(data[0].split()[-1].strip(b")")) if kind == "OK" else None

        for name in ("boss", "Boss", "chief", "away", "jim", "boss@uno.test", "boss%one.test", "BOSS@One.Test", "boss+x"):
            equal(count(name), 1, "messages of ~" + name)
        for name in ("far", "news", "all", "joe", "boss@" + DOMAIN, "boss@two.test", "null", "error", "", "~", ".."):
            equal(count(name), None, "messages of ~" + name)
        c.yes("RenameAccount boss@one.test into mover@two.test")
        equal(count("boss"), None, "messages of who moved")
        equal(count("mover@two.test"), None, "messages of who moved, by the name there")
        c.yes("RenameAccount mover@two.test into boss@one.test")
        equal(count("boss"), 1, "messages of who came back")
        c.yes("UpdateAccountSettings boss@one.test {Suspended=YES;}")
        equal(count("boss"), None, "messages of who is suspended")
        c.yes("UpdateAccountSettings boss@one.test {Suspended=NO;}")
        equal(count("boss"), 1, "messages of who is not suspended any more")
    with session(s, "users@" + DOMAIN, None) as m:
        equal(count("boss"), 2, "a simple name is one of the own domain")
        equal(count("boss@one.test"), 1, "a full one of that domain")
        c.yes("SuspendDomain one.test")
        equal(count("boss@one.test"), None, "messages in a suspended domain")
        c.yes("ResumeDomain one.test")
    c.yes('SetRouterTable ""')
    c.close()


@case("all that one does with mail is done there: the owner sees it, copies and moves go both ways, the log has each")
def work(s):
    box, own = "~boss/INBOX", message("of the administrator", "own")
    with session(s, "boss@one.test", "INBOX") as b, session(s, "mail@one.test", None) as m:
        n = int(good(b.select("INBOX"))[0])
        good(m.select(box))
        check(b"boss" in good(m.fetch("1", "(BODY.PEEK[HEADER] FLAGS)"))[0][1].lower(), "the owner's message")
        good(m.store("1", "+FLAGS", "(\\Flagged Seen-By-Mail)"))
        good(m.append(box, "(\\Draft)", None, own))
        wait(lambda: good(b.noop()) and int(found(b, "ALL").split()[-1]) == n + 1, 60, "the append")
        equal(found(b, "FLAGGED"), b"1", "flagged, to the owner")
        equal(found(b, "DRAFT"), b"%d" % (n + 1), "appended, to the owner")
        good(m.create("~boss/Sorted/Here"))
        good(m.copy("1", "~boss/Sorted/Here"))
        good(m.copy("1", "INBOX"))
        good(m.uid("MOVE", "1:*", "~boss/Sorted/Here"))
        equal(found(m, "ALL"), b"", "what is left")
        names = sorted(line.split(b'"/" ')[1].strip(b'"') for line in good(m.list('""', '"~boss/*"')))
        equal(names, [b"~boss/INBOX", b"~boss/Sorted", b"~boss/Sorted/Here"], "listed")
        names = sorted(line.split(b'"/" ')[1].strip(b'"') for line in good(m.list('"~boss/"', "%")))
        equal(names, [b"~boss/INBOX", b"~boss/Sorted"], "listed, one level")
        equal(len(good(m.list('""', '("INBOX" "~boss/Sorted/*" "~boss/INB%" "~boss/INBOX")'))), 3, "by several patterns")
        equal(len(good(m.list('""', "*"))), 1, "the own ones")
        good(m.select("INBOX"))
        equal(len(found(m, "ALL").split()), 1, "the own INBOX")
        good(m.uid("MOVE", "1:*", box))
        good(m.select("INBOX"))
        equal(found(m, "ALL"), b"", "the own INBOX, emptied")
        wait(lambda: good(b.noop()) and found(b, "ALL") == b"1", 60, "what came back")
        good(m.rename("~boss/Sorted/Here", "~boss/There"))
        good(m.subscribe("~boss/There"))
        equal(good(m.lsub())[0].split(b'"/" ')[1], b"~boss/There", "subscribed")
        kind, data = m.getquotaroot(box)
        check(kind == "OK" and b"~boss" in data[0][0], "the quota root %r", data)
        check(b"~boss" in good(m.getquota('"~boss"'))[0], "the quota")
        equal(said(m.getquota, '"~missing"'), "NO NONEXISTENT", "a quota of nobody")
        good(m.delete("~boss/There"))
        equal(said(m.rename, "~boss/Sorted", "Mine"), "NO CANNOT", "a rename across accounts")
    for what in ("open", "append", "create", "copy", "list", "rename", "quota", "delete"):
        wait(lambda: audited(s, who="mail@one.test", object="boss@one.test", what=what, result="ok"), 60, "a line of " + what)
    equal(audited(s, who="boss@one.test", result="ok"), [], "lines about the owner in his own mailboxes")


@case("who may not is answered alike of names that exist and that do not, by every command")
def probing(s):
    answers = {}
    for whose in ("boss", "missing", "boss@two.test", "boss@elsewhere.test"):
        with session(s, "nobody@one.test", "INBOX") as m:
            good(m.append("INBOX", None, None, message("x")))
            good(m.noop())
            box = "~%s/INBOX" % whose
            answers[whose] = [
                said(m.copy, "1", box), said(m.uid, "MOVE", "1", box), said(m.append, box, None, None, message("x")),
                said(m.create, "~%s/New" % whose), said(m.delete, box), said(m.rename, box, "~%s/New" % whose),
                said(m.status, box, "(MESSAGES)"), said(m.getquotaroot, box), said(m.select, box)]
            equal(good(m.list('""', '"~%s/*"' % whose)), [None], "what is listed")
    equal(len({str(a) for a in answers.values()}), 1, "different answers: %r" % answers)
    want = ["NO NOPERM"] * 4 + ["NO NONEXISTENT"] * 5
    equal(answers["missing"], want, "answers")


@case("who has a mailbox open is out when its owner is suspended, and when he loses the right")
def revoked(s):
    c = Cli(s.admin)

    def out(change, back):
        with session(s, "mail@one.test", "~boss/INBOX") as m:
            c.yes(change)

            def gone():
                with contextlib.suppress(imaplib.IMAP4.error, OSError):
                    m.noop()
                    return False
                return True
            wait(gone, 60, "the end of the session")
        c.yes(back)

    out("UpdateAccountSettings boss@one.test {Suspended=YES;}", "UpdateAccountSettings boss@one.test {Suspended=NO;}")
    out("SetAccountRights mail@one.test (Domain)", "SetAccountRights mail@one.test (Domain,CanAccessMailboxes)")
    out("SuspendDomain one.test", "ResumeDomain one.test")
    c.close()


if __name__ == "__main__":
    main(29500, accounts=0)
