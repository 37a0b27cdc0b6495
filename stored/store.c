#include "stored/lost.h"
#include "stored/maintain.h"

#include "common/base/clock.h"
#include "common/base/log.h"

#include <errno.h>
#include <stdlib.h>

int store_status(int engine_rc)
{
	switch (engine_rc) {
	case ENGINE_OK:
		return IPC_ST_OK;
	case ENGINE_NOTFOUND:
		return IPC_ST_NOTFOUND;
	case ENGINE_FULL:
		return IPC_ST_FULL;
	case ENGINE_TOOBIG:
		return IPC_ST_TOOBIG;
	case ENGINE_CORRUPT:
		return IPC_ST_CORRUPT;
	default:
		return IPC_ST_TRYLATER;
	}
}

int slice_dup(struct slice from, struct slice *ret)
{
	uint8_t *p = from.n > 0 ? malloc(from.n) : NULL;

	*ret = SLICE_NONE;
	if (from.n == 0)
		return 0;
	if (p == NULL)
		return 1;
	memcpy(p, from.p, from.n);
	*ret = slice_of(p, from.n);
	return 0;
}

void store_bad_peer(struct store *st, const char *what, uint64_t sid, const char *why)
{
	st->counts.bad_peers++;
	log_ev(
	    LOG_NOTICE, "stored.refused", kv_s("what", what), kv_sid("sid", sid), kv_s("why", why));
}

/* ---- the loop ---- */

/* Whether the engine goes on: it says so in no answer when nobody asks it for anything. */
static void health_look(struct store *st)
{
	if (engine_health(store_engine(st)) == ENGINE_BROKEN && !st->broken_told) {
		st->broken_told = true;
		log_ev(LOG_ERR, "stored.engine", kv_s("what", "health"), kv_s("why", "broken"));
		if (st->on_broken != NULL)
			st->on_broken(st->arg);
	}
}

static void on_engine(evutil_socket_t fd, short what, void *arg)
{
	struct store *st = arg;

	engine_dispatch(store_engine(st), STORE_DISPATCH_MAX);
	health_look(st);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct store *st = arg;

	engine_dispatch(store_engine(st), STORE_DISPATCH_MAX); /* a shard may be broken, or back */
	maintain_tick(st);
	if (st->meta == NULL)
		meta_reopen(st);
	intent_retry(st);
	shards_tick(st);
	post_expire(st, clock_mono_ms());
	account_evict(st, false);
	lost_sweep_tick(st);
	health_look(st);
}

static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
	struct store *st = arg;
	struct session *s;
	struct post_conn *pc;

	while ((s = LIST_FIRST(&st->dead_sessions)) != NULL)
		session_free(s);
	while ((pc = LIST_FIRST(&st->dead_conns)) != NULL)
		post_conn_free(pc);
}

void store_sweep_soon(struct store *st)
{
	event_active(st->ev_sweep, EV_TIMEOUT, 0);
}

static void on_pump(evutil_socket_t fd, short what, void *arg)
{
	session_pump_later(arg);
}

static void on_threads(evutil_socket_t fd, short what, void *arg)
{
	threads_flush_all(arg);
}

/* By a timer: an event made active is run before anybody's input is looked at. */
void store_pump_soon(struct store *st)
{
	static const struct timeval now = { .tv_usec = 1 };

	(void)event_add(st->ev_pump, &now);
}

static int events_init(struct store *st)
{
	static const struct timeval tick = { .tv_sec = STORE_TICK_MS / 1000,
		.tv_usec = STORE_TICK_MS % 1000 * 1000 };

	st->ev_sweep = event_new(st->base, -1, 0, on_sweep, st);
	st->ev_pump = event_new(st->base, -1, 0, on_pump, st);
	st->ev_threads = evtimer_new(st->base, on_threads, st);
	st->ev_tick = event_new(st->base, -1, EV_PERSIST, on_tick, st);
	st->ev_engine =
	    event_new(st->base, engine_fd(st->engine), EV_READ | EV_PERSIST, on_engine, st);
	if (st->ev_sweep == NULL || st->ev_pump == NULL || st->ev_threads == NULL ||
	    st->ev_tick == NULL || st->ev_engine == NULL)
		return -ENOMEM;
	if (event_add(st->ev_tick, &tick) != 0 || event_add(st->ev_engine, NULL) != 0)
		return -ENOMEM;
	return 0;
}

int store_new(const struct store_conf *conf, struct store **ret_st)
{
	static const struct upkeep_conf by_hand = { .name = "store", .look_ms = 1 };
	struct store *st = calloc(1, sizeof(*st));
	int r;

	if (st == NULL)
		return -ENOMEM;
	TAILQ_INIT(&st->pump_later);
	TAILQ_INIT(&st->threads_dirty);
	st->base = conf->base;
	st->engine = conf->engine;
	st->n_shards = engine_shards(conf->engine);
	st->instance = conf->instance;
	st->refused = conf->refused;
	st->copy_msgs_max = COPY_MSGS_MAX;
	st->copy_lends = COPY_LENDS;
	st->copy_whole = COPY_WHOLE;
	st->copy_portion = COPY_PORTION;
	st->threads_rows = THREADS_ROWS;
	st->intent_retry_ms = INTENT_RETRY_MS;
	st->shard_rest_ms = SHARD_REST_MS;
	st->policy = (struct account_policy){ .undelete_s = (int64_t)conf->undelete_s,
		.restores_per_day = RESTORES_PER_DAY,
		.suspend = 100 };
	st->on_broken = conf->on_broken;
	st->arg = conf->arg;
	TAILQ_INIT(&st->idle);
	TAILQ_INIT(&st->jobs);
	r = events_init(st);
	if (r == 0)
		r = maintain_init(st, conf->upkeep.name != NULL ? &conf->upkeep : &by_hand);
	if (r == 0)
		r = meta_init(st);
	if (r != 0)
		store_free(&st);
	else
		*ret_st = st;
	return r;
}

void store_stop(struct store *st)
{
	st->stopping = true;
	mbox_load_hurry(st);
	session_end_all(st, NULL, 0, IPC_BYE_STOP);
	threads_flush_all(st);
}

bool store_idle(const struct store *st)
{
	return st->in_flight == 0;
}

void store_free(struct store **stp)
{
	struct store *st = *stp;
	struct peer *p;
	struct post_conn *pc;

	*stp = NULL;
	if (st == NULL)
		return;
	if (st->ev_sweep != NULL)
		store_stop(st);
	while ((p = LIST_FIRST(&st->peers)) != NULL)
		peer_end(p);
	while ((pc = LIST_FIRST(&st->conn_list)) != NULL)
		post_conn_end(pc);
	parse_fini(st);
	if (st->ev_sweep != NULL)
		on_sweep(-1, 0, st);
	/* Callbacks of what is in flight hold pointers to us: see them through. */
	for (int turns = 0; st->in_flight > 0 && turns < 1000; turns++)
		store_engine_turn(st, 10);
	lost_sweep_fini(st);
	intent_retry_fini(st);
	maintain_fini(st);
	account_evict(st, true);
	idmap_fini(&st->accounts);
	idmap_fini(&st->conns);
	if (st->meta != NULL)
		engine_group_close(&st->meta);
	if (st->ev_sweep != NULL)
		event_free(st->ev_sweep);
	if (st->ev_pump != NULL)
		event_free(st->ev_pump);
	if (st->ev_threads != NULL)
		event_free(st->ev_threads);
	if (st->ev_tick != NULL)
		event_free(st->ev_tick);
	if (st->ev_engine != NULL)
		event_free(st->ev_engine);
	free(st);
}
