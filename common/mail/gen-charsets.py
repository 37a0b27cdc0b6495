#!/usr/bin/python3
"""Writes the charset tables of common/mail from Python's codecs: gen-charsets.py OUTPUT.c"""
import sys

# Python's codec, then the names mail uses for it.
ONE = [
    ("iso8859-1", "iso-8859-1 iso8859-1 latin1 l1 iso_8859-1 cp819"),
    ("iso8859-2", "iso-8859-2 iso8859-2 latin2"),
    ("iso8859-3", "iso-8859-3 iso8859-3"),
    ("iso8859-4", "iso-8859-4 iso8859-4"),
    ("iso8859-5", "iso-8859-5 iso8859-5"),
    ("iso8859-6", "iso-8859-6 iso8859-6 iso-8859-6-i iso-8859-6-e"),
    ("iso8859-7", "iso-8859-7 iso8859-7"),
    ("iso8859-8", "iso-8859-8 iso8859-8 iso-8859-8-i iso-8859-8-e"),
    ("iso8859-9", "iso-8859-9 iso8859-9 latin5"),
    ("iso8859-10", "iso-8859-10 iso8859-10"),
    ("iso8859-11", "iso-8859-11 iso8859-11"),
    ("tis-620", "tis-620"),
    ("iso8859-13", "iso-8859-13 iso8859-13"),
    ("iso8859-14", "iso-8859-14 iso8859-14"),
    ("iso8859-15", "iso-8859-15 iso8859-15 latin9 latin-9"),
    ("iso8859-16", "iso-8859-16 iso8859-16"),
    ("cp874", "windows-874 cp874"),
    ("cp1250", "windows-1250 cp1250 cp-1250"),
    ("cp1251", "windows-1251 cp1251 cp-1251"),
    ("cp1252", "windows-1252 cp1252 cp-1252"),
    ("cp1253", "windows-1253 cp1253"),
    ("cp1254", "windows-1254 cp1254"),
    ("cp1255", "windows-1255 cp1255"),
    ("cp1256", "windows-1256 cp1256"),
    ("cp1257", "windows-1257 cp1257"),
    ("cp1258", "windows-1258 cp1258"),
    ("koi8-r", "koi8-r"),
    ("koi8-u", "koi8-u koi8-ru"),
    ("cp437", "ibm437 cp437"),
    ("cp850", "ibm850 cp850"),
    ("cp866", "ibm866 cp866"),
    ("mac-roman", "macintosh mac x-mac-roman"),
]
TWO = [
    ("gb18030", "TWO_BYTE", "gb18030 gbk gb2312 gb_2312-80 cp936 euc-cn x-gbk"),
    ("cp949", "TWO_BYTE", "euc-kr ks_c_5601-1987 ks_c_5601 cp949 ksc5601"),
    ("big5hkscs", "TWO_BYTE", "big5 big5-hkscs cp950"),
    ("cp932", "SHIFT_JIS", "shift_jis shift-jis sjis x-sjis cp932 windows-31j"),
    ("euc_jp", "EUC_JP", "euc-jp eucjp x-euc-jp"),
]
OTHER = [
    ("UTF8", "utf-8 utf8 us-ascii ascii ansi_x3.4-1968 unicode-1-1-utf-8"),
    ("UTF16", "utf-16 utf16 unicode iso-10646-ucs-2"),
    ("UTF16LE", "utf-16le"),
    ("UTF16BE", "utf-16be"),
]


def one(raw, codec):
    """The character, or 0: none, or none that fits one entry."""
    try:
        text = raw.decode(codec)
    except UnicodeDecodeError:
        return 0
    return ord(text) if len(text) == 1 and ord(text) < 0x10000 else 0


def table(out, name, values):
    out.write("static const uint16_t %s[%d] = {\n" % (name, len(values)))
    for i in range(0, len(values), 12):
        out.write("\t%s,\n" % ", ".join("0x%04x" % v for v in values[i:i + 12]))
    out.write("};\n\n")


def main():
    names = []
    with open(sys.argv[1], "w", encoding="ascii") as out:
        out.write('#include "common/mail/charset-private.h"\n\n')
        for i, (codec, aliases) in enumerate(ONE):
            table(out, "one_%d" % i, [one(bytes([b]), codec) for b in range(128, 256)])
            names += [(a, "ONE_BYTE", "one_%d" % i) for a in aliases.split()]
        for i, (codec, kind, aliases) in enumerate(TWO):
            values = [one(bytes([lead, trail]), codec)
                      for lead in range(0x81, 0xff) for trail in range(0x40, 0xff)]
            table(out, "two_%d" % i, values)
            names += [(a, kind, "two_%d" % i) for a in aliases.split()]
            if kind == "EUC_JP":
                names += [(a, "ISO_2022_JP", "two_%d" % i) for a in ("iso-2022-jp", "iso-2022-jp-1")]
        for kind, aliases in OTHER:
            names += [(a, kind, "NULL") for a in aliases.split()]
        out.write("const struct charset_name charset_names[] = {\n")
        for alias, kind, values in sorted(names):
            values = "0" if values == "NULL" else values
            out.write('\t{ "%s", { CHARSET_%s, %s } },\n' % (alias, kind, values))
        out.write("};\n\nconst unsigned charset_name_count = %d;\n" % len(names))
    return 0


if __name__ == "__main__":
    sys.exit(main())
