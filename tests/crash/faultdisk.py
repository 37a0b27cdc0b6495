"""The test's side of faultdisk.h: a board that says which call of a program is to fail, and has what it did."""
import collections
import mmap
import os
import struct

WRITE, SYNC, CREATE, TRUNCATE, UNLINK, READ, RENAME, DSYNC, KINDS = range(9)
CHANGES = sum(1 << k for k in (WRITE, SYNC, CREATE, TRUNCATE, UNLINK, RENAME, DSYNC))
NOTHING, DIE_BEFORE, DIE_AFTER, DIE_HALF, FAIL, FAIL_HALF = range(6)
(EV_WRITE, EV_TRUNCATE, EV_CREATE, EV_UNLINK, EV_RENAME, EV_SYNC, EV_SYNC_DIR, EV_ACK, EV_MKDIR, EV_LINK) = range(1, 11)
MAGIC, TRACE_AT, SITE_AT = 0x6b7369646c756166, 8192, 224
FIELDS = {name: 8 * i for i, name in enumerate(
    ("magic", "kinds", "count", "first", "times", "act", "error", "struck"))}
FIELDS.update(calls=64, trace_max=192, trace_n=200, n_sites=208, sync_us=216)
DIED = 137  # exit status of a program that was struck dead

Event = collections.namedtuple("Event", "what flag ino at data")
Site = collections.namedtuple("Site", "program direct library")


class Board:
    """One file; any number of programs in turn may be given it."""

    def __init__(self, path, trace_mib=0):
        self.path = path
        with open(path, "wb") as f:
            f.truncate(TRACE_AT + (trace_mib << 20))
        os.chmod(path, 0o666)  # a sandboxed program has a user of its own
        with open(path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), 0)
        self.set(magic=MAGIC, trace_max=trace_mib << 20)

    def get(self, name, index=0):
        return struct.unpack_from("<Q", self.map, FIELDS[name] + 8 * index)[0]

    def set(self, **values):
        for name, value in values.items():
            struct.pack_into("<Q", self.map, FIELDS[name], value)

    def strike(self, number, act, kinds=CHANGES, error=0, times=1):
        """The number-th call of these kinds from now on, and those that follow it."""
        self.set(times=0)
        self.set(kinds=kinds, act=act, error=error, struck=0, first=self.get("count") + number)
        self.set(times=times)

    def rest(self):
        self.set(times=0, act=NOTHING)

    def calls(self):
        return sum(self.get("calls", k) for k in range(KINDS))

    def env(self, library, ack=None):
        return dict(os.environ, LD_PRELOAD=library, FAULTDISK=self.path, **({"FAULTDISK_ACK": ack} if ack else {}))

    def sites(self):
        out = []
        for i in range(self.get("n_sites")):
            program, direct, name = struct.unpack_from("<QQ48s", self.map, SITE_AT + 64 * i)
            out.append(Site(program, direct, name.rstrip(b"\0").decode()))
        return out

    def trace(self):
        """All events, in the order in which they happened, with the position of each."""
        at, end, out, where = TRACE_AT, TRACE_AT + self.get("trace_n"), [], []
        while at < end:
            what, flag, ino, off, n = struct.unpack_from("<IIQQQ", self.map, at)
            out.append(Event(what, flag, ino, off, self.map[at + 32:at + 32 + n]))
            where.append(at - TRACE_AT)
            at += 32 + (n + 7) // 8 * 8
        return out, where

    def close(self):
        self.map.close()
        os.unlink(self.path)
