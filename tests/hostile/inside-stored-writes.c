/* An intruder inside a login's session, against stored's core: appends, copies, views. */
#include "tests/hostile/inside-stored-rig.h"

static void append_begin(struct rig_client *s)
{
	rig_send(s, IPC_append_begin, &(struct ipc_append_begin){ 1, SLICE("INBOX") });
	assert_int_equal(rig_wait(s, IPC_append_ready)->append_ready.status, IPC_ST_OK);
}

static void append_out_of_turn(void **state)
{
	static const enum ipc_type words[][4] = {
		{ IPC_append_data },
		{ IPC_append_end },
		{ IPC_append_commit },
		{ IPC_append_msg },
		{ IPC_append_abort },
		{ IPC_append_begin, IPC_append_begin },
		{ IPC_append_begin, IPC_append_data },
		{ IPC_append_begin, IPC_append_end },
		{ IPC_append_begin, IPC_append_msg, IPC_append_msg },
		{ IPC_append_begin, IPC_append_msg, IPC_append_commit },
		{ IPC_append_begin, IPC_append_msg, IPC_append_end, IPC_append_data },
		{ IPC_append_begin, IPC_append_abort, IPC_append_commit },
	};
	struct rig *r = *state;

	for (uint32_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		struct rig_client *s = inside_session(r, 100 + i, NULL);

		for (int k = 0; k < 4 && words[i][k] != 0; k++) {
			union ipc_any m = { 0 };

			if (words[i][k] == IPC_append_begin)
				m.append_begin.name = SLICE("INBOX");
			if (words[i][k] == IPC_append_data)
				m.append_data.data = SLICE("x");
			rig_send(s, words[i][k], &m);
		}
		if (!rig_gone(s, 2000))
			fail_msg("words out of turn, number %u, are let through", i);
		rig_client_close(s);
	}
	assert_int_equal(rig_open(inside_session(r, 200, NULL), "INBOX", 0).exists, 1);
}

/* Bytes without an end, messages without an end, more than the window: memory is bounded. */
static void appends_that_never_end(void **state)
{
	static uint8_t chunk[61440];
	struct rig *r = *state;
	struct rig_client *s = inside_session(r, 100, NULL);
	size_t before = heap_used();

	((struct engine_limits *)engine_limits(r->engine))->body_buffered = MIB;
	append_begin(s);
	for (uint32_t i = 0; i < 3000 && s->chan != NULL; i++) {
		struct ipc_append_msg m = { 0, SLICE("some words"), 0, UINT64_MAX };

		rig_send(s, IPC_append_msg, &m);
		if (s->window < sizeof(chunk))
			rig_spin(r, 2);
		if (s->window >= sizeof(chunk))
			rig_append_bytes(s, slice_of(chunk, sizeof(chunk)));
		rig_send(s, IPC_append_end, &(struct ipc_append_end){ slice_of(chunk, 32768) });
		if (i % 500 == 0)
			inside_others_go_on(r);
	}
	inside_flush(r, s);
	assert_true(heap_used() < before + 24 * MIB);
	rig_send(s, IPC_append_commit, &(struct ipc_append_commit){ 2 });
	assert_int_equal(rig_wait(s, IPC_append_done)->append_done.status, IPC_ST_LIMIT);
	assert_true(heap_used() < before + 2 * MIB);
	append_begin(s);
	rig_send(s, IPC_append_msg, &(struct ipc_append_msg){ 0 });
	for (int i = 0; i < 100 && s->chan != NULL; i++)
		rig_send(s, IPC_append_data,
		    &(struct ipc_append_data){ slice_of(chunk, sizeof(chunk)) });
	(void)rig_gone(s, 300);
	assert_int_equal(rig_open(inside_session(r, 101, NULL), "INBOX", 0).exists, 1);
}

/* Names, dates and flags as they never come from a parser. */
static void appended_nonsense(void **state)
{
	static char names[57344];
	struct rig *r = *state;
	struct rig_client *s = inside_session(r, 100, NULL);
	struct ipc_append_msg m = { 0, SLICE_NONE, INT64_MAX, UINT64_MAX };

	for (size_t i = 0; i < sizeof(names); i++)
		names[i] = i % 100 == 0 ? ' ' : (char)(1 + i * 7 % 255);
	m.keywords = slice_of(names, sizeof(names));
	append_begin(s);
	rig_send(s, IPC_append_msg, &m);
	rig_send(s, IPC_append_end, &(struct ipc_append_end){ SLICE_NONE });
	rig_send(s, IPC_append_commit, &(struct ipc_append_commit){ 2 });
	assert_int_equal(rig_wait(s, IPC_append_done)->append_done.status, IPC_ST_OK);
	append_begin(s);
	m.flags = IPC_FLAG_RECENT;
	rig_send(s, IPC_append_msg, &m);
	rig_send(s, IPC_append_end, &(struct ipc_append_end){ SLICE_NONE });
	rig_send(s, IPC_append_commit, &(struct ipc_append_commit){ 2 });
	assert_int_equal(rig_wait(s, IPC_append_done)->append_done.status, IPC_ST_BAD);
	assert_int_equal(rig_open(inside_session(r, 101, NULL), "INBOX", 0).exists, 2);
}

/* The mailbox doubles by each copy, until the limit; nobody else waits for long. */
static void a_mailbox_copied_into_itself(void **state)
{
	struct rig *r = *state;
	struct ipc_mbox_opened o;
	struct rig_client *s = inside_session(r, 100, &o);
	int status = IPC_ST_OK;

	for (int i = 0; i < 18 && status == IPC_ST_OK; i++) {
		const struct ipc_copy_done *d;

		o = rig_open(s, "INBOX", 0);
		rig_send(s, IPC_msg_copy,
		    &(struct ipc_msg_copy){
			1, o.mbox, 0, SLICE("INBOX"), SLICE("\1\0\0\0\377\377\377\377") });
		do {
			d = &rig_wait(s, IPC_copy_done)->copy_done;
			status = (int)d->status;
		} while (d->more);
		inside_others_go_on(r);
	}
	assert_int_equal(status, IPC_ST_OK);
	assert_int_equal(rig_open(s, "INBOX", 0).exists, 262144);
}

/* One view that is never told makes what the other expunges stay: not for ever. */
static void a_view_that_keeps_everything(void **state)
{
	struct rig *r = *state;
	struct ipc_mbox_opened o;
	struct rig_client *keeper = inside_session(r, 100, NULL), *s = inside_session(r, 101, &o);
	const struct slice all = SLICE("\1\0\0\0\377\377\377\377");
	size_t before = heap_used();

	rig_open(keeper, "INBOX", IPC_MBOX_EVENTS);
	for (int round = 0; round < 8 && !keeper->gone; round++) {
		assert_int_equal(rig_put(r, MINE, SLICE("x")), IPC_ST_OK);
		for (int i = 0; i < 16; i++) {
			const struct ipc_copy_done *d;

			o = rig_open(s, "INBOX", 0);
			rig_send(s, IPC_msg_copy,
			    &(struct ipc_msg_copy){ 1, o.mbox, 0, SLICE("INBOX"), all });
			do
				d = &rig_wait(s, IPC_copy_done)->copy_done;
			while (d->more);
			rig_send(s, IPC_mbox_close, &(struct ipc_mbox_close){ 1, o.mbox });
			rig_wait(s, IPC_store_done);
		}
		o = rig_open(s, "INBOX", 0);
		assert_int_equal(rig_expunge(s, o.mbox, 1, UINT32_MAX), IPC_ST_OK);
		rig_send(s, IPC_mbox_close, &(struct ipc_mbox_close){ 1, o.mbox });
		rig_wait(s, IPC_store_done);
		/* It reads, and lets go of what it read. */
		for (enum ipc_type type; rig_next(keeper, 0, &type, NULL) != NULL;)
			;
		rig_spin(r, 20);
		inside_others_go_on(r);
	}
	assert_true(rig_gone(keeper, 2000));
	rig_spin(r, 50);
	assert_true(heap_used() < before + 160 * MIB); /* the memory engine keeps bodies and logs */
	assert_int_equal(rig_open(s, "INBOX", 0).exists, 0);
}

static void what_a_view_may_not_do(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = inside_session(r, 100, NULL);
	struct ipc_mbox_opened o = rig_open(s, "INBOX", IPC_MBOX_READONLY | IPC_MBOX_EVENTS);
	struct ipc_msg_copy c = { 1, o.mbox, 1, SLICE("INBOX"), SLICE("\1\0\0\0\1\0\0\0") };
	static const uint8_t ones[4096] = { [0 ... 4095] = 1 };
	const struct slice lists[] = { SLICE("\x40\0"), SLICE("\x41\0\x40\0"), SLICE("\0\0"),
		SLICE("\xff\xff"), SLICE("\1"), slice_of(ones, sizeof(ones)) };
	struct ipc_flags_store f = { .mbox = o.mbox, .uids = c.uids, .unchanged_since = 1 };

	rig_send(s, IPC_msg_copy, &c);
	assert_int_equal(rig_wait(s, IPC_copy_done)->copy_done.status, IPC_ST_DENIED);
	rig_send(s, IPC_keyword_make, &(struct ipc_keyword_make){ 1, o.mbox, SLICE("a") });
	assert_int_equal(rig_wait(s, IPC_keyword_made)->keyword_made.status, IPC_ST_DENIED);
	o = rig_open(s, "INBOX", IPC_MBOX_EVENTS);
	f.mbox = o.mbox;
	f.keywords = UINT64_C(1) << 63;
	rig_send(s, IPC_flags_store, &f);
	assert_int_equal(rig_wait(s, IPC_store_done)->store_done.status, IPC_ST_BAD);
	/* Numbers that nobody made, in no order, too many, half of one. */
	f.keywords = 0;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		f.more = lists[i];
		rig_send(s, IPC_flags_store, &f);
		assert_int_equal(rig_wait(s, IPC_store_done)->store_done.status, IPC_ST_BAD);
	}
	c.mbox = 60;
	rig_send(s, IPC_msg_copy, &c);
	assert_int_equal(rig_wait(s, IPC_copy_done)->copy_done.status, IPC_ST_BAD);
	/* It says it knows what it was never told. */
	rig_send(s, IPC_mbox_told, &(struct ipc_mbox_told){ o.mbox, UINT64_MAX });
	inside_others_go_on(r);
	assert_int_equal(rig_open(s, "INBOX", 0).exists, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(append_out_of_turn),
		CASE(appends_that_never_end),
		CASE(appended_nonsense),
		CASE(a_mailbox_copied_into_itself),
		CASE(a_view_that_keeps_everything),
		CASE(what_a_view_may_not_do),
	};

	return cmocka_run_group_tests_name("inside-stored-writes", tests, NULL, NULL);
}
