"""The servers that are measured: Gatehouse through scripts/run, Dovecot as a private instance.

Each has start(), stop(), settings() (lines to print), ports (lmtp, pop3, pop3s) and user names
u1..uN with one plain password. Data directories lie side by side below one scratch directory, so
both use the same disk. Dovecot needs root (its processes change user); a peer that cannot run says why.
"""
import os
import re
import shutil
import signal
import socket
import subprocess
import time

PASSWORD = "gatehouse"
VMAIL = 20000  # numeric owner of Dovecot's mail; needs no passwd entry


def wait_greeting(port, deadline_s=20, expect=(b"+OK", b"220")):
    """Seconds until the port greets; raises TimeoutError."""
    began = time.monotonic()
    while time.monotonic() - began < deadline_s:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=2) as s:
                if s.recv(512).startswith(expect):
                    return time.monotonic() - began
        except OSError:
            pass
        time.sleep(0.001)
    raise TimeoutError("no greeting on port %d" % port)


def listening_pids(port):
    """Processes that hold the listening socket of a TCP port."""
    inodes = set()
    with open("/proc/net/tcp") as f:
        for line in f.readlines()[1:]:
            part = line.split()
            if part[3] == "0A" and int(part[1].split(":")[1], 16) == port:
                inodes.add("socket:[%s]" % part[9])
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            for fd in os.listdir("/proc/%s/fd" % pid):
                if os.readlink("/proc/%s/fd/%s" % (pid, fd)) in inodes:
                    found.add(int(pid))
        except OSError:
            continue
    return found


def parents():
    table = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % pid) as f:
                table[int(pid)] = int(f.read().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
    return table


def tree(root):
    """A process and all its descendants."""
    table = parents()
    found, grown = {root}, True
    while grown:
        more = {p for p, up in table.items() if up in found} - found
        grown = bool(more)
        found |= more
    return found


class Server:
    name = "?"
    lmtp_user_suffix = "@example.test"

    def __init__(self, scratch, accounts, base_port, load):
        self.dir = os.path.join(scratch, self.name.lower().replace(" ", "-"))
        self.accounts = accounts
        self.base_port = base_port
        self.root_pid = None

    def start_bare(self):
        """start() without what a wrapper does; the same here."""
        self.start()

    def pids(self):
        return tree(self.root_pid)

    def find_root(self):
        """Climbs from whoever listens to the process that was started."""
        mine = {os.getpid(), 1, 0}
        table = parents()
        up = table.get(os.getpid())
        while up:
            mine.add(up)
            up = table.get(up)
        pids = listening_pids(self.ports["pop3"])
        if not pids:
            raise RuntimeError("%s: nobody listens" % self.name)
        pid = min(pids)
        while table.get(pid, 0) not in mine:
            pid = table[pid]
        self.root_pid = pid

    def clean(self):
        shutil.rmtree(self.dir, ignore_errors=True)


CONF = """
base_dir = {run}
state_dir = {run}
log_path = {dir}/log
protocols = lmtp pop3 imap
listen = 127.0.0.1
mail_location = mdbox:{dir}/mail/%n
mail_uid = {vmail}
mail_gid = {vmail}
first_valid_uid = 500
mail_fsync = {fsync}
disable_plaintext_auth = no
auth_mechanisms = plain
auth_username_format = %n
ssl = yes
ssl_cert = <{dir}/cert.pem
ssl_key = <{dir}/key.pem
verbose_proctitle = no
default_process_limit = 2000
default_client_limit = 4096
mail_max_userip_connections = 2000
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%n {dir}/passwd
}}
userdb {{
  driver = static
  args = uid={vmail} gid={vmail} home={dir}/mail/%n
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
  unix_listener lmtp {{
    mode = 0600
  }}
}}
service pop3-login {{
  {login}
  process_limit = 2000
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
}}
service pop3 {{
  process_limit = 2000
}}
service imap-login {{
  {login}
  process_limit = 2000
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service imap {{
  process_limit = 2000
}}
service anvil {{
  client_limit = 4096
}}
service stats {{
  client_limit = 8192
}}
"""


class Dovecot(Server):
    """mdbox, LMTP, POP3 and IMAP only, Debian's package; mail_fsync stays at its default (fsync for LMTP)."""
    name = "Dovecot"

    def __init__(self, scratch, accounts, base_port, load, dense=False, fsync="optimized"):
        self.name = "Dovecot dense" if dense else "Dovecot"
        super().__init__(scratch, accounts, base_port, load)
        self.dense = dense
        self.fsync = fsync
        self.ports = {"lmtp": base_port + 24, "pop3": base_port + 110, "pop3s": base_port + 995,
                      "imap": base_port + 143, "imaps": base_port + 993}

    def why_not(self):
        if shutil.which("dovecot") is None:
            return "the package dovecot-pop3d is not installed"
        return None if os.geteuid() == 0 else "Dovecot changes user: run as root"

    def prepare(self):
        self.clean()
        mail = os.path.join(self.dir, "mail")
        os.makedirs(mail)
        os.chmod(self.dir, 0o755)
        os.chown(mail, VMAIL, VMAIL)
        with open(os.path.join(self.dir, "passwd"), "w") as f:
            for i in range(1, self.accounts + 1):
                f.write("u%d:{PLAIN}%s\n" % (i, PASSWORD))
        os.chmod(os.path.join(self.dir, "passwd"), 0o644)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout",
                        self.dir + "/key.pem", "-out", self.dir + "/cert.pem"],
                       check=True, stderr=subprocess.DEVNULL)
        login = ("service_count = 0\n  process_min_avail = 2" if self.dense else "service_count = 1")
        with open(self.dir + "/dovecot.conf", "w") as f:
            f.write(CONF.format(dir=self.dir, run=self.dir + "/run", vmail=VMAIL, login=login,
                                fsync=self.fsync, **self.ports))

    def start(self):
        if not os.path.exists(self.dir + "/dovecot.conf"):
            self.prepare()
        began = time.monotonic()
        subprocess.run(["dovecot", "-c", self.dir + "/dovecot.conf"], check=True)
        wait_greeting(self.ports["pop3"])
        self.cold_start_s = time.monotonic() - began
        self.find_root()

    def stop(self):
        subprocess.run(["doveadm", "-c", self.dir + "/dovecot.conf", "stop"], check=False)
        for _ in range(100):
            if self.root_pid not in parents():
                return
            time.sleep(0.05)

    def settings(self):
        ver = subprocess.run(["dovecot", "--version"], capture_output=True, text=True).stdout.strip()
        out = subprocess.run(["doveconf", "-c", self.dir + "/dovecot.conf", "mail_location", "mail_fsync",
                              "mdbox_rotate_size", "mail_cache_fields", "ssl_min_protocol"],
                             capture_output=True, text=True).stdout
        login = "one process for many" if self.dense else "one process per connection (service_count=1)"
        return ["Dovecot %s from Debian; password scheme PLAIN; EC P-256 key; pop3-login: %s"
                % (ver, login)] + [re.sub(r" *= *", " = ", x) for x in out.strip().splitlines()]


class Gatehouse(Server):
    """Through scripts/run, as a user would start it; --hash plain so that no hash is measured."""
    name = "Gatehouse"

    def __init__(self, scratch, accounts, base_port, load, dense=0, root=None):
        self.name = "Gatehouse dense" if dense else "Gatehouse"
        super().__init__(scratch, accounts, base_port, load)
        self.dense = dense
        self.tree = root
        self.output = self.dir + ".out"  # what scripts/run said
        self.env = None
        self.ca = None
        self.bare = None
        self.more = []  # further lines of configuration
        self.engine = "lmdb"
        self.ports = {"lmtp": base_port + 24, "pop3": base_port + 110, "pop3s": base_port + 995,
                      "imap": base_port + 143, "imaps": base_port + 993}

    def why_not(self):
        run = os.path.join(self.tree, "scripts", "run")
        return None if os.access(run, os.X_OK) else "no scripts/run in this tree"

    def command(self):
        build = os.environ.get("GH_BUILD")  # set by scripts/test: no build of its own
        cmd = [os.path.join(self.tree, "scripts", "run")] + (["--build", build] if build else [])
        cmd += ["--detach", "--dir", self.dir, "--port-offset",
                str(self.base_port), "--accounts", str(self.accounts), "--hash", "plain"]
        cmd += [x for line in self.more for x in ("--set", line)]
        cmd += [] if self.engine == "lmdb" else ["--engine", self.engine]
        return cmd + (["--connections-per-process", str(self.dense)] if self.dense else [])

    def prepare(self):
        self.clean()

    def start(self):
        began = time.monotonic()
        with open(self.output, "w") as out:
            done = subprocess.run(self.command(), stdout=out, stderr=subprocess.STDOUT, env=self.env)
        with open(self.output) as out:
            said = out.read()
        if done.returncode != 0:
            raise RuntimeError("scripts/run: exit %d: %s" % (done.returncode, said[-400:]))
        ca = re.search(r"(/[^\s\"']+\.(?:pem|crt))", said)
        self.ca = ca.group(1) if ca else None
        wait_greeting(self.ports["pop3"])
        self.cold_start_s = time.monotonic() - began
        with open(os.path.join(self.dir, "run", "gatehouse.pid")) as f:
            self.root_pid = int(f.read())
        self.exe = os.readlink("/proc/%d/exe" % self.root_pid)

    def start_bare(self):
        """The supervisor itself on a directory that scripts/run prepared: what a cold start costs."""
        libexec = os.path.join(os.path.dirname(self.exe), "..", "lib", "gatehouse")
        began = time.monotonic()
        with open(self.dir + "/log", "a") as log:
            self.bare = subprocess.Popen([self.exe, "--libexec", libexec, self.dir + "/gatehouse.conf"],
                                         stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                         start_new_session=True)
        wait_greeting(self.ports["pop3"])
        self.cold_start_s = time.monotonic() - began
        self.root_pid = self.bare.pid

    def stop(self):
        subprocess.run([self.command()[0], "--stop", "--dir", self.dir], check=False,
                       stdout=subprocess.DEVNULL)
        if self.bare is not None:
            self.bare.wait(30)
            self.bare = None
        for _ in range(100):
            if self.root_pid not in parents():
                return
            time.sleep(0.05)
        os.kill(self.root_pid, signal.SIGTERM)

    def settings(self):
        rev = subprocess.run(["git", "-C", self.tree, "describe", "--always", "--dirty"],
                             capture_output=True, text=True).stdout.strip()
        mode = "%d connections per process" % self.dense if self.dense else "one process per connection"
        return ["Gatehouse %s; %s; password hash plain; every 250 after one fdatasync of the shard log"
                % (rev, mode), "started as: " + " ".join(self.command()[1:])]


class Floor(Server):
    """Not a server but what any needs: floor.c forks for each connection and answers an idle IMAP client's lines."""
    name = "Floor"

    def __init__(self, scratch, base_port, program):
        super().__init__(scratch, 0, base_port, None)
        self.program, self.child, self.ports = program, None, {"imap": base_port}

    def why_not(self):
        return None if os.path.exists(self.program) else "no " + self.program

    def prepare(self):
        pass

    def start(self):
        self.child = subprocess.Popen([self.program, "idle", str(self.base_port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.child.stdout.readline()
        self.root_pid = self.child.pid

    def stop(self):
        self.child.stdin.close()
        self.child.wait()
        self.child.stdout.close()

    def settings(self):
        return ["one process for a connection, nothing in it"]
