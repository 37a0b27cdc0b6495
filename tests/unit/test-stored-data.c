/*
 * stored's data path for IMAP by its messages: appends, keywords, flags, copies. On every engine:
 * its spec is the argument.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/stored-look.h"

#include "common/base/wire.h"

#include <stdio.h>
#include <stdlib.h>

enum { AT_KEYWORDS = 8, AT_SIZE = 16, AT_DATE = 24, AT_SAVED = 32, AT_MODSEQ = 40, AT_ID = 48 };

/* ---- appends ---- */

static void appends_keep_what_they_were_given(void **state)
{
	static uint8_t big[3000000];
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, 7, 1, NULL);
	const struct piece p[] = {
		{ IPC_FLAG_SEEN, "Work $Forwarded", 1000000000, SLICE("one"), SLICE("facts one") },
		{ 0, "", INT64_MIN, slice_of(big, sizeof(big)), SLICE("facts two"),
		    SLICE("header two") },
		{ IPC_FLAG_DRAFT, "work", -5, SLICE_NONE, SLICE_NONE },
	};
	struct ipc_append_done d;

	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (uint8_t)(i * 2654435761u >> 13);
	/* Told of an empty mailbox, and lower than the first message's. */
	assert_int_equal(rig_open(s, "INBOX", 0).modseq, 1);
	assert_int_equal(put_pieces(s, "Nowhere", p, 1).status, IPC_ST_NOTFOUND);
	d = put_pieces(s, "inbox", p, 3);
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
		assert_int_equal(look_scan(s, o.mbox), 3);
		assert_int_equal(look_u32(0, 4), IPC_FLAG_SEEN);
		assert_true(look_u64(0, AT_MODSEQ) > 1);
		assert_int_equal(look_u64(0, AT_KEYWORDS), 3);
		assert_int_equal(look_u64(0, AT_DATE), 1000000000);
		assert_true(look_u64(0, AT_SAVED) > 1600000000);
		assert_int_equal(look_u64(1, AT_DATE), look_u64(1, AT_SAVED));
		assert_int_equal(look_u64(1, AT_SIZE), sizeof(big));
		assert_int_equal((int64_t)look_u64(2, AT_DATE), -5);
		assert_int_equal(look_u64(2, AT_KEYWORDS), 1);
		look_body(s, o.mbox, 1, SLICE("one"));
		look_body(s, o.mbox, 2, slice_of(big, sizeof(big)));
		look_body(s, o.mbox, 3, SLICE_NONE);
		assert_int_equal(rig_facts(s, o.mbox, 2, &facts), IPC_ST_OK);
		assert_true(slice_eq(facts, SLICE("facts two")));
		assert_int_equal(rig_facts(s, o.mbox, 3, &facts), IPC_ST_NOTFOUND);
		assert_int_equal(rig_header(s, o.mbox, 1, &facts), IPC_ST_NOTFOUND);
		assert_int_equal(rig_header(s, o.mbox, 2, &facts), IPC_ST_OK);
		assert_true(slice_eq(facts, SLICE("header two")));
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
	assert_int_equal(make(s, o.mbox, "no(atom \xc3\xa9 a\"b x]", &bits), IPC_ST_LIMIT);
	assert_int_equal(bits, 0);
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
	for (unsigned i = 0; i < 61; i++)
		snprintf(many + strlen(many), sizeof(many) - strlen(many), " k%u", i);
	assert_int_equal(make(s, o.mbox, many, &bits), IPC_ST_OK);
	assert_int_equal(bits, UINT64_MAX << 3);
	rig_restart(r);
	s = rig_session(r, 7, 1, NULL);
	o = rig_open(s, "INBOX", IPC_MBOX_READONLY);
	assert_true(
	    slice_starts(o.keywords, SLICE("\3\0\0\0One\3\0\0\0two\5\0\0\0three\2\0\0\0k0")));
	assert_int_equal(look_scan(s, o.mbox), 1);
	assert_int_equal(look_u32(0, 0), 1);
	assert_int_equal(look_u64(0, AT_KEYWORDS), 4);
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
		assert_int_equal(put_pieces(s, "INBOX", p, 1000).status, IPC_ST_OK);
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
	assert_int_equal(look_scan(s, o.mbox), N);
	for (uint32_t i = 0; i < N; i++)
		assert_int_equal(look_u32(i, 4), i % 2 ? IPC_FLAG_FLAGGED : IPC_FLAG_SEEN);
	buf_fini(&left);
}

/* ---- copies ---- */

struct copied {
	int status;
	uint32_t uidvalidity;
	size_t n, events;
	uint32_t here[20000], there[20000];
};

static struct copied copied;

static void copy(
    struct rig_client *s, uint32_t mbox, const char *to, uint32_t first, uint32_t last, bool move)
{
	uint8_t pair[8];
	struct ipc_msg_copy q = { ++s->rig->seq, mbox, move, slice_str(to), slice_of(pair, 8) };
	const union ipc_any *m;
	enum ipc_type type;
	uint32_t more;

	copied = (struct copied){ 0 };
	wire_store_u32(pair, first);
	wire_store_u32(pair + 4, last);
	rig_send(s, IPC_msg_copy, &q);
	do {
		m = rig_next(s, 10000, &type, NULL);
		assert_non_null(m);
		more = 1;
		if (type == IPC_mbox_event)
			copied.events += m->mbox_event.rows.n / IPC_EVENT_BYTES;
		if (type != IPC_copy_done)
			continue;
		assert_int_equal(m->copy_done.seq, q.seq);
		copied.status = (int)m->copy_done.status;
		copied.uidvalidity = m->copy_done.uidvalidity;
		more = m->copy_done.more;
		for (size_t i = 0; i < m->copy_done.uids.n; i += 12) {
			const uint8_t *p = m->copy_done.uids.p + i;

			for (uint32_t k = 0; k < wire_load_u32(p + 8); k++, copied.n++) {
				copied.here[copied.n] = wire_load_u32(p) + k;
				copied.there[copied.n] = wire_load_u32(p + 4) + k;
			}
		}
	} while (more != 0);
}

static void copies_are_the_same_message(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, 7, 1, NULL);
	const struct piece p[] = {
		{ IPC_FLAG_SEEN, "a b", 1000, SLICE("one"), SLICE("facts one"), SLICE("h one") },
		{ 0, "", 2000, SLICE("two"), SLICE("facts two"), SLICE("h two") },
		{ IPC_FLAG_FLAGGED, "c", 3000, SLICE("three"), SLICE("facts three"), SLICE("h 3") },
	};
	const struct piece other = { 0, "B", 1, SLICE("there"), SLICE("f") };
	struct ipc_mbox_opened o;
	uint64_t ids[3];
	struct slice facts;

	put_mailbox(s, "There");
	put_pieces(s, "INBOX", p, 3);
	put_pieces(s, "There", &other, 1);
	o = rig_open(s, "INBOX", 0);
	assert_int_equal(look_scan(s, o.mbox), 3);
	for (int i = 0; i < 3; i++)
		ids[i] = look_u64(i, AT_ID);
	copy(s, o.mbox, "Nowhere", 1, 3, false);
	assert_int_equal(copied.status, IPC_ST_NOTFOUND);
	copy(s, o.mbox, "There", 7, 9, false);
	assert_int_equal(copied.status, IPC_ST_OK);
	assert_int_equal(copied.n, 0);
	copy(s, o.mbox, "There", 1, UINT32_MAX, false);
	assert_int_equal(copied.status, IPC_ST_OK);
	assert_int_equal(copied.n, 3);
	for (uint32_t i = 0; i < 3; i++)
		assert_true(copied.here[i] == i + 1 && copied.there[i] == i + 2);
	/* In the same mailbox, too. */
	copy(s, o.mbox, "INBOX", 2, 2, false);
	assert_true(copied.n == 1 && copied.there[0] == 4);
	for (int pass = 0; pass < 2; pass++) {
		if (pass == 1) {
			rig_restart(r);
			s = rig_session(r, 7, 1, NULL);
		}
		o = rig_open(s, "There", 0);
		assert_int_equal(o.uidvalidity, copied.uidvalidity != 0 ? o.uidvalidity : 0);
		assert_int_equal(o.exists, 4);
		assert_int_equal(o.unseen, 3);
		assert_int_equal(o.bytes, 5 + 3 + 3 + 5);
		assert_true(slice_eq(o.keywords, SLICE("\1\0\0\0B\1\0\0\0a\1\0\0\0c")));
		assert_int_equal(look_scan(s, o.mbox), 4);
		assert_int_equal(look_u64(1, AT_KEYWORDS), 3);
		assert_int_equal(look_u64(3, AT_KEYWORDS), 4);
		for (uint32_t i = 0; i < 3; i++) {
			assert_int_equal(look_u32(i + 1, 0), i + 2);
			assert_int_equal(look_u32(i + 1, 4), p[i].flags);
			assert_int_equal(look_u64(i + 1, AT_ID), ids[i]);
			assert_int_equal(look_u64(i + 1, AT_DATE), p[i].date);
			assert_true(look_u64(i + 1, AT_SAVED) > 1600000000);
			look_body(s, o.mbox, i + 2, p[i].body);
			assert_int_equal(rig_facts(s, o.mbox, i + 2, &facts), IPC_ST_OK);
			assert_true(slice_eq(facts, p[i].facts));
			assert_int_equal(rig_header(s, o.mbox, i + 2, &facts), IPC_ST_OK);
			assert_true(slice_eq(facts, p[i].header));
		}
		o = rig_open(s, "INBOX", 0);
		assert_int_equal(o.exists, 4);
	}
}

/* What others expunged and this view still sees can be copied, but not moved. */
static void the_dead_can_be_copied(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, 7, 1, NULL), *other = rig_session(r, 7, 2, NULL);
	const struct piece p = { 0, "", 1000, SLICE("one"), SLICE("facts") };
	struct ipc_mbox_opened o, oo;

	put_pieces(s, "INBOX", &p, 1);
	o = rig_open(s, "INBOX", 0);
	oo = rig_open(other, "INBOX", 0);
	assert_int_equal(rig_expunge(other, oo.mbox, 1, 1), IPC_ST_OK);
	copy(s, o.mbox, "INBOX", 1, 1, true);
	assert_true(copied.status == IPC_ST_OK && copied.n == 0);
	copy(s, o.mbox, "INBOX", 1, 1, false);
	assert_true(copied.status == IPC_ST_OK && copied.n == 1 && copied.there[0] == 2);
	rig_restart(r);
	s = rig_session(r, 7, 1, NULL);
	o = rig_open(s, "INBOX", 0);
	assert_int_equal(o.exists, 1);
	look_body(s, o.mbox, 2, SLICE("one"));
}

static void moves_leave_nothing_behind(void **state)
{
	enum { N = 9000 };
	static struct piece p[1000];
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, 7, 1, NULL);
	struct ipc_mbox_opened o;
	struct slice facts;

	put_mailbox(s, "There");
	for (size_t i = 0; i < 1000; i++)
		p[i] = (struct piece){ i % 2, i % 3 ? "k" : "", 0, SLICE("xyz"), SLICE("facts"),
			SLICE("header") };
	for (int i = 0; i < N / 1000; i++)
		assert_int_equal(put_pieces(s, "INBOX", p, 1000).status, IPC_ST_OK);
	o = rig_open(s, "INBOX", IPC_MBOX_EVENTS);
	copy(s, o.mbox, "There", 2, N - 1, true);
	assert_int_equal(copied.status, IPC_ST_OK);
	assert_int_equal(copied.n, N - 2);
	assert_int_equal(copied.events, N - 2);
	for (uint32_t i = 0; i < N - 2; i++)
		assert_true(copied.here[i] == i + 2 && copied.there[i] == i + 1);
	assert_int_equal(look_scan(s, o.mbox), 2);
	/* From a mailbox into itself. */
	copy(s, o.mbox, "INBOX", 1, N, true);
	assert_true(copied.n == 2 && copied.there[0] == N + 1 && copied.there[1] == N + 2);
	for (int pass = 0; pass < 2; pass++) {
		o = rig_open(s, "INBOX", 0);
		assert_int_equal(o.exists, 2);
		assert_int_equal(o.bytes, 6);
		assert_int_equal(look_scan(s, o.mbox), 2);
		assert_int_equal(look_u32(0, 0), N + 1);
		o = rig_open(s, "There", 0);
		assert_int_equal(o.exists, N - 2);
		assert_int_equal(look_scan(s, o.mbox), N - 2);
		look_body(s, o.mbox, 1, SLICE("xyz"));
		assert_int_equal(rig_facts(s, o.mbox, N - 2, &facts), IPC_ST_OK);
		assert_int_equal(rig_header(s, o.mbox, N - 2, &facts), IPC_ST_OK);
		assert_true(slice_eq(facts, SLICE("header")));
		rig_restart(r);
		s = rig_session(r, 7, 1, NULL);
	}
	/* A large copy is one commit. */
	o = rig_open(s, "There", 0);
	copy(s, o.mbox, "INBOX", 1, UINT32_MAX, false);
	assert_int_equal(copied.status, IPC_ST_OK);
	assert_int_equal(copied.n, N - 2);
	o = rig_open(s, "INBOX", 0);
	assert_int_equal(o.exists, N);
}

static void quota_binds_a_session(void **state)
{
	struct rig *r = *state;
	struct rig_client *s;
	const struct piece p = { 0, "", 0, SLICE("12345"), SLICE("f") };
	struct ipc_mbox_opened o;
	const struct ipc_quota_is *is;

	r->quota = 17;
	s = rig_session(r, 7, 1, NULL);
	put_mailbox(s, "There");
	for (int i = 0; i < 3; i++)
		assert_int_equal(put_pieces(s, "INBOX", &p, 1).status, IPC_ST_OK);
	assert_int_equal(put_pieces(s, "INBOX", &p, 1).status, IPC_ST_OVERQUOTA);
	rig_send(s, IPC_append_begin, &(struct ipc_append_begin){ 1, SLICE("INBOX") });
	assert_int_equal(rig_wait(s, IPC_append_ready)->append_ready.room, 2);
	rig_send(s, IPC_append_abort, &(struct ipc_append_abort){ 1 });
	o = rig_open(s, "INBOX", 0);
	copy(s, o.mbox, "There", 1, 1, false);
	assert_int_equal(copied.status, IPC_ST_OVERQUOTA);
	copy(s, o.mbox, "There", 1, 1, true);
	assert_int_equal(copied.status, IPC_ST_OK);
	rig_send(s, IPC_quota_get, &(struct ipc_quota_get){ 9 });
	is = &rig_wait(s, IPC_quota_is)->quota_is;
	assert_true(is->seq == 9 && is->bytes == 15 && is->bytes_max == 17 && is->messages == 3);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define CASE(f) cmocka_unit_test_setup_teardown(f, rig_setup_account, rig_teardown)
		CASE(appends_keep_what_they_were_given),
		CASE(keywords_have_bits),
		CASE(flags_are_stored_if_unchanged),
		CASE(copies_are_the_same_message),
		CASE(the_dead_can_be_copied),
		CASE(moves_leave_nothing_behind),
		CASE(quota_binds_a_session),
	};

	if (argc > 1)
		rig_spec = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
