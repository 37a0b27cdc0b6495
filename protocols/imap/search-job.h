/*
 * search-job - SEARCH, SORT and THREAD while they run: rows page by page, facts and bodies of those
 * that the rows do not decide, then what is made of the messages found.
 *
 * Answers of stored come in the order of asking; bodies are asked for ahead. Memory holds one page
 * of candidates, the messages found, and for SORT and THREAD a row and its strings for each.
 */
#pragma once

#include "protocols/imap/imap-private.h"
#include "protocols/imap/search-text.h"
#include "protocols/imap/sort.h"

enum search_return {
	SEARCH_RETURN_MIN = 1 << 0,
	SEARCH_RETURN_MAX = 1 << 1,
	SEARCH_RETURN_ALL = 1 << 2,
	SEARCH_RETURN_COUNT = 1 << 3,
	SEARCH_RETURN_SAVE = 1 << 4,
};

enum search_want { SEARCH_WANT_SEARCH, SEARCH_WANT_SORT, SEARCH_WANT_THREAD };

/* A message that its row did not decide. */
struct search_todo {
	struct search_msg msg;
	struct search_ranges ranges;
	bool whole;  /* no ranges: all of it is read once to find them */
	bool text;   /* not only its header */
	bool body;   /* facts did not decide it either */
	bool lost;   /* it cannot be read */
	size_t next; /* range that is asked for next */
	unsigned asked, answered;
	bool all_asked;
};

struct search_ask {
	uint32_t seq;
	size_t todo;
	uint64_t off;
};

enum search_phase {
	SEARCH_ROWS,
	SEARCH_FACTS,
	SEARCH_HEADERS, /* that are kept: of those of which only the header is in question */
	SEARCH_BODIES,
	SEARCH_KEYS,      /* SORT, THREAD: facts of what was found */
	SEARCH_KEYS_BODY, /* of one that has none: made from its octets */
	SEARCH_WRITE,
};

struct search_job {
	struct imap_job job; /* first */
	enum search_want want;
	bool esearch;
	unsigned returns; /* enum search_return */
	struct search_keys keys;
	struct search_text text;
	struct sort_rows sort;
	size_t page_at; /* of its rows: the page whose facts come */

	enum search_phase phase;
	uint32_t seq; /* of rows or facts that are awaited */
	uint32_t mask, value;
	uint64_t since;
	const struct set *uids; /* NULL: all */
	size_t uids_at;
	struct set chunk; /* the part of `uids` under way */
	struct buf pairs;
	struct buf sets; /* of keywords, of the page under way */
	uint32_t next_uid;
	bool rows_more;

	struct search_todo *todo;
	size_t n_todo, todo_at; /* todo_at: whose facts, or whose text comes */
	size_t ask_at;          /* whose text is asked for next */
	struct search_ask asks[IMAP_SEARCH_ASKS_MAX];
	unsigned ask_head, n_asks;
	bool text_begun;
	struct mime *mime; /* of a message that is read whole */

	struct set hits; /* uids */
	uint32_t min_uid, max_uid;
	uint64_t min_modseq, max_modseq, top_modseq;

	/* writing */
	struct writer w;
	size_t write_at;
	uint32_t write_uid;
	bool written;
};

/* Takes the keys. The job is heap memory; NULL: the command was answered. */
struct search_job *search_job_new(
    struct imap *s, enum search_want want, struct search_keys *take_keys);
void search_job_begin(struct imap *s, struct search_job *j);

/* search-bodies.c */
void search_bodies_go(struct search_job *j);
void search_bodies_msg(struct search_job *j, const struct ipc_body_data *m);
/* The message's header is here: it need not be read. */
void search_header_take(struct search_job *j, struct search_todo *t, struct slice header);
void search_todo_clear(struct search_job *j);

/* search-job.c */
void search_found(struct search_job *j, const struct search_msg *m);
void search_next_page(struct search_job *j);
/* The command ends by NO. */
void search_failed(struct search_job *j, uint32_t status);

/* search-write.c: writes as far as the output takes; true when the command was answered. */
void search_write(struct search_job *j);

/* sort-facts.c: keys of what was found */
void search_sort_begin(struct search_job *j);
void search_sort_facts(struct search_job *j, const struct ipc_facts_are *m);
void search_sort_body(struct search_job *j, const struct ipc_body_data *m);
