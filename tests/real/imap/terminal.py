"""Programs that want a terminal: runs one on a pseudo terminal until it ends."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import fixture


def run(cmd, home, env=None, timeout=60, answers=(), who=None):
    """What it wrote. `answers`: (pattern to wait for on the screen, keys), each once, in order."""
    mine, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
    env = dict(os.environ, HOME=home, LC_ALL="C.UTF-8", TZ="UTC", **{"TERM": "vt100", **(env or {})})
    env.pop("MAIL", None)
    child = subprocess.Popen(cmd, stdin=its, stdout=its, stderr=its, env=env, cwd=home, start_new_session=True,
                             **(who or {}))
    os.close(its)
    said, waiting, end, at = b"", list(answers), time.monotonic() + timeout, 0
    while time.monotonic() < end:
        ready, _, _ = select.select([mine], [], [], 0.1)
        if ready:
            try:
                said += os.read(mine, 65536)
            except OSError:  # the other side is closed
                break
        elif child.poll() is not None:
            break
        elif waiting and re.search(waiting[0][0], said[at:]):  # only when it is quiet: some throw early keys away
            at = len(said)
            os.write(mine, waiting.pop(0)[1])
    os.close(mine)
    if child.poll() is None and time.monotonic() >= end:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        raise fixture.ClientFailed("%s: did not end: %r" % (cmd[0], said[-700:]))
    child.wait()
    return child.returncode, said
