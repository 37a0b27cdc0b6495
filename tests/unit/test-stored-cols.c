/* stored's pure parts: the index of a mailbox with its views, the id table, the records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/ipc/types.h"
#include "stored/cols.h"
#include "common/base/idmap.h"
#include "stored/keywords.h"
#include "stored/record.h"

#include <stdlib.h>

static void fill(struct cols *c, uint32_t first, uint32_t last)
{
	for (uint32_t uid = first; uid <= last; uid++)
		assert_int_equal(
		    cols_append(c, &(struct cols_row){ .uid = uid, .size = uid * 10 }), 0);
}

static size_t list(const struct cols *c, const struct cols_view *v, uint32_t from, size_t max,
    uint32_t *uids, bool *more)
{
	struct cols_walk w;
	size_t n = 0;

	cols_walk_from(&w, c, v, from);
	while ((*more = cols_walk_next(&w)) && n < max) {
		uids[n++] = w.uid;
		assert_int_equal(cols_walk_row(&w).uid, w.uid);
		assert_int_equal(cols_walk_row(&w).size, w.uid * 10);
	}
	return n;
}

static void views_see_what_they_saw(void **state)
{
	struct cols c = { 0 };
	struct cols_view old = { 1, 11, 0 }, own = { 2, 11, 0 }, late;
	const uint32_t gone[] = { 1, 4, 5, 10 };
	const bool keep[] = { true, true, true, true };
	uint32_t uids[64];
	struct cols_row row;
	bool more;

	fill(&c, 1, 10);
	assert_int_equal(cols_reserve_dead(&c, 4), 0);
	cols_expunge(&c, gone, keep, 4, own.number, 6);
	fill(&c, 11, 12);
	late = (struct cols_view){ 3, 13, 6 };
	assert_int_equal(list(&c, &old, 1, 64, uids, &more), 10);
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(uids[i], i + 1);
	assert_false(more);
	assert_int_equal(list(&c, &own, 1, 64, uids, &more), 6);
	assert_int_equal(list(&c, &late, 1, 64, uids, &more), 8);
	assert_int_equal(uids[0], 2);
	assert_int_equal(list(&c, &old, 4, 3, uids, &more), 3);
	assert_int_equal(uids[0], 4);
	assert_int_equal(uids[2], 6);
	assert_true(more);
	assert_int_equal(cols_find(&c, &old, 4, &row), 0);
	assert_int_equal(row.size, 40);
	assert_int_equal(cols_find(&c, &own, 4, &row), 1);
	assert_int_equal(cols_find(&c, &late, 4, &row), 1);
	assert_int_equal(cols_find(&c, &old, 11, &row), 1);
	assert_int_equal(cols_find(&c, &late, 11, &row), 0);
	for (uint32_t from = 0; from < 15; from++)
		for (uint32_t to = from; to < 16; to++) {
			struct cols_walk a, b;
			bool any;

			cols_walk_from(&a, &c, &old, from);
			cols_walk_skip(&a, to);
			cols_walk_from(&b, &c, &old, to);
			any = cols_walk_next(&b);
			assert_int_equal(cols_walk_next(&a), any);
			if (any)
				assert_int_equal(a.uid, b.uid);
		}
	cols_fini(&c);
}

static bool seen_by(void *arg, const struct cols_dead *d)
{
	return cols_dead_seen(arg, d);
}

static void the_dead_go_when_nobody_looks(void **state)
{
	struct cols c = { 0 };
	struct cols_view v = { 1, 100, 1 };
	const uint32_t first[] = { 3 }, second[] = { 2, 7 };
	const bool keep[] = { true, true };
	uint32_t uids[4];

	fill(&c, 1, 9);
	assert_int_equal(cols_reserve_dead(&c, 1), 0);
	cols_expunge(&c, first, keep, 1, 5, 1);
	assert_int_equal(cols_reserve_dead(&c, 2), 0);
	cols_expunge(&c, second, keep, 2, 5, 2);
	assert_int_equal(c.n_dead, 3);
	assert_int_equal(c.n, 6);
	assert_int_equal(cols_sweep(&c, seen_by, &v, uids, 4), 1);
	assert_int_equal(uids[0], 3);
	v.known = 2;
	assert_int_equal(cols_sweep(&c, seen_by, &v, uids, 1), 1);
	assert_int_equal(cols_sweep(&c, seen_by, &v, uids, 4), 1);
	assert_int_equal(c.n_dead, 0);
	cols_fini(&c);
}

/* Against a plain array, with ids that collide. */
/* Against looking at each. */
static void runs_and_the_first_unseen(void **state)
{
	struct cols c = { 0 };
	struct cols_row row = { .uid = 0 };

	srand(3);
	for (int i = 0; i < 3000; i++) {
		size_t end, last, k;
		uint32_t want = 0;

		row.uid += rand() % 40 == 0 ? 2 + (uint32_t)rand() % 3 : 1;
		row.flags = rand() % 3 == 0 ? 0 : IPC_FLAG_SEEN;
		assert_int_equal(cols_append(&c, &row), 0);
		if (rand() % 50 == 0)
			cols_expunge(&c, &c.uid[(size_t)rand() % c.n], &(bool){ false }, 1, 1, 1);
		for (int n = 0; n < 3; n++)
			cols_set_flags(&c, (size_t)rand() % c.n,
			    rand() % (i % 100 == 0 ? 2 : 200) != 0 ? IPC_FLAG_SEEN : 0);
		for (k = 0; k < c.n && want == 0; k++)
			want = (c.flags[k] & IPC_FLAG_SEEN) == 0 ? c.uid[k] : 0;
		assert_int_equal(cols_first_unseen(&c), want);
		k = (size_t)rand() % c.n;
		end = k + 1 + (size_t)rand() % (c.n - k);
		for (last = k; last + 1 < end && c.uid[last + 1] == c.uid[last] + 1;)
			last++;
		assert_int_equal(cols_run_last(&c, k, end), last);
	}
	cols_fini(&c);
}

static void the_table_finds_what_is_in_it(void **state)
{
	enum { N = 4000 };
	struct idmap m = { 0 };
	static int things[N];
	static bool in[N];
	uint64_t r = 1;

	for (int step = 0; step < 60000; step++) {
		uint64_t k;

		r = r * 6364136223846793005u + 1442695040888963407u;
		k = (r >> 33) % N;
		if (in[k])
			idmap_del(&m, k << 40);
		else
			assert_int_equal(idmap_add(&m, k << 40, &things[k]), 0);
		in[k] = !in[k];
		k = (r >> 13) % N;
		assert_ptr_equal(idmap_get(&m, k << 40), in[k] ? &things[k] : NULL);
	}
	for (uint64_t k = 0; k < N; k++)
		assert_ptr_equal(idmap_get(&m, k << 40), in[k] ? &things[k] : NULL);
	idmap_fini(&m);
	assert_null(idmap_get(&m, 1));
}

static void records_survive_and_refuse(void **state)
{
	struct mbox_head h = { MBOX_EXTERNAL, 1, 2, 3, 4, UINT64_MAX, 6, 7, 8, 9, 10, 11 }, h2;
	struct msg_rec m = { 31, { 1ull << 63, SLICE("\x40\0\xff\x0f") }, 1u << 31, 5, 6, 7, -1, -2,
		UINT64_MAX },
		       m2;
	struct flags_rec f = { 3, { 10, SLICE("\x41\0") }, 9 }, f2;
	struct root_rec r = { 7, 8, 9 }, r2;
	struct mbox_rec b = { MBOX_STORE, 5, 0x700, SLICE("Archive/2026") }, b2;
	uint8_t v[RECORD_MSG_MAX];
	uint32_t uid;

	head_pack(&h, v);
	assert_int_equal(head_unpack(slice_of(v, RECORD_HEAD_BYTES), &h2), 0);
	assert_memory_equal(&h, &h2, sizeof(h));
	assert_int_equal(head_unpack(slice_of(v, RECORD_HEAD_BYTES - 1), &h2), 1);
	v[0]++;
	assert_int_equal(head_unpack(slice_of(v, RECORD_HEAD_BYTES), &h2), 1);
	assert_int_equal(msg_pack(&m, v), RECORD_MSG_BYTES + 4);
	assert_int_equal(msg_unpack(slice_of(v, RECORD_MSG_BYTES + 4), &m2), 0);
	assert_true(m2.date == -1 && m2.sum == 7 && m2.size == m.size);
	assert_true(m2.keywords.bits == m.keywords.bits && m2.saved == -2);
	assert_true(slice_eq(m2.keywords.more, m.keywords.more) && m2.thread == m.thread);
	for (size_t i = 0; i < RECORD_MSG_BYTES + 4; i++)
		assert_int_equal(msg_unpack(slice_of(v, i), &m2), 1);
	v[RECORD_MSG_BYTES + 3] = 0x10; /* a number that none can have */
	assert_int_equal(msg_unpack(slice_of(v, RECORD_MSG_BYTES + 4), &m2), 1);
	/* Version 1 ends before the thread; nobody knows version 3. */
	msg_pack(&m, v);
	memmove(v + 64, v + RECORD_MSG_BYTES, 4);
	v[0] = 1;
	assert_int_equal(msg_unpack(slice_of(v, 64 + 4), &m2), 0);
	assert_true(m2.thread == 0 && m2.saved == -2);
	assert_true(slice_eq(m2.keywords.more, m.keywords.more));
	assert_int_equal(msg_unpack(slice_of(v, RECORD_MSG_BYTES + 4), &m2), 1);
	msg_pack(&m, v);
	v[0] = 3;
	assert_int_equal(msg_unpack(slice_of(v, RECORD_MSG_BYTES + 4), &m2), 1);
	assert_int_equal(flags_pack(&f, v), RECORD_FLAGS_BYTES + 2);
	assert_int_equal(flags_unpack(slice_of(v, RECORD_FLAGS_BYTES + 2), &f2), 0);
	assert_true(f2.flags == 3 && f2.keywords.bits == 10 && f2.modseq == 9);
	assert_true(slice_eq(f2.keywords.more, f.keywords.more));
	root_pack(&r, v);
	assert_int_equal(root_unpack(slice_of(v, RECORD_ROOT_BYTES), &r2), 0);
	assert_true(r2.account == 7 && r2.next_uidvalidity == 8 && r2.created == 9);
	assert_int_equal(mbox_pack(&b, v), RECORD_MBOX_BYTES + 12);
	assert_int_equal(mbox_unpack(slice_of(v, RECORD_MBOX_BYTES + 12), &b2), 0);
	assert_true(slice_eq(b2.name, b.name) && b2.attrs == b.attrs);
	assert_int_equal(mbox_unpack(slice_of(v, RECORD_MBOX_BYTES), &b2), 1);
	assert_int_equal(key_get_u32(SLICE("u\0\0\1\2"), REC_MSG, &uid), 0);
	assert_int_equal(uid, 258);
	assert_int_equal(key_get_u32(SLICE("u\0\0\1"), REC_MSG, &uid), 1);
	assert_int_equal(key_get_u32(SLICE("f\0\0\1\2"), REC_MSG, &uid), 1);
}

static void an_intent_is_read_as_written(void **state)
{
	struct intent_rec i = { .id = 1ull << 40, .n = 2 }, got;
	uint8_t v[RECORD_INTENT_MAX];
	uint64_t id = 0;
	size_t n;

	i.to[0].group = key_group_mbox(9);
	i.to[0].rows = 3;
	i.to[1].group = key_group_store();
	i.to[1].rows = 1u << 20;
	n = intent_pack(&i, v);
	assert_int_equal(intent_unpack(slice_of(v, n), &got), 0);
	assert_memory_equal(&got, &i, sizeof(i));
	for (size_t k = 0; k < n; k++)
		assert_int_equal(intent_unpack(slice_of(v, k), &got), 1);
	assert_int_equal(intent_unpack(slice_of(v, n + 1), &got), 1);
	v[1] = RECORD_INTENT_GROUPS + 1;
	assert_int_equal(intent_unpack(slice_of(v, sizeof(v)), &got), 1);
	v[1] = 2;
	v[0]++;
	assert_int_equal(intent_unpack(slice_of(v, n), &got), 1);
	applied_pack(i.id, v);
	assert_int_equal(applied_unpack(slice_of(v, RECORD_APPLIED_BYTES), &id), 0);
	assert_true(id == i.id);
	assert_int_equal(applied_unpack(slice_of(v, RECORD_APPLIED_BYTES - 1), &id), 1);
}

static void a_note_of_a_move_is_read_as_written(void **state)
{
	struct cross_rec c = { 1ull << 41, 71, 8, 81, SLICE("\1\0\0\0\3\0\0\0\5\0\0\0\5\0\0\0") },
			 got;
	uint8_t v[RECORD_CROSS_BYTES + 16];
	size_t n = cross_pack(&c, v);

	assert_int_equal(n, sizeof(v));
	assert_int_equal(cross_unpack(slice_of(v, n), &got), 0);
	assert_true(got.id == c.id && got.from == 71 && got.account == 8 && got.to == 81);
	assert_true(slice_eq(got.uids, c.uids));
	for (size_t k = 0; k < n; k++)
		if (k != n - 8)
			assert_int_equal(cross_unpack(slice_of(v, k), &got), 1);
	v[n - 8] = 4; /* next to the one before: one run */
	assert_int_equal(cross_unpack(slice_of(v, n), &got), 1);
	v[n - 8] = 6; /* its end before its begin */
	assert_int_equal(cross_unpack(slice_of(v, n), &got), 1);
	v[n - 8] = 5;
	v[0]++;
	assert_int_equal(cross_unpack(slice_of(v, n), &got), 1);
}

static void keywords_keep_bit_and_spelling(void **state)
{
	static uint8_t record[KEYWORDS_RECORD_MAX];
	char name[300];
	struct keywords k = { 0 }, k2 = { 0 };
	struct buf told = BUF_INIT(KEYWORDS_TEXT_MAX);
	struct keyset_map set;
	size_t n;

	assert_true(keywords_add_all(&k, SLICE(" Work  $Junk work "), &set));
	assert_true(set.v[0] == 3 && k.n == 2);
	assert_true(slice_eq(keywords_at(&k, 0), SLICE("Work")));
	assert_int_equal(keywords_find(&k, SLICE("$JUNK")), 1);
	assert_int_equal(keywords_find(&k, SLICE("Wor")), KEYWORDS_MAX);
	assert_int_equal(keywords_add(&k, SLICE_NONE), KEYWORDS_MAX);
	memset(name, 'x', sizeof(name));
	assert_int_equal(keywords_add(&k, slice_of(name, 256)), KEYWORDS_MAX);
	n = keywords_pack(&k, 0, record);
	assert_int_equal(keywords_unpack(slice_of(record, n), &k2), 0);
	assert_true(k2.n == 2 && slice_eq(keywords_at(&k2, 1), SLICE("$Junk")));
	keywords_fini(&k2);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(keywords_unpack(slice_of(record, i), &k2), 1);
	record[0]++;
	assert_int_equal(keywords_unpack(slice_of(record, n), &k2), 1);
	assert_int_equal(k2.n, 0);
	/* All that there is room for can be told in one message. */
	for (unsigned i = 0; i < 400; i++) {
		name[0] = (char)('a' + i % 26);
		name[1] = (char)('a' + i / 26);
		(void)keywords_add(&k, slice_of(name, 255 - i % 7));
	}
	keywords_tell(&k, 0, &told);
	assert_true(told.n <= KEYWORDS_TEXT_MAX && !told.overflow && k.n > 230);
	assert_int_equal(keywords_copy(&k2, &k), 0);
	assert_true(k2.n == k.n && slice_eq(keywords_at(&k2, k.n - 1), keywords_at(&k, k.n - 1)));
	keywords_fini(&k2);
	for (unsigned row = 0; row < keywords_rows(&k); row++)
		assert_int_equal(
		    keywords_unpack(slice_of(record, keywords_pack(&k, row, record)), &k2), 0);
	assert_true(k2.n == k.n && k2.n_text == k.n_text);
	assert_memory_equal(k2.text, k.text, k.n_text);
	/* The same row again is none that can follow. */
	assert_int_equal(keywords_unpack(slice_of(record, n), &k2), 1);
	keywords_fini(&k2);
	keywords_fini(&k);
	buf_fini(&told);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(views_see_what_they_saw),
		cmocka_unit_test(the_dead_go_when_nobody_looks),
		cmocka_unit_test(runs_and_the_first_unseen),
		cmocka_unit_test(the_table_finds_what_is_in_it),
		cmocka_unit_test(records_survive_and_refuse),
		cmocka_unit_test(an_intent_is_read_as_written),
		cmocka_unit_test(a_note_of_a_move_is_read_as_written),
		cmocka_unit_test(keywords_keep_bit_and_spelling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
