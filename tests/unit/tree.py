"""tree - rules about the source itself.

- includes point down: program -> common; a pure parser -> common/base only; programs never include each other.
- master, stored and authd include nothing that parses what strangers wrote.
- <lmdb.h> is included below common/engine/lmdb only.
- what the suite keeps goes through common/engine: nothing else of it opens, writes through or locks a file.
- every test that docs/architecture.md names is there, and it names every page and every installed program.
- the manual pages of gatehouse and gatehouse-pam have every option (tests/e2e/ctl.py looks at gatehousectl's).
- the README shows every folder of the tree.
- every event and key that is logged is a row of common/base/events.def.
- bytes of ours reach an IMAP client through protocols/imap/write.c only.
- transcripts of IMAP and SMTP are named after RFC and section.
- docs/configuration.md agrees with common/conf/options.def, docs/messages.md with common/ipc/schema.def,
  docs/metrics.md with common/metrics/metrics.def, docs/log.md with common/base/events.def,
  docs/settings.md with common/settings/settings.def and common/ipc/rights.def.
"""
import glob
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAMS = ["master", "protocols", "authd", "routerd", "stored", "ctl"]

# What a folder of common may include besides itself and common/base. Others: nothing more.
COMMON = {
    "base": [],
    "ipc": [],
    "conf": [],
    "sandbox": ["ipc"],
    "mail": [],
    "engine": [],
    "metrics": [],
    "proc": ["ipc", "conf", "sandbox", "metrics"],
    "tls": ["ipc"],
    "data": [],
    "settings": ["data", "ipc"],
    "database": ["engine", "proc", "conf", "metrics"],
    "front": ["ipc", "conf", "sandbox", "proc", "mail", "tls", "metrics"],
}
# Programs whose folders hold a pure core: these files include common/base (and the words of messages) only.
PURE = re.compile(r"^protocols/[^/]+/core[^/]*\.[ch]$")
PURE_MAY = {"common/base", "common/mail", "common/ipc/types.h"}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def sources():
    for top in ["common"] + PROGRAMS:
        for folder, _, names in os.walk(os.path.join(ROOT, top)):
            for name in sorted(names):
                if name.endswith((".c", ".h", ".def")):
                    path = os.path.join(folder, name)
                    with open(path, encoding="utf-8") as f:
                        yield os.path.relpath(path, ROOT), f.read()


def unit_of(path):
    """The program or library a file belongs to: common/ipc, protocols/pop3, stored ..."""
    parts = path.split("/")
    return "/".join(parts[:2]) if parts[0] in ("common", "protocols") else parts[0]


def may_include(path, target):
    mine, theirs = unit_of(path), unit_of(target)
    if mine == theirs:
        return True
    if not theirs.startswith("common/"):
        return False
    if not mine.startswith("common/"):
        return True
    if mine == "common/mail" and target == "common/ipc/types.h":
        return True  # the names of flags
    lib = theirs.split("/")[1]
    return lib == "base" or lib in COMMON.get(mine.split("/")[1], [])


def include_errors():
    for path, text in sources():
        for bracket, target in INCLUDE.findall(text):
            if bracket == "<":
                if target == "lmdb.h" and not path.startswith("common/engine/lmdb"):
                    yield "%s includes <lmdb.h>" % path
                continue
            if "/" not in target:
                if not os.path.exists(os.path.join(ROOT, os.path.dirname(path), target)):
                    yield "%s includes \"%s\", which is not beside it" % (path, target)
                continue
            if not may_include(path, target):
                yield "%s includes %s: the arrow goes the wrong way" % (path, target)
            if PURE.match(path) and unit_of(target) != unit_of(path) and not any(
                    target == m or target.startswith(m + "/") for m in PURE_MAY):
                yield "%s is a pure core and includes %s" % (path, target)


# P3: the privileged never parse strangers. (folder, but not below these) may not include what starts with these.
PRIVILEGED = [
    ("master/", ("master/readconf.c",), ("common/mail/", "common/front/", "common/data/", "gsasl", "openssl/", "zlib")),
    # stored/salvage/ is no part of the process: an operator runs it.
    ("stored/", ("stored/parsed/", "stored/external/", "stored/salvage/"), ("common/mail/", "common/front/", "common/data/", "gsasl", "openssl/")),
    ("authd/", ("authd/workers/", "authd/signer/", "authd/keycheck/"), ("common/mail/", "common/front/", "common/data/", "gsasl", "openssl/", "crypt.h")),
    ("common/database/", (), ("common/mail/", "common/front/", "gsasl", "openssl/")),
]


def may_parse(path, target):
    return not any(path.startswith(top) and not path.startswith(but) and target.startswith(bad)
                   for top, but, bad in PRIVILEGED)


def privilege_errors():
    for path, text in sources():
        for _, target in INCLUDE.findall(text):
            if not may_parse(path, target):
                yield "%s includes %s: it would parse what strangers wrote" % (path, target)


# P7, P4: what is kept goes through the engine, and no file is locked for others to wait at. Outside of the processes of the
# suite: an operator's programs. io.c reads limits of the kernel's, enter.c walks into the empty root.
KEEPS = re.compile(r"\b(?:open|openat|openat2|creat|fopen|mkstemp|rename|renameat2?|mkdir|mkdirat|unlink|unlinkat|pwrite|ftruncate|"
                   r"fsync|fdatasync|flock|lockf)\s*\(|\bF_(?:OFD_)?SETLKW?\b")
MAY_KEEP = ("common/engine/", "common/base/io.c", "common/sandbox/enter.c", "stored/salvage/", "stored/backup/", "authd/pam/",
            "master/", "ctl/")


def keep_errors(files):
    for path, text in files:
        if path.endswith(".c") and not path.startswith(MAY_KEEP):
            for call in KEEPS.findall(re.sub(r"/\*.*?\*/|\"[^\"\n]*\"", "", text, flags=re.S)):
                yield "%s keeps something by itself, or locks it: %s" % (path, call)


def shown_errors(text):
    """Tests that a table of properties names and that are not there."""
    for name in re.findall(r"`(tests/[^` ]+)", text):
        if not glob.glob(os.path.join(ROOT, name)):
            yield "docs/architecture.md names %s, which is not there" % name


def unlinked_errors(text, pages):
    for page in pages:
        if "](%s)" % page not in text:
            yield "docs/architecture.md has no link to %s" % page


def program_errors(text, builds):
    """Programs that are installed, from the text of meson.build files."""
    for call in re.split(r"\bexecutable\(", builds)[1:]:
        name = call.split("'")[1]
        if "install: true" in call.split("\n\n")[0] and "`%s`" % name not in text:
            yield "docs/architecture.md does not name the program %s" % name


MANUALS = (("master/main.c", "master/gatehouse.8"), ("authd/pam/main.c", "authd/pam/gatehouse-pam.8"))


def manual_errors(source, page):
    for option in re.findall(r'\{ "([\w-]+)", (?:no|required)_argument', source):
        if "--" + option not in page.replace("\\-", "-"):
            yield "the manual page does not tell of --%s" % option


def manuals():
    for source, page in MANUALS:
        with open(os.path.join(ROOT, source), encoding="utf-8") as f, open(os.path.join(ROOT, page), encoding="utf-8") as g:
            code, text = f.read(), g.read()
        if "required_argument" not in code:
            yield "%s: its options are not understood" % source
        yield from manual_errors(code, text)


def unshown_errors(text, folders):
    tree = text[text.index("## The tree"):]
    for folder in folders:
        if not re.search(r"(?<![\w-])%s/" % re.escape(os.path.basename(folder)), tree):
            yield "the tree in README.md does not show %s" % folder


def pages():
    docs = os.path.join(ROOT, "docs")
    return [p for p in (os.path.relpath(f, docs) for f in sorted(glob.glob(docs + "/**/*.md", recursive=True)))
            if p != "architecture.md"]


def folders():
    for top in ["common"] + PROGRAMS + ["tests", "scripts", "systemd"]:
        yield top
        for name in sorted(os.listdir(os.path.join(ROOT, top))):
            if os.path.isdir(os.path.join(ROOT, top, name)) and not name.startswith(("_", ".")):
                yield "%s/%s" % (top, name)


def builds():
    text = ""
    for top in PROGRAMS:
        for name in sorted(glob.glob(os.path.join(ROOT, top, "**/meson.build"), recursive=True)):
            with open(name, encoding="utf-8") as f:
                text += f.read() + "\n\n"
    return text


def readme():
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
        return f.read()


def architecture():
    with open(os.path.join(ROOT, "docs/architecture.md"), encoding="utf-8") as f:
        return f.read()


def event_table():
    with open(os.path.join(ROOT, "common/base/events.def"), encoding="utf-8") as f:
        return {n: set(k.split()) for n, k in re.findall(r'EVENT\("([^"]+)",\s*"([^"]*)"', f.read())}


def call_text(text, start):
    """The arguments of a call that starts at the bracket text[start]."""
    depth, i, quoted = 0, start, False
    while i < len(text):
        c = text[i]
        if quoted:
            i += c == "\\"
            quoted = c != '"'
        elif c == '"':
            quoted = True
        elif c in "()":
            depth += 1 if c == "(" else -1
            if depth == 0:
                return text[start:i + 1]
        i += 1
    return text[start:]


def event_errors():
    events = event_table()
    for path, text in sources():
        if path == "common/base/log.h" or path.endswith(".def"):
            continue
        for m in re.finditer(r"\blog_ev\s*(\()\s*(?!level, event)", text):
            call = call_text(text, m.start(1))
            name = re.search(r'"([^"]+)"', call)
            line = text.count("\n", 0, m.start()) + 1
            if name is None:
                yield "%s:%d: the event's name is not a literal" % (path, line)
                continue
            if name.group(1) not in events:
                yield "%s:%d: event %s is not in events.def" % (path, line, name.group(1))
                continue
            for key in re.findall(r'\bkv_\w+\(\s*"([^"]+)"', call):
                if key not in events[name.group(1)]:
                    yield "%s:%d: event %s has no key %s" % (path, line, name.group(1), key)


def page_errors(maker):
    r = subprocess.run([sys.executable, os.path.join(ROOT, "scripts/lib", maker), "--check"],
                       stdout=subprocess.PIPE)
    if r.returncode != 0:
        yield r.stdout.decode().strip()


# Bytes of ours reach an IMAP client through protocols/imap/write.c only. What has a way of its own, and why.
WAY_OUT = re.compile(r"\b(?:w|port)(?:\.|->)out\b|&s->reply\b|\b(?:write_sink|front_lend)\(")
WAYS = {
    "protocols/imap/write.c": (), "protocols/imap/write.h": (),
    "protocols/imap/imap-private.h": ("port->out",),  # the writer on the output
    "protocols/imap/imap.c": ("&s->reply",),          # the writer on the tagged reply
    "protocols/imap/fetch-body.c": ("write_sink(", "front_lend("),  # octets of a literal
}


def way_errors(files):
    for path, text in files:
        if not path.startswith("protocols/imap/") or WAYS.get(path) == ():
            continue
        for m in WAY_OUT.finditer(text):
            if m[0] not in WAYS.get(path, ()):
                yield "%s:%d: %s: only write.c writes to the client" % (path, text.count("\n", 0, m.start()) + 1, m[0])


TRANSCRIPT = re.compile(r"rfc\d+-\d+(\.\d+)*-[a-z0-9-]+\.wire")


def transcript_errors():
    for folder in ("tests/wire/imap", "tests/wire/smtp"):
        for name in sorted(os.listdir(os.path.join(ROOT, folder))):
            if not TRANSCRIPT.fullmatch(name):
                yield "%s/%s: its name has no RFC and section" % (folder, name)


def self_errors():
    """The rules can fail: an arrow that goes the wrong way is seen."""
    for path, target in (("common/base/buf.c", "common/ipc/chan.h"), ("stored/main.c", "authd/x.h"),
                         ("common/ipc/chan.c", "common/proc/proc.h"), ("common/mail/x.c", "common/ipc/chan.h")):
        if may_include(path, target):
            yield "the rule lets %s include %s" % (path, target)
    if TRANSCRIPT.fullmatch("3501-6.3.1-select.wire") or TRANSCRIPT.fullmatch("rfc3502-multiappend.wire"):
        yield "the rule lets a transcript have any name"
    for path, text in (("protocols/imap/idle.c", "buf_puts(&s->port->out, x);"), ("protocols/imap/list.c", "w->out->n"),
                       ("protocols/imap/fetch.c", "buf_put(write_sink(&w), x);"),
                       ("protocols/imap/search.c", "front_lend(s->port, x);")):
        if not list(way_errors([(path, text)])):
            yield "the rule lets %s write past write.c by %s" % (path, text)
    for text in ("fd = openat(dir, name, 0);", "fcntl(fd, F_SETLK, &l);", "if (flock (fd, LOCK_EX))"):
        if not list(keep_errors([("routerd/x.c", text)])):
            yield "the rule lets routerd keep files by %s" % text
    if list(keep_errors([("routerd/x.c", "/* open() */ engine_open(e, \"open(\");")])) or not list(shown_errors("`tests/none.py`")):
        yield "the rules about files and about names of tests see wrongly"
    build = "executable('none', 'main.c', dependencies: files('x'), install: true)"
    if (not list(unlinked_errors("other.md", ["none.md"])) or not list(program_errors("`other`", build)) or
            not list(manual_errors('{ "none", no_argument', r"\fB\-\-other")) or
            not list(unshown_errors("none ## The tree other/none", ["x/none"]))):
        yield "pages, programs and folders may be missing"
    for path, target in (("stored/post.c", "common/mail/mime.h"), ("authd/dialogue.c", "gsasl.h"),
                         ("master/main.c", "openssl/ssl.h")):
        if may_parse(path, target):
            yield "the rule lets %s parse with %s" % (path, target)


def main():
    passed = failed = 0
    for name, errors in (("includes", include_errors()), ("privileged parse nothing", privilege_errors()),
                         ("what is kept", keep_errors(sources())), ("tests that are named", shown_errors(architecture())), ("events", event_errors()),
                         ("pages that are linked", unlinked_errors(architecture(), pages())),
                         ("programs that are named", program_errors(architecture(), builds())),
                         ("options in manual pages", manuals()),
                         ("folders that are shown", unshown_errors(readme(), folders())),
                         ("transcripts", transcript_errors()), ("one writer of IMAP", way_errors(sources())),
                         ("options", page_errors("options-doc")),
                         ("messages", page_errors("messages-doc")), ("metrics", page_errors("metrics-doc")),
                         ("settings", page_errors("settings-doc")),
                         ("events", page_errors("events-doc")), ("the rules themselves", self_errors())):
        found = list(errors)
        for e in found:
            print(e)
        print("%s %s" % ("ok" if not found else "not ok", name))
        passed, failed = passed + (not found), failed + bool(found)
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


sys.exit(main())
