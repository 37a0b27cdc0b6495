/*
 * secrets - what accounts prove themselves with: rows of an engine group, one for an account's own
 * password and one for each of its tagged ones, which open it to programs.
 *
 * Key: the account's id (u64, big endian), then the tag, if there is one. Value: version (1), then
 * the stored form as workers/password.h describes it. authd keeps it as bytes and never looks
 * inside.
 */
#pragma once

#include "common/engine/engine.h"

struct secrets {
	struct engine *engine;
	struct engine_group *group;
	bool refused; /* they are damaged, the engine is an empty one: nothing is read or written */
};

/* For start-up: waits for the engine. 0 or the engine's answer. */
int secrets_open(struct secrets *s, struct engine *e);
void secrets_close(struct secrets *s);

/*
 * Both live inside the call. `stored` empty and rc 0: there is none. `tagged`: a tag and what is
 * stored for it, each a u32 length and bytes, again and again, at most SECRETS_TAGS_MAX times.
 */
typedef void secrets_fn(void *arg, int rc, struct slice stored, struct slice tagged);

/* May call back at once or later. */
void secrets_get(struct secrets *s, uint64_t account, secrets_fn *done, void *arg);

/*
 * Empty `tag`: the account's own password. Empty `stored` removes: the own password with all the
 * tagged ones, a tagged one alone. `done` comes from engine_dispatch, when it is durable.
 */
int secrets_put(struct secrets *s, uint64_t account, struct slice tag, struct slice stored,
    engine_done_fn *done, void *arg);
/* The own password, and in the same commit every tagged one goes. */
int secrets_put_alone(struct secrets *s, uint64_t account, struct slice stored,
    engine_done_fn *done, void *arg) __attribute__((warn_unused_result));

/* Letters, digits, '-', '_' and '.', at most SECRETS_TAG_BYTES. */
bool secrets_tag_right(struct slice tag);
/* Is the tag among those of secrets_fn? How many there are goes to *ret_n. */
bool secrets_tag_find(struct slice tagged, struct slice tag, size_t *ret_n);

/* Is it a form that a worker knows? By its tag alone. */
bool secrets_form_known(struct slice stored);
