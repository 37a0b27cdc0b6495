"""Clients of paper_suite.py: one, or one in each shard of the store, and what goes from one to the other.

Each remembers after each answer, and before each command, where the trace stood, what was there and what it was
shown; so it knows of any moment what must be in its account after a power cut then.
"""
import collections
import random
import re
import time

import look
import suite
from kill_imap import Lost
from mix_account import Account

Entry = collections.namedtuple("Entry", "at sure state shown")
Move = collections.namedtuple("Move", "at source before after target target_before")
NOBODY = ({}, frozenset())


class Journal:
    """For an account, or a part of one; s is the suite, whose board says where the trace stands."""

    def enter(self, sure, state, shown=None):
        self.journal.append(Entry(self.s.board.get("trace_n"), sure, state, shown))

    def allowed(self, position):
        """(states of which one must be there after a cut at this position, what was shown before it)."""
        last = max(k for k, e in enumerate(self.journal) if e.sure and e.at <= position)
        states, shown = [self.journal[last].state], self.journal[last].shown
        for e in self.journal[last + 1:]:
            if e.at <= position:
                shown = e.shown
            states.append(e.state)
            if e.sure:
                break
        return states, shown


class Client(Journal, Account):
    def __init__(self, s, name, seed):
        self.journal = []
        super().__init__(s, name, seed)
        self.big = 0.03

    def prepare(self):
        self.note(True, self.state())
        if len(self.journal) == 1:  # it was there before the trace began
            self.journal[0] = self.journal[0]._replace(at=0)
        super().prepare()

    def note(self, sure, state):
        self.enter(sure, state, self.snapshot())

    def begin(self, what, after):
        super().begin(what, after)
        self.note(False, after)

    def happened(self):
        super().happened()
        self.note(True, self.state())

    def check(self):
        super().check()
        self.note(True, self.state())

    def stranger(self):
        """Somebody who looks at the same account and has been shown nothing of it."""
        out = Account(self.s, self.name, "look")
        out.roots, out.bodies = self.roots, self.bodies
        return out

    def learn(self, other, numbers):
        """Messages of another account, which has told their threads."""
        for number in numbers:
            self.sums[number], self.bodies[number] = other.sums[number], other.bodies[number]


class Passing(Journal):
    """An account that is made, gets a message, and is deleted; again and again."""

    name = "passing"

    def __init__(self, s):
        self.s, self.journal, self.sums, self.boxes = s, [Entry(0, True, NOBODY, None)], {}, None

    def change(self, state, ask, told):
        """What was not answered is asked for again until it is: a half-made account is in nobody's way meanwhile."""
        self.enter(False, state)
        end = time.monotonic() + 60
        while not ask():
            suite.check(time.monotonic() < end, "the passing account does not change: %s, %s", *told())
            time.sleep(0.05)
        self.enter(True, state)


class Family:
    def __init__(self, s, opt):
        self.s, self.rng = s, random.Random("family %s" % opt.seed)
        self.clients, self.passing = [Client(s, "u1", opt.seed)], Passing(s)
        self.crossed, self.calm = collections.Counter(), float("inf")  # calm: so far nothing failed and nobody died
        self.moves = []
        self.clients[0].prepare()
        self.lend(self.clients[0])
        if opt.shards > 1:
            suite.wait(lambda: self.accounts(0) >= 2, 60, "the accounts are counted")
            self.asked("SetAccountRights u1 (Domain,CanAccessMailboxes)")
        for k in range(1, opt.shards):
            self.add("u%d" % (k + 1), opt.seed)
            suite.equal(self.accounts(k), 1, "accounts in shard %d" % k)
        if opt.shards > 1:
            self.cross(self.clients[0])

    def lend(self, client):
        """Messages and their copies, which share what is known of them until it is to go: by a purge, a restore, a move."""
        view = []
        while len(view) < 4:
            client.append()
            flags = {n: f for n, f, _ in client.boxes["INBOX"]}
            view = [one for one in client.uids_in_view() if "\\Deleted" not in flags[one[1]]]
        after = client.state()
        after[0][client.second] += after[0]["INBOX"]
        client.run('UID COPY 1:* "%s"' % client.second, after)
        for (uid, number), verb in zip(view, ("PurgeMessages", "RestoreMessages")):
            self.expunge(client, uid, number)
            after = client.state()
            after[0]["INBOX"] = [(n, f, False) for n, f, lost in after[0]["INBOX"] if not lost or verb == "RestoreMessages"]
            client.admin(verb, "INBOX", after)
        after = client.state()
        after[0][client.second] += [m for m in after[0]["INBOX"] if m[0] == view[2][1]]
        after[0]["INBOX"] = [m for m in after[0]["INBOX"] if m[0] != view[2][1]]
        client.removed.setdefault(client.reader.validity, set()).add(view[2][1])
        client.run('UID MOVE %d "%s"' % (view[2][0], client.second), after)
        client.check()

    @staticmethod
    def expunge(client, uid, number):
        after = client.state()
        after[0]["INBOX"] = [(n, f | {"\\Deleted"} if n == number else f, lost) for n, f, lost in after[0]["INBOX"]]
        client.run("UID STORE %d +FLAGS.SILENT (\\Deleted)" % uid, after)
        client.expunge()

    def accounts(self, shard):
        return int(re.search(r"shard-%d-accounts\W+(\d+)" % shard, self.s.ctl("--json", "store", "stat"))[1])

    def asked(self, text):
        """It was answered OK."""
        try:
            with suite.Line(self.s.admin) as line:
                line.want(None, "200 ")
                self.answer = line.ask(text) or ""
                return self.answer.startswith("200 ")
        except (OSError, suite.Failed):
            return False

    def state(self, name):
        """What routerd says of an account's life; None: nothing that one could tell."""
        status, out, err = self.s.ctl("account", "info", name, ok=False)
        found = re.search(r"^State\W+(\w+)", out, re.M | re.I)
        return "none" if status == 1 and "no such" in err + out else found and found[1]

    def add(self, name, seed):
        client = Client(self.s, name, seed)
        client.enter(True, NOBODY)
        client.journal[0] = client.journal[0]._replace(at=0)
        client.note(False, client.state())
        suite.check(self.asked('CreateAccount %s {Password="%s";}' % (name, suite.PASSWORD)), "no account")
        self.asked("SetAccountRights %s (Domain,CanAccessMailboxes)" % name)
        client.prepare()
        self.clients.append(client)

    # ---- working ----

    def one(self):
        """An operation of one of them, or a look after one that nobody answered."""
        client = self.rng.choice(self.clients)
        what = client.act
        if len(self.clients) > 1 and self.rng.random() < 0.25:
            what = lambda: self.rng.choice((self.for_all, self.copy, self.move, self.move, self.pass_by))(client)
        self.until_done(client, what)

    def cross(self, client):
        """A move into another shard before anything fails; the change of its rights may end its session first."""
        end = time.monotonic() + 60
        while not self.crossed["a move"]:
            suite.check(time.monotonic() < end, "nothing is moved into another shard")
            self.until_done(client, lambda: self.move(client))

    def until_done(self, client, what):
        end = time.monotonic() + 60
        while True:
            try:
                if client.reader is None:
                    client.check()
                what()
                break
            except Lost:
                client.drop()
                suite.check(time.monotonic() < end, "nobody can log in")
                time.sleep(0.03)
                what = client.act
        for c in self.clients:
            suite.check(not c.faults, "%s: %s", c.what, c.faults)

    def check(self):
        for client in self.clients:
            end = time.monotonic() + 60
            while True:
                try:
                    client.check()
                    break
                except Lost:
                    client.drop()
                    suite.check(time.monotonic() < end, "nobody can log in")
            client.drop()
            suite.check(not client.faults, "%s: %s", client.what, client.faults)

    def settled(self, client):
        """What was in flight there is known."""
        if client.maybe is None and client.reader is not None:
            return
        try:
            client.check()
        except Lost:
            client.drop()
            raise

    # ---- from one to the other ----

    def for_all(self, client):
        """One message, sometimes a large one, for all accounts; each has an answer of its own."""
        for c in self.clients:
            self.settled(c)
        number, body = client.make(large=self.rng.random() < 0.1)
        for c in self.clients:
            after = c.state()
            after[0]["INBOX"].append((number, frozenset(), False))
            c.learn(client, [number])
            c.begin("a delivery to all", after)
        try:
            with self.s.lmtp() as l:
                codes = [code for code, _ in l.data([c.name + "@" + suite.DOMAIN for c in self.clients], body)]
        except (OSError, suite.Failed) as e:
            raise Lost(str(e)) from None
        for c, code in zip(self.clients, codes):
            if code == 250:
                c.happened()
        self.crossed["a message for all"] += codes.count(250) == len(codes)

    def copy(self, client, move=False):
        """Messages of one into the second mailbox of another."""
        other = self.rng.choice([c for c in self.clients if c is not client])
        self.settled(client)
        self.settled(other)
        client.view = [one for one in client.view if one[1] in client.roots]  # its own, of which each account has what it was told
        if not client.view:
            return
        uids, ids = client.some()
        after, mine = other.state(), client.state()
        after[0][other.second] += [m for m in mine[0]["INBOX"] if m[0] in ids and not m[2]]
        other.learn(client, ids)
        other.begin("a copy from " + client.name, after)
        if move:
            # Here it can be restored from then on.
            mine[0]["INBOX"] = [(n, f - {"\\Deleted"}, True) if n in ids else (n, f, lost) for n, f, lost in mine[0]["INBOX"]]
            client.removed.setdefault(client.reader.validity, set()).update(ids)
            self.moves.append(Move(self.s.board.get("trace_n"), client, client.state(), mine, other, other.state()))
            client.begin("a move to " + other.name, mine)
        word, lines = client.reader.conn.command('UID %s %s "~%s/%s"' % ("MOVE" if move else "COPY", uids, other.name, other.second))
        if word == "OK":
            for c in (client, other) if move else (other,):
                c.happened()
        elif move and "[CANNOT]" in lines[-1]:
            self.refused(client, other)
        elif not re.search("UNAVAILABLE|OVERQUOTA|LIMIT|SERVERBUG", lines[-1]):
            client.fault("a copy to %s was answered %s" % (other.name, lines[-1]))
        self.crossed["a move" if move else "a copy"] += word == "OK"
        client.view = client.uids_in_view() if client.maybe is None else client.view

    def in_neither(self, position, states):
        """A move that a cut at this position left in neither account; states: {client: exact state}."""
        for m in self.moves:
            end = min([e.at for e in m.source.journal if e.sure and e.at > m.at], default=float("inf"))
            if m.at <= position < end and look.exact(m.before) != states[m.source] == look.exact(m.after) and \
                    states[m.target] == look.exact(m.target_before):
                return "what %s moved to %s is in neither" % (m.source.name, m.target.name)
        return None

    def move(self, client):
        self.copy(client, True)

    @staticmethod
    def refused(*clients):
        for c in clients:
            c.maybe = None
            c.note(True, c.state())

    def pass_by(self, client):
        """An account in another shard than the first, as the fewest are there."""
        p, inbox = self.passing, ({"INBOX": []}, frozenset())

        def told():
            return self.answer, self.state(p.name)
        if p.boxes is None:
            p.change(inbox, lambda: self.asked('CreateAccount passing {Password="%s";}' % suite.PASSWORD) or self.state(p.name) == "active", told)
            p.boxes = inbox
            self.crossed["an account made"] += 1
        else:
            p.change(NOBODY, lambda: self.asked("DeleteAccount passing") or self.state(p.name) == "none", told)
            p.boxes = None
            self.crossed["an account deleted"] += 1
