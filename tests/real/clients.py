"""Unmodified POP3 clients with their default options: each fetches a whole mailbox.

A client is a function (account, server, how, scratch) -> list of messages, byte for byte as the program
left them. `how` is plain, stls or tls; CLIENTS says what each program can do. What becomes of line ends,
and what a program writes on top, expected.py says.
"""
import os
import poplib
import pwd
import re
import shutil
import ssl
import subprocess
import tempfile

import octets

PASSWORD = "gatehouse"
TIMEOUT_S = 600


class ClientFailed(Exception):
    pass


def run(cmd, scratch, ok=(0,), **kw):
    env = dict(os.environ, HOME=scratch, FETCHMAILHOME=scratch, LC_ALL="C.UTF-8")
    done = subprocess.run(cmd, capture_output=True, timeout=TIMEOUT_S, env=env, cwd=scratch, **kw)
    if done.returncode not in ok:
        raise ClientFailed("%s: exit %d: %s" % (os.path.basename(cmd[0]), done.returncode, (
            done.stdout[-200:] + b" / " + done.stderr[-400:]).decode("latin-1")))
    return done


def private(path, text):
    with open(path, "w") as f:
        os.fchmod(f.fileno(), 0o600)
        f.write(text)
    return path


def read(path):
    with open(path, "rb") as f:
        return f.read()


def fetched(folder):
    """Files of a folder in the order of their names."""
    return [read(os.path.join(folder, name)) for name in sorted(os.listdir(folder))]


def curl(account, server, how, scratch):
    scheme, port = ("pop3s", "pop3s") if how == "tls" else ("pop3", "pop3")
    base = "%s://localhost:%d/" % (scheme, server.ports[port])
    common = ["curl", "-sS", "-4", "-u", "%s:%s" % (account, PASSWORD), "--cacert", server.ca]
    common += ["--ssl-reqd"] if how == "stls" else []
    count = len(run(common + [base], scratch).stdout.splitlines())
    if count == 0:
        return []
    os.makedirs(scratch + "/out")
    run(common + [base + "[00001-%05d]" % count, "-o", scratch + "/out/#1"], scratch)
    return fetched(scratch + "/out")


def keep_script(scratch):
    """A delivery program that keeps its input, numbered by a file's size."""
    os.makedirs(scratch + "/out")
    path = private(scratch + "/keep", "#!/bin/sh\nprintf x >>%s/count\n"
                   "n=$(stat -c %%s %s/count)\ncat >%s/out/$(printf %%06d $n)\n"
                   % (scratch, scratch, scratch))
    os.chmod(path, 0o700)
    return path


def fetchmail(account, server, how, scratch, setting=""):
    port = server.ports["pop3s" if how == "tls" else "pop3"]
    # localhost also means ::1 for fetchmail, which then tries the next address by itself.
    text = "poll localhost protocol pop3 port %d %s user \"%s\" password \"%s\" " % (
        port, setting, account, PASSWORD)
    text += {"plain": "sslproto \"\" ", "stls": "sslproto \"TLS1.2+\" ", "tls": "ssl "}[how]
    text += "sslcertfile \"%s\" mda \"%s\"\n" % (server.ca, keep_script(scratch))
    run(["fetchmail", "-f", private(scratch + "/rc", text), "--nodetach", "--nosyslog", "--pidfile", scratch + "/pid"], scratch)
    return fetched(scratch + "/out")


def fetchmail_accept(account, server, how, scratch):
    return fetchmail(account, server, how, scratch, "bad-header accept")


def someone():
    """Arguments for subprocess: an ordinary user, and a home of that user's own."""
    home = tempfile.mkdtemp(prefix="gh-real-")
    if os.geteuid() != 0:
        return home, {}
    nobody = pwd.getpwnam("nobody")
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    return home, {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


GETMAIL = """import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
for d in (".getmail", "mail/cur", "mail/new", "mail/tmp"):
    os.makedirs(d, 0o700)
with open(".getmail/getmailrc", "w") as f:
    f.write(%r)
os.execvp("getmail", ["getmail"])
"""


def getmail_run(kind, port, account, ca):
    """getmail as an ordinary user, since as root it refuses to deliver; what it put into a Maildir.

    It forks a process for each delivery and misses one that ends before it began to wait: it then sits there
    for its timeout of three minutes and gives up. On one processor it gets to wait first; where it does
    not all the same, it is run again, which says so.
    """
    for _ in range(3):
        home, who = someone()
        try:
            shutil.copy(ca, home + "/ca.pem")
            os.chmod(home + "/ca.pem", 0o644)
            text = "[retriever]\ntype = %s\nserver = localhost\nport = %d\nusername = %s\npassword = %s\n" % (
                kind, port, account, PASSWORD)
            text += "ca_certs = %s/ca.pem\n" % home if "SSL" in kind else ""
            text += "[destination]\ntype = Maildir\npath = %s/mail/\n" % home
            done = subprocess.run(["python3", "-c", GETMAIL % text], capture_output=True, timeout=TIMEOUT_S, cwd=home,
                                  env=dict(os.environ, HOME=home, LC_ALL="C.UTF-8"), **who)
            if done.returncode == 0:
                names = os.listdir(home + "/mail/new")
                # SECONDS.MmicrosecondsPpidQnumberR...: its own count of deliveries.
                names.sort(key=lambda name: int(re.search(r"Q(\d+)R", name).group(1)))
                return [read(os.path.join(home, "mail/new", name)) for name in names]
            if b"waiting child pid" not in done.stderr:
                break
            print("    getmail missed the end of its delivery and is run again", flush=True)
        finally:
            shutil.rmtree(home)
    raise ClientFailed("getmail: exit %d: %s" % (done.returncode, done.stderr[-400:].decode("latin-1")))


def getmail(account, server, how, scratch):
    kind = "SimplePOP3SSLRetriever" if how == "tls" else "SimplePOP3Retriever"
    return getmail_run(kind, server.ports["pop3s" if how == "tls" else "pop3"], account, server.ca)


def mpop(account, server, how, scratch):
    port = server.ports["pop3s" if how == "tls" else "pop3"]
    text = "account x\nhost localhost\nport %d\nuser %s\npassword %s\n" % (port, account, PASSWORD)
    text += {"plain": "auth user\ntls off\n", "stls": "tls on\ntls_starttls on\n",
             "tls": "tls on\ntls_starttls off\n"}[how]
    text += "tls_trust_file %s\n" % server.ca if how != "plain" else ""
    text += "delivery mda %s\nuidls_file %s/uidls\n" % (keep_script(scratch), scratch)
    run(["mpop", "-C", private(scratch + "/rc", text), "x"], scratch)
    return fetched(scratch + "/out")


def pop_open(account, server, how):
    ctx = ssl.create_default_context(cafile=server.ca) if how != "plain" else None
    if how == "tls":
        pop = poplib.POP3_SSL("localhost", server.ports["pop3s"], timeout=60, context=ctx)
    else:
        pop = poplib.POP3("localhost", server.ports["pop3"], timeout=60)
        if how == "stls":
            pop.stls(ctx)
    pop.user(account)
    pop.pass_(PASSWORD)
    return pop


def python_poplib(account, server, how, scratch):
    """poplib hands over lines without their ends, and the number of octets that it counted itself: what it
    took for a line end was CR LF everywhere if that is two for each line more than it handed over.
    Messages whose lines are too long for it (2048 bytes) come as None."""
    pop = pop_open(account, server, how)
    count, total = pop.stat()
    sizes = [int(x.split()[1]) for x in pop.list()[1]]
    uids = [x.split()[1] for x in pop.uidl()[1]]
    if len(sizes) != count or sum(sizes) != total or len(set(uids)) != count:
        raise ClientFailed("STAT, LIST and UIDL disagree")
    out = []
    for i in range(count):
        try:
            _, lines, counted = pop.retr(i + 1)
        except poplib.error_proto as e:
            if "line too long" not in str(e):
                raise
            # Out of step with the server for good: go on in a new connection.
            pop.close()
            pop = pop_open(account, server, how)
            out.append(None)
            continue
        data = b"".join(line + b"\r\n" for line in lines)
        if len(data) != counted or counted != sizes[i]:
            raise ClientFailed("message %d: %d octets by LIST, %d by poplib's count, %d with CR LF" % (
                i + 1, sizes[i], counted, len(data)))
        out.append(data)
    pop.quit()
    return out


def raw(account, server):
    """A mailbox as it is on the wire, without any client's opinion; nothing is deleted."""
    return octets.mailbox(server.ports["pop3"], account, PASSWORD)


CLIENTS = [(curl, ("plain", "stls", "tls")),
           (fetchmail, ("plain", "stls", "tls")),
           (fetchmail_accept, ("plain", "stls", "tls")),
           (getmail, ("plain", "tls")),  # 6.18 has no STLS
           (mpop, ("plain", "stls", "tls")),
           (python_poplib, ("plain", "stls", "tls"))]
