/*
 * world - a real stored core on the memory engine, for cores under test: accounts 1..9, and
 * sessions that a fake (fake.h) speaks to instead of playing a store.
 */
#pragma once

#include "tests/unit/stored-rig.h"
#include "tests/wire/fake.h"

enum { WORLD_SESSIONS = 16 };

struct world;

struct world_session {
	struct fake_store store; /* first */
	struct world *world;
	struct rig_client *client;
	unsigned user;
};

struct world {
	struct rig rig;
	struct world_session sessions[WORLD_SESSIONS];
	unsigned n_sessions;
	uint64_t sid, quota;
	bool no_headers; /* deliveries as of before headers were kept */
};

void world_init(struct world *w, const char *engine);
void world_fini(struct world *w);

/* The store of one connection. */
struct fake_store *world_store(struct world *w);
/* A delivery with real facts. */
void world_deliver(struct world *w, unsigned user, struct slice body);
