#!/usr/bin/python3
"""run - plays wire transcripts against the pure cores, or against a running suite.

    run.py --core PROGRAM [FILE...]           PROGRAM is build/tests/wire/wire-core; each file runs
                                              whole, then with the core fed byte by byte
    run.py --live HOST --port-offset N [--ca CA.PEM] [--admin SOCKET] [FILE...]
                                              the suite that `scripts/run` started, with accounts
                                              u1..u4 and password gatehouse; files that say
                                              `live: no` are counted as left out

Without files: all of tests/wire/*/*.wire (beside this script). A file is a small transcript:

    what: the sentence that is false when this fails
    mail: u1 one two          messages of tests/wire/mail that are in the mailbox before
    begin: select INBOX       (IMAP) what is said first on connection 1: "login" as u1, then maybe a mailbox
    also: select INBOX        (IMAP) the same on a second connection, which lines with a 2 are for
    options: tls-offered      what the connection is like (also quota=N, no-plain; tls from the first byte;
                              submission: for who logs in)
    live: no                  only the pure core can be brought to this
    split: no                 what comes in one piece must not be taken apart

    < +OK *                   a line of the server's; * matches anything, '< ...' any lines
    <: ...                    a line of the server's, letter by letter
    > USER u1                 a line of ours, CR LF added
    >> x\\n.\\r\\n               bytes of ours, with \\r \\n \\t \\\\ \\xNN
    tls                       TLS begins here
    2< 2<: 2> 2>>             (IMAP) the same on the second connection
    eof                       the server closes
    control timeout           (core only) see wire-core.c
    stored u2 1 text\\r\\n      afterwards the last of u2's messages, now 1, ends with this text, and
                              nothing but our two trace fields is before it

In lines of ours {b64:TEXT} is base64 of TEXT (with \\x00 and so on), {apop:PASSWORD} the digest over
the greeting's stamp and PASSWORD, {validity} the last UIDVALIDITY that the server told, {emailid} the
last EMAILID, this one also in lines of the server's.
"""
import argparse
import base64
import fnmatch
import glob
import hashlib
import os
import poplib
import re
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
poplib._MAXLINE = 1 << 20  # ours to test, not the library's to refuse
PASSWORD = "gatehouse"
DOMAIN = "example.test"


class Failed(Exception):
    pass


def unescape(text):
    return text.encode("utf-8").decode("latin-1").encode("latin-1").decode("unicode_escape").encode("latin-1")


class Script:
    def __init__(self, path):
        self.path = path
        self.protocol = os.path.basename(os.path.dirname(path))
        self.head = {"what": "", "mail": [], "options": [], "live": "yes", "split": "yes", "begin": "", "also": ""}
        if self.protocol == "imap":
            self.head["live"] = "no"  # most tell uids; those that do not say "live: yes"
        self.steps = []
        in_head = True
        with open(path, encoding="utf-8") as f:
            for number, line in enumerate(f, 1):
                line = line.rstrip("\n")
                if in_head and line and not line.startswith("#"):
                    key, _, value = line.partition(":")
                    if key not in self.head:
                        raise SystemExit("%s:%d: unknown header %s" % (path, number, key))
                    if isinstance(self.head[key], list):
                        self.head[key] += value.split()
                    else:
                        self.head[key] = value.strip()
                elif not line:
                    in_head = False
                elif not line.startswith("#"):
                    word, _, rest = line.partition(" ")
                    self.steps.append((number, word, rest))
        if not self.head["what"]:
            raise SystemExit("%s: no 'what:'" % path)

    def mails(self):
        """(user number, path) of the messages that are there before."""
        user, out = None, []
        for word in self.head["mail"]:
            if re.fullmatch("u[1-9]", word):
                user = int(word[1:])
            else:
                out.append((user, os.path.join(HERE, "mail", word + ".eml")))
        return out

    def users(self):
        found = {int(w[1:]) for w in self.head["mail"] if re.fullmatch("u[1-9]", w)}
        found |= {int(rest[1]) for _, word, rest in self.steps if word == "stored"}
        return sorted(found)


class CoreLink:
    """The core in a program on two pipes."""

    def __init__(self, script, program, split):
        self.dir = tempfile.TemporaryDirectory()
        ours, theirs = socket.socketpair()
        self.control_sock = ours
        if script.protocol == "imap":
            program = os.path.join(os.path.dirname(program), "wire-imap")
        args = [program, script.protocol, "--control", str(theirs.fileno()), "--dump", self.dir.name]
        pass_fds, self.also = [theirs.fileno()], None
        if script.head["also"]:
            self.also, other = socket.socketpair()
            self.also.settimeout(20)
            self.also_file = self.also.makefile("rb")
            args += ["--also", str(other.fileno())]
            pass_fds.append(other.fileno())
        args += ["--" + o for o in script.head["options"]]
        if split:
            args += ["--split", "1"]
        for user, path in script.mails():
            args += ["--mail", str(user), path]
        self.p = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=pass_fds)
        theirs.close()
        if self.also:
            other.close()
        self.control_sock.settimeout(10)

    def readline(self):
        return self.p.stdout.readline()

    def send(self, data):
        try:
            self.p.stdin.write(data)
            self.p.stdin.flush()
        except BrokenPipeError:
            pass  # the next line that is awaited tells

    def readline2(self):
        return self.also_file.readline()

    def send2(self, data):
        self.also.sendall(data)

    def tls(self):
        pass

    def control(self, command):
        command = re.sub(r"(deliver \w+) (\w+)", lambda m: "%s %s" % (m[1], os.path.join(HERE, "mail", m[2] + ".eml")), command)
        self.control_sock.sendall(command.encode())
        if self.control_sock.recv(16) != b"done\n":
            raise Failed("control %s failed" % command)

    def end(self):
        try:
            self.p.stdin.close()
        except BrokenPipeError:
            pass
        self.p.stdout.read()
        if self.p.wait(20) != 0:
            raise Failed("the core ended with status %d" % self.p.returncode)
        self.control_sock.close()

    def stored(self, user):
        paths = glob.glob(os.path.join(self.dir.name, "%d.*" % user))
        paths.sort(key=lambda p: int(p.rsplit(".", 1)[1]))
        out = []
        for path in paths:
            with open(path, "rb") as f:
                out.append(f.read())
        return out

    def free(self):
        self.p.stdout.close()
        self.dir.cleanup()


class LiveLink:
    """A connection to the running suite; mailboxes are filled by LMTP and looked at by POP."""

    def __init__(self, script, opt):
        self.opt = opt
        for user in script.users():
            self.empty(user)
        for user, path in script.mails():
            self.deliver(user, path)
        tls = "tls" in script.head["options"]
        if script.protocol == "admin":
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(20)
            self.sock.connect(opt.admin)
            self.file = self.sock.makefile("rb")
            return
        port = {"imap": 143, "pop3": 110, "lmtp": 24, "smtp": 25, "pwd": 106}[script.protocol]
        if script.protocol == "smtp" and "submission" in script.head["options"]:
            port = 465 if tls else 587
        if script.protocol == "pwd" and tls:
            port = 996
        self.sock = socket.create_connection((opt.live, port + opt.port_offset), timeout=20)
        self.file = self.sock.makefile("rb")
        if tls:
            self.tls()

    def pop(self, user):
        p = poplib.POP3(self.opt.live, 110 + self.opt.port_offset, timeout=20)
        p.user("u%d" % user)
        p.pass_(PASSWORD)
        return p

    def empty(self, user):
        p = self.pop(user)
        for i in range(1, p.stat()[0] + 1):
            p.dele(i)
        p.quit()

    def deliver(self, user, path):
        with open(path, "rb") as f:
            data = f.read()
        with smtplib.LMTP(self.opt.live, 24 + self.opt.port_offset, timeout=20) as s:
            s.ehlo("wire.test")
            s.sendmail("wire@example.org", ["u%d@%s" % (user, DOMAIN)], data)

    def readline(self):
        return self.file.readline()

    def send(self, data):
        try:
            self.sock.sendall(data)
        except OSError:
            pass

    def tls(self):
        context = ssl.create_default_context(cafile=self.opt.ca)
        self.file.close()
        self.sock = context.wrap_socket(self.sock, server_hostname="localhost")
        self.file = self.sock.makefile("rb")

    def control(self, command):
        raise Failed("a live server cannot be told: %s" % command)

    def end(self):
        self.file.close()
        self.sock.close()

    def stored(self, user):
        p = self.pop(user)
        out = []
        for i in range(1, p.stat()[0] + 1):
            # poplib takes the line ends off.
            out.append(b"".join(line + b"\r\n" for line in p.retr(i)[1]))
        p.quit()
        return out

    def free(self):
        pass


def behind_trace(message):
    m = re.match(rb"Return-Path: <[^\r\n]*>\r\nReceived: [^\r\n]*\r\n([ \t][^\r\n]*\r\n)*", message)
    if m is None:
        raise Failed("the trace fields are missing: %r" % message[:100])
    return message[m.end():]


class Player:
    def __init__(self, script, link):
        self.script, self.link, self.stamp, self.any, self.closed = script, link, b"", False, False
        self.validity = self.emailid = ""

    def expand(self, text):
        text = text.replace("{validity}", self.validity).replace("{emailid}", self.emailid)
        text = re.sub(r"\{b64:([^}]*)\}", lambda m: base64.b64encode(unescape(m[1])).decode(), text)
        return re.sub(
            r"\{apop:([^}]*)\}", lambda m: hashlib.md5(self.stamp + m[1].encode()).hexdigest(), text)

    def opening(self, how, which):
        """Greeting, LOGIN as u1, and maybe a SELECT, whose answers nobody looks at."""
        self.step(which + "<", "\\* OK *")
        command, _, name = how.partition(" ")
        self.step(which + ">", "begin1 LOGIN u1 gatehouse")
        self.step(which + "<", "begin1 OK *")
        if command != "login":
            self.step(which + ">", "begin2 %s %s" % (command, name))
            self.step(which + "<", "...")
            self.step(which + "<", "begin2 OK *")

    def expect(self, pattern, exact=False, readline=None):
        if pattern == "..." and not exact:
            self.any = True
            return
        pattern = pattern.replace("{emailid}", self.emailid)
        seen = []
        while True:
            line = (readline or self.link.readline)()
            if not line.endswith(b"\r\n"):
                raise Failed("awaited %r, and the server closed after %r" % (pattern, seen + [line]))
            text = line[:-2].decode("utf-8", "backslashreplace")
            validity = re.search(r"UIDVALIDITY (\d+)", text)
            self.validity = validity[1] if validity else self.validity
            emailid = re.search(r"EMAILID \((\w+)\)", text)
            self.emailid = emailid[1] if emailid else self.emailid
            stamp = re.match(rb"(?:\+OK|200) .*(<[^>]+>)\r\n", line)
            if stamp and not self.stamp:
                self.stamp = stamp[1]
            seen.append(text)
            if text == pattern if exact else fnmatch.fnmatchcase(text, pattern.replace("[", "[[]").replace("\\*", "[*]")):
                break
            if not self.any:
                raise Failed("awaited %r, got %r" % (pattern, text))
        self.any = False

    def step(self, word, rest):
        if word == "<":
            self.expect(rest)
        elif word == "<:":
            self.expect(rest, exact=True)
        elif word in ("2<", "2<:"):
            self.expect(rest, exact=word == "2<:", readline=self.link.readline2)
        elif word in ("2>", "2>>"):
            self.link.send2(self.expand(rest).encode("utf-8") + b"\r\n" if word == "2>" else unescape(self.expand(rest)))
        elif word == ">":
            self.link.send(self.expand(rest).encode("utf-8") + b"\r\n")
        elif word == ">>":
            self.link.send(unescape(self.expand(rest)))
        elif word == "tls":
            self.link.tls()
        elif word == "control":
            self.link.control(rest)
        elif word == "eof":
            line = self.link.readline()
            if line:
                raise Failed("awaited the end, got %r" % line)
        elif word == "stored":
            if not self.closed:
                self.link.end()
                self.closed = True
            user, count, *text = rest.split(" ", 2)
            got = self.link.stored(int(user[1:]))
            if len(got) != int(count):
                raise Failed("%s has %d messages, not %s" % (user, len(got), count))
            if text and behind_trace(got[-1]) != unescape(text[0]):
                raise Failed("%s has %r" % (user, behind_trace(got[-1])))
        else:
            raise Failed("unknown step %s" % word)

    def play(self):
        try:
            if self.script.head["begin"]:
                self.opening(self.script.head["begin"], "")
            if self.script.head["also"]:
                self.opening(self.script.head["also"], "2")
            for number, word, rest in self.script.steps:
                try:
                    self.step(word, rest)
                except Failed as e:
                    raise Failed("line %d: %s" % (number, e)) from None
            if not self.closed:
                self.link.end()
        finally:
            self.link.free()


def run_one(script, make_link):
    try:
        Player(script, make_link(script)).play()
        return None
    except (Failed, OSError, poplib.error_proto, smtplib.SMTPException) as e:
        return str(e)


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--core")
    a.add_argument("--live")
    a.add_argument("--port-offset", type=int, default=10000)
    a.add_argument("--ca")
    a.add_argument("--admin", help="path of the administration socket")
    a.add_argument("files", nargs="*")
    opt = a.parse_args()
    files = opt.files or sorted(glob.glob(os.path.join(HERE, "*", "*.wire")))
    makers = []
    if opt.core:
        makers += [("whole", lambda s: CoreLink(s, opt.core, False)),
                   ("byte by byte", lambda s: CoreLink(s, opt.core, True))]
    if opt.live:
        makers += [("live", lambda s: LiveLink(s, opt))]
    if not makers or not files:
        a.error("nothing to run")
    passed = failed = left_out = 0
    for path in files:
        script = Script(path)
        for how, make in makers:
            if how == "live" and script.head["live"] == "no":
                left_out += 1
                continue
            if how == "byte by byte" and script.head["split"] == "no":
                continue
            why = run_one(script, make)
            if why is None:
                passed += 1
            else:
                failed += 1
                print("FAILED %s (%s): %s\n    %s" % (os.path.relpath(path), how, script.head["what"], why))
    if left_out:
        print("%d are for the core only" % left_out)
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
