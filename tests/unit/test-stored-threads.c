/*
 * Which thread stored gives to a message: by the numbers that come with its facts, by what arrived
 * before, and never another one later. On every engine: its spec is the argument.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/stored-rig.h"

#include "common/base/clock.h"
#include "common/base/wire.h"
#include "stored/store-private.h"

enum { NOBODY = 0, A = 101, B, C, D, E, F, MAX = 8 };

/* A message's numbers: its own, then its references; the list ends with a 0 behind the first. */
struct mail {
	uint64_t v[MAX];
};

static struct slice packed(const struct mail *m, uint8_t out[8 * MAX])
{
	size_t n = 1;

	wire_store_u64(out, m->v[0]);
	for (; n < MAX && m->v[n] != 0; n++)
		wire_store_u64(out + 8 * n, m->v[n]);
	return slice_of(out, 8 * n);
}

static void deliver_to(struct rig *r, uint64_t account, struct mail m)
{
	uint8_t room[8 * MAX];

	r->thread = packed(&m, room);
	assert_int_equal(rig_put(r, account, SLICE("a message\r\n")), IPC_ST_OK);
	r->thread = SLICE_NONE;
}

static void deliver(struct rig *r, struct mail m)
{
	deliver_to(r, 7, m);
}

/* As mail comes that no front-end looked into. */
static void deliver_bare(struct rig *r)
{
	uint64_t sid = 500 + ++r->seq;
	struct rig_client *post = rig_post(r, sid);
	uint32_t handle = 1;

	assert_int_equal(rig_target(r, sid, handle, 7, 0), IPC_ST_OK);
	rig_deliver(post, 1, &handle, 1, SLICE("bare\r\n"), SLICE_NONE);
	assert_int_equal(rig_wait(post, IPC_post_result)->post_result.status, IPC_ST_OK);
	rig_client_close(post);
}

static uint8_t rows[IPC_ROW_BYTES * 4096];

static size_t look(struct rig *r, uint64_t account, const char *name)
{
	struct rig_client *s = rig_session(r, account, ++r->seq, NULL);
	struct ipc_mbox_opened o = rig_open(s, name, 0);
	size_t n = 0;

	assert_int_equal(o.status, IPC_ST_OK);
	assert_int_equal(rig_scan(s, o.mbox, 1, rows, 4096, &n), IPC_ST_OK);
	rig_client_close(s);
	return n;
}

/* Of what was looked at. */
static uint64_t thread(size_t i)
{
	return wire_load_u64(rows + i * IPC_ROW_BYTES + 56);
}

static uint64_t last_thread(struct rig *r, uint64_t account)
{
	size_t n = look(r, account, "INBOX");

	return thread(n - 1);
}

static void the_oldest_reference_names_the_thread(void **state)
{
	static const struct {
		struct mail m;
		uint64_t thread;
	} cases[] = {
		{ { { A } }, A },
		{ { { B, A } }, A },
		{ { { C, A, B } }, A },
		{ { { NOBODY, A } }, A },
		{ { { D, E, F } }, E },
	};
	struct rig *r = *state;
	size_t n = sizeof(cases) / sizeof(cases[0]);

	for (size_t i = 0; i < n; i++)
		deliver(r, cases[i].m);
	for (int again = 0; again < 2; again++) {
		assert_int_equal(look(r, 7, "INBOX"), n);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(thread(i), cases[i].thread);
		rig_restart(r);
	}
}

/* A message without any id is a thread of its own, one without facts has none yet. */
static void what_has_no_id_is_alone(void **state)
{
	struct rig *r = *state;

	deliver(r, (struct mail){ { NOBODY } });
	deliver_bare(r);
	assert_int_equal(look(r, 7, "INBOX"), 2);
	assert_int_equal(thread(0), wire_load_u64(rows + 48));
	assert_int_not_equal(thread(0), 0);
	assert_int_equal(thread(1), 0);
}

/* Nobody names the first message but the second one. */
static void answers_to_answers_stay_together(void **state)
{
	struct rig *r = *state;

	deliver(r, (struct mail){ { A } });
	deliver(r, (struct mail){ { B, A } });
	deliver(r, (struct mail){ { C, B } });
	assert_int_equal(last_thread(r, 7), A);
	deliver(r, (struct mail){ { D, C } });
	assert_int_equal(last_thread(r, 7), A);
	/* An answer to a message that never came, but was named. */
	deliver(r, (struct mail){ { F, A, E } });
	deliver(r, (struct mail){ { NOBODY, E } });
	assert_int_equal(last_thread(r, 7), A);
	/* The same message once more. */
	deliver(r, (struct mail){ { C, B } });
	assert_int_equal(last_thread(r, 7), A);
}

/* Waits until what was noted is durable. */
static void settle(struct rig *r, uint64_t account)
{
	int64_t until = clock_mono_ms() + 60000;
	struct account *a = idmap_get(&r->store->accounts, account);

	while (a != NULL && a->threads.n > 0) {
		assert_true(clock_mono_ms() < until);
		rig_spin(r, 5);
		a = idmap_get(&r->store->accounts, account);
	}
}

static void a_restart_parts_nothing(void **state)
{
	struct rig *r = *state;

	deliver(r, (struct mail){ { A } });
	deliver(r, (struct mail){ { B, A } });
	settle(r, 7);
	rig_restart(r);
	deliver(r, (struct mail){ { C, B } });
	assert_int_equal(last_thread(r, 7), A);
	settle(r, 7);
	rig_restart(r);
	deliver(r, (struct mail){ { D, C } });
	assert_int_equal(last_thread(r, 7), A);
}

/* A message that names two threads joins the one it answers; neither changes. */
static void a_message_of_two_threads_is_in_one(void **state)
{
	static const uint64_t want[] = { A, A, C, C, C, A };
	struct rig *r = *state;

	deliver(r, (struct mail){ { A } });
	deliver(r, (struct mail){ { B, A } });
	deliver(r, (struct mail){ { C } });
	deliver(r, (struct mail){ { D, C } });
	deliver(r, (struct mail){ { E, B, D } });
	deliver(r, (struct mail){ { F, D, B } });
	for (int again = 0; again < 2; again++) {
		assert_int_equal(look(r, 7, "INBOX"), 6);
		for (size_t i = 0; i < 6; i++)
			assert_int_equal(thread(i), want[i]);
		rig_restart(r);
	}
}

static void accounts_know_nothing_of_each_other(void **state)
{
	struct rig *r = *state;

	rig_account(r, 8, IPC_account_make);
	deliver(r, (struct mail){ { B, A } });
	deliver_to(r, 8, (struct mail){ { C, B } });
	assert_int_equal(last_thread(r, 8), B);
	settle(r, 7);
	assert_int_equal(rig_account(r, 7, IPC_account_drop), IPC_ST_OK);
	assert_int_equal(rig_account(r, 7, IPC_account_make), IPC_ST_OK);
	deliver(r, (struct mail){ { C, B } });
	assert_int_equal(last_thread(r, 7), B);
}

static void append_one(struct rig_client *s, struct mail m)
{
	uint8_t room[8 * MAX];

	rig_send(s, IPC_append_msg, &(struct ipc_append_msg){ 0, SLICE_NONE, 1, 5 });
	rig_append_bytes(s, SLICE("abc\r\n"));
	rig_send(s, IPC_append_end, &(struct ipc_append_end){ SLICE("facts"), packed(&m, room) });
}

static void append_commit(struct rig_client *s)
{
	rig_send(s, IPC_append_commit, &(struct ipc_append_commit){ 2 });
	assert_int_equal(rig_wait(s, IPC_append_done)->append_done.status, IPC_ST_OK);
}

static void append_begin(struct rig_client *s)
{
	rig_send(s, IPC_append_begin, &(struct ipc_append_begin){ 1, SLICE("INBOX") });
	assert_int_equal(rig_wait(s, IPC_append_ready)->append_ready.status, IPC_ST_OK);
}

/* The messages of one append know of each other, in their order. */
static void an_append_is_a_conversation(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, 7, 1, NULL);

	append_begin(s);
	for (uint64_t i = 0; i < 50; i++)
		append_one(s, (struct mail){ { A + i, i > 0 ? A + i - 1 : 0 } });
	append_commit(s);
	assert_int_equal(look(r, 7, "INBOX"), 50);
	for (size_t i = 0; i < 50; i++)
		assert_int_equal(thread(i), A);
}

static void take(struct rig_client *s, bool move, uint32_t uid, const char *from, const char *to)
{
	struct ipc_mbox_opened o = rig_open(s, from, 0);
	uint8_t pair[8];
	const union ipc_any *m;

	wire_store_u32(pair, uid);
	wire_store_u32(pair + 4, uid);
	rig_send(s, IPC_msg_copy,
	    &(struct ipc_msg_copy){ .seq = 9,
		.mbox = o.mbox,
		.to = slice_str(to),
		.move = move,
		.uids = slice_of(pair, 8) });
	do
		m = rig_wait(s, IPC_copy_done);
	while (m->copy_done.more != 0);
	assert_int_equal(m->copy_done.status, IPC_ST_OK);
	rig_send(s, IPC_mbox_close, &(struct ipc_mbox_close){ 1, o.mbox });
	rig_wait(s, IPC_store_done);
}

static void copies_and_moves_keep_it(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, 7, 1, NULL);

	rig_send(s, IPC_mbox_create, &(struct ipc_mbox_create){ 1, SLICE("Other"), 0 });
	assert_int_equal(rig_wait(s, IPC_mbox_done)->mbox_done.status, IPC_ST_OK);
	deliver(r, (struct mail){ { B, A } });
	deliver(r, (struct mail){ { C, B } });
	take(s, false, 2, "INBOX", "Other");
	take(s, true, 2, "INBOX", "Other");
	rig_client_close(s);
	for (int again = 0; again < 2; again++) {
		assert_int_equal(look(r, 7, "Other"), 2);
		assert_int_equal(thread(0), A);
		assert_int_equal(thread(1), A);
		assert_int_equal(look(r, 7, "INBOX"), 1);
		rig_restart(r);
	}
}

/* parsed's answer to the message that it is asked about. */
static void parsed_says(struct rig_client *parsed, struct mail m)
{
	const union ipc_any *q;
	enum ipc_type type;
	uint8_t room[8 * MAX];
	struct ipc_parse_facts f = {
		.status = IPC_ST_OK, .facts = SLICE("facts"), .thread = packed(&m, room)
	};

	do
		q = rig_next(parsed, 60000, &type, NULL);
	while (q != NULL && type != IPC_parse_begin);
	assert_non_null(q);
	f.seq = q->parse_begin.seq;
	rig_wait(parsed, IPC_parse_data);
	rig_wait(parsed, IPC_parse_end);
	rig_send(parsed, IPC_parse_facts, &f);
}

static void wait_for_facts(struct rig *r, uint32_t uid, const char *want)
{
	struct rig_client *s = rig_session(r, 7, ++r->seq, NULL);
	struct ipc_mbox_opened o = rig_open(s, "INBOX", 0);
	int64_t until = clock_mono_ms() + 60000;
	struct slice facts = SLICE_NONE;

	while (
	    rig_facts(s, o.mbox, uid, &facts) != IPC_ST_OK || !slice_eq(facts, slice_str(want))) {
		assert_true(clock_mono_ms() < until);
		rig_spin(r, 5);
	}
	rig_client_close(s);
}

/* Mail that came without facts gets its thread with them, whether somebody looks or not. */
static void late_facts_bring_the_thread(void **state)
{
	struct rig *r = *state;
	struct rig_client *parsed;

	deliver(r, (struct mail){ { B, A } });
	deliver_bare(r);
	assert_int_equal(look(r, 7, "INBOX"), 2);
	deliver_bare(r);
	parsed = rig_attach(r, IPC_CH_PARSE);
	parsed_says(parsed, (struct mail){ { C, B } });
	parsed_says(parsed, (struct mail){ { NOBODY } });
	wait_for_facts(r, 2, "facts");
	wait_for_facts(r, 3, "facts");
	for (int again = 0; again < 2; again++) {
		assert_int_equal(look(r, 7, "INBOX"), 3);
		assert_int_equal(thread(1), A);
		assert_int_equal(thread(2), wire_load_u64(rows + 2 * IPC_ROW_BYTES + 48));
		rig_restart(r);
	}
	deliver(r, (struct mail){ { D, C } });
	assert_int_equal(last_thread(r, 7), A);
}

/* Of two generations at most: who answers to a message older than that begins a thread. */
static void the_index_is_bounded(void **state)
{
	enum { ROWS = 20 };
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, 7, 1, NULL);

	r->store->threads_rows = ROWS;
	for (uint64_t i = 1; i <= 4 * ROWS; i++) {
		append_begin(s);
		append_one(s, (struct mail){ { 1000 + i, i } });
		append_commit(s);
		settle(r, 7);
	}
	rig_restart(r);
	r->store->threads_rows = ROWS;
	/* The last generation and the one before it, and what is older. */
	deliver(r, (struct mail){ { NOBODY, 1000 + 4 * ROWS } });
	assert_int_equal(last_thread(r, 7), 4 * ROWS);
	deliver(r, (struct mail){ { NOBODY, 1000 + 3 * ROWS - 1 } });
	assert_int_equal(last_thread(r, 7), 3 * ROWS - 1);
	deliver(r, (struct mail){ { NOBODY, 1000 + ROWS } });
	assert_int_equal(last_thread(r, 7), 1000 + ROWS);
}

/* What is noted of a message is durable with it, by its commit, where that takes several groups;
 * else by one for all accounts. */
static void the_index_goes_with_the_delivery(void **state)
{
	enum { ACCOUNTS = 20 };
	struct rig *r = *state;
	bool atomic = engine_limits(store_engine(r->store))->commit_atomic;
	struct engine_stats before, after;

	for (uint64_t i = 0; i < ACCOUNTS; i++) {
		rig_account(r, 100 + i, IPC_account_make);
		deliver_to(r, 100 + i, (struct mail){ { A } });
	}
	engine_stats(store_engine(r->store), &before);
	for (uint64_t i = 0; i < ACCOUNTS; i++) {
		deliver_to(r, 100 + i, (struct mail){ { B, A } });
		if (atomic)
			assert_int_equal(
			    ((struct account *)idmap_get(&r->store->accounts, 100 + i))->threads.n,
			    0);
	}
	if (atomic)
		assert_int_equal(r->store->n_threads_dirty, 0);
	threads_flush_all(r->store);
	for (uint64_t i = 0; i < ACCOUNTS; i++)
		settle(r, 100 + i);
	engine_stats(store_engine(r->store), &after);
	/* The memory engine writes no frames. */
	if (atomic)
		assert_true(after.frames - before.frames <= ACCOUNTS);
	rig_restart(r);
	for (uint64_t i = 0; i < ACCOUNTS; i++) {
		deliver_to(r, 100 + i, (struct mail){ { C, B } });
		assert_int_equal(last_thread(r, 100 + i), A);
	}
}

static unsigned found, stored;

static void on_found(void *arg, uint64_t t)
{
	found++;
}

static void on_stored(struct txn *t, int status)
{
	assert_int_equal(status, IPC_ST_OK);
	stored++;
}

/* A commit of two mailboxes has one batch of their account's index, however much waits. */
static void two_mailboxes_carry_one_batch(void **state)
{
	enum { ASKS = 3 * THREADS_BATCH / 2 / (IPC_THREAD_NUMBERS - 1) };
	static const char *const names[2] = { "INBOX", "Other" };
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, 7, 1, NULL);
	struct account *a = idmap_get(&r->store->accounts, 7);
	struct thread_ids ids = { .n = IPC_THREAD_NUMBERS };
	struct engine_batch *batches[2];
	struct txn t[2], *txns[2] = { &t[0], &t[1] };
	bool carries;

	rig_send(s, IPC_mbox_create, &(struct ipc_mbox_create){ 1, SLICE("Other"), 0 });
	assert_int_equal(rig_wait(s, IPC_mbox_done)->mbox_done.status, IPC_ST_OK);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(rig_open(s, names[i], 0).status, IPC_ST_OK);
	found = stored = 0;
	for (unsigned i = 0; i < ASKS; i++) {
		for (unsigned k = 0; k < IPC_THREAD_NUMBERS; k++)
			ids.v[k] = 1 + i * IPC_THREAD_NUMBERS + k;
		threads_find(a, &ids, on_found, NULL);
	}
	for (int64_t until = clock_mono_ms() + 60000; found < ASKS; rig_spin(r, 5))
		assert_true(clock_mono_ms() < until);
	assert_true(a->threads.n > THREADS_BATCH);
	for (unsigned i = 0; i < 2; i++) {
		int status;
		struct mbox *m = account_mbox(a, slice_str(names[i]), &status);

		assert_non_null(m);
		assert_int_equal(txn_begin(m, &t[i], on_stored), IPC_ST_OK);
		batches[i] = t[i].batch;
	}
	carries = engine_may_commit(store_engine(r->store), batches, 2);
	assert_int_equal(a->threads.n_handed, 0);
	if (carries) {
		assert_int_equal(txn_commit(r->store, txns, 2), IPC_ST_OK);
		assert_int_equal(a->threads.n_handed, THREADS_BATCH);
		for (int64_t until = clock_mono_ms() + 60000; stored < 2; rig_spin(r, 5))
			assert_true(clock_mono_ms() < until);
	} else {
		for (unsigned i = 0; i < 2; i++)
			txn_abort(&t[i]);
		threads_flush(a);
	}
	settle(r, 7);
	rig_client_close(s);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define CASE(f) cmocka_unit_test_setup_teardown(f, rig_setup_account, rig_teardown)
		CASE(the_oldest_reference_names_the_thread),
		CASE(what_has_no_id_is_alone),
		CASE(answers_to_answers_stay_together),
		CASE(a_restart_parts_nothing),
		CASE(a_message_of_two_threads_is_in_one),
		CASE(accounts_know_nothing_of_each_other),
		CASE(an_append_is_a_conversation),
		CASE(copies_and_moves_keep_it),
		CASE(late_facts_bring_the_thread),
		CASE(the_index_is_bounded),
		CASE(the_index_goes_with_the_delivery),
		CASE(two_mailboxes_carry_one_batch),
	};

	if (argc > 1)
		rig_spec = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
