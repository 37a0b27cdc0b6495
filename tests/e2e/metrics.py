#!/usr/bin/python3
"""metrics - every figure of common/metrics/metrics.def is made to move, and the text is OpenMetrics.

The last case fails for a row of the table that no case here has moved.
"""
import contextlib
import os
import re
import resource
import signal
import socket
import subprocess
import time

import openmetrics
from openmetrics import http, scrape
from suite import A1, PASSWORD, TOP, case, check, damage, equal, main, message, refused, wait

PER_ADDRESS = 25
MOVED = set()


def figure(s, name, **labels):
    return openmetrics.value(scrape(s), name, **labels)


def moves(s, name, by, act, **labels):
    """`act` makes the figure go up by `by` (None: up at all)."""
    before = figure(s, name, **labels)
    act()

    def risen():
        now = figure(s, name, **labels)
        return now > before if by is None else now == before + by
    try:
        wait(risen, 60, "a change of %s %r by %s" % (name, labels, by))
    except Exception as e:
        raise type(e)("%s; it went from %s to %s" % (e, before, figure(s, name, **labels))) from None
    MOVED.add(name)


def ok_login(s):
    s.pop("u1").quit()


@case("the answer is OpenMetrics text of the right type, also over TCP on loopback after a reload")
def form(s):
    status, headers, body = http(s)
    equal(status, 200, "status")
    equal(headers["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8", "type")
    openmetrics.parse(body.decode())
    port = s.port(9)
    s.edit("listener metrics {", "listener metrics {\n\taddress = %s\n\tport = %d\n}\nlistener metrics {" % (A1, port))
    moves(s, "reloads", 1, lambda: os.kill(s.master(), signal.SIGHUP), result="ok")

    def answers():
        with contextlib.suppress(OSError, ValueError):
            return http(s, b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % port, tcp=port)[0] == 200
        return False
    wait(answers, 60, "an answer over TCP")
    equal(http(s, b"GET /metrics HTTP/1.1\r\nHost: www.example\r\n\r\n", tcp=port)[0], 421, "status")
    equal(http(s, b"GET /etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n")[0], 404, "status")
    equal(http(s, b"HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")[2], b"", "body")


@case("figures never go to another machine: such a listener is refused, and the reload is counted")
def not_loopback(s):
    line = "\tport = %d\n" % s.port(9)
    s.edit("address = %s\n%s" % (A1, line), "address = 192.0.2.1\n" + line)
    moves(s, "reloads", 1, lambda: os.kill(s.master(), signal.SIGHUP), result="refused")
    s.edit("address = 192.0.2.1\n" + line, "address = %s\n%s" % (A1, line))


@case("master: version, times, who is up, restarts")
def of_master(s):
    version = s.ctl("--version").split()[-1]
    equal(figure(s, "build", version=version), 1, "build of " + version)
    MOVED.add("build")
    seen_down = False
    for _ in range(5):
        before = scrape(s)
        started = openmetrics.value(before, "process_start_time_seconds", process="stored-external")
        time.sleep(1.1)
        os.kill(s.pids("stored-external")[0], signal.SIGKILL)
        for _ in range(20):
            seen_down |= figure(s, "process_up", process="stored-external") == 0
        wait(lambda: figure(s, "process_up", process="stored-external") == 1, 60, "a new start")
        now = scrape(s)
        equal(openmetrics.value(now, "process_restarts", process="stored-external"),
              openmetrics.value(before, "process_restarts", process="stored-external") + 1, "restarts")
        check(openmetrics.value(now, "process_start_time_seconds", process="stored-external") > started, "same start")
        if seen_down:
            break
    check(seen_down, "process_up never was 0")
    MOVED.update(("process_up", "process_restarts", "process_start_time_seconds"))


@case("log lines by level")
def log_lines(s):
    moves(s, "log_lines", None, lambda: refused(s.pop, "u1", "wrong"), level="notice")


def crowd(s, number):
    """So many connections to POP3, all there before the first is accepted."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    pid = s.pids("pop3")[0]
    os.kill(pid, signal.SIGSTOP)
    try:
        came = [socket.create_connection((A1, s.port(110)), timeout=20) for _ in range(number)]
    finally:
        os.kill(pid, signal.SIGCONT)
    for c in came:
        with contextlib.suppress(OSError):
            c.recv(1)
        c.close()


@case("connections: accepted, open, refused; lines about too many are dropped, and that is counted")
def connections(s):
    name = "pop3-%d" % s.port(110)
    moves(s, "connections", 1, lambda: s.pop_line().close(), service="pop3", listener=name)
    wait(lambda: figure(s, "connections_open", service="pop3") == 0, 60, "the end of all connections")
    held = []
    moves(s, "connections_open", 3, lambda: held.extend(s.pop_line() for _ in range(3)), service="pop3", listener=name)
    held += [s.pop_line() for _ in range(PER_ADDRESS - 3)]

    def knock(times):
        for _ in range(times):
            with socket.socket() as c:
                c.connect((A1, s.port(110)))
                with contextlib.suppress(OSError):
                    c.recv(1)
    moves(s, "connections_refused", 5, lambda: knock(5), listener=name, why="address")
    # More lines in a second than the 500 that a process may write: those who come while it is stopped.
    moves(s, "log_lines_dropped", None, lambda: crowd(s, 800), process="pop3")
    for line in held:
        line.close()
    wait(lambda: figure(s, "connections_open", service="pop3") == 0, 60, "the end of all connections")


@case("a connection's process that is killed is counted")
def crashed(s):
    with s.pop_line() as line:
        # With several connections a process, there may be several processes.
        pids = wait(lambda: s.pids("pop3", child=True))
        moves(s, "connections_crashed", len(pids), lambda: [os.kill(p, signal.SIGKILL) for p in pids], service="pop3")
        equal(line.line(), None, "end")


@case("signatures: one for a TLS handshake")
def signatures(s):
    def shake():
        with s.pop_line_tls():
            pass
    moves(s, "signatures", 1, shake, result="ok")


@case("logins: how long the account took, once for each, be it there or not")
def timed(s):
    for step in ("ask", "name"):
        moves(s, "login_steps", 1, lambda: ok_login(s), step=step)
        moves(s, "login_steps", 1, lambda: refused(s.pop, "nobody", "wrong"), step=step)


@case("logins by service and result; workers at work; passwords set")
def logins(s):
    moves(s, "logins", 1, lambda: ok_login(s), service="pop3", result="ok")
    moves(s, "logins", 1, lambda: refused(s.pop, "u1", "wrong"), service="pop3", result="credentials")
    moves(s, "logins", 1, lambda: refused(s.pop, "nobody", "wrong"), service="pop3", result="route")
    moves(s, "logins", 1, lambda: s.ctl("domain", "list"), service="admin", result="ok")
    with s.pop_line() as line:
        moves(s, "login_workers", 1, lambda: line.want("AUTH LOGIN", "+ "))
    moves(s, "password_changes", 1, lambda: s.ctl("password", "set", "u2", stdin=PASSWORD), result="ok")


@case("lookups of logins and recipients; domains, accounts, changes")
def directory(s):
    moves(s, "route_lookups", 1, lambda: ok_login(s), kind="login", result="ok")
    moves(s, "route_lookups", 1, lambda: refused(s.pop, "nobody", "x"), kind="login", result="unknown")
    moves(s, "route_lookups", 1, lambda: s.deliver("u1@example.test"), kind="recipient", result="ok")
    with s.lmtp() as l:
        l.command("MAIL FROM:<>", 250)
        moves(s, "route_lookups", 1, lambda: l.command("RCPT TO:<nobody@example.test>", 550), kind="recipient",
              result="unknown")
    moves(s, "domains", 1, lambda: s.ctl("domain", "create", "d.example"))
    s.ctl("settings", "set", "domain", "d.example", "MailToUnknown=Accepted and Bounced")
    for sender, code, result in (("u1@example.test", 250, "ok"), ("x@else.example", 550, "sender")):
        with s.lmtp() as l:
            l.command("MAIL FROM:<%s>" % sender, 250)
            moves(s, "failure_reports", 1, lambda: l.command("RCPT TO:<nobody@d.example>", code), result=result)
    moves(s, "accounts", 1, lambda: s.ctl("account", "create", "a@d.example"))
    moves(s, "directory_changes", None, lambda: s.ctl("account", "delete", "a@d.example"))


@case("sessions: now, ever, kicked")
def sessions(s):
    moves(s, "sessions_opened", 1, lambda: ok_login(s))
    wait(lambda: figure(s, "sessions") == 0, 60, "the end of all sessions")
    held = []
    moves(s, "sessions", 1, lambda: held.append(s.pop("u1")))
    moves(s, "sessions_kicked", 1, lambda: s.ctl("session", "kick", "u1"))
    held[0].close()


@case("deliveries by result, their octets, the connections that may deliver, accounts in memory")
def deliveries(s):
    loaded = figure(s, "accounts_loaded")
    s.ctl("account", "create", "small", "3K")
    moves(s, "deliveries", 1, lambda: s.deliver("small@example.test"), result="ok")
    check(figure(s, "accounts_loaded") > loaded, "no further account in memory")
    MOVED.add("accounts_loaded")

    def too_much():
        with s.lmtp() as l:
            equal(l.data(["small@example.test"], message("x\r\n" * 2000))[0][0], 452, "answer")
    moves(s, "deliveries", 1, too_much, result="quota")
    moves(s, "delivered_bytes", None, lambda: s.deliver("u1@example.test"))
    wait(lambda: figure(s, "delivery_connections") == 0, 60, "the end of all deliveries")
    held = []
    moves(s, "delivery_connections", 1, lambda: held.append(s.lmtp()))
    held[0].close()


@case("messages read and removed")
def reading(s):
    s.empty()
    s.deliver("u1@example.test", message("abc"))
    before = figure(s, "read_bytes")
    moves(s, "messages_read", 1, s.mail)
    check(100 < figure(s, "read_bytes") - before < 2000, "octets read")
    MOVED.add("read_bytes")
    moves(s, "messages_expunged", 1, s.empty)


@case("the store: commits, flushes, bytes of its log, changes in memory, checkpoints", engines=("lmdb",))
def store(s):
    for name in ("store_commits", "store_syncs", "store_log_bytes", "store_overlay_bytes"):
        moves(s, name, None, lambda: s.deliver("u1@example.test"))
    moves(s, "store_checkpoints", None, lambda: time.sleep(5))


@case("the store: an index that was damaged is made anew", engines=("lmdb",))
def rebuilt(s):
    def damage():
        s.stop()
        with open(os.path.join(s.dir, "data", "store", "data.mdb"), "r+b") as f:
            f.write(b"damaged!" * 8)
        s.start_again()
    moves(s, "store_index_rebuilds", 1, damage)


@case("no database is refused; damage.py sees the others")
def whole(s):
    for database in ("store", "directory", "secrets"):
        equal(figure(s, "database_refused", database=database), 0, database)
    MOVED.add("database_refused")


@case("no part of the store is away; shards.py sees one that is")
def shards(s):
    equal(figure(s, "store_shards_away"), 0)
    MOVED.add("store_shards_away")


@case("compaction and scrub: passes, bytes moved, what the files hold, bytes read, what is damaged", engines=("lmdb",))
def upkeep(s):
    s.deliver("u1@example.test", message("p" * 300000))
    s.empty()
    s.ctl("undelete", "purge", "u1")
    s.deliver("u1@example.test", message("r" * 9000 + " COUNTED-DAMAGE"))
    moved = figure(s, "store_moved_bytes")
    moves(s, "store_compactions", 1, lambda: s.ctl("store", "compact", "--wait"), result="ok")
    check(figure(s, "store_moved_bytes") > moved, "nothing was moved")
    check(figure(s, "store_file_bytes") >= figure(s, "store_dead_bytes") > 0, "files and what of them is dead")
    raw, stored = (figure(s, "store_body_bytes", form=form) for form in ("raw", "stored"))
    s.ctl("domain", "settings", "example.test", "CompressMessages=YES")
    s.deliver("u1@example.test", message("again and again " * 5000))
    s.ctl("domain", "settings", "example.test", "CompressMessages=default")
    s.ctl("store", "compact", "--wait")
    raw, stored = figure(s, "store_body_bytes", form="raw") - raw, figure(s, "store_body_bytes", form="stored") - stored
    check(raw > 79000 and stored < 20000, "%d octets take %d", raw, stored)
    moves(s, "store_scrubs", 1, lambda: s.ctl("store", "scrub", "--wait"))
    check(figure(s, "store_scrub_bytes") > 0, "nothing was read")
    damage(s, b"COUNTED-DAMAGE")
    moves(s, "store_damaged", 1, lambda: s.ctl("store", "scrub", "--wait", ok=False), what="body")
    MOVED.update(("store_body_bytes", "store_moved_bytes", "store_file_bytes", "store_dead_bytes", "store_scrub_bytes"))


@case("many scrapers at a time all get an answer")
def many(s):
    began = time.monotonic()
    commands = [subprocess.Popen(["curl", "-sS", "--max-time", "20", "--unix-socket",
                                  os.path.join(s.dir, "run", "metrics.sock"), "http://localhost/metrics"],
                                 stdout=subprocess.PIPE) for _ in range(20)]
    for c in commands:
        openmetrics.parse(c.communicate(timeout=30)[0].decode())
    check(time.monotonic() - began < 15, "it took %.1f s", time.monotonic() - began)


@case("a process that hangs costs the answer its own figures only")
def hangs(s):
    pid = s.pids("parsed")[0]
    os.kill(pid, signal.SIGSTOP)
    try:
        now = scrape(s)
        check(openmetrics.value(now, "domains") > 0, "no figures of routerd")
        equal(openmetrics.value(now, "process_up", process="parsed"), 1, "parsed is up")
        equal(len([1 for labels in now["gatehouse_log_lines_dropped"][1] if ("process", "parsed") in labels]), 0,
              "figures of parsed")
    finally:
        os.kill(pid, signal.SIGCONT)


@case("figures go on over a restart of the suite, which starts at another time")
def again(s):
    def later():
        time.sleep(1.1)
        s.restart()
    moves(s, "start_time_seconds", None, later)


@case("every figure of the table was seen to move, and none is shown that is not in the table")
def complete(s):
    with open(os.path.join(TOP, "common", "metrics", "metrics.def"), encoding="utf-8") as f:
        table = set(re.findall(r"^METRIC\((\w+),", f.read(), re.M))
    # What no client can move is moved by a test of the core, which names it.
    with open(os.path.join(TOP, "tests", "unit", "test-stored-count.c"), encoding="utf-8") as f:
        text = f.read()
    for name in re.search(r"^ \* Proves: ([\w ]+)$", text, re.M)[1].split():
        check(text.count('"%s"' % name) >= 2, "%s is not looked at twice", name)
        MOVED.add(name)
    equal(sorted(table - MOVED - (set() if s.engine == "lmdb" else {n for n in table if n.startswith("store_")})), [],
          "figures without a proof")
    shown = {n[len("gatehouse_"):] for n in scrape(s)}
    equal(sorted(shown - table), [], "figures outside of the table")


if __name__ == "__main__":
    main(24000, settings=("connections_max_per_address = %d" % PER_ADDRESS,))
