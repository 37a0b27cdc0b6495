#!/usr/bin/python3
"""directory - how fast many accounts and aliases are made, what routerd's memory is then, how long a start takes.

    directory.py BUILD [--domains 1000] [--accounts 100000] [--aliases 2] [--port-offset N]
"""
import argparse
import os
import re
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))
import suite  # noqa: E402

HASH = "{CRYPT}$5$rounds=1000$saltsalt$yNsvQnPeGyBsuOd2Qc4pOGvyhIGRSgrXBVNcOqD1Wr9"
PART = 500  # lines sent before their answers are read


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
    print("%d %s in %.1f s, %.0f/s" % (count, what, seconds, count / seconds), flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build")
    p.add_argument("--domains", type=int, default=1000)
    p.add_argument("--accounts", type=int, default=100000)
    p.add_argument("--aliases", type=int, default=2, help="of each account")
    p.add_argument("--port-offset", type=int, default=22700)
    opt = p.parse_args()
    names = ["account%06d@d%d.test" % (i, i % opt.domains) for i in range(opt.accounts)]
    with suite.Suite(opt.build, opt.port_offset, accounts=0) as s, tempfile.NamedTemporaryFile("w") as f:
        print("empty: " + memory(s))
        timed("domains", opt.domains,
              lambda: say_all(s, ["CreateDomain d%d.test" % i for i in range(opt.domains)]))
        f.writelines("%s:%s\n" % (name, HASH) for name in names)
        f.flush()
        timed("accounts", opt.accounts, lambda: s.ctl("account", "import", f.name))
        print(memory(s))
        timed("aliases", opt.accounts * opt.aliases, lambda: say_all(s, [
            "SetAccountAliases %s (%s)" % (name, ", ".join("alias%d.%06d" % (k, i) for k in range(opt.aliases)))
            for i, name in enumerate(names)]))
        print(memory(s))
        timed("start of all", 1, s.restart)
        print(memory(s))


if __name__ == "__main__":
    main()
