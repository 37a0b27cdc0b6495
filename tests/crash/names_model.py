"""names_model - an administrator who changes everything that a directory has besides accounts, and knows what it must
be then: domains with addresses, aliases and settings, aliases, settings, rights and passwords of accounts, groups,
forwarders, lists, the Router's table.

A model is {(kind, local part): {what: value}} of one domain, whose name is the model's ("domain", ""): "Name". Values are
as the administration protocol and `gatehousectl dump` show them. A change is a command and the model after it: when it was
acknowledged, the object that it is about must be so, and otherwise as before or as after, nothing in between.
"""
import copy
import random

import suite
from admin import parse

RIGHTS = ("Domain", "BasicSettings", "CanCreateAliases", "CanCreateGroups", "WebUserSettings")
CHOICES = {"RealName": lambda r: "Real%d" % r.randrange(100), "MaxAccountSize": lambda r: "%dM" % r.randrange(1, 999),
           "PWDAllowed": lambda r: "YES", "Suspended": lambda r: "YES", "QuotaNotice": lambda r: "%d" % r.randrange(1, 999)}
FLAGS = {"RemoveToAndCc": "NO", "FinalDelivery": "NO"}  # can be nothing else


def shown(value):
    """As it is compared: the order of names in lists says nothing."""
    if isinstance(value, dict):
        return {k: shown(v) for k, v in value.items()}
    return sorted(map(shown, value)) if isinstance(value, list) else str(value)


def quoted(value):
    if isinstance(value, dict):
        return "{%s}" % "".join("%s=%s;" % (k, quoted(v)) for k, v in value.items())
    return "(%s)" % ",".join(map(quoted, value)) if isinstance(value, list) else '"%s"' % value


def dumped(text):
    """The objects of a dump, and the lines of the table."""
    objects, table = {}, []
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "router":
            table.append(parse(rest))
        elif kind not in ("#", "server"):
            name, _, parts = rest.partition(" ")
            objects[kind, parse(name)] = shown(parse(parts)) if parts else {}
    return objects, table


class Model:
    def __init__(self, domain):
        self.objects = {("domain", ""): {"Name": domain}}
        self.table, self.passwords = [], {}

    def domain(self):
        return self.objects["domain", ""]["Name"]

    def full(self, local):
        return "%s@%s" % (local, self.domain()) if "@" not in local else local

    def of(self, kind):
        return [local for k, local in self.objects if k == kind]

    def expected(self, key):
        """One object as a dump has it, or None."""
        o = copy.deepcopy(self.objects.get(key))
        if o is None:
            return None
        o.pop("Name", None)
        if key[0] == "group":
            o["Members"] = [self.full(m) for m in o["Members"]]
        if key[0] == "list":
            o["Owner"] = self.full(o["Owner"])
        return shown({k: v for k, v in o.items() if v or key[0] == "group"})

    def lines(self):
        """All of it by full names, as dumped() has it."""
        return {(kind, self.full(local) if local else self.domain()): self.expected((kind, local))
                for kind, local in self.objects}


class Shaper:
    """Makes one change of its domain at a time by `worker`, which asks, counts and knows what is acknowledged."""

    def __init__(self, worker, number, with_table):
        self.w, self.prefix = worker, "s%d" % number
        self.r = random.Random("shape %s %d" % (worker.run_.opt.seed, number))
        self.next, self.with_table, self.model = 0, with_table, None
        self.acked = set()  # commands of which one was acknowledged

    def done(self, verb, acked):
        if acked:
            self.acked.add(verb)

    def new(self):
        self.next += 1
        return "%s-%d" % (self.prefix, self.next)

    # ---- looking ----

    def ask(self, text):
        code, answer = self.w.surely(text)
        suite.check(code == 201 or "there is no such" in answer, "%s: %s %s", text, code, answer)
        return shown(parse(answer)) if code == 201 else None

    def look(self, key, name):
        """The object of that name as a dump would have it, None: there is none."""
        kind = key[0]
        if kind == "domain":
            info, o = self.ask("GetDomainInfo " + name), self.ask("GetDomainSettings " + name)
            if info is None:
                return None
            parts = {"IPAddresses": o.pop("IPAddresses", []), "Settings": o, "Aliases": self.ask("GetDomainAliases " + name),
                     "Suspended": "YES" if info["State"] == "suspended" else ""}
        elif kind == "account":
            parts = {"Settings": self.ask("GetAccountSettings " + name), "Aliases": self.ask("GetAccountAliases " + name),
                     "Rights": self.ask("GetAccountRights " + name)}
        elif kind == "group":
            return self.ask("GetGroup " + name)
        elif kind == "forwarder":
            parts = {"Address": self.ask("GetForwarder " + name)}
        else:
            parts = self.ask("GetList " + name) or {}
        found = {k: v for k, v in parts.items() if v}
        return found if found or (kind in ("domain", "account") and None not in parts.values()) else None

    def is_so(self, model, keys):
        return all(self.look(key, model.full(key[1]) if key[1] else model.domain()) == model.expected(key) for key in keys)

    def differs(self, model, keys):
        return "; ".join("%s is %s, not %s" % (key, self.look(key, model.full(key[1]) if key[1] else model.domain()),
                                               model.expected(key)) for key in keys)

    # ---- one change ----

    def change(self, command, after, *keys):
        """By this command the model becomes `after`; it is about these objects, under their old names or new ones."""
        before = self.model
        acked = self.w.change(command)
        self.done(command.split()[0], acked)
        for kind, local in keys:
            if kind == "account":
                self.w.settled(after.full(local))
        new = after.table == before.table and self.is_so(after, keys) if keys else self.table() == after.table
        old = not acked and not new and (self.is_so(before, keys) if keys else self.table() == before.table)
        suite.check(new or old, "%s: %sacknowledged; %s", command, "" if acked else "not ",
                    self.differs(after, keys) if keys else self.table())
        self.model = after if new else before

    def table(self):
        text = self.ask("GetRouterTable")
        return text.split("\n") if text else []

    def begin(self):
        """A domain with all that it is made with, and three accounts."""
        self.model, name = Model(None), self.new() + ".test"
        after = Model(name)
        after.objects["domain", ""].update(IPAddresses=["10.%s.0.%d" % (self.prefix[1:], self.next)],
                                           Settings={"MailToUnknown": "Discarded"})
        while self.model.domain() is None:
            self.birth("CreateDomain %s {IPAddresses=(%s);MailToUnknown=Discarded;}" % (
                name, quoted(after.objects["domain", ""]["IPAddresses"][0])), after, ("domain", ""))
        while len(self.model.of("account")) < 3:
            after, local = copy.deepcopy(self.model), self.new()
            after.objects["account", local] = {"Settings": {"RealName": local}}
            after.passwords[local] = "pw-" + local
            self.change("CreateAccount %s {Password=pw-%s;RealName=%s;}" % (after.full(local), local, local), after,
                        ("account", local))

    def must_have_done(self):
        """Commands that a run which is not short has acknowledged."""
        kinds = [verb + kind for kind in ("Group", "Forwarder", "List") for verb in ("Create", "Rename", "Delete")]
        return {"NEWPASS", "SetAccountAliases", "SetAccountRights", "SetAccountSettings", "UpdateAccountSettings", "SetGroup",
                "RenameDomain", "SuspendDomain", "ResumeDomain", "SetDomainAliases", "SetDomainSettings", "UpdateDomainSettings",
                *kinds, *["SetRouterTable"] * self.with_table}

    def check(self, found):
        """All of it in the objects of a dump, and nothing else in its domain; the passwords."""
        here = {key: value for key, value in found.items() if key[1].split("@")[-1] == self.model.domain()}
        suite.equal(here, self.model.lines(), "what %s has" % self.model.domain())
        for local, password in self.model.passwords.items():
            suite.check(self.opens(self.model.full(local), password), "%s has another password", local)

    def birth(self, command, after, key):
        acked = self.w.change(command)
        found = self.look(key, after.domain())
        suite.check(found == after.expected(key) or (found is None and not acked), "%s: %s", command, found)
        if found is not None:
            self.model = after

    def step(self):
        if self.model is None:
            self.begin()
        makers = [self.aliases, self.settings, self.rights, self.password, self.domain_aliases, self.domain_settings,
                  self.addresses, self.suspend, self.rename_domain, self.group, self.group, self.forwarder, self.mailing_list]
        self.r.choice(makers + [self.router] * self.with_table * 2)(copy.deepcopy(self.model))

    def any(self, m, kind):
        return self.r.choice(m.of(kind))

    # ---- accounts ----

    def aliases(self, m):
        local = self.any(m, "account")
        m.objects["account", local]["Aliases"] = [self.new() for _ in range(self.r.randrange(5))]
        self.change("SetAccountAliases %s %s" % (m.full(local), quoted(m.objects["account", local]["Aliases"])), m, ("account", local))

    def settings(self, m):
        local = self.any(m, "account")
        new = {k: CHOICES[k](self.r) for k in self.r.sample(sorted(CHOICES), self.r.randrange(1, len(CHOICES)))}
        was = m.objects["account", local].get("Settings", {})
        verb = self.r.choice(("Set", "Update"))
        if verb == "Set" and "Suspended" in was:  # which it leaves as it is, unless it is told
            new.setdefault("Suspended", "YES")
        m.objects["account", local]["Settings"] = new if verb == "Set" else {**was, **new}
        if "Suspended" in was and self.r.random() < 0.7:
            verb, new = "Update", {"Suspended": "default", "RealName": self.new()}
            m.objects["account", local]["Settings"] = {**was, "RealName": new["RealName"]}
            del m.objects["account", local]["Settings"]["Suspended"]
        self.change("%sAccountSettings %s %s" % (verb, m.full(local), quoted(new)), m, ("account", local))

    def rights(self, m):
        local = self.any(m, "account")
        m.objects["account", local]["Rights"] = self.r.sample(RIGHTS, self.r.randrange(len(RIGHTS)))
        self.change("SetAccountRights %s %s" % (m.full(local), quoted(m.objects["account", local]["Rights"])), m, ("account", local))

    def password(self, m):
        """By its owner, on the PWD port, or by the administrator."""
        local, new = self.any(m, "account"), "pw-" + self.new()
        name, old = m.full(local), m.passwords[local]
        if self.r.random() < 0.3 or "Suspended" in m.objects["account", local].get("Settings", {}) or self.suspended(m):
            acked = self.w.change("SetAccountPassword %s PASSWORD %s" % (name, new))
        else:
            acked = self.w.newpass(name, old, new)
            self.done("NEWPASS", acked)
        is_new = self.opens(name, new)
        suite.check(is_new or (not acked and self.opens(name, old)), "the password of %s is neither %s nor %s", name, old, new)
        suite.check(not is_new or not self.opens(name, old), "%s has two passwords", name)
        self.model.passwords[local] = new if is_new else old

    def opens(self, name, password):
        code, text = self.w.surely("VerifyAccountPassword %s PASSWORD %s" % (name, password))
        suite.check(code == 200 or "wrong" in text, "VerifyAccountPassword %s: %s", name, text)
        return code == 200

    # ---- the domain ----

    @staticmethod
    def suspended(m):
        return "Suspended" in m.objects["domain", ""]

    def domain_aliases(self, m):
        m.objects["domain", ""]["Aliases"] = [self.new() + ".test" for _ in range(self.r.randrange(4))]
        self.change("SetDomainAliases %s %s" % (m.domain(), quoted(m.objects["domain", ""]["Aliases"])), m, ("domain", ""))

    def domain_settings(self, m):
        new = {"MailToUnknown": self.r.choice(("Discarded", "Rejected")), "MailRerouteAddress": self.new() + "@elsewhere.test"}
        m.objects["domain", ""]["Settings"] = new
        self.change("SetDomainSettings %s %s" % (m.domain(), quoted(new)), m, ("domain", ""))

    def addresses(self, m):
        ips = ["10.%s.%d.%d" % (self.prefix[1:], i + 1, self.r.randrange(256)) for i in range(self.r.randrange(4))]
        m.objects["domain", ""]["IPAddresses"] = ips
        self.change("UpdateDomainSettings %s {IPAddresses=%s;}" % (m.domain(), quoted(ips)), m, ("domain", ""))

    def suspend(self, m):
        verb = "Resume" if m.objects["domain", ""].pop("Suspended", None) else "Suspend"
        if verb == "Suspend":
            m.objects["domain", ""]["Suspended"] = "YES"
        self.change("%sDomain %s" % (verb, m.domain()), m, ("domain", ""))

    def rename_domain(self, m):
        old = m.domain()
        m.objects["domain", ""]["Name"] = self.new() + ".test"
        self.change("RenameDomain %s INTO %s" % (old, m.domain()), m, *list(m.objects)[:4])
        gone = old if self.model is m else m.domain()
        suite.check(self.ask("GetDomainInfo " + gone) is None, "%s is there, too", gone)

    # ---- objects ----

    def group(self, m):
        new, old = self.new(), self.any(m, "group") if m.of("group") else None
        members = self.r.sample(m.of("account"), 2) + ["x%d@elsewhere.test" % self.next for _ in range(self.r.randrange(2))]
        value = {**FLAGS, "Expand": self.r.choice(("YES", "NO")), "EmailDisabled": self.r.choice(("YES", "NO")), "Members": members}
        text = quoted({**value, "Members": [m.full(x) for x in members]})
        if old is None or self.r.random() < 0.3:
            m.objects["group", new] = value
            self.change("CreateGroup %s %s" % (m.full(new), text), m, ("group", new))
        elif self.r.random() < 0.5:
            m.objects["group", old] = value
            self.change("SetGroup %s %s" % (m.full(old), text), m, ("group", old))
        else:
            self.move_or_delete(m, "Group", old, new)

    def forwarder(self, m):
        self.simple(m, "Forwarder", "TO", "Address", "y%d@elsewhere.test" % self.next)

    def mailing_list(self, m):
        self.simple(m, "List", "FOR", "Owner", self.any(m, "account"))

    def simple(self, m, kind, word, key, value):
        new, low = self.new(), kind.lower()
        old = self.any(m, low) if m.of(low) else None
        if old is None or self.r.random() < 0.4:
            m.objects[low, new] = {key: value}
            self.change("Create%s %s %s %s" % (kind, m.full(new), word, m.full(value)), m, (low, new))
        else:
            self.move_or_delete(m, kind, old, new)

    def move_or_delete(self, m, kind, old, new):
        key, key_new, full = (kind.lower(), old), (kind.lower(), new), m.full(old)
        value = m.objects.pop(key)
        if self.r.random() < 0.4:
            self.change("Delete%s %s" % (kind, full), m, key)
            return
        m.objects[key_new] = value
        self.change("Rename%s %s INTO %s" % (kind, full, m.full(new)), m, key, key_new)

    def router(self, m):
        m.table = ["<%s> = %s@elsewhere.test" % (self.new(), self.prefix) for _ in range(self.r.randrange(1, 30))]
        self.change('SetRouterTable "%s"' % "\\e".join(m.table), m)
