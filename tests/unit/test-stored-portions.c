/*
 * A copy in portions, with compaction between any two of them: what is still to be stored has moved
 * more often than a place is good for, and so have the rows that are in no index yet.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/stored-rig-private.h"

#include "common/base/clock.h"
#include "common/base/wire.h"
#include "stored/copy-private.h"

#include <stdio.h>
#include <stdlib.h>

enum { N = 96, WHOLE = 40, PORTION = 32, CYCLES = 3, BODY = 3000, JUNK = 600000 };

/* ---- a copy stops before each portion ---- */

static bool stops;
static struct copy *stopped;

void __real_copy_store(struct copy *c);
void __wrap_copy_store(struct copy *c);

void __wrap_copy_store(struct copy *c)
{
	if (!stops) {
		__real_copy_store(c);
		return;
	}
	assert_null(stopped);
	stopped = c;
}

static void on_rc(void *arg, int rc)
{
	*(int *)arg = rc;
}

static void wait_rc(struct rig *r, const int *rc)
{
	int64_t until = clock_mono_ms() + 60000;

	while (*rc == -1 && clock_mono_ms() < until)
		rig_turn(r, 10);
	assert_int_equal(*rc, ENGINE_OK);
}

/* In place of the one before, which lies beside all other bodies since the last compaction. */
static void put_junk(struct rig *r, unsigned shard)
{
	static uint8_t junk[JUNK];
	struct engine_body *e = engine_body_begin(r->engine, JUNK, NULL, NULL);
	struct engine_group *g = NULL;
	struct engine_batch *b;
	int rc = -1;

	assert_int_equal(engine_group_open_now(
			     r->engine, SLICE("junk"), 0, ENGINE_CREATE | ENGINE_IN(shard), &g),
	    0);
	for (size_t at = 0; at < JUNK; at += JUNK / 2)
		assert_int_equal(engine_body_append(e, slice_of(junk, JUNK / 2)), 0);
	assert_int_equal(engine_body_end(e, NULL, NULL), 0);
	b = engine_batch_new(g);
	assert_int_equal(engine_put_body(b, SLICE("k"), SLICE("v"), e), 0);
	engine_commit(r->engine, &b, 1, on_rc, &rc);
	wait_rc(r, &rc);
	engine_group_close(&g);
	engine_body_free(&e);
}

/* Every body goes to another place, and the file of the one before is gone. */
static void compact(struct rig *r)
{
	struct engine_stats before, after;
	int rc = -1;

	for (unsigned k = 0; k < engine_shards(r->engine); k++)
		put_junk(r, k);
	engine_stats(r->engine, &before);
	engine_compact(r->engine, NULL, on_rc, &rc);
	wait_rc(r, &rc);
	engine_stats(r->engine, &after);
	assert_true(after.moved_bytes >= before.moved_bytes + BODY / 2);
	assert_true(after.dropped_files > before.dropped_files);
}

static int copied(struct rig_client *s)
{
	int64_t until = clock_mono_ms() + 60000;
	unsigned portions = 0;
	enum ipc_type type;
	const union ipc_any *m;
	struct copy *c;

	for (;;) {
		m = rig_next(s, 5, &type, NULL);
		if (m != NULL && type == IPC_copy_done && !m->copy_done.more)
			break;
		assert_true(clock_mono_ms() < until);
		if (stopped == NULL)
			continue;
		for (int i = 0; portions > 0 && i < CYCLES; i++)
			compact(s->rig);
		portions++;
		c = stopped;
		stopped = NULL;
		__real_copy_store(c);
	}
	if (stops)
		assert_int_equal(portions, N / PORTION);
	return (int)m->copy_done.status;
}

static int copy(struct rig_client *s, const char *from, const char *to, uint32_t n)
{
	struct ipc_mbox_opened o = rig_open(s, from, 0);
	uint8_t pair[8];

	assert_int_equal(o.status, IPC_ST_OK);
	wire_store_u32(pair, 1);
	wire_store_u32(pair + 4, n);
	rig_send(s, IPC_msg_copy,
	    &(struct ipc_msg_copy){
		++s->rig->seq, o.mbox, 0, slice_str(to), slice_of(pair, sizeof(pair)) });
	return copied(s);
}

/* ---- mail ---- */

static uint8_t body[BODY];

static void routerd(struct rig *r, const struct ipc_foreign_ask *m)
{
	rig_send(r->routerd, IPC_foreign_is,
	    &(struct ipc_foreign_is){ .seq = m->seq,
		.status = IPC_DIR_OK,
		.account = 2,
		.name = SLICE("canonical@example.test") });
}

static struct rig_client *begin(struct rig *r, const char *spec)
{
	struct rig_client *s;
	uint32_t n = 1;

	for (size_t i = 0; i < BODY; i++)
		body[i] = (uint8_t)('!' + i * i % 89);
	rig_init(r, spec);
	r->on_foreign = routerd;
	r->service = "imap";
	r->compress = 0;
	engine_pace(r->engine, (uint64_t)1 << 40, (uint64_t)1 << 40);
	for (uint64_t id = 1; id <= 2; id++)
		assert_int_equal(rig_account(r, id, IPC_account_make), IPC_ST_OK);
	assert_int_equal(rig_put(r, 1, slice_of(body, BODY)), IPC_ST_OK);
	s = rig_session(r, 1, 1, NULL);
	rig_send(s, IPC_mbox_create, &(struct ipc_mbox_create){ ++r->seq, SLICE("There"), 0 });
	assert_int_equal(rig_wait(s, IPC_mbox_done)->mbox_done.status, IPC_ST_OK);
	for (; n < N; n += n < N - n ? n : N - n)
		assert_int_equal(copy(s, "INBOX", "INBOX", n < N - n ? n : N - n), IPC_ST_OK);
	compact(r); /* from now on the junk lies beside the bodies */
	r->store->copy_whole = WHOLE;
	r->store->copy_portion = PORTION;
	return s;
}

static struct mbox *box_of(struct rig *r, uint64_t account, const char *name)
{
	struct account *a = idmap_get(&r->store->accounts, account);

	for (size_t i = 0; i < a->n_mboxes; i++)
		if (slice_eq(a->mboxes[i]->name, slice_str(name)))
			return a->mboxes[i];
	fail_msg("there is no %s", name);
	return NULL;
}

static void on_place(void *arg, const struct engine_loc *loc)
{
	assert_non_null(loc);
	*(struct engine_loc *)arg = *loc;
}

/* What memory says of them is what their rows say. */
static void expect_places(struct rig *r, struct mbox *m, size_t n)
{
	assert_int_equal(m->cols_state, COLS_READY);
	assert_int_equal(m->cols.n, n);
	for (size_t i = 0; i < n; i++) {
		unsigned before = r->store->in_flight;
		struct engine_loc loc;

		assert_true(place_find(m, m->cols.uid[i], false, on_place, &loc));
		while (r->store->in_flight > before)
			rig_turn(r, 10);
		assert_memory_equal(&m->cols.loc[i], &loc, sizeof(loc));
	}
}

static void expect_bodies(struct rig_client *s, const char *name, uint32_t n)
{
	static uint8_t rows[IPC_ROW_BYTES * 3 * N];
	struct ipc_mbox_opened o = rig_open(s, name, 0);
	size_t found = 0;

	assert_int_equal(o.exists, n);
	assert_int_equal(
	    rig_scan(s, o.mbox, 1, rows, sizeof(rows) / IPC_ROW_BYTES, &found), IPC_ST_OK);
	assert_int_equal(found, n);
	for (uint32_t uid = 1; uid <= n; uid += 7) {
		uint8_t *p = NULL;
		size_t len;

		assert_int_equal(rig_body(s, o.mbox, uid, &p, &len), IPC_ST_OK);
		assert_int_equal(len, BODY);
		assert_memory_equal(p, body, BODY);
		free(p);
	}
}

static void over_compactions(const char *spec, const char *to, uint64_t whose, const char *box)
{
	struct rig r;
	struct rig_client *s = begin(&r, spec), *there;
	uint32_t n = strcmp(to, "INBOX") == 0 ? 2 * N : N;

	there = whose == 1 ? s : rig_session(&r, whose, 2, NULL);
	expect_bodies(there, box, n - N); /* its index is loaded now */
	stops = true;
	assert_int_equal(copy(s, "INBOX", to, N), IPC_ST_OK);
	stops = false;
	expect_places(&r, box_of(&r, whose, box), n);
	expect_places(&r, box_of(&r, 1, "INBOX"), whose == 1 && n > N ? n : N);
	expect_bodies(there, box, n);
	/* What memory says is good enough to copy from. */
	assert_int_equal(copy(there, box, box, N), IPC_ST_OK);
	rig_restart(&r);
	expect_bodies(rig_session(&r, whose, 3, NULL), box, n + N);
	rig_fini(&r);
}

static void into_another_mailbox(void **state)
{
	over_compactions("lmdb", "There", 1, "There");
}

static void into_the_same_mailbox(void **state)
{
	over_compactions("lmdb", "INBOX", 1, "INBOX");
}

static void into_another_shard(void **state)
{
	over_compactions("3*lmdb", "~two/INBOX", 2, "INBOX");
}

static int teardown(void **state)
{
	stops = false;
	stopped = NULL;
	return 0;
}

int main(void)
{
#define CASE(f) cmocka_unit_test_teardown(f, teardown)
	const struct CMUnitTest tests[] = {
		CASE(into_another_mailbox),
		CASE(into_the_same_mailbox),
		CASE(into_another_shard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
