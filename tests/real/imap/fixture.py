"""What every client of this folder is tried with: a server, mailboxes filled with known messages, and a
look at the mailboxes that none of the clients takes part in.

    with fixture.start("dovecot", accounts, opt) as fx:
        box = fx.fill(fx.account(), fx.messages(100))     # account, INBOX
        ... a client runs ...
        fx.check(fx.state(box.account) == ..., "what must hold")

The look is the strict reader of tests/imap. Bytes are CR LF as on the wire; lf() is for what clients
write to files.
"""
import calendar
import collections
import contextlib
import importlib.util
import itertools
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
sys.path[:0] = [os.path.join(ROOT, "tests", part) for part in ("imap", "corpus", "real", "crash")]
import client as strict  # noqa: E402  tests/imap
import servers as strict_servers  # noqa: E402  tests/imap
import corpus  # noqa: E402
import expected  # noqa: E402
import gen  # noqa: E402


def by_path(name, path):
    """tests/bench and tests/imap both have a servers.py."""
    spec = importlib.util.spec_from_file_location(name, os.path.join(ROOT, path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


bench_servers = by_path("bench_servers", "tests/bench/servers.py")

PASSWORD = "gatehouse"
TIMEOUT_S = 600
FLAGS = [(), ("\\Seen",), ("\\Seen", "\\Answered"), ("\\Flagged",), ("\\Draft",), ("\\Seen", "$Label1"), (),
         ("\\Seen", "\\Flagged", "\\Answered")]
MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
lf = expected.lf

Stored = collections.namedtuple("Stored", "flags when data")  # when: seconds since 1970
Filled = collections.namedtuple("Filled", "account box messages")  # messages: list of Stored
Message = corpus.Message


class ClientFailed(Exception):
    pass


def date_text(when, zone_minutes=0):
    t = time.gmtime(when + zone_minutes * 60)
    return "%2d-%s-%d %02d:%02d:%02d %s%02d%02d" % (
        t.tm_mday, MONTHS[t.tm_mon - 1], t.tm_year, t.tm_hour, t.tm_min, t.tm_sec,
        "-" if zone_minutes < 0 else "+", abs(zone_minutes) // 60, abs(zone_minutes) % 60)


def date_value(text):
    text = text.decode() if isinstance(text, bytes) else text
    m = re.fullmatch(r"([ \d]\d)-(\w{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)", text)
    day, month, year, h, mi, s = m[1], MONTHS.index(m[2]) + 1, m[3], m[4], m[5], m[6]
    zone = (int(m[8]) * 60 + int(m[9])) * 60 * (-1 if m[7] == "-" else 1)
    return calendar.timegm((int(year), month, int(day), int(h), int(mi), int(s))) - zone


def settled(data):
    """With one name for each boundary that Python's email package had to draw by lot."""
    return expected.GETMAIL_BOUNDARY.sub(b"BOUNDARY", data)


def orderly_header(data):
    """A header of fields and nothing else, with its end: programs for people mend or lose what is not."""
    head, blank, _ = data.partition(b"\r\n\r\n")
    return bool(blank) and all(re.match(rb"[!-9;-~]+:", line) for line in re.sub(rb"\r\n[ \t]", b" ", head).split(b"\r\n"))


def private(path, text, mode=0o600):
    with open(path, "w") as f:
        os.fchmod(f.fileno(), mode)
        f.write(text)
    return path


def run(cmd, home, ok=(0,), env=None, **kw):
    """A client as it is; its home is `home`."""
    env = dict(os.environ, HOME=home, LC_ALL="C.UTF-8", TZ="UTC", **(env or {}))
    done = subprocess.run(cmd, capture_output=True, timeout=TIMEOUT_S, env=env, cwd=home, **kw)
    if ok and done.returncode not in ok:
        raise ClientFailed("%s: exit %d: %s" % (os.path.basename(cmd[0]), done.returncode, (
            done.stdout[-300:] + b" / " + done.stderr[-600:]).decode("latin-1")))
    return done


def nobody():
    """Arguments for subprocess: an ordinary user, for clients that refuse to work as root."""
    if os.geteuid() != 0:
        return {}
    who = pwd.getpwnam("nobody")
    return {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}


class Fixture:
    def __init__(self, server, opt, scratch):
        self.server, self.opt, self.scratch = server, opt, scratch
        self.imap, self.imaps, self.ca = server.imap, server.imaps, server.ca
        self.numbers = itertools.count(1)
        self.passed = self.failed = 0
        self.name = "?"

    # ---- verdicts ----

    def check(self, good, what, *details):
        self.passed, self.failed = self.passed + bool(good), self.failed + (not good)
        if not good or self.opt.verbose:
            print("%s: %s: %s" % ("ok" if good else "FAILED", self.name, what), flush=True)
            for one in details[:4] if not good else ():
                print("    " + str(one)[:200])
        return good

    def equal(self, got, want, what):
        if isinstance(got, list) and isinstance(want, list) and len(got) == len(want) > 4:
            return self.check(got == want, what, *["%d: got %.80r, want %.80r" % (i, g, w) for i, (g, w)
                                                   in enumerate(zip(got, want)) if g != w])
        return self.check(got == want, what, "got  %.180r" % (got,), "want %.180r" % (want,))

    def same_list(self, got, want, what, names=None):
        """Two lists of bytes; says which differ and where."""
        wrong = []
        for i, (g, w) in enumerate(zip(got, want)):
            if g != w:
                at = next((k for k in range(min(len(g), len(w))) if g[k] != w[k]), min(len(g), len(w)))
                wrong.append("%s: %d bytes for %d, from %d on %r for %r" % (
                    names[i] if names else i, len(g), len(w), at, g[at:at + 40], w[at:at + 40]))
        return self.check(not wrong and len(got) == len(want), "%s: %d of %d, %d differ" % (
            what, len(got), len(want), len(wrong)), *wrong)

    # ---- accounts and mail ----

    def account(self):
        return "u%d" % next(self.numbers)

    def port(self, how):
        return self.imaps if how == "tls" else self.imap

    def home(self, for_nobody=False):
        """A new directory, with the CA in it. Short, since some clients have small buffers for paths."""
        path = tempfile.mkdtemp(prefix="c", dir=self.scratch)
        shutil.copy(self.ca, path + "/ca.pem")
        os.chmod(path + "/ca.pem", 0o644)
        if for_nobody and os.geteuid() == 0:
            who = pwd.getpwnam("nobody")
            for one in (path, path + "/ca.pem"):
                os.chown(one, who.pw_uid, who.pw_gid)
        return path

    def messages(self, generated, outside=True, own=True, family="torture"):
        """Messages as they are in IMAP: without NULs (RFC 3501 has no way to say them in a literal)."""
        made = getattr(gen, family)(self.opt.seed, generated)
        c = corpus.Corpus()
        if own:
            c.add("own", corpus.own())
        c.add("generated", made)
        if outside:
            c.add("outside", corpus.outside() or [])
        return list(c)

    def open(self, account, name="fx"):
        return strict.Imap(self.imap, name=name, timeout=120).login(account, PASSWORD)

    def fill(self, account, messages, box="INBOX", flags=FLAGS):
        """Appends the messages with flags and dates of their own; what must be there afterwards."""
        c = self.open(account)
        if box != "INBOX":
            c.ok("CREATE", strict.box(box))
        out = []
        for i, m in enumerate(messages):
            when = 1000000000 + i * 86477
            kept = flags[i % len(flags)]
            r = c.append(box, m.data, flags=kept or None, date=date_text(when, (0, 60, -480, 345)[i % 4]))
            if r.status != "OK":
                raise strict.Refused("APPEND of %s: %s" % (m.name, r.text))
            out.append(Stored(frozenset(kept), when, m.data))
        c.logout()
        return Filled(account, box, out)

    def state(self, account, box="INBOX", bodies=True):
        """{uid: Stored} of a mailbox, \\Recent left out."""
        c = self.open(account)
        out = {}
        if any(r.num for r in c.ok("EXAMINE", strict.box(box)).untagged if r.name == "EXISTS"):
            items = "(FLAGS INTERNALDATE" + (" BODY.PEEK[])" if bodies else ")")
            for r in c.ok("UID FETCH", "1:*", items).untagged:
                if r.name != "FETCH":
                    continue
                at = attributes(r.data)
                out[at["UID"]] = Stored(frozenset(f for f in at["FLAGS"] if f.lower() != "\\recent"),
                                        date_value(at["INTERNALDATE"]), bytes(at.get("BODY[]", b"")))
        c.logout()
        return dict(sorted(out.items()))

    def boxes(self, account):
        c = self.open(account)
        found = [r.data for r in c.ok("LIST", '""', "*").untagged if r.name == "LIST"]
        c.logout()
        return found

    def unseen(self, messages):
        return [m._replace(flags=m.flags - {"\\Seen"}) for m in messages]


def attributes(data):
    """What grammar.fetch_attributes gives, by name."""
    return data if isinstance(data, dict) else dict(data)


# ---- servers ----

class Dovecot(strict_servers.Dovecot):
    """The reference: Debian's Dovecot with TLS, in a directory of its own."""

    def __init__(self, accounts, offset, opt):
        super().__init__(accounts, offset, opt.format)
        self.imaps, self.ca = self.imap + 850, self.dir + "/cert.pem"

    def start(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=DNS:localhost", "-keyout", self.dir + "/key.pem", "-out", self.ca],
                       check=True, stderr=subprocess.DEVNULL)
        before = strict_servers.CONF
        strict_servers.CONF = before.replace("ssl = no", "ssl = yes\nssl_cert = <{dir}/cert.pem\n"
                                             "ssl_key = <{dir}/key.pem", 1).replace(
            "inet_listener imaps {{\n    port = 0", "inet_listener imaps {{\n    ssl = yes\n    port = %d"
            % self.imaps)
        try:
            return super().start()
        finally:
            strict_servers.CONF = before


class Gatehouse:
    """Through scripts/run, with the demo's CA."""
    name = "gatehouse"

    def __init__(self, accounts, offset, opt):
        self.inner = bench_servers.Gatehouse(opt.scratch, accounts, offset, None, root=ROOT,
                                             dense=opt.connections_per_process)
        self.inner.engine = opt.engine
        self.imap, self.imaps = offset + 143, offset + 993

    def start(self):
        self.inner.prepare()
        self.inner.start()
        self.ca = self.inner.ca
        strict_servers.wait_port(self.imap)
        return self

    def stop(self):
        self.inner.stop()


@contextlib.contextmanager
def start(kind, accounts, opt):
    server = (Dovecot if kind == "dovecot" else Gatehouse)(accounts, opt.base_port, opt)
    server.start()
    try:
        yield Fixture(server, opt, opt.scratch)
    finally:
        server.stop()
