"""The harness tried on itself: records appended to one file, acknowledged after fdatasync."""
import os
import random

SIZE = 700


def content(seed, number):
    head = b"%08d " % number
    return head + random.Random("%s %d" % (seed, number)).randbytes(SIZE - len(head))


class Scenario:
    mib = 32

    def __init__(self, opt, root, sync):
        self.sync = sync
        self.seed = opt.seed
        self.count = opt.commits or 60

    def workload(self, directory, ack_path):
        fd = os.open(directory + "/log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        top = os.open(directory, os.O_RDONLY)
        os.fsync(top)
        with open(ack_path, "wb", buffering=0) as ack:
            for i in range(self.count):
                os.write(fd, content(self.seed, i))
                if self.sync:
                    os.fdatasync(fd)
                ack.write(b"%d\n" % i)
        os.close(top)
        os.close(fd)

    def check(self, directory, acked):
        try:
            with open(directory + "/log", "rb") as f:
                data = f.read()
        except FileNotFoundError:
            data = b""
        for number in map(int, acked):
            if data[number * SIZE:(number + 1) * SIZE] != content(self.seed, number):
                return "record %d was acknowledged and is not there" % number
        return None
