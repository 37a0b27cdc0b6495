"""repeats - eight times the input is about eight times the work, for every parser and message that is fuzzed.

    repeats.py BUILD [TARGET...]

Each target's replay program gets inputs made of one word again and again, and of its own seeds again and again, of one
length and of eight times that. What counts is processor time, the least of three, without what the program needs for an empty
input. Work that grows with the square would take 64 times as much; more than 24 times, and 0.3 s, is a fault.
"""
import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SHORT, TIMES, MOST_TIMES, LEAST_S = 32 << 10, 8, 24, 0.3
WORDS = [b"(", b"((a)", b'"', b"\\", b"{1}\r\na", b"a,", b"a ", b"\r\n", b"\r\n ", b"a: b\r\n", b"<a@b>, ", b"=?utf-8?q?a?= ", b"%41", b"\0",
         b"\xff", b"a@", b"..\r\n", b"{", b"[", b"1:2,", b"--b\r\n\r\n", b"OR "]
SEEDS_EACH = 3


def seconds(program, data):
    best = None
    for _ in range(3):
        with tempfile.TemporaryFile() as f:
            f.write(data)
            f.seek(0)
            pid = os.posix_spawn(program, [program], os.environ, file_actions=[
                (os.POSIX_SPAWN_DUP2, f.fileno(), 0), (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
                (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0)])
            _, status, usage = os.wait4(pid, 0)
        if status != 0:
            raise RuntimeError("status %d" % status)
        took = usage.ru_utime + usage.ru_stime
        best = took if best is None else min(best, took)
        if best < LEAST_S / 2:
            break  # far from a fault
    return best


def inputs(target):
    """(name, what begins it, what is repeated)"""
    for word in WORDS:
        yield repr(word), b"", word
    folder = os.path.join(HERE, "seeds", target)
    for name in sorted(os.listdir(folder))[:SEEDS_EACH] if os.path.isdir(folder) else []:
        with open(os.path.join(folder, name), "rb") as f:
            data = f.read()
        if data:
            yield name, b"", data
            for word in (b"(", b"a,", b"a: b\r\n"):
                yield name + " then " + repr(word), data, word


def faults(build, target):
    program = os.path.join(build, "tests", "fuzz", "replay-" + target)
    empty = seconds(program, b"")
    for name, begin, word in inputs(target):
        make = lambda n: begin + word * ((n - len(begin)) // len(word) + 1)  # noqa: B023,E731
        long = seconds(program, make(SHORT * TIMES)) - empty
        if long < LEAST_S:
            continue
        short = seconds(program, make(SHORT)) - empty
        if long > MOST_TIMES * max(short, 0.001):
            yield "%s: %s: %.3f s for %d bytes, %.3f s for %d times that" % (target, name, short, SHORT, long, TIMES)


def main():
    build = os.path.abspath(sys.argv[1])
    folder = os.path.join(build, "tests", "fuzz")
    targets = sys.argv[2:] or sorted(n[len("replay-"):] for n in os.listdir(folder) if n.startswith("replay-") and "." not in n)
    passed = failed = 0
    for target in targets:
        try:
            found = list(faults(build, target))
        except (OSError, RuntimeError) as e:
            found = ["%s: %s" % (target, e)]
        for line in found:
            print("FAILED " + line)
        passed, failed = passed + (not found), failed + bool(found)
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
