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
	/* Told of an empty mailbox, and lower than the first message's. */
	assert_int_equal(rig_open(s, "INBOX", 0).modseq, 1);
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
		assert_true(row_u64(0, AT_MODSEQ) > 1);
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

static void mailbox(struct rig_client *s, const char *name)
{
	rig_send(
	    s, IPC_mbox_create, &(struct ipc_mbox_create){ ++s->rig->seq, slice_str(name), 0 });
	assert_int_equal(rig_wait(s, IPC_mbox_done)->mbox_done.status, IPC_ST_OK);
}

static void copies_are_the_same_message(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, 7, 1, NULL);
	const struct piece p[] = {
		{ IPC_FLAG_SEEN, "a b", 1000, SLICE("one"), SLICE("facts one") },
		{ 0, "", 2000, SLICE("two"), SLICE("facts two") },
		{ IPC_FLAG_FLAGGED, "c", 3000, SLICE("three"), SLICE("facts three") },
	};
	const struct piece other = { 0, "B", 1, SLICE("there"), SLICE("f") };
	struct ipc_mbox_opened o;
	uint64_t ids[3];
	struct slice facts;

	mailbox(s, "There");
	append(s, "INBOX", p, 3);
	append(s, "There", &other, 1);
	o = rig_open(s, "INBOX", 0);
	assert_int_equal(scan(s, o.mbox), 3);
	for (int i = 0; i < 3; i++)
		ids[i] = row_u64(i, AT_ID);
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
		assert_int_equal(scan(s, o.mbox), 4);
		assert_int_equal(row_u64(1, AT_KEYWORDS), 3);
		assert_int_equal(row_u64(3, AT_KEYWORDS), 4);
		for (uint32_t i = 0; i < 3; i++) {
			assert_int_equal(row_uid(i + 1), i + 2);
			assert_int_equal(row_flags(i + 1), p[i].flags);
			assert_int_equal(row_u64(i + 1, AT_ID), ids[i]);
			assert_int_equal(row_u64(i + 1, AT_DATE), p[i].date);
			assert_true(row_u64(i + 1, AT_SAVED) > 1600000000);
			body_is(s, o.mbox, i + 2, p[i].body);
			assert_int_equal(rig_facts(s, o.mbox, i + 2, &facts), IPC_ST_OK);
			assert_true(slice_eq(facts, p[i].facts));
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

	append(s, "INBOX", &p, 1);
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
	body_is(s, o.mbox, 2, SLICE("one"));
}

static void moves_leave_nothing_behind(void **state)
{
	enum { N = 9000 };
	static struct piece p[1000];
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, 7, 1, NULL);
	struct ipc_mbox_opened o;
	struct slice facts;

	mailbox(s, "There");
	for (size_t i = 0; i < 1000; i++)
		p[i] = (struct piece){ i % 2, i % 3 ? "k" : "", 0, SLICE("xyz"), SLICE("facts") };
	for (int i = 0; i < N / 1000; i++)
		assert_int_equal(append(s, "INBOX", p, 1000).status, IPC_ST_OK);
	o = rig_open(s, "INBOX", IPC_MBOX_EVENTS);
	copy(s, o.mbox, "There", 2, N - 1, true);
	assert_int_equal(copied.status, IPC_ST_OK);
	assert_int_equal(copied.n, N - 2);
	assert_int_equal(copied.events, N - 2);
	for (uint32_t i = 0; i < N - 2; i++)
		assert_true(copied.here[i] == i + 2 && copied.there[i] == i + 1);
	assert_int_equal(scan(s, o.mbox), 2);
	/* From a mailbox into itself. */
	copy(s, o.mbox, "INBOX", 1, N, true);
	assert_true(copied.n == 2 && copied.there[0] == N + 1 && copied.there[1] == N + 2);
	for (int pass = 0; pass < 2; pass++) {
		o = rig_open(s, "INBOX", 0);
		assert_int_equal(o.exists, 2);
		assert_int_equal(o.bytes, 6);
		assert_int_equal(scan(s, o.mbox), 2);
		assert_int_equal(row_uid(0), N + 1);
		o = rig_open(s, "There", 0);
		assert_int_equal(o.exists, N - 2);
		assert_int_equal(scan(s, o.mbox), N - 2);
		body_is(s, o.mbox, 1, SLICE("xyz"));
		assert_int_equal(rig_facts(s, o.mbox, N - 2, &facts), IPC_ST_OK);
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
	mailbox(s, "There");
	for (int i = 0; i < 3; i++)
		assert_int_equal(append(s, "INBOX", &p, 1).status, IPC_ST_OK);
	assert_int_equal(append(s, "INBOX", &p, 1).status, IPC_ST_OVERQUOTA);
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

/* ---- listings ---- */

static void uids_of_many_runs(void **state)
{
	enum { N = 18000 };
	static struct piece p[1000];
	static uint8_t odd[8 * 7000];
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, 7, 1, NULL);
	struct ipc_mbox_opened o;
	const struct ipc_mbox_uids_are *a;
	uint32_t uid = 2, replies = 0;

	for (size_t i = 0; i < 1000; i++)
		p[i] = (struct piece){ i < 500 ? IPC_FLAG_SEEN : 0, "", 0, SLICE("x"), SLICE("f") };
	for (int i = 0; i < N / 1000; i++)
		append(s, "INBOX", p, 1000);
	o = rig_open(s, "INBOX", 0);
	for (uint32_t first = 1; first < N; first += 14000) {
		uint32_t n = 0;

		for (; n < 7000 && first + 2 * n < N; n++) {
			wire_store_u32(odd + 8 * n, first + 2 * n);
			wire_store_u32(odd + 8 * n + 4, first + 2 * n);
		}
		rig_send(s, IPC_msg_expunge,
		    &(struct ipc_msg_expunge){ 1, o.mbox, 0, slice_of(odd, 8 * n) });
		assert_int_equal(rig_wait(s, IPC_store_done)->store_done.count, n);
	}
	rig_send(s, IPC_mbox_uids, &(struct ipc_mbox_uids){ 3, o.mbox });
	do {
		a = &rig_wait(s, IPC_mbox_uids_are)->mbox_uids_are;
		assert_int_equal(a->status, IPC_ST_OK);
		for (size_t i = 0; i < a->uids.n; i += 8, uid += 2) {
			assert_int_equal(wire_load_u32(a->uids.p + i), uid);
			assert_int_equal(wire_load_u32(a->uids.p + i + 4), uid);
		}
		replies++;
	} while (a->more);
	assert_int_equal(uid, N + 2);
	assert_true(replies > 1);
	assert_int_equal(a->first_unseen, 502);
}

/* Rows that a question picks: their count, and the uids of the first and the last. */
static size_t picked(
    struct rig_client *s, struct ipc_mbox_scan q, uint32_t *ret_first, uint32_t *ret_last)
{
	const struct ipc_mbox_rows *a;
	size_t n = 0;

	*ret_first = *ret_last = 0;
	do {
		rig_send(s, IPC_mbox_scan, &q);
		a = &rig_wait(s, IPC_mbox_rows)->mbox_rows;
		assert_int_equal(a->status, IPC_ST_OK);
		if (q.limit != 0)
			assert_true(a->rows.n / IPC_ROW_BYTES <= q.limit);
		for (size_t i = 0; i < a->rows.n; i += IPC_ROW_BYTES, n++) {
			uint32_t uid = wire_load_u32(a->rows.p + i);

			assert_true(uid > *ret_last);
			*ret_first = n == 0 ? uid : *ret_first;
			*ret_last = uid;
		}
		assert_true(!a->more || a->next_uid > *ret_last);
		q.from_uid = a->next_uid;
	} while (a->more);
	return n;
}

static void rows_can_be_picked(void **state)
{
	enum { N = 4000 };
	static struct piece p[1000];
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, 7, 1, NULL);
	struct ipc_mbox_opened o;
	uint32_t mbox, first, last;
	uint64_t since;

	for (size_t i = 0; i < 1000; i++)
		p[i] = (struct piece){ i % 4, "", 0, SLICE("x"), SLICE("f") };
	for (int i = 0; i < N / 1000; i++)
		append(s, "INBOX", p, 1000);
	o = rig_open(s, "INBOX", 0);
	mbox = o.mbox;
	since = o.modseq;
#define PICK(...) picked(s, (struct ipc_mbox_scan){ .mbox = mbox, __VA_ARGS__ }, &first, &last)
	assert_int_equal(PICK(.from_uid = 0), N);
	assert_int_equal(PICK(.limit = 7), N);
	assert_int_equal(PICK(.from_uid = 100), N - 99);
	assert_int_equal(PICK(.from_uid = N + 1), 0);
	assert_int_equal(PICK(.mask = 3, .want = 2), N / 4);
	assert_true(first == 3 && last == N - 1);
	assert_int_equal(PICK(.mask = 1, .want = 2), 0);
	assert_int_equal(PICK(.since = since), 0);
	rig_flags(s, mbox, 10, 20, IPC_FLAGS_ADD, IPC_FLAG_DELETED);
	assert_int_equal(PICK(.since = since), 11);
	assert_true(first == 10 && last == 20);
	assert_int_equal(PICK(.since = since, .mask = 3, .want = 3, .limit = 1), 3);
	assert_int_equal(PICK(.uids = SLICE("\5\0\0\0\6\0\0\0\11\0\0\0\11\0\0\0")), 3);
	assert_true(first == 5 && last == 9);
	assert_int_equal(PICK(.uids = SLICE("\5\0\0\0\377\377\377\377"), .limit = 3), N - 4);
	assert_int_equal(
	    PICK(.uids = SLICE("\5\0\0\0\6\0\0\0\11\0\0\0\11\0\0\0"), .from_uid = 6, .limit = 1),
	    2);
#undef PICK
	/* Only those that are marked. */
	rig_send(s, IPC_msg_expunge,
	    &(struct ipc_msg_expunge){ 1, mbox, 1, SLICE("\1\0\0\0\17\0\0\0") });
	assert_int_equal(rig_wait(s, IPC_store_done)->store_done.count, 6);
	assert_int_equal(rig_open(s, "INBOX", 0).exists, N - 6);
}

/* One who does not read costs one window, whatever he asked for. */
static void facts_keep_to_the_window(void **state)
{
	enum { N = 2000, FACTS = 700 };
	static struct piece p[1000];
	static uint8_t facts[FACTS];
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, 7, 1, NULL);
	struct ipc_mbox_opened o;
	const union ipc_any *m;
	enum ipc_type type;
	size_t got = 0;
	uint32_t uid = 1;
	bool last = false;

	for (size_t i = 0; i < 1000; i++)
		p[i] = (struct piece){ 0, "", 0, SLICE("x"),
			i % 100 == 0 ? SLICE_NONE : slice_of(facts, FACTS - i % 7) };
	append(s, "INBOX", p, 1000);
	append(s, "INBOX", p, 1000);
	o = rig_open(s, "INBOX", 0);
	assert_int_equal(rig_expunge(s, o.mbox, 50, 52), IPC_ST_OK);
	rig_send(s, IPC_facts_get,
	    &(struct ipc_facts_get){
		4, o.mbox, SLICE("\1\0\0\0\24\0\0\0\36\0\0\0\377\377\377\377") });
	while (!last) {
		struct ipc_session_credit c;
		size_t before = got;

		while (!last && (m = rig_next(s, 300, &type, NULL)) != NULL) {
			const struct ipc_facts_are *a = &m->facts_are;

			assert_int_equal(type, IPC_facts_are);
			assert_int_equal(a->status, IPC_ST_OK);
			for (size_t at = 0; at < a->facts.n;) {
				uint32_t n = wire_load_u32(a->facts.p + at + 8);
				uint32_t k = (uid - 1) % 1000;

				assert_int_equal(wire_load_u32(a->facts.p + at), uid);
				assert_int_equal(wire_load_u32(a->facts.p + at + 4),
				    k % 100 == 0 ? IPC_ST_NOTFOUND : IPC_ST_OK);
				assert_int_equal(n, k % 100 == 0 ? 0 : FACTS - k % 7);
				at += 12 + n;
				uid = uid == 20 ? 30 : uid == 49 ? 53 : uid + 1;
			}
			got += a->facts.n;
			last = a->last;
		}
		assert_true(got > before && got - before <= IPC_WINDOW_BYTES);
		c.bytes = (uint32_t)(got - before);
		rig_send(s, IPC_session_credit, &c);
	}
	assert_int_equal(uid, N + 1);
	assert_true(got > 4 * IPC_WINDOW_BYTES);
}

/* ---- history ---- */

static size_t gone(struct rig_client *s, uint32_t mbox, uint64_t since, struct slice only,
    uint32_t (*out)[2], size_t max)
{
	const struct ipc_gone_are *a;
	size_t n = 0;

	rig_send(s, IPC_gone_get, &(struct ipc_gone_get){ ++s->rig->seq, mbox, since, only });
	do {
		a = &rig_wait(s, IPC_gone_are)->gone_are;
		assert_int_equal(a->status, IPC_ST_OK);
		for (size_t i = 0; i < a->uids.n; i += 8, n++) {
			assert_true(n < max);
			out[n][0] = wire_load_u32(a->uids.p + i);
			out[n][1] = wire_load_u32(a->uids.p + i + 4);
		}
	} while (a->more);
	return n;
}

static void what_is_gone_can_be_asked_for(void **state)
{
	static struct piece p[20];
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, 7, 1, NULL), *old;
	struct ipc_mbox_opened o, oo;
	uint64_t first, second, third;
	uint32_t g[10][2];

	for (size_t i = 0; i < 20; i++)
		p[i] = (struct piece){ 0, "", 0, SLICE("m"), SLICE("f") };
	append(s, "INBOX", p, 20);
	o = rig_open(s, "INBOX", 0);
	first = o.modseq;
	assert_int_equal(rig_expunge(s, o.mbox, 3, 3), IPC_ST_OK);
	second = rig_open(s, "INBOX", 0).modseq;
	assert_int_equal(rig_expunge(s, o.mbox, 2, 5), IPC_ST_OK);
	third = rig_open(s, "INBOX", 0).modseq;
	old = rig_session(r, 7, 2, NULL);
	oo = rig_open(old, "INBOX", 0);
	assert_int_equal(rig_expunge(s, o.mbox, 15, 20), IPC_ST_OK);
	append(s, "INBOX", p, 1);
	for (int pass = 0; pass < 2; pass++) {
		s = rig_session(r, 7, 3, NULL);
		o = rig_open(s, "INBOX", 0);
		assert_int_equal(gone(s, o.mbox, first, SLICE_NONE, g, 10), 2);
		assert_true(g[0][0] == 2 && g[0][1] == 5 && g[1][0] == 15 && g[1][1] == 20);
		assert_int_equal(gone(s, o.mbox, second, SLICE_NONE, g, 10), 2);
		assert_int_equal(gone(s, o.mbox, third, SLICE_NONE, g, 10), 1);
		assert_true(g[0][0] == 15 && g[0][1] == 20);
		assert_int_equal(gone(s, o.mbox, 0, SLICE("\4\0\0\0\20\0\0\0"), g, 10), 2);
		assert_true(g[0][0] == 4 && g[0][1] == 5 && g[1][0] == 15 && g[1][1] == 16);
		assert_int_equal(gone(s, o.mbox, o.modseq, SLICE_NONE, g, 10), 0);
		assert_int_equal(gone(s, o.mbox, UINT64_MAX, SLICE_NONE, g, 10), 0);
		if (pass == 0) {
			/* For one who still sees them they are not gone. */
			assert_int_equal(gone(old, oo.mbox, second, SLICE_NONE, g, 10), 1);
			assert_true(g[0][0] == 2 && g[0][1] == 5);
			rig_restart(r);
		}
	}
}

/* A history that was cut says more than it must, never less. */
static void the_history_is_cut(void **state)
{
	enum { N = 1000, ROUNDS = 102 };
	static struct piece p[N];
	static uint8_t odd[8 * N / 2];
	static uint32_t g[4][2];
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, 7, 1, NULL);
	struct ipc_mbox_opened o;
	uint64_t first = 0, last = 0;

	for (size_t i = 0; i < N; i++)
		p[i] = (struct piece){ 0, "", 0, SLICE("m"), SLICE("f") };
	for (uint32_t k = 0; k < ROUNDS; k++) {
		struct ipc_append_done d = append(s, "INBOX", p, N);

		o = rig_open(s, "INBOX", 0);
		first = k == 0 ? o.modseq : first;
		last = o.modseq;
		for (uint32_t i = 0; i < N / 2; i++) {
			wire_store_u32(odd + 8 * i, d.first_uid + 2 * i);
			wire_store_u32(odd + 8 * i + 4, d.first_uid + 2 * i);
		}
		rig_send(s, IPC_msg_expunge,
		    &(struct ipc_msg_expunge){ 1, o.mbox, 0, slice_of(odd, sizeof(odd)) });
		assert_int_equal(rig_wait(s, IPC_store_done)->store_done.count, N / 2);
		rig_expunge(s, o.mbox, d.first_uid, d.last_uid);
		rig_send(s, IPC_mbox_close, &(struct ipc_mbox_close){ 1, o.mbox });
		rig_wait(s, IPC_store_done);
	}
	o = rig_open(s, "INBOX", 0);
	assert_int_equal(gone(s, o.mbox, first, SLICE_NONE, g, 4), 1);
	assert_true(g[0][0] == 1 && g[0][1] == N * ROUNDS);
	assert_int_equal(gone(s, o.mbox, last, SLICE_NONE, g, 4), 1);
	assert_true(g[0][0] == N * (ROUNDS - 1) + 1 && g[0][1] == N * ROUNDS);
}

/* ---- events ---- */

static const struct ipc_mbox_event *event(struct rig_client *s, uint32_t what, uint32_t uid)
{
	const struct ipc_mbox_event *e = &rig_wait(s, IPC_mbox_event)->mbox_event;

	assert_int_equal(e->rows.n, IPC_EVENT_BYTES);
	assert_int_equal(wire_load_u32(e->rows.p), what);
	assert_int_equal(wire_load_u32(e->rows.p + 4), uid);
	return e;
}

static void events_say_whose_they_are(void **state)
{
	struct rig *r = *state;
	struct rig_client *a = rig_session(r, 7, 1, NULL), *b = rig_session(r, 7, 2, NULL);
	struct ipc_mbox_opened oa = rig_open(a, "INBOX", IPC_MBOX_EVENTS), ob;
	const struct piece p = { IPC_FLAG_DRAFT, "new", 0, SLICE("m"), SLICE("f") };
	struct ipc_mbox_uids q;
	const struct ipc_mbox_event *e;
	struct slice facts;

	ob = rig_open(b, "INBOX", IPC_MBOX_EVENTS);
	rig_send(a, IPC_append_begin, &(struct ipc_append_begin){ 50, SLICE("INBOX") });
	rig_wait(a, IPC_append_ready);
	rig_send(a, IPC_append_msg, &(struct ipc_append_msg){ p.flags, SLICE("new"), 5, 1 });
	rig_append_bytes(a, p.body);
	rig_send(a, IPC_append_end, &(struct ipc_append_end){ p.facts });
	rig_send(a, IPC_append_commit, &(struct ipc_append_commit){ 51 });
	assert_int_equal(rig_wait(a, IPC_mbox_keywords)->mbox_keywords.first, 0);
	e = event(a, IPC_EV_NEW, 1);
	assert_int_equal(wire_load_u32(e->rows.p + 12), 51);
	assert_int_equal(wire_load_u64(e->rows.p + 16), 1);
	/* One of both is told that it is recent. */
	assert_int_equal(rig_wait(a, IPC_append_done)->append_done.seq, 51);
	rig_wait(b, IPC_mbox_keywords);
	e = event(b, IPC_EV_NEW, 1);
	assert_int_equal(wire_load_u32(e->rows.p + 12), 0);
	/* Own expunges are gone at once; the other view keeps them until its reader knows. */
	rig_send(a, IPC_msg_expunge,
	    &(struct ipc_msg_expunge){ 52, oa.mbox, 0, SLICE("\1\0\0\0\1\0\0\0") });
	e = event(a, IPC_EV_EXPUNGED, 1);
	assert_int_equal(wire_load_u32(e->rows.p + 12), 52);
	rig_wait(a, IPC_store_done);
	e = event(b, IPC_EV_EXPUNGED, 1);
	assert_int_equal(wire_load_u32(e->rows.p + 12), 0);
	assert_int_equal(rig_facts(a, oa.mbox, 1, &facts), -1);
	q = (struct ipc_mbox_uids){ 1, oa.mbox };
	rig_send(a, IPC_mbox_uids, &q);
	assert_int_equal(rig_wait(a, IPC_mbox_uids_are)->mbox_uids_are.uids.n, 0);
	q.mbox = ob.mbox;
	rig_send(b, IPC_mbox_uids, &q);
	e = NULL;
	{
		const struct ipc_mbox_uids_are *u = &rig_wait(b, IPC_mbox_uids_are)->mbox_uids_are;

		assert_true(slice_eq(u->uids, SLICE("\1\0\0\0\1\0\0\0")));
		assert_int_equal(u->first_unseen, 1);
	}
	body_is(b, ob.mbox, 1, p.body);
}

/* RFC 3501 2.3.2: one session that may change the mailbox is the first to know. */
/* An expunge told in several messages is known when the last of them is. */
static void a_long_expunge_is_known_at_its_end(void **state)
{
	static struct piece p[1000];
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, 7, 1, NULL), *other = rig_session(r, 7, 2, NULL);
	struct ipc_mbox_opened o, here;
	uint64_t modseq = 0;
	size_t told = 0;

	for (size_t i = 0; i < 1000; i++)
		p[i] = (struct piece){ 0, "", 5, SLICE("m"), SLICE("f") };
	for (int i = 0; i < 4; i++)
		assert_int_equal(append(s, "INBOX", p, 1000).status, IPC_ST_OK);
	here = rig_open(s, "INBOX", IPC_MBOX_EVENTS);
	o = rig_open(other, "INBOX", 0);
	assert_int_equal(rig_expunge(other, o.mbox, 1, 4000), IPC_ST_OK);
	while (told < 4000) {
		struct slice events = rig_wait(s, IPC_mbox_event)->mbox_event.rows;

		modseq = wire_load_u64(events.p + events.n - IPC_EVENT_BYTES + 24);
		if (told == 0)
			rig_send(s, IPC_mbox_told, &(struct ipc_mbox_told){ here.mbox, modseq });
		told += events.n / IPC_EVENT_BYTES;
	}
	body_is(s, here.mbox, 4000, SLICE("m"));
	rig_send(s, IPC_mbox_told, &(struct ipc_mbox_told){ here.mbox, modseq });
	assert_int_equal(scan(s, here.mbox), 0);
}

static void a_message_is_recent_once(void **state)
{
	struct rig *r = *state;
	struct rig_client *a = rig_session(r, 7, 1, NULL), *b = rig_session(r, 7, 2, NULL);
	const struct piece p = { 0, "", 0, SLICE("m"), SLICE("f") };
	struct ipc_mbox_opened o;
	unsigned recent = 0;

	append(a, "INBOX", &p, 1);
	append(a, "INBOX", &p, 1);
	o = rig_open(b, "INBOX", IPC_MBOX_EVENTS | IPC_MBOX_READONLY);
	assert_int_equal(o.recent_from, 1);
	o = rig_open(a, "INBOX", IPC_MBOX_EVENTS);
	assert_int_equal(o.recent_from, 1);
	o = rig_open(b, "INBOX", IPC_MBOX_EVENTS);
	assert_int_equal(o.recent_from, 3);
	rig_put(r, 7, SLICE("new"));
	recent += (wire_load_u32(event(a, IPC_EV_NEW, 3)->rows.p + 8) & IPC_FLAG_RECENT) != 0;
	for (int i = 0; i < 2; i++) /* both of its views */
		recent +=
		    (wire_load_u32(event(b, IPC_EV_NEW, 3)->rows.p + 8) & IPC_FLAG_RECENT) != 0;
	assert_int_equal(recent, 1);
	rig_put(r, 7, SLICE("and its batch says so"));
	rig_restart(r);
	a = rig_session(r, 7, 1, NULL);
	o = rig_open(a, "INBOX", IPC_MBOX_EVENTS);
	assert_int_equal(o.recent_from, 4);
}

/* A reader that sleeps while its own large changes are done: the events are made anew, they are in
 * front of the answers, and they are its own. */
static void answers_wait_for_their_events(void **state)
{
	enum { N = 24000 };
	static struct piece p[1000];
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, 7, 1, NULL);
	struct ipc_mbox_opened o;
	const struct slice all = SLICE("\1\0\0\0\377\377\377\377");
	size_t flags = 0, gone = 0, fresh = 0, own = 0;
	unsigned answers = 0;
	enum ipc_type type;
	const union ipc_any *m;

	mailbox(s, "There");
	for (size_t i = 0; i < 1000; i++)
		p[i] = (struct piece){ 0, "", 0, SLICE("x"), SLICE("f") };
	for (int i = 0; i < N / 1000; i++)
		append(s, "INBOX", p, 1000);
	o = rig_open(s, "INBOX", IPC_MBOX_EVENTS);
	ipc_chan_pause(s->chan, true);
	rig_send(s, IPC_flags_store,
	    &(struct ipc_flags_store){ .seq = 61,
		.mbox = o.mbox,
		.op = IPC_FLAGS_ADD,
		.flags = IPC_FLAG_SEEN,
		.unchanged_since = UINT64_MAX,
		.uids = all });
	rig_send(s, IPC_msg_copy, &(struct ipc_msg_copy){ 62, o.mbox, 0, SLICE("INBOX"), all });
	rig_send(s, IPC_msg_expunge, &(struct ipc_msg_expunge){ 63, o.mbox, 0, all });
	rig_spin(r, 1500);
	ipc_chan_pause(s->chan, false);
	while (answers < 3 && (m = rig_next(s, 10000, &type, NULL)) != NULL) {
		for (size_t i = 0; type == IPC_mbox_event && i < m->mbox_event.rows.n;
		     i += IPC_EVENT_BYTES) {
			const uint8_t *e = m->mbox_event.rows.p + i;

			flags += wire_load_u32(e) == IPC_EV_FLAGS;
			fresh += wire_load_u32(e) == IPC_EV_NEW;
			gone += wire_load_u32(e) == IPC_EV_EXPUNGED;
			own += wire_load_u32(e + 12) >= 61 && wire_load_u32(e + 12) <= 63;
		}
		if (type == IPC_copy_done)
			answers += m->copy_done.more == 0;
		if (type != IPC_store_done)
			continue;
		assert_int_equal(m->store_done.status, IPC_ST_OK);
		assert_int_equal(m->store_done.count, m->store_done.seq == 61 ? N : 2 * N);
		answers++;
		if (m->store_done.seq == 63)
			assert_true(gone >= N);
	}
	assert_int_equal(answers, 3);
	/* Of messages that came and went nothing need be told; of the first N, their end. */
	assert_true(gone >= N && gone - N == fresh);
	assert_true(own >= gone);
	rig_send(s, IPC_mbox_uids, &(struct ipc_mbox_uids){ 70, o.mbox });
	assert_int_equal(rig_wait(s, IPC_mbox_uids_are)->mbox_uids_are.uids.n, 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		CASE(appends_keep_what_they_were_given),
		CASE(keywords_have_bits),
		CASE(flags_are_stored_if_unchanged),
		CASE(copies_are_the_same_message),
		CASE(the_dead_can_be_copied),
		CASE(moves_leave_nothing_behind),
		CASE(quota_binds_a_session),
		CASE(uids_of_many_runs),
		CASE(rows_can_be_picked),
		CASE(facts_keep_to_the_window),
		CASE(what_is_gone_can_be_asked_for),
		CASE(the_history_is_cut),
		CASE(events_say_whose_they_are),
		CASE(a_long_expunge_is_known_at_its_end),
		CASE(a_message_is_recent_once),
		CASE(answers_wait_for_their_events),
	};

	if (argc > 1)
		spec = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
