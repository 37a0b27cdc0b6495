"""offlineimap3: an account and a tree of Maildirs, both ways."""
import email
import email.policy
import os
import re

import fixture

PUSHED_S = 1234567890  # the time of the file that is new near

CONF = """[general]
accounts = a
metadata = %(home)s/meta
ui = quiet

[Account a]
localrepository = near
remoterepository = far

[Repository near]
type = Maildir
localfolders = %(home)s/mail

[Repository far]
type = IMAP
remotehost = localhost
remoteport = %(port)d
remoteuser = %(user)s
remotepass = %(password)s
%(ssl)s
"""


def offlineimap(fx, how):
    messages = fx.messages(2000 if fx.opt.full else 40, outside=fx.opt.full)
    box = fx.fill(fx.account(), messages)
    fx.fill(box.account, messages[:3], "Sub")
    home = fx.home()
    # ssl is its default, and so is STARTTLS without it.
    ssl = {"plain": "ssl = no\nstarttls = no", "starttls": "ssl = no\nstarttls = yes",
           "tls": "ssl = yes"}[how] + ("\nsslcacertfile = " + fx.ca if how != "plain" else "")
    rc = fixture.private(home + "/rc", CONF % {"home": home, "port": fx.port(how), "user": box.account,
                                               "password": fixture.PASSWORD, "ssl": ssl})
    os.makedirs(home + "/mail")

    def sync():
        fixture.run(["offlineimap", "-o", "-c", rc], home)

    def near(name="INBOX"):
        out = {}
        for part in ("new", "cur"):
            for file in os.listdir("%s/mail/%s/%s" % (home, name, part)):
                m = re.search(r",U=(\d+),FMD5=\w+(?:[:!]2,([A-Za-z]*))?$", file)
                path = "%s/mail/%s/%s/%s" % (home, name, part, file)
                with open(path, "rb") as f:
                    out[int(m[1])] = path, m[2] or "", f.read()
        return dict(sorted(out.items()))

    sync()
    files = near()
    before = fx.state(box.account)
    fx.equal(list(files), list(before), "unique ids are part of the names")
    fx.same_list([fixture.settled(x[2]) for x in files.values()], [fixture.settled(made(m.data)) for m in box.messages],
                 "pulled, as Python's email package writes them", [m.name for m in messages])
    fx.equal([x[1] for x in files.values()], [letters(m.flags) for m in box.messages], "flags of what was pulled")
    fx.equal(len(near("Sub")), 3, "the other mailbox")
    uids = list(before)
    c = fx.open(box.account)
    c.ok("SELECT", "INBOX")
    c.ok("UID STORE", fixture.strict.ranges(uids[0::10]), "+FLAGS.SILENT", r"(\Flagged)")
    c.ok("UID STORE", fixture.strict.ranges(uids[1::10]), "+FLAGS.SILENT", r"(\Deleted)")
    c.ok("EXPUNGE")
    c.logout()
    for uid in uids[2::10]:
        path, had, _ = files[uid]
        os.rename(path, re.sub(r"(:2,[A-Za-z]*)?$", ":2," + "".join(sorted(set(had) | {"R"})), path, count=1)
                  .replace("/new/", "/cur/"))
    for uid in uids[3::10]:
        os.unlink(files[uid][0])
    with open(home + "/mail/Sub/new/1700000000.1_1.here", "wb") as f:
        f.write(b"Subject: new near\nDate: Tue, 14 Nov 2023 22:13:20 +0000\nMessage-ID: <n@near.example>\n\nnear\n")
    os.utime(f.name, (PUSHED_S, PUSHED_S))
    sync()
    more = {0: {"\\Flagged"}, 2: {"\\Answered"}}
    want = {u: s._replace(flags=s.flags | more.get(i % 10, set())) for i, (u, s) in enumerate(before.items())
            if i % 10 not in (1, 3)}
    far = fx.state(box.account)
    fx.equal(list(far), list(want), "unique ids of those that stay")
    fx.equal([s.flags for s in far.values()], [s.flags for s in want.values()], "flags, far")
    fx.equal([s.when for s in far.values()], [s.when for s in want.values()], "dates, far")
    fx.same_list([s.data for s in far.values()], [s.data for s in want.values()], "messages left, far")
    files = near()
    fx.equal({u: x[1] for u, x in files.items()}, {u: letters(s.flags) for u, s in want.items()}, "flags, near")
    pushed = list(fx.state(box.account, "Sub").values())[3:]
    fx.equal([re.sub(rb"X-OfflineIMAP: [^\r\n]*\r\n", b"", s.data) for s in pushed], [
        b"Subject: new near\r\nDate: Tue, 14 Nov 2023 22:13:20 +0000\r\nMessage-ID: <n@near.example>\r\n\r\nnear\r\n"],
        "what was new near")
    fx.equal([(s.flags, s.when) for s in pushed], [(frozenset(), PUSHED_S)], "its flags and its date, that of the file")


def made(data):
    """It parses a message with Python's email package and writes it again; None: it cannot write it.

    A boundary that the package has to draw by lot is named by fixture.settled().
    """
    far = email.policy.default.clone(cte_type="8bit", utf8=True, refold_source="none", linesep="\r\n")
    try:
        return email.message_from_bytes(data, policy=far).as_bytes(policy=far.clone(linesep="\n"))
    except (UnicodeError, LookupError, ValueError, AttributeError, IndexError, TypeError):
        return None


def letters(flags):
    known = {"\\Seen": "S", "\\Answered": "R", "\\Flagged": "F", "\\Draft": "D", "\\Deleted": "T"}
    return "".join(sorted(known[f] for f in flags if f in known))


CLIENTS = [(offlineimap, ("plain", "starttls", "tls"))]
