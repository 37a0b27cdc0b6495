/*
 * compact-world - a small store of many rows and bodies on the LMDB engine, and a model of what
 * must be in it; for tests of what the compactor does.
 */
#pragma once

#include "engine-help.h"

#include "common/engine/lmdb/lmdb-private.h"

#include "common/base/log.h"

enum { GROUPS = 3, KEYS = 120, NO_TIMER_MS = 3600000 };

struct row {
	bool there;
	bool has_body;
	unsigned seed;
	size_t n;
};

struct env {
	char dir[64], image[64];
	struct engine *e;
	struct engine_group *g[GROUPS];
	struct row row[GROUPS][KEYS];
	struct engine_loc loc[GROUPS][KEYS]; /* as a user of the engine keeps them */
	unsigned told;
};

static const struct engine_conf conf = { .segment_bytes = 100000,
	.checkpoint_ms = NO_TIMER_MS,
	.overlay_bytes = 60000,
	.compact_bytes_s = (uint64_t)1 << 40,
	.scrub_bytes_s = (uint64_t)1 << 40 };

static uint64_t rnd_state = 7;

static unsigned rnd(unsigned n)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 7;
	rnd_state ^= rnd_state << 17;
	return (unsigned)(rnd_state % n);
}

static int env_open(void **state)
{
	struct env *v = calloc(1, sizeof(*v));

	dir_make(v->dir);
	*state = v;
	return 0;
}

static int env_close(void **state)
{
	struct env *v = *state;

	if (v->e != NULL) {
		for (int i = 0; i < GROUPS; i++)
			engine_group_close(&v->g[i]);
		engine_close(&v->e);
	}
	dir_remove(v->dir);
	if (v->image[0] != '\0')
		dir_remove(v->image);
	free(v);
	return 0;
}

static void key_of(int k, char key[16])
{
	snprintf(key, 16, "%04d", k);
}

static struct env *told_env;

static void on_moved(
    void *arg, struct slice key, const struct engine_loc *from, const struct engine_loc *to)
{
	int g = (int)((struct engine_loc(*)[KEYS])arg - told_env->loc), k;
	char text[16] = "";

	memcpy(text, key.p, key.n);
	k = atoi(text);
	told_env->told++;
	if (memcmp(&told_env->loc[g][k], from, sizeof(*from)) == 0)
		told_env->loc[g][k] = *to;
}

static void groups_open(struct env *v)
{
	told_env = v;
	for (int i = 0; i < GROUPS; i++) {
		char id[8];

		snprintf(id, sizeof(id), "g%d", i);
		v->g[i] = group_open(v->e, id, ENGINE_CREATE, 0);
		engine_group_on_moved(v->g[i], on_moved, v->loc[i]);
	}
}

static void groups_close(struct env *v)
{
	for (int i = 0; i < GROUPS; i++)
		engine_group_close(&v->g[i]);
}

static void put_one(struct env *v, int g, int k, size_t n, unsigned seed)
{
	struct engine_batch *b = engine_batch_new(v->g[g]);
	struct engine_body *body;
	char key[16], val[32];

	pack_bodies = seed % 2 != 0;
	body = n > 0 ? body_make(v->e, n, seed) : NULL;
	key_of(k, key);
	snprintf(val, sizeof(val), "v%u", seed);
	if (body != NULL)
		assert_int_equal(engine_put_body(b, slice_str(key), slice_str(val), body), 0);
	else
		assert_int_equal(engine_put(b, slice_str(key), slice_str(val)), 0);
	assert_int_equal(commit(v->e, b), 0);
	if (body != NULL)
		assert_int_equal(engine_body_loc(body, &v->loc[g][k]), 0);
	engine_body_free(&body);
	v->row[g][k] = (struct row){ true, n > 0, seed, n };
}

static void del_one(struct env *v, int g, int k)
{
	struct engine_batch *b = engine_batch_new(v->g[g]);
	char key[16];

	key_of(k, key);
	assert_int_equal(engine_del(b, slice_str(key)), 0);
	assert_int_equal(commit(v->e, b), 0);
	v->row[g][k].there = false;
}

/* By the place that we keep: a move between groups when `away`. */
static void ref_one(struct env *v, int g, int k, int to_g, int to_k, bool away)
{
	struct engine_batch *b[2] = { engine_batch_new(v->g[to_g]), NULL };
	struct answer a = { .rc = WAITING };
	char key[16], val[32];

	key_of(to_k, key);
	snprintf(val, sizeof(val), "v%u", v->row[g][k].seed);
	assert_int_equal(engine_put_ref(b[0], slice_str(key), slice_str(val), &v->loc[g][k]), 0);
	if (away) {
		b[1] = engine_batch_new(v->g[g]);
		key_of(k, key);
		assert_int_equal(engine_del(b[1], slice_str(key)), 0);
	}
	engine_commit(v->e, b, away ? 2 : 1, on_done, &a);
	/* as a user does: what it publishes is what it asked for */
	wait_for(v->e, &a.rc);
	assert_int_equal(a.rc, 0);
	v->row[to_g][to_k] = v->row[g][k];
	v->loc[to_g][to_k] = get(v->e, v->g[to_g], (key_of(to_k, key), key))->loc;
	if (away)
		v->row[g][k].there = false;
}

static void random_step(struct env *v)
{
	int g = (int)rnd(GROUPS), k = (int)rnd(KEYS), g2 = (g + 1) % GROUPS;

	switch (rnd(8)) {
	case 0:
	case 1:
	case 2:
		put_one(v, g, k, rnd(5) == 0 ? 70000 + rnd(100000) : 1 + rnd(6000), rnd(200));
		break;
	case 3:
		put_one(v, g, k, 0, rnd(200));
		break;
	case 4:
	case 5:
		if (v->row[g][k].there)
			del_one(v, g, k);
		break;
	default:
		if (v->row[g][k].there && v->row[g][k].has_body)
			ref_one(v, g, k, g2, (int)rnd(KEYS), rnd(2) == 0);
	}
}

/* Every row and body is as the model says. */
static void expect_all(struct engine *e, struct engine_group **g, struct row row[GROUPS][KEYS])
{
	for (int i = 0; i < GROUPS; i++) {
		size_t want = 0;

		for (int k = 0; k < KEYS; k++) {
			char key[16], text[64];
			struct answer *a;
			struct engine_loc loc;

			key_of(k, key);
			a = get(e, g[i], key);
			want += row[i][k].there;
			assert_int_equal(a->rc, row[i][k].there ? 0 : ENGINE_NOTFOUND);
			if (!row[i][k].there)
				continue;
			snprintf(text, sizeof(text), "%s=v%u ", key, row[i][k].seed);
			assert_string_equal(a->text, text);
			assert_int_equal(a->has_loc, row[i][k].has_body);
			loc = a->loc;
			if (a->has_loc)
				body_expect(e, &loc, row[i][k].n, row[i][k].seed);
		}
		assert_int_equal(scan(e, g[i], "", "", 0)->rows, want);
	}
}

static void expect_copy(struct env *v, bool rebuild)
{
	struct engine_group *g[GROUPS];
	uint64_t seq[GROUPS];
	struct engine *e;
	char cmd[300];

	strcpy(v->image, "compact-image");
	snprintf(cmd, sizeof(cmd), "rm -rf ./%s; cp -r ./%s ./%s; %s", v->image, v->dir, v->image,
	    rebuild ? "rm -f ./compact-image/*.mdb" : "");
	assert_int_equal(system(cmd), 0);
	for (int i = 0; i < GROUPS; i++)
		seq[i] = engine_group_seq(v->g[i]);
	e = store_open("lmdb", v->image, &conf);
	for (int i = 0; i < GROUPS; i++) {
		char id[8];

		snprintf(id, sizeof(id), "g%d", i);
		g[i] = group_open(e, id, ENGINE_CREATE, 0);
		assert_int_equal(engine_group_seq(g[i]), seq[i]);
	}
	expect_all(e, g, v->row);
	for (int i = 0; i < GROUPS; i++)
		engine_group_close(&g[i]);
	engine_close(&e);
}

static void compact_start(struct env *v, struct answer *a)
{
	*a = (struct answer){ .rc = WAITING };
	engine_compact(v->e, NULL, on_done, a);
}

static void compact_wait(struct env *v)
{
	struct answer a;

	compact_start(v, &a);
	wait_for(v->e, &a.rc);
	assert_int_equal(a.rc, 0);
}

static void expect_kept_places(struct env *v)
{
	for (int i = 0; i < GROUPS; i++)
		for (int k = 0; k < KEYS; k++)
			if (v->row[i][k].there && v->row[i][k].has_body)
				body_expect(v->e, &v->loc[i][k], v->row[i][k].n, v->row[i][k].seed);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, env_open, env_close)
