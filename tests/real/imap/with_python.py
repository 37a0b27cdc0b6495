"""Python's imaplib, and imap_tools (Debian: python3-imap-tools), a library on top of it."""
import datetime
import email
import email.utils
import imaplib
import re
import ssl

import fixture


def connect(fx, how):
    context = ssl.create_default_context(cafile=fx.ca)
    if how == "tls":
        return imaplib.IMAP4_SSL("localhost", fx.imaps, ssl_context=context)
    c = imaplib.IMAP4("localhost", fx.imap)
    if how == "starttls":
        c.starttls(context)
    return c


def good(answer):
    status, data = answer
    if status != "OK":
        raise fixture.ClientFailed("%s %r" % (status, data))
    return data


def python_imaplib(fx, how):
    box = fx.fill(fx.account(), fx.messages(2000 if fx.opt.full else 60, outside=fx.opt.full))
    want = box.messages
    before = fx.state(box.account, bodies=False)
    c = connect(fx, how)
    good(c.login(box.account, fixture.PASSWORD))
    fx.equal(good(c.select()), [b"%d" % len(want)], "select says how many")
    uids = good(c.uid("search", None, "ALL"))[0].split()
    fx.equal([int(u) for u in uids], list(before), "search finds all, in the order of their unique ids")
    got = [x for x in good(c.uid("fetch", "1:*", "(UID FLAGS INTERNALDATE BODY.PEEK[])")) if isinstance(x, tuple)]
    fx.same_list([x[1] for x in got], [m.data for m in want], "bodies")
    flags = [frozenset(f.decode() for f in imaplib.ParseFlags(x[0])) - {"\\Recent"} for x in got]
    fx.equal(flags, [m.flags for m in want], "flags")
    dates = [fixture.date_value(re.search(rb'INTERNALDATE "([^"]*)"', x[0])[1]) for x in got]
    fx.equal(dates, [m.when for m in want], "dates")
    fx.equal([int(re.search(rb"UID (\d+)", x[0])[1]) for x in got], list(before), "unique ids")
    python_changes(fx, c, box.account, want)
    fx.equal(fx.state(box.account), dict(list(zip(before, want))[3:]), "what is left: bytes, flags, dates, unique ids")
    good(c.close())
    c.logout()


def python_changes(fx, c, account, want):
    seen = [b"%d" % (i + 1) for i, m in enumerate(want) if "\\Seen" in m.flags]
    fx.equal(good(c.search(None, "SEEN"))[0].split(), seen, "search by flag")
    good(c.store("1:3", "+FLAGS", "(\\Deleted kept$it)"))
    good(c.create("Archive"))
    good(c.copy("1:2", "Archive"))
    fx.check(sorted(good(c.expunge())) in ([b"1", b"1", b"1"], [b"1", b"2", b"3"]), "expunge tells one by one")
    data = b"Subject: from imaplib\r\n\r\ntext\r\n"
    when = datetime.datetime(2020, 2, 29, 23, 59, 58, tzinfo=datetime.timezone.utc)
    good(c.append("Archive", "(\\Flagged)", imaplib.Time2Internaldate(when), data))
    there = list(fx.state(account, "Archive").values())
    kept = [m._replace(flags=m.flags | {"\\Deleted", "kept$it"}) for m in want[:2]]
    fx.equal(there, kept + [fixture.Stored(frozenset({"\\Flagged"}), int(when.timestamp()), data)],
             "copied and appended messages with flags and dates")
    fx.equal(sorted(x.split(b'"')[-2] if x.endswith(b'"') else x.split()[-1] for x in good(c.list())),
             [b"Archive", b"INBOX"], "list")
    good(c.rename("Archive", "Old"))
    good(c.delete("Old"))
    fx.equal(fx.boxes(account) and [b[2] for b in fx.boxes(account)], ["INBOX"], "rename and delete")


APPENDED = fixture.Stored(frozenset({"\\Answered"}), 1582934398, b"Subject: from imap_tools\r\n\r\ntext\r\n")


def header_date(message):
    try:
        return email.utils.parsedate_to_datetime(message["Date"])
    except (TypeError, ValueError):
        return None


def imap_tools(fx, how):
    import imap_tools as lib
    box = fx.fill(fx.account(), fx.messages(40, outside=False))
    before = fx.state(box.account, bodies=False)
    context = ssl.create_default_context(cafile=fx.ca)
    if how == "tls":
        m = lib.MailBox("localhost", fx.imaps, ssl_context=context)
    elif how == "starttls":
        m = lib.MailBoxTls("localhost", fx.imap, ssl_context=context)
    else:
        m = lib.MailBoxUnencrypted("localhost", fx.imap)
    with m.login(box.account, fixture.PASSWORD):
        got = list(m.fetch(mark_seen=False))
        fx.equal([sorted(set(x.flags) - {"\\Recent"}) for x in got], [sorted(x.flags) for x in box.messages], "flags")
        fx.equal([int(x.uid) for x in got], list(before), "unique ids")
        fx.equal([x.size_rfc822 for x in got], [len(x.data) for x in box.messages], "sizes")
        parsed = [email.message_from_bytes(x.data) for x in box.messages]
        fx.same_list([fixture.settled(x.obj.as_bytes()) for x in got], [fixture.settled(x.as_bytes()) for x in parsed],
                     "messages, as Python's email package writes them")
        fx.equal([x.date_str for x in got], [str(x["Date"] or "") for x in parsed], "fields Date")
        fx.equal([x.date for x in got if x.date.year != 1900], [d for d in map(header_date, parsed) if d], "dates in them")
        uids = m.uids(lib.AND(seen=False))
        m.flag(uids, lib.MailMessageFlags.FLAGGED, True)
        m.folder.create("Moved")
        m.move(uids[:2], "Moved")
        m.delete(uids[2:4])
        fx.equal(len(list(m.fetch(lib.AND(flagged=True, seen=False), mark_seen=False))), len(uids) - 4, "search")
        m.append(APPENDED.data, "Moved", dt=datetime.datetime.fromtimestamp(APPENDED.when, datetime.timezone.utc),
                 flag_set=sorted(APPENDED.flags))
    unseen = [x._replace(flags=x.flags | {"\\Flagged"}) for x in box.messages if "\\Seen" not in x.flags]
    fx.equal([int(u) for u in uids], [u for u, x in zip(before, box.messages) if "\\Seen" not in x.flags], "unread ones")
    fx.equal(list(fx.state(box.account, "Moved").values()), unseen[:2] + [APPENDED], "moved, appended: bytes, flags, dates")
    want = {u: x._replace(flags=x.flags | ({"\\Flagged"} if str(u) in uids else set()))
            for u, x in zip(before, box.messages) if str(u) not in uids[:4]}
    fx.equal(fx.state(box.account), want, "moved and deleted are gone; bytes, flags, dates and unique ids of the rest")


CLIENTS = [(python_imaplib, ("plain", "starttls", "tls")), (imap_tools, ("plain", "starttls", "tls"))]
