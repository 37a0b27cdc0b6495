"""Power cuts: records what a workload makes a disk do, then checks every state a cut could leave.

ext4 lies on a loop device over recfs (recfs.h). record() runs a workload on it; each acknowledgement
is written to the `ack` file, so trace order says which ones precede which flush. replay() visits the
state after every flush and, for each interval between flushes, seeded subsets of the writes that were
not flushed; all acknowledgements of that interval are required in each of its states.
Needs root, /dev/fuse and /dev/loop-control, and a private mount namespace (enter_namespace()).
"""
import collections
import ctypes
import fcntl
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import time

WRITE, FLUSH, ACK = 1, 2, 3
NONE, ALL, PREFIX, WRITES, BLOCKS, SECTORS = range(6)
NAMES = ["nothing", "all", "a torn prefix", "some writes", "some blocks", "some sectors"]
LOOP_CTL_GET_FREE, LOOP_CONFIGURE, LOOP_CLR_FD = 0x4C82, 0x4C0A, 0x4C01
MS_NOATIME, MS_BIND, MNT_DETACH, CLONE_NEWNS = 1024, 4096, 2, 0x20000
libc = ctypes.CDLL(None, use_errno=True)

START = "start"  # marks in the trace that the disk was mounted and at rest
Interval = collections.namedtuple("Interval", "acks sectors")
Verdict = collections.namedtuple("Verdict", "states bad mounts_failed first flushes acks")


def missing():
    """Why power cuts cannot be tried here, or None."""
    if os.geteuid() != 0:
        return "needs root"
    for need in ("/dev/fuse", "/dev/loop-control"):
        if not os.path.exists(need):
            return "needs " + need
    return None


def enter_namespace():
    """Runs the program again in a mount namespace of its own: nothing outlives it."""
    if os.environ.get("POWERCUT_NS") == "1":
        return
    os.environ["POWERCUT_NS"] = "1"
    os.execvp("unshare", ["unshare", "-m", "--propagation", "private", sys.executable] + sys.argv)


def _call(what, result):
    if result != 0:
        err = ctypes.get_errno()
        raise OSError(err, "%s: %s" % (what, os.strerror(err)))


def mount(device, where):
    _call("mount", libc.mount(device.encode(), where.encode(), b"ext4", MS_NOATIME, b""))


class Preload:
    """Every program started meanwhile in our mount namespace gets a library: a supervisor does not hand
    LD_PRELOAD down, so /etc is covered by a copy that has an ld.so.preload."""

    def __init__(self, library, scratch):
        self.library, self.etc = library, scratch + "/etc"

    def __enter__(self):
        shutil.rmtree(self.etc, ignore_errors=True)
        subprocess.run(["cp", "-a", "/etc", self.etc], check=True)
        with open(self.etc + "/ld.so.preload", "w") as f:
            f.write(self.library + "\n")
        _call("bind", libc.mount(self.etc.encode(), b"/etc", None, MS_BIND, None))

    def __exit__(self, *_):
        umount("/etc", lazy=True)


def umount(where, lazy=False):
    for _ in range(100):
        if libc.umount2(where.encode(), MNT_DETACH if lazy else 0) == 0:
            return
        time.sleep(0.02)
    # Somebody still holds a file there: take it out of sight and say so.
    libc.umount2(where.encode(), MNT_DETACH)
    raise OSError("%s is still in use" % where)


class Loop:
    """A loop device bound to a file; others use loop devices too, so a lost race is tried again."""

    def __init__(self, path):
        self.back = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        config = struct.pack("<II", self.back, 512) + bytes(232 + 64)
        ctl = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
        for _ in range(50):
            self.name = "/dev/loop%d" % fcntl.ioctl(ctl, LOOP_CTL_GET_FREE)
            self.fd = os.open(self.name, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.ioctl(self.fd, LOOP_CONFIGURE, config)
                break
            except OSError:
                os.close(self.fd)
                time.sleep(0.05)
        else:
            raise OSError("no free loop device")
        os.close(ctl)

    def close(self):
        fcntl.ioctl(self.fd, LOOP_CLR_FD)
        os.close(self.fd)
        os.close(self.back)


class Fuse:
    """recfs in one of its modes, mounted at `where`.

    The disk on top is mounted in another namespace than the one recfs lives in. Otherwise a recfs that
    is killed would, as the last process of its namespace, unmount a disk whose writes only it can
    serve, and hang for good, and with it every sync() of the machine.
    """

    def __init__(self, recfs, mode, base, trace, where):
        self.where = where
        os.makedirs(where, exist_ok=True)
        self.process = subprocess.Popen([recfs, mode, base, trace, where], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL)
        for _ in range(500):
            if os.path.exists(where + "/image"):
                _call("unshare", libc.unshare(CLONE_NEWNS))
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        raise OSError("recfs does not start")

    def close(self):
        umount(self.where)
        self.process.terminate()
        self.process.wait()


def make_base(path, mib):
    if os.path.exists(path):
        os.unlink(path)
    with open(path, "wb") as f:
        f.truncate(mib << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-b", "4096", "-m", "0", "-J", "size=4", "-E",
                    "lazy_itable_init=0,lazy_journal_init=0,nodiscard", path], check=True)


def record(recfs, scratch, workload, mib=64):
    """Runs workload(directory, ack_path) on a fresh disk; what is on the wire when it returns is the
    trace. The workload must leave no process with open files on the disk."""
    shutil.rmtree(scratch, ignore_errors=True)
    os.makedirs(scratch)
    base, trace = scratch + "/base", scratch + "/trace"
    make_base(base, mib)
    fuse = Fuse(recfs, "record", base, trace, scratch + "/fuse")
    loop = Loop(fuse.where + "/image")
    data = scratch + "/disk"
    os.makedirs(data)
    mount(loop.name, data)
    try:
        top = os.open(data, os.O_RDONLY)
        _call("syncfs", libc.syncfs(top))
        os.close(top)
        with open(fuse.where + "/ack", "wb", buffering=0) as f:
            f.write(START.encode() + b"\n")
        workload(data, fuse.where + "/ack")
        cut = os.path.getsize(trace)
    finally:
        umount(data)
        loop.close()
        fuse.close()
    os.truncate(trace, cut)


def read_trace(path):
    """Per interval between flushes: acknowledgements so far (text lines), sectors not yet flushed."""
    out, acks, sectors = [], [], 0
    with open(path, "rb") as f:
        data = f.read()
    at = 0
    while len(data) - at >= 16:
        kind, n, _ = struct.unpack_from("<IIQ", data, at)
        if len(data) - at - 16 < n:
            break
        if kind == ACK:
            acks += data[at + 16:at + 16 + n].decode().splitlines()
        elif kind == WRITE:
            sectors += n // 512
        else:
            out.append(Interval(len(acks), sectors))
            sectors = 0
        at += 16 + n
    out.append(Interval(len(acks), sectors))
    return out, acks


def states(intervals, subsets, seed):
    """(interval, how, seed) of every state to visit, in trace order."""
    for i, part in enumerate(intervals):
        if part.acks == 0:
            continue  # still mounting
        yield i, NONE, 0
        rng = random.Random("%s %d" % (seed, i))
        room = 2 ** min(part.sectors, 20) - 1
        for k in range(min(subsets, room)):
            yield i, (PREFIX, WRITES, BLOCKS, SECTORS)[k % 4], rng.randrange(2 ** 63)
    # With the last interval wholly written the disk is as it was left.
    yield len(intervals) - 1, ALL, 0


def visit(fuse, data, state, check, acks):
    """One state: loop, mount (the journal replays), check, unmount. Returns None or what is wrong."""
    with open(fuse.where + "/goto", "wb", buffering=0) as f:
        f.write(b"%d %d %d" % state)
    loop = Loop(fuse.where + "/image")
    try:
        mount(loop.name, data)
        try:
            return check(data, acks)
        finally:
            umount(data)
    finally:
        loop.close()


def replay(recfs, scratch, check, subsets=50, seed=1, stop_at_first=False, every=1):
    """check(directory, acknowledged) returns None or a sentence. Returns a Verdict."""
    intervals, acks = read_trace(scratch + "/trace")
    fuse = Fuse(recfs, "play", scratch + "/base", scratch + "/trace", scratch + "/fuse")
    done = bad = unmountable = 0
    first = None
    try:
        for n, state in enumerate(states(intervals, subsets, seed)):
            if every > 1 and state[1] != NONE and n % every != 0:
                continue
            done += 1
            try:
                why = visit(fuse, scratch + "/disk", state, check, acks[1:intervals[state[0]].acks])
            except OSError as e:
                why = "the disk cannot be used: %s" % e
                unmountable += 1
            if why is None:
                continue
            bad += 1
            first = first or "after flush %d of %d, of the later writes %s (seed %d): %s" % (
                state[0], len(intervals) - 1, NAMES[state[1]], state[2], why)
            if stop_at_first:
                break
    finally:
        fuse.close()
    flushes = sum(1 for part in intervals[:-1] if part.acks > 0)
    return Verdict(done, bad, unmountable, first, flushes, len(acks) - 1)


def end_process(process):
    """kill -9 and wait."""
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    process.wait()
