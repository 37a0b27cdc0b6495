/*
 * Copies of more messages than one commit takes: all or nothing all the same, whatever fails on the
 * way, and for whom waits at the mailbox. With the program as argument also under kill -9.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/stored-rig.h"

#include "common/base/wire.h"
#include "common/ipc/types.h"
#include "stored/store-private.h"

#include <string.h>

/* 2^15 messages: nine portions. */
enum { DOUBLINGS = 15, N = 1 << DOUBLINGS };

static uint8_t rows[IPC_ROW_BYTES * (4 * N + 10)];

static struct ipc_copy_done copied(struct rig_client *s, uint32_t *ret_runs)
{
	struct ipc_copy_done d;
	enum ipc_type type;
	const union ipc_any *m;

	*ret_runs = 0;
	do {
		m = rig_next(s, 60000, &type, NULL);
		if (m == NULL || type == IPC_session_bye)
			return (struct ipc_copy_done){ .status = IPC_ST_TRYLATER };
		if (type != IPC_copy_done)
			continue;
		d = m->copy_done;
		*ret_runs += (uint32_t)(d.uids.n / 12);
	} while (type != IPC_copy_done || d.more);
	return d;
}

static void copy_ask(struct rig_client *s, uint32_t mbox, const char *to)
{
	rig_send(s, IPC_msg_copy,
	    &(struct ipc_msg_copy){
		++s->rig->seq, mbox, 0, slice_str(to), SLICE("\1\0\0\0\377\377\377\377") });
}

static int copy(struct rig_client *s, const char *from, const char *to)
{
	struct ipc_mbox_opened o = rig_open(s, from, 0);
	uint32_t runs;
	int status;

	if (o.status != IPC_ST_OK)
		return (int)o.status;
	copy_ask(s, o.mbox, to);
	status = (int)copied(s, &runs).status;
	rig_send(s, IPC_mbox_close, &(struct ipc_mbox_close){ 1, o.mbox });
	rig_next(s, 10000, &(enum ipc_type){ 0 }, NULL);
	return status;
}

static void append(struct rig_client *s)
{
	struct ipc_append_msg a = { 0, SLICE_NONE, 1, 5 };

	rig_send(s, IPC_append_begin, &(struct ipc_append_begin){ 1, SLICE("INBOX") });
	assert_int_equal(rig_wait(s, IPC_append_ready)->append_ready.status, IPC_ST_OK);
	rig_send(s, IPC_append_msg, &a);
	rig_append_bytes(s, SLICE("abc\r\n"));
	rig_send(s, IPC_append_end, &(struct ipc_append_end){ SLICE_NONE });
	rig_send(s, IPC_append_commit, &(struct ipc_append_commit){ 2 });
	assert_int_equal(rig_wait(s, IPC_append_done)->append_done.status, IPC_ST_OK);
}

/* N messages in "From", one of them seen. */
static struct rig_client *fill(struct rig *r)
{
	struct rig_client *s = rig_session(r, 7, 1, NULL);
	struct ipc_mbox_opened o;
	static const char *const names[] = { "From", "There" };

	for (size_t i = 0; i < 2; i++) {
		rig_send(
		    s, IPC_mbox_create, &(struct ipc_mbox_create){ 1, slice_str(names[i]), 0 });
		assert_int_equal(rig_wait(s, IPC_mbox_done)->mbox_done.status, IPC_ST_OK);
	}
	append(s);
	assert_int_equal(copy(s, "INBOX", "From"), IPC_ST_OK);
	for (int i = 0; i < DOUBLINGS; i++)
		assert_int_equal(copy(s, "From", "From"), IPC_ST_OK);
	o = rig_open(s, "From", 0);
	assert_int_equal(o.exists, N);
	assert_int_equal(rig_flags(s, o.mbox, 1, 1, IPC_FLAGS_ADD, IPC_FLAG_SEEN), IPC_ST_OK);
	rig_send(s, IPC_mbox_close, &(struct ipc_mbox_close){ 1, o.mbox });
	rig_wait(s, IPC_store_done);
	return s;
}

/* What is in the mailbox is what its header says, and its uids are in order. */
static uint32_t look(struct rig_client *s, const char *name)
{
	struct ipc_mbox_opened o = rig_open(s, name, 0);
	size_t n = 0;
	uint32_t last = 0;

	assert_int_equal(o.status, IPC_ST_OK);
	assert_int_equal(rig_scan(s, o.mbox, 1, rows, 4 * N + 10, &n), IPC_ST_OK);
	assert_int_equal(n, o.exists);
	for (size_t i = 0; i < n; i++) {
		uint32_t uid = wire_load_u32(rows + i * IPC_ROW_BYTES);

		assert_true(uid > last && uid < o.uidnext);
		assert_true(wire_load_u64(rows + i * IPC_ROW_BYTES + 40) <= o.modseq);
		last = uid;
	}
	assert_int_equal(o.bytes, 5 * n);
	rig_send(s, IPC_mbox_close, &(struct ipc_mbox_close){ 1, o.mbox });
	rig_wait(s, IPC_store_done);
	return o.exists;
}

static void all_of_them_at_once(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = fill(r), *other = rig_session(r, 7, 2, NULL);
	struct ipc_mbox_opened o = rig_open(s, "From", 0);
	struct ipc_copy_done d;
	uint32_t runs, told = 0, unseen;

	rig_open(other, "There", IPC_MBOX_EVENTS);
	copy_ask(s, o.mbox, "There");
	d = copied(s, &runs);
	assert_int_equal(d.status, IPC_ST_OK);
	assert_int_equal(runs, 1);
	while (told < N) {
		const struct ipc_mbox_event *e = &rig_wait(other, IPC_mbox_event)->mbox_event;

		for (size_t i = 0; i < e->rows.n; i += IPC_EVENT_BYTES) {
			assert_int_equal(wire_load_u32(e->rows.p + i), IPC_EV_NEW);
			assert_int_equal(wire_load_u32(e->rows.p + i + 4), ++told);
		}
	}
	for (int round = 0; round < 2; round++) {
		assert_int_equal(look(s, "There"), N);
		unseen = rig_open(s, "There", 0).unseen;
		assert_int_equal(unseen, N - 1);
		rig_restart(r);
		s = rig_session(r, 7, 1, NULL);
	}
	/* The mailbox itself, too: only what was there when it was asked. */
	assert_int_equal(copy(s, "There", "There"), IPC_ST_OK);
	assert_int_equal(look(s, "There"), 2 * N);
}

/* Commits that fail: before the first, in the middle, at the last. */
static void nothing_when_it_fails(void **state)
{
	struct rig *r;
	struct rig_client *s;
	unsigned failed = 0, done = 0, there = 0;

	if (rig_spec[0] != 'm')
		return;
	r = *state;
	s = fill(r);
	for (uint64_t seed = 1; seed <= 12; seed++) {
		struct engine_faults f = { .seed = seed };
		uint32_t uidnext = rig_open(s, "There", 0).uidnext;
		int status;

		*(seed % 3 == 0 ? &f.unknown : seed % 3 == 1 ? &f.io : &f.full) = 12;
		assert_int_equal(engine_faults_set(r->engine, &f), 0);
		status = copy(s, "From", "There");
		assert_int_equal(engine_faults_set(r->engine, &(struct engine_faults){ 0 }), 0);
		done += status == IPC_ST_OK;
		failed += status != IPC_ST_OK;
		if (status == IPC_ST_OK)
			there = there == 0 ? N : there + N;
		if (seed % 2 == 0 || s->gone)
			rig_restart(r);
		else
			rig_client_close(s);
		s = rig_session(r, 7, 1, NULL);
		assert_non_null(s);
		assert_int_equal(look(s, "There"), there);
		assert_int_equal(look(s, "From"), N);
		/* What comes next has the next uid, and nothing of the copy with it. */
		assert_int_equal(copy(s, "INBOX", "There"), IPC_ST_OK);
		assert_int_equal(look(s, "There"), ++there);
		if (status != IPC_ST_OK)
			assert_int_equal(rig_open(s, "There", 0).uidnext, uidnext + 1);
		if (there > 2 * N) {
			uint32_t mbox = rig_open(s, "There", 0).mbox;

			assert_int_equal(rig_expunge(s, mbox, 1, UINT32_MAX), IPC_ST_OK);
			there = 0;
		}
		if (seed % 4 == 0) {
			rig_restart(r);
			s = rig_session(r, 7, 1, NULL);
		}
		assert_int_equal(look(s, "There"), there);
	}
	assert_true(failed >= 3 && done >= 1);
}

/* A delivery in the middle waits for the end: uids only grow. */
static void mail_waits(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = fill(r), *post = rig_post(r, 50);
	struct ipc_mbox_opened o = rig_open(s, "From", 0);
	const uint32_t handle = 1;
	uint32_t runs;

	assert_int_equal(rig_target(r, 50, handle, 7, 0), IPC_ST_OK);
	copy_ask(s, o.mbox, "INBOX");
	for (uint32_t tag = 1; tag <= 5; tag++) {
		rig_deliver(post, tag, &handle, 1, SLICE("abc\r\n"), SLICE_NONE);
		rig_spin(r, 1);
	}
	for (uint32_t tag = 1; tag <= 5; tag++)
		assert_int_equal(rig_wait(post, IPC_post_result)->post_result.status, IPC_ST_OK);
	assert_int_equal(copied(s, &runs).status, IPC_ST_OK);
	assert_int_equal(look(s, "INBOX"), 1 + 5 + N);
	rig_restart(r);
	s = rig_session(r, 7, 1, NULL);
	assert_int_equal(look(s, "INBOX"), 1 + 5 + N);
}

static void bounds_hold_for_all(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = fill(r);

	r->store->copy_msgs_max = N - 1;
	assert_int_equal(copy(s, "From", "There"), IPC_ST_LIMIT);
	assert_int_equal(look(s, "There"), 0);
	r->store->copy_msgs_max = N;
	/* Room for half of them. */
	r->quota = 5 * (N + N / 2);
	s = rig_session(r, 7, 2, NULL);
	assert_int_equal(copy(s, "From", "There"), IPC_ST_OVERQUOTA);
	assert_int_equal(look(s, "There"), 0);
	r->quota = 0;
	s = rig_session(r, 7, 3, NULL);
	assert_int_equal(copy(s, "From", "There"), IPC_ST_OK);
	assert_int_equal(look(s, "There"), N);
}

/* ---- kill -9 ---- */

static void kill_9(void **state)
{
	struct rig r = { 0 };
	struct rig_client *s;
	uint32_t there = 0, killed = 0;

	rig_init_process(&r, rig_spec);
	rig_account(&r, 7, IPC_account_make);
	s = fill(&r);
	for (int round = 0; round < 16; round++) {
		struct ipc_mbox_opened o = rig_open(s, "From", 0);
		uint32_t found;

		copy_ask(s, o.mbox, "There");
		rig_spin(&r, 6 * round + 2);
		rig_kill(&r);
		rig_restart(&r);
		s = rig_session(&r, 7, 1, NULL);
		found = look(s, "There");
		assert_true(found == there || found == there + N);
		killed += found == there;
		there = found;
		assert_int_equal(copy(s, "INBOX", "There"), IPC_ST_OK);
		assert_int_equal(look(s, "There"), ++there);
		if (there > 2 * N) {
			uint32_t mbox = rig_open(s, "There", 0).mbox;

			assert_int_equal(rig_expunge(s, mbox, 1, UINT32_MAX), IPC_ST_OK);
			there = 0;
		}
	}
	assert_true(killed > 0);
	rig_fini(&r);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define CASE(f) cmocka_unit_test_setup_teardown(f, rig_setup_account, rig_teardown)
		CASE(all_of_them_at_once),
		CASE(nothing_when_it_fails),
		CASE(mail_waits),
		CASE(bounds_hold_for_all),
	};
	const struct CMUnitTest kills[] = { cmocka_unit_test(kill_9) };

	if (argc > 1)
		rig_spec = argv[1];
	if (strchr(rig_spec, '/') != NULL)
		return cmocka_run_group_tests(kills, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
