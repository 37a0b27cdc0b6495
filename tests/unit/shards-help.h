/*
 * shards-help - a store of three shards in a directory of its own; for tests only.
 *
 * Invariant: each case begins with an empty directory and leaves none.
 */
#pragma once

#include "engine-help.h"

enum { SHARDS = 3 };

static char dir[64];

static int setup(void **state)
{
	dir_make(dir);
	return 0;
}

static int teardown(void **state)
{
	dir_remove(dir);
	return 0;
}

static struct engine_group *group_in(struct engine *e, const char *id, unsigned shard)
{
	struct answer a = { .rc = WAITING };

	engine_group_open(e, slice_str(id), 0, ENGINE_CREATE | ENGINE_IN(shard), on_group, &a);
	wait_for(e, &a.rc);
	assert_int_equal(a.rc, 0);
	return a.group;
}

static void make_three(void)
{
	struct engine *e = store_open("3*lmdb", dir, NULL);

	assert_int_equal(engine_shards(e), SHARDS);
	for (unsigned k = 0; k < SHARDS; k++) {
		struct engine_group *g = group_in(e, "g", k);

		assert_int_equal(put(e, g, "k", "v"), 0);
		engine_group_close(&g);
	}
	engine_close(&e);
}

/* Exactly these are away, for these reasons; the others have what was put there. */
static void expect_away(const char *of_spec, const char *why1, const char *why2)
{
	const char *why[SHARDS] = { NULL, why1, why2 };
	struct engine *e = store_open(of_spec, dir, NULL);

	assert_int_equal(engine_shards(e), SHARDS);
	for (unsigned k = 0; k < SHARDS; k++) {
		struct answer a = { .rc = WAITING };
		const char *away = engine_shard_away(e, k);

		if (why[k] == NULL)
			assert_null(away);
		else
			assert_string_equal(away != NULL ? away : "", why[k]);
		engine_group_open(e, SLICE("g"), 0, ENGINE_CREATE | ENGINE_IN(k), on_group, &a);
		wait_for(e, &a.rc);
		assert_int_equal(a.rc, why[k] == NULL ? 0 : ENGINE_IO);
		if (why[k] != NULL)
			continue;
		assert_string_equal(get(e, a.group, "k")->text, "k=v ");
		assert_int_equal(put(e, a.group, "more", "v"), 0);
		engine_group_close(&a.group);
	}
	engine_close(&e);
}

static void run(const char *what)
{
	char cmd[512];

	snprintf(cmd, sizeof(cmd), "cd ./%s && { %s; }", dir, what);
	assert_int_equal(system(cmd), 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
