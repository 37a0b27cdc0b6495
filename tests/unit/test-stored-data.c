/*
 * stored's data path for IMAP by its messages: appends, keywords, copies, history. On every engine:
 * its spec is the argument.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/stored-rig.h"

#include "common/base/wire.h"

#include <stdio.h>
#include <stdlib.h>

static const char *spec = "mem";

static int setup(void **state)
{
	struct rig *r = malloc(sizeof(*r));

	rig_init(r, spec);
	rig_account(r, 7, IPC_account_make);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	rig_fini(*state);
	free(*state);
	return 0;
}

static void body_is(struct rig_client *s, uint32_t mbox, uint32_t uid, struct slice want)
{
	uint8_t *p = NULL;
	size_t n = 0;

	assert_int_equal(rig_body(s, mbox, uid, &p, &n), IPC_ST_OK);
	if (!slice_eq(slice_of(p, n), want))
		fail_msg("the body of uid %u is not what was sent (%zu bytes)", uid, n);
	free(p);
}

static uint8_t rows[IPC_ROW_BYTES * 10000];

static size_t scan(struct rig_client *s, uint32_t mbox)
{
	size_t n = 0;

	assert_int_equal(rig_scan(s, mbox, 1, rows, 10000, &n), IPC_ST_OK);
	return n;
}

static uint32_t row_uid(size_t i)
{
	return wire_load_u32(rows + i * IPC_ROW_BYTES);
}

static uint32_t row_flags(size_t i)
{
	return wire_load_u32(rows + i * IPC_ROW_BYTES + 4);
}

static uint64_t row_u64(size_t i, unsigned at)
{
	return wire_load_u64(rows + i * IPC_ROW_BYTES + at);
}

enum { AT_KEYWORDS = 8, AT_SIZE = 16, AT_DATE = 24, AT_SAVED = 32, AT_MODSEQ = 40, AT_ID = 48 };

/* ---- appends ---- */

struct piece {
	uint32_t flags;
	const char *keywords;
	int64_t date;
	struct slice body, facts;
};

static struct ipc_append_done append(
    struct rig_client *s, const char *name, const struct piece *p, size_t n)
{
	struct ipc_append_begin b = { ++s->rig->seq, slice_str(name) };
	const struct ipc_append_ready *r;
	enum ipc_type type;
	const union ipc_any *m;

	rig_send(s, IPC_append_begin, &b);
	r = &rig_wait(s, IPC_append_ready)->append_ready;
	assert_int_equal(r->seq, b.seq);
	if (r->status != IPC_ST_OK)
		return (struct ipc_append_done){ .status = r->status };
	for (size_t i = 0; i < n; i++) {
		struct ipc_append_msg a = { p[i].flags, slice_str(p[i].keywords), p[i].date,
			p[i].body.n };

		rig_send(s, IPC_append_msg, &a);
		rig_append_bytes(s, p[i].body);
		rig_send(s, IPC_append_end, &(struct ipc_append_end){ p[i].facts });
	}
	rig_send(s, IPC_append_commit, &(struct ipc_append_commit){ ++s->rig->seq });
	do
		m = rig_next(s, 10000, &type, NULL);
	while (m != NULL && type != IPC_append_done);
	assert_non_null(m);
	assert_int_equal(m->append_done.seq, s->rig->seq);
	return m->append_done;
}

static void appends_keep_what_they_were_given(void **state)
{
	static uint8_t big[3000000];
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, 7, 1, NULL);
	const struct piece p[] = {
		{ IPC_FLAG_SEEN, "Work $Forwarded", 1000000000, SLICE("one"), SLICE("facts one") },
		{ 0, "", INT64_MIN, slice_of(big, sizeof(big)), SLICE("facts two") },
		{ IPC_FLAG_DRAFT, "work", -5, SLICE_NONE, SLICE_NONE },
	};
	struct ipc_append_done d;

	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (uint8_t)(i * 2654435761u >> 13);
	assert_int_equal(append(s, "Nowhere", p, 1).status, IPC_ST_NOTFOUND);
	d = append(s, "inbox", p, 3);
	assert_int_equal(d.status, IPC_ST_OK);
	assert_int_equal(d.first_uid, 1);
	assert_int_equal(d.last_uid, 3);
	for (int pass = 0; pass < 2; pass++) {
		struct ipc_mbox_opened o;
		struct slice facts;

		if (pass == 1)
			rig_restart(r);
		s = rig_session(r, 7, 1, NULL);
		o = rig_open(s, "INBOX", 0);
		assert_int_equal(o.exists, 3);
		assert_int_equal(o.unseen, 2);
		assert_int_equal(o.bytes, 3 + sizeof(big));
		assert_int_equal(d.uidvalidity, o.uidvalidity);
		assert_true(slice_eq(o.keywords, SLICE("\4\0\0\0Work\12\0\0\0$Forwarded")));
		assert_int_equal(scan(s, o.mbox), 3);
		assert_int_equal(row_flags(0), IPC_FLAG_SEEN);
		assert_int_equal(row_u64(0, AT_KEYWORDS), 3);
		assert_int_equal(row_u64(0, AT_DATE), 1000000000);
		assert_true(row_u64(0, AT_SAVED) > 1600000000);
		assert_int_equal(row_u64(1, AT_DATE), row_u64(1, AT_SAVED));
		assert_int_equal(row_u64(1, AT_SIZE), sizeof(big));
		assert_int_equal((int64_t)row_u64(2, AT_DATE), -5);
		assert_int_equal(row_u64(2, AT_KEYWORDS), 1);
		body_is(s, o.mbox, 1, SLICE("one"));
		body_is(s, o.mbox, 2, slice_of(big, sizeof(big)));
		body_is(s, o.mbox, 3, SLICE_NONE);
		assert_int_equal(rig_facts(s, o.mbox, 2, &facts), IPC_ST_OK);
		assert_true(slice_eq(facts, SLICE("facts two")));
		assert_int_equal(rig_facts(s, o.mbox, 3, &facts), IPC_ST_NOTFOUND);
	}
}

/* ---- keywords and flags ---- */

static int make(struct rig_client *s, uint32_t mbox, const char *names, uint64_t *ret_bits)
{
	const struct ipc_keyword_made *k;
	const union ipc_any *m;
	enum ipc_type type;

	rig_send(s, IPC_keyword_make,
	    &(struct ipc_keyword_make){ ++s->rig->seq, mbox, slice_str(names) });
	do
		m = rig_next(s, 10000, &type, NULL);
	while (m != NULL && type == IPC_mbox_keywords);
	assert_non_null(m);
	assert_int_equal(type, IPC_keyword_made);
	k = &m->keyword_made;
	*ret_bits = k->bits;
	return (int)k->status;
}

static struct ipc_store_done store(
    struct rig_client *s, struct ipc_flags_store q, uint32_t first, uint32_t last, struct buf *left)
{
	static uint8_t pair[8];
	const union ipc_any *m;

	wire_store_u32(pair, first);
	wire_store_u32(pair + 4, last);
	q.seq = ++s->rig->seq;
	q.uids = slice_of(pair, 8);
	buf_reset(left);
	rig_send(s, IPC_flags_store, &q);
	do {
		m = rig_wait(s, IPC_store_done);
		assert_int_equal(m->store_done.seq, q.seq);
		buf_put(left, m->store_done.uids);
	} while (m->store_done.more);
	return m->store_done;
}

static void keywords_have_bits(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, 7, 1, NULL), *other = rig_session(r, 7, 2, NULL);
	struct ipc_mbox_opened o = rig_open(s, "INBOX", 0);
	const struct ipc_mbox_keywords *k;
	struct buf left = BUF_INIT(1 << 20);
	char many[1000] = "";
	uint64_t bits;

	rig_put(r, 7, SLICE("m"));
	rig_open(other, "INBOX", IPC_MBOX_EVENTS);
	o = rig_open(s, "INBOX", 0);
	assert_int_equal(make(s, o.mbox, "One two", &bits), IPC_ST_OK);
	assert_int_equal(bits, 3);
	k = &rig_wait(other, IPC_mbox_keywords)->mbox_keywords;
	assert_int_equal(k->first, 0);
	assert_true(slice_eq(k->names, SLICE("\3\0\0\0One\3\0\0\0two")));
	assert_int_equal(make(s, o.mbox, "TWO three one", &bits), IPC_ST_OK);
	assert_int_equal(bits, 7);
	k = &rig_wait(other, IPC_mbox_keywords)->mbox_keywords;
	assert_int_equal(k->first, 2);
	assert_true(slice_eq(k->names, SLICE("\5\0\0\0three")));
	assert_int_equal(make(s, o.mbox, "three", &bits), IPC_ST_OK);
	assert_int_equal(bits, 4);
	store(s,
	    (struct ipc_flags_store){ .mbox = o.mbox,
		.op = IPC_FLAGS_ADD,
		.flags = 1,
		.keywords = 5,
		.unchanged_since = UINT64_MAX },
	    1, 1, &left);
	store(s,
	    (struct ipc_flags_store){ .mbox = o.mbox,
		.op = IPC_FLAGS_REMOVE,
		.keywords = 1,
		.unchanged_since = UINT64_MAX },
	    1, 1, &left);
	for (unsigned i = 0; i < 62; i++)
		snprintf(many + strlen(many), sizeof(many) - strlen(many), " k%u", i);
	assert_int_equal(make(s, o.mbox, many, &bits), IPC_ST_LIMIT);
	assert_int_equal(bits, 0);
	many[strlen(many) - 4] = 0;
	assert_int_equal(make(s, o.mbox, many, &bits), IPC_ST_OK);
	assert_int_equal(bits, UINT64_MAX << 3);
	assert_int_equal(make(s, o.mbox, "one more", &bits), IPC_ST_LIMIT);
	assert_int_equal(bits, 1);
	rig_restart(r);
	s = rig_session(r, 7, 1, NULL);
	o = rig_open(s, "INBOX", IPC_MBOX_READONLY);
	assert_true(
	    slice_starts(o.keywords, SLICE("\3\0\0\0One\3\0\0\0two\5\0\0\0three\2\0\0\0k0")));
	assert_int_equal(scan(s, o.mbox), 1);
	assert_int_equal(row_uid(0), 1);
	assert_int_equal(row_u64(0, AT_KEYWORDS), 4);
	assert_int_equal(make(s, o.mbox, "one", &bits), IPC_ST_DENIED);
	buf_fini(&left);
}

/* RFC 7162 3.1.3; and more that is left behind than one answer can say. */
static void flags_are_stored_if_unchanged(void **state)
{
	enum { N = 9000 };
	static struct piece p[1000];
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, 7, 1, NULL);
	struct ipc_mbox_opened o;
	struct ipc_store_done d;
	struct buf left = BUF_INIT(1 << 20);
	uint64_t since;

	for (size_t i = 0; i < 1000; i++)
		p[i] = (struct piece){ 0, "", 0, SLICE("x"), SLICE("f") };
	for (int i = 0; i < N / 1000; i++)
		assert_int_equal(append(s, "INBOX", p, 1000).status, IPC_ST_OK);
	o = rig_open(s, "INBOX", 0);
	since = o.modseq;
	for (uint32_t first = 1; first < N; first += 2) {
		static uint8_t pairs[8 * N];
		size_t n = 0;

		for (; n < 8 * (size_t)N / 2 && n < 56000; n += 8, first += 2) {
			wire_store_u32(pairs + n, first);
			wire_store_u32(pairs + n + 4, first);
		}
		rig_send(s, IPC_flags_store,
		    &(struct ipc_flags_store){ .seq = 5,
			.mbox = o.mbox,
			.op = IPC_FLAGS_ADD,
			.flags = IPC_FLAG_SEEN,
			.unchanged_since = since,
			.uids = slice_of(pairs, n) });
		assert_int_equal(rig_wait(s, IPC_store_done)->store_done.status, IPC_ST_OK);
	}
	d = store(s,
	    (struct ipc_flags_store){ .mbox = o.mbox,
		.op = IPC_FLAGS_SET,
		.flags = IPC_FLAG_FLAGGED,
		.unchanged_since = since },
	    1, UINT32_MAX, &left);
	assert_int_equal(d.status, IPC_ST_OK);
	assert_int_equal(d.count, N / 2);
	assert_int_equal(left.n, 8 * N / 2);
	for (uint32_t i = 0; i < N / 2; i++)
		assert_int_equal(wire_load_u32(left.p + 8 * i), 2 * i + 1);
	assert_int_equal(scan(s, o.mbox), N);
	for (uint32_t i = 0; i < N; i++)
		assert_int_equal(row_flags(i), i % 2 ? IPC_FLAG_FLAGGED : IPC_FLAG_SEEN);
	buf_fini(&left);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		CASE(appends_keep_what_they_were_given),
		CASE(keywords_have_bits),
		CASE(flags_are_stored_if_unchanged),
	};

	if (argc > 1)
		spec = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
