#!/usr/bin/python3
"""live - the doors of a running suite: every transcript that needs no fault, and what happens to
connections when processes die.

    live.py BUILD [--port-offset N]

Starts the suite by scripts/run three times: one process per connection, several connections per
process, and on the memory engine. Kills servers and doors, and asserts what the design promises:
authd, routerd or signer gone: running sessions go on; stored gone: its sessions are told; a door's
process gone: its connections only; new logins work again, and how soon is printed.
"""
import argparse
import os
import poplib
import re
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BACK_S = 60
PER_ADDRESS = 30

passed = failed = 0


def verdict(good, what, why=""):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    print("%s: %s%s" % ("ok" if good else "FAILED", what, "" if good else " (%s)" % why), flush=True)


class Suite:
    def __init__(self, opt, extra):
        self.offset = opt.port_offset
        self.dir = tempfile.mkdtemp(prefix="gatehouse-wire-")
        self.run = [os.path.join(ROOT, "scripts", "run"), "--dir", self.dir]
        # A build of its own root is installed beside it; the name must be absolute.
        args = ["--build", os.path.abspath(opt.build), "--port-offset", str(self.offset), "--accounts", "4",
                "--hash", "plain", "--set", "connections_max_per_address = %d" % PER_ADDRESS, "--detach"]
        done = subprocess.run(self.run + args + extra, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=120)
        if done.returncode != 0:
            raise SystemExit("the suite did not start:\n" + done.stdout.decode())
        self.ca = os.path.join(self.dir, "tls", "ca.pem")

    def port(self, standard):
        return standard + self.offset

    def pid(self, name):
        """Of the process that runs now, as the log told it."""
        with open(os.path.join(self.dir, "log"), encoding="utf-8", errors="replace") as f:
            found = re.findall(r"master\.child name=%s pid=(\d+)" % name, f.read())
        return int(found[-1])

    def kill(self, name):
        os.kill(self.pid(name), signal.SIGKILL)

    def pop(self, user="u1", timeout=10):
        p = poplib.POP3("127.0.0.1", self.port(110), timeout=timeout)
        p.user(user)
        p.pass_("gatehouse")
        return p

    def pop_tls(self):
        context = ssl.create_default_context(cafile=self.ca)
        p = poplib.POP3_SSL("localhost", self.port(995), context=context, timeout=10)
        p.user("u2")
        p.pass_("gatehouse")
        return p

    def deliver(self):
        with smtplib.LMTP("127.0.0.1", self.port(24), timeout=10) as s:
            s.ehlo("wire.test")
            return s.sendmail("a@example.org", ["u3@example.test"], b"Subject: x\r\n\r\nx\r\n") == {}

    def let_logins_fail(self):
        """The transcripts try more wrong passwords for one account than its limit lets pass."""
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(os.path.join(self.dir, "run", "admin.sock"))
            f = s.makefile("rw", newline="\n")
            f.readline()
            f.write("UpdateServerAccountDefaults {FailedLoginFlow=(100000,1m);}\n")
            f.flush()
            said = f.readline()
            if not said.startswith("200"):
                raise SystemExit("the limit of failed logins: " + said)

    def stop(self):
        subprocess.run(self.run + ["--stop"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=90)

    def clean(self):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)


def seconds_until(work):
    """How long until `work` succeeds; None after a minute."""
    began = time.monotonic()
    while time.monotonic() - began < BACK_S:
        try:
            if work():
                return time.monotonic() - began
        except (OSError, EOFError, poplib.error_proto, smtplib.SMTPException):
            pass
        time.sleep(0.02)
    return None


def back_in_time(work, what):
    took = seconds_until(work)
    verdict(took is not None and took <= BACK_S, what, "took %s s" % took)


def login_works(suite):
    suite.pop("u2").quit()
    return True


def alive(p):
    try:
        return p.noop().startswith(b"+OK")
    except (OSError, EOFError, poplib.error_proto):
        return False


def ended(p):
    """What a session is told before its end; None when it does not end."""
    try:
        told = p.file.readline()
        return told if not told or p.file.readline() == b"" else None
    except OSError:
        return None


def check_helpers(suite):
    running, running_tls = suite.pop(), suite.pop_tls()
    for name in ("authd", "routerd", "signer", "parsed", "authd-worker"):
        suite.kill(name)
        time.sleep(0.05)
        verdict(alive(running) and alive(running_tls), "sessions go on without %s" % name)
        back_in_time(lambda: login_works(suite), "new logins after the death of %s" % name)
        back_in_time(lambda: suite.pop_tls().quit() and True, "new TLS logins after the death of %s" % name)
        back_in_time(suite.deliver, "deliveries after the death of %s" % name)
    running.quit()
    running_tls.quit()


def check_stored(suite):
    running = suite.pop()
    suite.kill("stored")
    told = ended(running)
    verdict(told is not None and told.startswith(b"-ERR [SYS/TEMP]"), "sessions are told that stored is gone",
            repr(told))
    back_in_time(lambda: login_works(suite), "new logins after the death of stored")
    back_in_time(suite.deliver, "deliveries after the death of stored")


def children_of(pid):
    out = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % entry) as f:
                if int(f.read().rsplit(")", 1)[1].split()[1]) == pid:
                    out.append(int(entry))
        except OSError:
            continue
    return out


def check_child(suite):
    """One process per connection: a killed one takes its connection along and no other."""
    first = suite.pop("u1")
    door = suite.pid("pop3")
    victim = children_of(door)
    second = suite.pop("u2")
    if len(victim) != 1:
        verdict(False, "one process per connection", "%d children" % len(victim))
        return
    os.kill(victim[0], signal.SIGSEGV)
    verdict(ended(first) == b"", "the connection of a crashed process ends")
    verdict(alive(second), "the other connection goes on")
    # The old one may still take a login before it knows, and its successor's line may come late.
    back_in_time(lambda: suite.pid("pop3") != door, "the acceptor started anew after the crash")
    back_in_time(lambda: login_works(suite), "new logins after a crash of a connection's process")
    verdict(alive(second), "the other connection outlives its acceptor")
    second.quit()


def check_acceptor(suite):
    running = suite.pop()
    suite.kill("pop3")
    time.sleep(0.05)
    verdict(alive(running), "sessions go on without their acceptor")
    back_in_time(lambda: login_works(suite), "new logins after the death of the acceptor")
    running.quit()


def check_limit(suite):
    held = []
    greeting = b"+OK"
    while greeting.startswith(b"+OK") and len(held) <= PER_ADDRESS:
        s = socket.create_connection(("127.0.0.1", suite.port(110)), timeout=10)
        held.append(s)
        greeting = s.recv(200)
    verdict(greeting.startswith(b"-ERR [SYS/TEMP]") and len(held) == PER_ADDRESS + 1,
            "connection %d from one address is refused" % (PER_ADDRESS + 1), "%d: %r" % (len(held), greeting))
    verdict(held[-1].recv(10) == b"", "and closed")
    for s in held:
        s.close()
    back_in_time(lambda: login_works(suite), "connections are counted down again")


def check_stop(suite):
    idle, lmtp = suite.pop(), smtplib.LMTP("127.0.0.1", suite.port(24), timeout=10)
    suite.stop()
    told = ended(idle)
    verdict(told is not None and told.startswith(b"-ERR [SYS/TEMP]"), "a session is told of the stop", repr(told))
    told = lmtp.getreply()[0]
    verdict(told == 421, "an LMTP connection is told of the stop", repr(told))


def transcripts(suite, name):
    global passed, failed
    done = subprocess.run([sys.executable, os.path.join(HERE, "run.py"), "--live", "localhost", "--port-offset",
                           str(suite.offset), "--ca", suite.ca, "--admin",
                           os.path.join(suite.dir, "run", "admin.sock")], stdout=subprocess.PIPE, timeout=200)
    text = done.stdout.decode()
    counts = re.findall(r"^(\d+) passed, (\d+) failed$", text, re.M)
    print("%s: %s" % (name, text.strip()), flush=True)
    if not counts:
        verdict(False, "transcripts " + name, "no count")
        return
    passed, failed = passed + int(counts[-1][0]), failed + int(counts[-1][1])


def main():
    a = argparse.ArgumentParser()
    a.add_argument("build")
    a.add_argument("--port-offset", type=int, default=31000)
    a.add_argument("--only", default="")
    opt = a.parse_args()
    runs = [("isolated", [], [check_limit, check_helpers, check_stored, check_child, check_acceptor, check_stop]),
            ("dense", ["--connections-per-process", "20"], [check_limit, check_helpers, check_stored, check_stop]),
            ("memory", ["--engine", "memory"], [])]
    for name, extra, checks in runs:
        if opt.only and opt.only != name:
            continue
        suite = Suite(opt, extra)
        try:
            suite.let_logins_fail()
            transcripts(suite, name)
            for check in checks:
                try:
                    check(suite)
                except (OSError, EOFError, poplib.error_proto, smtplib.SMTPException) as e:
                    verdict(False, "%s: %s" % (name, check.__name__), repr(e))
        finally:
            suite.clean()
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
