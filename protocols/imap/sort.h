/*
 * sort - SORT and THREAD (RFC 5256) of messages that a search found: what is kept of each, and the
 * order or the threads that come of it. Pure. docs/imap-search.md says what is compared.
 */
#pragma once

#include "common/mail/facts.h"
#include "protocols/imap/search-keys.h"

struct parse;

enum sort_field {
	SORT_ARRIVAL,
	SORT_CC,
	SORT_DATE,
	SORT_FROM,
	SORT_SIZE,
	SORT_SUBJECT,
	SORT_TO,
	SORT_FIELDS,
};

enum sort_thread { SORT_THREAD_NONE, SORT_THREAD_REFERENCES, SORT_THREAD_SUBJECT };

/* Texts of a row, in the order of sort_rows.texts; a text is u32 length and octets. */
enum sort_text {
	SORT_TEXT_SUBJECT, /* folded, as the next three */
	SORT_TEXT_FROM,
	SORT_TEXT_TO,
	SORT_TEXT_CC,
	SORT_TEXT_ID,   /* message id */
	SORT_TEXT_REFS, /* texts of u32 length and octets */
	SORT_TEXTS,
};

enum { SORT_NO_TEXT = UINT32_MAX, SORT_UNREADABLE = UINT32_MAX - 1 };

struct sort_row {
	uint32_t uid;
	bool reply;
	uint64_t size;
	int64_t arrival, date; /* date: the message's, else arrival */
	uint32_t text;         /* offset of its first text, or SORT_NO_TEXT, SORT_UNREADABLE */
};

struct sort_rows {
	struct sort_row *v;
	size_t n, cap;
	bool failed;
	struct {
		enum sort_field field;
		bool reverse;
	} by[SORT_FIELDS];
	unsigned n_by;
	enum sort_thread how;
	unsigned texts; /* bits of sort_text that are kept */
	bool facts;     /* facts are needed */
	struct buf strings;
	struct buf thread_text; /* "(1 2)(3)" */
	/* while keys are gathered */
	size_t at;
	struct facts_maker *maker;
};

void sort_rows_init(struct sort_rows *r);
void sort_rows_fini(struct sort_rows *r);

/* "(" [REVERSE] key ... ")": sets the order; errors are the cursor's. */
void sort_parse(struct parse *p, struct sort_rows *ret_rows);
void sort_for_thread(struct sort_rows *r, enum sort_thread how);

/* In any order. Without memory `failed` is set. */
void sort_rows_add(struct sort_rows *r, const struct search_msg *m);
/* All were added: by uid, so that keys can be gathered page by page. */
void sort_rows_settle(struct sort_rows *r);
/* The keys of row i; NULL: the message is gone, nothing is known. */
void sort_rows_facts(struct sort_rows *r, size_t i, const struct facts_view *facts);
/* Into the order asked for. */
void sort_rows_sort(struct sort_rows *r);

struct slice sort_row_text(const struct sort_rows *r, size_t i, enum sort_text which);

static inline uint32_t sort_rows_uid(const struct sort_rows *r, size_t i)
{
	return r->v[i].uid;
}

/*
 * Makes r->thread_text of settled rows with their keys; `number` of a row is what the client is
 * shown. False without memory.
 */
bool sort_thread(struct sort_rows *r, uint32_t (*number)(void *arg, uint32_t uid), void *arg);
