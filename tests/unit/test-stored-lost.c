/*
 * What was expunged or deleted comes back, by the user or by an administrator, with all it had. On
 * every engine: its spec is the argument.
 */
#include "lost-help.h"

static void an_expunged_message_comes_back_as_it_was(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, 7, 1, NULL);
	const struct piece p[] = {
		{ IPC_FLAG_SEEN, "Work $Forwarded", 1000000000, SLICE("one"), SLICE("facts one"),
		    SLICE("header one") },
		{ 0, "", 77, SLICE("two, longer"), SLICE("facts two") },
		{ IPC_FLAG_FLAGGED, "work", -5, SLICE("three"), SLICE("facts three") },
	};
	struct ipc_mbox_opened o;
	struct slice facts;
	uint64_t id;

	append(s, "INBOX", p, 3);
	o = rig_open(s, "INBOX", 0);
	assert_int_equal(
	    rig_flags(s, o.mbox, 1, 1, IPC_FLAGS_ADD, IPC_FLAG_ANSWERED | IPC_FLAG_DELETED),
	    IPC_ST_OK);
	assert_int_equal(look_scan(s, o.mbox), 3);
	id = look_u64(0, AT_ID);
	assert_int_equal(rig_expunge(s, o.mbox, 1, 2), IPC_ST_OK);
	for (int pass = 0; pass < 2; pass++) {
		struct ipc_lost_done d = ask(s, IPC_LOST_LIST, "", SLICE_NONE);

		assert_int_equal(d.status, IPC_ST_OK);
		assert_int_equal(d.count, 2);
		assert_int_equal(d.bytes, 14);
		assert_int_equal(n_listed, 2);
		assert_int_equal(listed_uid(0), 1);
		assert_int_equal(wire_load_u32(listed + 4),
		    IPC_FLAG_SEEN | IPC_FLAG_ANSWERED | IPC_FLAG_DELETED);
		assert_int_equal(wire_load_u64(listed + 32), id);
		assert_int_equal(ask(s, IPC_LOST_COUNT, "Nowhere", SLICE_NONE).count, 0);
		/* The same after a new start. */
		if (pass == 0) {
			rig_restart(r);
			s = rig_session(r, 7, 1, NULL);
			o = rig_open(s, "INBOX", 0);
			assert_int_equal(look_scan(s, o.mbox), 1);
		}
	}
	assert_int_equal(ask(s, IPC_LOST_RESTORE, "inbox", SLICE_NONE).count, 2);
	for (int pass = 0; pass < 2; pass++) {
		if (pass == 1) {
			rig_restart(r);
			s = rig_session(r, 7, 1, NULL);
		}
		o = rig_open(s, "INBOX", 0);
		assert_int_equal(look_scan(s, o.mbox), 3);
		assert_int_equal(o.exists, 3);
		assert_int_equal(o.bytes, 19);
		assert_int_equal(o.uidnext, 6);
		assert_int_equal(look_u32(1, 0), 4);
		assert_int_equal(look_u32(1, AT_FLAGS), IPC_FLAG_SEEN | IPC_FLAG_ANSWERED);
		assert_int_equal(look_u64(1, AT_KEYWORDS), 3);
		assert_int_equal(look_u64(1, AT_DATE), 1000000000);
		assert_int_equal(look_u64(1, AT_ID), id);
		look_body(s, o.mbox, 4, SLICE("one"));
		assert_int_equal(rig_facts(s, o.mbox, 4, &facts), IPC_ST_OK);
		assert_true(slice_eq(facts, SLICE("facts one")));
		assert_int_equal(rig_header(s, o.mbox, 4, &facts), IPC_ST_OK);
		assert_true(slice_eq(facts, SLICE("header one")));
		look_body(s, o.mbox, 5, SLICE("two, longer"));
		assert_int_equal(ask(s, IPC_LOST_COUNT, "", SLICE_NONE).count, 0);
	}
}

static void a_deleted_mailbox_comes_back(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, 7, 1, NULL);
	const struct piece p[] = {
		{ IPC_FLAG_SEEN, "Work", 10, SLICE("one"), SLICE("facts one") },
		{ 0, "Other", 20, SLICE("two"), SLICE("facts two") },
	};
	struct ipc_mbox_opened o;

	assert_int_equal(names(s, IPC_mbox_create, "Papers/2020"), IPC_ST_OK);
	append(s, "Papers/2020", p, 2);
	o = rig_open(s, "Papers/2020", 0);
	assert_int_equal(rig_expunge(s, o.mbox, 1, 1), IPC_ST_OK);
	assert_int_equal(names(s, IPC_mbox_delete, "Papers/2020"), IPC_ST_OK);
	assert_int_equal(names(s, IPC_mbox_delete, "Papers"), IPC_ST_OK);
	assert_int_equal(ask(s, IPC_LOST_COUNT, "Papers/2020", SLICE_NONE).count, 2);
	rig_restart(r);
	s = rig_session(r, 7, 1, NULL);
	assert_int_equal(ask(s, IPC_LOST_LIST, "", SLICE_NONE).count, 2);
	assert_int_equal(n_listed, 2);
	/* A new one of that name, with other keywords: it gets them all. */
	assert_int_equal(names(s, IPC_mbox_create, "Papers/2020"), IPC_ST_OK);
	append(s, "Papers/2020", &(struct piece){ 0, "Third", 1, SLICE("3"), SLICE("f") }, 1);
	assert_int_equal(names(s, IPC_mbox_delete, "Papers/2020"), IPC_ST_OK);
	assert_int_equal(names(s, IPC_mbox_create, "Papers/2020"), IPC_ST_OK);
	append(s, "Papers/2020", &(struct piece){ 0, "Fourth", 1, SLICE("4"), SLICE("f") }, 1);
	assert_int_equal(ask(s, IPC_LOST_RESTORE, "", SLICE_NONE).count, 3);
	o = rig_open(s, "Papers/2020", 0);
	assert_int_equal(look_scan(s, o.mbox), 4);
	for (size_t i = 1; i < 4; i++) {
		uint64_t bits = look_u64(i, AT_KEYWORDS);

		assert_true(bits != 0 && (bits & 1) == 0 && (bits & (bits - 1)) == 0);
	}
	assert_int_equal(ask(s, IPC_LOST_COUNT, "", SLICE_NONE).count, 0);
	/* And made again, when there is none. */
	assert_int_equal(names(s, IPC_mbox_delete, "Papers/2020"), IPC_ST_OK);
	assert_int_equal(ask(s, IPC_LOST_RESTORE, "Papers/2020", SLICE_NONE).count, 4);
	o = rig_open(s, "Papers/2020", 0);
	assert_int_equal(look_scan(s, o.mbox), 4);
	rig_send(s, IPC_mbox_list, &(struct ipc_mbox_list){ 9, SLICE("Papers/2020") });
	assert_true(wire_load_u32(rig_wait(s, IPC_mbox_list_rows)->mbox_list_rows.rows.p + 8) &
		    IPC_ATTR_ARCHIVE);
	rig_restart(r);
	s = rig_session(r, 7, 1, NULL);
	o = rig_open(s, "Papers/2020", 0);
	assert_int_equal(look_scan(s, o.mbox), 4);
	assert_int_equal(ask(s, IPC_LOST_COUNT, "", SLICE_NONE).count, 0);
}

/* A move is no loss; a copy that is expunged is one of its own. */
static void what_is_moved_is_not_lost(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, 7, 1, NULL);
	uint8_t pair[8];
	struct ipc_mbox_opened o;

	append_many(s, "INBOX", 3);
	assert_int_equal(names(s, IPC_mbox_create, "There"), IPC_ST_OK);
	o = rig_open(s, "INBOX", 0);
	wire_store_u32(pair, 1);
	wire_store_u32(pair + 4, 2);
	rig_send(s, IPC_msg_copy,
	    &(struct ipc_msg_copy){ 1, o.mbox, 1, SLICE("There"), slice_of(pair, 8) });
	assert_int_equal(rig_wait(s, IPC_copy_done)->copy_done.status, IPC_ST_OK);
	assert_int_equal(ask(s, IPC_LOST_COUNT, "", SLICE_NONE).count, 0);
	wire_store_u32(pair, 3);
	wire_store_u32(pair + 4, 3);
	rig_send(s, IPC_msg_copy,
	    &(struct ipc_msg_copy){ 1, o.mbox, 0, SLICE("There"), slice_of(pair, 8) });
	assert_int_equal(rig_wait(s, IPC_copy_done)->copy_done.status, IPC_ST_OK);
	assert_int_equal(rig_expunge(s, o.mbox, 1, 9), IPC_ST_OK);
	assert_int_equal(ask(s, IPC_LOST_COUNT, "", SLICE_NONE).count, 1);
	assert_int_equal(ask(s, IPC_LOST_RESTORE, "", SLICE_NONE).count, 1);
	assert_int_equal(look_scan(s, rig_open(s, "There", 0).mbox), 3);
	assert_int_equal(look_scan(s, rig_open(s, "INBOX", 0).mbox), 1);
}

/* What is moved or removed for good around a lost message leaves that alone. */
static void what_lies_between_stays(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, 7, 1, NULL);
	uint8_t pair[8];
	struct ipc_mbox_opened o;

	append_many(s, "INBOX", 7);
	assert_int_equal(names(s, IPC_mbox_create, "There"), IPC_ST_OK);
	o = rig_open(s, "INBOX", 0);
	assert_int_equal(rig_expunge(s, o.mbox, 2, 2), IPC_ST_OK);
	assert_int_equal(rig_expunge(s, o.mbox, 6, 6), IPC_ST_OK);
	wire_store_u32(pair, 1);
	wire_store_u32(pair + 4, 3);
	rig_send(s, IPC_msg_copy,
	    &(struct ipc_msg_copy){ 1, o.mbox, 1, SLICE("There"), slice_of(pair, 8) });
	assert_int_equal(rig_wait(s, IPC_copy_done)->copy_done.status, IPC_ST_OK);
	r->undelete_s = 0;
	rig_restart(r);
	s = rig_session(r, 7, 1, NULL);
	o = rig_open(s, "INBOX", 0);
	assert_int_equal(rig_expunge(s, o.mbox, 5, 7), IPC_ST_OK);
	assert_int_equal(ask(s, IPC_LOST_RESTORE, "", SLICE_NONE).count, 2);
	o = rig_open(s, "INBOX", 0);
	assert_int_equal(look_scan(s, o.mbox), 3);
	look_body(s, o.mbox, 8, SLICE("m"));
	look_body(s, o.mbox, 9, SLICE("m"));
}

static void some_of_them_come_back(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, 7, 1, NULL), *ad = rig_admin(r, IPC_RIGHT_MASTER, 0);
	uint8_t pairs[16];
	struct ipc_mbox_opened o;

	append_many(s, "INBOX", 100);
	o = rig_open(s, "INBOX", 0);
	/* What goes first lies between what goes later. */
	assert_int_equal(rig_expunge(s, o.mbox, 50, 50), IPC_ST_OK);
	assert_int_equal(rig_expunge(s, o.mbox, 45, 55), IPC_ST_OK);
	assert_int_equal(rig_expunge(s, o.mbox, 10, 90), IPC_ST_OK);
	assert_int_equal(figure(ad, "recoverable"), 81);
	assert_int_equal(figure(ad, "recoverable-bytes"), 81);
	assert_int_equal(figure(ad, "messages"), 19);
	wire_store_u32(pairs, 1);
	wire_store_u32(pairs + 4, 12);
	wire_store_u32(pairs + 8, 49);
	wire_store_u32(pairs + 12, 51);
	assert_int_equal(ask(s, IPC_LOST_COUNT, "", slice_of(pairs, 16)).count, 6);
	assert_int_equal(ask(s, IPC_LOST_RESTORE, "", slice_of(pairs, 16)).count, 6);
	assert_int_equal(figure(ad, "recoverable"), 75);
	assert_int_equal(figure(ad, "recoverable-bytes"), 75);
	assert_int_equal(ask(s, IPC_LOST_RESTORE, "", slice_of(pairs, 16)).count, 0);
	rig_restart(r);
	s = rig_session(r, 7, 1, NULL);
	ad = rig_admin(r, IPC_RIGHT_MASTER, 0);
	o = rig_open(s, "INBOX", 0);
	assert_int_equal(look_scan(s, o.mbox), 25);
	assert_int_equal(look_u32(8, 0), 9);
	assert_int_equal(look_u32(9, 0), 91);
	assert_int_equal(look_u32(19, 0), 101);
	assert_int_equal(figure(ad, "recoverable"), 75);
	/* The first three are the oldest. */
	assert_int_equal(ask(s, IPC_LOST_LIST, "", SLICE_NONE).count, 75);
	assert_int_equal(listed_uid(0), 13);
	assert_int_equal(listed_uid(74), 90);
	assert_int_equal(undelete(ad, IPC_LOST_PURGE, "", 0, INT64_MAX).count, 75);
	assert_int_equal(figure(ad, "recoverable"), 0);
	assert_int_equal(figure(ad, "recoverable-bytes"), 0);
	assert_int_equal(ask(s, IPC_LOST_LIST, "", SLICE_NONE).count, 0);
	assert_int_equal(look_scan(s, o.mbox), 25);
}

/* Every other message, in both directions: as many runs as messages. */
static void many_runs(void **state)
{
	enum { N = 2000 };
	static uint8_t pairs[8 * N];
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, 7, 1, NULL);
	struct ipc_mbox_opened o;
	size_t n = 0;

	append_many(s, "INBOX", 2 * N);
	o = rig_open(s, "INBOX", 0);
	for (uint32_t uid = 2; uid < 2 * N; uid += 2, n += 8) {
		wire_store_u32(pairs + n, uid);
		wire_store_u32(pairs + n + 4, uid);
	}
	rig_send(s, IPC_msg_expunge, &(struct ipc_msg_expunge){ 1, o.mbox, 0, slice_of(pairs, n) });
	assert_int_equal(rig_wait(s, IPC_store_done)->store_done.count, N - 1);
	assert_int_equal(rig_expunge(s, o.mbox, 1, N), IPC_ST_OK);
	for (int pass = 0; pass < 2; pass++) {
		assert_int_equal(look_scan(s, o.mbox), N / 2 + 1);
		for (size_t i = 0; i < N / 2; i++)
			assert_int_equal(look_u32(i, 0), N + 1 + 2 * i);
		assert_int_equal(ask(s, IPC_LOST_COUNT, "", SLICE_NONE).count, N + N / 2 - 1);
		rig_restart(r);
		s = rig_session(r, 7, 1, NULL);
		o = rig_open(s, "INBOX", 0);
	}
	assert_int_equal(ask(s, IPC_LOST_RESTORE, "", SLICE_NONE).count, N + N / 2 - 1);
	rig_restart(r);
	s = rig_session(r, 7, 1, NULL);
	o = rig_open(s, "INBOX", 0);
	assert_int_equal(look_scan(s, o.mbox), 2 * N);
	for (size_t i = 1; i < 2 * N; i++)
		assert_true(look_u32(i - 1, 0) < look_u32(i, 0));
	assert_int_equal(ask(s, IPC_LOST_COUNT, "", SLICE_NONE).count, 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, rig_setup_account, rig_teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		CASE(an_expunged_message_comes_back_as_it_was),
		CASE(a_deleted_mailbox_comes_back),
		CASE(what_is_moved_is_not_lost),
		CASE(what_lies_between_stays),
		CASE(some_of_them_come_back),
		CASE(many_runs),
	};

	if (argc > 1)
		rig_spec = argv[1];
	return cmocka_run_group_tests_name(rig_spec, tests, NULL, NULL);
}
