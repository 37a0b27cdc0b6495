"""The whole server on the recorded disk: LMTP in, then POP3 out of every state a cut could leave."""
import contextlib
import os
import signal
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "bench")]
import kill_check  # noqa: E402
import kill_load  # noqa: E402
import powercut  # noqa: E402
import servers  # noqa: E402

ACCOUNTS = 2


class Scenario:
    mib = 512
    every = 20  # a state costs a start of the server

    def __init__(self, opt, root, sync):
        self.opt, self.root, self.sync = opt, root, sync
        self.count = opt.commits or 24
        self.nosync = os.path.join(opt.build, "tests", "crash", "nosync.so")

    def server(self, directory):
        one = servers.Gatehouse(self.opt.scratch, ACCOUNTS, self.opt.base_port, None, root=self.root)
        one.dir = directory + "/data"
        return one

    def end(self, server):
        """kill -9 of everything, top first, so that nobody is started again."""
        pids = servers.tree(server.root_pid)
        for pid in [server.root_pid] + sorted(pids):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        while pids & set(servers.parents()):
            pass

    def workload(self, directory, ack_path):
        with contextlib.nullcontext() if self.sync else powercut.Preload(self.nosync, self.opt.scratch):
            self.deliver(directory, ack_path)

    def deliver(self, directory, ack_path):
        server = self.server(directory)
        server.start()
        senders = None
        try:
            with open(ack_path, "wb", buffering=0) as ack:
                ack.write(b"-1\n")  # the server is up and its accounts are made
                senders = kill_load.Senders(server.ports["lmtp"], ACCOUNTS, self.opt.seed, 3)
                senders.on_ack = lambda number: ack.write(b"%d\n" % number)
                senders.allow(self.count)
                senders.wait_idle(60)
        finally:
            self.end(server)
            if senders is not None:
                senders.stop()

    def check(self, directory, acked):
        if not acked:
            return None
        server = self.server(directory)
        try:
            server.start()
        except (RuntimeError, TimeoutError) as e:
            return "the server does not start: %s" % e
        try:
            ledger = kill_check.Ledger(server.ports["pop3"], ACCOUNTS, self.opt.seed)
            fate = {i: kill_load.UNKNOWN for i in range(self.count)}
            fate.update({int(n): kill_load.ACKED for n in acked if int(n) >= 0})
            ledger.compare(fate)
        finally:
            self.end(server)
        return ledger.faults[0] if ledger.faults else None
