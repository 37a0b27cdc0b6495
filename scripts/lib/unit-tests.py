"""unit-tests - runs the test programs of a meson build and counts their subtests.

    unit-tests.py BUILDDIR [SUITE]

meson itself counts programs; we want the cases (TAP lines) of each. A program that says nothing counts as one
case by its exit status.
"""
import concurrent.futures
import json
import os
import re
import subprocess
import sys


def run(test, build):
    env = dict(os.environ, **test["env"])
    env.setdefault("ASAN_OPTIONS", "abort_on_error=0:detect_leaks=1")
    env.setdefault("UBSAN_OPTIONS", "halt_on_error=1:print_stacktrace=1")
    try:
        p = subprocess.run(test["cmd"], cwd=test["workdir"] or build, env=env, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=test["timeout"] or 120)
        status, out = p.returncode, p.stdout
    except subprocess.TimeoutExpired as e:
        status, out = -1, (e.stdout or b"") + b"\ntook too long\n"
    except OSError as e:
        status, out = -1, str(e).encode()
    good = len(re.findall(rb"^ok ", out, re.M))
    bad = len(re.findall(rb"^not ok ", out, re.M))
    if good + bad == 0:
        good, bad = (1, 0) if status == 0 else (0, 1)
    elif status != 0 and bad == 0:
        bad = 1
    return test["name"], good, bad, out.decode("utf-8", "replace")


def main():
    build = sys.argv[1]
    listing = subprocess.run(["meson", "introspect", "--tests", build], stdout=subprocess.PIPE, check=True)
    tests = json.loads(listing.stdout)
    if len(sys.argv) > 2:
        tests = [t for t in tests if any(s.split(":")[-1] == sys.argv[2] for s in t["suite"])]
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=2 * (os.cpu_count() or 1)) as pool:
        for name, good, bad, out in pool.map(lambda t: run(t, build), tests):
            passed, failed = passed + good, failed + bad
            print("%-24s %4d passed, %d failed" % (name, good, bad))
            if bad:
                print(out)
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


sys.exit(main())
