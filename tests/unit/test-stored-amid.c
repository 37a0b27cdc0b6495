/*
 * Moves on an engine without an atom over groups, by the ids of the messages: amid mail that fails
 * in front of them, and in portions between which stored dies. A message is always in one mailbox.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/stored-look.h"

#include "common/base/wire.h"

enum { ACCOUNT = 7, FEW = 5, MAILS = 6, SEEDS = 60, MANY = 5000, APPEND = 1000, PORTION = 4096 };

static const char *spec = "mem:one_group=1";

static size_t ids_of(struct rig_client *s, const char *name, uint64_t *ids)
{
	static uint8_t rows[IPC_ROW_BYTES * MANY];
	struct ipc_mbox_opened o = rig_open(s, name, 0);
	size_t n = 0;

	assert_int_equal(o.status, IPC_ST_OK);
	assert_int_equal(rig_scan(s, o.mbox, 1, rows, MANY, &n), IPC_ST_OK);
	assert_int_equal(n, o.exists);
	assert_int_equal(o.bytes, n); /* of one octet each */
	for (size_t i = 0; i < n; i++)
		ids[i] = wire_load_u64(rows + i * IPC_ROW_BYTES + 48);
	return n;
}

/* Both mailboxes have these together, and none twice. */
static size_t ids_check(struct rig *r, size_t want)
{
	static uint64_t ids[2 * MANY];
	struct rig_client *s = rig_session(r, ACCOUNT, 1, NULL);
	size_t here = ids_of(s, "INBOX", ids), there = ids_of(s, "There", ids + here);

	assert_int_equal(here + there, want);
	for (size_t i = 1; i < here; i++)
		assert_true(ids[i] > ids[i - 1]); /* nothing is moved to here */
	for (size_t i = 0, k = 0; i < here && k < there; ids[i] < ids[here + k] ? i++ : k++)
		assert_true(ids[i] != ids[here + k]);
	rig_client_close(s);
	return there;
}

/* An account with so many messages in INBOX, and a session of it. */
static struct rig_client *begin(struct rig *r, size_t n)
{
	static struct piece p[APPEND];
	struct rig_client *s;

	for (size_t i = 0; i < APPEND; i++)
		p[i] = (struct piece){ 0, "", 0, SLICE("x"), SLICE("facts") };
	rig_init(r, spec);
	assert_int_equal(rig_account(r, ACCOUNT, IPC_account_make), IPC_ST_OK);
	s = rig_session(r, ACCOUNT, 1, NULL);
	put_mailbox(s, "There");
	for (size_t at = 0; at < n; at += APPEND)
		assert_int_equal(
		    put_pieces(s, "INBOX", p, n < APPEND ? n : APPEND).status, IPC_ST_OK);
	assert_int_equal(rig_open(s, "INBOX", 0).mbox, 1);
	return s;
}

static void move_ask(struct rig_client *s, uint32_t last)
{
	uint8_t pair[8];

	wire_store_u32(pair, 1);
	wire_store_u32(pair + 4, last);
	rig_send(
	    s, IPC_msg_copy, &(struct ipc_msg_copy){ 1, 1, 1, SLICE("There"), slice_of(pair, 8) });
}

/* The answer, or the session's end. */
static void move_wait(struct rig_client *s)
{
	enum ipc_type type;
	const union ipc_any *m;

	do
		m = rig_next(s, 10000, &type, NULL);
	while (
	    m != NULL && type != IPC_session_bye && (type != IPC_copy_done || m->copy_done.more));
}

static void post(struct rig_client *c, uint32_t from, uint32_t n)
{
	for (uint32_t tag = from; tag < from + n; tag++) {
		uint32_t handle = 1;

		rig_deliver(c, tag, &handle, 1, SLICE("m"), SLICE("facts"));
	}
}

/* Where each batch of the INBOX is built on the one before it, which may fail. */
static unsigned move_amid_mail(uint64_t seed)
{
	struct engine_faults f = { .seed = seed, .full = 3, .reorder = true, .delay_ms = 1 };
	struct rig r;
	struct rig_client *s = begin(&r, FEW), *c = rig_post(&r, 100);
	unsigned got = 0;

	assert_int_equal(rig_target(&r, 100, 1, ACCOUNT, 0), IPC_ST_OK);
	assert_int_equal(engine_faults_set(r.engine, &f), 0);
	post(c, 0, MAILS / 2);
	move_ask(s, FEW - 1);
	post(c, MAILS / 2, MAILS / 2);
	move_wait(s);
	for (unsigned i = 0; i < MAILS; i++)
		got += rig_wait(c, IPC_post_result)->post_result.status == IPC_ST_OK;
	for (unsigned again = 0; again < 2; again++) {
		size_t there;

		rig_crash(&r);
		there = ids_check(&r, FEW + got + again);
		assert_true(there == 0 || there == FEW - 1);
		assert_int_equal(rig_put(&r, ACCOUNT, SLICE("y")), IPC_ST_OK);
	}
	rig_fini(&r);
	return got;
}

static void mail_that_fails_takes_nothing_along(void **state)
{
	unsigned got = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		got += move_amid_mail(seed);
	assert_true(got > 0 && got < SEEDS * MAILS);
}

static void a_large_move_dies_between_its_portions(void **state)
{
	unsigned some = 0, all = 0;

	/* The first commit is the first portion's intent. */
	for (unsigned commits = 1; commits <= 9; commits++) {
		struct engine_faults f = {
			.seed = commits, .reorder = true, .last_commits = commits
		};
		struct rig r;
		struct rig_client *s = begin(&r, MANY);
		size_t there;

		assert_int_equal(engine_faults_set(r.engine, &f), 0);
		move_ask(s, MANY);
		move_wait(s);
		rig_crash(&r);
		there = ids_check(&r, MANY);
		if (there != PORTION && there != MANY)
			fail_msg("%u commits: %zu are moved", commits, there);
		some += there == PORTION;
		all += there == MANY;
		rig_fini(&r);
	}
	assert_true(some > 0 && all > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mail_that_fails_takes_nothing_along),
		cmocka_unit_test(a_large_move_dies_between_its_portions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
