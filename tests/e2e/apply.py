#!/usr/bin/python3
"""apply - what gatehousectl apply says that it would do is what it does, and no more; one object is one change, also when
routerd dies of kill -9 on the way. Round trips of whole directories are in dump.py."""
import json
import os
import re
import signal
import subprocess
import threading
import time

from suite import DOMAIN, case, check, equal, main, wait

FLAGS = "EmailDisabled=NO;Expand=YES;FinalDelivery=NO;"
ONE = 'domain "one.test" {Aliases=("alias.test"); Settings={MailToUnknown=Discarded;};}\n' \
    'account "a@one.test" {Aliases=(x,y); Settings={RealName=Ann;};}\n' \
    'account "b@one.test"\n' \
    'group "g@one.test" {Members=("a@one.test");}\n' \
    'forwarder "f@one.test" {Address="a@one.test";}\n' \
    'list "l@one.test" {Owner="a@one.test";}\n' \
    'router "<p> = u1"\nrouter "<q> = u1"\nrouter "<r> = u1"\nrouter "<t> = u1"\n'
TWO = 'domain "one.test" {Aliases=("alias.test"); Settings={MailToUnknown=Rejected;};}\n' \
    'account "a@one.test" {Aliases=(x); Settings={MaxAccountSize=5K;RealName=Ann;};}\n' \
    'account "c@one.test" {Settings={RealName="C \\"D\\"";};}\n' \
    'group "g@one.test" {%sMembers=("c@one.test");RemoveToAndCc=NO;}\n' \
    'forwarder "f@one.test" {Address="c@one.test";}\n' \
    'list "l@one.test" {Owner="c@one.test";}\n' \
    'router "<p> = u1"\nrouter "<q> = u2"\nrouter "<s> = u1"\nrouter "<r> = u1"\n' % FLAGS
# From ONE to TWO. "changes": what is shown; kind, name or record, then what --json has beside.
DIFFERENCE = [
    ('- account "b@one.test"', {"change": "remove", "kind": "account", "name": "b@one.test", "values": {}}),
    ("~ domain one.test Settings: {MailToUnknown=Discarded;} -> {MailToUnknown=Rejected;}",
     {"change": "change", "kind": "domain", "name": "one.test", "key": "Settings", "from": {"MailToUnknown": "Discarded"},
      "to": {"MailToUnknown": "Rejected"}}),
    ("~ account a@one.test Aliases: (x,y) -> (x)",
     {"change": "change", "kind": "account", "name": "a@one.test", "key": "Aliases", "from": ["x", "y"], "to": ["x"]}),
    ("~ account a@one.test Settings: {RealName=Ann;} -> {MaxAccountSize=5K;RealName=Ann;}",
     {"change": "change", "kind": "account", "name": "a@one.test", "key": "Settings", "from": {"RealName": "Ann"},
      "to": {"MaxAccountSize": "5K", "RealName": "Ann"}}),
    ('+ account "c@one.test" {Settings={RealName="C \\"D\\"";};}',
     {"change": "make", "kind": "account", "name": "c@one.test", "values": {"Settings": {"RealName": 'C "D"'}}}),
    ("~ group g@one.test Settings: {%sMembers=(\"a@one.test\");RemoveToAndCc=NO;} -> {%sMembers=(\"c@one.test\");RemoveToAndCc=NO;}" %
     ((FLAGS,) * 2),
     {"change": "change", "kind": "group", "name": "g@one.test", "key": "Settings",
      "from": {"EmailDisabled": "NO", "Expand": "YES", "FinalDelivery": "NO", "Members": ["a@one.test"], "RemoveToAndCc": "NO"},
      "to": {"EmailDisabled": "NO", "Expand": "YES", "FinalDelivery": "NO", "Members": ["c@one.test"], "RemoveToAndCc": "NO"}}),
    ('~ forwarder f@one.test Address: "a@one.test" -> "c@one.test"',
     {"change": "change", "kind": "forwarder", "name": "f@one.test", "key": "Address", "from": "a@one.test", "to": "c@one.test"}),
    ('~ list l@one.test Owner: "a@one.test" -> "c@one.test"',
     {"change": "change", "kind": "list", "name": "l@one.test", "key": "Owner", "from": "a@one.test", "to": "c@one.test"}),
    ("- router <q> = u1 (line 2)", {"change": "remove", "kind": "router", "record": "<q> = u1", "line": 2}),
    ("+ router <q> = u2 (line 2)", {"change": "make", "kind": "router", "record": "<q> = u2", "line": 2}),
    ("+ router <s> = u1 (line 3)", {"change": "make", "kind": "router", "record": "<s> = u1", "line": 3}),
    ("- router <t> = u1 (line 4)", {"change": "remove", "kind": "router", "record": "<t> = u1", "line": 4}),
]


def write(s, text):
    path = os.path.join(s.dir, "apply.txt")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


def dry(s, path, *options):
    """What it would do: the lines, and the objects; nothing is changed by saying so."""
    before, commits = s.ctl("dump"), changes(s)
    lines = s.ctl("apply", "--dry-run", *options, path).splitlines()
    told = json.loads(s.ctl("--json", "apply", "--dry-run", *options, path))
    equal(s.ctl("apply", "--dry-run", "--quiet", *options, path), "", "what --quiet shows")
    equal((s.ctl("dump"), changes(s)), (before, commits), "what is there after --dry-run")
    return lines, told


def changes(s):
    """The verbs that have changed something since the start; a mark of our own says that the log is complete."""
    mark = "mark-%d" % time.monotonic_ns()
    s.ctl("cli", stdin="WriteLog 3 %s\n" % mark)
    wait(lambda: mark in s.log_text(), 60, "the log")
    return [x for x in re.findall(r"admin\.change .*?verb=(\w+)", s.log_text()) if x != "log_write"]


@case("--dry-run shows exactly what is made, changed from what to what, and taken away, as lines and in JSON, and changes nothing; then it is so")
def exact(s):
    base = s.ctl("dump")
    s.ctl("apply", "--quiet", write(s, base + ONE))
    path = write(s, base + TWO)
    lines, told = dry(s, path, "--prune")
    equal(lines, [line for line, _ in DIFFERENCE], "the lines")
    equal(told, {"difference": [d for _, d in DIFFERENCE], "changes": len(DIFFERENCE), "done": False}, "the JSON")
    # Without --prune the account stays.
    lines, told = dry(s, path)
    equal(lines, [line for line, _ in DIFFERENCE[1:]], "the lines without --prune")
    equal(told["difference"], [d for _, d in DIFFERENCE[1:]], "the JSON without --prune")
    equal(s.ctl("apply", "--prune", path).splitlines(), [line for line, _ in DIFFERENCE], "what the change itself shows")
    equal(dry(s, path, "--prune"), (["nothing to do"], {"difference": [], "changes": 0, "done": True}), "what is left")
    equal(sorted(set(s.ctl("dump").splitlines()) ^ set(base.splitlines())), sorted(TWO.splitlines()), "what is there now")
    path = write(s, base)
    lines, _ = dry(s, path, "--prune")
    equal(sorted(x[2:] for x in lines if not x.startswith("- router")),
          sorted(x for x in TWO.splitlines() if not x.startswith("router")), "what would be taken away")
    equal({x[0] for x in lines}, {"-"}, "the marks")
    s.ctl("apply", "--quiet", "--prune", path)
    equal(s.ctl("dump"), base, "what is there at the end")


@case("a table of the Router in another order, and a large one that is another altogether, are told line by line")
def table(s):
    def told(old, new):
        """The new table, made from the old one by what is shown."""
        s.ctl("router", "set", "-", stdin="".join(x + "\n" for x in old))
        _, found = dry(s, write(s, "".join('router "%s"\n' % x for x in new)), "--prune")
        have = list(old)
        rows = [d for d in found["difference"] if d["kind"] == "router"]
        for d in sorted((d for d in rows if d["change"] == "remove"), key=lambda d: -d["line"]):
            equal(have.pop(d["line"] - 1), d["record"], "the record that goes")
        for d in sorted((d for d in rows if d["change"] == "make"), key=lambda d: d["line"]):
            have.insert(d["line"] - 1, d["record"])
        equal(have, new, "the old table with what would be changed")
        return len(rows)

    def records(n, to="u1"):
        return ["<r%d> = %s" % (i, to) for i in range(n)]

    try:
        equal(told(records(5), records(5)[::-1]), 8, "lines of a table that is turned round")
        equal(told(records(4), records(4)[1:] + records(1)), 2, "lines when the first becomes the last")
        equal(told(records(5), records(2) + ["<new> = u2"] + records(5)[3:]), 2, "lines when one is another")
        equal(told(records(2000), records(2000, "u2")), 4000, "lines when all are others")
        equal(told(records(2000), records(1000) + ["<new> = u2"] + records(2000)[1000:]), 1, "lines when there is one more")
        equal(told([], records(3)) + told(records(3), []), 6, "lines from nothing, and to nothing")
    finally:
        s.ctl("router", "set", "-")


@case("what the server writes in another form than the file is no difference: sizes, words, lists, what is a group's anyway, \"default\"")
def forms(s):
    base = s.ctl("dump")
    path = write(s, 'domain "d.test" {IPAddresses=("192.0.2.0-192.0.2.255","198.51.100.0-198.51.100.3"); Settings={mailtounknown="rerouted TO";};}\n'
                 'account "n@d.test" {Settings={accessmodes=(5,pop,Mail);MaxAccountSize=10240K;UndeletePeriod=72h;QuotaNotice=#70;'
                 'PWDAllowed=no;RealName=default;SenderAddresses="A@B.Test";};}\n'
                 'group "g@d.test" {expand=yes;members=(n,"x@else.test");}\ngroup "h@d.test"\n')
    s.ctl("apply", "--quiet", path)
    equal(dry(s, path)[0], ["nothing to do"], "what is left to do")
    s.ctl("apply", "--quiet", "--prune", write(s, base))
    equal(s.ctl("dump"), base, "what is there at the end")


@case("preferences that a file does not have go, though SetAccountSettings leaves them; one that is called Suspended is not the setting")
def preferences(s):
    base = s.ctl("dump")
    s.ctl("prefs", "set", "account", "u1", "Suspended=YES", "a=b")
    had = s.ctl("dump")
    s.ctl("settings", "replace", "account", "u1")
    equal(s.ctl("dump"), had, "what is there after the settings were replaced")
    s.ctl("settings", "set", "account", "u1", "Suspended=YES", "RealName=x")
    for text in (had, base):
        s.ctl("apply", "--quiet", write(s, text))
        equal(s.ctl("dump"), text, "what is there now")
    # Both go at once.
    s.ctl("prefs", "set", "account", "u1", "a=b")
    s.ctl("settings", "set", "account", "u1", "Suspended=YES")
    s.ctl("apply", "--quiet", write(s, base))
    equal(s.ctl("dump"), base, "what is there at the end")


FULL = 'account "%s" {Settings={AccessModes=(23,Mail,POP,IMAP,PWD);FailedLoginFlow=(7,2m);MaxAccountSize=1G;PWDAllowed=NO;' \
    'QuotaNotice=70;RealName="%s";SenderAddresses=("a@b.test","*@c.test");UndeletePeriod=3d;};}\n'
DOM = 'domain "%s" {IPAddresses=("192.0.2.%d"); Settings={MailRerouteAddress="*@old.test";MailToUnknown="Rerouted to";};}\n'


@case("an account with its settings, a domain with its settings and addresses, other settings, another group: each is one change")
def one_change(s):
    base = s.ctl("dump")
    for text, verb in ((DOM % ("d.test", 7), "domain_create"), (FULL % ("n@" + DOMAIN, "N"), "account_create"),
                       (FULL % ("u1@" + DOMAIN, "U"), "settings_set"), ('group "g@%s" {Members=("u1@%s");}\n' % (DOMAIN, DOMAIN), None)):
        path, was = write(s, text), changes(s)
        s.ctl("apply", "--quiet", path)
        now = changes(s)
        if verb is not None:
            equal(now[len(was):], [verb], "the changes for " + text)
        equal(dry(s, path)[0], ["nothing to do"], "what is left to do")
    # What the template says and the file does not is not there, from the beginning.
    s.ctl("apply", "--quiet", write(s, 'domain "t.test" {Template={DefaultMailboxes=(Sent);QuotaAlert=5;RealName=new;};}\n'))
    for line in ('account "a@t.test"', 'account "b@t.test" {Settings={QuotaAlert=7;};}'):
        path, was = write(s, line + "\n"), changes(s)
        s.ctl("apply", "--quiet", path)
        equal(changes(s)[len(was):], ["account_create"], "the changes for " + line)
        check(line + "\n" in s.ctl("dump"), "there is %s", s.ctl("dump"))
    s.ctl("apply", "--quiet", "--prune", write(s, base))
    equal(s.ctl("dump"), base, "what is there at the end")


def took(s, path):
    began = time.monotonic()
    s.ctl("apply", "--quiet", path)
    return time.monotonic() - began


@case("routerd killed -9 while one object is applied: all of it is there or nothing, never anything else; the same file again makes it whole",
      engines=("lmdb",))
def killed(s):
    base = s.ctl("dump")
    long_s = took(s, write(s, FULL % ("k@" + DOMAIN, "K")))
    s.ctl("account", "delete", "k")
    found = {"all": 0, "nothing": 0}
    steps = [FULL % ("k1@" + DOMAIN, "K 1"), DOM % ("k.test", 8), FULL % ("k1@" + DOMAIN, "K 2"), FULL % ("u1@" + DOMAIN, "U 1")]
    for n, text in enumerate(steps):
        path, before = write(s, text), s.ctl("dump").splitlines()
        name = " ".join(text.split()[:2])
        after = sorted([x for x in before if not x.startswith(name)] + [text.rstrip()])

        def kill(pid, late_s):
            time.sleep(late_s)
            os.kill(pid, signal.SIGKILL)

        thread = threading.Thread(target=kill, args=(s.pids("routerd")[0], long_s * (0.1 + 0.25 * n)))
        thread.start()
        subprocess.run([os.path.join(s.root, "usr/bin/gatehousectl"), "--socket", s.admin, "apply", "--quiet", path],
                       stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120, check=False)
        thread.join(60)

        def there():
            status, out, _ = s.ctl("dump", ok=False)
            return out.splitlines() if status == 0 else None

        now = wait(there, 60, "routerd's return")
        check(now == before or sorted(now) == after, "after the kill %d there is %s", n, "\n".join(set(now) ^ set(before)))
        found["all" if now != before else "nothing"] += 1
        wait(lambda: s.ctl("apply", "--quiet", path, ok=False)[0] == 0, 60, "the second run")
        equal(sorted(s.ctl("dump").splitlines()), after, "what is there after the second run")
    print("        %(all)d times all of it was there after the kill, %(nothing)d times nothing" % found)
    s.ctl("apply", "--quiet", "--prune", write(s, base))
    equal(s.ctl("dump"), base, "what is there at the end")


if __name__ == "__main__":
    main(21200)
