"""s-nail in batch mode: copies everything to a file and some to a mailbox, flags, deletes."""
import re

import fixture


def orderly(data):
    """s-nail writes mbox: nothing that looks like its separator, a header as it should be, no empty end.
    It loses the empty line below the header of a message that is message/rfc822 as a whole."""
    head, _, body = data.partition(b"\r\n\r\n")
    return (fixture.orderly_header(data) and not re.search(rb"(?im)^content-type: *message/", head) and re.search(rb"(?m)^>*From ", data) is None and not body.startswith(b"\r\n") and not body.endswith(b"\r\n\r\n")
            and body.endswith(b"\r\n") and not re.search(rb"(?im)^(status|x-status|content-length|lines):", head) and b"\r" not in data.replace(b"\r\n", b""))


def unpack(mbox):
    """The messages of an mbox as s-nail writes it, without the status lines that it adds."""
    out = []
    for one in re.split(rb"(?m)(?:\A|(?<=\n\n))From [^\n]*\n", mbox)[1:]:
        head, blank, body = one.partition(b"\n\n")
        head = re.sub(rb"(?m)^(X-)?Status: [^\n]*\n?", b"", head + b"\n").rstrip(b"\n")
        out.append(head + blank + (body[:-1] if body.endswith(b"\n\n") else body))
    return out


def appended(data):
    """Between mailboxes it appends what it would write to a file: with status lines and an empty line."""
    head, blank, body = data.partition(b"\r\n\r\n")
    ours = re.sub(rb"\r\n(X-)?Status: [A-Z]*(?=\r\n|\Z)", b"", head)
    return ours + blank + (body[:-2] if ours != head and body.endswith(b"\r\n\r\n") else body)


def snail(fx, how):
    messages = [m for m in fx.messages(600 if fx.opt.full else 60, outside=fx.opt.full) if orderly(m.data)]
    box = fx.fill(fx.account(), messages)
    fx.fill(box.account, messages[:1], "Copied")
    uids = list(fx.state(box.account, bodies=False))
    home = fx.home()
    url = "%s://%s:%s@localhost:%d/" % ("imaps" if how == "tls" else "imap", box.account, fixture.PASSWORD, fx.port(how))
    cmd = ["s-nail", "-#", "-S", "v15-compat", "-S", "tls-ca-no-defaults", "-S", "tls-ca-file=" + fx.ca,
           "-S", "tls-verify=strict"] + (["-S", "imap-use-starttls"] if how == "starttls" else []) + ["-f", url + "INBOX"]
    commands = ["copy * %s/all.mbox" % home, "flag 1 2", "delete 3 4", "copy 5-7 %sCopied" % url, "quit", ""]
    fixture.run(cmd, home, input="\n".join(commands).encode())
    with open(home + "/all.mbox", "rb") as f:
        got = unpack(f.read())
    fx.same_list(got, [fixture.lf(m.data) for m in box.messages], "copied to an mbox", [m.name for m in messages])
    want = {uids[i]: m._replace(flags=m.flags | {"\\Seen"} | ({"\\Flagged"} if i < 2 else set()))
            for i, m in enumerate(box.messages) if i not in (2, 3)}
    fx.equal(fx.state(box.account), want, "two deleted, two marked; bytes, flags, dates and unique ids of the others")
    there = [appended(m.data) for m in fx.state(box.account, "Copied").values()]
    fx.same_list(there, [messages[0].data] + [m.data for m in messages[4:7]], "copied to a mailbox")


CLIENTS = [(snail, ("plain", "starttls", "tls"))]
