"""made - messages for the oracle: threads with missing, doubled and looping references, sort keys, encodings."""
import base64

SUBJECTS = ["plan", "Plan", "Über uns", "=?utf-8?B?w5xiZXIgdW5z?=", "[list] plan", "zebra", "", "apple  tart", "apple tart"]
PREFIX = ["", "", "Re: ", "RE: re: ", "Fwd: ", "[x] Re: ", "Re[2]: ", "fw : ", "Re: [x] "]
NAMES = [("ada", "Ada"), ("Bob", "Bob"), ("carl", '"Carl, Jr."'), ("DORA", "Dora"), ("eve.x", ""), ("ada", "Zoe")]


def address(rng):
    local, name = rng.choice(NAMES)
    bare = "%s@%s.example" % (local, rng.choice(["a", "b", "c"]))
    return "%s <%s>" % (name, bare) if name else bare


def date(rng):
    zone = rng.choice(["+0000", "+0530", "-0800", "+1200", "GMT", "EST"])
    text = "%d %s %d %02d:%02d:%02d %s" % (rng.randint(1, 28), rng.choice(["Jan", "Feb", "Dec"]), rng.randint(2001, 2003),
                                          rng.randrange(24), rng.randrange(60), rng.choice([0, 0, 30]), zone)
    return text


def threads(rng, count=90):
    known = ["<t%d@made.example>" % i for i in range(count)]
    out = []
    for i in range(count):
        head = [("From", address(rng)), ("To", address(rng)), ("Subject", rng.choice(PREFIX) + rng.choice(SUBJECTS))]
        if rng.random() < 0.9:
            head.append(("Date", date(rng)))
        if rng.random() < 0.3:
            head.append(("Cc", address(rng) + ", " + address(rng)))
        kind = rng.random()
        if kind < 0.9:
            head.append(("Message-ID", rng.choice(known) if kind < 0.08 else known[i]))
        if rng.random() < 0.65:
            near = known[max(0, i - 12):i + 2] + ["<missing%d@made.example>" % rng.randrange(6)]
            head.append(("References", " ".join(rng.sample(near, min(len(near), rng.randint(1, 5))))))
        elif rng.random() < 0.5:
            head.append(("In-Reply-To", "Your message " + rng.choice(known)))
        rng.shuffle(head)
        out.append("".join("%s: %s\r\n" % f for f in head).encode("utf-8") + b"\r\nmade %d\r\n" % i)
    return out


def part(kind, encoding, data):
    return b"Content-Type: %s\r\nContent-Transfer-Encoding: %s\r\n\r\n%s" % (kind, encoding, data)


def encodings():
    """Where a search must look, and where it must not."""
    hidden = base64.encodebytes(b"the hidden marmalade\r\nspoon").replace(b"\n", b"\r\n")
    mixed = [part(b"text/plain", b"base64", hidden), part(b"application/x-text", b"7bit", b"pickled herring"),
             part(b"text/html; charset=iso-8859-1", b"quoted-printable", b"<b>caf=E9 cr=\r\n=E8me</b> &eacute;clair"),
             part(b"text/plain; charset=x-nobody", b"8bit", "grüne Soße".encode()), part(b"text/plain", b"x-rot13", b"gurkensalat"),
             part(b"message/rfc822", b"7bit", b"Subject: inner =?utf-8?q?fr=C3=BChling?=\r\nX-Inner: yes\r\n\r\nspring onion\r\n"),
             b"X-Part: in a MIME header\r\n\r\nplain default text"]
    body = b"".join(b"--m\r\n" + p + b"\r\n" for p in mixed)
    one = b"From: a@b.example\r\nSubject: parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=m\r\n\r\n" \
        b"preamble walnut\r\n" + body + b"--m--\r\nepilogue hazelnut\r\n"
    two = b"From: =?utf-8?q?J=C3=B6rg?= <joerg@x.example>\r\nSubject: =?utf-8?q?one?= =?utf-8?q?two?= three =?x-no?q?four?=\r\n" \
        b"subject: second subject\r\nno field here\r\n and its fold\r\nX-Fold: one\r\n  two\r\n\tthree\r\n\r\n" \
        b"STRASSE Stra\xc3\x9fe cafe\xcc\x81\r\n"
    three = b"From: x@y.example\r\nSubject: wide\r\nContent-Type: text/plain; charset=utf-16\r\n" \
        b"Content-Transfer-Encoding: base64\r\n\r\n" + \
        base64.encodebytes("wide ünïcode mark".encode("utf-16")).replace(b"\n", b"\r\n")
    return [one, two, three]


def messages(rng):
    return threads(rng) + encodings()
