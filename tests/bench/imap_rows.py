"""The rows measured over IMAP: each function takes a running server and gives {row: value}; opt.at_best[row] is the machine's limit."""
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
SOUGHT = (("absent", "quagga"), ("rare", "zanzibar"), ("common", "budget"), ("of two letters", "ri"))
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
    out = {}
    for n in (1, 10):
        row = "APPEND 5 KiB/s, %d clients" % n
        out[row] = appends_by(server, n, opt.appends)
        opt.at_best[row] = opt.limits.stored_per_s(5000, n)
    row = "MULTIAPPEND of 100, messages/s"
    out[row] = opt.appends / appender((server.ports, 2, opt.appends, 5000, True))
    opt.at_best[row] = opt.limits.stored_per_s(5000, 100)
    return out


def logins(server, opt):
    out = {}
    for tls in (False, True):
        began = time.monotonic()
        for _ in range(opt.logins):
            Client(server.ports, 2, tls).close()
        row = "logins/s" + (", TLS" if tls else "")
        out[row] = opt.logins / (time.monotonic() - began)
        opt.at_best[row] = opt.limits.logins_per_s(tls)
    return out


def cold(server, opt):
    """The first SELECT after a start, with nothing of the store in the page cache."""
    server.stop()
    measure.tidy()
    server.start_bare()
    c = Client(server.ports)
    took = c.timed("SELECT INBOX")
    opt.at_best["SELECT cold, ms"] = opt.limits.sent_ms(c.octets)
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
    selects(c, opt, out)
    fetches(c, opt, out)
    bodies(server, c, opt, out)
    out["NOOP, us"] = statistics.median(c.timed("NOOP") for _ in range(2000)) * 1000
    opt.at_best["NOOP, us"] = 1e6 / opt.limits.tcp
    searches(c, opt, out)
    half = sorted(rng.sample(range(1, opt.messages + 1), opt.messages // 2))
    stores(c, opt, half, out)
    row = "IDLE: from STORE to the line seen, ms"
    out[row], opt.at_best[row] = wake_up(server), opt.limits.synced_ms()
    if opt.expunge:
        expunge(c, opt, half, out)
    c.close()
    return out


def answered(c, opt, out, row, command):
    """A row whose limit is its answer's way through loopback."""
    out[row] = c.timed(command)
    opt.at_best[row] = opt.limits.sent_ms(c.octets)


def selects(c, opt, out):
    answered(c, opt, out, "SELECT after a start, ms", "SELECT INBOX")
    c.cmd("CLOSE")
    out["SELECT again, ms"] = statistics.median(c.timed("SELECT INBOX") for _ in range(5))
    opt.at_best["SELECT again, ms"] = opt.limits.sent_ms(c.octets)


def fetches(c, opt, out):
    for name, what in (("FLAGS", "FLAGS"), ("UID FLAGS MODSEQ", "(UID FLAGS MODSEQ)"), ("ENVELOPE", "ENVELOPE"),
                       ("BODYSTRUCTURE", "BODYSTRUCTURE"), ("HEADER", "BODY.PEEK[HEADER]")):
        c.timed("FETCH 1:* " + what)  # Dovecot fills its cache here
        answered(c, opt, out, "FETCH %s, ms" % name, "FETCH 1:* " + what)
    opt.header_octets = c.octets
    sets = field_sets(opt)
    for when in ("first", "again"):
        row = "FETCH of five random sets of fields, %s, ms each" % when
        took, octets = [], []
        for x in sets:
            took.append(c.timed("FETCH 1:* BODY.PEEK[HEADER.FIELDS (%s)]" % x))
            octets.append(c.octets)
        out[row], opt.at_best[row] = statistics.median(took), opt.limits.sent_ms(statistics.median(octets))


def size_of(opt):
    return "%d KiB" % (opt.size >> 10) if opt.size >= 1024 else "%d octets" % opt.size


def bodies(server, c, opt, out):
    few = min(opt.messages, opt.bodies)
    tls = Client(server.ports, tls=True)
    tls.cmd("SELECT INBOX")
    for client, row in ((c, "FETCH bodies of %s, MB/s" % size_of(opt)), (tls, "the same in TLS, MB/s")):
        out[row], opt.at_best[row] = rate(client, few), opt.limits.stream_mb_per_s(client is tls)
    tls.close()


def searches(c, opt, out):
    answered(c, opt, out, "SEARCH UNSEEN, ms", "SEARCH UNSEEN")
    for key in ("SUBJECT", "FROM", "BODY", "TEXT"):
        looked = opt.messages * opt.size if key in ("BODY", "TEXT") else opt.header_octets
        for word, text in SOUGHT:
            row = "SEARCH %s %s, ms" % (key, word)
            out[row], opt.at_best[row] = c.timed("SEARCH %s %s" % (key, text)), opt.limits.read_ms(looked)
    if re.search(rb"\bSORT\b", c.cmd("CAPABILITY", keep=True)):
        answered(c, opt, out, "SORT (SUBJECT DATE), ms", "SORT (SUBJECT DATE) UTF-8 ALL")
        answered(c, opt, out, "THREAD REFERENCES, ms", "THREAD REFERENCES UTF-8 ALL")


def stores(c, opt, half, out):
    for sign in "+-":
        row = "STORE %sFLAGS.SILENT of all, ms" % sign
        out[row] = c.timed("STORE 1:* %sFLAGS.SILENT (\\Flagged)" % sign)
        opt.at_best[row] = opt.limits.synced_ms()
    row = "STORE of a random half, ms"
    began, commands = time.monotonic(), by_pieces(c, half, "+FLAGS.SILENT (\\Answered)")
    out[row], opt.at_best[row] = (time.monotonic() - began) * 1000, opt.limits.synced_ms(commands)


def by_pieces(c, numbers, what):
    """STORE of many single numbers, so many in a command that each fits a line; the number of commands."""
    pieces = range(0, len(numbers), 4000)
    for i in pieces:
        c.cmd("STORE %s %s" % (",".join(map(str, numbers[i:i + 4000])), what))
    return len(pieces)


def expunge(c, opt, half, out):
    """On a copy, so that the next round finds the mailbox as this one did."""
    box = "copy%d" % time.time_ns()
    c.cmd("CREATE " + box)
    began, lows = time.monotonic(), range(1, opt.messages + 1, COPY_MOST)
    for low in lows:
        c.cmd("COPY %d:%d %s" % (low, min(low + COPY_MOST - 1, opt.messages), box))
    out["COPY of all, ms"] = (time.monotonic() - began) * 1000
    opt.at_best["COPY of all, ms"] = opt.limits.synced_ms(len(lows))
    c.cmd("SELECT " + box)
    by_pieces(c, half, "+FLAGS.SILENT (\\Deleted)")
    row = "EXPUNGE of a random half, ms"
    out[row] = c.timed("EXPUNGE")
    opt.at_best[row] = opt.limits.synced_ms() + opt.limits.sent_ms(c.octets)
    c.cmd("CLOSE")
    c.cmd("DELETE " + box)


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
    for row, octets in (("mbsync pull of 2,000, s", 2000 * opt.size), ("mbsync with nothing new, s", 0)):
        began = time.monotonic()
        run()
        out[row], opt.at_best[row] = time.monotonic() - began, opt.limits.client_ms(6, octets) / 1e3
    return out
