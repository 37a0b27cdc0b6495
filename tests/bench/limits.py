"""What this machine can do at all, for the rows to be held against: disk, loopback, copies, ciphers, processes."""
import ctypes
import os
import re
import socket
import subprocess
import time

MIB = 1 << 20


def synced_appends(scratch, size=5000, count=500):
    """Appends of `size` octets a second, each with its fdatasync, by one writer."""
    data, path = os.urandom(size), os.path.join(scratch, "limit")
    with open(path, "wb") as f:
        began = time.monotonic()
        for _ in range(count):
            f.write(data)
            f.flush()
            os.fdatasync(f.fileno())
        took = time.monotonic() - began
    os.unlink(path)
    return count / took


def loopback():
    """MB/s through one TCP connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    pid = os.fork()
    if pid == 0:
        peer = listener.accept()[0]
        block = bytes(MIB >> 2)
        for _ in range(4096):
            peer.sendall(block)
        os._exit(0)
    s = socket.create_connection(listener.getsockname())
    got, began = 0, time.monotonic()
    while got < 1024 * MIB:
        got += len(s.recv(MIB >> 2))
    took = time.monotonic() - began
    os.waitpid(pid, 0)
    return got / took / 1e6


def trips(floor):
    """(by TCP, between two processes): messages there and back a second, by floor.c."""
    said = subprocess.run([floor, "trips"], capture_output=True, text=True, check=True)
    return tuple(map(float, said.stdout.split()))


def spawns():
    """Programs a second that are started, end and are waited for."""
    began = time.monotonic()
    for _ in range(200):
        os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
    return 200 / (time.monotonic() - began)


def pss_kib(pid):
    with open("/proc/%d/smaps_rollup" % pid) as f:
        return next(int(x.split()[1]) for x in f if x.startswith("Pss:"))


def children(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
        return list(map(int, f.read().split()))


def idle_kib(floor, count=100):
    """(PSS of one process that holds a connection and nothing else, of the one that accepts), KiB, by floor.c."""
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    server = subprocess.Popen([floor, "idle", str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    server.stdout.readline()
    held = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
    for one in held:
        one.recv(64)
    every = children(server.pid)
    got = sum(map(pss_kib, every)) / len(every), pss_kib(server.pid)
    for one in held:
        one.close()
    server.stdin.close()
    server.wait()
    return got


def copies():
    """MB/s of memcpy() in blocks of 64 MiB, which no cache holds."""
    size = 64 * MIB
    a, b = ctypes.create_string_buffer(size), ctypes.create_string_buffer(size)
    ctypes.memmove(a, b, size)
    began = time.monotonic()
    for _ in range(16):
        ctypes.memmove(b, a, size)
    return 16 * size / (time.monotonic() - began) / 1e6


def scans():
    """MB/s in which memory that no cache holds is looked through for an octet that is not there."""
    a = b"y" * (64 * MIB)  # not zeros, which would be one page of the kernel
    began = time.monotonic()
    for _ in range(16):
        a.find(b"x")
    return 16 * len(a) / (time.monotonic() - began) / 1e6


def forks():
    """Processes a second that are born, end and are waited for, of a small parent."""
    said = subprocess.run(["python3", "-S", "-E", "-c", """
import os, time
began = time.monotonic()
for _ in range(1000):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
print(1000 / (time.monotonic() - began))"""], capture_output=True, text=True, check=True)
    return float(said.stdout)


def openssl(*args):
    return subprocess.run(["openssl", "speed", "-mr", "-seconds", "1", *args], capture_output=True, text=True, check=True).stdout


def ciphers():
    """(MB/s of AES-128-GCM in records of 16 KiB, ECDSA P-256 signatures a second), each on one core."""
    gcm = re.search(r"^\+F:.*:([\d.]+)$", openssl("-bytes", "16384", "-evp", "aes-128-gcm"), re.M)
    ecdsa = re.search(r"^\+F4:\d+:256:([\d.e+-]+):", openssl("ecdsap256"), re.M)
    sign = float(ecdsa[1])
    return float(gcm[1]) / 1e6, sign if sign > 1 else 1 / sign


class Limits:
    """Measured once for a run; each method gives what a row could be at best, in ms or in things a second, on this machine."""

    def __init__(self, scratch, floor):
        self.scratch = scratch
        self.gcm, self.sign = ciphers()
        self.flush, self.net, (self.tcp, self.trip) = synced_appends(scratch), loopback(), trips(floor)
        self.copy, self.scan, self.fork, self.spawn = copies(), scans(), forks(), spawns()
        self.held_kib, self.rest_kib = idle_kib(floor)
        self.flushes = {5000: self.flush}

    def described(self):
        return [("appends of 5 KiB with fdatasync a second, one writer", self.flush), ("MB/s through loopback", self.net),
                ("messages there and back a second by TCP", self.tcp),
                ("messages there and back a second between two processes", self.trip), ("MB/s of memory copies", self.copy),
                ("MB/s of memory looked through", self.scan), ("MB/s of AES-128-GCM, one core", self.gcm),
                ("ECDSA P-256 signatures a second, one core", self.sign), ("processes a second born and ended", self.fork),
                ("programs a second started and ended", self.spawn),
                ("KiB (PSS) of a process that holds a connection", self.held_kib)]

    def sent_ms(self, octets):
        """One command and an answer of so many octets."""
        return 1e3 / self.tcp + octets / self.net / 1e3

    def read_ms(self, octets):
        """One command whose answer needs a look at so many octets."""
        return 1e3 / self.tcp + octets / self.scan / 1e3

    def synced_ms(self, commands=1):
        """Commands one after another, each answered after one flush."""
        return commands * (1e3 / self.tcp + 1e3 / self.flush)

    def stored_per_s(self, size, together=1):
        """Messages of so many octets a second, so many behind one flush."""
        if size * together not in self.flushes:
            self.flushes[size * together] = synced_appends(self.scratch, size * together, 100)
        return together * self.flushes[size * together]

    def flushed_ms(self, size, together):
        """The answer to one of so many messages that wait for the same flush."""
        return 1e3 / self.tcp + together * 1e3 / self.stored_per_s(size, together)

    def start_ms(self):
        """One program, and its greeting."""
        return 1e3 / self.spawn + 1e3 / self.tcp

    def session_ms(self, commands, octets=0):
        """A process for it, so many commands that wait for their answers, so many octets in these."""
        return 1e3 / self.fork + commands * 1e3 / self.tcp + octets / self.net / 1e3

    def client_ms(self, commands, octets=0):
        """The same with a client that is started for it."""
        return 1e3 / self.spawn + self.session_ms(commands, octets)

    def logins_per_s(self, tls):
        """A process for each, and in TLS a signature."""
        return 1 / (1 / self.fork + (1 / self.sign if tls else 0))

    def stream_mb_per_s(self, tls=False):
        return min(self.net, self.gcm) if tls else self.net
