"""mutt and neomutt on a terminal: everything copied to a Maildir, flags, deletion, moving, saving back."""
import os
import re

import fixture
import terminal

RC = """set folder="imap://%(user)s@localhost:%(port)d/"
set spoolfile="+INBOX"
set imap_user="%(user)s" imap_pass="%(password)s"
set ssl_starttls=%(starttls)s ssl_force_tls=no ssl_ca_certificates_file="%(ca)s"
set mbox_type=Maildir
set confirmappend=no confirmcreate=no delete=yes quit=yes move=no mark_old=no
set wait_key=no
"""
KEYS = ("<tag-pattern>~A<enter><tag-prefix><copy-message>%(home)s/all<enter>"
        "<tag-pattern>~A<enter><untag-pattern>~A<enter>"
        "<tag-pattern>~s zzmoved<enter><tag-prefix><save-message>=Moved<enter>"
        "<delete-pattern>~s zzdeleted<enter>"
        "<tag-pattern>~s zzflagged<enter><tag-prefix><set-flag>!<untag-pattern>~A<enter>"
        "<tag-pattern>~s zzreplied<enter><tag-prefix><set-flag>r<untag-pattern>~A<enter>"
        "<sync-mailbox><change-folder>=Moved<enter><tag-pattern>~A<enter><tag-prefix><set-flag>!"
        "<sync-mailbox><quit>")


def letters(flags):
    known = {"\\Seen": "S", "\\Answered": "R", "\\Flagged": "F"}
    return "".join(sorted(known[f] for f in flags if f in known))


def use(fx, how, program):
    subjects = ["zzmoved", "zzdeleted", "zzflagged", "zzreplied", "other"]
    messages = fx.messages(300 if fx.opt.full else 30, outside=False, own=False)
    if fx.opt.full:
        messages += [m for m in fx.messages(0) if fixture.orderly_header(m.data) and not re.search(
            rb"(?im)^(x-)?status:", m.data.partition(b"\r\n\r\n")[0])]  # it takes flags from there
    messages += [fixture.Message("s%d" % i, b"From: a@sender.example\r\nSubject: %s %d\r\nMessage-ID: <%d@s.example>\r\n"
                                 b"\r\ntext\r\n" % (subjects[i % 5].encode(), i, i), False) for i in range(10)]
    box = fx.fill(fx.account(), messages)
    before = fx.state(box.account, bodies=False)
    home = fx.home()
    values = {"user": box.account, "port": fx.port(how), "password": fixture.PASSWORD, "ca": fx.ca, "home": home,
              "starttls": "yes" if how == "starttls" else "no"}
    rc = RC % values
    if how == "tls":
        rc = rc.replace("imap://", "imaps://")
    fixture.private(home + "/rc", rc)
    code, said = terminal.run([program, "-n", "-F", home + "/rc", "-e", 'push "%s"' % (KEYS % values)], home)
    fx.check(code == 0, "ended well", said[-400:])
    got = []
    for part in ("cur", "new"):
        for name in os.listdir("%s/all/%s" % (home, part)):
            with open("%s/all/%s/%s" % (home, part, name), "rb") as f:
                got.append((own_lines_out(f.read()), name.partition(":2,")[2]))
    want = sorted((own_lines_out(parted(fixture.lf(m.data))), letters(m.flags)) for m in box.messages)
    got.sort()
    fx.same_list([x[0] for x in got], [x[0] for x in want], "copied to a Maildir")
    fx.equal([x[1] for x in got], [x[1] for x in want], "flags of what was copied")
    there, left = fx.state(box.account), {}
    moved = [m for m in box.messages if b"\nSubject: zzmoved " in m.data]
    for uid, m in zip(before, box.messages):
        subject = m.data.partition(b"\nSubject: ")[2].split()[:1]
        if subject and subject[0] in (b"zzmoved", b"zzdeleted"):
            continue
        more = {b"zzflagged": {"\\Flagged"}, b"zzreplied": {"\\Answered", "\\Seen"}}.get(subject[0] if subject else b"", set())
        left[uid] = m._replace(flags=m.flags | more)
    fx.equal(list(there), list(left), "unique ids of those that stay")
    fx.equal([s.flags for s in there.values()], [s.flags for s in left.values()], "flags of those that stay")
    fx.equal([s.when for s in there.values()], [s.when for s in left.values()], "dates of those that stay")
    fx.same_list([s.data for s in there.values()], [s.data for s in left.values()], "those that stay")
    there = list(fx.state(box.account, "Moved").values())
    fx.same_list([s.data for s in there], [m.data for m in moved], "moved")
    fx.equal([(s.flags, s.when) for s in there], [(m.flags | {"\\Flagged"}, m.when) for m in moved],
             "flags and dates of the moved, in another mailbox")


def parted(data):
    """For it, a line without a colon behind its first word ends the header: it puts an empty line before it."""
    out = data.split(b"\n")
    for i, line in enumerate(out):
        if line == b"":
            break
        end = re.search(rb"[: \t]", line)
        if (end is None or end[0] != b":") and not (i > 0 and line[:1].isspace()):
            out.insert(i, b"")
            break
    return b"\n".join(out)


def own_lines_out(data):
    """It replaces Content-Length, Lines and Status, adds Tags for keywords, and ends a header that has no end."""
    if data.startswith(b"\n"):
        return data
    head, blank, body = data.partition(b"\n\n")
    head = re.sub(rb"(?mi)^(content-length|lines|status|x-status|tags): ?[^\n]*\n", b"", head.rstrip(b"\n") + b"\n")
    return head + b"\n" + body


def mutt(fx, how):
    use(fx, how, "mutt")


def neomutt(fx, how):
    use(fx, how, "neomutt")


CLIENTS = [(mutt, ("plain", "starttls", "tls")), (neomutt, ("plain", "starttls", "tls"))]
