#!/usr/bin/python3
"""dump - gatehousectl dump and apply: a random directory, dumped and applied to an empty server, is the same again.

    dump.py BUILD [--long]     --long: more and larger directories
"""
import os
import random
import sys

import suite
from suite import DOMAIN, case, check, equal, main

LONG = "--long" in sys.argv
if LONG:
    sys.argv.remove("--long")


def quoted(text):
    return '"%s"' % text.replace("\\", "\\\\").replace('"', '\\"')


class Maker:
    """Random objects by random commands of the administration protocol."""

    def __init__(self, s, seed, size):
        self.r, self.size = random.Random(seed), size
        self.c = suite.Line(s.admin)
        self.c.want(None, "200 ")
        self.names, self.n = {}, 0

    def ask(self, text):
        return self.c.want(text, "20")

    def name(self, domain):
        self.n += 1
        local = self.r.choice("abcxyz") + "".join(self.r.choice("abcz019-_.") for _ in range(self.r.randrange(6))) + str(self.n)
        return "%s@%s" % (local.replace("..", "."), domain)

    def text(self):
        return quoted("".join(self.r.choice('ab cd"\\;{}()=#\u00e4') for _ in range(self.r.randrange(1, 12))))

    def settings(self, choices):
        keys = self.r.sample(sorted(choices), self.r.randrange(len(choices) + 1))
        return "{%s}" % "".join("%s=%s;" % (k, choices[k]()) for k in keys)

    def of_account(self):
        r = self.r
        return self.settings({
            "RealName": self.text, "MaxAccountSize": lambda: r.choice(["unlimited", "5K", "1G", "#12345"]),
            "PWDAllowed": lambda: r.choice(["YES", "NO"]), "QuotaAlert": lambda: str(r.randrange(100)),
            "AccessModes": lambda: r.choice(["All", "(5,Mail,POP,IMAP,PWD)"]), "FailedLoginFlow": lambda: "(7,2m)"})

    def of_domain(self):
        r = self.r
        return self.settings({
            "MailToUnknown": lambda: r.choice(["Rejected", "Discarded"]),
            "MailRerouteAddress": lambda: '"all@else.test"', "AccessToUnknown": lambda: "Rejected"})

    def domain(self, number):
        d = "d%d.%s.test" % (number, self.r.choice(["a", "b-c", "x.y"]))
        self.ask("CreateDomain " + d)
        self.parts(d, number)
        return d

    def parts(self, d, number):
        r = self.r
        if r.random() < .6:
            self.ask("SetDomainAliases %s (%s)" % (d, ",".join("alias%d-%d.test" % (number, i) for i in range(r.randrange(1, 4)))))
        if r.random() < .4:
            self.ask('UpdateDomainSettings %s {IPAddresses=("192.0.2.%d", "2001:db8::%d");}' % (d, number + 1, number + 1))
        self.ask("SetDomainSettings %s %s" % (d, self.of_domain()))
        self.ask("SetAccountDefaults %s %s" % (d, self.of_account()))
        if r.random() < .5:
            self.ask('SetAccountTemplate %s {RealName=new; MailboxSubscription=("~public/news", "b c");}' % d)
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
                self.ask("SetAccountRights %s (Domain, CanCreateAccounts)" % a)
        for _ in range(r.randrange(self.size)):
            f = self.name(d)
            others.append(f)
            self.ask("CreateForwarder %s TO %s" % (f, r.choice(accounts + ['"a+b@else.test"'])))
        for _ in range(r.randrange(self.size // 2)):
            g = self.name(d)
            members = r.sample(accounts + others, r.randrange(len(accounts + others))) + ["x@else.test"] * r.randrange(2)
            self.ask("CreateGroup %s {Members=(%s); Expand=%s;}" % (g, ",".join(members), r.choice(["YES", "NO"])))
            others.append(g)
        for _ in range(r.randrange(self.size // 2)):
            self.ask("CreateList %s FOR %s" % (self.name(d), r.choice(accounts)))

    def make(self):
        r = self.r
        self.ask("SetDomainDefaults " + self.of_domain())
        self.ask("SetServerAccountDefaults " + self.of_account())
        self.parts(DOMAIN, 0)
        for d in [DOMAIN] + [self.domain(i) for i in range(1, r.randrange(2, 5))]:
            self.objects(d)
        table = ["; a remark with \"quotes\" and \\", "", "  <one%d> = two@else.test ; why" % r.randrange(9), "old.test = " + DOMAIN]
        self.ask('SetRouterTable %s' % quoted("\n".join(r.sample(table, r.randrange(len(table) + 1)))).replace("\n", "\\e"))
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


@case("what is dumped and applied to an empty server is the same again, byte for byte, and a second time nothing is done")
def round_trip(s):
    for seed in range(6 if LONG else 2):
        base = s.ctl("dump")
        Maker(s, seed, 60 if LONG else 12).make()
        made = s.ctl("dump")
        check(made != base, "seed %d made nothing", seed)
        path = write(s, "made.txt", made)
        with suite.Suite(s.build, s.offset + 1000) as other:
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
            other.ctl("apply", "--quiet", "--prune", write(s, "base.txt", base))
            equal(other.ctl("dump"), base.replace("u3@", "u3@"), "what is there after taking everything away")
        s.ctl("apply", "--quiet", "--prune", write(s, "base.txt", base))
        equal(s.ctl("dump"), base, "seed %d: what is there at the end" % seed)


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
