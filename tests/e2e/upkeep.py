#!/usr/bin/python3
"""upkeep - the store gives dead bytes back and reads itself, when asked and by itself; what is damaged is named.

    tests/e2e/upkeep.py BUILD
"""
import json
import re

from suite import DOMAIN, behind_trace, case, check, damage, equal, main, message, refused, wait

U1, U2 = "u1@" + DOMAIN, "u2@" + DOMAIN
SETTINGS = ("compact_dead_percent = 0", "scrub_days = 0", "compact_look = 200ms", "compact_min = 64K",
            "compact_mb_s = 1000", "scrub_mb_s = 1000")


def state(s):
    return json.loads(s.ctl("--json", "store", "stat"))


def fill_and_purge(s, n=30):
    """So many messages of 100 KB come and go for good; one stays."""
    for k in range(n):
        s.deliver(U2, message("%d " % k + "z" * 100000, str(k)))
    s.empty("u2")
    s.deliver(U1, message("y" * 50000, "stays"))
    s.ctl("undelete", "purge", "u2")


def mail(s):
    return [behind_trace(m) for m in s.mail()]


@case("stat says what lives; compact gives back what does not, and nobody's mail changes", engines=("lmdb",))
def compact(s):
    fill_and_purge(s)
    kept = mail(s)
    said = json.loads(s.ctl("--json", "store", "compact", "--wait"))
    equal((said["compact-result"], said["running"]), ("ok", "none"), "the state after it")
    check(said["dead-bytes"] < 600000, "%d bytes are dead", said["dead-bytes"])
    check(said["compactions"] == 1 and said["moved-bytes"] > 0 and said["dropped-files"] > 0, "%r", said)
    equal(mail(s), kept, "mail")
    text = s.ctl("store", "stat")
    for word in ("files ", "living ", "dead ", "can be restored ", "index ", "compact  ", "scrub ", "damaged "):
        check(word in text, "no %r in %s", word, text)
    wait(lambda: "upkeep.compacted" in s.log_text(), 60, "its line in the log")
    wait(lambda: re.search(r"admin.change .*verb=store_compact .*result=ok", s.log_text()), 60, "the line of who asked for it")
    s.restart()
    equal(mail(s), kept, "mail after a start")


@case("what was deleted and can be restored is alive: a pass keeps it", engines=("lmdb",))
def undelete(s):
    s.deliver(U2, message("w" * 70000, "comes back"))
    want = [behind_trace(m) for m in s.mail("u2")]
    s.empty("u2")
    fill = 20
    for k in range(fill):
        s.deliver(U1, message("v" * 100000, "goes"))
    s.empty("u1")
    s.ctl("undelete", "purge", "u1")
    s.ctl("store", "compact", "--wait")
    s.ctl("undelete", "restore", "u2")
    equal([behind_trace(m) for m in s.mail("u2")], want, "what was restored")


@case("a scrub of a store that is well finds nothing", engines=("lmdb",))
def scrub_well(s):
    check("nothing damaged" in s.ctl("store", "scrub", "--wait"), "what it says")
    said = state(s)
    check(said["scrub-bytes"] > 0 and said["scrubbed"] > 1600000000, "%r", said)
    equal((said["scrub-result"], said["damaged-bodies"]), ("ok", 0), "the result")


@case("a scrub names a damaged message with account, mailbox and uid; others are read as before", engines=("lmdb",))
def scrub_damaged(s):
    s.deliver(U1, message("first", "good"))
    s.deliver(U1, message("q" * 9000 + " DAMAGED-BY-A-TEST", "bad"))
    s.deliver(U1, message("last", "good, too"))
    account = json.loads(s.ctl("--json", "account", "info", "u1"))
    p = s.pop()
    numbers = len(p.list()[1])
    p.quit()
    damage(s, b"DAMAGED-BY-A-TEST")
    status, out, _ = s.ctl("--json", "store", "scrub", "--wait", ok=False)
    equal(status, 1, "the status")
    items = json.loads(out)
    equal([(i["What"], i["Mailbox"], i["AccountID"]) for i in items], [("body", "INBOX", account["ID"])], "items")
    wait(lambda: re.search(r"stored.damaged what=body account=%d mbox=\d+ uid=%d name=INBOX" % (account["ID"], items[0]["UID"]),
                           s.log_text()), 60, "its name in the log")
    status, out, _ = s.ctl("store", "scrub", "--list", ok=False)
    check(status == 1 and "INBOX" in out, "the list: %d %s", status, out)
    check("damaged                1 bodies" in s.ctl("store", "stat"), "stat: %s", s.ctl("store", "stat"))
    p = s.pop()
    refused(p.retr, numbers - 1)
    p.close()
    p = s.pop()
    check(b"last" in b"".join(p.retr(numbers)[1]), "the message after it")
    p.quit()
    # A pass does not drop it: it can still be salvaged.
    s.ctl("store", "compact", "--wait")
    equal(s.ctl("store", "scrub", "--wait", ok=False)[0], 1, "the status after a pass")


@case("by itself: a pass when enough is dead, a scrub when the last one is long ago", engines=("lmdb",))
def by_itself(s):
    s.stop()
    s.edit("compact_dead_percent = 0", "compact_dead_percent = 20")
    s.edit("scrub_days = 0", "scrub_days = 1")
    s.start_again()
    before = state(s)["compactions"]
    fill_and_purge(s)
    wait(lambda: state(s)["compactions"] > before, 120, "a pass that nobody asked for")
    for name in ("directory", "secrets"):
        wait(lambda: "upkeep.scrubbed name=%s" % name in s.log_text(), 120, "a scrub of " + name)
    # It was scrubbed today: not again. What a scrub found is in the log.
    equal(state(s)["scrub-ends"], 0, "scrubs")


if __name__ == "__main__":
    main(21500, settings=SETTINGS)
