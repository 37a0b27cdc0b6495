/*
 * cross-settle - an account is loaded that messages were leaving when the process died, or when it
 * was forgotten: what is in the other account by now goes here; then the note goes.
 *
 * The account has its mailboxes, and nobody has the account yet.
 */
#include "stored/change-private.h"
#include "stored/cross.h"

#include "common/base/log.h"
#include "common/base/wire.h"

#include <stdlib.h>

struct settle {
	struct account *a;
	struct cross_rec rec;
	struct engine *shard; /* of the other account */
	bool there;           /* the copies are */
	struct mbox *from;    /* held */
	struct change gone;
	uint8_t val[]; /* the note */
};

/* The row of a mailbox of another account that says what nobody asks any more. */
struct sweep {
	struct txn txn; /* first: see on_swept() */
	struct store *st;
	uint64_t mbox, id;
	struct mbox *m; /* held */
};

int cross_found(struct account *a, struct slice val)
{
	struct settle *s = calloc(1, sizeof(*s) + val.n);

	free(a->crossing);
	a->crossing = s;
	if (s == NULL)
		return 1;
	memcpy(s->val, val.p, val.n);
	s->a = a;
	return cross_unpack(slice_of(s->val, val.n), &s->rec);
}

bool cross_forget(struct engine_batch *b)
{
	struct rec_key key = key_kind(REC_CROSS);

	return engine_del(b, key_slice(&key)) == 0;
}

/* ---- the row there ---- */

static void swept(struct sweep *w)
{
	if (w->m != NULL)
		change_release(w->m);
	w->st->in_flight--;
	free(w);
}

static void on_swept(struct txn *t, int status)
{
	swept((struct sweep *)t);
}

static void on_sweep_held(void *arg, int status)
{
	struct sweep *w = arg;
	struct rec_key key = key_u64(REC_CROSS, w->id);
	struct mbox *m = w->m;
	struct txn *t = &w->txn;
	int r = status;

	if (status != IPC_ST_OK)
		w->m = NULL;
	if (r == IPC_ST_OK)
		r = txn_begin(m, t, on_swept);
	if (r == IPC_ST_OK && engine_del(t->batch, key_slice(&key)) != 0) {
		txn_abort(t);
		r = IPC_ST_TRYLATER;
	}
	if (r == IPC_ST_OK)
		r = txn_commit(w->st, &t, 1);
	if (r != IPC_ST_OK)
		swept(w);
}

static void on_there(void *arg, int status, struct account *a)
{
	struct sweep *w = arg;

	w->m = status == IPC_ST_OK ? account_mbox_id(a, w->mbox) : NULL;
	if (w->m != NULL)
		change_hold(w->m, false, on_sweep_held, w);
	else
		swept(w);
}

/* If that fails some octets stay. */
static void sweep(struct store *st, const struct cross_rec *rec)
{
	struct sweep *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return;
	*w = (struct sweep){ .st = st, .mbox = rec->to, .id = rec->id };
	st->in_flight++;
	account_get(st, rec->account, 0, on_there, w);
}

/* ---- the end ---- */

static void over(struct settle *s, int status)
{
	struct account *a = s->a;
	struct store *st = a->st;
	struct cross_rec rec = s->rec;
	bool there = s->there && status == IPC_ST_OK;

	if (s->from != NULL)
		change_release(s->from);
	if (status == IPC_ST_OK)
		log_ev(LOG_NOTICE, "stored.replayed", kv_u("account", a->id));
	else
		log_ev(LOG_WARNING, "stored.engine", kv_s("what", "move"), kv_u("account", a->id),
		    kv_s("why", "later"));
	st->in_flight--;
	free(s->gone.uids);
	free(s->gone.keep);
	free(s);
	account_settled(a, status);
	if (there && !st->stopping)
		sweep(st, &rec);
}

static void on_note_gone(void *arg, int rc)
{
	struct settle *s = arg;

	if (rc == ENGINE_UNKNOWN || rc == ENGINE_STALE)
		account_forget(s->a);
	over(s, rc == ENGINE_OK && !s->a->forgotten ? IPC_ST_OK : IPC_ST_TRYLATER);
}

static void note_remove(struct settle *s)
{
	const struct commit_ask ask = { .account = s->a, .done = on_note_gone, .arg = s };
	struct engine_batch *b = s->a->state == ACCOUNT_READY ? engine_batch_new(s->a->root) : NULL;

	if (b != NULL && cross_forget(b) && commit_hand_in(s->a->st, &ask, &b, 1) == 0)
		return;
	engine_batch_free(&b);
	over(s, IPC_ST_TRYLATER);
}

/* ---- what is gone from here ---- */

static void on_gone(struct txn *t, int status)
{
	struct settle *s = (struct settle *)((char *)t - offsetof(struct settle, gone));

	if (status != IPC_ST_OK) {
		over(s, IPC_ST_TRYLATER);
		return;
	}
	s->gone.modseq = t->head.modseq;
	change_publish(&s->gone);
	note_remove(s);
}

static int gone_commit(struct settle *s)
{
	struct change *g = &s->gone;
	struct txn *t = &g->txn;
	int r = txn_begin(s->from, t, on_gone);

	if (r != IPC_ST_OK)
		return r;
	t->head.modseq = ++s->a->modseq;
	if (!change_rows(g)) {
		txn_abort(t);
		return IPC_ST_TRYLATER;
	}
	return txn_commit(s->a->st, &t, 1);
}

static void on_held(void *arg, int status)
{
	struct settle *s = arg;
	struct change *g = &s->gone;

	if (status != IPC_ST_OK) {
		s->from = NULL;
		over(s, IPC_ST_TRYLATER);
		return;
	}
	*g = (struct change){ .kind = CHANGE_EXPUNGE,
		.mbox = s->from,
		.see = { .uid_limit = UINT32_MAX },
		.data = (uint8_t *)s->rec.uids.p,
		.n_data = s->rec.uids.n };
	if (!change_fill(g) || (g->n > 0 && gone_commit(s) != IPC_ST_OK))
		over(s, IPC_ST_TRYLATER);
	else if (g->n == 0)
		note_remove(s);
}

/* ---- whether it is there ---- */

static void on_row(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct settle *s = arg;

	s->there = rc == ENGINE_OK && n == 1;
	if (rc != ENGINE_OK && rc != ENGINE_NOTFOUND) {
		over(s, IPC_ST_TRYLATER);
		return;
	}
	s->from = s->there ? account_mbox_id(s->a, s->rec.from) : NULL;
	if (s->from != NULL)
		change_hold(s->from, true, on_held, s);
	else
		note_remove(s);
}

/* While a shard looks at its tail nobody can tell, since a commit of an unknown outcome may be
 * found there; when it is broken or away neither. */
static bool can_tell(const struct engine *e, unsigned shard)
{
	enum engine_health h;

	if (engine_shard_away(e, shard) != NULL)
		return false;
	h = engine_health(engine_shard(e, shard));
	return h == ENGINE_HEALTHY || h == ENGINE_INDEX_STUCK;
}

static void on_shard(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct settle *s = arg;
	struct engine *e = store_engine(s->a->st);
	struct rec_key group = key_group_mbox(s->rec.to), key = key_u64(REC_CROSS, s->rec.id);
	unsigned shard;

	if (rc == ENGINE_NOTFOUND || (rc == ENGINE_OK && n == 0)) {
		note_remove(s); /* the account has gone, with all that is there */
		return;
	}
	shard = rc == ENGINE_OK && rows[0].val.n == 4 ? wire_load_u32(rows[0].val.p) : UINT32_MAX;
	if (shard >= s->a->st->n_shards || !can_tell(e, shard)) {
		over(s, IPC_ST_TRYLATER);
		return;
	}
	engine_peek(engine_shard(e, shard), key_slice(&group), key_slice(&key), on_row, s);
}

void cross_settle(struct account *a)
{
	struct settle *s = a->crossing;
	struct rec_key key = key_u64(REC_ACCOUNT, s->rec.account);

	a->crossing = NULL;
	a->st->in_flight++;
	if (a->st->meta == NULL)
		over(s, IPC_ST_TRYLATER);
	else
		engine_get(a->st->meta, key_slice(&key), on_shard, s);
}
