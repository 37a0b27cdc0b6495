#!/usr/bin/python3
"""system - passwords of this machine's users: pam_unix by the /etc/pam.d/gatehouse that is installed, over POP, IMAP and PWD.

In a mount namespace of its own, whose /etc/passwd, /etc/shadow and /etc/pam.d are the test's. Needs root.
"""
import concurrent.futures
import contextlib
import ctypes
import ctypes.util
import imaplib
import os
import shutil
import subprocess
import tempfile
import time

import own_mounts
import suite
from desk import admin
from suite import A1, DOMAIN, PASSWORD, Line, case, check, equal, wait

SYSTEM = "of the machine"  # the password of its users
TODAY = int(time.time()) // 86400
TIMES = "%d:0:99999:7:::" % TODAY


def crypted(password, prefix="$6$"):
    lib = ctypes.CDLL(ctypes.util.find_library("crypt"))
    lib.crypt.restype = lib.crypt_gensalt.restype = ctypes.c_char_p
    salt = lib.crypt_gensalt(prefix.encode(), ctypes.c_ulong(0), None, 0)
    return lib.crypt(password.encode(), salt).decode()


# account: (what it is, number, hash, the fields of times). u9 is no user of the machine.
USERS = {
    "u1": ("sha512crypt", 2001, crypted(SYSTEM), TIMES),
    "u2": ("yescrypt", 2002, crypted(SYSTEM, "$y$"), TIMES),
    "u3": ("locked", 2003, "!" + crypted(SYSTEM), TIMES),
    "u4": ("the account has expired", 2004, crypted(SYSTEM), "%d:0:99999:7::%d:" % (TODAY, TODAY - 1)),
    "u5": ("the password must be changed", 2005, crypted(SYSTEM), "0:0:99999:7:::"),
    "u6": ("the password was to be changed long ago", 2006, crypted(SYSTEM), "%d:0:10:7:5::" % (TODAY - 100)),
    "u7": ("it has no password", 2007, "*", TIMES),
    "u8": ("a user of the system itself", 999, crypted(SYSTEM), TIMES),
}
RIGHT = ("u1", "u2")


ROWS = {"passwd": "{0}:x:{2}:65534::/nonexistent:/usr/sbin/nologin\n", "shadow": "{0}:{3}:{4}\n"}


def write_users(s):
    """Into the files that lie over the machine's, which stay the same files."""
    for name, row in ROWS.items():
        with open(os.path.join(s.dir, name), "w", encoding="utf-8") as f:
            f.write(s.machine[name] + "".join(row.format(user, *fields) for user, fields in USERS.items()))


def bind(what, over):
    subprocess.run(["mount", "--bind", what, over], check=True)


def prepare(s):
    """The files in place, and gatehouse-pam as its unit starts it, but that it listens by itself."""
    s.machine = {}
    for name in ROWS:
        with open("/etc/" + name, encoding="utf-8") as f:
            s.machine[name] = f.read()
    write_users(s)
    for name in ROWS:
        bind(os.path.join(s.dir, name), "/etc/" + name)
    services = os.path.join(s.dir, "pam.d")
    shutil.copytree("/etc/pam.d", services)
    shutil.copy(os.path.join(s.root, "etc/pam.d/gatehouse"), services)
    bind(services, "/etc/pam.d")
    s.ctl("domain", "create", "client.test")
    s.ctl("account", "import", "-", stdin="u1@client.test:{PLAIN}%s\n" % PASSWORD)
    admin(s, "UpdateServerAccountDefaults {UseSysPassword=YES;FailedLoginFlow=(1000,1h);}")
    return subprocess.Popen([os.path.join(s.root, "usr/lib/gatehouse/gatehouse-pam"), "--listen", s.pam],
                            stdin=subprocess.DEVNULL)


# ---- logins: True, False, or None when it cannot be said now ----

def pop(s, user, password):
    try:
        s.pop(user, password).quit()
        return True
    except suite.poplib.error_proto as e:
        return said(e.args[0].decode(), "[AUTH]", "[SYS/TEMP]")


def imap(s, user, password):
    m = imaplib.IMAP4(A1, s.port(143), timeout=60)
    try:
        m.login(user, password)
        return True
    except imaplib.IMAP4.error as e:
        return said(str(e), "[AUTHENTICATIONFAILED]", "[UNAVAILABLE]")
    finally:
        m.shutdown()


def pwd(s, user, password):
    with Line((A1, s.port(106))) as c:
        c.want(None, "200 ")
        c.want("USER " + user, "300 ")
        answer = c.ask("PASS " + password)
    return answer.startswith("200 ") or said(answer, "wrong name or password", "not possible now")


def said(text, no, later):
    check(no in text or later in text, "it says %s", text)
    return None if later in text else False


DOORS = (pop, imap, pwd)


def opens(s, *tries, doors=DOORS[:1]):
    """{door: what becomes of each (user, password)}. All at once, as a wrong one is answered after a second. A machine that
    is too busy for PAM says "try later": asked again."""
    def one(door, user, password):
        found = []

        def told():
            found[:] = [door(s, user, password)]
            return found[0] is not None

        wait(told, 60, "a word of PAM's")
        return found[0]

    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        jobs = {door.__name__: [pool.submit(one, door, *each) for each in tries] for door in doors}
        return {door: [j.result() for j in of] for door, of in jobs.items()}


def same(want, doors=DOORS[:1]):
    return {door.__name__: want for door in doors}


@case("the password of a user of the machine opens the account of that name, by POP, IMAP and PWD; another does not")
def right(s):
    for user in RIGHT:
        equal(opens(s, *((user, p) for p in (SYSTEM, SYSTEM + "x", PASSWORD, SYSTEM + "@" + DOMAIN)), doors=DOORS),
              same([True, False, True, False], DOORS), "logins of %s (%s)" % (user, USERS[user][0]))

    def granted():
        lines = [x for x in s.log_text().splitlines() if " auth.granted " in x and " source=system " in x]
        return {u for u in RIGHT if any(" user=%s@%s " % (u, DOMAIN) in x for x in lines)}
    wait(lambda: granted() == set(RIGHT), 60, "the lines of who was let in by the system")


@case("locked, expired, without password, of the system itself, or no user at all: the right password opens nothing, the own one does")
def wrong(s):
    users = [user for user in [*USERS, "u9"] if user not in RIGHT]
    equal(opens(s, *((user, SYSTEM) for user in users), doors=DOORS), same([False] * len(users), DOORS), "logins of %s" % users)
    equal(opens(s, *((user, PASSWORD) for user in users)), same([True] * len(users)), "logins with the own password")


@case("users of the machine are accounts of the Main Domain, and of those whose settings say so")
def whose(s):
    equal(opens(s, ("u1@client.test", SYSTEM), ("u1@client.test", PASSWORD)), same([False, True]), "logins in another domain")
    admin(s, "UpdateAccountSettings u1 {UseSysPassword=NO;}")
    equal(opens(s, ("u1", SYSTEM), ("u1", PASSWORD)), same([False, True]), "logins without UseSysPassword")
    admin(s, "UpdateAccountSettings u1 {UseSysPassword=YES;UseAppPassword=NO;}")
    equal(opens(s, ("u1", SYSTEM), ("u1", PASSWORD)), same([True, False]), "logins without UseAppPassword")
    admin(s, "UpdateAccountSettings u1 {UseSysPassword=default;UseAppPassword=default;}")


@case("what changes in the shadow file counts at the next login: another password, a lock")
def changed(s):
    what, number, _, times = USERS["u1"]
    for hashed, want in ((crypted("another one"), [False, True]), ("!" + crypted("another one"), [False, False]),
                         (crypted(SYSTEM), [True, False])):
        USERS["u1"] = (what, number, hashed, times)
        write_users(s)
        equal(opens(s, ("u1", SYSTEM), ("u1", "another one")), same(want), "logins")


@case("without gatehouse-pam it is \"try later\" for who is no own password, and own passwords open as ever")
def gone(s):
    s.helper.kill()
    s.helper.wait(60)
    wait(lambda: pop(s, "u1", SYSTEM) is None, 60, "try later")
    equal([door(s, "u1", PASSWORD) for door in DOORS], [True] * 3, "logins with the own password")


@case("no password of the machine is in the log")
def log(s):
    check(SYSTEM not in s.log_text() and "another one" not in s.log_text(), "one is")


def run(build):
    with contextlib.ExitStack() as stack:
        where = stack.enter_context(tempfile.TemporaryDirectory(prefix="gh-e2e-"))
        s = suite.Suite(build, 21100, accounts=9, settings=("pam_helper = " + os.path.join(where, "pam.sock"), "log_level = debug"))
        s.pam = os.path.join(where, "pam.sock")
        stack.enter_context(s)
        s.helper = prepare(s)
        stack.callback(s.helper.wait, 60)
        stack.callback(s.helper.kill)
        return suite.play(s)


if __name__ == "__main__":
    own_mounts.main(run, "an own /etc/passwd in the machine's place")
