#!/usr/bin/python3
"""auth - the ways to log in, against every form in which a password is stored, in the clear and over TLS."""
import base64
import contextlib
import ctypes
import hashlib
import hmac
import os
import poplib
import signal
import socket
import ssl
import time

from suite import A1, DOMAIN, PASSWORD, Failed, Lmtp, case, check, equal, main, message, plain, wait

SECRET = "Correct horse, b\u00e4ttery: {staple}"
# Account, stored form, what the form is made from.
FORMS = {"yes": "yescrypt", "sha": "sha512crypt", "bcr": "bcrypt", "scr": "scram-sha-256", "pla": "plain"}
CRYPT = "{CRYPT}$6$rounds=1000$abcdefgh$" \
    "IJOsRDWMMkAEEvZFVKdXmkzkwiu.N/7g9bKY2S0TPtT6MWDzCmGr6Rb/qy3cW5RnTgPvBFgQQO5bK9PtJYBUz."


def b64(data):
    return base64.b64encode(data if isinstance(data, bytes) else data.encode()).decode()


def prepare(s):
    if "yes" in s.ctl("account", "list").split():
        return
    for name, form in FORMS.items():
        s.ctl("account", "create", name)
        s.ctl("password", "set", name, form, stdin=SECRET + "\n")


def crypt(password, salt):
    """crypt(3), which is on its way out of Python's library."""
    function = ctypes.CDLL("libcrypt.so.1").crypt
    function.restype = ctypes.c_char_p
    made = function(password.encode(), salt.encode()).decode()
    check(made.startswith("$"), "no hash was made with %s", salt)
    return made


class Refused(Exception):
    pass


def answer(line):
    if line is None:
        raise Refused("closed")
    if line.startswith("-ERR"):
        raise Refused(line)
    check(line[:1] == "+", "not an answer: %s", line)
    return line[4:] if line.startswith("+OK") else base64.b64decode(line[2:])


# Each logs in on an open connection, or raises Refused.

def by_user(l, name, password):
    answer(l.ask("USER " + name))
    answer(l.ask("PASS " + password))


def by_plain(l, name, password):
    answer(l.ask("AUTH PLAIN " + plain(name, password)))


def by_plain_later(l, name, password):
    equal(l.ask("AUTH PLAIN"), "+ ", "the empty challenge")
    answer(l.ask(plain(name, password)))


def by_login(l, name, password):
    answer(l.ask("AUTH LOGIN"))
    answer(l.ask(b64(name)))
    answer(l.ask(b64(password)))


def by_login_at_once(l, name, password):
    answer(l.ask("AUTH LOGIN " + b64(name)))
    answer(l.ask(b64(password)))


def by_apop(l, name, password):
    stamp = l.greeting[l.greeting.index("<"):]
    answer(l.ask("APOP %s %s" % (name, hashlib.md5((stamp + password).encode()).hexdigest())))


def by_scram(l, name, password, binding="n,,"):
    """RFC 5802 with SHA-256, and the server's signature checked."""
    nonce = b64(os.urandom(12))
    bare = "n=%s,r=%s" % (name.replace("=", "=3D").replace(",", "=2C"), nonce)
    first = answer(l.ask("AUTH SCRAM-SHA-256 " + b64(binding + bare))).decode()
    fields = dict(f.split("=", 1) for f in first.split(","))
    check(fields["r"].startswith(nonce) and len(fields["r"]) > len(nonce), "a nonce of its own: %s", first)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))

    def mac(key, text):
        return hmac.new(key, text if isinstance(text, bytes) else text.encode(), "sha256").digest()

    without = "c=%s,r=%s" % (b64(binding), fields["r"])
    signed = "%s,%s,%s" % (bare, first, without)
    key = mac(salted, "Client Key")
    proof = bytes(a ^ b for a, b in zip(key, mac(hashlib.sha256(key).digest(), signed)))
    final = answer(l.ask(b64("%s,p=%s" % (without, b64(proof))))).decode()
    equal(final, "v=" + b64(mac(mac(salted, "Server Key"), signed)), "the server's signature")
    answer(l.ask(""))


CLEAR = {"USER": by_user, "PLAIN": by_plain, "PLAIN in a second line": by_plain_later, "LOGIN": by_login,
         "LOGIN with the name": by_login_at_once}
WAYS = {**CLEAR, "APOP": by_apop, "SCRAM-SHA-256": by_scram}


def works(s, way, name, password=SECRET):
    with s.pop_line() as l:
        try:
            WAYS[way](l, name, password)
        except Refused as e:
            return str(e)
        l.want("STAT", "+OK")
        l.want("QUIT", "+OK")
        return None


for form_name, form_kind in FORMS.items():
    @case("a password stored as %s opens by every way that this form allows, and by no other" % form_kind)
    def one_form(s, name=form_name, kind=form_kind):
        prepare(s)
        allowed = set(CLEAR) | ({"APOP"} if kind == "plain" else set()) | \
            ({"SCRAM-SHA-256"} if kind in ("plain", "scram-sha-256") else set())
        for way in WAYS:
            why = works(s, way, name)
            equal(why is None, way in allowed, "%s works (%s)" % (way, why))


@case("a reload changes nothing for logins and for new passwords")
def reloads(s):
    prepare(s)
    for _ in range(2):
        before = s.log_text().count("conf.reload")
        os.kill(s.master(), signal.SIGHUP)
        wait(lambda: s.log_text().count("conf.reload") > before, what="reload")
        for way in CLEAR:
            equal(works(s, way, "yes"), None, "login by %s" % way)
        s.ctl("password", "set", "yes", stdin=SECRET + "\n")
        equal(works(s, "PLAIN", "yes"), None, "login with a password stored after the reload")


@case("wrong passwords are refused in every way, and a part or a longer form of the right one is wrong")
def wrong(s):
    prepare(s)
    for way, name, password in (("USER", "yes", SECRET[:-1]), ("USER", "sha", SECRET + "x"), ("LOGIN", "bcr", "no"),
                                ("PLAIN", "scr", SECRET.upper()), ("PLAIN", "pla", SECRET + "\0"),
                                ("APOP", "pla", "no"), ("SCRAM-SHA-256", "pla", "no"),
                                ("SCRAM-SHA-256", "scr", SECRET + " "), ("PLAIN", "yes", "")):
        why = works(s, way, name, password)
        check(why is not None and why.startswith("-ERR"), "%s for %s: %s", way, name, why)


@case("given hashes are taken in the three forms and checked; other forms are refused and change nothing")
def given(s):
    prepare(s)
    for form, secret in ((CRYPT, None), ("{PLAIN}gi{}ven", "gi{}ven")):
        s.ctl("account", "import", "-", stdin="given:%s\n" % form)
        if secret is None:
            # The hash of another password than ours: refused, and not an error of the server's.
            why = works(s, "PLAIN", "given", "some")
            check("[AUTH]" in why, "answered %s", why)
        else:
            equal(works(s, "SCRAM-SHA-256", "given", secret), None, "login")
        for bad in ("{MD5}abc", "plain", "{CRYPT"):
            status, _, err = s.ctl("password", "set", "given", "given", stdin=bad, ok=False)
            equal(status, 1, "status for %s" % bad)
        s.ctl("account", "delete", "given")
    hashes = [crypt("given!", salt) for salt in ("$6$rounds=1000$saltsalt", "$2b$04$" + "a" * 21 + "e", "$y$j75$saltsalt")]
    s.ctl("account", "create", "given")
    for h in hashes:
        s.ctl("password", "set", "given", "given", stdin="{CRYPT}%s\n" % h)
        equal(works(s, "PLAIN", "given", "given!"), None, "login with %s" % h)
    s.ctl("account", "delete", "given")


@case("an account without a password cannot be opened, not even with an empty one")
def none(s):
    prepare(s)
    s.ctl("account", "create", "bare")
    for way, password in (("PLAIN", ""), ("PLAIN", "x"), ("SCRAM-SHA-256", ""), ("APOP", "")):
        check(works(s, way, "bare", password) is not None, "%s opened it", way)


@case("passwords may hold blanks, colons, 8-bit text and 500 bytes")
def odd_passwords(s):
    prepare(s)
    s.ctl("account", "create", "odd")
    for secret in (" two  blanks ", "a:b{PLAIN}", "\u0442\u0435\u0441\u0442", "x" * 500, "*", "="):
        s.ctl("password", "set", "odd", "sha512crypt", stdin=secret + "\n")
        for way in ("PLAIN", "USER"):
            equal(works(s, way, "odd", secret), None, "%s with %r" % (way, secret[:20]))


@case("one may act for oneself only")
def authzid(s):
    prepare(s)
    with s.pop_line() as l:
        l.want("AUTH PLAIN " + b64("u2\0u1\0" + PASSWORD), "-ERR [AUTH]")
        l.want("AUTH PLAIN " + b64("u1\0u1\0" + PASSWORD), "+OK")


@case("a login that is broken off by the client is no attempt, and the next one works")
def cancel(s):
    with s.pop_line() as l:
        for _ in range(5):
            l.want("AUTH LOGIN", "+ ")
            l.want("*", "-ERR")
        l.want("AUTH SCRAM-SHA-256 " + b64("n,,n=u1,r=abc"), "+ ")
        l.want("*", "-ERR")
        l.want("AUTH NONSENSE", "-ERR")
        by_plain(l, "u1", PASSWORD)


@case("a dialogue that makes no sense is refused and nothing opens")
def nonsense(s):
    for first in ("AUTH PLAIN !!!", "AUTH PLAIN " + b64("no zeros"), "AUTH PLAIN " + b64("\0\0"),
                  "AUTH SCRAM-SHA-256 " + b64("n,,"), "AUTH SCRAM-SHA-256 " + b64("n,,n=u1"),
                  "APOP u1 0123", "APOP u1", "PASS " + PASSWORD):
        with s.pop_line() as l:
            l.want(first, "-ERR")
            l.want("STAT", "-ERR")


@case("SCRAM with a channel binding, which this mechanism has not, does not log in")
def bound(s):
    with s.pop_line() as l:
        try:
            by_scram(l, "u1", PASSWORD, "p=tls-unique,,")
        except Refused:
            return
    raise Failed("it was taken")


@case("the third wrong password ends the connection")
def three(s):
    with s.pop_line() as l:
        for way in (by_user, by_plain, by_login):
            try:
                way(l, "u1", "wrong")
                raise Failed("a wrong password was taken")
            except Refused:
                pass
        equal(l.line(), None, "what follows")


@case("over TLS from the start every way works, with a certificate that the CA vouches for")
def pop3s(s):
    prepare(s)
    for way in WAYS:
        with s.pop_line_tls() as l:
            check(l.sock.version() in ("TLSv1.2", "TLSv1.3"), "speaks %s", l.sock.version())
            WAYS[way](l, "pla", SECRET)
            l.want("STAT", "+OK")
    p = poplib.POP3_SSL("localhost", s.port(995), context=s.ca(), timeout=20)
    p.user("u1")
    p.pass_(PASSWORD)
    p.quit()


@case("STLS: poplib verifies and logs in; APOP is over then; what was sent before TLS is not carried over")
def stls(s):
    prepare(s)
    with contextlib.closing(poplib.POP3("localhost", s.port(110), timeout=20)) as p:
        check("STLS" in p.capa(), "STLS is not offered")
        p.stls(s.ca())
        check("STLS" not in p.capa(), "STLS is offered again")
        p.user("u1")
        p.pass_(PASSWORD)
        p.quit()
    with s.pop_line() as l:
        l.want("USER u2", "+OK")
        l.want("STLS", "+OK")
        l.tls(s.ca())
        l.want("PASS " + PASSWORD, "-ERR")
        l.want("APOP u1 " + "0" * 32, "-ERR")
        by_scram(l, "pla", SECRET)
    with s.pop_line() as l:
        l.send("STLS\r\nUSER u1\r\n")
        l.want(None, "+OK")
        equal(l.line(), None, "what follows")


@case("a client that trusts another CA, or awaits another name, finds out")
def not_trusted(s):
    for context, name in ((ssl.create_default_context(), "localhost"), (s.ca(), "mail.other.example")):
        with s.pop_line() as l:
            l.want("STLS", "+OK")
            try:
                l.tls(context, name)
            except ssl.SSLCertVerificationError:
                continue
        raise Failed("the certificate was taken")
    with s.pop_line() as l:
        l.want("STLS", "+OK")
        l.tls(s.ca(), "mail." + DOMAIN)


@case("a reload without the file of a key is refused and says so; TLS goes on with the old one, with a new signer too")
def key_away(s):
    def seen():
        with s.pop_line_tls() as l:
            return l.sock.getpeercert(True)

    def known(word):
        return len([line for line in s.log_text().split("\n") if word in line])

    old, kept, loaded = seen(), known("conf.kept"), known("conf.reload")
    key = os.path.join(s.dir, "tls", "key.pem")
    os.rename(key, key + ".away")
    try:
        os.kill(s.master(), signal.SIGHUP)
        wait(lambda: known("conf.kept") > kept, 60, "the refusal")
        check("cannot open its key %s: No such file or directory; put it there" % key in s.log_text(), "no word of the file")
        equal(seen(), old, "the certificate")
        signer = s.pids("signer")
        os.kill(signer[0], signal.SIGKILL)
        wait(lambda: s.pids("signer") not in ([], signer), 60, "another signer")

        def again():
            try:
                return seen() == old
            except (OSError, Failed):
                return False

        wait(again, 60, "TLS with the old key")
    finally:
        os.rename(key + ".away", key)
    os.kill(s.master(), signal.SIGHUP)
    wait(lambda: known("conf.reload") > loaded, 60, "the reload")
    equal(seen(), old, "the certificate")


@case("LMTP STARTTLS: verified, nothing carried over, and the Received field says so")
def lmtp(s):
    with s.lmtp() as l:
        check("STARTTLS" in l.features[1], "not offered")
        l.command("STARTTLS", 220)
        l.tls(s.ca())
        _, features = l.command("LHLO tls.example", 250)
        check("STARTTLS" not in features, "offered again")
        equal(l.data(["u2@" + DOMAIN], message("by TLS"))[0][0], 250, "the answer")
    mail = s.mail("u2")
    check(b"with LMTPS id" in mail[0], "the field is %r", mail[0][:300])
    s.empty("u2")
    with s.lmtp() as l:
        l.send("STARTTLS\r\nLHLO early.example\r\n")
        l.reply(220)
        equal(l.line(), None, "what follows")
    with Lmtp(s.lmtp_socket) as l:
        equal("STARTTLS" in l.features[1], False, "STARTTLS is offered on the socket")


@case("a connection that says nothing in its handshake keeps nobody waiting")
def silent(s):
    idle = [socket.create_connection((A1, s.port(995))) for _ in range(5)]
    try:
        began = time.monotonic()
        with s.pop_line_tls() as l:
            by_plain(l, "u1", PASSWORD)
        check(time.monotonic() - began < 30, "took %.1f s", time.monotonic() - began)
    finally:
        for one in idle:
            one.close()


@case("tagged passwords open the account beside its own, each until it is removed, by passwords in clear alone; also after a restart",
      engines=("lmdb",))
def tagged(s):
    prepare(s)
    for name in ("yes", "pla"):
        s.ctl("password", "set", name, "--tag=phone", stdin=name + "'s phone\n")
        s.ctl("password", "set", name, "--tag=pc", "--check", stdin="at home, by " + name[::-1] + "\n")
        equal(s.ctl("password", "tags", name).split(), ["pc", "phone"], "tags")
        for way in CLEAR:
            for password in (SECRET, name + "'s phone", "at home, by " + name[::-1]):
                equal(works(s, way, name, password), None, "%s with %s" % (way, password))
            check(works(s, way, name, name + "'s phon") is not None, "%s with a wrong one", way)
    check(works(s, "SCRAM-SHA-256", "pla", "pla's phone") is not None, "SCRAM with a tagged one")
    equal(works(s, "SCRAM-SHA-256", "pla"), None, "SCRAM with the own one")
    check(works(s, "USER", "yes", "pla's phone") is not None, "another account's")
    s.restart()
    equal(works(s, "PLAIN", "pla", "pla's phone"), None, "after a restart")
    with s.pop_line() as l:
        by_plain(l, "pla", SECRET)
        s.ctl("password", "remove", "pla", "phone")
        while l.line() is not None:
            pass
    check(works(s, "PLAIN", "pla", "pla's phone") is not None, "a removed one")
    equal(works(s, "PLAIN", "pla", "at home, by alp"), None, "the other one")
    equal(s.ctl("password", "tags", "pla").split(), ["pc"], "tags")
    s.ctl("password", "set", "pla", "plain", stdin=SECRET + "\n")
    equal(works(s, "PLAIN", "pla", "at home, by alp"), None, "one that a new own password leaves")
    with s.pop_line() as l:
        by_plain(l, "pla", "at home, by alp")
        s.ctl("password", "set", "pla", "plain", "--all", stdin=SECRET + "\n")
        while l.line() is not None:
            pass
    equal(s.ctl("password", "tags", "pla").split(), [], "tags after a reset of all")
    check(works(s, "PLAIN", "pla", "at home, by alp") is not None, "one that is reset")
    equal(works(s, "PLAIN", "pla"), None, "the own one after it")
    equal(s.ctl("password", "tags", "yes").split(), ["pc", "phone"], "another account's")
    s.restart()
    check(works(s, "PLAIN", "pla", "at home, by alp") is not None, "one that is reset, after a restart")
    equal(works(s, "PLAIN", "pla"), None, "the own one after a restart")
    for tag in ("phone", "pc"):
        s.ctl("password", "remove", "yes", tag)


@case("plaintext_login = never: no clear-text way without TLS, all of them with it; the challenge ways always",
      engines=("lmdb",))
def never(s):
    prepare(s)
    s.stop()
    s.edit("plaintext_login = loopback", "plaintext_login = never\nhide_unknown_account = yes")
    s.start_again()
    with contextlib.closing(s.pop_open()) as p:
        offered = p.capa()
        check("USER" not in offered and offered["SASL"] == ["SCRAM-SHA-256"], "offered: %s", offered)
    for first in ("USER pla", "AUTH PLAIN " + plain("pla", SECRET), "AUTH PLAIN", "AUTH LOGIN"):
        with s.pop_line() as l:
            check("TLS" in l.want(first, "-ERR"), "the answer to %s names no TLS", first)
            l.want("STAT", "-ERR")
    for way in ("APOP", "SCRAM-SHA-256"):
        equal(works(s, way, "pla"), None, way)
    with s.pop_line() as l:
        l.want("STLS", "+OK")
        l.tls(s.ca())
        by_login(l, "yes", SECRET)
    with s.pop_line_tls() as l:
        by_user(l, "yes", SECRET)


@case("hide_unknown_account = yes: a name that leads nowhere is answered like a wrong password",
      engines=("lmdb",))
def hidden(s):
    for way, known in ((by_plain, "pla"), (by_scram, "pla"), (by_scram, "yes"), (by_apop, "yes")):
        answers = []
        for name in (known, "nobody@nowhere.example"):
            with s.pop_line_tls() as l:
                try:
                    way(l, name, "wrong")
                except Refused as e:
                    answers.append((len(l.asked), str(e)))
        equal(len(answers), 2, "refusals")
        equal(len(set(answers)), 1, "different answers to %s: %r" % (way.__name__, answers))


if __name__ == "__main__":
    main(21500)
