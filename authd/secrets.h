/*
 * secrets - what accounts prove themselves with: one row per account in an engine group.
 *
 * Key: the account's id (u64, big endian). Value: version (1), then the stored form as
 * workers/password.h describes it. authd keeps it as bytes and never looks inside.
 */
#pragma once

#include "common/engine/engine.h"

struct secrets {
	struct engine *engine;
	struct engine_group *group;
};

/* For start-up: waits for the engine. 0 or the engine's answer. */
int secrets_open(struct secrets *s, struct engine *e);
void secrets_close(struct secrets *s);

/* `stored` lives inside the call; empty and rc 0: there is none. */
typedef void secrets_fn(void *arg, int rc, struct slice stored);

/* May call back at once or later. */
void secrets_get(struct secrets *s, uint64_t account, secrets_fn *done, void *arg);

/* Empty `stored` removes. `done` comes from engine_dispatch, when it is durable. */
int secrets_put(
    struct secrets *s, uint64_t account, struct slice stored, engine_done_fn *done, void *arg);

/* Is it a form that a worker knows? By its tag alone. */
bool secrets_form_known(struct slice stored);
