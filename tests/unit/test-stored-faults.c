/*
 * stored when the engine fails: deliveries, expunges and flags at random while commits are answered
 * FULL, IO or UNKNOWN. Whatever was acknowledged is there once and byte-equal, whatever was refused
 * is there at most once, and a uid never changes what it names.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/stored-model.h"

#include <stdlib.h>

enum { STEPS = 400 };

static void step(struct model *w)
{
	uint32_t what = model_random(w, 10);
	struct rig_client *c = w->conns[model_random(w, CONNS)];

	if (what >= 8) {
		model_expunge(w, true);
	} else if (what == 7) {
		model_flags(w);
	} else {
		model_post(w, c);
		model_results(w, c, model_random(w, 2) ? 0 : 1);
		/* At most a few are under way on one channel. */
		for (unsigned i = 0; i < CONNS && model_random(w, 2) == 0; i++)
			model_results(w, w->conns[i], 2);
	}
}

static void run(const struct engine_faults *faults, uint64_t seed)
{
	struct model *w = calloc(1, sizeof(*w));
	struct engine_faults f = *faults;

	assert_non_null(w);
	rig_init(&w->rig, rig_spec);
	model_begin(w, seed, true);
	f.seed = seed;
	assert_int_equal(engine_faults_set(w->rig.engine, &f), 0);
	for (int i = 0; i < STEPS; i++)
		step(w);
	assert_int_equal(engine_faults_set(w->rig.engine, &(struct engine_faults){ 0 }), 0);
	for (unsigned i = 0; i < CONNS; i++)
		model_results(w, w->conns[i], 100);
	rig_restart(&w->rig);
	model_check(w);
	/* The faults were really there, and there was work all the same. */
	assert_true(
	    w->acked > STEPS / 80); /* how much, the machine decides: unknown outcomes take time */
	if (f.full + f.io + f.unknown > 0)
		assert_true(w->refused > 0);
	rig_fini(&w->rig);
	free(w);
}

static void full_is_an_answer(void **state)
{
	run(&(struct engine_faults){ .full = 5 }, 1);
	run(&(struct engine_faults){ .full = 3, .delay_ms = 1, .reorder = true }, 2);
}

static void a_device_error_loses_nothing(void **state)
{
	run(&(struct engine_faults){ .io = 6 }, 3);
	run(&(struct engine_faults){ .io = 4, .again = 2, .delay_ms = 1 }, 4);
}

static void an_unknown_outcome_is_found_out(void **state)
{
	for (uint64_t seed = 10; seed < 14; seed++)
		run(&(struct engine_faults){ .unknown = 4, .delay_ms = seed % 2 }, seed);
}

static void everything_at_once(void **state)
{
	for (uint64_t seed = 20; seed < 23; seed++)
		run(&(struct engine_faults){ .unknown = 9,
			.io = 12,
			.full = 11,
			.again = 3,
			.delay_ms = 1,
			.reorder = true },
		    seed);
}

/* A damaged body is that message's error and nobody else's. */
static void damage_is_one_message_s_error(void **state)
{
	struct rig r;
	struct rig_client *s;
	struct ipc_mbox_opened o;
	uint8_t *p = NULL;
	size_t n = 0;

	rig_init(&r, "mem");
	rig_account(&r, 7, IPC_account_make);
	rig_put(&r, 7, SLICE("one"));
	rig_put(&r, 7, SLICE("two"));
	s = rig_session(&r, 7, 1, NULL);
	o = rig_open(s, "INBOX", 0);
	engine_faults_set(r.engine, &(struct engine_faults){ .corrupt = 1 });
	assert_int_equal(rig_body(s, o.mbox, 1, &p, &n), IPC_ST_CORRUPT);
	free(p);
	engine_faults_set(r.engine, &(struct engine_faults){ 0 });
	assert_int_equal(rig_body(s, o.mbox, 2, &p, &n), IPC_ST_OK);
	assert_true(slice_eq(slice_of(p, n), SLICE("two")));
	free(p);
	rig_fini(&r);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full_is_an_answer),
		cmocka_unit_test(a_device_error_loses_nothing),
		cmocka_unit_test(an_unknown_outcome_is_found_out),
		cmocka_unit_test(everything_at_once),
		cmocka_unit_test(damage_is_one_message_s_error),
	};

	if (argc > 1)
		rig_spec = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
