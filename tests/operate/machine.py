"""machine - a root directory booted with its own systemd as process 1, in namespaces of its own.

Needs root. Nothing outside the namespaces is changed but for one control group, which is removed at the end. The
machine's processes end with the process that started it, whatever happens to that.
"""
import os
import pty
import re
import signal
import subprocess
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))

# What would look for hardware, change the kernel that all share, or wait for somebody to log in.
MASKED = """sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount sys-fs-fuse-connections.mount
dev-hugepages.mount dev-mqueue.mount proc-sys-fs-binfmt_misc.automount systemd-modules-load.service
kmod-static-nodes.service systemd-sysctl.service systemd-udevd.service systemd-udev-trigger.service
systemd-random-seed.service systemd-remount-fs.service systemd-timesyncd.service systemd-networkd.service
systemd-resolved.service systemd-logind.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer
fstrim.timer e2scrub_all.timer e2scrub_reap.service console-getty.service getty.target""".split()


class Failure(Exception):
    pass


def cgroup_top():
    """Where control groups of version 2 are, alone or beside version 1."""
    for path in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
        if os.path.exists(path + "/cgroup.procs") and os.path.exists(path + "/cgroup.subtree_control"):
            return path
    raise Failure("there is no cgroup2 file system below /sys/fs/cgroup")


def fit_out(root):
    """Once after debootstrap: what the machine needs to boot without hardware."""
    folder = root + "/etc/systemd/system"
    for unit in MASKED:
        path = os.path.join(folder, unit)
        if not os.path.lexists(path):
            os.symlink("/dev/null", path)
    for name, text in (("etc/hostname", "mail\n"), ("etc/hosts", "127.0.0.1 localhost\n127.0.1.1 mail.example.org mail\n"),
                       ("etc/machine-id", "")):
        with open(os.path.join(root, name), "w", encoding="ascii") as f:
            f.write(text)
    default = folder + "/default.target"
    if not os.path.lexists(default):
        os.symlink("/lib/systemd/system/multi-user.target", default)


class Machine:
    def __init__(self, root):
        self.root = os.path.abspath(root)
        self.process = self.pid = None
        self.console = bytearray()
        self.cgroup = os.path.join(cgroup_top(), "gatehouse-test-%d" % os.getpid())

    def boot(self, seconds=60):
        os.mkdir(self.cgroup)
        control, tty = pty.openpty()

        def enter():
            with open(self.cgroup + "/cgroup.procs", "w", encoding="ascii") as f:
                f.write("0")

        self.process = subprocess.Popen(
            ["unshare", "--mount", "--uts", "--ipc", "--net", "--cgroup", "--pid", "--fork", "--kill-child",
             HERE + "/pid1", self.root, os.ttyname(tty)],
            preexec_fn=enter, stdin=subprocess.DEVNULL, stdout=tty, stderr=tty)
        threading.Thread(target=self._listen, args=(control,), daemon=True).start()
        deadline = time.monotonic() + seconds
        self._wait(self._find_pid, deadline, "process 1 did not start")
        self._wait(self._is_up, deadline, "the machine did not boot")
        os.close(tty)

    def _listen(self, control):
        try:
            while True:
                got = os.read(control, 4096)
                if not got:
                    break
                self.console += got
        except OSError:
            pass
        os.close(control)

    def _wait(self, condition, deadline, what):
        while not condition():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Failure("%s:\n%s" % (what, self.console.decode("utf-8", "replace")[-4000:]))
            time.sleep(0.1)

    def _find_pid(self):
        path = "/proc/%d/task/%d/children" % (self.process.pid, self.process.pid)
        try:
            with open(path, encoding="ascii") as f:
                pids = f.read().split()
            with open("/proc/%s/comm" % pids[0], encoding="ascii") as f:
                if f.read().strip() == "systemd":
                    self.pid = int(pids[0])
        except (IndexError, OSError):
            pass
        return self.pid

    def _is_up(self):
        return self.run("systemctl", "is-system-running").stdout.strip() in ("running", "degraded")

    def run(self, *command, text="", seconds=60):
        """A command inside, with the machine's files."""
        return subprocess.run(["nsenter", "-t", str(self.pid), "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", "env",
                               "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "DEBIAN_FRONTEND=noninteractive",
                               *command],
                              input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds,
                              encoding="utf-8", errors="replace", check=False)

    def must(self, *command, text="", seconds=60):
        r = self.run(*command, text=text, seconds=seconds)
        if r.returncode != 0:
            raise Failure("%s: status %d\n%s" % (" ".join(command), r.returncode, r.stdout[-4000:]))
        return r.stdout

    def processes(self):
        """(number outside, number inside as text, title) of each process of the machine."""
        mine = os.readlink("/proc/%d/ns/pid" % self.pid)
        for pid in os.listdir("/proc"):
            try:
                if not pid.isdigit() or os.readlink("/proc/%s/ns/pid" % pid) != mine:
                    continue
                with open("/proc/%s/status" % pid, encoding="utf-8", errors="replace") as f:
                    inside = re.search(r"^NSpid:.*\t(\d+)$", f.read(), re.M)[1]
                with open("/proc/%s/cmdline" % pid, "rb") as f:
                    yield int(pid), inside, f.read().replace(b"\0", b" ").decode("utf-8", "replace").strip()
            except OSError:
                pass  # ended meanwhile

    def in_network(self, command):
        """The host's own command, in the machine's network: for clients that the machine does not have."""
        return ["nsenter", "-t", str(self.pid), "-n", *command]

    def stop(self):
        """In order for ten seconds, then at once."""
        if self.process is not None and self.process.poll() is None:
            if self.pid:
                os.kill(self.pid, signal.SIGRTMIN + 3)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._remove_cgroup()

    def _remove_cgroup(self):
        """Its processes are gone, or will be in a moment."""
        for _ in range(50):
            for folder, _, _ in os.walk(self.cgroup, topdown=False):
                try:
                    os.rmdir(folder)
                except OSError:
                    pass
            if not os.path.exists(self.cgroup):
                return
            time.sleep(0.1)
