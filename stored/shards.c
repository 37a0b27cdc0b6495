/*
 * shards - in which shard of the engine an account lies: all its groups are in one, which its row
 * in the store's group says. A new one goes where the fewest are.
 */
#include "stored/store-private.h"

#include "common/base/clock.h"
#include "common/base/wire.h"

static void count_step(struct store *st);

static void on_accounts(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct store *st = arg;

	st->in_flight--;
	for (size_t i = 0; rc == ENGINE_OK && i < n; i++)
		if (rows[i].val.n == 4 && wire_load_u32(rows[i].val.p) < st->n_shards)
			st->shards[wire_load_u32(rows[i].val.p)].accounts++;
	if (rc == ENGINE_OK && n > 0)
		st->count_from = key_after(rows[n - 1].key);
	st->counting = rc == ENGINE_OK && more && !st->stopping;
	st->counted = rc == ENGINE_OK && !more;
	if (st->counting)
		count_step(st);
}

static void count_step(struct store *st)
{
	struct rec_key to = key_kind_end(REC_ACCOUNT);

	if (st->meta == NULL) {
		st->counting = false;
		return;
	}
	st->in_flight++;
	engine_scan(st->meta, key_slice(&st->count_from), key_slice(&to), 0, on_accounts, st);
}

/* An account that is made meanwhile may count twice: nobody needs it exactly. */
void shards_tick(struct store *st)
{
	if (st->n_shards == 1 || st->counted || st->counting || st->stopping)
		return;
	if (st->count_from.n == 0)
		st->count_from = key_kind(REC_ACCOUNT);
	st->counting = true;
	count_step(st);
}

enum rank { WELL, REFUSES, SICK, AWAY };

static enum rank rank(const struct store *st, unsigned k)
{
	const struct engine *e = store_engine(st);
	int64_t refused_ms = st->shards[k].refused_ms;

	if (engine_shard_away(e, k) != NULL)
		return AWAY;
	if (engine_health(engine_shard(e, k)) != ENGINE_HEALTHY)
		return SICK;
	/* A full one is as healthy as any. */
	return refused_ms != 0 && clock_mono_ms() - refused_ms < st->shard_rest_ms ? REFUSES : WELL;
}

/* One where accounts cannot be made would stay the one with the fewest. */
unsigned shard_for_new(struct store *st)
{
	enum rank least = rank(st, 0);
	unsigned best = 0;

	for (unsigned k = 1; k < st->n_shards; k++) {
		enum rank r = rank(st, k);

		if (r > least ||
		    (r == least && st->shards[k].accounts >= st->shards[best].accounts))
			continue;
		best = k;
		least = r;
	}
	st->shards[best].accounts++;
	return best;
}

void shard_refused(struct store *st, unsigned shard)
{
	if (st->shards[shard].accounts > 0)
		st->shards[shard].accounts--;
	st->shards[shard].refused_ms = clock_mono_ms();
}

unsigned shards_away(const struct store *st)
{
	unsigned n = 0;

	for (unsigned k = 0; k < st->n_shards; k++)
		n += engine_shard_away(store_engine(st), k) != NULL;
	return n;
}

void shards_text(const struct store *st, struct buf *b)
{
	for (unsigned k = 0; st->n_shards > 1 && k < st->n_shards; k++) {
		const struct engine *e = engine_shard(store_engine(st), k);
		const char *away = engine_shard_away(store_engine(st), k);
		struct engine_stats s;

		engine_stats(e, &s);
		buf_printf(b, "shard-%u-away %s\nshard-%u-health %u\nshard-%u-accounts %llu\n", k,
		    away != NULL ? away : "no", k, (unsigned)engine_health(e), k,
		    (unsigned long long)st->shards[k].accounts);
		buf_printf(b, "shard-%u-file-bytes %llu\nshard-%u-live-bytes %llu\n", k,
		    (unsigned long long)s.file_bytes, k, (unsigned long long)s.live_bytes);
		buf_printf(b, "shard-%u-damaged %llu\nshard-%u-commits %llu\n", k,
		    (unsigned long long)(s.damaged_bodies + s.damaged_rows + s.damaged_frames), k,
		    (unsigned long long)s.commits);
	}
}
