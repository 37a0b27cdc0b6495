/*
 * copy-private - messages that a session copies, moves or brings back: queued, held and answered by
 * copy.c, chosen by copy-pick.c, facts gathered by copy-facts.c, stored by copy-store.c; what is
 * brought back is chosen and taken from the lost by copy-back.c.
 *
 * Invariant: a copy is all or nothing: one commit, or portions of rows behind the last message,
 * which are messages once the last portion's commit says so in the header. Deliveries wait
 * meanwhile, since uids only grow. A move goes in portions, each of them one commit of both
 * mailboxes: a message is always in exactly one of them. So does bringing back.
 */
#pragma once

#include "stored/change-private.h"
#include "stored/lost.h"
#include "stored/session-private.h"

/* Of a copy that brings back. */
struct copy_back {
	struct lost_box box;
	struct lost_pick pick;
	uint32_t *picks; /* indexes into the box's columns */
	bool *touched;   /* runs of the portion */
	size_t n_picks;
	size_t portion, next; /* picks of the portion under way: first, and behind the last */
	size_t n_done;
	uint64_t bytes_done;
	copy_restored_fn *fn;
	void *arg;
};

enum { COPY_RUN_BYTES = 12 };

/* Its place among the copies of one account. */
struct copy_turn {
	TAILQ_ENTRY(copy_turn) link;
	struct copy *copy;
	struct account *account;
	bool has; /* its turn has come */
};

/* Of a move by steps, see cross.h. */
struct copy_cross {
	LIST_ENTRY(copy) link; /* of the store, once it is listed */
	bool listed;
	uint64_t id;  /* of the portion */
	uint64_t row; /* of one that is done: its row lies in `to` still; 0: none */
	bool noted;   /* there is a note */
	bool lost;    /* whoever loads the account next ends the move */
	TAILQ_HEAD(, account) parked;
};

struct copy {
	struct op op;              /* of the account of `to` */
	struct copy_turn turns[2]; /* the second: of another account, the one with the higher id */
	unsigned n_turns;
	struct mbox *from, *to; /* pinned */
	struct copy_back *back; /* or NULL */
	bool move, steps;
	bool told; /* answered */
	bool held_from, held_to;
	struct cols_view see;
	struct buf runs; /* of uids that were done: first here, first there, how many */
	int status;
	struct cols_row *all; /* owned: of a move the portion's */
	size_t n_all, cap;
	/* the portion */
	struct cols_row *rows; /* among them */
	size_t n;
	bool staged;        /* more portions follow, or came before */
	uint32_t first_uid; /* of these, once all are there */
	size_t handed;      /* of `all`: how many are in a batch, or stored */
	bool watches;
	uint64_t modseq;   /* of a copy: all its messages have it */
	uint32_t next_uid; /* where the next one begins; 0: there is none */
	struct keywords keywords;
	uint16_t *map;                /* numbers there of the numbers here */
	uint64_t map_last, map_there; /* the last word that was mapped, if it was no plain one */
	struct txn txn;
	struct change gone; /* of a move */
	unsigned left;      /* commits that were not answered */
	struct copy_cross cross;
	/* facts and headers of the portion: u32 index, u32 source (0: header), u32 length, bytes */
	struct buf facts;
	size_t facts_at; /* row that is next */
	size_t facts_to; /* behind the last row of the scan under way */
	struct rec_key facts_from;
	bool facts_more, facts_headers; /* the scans are for headers */
	/* Of the portion, and those before it of a copy that is staged. */
	bool lends; /* the messages here share what they have with their copies */
	struct loans loans;
	size_t n_uids;
	uint8_t uids[]; /* the question's pairs */
};

/* From one account into another. */
static inline bool copy_crosses(const struct copy *c)
{
	return c->from->account != c->to->account;
}

static inline struct copy *copy_of(struct txn *t)
{
	return (struct copy *)((char *)t - offsetof(struct copy, txn));
}

/* copy.c: the portion is over: the next, or the answer. */
void copy_portion_done(struct copy *c, int status);
/* With c->status, once. */
void copy_answer(struct copy *c);
void copy_finish(struct copy *c, int status); /* answers, and frees */

/* copy-back.c: what can be brought back is read and chosen, then fn(c, status). */
void copy_back_load(struct copy *c, void (*fn)(struct copy *c, int status));
/* The next portion, as copy_collect(). */
int copy_back_collect(struct copy *c);
/* Its messages are among the lost no more: into that batch, and its head. False when it does not
 * fit. */
bool copy_back_rows(struct copy *c, struct txn *t);
/* The portion is durable. */
void copy_back_publish(struct copy *c);
/* Answers, with c->status. */
void copy_back_end(struct copy *c);

/* copy-facts.c: what is known of the portion's messages, then copy_store(). */
void copy_facts(struct copy *c);

/* copy-pick.c: fills the portion: IPC_ST_OK, or why not. */
int copy_collect(struct copy *c);
/* From now on it hears of bodies that move; or no more. */
void copy_watch(struct copy *c, bool on);

/* copy-store.c: one commit of the portion, then copy_portion_done(). */
void copy_store(struct copy *c);
/* What the account there has room for, and keywords: IPC_ST_OK, or why not. */
int copy_allowed(struct copy *c);
/* The portion's commit is under way: IPC_ST_OK. */
int copy_store_portion(struct copy *c);
/* What a move by steps takes away, once it is there. */
int copy_take_away(struct copy *c);

/* copy-cross.c */
bool copy_needs_steps(const struct mbox *from, const struct mbox *to);
/* As copy_store(). */
void copy_cross(struct copy *c);
/* Into the batch of the copies: that they are there. */
bool copy_cross_rows(struct copy *c);
/* The copies were answered; and what was to be taken away. */
void copy_crossed(struct copy *c, int status);
void copy_cross_gone(struct copy *c, int status);
/* After the last portion: copy_finish() when nothing is left. */
void copy_cross_end(struct copy *c, int status);
