"""peers - who else is in the mailboxes while the checker's IMAP sessions run: LMTP deliveries, POP3 readers, an operator."""
import json
import poplib
import random
import re
import subprocess
import time

import suite  # of tests/e2e; servers.py makes it reachable
from model import FOREVER, Removal
from view import must

IDENT = re.compile(rb"^X-Ident: *([^\r\n]*)", re.M)


class Peer:
    view = None

    def __init__(self, number, world, server, seed, messages):
        self.number, self.world, self.server, self.messages = number, world, server, messages
        self.rng = random.Random("%s/%d" % (seed, number))
        self.commands = self.made = 0

    def transcript(self):
        return []


class Lmtp(Peer):
    def step(self):
        self.made += 1
        ident = "m%d-%d" % (self.number, self.made)
        data = b"X-Ident: " + ident.encode() + b"\r\n" + self.rng.choice(self.messages)
        if not data.endswith(b"\r\n"):
            data += b"\r\n"
        sent = time.monotonic()
        with self.world.lock:
            self.world.bodies[ident] = data
            box = self.world.boxes["INBOX"]
            box.delivered[ident] = (sent, FOREVER)
        with suite.Lmtp(("127.0.0.1", self.server.lmtp)) as c:
            code, text = c.data([self.server.address(self.server.users[0])], data)[0]
        must(code == 250, "LMTP answered %d %s", code, text)
        with self.world.lock:
            if ident in box.delivered:
                box.delivered[ident] = (sent, time.monotonic())
        self.commands += 1
        time.sleep(self.rng.random() * 0.05)


class Pop(Peer):
    """A session whose snapshot must hold, with now and then a DELE."""

    def step(self):
        rng = self.rng
        p = poplib.POP3("127.0.0.1", self.server.pop3, timeout=30)
        try:
            p.user(self.server.users[0])
            p.pass_(self.server.password)
            count, size = p.stat()
            ids = [line.split(b" ", 1)[1] for line in p.uidl()[1]]
            sizes = [int(line.split()[1]) for line in p.list()[1]]
            must(len(ids) == count == len(sizes) and sum(sizes) == size and len(set(ids)) == count,
                 "POP3: STAT %d %d, %d ids, sizes %d", count, size, len(set(ids)), sum(sizes))
            deleted, idents = [], []
            for _ in range(rng.randint(1, 6) if count else 0):
                i = rng.randrange(count)
                if i in deleted:
                    continue
                ident = self.retrieve(p, i, sizes[i])
                self.commands += 1
                if ident and rng.random() < 0.1:
                    p.dele(i + 1)
                    deleted.append(i)
                    idents.append(ident)
                time.sleep(rng.random() * 0.03)
            if not deleted:
                must(p.stat() == (count, size), "POP3: the snapshot changed: %r was %r", p.stat(), (count, size))
                must([line.split(b" ", 1)[1] for line in p.uidl()[1]] == ids, "POP3: the ids changed in a session")
            removal = Removal(time.monotonic(), idents=set(idents), any_flag=True)
            if deleted:
                with self.world.lock:
                    self.world.boxes["INBOX"].removals.append(removal)
            p.quit()
            removal.done = time.monotonic()
        finally:
            p.close()

    def retrieve(self, p, i, size):
        try:
            lines, octets = p.retr(i + 1)[1:]
        except poplib.error_proto as e:
            must(self.server.name != "gatehouse", "POP3: a message of the snapshot was refused: %s", e)
            return None
        data = b"".join(line + b"\r\n" for line in lines)
        must(len(data) in (size, size + 2), "POP3: %d octets of a message of %d", len(data), size)
        found = IDENT.search(data)
        must(found, "POP3: a message without X-Ident: %r", data[:200])
        ident = found[1].decode("ascii")
        want = self.world.bodies[ident]
        # The last line end of a message that has none is the protocol's (RFC 1939 3).
        must(data.endswith(want) or data.endswith(want + b"\r\n"), "POP3: the octets of %s differ", ident)
        return ident


class Operator(Peer):
    """Asks what an operator asks, and brings back what was expunged; the sessions notice no more than a new message."""
    restored = 0

    def ctl(self, *words):
        done = subprocess.run([self.server.suite.root + "/usr/bin/gatehousectl", "--socket", self.server.admin, "--json", *words],
                              capture_output=True, timeout=30, check=False)
        must(done.returncode == 0, "gatehousectl: %s", done.stderr.decode("utf-8", "replace"))
        return json.loads(done.stdout)

    def step(self):
        if self.made % 5 == 4:
            self.restore()
        else:
            self.ctl("session", "list")
        self.made += 1
        self.commands += 1
        time.sleep(0.1 + self.rng.random() * 0.2)

    def restore(self):
        """One that somebody has seen; like a delivery it comes without anybody's knowing its UID."""
        lost = self.ctl("undelete", "list", self.server.users[0], "--mailbox=INBOX")
        with self.world.lock:
            box = self.world.boxes["INBOX"]
            known = {m.uid: m.ident for m in box.messages.values() if m.ident is not None and m.gone is not None}
        uids = [row["UID"] for row in lost if row["UID"] in known]
        if not uids:
            return
        uid = self.rng.choice(uids)
        sent = time.monotonic()
        with self.world.lock:
            box.restored[known[uid]] = box.restored.get(known[uid], 0) + 1
            box.delivered[known[uid]] = (sent, FOREVER)
        did = self.ctl("undelete", "restore", self.server.users[0], "--mailbox=INBOX", "--uid=%d" % uid)
        must(did["Messages"] == 1, "UID %d of INBOX was lost, and %r restored", uid, did)
        self.restored += 1

    def figures(self):
        """Mailboxes, messages and octets of the account, as the administrator sees them."""
        told = self.ctl("stat", self.server.users[0])
        return told["mailboxes"], told["messages"], told["bytes"]
