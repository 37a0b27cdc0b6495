/*
 * accounts-private - one account on its way through three databases, for the two files that lead
 * it: account-make.c those that come, accounts.c those that go and the answers of the peers.
 *
 * Invariant: the object is in_flow as long as there is an op for it.
 */
#pragma once

#include "routerd/routerd.h"

enum { WAITS_STORED = 1, WAITS_AUTHD = 2 };

struct op {
	struct routerd *rd;
	uint32_t seq;
	uint64_t account;
	unsigned waits, failed;   /* of both peers: whose answer is missing, who said no */
	struct dir_answer answer; /* conn 0: nobody waits */
	uint64_t secret_sid; /* who brings its secret, by the answer's seq; 0: it is there or not */
	const char *refusal; /* why it is taken back, which is what is answered at the end */
	enum ipc_dir_status refused;
	UT_hash_handle hh;
};

struct op *account_op_new(struct routerd *rd, struct object *o, struct dir_answer a);
void account_op_end(struct op *op, enum ipc_dir_status status, const char *text);
/* Hands a batch in, or answers for it: `done` is called in every case but that. */
void account_op_commit(struct op *op, struct engine_batch *b, int rc, engine_done_fn *done);
/* The same with its row in another state, which memory gets when `done` is told that it is durable.
 */
void account_op_commit_state(
    struct op *op, struct object *o, enum object_state state, engine_done_fn *done);
/* An unknown outcome ends the process. */
void account_op_check(const struct op *op, int rc);

/* account-make.c: the peers are asked to do their part; what one of them said. */
void account_op_make(struct op *op);
void account_op_made(struct op *op, unsigned who, bool ok);
/* What is answered when authd says no (enum ipc_auth_status). */
void account_op_secret(struct op *op, uint32_t status);

/* accounts.c: it is DELETING on disk: the peers forget it. stored may refuse, so the secrets go
 * afterwards. */
void account_op_drop(struct op *op);
