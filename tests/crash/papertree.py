"""A tree of directories by the rules on paper (paper.py): a name counts once its directory was synced."""
import os
import shutil

import paper
from faultdisk import EV_CREATE, EV_LINK, EV_MKDIR, EV_RENAME, EV_SYNC, EV_SYNC_DIR, EV_TRUNCATE, EV_UNLINK, EV_WRITE


class Folder:
    """Its names that are sure, what was done to them since, [(event, position, node)], and those it has without a cut."""

    def __init__(self):
        self.names, self.since, self.live = {}, [], {}


class Tree:
    def __init__(self, root_ino, without=None):
        self.root, self.without = Folder(), without
        self.of_ino = {root_ino: self.root}

    def step(self, event, position):
        if event.what in (EV_WRITE, EV_TRUNCATE):
            node = self.of_ino.get(event.ino)
            if node is None:
                return  # of another tree
            if event.what == EV_WRITE and event.flag and self.without != paper.O_DSYNC:
                paper.change(node.sure, event)
            else:
                node.since.append((event, position, None))
        elif event.what in (EV_CREATE, EV_MKDIR, EV_LINK):
            folder = self.of_ino.get(event.at)
            node = self.of_ino.get(event.ino) if event.what == EV_LINK else Folder() if event.what == EV_MKDIR else paper.File()
            if event.what != EV_LINK:
                self.of_ino.pop(event.ino, None)
            if folder is not None:
                self.of_ino[event.ino] = node
                folder.since.append((event, position, node))
                folder.live[event.data.decode()] = node
        elif event.what in (EV_UNLINK, EV_RENAME):
            folder = self.of_ino.get(event.at)
            if folder is not None:
                old, new = self.both(event)
                node = folder.live.pop(old)
                folder.since.append((event, position, node))
                if new:
                    folder.live[new] = node
        elif event.what in (EV_SYNC, EV_SYNC_DIR) and event.flag != self.without:
            self.sync(event)

    def sync(self, event):
        node = self.of_ino.get(event.ino)
        if node is None:
            return
        for e, position, other in node.since:
            if position < event.at:
                if event.what == EV_SYNC:
                    paper.change(node.sure, e)
                else:
                    self.rename(node.names, e, other)
        node.since = [entry for entry in node.since if entry[1] >= event.at]

    @staticmethod
    def both(event):
        """The names before and behind it."""
        names = event.data.decode().rstrip("\0").split("\0")
        return (None, names[0]) if event.what in (EV_CREATE, EV_MKDIR, EV_LINK) else (names[0], names[1] if len(names) > 1 else None)

    @classmethod
    def rename(cls, names, event, node):
        """A change is one of this file's names, whatever else has been lost: who had the old name since is not moved."""
        old, new = cls.both(event)
        if old and names.get(old) is node:
            del names[old]
        if new:
            names[new] = node

    def nodes(self, node=None, seen=None):
        """All that is or may be there."""
        node, seen = node or self.root, {} if seen is None else seen
        if id(node) not in seen:
            seen[id(node)] = node
            if isinstance(node, Folder):
                for other in list(node.names.values()) + [n for _, _, n in node.since if n is not None]:
                    self.nodes(other, seen)
        return seen.values()

    def open_ends(self):
        return sum(len(n.since) for n in self.nodes())

    def state(self, how, rng):
        """{name: bytes, or the same of a folder}: one state that a cut now may leave. Bytes are good until the next step."""
        nodes = self.nodes() if how == paper.PREFIX else ()
        cut = rng.choice([0] + [p for n in nodes for _, p, _ in n.since]) if nodes else 0

        def lives(position):
            return position < cut if how == paper.PREFIX else how != paper.NOTHING and rng.random() < 0.5

        def data(node):
            if how == paper.NOTHING or not node.since:
                return node.sure
            out = bytearray(node.sure)
            for e, position, _ in node.since:
                whole = how in (paper.PREFIX, paper.WRITES) or e.what == EV_TRUNCATE
                for part in (e,) if whole else paper.parts(e, 4096 if how == paper.BLOCKS else 512):
                    if lives(position):
                        paper.change(out, part)
            return out

        def build(folder):
            names = dict(folder.names)
            for e, position, node in folder.since:
                if lives(position):
                    self.rename(names, e, node)
            return {name: build(n) if isinstance(n, Folder) else data(n) for name, n in names.items()}
        return build(self.root)


# ---- the same of real ones ----

def files_of(path):
    """As Tree.state() of a directory."""
    out = {}
    for entry in os.scandir(path):
        if entry.is_dir():
            out[entry.name] = files_of(entry.path)
        else:
            with open(entry.path, "rb") as f:
                out[entry.name] = f.read()
    return out


def write(path, files):
    shutil.rmtree(path, ignore_errors=True)
    os.mkdir(path, 0o700)
    for name, data in files.items():
        if isinstance(data, dict):
            write(os.path.join(path, name), data)
        else:
            with open(os.path.join(path, name), "wb") as f:
                f.write(data)


def differences(there, wanted):
    """Where two trees differ, in words."""
    for name in sorted(set(there) | set(wanted)):
        if name not in there or name not in wanted:
            return "%s is %s" % (name, "missing" if name not in there else "too much")
        if isinstance(there[name], dict) and isinstance(wanted[name], dict):
            why = differences(there[name], wanted[name])
            if why:
                return name + "/" + why
        elif there[name] != wanted[name]:
            return "%s differs" % name
    return None
