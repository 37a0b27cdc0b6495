"""curl: fetch by UID, sections, upload, and commands of one's own."""
import os
import re
import time

import fixture

DATE = re.compile(rb'FETCH \(UID (\d+) INTERNALDATE "([^"]*)"\)')


class Curl:
    def __init__(self, fx, how, account):
        self.fx, self.home = fx, fx.home()
        self.base = "%s://localhost:%d/" % ("imaps" if how == "tls" else "imap", fx.port(how))
        self.common = ["curl", "-sS", "-4", "-u", account + ":" + fixture.PASSWORD, "--cacert", fx.ca]
        self.common += ["--ssl-reqd"] if how == "starttls" else []

    def __call__(self, path, *more):
        return fixture.run(self.common + [self.base + path, *more], self.home).stdout

    def many(self, path, uids, name):
        """One curl for all: path with [UIDs]; the files in order."""
        folder = "%s/%s" % (self.home, name)
        os.makedirs(folder)
        lo, hi = uids[0], uids[-1]
        self(path % ("[%d-%d]" % (lo, hi)), "-o", folder + "/#1")
        out = []
        for uid in range(lo, hi + 1):
            with open("%s/%d" % (folder, uid), "rb") as f:
                out.append(f.read())
        return out


def curl(fx, how):
    messages = fx.messages(2000 if fx.opt.full else 60, outside=fx.opt.full)
    box = fx.fill(fx.account(), messages)
    names = [m.name for m in messages]
    get = Curl(fx, how, box.account)
    before = fx.state(box.account, bodies=False)
    uids = list(before)
    fx.equal(uids, list(range(uids[0], uids[0] + len(uids))), "unique ids of a new mailbox have no holes")
    told = DATE.findall(get("INBOX", "-X", "UID FETCH 1:* INTERNALDATE"))
    fx.equal([(int(u), fixture.date_value(d)) for u, d in told], [(u, m.when) for u, m in zip(uids, box.messages)],
             "unique ids and dates")
    data = [m.data for m in box.messages]
    split = [d.partition(b"\r\n\r\n") for d in data]
    fx.same_list(get.many("INBOX;UID=%s", uids, "all"), data, "BODY[]", names)
    sample = uids if fx.opt.full else uids[:30]
    heads = [b"\r\n" if d.startswith(b"\r\n") else h[0] + (h[1] or b"") for h, d in zip(split, data)]
    texts = [d[len(h):] for h, d in zip(heads, data)]
    n = len(sample)
    fx.same_list(get.many("INBOX;UID=%s;SECTION=HEADER", sample, "head"), heads[:n], "BODY[HEADER]", names)
    fx.same_list(get.many("INBOX;UID=%s;SECTION=TEXT", sample, "text"), texts[:n], "BODY[TEXT]", names)
    fx.equal(fx.state(box.account, bodies=False), {u: s._replace(flags=s.flags | {"\\Seen"}) for u, s in before.items()},
             "all read, no other flag, date or unique id changed")
    curl_commands(fx, get, box)
    curl_upload(fx, get, box.account, messages[:20])


def curl_commands(fx, get, box):
    words = [i + 1 for i, m in enumerate(box.messages) if re.search(rb"(?im)^X-Raw:", m.data)]
    said = get("INBOX", "-X", "SEARCH HEADER X-Raw \"\"")
    fx.equal([int(x) for x in said.split()[2:]], words, "SEARCH HEADER")
    said = get("INBOX?SUBJECT%20minimal")
    fx.equal(said.split()[:2], [b"*", b"SEARCH"], "search by the URL's query")
    flagged = [i + 1 for i, m in enumerate(box.messages) if "\\Flagged" in m.flags]
    fx.equal([int(x) for x in get("INBOX", "-X", "SEARCH FLAGGED").split()[2:]], flagged, "SEARCH FLAGGED")
    get("", "-X", "CREATE New")
    fx.equal(sorted(line.split()[-1] for line in get("").splitlines()), [b"INBOX", b"New"], "the list of mailboxes")
    get("INBOX", "-X", "COPY 1:5 New")
    copied = fx.state(box.account, "New")
    fx.equal(list(copied.values()), [m._replace(flags=m.flags | {"\\Seen"}) for m in box.messages[:5]], "COPY: bytes, flags, dates")
    get("New", "-X", "STORE 2:3 +FLAGS (\\Deleted)")
    get("New", "-X", "EXPUNGE")
    left = dict(x for i, x in enumerate(copied.items()) if i not in (1, 2))
    fx.equal(fx.state(box.account, "New"), left, "EXPUNGE: bytes, flags, dates and unique ids of what is left")


def curl_upload(fx, get, account, messages):
    get("", "-X", "CREATE Up")
    began = int(time.time())
    for i, m in enumerate(messages):
        with open(get.home + "/up", "wb") as f:
            f.write(m.data)
        get("Up", "-T", get.home + "/up")
    there = list(fx.state(account, "Up").values())
    fx.same_list([s.data for s in there], [m.data for m in messages], "APPEND", [m.name for m in messages])
    fx.equal({s.flags for s in there}, {frozenset({"\\Seen"})}, "curl appends as read")
    fx.check(all(began <= s.when <= time.time() for s in there), "and gives no date, so that it is the server's now")


CLIENTS = [(curl, ("plain", "starttls", "tls"))]
