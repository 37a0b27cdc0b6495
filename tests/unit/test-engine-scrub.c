/* A scrub finds what is damaged, names it, and changes nothing. */
#include "compact-world.h"

enum { FOUND_MAX = 32 };

struct found {
	unsigned n;
	struct {
		enum engine_damage_kind kind;
		char group[8], key[16];
		uint64_t no, off;
	} v[FOUND_MAX];
};

static void on_damage(void *arg, const struct engine_damage *d)
{
	struct found *f = arg;

	assert_true(f->n < FOUND_MAX);
	f->v[f->n].kind = d->kind;
	snprintf(f->v[f->n].group, 8, "%.*s", SLICE_FMT(d->group));
	snprintf(f->v[f->n].key, 16, "%.*s", SLICE_FMT(d->key));
	f->v[f->n].no = d->no;
	f->v[f->n++].off = d->off;
}

struct scrub_wait {
	int rc;
	struct found found;
};

static void on_scrubbed(void *arg, int rc)
{
	((struct scrub_wait *)arg)->rc = rc;
}

static void on_scrub_damage(void *arg, const struct engine_damage *d)
{
	on_damage(&((struct scrub_wait *)arg)->found, d);
}

static struct found scrub_now(struct env *v)
{
	struct scrub_wait w = { .rc = WAITING };

	engine_scrub(v->e, on_scrub_damage, on_scrubbed, &w);
	wait_for(v->e, &w.rc);
	assert_int_equal(w.rc, 0);
	return w.found;
}

static void start(struct env *v)
{
	v->e = store_open("lmdb", v->dir, &conf);
	groups_open(v);
	for (int k = 0; k < 30; k++)
		for (int i = 0; i < GROUPS; i++)
			put_one(v, i, k, 9000, (unsigned)(k + i));
	put_one(v, 0, 50, 1500000, 3);
	put_one(v, 0, 51, 300000, 3);
}

/* Where a byte of the store is, by its engine's own place. */
static void flip(struct env *v, enum loc_kind kind, uint64_t no, uint64_t off)
{
	char path[128];
	uint8_t byte;
	int fd;

	snprintf(path, sizeof(path), kind == LOC_SEGMENT ? "%s/log-%08x" : "%s/body-%014x", v->dir,
	    (unsigned)no);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, (off_t)off), 1);
	byte ^= 0x10;
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)off), 1);
	close(fd);
}

static struct loc_parts place(struct env *v, int g, int k)
{
	struct loc_parts p;

	loc_decode(&v->loc[g][k], &p);
	return p;
}

static void test_nothing_is_damaged(void **state)
{
	struct env *v = *state;
	struct engine_stats st;

	start(v);
	engine_stats(v->e, &st);
	assert_int_equal(st.scrubbed_s, 0);
	assert_int_equal(scrub_now(v).n, 0);
	for (int k = 0; k < 30; k += 2)
		del_one(v, 1, k);
	compact_wait(v); /* older segments keep bodies only */
	assert_int_equal(scrub_now(v).n, 0);
	expect_all(v->e, v->g, v->row);
	engine_stats(v->e, &st);
	assert_int_equal(st.scrubs, 2);
	assert_true(st.scrub_bytes > 800000 && st.scrubbed_s > 1600000000);
	groups_close(v);
	engine_close(&v->e);
	v->e = store_open("lmdb", v->dir, &conf);
	groups_open(v);
	engine_stats(v->e, &st);
	assert_true(st.scrubbed_s > 1600000000);
}

static void test_bodies_are_named(void **state)
{
	struct env *v = *state;
	struct loc_parts small, large, tabled;
	struct engine_stats st;
	struct found f;

	start(v);
	ref_one(v, 0, 7, 2, 100, false);
	small = place(v, 0, 7);
	large = place(v, 0, 50);
	tabled = place(v, 0, 51);
	assert_int_equal(large.kind, LOC_FILE);
	flip(v, LOC_SEGMENT, small.file, small.off + 5999);
	flip(v, LOC_FILE, large.file, 600000);
	flip(v, LOC_SEGMENT, tabled.file, tabled.off + 200000);
	f = scrub_now(v);
	assert_int_equal(f.n, 4);
	for (unsigned i = 0; i < f.n; i++)
		assert_int_equal(f.v[i].kind, ENGINE_DAMAGED_BODY);
	assert_string_equal(f.v[0].key, "0007");
	assert_string_equal(f.v[1].key, "0050");
	assert_string_equal(f.v[2].key, "0051");
	assert_string_equal(f.v[3].key, "0100"); /* the same body again, of another row */
	assert_string_equal(f.v[0].group, "g0");
	assert_string_equal(f.v[3].group, "g2");
	assert_int_equal(f.v[0].off, small.off);
	engine_stats(v->e, &st);
	assert_int_equal(st.damaged_bodies, 4);
	/* What it is stays: a pass leaves it where it lies. */
	for (int k = 0; k < 30; k++)
		if (k != 7)
			del_one(v, 0, k);
	compact_wait(v);
	f = scrub_now(v);
	assert_int_equal(f.n, 4);
}

/* The log alone is damaged, the rows are in the index: the next pass writes them again. */
static void test_a_pass_heals_the_log(void **state)
{
	struct env *v = *state;
	struct loc_parts p;
	struct found f;

	start(v);
	p = place(v, 1, 3);
	/* Rows lie in front of the bodies of their frame. */
	flip(v, LOC_SEGMENT, p.file, p.off - 20);
	f = scrub_now(v);
	assert_int_equal(f.n, 1);
	assert_int_equal(f.v[0].kind, ENGINE_DAMAGED_LOG);
	assert_int_equal(f.v[0].no, p.file);
	assert_true(f.v[0].off < p.off);
	for (int k = 0; k < 30; k++)
		if (k != 3)
			del_one(v, 1, k);
	compact_wait(v);
	assert_int_equal(scrub_now(v).n, 0);
	expect_all(v->e, v->g, v->row);
	expect_copy(v, true);
}

/* Users write, delete and compact, and it is not taken for damage. */
static void test_beside_others(void **state)
{
	struct env *v = *state;

	start(v);
	for (int round = 0; round < 6; round++) {
		struct scrub_wait w = { .rc = WAITING };
		struct answer a;

		engine_scrub(v->e, on_scrub_damage, on_scrubbed, &w);
		compact_start(v, &a);
		while (a.rc == WAITING || w.rc == WAITING) {
			random_step(v);
			engine_dispatch(v->e, 0);
		}
		assert_int_equal(w.rc, 0);
		assert_int_equal(a.rc, 0);
		assert_int_equal(w.found.n, 0);
	}
	expect_all(v->e, v->g, v->row);
}

/* Bodies so short that many begin in the same 512 bytes: each is read, and each is counted once. */
static void test_short_bodies(void **state)
{
	enum { N = 12, BYTES = 60 };
	struct env *v = *state;
	struct engine_stats before, st;
	struct answer a = { .rc = WAITING };
	struct loc_parts p;

	v->e = store_open("lmdb", v->dir, &conf);
	groups_open(v);
	engine_measure(v->e, on_done, &a);
	wait_for(v->e, &a.rc);
	engine_stats(v->e, &before);
	for (int k = 0; k < N; k++) {
		put_one(v, 0, k, BYTES, (unsigned)k);
		ref_one(v, 0, k, 1, k, false);
	}
	a.rc = WAITING;
	engine_measure(v->e, on_done, &a);
	wait_for(v->e, &a.rc);
	engine_stats(v->e, &st);
	assert_int_equal(st.live_bodies_bytes - before.live_bodies_bytes, N * 64);
	for (int k = 0; k < N; k++) {
		p = place(v, 0, k);
		flip(v, LOC_SEGMENT, p.file, p.off + BYTES - 1);
	}
	assert_int_equal(scrub_now(v).n, 2 * N);
}

/* A scrub of days lets a pass through at once, and finds all the same what is damaged. */
static void test_a_pass_does_not_wait_for_a_scrub(void **state)
{
	struct scrub_wait w = { .rc = WAITING };
	struct env *v = *state;
	struct loc_parts p;
	struct answer a;

	start(v);
	for (int k = 0; k < 30; k += 2)
		del_one(v, 1, k);
	p = place(v, 2, 7);
	flip(v, LOC_SEGMENT, p.file, p.off + 100);
	engine_pace(v->e, (uint64_t)1 << 40, 1);
	engine_scrub(v->e, on_scrub_damage, on_scrubbed, &w);
	for (int i = 0; i < 3; i++) {
		compact_start(v, &a);
		wait_for(v->e, &a.rc);
		assert_int_equal(a.rc, 0);
		assert_int_equal(w.rc, WAITING);
	}
	engine_pace(v->e, (uint64_t)1 << 40, (uint64_t)1 << 40);
	compact_start(v, &a); /* wakes it */
	wait_for(v->e, &w.rc);
	assert_int_equal(w.rc, 0);
	assert_int_equal(w.found.n, 1);
	assert_string_equal(w.found.v[0].key, "0007");
	wait_for(v->e, &a.rc);
	del_one(v, 2, 7);
	expect_copy(v, true);
}

/* Nor for the rest of a long body, which is read piece by piece, at its pace, and once. */
static void test_a_pass_does_not_wait_for_a_body(void **state)
{
	enum { BODY = 2000000, PIECE = 256 << 10, PACE = 20000, SLACK = 100000 };
	struct scrub_wait w = { .rc = WAITING };
	struct env *v = *state;
	struct engine_stats st = { 0 };
	struct loc_parts p;
	struct answer a;

	v->e = store_open("lmdb", v->dir, &conf);
	groups_open(v);
	put_one(v, 0, 1, BODY, 2);
	put_one(v, 0, 2, 300, 2);
	p = place(v, 0, 1);
	assert_int_equal(p.kind, LOC_FILE);
	flip(v, LOC_FILE, p.file, BODY - 10);
	engine_pace(v->e, (uint64_t)1 << 40, PACE);
	engine_scrub(v->e, on_scrub_damage, on_scrubbed, &w);
	for (int64_t end = clock_mono_ms() + 60000; st.scrub_bytes < PIECE;) {
		assert_true(clock_mono_ms() < end);
		engine_dispatch(v->e, 0);
		engine_stats(v->e, &st);
	}
	assert_true(st.scrub_bytes < PIECE + SLACK);
	for (int i = 1; i < 3; i++) {
		compact_start(v, &a);
		wait_for(v->e, &a.rc);
		assert_int_equal(a.rc, 0);
		assert_int_equal(w.rc, WAITING);
	}
	engine_stats(v->e, &st);
	assert_true(st.scrub_bytes < BODY - PIECE);
	engine_pace(v->e, (uint64_t)1 << 40, (uint64_t)1 << 40);
	compact_start(v, &a); /* wakes it */
	wait_for(v->e, &w.rc);
	wait_for(v->e, &a.rc);
	assert_int_equal(w.rc, 0);
	assert_int_equal(w.found.n, 1);
	assert_string_equal(w.found.v[0].key, "0001");
	engine_stats(v->e, &st);
	/* Up to the damaged piece, and no piece twice. */
	assert_in_range(st.scrub_bytes, BODY - 2 * PIECE, BODY + SLACK);
	del_one(v, 0, 1);
}

/* ---- readers ---- */

struct slow_read {
	struct pool_job p;
	_Atomic bool began, ends;
};

static void slow_work(struct engine *e, struct pool_job *p, struct index_reader *r)
{
	struct slow_read *s = (struct slow_read *)p;

	s->began = true;
	while (!s->ends)
		poll(NULL, 0, 1);
}

static void slow_done(struct engine *e, struct engine_done *d)
{
}

static void put_many(struct env *v, int n, size_t size)
{
	struct engine_batch *b = engine_batch_new(v->g[0]);

	for (int i = 0; i < n; i++) {
		struct engine_body *body = body_make(v->e, size, 2 * (unsigned)i);
		char key[16];

		key_of(i, key);
		assert_int_equal(engine_put_body(b, slice_str(key), SLICE("v"), body), 0);
		engine_body_free(&body);
	}
	assert_int_equal(commit(v->e, b), 0);
}

/* Somebody who waits for the disk goes before each 256 KiB, and they may be many short bodies. */
static void test_a_reader_does_not_wait_for_short_bodies(void **state)
{
	enum { BODIES = 500, BODY = 4000, STEP = 256 << 10, STEPS = 5, FIRST_MS = 100 };
	struct slow_read slow = { .p.work = slow_work, .p.d.run = slow_done };
	struct scrub_wait w = { .rc = WAITING };
	struct env *v = *state;
	struct engine_stats st = { 0 };
	int64_t began_ms, took_ms = 0;

	v->e = store_open("lmdb", v->dir, &conf);
	groups_open(v);
	put_many(v, BODIES, BODY);
	pool_submit((struct store *)v->e, &slow.p);
	while (!slow.began)
		poll(NULL, 0, 1);
	began_ms = clock_mono_ms();
	engine_scrub(v->e, on_scrub_damage, on_scrubbed, &w);
	while (st.scrub_bytes < STEPS * STEP && took_ms < 60000) {
		poll(NULL, 0, 1);
		engine_stats(v->e, &st);
		took_ms = clock_mono_ms() - began_ms;
	}
	slow.ends = true;
	/* It gets on, but no faster than so; two clocks may differ a little. */
	assert_in_range(took_ms, (STEPS - 1) * FIRST_MS - 20, 59999);
	wait_for(v->e, &w.rc);
	assert_int_equal(w.rc, 0);
	assert_int_equal(w.found.n, 0);
}

static int all(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(test_nothing_is_damaged),
		CASE(test_bodies_are_named),
		CASE(test_a_pass_heals_the_log),
		CASE(test_beside_others),
		CASE(test_short_bodies),
		CASE(test_a_pass_does_not_wait_for_a_scrub),
		CASE(test_a_pass_does_not_wait_for_a_body),
		CASE(test_a_reader_does_not_wait_for_short_bodies),
	};

	log_init(-1, false, LOG_EMERG);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return run_apart(all);
}
