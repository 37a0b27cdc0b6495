"""Reads mailboxes for mix_account.py, and writes down what anybody was shown of them."""
import collections
import re
import threading

import kill_imap

FACTS = re.compile(r'\* \d+ FETCH \(UID (?P<uid>\d+) ENVELOPE \((?:NIL|"[^"]*") "(?P<subject>\d+)" .*"(?P<id><\d+@mix\.example>)"\) '
                   r'BODYSTRUCTURE \("text" "plain" .* (?P<octets>\d+) (?P<lines>\d+) NIL NIL NIL NIL\)', re.I)
ROW = re.compile(r"\* (\d+) FETCH \((.*)$")


def parse(line):
    """(uid, flags, modseq) of a FETCH line, with None for what it does not say; None for other lines."""
    m = ROW.match(line)
    if not m:
        return None
    uid, flags, modseq = re.search(r"\bUID (\d+)", m[2]), re.search(r"FLAGS \(([^)]*)\)", m[2]), re.search(r"MODSEQ \((\d+)\)", m[2])
    return (uid and int(uid[1]), flags and frozenset(flags[1].split()) - {"\\Recent"}, modseq and int(modseq[1]))


class Shown:
    """What anybody was shown of the mailboxes of an account, by uidvalidity. Grows only."""

    def __init__(self, fault, mine):
        self.fault, self.mine, self.lock = fault, mine, threading.Lock()
        self.uidnext, self.highest = {}, {}
        self.rows = {}   # (uidvalidity, uid) -> (modseq, flags): the newest
        self.ids = {}    # (uidvalidity, uid) -> id of the message
        self.threads = {}  # id of the message -> id of its thread

    def row(self, validity, uid, flags, modseq):
        with self.lock:
            old = self.rows.get((validity, uid))
            if old and modseq == old[0] and flags != old[1]:
                self.fault("uid %d at mod-sequence %d has flags %s and %s" % (uid, modseq, sorted(old[1]), sorted(flags)))
            if not old or modseq > old[0]:
                self.rows[validity, uid] = (modseq, flags)
            self.uidnext[validity] = max(self.uidnext.get(validity, 0), uid + 1)
            self.highest[validity] = max(self.highest.get(validity, 0), modseq)

    def message(self, validity, uid, number, thread):
        with self.lock:
            # What comes from another account gets its thread when somebody looks at it.
            if self.mine(number) and self.threads.setdefault(number, thread) != thread:
                self.fault("message %d is of thread %s, and was of %s" % (number, thread, self.threads[number]))
            if self.ids.setdefault((validity, uid), number) != number:
                self.fault("uid %d means message %d, and meant %d" % (uid, number, self.ids[validity, uid]))


class Reader:
    """Selects and reads whole mailboxes on a connection, and says what it was shown."""

    def __init__(self, port, user, shown):
        self.conn, self.shown = kill_imap.Conn(port, user), shown
        self.conn.ok("ENABLE CONDSTORE")

    def select(self, name):
        values = {}
        for line in self.conn.ok('SELECT "%s"' % name):
            m = re.match(r"\* OK \[(UIDVALIDITY|UIDNEXT|HIGHESTMODSEQ) (\d+)\]", line)
            if m:
                values[m[1]] = int(m[2])
        self.validity = values["UIDVALIDITY"]
        return values

    def fetch(self, what):
        """{uid: (flags, modseq, id)} of UID FETCH."""
        found, last = {}, None
        for line in self.conn.ok("UID FETCH %s (FLAGS MODSEQ THREADID BODY.PEEK[HEADER.FIELDS (X-Id)])" % what):
            row = parse(line)
            if row and None not in row:
                last, thread = row, re.search(r"THREADID (\(\S+\)|NIL)", line)
            m = re.match(r"X-Id: (\d+)", line)
            if m and last:
                uid, flags, modseq = last
                found[uid] = (flags, modseq, int(m[1]))
                self.shown.row(self.validity, uid, flags, modseq)
                self.shown.message(self.validity, uid, int(m[1]), thread and thread[1])
        return found

    def facts(self):
        """{uid: (id, subject, message id, octets and lines of its body, the same two by the header)}"""
        found, row = {}, None
        for line in self.conn.ok("UID FETCH 1:* (ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (Subject Message-ID)] "
                                 "BODY.PEEK[HEADER.FIELDS (X-Id)])"):
            m = FACTS.match(line)
            if m:
                row = found[int(m["uid"])] = [0, m["subject"], m["id"], m["octets"], m["lines"], []]
            m = re.match(r"(X-Id|Subject|Message-ID): (.*)$", line)
            if m and m[1] == "X-Id":
                row[0] = int(m[2])
            elif m:
                row[5].append(m[2])
        return {uid: tuple(row) for uid, row in found.items()}

    def search(self, key):
        found = [line for line in self.conn.ok("UID SEARCH " + key) if line.startswith("* SEARCH")]
        return sorted(int(w) for w in found[0].split()[2:] if w.isdigit()) if found else []


class Sink:
    """An account into which the others' mail is moved; nobody works on it."""

    def __init__(self, name):
        self.name, self.lock = name, threading.Lock()
        self.ids = collections.Counter()

    def add(self, ids):
        with self.lock:
            self.ids.update(ids)

    def differs(self, port):
        """Each is there as often as it was moved; or what is wrong."""
        conn, found = kill_imap.Conn(port, self.name), collections.Counter()
        if "* 0 EXISTS" not in conn.ok("SELECT INBOX"):
            found.update(int(m[1]) for m in map(re.compile(r"X-Id: (\d+)").match,
                                                conn.ok("UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (X-Id)])")) if m)
        conn.close()
        return None if found == self.ids else "%s lacks %s and has %s besides" % (self.name, self.ids - found, found - self.ids)
