#!/usr/bin/python3
"""dump - gatehousectl dump and apply: a random directory, dumped and applied to an empty server, is the same again:
the same dump, the same rows in its database, the same answers to where names lead; so is one after a restart.

    dump.py BUILD [--long] [--seed N]     --long: more and larger directories
"""
import os
import random
import re
import sys

import rows
import suite
from suite import DOMAIN, case, check, equal, main, wait

LONG = "--long" in sys.argv
if LONG:
    sys.argv.remove("--long")
SEED = 0
if "--seed" in sys.argv:
    at = sys.argv.index("--seed")
    SEED = int(sys.argv[at + 1])
    del sys.argv[at:at + 2]


def quoted(text):
    return '"%s"' % text.replace("\\", "\\\\").replace('"', '\\"')


class Maker:
    """Random objects by random commands of the administration protocol."""

    def __init__(self, s, seed, size):
        self.r, self.size = random.Random(seed), size
        self.c = suite.Line(s.admin)
        self.c.want(None, "200 ")
        self.n = 0
        self.movable, self.owners = [], set()

    def ask(self, text):
        return self.c.want(text, "20")

    def refused(self, text):
        return self.c.want(text, "501 ")

    def name(self, domain):
        self.n += 1
        local = self.r.choice("abcxyz") + "".join(self.r.choice("abcz019-_.") for _ in range(self.r.randrange(6))) + str(self.n)
        return "%s@%s" % (local.replace("..", "."), domain)

    def text(self):
        return quoted("".join(self.r.choice('ab cd"\\;{}()=#\u00e4') for _ in range(self.r.randrange(1, 12))))

    def alerts(self, of):
        self.ask("Set%s (%s)" % (of, ",".join(quoted("Attention: ") + self.text() for _ in range(self.r.randrange(1, 4)))))

    def settings(self, choices):
        keys = self.r.sample(sorted(choices), self.r.randrange(len(choices) + 1))
        return "{%s}" % "".join("%s=%s;" % (k, choices[k]()) for k in keys)

    def number(self, most):
        return lambda: "#%d" % self.r.randrange(most)

    def one(self, *texts):
        return lambda: self.r.choice(texts)

    def list(self, *items):
        return lambda: "(%s)" % ",".join(quoted(i) for i in self.r.sample(items, self.r.randrange(len(items) + 1)))

    def of_server(self):
        return self.settings({"HideAccountUnknown": self.one("YES", "NO")})

    def of_account(self):
        yes_no = self.one("YES", "NO")
        return self.settings({
            "RealName": self.text, "MaxAccountSize": self.one("unlimited", "5K", "1G", "#12345"),
            "MaxAccountMessages": self.number(4000000000), "QuotaNotice": self.number(1000),
            "QuotaSuspend": self.number(1000), "QuotaAlert": self.number(100), "PWDAllowed": yes_no,
            "UseAppPassword": yes_no, "RequireAPOP": yes_no, "DirectMailboxAddressing": yes_no,
            "AccessModes": self.one("All", "None", "(5,Mail,POP,IMAP,PWD)", "(Mail)"),
            "FailedLoginFlow": self.one("(7,2m)", "(1,1s)"), "UndeletePeriod": self.one("0", "3d", "1h"),
            "RestoreDailyLimit": self.number(10000), "MailboxAliases": self.one("{}", '{a=b; "c d"="e/f";}'),
            "Prefs": self.one("{}", '{"a b"={c=("d\\ee",#5);}; e="";}'),
            "SenderAddresses": self.list("a@b.test", "*@c.test", "x+y@d.test")})

    def of_domain(self):
        where = self.one('"all@else.test"', '"*%old.test@host.test.via"', '"postmaster"', '""')
        return self.settings({
            "DomainAccessModes": self.one("All", "(Mail,POP,IMAP,PWD,TLS)"),
            "MailToUnknown": self.one("Rejected", "Discarded", '"Rerouted to"', '"Accepted and Bounced"'),
            "AccessToUnknown": self.one("Rejected", '"Rerouted to"'),
            "SignalToUnknown": self.one("Rejected", "Discarded", '"Rerouted to"'),
            "MailRerouteAddress": where, "AccessRerouteAddress": where, "SignalRerouteAddress": where})

    def ranges(self, number):
        """Of IPv4 and IPv6; no two domains share an address."""
        r = self.r
        net = "10.%d." % number
        return r.sample([net + "1.7", net + "2.1-" + net + "2.%d" % r.randrange(2, 99), net + "3.0/%d" % r.randrange(24, 33),
                         net + "4.0-" + net + "5.255", "2001:db8:%x::/64" % number, "2001:db8:%x:1::5" % number,
                         "2001:db8:%x:2::1-2001:db8:%x:2::%x" % (number, number, r.randrange(2, 999))], r.randrange(1, 5))

    def domain(self, number):
        d = "d%d.%s.test" % (number, self.r.choice(["a", "b-c", "x.y"]))
        self.ask("CreateDomain " + d)
        self.parts(d, number)
        return d

    def parts(self, d, number):
        r = self.r
        if number == 0 or r.random() < .6:
            self.ask("SetDomainAliases %s (%s)" % (d, ",".join("alias%d-%d.test" % (number, i) for i in range(r.randrange(1, 4)))))
        if r.random() < .7:
            self.ask('UpdateDomainSettings %s {IPAddresses=(%s);}' % (d, ",".join(map(quoted, self.ranges(number)))))
        self.ask("SetDomainSettings %s %s" % (d, self.of_domain()))
        self.ask("SetAccountDefaults %s %s" % (d, self.of_account()))
        if r.random() < .5:
            self.ask('SetAccountTemplate %s {RealName=new; QuotaAlert=%d; DefaultMailboxes=(Sent,"b c"); '
                     'MailboxSubscription=("~public/news", "b c");}' % (d, r.randrange(100)))
        if r.random() < .4:
            self.alerts("DomainAlerts " + d)
        if r.random() < .2 and number > 0:
            self.ask("SuspendDomain " + d)

    def objects(self, d):
        r, accounts, others = self.r, [], []
        for _ in range(r.randrange(1, self.size)):
            a = self.name(d)
            accounts.append(a)
            self.ask("CreateAccount " + a)
            if r.random() < .7:
                self.ask("SetAccountSettings %s %s" % (a, self.of_account()))
            if r.random() < .2:
                self.ask("UpdateAccountSettings %s {Suspended=YES;}" % a)
            if r.random() < .4:
                self.ask("SetAccountAliases %s (%s)" % (a, ",".join(self.name(d).split("@")[0] for _ in range(r.randrange(1, 4)))))
            if r.random() < .2:
                rights = [["Domain", "CanCreateAccounts"], ["Domain", "BasicSettings", "CanCreateAliases", "CanImpersonate"]]
                if d == DOMAIN:
                    rights += [["Settings", "UserAccounts"], ["Master"], ["Monitors"]]
                self.ask("SetAccountRights %s (%s)" % (a, ",".join(r.choice(rights))))
            if r.random() < .3:
                self.alerts("AccountAlerts " + a)
            self.movable.append(("Account", a))
        for _ in range(r.randrange(self.size)):
            f = self.name(d)
            others.append(f)
            self.ask("CreateForwarder %s TO %s" % (f, r.choice(accounts + ['"a+b@else.test"'])))
            self.movable.append(("Forwarder", f))
        for _ in range(r.randrange(self.size // 2)):
            g = self.name(d)
            members = r.sample(accounts + others, r.randrange(len(accounts + others))) + ["x@else.test"] * r.randrange(2)
            flags = "".join(" %s=%s;" % (f, r.choice(["YES", "NO"])) for f in
                            ("Expand", "EmailDisabled"))
            self.ask("CreateGroup %s {Members=(%s);%s}" % (g, ",".join(members), flags))
            others.append(g)
            self.movable.append(("Group", g))
        for _ in range(r.randrange(self.size // 2)):
            name, owner = self.name(d), r.choice(accounts)
            self.ask("CreateList %s FOR %s" % (name, owner))
            self.owners.add(owner)
            self.movable.append(("List", name))
        self.moves(d, accounts, others)

    def moves(self, d, accounts, others):
        """What goes and what changes its name leaves nothing behind."""
        new = self.name(d)
        self.ask("CreateAccount " + new)
        self.ask("SetAccountSettings %s %s" % (new, self.of_account()))
        self.ask("RenameAccount %s INTO %s" % (new, self.name(d)))
        gone = self.name(d)
        self.ask("CreateAccount " + gone)
        self.ask("SetAccountAliases %s (%s)" % (gone, self.name(d).split("@")[0]))
        self.alerts("AccountAlerts " + gone)
        self.ask("DeleteAccount " + gone)
        self.used += accounts + others + [new, gone]

    def wanders(self, domains):
        """From one domain to another: all but lists and who owns some, who leave their aliases and rights behind."""
        r, moved = self.r, []
        for kind, name in r.sample(self.movable, min(len(self.movable), self.size)):
            new = self.name(r.choice([d for d in domains if d != name.split("@")[1]]))
            if kind == "List" or name in self.owners:
                self.refused("Rename%s %s INTO %s" % (kind, name, new))
                continue
            self.ask("Rename%s %s INTO %s" % (kind, name, new))
            moved.append(new)
            if kind == "Account":
                for what in ("Aliases", "Rights"):
                    equal(self.ask("GetAccount%s %s" % (what, new))[:3] and self.c.line(), "()", "%s of %s" % (what, new))
        self.used = moved + self.used

    def router(self):
        r = self.r
        names = [n.split("@") for n in r.sample(self.used, min(len(self.used), 20))] + [["x", "else.test"], ["*", "w.test"]]
        found = ["; a remark with \"quotes\" and \\", "", "  <one%d> = two@else.test ; why" % r.randrange(9)]
        for local, domain in names:
            mark = r.choice(["", "", "M:", "A:", "S:A:", "NoRelay:", "RelayAll:M:"])
            to = "@".join(r.choice(names)) if local == "*" or r.random() < .5 else r.choice(self.used)
            to = to.replace("*", "y") if local != "*" else to
            found.append("%s<%s@%s> = %s" % (mark, r.choice([local, local[:2] + "*", "(2d)" + local]) if local != "*" else "*",
                                             domain, to))
        found += ["old%d.test = %s" % (i, r.choice(self.used).split("@")[1]) for i in range(3)] + ["loop.test = loop.test"]
        r.shuffle(found)
        return [x for x in found if not x.lstrip("MASRelayNo:").startswith("<postmaster@" + DOMAIN)]

    def make(self):
        r = self.r
        self.used = ["postmaster@" + DOMAIN]
        self.ask("SetServerSettings " + self.of_server())
        self.ask("SetDomainDefaults " + self.of_domain())
        self.ask("SetServerAccountDefaults " + self.of_account())
        self.alerts("ServerAlerts")
        self.parts(DOMAIN, 0)
        domains = [DOMAIN] + [self.domain(i) for i in range(1, r.randrange(2, 5))]
        for d in domains:
            self.objects(d)
        self.wanders(domains)
        if r.random() < .5:
            self.ask("RenameDomain %s INTO renamed.test" % self.used[-1].split("@")[1])
        self.ask("SetRouterTable %s" % quoted("\n".join(self.router())).replace("\n", "\\e"))
        self.c.close()


def write(s, name, text):
    path = os.path.join(s.dir, name)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


def refused(s, text, *lines):
    """apply refuses it, names these lines, and changes nothing."""
    before = s.ctl("dump")
    status, _, err = s.ctl("apply", write(s, "wrong.txt", text), ok=False)
    equal(status, 1, "status of apply of %r" % text)
    for line in lines:
        check("wrong.txt:%d: " % line in err, "line %d is not named: %s", line, err)
    equal(s.ctl("dump"), before, "what is there after %r" % text)


def answers(s, names):
    """Where names lead, with every step, in all modes and typed at addresses of domains and of none."""
    found = []
    with suite.Line(s.admin, timeout=60) as c:
        c.want(None, "200 ")
        c.want("INLINE", "200 ")
        for line in ["RouteTrace %s %s" % (quoted(n), mode) for n in names for mode in ("mail", "access", "signal")] + \
                ["RouteLogin %s LOCAL %s" % (quoted(n.split("@")[0] or n), at) for n in names for at in
                 ("10.1.1.7", "10.2.2.1", "2001:db8:1::9", "192.0.2.200")]:
            found.append((line, c.want(line, "201 ")))
    return found


def typed(maker, seed):
    """Names that are there, were there, or almost are."""
    r, found = random.Random(seed), ["postmaster@" + DOMAIN, "x@loop.test", "x@renamed.test", "null", "nobody@else.test"]
    for name in r.sample(maker.used, min(len(maker.used), 40)):
        local, domain = name.split("@")
        found.append(r.choice([name, "12" + name, local + "+d@" + domain, "box#" + name, "%s%%%s" % (local, domain), local[:-1] + "@" + domain,
                               local.upper() + "@" + domain, "%s@old%d.test" % (local, r.randrange(4)), "@%s:%s" % (DOMAIN, name),
                               local + "@" + domain + ".domain", "%s@%s.local" % (local, r.choice(maker.used).split("@")[0])]))
    return found


def stored_rows(s):
    """The rows of the directory, with names in place of ids; the server is stopped for it."""
    s.stop()
    found = rows.named(s.build, os.path.join(s.dir, "data"))
    s.start_again()
    return found


def applied(s, other, seed, base, made, path):
    """To an empty server: the same dump, and nothing to do a second time."""
    out = other.ctl("apply", "--dry-run", "--prune", path)
    check("+ " in out, "nothing would be done: %s", out)
    other.ctl("apply", "--quiet", "--prune", path)
    equal(other.ctl("dump"), made, "seed %d: the second dump" % seed)
    equal(other.ctl("apply", path), "nothing to do\n", "what apply says the second time")
    lines = made.splitlines(True)
    random.Random(seed).shuffle(lines)
    table = [x for x in made.splitlines(True) if x.startswith("router ")]
    shuffled = [x for x in lines if not x.startswith("router ")] + table
    equal(other.ctl("apply", "--prune", write(s, "shuffled.txt", "".join(shuffled))), "nothing to do\n",
          "what apply says of the same lines in another order")


@case("what is dumped and applied to an empty server is the same again, byte for byte and row for row, and leads names the same way; "
      "so does a restart")
def round_trip(s):
    kinds = set()
    for seed in range(SEED, SEED + (20 if LONG else 2)):
        base = s.ctl("dump")
        maker = Maker(s, seed, 60 if LONG and seed < SEED + 3 else 12)
        maker.make()
        made = s.ctl("dump")
        check(made != base, "seed %d made nothing", seed)
        names = typed(maker, seed)
        lead = answers(s, names)
        found = stored_rows(s)
        kinds |= {x[0] for x in found}
        equal(s.ctl("dump"), made, "seed %d: the dump after a restart" % seed)
        equal(answers(s, names), lead, "seed %d: where names lead after a restart" % seed)
        with suite.Suite(s.build, s.offset + 1000) as other:
            applied(s, other, seed, base, made, write(s, "made.txt", made))
            equal(answers(other, names), lead, "seed %d: where names lead on the second server" % seed)
            again = stored_rows(other)
            equal(sorted(set(again) - set(found)), sorted(set(found) - set(again)), "seed %d: what only the second has" % seed)
            equal(again, found, "seed %d: the rows of the second server" % seed)
            other.ctl("apply", "--quiet", "--prune", write(s, "base.txt", base))
            equal(other.ctl("dump"), base, "what is there after taking everything away")
        s.ctl("apply", "--quiet", "--prune", write(s, "base.txt", base))
        equal(s.ctl("dump"), base, "seed %d: what is there at the end" % seed)
    equal(kinds, set(rows.LAYOUT) | {"M", "W"}, "the kinds of rows that were tried")


@case("a forwarder's new address and a list's new owner: the name is gone from one command to the next, not longer")
def anew(s):
    base, log = s.ctl("dump"), len(s.log_text())
    text = base + 'domain "w.test"\naccount "a@w.test"\naccount "%s@w.test"\nforwarder "f@w.test" {Address="%s@w.test";}\n' \
        'list "l@w.test" {Owner="%s@w.test";}\n'
    s.ctl("apply", write(s, "one.txt", text % ("b", "a", "a")))
    s.ctl("apply", "--prune", write(s, "other.txt", text % ("c", "c", "c")))
    equal('forwarder "f@w.test" {Address="c@w.test";}' in s.ctl("dump"), True, "the new address is there")

    def verbs():
        return re.findall(r"admin\.change .*?verb=(\w+)", s.log_text()[log:])

    wait(lambda: verbs().count("list_create") == 2, 60, "the log")
    for kind in ("forwarder", "list"):
        equal(verbs()[verbs().index(kind + "_delete") + 1], kind + "_create", "what came next of " + str(verbs()))
    s.ctl("apply", "--quiet", "--prune", write(s, "base.txt", base))
    equal(s.ctl("dump"), base, "what is there after --prune")


@case("--dry-run shows the difference and changes nothing; without --prune what is not in the file stays")
def dry(s):
    base = s.ctl("dump")
    path = write(s, "more.txt", base + 'domain "new.test" {Aliases=("n.test");}\naccount "n@new.test"\n')
    out = s.ctl("apply", "--dry-run", path)
    check('+ domain "new.test"' in out and '+ account "n@new.test"' in out, "the difference is %s", out)
    equal(s.ctl("dump"), base, "what is there after --dry-run")
    s.ctl("apply", path)
    check('domain "new.test" {Aliases=("n.test");}' in s.ctl("dump"), "the domain is not there")
    equal(s.ctl("apply", write(s, "base.txt", base)), "nothing to do\n", "what apply without --prune says")
    out = s.ctl("apply", "--prune", "--dry-run", write(s, "base.txt", base))
    check('- domain "new.test"' in out, "the difference is %s", out)
    s.ctl("apply", "--prune", write(s, "base.txt", base))
    equal(s.ctl("dump"), base, "what is there after --prune")


@case("what was suspended is suspended, and goes on again")
def suspended(s):
    base = s.ctl("dump")
    path = write(s, "more.txt", base + 'domain "s.test" {Suspended=YES;}\naccount "s@%s" {Settings={Suspended=YES;};}\n' % DOMAIN)
    s.ctl("apply", "--quiet", path)
    check("suspended" in s.ctl("domain", "info", "s.test") and "suspended" in s.ctl("account", "info", "s"), "they are not suspended")
    equal(s.ctl("apply", path), "nothing to do\n", "what is left to do")
    s.ctl("apply", "--quiet", write(s, "then.txt", base + 'domain "s.test"\naccount "s@%s"\n' % DOMAIN))
    check("active" in s.ctl("domain", "info", "s.test") and "active" in s.ctl("account", "info", "s"), "they are suspended still")
    equal(s.ctl("apply", os.path.join(s.dir, "then.txt")), "nothing to do\n", "what is left to do")
    s.ctl("apply", "--quiet", "--prune", write(s, "base.txt", base))
    equal(s.ctl("dump"), base, "what is there at the end")


@case("alerts are put in place of others where the file has some, stay where it has none, and go with --prune")
def alerts(s):
    base = s.ctl("dump")
    more = 'domain "w.test" {Alerts=("b is first","A is second");}\naccount "w@%s" {Alerts=(once);}\n' % DOMAIN
    path = write(s, "more.txt", base + more)
    s.ctl("apply", "--quiet", path)
    equal(s.ctl("dump").count("Alerts="), 2, "alerts in the dump")
    check('Alerts=("b is first","A is second");' in s.ctl("dump"), "the domain's alerts are others")
    equal(s.ctl("apply", path), "nothing to do\n", "what is left to do")
    s.ctl("alert", "post", "account", "w", "twice")
    check('Alerts=(once,twice);' in s.ctl("dump"), "another dump: %s", s.ctl("dump"))
    none = write(s, "none.txt", base + 'domain "w.test"\naccount "w@%s"\n' % DOMAIN)
    equal(s.ctl("apply", none), "nothing to do\n", "what apply of a file without alerts says")
    s.ctl("apply", "--quiet", path)
    check('Alerts=(once);' in s.ctl("dump"), "the alert that was posted meanwhile is there")
    s.ctl("apply", "--quiet", "--prune", none)
    check("Alerts" not in s.ctl("dump"), "alerts are there after --prune")
    s.ctl("apply", "--quiet", "--prune", write(s, "base.txt", base))
    equal(s.ctl("dump"), base, "what is there at the end")


@case("names change hands in one go: an alias, an address, a forwarder that leads elsewhere")
def moves(s):
    base = s.ctl("dump")
    first = 'domain "one.test" {Aliases=("alias.test"); IPAddresses=("192.0.2.9");}\ndomain "two.test"\n' \
        'account "a@one.test" {Aliases=(x,y);}\naccount "b@one.test"\nforwarder "f@one.test" {Address="a@one.test";}\n'
    then = 'domain "one.test"\ndomain "two.test" {Aliases=("alias.test"); IPAddresses=("192.0.2.9");}\n' \
        'account "a@one.test" {Aliases=(z);}\naccount "b@one.test" {Aliases=(x,y);}\nforwarder "f@one.test" {Address="b@one.test";}\n'
    s.ctl("apply", write(s, "first.txt", base + first))
    s.ctl("apply", write(s, "then.txt", base + then))
    equal(s.ctl("apply", "--prune", write(s, "then.txt", base + then)), "nothing to do\n", "what is left to do")
    s.ctl("apply", "--quiet", "--prune", write(s, "base.txt", base))
    equal(s.ctl("dump"), base, "what is there at the end")


@case("a file that is not understood is refused with its lines, and one that cannot be done says where and what is left")
def wrong(s):
    refused(s, "nonsense\n", 1)
    refused(s, "# ok\n\naccount nobody\ndomain a.test {Colour=red;}\ndomain b.test {Aliases=x;}\n", 3, 4, 5)
    refused(s, 'domain "c.test"\ndomain "C.test"\n', 2)
    refused(s, "server {}\nserver {}\n", 2)
    refused(s, "domain a.test {\n", 1)
    refused(s, "domain a.test {} more\n", 1)
    refused(s, "forwarder f@example.test\nlist l@example.test {}\naccount (x)\n", 1, 2, 3)
    refused(s, 'router\naccount "u1@example.test" {Settings=(x);}\n', 1, 2)
    status, _, _ = s.ctl("apply", "/nonexistent", ok=False)
    equal(status, 1, "status of a missing file")
    before = s.ctl("dump")
    path = write(s, "bad.txt", 'account "q@%s"\naccount "u1@%s" {Settings={Nonsense=1;};}\nrouter "<x> = u1"\n' % (DOMAIN, DOMAIN))
    status, _, err = s.ctl("apply", path, ok=False)
    equal(status, 1, "status")
    check("bad.txt:2: account u1@" in err and "1 commands were refused" in err, "it says %s", err)
    now = s.ctl("dump")
    check("account \"q@" in now and "router" not in now, "what is there is %s", now)
    status, _, _ = s.ctl("apply", "--keep-going", path, ok=False)
    equal(status, 1, "status")
    check("router" in s.ctl("dump"), "the table was not set with --keep-going")
    s.ctl("apply", "--quiet", "--prune", write(s, "base.txt", before))
    equal(s.ctl("dump"), before, "what is there at the end")


if __name__ == "__main__":
    main(24300)
