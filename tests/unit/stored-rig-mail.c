/* What daemons, connections and sessions ask stored, and its answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/stored-rig-private.h"

#include "common/base/clock.h"
#include "common/base/keyset.h"
#include "common/base/wire.h"

/* ---- what the daemons say ---- */

int rig_account(struct rig *r, uint64_t account, enum ipc_type type)
{
	struct ipc_account_make m = { ++r->seq, account };
	const union ipc_any *a;

	rig_send(r->routerd, type, &m); /* account_drop has the same fields */
	a = rig_wait(r->routerd, IPC_account_done);
	assert_int_equal(a->account_done.seq, r->seq);
	return (int)a->account_done.status;
}

struct rig_client *rig_session(struct rig *r, uint64_t account, uint64_t sid, int *ret_status)
{
	struct ipc_session_open q = { ++r->seq, sid, account, SLICE("name@example.test"),
		slice_str(r->service != NULL ? r->service : "pop3"), SLICE_NONE, r->quota };
	enum ipc_type type;
	const union ipc_any *a;
	int fd = -1;

	rig_send(r->authd, IPC_session_open, &q);
	a = rig_next(r->authd, RIG_WAIT_MS, &type, &fd);
	assert_non_null(a);
	if (type == IPC_session_failed) {
		assert_non_null(ret_status);
		*ret_status = (int)a->session_failed.status;
		return NULL;
	}
	assert_int_equal(type, IPC_session_opened);
	assert_int_equal(a->session_opened.seq, r->seq);
	assert_true(fd >= 0);
	((struct rig_packet *)r->authd->last)->fd = -1;
	return rig_adopt(r, fd, IPC_CH_SESSION);
}

struct rig_client *rig_post(struct rig *r, uint64_t sid)
{
	int fds[2];

	assert_int_equal(ipc_pair(fds), 0);
	assert_int_equal(
	    ipc_send(r->acceptor->chan, IPC_post_attach, &(struct ipc_post_attach){ sid }, &fds[1]),
	    0);
	return rig_adopt(r, fds[0], IPC_CH_POST);
}

int rig_target(struct rig *r, uint64_t sid, uint32_t handle, uint64_t account, uint64_t quota)
{
	struct ipc_post_target t = { ++r->seq, sid, handle, account, quota };
	const union ipc_any *a;

	rig_send(r->routerd, IPC_post_target, &t);
	a = rig_wait(r->routerd, IPC_post_target_done);
	assert_int_equal(a->post_target_done.seq, r->seq);
	return (int)a->post_target_done.status;
}

static void send_window(struct rig_client *post, uint32_t tag, struct slice body)
{
	while (body.n > 0) {
		struct ipc_post_data d = { tag, slice_part(body, 0, 61440) };
		int64_t until = clock_mono_ms() + RIG_WAIT_MS;

		while (post->window < d.data.n && !post->gone && clock_mono_ms() < until)
			rig_turn(post->rig, 5);
		if (post->gone)
			return;
		assert_true(post->window >= d.data.n);
		post->window -= d.data.n;
		rig_send(post, IPC_post_data, &d);
		body = slice_from(body, d.data.n);
	}
}

void rig_deliver(struct rig_client *post, uint32_t tag, const uint32_t *handles, size_t n,
    struct slice body, struct slice facts)
{
	uint8_t packed[4096];
	struct ipc_post_begin b = { tag, body.n, slice_of(packed, 4 * n) };
	struct ipc_post_commit c = { tag, facts, post->rig->thread, post->rig->header };

	for (size_t i = 0; i < n; i++)
		wire_store_u32(packed + 4 * i, handles[i]);
	rig_send(post, IPC_post_begin, &b);
	send_window(post, tag, body);
	rig_send(post, IPC_post_commit, &c);
}

int rig_put(struct rig *r, uint64_t account, struct slice body)
{
	uint64_t sid = 1000000 + ++r->seq;
	uint32_t handle = 1;
	struct rig_client *post = rig_post(r, sid);
	int status = rig_target(r, sid, handle, account, 0);

	if (status == IPC_ST_OK) {
		rig_deliver(post, 1, &handle, 1, body, SLICE("facts"));
		status = (int)rig_wait(post, IPC_post_result)->post_result.status;
	}
	rig_client_close(post);
	return status;
}

/* ---- what a session says ---- */

void rig_append_bytes(struct rig_client *s, struct slice body)
{
	while (body.n > 0) {
		struct ipc_append_data d = { slice_part(body, 0, 61440) };
		int64_t until = clock_mono_ms() + RIG_WAIT_MS;

		while (s->window < d.data.n && !s->gone && clock_mono_ms() < until)
			rig_turn(s->rig, 5);
		if (s->gone)
			return;
		assert_true(s->window >= d.data.n);
		s->window -= d.data.n;
		rig_send(s, IPC_append_data, &d);
		body = slice_from(body, d.data.n);
	}
}

struct ipc_mbox_opened rig_open(struct rig_client *s, const char *name, uint32_t flags)
{
	struct ipc_mbox_open q = { ++s->rig->seq, slice_str(name), flags };

	const union ipc_any *m;

	rig_send(s, IPC_mbox_open, &q);
	m = rig_answer(s, IPC_mbox_opened);
	return m != NULL ? m->mbox_opened : (struct ipc_mbox_opened){ .status = IPC_ST_TRYLATER };
}

static struct buf scan_sets = { .max = SIZE_MAX };

struct slice rig_sets(void)
{
	return buf_slice(&scan_sets);
}

/* Each answer has sets of its own: together they are one list. */
static void sets_join(uint8_t *row, size_t n, struct slice sets)
{
	for (size_t i = 0; i < n; i++, row += IPC_ROW_BYTES) {
		uint64_t word = wire_load_u64(row + 8);

		if (word & KEYSET_LISTED)
			wire_store_u64(row + 8, word + scan_sets.n);
	}
	buf_put(&scan_sets, sets);
}

int rig_scan(
    struct rig_client *s, uint32_t mbox, uint32_t from, uint8_t *out, size_t max, size_t *ret_n)
{
	size_t n = 0;

	buf_reset(&scan_sets);
	for (;;) {
		struct ipc_mbox_scan q = { .seq = ++s->rig->seq, .mbox = mbox, .from_uid = from };
		const struct ipc_mbox_rows *a;
		const union ipc_any *m;

		rig_send(s, IPC_mbox_scan, &q);
		m = rig_answer(s, IPC_mbox_rows);
		if (m == NULL)
			return IPC_ST_TRYLATER;
		a = &m->mbox_rows;
		if (a->status != IPC_ST_OK)
			return (int)a->status;
		assert_int_equal(a->seq, q.seq);
		assert_true(n + a->rows.n / IPC_ROW_BYTES <= max);
		if (a->rows.n > 0)
			memcpy(out + IPC_ROW_BYTES * n, a->rows.p, a->rows.n);
		sets_join(out + IPC_ROW_BYTES * n, a->rows.n / IPC_ROW_BYTES, a->sets);
		n += a->rows.n / IPC_ROW_BYTES;
		*ret_n = n;
		if (!a->more)
			return IPC_ST_OK;
		from = a->next_uid;
	}
}

int rig_body(struct rig_client *s, uint32_t mbox, uint32_t uid, uint8_t **ret_p, size_t *ret_n)
{
	struct ipc_body_get q = { ++s->rig->seq, mbox, uid, 0, 0 };
	struct buf b = BUF_INIT(SIZE_MAX);

	rig_send(s, IPC_body_get, &q);
	for (;;) {
		const union ipc_any *m = rig_answer(s, IPC_body_data);
		const struct ipc_body_data *d = m != NULL ? &m->body_data : NULL;
		struct ipc_session_credit c;
		bool last;
		int status;

		if (d == NULL) {
			*ret_p = b.p;
			*ret_n = 0;
			return IPC_ST_TRYLATER;
		}
		c = (struct ipc_session_credit){ (uint32_t)d->data.n };
		last = d->last;
		status = (int)d->status;

		assert_int_equal(d->seq, q.seq);
		assert_true(status == IPC_ST_OK || last);
		buf_put(&b, d->data);
		rig_send(s, IPC_session_credit, &c);
		if (!last)
			continue;
		*ret_p = b.p;
		*ret_n = b.n;
		return status;
	}
}

static int facts_get(struct rig_client *s, uint32_t mbox, uint32_t uid, enum ipc_facts_what what,
    struct slice *ret_facts)
{
	uint8_t pair[8];
	struct ipc_facts_get q = { ++s->rig->seq, mbox, slice_of(pair, 8), (uint32_t)what };
	const struct ipc_facts_are *a;

	wire_store_u32(pair, uid);
	wire_store_u32(pair + 4, uid);
	rig_send(s, IPC_facts_get, &q);
	a = &rig_wait(s, IPC_facts_are)->facts_are;
	assert_int_equal(a->last, 1);
	rig_send(s, IPC_session_credit, &(struct ipc_session_credit){ (uint32_t)a->facts.n });
	if (a->status != IPC_ST_OK || a->facts.n == 0)
		return a->status != IPC_ST_OK ? (int)a->status : -1;
	assert_int_equal(wire_load_u32(a->facts.p), uid);
	*ret_facts = slice_from(a->facts, 12);
	assert_int_equal(wire_load_u32(a->facts.p + 8), ret_facts->n);
	return (int)wire_load_u32(a->facts.p + 4);
}

int rig_facts(struct rig_client *s, uint32_t mbox, uint32_t uid, struct slice *ret_facts)
{
	return facts_get(s, mbox, uid, IPC_FACTS_ALL, ret_facts);
}

int rig_header(struct rig_client *s, uint32_t mbox, uint32_t uid, struct slice *ret_header)
{
	return facts_get(s, mbox, uid, IPC_FACTS_HEADER, ret_header);
}

int rig_expunge(struct rig_client *s, uint32_t mbox, uint32_t first, uint32_t last)
{
	uint8_t pair[8];
	struct ipc_msg_expunge q = { ++s->rig->seq, mbox, 0, slice_of(pair, 8) };

	wire_store_u32(pair, first);
	wire_store_u32(pair + 4, last);
	rig_send(s, IPC_msg_expunge, &q);
	return rig_done(s);
}

int rig_flags(
    struct rig_client *s, uint32_t mbox, uint32_t first, uint32_t last, uint32_t op, uint32_t flags)
{
	uint8_t pair[8];
	struct ipc_flags_store q = { .seq = ++s->rig->seq,
		.mbox = mbox,
		.op = op,
		.flags = flags,
		.unchanged_since = UINT64_MAX,
		.uids = slice_of(pair, 8) };

	wire_store_u32(pair, first);
	wire_store_u32(pair + 4, last);
	rig_send(s, IPC_flags_store, &q);
	return rig_done(s);
}

struct rig_client *rig_admin(struct rig *r, uint64_t rights, uint64_t account)
{
	int fds[2];

	assert_int_equal(ipc_pair(fds), 0);
	ipc_send(r->authd->chan, IPC_store_open,
	    &(struct ipc_store_open){ 77, SLICE("postmaster"), rights, account }, &fds[1]);
	return rig_adopt(r, fds[0], IPC_CH_ADMIN_STORE);
}
