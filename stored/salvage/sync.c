#include "stored/salvage/sync.h"

#include <errno.h>
#include <poll.h>

enum { UIDS_AHEAD = 1 << 20, UIDVALIDITIES_AHEAD = 1 << 16 };

#define UID_LATEST    UINT32_C(0xf0000000)
#define MODSEQS_AHEAD (UINT64_C(1) << 32)

int sync_rc(int rc)
{
	return rc <= 0 ? rc : rc == ENGINE_FULL ? -ENOSPC : -EIO;
}

void sync_done(void *arg, int rc)
{
	struct waiting *w = arg;

	w->answered = true;
	w->rc = rc;
}

static void on_group(void *arg, int rc, struct engine_group *take_group)
{
	*(struct waiting *)arg = (struct waiting){ true, rc, take_group };
}

int sync_wait(struct engine *e, struct waiting *w)
{
	while (!w->answered) {
		struct pollfd p = { .fd = engine_fd(e), .events = POLLIN };

		if (engine_dispatch(e, 0) == 0)
			poll(&p, 1, 1000);
	}
	w->answered = false;
	return sync_rc(w->rc);
}

int sync_group(struct engine *e, struct slice id, struct engine_group **ret_g)
{
	return sync_group_in(e, 0, id, ret_g);
}

int sync_group_in(struct engine *e, unsigned shard, struct slice id, struct engine_group **ret_g)
{
	struct waiting w = { 0 };
	int rc;

	engine_group_open(e, id, 0, ENGINE_CREATE | ENGINE_IN(shard), on_group, &w);
	rc = sync_wait(e, &w);
	if (rc == 0)
		*ret_g = w.group;
	return rc;
}

int sync_commit(struct engine *e, struct engine_batch **take_b)
{
	struct waiting w = { 0 };

	engine_commit(e, take_b, 1, sync_done, &w);
	*take_b = NULL;
	return sync_wait(e, &w);
}

int sync_put(struct engine *e, struct slice group, struct rec_key key, struct slice val)
{
	return sync_put_in(e, 0, group, key, val);
}

int sync_put_in(
    struct engine *e, unsigned shard, struct slice group, struct rec_key key, struct slice val)
{
	struct engine_group *g;
	struct engine_batch *b;
	int rc = sync_group_in(e, shard, group, &g);

	if (rc != 0)
		return rc;
	b = engine_batch_new(g);
	rc = b == NULL ? -ENOMEM : sync_rc(engine_put(b, key_slice(&key), val));
	if (rc == 0)
		rc = sync_commit(e, &b);
	engine_batch_free(&b);
	engine_group_close(&g);
	return rc;
}

void record_head_ahead(struct mbox_head *h)
{
	if (h->uidnext < UID_LATEST)
		h->uidnext += UIDS_AHEAD;
	h->modseq += MODSEQS_AHEAD;
	h->gone_floor = h->modseq;
	h->gone_rows = 0;
}

void record_root_ahead(struct root_rec *r)
{
	if (r->next_uidvalidity < UID_LATEST)
		r->next_uidvalidity += UIDVALIDITIES_AHEAD;
}
