/*
 * Messages move between accounts that no commit takes together, and commits and reads fail at
 * random: each message is in one of the accounts, and no uid ever stands for another one. The
 * engine is the argument.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/cross-world.h"

#include "common/base/wire.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- at random ---- */

enum { ACCOUNTS = 3, UIDS_MAX = 1000, ROUNDS = 40, SEEDS = 8 };

/* Of each account which message a uid stands for, since it was first seen; and UIDNEXT. */
static char seen[ACCOUNTS][UIDS_MAX];
static uint32_t next_seen[ACCOUNTS];

/* Each of the nine is in one place, and no uid is of two. */
static void all_are_there(struct rig *r, unsigned first)
{
	unsigned times[9] = { 0 };

	for (unsigned k = 0; k < ACCOUNTS; k++) {
		unsigned a = (first + k) % ACCOUNTS;
		char text[CROSS_STATE_MAX] = "", *p = text, c;
		unsigned uid;
		int n = 0;

		cross_say(r, HERE + a, text);
		for (; sscanf(p, "%u=%c %n", &uid, &c, &n) == 2; p += n) {
			assert_true(uid < UIDS_MAX && c >= 'a' && c <= 'i');
			assert_true(seen[a][uid] == 0 || seen[a][uid] == c);
			seen[a][uid] = c;
			times[c - 'a']++;
		}
		assert_int_equal(sscanf(p, "next %u", &uid), 1);
		assert_true(uid >= next_seen[a]);
		next_seen[a] = uid;
	}
	for (unsigned i = 0; i < 9; i++)
		if (times[i] != 1)
			fail_msg("%c is there %u times", 'a' + i, times[i]);
}

static void random_moves(unsigned seed)
{
	unsigned x = seed, moved = 0;
	struct rig r;

	memset(seen, 0, sizeof(seen));
	memset(next_seen, 0, sizeof(next_seen));
	cross_begin(&r, ACCOUNTS);
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct engine_faults f = { .seed = seed * 1000 + round,
			.delay_ms = round % 3 == 0,
			.reorder = true,
			.unknown = round % 4 == 0 ? 0 : 5,
			.full = round % 4 == 1 ? 6 : 0,
			.io = round % 4 == 2 ? 8 : 0 };
		unsigned from = rand_r(&x) % ACCOUNTS, to = (from + 1 + rand_r(&x) % 2) % ACCOUNTS;
		uint32_t first = 1 + rand_r(&x) % (next_seen[from] + 1);

		cross_faults(&r, &f);
		moved += cross_move(&r, HERE + from, HERE + to, first, first + rand_r(&x) % 20) ==
			 IPC_ST_OK;
		if (rand_r(&x) % 3 == 0)
			rig_crash(&r);
		cross_no_faults(&r);
		all_are_there(&r, rand_r(&x) % ACCOUNTS);
	}
	assert_true(moved > 0 && moved < ROUNDS);
	rig_fini(&r);
}

static void some_of_them_fail(void **state)
{
	for (unsigned seed = 1; seed <= SEEDS; seed++)
		random_moves(seed);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(some_of_them_fail),
	};

	if (argc > 1)
		cross_spec = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
