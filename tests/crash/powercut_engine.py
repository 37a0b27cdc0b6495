"""The store alone: engine-writer carries out a seeded plan, then checks it in every state."""
import os
import subprocess
import tempfile


class Scenario:
    mib = 96

    def __init__(self, opt, root, sync):
        where = os.path.join(opt.build, "tests", "crash")
        self.program = os.path.join(where, "engine-writer")
        self.nosync = os.path.join(where, "nosync.so")
        self.sync = sync
        self.tail = [str(int(opt.seed)), str(opt.commits or 150)]
        self.acks = tempfile.NamedTemporaryFile("w", prefix="acks", dir="/dev/shm")

    def workload(self, directory, ack_path):
        os.mkdir(directory + "/store")
        # The directory's own entry is not the store's business.
        top = os.open(directory, os.O_RDONLY)
        os.fsync(top)
        os.close(top)
        env = dict(os.environ) if self.sync else dict(os.environ, LD_PRELOAD=self.nosync)
        subprocess.run([self.program, "write", directory + "/store", ack_path] + self.tail,
                       check=True, env=env, timeout=120)

    def check(self, directory, acked):
        self.acks.seek(0)
        self.acks.truncate()
        self.acks.write("\n".join(acked) + "\n")
        self.acks.flush()
        if not acked and not os.path.isdir(directory + "/store"):
            return None
        done = subprocess.run([self.program, "check", directory + "/store", self.acks.name] + self.tail,
                              capture_output=True, text=True, timeout=60)
        if done.returncode == 0:
            return None
        return "exit %d: %s" % (done.returncode, (done.stdout + done.stderr).strip()[-300:])
