#!/usr/bin/python3
"""names - names in logins and mail, and what administrators do to domains and accounts.

example.test is the Main Domain, client1.test has the address 127.0.0.2, client2.test has none, and each has an
account info. The worked examples are in examples.py.
"""
import contextlib
import imaplib
import json
import re
import time

from suite import A1, A2, DOMAIN, PASSWORD, behind_trace, case, check, equal, main, message, refused, wait

HASHED = "{CRYPT}$5$rounds=1000$saltsalt$yNsvQnPeGyBsuOd2Qc4pOGvyhIGRSgrXBVNcOqD1Wr9"


def prepare(s):
    """Once for all cases."""
    if "client1.test" in s.ctl("domain", "list").split():
        return
    s.ctl("domain", "create", "client1.test")
    s.ctl("domain", "create", "client2.test")
    s.ctl("domain", "addresses", "client1.test", "=", A2)
    s.ctl("domain", "aliases", "client1.test", "=", "mail.client1.test")
    lines = ["info@" + DOMAIN, "info@client1.test", "info@client2.test", "john@" + DOMAIN,
             "j.smith@client1.test"]
    s.ctl("account", "import", "-", stdin="".join("%s:{PLAIN}%s\n" % (n, PASSWORD) for n in lines))
    s.ctl("alias", "set", "john", "john_smith")
    s.ctl("alias", "set", "info@client1.test", "office")


@case("a table of 100,000 records is set at once, read back, and one more record or a lost postmaster refused")
def big_table(s):
    text = "".join("<name%05d@some.domain.example> = john.doe%05d@another.example\n" % (i, i) for i in range(99998))
    text += "<big> = u1\n<*big> = u2\n"
    s.ctl("router", "set", "-", stdin=text)
    try:
        check(s.ctl("router", "show").strip() == text.strip(), "another table came back")
        equal((s.opened("big"), s.opened("xbig")), ("u1@" + DOMAIN, "u2@" + DOMAIN), "the accounts opened")
        steps = s.ctl("route", "test", "name00077@some.domain.example", "mail")
        check("table line 78" in steps and "taken from anybody" in steps, "the steps: %s", steps)
        for bad, why in ((text + "<a> = b\n", "line 100001: too many records"),
                         (";\n<postmaster> = u1\n", "line 2: postmaster of the Main Domain")):
            status, _, err = s.ctl("router", "set", "-", stdin=bad, ok=False)
            check(status == 1 and why in err, "status %d: %s", status, err)
        equal(s.opened("big"), "u1@" + DOMAIN, "the account opened after refusals")
    finally:
        s.ctl("router", "set", "-")


@case("names are compared without regard to case, in logins and in mail")
def letter_case(s):
    prepare(s)
    equal(s.opened("INFO@Client2.TEST"), "info@client2.test", "the account opened")
    s.deliver("JOHN_Smith@Example.Test", message("in any case"))
    equal(len(s.mail("john")), 1, "number of messages")
    s.empty("john")


@case("mail to an alias, through a domain alias, and to a name alone reaches the account")
def mail_names(s):
    prepare(s)
    for to, reader in (("john_smith@" + DOMAIN, "john"), ("info@mail.client1.test", "info@client1.test")):
        s.deliver(to, message(to))
        equal([behind_trace(m) for m in s.mail(reader)], [message(to)], "mail of %s" % reader)
        s.empty(reader)


@case("mail to mailbox#account goes into that mailbox where the account wants it, else into the INBOX")
def direct(s):
    prepare(s)
    with imaplib.IMAP4(A1, s.port(143), timeout=30) as m:
        m.login("info@client1.test", PASSWORD)
        for box in ("Work", "Work/Old"):
            equal(m.create(box)[0], "OK", "the answer to CREATE")

        def counts():
            return [int(re.search(rb"MESSAGES (\d+)", m.status(box, "(MESSAGES)")[1][0])[1])
                    for box in ("INBOX", "Work", "Work/Old")]

        def steps(name):
            return s.ctl("route", "test", name, "--mode", "mail")

        to = "Work#info@client1.test"
        s.deliver(to)
        equal(counts(), [1, 0, 0], "messages by default")
        check("DirectMailboxAddressing is NO" in steps(to), "route test says %s", steps(to))
        s.ctl("settings", "set", "account-defaults", "client1.test", "DirectMailboxAddressing=YES")
        check("DirectMailboxAddressing is YES" in steps(to), "route test says %s", steps(to))
        for to in ("Work#info@client1.test", "Work/Old#info+detail@client1.test", "No.Such#info@client1.test",
                   "INBOX#info@client1.test", "Work#office@client1.test"):
            s.deliver(to)
        equal(counts(), [3, 2, 1], "messages when the domain wants it")
        with s.lmtp() as l:
            both = ["info@client1.test", "Work#info@client1.test", "Work#info@client1.test", "Work/Old#info@client1.test"]
            equal([code for code, _ in l.data(both, message("to all"))], [250] * 4, "the answers")
        equal(counts(), [4, 3, 2], "messages after one for several")
        m.delete("Work/Old")
        s.deliver("Work/Old#info@client1.test")
        equal(int(re.search(rb"MESSAGES (\d+)", m.status("INBOX", "(MESSAGES)")[1][0])[1]), 5, "messages in the INBOX")
    wait(lambda: not s.sessions(), 60, "the session's end")
    s.ctl("settings", "set", "account-defaults", "client1.test", "DirectMailboxAddressing=default")
    s.empty("info@client1.test")


@case("a name that is taken is refused, be it as account, alias, domain or domain alias")
def taken(s):
    prepare(s)
    for args in (["account", "create", "john"], ["account", "create", "john_smith@" + DOMAIN],
                 ["alias", "set", "info", "john"], ["alias", "set", "info", "john_smith"],
                 ["domain", "create", "mail.client1.test"], ["domain", "create", DOMAIN],
                 ["domain", "aliases", "client2.test", "=", "mail.client1.test"],
                 ["domain", "addresses", "client2.test", "=", A2]):
        status, _, err = s.ctl(*args, ok=False)
        check(status == 1 and err.startswith("gatehousectl: "), "%s: status %d, %s", args, status, err)
    equal(s.ctl("alias", "list", "info").split(), [], "aliases of info")
    equal(s.opened("john_smith"), "john@" + DOMAIN, "the account opened")
    equal(s.ctl("domain", "delete", DOMAIN, ok=False)[0], 1, "status of deleting the Main Domain")
    equal(s.ctl("domain", "delete", "client2.test", ok=False)[0], 1, "status of deleting a domain in use")


@case("20,000 accounts with given hashes are made, can be looked up and log in; those that exist are refused")
def bulk(s):
    n = 20000
    s.ctl("domain", "create", "bulk.test")
    lines = "".join("a%05d@bulk.test:%s\n" % (i, HASHED) for i in range(n - 1))
    lines += "a%05d@bulk.test:{PLAIN}secret\n" % (n - 1)
    began = time.monotonic()
    out = json.loads(s.ctl("--json", "account", "import", "-", stdin=lines))
    seconds = time.monotonic() - began
    print("        account import: %d accounts in %.2f s, %.0f/s" % (n, seconds, n / seconds))
    equal(out, {"made": n, "refused": 0}, "the answer")
    names = s.ctl("account", "list", "bulk.test").split()
    equal(sorted(names), ["a%05d" % i for i in range(n)], "the list of names")
    for i in (0, 1, 9999, n - 1):
        info = json.loads(s.ctl("--json", "account", "info", "a%05d@bulk.test" % i))
        equal((info["AccountName"], info["State"]), ("a%05d@bulk.test" % i, "active"), "information")
    equal(s.opened("a%05d@bulk.test" % (n - 1), "secret"), "a%05d@bulk.test" % (n - 1), "the account opened")
    status, out, err = s.ctl("--json", "account", "import", "-", ok=False, stdin="".join(
        lines.splitlines(True)[:300]) + "new@bulk.test\n# a remark\n\nbad name@bulk.test\nx@bulk.test:{ODD}hash\n")
    equal(status, 1, "status of the second import")
    equal(json.loads(out), {"made": 1, "refused": 302}, "the second answer (%s)" % err[-300:])


@case("a deleted account takes its mail, secret and sessions along; the same name made again has none of them")
def delete(s):
    s.ctl("account", "import", "-", stdin="gone:{PLAIN}old-secret\n")
    s.ctl("alias", "set", "gone", "gone.too")
    s.deliver("gone@" + DOMAIN, message("old mail"))
    before = json.loads(s.ctl("--json", "account", "info", "gone"))["ID"]
    with contextlib.closing(s.pop("gone", "old-secret")) as p:
        s.ctl("account", "delete", "gone")
        wait(lambda: not s.sessions(), 60, "the end of the session")
        with contextlib.suppress(EOFError, OSError):
            check(refused(p.stat) is not None, "the session went on")
    refused(s.pop, "gone", "old-secret")
    with s.lmtp() as l:
        l.command("MAIL FROM:<>", 250)
        for name in ("gone", "gone.too"):
            equal(l.command("RCPT TO:<%s@%s>" % (name, DOMAIN))[0], 550, "the code for %s" % name)
    s.ctl("account", "create", "gone")
    check(json.loads(s.ctl("--json", "account", "info", "gone"))["ID"] != before, "the id came back")
    refused(s.pop, "gone", "old-secret")
    s.ctl("password", "set", "gone", "plain", stdin="new-secret\n")
    equal(s.mail("gone", "new-secret"), [], "mail of the new account")
    equal(s.ctl("alias", "list", "gone").split(), [], "aliases of the new account")
    s.ctl("account", "delete", "gone")


@case("a suspended account: its session ends, login and mail are refused; resumed it has its mail")
def suspend(s):
    s.deliver("u2@" + DOMAIN, message("before"))
    with contextlib.closing(s.pop("u2")) as p:
        s.ctl("account", "suspend", "u2")
        try:
            equal(json.loads(s.ctl("--json", "account", "info", "u2"))["State"], "suspended", "the state")
            wait(lambda: not s.sessions(), 60, "the end of the session")
            with contextlib.suppress(EOFError, OSError):
                refused(p.retr, 1)
            line = refused(s.pop, "u2")
            check("[SYS/PERM]" in line, "answered %s", line)
            with s.lmtp() as l:
                l.command("MAIL FROM:<>", 250)
                code, text = l.command("RCPT TO:<u2@%s>" % DOMAIN)
                equal((code, text[-1][:5]), (550, "5.2.1"), "the answer to mail")
        finally:
            s.ctl("account", "resume", "u2")
    equal([behind_trace(m) for m in s.mail("u2")], [message("before")], "mail of the resumed account")
    s.empty("u2")


@case("a changed password ends the running sessions of that account and of no other")
def password(s):
    with contextlib.closing(s.pop("u1")) as one, contextlib.closing(s.pop("u2")) as other:
        equal({r["Account"] for r in s.sessions()}, {"u1@" + DOMAIN, "u2@" + DOMAIN}, "the sessions")
        s.ctl("password", "set", "u1", "plain", stdin="changed\n")
        try:
            wait(lambda: len(s.sessions()) == 1, 60, "the end of the session")
            with contextlib.suppress(EOFError, OSError):
                refused(one.stat)
            equal(other.stat(), (0, 0), "the other session's mailbox")
            equal(s.ctl("password", "check", "u1", stdin="changed\n", ok=False)[0], 0, "status for the new one")
            equal(s.ctl("password", "check", "u1", stdin=PASSWORD + "\n", ok=False)[0], 1, "status for the old one")
            refused(s.pop, "u1", PASSWORD)
        finally:
            s.ctl("password", "set", "u1", "plain", stdin=PASSWORD + "\n")
        s.pop("u1").quit()
        other.quit()


@case("sessions are listed with their account, protocol and address; kick ends one, or all of an account")
def kick(s):
    def ended(p):
        try:
            return refused(p.noop) is not None
        except (EOFError, OSError):
            return True

    with contextlib.closing(s.pop("u1")) as a, contextlib.closing(s.pop("u1%" + DOMAIN, address=A2)) as b, \
            contextlib.closing(s.pop("u2")) as c:
        rows = s.sessions()
        equal(sorted((r["Account"], r["Protocol"], r["Address"]) for r in rows),
              [("u%d@%s" % (n, DOMAIN), "pop3", A1) for n in (1, 1, 2)], "the sessions")
        check(all(abs(r["Since"] - time.time()) < 60 for r in rows), "the time is wrong: %r", rows)
        mine = s.sessions("u1")
        equal(sorted(r["ID"] for r in mine), sorted(r["ID"] for r in rows if r["Account"].startswith("u1")), "ids")
        s.ctl("session", "kick", str(max(r["ID"] for r in mine)))
        wait(lambda: len(s.sessions()) == 2, 60, "the end of one session")
        check(ended(b), "the session that was kicked went on")
        equal(a.stat(), (0, 0), "the mailbox in the other")
        s.ctl("session", "kick", "u1")
        wait(lambda: [r["Account"] for r in s.sessions()] == ["u2@" + DOMAIN], 60, "the end of the rest")
        check(ended(a), "the session that was kicked went on")
        for what in ("u1", "1", "nobody"):
            equal(s.ctl("session", "kick", what, ok=False)[0], 1, "status of kicking nothing (%s)" % what)
        c.quit()


@case("figures move with what happens")
def stat(s):
    def figures(*account):
        return json.loads(s.ctl("--json", "stat", *account))

    wait(lambda: int(figures()["sessions"]) == 0, 60, "the sessions of before are over")
    was, mine = figures(), figures("u1")
    for _ in range(3):
        s.deliver("u1@" + DOMAIN, message("counted"))
    with contextlib.closing(s.pop("u1")) as p:
        p.retr(1)
        now = figures()
        equal(now["sessions"], was["sessions"] + 1, "sessions")
        p.dele(1)
        p.quit()
    now = figures()
    for name, by in (("delivered", 3), ("expunged", 1), ("sessions-opened", 1)):
        equal(now[name] - was[name], by, name)
    check(now["engine-commits"] > was["engine-commits"], "no commits were counted")
    after = figures("u1")
    equal(after["messages"] - mine["messages"], 2, "messages of the account")
    check(after["bytes"] - mine["bytes"] > 2 * len(message("counted")), "bytes of the account: %r", after)
    s.empty("u1")


@case("everything is there after a restart: domains, addresses, aliases, records, accounts, secrets, mail, ids",
      engines=("lmdb",))
def restart(s):
    prepare(s)
    s.ctl("router", "set", "-", stdin="<kept> = u1\n")
    s.deliver("u1@" + DOMAIN, message("kept"))
    with contextlib.closing(s.pop("u1")) as p:
        ids = p.uidl()[1]

    def all_of_it():
        return [s.ctl("--json", *c.split()) for c in
                ("domain list", "domain addresses client1.test", "domain aliases client1.test", "alias list john",
                 "account list", "account list client1.test", "account info john", "router show")]

    before = all_of_it()
    made = len(s.ctl("account", "list", "bulk.test", ok=False)[1].split())
    s.restart()
    equal(all_of_it(), before, "the directory")
    equal(len(s.ctl("account", "list", "bulk.test", ok=False)[1].split()), made, "number of accounts")
    equal(s.opened("kept"), "u1@" + DOMAIN, "the account behind a record")
    equal(s.opened("info", address=A2), "info@client1.test", "the account opened")
    equal([behind_trace(m) for m in s.mail("u1")], [message("kept")], "the mail")
    with contextlib.closing(s.pop("u1")) as p:
        equal(p.uidl()[1], ids, "unique ids")
        p.quit()
    s.ctl("router", "set", "-")
    s.empty("u1")


if __name__ == "__main__":
    main(21000, addresses=(A1, A2))
