/* The memory engine's faults, and what every user of the engine must be able to count on when they
 * strike: the rest of a chain is cancelled, an unknown outcome can be found out. */
#include "engine-help.h"

static struct engine *open_mem(const char *spec)
{
	struct engine *e = NULL;

	assert_int_equal(engine_open(spec, -1, NULL, &e), 0);
	return e;
}

static void test_specs(void **state)
{
	static const struct {
		const char *text;
		int want;
	} cases[] = {
		{ "", 0 },
		{ "delay_ms=3", 0 },
		{ "delay_ms=3,reorder=1,seed=18446744073709551615", 0 },
		{ "delay_ms", -EINVAL },
		{ "delay_ms=", -EINVAL },
		{ "delay_ms=-1", -EINVAL },
		{ "delay_ms=4294967296", -EINVAL },
		{ "delay=3", -EINVAL },
		{ "delay_ms=3,,io=1", -EINVAL },
	};
	struct engine_faults f;
	struct engine *e = NULL;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_int_equal(engine_faults_parse(cases[i].text, &f), cases[i].want);
	assert_int_equal(engine_faults_parse("unknown=7,reorder=1", &f), 0);
	assert_int_equal(f.unknown, 7);
	assert_true(f.reorder);
	assert_int_equal(engine_open("mem:x=1", -1, NULL, &e), -EINVAL);
	assert_int_equal(engine_open("disk", -1, NULL, &e), -EINVAL);
}

struct chain {
	struct engine *e;
	struct engine_group *g;
	struct answer next; /* committed from inside the first failure's callback */
	int rc[3];
	unsigned n;
};

static void on_chain(void *arg, int rc)
{
	struct chain *c = arg;

	c->rc[c->n++] = rc;
	if (c->n == 1) {
		struct engine_batch *b = engine_batch_new(c->g);

		assert_int_equal(engine_put(b, SLICE("k"), SLICE("fresh")), 0);
		commit_start(c->e, b, &c->next);
	}
}

static void test_chain_is_cancelled(void **state)
{
	struct engine_faults io = { .io = 1 }, none = { 0 };
	struct chain c = { .e = open_mem("mem") };

	c.g = group_open(c.e, "g", ENGINE_CREATE, 0);
	c.next.rc = WAITING;
	for (int i = 0; i < 3; i++) {
		struct engine_batch *b = engine_batch_new(c.g);
		char val[2] = { (char)('0' + i), 0 };

		assert_int_equal(engine_put(b, SLICE("k"), slice_str(val)), 0);
		assert_int_equal(engine_faults_set(c.e, i == 0 ? &io : &none), 0);
		engine_commit(c.e, &b, 1, on_chain, &c);
	}
	wait_for(c.e, &c.next.rc);
	assert_int_equal(c.n, 3);
	assert_int_equal(c.rc[0], ENGINE_IO);
	assert_int_equal(c.rc[1], ENGINE_CANCELLED);
	assert_int_equal(c.rc[2], ENGINE_CANCELLED);
	assert_int_equal(c.next.rc, 0);
	assert_string_equal(get(c.e, c.g, "k")->text, "k=fresh ");
	assert_int_equal(engine_group_seq(c.g), 1);
	engine_group_close(&c.g);
	engine_close(&c.e);
}

static void test_unknown_can_be_found_out(void **state)
{
	struct engine_faults unknown = { .unknown = 1, .seed = 5 }, none = { 0 };
	struct engine *e = open_mem("mem");
	unsigned stored = 0, lost = 0, seq = 0;

	for (int i = 0; i < 40; i++) {
		struct engine_group *g = group_open(e, "g", ENGINE_CREATE, 0);
		struct engine_batch *b = engine_batch_new(g);
		uint64_t id = engine_batch_id(b);
		struct answer a;
		char key[8];

		snprintf(key, sizeof(key), "%d", i);
		assert_int_equal(engine_put(b, slice_str(key), SLICE("v")), 0);
		unknown.seed++;
		engine_faults_set(e, &unknown);
		commit_start(e, b, &a);
		engine_faults_set(e, &none);
		wait_for(e, &a.rc);
		assert_int_equal(a.rc, ENGINE_UNKNOWN);
		assert_int_equal(put(e, g, "other", "v"), ENGINE_STALE);
		engine_group_close(&g);
		g = group_open(e, "g", ENGINE_CREATE, 0);
		if (seq + 1 == engine_group_seq(g) && engine_group_batch(g) == id) {
			seq++;
			stored++;
			assert_int_equal(get(e, g, key)->rc, 0);
		} else {
			lost++;
			assert_int_equal(engine_group_seq(g), seq);
			assert_int_equal(get(e, g, key)->rc, ENGINE_NOTFOUND);
		}
		engine_group_close(&g);
	}
	assert_true(stored > 5 && lost > 5);
	engine_close(&e);
}

static void test_groups_overtake_each_other(void **state)
{
	struct engine *e = open_mem("mem:reorder=1,delay_ms=3");
	struct engine_group *g[8];
	struct answer a[8];
	bool overtaken = false;

	for (int i = 0; i < 8; i++) {
		char id[2] = { (char)('a' + i), 0 };

		g[i] = group_open(e, id, ENGINE_CREATE, 0);
	}
	for (int round = 0; round < 20 && !overtaken; round++) {
		for (int i = 0; i < 8; i++)
			commit_start(e, engine_batch_new(g[i]), &a[i]);
		wait_for(e, &a[7].rc);
		for (int i = 0; i < 7; i++) {
			overtaken |= a[i].rc == WAITING;
			wait_for(e, &a[i].rc);
		}
	}
	assert_true(overtaken);
	for (int i = 0; i < 8; i++)
		engine_group_close(&g[i]);
	engine_close(&e);
}

static void test_full(void **state)
{
	struct engine_faults bound = { .max_bytes = 20000 }, one = { .full = 1 }, none = { 0 };
	struct engine *e = open_mem("mem");
	struct engine_group *g = group_open(e, "g", ENGINE_CREATE, 0);
	struct engine_body *b = engine_body_begin(e, 0, NULL, NULL);
	static char val[3000];
	char key[8];
	int i, r = 0;

	memset(val, 'v', sizeof(val) - 1);
	engine_faults_set(e, &bound);
	for (i = 0; r == 0 && i < 50; i++) {
		snprintf(key, sizeof(key), "%d", i);
		r = put(e, g, key, val);
	}
	assert_int_equal(r, ENGINE_FULL);
	assert_true(i > 4 && i < 12);
	assert_int_equal(get(e, g, key)->rc, ENGINE_NOTFOUND);
	engine_faults_set(e, &one);
	assert_int_equal(engine_body_append(b, SLICE("x")), ENGINE_FULL);
	assert_int_equal(put(e, g, key, val), ENGINE_FULL);
	engine_faults_set(e, &none);
	assert_int_equal(engine_body_append(b, SLICE("x")), 0);
	assert_int_equal(put(e, g, key, val), 0);
	engine_body_free(&b);
	engine_group_close(&g);
	engine_close(&e);
}

static void test_reads_fail(void **state)
{
	struct engine_faults corrupt = { .corrupt = 1 }, io = { .io = 1 }, again = { .again = 1 };
	struct engine *e = open_mem("mem");
	struct engine_group *g = group_open(e, "g", ENGINE_CREATE, 0);
	struct engine_body *body = body_make(e, 100, 1);
	struct engine_batch *b = engine_batch_new(g);
	struct answer a = { .rc = WAITING };
	struct engine_loc loc;
	uint8_t buf[100];
	size_t n;

	assert_int_equal(engine_put_body(b, SLICE("k"), SLICE("v"), body), 0);
	assert_int_equal(commit(e, b), 0);
	assert_int_equal(engine_body_loc(body, &loc), 0);
	engine_body_free(&body);
	engine_faults_set(e, &corrupt);
	assert_int_equal(body_read(e, &loc, 0, 10)->rc, ENGINE_CORRUPT);
	assert_int_equal(get(e, g, "k")->rc, 0);
	engine_faults_set(e, &io);
	assert_int_equal(body_read(e, &loc, 0, 10)->rc, ENGINE_IO);
	assert_int_equal(get(e, g, "k")->rc, ENGINE_IO);
	engine_faults_set(e, &again);
	assert_int_equal(engine_get_now(g, SLICE("k"), on_rows_now, &a), ENGINE_AGAIN);
	assert_int_equal(engine_body_read_now(e, &loc, 0, buf, sizeof(buf), &n), ENGINE_AGAIN);
	assert_int_equal(get(e, g, "k")->rc, 0);
	engine_group_close(&g);
	engine_close(&e);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_specs),
		cmocka_unit_test(test_chain_is_cancelled),
		cmocka_unit_test(test_unknown_can_be_found_out),
		cmocka_unit_test(test_groups_overtake_each_other),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_reads_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
