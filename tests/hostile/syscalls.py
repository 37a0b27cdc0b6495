#!/usr/bin/python3
"""Write every system call that the kernel's headers name, as lines CALL(name, number).

usage: syscalls.py OUTPUT COMPILER...
"""
import re
import subprocess
import sys


def preprocess(compiler, text, *options):
    return subprocess.run(compiler + ["-E", "-P", *options, "-"], input="#include <asm/unistd.h>\n" + text,
                          capture_output=True, text=True, check=True).stdout


def main():
    out, compiler = sys.argv[1], sys.argv[2:]
    names = re.findall(r"^#define __NR_(\w+) ", preprocess(compiler, "", "-dM"), re.M)
    # The preprocessor once more, because on some processors a number is another macro.
    text = preprocess(compiler, "".join("@%s __NR_%s\n" % (n, n) for n in names))
    calls = [(int(nr), name) for name, nr in re.findall(r"^@(\w+) (\d+)$", text, re.M)]
    calls = [(nr, name) for nr, name in calls if name not in ("syscalls", "arch_specific_syscall")]
    if len(calls) < 200:
        sys.exit("the headers name only %d system calls" % len(calls))
    with open(out, "w", encoding="ascii") as f:
        for nr, name in sorted(calls):
            f.write("CALL(%s, %d)\n" % (name, nr))


main()
