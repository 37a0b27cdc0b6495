#!/usr/bin/python3
"""backup_shards - the operator's tools on a store of three shards: backup at one instant, restore, verify, stat, rebuild, salvage.

    tests/e2e/backup_shards.py BUILD [--seed N]     the moments at which a restore is killed; without it another one each time
"""
import glob
import json
import os
import random
import re
import shutil
import subprocess
import sys
import threading
import time

import suite
from imap_session import good, session
from stores import data, target, tool
from suite import DOMAIN, behind_trace, case, check, equal, message

SHARDS, USERS, LOADS = 3, ["u%d" % i for i in range(1, 7)], 3
SENT = []  # (when it was acknowledged, load, number, user)
BACKUPS = []  # (when it was begun, generation's path)
SEED = random.randrange(1 << 32)
if "--seed" in sys.argv:
    at = sys.argv.index("--seed")
    SEED = int(sys.argv[at + 1])
    del sys.argv[at:at + 2]
moments = random.Random(SEED)


class Load:
    """Each thread sends numbered messages to users of all shards, one when the one before is acknowledged."""

    def __init__(self, s):
        self.s, self.end, self.failed = s, threading.Event(), []
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(LOADS)]

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *unused):
        self.end.set()
        for t in self.threads:
            t.join()
        check(not self.failed, "the load failed: %s", self.failed)

    def run(self, load):
        rnd, number = random.Random(load), 0
        try:
            with self.s.lmtp() as l:
                while not self.end.is_set():
                    user = rnd.choice(USERS)
                    one = message("load %d number %d" % (load, number) + ("\r\n" + "x" * 70) * rnd.choice((1, 200)))
                    equal(l.data([user + "@" + DOMAIN], one)[0][0], 250, "the answer")
                    SENT.append((time.monotonic(), load, number, user))
                    number += 1
                    time.sleep(0.002)
        except Exception as e:  # told by the thread that waits
            self.failed.append(repr(e))


def held(s):
    """{(load, number): user} of all users' mail."""
    found = {}
    for user in USERS:
        for m in s.mail(user):
            load, number = map(int, re.search(rb"load (\d+) number (\d+)", behind_trace(m)).groups())
            check((load, number) not in found, "a message came twice")
            found[load, number] = user
    return found


@case("backups while messages come in to all shards: checked by themselves, and nobody is held up")
def made(s):
    equal(len(glob.glob(data(s) + "/store/shard-*")), SHARDS - 1, "directories of shards")
    with Load(s):
        for k in range(2):
            time.sleep(0.5)
            begun = time.monotonic()
            said = tool(s, "backup", data(s), target(s))
            BACKUPS.append((begun, os.path.join(target(s), said["generation"])))
            equal((said["shards"], said["lost"]), (SHARDS, 0), "shards and losses")
            check(said["instant-us"] > 0 and said["instants-tried"] > 0, "it said %s", said)
            equal(tool(s, "verify")["items"], [], "what verify found in a server under load")
    equal(glob.glob(data(s) + "/store/backup-pin") + glob.glob(data(s) + "/store/shard-*/backup-pin"), [], "links left in the data directory")


@case("the last one restored and started: all that was acknowledged before it was begun; and if one of a sender's is there, all of its before")
def restored(s):
    s.stop()
    os.rename(data(s), data(s) + ".was")
    for begun, path in BACKUPS[-1:]:  # what it shares with the one before is linked
        equal(tool(s, "verify", "--offline=" + path)["items"], [], "what verify found in a generation")
        tool(s, "restore", path, data(s))
        equal(sorted(os.listdir(data(s) + "/store")), sorted(set(os.listdir(data(s) + "/store")) | {"shard-1", "shard-2", "identity"}), "the store's files")
        s.start_again()
        got = held(s)
        want = {(load, number): user for when, load, number, user in SENT if when < begun}
        equal([k for k in want if got.get(k) != want[k]], [], "messages that are not there, of %d" % len(want))
        for load in range(LOADS):
            numbers = sorted(n for k, n in got if k == load)
            equal(numbers, list(range(len(numbers))), "messages of load %d: a later one is there, an earlier one is not" % load)
        for user in USERS:
            s.deliver(user + "@" + DOMAIN, message("load 99 number %s after the restore" % user[1:]))
        equal(len(held(s)), len(got) + len(USERS), "messages with one more for each")
        s.stop()
        equal(tool(s, "verify", "--offline=" + data(s))["items"], [], "what verify found in what was restored")
        shutil.rmtree(data(s))
    os.rename(data(s) + ".was", data(s))
    s.start_again()
    equal(held(s).keys(), {(load, number) for _, load, number, _ in SENT}, "the server's own messages")


@case("stat and rebuild, stopped: figures of each shard; the index of each is made anew")
def offline(s):
    s.stop()
    said = tool(s, "stat", "--offline=" + data(s))
    equal(said["messages"], len(SENT), "messages")
    for i in range(SHARDS):
        check(said["shard-%d-rows" % i] > 0, "shard %d has no rows: %s", i, said)
    equal(sum(said["shard-%d-rows" % i] for i in range(SHARDS)), said["rows"], "rows")
    for d in ("store", "store/shard-1", "store/shard-2"):
        with open("%s/%s/data.mdb" % (data(s), d), "r+b") as f:
            f.write(b"\xff" * 65536)
    tool(s, "rebuild", data(s))
    s.start_again()
    equal(len(held(s)), len(SENT), "messages after the rebuild")


def rebuilt(s):
    """All indexes but that of the shard are made anew, and the answer says which one is left."""
    others = ("store", "store/shard-2", "directory", "secrets")

    def aside():
        return {d: sorted(glob.glob("%s/%s/data.mdb.damaged-*" % (data(s), d))) for d in others}
    before = aside()
    for d in others:
        with open("%s/%s/data.mdb" % (data(s), d), "r+b") as f:
            f.write(b"\xff" * 65536)
    said = tool(s, "rebuild", data(s), ok=(1,))
    equal([i["why"] for i in said["items"]], ["store/shard-1: left as it is: missing"], "what it left")
    equal(said["indexes"], len(others), "indexes that it made")
    now = aside()
    equal([d for d in others if now[d] == before[d]], [], "indexes that were not set aside")
    os.unlink(data(s) + "/store/shard-2/data.mdb")
    equal(tool(s, "rebuild", data(s) + "/store/shard-2")["indexes"], 1, "indexes that it made of a shard by itself")
    check("done" not in said or said["done"], "it says %s", said)


@case("a shard that is not there: verify and salvage say so, and save what the others have; no backup is made of it")
def away(s):
    s.stop()
    shard = data(s) + "/store/shard-1"
    os.rename(shard, data(s) + "/aside")
    try:
        said = tool(s, "verify", "--offline=" + data(s), ok=(1,))
        check(any("shard-1" in i["why"] and "not there" in i["why"] for i in said["items"]), "verify says %s", said["items"][:3])
        check(0 < said["messages"] < len(SENT), "verify read %d messages", said["messages"])
        out = os.path.join(s.dir, "out")
        saved = tool(s, "salvage", data(s), out, ok=(1,))
        equal(saved["messages"], said["messages"], "messages that are saved")
        with open(out + "/manifest.jsonl", encoding="utf-8") as f:
            equal(len(f.readlines()), said["messages"], "lines of the manifest")
        whole = {json.loads(line)["account"] for line in open(out + "/manifest.jsonl", encoding="utf-8")}
        per_user = {u + "@" + DOMAIN: sum(1 for x in SENT if x[3] == u) for u in USERS}
        equal(sum(per_user[a] for a in whole), said["messages"], "messages of the accounts in the other shards")
        os.mkdir(shard)
        said = tool(s, "verify", "--offline=" + data(s), ok=(1,))
        check(any("mounted" in i["why"] for i in said["items"]), "verify says %s", said["items"][:3])
        os.rmdir(shard)
        check("shard-1" in tool(s, "backup", data(s), target(s), ok=(3,))["error"], "the backup does not say why")
        rebuilt(s)
        s.start_again()
        status, out, _ = s.ctl("--json", "check", ok=False)
        equal(status, 1, "status of the check")
        check("shards are away" in out, "the check says %s", out[:300])
        s.stop()
    finally:
        os.rename(data(s) + "/aside", shard)
    s.start_again()
    equal(len(held(s)), len(SENT), "messages with the shard back in its place")


def shown(s):
    """{user: [(flags, date, id and bytes of each message, by uid)]} of all mailboxes."""
    found = {}
    for user in USERS:
        with session(s, user, None) as m:
            for box in ("INBOX", "Kept"):
                if good(m.select(box, readonly=True)) != [b"0"]:
                    rows = [p for p in good(m.fetch("1:*", "(UID FLAGS INTERNALDATE EMAILID BODY.PEEK[])")) if isinstance(p, tuple)]
                    # A message may be recent once more after a start.
                    found[user, box] = [(re.sub(rb"^\d+ |\\Recent ?", b"", head).replace(b" )", b")"), body) for head, body in rows]
    return found


def start_with(s, shards):
    with open(s.conf, encoding="utf-8") as f:
        text = f.read()
    with open(s.conf, "w", encoding="utf-8") as f:
        f.write(re.sub(r"(?m)^store_shards *=.*$", "store_shards = %d" % shards, text))
    s.start_again()


def some_of_each(s):
    """Flags, keywords, a second mailbox that shares bodies, one message that can be restored, one with a file of its own for everybody."""
    with s.lmtp() as l:
        equal([c for c, _ in l.data([u + "@" + DOMAIN for u in USERS], message("load 50 number 0" + "\r\n0123456789abcde" * 90000))],
              [250] * len(USERS), "the answers")
    for i, user in enumerate(USERS):
        with session(s, user) as m:
            good(m.create("Kept"))
            good(m.copy("1:5", "Kept"))
            good(m.store("2:3", "+FLAGS", "(\\Flagged red%d)" % i))
            good(m.store("1", "+FLAGS", "(\\Deleted)"))
            good(m.expunge())


@case("the same with another number of shards, 3 to 1 to 3 and 3 to 2: every message as it was, and what was expunged comes back")
def other_numbers(s):
    some_of_each(s)
    want = shown(s)
    of_three = os.path.join(target(s), tool(s, "backup", data(s), target(s))["generation"])
    s.stop()
    os.rename(data(s), data(s) + ".was")
    source = of_three
    for shards in (2, 1, 3):
        broken_off(s, shards, source)
        equal(tool(s, "restore", "--shards=%d" % shards, source, data(s))["shards"], shards, "shards")
        equal(len(glob.glob(data(s) + "/store/shard-*")), shards - 1, "directories of shards")
        equal(os.path.exists(data(s) + "/store/identity"), shards > 1, "it has an identity")
        equal(sorted(os.listdir(data(s))), ["directory", "secrets", "store"], "what lies in the data directory")
        said = tool(s, "verify", "--offline=" + data(s))
        equal(said["items"], [], "what verify found")
        equal(strangers_files(s), [], "files that are not the folder's owner's")
        if shards == 2:  # every byte was read, and test-spread.c has looked at the rows
            equal(said["messages"], sum(map(len, want.values())), "messages that verify read")
            shutil.rmtree(data(s))
            continue
        start_with(s, shards)
        got = shown(s)
        for where in want:
            check(got[where] == want[where], "%r with %d shards: %d messages, %d", where, shards, len(got[where]), len(want[where]))
        if shards > 1:
            suite.wait(lambda: min(accounts_in(s, shards)) > 0, 60, "each shard has accounts")
        for user in USERS:
            s.deliver(user + "@" + DOMAIN, message("load 98 number %s with %d shards" % (user[1:], shards)))
        if shards == 1:
            with session(s, "u2") as m:
                good(m.delete("Kept"))
            tool(s, "restore", of_three, "--account=u2@" + DOMAIN, "--mailbox=Kept")
            equal(sorted(b for _, b in shown(s)["u2", "Kept"]), sorted(b for _, b in want["u2", "Kept"]), "a mailbox of three shards in one")
            source = os.path.join(target(s), tool(s, "backup", data(s), target(s))["generation"])
            want = shown(s)
        if shards < 3:
            s.stop()
            shutil.rmtree(data(s))
    for user in USERS:
        with session(s, user) as m:
            before = len(good(m.search(None, "ALL"))[0].split())
            s.ctl("undelete", "restore", user)
            m.noop()
            equal(len(good(m.search(None, "ALL"))[0].split()), before + 1, "messages with the one that was restored")
    parts_of(s, source, want)
    want = {u: sorted(s.mail(u)) for u in USERS}
    s.stop()
    tool(s, "salvage", "--as-store", data(s), os.path.join(s.dir, "saved"))
    shutil.rmtree(data(s))
    os.rename(os.path.join(s.dir, "saved"), data(s))
    equal(strangers_files(s), [], "files that are not the folder's owner's, as salvage made them")
    s.start_again()
    check({u: sorted(s.mail(u)) for u in USERS} == want, "the mail differs that salvage saved as a store")
    s.stop()
    shutil.rmtree(data(s))
    os.rename(data(s) + ".was", data(s))
    start_with(s, SHARDS)


def broken_off(s, shards, source):
    """Killed at some moment: nobody starts on what is there, and the same command begins anew."""
    for k in range(3):
        p = tool(s, "restore", "--shards=%d" % shards, source, data(s), run=subprocess.Popen)
        time.sleep(moments.random() * 0.2)
        p.kill()
        p.communicate()
        there = sorted(os.listdir(data(s))) if os.path.isdir(data(s)) else []
        if there == ["directory", "secrets", "store"]:
            shutil.rmtree(data(s))  # it was faster
        else:
            check("store" not in there or "restoring" in there, "what lies there: %r", there)


def strangers_files(s):
    """Of the store: a server that is root at its start is nobody's root afterwards."""
    store = data(s) + "/store"
    return [os.path.join(d, f) for d, _, files in os.walk(store) for f in files if os.stat(os.path.join(d, f)).st_uid != os.stat(store).st_uid]


def accounts_in(s, shards):
    said = json.loads(s.ctl("--json", "store", "stat"))
    return [int(said["shard-%d-accounts" % k]) for k in range(shards)]


def parts_of(s, generation, want):
    """An account, a mailbox, a message of a generation with one shard into the server, which has three."""
    with session(s, "u1") as m:
        for box in ("Kept", "INBOX"):
            good(m.select(box))
            good(m.store("1:*", "+FLAGS", "(\\Deleted)"))
            good(m.expunge())
    tool(s, "restore", generation, "--account=u1@" + DOMAIN, "--mailbox=Kept")
    equal(sorted(body for _, body in shown(s)["u1", "Kept"]), sorted(body for _, body in want["u1", "Kept"]), "one mailbox")
    head, body = want["u1", "INBOX"][-1]
    uid = re.search(rb"UID (\d+)", head)[1].decode()
    tool(s, "restore", generation, "--account=u1@" + DOMAIN, "--mailbox=INBOX", "--uid=" + uid)
    equal([b for _, b in shown(s)["u1", "INBOX"]], [body], "one message")
    tool(s, "restore", generation, "--account=u1@" + DOMAIN)
    got = shown(s)
    for box in ("INBOX", "Kept"):
        equal(sorted(b for _, b in got["u1", box]), sorted(b for _, b in want["u1", box]), "all of " + box)


if __name__ == "__main__":
    print("seed %d" % SEED)
    suite.main(22000, accounts=len(USERS), settings=["store_shards=%d" % SHARDS])
