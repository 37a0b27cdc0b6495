#!/usr/bin/python3
"""port - mail moved in and out by gatehousectl, against Python's mailbox module and Dovecot as judges.

    port.py BUILD [--long]

--long moves 20,000 messages as well.
"""
import calendar
import contextlib
import imaplib
import json
import mailbox
import os
import pty
import pwd
import random
import re
import shutil
import signal
import subprocess
import sys
import time

from maildirs import (BOXES, FLAGS, account, export_json, folder, import_json, make_maildir, read_box, same_box, same_maildir, tree_of,
                      write)
from suite import A1, PASSWORD, case, check, equal, main, message

LONG = "--long" in sys.argv
if LONG:
    sys.argv.remove("--long")


@case("a Maildir++ comes in with flags, keywords, dates, uids and subscriptions, and goes out the same")
def maildir(s):
    name = account(s, "m1")
    with folder() as d:
        want = make_maildir(d + "/in", 1, 480)
        done = import_json(s, "--dry-run", name, d + "/in")
        equal((done["to be moved"], done["left"]), (480, []), "dry run")
        check(not os.path.exists(d + "/in.m1@example.test.import"), "a dry run leaves a file")
        done = import_json(s, name, d + "/in")
        equal((done["moved"], done["already"], done["left"], done["notes"]), (480, 0, [], []), "import")
        done = import_json(s, name, d + "/../" + os.path.basename(d) + "/in/")
        equal((done["moved"], done["already"]), (0, 480), "second import, named in another way")
        done = export_json(s, name, d + "/out")
        equal((done["written"], done["left"], done["notes"]), (480, [], []), "export")
        same_maildir(d + "/out", want)
        done = export_json(s, name, d + "/out")
        equal((done["written"], done["already"]), (0, 480), "second export")
        same_maildir(d + "/out", want)
        # And again: everything is the same, names of files as well.
        account(s, "m2")
        import_json(s, "m2", d + "/out")
        export_json(s, "m2", d + "/again")
        equal(tree_of(d + "/again"), tree_of(d + "/out"), "a second round")
        with open(d + "/out/subscriptions", encoding="ascii") as f:
            equal(sorted(f.read().split("\n")[2:]), ["", "Gone", "Work", "Work\tA&AOQ-\\2eb"], "subscriptions")
    rows = [r for r in s.sessions() if r["Protocol"] == "ctl"]
    equal(rows, [], "sessions left over")


@case("a client that knew the mailboxes finds the same uids by IMAP")
def by_imap(s):
    name = account(s, "i1")
    with folder() as d:
        want = make_maildir(d + "/in", 2, 30)
        import_json(s, name, d + "/in")
        with imaplib.IMAP4(A1, s.port(143)) as c:
            c.login(name, PASSWORD)
            c.select("Work", readonly=True)
            equal(int(c.response("UIDVALIDITY")[1][0]), want["Work"][1], "uidvalidity")
            equal(int(c.response("UIDNEXT")[1][0]), want["Work"][2], "uidnext")
            for uid, (data, flags, keywords, when) in want["Work"][0].items():
                got = c.uid("FETCH", str(uid), "(FLAGS INTERNALDATE BODY.PEEK[])")[1][0]
                equal(got[1], data, "bytes of uid %d" % uid)
                equal(frozenset(f.decode() for f in imaplib.ParseFlags(got[0])) - {"\\Recent"}, flags | keywords, "flags")
                equal(int(time.mktime(imaplib.Internaldate2tuple(got[0]))), when, "date")


@case("mail that comes in meanwhile loses nothing, and a mailbox in use keeps its own uids")
def in_use(s):
    name = account(s, "use1")
    with folder() as d:
        s.deliver(name + "@example.test", message("first"))
        want = make_maildir(d + "/in", 3, 30)
        done = import_json(s, name, d + "/in")
        check(len(done["notes"]) == 1 and "in use before" in done["notes"][0]["text"], "notes %r", done["notes"])
        export_json(s, name, d + "/out")
        box = read_box(d + "/out")
        check(box[1] != want["INBOX"][1] and len(box[0]) == 11, "INBOX %r", box[1:])
        same_box(read_box(d + "/out/.Work"), want["Work"], "Work")


@case("Dovecot's own Maildir++ comes in, and what we write is the same to Dovecot")
def dovecot(s):
    name = account(s, "d1")
    with folder() as d:
        me = pwd.getpwuid(os.geteuid()) if os.geteuid() != 0 else pwd.getpwnam("nobody")
        os.chmod(d, 0o755)
        shutil.chown(d, me.pw_uid, me.pw_gid)
        write(d + "/conf", ("mail_location = maildir:%s/in\nbase_dir = %s/run\nlog_path = %s/log\nmail_uid = %d\nmail_gid = %d\n"
                            "first_valid_uid = 0\nfirst_valid_gid = 0\nssl = no\n" % (d, d, d, me.pw_uid, me.pw_gid)).encode())

        def adm(*words, stdin=b"", out="in"):
            done = subprocess.run(["doveadm", "-c", d + "/conf", "-o", "mail_location=maildir:%s/%s" % (d, out), *words],
                                  input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
                                  env={"USER": me.pw_name, "HOME": d, "PATH": "/usr/bin:/bin:/usr/sbin"})
            check(done.returncode == 0, "doveadm %s: %s", " ".join(words), done.stderr)
            return done.stdout

        def listing(out):
            text = adm("-f", "flow", "fetch", "mailbox uid flags date.received.unixtime size.virtual", "all", out=out).decode()
            return sorted(re.sub(r" ?\\Recent", "", line).replace("flags= ", "flags=") for line in text.splitlines())
        for box in ("Work", "Work.A\xe4"):
            adm("mailbox", "create", box)
        adm("mailbox", "subscribe", "Work.A\xe4")
        for i in range(12):
            adm("save", "-m", ["INBOX", "Work", "Work.A\xe4"][i % 3], stdin=message("text %d" % i).replace(b"\r\n", b"\n"))
        adm("flags", "add", "\\Seen $Label1", "mailbox", "INBOX", "uid", "1,3")
        adm("flags", "add", "\\Flagged \\Answered Junk todo", "mailbox", "Work", "uid", "2:4")
        adm("expunge", "mailbox", "INBOX", "uid", "2,4")
        done = import_json(s, name, d + "/in")
        equal((done["moved"], done["left"], done["notes"]), (10, [], []), "import")
        export_json(s, name, d + "/out")
        for top, folders, names in os.walk(d + "/out"):
            for one in [top] + [os.path.join(top, n) for n in folders + names]:
                os.chown(one, me.pw_uid, me.pw_gid)
        equal(listing("out"), listing("in"), "what Dovecot sees")
        equal(len(listing("in")), 10, "messages")
        equal(adm("mailbox", "list", "-s", out="out"), adm("mailbox", "list", "-s", out="in"), "subscriptions")
        for box in ("INBOX", "Work"):
            one = [adm("-f", "flow", "mailbox", "status", "uidvalidity uidnext messages", box, out=o) for o in ("in", "out")]
            equal(one[1], one[0], "status of " + box)


def unquoted(box):
    return ({u: (re.sub(rb"(?m)^>From ", b"From ", m[0]), *m[1:]) for u, m in box[0].items()}, *box[1:])


@case("an mbox of every variant goes out and comes in: bytes, flags, keywords, dates, uids; Python's reader agrees")
def mbox(s):
    name = account(s, "x1")
    with folder() as d:
        want = make_maildir(d + "/in", 4, 90)
        import_json(s, name, d + "/in")
        for variant in ("mboxrd", "mboxcl", "mboxcl2", "mboxo"):
            done = export_json(s, "--format=" + variant, name, d + "/" + variant)
            equal(done["written"], 90, "written as " + variant)
            if variant in ("mboxrd", "mboxcl", "mboxo"):
                box = mailbox.mbox(d + "/%s/Work.mbox" % variant, create=False)
                equal(len(box), 30, "messages that Python finds in " + variant)
                for m, (data, flags, _, when) in zip(box, want["Work"][0].values()):
                    equal(m["Message-ID"].encode(), re.search(rb"^Message-ID: (\S+)", data, re.M)[1], "a message's id")
                    equal(("R" in m.get_flags(), "A" in m.get_flags()), ("\\Seen" in flags, "\\Answered" in flags), "flags")
                    equal(calendar.timegm(time.strptime(m.get_from().split(" ", 1)[1], "%a %b %d %H:%M:%S %Y")), when, "date")
            to = account(s, "x" + variant)
            done = import_json(s, "--format=" + variant, to, d + "/" + variant)
            equal((done["moved"], done["left"], done["notes"]), (90, [], []), "import of " + variant)
            export_json(s, to, d + "/out-" + variant)
            for b, sub in BOXES.items():
                if b == "Empty":  # an mbox without messages has no uidvalidity
                    continue
                got, right = read_box(os.path.join(d, "out-" + variant, sub)), want[b]
                if variant == "mboxo":  # what was quoted before cannot be told from what it quotes
                    got, right = unquoted(got), unquoted(right)
                same_box(got, right, "%s as %s" % (b, variant))
            # Found out without being told.
            if variant != "mboxo":
                auto = account(s, "auto" + variant)
                equal(import_json(s, auto, d + "/" + variant)["moved"], 90, "messages found out")
                export_json(s, auto, d + "/auto-" + variant)
                equal(tree_of(d + "/auto-" + variant), tree_of(d + "/out-" + variant), "found out: " + variant)


@case("an mbox that Python wrote comes in, with the flags that it set")
def mbox_foreign(s):
    name = account(s, "p1")
    with folder() as d:
        box = mailbox.mbox(d + "/mail")
        texts = [b"Subject: %d\n\n%s\n" % (i, t) for i, t in enumerate([b"x", b"From y", b"a\n\nFrom here\n", b"", b"\xff\x00"])]
        for i, t in enumerate(texts):
            m = mailbox.mboxMessage(t)
            m.set_flags(["", "R", "RA", "F", "RD"][i])
            m.set_from("a@b", time.gmtime(1500000000 + i))
            box.add(m)
        box.close()
        done = import_json(s, "--into=Old/Mail", "--format=mboxo", name, d + "/mail")
        equal((done["moved"], done["left"]), (5, []), "import")
        export_json(s, name, "Old/Mail", d + "/out")
        got = read_box(d + "/out/.Old.Mail")[0]
        for i, t in enumerate(texts):
            equal(got[i + 1][0].replace(b"\r\n", b"\n").rstrip(b"\n"), t.rstrip(b"\n"), "text %d" % i)
            equal(got[i + 1][3], 1500000000 + i, "date")
        equal([sorted(got[i][1]) for i in range(1, 6)],
              [[], ["\\Seen"], ["\\Answered", "\\Seen"], ["\\Flagged"], ["\\Deleted", "\\Seen"]], "flags")
        # What is added later is taken, and nothing twice; the same text twice is two messages.
        box = mailbox.mbox(d + "/mail")
        box.add(mailbox.mboxMessage(b"Subject: 0\n\nx\n"))
        box.close()
        done = import_json(s, "--into=Old/Mail", "--format=mboxo", name, d + "/mail")
        equal((done["moved"], done["already"]), (1, 5), "import of what was added")


@case(".eml files go out and come in")
def eml(s):
    name = account(s, "e1")
    with folder() as d:
        want = make_maildir(d + "/in", 5, 30)
        import_json(s, name, d + "/in")
        export_json(s, "--format=eml", name, d + "/eml")
        equal(export_json(s, "--format=eml", name, d + "/eml")["already"], 30, "there already")
        to = account(s, "e2")
        equal(import_json(s, to, d + "/eml")["moved"], 30, "moved")
        export_json(s, to, d + "/out")
        for box in ("INBOX", "Work"):
            got, right = read_box(os.path.join(d, "out", BOXES[box]))[0], want[box][0]
            equal(sorted((m[0], m[1], m[3]) for m in got.values()), sorted((m[0], m[1], m[3]) for m in right.values()), box)
        write(d + "/one.eml", b"Received: by x; Thu, 24 Nov 1986 18:22:48 +0000\nDate: Fri, 25 Nov 1986 18:22:48 +0000\n\nx\n")
        import_json(s, "--into=One", to, d + "/one.eml")
        export_json(s, to, "One", d + "/out")
        equal(read_box(d + "/out/.One")[0][1][3], 533240568, "date")


def run_and_kill(s, delay, *args):
    """True when it came to its end before it was killed."""
    p = subprocess.Popen([os.path.join(s.root, "usr/bin/gatehousectl"), "--socket", s.admin, "--quiet", *args],
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        p.wait(delay)
    except subprocess.TimeoutExpired:
        p.kill()
    err = p.communicate()[1]
    check(p.returncode in (0, -signal.SIGKILL), "%s: status %s: %s", args, p.returncode, err)
    return p.returncode == 0


def killed(s, verb, args, length, r):
    """Kills it at random moments and goes on until it is done; how often it was killed."""
    n = 0
    while not run_and_kill(s, r.uniform(0, length), "store", verb, *args):
        n += 1
        if n % 20 == 0:  # on a busy machine it may never be quick enough
            length *= 2
    return n


@case("killed at random moments and continued, an import doubles nothing and loses nothing, and so does an export")
def killing(s):
    r = random.Random(6)
    with folder() as d:
        want = make_maildir(d + "/in", 6, 240)
        began = time.monotonic()
        s.ctl("store", "import", account(s, "k"), d + "/in")
        length = time.monotonic() - began
        kills = 0
        for i in range(4):
            name = account(s, "k%d" % i)
            kills += killed(s, "import", [name, d + "/in"], length, r)
            kills += killed(s, "export", [name, d + "/out%d" % i], length, r)
            same_maildir(d + "/out%d" % i, want)
            if i == 0:
                first = tree_of(d + "/out0")
            equal(tree_of(d + "/out%d" % i), first, "what was exported")
        check(kills > 0, "it was never killed")


@case("a batch of which nobody heard the end is found in the store, or stored")
def undecided(s):
    name = account(s, "un1")
    with folder() as d:
        want = make_maildir(d + "/in", 7, 90)
        import_json(s, name, d + "/in")
        path = d + "/in.un1@example.test.import"
        with open(path, encoding="ascii") as f:
            lines = f.read().split("\n")
        # Stored, and the end of the last line was torn off.
        at = max(i for i, line in enumerate(lines) if line == "stored")
        write(path, "\n".join(lines[:at] + ["sto"]).encode())
        done = import_json(s, name, d + "/in")
        equal((done["moved"], done["already"]), (0, 90), "what was stored")
        # Written down and never stored: another account of the same state.
        other = account(s, "un2")
        ident = json.loads(s.ctl("--json", "account", "info", other))["ID"]
        write(d + "/in.un2@example.test.import",
              "\n".join([re.sub(r"1 \d+", "1 %d" % ident, lines[0])] + lines[1:3] + [""]).encode())
        done = import_json(s, other, d + "/in")
        equal((done["moved"], done["already"]), (90, 0), "what was not stored")
        export_json(s, other, d + "/out")
        same_maildir(d + "/out", want)
        told = s.ctl("store", "import", other, d + "/in", "--state", path, ok=False)
        check(told[0] == 1 and "another import" in told[2], "another account's file: %r", told)
        for text in (b"precious", b"precious\nlines\nand", b"gatehouse-import 1 "):
            write(d + "/mine", text)
            told = s.ctl("store", "import", other, d + "/in", "--state", d + "/mine", ok=False)
            equal(told[0], 0 if text.endswith(b" ") else 1, "status with %r" % text)
            with open(d + "/mine", "rb") as f:
                check(text.endswith(b" ") or f.read() == text, "a file of others was changed")


@case("what cannot be moved is told with the reason, and the rest is moved")
def hostile(s):
    name = account(s, "h1")
    with folder() as d:
        box = d + "/in"
        for sub in ("cur", "new", "tmp", ".bad..name/cur", ".ok/cur"):
            os.makedirs(os.path.join(box, sub))
        write(box + "/cur/1.good:2,S", b"Subject: x\n\ny\n")
        write(box.encode() + b"/cur/\xff\x01\x1b[31m odd\n:2,S", b"Subject: odd name\n\ny\n")
        write(box + "/cur/2.long:2,", b"Subject: " + b"x" * 3000000)
        write(box + "/cur/3.nul:2,", b"Subject: nul\n\n\0\0\0\n\0")
        write(box + "/cur/4.empty:2,", b"")
        write(box + "/cur/.hidden", b"no message")
        write(box + "/other.txt", b"not mail\n")
        os.symlink("/etc/passwd", box + "/cur/5.link:2,S")
        os.symlink("/etc", box + "/.Etc")
        os.mkfifo(box + "/cur/6.fifo:2,")
        os.mkdir(box + "/cur/7.dir")
        done = import_json(s, name, box, status=1)
        equal(done["moved"], 4, "moved")
        left = sorted((row["what"], row["why"]) for row in done["left"])
        for what, why in (("4.empty", "empty"), ("5.link", "symbolic link"), ("6.fifo", "not a regular file"),
                          ("7.dir", "not a regular file"), (".Etc", "symbolic link"), (".bad..name", "no name of a mailbox"),
                          ("other.txt", "neither")):
            check(any(what in w and why in y for w, y in left), "%s (%s) is not in %r", what, why, left)
        equal(len(left), 7, "number of items left")
        status, out, err = s.ctl("store", "import", name, box, ok=False)
        equal(status, 1, "status")
        check("not moved: " in err and "\x1b" not in err + out, "it says %r", err)
        export_json(s, name, d + "/out")
        got = sorted(m[0] for m in read_box(d + "/out")[0].values())
        equal([len(t) for t in got], [len(t) for t in sorted(
            [b"Subject: x\r\n\r\ny\r\n", b"Subject: odd name\r\n\r\ny\r\n", b"Subject: " + b"x" * 3000000,
             b"Subject: nul\r\n\r\n\0\0\0\r\n\0"])], "lengths")


@case("names that are paths lead nowhere; a mailbox whose name no file can have is told, and the others go out")
def names(s):
    name = account(s, "h2")
    paths = ["..", "../../../up", "a/../..", ".", "-rf", "INBOX/..", "cur", "a.b"]
    tall = ["x" * 300, "/".join(["y" * 100] * 3), "z" * 251]
    with folder() as d:
        with imaplib.IMAP4(A1, s.port(143)) as c:
            c.login(name, PASSWORD)
            for box in paths + tall:
                equal(c.create('"%s"' % box)[0], "OK", "CREATE %s" % box[:20])
                equal(c.append('"%s"' % box, None, None, b"Subject: x\r\n\r\ny\r\n")[0], "OK", "APPEND to %s" % box[:20])
        for form, left in (("maildir", tall[:2]), ("eml", tall[:1]), ("mboxrd", [tall[0], tall[2]])):
            out = os.path.join(d, form, "deep", "deeper")
            os.makedirs(out)
            status, text, err = s.ctl("--json", "store", "export", "--format=" + form, name, out, ok=False)
            equal((status, err), (1, ""), "status as %s" % form)
            done = json.loads(text)
            equal(sorted(row["what"] for row in done["left"]), sorted(left), "left out as %s" % form)
            equal(done["written"], len(paths) + len(tall) - len(left), "messages as %s" % form)
            equal([os.listdir(os.path.dirname(out)), os.listdir(os.path.join(d, form))], [["deeper"], ["deep"]], "what is beside it")
        other = account(s, "h3")
        import_json(s, other, os.path.join(d, "maildir", "deep", "deeper"))
        with imaplib.IMAP4(A1, s.port(143)) as c:
            c.login(other, PASSWORD)
            for box in paths + tall[2:]:
                equal(c.select('"%s"' % box, readonly=True), ("OK", [b"1"]), "what came to %s" % box[:20])


def threadless(path):
    """tree_of() for what came over IMAP, which tells no threads: a message without an id is alone in each account."""
    return {name: (re.sub(rb" T[0-9a-f]{16} ", b" ", data), when) for name, (data, when) in tree_of(path).items()}


@case("from another IMAP server, over TLS: flags, keywords, dates, uids, subscriptions; killed and continued")
def from_imap(s):
    name = account(s, "from1")
    with folder() as d:
        want = make_maildir(d + "/in", 10, 120)
        big = b"Subject: big\r\n\r\n" + b"0123456789abcdef\r\n" * 300000
        with open(d + "/in/.Work/dovecot-uidlist", "a", encoding="ascii") as f:
            f.write("100000 :big\n")
        write(d + "/in/.Work/cur/big:2,S", big, 1000000000)
        import_json(s, name, d + "/in")
        ca = ["--ca", os.path.join(s.dir, "tls", "ca.pem")]
        url = "imaps://%s@localhost:%d/" % (name, s.port(993))

        def take(to, *more, url=url, password=PASSWORD, status=0):
            got, out, err = s.ctl("--json", "store", "import", to, url, "--state", d + "/state-" + to, *more,
                                  stdin=password + "\n", ok=False)
            check(got == status, "status %s: %s%s", got, out, err)
            return json.loads(out), err
        to = account(s, "to1")
        equal(take(to, *ca, "--dry-run")[0]["to be moved"], 121, "dry run")
        done, err = take(to, status=1)
        check("not trusted" in err, "a certificate of nobody: %r", err)
        done, err = take(to, *ca, password="wrong", status=1)
        check("the login is refused" in err, "a wrong password: %r", err)
        done = take(to, *ca)[0]
        equal((done["moved"], done["left"], done["notes"]), (121, [], []), "import")
        equal(take(to, *ca)[0]["already"], 121, "again")
        export_json(s, name, d + "/out1")
        export_json(s, to, d + "/out2")
        equal(threadless(d + "/out2"), threadless(d + "/out1"), "what came")
        equal(read_box(d + "/out2")[0], want["INBOX"][0], "INBOX")
        r = random.Random(10)
        to, kills = account(s, "to2"), 0
        while True:
            p = subprocess.Popen([os.path.join(s.root, "usr/bin/gatehousectl"), "--socket", s.admin, "store", "import", to, url,
                                  "--state", d + "/state-to2", *ca], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.PIPE)
            try:
                err = p.communicate((PASSWORD + "\n").encode(), timeout=r.uniform(0.02, 0.3 + kills * 0.05))[1]
                break
            except subprocess.TimeoutExpired:
                p.kill()
                p.communicate()
                kills += 1
        equal(p.returncode, 0, "status: %r" % err)
        export_json(s, to, d + "/out3")
        equal(threadless(d + "/out3"), threadless(d + "/out1"), "after %d kills" % kills)


@case("the quota holds: what is beyond it is told, and moved once there is room")
def quota(s):
    name = account(s, "q1")
    s.ctl("account", "quota", name, "20K")
    with folder() as d:
        os.makedirs(d + "/in/cur")
        for i in range(20):
            write(d + "/in/cur/%02d.m" % i, b"Subject: %d\n\n" % i + b"x\n" * 900)
        done = import_json(s, name, d + "/in", status=1)
        check(0 < done["moved"] < 20 and done["moved"] + len(done["left"]) == 20, "moved %r", done)
        check(all("quota" in row["why"] for row in done["left"]), "reasons %r", done["left"])
        s.ctl("account", "quota", name, "unlimited")
        done = import_json(s, name, d + "/in")
        equal((done["moved"] + done["already"], done["left"]), (20, []), "later")


@case("at a terminal progress is shown, and nothing of a name steers it")
def terminal(s):
    name = account(s, "t1")
    with folder() as d:
        make_maildir(d + "/in", 12, 90)
        os.mkdir(d + "/in/.x\x1b[31m")
        os.mkdir(d + "/in/.x\x1b[31m/cur")
        pid, fd = pty.fork()
        if pid == 0:
            program = os.path.join(s.root, "usr/bin/gatehousectl")
            os.execv(program, [program, "--socket", s.admin, "store", "import", name, d + "/in"])
        seen = b""
        with contextlib.suppress(OSError):  # the end of a terminal
            while True:
                part = os.read(fd, 10000)
                if not part:
                    break
                seen += part
        os.close(fd)
        equal(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 1, "status")
    check(b"] mailbox 1 of 4, " in seen and b"INBOX" in seen, "no progress in %r", seen)
    check(b"90 messages moved" in seen and b"\\033[31m" in seen and b"\x1b[31m" not in seen, "it says %r", seen)


@case("an administrator's session is in the log")
def session(s):
    name = account(s, "s1")
    with folder() as d:
        make_maildir(d + "/in", 8, 9)
        import_json(s, name, d + "/in")
    log = s.ctl("log", "--account=" + name, "--file", s.log)
    check("verb=session_open object=s1@example.test result=ok" in log, "the log says %r", log)
    status, _, err = s.ctl("store", "export", "nobody", "/nonexistent/x", ok=False)
    check(status == 1 and "there is no such account" in err, "it says %r", err)


if LONG:
    @case("20,000 messages")
    def many(s):
        name = account(s, "big1")
        with folder() as d:
            want = make_maildir(d + "/in", 9, 20000)
            began = time.monotonic()
            equal(import_json(s, name, d + "/in")["moved"], 19998, "moved")
            print("        import %.1f s" % (time.monotonic() - began))
            began = time.monotonic()
            export_json(s, name, d + "/out")
            print("        export %.1f s" % (time.monotonic() - began))
            same_maildir(d + "/out", want)
            r = random.Random(9)
            other = account(s, "big2")
            n = killed(s, "import", [other, d + "/in"], 0.7, r)
            export_json(s, other, d + "/again")
            equal(tree_of(d + "/again"), tree_of(d + "/out"), "after %d kills" % n)
            print("        killed %d times" % n)
            export_json(s, "--format=mboxrd", name, d + "/mbox")
            third = account(s, "big3")
            equal(import_json(s, third, d + "/mbox")["moved"], 19998, "moved from mbox")
            export_json(s, third, d + "/third")
            for top, folders, _ in os.walk(d + "/third"):
                if "cur" in folders and not top.endswith(".Empty"):
                    rel = os.path.relpath(top, d + "/third")
                    same_box(read_box(top), read_box(os.path.join(d, "out", rel)), rel)


if __name__ == "__main__":
    main(26300, accounts=0)
