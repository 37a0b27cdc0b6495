/*
 * source - where an import comes from, as its reader sees it: mailboxes, their messages, the bytes.
 *
 * All of it runs in the reader (reader.c), behind walls; files come by reach.h.
 *
 * Invariant: what cannot be a message was told by port_left, with its name.
 */
#pragma once

#include "ctl/port/port.h"
#include "ctl/port/unpack.h"

struct state;

struct item {
	size_t index;
	struct slice key; /* of the source's memory, until its mailbox is closed */
	uint32_t uid;     /* 0: none */
	uint64_t thread;  /* that it had; 0: none is known */
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
	const struct state *known; /* what was moved before */
	struct source_box *box;
	size_t n_box;
	struct slice *sub; /* subscriptions, owned */
	size_t n_sub;
	void *impl;
};

void source_add(struct source *s, const struct source_box *take_b);
void source_subscribe(struct source *s, struct slice name);
void source_fini(struct source *s);

/* A directory, or with `file` the one of this name in it. 0, or 1 after it was told. */
int tree_open(struct port *p, const char *file, struct source *ret);

/* Another server: the connection, which is made before the walls are up, then the rest behind them.
 * 0, or 1 after it was told. */
int imap_connect(struct port *p, const char *url, struct source *ret);
int imap_open(struct source *s, struct slice password);
