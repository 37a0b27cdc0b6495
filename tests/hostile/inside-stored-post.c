/*
 * An intruder inside a connection that delivers, an acceptor, parsed or an administrator's door,
 * against stored's core.
 */
#include "tests/hostile/inside-stored-rig.h"

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
	assert_int_equal(rig_open(inside_session(r, 100, NULL), "INBOX", 0).exists, 2);
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
	assert_int_equal(rig_open(inside_session(r, 100, NULL), "INBOX", 0).exists, 1);
}

static void words_out_of_turn(void **state)
{
	static const enum ipc_type after[] = { IPC_post_commit, IPC_post_abort, IPC_post_data,
		IPC_post_begin };
	struct rig *r = *state;
	uint32_t exists;

	for (uint32_t i = 0; i < sizeof(after) / sizeof(after[0]); i++) {
		struct rig_client *post = rig_post(r, 50 + i),
				  *s = inside_session(r, 100 + 2 * i, NULL);

		exists = rig_open(s, "INBOX", 0).exists;
		rig_target(r, 50 + i, 1, MINE, 0);
		engine_faults_set(r->engine, &(struct engine_faults){ .delay_ms = 20 });
		begin(post, 0, 1);
		rig_send(post, IPC_post_commit, &(struct ipc_post_commit){ 0, SLICE("f") });
		if (after[i] == IPC_post_begin)
			begin(post, 0, 1);
		else
			inside_send_zero(post, after[i]);
		assert_true(rig_gone(post, 2000));
		rig_spin(r, 60);
		engine_faults_set(r->engine, &(struct engine_faults){ 0 });
		assert_int_equal(
		    rig_open(inside_session(r, 101 + 2 * i, NULL), "INBOX", 0).exists, exists + 1);
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
			inside_others_go_on(r);
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
			inside_flush(r, post);
	}
	inside_flush(r, post);
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
	s = inside_session(r, 100, &o);
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
		inside_others_go_on(r);
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
	assert_false(inside.victim->gone);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
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

	return cmocka_run_group_tests_name("inside-stored-post", tests, NULL, NULL);
}
