"""run - lets every fuzz target run for a number of seconds, from the seeds that are kept for it.

    run.py BUILDDIR SECONDS

A finding is kept in the build directory and its path printed; it becomes a seed, or a wire test.
"""
import concurrent.futures
import glob
import os
import subprocess
import sys


def run(target, seconds):
    name = os.path.basename(target)[len("fuzz-"):]
    here = os.path.dirname(os.path.abspath(__file__))
    corpus = os.path.join(os.path.dirname(target), "corpus-" + name)
    os.makedirs(corpus, exist_ok=True)
    command = [target, corpus]
    seeds = os.path.join(here, "seeds", name)
    if os.path.isdir(seeds):
        command.append(seeds)
    dictionary = os.path.join(here, name + ".dict")
    if os.path.exists(dictionary):
        command.append("-dict=" + dictionary)
    command += ["-max_total_time=%d" % seconds, "-timeout=10", "-rss_limit_mb=1024", "-max_len=65536",
                "-artifact_prefix=%s-finding-" % target, "-print_final_stats=1"]
    p = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       timeout=seconds + 120)
    return name, p.returncode, p.stdout.decode("utf-8", "replace")


def main():
    build, seconds = sys.argv[1], int(sys.argv[2])
    targets = [t for t in sorted(glob.glob(os.path.join(build, "tests", "fuzz", "fuzz-*")))
               if os.access(t, os.X_OK) and os.path.isfile(t) and "-finding-" not in t]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count() or 2) as pool:
        for name, status, out in pool.map(lambda t: run(t, seconds), targets):
            runs = [line for line in out.splitlines() if "number_of_executed_units" in line]
            print("%-20s %s %s" % (name, "ok" if status == 0 else "FAILED", runs[-1] if runs else ""))
            if status != 0:
                failed += 1
                print("\n".join(out.splitlines()[-40:]))
    if not targets:
        print("no fuzz target was built (clang is needed)")
        failed = 1
    print("%d passed, %d failed" % (len(targets) - failed if targets else 0, failed))
    return 1 if failed else 0


sys.exit(main())
