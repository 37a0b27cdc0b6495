"""What each client says it does to a message, worked out from the message alone.

A client that cannot take a message, or writes it anew, does so for a reason of its own. Each function
here is one such reason as a property of the bytes, so that the test can say exactly which messages
are concerned and what becomes of them, and everything else has to be byte for byte. Nothing here asks
the client or the server.
"""
import email
import poplib
import re

import gen

# Lines on top that a server or a client puts there to say which way the message went.
TRACE = re.compile(rb"(?:(?:Return-Path|Delivered-To|Received|X-Original-To):[^\n]*\n(?:[ \t][^\n]*\n)*)*",
                   re.IGNORECASE)

FETCHMAIL_LINE = 8191  # what its buffer holds of a line, CR LF counted


def lf(data):
    return data.replace(b"\r\n", b"\n")


def same(got, sent):
    """True if `got` is `sent` (both LF) under trace header lines only."""
    if not got.endswith(sent):
        return False
    return TRACE.fullmatch(got[:len(got) - len(sent)]) is not None


def under_trace(got):
    """The message (LF) below its leading trace lines."""
    return got[TRACE.match(got).end():]


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
    """A pattern for what is below the header: a line that is too long is broken at the end of the
    buffer, with two bytes of whatever stood in memory; all else is as it was."""
    out = []
    for line in lf(data).partition(b"\n\n")[2].split(b"\n"):
        out.append(re.escape(line))
        if len(line) + 2 > FETCHMAIL_LINE:
            head, tail = line[:FETCHMAIL_LINE], line[FETCHMAIL_LINE:]
            out[-1] = re.escape(head) + rb"[\s\S]{0,2}\n" + re.escape(tail)
    return re.compile(b"\n".join(out))


def getmail_makes(data, mailbox=None):
    """getmail takes a message apart with Python's email package and has that write it again.

    A Return-Path is taken out, another is put on top; over IMAP a field with the mailbox is added. Boundaries that the package draws by lot for
    broken multiparts are named by getmail_settled().
    """
    message = email.message_from_bytes(lf(data))
    del message["Return-Path"]
    if mailbox is not None:
        message["X-getmail-retrieved-from-mailbox"] = mailbox
    return message.as_bytes(policy=message.policy.clone(linesep="\n"))


def getmail_settled(got):
    return re.sub(rb"={15}\d{19}==", b"BOUNDARY", under_trace(got))


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
