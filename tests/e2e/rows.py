"""rows - the rows of a stopped server's directory with names in place of ids, which no two servers share.

What each row is, docs/names.md says ("What it holds"). A kind of row that is not known here is a fault, so that a new
one is not left out of what `dump` must carry.
"""
import os
import struct
import subprocess

# Parts of keys and values: v version, b byte, i id of before in a key, l id of before in a value, o the row's own id,
# r the rest as it is. M and W have readers of their own; N is the next id, w what who has seen.
LAYOUT = {"D": ("r", "vor"), "F": ("ir", "vr"), "G": ("ir", "vor"), "I": ("r", "vlr"), "O": ("ir", "vbbor"),
          "P": ("ir", "vl"), "Q": ("ir", "vol"), "R": ("i", "vr"), "S": ("bir", "vr"), "T": ("r", "r"), "d": ("r", "vl")}
LEFT_OUT = "Nw"


def raw(build, data):
    out = subprocess.run([os.path.join(build, "tests", "crash", "account-ids"), data, "rows"], check=True,
                         stdout=subprocess.PIPE, timeout=120).stdout.decode()
    return [(bytes.fromhex(k), bytes.fromhex(v)) for k, v in (line.split(" ") for line in out.splitlines())]


def split(data, layout, big):
    at, found = 0, []
    for part in layout:
        n = {"v": 1, "b": 1, "i": 8, "l": 8, "o": 8}.get(part, len(data) - at)
        piece = data[at:at + n]
        at += n
        found.append((part, struct.unpack(">Q" if big else "<Q", piece)[0] if part in "ilo" else piece))
    assert at == len(data), (data, layout)
    return found


def names_of(rows):
    """Names of domains and objects by their ids, which are of one count."""
    names = {0: "-"}
    for kinds in ("D", "GOQ"):
        for key, value in rows:
            kind = chr(key[0])
            if kind not in kinds:
                continue
            parts = split(key[1:], LAYOUT[kind][0], True)
            own = [v for p, v in split(value, LAYOUT[kind][1], False) if p == "o"][0]
            names[own] = parts[-1][1].decode() + ("" if kind == "D" else "@" + names[parts[0][1]])
    return names


def members(value, names):
    at, found = 1, []
    while at < len(value):
        number, = struct.unpack_from("<Q", value, at)
        at += 8
        if number == 0:
            n, = struct.unpack_from("<I", value, at)
            found.append(value[at + 4:at + 4 + n].decode())
            at += 4 + n
        else:
            found.append("=" + names[number])
    return found


def alerts(value):
    """Their texts; when they were posted differs."""
    at, found = 1, []
    while at < len(value):
        n, = struct.unpack_from("<I", value, at + 8)
        found.append(value[at + 12:at + 12 + n].decode())
        at += 12 + n
    return found


def named(build, data):
    """All rows as text, sorted."""
    rows, found = raw(build, data), []
    names = names_of(rows)
    for key, value in rows:
        kind = chr(key[0])
        if kind == "M":
            found.append("M %s %r %r" % (names[struct.unpack(">Q", key[1:9])[0]], key[9:], members(value, names)))
        elif kind == "W":
            found.append("W %d %s %r" % (key[1], names[struct.unpack(">Q", key[2:])[0]], alerts(value)))
        elif kind not in LEFT_OUT:
            text = []
            for layout, part, big in ((LAYOUT[kind][0], key[1:], True), (LAYOUT[kind][1], value, False)):
                text += ["." if p == "o" else names[v] if p in "il" else repr(v)[1:] for p, v in split(part, layout, big)]
            found.append(kind + " " + " ".join(text))
    return sorted(found)
