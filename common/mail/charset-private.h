/*
 * charset-private - what gen-charsets.py writes and charset.c reads.
 *
 * A table entry 0 means that the byte (pair) has no character.
 */
#pragma once

#include <stdint.h>

enum charset_kind {
	CHARSET_UTF8,
	CHARSET_ONE_BYTE,    /* table of 128 for 0x80..0xff; below is ASCII */
	CHARSET_TWO_BYTE,    /* table of 126 x 191 for leads 0x81..0xfe, trails 0x40..0xfe */
	CHARSET_SHIFT_JIS,   /* the same, and one-byte kana at 0xa1..0xdf */
	CHARSET_EUC_JP,      /* the same, and 0x8e kana */
	CHARSET_ISO_2022_JP, /* by escapes, the table is that of EUC-JP */
	CHARSET_UTF16,       /* by its mark, else big endian */
	CHARSET_UTF16LE,
	CHARSET_UTF16BE,
};

#define CHARSET_LEADS  126
#define CHARSET_TRAILS 191

struct charset {
	enum charset_kind kind;
	const uint16_t *table;
};

/* Names in lower case, in bytewise order. */
struct charset_name {
	const char *name;
	struct charset charset;
};

extern const struct charset_name charset_names[];
extern const unsigned charset_name_count;
