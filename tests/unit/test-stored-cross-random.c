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

#include "stored/store-private.h"
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

/* ---- a note that another engine's store was left with ---- */

static void committed(void *arg, int rc)
{
	*(int *)arg = rc;
}

static void row_put(struct rig *r, struct engine_group *g, struct rec_key key, struct slice val)
{
	struct engine_batch *b = engine_batch_new(g);
	int rc = -1;

	assert_int_equal(engine_put(b, key_slice(&key), val), 0);
	engine_commit(r->engine, &b, 1, committed, &rc);
	while (rc == -1)
		rig_spin(r, 1);
	assert_int_equal(rc, ENGINE_OK);
}

/* A restore may make one shard of three: what was under way between two is ended all the same. */
static void a_note_is_read_wherever_it_is(void **state)
{
	for (int there = 0; there < 2; there++) {
		struct account *a[2];
		struct cross_rec rec = {
			.id = 77, .account = THERE, .uids = SLICE("\2\0\0\0\3\0\0\0")
		};
		uint8_t val[RECORD_CROSS_BYTES + 8], row[RECORD_CROSSED_BYTES];
		char now[CROSS_STATE_MAX];
		struct rig r;

		cross_begin(&r, 2);
		cross_look(&r, HERE, now);
		for (int i = 0; i < 2; i++)
			a[i] = idmap_get(&r.store->accounts, HERE + (uint64_t)i);
		rec.from = a[0]->inbox->id;
		rec.to = a[1]->inbox->id;
		row_put(&r, a[0]->root, key_kind(REC_CROSS), slice_of(val, cross_pack(&rec, val)));
		crossed_pack(HERE, row);
		if (there)
			row_put(&r, a[1]->inbox->group, key_u64(REC_CROSS, rec.id),
			    slice_of(row, sizeof(row)));
		for (int i = 0; i < 2; i++) {
			rig_crash(&r);
			cross_look(&r, HERE, now);
			assert_string_equal(
			    now, there ? "1=a 4=d 5=e next 6\n1=f 2=g 3=h 4=i next 5\n"
				       : "1=a 2=b 3=c 4=d 5=e next 6\n1=f 2=g 3=h 4=i next 5\n");
		}
		rig_fini(&r);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(some_of_them_fail),
		cmocka_unit_test(a_note_is_read_wherever_it_is),
	};

	if (argc > 1)
		cross_spec = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
