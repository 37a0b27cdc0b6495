"""A whole suite whose stored has faultdisk.so below it; shared by the tests that kill it or let its disk fail."""
import os
import signal
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]
import faultdisk  # noqa: E402
import suite  # noqa: E402


class Below(suite.Suite):
    """The master starts a shell that becomes stored, with the board's library loaded."""

    small = False  # small_files() from the first start on
    trace_mib = 0  # room to write down what stored does to its disk

    def stopped(self):
        """The store is at rest; from the next start on the board counts."""

    def start(self):
        super().start()
        self.stop()
        self.stopped()
        shown = os.path.join(self.dir, "below")
        os.mkdir(shown)
        self.board = faultdisk.Board(os.path.join(shown, "board"), self.trace_mib)
        self.board.set(kinds=faultdisk.CHANGES)
        library = os.path.join(self.build, "tests", "crash", "faultdisk.so")
        where = os.path.join(self.root, "usr/lib/gatehouse")
        for name in os.listdir(where):
            if name != "stored":
                os.symlink(os.path.join(where, name), os.path.join(shown, name))
        self.libexec, self.library = shown, library
        self.use(self.small_files() if self.small else os.path.join(where, "stored"))
        self.start_again()
        return self

    def small_files(self):
        """The program whose checkpoints and compactions always have something to do."""
        return os.path.join(self.build, "tests", "crash", "stored-small-files")

    def use(self, program):
        """From its next start on this is stored."""
        self.program = program
        path = os.path.join(self.libexec, "stored")
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write("#!/bin/sh\nexport FAULTDISK='%s' LD_PRELOAD='%s'\nexec '%s' \"$@\"\n" % (self.board.path, self.library, program))
        os.chmod(path + ".new", 0o755)
        os.rename(path + ".new", path)

    def kill_all(self):
        """kill -9. The master stands still first, so that nobody is started again; each process that it started leads a group, in which
        those are that it forks meanwhile."""
        master = self.master()
        os.kill(master, signal.SIGSTOP)
        pids = [p for p, _, _ in self.processes()]
        with open("/proc/%d/task/%d/children" % (master, master), encoding="ascii") as f:
            started = [int(p) for p in f.read().split()]
        for kill, pid in [(os.killpg, p) for p in started] + [(os.kill, p) for p in pids + started + [master]]:
            try:
                kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        suite.wait(lambda: not any(suite.alive(p) for p in pids + started + [master]), 60, "the end of all processes")
        if self.process:
            self.process.wait(10)
        self.process = None
