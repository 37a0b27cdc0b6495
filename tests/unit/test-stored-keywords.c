/*
 * More keywords than a word has bits: thousands in one mailbox, told, stored, searched for by their
 * numbers, copied into a mailbox that has others, brought back, and again after a restart.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/stored-look.h"

#include "common/base/keyset.h"
#include "common/base/wire.h"
#include "common/ipc/types.h"
#include "stored/store-private.h"

enum { NAMES = 2000, MSGS = 50 };

static struct keyset row_set(size_t i)
{
	return keyset_of(look_u64(i, 8), rig_sets());
}

/* Names first..last of the list, with a space between them. */
static struct slice names(unsigned first, unsigned last)
{
	static struct buf b = { .max = SIZE_MAX };

	buf_reset(&b);
	for (unsigned i = first; i <= last; i++)
		buf_printf(&b, "keyword-no-%u ", i);
	return buf_slice(&b);
}

static int make(struct rig_client *s, uint32_t mbox, struct slice text, struct keyset *ret)
{
	static uint8_t more[2 * KEYSET_NUMBERS_MAX];
	const struct ipc_keyword_made *k;
	enum ipc_type type;
	const union ipc_any *m;

	rig_send(s, IPC_keyword_make, &(struct ipc_keyword_make){ ++s->rig->seq, mbox, text });
	do
		m = rig_next(s, 10000, &type, NULL);
	while (m != NULL && type == IPC_mbox_keywords);
	assert_non_null(m);
	assert_int_equal(type, IPC_keyword_made);
	k = &m->keyword_made;
	if (k->more.n > 0)
		memcpy(more, k->more.p, k->more.n);
	*ret = (struct keyset){ k->bits, slice_of(more, k->more.n) };
	return (int)k->status;
}

static void append(struct rig_client *s, struct slice keywords)
{
	struct ipc_append_msg a = { 0, keywords, 1, 3 };

	rig_send(s, IPC_append_begin, &(struct ipc_append_begin){ 1, SLICE("INBOX") });
	assert_int_equal(rig_wait(s, IPC_append_ready)->append_ready.status, IPC_ST_OK);
	rig_send(s, IPC_append_msg, &a);
	rig_append_bytes(s, SLICE("m\r\n"));
	rig_send(s, IPC_append_end, &(struct ipc_append_end){ SLICE_NONE });
	rig_send(s, IPC_append_commit, &(struct ipc_append_commit){ 2 });
	assert_int_equal(rig_wait(s, IPC_append_done)->append_done.status, IPC_ST_OK);
}

static void store(struct rig_client *s, uint32_t mbox, uint32_t op, struct keyset set,
    uint32_t first, uint32_t last)
{
	uint8_t pair[8];
	struct ipc_flags_store q = { .seq = ++s->rig->seq,
		.mbox = mbox,
		.op = op,
		.keywords = set.bits,
		.more = set.more,
		.unchanged_since = UINT64_MAX,
		.uids = slice_of(pair, sizeof(pair)) };

	wire_store_u32(pair, first);
	wire_store_u32(pair + 4, last);
	rig_send(s, IPC_flags_store, &q);
	assert_int_equal(rig_wait(s, IPC_store_done)->store_done.status, IPC_ST_OK);
}

/* The set is what `has` says of every number. */
static void set_is(struct keyset set, bool (*has)(unsigned number, unsigned row), unsigned row)
{
	int got = keyset_take(&set);

	for (int want = 0; want < NAMES + 100; want++) {
		if (!has((unsigned)want, row))
			continue;
		if (got != want)
			fail_msg("row %u has keyword %d, not %d", row, got, want);
		got = keyset_take(&set);
	}
	assert_int_equal(got, -1);
}

static bool by_remainder(unsigned number, unsigned row)
{
	return number < NAMES && number % (row + 1) == row;
}

static struct keyset every_nth(unsigned row)
{
	static uint8_t room[2 * KEYSET_NUMBERS_MAX];
	struct keyset_map map = { 0 };

	for (unsigned i = 0; i < NAMES; i++)
		if (by_remainder(i, row))
			keyset_map_set(&map, i);
	return keyset_map_pack(&map, room);
}

/* MSGS messages, each with numbers of its own. */
static struct ipc_mbox_opened fill(struct rig *r, struct rig_client *s)
{
	struct ipc_mbox_opened o;
	struct keyset set;

	for (unsigned i = 0; i < MSGS; i++)
		assert_int_equal(rig_put(r, 7, SLICE("m\r\n")), IPC_ST_OK);
	o = rig_open(s, "INBOX", 0);
	assert_int_equal(make(s, o.mbox, names(0, NAMES - 1), &set), IPC_ST_OK);
	for (unsigned i = 0; i < MSGS; i++)
		store(s, o.mbox, IPC_FLAGS_SET, every_nth(i), i + 1, i + 1);
	return o;
}

static void thousands_are_kept(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, 7, 1, NULL);
	struct ipc_mbox_opened o = fill(r, s);
	struct keyset set;
	struct wire_reader told;

	assert_int_equal(look_scan(s, o.mbox), MSGS);
	for (unsigned i = 0; i < MSGS; i++)
		set_is(row_set(i), by_remainder, i);
	rig_restart(r);
	s = rig_session(r, 7, 1, NULL);
	o = rig_open(s, "INBOX", 0);
	told = wire_reader(o.keywords);
	for (unsigned i = 0; i < NAMES; i++) {
		struct slice name = wire_get_bytes(&told, 100), want = names(i, i);

		assert_true(slice_eq(name, slice_part(want, 0, want.n - 1)));
	}
	assert_true(wire_done(&told));
	assert_int_equal(look_scan(s, o.mbox), MSGS);
	for (unsigned i = 0; i < MSGS; i++)
		set_is(row_set(i), by_remainder, i);
	/* In any case the same, and one by one. */
	assert_int_equal(make(s, o.mbox, SLICE("KEYWORD-no-1999 keyword-NO-5"), &set), IPC_ST_OK);
	assert_true(set.bits == 1 << 5 && slice_eq(set.more, SLICE("\xcf\x07")));
	store(s, o.mbox, IPC_FLAGS_ADD, set, 1, MSGS);
	store(s, o.mbox, IPC_FLAGS_REMOVE, set, 2, MSGS);
	assert_int_equal(look_scan(s, o.mbox), MSGS);
	for (unsigned i = 1; i < MSGS; i++) {
		struct keyset got = row_set(i);

		assert_false(keyset_has(got, 5) || keyset_has(got, 1999));
		assert_true(keyset_has(got, i) == (i != 5));
	}
	append(s, names(1990, 2010));
	o = rig_open(s, "INBOX", 0);
	assert_int_equal(look_scan(s, o.mbox), MSGS + 1);
	set = row_set(MSGS);
	for (int i = 1990; i <= 2010; i++)
		assert_int_equal(keyset_take(&set), i);
}

static bool all(unsigned number, unsigned row)
{
	return number < NAMES;
}

/* What there is no room for is refused as a whole, and nothing of it is left. */
static void the_limit_is_an_answer(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, 7, 1, NULL);
	struct ipc_mbox_opened o = rig_open(s, "INBOX", 0);
	struct buf text = BUF_INIT(SIZE_MAX);
	struct keyset set;
	unsigned n;

	assert_int_equal(rig_put(r, 7, SLICE("m\r\n")), IPC_ST_OK);
	o = rig_open(s, "INBOX", 0);
	for (n = 0; n < KEYSET_NUMBERS_MAX; n += 512) {
		buf_reset(&text);
		for (unsigned i = n; i < n + 512; i++)
			buf_printf(&text, "k%u ", i);
		assert_int_equal(make(s, o.mbox, buf_slice(&text), &set), IPC_ST_OK);
		for (unsigned i = n; i < n + 512; i++)
			assert_int_equal(keyset_take(&set), (int)i);
	}
	assert_int_equal(make(s, o.mbox, SLICE("k9 one-more k4095"), &set), IPC_ST_LIMIT);
	assert_true(set.bits == 1 << 9 && slice_eq(set.more, SLICE("\xff\x0f")));
	store(s, o.mbox, IPC_FLAGS_ADD, set, 1, 1);
	/* Mail matters more than its keywords. */
	append(s, SLICE("k4000 one-more"));
	rig_restart(r);
	s = rig_session(r, 7, 1, NULL);
	o = rig_open(s, "INBOX", 0);
	assert_int_equal(look_scan(s, o.mbox), 2);
	set = row_set(0);
	assert_int_equal(keyset_take(&set), 9);
	assert_int_equal(keyset_take(&set), 4095);
	assert_int_equal(keyset_take(&set), -1);
	set = row_set(1);
	assert_int_equal(keyset_take(&set), 4000);
	assert_int_equal(keyset_take(&set), -1);
	buf_fini(&text);
}

static int copy(struct rig_client *s, uint32_t mbox, uint32_t move, uint32_t first, uint32_t last)
{
	uint8_t pair[8];

	wire_store_u32(pair, first);
	wire_store_u32(pair + 4, last);
	rig_send(s, IPC_msg_copy,
	    &(struct ipc_msg_copy){
		++s->rig->seq, mbox, move, SLICE("There"), slice_of(pair, sizeof(pair)) });
	return (int)rig_wait(s, IPC_copy_done)->copy_done.status;
}

/* Numbers there differ: names 2000..2099 came first. */
static bool there(unsigned number, unsigned row)
{
	return number >= 100 && by_remainder(number - 100, row);
}

static void names_go_along(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, 7, 1, NULL);
	struct ipc_mbox_opened o, to;
	struct keyset set;

	rig_send(s, IPC_mbox_create, &(struct ipc_mbox_create){ 1, SLICE("There"), 0 });
	assert_int_equal(rig_wait(s, IPC_mbox_done)->mbox_done.status, IPC_ST_OK);
	to = rig_open(s, "There", 0);
	assert_int_equal(make(s, to.mbox, names(NAMES, NAMES + 99), &set), IPC_ST_OK);
	o = fill(r, s);
	/* The first has them all, in their order. */
	assert_int_equal(copy(s, o.mbox, 0, 1, 1), IPC_ST_OK);
	assert_int_equal(copy(s, o.mbox, 0, 2, 20), IPC_ST_OK);
	assert_int_equal(copy(s, o.mbox, 1, 21, 30), IPC_ST_OK);
	to = rig_open(s, "There", 0);
	assert_int_equal(look_scan(s, to.mbox), 30);
	for (unsigned i = 0; i < 30; i++)
		set_is(row_set(i), there, i);
	/* Expunged, and brought back with all they had. */
	assert_int_equal(rig_expunge(s, to.mbox, 1, 30), IPC_ST_OK);
	rig_restart(r);
	s = rig_session(r, 7, 1, NULL);
	rig_send(s, IPC_lost_ask,
	    &(struct ipc_lost_ask){
		.seq = 3, .what = IPC_LOST_RESTORE, .name = SLICE("There"), .until = INT64_MAX });
	assert_int_equal(rig_wait(s, IPC_lost_done)->lost_done.status, IPC_ST_OK);
	to = rig_open(s, "There", 0);
	assert_int_equal(look_scan(s, to.mbox), 30);
	for (unsigned i = 0; i < 30; i++)
		set_is(row_set(i), there, i);
}

/* Each answer, event and batch has room for a few of the largest sets only. */
static void large_sets_come_in_parts(void **state)
{
	enum { N = 120 };
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, 7, 1, NULL), *other = rig_session(r, 7, 2, NULL);
	struct ipc_mbox_opened o;
	struct keyset set, one;
	size_t told = 0;

	for (unsigned i = 0; i < N; i++)
		assert_int_equal(rig_put(r, 7, SLICE("m\r\n")), IPC_ST_OK);
	o = rig_open(s, "INBOX", 0);
	assert_int_equal(make(s, o.mbox, names(0, NAMES - 1), &set), IPC_ST_OK);
	for (unsigned i = 0; i < N; i++) {
		uint8_t number[2] = { (uint8_t)(64 + i), 0 };

		one = (struct keyset){ 0, slice_of(number, 2) };
		store(s, o.mbox, IPC_FLAGS_SET, one, i + 1, i + 1);
	}
	rig_open(other, "INBOX", IPC_MBOX_EVENTS);
	store(s, o.mbox, IPC_FLAGS_ADD, set, 1, N / 2);
	/* All but their own: N / 2 sets that differ. */
	for (unsigned i = N / 2; i < N; i++) {
		struct keyset_map map = { 0 };
		static uint8_t room[2 * KEYSET_NUMBERS_MAX];
		uint8_t number[2] = { (uint8_t)(64 + i), 0 };

		keyset_map_add(&map, every_nth(0));
		keyset_map_remove(&map, (struct keyset){ 0, slice_of(number, 2) });
		store(s, o.mbox, IPC_FLAGS_SET, keyset_map_pack(&map, room), i + 1, i + 1);
	}
	while (told < N) {
		const struct ipc_mbox_event *e = &rig_wait(other, IPC_mbox_event)->mbox_event;

		for (size_t i = 0; i < e->rows.n; i += IPC_EVENT_BYTES, told++) {
			struct keyset got = keyset_of(wire_load_u64(e->rows.p + i + 16), e->sets);

			assert_int_equal(wire_load_u32(e->rows.p + i + 4), told + 1);
			assert_int_equal(got.bits, UINT64_MAX);
			assert_int_equal(got.more.n, 2 * (NAMES - 64 - (told >= N / 2)));
			assert_true(keyset_has(got, 64 + (unsigned)told) == (told < N / 2));
		}
	}
	assert_int_equal(look_scan(s, o.mbox), N);
	for (unsigned i = 0; i < N / 2; i++)
		set_is(row_set(i), all, i);
	for (unsigned i = N / 2; i < N; i++)
		assert_false(keyset_has(row_set(i), 64 + i));
}

/* ---- the module ---- */

static void equal_sets_are_one_word(void **state)
{
	struct keysets k = { 0 };
	uint64_t a, b, c;

	assert_int_equal(keysets_word(&k, (struct keyset){ 5, SLICE_NONE }, &a), 0);
	assert_true(a == 5);
	assert_int_equal(keysets_word(&k, (struct keyset){ 1, SLICE("\x40\0") }, &a), 0);
	assert_int_equal(keysets_word(&k, (struct keyset){ 1ull << 63, SLICE_NONE }, &b), 0);
	assert_int_equal(keysets_word(&k, (struct keyset){ 1, SLICE("\x40\0") }, &c), 0);
	assert_true(a == c && a != b && (a & b & KEYSET_LISTED) != 0 && k.n == 2);
	assert_int_equal(keysets_change(&k, IPC_FLAGS_ADD, a, b, &c), 0);
	assert_true(keysets_get(&k, c).bits == (1ull << 63 | 1));
	assert_int_equal(keysets_change(&k, IPC_FLAGS_REMOVE, c, a, &c), 0);
	assert_true(c == b);
	assert_int_equal(keysets_change(&k, IPC_FLAGS_REMOVE, c, b, &c), 0);
	assert_true(c == 0);
	assert_int_equal(keysets_change(&k, IPC_FLAGS_REMOVE, a, a, &c), 0);
	assert_true(c == 0);
	keysets_fini(&k);
}

/* A word whose place is wrong is an empty set, and nothing is read beyond the list. */
static void lists_of_others_are_not_trusted(void **state)
{
	struct buf list = BUF_INIT(100);
	struct slice s;

	keyset_put(&list, (struct keyset){ 3, SLICE("\x40\0\x41\0") });
	s = buf_slice(&list);
	assert_int_equal(s.n, 14);
	assert_true(keyset_has(keyset_of(KEYSET_LISTED, s), 65));
	for (size_t n = 0; n < s.n; n++)
		assert_true(keyset_is_empty(keyset_of(KEYSET_LISTED, slice_part(s, 0, n))));
	for (uint64_t at = 1; at < 40; at++)
		(void)keyset_of(KEYSET_LISTED | at, s);
	assert_true(keyset_is_empty(keyset_of(UINT64_MAX, s)));
	buf_fini(&list);
}

/* A client that changes its mind all the time: what nobody has any more does not pile up. */
static void old_sets_are_forgotten(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, 7, 1, NULL);
	struct ipc_mbox_opened o = fill(r, s);
	const struct account *a;

	for (unsigned round = 0; round < 400; round++) {
		struct keyset_map map = { 0 };
		static uint8_t room[2 * KEYSET_NUMBERS_MAX];

		for (unsigned i = 0; i < NAMES; i++)
			if (i % 11 != round % 11 || i == round)
				keyset_map_set(&map, i);
		store(s, o.mbox, IPC_FLAGS_SET, keyset_map_pack(&map, room), 1, 1);
	}
	/* 400 sets of some 3.6 KB, if they stayed. */
	a = idmap_get(&r->store->accounts, 7);
	assert_in_range(a->inbox->sets.n_bytes, 10 << 10, 200 << 10);
	assert_int_equal(look_scan(s, o.mbox), MSGS);
	for (unsigned i = 1; i < MSGS; i++)
		set_is(row_set(i), by_remainder, i);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define CASE(f) cmocka_unit_test_setup_teardown(f, rig_setup_account, rig_teardown)
		cmocka_unit_test(equal_sets_are_one_word),
		cmocka_unit_test(lists_of_others_are_not_trusted),
		CASE(thousands_are_kept),
		CASE(the_limit_is_an_answer),
		CASE(names_go_along),
		CASE(large_sets_come_in_parts),
		CASE(old_sets_are_forgotten),
	};

	if (argc > 1)
		rig_spec = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
