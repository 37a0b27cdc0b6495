"""sockets - the master under systemd: sockets that it did not bind, and what it tells the watchdog.

    sockets.py BUILDDIR [TEST]

Uses the suite of tests/master (stand-ins for the daemons). As root everything runs twice, as there.
"""
import errno
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "master"))
import rig  # noqa: E402
from rig import BUILD, Suite, expect  # noqa: E402

BIND = os.path.join(BUILD, "master", "bind", "bind")


class Binder:
    """What systemd does for gatehouse-bind.socket: a program for each connection."""

    def __init__(self, s):
        self.path = s.dir + "/bind.sock"
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(self.path)
        os.chmod(self.path, 0o666)
        self.listener.listen()
        self.served = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                conn = self.listener.accept()[0]
            except OSError:
                return
            with conn:
                self.served += 1
                subprocess.run([BIND], stdin=conn, timeout=60, check=True)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def with_arguments(s, *more):
    command = s._command
    s._command = lambda *rest: command(*more, *rest)


def ask(packet):
    """The answer of a program of its own: (error number, descriptors)."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    process = subprocess.Popen([BIND], stdin=there, stderr=subprocess.DEVNULL)
    there.close()
    with here:
        here.settimeout(10)
        here.send(packet)
        try:
            data, fds, _, _ = socket.recv_fds(here, 64, 8)
        except ConnectionResetError:
            data, fds = b"", []
    status = process.wait(10)
    return struct.unpack("<I", data)[0] if data else None, fds, status


def address(port, family=4, ip=b"\x7f\0\0\1"):
    return bytes([family]) + ip + struct.pack(">H", port)


def test_bind_gives_a_socket_that_listens(s):
    port = s.ports[0]
    err, fds, status = ask(address(port))
    expect(err == 0 and len(fds) == 1 and status == 0, "answer %r, status %r" % ((err, fds), status))
    with socket.socket(fileno=fds[0]) as got, socket.create_connection(("127.0.0.1", port), 10):
        expect(got.getsockname() == ("127.0.0.1", port), "bound to %r" % (got.getsockname(),))
        expect(got.accept()[0] is not None, "nobody came")
        again = ask(address(port))
        expect(again == (errno.EADDRINUSE, [], 0), "a second socket: %r" % (again,))


def test_bind_ends_when_asked_for_anything_else(s):
    expect(ask(b"\x01") == (errno.EAFNOSUPPORT, [], 0), "a Unix socket was not refused")
    for packet in (b"\x04", b"\x07" * 7, address(1) + b"x", b"\x04" * 4096):
        err, fds, status = ask(packet)
        expect((err, fds, status) == (None, [], 1), "%r: %r" % (packet[:8], (err, fds, status)))


def test_sockets_come_from_the_binder(s):
    binder = Binder(s)
    with_arguments(s, "--bind-socket", binder.path)
    s.start()
    for port in s.ports:
        socket.create_connection(("127.0.0.1", port), 10).close()
    expect(binder.served == 1, "connections to the binder: %d" % binder.served)
    old, s.ports[0] = s.ports[0], rig.free_port()
    s.default_sections()
    s.reload()
    s.wait_log("conf.reload")
    s.wait_all()
    socket.create_connection(("127.0.0.1", s.ports[0]), 10).close()
    try:
        socket.create_connection(("127.0.0.1", old), 10).close()
        expect(False, "the port that is no longer configured still listens")
    except ConnectionRefusedError:
        pass
    expect(binder.served == 2, "connections to the binder: %d" % binder.served)
    expect(s.stop() == 0, "stop", s)
    binder.close()


def test_what_the_binder_refuses_is_said(s):
    binder = Binder(s)
    with_arguments(s, "--bind-socket", binder.path)
    s.write_conf()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", s.ports[0]))
        taken.listen()
        text = s.run().stdout.decode()
    expect("cannot listen on 127.0.0.1 port %d: Address already in use" % s.ports[0] in text, text)
    binder.close()
    text = s.run().stdout.decode()
    expect("cannot ask for sockets at %s: Connection refused" % binder.path in text, text)


# Makes sockets as a socket unit does, then becomes the master: systemd-socket-activate would wait for a connection.
ACTIVATE = """
import os, socket, sys
places, command = sys.argv[1].split(), sys.argv[2:]
if "--ready-fd" in command:
    at = command.index("--ready-fd") + 1
    os.dup2(int(command[at]), 100, inheritable=True)
    os.close(int(command[at]))
    command[at] = "100"
fds, names = [], []
for place in places:
    name, where = place.split("=", 1)
    if where.startswith("/"):
        s = socket.socket(socket.AF_UNIX)
        s.bind(where)
    else:
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", int(where)))
    if name != "deaf":
        s.listen()
    fds.append(os.dup2(s.fileno(), 50 + len(fds)))
    names.append(name)
for i, fd in enumerate(fds):
    os.dup2(fd, 3 + i, inheritable=True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)), LISTEN_FDNAMES=":".join(names))
os.execv(command[0], command)
"""


def activate(s, places):
    command = s._command
    s._command = lambda *rest: ["/usr/bin/python3", "-c", ACTIVATE, " ".join(places), *command(*rest)]


def test_sockets_of_systemd_are_taken(s):
    admin = s.dir + "/admin.sock"
    activate(s, ["pop3=%d" % s.ports[0], "gatehouse.socket=%d" % s.ports[1], "smtp=%d" % s.ports[2], "admin=" + admin])
    with_arguments(s, "--bind-socket", s.dir + "/nobody")  # whatever it wanted to bind itself would fail
    s.start()
    for port in s.ports:
        socket.create_connection(("127.0.0.1", port), 10).close()
    s.lines["log_level"] = "debug"
    s.reload()
    s.wait_log("conf.reload")
    s.wait_all()
    for port in s.ports:
        socket.create_connection(("127.0.0.1", port), 10).close()
    expect(s.stop() == 0, "stop", s)
    expect(os.path.exists(admin), "the socket of systemd was removed")


def test_only_what_is_missing_is_bound(s):
    activate(s, ["pop3=%d" % s.ports[0]])
    s.start()
    for port in s.ports:
        socket.create_connection(("127.0.0.1", port), 10).close()
    expect(s.stop() == 0, "stop", s)


def test_sockets_that_no_listener_takes_are_refused(s):
    other = rig.free_port()
    for place, sentence in (("pop3=%d" % other, "no listener is for the socket of systemd on 127.0.0.1 port %d, named pop3" % other),
                            ("pop3=%s/x.sock" % s.dir, "no listener is for the socket of systemd at %s/x.sock, named pop3" % s.dir),
                            ("smtp=%d" % s.ports[0], "cannot listen on 127.0.0.1 port %d: Address already in use" % s.ports[0]),
                            ("deaf=%d" % other, "systemd passed a socket named deaf that does not listen")):
        command = s._command
        activate(s, [place])
        s.write_conf()
        r = s.run()
        expect(r.returncode == 1 and sentence in r.stdout.decode(), "%s: status %d: %s" % (place, r.returncode, r.stdout.decode()))
        s._command = command


class Notified:
    """The other end of sd_notify()."""

    def __init__(self, s):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(s.dir + "/notify")
        os.chmod(s.dir + "/notify", 0o666)
        os.environ.update(NOTIFY_SOCKET=s.dir + "/notify", WATCHDOG_USEC="5000000")
        os.environ.pop("WATCHDOG_PID", None)

    def said(self, seconds):
        """What arrives from now on."""
        end, found = time.monotonic() + seconds, []
        while time.monotonic() < end:
            self.socket.settimeout(max(0.01, end - time.monotonic()))
            try:
                found.append(self.socket.recv(4096).decode())
            except socket.timeout:
                break
        return found

    def close(self):
        self.socket.close()
        del os.environ["NOTIFY_SOCKET"], os.environ["WATCHDOG_USEC"]


def test_systemd_hears_of_each_step(s):
    systemd = Notified(s)
    try:
        s.start()
        said = systemd.said(2.5)
        expect(said[0] == "READY=1" and said.count("WATCHDOG=1") >= 2, "%s" % said)
        s.reload()
        s.wait_log("conf.reload")
        said = [w.split("\n")[0] for w in systemd.said(1) if w != "WATCHDOG=1"]
        expect(said == ["RELOADING=1", "READY=1"], "%s" % said)
        expect(s.stop() == 0, "stop", s)
        expect("STOPPING=1" in systemd.said(0.5), "no word of stopping")
    finally:
        systemd.close()


def test_the_watchdog_waits_for_those_who_cannot_be_ended(s):
    """Without the capability to kill, a process that hangs stays: the master must not say that all is well."""
    s.lines["watchdog_timeout"] = "1s"
    if s.uid == 0:
        command = s._command
        s._command = lambda *rest: ["setpriv", "--bounding-set=-kill", *command(*rest)]
    systemd = Notified(s)
    try:
        s.start()
        expect("WATCHDOG=1" in systemd.said(1.5), "no watchdog")
        signer = s.children()["signer"]
        os.kill(signer, signal.SIGSTOP)
        if s.uid:
            s.wait_log("master.killed name=signer")
            s.wait_all()
            expect(s.children()["signer"] != signer, "not restarted")
            expect("WATCHDOG=1" in systemd.said(2), "no watchdog after a restart")
        else:
            systemd.said(4)
            expect("WATCHDOG=1" not in systemd.said(3), "the watchdog is told that all is well")
            os.kill(signer, signal.SIGCONT)
            time.sleep(0.5)
            expect("WATCHDOG=1" in systemd.said(3), "no watchdog although everybody answers")
    finally:
        systemd.close()


if __name__ == "__main__":
    sys.exit(rig.main(globals()))
