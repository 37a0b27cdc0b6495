"""What a stopped store holds, by store-look, and whether it is what a client of mix_account.py knows."""
import os
import subprocess

SYSTEM = ((1, "\\Seen"), (4, "\\Flagged"), (8, "\\Deleted"))  # common/ipc/types.h


class Found:
    """One account of a store: boxes as in mix_account.Account, and what only a store says."""

    def __init__(self):
        self.boxes, self.subs = {}, set()
        self.heads = {}    # mailbox -> (uidvalidity, next uid, highest mod-sequence)
        self.rows = {}     # (uidvalidity, uid) -> (mod-sequence, id)
        self.sums = {}     # id -> of its bytes
        self.threads = {}  # id -> its threads, which are one
        self.twice = []    # ids whose bytes are not everywhere the same

    def message(self, box, words):
        uid, modseq, thread, lost, number, total, bits = words[:7]
        validity = self.heads[box][0]
        flags = frozenset(name for bit, name in SYSTEM if int(bits) & bit) | frozenset(words[7:])
        number = int(number)
        self.boxes[box].append((number, flags, lost == "1"))
        self.rows[validity, int(uid)] = (int(modseq), number)
        self.threads.setdefault(number, set()).add(thread)
        if self.sums.setdefault(number, total) != total:
            self.twice.append(number)

    def state(self):
        return self.boxes, frozenset(self.subs)


def exact(state):
    """A state in which only order may differ, and whether what can be restored is still marked as deleted."""
    boxes, subs = state
    return {b: None if v is None else sorted((n, tuple(sorted(f - {"\\Deleted"} if lost else f)), lost) for n, f, lost in v)
            for b, v in boxes.items()}, subs


class Judge:
    def __init__(self, build):
        self.process = subprocess.Popen([os.path.join(os.path.abspath(build), "tests", "crash", "store-look")],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.facts, self.shards = [0, 0, 0], 1  # messages with facts of their own, by a loan, without; of the store looked at last

    def close(self):
        self.process.stdin.close()
        self.process.wait()

    def look(self, directory, spec="1*lmdb"):
        """({number of the account: Found}, [what is wrong with the store]); the spec makes shards that are wanted and not there."""
        self.process.stdin.write(b"%s %s\n" % (spec.encode(), directory.encode()))
        self.process.stdin.flush()
        accounts, wrong, found, box = {}, [], None, None
        while True:
            line = self.process.stdout.readline().decode("latin-1").rstrip("\n")
            words = line.split(" ")
            if words[0] == "exit":
                if words[1] != "0":
                    wrong.append("its reader ended with %s" % words[1])
                return accounts, wrong
            if words[0] == "msg":
                found.message(box, words[1:])
            elif words[0] == "facts":
                self.facts = [a + int(b) for a, b in zip(self.facts, words[1:])]
            elif words[0] == "shards":
                self.shards = int(words[1])
            elif words[0] in ("box", "dir", "sub"):
                found = accounts.setdefault(int(words[1]), Found())
                if words[0] == "box":
                    box = words[6]
                    found.boxes[box], found.heads[box] = [], tuple(int(w) for w in words[3:6])
                elif words[0] == "dir":
                    found.boxes[words[2]] = None
                else:
                    found.subs.add(words[2])
            else:
                wrong.append(line or "its reader is silent")
                if not line:
                    return accounts, wrong


def differs(found, states, shown, sums, roots):
    """None, or why an account is in none of the states, or takes back what was shown: a snapshot of
    (uidnext, highest, rows, ids) of mix_account.Shown, or None."""
    there = exact(found.state())
    if there not in [exact(s) for s in states]:
        return "is %r; must be one of %r" % (there, [exact(s) for s in states])
    if found.twice:
        return "copies of %s differ" % found.twice
    for number, total in found.sums.items():
        if total != sums.get(number):
            return "message %d has other bytes than were sent" % number
    first = {}
    for number, root in roots.items():  # what came from other accounts has none that is known
        threads = found.threads.get(number, set())
        if "0" in threads or len(first.setdefault(root, set()) | threads) > 1:
            return "message %d has threads %s, the first of them %s" % (number, threads, first[root])
        first[root] |= threads
    if shown is None:
        return None
    uidnext, highest, rows, ids = shown
    for box, (validity, following, modseq) in found.heads.items():
        if following < uidnext.get(validity, 0) or modseq < highest.get(validity, 0):
            return "%s went back: next uid %d, mod-sequence %d; shown were %d and %d" % (
                box, following, modseq, uidnext[validity], highest[validity])
    for key, (modseq, number) in found.rows.items():
        if ids.get(key, number) != number or modseq < rows.get(key, (0,))[0]:
            return "uid %d is message %d at %d; shown was %s at %s" % (key[1], number, modseq, ids.get(key), rows.get(key))
    return None
