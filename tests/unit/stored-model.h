/*
 * stored-model - random work on a stored, and what must be true of it afterwards: whatever was
 * acknowledged is there once and byte-equal, whatever was not is there at most once, and a uid
 * never changes what it names.
 */
#pragma once

#include "tests/unit/stored-rig.h"

enum { ACCOUNTS = 4, CONNS = 4, ATTEMPTS_MAX = 8192, UIDS_MAX = 16384 };

/* FATE_LOST: the store died before it answered. */
enum fate { FATE_NONE, FATE_OPEN, FATE_ACKED, FATE_REFUSED, FATE_LOST };

struct attempt {
	enum fate fate[ACCOUNTS];
	bool expunged[ACCOUNTS], maybe_expunged[ACCOUNTS];
	unsigned seen[ACCOUNTS];
};

struct model {
	struct rig rig;
	uint64_t rnd, sid;
	struct rig_client *conns[CONNS];
	struct attempt attempts[ATTEMPTS_MAX];
	uint32_t n_attempts;
	uint64_t ids[ACCOUNTS][UIDS_MAX]; /* what a uid names */
	uint64_t threads[ACCOUNTS][UIDS_MAX];
	uint8_t thread[48]; /* of the next message */
	unsigned acked, refused, expunged;
};

uint32_t model_random(struct model *w, uint32_t below);
/* The accounts and CONNS connections that may post to all of them. */
void model_begin(struct model *w, uint64_t seed, bool make);
/* One message to some of the accounts; nobody waits for its results. */
void model_post(struct model *w, struct rig_client *c);
/* Results that came, waiting ms for the first and each further one. */
void model_results(struct model *w, struct rig_client *c, int ms);
void model_expunge(struct model *w, bool wait);
void model_flags(struct model *w);
/* The store died: what is open stays unanswered. */
void model_died(struct model *w);
void model_check(struct model *w);
