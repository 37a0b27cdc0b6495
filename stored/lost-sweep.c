/*
 * lost-sweep - what is older than its account's settings say is purged: round after round over all
 * accounts, a few in each tick. In one tick routerd is asked what these say, in the next they are
 * purged, one at a time; who has no answer waits for the next round.
 *
 * Nothing is remembered between rounds, so nothing is forgotten by a crash, a new setting or a hold
 * that ended.
 */
#include "stored/lost.h"
#include "stored/maintain.h"

#include "common/base/clock.h"
#include "common/base/log.h"

#include <stdlib.h>

struct lost_sweep {
	struct store *st;
	struct rec_key from; /* of the next account */
	uint64_t ids[LOST_SWEEP_ACCOUNTS];
	size_t n, at;
	bool busy, in_round;
	bool looping, again;
	uint64_t visitor; /* an account that only the sweep had in memory; 0: none */
	bool visitors[LOST_SWEEP_ACCOUNTS];
	bool asking;
	unsigned shard;      /* of the account that is looked after */
	uint64_t lost_bytes; /* that can be restored, of this round so far */
	int64_t next_ms;     /* when the next round begins */
};

/* What is kept for hours only is looked at more often. */
static int64_t pause_ms(const struct store *st)
{
	int64_t s = st->policy.undelete_s / 100;

	return 1000 * (s < 1 ? 1 : s > LOST_SWEEP_S ? LOST_SWEEP_S : s);
}

static void sweep_next(struct lost_sweep *w);

static void on_purged(void *arg, int status, size_t n, uint64_t bytes)
{
	struct lost_sweep *w = arg;

	if (n > 0)
		log_ev(LOG_INFO, "stored.purged", kv_u("count", n), kv_u("bytes", bytes));
	maintain_hint(w->st, w->shard, bytes);
	sweep_next(w);
}

static void on_account(void *arg, int status, struct account *a)
{
	struct lost_sweep *w = arg;

	uint64_t bytes = 0;

	if (a != NULL && w->asking) {
		policy_want(a);
		(void)lost_count(a, &bytes);
		w->lost_bytes += bytes;
	}
	if (a == NULL || w->asking || !a->policy_known) {
		sweep_next(w);
		return;
	}
	w->shard = a->shard;
	lost_purge(a, SLICE_NONE, clock_wall_s() - a->policy.undelete_s, on_purged, w);
}

static void sweep_step(struct lost_sweep *w)
{
	struct store *st = w->st;
	uint64_t id;

	if (w->visitor != 0)
		account_let_go(st, w->visitor);
	w->visitor = 0;
	if (w->at == w->n || st->stopping) {
		w->busy = false;
		w->at = w->asking ? 0 : w->n;
		w->asking = false;
		return;
	}
	id = w->ids[w->at];
	if (w->asking)
		w->visitors[w->at] = idmap_get(&st->accounts, id) == NULL;
	else if (w->visitors[w->at])
		w->visitor = id;
	w->at++;
	account_get(st, id, 0, on_account, w);
}

/* What is done at once comes back here: by a loop, not by one call in the other. */
static void sweep_next(struct lost_sweep *w)
{
	w->again = true;
	if (w->looping)
		return;
	w->looping = true;
	while (w->again && w->busy) {
		w->again = false;
		sweep_step(w);
	}
	w->looping = false;
}

static void on_rows(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct lost_sweep *w = arg;

	w->st->in_flight--;
	w->n = w->at = 0;
	w->asking = true;
	for (size_t i = 0; rc == ENGINE_OK && i < n; i++)
		if (key_get_u64(rows[i].key, REC_ACCOUNT, &w->ids[w->n]) == 0)
			w->n++;
	if (rc == ENGINE_OK && n > 0)
		w->from = key_after(rows[n - 1].key);
	w->in_round = rc != ENGINE_OK || more;
	if (!w->in_round)
		w->next_ms = clock_mono_ms() + pause_ms(w->st);
	sweep_next(w);
}

void lost_sweep_tick(struct store *st)
{
	struct lost_sweep *w = st->sweep;
	struct rec_key to = key_kind_end(REC_ACCOUNT);

	if (w == NULL) {
		w = st->sweep = calloc(1, sizeof(*w));
		if (w == NULL)
			return;
		w->st = st;
		w->next_ms = clock_mono_ms() + (pause_ms(st) < 60000 ? pause_ms(st) : 60000);
	}
	if (w->busy || st->stopping || st->meta == NULL)
		return;
	if (w->at < w->n) {
		w->busy = true;
		sweep_next(w);
		return;
	}
	if (!w->in_round && clock_mono_ms() < w->next_ms)
		return;
	if (!w->in_round) {
		w->from = key_kind(REC_ACCOUNT);
		w->st->lost_bytes = w->lost_bytes;
		w->lost_bytes = 0;
	}
	w->busy = true;
	st->in_flight++;
	engine_scan(st->meta, key_slice(&w->from), key_slice(&to), LOST_SWEEP_ACCOUNTS, on_rows, w);
}

void lost_sweep_fini(struct store *st)
{
	free(st->sweep);
	st->sweep = NULL;
}
