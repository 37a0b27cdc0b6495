#!/usr/bin/python3
"""kill_names - kill -9 of routerd, stored, authd, front-ends and the master while a directory is changed in every way.

    kill_names.py BUILD [--long] [--changes N] [--kills N] [--seed N] [--port-offset N]

Workers create accounts with settings and a password, rename them, move them between domains, delete them and deliver mail.
Two more change all else that a directory has, by a model (names_model.py): aliases, settings, rights, passwords (NEWPASS, too),
groups, forwarders, lists, the Router's table, domains with their addresses, names and state. What was
answered 200 (or 250) must be there after every kill. What was not must have happened as a whole or not at all:
an account is in the directory, the store and the secrets, or nowhere; it has one name, its number and its mail. At
the end the dump of the directory is what the models say, and the three databases are read as they lie on the disk.
Mail sent during a rename finds the account under the old name or the new one.
"""
import argparse
import contextlib
import os
import poplib
import random
import re
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))
import suite  # noqa: E402
from names_model import Shaper, dumped  # noqa: E402

DOMAINS = (suite.DOMAIN, "second.test", "third.test")
KINDS = ("routerd", "stored", "authd", "routerd", "admin", "authd", "stored", "master")
WORKERS, SHAPERS = 4, 2
PATIENCE_S = 60
UNSETTLED = ("creating", "deleting")


class Lost(Exception):
    """The connection ended before the answer."""


class Admin:
    def __init__(self, path):
        try:
            self.line = suite.Line(path, timeout=PATIENCE_S)
            if not (self.line.line() or "").startswith("200"):
                raise Lost("no greeting")
            self.ask("INLINE")
        except OSError as e:
            raise Lost(str(e)) from None

    def send(self, text):
        try:
            self.line.send(text + "\r\n")
        except OSError as e:
            raise Lost(str(e)) from None

    def reply(self):
        """(code, text)"""
        try:
            line = self.line.line()
        except OSError as e:
            raise Lost(str(e)) from None
        if line is None:
            raise Lost("closed")
        return int(line[:3]), line[4:]

    def ask(self, text):
        self.send(text)
        return self.reply()


class Account:
    def __init__(self, name, number):
        self.name, self.number = name, number
        self.password, self.settings = None, {}   # as they were acknowledged
        self.mail, self.maybe = set(), set()


class Worker(threading.Thread):
    def __init__(self, run, number):
        super().__init__(daemon=True)
        self.run_, self.prefix = run, "w%d" % number
        self.rng = random.Random("names %s %d" % (run.opt.seed, number))
        self.accounts, self.gone = [], []
        self.admin = None
        self.next = 0
        self.anchored = 0

    # ---- asking until there is an answer ----

    def connected(self):
        end = time.monotonic() + PATIENCE_S
        while self.admin is None:
            try:
                self.admin = Admin(self.run_.suite.admin)
            except Lost:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)
        return self.admin

    def disconnect(self):
        if self.admin:
            self.admin.line.close()
        self.admin = None

    def surely(self, text):
        """For questions and what may be asked twice: the first reply that is not "later"."""
        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                code, answer = self.connected().ask(text)
                if code in (200, 201) or not self.later(answer):
                    return code, answer
            except Lost:
                self.disconnect()
            if time.monotonic() > end:
                raise suite.Failed("no answer to " + text)
            time.sleep(0.01)

    @staticmethod
    def later(text):
        return any(word in text for word in ("away", "later", "again", "full or failing", "stops", "on its way", "under way"))

    def info(self, name):
        """(state, number), or None for no such account."""
        code, text = self.surely("GetAccountInfo " + name)
        if code == 501 and "there is no such" in text:
            return None
        found = re.search(r"State=\"?(\w+)\"?;.*ID=#(\d+)", text)
        if not found:
            raise suite.Failed("GetAccountInfo %s: %s %s" % (name, code, text))
        return found[1], int(found[2])

    def barrier(self):
        """Commits keep their order: after this one no earlier change is on its way."""
        self.anchored += 1
        code, text = self.surely("SetAccountAliases %s-anchor (%s-a%d)" % (self.prefix, self.prefix, self.anchored))
        suite.check(code == 200, "anchor: %s", text)
        code, text = self.surely("SetAccountPassword %s-anchor PASSWORD a%d" % (self.prefix, self.anchored))
        suite.check(code == 200, "password of the anchor: %s", text)

    def settled(self, name):
        """As info, when nothing is half done."""
        end = time.monotonic() + PATIENCE_S
        while True:
            found = self.info(name)
            if found is None or found[0] not in UNSETTLED:
                return found
            if time.monotonic() > end:
                raise suite.Failed("%s stays %s" % (name, found[0]))
            time.sleep(0.02)

    def change(self, text):
        """True when acknowledged; False when nobody knows, and then nothing is on its way any more."""
        try:
            code, answer = self.connected().ask(text)
        except Lost:
            code, answer = 0, ""
            self.disconnect()
        self.run_.count(code == 200)
        if code == 200:
            return True
        suite.check(code == 0 or self.later(answer), "%s: %s %s", text, code, answer)
        self.barrier()
        return False

    def newpass(self, name, old, new):
        """As change(), by the owner of the account."""
        code = 0
        try:
            with suite.Line((suite.A1, self.run_.suite.port(106)), timeout=PATIENCE_S) as c:
                for text, start in ((None, "200"), ("USER " + name, "300"), ("PASS " + old, "200"), ("NEWPASS " + new, "200")):
                    if text:
                        c.send(text + "\r\n")
                    code = 0
                    code = int((c.line() or "")[:3] or 0)
                    if not start.startswith(str(code)):
                        break
        except OSError:
            code = 0
        self.run_.count(code == 200)
        if code != 200:
            self.barrier()
        return code == 200

    # ---- the changes ----

    def new_name(self):
        self.next += 1
        return "%s-%d@%s" % (self.prefix, self.next, self.rng.choice(DOMAINS))

    def create(self):
        name = self.new_name()
        password, real_name = "pw-" + name.split("@")[0], "Real %d" % self.next
        acked = self.change('CreateAccount %s {Password="%s"; PasswordMethod=plain; RealName="%s"; MaxAccountSize=%dM;}' % (
            name, password, real_name, self.next))
        found = self.settled(name)
        suite.check(found is not None or not acked, "%s was acknowledged and is not there", name)
        if found is None:
            return
        self.run_.new_number(found[1])
        a = Account(name, found[1])
        a.password = password
        a.settings = {"RealName": real_name, "MaxAccountSize": "%dM" % self.next}
        self.check_whole(a)
        self.accounts.append(a)

    def check_whole(self, a):
        """Its settings and its password."""
        suite.equal(self.settings(a.name), a.settings, "the settings of " + a.name)
        code, text = self.surely("VerifyAccountPassword %s PASSWORD %s" % (a.name, a.password))
        suite.check(code == 200, "the password of %s: %s", a.name, text)

    def settings(self, name):
        code, text = self.surely("GetAccountSettings " + name)
        suite.check(code == 201, "settings of %s: %s", name, text)
        return {k: v.strip('"') for k, v in re.findall(r"(\w+)=(\"[^\"]*\"|[^;]*);", text)}

    def delete(self):
        a = self.rng.choice(self.accounts)
        acked = self.change("DeleteAccount " + a.name)
        found = self.settled(a.name)
        if found is None:
            self.accounts.remove(a)
            self.gone.append(a.name)
            return
        suite.check(not acked, "%s was deleted and is there", a.name)
        suite.check(found[1] == a.number, "%s is another account", a.name)

    def rename(self):
        a = self.rng.choice(self.accounts)
        old, new = a.name, self.new_name()
        try:
            self.connected().send("RenameAccount %s into %s" % (old, new))
            self.deliver_to(a, (old, new))
            code, answer = self.admin.reply()
        except Lost:
            code, answer = 0, ""
            self.disconnect()
        self.run_.count(code == 200)
        if code != 200:
            suite.check(code == 0 or self.later(answer), "rename: %s %s", code, answer)
            self.barrier()
        at_old, at_new = self.info(old), self.info(new)
        suite.check((at_old is None) != (at_new is None), "%s into %s: %s and %s", old, new, at_old, at_new)
        suite.check(code != 200 or at_new is not None, "%s into %s was acknowledged and is not so", old, new)
        a.name = new if at_new else old
        suite.check((at_new or at_old)[1] == a.number, "%s is another account now", a.name)

    def deliver_to(self, a, names):
        """One message under the first of the names that is known; the last must be, if it comes to it."""
        number = self.run_.number()
        a.maybe.add(number)
        try:
            with self.run_.suite.lmtp(timeout=PATIENCE_S) as l:
                l.command("MAIL FROM:<>", 250)
                for name in names:
                    code, text = l.command("RCPT TO:<%s>" % name)
                    if code != 550:
                        break
                suite.check(code != 550, "mail for %s was refused: %s", " or ".join(names), text)
                if code != 250:
                    return
                l.command("DATA", 354)
                l.send(b"X-Id: %d\r\n\r\ntext\r\n.\r\n" % number)
                if l.reply()[0] == 250:
                    a.mail.add(number)
        except (OSError, suite.Failed) as e:
            if "was refused" in str(e):
                raise

    def deliver(self):
        a = self.rng.choice(self.accounts)
        self.deliver_to(a, (a.name,))

    def step(self):
        r = self.rng.random()
        if len(self.accounts) < 3 or (r < 0.25 and len(self.accounts) < 20):
            self.create()
        elif r < 0.6:
            self.rename()
        elif r < 0.75:
            self.delete()
        else:
            self.deliver()

    def run(self):
        try:
            self.surely("CreateAccount %s-anchor" % self.prefix)
            while not self.run_.over():
                self.step()
        except Exception as e:  # whatever it is, the run has failed
            self.run_.fault("%s: %s: %s" % (self.prefix, type(e).__name__, e))


class ShapeWorker(Worker):
    """Changes everything but the existence of accounts, by a model."""

    def __init__(self, run, number):
        super().__init__(run, number)
        self.shaper = Shaper(self, number, number == WORKERS)

    def step(self):
        self.shaper.step()


class Run:
    def __init__(self, opt):
        self.opt = opt
        self.lock = threading.Condition()
        self.changes = self.acked = self.killed = 0
        self.last_number = 0
        self.numbers, self.faults = set(), []
        self.rng = random.Random("kills %s" % opt.seed)

    def count(self, acked):
        with self.lock:
            self.changes += 1
            self.acked += acked
            self.lock.notify_all()

    def number(self):
        with self.lock:
            self.last_number += 1
            return self.last_number

    def new_number(self, number):
        with self.lock:
            if number in self.numbers:
                self.faults.append("number %d is given a second time" % number)
            self.numbers.add(number)

    def over(self):
        return self.faults or self.changes >= self.opt.changes

    def fault(self, text):
        with self.lock:
            self.faults.append(text)
            self.lock.notify_all()
        print("    FAULT: " + text, flush=True)

    def kill(self, kind):
        s = self.suite
        if kind == "master":
            left = [p for p, _, _ in s.processes()] + [s.master()]
            os.kill(s.master(), signal.SIGKILL)
            if s.process:
                s.process.wait(PATIENCE_S)
                s.process = None
            suite.wait(lambda: not any(suite.alive(p) for p in left), PATIENCE_S, "the end of all processes")
            s.start_again()
        else:
            pid = suite.wait(lambda: s.pids(kind, child=kind == "admin"), PATIENCE_S, "a process " + kind)[0]
            with contextlib.suppress(ProcessLookupError):  # a connection that has just ended
                os.kill(pid, signal.SIGKILL)
        self.killed += 1

    def kills(self):
        """Spread over the changes; each waits for those before it to be recovered from."""
        for number in range(self.opt.kills):
            due = self.opt.changes * (number + 1) // (self.opt.kills + 1)
            with self.lock:
                good = self.lock.wait_for(lambda: self.changes >= due or self.faults, 600)
            if self.faults or not good:
                break
            time.sleep(self.rng.random() * 0.01)  # anywhere in a change
            self.kill(KINDS[number % len(KINDS)])

    def check_account(self, a):
        with contextlib.closing(self.suite.pop(a.name, a.password)) as p:
            found = [int(re.search(rb"X-Id: (\d+)", suite.fetch(p, i + 1))[1]) for i in range(p.stat()[0])]
            p.quit()
        suite.check(len(found) == len(set(found)), "%s: a message is twice in %s", a.name, found)
        suite.check(a.mail <= set(found) <= a.mail | a.maybe, "%s: has %s, acknowledged %s, perhaps %s", a.name,
                    sorted(found), sorted(a.mail), sorted(a.maybe))

    def check(self, workers):
        """Everything of all workers, and nothing else."""
        want = {d: set() for d in DOMAINS}
        for w in workers:
            for a in w.accounts:
                local, domain = a.name.split("@")
                want[domain].add(local)
                self.check_account(a)
                suite.equal(w.info(a.name), ("active", a.number), a.name)
                w.check_whole(a)
            want[suite.DOMAIN].add(w.prefix + "-anchor")
        want[suite.DOMAIN] |= {"postmaster", "u1"}
        for d in DOMAINS:
            suite.equal(set(self.suite.ctl("account", "list", d).split()), want[d], "the accounts of " + d)
        with self.suite.lmtp(timeout=PATIENCE_S) as l:
            l.command("MAIL FROM:<>", 250)
            for w in workers:
                for name in w.gone[-20:]:
                    suite.equal(l.command("RCPT TO:<%s>" % name)[0], 550, "the code for %s" % name)
                l.command("RSET", 250)
                l.command("MAIL FROM:<>", 250)

    def check_models(self, shapers):
        """The dump of their domains is what their models say, and there is no other domain."""
        found, table = dumped(self.suite.ctl("dump"))
        suite.equal({name for kind, name in found if kind == "domain"}, {*DOMAINS, *[s.model.domain() for s in shapers]},
                    "the domains")
        for s in shapers:
            s.check(found)
            suite.check(not s.with_table or table == s.model.table, "the table is %s, not %s", table, s.model.table)
        # In a short run the dice may leave one out.
        missed = set().union(*[s.must_have_done() for s in shapers]) - set().union(*[s.acked for s in shapers])
        suite.check(not missed or self.opt.changes < 5000, "no %s was acknowledged in the whole run", missed)

    def check_databases(self):
        """The three databases of the stopped suite know the same accounts; each of ours has its secret."""
        out = subprocess.run([os.path.join(self.opt.build, "tests", "crash", "account-ids"),
                              os.path.join(self.suite.dir, "data")], check=True, stdout=subprocess.PIPE).stdout
        known = {"directory": set(), "store": set(), "secrets": set()}
        for line in out.decode().splitlines():
            known[line.split()[0]].add(int(line.split()[1]))
        suite.check(len(known["directory"]) > 2, "the directory has %s", known["directory"])
        suite.check(known["store"] == known["directory"], "only one of store and directory knows %s",
                    known["store"] ^ known["directory"])
        suite.check(known["secrets"] <= known["directory"], "secrets of nobody: %s",
                    known["secrets"] - known["directory"])

    def play(self):
        for d in DOMAINS[1:]:
            self.suite.ctl("domain", "create", d)
        workers = [Worker(self, n) for n in range(WORKERS)] + [ShapeWorker(self, WORKERS + n) for n in range(SHAPERS)]
        for w in workers:
            w.start()
        self.kills()
        for w in workers:
            w.join(600)
            if w.is_alive():
                self.fault(w.prefix + " hangs")
        for when in ("at the end", "after a restart"):
            if self.faults:
                break
            try:
                self.check(workers)
                self.check_models([w.shaper for w in workers[WORKERS:]])
            except (suite.Failed, OSError, poplib.error_proto) as e:
                self.fault("%s: %s" % (when, e))
            self.suite.stop()
            self.check_databases()
            self.suite.start_again()
            for w in workers:
                w.disconnect()
        return sum(len(w.accounts) for w in workers)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build")
    p.add_argument("--changes", type=int, default=1200)
    p.add_argument("--kills", type=int, default=40)
    p.add_argument("--long", action="store_true", help="10,000 changes, 300 kills")
    p.add_argument("--seed", default="1")
    p.add_argument("--port-offset", type=int, default=22600)
    opt = p.parse_args()
    if opt.long:
        opt.changes, opt.kills = 10000, 300
    run = Run(opt)
    try:
        with suite.Suite(run.opt.build, run.opt.port_offset, accounts=1) as run.suite:
            left = run.play()
    except (suite.Failed, OSError) as e:
        run.fault(str(e))
        left = 0
    good = not run.faults and run.killed == run.opt.kills
    print("%s: %d changes, %d acknowledged, %d kills, %d accounts left, seed %s" % (
        "ok" if good else "FAILED", run.changes, run.acked, run.killed, left, run.opt.seed))
    print("%d passed, %d failed" % (good, not good))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
