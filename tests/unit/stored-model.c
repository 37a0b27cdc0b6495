#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/stored-model.h"

#include "common/base/wire.h"

#include <stdlib.h>

uint32_t model_random(struct model *w, uint32_t below)
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

static void conn_open(struct model *w, unsigned i)
{
	uint64_t sid = ++w->sid;

	w->conns[i] = rig_post(&w->rig, sid);
	for (uint32_t a = 0; a < ACCOUNTS; a++)
		for (int tries = 0;
		     rig_target(&w->rig, sid, a + 1, 100 + a, 0) != IPC_ST_OK && tries < 50;
		     tries++)
			;
}

void model_results(struct model *w, struct rig_client *c, int ms)
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

/* Of few message ids, so that threads join and part. */
static struct slice thread_make(struct model *w)
{
	size_t n = model_random(w, 5);

	for (size_t i = 0; i < n; i++)
		wire_store_u64(w->thread + 8 * i, model_random(w, 20) + (i > 0));
	return slice_of(w->thread, 8 * n);
}

void model_post(struct model *w, struct rig_client *c)
{
	static uint8_t body[300000];
	uint32_t handles[ACCOUNTS], n = 0, tag = w->n_attempts++;
	size_t size = body_make(tag, body);

	for (uint32_t a = 0; a < ACCOUNTS; a++)
		if (model_random(w, 2) == 0 || (a + 1 == ACCOUNTS && n == 0)) {
			handles[n++] = a + 1;
			w->attempts[tag].fate[a] = FATE_OPEN;
		}
	w->rig.thread = thread_make(w);
	rig_deliver(c, tag, handles, n, slice_of(body, size), SLICE("facts"));
}

/* Looks into an account: every uid still names the same message. A session may end under faults:
 * NULL then. */
static struct rig_client *look(
    struct model *w, uint32_t a, struct ipc_mbox_opened *ret_o, uint8_t *rows, size_t *ret_n)
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
		uint32_t uid = wire_load_u32(rows + IPC_ROW_BYTES * i);
		uint64_t id = wire_load_u64(rows + IPC_ROW_BYTES * i + 48);
		uint64_t thread = wire_load_u64(rows + IPC_ROW_BYTES * i + 56);

		assert_true(uid < UIDS_MAX && uid < ret_o->uidnext);
		if (w->ids[a][uid] != 0 && w->ids[a][uid] != id)
			fail_msg("uid %u of account %u names another message now", uid, a);
		w->ids[a][uid] = id;
		if (w->threads[a][uid] != 0 && w->threads[a][uid] != thread)
			fail_msg("uid %u of account %u is of another thread now", uid, a);
		w->threads[a][uid] = thread;
	}
	return s;
}

static uint8_t rows[IPC_ROW_BYTES * UIDS_MAX];

/* The question alone: the store dies before or after it did it. */
static void expunge_send(struct rig_client *s, uint32_t mbox, uint32_t uid)
{
	uint8_t pair[8];

	wire_store_u32(pair, uid);
	wire_store_u32(pair + 4, uid);
	rig_send(s, IPC_msg_expunge, &(struct ipc_msg_expunge){ 1, mbox, 0, slice_of(pair, 8) });
}

void model_expunge(struct model *w, bool wait)
{
	uint32_t a = model_random(w, ACCOUNTS), uid, attempt = 0;
	struct ipc_mbox_opened o;
	size_t n = 0, size = 0;
	uint8_t *p = NULL;
	struct rig_client *s = look(w, a, &o, rows, &n);

	if (s == NULL)
		return;
	if (n > 0) {
		uid = wire_load_u32(rows + IPC_ROW_BYTES * model_random(w, (uint32_t)n));
		if (rig_body(s, o.mbox, uid, &p, &size) == IPC_ST_OK) {
			struct attempt *at;

			assert_true(body_right(slice_of(p, size), &attempt));
			at = &w->attempts[attempt];
			if (!wait)
				expunge_send(s, o.mbox, uid);
			if (wait && rig_expunge(s, o.mbox, uid, uid) == IPC_ST_OK)
				at->expunged[a] = true;
			else
				at->maybe_expunged[a] = true;
			w->expunged += at->expunged[a];
		}
		free(p);
	}
	if (wait)
		rig_client_close(s);
}

void model_flags(struct model *w)
{
	uint32_t a = model_random(w, ACCOUNTS), flag = 1u << model_random(w, 5);
	struct ipc_mbox_opened o;
	size_t n = 0, again = 0;
	struct rig_client *s = look(w, a, &o, rows, &n);

	if (s == NULL)
		return;
	if (n > 0 && rig_flags(s, o.mbox, 1, 100000, IPC_FLAGS_ADD, flag) == IPC_ST_OK &&
	    rig_scan(s, o.mbox, 1, rows, UIDS_MAX, &again) == IPC_ST_OK) {
		assert_int_equal(n, again);
		for (size_t i = 0; i < n; i++)
			assert_true(wire_load_u32(rows + IPC_ROW_BYTES * i + 4) & flag);
	}
	rig_client_close(s);
}

static void check_account(struct model *w, uint32_t a)
{
	struct ipc_mbox_opened o;
	size_t n = 0;
	uint64_t bytes = 0;
	struct rig_client *s = look(w, a, &o, rows, &n);

	assert_non_null(s);
	for (size_t i = 0; i < n; i++) {
		uint32_t uid = wire_load_u32(rows + IPC_ROW_BYTES * i), attempt = 0;
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

void model_check(struct model *w)
{
	for (uint32_t i = 0; i < w->n_attempts; i++)
		memset(w->attempts[i].seen, 0, sizeof(w->attempts[i].seen));
	for (uint32_t a = 0; a < ACCOUNTS; a++)
		check_account(w, a);
}

void model_died(struct model *w)
{
	for (uint32_t i = 0; i < w->n_attempts; i++)
		for (uint32_t a = 0; a < ACCOUNTS; a++)
			if (w->attempts[i].fate[a] == FATE_OPEN)
				w->attempts[i].fate[a] = FATE_LOST;
}

void model_begin(struct model *w, uint64_t seed, bool make)
{
	w->rnd = seed * 0x9e3779b97f4a7c15u + 1;
	/* The upper half is the instance that the rig's hello tells. */
	if (w->sid == 0)
		w->sid = UINT64_C(2) << 32;
	for (uint32_t a = 0; make && a < ACCOUNTS; a++)
		assert_int_equal(rig_account(&w->rig, 100 + a, IPC_account_make), IPC_ST_OK);
	for (unsigned i = 0; i < CONNS; i++)
		conn_open(w, i);
}
