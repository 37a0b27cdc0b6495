/*
 * commit - the batches of one account's groups on their way to the engine: one atom, whatever the
 * engine can.
 *
 * Where a commit takes several groups (limits.commit_atomic) they are handed in as they come. Where
 * it takes one, several groups are changed by an intent (docs/store.md, "Operations over several
 * groups"): the first commit, in the account's root group or in the store's, has what is to be done
 * in the others; then they are changed, and at last the intent goes. Invariant: from the intent's
 * commit until the others' nothing else of the account is handed in, so that a replay never meets
 * what was built on it.
 */
#pragma once

#include "common/engine/engine.h"

#include <sys/queue.h>

struct account;
struct store;
struct commit_job;

/* Of an account. */
struct commit_queue {
	TAILQ_HEAD(commit_jobs, commit_job) jobs; /* wait */
	unsigned handed;                          /* of one group, not answered */
	bool intent, looping;                     /* intent: one is under way */
};

struct commit_ask {
	struct account *account;
	/* What the batches were built on is still so; else they are CANCELLED. NULL: it is. */
	bool (*good)(const void *arg);
	engine_done_fn *done; /* later, never from commit_hand_in(); as of engine_commit() */
	void *arg;
};

/* Each batch is of another group; where the engine takes one, all are of one account, or of the
 * store. 0: they are taken. ENGINE_AGAIN, ENGINE_TOOBIG, -ENOMEM: they are not. */
int commit_hand_in(struct store *st, const struct commit_ask *q, struct engine_batch **take_batches,
    unsigned n) __attribute__((warn_unused_result));

/* Nothing of the account waits for its turn: what is handed in now is so at once, also in a commit
 * of another account's. */
bool commit_is_idle(const struct account *a);

/*
 * intent-replay.c: carries out what an intent of the account in this group says, as far as nobody
 * did, and removes it. *home stays where it is until `done`, but may become NULL. OK, also when
 * there is none; anything else: nobody may use the account.
 */
void intent_replay(struct store *st, struct engine_group *const *home, uint64_t account,
    engine_done_fn *done, void *arg);
/*
 * The same for all accounts with an intent in the store's group, at the start, waiting for it: each
 * is loaded, which carries out what is left. What cannot be read or carried out now is tried again
 * from the store's tick (intent_retry), every INTENT_RETRY_MS: nobody else may ask for an account
 * that was being dropped.
 */
void intent_replay_all(struct store *st);
void intent_retry(struct store *st);
void intent_retry_fini(struct store *st);
/* Removes it: into that batch. */
int intent_del(struct engine_batch *b, uint64_t account) __attribute__((warn_unused_result));
