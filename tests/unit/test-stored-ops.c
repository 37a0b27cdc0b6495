/*
 * Appends, copies, moves, keywords, flags, expunges, restores and purges at random between two
 * mailboxes while the engine's commits are answered FULL, IO or UNKNOWN. After each of them both
 * mailboxes, and what is lost of them, are as they were or as they were to be, and never between;
 * when it was acknowledged, as they were to be. A uid never changes what it names, and a message
 * that was moved or restored is in exactly one place. The account's figures are the sums of what is
 * there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/stored-rig.h"

#include "common/base/keyset.h"
#include "common/base/wire.h"

#include <stdio.h>
#include <stdlib.h>

enum { ACCOUNT = 7, BOXES = 2, MSGS_MAX = 600, UIDS_MAX = 20000, STEPS = 280, NAMES = 12 };

static const char *const boxes[BOXES] = { "INBOX", "There" };

struct msg {
	uint32_t uid, flags;
	uint32_t size;  /* names the body */
	uint32_t names; /* keywords by number */
};

struct box {
	size_t n, n_lost;
	uint32_t uidnext;
	struct msg v[MSGS_MAX], lost[MSGS_MAX]; /* lost: by uid, keywords not looked at */
};

enum { THREADED_MAX = 4096 };

struct threaded {
	uint64_t id, thread;
};

struct world {
	struct rig rig;
	struct rig_client *s;
	uint64_t rnd, sid, modseq;
	uint32_t mbox[BOXES], size;
	struct box now[BOXES], then[BOXES], found[BOXES]; /* then: if the step is done */
	uint64_t name_of[BOXES][100];                     /* of a keyword's number */
	uint64_t ids[BOXES][UIDS_MAX];
	struct threaded threads[THREADED_MAX]; /* by message id */
	uint32_t names[BOXES][UIDS_MAX];       /* that the message of the uid had last */
	unsigned done, failed;
	bool killed;
};

static const char *program, *spec = "mem";

static uint32_t rnd(struct world *w, uint32_t below)
{
	w->rnd ^= w->rnd << 13;
	w->rnd ^= w->rnd >> 7;
	w->rnd ^= w->rnd << 17;
	return (uint32_t)(w->rnd >> 20) % below;
}

static size_t body_make(uint32_t size, uint8_t *out)
{
	for (uint32_t i = 0; i < size; i++)
		out[i] = (uint8_t)((size + i) * 37 + (i >> 7));
	return size;
}

/* ---- looking ---- */

static void names_learn(struct world *w, unsigned b, struct slice keywords)
{
	struct wire_reader r = wire_reader(keywords);

	for (unsigned i = 0; wire_left(&r) > 0; i++) {
		struct slice name = wire_get_bytes(&r, 100);

		assert_true(i < 100);
		/* k0, K1 and so on: in any case the same */
		if (!slice_starts(name, SLICE("x")))
			assert_int_equal(
			    slice_u64(slice_from(name, 1), NAMES, &w->name_of[b][i]), 0);
	}
}

static bool session_open(struct world *w)
{
	int status;

	if (w->s != NULL && !w->s->gone)
		return true;
	if (w->s != NULL)
		rig_client_close(w->s);
	w->s = rig_session(&w->rig, ACCOUNT, ++w->sid, &status);
	return w->s != NULL;
}

/* What is asked about the lost of a mailbox: its status, rows into `ret` (or NULL). */
static int ask_lost(struct world *w, unsigned b, uint32_t what, struct slice uids, struct box *ret)
{
	struct ipc_lost_ask q = { .seq = 3,
		.what = what,
		.name = slice_str(boxes[b]),
		.until = INT64_MAX,
		.uids = uids };

	rig_send(w->s, IPC_lost_ask, &q);
	for (;;) {
		enum ipc_type type;
		const union ipc_any *m = rig_next(w->s, 10000, &type, NULL);

		if (m == NULL || type == IPC_session_bye)
			return IPC_ST_TRYLATER;
		if (type == IPC_lost_done)
			return (int)m->lost_done.status;
		for (size_t i = 0; type == IPC_lost_rows && i < m->lost_rows.rows.n;
		     i += IPC_LOST_BYTES) {
			const uint8_t *p = m->lost_rows.rows.p + i;

			assert_true(ret->n_lost < MSGS_MAX);
			ret->lost[ret->n_lost++] = (struct msg){ .uid = wire_load_u32(p),
				.flags = wire_load_u32(p + 4),
				.size = (uint32_t)wire_load_u64(p + 8) };
		}
	}
}

static bool look_lost(struct world *w, unsigned b, struct box *ret)
{
	return ask_lost(w, b, IPC_LOST_LIST, SLICE_NONE, ret) == IPC_ST_OK;
}

/* Whatever copy of a message is looked at, and whenever: its thread is the same. */
static void thread_check(struct world *w, uint64_t id, uint64_t thread)
{
	struct threaded *t = &w->threads[id % THREADED_MAX];

	if (t->id == id && t->thread != thread)
		fail_msg("message %llu is of another thread now", (unsigned long long)id);
	*t = (struct threaded){ id, thread };
}

static bool look(struct world *w, unsigned b, struct box *ret)
{
	static uint8_t rows[IPC_ROW_BYTES * MSGS_MAX];
	struct ipc_mbox_opened o;
	size_t n = 0;

	if (!session_open(w))
		return false;
	o = rig_open(w->s, boxes[b], 0);
	if (o.status != IPC_ST_OK)
		return false;
	names_learn(w, b, o.keywords);
	w->mbox[b] = o.mbox;
	if (rig_scan(w->s, o.mbox, 1, rows, MSGS_MAX, &n) != IPC_ST_OK)
		return false;
	assert_int_equal(n, o.exists);
	ret->n = n;
	ret->uidnext = o.uidnext;
	ret->n_lost = 0;
	if (!look_lost(w, b, ret))
		return false;
	for (size_t i = 0; i < n; i++) {
		const uint8_t *p = rows + i * IPC_ROW_BYTES;
		struct msg *m = &ret->v[i];
		struct keyset set = keyset_of(wire_load_u64(p + 8), rig_sets());
		uint64_t id = wire_load_u64(p + 48);
		int number;

		*m = (struct msg){ .uid = wire_load_u32(p),
			.flags = wire_load_u32(p + 4),
			.size = (uint32_t)wire_load_u64(p + 16) };
		while ((number = keyset_take(&set)) >= 0)
			m->names |= 1u << w->name_of[b][number];
		assert_true(m->uid < o.uidnext && m->uid < UIDS_MAX);
		assert_true(wire_load_u64(p + 40) <= o.modseq);
		if (w->ids[b][m->uid] != 0 && w->ids[b][m->uid] != id)
			fail_msg("uid %u of %s names another message now", m->uid, boxes[b]);
		w->ids[b][m->uid] = id;
		thread_check(w, id, wire_load_u64(p + 56));
		w->names[b][m->uid] = m->names;
	}
	return true;
}

/* A session may end meanwhile. */
static void close_views(struct world *w)
{
	enum ipc_type type;

	for (uint32_t h = 1; w->s != NULL && h <= 64 && !w->s->gone; h++)
		if (h == w->mbox[0] || h == w->mbox[1]) {
			rig_send(w->s, IPC_mbox_close, &(struct ipc_mbox_close){ 1, h });
			if (rig_next(w->s, 10000, &type, NULL) != NULL)
				assert_true(type == IPC_store_done || type == IPC_session_bye);
		}
}

/* The figures of the account are what the mailboxes have. */
static void figures_check(struct world *w)
{
	struct rig_client *ad = rig_admin(&w->rig, IPC_RIGHT_MASTER, 0);
	uint64_t want[4] = { 0 };
	char text[200];
	struct slice got;

	for (unsigned b = 0; b < BOXES; b++) {
		const struct box *box = &w->found[b];

		want[0] += box->n;
		want[2] += box->n_lost;
		for (size_t i = 0; i < box->n; i++)
			want[1] += box->v[i].size;
		for (size_t i = 0; i < box->n_lost; i++)
			want[3] += box->lost[i].size;
	}
	snprintf(text, sizeof(text),
	    "mailboxes 2\nmessages %llu\nbytes %llu\nrecoverable %llu\nrecoverable-bytes %llu\n",
	    (unsigned long long)want[0], (unsigned long long)want[1], (unsigned long long)want[2],
	    (unsigned long long)want[3]);
	rig_send(ad, IPC_stat_ask, &(struct ipc_stat_ask){ 2, ACCOUNT });
	got = rig_wait(ad, IPC_stat_reply)->stat_reply.text;
	if (!slice_starts(got, slice_str(text)))
		fail_msg("the figures are %.*s, not %s", SLICE_FMT(got), text);
	rig_client_close(ad);
}

/* The messages may have other uids than `want` says where it says 0: those above the old UIDNEXT.
 */
static bool same(const struct box *want, const struct box *got, uint32_t uidnext)
{
	if (want->n != got->n || want->n_lost != got->n_lost)
		return false;
	for (size_t i = 0; i < want->n_lost; i++) {
		const struct msg *a = &want->lost[i], *b = &got->lost[i];

		if (a->uid != b->uid || a->flags != b->flags || a->size != b->size)
			return false;
	}
	for (size_t i = 0; i < want->n; i++) {
		const struct msg *a = &want->v[i], *b = &got->v[i];

		if (a->flags != b->flags || a->size != b->size || a->names != b->names)
			return false;
		if (a->uid != 0 ? a->uid != b->uid : b->uid < uidnext)
			return false;
	}
	return true;
}

static void faults_set(struct world *w, const struct engine_faults *f)
{
	if (program == NULL)
		assert_int_equal(engine_faults_set(w->rig.engine, f), 0);
}

/* Both mailboxes, open in one session. */
static bool look_both(struct world *w)
{
	uint64_t sid;

	if (!session_open(w))
		return false;
	sid = w->sid;
	return look(w, 0, &w->found[0]) && look(w, 1, &w->found[1]) && w->sid == sid;
}

static void settle(struct world *w, const struct engine_faults *f, bool done, const char *what)
{
	struct engine_faults anew = *f;
	bool before = true, after = true;

	faults_set(w, &(struct engine_faults){ 0 });
	if (w->killed) {
		w->killed = false;
		rig_restart(&w->rig);
	} else if (program == NULL && rnd(w, 20) == 0) {
		if (w->s != NULL)
			rig_client_close(w->s);
		w->s = NULL;
		rig_restart(&w->rig);
	}
	for (int tries = 0; !look_both(w); tries++) {
		assert_true(tries < 100);
		rig_spin(&w->rig, 2);
	}
	for (unsigned b = 0; b < BOXES; b++) {
		before = before && same(&w->now[b], &w->found[b], w->now[b].uidnext);
		after = after && same(&w->then[b], &w->found[b], w->now[b].uidnext);
		assert_true(w->found[b].uidnext >= w->now[b].uidnext);
	}
	if (!after && done)
		fail_msg("%s was acknowledged and is not there", what);
	if (!after && !before)
		fail_msg("%s is half there", what);
	figures_check(w);
	w->done += after;
	w->failed += !done;
	memcpy(w->now, w->found, sizeof(w->now));
	anew.seed = rnd(w, 1u << 30);
	faults_set(w, &anew);
}

/* ---- doing ---- */

/* The answer: its status; other messages in front of it do not matter. */
static int answer(struct world *w, enum ipc_type want)
{
	enum ipc_type type;
	const union ipc_any *m;
	/* A move or a restore has several steps where the engine has no atom over groups. */
	bool steps = want == IPC_copy_done || want == IPC_lost_done;

	if (program != NULL && want != IPC_append_ready && rnd(w, steps ? 2 : 5) == 0) {
		rig_spin(&w->rig, (int)rnd(w, 3));
		rig_kill(&w->rig);
		w->s = NULL;
		w->killed = true;
		return IPC_ST_TRYLATER;
	}
	do {
		m = rig_next(w->s, 10000, &type, NULL);
		if (m == NULL || type == IPC_session_bye)
			return IPC_ST_TRYLATER;
	} while (type != want);
	if (type == IPC_copy_done)
		return (int)m->copy_done.status;
	if (type == IPC_append_done)
		return (int)m->append_done.status;
	if (type == IPC_append_ready)
		return (int)m->append_ready.status;
	if (type == IPC_lost_done)
		return (int)m->lost_done.status;
	if (type == IPC_undelete_done)
		return (int)m->undelete_done.status;
	return type == IPC_keyword_made ? (int)m->keyword_made.status : (int)m->store_done.status;
}

static const char *names_text(struct world *w, uint32_t names)
{
	static char text[200];

	text[0] = 0;
	for (unsigned i = 0; i < NAMES; i++)
		if (names >> i & 1)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%c%u",
			    text[0] != 0 ? " " : "", rnd(w, 2) ? 'k' : 'K', i);
	return text;
}

static bool step_append(struct world *w)
{
	static uint8_t body[100000];
	unsigned b = rnd(w, BOXES), n = 1 + rnd(w, 4);
	struct box *t = &w->then[b];
	uint8_t thread[16];

	for (unsigned i = 0; i < n; i++)
		t->v[t->n++] = (struct msg){ .flags = rnd(w, 32),
			.size = ++w->size,
			.names = rnd(w, 3) ? 0 : rnd(w, 1 << NAMES) & rnd(w, 1 << NAMES) };
	rig_send(w->s, IPC_append_begin, &(struct ipc_append_begin){ 1, slice_str(boxes[b]) });
	if (answer(w, IPC_append_ready) != IPC_ST_OK)
		return false;
	for (unsigned i = 0; i < n; i++) {
		struct msg *m = &t->v[t->n - n + i];
		struct ipc_append_msg a = { m->flags, slice_str(names_text(w, m->names)), 1, 0 };

		rig_send(w->s, IPC_append_msg, &a);
		rig_append_bytes(w->s, slice_of(body, body_make(m->size, body)));
		wire_store_u64(thread, rnd(w, 20));
		wire_store_u64(thread + 8, 1 + rnd(w, 20));
		rig_send(w->s, IPC_append_end,
		    &(struct ipc_append_end){ SLICE("facts"), slice_of(thread, 8 * rnd(w, 3)) });
	}
	rig_send(w->s, IPC_append_commit, &(struct ipc_append_commit){ 2 });
	return answer(w, IPC_append_done) == IPC_ST_OK;
}

/* A range of messages: first and last uid. */
static void range(struct world *w, unsigned b, size_t *ret_from, size_t *ret_to, uint8_t pair[8])
{
	size_t from = rnd(w, (uint32_t)w->now[b].n), to = from + 1 + rnd(w, 12);

	*ret_from = from;
	*ret_to = to = to < w->now[b].n ? to : w->now[b].n;
	wire_store_u32(pair, w->now[b].v[from].uid);
	wire_store_u32(pair + 4, w->now[b].v[to - 1].uid);
}

static void then_gone(struct world *w, unsigned b, size_t from, size_t to)
{
	struct box *t = &w->then[b];

	memmove(&t->v[from], &t->v[to], (t->n - to) * sizeof(t->v[0]));
	t->n -= to - from;
}

static bool step_copy(struct world *w, bool move)
{
	unsigned b = rnd(w, BOXES), other = rnd(w, BOXES);
	uint8_t pair[8];
	size_t from, to;

	range(w, b, &from, &to, pair);
	for (size_t i = from; i < to; i++) {
		struct msg m = w->now[b].v[i];

		m.uid = 0;
		w->then[other].v[w->then[other].n++] = m;
	}
	if (move)
		then_gone(w, b, from, to);
	rig_send(w->s, IPC_msg_copy,
	    &(struct ipc_msg_copy){
		1, w->mbox[b], move, slice_str(boxes[other]), slice_of(pair, 8) });
	return answer(w, IPC_copy_done) == IPC_ST_OK;
}

static void then_lost(struct world *w, unsigned b, const struct msg *m)
{
	struct box *t = &w->then[b];
	size_t at = t->n_lost;

	while (at > 0 && t->lost[at - 1].uid > m->uid)
		at--;
	memmove(&t->lost[at + 1], &t->lost[at], (t->n_lost - at) * sizeof(t->lost[0]));
	t->lost[at] = *m;
	t->n_lost++;
}

/* All or some of what is lost of a mailbox. */
static bool step_restore(struct world *w)
{
	unsigned b = rnd(w, BOXES);
	struct box *t = &w->then[b];
	const struct box *now = &w->now[b];
	size_t from = 0, to = now->n_lost;
	struct slice uids = SLICE_NONE;
	uint8_t pair[8];

	if (to > 0 && rnd(w, 2)) {
		from = rnd(w, (uint32_t)to);
		to = from + 1 + rnd(w, (uint32_t)(to - from));
		wire_store_u32(pair, now->lost[from].uid);
		wire_store_u32(pair + 4, now->lost[to - 1].uid);
		uids = slice_of(pair, 8);
	}
	for (size_t i = from; i < to; i++) {
		struct msg m = now->lost[i];

		m.uid = 0;
		m.names = w->names[b][now->lost[i].uid];
		m.flags &= ~(uint32_t)IPC_FLAG_DELETED;
		t->v[t->n++] = m;
	}
	memmove(&t->lost[from], &t->lost[to], (t->n_lost - to) * sizeof(t->lost[0]));
	t->n_lost -= to - from;
	rig_send(w->s, IPC_lost_ask,
	    &(struct ipc_lost_ask){ .seq = 1,
		.what = IPC_LOST_RESTORE,
		.name = slice_str(boxes[b]),
		.until = INT64_MAX,
		.uids = uids });
	return answer(w, IPC_lost_done) == IPC_ST_OK;
}

static bool step_purge(struct world *w)
{
	unsigned b = rnd(w, BOXES);
	struct rig_client *ad, *s = w->s;
	bool done;

	w->then[b].n_lost = 0;
	ad = rig_admin(&w->rig, IPC_RIGHT_MASTER, 0);
	rig_send(ad, IPC_undelete_ask,
	    &(struct ipc_undelete_ask){ .seq = 1,
		.what = IPC_LOST_PURGE,
		.account = ACCOUNT,
		.name = slice_str(boxes[b]),
		.until = INT64_MAX });
	w->s = ad;
	done = answer(w, IPC_undelete_done) == IPC_ST_OK;
	if (w->killed)
		return false;
	rig_client_close(ad);
	w->s = s;
	return done;
}

static bool step_expunge(struct world *w)
{
	unsigned b = rnd(w, BOXES);
	uint8_t pair[8];
	size_t from, to;

	range(w, b, &from, &to, pair);
	for (size_t i = from; i < to; i++)
		then_lost(w, b, &w->now[b].v[i]);
	then_gone(w, b, from, to);
	rig_send(w->s, IPC_msg_expunge,
	    &(struct ipc_msg_expunge){ 1, w->mbox[b], 0, slice_of(pair, 8) });
	return answer(w, IPC_store_done) == IPC_ST_OK;
}

static bool step_flags(struct world *w)
{
	unsigned b = rnd(w, BOXES);
	uint32_t names = 1u << rnd(w, NAMES), flags = 1u << rnd(w, 5);
	struct ipc_flags_store q = { .seq = 1, .op = IPC_FLAGS_ADD, .unchanged_since = UINT64_MAX };
	uint8_t pair[8];
	size_t from, to;
	uint8_t more[2];
	enum ipc_type type;
	const union ipc_any *m;

	range(w, b, &from, &to, pair);
	rig_send(w->s, IPC_keyword_make,
	    &(struct ipc_keyword_make){ 1, w->mbox[b], slice_str(names_text(w, names)) });
	m = rig_next(w->s, 10000, &type, NULL);
	if (m == NULL || type != IPC_keyword_made || m->keyword_made.status != IPC_ST_OK)
		return false;
	q.keywords = m->keyword_made.bits;
	q.more = slice_of(more, m->keyword_made.more.n);
	assert_true((q.keywords != 0) == (q.more.n == 0) && q.more.n <= 2);
	if (q.more.n > 0)
		memcpy(more, m->keyword_made.more.p, 2);
	for (size_t i = from; i < to; i++) {
		w->then[b].v[i].flags |= flags;
		w->then[b].v[i].names |= names;
	}
	q.mbox = w->mbox[b];
	q.flags = flags;
	q.uids = slice_of(pair, 8);
	rig_send(w->s, IPC_flags_store, &q);
	return answer(w, IPC_store_done) == IPC_ST_OK;
}

static void step(struct world *w, const struct engine_faults *f)
{
	uint32_t what = rnd(w, 10);
	const char *name = "an append";
	bool done;

	memcpy(w->then, w->now, sizeof(w->then));
	if (what < 4 || w->now[0].n == 0 || w->now[1].n == 0) {
		done = step_append(w);
	} else if (what == 4 && rnd(w, 2)) {
		bool purge = rnd(w, 4) == 0 || w->now[0].n_lost + w->now[1].n_lost > MSGS_MAX / 3;

		name = purge ? "a purge" : "a restore";
		done = purge ? step_purge(w) : step_restore(w);
	} else if (w->now[0].n + w->now[1].n > MSGS_MAX / 2 || what == 4) {
		name = "an expunge";
		done = step_expunge(w);
	} else if (what == 5) {
		name = "a change of flags";
		done = step_flags(w);
	} else {
		name = what < 8 ? "a copy" : "a move";
		done = step_copy(w, what >= 8);
	}

	close_views(w);
	settle(w, f, done, name);
}

static void bodies_check(struct world *w)
{
	static uint8_t want[100000];

	for (unsigned b = 0; b < BOXES; b++)
		for (size_t i = 0; i < w->now[b].n; i++) {
			const struct msg *m = &w->now[b].v[i];
			uint8_t *p = NULL;
			size_t n = 0;

			assert_int_equal(rig_body(w->s, w->mbox[b], m->uid, &p, &n), IPC_ST_OK);
			assert_true(
			    slice_eq(slice_of(p, n), slice_of(want, body_make(m->size, want))));
			free(p);
		}
}

/* Names that no message has, so that the others have numbers around the last bit and beyond. */
static void names_fill(struct world *w, unsigned b, unsigned n)
{
	uint32_t mbox = rig_open(w->s, boxes[b], 0).mbox;
	char text[64 * 4] = "";

	for (unsigned i = 0; i < n; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "x%u ", i);
	rig_send(w->s, IPC_keyword_make, &(struct ipc_keyword_make){ 1, mbox, slice_str(text) });
	assert_int_equal(rig_wait(w->s, IPC_keyword_made)->keyword_made.status, IPC_ST_OK);
	rig_send(w->s, IPC_mbox_close, &(struct ipc_mbox_close){ 1, mbox });
	rig_wait(w->s, IPC_store_done);
}

static void run(const struct engine_faults *faults, uint64_t seed)
{
	static struct world w;
	struct engine_faults f = *faults;

	w = (struct world){ .rnd = seed * 0x9e3779b97f4a7c15u + 1 };
	f.seed = seed;
	if (program != NULL)
		rig_init_process(&w.rig, program);
	else
		rig_init(&w.rig, spec);
	rig_account(&w.rig, ACCOUNT, IPC_account_make);
	assert_true(session_open(&w));
	rig_send(w.s, IPC_mbox_create, &(struct ipc_mbox_create){ 1, SLICE("There"), 0 });
	assert_int_equal(rig_wait(w.s, IPC_mbox_done)->mbox_done.status, IPC_ST_OK);
	names_fill(&w, 0, 58);
	names_fill(&w, 1, 64);
	settle(&w, &f, true, "nothing");
	for (int i = 0; i < STEPS; i++)
		step(&w, &f);
	faults_set(&w, &(struct engine_faults){ 0 });
	bodies_check(&w);
	assert_true(w.done > STEPS / 10);
	if (f.full + f.io + f.unknown > 0 || program != NULL)
		assert_true(w.failed > 0);
	rig_fini(&w.rig);
}

static void without_faults(void **state)
{
	run(&(struct engine_faults){ .again = 3 }, 1);
}

static void full(void **state)
{
	run(&(struct engine_faults){ .full = 3 }, 2);
	run(&(struct engine_faults){ .full = 3, .reorder = true }, 3);
}

static void errors_of_the_device(void **state)
{
	run(&(struct engine_faults){ .io = 4 }, 4);
	run(&(struct engine_faults){ .io = 5, .again = 2 }, 5);
}

static void unknown_outcomes(void **state)
{
	for (uint64_t seed = 10; seed < 40; seed++)
		run(&(struct engine_faults){ .unknown = 3, .reorder = seed % 2 }, seed);
}

static void everything_at_once(void **state)
{
	for (uint64_t seed = 50; seed < 90; seed++)
		run(
		    &(struct engine_faults){
			.unknown = 9, .io = 12, .full = 11, .again = 3, .reorder = true },
		    seed);
}

static void kill_9(void **state)
{
	run(&(struct engine_faults){ 0 }, 7);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest kills[] = { cmocka_unit_test(kill_9) };

	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_faults),
		cmocka_unit_test(full),
		cmocka_unit_test(errors_of_the_device),
		cmocka_unit_test(unknown_outcomes),
		cmocka_unit_test(everything_at_once),
	};

	if (argc > 1 && strncmp(argv[1], "mem", 3) == 0) {
		spec = argv[1];
	} else if (argc > 1) {
		program = argv[1];
		return cmocka_run_group_tests(kills, NULL, NULL);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
