#!/usr/bin/python3
"""ctl - gatehousectl as an operator types it: wrong usage, passwords at a terminal, completion."""
import contextlib
import json
import os
import pty
import re
import subprocess
import time

import words  # its cases belong to this run
from suite import DOMAIN, PASSWORD, TOP, Failed, case, check, equal, main, refused, wait


def told(s, status, text, *args, stdin=""):
    got, _, err = s.ctl(*args, stdin=stdin, ok=False)
    equal(got, status, "status of %s" % " ".join(args))
    check(text in err, "%s says %r, not %r", " ".join(args), err, text)


@case("wrong usage is told with what would be right, and has status 2")
def usage(s):
    told(s, 2, "unknown command foo", "foo")
    told(s, 2, "account suspend NAME\n", "account")
    told(s, 2, "account suspend NAME\n", "account", "what")
    told(s, 2, "usage: gatehousectl account create NAME [QUOTA] [KEY=VALUE...]", "account", "create")
    # A variable that is not set: no other name is taken for it, least of all the Main Domain's.
    before = s.ctl("settings", "show", "domain", DOMAIN)
    told(s, 2, "argument 2 is empty; nothing was done", "settings", "set", "domain", "", "MailToUnknown=Discarded")
    told(s, 2, "argument 1 is empty", "account", "list", "")
    told(s, 2, "usage: gatehousectl session kick", "session", "kick", "")
    equal(s.ctl("settings", "show", "domain", DOMAIN), before, "settings of the Main Domain")


@case("without a server the status is 3, with a hint")
def unreached(s):
    told(s, 3, "is it running?", "--socket", s.dir + "/nobody", "stat")


@case("refusals have status 1 and a sentence, with --json too")
def refusals(s):
    told(s, 1, "there is no such session", "session", "kick", "99")
    told(s, 1, "there is no such account", "account", "info", "nobody")
    told(s, 1, "there is no such domain", "--json", "account", "list", "no.test")


@case("what --json prints is JSON")
def as_json(s):
    for words in (["domain", "list"], ["account", "list"], ["account", "info", "u1"], ["alias", "list", "u1"],
                  ["route", "test", "u1"], ["session", "list"], ["stat"], ["stat", "u1"], ["router", "show"]):
        json.loads(s.ctl("--json", *words))


@case("a password is one line; an empty one or several lines change nothing")
def password(s):
    for bad in ("", "\n", "a\nb\n"):
        told(s, 1, "a password is one line", "password", "set", "u1", stdin=bad)
    equal(s.ctl("password", "check", "u1", stdin=PASSWORD + "\r\n"), "", "output")


@case("at a terminal a password is not shown and ends with its line")
def terminal(s):
    pid, fd = pty.fork()
    if pid == 0:
        program = os.path.join(s.root, "usr/bin/gatehousectl")
        os.execv(program, [program, "--socket", s.admin, "password", "check", "u1"])
    seen = os.read(fd, 100)
    while b"password: " not in seen:
        seen += os.read(fd, 100)
    os.write(fd, PASSWORD.encode() + b"\n")
    _, status = os.waitpid(pid, 0)
    seen += os.read(fd, 1000)
    os.close(fd)
    equal(os.waitstatus_to_exitcode(status), 0, "status")
    check(PASSWORD.encode() not in seen, "the terminal shows %r", seen)


@case("aliases are set with and without '='")
def aliases(s):
    for words in (["=", "red", "blue"], ["red", "blue"]):
        s.ctl("alias", "set", "u1", *words)
        equal(sorted(s.ctl("alias", "list", "u1").split()), ["blue", "red"], "aliases")
    s.ctl("alias", "set", "u1", "=")
    equal(s.ctl("alias", "list", "u1"), "", "aliases")


@case("an account on hold is not deleted, and works on")
def hold(s):
    s.ctl("account", "create", "h1")
    s.ctl("password", "set", "h1", stdin=PASSWORD)
    s.ctl("undelete", "hold", "h1", "on")
    check("YES" in s.ctl("undelete", "hold", "h1"), "the hold")
    told(s, 1, "on hold", "undelete", "purge", "h1")
    told(s, 1, "on hold", "account", "delete", "h1")
    s.ctl("password", "check", "h1", stdin=PASSWORD)
    s.ctl("undelete", "hold", "h1", "off")
    s.ctl("account", "delete", "h1")
    told(s, 1, "there is no such account", "account", "info", "h1")


def verbs():
    """(group, name or None, knows --dry-run, options) of the table in ctl/commands.c."""
    with open(os.path.join(TOP, "ctl", "commands.c"), encoding="utf-8") as f:
        text = f.read()
    rows = re.findall(r'^\t\{ "(\w+)", (?:"(\w+)"|NULL), \d+, \d+, \w+, ([\w |]+), "[^"]*",\s+"([^"]*)"', text, re.M)
    check(len(rows) == len(re.findall(r'^\t\{ "', text, re.M)) and len(rows) > 20, "the table is not understood")
    return [(g, n or None, "CTL_DRY" in flags, re.findall(r"([\w-]+)(?:=\w+)?", options)) for g, n, flags, options in rows]


def complete(s, *words):
    script = """source ctl/completion.bash
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _gatehousectl; echo "${COMPREPLY[@]}" """
    return subprocess.run(["bash", "-c", script, "x", "gatehousectl", *words], cwd=TOP,
                          env={"PATH": os.path.join(s.root, "usr/bin") + ":/usr/bin:/bin"},
                          stdout=subprocess.PIPE, check=True).stdout.decode().split()


@case("every verb, and every option of one, is in the help, the manual page and the completion")
def everywhere(s):
    texts = s.ctl("--help")
    with open(os.path.join(s.root, "usr/share/man/man1/gatehousectl.1"), encoding="utf-8") as f:
        page = f.read().replace("\\-", "-")
    for group, name, dry, options in verbs():
        words = " ".join(w for w in (group, name) if w)
        check(re.search(r"^  %s( |$)" % words, texts, re.M), "%s is not in the help", words)
        check(re.search(r"^\\fB%s\\fR" % words, page, re.M), "%s is not in the manual page", words)
        one = s.ctl("help", *words.split())
        check(group in complete(s, group[:1]), "%s is not completed", group)
        if name:
            check(name in complete(s, group, name[:1]), "%s is not completed", words)
        for option in options + ["dry-run"] * dry:
            check("--" + option in one and "--" + option in page, "--%s of %s is not told", option, words)
            check("--" + option in complete(s, *words.split(), "--"), "--%s of %s is not completed", option, words)


JSON_OF = {  # a line for every verb, and what of the answer is looked at
    "domain list": ([], lambda v: "example.test" in v), "domain create": (["j.example"], lambda v: v["done"]),
    "domain aliases": (["j.example", "=", "k.example"], lambda v: v["done"]),
    "domain addresses": (["j.example"], lambda v: v == []),
    "domain info": (["j.example"], lambda v: v["State"] == "active" and v["Accounts"] == 0),
    "domain rename": (["j.example", "l.example"], lambda v: v["done"]),
    "domain suspend": (["l.example"], lambda v: v["done"]), "domain resume": (["l.example"], lambda v: v["done"]),
    "domain settings": (["l.example", "MailToUnknown=Rejected"], lambda v: v["done"]),
    "domain delete": (["l.example"], lambda v: v["done"]),
    "account rename": (["nobody", "j2"], lambda v: not v["done"] and "account" in v["error"]),
    "account settings": (["j1"], lambda v: v == {"MaxAccountSize": "5M"}),
    "account rights": (["j1", "="], lambda v: v["done"]),
    "group create": (["jg", "u1", "x@y.example"], lambda v: v["done"]), "group list": ([], lambda v: v in ([], ["jg"])),
    "group show": (["jg"], lambda v: v["Members"] == ["u1@example.test", "x@y.example"]),
    "group members": (["jg"], lambda v: v["done"]), "group rename": (["jg", "jh"], lambda v: v["done"]),
    "group delete": (["jh"], lambda v: v["done"]),
    "forwarder create": (["jf", "x@y.example"], lambda v: v["done"]), "forwarder list": ([], lambda v: v in ([], ["jf"])),
    "forwarder show": (["jf"], lambda v: v == "x@y.example"), "forwarder find": (["example.test", "x@y.example"], lambda v: v == ["jf"]),
    "forwarder rename": (["jf", "jx"], lambda v: v["done"]), "forwarder delete": (["jx"], lambda v: v["done"]),
    "list create": (["jl", "u1"], lambda v: v["done"]), "list list": ([], lambda v: v in ([], ["jl"])),
    "list show": (["jl"], lambda v: v["Owner"] == "u1@example.test"), "list rename": (["jl", "jm"], lambda v: v["done"]),
    "list delete": (["jm"], lambda v: v["done"]),
    "settings table": ([], lambda v: any(r["Setting"] == "MaxAccountSize" and r["Help"] for r in v)),
    "settings show": (["account", "u1"], lambda v: v == {}),
    "settings set": (["account-defaults-all", "QuotaAlert=default"], lambda v: v["done"]),
    "alert post": (["server", "soon"], lambda v: v["done"]), "alert list": (["server"], lambda v: "soon" in v.values()),
    "alert remove": (["server", "soon"], lambda v: v["done"]),
    "dump": ([], lambda v: 'account "u1@example.test"' in v),
    "apply": (["-"], lambda v: v == {"changes": 0, "done": True}),
    "account list": ([], lambda v: v["u1"] == "MultiMailbox"), "account create": (["j1"], lambda v: v["done"]),
    "account info": (["j1"], lambda v: v["AccountName"] == "j1@example.test" and isinstance(v["ID"], int)),
    "account quota": (["j1", "5M"], lambda v: v["done"]), "account suspend": (["j1"], lambda v: v["done"]),
    "account resume": (["j1"], lambda v: v["done"]),
    "account import": (["-"], lambda v: v == {"made": 1, "refused": 0}),
    "account location": (["j1"], lambda v: v.startswith("store:")), "domain location": (["example.test"], lambda v: v == "directory:1"),
    "account identity": (["j1", "J <j1@example.test>"], lambda v: v["done"]),
    "account type": (["j1", "AGrade"], lambda v: not v["done"] and "MultiMailbox" in v["error"]),
    "alias mailboxes": (["j1", "=", "news=~u1/News"], lambda v: v["done"]),
    "password tags": (["j1"], lambda v: v == []), "password remove": (["j1", "phone"], lambda v: v["done"]),
    "domain objects": (["example.test", "--filter=u"], lambda v: {"Name": "u1", "Kind": "account"} in v),
    "domain administered": ([], lambda v: "example.test" in v), "log write": (["info", "a word"], lambda v: v["done"]),
    "figure reset": (["account", "j1"], lambda v: v["done"]), "domain stat": (["example.test"], lambda v: v["Recipients"] >= 0),
    "figure set": (["custom.j", "+3"], lambda v: v["done"]),
    "alias set": (["j1", "j2"], lambda v: v["done"]), "alias list": (["j1"], lambda v: v == ["j2"]),
    "password set": (["j1"], lambda v: v["done"]), "password check": (["j1"], lambda v: v["done"]),
    "session list": ([], lambda v: v == []), "session find": (["u1"], lambda v: not v["done"] and "session" in v["error"]),
    "session kick": (["99"], lambda v: not v["done"] and "session" in v["error"]),
    "domain main": ([], lambda v: v == "example.test"), "account setting": (["j1", "QuotaAlert"], lambda v: v == "80"),
    "account stat": (["j1", "messages"], lambda v: v == 0), "group settings": (["jg", "Expand=NO"], lambda v: v["done"]),
    "prefs set": (["account", "j1", "a=b"], lambda v: v["done"]), "prefs show": (["domain", "example.test"], lambda v: v == {}),
    "prefs replace": (["account", "j1"], lambda v: v["done"]),
    "settings replace": (["domain-defaults"], lambda v: v["done"]), "alert set": (["server"], lambda v: v["done"]),
    "session show": (["1-1"], lambda v: not v["done"] and "session" in v["error"]),
    "route show": (["u1"], lambda v: v[0] == "LOCAL"), "router settings": ([], lambda v: v == {}),
    "blacklist": ([], lambda v: v == []), "figure show": (["sessions"], lambda v: v == 0), "figure next": ([], lambda v: v != ""),
    "version": ([], lambda v: isinstance(v, str)), "grammar": (["route"], lambda v: v[0]["Command"] == "Route" and v[0]["Words"] == "route show"),
    "route test": (["u1", "--mode=mail", "--local=127.0.0.1"], lambda v: v[0] == "LOCAL"), "route login": (["u1", "127.0.0.1"], lambda v: v[3] == "ok"),
    "router show": ([], lambda v: v == ""), "router set": (["-"], lambda v: v["done"]),
    "store export": (["nobody", "/nonexistent"], lambda v: not v["done"] and "account" in v["error"]),
    "store import": (["nobody", "/dev/null"], lambda v: not v["done"] and "error" in v),
    "undelete list": (["u1"], lambda v: v == []), "undelete restore": (["u1"], lambda v: v["Messages"] == 0),
    "undelete purge": (["u1"], lambda v: v["Messages"] == 0 and v["Period"] == 14 * 86400),
    "undelete hold": (["u1"], lambda v: v["Hold"] == "NO"),
    "stat": ([], lambda v: v["sessions"] == 0), "log": (["1-1"], lambda v: v == []),
    "check": ([], lambda v: any(r["check"] == "store" and r["result"] == "ok" for r in v)),
    "store backup": (["/nowhere", "/nowhere"], lambda v: not v["done"]),
    "store restore": (["/nowhere", "/nowhere"], lambda v: not v["done"]),
    "store verify": (["--offline=/nowhere"], lambda v: not v["done"]),
    "store compact": ([], lambda v: v["begun"] == "YES"), "store scrub": ([], lambda v: v["begun"] == "YES"),
    "store salvage": (["/nowhere", "/nowhere"], lambda v: not v["done"]),
    "store stat": (["--offline=/nowhere"], lambda v: not v["done"]), "store rebuild": (["/nowhere"], lambda v: not v["done"]),
    "store compact": (["--wait"], lambda v: v["compact-result"] == "ok"), "store scrub": (["--wait"], lambda v: v == []),
    "cli": ([], lambda v: v == {"code": 201, "data": "example.test"}),
    "account delete": (["j1"], lambda v: v["done"])}
STDIN = {"account import": "j9:{PLAIN}x\n", "password set": PASSWORD, "password check": PASSWORD, "router set": "",
         "cli": "MainDomainName\n", "apply": 'account "u1@example.test"\n'}


@case("the objects of a domain are listed with what they lead to, also when they are more than a page")
def objects(s):
    s.ctl("domain", "create", "many.test")
    s.ctl("account", "import", "-", stdin="".join("n%04d@many.test\n" % i for i in range(1005)))
    s.ctl("alias", "set", "n0001@many.test", "other")
    s.ctl("forwarder", "create", "on@many.test", "a@else.test")
    lines = s.ctl("domain", "objects", "many.test").splitlines()
    equal(lines, ["n%04d  account" % i for i in range(1005)] + ["on  forwarder to a@else.test", "other  alias of n0001"], "objects")
    equal(json.loads(s.ctl("--json", "domain", "objects", "many.test", "--filter=o")),
          [{"Name": "on", "Kind": "forwarder", "To": "a@else.test"}, {"Name": "other", "Kind": "alias", "To": "n0001"}], "some")
    equal(json.loads(s.ctl("--json", "domain", "objects", "many.test", "--filter=none")), [], "none")
    told(s, 1, "there is no such domain", "domain", "objects", "no.test")
    told(s, 2, "log write", "log", "write", "loud", "x")
    s.ctl("apply", "--quiet", "--prune", "-", stdin="".join(x for x in s.ctl("dump").splitlines(True) if "many.test" not in x))


@case("every verb answers in JSON with --json, refusals as well")
def json_of_all(s):
    order = ["domain", "account create", "account", "alias set", "alias", "password set", "password", "session", "route",
             "router", "stat", "log", "cli", "alert post"]
    every = [" ".join(w for w in v[:2] if w) for v in verbs()]
    equal(sorted(set(every) - set(JSON_OF)), [], "verbs without a line here")
    last = ["domain delete", "account delete"]
    done = sorted((v for v in every if v not in last), key=lambda v: min(
        [i for i, o in enumerate(order) if v == o or v.startswith(o + " ")] + [99]))
    for verb in done + last:
        args, right = JSON_OF[verb]
        more = ["--file", s.log] if verb == "log" else ["--conf", s.conf] if verb == "check" else []
        _, out, err = s.ctl("--json", *verb.split(), *args, *more, stdin=STDIN.get(verb, ""), ok=False)
        try:
            check(right(json.loads(out)), "%s answers %s", verb, out)
        except (ValueError, KeyError, TypeError, IndexError):
            raise Failed("%s answers %r, %r" % (verb, out, err)) from None
    s.ctl("account", "delete", "j9")


@case("--dry-run changes nothing, and a command that does not know it refuses it")
def dry_run(s):
    def everything():
        return [s.ctl("--json", *w) for w in (["account", "list"], ["domain", "list"], ["router", "show"])]
    s.ctl("router", "set", "-", stdin="; one\n; two\n")
    before = everything()
    out = s.ctl("account", "import", "--dry-run", "-", stdin="new1\n# not me\nnew2:{PLAIN}x\n")
    equal(out, "2 accounts would be made, 0 refused\n", "output")
    told(s, 1, "there is an account of this name", "account", "import", "--dry-run", "-", stdin="u1\n")
    out = s.ctl("account", "delete", "u1", "--dry-run")
    check("u1@example.test" in out and "messages" in out, "it says %r", out)
    out = s.ctl("--dry-run", "router", "set", "-", stdin="; one\n; three\n")
    equal(out, "- ; two\n+ ; three\n", "difference")
    with contextlib.closing(s.pop("u1")) as p:
        out = s.ctl("session", "kick", "u1", "--dry-run")
        check("u1@example.test" in out, "it says %r", out)
        p.quit()
    equal(everything(), before, "everything")
    told(s, 2, "no --dry-run", "account", "create", "new3", "--dry-run")
    for group, name, dry, _ in verbs():
        if not dry and group not in ("cli", "log", "check"):
            status = s.ctl("--dry-run", *[w for w in (group, name) if w], "x", "y", ok=False)[0]
            equal(status, 2, "status of %s %s --dry-run" % (group, name))
    s.ctl("router", "set", "-")


@case("a refusal says what to do next")
def hints(s):
    told(s, 1, "account list", "account", "info", "nobody")
    told(s, 1, "domain list", "account", "list", "no.test")
    told(s, 1, "session list", "session", "kick", "99")
    told(s, 1, "account info", "account", "create", "u1")
    told(s, 1, "yescrypt", "password", "set", "u1", "rot13", stdin=PASSWORD)
    told(s, 2, "unknown option", "session", "list", "--nonsense")
    told(s, 2, "a value is missing", "session", "list", "--service")


@case("sessions: who, service, peer, since, and a name that the log has, too; filters; ending one by that name")
def sessions(s):
    with contextlib.closing(s.pop("u1")), contextlib.closing(s.pop("u2")) as second:
        rows = s.sessions()
        equal(sorted(r["Account"] for r in rows), ["u1@example.test", "u2@example.test"], "accounts")
        check(all(abs(r["Since"] - time.time()) < 20 for r in rows), "since %r", rows)
        mine = [r for r in rows if r["Account"].startswith("u1")][0]
        equal((mine["Protocol"], mine["Address"]), ("pop3", "127.0.0.1"), "service and peer")
        wait(lambda: "sid=" + mine["SID"] in s.log_text(), 60, mine["SID"] + " in the log")
        table = s.ctl("session", "list")
        equal(table.split("\n")[0].split(), ["SESSION", "ACCOUNT", "SERVICE", "PEER", "LINK", "SINCE", "CLIENT"], "heading")
        check(mine["SID"] in table, "no %s in the table", mine["SID"])
        for words, count in ((["--service=pop3"], 2), (["--service", "imap"], 0), (["--peer=127.0.0.1", "u1"], 1),
                             (["--peer=127.0.0.9"], 0)):
            equal(len(s.sessions(*words)), count, "sessions with %r" % words)
        equal(json.loads(s.ctl("--json", "session", "kick", mine["SID"])), {"done": True, "ended": 1}, "answer")
        equal([r["Account"] for r in s.sessions()], ["u2@example.test"], "accounts")
        second.quit()


def log(s, *words, **kw):
    return s.ctl("log", "--file=" + s.log, *words, **kw)


@case("the log of one session: what each process wrote of it, and nothing else")
def log_of_session(s):
    with contextlib.closing(s.pop("u1")) as p:
        sid = s.sessions()[0]["SID"]
        p.quit()
    lines = wait(lambda: "conn.end" in log(s, sid) and log(s, sid), 60, "the connection's end").splitlines()
    check(all("sid=" + sid in line for line in lines), "lines of others: %r", lines)
    equal({line.split()[1] for line in lines}, {"authd", "pop3"}, "processes")
    rows = json.loads(log(s, "--json", sid))
    equal([r["keys"]["user"] for r in rows if r["event"] == "auth.granted"], ["u1@example.test"], "user")
    told(s, 0, "no line", "log", "--file=" + s.log, "7-7")
    told(s, 2, "usage", "log")
    told(s, 2, "usage", "log", "1-1", "--account=u1")


@case("the log of an account: its sessions, refused logins under its name, changes of it")
def log_of_account(s):
    s.ctl("account", "create", "logged")
    s.ctl("password", "set", "logged", stdin=PASSWORD)
    s.pop("logged").quit()
    refused(s.pop, "logged", "x sid=9-9")
    refused(s.pop, "other", "x")
    wait(lambda: log(s, "--account=logged").count("conn.end") >= 1, 60, "the connection's end")
    for name in ("logged", "logged@example.test", "LOGGED@example.test"):
        text = log(s, "--account", name)
        for want in ("auth.granted", "auth.refused", "verb=account_create", "conn.end"):
            check(want in text, "no %s for %s: %s", want, name, text)
        check("user=other" not in text, "another account's line")
    equal(log(s, "--account=logge"), "", "lines of nobody")


@case("--follow goes on as lines are written, also into the next file; the log is found by the configuration")
def log_follow(s):
    path, conf = os.path.join(s.dir, "own.log"), os.path.join(s.dir, "own.conf")
    line = "2026-11-22T00:53:16.619Z pop3 info sid=5-1 conn.end why=%d sent=1 ms=1\n"
    with open(conf, "w", encoding="ascii") as f:
        f.write('main_domain = x.test\nlog_target = file\nlog_file = "%s"\n' % path)
    with open(path, "w", encoding="ascii") as f:
        f.write(line % 1 + "not a line\n" + line.replace("5-1", "5-11") % 9)
    with subprocess.Popen([os.path.join(s.root, "usr/bin/gatehousectl"), "--conf", conf, "log", "5-1", "--follow"],
                          stdout=subprocess.PIPE) as p:
        try:
            check(b"why=1 " in p.stdout.readline(), "not the first line")
            with open(path, "a", encoding="ascii") as f:
                f.write(line % 2)
            check(b"why=2 " in p.stdout.readline(), "not the second line")
            os.rename(path, path + ".1")
            with open(path, "w", encoding="ascii") as f:
                f.write(line % 3)
            check(b"why=3 " in p.stdout.readline(), "not the line of the next file")
        finally:
            p.kill()
    told(s, 1, "log_target is stderr", "--conf", s.conf, "log", "5-1")
    told(s, 1, "--file", "--conf", s.dir + "/none", "log", "5-1")


@case("the journal is read where the configuration says so")
def log_journal(s):
    folder = os.path.join(s.dir, "bin")
    os.mkdir(folder)
    with open(folder + "/journalctl", "w", encoding="ascii") as f:
        f.write('#!/bin/sh\ncase "$*" in *--unit=gatehouse*) ;; *) exit 3 ;; esac\n'
                'echo "2026-11-22T00:53:16.1+0000 host gatehouse[7]: pop3 info sid=5-1 conn.end why=done"\n'
                'echo "2026-11-22T00:53:16.1+0000 host gatehouse[7]: pop3 info sid=5-2 conn.end why=done"\n')
    os.chmod(folder + "/journalctl", 0o755)
    with open(s.dir + "/own.conf", "w", encoding="ascii") as f:
        f.write("main_domain = x.test\nlog_target = journal\n")
    done = subprocess.run([os.path.join(s.root, "usr/bin/gatehousectl"), "--conf", s.dir + "/own.conf", "log", "5-1"],
                          env={"PATH": folder + ":/usr/bin:/bin"}, stdout=subprocess.PIPE, check=True)
    check(b"sid=5-1" in done.stdout and b"sid=5-2" not in done.stdout, "it prints %r", done.stdout)


@case("bash completes groups, commands and what follows --socket PATH")
def completion(s):
    for words, want in ((["acc"], ["account"]), (["account", "su"], ["suspend"]), (["--js"], ["--json"]),
                        (["--socket", "/x", "password", "c"], ["check"]), (["--socket", "/t"], []),
                        (["help", "rou"], ["route", "router"]), (["help", "session", "k"], ["kick"])):
        equal(complete(s, *words), want, "completion of %s" % words)


if __name__ == "__main__":
    main(24200)
