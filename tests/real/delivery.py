"""Mail in: swaks as it comes and with --no-data-fixup, Python's LMTP, smtp-source."""
import subprocess

import expected
import gen
import lmtp

SENDER = "sender@sender.example"


def swaks(server, data, recipients, scratch, fixup):
    """Sends `data`; with fixup swaks may do to it what it does by default. None or what went wrong."""
    path = scratch + "/swaks.data"
    with open(path, "wb") as f:
        f.write(expected.swaks_file(data) if fixup else gen.stuffed(data))
    cmd = ["swaks", "--protocol", "LMTP", "--server", "127.0.0.1", "--port", str(server.ports["lmtp"]),
           "--from", SENDER, "--to", ",".join(recipients), "--data", "@" + path]
    done = subprocess.run(cmd + ([] if fixup else ["--no-data-fixup"]), capture_output=True, timeout=60)
    return None if done.returncode == 0 else done.stdout[-400:].decode("latin-1")


def swaks_keeps(data, recipients):
    return expected.swaks_makes(data, SENDER, recipients) == data


class Python:
    """One connection for many messages; a new one after something went wrong."""

    def __init__(self, server):
        self.port = server.ports["lmtp"]
        self.conn = None

    def __call__(self, data, recipients):
        try:
            self.conn = self.conn or lmtp.Lmtp(self.port)
            codes = self.conn.deliver(recipients, data)
            return None if codes == [250] * len(recipients) else str(codes)
        except (lmtp.Refused, OSError) as e:
            self.conn = None
            return str(e)


def smtp_source(server, account, count, size):
    """Postfix's load tool, five sessions; None or what it said."""
    cmd = ["smtp-source", "-L", "-s", "5", "-m", str(count), "-l", str(size), "-f", SENDER,
           "-t", account + "@example.test", "127.0.0.1:%d" % server.ports["lmtp"]]
    done = subprocess.run(cmd, capture_output=True, timeout=120)
    return None if done.returncode == 0 else "exit %d %s" % (done.returncode, done.stderr[-200:].decode())
