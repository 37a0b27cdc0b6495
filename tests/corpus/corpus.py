"""The messages every test uses, as CR LF bytes: our own, generated ones, and outside ones if present.

Use: c = corpus.load(seed=1, generated=100); print(c.describe()); for m in c: m.name, m.data
`data` has CR LF line ends only and ends in CR LF, because DATA cannot say anything else; `changed`
tells that the file on disk was different. Messages with a NUL are not in the iteration but in
c.with_nul: RFC 5322 has NUL as an obsolete form only, and IMAP literals cannot carry it.
"""
import collections
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import gen  # noqa: E402

Message = collections.namedtuple("Message", "name data changed")
OUTSIDE = os.path.join(HERE, "..", "..", "..", "shared", "corpus")


def normalise(data):
    """Every line end becomes CR LF, and the last line gets one."""
    data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    return data if data.endswith(b"\r\n") else data + b"\r\n"


def split_mbox(data):
    """Messages of an mbox: a line 'From ' at the start or after an empty line begins one."""
    out, current, blank = [], None, True
    for line in data.replace(b"\r\n", b"\n").split(b"\n"):
        if blank and line.startswith(b"From "):
            if current is not None:
                out.append(b"\n".join(current))
            current = []
        elif current is not None:
            current.append(line)
        blank = line == b""
    if current is not None:
        out.append(b"\n".join(current))
    return out


def _files(folder):
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if os.path.isfile(path) and not name.startswith("."):
            with open(path, "rb") as f:
                yield name, f.read()


class Corpus:
    def __init__(self):
        self.messages = []
        self.counts = collections.OrderedDict()
        self.with_nul = []

    def add(self, source, items):
        self.counts.setdefault(source, 0)
        for name, raw in items:
            data = normalise(raw)
            message = Message(name, data, data != raw)
            if b"\0" in raw:
                self.with_nul.append(message)
                continue
            self.messages.append(message)
            self.counts[source] += 1

    def __iter__(self):
        return iter(self.messages)

    def __len__(self):
        return len(self.messages)

    def describe(self):
        said = ", ".join("%s %s" % (k, v if v is not None else "absent") for k, v in self.counts.items())
        return "corpus: %s; with NUL bytes: %d" % (said, len(self.with_nul))


def own():
    return list(_files(os.path.join(HERE, "own")))


def outside():
    """Messages of ../shared/corpus beside the repository; None where it does not exist."""
    if not os.path.isdir(OUTSIDE):
        return None
    found = list(_files(os.path.join(OUTSIDE, "mail")))
    for name, raw in _files(os.path.join(OUTSIDE, "mbox")):
        found += [("%s#%d" % (name, i), m) for i, m in enumerate(split_mbox(raw))]
    return found


def load(seed=1, generated=100, use_outside=True):
    c = Corpus()
    c.add("own", own())
    c.add("generated (seed %s)" % seed, gen.torture(seed, generated))
    found = outside() if use_outside else None
    if found is None:
        c.counts["outside"] = None
    else:
        c.add("outside", found)
    return c


if __name__ == "__main__":
    c = load()
    print(c.describe())
    longest = max(len(line) for m in c for line in m.data.split(b"\r\n"))
    print("%d messages, %d bytes, longest line %d" % (len(c), sum(len(m.data) for m in c), longest))
