"""relaxed - where Dovecot, on which the oracle is tried, differs from docs/imap-search.md; each with the RFC's sentence.

excuse(key, message): the server may answer differently for this message. A rule that is not needed is not here.
"""
import collections
import re

import mailtext

RULES = {
    "first-field": "3501 6.4.4: \"in the envelope structure's FROM field\"; Dovecot looks at every field of the name",
    "address-text": "3501 6.4.4: \"in the text of the header (what comes after the colon)\"; Dovecot searches addresses "
                    "in a form of its own",
    "blank": "5322 2.2.3: unfolded; blanks at the ends of a field's text, which Dovecot keeps, are no part of it here",
    "no-date": "3501 6.4.4: \"whose [RFC-2822] Date: header\"; Dovecot takes 1970 for a date that is missing, before it or after 2038",
    "unknown-word": "2047 6.2: an encoded word that cannot be shown stays as it is; Dovecot shows none of it",
    "odd-structure": "2045 6.4, 2046 5.1.1: an unknown encoding, one on message/rfc822, a multipart or a header that is broken; "
                     "Dovecot guesses otherwise",
    "or-unseen": "3501 6.4.4: OR is either; Dovecot begins OR UNSEEN ... at the first unseen message",
}
ADDRESS = {"from", "to", "cc", "bcc", "sender", "reply-to"}
PLAIN = re.compile(r"\s*(?:[\w ]+<[\w.+-]+@[\w.-]+>|[\w.+-]+@[\w.-]+)\s*")


class Nothing:
    """Gatehouse: the page holds."""

    def excuse(self, key, message):
        return False

    def any_excuse(self, key, messages):
        return False

    def refuses(self, key):
        return False

    def sortable(self, message, names):
        return True

    def saved_modseq(self):
        return False

    def describe(self):
        return ""


def leaves(key):
    if key[0] in ("and", "or", "not"):
        for k in key[1:]:
            yield from leaves(k)
    else:
        yield key


class Dovecot(Nothing):
    def __init__(self):
        self.used = collections.Counter()

    def describe(self):
        return "".join("\n%5d excused by %s" % (n, RULES[r]) for r, n in sorted(self.used.items()))

    def rule(self, key, m):
        name = key[0]
        field = key[1].lower() if name == "header" else name
        if any(not re.match(rb"[\x21-\x39\x3b-\x7e]+:|[ \t]", l) for l in m.data[:m.tree.body].split(b"\n") if l.strip()) and \
                (name in ("text", "header") or name.startswith("sent") or field in ADDRESS or name == "subject"):
            return "odd-structure"
        values = [v for n, v in m.tree.fields if n.lower() == field.encode("utf-8")]
        if name in ("from", "to", "cc", "bcc", "subject") and len(values) > 1:
            return "first-field"
        if field in ADDRESS and not (all(PLAIN.fullmatch(mailtext.decode_field(v)[0]) for v in values) and
                                     re.fullmatch(r"[\w.@]*", key[-1])):
            return "address-text"
        if (values or name == "text") and key[-1] != key[-1].strip():
            return "blank"
        if name == "text" and not re.fullmatch(r"\w*", key[-1]):
            return "address-text"
        if name in ("text", "body") and odd_structure(m):
            return "odd-structure"
        if name.startswith("sent") and (m.sent is None or not 86400 < m.moment < 1 << 31):
            return "no-date"
        if (values or name == "text") and any(unknown_word(v) for p in m.tree.walk() for _, v in p.fields):
            return "unknown-word"
        return None

    def excuse(self, key, message):
        if message is None:
            return False
        found = [r for r in (self.rule(k, message) for k in leaves(key)) if r]
        self.used.update(found[:1])
        return bool(found)

    def any_excuse(self, key, messages):
        return any(self.rule(k, m) for k in leaves(key) for m in messages)

    def refuses(self, key):
        return "unseen" in [k[0] for k in leaves(key)] and key[0] != "unseen"

    def sortable(self, message, names):
        if odd_structure(message):
            return False
        hangul = any(0xac00 <= ord(c) < 0xd7a4 for c in message.base)  # Dovecot takes syllables apart
        return 86400 < message.moment < 1 << 31 and not hangul and not any(unknown_word(v) for _, v in message.tree.fields)

    def saved_modseq(self):
        return True


def odd_structure(m):
    known = mailtext.PLAIN_ENCODINGS + ("base64", "quoted-printable")
    for p in m.tree.walk():
        head = p.data[p.start:p.body]
        lines = [l for l in head.replace(b"\r\n", b"\n").split(b"\n") if l]
        if p.encoding not in known or p.opaque or p.is_message and p.encoding not in mailtext.PLAIN_ENCODINGS or \
                any(not re.match(rb"[\x21-\x39\x3b-\x7e]+:|[ \t]", l) for l in lines) or p.depth > 20 or \
                (p.type == "multipart" and not p.children) or not head.endswith(b"\n\r\n") and head != b"\r\n" or \
                p.params.get("boundary", "").endswith("--"):
            return True
    return m.doubtful


def unknown_word(value):
    return any(mailtext.codec(m[1].decode("latin-1")) in (None, "?") for m in mailtext.WORD.finditer(mailtext.unfold(value)))
