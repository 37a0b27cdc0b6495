"""differ_more - what differ.py draws of extensions: CONDSTORE, SEARCHRES, LIST-EXTENDED, MULTIAPPEND, BINARY.

In the text of a command @k is the mod-sequence that the selected mailbox had k commands ago, and @+k one above it: numbers
of each server's own.
"""
import re

from client import Lit, box as box_arg, lit8

MARKS = 8
BINARIES = ["BINARY.PEEK[1]", "BINARY[1]", "BINARY.SIZE[1]", "BINARY.PEEK[1]<2.9>", "BINARY.PEEK[2]", "BINARY.SIZE[2]", "BINARY.PEEK[]",
            "BINARY.SIZE[]", "(BINARY.PEEK[1] BINARY.SIZE[1] UID)"]
LISTS = [['LIST (SUBSCRIBED)', '""', "*"], ['LIST (SUBSCRIBED)', '""', "(INBOX %)"], ['LIST', '""', "(INBOX n%)"],
         ['LIST', '""', "*", "RETURN (SUBSCRIBED)"], ['LIST', '""', "%", "RETURN (CHILDREN SUBSCRIBED)"],
         ['LIST', '""', "(one two)", "RETURN (STATUS (MESSAGES UIDNEXT UNSEEN))"], ['LIST (SUBSCRIBED RECURSIVEMATCH)', '""', "%"],
         ['LIST (SUBSCRIBED REMOTE)', '""', "*", "RETURN (STATUS (MESSAGES))"], ['LIST ()', '""', "one"], ['LIST', '""', '("")'],
         ['LIST (SPECIAL-USE)', '""', "*"], ['LIST', '""', "*", "RETURN (SPECIAL-USE)"], ['LIST', '"n"', "(1 2 %)"]]
WRONG = ["LIST (RECURSIVEMATCH) \"\" *", "LIST (RECURSIVEMATCH REMOTE) \"\" *", "LIST (NOTHING) \"\" *", "LIST \"\" * RETURN (NOTHING)",
         "LIST \"\" * RETURN (STATUS)", "LIST \"\" (one", "FETCH 1 FLAGS (CHANGEDSINCE)", "FETCH 1 FLAGS (CHANGEDSINCE x)",
         "STORE 1 (UNCHANGEDSINCE x) FLAGS ()", "FETCH 1 FLAGS (NOTHING 1)", "SEARCH RETURN (NOTHING) ALL", "SEARCH MODSEQ x",
         "FETCH 1 BINARY", "FETCH 1 BINARY[1", "FETCH 1 BINARY.SIZE",
         "FETCH $,1 FLAGS", "FETCH $:2 FLAGS"]


def decodes(message):
    """Messages on whose BINARY[n] all agree. Dovecot ends the connection when base64 is not well formed, says NO when
    quoted-printable is not, and takes the encodings inside a part away, too (the rule binary-whole)."""
    for part in message.walk():
        body = part.data[part.body:part.end]
        text = b"".join(body.split())
        if part.encoding == "base64" and not (len(text) % 4 == 0 and re.fullmatch(rb"[A-Za-z0-9+/]*={0,2}", text)):
            return False
        if part.encoding == "quoted-printable" and re.search(rb"=(?![0-9A-F]{2}|[ \t]*\r?\n)", body):
            return False
        if part is not message and any(inner.encoding in ("base64", "quoted-printable") for inner in part.walk() if inner is not part):
            return False
    return True


def replaced(args, marks):
    """The arguments as one server is to get them."""
    def number(m):
        return str(marks[-1 - min(int(m[2]), len(marks) - 1)] + len(m[1]))
    return [re.sub(r"@(\+?)(\d)", number, a) if isinstance(a, str) and marks else a for a in args]


class More:
    """Draws of Drawer's, from the moment that CONDSTORE is on."""
    more = False

    def numbers(self, uid):
        return "$" if self.more and self.rng.random() < 0.15 else self.plain_numbers(uid)

    def draw_more(self):
        if self.selected is None or self.count == 0:
            return self.rng.choice([self.listing, self.multiappend, self.wrong_more])()
        return self.rng.choice([self.changed, self.unchanged, self.modseq, self.save, self.save, self.listing, self.multiappend,
                                self.binary, self.wrong_more])()

    def mark(self, sign=""):
        return "@%s%d" % (sign, self.rng.randrange(MARKS))

    def changed(self):
        uid = self.uid()
        return uid + ["FETCH", self.numbers(uid), self.rng.choice(["FLAGS", "(UID FLAGS)", "(FLAGS INTERNALDATE)", "(UID)"]),
                      "(CHANGEDSINCE %s)" % self.mark()]

    def unchanged(self):
        uid = self.uid()
        flags = self.rng.sample(["\\Seen", "\\Answered", "\\Flagged", "\\Draft", "$Alpha"], self.rng.randint(1, 2))
        return uid + ["STORE", self.numbers(uid), "(UNCHANGEDSINCE %s)" % self.mark(),
                      self.rng.choice(["+", "-", ""]) + "FLAGS" + self.rng.choice(["", ".SILENT"]), "(%s)" % " ".join(flags)]

    def modseq(self):
        return self.uid() + ["SEARCH", self.rng.choice(["", "", "RETURN (COUNT) ", "RETURN (ALL) "]) + "MODSEQ " + self.mark("+")]

    def save(self):
        back = self.rng.choice(["SAVE", "SAVE", "SAVE COUNT", "SAVE MIN", "SAVE MAX", "SAVE MIN MAX", "SAVE ALL"])
        return self.uid() + ["SEARCH", "RETURN (%s) " % back +
                             self.rng.choice(["ALL", "FLAGGED", "UNSEEN", "1:3", "DRAFT", "SUBJECT a", "$", "NOT $", "UID $ SEEN"])]

    def listing(self):
        return list(self.rng.choice(LISTS))

    def multiappend(self):
        args = ["APPEND", box_arg(self.rng.choice(self.boxes))]
        for _ in range(self.rng.randint(2, 4)):
            if self.rng.random() < 0.5:
                args.append("(%s)" % " ".join(self.rng.sample(["\\Seen", "\\Flagged", "beta"], self.rng.randint(0, 2))))
            args.append('"%02d-May-%d 12:00:00 +0000"' % (self.rng.randint(1, 28), self.rng.randint(2000, 2020)))
            args.append(self.rng.choice([Lit, lit8])(self.rng.choice(self.messages)))
        return args

    def binary(self):
        uid = self.uid()
        return uid + ["FETCH", self.plain_numbers(uid), self.rng.choice(BINARIES)]

    def wrong_more(self):
        return [self.rng.choice(WRONG)]
