/*
 * append-private - messages that a session adds to a mailbox: received by append.c, stored by
 * append-store.c in one commit, all or none.
 */
#pragma once

#include <xxhash.h>

#include "stored/session-private.h"

enum append_state { APPEND_OPEN, APPEND_COMMIT, APPEND_STORING };

struct append_piece {
	STAILQ_ENTRY(append_piece) link;
	size_t n;
	uint8_t data[];
};

struct append_msg {
	TAILQ_ENTRY(append_msg) link;
	struct append *append;
	enum { MSG_DATA, MSG_ENDING, MSG_READY } state;
	uint32_t flags;
	uint32_t place, uid;                  /* place: the uid it must have; 0: the next one */
	struct slice keywords, facts, header; /* owned */
	int64_t date;
	struct engine_body *body;
	XXH3_state_t *sum;
	uint64_t size;
	bool wait_room;
	STAILQ_HEAD(, append_piece) pieces; /* received while the engine had no room */
	struct msg_rec rec;                 /* but for the keywords: */
	uint64_t words;                     /* theirs, of the mailbox's sets */
	struct thread_ids ids;
	uint64_t thread; /* as threads_find() said */
};

struct append {
	struct txn txn; /* first: see append_of() */
	struct op op;   /* begins with the question for the commit */
	struct store *st;
	struct mbox *mbox; /* pinned */
	enum append_state state;
	bool named;                        /* a message has keywords */
	int status;                        /* sticky: why it cannot be stored */
	unsigned n_msgs, n_unready, waits; /* waits: calls of the engine that will come */
	unsigned asking;                   /* threads that are looked for */
	size_t window_used, credit_due, buffered, rows_bytes;
	uint64_t bytes;
	TAILQ_HEAD(append_msgs, append_msg) msgs;
	struct keywords keywords;
	uint32_t place;  /* of the message to come; behind the last one: what uidnext is at least */
	uint64_t thread; /* of the message to come; 0: it has none yet */
};

/* append.c: frees it; answered before. */
void append_free(struct append *a);
/* All of the window that was not given back yet. */
void append_credit_all(struct append *a);

/* append-store.c: every message is ready, or the status says why it cannot be stored. Answers and
 * frees. */
void append_store(struct append *a);
