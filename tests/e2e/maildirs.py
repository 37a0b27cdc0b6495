"""maildirs - Maildir++ folders made and read back, and imports and exports with what they say; for the tests of moving mail."""
import contextlib
import json
import os
import random
import re
import shutil
import tempfile

from suite import PASSWORD, check, equal

KEYWORDS = ["$Label1", "Junk", "$Forwarded", "NonJunk", "todo"]
LETTERS = "DFRST"
FLAGS = {"D": "\\Draft", "F": "\\Flagged", "R": "\\Answered", "S": "\\Seen", "T": "\\Deleted"}


def account(s, name):
    s.ctl("account", "create", name)
    s.ctl("password", "set", name, "plain", stdin=PASSWORD)
    return name


@contextlib.contextmanager
def folder():
    path = tempfile.mkdtemp(prefix="gh-port-")
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def import_json(s, *args, status=0):
    got, out, err = s.ctl("--json", "store", "import", *args, ok=False)
    check(got == status, "import %s: status %s: %s%s", " ".join(args), got, out, err)
    return json.loads(out)


def export_json(s, *args):
    return json.loads(s.ctl("--json", "store", "export", *args))


# ---- a Maildir++ as Dovecot leaves it ----

def text_of(r, i, end="\n"):
    """A message with lines that formats quarrel about."""
    lines = ["From: a%d@b.example" % i, "Message-ID: <%d@b.example>" % i, "Subject: number %d" % i, ""]
    odd = ["From here", ">From there", ">>From", "From x Thu Nov 24 18:22:48 1986", "", "text", ".", "\xe4 8 bit", "Status: RO",
           "x" * r.choice([10, 900])]
    lines += [r.choice(odd) for _ in range(r.randrange(12))] + ["the end %d" % i]
    return "".join(line + end for line in lines).encode("latin-1")


def write(path, data, when=None):
    with open(path, "wb") as f:
        f.write(data)
    if when is not None:
        os.utime(path, (when, when))


def make_box(path, r, n, uidvalidity, first=0):
    """One folder: what is expected of each message by its uid."""
    for sub in ("cur", "new", "tmp"):
        os.makedirs(os.path.join(path, sub))
    write(os.path.join(path, "dovecot-keywords"), "".join("%d %s\n" % (i, k) for i, k in enumerate(KEYWORDS)).encode())
    uid, listed, want = 0, [], {}
    for i in range(first, first + n):
        uid += r.choice([1, 1, 1, 2, 40])
        when = 1000000000 + i * 1000
        flags = "".join(f for f in LETTERS if r.random() < 0.3)
        keywords = [k for k in range(len(KEYWORDS)) if r.random() < 0.2]
        info = "".join(sorted(flags + "".join(chr(97 + k) for k in keywords)))
        base = "%d.M%dP1.host,S=1" % (when, i)
        new = r.random() < 0.1
        name = os.path.join("new", base) if new and not info else os.path.join("cur", base + ":2," + info)
        data = text_of(r, i, r.choice(["\n", "\r\n"]))
        write(os.path.join(path, name), data, when)
        listed.append("%d W%d :%s\n" % (uid, len(data), base + (":2,S" if r.random() < 0.2 else "")))
        want[uid] = (re.sub(b"\r?\n", b"\r\n", data), frozenset(FLAGS[f] for f in flags), frozenset(KEYWORDS[k] for k in keywords), when)
    r.shuffle(listed)
    uidnext = uid + r.choice([1, 1, 30])
    write(os.path.join(path, "dovecot-uidlist"), ("3 V%d N%d Gabc\n" % (uidvalidity, uidnext) + "".join(listed)).encode())
    return want, uidvalidity, uidnext


BOXES = {"INBOX": "", "Work": ".Work", "Work/A\xe4.b": ".Work.A&AOQ-\\2eb", "Empty": ".Empty"}


def make_maildir(path, seed, n):
    r = random.Random(seed)
    want, first = {}, 0
    for k, (name, sub) in enumerate(sorted(BOXES.items())):
        count = 0 if name == "Empty" else n // 3
        want[name] = make_box(os.path.join(path, sub), r, count, 700000000 + seed * 10 + k, first)
        first += count
    write(os.path.join(path, "subscriptions"), b"V\t2\n\nWork\nWork\tA&AOQ-\\2eb\nGone\n")
    return want


# ---- what a Maildir++ of ours holds ----

def read_box(path):
    with open(os.path.join(path, "dovecot-uidlist"), encoding="ascii") as f:
        head = re.fullmatch(r"3 V(\d+) N(\d+)\n", f.readline())
        uids = {line.split(" :", 1)[1].rstrip("\n"): int(line.split()[0]) for line in f}
    with open(os.path.join(path, "dovecot-keywords"), encoding="utf-8") as f:
        keywords = dict(line.rstrip("\n").split(" ", 1) for line in f)
    found = {}
    for name in os.listdir(os.path.join(path, "cur")):
        full = os.path.join(path, "cur", name)
        base, info = name.split(":2,")
        with open(full, "rb") as f:
            data = f.read()
        found[uids[base]] = (data, frozenset(FLAGS[c] for c in info if c in FLAGS),
                             frozenset(keywords[str(ord(c) - 97)] for c in info if c.islower()), int(os.stat(full).st_mtime))
    equal(sorted(found), sorted(uids.values()), "uids of the files")
    equal(os.listdir(os.path.join(path, "tmp")) + os.listdir(os.path.join(path, "new")), [], "files in tmp and new")
    return found, int(head[1]), int(head[2])


def same_box(got, want, what, uids=True):
    if uids:
        equal(got[1:], want[1:], "uidvalidity and uidnext of " + what)
        equal(sorted(got[0]), sorted(want[0]), "uids of " + what)
    else:
        equal(len(got[0]), len(want[0]), "messages of " + what)
    for a, b in zip(sorted(got[0].items()), sorted(want[0].items())):
        for i, part in enumerate(("bytes", "flags", "keywords", "date")):
            equal(a[1][i], b[1][i], "%s of message %d of %s" % (part, b[0], what))


def same_maildir(path, want, uids=True):
    for name, sub in BOXES.items():
        same_box(read_box(os.path.join(path, sub)), want[name], name, uids)


def tree_of(path):
    """Everything below a directory: names, bytes, times of the messages."""
    found = {}
    for top, _, names in os.walk(path):
        for name in names:
            full = os.path.join(top, name)
            with open(full, "rb") as f:
                found[os.path.relpath(full, path)] = (f.read(), int(os.stat(full).st_mtime) if "/cur" in top else 0)
    return found
