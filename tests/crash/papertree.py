"""A tree of directories by the rules on paper (paper.py): a name counts once its directory was synced."""
import os
import shutil

from faultdisk import EV_CREATE, EV_LINK, EV_MKDIR, EV_RENAME, EV_SYNC, EV_SYNC_DIR, EV_TRUNCATE, EV_UNLINK, EV_WRITE

NOTHING, PREFIX, WRITES, BLOCKS, SECTORS = range(5)
HOW = ("nothing", "a torn prefix", "some writes", "some blocks", "some sectors")
O_DSYNC = -1  # stands for the site of LMDB's own synchronous writes


class File:
    """What is sure of it, and what was done since: [event]."""

    def __init__(self):
        self.sure, self.since = bytearray(), []


def change(data, event):
    if event.what == EV_TRUNCATE:
        del data[event.at:]
        data.extend(bytes(event.at - len(data)))
        return
    end = event.at + len(event.data)
    data.extend(bytes(max(0, end - len(data))))
    data[event.at:end] = event.data


def parts(event, size):
    """A write as writes of single blocks."""
    at = event.at
    while at < event.at + len(event.data):
        end = min((at // size + 1) * size, event.at + len(event.data))
        yield event._replace(at=at, data=event.data[at - event.at:end - event.at])
        at = end


class Folder:
    """Its names that are sure, what was done to them since, [(event, position, node)], and those it has without a cut."""

    def __init__(self):
        self.names, self.since, self.live = {}, [], {}


class Tree:
    def __init__(self, root_ino, without=None):
        """`without` is a site whose syncs do nothing."""
        self.root, self.without = Folder(), without
        self.of_ino = {root_ino: self.root}

    @classmethod
    def of(cls, snapshot, without=None):
        """What a snapshot() has is sure."""
        tree = cls(snapshot[0], without)
        tree.fill(tree.root, snapshot[1])
        return tree

    def fill(self, folder, entries):
        for name, (ino, what) in entries.items():
            node = self.of_ino[ino] = folder.names[name] = folder.live[name] = Folder() if isinstance(what, dict) else File()
            if isinstance(what, dict):
                self.fill(node, what)
            else:
                node.sure += what

    def step(self, event, position):
        if event.what in (EV_WRITE, EV_TRUNCATE):
            node = self.of_ino.get(event.ino)
            if node is None:
                return  # of another tree
            if event.what == EV_WRITE and event.flag and self.without != O_DSYNC:
                change(node.sure, event)
            else:
                node.since.append((event, position, None))
        elif event.what in (EV_CREATE, EV_MKDIR, EV_LINK):
            folder = self.of_ino.get(event.at)
            node = self.of_ino.get(event.ino) if event.what == EV_LINK else Folder() if event.what == EV_MKDIR else File()
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
                    change(node.sure, e)
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
        nodes = self.nodes() if how == PREFIX else ()
        cut = rng.choice([0] + [p for n in nodes for _, p, _ in n.since]) if nodes else 0

        def lives(position):
            return position < cut if how == PREFIX else how != NOTHING and rng.random() < 0.5

        def data(node):
            if how == NOTHING or not node.since:
                return node.sure
            out = bytearray(node.sure)
            for e, position, _ in node.since:
                whole = how in (PREFIX, WRITES) or e.what == EV_TRUNCATE
                for part in (e,) if whole else parts(e, 4096 if how == BLOCKS else 512):
                    if lives(position):
                        change(out, part)
            return out

        def build(folder):
            names = dict(folder.names)
            for e, position, node in folder.since:
                if lives(position):
                    self.rename(names, e, node)
            return {name: build(n) if isinstance(n, Folder) else data(n) for name, n in names.items()}
        return build(self.root)


# ---- the same of real ones ----

def snapshot(path):
    """(inode, {name: (inode, bytes), or the same of a folder}) of a directory."""
    out = {}
    for entry in os.scandir(path):
        if entry.is_dir():
            out[entry.name] = snapshot(entry.path)
        else:
            with open(entry.path, "rb") as f:
                out[entry.name] = (entry.inode(), f.read())
    return os.stat(path).st_ino, out


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


def write(path, files, owner=None):
    """In place of what is there; `owner` is the os.stat() of somebody else's."""
    shutil.rmtree(path, ignore_errors=True)
    os.mkdir(path, 0o700)
    if owner:
        os.chown(path, owner.st_uid, owner.st_gid)
    for name, data in files.items():
        if isinstance(data, dict):
            write(os.path.join(path, name), data, owner)
        else:
            with open(os.path.join(path, name), "wb") as f:
                f.write(data)
            os.chmod(f.name, 0o600)
            if owner:
                os.chown(f.name, owner.st_uid, owner.st_gid)


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
