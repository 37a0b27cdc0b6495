#!/usr/bin/python3
"""backup_shards - the operator's tools on a store of three shards: backup at one instant, restore, verify, stat, rebuild, salvage."""
import glob
import json
import os
import random
import re
import shutil
import threading
import time

import suite
from stores import data, target, tool
from suite import DOMAIN, behind_trace, case, check, equal, message

SHARDS, USERS, LOADS = 3, ["u%d" % i for i in range(1, 7)], 3
SENT = []  # (when it was acknowledged, load, number, user)
BACKUPS = []  # (when it was begun, generation's path)


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
        s.start_again()
        status, out, _ = s.ctl("--json", "check", ok=False)
        equal(status, 1, "status of the check")
        check("shards are away" in out, "the check says %s", out[:300])
        s.stop()
    finally:
        os.rename(data(s) + "/aside", shard)
    s.start_again()
    equal(len(held(s)), len(SENT), "messages with the shard back in its place")


if __name__ == "__main__":
    suite.main(22000, accounts=len(USERS), settings=["store_shards=%d" % SHARDS])
