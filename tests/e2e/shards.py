#!/usr/bin/python3
"""shards - a store of three shards: accounts in all of them, mail that crosses, one that is away.

    tests/e2e/shards.py BUILD [--rounds N]

With --rounds N that many seeded damages of one shard's index below a running server (default 2).
"""
import contextlib
import glob
import json
import os
import poplib
import signal
import sys

import openmetrics
import suite
from cli import Cli
from imap_session import good, session
from stores import flip
from suite import DOMAIN, PASSWORD, behind_trace, case, check, equal, main, message, wait

USERS = ["u%d" % i for i in range(1, 7)]
ALL = [u + "@" + DOMAIN for u in USERS]
ROUNDS = 2


def shard_dir(s, number):
    return os.path.join(s.dir, "data", "store", "shard-%d" % number)


def figures(s):
    return json.loads(s.ctl("--json", "store", "stat"))


def bodies(s, user):
    return [behind_trace(m) for m in s.mail(user)]


def served(s):
    """The users whose mailbox opens; the others are told to come later."""
    found = []
    for user in USERS:
        try:
            with contextlib.closing(s.pop(user)) as p:
                p.quit()
            found.append(user)
        except poplib.error_proto as e:
            check("[SYS/TEMP]" in str(e), "%s is told %r", user, e)
    return found


def taken(s, to, text):
    with s.lmtp() as l:
        l.command("MAIL FROM:<sender@sender.example>", 250)
        code = l.command("RCPT TO:<%s>" % to)[0]
        if code == 250:
            l.command("DATA", 354)
            l.send(message(text) + b".\r\n")
            code = l.reply()[0]
    check(code in (250, 451), "LMTP says %d", code)
    return code == 250


@case("accounts are in all shards; one message for everybody is everybody's, small and large, also after a start")
def everybody(s):
    texts = ["small\r\n", "x" * 70 + "\r\n" + "abcdefghi\r\n" * 20000, "0123456789abcde\r\n" * 80000]
    for text in texts:
        with s.lmtp() as l:
            equal([c for c, _ in l.data(ALL, message(text))], [250] * len(ALL), "the answers")
    want = bodies(s, "u1")
    equal(len(want), len(texts), "messages")
    for user in USERS:
        check(bodies(s, user) == want, "the mail of %s differs", user)
    if s.engine == "memory":
        return
    stat = figures(s)
    equal((int(stat["shards"]), int(stat["shards-away"])), (3, 0), "the shards")
    s.restart()
    for user in USERS:
        check(bodies(s, user) == want, "the mail of %s differs after a start", user)
    for number in (1, 2):
        names = os.listdir(shard_dir(s, number))
        check("identity" in names and "data.mdb" in names, "shard %d has %r", number, names)
    wait(lambda: sum(int(figures(s)["shard-%d-accounts" % k]) for k in range(3)) >= 7, 60, "the accounts are counted")
    counts = [int(figures(s)["shard-%d-accounts" % k]) for k in range(3)]
    check(max(counts) - min(counts) <= 1, "accounts in the shards: %r", counts)


@case("copies to others' mailboxes and moves between one's own; deleted and made again")
def copies(s):
    for user in USERS[:3]:
        with session(s, "postmaster", None) as m:
            kind, data = m.select('"~%s/INBOX"' % user)
            equal(kind, "OK", "SELECT of ~%s says %r" % (user, data))
            for other in USERS[:3]:
                good(m.create('"~%s/From%s"' % (other, user)))
                good(m.copy("1:*", '"~%s/From%s"' % (other, user)))
    for user in USERS[:3]:
        with session(s, user) as m:
            want = [p[1] for p in good(m.fetch("1:*", "(BODY.PEEK[])")) if isinstance(p, tuple)]
            good(m.create("Own"))
            good(m.copy("1:*", "Own"))
            good(m.store("1:*", "+FLAGS", "(\\Flagged)"))
            good(m._simple_command("MOVE", "1:*", "Own"))
            for box in ["From" + o for o in USERS[:3]] + ["Own"]:
                good(m.select(box))
                got = [p[1] for p in good(m.fetch("1:*", "(BODY.PEEK[])")) if isinstance(p, tuple)]
                equal(len(got), len(want) * (2 if box == "Own" else 1), "messages in %s of %s" % (box, user))
                check(all(x in want for x in got), "a message in %s of %s differs", box, user)
    c = Cli(s.admin)
    c.yes("DeleteAccount u3")
    c.yes('CreateAccount u3 {Password="%s";}' % PASSWORD)
    c.close()
    equal(s.mail("u3"), [], "mail of the new u3")
    s.deliver("u3@" + DOMAIN)
    equal(len(s.mail("u3")), 1, "messages of the new u3")


@case("moves into accounts of all shards and back: COPYUID, expunges to whoever looks, each message in one place; also after a start")
def crossing(s):
    texts = [message("crossing %d\r\n" % i) for i in range(4)]
    for text in texts:
        s.deliver("u4@" + DOMAIN, text)
    want = sorted(bodies(s, "u4"))
    here = "u4"
    with session(s, "u4") as watch:
        good(watch.select("INBOX"))
        for there in ("u5", "u6", "u1", "u2", "u4"):
            with session(s, "postmaster", None) as m:
                good(m.select('"~%s/INBOX"' % here))
                fresh = good(m.search(None, "TEXT", "crossing"))[0].decode().replace(" ", ",")
                kind, data = m._simple_command("MOVE", fresh, '"~%s/INBOX"' % there)
                equal(kind, "OK", "MOVE from %s to %s says %r" % (here, there, data))
                copied = m.response("COPYUID")[1]
                check(copied and copied[0], "no COPYUID from %s to %s", here, there)
                equal(len(m.response("EXPUNGE")[1]), 4, "expunges")
                equal(good(m.search(None, "TEXT", "crossing"))[0], b"", "what is left in %s" % here)
            if here == "u4":
                watch.noop()
                check(len(watch.response("EXPUNGE")[1]) == 4, "who looked on was not told")
            here = there
    for start in range(1 + (s.engine != "memory")):
        got = {u: [b for b in bodies(s, u) if b"crossing" in b] for u in USERS}
        equal({u: len(g) for u, g in got.items() if g}, {"u4": 4}, "where they are")
        equal(sorted(b for b in bodies(s, "u4") if b"crossing" in b), sorted(b for b in want if b"crossing" in b), "their bytes")
        if s.engine != "memory":
            s.restart()


@case("a shard that is away, exchanged or damaged: its accounts wait, the others do not", engines=("lmdb",))
def away(s):
    everyone = served(s)
    aside = os.path.join(s.dir, "aside")
    before = {u: bodies(s, u) for u in everyone}
    s.stop()
    os.rename(shard_dir(s, 1), aside)
    s.start_again()
    here = served(s)
    check(0 < len(here) < len(everyone), "served: %r", here)
    for user in everyone:
        equal(taken(s, user + "@" + DOMAIN, "while it is away\r\n"), user in here, "mail for %s is taken" % user)
    check("engine.away shard=1 why=missing" in s.log_text(), "no line in the log")
    equal(int(figures(s)["shards-away"]), 1, "shards that are away")
    equal(openmetrics.value(openmetrics.scrape(s), "store_shards_away"), 1, "shards that are away, by the metrics")
    with contextlib.closing(s.pop(here[0])) as p:  # a reload that mends nothing ends nobody's session
        store = s.pids("stored")
        os.kill(s.master(), signal.SIGHUP)
        wait(lambda: "database.again" in s.log_text(), 60, "the word about the reload")
        equal(len(p.list()[1]), len(before[here[0]]) + 1, "messages")
        p.retr(1)
        p.quit()
    equal(s.pids("stored"), store, "the store's process after a reload that mends nothing")
    os.rename(aside, shard_dir(s, 1))
    os.kill(s.master(), signal.SIGHUP)
    wait(lambda: len(served_or_none(s)) == len(everyone), 60, "all are served again")
    for user in everyone:
        more = 1 if user in here else 0
        got = bodies(s, user)
        check(got[:len(before[user])] == before[user] and len(got) == len(before[user]) + more,
              "the mail of %s: %d and %d", user, len(before[user]), len(got))
    s.stop()
    os.rename(shard_dir(s, 1), aside)
    os.rename(shard_dir(s, 2), shard_dir(s, 1))
    os.rename(aside, shard_dir(s, 2))
    s.start_again()
    check(0 < len(served(s)) < len(here), "served with two exchanged")
    check(s.log_text().count("why=other-shard") >= 2, "no line in the log")
    s.stop()
    os.rename(shard_dir(s, 1), aside)
    os.rename(shard_dir(s, 2), shard_dir(s, 1))
    os.rename(aside, shard_dir(s, 2))
    s.start_again()
    equal(served(s), everyone, "served in their own places")


def index(s):
    return os.path.join(shard_dir(s, 1), "data.mdb")


def flip_rows(s):
    """A bit in each mailbox's row: whoever reads one sees that it is damaged, and nobody dies of it."""
    with open(index(s), "r+b") as f:
        text = f.read()
        at = text.find(b"INBOX", 8192)
        check(at > 0, "the index of the shard has no INBOX")
        while at > 0:
            f.seek(at)
            f.write(b"iNBOX")
            at = text.find(b"INBOX", at + 1)


def meet(s):
    """Somebody reads what is damaged: users, or who has all rows in memory already, a scrub."""
    for user in USERS:
        with contextlib.suppress(OSError, EOFError, poplib.error_proto):
            with contextlib.closing(s.pop(user)) as p:
                p.quit()
    s.ctl("store", "scrub", ok=False)


def away_word(s):
    try:
        return figures(s)["shard-1-away"]
    except (suite.Failed, ValueError, KeyError):
        return None  # it starts


def begun(pid):
    """When a process was forked, in ticks since the machine began."""
    with open("/proc/%d/stat" % pid, encoding="latin-1") as f:
        return int(f.read().rsplit(")", 1)[1].split()[19])


def menders(s):
    """Those of this stored, as they were forked, whatever their pids are; the stored before may not be gone yet."""
    try:
        return sorted(s.pids("stored-mender", child=True), key=begun)  # in the same tick: as the kernel lists its children
    except OSError:
        return []


@contextlib.contextmanager
def held_menders(s):
    pids = wait(lambda: len(menders(s)) == 3 and menders(s), 60, "three menders")
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield pids
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def everything(s, before):
    """All are served, and have what they had."""
    wait(lambda: away_word(s) == "no" and len(served_or_none(s)) == len(USERS), 60, "all are served again")
    for user, had in before.items():
        got = bodies(s, user)
        check(got[:len(had)] == had, "the mail of %s: %d and %d", user, len(had), len(got))


@case("the index of one shard is damaged below a running server: made anew beside it; who makes it may be killed", engines=("lmdb",))
def beside(s):
    s.restart()
    with held_menders(s) as held:
        beside_held(s, held)


def beside_held(s, held):
    stored = s.pids("stored")
    flip_rows(s)
    meet(s)
    wait(lambda: away_word(s) == "rebuilding" or meet(s), 60, "the shard is being rebuilt")
    # Whom stored has in memory may log in all the same; nobody's mail is taken.
    here = [u for u in USERS if taken(s, u + "@" + DOMAIN, "while it is away\r\n")]
    check(0 < len(here) < len(USERS), "mail is taken for %r", here)
    before = {u: bodies(s, u) for u in here}
    for k in range(3):
        check(set(served(s)) >= set(here), "somebody is not served while it is rebuilt")
        for user in USERS:
            equal(taken(s, user + "@" + DOMAIN, "beside %d\r\n" % k), user in here, "mail for %s is taken" % user)
    equal(int(openmetrics.value(openmetrics.scrape(s), "store_shards_away")), 1, "shards that are away, by the metrics")
    # They are asked as they were forked, the next one when one is dead.
    os.kill(held[0], signal.SIGKILL)
    os.kill(held[1], signal.SIGKILL)
    check(set(served(s)) >= set(here), "somebody is not served while another one tries")
    os.kill(held[2], signal.SIGCONT)
    everything(s, before)
    equal(away_word(s), "no", "the shard")
    equal(s.pids("stored"), stored, "stored")
    check("engine.back shard=1" in s.log_text(), "no line in the log")
    check("stored.mender shard=1" in s.log_text(), "no line about who was killed")


def set_aside(s):
    """Indexes of the first shard, which nobody has damaged, that a start did not believe."""
    return sorted(glob.glob(os.path.join(s.dir, "data", "store", "data.mdb.damaged-*")))


@case("bytes and pages flip in one shard's index below a running server: errors or a new start, never other mail, and all of it comes back",
      engines=("lmdb",))
def flips(s):
    before = {u: bodies(s, u) for u in USERS}
    anew, first, died = s.log_text().count("engine.aside"), set_aside(s), 0
    for k in range(ROUNDS):
        s.restart()
        stored = s.pids("stored")
        flip(index(s), k, pages=k % 2 == 1)
        for user in USERS * 2:
            with contextlib.suppress(OSError, EOFError, poplib.error_proto):
                got = bodies(s, user)
                check(got == before[user][:len(got)], "%s has mail that is not what it was", user)
        if s.pids("stored") == stored:
            s.restart()  # damage that nobody has met yet is found at the next start
        else:
            died += 1  # by a page, under its own filter
        everything(s, before)
        equal(set_aside(s), first, "the first shard's indexes that were set aside")
    anew = s.log_text().count("engine.aside") - anew
    print("    %d rounds: stored died in %d, the shard's index was set aside %d times" % (ROUNDS, died, anew))
    check(ROUNDS < 10 or anew > 0, "no damage was found")
    check(ROUNDS < 10 or died > 0, "nobody died")


def served_or_none(s):
    """While the store starts nobody may be."""
    try:
        return served(s)
    except (OSError, EOFError):
        return []


if __name__ == "__main__":
    if "--rounds" in sys.argv:
        at = sys.argv.index("--rounds")
        ROUNDS = int(sys.argv[at + 1])
        del sys.argv[at:at + 2]
    main(20500, settings=("store_shards = 3",), accounts=6)
