"""fetchmail and getmail: they take a mailbox away. What they make of a message is worked out in
tests/real/expected.py; fetchmail's header lines are compared with what it makes of the same bytes from
the POP3 server of tests/real/reference.py."""
import os
import re

import clients
import expected
import fixture
import reference

FETCHMAIL_OWN = re.compile(rb"(?m)^Received: from localhost .*\n\tby .* with (?:IMAP|POP3) \(fetchmail-.*\n\tfor .*\n")
FETCHMAIL = "poll localhost protocol %(protocol)s port %(port)d user \"%(user)s\" password \"%(password)s\" %(ssl)s mda \"%(mda)s\"\n"


def run_fetchmail(home, **fields):
    folder = "%s/%s" % (home, fields["protocol"])
    os.makedirs(folder + "/out")
    mda = fixture.private(folder + "/keep", "#!/bin/sh\nprintf x >>%s/count\nn=$(stat -c %%s %s/count)\n"
                          "cat >%s/out/$(printf %%06d $n)\n" % (folder, folder, folder), 0o700)
    rc = fixture.private(folder + "/rc", FETCHMAIL % dict(fields, mda=mda))
    fixture.run(["fetchmail", "-f", rc, "--nodetach", "--nosyslog", "--pidfile", folder + "/pid"], home, ok=(0, 1),
                env={"FETCHMAILHOME": folder})
    out = []
    for name in sorted(os.listdir(folder + "/out")):
        with open(folder + "/out/" + name, "rb") as f:
            out.append(f.read())
    return out


def fetchmail(fx, how):
    messages = fx.messages(300 if fx.opt.full else 60, outside=fx.opt.full)
    # It asks for what is unseen; the others are left alone.
    box = fx.fill(fx.account(), messages, flags=[(), ("\\Flagged",), (), ("\\Seen",)])
    before = fx.state(box.account)
    uids = list(before)
    asked = [(i, m) for i, m in enumerate(box.messages) if "\\Seen" not in m.flags]
    taken = [(i, m) for i, m in asked if not expected.fetchmail_refuses(m.data)]
    home = fx.home()
    ssl = {"plain": "sslproto \"\"", "starttls": "sslproto \"TLS1.2+\"", "tls": "ssl"}[how]
    got = run_fetchmail(home, protocol="imap", port=fx.port(how), user=box.account, password=fixture.PASSWORD,
                        ssl="%s sslcertfile \"%s\"" % (ssl, fx.ca))
    other = reference.Reference([m.data for _, m in asked])
    theirs = run_fetchmail(home, protocol="pop3", port=other.ports["pop3"], user=box.account, password="any",
                           ssl="sslproto \"\"")
    other.stop()
    wrong = []
    for g, r, (i, m) in zip(got, theirs, taken):
        heads = [re.sub(FETCHMAIL_OWN, b"", x).partition(b"\n\n")[0] for x in (g, r)]
        below = expected.header_fields(g)[1]
        if heads[0] != heads[1] or not (expected.fetchmail_body(m.data).fullmatch(below)
                                        or below == expected.header_fields(r)[1]):
            wrong.append(messages[i].name)
    fx.check(not wrong and len(got) == len(taken) == len(theirs), "%d of %d messages, %d from the reference, "
             "%d differ" % (len(got), len(taken), len(theirs), len(wrong)), *wrong)
    gone = {uids[i] for i, _ in taken}
    want = {u: s for u, s in before.items() if u not in gone}
    fx.equal(fx.state(box.account), want, "what was handed over is gone; bytes, flags, dates and unique ids of the rest stay")


def getmail(fx, how):
    messages = fx.messages(300 if fx.opt.full else 60, outside=fx.opt.full)
    box = fx.fill(fx.account(), messages)
    before = fx.state(box.account)
    fx.equal(list(before.values()), box.messages, "what is there before")
    kind = "SimpleIMAPSSLRetriever" if how == "tls" else "SimpleIMAPRetriever"
    got = clients.getmail_run(kind, fx.port(how), box.account, fx.ca)
    wrong = [m.name for g, m, b in zip(got, messages, box.messages) if not expected.getmail_keeps(g, b.data, "INBOX")]
    fx.check(not wrong and len(got) == len(messages), "%d of %d as Python's email package writes them, %d differ" % (
        len(got), len(messages), len(wrong)), *wrong)
    fx.equal(fx.state(box.account), before, "bytes, flags, dates and unique ids as before, unread ones unread")


CLIENTS = [(fetchmail, ("plain", "starttls", "tls")), (getmail, ("plain", "tls"))]  # getmail has no STARTTLS
