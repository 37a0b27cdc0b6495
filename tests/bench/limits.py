"""What this machine can do at all, for the rows to be held against: disk, loopback, copies, ciphers, processes."""
import ctypes
import os
import re
import socket
import subprocess
import time

MIB = 1 << 20


def synced_appends(scratch):
    """Appends of 5 KiB a second, each with its fdatasync, by one writer."""
    data, path = os.urandom(5000), os.path.join(scratch, "limit")
    with open(path, "wb") as f:
        began = time.monotonic()
        for _ in range(500):
            f.write(data)
            f.flush()
            os.fdatasync(f.fileno())
        took = time.monotonic() - began
    os.unlink(path)
    return 500 / took


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


def round_trips():
    """Messages there and back a second over a SOCK_SEQPACKET pair, between two processes: what each question to stored costs."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        here.close()
        while data := there.recv(256):
            there.send(data)
        os._exit(0)
    there.close()
    began = time.monotonic()
    for _ in range(20000):
        here.send(b"x" * 64)
        here.recv(256)
    took = time.monotonic() - began
    here.close()
    os.waitpid(pid, 0)
    return 20000 / took


def copies():
    """MB/s of memcpy() in blocks of 64 MiB, which no cache holds."""
    size = 64 * MIB
    a, b = ctypes.create_string_buffer(size), ctypes.create_string_buffer(size)
    ctypes.memmove(a, b, size)
    began = time.monotonic()
    for _ in range(16):
        ctypes.memmove(b, a, size)
    return 16 * size / (time.monotonic() - began) / 1e6


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


def rows(scratch):
    gcm, sign = ciphers()
    return [("appends of 5 KiB with fdatasync a second, one writer", synced_appends(scratch)), ("MB/s through loopback", loopback()),
            ("messages there and back a second between two processes", round_trips()), ("MB/s of memory copies", copies()),
            ("MB/s of AES-128-GCM, one core", gcm), ("ECDSA P-256 signatures a second, one core", sign),
            ("processes a second born and ended", forks())]
