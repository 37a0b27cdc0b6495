#!/usr/bin/python3
"""The same random commands of one connection to Gatehouse and to Dovecot; what differs must be a rule.

    differ.py [BUILD] [--commands 3000] [--seed N] [--verbose] [--offset 25200]

Answers are made comparable first: UIDVALIDITY, mod-sequences, tags, texts, dates that the server chose, the order of
untagged responses and of flags do not count. RULES has every accepted difference with the sentence that allows it;
docs/imap-differences.md explains them. Whatever else differs fails.
"""
import argparse
import collections
import os
import random
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import differ_more  # noqa: E402
import grammar  # noqa: E402
import relaxed  # noqa: E402
import searching  # noqa: E402
import servers  # noqa: E402
from client import Imap, Lit, box as box_arg, quote, ranges  # noqa: E402
from grammar import Part  # noqa: E402

sys.path.append(os.path.join(servers.TOP, "tests", "corpus"))
import corpus  # noqa: E402

RULES = {
    "read-only": "3501 6.3.2: no changes to the permanent state are permitted after EXAMINE; ours says NO, Dovecot OK to what it "
                 "then does not do",
    "default-charset": "2045 5.2: text without a charset is us-ascii; Dovecot adds it to BODYSTRUCTURE, ours tells what was written",
    "flags-told": "3501 7.4.2: FETCH may be sent at any time; one server tells flags again that did not change, or not its own",
    "status-items": "3501 6.3.10, 9051 6.3.11: which other items STATUS knows is the server's",
    "recent": "3501 2.3.2: if it is not possible to determine whether a session is the first, it is recent; 9051 has none",
    "strict": "9051 7.1.3: BAD is a protocol error: what the grammar does not allow; Dovecot takes some of it",
    "subscribe": "3501 6.3.6: a server may, but need not, look whether the mailbox of SUBSCRIBE exists",
    "codes": "5530: response codes are advice; one server gives one where the other gives another or none",
    "no-or-bad": "9051 7.1: NO is failure, BAD a protocol error; where a number or name is both wrong and not there either may be said",
    "whitespace": "5322 2.2.3: folds of Subject are undone; Dovecot also makes runs of blanks one",
    "children": "5258 4: a server may tell \\HasChildren and \\HasNoChildren unasked, as ours does; 3501 7.2.2: \\Marked and \\Unmarked "
                "SHOULD NOT be sent when it is not feasible to determine them; Dovecot sends them",
    "body-text": "9051 6.4.4, BODY: \"this doesn't match any header fields\"; Dovecot looks at headers inside multipart/digest",
    "sort-order": "5256 3: sorted by the criteria, which oracle.py judges; Dovecot places messages wrongly that came after it sorted",
    "exists": "3501 6.3.11: EXISTS after APPEND SHOULD be sent at once; Dovecot sometimes waits for the next command",
    "binary-whole": "3516 4.2: what is taken away is the transfer encoding of the section; Dovecot takes those of all parts away",
    "preview": "8970 3.1: the text of a preview is the server's choice",
    "empty-list": "3501 6.3.8: what LIST tells of a mailbox that only has children is the server's choice",
}
BOXES = ["INBOX", "one", "two", "Drei & Vier"]
FLAGS = ["\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "$Alpha", "beta"]
KEYS = ["ALL", "SEEN", "UNSEEN", "FLAGGED", "UNFLAGGED", "DELETED", "UNDELETED", "DRAFT", "ANSWERED", "NEW", "OLD", "RECENT",
        "KEYWORD beta", "UNKEYWORD $Alpha", "LARGER 500", "SMALLER 500", "SUBJECT a", "FROM ada", "TO u1", "BODY e", "TEXT the",
        "HEADER Message-ID sender", "HEADER X-None \"\"", "BEFORE 1-Jan-2010", "SINCE 1-Jan-2005", "ON 5-May-2005",
        "SENTSINCE 1-Jan-2010", "1:3", "*", "UID 1:*", "UID 99999", "NOT SEEN", "OR SEEN FLAGGED", "(SEEN FLAGGED)",
        "NOT (OR DELETED DRAFT)", "2,1", "OLDER 100000", "YOUNGER 100", "CC x", "BCC y"]
FETCHES = ["FLAGS", "ALL", "FAST", "FULL", "UID", "ENVELOPE", "BODY", "BODYSTRUCTURE", "RFC822.SIZE", "INTERNALDATE", "BODY[]",
           "BODY.PEEK[]", "BODY[TEXT]", "BODY.PEEK[HEADER]", "BODY[HEADER.FIELDS (Subject DATE)]", "BODY.PEEK[1]", "BODY[1.MIME]",
           "BODY.PEEK[HEADER.FIELDS.NOT (Received)]", "BODY.PEEK[]<0.10>", "BODY.PEEK[TEXT]<5.100>", "BODY.PEEK[2]",
           "BODY.PEEK[]<100000.5>", "RFC822", "RFC822.HEADER", "RFC822.TEXT", "(UID FLAGS)", "(FLAGS INTERNALDATE)"]
WRONG = ["FETCH", "FETCH 1", "FETCH a FLAGS", "FETCH 0 FLAGS", "FETCH 1 NOTHING", "FETCH 1 (FLAGS", 
         "STORE 1 +FLAGS (\\Nothing)", "STORE 1 FLAGS (\\Recent)", "SEARCH", "SEARCH FROM", "SEARCH 1:", "SEARCH LARGER x",
         "SEARCH CHARSET x-none TEXT a", "SEARCH ON 32-Jan-2000", "COPY 1", "COPY 1 nowhere", "UID", "UID NOOP", "UID FETCH 1",
         "SELECT", "SELECT nowhere", "SELECT \"\"", "EXAMINE nowhere", "STATUS INBOX", "STATUS INBOX (NOTHING)",
         "STATUS nowhere (MESSAGES)",
         "CREATE INBOX", "CREATE \"\"", "DELETE INBOX", "DELETE nowhere", "RENAME nowhere other", "RENAME one two", "SUBSCRIBE",
         "LIST \"\"",
         "LSUB \"\"", "APPEND INBOX", "NOSUCH", "UID EXPUNGE", "FETCH 1:99999 FLAGS",
         "FETCH 99999 FLAGS", "STORE 99999 +FLAGS (\\Seen)", "COPY 99999 one", "UID COPY 99999 one", "UID STORE 99999 +FLAGS (\\Seen)",
         "SEARCH 99999", "SORT (SUBJECT) x-none ALL", "SORT () UTF-8 ALL", "SORT (NOTHING) UTF-8 ALL", "THREAD NOTHING UTF-8 ALL",
         "ENABLE", "ENABLE NOTHING", "LOGIN a b", "AUTHENTICATE PLAIN", "MOVE 1 nowhere", "MOVE 1"]


def plain(m):
    """Messages on whose structure all agree: for the others there are structure.py and oracle.py."""
    names = [n.lower() for n, _ in m.tree.fields]
    return not relaxed.odd_structure(m) and len(names) == len(set(names)) and all(m.sure_mailbox.values()) and \
        isinstance(m.sent, tuple) and 86400 < m.moment < 1 << 31 and m.sure_thread and m.tree.end > m.tree.body and \
        b"\t" not in m.data[:m.tree.body] and differ_more.decodes(m.tree) and not any(relaxed.unknown_word(v) for _, v in m.tree.fields)


class Drawer(differ_more.More):
    """Random commands; the count of messages is what the servers agree on."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.boxes = BOXES
        self.messages = [m.data for m in corpus.load(seed=seed, generated=80, use_outside=False) if len(m.data) < 3000 and
                         plain(searching.Message(1, m.data))]
        self.selected, self.count, self.top, self.read_only = None, 0, 1, False

    def plain_numbers(self, uid):
        rng = self.rng
        top = max(1, self.top if uid else self.count)
        kind = rng.randrange(5)
        if kind == 0:
            return "1:*"
        if kind == 1:
            return "*"
        return ranges(rng.randint(1, top) for _ in range(rng.randint(1, 4)))

    def draw(self):
        rng = self.rng
        if self.more and rng.random() < 0.4:
            return self.draw_more()
        if self.selected is None:
            return rng.choice([self.select, self.select, self.append, self.names, self.wrong])()
        if self.count == 0:
            return rng.choice([self.append, self.select, self.names])()
        return rng.choice([self.fetch] * 6 + [self.store] * 5 + [self.search] * 5 + [self.append] * 3 + [self.copy] * 2 +
                          [self.expunge, self.select, self.names, self.names, self.wrong, self.wrong, self.close, self.noop, self.sort,
                           self.status, self.status])()

    def uid(self):
        return ["UID"] if self.rng.random() < 0.5 else []

    def select(self):
        return [self.rng.choice(["SELECT", "SELECT", "SELECT", "EXAMINE"]), box_arg(self.rng.choice(BOXES))]

    def append(self):
        rng = self.rng
        args = ["APPEND", box_arg(rng.choice(BOXES))]
        if rng.random() < 0.6:
            args.append("(%s)" % " ".join(rng.sample(FLAGS, rng.randint(0, 3))))
        args.append('"%02d-%s-%d 12:00:00 +0000"' % (rng.randint(1, 28), rng.choice(["Jan", "May"]), rng.randint(2000, 2020)))
        return args + [Lit(rng.choice(self.messages))]

    def fetch(self):
        uid = self.uid()
        return uid + ["FETCH", self.numbers(uid), self.rng.choice(FETCHES)]

    def store(self):
        uid = self.uid()
        return uid + ["STORE", self.numbers(uid), self.rng.choice(["", "+", "-"]) + "FLAGS" + self.rng.choice(["", ".SILENT"]),
                      "(%s)" % " ".join(self.rng.sample(FLAGS, self.rng.randint(0, 3)))]

    def search(self):
        keys = " ".join(self.rng.choice(KEYS) for _ in range(self.rng.choice([1, 1, 2])))
        back = self.rng.choice(["", "", "RETURN () ", "RETURN (MIN MAX) ", "RETURN (COUNT) ", "RETURN (ALL COUNT MIN) "])
        return self.uid() + ["SEARCH", back + keys]

    def sort(self):
        if self.rng.random() < 0.5:
            return self.uid() + ["THREAD", self.rng.choice(["REFERENCES", "ORDEREDSUBJECT"]), "UTF-8", "ALL"]
        return self.uid() + ["SORT", "(%s)" % self.rng.choice(["SUBJECT", "DATE", "REVERSE SIZE", "ARRIVAL", "FROM", "REVERSE TO DATE"]),
                             "UTF-8", self.rng.choice(KEYS)]

    def copy(self):
        uid = self.uid()
        verb = self.rng.choice(["COPY", "COPY", "MOVE"]) if not self.read_only else "COPY"  # Dovecot moves after EXAMINE
        return uid + [verb, self.numbers(uid), box_arg(self.rng.choice(BOXES))]

    def expunge(self):
        return ["EXPUNGE"] if self.rng.random() < 0.6 else ["UID", "EXPUNGE", self.numbers(True)]

    def close(self):
        return [self.rng.choice(["CLOSE", "UNSELECT"])]

    def noop(self):
        return [self.rng.choice(["NOOP", "CHECK"])]

    def status(self):
        return ["STATUS", box_arg(self.rng.choice([b for b in BOXES if b != self.selected])),
                "(%s)" % " ".join(self.rng.sample(["MESSAGES", "UIDNEXT", "UNSEEN", "SIZE"], self.rng.randint(1, 4)))]

    def names(self):
        rng = self.rng
        # Flat: with parents that are no mailboxes the servers part for good; trees are the checker's (names.py).
        name, other = rng.choice(["n1", "n2", "Ünï", "n 4"]), rng.choice(["n1", "n2", "n3"])
        return rng.choice([["CREATE", box_arg(name)], ["CREATE", box_arg(name)], ["DELETE", box_arg(name)],
                           ["RENAME", box_arg(name), box_arg(other)], ["SUBSCRIBE", box_arg(rng.choice(BOXES))],
                           ["UNSUBSCRIBE", box_arg(rng.choice(BOXES))],
                           ["LIST", '""', rng.choice(['*', '%', 'n1', '"n%"', '""', "INBOX", "inbox"])],
                           ["LSUB", '""', rng.choice(['*', 'n1*'])], ["LIST", '"n1/"', "%"]])

    def wrong(self):
        return [self.rng.choice(WRONG)]


# ---- what is compared ----

def lower(value):
    return value.lower() if isinstance(value, bytes) else value


def structure(p):
    """BODYSTRUCTURE without the differences of case."""
    if not isinstance(p, Part):
        return p
    params = tuple(sorted((n.lower(), v) for n, v in p.params or ()))
    disposition = p.disposition and (p.disposition[0].lower(), tuple(sorted((n.lower(), v) for n, v in p.disposition[1] or ())))
    return (p.type.lower(), p.subtype.lower(), params, p.id, p.description, lower(p.encoding), p.size, p.lines, p.envelope,
            tuple(structure(c) for c in p.children), disposition, tuple(p.language or ()), p.location)


class Answer:
    def __init__(self, r, command):
        self.status, self.code = r.status, r.code.name if r.code else None
        self.code_data = r.code.data if r.code else None
        self.fetched, self.flags, self.gone, self.exists, self.recent, self.lists, self.rest = {}, {}, [], None, None, {}, []
        self.unseen = self.copy = None
        for one in r.untagged:
            self.add(one)
        if self.code in ("APPENDUID", "COPYUID"):
            self.copy = self.code_data[1:]

    def add(self, one):
        if one.kind == "num":
            if one.name == "EXPUNGE":
                self.gone.append(one.num)
            elif one.name == "EXISTS":
                self.exists = one.num
            else:
                self.recent = one.num
        elif one.kind == "fetch":
            at = self.fetched.setdefault(one.num, {})
            for k, v in one.data.items():
                if k == "FLAGS":
                    self.flags[one.num] = frozenset(f.lower() for f in v) - {"\\recent"}
                elif k != "MODSEQ":
                    at[k] = structure(v) if k in ("BODY", "BODYSTRUCTURE") else v or b"" if isinstance(v, (bytes, type(None))) else v
        elif one.kind == "cond":
            if one.code and one.code.name == "COPYUID":
                self.copy = one.code.data[1:]
            elif one.code and one.code.name == "UNSEEN":
                self.unseen = one.code.data
        elif one.kind in ("LIST", "LSUB"):
            flags, delimiter, name, extended = one.data
            if extended:
                self.rest.append(("extended", name, repr(extended)))
            self.lists[name] = (frozenset(f.lower() for f in flags), delimiter)
        elif one.kind == "ESEARCH":
            self.rest.append(("ESEARCH", one.data[1], tuple(sorted((k, str(v)) for k, v in one.data[2].items() if k != "MODSEQ"))))
        elif one.kind in ("SEARCH", "SORT"):
            self.rest.append((one.kind, tuple(one.data[0])))
        elif one.kind == "STATUS":
            self.rest.append(("STATUS", one.data[0], tuple(sorted((k, v) for k, v in one.data[1].items()
                                                                       if k != "HIGHESTMODSEQ"))))
        elif one.kind == "THREAD":
            self.rest.append((one.kind, repr(one.data)))
        elif one.kind not in ("CAPABILITY", "FLAGS", "ENABLED"):
            self.rest.append((one.kind, repr(one.data)))


def differences(command, a, b):
    """[(what, ours, Dovecot's, rule or None)]"""
    verb = command.split(" ")[1] if command.startswith("UID ") else command.split(" ")[0]
    out = []

    def differ(what, x, y, *rules):
        if x != y:
            out.append((what, x, y, next((r for r, applies in rules if applies), None)))
    differ("status", a.status, b.status, ("no-or-bad", {a.status, b.status} == {"NO", "BAD"}),
           ("strict", command in WRONG + differ_more.WRONG and a.status == "BAD"),
           ("subscribe", verb in ("SUBSCRIBE", "UNSUBSCRIBE")),
           ("read-only", a.status == "NO" and b.status == "OK" and verb in ("STORE", "EXPUNGE", "MOVE")))
    if a.status != b.status:
        return out
    differ("code", a.code, b.code, ("codes", {a.code, b.code} & {None, "CLIENTBUG", "EXPUNGEISSUED", "HIGHESTMODSEQ", "CANNOT", "SERVERBUG",
                                                                 "NONEXISTENT", "ALREADYEXISTS", "TRYCREATE", "CAPABILITY"} and
                                    (Comparison.read_only or not {a.code, b.code} & {"READ-ONLY"}) and
                                    not {a.code, b.code} & {"READ-WRITE", "APPENDUID", "COPYUID", "MODIFIED"}))
    differ("MODIFIED", *(x.code_data if x.code == "MODIFIED" else None for x in (a, b)))
    differ("UIDs of the copies", a.copy, b.copy)
    differ("UNSEEN", a.unseen, b.unseen)
    differ("EXPUNGE", gone_set(a.gone), gone_set(b.gone))
    differ("EXISTS", a.exists, b.exists, ("exists", verb == "APPEND"))
    differ("RECENT", a.recent, b.recent, ("recent", True))
    asked = verb == "FETCH"
    for n in sorted(set(a.fetched) | set(b.fetched)):
        x, y = a.fetched.get(n, {}), b.fetched.get(n, {})
        for k in sorted(set(x) | set(y)):
            if k == "UID" and (k in x) != (k in y):
                continue  # may be added
            compare_value(differ, n, k, x.get(k), y.get(k), asked)
    for n in sorted(set(a.flags) | set(b.flags)):
        both = n in a.flags and n in b.flags
        differ("flags of %d" % n, a.flags.get(n), b.flags.get(n), ("flags-told", not both))
    differ("names", sorted(a.lists), sorted(b.lists), ("empty-list", only_parents(a, b)))
    hints = {"\\haschildren", "\\hasnochildren", "\\marked", "\\unmarked"}
    for name in set(a.lists) & set(b.lists):
        differ("flags of %s" % name, a.lists[name], b.lists[name],
               ("children", a.lists[name][0] - hints == b.lists[name][0] - hints and a.lists[name][1] == b.lists[name][1]),
               ("empty-list", {"\\noselect", "\\nonexistent"} & (a.lists[name][0] | b.lists[name][0])))
    differ("untagged", sorted(map(repr, a.rest)), sorted(map(repr, b.rest)),
           ("recent", re.search(r"\b(RECENT|NEW|OLD)\b", command)),
           ("body-text", re.search(r"\bBODY e\b", command)),
           ("sort-order", verb in ("SORT", "THREAD") and numbers_in(a.rest) == numbers_in(b.rest)))
    return out


def numbers_in(rest):
    return sorted(re.findall(r"\d+", repr(rest)))


def only_parents(a, b):
    both = dict(a.lists, **b.lists)
    odd = set(a.lists) ^ set(b.lists)
    return all({"\\noselect", "\\nonexistent"} & both[n][0] for n in odd)


def gone_set(gone):
    """Numbers as they were before the command."""
    left, out = list(range(1, 5000)), []
    for n in gone:
        out.append(left.pop(n - 1))
    return sorted(out)


def without_charset(s):
    return re.sub(r"\(b'charset', b'us-ascii'\),? ?", "", repr(s)).replace(", )", ",)").replace("((b", "(b").replace("),)", ")")


def compare_value(differ, n, k, x, y, asked):
    rules = [("preview", k == "PREVIEW"), ("flags-told", not asked), ("binary-whole", k in ("BINARY[]", "BINARY.SIZE[]"))]
    if k in ("BODY", "BODYSTRUCTURE"):
        rules.append(("default-charset", x and y and without_charset(x) == without_charset(y)))
    if k == "ENVELOPE":
        rules.append(("whitespace", x and y and (x.subject or b"").split() == (y.subject or b"").split() and
                      x._replace(subject=None) == y._replace(subject=None)))
    differ("%s of %d" % (k, n), x, y, *rules)


class Comparison:
    read_only = False

    def __init__(self, opt, ours, theirs):
        self.opt = opt
        self.drawer = Drawer(opt.seed)
        self.clients = [Imap(s.imap, name="x").login(s.users[0], s.password) for s in (ours, theirs)]
        self.rules, self.failed, self.passed = collections.Counter(), 0, 0
        self.marks = [collections.defaultdict(list) for _ in self.clients]  # of each mailbox, the mod-sequences it had
        for c in self.clients:
            for name in BOXES[1:]:
                c.ok("CREATE", box_arg(name))

    def both(self, args):
        out = []
        for i, c in enumerate(self.clients):
            grammar.DOVECOT = i == 1
            out.append(c.run(*differ_more.replaced(args, self.marks[i][self.drawer.selected])))
        grammar.DOVECOT = False
        return out

    def step(self):
        args = self.drawer.draw()
        text = " ".join(a if isinstance(a, str) else "{%d}" % len(a) if isinstance(a, Lit) else quote(a).decode("latin-1")
                        for a in args)
        Comparison.read_only = self.drawer.read_only
        a, b = (Answer(r, text) for r in self.both(args))
        found = differences(text, a, b)
        bad = [d for d in found if d[3] is None]
        self.rules.update({d[3] for d in found if d[3]})
        self.passed += not bad
        self.failed += bool(bad)
        if bad and self.failed <= 25:
            print("FAILED: %s" % text)
            for what, x, y, _ in bad[:3]:
                print("    %s: ours %.300r\n    %s  Dovecot %.300r" % (what, x, " " * len(what), y))
        if self.opt.verbose:
            for what, x, y, rule in found:
                if rule:
                    print("%s: %s: %s: %.100r, %.100r" % (rule, text, what, x, y))
        self.follow(args, a, b)

    def follow(self, args, a, b):
        """The state that commands are drawn from; where the servers part, both are brought back to one."""
        d = self.drawer
        verb = args[0].split(" ")[0]
        if verb in ("SELECT", "EXAMINE"):
            d.selected = args[1] if a.status == "OK" and b.status == "OK" else None
            d.read_only = verb == "EXAMINE"
        if verb in ("CLOSE", "UNSELECT") and a.status == "OK":
            d.selected = None
        if a.status != b.status and verb in ("SELECT", "EXAMINE", "CLOSE", "UNSELECT"):
            self.both(["UNSELECT"])
            d.selected = None
        counts = []
        for c in self.clients:
            if d.selected is None:
                break
            r = c.ok("UID SEARCH ALL")
            counts.append(r.untagged[[x.kind for x in r.untagged].index("SEARCH")].data[0])
        if counts and counts[0] != counts[1]:
            self.failed += 1
            print("FAILED: after %r the UIDs are %r and %r" % (args[:3], counts[0][:20], counts[1][:20]))
            raise SystemExit("the servers are apart; seed %s" % self.opt.seed)
        if d.more and d.selected is not None:
            for c, marks in zip(self.clients, self.marks):
                told = [x.data[1] for x in c.ok("STATUS", d.selected, "(HIGHESTMODSEQ)").untagged if x.kind == "STATUS"]
                marks[d.selected] = marks[d.selected][1 - differ_more.MARKS:] + [told[0]["HIGHESTMODSEQ"]]
        if counts:
            d.count, d.top = len(counts[0]), max(counts[0], default=1)


def check_page():
    """The page has every rule, and no other."""
    with open(os.path.join(servers.TOP, "docs", "imap-differences.md"), encoding="utf-8") as f:
        told = set(re.findall(r"^\| `([a-z-]+)` \|", f.read(), re.M))
    assert told == set(RULES), "docs/imap-differences.md and RULES differ in %r" % sorted(told ^ set(RULES))


def main():
    check_page()
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    servers.options(p, 25200)
    p.add_argument("--commands", type=int, default=3000)
    p.add_argument("--seed", default=str(random.SystemRandom().randrange(1 << 32)))
    p.add_argument("--verbose", action="store_true", help="print what the rules accept, too")
    p.add_argument("--self", action="store_true", help="Dovecot against Dovecot: nothing may differ")
    opt = p.parse_args()
    print("seed %s" % opt.seed, flush=True)
    first = servers.start("dovecot", 1, opt.offset) if opt.self else servers.start("gatehouse", 1, opt.offset, opt.build)
    with first as ours, servers.start("dovecot", 1, opt.offset + 60) as theirs:
        c = Comparison(opt, ours, theirs)
        for i in range(opt.commands):
            if i == opt.commands // 2:
                c.both(["ENABLE", "CONDSTORE"])
                c.drawer.more = True
            c.step()
        for one in c.clients:
            one.logout()
    for rule, n in sorted(c.rules.items()):
        print("%5d %s: %s" % (n, rule, RULES[rule]))
    print("%d passed, %d failed" % (c.passed, c.failed))
    return c.failed > 0


if __name__ == "__main__":
    sys.exit(main())
