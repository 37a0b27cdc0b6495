/*
 * stored's core by its messages: how sessions end, administrators, parsed. On every engine: its
 * spec is the argument.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/stored-look.h"

#include "common/base/wire.h"

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
	rig_send(s, IPC_session_client, &(struct ipc_session_client){ SLICE("old") });
	rig_send(s, IPC_session_client, &(struct ipc_session_client){ SLICE("a\x1b[2Jb\xc3\xa4") });
	rig_send(s, IPC_quota_get, &(struct ipc_quota_get){ 5 });
	rig_wait(s, IPC_quota_is);
	rig_send(ad, IPC_sess_list, &(struct ipc_sess_list){ 1, 0 });
	m = rig_wait(ad, IPC_sess_rows);
	assert_true(m->sess_rows.rows.n > 12);
	assert_memory_equal(
	    m->sess_rows.rows.p + m->sess_rows.rows.n - 12, "\x08\0\0\0a?[2Jb??", 12);
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
	/* It came before headers were kept: one that is asked for is made as soon as can be. */
	assert_int_equal(rig_header(s, o.mbox, 1, &facts), IPC_ST_NOTFOUND);
	do
		m = rig_next(parsed, 5000, &type, NULL);
	while (m != NULL && type != IPC_parse_begin);
	assert_non_null(m);
	handle = m->parse_begin.seq;
	rig_wait(parsed, IPC_parse_data);
	rig_wait(parsed, IPC_parse_end);
	rig_send(parsed, IPC_parse_facts,
	    &(struct ipc_parse_facts){
		handle, IPC_ST_OK, SLICE("by parsed"), SLICE_NONE, SLICE("its header") });
	for (int i = 0; i < 100; i++) {
		rig_spin(r, 10);
		if (rig_header(s, o.mbox, 1, &facts) == IPC_ST_OK)
			break;
	}
	assert_true(slice_eq(facts, SLICE("its header")));
	assert_int_equal(rig_facts(s, o.mbox, 1, &facts), IPC_ST_OK);
	assert_true(slice_eq(facts, SLICE("by parsed")));
}

/* Of messages from before headers were kept: a screenful behind one question, then others' turn. */
static void headers_are_made_by_the_screenful(void **state)
{
	enum { N = 40, AT_ONCE = 32 };
	static struct piece p[N];
	struct rig *r = *state;
	struct rig_client *s, *parsed;
	struct ipc_mbox_opened o;
	const union ipc_any *m;
	enum ipc_type type;
	struct slice header;
	unsigned good = 0;

	rig_account(r, 7, IPC_account_make);
	s = rig_session(r, 7, 1, NULL);
	for (size_t i = 0; i < N; i++)
		p[i] = (struct piece){ 0, "", 0, SLICE("x"), SLICE("facts") };
	put_pieces(s, "INBOX", p, N);
	o = rig_open(s, "INBOX", 0);
	parsed = rig_attach(r, IPC_CH_PARSE);
	rig_send(s, IPC_facts_get,
	    &(struct ipc_facts_get){
		4, o.mbox, SLICE("\1\0\0\0\377\377\377\377"), IPC_FACTS_HEADER });
	while (!rig_wait(s, IPC_facts_are)->facts_are.last)
		;
	for (unsigned i = 0; i < AT_ONCE; i++) {
		struct ipc_parse_facts f = { 0, IPC_ST_OK, SLICE("by parsed"), SLICE_NONE,
			SLICE("its header") };

		m = rig_wait(parsed, IPC_parse_begin);
		f.seq = m->parse_begin.seq;
		rig_wait(parsed, IPC_parse_data);
		rig_wait(parsed, IPC_parse_end);
		rig_send(parsed, IPC_parse_facts, &f);
	}
	assert_null(rig_next(parsed, 50, &type, NULL));
	for (int tries = 0; good < AT_ONCE && tries < 500; tries++) {
		rig_spin(r, 10);
		if (rig_header(s, o.mbox, good + 1, &header) == IPC_ST_OK)
			good++;
	}
	assert_int_equal(good, AT_ONCE);
	assert_true(slice_eq(header, SLICE("its header")));
	assert_int_equal(rig_header(s, o.mbox, AT_ONCE + 1, &header), IPC_ST_NOTFOUND);
}

static void facts_keep_to_the_window(void **state)
{
	enum { N = 2000, FACTS = 700 };
	static struct piece p[1000];
	static uint8_t facts[FACTS];
	struct rig *r = *state;
	struct rig_client *s;
	struct ipc_mbox_opened o;
	const union ipc_any *m;
	enum ipc_type type;
	size_t got = 0;
	uint32_t uid = 1;
	bool last = false;

	rig_account(r, 7, IPC_account_make);
	s = rig_session(r, 7, 1, NULL);
	for (size_t i = 0; i < 1000; i++)
		p[i] = (struct piece){ 0, "", 0, SLICE("x"),
			i % 100 == 0 ? SLICE_NONE : slice_of(facts, FACTS - i % 7) };
	put_pieces(s, "INBOX", p, 1000);
	put_pieces(s, "INBOX", p, 1000);
	o = rig_open(s, "INBOX", 0);
	assert_int_equal(rig_expunge(s, o.mbox, 50, 52), IPC_ST_OK);
	rig_send(s, IPC_facts_get,
	    &(struct ipc_facts_get){
		4, o.mbox, SLICE("\1\0\0\0\24\0\0\0\36\0\0\0\377\377\377\377") });
	while (!last) {
		struct ipc_session_credit c;
		size_t before = got;

		while (!last && (m = rig_next(s, 300, &type, NULL)) != NULL) {
			const struct ipc_facts_are *a = &m->facts_are;

			assert_int_equal(type, IPC_facts_are);
			assert_int_equal(a->status, IPC_ST_OK);
			for (size_t at = 0; at < a->facts.n;) {
				uint32_t n = wire_load_u32(a->facts.p + at + 8);
				uint32_t k = (uid - 1) % 1000;

				assert_int_equal(wire_load_u32(a->facts.p + at), uid);
				assert_int_equal(wire_load_u32(a->facts.p + at + 4),
				    k % 100 == 0 ? IPC_ST_NOTFOUND : IPC_ST_OK);
				assert_int_equal(n, k % 100 == 0 ? 0 : FACTS - k % 7);
				at += 12 + n;
				uid = uid == 20 ? 30 : uid == 49 ? 53 : uid + 1;
			}
			got += a->facts.n;
			last = a->last;
		}
		assert_true(got > before && got - before <= IPC_WINDOW_BYTES);
		c.bytes = (uint32_t)(got - before);
		rig_send(s, IPC_session_credit, &c);
	}
	assert_int_equal(uid, N + 1);
	assert_true(got > 4 * IPC_WINDOW_BYTES);
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

/* What parsed can make nothing of is not asked for again by each reader. */
static void poison_is_not_asked_for_again(void **state)
{
	struct rig *r = *state;
	struct rig_client *parsed, *s, *post = rig_post(r, 5);
	struct slice facts;
	uint32_t handle = 1;
	const union ipc_any *m;
	struct ipc_mbox_opened o;

	rig_account(r, 7, IPC_account_make);
	rig_target(r, 5, 1, 7, 0);
	for (uint32_t i = 1; i <= 2; i++) {
		rig_deliver(post, i, &handle, 1, slice_of("poison", 4 + i), SLICE_NONE);
		assert_int_equal(rig_wait(post, IPC_post_result)->post_result.status, IPC_ST_OK);
	}
	/* The first ends two parsers; of the second nothing is made. */
	for (int i = 0; i < 2; i++) {
		parsed = rig_attach(r, IPC_CH_PARSE);
		assert_int_equal(rig_wait(parsed, IPC_parse_begin)->parse_begin.size, 5);
		rig_client_close(parsed);
		rig_spin(r, 20);
	}
	parsed = rig_attach(r, IPC_CH_PARSE);
	m = rig_wait(parsed, IPC_parse_begin);
	assert_int_equal(m->parse_begin.size, 6);
	handle = m->parse_begin.seq;
	rig_wait(parsed, IPC_parse_data);
	rig_wait(parsed, IPC_parse_end);
	rig_send(parsed, IPC_parse_facts,
	    &(struct ipc_parse_facts){ handle, IPC_ST_CORRUPT, SLICE_NONE });
	s = rig_session(r, 7, 1, NULL);
	o = rig_open(s, "INBOX", 0);
	for (uint32_t uid = 1; uid <= 2; uid++) {
		assert_int_equal(rig_facts(s, o.mbox, uid, &facts), IPC_ST_NOTFOUND);
		assert_int_equal(rig_facts(s, o.mbox, uid, &facts), IPC_ST_NOTFOUND);
	}
	/* The next question is about what comes now. */
	handle = 1;
	rig_deliver(post, 3, &handle, 1, SLICE("no poison"), SLICE_NONE);
	assert_int_equal(rig_wait(post, IPC_post_result)->post_result.status, IPC_ST_OK);
	assert_int_equal(rig_wait(parsed, IPC_parse_begin)->parse_begin.size, 9);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define CASE(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
		CASE(senseless_requests_end_a_session),
		CASE(identity_changes_end_the_sessions_of_that_account),
		CASE(a_session_that_waits_for_its_account_ends_too),
		CASE(no_session_begins_on_an_account_that_goes),
		CASE(administrators_list_and_kick),
		CASE(an_account_lists_and_kicks_its_own),
		CASE(facts_lie_beside_the_message),
		CASE(headers_are_made_by_the_screenful),
		CASE(facts_keep_to_the_window),
		CASE(poison_does_not_stop_the_parsing),
		CASE(poison_is_not_asked_for_again),
	};

	if (argc > 1)
		rig_spec = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
