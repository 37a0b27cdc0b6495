"""fold-compare - the folding of docs/imap-search.md, computed by Python, beside ours: every character.

    fold-compare.py FOLD-DUMP
"""
import subprocess
import sys
import unicodedata


def fold(text):
    out = []
    for c in text:
        t = c.title()
        stack = [t if len(t) == 1 else c]
        while stack:
            c = stack.pop()
            d = unicodedata.decomposition(c)
            if d:
                stack += [chr(int(x, 16)) for x in reversed(d.split()) if x[0] != "<"]
            else:
                out.append(c)
    return "".join(out)


def main():
    lines = subprocess.run([sys.argv[1]], stdout=subprocess.PIPE, check=True).stdout.decode().splitlines()
    bad = 0
    for line in lines:
        code, _, octets = line.partition(" ")
        want = fold(chr(int(code, 16))).encode()
        if bytes.fromhex(octets) != want:
            bad += 1
            if bad <= 20:
                print("U+%s: ours %s, Python's %s" % (code.upper(), octets, want.hex()))
    assert len(lines) == 0x110000 - 0x800, len(lines)
    print("Unicode %s: %d characters, %d differences" % (unicodedata.unidata_version, len(lines), bad))
    sys.exit(bad != 0)


main()
