/* list-private - one LIST or LSUB, shared by list.c and list-args.c. */
#pragma once

#include "protocols/imap/imap-private.h"

enum { LIST_PATTERNS_MAX = 32, LIST_ROWS_MAX = 1000000 };

struct row {
	struct slice name; /* in `names` */
	uint32_t name_at;
	uint32_t attrs;
	uint32_t up;         /* the nearest row above it in the tree, counted from one; 0: none */
	bool children;       /* something that is there is below it */
	bool selected_below; /* something that the options select is */
};

struct list {
	struct imap_job job;
	bool lsub, extended;
	bool select_subscribed, select_special, recursive;
	bool return_subscribed, return_children;
	unsigned status; /* items; 0: not asked for */
	struct slice patterns[LIST_PATTERNS_MAX];
	unsigned n_patterns;

	/* Prefixes of what is asked for, one after the other: the own account, accounts of others.
	 */
	struct slice asks[LIST_PATTERNS_MAX + 1];
	unsigned n_asks, asked;
	uint32_t seq;
	struct buf names;
	struct row *rows;
	size_t n_rows, cap_rows;
	bool complete, waiting;
	size_t at;            /* row */
	struct slice implied; /* last ancestor that LSUB told of though it is not subscribed */
};

/* [options] reference patterns [RETURN options]; `*ret_separator`: the pattern is "". */
void list_args(struct parse *p, struct list *l, bool *ret_separator);
/* The reference and the blank behind it. */
struct slice list_reference(struct parse *p);
/* A pattern behind the reference; one that no name can match is left out. True: it is "". */
bool list_pattern(struct parse *p, struct list *l, struct slice reference);
