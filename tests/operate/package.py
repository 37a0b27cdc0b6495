"""package - builds the Debian package, and the root directory in which it is installed."""
import fnmatch
import glob
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)
from machine import Failure  # noqa: E402


def must(*command, seconds=600, **kw):
    r = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       timeout=seconds, encoding="utf-8", errors="replace", check=False, **kw)
    if r.returncode != 0:
        raise Failure("%s: status %d\n%s" % (" ".join(command), r.returncode, r.stdout[-4000:]))
    return r.stdout


def tracked_files():
    """What belongs to the tree: build directories and what else lies about do not."""
    if os.path.exists(TOP + "/.git"):
        listed = must("git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=TOP)
        return [f for f in listed.split("\0") if f and os.path.exists(os.path.join(TOP, f))]
    return [os.path.relpath(os.path.join(folder, n), TOP) for folder, _, names in os.walk(TOP) for n in names
            if "/build" not in folder]


def build(folder):
    """A copy of the tree is built in `folder`; returns the package's path."""
    tree = os.path.join(folder, "gatehouse")
    for name in tracked_files():
        os.makedirs(os.path.join(tree, os.path.dirname(name)), exist_ok=True)
        shutil.copy2(os.path.join(TOP, name), os.path.join(tree, name))
    must("dpkg-buildpackage", "-us", "-uc", "-b", cwd=tree,
         env={**os.environ, "DEB_BUILD_OPTIONS": "parallel=%d" % (os.cpu_count() or 1)})
    found = glob.glob(folder + "/gatehouse_*.deb")
    if len(found) != 1:
        raise Failure("not one package: %s" % found)
    return found[0]


def lint(folder):
    """What lintian has to say, but for what was overridden."""
    text = must("lintian", "--fail-on", "none", "--allow-root", *glob.glob(folder + "/*.changes"))
    return [line for line in text.splitlines() if re.match(r"[EWI]: ", line)]


def next_version(deb, folder):
    """The same package under the next version number."""
    tree = os.path.join(folder, "next")
    must("dpkg-deb", "-R", deb, tree)
    with open(tree + "/DEBIAN/control", encoding="utf-8") as f:
        text = f.read()
    version = re.search(r"^Version: (.*)$", text, re.M)[1] + "+next1"
    with open(tree + "/DEBIAN/control", "w", encoding="utf-8") as f:
        f.write(re.sub(r"^Version: .*$", "Version: " + version, text, flags=re.M))
    return must("dpkg-deb", "--root-owner-group", "-b", tree, folder) and \
        glob.glob(folder + "/gatehouse_*+next1_*.deb")[0]


def check_contents(deb):
    """Those of installed.list, where Debian has them, and what debhelper adds."""
    with open(HERE + "/installed.list", encoding="ascii") as f:
        patterns = [line.strip().replace("usr/lib/systemd", "lib/systemd").replace("PROGRAM", "[a-z]*")
                    for line in f if line.strip() and not line.startswith("#")]
    patterns += ["usr/share/doc/gatehouse/" + n for n in ("README.Debian", "changelog.gz", "copyright")]
    patterns += ["usr/share/lintian/overrides/gatehouse", "etc/logrotate.d/gatehouse"]
    found = [line.split()[5][2:] for line in must("dpkg-deb", "-c", deb).splitlines() if line.startswith("-")]
    unlisted = [f for f in found if not any(fnmatch.fnmatch(f, p) for p in patterns)]
    missing = [p for p in patterns if not any(fnmatch.fnmatch(f, p) for f in found)]
    if unlisted or missing:
        raise Failure("not listed: %s; not there: %s" % (unlisted, missing))


def mirror():
    """Where this machine gets its own Debian packages from, and the release's name."""
    release = re.search(r"^VERSION_CODENAME=(\S+)$", open("/etc/os-release", encoding="utf-8").read(), re.M)[1]
    text = must("apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)", "Created-By: Packages")
    for line in text.splitlines():
        uri, codename, component = line.split()
        if codename == release and component == "main":
            return uri, release
    raise Failure("apt has no source for %s main; try apt-get update" % release)


def base_root(path):
    """A fresh minimal system at `path`, if there is none yet."""
    if os.path.exists(path + "/.complete"):
        return
    shutil.rmtree(path, ignore_errors=True)
    uri, release = mirror()
    must("debootstrap", "--variant=minbase", "--include=systemd,systemd-sysv,ca-certificates", release, path, uri)
    # Through the same proxy as this machine, if there is one.
    with open(path + "/etc/apt/apt.conf.d/80host", "w", encoding="utf-8") as f:
        f.write("".join(line + "\n" for line in must("apt-config", "dump").splitlines() if "Proxy" in line))
    with open(path + "/.complete", "w", encoding="ascii"):
        pass


def install(root, deb):
    """As an administrator does on a new system that does not run yet."""
    shutil.copy(deb, root + "/root/")
    inside = ["unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child", "chroot", root, "sh", "-c"]
    setup = "hostname mail && mount -t proc proc /proc && export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 && "
    must(*inside, setup + "apt-get -q update && apt-get -q -y --no-install-recommends install /root/" +
         os.path.basename(deb))
