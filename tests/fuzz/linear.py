"""linear - every parser's work grows as its input does: instructions are counted, no time is taken.

    linear.py BUILDDIR [--lengths 5] [--only TARGET] [--show]

A seed is text that a parser could do too much for; each length goes through its fuzz target under
valgrind's callgrind, which counts the instructions of that one call, libc's as well. What the target needs for
none of the text is taken off; then twice the text may need RATIO times the instructions at most; once more,
where a limit is passed and other work begins, but not at the next length, too. Limits
of the parser may make it less; but some length must need LEAST times the first, or the seed does not
get to where the work is. Not here: pairs of listeners in a configuration, which are compared with each other.
"""
import argparse
import collections
import concurrent.futures
import glob
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile

RATIO, LEAST = 2.3, 1.2
SLACK = 80000  # instructions that malloc() may have for itself
TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
# The text: prefix, as many units as fit into n octets (or a function of n), suffix; n is the first length.
Seed = collections.namedtuple("Seed", "target name prefix unit suffix n", defaults=(b"", 800))


def grown(seed, n):
    if callable(seed.unit):
        return seed.unit(n)
    return seed.prefix + (seed.unit * (n // len(seed.unit) + 1))[:n // len(seed.unit) * len(seed.unit)] + seed.suffix


def dribble(text):
    """Fuzz targets of protocols take 0xff and a letter for a pause: the text octet by octet."""
    return b"".join(bytes([c]) + b"\xffz" for c in text)


def frame(ops):
    """A log frame with one batch of rows, as docs/engine.md has it; the target puts the sum right."""
    batch = b"\x06\x05mbox1" + struct.pack("<QQQ", 1, 0, 7) + b"".join(ops)
    rows = struct.pack("<I", len(batch) + 4) + batch
    return b"GHF1" + struct.pack("<II", 1, len(rows)) + bytes(12) + struct.pack("<Q", 1) + bytes(16) + rows


def put(key, value=b"\0v"):
    return b"\1" + struct.pack("<HI", len(key), len(value)) + key + value


def rows_down(n):
    return frame([put(b"k%08d" % (10 ** 7 - i)) for i in range(n // 18)])


def rows_same(n):
    return frame([put(b"k") for i in range(n // 10)])


def segment(n):
    one = rows_down(200)
    return one + bytes(-len(one) % 8) if n == 0 else (one + bytes(-len(one) % 8)) * (n // len(one) + 1)


def packet(name, size):
    """A packet of the schema: numbers that are 0, and its last field with so many octets."""
    with open(os.path.join(TOP, "common", "ipc", "schema.def")) as f:
        text = f.read()
    names = re.findall(r"(?m)^MSG\((\w+),", text)
    kinds = re.findall(r"(?m)^\tFIELD\(%s, \w+, (\w+)," % name, text)
    fields = [{"U32": bytes(4), "U64": bytes(8), "I64": bytes(8)}.get(k, bytes(4)) for k in kinds[:-1]]
    return struct.pack("<HH", 1 + names.index(name), 0) + b"".join(fields) + struct.pack("<I", size) + b"a" * size


LOGIN = b"\x04"  # of fuzz-imap: logged in, the INBOX selected
DEEP = b"".join(b"Content-Type: multipart/mixed; boundary=b%02d\r\n\r\n--b%02d\r\n" % (i, i) for i in range(40))
MIXED = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
HEADERS = [  # (name, prefix, unit, suffix)
    ("fields", b"", b"A: b\r\n", b"\r\n"),
    ("one folded field", b"To: a", b"\r\n b", b"\r\n\r\n"),
    ("addresses", b"To: ", b"a@b,", b"\r\n\r\n"),
    ("comments in comments", b"To: ", b"(", b"\r\n\r\n"),
    ("quoted backslashes", b"To: \"", b"\\\\", b"\r\n\r\n"),
    ("open groups", b"To: ", b"a:", b"\r\n\r\n"),
    ("angle brackets", b"To: ", b"<", b"\r\n\r\n"),
    ("route", b"To: <", b"@a,", b":b@c>\r\n\r\n"),
    ("encoded words", b"Subject: ", b"=?utf-8?q?a?= ", b"\r\n\r\n"),
    ("open encoded words", b"Subject: ", b"=?a?q?", b"\r\n\r\n"),
    ("parameters", b"Content-Type: a/b", b";a=b", b"\r\n\r\n"),
    ("continued parameters", b"Content-Type: a/b", b";a*1=b", b"\r\n\r\n"),
    ("references", b"References: ", b"<a@b> ", b"\r\n\r\n"),
]
LINES = [
    ("a line without end", b"", b"a", b""),
    ("carriage returns", MIXED + b"--b\r\n\r\n", b"\r", b""),
    ("dashes", MIXED + b"--b\r\n\r\n", b"-", b""),
]
BODIES = [
    ("parts", MIXED, b"--b\r\n\r\n\r\n", b"--b--\r\n"),
    ("parts without headers", MIXED, b"--b\r\n", b""),
    ("almost boundaries", MIXED + b"--b\r\n\r\n", b"--a\r\n", b""),
    ("boundaries of many levels", DEEP, b"--b\r\n", b""),
    ("messages in messages", b"", b"Content-Type: message/rfc822\r\n\r\n", b""),
    ("empty lines", b"\r\n", b"\r\n", b""),
]


def message_seeds(target, before, n, kinds):
    return [Seed(target, name, before + prefix, unit, suffix, n) for name, prefix, unit, suffix in kinds]


SEEDS = [
    Seed("ipc", "octets", b"", lambda n: packet("body_data", n), b"", 1500),
    Seed("ipc", "text", b"", lambda n: packet("ctl_conf", n), b"", 1500),
    Seed("lmtp", "commands", b"\0LHLO a\r\n", b"NOOP\r\n"),
    Seed("lmtp", "transactions", b"\0LHLO a\r\n", b"MAIL FROM:<a@b>\r\nRSET\r\n"),
    Seed("lmtp", "dots", b"\0LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<u1@example.test>\r\nDATA\r\n", b"..\r\n", b".\r\n", 100),
    Seed("lmtp", "an octet at a time", b"\0", lambda n: b"\0LHLO a\r\nMAIL FROM:<" + dribble(b"a" * n), b"", 60),
    Seed("lmtp", "pieces of BDAT", b"\0LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<u1@example.test>\r\n", b"BDAT 1\r\na"),
    Seed("smtp", "commands", b"\0EHLO a\r\n", b"NOOP\r\n"),
    Seed("smtp", "a base64 response", b"\x0cEHLO a\r\nAUTH PLAIN ", b"AAAA", b"\r\n", 100),
    Seed("smtp", "source route", b"\0EHLO a\r\nMAIL FROM:<", b"@a,", b":b@c>\r\n", 30),
    Seed("smtp-path", "quoted", b"<\"", b"\\\\", b"\"@b>", 2),
    Seed("smtp-path", "domain", b"<a@", b"a.", b"b>", 7),
    Seed("pop3", "commands", b"\0USER u1\r\nPASS gatehouse\r\n", b"NOOP\r\n"),
    Seed("pop3", "dots", b"\0USER u1\r\nPASS gatehouse\r\nRETR 2\r\n", b".\r\n"),
    Seed("pop3", "an octet at a time", b"\0", lambda n: b"\0AUTH PLAIN " + dribble(b"A" * n), b"", 300),
    Seed("imap", "commands", LOGIN, b"a NOOP\r\n"),
    Seed("imap", "keys of a search", LOGIN + b"a SEARCH ", b"NOT ALL ", b"ALL\r\n", 200),
    Seed("imap", "a set of numbers", LOGIN + b"a FETCH ", b"1,", b"1 FLAGS\r\n"),
    Seed("imap", "a set of ranges", LOGIN + b"a UID FETCH ", b"9:1,3:*,", b"1 FLAGS\r\n"),
    Seed("imap", "quoted backslashes", LOGIN + b"a LIST \"\" \"", b"\\\\", b"\"\r\n"),
    Seed("imap", "wildcards", LOGIN + b"a LIST \"\" \"", b"*a%", b"\"\r\n"),
    Seed("imap", "flags", LOGIN + b"a STORE 1 +FLAGS (", b"\\Seen ", b"\\Seen)\r\n", 350),
    Seed("imap", "literals", LOGIN + b"a SEARCH ", b"SUBJECT {1+}\r\na ", b"ALL\r\n", 400),
    Seed("imap-parts", "names of fields", b" (BODY[HEADER.FIELDS (", b"a ", b"a)])\nA: b\r\n\r\n", 14),
    Seed("imap", "an octet at a time", LOGIN, lambda n: LOGIN + b"a SEARCH SUBJECT " + dribble(b"a" * n), b"", 500),
    Seed("imap", "before the login", b"\2a LOGIN ", b"a", b" b\r\n", 300),
    Seed("search", "the same octet", b"\0\x0b\xff", b"a"),
    Seed("search", "almost the word", b"\0\x0b\xff", b"aaaaaaaaaaab"),
    Seed("search", "spaces", b"\0\x0b\xff\r\n", b" \r\n"),
    Seed("manifest", "files", b"", b"file store log-00000000 1 1\n"),
    Seed("manifest", "damaged messages", b"", b"lost 1 1 a\tb\tc\n"),
    Seed("manifest", "a line without end", b"", b"a"),
    Seed("answers", "lines of a message", b"\0\0+OK\r\n+OK\r\n+OK 1\r\n+OK\r\n", b"a\r\n"),
    Seed("answers", "a line without end", b"\0\x40", b"a"),
    Seed("answers", "lines of a reply", b"\2\0220 a\r\n", b"250-a\r\n"),
    Seed("answers", "untagged answers", b"\1\0", b"* 1 EXISTS\r\n"),
    Seed("passed", "names", b"LISTEN_PID=self\nLISTEN_FDS=1\nLISTEN_FDNAMES=", b"a:"),
    Seed("conf", "comments", b"main_domain = a\n", b"# a\n"),
    Seed("conf", "values", b"main_domain = a\n", b"main_domain = a\n"),
    Seed("conf", "unknown words", b"main_domain = a\n" + b"main_domein = a\n" * 20, b"main_domein = a\n", b"", 200),
    Seed("engine-frame", "rows, the last first", b"", rows_down),
    Seed("engine-frame", "one row again and again", b"", rows_same),
    Seed("engine-chunks", "zeros", bytes(8), b"\0"),
    Seed("scan", "a segment", b"", segment),
    Seed("scan", "almost frames", b"", b"GHF1\1\0\0\0"),
    Seed("admin", "commands", b"\x02", b"GetAccount a\n"),
    Seed("admin", "elements of an array", b"\x02SetAccountAliases a (", b"a,", b"a)\n"),
    Seed("admin", "keys of a dictionary", b"\x02UpdateAccountSettings a {", b"a=b;", b"}\n"),
    Seed("admin", "arrays in arrays", b"\x02SetAccountAliases a ", b"(", b"\n"),
    Seed("admin", "escapes", b"\x02SetRouterTable \"", b"\\e", b"\"\n"),
    Seed("admin", "an octet at a time", b"\0SetRouterTable \"", b"a", b"\"\n"),
    Seed("data", "elements of an array", b"(", b"a,", b"a)"),
    Seed("data", "keys of a dictionary", b"{", lambda n: b"{" + b"".join(b"k%06d=b;" % i for i in range(n // 10)) + b"}"),
    Seed("data", "escapes", b"\"", b"\\\\", b"\""),
    Seed("table", "routes", b"", lambda n: b"".join(b"<a%06d> = b\n" % i for i in range(n // 14)) + b"\0a000001\0"),
    Seed("table", "domains", b"", lambda n: b"".join(b"d%06d = b\n" % i for i in range(n // 12)) + b"\0a@d000001\0"),
    Seed("table", "comments", b"", b"; a\n", b"\0a\0"),
    Seed("settings", "text", b"\0a", b"a", b"", 60),
    Seed("lines", "keys", b"1 OK", b" a=b", b"", 25),
    Seed("logline", "keys", b"2026-11-22T00:53:16.6+0000 host gatehouse[7]: pop3 info sid=5-1 conn.end", b" a=b"),
    Seed("logline", "escapes", b"2026-11-22T00:53:16.6+0000 host gatehouse[7]: pop3 info sid=5-1 conn.end a=\"", b"\\x41", b"\""),
    Seed("metrics", "figures", b"", b"\6\0\0\0logins\4\0\0\0pop3\2\0\0\0ok\4\0\0\0\0\0\0\0"),
    Seed("port", "an mbox", b"\0", b"From a\n\nb\n"),
    Seed("port", "almost From", b"\0From a\n\n", b">>From\n"),
    Seed("port", "written as an mbox", b"\x02", b"From \n"),
    Seed("port", "uidlist", b"\x033 V1 N9\n", b"1 :a\n"),
    Seed("port", "IMAP responses", b"\x06", b"* 1 EXISTS\r\n"),
    Seed("port", "lists in an IMAP response", b"\x06* LIST ", b"(", b"\r\n"),
] + message_seeds("mime", b"", 500, HEADERS + LINES + BODIES) + message_seeds("facts", b"\0", 300, HEADERS + BODIES) + message_seeds(
    "header-address", b"", 500, HEADERS) + message_seeds("imap-parts", b" (ENVELOPE BODYSTRUCTURE)\n", 300, HEADERS + BODIES)


def counted(build, target, seeds, lengths, room):
    """Instructions of each seed for none of its text and for each length."""
    program = os.path.join(build, "tests", "fuzz", "replay-" + target)
    paths = []
    for i, seed in enumerate(seeds):
        for k in [0] + [1 << step for step in range(lengths)]:
            paths.append(os.path.join(room, "%03d-%d" % (i, k)))
            with open(paths[-1], "wb") as f:
                f.write(grown(seed, k * seed.n))
    entry = "LLVMFuzzerTestOneInput"
    out = os.path.join(room, "count")
    # Large pieces of memory come fresh from the kernel, whatever was there before: calloc() clears none.
    env = dict(os.environ, GLIBC_TUNABLES="glibc.malloc.mmap_threshold=8192")
    subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=" + out, "--toggle-collect=" + entry,
                    "--dump-after=" + entry, program] + paths, check=True, capture_output=True, timeout=500, env=env)
    figures = []
    for i in range(1, len(paths) + 1):
        with open("%s.%d" % (out, i)) as f:
            figures.append(next(int(line.split()[1]) for line in f if line.startswith("totals:")))
    if len(glob.glob(out + ".*")) != len(paths):
        raise RuntimeError("%d counts of %d seeds" % (len(glob.glob(out + ".*")), len(paths)))
    row = 1 + lengths
    return [figures[i * row:(i + 1) * row] for i in range(len(seeds))]


def judge(seed, figures):
    """None, or what is wrong."""
    work = [max(f - figures[0], 1) for f in figures[1:]]
    steep = [b > RATIO * a + SLACK for a, b in zip(work, work[1:])]
    if steep[-1] or any(a and b for a, b in zip(steep, steep[1:])):
        return "grows faster than its input", work
    return (None if max(work) >= LEAST * work[0] else "does not get to where the work is"), work


def run(build, lengths, target, seeds):
    room = tempfile.mkdtemp(prefix="gh-linear-")
    try:
        return [(seed,) + judge(seed, f) for seed, f in zip(seeds, counted(build, target, seeds, lengths, room))]
    finally:
        shutil.rmtree(room)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build")
    p.add_argument("--lengths", type=int, default=5, help="each twice the one before")
    p.add_argument("--only", default="")
    p.add_argument("--show", action="store_true", help="figures of all, not only of what fails")
    opt = p.parse_args()
    build = os.path.abspath(opt.build)
    by_target = collections.OrderedDict()
    for seed in SEEDS:
        if opt.only in ("", seed.target):
            by_target.setdefault(seed.target, []).append(seed)
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count() or 2) as pool:
        for rows in pool.map(lambda item: run(build, opt.lengths, *item), by_target.items()):
            for seed, why, work in rows:
                passed, failed = passed + (why is None), failed + (why is not None)
                if why or opt.show:
                    print("%s %s, %s%s: instructions for %d octets %s" % (
                        "FAILED" if why else "ok", seed.target, seed.name, " " + why if why else "", seed.n,
                        ", twice as many ".join(map(str, work))), flush=True)
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
