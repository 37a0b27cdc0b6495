#include "stored/backup/spread.h"
#include "stored/salvage/sync.h"

#include "common/ipc/types.h"

#include <errno.h>

/* The row of exactly this key; 0 and n = 0: there is none. */
static int get(struct engine *e, struct engine_group *g, struct rec_key key, struct spread_page *p)
{
	struct rec_key to = key_after(key_slice(&key));

	return spread_scan(e, g, key_slice(&key), key_slice(&to), p);
}

/* The oldest run that has it (docs/undelete.md): 0 and ret_run->n = 0: it was not expunged. */
static int run_of(struct engine *e, struct engine_group *g, uint32_t uid, struct run_rec *ret_run)
{
	struct rec_key from = key_kind(REC_RUN), to = key_kind_end(REC_RUN);
	struct spread_page p = { 0 };
	int rc;

	*ret_run = (struct run_rec){ 0 };
	do {
		rc = spread_scan(e, g, key_slice(&from), key_slice(&to), &p);
		for (size_t i = 0; rc == 0 && i < p.n && ret_run->n == 0; i++) {
			struct run_rec run;

			if (run_unpack(p.rows[i].key, p.rows[i].val, &run) != 0)
				rc = -EUCLEAN;
			else if (run.first <= uid && uid <= run.last)
				*ret_run = run;
		}
		if (rc == 0 && p.more)
			from = key_after(p.rows[p.n - 1].key);
	} while (rc == 0 && p.more && ret_run->n == 0);
	spread_page_fini(&p);
	return rc;
}

static int flags_of(struct engine *e, struct engine_group *g, uint32_t uid, uint32_t *io_flags)
{
	struct spread_page p = { 0 };
	struct flags_rec f;
	int rc = get(e, g, key_u32(REC_FLAGS, uid), &p);

	if (rc == 0 && p.n == 1 && flags_unpack(p.rows[0].val, &f) == 0)
		*io_flags = f.flags;
	spread_page_fini(&p);
	return rc;
}

static int head_of(struct engine *e, struct engine_group *g, struct mbox_head *ret_h)
{
	struct spread_page p = { 0 };
	int rc = get(e, g, key_kind(REC_HEAD), &p);

	if (rc == 0 && (p.n != 1 || head_unpack(p.rows[0].val, ret_h) != 0))
		rc = -EUCLEAN;
	spread_page_fini(&p);
	return rc;
}

static bool run_put(struct engine_batch *b, const struct run_rec *run)
{
	struct rec_key key = key_run(run->modseq, run->first);
	uint8_t val[RECORD_RUN_BYTES];

	run_pack(run, val);
	return run->n == 0 ? engine_del(b, key_slice(&key)) == 0
			   : engine_put(b, key_slice(&key), slice_of(val, sizeof(val))) == 0;
}

static bool rows_put(struct engine_batch *b, uint32_t uid, const struct mbox_head *h)
{
	struct rec_key key = key_kind(REC_HEAD), flags = key_u32(REC_FLAGS, uid),
		       header = key_u32(REC_HEADER, uid);
	uint8_t val[RECORD_HEAD_BYTES];

	head_pack(h, val);
	return engine_put(b, key_slice(&key), slice_of(val, sizeof(val))) == 0 &&
	       engine_del(b, key_slice(&flags)) == 0 && engine_del(b, key_slice(&header)) == 0;
}

int spread_leave_out(
    const struct spread_group *g, struct engine_group *to, uint32_t uid, const struct msg_rec *rec)
{
	struct engine *e = g->s->to;
	struct engine_batch *b = NULL;
	uint32_t flags = rec->flags;
	struct mbox_head h;
	struct run_rec run;
	int rc = head_of(e, to, &h);

	if (rc == 0)
		rc = run_of(e, to, uid, &run);
	if (rc == 0)
		rc = flags_of(e, to, uid, &flags);
	if (rc != 0)
		return rc;
	if (run.n > 0) {
		run.n--;
		run.bytes -= rec->size;
		h.lost--;
		h.lost_bytes -= rec->size;
	} else {
		h.exists--;
		h.bytes -= rec->size;
		h.unseen -= (flags & IPC_FLAG_SEEN) == 0;
	}
	b = engine_batch_new(to);
	if (b == NULL || !rows_put(b, uid, &h) || (run.modseq != 0 && !run_put(b, &run)))
		rc = -ENOMEM;
	if (rc == 0)
		rc = sync_commit(e, &b);
	engine_batch_free(&b);
	g->s->left_out++;
	return rc;
}
