/*
 * An engine without an atom over groups, and stored that dies between any two of its commits: each
 * operation over several groups is whole afterwards or was never begun, also when the replay itself
 * is broken off; and when the account is dropped nothing of it is left in the store.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "stored/store-private.h"
#include "tests/unit/stored-rig.h"

#include "common/base/wire.h"

#include <stdio.h>
#include <stdlib.h>

/* More commits than any of the operations has; how many of a replay's are let through. */
enum { ACCOUNT = 7, COMMITS_MAX = 12, AGAIN_MAX = 3, STATE_MAX = 2000 };

static const char *spec = "mem:one_group=1";
static bool mail_comes; /* it may or may not be there, and takes a uid */

/* The answer's status; TRYLATER when the session ends instead. */
static int answer(struct rig_client *s, enum ipc_type want)
{
	enum ipc_type type;
	const union ipc_any *m;

	do {
		m = rig_next(s, 10000, &type, NULL);
		if (m == NULL || type == IPC_session_bye)
			return IPC_ST_TRYLATER;
	} while (type != want);
	if (type == IPC_copy_done)
		return (int)m->copy_done.status;
	if (type == IPC_lost_done)
		return (int)m->lost_done.status;
	if (type == IPC_undelete_done)
		return (int)m->undelete_done.status;
	return (int)m->mbox_done.status;
}

/* ---- what is there ---- */

static void say(char *state, const char *text)
{
	assert_true(strlen(state) + strlen(text) < STATE_MAX);
	strcat(state, text);
}

static bool say_box(struct rig_client *s, const char *name, char *state)
{
	static uint8_t rows[IPC_ROW_BYTES * 100];
	struct ipc_mbox_opened o = rig_open(s, name, 0);
	uint64_t bytes;
	char text[200];
	size_t n = 0;

	if (o.status == IPC_ST_NOTFOUND)
		return true;
	if (o.status != IPC_ST_OK || rig_scan(s, o.mbox, 1, rows, 100, &n) != IPC_ST_OK)
		return false;
	assert_int_equal(n, o.exists);
	snprintf(text, sizeof(text), "%s next %u bytes %llu:", name, o.uidnext,
	    (unsigned long long)o.bytes);
	say(state, mail_comes ? name : text);
	bytes = o.bytes;
	for (size_t i = 0; i < n; i++) {
		uint32_t uid = wire_load_u32(rows + i * IPC_ROW_BYTES);
		uint8_t *p = NULL;
		size_t len = 0;

		assert_int_equal(rig_body(s, o.mbox, uid, &p, &len), IPC_ST_OK);
		snprintf(text, sizeof(text), " %u=%.*s", mail_comes ? 0 : uid, (int)len, (char *)p);
		if (!mail_comes || strcmp(text, " 0=mail") != 0)
			say(state, text);
		bytes -= len;
		free(p);
	}
	assert_int_equal(bytes, 0);
	say(state, "\n");
	return true;
}

static void say_figures(struct rig *r, char *state)
{
	struct rig_client *ad = rig_admin(r, IPC_RIGHT_MASTER, 0);
	struct slice text;

	rig_send(ad, IPC_stat_ask, &(struct ipc_stat_ask){ 2, ACCOUNT });
	text = rig_wait(ad, IPC_stat_reply)->stat_reply.text;
	for (int i = 0; i < 5 && text.n > 0 && !mail_comes; i++) {
		struct slice figure = slice_take(&text, '\n');
		char line[200];

		snprintf(line, sizeof(line), "%.*s\n", SLICE_FMT(figure));
		say(state, line);
	}
	rig_client_close(ad);
}

static void look(struct rig *r, char *state)
{
	for (int tries = 0; tries < 100; tries++) {
		int status;
		struct rig_client *s = rig_session(r, ACCOUNT, 1, &status);
		bool all;

		state[0] = 0;
		if (s == NULL && status == IPC_ST_NOTFOUND) {
			say(state, "no account\n");
			return;
		}
		all = s != NULL && say_box(s, "INBOX", state) && say_box(s, "There", state) &&
		      say_box(s, "Else", state);
		if (s != NULL)
			rig_client_close(s);
		if (all) {
			say_figures(r, state);
			return;
		}
		rig_spin(r, 2);
	}
	fail_msg("the account cannot be opened");
}

/* ---- what is done ---- */

static void make_box(struct rig_client *s, const char *name)
{
	rig_send(s, IPC_mbox_create, &(struct ipc_mbox_create){ 1, slice_str(name), 0 });
	assert_int_equal(answer(s, IPC_mbox_done), IPC_ST_OK);
}

static int move(
    struct rig_client *s, const char *from, const char *to, uint32_t first, uint32_t last)
{
	struct ipc_mbox_opened o = rig_open(s, from, 0);
	uint8_t pair[8];

	if (o.status != IPC_ST_OK)
		return (int)o.status;
	wire_store_u32(pair, first);
	wire_store_u32(pair + 4, last);
	rig_send(s, IPC_msg_copy,
	    &(struct ipc_msg_copy){ 1, o.mbox, 1, slice_str(to), slice_of(pair, 8) });
	return answer(s, IPC_copy_done);
}

static void nothing(struct rig *r)
{
}

static void account(struct rig *r)
{
	struct rig_client *s;

	assert_int_equal(rig_account(r, ACCOUNT, IPC_account_make), IPC_ST_OK);
	s = rig_session(r, ACCOUNT, 1, NULL);
	make_box(s, "There");
	for (int i = 0; i < 5; i++)
		assert_int_equal(
		    rig_put(r, ACCOUNT, slice_str((const char *[]){ "a", "bb", "c", "d", "e" }[i])),
		    IPC_ST_OK);
	assert_int_equal(move(s, "INBOX", "There", 2, 2), IPC_ST_OK);
	rig_client_close(s);
}

static int delete (struct rig *r)
{
	struct rig_client *s = rig_session(r, ACCOUNT, 1, NULL);
	int status;

	rig_send(s, IPC_mbox_delete, &(struct ipc_mbox_delete){ 1, SLICE("There") });
	status = answer(s, IPC_mbox_done);
	rig_client_close(s);
	return status;
}

static void no_there(struct rig *r)
{
	account(r);
	assert_int_equal(delete (r), IPC_ST_OK);
}

/* And another one of that name. */
static void there_anew(struct rig *r)
{
	struct rig_client *s;

	no_there(r);
	s = rig_session(r, ACCOUNT, 1, NULL);
	make_box(s, "There");
	rig_client_close(s);
}

/* And another one beside it. */
static void there_and_else(struct rig *r)
{
	struct rig_client *s;

	account(r);
	s = rig_session(r, ACCOUNT, 1, NULL);
	make_box(s, "Else");
	assert_int_equal(move(s, "INBOX", "Else", 3, 3), IPC_ST_OK);
	rig_client_close(s);
}

/* The second is asked for before the first is answered. */
static int delete_both(struct rig *r)
{
	struct rig_client *s = rig_session(r, ACCOUNT, 1, NULL);
	int status;

	rig_send(s, IPC_mbox_delete, &(struct ipc_mbox_delete){ 1, SLICE("There") });
	rig_send(s, IPC_mbox_delete, &(struct ipc_mbox_delete){ 2, SLICE("Else") });
	status = answer(s, IPC_mbox_done);
	if (status == IPC_ST_OK)
		status = answer(s, IPC_mbox_done);
	rig_client_close(s);
	return status;
}

static int make(struct rig *r)
{
	return rig_account(r, ACCOUNT, IPC_account_make);
}

static int drop(struct rig *r)
{
	return rig_account(r, ACCOUNT, IPC_account_drop);
}

static int move_two(struct rig *r)
{
	struct rig_client *s = rig_session(r, ACCOUNT, 1, NULL);
	int status = move(s, "INBOX", "There", 1, 3);

	rig_client_close(s);
	return status;
}

/* Into the INBOX, while mail comes there: it waits for the move. */
static int move_and_mail(struct rig *r)
{
	struct rig_client *s = rig_session(r, ACCOUNT, 1, NULL), *post = rig_post(r, 100);
	struct ipc_mbox_opened o = rig_open(s, "There", 0);
	uint32_t handle = 1;
	uint8_t pair[8];
	int status;

	wire_store_u32(pair, 1);
	wire_store_u32(pair + 4, 1);
	rig_target(r, 100, handle, ACCOUNT, 0);
	rig_send(s, IPC_msg_copy,
	    &(struct ipc_msg_copy){ 1, o.mbox, 1, SLICE("INBOX"), slice_of(pair, 8) });
	rig_deliver(post, 1, &handle, 1, SLICE("mail"), SLICE("facts"));
	status = answer(s, IPC_copy_done);
	rig_client_close(s);
	(void)rig_wait(post, IPC_post_result);
	rig_client_close(post);
	return status;
}

static int restore(struct rig *r)
{
	struct rig_client *s = rig_session(r, ACCOUNT, 1, NULL);
	int status;

	rig_send(s, IPC_lost_ask,
	    &(struct ipc_lost_ask){
		.seq = 1, .what = IPC_LOST_RESTORE, .name = SLICE("There"), .until = INT64_MAX });
	status = answer(s, IPC_lost_done);
	rig_client_close(s);
	return status;
}

static int purge(struct rig *r)
{
	struct rig_client *ad = rig_admin(r, IPC_RIGHT_MASTER, 0);
	int status;

	rig_send(ad, IPC_undelete_ask,
	    &(struct ipc_undelete_ask){ .seq = 1,
		.what = IPC_LOST_PURGE,
		.account = ACCOUNT,
		.name = SLICE("There"),
		.until = INT64_MAX });
	status = answer(ad, IPC_undelete_done);
	rig_client_close(ad);
	return status;
}

/* ---- dying ---- */

struct scene {
	const char *name;
	void (*begin)(struct rig *r);
	int (*act)(struct rig *r);
	int (*first)(struct rig *r); /* what `act` does first, if that may be all */
	bool forever;                /* what is deleted cannot be restored */
	bool again;                  /* it is asked for until it was answered */
	bool mail;
};

static uint64_t rows_of(const struct rig *r)
{
	struct engine_stats s;

	engine_stats(r->engine, &s);
	return s.overlay_rows;
}

static uint64_t begin(struct rig *r, const struct scene *c)
{
	uint64_t rows;

	rig_init(r, spec);
	if (c->forever) {
		r->undelete_s = 0;
		rig_restart(r);
	}
	rows = rows_of(r);
	c->begin(r);
	return rows;
}

/* After `commits` commits, and then `again` more of a replay, nothing goes any more. */
static bool die(const struct scene *c, unsigned commits, unsigned again, const char *before,
    const char *between, const char *after)
{
	struct engine_faults f = {
		.seed = 100 * commits + again, .reorder = true, .last_commits = commits
	};
	char state[STATE_MAX];
	struct rig r;
	uint64_t rows = begin(&r, c), at_start;
	bool done, finished;

	assert_int_equal(engine_faults_set(r.engine, &f), 0);
	done = c->act(&r) == IPC_ST_OK;
	f.last_commits = again;
	assert_int_equal(engine_faults_set(r.engine, &f), 0);
	if (again > 0 && c->again) {
		(void)c->act(&r);
	} else if (again > 0) {
		int status;
		struct rig_client *s = rig_session(&r, ACCOUNT, 2, &status);

		if (s != NULL)
			rig_client_close(s);
	}
	rig_crash(&r);
	at_start = rows_of(&r);
	look(&r, state);
	/* What is in the store's group is not left for the next load: it may never come. */
	if (c->again)
		assert_int_equal(rows_of(&r), at_start);
	finished = strcmp(state, after) == 0;
	if (done && !finished)
		fail_msg("%s, %u commits: acknowledged and not there: %s", c->name, commits, state);
	if (!finished && strcmp(state, before) != 0 && strcmp(state, between) != 0)
		fail_msg("%s, %u commits, %u again: half: %s", c->name, commits, again, state);
	if (c->again && !finished) {
		assert_int_equal(c->act(&r), IPC_ST_OK);
		look(&r, state);
		assert_string_equal(state, after);
	}
	assert_int_equal(drop(&r), IPC_ST_OK);
	assert_int_equal(rows_of(&r), rows);
	rig_fini(&r);
	return done ? false : finished;
}

static void scene(const struct scene *c)
{
	char before[STATE_MAX], between[STATE_MAX] = "", after[STATE_MAX];
	unsigned replayed = 0;
	struct rig r;

	mail_comes = c->mail;
	begin(&r, c);
	look(&r, before);
	assert_int_equal(c->act(&r), IPC_ST_OK);
	look(&r, after);
	assert_string_not_equal(before, after);
	rig_fini(&r);
	if (c->first != NULL) {
		begin(&r, c);
		assert_int_equal(c->first(&r), IPC_ST_OK);
		look(&r, between);
		rig_fini(&r);
	}
	for (unsigned commits = 1; commits <= COMMITS_MAX; commits++)
		for (unsigned again = 0; again <= AGAIN_MAX; again++)
			replayed += die(c, commits, again, before, between, after);
	/* Some deaths came behind the intent and before the last of its parts. */
	assert_true(replayed > 0);
}

static void an_account_is_made(void **state)
{
	scene(&(struct scene){ "make", nothing, make, .again = true });
}

static void an_account_is_dropped(void **state)
{
	scene(&(struct scene){ "drop", account, drop, .again = true });
}

static void messages_are_moved(void **state)
{
	scene(&(struct scene){ "move", account, move_two });
}

static void mail_comes_while_messages_are_moved(void **state)
{
	scene(&(struct scene){ "move and mail", account, move_and_mail, .mail = true });
}

static void a_mailbox_is_deleted(void **state)
{
	scene(&(struct scene){ "delete", account, delete });
}

static void a_mailbox_is_deleted_for_good(void **state)
{
	scene(&(struct scene){ "delete for good", account, delete, .forever = true });
}

static void two_mailboxes_are_deleted(void **state)
{
	scene(&(struct scene){
	    "delete two", there_and_else, delete_both, .first = delete, .forever = true });
}

static void messages_are_restored(void **state)
{
	scene(&(struct scene){ "restore", there_anew, restore });
}

static void a_deleted_mailbox_is_purged(void **state)
{
	scene(&(struct scene){ "purge", no_there, purge });
}

/* ---- what cannot be carried out ---- */

/* A drop that was broken off behind its intent; stored starts while reads and commits fail. What it
 * could not read then it carries out later, though nobody asks for the account again. */
static bool drop_is_finished_later(unsigned seed)
{
	struct engine_faults dead = { .seed = 1, .last_commits = 1 };
	struct engine_faults bad = { .seed = seed, .io = 4, .reorder = true };
	struct rig r;
	uint64_t before, rows;
	bool late;

	before = begin(&r, &(struct scene){ "drop", account, drop });
	assert_int_equal(engine_faults_set(r.engine, &dead), 0);
	(void)drop(&r);
	rows = rows_of(&r);
	if (!rig_restart_amid(&r, &bad)) {
		rig_crash(&r);
		assert_int_equal(rows_of(&r), before);
		rig_fini(&r);
		return false;
	}
	late = rows_of(&r) == rows;
	r.store->intent_retry_ms = 0;
	for (int i = 0; i < 6000 && rows_of(&r) != before; i++)
		rig_spin(&r, 10);
	assert_int_equal(rows_of(&r), before);
	rig_fini(&r);
	return late;
}

static void what_fails_at_the_start_is_done_later(void **state)
{
	unsigned late = 0;

	for (unsigned seed = 1; seed <= 60 && late < 3; seed++)
		late += drop_is_finished_later(seed);
	assert_true(late > 0);
}

static void count(void *arg, int rc)
{
	++*(unsigned *)arg;
}

/* Who hands in a batch of an account that was forgotten hears it at once, and only so. */
static void nothing_is_handed_in_for_a_forgotten_account(void **state)
{
	struct rec_key key = key_kind(REC_HEAD);
	struct commit_ask ask = { .done = count };
	struct engine_batch *b;
	unsigned called = 0;
	struct account *a;
	struct rig r;

	rig_init(&r, spec);
	account(&r);
	a = idmap_get(&r.store->accounts, ACCOUNT);
	assert_non_null(a);
	account_ref(a);
	account_forget(a);
	b = engine_batch_new(a->root);
	assert_int_equal(engine_put(b, key_slice(&key), SLICE("x")), 0);
	ask.account = a;
	ask.arg = &called;
	assert_int_not_equal(commit_hand_in(r.store, &ask, &b, 1), 0);
	rig_spin(&r, 10);
	assert_int_equal(called, 0);
	assert_non_null(b);
	engine_batch_free(&b);
	account_unref(a);
	rig_fini(&r);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_account_is_made),
		cmocka_unit_test(an_account_is_dropped),
		cmocka_unit_test(messages_are_moved),
		cmocka_unit_test(mail_comes_while_messages_are_moved),
		cmocka_unit_test(a_mailbox_is_deleted),
		cmocka_unit_test(a_mailbox_is_deleted_for_good),
		cmocka_unit_test(two_mailboxes_are_deleted),
		cmocka_unit_test(messages_are_restored),
		cmocka_unit_test(a_deleted_mailbox_is_purged),
		cmocka_unit_test(what_fails_at_the_start_is_done_later),
		cmocka_unit_test(nothing_is_handed_in_for_a_forgotten_account),
	};

	if (argc > 1)
		spec = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
