/*
 * post-private - one message under way: received by post.c, stored for its recipients by
 * post-store.c.
 */
#pragma once

#include <xxhash.h>

#include "stored/store-private.h"

enum post_state { POST_DATA, POST_ENDING, POST_STORING };

struct post_rcpt {
	struct txn txn; /* first: see rcpt_of() */
	struct post *post;
	struct account *account; /* holds a reference */
	struct mbox *mbox;       /* pinned; NULL: the INBOX */
	bool held;               /* mbox is held for the batch under way */
	uint32_t handle;
	uint64_t quota;
	bool joined; /* has the fate of the one before it, as far as that is known before */
	bool same;   /* as an earlier recipient's account and mailbox: gets its answer */
	unsigned same_as;
	bool answered;
	int status;
	struct msg_rec rec;
	uint64_t thread; /* as threads_find() said */
	uint32_t uid;
};

struct post_piece {
	STAILQ_ENTRY(post_piece) link;
	size_t n;
	uint8_t data[];
};

struct post {
	TAILQ_ENTRY(post) link;
	struct post_conn *conn; /* NULL: gone, the result is of no interest to anybody */
	struct store *st;
	uint32_t tag;
	enum post_state state;
	int status;    /* sticky: why it cannot be stored */
	bool together; /* for all or for nobody, as far as that is known before */
	bool wait_room;
	struct engine_body *body;
	XXH3_state_t *sum;
	uint64_t size;
	struct slice facts, header;       /* owned, while the body ends */
	struct thread_ids ids;            /* of the facts */
	unsigned asking;                  /* threads that are looked for */
	STAILQ_HEAD(, post_piece) pieces; /* received while the engine had no room */
	unsigned n_rcpts, left;
	struct post_rcpt rcpts[];
};

/* post.c */
void post_free(struct post *p);

/* post-store.c: all bytes are with the engine and the sender has said that there are no more.
 * Answers each recipient when its copy is durable, then frees. */
void post_end(struct post *p);
/* One body for all: it is enough that one of them wants it so. */
bool post_compresses(const struct post *p);
/* *m, if any, stays as long as somebody points at it. The second sets it to NULL. */
void post_pin(struct mbox *m);
void post_unpin(struct mbox **m);
