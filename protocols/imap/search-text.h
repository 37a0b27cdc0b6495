/*
 * search-text - the strings of BODY and TEXT looked for in a message that passes in pieces.
 *
 * What is looked at is a list of ranges of octets made from the message's facts, or from its
 * structure, which somebody has parsed because facts were missing. Only the end of what went by is
 * kept (docs/imap-search.md, "Text of a part").
 */
#pragma once

#include "common/mail/mime.h"
#include "common/mail/transfer.h"
#include "protocols/imap/search-keys.h"

struct charset;

enum search_range_kind {
	SEARCH_RANGE_MAIN,   /* the message's header: for HEADER and for TEXT */
	SEARCH_RANGE_HEADER, /* of a part: for TEXT */
	SEARCH_RANGE_LEAF,
};

struct search_range {
	uint64_t start, end;
	enum search_range_kind kind;
	enum transfer transfer;
	const struct charset *charset;
};

struct search_ranges {
	struct search_range *v;
	size_t n;
};

/*
 * What of a message must be read: its header, its text, or both. False: not known from the facts,
 * the whole message is. The list is heap memory.
 */
bool search_ranges_make(const struct facts_view *facts, uint64_t size, bool header, bool text,
    struct search_ranges *ret_ranges);
/* The same from a structure. False without memory. */
bool search_ranges_parsed(const struct mime *m, bool text, struct search_ranges *ret_ranges);

struct search_text {
	struct search_keys *keys;
	struct search_msg *msg;
	struct search_ranges ranges; /* borrowed */
	size_t at;                   /* range */
	struct finder finder;
	struct finder_word *words; /* BODY, then TEXT */
	unsigned n_words;
	struct buf header, raw, octets, utf8;
	bool in_leaf;
	enum transfer transfer;
	const struct charset *charset;
};

/* Memory is kept from message to message. False without memory. */
bool search_text_init(struct search_text *t, struct search_keys *keys);
void search_text_fini(struct search_text *t);

/* A message begins. */
void search_text_begin(
    struct search_text *t, struct search_msg *msg, const struct search_ranges *ranges);
/* Octets of the message at `off`, ascending; those between the ranges may be left out. */
void search_text_feed(struct search_text *t, uint64_t off, struct slice bytes);
/* Everything came: `found` of the keys is right now. */
void search_text_end(struct search_text *t);
