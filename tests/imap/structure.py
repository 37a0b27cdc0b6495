#!/usr/bin/python3
"""ENVELOPE, BODYSTRUCTURE and every kind of section of every corpus message, against a parser of our own (mailtext.py).

    structure.py [BUILD] [--server dovecot] [--seed 1] [--generated 100] [--own-only] [--verbose]

BODY[n], BODY[n.MIME], BODY[HEADER], BODY[TEXT] are the exact octets, so together they are the message; slices <o.n> are
slices; HEADER.FIELDS and .NOT are computed; BINARY is decoded here. What has no right answer is a rule of RULES, counted.
"""
import argparse
import collections
import os
import random
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import mailtext  # noqa: E402
import relaxed  # noqa: E402
import servers  # noqa: E402
from client import Imap, Lit  # noqa: E402

sys.path.append(os.path.join(servers.TOP, "tests", "corpus"))
import corpus  # noqa: E402

RULES = {
    "addresses": "5322 3.4: what is no address list has no one right structure; only grammar and defaults are judged",
    "parameters": "2231, 2045 5.1: broken, continued or encoded parameters: any of their readings",
    "no-blank-line": "9051 6.4.5.1: the delimiting blank line is included, "
                     "\"except in the case of a message that has no body and no blank line\"",
    "non-fields": "5322 2.2: a line that is no field belongs to no field: HEADER.FIELDS.NOT may have it",
    "long-fields": "limits.h: fields past 16 KiB and headers past 64 KiB may be shortened in ENVELOPE and BODYSTRUCTURE",
    "default-charset": "2045 5.2: text without a charset is us-ascii; BODYSTRUCTURE may say so",
    "empty-multipart": "9051 9, body-type-mpart: at least one body; a multipart without parts shows one",
    "other-peer": "Dovecot reads broken structures otherwise; the rules are in docs/mail.md",
}
ADDRESS_FIELDS = [b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc"]
ATOMS = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: +[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
LOCAL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
ONE = re.compile(r'(?:(?:(%s)|"((?:[^"\\]|\\.)*)") *)?<(%s)@([A-Za-z0-9.-]+)>|(%s)@([A-Za-z0-9.-]+)' % (ATOMS, LOCAL, LOCAL))


class Case:
    """One message: what was asked, what differs."""

    def __init__(self, name, data, uid):
        self.name, self.data, self.uid, self.peer = name, data, uid, False
        self.tree = mailtext.parse(data)
        self.rules, self.wrong = collections.Counter(), []

    def equal(self, what, got, want, *rules):
        if got == want:
            return
        for rule, applies in rules:
            if applies:
                self.rules[rule] += 1
                return
        self.wrong.append("%s is %.200r, not %.200r" % (what, got, want))


# ---- what must be ----

def text_of(part, name):
    value = part.first(name)
    return None if value is None else mailtext.unfold(value)


def address_list(value):
    """[(name, local, domain)] of a plain list; None when it is anything else; [] when it is empty."""
    text = mailtext.unfold(value).decode("latin-1")
    out, at = [], 0
    while text[at:].strip(" \t,"):
        m = re.compile(r"[ \t,]*").match(text, at)
        at = m.end()
        m = ONE.match(text, at)
        if not m:
            return None
        name = m[1] if m[1] is not None else re.sub(r"\\(.)", r"\1", m[2]) if m[2] is not None else None
        out.append((name.encode("latin-1") if name else None, (m[3] or m[5]).encode(), (m[4] or m[6]).encode()))
        at = m.end()
        m = re.compile(r"[ \t]*(,|$)").match(text, at)
        if not m:
            return None
        at = m.end()
    return out


def check_envelope(case, part, e, where):
    long = part.body - part.start > mailtext.HEADER_MAX or any(len(v) > mailtext.FIELD_MAX for _, v in part.fields)
    for name, got in ((b"date", e.date), (b"subject", e.subject), (b"in-reply-to", e.in_reply_to),
                      (b"message-id", e.message_id)):
        want = text_of(part, name)
        case.equal("%s %s" % (where, name.decode()), got, want, ("long-fields", long),
                   ("other-peer", case.peer and (got or b"").split() == (want or b"").split()))
    lists = dict(zip(ADDRESS_FIELDS, (e.from_, e.sender, e.reply_to, e.to, e.cc, e.bcc)))
    for name, got in lists.items():
        value = part.first(name)
        want = None if value is None else address_list(value)
        if value is None or want == []:
            if name in (b"sender", b"reply-to"):  # RFC 9051 7.5.2: missing or empty ones are the From
                case.equal("%s %s" % (where, name.decode()), got, lists[b"from"])
            else:
                case.equal("%s %s" % (where, name.decode()), got, None)
            continue
        if want is None or any(len(t or b"") > 200 for one in want for t in one):
            case.rules["addresses"] += 1
            continue
        if case.peer and sum(n.lower() == name for n, _ in part.fields) > 1:
            case.rules["other-peer"] += 1
            continue
        mine = None if got is None else [(a.name or None, a.mailbox, a.host) for a in got]
        case.equal("%s %s" % (where, name.decode()), mine, want, ("long-fields", long))


def plain_parameters(value):
    """{name: value} when the field is simple; None otherwise."""
    text = mailtext.unfold(value).decode("latin-1")
    m = re.fullmatch(r"[^;()\"]*((?:;\s*[A-Za-z0-9_.-]+=(?:\"[^\"\\()]*\"|[^\s;\"()<>@,:\\\[\]?=]+)\s*)*);?\s*", text)
    if not m:
        return None
    pairs = re.findall(r";\s*([A-Za-z0-9_.-]+)=(?:\"([^\"]*)\"|([^\s;\"]+))", m[1])
    names = [n.lower() for n, _, _ in pairs]
    if len(set(names)) != len(names) or any(ord(c) > 126 or ord(c) < 32 and c != "\t" for c in text):
        return None
    return {n.lower(): a or b for n, a, b in pairs}


def check_parameters(case, where, got, value, default):
    if value is None:
        case.equal(where, lower_pairs(got), default, ("default-charset", default and not got))
        return
    want = plain_parameters(value)
    if want is None:
        case.rules["parameters"] += 1
        return
    mine = lower_pairs(got)
    case.equal(where, mine, want, ("parameters", not want and mine == default),
               ("default-charset", mine == dict(want, charset="us-ascii")))


def lower_pairs(pairs):
    return {n.decode("latin-1").lower(): v.decode("latin-1") for n, v in pairs or ()}


def check_part(case, p, b, where, extended):
    kind = (b.type.lower().decode("latin-1"), b.subtype.lower().decode("latin-1"))
    if (p.type == "multipart" and p.opaque and not p.children) or not p.readable:
        kind = kind if kind in ((p.type, p.subtype), ("text", "plain"), ("application", "octet-stream")) else None
        case.rules["parameters"] += kind != (p.type, p.subtype)
        if kind != (p.type, p.subtype):
            return
    case.equal(where + " type", kind, (p.type, p.subtype))
    if kind != (p.type, p.subtype):
        return
    value = p.first(b"content-type") if p.readable else None
    if p.type != "multipart" or extended:
        check_parameters(case, where + " parameters", b.params, value,
                         {"charset": "us-ascii"} if p.type == "text" and not p.readable else {})
    if p.type == "multipart":
        case.equal(where + " parts", len(b.children), len(p.children),
                   ("empty-multipart", not p.children and len(b.children) == 1))
        for i, (child, one) in enumerate(zip(p.children, b.children)):
            check_part(case, child, one, "%s.%d" % (where, i + 1), extended)
        return
    case.equal(where + " size", b.size, p.end - p.body)
    case.equal(where + " encoding", b.encoding.lower(), p.encoding.encode("latin-1") or b"7bit",
               ("parameters", not re.fullmatch(r"[a-z0-9-]+", p.encoding)))
    case.equal(where + " id", b.id, text_of(p, b"content-id"), ("long-fields", len(text_of(p, b"content-id") or b"") > 500))
    case.equal(where + " description", b.description, text_of(p, b"content-description"),
               ("long-fields", len(text_of(p, b"content-description") or b"") > 500))
    if p.type == "text" or p.is_message:
        case.equal(where + " lines", b.lines, p.lines())
    if extended:
        check_disposition(case, p, b, where)
    if p.is_message and p.children:
        check_envelope(case, p.children[0], b.envelope, where)
        check_part(case, p.children[0], b.children[0], where + ">", extended)


def check_disposition(case, p, b, where):
    value = p.first(b"content-disposition")
    if value is None:
        case.equal(where + " disposition", b.disposition, None)
        return
    head = mailtext.parameters(value)[0]
    if not re.fullmatch(r"[a-z0-9-]+", head):
        case.rules["parameters"] += 1
        return
    case.equal(where + " disposition", b.disposition and b.disposition[0].lower(), head.encode("latin-1"))
    if b.disposition:
        check_parameters(case, where + " disposition", b.disposition[1], value, {})


# ---- sections ----

def sections(tree):
    """{section: octets} of all parts (RFC 9051 6.4.5.1)."""
    data, out = tree.data, {}
    out[""] = data[tree.start:tree.end]
    out["HEADER"], out["TEXT"] = data[tree.start:tree.body], data[tree.body:tree.end]
    number_message(tree, "", out)
    return out


def number_message(m, prefix, out):
    if m.type == "multipart" and m.children:
        for i, child in enumerate(m.children, 1):
            number_part(child, "%s%d" % (prefix, i), out)
    else:
        n = prefix + "1"
        out[n] = m.data[m.body:m.end]
        inside(m, n, out)


def number_part(p, n, out):
    out[n] = p.data[p.body:p.end]
    out[n + ".MIME"] = p.data[p.start:p.body]
    if p.type == "multipart":
        for i, child in enumerate(p.children, 1):
            number_part(child, "%s.%d" % (n, i), out)
    else:
        inside(p, n, out)


def inside(p, n, out):
    if p.is_message and p.children:
        m = p.children[0]
        out[n + ".HEADER"], out[n + ".TEXT"] = m.data[m.start:m.body], m.data[m.body:m.end]
        number_message(m, n + ".", out)


def leaves(tree):
    """{part number: leaf} for BINARY."""
    out = {}

    def part(p, n):
        if p.type == "multipart":
            for i, c in enumerate(p.children, 1):
                part(c, "%s.%d" % (n, i))
        elif not p.is_message:
            out[n] = p
    if tree.type == "multipart":
        for i, c in enumerate(tree.children, 1):
            part(c, str(i))
    elif not tree.is_message:
        out["1"] = tree
    return out


def header_subset(block, names, invert):
    """The octets of HEADER.FIELDS, and whether lines stand in the block that are no fields."""
    out, keep, odd, blank = [], False, False, b""
    for line in re.findall(rb"[^\n]*\n|[^\n]+$", block):
        if line in (b"\r\n", b"\n"):
            blank = line
            break
        m = re.match(rb"([\x21-\x39\x3b-\x7e]+)[ \t]*:", line)
        if m:
            keep = (m[1].lower() in names) != invert
        elif line[:1] not in b" \t":
            odd, keep = True, False
        if keep:
            out.append(line)
    return b"".join(out) + blank, odd or block[:1] in (b" ", b"\t"), not blank


class Judge:
    def __init__(self, opt, server):
        self.opt, self.rng = opt, random.Random(opt.seed)
        self.c = Imap(server.imap).login(server.users[0], server.password)
        self.peer = server.name == "dovecot"
        self.c.ok("CREATE", "structure")
        self.c.ok("SELECT", "structure")

    def fetch(self, case, items):
        r = self.c.run("FETCH", case.uid, "(%s)" % items, glue=" ")
        got = {}
        for one in r.untagged:
            if one.kind == "fetch":
                got.update(one.data)
        return r, got

    def judge(self, case):
        case.peer = self.peer
        if self.peer and (relaxed.odd_structure(type("M", (), {"tree": case.tree, "doubtful": False})) or
                          mailtext.nested_boundaries_clash(case.tree)):
            case.rules["other-peer"] += 1
            return
        self.c.ok("APPEND", "structure", Lit(case.data))
        exists = [r.num for r in self.c.ok("NOOP").untagged if r.name == "EXISTS"]
        self.count = exists[-1] if exists else self.count + 1
        case.uid = str(self.count)
        r, got = self.fetch(case, "UID ENVELOPE BODYSTRUCTURE BODY RFC822.SIZE")
        if r.status != "OK":
            case.wrong.append("FETCH: %s %s" % (r.status, r.text))
            return
        case.equal("RFC822.SIZE", got.get("RFC822.SIZE"), len(case.data))
        check_envelope(case, case.tree, got["ENVELOPE"], "ENVELOPE")
        check_part(case, case.tree, got["BODYSTRUCTURE"], "BODYSTRUCTURE", True)
        check_part(case, case.tree, got["BODY"], "BODY", False)
        self.check_sections(case)
        self.check_subsets(case)
        if "BINARY" in self.c.capabilities:
            self.check_binary(case)

    count = 0

    def check_sections(self, case):
        want = sections(case.tree)
        names = list(want)
        for at in range(0, len(names), 40):
            some = names[at:at + 40]
            r, got = self.fetch(case, " ".join("BODY.PEEK[%s]" % n for n in some))
            case.equal("FETCH of sections", r.status, "OK")
            for n in some:
                case.equal("BODY[%s]" % n, got.get("BODY[%s]" % n) or b"", want[n])
        for _ in range(4):
            n = self.rng.choice(names)
            size = len(want[n])
            a = self.rng.choice([0, size // 2, max(size - 3, 0), size, size + 5, self.rng.randint(0, size)])
            b = self.rng.choice([1, 7, 1000, 1 << 20])
            _, got = self.fetch(case, "BODY.PEEK[%s]<%d.%d>" % (n, a, b))
            case.equal("BODY[%s]<%d.%d>" % (n, a, b), got.get("BODY[%s]<%d>" % (n, a)) or b"", want[n][a:a + b])
        _, got = self.fetch(case, "RFC822.HEADER BODY.PEEK[999]")
        case.equal("RFC822.HEADER", got.get("RFC822.HEADER") or b"", want["HEADER"])
        case.equal("BODY[999]", got.get("BODY[999]", b"missing") or b"", b"")

    def check_subsets(self, case):
        want = sections(case.tree)
        headers = [n for n in want if n == "HEADER" or n.endswith(".HEADER")]
        for _ in range(3):
            n = self.rng.choice(headers)
            there = [f for f, _ in mailtext.fields(want[n])]
            names = [f for f in self.rng.sample(there, min(len(there), self.rng.randint(0, 3))) +
                     self.rng.sample([b"Subject", b"X-Nobody", b"to", b"DATE"], 1) if re.fullmatch(rb"[A-Za-z0-9-]+", f)]
            if not names:
                continue
            invert = self.rng.random() < 0.4
            section = "%s.FIELDS%s" % (n, ".NOT" if invert else "")
            text = " ".join(f.decode() for f in names)
            _, got = self.fetch(case, "BODY.PEEK[%s (%s)]" % (section, text))
            key = "BODY[%s (%s)]" % (section, text.upper())
            wanted, odd, open_end = header_subset(want[n], {f.lower() for f in names}, invert)
            value = got.get(key)
            case.equal(key, value or b"", wanted, ("non-fields", odd), ("no-blank-line", open_end and value == wanted + b"\r\n"))

    def check_binary(self, case):
        for n, p in list(leaves(case.tree).items())[:12]:
            raw = p.data[p.body:p.end]
            if p.encoding == "base64":
                if not re.fullmatch(rb"(?:[A-Za-z0-9+/]{4}|\r\n)*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?\s*", raw):
                    continue
                want = mailtext.base64_octets(raw)
            elif p.encoding == "quoted-printable":
                if re.search(rb"=(?![0-9A-F]{2}|\r\n)|[ \t]\r\n", raw):
                    continue
                want = mailtext.qp_octets(raw)
            elif p.encoding in mailtext.PLAIN_ENCODINGS:
                want = raw
            else:
                r, _ = self.fetch(case, "BINARY.PEEK[%s]" % n)
                case.equal("BINARY[%s] of %s" % (n, p.encoding), (r.status, r.code and r.code.name), ("NO", "UNKNOWN-CTE"),
                           ("parameters", not re.fullmatch(r"[a-z0-9-]+", p.encoding)))
                continue
            if self.peer and p.encoding in mailtext.PLAIN_ENCODINGS:
                continue
            if self.peer:  # its BINARY.SIZE can be 2^64 - 390
                _, got = self.fetch(case, "BINARY.PEEK[%s]" % n)
                case.equal("BINARY[%s]" % n, got.get("BINARY[%s]" % n) or b"", want)
                continue
            _, got = self.fetch(case, "BINARY.PEEK[%s] BINARY.SIZE[%s] BINARY.PEEK[%s]<2.9>" % (n, n, n))
            case.equal("BINARY[%s]" % n, got.get("BINARY[%s]" % n) or b"", want)
            case.equal("BINARY.SIZE[%s]" % n, got.get("BINARY.SIZE[%s]" % n), len(want))
            case.equal("BINARY[%s]<2.9>" % n, got.get("BINARY[%s]<2>" % n) or b"", want[2:11])


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    servers.options(p, 25100)
    p.add_argument("--seed", default="1")
    p.add_argument("--generated", type=int, default=100)
    p.add_argument("--own-only", action="store_true", help="without messages from outside the tree")
    p.add_argument("--verbose", action="store_true", help="name the messages of every rule")
    p.add_argument("--only", help="messages whose name has this text")
    opt = p.parse_args()
    messages = corpus.load(opt.seed, opt.generated, use_outside=not opt.own_only)
    print(messages.describe(), flush=True)
    total, failed, count = collections.Counter(), 0, 0
    with servers.from_options(opt) as server:
        judge = Judge(opt, server)
        for m in messages:
            if opt.only and opt.only not in m.name:
                continue
            case = Case(m.name, m.data, None)
            judge.judge(case)
            total.update(case.rules.keys())
            count += 1
            failed += bool(case.wrong)
            for line in case.wrong[:4]:
                print("FAILED: %s: %s" % (m.name, line))
            if opt.verbose and case.rules:
                print("%s: %s" % (m.name, ", ".join(case.rules)))
        judge.c.logout()
    for name, n in sorted(total.items()):
        print("%5d %s: %s" % (n, name, RULES[name]))
    print("%d passed, %d failed" % (count - failed, failed))
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
