"""suite - starts a whole suite in a directory of its own, and speaks to it; shared by the tests here.

A test file has functions marked with @case("what must hold") that take the running suite, and ends with
main(). Each case is counted; one that raises has failed. The first start goes through scripts/run, later
ones start the same program directly, so that a test may change the configuration in between.
"""
import argparse
import base64
import contextlib
import fcntl
import glob
import json
import os
import poplib
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
DOMAIN = "example.test"
PASSWORD = "gatehouse"
A1, A2 = "127.0.0.1", "127.0.0.2"
poplib._MAXLINE = 1 << 20


class Failed(Exception):
    pass


def check(condition, text, *values):
    if not condition:
        raise Failed(text % values if values else text)


def equal(got, want, what="value"):
    if got != want:
        raise Failed("%s is %.600r, not %.600r" % (what, got, want))


def refused(function, *args, text=None):
    """Runs what a POP server must answer with -ERR; returns that line."""
    try:
        function(*args)
    except poplib.error_proto as e:
        line = e.args[0].decode() if isinstance(e.args[0], bytes) else str(e.args[0])
        check(line.startswith("-ERR"), "not an answer of the server: %s", line)
        check(text is None or text in line, "%r is not in %r", text, line)
        return line
    raise Failed("was not refused")


def wait(condition, seconds=60, what="the awaited"):
    """Until condition() is true; its value."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed("%s did not happen in %g s" % (what, seconds))
        time.sleep(0.02)


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid, encoding="latin-1") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def message(text="text", subject="subject", **fields):
    head = {"From": "sender@sender.example", "To": "someone@" + DOMAIN, "Subject": subject, **fields}
    return "".join("%s: %s\r\n" % f for f in head.items()).encode() + b"\r\n" + text.encode() + b"\r\n"


def damage(s, text):
    """Flips a bit of these bytes, in every file of the store that has them."""
    found = 0
    for path in glob.glob(os.path.join(s.dir, "data", "store", "*-*")):
        with open(path, "r+b") as f:
            at = f.read().find(text)
            if at < 0:
                continue
            f.seek(at)
            f.write(bytes([text[0] ^ 1]))
            found += 1
    check(found > 0, "no file of the store has %r", text)


def behind_trace(data):
    """A stored message without the Return-Path and Received fields that were put before it."""
    head, rest = data[:4096].split(b"Received: ", 1)
    check(head.startswith(b"Return-Path: ") and head.count(b"\r\n") == 1, "no trace: %r", head)
    at = len(head) + len(b"Received: ")
    at = data.index(b"\r\n", at) + 2
    while data[at:at + 1] in (b"\t", b" "):
        at = data.index(b"\r\n", at) + 2
    return data[at:]


class Line:
    """A connection of lines, for what the libraries would not send. Closes at the end of a with."""

    def __init__(self, where, timeout=20):
        family = socket.AF_UNIX if isinstance(where, str) else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.settimeout(timeout)
        self.sock.connect(where)
        self.file = self.sock.makefile("rb")
        self.asked = []

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        self.file.close()
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode("utf-8"))

    def line(self):
        """One line without its end; None when the server closed."""
        try:
            line = self.file.readline()
        except ConnectionError:
            return None
        if not line:
            return None
        check(line.endswith(b"\r\n"), "a line ends without CR LF: %r", line)
        return line[:-2].decode("utf-8", "surrogateescape")

    def ask(self, text):
        self.asked.append(text)
        self.send(text + "\r\n")
        return self.line()

    def want(self, text, start):
        """Sends a line (None: nothing), checks how the answer starts; the answer."""
        got = self.line() if text is None else self.ask(text)
        check(got is not None and got.startswith(start), "%r was answered %r, not %s...", text, got, start)
        return got

    def tls(self, context, name="localhost"):
        self.file.close()
        self.sock = context.wrap_socket(self.sock, server_hostname=name)
        self.file = self.sock.makefile("rb")


class Lmtp(Line):
    """LMTP with one answer for each recipient."""

    def __init__(self, where, hello="client.example", timeout=30):
        super().__init__(where, timeout)
        self.reply(220)
        self.features = self.command("LHLO " + hello, 250)

    def reply(self, code=None):
        """All lines of a reply as (code, [texts]); the wrong code fails."""
        texts = []
        while True:
            line = self.line()
            if line is None:
                raise ConnectionError("the server closed after %r" % texts)
            texts.append(line[4:])
            if line[3:4] != "-":
                break
        check(code is None or int(line[:3]) == code, "answered %r, not %s", line, code)
        return int(line[:3]), texts

    def command(self, text, code=None):
        self.send(text + "\r\n")
        return self.reply(code)

    def begin(self, recipients, sender="sender@sender.example", options=""):
        """MAIL, RCPTs, all taken."""
        self.command("MAIL FROM:<%s>%s" % (sender, options), 250)
        for one in recipients:
            self.command("RCPT TO:<%s>" % one, 250)

    def data(self, recipients, data, sender="sender@sender.example", options=""):
        """The (code, text) for each recipient."""
        self.begin(recipients, sender, options)
        self.command("DATA", 354)
        if data.startswith(b"."):
            data = b"." + data
        self.send(data.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        return [(c, t[-1]) for c, t in (self.reply() for _ in recipients)]


def free_offset(offset, addresses):
    """The first offset from there on at which all ports are free: several runs may share a machine."""
    for o in range(offset, offset + 4000, 41):
        try:
            for a in addresses:
                for port in (24, 25, 106, 110, 143, 465, 587, 993, 995, 996):
                    with socket.socket() as one:
                        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                        one.bind((a, o + port))
            return o
        except OSError:
            pass
    raise Failed("no free ports from offset %d on" % offset)


class Suite:
    def __init__(self, build, offset, engine="lmdb", accounts=2, hash="plain", addresses=(A1,), settings=(),
                 directory=None, per_process=1):
        self.build = os.path.abspath(build)
        self.offset = offset  # the least; start() finds one that is free
        self.engine, self.accounts, self.hash = engine, accounts, hash
        self.addresses, self.settings, self.per_process = addresses, settings, per_process
        # Any test of a suite on a store of several shards.
        if os.environ.get("GH_SHARDS") and not any("store_shards" in x for x in settings):
            self.settings = (*settings, "store_shards = " + os.environ["GH_SHARDS"])
        self.dir = directory or tempfile.mkdtemp(prefix="gh-e2e-")
        os.chmod(self.dir, 0o700)
        self.root = self.build + ".root" if os.path.basename(self.build) != "build-run" else \
            os.path.join(TOP, "build-run.root")
        self.admin = os.path.join(self.dir, "run", "admin.sock")
        self.lmtp_socket = os.path.join(self.dir, "run", "lmtp.sock")
        self.conf = os.path.join(self.dir, "gatehouse.conf")
        self.log = os.path.join(self.dir, "log")
        self.process = None
        self.libexec = os.path.join(self.root, "usr/lib/gatehouse")  # of later starts

    # ---- its life ----

    def run(self, *args, **kw):
        return subprocess.run([os.path.join(TOP, "scripts", "run"), "--dir", self.dir, *args],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=240, **kw)

    def start(self):
        args = ["--detach", "--build", self.build, "--engine", self.engine, "--accounts", str(self.accounts),
                "--hash", self.hash, "--connections-per-process", str(self.per_process)]
        for a in self.addresses:
            args += ["--address", a]
        for s in self.settings:
            args += ["--set", s]
        # The installation of one start must not change files below the feet of another, nor two take one port.
        with open(os.path.join(tempfile.gettempdir(), "gh-e2e-%d.lock" % os.geteuid()), "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.offset = free_offset(self.offset, self.addresses)
            done = self.run("--port-offset", str(self.offset), *args)
        text = done.stdout.decode("utf-8", "replace")
        check(done.returncode == 0 and "password " + PASSWORD in text, "the suite did not start:\n%s\n%s", text,
              self.log_text()[-1500:])
        return self

    def start_again(self):
        """The program alone, on what is there: for changed configurations and quick restarts."""
        ready_r, ready_w = os.pipe()
        before = len(self.log_text())
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [os.path.join(self.root, "usr/sbin/gatehouse"), "--libexec",
                 self.libexec, "--ready-fd", str(ready_w), self.conf],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[ready_w], start_new_session=True)
        os.close(ready_w)
        with os.fdopen(ready_r, "rb") as f:
            check(f.readline().strip() == b"ready", "the suite did not start again: %s", self.log_text()[before:][:4000])

    def stop(self):
        pid = self.master()
        if pid:
            os.kill(pid, signal.SIGTERM)
            wait(lambda: not alive(pid), 30, "the stop of the suite")
        if self.process:
            self.process.wait(10)
        self.process = None

    def restart(self):
        self.stop()
        self.start_again()

    def edit(self, old, new):
        with open(self.conf, encoding="utf-8") as f:
            text = f.read()
        check(old in text, "no %r in the configuration", old)
        with open(self.conf, "w", encoding="utf-8") as f:
            f.write(text.replace(old, new))

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *unused):
        try:
            self.stop()
        finally:
            master = self.master()
            if master:
                os.kill(master, signal.SIGKILL)
            if os.environ.get("GH_E2E_KEEP"):
                print("kept: " + self.dir)
            else:
                shutil.rmtree(self.dir, ignore_errors=True)

    def log_text(self):
        try:
            with open(self.log, encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    # ---- its processes ----

    def master(self):
        """The master's pid, while it runs."""
        try:
            with open(os.path.join(self.dir, "run", "gatehouse.pid"), encoding="ascii") as f:
                pid = int(f.read())
        except (OSError, ValueError):
            return None
        return pid if alive(pid) else None

    def processes(self):
        """[(pid, parent, title without "gatehouse: ")] of everything below the master."""
        found, todo = [], [self.master()]
        while todo:
            parent = todo.pop()
            try:
                tasks = os.listdir("/proc/%d/task" % parent)
            except OSError:
                continue
            for task in tasks:
                try:
                    with open("/proc/%d/task/%s/children" % (parent, task), encoding="ascii") as f:
                        pids = [int(p) for p in f.read().split()]
                except OSError:
                    continue
                for pid in pids:
                    try:
                        with open("/proc/%d/cmdline" % pid, "rb") as f:
                            title = f.read().split(b"\0")[0].decode("latin-1")
                    except OSError:
                        continue
                    if title.startswith("gatehouse: "):
                        found.append((pid, parent, title[len("gatehouse: "):]))
                    todo.append(pid)
        return found

    def pids(self, name, child=False):
        """Of the program with that name: those that the master started, or their own children."""
        master = self.master()
        return [p for p, parent, title in self.processes()
                if title.split()[0] == name and (parent != master) == child]

    # ---- its doors ----

    def port(self, standard):
        return standard + self.offset

    def ctl(self, *args, stdin="", ok=True):
        """Runs gatehousectl; its output. With ok=False: (status, output, errors)."""
        done = subprocess.run([os.path.join(self.root, "usr/bin/gatehousectl"), "--socket", self.admin, *args],
                              input=stdin.encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
        out, err = done.stdout.decode(), done.stderr.decode()
        if not ok:
            return done.returncode, out, err
        check(done.returncode == 0, "gatehousectl %s: status %s: %s", " ".join(args), done.returncode, err)
        return out

    def ca(self):
        return ssl.create_default_context(cafile=os.path.join(self.dir, "tls", "ca.pem"))

    def pop_open(self, address=A1):
        return poplib.POP3(address, self.port(110), timeout=20)

    def pop(self, user="u1", password=PASSWORD, address=A1):
        p = self.pop_open(address)
        try:
            p.user(user)
            p.pass_(password)
        except BaseException:
            p.close()
            raise
        return p

    def pop_line(self, address=A1):
        line = Line((address, self.port(110)))
        line.greeting = line.want(None, "+OK")
        return line

    def pop_line_tls(self):
        line = Line(("localhost", self.port(995)))
        line.tls(self.ca())
        line.greeting = line.want(None, "+OK")
        return line

    def lmtp(self, socket_path=False, **kw):
        return Lmtp(self.lmtp_socket if socket_path else (A1, self.port(24)), **kw)

    def deliver(self, to, data=None):
        """To one recipient; must be taken."""
        with self.lmtp() as l:
            code, text = l.data([to], message() if data is None else data)[0]
        equal(code, 250, "answer for %s (%s)" % (to, text))

    def mail(self, user="u1", password=PASSWORD, address=A1):
        """All messages of a mailbox as bytes."""
        with contextlib.closing(self.pop(user, password, address)) as p:
            found = [fetch(p, i + 1) for i in range(p.stat()[0])]
            p.quit()
        return found

    def empty(self, user="u1", password=PASSWORD):
        with contextlib.closing(self.pop(user, password)) as p:
            for i in range(p.stat()[0]):
                p.dele(i + 1)
            p.quit()

    def opened(self, name, password=PASSWORD, address=A1):
        """Logs in; the account that was opened, as the server lists it."""
        with contextlib.closing(self.pop(name, password, address)) as p:
            rows = self.sessions()
            p.quit()
        equal(len(rows), 1, "number of sessions")
        wait(lambda: not self.sessions(), 60, "the session's end")
        return rows[0]["Account"]

    def connections(self, *account):
        """All that the list shows: also who sends mail, and who is there by PWD."""
        return json.loads(self.ctl("--json", "session", "list", *account))

    def sessions(self, *account):
        """Those on a mailbox."""
        return [r for r in self.connections(*account) if r["Protocol"] not in ("smtp", "lmtp", "submission", "pwd")]


def fetch(p, number):
    return b"".join(line + b"\r\n" for line in p.retr(number)[1])


def uidls(p):
    return [line.split()[1].decode() for line in p.uidl()[1]]


def plain(name, password):
    return base64.b64encode(b"\0" + name.encode() + b"\0" + password.encode()).decode()


# ---- cases ----

CASES = []


def case(what, engines=("lmdb", "memory")):
    def mark(function):
        CASES.append((what, function, engines))
        return function
    return mark


def play(suite, engine="lmdb", only=""):
    """Runs all cases of this file on a started suite; (passed, failed)."""
    passed = failed = 0
    for what, function, engines in CASES:
        if only not in what:
            continue
        if engine not in engines:
            print("-       %s: not on the %s engine" % (what, engine))
            continue
        began = time.monotonic()
        try:
            function(suite)
            passed += 1
            print("ok      %-80s %5.1f s" % (what, time.monotonic() - began))
        except (Exception, smtplib.SMTPException) as e:  # a case may fail in any way; the next ones still run
            failed += 1
            where = traceback.extract_tb(e.__traceback__)
            lines = " < ".join("%s:%d" % (os.path.basename(f.filename), f.lineno) for f in reversed(where[-4:]))
            print("FAILED  %s\n    %s: %s\n    at %s" % (what, type(e).__name__, e, lines))
        sys.stdout.flush()
    return passed, failed


def main(offset, **kw):
    a = argparse.ArgumentParser()
    a.add_argument("build", nargs="?", default=os.path.join(TOP, "build"))
    a.add_argument("--engine", choices=["lmdb", "memory"], default="lmdb")
    a.add_argument("--port-offset", type=int, default=offset)
    a.add_argument("--connections-per-process", type=int, default=1)
    a.add_argument("--only", default="", help="cases with this text in their sentence")
    opt = a.parse_args()
    try:
        with Suite(opt.build, opt.port_offset, engine=opt.engine, per_process=opt.connections_per_process, **kw) as s:
            passed, failed = play(s, opt.engine, opt.only)
    except (Failed, OSError, subprocess.SubprocessError) as e:
        passed, failed = 0, 1
        print("FAILED  %s" % e)
    print("%d passed, %d failed" % (passed, failed))
    sys.exit(1 if failed or not passed else 0)
