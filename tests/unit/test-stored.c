/*
 * stored's core by its messages: accounts, deliveries, sessions, views, changes, administrators.
 * The same cases on every engine: the engine's spec is the argument.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/stored-rig.h"

#include "common/base/wire.h"
#include "stored/record.h"

#include <stdlib.h>

static const char *spec = "mem";

static int setup(void **state)
{
	struct rig *r = malloc(sizeof(*r));

	rig_init(r, spec);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	rig_fini(*state);
	free(*state);
	return 0;
}

static void body_is(struct rig_client *s, uint32_t mbox, uint32_t uid, struct slice want)
{
	uint8_t *p = NULL;
	size_t n = 0;

	assert_int_equal(rig_body(s, mbox, uid, &p, &n), IPC_ST_OK);
	if (!slice_eq(slice_of(p, n), want))
		fail_msg("the body of uid %u is not what was sent (%zu bytes)", uid, n);
	free(p);
}

static int body_status(struct rig_client *s, uint32_t mbox, uint32_t uid)
{
	uint8_t *p = NULL;
	size_t n = 0;
	int r = rig_body(s, mbox, uid, &p, &n);

	free(p);
	return r;
}

static size_t count_messages(struct rig_client *s, uint32_t mbox)
{
	static uint8_t rows[IPC_ROW_BYTES * 10000];
	size_t n = 0;

	assert_int_equal(rig_scan(s, mbox, 1, rows, 10000, &n), IPC_ST_OK);
	return n;
}

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
			body_is(s, o.mbox, (uint32_t)i + 1, slice_of(bytes, sizes[i]));
		}
		assert_int_equal(body_status(s, o.mbox, N + 1), IPC_ST_NOTFOUND);
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
		body_is(s, o.mbox, 1, SLICE("to all\r\n"));
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
	body_is(s, o.mbox, 1, SLICE("cfi"));
	body_is(s, o.mbox, 2, SLICE("adg"));
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
	body_is(s, o.mbox, N + 1, SLICE("late"));
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
	assert_int_equal(body_status(b, ob.mbox, 1), IPC_ST_NOTFOUND);
	assert_int_equal(count_messages(a, oa.mbox), 2);
	body_is(a, oa.mbox, 1, SLICE("one"));
	body_is(a, oa.mbox, 2, SLICE("two"));
	/* Deleting again what is gone is no error. */
	assert_int_equal(rig_expunge(a, oa.mbox, 1, 2), IPC_ST_OK);
	oa = rig_open(a, "INBOX", 0);
	assert_int_equal(oa.exists, 1);
	assert_int_equal(count_messages(a, oa.mbox), 1);
	body_is(a, oa.mbox, 3, SLICE("three"));
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
	body_is(a, oa.mbox, 2, SLICE("two"));
	assert_int_equal(rig_flags(b, ob.mbox, 1, 1, IPC_FLAGS_ADD, IPC_FLAG_SEEN), IPC_ST_OK);
	event(a, IPC_EV_FLAGS, 1);
	assert_int_equal(rig_expunge(b, ob.mbox, 1, 1), IPC_ST_OK);
	modseq = wire_load_u64(event(a, IPC_EV_EXPUNGED, 1)->rows.p + 24);
	/* The client does not know yet. */
	body_is(a, oa.mbox, 1, SLICE("one"));
	assert_int_equal(count_messages(a, oa.mbox), 2);
	rig_send(a, IPC_mbox_told, &(struct ipc_mbox_told){ oa.mbox, modseq - 1 });
	body_is(a, oa.mbox, 1, SLICE("one"));
	rig_send(a, IPC_mbox_told, &(struct ipc_mbox_told){ oa.mbox, modseq });
	assert_int_equal(body_status(a, oa.mbox, 1), IPC_ST_NOTFOUND);
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
	body_is(b, ob.mbox, 2, SLICE("a message of no interest"));
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

static void senseless_requests_end_a_session(void **state)
{
	struct rig *r = *state;
	struct rig_client *s;
	struct ipc_mbox_opened o;

	rig_account(r, 7, IPC_account_make);
	rig_put(r, 7, SLICE("x"));
	s = rig_session(r, 7, 1, NULL);
	assert_int_equal(rig_open(s, "Elsewhere", 0).status, IPC_ST_NOTFOUND);
	o = rig_open(s, "INBOX", IPC_MBOX_READONLY);
	assert_int_equal(rig_expunge(s, o.mbox, 1, 1), IPC_ST_DENIED);
	assert_int_equal(rig_flags(s, o.mbox, 1, 1, IPC_FLAGS_ADD, 1), IPC_ST_DENIED);
	assert_int_equal(rig_expunge(s, 5, 1, 1), IPC_ST_BAD);
	o = rig_open(s, "INBOX", 0);
	assert_int_equal(rig_expunge(s, o.mbox, 2, 1), IPC_ST_BAD);
	assert_int_equal(rig_flags(s, o.mbox, 1, 1, IPC_FLAGS_ADD, 1u << 20), IPC_ST_BAD);
	for (int i = 0; i < 40; i++)
		rig_send(s, IPC_mbox_close, &(struct ipc_mbox_close){ 1, 60 });
	assert_true(rig_gone(s, 2000));
	s = rig_session(r, 7, 2, NULL);
	o = rig_open(s, "INBOX", 0);
	for (int i = 0; i < 2000; i++)
		rig_send(s, IPC_body_get, &(struct ipc_body_get){ 1, o.mbox, 1, 0, 0 });
	rig_spin(r, 100);
	s = rig_session(r, 7, 3, NULL);
	assert_int_equal(rig_open(s, "INBOX", 0).exists, 1);
}

static void identity_changes_end_the_sessions_of_that_account(void **state)
{
	struct rig *r = *state;
	struct rig_client *mine, *same, *other;

	rig_account(r, 7, IPC_account_make);
	rig_account(r, 8, IPC_account_make);
	mine = rig_session(r, 7, 1, NULL);
	same = rig_session(r, 7, 2, NULL);
	other = rig_session(r, 8, 3, NULL);
	rig_send(r->authd, IPC_identity_changed, &(struct ipc_identity_changed){ 7, 0, 1 });
	assert_int_equal(rig_wait(same, IPC_session_bye)->session_bye.why, IPC_BYE_IDENTITY);
	assert_true(rig_gone(same, 1000));
	assert_int_equal(rig_open(mine, "INBOX", 0).status, IPC_ST_OK);
	rig_send(r->routerd, IPC_account_changed, &(struct ipc_account_changed){ 7, 0 });
	assert_true(rig_gone(mine, 1000));
	assert_int_equal(rig_open(other, "INBOX", 0).status, IPC_ST_OK);
}

/* Password change and login cross: the session was let in by the old password. */
static void a_session_that_waits_for_its_account_ends_too(void **state)
{
	struct rig *r = *state;
	enum ipc_type type;
	const union ipc_any *m;
	struct rig_client *s;
	int fd = -1;

	rig_account(r, 7, IPC_account_make);
	rig_restart(r);
	rig_send(r->authd, IPC_session_open,
	    &(struct ipc_session_open){ 1, 5, 7, SLICE("n"), SLICE("pop3"), SLICE_NONE });
	rig_send(r->authd, IPC_identity_changed, &(struct ipc_identity_changed){ 7, 0, 0 });
	m = rig_next(r->authd, 5000, &type, &fd);
	assert_non_null(m);
	assert_int_equal(type, IPC_session_opened);
	((struct rig_packet *)r->authd->last)->fd = -1;
	s = rig_adopt(r, fd, IPC_CH_SESSION);
	assert_int_equal(rig_wait(s, IPC_session_bye)->session_bye.why, IPC_BYE_IDENTITY);
	assert_true(rig_gone(s, 1000));
}

/* Both wait for the account to be loaded, the drop in front. */
static void no_session_begins_on_an_account_that_goes(void **state)
{
	struct rig *r = *state;
	enum ipc_type type;
	const union ipc_any *m;

	rig_account(r, 7, IPC_account_make);
	rig_restart(r);
	(void)engine_faults_set(r->engine, &(struct engine_faults){ .delay_ms = 20, .again = 1 });
	rig_send(r->routerd, IPC_account_drop, &(struct ipc_account_drop){ 1, 7 });
	rig_spin(r, 1);
	rig_send(r->authd, IPC_session_open,
	    &(struct ipc_session_open){ 1, 5, 7, SLICE("n"), SLICE("pop3"), SLICE_NONE });
	m = rig_next(r->authd, 5000, &type, NULL);
	assert_non_null(m);
	assert_int_equal(type, IPC_session_failed);
	assert_int_equal(m->session_failed.status, IPC_ST_NOTFOUND);
	assert_int_equal(rig_wait(r->routerd, IPC_account_done)->account_done.status, IPC_ST_OK);
}

static void administrators_list_and_kick(void **state)
{
	struct rig *r = *state;
	struct rig_client *ad = rig_admin(r, IPC_RIGHT_MASTER, 0), *none = rig_admin(r, 0, 0), *s;
	const union ipc_any *m;

	rig_account(r, 7, IPC_account_make);
	rig_put(r, 7, SLICE("12345"));
	s = rig_session(r, 7, 42, NULL);
	rig_send(ad, IPC_sess_list, &(struct ipc_sess_list){ 1, 0 });
	m = rig_wait(ad, IPC_sess_rows);
	assert_true(m->sess_rows.rows.n > 24);
	assert_int_equal(wire_load_u64(m->sess_rows.rows.p), 42);
	assert_int_equal(wire_load_u64(m->sess_rows.rows.p + 8), 7);
	rig_send(ad, IPC_stat_ask, &(struct ipc_stat_ask){ 2, 7 });
	m = rig_wait(ad, IPC_stat_reply);
	assert_int_equal(m->stat_reply.status, IPC_ST_OK);
	assert_true(slice_starts(m->stat_reply.text, SLICE("mailboxes 1\nmessages 1\nbytes 5\n")));
	rig_send(ad, IPC_stat_ask, &(struct ipc_stat_ask){ 2, 0 });
	assert_int_equal(rig_wait(ad, IPC_stat_reply)->stat_reply.status, IPC_ST_OK);
	rig_send(none, IPC_sess_kick, &(struct ipc_sess_kick){ 3, 42, 0 });
	assert_int_equal(rig_wait(none, IPC_stat_reply)->stat_reply.status, IPC_ST_DENIED);
	rig_send(none, IPC_sess_list, &(struct ipc_sess_list){ 1, 0 });
	assert_int_equal(rig_wait(none, IPC_sess_rows)->sess_rows.rows.n, 0);
	rig_send(ad, IPC_sess_kick, &(struct ipc_sess_kick){ 3, 42, 0 });
	m = rig_wait(ad, IPC_stat_reply);
	assert_int_equal(m->stat_reply.count, 1);
	assert_int_equal(rig_wait(s, IPC_session_bye)->session_bye.why, IPC_BYE_KICKED);
}

/* routerd is asked whether account 7 may do this to `target`. */
static void routerd_says(
    struct rig *r, enum ipc_may what, uint64_t target, enum ipc_dir_status status)
{
	const struct ipc_store_may_ask *m = &rig_wait(r->routerd, IPC_store_may_ask)->store_may_ask;

	assert_int_equal(m->who, 7);
	assert_int_equal(m->what, what);
	assert_int_equal(m->target, target);
	rig_send(r->routerd, IPC_store_may_reply,
	    &(struct ipc_store_may_reply){ .seq = m->seq, .status = status });
}

/* Who logged in as an account sees and ends its own sessions, and goes with them; of others what
 * routerd says each time. */
static void an_account_lists_and_kicks_its_own(void **state)
{
	struct rig *r = *state;
	struct rig_client *own, *other, *again;
	const union ipc_any *m;
	int fds[2];

	rig_account(r, 7, IPC_account_make);
	rig_account(r, 8, IPC_account_make);
	assert_int_equal(ipc_pair(fds), 0);
	ipc_send(r->authd->chan, IPC_store_open,
	    &(struct ipc_store_open){ 78, SLICE("u7@example.test"), 0, 7 }, &fds[1]);
	own = rig_adopt(r, fds[0], IPC_CH_ADMIN_STORE);
	other = rig_session(r, 8, 43, NULL);
	rig_session(r, 7, 42, NULL);
	rig_send(own, IPC_sess_list, &(struct ipc_sess_list){ 1, 7 });
	m = rig_wait(own, IPC_sess_rows);
	assert_int_equal(wire_load_u64(m->sess_rows.rows.p), 42);
	for (uint64_t account = 0; account < 9; account += 8) {
		rig_send(own, IPC_sess_list, &(struct ipc_sess_list){ 1, account });
		routerd_says(r, IPC_MAY_SEE_SESSIONS, account, IPC_DIR_DENIED);
		assert_int_equal(rig_wait(own, IPC_sess_rows)->sess_rows.rows.n, 0);
		rig_send(own, IPC_stat_ask, &(struct ipc_stat_ask){ 2, account });
		routerd_says(r, IPC_MAY_SEE_FIGURES, account, IPC_DIR_DENIED);
		assert_int_equal(rig_wait(own, IPC_stat_reply)->stat_reply.status, IPC_ST_DENIED);
		rig_send(own, IPC_sess_kick, &(struct ipc_sess_kick){ 3, 0, account });
		if (account != 0)
			routerd_says(r, IPC_MAY_END_SESSIONS, account, IPC_DIR_DENIED);
		assert_int_equal(rig_wait(own, IPC_stat_reply)->stat_reply.status, IPC_ST_DENIED);
	}
	rig_send(own, IPC_sess_list, &(struct ipc_sess_list){ 1, 8 });
	routerd_says(r, IPC_MAY_SEE_SESSIONS, 8, IPC_DIR_OK);
	m = rig_wait(own, IPC_sess_rows);
	assert_int_equal(wire_load_u64(m->sess_rows.rows.p), 43);
	rig_send(own, IPC_sess_kick, &(struct ipc_sess_kick){ 3, 43, 7 });
	routerd_says(r, IPC_MAY_END_SESSIONS, 8, IPC_DIR_DENIED);
	assert_int_equal(rig_wait(own, IPC_stat_reply)->stat_reply.status, IPC_ST_DENIED);
	rig_send(own, IPC_stat_ask, &(struct ipc_stat_ask){ 2, 7 });
	assert_int_equal(rig_wait(own, IPC_stat_reply)->stat_reply.status, IPC_ST_OK);
	rig_send(own, IPC_sess_kick, &(struct ipc_sess_kick){ 3, 42, 0 });
	assert_int_equal(rig_wait(own, IPC_stat_reply)->stat_reply.count, 1);
	again = rig_admin(r, IPC_RIGHT_MASTER, 0);
	rig_send(again, IPC_sess_kick, &(struct ipc_sess_kick){ 3, 0, 7 });
	assert_int_equal(rig_wait(again, IPC_stat_reply)->stat_reply.count, 1);
	assert_true(rig_gone(own, 2000));
	assert_false(other->gone);
}

static void facts_lie_beside_the_message(void **state)
{
	struct rig *r = *state;
	struct rig_client *post = rig_post(r, 5), *s, *parsed;
	uint32_t handle = 1;
	struct ipc_mbox_opened o;
	const union ipc_any *m;
	enum ipc_type type;
	struct slice facts = SLICE_NONE;

	rig_account(r, 7, IPC_account_make);
	rig_target(r, 5, 1, 7, 0);
	rig_deliver(post, 1, &handle, 1, SLICE("body one"), SLICE("hostile facts"));
	assert_int_equal(rig_wait(post, IPC_post_result)->post_result.status, IPC_ST_OK);
	rig_deliver(post, 2, &handle, 1, SLICE("body two"), SLICE_NONE);
	assert_int_equal(rig_wait(post, IPC_post_result)->post_result.status, IPC_ST_OK);
	s = rig_session(r, 7, 1, NULL);
	o = rig_open(s, "INBOX", 0);
	assert_int_equal(rig_facts(s, o.mbox, 1, &facts), IPC_ST_OK);
	assert_true(slice_eq(facts, SLICE("hostile facts")));
	assert_int_equal(rig_facts(s, o.mbox, 2, &facts), IPC_ST_NOTFOUND);
	/* parsed comes up later, its reader dies once: the message waits for another. */
	parsed = rig_attach(r, IPC_CH_PARSE);
	m = rig_wait(parsed, IPC_parse_begin);
	assert_int_equal(m->parse_begin.account, 7);
	rig_send(parsed, IPC_parse_facts,
	    &(struct ipc_parse_facts){ m->parse_begin.seq, IPC_ST_TRYLATER, SLICE_NONE });
	do
		m = rig_next(parsed, 5000, &type, NULL);
	while (m != NULL && type != IPC_parse_begin);
	assert_non_null(m);
	assert_int_equal(m->parse_begin.size, 8);
	handle = m->parse_begin.seq;
	assert_true(slice_eq(rig_wait(parsed, IPC_parse_data)->parse_data.data, SLICE("body two")));
	rig_wait(parsed, IPC_parse_end);
	rig_send(parsed, IPC_parse_facts,
	    &(struct ipc_parse_facts){ handle, IPC_ST_OK, SLICE("made by parsed") });
	for (int i = 0; i < 100; i++) {
		rig_spin(r, 10);
		if (rig_facts(s, o.mbox, 2, &facts) == IPC_ST_OK)
			break;
	}
	assert_true(slice_eq(facts, SLICE("made by parsed")));
}

/* A message that ends every reader is left alone after the second one; the next gets its turn. */
static void poison_does_not_stop_the_parsing(void **state)
{
	struct rig *r = *state;
	struct rig_client *post = rig_post(r, 5), *parsed;
	uint32_t handle = 1;
	const union ipc_any *m;

	rig_account(r, 7, IPC_account_make);
	rig_target(r, 5, 1, 7, 0);
	for (uint32_t i = 1; i <= 2; i++) {
		rig_deliver(post, i, &handle, 1, slice_of("poisonok", 4 + i), SLICE_NONE);
		assert_int_equal(rig_wait(post, IPC_post_result)->post_result.status, IPC_ST_OK);
	}
	for (int i = 0; i < 2; i++) {
		parsed = rig_attach(r, IPC_CH_PARSE);
		m = rig_wait(parsed, IPC_parse_begin);
		assert_int_equal(m->parse_begin.size, 5);
		rig_client_close(parsed);
		rig_spin(r, 20);
	}
	parsed = rig_attach(r, IPC_CH_PARSE);
	assert_int_equal(rig_wait(parsed, IPC_parse_begin)->parse_begin.size, 6);
	/* An answer to nothing ends parsed's channel, and the message waits again. */
	rig_send(parsed, IPC_parse_facts, &(struct ipc_parse_facts){ 999, IPC_ST_OK, SLICE("x") });
	assert_true(rig_gone(parsed, 2000));
	assert_int_equal(rig_put(r, 7, SLICE("nobody else notices")), IPC_ST_OK);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
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
		CASE(quota_is_a_policy_of_the_target),
		CASE(together_is_all_or_nobody),
		CASE(a_declared_size_counts_against_the_quota),
		CASE(flags_and_expunges_stay),
		CASE(large_mailboxes_go_in_portions),
		CASE(a_view_keeps_what_others_expunge),
		CASE(leftovers_of_views_go_at_the_next_load),
		CASE(a_lost_session_changes_nothing_by_itself),
		CASE(the_feed_tells_what_others_do),
		CASE(a_slow_reader_holds_one_window),
		CASE(nobody_waits_for_a_reader_that_sleeps),
		CASE(the_feed_catches_up_with_a_slow_reader),
		CASE(senseless_requests_end_a_session),
		CASE(identity_changes_end_the_sessions_of_that_account),
		CASE(a_session_that_waits_for_its_account_ends_too),
		CASE(no_session_begins_on_an_account_that_goes),
		CASE(administrators_list_and_kick),
		CASE(an_account_lists_and_kicks_its_own),
		CASE(facts_lie_beside_the_message),
		CASE(poison_does_not_stop_the_parsing),
	};

	if (argc > 1)
		spec = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
