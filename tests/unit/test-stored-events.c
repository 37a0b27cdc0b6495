/*
 * stored's data path for IMAP by its messages: listings, history, events. On every engine:
 * its spec is the argument.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/stored-look.h"

#include "common/base/wire.h"

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
		put_pieces(s, "INBOX", p, 1000);
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
		put_pieces(s, "INBOX", p, 1000);
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
	put_pieces(s, "INBOX", p, 20);
	o = rig_open(s, "INBOX", 0);
	first = o.modseq;
	assert_int_equal(rig_expunge(s, o.mbox, 3, 3), IPC_ST_OK);
	second = rig_open(s, "INBOX", 0).modseq;
	assert_int_equal(rig_expunge(s, o.mbox, 2, 5), IPC_ST_OK);
	third = rig_open(s, "INBOX", 0).modseq;
	old = rig_session(r, 7, 2, NULL);
	oo = rig_open(old, "INBOX", 0);
	assert_int_equal(rig_expunge(s, o.mbox, 15, 20), IPC_ST_OK);
	put_pieces(s, "INBOX", p, 1);
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
		struct ipc_append_done d = put_pieces(s, "INBOX", p, N);

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
	look_body(b, ob.mbox, 1, p.body);
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
		assert_int_equal(put_pieces(s, "INBOX", p, 1000).status, IPC_ST_OK);
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
	look_body(s, here.mbox, 4000, SLICE("m"));
	rig_send(s, IPC_mbox_told, &(struct ipc_mbox_told){ here.mbox, modseq });
	assert_int_equal(look_scan(s, here.mbox), 0);
}

static void a_message_is_recent_once(void **state)
{
	struct rig *r = *state;
	struct rig_client *a = rig_session(r, 7, 1, NULL), *b = rig_session(r, 7, 2, NULL);
	const struct piece p = { 0, "", 0, SLICE("m"), SLICE("f") };
	struct ipc_mbox_opened o;
	unsigned recent = 0;

	put_pieces(a, "INBOX", &p, 1);
	put_pieces(a, "INBOX", &p, 1);
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

	put_mailbox(s, "There");
	for (size_t i = 0; i < 1000; i++)
		p[i] = (struct piece){ 0, "", 0, SLICE("x"), SLICE("f") };
	for (int i = 0; i < N / 1000; i++)
		put_pieces(s, "INBOX", p, 1000);
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
#define CASE(f) cmocka_unit_test_setup_teardown(f, rig_setup_account, rig_teardown)
		CASE(uids_of_many_runs),
		CASE(rows_can_be_picked),
		CASE(what_is_gone_can_be_asked_for),
		CASE(the_history_is_cut),
		CASE(events_say_whose_they_are),
		CASE(a_long_expunge_is_known_at_its_end),
		CASE(a_message_is_recent_once),
		CASE(answers_wait_for_their_events),
	};

	if (argc > 1)
		rig_spec = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
