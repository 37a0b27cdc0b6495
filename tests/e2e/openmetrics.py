"""openmetrics - a strict reader of OpenMetrics text 1.0, as far as the suite writes it, and the request for it."""
import os
import re
import socket

from suite import A1, Failed, check, equal

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(r'(%s)(?:\{((?:%s="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (-?\d+)' % (NAME, NAME))
ENDS = {"counter": "_total", "gauge": "", "info": "_info"}


def parse(text):
    """{family: (type, {labels as a sorted tuple of pairs: value})}; anything out of form fails."""
    check(text.endswith("\n# EOF\n") or text == "# EOF\n", "the end is %r", text[-40:])
    families, kind, name = {}, None, None
    for line in text.split("\n")[:-2]:
        m = re.fullmatch(r"# (TYPE|UNIT|HELP) (%s) (.+)" % NAME, line)
        if m:
            what, about, rest = m.groups()
            if what == "TYPE":
                check(about not in families, "family %s comes twice", about)
                check(rest in ENDS, "type %s", rest)
                name, kind = about, rest
                families[name] = (kind, {})
            check(about == name, "%s of %s among %s", what, about, name)
            if what == "UNIT":
                check(name.endswith("_" + rest), "unit %s of %s", rest, name)
            check(not (what != "TYPE" and families[name][1]), "%s after samples", what)
            continue
        m = SAMPLE.fullmatch(line)
        if not m:
            raise Failed("a line is out of form: %r" % line)
        check(m[1] == (name or "") + ENDS[kind], "sample %s in family %s", m[1], name)
        labels = tuple(sorted(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', m[2] or "")))
        check(labels not in families[name][1], "%s comes twice", line)
        check(kind != "counter" or int(m[3]) >= 0, "a counter below nought: %s", line)
        families[name][1][labels] = int(m[3])
    return families


def value(families, name, **labels):
    """The sum of the samples that have these labels; 0 when there is none."""
    samples = families.get("gatehouse_" + name, (None, {}))[1]
    return sum(v for have, v in samples.items() if set(labels.items()) <= set(have))


def http(s, request=None, tcp=None):
    """(status, headers, body) of one request to the Unix socket, or to a port."""
    with socket.socket(socket.AF_INET if tcp else socket.AF_UNIX) as c:
        c.settimeout(20)
        c.connect((A1, tcp) if tcp else os.path.join(s.dir, "run", "metrics.sock"))
        c.sendall(request or b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        got = b""
        while True:
            data = c.recv(65536)
            if not data:
                break
            got += data
    head, body = got.split(b"\r\n\r\n", 1)
    lines = head.decode().split("\r\n")
    return int(lines[0].split()[1]), dict(line.lower().split(": ", 1) for line in lines[1:]), body


def scrape(s):
    status, headers, body = http(s)
    equal(status, 200, "status")
    equal(int(headers["content-length"]), len(body), "length")
    return parse(body.decode())
