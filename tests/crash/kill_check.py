"""Looks at the mailboxes over POP3 and compares with the fate of every attempt."""
import os
import re
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "corpus")]
import kill_load  # noqa: E402
import octets  # noqa: E402

PASSWORD = "gatehouse"
ATTEMPT = re.compile(rb"\r\nX-Attempt: (\d+)\r\n")


def login(port, account, timeout=10):
    return octets.Pop(port, account, PASSWORD, timeout=timeout)


def login_again(port, account, deadline_s=60):
    """Logs in as soon as that works; (session, seconds it took)."""
    began = time.monotonic()
    while True:
        try:
            return login(port, account), time.monotonic() - began
        except (OSError, octets.Refused):
            if time.monotonic() - began > deadline_s:
                raise
            time.sleep(0.01)


class Ledger:
    """What has been seen so far: attempt <-> unique id, and every fault found."""

    def __init__(self, port, accounts, seed):
        self.port, self.accounts, self.seed = port, accounts, seed
        self.attempt_of = {}   # (account, uid) -> attempt
        self.uid_of = {}       # attempt -> (account, uid)
        self.faults = []

    def fault(self, text):
        self.faults.append(text)
        print("    FAULT: " + text, flush=True)

    def read(self, account, everything):
        """Present attempts of one account; fetches what was not seen before, or everything."""
        present = set()
        pop, _ = login_again(self.port, account)
        try:
            for number, uid in enumerate(pop.listing("UIDL"), 1):
                key = (account, uid)
                if key in self.attempt_of and not everything:
                    attempt = self.attempt_of[key]
                else:
                    attempt = self.fetch(pop, number, key)
                if attempt in present:
                    self.fault("attempt %s is twice in %s" % (attempt, account))
                present.add(attempt)
        finally:
            pop.quit()
        return present

    def fetch(self, pop, number, key):
        data = pop.retr(number)
        found = ATTEMPT.search(data)
        attempt = int(found.group(1)) if found else -1
        if attempt < 0 or not data.endswith(b"\r\n" + kill_load.message(self.seed, attempt)):
            self.fault("%s %s: not the bytes of attempt %d" % (key[0], key[1].decode(), attempt))
        if self.attempt_of.setdefault(key, attempt) != attempt:
            self.fault("%s %s: was attempt %d, is %d" % (key[0], key[1].decode(),
                                                         self.attempt_of[key], attempt))
        if self.uid_of.setdefault(attempt, key) != key:
            self.fault("attempt %d: unique id was %r, is %r" % (attempt, self.uid_of[attempt], key))
        return attempt

    def compare(self, fate, everything=False):
        """Every acknowledged attempt once, every other at most once, nothing else. Counts found."""
        there = {}
        for i in range(1, self.accounts + 1):
            account = "u%d" % i
            for attempt in self.read(account, everything):
                there[attempt] = account
        for attempt, end in fate.items():
            if end == kill_load.ACKED and attempt not in there:
                self.fault("attempt %d was acknowledged and is not there" % attempt)
        for attempt, account in there.items():
            if attempt not in fate or account != kill_load.recipient(attempt, self.accounts):
                self.fault("attempt %d in %s: nobody sent that" % (attempt, account))
        return len(there)
