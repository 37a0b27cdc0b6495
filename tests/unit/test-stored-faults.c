/*
 * stored when the engine fails: deliveries, expunges and flags at random while commits are answered
 * FULL, IO or UNKNOWN. Whatever was acknowledged is there once and byte-equal, whatever was refused
 * is there at most once, and a uid never changes what it names.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/stored-rig.h"

#include "common/base/wire.h"

#include <stdlib.h>

enum { ACCOUNTS = 4, CONNS = 3, STEPS = 400, ATTEMPTS_MAX = 2 * STEPS, UIDS_MAX = 4096 };

enum fate { FATE_NONE, FATE_OPEN, FATE_ACKED, FATE_REFUSED };

struct attempt {
	enum fate fate[ACCOUNTS];
	bool expunged[ACCOUNTS], maybe_expunged[ACCOUNTS];
	unsigned seen[ACCOUNTS];
};

struct world {
	struct rig rig;
	uint64_t rnd, sid;
	struct rig_client *conns[CONNS];
	struct attempt attempts[ATTEMPTS_MAX];
	uint32_t n_attempts;
	uint64_t ids[ACCOUNTS][UIDS_MAX]; /* what a uid names */
	unsigned acked, refused, expunged;
};

static uint32_t rnd(struct world *w, uint32_t below)
{
	w->rnd ^= w->rnd << 13;
	w->rnd ^= w->rnd >> 7;
	w->rnd ^= w->rnd << 17;
	return (uint32_t)(w->rnd >> 20) % below;
}

/* The body of an attempt: its number, then bytes made from it. */
static size_t body_make(uint32_t attempt, uint8_t *out)
{
	size_t n = 8 + attempt * 7919u % (attempt % 50 == 0 ? 200000 : 4000);

	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)((attempt + i) * 31 + (i >> 8));
	wire_store_u32(out, attempt);
	wire_store_u32(out + 4, (uint32_t)n);
	return n;
}

static bool body_right(struct slice got, uint32_t *ret_attempt)
{
	static uint8_t want[300000];
	size_t n;

	if (got.n < 8)
		return false;
	*ret_attempt = wire_load_u32(got.p);
	n = body_make(*ret_attempt, want);
	return slice_eq(got, slice_of(want, n));
}

static void conn_open(struct world *w, unsigned i)
{
	uint64_t sid = ++w->sid;

	w->conns[i] = rig_post(&w->rig, sid);
	for (uint32_t a = 0; a < ACCOUNTS; a++)
		for (int tries = 0;
		     rig_target(&w->rig, sid, a + 1, 100 + a, 0) != IPC_ST_OK && tries < 50;
		     tries++)
			;
}

static void results_take(struct world *w, struct rig_client *c, int ms)
{
	enum ipc_type type;
	const union ipc_any *m;

	while ((m = rig_next(c, ms, &type, NULL)) != NULL) {
		const struct ipc_post_result *r = &m->post_result;
		enum fate *f;

		if (type != IPC_post_result)
			continue;
		f = &w->attempts[r->tag].fate[r->handle - 1];
		assert_int_equal(*f, FATE_OPEN);
		*f = r->status == IPC_ST_OK ? FATE_ACKED : FATE_REFUSED;
		w->acked += r->status == IPC_ST_OK;
		w->refused += r->status != IPC_ST_OK;
	}
}

static void step_post(struct world *w)
{
	static uint8_t body[300000];
	uint32_t handles[ACCOUNTS], n = 0, tag = w->n_attempts++;
	struct rig_client *c = w->conns[rnd(w, CONNS)];
	size_t size = body_make(tag, body);

	for (uint32_t a = 0; a < ACCOUNTS; a++)
		if (rnd(w, 2) == 0 || (a + 1 == ACCOUNTS && n == 0)) {
			handles[n++] = a + 1;
			w->attempts[tag].fate[a] = FATE_OPEN;
		}
	rig_deliver(c, tag, handles, n, slice_of(body, size), SLICE("facts"));
	results_take(w, c, rnd(w, 2) ? 0 : 1);
	/* At most a few are under way on one channel. */
	if (rnd(w, 4) == 0)
		for (unsigned i = 0; i < CONNS; i++)
			results_take(w, w->conns[i], 3);
}

/* Looks into an account: every uid still names the same message. A session may end under faults:
 * NULL then. */
static struct rig_client *look(
    struct world *w, uint32_t a, struct ipc_mbox_opened *ret_o, uint8_t *rows, size_t *ret_n)
{
	int status;
	struct rig_client *s = rig_session(&w->rig, 100 + a, ++w->sid, &status);

	if (s == NULL)
		return NULL;
	*ret_o = rig_open(s, "INBOX", 0);
	if (ret_o->status != IPC_ST_OK ||
	    rig_scan(s, ret_o->mbox, 1, rows, UIDS_MAX, ret_n) != IPC_ST_OK) {
		rig_client_close(s);
		return NULL;
	}
	assert_int_equal(*ret_n, ret_o->exists);
	for (size_t i = 0; i < *ret_n; i++) {
		uint32_t uid = wire_load_u32(rows + 40 * i);
		uint64_t id = wire_load_u64(rows + 40 * i + 32);

		assert_true(uid < UIDS_MAX && uid < ret_o->uidnext);
		if (w->ids[a][uid] != 0 && w->ids[a][uid] != id)
			fail_msg("uid %u of account %u names another message now", uid, a);
		w->ids[a][uid] = id;
	}
	return s;
}

static uint8_t rows[40 * UIDS_MAX];

static void step_expunge(struct world *w)
{
	uint32_t a = rnd(w, ACCOUNTS), uid, attempt = 0;
	struct ipc_mbox_opened o;
	size_t n = 0, size = 0;
	uint8_t *p = NULL;
	struct rig_client *s = look(w, a, &o, rows, &n);

	if (s == NULL)
		return;
	if (n > 0) {
		uid = wire_load_u32(rows + 40 * rnd(w, (uint32_t)n));
		if (rig_body(s, o.mbox, uid, &p, &size) == IPC_ST_OK) {
			struct attempt *at;

			assert_true(body_right(slice_of(p, size), &attempt));
			at = &w->attempts[attempt];
			if (rig_expunge(s, o.mbox, uid, uid) == IPC_ST_OK)
				at->expunged[a] = true;
			else
				at->maybe_expunged[a] = true;
			w->expunged += at->expunged[a];
		}
		free(p);
	}
	rig_client_close(s);
}

static void step_flags(struct world *w)
{
	uint32_t a = rnd(w, ACCOUNTS), flag = 1u << rnd(w, 5);
	struct ipc_mbox_opened o;
	size_t n = 0, again = 0;
	struct rig_client *s = look(w, a, &o, rows, &n);

	if (s == NULL)
		return;
	if (n > 0 && rig_flags(s, o.mbox, 1, 100000, IPC_FLAGS_ADD, flag) == IPC_ST_OK &&
	    rig_scan(s, o.mbox, 1, rows, UIDS_MAX, &again) == IPC_ST_OK) {
		assert_int_equal(n, again);
		for (size_t i = 0; i < n; i++)
			assert_true(wire_load_u32(rows + 40 * i + 4) & flag);
	}
	rig_client_close(s);
}

static void check_account(struct world *w, uint32_t a)
{
	struct ipc_mbox_opened o;
	size_t n = 0;
	uint64_t bytes = 0;
	struct rig_client *s = look(w, a, &o, rows, &n);

	assert_non_null(s);
	for (size_t i = 0; i < n; i++) {
		uint32_t uid = wire_load_u32(rows + 40 * i), attempt = 0;
		uint8_t *p = NULL;
		size_t size = 0;

		assert_int_equal(rig_body(s, o.mbox, uid, &p, &size), IPC_ST_OK);
		if (!body_right(slice_of(p, size), &attempt) || attempt >= w->n_attempts)
			fail_msg("uid %u of account %u is no message of ours", uid, a);
		w->attempts[attempt].seen[a]++;
		bytes += size;
		free(p);
	}
	assert_int_equal(bytes, o.bytes);
	rig_client_close(s);
	for (uint32_t i = 0; i < w->n_attempts; i++) {
		const struct attempt *at = &w->attempts[i];

		assert_int_not_equal(at->fate[a], FATE_OPEN);
		if (at->seen[a] > (at->fate[a] != FATE_NONE))
			fail_msg("attempt %u is %u times in account %u", i, at->seen[a], a);
		if (at->expunged[a] && at->seen[a] > 0)
			fail_msg("attempt %u came back to account %u", i, a);
		if (at->fate[a] == FATE_ACKED && at->seen[a] == 0 && !at->expunged[a] &&
		    !at->maybe_expunged[a])
			fail_msg("attempt %u was acknowledged and is not in account %u", i, a);
	}
}

static void run(const struct engine_faults *faults, uint64_t seed)
{
	struct world *w = calloc(1, sizeof(*w));
	struct engine_faults f = *faults;

	assert_non_null(w);
	w->rnd = seed * 0x9e3779b97f4a7c15u + 1;
	rig_init(&w->rig, "mem");
	for (uint32_t a = 0; a < ACCOUNTS; a++)
		assert_int_equal(rig_account(&w->rig, 100 + a, IPC_account_make), IPC_ST_OK);
	for (unsigned i = 0; i < CONNS; i++)
		conn_open(w, i);
	f.seed = seed;
	assert_int_equal(engine_faults_set(w->rig.engine, &f), 0);
	for (int i = 0; i < STEPS; i++) {
		uint32_t what = rnd(w, 10);

		if (what < 7)
			step_post(w);
		else if (what == 7)
			step_flags(w);
		else
			step_expunge(w);
	}
	assert_int_equal(engine_faults_set(w->rig.engine, &(struct engine_faults){ 0 }), 0);
	for (unsigned i = 0; i < CONNS; i++)
		results_take(w, w->conns[i], 100);
	rig_restart(&w->rig);
	for (uint32_t a = 0; a < ACCOUNTS; a++)
		check_account(w, a);
	/* The faults were really there, and there was work all the same. */
	assert_true(w->acked > STEPS / 10);
	if (f.full + f.io + f.unknown > 0)
		assert_true(w->refused > 0);
	rig_fini(&w->rig);
	free(w);
}

static void full_is_an_answer(void **state)
{
	run(&(struct engine_faults){ .full = 5 }, 1);
	run(&(struct engine_faults){ .full = 3, .delay_ms = 1, .reorder = true }, 2);
}

static void a_device_error_loses_nothing(void **state)
{
	run(&(struct engine_faults){ .io = 6 }, 3);
	run(&(struct engine_faults){ .io = 4, .again = 2, .delay_ms = 1 }, 4);
}

static void an_unknown_outcome_is_found_out(void **state)
{
	for (uint64_t seed = 10; seed < 14; seed++)
		run(&(struct engine_faults){ .unknown = 4, .delay_ms = seed % 2 }, seed);
}

static void everything_at_once(void **state)
{
	for (uint64_t seed = 20; seed < 23; seed++)
		run(&(struct engine_faults){ .unknown = 9,
			.io = 12,
			.full = 11,
			.again = 3,
			.delay_ms = 1,
			.reorder = true },
		    seed);
}

/* A damaged body is that message's error and nobody else's. */
static void damage_is_one_message_s_error(void **state)
{
	struct rig r;
	struct rig_client *s;
	struct ipc_mbox_opened o;
	uint8_t *p = NULL;
	size_t n = 0;

	rig_init(&r, "mem");
	rig_account(&r, 7, IPC_account_make);
	rig_put(&r, 7, SLICE("one"));
	rig_put(&r, 7, SLICE("two"));
	s = rig_session(&r, 7, 1, NULL);
	o = rig_open(s, "INBOX", 0);
	engine_faults_set(r.engine, &(struct engine_faults){ .corrupt = 1 });
	assert_int_equal(rig_body(s, o.mbox, 1, &p, &n), IPC_ST_CORRUPT);
	free(p);
	engine_faults_set(r.engine, &(struct engine_faults){ 0 });
	assert_int_equal(rig_body(s, o.mbox, 2, &p, &n), IPC_ST_OK);
	assert_true(slice_eq(slice_of(p, n), SLICE("two")));
	free(p);
	rig_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full_is_an_answer),
		cmocka_unit_test(a_device_error_loses_nothing),
		cmocka_unit_test(an_unknown_outcome_is_found_out),
		cmocka_unit_test(everything_at_once),
		cmocka_unit_test(damage_is_one_message_s_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
