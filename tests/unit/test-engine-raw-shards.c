/* A store of several shards read raw: all of it, or what is left when a shard is not there. */
#include "tests/unit/engine-help.h"

#include "common/engine/raw.h"

enum { GROUPS = 9, BODY = 20000 };

struct told {
	unsigned n, shard;
	char why[40];
};

static void found(void *arg, const struct raw_finding *f)
{
	struct told *t = arg;

	if (f->what != RAW_SHARD)
		return;
	t->n++;
	t->shard = f->shard;
	snprintf(t->why, sizeof(t->why), "%s", f->why);
}

/* Groups "g0" to "g8", each in the shard of its number; in each a row, and one with a body. */
static void fill(const char *path, const char *spec)
{
	struct engine *e = store_open(spec, path, NULL);

	for (unsigned i = 0; i < GROUPS; i++) {
		char id[3] = { 'g', (char)('0' + i) };
		struct engine_group *g = group_open(e, id, ENGINE_CREATE, 0);
		struct engine_batch *b = engine_batch_new(g);
		struct engine_body *body = body_make(e, BODY, i);

		assert_int_equal(engine_put(b, SLICE("a"), slice_str(id)), 0);
		assert_int_equal(engine_put_body(b, SLICE("b"), slice_str(id), body), 0);
		assert_int_equal(commit(e, b), 0);
		engine_body_free(&body);
		engine_group_close(&g);
	}
	engine_close(&e);
}

struct reading {
	size_t n;
	unsigned seed;
};

static int same(void *arg, struct slice s)
{
	struct reading *b = arg;

	for (size_t i = 0; i < s.n; i++)
		assert_int_equal(s.p[i], body_byte(b->n + i, b->seed));
	b->n += s.n;
	return 0;
}

/* All rows in order, but those of `without` (or -1). */
static void expect(const char *path, int without, const char *why)
{
	struct told t = { 0 };
	const struct raw_conf conf = { .found = found, .arg = &t };
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct raw_row row;
	struct raw *r;
	unsigned n = 0;
	bool any;

	assert_int_equal(raw_open(fd, &conf, &r), 0);
	close(fd);
	any = raw_seek(r, SLICE_NONE, SLICE_NONE, &row);
	for (unsigned i = 0; i < 2 * GROUPS; i++) {
		char id[3] = { 'g', (char)('0' + i / 2) };
		struct reading b = { 0, i / 2 };
		unsigned shard = (unsigned)('0' + i / 2) % 3;

		if ((int)shard == without)
			continue;
		assert_true(any);
		assert_true(slice_eq(row.group, slice_str(id)) && slice_eq(row.val, slice_str(id)));
		assert_int_equal(row.shard, shard);
		assert_int_equal(row.key.p[0], i % 2 == 0 ? 'a' : 'b');
		assert_int_equal(row.has_loc, i % 2);
		if (row.has_loc) {
			assert_int_equal(raw_body(r, &row.loc, same, &b), 0);
			assert_int_equal(b.n, BODY);
		}
		n++;
		assert_true(raw_get(r, slice_str(id), row.key, &row));
		any = raw_next(r, &row, &row);
	}
	assert_false(any);
	assert_int_equal(t.n, without >= 0);
	if (without >= 0) {
		assert_int_equal(t.shard, without);
		assert_string_equal(t.why, why);
	}
	raw_close(&r);
}

static void all_shards_are_read(void **state)
{
	char path[64];

	dir_make(path);
	fill(path, "3*lmdb");
	expect(path, -1, NULL);
	dir_remove(path);
}

static void path_of(char to[100], const char *path, const char *name)
{
	snprintf(to, 100, "%s/%s", path, name);
}

static void one_that_is_away_is_told(void **state)
{
	char path[64], one[100], two[100], aside[100];

	dir_make(path);
	fill(path, "3*lmdb");
	path_of(one, path, "shard-1");
	path_of(two, path, "shard-2");
	path_of(aside, path, "aside");
	assert_int_equal(rename(one, aside), 0);
	expect(path, 1, "missing");
	assert_int_equal(mkdir(one, 0700), 0);
	expect(path, 1, "not-mounted");
	assert_int_equal(rmdir(one), 0);
	assert_int_equal(rename(aside, one), 0);
	expect(path, -1, NULL);
	assert_int_equal(rename(two, aside), 0);
	expect(path, 2, "missing");
	assert_int_equal(rename(aside, two), 0);
	dir_remove(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_shards_are_read),
		cmocka_unit_test(one_that_is_away_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
