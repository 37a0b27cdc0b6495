"""stores - a suite's data directory, its backups, and the verbs of gatehousectl that work on them."""
import contextlib
import glob
import json
import os
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
