"""words - the friendly words of gatehousectl for each command of the protocol, driven through a relay that hears what
they send; a part of ctl.py's run.
"""
import contextlib
import json
import os
import re
import select
import shlex
import socket
import threading

import later
from suite import TOP, case, check, equal

# In this order. {dir} is an empty folder, {sid} a session of u1 by POP; a line that begins with ! is refused. Behind < stands
# what is typed.
LINES = """
domain main
domain list
domain administered
domain create w0.test MailToUnknown=Rejected
domain rename w0.test w.test
domain suspend w.test
domain resume w.test
domain info w.test
domain location w.test
domain aliases w.test = v.test
domain aliases w.test
domain settings w.test MailToUnknown=Discarded
domain settings w.test
domain settings w.test --effective
settings replace domain w.test MailToUnknown=Rejected
settings set account-defaults w.test QuotaNotice=50
settings show account-defaults w.test
settings replace account-defaults w.test
settings set template w.test RealName=new
settings show template w.test
settings replace template w.test
settings set domain-defaults AccessToUnknown=Rejected
settings show domain-defaults
settings replace domain-defaults
settings set account-defaults-all QuotaAlert=70
settings show account-defaults-all
settings replace account-defaults-all
settings set server HideAccountUnknown=YES
settings show server
settings replace server
settings table
account create x@w.test 5M "RealName=X Y"
account list w.test
account rename x@w.test y@w.test
account settings y@w.test "RealName=A B"
account settings y@w.test
account settings y@w.test --effective
account setting y@w.test RealName
settings replace account y@w.test RealName=C
prefs set account y@w.test Language=english "Signature=a b"
prefs show account y@w.test
prefs show account y@w.test --effective
prefs replace account y@w.test
prefs set domain w.test Skin=plain
prefs show domain w.test
prefs replace domain w.test Skin=other
account rights y@w.test = Domain
account rights y@w.test
account info y@w.test
account info y@w.test State ID
account location y@w.test
account type y@w.test MultiMailbox
account identity y@w.test y@w.test
password set y@w.test < gatehouse
password check y@w.test < gatehouse
password tags y@w.test
alias mailboxes y@w.test = news=Work
alias mailboxes y@w.test
alias set y@w.test yy
alias list y@w.test
domain objects w.test
group create g@w.test y@w.test
group list w.test
group rename g@w.test h@w.test
group settings h@w.test Expand=NO
group show h@w.test
group delete h@w.test
forwarder create f@w.test a@else.test
forwarder list w.test
forwarder rename f@w.test ff@w.test
forwarder show ff@w.test
forwarder find w.test a@else.test
forwarder delete ff@w.test
list create l@w.test y@w.test
list list w.test
list list w.test --subscribers
list list --owner=y@w.test
list rename l@w.test ll@w.test
list show ll@w.test
list delete ll@w.test
router set - < <one> = y@w.test
router show
router settings
! router settings Any=1
route show one mail
route test one
route login one 127.0.0.1
router set -
blacklist = 192.0.2.0/24 2001:db8::1
blacklist
blacklist =
alert post server soon
alert remove server soon
alert set server "of the server" another
alert list server
alert set server
alert post domain w.test soon
alert remove domain w.test soon
alert set domain w.test one
alert list domain w.test
alert post account y@w.test soon
alert remove account y@w.test soon
alert set account y@w.test "one of its own"
alert list account y@w.test
alert list account y@w.test --effective
log write info "a line of ours"
session list
session find u1
session show {sid}
session show {sid} --domain=example.test
! session show {sid} --domain=w.test
! session kick {sid} --domain=w.test
session kick {sid} --domain=example.test --dry-run
session kick {sid} --domain=example.test
session kick u2
stat
store export y@w.test {dir}
figure show sessions
figure next
figure next sessions
figure set custom.words 3
account stat y@w.test
account stat y@w.test messages
domain stat w.test
figure reset account y@w.test
figure reset domain w.test
undelete list y@w.test
undelete restore y@w.test --dry-run
undelete restore y@w.test
undelete purge y@w.test
undelete hold y@w.test off
store stat
store compact
store scrub
store scrub --list
version
grammar
grammar RouteTrace
account delete y@w.test
domain delete w.test
"""

# Of the connection, or of the PWD port alone.
NO_WORDS = {"INLINE", "QUIT", "NOOP", "USER", "PASS", "APOP", "AUTH", "STLS", "NEWPASS"}


def said():
    """(command of the protocol, words) of the table that help and manual page are made from."""
    with open(os.path.join(TOP, "ctl", "grammar.c"), encoding="utf-8") as f:
        return re.findall(r'^\t\{ "(\w+)", "([\w ]+)" \},', f.read(), re.M)


def grammar():
    with open(os.path.join(TOP, "protocols", "admin", "verbs.c"), encoding="utf-8") as f:
        return set(re.findall(r'^\t\{ "(\w+)", "', f.read(), re.M))


class Relay:
    """A socket in front of the server's: keeps the commands that go through, lets descriptors pass."""

    def __init__(self, path, to):
        self.path, self.to, self.heard = path, to, []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self.to)
            with client, server:
                self.carry(client, server)

    def carry(self, client, server):
        kept = b""
        while True:
            for s in select.select([client, server], [], [])[0]:
                try:
                    data, fds = socket.recv_fds(s, 65536, 1)[:2]
                except ConnectionResetError:  # closed with octets unread
                    return
                if s is client:
                    kept += data
                    *lines, kept = kept.split(b"\n")
                    self.heard += [line.split()[0].decode().lower() for line in lines if line.split()]
                if not data:
                    return
                out = server if s is client else client
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    n = socket.send_fds(out, [data], fds)
                    out.sendall(data[n:])
                for fd in fds:
                    os.close(fd)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()
        os.unlink(self.path)


@case("every command of the protocol has friendly words, but those of the connection and those that are not here yet")
def has_words(s):
    later_verbs = {line.split()[0] for line in later.lines("x")}
    mine = [verb for verb, _ in said()]
    equal(sorted(grammar() - later_verbs - NO_WORDS - set(mine)), [], "commands without words")
    equal(sorted(set(mine) - grammar() | set(mine) & (later_verbs | NO_WORDS)), [], "words for nothing")
    equal(len(mine), len(set(mine)), "commands that stand twice in the table")
    with open(os.path.join(s.root, "usr/share/man/man1/gatehousectl.1"), encoding="utf-8") as f:
        page = f.read()
    rows = {r["Command"]: r for r in json.loads(s.ctl("--json", "grammar"))}
    equal(set(rows), grammar(), "what grammar lists")
    for verb, words in said():
        check(".B %s\n%s\n" % (verb, words) in page, "the manual page does not say %s", verb)
        equal(rows[verb].get("Words"), words, "the words of " + verb)
    check("not here yet" in s.ctl("grammar", "getaccountrpops"), "nothing is said of what is not here yet")


@case("these words send that command, and it is done: all of them, through a relay that hears what is sent")
def send(s):
    relay, sent = Relay(os.path.join(s.dir, "relay.sock"), s.admin), set()
    folder = os.path.join(s.dir, "exported")
    os.mkdir(folder)
    with contextlib.closing(relay), contextlib.closing(s.pop("u1")), contextlib.closing(s.pop("u2")):
        sid = json.loads(s.ctl("--json", "session", "find", "u1"))
        for line in LINES.strip().split("\n"):
            refused, text = line.startswith("! "), line.removeprefix("! ")
            text, _, typed = text.partition(" < ")
            words = shlex.split(text.replace("{sid}", sid).replace("{dir}", folder))
            del relay.heard[:]
            status, _, err = s.ctl("--socket", relay.path, *words, stdin=typed, ok=False)
            equal(status, 1 if refused else 0, "the status of %s (%s)" % (line, err))
            first = text.split()[0] if words[0] in ("stat", "blacklist", "version", "grammar") else " ".join(words[:2])
            sent |= {(verb, first) for verb in relay.heard}
    equal(sorted((verb, words) for verb, words in said() if (verb.lower(), words) not in sent), [], "commands that their words do not send")
