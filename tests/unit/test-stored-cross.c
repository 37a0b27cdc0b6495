/*
 * Messages move between accounts that no commit takes together, and stored dies between any two of
 * the commits, or some of them fail: each message is in one of the accounts, whichever is looked at
 * first, and no uid ever stands for another one. The engine is the argument.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "stored/store-private.h"
#include "tests/unit/cross-world.h"

#include "common/base/wire.h"

#include <stdio.h>
#include <stdlib.h>

enum { COMMITS_MAX = 9, AGAIN_MAX = 3, MANY = 7000, APPEND = 1000 };

/* ---- what is there ---- */

static uint64_t rows_of(const struct rig *r)
{
	struct engine_stats s;

	engine_stats(r->engine, &s);
	return s.overlay_rows;
}

/* Nothing that only the move needed is left after a time; or a row that says that nobody asks. */
static void no_rows_more_than(struct rig *r, uint64_t want, unsigned more)
{
	for (int i = 0; i < CROSS_WAIT_MS / 2 && rows_of(r) > want + more; i++)
		rig_spin(r, 2);
	assert_in_range(rows_of(r), want, want + more);
}

static int move(struct rig *r)
{
	return cross_move(r, HERE, THERE, 2, 4);
}

struct states {
	char before[CROSS_STATE_MAX], after[CROSS_STATE_MAX];
	uint64_t rows_before, rows_after;
};

static void states_find(struct states *w)
{
	struct rig r;

	cross_begin(&r, 2);
	cross_look(&r, HERE, w->before);
	w->rows_before = rows_of(&r);
	assert_int_equal(move(&r), IPC_ST_OK);
	cross_look(&r, HERE, w->after);
	w->rows_after = rows_of(&r);
	rig_fini(&r);
	assert_string_equal(w->before, "1=a 2=b 3=c 4=d 5=e next 6\n1=f 2=g 3=h 4=i next 5\n");
	assert_string_equal(w->after, "1=a 5=e next 6\n1=f 2=g 3=h 4=i 5=b 6=c 7=d next 8\n");
}

static void a_move_is_told_as_such(void **state)
{
	struct rig_client *s, *there;
	struct ipc_mbox_opened o;
	uint32_t uidvalidity;
	enum ipc_type type;
	const union ipc_any *m;
	struct rig r;

	cross_begin(&r, 2);
	s = cross_session(&r, HERE);
	there = cross_session(&r, THERE);
	uidvalidity = rig_open(there, "INBOX", IPC_MBOX_EVENTS).uidvalidity;
	o = rig_open(s, "INBOX", IPC_MBOX_EVENTS);
	rig_send(s, IPC_msg_copy,
	    &(struct ipc_msg_copy){ 77, o.mbox, 1, SLICE("~8/INBOX"), SLICE("\2\0\0\0\4\0\0\0") });
	/* Expunges come before the answer. */
	m = rig_wait(s, IPC_mbox_event);
	assert_int_equal(m->mbox_event.rows.n, 3 * IPC_EVENT_BYTES);
	m = rig_next(s, CROSS_WAIT_MS, &type, NULL);
	assert_int_equal(type, IPC_copy_done);
	assert_int_equal(m->copy_done.status, IPC_ST_OK);
	assert_int_equal(m->copy_done.uidvalidity, uidvalidity);
	assert_int_equal(m->copy_done.uids.n, 12);
	assert_int_equal(wire_load_u32(m->copy_done.uids.p), 2);
	assert_int_equal(wire_load_u32(m->copy_done.uids.p + 4), 5);
	assert_int_equal(wire_load_u32(m->copy_done.uids.p + 8), 3);
	m = rig_wait(there, IPC_mbox_event);
	assert_int_equal(m->mbox_event.rows.n, 3 * IPC_EVENT_BYTES);
	rig_fini(&r);
}

/* ---- dying ---- */

static bool die(const struct states *w, unsigned commits, unsigned again, uint64_t first)
{
	struct engine_faults f = {
		.seed = 100 * commits + again, .reorder = true, .last_commits = commits
	};
	char now[CROSS_STATE_MAX];
	struct rig r;
	bool done, finished;

	cross_begin(&r, 2);
	cross_faults(&r, &f);
	done = move(&r) == IPC_ST_OK;
	f.last_commits = again;
	cross_faults(&r, &f);
	if (again > 0) {
		int status;
		struct rig_client *s = rig_session(&r, HERE, cross_sid(), &status);

		if (s != NULL)
			rig_client_close(s);
	}
	rig_crash(&r);
	cross_look(&r, first, now);
	finished = strcmp(now, w->after) == 0;
	if (done && !finished)
		fail_msg("%u commits: acknowledged and not there: %s", commits, now);
	if (!finished && strcmp(now, w->before) != 0)
		fail_msg("%u commits, %u again: half: %s", commits, again, now);
	no_rows_more_than(&r, finished ? w->rows_after : w->rows_before, again > 0);
	cross_look(&r, first, now);
	assert_string_equal(now, finished ? w->after : w->before);
	rig_fini(&r);
	return !done && finished;
}

static void it_dies_between_any_two(void **state)
{
	unsigned ended = 0;
	struct states w;

	states_find(&w);
	for (unsigned commits = 1; commits <= COMMITS_MAX; commits++)
		for (unsigned again = 0; again <= AGAIN_MAX; again++)
			for (uint64_t first = HERE; first <= THERE; first++)
				ended += die(&w, commits, again, first);
	/* Some deaths came behind the copies, in front of the expunge. */
	assert_true(ended > 0);
}

/* Behind the copies, in front of the expunge: by the number of commits where there is one engine;
 * else each shard has one of the note's account more than it may. */
static void begin_half(struct rig *r)
{
	const struct engine_faults dead = { .seed = 1, .last_commits = cross_by_commits() ? 2 : 1 };

	cross_begin(r, 2);
	cross_faults(r, &dead);
	assert_int_not_equal(move(r), IPC_ST_OK);
	rig_crash(r);
}

/* Who has them there goes on with them: they do not come back to here. */
static void what_is_there_is_taken_further(void **state)
{
	char now[CROSS_STATE_MAX] = "";
	struct rig_client *s;
	struct ipc_mbox_opened o;
	struct rig r;

	begin_half(&r);
	s = cross_session(&r, THERE);
	o = rig_open(s, "INBOX", 0);
	assert_int_equal(o.exists, 7);
	assert_int_equal(rig_expunge(s, o.mbox, 5, 6), IPC_ST_OK);
	rig_client_close(s);
	assert_int_equal(rig_put(&r, THERE, SLICE("j")), IPC_ST_OK);
	cross_look(&r, THERE, now);
	assert_string_equal(now, "1=a 5=e next 6\n1=f 2=g 3=h 4=i 7=d 8=j next 9\n");
	rig_fini(&r);
}

static void they_come_back_at_once(void **state)
{
	char now[CROSS_STATE_MAX] = "";
	struct rig r;

	begin_half(&r);
	assert_int_equal(cross_move(&r, THERE, HERE, 6, 7), IPC_ST_OK);
	cross_look(&r, THERE, now);
	assert_string_equal(now, "1=a 5=e 6=c 7=d next 8\n1=f 2=g 3=h 4=i 5=b next 8\n");
	rig_fini(&r);
}

static void one_of_the_accounts_goes(void **state)
{
	for (uint64_t gone = HERE; gone <= THERE; gone++) {
		char now[CROSS_STATE_MAX] = "";
		struct rig r;

		begin_half(&r);
		assert_int_equal(rig_account(&r, gone, IPC_account_drop), IPC_ST_OK);
		cross_look(&r, THERE, now);
		assert_string_equal(now, gone == HERE ? "none\n1=f 2=g 3=h 4=i 5=b 6=c 7=d next 8\n"
						      : "1=a 2=b 3=c 4=d 5=e next 6\nnone\n");
		rig_fini(&r);
	}
}

/* Reads and commits fail while it is loaded: it is not served until what was begun is over. */
static void what_fails_is_done_later(void **state)
{
	struct engine_faults f = { .io = 2, .reorder = true };
	struct states w;
	char now[CROSS_STATE_MAX];

	states_find(&w);
	for (f.seed = 1; f.seed <= 20; f.seed++) {
		struct rig r;

		begin_half(&r);
		cross_faults(&r, &f);
		for (int i = 0; i < 5; i++) {
			int status;
			struct rig_client *s = rig_session(&r, HERE, cross_sid(), &status);

			if (s == NULL)
				assert_int_equal(status, IPC_ST_TRYLATER);
			else
				rig_client_close(s);
		}
		cross_no_faults(&r);
		cross_look(&r, f.seed % 2 == 0 ? HERE : THERE, now);
		assert_string_equal(now, w.after);
		no_rows_more_than(&r, w.rows_after, 1);
		rig_fini(&r);
	}
}

static void have(struct rig *r, uint64_t account, int want)
{
	int status = IPC_ST_OK;
	struct rig_client *s = rig_session(r, account, cross_sid(), &status);

	assert_int_equal(status, want);
	if (s != NULL)
		rig_client_close(s);
}

/* Nobody can tell meanwhile whether the copies are there: one waits, the others do not. */
static void the_other_shard_is_away(void **state)
{
	const struct engine_faults out = { .seed = 1, .io = 1 };
	struct states w;
	char now[CROSS_STATE_MAX];
	struct account *a;
	struct rig r;

	if (cross_by_commits())
		return; /* there is one only */
	states_find(&w);
	begin_half(&r);
	assert_int_equal(rig_account(&r, HERE + 2, IPC_account_make), IPC_ST_OK);
	have(&r, THERE, IPC_ST_OK);
	a = idmap_get(&r.store->accounts, THERE);
	assert_int_equal(engine_faults_set(engine_shard(store_engine(r.store), a->shard), &out), 0);
	for (int i = 0; i < 3; i++) {
		have(&r, HERE, IPC_ST_TRYLATER);
		have(&r, HERE + 2, IPC_ST_OK);
	}
	cross_no_faults(&r);
	cross_look(&r, HERE, now);
	assert_string_equal(now, w.after);
	rig_fini(&r);
}

/* ---- somebody asks for the account meanwhile ---- */

struct got {
	unsigned n, exists;
};

static void on_got(void *arg, int status, struct account *a)
{
	struct got *g = arg;

	g->n++;
	if (status == IPC_ST_OK)
		g->exists = a->inbox->pub.exists;
	if (status == IPC_ST_OK)
		assert_int_equal(g->exists, 2);
	else
		assert_int_equal(status, IPC_ST_TRYLATER);
}

static void nobody_has_it_before(void **state)
{
	const struct engine_faults slow = { .seed = 1, .delay_ms = 10 };
	struct got got = { 0 };
	unsigned asked = 0;
	struct rig r;

	begin_half(&r);
	cross_faults(&r, &slow);
	while (asked < 1000 && got.exists == 0) {
		account_get(r.store, HERE, 0, on_got, &got);
		asked++;
		rig_spin(&r, 1);
	}
	while (got.n < asked)
		rig_spin(&r, 1);
	assert_int_equal(got.exists, 2);
	cross_no_faults(&r);
	rig_fini(&r);
}

/* The account is forgotten while the move is under way: its next load waits for the move. */
static void forgotten_amid(const struct states *w, int ms)
{
	const struct engine_faults slow = { .seed = (uint64_t)ms + 1, .delay_ms = 6 };
	char now[CROSS_STATE_MAX];
	struct rig_client *s;
	struct ipc_mbox_opened o;
	struct account *a;
	struct rig r;
	bool finished;

	cross_begin(&r, 2);
	s = cross_session(&r, HERE);
	o = rig_open(s, "INBOX", 0);
	cross_faults(&r, &slow);
	rig_send(s, IPC_msg_copy,
	    &(struct ipc_msg_copy){ 1, o.mbox, 1, SLICE("~8/INBOX"), SLICE("\2\0\0\0\4\0\0\0") });
	rig_spin(&r, ms);
	a = idmap_get(&r.store->accounts, HERE);
	assert_non_null(a);
	account_forget(a);
	cross_look(&r, HERE, now);
	cross_no_faults(&r);
	cross_look(&r, HERE, now);
	finished = strcmp(now, w->after) == 0;
	if (!finished)
		assert_string_equal(now, w->before);
	no_rows_more_than(&r, finished ? w->rows_after : w->rows_before, 1);
	rig_fini(&r);
}

static void its_load_waits_for_the_move(void **state)
{
	struct states w;

	states_find(&w);
	for (int ms = 1; ms <= 18; ms++)
		forgotten_amid(&w, ms);
}

/* ---- many ---- */

static size_t ids_of(struct rig *r, uint64_t account, uint64_t *ids)
{
	static uint8_t rows[IPC_ROW_BYTES * MANY];
	struct rig_client *s = cross_session(r, account);
	struct ipc_mbox_opened o = rig_open(s, "INBOX", 0);
	size_t n = 0;

	assert_int_equal(rig_scan(s, o.mbox, 1, rows, MANY, &n), IPC_ST_OK);
	assert_int_equal(n, o.exists);
	for (size_t i = 0; i < n; i++)
		ids[i] = wire_load_u64(rows + i * IPC_ROW_BYTES + 48);
	rig_client_close(s);
	return n;
}

/* Each second one, so that there are as many runs as messages: more than one portion. */
static int move_every_second(struct rig *r)
{
	static uint8_t pairs[8 * (MANY / 2)];
	struct rig_client *s = cross_session(r, HERE);
	struct ipc_mbox_opened o = rig_open(s, "INBOX", 0);
	int status;

	for (uint32_t i = 0; i < MANY / 2; i++) {
		wire_store_u32(pairs + 8 * i, 2 * i + 1);
		wire_store_u32(pairs + 8 * i + 4, 2 * i + 1);
	}
	rig_send(s, IPC_msg_copy,
	    &(struct ipc_msg_copy){
		1, o.mbox, 1, SLICE("~8/INBOX"), slice_of(pairs, sizeof(pairs)) });
	status = cross_answer(s, IPC_copy_done);
	rig_client_close(s);
	return status;
}

static void many_begin(struct rig *r)
{
	static struct piece p[APPEND];
	struct rig_client *s;

	for (size_t i = 0; i < APPEND; i++)
		p[i] = (struct piece){ 0, "", 0, SLICE("x"), SLICE("facts") };
	rig_init(r, cross_spec);
	r->on_foreign = cross_routerd;
	r->service = "imap";
	for (uint64_t a = HERE; a <= THERE; a++)
		assert_int_equal(rig_account(r, a, IPC_account_make), IPC_ST_OK);
	s = cross_session(r, HERE);
	for (size_t n = 0; n < MANY; n += APPEND)
		assert_int_equal(put_pieces(s, "INBOX", p, APPEND).status, IPC_ST_OK);
	rig_client_close(s);
}

static int by_number(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void more_than_a_portion(void **state)
{
	static uint64_t ids[2 * MANY];
	unsigned some = 0, all = 0;

	for (unsigned commits = 1; commits <= COMMITS_MAX; commits++) {
		const struct engine_faults f = { .seed = commits, .last_commits = commits };
		struct rig r;
		size_t n, here;
		int status;

		many_begin(&r);
		cross_faults(&r, &f);
		status = move_every_second(&r);
		rig_crash(&r);
		here = ids_of(&r, HERE, ids);
		n = here + ids_of(&r, THERE, ids + here);
		assert_int_equal(n, MANY);
		qsort(ids, n, sizeof(ids[0]), by_number);
		for (size_t i = 1; i < n; i++)
			assert_true(ids[i] > ids[i - 1]);
		assert_true(here == MANY || here == MANY / 2 || here == MANY - COPY_CROSSES);
		if (status == IPC_ST_OK)
			assert_int_equal(here, MANY / 2);
		some += here == MANY - COPY_CROSSES;
		all += here == MANY / 2;
		rig_fini(&r);
	}
	assert_true(some > 0 && all > 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_move_is_told_as_such),
		cmocka_unit_test(it_dies_between_any_two),
		cmocka_unit_test(what_is_there_is_taken_further),
		cmocka_unit_test(they_come_back_at_once),
		cmocka_unit_test(one_of_the_accounts_goes),
		cmocka_unit_test(what_fails_is_done_later),
		cmocka_unit_test(the_other_shard_is_away),
		cmocka_unit_test(nobody_has_it_before),
		cmocka_unit_test(its_load_waits_for_the_move),
		cmocka_unit_test(more_than_a_portion),
	};

	if (argc > 1)
		cross_spec = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
