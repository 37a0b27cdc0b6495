#!/usr/bin/python3
"""audit - who logged in, who was refused, what administrators did: in the log; a password never.

Runs with log_level = debug: what is written at no level is not written at all.
"""
import base64
import contextlib
import imaplib
import os
import re
import smtplib
import socket

from suite import A1, DOMAIN, PASSWORD, TOP, Line, case, check, equal, main, plain, refused, wait

SECRET = "Xyzzy-%d-secret" % os.getpid()  # every password that is typed here begins like this


def lines(s, event, **want):
    """Lines of an event, as dictionaries, that have these values."""
    found = []
    for line in s.log_text().splitlines():
        m = re.match(r"(\S+) (\S+) (\w+) (?:sid=(\S+) )?%s( .*|$)" % re.escape(event), line)
        if not m:
            continue
        keys = dict(re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)', m[5]))
        keys = {k: v.strip('"') for k, v in keys.items()}
        keys["process"] = m[2]
        if all(keys.get(k) == v for k, v in want.items()):
            found.append(keys)
    return found


def one(s, event, **want):
    return wait(lambda: lines(s, event, **want), 60, "%s %r" % (event, want))[-1]


def speak(s, *commands):
    """The replies to lines of the administration protocol."""
    with Line(s.admin) as l:
        l.want(None, "200")
        l.want("INLINE", "200")
        return [l.ask(c) for c in commands]


@case("a login: service, mechanism, account by name and number, peer, session")
def login(s):
    with contextlib.closing(s.pop("u1")) as p:
        row = s.sessions()[0]
        p.quit()
    got = one(s, "auth.granted", service="pop3", user="u1@" + DOMAIN)
    equal((got["peer"], got["mech"], got["process"]), (A1, "PLAIN", "authd"), "peer, mechanism, process")
    equal((int(got["account"]), got["source"]), (row["AccountID"], "own"), "account and whose password it was")
    check(re.fullmatch(r"[0-9a-f]+-[0-9a-f]+", got["sid"]), "session %s", got["sid"])
    check(one(s, "conn.end", process="pop3"), "no line of the connection's end")


@case("logins by each door: IMAP and submission as well")
def doors(s):
    for password, event in ((PASSWORD, "auth.granted"), (SECRET, "auth.refused")):
        m = imaplib.IMAP4_SSL("localhost", s.port(993), ssl_context=s.ca())
        with contextlib.suppress(imaplib.IMAP4.error):
            m.login("u1", password)
        m.logout()
        equal(one(s, event, service="imap")["user"], "u1@" + DOMAIN, "user")
        with smtplib.SMTP_SSL("localhost", s.port(465), context=s.ca()) as m:
            with contextlib.suppress(smtplib.SMTPAuthenticationError):
                m.login("u2", password)
        equal(one(s, event, service="smtp")["user"], "u2@" + DOMAIN, "user")


@case("a refused login: the reason, the name that was typed, from where")
def no_login(s):
    refused(s.pop, "u1", SECRET)
    equal(one(s, "auth.refused", user="u1@" + DOMAIN, why="credentials")["peer"], A1, "peer")
    refused(s.pop, "who@" + DOMAIN, SECRET)
    one(s, "auth.refused", user="who@" + DOMAIN, why="route", service="pop3")
    s.ctl("account", "suspend", "u2")
    refused(s.pop, "u2", PASSWORD)
    s.ctl("account", "resume", "u2")
    one(s, "auth.refused", user="u2", why="disabled")
    with s.pop_line() as l:
        l.want("AUTH GSSAPI", "-ERR")
    with s.pop_line() as l:
        l.want("AUTH PLAIN " + plain("u1", SECRET), "-ERR")
        l.want("AUTH LOGIN", "+")
        l.want(base64.b64encode(b"u1").decode(), "+")
        l.want(base64.b64encode(SECRET.encode()).decode(), "-ERR")
    one(s, "auth.refused", mech="LOGIN", why="credentials")


@case("administrators: who came, and who was refused")
def access(s):
    s.ctl("domain", "list")
    got = one(s, "auth.admin")
    equal(int(got["uid"]), os.getuid(), "uid")
    check(got["who"], "who is %r", got["who"])
    if os.getuid() != 0:
        return  # nobody else can be tried
    os.chmod(s.dir, 0o711)
    os.chmod(os.path.join(s.dir, "run"), 0o755)
    os.chmod(s.admin, 0o666)
    pid = os.fork()
    if pid == 0:
        os.setgid(65534)
        os.setuid(65534)
        with socket.socket(socket.AF_UNIX) as c:
            c.connect(s.admin)
            os._exit(0 if c.recv(100).startswith(b"501") else 1)
    equal(os.waitpid(pid, 0)[1], 0, "status of a stranger")
    equal(one(s, "auth.refused", service="admin")["user"], "uid-65534", "user")


def spoken():
    """The verbs that some command of the administration protocol uses."""
    found = set()
    folder = os.path.join(TOP, "protocols", "admin")
    for name in os.listdir(folder):
        if not name.endswith(".c"):
            continue
        with open(os.path.join(folder, name), encoding="utf-8") as f:
            found |= set(re.findall(r"VERB_(\w+)", f.read()))
    return found


@case("every change of the directory: who, verb, object, result; what only looks leaves no line")
def changes(s):
    commands = {
        "domain_create": ("CreateDomain d.example", "d.example"),
        "domain_set_aliases": ("SetDomainAliases d.example (e.example)", "d.example"),
        "domain_set_ips": ("UpdateDomainSettings d.example {IPAddresses=(#I[192.0.2.9]);}", "d.example"),
        "domain_suspend": ("SuspendDomain d.example", "d.example"),
        "domain_resume": ("ResumeDomain d.example", "d.example"),
        "account_create": ("CreateAccount old@d.example {Password=\"%s new\";}" % SECRET, "old@d.example"),
        "account_rename": ("RenameAccount old@d.example INTO new@d.example", "old@d.example"),
        "account_set_aliases": ("SetAccountAliases new@d.example (other)", "new@d.example"),
        "settings_update": ("UpdateAccountSettings new@d.example {RealName=new;}", "new@d.example"),
        "settings_set": ("SetDomainSettings d.example {MailToUnknown=Rejected;}", "d.example"),
        "rights_set": ("SetAccountRights new@d.example (Domain)", "new@d.example"),
        "alert_post": ("PostServerAlert ALERT text", "server"),
        "alert_set": ("SetDomainAlerts d.example (one)", "d.example"),
        "alert_remove": ("RemoveServerAlert ALERT text", "server"),
        "account_set_type": ("SetAccountType new@d.example MultiMailbox", "new@d.example"),
        "mailbox_aliases_set": ("SetMailboxAliases new@d.example {a=b;}", "new@d.example"),
        "prefs_change": ("UpdateAccountPrefs new@d.example {a=b;}", "new@d.example"),
        "domain_prefs_change": ("SetAccountDefaultPrefs d.example {a=b;}", "d.example"),
        "stat_set": ("SetStatElement custom.a SET 1", "custom.a"),
        "account_tally_reset": ("ResetAccountStat new@d.example", "new@d.example"),
        "domain_tally_reset": ("ResetDomainStat d.example", "d.example"),
        "log_write": ("WriteLog 3 \"a note\"", "3"),
        "group_create": ("CreateGroup g@d.example", "g@d.example"),
        "group_set": ("SetGroup g@d.example {Members=(new);}", "g@d.example"),
        "group_rename": ("RenameGroup g@d.example INTO h@d.example", "g@d.example"),
        "group_delete": ("DeleteGroup h@d.example", "h@d.example"),
        "forwarder_create": ("CreateForwarder f@d.example TO new@d.example", "f@d.example"),
        "forwarder_rename": ("RenameForwarder f@d.example INTO g@d.example", "f@d.example"),
        "forwarder_delete": ("DeleteForwarder g@d.example", "g@d.example"),
        "list_create": ("CreateList l@d.example FOR new@d.example", "l@d.example"),
        "list_rename": ("RenameList l@d.example INTO m@d.example", "l@d.example"),
        "list_delete": ("DeleteList m@d.example", "m@d.example"),
        "account_delete": ("DeleteAccount new@d.example", "new@d.example"),
        "domain_rename": ("RenameDomain d.example INTO f.example", "d.example"),
        "domain_delete": ("DeleteDomain f.example", "f.example"),
        "router_set_table": ("SetRouterTable \"; nothing but a word: %s\"" % SECRET, "router")}
    with open(os.path.join(TOP, "common", "ipc", "verbs.def"), encoding="utf-8") as f:
        verbs = set(re.findall(r"^VERB\((\w+), \d+, \d+, CHANGES,", f.read(), re.M))
    equal(sorted((verbs & spoken()) - set(commands) - {"conn_kick"}), [], "verbs without a line here")
    who = one(s, "auth.admin")["who"]
    for verb, (command, what) in commands.items():
        equal(speak(s, command)[0], "200 done", "answer to " + command)
        got = one(s, "admin.change", verb=verb, object=what)
        equal((got["who"], got["result"], got["process"]), (who, "ok", "routerd"), "line of " + verb)
    speak(s, "CreateDomain " + DOMAIN)
    equal(one(s, "admin.change", verb="domain_create", object=DOMAIN)["result"], "exists", "result")
    before = len(lines(s, "admin.change"))
    speak(s, "ListDomains", "ListAccounts", "GetAccountInfo u1", "Route u1", "GetRouterTable", "ListStat")
    equal(len(lines(s, "admin.change")), before, "lines after looking")


@case("passwords set and tried, sessions ended")
def others(s):
    speak(s, "SetAccountPassword u2 PASSWORD \"%s two\"" % SECRET,
          "VerifyAccountPassword u2 PASSWORD \"%s three\"" % SECRET,
          "SetAccountPassword u2 PASSWORD \"%s\" METHOD nonsense" % SECRET)
    sets = lines(s, "admin.change", verb="password_set")
    equal(one(s, "admin.change", verb="password_check")["result"], "credentials", "result")
    check(any(k["result"] == "ok" for k in sets), "no password was set")
    wait(lambda: lines(s, "admin.change", verb="password_set", result="mechanism"), 60, "a refused password")
    speak(s, "SetAccountPassword u2 PASSWORD \"%s four\" TAG phone" % SECRET)
    equal(one(s, "admin.change", verb="password_tag")["result"], "ok", "result")
    with contextlib.closing(s.pop("u2", SECRET + " four")) as p:
        p.quit()
    one(s, "auth.granted", user="u2@" + DOMAIN, source="tag:phone")
    speak(s, "SetAccountPassword u2 PASSWORD \"\" TAG phone")
    with contextlib.closing(s.pop("u1")):
        s.ctl("session", "kick", "u1")
    equal(one(s, "admin.change", verb="session_kick")["result"], "ok", "result")
    s.ctl("session", "kick", "99", ok=False)
    one(s, "admin.change", verb="session_kick", object="0-63", result="not-found")
    equal(lines(s, "admin.change", verb="conn_kick"), [], "lines of a connection that is none")
    with s.lmtp():
        sid = [r["SID"] for r in s.connections() if r["Protocol"] == "lmtp"][-1]
        s.ctl("session", "kick", sid)
        equal(one(s, "admin.change", verb="conn_kick", object=sid)["result"], "ok", "result")


@case("a password is in no line: typed right, wrong, in the wrong place, hashed, or in a line that is refused")
def secrets(s):
    s.ctl("password", "set", "u1", stdin=SECRET)
    s.pop("u1", SECRET).quit()
    s.ctl("password", "check", "u1", stdin=SECRET)
    s.ctl("password", "set", "u1", "given", stdin="{PLAIN}" + SECRET)
    speak(s, "PASS " + SECRET, "CreateAccount q {Password=\"%s" % SECRET, "CreateAccount q {Password=%s;Shoe=1;}" % SECRET,
          "SetAccountPassword u1 PASSWORD %s x y z" % SECRET, "SetAccountPassword nobody PASSWORD " + SECRET,
          "CreateAccount q {PasswordHash=\"{NONSENSE}%s\";}" % SECRET, "NEWPASS " + SECRET, "USER u1", "PASS " + SECRET)
    with s.pop_line() as l:
        l.ask("USER u1")
        l.ask("PASS " + SECRET + " and more")
        l.ask("PASSX " + SECRET)
        l.ask("AUTH PLAIN " + plain("u1", SECRET)[:-3])
        l.send("PASS " + SECRET + "\n")
        l.line()
    with contextlib.suppress(OSError, smtplib.SMTPException), s.lmtp() as l:
        l.command("AUTH PLAIN " + plain("u1", SECRET))
    s.ctl("password", "set", "u1", stdin=PASSWORD)
    s.stop()  # the log is whole
    text = s.log_text()
    for form in (SECRET, base64.b64encode(SECRET.encode()).decode()[:12], plain("u1", SECRET)[:20], SECRET.encode().hex()):
        check(form not in text, "the log holds %r: %s", form,
              [line for line in text.splitlines() if form in line][:3])
    check("{PLAIN}" not in text and "$y$" not in text and "$6$" not in text, "the log holds a hash")
    s.start_again()


if __name__ == "__main__":
    main(24100, settings=("log_level = debug",))
