/*
 * report - what the tool says: each damaged thing as it is found, progress on a terminal, and one
 * answer at the end, for people or as one JSON value.
 *
 * Invariant: whatever could not be read or saved has a line here, with the account, mailbox and uid
 * where they are known; the exit status follows from the counts.
 */
#pragma once

#include "common/base/slice.h"

#include <stdio.h>

/* Exit status. */
enum tool_status {
	TOOL_WELL = 0,
	TOOL_DAMAGED = 1, /* done, and something is damaged or was not saved */
	TOOL_USAGE = 2,
	TOOL_FAILED = 3, /* not done: the reason is on standard error */
};

enum verdict {
	VERDICT_LOST,  /* damaged: not to be had whole */
	VERDICT_DOUBT, /* there, but nothing vouches for all of it */
	VERDICT_NOTE,  /* of the store, no item by itself */
};

/* Where something is; what is not known is empty or 0. */
struct place {
	struct slice account, mailbox;
	uint64_t mailbox_id;
	uint32_t uid;
};

struct report {
	bool json, quiet;
	bool brief;  /* no figures at the end: they are a step's, and not the answer */
	bool unread; /* messages were not looked at: how many there are is not told */
	bool held;   /* what goes wrong is counted and not said: it will be tried again */
	const char *verb;
	FILE *items; /* the same lines as JSON, one each; may be NULL */
	/* Called for each that is said; may be NULL. */
	void (*told)(void *arg, enum verdict v, const struct place *at, const char *why);
	void *told_arg;
	uint64_t lost, doubts, notes;
	uint64_t messages, bytes; /* that are whole */
	uint64_t expunged;        /* that can be restored (docs/undelete.md) */
	int64_t shown_ms;
	const char *shown_what;
	bool shown;
};

void report_init(struct report *r, const char *verb, bool json, bool quiet);

/* `fmt` is the reason, in words. */
void report_item(struct report *r, enum verdict v, const struct place *at, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* At most ten times a second, each new `what` (a literal) at once, and only for somebody who looks.
 * `of` 0: not known. */
void report_progress(struct report *r, const char *what, uint64_t done, uint64_t of);

/* More members of the answer: between the first and report_end(). */
void report_figure(struct report *r, const char *name, uint64_t value);

void report_text(struct report *r, const char *name, struct slice text);

/* The answer's end. Returns the exit status. */
int report_end(struct report *r);

/* Why nothing came of it: to standard error, and as JSON. Returns TOOL_FAILED. */
int report_fail(struct report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A JSON string (RFC 8259); what is no UTF-8 becomes U+FFFD. */
void json_string(FILE *f, struct slice s);
void json_member(FILE *f, const char *name, struct slice s);
