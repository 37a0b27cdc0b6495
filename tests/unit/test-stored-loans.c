/*
 * Many messages that are copied share facts and kept headers with those that they were copied from:
 * whatever becomes of these, each message has its own as long as it is there. On every engine: its
 * spec is the argument.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/stored-look.h"

#include "common/base/wire.h"
#include "stored/loans.h"
#include "stored/store-private.h"

#include <stdio.h>
#include <stdlib.h>

enum { N = 200, ROWS_MAX = 40000, AT_ID = 48 };

static uint8_t rows[IPC_ROW_BYTES * ROWS_MAX];
static uint64_t ids[N]; /* of the message whose facts say that number */

/* ---- what is done ---- */

static void done(struct rig_client *s, enum ipc_type want)
{
	enum ipc_type type;

	do
		assert_non_null(rig_next(s, 60000, &type, NULL));
	while (type != want);
}

static struct rig_client *fill(struct rig *r, const char *name)
{
	static char text[N][3][64];
	struct rig_client *s = rig_session(r, 7, 1, NULL);
	struct piece p[N];
	struct ipc_mbox_opened o;
	size_t n;

	if (!slice_eq(slice_str(name), SLICE("INBOX")))
		put_mailbox(s, name);
	put_mailbox(s, "A");
	put_mailbox(s, "B");
	for (int i = 0; i < N; i++) {
		snprintf(text[i][0], 64, "body of message %d", i);
		snprintf(text[i][1], 64, "facts %d", i);
		snprintf(text[i][2], 64, "header %d", i);
		p[i] = (struct piece){ 0, "", i, slice_str(text[i][0]), slice_str(text[i][1]),
			slice_str(text[i][2]) };
	}
	assert_int_equal(put_pieces(s, name, p, N).status, IPC_ST_OK);
	o = rig_open(s, name, 0);
	assert_int_equal(rig_scan(s, o.mbox, 1, rows, ROWS_MAX, &n), IPC_ST_OK);
	assert_int_equal(n, N);
	for (int i = 0; i < N; i++)
		ids[i] = wire_load_u64(rows + i * IPC_ROW_BYTES + AT_ID);
	rig_send(s, IPC_mbox_close, &(struct ipc_mbox_close){ ++r->seq, o.mbox });
	done(s, IPC_store_done);
	return s;
}

/* Pairs of uids. */
static void copy(struct rig_client *s, const char *from, const char *to, bool move,
    const uint32_t *uids, size_t n)
{
	struct ipc_mbox_opened o = rig_open(s, from, 0);
	struct ipc_msg_copy q = { ++s->rig->seq, o.mbox, move, slice_str(to),
		slice_of(uids, n * sizeof(*uids)) };
	enum ipc_type type;
	const union ipc_any *m;

	rig_send(s, IPC_msg_copy, &q);
	do {
		m = rig_next(s, 60000, &type, NULL);
		assert_non_null(m);
		if (type == IPC_copy_done)
			assert_int_equal(m->copy_done.status, IPC_ST_OK);
	} while (type != IPC_copy_done || m->copy_done.more);
	rig_send(s, IPC_mbox_close, &(struct ipc_mbox_close){ ++s->rig->seq, o.mbox });
	done(s, IPC_store_done);
}

static void copy_run(struct rig_client *s, const char *from, const char *to, bool move,
    uint32_t first, uint32_t last)
{
	const uint32_t pair[2] = { first, last };

	copy(s, from, to, move, pair, 2);
}

static void expunge(struct rig_client *s, const char *name, uint32_t first, uint32_t last)
{
	struct ipc_mbox_opened o = rig_open(s, name, 0);

	assert_int_equal(rig_expunge(s, o.mbox, first, last), IPC_ST_OK);
	rig_send(s, IPC_mbox_close, &(struct ipc_mbox_close){ ++s->rig->seq, o.mbox });
	done(s, IPC_store_done);
}

static void lost(struct rig *r, uint32_t what, const char *name)
{
	struct rig_client *ad = rig_admin(r, UINT64_MAX, 0);

	rig_send(ad, IPC_undelete_ask,
	    &(struct ipc_undelete_ask){ .seq = ++r->seq,
		.what = what,
		.account = 7,
		.name = slice_str(name),
		.until = INT64_MAX });
	done(ad, IPC_undelete_done);
	rig_client_close(ad);
}

/* ---- what is found ---- */

/* Facts and header of each message are its own; how many messages there are. */
static size_t look(struct rig_client *s, const char *name)
{
	struct ipc_mbox_opened o = rig_open(s, name, 0);
	struct slice facts;
	char want[64];
	size_t n = 0;

	assert_int_equal(o.status, IPC_ST_OK);
	assert_int_equal(rig_scan(s, o.mbox, 1, rows, ROWS_MAX, &n), IPC_ST_OK);
	for (size_t i = 0; i<n; i += n> 2000 ? 97 : 1) {
		uint32_t uid = wire_load_u32(rows + i * IPC_ROW_BYTES);
		uint64_t id = wire_load_u64(rows + i * IPC_ROW_BYTES + AT_ID);
		int k = 0;

		while (k < N && ids[k] != id)
			k++;
		assert_in_range(k, 0, N - 1);
		snprintf(want, sizeof(want), "facts %d", k);
		if (rig_facts(s, o.mbox, uid, &facts) != IPC_ST_OK)
			fail_msg("%s: uid %u has no facts", name, uid);
		assert_true(slice_eq(facts, slice_str(want)));
		snprintf(want, sizeof(want), "header %d", k);
		if (rig_header(s, o.mbox, uid, &facts) != IPC_ST_OK)
			fail_msg("%s: uid %u has no header", name, uid);
		assert_true(slice_eq(facts, slice_str(want)));
	}
	rig_send(s, IPC_mbox_close, &(struct ipc_mbox_close){ ++s->rig->seq, o.mbox });
	done(s, IPC_store_done);
	return n;
}

/* All of a mailbox at once: one answer after the other, each message once, in order. */
static void look_at_once(struct rig_client *s, const char *name, size_t want)
{
	struct ipc_mbox_opened o = rig_open(s, name, 0);
	struct ipc_facts_get q = { .seq = ++s->rig->seq,
		.mbox = o.mbox,
		.what = IPC_FACTS_HEADER,
		.uids = SLICE("\1\0\0\0\377\377\377\377") };
	uint32_t last = 0;
	size_t n = 0;
	enum ipc_type type;
	const union ipc_any *m;

	rig_send(s, IPC_facts_get, &q);
	do {
		m = rig_next(s, 60000, &type, NULL);
		assert_non_null(m);
		if (type != IPC_facts_are)
			continue;
		assert_int_equal(m->facts_are.status, IPC_ST_OK);
		rig_send(s, IPC_session_credit,
		    &(struct ipc_session_credit){ (uint32_t)m->facts_are.facts.n });
		for (struct wire_reader r = wire_reader(m->facts_are.facts); wire_left(&r) > 0;
		     n++) {
			uint32_t uid = wire_get_u32(&r);

			assert_true(uid > last);
			last = uid;
			assert_int_equal(wire_get_u32(&r), IPC_ST_OK);
			(void)wire_get_bytes(&r, 1000);
		}
	} while (type != IPC_facts_are || !m->facts_are.last);
	assert_int_equal(n, want);
	rig_send(s, IPC_mbox_close, &(struct ipc_mbox_close){ ++s->rig->seq, o.mbox });
	done(s, IPC_store_done);
}

static struct mbox *mbox(struct rig *r, const char *name)
{
	int status;

	return account_mbox(idmap_get(&r->store->accounts, 7), slice_str(name), &status);
}

static size_t shared(struct rig *r, const char *name)
{
	const struct loans *l = &mbox(r, name)->loans;
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++)
		n += l->v[i].n;
	return n;
}

static struct rig_client *again(struct rig *r)
{
	rig_restart(r);
	return rig_session(r, 7, 1, NULL);
}

/* ---- cases ---- */

/* Against a plain table, through rows of the store. */
static void cut_and_packed(void **state)
{
	static uint8_t row[LOANS_ROW_MAX];
	static uint32_t there[10001];
	struct loans l = { 0 }, read;

	srand(2);
	for (uint32_t uid = 1; uid <= 10000; uid++)
		if (rand() % 8 != 0) {
			there[uid] = uid / 3000 + uid;
			assert_int_equal(loans_add(&l, uid, uid / 4000, there[uid]), 0);
		}
	for (int i = 0; i < 3000; i++) {
		uint32_t first = (uint32_t)rand() % 10100, last = first + (uint32_t)rand() % 4;

		assert_int_equal(loans_cut(&l, first, last), 0);
		for (; first <= last; first++)
			if (first <= 10000)
				there[first] = 0;
	}
	read = (struct loans){ 0 };
	for (size_t i = 0; i < l.n; i++)
		if (i == 0 || l.v[i].row != l.v[i - 1].row)
			assert_int_equal(loans_unpack(&read, l.v[i].row,
					     slice_of(row, loans_pack(&l, l.v[i].row, row))),
			    0);
	for (uint32_t uid = 1; uid <= 10000; uid++) {
		const struct loan *one = loans_at(&read, uid);
		bool has = one != NULL && one->first <= uid;

		assert_int_equal(has, there[uid] != 0);
		if (has)
			assert_int_equal(one->there + (uid - one->first), there[uid]);
		if (has)
			assert_int_equal(one->mbox, uid / 4000);
	}
	loans_fini(&l);
	loans_fini(&read);
}

static void a_copy_of_many_shares(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = fill(r, "INBOX");

	copy_run(s, "INBOX", "A", false, 1, 30);
	assert_int_equal(shared(r, "A"), 0);
	copy_run(s, "INBOX", "A", false, 1, N);
	copy_run(s, "INBOX", "INBOX", false, 1, N);
	assert_int_equal(shared(r, "A"), N);
	assert_int_equal(shared(r, "INBOX"), N);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(look(s, "A"), 30 + N);
		assert_int_equal(look(s, "INBOX"), 2 * N);
		look_at_once(s, "A", 30 + N);
		if (i == 0)
			s = again(r);
	}
	assert_int_equal(shared(r, "A"), N);
}

/* Every third message, and some of a copy: many short loans, of several lenders. */
static void some_of_a_copy_share_with_the_first(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = fill(r, "INBOX");
	uint32_t third[2 * N];
	size_t n = 0;

	for (uint32_t uid = 1; uid <= N; uid += 3) {
		third[n++] = uid;
		third[n++] = uid + (uid % 2);
	}
	copy(s, "INBOX", "A", false, third, n);
	copy_run(s, "A", "A", false, 1, 1000);
	copy_run(s, "A", "B", false, 1, 1000);
	assert_int_equal(shared(r, "A"), look(s, "A"));
	assert_int_equal(shared(r, "B"), look(s, "B"));
	expunge(s, "A", 1, 1000);
	lost(r, IPC_LOST_PURGE, "");
	look_at_once(s, "B", look(s, "B"));
	s = again(r);
	look_at_once(s, "B", look(s, "B"));
}

/* Of what is gone for good, and only then. */
static void what_is_purged_leaves_its_facts(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = fill(r, "INBOX");

	copy_run(s, "INBOX", "A", false, 1, N);
	copy_run(s, "INBOX", "B", false, 50, N);
	expunge(s, "INBOX", 40, 60);
	expunge(s, "INBOX", 20, 100);
	expunge(s, "A", 30, 39); /* uids 30 to 39 of INBOX: there is nothing to leave to them */
	look(s, "A");
	assert_int_equal(shared(r, "A"), N);
	lost(r, IPC_LOST_PURGE, "");
	assert_int_equal(shared(r, "A"), N - 81);
	assert_int_equal(shared(r, "B"), N - 49 - 51);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(look(s, "A"), N - 10);
		assert_int_equal(look(s, "B"), N - 49);
		assert_int_equal(look(s, "INBOX"), N - 81);
		s = again(r);
	}
	assert_int_equal(shared(r, "A"), N - 81);
}

static void what_is_moved_leaves_its_facts(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = fill(r, "INBOX");

	copy_run(s, "INBOX", "A", false, 1, N);
	copy_run(s, "INBOX", "B", true, 10, 90);
	assert_int_equal(shared(r, "A"), N - 81);
	assert_int_equal(shared(r, "B"), 0);
	copy_run(s, "A", "B", true, 50, 150); /* some share, some do not any more */
	assert_int_equal(look(s, "A"), N - 101);
	assert_int_equal(look(s, "B"), 81 + 101);
	s = again(r);
	assert_int_equal(look(s, "A"), N - 101);
	assert_int_equal(look(s, "B"), 81 + 101);
	assert_int_equal(look(s, "INBOX"), N - 81);
}

static void a_mailbox_that_goes_leaves_facts(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = fill(r, "From");

	copy_run(s, "From", "A", false, 1, N);
	rig_send(s, IPC_mbox_delete, &(struct ipc_mbox_delete){ ++r->seq, SLICE("From") });
	done(s, IPC_mbox_done);
	assert_int_equal(look(s, "A"), N);
	s = again(r);
	assert_int_equal(look(s, "A"), N);
	assert_int_equal(shared(r, "A"), N);
	lost(r, IPC_LOST_PURGE, "");
	assert_int_equal(look(s, "A"), N);
	assert_int_equal(shared(r, "A"), 0);
	s = again(r);
	assert_int_equal(look(s, "A"), N);
}

static void what_comes_back_has_its_facts(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = fill(r, "INBOX");

	copy_run(s, "INBOX", "A", false, 1, N);
	expunge(s, "INBOX", 5, 50);
	expunge(s, "A", 20, 100);
	lost(r, IPC_LOST_RESTORE, "");
	assert_int_equal(look(s, "INBOX"), N);
	assert_int_equal(look(s, "A"), N);
	lost(r, IPC_LOST_PURGE, "");
	s = again(r);
	assert_int_equal(look(s, "INBOX"), N);
	assert_int_equal(look(s, "A"), N);
}

/* More than one commit takes, by doubling; then the first ones go. */
static void a_copy_in_portions_shares(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = fill(r, "INBOX");
	size_t n = N;

	copy_run(s, "INBOX", "A", false, 1, N);
	for (; n < 20000; n *= 2)
		copy_run(s, "A", "A", false, 1, UINT32_MAX);
	assert_int_equal(shared(r, "A"), n);
	assert_int_equal(look(s, "A"), n);
	look_at_once(s, "A", n);
	expunge(s, "INBOX", 1, N / 2);
	lost(r, IPC_LOST_PURGE, "");
	assert_int_equal(shared(r, "A"), n / 2);
	s = again(r);
	assert_int_equal(shared(r, "A"), n / 2);
	look_at_once(s, "A", n);
}

/* What parsed made for one message is that one's, whatever the lender has. */
static void later_facts_are_its_own(void **state)
{
	const struct late_facts late = {
		.source = FACTS_PARSED, .facts = SLICE("facts 49"), .header = SLICE("header 49")
	};
	struct rig *r = *state;
	struct rig_client *s = fill(r, "INBOX");
	struct slice facts;
	struct ipc_mbox_opened o;

	copy_run(s, "INBOX", "A", false, 1, N);
	change_facts(mbox(r, "A"), 51, &late);
	for (int i = 0; i < 1000 && shared(r, "A") == N; i++)
		rig_spin(r, 10);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(shared(r, "A"), N - 1);
		o = rig_open(s, "A", 0);
		assert_int_equal(rig_facts(s, o.mbox, 51, &facts), IPC_ST_OK);
		assert_true(slice_eq(facts, SLICE("facts 49")));
		assert_int_equal(rig_header(s, o.mbox, 51, &facts), IPC_ST_OK);
		assert_true(slice_eq(facts, SLICE("header 49")));
		assert_int_equal(rig_header(s, o.mbox, 52, &facts), IPC_ST_OK);
		assert_true(slice_eq(facts, SLICE("header 51")));
		s = again(r);
	}
}

/* Where nothing is kept, the lender's rows go at once: they are copied. */
static void nothing_is_shared_where_nothing_is_kept(void **state)
{
	struct rig *r = *state;
	struct rig_client *s;

	r->undelete_s = 0;
	rig_restart(r);
	s = fill(r, "INBOX");
	copy_run(s, "INBOX", "A", false, 1, N);
	assert_int_equal(shared(r, "A"), 0);
	expunge(s, "INBOX", 1, N);
	assert_int_equal(look(s, "A"), N);
}

/* Anything, again and again: no message is ever without what it had. */
static void whatever_happens_each_has_its_own(void **state)
{
	static const char *const names[] = { "INBOX", "A", "B" };
	struct rig *r = *state;
	struct rig_client *s = fill(r, "INBOX");

	srand(1);
	for (int i = 0; i < 60; i++) {
		const char *from = names[rand() % 3], *to = names[rand() % 3];
		uint32_t first = 1 + (uint32_t)rand() % 400, last = first + (uint32_t)rand() % 200;
		size_t n = look(s, to);

		if (i % 10 == 9)
			s = again(r);
		if (rand() % 5 == 0)
			lost(r, rand() % 2 ? IPC_LOST_PURGE : IPC_LOST_RESTORE, "");
		if (n > 400 || rand() % 4 == 0)
			expunge(s, n > 400 ? to : from, first, last);
		else
			copy_run(s, from, to, rand() % 3 == 0, first, last);
	}
	for (int i = 0; i < 3; i++)
		look_at_once(s, names[i], look(s, names[i]));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, rig_setup_account, rig_teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cut_and_packed),
		CASE(a_copy_of_many_shares),
		CASE(some_of_a_copy_share_with_the_first),
		CASE(what_is_purged_leaves_its_facts),
		CASE(what_is_moved_leaves_its_facts),
		CASE(a_mailbox_that_goes_leaves_facts),
		CASE(what_comes_back_has_its_facts),
		CASE(a_copy_in_portions_shares),
		CASE(later_facts_are_its_own),
		CASE(nothing_is_shared_where_nothing_is_kept),
		CASE(whatever_happens_each_has_its_own),
	};

	if (argc > 1)
		rig_spec = argv[1];
	return cmocka_run_group_tests_name(rig_spec, tests, NULL, NULL);
}
