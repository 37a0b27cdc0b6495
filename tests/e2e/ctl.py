#!/usr/bin/python3
"""ctl - gatehousectl as an operator types it: wrong usage, passwords at a terminal, completion."""
import json
import os
import pty
import subprocess

from suite import PASSWORD, TOP, case, check, equal, main


def told(s, status, text, *args, stdin=""):
    got, _, err = s.ctl(*args, stdin=stdin, ok=False)
    equal(got, status, "status of %s" % " ".join(args))
    check(text in err, "%s says %r, not %r", " ".join(args), err, text)


@case("wrong usage is told with what would be right, and has status 2")
def usage(s):
    told(s, 2, "unknown command foo", "foo")
    told(s, 2, "account suspend NAME\n", "account")
    told(s, 2, "account suspend NAME\n", "account", "what")
    told(s, 2, "usage: gatehousectl account create NAME [QUOTA]", "account", "create")


@case("without a server the status is 3, with a hint")
def unreached(s):
    told(s, 3, "is it running?", "--socket", s.dir + "/nobody", "stat")


@case("refusals have status 1 and a sentence, with --json too")
def refusals(s):
    told(s, 1, "there is no such session", "session", "kick", "99")
    told(s, 1, "there is no such account", "account", "info", "nobody")
    told(s, 1, "there is no such domain", "--json", "account", "list", "no.test")


@case("what --json prints is JSON")
def as_json(s):
    for words in (["domain", "list"], ["account", "list"], ["account", "info", "u1"], ["alias", "list", "u1"],
                  ["route", "test", "u1"], ["session", "list"], ["stat"], ["stat", "u1"], ["router", "show"]):
        json.loads(s.ctl("--json", *words))


@case("a password is one line; an empty one or several lines change nothing")
def password(s):
    for bad in ("", "\n", "a\nb\n"):
        told(s, 1, "a password is one line", "password", "set", "u1", stdin=bad)
    equal(s.ctl("password", "check", "u1", stdin=PASSWORD + "\r\n"), "", "output")


@case("at a terminal a password is not shown and ends with its line")
def terminal(s):
    pid, fd = pty.fork()
    if pid == 0:
        program = os.path.join(s.root, "usr/bin/gatehousectl")
        os.execv(program, [program, "--socket", s.admin, "password", "check", "u1"])
    seen = os.read(fd, 100)
    while b"password: " not in seen:
        seen += os.read(fd, 100)
    os.write(fd, PASSWORD.encode() + b"\n")
    _, status = os.waitpid(pid, 0)
    seen += os.read(fd, 1000)
    os.close(fd)
    equal(os.waitstatus_to_exitcode(status), 0, "status")
    check(PASSWORD.encode() not in seen, "the terminal shows %r", seen)


@case("aliases are set with and without '='")
def aliases(s):
    for words in (["=", "red", "blue"], ["red", "blue"]):
        s.ctl("alias", "set", "u1", *words)
        equal(sorted(s.ctl("alias", "list", "u1").split()), ["blue", "red"], "aliases")
    s.ctl("alias", "set", "u1", "=")
    equal(s.ctl("alias", "list", "u1"), "", "aliases")


@case("bash completes groups, commands and what follows --socket PATH")
def completion(s):
    script = """source ctl/completion.bash
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _gatehousectl; echo "${COMPREPLY[@]}" """
    path = {"PATH": os.path.join(s.root, "usr/bin") + ":/usr/bin:/bin"}
    for words, want in ((["acc"], "account"), (["account", "su"], "suspend"), (["--js"], "--json"),
                        (["--socket", "/x", "password", "c"], "check"), (["--socket", "/t"], "")):
        out = subprocess.run(["bash", "-c", script, "x", "gatehousectl", *words], cwd=TOP, env=path,
                             stdout=subprocess.PIPE, check=True).stdout.decode().strip()
        equal(out, want, "completion of %s" % words)


if __name__ == "__main__":
    main(24700)
