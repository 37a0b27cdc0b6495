"""What is measured, one function each: takes a running server, returns {row: value}; opt.at_best[row] is the machine's limit."""
import json
import os
import subprocess
import time

from servers import PASSWORD, wait_greeting


class Failed(Exception):
    pass


class Loader:
    """Runs gatehouse-load and hands back its JSON line; a wrong answer is an error, not a figure."""

    def __init__(self, program, pack):
        self.program = program
        self.pack = pack

    def command(self, kind, port, **opts):
        cmd = [self.program, kind, "--port", str(port), "--password", PASSWORD]
        for key, value in opts.items():
            cmd += ["--" + key.replace("_", "-")] + ([] if value is True else [str(value)])
        return cmd

    def run(self, kind, port, **opts):
        cmd = self.command(kind, port, **opts)
        done = subprocess.run(cmd, capture_output=True, text=True)
        if done.returncode != 0:
            raise Failed("%s: exit %d: %s%s" % (" ".join(cmd[1:]), done.returncode, done.stdout,
                                                done.stderr))
        return json.loads(done.stdout)


def lmtp(server, load, opt):
    out = {}
    for sessions in (1, 10, 50):
        got = load.run("lmtp", server.ports["lmtp"], sessions=sessions, accounts=opt.accounts,
                       count=opt.deliveries, messages=load.pack)
        row = "LMTP deliveries/s, %d sessions" % sessions
        out[row] = got["per_s"]
        opt.at_best[row] = opt.limits.stored_per_s(opt.octets, sessions)
        row = "LMTP p99 ms, %d sessions" % sessions
        out[row], opt.at_best[row] = got["p99_ms"], opt.limits.flushed_ms(opt.octets, sessions)
    return out


def fill(server, load, opt):
    """Makes the big mailbox of the account after the others, once per data directory."""
    mark = os.path.join(opt.scratch, server.name.lower().replace(" ", "-") + ".filled")
    if os.path.exists(mark):
        return
    load.run("lmtp", server.ports["lmtp"], sessions=8, first_account=opt.accounts + 1,
             count=opt.messages, messages=load.pack)
    open(mark, "w").close()


def pop3(server, load, opt):
    fill(server, load, opt)
    out = {}
    for depth, name in ((1, "lock-step"), (50, "50 deep")):
        got = load.run("pop3", server.ports["pop3"], first_account=opt.accounts + 1, depth=depth,
                       count=opt.messages)
        out["POP3 RETR/s, %s" % name] = got["per_s"]
        opt.at_best["POP3 RETR/s, %s" % name] = 1e3 * depth / opt.limits.sent_ms(opt.octets * depth)
    row = "POP3 login+LIST ms, %d messages" % opt.messages
    out[row] = got["login_ms"] + got["list_ms"]
    opt.at_best[row] = opt.limits.session_ms(4, sum(len("%d %d\r\n" % (i, opt.octets)) for i in range(1, opt.messages + 1)))
    return out


def login(server, load, opt):
    out = {}
    for sessions in (1, 4):
        for port, tls in (("pop3", {}), ("pop3s", {"tls": True})):
            got = load.run("login", server.ports[port], sessions=sessions, accounts=opt.accounts,
                           count=opt.logins, **tls)
            row = "logins/s %s, %d at once" % ("TLS" if tls else "plain", sessions)
            out[row] = got["per_s"]
            opt.at_best[row] = opt.limits.logins_per_s(tls)
    return out


def pss_kib(pids):
    total = 0
    for pid in pids:
        try:
            with open("/proc/%d/smaps_rollup" % pid) as f:
                total += sum(int(x.split()[1]) for x in f if x.startswith("Pss:"))
        except (OSError, ValueError):
            continue  # a process that ended between listing and reading holds nothing
    return total


def tidy():
    """Drops what the kernel keeps of files, and compacts its memory."""
    os.sync()
    for what, value in (("drop_caches", "3"), ("compact_memory", "1")):
        with open("/proc/sys/vm/" + what, "w") as f:
            f.write(value)


def mem_available_kib():
    with open("/proc/meminfo") as f:
        return next(int(x.split()[1]) for x in f if x.startswith("MemAvailable:"))


def idle(server, load, opt):
    """Memory per logged-in idle connection. The drop of MemAvailable drowns here: tests/bench/memory."""
    out = {}
    for port, tls in (("pop3", {}), ("pop3s", {"tls": True})):
        time.sleep(1)
        pss0 = pss_kib(server.pids())
        cmd = load.command("idle", server.ports[port], count=opt.idle, sessions=4,
                           accounts=opt.accounts, spread=True, **tls)
        client = subprocess.Popen(cmd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        said = client.stdout.readline(), client.stdout.readline()
        if said[1] != "ready\n":
            raise Failed("idle: " + repr(said))
        time.sleep(1)
        pss1 = pss_kib(server.pids())
        client.stdin.close()
        if client.wait() != 0:
            raise Failed("idle: " + client.stdout.read())
        row = "idle POP %s: PSS KiB/connection" % ("TLS" if tls else "plain")
        out[row], opt.at_best[row] = (pss1 - pss0) / opt.idle, opt.limits.held_kib
        time.sleep(1)
    return out


def start(server, load, opt):
    """Cold start to greeting, taken when the round started the server; and memory at rest."""
    time.sleep(0.5)
    opt.at_best.update({"cold start to greeting ms": opt.limits.start_ms(), "PSS KiB at rest": opt.limits.rest_kib,
                        "greeting ms, warm": opt.limits.session_ms(1)})
    return {"cold start to greeting ms": server.cold_start_s * 1e3,
            "PSS KiB at rest": pss_kib(server.pids()),
            "greeting ms, warm": wait_greeting(server.ports["pop3"]) * 1e3}


ALL = {"start": start, "lmtp": lmtp, "pop3": pop3, "login": login, "idle": idle}
# Rows where a smaller figure is the better one; the ratio is turned round for them.
SMALLER = ("ms", "KiB")
