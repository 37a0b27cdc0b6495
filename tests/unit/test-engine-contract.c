/* What every engine promises: the same cases on each of them, and on the memory engine with answers
 * that come late and out of order. */
#include "engine-help.h"

struct env {
	const char *spec;
	bool lasting;
	char dir[64];
	struct engine *e;
};

static int env_open(void **state)
{
	struct env *v = *state;

	dir_make(v->dir);
	v->e = store_open(v->spec, v->dir, NULL);
	return 0;
}

static int env_close(void **state)
{
	struct env *v = *state;

	engine_close(&v->e);
	dir_remove(v->dir);
	return 0;
}

static void test_group_must_be_made(void **state)
{
	struct env *v = *state;
	struct engine_group *g;

	group_open(v->e, "none", 0, ENGINE_NOTFOUND);
	g = group_open(v->e, "none", ENGINE_CREATE, 0);
	assert_int_equal(engine_group_seq(g), 0);
	assert_int_equal(put(v->e, g, "a", "1"), 0);
	assert_int_equal(engine_group_seq(g), 1);
	engine_group_close(&g);
	g = group_open(v->e, "none", 0, 0);
	assert_int_equal(engine_group_seq(g), 1);
	engine_group_close(&g);
}

static void test_put_get_del(void **state)
{
	struct env *v = *state;
	struct engine_group *g = group_open(v->e, "g", ENGINE_CREATE, 0);
	struct engine_batch *b;

	assert_int_equal(put(v->e, g, "k", "one"), 0);
	assert_string_equal(get(v->e, g, "k")->text, "k=one ");
	assert_int_equal(put(v->e, g, "k", "two and longer"), 0);
	assert_string_equal(get(v->e, g, "k")->text, "k=two and longer ");
	assert_int_equal(get(v->e, g, "kk")->rc, ENGINE_NOTFOUND);
	b = engine_batch_new(g);
	assert_int_equal(engine_del(b, SLICE("k")), 0);
	assert_int_equal(engine_del(b, SLICE("never was")), 0);
	assert_int_equal(commit(v->e, b), 0);
	assert_int_equal(get(v->e, g, "k")->rc, ENGINE_NOTFOUND);
	engine_group_close(&g);
}

static void test_last_operation_wins(void **state)
{
	struct env *v = *state;
	struct engine_group *g = group_open(v->e, "g", ENGINE_CREATE, 0);
	struct engine_batch *b = engine_batch_new(g);

	assert_int_equal(engine_put(b, SLICE("a"), SLICE("1")), 0);
	assert_int_equal(engine_put(b, SLICE("b"), SLICE("1")), 0);
	assert_int_equal(engine_del_range(b, SLICE("a"), SLICE("z")), 0);
	assert_int_equal(engine_put(b, SLICE("b"), SLICE("2")), 0);
	assert_int_equal(engine_put(b, SLICE("c"), SLICE("1")), 0);
	assert_int_equal(engine_del(b, SLICE("c")), 0);
	assert_int_equal(commit(v->e, b), 0);
	assert_string_equal(scan(v->e, g, "", "", 0)->text, "b=2 ");
	engine_group_close(&g);
}

static void test_empty_batch_counts(void **state)
{
	struct env *v = *state;
	struct engine_group *g = group_open(v->e, "g", ENGINE_CREATE, 0);
	struct engine_batch *b = engine_batch_new(g);
	uint64_t id = engine_batch_id(b);

	assert_int_equal(commit(v->e, b), 0);
	assert_int_equal(engine_group_seq(g), 1);
	assert_true(engine_group_batch(g) == id);
	engine_group_close(&g);
}

static void test_scan_pages(void **state)
{
	struct env *v = *state;
	struct engine_group *g = group_open(v->e, "g", ENGINE_CREATE, 0),
			    *other = group_open(v->e, "gg", ENGINE_CREATE, 0);
	struct engine_batch *b = engine_batch_new(g);
	struct answer *a;
	char key[16];

	for (int i = 0; i < 2500; i++) {
		snprintf(key, sizeof(key), "%05d", i * 37 % 2500);
		assert_int_equal(engine_put(b, slice_str(key), SLICE("x")), 0);
	}
	assert_int_equal(commit(v->e, b), 0);
	assert_int_equal(put(v->e, other, "00000", "not mine"), 0);
	a = scan(v->e, g, "", "", 3);
	assert_string_equal(a->text, "00000=x 00001=x 00002=x ");
	assert_true(a->more);
	a = scan(v->e, g, "00100", "00103", 3);
	assert_string_equal(a->text, "00100=x 00101=x 00102=x ");
	assert_false(a->more);
	a = scan(v->e, g, "02498", "", 10);
	assert_string_equal(a->text, "02498=x 02499=x ");
	assert_false(a->more);
	a = scan(v->e, g, "", "", 0);
	assert_int_equal(a->rows, engine_limits(v->e)->scan_rows);
	assert_true(a->more);
	a = scan(v->e, g, "3", "", 0);
	assert_int_equal(a->rc, 0);
	assert_int_equal(a->rows, 0);
	engine_group_close(&g);
	engine_group_close(&other);
}

static void test_del_range(void **state)
{
	static const struct {
		const char *from, *to, *want;
	} cases[] = {
		{ "b", "d", "a= d= e= " },
		{ "", "b", "b= c= d= e= " },
		{ "d", "", "a= b= c= " },
		{ "c", "c", "a= b= c= d= e= " },
		{ "bb", "cc", "a= b= d= e= " },
		{ "", "", "" },
	};
	struct env *v = *state;
	struct engine_group *g = group_open(v->e, "g", ENGINE_CREATE, 0),
			    *next = group_open(v->e, "h", ENGINE_CREATE, 0);

	assert_int_equal(put(v->e, next, "a", "stays"), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct engine_batch *b = engine_batch_new(g);

		for (const char *k = "abcde"; *k != '\0'; k++)
			assert_int_equal(engine_put(b, slice_of(k, 1), SLICE_NONE), 0);
		assert_int_equal(commit(v->e, b), 0);
		b = engine_batch_new(g);
		assert_int_equal(
		    engine_del_range(b, slice_str(cases[i].from), slice_str(cases[i].to)), 0);
		assert_int_equal(commit(v->e, b), 0);
		assert_string_equal(scan(v->e, g, "", "", 0)->text, cases[i].want);
	}
	assert_int_equal(engine_group_seq(g), 2 * sizeof(cases) / sizeof(*cases));
	assert_string_equal(scan(v->e, next, "", "", 0)->text, "a=stays ");
	engine_group_close(&g);
	engine_group_close(&next);
}

static void test_del_group(void **state)
{
	struct env *v = *state;
	struct engine_group *g = group_open(v->e, "g", ENGINE_CREATE, 0),
			    *next = group_open(v->e, "h", ENGINE_CREATE, 0);
	struct engine_batch *b;

	assert_int_equal(put(v->e, next, "a", "stays"), 0);
	assert_int_equal(put(v->e, g, "a", "1"), 0);
	b = engine_batch_new(g);
	assert_int_equal(engine_put(b, SLICE("b"), SLICE("2")), 0);
	assert_int_equal(engine_del_group(b), 0);
	assert_int_equal(commit(v->e, b), 0);
	assert_int_equal(scan(v->e, g, "", "", 0)->rows, 0);
	engine_group_close(&g);
	group_open(v->e, "g", 0, ENGINE_NOTFOUND);
	if (v->lasting) {
		engine_group_close(&next);
		engine_close(&v->e);
		v->e = store_open(v->spec, v->dir, NULL);
		group_open(v->e, "g", 0, ENGINE_NOTFOUND);
		next = group_open(v->e, "h", 0, 0);
	}
	/* emptied and made again in one batch: the group goes on, with its number */
	g = group_open(v->e, "h", 0, 0);
	b = engine_batch_new(g);
	assert_int_equal(engine_del_group(b), 0);
	assert_int_equal(engine_put(b, SLICE("n"), SLICE("new")), 0);
	assert_int_equal(commit(v->e, b), 0);
	assert_int_equal(engine_group_seq(g), 2);
	assert_string_equal(scan(v->e, g, "", "", 0)->text, "n=new ");
	engine_group_close(&g);
	engine_group_close(&next);
}

static void test_binary_keys_in_order(void **state)
{
	struct env *v = *state;
	struct engine_group *g = group_open(v->e, "\xff\xff", ENGINE_CREATE, 0);
	struct engine_batch *b = engine_batch_new(g);
	static const uint8_t keys[][2] = { { 0, 0 }, { 0, 1 }, { 0x7f, 0 }, { 0x80, 0 },
		{ 0xff, 0xff } };

	for (size_t i = 5; i > 0; i--)
		assert_int_equal(engine_put(b, slice_of(keys[i - 1], 2), SLICE("v")), 0);
	assert_int_equal(commit(v->e, b), 0);
	struct answer *a = scan(v->e, g, "", "", 0);
	assert_int_equal(a->rows, 5);
	for (size_t i = 0; i < 5; i++)
		assert_memory_equal(a->text + 5 * i, keys[i], 2);
	engine_group_close(&g);
}

static void test_too_big(void **state)
{
	struct env *v = *state;
	const struct engine_limits *l = engine_limits(v->e);
	struct engine_group *g = group_open(v->e, "g", ENGINE_CREATE, 0);
	struct engine_batch *b = engine_batch_new(g);
	uint8_t *big = calloc(1, l->value_bytes + 1);

	assert_int_equal(engine_put(b, slice_of(big, l->key_bytes + 1), SLICE("v")), ENGINE_TOOBIG);
	assert_int_equal(
	    engine_put(b, SLICE("k"), slice_of(big, l->value_bytes + 1)), ENGINE_TOOBIG);
	assert_int_equal(
	    engine_put(b, slice_of(big, l->key_bytes), slice_of(big, l->value_bytes)), 0);
	assert_int_equal(commit(v->e, b), 0);
	assert_int_equal(scan(v->e, g, "", "", 0)->rows, 1);
	free(big);
	engine_group_close(&g);
}

static void test_several_batches_one_atom(void **state)
{
	struct env *v = *state;
	struct engine_group *g[3];
	struct engine_batch *b[3];
	struct answer a = { .rc = WAITING };

	assert_int_equal(engine_limits(v->e)->commit_atomic, engine_shards(v->e) == 1);
	for (int i = 0; i < 3; i++) {
		static const char *const names[] = { "a", "b", "c" }, *const near[] = { "aa", "ba",
			"ca" };
		const char *id = engine_shards(v->e) > 1 ? near[i] : names[i];

		g[i] = group_open(v->e, id, ENGINE_CREATE, 0);
		b[i] = engine_batch_new(g[i]);
		assert_int_equal(engine_put(b[i], SLICE("k"), slice_str(names[i])), 0);
	}
	assert_true(engine_may_commit(v->e, b, 3));
	in_call = true;
	engine_commit(v->e, b, 3, on_done, &a);
	in_call = false;
	wait_for(v->e, &a.rc);
	assert_int_equal(a.rc, 0);
	assert_string_equal(get(v->e, g[0], "k")->text, "k=a ");
	assert_string_equal(get(v->e, g[2], "k")->text, "k=c ");
	/* One stale batch stops all of them. */
	struct engine_group *thief = group_open(v->e, engine_shards(v->e) > 1 ? "ba" : "b", 0, 0);
	for (int i = 0; i < 3; i++) {
		b[i] = engine_batch_new(g[i]);
		assert_int_equal(engine_put(b[i], SLICE("k"), SLICE("new")), 0);
	}
	a.rc = WAITING;
	engine_commit(v->e, b, 3, on_done, &a);
	wait_for(v->e, &a.rc);
	assert_int_equal(a.rc, ENGINE_STALE);
	assert_string_equal(get(v->e, g[0], "k")->text, "k=a ");
	assert_string_equal(get(v->e, g[2], "k")->text, "k=c ");
	assert_int_equal(put(v->e, g[0], "k", "goes on"), 0);
	assert_int_equal(put(v->e, thief, "k", "mine"), 0);
	for (int i = 0; i < 3; i++)
		engine_group_close(&g[i]);
	engine_group_close(&thief);
}

static void test_older_owner_is_stale(void **state)
{
	struct env *v = *state;
	struct engine_group *old = group_open(v->e, "g", ENGINE_CREATE, 0), *new;
	struct answer a[5];

	for (int i = 0; i < 5; i++) {
		struct engine_batch *b = engine_batch_new(old);
		char key[2] = { (char)('0' + i), 0 };

		assert_int_equal(engine_put(b, slice_str(key), SLICE("old")), 0);
		commit_start(v->e, b, &a[i]);
	}
	/* The new owner sees all that was on its way, and nothing after it. */
	new = group_open(v->e, "g", 0, 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(a[i].rc, 0);
	assert_int_equal(engine_group_seq(new), 5);
	assert_int_equal(put(v->e, old, "6", "old"), ENGINE_STALE);
	assert_int_equal(put(v->e, new, "7", "new"), 0);
	assert_int_equal(put(v->e, old, "8", "old"), ENGINE_STALE);
	assert_int_equal(put(v->e, new, "9", "new"), 0);
	assert_string_equal(scan(v->e, new, "5", "", 0)->text, "7=new 9=new ");
	engine_group_close(&old);
	engine_group_close(&new);
}

static void test_epoch_fences(void **state)
{
	struct env *v = *state;
	struct engine_group *g = NULL, *h = NULL;
	int r;

	unsigned in = ENGINE_IN(shard_of(v->e, "g"));

	while ((r = engine_group_open_now(v->e, SLICE("g"), 7, ENGINE_CREATE | in, &g)) ==
	       ENGINE_AGAIN)
		engine_dispatch(v->e, 0);
	assert_int_equal(r, 0);
	assert_int_equal(put(v->e, g, "a", "1"), 0);
	assert_int_equal(engine_group_open_now(v->e, SLICE("g"), 6, in, &h), ENGINE_STALE);
	engine_group_close(&g);
	assert_int_equal(engine_group_open_now(v->e, SLICE("g"), 8, in, &h), 0);
	engine_group_close(&h);
}

static void test_pipelined_commits_keep_order(void **state)
{
	struct env *v = *state;
	struct engine_group *g = group_open(v->e, "g", ENGINE_CREATE, 0);
	static struct answer a[300];
	char text[16];

	for (int i = 0; i < 300; i++) {
		struct engine_batch *b = engine_batch_new(g);

		snprintf(text, sizeof(text), "%d", i);
		assert_int_equal(engine_put(b, SLICE("last"), slice_str(text)), 0);
		commit_start(v->e, b, &a[i]);
	}
	wait_for(v->e, &a[299].rc);
	for (int i = 0; i < 300; i++)
		assert_int_equal(a[i].rc, 0);
	assert_string_equal(get(v->e, g, "last")->text, "last=299 ");
	assert_int_equal(engine_group_seq(g), 300);
	engine_group_close(&g);
}

static void test_dispatch_bounded(void **state)
{
	struct env *v = *state;
	struct engine_group *g = group_open(v->e, "g", ENGINE_CREATE, 0);
	struct answer a[6];
	int done = 0;

	for (int i = 0; i < 6; i++)
		commit_start(v->e, engine_batch_new(g), &a[i]);
	while (done < 6) {
		struct pollfd p = { .fd = engine_fd(v->e), .events = POLLIN };
		unsigned n;

		assert_int_equal(poll(&p, 1, 5000), 1);
		n = engine_dispatch(v->e, 1);
		assert_true(n <= 1);
		done += (int)n;
		for (int i = 0; i < 6; i++)
			assert_int_equal(a[i].rc, i < done ? 0 : WAITING);
	}
	engine_group_close(&g);
}

static void test_bodies(void **state)
{
	static const size_t sizes[] = { 0, 1, 4095, 4096, 65535, 65536, 65537, 131072, 300001,
		1048576, 1048577, 5000003 };
	struct env *v = *state;
	struct engine_group *g = group_open(v->e, "g", ENGINE_CREATE, 0);

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		struct engine_body *body = body_make(v->e, sizes[i], (unsigned)i);
		struct engine_batch *b = engine_batch_new(g);
		struct engine_loc loc;
		struct answer *a;

		assert_int_equal(engine_body_loc(body, &loc), ENGINE_NOTFOUND);
		assert_int_equal(engine_put_body(b, SLICE("m"), SLICE("row"), body), 0);
		assert_int_equal(commit(v->e, b), 0);
		assert_int_equal(engine_body_loc_in(body, g, &loc), 0);
		engine_body_free(&body);
		a = get(v->e, g, "m");
		assert_string_equal(a->text, "m=row ");
		assert_true(a->has_loc);
		assert_memory_equal(&a->loc, &loc, sizeof(loc));
		body_expect(v->e, &loc, sizes[i], (unsigned)i);
	}
	engine_group_close(&g);
}

static void test_body_shared(void **state)
{
	struct env *v = *state;
	struct engine_group *g = group_open(v->e, "g", ENGINE_CREATE, 0),
			    *h = group_open(
				v->e, engine_shards(v->e) > 1 ? "gg" : "h", ENGINE_CREATE, 0);
	struct engine_body *body = body_make(v->e, 7000, 3);
	struct engine_batch *b[2] = { engine_batch_new(g), engine_batch_new(h) };
	struct answer a = { .rc = WAITING };
	struct engine_loc loc;

	/* One upload, two recipients, one commit; then a copy by reference, then one is deleted. */
	assert_int_equal(engine_put_body(b[0], SLICE("1"), SLICE("g"), body), 0);
	assert_int_equal(engine_put_body(b[1], SLICE("1"), SLICE("h"), body), 0);
	engine_body_free(&body);
	engine_commit(v->e, b, 2, on_done, &a);
	wait_for(v->e, &a.rc);
	assert_int_equal(a.rc, 0);
	loc = get(v->e, g, "1")->loc;
	assert_memory_equal(&get(v->e, h, "1")->loc, &loc, sizeof(loc));
	b[0] = engine_batch_new(g);
	assert_int_equal(engine_put_ref(b[0], SLICE("2"), SLICE("copy"), &loc), 0);
	assert_int_equal(engine_del(b[0], SLICE("1")), 0);
	assert_int_equal(commit(v->e, b[0]), 0);
	assert_true(get(v->e, g, "2")->has_loc);
	body_expect(v->e, &get(v->e, g, "2")->loc, 7000, 3);
	engine_group_close(&g);
	engine_group_close(&h);
}

static void test_slow_uploads_interleave(void **state)
{
	struct env *v = *state;
	struct engine_group *g = group_open(v->e, "g", ENGINE_CREATE, 0);
	struct engine_body *slow = engine_body_begin(v->e, 100, NULL, NULL), *fast;
	struct engine_batch *b;
	struct engine_loc loc;

	assert_int_equal(engine_body_append(slow, SLICE("half")), 0);
	fast = body_make(v->e, 2000000, 1);
	b = engine_batch_new(g);
	assert_int_equal(engine_put_body(b, SLICE("fast"), SLICE_NONE, fast), 0);
	assert_int_equal(commit(v->e, b), 0);
	assert_int_equal(engine_body_loc_in(fast, g, &loc), 0);
	body_expect(v->e, &loc, 2000000, 1);
	engine_body_free(&fast);
	assert_int_equal(engine_body_append(slow, SLICE(" done")), 0);
	assert_int_equal(engine_body_end(slow, NULL, NULL), 0);
	b = engine_batch_new(g);
	assert_int_equal(engine_put_body(b, SLICE("slow"), SLICE_NONE, slow), 0);
	assert_int_equal(commit(v->e, b), 0);
	assert_int_equal(engine_body_loc_in(slow, g, &loc), 0);
	assert_string_equal(body_read(v->e, &loc, 0, 100)->text, "half done");
	assert_string_equal(body_read(v->e, &loc, 5, 2)->text, "do");
	engine_body_free(&slow);
	/* Uploads may be given up at any point. */
	slow = engine_body_begin(v->e, 0, NULL, NULL);
	assert_int_equal(engine_body_append(slow, SLICE("x")), 0);
	engine_body_free(&slow);
	fast = body_make(v->e, 3000000, 1);
	engine_body_free(&fast);
	engine_group_close(&g);
}

static void test_body_not_found(void **state)
{
	struct env *v = *state;
	struct engine_loc loc;
	uint8_t buf[16];
	size_t n;

	memset(&loc, 0, sizeof(loc));
	assert_int_equal(body_read(v->e, &loc, 0, 10)->rc, ENGINE_NOTFOUND);
	memset(&loc, 0x11, sizeof(loc));
	assert_int_equal(
	    engine_body_read_now(v->e, &loc, 0, buf, sizeof(buf), &n), ENGINE_NOTFOUND);
}

static void test_now_twins(void **state)
{
	struct env *v = *state;
	struct engine_group *g = group_open(v->e, "g", ENGINE_CREATE, 0);
	struct engine_body *body = body_make(v->e, 5000, 9);
	struct engine_batch *b = engine_batch_new(g);
	struct answer a = { .rc = WAITING };
	struct engine_loc loc;
	uint8_t buf[6000];
	size_t n = 0;

	assert_int_equal(engine_put_body(b, SLICE("k"), SLICE("v"), body), 0);
	assert_int_equal(commit(v->e, b), 0);
	assert_int_equal(engine_body_loc_in(body, g, &loc), 0);
	engine_body_free(&body);
	assert_int_equal(engine_get_now(g, SLICE("k"), on_rows_now, &a), 0);
	assert_string_equal(a.text, "k=v ");
	assert_int_equal(engine_get_now(g, SLICE("x"), on_rows_now, &a), ENGINE_NOTFOUND);
	a.text_n = 0;
	assert_int_equal(engine_scan_now(g, SLICE(""), SLICE(""), 0, on_rows_now, &a), 0);
	assert_string_equal(a.text, "k=v ");
	assert_int_equal(engine_body_read_now(v->e, &loc, 10, buf, sizeof(buf), &n), 0);
	assert_int_equal(n, 4990);
	assert_int_equal(buf[0], body_byte(10, 9));
	assert_int_equal(engine_body_read_now(v->e, &loc, 5000, buf, sizeof(buf), &n), 0);
	assert_int_equal(n, 0);
	engine_group_close(&g);
}

static void test_close_drops_callbacks(void **state)
{
	struct env *v = *state;
	struct engine_group *g = group_open(v->e, "g", ENGINE_CREATE, 0);
	struct answer a, b = { .rc = WAITING };

	commit_start(v->e, engine_batch_new(g), &a);
	engine_get(g, SLICE("k"), on_rows, &b);
	engine_group_close(&g);
	engine_close(&v->e);
	assert_int_equal(a.rc, WAITING);
	assert_int_equal(b.rc, WAITING);
	v->e = store_open(v->spec, v->dir, NULL);
	if (!v->lasting)
		return;
	g = group_open(v->e, "g", 0, 0);
	assert_int_equal(engine_group_seq(g), 1);
	engine_group_close(&g);
}

static void test_reopen(void **state)
{
	struct env *v = *state;
	struct engine_group *g = group_open(v->e, "g", ENGINE_CREATE, 0);
	struct engine_body *small = body_make(v->e, 100, 1), *large = body_make(v->e, 1500000, 2);
	struct engine_batch *b = engine_batch_new(g);

	if (!v->lasting) {
		engine_body_free(&small);
		engine_body_free(&large);
		engine_batch_free(&b);
		engine_group_close(&g);
		return;
	}
	assert_int_equal(engine_put_body(b, SLICE("large"), SLICE_NONE, large), 0);
	assert_int_equal(engine_put_body(b, SLICE("small"), SLICE_NONE, small), 0);
	assert_int_equal(engine_put(b, SLICE("gone"), SLICE("x")), 0);
	assert_int_equal(commit(v->e, b), 0);
	engine_body_free(&small);
	engine_body_free(&large);
	for (int i = 0; i < 3; i++) {
		engine_group_close(&g);
		engine_close(&v->e);
		v->e = store_open(v->spec, v->dir, NULL);
		g = group_open(v->e, "g", 0, 0);
		assert_int_equal(engine_group_seq(g), i + 1);
		body_expect(v->e, &get(v->e, g, "small")->loc, 100, 1);
		body_expect(v->e, &get(v->e, g, "large")->loc, 1500000, 2);
		b = engine_batch_new(g);
		assert_int_equal(engine_del_range(b, SLICE("gone"), SLICE("gonf")), 0);
		assert_int_equal(commit(v->e, b), 0);
		assert_string_equal(scan(v->e, g, "", "", 0)->text, "large= small= ");
	}
	engine_group_close(&g);
}

#define CASE(f)                                  \
	{                                        \
#f, f, env_open, env_close, NULL \
	}

static int run_on(const char *name, const char *spec, bool lasting)
{
	struct env v = { .spec = spec, .lasting = lasting };
	struct CMUnitTest tests[] = {
		CASE(test_group_must_be_made),
		CASE(test_put_get_del),
		CASE(test_last_operation_wins),
		CASE(test_empty_batch_counts),
		CASE(test_scan_pages),
		CASE(test_del_range),
		CASE(test_del_group),
		CASE(test_binary_keys_in_order),
		CASE(test_too_big),
		CASE(test_several_batches_one_atom),
		CASE(test_older_owner_is_stale),
		CASE(test_epoch_fences),
		CASE(test_pipelined_commits_keep_order),
		CASE(test_dispatch_bounded),
		CASE(test_bodies),
		CASE(test_body_shared),
		CASE(test_slow_uploads_interleave),
		CASE(test_body_not_found),
		CASE(test_now_twins),
		CASE(test_close_drops_callbacks),
		CASE(test_reopen),
	};

	for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++)
		tests[i].initial_state = &v;
	return _cmocka_run_group_tests(name, tests, sizeof(tests) / sizeof(*tests), NULL, NULL);
}

int main(int argc, char **argv)
{
	const char *spec = argc > 1 ? argv[1] : "mem";

	return run_on(spec, spec, strstr(spec, "lmdb") != NULL);
}
