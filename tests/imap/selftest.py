#!/usr/bin/python3
"""The judges' own parser: what it must take, what it must refuse. Needs no server.

    selftest.py
"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import grammar  # noqa: E402
import lexer  # noqa: E402


def lit(data, eight=False):
    value = lexer.Literal(data)
    value.eight = eight
    return value


ENV = b'(NIL "s" NIL NIL NIL NIL NIL NIL NIL "<a@b>")'
TEXT = b'("TEXT" "PLAIN" ("CHARSET" "x") NIL NIL "7BIT" 5 1)'
GOOD = [
    [b"a1 OK done"], [b"a1 OK [UIDNEXT 5] done"], [b"* BYE x"], [b"+ go on"], [b"+ "],
    [b"* OK [PERMANENTFLAGS (\\Seen \\* $x)] y"], [b"* OK [BADCHARSET (US-ASCII UTF-8)] y"], [b"* NO [BADCHARSET] y"],
    [b"* OK [COPYUID 1 1:3 4,6,5] y"], [b"* OK [APPENDUID 38505 3955:3957] y"], [b"* OK [MODIFIED 7,9] y"],
    [b"* FLAGS ()"], [b"* CAPABILITY IMAP4rev1 X=Y+"], [b"* 3 EXISTS"], [b"* 0 RECENT"], [b"* 3 expunge"],
    [b"* SEARCH"], [b"* SEARCH 1 2"], [b"* SEARCH 1 2 (MODSEQ 9)"], [b"* SORT 3 1"], [b"* VANISHED (EARLIER) 1:3,7"],
    [b"* ESEARCH (TAG \"a\") UID COUNT 0"], [b"* ESEARCH"], [b"* ESEARCH UID ALL 1:3 MODSEQ 4"],
    [b'* LIST (\\HasNoChildren) "/" "a b"'], [b"* LIST () NIL INBOX"], [b'* LIST () "/" a ("CHILDINFO" ("SUBSCRIBED"))'],
    [b"* LIST () \"/\" ", lit(b"a&-b")], [b"* STATUS a (MESSAGES 1 UIDNEXT 2)"], [b"* STATUS a ()"],
    [b"* THREAD"], [b"* THREAD (1)(2 3 (4)(5 6))((7)(8))"], [b'* NAMESPACE (("" "/")) NIL NIL'],
    [b'* ID ("name" "x" "y" NIL)'], [b"* ID NIL"], [b'* QUOTA "" (STORAGE 1 2)'], [b"* QUOTAROOT INBOX \"\""],
    [b"* ENABLED"], [b"* ENABLED QRESYNC"],
    [b"* 1 FETCH (FLAGS (\\Seen a) UID 3 MODSEQ (4))"], [b"* 1 FETCH (BODY[] ", lit(b"abc"), b")"],
    [b"* 1 FETCH (BINARY[1.2]<3> ", lit(b"a\0c", True), b" BINARY.SIZE[1] 3)"],
    [b'* 1 FETCH (INTERNALDATE " 1-Jan-2024 10:00:00 +0000")'], [b'* 1 FETCH (BODY[1.MIME] "" BODY[TEXT]<0> NIL)'],
    [b'* 1 FETCH (BODY[HEADER.FIELDS (From "To")] "x")'], [b"* 1 FETCH (ENVELOPE " + ENV + b")"],
    [b"* 1 FETCH (BODY " + TEXT + b")"], [b"* 1 FETCH (BODYSTRUCTURE (" + TEXT + TEXT + b' "MIXED" ("a" "b") NIL "en" NIL))'],
    [b'* 1 FETCH (BODY ("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 5 ' + ENV + b" " + TEXT + b" 1))"],
    [b'* 1 FETCH (BODYSTRUCTURE ("A" "B" NIL NIL NIL "7BIT" 5 NIL ("inline" ("f" ', lit(b"\xff"), b')) ("en" "de") "l" (1 NIL)))'],
    [b"* 1 FETCH (EMAILID (M1) THREADID NIL SAVEDATE NIL PREVIEW \"x\")"],
]
BAD = [
    [b""], [b"a1 OK"], [b"a1 OK "], [b"a1 OK [UIDNEXT 0] x"], [b"a1 OK [NEW] x"], [b"a1 OK [UIDNEXT 5]x"], [b"*  3 EXISTS"],
    [b"* 3 EXISTS "], [b"* 03 EXISTS"], [b"* -1 EXISTS"], [b"* 4294967296 EXISTS"], [b"* 0 EXPUNGE"], [b"* 3 GONE"], [b"* NEW x"],
    [b"* FLAGS (\\Seen  a)"], [b"* FLAGS (\\*)"], [b"* SEARCH "], [b"* SEARCH 0"], [b"* SEARCH 1  2"], [b"* SEARCH (MODSEQ 0)"],
    [b"* ESEARCH (TAG a) ALL 1"], [b"* ESEARCH ALL 1:*"], [b"* ESEARCH MIN 1 MIN 2"], [b"* ESEARCH MIN 0"], [b"* VANISHED"],
    [b"* VANISHED 1:*"], [b"* VANISHED 0"], [b"* OK [COPYUID 1 1:3 4] y"], [b"* STATUS a (MESSAGES 1 MESSAGES 1)"],
    [b"* STATUS a (BOO 1)"], [b'* LIST () "//" a'], [b"* LIST () \"/\" a&AGE-b"], [b"* LIST () \"/\" a&b"], [b"* LIST () / a"],
    [b"* LIST () \"/\" \"a\xc3\xa4\""], [b"* THREAD ()"], [b"* THREAD (1 (2))"], [b"* THREAD ((1))"], [b"* THREAD (1)(2) "],
    [b'* NAMESPACE NIL NIL'], [b'* ID (name "x")'], [b'* ID ("name")'], [b"* 1 FETCH ()"], [b"* 1 FETCH (UID 1 UID 1)"],
    [b"* 1 FETCH (BOO 1)"], [b"* 1 FETCH (MODSEQ 4)"], [b'* 1 FETCH (INTERNALDATE "1-Jan-2024 10:00:00 +0000")'],
    [b"* 1 FETCH (BODY[] abc)"], [b'* 1 FETCH (BODY[] "a\\b")'], [b"* 1 FETCH (BODY[] ", lit(b"a\0c"), b")"],
    [b"* 1 FETCH (BODY[] ", lit(b"a", True), b")"], [b'* 1 FETCH (BODY[MIME] "")'], [b'* 1 FETCH (BODY[0] "")'],
    [b"* 1 FETCH (ENVELOPE " + ENV.replace(b"NIL ", b"() ", 1) + b")"], [b"* 1 FETCH (ENVELOPE " + ENV.replace(b"NIL ", b"", 1) + b")"],
    [b"* 1 FETCH (BODY (" + TEXT + TEXT + b' "MIXED" NIL))'], [b"* 1 FETCH (BODY (" + TEXT + b' ' + TEXT + b' "MIXED"))'],
    [b'* 1 FETCH (BODYSTRUCTURE ("TEXT" "PLAIN" () NIL NIL "7BIT" 5 1))'], [b'* 1 FETCH (BODY ("TEXT" "PLAIN" NIL NIL NIL "7BIT" 5))'],
    [b'* 1 FETCH (BODY ("A" "B" NIL NIL NIL "7BIT" 5 1))'], [b'* 1 FETCH (BODY ("A" "B" ("x") NIL NIL "7BIT" 5))'],
    [b'* 1 FETCH (BODY ("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 5))'], [b'* 1 FETCH (FLAGS (\\Seen)UID 3)'], [b"* 1 FETCH (FLAGS (\\Seen) )"],
]


def main():
    passed = failed = 0
    for want, rows in ((True, GOOD), (False, BAD)):
        for pieces in rows:
            try:
                grammar.parse([p for p in pieces if p or isinstance(p, lexer.Literal)])
                taken = True
            except grammar.Ungrammatical:
                taken = False
            passed += taken == want
            failed += taken != want
            if taken != want:
                print("FAILED: %s: %r" % ("refused" if want else "taken", pieces))
    for name in ("a&b", "Entwürfe", "日本/語&", "~peter/mail/台北/日本語", "&-", "a\U0001f332b"):
        raw = lexer.utf7_encode(name)
        good = lexer.utf7_decode(raw) == name
        passed, failed = passed + good, failed + (not good)
    print("%d passed, %d failed" % (passed, failed))
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
