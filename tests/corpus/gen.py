#!/usr/bin/python3
"""Makes test messages from a seed: same seed and count, same bytes, on every machine.

    gen.py --seed 1 --count 200 --out DIR           one file per message, CR LF lines
    gen.py --seed 1 --count 500 --bench --pack FILE bench messages of 4 to 30 KiB, dot-stuffed and
                                                    ended by CRLF.CRLF, with FILE.idx (offset,
                                                    bytes on the wire, bytes of the message)

Two families: torture() covers shapes (headers, languages, charsets, depth, line lengths, dots, ends),
bench() only realistic sizes. Nothing here depends on time, locale or dictionary order.
"""
import argparse
import base64
import os
import quopri
import random

CRLF = b"\r\n"

# language, charset, transfer encoding, words
TONGUES = [
    ("en", "us-ascii", "7bit", "river stone letter garden seven winter candle harbour quiet mirror bread"),
    ("de", "iso-8859-1", "quoted-printable", "Straße Mühle Gärten schön größer Übung leise Fluss Äpfel"),
    ("fr", "utf-8", "quoted-printable", "forêt été cœur naïf leçon où château âge déjà août"),
    ("pl", "iso-8859-2", "base64", "źródło łąka żółty świat dąb gęś ćma ołówek"),
    ("ru", "koi8-r", "base64", "река камень письмо сад зима свеча гавань зеркало хлеб"),
    ("ru", "windows-1251", "8bit", "дорога облако ветер поле книга вечер снег"),
    ("el", "iso-8859-7", "8bit", "ποτάμι πέτρα γράμμα κήπος χειμώνας κερί καθρέφτης"),
    ("he", "iso-8859-8", "base64", "נהר אבן מכתב גן חורף נר ראי לחם"),
    ("ar", "utf-8", "base64", "نهر حجر رسالة حديقة شتاء شمعة مرآة خبز"),
    ("ja", "iso-2022-jp", "7bit", "川 石 手紙 庭 冬 ろうそく 港 鏡 パン 静か"),
    ("ja", "shift_jis", "base64", "山 海 空 電車 時計 図書館 りんご"),
    ("zh", "gb2312", "8bit", "河流 石头 信件 花园 冬天 蜡烛 镜子 面包"),
    ("zh", "utf-8", "8bit", "山谷 月亮 桥梁 森林 🌲 城市 🚲 海洋"),
    ("ko", "euc-kr", "base64", "강 돌 편지 정원 겨울 촛불 거울 빵"),
    ("hi", "utf-8", "quoted-printable", "नदी पत्थर पत्र बगीचा सर्दी मोमबत्ती"),
    ("en", "utf-16", "base64", "orchard lantern copper meadow ribbon"),
]
MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
DAYS = "Mon Tue Wed Thu Fri Sat Sun".split()


def text(rng, words, size):
    """Prose of about `size` characters in lines of at most some 70 characters."""
    pool = words.split()
    lines, line, total = [], "", 0
    while total < size:
        if line and len(line) > rng.randint(40, 66):
            lines.append(line)
            total += len(line) + 2
            line = ""
            if rng.random() < 0.08:
                lines.append("")
        line = (line + " " + rng.choice(pool)) if line else rng.choice(pool)
    if line:
        lines.append(line)
    return "\n".join(lines) + "\n"


def crlf(data):
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", CRLF)


def encode(data, how):
    if how == "base64":
        return crlf(base64.encodebytes(data))
    if how == "quoted-printable":
        return crlf(quopri.encodestring(data))
    return crlf(data)


def word2047(rng, words, charset):
    chosen = " ".join(rng.choice(words.split()) for _ in range(3))
    raw = chosen.encode(charset, "replace")
    if charset == "us-ascii":
        return raw
    return b"=?" + charset.encode() + b"?B?" + base64.b64encode(raw) + b"?="


def head(rng, words="note", charset="us-ascii", extra=()):
    n = rng.randrange(10 ** 9)
    date = "%s, %d %s %d %02d:%02d:%02d %s" % (
        rng.choice(DAYS), rng.randint(1, 28), rng.choice(MONTHS), rng.randint(1994, 2026),
        rng.randrange(24), rng.randrange(60), rng.randrange(60),
        rng.choice(["+0000", "-0800", "+0530", "GMT", "+1345", "-0000"]))
    lines = [b"From: " + word2047(rng, words, charset) + b" <s%d@sender.example>" % n,
             b"To: " + rng.choice([b"u1@example.test", b"\"a, b\" <u1@example.test>, u2@example.test",
                                   b"Friends: u1@example.test, u2@example.test;",
                                   b"undisclosed-recipients:;"]),
             b"Subject: " + word2047(rng, words, charset),
             b"Date: " + date.encode(),
             b"Message-ID: <%d.%d@sender.example>" % (n, rng.randrange(10 ** 6))]
    if rng.random() < 0.4:
        refs = b"\r\n ".join(b"<%d@sender.example>" % rng.randrange(10 ** 6)
                             for _ in range(rng.randint(1, 12)))
        lines.append(b"References: " + refs)
    if rng.random() < 0.3:
        lines.append(b"List-Id: <list%d.sender.example>" % (n % 7))
    lines += list(extra)
    rng.shuffle(lines)
    return CRLF.join(lines) + CRLF


def leaf(rng, size):
    """One text part, with its Content- header lines."""
    _, charset, how, words = rng.choice(TONGUES)
    raw = text(rng, words, size).encode(charset, "replace")
    return (b"Content-Type: text/" + rng.choice([b"plain", b"html"]) + b"; charset=" + charset.encode()
            + b"\r\nContent-Transfer-Encoding: " + how.encode() + b"\r\n\r\n" + encode(raw, how))


def blob(rng, size):
    raw = rng.randbytes(size)
    name = "file%d.bin" % rng.randrange(1000)
    return (b"Content-Type: application/octet-stream; name=" + name.encode()
            + b"\r\nContent-Disposition: attachment; filename*=utf-8''f%C3%BCr-" + name.encode()
            + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encode(raw, "base64"))


def multipart(rng, parts, subtype):
    mark = b"=_%d_%s" % (rng.randrange(10 ** 9), b"x" * rng.randint(0, 40))
    body = b"".join(b"--" + mark + CRLF + p + CRLF for p in parts)
    return (b"Content-Type: multipart/" + subtype + b"; boundary=\"" + mark + b"\"\r\n\r\n"
            + body + b"--" + mark + b"--\r\n")


def mime(rng, part, extra=()):
    """A message around a part; the part begins with its own Content- lines."""
    _, charset, _, words = rng.choice(TONGUES)
    return head(rng, words, charset, (b"MIME-Version: 1.0",) + tuple(extra)) + part


def t_plain(rng):
    return mime(rng, leaf(rng, rng.randint(1, 6000)))


def t_alternative(rng):
    return mime(rng, multipart(rng, [leaf(rng, 900), leaf(rng, 2500)], b"alternative"))


def t_attachment(rng):
    return mime(rng, multipart(rng, [leaf(rng, 500), blob(rng, rng.randint(0, 20000))], b"mixed"))


def t_large(rng):
    return mime(rng, multipart(rng, [leaf(rng, 500), blob(rng, rng.randint(200000, 700000))], b"mixed"))


def t_deep(rng):
    part = leaf(rng, 100)
    for _ in range(rng.choice([3, 10, 30, 101])):
        part = multipart(rng, [part], rng.choice([b"mixed", b"related", b"digest"]))
    return mime(rng, part)


def t_message(rng):
    inner = t_plain(rng)
    for _ in range(rng.randint(0, 6)):
        inner = mime(rng, b"Content-Type: message/rfc822\r\n\r\n" + inner)
    return inner


def t_broken_mime(rng):
    whole = multipart(rng, [leaf(rng, 300), leaf(rng, 300)], b"mixed")
    return mime(rng, whole[:rng.randint(60, len(whole) - 2)])


def t_long_lines(rng):
    lines = [bytes([rng.choice(b"abcdefgh \t")]) * n for n in (998, 997, 996, 998, 1, 0, 76, 998)]
    rng.shuffle(lines)
    return head(rng) + CRLF + CRLF.join(lines) + CRLF


def t_raw_8bit(rng):
    pool = [b for b in range(1, 256) if b not in (10, 13)]
    lines = [bytes(rng.choice(pool) for _ in range(rng.randint(0, 200))) for _ in range(20)]
    return head(rng) + b"X-Raw: gr\xfc\xdfe \xff\xfe\r\n\r\n" + CRLF.join(lines) + CRLF


def t_dots(rng):
    lines = [rng.choice([b".", b"..", b"...", b".a", b"a.", b". ", b" .", b".\t", b"", b".." * 30])
             for _ in range(rng.randint(3, 60))]
    return head(rng) + CRLF + CRLF.join(lines) + CRLF


def t_dot_last(rng):
    return head(rng) + b"\r\ntext\r\n" + rng.choice([b".\r\n", b"..\r\n", b"\r\n\r\n\r\n", b".\r\n.\r\n"])


def t_no_final_crlf(rng):
    return head(rng) + b"\r\nthe last line is open" + rng.choice([b"", b".", b"\r\n.", b" "])


def t_empty_body(rng):
    return head(rng) + rng.choice([CRLF, CRLF, b"\r\n\r\n"])


def t_no_blank_line(rng):
    return head(rng)


def t_no_header(rng):
    return CRLF + text(rng, TONGUES[0][3], 200).encode().replace(b"\n", CRLF)


def t_huge_header(rng):
    folded = b"X-Folded: " + b"\r\n\t".join(b"v%d" % rng.randrange(10 ** 6) for _ in range(5000))
    many = CRLF.join(b"X-Many-%d: %d" % (i, rng.randrange(99)) for i in range(rng.choice([200, 900])))
    to = b"Cc: " + b",\r\n ".join(b"p%d@sender.example" % i for i in range(400))
    return head(rng, extra=(folded, many, to)) + b"\r\nsmall body\r\n"


def t_odd_headers(rng):
    odd = (b"X-Empty:", b"X-Blank:   ", b"NoColonHere", b"X Space : yes", b"Subject: twice",
           b"From: =?utf-8?Q?=C3?= =?utf-8?Q?=A9?= <broken@sender.example>",
           b"Content-Type: text/plain; charset=\"nosuch-9\"", b"X-Tab:\tvalue\t", b"Date: yesterday",
           b"Received: from a (b [192.0.2.1]) by c; nonsense", b":nameless", b"X-8bit: \xe9\xa9")
    return head(rng, extra=rng.sample(odd, 6)) + b"\r\nodd\r\n"


def t_looks_like_mbox(rng):
    return head(rng) + b"\r\nFrom here on\r\n>From there\r\n\r\nFrom a@b Mon Jan  1 00:00:00 2024\r\nX: y\r\n"


TORTURE = [t_plain, t_alternative, t_attachment, t_deep, t_message, t_broken_mime, t_long_lines,
           t_raw_8bit, t_dots, t_dot_last, t_no_final_crlf, t_empty_body, t_no_blank_line, t_no_header,
           t_huge_header, t_odd_headers, t_looks_like_mbox]


def torture(seed, count):
    """Yields (name, bytes); every shape in turn, one message in fifty large."""
    for i in range(count):
        rng = random.Random("torture %s %d" % (seed, i))
        make = t_large if i % 50 == 49 else TORTURE[i % len(TORTURE)]
        yield "gen-%s-%04d-%s" % (seed, i, make.__name__[2:]), make(rng)


def bench(seed, count, low=4096, high=30 * 1024):
    """Yields (name, bytes): text with or without an attachment, sizes log-uniform in [low, high]."""
    for i in range(count):
        rng = random.Random("bench %s %d" % (seed, i))
        want = int(low * (high / low) ** rng.random())
        if rng.random() < 0.5:
            msg = mime(rng, leaf(rng, want // 2))
        else:
            msg = mime(rng, multipart(rng, [leaf(rng, 700), blob(rng, want // 2)], b"mixed"))
        while len(msg) < want:
            msg += text(rng, TONGUES[0][3], min(want - len(msg), 2000)).encode().replace(b"\n", CRLF)
        yield "bench-%s-%05d" % (seed, i), msg


def stuffed(msg):
    """The message as it follows 354: lines starting with a dot doubled, closed by CRLF.CRLF."""
    if not msg.endswith(CRLF):
        msg += CRLF
    if msg.startswith(b"."):
        msg = b"." + msg
    return msg.replace(b"\r\n.", b"\r\n..") + b".\r\n"


def pack(messages, path):
    """Writes stuffed messages to path and 'offset wire_bytes message_bytes' lines to path.idx."""
    at, total = 0, 0
    with open(path, "wb") as out, open(path + ".idx", "w") as idx:
        for _, msg in messages:
            wire = stuffed(msg)
            out.write(wire)
            idx.write("%d %d %d\n" % (at, len(wire), len(msg)))
            at += len(wire)
            total += len(msg)
    return total


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--seed", default="1")
    p.add_argument("--count", type=int, default=200)
    p.add_argument("--bench", action="store_true")
    p.add_argument("--out")
    p.add_argument("--pack")
    a = p.parse_args()
    messages = (bench if a.bench else torture)(a.seed, a.count)
    if a.pack:
        print("%d bytes in %d messages" % (pack(messages, a.pack), a.count))
    else:
        os.makedirs(a.out or p.error("--out or --pack"), exist_ok=True)
        for name, msg in messages:
            with open(os.path.join(a.out, name + ".eml"), "wb") as f:
                f.write(msg)


if __name__ == "__main__":
    main()
