/*
 * What was expunged or deleted comes back: by the user, by an administrator, with all it had; and
 * goes for good when it is too old. On every engine: its spec is the argument.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/stored-look.h"

#include "common/base/wire.h"

/* ---- what is asked ---- */

static uint8_t listed[IPC_LOST_BYTES * 20000];
static size_t n_listed;

static void take_rows(struct slice rows)
{
	assert_true(n_listed * IPC_LOST_BYTES + rows.n <= sizeof(listed));
	memcpy(listed + n_listed * IPC_LOST_BYTES, rows.p, rows.n);
	n_listed += rows.n / IPC_LOST_BYTES;
}

static uint32_t listed_uid(size_t i)
{
	return wire_load_u32(listed + i * IPC_LOST_BYTES);
}

/* Of a session; events in front of the answer do not matter. */
static struct ipc_lost_done ask(
    struct rig_client *s, uint32_t what, const char *name, struct slice uids)
{
	struct ipc_lost_ask q = { .seq = ++s->rig->seq,
		.what = what,
		.name = slice_str(name),
		.until = INT64_MAX,
		.uids = uids };
	enum ipc_type type;
	const union ipc_any *m;

	n_listed = 0;
	rig_send(s, IPC_lost_ask, &q);
	for (;;) {
		m = rig_next(s, 60000, &type, NULL);
		assert_non_null(m);
		if (type == IPC_lost_rows)
			take_rows(m->lost_rows.rows);
		if (type == IPC_lost_done)
			break;
	}
	assert_int_equal(m->lost_done.seq, q.seq);
	return m->lost_done;
}

static struct ipc_undelete_done undelete(
    struct rig_client *ad, uint32_t what, const char *name, int64_t since, int64_t until)
{
	struct ipc_undelete_ask q = { .seq = ++ad->rig->seq,
		.what = what,
		.account = 7,
		.name = slice_str(name),
		.since = since,
		.until = until };
	enum ipc_type type;
	const union ipc_any *m;

	n_listed = 0;
	rig_send(ad, IPC_undelete_ask, &q);
	for (;;) {
		m = rig_next(ad, 60000, &type, NULL);
		assert_non_null(m);
		if (type == IPC_undelete_rows)
			take_rows(m->undelete_rows.rows);
		if (type == IPC_undelete_done)
			break;
	}
	assert_int_equal(m->undelete_done.seq, q.seq);
	return m->undelete_done;
}

/* A line of the account's figures. */
static uint64_t figure(struct rig_client *ad, const char *name)
{
	const union ipc_any *m;
	struct slice text;

	rig_send(ad, IPC_stat_ask, &(struct ipc_stat_ask){ 2, 7 });
	m = rig_wait(ad, IPC_stat_reply);
	assert_int_equal(m->stat_reply.status, IPC_ST_OK);
	for (text = m->stat_reply.text; text.n > 0;) {
		struct slice line = slice_take(&text, '\n'), key = slice_take(&line, ' ');
		uint64_t v;

		if (slice_eq(key, slice_str(name)) && slice_u64(line, UINT64_MAX, &v) == 0)
			return v;
	}
	fail_msg("no figure %s", name);
	return 0;
}

/* ---- what is done ---- */

static void append(struct rig_client *s, const char *name, const struct piece *p, size_t n)
{
	assert_int_equal(put_pieces(s, name, p, n).status, IPC_ST_OK);
}

static void append_many(struct rig_client *s, const char *name, size_t n)
{
	static struct piece p[1000];

	for (size_t i = 0; i < 1000; i++)
		p[i] = (struct piece){ 0, "", 5, SLICE("m"), SLICE("f") };
	for (; n > 0; n -= n < 1000 ? n : 1000)
		append(s, name, p, n < 1000 ? n : 1000);
}

static int names(struct rig_client *s, enum ipc_type type, const char *name)
{
	struct ipc_mbox_delete m = { ++s->rig->seq, slice_str(name) };

	if (type == IPC_mbox_create)
		rig_send(s, type, &(struct ipc_mbox_create){ m.seq, m.name, IPC_ATTR_ARCHIVE });
	else
		rig_send(s, type, &m);
	for (;;) {
		enum ipc_type got;
		const union ipc_any *a = rig_next(s, 10000, &got, NULL);

		assert_non_null(a);
		if (got == IPC_mbox_done)
			return (int)a->mbox_done.status;
		assert_int_equal(got, IPC_mbox_gone); /* it was open here */
	}
}

enum { AT_FLAGS = 4, AT_KEYWORDS = 8, AT_SIZE = 16, AT_DATE = 24, AT_ID = 48 };

/* ---- cases ---- */

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
		CASE(an_expunged_message_comes_back_as_it_was),
		CASE(a_deleted_mailbox_comes_back),
		CASE(what_is_moved_is_not_lost),
		CASE(what_lies_between_stays),
		CASE(some_of_them_come_back),
		CASE(many_runs),
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
