#!/usr/bin/python3
"""Our facts of every corpus message against Python's email package, an independent parser.

    mime-compare.py --dump build/tests/unit/facts-dump [--seed 1] [--generated 200] [--verbose]

Compared: the tree of content types, the octets of every leaf (which fixes its offsets), line counts,
parameters, envelope fields, addresses, date, Received count. Every difference must be one of RULES,
each with the sentence of a standard that decides it (docs/mail.md repeats the table); anything else
fails.
"""
import argparse
import collections
import email
import email.utils
import json
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "corpus"))
import corpus  # noqa: E402

MESSAGE, OPEN_END = 2, 8  # enums in common/mail/mime.h
NO_STRUCTURE, CUT_ENVELOPE = 1, 2  # enum in common/mail/facts.h
FIELD_MAX = 2048    # FACTS_FIELD_MAX in common/mail/limits.h

RULES = {
    "header-end": "RFC 5322 2.1: the body follows the empty line; Python ends the header at a line without colon",
    "open-end": "RFC 2046 5.1.1: only a delimiter owns the line end before it; Python cuts one at the end of the message",
    "empty-boundary": "RFC 2046 5.1.1: a boundary has at least one character; Python accepts none",
    "folded-boundary": "RFC 5322 2.2.3: a folded value is unfolded before it is read; Python looks for a boundary with a line end",
    "same-boundary": "RFC 2046 5.1.2: nested multiparts use different boundaries; of equals ours takes the innermost, Python the outermost",
    "empty-part": "RFC 2046 5.1.1: each delimiter begins a part, if an empty one; Python passes over repeated delimiter lines",
    "other-message": "RFC 9051 7.5.2: only message/rfc822 and message/global have parts of their own; Python parses every message/*",
    "obsolete-colon": "RFC 5322 4.5: blanks may stand before the colon; Python ends the header there",
    "prefix": "RFC 2046 5.1.1: the boundary at the start of the line is sufficient; Python wants the whole line",
    "cut-field": "limits.h: a field over FACTS_FIELD_MAX is left out and FACTS_CUT_ENVELOPE says so",
    "comment-name": "RFC 5322 3.2.2: a comment before an address means nothing; Python makes it the name",
    "comment-in-name": "RFC 5322 3.2.2: a comment inside or behind a display name is no part of it; Python appends it",
    "junk-address": "RFC 5322 3.4: what is no address has no right answer; ours keeps the words before '@' or ','",
    "zone": "RFC 5256 2.2: an invalid zone counts as UTC; Python computes with it",
    "time": "RFC 5256 2.2: an invalid time counts as 00:00:00; Python computes with it or gives up",
    "empty-param": "RFC 2045 5.1: a parameter has a name; Python counts the nothing after a last ';'",
    "open-quote": "RFC 2045 5.1: a quoted value without its end runs to the end of the field; Python keeps the quote",
    "param-junk": "RFC 2045 5.1: what is not attribute '=' value is no parameter, nor is what follows a closing quote",
    "quoted-pair": "RFC 5322 3.2.4: a backslash in quotes is no part of the value; Python keeps some",
    "not-initial": "RFC 2231 4.1: only section 0 names a charset, and sections go by number; Python takes any, as they come",
    "type-junk": "RFC 2045 5.1: the type ends where its token ends",
    "control": "a NUL, CR or LF never gets into a text of ours",
}

HEADER_LINE = re.compile(rb"^(From |[\041-\071\073-\176]*:|[\t ])")


def latin(s):
    """Text as facts-dump writes it: its UTF-8 octets as characters."""
    return s.encode("utf-8").decode("latin-1")


def unfold(value):
    return re.sub(r"\r?\n(?=[ \t])", "", value).strip(" \t\r\n")


def first(msg, name):
    for key, value in msg.raw_items():
        if key.lower() == name.lower():
            return value
    return None


class Case:
    """One message and everything found about it."""

    def __init__(self, message, ours):
        self.name, self.data, self.ours = message.name, message.data, ours
        self.rules, self.unexplained = collections.Counter(), []

    def differ(self, what, theirs, ours, *rules):
        """`rules`: (name, whether it applies)."""
        for name, applies in rules:
            assert name in RULES, name
            if applies:
                self.rules[name] += 1
                return
        self.unexplained.append("%s: Python %.300r, ours %.300r" % (what, theirs, ours))


def mend_headers(case):
    """
    Lines of a header section that are no fields become an unknown field of the same length, so that
    Python sees the header end where the empty line is.
    """
    data, mended = bytearray(case.data), False
    for part in case.ours["parts"]:
        at = part["header_start"]
        head = bytes(data[at:part["body_start"]])
        for line in head.split(b"\n"):
            text = line.rstrip(b"\r")
            blank = re.match(rb"([\041-\071\073-\176]+)([ \t]+):", text)
            if blank:
                case.rules["obsolete-colon"] += 1
                data[at:at + blank.end()] = blank[1] + b":" + blank[2]
            elif text and not HEADER_LINE.match(text):
                mended = True
                data[at:at + len(text)] = b"\t" if len(text) == 1 else b"X:" + b"x" * (len(text) - 2)
            elif text.startswith(b"From ") or text.startswith(b":"):
                data[at:at + len(text)] = b"X:" + b"x" * (len(text) - 2) if len(text) > 1 else b"\t"
            at += len(line) + 1
    if mended:
        case.rules["header-end"] += 1
    return bytes(data)


def compare_tree(case, msg):
    theirs, ours = walk(case, msg), case.ours["parts"]
    if len(theirs) != len(ours):
        boundaries = [p.get_param("boundary", None) for p in theirs]
        case.differ("number of parts", [p.get_content_type() for p in theirs],
                    [(p["type"] + "/" + p["subtype"]) for p in ours],
                    ("empty-boundary", "" in boundaries),
                    ("folded-boundary", any(b and "\n" in b for b in boundaries)),
                    ("empty-part", re.search(rb"(?m)^(--[^\r\n]+)\r\n\1\r\n", case.data)),
                    ("prefix", has_prefix_line(case)))
        return
    under_open, above = -1, None
    for p, o in zip(theirs, ours):
        if above is not None and above["kind"] == MESSAGE and o["depth"] == above["depth"] + 1:
            compare_texts(case, p, o["envelope"])
            compare_addresses(case, p, o["envelope"])
        above = o
        if o["depth"] <= under_open:
            under_open = -1
        if under_open < 0 and o["flags"] & OPEN_END:
            under_open = o["depth"]
        compare_part(case, p, o, under_open >= 0)
        for header, key in (("content-type", "params"), ("content-disposition", "disposition_params")):
            compare_params(case, p, header, o[key])


def walk(case, part):
    """Python's parts without those inside a leaf."""
    out = [part]
    kind = part.get_content_type()
    if kind.startswith("message/") and kind not in ("message/rfc822", "message/global"):
        case.rules["other-message"] += part.is_multipart()
    elif part.is_multipart():
        for child in part.get_payload():
            out += walk(case, child)
    return out


def same_boundary(case):
    """Whether a multipart lies inside one with the same boundary."""
    chain = []
    for p in case.ours["parts"]:
        del chain[p["depth"]:]
        b = {k.lower(): v for k, v in p["params"].items()}.get("boundary")
        if b is not None and b in chain:
            return True
        chain.append(b)
    return False


def has_prefix_line(case):
    found = re.findall(rb'boundary="?([^"\r\n;]+)', case.data)
    return any(re.search(rb"(?m)^--" + re.escape(b) + rb"(?!--)[^ \t\r\n]", case.data) or
               re.search(rb"(?m)^--" + re.escape(b) + rb"--[^ \t\r\n]", case.data) for b in found)


def compare_part(case, p, o, open_end):
    kind = (o["type"] + "/" + o["subtype"]).lower()
    if p.get_content_type() != kind:
        case.differ("type", p.get_content_type(), kind,
                    ("type-junk", p.get_content_type().split() and p.get_content_type().split()[0] == kind))
    body = case.data[o["body_start"]:o["end"]]
    if o["lines"] != body.count(b"\n"):
        case.differ("lines", body.count(b"\n"), o["lines"])
    if o["kind"] != 0 or p.is_multipart():
        return
    theirs = (p._payload or "").encode("ascii", "surrogateescape")
    if theirs != body:
        case.differ("body at %d" % o["body_start"], theirs[-80:], body[-80:],
                    ("open-end", open_end and theirs + b"\r\n" == body), ("same-boundary", same_boundary(case)))


def their_params(p, header):
    out = {}
    for name, value in (p.get_params(header=header) or [])[1:]:
        if isinstance(value, tuple):
            charset = value[0] or "us-ascii"
            try:
                value = latin(value[2].encode("latin-1").decode(charset, "replace"))
            except (LookupError, UnicodeError):
                value = value[2]
        else:
            value = email.utils.unquote(unfold(value))
        out.setdefault(name.lower(), value)
    return out


def compare_params(case, p, header, ours):
    theirs, ours = their_params(p, header), {k.lower(): v for k, v in ours.items()}
    empty = theirs.pop("", None)
    if empty is not None:
        case.rules["empty-param"] += 1
    for name in sorted(set(theirs) | set(ours)):
        a, b = theirs.get(name), ours.get(name)
        if a == b:
            continue
        raw = first(p, header) or ""
        case.differ("parameter %s of %s %r" % (name, header, raw), a, b,
                    ("open-quote", a is not None and b is not None and a.strip('"') == b.strip('"')),
                    ("control", a is not None and b == re.sub(r"[\r\n\0]", "", a)),
                    ("param-junk", b is None and a == "" or '""' in raw),
                    ("quoted-pair", a is not None and a.replace("\\", "") == b),
                    ("not-initial", re.search(r"\*[1-9][0-9]*\*=", raw)))


def compare_texts(case, msg, envelope):
    for name in ("Subject", "Date", "In-Reply-To", "Message-ID"):
        theirs = first(msg, name)
        theirs = theirs if theirs is None else unfold(theirs)
        if theirs != envelope[name]:
            case.differ(name, theirs, envelope[name],
                        ("cut-field", cut(case, theirs, envelope[name])),
                        ("control", theirs is not None and
                         re.sub(r"[\r\n\0]", " ", theirs) == envelope[name]))


def cut(case, theirs, ours):
    return bool(ours is None and case.ours["flags"] & CUT_ENVELOPE and len(theirs or "") > FIELD_MAX)


def compare_addresses(case, msg, envelope):
    for name in ("From", "Sender", "Reply-To", "To", "Cc", "Bcc"):
        raw, ours = first(msg, name), envelope[name]
        if raw is None or ours is None:
            if (raw is None) != (ours is None):
                case.differ(name, raw, ours, ("cut-field", cut(case, raw, ours)))
            continue
        theirs = [(n, a) for n, a in email.utils.getaddresses([unfold(raw)]) if a]
        ours = [(n, local + ("@" + domain if domain else "")) for kind, n, local, domain in ours if kind == 0]
        if theirs == ours:
            continue
        bare = [a for _, a in theirs] == [a for _, a in ours]
        case.differ("%s %r" % (name, raw), theirs, ours,
                    ("comment-name", bare and "(" in raw and all(
                        a == b or not b[0] for a, b in zip(theirs, ours))),
                    ("comment-in-name", bare and "(" in raw),
                    ("junk-address", not clean_addresses(raw)))


def clean_addresses(raw):
    """Whether every entry is local@domain or <local@domain>, so that there is one right answer."""
    text = re.sub(r'"(\\.|[^"\\])*"', "q", unfold(raw))
    entry = r"\s*([^<>@,;:()]*<[^<>@,;:()\s]+@[^<>@,;:()\s]+>|[^<>@,;:()\s]+@[^<>@,;:()\s]+)\s*"
    return all(re.fullmatch(entry, e) for e in text.split(",") if e.strip())


def compare_date(case, msg):
    raw = first(msg, "Date")
    if raw is None:
        return
    try:
        parsed = email.utils.parsedate_tz(raw)
        theirs = email.utils.mktime_tz(parsed) if parsed else None
    except (ValueError, OverflowError):
        theirs = None
    ours = case.ours.get("sent")
    if theirs != ours:
        good_zone = re.search(r"[+-]\d{4}(?!\d)", raw)
        good_time = re.search(r"\b([01]?\d|2[0-3])\s*:\s*[0-5]\d", raw)
        case.differ("date %r" % raw, theirs, ours, ("time", not good_time),
                    ("zone", not good_zone))


def compare(message, ours):
    case = Case(message, ours)
    if ours["flags"] & NO_STRUCTURE:
        case.unexplained.append("no structure in %d octets of facts" % ours["blob"])
        return case
    msg = email.message_from_bytes(mend_headers(case))
    for part in msg.walk():
        part._headers = [(k, v.encode("ascii", "surrogateescape").decode("latin-1"))
                         for k, v in part.raw_items()]
    compare_tree(case, msg)
    compare_texts(case, msg, ours["envelope"])
    compare_addresses(case, msg, ours["envelope"])
    compare_date(case, msg)
    received = len(msg.get_all("Received") or [])
    if received != ours["received"]:
        case.differ("Received fields", received, ours["received"])
    return case


def dump(program, messages):
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for start in range(0, len(messages), 200):
            names = []
            for i, m in enumerate(messages[start:start + 200]):
                names.append(os.path.join(folder, "%06d" % (start + i)))
                with open(names[-1], "wb") as f:
                    f.write(m.data)
            out = subprocess.run([program] + names, capture_output=True, check=True, timeout=120).stdout
            rows += [json.loads(line) for line in out.decode("ascii").splitlines()]
    return rows


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--dump", default=os.path.join(ROOT, "build", "tests", "unit", "facts-dump"))
    p.add_argument("--seed", default="1")
    p.add_argument("--generated", type=int, default=200)
    p.add_argument("--verbose", action="store_true", help="name the messages of every rule")
    opt = p.parse_args()
    messages = corpus.load(opt.seed, opt.generated)
    print(messages.describe())
    messages = list(messages)
    rows = dump(opt.dump, messages)
    assert len(rows) == len(messages) > 0
    total, failed, largest = collections.Counter(), 0, 0
    for m, row in zip(messages, rows):
        case = compare(m, row)
        largest = max(largest, row["blob"])
        total.update(case.rules)
        for line in case.unexplained:
            print("FAILED: %s: %s" % (m.name, line))
        if opt.verbose and case.rules:
            print("%s: %s" % (m.name, ", ".join(case.rules)))
        failed += bool(case.unexplained)
    for name, n in sorted(total.items()):
        print("%5d %s: %s" % (n, name, RULES[name]))
    print("largest facts: %d octets" % largest)
    print("%d passed, %d failed" % (len(messages) - failed, failed))
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
