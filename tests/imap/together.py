#!/usr/bin/python3
"""Everybody in one INBOX at the same time: two IMAP sessions, POP3, LMTP, an operator. Who sees what, and when.

    together.py [BUILD] [--server dovecot] [--rounds 100] [--limit-ms 100]

One IMAP session idles and notes when it is told; the other one, LMTP and POP3 change things. Printed is the time from
the answer to the one who changed until the other is told (it may be negative: told first), median and 99th of a hundred.
Late is a defect from 5 s on; the promise of a machine that is not busy is 100 ms, and --limit-ms makes it a defect too.
A POP3 session keeps its snapshot all the while, and a client that does
not read what it asked for makes nobody wait. The operator brings an expunged message back in every fifth round, and
his count of the messages is that of the session in IDLE.
"""
import argparse
import json
import os
import poplib
import queue
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import servers  # noqa: E402
import suite  # noqa: E402
from client import Imap, Lit  # noqa: E402
from view import View, must  # noqa: E402

LIMIT_S = 5.0


def text(i, size=600):
    return b"From: a@sender.example\r\nSubject: together %d\r\nX-Number: %d\r\n\r\n" % (i, i) + b"0123456789abcde\r\n" * (size // 17)


class Idler(threading.Thread):
    """Idles; puts (time, response) of everything it is told into a queue. Its view must hold."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.c = Imap(server.imap, name="idle").login(server.users[0], server.password)
        r = self.c.ok("SELECT", "INBOX")
        self.view = View(None, False)
        self.view.exists([x.num for x in r.untagged if x.name == "EXISTS"][0])
        self.told, self.failure, self.stop = queue.Queue(), None, False
        self.command = None
        self.c.on_response = self.on_response
        self.ready = threading.Event()

    def on_response(self, r):
        if r.kind == "tagged":
            return
        self.view.apply(r, None, False, False, idle=True)
        self.told.put((time.monotonic(), r))

    def run(self):
        try:
            tag = self.c.start("IDLE")
            while self.c.response_kept([]).kind != "cont":
                pass
            self.ready.set()
            self.c.sock.settimeout(0.2)
            while not self.stop:
                try:
                    self.c.response_kept([])
                except TimeoutError:
                    pass
            self.c.sock.settimeout(30)
            self.c.send(b"DONE\r\n")
            self.c.finish(tag)
            self.c.logout()
        except Exception as e:
            self.failure = e
            self.ready.set()

    def wait(self, test, what):
        """The time at which a response that passes was told."""
        end = time.monotonic() + LIMIT_S
        while True:
            try:
                when, r = self.told.get(timeout=max(0.001, end - time.monotonic()))
            except queue.Empty:
                raise suite.Failed("%s was not told in %g s%s" % (what, LIMIT_S, ": %s" % self.failure if self.failure else ""))
            if test(r):
                return when


class Together:
    def __init__(self, opt, server):
        self.opt, self.server = opt, server
        self.times = {}
        self.user = server.users[0]
        self.b = Imap(server.imap, name="b").login(self.user, server.password)
        for i in range(5):
            self.b.ok("APPEND", "INBOX", Lit(text(i)))
        self.b.ok("SELECT", "INBOX")
        self.pop = self.open_pop()
        self.snapshot = (self.pop.stat(), self.pop.uidl()[1])
        self.idler = Idler(server)
        self.idler.start()
        self.idler.ready.wait(30)

    def open_pop(self):
        p = poplib.POP3("127.0.0.1", self.server.pop3, timeout=30)
        p.user(self.user)
        p.pass_(self.server.password)
        return p

    def note(self, what, seconds):
        self.times.setdefault(what, []).append(seconds)

    def timed(self, what, function):
        """Runs it; how long it took counts as waiting."""
        began = time.monotonic()
        value = function()
        took = time.monotonic() - began
        self.note("time of " + what, took)
        must(took < LIMIT_S, "%s took %.1f s", what, took)
        return value

    def count(self):
        return len(self.idler.view)

    def seen(self, what, test, done):
        self.note(what + " told to IDLE", self.idler.wait(test, what) - done)

    def round(self, i):
        with suite.Lmtp(("127.0.0.1", self.server.lmtp)) as c:
            code, _ = self.timed("LMTP delivery", lambda: c.data([self.server.address(self.user)], text(i)))[0]
        done = time.monotonic()
        must(code == 250, "LMTP answered %d", code)
        self.seen("delivery", lambda r: r.name == "EXISTS", done)
        before = time.monotonic()
        r = self.timed("NOOP", lambda: self.b.ok("NOOP"))
        must([x for x in r.untagged if x.name == "EXISTS"], "delivery not told at NOOP")
        self.note("delivery told at NOOP", time.monotonic() - before)
        top = self.count()
        self.timed("STORE", lambda: self.b.ok("STORE", str(top), "+FLAGS", "(\\Flagged k%d)" % (i % 3)))
        self.seen("flags", lambda r: r.kind == "fetch" and "\\Flagged" in r.data.get("FLAGS", ()), time.monotonic())
        r = self.timed("APPEND", lambda: self.b.ok("APPEND", "INBOX", Lit(text(i))))
        self.seen("APPEND", lambda r: r.name == "EXISTS", time.monotonic())
        self.b.ok("NOOP")
        uid = [x.data["UID"] for x in self.b.ok("FETCH", str(top), "(UID)").untagged if x.kind == "fetch"][0]
        self.timed("STORE", lambda: self.b.ok("STORE", str(top), "+FLAGS.SILENT", "(\\Deleted)"))
        self.timed("EXPUNGE", lambda: self.b.ok("EXPUNGE"))
        self.seen("EXPUNGE", lambda r: r.name == "EXPUNGE", time.monotonic())
        if i % 5 == 0:
            self.pop_deletes()
        if i % 5 == 3 and self.server.admin:
            self.restore(i, uid)
        if i % 10 == 0 and self.server.admin:
            self.timed("gatehousectl session list", self.operator)

    def pop_deletes(self):
        p = self.timed("POP3 login", self.open_pop)
        count = p.stat()[0]
        self.b.ok("NOOP")
        r = self.b.ok("STATUS", "INBOX", "(MESSAGES)") if self.server.name == "gatehouse" else None
        if r:
            want = [x.data[1]["MESSAGES"] for x in r.untagged if x.kind == "STATUS"][0]
            must(count == want, "a new POP3 session sees %d messages, IMAP %d", count, want)
        p.dele(count)
        self.timed("POP3 QUIT", p.quit)
        self.seen("POP3 deletion", lambda r: r.name == "EXPUNGE", time.monotonic())
        self.b.ok("NOOP")

    def ctl(self, *words):
        out = subprocess.run([self.server.suite.root + "/usr/bin/gatehousectl", "--socket", self.server.admin, "--json", *words],
                             capture_output=True, timeout=30, check=True).stdout
        return json.loads(out)

    def operator(self):
        seen = [s["Protocol"] for s in self.ctl("session", "list")]
        must(seen.count("imap") >= 2 and "pop3" in seen, "the operator sees %r", seen)

    def restore(self, i, uid):
        """The operator brings back what a client expunged: new mail for the others, with its flags."""
        did = self.timed("gatehousectl undelete restore", lambda: self.ctl(
            "undelete", "restore", self.user, "--mailbox=INBOX", "--uid=%d" % uid))
        done = time.monotonic()
        must(did["Messages"] == 1, "UID %d was expunged, and %r restored", uid, did)
        self.seen("restored message", lambda r: r.name == "EXISTS", done)
        must([x for x in self.b.ok("NOOP").untagged if x.name == "EXISTS"], "a restored message not told at NOOP")
        back = [x.data for x in self.b.ok("FETCH", "*", "(UID FLAGS BODY.PEEK[HEADER.FIELDS (X-NUMBER)])").untagged
                if x.kind == "fetch"][0]
        must(back["UID"] > uid and set(back["FLAGS"]) - {"\\Recent"} == {"\\Flagged", "k%d" % (i % 3)} and
             b"X-Number: %d\r\n" % i in back["BODY[HEADER.FIELDS (X-NUMBER)]"], "restored was %r", back)
        told, count = self.ctl("stat", self.user), self.count()
        must(told["messages"] == count, "the administrator counts %d messages, the session in IDLE %d", told["messages"], count)

    def slow_reader(self):
        """Asks for everything and reads nothing, while the others go on."""
        c = Imap(self.server.imap, name="slow").login(self.user, self.server.password)
        c.ok("SELECT", "INBOX")
        for i in range(20):
            self.b.ok("APPEND", "INBOX", Lit(text(i, 400000)))
            self.idler.wait(lambda r: r.name == "EXISTS", "APPEND")
        c.ok("NOOP")
        c.start("FETCH", "1:*", "(BODY.PEEK[])")
        time.sleep(0.3)
        for i in range(5):
            self.round(1000 + i)
        self.b.ok("STORE", "1:*", "+FLAGS.SILENT", "(\\Deleted)")
        self.timed("EXPUNGE beside a slow reader", lambda: self.b.ok("EXPUNGE"))
        whole = [r for r in c.finish("slow%d" % c.number).untagged if r.kind == "fetch"]
        sizes = [len(r.data.get("BODY[]") or b"") for r in whole if "BODY[]" in r.data]
        must(len(sizes) >= 20, "the slow reader got %d messages", len(sizes))
        if self.server.name == "gatehouse":
            must(min(sizes[-20:]) > 300000 and 0 not in sizes, "messages expunged meanwhile came empty: %r", sizes)
        c.logout()

    def finish(self):
        """The snapshot of the old POP3 session holds after all this."""
        must((self.pop.stat(), self.pop.uidl()[1]) == self.snapshot, "the snapshot of POP3 changed")
        if self.server.name == "gatehouse":
            for i in range(self.snapshot[0][0]):
                data = b"\r\n".join(self.pop.retr(i + 1)[1]) + b"\r\n"
                must(b"Subject: together %d\r\n" % i in data, "message %d of the snapshot is %r", i + 1, data[:100])
        self.pop.quit()
        self.idler.stop = True
        self.idler.join(30)
        if self.idler.failure:
            raise self.idler.failure
        self.b.logout()

    def report(self):
        for what, values in sorted(self.times.items()):
            values.sort()
            print("%-34s %5d times: median %7.2f ms, 99th %7.2f, most %7.2f" % (
                what, len(values), 1000 * statistics.median(values), 1000 * values[min(len(values) - 1, len(values) * 99 // 100)],
                1000 * values[-1]))
        told = [v for what, values in self.times.items() if " told " in what for v in values]
        late = sum(v * 1000 > (self.opt.limit_ms or 100) for v in told)
        print("told later than %d ms: %d of %d; load average %s" % (
            self.opt.limit_ms or 100, late, len(told), " ".join("%.1f" % x for x in os.getloadavg())))
        return late


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    servers.options(p, 25150)
    p.add_argument("--rounds", type=int, default=100)
    p.add_argument("--limit-ms", type=int, default=0, help="whatever is told later fails (0: after 5 s)")
    opt = p.parse_args()
    with servers.from_options(opt) as server:
        t = Together(opt, server)
        try:
            for i in range(opt.rounds):
                t.round(i)
            t.slow_reader()
            t.finish()
            good = True
        except Exception as e:
            good = False
            print("FAILED: %s: %s" % (type(e).__name__, e))
            print("\n".join(t.b.transcript(30)))
        late = t.report()
    good = good and not (late and opt.limit_ms)
    print("%d passed, %d failed" % (good, not good))
    return not good


if __name__ == "__main__":
    sys.exit(main())
