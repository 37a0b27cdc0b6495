/*
 * data - values of the administration protocol: strings, arrays, dictionaries and the marked kinds.
 *
 *     value := atom | "string" | ( value , ... ) | { key = value; ... } | [base64] | #number
 *              | #Tstamp | #I[address]:port | #NULL# | <xml>...</xml>
 *
 * Pure, linear, bounded by DATA_DEPTH_MAX and DATA_VALUES_MAX. A parsed value lives in the arena it
 * was parsed into.
 */
#pragma once

#include "common/base/addr.h"
#include "common/base/arena.h"
#include "common/base/buf.h"

enum { DATA_DEPTH_MAX = 32, DATA_VALUES_MAX = 100000 };

enum data_kind {
	DATA_STRING,
	DATA_ARRAY,
	DATA_DICT,
	DATA_BLOCK,
	DATA_NUMBER,
	DATA_STAMP,
	DATA_IP,
	DATA_NULL,
	DATA_XML /* one element, kept as it is */
};

struct data {
	enum data_kind kind;
	struct slice text;  /* string; block's bytes; the others as written */
	struct slice key;   /* in a dictionary */
	struct data *first; /* of an array or dictionary */
	struct data *next;  /* in the same */
	bool quoted;        /* DATA_STRING: it stood in quotes, and is no keyword */
	int64_t number;     /* DATA_NUMBER; DATA_STAMP: seconds since 1970 */
	struct addr addr;   /* DATA_IP; port 0 when there is none */
};

/*
 * Parses one value at the start of `in` and advances it. NULL with a fixed text in *ret_why when it
 * is malformed or too big.
 */
struct data *data_parse(struct arena *a, struct slice *in, const char **ret_why);

/* One word of a command: an atom or a string, as DATA_STRING; anything else as it is. Skips blanks.
 */
struct data *data_parse_word(struct arena *a, struct slice *in, const char **ret_why);

void data_skip_blanks(struct slice *in);

/* Value of a key (in any case) of a dictionary, NULL when absent or `d` is no dictionary. */
const struct data *data_get(const struct data *d, const char *key);

/* A string as an atom where letters and digits are all there is, else quoted. */
void data_put_string(struct buf *b, struct slice s);
/* Always quoted: a word of a command that is no keyword. */
void data_put_quoted(struct buf *b, struct slice s);
void data_put_number(struct buf *b, uint64_t v);
void data_put_stamp(struct buf *b, int64_t unix_s);
void data_put_ip(struct buf *b, const struct addr *a);
void data_put_block(struct buf *b, struct slice bytes);
/* Any value; data_parse() makes the same of it again. */
void data_put(struct buf *b, const struct data *d);

/* Elements of arrays and dictionaries one after the other: first says whether it is the first one.
 */
void data_put_item(struct buf *b, bool *first, struct slice s);
void data_put_pair(struct buf *b, const char *key, struct slice s);
