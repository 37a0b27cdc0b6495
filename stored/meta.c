/*
 * meta - the store's own group: which accounts there are (account-load.c reads and writes those
 * rows) and the ids that are given out.
 */
#include "stored/store-private.h"

#include "common/base/log.h"
#include "common/base/wire.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

/* ---- ids: a block is durable before one of it is given out ---- */

struct id_ask {
	struct store *st;
	uint64_t start;
};

static void on_ids(void *arg, int rc)
{
	struct id_ask *q = arg;
	struct store *st = q->st;

	st->id_asked = false;
	st->in_flight--;
	if (rc == ENGINE_OK) {
		st->id_ahead = q->start;
		st->id_skipped = 0;
	} else {
		st->id_skipped += STORE_ID_BLOCK;
		log_ev(
		    LOG_ERR, "stored.engine", kv_s("what", "ids"), kv_s("why", engine_rc_name(rc)));
		if (rc == ENGINE_UNKNOWN || rc == ENGINE_STALE)
			meta_reopen(st);
	}
	free(q);
}

/* The next block starts behind the last one that we asked for, whatever became of that. */
static int ids_ask(struct store *st, uint64_t start)
{
	struct id_ask *q = malloc(sizeof(*q));
	struct engine_batch *b = st->meta != NULL ? engine_batch_new(st->meta) : NULL;
	struct rec_key key = key_kind(REC_IDS);
	uint8_t val[8];

	wire_store_u64(val, start + STORE_ID_BLOCK);
	if (q == NULL || b == NULL || engine_put(b, key_slice(&key), slice_of(val, 8)) != 0) {
		free(q);
		engine_batch_free(&b);
		return -ENOMEM;
	}
	*q = (struct id_ask){ st, start };
	st->id_asked = true;
	st->in_flight++;
	engine_commit(store_engine(st), &b, 1, on_ids, q);
	return 0;
}

uint64_t store_id(struct store *st)
{
	if (st->id_next == st->id_end && st->id_ahead != 0) {
		st->id_next = st->id_ahead;
		st->id_end = st->id_ahead + STORE_ID_BLOCK;
		st->id_ahead = 0;
	}
	if (st->id_ahead == 0 && !st->id_asked && st->id_end - st->id_next < STORE_ID_BLOCK / 2)
		(void)ids_ask(st, st->id_end + st->id_skipped);
	return st->id_next < st->id_end ? st->id_next++ : 0;
}

static void on_ids_row(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	uint64_t *start = arg;

	if (rc == ENGINE_OK && n == 1 && rows[0].val.n == 8)
		*start = wire_load_u64(rows[0].val.p);
	else
		*start = rc == ENGINE_NOTFOUND || (rc == ENGINE_OK && n == 0) ? 1 : 0;
}

static void on_meta(void *arg, int rc, struct engine_group *take_group)
{
	struct store *st = arg;

	st->in_flight--;
	st->meta_opening = false;
	if (rc == ENGINE_OK)
		st->meta = take_group;
	else
		log_ev(LOG_ERR, "stored.engine", kv_s("what", "store group"),
		    kv_s("why", engine_rc_name(rc)));
}

void meta_reopen(struct store *st)
{
	struct rec_key id = key_group_store();

	if (st->meta_opening)
		return;
	if (st->meta != NULL)
		engine_group_close(&st->meta);
	st->meta_opening = true;
	st->in_flight++;
	engine_group_open(store_engine(st), key_slice(&id), 0, ENGINE_CREATE, on_meta, st);
}

/* One wait for the engine, only while nobody is served yet or any more. */
void store_engine_turn(struct store *st, int wait_ms)
{
	struct engine *e = store_engine(st);
	struct pollfd p = { .fd = engine_fd(e), .events = POLLIN };

	poll(&p, 1, wait_ms);
	engine_dispatch(e, 0);
}

int meta_init(struct store *st)
{
	struct rec_key key = key_kind(REC_IDS);
	uint64_t start = UINT64_MAX;

	for (int tries = 0; tries < 10 && st->meta == NULL; tries++) {
		meta_reopen(st);
		while (st->meta_opening)
			store_engine_turn(st, 1000);
	}
	if (st->meta == NULL)
		return -EIO;
	intent_replay_all(st);
	if (st->meta == NULL)
		return -EIO;
	engine_get(st->meta, key_slice(&key), on_ids_row, &start);
	while (start == UINT64_MAX)
		store_engine_turn(st, 1000);
	/* An attempt that failed may have taken its block all the same: go on behind it. */
	for (int tries = 0; start != 0 && tries < 10 && st->id_ahead == 0; tries++) {
		if (ids_ask(st, start) != 0)
			return -ENOMEM;
		while (st->id_asked || st->meta_opening)
			store_engine_turn(st, 1000);
		start += STORE_ID_BLOCK;
	}
	return st->id_ahead == 0 ? -EIO : 0;
}
