/*
 * change-private - one change of a mailbox: queued, answered and continued by change.c; its rows
 * and what the index becomes of them are made by change-rows.c.
 */
#pragma once

#include "stored/store-private.h"

enum change_kind {
	CHANGE_FLAGS,
	CHANGE_EXPUNGE,
	CHANGE_FACTS,
	CHANGE_UNDOOM,
	CHANGE_OPEN,
	CHANGE_HOLD
};

struct change {
	struct txn txn; /* first: see change_of() */
	TAILQ_ENTRY(change) link;
	enum change_kind kind;
	struct mbox *mbox;
	struct session *session; /* NULL: nobody is answered */
	uint32_t seq;
	struct cols_view see;
	uint32_t op, flags;                 /* CHANGE_OPEN: of the view */
	uint64_t keywords, unchanged_since; /* keywords: the word of `set`, once it has begun */
	struct keyset set;                  /* its list is owned */
	bool deleted_only;
	struct buf left;   /* pairs: messages that were changed since */
	uint8_t *data;     /* pairs of uids; or facts */
	size_t n_data, at; /* at: next pair */
	uint32_t next_uid; /* within the pair */
	/* CHANGE_FACTS */
	struct late_facts late; /* the facts are in `data`, the header is owned */
	struct slice msg;       /* owned: the message's row, if its thread is to be put there */
	struct engine_loc loc;
	/* CHANGE_HOLD */
	change_held_fn *held;
	void *arg;
	bool look;
	uint32_t count;
	uint64_t modseq;
	/* the portion under way */
	uint32_t *uids, *new_flags;
	uint64_t *new_keywords;
	bool *keep; /* its body was kept for a view */
	bool no_room;
	bool moved; /* it is elsewhere now: nothing of it can be restored */
	size_t n;
	int lookup_rc;
};

/* Answer of a portion: something else than IPC_ST_... */
enum { PORTION_UNDER_WAY = -1 };

/* change-rows.c: the message of CHANGE_FACTS shares no others any more; false: no room. */
bool change_own_facts(struct change *c);
/* Fills c->uids with what the next portion is about; false without memory. */
bool change_fill(struct change *c);
/* Rows of a filled portion into c->txn: false when they do not fit. */
bool change_rows(struct change *c);
/* The portion is durable: columns and feed. */
void change_publish(struct change *c);
