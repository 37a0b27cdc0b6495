#!/usr/bin/python3
"""directory - how fast a large directory is made, what routerd's memory is then, how long a start takes, and how long
a login's name takes while others log in.

    directory.py BUILD [--times N] [--logins SECONDS] [--domains 1000] [--accounts 100000] [--aliases 2] [--records 10000]

--times multiplies domains and accounts. A tenth of the records have wildcards, a tenth of these for any domain. --logins
logs in by POP3, 20, 100 and 300 times a second, then by gatehouse-load with 1, 4 and 16 sessions at a time as fast as
they can, and prints from authd's own figures which part of the logins had their account within how long: `ask` is routerd's answer, `name` all from the client's message to the
account, the process that reads it included; the password's check comes after it.
"""
import argparse
import concurrent.futures
import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))
import openmetrics  # noqa: E402
import suite  # noqa: E402

HASH = "{CRYPT}$5$rounds=1000$saltsalt$yNsvQnPeGyBsuOd2Qc4pOGvyhIGRSgrXBVNcOqD1Wr9"
PART = 500  # lines sent before their answers are read
LOGINS = 50  # accounts that log in


def memory(s):
    with open("/proc/%d/status" % s.pids("routerd")[0], encoding="ascii") as f:
        text = f.read()
    return "routerd holds %d MB, %d MB of it its own" % tuple(
        int(re.search(key + r":\s+(\d+)", text)[1]) // 1024 for key in ("VmRSS", "RssAnon"))


def say_all(s, lines):
    with suite.Line(s.admin, timeout=300) as l:
        l.want(None, "200")
        for at in range(0, len(lines), PART):
            part = lines[at:at + PART]
            l.send("".join(line + "\r\n" for line in part))
            for line in part:
                l.want(None, "200")


def timed(what, count, function):
    began = time.monotonic()
    function()
    seconds = time.monotonic() - began
    rate = ", %.0f/s" % (count / seconds) if count > 1 else ""
    print("%d %s in %.2f s%s" % (count, what, seconds, rate), flush=True)


def records(opt):
    """Literal ones mostly; wildcards for one domain; wildcards for any."""
    for i in range(opt.records):
        d = i % opt.domains
        if i % 10:
            yield "<moved%d@d%d.test> = account%06d@d%d.test" % (i, d, d, d)
        elif i % 100:
            yield "<*-list%d@d%d.test> = account%06d@d%d.test" % (i, d, d, d)
        else:
            yield "<x%d-*@*> = *@d%d.test" % (i, d)


def steps(s):
    """{step: {within: count}} of the metric, as authd has counted since its start."""
    found = {}
    for labels, value in openmetrics.scrape(s).get("gatehouse_login_steps", (None, {}))[1].items():
        labels = dict(labels)
        found.setdefault(labels["step"], {})[labels["within"]] = value
    return found


def log_in_fast(s, opt, sessions):
    """As fast as they can; how many."""
    load = os.path.join(opt.build, "tests", "bench", "gatehouse-load")
    began, done = time.monotonic(), 0
    while time.monotonic() - began < opt.logins:
        subprocess.run([load, "login", "--port", str(s.port(110)), "--sessions", str(sessions), "--count", "500",
                        "--accounts", str(LOGINS), "--user-suffix", "@" + suite.DOMAIN],
                       check=True, stdout=subprocess.DEVNULL)
        done += 500
    return done


def log_in_paced(s, opt, rate):
    """So many a second, each when it is due, be those before it done or not."""
    began, numbers = time.monotonic(), iter(range(int(rate * opt.logins)))

    def work():
        for n in numbers:
            time.sleep(max(0, began + n / rate - time.monotonic()))
            with s.pop_line() as l:
                l.want("USER u%d@%s" % (n % LOGINS + 1, suite.DOMAIN), "+OK")
                l.want("PASS " + suite.PASSWORD, "+OK")
                l.want("QUIT", "+OK")
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        for done in [pool.submit(work) for _ in range(16)]:
            done.result()
    return int(rate * opt.logins)


def told(s, what, work):
    """What authd counted meanwhile."""
    before, began = steps(s), time.monotonic()
    rate = work() / (time.monotonic() - began)
    time.sleep(1.5)  # figures are collected once a second
    for step, now in sorted(steps(s).items()):
        counts = {w: n - before.get(step, {}).get(w, 0) for w, n in now.items()}
        total, shown = sum(counts.values()), []
        for within in sorted((w for w in counts if w != "more"), key=float):
            share = sum(n for w, n in counts.items() if w != "more" and float(w) <= float(within)) / total
            shown.append("%s ms %.2f %%" % (within, share * 100))
        print("%s, %4.0f/s, %-4s of %d: %s" % (what, rate, step, total, ", ".join(shown)), flush=True)


def import_all(s, names):
    for at in range(0, len(names), 100000):
        s.ctl("account", "import", "-", stdin="".join("%s:%s\n" % (n, HASH) for n in names[at:at + 100000]))


def make(s, opt):
    names = ["account%06d@d%d.test" % (i, i % opt.domains) for i in range(opt.accounts)]
    print("empty: " + memory(s))
    timed("domains", opt.domains, lambda: say_all(s, ["CreateDomain d%d.test" % i for i in range(opt.domains)]))
    timed("accounts", opt.accounts, lambda: import_all(s, names))
    print(memory(s))
    timed("aliases", opt.accounts * opt.aliases, lambda: say_all(s, [
        "SetAccountAliases %s (%s)" % (name, ", ".join("alias%d.%06d" % (k, i) for k in range(opt.aliases)))
        for i, name in enumerate(names)]))
    print(memory(s))
    table = "".join(line + "\n" for line in records(opt))
    timed("records of the Router, at once", opt.records, lambda: s.ctl("router", "set", "-", stdin=table))
    print(memory(s))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build")
    p.add_argument("--times", type=float, default=1)
    p.add_argument("--logins", type=float, default=0)
    p.add_argument("--domains", type=int, default=1000)
    p.add_argument("--accounts", type=int, default=100000)
    p.add_argument("--aliases", type=int, default=2, help="of each account")
    p.add_argument("--records", type=int, default=10000)
    p.add_argument("--port-offset", type=int, default=22700)
    opt = p.parse_args()
    opt.domains, opt.accounts = int(opt.domains * opt.times), int(opt.accounts * opt.times)
    with suite.Suite(opt.build, opt.port_offset, accounts=LOGINS if opt.logins else 0) as s:
        make(s, opt)
        s.stop()
        timed("start of all", 1, s.start_again)
        print(memory(s))
        for rate in (20, 100, 300) if opt.logins else ():
            told(s, "as due", lambda: log_in_paced(s, opt, rate))
        for sessions in (1, 4, 16) if opt.logins else ():
            told(s, "%2d at a time" % sessions, lambda: log_in_fast(s, opt, sessions))


if __name__ == "__main__":
    main()
