#!/usr/bin/python3
"""Compare what each row of the sandbox table really allows with the reviewed lists in expect/.

usage: probe.py BUILD [--update] [ROW...]

As root every row is tried twice, with users of its own and as an ordinary user; an ordinary user
can try only the latter, and this is said. --update rewrites the lists: read the difference.
"""
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap

HERE = os.path.dirname(os.path.abspath(__file__))
NOBODY = 65534
# Names that the headers of Debian 12 do not have yet.
NEW_CALLS = {"call-452": "fchmodat2", "call-463": "setxattrat", "call-466": "removexattrat",
             "call-467": "open_tree_attr"}


def read_sections(path):
    """{heading: [item]}; a heading is a line in brackets, calls lie between blanks, deeds one a line."""
    sections, items = {}, None
    if not os.path.exists(path):
        return sections
    for line in open(path):
        line = line.rstrip("\n")
        if line.startswith("#") or not line.strip():
            continue
        if line.startswith("["):
            items = sections.setdefault(line[1:line.rindex("]")], [])
        elif line.startswith("  - "):
            items.append(line[4:])
        else:
            items.extend(line.split())
    return sections


class Reasons:
    def __init__(self):
        self.of, self.order, self.optional = {}, [], set()
        for heading, items in read_sections(os.path.join(HERE, "expect", "reasons.txt")).items():
            self.order.append(heading)
            for item in items:
                self.of[item] = heading
                if heading.startswith("kernel:"):
                    self.optional.add(item)


def run_probe(probe, row, mode):
    """The probe's findings: {"allowed": set, "killed": set, "act allowed": list, ...}."""
    kw = {}
    if mode == "user" and os.geteuid() == 0:
        kw = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    p = subprocess.run([probe, row], capture_output=True, text=True, timeout=120, **kw)
    if p.returncode != 0:
        raise RuntimeError("probe %s as %s: %s" % (row, mode, p.stderr.strip() or p.returncode))
    found = {}
    for line in p.stdout.splitlines():
        if line.startswith("act "):
            verdict, what = re.match(r"(act \w+): (.*)", line).groups()
        else:
            verdict, what = line.split(" ", 1)
        found.setdefault(verdict, []).append(NEW_CALLS.get(what, what))
    if row == "master":
        found["allowed"] = []  # all but the deadly ones
    if "untried" in found or "act untried" in found:
        raise RuntimeError("probe %s as %s left something untried" % (row, mode))
    # A call that is deadly whatever its arguments is one line.
    killed = set(found.get("killed", []))
    found["killed"] = sorted(k for k in killed if k.split("(")[0] not in killed or "(" not in k)
    return found


def sections_of(found, reasons, mode):
    """What a list says about one run."""
    out = {}
    for item in found.get("allowed", []):
        if item not in reasons.optional:
            heading = reasons.of.get(item, "WITHOUT A REASON")
            out.setdefault(heading, []).append(item)
    out["deadly"] = found["killed"]
    for verdict in ("allowed", "refused"):
        out["deeds %s as %s" % (verdict, mode)] = found.get("act " + verdict, [])
    return out


def write_list(path, row, runs, reasons):
    merged = {}
    for sections in runs:
        merged.update(sections)
    with open(path, "w") as f:
        f.write("# %s: the calls let through, by reason; the deadly ones; what is in no list is\n"
                "# answered ENOSYS. Deeds (acts.c) that end the process stand in no list.\n" % row)
        for heading in reasons.order + sorted(set(merged) - set(reasons.order)):
            if not merged.get(heading):
                continue
            f.write("\n[%s]\n" % heading)
            if heading.startswith("deeds"):
                f.writelines("  - %s\n" % item for item in merged[heading])
            else:
                f.write(textwrap.fill(" ".join(merged[heading]), 100, initial_indent="  ",
                        subsequent_indent="  ", break_on_hyphens=False) + "\n")


def compare(row, mode, sections, wanted):
    """Differences as sentences."""
    other = "user" if mode == "root" else "root"
    bad = []
    for heading in sorted(set(sections) | set(wanted)):
        if heading.startswith("deeds") and heading.endswith(other):
            continue
        got, want = set(sections.get(heading, [])), set(wanted.get(heading, []))
        bad += ["%s as %s: not in the list: %s (%s)" % (row, mode, i, heading) for i in sorted(got - want)]
        bad += ["%s as %s: no longer so: %s (%s)" % (row, mode, i, heading) for i in sorted(want - got)]
    return bad


def main():
    args = [a for a in sys.argv[1:] if a != "--update"]
    update = "--update" in sys.argv
    build, only = args[0], args[1:]
    modes = ["root", "user"] if os.geteuid() == 0 else ["user"]
    if modes == ["user"]:
        print("not root: the rows are tried as an ordinary user only")
    reasons = Reasons()
    passed, failures = 0, []
    with tempfile.TemporaryDirectory(prefix="gh-probe-") as tmp:
        os.chmod(tmp, 0o755)
        probe = shutil.copy(os.path.join(build, "tests", "hostile", "hostile-probe"), tmp)
        rows = subprocess.run([probe, "--rows"], capture_output=True, text=True, check=True)
        rows = rows.stdout.splitlines()
        listed = {f[:-4] for f in os.listdir(os.path.join(HERE, "expect"))} - {"reasons"}
        if set(rows) == listed or update:
            passed += 1
        else:
            failures.append("rows and lists differ: %s" % sorted(set(rows) ^ listed))
        jobs = [(row, mode) for row in rows if not only or row in only for mode in modes]
        runs = {}
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            todo = {pool.submit(run_probe, probe, row, mode): (row, mode) for row, mode in jobs}
            for job in concurrent.futures.as_completed(todo):
                try:
                    runs[todo[job]] = job.result()
                except (RuntimeError, subprocess.TimeoutExpired) as e:
                    failures.append(str(e))
    for row, mode in jobs:
        if (row, mode) not in runs:
            continue
        path = os.path.join(HERE, "expect", row + ".txt")
        sections = sections_of(runs[row, mode], reasons, mode)
        bad = compare(row, mode, sections, read_sections(path)) if not update else []
        if "WITHOUT A REASON" in sections:
            bad.append("%s: reasons.txt says nothing of %s" % (row, sections["WITHOUT A REASON"]))
        failures += bad
        passed += not bad
        if update and mode == modes[-1]:
            write_list(path, row, [sections_of(runs[row, m], reasons, m) for m in modes], reasons)
    for f in failures:
        print("FAIL " + f)
    print("%d passed, %d failed" % (passed, len(failures)))
    return 1 if failures else 0


sys.exit(main())
