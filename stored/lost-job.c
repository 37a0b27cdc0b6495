/*
 * lost-job - one question about what is lost: it is counted mailbox by mailbox, listed, brought
 * back.
 *
 * A restore is counted first, so that a user is told "too many for one day" before anything was
 * done, and then brings back as many as were counted at most.
 */
#include "stored/lost.h"
#include "stored/session-private.h"
#include "stored/tree.h"

#include "common/base/wire.h"

#include <stdlib.h>

struct lost_job {
	struct op op;
	struct peer *peer; /* or NULL: for the op's session */
	struct lost_ask ask;
	struct lost_mboxes mboxes;
	struct mbox *m;
	struct lost_box box;
	struct lost_pick pick;
	bool restoring; /* counted already */
	bool looping, again, over;
	int status;
	size_t n, done, told; /* messages: counted; brought back or purged; listed */
	uint64_t bytes, done_bytes;
	uint8_t text[]; /* name, uids */
};

static struct ipc_chan *chan_of(const struct lost_job *j)
{
	return j->peer != NULL ? j->peer->chan : op_chan(&j->op);
}

static void answer_admin(struct lost_job *j, uint64_t count, uint64_t bytes)
{
	const struct account *a = j->op.account;
	struct ipc_undelete_done d = { .seq = j->ask.seq,
		.status = (uint32_t)j->status,
		.count = (uint32_t)count,
		.bytes = bytes,
		.hold = a->rec.hold,
		.period = (uint64_t)a->policy.undelete_s };

	if (j->peer->chan != NULL)
		(void)ipc_send(j->peer->chan, IPC_undelete_done, &d, NULL);
	peer_unref(j->peer);
}

static void job_end(struct lost_job *j)
{
	bool acts = j->ask.what == IPC_LOST_RESTORE || j->ask.what == IPC_LOST_PURGE;
	uint64_t count = acts ? j->done : j->n, bytes = acts ? j->done_bytes : j->bytes;

	lost_box_fini(&j->box);
	lost_mboxes_fini(&j->mboxes);
	if (j->peer != NULL)
		answer_admin(j, count, bytes);
	else if (j->op.session != NULL)
		session_answer(j->op.session, IPC_lost_done,
		    &(struct ipc_lost_done){ .seq = j->ask.seq,
			.status = (uint32_t)j->status,
			.count = (uint32_t)count,
			.bytes = bytes,
			.left = tree_allowed(j->op.account) });
	op_end(&j->op);
	free(j);
}

static void job_next(struct lost_job *j);

/* ---- counting and listing ---- */

static void rows_send(struct lost_job *j, struct buf *rows)
{
	struct ipc_lost_rows r = { j->ask.seq, j->m->id, j->m->deleted_s, j->m->name,
		buf_slice(rows) };
	struct ipc_undelete_rows u = { r.seq, r.mbox, r.deleted, r.name, r.rows };
	struct ipc_chan *chan = chan_of(j);

	if (chan != NULL && rows->n > 0 && j->peer != NULL)
		(void)ipc_send(chan, IPC_undelete_rows, &u, NULL);
	else if (chan != NULL && rows->n > 0)
		(void)ipc_send(chan, IPC_lost_rows, &r, NULL);
	buf_reset(rows);
}

static void list(struct lost_job *j, const uint32_t *picks, size_t n)
{
	struct buf rows = BUF_INIT(49152);

	for (size_t k = 0; k < n && j->told < j->ask.limit; k++, j->told++) {
		uint32_t i = picks[k];
		const struct cols *c = &j->box.cols;

		if (rows.n + IPC_LOST_BYTES > rows.max)
			rows_send(j, &rows);
		wire_put_u32(&rows, c->uid[i]);
		wire_put_u32(&rows, c->flags[i]);
		wire_put_u64(&rows, c->size[i]);
		wire_put_u64(&rows, (uint64_t)c->date[i]);
		wire_put_u64(&rows, (uint64_t)j->box.runs.v[j->box.owner[i]].when);
		wire_put_u64(&rows, c->id[i]);
	}
	rows_send(j, &rows);
	buf_fini(&rows);
}

static void on_loaded(void *arg, int status)
{
	struct lost_job *j = arg;
	uint32_t *picks = NULL;
	size_t n = 0;

	if (status == IPC_ST_OK && lost_choose(&j->box, &j->pick, &picks, &n) != 0)
		status = IPC_ST_TRYLATER;
	if (status == IPC_ST_OK && j->ask.what == IPC_LOST_LIST)
		list(j, picks, n);
	for (size_t k = 0; k < n; k++)
		j->bytes += j->box.cols.size[picks[k]];
	j->n += n;
	free(picks);
	lost_box_fini(&j->box);
	if (status != IPC_ST_OK)
		j->status = status;
	job_next(j);
}

/* ---- bringing back ---- */

static void on_erased(void *arg, int status, uint64_t id)
{
	job_next(arg);
}

static void on_restored(void *arg, int status, size_t n, uint64_t bytes)
{
	struct lost_job *j = arg;

	j->done += n;
	j->done_bytes += bytes;
	if (status != IPC_ST_OK)
		j->status = status;
	/* What is not erased now goes with the next round of the sweep. */
	if (status == IPC_ST_OK && j->m->deleted_s != 0 && j->m->pend.lost == 0)
		tree_erase(j->op.account, j->m->id, on_erased, j);
	else
		job_next(j);
}

static void restore_to(struct lost_job *j, struct mbox *to)
{
	j->pick.max = j->n - j->done;
	copy_restore(j->m, to, &j->pick, on_restored, j);
}

static void on_made(void *arg, int status, uint64_t id)
{
	struct lost_job *j = arg;
	struct account *a = j->op.account;
	int found = IPC_ST_TRYLATER;
	struct mbox *to = a->state == ACCOUNT_READY ? account_mbox(a, j->m->name, &found) : NULL;

	if (to != NULL) {
		restore_to(j, to);
		return;
	}
	j->status = status != IPC_ST_OK ? status : found;
	job_next(j);
}

static void restore(struct lost_job *j)
{
	struct account *a = j->op.account;
	struct mbox *to = j->m;
	int status;

	if (j->m->deleted_s != 0)
		to = account_mbox(a, j->m->name, &status);
	if (to != NULL)
		restore_to(j, to);
	else
		tree_make(a, j->m->name, j->m->attrs & IPC_ATTR_SPECIAL, on_made, j);
}

static void on_allowed(void *arg, int status, uint64_t id)
{
	struct lost_job *j = arg;

	if (status != IPC_ST_OK)
		j->status = status;
	job_next(j);
}

/* ---- mailbox after mailbox ---- */

/* All are counted: again from the first one. */
static void restore_begin(struct lost_job *j)
{
	j->restoring = true;
	j->mboxes.at = 0;
	if (!j->ask.own)
		job_next(j);
	else
		tree_allow(j->op.account, j->n, on_allowed, j);
}

static void job_step(struct lost_job *j)
{
	if (j->op.account->state != ACCOUNT_READY && j->status == IPC_ST_OK)
		j->status = IPC_ST_TRYLATER;
	j->m = NULL;
	if (j->status == IPC_ST_OK && (!j->restoring || j->done < j->n))
		j->m = lost_mboxes_next(&j->mboxes);
	if (j->m != NULL && j->restoring)
		restore(j);
	else if (j->m != NULL)
		lost_load(j->m, &j->box, on_loaded, j);
	else if (j->status == IPC_ST_OK && j->ask.what == IPC_LOST_RESTORE && !j->restoring)
		restore_begin(j);
	else
		j->over = true;
}

/* What is done at once comes back here: by a loop, not by one call in the other. */
static void job_next(struct lost_job *j)
{
	j->again = true;
	if (j->looping)
		return;
	j->looping = true;
	while (j->again && !j->over) {
		j->again = false;
		job_step(j);
	}
	j->looping = false;
	if (j->over)
		job_end(j);
}

/* ---- beginning ---- */

static void on_held(void *arg, int status, uint64_t id)
{
	struct lost_job *j = arg;

	j->status = status;
	job_end(j);
}

static void on_purged(void *arg, int status, size_t n, uint64_t bytes)
{
	struct lost_job *j = arg;

	j->status = status;
	j->done = n;
	j->done_bytes = bytes;
	job_end(j);
}

static struct lost_job *job_new(const struct lost_ask *q)
{
	struct lost_job *j = calloc(1, sizeof(*j) + q->name.n + q->uids.n);

	if (j == NULL)
		return NULL;
	j->ask = *q;
	if (q->name.n > 0)
		memcpy(j->text, q->name.p, q->name.n);
	if (q->uids.n > 0)
		memcpy(j->text + q->name.n, q->uids.p, q->uids.n);
	j->ask.name = slice_of(j->text, q->name.n);
	j->ask.uids = slice_of(j->text + q->name.n, q->uids.n);
	if (q->limit == 0 || q->limit > LOST_ROWS_MAX)
		j->ask.limit = LOST_ROWS_MAX;
	j->pick = (struct lost_pick){ q->since, q->until, j->ask.uids, SIZE_MAX };
	j->peer = q->peer;
	return j;
}

bool lost_job(const struct lost_ask *q)
{
	struct account *a = q->account;
	struct lost_job *j = job_new(q);

	if (j == NULL)
		return false;
	if (q->session != NULL) {
		op_begin(&j->op, q->session, q->account, q->seq, q->uids.n);
	} else {
		op_begin_own(&j->op, a);
		peer_ref(j->peer);
	}
	if (q->what == IPC_LOST_HOLD || q->what == IPC_LOST_RELEASE) {
		tree_hold(a, q->what == IPC_LOST_HOLD, on_held, j);
	} else if (q->what == IPC_LOST_PURGE) {
		lost_purge(a, j->ask.name, q->until, on_purged, j);
	} else {
		if (lost_mboxes_find(a, j->ask.name, q->mbox, &j->mboxes) != 0)
			j->status = IPC_ST_TRYLATER;
		job_next(j);
	}
	return true;
}
