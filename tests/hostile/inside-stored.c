/*
 * An intruder inside a login's session, a connection that delivers, an acceptor, parsed or an
 * administrator's door, against stored's core.
 */
#include "tests/hostile/inside.h"

#include "tests/unit/stored-rig.h"

enum { MINE = 7, OTHERS = 8, MIB = 1 << 20 };

static struct rig_client *victim; /* a session of the other account */
static struct ipc_mbox_opened victim_box;
static int64_t slowest_ms;

static int setup(void **state)
{
	struct rig *r = malloc(sizeof(*r));

	rig_init(r, "mem");
	quiet();
	rig_account(r, MINE, IPC_account_make);
	rig_account(r, OTHERS, IPC_account_make);
	assert_int_equal(rig_put(r, MINE, SLICE("mine")), IPC_ST_OK);
	assert_int_equal(rig_put(r, OTHERS, SLICE("theirs")), IPC_ST_OK);
	victim = rig_session(r, OTHERS, 1, NULL);
	victim_box = rig_open(victim, "INBOX", 0);
	slowest_ms = 0;
	*state = r;
	return 0;
}

/* Somebody else reads and gets mail; how long that takes is remembered. */
static void others_go_on(struct rig *r)
{
	int64_t from = clock_mono_ms();
	uint8_t *p = NULL, rows[IPC_ROW_BYTES * 64];
	size_t n = 0;

	assert_int_equal(rig_body(victim, victim_box.mbox, 1, &p, &n), IPC_ST_OK);
	assert_true(slice_eq(slice_of(p, n), SLICE("theirs")));
	free(p);
	assert_int_equal(rig_scan(victim, victim_box.mbox, 1, rows, 64, &n), IPC_ST_OK);
	assert_int_equal(rig_put(r, OTHERS, SLICE("new")), IPC_ST_OK);
	from = clock_mono_ms() - from;
	slowest_ms = from > slowest_ms ? from : slowest_ms;
}

static int teardown(void **state)
{
	int fd;

	others_go_on(*state);
	print_message("# slowest answer to others: %lld ms\n", (long long)slowest_ms);
	/* Loose: the machine runs other tests. */
	assert_true(slowest_ms < 2000);
	fd = log_fd();
	rig_fini(*state);
	log_init(STDERR_FILENO, false, LOG_INFO);
	if (fd > STDERR_FILENO)
		fd_close(&fd);
	free(*state);
	return 0;
}

static struct rig_client *session(struct rig *r, uint64_t sid, struct ipc_mbox_opened *ret_o)
{
	struct rig_client *s = rig_session(r, MINE, sid, NULL);

	assert_non_null(s);
	if (ret_o != NULL)
		*ret_o = rig_open(s, "INBOX", 0);
	return s;
}

/* What the attacker has written has left his own queue. */
static void flush(struct rig *r, struct rig_client *c)
{
	for (int i = 0; i < 4000 && c->chan != NULL && ipc_chan_queued(c->chan) > 0; i++)
		rig_spin(r, 1);
}

static void send_zero(struct rig_client *c, enum ipc_type type)
{
	struct end e = { .chan = c->chan };

	end_send_any(&e, type);
}

/* ---- a session ---- */

static void any_message_on_any_channel(void **state)
{
	static const enum ipc_ch kinds[] = { IPC_CH_SESSION, IPC_CH_POST, IPC_CH_PARSE,
		IPC_CH_ATTACH_POST, IPC_CH_EXTERNAL };
	struct rig *r = *state;
	uint64_t sid = 100;

	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		for (enum ipc_type t = IPC_NONE + 1; t < IPC_TYPES; t++) {
			const struct ipc_desc *d = ipc_desc(t);
			struct rig_client *c = kinds[k] == IPC_CH_SESSION ? session(r, ++sid, NULL)
					       : kinds[k] == IPC_CH_POST  ? rig_post(r, ++sid)
									  : rig_attach(r, kinds[k]);

			rig_spin(r, 1);
			send_zero(c, t);
			if (d->channel != kinds[k] || (d->direction & IPC_UP) == 0)
				assert_true(rig_gone(c, 2000));
			else
				rig_spin(r, 2);
			rig_client_close(c);
		}
		others_go_on(r);
	}
}

static void more_credit_than_there_is(void **state)
{
	static const uint32_t credits[] = { UINT32_MAX, IPC_WINDOW_BYTES, 1, 0x80000000 };
	struct rig *r = *state;

	for (size_t i = 0; i < sizeof(credits) / sizeof(credits[0]); i++) {
		struct rig_client *s = session(r, 100 + i, NULL);

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
	struct rig_client *s = session(r, 100, &o);
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
		struct rig_client *s = session(r, 100 + t, &o);
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
				others_go_on(r);
		}
		flush(r, s);
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
	struct rig_client *s = session(r, 100, NULL);

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
	s = session(r, 100, &o);
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
			others_go_on(r);
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

		s[i] = session(r, 100 + i, &o);
		ipc_chan_pause(s[i]->chan, true);
		for (uint32_t k = 0; k < 100; k++)
			rig_send(s[i], IPC_body_get, &(struct ipc_body_get){ k, o.mbox, 2, 0, 0 });
	}
	rig_spin(r, 50);
	others_go_on(r);
	assert_true(heap_used() < before + (size_t)N * (IPC_WINDOW_BYTES + 128 * 1024));
	for (uint32_t i = 0; i < N; i++)
		rig_client_close(s[i]);
}

static void events_for_one_who_does_not_read(void **state)
{
	struct rig *r = *state;
	struct rig_client *deaf = session(r, 100, NULL), *busy;
	struct ipc_mbox_opened o;
	size_t before;

	for (int i = 0; i < 200; i++)
		rig_put(r, MINE, SLICE("x"));
	busy = session(r, 101, &o);
	rig_open(deaf, "INBOX", IPC_MBOX_EVENTS);
	ipc_chan_pause(deaf->chan, true);
	before = heap_used();
	for (uint32_t i = 0; i < 1500; i++) {
		assert_int_equal(rig_flags(busy, o.mbox, 1, UINT32_MAX, IPC_FLAGS_SET, i & 31), 0);
		if (i % 500 == 0)
			others_go_on(r);
	}
	ipc_chan_pause(deaf->chan, false);
	assert_false(rig_gone(deaf, 50)); /* it is told later, not ended */
	assert_true(heap_used() < before + 2 * MIB);
}

/* ---- appends and copies ---- */

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
		struct rig_client *s = session(r, 100 + i, NULL);

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
	assert_int_equal(rig_open(session(r, 200, NULL), "INBOX", 0).exists, 1);
}

/* Bytes without an end, messages without an end, more than the window: memory is bounded. */
static void appends_that_never_end(void **state)
{
	static uint8_t chunk[61440];
	struct rig *r = *state;
	struct rig_client *s = session(r, 100, NULL);
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
			others_go_on(r);
	}
	flush(r, s);
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
	assert_int_equal(rig_open(session(r, 101, NULL), "INBOX", 0).exists, 1);
}

/* Names, dates and flags as they never come from a parser. */
static void appended_nonsense(void **state)
{
	static char names[57344];
	struct rig *r = *state;
	struct rig_client *s = session(r, 100, NULL);
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
	assert_int_equal(rig_open(session(r, 101, NULL), "INBOX", 0).exists, 2);
}

/* The mailbox doubles by each copy, until the limit; nobody else waits for long. */
static void a_mailbox_copied_into_itself(void **state)
{
	struct rig *r = *state;
	struct ipc_mbox_opened o;
	struct rig_client *s = session(r, 100, &o);
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
		others_go_on(r);
	}
	assert_int_equal(status, IPC_ST_OK);
	assert_int_equal(rig_open(s, "INBOX", 0).exists, 262144);
}

/* One view that is never told makes what the other expunges stay: not for ever. */
static void a_view_that_keeps_everything(void **state)
{
	struct rig *r = *state;
	struct ipc_mbox_opened o;
	struct rig_client *keeper = session(r, 100, NULL), *s = session(r, 101, &o);
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
		others_go_on(r);
	}
	assert_true(rig_gone(keeper, 2000));
	rig_spin(r, 50);
	assert_true(heap_used() < before + 160 * MIB); /* the memory engine keeps bodies and logs */
	assert_int_equal(rig_open(s, "INBOX", 0).exists, 0);
}

static void what_a_view_may_not_do(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = session(r, 100, NULL);
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
	others_go_on(r);
	assert_int_equal(rig_open(s, "INBOX", 0).exists, 1);
}

/* ---- a connection that delivers ---- */

static void begin(struct rig_client *post, uint32_t tag, uint32_t handle)
{
	uint8_t h[4];

	wire_store_u32(h, handle);
	rig_send(post, IPC_post_begin, &(struct ipc_post_begin){ tag, UINT64_MAX, slice_of(h, 4) });
}

static void handles_of_another_connection(void **state)
{
	static uint8_t handles[4096];
	struct rig *r = *state;
	struct rig_client *theirs = rig_post(r, 50), *mine = rig_post(r, 51);
	enum ipc_type type;

	for (uint32_t h = 1; h < 200; h++)
		assert_int_equal(rig_target(r, 50, h, OTHERS, 0), IPC_ST_OK);
	rig_target(r, 51, 500, MINE, 0);
	for (uint32_t h = 1; h < 200; h++) {
		begin(mine, h, h);
		assert_int_equal(
		    rig_wait(mine, IPC_post_result)->post_result.status, IPC_ST_DENIED);
		assert_true(rig_gone(mine, 2000));
		rig_client_close(mine);
		mine = rig_post(r, 1000 + h);
		rig_target(r, 1000 + h, 500, MINE, 0);
	}
	/* The same handle as often as it goes: one copy. */
	for (size_t i = 0; i < sizeof(handles); i += 4)
		wire_store_u32(handles + i, 500);
	rig_send(mine, IPC_post_begin,
	    &(struct ipc_post_begin){ 1, 0, slice_of(handles, sizeof(handles)) });
	rig_send(mine, IPC_post_commit, &(struct ipc_post_commit){ 1, SLICE("f") });
	for (size_t i = 0; i < sizeof(handles); i += 4)
		assert_int_equal(rig_wait(mine, IPC_post_result)->post_result.status, IPC_ST_OK);
	assert_null(rig_next(mine, 20, &type, NULL));
	assert_int_equal(rig_open(session(r, 100, NULL), "INBOX", 0).exists, 2);
	assert_false(theirs->gone);
}

/* routerd, led astray by an acceptor, moves a handle that is in use to another account. */
static void a_handle_stays_with_its_account(void **state)
{
	struct rig *r = *state;
	struct rig_client *post = rig_post(r, 50);
	const uint32_t one = 1;

	assert_int_equal(rig_target(r, 50, 1, OTHERS, 0), IPC_ST_OK);
	assert_int_equal(rig_target(r, 50, 1, MINE, 0), IPC_ST_DENIED);
	assert_int_equal(rig_target(r, 50, 1, OTHERS, 0), IPC_ST_OK);
	rig_deliver(post, 1, &one, 1, SLICE("secret"), SLICE("f"));
	assert_int_equal(rig_wait(post, IPC_post_result)->post_result.status, IPC_ST_OK);
	assert_int_equal(rig_open(session(r, 100, NULL), "INBOX", 0).exists, 1);
}

static void words_out_of_turn(void **state)
{
	static const enum ipc_type after[] = { IPC_post_commit, IPC_post_abort, IPC_post_data,
		IPC_post_begin };
	struct rig *r = *state;
	uint32_t exists;

	for (uint32_t i = 0; i < sizeof(after) / sizeof(after[0]); i++) {
		struct rig_client *post = rig_post(r, 50 + i), *s = session(r, 100 + 2 * i, NULL);

		exists = rig_open(s, "INBOX", 0).exists;
		rig_target(r, 50 + i, 1, MINE, 0);
		engine_faults_set(r->engine, &(struct engine_faults){ .delay_ms = 20 });
		begin(post, 0, 1);
		rig_send(post, IPC_post_commit, &(struct ipc_post_commit){ 0, SLICE("f") });
		if (after[i] == IPC_post_begin)
			begin(post, 0, 1);
		else
			send_zero(post, after[i]);
		assert_true(rig_gone(post, 2000));
		rig_spin(r, 60);
		engine_faults_set(r->engine, &(struct engine_faults){ 0 });
		assert_int_equal(
		    rig_open(session(r, 101 + 2 * i, NULL), "INBOX", 0).exists, exists + 1);
		rig_client_close(s);
	}
}

/*
 * Data for messages 0 to n - 1 in turn until no credit comes back. The memory engine has room for
 * any body: here it has as much as one on disk, and what is beyond waits for ever.
 */
static void fill(struct rig *r, struct rig_client *post, uint32_t n)
{
	static uint8_t chunk[61440];
	struct engine_limits *limits = (struct engine_limits *)engine_limits(r->engine);

	limits->body_buffered = MIB;
	for (uint32_t i = 0, full = 0; full < 30;) {
		if (post->window < sizeof(chunk)) {
			rig_spin(r, 1);
			full++;
			continue;
		}
		full = 0;
		rig_send(post, IPC_post_data,
		    &(struct ipc_post_data){ i++ % n, slice_of(chunk, sizeof(chunk)) });
		post->window -= sizeof(chunk);
		if (i % 100 == 0)
			others_go_on(r);
	}
}

/* Sixteen bodies begun and never ended, for ever. */
static void bodies_that_never_end(void **state)
{
	struct rig *r = *state;
	struct rig_client *post = rig_post(r, 50);
	size_t before = heap_used();

	rig_target(r, 50, 1, MINE, 0);
	for (uint32_t tag = 0; tag < 16; tag++)
		begin(post, tag, 1);
	fill(r, post, 16);
	assert_true(heap_used() < before + 18 * MIB);
	assert_false(post->gone);
	rig_client_close(post);
	rig_spin(r, 20);
	assert_true(heap_used() < before + 2 * MIB);
	/* One more than sixteen. */
	post = rig_post(r, 51);
	rig_target(r, 51, 1, MINE, 0);
	for (uint32_t tag = 0; tag < 17; tag++)
		begin(post, tag, 1);
	assert_true(rig_gone(post, 2000));
}

/* While the engine has no room, data waits in memory: data without bytes has no window. */
static void nothing_a_million_times(void **state)
{
	struct rig *r = *state;
	struct rig_client *post = rig_post(r, 50);
	size_t before;

	rig_target(r, 50, 1, MINE, 0);
	begin(post, 0, 1);
	fill(r, post, 1);
	before = heap_used();
	for (int i = 0; i < 200000 && post->chan != NULL; i++) {
		rig_send(post, IPC_post_data, &(struct ipc_post_data){ 0, SLICE_NONE });
		if (i % 200 == 0)
			flush(r, post);
	}
	flush(r, post);
	assert_true(heap_used() < before + MIB);
	rig_client_close(post);
}

static void facts_are_bytes(void **state)
{
	static uint8_t facts[32768];
	struct rig *r = *state;
	struct rig_client *post = rig_post(r, 50), *s;
	const uint32_t one = 1;
	struct ipc_mbox_opened o;
	struct slice got;

	for (size_t i = 0; i < sizeof(facts); i++)
		facts[i] = (uint8_t)(i * 2654435761u >> 13);
	rig_target(r, 50, 1, MINE, 0);
	rig_deliver(post, 1, &one, 1, SLICE("x"), slice_of(facts, sizeof(facts)));
	assert_int_equal(rig_wait(post, IPC_post_result)->post_result.status, IPC_ST_OK);
	s = session(r, 100, &o);
	assert_int_equal(rig_facts(s, o.mbox, 2, &got), IPC_ST_OK);
	assert_true(slice_eq(got, slice_of(facts, sizeof(facts))));
}

/* ---- an acceptor ---- */

static void acceptors_attach_their_own(void **state)
{
	struct rig *r = *state;
	struct ipc_post_attach a = { 5ull << 32 | 1 };
	struct rig_client *acceptor, *theirs = rig_post(r, 4ull << 32 | 1);
	const uint32_t one = 1;
	int fds[2], sv[2];

	for (int i = 0; i < 3; i++) {
		assert_int_equal(ipc_pair(fds), 0);
		assert_int_equal(
		    store_attach(r->store, fds[1], IPC_CH_ATTACH_POST, IPC_ROLE_SMTP, 5), 0);
		acceptor = rig_adopt(r, fds[0], IPC_CH_ATTACH_POST);
		ipc_chan_hello(
		    acceptor->chan, IPC_ROLE_SMTP, i == 2 ? 4 : 5, IPC_ROLE_STORED, IPC_IN_RUN);
		rig_spin(r, 5);
		assert_int_equal(ipc_pair(sv), 0);
		a.sid = (i == 0 ? 5ull : 4ull) << 32 | 1;
		if (acceptor->chan != NULL)
			(void)ipc_send(acceptor->chan, IPC_post_attach, &a, &sv[1]);
		else
			fd_close(&sv[1]);
		assert_int_equal(rig_gone(acceptor, i == 0 ? 50 : 2000), i > 0);
		fd_close(&sv[0]);
		rig_client_close(acceptor);
	}
	rig_target(r, 4ull << 32 | 1, 1, OTHERS, 0);
	rig_deliver(theirs, 1, &one, 1, SLICE("x"), SLICE("f"));
	assert_int_equal(rig_wait(theirs, IPC_post_result)->post_result.status, IPC_ST_OK);
}

/* ---- parsed, an administrator without rights ---- */

static void facts_for_another_message(void **state)
{
	struct rig *r = *state;
	struct rig_client *parsed = rig_attach(r, IPC_CH_PARSE), *post = rig_post(r, 50);
	static uint8_t facts[32768];
	const uint32_t one = 1;

	rig_target(r, 50, 1, MINE, 0);
	rig_deliver(post, 1, &one, 1, SLICE("x"), SLICE_NONE);
	assert_int_equal(rig_wait(post, IPC_post_result)->post_result.status, IPC_ST_OK);
	for (int lie = 0; lie < 3; lie++) {
		uint32_t seq;

		if (lie > 0)
			parsed = rig_attach(r, IPC_CH_PARSE);
		rig_spin(r, 10);
		seq = parsed->head != NULL ? rig_wait(parsed, IPC_parse_begin)->parse_begin.seq : 0;
		rig_send(parsed, IPC_parse_facts,
		    &(struct ipc_parse_facts){ seq + 1, 0, slice_of(facts, sizeof(facts)) });
		assert_true(rig_gone(parsed, 2000));
		others_go_on(r);
	}
}

static void an_administrator_without_rights(void **state)
{
	struct rig *r = *state;
	struct rig_client *admin;
	int sv[2];

	assert_int_equal(ipc_pair(sv), 0);
	(void)ipc_send(r->authd->chan, IPC_store_open,
	    &(struct ipc_store_open){ 9, SLICE("nobody"), 0 }, &sv[1]);
	admin = rig_adopt(r, sv[0], IPC_CH_ADMIN_STORE);
	rig_send(admin, IPC_sess_list, &(struct ipc_sess_list){ 1, 0 });
	assert_int_equal(rig_wait(admin, IPC_sess_rows)->sess_rows.rows.n, 0);
	rig_send(admin, IPC_sess_kick, &(struct ipc_sess_kick){ 2, 1, 0 });
	assert_int_equal(rig_wait(admin, IPC_stat_reply)->stat_reply.status, IPC_ST_DENIED);
	rig_send(admin, IPC_sess_kick, &(struct ipc_sess_kick){ 2, 0, OTHERS });
	assert_int_equal(rig_wait(admin, IPC_stat_reply)->stat_reply.status, IPC_ST_DENIED);
	rig_send(admin, IPC_stat_ask, &(struct ipc_stat_ask){ 3, 0 });
	assert_int_equal(rig_wait(admin, IPC_stat_reply)->stat_reply.status, IPC_ST_DENIED);
	assert_false(victim->gone);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		CASE(any_message_on_any_channel),
		CASE(more_credit_than_there_is),
		CASE(lists_of_uids),
		CASE(a_hundred_thousand_questions),
		CASE(mailboxes_of_others),
		CASE(names_are_no_rights),
		CASE(readers_that_never_take),
		CASE(events_for_one_who_does_not_read),
		CASE(append_out_of_turn),
		CASE(appends_that_never_end),
		CASE(appended_nonsense),
		CASE(a_mailbox_copied_into_itself),
		CASE(a_view_that_keeps_everything),
		CASE(what_a_view_may_not_do),
		CASE(handles_of_another_connection),
		CASE(a_handle_stays_with_its_account),
		CASE(words_out_of_turn),
		CASE(bodies_that_never_end),
		CASE(nothing_a_million_times),
		CASE(facts_are_bytes),
		CASE(acceptors_attach_their_own),
		CASE(facts_for_another_message),
		CASE(an_administrator_without_rights),
	};

	return cmocka_run_group_tests_name("inside-stored", tests, NULL, NULL);
}
