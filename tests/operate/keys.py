"""keys - certificates and keys that do not belong together refuse the start, and a reload changes nothing.

    keys.py BUILDDIR [TEST]

Uses the suite of tests/master (stand-ins for the daemons) with the real program keycheck.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "master"))
import rig  # noqa: E402
from rig import BUILD, expect  # noqa: E402

DEMO_CA = os.path.join(HERE, "..", "..", "scripts", "lib", "demo-ca")


def make(s, kind="p256"):
    """A good pair in the suite's directory; and another pair as c2, k2."""
    shutil.copy(os.path.join(BUILD, "authd", "keycheck", "keycheck"), s.libexec)
    for chain, key in (("chain", "key"), ("c2", "k2")):
        folder = s.dir + "/" + key + ".d"
        subprocess.run([DEMO_CA, folder, kind], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for source, target in (("cert.pem", chain), ("key.pem", key)):
            path = shutil.copy(folder + "/" + source, s.dir + "/" + target)
            os.chmod(path, 0o600)
            if s.uid:
                os.chown(path, s.uid, s.uid)


def put(s, name, text):
    with open(s.dir + "/" + name, "w", encoding="ascii") as f:
        f.write(text)


def read(s, name):
    with open(s.dir + "/" + name, encoding="ascii") as f:
        return f.read()


def refused(s, sentence):
    s.write_conf()
    for more in ((), ("--check",)):
        r = s.run(*more)
        text = r.stdout.decode()
        expect(r.returncode == 1 and sentence in text, "status %d: %s" % (r.returncode, text))
    expect(not os.path.exists(s.dir + "/admin.sock"), "a refused start made a socket")


def test_pairs_of_every_kind_are_taken(s):
    for kind in ("p256", "p384", "rsa", "ed25519"):
        make(s, kind)
        s.write_conf()
        r = s.run("--check")
        expect(r.returncode == 0, "%s: %s" % (kind, r.stdout.decode()))


def test_a_key_of_another_certificate_refuses_the_start(s):
    make(s)
    shutil.copyfile(s.dir + "/k2", s.dir + "/key")
    refused(s, "certificate c: its key does not belong to its chain\n")


def test_what_is_neither_refuses_the_start(s):
    make(s)
    good_chain, good_key = read(s, "chain"), read(s, "key")
    put(s, "key", good_chain)
    refused(s, "certificate c: its key: no private key in PEM")
    put(s, "key", good_key)
    put(s, "chain", "nothing")
    refused(s, "certificate c: its chain: ")
    put(s, "chain", good_chain + read(s, "c2"))  # not signed by the next
    refused(s, "certificate c: its chain: ")
    put(s, "chain", "x" * 200000)
    refused(s, "certificate c: its chain: ")


def test_all_that_is_wrong_is_said(s):
    make(s)
    s.sections += "certificate d {\n\tchain = %s/c2\n\tkey = %s/key\n}\n" % (s.dir, s.dir)
    s.sections += "certificate e {\n\tchain = %s/key\n\tkey = %s/key\n}\n" % (s.dir, s.dir)
    refused(s, "certificate d: its key does not belong to its chain\ncertificate e: its chain: ")


def test_a_reload_with_a_wrong_pair_changes_nothing(s):
    make(s)
    s.start()
    before = s.children()
    shutil.copyfile(s.dir + "/k2", s.dir + "/key")
    s.reload()
    s.wait_log(r"conf\.bad why=\"certificate c: its key does not belong to its chain\"")
    s.wait_log(r"conf\.kept")
    expect(s.children() == before and "stub.reload" not in s.log(), "somebody was told", s)
    shutil.copyfile(s.dir + "/c2", s.dir + "/chain")
    s.reload()
    s.wait_log(r"conf\.reload")
    expect(s.stop() == 0, "stop", s)


def test_a_reload_without_a_key_keeps_the_old_pair(s):
    make(s)
    s.start()
    before = s.children()
    os.rename(s.dir + "/key", s.dir + "/away")
    s.reload()
    s.wait_log(r'conf\.bad why="certificate c: cannot open its key %s/key: No such file or directory; '
               r'put it there, or name another in the section"' % s.dir)
    s.wait_log(r"conf\.kept")
    expect(s.children() == before and "stub.reload" not in s.log(), "somebody was told", s)
    # What starts meanwhile has the old pair.
    for name in ("signer", "pop3"):
        seen = len(re.findall(r"%s info stub\.start .*keys=1" % name, s.log()))
        os.kill(before[name], signal.SIGKILL)
        s.wait_log(r"%s info stub\.start .*keys=1" % name, seen + 1)
    os.rename(s.dir + "/away", s.dir + "/key")
    s.reload()
    s.wait_log(r"conf\.reload")
    expect(s.stop() == 0, "stop", s)


def test_a_keycheck_that_hangs_or_dies_refuses(s):
    make(s)
    for script, sentence in (("kill -SEGV $$", "failed"), ("exec sleep 60", "in time"), ("exit 0 3>&-", None)):
        with open(s.libexec + "/keycheck", "w", encoding="ascii") as f:
            f.write("#!/bin/sh\n" + script + "\n")
        s.write_conf()
        start = time.monotonic()
        r = s.run("--check")
        text = r.stdout.decode()
        expect(time.monotonic() - start < 20, "it waits for ever")
        expect((r.returncode == 0) if sentence is None else (r.returncode == 1 and sentence in text),
               "%s: status %d: %s" % (script, r.returncode, text))
    os.unlink(s.libexec + "/keycheck")
    r = s.run("--check")
    expect(r.returncode == 1 and "there is no program %s/keycheck" % s.libexec in r.stdout.decode(), r.stdout.decode())


def test_who_reads_the_configuration_holds_nothing_else(s):
    """At a reload the master has keys and sockets. A configuration that is a pipe holds the reader still."""
    make(s)
    s.start()
    text = read(s, "c.conf")
    os.unlink(s.dir + "/c.conf")
    os.mkfifo(s.dir + "/c.conf")
    if s.uid:
        os.chown(s.dir + "/c.conf", s.uid, s.uid)
    known = set(s.children().values())
    s.process.send_signal(signal.SIGHUP)
    fd = os.open(s.dir + "/c.conf", os.O_WRONLY)
    try:
        end, found = time.monotonic() + 10, []
        while not found and time.monotonic() < end:
            time.sleep(0.1)
            with open("/proc/%d/task/%d/children" % (s.process.pid, s.process.pid), encoding="ascii") as f:
                found = [int(pid) for pid in f.read().split() if int(pid) not in known]
        expect(len(found) == 1, "not one reader: %s" % found)
        time.sleep(0.3)
        held = {n: os.readlink("/proc/%d/fd/%s" % (found[0], n)) for n in os.listdir("/proc/%d/fd" % found[0])}
        more = {n: what for n, what in held.items() if n not in ("0", "1", "2")}
        expect(all(what.startswith("pipe:") or what == s.dir + "/c.conf" or what.endswith("/empty")
                   for what in more.values()) and len(more) <= 3, "it holds %s" % more)
    finally:
        os.write(fd, text.encode())
        os.close(fd)
    s.wait_log(r"conf\.reload")
    expect(s.stop() == 0, "stop", s)


if __name__ == "__main__":
    sys.exit(rig.main(globals()))
