"""alpine on a terminal: saves all to a local folder and to a mailbox on the server, then expunges."""
import os
import re

import fixture
import terminal

# Its status line shows what it does and then what it did; on a slow machine the second may come at once or never.
OPENED = b"opened with|INBOX\" DONE"
SAVED = b"DONE|and deleted"
EXPUNGED = b"xpunged|xpunging[^\\r]*DONE"
RC = """inbox-path=%(far)sINBOX
last-version-used=6.26
folder-collections=Mail %(home)s/mail/[]
user-domain=example.test
feature-list=enable-aggregate-command-set,expunge-without-confirm,quit-without-confirm,disable-password-file-saving
"""


def orderly(data):
    """What its mbox can hold and give back as it was; fields of its own are left out of the comparison."""
    head, _, body = data.partition(b"\r\n\r\n")
    return (fixture.orderly_header(data) and body.endswith(b"\r\n") and not re.search(rb"(?m)^>*From ", data)
            and not re.search(rb"(?im)^(status|x-status|x-keywords|x-uid|x-imap|x-imapbase):", head))


def unpack(mbox):
    """The messages of an mbox as alpine writes it, without its own first one and its own fields."""
    out = []
    for one in re.split(rb"(?m)(?:\A|(?<=\n\n))From [^\n]*\n", mbox)[1:]:
        head, blank, body = one.partition(b"\n\n")
        if b"\nX-IMAP: " in head:
            continue
        head = re.sub(rb"(?m)^(Status|X-Status|X-Keywords|X-UID):[^\n]*\n", b"", head + b"\n")
        out.append(head + b"\n" + (body[:-1] if body.endswith(b"\n\n") or body == b"\n" else body))
    return out


def alpine(fx, how):
    messages = [m for m in fx.messages(300 if fx.opt.full else 60, outside=fx.opt.full) if orderly(m.data)]
    box = fx.fill(fx.account(), messages)
    home = fx.home()
    os.makedirs(home + "/mail")
    way = {"plain": "/notls", "starttls": "/tls", "tls": "/ssl"}[how]
    far = "{localhost:%d/user=%s%s}" % (fx.port(how), box.account, way)
    fixture.private(home + "/.pinerc", RC % {"far": far, "home": home})
    steps = [(b"PASSWORD", fixture.PASSWORD + "\r"), (OPENED, ";"), (b"SELECT", "a"), (b"elected", "a"),
             (b"APPLY", "s"), (b"SAVE", "\x15all\r"), (b"reate", "y"), (SAVED, "a"),
             (b"APPLY", "s"), (b"SAVE", "\x15%sSaved\r" % far), (b"reate", "y"), (SAVED, "x"), (EXPUNGED, "q")]
    code, said = terminal.run(["alpine", "-p", home + "/.pinerc", "-i"], home, {"TERM": "xterm", "SSL_CERT_FILE": fx.ca},
                              answers=[(a, b.encode()) for a, b in steps])
    fx.check(code == 0, "ended well", said[-400:])
    with open(home + "/mail/all", "rb") as f:
        got = unpack(f.read())
    fx.same_list(got, [fixture.lf(m.data) for m in box.messages], "saved to a folder", [m.name for m in messages])
    want = dict(enumerate(box.messages, 2))  # the first was a message of its own, which it took out again
    fx.equal(fx.state(box.account, "Saved"), want, "saved to a mailbox: bytes, flags, dates, unique ids without a hole")
    fx.equal(fx.state(box.account), {}, "what was saved was deleted and expunged")


CLIENTS = [(alpine, ("plain", "starttls", "tls"))]
