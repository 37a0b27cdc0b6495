/* An intruder inside a login's session, against stored's core: questions and readers. */
#include "tests/hostile/inside-stored-rig.h"

static void any_message_on_any_channel(void **state)
{
	static const enum ipc_ch kinds[] = { IPC_CH_SESSION, IPC_CH_POST, IPC_CH_PARSE,
		IPC_CH_ATTACH_POST, IPC_CH_EXTERNAL };
	struct rig *r = *state;
	uint64_t sid = 100;

	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		for (enum ipc_type t = IPC_NONE + 1; t < IPC_TYPES; t++) {
			const struct ipc_desc *d = ipc_desc(t);
			struct rig_client *c = kinds[k] == IPC_CH_SESSION
						   ? inside_session(r, ++sid, NULL)
					       : kinds[k] == IPC_CH_POST ? rig_post(r, ++sid)
									 : rig_attach(r, kinds[k]);

			rig_spin(r, 1);
			inside_send_zero(c, t);
			if (d->channel != kinds[k] || (d->direction & IPC_UP) == 0)
				assert_true(rig_gone(c, 2000));
			else
				rig_spin(r, 2);
			rig_client_close(c);
		}
		inside_others_go_on(r);
	}
}

static void more_credit_than_there_is(void **state)
{
	static const uint32_t credits[] = { UINT32_MAX, IPC_WINDOW_BYTES, 1, 0x80000000 };
	struct rig *r = *state;

	for (size_t i = 0; i < sizeof(credits) / sizeof(credits[0]); i++) {
		struct rig_client *s = inside_session(r, 100 + i, NULL);

		for (int n = 0; n < 100; n++)
			rig_send(s, IPC_session_credit, &(struct ipc_session_credit){ credits[i] });
		assert_true(rig_gone(s, 2000));
		rig_client_close(s);
	}
}

static void lists_of_uids(void **state)
{
	static const uint32_t lists[][4] = {
		{ 2, 1, 0, 0 },          /* inverted */
		{ 1, 5, 5, 6 },          /* overlapping */
		{ 5, 6, 1, 2 },          /* descending */
		{ 0, 5, 6, 7 },          /* zero is no uid */
		{ UINT32_MAX, 1, 2, 3 }, /* wraps */
	};
	static uint8_t many[57344];
	struct rig *r = *state;
	struct ipc_mbox_opened o;
	struct rig_client *s = inside_session(r, 100, &o);
	uint8_t *p = NULL;
	size_t n;

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		struct ipc_msg_expunge e = { 1, o.mbox, 0, slice_of(many, 16) };

		for (int k = 0; k < 4; k++)
			wire_store_u32(many + 4 * k, lists[i][k]);
		rig_send(s, IPC_msg_expunge, &e);
		assert_int_equal(rig_wait(s, IPC_store_done)->store_done.status, IPC_ST_BAD);
	}
	/* Everything that a uid can be, and the longest list: no more work than there are messages.
	 */
	assert_int_equal(rig_flags(s, o.mbox, 1, UINT32_MAX, IPC_FLAGS_ADD, IPC_FLAG_SEEN), 0);
	for (uint32_t i = 0; i < sizeof(many) / 8; i++) {
		wire_store_u32(many + 8 * i, 2 + 2 * i);
		wire_store_u32(many + 8 * i + 4, 2 + 2 * i);
	}
	for (int i = 0; i < 17; i++)
		rig_send(s, IPC_msg_expunge,
		    &(struct ipc_msg_expunge){ 1, o.mbox, 0, slice_of(many, sizeof(many)) });
	for (int i = 0; i < 17; i++)
		assert_int_equal(rig_wait(s, IPC_store_done)->store_done.count, 0);
	assert_int_equal(rig_body(s, o.mbox, 1, &p, &n), IPC_ST_OK);
	free(p);
}

static void a_hundred_thousand_questions(void **state)
{
	enum { LONG_ANSWERS = 7 };
	static const enum ipc_type types[] = { IPC_body_get, IPC_mbox_scan, IPC_facts_get,
		IPC_mbox_open, IPC_mbox_close, IPC_mbox_uids, IPC_gone_get, IPC_keyword_make,
		IPC_msg_copy, IPC_quota_get, IPC_append_begin, IPC_mbox_list };
	struct rig *r = *state;
	size_t before = heap_used();

	for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
		struct ipc_mbox_opened o;
		struct rig_client *s = inside_session(r, 100 + t, &o);
		union ipc_any m = { .body_get = { 1, o.mbox, 1, 0, 0 } };

		if (types[t] == IPC_mbox_open)
			m.mbox_open = (struct ipc_mbox_open){ 1, SLICE("INBOX"), 3 };
		if (types[t] == IPC_keyword_make)
			m.keyword_make = (struct ipc_keyword_make){ 1, o.mbox, SLICE("a") };
		if (types[t] == IPC_msg_copy)
			m.msg_copy = (struct ipc_msg_copy){ 1, o.mbox, 1, SLICE("INBOX"),
				SLICE("\1\0\0\0\377\377\377\377") };
		if (types[t] == IPC_append_begin)
			m.append_begin = (struct ipc_append_begin){ 1, SLICE("Nowhere") };
		if (types[t] == IPC_mbox_list)
			m.mbox_list = (struct ipc_mbox_list){ 1, SLICE_NONE };
		if (types[t] == IPC_gone_get)
			m.gone_get = (struct ipc_gone_get){ 1, o.mbox, 0, SLICE_NONE };
		if (types[t] == IPC_facts_get)
			m.facts_get.uids = slice_of("\1\0\0\0\1\0\0\0", 8);
		ipc_chan_pause(s->chan, true); /* and never reads */
		for (int i = 0; i < 100000 && s->chan != NULL; i++) {
			(void)ipc_send(s->chan, types[t], &m, NULL);
			if (i % 1000 == 0)
				rig_spin(r, 1);
			if (i % 20000 == 0)
				inside_others_go_on(r);
		}
		inside_flush(r, s);
		if (s->chan != NULL)
			ipc_chan_pause(s->chan, false);
		/* Short answers fit into the channel's queue, which is bounded. */
		if (t < LONG_ANSWERS && !rig_gone(s, 2000))
			fail_msg("a session may go on that asked 100000 times %s",
			    ipc_desc(types[t])->name);
		rig_client_close(s);
		rig_spin(r, 5);
	}
	assert_true(heap_used() < before + 8 * MIB);
}

static void mailboxes_of_others(void **state)
{
	static const char *const names[] = { "~8/INBOX", "../8/INBOX", "/8/INBOX", "INBOX/../../8",
		"m\010", "INBOX\n", " INBOX", "%s%n", "\xff\xfe", "/", "",
		"~u2@example.test/INBOX" };
	static char large[1025];
	struct rig *r = *state;
	struct rig_client *s = inside_session(r, 100, NULL);

	memset(large, 'x', 1024);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(rig_open(s, names[i], 0).status, IPC_ST_NOTFOUND);
	assert_int_equal(rig_open(s, large, 0).status, IPC_ST_NOTFOUND);
	assert_int_equal(rig_open(s, "inbox", 0).status, IPC_ST_OK);
}

/* routerd knows who may; what a session says of itself has no place in any message. */
static void denied(struct rig *r, const struct ipc_foreign_ask *m)
{
	bool exists = slice_eq(m->name, SLICE("u2@example.test"));

	assert_int_equal(m->who, MINE);
	rig_send(r->routerd, IPC_foreign_is,
	    &(struct ipc_foreign_is){ .seq = m->seq,
		.status = IPC_DIR_DENIED,
		.account = exists ? OTHERS : 0,
		.name = exists ? m->name : SLICE_NONE });
}

/* All that an imap session can say with a name, of an account that exists and of one that does not:
 * to the last octet the same, and nothing of the account is touched. */
static void names_are_no_rights(void **state)
{
	static const char *const names[2] = { "~u2@example.test/INBOX", "~u9@example.test/INBOX" };
	struct rig *r = *state;
	struct ipc_mbox_opened o;
	struct rig_client *s;
	uint8_t said[2][4096];
	size_t n[2] = { 0, 0 };

	r->service = "imap";
	r->on_foreign = denied;
	s = inside_session(r, 100, &o);
	for (int i = 0; i < 2; i++) {
		struct slice name = slice_str(names[i]), uid = SLICE("\1\0\0\0\1\0\0\0");

		rig_send(s, IPC_mbox_open, &(struct ipc_mbox_open){ 1, name, 2 });
		rig_send(s, IPC_mbox_status, &(struct ipc_mbox_status){ 2, name, 3 });
		rig_send(s, IPC_mbox_create, &(struct ipc_mbox_create){ 3, name, 0 });
		rig_send(s, IPC_mbox_delete, &(struct ipc_mbox_delete){ 4, name });
		rig_send(s, IPC_mbox_rename, &(struct ipc_mbox_rename){ 5, name, name });
		rig_send(s, IPC_append_begin, &(struct ipc_append_begin){ 6, name });
		rig_send(s, IPC_msg_copy, &(struct ipc_msg_copy){ 7, o.mbox, 1, name, uid });
		rig_send(s, IPC_quota_get, &(struct ipc_quota_get){ 8, name });
		rig_send(s, IPC_mbox_list, &(struct ipc_mbox_list){ 9, slice_part(name, 0, 17) });
		for (int k = 0; k < 9; k++) {
			struct buf packet = BUF_INIT(sizeof(said[0]));
			enum ipc_type type;
			const union ipc_any *m = rig_next(s, 60000, &type, NULL);

			assert_non_null(m);
			assert_int_equal(ipc_encode(type, m, &packet), 0);
			assert_true(n[i] + packet.n <= sizeof(said[0]));
			memcpy(said[i] + n[i], packet.p, packet.n);
			n[i] += packet.n;
			buf_fini(&packet);
		}
	}
	assert_int_equal(n[0], n[1]);
	assert_memory_equal(said[0], said[1], n[0]);
	/* A hundred thousand of them and no answer read: bounded, and others go on. */
	ipc_chan_pause(s->chan, true);
	for (int i = 0; i < 100000 && s->chan != NULL; i++) {
		(void)ipc_send(s->chan, IPC_mbox_status,
		    &(struct ipc_mbox_status){ 2, slice_str(names[i % 2]), 0 }, NULL);
		if (i % 1000 == 0)
			rig_spin(r, 1);
		if (i % 20000 == 0)
			inside_others_go_on(r);
	}
}

static void readers_that_never_take(void **state)
{
	enum { N = 64 };
	struct rig *r = *state;
	uint8_t *big = calloc(1, 4 * MIB);
	struct rig_client *s[N];
	size_t before;

	assert_int_equal(rig_put(r, MINE, slice_of(big, 4 * MIB)), IPC_ST_OK);
	free(big);
	before = heap_used();
	for (uint32_t i = 0; i < N; i++) {
		struct ipc_mbox_opened o;

		s[i] = inside_session(r, 100 + i, &o);
		ipc_chan_pause(s[i]->chan, true);
		for (uint32_t k = 0; k < 100; k++)
			rig_send(s[i], IPC_body_get, &(struct ipc_body_get){ k, o.mbox, 2, 0, 0 });
	}
	rig_spin(r, 50);
	inside_others_go_on(r);
	assert_true(heap_used() < before + (size_t)N * (IPC_WINDOW_BYTES + 128 * 1024));
	for (uint32_t i = 0; i < N; i++)
		rig_client_close(s[i]);
}

static void events_for_one_who_does_not_read(void **state)
{
	struct rig *r = *state;
	struct rig_client *deaf = inside_session(r, 100, NULL), *busy;
	struct ipc_mbox_opened o;
	size_t before;

	for (int i = 0; i < 200; i++)
		rig_put(r, MINE, SLICE("x"));
	busy = inside_session(r, 101, &o);
	rig_open(deaf, "INBOX", IPC_MBOX_EVENTS);
	ipc_chan_pause(deaf->chan, true);
	before = heap_used();
	for (uint32_t i = 0; i < 1500; i++) {
		assert_int_equal(rig_flags(busy, o.mbox, 1, UINT32_MAX, IPC_FLAGS_SET, i & 31), 0);
		if (i % 500 == 0)
			inside_others_go_on(r);
	}
	ipc_chan_pause(deaf->chan, false);
	assert_false(rig_gone(deaf, 50)); /* it is told later, not ended */
	assert_true(heap_used() < before + 2 * MIB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(any_message_on_any_channel),
		CASE(more_credit_than_there_is),
		CASE(lists_of_uids),
		CASE(a_hundred_thousand_questions),
		CASE(mailboxes_of_others),
		CASE(names_are_no_rights),
		CASE(readers_that_never_take),
		CASE(events_for_one_who_does_not_read),
	};

	return cmocka_run_group_tests_name("inside-stored", tests, NULL, NULL);
}
