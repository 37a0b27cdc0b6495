/* Compaction takes bodies elsewhere while somebody reads them slowly: nobody notices. */
#include "stored/store-private.h"
#include "tests/unit/stored-rig.h"

#include "common/base/clock.h"
#include "common/base/wire.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

enum { BODY = 900000, JUNK = 600000, STEP = 64 << 10, PASSES = 8 };

static uint8_t body[BODY], junk[JUNK];

static void wait_rc(struct rig *r, const int *rc)
{
	int64_t until = clock_mono_ms() + 60000;

	while (*rc == -1 && clock_mono_ms() < until)
		rig_spin(r, 1);
	assert_int_equal(*rc, ENGINE_OK);
}

static void on_rc(void *arg, int rc)
{
	*(int *)arg = rc;
}

static void put_junk(struct rig *r, struct engine_group *g, bool there)
{
	struct engine_batch *b = engine_batch_new(g);
	struct engine_body *e = engine_body_begin(r->engine, JUNK, NULL, NULL);
	int rc = -1;

	for (size_t at = 0; at < JUNK; at += JUNK / 2)
		assert_int_equal(engine_body_append(e, slice_of(junk + at, JUNK / 2)), 0);
	assert_int_equal(engine_body_end(e, NULL, NULL), 0);
	if (there)
		assert_int_equal(engine_put_body(b, SLICE("k"), SLICE("v"), e), 0);
	else
		assert_int_equal(engine_del(b, SLICE("k")), 0);
	engine_commit(r->engine, &b, 1, on_rc, &rc);
	wait_rc(r, &rc);
	engine_body_free(&e);
}

/* Everything that lives goes somewhere else, as what lies beside it does not live. */
static void compact(struct rig *r)
{
	struct engine_group *g = NULL;
	struct engine_stats before, after;
	int rc = -1;

	assert_int_equal(engine_group_open_now(r->engine, SLICE("junk"), 0, ENGINE_CREATE, &g), 0);
	put_junk(r, g, true);
	put_junk(r, g, false);
	engine_group_close(&g);
	engine_stats(r->engine, &before);
	engine_compact(r->engine, NULL, on_rc, &rc);
	wait_rc(r, &rc);
	engine_stats(r->engine, &after);
	assert_true(after.moved_bytes >= before.moved_bytes + BODY / 2);
}

static struct rig_client *begin(struct rig *r, struct ipc_mbox_opened *o)
{
	struct rig_client *s;

	/* Of 64 values: packed, it takes three quarters. */
	for (size_t i = 0; i < BODY; i++) {
		uint64_t z = (i + 1) * 0x9e3779b97f4a7c15u;

		body[i] = (uint8_t)((z ^ z >> 29) * 0xbf58476d1ce4e5b9u >> 58);
	}
	rig_init(r, "lmdb");
	assert_int_equal(rig_account(r, 7, IPC_account_make), IPC_ST_OK);
	assert_int_equal(rig_put(r, 7, slice_of(body, BODY)), IPC_ST_OK);
	s = rig_session(r, 7, 1, NULL);
	*o = rig_open(s, "INBOX", 0);
	return s;
}

/* Bytes and their place; returns how many. */
static size_t expect_bytes(struct slice data, size_t at)
{
	assert_true(data.n <= BODY - at);
	assert_memory_equal(data.p, body + at, data.n);
	return data.n;
}

static void credit(struct rig_client *s)
{
	rig_send(s, IPC_session_credit, &(struct ipc_session_credit){ .bytes = STEP });
}

static void read_over_passes(struct rig *r, struct rig_client *s, uint32_t mbox)
{
	size_t at = 0, limit = IPC_WINDOW_BYTES;

	rig_send(s, IPC_body_get, &(struct ipc_body_get){ .seq = 3, .mbox = mbox, .uid = 1 });
	while (at < BODY) {
		while (at < BODY && at < limit) {
			struct ipc_body_data d = rig_wait(s, IPC_body_data)->body_data;

			assert_int_equal(d.status, IPC_ST_OK);
			at += expect_bytes(d.data, at);
			assert_int_equal(d.last, at == BODY);
		}
		if (limit < IPC_WINDOW_BYTES + PASSES * STEP)
			for (int i = 0; i < (limit == IPC_WINDOW_BYTES ? 3 : 1); i++)
				compact(r);
		credit(s);
		limit += STEP;
	}
}

static void a_body_is_read_over_compactions(void **state)
{
	struct ipc_mbox_opened o;
	struct rig r;
	struct rig_client *s = begin(&r, &o);

	(void)state;
	read_over_passes(&r, s, o.mbox);
	rig_fini(&r);
}

/* What another session expunged is still read by the one that sees it. */
static void an_expunged_body_is_read_over_compactions(void **state)
{
	struct ipc_mbox_opened o, o2;
	struct rig r;
	struct rig_client *s = begin(&r, &o), *other;

	(void)state;
	other = rig_session(&r, 7, 2, NULL);
	o2 = rig_open(other, "INBOX", 0);
	assert_int_equal(rig_expunge(other, o2.mbox, 1, 1), IPC_ST_OK);
	read_over_passes(&r, s, o.mbox);
	rig_fini(&r);
}

static void pieces_are_read_over_compactions(void **state)
{
	struct ipc_mbox_opened o;
	struct rig r;
	struct rig_client *s = begin(&r, &o);
	uint8_t part[20] = { 1 };
	size_t at = 0, got = 0, limit = IPC_WINDOW_BYTES;
	bool last = false;

	(void)state;
	rig_send(s, IPC_parts_get,
	    &(struct ipc_parts_get){ .seq = 3, .mbox = o.mbox, .parts = slice_of(part, 20) });
	while (!last) {
		while (!last && got < limit) {
			struct ipc_parts_are a = rig_wait(s, IPC_parts_are)->parts_are;
			struct wire_reader w = wire_reader(a.data);

			got += a.data.n;
			last = a.last != 0;
			while (wire_left(&w) > 0) {
				assert_int_equal(wire_get_u32(&w), IPC_ST_OK);
				(void)wire_get_u32(&w);
				at += expect_bytes(wire_get_bytes(&w, UINT32_MAX), at);
			}
			/* What is left of the window is too little for an answer. */
			if (limit - got < IPC_WINDOW_MIN)
				break;
		}
		if (limit < IPC_WINDOW_BYTES + PASSES * STEP)
			for (int i = 0; i < (limit == IPC_WINDOW_BYTES ? 3 : 1); i++)
				compact(&r);
		credit(s);
		limit += STEP;
	}
	assert_int_equal(at, BODY);
	rig_fini(&r);
}

/* The index was not told, as it is when its mailbox is being opened again: the row knows. */
static void the_row_says_where_the_body_is(void **state)
{
	struct ipc_mbox_opened o;
	struct rig r;
	struct rig_client *s = begin(&r, &o);
	uint8_t *p;
	size_t n;

	struct account *a = idmap_get(&r.store->accounts, 7);

	(void)state;
	engine_group_on_moved(a->inbox->group, NULL, NULL);
	for (int i = 0; i < 4; i++)
		compact(&r);
	assert_int_equal(rig_body(s, o.mbox, 1, &p, &n), IPC_ST_OK);
	assert_int_equal(n, BODY);
	assert_memory_equal(p, body, n);
	free(p);
	rig_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_body_is_read_over_compactions),
		cmocka_unit_test(an_expunged_body_is_read_over_compactions),
		cmocka_unit_test(pieces_are_read_over_compactions),
		cmocka_unit_test(the_row_says_where_the_body_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
