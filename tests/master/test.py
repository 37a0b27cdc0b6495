"""test - the life of the suite under the master, with stand-ins for the daemons (stub.c).

    test.py BUILDDIR

As root everything runs twice: with the whole sandbox, and as an ordinary user.
"""
import os
import re
import signal
import socket
import subprocess
import sys
import time

import places
import rig
from rig import NAMES, SANITIZED, expect

PAIRS = [("pop3", "logd"), ("smtp", "logd"), ("admin", "logd"), ("metrics", "logd"), ("pop3", "signer"), ("smtp", "signer"),
         ("pop3", "authd"), ("smtp", "authd"), ("admin", "authd"), ("smtp", "routerd"), ("smtp", "stored"),
         ("authd-worker", "authd"), ("routerd", "authd"), ("authd", "stored"), ("routerd", "stored"),
         ("parsed", "stored"), ("stored-external", "stored")]
DIRS = {"stored": 1, "authd": 1, "routerd": 1}
LISTENERS = {"pop3": 2, "smtp": 1, "admin": 1, "metrics": 1}
KEYS = {"signer": 1, "pop3": 1, "smtp": 1, "admin": 1, "metrics": 1}


def test_bad_file_refuses_to_start(s):
    s.write_conf("main_domain = example.test\nlog_levle = info\nengine = disk\n")
    for more in ((), ("--check",)):
        r = s.run(*more)
        text = r.stdout.decode()
        expect(r.returncode == 1, "status %d: %s" % (r.returncode, text))
        expect(s.dir + '/c.conf:2: unknown key "log_levle"; the nearest is "log_level"\n' in text, text)
        expect(s.dir + "/c.conf:3: engine must be one of: lmdb memory\n" in text, text)
    expect(not os.path.exists(s.dir + "/data"), "a refused start made a data directory")


def test_good_file_passes_check(s):
    s.write_conf()
    r = s.run("--check")
    expect(r.returncode == 0, r.stdout.decode())


def test_check_looks_at_what_the_file_names(s):
    s.sections += "listener admin {\n\tsocket = %s/b.sock\n\towner = nosuchuser\n\tgroup = nosuchgroup\n}\n" % s.dir
    s.write_conf()
    os.unlink(s.dir + "/chain")
    os.unlink(s.dir + "/key")
    os.mkdir(s.dir + "/key")
    for more in ((), ("--check",)):
        r = s.run(*more)
        text = r.stdout.decode()
        expect(r.returncode == 1, "status %d: %s" % (r.returncode, text))
        expect("certificate c: cannot open its chain %s/chain: No such file" % s.dir in text, text)
        expect("certificate c: its key %s/key is no file\n" % s.dir in text, text)
        expect("there is no user nosuchuser" in text and "there is no group nosuchgroup" in text, text)
    expect(not os.path.exists(s.dir + "/data"), "a refused start made a data directory")


def test_starts_and_stops_in_order(s):
    s.start()
    children = s.children()
    expect(set(children) == set(NAMES), "running: %s" % children, s)
    for port in s.ports:
        socket.create_connection(("127.0.0.1", port), 5).close()
    expect(os.stat(s.dir + "/admin.sock").st_mode & 0o777 == 0o660, "mode of the admin socket")
    pid = s.process.pid
    with open(s.dir + "/run/gatehouse.pid", encoding="ascii") as f:
        expect(int(f.read()) == pid, "pid file")
    second = s.run()
    expect(second.returncode == 1 and b"running already" in second.stdout, second.stdout.decode())
    expect(s.stop() == 0, "stop", s)
    for name, child in children.items():
        expect(not os.path.exists("/proc/%d" % child), "%s still runs" % name, s)
    expect(not os.path.exists(s.dir + "/admin.sock"), "the admin socket is left")
    expect(os.path.getsize(s.dir + "/run/gatehouse.pid") == 0, "the pid file still names a process")


def test_every_process_comes_back(s):
    s.start()
    for name in NAMES:
        before = s.children()[name]
        seen = s.ready_count(name)
        os.kill(before, signal.SIGKILL)
        s.wait_log(r"master\.child name=%s " % name, seen + 1)
        expect(s.children()[name] != before, "%s has its old pid" % name, s)
        expect(re.search(r'master\.death name=%s why="ended by signal 9"' % name, s.log()), "no word of it", s)
    s.wait_all()
    check_descriptors(s)
    expect(s.stop() == 0, "stop", s)


def links(pid):
    folder = "/proc/%d/fd" % pid
    found = {}
    for fd in os.listdir(folder):
        try:
            found[int(fd)] = os.readlink(os.path.join(folder, fd))
        except FileNotFoundError:
            pass
    return found


def check_descriptors(s):
    """Each process holds exactly what it may: standard three, control, log, its loop, its peers, its own."""
    if s.uid or SANITIZED:
        return  # not dumpable: only root may look; and sanitizers hold one more
    time.sleep(0.2)
    for name, pid in s.children().items():
        held = links(pid)
        peers = sum(name in pair for pair in PAIRS)
        want = {"/dev/null": 3, "socket": 2 + peers + LISTENERS.get(name, 0),
                "anon": 1, "pipe": 2, "dir": DIRS.get(name, 0), "file": KEYS.get(name, 0)}
        if name == "logd":
            # the log itself; every process's log channel and the attach channel of the master
            want["file"] = 1
            want["socket"] += len(NAMES) + 1 + 1
        got = dict.fromkeys(want, 0)
        for target in held.values():
            if target == "/dev/null":
                got[target] += 1
            elif target.startswith("socket:"):
                got["socket"] += 1
            elif target.startswith("anon_inode:"):
                got["anon"] += 1
            elif target.startswith("pipe:"):
                got["pipe"] += 1  # the loop's own, for signals
            elif target.startswith(s.dir + "/data/") or target == "/":
                got["dir"] += 1
            else:
                got["file"] += 1
        expect(got == want, "%s holds %s, wants %s: %s" % (name, got, want, held))


def test_processes_are_confined(s):
    s.start()
    check_descriptors(s)
    users = set()
    for name, pid in s.children().items():
        with open("/proc/%d/status" % pid, encoding="ascii") as f:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
        expect(int(status["CapEff"], 16) == 0, name + " has capabilities")
        expect(status["NoNewPrivs"].strip() == "1", name + " may gain rights")
        expect(status["Seccomp"].strip() == "2", name + " has no filter")
        users.add(status["Uid"].split()[0])
    missing = re.findall(r"master\.child name=\S+ .* missing=(\S+)", s.log())
    if s.uid:
        expect(users == {str(s.uid)}, "users %s" % users)
        expect(all(m != '""' for m in missing), "what is missing is not named: %s" % missing)
    else:
        expect(len(users) == len(NAMES) and "0" not in users, "users are shared: %s" % users)
        expect(all(m == '""' for m in missing), "layers are missing: %s" % missing)
    expect(s.stop() == 0, "stop", s)


def test_reload_does_what_the_row_says(s):
    s.start()
    before = s.children()
    s.lines["pop3_idle_timeout"] = "1m"
    s.reload()
    s.wait_log(r"pop3 info stub\.reload level=info")
    expect(s.children() == before, "a change for new connections restarted somebody", s)
    s.lines["engine"] = "lmdb"
    counts = {n: s.ready_count(n) for n in NAMES}
    s.reload()
    for name in ("stored", "authd", "routerd"):
        s.wait_log(r"master\.child name=%s " % name, counts[name] + 1)
    after = s.children()
    for name in NAMES:
        changed = before[name] != after[name]
        expect(changed == (name in ("stored", "authd", "routerd")), name + " restarted or not", s)
    s.lines["data_dir"] = s.dir + "/elsewhere"
    s.reload()
    s.wait_log(r"master\.later what=data_dir")
    s.wait_log(r"conf\.reload", 3)
    expect(s.stop() == 0, "stop", s)


def test_a_moved_data_folder_waits_for_the_next_start(s):
    s.start()
    old = s.lines["data_dir"]
    s.lines["data_dir"] = s.dir + "/elsewhere"
    s.lines["engine"] = "lmdb"
    seen = s.ready_count("stored")
    s.reload()
    s.wait_log(r"master\.later what=data_dir")
    s.wait_log(r"master\.child name=stored ", seen + 1)
    expect(os.path.isdir(old) and not os.path.exists(s.dir + "/elsewhere"), "stored was given other data", s)
    expect(s.stop() == 0, "stop", s)


def test_death_before_ready_is_a_fault(s):
    s.lines["host_name"] = "dies-early"
    s.write_conf()
    r = s.run()
    text = r.stdout.decode()
    expect(r.returncode == 1 and "did not start: was told to die early" in text, text)
    del s.lines["host_name"]
    os.remove(s.libexec + "/parsed")
    s.write_conf()
    r = s.run()
    expect(r.returncode == 1 and b"parsed did not start: there is no program" in r.stdout, r.stdout.decode())


# What may fail while a process is started, and how often it works before that. Each with a process of its
# own, which has not died before and comes back soon.
SHORT = {"pop3": "pidfd_open 0", "smtp": "event_new 0", "admin": "event_add 0", "signer": "ipc_chan_new 0",
         "parsed": "ipc_pair 0", "authd": "ipc_pair 3", "metrics": "fcntl 0", "stored": "ipc_pair 2", "logd": "ipc_pair 3"}


def test_a_process_that_cannot_be_set_up_is_started_again(s):
    s.use_short()
    s.start()
    before = s.children()
    held = []
    for name, short in SHORT.items():
        ready, told = s.ready_count(name), r"proc\.fail name=%s why=" % name
        with s.short_of(short):
            os.kill(before[name], signal.SIGKILL)
            s.wait_log(told, 2 if name == "pop3" else 1, 60)
            expect(s.ready_count(name) == ready, "%s: %s runs all the same" % (short, name), s)
        s.wait_log(r"master\.child name=%s " % name, ready + 1, 60)
        s.wait_all(60)
        if not (s.uid or SANITIZED):
            held.append(len(links(s.process.pid)))
    check_descriptors(s)
    expect(len(set(held)) <= 1, "the supervisor holds ever more descriptors: %s" % held)
    expect('why="it cannot be set up: Too many open files"' in s.log(), "no reason in the log", s)
    for name, pid in s.children().items():
        expect((before[name] == pid) == (name not in SHORT), "%s was restarted or not" % name, s)
    expect(s.stop() == 0, "stop", s)


def test_a_process_that_cannot_be_set_up_holds_up_no_stop(s):
    s.use_short()
    s.start()
    for short in ("pidfd_open 0", "ipc_chan_new 0"):
        with s.short_of(short):
            os.kill(s.children()["pop3"], signal.SIGKILL)
            s.wait_log(r"proc\.fail name=pop3 why=", 1)
            expect(s.stop() == 0, "stop", s)
        with s.short_of(short):
            s.write_conf()
            r = s.run()
            text = r.stdout.decode()
            expect(r.returncode == 1 and re.search(r"\S+ did not start: it cannot be set up: ", text), text)
        open(s.log_path, "w").close()
        s.start()
    expect(s.stop() == 0, "stop", s)


def test_a_process_that_hangs_before_it_is_ready_is_tried_again(s):
    s.lines["start_timeout"] = "3s"
    s.start()
    others = s.children()
    s.lines["host_name"] = "hangs-early"
    s.reload()
    # Each of them is ended and started anew, and again after that.
    for name in ("pop3", "admin"):
        s.wait_log(r'master\.killed name=%s why="is not ready and does not get on"' % name, 2, 60)
    s.wait_log(r'master\.fault name=pop3 why="it hangs: not ready, and no progress, for \d+ s \(start_timeout\); look at ', 2)
    expect(s.ready_count("pop3") == 1, "a process that hangs is ready", s)
    expect(s.children()["authd-worker"] == others["authd-worker"], "somebody else was replaced", s)
    del s.lines["host_name"]
    s.reload()
    for name in ("pop3", "smtp", "admin", "metrics", "authd"):
        s.wait_log(r"master\.child name=%s " % name, 2, 60)
    s.wait_all(60)
    expect(s.stop() == 0, "stop", s)


def test_a_process_that_hangs_at_the_start_ends_it(s):
    s.lines["start_timeout"], s.lines["host_name"] = "1s", "hangs-early"
    s.write_conf()
    text = s.run().stdout.decode()
    expect(re.search(r"gatehouse: \S+ did not start: it hangs: not ready, and no progress, for ", text), text)


def test_who_says_that_it_gets_on_is_waited_for(s):
    s.lines["start_timeout"], s.lines["host_name"] = "3s", "long-early"
    s.start()
    expect("master.killed" not in s.log(), "somebody was ended", s)
    expect(s.stop() == 0, "stop", s)


def test_figures_say_who_cannot_be_set_up(s):
    s.use_short()
    s.lines["host_name"] = "counts"
    s.start()
    s.reload()
    s.wait_log(r"stub\.up name=smtp up=1$")
    with s.short_of("ipc_chan_new 0"):
        os.kill(s.children()["smtp"], signal.SIGKILL)
        s.wait_log(r"proc\.fail name=smtp why=", 2, 60)
        s.reload()
        s.wait_log(r"stub\.up name=smtp up=0$", 1, 60)
        expect(len(re.findall(r"stub\.up name=pop3 up=1$", s.log(), re.M)) == 2, "pop3 is not up", s)
    s.wait_log(r"master\.child name=smtp ", 2, 60)
    s.reload()
    s.wait_log(r"stub\.up name=smtp up=1$", 2, 60)
    expect(s.stop() == 0, "stop", s)


def test_later_fault_is_told_and_tried_again(s):
    s.start()
    s.lines["host_name"] = "dies-early"
    s.reload()
    s.wait_log(r"master error master\.fault name=pop3 why=\"was told to die early\"", 2)
    s.wait_log(r"master\.fault name=pop3 why=\"it dies before it is ready: look at the configuration\"")
    del s.lines["host_name"]
    s.reload()
    s.wait_all()
    expect(s.stop() == 0, "stop", s)


def test_only_the_metrics_door_may_ask_for_figures(s):
    s.start()
    s.lines["log_level"] = "debug"
    s.reload()
    s.wait_log(r"metrics info stub\.scraped parts=[1-9]")
    for name in ("pop3", "admin", "authd", "stored"):
        s.wait_log(r'master\.death name=%s why="ended by signal 9"' % name)
    s.wait_all()
    expect("master.death name=metrics" not in s.log(), "the metrics door was killed", s)
    expect(s.stop() == 0, "stop", s)


def test_a_hung_process_is_replaced(s):
    s.lines["watchdog_timeout"] = "1s"
    s.start()
    before = s.children()
    os.kill(before["signer"], signal.SIGSTOP)
    s.wait_log(r'master\.killed name=signer why="does not answer"')
    s.wait_log(r"master\.child name=signer ", 2)
    expect(s.children()["pop3"] == before["pop3"], "somebody else was replaced", s)
    expect(s.stop() == 0, "stop", s)


def test_a_stopped_process_does_not_hold_up_the_stop(s):
    s.start()
    os.kill(s.children()["pop3"], signal.SIGSTOP)
    start = time.monotonic()
    expect(s.stop() == 0, "stop", s)
    expect(8 < time.monotonic() - start < 30, "took %.1f s" % (time.monotonic() - start), s)
    expect('master.killed name=pop3 why="did not stop in time"' in s.log(), "no word of it", s)


def test_lines_outlive_the_sink(s):
    s.start()
    seen = s.ready_count("logd")
    os.kill(s.children()["logd"], signal.SIGSTOP)
    s.lines["pop3_idle_timeout"] = "2m"
    s.reload()
    time.sleep(0.3)
    os.kill(s.children()["logd"], signal.SIGKILL)
    s.wait_log(r"master\.child name=logd ", seen + 1)
    s.wait_log(r"pop3 info stub\.reload")
    expect(s.stop() == 0, "stop", s)


def test_without_the_master_all_end(s):
    s.start()
    children = s.children()
    s.process.kill()
    s.process.wait()
    end = time.monotonic() + 10
    left = set(children)
    while left and time.monotonic() < end:
        left = {n for n in left if os.path.exists("/proc/%d" % children[n])}
        time.sleep(0.05)
    expect(not left, "still running: %s" % left, s)
    s.start()  # the lock and the admin socket of the dead one are no obstacle
    expect(s.stop() == 0, "stop", s)


def test_a_private_parent_folder_works(s):
    s.lines["data_dir"] = s.dir + "/private/data"
    os.mkdir(s.dir + "/private", 0o700)
    if s.uid:
        os.chown(s.dir + "/private", s.uid, s.uid)
    s.start()
    expect(os.stat(s.dir + "/private/data/store").st_mode & 0o777 == (0o700 if s.uid else 0o750),
           "mode of the data directory")
    if not s.uid:
        expect(os.stat(s.dir + "/private/data/store").st_uid != os.stat(s.dir + "/private/data/secrets").st_uid,
               "data directories share an owner")
    expect(s.stop() == 0, "stop", s)


def test_a_data_folder_that_cannot_be_written_refuses_to_start(s):
    s.start()
    expect(s.stop() == 0, "stop", s)
    store = s.dir + "/data/store"
    owner = os.stat(store).st_uid
    os.chmod(store, 0)
    text = s.run().stdout.decode()
    expect("chmod 0700 " + store in text or (s.uid and "cannot open data directory store" in text), text)
    os.chmod(store, 0o700)
    os.chown(store, 0 if s.uid == 0 else 1, 0)
    text = s.run().stdout.decode()
    expect("chown -R gatehouse-stored: " + store in text or (s.uid and "cannot open data directory store" in text), text)
    os.chown(store, owner, owner)
    s.start()
    expect(s.stop() == 0, "stop", s)


def test_the_log_goes_to_a_file_and_can_be_rotated(s):
    path = s.dir + "/mail.log"
    s.lines["log_target"], s.lines["log_file"] = "file", path
    s.write_conf()
    s.process = subprocess.Popen(s._command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                 user=s.uid or None, group=s.uid or None, extra_groups=[] if s.uid else None)
    s.log_path = path
    open(path, "a", encoding="ascii").close()
    if s.uid:
        os.chown(path, s.uid, s.uid)
    s.wait_log(r"master\.ready")
    os.rename(path, path + ".1")
    s.reload()
    end = time.monotonic() + 10
    while not os.path.exists(path) and time.monotonic() < end:
        time.sleep(0.02)
    s.wait_log(r"conf\.reload|stub\.reload")
    os.rename(path, path + ".2")
    s.process.send_signal(signal.SIGUSR1)
    while not os.path.exists(path) and time.monotonic() < end:
        time.sleep(0.02)
    expect(os.path.exists(path), "SIGUSR1 did not open the log again")
    expect(s.stop() == 0, "stop", s)


if __name__ == "__main__":
    sys.exit(rig.main({**globals(), **vars(places)}))
