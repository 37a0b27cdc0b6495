#!/usr/bin/python3
"""salvage - a store is damaged while the server is stopped: what is damaged is named, the rest comes out whole."""
import contextlib
import glob
import hashlib
import imaplib
import json
import os
import pty
import random
import re
import shutil
import signal
import subprocess
import time

import suite
from suite import DOMAIN, PASSWORD, case, check, equal, message

U1 = "u1@" + DOMAIN
SENT = {}  # sha256 of each message as it is stored -> (mailbox, uid, flags)


def data(s):
    return os.path.join(s.dir, "data")


def tool(s, *args, ok=(0,)):
    """gatehousectl store ...; (status, JSON)."""
    env = dict(os.environ, GATEHOUSE_LIBEXEC=os.path.join(s.root, "usr/lib/gatehouse"))
    done = subprocess.run([os.path.join(s.root, "usr/bin/gatehousectl"), "--json", "--conf", s.conf, "store", *args],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, env=env)
    check(done.returncode in ok, "store %s: status %d: %s %s", " ".join(args), done.returncode, done.stdout[-800:],
          done.stderr[-800:])
    return done.returncode, json.loads(done.stdout)


def imap(s):
    i = imaplib.IMAP4(suite.A1, s.port(143), timeout=30)
    i.login("u1", PASSWORD)
    return i


def note(i, name):
    """What a mailbox holds, as a client sees it."""
    equal(i.select('"%s"' % name, readonly=True)[0], "OK", "the answer to SELECT")
    for part in i.uid("FETCH", "1:*", "(FLAGS EMAILID THREADID BODY.PEEK[])")[1]:
        if not isinstance(part, tuple):
            continue
        head = part[0].decode()
        uid = int(head.split("UID ")[1].split()[0].rstrip(")"))
        flags = sorted(f for f in head.split("FLAGS (")[1].split(")")[0].split() if f != "\\Recent")
        ids = re.findall(r"ID \(([ET][0-9a-f]{16})\)", head)
        equal(len(ids), 2, "ids in %r" % head)
        SENT[hashlib.sha256(part[1]).hexdigest()] = (name, uid, flags, ids)


def conversation(k):
    """Of the first thirty messages each three are a chain of answers that name only the one before."""
    if k >= 30:
        return {}
    back = {} if k % 3 == 0 else {"In-Reply-To": "<m%d@x.example>" % (k - 1)}
    return {"Message-ID": "<m%d@x.example>" % k, **back}


def saved(out):
    with open(os.path.join(out, "manifest.jsonl"), encoding="utf-8") as f:
        return [json.loads(line) for line in f]


@case("a store that is well: verify says so, salvage saves every message with mailbox, uid, flags and bytes")
def well(s):
    random.seed(5)
    for k in range(40):
        s.deliver(U1, message("%d " % k + "x" * random.choice((10, 3000, 90000)), str(k), **conversation(k)))
    s.deliver(U1, message("x" * 1500000, "a file of its own"))
    i = imap(s)
    i.select("INBOX")
    for box in ("Work", "Work/T&APw-b"):
        equal(i.create(box)[0], "OK", "the answer to CREATE")
    i.uid("STORE", "1:9", "+FLAGS", "(\\Seen $Forwarded)")
    i.uid("STORE", "5:6", "+FLAGS", "(\\Deleted)")
    i.expunge()
    equal(i.uid("MOVE", "10:14", '"Work"')[0], "OK", "the answer to MOVE")
    for k in range(3):
        i.append('"Work/T&APw-b"', "(\\Flagged)", imaplib.Time2Internaldate(1e9 + k), message("appended %d" % k))
    for box in ("INBOX", "Work", "Work/T&APw-b"):
        note(i, box)
    i.logout()
    threads = [ids[1] for _, _, _, ids in SENT.values()]
    equal(len(set(threads)), len(threads) - 18, "threads")  # nine chains are whole
    equal(tool(s, "verify", "--offline=" + data(s), ok=(3,))[1]["done"], False, "while the server runs")
    said = tool(s, "verify", "--rate=1000")[1]
    equal((said["messages"], said["expunged"]), (len(SENT), 2), "messages that verify saw beside the server")
    equal(glob.glob(data(s) + "/*/backup-pin"), [], "links left in the data directory")
    s.stop()
    said = tool(s, "verify", "--offline=" + data(s))[1]
    equal((said["messages"], said["expunged"]), (len(SENT), 2), "messages that verify saw, and can be restored")
    out = os.path.join(s.dir, "out")
    tool(s, "salvage", data(s), out)
    rows = saved(out)
    equal(len(rows), len(SENT), "lines of the manifest")
    for r in rows:
        box, uid, flags, _ = SENT[r["sha256"]]
        equal((r["account"], r["mailbox"], r["uid"], sorted(r["flags"])),
              (U1, box.replace("&APw-", "\u00fc"), uid, flags), "a message")
        path = os.path.join(out, U1, r["folder"], "cur", r["file"])
        with open(path, "rb") as f:
            equal(hashlib.sha256(f.read()).hexdigest(), r["sha256"], "the file")
        equal(int(os.stat(path).st_mtime), r["date"], "the file's time")
    check(not os.path.exists(os.path.join(out, "unfinished")), "it is finished")
    with open(os.path.join(out, "accounts.import"), encoding="utf-8") as f:
        check("%s:{PLAIN}%s\n" % (U1, PASSWORD) in f.read(), "the account and its password are not there")
    with open(os.path.join(out, U1, "dovecot-uidlist"), encoding="ascii") as f:
        check(f.readline().startswith("3 V"), "the list of uids")
    stat = tool(s, "stat", "--offline=" + data(s))[1]
    equal(sum(a["messages"] for a in stat["accounts"]), len(SENT), "messages that stat counts")


@case("an index that is gone, and a body that is damaged: the one message is named, all others are saved")
def damaged(s):
    bad = os.path.join(s.dir, "bad")
    shutil.copytree(data(s), bad)
    os.unlink(os.path.join(bad, "store", "data.mdb"))
    victim = glob.glob(os.path.join(bad, "store", "body-*"))[0]
    with open(victim, "r+b") as f:
        f.seek(700000)
        f.write(b"?")
    before = {p: os.stat(p).st_mtime_ns for p in glob.glob(bad + "/*/*")}
    status, said = tool(s, "verify", "--offline=" + bad, ok=(1,))
    lost = [i for i in said["items"] if i["is"] == "lost"]
    equal([(i["account"], i["mailbox"], i["why"]) for i in lost], [(U1, "INBOX", "its body is damaged")], "lost")
    out = os.path.join(s.dir, "out-bad")
    tool(s, "salvage", bad, out, ok=(1,))
    equal(len(saved(out)), len(SENT) - 1, "messages saved")
    with open(os.path.join(out, "not-saved.jsonl"), encoding="utf-8") as f:
        check(any(json.loads(line)["is"] == "lost" for line in f), "not-saved.jsonl does not name it")
    equal(len(os.listdir(os.path.join(out, "damaged"))), 1, "damaged messages kept")
    equal({p: os.stat(p).st_mtime_ns for p in glob.glob(bad + "/*/*")}, before, "files of the damaged store")
    tool(s, "salvage", bad, os.path.join(bad, "inside"), ok=(3,))
    tool(s, "salvage", bad, out, ok=(3,))  # not empty


@case("kill -9 at any moment: nothing looks finished, and the same command goes on to the end")
def killed(s):
    out = os.path.join(s.dir, "out-killed")
    env = dict(os.environ, GATEHOUSE_LIBEXEC=os.path.join(s.root, "usr/lib/gatehouse"))
    broken_off = 0
    for k in range(12):
        p = subprocess.Popen([os.path.join(s.root, "usr/bin/gatehousectl"), "--json", "store", "salvage", data(s), out],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)
        time.sleep(0.004 * k)
        p.send_signal(signal.SIGKILL)
        p.wait()
        whole = os.path.exists(os.path.join(out, "manifest.jsonl"))
        broken_off += not whole
        if whole:
            equal(len(saved(out)), len(SENT), "messages of a run that was finished")
            shutil.rmtree(out)
    check(broken_off > 0, "no run was broken off")
    tool(s, "salvage", data(s), out)
    equal(sorted(r["sha256"] for r in saved(out)), sorted(SENT), "messages in the end")
    files = glob.glob(os.path.join(glob.escape(out), U1, "**", "cur", "*"), recursive=True) + \
        glob.glob(os.path.join(glob.escape(out), U1, ".*", "cur", "*"))
    equal(len(set(files)), len(SENT), "files in the end")


@case("a target that is full: a clear word, and nothing that looks finished")
def full(s):
    out = os.path.join(s.dir, "small")
    os.mkdir(out)
    script = 'mount -t tmpfs -o size=256k none "$2" && "$0" --json salvage "$1" "$2"; echo $? >&2; ls "$2" >&2'
    done = subprocess.run(["unshare", "-m", "sh", "-c", script,
                           os.path.join(s.root, "usr/lib/gatehouse/gatehouse-salvage"), data(s), out],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    said = done.stderr.decode()
    check("No space left" in said and "\n3\n" in said, "it said %r", said)
    check("manifest.jsonl\n" not in said, "a manifest is there: %r", said)


@case("as a store: a server starts on what is left, with names, passwords, uids and flags, and goes on")
def as_store(s):
    bad = os.path.join(s.dir, "bad")
    with open(os.path.join(bad, "store", "log-00000000"), "r+b") as f:
        f.seek(os.path.getsize(f.name) // 3)
        f.write(b"?" * 20)
    out = os.path.join(s.dir, "new")
    said = tool(s, "salvage", "--as-store", bad, out, ok=(1,))[1]
    equal(tool(s, "verify", "--offline=" + out)[1]["items"], [], "what is wrong in the new store")
    os.rename(data(s), data(s) + ".was")
    os.rename(out, data(s))
    s.start_again()
    before = dict(SENT)
    SENT.clear()
    # Nobody has read anything yet: only the index of threads knows which chain this one answers to.
    s.deliver(U1, message("late", "late", **{"Message-ID": "<late@x.example>", "In-Reply-To": "<m29@x.example>"}))
    i = imap(s)
    for box in ("INBOX", "Work", "Work/T&APw-b"):
        note(i, box)
    late = [k for k in SENT if k not in before]
    check(len(late) == 1 and SENT.pop(late[0])[3][1] in {ids[1] for _, _, _, ids in before.values()}, "the answer's thread is a new one")
    i.select("INBOX")
    least = int(i.response("UIDNEXT")[1][0])
    i.logout()
    now = dict(SENT)
    SENT.clear()
    SENT.update(before)
    equal(len(now), said["messages"], "messages")
    check(len(before) - 3 <= len(now) < len(before) + 3, "%d messages of %d are left", len(now), len(before))
    equal({k: v for k, v in now.items() if before.get(k) != v}, {}, "messages that are not as they were")
    s.deliver(U1, message("one more"))
    i = imap(s)
    i.select("INBOX")
    check(int(i.uid("SEARCH", "UID", "*")[1][0].split()[-1]) >= least > 1000000, "a uid that may have been given out")
    i.logout()
    s.stop()
    equal(tool(s, "verify", "--offline=" + data(s))[1]["lost"], 0, "lost")
    shutil.rmtree(data(s))
    os.rename(data(s) + ".was", data(s))


@case("rebuild: the index is made anew, and the server starts with all mail")
def rebuilt(s):
    with open(os.path.join(data(s), "store", "data.mdb"), "r+b") as f:
        f.write(os.urandom(8192))
    tool(s, "rebuild", data(s))
    equal(len(glob.glob(os.path.join(data(s), "store", "data.mdb.damaged-*"))), 1, "indexes that are set aside")
    s.start_again()
    before = dict(SENT)
    SENT.clear()
    i = imap(s)
    for box in ("INBOX", "Work", "Work/T&APw-b"):
        note(i, box)
    i.logout()
    equal(SENT, before, "mail")


def on_terminal(s, *args):
    """What a person sees of a verb on the way, and its status."""
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update(TMPDIR=s.dir, GATEHOUSE_LIBEXEC=os.path.join(s.root, "usr/lib/gatehouse"))
        program = os.path.join(s.root, "usr/bin/gatehousectl")
        os.execv(program, [program, "--conf", s.conf, "--socket", s.admin, "store", *args])
    seen = b""
    with contextlib.suppress(OSError):  # the end of a terminal
        while part := os.read(fd, 65536):
            seen += part
    os.close(fd)
    return seen.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@case("on a terminal every verb that takes time shows how far it is")
def progress(s):
    backup, new = os.path.join(s.dir, "backup"), os.path.join(s.dir, "new")
    figures = r"\d+ of \d+ \(\d+%\)"
    wants = [(("backup", data(s), backup), "MiB: " + figures, "checked bodies: \\d+"), (("verify",), "messages: " + figures),
             (("compact", "--wait"), r"[\d.]+% of [\d.]+ MiB"), (("scrub", "--wait"), r"[\d.]+% of [\d.]+ MiB")]
    for args, *want in wants:
        seen, status = on_terminal(s, *args)
        check(status == 0 and all(re.search("\\r[^\r\n]*" + w, seen) for w in want), "%s: status %d, shown %r", args, status, seen)
    generation = os.path.join(backup, os.listdir(backup)[0])
    for args, *want in ((("restore", generation, new), "MiB: " + figures, "segments of the log: " + figures, "mailboxes: " + figures),
                        (("rebuild", new), "segments of the log: " + figures), (("verify", "--offline=" + new), "messages: " + figures),
                        (("salvage", new, os.path.join(s.dir, "saved")), "messages: " + figures),
                        (("restore", generation, "--account=u1"), "messages: " + figures, "mailbox \\d+ of \\d+")):
        seen, status = on_terminal(s, *args)
        check(status == 0 and all(re.search("\\r[^\r\n]*" + w, seen) for w in want), "%s: status %d, shown %r", args, status, seen)


if __name__ == "__main__":
    suite.main(14300)
