"""sockets - the master with sockets that it did not bind: from the program bind, or from systemd.

    sockets.py BUILDDIR [TEST]

Uses the suite of tests/master (stand-ins for the daemons). As root everything runs twice, as there.
"""
import errno
import os
import socket
import struct
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "master"))
import test as rig  # noqa: E402
from test import BUILD, Suite, expect  # noqa: E402

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


if __name__ == "__main__":
    sys.exit(rig.main(globals()))
