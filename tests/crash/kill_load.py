"""Deliveries that know their fate: every attempt has an id and ends as acknowledged, refused or unknown.

Attempt N always has the same bytes and recipient for one seed. hold() makes the senders stop in the
middle of their data, so that something can be killed while many messages are half sent.
"""
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import lmtp  # noqa: E402

gen = lmtp.gen
ACKED, REFUSED, UNKNOWN = "acknowledged", "refused", "unknown"


def recipient(number, accounts):
    return "u%d" % (1 + number % accounts)


def message(seed, number):
    """Bytes of attempt `number`: small and large, text and 8-bit."""
    rng = random.Random("attempt %s %d" % (seed, number))
    size = rng.choice([200, 2000, 9000, 30000, 120000])
    body = b"".join(rng.randbytes(30).hex().encode() + b" \xc3\xa4\r\n.dots\r\n" for _ in range(size // 72))
    return (b"From: <sender@sender.example>\r\nX-Attempt: %d\r\nSubject: attempt %d\r\n"
            b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
            b"Content-Transfer-Encoding: 8bit\r\n\r\n" % (number, number)) + body + b"end\r\n"


class Senders:
    """A number of threads, each with its own LMTP connection, delivering until told to stop."""

    def __init__(self, port, accounts, seed, threads):
        self.port, self.accounts, self.seed = port, accounts, seed
        self.lock = threading.Condition()
        self.next = 0
        self.limit = 0        # attempts below this may begin
        self.fate = {}
        self.in_data = 0      # connections past 354 and without their answer
        self.held = 0
        self.holding = False
        self.era = 0          # connections of an older one are not used for another message
        self.stopped = False
        self.on_ack = lambda number: None
        self.threads = [threading.Thread(target=self.work, daemon=True) for _ in range(threads)]
        for t in self.threads:
            t.start()

    def allow(self, count):
        with self.lock:
            self.limit += count
            self.lock.notify_all()

    def take(self):
        with self.lock:
            while self.next >= self.limit and not self.stopped:
                self.lock.wait()
            if self.stopped:
                return None
            self.next += 1
            return self.next - 1

    def settle(self, number, fate):
        with self.lock:
            self.fate[number] = fate
            self.lock.notify_all()

    def wait_idle(self, deadline_s=120):
        with self.lock:
            return self.lock.wait_for(lambda: len(self.fate) >= self.limit, deadline_s)

    def connect(self):
        """A connection, as soon as the server lets us; None when stopped."""
        while not self.stopped:
            try:
                conn = lmtp.Lmtp(self.port, timeout=30)
                conn.era = self.era
                return conn
            except (OSError, lmtp.Refused):
                time.sleep(0.03)
        return None

    def send(self, conn, number):
        data = gen.stuffed(message(self.seed, number))
        conn.begin([recipient(number, self.accounts) + "@example.test"])
        with self.lock:
            self.in_data += 1
        try:
            conn.socket.sendall(data[:len(data) // 2])
            self.pause()
            conn.socket.sendall(data[len(data) // 2:])
            return conn.reply()[0]
        finally:
            with self.lock:
                self.in_data -= 1

    def pause(self):
        with self.lock:
            if not self.holding:
                return
            self.held += 1
            self.lock.notify_all()
            self.lock.wait_for(lambda: not self.holding, 20)
            self.held -= 1

    def work(self):
        conn = None
        while True:
            number = self.take()
            if number is None:
                return
            if conn and conn.era != self.era:
                conn.close()
                conn = None
            conn = conn or self.connect()
            if conn is None:
                return
            try:
                code = self.send(conn, number)
                if code == 250:
                    self.on_ack(number)
                    self.settle(number, ACKED)
                else:
                    self.settle(number, REFUSED)
            except lmtp.Refused:
                self.settle(number, REFUSED)
                conn.close()
                conn = None
            except OSError:
                self.settle(number, UNKNOWN)
                conn.close()
                conn = None

    def hold(self, least, deadline_s=30):
        """Waits until `least` senders stand in the middle of their data; says whether they do."""
        began = time.monotonic()
        with self.lock:
            self.holding = True
            while time.monotonic() - began < deadline_s:
                # Attempts that were refused or lost on the way make room for others.
                self.limit = max(self.limit, self.next + len(self.threads) - self.held)
                self.lock.notify_all()
                if self.lock.wait_for(lambda: self.held >= least, 0.5):
                    return True
        return False

    def renew(self):
        """Every sender takes a new connection for its next message."""
        with self.lock:
            self.era += 1

    def release(self):
        with self.lock:
            self.holding = False
            self.lock.notify_all()

    def stop(self):
        with self.lock:
            self.stopped = True
            self.lock.notify_all()
        for t in self.threads:
            t.join(40)
