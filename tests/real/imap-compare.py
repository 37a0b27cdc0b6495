#!/usr/bin/env python3
"""What FETCH says of every message of the corpus: its parts rebuild it, ENVELOPE and BODYSTRUCTURE
follow the grammar of RFC 3501 9, and the structure is the one that the facts have.

    imap-compare.py --parts build/tests/unit/imap-parts [--seed 1] [--generated 200]
"""
import argparse
import os
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "tests", "corpus"))
import corpus  # noqa: E402


class Bad(Exception):
    pass


def read_value(data, at):
    """One value of a response: bytes, int, None for NIL, or a list. Then where it ended."""
    c = data[at:at + 1]
    if c == b"(":
        out, at = [], at + 1
        while data[at:at + 1] != b")":
            value, at = read_value(data, at)
            out.append(value)
            if data[at:at + 1] == b" ":
                at += 1
                if data[at:at + 1] in (b")", b" "):
                    raise Bad("a blank too many")
            elif data[at:at + 1] not in (b")", b"("):
                raise Bad("no blank between two values")
        return out, at + 1
    if c == b'"':
        out, at = b"", at + 1
        while data[at:at + 1] != b'"':
            if data[at:at + 1] == b"\\":
                at += 1
                if data[at:at + 1] not in (b"\\", b'"'):
                    raise Bad("a wrong escape")
            if at >= len(data) or data[at] >= 0x80 or data[at] in (0, 10, 13):
                raise Bad("a byte that may not be quoted")
            out += data[at:at + 1]
            at += 1
        return out, at + 1
    if c == b"{":
        end = data.index(b"}\r\n", at)
        n = int(data[at + 1:end])
        value = data[end + 3:end + 3 + n]
        if len(value) != n or b"\0" in value:
            raise Bad("a wrong literal")
        return value, end + 3 + n
    if data[at:at + 3] == b"NIL":
        return None, at + 3
    end = at
    while data[end:end + 1].isdigit():
        end += 1
    if end == at:
        raise Bad("no value at %r" % data[at:at + 20])
    return int(data[at:end]), end


def want(ok, what):
    if not ok:
        raise Bad(what)


def is_nstring(v):
    return v is None or isinstance(v, bytes)


def check_envelope(v):
    want(isinstance(v, list) and len(v) == 10, "ENVELOPE has ten members")
    for i in (0, 1, 8, 9):
        want(is_nstring(v[i]), "a text of ENVELOPE")
    for i in range(2, 8):
        want(v[i] is None or (isinstance(v[i], list) and v[i]), "a list of addresses")
        depth = 0
        for a in v[i] or []:
            want(isinstance(a, list) and len(a) == 4 and all(map(is_nstring, a)), "an address")
            if a[3] is None:
                depth += 1 if a[2] is not None else -1
                want(depth in (0, 1) and a[0] is None and a[1] is None, "a group")
            else:
                want(a[2] is not None, "a mailbox without a name")
        want(depth == 0, "a group without end")
    if v[2] is not None:
        want(v[3] is not None and v[4] is not None, "Sender and Reply-To default to From")


def check_params(v):
    want(v is None or (isinstance(v, list) and v and len(v) % 2 == 0 and
                       all(isinstance(x, bytes) for x in v)), "parameters")


def check_tail(v):
    """disposition, language, location: all of them are always written."""
    want(len(v) == 3, "extension data")
    want(v[0] is None or (len(v[0]) == 2 and isinstance(v[0][0], bytes)), "disposition")
    if v[0] is not None:
        check_params(v[0][1])
    want(is_nstring(v[1]) or (v[1] and all(isinstance(x, bytes) for x in v[1])), "language")
    want(is_nstring(v[2]), "location")


def check_body(v, extended):
    """A BODY or BODYSTRUCTURE; gives (type, octets, children) for the comparison of both."""
    want(isinstance(v, list) and v, "a body is a list")
    if isinstance(v[0], list):
        n = 0
        while n < len(v) and isinstance(v[n], list):
            n += 1
        kids = [check_body(x, extended) for x in v[:n]]
        want(len(v) > n and isinstance(v[n], bytes), "a multipart's subtype")
        want(len(v) == n + 1 + (4 if extended else 0), "members of a multipart")
        if extended:
            check_params(v[n + 1])
            check_tail(v[n + 2:])
        return (b"multipart/" + v[n].lower(), 0, kids)
    want(len(v) >= 7 and isinstance(v[0], bytes) and isinstance(v[1], bytes), "a media type")
    check_params(v[2])
    want(is_nstring(v[3]) and is_nstring(v[4]) and isinstance(v[5], bytes), "id, description, encoding")
    want(isinstance(v[6], int), "octets")
    at, kids = 7, []
    if v[0].lower() == b"message" and v[1].lower() == b"rfc822":
        check_envelope(v[7])
        kids = [check_body(v[8], extended)]
        at = 9
    if kids or v[0].lower() == b"text":
        want(isinstance(v[at], int), "lines")
        at += 1
    want(len(v) == at + (4 if extended else 0), "members of a part")
    if extended:
        want(is_nstring(v[at]), "MD5")
        check_tail(v[at + 1:])
    return ((v[0] + b"/" + v[1]).lower(), v[6], kids)


def check_message(data, line):
    if b" whole " not in line:
        raise Bad(line.decode(errors="replace").split(" ", 1)[1])
    envelope, at = read_value(data, 0)
    body, at = read_value(data, at + 1)
    structure, at = read_value(data, at + 1)
    want(at == len(data), "something behind the structure")
    check_envelope(envelope)
    short, whole = check_body(body, False), check_body(structure, True)
    want(short == whole, "BODY and BODYSTRUCTURE differ")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--parts", default=os.path.join(ROOT, "build", "tests", "unit", "imap-parts"))
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--generated", type=int, default=200)
    opt = p.parse_args()
    messages = list(corpus.load(seed=opt.seed, generated=opt.generated))
    failed = 0
    with tempfile.TemporaryDirectory() as tmp:
        paths = []
        for i, m in enumerate(messages):
            paths.append(os.path.join(tmp, str(i)))
            with open(paths[-1], "wb") as f:
                f.write(m.data)
        out = subprocess.run([opt.parts] + paths, stdout=subprocess.PIPE, check=False).stdout
    at = 0
    for m in messages:
        end = out.index(b"\n", at)
        line = out[at:end]
        n = int(line.rsplit(b" ", 1)[1])
        try:
            check_message(out[end + 1:end + 1 + n], line)
        except Bad as e:
            failed += 1
            print("FAIL %s: %s" % (m.name, e))
        at = end + 1 + n + 1
    print("%d passed, %d failed" % (len(messages) - failed, failed))
    return 1 if failed or not messages else 0


if __name__ == "__main__":
    sys.exit(main())
