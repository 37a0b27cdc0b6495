"""names - mailboxes that one session makes, renames, subscribes and deletes for itself: LIST must say exactly that."""
from client import Lit
from queries import Queries
from view import must

WORDS = ["alpha", "Beta", "Ünïcode", "a&b", "with blank", "日本", "x.y"]


class Client(Queries):
    """All operations of a session."""

    own = None  # name -> [UIDVALIDITY, messages]
    subscribed = None

    def own_root(self):
        return "w%d" % self.number

    def op_names(self):
        if self.own is None:
            self.own, self.subscribed = {}, set()
            self.make(self.own_root())
        kind = self.rng.choice(["create", "create", "delete", "rename", "subscribe", "append", "look", "look"])
        getattr(self, "names_" + kind)()

    def make(self, name):
        r = self.run("CREATE", self.c.box(name) if self.plain(name) else Lit(self.c.box(name)))
        if not (self.lenient and r.code and r.code.name == "ALREADYEXISTS"):  # so said when two are made at the same time
            self.expect_ok(r, "CREATE %s" % name)
        must(name not in self.own, "CREATE of %s, which exists", name)
        self.own[name] = [None, 0]

    def plain(self, name):
        return not set(self.c.box(name)) & set(b' (){%*"\\]')

    def arg(self, name):
        raw = self.c.box(name)
        return raw  # bytes go as a string: quoted

    def names_create(self):
        above = self.rng.choice(sorted(self.own))
        if above.count("/") > 2 or len(self.own) > 12:
            return
        name = above + "/" + self.rng.choice(WORDS)
        if name in self.own:
            r = self.run("CREATE", self.arg(name))
            must(r.status == "NO", "CREATE of %s, which exists: %s", name, r.status)
            return
        if self.blocked(name):
            return
        self.make(name)

    def blocked(self, name):
        return "." in name and self.server.name == "dovecot"  # Maildir++ names have no dots

    def names_delete(self):
        leaves = [n for n in self.own if n != self.own_root() and not any(o.startswith(n + "/") for o in self.own)]
        if not leaves:
            return
        name = self.rng.choice(sorted(leaves))
        self.expect_ok(self.run("DELETE", self.arg(name)), "DELETE %s" % name)
        del self.own[name]
        r = self.run("STATUS", self.arg(name), "(MESSAGES)")
        must(r.status == "NO", "STATUS of %s after DELETE: %s", name, r.status)

    def names_rename(self):
        movable = [n for n in self.own if n != self.own_root()]
        if not movable:
            return
        old = self.rng.choice(sorted(movable))
        new = self.own_root() + "/" + self.rng.choice(WORDS)
        if self.blocked(new) or new == old:
            return
        r = self.run("RENAME", self.arg(old), self.arg(new))
        if new in self.own or new.startswith(old + "/"):
            must(r.status == "NO", "RENAME %s to %s: %s", old, new, r.status)
            return
        self.expect_ok(r, "RENAME %s to %s" % (old, new))
        for name in [n for n in self.own if n == old or n.startswith(old + "/")]:
            self.own[new + name[len(old):]] = self.own.pop(name)

    def names_subscribe(self):
        name = self.rng.choice(sorted(self.own))
        verb = self.rng.choice(["SUBSCRIBE", "SUBSCRIBE", "UNSUBSCRIBE"])
        r = self.run(verb, self.arg(name))
        if verb == "SUBSCRIBE":
            self.expect_ok(r, "SUBSCRIBE")
            self.subscribed.add(name)
        elif name in self.subscribed:
            self.expect_ok(r, "UNSUBSCRIBE")
            self.subscribed.discard(name)

    def names_append(self):
        name = self.rng.choice(sorted(self.own))
        r = self.run("APPEND", self.arg(name), Lit(self.rng.choice(self.messages)))
        self.expect_ok(r, "APPEND")
        self.own[name][1] += 1
        self.same(name, r.code.data[0])

    def same(self, name, uidvalidity):
        """UIDVALIDITY stays with the mailbox, also under a new name."""
        known = self.own[name][0]
        must(known in (None, uidvalidity), "UIDVALIDITY of %s was %s and is %s", name, known, uidvalidity)
        self.own[name][0] = uidvalidity

    def names_look(self):
        if self.rng.random() < 0.5:
            name = self.rng.choice(sorted(self.own))
            r = self.run("STATUS", self.arg(name), "(MESSAGES UIDVALIDITY UIDNEXT)")
            self.expect_ok(r, "STATUS %s" % name)
            told = [one.data for one in r.untagged if one.kind == "STATUS"]
            must(len(told) == 1 and told[0][0] == name, "STATUS %s answered %r", name, told)
            must(told[0][1]["MESSAGES"] == self.own[name][1], "%s has %d messages, not %d", name, told[0][1]["MESSAGES"],
                 self.own[name][1])
            self.same(name, told[0][1]["UIDVALIDITY"])
            return
        if self.has("LIST-EXTENDED") and self.has("LIST-STATUS") and self.rng.random() < 0.5:
            self.names_extended()
            return
        r = self.run("LIST", '""', '"%s*"' % self.own_root())
        self.expect_ok(r, "LIST")
        listed = {}
        for one in r.untagged:
            if one.kind == "LIST":
                flags, _, name, _ = one.data
                if not {"\\noselect", "\\nonexistent"} & {f.lower() for f in flags} and \
                        (name == self.own_root() or name.startswith(self.own_root() + "/")):
                    must(name not in listed, "LIST names %s twice", name)
                    listed[name] = {f.lower() for f in flags}
        must(set(listed) == set(self.own), "LIST has %r, made were %r", sorted(listed), sorted(self.own))
        for name, flags in listed.items():
            has = any(o.startswith(name + "/") for o in self.own)
            must("\\haschildren" not in flags or has, "%s \\HasChildren without children", name)
            must("\\hasnochildren" not in flags or not has, "%s \\HasNoChildren with children", name)
        r = self.run("LSUB", '""', '"%s*"' % self.own_root())
        self.expect_ok(r, "LSUB")
        names = {one.data[2] for one in r.untagged if one.kind == "LSUB"}
        mine = {n for n in names if n == self.own_root() or n.startswith(self.own_root() + "/")}
        must(mine == self.subscribed, "LSUB has %r, subscribed are %r", sorted(mine), sorted(self.subscribed))

    def names_extended(self):
        """RFC 5258 and 5819: marks of subscription, STATUS of every mailbox, and the subscribed alone."""
        pattern = '"%s*"' % self.own_root()
        r = self.run("LIST", '""', pattern, "RETURN (SUBSCRIBED CHILDREN STATUS (MESSAGES))")
        self.expect_ok(r, "LIST RETURN")
        flags = {one.data[2]: {f.lower() for f in one.data[0]} for one in r.untagged if one.kind == "LIST"}
        counts = {one.data[0]: one.data[1]["MESSAGES"] for one in r.untagged if one.kind == "STATUS"}
        for name, (_, messages) in self.own.items():
            must(name in flags, "LIST RETURN lacks %s", name)
            must(("\\subscribed" in flags[name]) == (name in self.subscribed), "%s is told %s, subscribed are %r", name,
                 sorted(flags[name]), sorted(self.subscribed))
            has = any(o.startswith(name + "/") for o in self.own)
            must(("\\haschildren" in flags[name]) == has, "%s is told %s", name, sorted(flags[name]))
            must(counts.get(name) == messages, "STATUS of %s in LIST has %r messages, not %d", name, counts.get(name), messages)
        r = self.run("LIST (SUBSCRIBED)", '""', pattern)
        self.expect_ok(r, "LIST (SUBSCRIBED)")
        flags = {one.data[2]: {f.lower() for f in one.data[0]} for one in r.untagged if one.kind == "LIST"}
        mine = {n for n in flags if n == self.own_root() or n.startswith(self.own_root() + "/")}
        must(mine == self.subscribed, "LIST (SUBSCRIBED) has %r, subscribed are %r", sorted(mine), sorted(self.subscribed))
        for name in mine:
            must("\\subscribed" in flags[name] and ("\\nonexistent" in flags[name]) == (name not in self.own),
                 "LIST (SUBSCRIBED) tells %s of %s", sorted(flags[name]), name)
