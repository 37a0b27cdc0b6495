/*
 * ops-world - two mailboxes and a model of them, for test-stored-ops.c: what is to be there, and
 * what is.
 *
 * Invariant: after settle() the model has what was found, which was one of the two that may be.
 */
#pragma once

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
