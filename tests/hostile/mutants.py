#!/usr/bin/python3
"""Break the sandbox on purpose, one way at a time, and see that the tests notice each.

usage: mutants.py BUILD [--all [--part K/N]]

Every row of the table is deleted once, every layer is left out once, and of the lines of sys.def
one in twenty is deleted (with --all each; with --part only the K-th of N shares). Each mutant of
common/sandbox is compiled on its own and compared with the reviewed lists by probe.py; one that
passes is a hole in the tests.
"""
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.join(HERE, "..", "..")
# The row that shows the loss of what a group allows or a layer forbids.
SHOWS = {"BASE": "conf", "FD_IN": "signer", "FD_OUT": "signer", "LOOP": "signer", "PAIR": "stored",
         "ACCEPT": "pop3", "FORK": "pop3", "THREADS": "stored", "FILES_AT": "stored", "DB": "stored",
         "VIEW": "ctl-reader", "STAMP": "ctl-export"}
# Calls that all rows but those of children may make in some way: only there can they be deadly.
DEADLY_TO_CHILDREN = {"tgkill": "pop3-child"}


def read(name):
    with open(os.path.join(TOP, "common", "sandbox", name), encoding="utf-8") as f:
        return f.read()


def without(text, match):
    return text[:match.start()] + text[match.end():]


def mutants(every):
    """(what was done, file, its new text, rows to try)"""
    table, enter, sys_def = read("table.c"), read("enter.c"), read("sys.def")
    for m in re.finditer(r"^\t\[PROC_(\w+)\] = \{.*?^\t\},\n", table, re.M | re.S):
        yield "row %s deleted" % m.group(1), "table.c", without(table, m), ["-"]  # the list of rows tells
    for m in re.finditer(r'^\t\{ "([\w-]+)", \w+, \w+ \},\n', enter, re.M):
        # Without seccomp the attempts would hurt; what another layer covers running.py looks at.
        if m.group(1) in ("user", "root", "landlock", "limits"):
            yield "layer %s left out" % m.group(1), "enter.c", without(enter, m), ["stored", "pop3"]
    lines = [m for m in re.finditer(r"^(ALLOW|KILL)\w*\((\w+).*\n", sys_def, re.M)]
    for i, m in enumerate(lines):
        if not every and i % 20 != 3:
            continue
        row = (SHOWS if m.group(1) == "ALLOW" else DEADLY_TO_CHILDREN).get(m.group(2), "conf")
        yield "%s deleted" % m.group(0).strip(), "sys.def", without(sys_def, m), [row]


def compile_c(place, build, source, out):
    subprocess.run(["gcc", "-w", "-std=gnu17", "-D_GNU_SOURCE", "-I" + place, "-I" + build, "-I" + TOP,
                    "-c", source, "-o", out], check=True)


def compile_common(tmp, build):
    """Objects of all that no mutant changes, by file name."""
    objects = {}
    for folder in ("common/sandbox", "tests/hostile"):
        for name in os.listdir(os.path.join(TOP, folder)):
            if name.endswith(".c") and not name.startswith("inside"):
                objects[name] = os.path.join(tmp, name[:-2] + ".o")
                compile_c(TOP, build, os.path.join(TOP, folder, name), objects[name])
    return objects


def try_mutant(tmp, build, common, number, what, name, text, rows):
    """None when the mutant was noticed, else a sentence."""
    place = os.path.join(tmp, str(number))
    folder = os.path.join(place, "common", "sandbox")
    os.makedirs(folder)
    os.makedirs(os.path.join(place, "tests", "hostile"))
    source = os.path.join(folder, name)
    with open(source, "w", encoding="utf-8") as f:
        f.write(text)
    changed = name
    if name == "sys.def":
        changed, source = "filter.c", os.path.join(TOP, "common", "sandbox", "filter.c")
    objects = dict(common)
    objects[changed] = os.path.join(place, "changed.o")
    compile_c(place, build, source, objects[changed])
    subprocess.run(["gcc", *objects.values(), os.path.join(build, "common", "base", "libgh_base.a"),
                    "-lseccomp", "-lcap", "-o", os.path.join(place, "tests", "hostile", "hostile-probe")],
                   check=True)
    p = subprocess.run([sys.executable, os.path.join(HERE, "probe.py"), place, *rows],
                       capture_output=True, text=True, timeout=200, check=False)
    shutil.rmtree(place)
    return None if p.returncode != 0 and "FAIL " in p.stdout else "nobody noticed: " + what


def main():
    build = os.path.abspath(sys.argv[1])
    share = sys.argv[sys.argv.index("--part") + 1] if "--part" in sys.argv else "1/1"
    part, parts = map(int, share.split("/"))
    chosen = list(enumerate(mutants("--all" in sys.argv)))[part - 1::parts]
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="gh-mutants-") as tmp:
        os.chmod(tmp, 0o755)
        common = compile_common(tmp, build)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            jobs = [pool.submit(try_mutant, tmp, build, common, i, *m)
                    for i, m in chosen]
            for job in jobs:
                why = job.result()
                passed, failed = passed + (why is None), failed + (why is not None)
                if why is not None:
                    print("FAIL " + why, flush=True)
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


sys.exit(main())
