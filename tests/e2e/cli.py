"""cli - a client of the administration protocol, written from its description: values, connections, and all that the
directory shows; for the tests of its grammar and of rights.
"""
import re

import suite
from suite import PASSWORD, check


# ---- the data format ----

class Number(int):
    pass


class Stamp(str):
    pass


class Address(str):
    pass


class Block(bytes):
    pass


ATOM = re.compile(r"[A-Za-z0-9\-_.@!#%:\]\u0080-\U0010ffff]+")
ESCAPES = {"r": "\r", "n": "\n", "e": "\n", "t": "\t"}


class Reader:
    def __init__(self, text):
        self.text, self.at = text, 0

    def blanks(self):
        while self.at < len(self.text) and self.text[self.at] in " \t\r\n":
            self.at += 1

    def next(self):
        self.blanks()
        return self.text[self.at] if self.at < len(self.text) else ""

    def take(self, char):
        check(self.next() == char, "no %s at %d of %.300r", char, self.at, self.text)
        self.at += 1

    def string(self):
        out = ""
        while self.next() == '"':
            end = self.at + 1
            while self.text[end] != '"':
                end += 2 if self.text[end] == "\\" else 1
            out += re.sub(r"\\(\d{3}|.)", lambda m: chr(int(m[1])) if m[1].isdigit() and len(m[1]) == 3
                          else ESCAPES.get(m[1], m[1]), self.text[self.at + 1:end])
            self.at = end + 1
        return out

    def marked(self):
        for pattern, make in ((r"#NULL#", lambda m: None), (r"#(-?\d+)", lambda m: Number(m[1])),
                              (r"#T([\d\-_:]+)", lambda m: Stamp(m[1])),
                              (r"#I(\[[^\]]*\](:\d+)?)", lambda m: Address(m[1])),
                              (r"\[([A-Za-z0-9+/=\s]*)\]", lambda m: Block(m[1].encode()))):
            m = re.compile(pattern).match(self.text, self.at)
            if m:
                self.at = m.end()
                return True, make(m)
        return False, None

    def value(self):
        char = self.next()
        if char == '"':
            return self.string()
        if char in "([{" and char != "[":
            return self.array() if char == "(" else self.dict()
        if char in "#[":
            found, value = self.marked()
            if found:
                return value
        m = ATOM.match(self.text, self.at)
        check(m, "no value at %d of %.300r", self.at, self.text)
        self.at = m.end()
        return m[0]

    def array(self):
        out = []
        self.take("(")
        while self.next() != ")":
            out.append(self.value())
            if self.next() != ")":
                self.take(",")
        self.take(")")
        return out

    def dict(self):
        out = {}
        self.take("{")
        while self.next() != "}":
            key = self.value()
            check(key not in out, "the key %r twice", key)
            self.take("=")
            out[key] = self.value()
            self.take(";")
        self.take("}")
        return out


def parse(text):
    r = Reader(text)
    value = r.value()
    check(r.next() == "", "text behind the value: %.300r", text)
    return value


# ---- connections ----

class Cli(suite.Line):
    """Asks by any of the two ways of showing data."""

    def __init__(self, where):
        super().__init__(where)
        self.want(None, "200 ")
        self.in_line = False

    def login(self, user, password=PASSWORD):
        self.want("USER " + user, "300 ")
        self.want("PASS " + password, "200 ")

    def inline(self):
        self.want("INLINE", "200 ")
        self.in_line = True

    def command(self, text):
        """(code, value or text)"""
        line = self.ask(text)
        check(line is not None and re.match(r"\d{3} ", line), "%s was answered %r", text, line)
        code, rest = int(line[:3]), line[4:]
        if code == 201:
            check(self.in_line, "%s was answered 201 without INLINE", text)
            return code, parse(rest)
        if code == 200 and rest == "data follow":
            return code, parse(self.line())
        return code, rest

    def yes(self, text):
        code, value = self.command(text)
        check(code in (200, 201), "%s was answered %s %s", text, code, value)
        return value

    def no(self, text):
        code, value = self.command(text)
        check(code in (500, 501), "%s was answered %s %s", text, code, value)
        return value


def everything(c):
    """What the directory holds, as far as the grammar tells it."""
    domains = c.yes("ListDomains")
    found = {"table": c.yes("GetRouterTable")}
    for get in ("GetServerSettings", "GetDomainDefaults", "GetServerAccountDefaults", "GetServerAlerts"):
        found[get] = c.yes(get)
    for d in domains:
        for get in ("GetDomainAliases", "GetDomainSettings", "GetAccountDefaults", "GetAccountTemplate", "ListGroups",
                    "ListForwarders", "ListLists", "GetDomainAlerts", "GetDomainInfo"):
            found[get, d] = c.yes("%s %s" % (get, d))
        for a in c.yes("ListAccounts " + d):
            for get in ("GetAccountInfo", "GetAccountSettings", "GetAccountAliases", "GetAccountRights", "GetAccountAlerts"):
                found[get, d, a] = c.yes('%s "%s@%s"' % (get, a, d))
        for g in found["ListGroups", d]:
            found["group", d, g] = c.yes('GetGroup "%s@%s"' % (g, d))
        for f in found["ListForwarders", d]:
            found["forwarder", d, f] = c.yes('GetForwarder "%s@%s"' % (f, d))
    return found


def lines_of(text):
    return [line for line in text.strip("\n").split("\n") if line]


def words_of(line):
    """The words of a command line; a value with its brackets or quotes is one."""
    out, r = [], Reader(line)
    while r.next():
        start = r.at
        if r.next() in '"({':
            r.value()
        else:
            while r.at < len(r.text) and r.text[r.at] not in " \t":
                r.at += 1
        out.append(r.text[start:r.at])
    return out
