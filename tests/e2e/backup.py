#!/usr/bin/python3
"""backup - copies of a server under load, each restored and started: what was acknowledged before is there, and fits."""
import contextlib
import errno
import glob
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

import suite
sys.path.insert(0, os.path.join(suite.TOP, "tests", "crash"))
import faultdisk  # noqa: E402
from stores import data, target, tool
from suite import DOMAIN, PASSWORD, behind_trace, case, check, equal, message

U1 = "u1@" + DOMAIN
SENT = []  # (when it was acknowledged, data), to u1
LARGE = []  # to u2, before the first backup
MADE = []  # (when, name) of accounts with passwords
BACKUPS = []  # (when it was begun, generation's path)


class Load:
    """Deliveries and new accounts, all the time."""

    def __init__(self, s):
        self.s, self.end, self.failed = s, threading.Event(), []
        self.threads = [threading.Thread(target=self.run, args=(f,)) for f in (self.deliver, self.deliver, self.accounts)]

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *unused):
        self.end.set()
        for t in self.threads:
            t.join()
        check(not self.failed, "the load failed: %s", self.failed)

    def run(self, function):
        try:
            function()
        except Exception as e:  # told by the thread that waits
            self.failed.append(repr(e))

    def deliver(self):
        rnd = random.Random(threading.get_ident())
        with self.s.lmtp() as l:
            while not self.end.is_set():
                big = rnd.random() < 0.02
                one = message("%d" % rnd.getrandbits(60) + ("\r\n" + "x" * 70) * (17000 if big else rnd.choice((1, 30, 300))))
                equal(l.data([U1], one)[0][0], 250, "the answer")
                SENT.append((time.monotonic(), one))
                time.sleep(0.003)  # enough to be under way at any moment; all of it is read back

    def accounts(self):
        while not self.end.is_set():
            name = "b%d" % len(MADE)
            self.s.ctl("account", "import", "-", stdin="%s:{PLAIN}pw-%s\n" % (name, name))
            MADE.append((time.monotonic(), name))


def flip(path, at, bit=0):
    with open(path, "r+b") as f:
        f.seek(at)
        was = f.read(1)[0]
        f.seek(at)
        f.write(bytes([was ^ 1 << bit]))


@case("three backups while messages and accounts come in and the store is compacted; what the one before has is linked, not copied")
def made(s):
    one = message("a file of its own" + ("\r\n" + "y" * 70) * 17000)
    s.deliver(U1, one)
    SENT.append((time.monotonic(), one))
    with s.lmtp() as l:  # more than one segment of the log holds
        for i in range(75):
            LARGE.append(message("%d" % i + ("\r\n" + "z" * 890) * 1040))
            equal(l.data(["u2@" + DOMAIN], LARGE[-1])[0][0], 250, "the answer")
    check(len(glob.glob(data(s) + "/store/log-*")) > 1, "there is one segment only")
    with contextlib.closing(s.pop("u2")) as p:
        for i in range(0, len(LARGE), 2):
            p.dele(i + 1)
        p.quit()
    del LARGE[::2]
    s.ctl("undelete", "purge", "u2")
    first = set(glob.glob(data(s) + "/store/log-*"))
    with Load(s):
        for k in range(3):
            time.sleep(0.4)
            if k == 1:
                s.ctl("store", "compact")  # goes on beside what follows
            begun = time.monotonic()
            said = tool(s, "backup", data(s), target(s), "--keep=2")
            BACKUPS.append((begun, os.path.join(target(s), said["generation"])))
            check(said["files-copied"] >= 3 and (k == 0 or said["files-linked"] > 0), "it said %s", said)
            check(said["instants-tried"] > 0 and said["lost"] == 0, "it said %s", said)
            equal(tool(s, "verify")["items"], [], "what verify found in a server under load")
    s.ctl("store", "compact", "--wait")
    check(first - set(glob.glob(data(s) + "/store/log-*")), "no segment was compacted away")
    equal(len([g for g in os.listdir(target(s))]), 2, "generations that stay")
    BACKUPS.pop(0)
    equal(glob.glob(data(s) + "/*/backup-pin"), [], "links left in the data directory")
    for _, path in BACKUPS:
        equal(tool(s, "verify", "--offline=" + path)["lost"], 0, "lost in a generation")


@case("each, restored and started: everything acknowledged before it was begun, whole; every account with its password")
def restored(s):
    s.stop()
    os.rename(data(s), data(s) + ".was")
    for begun, path in BACKUPS:
        check(tool(s, "restore", "--dry-run", path, data(s))["bytes-to-copy"] > 1 << 20, "a dry run counts little")
        check(not os.path.exists(data(s)), "a dry run made something")
        tool(s, "restore", path, data(s))
        for dry in ((), ("--dry-run",)):
            tool(s, "restore", *dry, path, data(s), ok=(3,))  # never over what is there
        s.start_again()
        with contextlib.closing(s.pop("u1")) as p:
            count = p.stat()[0]
        got = {behind_trace(m) for m in s.mail()}
        want = {m for when, m in SENT if when < begun}
        equal(len(want - got), 0, "messages that are not there, of %d" % len(want))
        equal(len(got - {m for _, m in SENT}), 0, "messages that nobody sent")
        equal(count, len(got), "messages that came twice")
        check([behind_trace(m) for m in s.mail("u2")] == LARGE, "the messages of u2 are others")
        names = set(json.loads(s.ctl("--json", "account", "list")))
        early = [n for when, n in MADE if when < begun]
        equal([n for n in early if n not in names], [], "accounts that are not there")
        for name in random.Random(1).sample(early, min(3, len(early))):
            with contextlib.closing(s.pop(name, "pw-" + name)) as p:
                equal(p.stat()[0], 0, "messages of a new account")
        s.deliver(U1, message("after the restore"))
        equal(len(s.mail()), len(got) + 1, "messages with one more")
        s.stop()
        equal(tool(s, "verify", "--offline=" + data(s))["lost"], 0, "lost in what was restored")
        shutil.rmtree(data(s))
    os.rename(data(s) + ".was", data(s))
    s.start_again()


@case("kill -9 of a backup and of a restore at any moment: nothing looks whole, and the next one is")
def killed(s):
    before = set(os.listdir(target(s)))
    for k in range(8):
        p = tool(s, "backup", data(s), target(s), run=subprocess.Popen)
        time.sleep(0.004 * k * k)
        p.send_signal(signal.SIGKILL)
        p.communicate()
    for name in set(os.listdir(target(s))) - before:
        if not name.endswith(".part"):
            equal(tool(s, "verify", "--offline=" + os.path.join(target(s), name))["lost"], 0, "lost")
    said = tool(s, "backup", data(s), target(s))
    equal([n for n in os.listdir(target(s)) if n.endswith(".part")], [], "parts that were left")
    equal(glob.glob(data(s) + "/*/backup-pin"), [], "links left in the data directory")
    new = os.path.join(s.dir, "new")
    for k in range(6):
        p = tool(s, "restore", os.path.join(target(s), said["generation"]), new, run=subprocess.Popen)
        time.sleep(0.005 * k * k)
        p.send_signal(signal.SIGKILL)
        p.communicate()
        if os.path.isdir(os.path.join(new, "store")):
            equal(tool(s, "verify", "--offline=" + new)["lost"], 0, "lost")
            shutil.rmtree(new)
    tool(s, "restore", os.path.join(target(s), said["generation"]), new)
    equal(tool(s, "verify", "--offline=" + new)["lost"], 0, "lost")
    shutil.rmtree(new)


@case("a restore that is killed between any two of its names: no server starts on the half, and the same command begins anew")
def killed_between(s):
    new, library = os.path.join(s.dir, "new"), os.path.join(s.build, "tests", "crash", "faultdisk.so")
    generation = os.path.join(target(s), sorted(g for g in os.listdir(target(s)) if not g.endswith(".part"))[-1])
    program = os.path.join(s.root, "usr/lib/gatehouse/gatehouse-backup")
    conf = os.path.join(s.dir, "new.conf")
    with open(s.conf, encoding="utf-8") as f, open(conf, "w", encoding="utf-8") as g:
        g.write("".join(line for line in f if not line.startswith(("data_dir", "run_dir"))) +
                "data_dir = %s\nrun_dir = %s\n" % (new, os.path.join(s.dir, "new-run")))
    seen, number = set(), 0
    while True:
        number += 1
        board = faultdisk.Board(os.path.join(s.dir, "board"))
        board.strike(number, faultdisk.DIE_AFTER, 1 << faultdisk.RENAME)
        died = subprocess.run([program, "--json", "restore", generation, new], env=board.env(library), stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, timeout=60).returncode
        board.close()
        there = tuple(db for db in ("store", "directory", "secrets") if os.path.isdir(os.path.join(new, db)))
        seen.add(there)
        if died != faultdisk.DIED:
            break
        if os.path.exists(os.path.join(new, "restoring")):
            start = subprocess.run([os.path.join(s.root, "usr/sbin/gatehouse"), "--libexec", s.libexec, conf], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
            check(start.returncode != 0 and b"store restore" in start.stdout, "with %s: it said %r", there, start.stdout[-300:])
            equal(tuple(db for db in ("store", "directory", "secrets") if os.path.isdir(os.path.join(new, db))), there, "folders")
            if there:  # a folder that somebody put there is nobody's to remove
                os.rename(os.path.join(new, there[0]), os.path.join(s.dir, "mine"))
                shutil.copytree(os.path.join(s.dir, "mine"), os.path.join(new, there[0]))
                tool(s, "restore", generation, new, ok=(3,))
                shutil.rmtree(os.path.join(new, there[0]))
                os.rename(os.path.join(s.dir, "mine"), os.path.join(new, there[0]))
                board = faultdisk.Board(os.path.join(s.dir, "board"))  # one that cannot be removed keeps the mark
                board.strike(1, faultdisk.FAIL, 1 << faultdisk.UNLINK, error=errno.EIO)
                failed = subprocess.run([program, "--json", "restore", generation, new], env=board.env(library), stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, timeout=60).returncode
                equal((failed, board.get("struck")), (3, 1), "the status, and what failed")
                board.close()
                check(os.path.exists(os.path.join(new, "restoring")), "with %s: no mark", there)
        else:
            check(number > 1 and len(there) in (0, 3), "no mark beside %s", there)
            shutil.rmtree(new)
    equal(seen, {(), ("secrets",), ("directory", "secrets"), ("store", "directory", "secrets")}, "what the rounds had")
    equal(died, 0, "the status of the run that nobody struck")
    equal(tool(s, "verify", "--offline=" + new)["lost"], 0, "lost")
    shutil.rmtree(new)


@case("--keep removes the oldest, and never what was just made: not with many in one second, nor after the clock went back")
def order(s):
    where, made = os.path.join(s.dir, "order"), []
    for k in range(13):
        made.append(tool(s, "backup", data(s), where, "--quick", "--keep=2")["generation"])
        equal(sorted(os.listdir(where)), made[-2:], "what stays of %s" % made)
        if k == 0:  # the clock was ahead by years
            made = ["2199-01-01T00-00-00Z"]
            os.rename(os.path.join(where, os.listdir(where)[0]), os.path.join(where, made[0]))
    os.rename(os.path.join(where, made[-1]), os.path.join(where, "2199-01-01T00-00-00Z-9"))  # as they were called before
    made = made[:-1] + [tool(s, "backup", data(s), where, "--quick", "--keep=2")["generation"]]
    equal(set(os.listdir(where)), set(made[-2:]), "what stays")
    shutil.rmtree(where)


@case("one account out of a generation into a running server: what is there stays, and nothing comes twice")
def one_account(s):
    out = os.path.join(s.dir, "one")
    want = [behind_trace(m) for m in s.mail()]
    tool(s, "salvage", "--account=" + U1, "--mailbox=INBOX", BACKUPS[-1][1], out)
    with open(os.path.join(out, "manifest.jsonl"), encoding="utf-8") as f:
        rows = [json.loads(line) for line in f]
    check(rows and {r["account"] for r in rows} == {U1}, "accounts saved: %s", {r["account"] for r in rows})
    s.ctl("account", "import", "-", stdin="again:{PLAIN}%s\n" % PASSWORD)
    for _ in range(2):
        s.ctl("store", "import", "again", os.path.join(out, U1))
        equal(len(s.mail("again")), len(rows), "messages moved in")
    check({behind_trace(m) for m in s.mail("again")} <= set(want), "a message was changed on its way")
    equal(tool(s, "salvage", "--account=nobody", BACKUPS[-1][1], os.path.join(s.dir, "none"), ok=(3,))["done"], False, "nobody")


@case("an option that is no number from 1 on is refused, not read as far as it goes")
def numbers(s):
    generation = sorted(g for g in os.listdir(target(s)) if not g.endswith(".part"))[-1]
    where = os.path.join(s.root, "usr/lib/gatehouse/gatehouse-")
    for program, option, *words in (("backup", "keep", "backup", data(s), os.path.join(s.dir, "nothing")), ("backup", "rate", "verify", data(s)),
                                    ("salvage", "uid", "salvage", os.path.join(target(s), generation), os.path.join(s.dir, "nothing")),
                                    ("salvage", "rate", "verify", os.path.join(target(s), generation))):
        for bad in ("", "0", "7d", " 7", "+7", "-7", "0x7", "4294967297", "18446744073709551617", "99999999999999999999999999"):
            done = subprocess.run([where + program, "--%s=%s" % (option, bad), *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            check(done.returncode == 2 and ("--%s is a number" % option).encode() in done.stderr, "--%s=%s: status %d: %r", option, bad,
                  done.returncode, done.stderr)
    check(not os.path.exists(os.path.join(s.dir, "nothing")), "something was made")


@case("a generation that rotted since: what it has is not linked into the next")
def rotten(s):
    before = os.path.join(target(s), sorted(g for g in os.listdir(target(s)) if not g.endswith(".part"))[-1])
    victim = sorted(glob.glob(before + "/store/body-*"))[0]
    flip(victim, 300000)
    said = tool(s, "backup", data(s), target(s))
    flip(victim, 300000)
    check(said["files-linked"] == 0 and said["instants-tried"] > 1, "it said %s", said)
    flip(victim, 300000)
    equal(tool(s, "verify", "--offline=" + os.path.join(target(s), said["generation"]))["lost"], 0, "lost")
    flip(victim, 300000)


@case("a body is damaged below a running server: verify names it, and its mailbox")
def found(s):
    s.deliver(U1, message("not in a backup yet" + ("\r\n" + "w" * 70) * 17000))
    for path in glob.glob(data(s) + "/store/body-*"):
        with open(path, "r+b") as f:
            f.seek(500000)
            f.write(b"\0\0\0")
    said = tool(s, "verify", ok=(1,))
    check(said["lost"] > 0, "nothing was found")
    equal({(i["mailbox"], i["why"]) for i in said["items"]}, {("INBOX", "its body is damaged")}, "what was found")
    check(U1 in {i["account"] for i in said["items"]}, "the account is not named")


@case("a body that was damaged in the server already: the generation counts, and names it; what is restored of it names it, too")
def source_damaged(s):
    new = os.path.join(s.dir, "new")
    for why in ("its body is damaged", "its body is not there"):
        names = set(os.listdir(target(s)))
        said = tool(s, "backup", data(s), target(s), ok=(1,))
        path = os.path.join(target(s), said["generation"])
        equal(set(os.listdir(target(s))) - names, {said["generation"]}, "new generations")
        check(said["lost"] > 0 and len(said["items"]) == said["lost"], "it said %s", said)
        equal({(i["mailbox"], i["why"]) for i in said["items"]}, {("INBOX", why)}, "what is damaged")
        check(U1 in {i["account"] for i in said["items"]}, "the account is not named")
        for dry in (("--dry-run",), ()):
            equal(tool(s, "restore", *dry, path, new, ok=(1,))["items"], said["items"], "what the restore names")
        equal(tool(s, "verify", "--offline=" + new, ok=(1,))["items"], said["items"], "what is damaged in what was restored")
        shutil.rmtree(new)
        for path in glob.glob(data(s) + "/store/body-*"):
            os.unlink(path)


@case("what is damaged in a log of the server is no generation")
def log_damaged(s):
    names = set(os.listdir(target(s)))
    segments = glob.glob(data(s) + "/store/log-*")  # some are no part of the log any more, and one may have no frame yet
    for segment in segments:
        flip(segment, 80)
    said = tool(s, "backup", data(s), target(s), ok=(3,))
    for segment in segments:
        flip(segment, 80)
    check("not what it should be" in said["error"] or "cannot be read" in said["error"], "it said %s", said)
    equal(set(os.listdir(target(s))), names, "generations")


@case("one bit of any file of a generation, or a file that is missing: it is not restored, and says which; nor an unfinished one")
def damaged(s):
    path, rnd = BACKUPS[-1][1], random.Random(3)
    new = os.path.join(s.dir, "new")
    victims = sorted(glob.glob(path + "/*/*"))
    check({os.path.basename(v).split("-")[0] for v in victims} == {"log", "body"} and len(victims) > 3, "files: %s", victims)
    for victim in victims:
        name = os.path.basename(victim)
        size = os.path.getsize(victim)
        for at in [rnd.randrange(size)] if size > 1 << 20 else {0, size - 1, rnd.randrange(size)}:
            bit = rnd.randrange(8)
            flip(victim, at, bit)
            said = tool(s, "restore", path, new, ok=(3,))
            flip(victim, at, bit)
            check(name in said["error"], "%s at %d: it said %s", victim, at, said)
        os.rename(victim, victim + ".away")
        check(name in tool(s, "restore", path, new, ok=(3,))["error"], "%s: it is not missed", name)
        os.rename(victim + ".away", victim)
    manifest = path + "/manifest"
    for at in random.Random(4).sample(range(os.path.getsize(manifest)), 30):
        flip(manifest, at, 2)
        check("complete" in tool(s, "restore", path, new, ok=(3,))["error"], "manifest at %d: it is restored", at)
        flip(manifest, at, 2)
    check(not os.path.exists(os.path.join(new, "store")), "a store is there")
    tool(s, "restore", path, new)
    os.unlink(manifest)
    check("complete" in tool(s, "restore", path, new + "2", ok=(3,))["error"], "it did not see that it is unfinished")


@case("a target that is full: a clear word, no generation, and the server goes on")
def full(s):
    small = os.path.join(s.dir, "small")
    os.mkdir(small)
    script = 'mount -t tmpfs -o size=256k none "$2" && "$0" --json backup "$1" "$2"; echo $? >&2; ls "$2" >&2'
    done = subprocess.run(["unshare", "-m", "sh", "-c", script,
                           os.path.join(s.root, "usr/lib/gatehouse/gatehouse-backup"), data(s), small],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    check(b"No space left" in done.stderr and done.stderr.endswith(b"\n3\n"), "it said %r", done.stderr)
    s.deliver(U1)


if __name__ == "__main__":
    suite.main(14500)
