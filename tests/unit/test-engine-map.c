/* The engines' ordered map, against a plain table: rows that come in order, and rows that do not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/wire.h"
#include "common/engine/map.h"

#include <stdlib.h>

enum { KEYS = 3000, NONE = -1, DELETED = -2 };

static int want[KEYS];

struct key {
	uint8_t p[4];
};

static struct slice key(uint32_t i, struct key *k)
{
	wire_store_u32be(k->p, i);
	return slice_of(k->p, 4);
}

static void put(struct map *m, uint32_t i)
{
	uint8_t val[200] = { 0 };
	struct key k;

	want[i] = rand() % 1000;
	wire_store_u32(val, (uint32_t)want[i]);
	assert_int_equal(map_put(m, key(i, &k), slice_of(val, 4 + (size_t)(rand() % 190))), 0);
}

static void del(struct map *m, uint32_t i)
{
	struct key k;

	want[i] = DELETED;
	assert_int_equal(map_del(m, key(i, &k)), 0);
}

static void del_range(struct map *m, uint32_t from, uint32_t to)
{
	struct key a, b;

	for (uint32_t i = from; i < to; i++)
		want[i] = NONE;
	assert_int_equal(map_del_range(m, key(from, &a), key(to, &b)), 0);
}

static void look(const struct map *m)
{
	const struct map_node *n = m->head[0];
	struct key k;

	for (uint32_t i = 0; i < KEYS; i++) {
		const struct map_node *found = map_find(m, key(i, &k));

		if (want[i] == NONE) {
			assert_null(found);
			continue;
		}
		assert_non_null(found);
		assert_ptr_equal(found, n);
		assert_ptr_equal(map_seek(m, key(i, &k)), n);
		assert_int_equal(found->deleted, want[i] == DELETED);
		if (want[i] >= 0)
			assert_int_equal(wire_load_u32(map_val(found).p), want[i]);
		n = n->next[0];
	}
	assert_null(n);
}

static void rows_in_any_order(void **state)
{
	struct map *m = calloc(2, sizeof(*m)), *other = m + 1;

	srand(4);
	map_init(m, true);
	for (int i = 0; i < KEYS; i++)
		want[i] = NONE;
	for (int i = 0; i < 3000; i++) {
		uint32_t at = (uint32_t)rand() % KEYS, n = (uint32_t)rand() % 60;
		uint32_t step = 1 + (uint32_t)rand() % 3;

		for (; rand() % 100 != 0 && n > 0 && at < KEYS; n--, at += step) {
			if (rand() % 8 == 0)
				del(m, at);
			else
				put(m, at);
		}
		if (rand() % 20 == 0 && at < KEYS)
			del_range(m, at, at + (uint32_t)rand() % (KEYS - at));
		if (rand() % 20 == 0) { /* it moves, as the overlay does when it is frozen */
			*other = *m;
			map_init(m, true);
			*m = *other;
			map_init(other, true);
		}
		if (i % 50 == 0)
			look(m);
	}
	look(m);
	map_fini(m);
	free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_in_any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
