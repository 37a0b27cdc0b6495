/* Upkeep by itself, beside an owner that goes on writing. */
#include "engine-help.h"

#include "common/base/log.h"
#include "common/database/upkeep.h"

#include <event2/event.h>

struct env {
	char dir[64];
	struct event_base *base;
	struct engine *e;
	struct engine_group *g;
	struct upkeep *u;
};

static int env_open(void **state)
{
	static struct env v;

	log_init(2, false, LOG_CRIT);
	dir_make(v.dir);
	v.base = event_base_new();
	v.e = store_open("lmdb", v.dir, NULL);
	v.g = group_open(v.e, "group", ENGINE_CREATE, 0);
	*state = &v;
	return 0;
}

static int env_close(void **state)
{
	struct env *v = *state;

	upkeep_free(&v->u);
	engine_group_close(&v->g);
	engine_close(&v->e);
	event_base_free(v->base);
	dir_remove(v->dir);
	return 0;
}

/* Rows are written over all the time: a look would always pay. */
static struct upkeep_state turn(struct env *v)
{
	static const struct timeval wait = { 0, 10000 };
	struct upkeep_state s;

	assert_int_equal(put(v->e, v->g, "key", "value"), 0);
	event_base_loopexit(v->base, &wait);
	event_base_dispatch(v->base);
	engine_dispatch(v->e, 0);
	upkeep_state(v->u, &s);
	return s;
}

static void test_a_scrub_is_not_starved(void **state)
{
	const struct upkeep_conf conf = { .name = "test",
		.dead_percent = 1,
		.dead_bytes = 1,
		.look_ms = 1,
		.scrub_s = 86400,
		.compact_bytes_s = 1 << 30,
		.scrub_bytes_s = 1 << 30 };
	struct env *v = *state;
	int64_t until = clock_mono_ms() + 60000;
	struct upkeep_state s;

	assert_int_equal(upkeep_new(v->base, v->e, &conf, NULL, NULL, &v->u), 0);
	do
		s = turn(v);
	while (s.scrub_ends == 0 && clock_mono_ms() < until);
	assert_int_equal(s.scrub_ends, 1);
	assert_int_equal(s.scrub.rc, ENGINE_OK);
	/* Nor are the looks. */
	for (unsigned n = s.compact_ends; s.compact_ends == n && clock_mono_ms() < until;)
		s = turn(v);
	assert_true(clock_mono_ms() < until);
}

static int all(void)
{
	const struct CMUnitTest cases[] = {
		cmocka_unit_test_setup_teardown(test_a_scrub_is_not_starved, env_open, env_close),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}

int main(void)
{
	return run_apart(all);
}
