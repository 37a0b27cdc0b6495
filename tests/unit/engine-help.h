/*
 * engine-help - the engine's asynchronous calls, waited for; for tests only.
 *
 * Invariant: every wait ends within ten seconds or the test fails.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/engine/engine.h"

/* Each test uses some of these. */
#pragma GCC diagnostic ignored "-Wunused-function"

enum { WAITING = -9999, KEEP_MAX = 4096 };

struct answer {
	int rc;
	struct engine_group *group;
	size_t rows;
	bool more;
	char text[KEEP_MAX]; /* "key=value key=value ", or the bytes of a body */
	size_t text_n;
	struct engine_loc loc;
	bool has_loc;
};

static bool in_call; /* set around calls that must not call back */

static void on_done(void *arg, int rc)
{
	struct answer *a = arg;

	assert_false(in_call);
	assert_int_equal(a->rc, WAITING);
	a->rc = rc;
}

static void on_group(void *arg, int rc, struct engine_group *g)
{
	struct answer *a = arg;

	assert_false(in_call);
	a->rc = rc;
	a->group = g;
}

static void keep(struct answer *a, struct slice s)
{
	size_t n = s.n < KEEP_MAX - 1 - a->text_n ? s.n : KEEP_MAX - 1 - a->text_n;

	if (n > 0)
		memcpy(a->text + a->text_n, s.p, n);
	a->text_n += n;
	a->text[a->text_n] = '\0';
}

static void on_rows_now(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct answer *a = arg;

	a->rc = rc;
	a->rows = n;
	a->more = more;
	for (size_t i = 0; i < n; i++) {
		keep(a, rows[i].key);
		keep(a, SLICE("="));
		keep(a, rows[i].val);
		keep(a, SLICE(" "));
		a->has_loc = rows[i].has_loc;
		a->loc = rows[i].loc;
	}
}

static void on_rows(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	assert_false(in_call);
	on_rows_now(arg, rc, rows, n, more);
}

static void on_data(void *arg, int rc, struct slice data)
{
	struct answer *a = arg;

	assert_false(in_call);
	a->rc = rc;
	keep(a, data);
	a->rows = data.n;
}

static void wait_for(struct engine *e, const int *rc)
{
	int64_t end = clock_mono_ms() + 10000;

	while (*rc == WAITING) {
		struct pollfd p = { .fd = engine_fd(e), .events = POLLIN };

		assert_true(clock_mono_ms() < end);
		assert_true(poll(&p, 1, 1000) >= 0);
		engine_dispatch(e, 0);
	}
}

/* Groups are spread over a store's shards by the last byte of their id. */
static unsigned shard_of(const struct engine *e, const char *id)
{
	return (uint8_t)id[strlen(id) - 1] % engine_shards(e);
}

static struct engine_group *group_open(struct engine *e, const char *id, unsigned flags, int want)
{
	struct answer a = { .rc = WAITING };

	in_call = true;
	engine_group_open(e, slice_str(id), 0, flags | ENGINE_IN(shard_of(e, id)), on_group, &a);
	in_call = false;
	wait_for(e, &a.rc);
	assert_int_equal(a.rc, want);
	return a.group;
}

static void commit_start(struct engine *e, struct engine_batch *b, struct answer *a)
{
	*a = (struct answer){ .rc = WAITING };
	in_call = true;
	engine_commit(e, &b, 1, on_done, a);
	in_call = false;
	assert_null(b);
}

static int commit(struct engine *e, struct engine_batch *b)
{
	struct answer a;

	commit_start(e, b, &a);
	wait_for(e, &a.rc);
	return a.rc;
}

static int put(struct engine *e, struct engine_group *g, const char *key, const char *val)
{
	struct engine_batch *b = engine_batch_new(g);

	assert_int_equal(engine_put(b, slice_str(key), slice_str(val)), 0);
	return commit(e, b);
}

static struct answer *get(struct engine *e, struct engine_group *g, const char *key)
{
	static struct answer a;

	a = (struct answer){ .rc = WAITING };
	in_call = true;
	engine_get(g, slice_str(key), on_rows, &a);
	in_call = false;
	wait_for(e, &a.rc);
	return &a;
}

static struct answer *scan(
    struct engine *e, struct engine_group *g, const char *from, const char *to, unsigned limit)
{
	static struct answer a;

	a = (struct answer){ .rc = WAITING };
	in_call = true;
	engine_scan(g, slice_str(from), slice_str(to), limit, on_rows, &a);
	in_call = false;
	wait_for(e, &a.rc);
	return &a;
}

static struct answer *body_read(
    struct engine *e, const struct engine_loc *loc, uint64_t off, size_t len)
{
	static struct answer a;

	a = (struct answer){ .rc = WAITING };
	in_call = true;
	engine_body_read(e, loc, off, len, on_data, &a);
	in_call = false;
	wait_for(e, &a.rc);
	return &a;
}

/* Of 64 values: packed, it takes three quarters. */
static uint8_t body_byte(size_t i, unsigned seed)
{
	uint64_t z = (i + 1) * 0x9e3779b97f4a7c15u + seed * 0x94d049bb133111ebu;

	return (uint8_t)(' ' + ((z ^ z >> 29) * 0xbf58476d1ce4e5b9u >> 58));
}

/* An upload of n such bytes, appended in pieces. */

/* Whether they are packed: as the test says, or all with ENGINE_PACK in the environment. */
static bool pack_bodies;

static struct engine_body *body_make(struct engine *e, size_t n, unsigned seed)
{
	struct answer room = { .rc = WAITING }, end = { .rc = WAITING };
	struct engine_body *b = engine_body_begin(e, 0, on_done, &room);
	uint8_t piece[10007];
	int r;

	assert_non_null(b);
	if (pack_bodies || getenv("ENGINE_PACK") != NULL)
		engine_body_pack(b);
	for (size_t at = 0; at < n;) {
		size_t len = n - at < sizeof(piece) ? n - at : sizeof(piece);

		for (size_t i = 0; i < len; i++)
			piece[i] = body_byte(at + i, seed);
		in_call = true;
		r = engine_body_append(b, slice_of(piece, len));
		in_call = false;
		if (r == ENGINE_AGAIN) {
			wait_for(e, &room.rc);
			assert_int_equal(room.rc, 0);
			room.rc = WAITING;
			continue;
		}
		assert_int_equal(r, 0);
		at += len;
	}
	r = engine_body_end(b, on_done, &end);
	if (r == ENGINE_AGAIN) {
		wait_for(e, &end.rc);
		r = end.rc;
	}
	assert_int_equal(r, 0);
	assert_int_equal(engine_body_bytes(b), n);
	return b;
}

static void body_expect(struct engine *e, const struct engine_loc *loc, size_t n, unsigned seed)
{
	size_t at = 0;

	assert_int_equal(engine_loc_bytes(loc), n);
	while (at < n) {
		struct answer *a = body_read(e, loc, at, KEEP_MAX - 1);

		assert_int_equal(a->rc, 0);
		assert_true(a->rows > 0);
		for (size_t i = 0; i < a->rows; i++)
			if ((uint8_t)a->text[i] != body_byte(at + i, seed))
				fail_msg("byte %zu differs", at + i);
		/* big bodies are sampled, else the test reads every chunk sixteen times */
		at += n > 1 << 20 ? a->rows + 60000 : a->rows;
	}
	assert_int_equal(body_read(e, loc, n, 10)->rc, 0);
}

/* Tests run beside each other: the names of a program's files must be its own. */
static int run_apart(int (*tests)(void))
{
	char path[] = "engine-apart-XXXXXX", cmd[64];
	int r;

	if (mkdtemp(path) == NULL || chdir(path) != 0)
		return 1;
	r = tests();
	snprintf(cmd, sizeof(cmd), "rm -rf -- ./%s", path);
	return chdir("..") != 0 || system(cmd) != 0 ? 1 : r;
}

/* A new directory below the working one, or the memory engine's nothing. */
static void dir_make(char path[64])
{
	strcpy(path, "engine-test-XXXXXX");
	assert_non_null(mkdtemp(path));
}

static void dir_remove(const char *path)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf -- ./%s", path);
	assert_int_equal(system(cmd), 0);
}

static struct engine *store_open(const char *spec, const char *path, const struct engine_conf *conf)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;
	struct engine *e = NULL;

	assert_true(fd >= 0);
	r = engine_open(spec, fd, conf, &e);
	close(fd);
	if (r != 0)
		print_message("engine_open: %s\n", engine_rc_name(r));
	assert_int_equal(r, 0);
	return e;
}
