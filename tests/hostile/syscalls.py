#!/usr/bin/python3
"""Write every system call that the kernel's headers name, as lines CALL(name, number).

usage: syscalls.py OUTPUT COMPILER...
"""
import re
import subprocess
import sys

def main():
    out, compiler = sys.argv[1], sys.argv[2:]
    text = subprocess.run(compiler + ["-E", "-dM", "-"], input="#include <asm/unistd.h>\n",
                          capture_output=True, text=True, check=True).stdout
    calls = re.findall(r"^#define __NR_(\w+)\s+(\d+)$", text, re.M)
    if len(calls) < 200:
        sys.exit("the headers name only %d system calls" % len(calls))
    with open(out, "w") as f:
        for name, number in sorted(calls, key=lambda c: int(c[1])):
            f.write("CALL(%s, %s)\n" % (name, number))

main()
