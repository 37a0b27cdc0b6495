"""rig - a master with its own directory, configuration and programs (stub.c stands in for the daemons).

For the tests beside it and in tests/operate: their first argument is the build directory.
"""
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

NAMES = ["logd", "signer", "stored", "authd", "authd-worker", "routerd", "parsed", "stored-external",
         "pop3", "smtp", "admin", "metrics"]
BUILD = os.path.abspath(sys.argv[1])
NOBODY = 65534
with open(os.path.join(BUILD, "master", "gatehouse"), "rb") as program:
    SANITIZED = b"__asan_init" in program.read()
if SANITIZED:
    # Looking for leaks needs ptrace, which no process of the suite has.
    os.environ["ASAN_OPTIONS"] = "detect_leaks=0"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Suite:
    """One master with its own directory, configuration and programs."""

    def __init__(self, uid):
        self.uid = uid
        self.dir = tempfile.mkdtemp(prefix="gatehouse-master-")
        self.libexec = os.path.join(self.dir, "libexec")
        os.mkdir(self.libexec)
        self.log_path = os.path.join(self.dir, "log")
        self.ports = [free_port(), free_port(), free_port()]
        self.lines = {"main_domain": "example.test", "data_dir": self.dir + "/data",
                      "run_dir": self.dir + "/run", "engine": "memory"}
        stub = os.path.join(BUILD, "tests", "master", "stub")
        for name in NAMES:
            source = os.path.join(BUILD, "master", "logd", "logd") if name == "logd" else stub
            shutil.copy(source, os.path.join(self.libexec, name))
        with open(self.libexec + "/keycheck", "w", encoding="ascii") as f:
            f.write("#!/bin/sh\nexit 0\n")
        os.chmod(self.libexec + "/keycheck", 0o755)
        self.program = shutil.copy(os.path.join(BUILD, "master", "gatehouse"), self.dir + "/gatehouse")
        for name in ("chain", "key"):
            with open(os.path.join(self.dir, name), "w", encoding="ascii") as f:
                f.write("not looked at by the stand-ins\n")
            os.chmod(os.path.join(self.dir, name), 0o600)
        self.process = self.env = None
        self.sections = ""
        self.default_sections()
        if uid:
            for folder, _, names in os.walk(self.dir):
                for path in [folder] + [os.path.join(folder, n) for n in names]:
                    os.chown(path, uid, uid)

    def default_sections(self):
        self.sections = "".join(
            "listener %s {\n\taddress = 127.0.0.1\n\tport = %d\n%s}\n" % (name, port, more)
            for name, port, more in (("pop3", self.ports[0], ""), ("pop3", self.ports[1], "\ttls = yes\n"),
                                     ("smtp", self.ports[2], "\tprotocol = lmtp\n\tclients = 127.0.0.1\n")))
        self.sections += "listener admin {\n\tsocket = %s/admin.sock\n\tmode = 0660\n}\n" % self.dir
        self.sections += "listener metrics {\n\tsocket = %s/metrics.sock\n}\n" % self.dir
        self.sections += "certificate c {\n\tchain = %s/chain\n\tkey = %s/key\n}\n" % (self.dir, self.dir)

    def write_conf(self, text=None):
        if text is None:
            text = "".join("%s = %s\n" % kv for kv in self.lines.items()) + self.sections
        with open(self.dir + "/c.conf", "w", encoding="utf-8") as f:
            f.write(text)

    def use_short(self):
        """From now on with a supervisor whose calls can be made to fail."""
        shutil.copy(os.path.join(BUILD, "tests", "master", "gatehouse-short"), self.program)
        self.env = dict(os.environ, SHORT_FILE=self.dir + "/short")

    @contextlib.contextmanager
    def short_of(self, what):
        """Calls fail: the name of one, and how many of them do not at first."""
        with open(self.dir + "/short.new", "w", encoding="ascii") as f:
            f.write(what)
        os.rename(self.dir + "/short.new", self.dir + "/short")
        try:
            yield
        finally:
            os.unlink(self.dir + "/short")

    def _command(self, *more):
        if SANITIZED:
            more += ("--keep-stderr",)
        return [self.program, "--libexec", self.libexec, *more, self.dir + "/c.conf"]

    def run(self, *more):
        return subprocess.run(self._command(*more), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=self.env,
                              timeout=60, user=self.uid or None, group=self.uid or None,
                              extra_groups=[] if self.uid else None)

    def start(self):
        self.write_conf()
        open(self.log_path, "ab").close()
        before = len(re.findall(r"master\.ready", self.log()))
        r, w = os.pipe()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self._command("--ready-fd", str(w)), stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                pass_fds=[w], env=self.env, user=self.uid or None, group=self.uid or None,
                extra_groups=[] if self.uid else None)
        os.close(w)
        with os.fdopen(r, "rb") as f:
            if f.read() != b"ready\n":
                raise AssertionError("not ready:\n" + self.log())
        self.wait_log(r"master\.ready", before + 1)  # what came before it is in the log now, too

    def log(self):
        if not os.path.exists(self.log_path):
            return ""
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def children(self):
        """pid of each process, by the title that ps shows."""
        found = {}
        with open("/proc/%d/task/%d/children" % (self.process.pid, self.process.pid), encoding="ascii") as f:
            for pid in f.read().split():
                try:
                    with open("/proc/%s/cmdline" % pid, "rb") as c:
                        title = c.read().rstrip(b"\0").decode()
                except FileNotFoundError:
                    continue
                if title.startswith("gatehouse: "):
                    found[title[len("gatehouse: "):]] = int(pid)
        return found

    def wait_log(self, pattern, count=1, seconds=20):
        end = time.monotonic() + seconds
        while len(re.findall(pattern, self.log(), re.M)) < count:
            if time.monotonic() > end:
                raise AssertionError("no %d times /%s/ in the log:\n%s" % (count, pattern, self.log()))
            time.sleep(0.02)

    def ready_count(self, name):
        return len(re.findall(r"master\.child name=%s " % name, self.log()))

    def wait_all(self, seconds=20):
        end = time.monotonic() + seconds
        while set(self.children()) != set(NAMES):
            if time.monotonic() > end:
                raise AssertionError("only %s run:\n%s" % (sorted(self.children()), self.log()))
            time.sleep(0.02)

    def reload(self, text=None):
        self.write_conf(text)
        self.process.send_signal(signal.SIGHUP)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=60)
        self.process = None
        return status

    def close(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


def expect(condition, what, suite=None):
    if not condition:
        raise AssertionError(what + ("\n" + suite.log() if suite else ""))


def main(names):
    """All tests among the names of a module."""
    tests = [(n, f) for n, f in sorted(names.items()) if n.startswith("test_")]
    only = sys.argv[2] if len(sys.argv) > 2 else ""
    passed = failed = 0
    for uid in ([0, NOBODY] if os.geteuid() == 0 else [0]):
        for name, test in tests:
            if only not in name:
                continue
            suite = Suite(uid)
            try:
                test(suite)
                for word in ("AddressSanitizer", "runtime error:"):
                    expect(word not in suite.log(), word, suite)
                passed += 1
                print("ok %s%s" % (name, " as ordinary user" if uid else ""))
            except Exception as e:  # every failure is reported, whatever it was
                failed += 1
                print("not ok %s%s: %s: %s" % (name, " as ordinary user" if uid else "", type(e).__name__, e))
            finally:
                suite.close()
            sys.stdout.flush()
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0
