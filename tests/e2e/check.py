#!/usr/bin/python3
"""check - gatehousectl check on a suite that is well, and on each thing that may be wrong."""
import contextlib
import imaplib
import json
import os
import re
import socket
import subprocess
import threading

from suite import A1, DOMAIN, PASSWORD, Failed, case, check, equal, main, message


def rows(s, *words, conf=None, stdin="", status=None):
    """The rows of a run as [(result, check, what, text, advice)]."""
    got, out, err = s.ctl("--conf", conf or s.conf, "--json", "check", *words, stdin=stdin, ok=False)
    try:
        found = [tuple(r[k] for k in ("result", "check", "what", "text", "advice")) for r in json.loads(out)]
    except ValueError:
        raise Failed("no JSON, status %d: %r %r" % (got, out, err)) from None
    check(status is None or got == status, "status is %s, not %s: %s", got, status, [r for r in found if r[0] != "ok"])
    for result, _, what, text, advice in found:
        check(result == "ok" or advice, "no advice with %s: %s", what, text)
    return found


def has(found, result, kind, text):
    check(any(r[0] == result and r[1] == kind and text in r[2] + ": " + r[3] for r in found),
          "no %s %s with %r among %s", result, kind, text, [r[:4] for r in found if r[1] == kind])


def changed(s, name, *pairs):
    """The configuration with other words, as a file."""
    with open(s.conf, encoding="utf-8") as f:
        text = f.read()
    for old, new in pairs:
        check(old in text, "no %r in the configuration", old)
        text = text.replace(old, new, 1)
    path = os.path.join(s.dir, name + ".conf")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


@case("a suite that is well: every part is looked at, nothing fails, and no trace is left")
def well(s):
    before = s.ctl("account", "list")
    found = rows(s, status=0)
    for kind in ("configuration", "certificate", "chain", "trust", "key", "name", "port", "server", "store", "delivery",
                 "fetch"):
        check(any(r[1] == kind for r in found), "nothing is said of %s", kind)
    equal([r for r in found if r[0] == "failed"], [], "failures")
    for kind, what in (("port", "pop3"), ("port", "imap"), ("port", "smtp"), ("port", "submission"), ("port", "lmtp"),
                       ("port", "admin"), ("port", "pwd"), ("port", "metrics"), ("delivery", "lmtp"), ("delivery", "smtp"),
                       ("delivery", "submission"), ("fetch", "pop3"), ("fetch", "imap")):
        has(found, "ok", kind, what)
    has(found, "ok", "port", "TLSv1.3")
    with open(s.conf, encoding="utf-8") as f:
        there = len(re.findall(r"^listener ", f.read(), re.M))
    equal(len([r for r in found if r[1] == "port"]), there, "listeners looked at")
    equal([r for r in found if r[0] == "warning" and r[1] != "trust"], [], "warnings")
    equal(s.ctl("account", "list"), before, "accounts")


@case("people get a line each, with advice below; --quiet leaves out what is well")
def text(s):
    out = s.ctl("--conf", s.conf, "check", ok=False)[1]
    check("\nok       store " in out and "looked at, 1 warnings" in out and "-> " in out, "it prints %s", out)
    out = s.ctl("--conf", s.conf, "--quiet", "check", ok=False)[1]
    check("\nok " not in out and "warning  trust" in out, "it prints %s", out)


@case("the configuration: each error is a line, the server is looked at all the same")
def configuration(s):
    conf = changed(s, "bad", ("engine = ", "engin = "), ("mode = 0600", "mode = 999"))
    found = rows(s, conf=conf, status=1)
    has(found, "failed", "configuration", "the nearest is \"engine\"")
    has(found, "failed", "configuration", "mode")
    has(found, "ok", "store", "engine")
    check(not any(r[1] == "port" for r in found), "ports of a wrong configuration")
    has(rows(s, conf=s.dir + "/none", status=1), "failed", "configuration", "cannot be read")


def openssl(*words):
    subprocess.run(["openssl", *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def self_signed(s, name, days="30", more=()):
    """(certificate, key) for localhost."""
    cert, key = os.path.join(s.dir, name + ".pem"), os.path.join(s.dir, name + ".key")
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=" + name,
            "-addext", "subjectAltName=DNS:localhost", "-days", days, "-keyout", key, "-out", cert, *more)
    os.chmod(key, 0o600)
    return cert, key


@case("certificates: dates, key, chain, names, readable files")
def certificates(s):
    chain, key = s.dir + "/tls/cert.pem", s.dir + "/tls/key.pem"

    def with_files(name, new_chain, new_key):
        return rows(s, conf=changed(s, name, (chain, new_chain), (key, new_key)))
    cert, own = self_signed(s, "soon", days="5")
    has(with_files("soon", cert, own), "warning", "certificate", "expires on")
    # Made for a day that is over, by openssl's own CA program.
    old = os.path.join(s.dir, "old.pem")
    with open(s.dir + "/ca.cnf", "w", encoding="ascii") as f:
        f.write("[ca]\ndefault_ca=c\n[c]\ndatabase=%s/index\nnew_certs_dir=%s\nserial=%s/serial\npolicy=p\n"
                "unique_subject=no\ndefault_md=sha256\n[p]\ncommonName=supplied\n" % ((s.dir,) * 3))
    open(s.dir + "/index", "w", encoding="ascii").close()
    with open(s.dir + "/serial", "w", encoding="ascii") as f:
        f.write("01\n")
    openssl("req", "-new", "-key", own, "-subj", "/CN=localhost", "-out", s.dir + "/old.csr")
    openssl("ca", "-batch", "-config", s.dir + "/ca.cnf", "-selfsign", "-keyfile", own, "-in", s.dir + "/old.csr",
            "-startdate", "20200101000000Z", "-enddate", "20200201000000Z", "-out", old, "-notext")
    found = with_files("old", old, own)
    has(found, "failed", "certificate", "expired on 2020-02-01")
    has(found, "warning", "port", "another certificate")
    openssl("ca", "-batch", "-config", s.dir + "/ca.cnf", "-selfsign", "-keyfile", own, "-in", s.dir + "/old.csr",
            "-startdate", "20990101000000Z", "-enddate", "20990201000000Z", "-out", old, "-notext")
    has(with_files("early", old, own), "failed", "certificate", "not valid yet")
    has(with_files("other-key", chain, own), "failed", "key", "does not fit")
    has(with_files("no-key", chain, s.dir + "/none"), "failed", "key", "cannot be read")
    has(with_files("not-a-key", chain, chain), "failed", "key", "no such key")
    has(with_files("no-chain", s.dir + "/none", key), "failed", "certificate", "No such file")
    both = os.path.join(s.dir, "both.pem")
    with open(both, "wb") as f:
        for path in (chain, cert):
            with open(path, "rb") as g:
                f.write(g.read())
    has(with_files("order", both, key), "failed", "chain", "certificate 1 is not signed by certificate 2")
    os.chmod(own, 0o644)
    has(with_files("open-key", cert, own), "failed", "key", "every user")
    has(rows(s, conf=changed(s, "name", ("host_name = localhost", "host_name = mail.elsewhere.test"))), "warning", "name",
        "mail.elsewhere.test")


@contextlib.contextmanager
def other_program(greeting):
    """A port on which something else listens."""
    with socket.socket() as l:
        l.bind((A1, 0))
        l.listen(8)
        stop = []

        def serve():
            while not stop:
                with contextlib.suppress(OSError):
                    c = l.accept()[0]
                    c.sendall(greeting)
                    c.settimeout(0.5)
                    with contextlib.suppress(OSError):
                        c.recv(1000)
                    c.close()
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield l.getsockname()[1]
        stop.append(1)
        with contextlib.suppress(OSError):
            l.shutdown(socket.SHUT_RDWR)
        thread.join(5)


@case("ports: nobody listens, another program does, TLS does not work there")
def ports(s):
    def at_port(name, port, tls="no", program="pop3"):
        return rows(s, conf=changed(s, name, ("listener admin {", "listener %s {\n\taddress = %s\n\tport = %d\n\ttls = %s\n}\n"
                                              "listener admin {" % (program, A1, port, tls))), status=1)
    with socket.socket() as nobody:
        nobody.bind((A1, 0))
        has(at_port("closed", nobody.getsockname()[1]), "failed", "port", "connect: ")
    with other_program(b"220 what you want\r\n") as port:
        has(at_port("other", port), "failed", "port", "greeting: it says: 220 what")
        has(at_port("no-tls", port, "yes"), "failed", "port", "TLS: ")
    with other_program(b"+OK hello\r\n-ERR no\r\n") as port:
        has(at_port("no-stls", port, "starttls"), "failed", "port", "STARTTLS: ")
    with other_program(b"200 hello\r\n501 no\r\n") as port:
        has(at_port("pwd-no-stls", port, "starttls", "pwd"), "failed", "port", "STARTTLS: ")


@case("a server that is not there: status 3, and what to do")
def unreached(s):
    got, out, _ = s.ctl("--socket", s.dir + "/none", "--conf", s.conf, "--json", "check", ok=False)
    equal(got, 3, "status")
    has([tuple(r[k] for k in ("result", "check", "what", "text")) for r in json.loads(out)], "failed", "server", "not reached")


@case("with an account of yours only the messages of the check are removed; a wrong password, a full account are told")
def given(s):
    s.deliver("u1@" + DOMAIN, message("stays"))
    with imaplib.IMAP4_SSL("localhost", s.port(993), ssl_context=s.ca()) as m:
        m.login("u1", PASSWORD)
        m.select("INBOX")
        equal(m.store("1", "+FLAGS", "(\\Deleted)")[0], "OK", "answer")
    before = s.mail()
    has(rows(s, "--account=u1", stdin=PASSWORD, status=0), "ok", "fetch", "imap")
    equal(s.mail(), before, "messages")
    has(rows(s, "--account=u1", stdin="wrong", status=1), "failed", "fetch", "pop3")
    s.ctl("account", "create", "full", "100")
    s.ctl("password", "set", "full", stdin=PASSWORD)
    has(rows(s, "--account=full", stdin=PASSWORD, status=1), "failed", "delivery", "it says: 452")


@case("a probe account that cannot be made is told, and none is left behind when a delivery fails")
def no_probe(s):
    conf = changed(s, "elsewhere", ("main_domain = " + DOMAIN, "main_domain = elsewhere.test"))
    has(rows(s, conf=conf, status=1), "failed", "delivery", "no such domain")
    equal([a for a in s.ctl("account", "list").split() if a.startswith("gatehouse-check")], [], "accounts left")


if __name__ == "__main__":
    main(24300)
