/*
 * tap - between a core and its store (fake.h): counts what the core asks, and lets a test answer
 * instead. What the test does not take goes through as it is.
 */
#pragma once

#include "tests/wire/fake.h"

struct tap {
	struct fake_store store; /* first */
	struct fake_store *real;
	unsigned sent[IPC_TYPES];
	/* True: the question goes no further. */
	bool (*on_send)(struct tap *t, enum ipc_type type, const union ipc_any *m);
	/* Looked at first: an answer of the test's own, or NULL. */
	const union ipc_any *(*on_next)(struct tap *t, enum ipc_type *ret_type);
	bool held; /* a question waits: nobody waits for its answer */
	void *arg;
};

/* The store for a core's fake_conf. */
struct fake_store *tap_init(struct tap *t, struct fake_store *real);
