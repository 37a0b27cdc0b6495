/*
 * stored's core by its messages: views, changes, the feed, slow readers. On every engine: its spec
 * is the argument.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/stored-look.h"

#include "common/base/wire.h"
#include "stored/record.h"

#include <stdlib.h>

static size_t count_messages(struct rig_client *s, uint32_t mbox)
{
	static uint8_t rows[IPC_ROW_BYTES * 10000];
	size_t n = 0;

	assert_int_equal(rig_scan(s, mbox, 1, rows, 10000, &n), IPC_ST_OK);
	return n;
}

static void flags_and_expunges_stay(void **state)
{
	struct rig *r = *state;
	struct rig_client *s;
	struct ipc_mbox_opened o;
	uint8_t rows[IPC_ROW_BYTES * 20];
	size_t n = 0;

	rig_account(r, 7, IPC_account_make);
	for (int i = 0; i < 10; i++)
		rig_put(r, 7, SLICE("message"));
	s = rig_session(r, 7, 1, NULL);
	o = rig_open(s, "INBOX", 0);
	assert_int_equal(rig_flags(s, o.mbox, 2, 5, IPC_FLAGS_ADD, IPC_FLAG_SEEN), IPC_ST_OK);
	assert_int_equal(rig_flags(s, o.mbox, 3, 3, IPC_FLAGS_SET, IPC_FLAG_FLAGGED), IPC_ST_OK);
	assert_int_equal(rig_flags(s, o.mbox, 4, 4, IPC_FLAGS_REMOVE, IPC_FLAG_SEEN), IPC_ST_OK);
	assert_int_equal(rig_expunge(s, o.mbox, 5, 6), IPC_ST_OK);
	assert_int_equal(rig_expunge(s, o.mbox, 1, 1), IPC_ST_OK);
	assert_int_equal(rig_expunge(s, o.mbox, 1, 1), IPC_ST_OK);
	assert_int_equal(rig_expunge(s, o.mbox, 9, 4000000000u), IPC_ST_OK);
	for (int pass = 0; pass < 2; pass++) {
		static const uint32_t want[][2] = { { 2, IPC_FLAG_SEEN }, { 3, IPC_FLAG_FLAGGED },
			{ 4, 0 }, { 7, 0 }, { 8, 0 } };

		assert_int_equal(rig_scan(s, o.mbox, 1, rows, 20, &n), IPC_ST_OK);
		assert_int_equal(n, 5);
		for (size_t i = 0; i < n; i++) {
			assert_int_equal(wire_load_u32(rows + IPC_ROW_BYTES * i), want[i][0]);
			assert_int_equal(wire_load_u32(rows + IPC_ROW_BYTES * i + 4), want[i][1]);
		}
		rig_restart(r);
		s = rig_session(r, 7, 1, NULL);
		o = rig_open(s, "INBOX", 0);
		assert_int_equal(o.exists, 5);
		assert_int_equal(o.uidnext, 11);
		assert_int_equal(o.bytes, 35);
	}
	assert_int_equal(rig_put(r, 7, SLICE("next")), IPC_ST_OK);
	assert_int_equal(rig_open(s, "INBOX", 0).uidnext, 12);
}

/* More messages than one scan, one batch and one answer hold; and one that comes during the load.
 */
static void large_mailboxes_go_in_portions(void **state)
{
	enum { N = 9500, AT_ONCE = 10 };
	static uint8_t rows[IPC_ROW_BYTES * (N + 2)];
	struct rig *r = *state;
	struct rig_client *post = rig_post(r, 5), *s;
	uint32_t handle = 1;
	struct ipc_mbox_opened o;
	size_t n = 0;

	rig_account(r, 7, IPC_account_make);
	rig_target(r, 5, 1, 7, 0);
	for (uint32_t i = 0; i < N; i += AT_ONCE) {
		for (uint32_t k = 0; k < AT_ONCE; k++)
			rig_deliver(post, k, &handle, 1, SLICE("small"), SLICE("f"));
		for (uint32_t k = 0; k < AT_ONCE; k++)
			assert_int_equal(
			    rig_wait(post, IPC_post_result)->post_result.status, IPC_ST_OK);
	}
	rig_restart(r);
	s = rig_session(r, 7, 1, NULL);
	o = rig_open(s, "INBOX", 0);
	assert_int_equal(o.exists, N);
	rig_send(s, IPC_mbox_scan, &(struct ipc_mbox_scan){ 1, o.mbox, 1, 1, .since = 0 });
	assert_int_equal(rig_put(r, 7, SLICE("late")), IPC_ST_OK);
	assert_int_equal(rig_wait(s, IPC_mbox_rows)->mbox_rows.rows.n, IPC_ROW_BYTES);
	assert_int_equal(rig_scan(s, o.mbox, 1, rows, N + 2, &n), IPC_ST_OK);
	assert_int_equal(n, N);
	o = rig_open(s, "INBOX", 0);
	assert_int_equal(rig_scan(s, o.mbox, 1, rows, N + 2, &n), IPC_ST_OK);
	assert_int_equal(n, N + 1);
	assert_int_equal(rig_flags(s, o.mbox, 1, N, IPC_FLAGS_ADD, IPC_FLAG_SEEN), IPC_ST_OK);
	assert_int_equal(rig_expunge(s, o.mbox, 2, N - 1), IPC_ST_OK);
	rig_restart(r);
	s = rig_session(r, 7, 1, NULL);
	o = rig_open(s, "INBOX", 0);
	assert_int_equal(o.exists, 3);
	assert_int_equal(rig_scan(s, o.mbox, 1, rows, N + 2, &n), IPC_ST_OK);
	assert_int_equal(n, 3);
	assert_int_equal(wire_load_u32(rows + IPC_ROW_BYTES), N);
	assert_int_equal(wire_load_u32(rows + IPC_ROW_BYTES + 4), IPC_FLAG_SEEN);
	assert_int_equal(wire_load_u32(rows + 2 * IPC_ROW_BYTES + 4), 0);
	look_body(s, o.mbox, N + 1, SLICE("late"));
}

static void a_view_keeps_what_others_expunge(void **state)
{
	struct rig *r = *state;
	struct rig_client *a, *b;
	struct ipc_mbox_opened oa, ob;

	rig_account(r, 7, IPC_account_make);
	rig_put(r, 7, SLICE("one"));
	rig_put(r, 7, SLICE("two"));
	a = rig_session(r, 7, 1, NULL);
	b = rig_session(r, 7, 2, NULL);
	oa = rig_open(a, "INBOX", 0);
	ob = rig_open(b, "INBOX", 0);
	rig_put(r, 7, SLICE("three"));
	assert_int_equal(count_messages(a, oa.mbox), 2);
	assert_int_equal(rig_expunge(b, ob.mbox, 1, 3), IPC_ST_OK);
	assert_int_equal(count_messages(b, ob.mbox), 0);
	assert_int_equal(look_body_status(b, ob.mbox, 1), IPC_ST_NOTFOUND);
	assert_int_equal(count_messages(a, oa.mbox), 2);
	look_body(a, oa.mbox, 1, SLICE("one"));
	look_body(a, oa.mbox, 2, SLICE("two"));
	/* Deleting again what is gone is no error. */
	assert_int_equal(rig_expunge(a, oa.mbox, 1, 2), IPC_ST_OK);
	oa = rig_open(a, "INBOX", 0);
	assert_int_equal(oa.exists, 1);
	assert_int_equal(count_messages(a, oa.mbox), 1);
	look_body(a, oa.mbox, 3, SLICE("three"));
	rig_client_close(a);
	rig_restart(r);
	a = rig_session(r, 7, 1, NULL);
	oa = rig_open(a, "INBOX", 0);
	assert_int_equal(count_messages(a, oa.mbox), 1);
}

static void one_row(void *arg, int rc, const struct engine_row *row, size_t n, bool more)
{
	assert_int_equal(rc, ENGINE_OK);
	*(uint64_t *)arg = n == 0 ? 0 : row[0].key.n >= 9 ? wire_load_u64be(row[0].key.p + 1) : 1;
}

static uint64_t first_key(struct rig *r, struct rec_key group, enum record_kind kind)
{
	struct rec_key from = key_kind(kind), to = key_kind_end(kind);
	struct engine_group *g;
	uint64_t id = UINT64_MAX;

	assert_int_equal(
	    engine_group_open_now(r->engine, key_slice(&group), 0, ENGINE_CREATE, &g), 0);
	engine_scan(g, key_slice(&from), key_slice(&to), 1, one_row, &id);
	for (int i = 0; i < 1000 && id == UINT64_MAX; i++)
		rig_spin(r, 1);
	engine_group_close(&g);
	return id;
}

static void committed(void *arg, int rc)
{
	*(int *)arg = rc;
}

/* A crash leaves rows that kept bodies for views: the next load drops them. */
static void leftovers_of_views_go_at_the_next_load(void **state)
{
	struct rig *r = *state;
	struct rec_key doomed = key_u32(REC_DOOMED, 5), id;
	struct engine_group *g;
	struct engine_batch *b;
	struct rig_client *s;
	int rc = -1;

	if (strstr(r->spec, "again") != NULL)
		engine_faults_set(r->engine, &(struct engine_faults){ 0 });
	rig_account(r, 7, IPC_account_make);
	rig_put(r, 7, SLICE("one"));
	rig_restart(r);
	id = key_group_mbox(first_key(r, key_group_root(7), REC_MBOX));
	assert_int_equal(engine_group_open_now(r->engine, key_slice(&id), 0, 0, &g), 0);
	b = engine_batch_new(g);
	assert_int_equal(engine_put(b, key_slice(&doomed), SLICE("\1")), 0);
	engine_commit(r->engine, &b, 1, committed, &rc);
	for (int i = 0; i < 1000 && rc == -1; i++)
		rig_spin(r, 1);
	assert_int_equal(rc, ENGINE_OK);
	engine_group_close(&g);
	assert_int_not_equal(first_key(r, id, REC_DOOMED), 0);
	s = rig_session(r, 7, 1, NULL);
	assert_int_equal(count_messages(s, rig_open(s, "INBOX", 0).mbox), 1);
	rig_restart(r);
	assert_int_equal(first_key(r, id, REC_DOOMED), 0);
}

static void a_lost_session_changes_nothing_by_itself(void **state)
{
	struct rig *r = *state;
	struct rig_client *s;

	rig_account(r, 7, IPC_account_make);
	rig_put(r, 7, SLICE("one"));
	s = rig_session(r, 7, 1, NULL);
	rig_open(s, "INBOX", 0);
	rig_client_close(s);
	s = rig_session(r, 7, 2, NULL);
	assert_int_equal(rig_open(s, "INBOX", 0).exists, 1);
}

static const struct ipc_mbox_event *event(struct rig_client *s, uint32_t what, uint32_t uid)
{
	const struct ipc_mbox_event *e = &rig_wait(s, IPC_mbox_event)->mbox_event;

	assert_int_equal(e->rows.n, IPC_EVENT_BYTES);
	assert_int_equal(wire_load_u32(e->rows.p), what);
	assert_int_equal(wire_load_u32(e->rows.p + 4), uid);
	return e;
}

static void the_feed_tells_what_others_do(void **state)
{
	struct rig *r = *state;
	struct rig_client *a, *b;
	struct ipc_mbox_opened oa, ob;
	uint64_t modseq;

	rig_account(r, 7, IPC_account_make);
	rig_put(r, 7, SLICE("one"));
	a = rig_session(r, 7, 1, NULL);
	oa = rig_open(a, "INBOX", IPC_MBOX_EVENTS);
	b = rig_session(r, 7, 2, NULL);
	ob = rig_open(b, "INBOX", 0);
	rig_put(r, 7, SLICE("two"));
	event(a, IPC_EV_NEW, 2);
	look_body(a, oa.mbox, 2, SLICE("two"));
	assert_int_equal(rig_flags(b, ob.mbox, 1, 1, IPC_FLAGS_ADD, IPC_FLAG_SEEN), IPC_ST_OK);
	event(a, IPC_EV_FLAGS, 1);
	assert_int_equal(rig_expunge(b, ob.mbox, 1, 1), IPC_ST_OK);
	modseq = wire_load_u64(event(a, IPC_EV_EXPUNGED, 1)->rows.p + 24);
	/* The client does not know yet. */
	look_body(a, oa.mbox, 1, SLICE("one"));
	assert_int_equal(count_messages(a, oa.mbox), 2);
	rig_send(a, IPC_mbox_told, &(struct ipc_mbox_told){ oa.mbox, modseq - 1 });
	look_body(a, oa.mbox, 1, SLICE("one"));
	rig_send(a, IPC_mbox_told, &(struct ipc_mbox_told){ oa.mbox, modseq });
	assert_int_equal(look_body_status(a, oa.mbox, 1), IPC_ST_NOTFOUND);
	assert_int_equal(count_messages(a, oa.mbox), 1);
}

static void a_slow_reader_holds_one_window(void **state)
{
	struct rig *r = *state;
	uint8_t *big = calloc(1, 4 << 20);
	struct rig_client *s;
	struct ipc_mbox_opened o;
	size_t got = 0;
	enum ipc_type type;
	const union ipc_any *m;

	rig_account(r, 7, IPC_account_make);
	rig_put(r, 7, slice_of(big, 4 << 20));
	s = rig_session(r, 7, 1, NULL);
	o = rig_open(s, "INBOX", 0);
	rig_send(s, IPC_body_get, &(struct ipc_body_get){ 1, o.mbox, 1, 0, 0 });
	while ((m = rig_next(s, 200, &type, NULL)) != NULL)
		got += m->body_data.data.n;
	assert_int_equal(got, IPC_WINDOW_BYTES);
	rig_send(s, IPC_session_credit, &(struct ipc_session_credit){ 1000 });
	got = rig_wait(s, IPC_body_data)->body_data.data.n;
	assert_int_equal(got, 1000);
	/* More credit than was ever taken ends it. */
	rig_send(s, IPC_session_credit, &(struct ipc_session_credit){ IPC_WINDOW_BYTES + 1 });
	assert_int_equal(rig_wait(s, IPC_session_bye)->session_bye.why, IPC_BYE_PROTOCOL);
	free(big);
}

/* A session that asks and does not read: others are served, and it gets all answers in the end. */
static void nobody_waits_for_a_reader_that_sleeps(void **state)
{
	enum { ASKED = 900 };
	struct rig *r = *state;
	struct rig_client *a, *b;
	struct ipc_mbox_opened oa, ob;
	size_t listings = 0, bodies = 0;
	const union ipc_any *m;
	enum ipc_type type;

	rig_account(r, 7, IPC_account_make);
	for (int i = 0; i < 200; i++)
		rig_put(r, 7, SLICE("a message of no interest"));
	a = rig_session(r, 7, 1, NULL);
	oa = rig_open(a, "INBOX", 0);
	ipc_chan_pause(a->chan, true);
	for (uint32_t i = 0; i < ASKED; i++) {
		rig_send(a, IPC_mbox_scan, &(struct ipc_mbox_scan){ i, oa.mbox, 1, 0 });
		if (i % 10 == 0)
			rig_send(a, IPC_body_get, &(struct ipc_body_get){ i, oa.mbox, 1, 0, 0 });
	}
	rig_spin(r, 20);
	b = rig_session(r, 7, 2, NULL);
	ob = rig_open(b, "INBOX", 0);
	assert_int_equal(rig_put(r, 7, SLICE("more")), IPC_ST_OK);
	assert_int_equal(count_messages(b, ob.mbox), 200);
	look_body(b, ob.mbox, 2, SLICE("a message of no interest"));
	assert_int_equal(rig_expunge(b, ob.mbox, 1, 1), IPC_ST_OK);
	ipc_chan_pause(a->chan, false);
	while (listings < ASKED && (m = rig_next(a, 5000, &type, NULL)) != NULL) {
		if (type == IPC_body_data) {
			/* Its view was there before the expunge. */
			assert_int_equal(m->body_data.status, IPC_ST_OK);
			bodies++;
			continue;
		}
		assert_int_equal(type, IPC_mbox_rows);
		assert_int_equal(m->mbox_rows.seq, listings);
		assert_int_equal(m->mbox_rows.rows.n, 200 * IPC_ROW_BYTES);
		listings++;
	}
	assert_int_equal(listings, ASKED);
	assert_int_equal(bodies, ASKED / 10);
}

struct told {
	bool there;
	uint32_t flags;
};

static void events_apply(struct told *t, const struct ipc_mbox_event *e)
{
	for (size_t i = 0; i < e->rows.n; i += IPC_EVENT_BYTES) {
		const uint8_t *p = e->rows.p + i;
		struct told *one = &t[wire_load_u32(p + 4)];

		switch (wire_load_u32(p)) {
		case IPC_EV_NEW:
			assert_false(one->there);
			one->there = true;
			one->flags = wire_load_u32(p + 8);
			break;
		case IPC_EV_FLAGS:
			assert_true(one->there);
			one->flags = wire_load_u32(p + 8);
			break;
		default:
			assert_true(one->there);
			one->there = false;
			break;
		}
	}
}

/* Events that nobody read in time are made anew: the sum is what is there. */
static void the_feed_catches_up_with_a_slow_reader(void **state)
{
	enum { N = 400, ROUNDS = 120 };
	static uint8_t rows[IPC_ROW_BYTES * 2 * N];
	static struct told told[2 * N];
	struct rig *r = *state;
	struct rig_client *a, *b;
	struct ipc_mbox_opened oa, ob;
	const union ipc_any *m;
	enum ipc_type type;
	size_t n = 0, there = 0, got = 0, all = 0;

	memset(told, 0, sizeof(told));
	rig_account(r, 7, IPC_account_make);
	for (int i = 0; i < N; i++)
		rig_put(r, 7, SLICE("m"));
	a = rig_session(r, 7, 1, NULL);
	b = rig_session(r, 7, 2, NULL);
	oa = rig_open(a, "INBOX", IPC_MBOX_EVENTS);
	ob = rig_open(b, "INBOX", IPC_MBOX_EVENTS);
	for (uint32_t uid = 1; uid <= N; uid++)
		told[uid].there = true;
	ipc_chan_pause(a->chan, true);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint8_t pair[8];

		wire_store_u32(pair, 1);
		wire_store_u32(pair + 4, 100000);
		rig_send(b, IPC_flags_store,
		    &(struct ipc_flags_store){ .seq = 1,
			.mbox = ob.mbox,
			.op = i % 2 ? IPC_FLAGS_ADD : IPC_FLAGS_REMOVE,
			.flags = 1u << i % 5,
			.unchanged_since = UINT64_MAX,
			.uids = slice_of(pair, 8) });
		wire_store_u32(pair, 3 * i + 1);
		wire_store_u32(pair + 4, 3 * i + 1);
		rig_send(b, IPC_msg_expunge,
		    &(struct ipc_msg_expunge){ 2, ob.mbox, 0, slice_of(pair, 8) });
		assert_int_equal(rig_put(r, 7, SLICE("new")), IPC_ST_OK);
	}
	/* It reads a little at times, while more happens. */
	for (int i = 0; i < 10; i++) {
		ipc_chan_pause(a->chan, false);
		rig_spin(r, 1);
		ipc_chan_pause(a->chan, true);
		assert_int_equal(rig_put(r, 7, SLICE("new")), IPC_ST_OK);
	}
	while ((m = rig_next(b, 200, &type, NULL)) != NULL)
		if (type == IPC_store_done)
			assert_int_equal(m->store_done.status, IPC_ST_OK);
		else
			all += m->mbox_event.rows.n / IPC_EVENT_BYTES;
	ipc_chan_pause(a->chan, false);
	while ((m = rig_next(a, 300, &type, NULL)) != NULL) {
		assert_int_equal(type, IPC_mbox_event);
		got += m->mbox_event.rows.n / IPC_EVENT_BYTES;
		events_apply(told, &m->mbox_event);
	}
	/* Not every one of them was sent. */
	assert_true(got < all);
	rig_send(a, IPC_mbox_told, &(struct ipc_mbox_told){ oa.mbox, UINT64_MAX });
	assert_int_equal(rig_scan(a, oa.mbox, 1, rows, 2 * N, &n), IPC_ST_OK);
	assert_int_equal(n, N + 10);
	for (size_t i = 0; i < n; i++) {
		const struct told *t = &told[wire_load_u32(rows + IPC_ROW_BYTES * i)];

		assert_true(t->there);
		assert_int_equal(t->flags, wire_load_u32(rows + IPC_ROW_BYTES * i + 4));
	}
	for (size_t i = 0; i < 2 * N; i++)
		there += told[i].there;
	assert_int_equal(there, n);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define CASE(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
		CASE(flags_and_expunges_stay),
		CASE(large_mailboxes_go_in_portions),
		CASE(a_view_keeps_what_others_expunge),
		CASE(leftovers_of_views_go_at_the_next_load),
		CASE(a_lost_session_changes_nothing_by_itself),
		CASE(the_feed_tells_what_others_do),
		CASE(a_slow_reader_holds_one_window),
		CASE(nobody_waits_for_a_reader_that_sleeps),
		CASE(the_feed_catches_up_with_a_slow_reader),
	};

	if (argc > 1)
		rig_spec = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
