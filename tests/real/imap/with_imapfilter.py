"""imapfilter: searches, marks, moves, copies and deletes by a Lua program."""
import os
import re

import fixture

PROGRAM = """options.timeout = 60
options.info = false
%(options)s
a = IMAP { server = 'localhost', port = %(port)d, username = '%(user)s', password = '%(password)s', %(ssl)s }
a:create_mailbox('Big')
a:create_mailbox('Übung')
local function say(name, set) print(name .. ' ' .. #set) end
local all = a.INBOX:select_all()
say('all', all)
for _, m in ipairs(all) do
    local box, uid = table.unpack(m)
    local f = io.open('%(home)s/out/' .. uid, 'wb')
    f:write(box[uid]:fetch_message())
    f:close()
    print('uid ' .. uid .. ' ' .. box[uid]:fetch_date() .. ' ' .. table.concat(box[uid]:fetch_flags(), ' '))
end
say('unseen', a.INBOX:is_unseen())
say('flagged', a.INBOX:is_flagged())
say('keyword', a.INBOX:has_keyword('$Label1'))
say('subject', a.INBOX:contain_subject('minimal'))
say('header', a.INBOX:contain_field('X-Raw', ''))
say('body', a.INBOX:contain_body('the last line is open'))
say('larger', a.INBOX:is_larger(20000))
say('both', a.INBOX:is_unseen() * a.INBOX:is_larger(2000))
say('either', a.INBOX:is_draft() + a.INBOX:is_flagged())
a.INBOX:is_larger(20000):move_messages(a.Big)
a.INBOX:is_draft():copy_messages(a['Übung'])
a.INBOX:is_draft():delete_messages()
a.INBOX:is_unseen():mark_flagged()
a.INBOX:has_keyword('$Label1'):add_flags({ 'Sorted' })
for _, m in ipairs(a.INBOX:match_header('(?m)^Subject: minimal')) do print('match') end
"""


def imapfilter(fx, how):
    messages = fx.messages(2000 if fx.opt.full else 60, outside=fx.opt.full)
    box = fx.fill(fx.account(), messages)
    before = fx.state(box.account, bodies=False)
    home = fx.home()
    os.makedirs(home + "/out")
    ssl = {"plain": "", "starttls": "", "tls": "ssl = 'auto'"}[how]
    options = "options.starttls = %s\noptions.certificates = true\n" % ("true" if how == "starttls" else "false")
    program = PROGRAM % {"port": fx.port(how), "user": box.account, "password": fixture.PASSWORD, "ssl": ssl,
                         "options": options, "home": home}
    rc = fixture.private(home + "/rc.lua", program)
    done = fixture.run(["imapfilter", "-c", rc, "-t", fx.ca], home)
    said = done.stdout.decode().split("\n")
    m = box.messages
    want = [("all", m), ("unseen", [x for x in m if "\\Seen" not in x.flags]),
            ("flagged", [x for x in m if "\\Flagged" in x.flags]), ("keyword", [x for x in m if "$Label1" in x.flags]),
            ("larger", [x for x in m if len(x.data) > 20000]),
            ("both", [x for x in m if "\\Seen" not in x.flags and len(x.data) > 2000]),
            ("either", [x for x in m if x.flags & {"\\Draft", "\\Flagged"}])]
    for name, those in want:
        fx.check("%s %d" % (name, len(those)) in said, "%s: %d" % (name, len(those)), said)
    fx.check("subject 1" in said and "match" in said, "subject", said)
    told = [re.fullmatch(r"uid (\d+) (.{26}) ?(.*)", line) for line in said if line.startswith("uid ")]
    fx.equal([(int(x[1]), fixture.date_value(x[2]), set(x[3].split()) - {"\\Recent"}) for x in told],
             [(u, s.when, s.flags) for u, s in before.items()], "unique ids, dates, flags of all")
    got = []
    for uid in before:
        with open("%s/out/%d" % (home, uid), "rb") as f:
            got.append(f.read())
    fx.same_list(got, [x.data for x in m], "fetched", [x.name for x in messages])
    big = [x for x in m if len(x.data) > 20000]
    rest = [x for x in m if len(x.data) <= 20000]
    fx.equal(list(fx.state(box.account, "Big").values()), big, "moved: bytes, flags, dates")
    fx.equal(list(fx.state(box.account, "Übung").values()), [x for x in rest if "\\Draft" in x.flags], "copied")
    left = {}
    for u, x in zip(before, m):
        if "\\Draft" in x.flags or len(x.data) > 20000:
            continue
        more = ({"\\Flagged"} if "\\Seen" not in x.flags else set()) | ({"Sorted"} if "$Label1" in x.flags else set())
        left[u] = x._replace(flags=x.flags | more)
    fx.equal(fx.state(box.account), left, "what is left, with its new flags, dates and unique ids as before")


CLIENTS = [(imapfilter, ("plain", "starttls", "tls"))]
