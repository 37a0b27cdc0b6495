"""servers - what the judges of IMAP speak to: Gatehouse from a build, or a private Dovecot to try the judges on.

    with start("dovecot", accounts=2, offset=25000) as s:   s.imap, s.lmtp, s.pop3 ports; s.users, s.password

Dovecot (maildir or mdbox) needs root; nothing of it is a system service, everything lies in one directory.
"""
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.append(os.path.join(TOP, "tests", "e2e"))
import grammar  # noqa: E402
import lexer  # noqa: E402

PASSWORD = "gatehouse"
VMAIL = 20000  # numeric owner of Dovecot's mail; needs no passwd entry

CONF = """
base_dir = {run}
state_dir = {run}
log_path = {dir}/log
protocols = imap pop3 lmtp
listen = 127.0.0.1
mail_location = {format}:{dir}/mail/%n
mail_uid = {vmail}
mail_gid = {vmail}
first_valid_uid = 500
mail_fsync = never
pop3_no_flag_updates = yes
disable_plaintext_auth = no
auth_mechanisms = plain
auth_username_format = %n
ssl = no
default_process_limit = 100
default_client_limit = 4096
mail_max_userip_connections = 400
imap_idle_notify_interval = 2 mins
import_environment = TZ=UTC
namespace inbox {{
  inbox = yes
  separator = /
}}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%n {dir}/passwd
}}
userdb {{
  driver = static
  args = uid={vmail} gid={vmail} home={dir}/mail/%n
}}
service imap-login {{
  service_count = 0
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  service_count = 0
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
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
service stats {{
  client_limit = 2048
}}
service anvil {{
  client_limit = 2048
}}
"""


def free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def wait_port(port, seconds=20):
    end = time.monotonic() + seconds
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
                if s.recv(64):
                    return
        except OSError:
            pass
        if time.monotonic() > end:
            raise TimeoutError("no greeting on port %d" % port)
        time.sleep(0.02)


class Dovecot:
    name = "dovecot"

    def __init__(self, accounts, offset, format="mdbox"):
        if shutil.which("dovecot") is None or os.geteuid() != 0:
            raise RuntimeError("Dovecot as a peer needs its packages (dovecot-imapd, -lmtpd, -pop3d) and root")
        self.users = ["u%d" % i for i in range(1, accounts + 1)]
        self.password = PASSWORD
        self.dir = tempfile.mkdtemp(prefix="gh-dovecot-")
        os.chmod(self.dir, 0o755)
        self.format = format
        while not all(free(offset + p) for p in (143, 110, 24)):
            offset += 41
        self.imap, self.pop3, self.lmtp = offset + 143, offset + 110, offset + 24
        self.admin = None
        self.conf = os.path.join(self.dir, "dovecot.conf")
        grammar.DOVECOT = lexer.Cursor.eight_bit_text = True

    def start(self):
        mail = os.path.join(self.dir, "mail")
        os.makedirs(mail)
        os.chown(mail, VMAIL, VMAIL)
        with open(os.path.join(self.dir, "passwd"), "w", encoding="ascii") as f:
            f.writelines("%s:{PLAIN}%s\n" % (u, PASSWORD) for u in self.users)
        os.chmod(os.path.join(self.dir, "passwd"), 0o644)
        text = CONF.format(run=self.dir + "/run", dir=self.dir, vmail=VMAIL, format=self.format, imap=self.imap,
                           pop3=self.pop3, lmtp=self.lmtp)
        with open(self.conf, "w", encoding="ascii") as f:
            f.write(text)
        subprocess.run(["dovecot", "-c", self.conf], check=True, env=dict(os.environ, TZ="UTC"))
        wait_port(self.imap)
        return self

    def address(self, user):
        return user + "@example.test"

    def log_text(self):
        with contextlib.suppress(OSError), open(self.dir + "/log", encoding="utf-8", errors="replace") as f:
            return f.read()
        return ""

    def stop(self):
        subprocess.run(["doveadm", "-c", self.conf, "stop"], check=False)
        for _ in range(100):
            if free(self.imap):
                break
            time.sleep(0.05)
        if not os.environ.get("GH_E2E_KEEP"):
            shutil.rmtree(self.dir, ignore_errors=True)


class Gatehouse:
    name = "gatehouse"

    def __init__(self, accounts, offset, build, engine="lmdb", per_process=1, settings=()):
        import suite
        self.suite = suite.Suite(build, offset, engine=engine, accounts=accounts, per_process=per_process,
                                 settings=settings)
        self.users = ["u%d" % i for i in range(1, accounts + 1)]
        self.password = suite.PASSWORD

    def start(self):
        self.suite.__enter__()
        offset = self.suite.offset
        self.imap, self.pop3, self.lmtp = offset + 143, offset + 110, offset + 24
        self.admin = self.suite.admin
        wait_port(self.imap)
        return self

    def address(self, user):
        return user + "@example.test"

    def log_text(self):
        return self.suite.log_text()

    def stop(self):
        self.suite.__exit__()


@contextlib.contextmanager
def start(kind, accounts=1, offset=25000, build=None, format="mdbox", **kw):
    """kind: dovecot or gatehouse. Ends the server at the end of the with."""
    server = Dovecot(accounts, offset, format) if kind == "dovecot" else Gatehouse(accounts, offset, build, **kw)
    try:
        yield server.start()
    finally:
        server.stop()


def options(parser, default_offset):
    """The options every judge has."""
    parser.add_argument("build", nargs="?", default=os.environ.get("GH_BUILD", os.path.join(TOP, "build")),
                        help="build directory of Gatehouse")
    parser.add_argument("--server", choices=["gatehouse", "dovecot"], default="gatehouse")
    parser.add_argument("--format", choices=["maildir", "mdbox", "sdbox"], default="mdbox", help="of Dovecot's mail")
    parser.add_argument("--engine", choices=["lmdb", "memory"], default="lmdb")
    parser.add_argument("--connections-per-process", type=int, default=1)
    parser.add_argument("--offset", type=int, default=default_offset, help="first of the ports to use")


def from_options(opt, accounts=1):
    if opt.server == "dovecot":
        return start("dovecot", accounts, opt.offset, format=opt.format)
    return start("gatehouse", accounts, opt.offset, opt.build, engine=opt.engine,
                 per_process=opt.connections_per_process)
