/* What a client that selects a large mailbox is told before its index is loaded. */
#include "common/base/wire.h"
#include "stored/early.h"
#include "stored/limits.h"
#include "stored/store-private.h"
#include "tests/unit/stored-look.h"
#include "tests/unit/stored-rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

/* ---- pure: any mailbox, compared with what it is ---- */

enum { UIDS = 20000 };

static uint32_t seed = 1;

static uint32_t rnd(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

struct model {
	bool there[UIDS], unseen[UIDS];
	struct mbox_head head;
	struct early early;
};

static void model_gone(struct model *m, uint32_t first, uint32_t last)
{
	uint8_t val[4];
	struct rec_key key = key_gone(7, first);

	wire_store_u32(val, last);
	early_gone(&m->early, key_slice(&key), slice_of(val, 4));
	for (uint32_t uid = first; uid <= last; uid++)
		m->there[uid] = false;
}

static void model_make(struct model *m, uint32_t uidnext, uint32_t gone, uint32_t unseen_in)
{
	uint32_t since = rnd(3) == 0 ? 0 : uidnext - rnd(500);

	memset(m, 0, sizeof(*m));
	m->head.uidnext = uidnext;
	for (uint32_t uid = 1; uid < uidnext; uid++) {
		m->there[uid] = true;
		m->unseen[uid] = uid >= since && unseen_in != 0 && rnd(unseen_in) == 0;
	}
	while (gone-- > 0) {
		uint32_t first = 1 + rnd(uidnext - 1), n = rnd(30);

		model_gone(m, first, first + n < uidnext ? first + n : uidnext - 1);
	}
	for (uint32_t uid = 1; uid < uidnext; uid++) {
		m->head.exists += m->there[uid];
		m->head.unseen += m->there[uid] && m->unseen[uid];
	}
}

/* The windows as a load tells them; messages that are expunged still have their rows. */
static void model_tell(struct model *m)
{
	early_settle(&m->early);
	while (early_window(&m->early, &m->head)) {
		for (uint32_t uid = m->early.from; uid < m->early.to; uid++)
			early_flags(&m->early, uid, m->unseen[uid] ? 0 : IPC_FLAG_SEEN, false);
		early_window_end(&m->early, &m->head);
	}
}

static void what_is_known_is_true(void **state)
{
	static struct model m;
	unsigned known = 0, not_known = 0;

	for (unsigned turn = 0; turn < 300; turn++) {
		static const uint32_t rare[] = { 0, 1, 3, 200, 5000 };
		uint32_t uidnext = 600 + rnd(UIDS - 600), limit, unseen = 99, want = 0;

		model_make(&m, uidnext, rnd(3) * rnd(100), rare[rnd(5)]);
		model_tell(&m);
		limit = uidnext - rnd(2) * rnd(50);
		for (uint32_t uid = limit - 1; uid > 0; uid--)
			want = m.there[uid] && m.unseen[uid] ? uid : want;
		if (early_known(&m.early, &m.head, limit, &unseen)) {
			uint32_t at = 1;

			assert_int_equal(unseen, want);
			for (size_t i = 0; i <= m.early.holes.n; i++) {
				bool end = i == m.early.holes.n;
				uint32_t to = end ? uidnext : m.early.holes.v[i].first;

				for (; at < to; at++)
					assert_true(m.there[at]);
				for (; !end && at <= m.early.holes.v[i].last; at++)
					assert_false(m.there[at]);
			}
			known++;
		} else {
			not_known++;
		}
		early_fini(&m.early);
	}
	/* The first unseen one may be too old. */
	assert_true(known > 150 && not_known > 10);
}

static void what_does_not_add_up_is_not_known(void **state)
{
	static struct model m;
	struct rec_key key = key_gone(7, 3);
	uint32_t unseen;

	model_make(&m, 5000, 10, 0);
	m.head.exists--;
	model_tell(&m);
	assert_false(early_known(&m.early, &m.head, 5000, &unseen));
	early_fini(&m.early);
	model_make(&m, 5000, 10, 0);
	early_gone(&m.early, key_slice(&key), SLICE("x"));
	model_tell(&m);
	assert_false(early_known(&m.early, &m.head, 5000, &unseen));
	early_fini(&m.early);
	/* A copy is under way: its rows are no messages yet. */
	model_make(&m, 5000, 0, 0);
	m.head.staged = 4000;
	model_tell(&m);
	assert_false(early_known(&m.early, &m.head, 5000, &unseen));
	early_fini(&m.early);
}

/* ---- in the store ---- */

struct told {
	struct buf uids;
	uint32_t first_unseen;
};

static void told_get(struct rig_client *s, uint32_t mbox, struct told *t)
{
	const struct ipc_mbox_uids_are *a;

	*t = (struct told){ .uids = BUF_INIT(1 << 20) };
	rig_send(s, IPC_mbox_uids, &(struct ipc_mbox_uids){ 3, mbox });
	do {
		a = &rig_wait(s, IPC_mbox_uids_are)->mbox_uids_are;
		assert_int_equal(a->status, IPC_ST_OK);
		buf_put(&t->uids, a->uids);
		t->first_unseen = a->first_unseen;
	} while (a->more != 0);
}

/* Told first from the header and the history, then, when the rows were asked for, from the index.
 */
static void same_twice(struct rig *r)
{
	struct rig_client *s;
	struct ipc_mbox_opened o;
	struct told early, late;

	rig_restart(r);
	s = rig_session(r, 7, 1, NULL);
	o = rig_open(s, "INBOX", 0);
	told_get(s, o.mbox, &early);
	rig_send(s, IPC_mbox_scan, &(struct ipc_mbox_scan){ .seq = 4, .mbox = o.mbox, .limit = 1 });
	assert_int_equal(rig_wait(s, IPC_mbox_rows)->mbox_rows.status, IPC_ST_OK);
	told_get(s, o.mbox, &late);
	assert_true(slice_eq(buf_slice(&early.uids), buf_slice(&late.uids)));
	assert_int_equal(early.first_unseen, late.first_unseen);
	buf_fini(&early.uids);
	buf_fini(&late.uids);
	rig_client_close(s);
}

static void the_store_says_the_same_early_and_late(void **state)
{
	enum { N = 6000 };
	static struct piece p[1000];
	struct rig *r = *state;
	struct rig_client *s;
	struct ipc_mbox_opened o;

	for (int keywords = 0; keywords < 2; keywords++) {
		s = rig_session(r, 7, 1, NULL);
		for (size_t i = 0; i < 1000; i++)
			p[i] = (struct piece){ 0, keywords ? "word" : "", 0, SLICE("x"), SLICE("f"),
				SLICE("h") };
		for (int i = 0; keywords == 0 && i < N / 1000; i++)
			assert_int_equal(put_pieces(s, "INBOX", p, 1000).status, IPC_ST_OK);
		assert_int_equal(put_pieces(s, "INBOX", p, 1).status, IPC_ST_OK);
		same_twice(r);
		s = rig_session(r, 7, 1, NULL);
		o = rig_open(s, "INBOX", 0);
		/* All seen but some: new ones, then older than any window. */
		rig_flags(s, o.mbox, 1, N + 2, IPC_FLAGS_ADD, IPC_FLAG_SEEN);
		same_twice(r);
		s = rig_session(r, 7, 1, NULL);
		o = rig_open(s, "INBOX", 0);
		rig_flags(s, o.mbox, N - 100, N - 90, IPC_FLAGS_REMOVE, IPC_FLAG_SEEN);
		rig_expunge(s, o.mbox, N - 100, N - 95);
		rig_expunge(s, o.mbox, 1, 3);
		rig_expunge(s, o.mbox, 30, 40);
		same_twice(r);
		s = rig_session(r, 7, 1, NULL);
		o = rig_open(s, "INBOX", 0);
		rig_flags(s, o.mbox, 50, 60, IPC_FLAGS_REMOVE, IPC_FLAG_SEEN);
		same_twice(r);
	}
}

/* Nobody asks for more than what was told early: the index comes all the same. */
static void the_index_is_loaded_behind_the_answer(void **state)
{
	static struct piece p[1000];
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, 7, 1, NULL);
	struct ipc_mbox_opened o;
	struct told early;
	struct account *a;

	for (size_t i = 0; i < 1000; i++)
		p[i] = (struct piece){ 0, "", 0, SLICE("x"), SLICE("f"), SLICE("h") };
	for (int i = 0; i < 3; i++)
		assert_int_equal(put_pieces(s, "INBOX", p, 1000).status, IPC_ST_OK);
	/* The second time it ends while the rest waits. */
	for (int i = 0; i < 2; i++) {
		rig_restart(r);
		s = rig_session(r, 7, 1, NULL);
		o = rig_open(s, "INBOX", 0);
		told_get(s, o.mbox, &early);
		buf_fini(&early.uids);
	}
	a = idmap_get(&r->store->accounts, 7);
	for (int ms = 0; ms < 60000 && a->inbox->cols_state != COLS_READY; ms += 10)
		rig_spin(r, 10);
	assert_int_equal(a->inbox->cols_state, COLS_READY);
	rig_client_close(s);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_known_is_true),
		cmocka_unit_test(what_does_not_add_up_is_not_known),
		cmocka_unit_test_setup_teardown(
		    the_store_says_the_same_early_and_late, rig_setup_account, rig_teardown),
		cmocka_unit_test_setup_teardown(
		    the_index_is_loaded_behind_the_answer, rig_setup_account, rig_teardown),
	};

	if (argc > 1)
		rig_spec = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
