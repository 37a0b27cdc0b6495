/*
 * count - the store's figures for whoever watches the suite.
 */
#include "stored/maintain.h"

#include "common/metrics/metrics.h"

static void put(enum metric m, uint64_t value)
{
	metric_set(m, "", "", (int64_t)value);
}

static void put_deliveries(const struct store_counts *c)
{
	static const char *const words[] = { [IPC_ST_OK] = "ok",
		[IPC_ST_NOTFOUND] = "not-found",
		[IPC_ST_DENIED] = "denied",
		[IPC_ST_EXISTS] = "exists",
		[IPC_ST_OVERQUOTA] = "quota",
		[IPC_ST_FULL] = "full",
		[IPC_ST_TRYLATER] = "unavailable",
		[IPC_ST_CORRUPT] = "damaged",
		[IPC_ST_TOOBIG] = "too-big",
		[IPC_ST_BAD] = "malformed" };

	metric_set(METRIC_deliveries, "ok", "", (int64_t)c->delivered);
	for (int i = 1; i <= IPC_ST_BAD; i++)
		if (c->refused_by[i] > 0)
			metric_set(METRIC_deliveries, words[i], "", (int64_t)c->refused_by[i]);
}

void store_count(const struct store *st)
{
	const struct store_counts *c = &st->counts;
	struct engine_stats e;

	engine_stats(store_engine(st), &e);
	put_deliveries(c);
	put(METRIC_delivered_bytes, c->delivered_bytes);
	put(METRIC_delivery_connections, st->conns.n);
	put(METRIC_sessions, st->n_sessions);
	put(METRIC_sessions_opened, c->sessions);
	put(METRIC_sessions_kicked, c->kicked);
	put(METRIC_messages_read, c->bodies);
	put(METRIC_read_bytes, c->body_bytes);
	put(METRIC_messages_expunged, c->expunged);
	put(METRIC_accounts_loaded, st->accounts.n);
	put(METRIC_store_commits, e.commits);
	put(METRIC_store_syncs, e.syncs);
	put(METRIC_store_checkpoints, e.checkpoints);
	put(METRIC_store_log_bytes, e.frame_bytes);
	put(METRIC_store_overlay_bytes, e.overlay_bytes);
	put(METRIC_store_sync_failures, e.sync_failures);
	put(METRIC_store_health, store_health(st));
	put(METRIC_store_shards_away, shards_away(st));
	put(METRIC_store_index_rebuilds, e.index_rebuilds);
	put(METRIC_store_peers_ended, c->bad_peers);
	put(METRIC_parse_queue, st->n_jobs);
	maintain_count(st);
}
