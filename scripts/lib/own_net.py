"""own_net - runs a command in a network namespace of its own, where nothing but the loopback is and every port is free.

    own_net.py COMMAND [ARGUMENT...]

Needs root; ends with status 125 where the kernel does not let us.
"""
import ctypes
import fcntl
import os
import socket
import struct
import sys

CLONE_NEWNET, SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x40000000, 0x8913, 0x8914, 1


def own_network():
    """Moves this process into a new network namespace with its loopback up."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "a network namespace of its own")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        flags = struct.unpack_from("H", fcntl.ioctl(s, SIOCGIFFLAGS, struct.pack("16sH14x", b"lo", 0)), 16)[0]
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))


if __name__ == "__main__":
    try:
        own_network()
    except OSError as e:
        print("%s: %s" % (e.strerror, os.strerror(e.errno)), file=sys.stderr)
        sys.exit(125)
    os.execvp(sys.argv[1], sys.argv[1:])
