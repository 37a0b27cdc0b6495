#!/usr/bin/python3
"""soak - mail comes and goes all the time beside idling sessions; the store stays as small as what lives in it.

    soak.py BUILD [--seconds 15] [--idle 20] [--accounts 4] [--live-mb 16] [--rate-mb 6]
    soak.py BUILD --seconds 600 --idle 2000 --live-mb 400 --rate-mb 20      the long form

Writers deliver messages over LMTP, deleters remove the oldest over POP, so that about --live-mb of mail are there.
What is deleted can be restored for no time (UndeletePeriod 0). Idling IMAP sessions have the same mailboxes open
and are told of everything; they are dense, 250 in a process. Nobody asks for compaction: it comes by itself, beside the load
and after it. Then the files must be at most 1.2 times what lives (of the short form: and the room and the rows below), every message is as it was sent, every idling
session answers, and the store, scrubbed, is well.
"""
import argparse
import contextlib
import hashlib
import json
import os
import random
import resource
import selectors
import socket
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))
import suite  # noqa: E402

ROOM = 4 << 20  # dead bytes for which no pass begins (compact_min)
BEHIND = 2.0  # of what lives, at the most, behind a pass under load
OVERHEAD = 1.05  # rows and facts of messages, beside their bytes
LONG_MB = 100  # from so much mail on
SETTINGS = ("connections_max = 4000", "connections_max_per_address = 500", "compact_look = 1s", "compact_min = 4M",
            "imap_idle_timeout = 1h")


class Idlers:
    """IMAP sessions in IDLE; one thread reads what they are told."""

    def __init__(self, s, count, accounts):
        self.selector, self.socks, self.told, self.gone = selectors.DefaultSelector(), [], 0, 0
        for i in range(count):
            sock = socket.create_connection(("127.0.0.1", s.port(143)), timeout=60,
                                            source_address=("127.0.0.%d" % (2 + i % 50), 0))
            for line, done in ((b"", b"\r\n"), (b"a LOGIN u%d %s\r\n" % (1 + i % accounts, suite.PASSWORD.encode()), b"a OK"),
                               (b"b SELECT INBOX\r\n", b"b OK"), (b"c IDLE\r\n", b"+ ")):
                self.ask(sock, line, done)
            self.socks.append(sock)
            self.selector.register(sock, selectors.EVENT_READ)
        self.stop = False
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    @staticmethod
    def ask(sock, line, done):
        sock.sendall(line)
        got = b""
        while done not in got:
            data = sock.recv(65536)
            suite.check(data, "an idling session was closed: %r", got)
            got += data

    def read(self):
        while not self.stop:
            for key, _ in self.selector.select(0.2):
                data = key.fileobj.recv(65536)
                self.told += len(data)
                if not data:
                    self.gone += 1
                    self.selector.unregister(key.fileobj)

    def end(self):
        """How many still answer."""
        self.stop = True
        self.thread.join()
        suite.equal(self.gone, 0, "idling sessions that were closed")
        for sock in self.socks:
            self.ask(sock, b"DONE\r\nd NOOP\r\n", b"d OK")
            sock.close()
        return len(self.socks)


class Load:
    def __init__(self, s, opt):
        self.s, self.opt = s, opt
        self.lock, self.stop, self.errors = threading.Lock(), False, []
        self.sent = {a: [] for a in range(1, opt.accounts + 1)}  # [(sha256, bytes)] in order
        self.written = 0

    def live(self):
        with self.lock:
            return sum(n for box in self.sent.values() for _, n in box)

    def run(self, work, *args):
        try:
            work(*args)
        except Exception as e:  # of a thread: told at the end
            self.errors.append("%s: %s: %s" % (work.__name__, type(e).__name__, e))

    def write(self, account):
        rng = random.Random("soak %d %d" % (self.opt.seed, account))
        l, began, mine, to = None, time.monotonic(), 0, "u%d@%s" % (account, suite.DOMAIN)
        while not self.stop:
            if l is None:
                l = self.s.lmtp()
            n = rng.choice((600, 3000, 8000, 30000, 150000, 150000))
            data = suite.message("%016x " % rng.getrandbits(64) + ("%x" % rng.getrandbits(256)) * (n // 64))
            code, text = l.data([to], data)[0]
            suite.equal(code, 250, "the answer to a delivery (%s)" % text)
            with self.lock:
                self.sent[account].append((hashlib.sha256(data).hexdigest(), len(data)))
                self.written += len(data)
            mine += len(data)
            ahead = mine / (self.opt.rate_mb * 1e6 / self.opt.accounts) - (time.monotonic() - began)
            if ahead > 0:
                time.sleep(min(ahead, 1))
        if l is not None:
            l.close()

    def delete(self, account):
        most = self.opt.live_mb * 1e6 / self.opt.accounts
        while not self.stop:
            with self.lock:
                there = sum(n for _, n in self.sent[account])
            if there < most:
                time.sleep(0.05)
                continue
            p = self.s.pop("u%d" % account)
            sizes = [int(line.split()[1]) for line in p.list()[1]]
            n = 0
            while n < len(sizes) and there > most * 0.7:
                n += 1
                p.dele(n)
                with self.lock:
                    there -= self.sent[account][n - 1][1]
            with self.lock:
                del self.sent[account][:n]
            p.quit()


def store_bytes(s):
    """All files of the store, the index and those that were set aside included."""
    where, found = os.path.join(s.dir, "data", "store"), 0
    for name in os.listdir(where):
        with contextlib.suppress(FileNotFoundError):  # a pass removes files
            found += os.stat(os.path.join(where, name)).st_size
    return found


def state(s):
    return json.loads(s.ctl("--json", "store", "stat"))


class Watch:
    """Looks at the store every half second; notes each pass."""

    def __init__(self, s):
        self.s, self.passes, self.worst, self.peak = s, 0, 0.0, 0
        self.seen = state(s)["compactions"]

    def look(self):
        now = state(self.s)
        self.peak = max(self.peak, store_bytes(self.s))
        if now["compactions"] == self.seen or now["running"] != "none":
            return
        self.passes += now["compactions"] - self.seen
        self.seen = now["compactions"]
        self.worst = max(self.worst, self.share(now))

    def share(self, now):
        """What came and went while it ran is in the files, too: as much as was written meanwhile."""
        return (store_bytes(self.s) - ROOM) / max(now["live-bytes"], 1)


def read_back(s, load):
    for account, box in load.sent.items():
        got = [hashlib.sha256(suite.behind_trace(m)).hexdigest() for m in s.mail("u%d" % account)]
        suite.equal(len(got), len(box), "messages of u%d" % account)
        suite.check(got == [d for d, _ in box], "u%d has other messages than were sent", account)


def play(s, opt):
    for a in range(1, opt.accounts + 1):
        s.ctl("account", "settings", "u%d" % a, "UndeletePeriod=0")
    load, idlers, watch = Load(s, opt), Idlers(s, opt.idle, opt.accounts), Watch(s)
    threads = [threading.Thread(target=load.run, args=(work, a), daemon=True) for a in load.sent for work in (load.write, load.delete)]
    for t in threads:
        t.start()
    end = time.monotonic() + opt.seconds
    try:
        # A machine that is slow today gets more time until enough has come and gone.
        while (time.monotonic() < end or (watch.passes == 0 and time.monotonic() < end + 60)) and not load.errors:
            watch.look()
            time.sleep(0.5)
    finally:
        load.stop = True
        for t in threads:
            t.join()
    suite.check(not load.errors, "%s", load.errors)
    during = watch.passes
    # Nobody writes any more, and nobody asks: what is dead now goes by itself.
    # In the long form these are little beside the mail.
    room, overhead = (ROOM, OVERHEAD) if opt.live_mb < LONG_MB else (0, 1)
    suite.wait(lambda: state(s)["running"] == "none" and store_bytes(s) - room <= 1.2 * load.live() * overhead, 180,
               "a store of 1.2 times what lives: %r" % state(s))
    read_back(s, load)
    idle, told = idlers.end(), idlers.told
    s.ctl("store", "scrub", "--wait")
    real = store_bytes(s) / max(load.live(), 1)
    print("    %d s, %.0f MB written, %.0f MB live; %d passes by themselves; files at the end %.2f of the messages' bytes, "
          "behind a pass under load at most %.2f of what lived, %.0f MB at the most; %d idling sessions were told %.1f MB" % (
              opt.seconds, load.written / 1e6, load.live() / 1e6, during, real, watch.worst, watch.peak / 1e6, idle,
              told / 1e6))
    suite.check(during > 0, "no pass came by itself")
    suite.check(watch.worst <= BEHIND, "behind a pass the files were %.2f of what lived", watch.worst)


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("build")
    a.add_argument("--seconds", type=int, default=15)
    a.add_argument("--idle", type=int, default=20)
    a.add_argument("--accounts", type=int, default=4)
    a.add_argument("--live-mb", type=int, default=16)
    a.add_argument("--rate-mb", type=float, default=6)
    a.add_argument("--seed", type=int, default=1)
    opt = a.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, opt.idle + 500), hard))
    try:
        with suite.Suite(opt.build, 21700, accounts=opt.accounts, per_process=min(250, max(opt.idle, 1)),
                         settings=SETTINGS) as s:
            play(s, opt)
        good = True
    except (suite.Failed, OSError) as e:
        print("FAILED  %s" % e)
        good = False
    print("%d passed, %d failed" % (good, not good))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
