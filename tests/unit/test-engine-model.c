/* The LMDB engine beside the memory engine: random changes, crashes between them, the same rows. */
#include "engine-env.h"

#include "common/base/log.h"

static uint64_t rnd_state = 42;

static uint64_t rnd(uint64_t n)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 7;
	rnd_state ^= rnd_state << 17;
	return rnd_state % n;
}

static void same_rows(
    struct engine *a, struct engine *b, struct engine_group *ga, struct engine_group *gb)
{
	static struct answer x;
	char from[16], to[16];
	unsigned limit = (unsigned)rnd(40);
	struct answer *y;

	snprintf(from, sizeof(from), "%03u", (unsigned)rnd(300));
	snprintf(to, sizeof(to), "%03u", (unsigned)rnd(400));
	if (rnd(4) == 0)
		to[0] = '\0';
	x = *scan(a, ga, from, to, limit);
	y = scan(b, gb, from, to, limit);
	assert_string_equal(x.text, y->text);
	assert_int_equal(x.more, y->more);
	for (int i = 0; i < 5; i++) {
		snprintf(from, sizeof(from), "%03u", (unsigned)rnd(300));
		x = *get(a, ga, from);
		y = get(b, gb, from);
		assert_int_equal(x.rc, y->rc);
		assert_string_equal(x.text, y->text);
	}
}

static void random_batch(struct engine_batch *b[2])
{
	for (uint64_t ops = rnd(12); ops > 0; ops--) {
		char key[16], to[16], val[64];
		uint64_t kind = rnd(20);

		snprintf(key, sizeof(key), "%03u", (unsigned)rnd(300));
		snprintf(to, sizeof(to), "%03u", (unsigned)rnd(300));
		snprintf(val, sizeof(val), "%0*u", 1 + (int)rnd(30), (unsigned)rnd(1000));
		for (int i = 0; i < 2; i++)
			if (kind == 0)
				assert_int_equal(
				    engine_del_range(b[i], slice_str(key), slice_str(to)), 0);
			else if (kind < 5)
				assert_int_equal(engine_del(b[i], slice_str(key)), 0);
			else
				assert_int_equal(
				    engine_put(b[i], slice_str(key), slice_str(val)), 0);
	}
}

static void test_same_as_the_model(void **state)
{
	struct env *v = *state;
	struct engine_conf conf = { .overlay_bytes = 3000, .segment_bytes = 30000 };
	struct engine *mem = store_open("mem", v->dir, NULL);
	struct engine_group *g[2];

	v->e = store_open("lmdb", v->dir, &conf);
	g[0] = group_open(mem, "g", ENGINE_CREATE, 0);
	g[1] = group_open(v->e, "g", ENGINE_CREATE, 0);
	for (int i = 0; i < 3000; i++) {
		struct engine_batch *b[2] = { engine_batch_new(g[0]), engine_batch_new(g[1]) };

		random_batch(b);
		assert_int_equal(commit(mem, b[0]), 0);
		assert_int_equal(commit(v->e, b[1]), 0);
		same_rows(mem, v->e, g[0], g[1]);
		if (rnd(300) != 0)
			continue;
		engine_group_close(&g[1]);
		if (rnd(2) == 0) {
			/* as after a crash: the image becomes the store */
			image_take(v);
			engine_close(&v->e);
			dir_remove(v->dir);
			dir_make(v->dir);
			assert_int_equal(rename(v->image, v->dir), 0);
			v->image[0] = '\0';
		} else {
			engine_close(&v->e);
		}
		v->e = store_open("lmdb", v->dir, &conf);
		g[1] = group_open(v->e, "g", 0, 0);
		assert_int_equal(engine_group_seq(g[1]), i + 1);
	}
	engine_group_close(&g[0]);
	engine_group_close(&g[1]);
	engine_close(&mem);
}

static int all(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(test_same_as_the_model),
	};

	log_init(-1, false, LOG_EMERG); /* most cases make errors on purpose */
	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return run_apart(all);
}
