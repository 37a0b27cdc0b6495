#!/usr/bin/python3
"""version - data of every format version opens, says what it said, and goes on.

The fixtures are tests/e2e/version-N.tar.xz: the data directory of a server of that version, and what its clients
saw. One is made once, by the last commit that writes the version, with --make FILE [SHARDS], and never changed.
"""
import glob
import hashlib
import imaplib
import io
import json
import os
import random
import re
import shutil
import sys
import tarfile
import time

import suite
from suite import DOMAIN, PASSWORD, case, check, equal, message

HERE = os.path.dirname(os.path.abspath(__file__))
USERS = ("u1", "u2")


def data(s):
    return os.path.join(s.dir, "data")


def imap(s, user):
    i = imaplib.IMAP4(suite.A1, s.port(143), timeout=30)
    i.login(user, PASSWORD)
    return i


def boxes(i):
    return sorted(line.decode().rsplit(' "/" ', 1)[1].strip('"') for line in i.list()[1])


def seen(s):
    """What the clients see: {user: {mailbox: [uidvalidity, {uid: [flags, date, sha256]}]}}."""
    found = {}
    for user in USERS:
        i = imap(s, user)
        for box in boxes(i):
            equal(i.select('"%s"' % box, readonly=True)[0], "OK", "the answer to SELECT")
            messages = {}
            for part in i.uid("FETCH", "1:*", "(FLAGS INTERNALDATE BODY.PEEK[])")[1]:
                if not isinstance(part, tuple):
                    continue
                head = part[0].decode()
                flags = sorted(f for f in head.split("FLAGS (")[1].split(")")[0].split() if f != "\\Recent")
                messages[head.split("UID ")[1].split()[0].rstrip(")")] = \
                    [flags, int(time.mktime(imaplib.Internaldate2tuple(part[0]))), hashlib.sha256(part[1]).hexdigest()]
            found.setdefault(user, {})[box] = [i.response("UIDVALIDITY")[1][0].decode(), messages]
        i.logout()
    return found


def fill(s):
    """Some of everything that a store, a directory and its secrets keep."""
    r = random.Random(1)
    for k in range(12):
        s.deliver("u1@" + DOMAIN, message("%d " % k + "x" * r.choice((10, 3000, 40000, 140000)), str(k)))
    s.deliver("u1@" + DOMAIN, message("y" * 1200000, "a file of its own"))
    with s.lmtp() as l:  # one body, two mailboxes
        equal([c for c, _ in l.data(["u1@" + DOMAIN, "u2@" + DOMAIN], message("z" * 9000))], [250, 250], "answers")
    i = imap(s, "u1")
    for box in ("Work", "Work/2025", "T&APw-b"):
        equal(i.create('"%s"' % box)[0], "OK", "the answer to CREATE")
    i.subscribe('"Work/2025"')
    i.select("INBOX")
    i.uid("STORE", "1:4", "+FLAGS", "(\\Seen $Forwarded Label)")
    i.uid("STORE", "2", "+FLAGS", "(%s)" % " ".join("key%d" % k for k in range(70)))
    i.uid("STORE", "5:6", "+FLAGS", "(\\Deleted)")
    i.expunge()
    i.uid("MOVE", "7:8", "Work/2025")
    i.uid("COPY", "9", '"T&APw-b"')
    i.append("Work", "(\\Flagged \\Draft)", imaplib.Time2Internaldate(1e9), message("appended"))
    i.logout()
    s.ctl("alias", "set", "u1@" + DOMAIN, "other")
    s.ctl("group", "create", "all@" + DOMAIN, "u1@" + DOMAIN, "u2@" + DOMAIN)


def make(path, build, shards):
    with suite.Suite(build, 21300, engine="lmdb", settings=["store_shards = %d" % shards]) as s:
        s.ctl("domain", "settings", DOMAIN, "CompressMessages=YES")
        fill(s)
        state = seen(s)
        s.stop()
        with tarfile.open(path, "w:xz", preset=9) as t:
            text = json.dumps(state, indent=1, sort_keys=True).encode()
            t.addfile(entry("seen.json", len(text)), io.BytesIO(text))
            for part in ("directory", "secrets", "store"):
                for folder, folders, names in os.walk(os.path.join(data(s), part)):
                    folders.sort()
                    for name in sorted(names):
                        with open(os.path.join(folder, name), "rb") as f:
                            body = f.read()
                        if name not in ("lock", "lock.mdb"):
                            name = os.path.relpath(os.path.join(folder, name), data(s))
                            t.addfile(entry(name, len(body)), io.BytesIO(body))
    print("%s: %d octets" % (path, os.path.getsize(path)))


def entry(name, size):
    e = tarfile.TarInfo(name)
    e.size = size
    e.mode = 0o600
    return e


def own(path, owner):
    if os.geteuid() == 0:
        os.chown(path, owner.st_uid, owner.st_gid)


def unpack(s, path):
    """The fixture in the place of the suite's data, with the owners that those have; what clients saw."""
    with tarfile.open(path) as t:
        for part in ("directory", "secrets", "store"):
            folder = os.path.join(data(s), part)
            owner = os.stat(folder)
            for name in os.listdir(folder):
                path = os.path.join(folder, name)
                shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
            for member in t.getmembers():
                if not member.name.startswith(part + "/"):
                    continue
                to = os.path.join(data(s), member.name)
                within = os.path.dirname(to)
                if not os.path.isdir(within):  # of a shard
                    os.mkdir(within, 0o700)
                    own(within, owner)
                with open(to, "wb") as f:
                    f.write(t.extractfile(member).read())
                os.chmod(to, 0o600)
                own(to, owner)
        return json.load(t.extractfile("seen.json"))


def threads(i):
    """{uid: (EMAILID, THREADID)} of the mailbox that is selected."""
    found = {}
    for line in i.uid("FETCH", "1:*", "(EMAILID THREADID)")[1]:
        text = line.decode()
        found[text.split("UID ")[1].split()[0].rstrip(")")] = re.search(r"EMAILID \((E\w+)\) THREADID (NIL|\(T\w+\))", text).groups()
    return found


def get_threads(s):
    """What version 1 did not keep comes with the next look at the messages' facts, and stays."""
    i = imap(s, "u1")
    i.select("INBOX", readonly=True)
    before = threads(i)
    equal({t for _, t in before.values()}, {"NIL"}, "threads of old messages")

    def there():
        i.fetch("1:*", "(ENVELOPE)")
        return all(t != "NIL" for _, t in threads(i).values())
    suite.wait(there, 60, "threads")
    now = threads(i)
    i.logout()
    equal({u: e for u, (e, _) in now.items()}, {u: e for u, (e, _) in before.items()}, "ids of messages")
    return now


def kept_threads(s):
    i = imap(s, "u1")
    i.select("INBOX", readonly=True)
    now = threads(i)
    i.logout()
    check(now and "NIL" not in {t for _, t in now.values()}, "messages without a thread: %s", now)
    return now


def same_threads(s, want):
    now = kept_threads(s)
    equal({u: now.get(u) for u in want}, want, "threads")


def goes_on(s, want):
    """It takes changes, and they are still there after another start; the index can be made anew."""
    i = imap(s, "u1")
    i.select("INBOX")
    before = i.uid("SEARCH", "ALL")[1][0].split()
    i.uid("STORE", before[0].decode(), "+FLAGS", "(\\Answered)")
    i.logout()
    for to in ("other@" + DOMAIN, "all@" + DOMAIN):
        s.deliver(to, message("after the new version"))
    i = imap(s, "u1")
    i.select("INBOX")
    now = i.uid("SEARCH", "ALL")[1][0].split()
    i.logout()
    equal((len(now), int(now[len(before)]) > max(map(int, before))), (len(before) + 2, True), "messages in INBOX")
    state = seen(s)
    s.stop()
    for name in glob.glob(os.path.join(data(s), "**", "data.mdb"), recursive=True):
        os.unlink(name)
    s.start_again()
    equal(seen(s), state, "mail after a new index")


for fixture in sorted(glob.glob(os.path.join(HERE, "version-*.tar.xz"))):
    @case("%s opens, with all mail, flags, dates and names, and goes on" % os.path.basename(fixture), engines=("lmdb",))
    def opens(s, path=fixture):
        s.stop()
        want = unpack(s, path)
        s.start_again()
        equal(seen(s), want, "mail")
        if "version-3" in path:
            stat = json.loads(s.ctl("--json", "store", "stat"))
            equal((int(stat["shards"]), int(stat["shards-away"])), (3, 0), "shards")
        check("engine.aside" not in s.log_text(), "an index was not taken")
        old = get_threads(s) if path.endswith("version-1.tar.xz") else kept_threads(s)
        goes_on(s, want)
        same_threads(s, old)


if __name__ == "__main__":
    if "--make" in sys.argv:
        path, *shards = sys.argv[sys.argv.index("--make") + 1:]
        make(path, os.path.join(suite.TOP, "build"), int(*shards or (1,)))
    else:
        suite.main(21100)
