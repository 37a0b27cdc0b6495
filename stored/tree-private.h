/*
 * tree-private - one change of an account's names: queued, committed and answered by tree-op.c; its
 * rows made by tree-rows.c, what becomes of the lists in memory by tree-publish.c.
 */
#pragma once

#include "stored/session-private.h"
#include "stored/tree.h"

enum tree_kind {
	TREE_CREATE,
	TREE_DELETE,
	TREE_RENAME,
	TREE_SUBSCRIBE,
	TREE_UNSUBSCRIBE,
	TREE_PLACE,
	TREE_ERASE, /* a deleted mailbox with nothing left to restore */
	TREE_HOLD,
	TREE_ALLOW
};

/* One name that the commit makes a directory. */
struct tree_parent {
	uint64_t id;
	size_t n; /* bytes of op->to */
};

/* One mailbox or directory that gets a new name. */
struct tree_move {
	struct mbox *m; /* NULL: a directory */
	uint64_t id;
	struct slice name; /* owned */
};

struct tree_op {
	TAILQ_ENTRY(tree_op) link;
	enum tree_kind kind;
	struct account *account;
	struct session *session; /* NULL: nobody is answered */
	tree_done_fn *done;      /* or NULL */
	void *arg;
	uint32_t seq, attrs;   /* attrs: of TREE_PLACE the uidvalidity */
	bool running, inbox;   /* inbox: its messages are renamed, a new one is made */
	struct slice name, to; /* `to`: of what is made or renamed */
	uint8_t name_space[MBOX_NAME_MAX], to_space[MBOX_NAME_MAX];
	/* what the commit changes */
	struct engine_batch *root;
	uint64_t id;
	uint32_t uidvalidity;
	struct engine_group *group; /* of a new mailbox */
	struct mbox *fresh, *doomed;
	unsigned doomed_gen; /* what its rows were built on */
	struct tree_parent parents[TREE_LEVELS_MAX];
	size_t n_parents;
	struct tree_move *moves;
	size_t n_moves;
	bool lose;             /* what is deleted can be restored */
	int64_t when;          /* of that */
	struct mbox_head head; /* of that, then */
	bool hold;
	struct hold_wait *waits; /* for mailboxes in which something is under way */
	size_t n_waits;
	bool hold_failed;
	size_t n_restored; /* to be, of what one may restore today */
	struct allow_rec allow;
};

/* Answer of a step: something else than IPC_ST_... */
enum { OP_UNDER_WAY = -1 };

/* tree-op.c */
/* Hands in the root's batch, and `take_with`, when everything was put into them. */
int tree_commit(struct tree_op *op, bool good, struct engine_batch *take_with);
/* A step that went on later has ended. */
void tree_resume(struct tree_op *op, int status);

/* tree-rows.c: checks and rows of an operation: OP_UNDER_WAY or IPC_ST_... */
int tree_start(struct tree_op *op);

/* tree-lost.c: rows of a deleted mailbox that can be restored, into the root's batch and `rows`.
 * IPC_ST_OK, or why not. */
int tree_lose(struct tree_op *op, struct mbox *m, struct engine_batch *rows);
int tree_lost_start(struct tree_op *op);
void tree_lost_publish(struct tree_op *op);

/* tree-publish.c: nobody may use it any more; it is freed, or joins the lost, when nobody points at
 * it. */
void tree_bury(struct account *a, struct mbox *m);
/* The commit is durable. False without memory: forget the account. */
bool tree_publish(struct tree_op *op);
