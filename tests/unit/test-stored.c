/*
 * stored's core by its messages: accounts, deliveries, reading. The same cases on every engine: the
 * engine's spec is the argument.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/stored-look.h"

#include "common/base/wire.h"

#include <stdlib.h>

static void an_account_is_made_once_and_dropped_once(void **state)
{
	struct rig *r = *state;
	int status = 0;
	struct ipc_mbox_opened o;
	uint32_t validity;

	assert_null(rig_session(r, 7, 1, &status));
	assert_int_equal(status, IPC_ST_NOTFOUND);
	assert_int_equal(rig_put(r, 7, SLICE("x")), IPC_ST_NOTFOUND);
	assert_int_equal(rig_account(r, 7, IPC_account_make), IPC_ST_OK);
	assert_int_equal(rig_account(r, 7, IPC_account_make), IPC_ST_OK);
	assert_int_equal(rig_put(r, 7, SLICE("one\r\n")), IPC_ST_OK);
	o = rig_open(rig_session(r, 7, 1, NULL), "INBOX", 0);
	assert_int_equal(o.exists, 1);
	validity = o.uidvalidity;
	rig_restart(r);
	assert_int_equal(rig_account(r, 7, IPC_account_make), IPC_ST_OK);
	o = rig_open(rig_session(r, 7, 1, NULL), "inbox", 0);
	assert_int_equal(o.exists, 1);
	assert_int_equal(o.uidvalidity, validity);
	assert_int_equal(rig_account(r, 7, IPC_account_drop), IPC_ST_OK);
	assert_int_equal(rig_account(r, 7, IPC_account_drop), IPC_ST_OK);
	assert_null(rig_session(r, 7, 2, &status));
	rig_restart(r);
	assert_null(rig_session(r, 7, 2, &status));
	assert_int_equal(status, IPC_ST_NOTFOUND);
	assert_int_equal(rig_account(r, 7, IPC_account_make), IPC_ST_OK);
	o = rig_open(rig_session(r, 7, 3, NULL), "INBOX", 0);
	assert_int_equal(o.exists, 0);
}

static void dropping_an_account_ends_its_sessions(void **state)
{
	struct rig *r = *state;
	struct rig_client *s, *other;

	rig_account(r, 7, IPC_account_make);
	rig_account(r, 8, IPC_account_make);
	s = rig_session(r, 7, 1, NULL);
	other = rig_session(r, 8, 2, NULL);
	assert_int_equal(rig_account(r, 7, IPC_account_drop), IPC_ST_OK);
	assert_int_equal(rig_wait(s, IPC_session_bye)->session_bye.why, IPC_BYE_IDENTITY);
	assert_true(rig_gone(s, 1000));
	assert_int_equal(rig_open(other, "INBOX", 0).status, IPC_ST_OK);
}

static void messages_come_back_as_they_were(void **state)
{
	static const size_t sizes[] = { 0, 1, 100, 61440, 61441, 65536, 300000, 3000000 };
	enum { N = sizeof(sizes) / sizeof(sizes[0]) };
	struct rig *r = *state;
	uint8_t *bytes = malloc(3000000), rows[IPC_ROW_BYTES * N];
	struct rig_client *s;
	struct ipc_mbox_opened o;
	uint64_t total = 0;
	size_t n = 0;

	for (size_t i = 0; i < 3000000; i++)
		bytes[i] = (uint8_t)(i * 2654435761u >> 13);
	rig_account(r, 7, IPC_account_make);
	for (int i = 0; i < N; i++) {
		assert_int_equal(rig_put(r, 7, slice_of(bytes, sizes[i])), IPC_ST_OK);
		total += sizes[i];
	}
	for (int pass = 0; pass < 2; pass++) {
		s = rig_session(r, 7, 1, NULL);
		o = rig_open(s, "INBOX", IPC_MBOX_READONLY);
		assert_int_equal(o.exists, N);
		assert_int_equal(o.uidnext, N + 1);
		assert_int_equal(o.bytes, total);
		assert_int_equal(rig_scan(s, o.mbox, 1, rows, N, &n), IPC_ST_OK);
		assert_int_equal(n, N);
		for (int i = 0; i < N; i++) {
			assert_int_equal(wire_load_u32(rows + IPC_ROW_BYTES * i), i + 1);
			assert_int_equal(wire_load_u64(rows + IPC_ROW_BYTES * i + 16), sizes[i]);
			look_body(s, o.mbox, (uint32_t)i + 1, slice_of(bytes, sizes[i]));
		}
		assert_int_equal(look_body_status(s, o.mbox, N + 1), IPC_ST_NOTFOUND);
		rig_restart(r);
	}
	free(bytes);
}

static void a_part_of_a_body_can_be_asked_for(void **state)
{
	struct rig *r = *state;
	struct rig_client *s;
	struct ipc_mbox_opened o;
	static const struct {
		uint64_t off, len;
		const char *want;
		int status;
	} cases[] = {
		{ 0, 3, "012", IPC_ST_OK },
		{ 4, 2, "45", IPC_ST_OK },
		{ 8, 100, "89", IPC_ST_OK },
		{ 8, UINT64_MAX, "89", IPC_ST_OK },
		{ 10, 0, "", IPC_ST_OK },
		{ 11, 0, "", IPC_ST_BAD },
		{ UINT64_MAX, 1, "", IPC_ST_BAD },
	};

	rig_account(r, 7, IPC_account_make);
	rig_put(r, 7, SLICE("0123456789"));
	s = rig_session(r, 7, 1, NULL);
	o = rig_open(s, "INBOX", 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ipc_body_get q = { 5, o.mbox, 1, cases[i].off, cases[i].len };
		const struct ipc_body_data *d;

		rig_send(s, IPC_body_get, &q);
		d = &rig_wait(s, IPC_body_data)->body_data;
		assert_int_equal(d->status, cases[i].status);
		assert_true(d->last);
		assert_true(slice_eq(d->data, slice_str(cases[i].want)));
	}
}

static void put_piece(struct buf *b, uint32_t uid, uint64_t off, uint64_t len)
{
	wire_put_u32(b, uid);
	wire_put_u64(b, off);
	wire_put_u64(b, len);
}

/* Takes answers until the last; each piece as "status:bytes;", long ones by their length. */
static void read_pieces(struct rig_client *s, uint32_t credit, struct buf *out)
{
	const struct ipc_parts_are *a;
	uint64_t length = 0;

	do {
		struct wire_reader r;

		a = &rig_wait(s, IPC_parts_are)->parts_are;
		assert_int_equal(a->status, IPC_ST_OK);
		for (r = wire_reader(a->data); wire_left(&r) > 0;) {
			uint32_t status = wire_get_u32(&r), more = wire_get_u32(&r);
			struct slice bytes = wire_get_bytes(&r, 61440);

			assert_false(r.bad);
			length += bytes.n;
			if (more != 0)
				continue;
			if (length > 20)
				buf_printf(out, "%u:(%u);", status, (unsigned)length);
			else
				buf_printf(out, "%u:%.*s;", status, SLICE_FMT(bytes));
			length = 0;
		}
		if (credit > 0 && a->data.n > 0)
			rig_send(s, IPC_session_credit,
			    &(struct ipc_session_credit){ (uint32_t)a->data.n });
	} while (!a->last);
}

static void pieces_come_in_the_order_of_asking(void **state)
{
	struct rig *r = *state;
	struct buf ask = BUF_INIT(57340), got = BUF_INIT(1 << 20), want = BUF_INIT(1 << 20);
	uint8_t *big = malloc(300000);
	struct ipc_mbox_opened o;
	struct rig_client *s;

	assert_int_equal(rig_account(r, 7, IPC_account_make), IPC_ST_OK);
	memset(big, 'x', 300000);
	rig_put(r, 7, SLICE("first message"));
	rig_put(r, 7, slice_of(big, 300000));
	rig_put(r, 7, SLICE("third"));
	s = rig_session(r, 7, 1, NULL);
	o = rig_open(s, "INBOX", 0);
	put_piece(&ask, 3, 0, 0);
	put_piece(&ask, 1, 6, 4);
	put_piece(&ask, 9, 0, 0);
	put_piece(&ask, 2, 100, 200000);
	put_piece(&ask, 1, 13, 5);
	put_piece(&ask, 1, 14, 5);
	put_piece(&ask, 2, 299998, 50);
	put_piece(&ask, 1, 0, 5);
	rig_send(s, IPC_parts_get, &(struct ipc_parts_get){ 5, o.mbox, buf_slice(&ask) });
	read_pieces(s, 1, &got);
	buf_printf(&want, "0:third;0:mess;%u:;0:(200000);0:;%u:;0:xx;0:first;", IPC_ST_NOTFOUND,
	    IPC_ST_BAD);
	assert_true(slice_eq(buf_slice(&got), buf_slice(&want)));
	/* Nothing, and what is no list of pieces. */
	rig_send(s, IPC_parts_get, &(struct ipc_parts_get){ 6, o.mbox, SLICE_NONE });
	assert_true(rig_wait(s, IPC_parts_are)->parts_are.last);
	rig_send(s, IPC_parts_get, &(struct ipc_parts_get){ 7, o.mbox, SLICE("odd") });
	assert_int_equal(rig_wait(s, IPC_parts_are)->parts_are.status, IPC_ST_BAD);
	/* Many small ones come in few answers, and no more than the window. */
	buf_reset(&ask);
	buf_reset(&got);
	for (unsigned i = 0; i < 2867; i++)
		put_piece(&ask, 2, i * 100, 100);
	rig_send(s, IPC_parts_get, &(struct ipc_parts_get){ 8, o.mbox, buf_slice(&ask) });
	read_pieces(s, 1, &got);
	assert_int_equal(got.n, 2867 * strlen("0:(100);"));
	buf_fini(&ask);
	buf_fini(&got);
	buf_fini(&want);
	free(big);
}

static void one_message_reaches_many_accounts(void **state)
{
	struct rig *r = *state;
	enum { N = 150 };
	uint32_t handles[N + 1];
	struct rig_client *post = rig_post(r, 5);
	bool seen[N] = { false };

	for (uint32_t i = 0; i < N; i++) {
		assert_int_equal(rig_account(r, 100 + i, IPC_account_make), IPC_ST_OK);
		assert_int_equal(rig_target(r, 5, i + 1, 100 + i, 0), IPC_ST_OK);
		handles[i] = i + 1;
	}
	/* A second handle of the same account: the message is stored once, both are answered. */
	assert_int_equal(rig_target(r, 5, 999, 100, 0), IPC_ST_OK);
	handles[N] = 999;
	rig_deliver(post, 3, handles, N + 1, SLICE("to all\r\n"), SLICE("f"));
	for (uint32_t i = 0; i <= N; i++) {
		const struct ipc_post_result *a = &rig_wait(post, IPC_post_result)->post_result;

		assert_int_equal(a->tag, 3);
		assert_int_equal(a->status, IPC_ST_OK);
		if (a->handle == 999)
			continue;
		assert_true(a->handle >= 1 && a->handle <= N && !seen[a->handle - 1]);
		seen[a->handle - 1] = true;
	}
	for (uint32_t i = 0; i < N; i += 49) {
		struct rig_client *s = rig_session(r, 100 + i, 50 + i, NULL);
		struct ipc_mbox_opened o = rig_open(s, "INBOX", 0);

		assert_int_equal(o.exists, 1);
		look_body(s, o.mbox, 1, SLICE("to all\r\n"));
	}
}

static void messages_of_one_channel_interleave(void **state)
{
	struct rig *r = *state;
	struct rig_client *post = rig_post(r, 5), *s;
	uint8_t handle[4] = { 1 };
	struct ipc_mbox_opened o;

	rig_account(r, 7, IPC_account_make);
	rig_target(r, 5, 1, 7, 0);
	for (uint32_t tag = 1; tag <= 3; tag++)
		rig_send(
		    post, IPC_post_begin, &(struct ipc_post_begin){ tag, 0, slice_of(handle, 4) });
	for (uint32_t i = 0; i < 9; i++)
		rig_send(post, IPC_post_data,
		    &(struct ipc_post_data){ i % 3 + 1, slice_of("abcdefghi" + i, 1) });
	rig_send(post, IPC_post_abort, &(struct ipc_post_abort){ 2 });
	rig_send(post, IPC_post_commit, &(struct ipc_post_commit){ 3, SLICE("f") });
	assert_int_equal(rig_wait(post, IPC_post_result)->post_result.tag, 3);
	rig_send(post, IPC_post_commit, &(struct ipc_post_commit){ 1, SLICE("f") });
	assert_int_equal(rig_wait(post, IPC_post_result)->post_result.tag, 1);
	s = rig_session(r, 7, 9, NULL);
	o = rig_open(s, "INBOX", 0);
	assert_int_equal(o.exists, 2);
	look_body(s, o.mbox, 1, SLICE("cfi"));
	look_body(s, o.mbox, 2, SLICE("adg"));
}

static void a_post_channel_may_only_do_what_it_was_given(void **state)
{
	static const struct {
		const char *name;
		uint8_t handle;
		enum ipc_type then;
		bool result;
	} cases[] = {
		{ "a handle that routerd did not register", 2, 0, true },
		{ "data without a message", 1, IPC_post_data, false },
		{ "commit without a message", 1, IPC_post_commit, false },
		{ "abort without a message", 1, IPC_post_abort, false },
		{ "a tag twice", 1, IPC_post_begin, false },
	};
	struct rig *r = *state;
	struct rig_client *s;

	rig_account(r, 7, IPC_account_make);
	for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rig_client *post = rig_post(r, 20 + i);
		uint8_t handle[4] = { cases[i].handle };
		struct ipc_post_begin b = { 4, 0, slice_of(handle, 4) };
		struct ipc_post_commit d = { 5, SLICE("x") }; /* and post_data, post_abort */

		rig_target(r, 20 + i, 1, 7, 0);
		rig_send(post, IPC_post_begin, &b);
		if (cases[i].then == IPC_post_begin)
			rig_send(post, cases[i].then, &b);
		else if (cases[i].then != 0)
			rig_send(post, cases[i].then, &d);
		if (cases[i].result)
			assert_int_equal(
			    rig_wait(post, IPC_post_result)->post_result.status, IPC_ST_DENIED);
		if (!rig_gone(post, 2000))
			fail_msg("%s is let through", cases[i].name);
	}
	s = rig_session(r, 7, 1, NULL);
	assert_int_equal(rig_open(s, "INBOX", 0).exists, 0);
	assert_int_equal(rig_put(r, 7, SLICE("others do not notice")), IPC_ST_OK);
}

static void the_window_binds_the_sender(void **state)
{
	static uint8_t big[61440];
	struct rig *r = *state;
	struct rig_client *post = rig_post(r, 5);
	uint32_t handle = 1;

	rig_account(r, 7, IPC_account_make);
	rig_target(r, 5, 1, 7, 0);
	engine_faults_set(r->engine, &(struct engine_faults){ .delay_ms = 50 });
	rig_deliver(post, 1, &handle, 1, slice_of(big, sizeof(big)), SLICE("f"));
	assert_int_equal(rig_wait(post, IPC_post_result)->post_result.status, IPC_ST_OK);
	/* Without an answer to the first credit, five windows at once are too much. */
	rig_send(post, IPC_post_begin, &(struct ipc_post_begin){ 2, 0, slice_of("\1\0\0\0", 4) });
	for (int i = 0; i < 100; i++)
		rig_send(
		    post, IPC_post_data, &(struct ipc_post_data){ 2, slice_of(big, sizeof(big)) });
	(void)rig_gone(post, 300);
	assert_int_equal(rig_put(r, 7, SLICE("still serving")), IPC_ST_OK);
}

/* While deliveries are in flight, what a session is told is what is durable: no UID, count or
 * modseq of the others. */
static void nothing_pending_is_seen(void **state)
{
	enum { N = 12 };
	static uint8_t rows[IPC_ROW_BYTES * N];
	struct rig *r = *state;
	struct rig_client *post = rig_post(r, 5), *s;
	uint32_t handle = 1;
	uint64_t modseq = 0;

	rig_account(r, 7, IPC_account_make);
	rig_target(r, 5, 1, 7, 0);
	s = rig_session(r, 7, 1, NULL);
	(void)engine_faults_set(
	    r->engine, &(struct engine_faults){ .delay_ms = 20, .reorder = true });
	for (uint32_t i = 0; i < N; i++)
		rig_deliver(post, i, &handle, 1, SLICE("12345"), SLICE("f"));
	for (uint32_t done = 1; done <= N; done++) {
		struct ipc_mbox_opened o;
		size_t n = 0;

		assert_int_equal(rig_wait(post, IPC_post_result)->post_result.status, IPC_ST_OK);
		o = rig_open(s, "INBOX", 0);
		assert_true(o.exists >= done);
		assert_int_equal(rig_scan(s, o.mbox, 1, rows, N, &n), IPC_ST_OK);
		assert_int_equal(n, o.exists);
		assert_int_equal(o.uidnext, n + 1);
		assert_int_equal(o.bytes, 5 * n);
		assert_int_equal(o.modseq, wire_load_u64(rows + IPC_ROW_BYTES * (n - 1) + 40));
		assert_true(o.modseq >= modseq);
		modseq = o.modseq;
	}
}

/* The log tells what was written. */
static void mail_is_compressed_as_the_domain_says(void **state)
{
	static uint8_t big[50000];
	struct rig *r = *state;
	struct rig_client *post = rig_post(r, 5), *s;
	uint32_t handles[2] = { 1, 2 };
	struct engine_stats before, after;
	struct ipc_mbox_opened o;

	memset(big, 'x', sizeof(big));
	rig_account(r, 7, IPC_account_make);
	rig_account(r, 8, IPC_account_make);
	for (uint32_t i = 0; i < 3; i++) {
		r->compress = i == 1;
		rig_send(r->routerd, IPC_policy_stale, &(struct ipc_policy_stale){ SLICE_NONE });
		assert_int_equal(rig_target(r, 5, 1, 7, 0), IPC_ST_OK);
		assert_int_equal(rig_target(r, 5, 2, 8, 0), IPC_ST_OK);
		engine_stats(r->engine, &before);
		rig_deliver(post, i + 1, handles, 2, slice_of(big, sizeof(big)), SLICE("f"));
		for (int k = 0; k < 2; k++)
			assert_int_equal(
			    rig_wait(post, IPC_post_result)->post_result.status, IPC_ST_OK);
		engine_stats(r->engine, &after);
		if (after.frame_bytes > 0)
			assert_int_equal(
			    after.frame_bytes - before.frame_bytes < sizeof(big), r->compress);
	}
	s = rig_session(r, 7, 1, NULL);
	o = rig_open(s, "INBOX", 0);
	assert_int_equal(o.exists, 3);
	assert_int_equal(o.bytes, 3 * sizeof(big));
	for (uint32_t uid = 1; uid <= 3; uid++)
		look_body(s, o.mbox, uid, slice_of(big, sizeof(big)));
}

static void quota_is_a_policy_of_the_target(void **state)
{
	struct rig *r = *state;
	struct rig_client *post = rig_post(r, 5);
	uint32_t handle = 1;

	rig_account(r, 7, IPC_account_make);
	assert_int_equal(rig_put(r, 7, SLICE("12345")), IPC_ST_OK);
	assert_int_equal(rig_target(r, 5, 1, 7, 5), IPC_ST_OVERQUOTA);
	assert_int_equal(rig_target(r, 5, 1, 7, 8), IPC_ST_OK);
	rig_deliver(post, 1, &handle, 1, SLICE("1234"), SLICE("f"));
	assert_int_equal(rig_wait(post, IPC_post_result)->post_result.status, IPC_ST_OVERQUOTA);
	rig_deliver(post, 1, &handle, 1, SLICE("123"), SLICE("f"));
	assert_int_equal(rig_wait(post, IPC_post_result)->post_result.status, IPC_ST_OK);
	assert_int_equal(rig_target(r, 5, 1, 7, 8), IPC_ST_OVERQUOTA);
}

/* One answer for all: nobody gets what somebody is known not to get. */
static void together_is_all_or_nobody(void **state)
{
	struct rig *r = *state;
	struct rig_client *post = rig_post(r, 5), *s;
	uint8_t handles[8] = { 1, 0, 0, 0, 2 };
	struct ipc_post_begin begin = { 1, 0, slice_of(handles, 8), 1 };
	uint32_t want[2] = { IPC_ST_TRYLATER, IPC_ST_OVERQUOTA };

	rig_account(r, 7, IPC_account_make);
	rig_account(r, 8, IPC_account_make);
	rig_target(r, 5, 1, 7, 0);
	rig_target(r, 5, 2, 8, 3);
	for (uint32_t tag = 1; tag <= 2; tag++) {
		begin.tag = tag;
		rig_send(post, IPC_post_begin, &begin);
		rig_send(post, IPC_post_data,
		    &(struct ipc_post_data){ tag, tag == 1 ? SLICE("1234") : SLICE("123") });
		rig_send(post, IPC_post_commit, &(struct ipc_post_commit){ tag, SLICE("f") });
		for (int i = 0; i < 2; i++) {
			struct ipc_post_result res = rig_wait(post, IPC_post_result)->post_result;

			assert_in_range(res.handle, 1, 2);
			assert_int_equal(res.tag, tag);
			assert_int_equal(res.status, tag == 1 ? want[res.handle - 1] : IPC_ST_OK);
		}
		for (uint64_t account = 7; account <= 8; account++) {
			s = rig_session(r, account, tag * 10 + account, NULL);
			assert_int_equal(rig_open(s, "INBOX", 0).exists, tag - 1);
		}
	}
}

static void a_declared_size_counts_against_the_quota(void **state)
{
	struct rig *r = *state;
	struct ipc_post_target q = { .seq = 1, .sid = 5, .handle = 1, .account = 7, .quota = 8 };

	rig_account(r, 7, IPC_account_make);
	assert_int_equal(rig_put(r, 7, SLICE("12345")), IPC_ST_OK);
	(void)rig_post(r, 5);
	for (q.size = 0; q.size <= 5; q.size++) {
		rig_send(r->routerd, IPC_post_target, &q);
		assert_int_equal(
		    rig_wait(r->routerd, IPC_post_target_done)->post_target_done.status,
		    q.size <= 3 ? IPC_ST_OK : IPC_ST_OVERQUOTA);
	}
	q.size = UINT64_MAX;
	rig_send(r->routerd, IPC_post_target, &q);
	assert_int_equal(
	    rig_wait(r->routerd, IPC_post_target_done)->post_target_done.status, IPC_ST_OVERQUOTA);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define CASE(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
		CASE(an_account_is_made_once_and_dropped_once),
		CASE(dropping_an_account_ends_its_sessions),
		CASE(messages_come_back_as_they_were),
		CASE(a_part_of_a_body_can_be_asked_for),
		CASE(pieces_come_in_the_order_of_asking),
		CASE(one_message_reaches_many_accounts),
		CASE(messages_of_one_channel_interleave),
		CASE(a_post_channel_may_only_do_what_it_was_given),
		CASE(the_window_binds_the_sender),
		CASE(nothing_pending_is_seen),
		CASE(mail_is_compressed_as_the_domain_says),
		CASE(quota_is_a_policy_of_the_target),
		CASE(together_is_all_or_nobody),
		CASE(a_declared_size_counts_against_the_quota),
	};

	if (argc > 1)
		rig_spec = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
