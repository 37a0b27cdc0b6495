/*
 * search-keys - what a SEARCH asks, as a tree, and the answer for one message from what is known of
 * it (RFC 3501 6.4.4; docs/imap-search.md decides what the RFCs leave open).
 *
 * Knowledge comes in steps, each costing more than the one before: the message's row, its facts,
 * its header, its text. After each step the tree is asked; MAYBE asks for the next step.
 */
#pragma once

#include "common/base/keyset.h"
#include "common/mail/facts.h"
#include "common/mail/fold.h"
#include "protocols/imap/set.h"

struct imap;
struct parse;

enum search_kind {
	SEARCH_ALL,
	SEARCH_AND, /* all of the list `a` */
	SEARCH_OR,  /* a or b */
	SEARCH_NOT, /* not a */
	SEARCH_FLAGS,
	SEARCH_RECENT,
	SEARCH_KEYWORD,
	SEARCH_LARGER,
	SEARCH_SMALLER,
	SEARCH_INTERNAL, /* dates: `cmp` and `day` */
	SEARCH_SENT,
	SEARCH_SAVED,
	SEARCH_OLDER,
	SEARCH_YOUNGER,
	SEARCH_MODSEQ,
	SEARCH_SET,
	SEARCH_EMAILID,
	SEARCH_THREADID,
	SEARCH_FIELD,  /* SUBJECT, FROM ...: the first field of that name */
	SEARCH_HEADER, /* any field of that name */
	SEARCH_BODY,
	SEARCH_TEXT,
};

enum search_cmp { SEARCH_BEFORE, SEARCH_ON, SEARCH_SINCE };

struct search_key {
	enum search_kind kind;
	struct search_key *next; /* in a list */
	struct search_key *made; /* the one made before */
	struct search_key *a, *b;
	uint32_t mask, want; /* flags */
	int bit;             /* keyword's number; -1: of no message */
	uint64_t n;          /* of an object id: its number, if `known` */
	bool known;          /* the object id is of our form; another is of no message */
	enum search_cmp cmp;
	int32_t day;    /* since 1970 */
	struct set set; /* uids, normalised */
	enum facts_field field;
	struct slice name;       /* of a header field */
	struct finder_word word; /* found: in the header or the text of the message at hand */
	bool in_header;          /* TEXT: found in a header */
};

struct search_keys {
	struct search_key root;  /* SEARCH_AND */
	struct search_key *made; /* the last of all, also of those that came to nothing */
	struct search_key **fields, **headers, **bodies, **texts, **sets; /* all of a kind */
	unsigned n_fields, n_headers, n_bodies, n_texts, n_sets, n;
	bool modseq; /* a MODSEQ key: the answer has one */
	bool sent;   /* a key about the Date field */
	int64_t now_s;
};

/*
 * Reads "[CHARSET x] key..." behind a blank. True, or false when the command was answered. Memory
 * is the command's arena, but for sets: search_keys_fini(), in any case.
 */
bool search_keys_parse(
    struct imap *s, struct parse *p, bool need_charset, struct search_keys *ret_keys);
void search_keys_fini(struct search_keys *k);

/* What all messages found have, for stored to look at fewer: flags, and uids when `*ret_uids`. */
void search_keys_narrow(const struct search_keys *k, uint32_t *ret_mask, uint32_t *ret_want,
    uint64_t *ret_since, const struct set **ret_uids);

enum search_answer { SEARCH_NO, SEARCH_YES, SEARCH_MAYBE };

struct search_msg {
	uint32_t uid, flags;
	bool recent;
	struct keyset keywords;
	uint64_t size, modseq, id, thread;
	int64_t date, saved;
	const struct facts_view *facts; /* NULL: not known (yet) */
	bool facts_lost;                /* there are none: the header and the text are read */
	bool header_known, text_known;  /* then `found` of the keys is of this message */
	bool has_date;                  /* from the header */
	struct mail_date sent;
};

enum search_answer search_eval(const struct search_keys *k, const struct search_msg *m);
/* What a MAYBE needs: the message's header, its text. Only with facts known or lost. */
void search_needs(
    const struct search_keys *k, const struct search_msg *m, bool *ret_header, bool *ret_text);

/* A new message: nothing was found in it yet. */
void search_keys_reset(struct search_keys *k);
/* The message's own header section. */
void search_match_header(struct search_keys *k, struct search_msg *m, struct slice block);
/* Any header section: for TEXT. */
void search_match_text_header(struct search_keys *k, struct slice block);
