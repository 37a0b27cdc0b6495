/*
 * stored-kill - the program stored under kill -9: the test plays master, authd, routerd, an
 * acceptor and four connections with messages in flight, kills it at a random moment, starts it
 * again on the same store, and looks at everything.
 *
 *     stored-kill PROGRAM [rounds] [seed]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/stored-model.h"

#include <stdio.h>
#include <stdlib.h>

enum { POSTS_PER_ROUND = 120 };

static const char *program;
static unsigned rounds = 20;
static uint64_t seed = 1;

/* Posts on all connections, at most a few unanswered on each, and leaves some in flight. */
static void work(struct model *w)
{
	uint32_t posts = 20 + model_random(w, POSTS_PER_ROUND);

	for (uint32_t i = 0; i < posts; i++) {
		model_post(w, w->conns[i % CONNS]);
		if (i % 12 == 11)
			for (unsigned k = 0; k < CONNS; k++)
				model_results(w, w->conns[k], (int)model_random(w, 4));
		if (model_random(w, 30) == 0)
			model_expunge(w, true);
		if (model_random(w, 30) == 0)
			model_flags(w);
	}
	for (unsigned i = 0; i < CONNS; i++)
		model_results(w, w->conns[i], 20);
}

static void last_words(struct model *w)
{
	if (model_random(w, 2) == 0)
		model_expunge(w, false);
	for (unsigned i = 0; i < 2 * CONNS; i++)
		model_post(w, w->conns[i % CONNS]);
	switch (model_random(w, 3)) {
	case 0:
		break;
	case 1:
		rig_spin(&w->rig, (int)model_random(w, 3));
		break;
	default:
		for (unsigned i = 0; i < CONNS; i++)
			model_results(w, w->conns[i], (int)model_random(w, 2));
		break;
	}
}

static void nothing_acknowledged_is_lost(void **state)
{
	struct model *w = calloc(1, sizeof(*w));
	unsigned lost = 0, stored_all_the_same = 0;

	assert_non_null(w);
	rig_init_process(&w->rig, program);
	model_begin(w, seed, true);
	for (unsigned round = 0; round < rounds; round++) {
		work(w);
		last_words(w);
		rig_kill(&w->rig);
		model_died(w);
		rig_restart(&w->rig);
		model_check(w);
		model_begin(w, seed + round + 1, false);
	}
	for (uint32_t i = 0; i < w->n_attempts; i++)
		for (uint32_t a = 0; a < ACCOUNTS; a++) {
			lost += w->attempts[i].fate[a] == FATE_LOST;
			stored_all_the_same +=
			    w->attempts[i].fate[a] == FATE_LOST && w->attempts[i].seen[a] > 0;
		}
	print_message(
	    "%u kills; deliveries: %u acknowledged, %u refused, %u unanswered of which %u "
	    "were stored; %u expunged\n",
	    rounds, w->acked, w->refused, lost, stored_all_the_same, w->expunged);
	/* Kills that hit nothing would prove nothing. */
	assert_true(lost >= rounds);
	assert_true(w->acked >= rounds * 20);
	rig_fini(&w->rig);
	free(w);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_acknowledged_is_lost),
	};

	if (argc < 2) {
		fprintf(stderr, "stored-kill PROGRAM [rounds] [seed]\n");
		return 2;
	}
	program = argv[1];
	if (argc > 2)
		rounds = (unsigned)atoi(argv[2]);
	if (argc > 3)
		seed = strtoull(argv[3], NULL, 10);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
