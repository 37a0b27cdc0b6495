/*
 * Sessions of administrators by stored's messages: who gets one, and the uids and uidvalidities
 * that they may place. On every engine: its spec is the argument.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/stored-rig.h"

#include "common/base/wire.h"

static struct rig_client *admin(struct rig *r, uint64_t rights)
{
	int fds[2];

	assert_int_equal(ipc_pair(fds), 0);
	ipc_send(r->authd->chan, IPC_store_open,
	    &(struct ipc_store_open){ 77, SLICE("postmaster"), rights, 0 }, &fds[1]);
	return rig_adopt(r, fds[0], IPC_CH_ADMIN_STORE);
}

/* NULL with *ret_status when it was refused. */
static struct rig_client *open_for(
    struct rig *r, uint64_t rights, uint64_t account, bool greets, uint32_t *ret_status)
{
	struct rig_client *ad = admin(r, rights), *s;
	const union ipc_any *m;
	enum ipc_type type;
	int fd = -1;

	rig_send(
	    ad, IPC_sess_open, &(struct ipc_sess_open){ 9, account, SLICE("ann@example.test"), 0 });
	m = rig_next(ad, 10000, &type, &fd);
	assert_non_null(m);
	if (type == IPC_stat_reply) {
		assert_int_equal(m->stat_reply.seq, 9);
		*ret_status = m->stat_reply.status;
		return NULL;
	}
	assert_int_equal(type, IPC_sess_opened);
	s = rig_adopt(r, fd, IPC_CH_SESSION);
	if (greets)
		ipc_chan_hello(s->chan, IPC_ROLE_NONE, 0, IPC_ROLE_STORED, IPC_IN_RUN);
	return s;
}

static struct rig_client *opened(struct rig *r)
{
	uint32_t status = IPC_ST_OK;
	struct rig_client *s = open_for(r, IPC_RIGHT_MASTER, 7, true, &status);

	assert_non_null(s);
	return s;
}

static void only_masters_get_one(void **state)
{
	struct rig *r = *state;
	uint32_t status = IPC_ST_OK;
	const union ipc_any *m;
	struct rig_client *ad = admin(r, IPC_RIGHT_MASTER);

	assert_null(open_for(r, 0, 7, true, &status));
	assert_int_equal(status, IPC_ST_DENIED);
	assert_null(open_for(r, IPC_RIGHT_MASTER, 8, true, &status));
	assert_int_equal(status, IPC_ST_NOTFOUND);
	rig_open(opened(r), "INBOX", 0);
	rig_send(ad, IPC_sess_list, &(struct ipc_sess_list){ 1, 7 });
	m = rig_wait(ad, IPC_sess_rows);
	assert_non_null(memmem(m->sess_rows.rows.p, m->sess_rows.rows.n, "\3\0\0\0ctl", 7));
	assert_non_null(memmem(m->sess_rows.rows.p, m->sess_rows.rows.n, "ann@example.test", 16));
}

static void who_does_not_greet_is_ended(void **state)
{
	struct rig *r = *state;
	uint32_t status = IPC_ST_OK;
	struct rig_client *s = open_for(r, IPC_RIGHT_MASTER, 7, false, &status);

	rig_send(s, IPC_quota_get, &(struct ipc_quota_get){ .seq = 1 });
	assert_true(rig_gone(s, 10000));
}

static uint32_t create(struct rig_client *s, const char *name)
{
	rig_send(s, IPC_mbox_create, &(struct ipc_mbox_create){ 1, slice_str(name), 0 });
	return rig_wait(s, IPC_mbox_done)->mbox_done.status;
}

static uint32_t place(struct rig_client *s, const char *name, uint32_t uidvalidity)
{
	rig_send(s, IPC_mbox_place, &(struct ipc_mbox_place){ 2, slice_str(name), uidvalidity });
	return rig_wait(s, IPC_mbox_done)->mbox_done.status;
}

/* uids ends with 0; a last one without a message is uidnext. */
static struct ipc_append_done append(
    struct rig_client *s, const char *name, const uint32_t *uids, uint32_t uidnext)
{
	enum ipc_type type;
	const union ipc_any *m;

	rig_send(s, IPC_append_begin, &(struct ipc_append_begin){ 3, slice_str(name) });
	assert_int_equal(rig_wait(s, IPC_append_ready)->append_ready.status, IPC_ST_OK);
	for (; *uids != 0; uids++) {
		rig_send(s, IPC_append_place, &(struct ipc_append_place){ .uid = *uids });
		rig_send(s, IPC_append_msg, &(struct ipc_append_msg){ 0, SLICE_NONE, 1000, 3 });
		rig_append_bytes(s, SLICE("abc"));
		rig_send(s, IPC_append_end, &(struct ipc_append_end){ SLICE("facts") });
	}
	if (uidnext != 0)
		rig_send(s, IPC_append_place, &(struct ipc_append_place){ .uid = uidnext });
	rig_send(s, IPC_append_commit, &(struct ipc_append_commit){ 4 });
	do
		m = rig_next(s, 10000, &type, NULL);
	while (m != NULL && type != IPC_append_done);
	assert_non_null(m);
	return m->append_done;
}

static void expect_uids(struct rig_client *s, const char *name, const uint32_t *uids)
{
	struct ipc_mbox_opened o = rig_open(s, name, IPC_MBOX_READONLY);
	uint8_t rows[20 * IPC_ROW_BYTES];
	size_t n = 0;

	assert_int_equal(rig_scan(s, o.mbox, 0, rows, 20, &n), IPC_ST_OK);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(wire_load_u32(rows + i * IPC_ROW_BYTES), uids[i]);
	assert_int_equal(uids[n], 0);
}

static void uids_are_placed_and_stay(void **state)
{
	static const uint32_t first[] = { 5, 6, 100, 0 }, low[] = { 101, 50, 0 },
			      more[] = { 300, 0 }, none[] = { 0 }, all[] = { 5, 6, 100, 300, 0 };
	struct rig *r = *state;
	struct rig_client *s = opened(r);
	struct ipc_append_done d;

	d = append(s, "INBOX", first, 0);
	assert_int_equal(d.status, IPC_ST_OK);
	assert_true(d.first_uid == 5 && d.last_uid == 100);
	/* They only grow, and nothing of what breaks that is stored. */
	assert_int_equal(append(s, "INBOX", low, 0).status, IPC_ST_EXISTS);
	assert_int_equal(append(s, "INBOX", none, 250).status, IPC_ST_OK);
	assert_int_equal(rig_open(s, "INBOX", 0).uidnext, 250);
	assert_int_equal(append(s, "INBOX", more, 0).status, IPC_ST_OK);
	assert_int_equal(append(s, "INBOX", none, 10).status, IPC_ST_OK);
	assert_int_equal(append(s, "INBOX", none, UINT32_MAX).status, IPC_ST_TOOBIG);
	expect_uids(s, "INBOX", all);
	rig_restart(r);
	s = opened(r);
	assert_int_equal(rig_open(s, "INBOX", 0).uidnext, 301);
	expect_uids(s, "INBOX", all);
}

static void a_new_mailbox_takes_a_uidvalidity(void **state)
{
	static const uint32_t one[] = { 3, 0 };
	struct rig *r = *state;
	struct rig_client *s = opened(r), *reader;
	uint32_t inbox;

	assert_int_equal(create(s, "Old"), IPC_ST_OK);
	reader = rig_session(r, 7, 5, NULL);
	rig_open(reader, "Old", IPC_MBOX_EVENTS);
	assert_int_equal(place(s, "Nobody", 1234), IPC_ST_NOTFOUND);
	assert_int_equal(place(s, "Old", 0), IPC_ST_BAD);
	assert_int_equal(place(s, "Old", 1234), IPC_ST_OK);
	rig_wait(reader, IPC_mbox_gone);
	inbox = rig_open(s, "INBOX", 0).uidvalidity;
	assert_int_equal(place(s, "Old", inbox), IPC_ST_EXISTS);
	assert_int_equal(append(s, "Old", one, 0).uidvalidity, 1234);
	assert_int_equal(place(s, "Old", 1234), IPC_ST_OK);
	assert_int_equal(place(s, "Old", 1235), IPC_ST_CANNOT);
	/* One of the future is not given again. */
	assert_int_equal(create(s, "Later"), IPC_ST_OK);
	assert_int_equal(place(s, "Later", 4000000000), IPC_ST_OK);
	assert_int_equal(create(s, "New"), IPC_ST_OK);
	assert_int_equal(rig_open(s, "New", 0).uidvalidity, 4000000001);
	rig_restart(r);
	s = opened(r);
	assert_int_equal(rig_open(s, "Old", 0).uidvalidity, 1234);
	assert_int_equal(rig_open(s, "Later", 0).uidvalidity, 4000000000);
	expect_uids(s, "Old", one);
}

/* One message with its numbers, and the thread that it had; 0: it is to be found. The thread that
 * it has in the end. */
static uint64_t append_thread(
    struct rig_client *s, uint32_t uid, uint64_t had, const uint64_t *numbers, size_t n)
{
	struct ipc_append_end end = { .facts = SLICE("facts") };
	uint8_t packed[8 * IPC_THREAD_NUMBERS], rows[20 * IPC_ROW_BYTES];
	size_t n_rows = 0;

	for (size_t i = 0; i < n; i++)
		wire_store_u64(packed + 8 * i, numbers[i]);
	end.thread = slice_of(packed, 8 * n);
	rig_send(s, IPC_append_begin, &(struct ipc_append_begin){ 3, SLICE("INBOX") });
	assert_int_equal(rig_wait(s, IPC_append_ready)->append_ready.status, IPC_ST_OK);
	rig_send(s, IPC_append_place, &(struct ipc_append_place){ uid, had });
	rig_send(s, IPC_append_msg, &(struct ipc_append_msg){ 0, SLICE_NONE, 1000, 3 });
	rig_append_bytes(s, SLICE("abc"));
	rig_send(s, IPC_append_end, &end);
	rig_send(s, IPC_append_commit, &(struct ipc_append_commit){ 4 });
	assert_int_equal(rig_wait(s, IPC_append_done)->append_done.status, IPC_ST_OK);
	assert_int_equal(
	    rig_scan(s, rig_open(s, "INBOX", IPC_MBOX_READONLY).mbox, uid, rows, 20, &n_rows),
	    IPC_ST_OK);
	assert_int_equal(n_rows, 1);
	return wire_load_u64(rows + 56);
}

/* The one that a message had stays, whatever would be found; and answers to it go there, too. */
static void a_thread_is_placed_and_goes_on(void **state)
{
	static const uint64_t first[] = { 11, 10 }, answer[] = { 12, 11 }, later[] = { 13, 12 },
			      none[] = { 0 }, other[] = { 14, 13 };
	struct rig *r = *state;
	struct rig_client *s = opened(r);

	assert_int_equal(append_thread(s, 5, 77, first, 2), 77);
	assert_int_equal(append_thread(s, 6, 0, answer, 2), 77);
	assert_int_equal(append_thread(s, 7, 78, none, 0), 78);
	assert_int_equal(append_thread(s, 8, 0, later, 2), 77);
	rig_restart(r);
	s = opened(r);
	assert_int_equal(append_thread(s, 9, 79, other, 2), 79);
	assert_int_equal(append_thread(s, 10, 0, first, 1), 11);
}

static void others_place_nothing(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, 7, 5, NULL);

	rig_send(s, IPC_mbox_place, &(struct ipc_mbox_place){ 2, SLICE("INBOX"), 1234 });
	assert_int_equal(rig_wait(s, IPC_session_bye)->session_bye.why, IPC_BYE_PROTOCOL);
	s = rig_session(r, 7, 6, NULL);
	rig_send(s, IPC_append_begin, &(struct ipc_append_begin){ 3, SLICE("INBOX") });
	rig_wait(s, IPC_append_ready);
	rig_send(s, IPC_append_place, &(struct ipc_append_place){ .uid = 5 });
	assert_int_equal(rig_wait(s, IPC_session_bye)->session_bye.why, IPC_BYE_PROTOCOL);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define CASE(f) cmocka_unit_test_setup_teardown(f, rig_setup_account, rig_teardown)
		CASE(only_masters_get_one),
		CASE(who_does_not_greet_is_ended),
		CASE(uids_are_placed_and_stay),
		CASE(a_new_mailbox_takes_a_uidvalidity),
		CASE(a_thread_is_placed_and_goes_on),
		CASE(others_place_nothing),
	};

	if (argc > 1)
		rig_spec = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
