"""isync's mbsync, both ways: pull into a Maildir, push from one, flags and deletions either way."""
import os
import re

import fixture

LETTERS = {"\\Seen": "S", "\\Answered": "R", "\\Flagged": "F", "\\Draft": "D", "\\Deleted": "T"}
CONF = """IMAPAccount far
Host localhost
Port %(port)d
User %(user)s
Pass %(password)s
SSLType %(ssl)s
CertificateFile %(ca)s

IMAPStore far
Account far

MaildirStore near
Path %(home)s/mail/
Inbox %(home)s/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Remove Both
Expunge Both
SyncState *
%(more)s
"""


class Mbsync:
    def __init__(self, fx, how, account, more=""):
        self.home = fx.home()
        os.makedirs(self.home + "/mail")
        ssl = {"plain": "None", "starttls": "STARTTLS", "tls": "IMAPS"}[how]
        fixture.private(self.home + "/rc", CONF % {
            "port": fx.port(how), "user": account, "password": fixture.PASSWORD, "ssl": ssl, "ca": fx.ca,
            "home": self.home, "more": more})

    def __call__(self):
        return fixture.run(["mbsync", "-c", self.home + "/rc", "all"], self.home)

    def folder(self, name="INBOX"):
        return self.home + "/mail/" + name

    def near(self, name="INBOX"):
        """{near uid: (path, letters, bytes)} of a Maildir."""
        out = {}
        for part in ("new", "cur"):
            for file in os.listdir("%s/%s" % (self.folder(name), part)):
                m = re.search(r",U=(\d+)(?::2,([A-Z]*))?$", file)
                path = "%s/%s/%s" % (self.folder(name), part, file)
                with open(path, "rb") as f:
                    out[int(m[1])] = path, m[2] or "", f.read()
        return dict(sorted(out.items()))


def without_tuid(data):
    """mbsync writes a header line of its own into what it copies, to find it again."""
    return re.sub(rb"\AX-TUID: [^\r\n]{12}\r?\n|(\n)X-TUID: [^\r\n]{12}\r?\n", rb"\1", data, count=1)


def taken(data):
    """mbsync skips a message whose header no empty line ends: "incomplete header"."""
    return data.startswith(b"\r\n") or b"\r\n\r\n" in data


def letters(flags):
    return "".join(sorted(LETTERS[f] for f in flags if f in LETTERS))


def mbsync_pull(fx, how):
    """Everything into a Maildir; then changes on both sides, which must meet."""
    messages = fx.messages(2000 if fx.opt.full else 60)
    box = fx.fill(fx.account(), messages)
    fx.fill(box.account, messages[:3], "Übung & mehr")
    sync = Mbsync(fx, how, box.account, "CopyArrivalDate yes\n")
    sync()
    near = sync.near()
    names = [m.name for m in messages if taken(m.data)]
    want = [m for m in box.messages if taken(m.data)]
    fx.same_list([without_tuid(x[2]) for x in near.values()], [fixture.lf(m.data) for m in want], "pulled", names)
    fx.equal([x[1] for x in near.values()], [letters(m.flags) for m in want], "flags of what was pulled")
    fx.equal([int(os.stat(x[0]).st_mtime) for x in near.values()], [m.when for m in want], "dates")
    other = [n for n in os.listdir(sync.home + "/mail") if n not in ("INBOX",) and not n.startswith(".")]
    fx.equal(other, ["&ANw-bung &- mehr"], "the other mailbox, under its name in modified UTF-7")
    fx.equal(len(sync.near(other[0])), 3, "its messages")
    change_both_sides(fx, sync, box)


def change_both_sides(fx, sync, box):
    before = {u: s for u, s in fx.state(box.account).items() if taken(s.data)}
    uids = list(before)
    near = list(sync.near().values())
    c = fx.open(box.account)
    c.ok("SELECT", "INBOX")
    c.ok("UID STORE", fixture.strict.ranges(uids[0::10]), "+FLAGS.SILENT", r"(\Flagged)")
    c.ok("UID STORE", fixture.strict.ranges(uids[1::10]), "-FLAGS.SILENT", r"(\Seen)")
    c.ok("UID STORE", fixture.strict.ranges(uids[2::10]), "+FLAGS.SILENT", r"(\Deleted)")
    c.ok("EXPUNGE")
    c.append("INBOX", b"Subject: new far\r\n\r\nfar\r\n", flags=("\\Flagged",))
    c.logout()
    for path, had, _ in near[3::10]:
        os.rename(path, re.sub(r"(:2,[A-Z]*)?$", ":2," + "".join(sorted(set(had) | {"R"})), path, count=1)
                  .replace("/new/", "/cur/"))
    for path, had, _ in near[4::10]:
        os.rename(path, re.sub(r"(:2,[A-Z]*)?$", ":2," + "".join(sorted(set(had) | {"T"})), path, count=1)
                  .replace("/new/", "/cur/"))
    with open(sync.folder() + "/cur/1700000000.1_1.here:2,S", "wb") as f:
        f.write(b"Subject: new near\n\nnear\n")
    os.utime(f.name, (1234567890, 1234567890))
    sync()
    want = []
    for i, s in enumerate(before.values()):
        more, less = {0: ({"\\Flagged"}, set()), 1: (set(), {"\\Seen"}), 3: ({"\\Answered"}, set())}.get(
            i % 10, (set(), set()))
        if i % 10 not in (2, 4):
            want.append(s._replace(flags=(s.flags | more) - less))
    far = {u: s for u, s in fx.state(box.account).items() if taken(s.data)}
    there = list(far.values())
    fx.equal(len(fx.state(box.account)) - len(far), sum(not taken(m.data) for m in box.messages), "what mbsync skips stays")
    fx.equal([(s.flags, s.when) for s in there[:len(want)]], [(s.flags, s.when) for s in want], "flags and dates, far")
    fx.same_list([without_tuid(s.data) for s in there], [s.data for s in want] + [
        b"Subject: new far\r\n\r\nfar\r\n", b"Subject: new near\r\n\r\nnear\r\n"], "messages left, far")
    fx.equal([there[-2].flags, *there[-1][:2]], [{"\\Flagged"}, {"\\Seen"}, 1234567890], "flags and date of what is new")
    kept = [u for i, u in enumerate(uids) if i % 10 not in (2, 4)]
    fx.equal(list(far)[:len(kept)], kept, "unique ids of those that stay")
    near = sync.near()
    fx.same_list(sorted(without_tuid(x[2]) for x in near.values()),
                 sorted(fixture.lf(without_tuid(s.data)) for s in there), "messages left, near")
    fx.equal(sorted(x[1] for x in near.values()), sorted(letters(s.flags) for s in there), "flags, near")
    sync()
    fx.equal({u: s for u, s in fx.state(box.account).items() if taken(s.data)}, far, "one more run changes nothing")


def mbsync_push(fx, how):
    """From a Maildir with subfolders to an empty account."""
    messages = fx.messages(2000 if fx.opt.full else 60, outside=fx.opt.full)
    account = fx.account()
    sync = Mbsync(fx, how, account, "CopyArrivalDate yes\n")
    flags = ["", "S", "RS", "F", "D", "FRS"]
    for name in ("INBOX", "Sub/Deeper"):
        for part in ("cur", "new", "tmp"):
            os.makedirs("%s/%s" % (sync.folder(name), part))
    for i, m in enumerate(messages):
        path = "%s/cur/%d.%d_1.here:2,%s" % (sync.folder(), 1600000000 + i, i, flags[i % 6])
        with open(path, "wb") as f:
            f.write(fixture.lf(m.data))
        os.utime(path, (1100000000 + i * 1001,) * 2)
    with open(sync.folder("Sub/Deeper") + "/cur/1.1_1.here:2,", "wb") as f:
        f.write(b"Subject: deep\n\ntext\n")
    sync()
    there = list(fx.state(account).values())
    fx.same_list(sorted(without_tuid(s.data) for s in there), sorted(m.data for m in messages if taken(m.data)), "pushed")
    fx.equal(sorted((without_tuid(s.data), letters(s.flags), s.when) for s in there), sorted(
        (m.data, flags[i % 6], 1100000000 + i * 1001) for i, m in enumerate(messages) if taken(m.data)),
        "flags and dates of what was pushed")
    fx.equal(sorted(b[2] for b in fx.boxes(account) if "\\Noselect" not in b[0]), ["INBOX", "Sub/Deeper"], "mailboxes made")


CLIENTS = [(mbsync_pull, ("plain", "starttls", "tls")), (mbsync_push, ("plain", "starttls", "tls"))]
