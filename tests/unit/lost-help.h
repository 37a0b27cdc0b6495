/*
 * lost-help - what is asked about messages that can be restored, and waited for; for tests only.
 *
 * Invariant: each answer has come, and is what its type says, before a call returns.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/stored-look.h"

#include "common/base/wire.h"

/* Each test uses some of these. */
#pragma GCC diagnostic ignored "-Wunused-function"

/* ---- what is asked ---- */

static uint8_t listed[IPC_LOST_BYTES * 20000];
static size_t n_listed;

static void take_rows(struct slice rows)
{
	assert_true(n_listed * IPC_LOST_BYTES + rows.n <= sizeof(listed));
	memcpy(listed + n_listed * IPC_LOST_BYTES, rows.p, rows.n);
	n_listed += rows.n / IPC_LOST_BYTES;
}

static uint32_t listed_uid(size_t i)
{
	return wire_load_u32(listed + i * IPC_LOST_BYTES);
}

/* Of a session; events in front of the answer do not matter. */
static struct ipc_lost_done ask(
    struct rig_client *s, uint32_t what, const char *name, struct slice uids)
{
	struct ipc_lost_ask q = { .seq = ++s->rig->seq,
		.what = what,
		.name = slice_str(name),
		.until = INT64_MAX,
		.uids = uids };
	enum ipc_type type;
	const union ipc_any *m;

	n_listed = 0;
	rig_send(s, IPC_lost_ask, &q);
	for (;;) {
		m = rig_next(s, 60000, &type, NULL);
		assert_non_null(m);
		if (type == IPC_lost_rows)
			take_rows(m->lost_rows.rows);
		if (type == IPC_lost_done)
			break;
	}
	assert_int_equal(m->lost_done.seq, q.seq);
	return m->lost_done;
}

static struct ipc_undelete_done undelete(
    struct rig_client *ad, uint32_t what, const char *name, int64_t since, int64_t until)
{
	struct ipc_undelete_ask q = { .seq = ++ad->rig->seq,
		.what = what,
		.account = 7,
		.name = slice_str(name),
		.since = since,
		.until = until };
	enum ipc_type type;
	const union ipc_any *m;

	n_listed = 0;
	rig_send(ad, IPC_undelete_ask, &q);
	for (;;) {
		m = rig_next(ad, 60000, &type, NULL);
		assert_non_null(m);
		if (type == IPC_undelete_rows)
			take_rows(m->undelete_rows.rows);
		if (type == IPC_undelete_done)
			break;
	}
	assert_int_equal(m->undelete_done.seq, q.seq);
	return m->undelete_done;
}

/* A line of the account's figures. */
static uint64_t figure(struct rig_client *ad, const char *name)
{
	const union ipc_any *m;
	struct slice text;

	rig_send(ad, IPC_stat_ask, &(struct ipc_stat_ask){ 2, 7 });
	m = rig_wait(ad, IPC_stat_reply);
	assert_int_equal(m->stat_reply.status, IPC_ST_OK);
	for (text = m->stat_reply.text; text.n > 0;) {
		struct slice line = slice_take(&text, '\n'), key = slice_take(&line, ' ');
		uint64_t v;

		if (slice_eq(key, slice_str(name)) && slice_u64(line, UINT64_MAX, &v) == 0)
			return v;
	}
	fail_msg("no figure %s", name);
	return 0;
}

/* ---- what is done ---- */

static void append(struct rig_client *s, const char *name, const struct piece *p, size_t n)
{
	assert_int_equal(put_pieces(s, name, p, n).status, IPC_ST_OK);
}

static void append_many(struct rig_client *s, const char *name, size_t n)
{
	static struct piece p[1000];

	for (size_t i = 0; i < 1000; i++)
		p[i] = (struct piece){ 0, "", 5, SLICE("m"), SLICE("f") };
	for (; n > 0; n -= n < 1000 ? n : 1000)
		append(s, name, p, n < 1000 ? n : 1000);
}

static int names(struct rig_client *s, enum ipc_type type, const char *name)
{
	struct ipc_mbox_delete m = { ++s->rig->seq, slice_str(name) };

	if (type == IPC_mbox_create)
		rig_send(s, type, &(struct ipc_mbox_create){ m.seq, m.name, IPC_ATTR_ARCHIVE });
	else
		rig_send(s, type, &m);
	for (;;) {
		enum ipc_type got;
		const union ipc_any *a = rig_next(s, 10000, &got, NULL);

		assert_non_null(a);
		if (got == IPC_mbox_done)
			return (int)a->mbox_done.status;
		assert_int_equal(got, IPC_mbox_gone); /* it was open here */
	}
}

enum { AT_FLAGS = 4, AT_KEYWORDS = 8, AT_SIZE = 16, AT_DATE = 24, AT_ID = 48 };
