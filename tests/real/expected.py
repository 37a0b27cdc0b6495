"""What each client says it does to a message, worked out from the message alone.

A client that cannot take a message, writes it anew or writes lines on top does so for a reason of its own.
Each function here is one such reason as a property of the bytes, so that the test can say exactly which
messages are concerned and what becomes of them, and everything else has to be byte for byte. What a client
adds is taken away by a pattern of that very client, once, and must be there. Nothing here asks the client
or the server.
"""
import email
import poplib
import re

import gen

# What the server puts there at delivery (a Delivered-To is Dovecot's).
TRACE = re.compile(rb"Return-Path: <[^\r\n]*>\r\n(?:Delivered-To: [^\r\n]*\r\n)?"
                   rb"Received: from [^\r\n]*\r\n(?:\t[^\r\n]*\r\n)*")

FETCHMAIL_LINE = 8191  # what its buffer holds of a line, CR LF counted
FETCHMAIL_OWN = re.compile(rb"Received: from localhost \[127\.0\.0\.1\]\n\tby \S+ with POP3 \(fetchmail-[\d.]+\)\n"
                           rb"\tfor <\S+> \(single-drop\); [^\n]*\n")
FETCHMAIL_HOST = b"@localhost"
FETCHMAIL_ADDRESSES = re.compile(rb"(?i)(?:From|To|Cc|Bcc|Reply-To|Sender|Resent-\w+):")

GETMAIL_OWN = re.compile((r"Return-Path: <[^\n]*>\nDelivered-To: unknown\nReceived: from localhost \([\d.]+:\d+\) by "
                          r"localhost with (?:POP3|IMAP4)(?:-SSL)? getmail6 msgid:\S+; \d+ \w+ \d+ [\d:]+ -0000\n")
                         .replace(" ", r"(?: |\n  )").encode())  # folded where it gets long
GETMAIL_BOUNDARY = re.compile(rb"={15}\d{19}==")

MPOP_OWN = re.compile(rb"Received: from localhost \(localhost \[127\.0\.0\.1\]\)\n\tby \S+ \(mpop-[\d.]+\) with POP3S?\n"
                      rb"\tfor <\S+>; [^\n]*\n")


def lf(data):
    """What a program makes of CR LF that writes lines as Unix has them: an LF for each, nothing else."""
    return data.replace(b"\r\n", b"\n")


def same(wire, sent):
    """True if `wire` is `sent`, octet for octet, under the trace lines of one delivery."""
    if not wire.endswith(sent):
        return False
    return TRACE.fullmatch(wire[:len(wire) - len(sent)]) is not None


def mpop_keeps(got, wire):
    """mpop puts a Received field on top (received_header, on by its default) and ends lines in LF."""
    own = MPOP_OWN.match(got)
    return own is not None and got[own.end():] == lf(wire)


def poplib_cannot(data):
    """Python's poplib refuses a line of more than 2048 bytes, line end and doubled dot counted."""
    return any(len(line) + 2 > poplib._MAXLINE for line in gen.stuffed(data).split(b"\r\n"))


def fetchmail_refuses(data):
    """bad-header reject, its default: a header line that is no continuation and has no colon.

    A NUL ends a line for it, so what stands behind one is not seen.
    """
    for line in data.split(b"\r\n"):
        if line == b"":
            return False
        seen = line.split(b"\0")[0]
        if not line[:1].isspace() and b":" not in seen:
            return True
    return False


def fetchmail_cuts(data):
    return any(len(line) + 2 > FETCHMAIL_LINE for line in lf(data).split(b"\n"))


def fetchmail_body(data):
    """A pattern for what follows the header: a line that is too long is broken at the end of the
    buffer, with two bytes of whatever stood in memory; a header that nothing follows gets its empty line;
    all else is as it was."""
    out = []
    for line in (header_fields(lf(data))[1] or b"\n").split(b"\n"):
        out.append(re.escape(line))
        if len(line) + 2 > FETCHMAIL_LINE:
            head, tail = line[:FETCHMAIL_LINE], line[FETCHMAIL_LINE:]
            out[-1] = re.escape(head) + rb"[\s\S]{0,2}\n" + re.escape(tail)
    return re.compile(b"\n".join(out))


def header_fields(data):
    """Header fields with their continuations, and what is below, from the empty line on."""
    end = 0 if data.startswith(b"\n") else data.find(b"\n\n") + 1 or len(data)
    return re.findall(rb"[^\n]*\n(?:[ \t][^\n]*\n)*", data[:end]), data[end:]


def fetchmail_keeps(got, wire):
    """Its changes undone, the rest is byte for byte: its own Received field; lines `From ` and
    `>From ` of a header, left out; `rewrite`, on by its default: an address without a host gets one."""
    own = FETCHMAIL_OWN.search(got)
    if own is None:
        return False
    have, below = header_fields(got[:own.start()] + got[own.end():])
    want = [f for f in header_fields(lf(wire))[0] if not re.match(rb"(?i)>?From ", f)]
    for h, w in zip(have, want):
        added = h != w and FETCHMAIL_ADDRESSES.match(w) and FETCHMAIL_HOST not in w
        if h != w and not (added and h.replace(FETCHMAIL_HOST, b"") == w):
            return False
    return len(have) == len(want) and fetchmail_body(wire).fullmatch(below) is not None


def getmail_makes(data, mailbox=None):
    """getmail takes a message apart with Python's email package and has that write it again.

    A Return-Path is taken out, another is put on top; over IMAP a field with the mailbox is added.
    """
    message = email.message_from_bytes(lf(data))
    del message["Return-Path"]
    if mailbox is not None:
        message["X-getmail-retrieved-from-mailbox"] = mailbox
    return message.as_bytes(policy=message.policy.clone(linesep="\n"))


def getmail_keeps(got, data, mailbox=None):
    """Its own lines taken off, the rest is what the package makes of the message. Boundaries that the
    package draws by lot for broken multiparts stand for each other; one that was in the message does not."""
    own = GETMAIL_OWN.match(got)

    def settled(text):
        return GETMAIL_BOUNDARY.sub(lambda m: m.group(0) if m.group(0) in data else b"BOUNDARY", text)
    return own is not None and settled(got[own.end():]) == settled(getmail_makes(data, mailbox))


SWAKS_UNKNOWN = (b"%MESSAGEID%", b"%DATE%", b"%SWAKS_VERSION%")


def swaks_file(data):
    """What to hand swaks: the message and the dot that ends it. swaks takes it off and puts its own
    there; without one it would add a line end."""
    return data + b".\r\n"


def swaks_makes(data, sender, recipients):
    """The message that arrives when swaks sends `data` without --no-data-fixup; None: not foreseeable.

    Its manual: tokens and a backslash with an n are replaced, an mbox line 'From ' on top goes, line
    ends become CR LF, leading dots are doubled, the end is put there.
    """
    if any(token in data for token in SWAKS_UNKNOWN):
        return None
    data = swaks_file(data).replace(b"%BODY%", b"This is a test mailing").replace(b"\\n", b"\r\n")
    head, blank, body = re.match(rb"(?s)(.*?)(\r?\n\r?\n|\Z)(.*)", data).groups()
    lines = re.split(rb"\r?\n", head)
    while lines and lines[-1] == b"":
        lines.pop()
    data = b"".join(line + b"\r\n" for line in lines).replace(b"%NEW_HEADERS%", b"") + b"\r\n" + body
    data = data.replace(b"%NEWLINE%", b"\r\n").replace(b"%FROM_ADDRESS%", sender.encode())
    data = data.replace(b"%TO_ADDRESS%", ",".join(recipients).encode())
    data = re.sub(rb"\AFrom [^\n]*\n", b"", data)
    data = re.sub(rb"\r?\n\.\r?\n?\Z", b"", data, count=1)
    # Only dots after a line end are doubled: one at the very start is lost on the way.
    return (data[1:] if data.startswith(b".") else data) + b"\r\n"
