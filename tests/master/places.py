"""places - where the master listens: places that come and go, that somebody else has, and connections that stay.

Run by test.py, with its suite of stand-ins.
"""
import contextlib
import os
import re
import signal
import socket
import threading
import time

from rig import NAMES, expect, free_port


def test_bad_reload_keeps_the_old_one(s):
    s.start()
    before = s.children()
    s.reload("main_domain = example.test\nconections_max = 3\n")
    s.wait_log(r"master error conf\.kept")
    expect('c.conf:2: unknown key \\"conections_max\\"; the nearest is \\"connections_max\\"' in s.log(),
           "the reason is not in the log", s)
    s.sections = s.sections.replace("port = %d" % s.ports[0], "port = 1", 1)
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    s.sections = s.sections.replace("port = 1\n", "port = %d\n" % taken.getsockname()[1], 1)
    s.reload()
    s.wait_log(r"master error conf\.kept", 2)
    expect("cannot listen on 127.0.0.1 port" in s.log(), "the port is not named", s)
    taken.close()
    expect(s.children() == before, "a refused reload changed processes", s)
    socket.create_connection(("127.0.0.1", s.ports[0]), 5).close()
    expect(s.stop() == 0, "stop", s)


def test_connections_outlive_their_acceptor_and_end_with_the_suite(s):
    s.lines["host_name"] = "forks"
    s.start()
    door = s.children()["pop3"]
    with open("/proc/%d/task/%d/children" % (door, door), encoding="ascii") as f:
        connection = int(f.read())
    seen = s.ready_count("pop3")
    os.kill(door, signal.SIGKILL)
    s.wait_log(r"master\.child name=pop3 ", seen + 1)
    expect(os.path.exists("/proc/%d" % connection), "the connection died with its acceptor", s)
    expect(s.stop() == 0, "stop", s)
    expect(not os.path.exists("/proc/%d" % connection), "the connection outlived the suite", s)


def test_reload_moves_a_listener(s):
    s.start()
    before = s.children()
    old, new = s.ports[0], free_port()
    seen = s.ready_count("pop3")
    s.sections = s.sections.replace("port = %d" % old, "port = %d" % new, 1)
    s.reload()
    s.wait_log(r"master\.child name=pop3 ", seen + 1)
    socket.create_connection(("127.0.0.1", new), 5).close()
    try:
        socket.create_connection(("127.0.0.1", old), 5).close()
        raise AssertionError("the old port still listens")
    except ConnectionRefusedError:
        pass
    after = s.children()
    expect({n for n in NAMES if before[n] != after[n]} == {"pop3"}, "others were restarted", s)
    expect(s.stop() == 0, "stop", s)


class Taken:
    """A place that another process has until `word` comes into the log of the suite."""

    def __init__(self, s, place, word):
        family = socket.AF_UNIX if isinstance(place, str) else socket.AF_INET
        self.socket = socket.socket(family)
        self.socket.bind(place)
        if isinstance(place, str):
            os.chmod(place, 0o666)
        self.socket.listen()
        self.thread = threading.Thread(target=self.wait, args=(s, word))
        self.thread.start()

    def wait(self, s, word):
        try:
            s.wait_log(word, seconds=60)
        finally:
            self.socket.close()


def test_a_place_that_is_taken_at_the_start_is_tried_again(s):
    for place, name in ((("127.0.0.1", s.ports[0]), "127.0.0.1 port %d" % s.ports[0]), (s.dir + "/admin.sock", s.dir + "/admin.sock")):
        word = r'listen\.busy what="?%s' % re.escape(name)
        taken = Taken(s, place, word)
        s.start()
        taken.thread.join()
        expect(len(re.findall(word, s.log())) == 1, "it is told more than once", s)
        expect(s.stop() == 0, "stop", s)


def test_a_place_that_stays_taken_is_said(s):
    s.write_conf()
    path = s.dir + "/admin.sock"
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(path)
        os.chmod(path, 0o666)
        taken.listen(1000)  # each try connects
        began = time.monotonic()
        r = s.run()
        expect(time.monotonic() - began >= 5, "it gave up early")
        text = r.stdout.decode()
        expect(r.returncode == 1, "status %d: %s" % (r.returncode, text))
        expect("cannot listen on %s: Address already in use; another suite listens there" % path in text, text)
        taken.setblocking(False)
        tries = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                taken.accept()[0].close()
                tries += 1
        expect(0 < tries < 50, "%d connections to who lives there" % tries)
        with socket.socket(socket.AF_UNIX) as other:
            other.connect(path)  # who listens there still does
