"""The names of an account under CREATE, DELETE, RENAME, SUBSCRIBE and UNSUBSCRIBE, for kill_imap.

A tree is {name: messages, or None for a directory}; what an act makes of it is docs/store.md, Names. Others
than INBOX and Other come and go; subscriptions need no mailbox.
"""
import re

FIXED = ("INBOX", "Other")
NAMES = ("n1", "n2", "d", "d/a", "d/b", "d/b/c")
LINE = re.compile(r'\* (?:LIST|LSUB) \(([^)]*)\) "/" "?([^"]+)"?$')


def below(name, top):
    return name.startswith(top + "/")


def with_parents(boxes, name):
    parts = name.split("/")
    for i in range(1, len(parts)):
        boxes.setdefault("/".join(parts[:i]), None)


def names(lines):
    """{name: attributes} of LIST or LSUB responses."""
    found = [LINE.match(line) for line in lines]
    return {m[2]: m[1].split() for m in found if m}


class TreeActs:
    """Acts of a kill_imap.Client: each is one command, and knows what it must make of all there is."""

    def free_names(self):
        return [n for n in NAMES if n not in self.boxes]

    def moving(self):
        return [n for n in self.boxes if n not in FIXED]

    def create(self):
        # A directory may become a mailbox.
        free = [n for n in NAMES if self.boxes.get(n) is None]
        if not free:
            return self.delete()
        name = self.rng.choice(free)
        boxes, subs = self.copy_of()
        with_parents(boxes, name)
        boxes[name] = []
        return self.run("CREATE " + name, (boxes, subs))

    def delete(self):
        empty = [n for n in self.moving() if self.boxes[n] is not None or not any(below(b, n) for b in self.boxes)]
        if not empty:
            return self.create()
        name = self.rng.choice(empty)
        boxes, subs = self.copy_of()
        if any(below(b, name) for b in boxes):
            boxes[name] = None
        else:
            del boxes[name]
        return self.run("DELETE " + name, (boxes, subs))

    def rename(self):
        old = self.rng.choice(self.moving() or [None])
        new = [n for n in self.free_names() if old and not below(n, old)]
        if not new:
            return self.create()
        new = self.rng.choice(new)
        boxes, subs = self.copy_of()
        with_parents(boxes, new)
        for name in [n for n in boxes if n == old or below(n, old)]:
            boxes[new + name[len(old):]] = boxes.pop(name)
        return self.run("RENAME %s %s" % (old, new), (boxes, subs))

    def rename_inbox(self):
        """Its messages get the new name, and INBOX is empty; what is selected is no longer there."""
        if not self.free_names():
            return self.delete()
        new = self.rng.choice(self.free_names())
        boxes, subs = self.copy_of()
        with_parents(boxes, new)
        boxes[new], boxes["INBOX"] = boxes["INBOX"], []
        self.run("RENAME INBOX " + new, (boxes, subs))
        return self.conn.ok("SELECT INBOX")

    def subscribe(self):
        name = self.rng.choice(NAMES + FIXED)
        boxes, subs = self.copy_of()
        on = name not in subs
        return self.run(("SUBSCRIBE " if on else "UNSUBSCRIBE ") + name, (boxes, subs | {name} if on else subs - {name}))
