/*
 * port - moving an account's mail in and out: what import and export share.
 *
 * Invariant: every message of the source is counted once: as moved, as there already, or as not
 * moved, and then it is told by name with the reason.
 */
#pragma once

#include "ctl/port/link.h"
#include "ctl/port/unpack.h"

struct state;

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
	const struct state *state; /* of an import: what is done already */
	char **notes;              /* what is not as it was */
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
void port_note(struct port *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The bar: which mailbox of how many, then how far it is. */
void port_box(struct port *p, struct slice name, size_t at, size_t of);
void port_step(struct port *p, uint64_t at, uint64_t of);

/* The sum of it, for people or as JSON, and the status: CTL_DONE when nothing was left. `broken`:
 * it ended before its end. */
int port_end(struct port *p, const char *verb, bool broken);

/* ---- where an import comes from ---- */

struct item {
	size_t index;
	struct slice key; /* of the source's memory, until its mailbox is closed */
	uint32_t uid;     /* 0: none */
	uint32_t flags;
	struct slice keywords; /* owned; blanks between */
	int64_t date_s;
	uint64_t size; /* as the file has it */
	struct unpack unpack;
	void *map; /* what `unpack` reads, owned: unmapped with the item */
	size_t map_n;
};

void item_fini(struct item *i);

struct source_box {
	struct slice name; /* owned: of the mailbox here, UTF-8 */
	struct slice path; /* owned: of the mailbox there; keys begin with it */
	int kind;
	uint32_t uidvalidity, uidnext; /* known once it is open; 0: none */
	size_t n;                      /* messages, 0: not known */
};

struct source;

struct source_ops {
	/* Messages of a mailbox, uids ascending, those without at the end. 0; 1: it cannot be read
	 * (told by port_left); -1: the source is lost, after a message. */
	int (*open)(struct source *s, struct source_box *b);
	/* The next: 0, 1 at the end, -1 as above. What cannot be one was told by port_left. */
	int (*next)(struct source *s, struct source_box *b, struct item *ret);
	/* Its bytes: 0; 1: told by port_left; -1. */
	int (*load)(struct source *s, struct source_box *b, struct item *i);
	void (*shut)(struct source *s, struct source_box *b);
	void (*close)(struct source *s);
};

struct source {
	const struct source_ops *ops;
	struct port *port;
	struct source_box *box;
	size_t n_box;
	struct slice *sub; /* subscriptions, owned */
	size_t n_sub;
	bool remote; /* bytes cost a network: a dry run does without */
	void *impl;
};

void source_add(struct source *s, const struct source_box *take_b);
void source_subscribe(struct source *s, struct slice name);
void source_fini(struct source *s);

/* A file or directory; 0, or a status after a message. */
int tree_open(struct port *p, const char *path, struct source *ret);
/* imap:// or imaps:// */
int imap_open(struct port *p, const char *url, struct source *ret);

/* ---- small things ---- */

/* A copy on the heap. */
struct slice port_dup(struct slice s);
struct slice port_join(struct slice a, const char *between, struct slice b);
/* The name below --into, if that was given. Owned by the caller. */
struct slice port_name(const struct port *p, struct slice name);
