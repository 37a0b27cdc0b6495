/*
 * index-help - a store of the LMDB engine of which every row is known, for tests of its index; for
 * tests only.
 *
 * Invariant: what fill() put there with an age is what group_read() wants with that age.
 */
#pragma once

#include "engine-help.h"

#include "common/base/log.h"
#include "common/engine/lmdb/check.h"
#include "common/engine/lmdb/lmdb-private.h"

#include <dirent.h>

enum { GROUPS = 4, ROWS = 300, ROUNDS = 200, NO_TIMER_MS = 3600000 };

static const struct engine_conf no_timer = { .checkpoint_ms = NO_TIMER_MS };

struct env {
	char dir[64];
	struct engine *e;
};

static int env_open(void **state)
{
	static struct env v;

	dir_make(v.dir);
	v.e = NULL;
	*state = &v;
	return 0;
}

static int env_close(void **state)
{
	struct env *v = *state;
	bool left_open = v->e != NULL && (v->e->n_handles > 0 || v->e->dispatching);

	if (!left_open)
		engine_close(&v->e);
	dir_remove(v->dir);
	return left_open ? -1 : 0;
}

static int open_rc(const char *dir, const struct engine_conf *conf, struct engine **ret_e)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

	assert_true(fd >= 0);
	r = engine_open("lmdb", fd, conf, ret_e);
	close(fd);
	return r;
}

/* A shell command in which every % stands for the store's directory. */
static void run(const char *with, const char *dir)
{
	char cmd[300] = "";
	size_t n = 0;

	for (; *with != '\0'; with++)
		n += (size_t)snprintf(cmd + n, sizeof(cmd) - n, *with == '%' ? "%s" : "%.1s",
		    *with == '%' ? dir : with);
	assert_int_equal(system(cmd), 0);
}

/* ---- a store of which everything is known ---- */

static void row_name(int g, int i, char key[32])
{
	snprintf(key, 32, "%d-%06d", g, i * 7);
}

/* Some are long, so that they get pages of their own. */
static size_t row_value(int g, int i, unsigned age, char *val)
{
	size_t n = i % 50 == 7 ? 6000 : 20 + (size_t)(i * 31 + g) % 100;

	for (size_t k = 0; k < n; k++)
		val[k] = (char)('a' + (k + (size_t)i * 3 + (size_t)g + age) % 26);
	return n;
}

static void fill(struct engine *e, unsigned age, int from, int to)
{
	static char val[8000];

	for (int g = 0; g < GROUPS; g++) {
		char id[32], key[32];
		struct engine_group *grp;
		struct engine_batch *b;

		snprintf(id, sizeof(id), "group-%d", g);
		grp = group_open(e, id, ENGINE_CREATE, 0);
		b = engine_batch_new(grp);
		for (int i = from; i < to; i++) {
			row_name(g, i, key);
			assert_int_equal(
			    engine_put(b, slice_str(key), slice_of(val, row_value(g, i, age, val))),
			    0);
		}
		assert_int_equal(commit(e, b), 0);
		engine_group_close(&grp);
	}
}

struct seen {
	int rc, g, at;
	unsigned age;
	bool more, wrong;
	char last[32];
};

static void on_seen(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	static char val[8000];
	struct seen *s = arg;

	s->rc = rc;
	s->more = more;
	for (size_t i = 0; rc == 0 && i < n; i++, s->at++) {
		char key[32];

		row_name(s->g, s->at, key);
		s->wrong |=
		    !slice_eq(rows[i].key, slice_str(key)) ||
		    !slice_eq(rows[i].val, slice_of(val, row_value(s->g, s->at, s->age, val)));
		snprintf(s->last, sizeof(s->last), "%.*s", SLICE_FMT(rows[i].key));
	}
}

/* All of a group: 0, or what a read said first. Never another row than the one that was put. */
static int group_read(struct engine *e, int g, unsigned age)
{
	struct seen s = { .g = g, .age = age, .more = true };
	struct engine_group *grp;
	char id[32];

	snprintf(id, sizeof(id), "group-%d", g);
	grp = group_open(e, id, 0, 0);
	while (s.more && !s.wrong) {
		size_t n = strlen(s.last);

		s.rc = WAITING;
		/* behind the last one: the key and a zero */
		engine_scan(grp, slice_of(s.last, n > 0 ? n + 1 : 0), SLICE_NONE, 100, on_seen, &s);
		wait_for(e, &s.rc);
		if (s.rc != 0)
			break;
	}
	engine_group_close(&grp);
	assert_false(s.wrong);
	if (s.rc == 0)
		assert_int_equal(s.at, ROWS);
	return s.rc;
}

static void all_there(struct engine *e, unsigned age)
{
	for (int g = 0; g < GROUPS; g++)
		assert_int_equal(group_read(e, g, age), 0);
}

static void make(struct env *v)
{
	v->e = store_open("lmdb", v->dir, &no_timer);
	fill(v->e, 0, 0, ROWS);
	engine_close(&v->e);
	/* Pages that are not in use any more, and a second transaction. */
	v->e = store_open("lmdb", v->dir, &no_timer);
	fill(v->e, 1, 0, ROWS);
	engine_close(&v->e);
}

static unsigned count_of(const char *dir, const char *prefix)
{
	DIR *d = opendir(dir);
	struct dirent *de;
	unsigned n = 0;

	while ((de = readdir(d)) != NULL)
		n += strncmp(de->d_name, prefix, strlen(prefix)) == 0;
	closedir(d);
	return n;
}

static off_t index_size(const char *dir)
{
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), "%s/data.mdb", dir);
	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

static int index_fd(const char *dir)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/data.mdb", dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, env_open, env_close)
