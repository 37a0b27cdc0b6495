/*
 * engine-env - a directory for each case with a store of the LMDB engine in it, and images of it as
 * a crash would leave them; for tests only.
 *
 * Invariant: whatever a case did to engine_sys or left open, the next one begins anew.
 */
#pragma once

#include "engine-help.h"

#include "common/engine/lmdb/lmdb-private.h"

#include <dirent.h>

static struct engine_sys real_sys;

enum { FRAMES = 12 };

struct env {
	char dir[64], image[64];
	struct engine *e;
};

static int env_open(void **state)
{
	static struct env v;

	dir_make(v.dir);
	v.e = NULL;
	v.image[0] = '\0';
	real_sys = engine_sys;
	*state = &v;
	return 0;
}

static int env_close(void **state)
{
	struct env *v = *state;
	/* A case that failed on its way has groups open: engine_close() would end the program
	 * before anybody is told what failed. */
	bool left_open = v->e != NULL && (v->e->n_handles > 0 || v->e->dispatching);

	if (!left_open)
		engine_close(&v->e);
	engine_sys = real_sys;
	dir_remove(v->dir);
	if (v->image[0] != '\0')
		dir_remove(v->image);
	return left_open ? -1 : 0;
}

/* What a crash would leave: the files as they are, while the store is open. */
static const char *image_take(struct env *v)
{
	char cmd[300];

	if (v->image[0] != '\0')
		dir_remove(v->image);
	strcpy(v->image, "engine-image");
	snprintf(cmd, sizeof(cmd), "rm -rf ./%s; cp -r ./%s ./%s", v->image, v->dir, v->image);
	assert_int_equal(system(cmd), 0);
	return v->image;
}

/* What a checkpoint wrote to the index is not lost by cutting the log: on a busy machine the timer
 * would strike. */
enum { NO_TIMER_MS = 3600000 };
static const struct engine_conf no_timer = { .checkpoint_ms = NO_TIMER_MS };

/* Frame i puts key i and a body of 3000 bytes. */
static void fill(struct engine *e, const char *group, int from, int to)
{
	struct engine_group *g = group_open(e, group, ENGINE_CREATE, 0);

	for (int i = from; i < to; i++) {
		struct engine_batch *b = engine_batch_new(g);
		struct engine_body *body = body_make(e, 3000, (unsigned)i);
		char key[16];

		snprintf(key, sizeof(key), "%06d", i);
		assert_int_equal(engine_put_body(b, slice_str(key), SLICE("row"), body), 0);
		assert_int_equal(commit(e, b), 0);
		engine_body_free(&body);
	}
	engine_group_close(&g);
}

/* Frames 0..want-1 are there and the store goes on. */
static void expect_frames(struct engine **e, const char *dir, size_t want)
{
	struct engine_group *g;

	for (int round = 0; round < 2; round++) {
		g = group_open(*e, "g", ENGINE_CREATE, 0);
		assert_int_equal(engine_group_seq(g), want);
		assert_int_equal(scan(*e, g, "", "", 0)->rows, want);
		if (want > 0)
			body_expect(*e, &scan(*e, g, "", "", 0)->loc, 3000, (unsigned)want - 1);
		engine_group_close(&g);
		fill(*e, "g", (int)want, (int)want + 1);
		want++;
		engine_close(e);
		*e = store_open("lmdb", dir, NULL);
	}
}

static unsigned count_files(const char *dir, const char *prefix)
{
	DIR *d = opendir(dir);
	struct dirent *de;
	unsigned n = 0;

	while ((de = readdir(d)) != NULL)
		n += strncmp(de->d_name, prefix, strlen(prefix)) == 0;
	closedir(d);
	return n;
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, env_open, env_close)
