/*
 * port - moving an account's mail in and out: what import and export share.
 *
 * Invariant: every message of the source is counted once: as moved, as there already, or as not
 * moved, and then it is told by name with the reason.
 */
#pragma once

#include "ctl/port/link.h"

struct port_left {
	char *what, *why;
};

struct port {
	struct ctl *ctl;
	struct link link;
	uint64_t moved, already, bytes;
	size_t n_boxes;         /* mailboxes worked on */
	struct port_left *left; /* what was not moved */
	size_t n_left;
	bool reader;  /* the process that only reads: all is told to the other */
	char **notes; /* what is not as it was */
	size_t n_notes;
	/* the bar */
	bool bar, bar_shown;
	int64_t bar_ms;
	char box[200]; /* what is worked on, fit for a terminal */
	size_t box_at, box_of;
	uint64_t at, of; /* messages or bytes of it */
};

void port_init(struct port *p, struct ctl *c);
void port_fini(struct port *p);

/* One thing that was not moved, "mailbox: message", and why. */
void port_left(struct port *p, struct slice box, struct slice what, const char *why);
/* The same with errno's words. */
void port_left_errno(struct port *p, struct slice box, struct slice what, int error);
/* With --json or not, why nothing is done at all. CTL_REFUSED. */
int port_refuse(struct port *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void port_note(struct port *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The bar: which mailbox of how many, then how far it is. */
void port_box(struct port *p, struct slice name, size_t at, size_t of);
void port_step(struct port *p, uint64_t at, uint64_t of);

/* Nothing was there of what options asked for by itself (--uid, --message-id). */
bool port_found_none(const struct port *p);

/* The sum of it, for people or as JSON, and the status: CTL_DONE when nothing was left. `broken`:
 * it ended before its end. */
int port_end(struct port *p, const char *verb, bool broken);

/* ---- small things ---- */

/* A copy on the heap. */
struct slice port_dup(struct slice s);
struct slice port_join(struct slice a, const char *between, struct slice b);
/* The name below --into, if that was given. Owned by the caller. */
struct slice port_name(const struct port *p, struct slice name);
