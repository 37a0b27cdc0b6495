"""stores - a suite's data directory, its backups, and the verbs of gatehousectl that work on them."""
import contextlib
import glob
import json
import os
import random
import subprocess

from suite import check


def data(s):
    return os.path.join(s.dir, "data")


def written(s):
    """Bytes written to the store's log so far, and those of the files of large bodies that are there."""
    files = 0
    for path in glob.glob(data(s) + "/store/body-*"):
        with contextlib.suppress(FileNotFoundError):
            files += os.path.getsize(path)
    return json.loads(s.ctl("--json", "stat"))["engine-frame-bytes"] + files


def target(s):
    return os.path.join(s.dir, "backup")


def tool(s, *args, ok=(0,), run=subprocess.run):
    """What a verb of 'gatehousectl store' said; the process itself with another `run`."""
    env = dict(os.environ, TMPDIR=s.dir, GATEHOUSE_LIBEXEC=os.path.join(s.root, "usr/lib/gatehouse"))
    done = run([os.path.join(s.root, "usr/bin/gatehousectl"), "--json", "--conf", s.conf, "--socket", s.admin, "store", *args], stdin=subprocess.DEVNULL,
               stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
    if run is not subprocess.run:
        return done
    check(done.returncode in ok, "store %s: status %d: %s %s", " ".join(args), done.returncode, done.stdout[-800:],
          done.stderr[-800:])
    return json.loads(done.stdout)


def flip(path, seed, pages=False, size=None):
    """1 to 1,000 bytes, or 1 to 8 pages; `size`: only so much of the file's begin."""
    r = random.Random(seed)
    with open(path, "r+b") as f:
        end = size or os.path.getsize(path)
        for _ in range(r.randint(1, 8) if pages else r.randint(1, 1000)):
            at = r.randrange(end)
            if pages:
                f.seek(at // 4096 * 4096)
                f.write(r.randbytes(4096))
            else:
                f.seek(at)
                was = f.read(1)[0]
                f.seek(at)
                f.write(bytes([was ^ r.randint(1, 255)]))
