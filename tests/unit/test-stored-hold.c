/*
 * What was expunged or deleted stays as long as it has to, and goes for good when it is too old:
 * who may bring back how much, holds, purges. On every engine: its spec is the argument.
 */
#include "lost-help.h"

/* Account 8 asks about account 7: routerd says whether it may. */
static int asked_of_routerd(struct rig *r, uint32_t what, uint32_t says)
{
	struct rig_client *ad = rig_admin(r, 0, 8);
	struct ipc_undelete_ask q = { .seq = 5, .what = what, .account = 7, .until = INT64_MAX };
	struct ipc_store_may_ask m;
	int status;

	rig_send(ad, IPC_undelete_ask, &q);
	m = rig_wait(r->routerd, IPC_store_may_ask)->store_may_ask;
	assert_int_equal(m.who, 8);
	assert_int_equal(m.target, 7);
	assert_int_equal(m.what, what <= IPC_LOST_RESTORE ? IPC_MAY_RESTORE : IPC_MAY_PURGE);
	rig_send(r->routerd, IPC_store_may_reply,
	    &(struct ipc_store_may_reply){ .seq = m.seq, .status = says });
	status = (int)rig_wait(ad, IPC_undelete_done)->undelete_done.status;
	rig_client_close(ad);
	return status;
}

static void a_user_restores_so_many_a_day(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, 7, 1, NULL), *ad = rig_admin(r, IPC_RIGHT_MASTER, 0);
	struct ipc_mbox_opened o;
	struct ipc_lost_done d;

	append_many(s, "INBOX", 6000);
	o = rig_open(s, "INBOX", 0);
	assert_int_equal(rig_expunge(s, o.mbox, 1, 6000), IPC_ST_OK);
	d = ask(s, IPC_LOST_RESTORE, "", SLICE_NONE);
	assert_int_equal(d.status, IPC_ST_OK);
	assert_int_equal(d.count, 6000);
	assert_int_equal(d.left, 4000);
	o = rig_open(s, "INBOX", 0);
	assert_int_equal(rig_expunge(s, o.mbox, 1, 20000), IPC_ST_OK);
	rig_restart(r);
	s = rig_session(r, 7, 1, NULL);
	d = ask(s, IPC_LOST_RESTORE, "", SLICE_NONE);
	assert_int_equal(d.status, IPC_ST_LIMIT);
	assert_int_equal(d.count, 0);
	assert_int_equal(d.left, 4000);
	/* Nor by a channel of the account; but an administrator may. */
	ad = rig_admin(r, 0, 7);
	assert_int_equal(undelete(ad, IPC_LOST_COUNT, "", 0, INT64_MAX).count, 6000);
	assert_int_equal(undelete(ad, IPC_LOST_RESTORE, "", 0, INT64_MAX).status, IPC_ST_LIMIT);
	assert_int_equal(asked_of_routerd(r, IPC_LOST_COUNT, IPC_DIR_DENIED), IPC_ST_DENIED);
	assert_int_equal(asked_of_routerd(r, IPC_LOST_COUNT, IPC_DIR_OK), IPC_ST_OK);
	assert_int_equal(asked_of_routerd(r, IPC_LOST_PURGE, IPC_DIR_DENIED), IPC_ST_DENIED);
	assert_int_equal(asked_of_routerd(r, IPC_LOST_HOLD, IPC_DIR_OK), IPC_ST_OK);
	assert_int_equal(asked_of_routerd(r, IPC_LOST_RELEASE, IPC_DIR_OK), IPC_ST_OK);
	ad = rig_admin(r, IPC_RIGHT_MASTER, 0);
	assert_int_equal(undelete(ad, IPC_LOST_RESTORE, "", 0, INT64_MAX).count, 6000);
	assert_int_equal(look_scan(s, rig_open(s, "INBOX", 0).mbox), 6000);
	/* An end while routerd is asked leaves nothing behind. */
	rig_send(rig_admin(r, 0, 8), IPC_undelete_ask,
	    &(struct ipc_undelete_ask){ .seq = 1, .what = IPC_LOST_COUNT, .account = 7 });
	rig_wait(r->routerd, IPC_store_may_ask);
}

static void a_hold_keeps_everything(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, 7, 1, NULL), *ad = rig_admin(r, IPC_RIGHT_MASTER, 0);
	struct rig_client *none = rig_admin(r, 0, 0);
	struct ipc_mbox_opened o;

	append_many(s, "INBOX", 5);
	o = rig_open(s, "INBOX", 0);
	assert_int_equal(rig_expunge(s, o.mbox, 1, 2), IPC_ST_OK);
	assert_int_equal(undelete(none, IPC_LOST_HOLD, "", 0, 0).status, IPC_ST_DENIED);
	assert_int_equal(undelete(none, IPC_LOST_LIST, "", 0, INT64_MAX).status, IPC_ST_DENIED);
	assert_int_equal(undelete(ad, IPC_LOST_HOLD, "", 0, 0).status, IPC_ST_OK);
	assert_int_equal(figure(ad, "hold"), 1);
	assert_int_equal(undelete(ad, IPC_LOST_PURGE, "", 0, INT64_MAX).status, IPC_ST_DENIED);
	assert_int_equal(rig_account(r, 7, IPC_account_drop), IPC_ST_DENIED);
	/* Even where nothing is kept otherwise. */
	r->undelete_s = 0;
	rig_restart(r);
	s = rig_session(r, 7, 1, NULL);
	ad = rig_admin(r, IPC_RIGHT_MASTER, 0);
	o = rig_open(s, "INBOX", 0);
	assert_int_equal(rig_expunge(s, o.mbox, 3, 3), IPC_ST_OK);
	assert_int_equal(undelete(ad, IPC_LOST_PURGE, "", 0, INT64_MAX).status, IPC_ST_DENIED);
	assert_int_equal(figure(ad, "recoverable"), 3);
	assert_int_equal(undelete(ad, IPC_LOST_RELEASE, "", 0, 0).hold, 0);
	assert_int_equal(rig_expunge(s, o.mbox, 4, 4), IPC_ST_OK);
	assert_int_equal(figure(ad, "recoverable"), 3);
	assert_int_equal(undelete(ad, IPC_LOST_PURGE, "", 0, INT64_MAX).count, 3);
	assert_int_equal(rig_account(r, 7, IPC_account_drop), IPC_ST_OK);
}

/* A hold that comes between two portions of a purge: from its answer on nothing goes. */
static void a_hold_stops_a_purge(void **state)
{
	enum { N = 2600 };
	static uint8_t pairs[8 * N];
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, 7, 1, NULL), *ad = rig_admin(r, IPC_RIGHT_MASTER, 0);
	struct ipc_undelete_ask q = {
		.seq = 1, .what = IPC_LOST_PURGE, .account = 7, .until = INT64_MAX
	};
	struct ipc_undelete_done done[2] = { 0 };
	struct ipc_mbox_opened o;

	append_many(s, "INBOX", 2 * N);
	o = rig_open(s, "INBOX", 0);
	for (uint32_t i = 0; i < N; i++) {
		wire_store_u32(pairs + 8 * i, 2 * i + 1);
		wire_store_u32(pairs + 8 * i + 4, 2 * i + 1);
	}
	rig_send(s, IPC_msg_expunge,
	    &(struct ipc_msg_expunge){ 1, o.mbox, 0, slice_of(pairs, sizeof(pairs)) });
	assert_int_equal(rig_wait(s, IPC_store_done)->store_done.count, N);
	rig_send(ad, IPC_undelete_ask, &q);
	q.seq = 2;
	q.what = IPC_LOST_HOLD;
	rig_send(ad, IPC_undelete_ask, &q);
	for (int i = 0; i < 2; i++) {
		const union ipc_any *m = rig_wait(ad, IPC_undelete_done);

		assert_in_range(m->undelete_done.seq, 1, 2);
		done[m->undelete_done.seq - 1] = m->undelete_done;
	}
	assert_int_equal(done[1].status, IPC_ST_OK);
	assert_int_equal(done[0].status, IPC_ST_DENIED);
	assert_true(done[0].count <= N / 2);
	assert_int_equal(figure(ad, "recoverable"), N - done[0].count);
	assert_int_equal(undelete(ad, IPC_LOST_PURGE, "", 0, INT64_MAX).status, IPC_ST_DENIED);
	assert_int_equal(undelete(ad, IPC_LOST_RESTORE, "", 0, INT64_MAX).count, N - done[0].count);
}

/* An expunge that keeps nothing is on its way when the hold is asked for: it is durable before the
 * hold is answered, also where commits of different groups overtake each other. */
static void a_hold_waits_for_what_was_handed_in(void **state)
{
	enum { N = 20 };
	struct engine_faults f = { .delay_ms = 30, .reorder = true };
	struct rig *r = *state;

	r->undelete_s = 0;
	for (unsigned round = 0; round < 12; round++) {
		struct rig_client *s, *ad;
		struct ipc_mbox_opened o;
		uint8_t pair[8];
		uint64_t there;

		rig_restart(r);
		s = rig_session(r, 7, 1, NULL);
		ad = rig_admin(r, IPC_RIGHT_MASTER, 0);
		assert_int_equal(undelete(ad, IPC_LOST_RELEASE, "", 0, 0).status, IPC_ST_OK);
		append_many(s, "INBOX", N);
		o = rig_open(s, "INBOX", 0);
		wire_store_u32(pair, 1);
		wire_store_u32(pair + 4, UINT32_MAX);
		f.seed = round;
		(void)engine_faults_set(r->engine, &f); /* an engine that keeps order has none */
		rig_send(s, IPC_msg_expunge,
		    &(struct ipc_msg_expunge){ ++r->seq, o.mbox, 0, slice_of(pair, 8) });
		rig_spin(r, 2);
		assert_int_equal(undelete(ad, IPC_LOST_HOLD, "", 0, 0).status, IPC_ST_OK);
		there = figure(ad, "messages") + figure(ad, "recoverable");
		assert_int_equal(rig_wait(s, IPC_store_done)->store_done.status, IPC_ST_OK);
		assert_int_equal(figure(ad, "messages") + figure(ad, "recoverable"), there);
		if (strstr(rig_spec, "mem") != NULL) {
			f = (struct engine_faults){ .seed = 1 };
			assert_int_equal(engine_faults_set(r->engine, &f), 0);
			f = (struct engine_faults){ .delay_ms = 30, .reorder = true };
		}
	}
}

/* The sweep finds it by itself, in mailboxes that are there and in deleted ones. */
static void what_is_too_old_goes(void **state)
{
	struct rig *r = *state;
	struct rig_client *s, *ad;
	struct ipc_mbox_opened o;

	s = rig_session(r, 7, 1, NULL);
	assert_int_equal(names(s, IPC_mbox_create, "There"), IPC_ST_OK);
	append_many(s, "There", 10);
	append_many(s, "INBOX", 10);
	o = rig_open(s, "INBOX", 0);
	assert_int_equal(rig_expunge(s, o.mbox, 2, 5), IPC_ST_OK);
	assert_int_equal(names(s, IPC_mbox_delete, "There"), IPC_ST_OK);
	r->undelete_s = 1;
	rig_restart(r);
	ad = rig_admin(r, IPC_RIGHT_MASTER, 0);
	assert_int_equal(figure(ad, "recoverable"), 14);
	for (int i = 0; i < 600 && figure(ad, "deleted-mailboxes") > 0; i++)
		rig_spin(r, 100);
	assert_int_equal(figure(ad, "recoverable"), 0);
	assert_int_equal(figure(ad, "recoverable-bytes"), 0);
	assert_int_equal(figure(ad, "deleted-mailboxes"), 0);
	s = rig_session(r, 7, 1, NULL);
	assert_int_equal(look_scan(s, rig_open(s, "INBOX", 0).mbox), 6);
}

static void a_view_keeps_what_is_purged(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, 7, 1, NULL), *other = rig_session(r, 7, 2, NULL);
	struct rig_client *ad = rig_admin(r, IPC_RIGHT_MASTER, 0);
	struct ipc_mbox_opened o, here;

	append_many(s, "INBOX", 3);
	here = rig_open(s, "INBOX", 0);
	o = rig_open(other, "INBOX", 0);
	assert_int_equal(rig_expunge(other, o.mbox, 2, 2), IPC_ST_OK);
	assert_int_equal(undelete(ad, IPC_LOST_PURGE, "", 0, INT64_MAX).count, 1);
	assert_int_equal(look_scan(s, here.mbox), 3);
	look_body(s, here.mbox, 2, SLICE("m"));
	rig_client_close(s);
	assert_int_equal(look_scan(other, o.mbox), 2);
	assert_int_equal(figure(ad, "recoverable"), 0);
}

static void nothing_is_kept_where_nothing_is_to_be(void **state)
{
	struct rig *r = *state;
	struct rig_client *s, *ad;
	struct ipc_mbox_opened o;

	r->undelete_s = 0;
	rig_restart(r);
	s = rig_session(r, 7, 1, NULL);
	ad = rig_admin(r, IPC_RIGHT_MASTER, 0);
	assert_int_equal(names(s, IPC_mbox_create, "There"), IPC_ST_OK);
	append_many(s, "There", 2);
	append_many(s, "INBOX", 3);
	o = rig_open(s, "INBOX", 0);
	assert_int_equal(rig_expunge(s, o.mbox, 2, 2), IPC_ST_OK);
	assert_int_equal(names(s, IPC_mbox_delete, "There"), IPC_ST_OK);
	assert_int_equal(figure(ad, "recoverable"), 0);
	assert_int_equal(figure(ad, "deleted-mailboxes"), 0);
}

/* The quota is for what is there: restoring needs room in it. */
static void restoring_needs_room(void **state)
{
	struct rig *r = *state;
	struct rig_client *s;
	struct ipc_mbox_opened o;
	struct ipc_lost_done d;

	r->quota = 10;
	s = rig_session(r, 7, 1, NULL);
	append_many(s, "INBOX", 8);
	o = rig_open(s, "INBOX", 0);
	assert_int_equal(rig_expunge(s, o.mbox, 1, 8), IPC_ST_OK);
	append_many(s, "INBOX", 5);
	d = ask(s, IPC_LOST_RESTORE, "", SLICE_NONE);
	assert_int_equal(d.status, IPC_ST_OVERQUOTA);
	assert_int_equal(d.count, 0);
	assert_int_equal(look_scan(s, rig_open(s, "INBOX", 0).mbox), 5);
	assert_int_equal(ask(s, IPC_LOST_COUNT, "", SLICE_NONE).count, 8);
}

/* A mailbox that others have open tells them of what comes back. */
static void others_are_told(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, 7, 1, NULL), *other = rig_session(r, 7, 2, NULL);
	const union ipc_any *m;
	struct ipc_mbox_opened o;

	append_many(s, "INBOX", 3);
	o = rig_open(s, "INBOX", 0);
	assert_int_equal(rig_expunge(s, o.mbox, 2, 2), IPC_ST_OK);
	rig_open(other, "INBOX", IPC_MBOX_EVENTS);
	assert_int_equal(ask(s, IPC_LOST_RESTORE, "", SLICE_NONE).count, 1);
	m = rig_wait(other, IPC_mbox_event);
	assert_int_equal(m->mbox_event.rows.n, IPC_EVENT_BYTES);
	assert_int_equal(wire_load_u32(m->mbox_event.rows.p), IPC_EV_NEW);
	assert_int_equal(wire_load_u32(m->mbox_event.rows.p + 4), 4);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, rig_setup_account, rig_teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		CASE(a_user_restores_so_many_a_day),
		CASE(a_hold_keeps_everything),
		CASE(a_hold_stops_a_purge),
		CASE(a_hold_waits_for_what_was_handed_in),
		CASE(what_is_too_old_goes),
		CASE(a_view_keeps_what_is_purged),
		CASE(nothing_is_kept_where_nothing_is_to_be),
		CASE(restoring_needs_room),
		CASE(others_are_told),
	};

	if (argc > 1)
		rig_spec = argv[1];
	return cmocka_run_group_tests_name(rig_spec, tests, NULL, NULL);
}
