"""units - what systemd says about the units, users and directories, without starting anything.

    units.py BUILDDIR

- `systemd-analyze verify` has nothing to say about any unit;
- the exposure that `systemd-analyze security` counts is at most 2.0;
- every system call that a row of the sandbox may make passes the filter of the unit, and every capability that
  the unit leaves is one of the master's row;
- the journal takes every line that logd lets through;
- sysusers.d has a user for each row of the sandbox, tmpfiles.d makes each directory for its user.
"""
import fnmatch
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.abspath(sys.argv[1])
EXPOSURE_MAX = 2.0


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as f:
        return f.read()


def run(*command):
    r = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", timeout=60,
                       check=False)
    return r.returncode, r.stdout


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


def units():
    return sorted(n for n in os.listdir(TOP + "/systemd") if n.endswith((".service", ".socket", ".target", ".timer")))


def make_root(folder):
    """The suite as a package would install it."""
    # flock: meson refuses to work in a build twice at a time, and scripts/run may be at it.
    status, text = run("env", "DESTDIR=" + folder, "flock", BUILD + ".lock", "meson", "install", "-C", BUILD, "--no-rebuild", "--quiet")
    expect(status == 0, text)


def test_verify_has_nothing_to_say(root):
    folder = os.path.join(root, "checked")
    os.mkdir(folder)
    for name in units():
        text = read("systemd/" + name)
        # The programs are not installed on this machine.
        text = re.sub(r"^(Exec\w+=)(/usr/(?:sbin|lib/gatehouse)/)", lambda m: m[1] + root + m[2], text, flags=re.M)
        text = re.sub(r"^Documentation=.*\n", "", text, flags=re.M)
        with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
            f.write(text)
    for name in units():
        name = name.replace("@.", "@0.")
        status, text = run("env", "SYSTEMD_UNIT_PATH=" + folder + ":", "systemd-analyze", "verify", "--man=no",
                           os.path.join(folder, name))
        said = [line for line in text.splitlines() if "gatehouse" in line]
        expect(status == 0 and not said, "%s: status %d\n%s" % (name, status, text))


def test_exposure_is_at_most_two(root):
    for name in units():
        if not name.endswith(".service"):
            continue
        _, text = run("systemd-analyze", "security", "--offline=yes", "--no-pager",
                      os.path.join(TOP, "systemd", name))
        found = re.search(r"Overall exposure level for \S+: (\d+\.\d+)", text)
        expect(found, "%s: no figure in\n%s" % (name, text))
        print("exposure of %s: %s" % (name, found[1]))
        expect(float(found[1]) <= EXPOSURE_MAX, "%s: %s" % (name, text))


def syscall_groups():
    _, text = run("systemd-analyze", "syscall-filter", "--no-pager")
    groups, current = {}, None
    for line in text.splitlines():
        if line.startswith("@"):
            current = groups.setdefault(line.strip(), [])
        elif line.startswith("    ") and "#" not in line and current is not None:
            current.append(line.strip())
    return groups


def expand(name, groups):
    if not name.startswith("@"):
        return {name}
    expect(name in groups, "there is no group %s" % name)
    return set().union(*(expand(n, groups) for n in groups[name]))


def test_the_unit_lets_every_row_of_the_sandbox_work(root):
    groups, allowed = syscall_groups(), set()
    unit = read("systemd/gatehouse.service")
    for no, names in re.findall(r"^SystemCallFilter=(~?)(.*)$", unit, re.M):
        listed = set().union(*(expand(n, groups) for n in names.split()))
        allowed = allowed - listed if no else allowed | listed
    needed = set(re.findall(r"^ALLOW\w*\(\w+, (\w+)", read("common/sandbox/sys.def"), re.M))
    expect(len(needed) > 100 and not needed - allowed, "the unit refuses %s" % sorted(needed - allowed))
    expect("SystemCallErrorNumber=" in unit, "a refused call would kill the process")
    row = re.search(r"\[PROC_MASTER\] = \{.*?\.caps = (.*?),\n", read("common/sandbox/table.c"), re.S)[1]
    may = set("CAP_" + c for c in re.findall(r"CAP\((\w+)\)", row))
    left = set(re.search(r"^CapabilityBoundingSet=(.*)$", unit, re.M)[1].split())
    expect(left and left <= may, "the unit leaves %s, the master drops %s" % (sorted(left), sorted(left - may)))


def test_the_journal_drops_no_line_of_the_unit(root):
    expect(re.search(r"^LogRateLimitIntervalSec=0$", read("systemd/gatehouse.service"), re.M), "a flood would drop audit lines of others")


def programs():
    """What the master starts, by the names of its files."""
    names = dict(re.findall(r'\[IPC_ROLE_(\w+)\] = "([a-z0-9-]+)"', read("common/ipc/names.c")))
    return [names[role] for role in re.findall(r"\{ IPC_ROLE_(\w+), PROC_", read("master/programs.c"))]


def users_of_rows():
    return set(re.findall(r'\.user = "(gatehouse-[a-z0-9-]+)"', read("common/sandbox/table.c")))


def test_every_row_and_unit_has_a_user(root):
    made = set(re.findall(r"^u (\S+) -", read("systemd/sysusers.d/gatehouse.conf"), re.M))
    units_users = set(re.findall(r"^User=(\S+)$", "".join(read("systemd/" + n) for n in units()), re.M))
    expect(made == users_of_rows() | units_users, "sysusers.d and the rows differ: %s" %
           sorted(made ^ (users_of_rows() | units_users)))
    status, text = run("systemd-sysusers", "--dry-run", "--root=" + root, "gatehouse.conf")
    expect(status == 0, text)
    for user in made:
        expect(re.search(r"Would create user '?%s'?|Creating user '%s'" % (user, user), text), "%s: %s" % (user, text))


def test_what_is_installed_is_listed(root):
    patterns = []
    for line in read("tests/operate/installed.list").splitlines():
        if line and not line.startswith("#"):
            patterns += [line.replace("PROGRAM", n) for n in programs()] if "PROGRAM" in line else [line]
    found = [os.path.relpath(os.path.join(folder, n), root) for folder, _, names in os.walk(root) for n in names]
    unlisted = [f for f in found if not any(fnmatch.fnmatch(f, p) for p in patterns)]
    missing = [p for p in patterns if not any(fnmatch.fnmatch(f, p) for f in found)]
    expect(not unlisted and not missing, "not listed: %s; not there: %s" % (unlisted, missing))


def test_the_socket_unit_lists_the_listeners(root):
    """It is an example, but of the configuration that is installed with it."""
    conf = re.sub(r"^\s*#.*$", "", read("systemd/gatehouse.conf"), flags=re.M)
    wanted = {(a, port) for section in re.findall(r"^listener \w+ \{(.*?)^\}", conf, re.M | re.S)
              for addresses, port in re.findall(r"address = (.*)\n\s*port = (\d+)", section)
              for a in addresses.split()}
    listed = {(a.strip("[]"), port) for a, port in
              re.findall(r"^ListenStream=(.*):(\d+)$", read("systemd/gatehouse.socket"), re.M)}
    expect(wanted and wanted == listed, "differ: %s" % sorted(wanted ^ listed))


def test_no_listener_takes_passwords_without_tls(root):
    conf = re.sub(r"^\s*#.*$", "", read("systemd/gatehouse.conf"), flags=re.M)
    expect("plaintext_login" not in conf, "plaintext_login is set")
    for section in re.findall(r"^listener \w+ \{(.*?)^\}", conf, re.M | re.S):
        expect("socket =" in section or re.search(r"tls = (yes|starttls)$", section, re.M), "no TLS: " + section)


def test_the_package_asks_for_all_that_building_needs(root):
    """Its list and that of scripts/lib; the first is for those who build nothing but the package."""
    needed = {line.strip() for line in read("scripts/lib/packages.build").splitlines() if line.strip().endswith("-dev")}
    field = re.search(r"^Build-Depends:(.*?)^[A-Z]", read("debian/control") + "\nEnd:", re.M | re.S)[1]
    asked = {part.split()[0] for part in field.split(",")}
    missing = needed - asked - {"libcmocka-dev"}  # that one is for the tests
    expect(needed and not missing, "Build-Depends lacks %s" % sorted(missing))


def test_tmpfiles_makes_the_directories(root):
    """For real as root, in a root of its own; others can only have the file read."""
    if os.geteuid() != 0:
        status, text = run("systemd-tmpfiles", "--cat-config", os.path.join(TOP, "systemd/tmpfiles.d/gatehouse.conf"))
        expect(status == 0, text)
        print("as an ordinary user: tmpfiles.d was only read")
        return
    os.makedirs(root + "/etc", exist_ok=True)
    status, text = run("systemd-sysusers", "--root=" + root, "gatehouse.conf")
    expect(status == 0, text)
    status, text = run("systemd-tmpfiles", "--create", "--root=" + root, "gatehouse.conf")
    expect(status == 0 and not text.strip(), text)
    with open(root + "/etc/passwd", encoding="utf-8") as f:
        uids = {line.split(":")[0]: int(line.split(":")[2]) for line in f}
    expect("gatehouse-pop3" not in [p.pw_name for p in pwd.getpwall() if p.pw_uid == 0], "a user is root")
    folders = dict(re.findall(r'\{ IPC_ROLE_(\w+), PROC_\w+, \w+, "(\w+)"', read("master/programs.c")))
    expect(len(folders) >= 3, "no data directories in programs.c")
    for role, folder in folders.items():
        st = os.stat("%s/var/lib/gatehouse/%s" % (root, folder))
        expect(st.st_mode & 0o7777 == 0o750 and st.st_gid == 0 and
               st.st_uid == uids["gatehouse-" + role.lower()], "%s: %o of %d" % (folder, st.st_mode, st.st_uid))
    for folder, mode in (("/var/lib/gatehouse", 0o700), ("/run/gatehouse", 0o755), ("/run/gatehouse/empty", 0o755),
                         ("/var/log/gatehouse", 0o750)):
        st = os.stat(root + folder)
        expect(st.st_mode & 0o7777 == mode and st.st_uid == 0, "%s: %o of %d" % (folder, st.st_mode, st.st_uid))


def main():
    passed = failed = 0
    for name, test in sorted(globals().items()):
        if not name.startswith("test_"):
            continue
        root = tempfile.mkdtemp(prefix="gatehouse-units-")
        try:
            make_root(root)
            test(root)
            passed += 1
            print("ok " + name)
        except Exception as e:  # every failure is reported, whatever it was
            failed += 1
            print("not ok %s: %s: %s" % (name, type(e).__name__, e))
        finally:
            shutil.rmtree(root, ignore_errors=True)
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


sys.exit(main())
