"""The rows measured over IMAP: each function takes a running server and gives {row: value}."""
import multiprocessing
import os
import random
import re
import shutil
import statistics
import subprocess
import time

import measure
import servers
from imap_client import Client, message

COPY_MOST = 100000  # messages of one COPY; larger mailboxes are copied in runs of this
SOUGHT = (("absent", "quagga"), ("rare", "zanzibar"), ("common", "budget"), ("of two letters", "zz"))
FIELDS = ("Subject", "From", "Date", "To", "Cc", "Message-ID", "References", "Received", "X-Mailer", "Content-Type", "MIME-Version",
          "Reply-To", "In-Reply-To", "List-Id")


def appender(args):
    ports, user, count, size, many = args
    c = Client(ports, user)
    data = message(random.Random(user), 1, size)
    began = time.monotonic()
    if many:
        piece = b" {%d+}\r\n" % len(data) + data
        for _ in range(count // 100):
            c.cmd(b"APPEND INBOX" + piece * 100)
    else:
        for _ in range(count):
            c.append("INBOX", data)
    took = time.monotonic() - began
    c.close()
    return took


def appends_by(server, clients, count):
    """Messages a second, by so many clients, each to its own account."""
    with multiprocessing.Pool(clients) as pool:
        began = time.monotonic()
        pool.map(appender, [(server.ports, 2 + i, count // clients, 5000, False) for i in range(clients)])
        return count // clients * clients / (time.monotonic() - began)


def appends(server, opt):
    out = {"APPEND 5 KiB/s, %d clients" % n: appends_by(server, n, opt.appends) for n in (1, 10)}
    took = appender((server.ports, 2, opt.appends, 5000, True))
    out["MULTIAPPEND of 100, messages/s"] = opt.appends / took
    return out


def logins(server, opt):
    out = {}
    for tls in (False, True):
        began = time.monotonic()
        for _ in range(opt.logins):
            Client(server.ports, 2, tls).close()
        out["logins/s" + (", TLS" if tls else "")] = opt.logins / (time.monotonic() - began)
    return out


def cold(server, opt):
    """The first SELECT after a start, with nothing of the store in the page cache."""
    server.stop()
    measure.tidy()
    server.start_bare()
    c = Client(server.ports)
    took = c.timed("SELECT INBOX")
    c.close()
    server.stop()
    server.start_bare()  # the rows after this one are of a server just started, with its files in the page cache
    return {"SELECT cold, ms": took}


def field_sets(opt):
    """Five sets of one to six fields, drawn for the round; in each is a field that nobody has asked for before."""
    rng = random.Random("%s %d" % (opt.seed, opt.run))
    return [" ".join(rng.sample(FIELDS, rng.randint(1, 6)) + ["X-New-%d" % rng.getrandbits(48)]) for _ in range(5)]


def large(server, opt):
    """The rows on the large mailbox."""
    rng = random.Random(opt.seed)
    out = {}
    c = Client(server.ports)
    out["SELECT after a start, ms"] = c.timed("SELECT INBOX")
    c.cmd("CLOSE")
    out["SELECT again, ms"] = statistics.median(c.timed("SELECT INBOX") for _ in range(5))
    for name, what in (("FLAGS", "FLAGS"), ("UID FLAGS MODSEQ", "(UID FLAGS MODSEQ)"), ("ENVELOPE", "ENVELOPE"),
                       ("BODYSTRUCTURE", "BODYSTRUCTURE"), ("HEADER", "BODY.PEEK[HEADER]")):
        c.timed("FETCH 1:* " + what)  # Dovecot fills its cache here
        out["FETCH %s, ms" % name] = c.timed("FETCH 1:* " + what)
    sets = field_sets(opt)
    for when in ("first", "again"):
        took = [c.timed("FETCH 1:* BODY.PEEK[HEADER.FIELDS (%s)]" % x) for x in sets]
        out["FETCH of five random sets of fields, %s, ms each" % when] = statistics.median(took)
    few = min(opt.messages, opt.bodies)
    out["FETCH bodies of %d KiB, MB/s" % (opt.size >> 10)] = rate(c, few)
    tls = Client(server.ports, tls=True)
    tls.cmd("SELECT INBOX")
    out["the same in TLS, MB/s"] = rate(tls, few)
    tls.close()
    out["NOOP, us"] = statistics.median(c.timed("NOOP") for _ in range(2000)) * 1000
    out["SEARCH UNSEEN, ms"] = c.timed("SEARCH UNSEEN")
    for key in ("SUBJECT", "FROM", "BODY", "TEXT"):
        for word, text in SOUGHT:
            out["SEARCH %s %s, ms" % (key, word)] = c.timed("SEARCH %s %s" % (key, text))
    if re.search(rb"\bSORT\b", c.cmd("CAPABILITY", keep=True)):
        out["SORT (SUBJECT DATE), ms"] = c.timed("SORT (SUBJECT DATE) UTF-8 ALL")
        out["THREAD REFERENCES, ms"] = c.timed("THREAD REFERENCES UTF-8 ALL")
    out["STORE +FLAGS.SILENT of all, ms"] = c.timed("STORE 1:* +FLAGS.SILENT (\\Flagged)")
    out["STORE -FLAGS.SILENT of all, ms"] = c.timed("STORE 1:* -FLAGS.SILENT (\\Flagged)")
    half = sorted(rng.sample(range(1, opt.messages + 1), opt.messages // 2))
    began = time.monotonic()
    for i in range(0, len(half), 4000):
        c.cmd("STORE %s +FLAGS.SILENT (\\Answered)" % ",".join(map(str, half[i:i + 4000])))
    out["STORE of a random half, ms"] = (time.monotonic() - began) * 1000
    out["IDLE: from STORE to the line seen, ms"] = wake_up(server)
    if opt.expunge:
        out.update(expunge(c, opt, half))
    c.close()
    return out


def expunge(c, opt, half):
    """On a copy, so that the next round finds the mailbox as this one did."""
    box = "copy%d" % time.time_ns()
    c.cmd("CREATE " + box)
    began = time.monotonic()
    for low in range(1, opt.messages + 1, COPY_MOST):
        c.cmd("COPY %d:%d %s" % (low, min(low + COPY_MOST - 1, opt.messages), box))
    out = {"COPY of all, ms": (time.monotonic() - began) * 1000}
    c.cmd("SELECT " + box)
    for i in range(0, len(half), 4000):
        c.cmd("STORE %s +FLAGS.SILENT (\\Deleted)" % ",".join(map(str, half[i:i + 4000])))
    out["EXPUNGE of a random half, ms"] = c.timed("EXPUNGE")
    c.cmd("CLOSE")
    c.cmd("DELETE " + box)
    return out


def rate(c, count):
    began = time.monotonic()
    octets = c.cmd("FETCH 1:%d BODY.PEEK[]" % count)
    return octets / (time.monotonic() - began) / 1e6


def wake_up(server):
    """From when a STORE is sent to the idling session's line: the change itself is in it."""
    idle, other = Client(server.ports, 3), Client(server.ports, 3)
    other.append("INBOX", message(random.Random(1), 1, 200))
    for c in (idle, other):
        c.cmd("SELECT INBOX")
    idle.send("IDLE")
    idle.line()
    times = []
    for i in range(50):
        time.sleep(0.01)
        began = time.monotonic()
        other.send("STORE 1 %sFLAGS.SILENT (\\Flagged)" % "+-"[i % 2])
        idle.line()
        times.append((time.monotonic() - began) * 1000)
        other.finish()
    idle.close()
    other.close()
    return statistics.median(times)


MBSYNC = """
FSync no

IMAPAccount a
Host 127.0.0.1
Port %d
User u%d
Pass %s
SSLType None
AuthMechs LOGIN

IMAPStore far
Account a

MaildirStore near
Path %s/
Inbox %s/inbox
SubFolders Verbatim

Channel c
Far :far:
Near :near:
Patterns INBOX
Create Near
SyncState *
"""


def mbsync_of(server, opt, user):
    """A function that runs mbsync; into an empty Maildir at first."""
    box = os.path.join(opt.scratch, "maildir")
    shutil.rmtree(box, ignore_errors=True)
    os.makedirs(box)
    conf = os.path.join(opt.scratch, "mbsyncrc")
    with open(conf, "w") as f:
        f.write(MBSYNC % (server.ports["imap"], user, servers.PASSWORD, box, box))

    def run():
        done = subprocess.run(["mbsync", "-q", "-c", conf, "c"], capture_output=True, text=True)
        if done.returncode != 0:
            raise measure.Failed("mbsync: " + done.stderr[-300:])
    return run


def mbsync(server, opt):
    """A first pull of 2,000 messages into an empty Maildir, and one with nothing to do."""
    run = mbsync_of(server, opt, opt.poller)
    opt.loader.run("lmtp", server.ports["lmtp"], sessions=4, first_account=opt.poller, accounts=1, count=2000, messages=opt.pack)
    out = {}
    for row in ("mbsync pull of 2,000, s", "mbsync with nothing new, s"):
        began = time.monotonic()
        run()
        out[row] = time.monotonic() - began
    return out
