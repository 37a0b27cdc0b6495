#include "common/database/upkeep.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/conf/conf.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>

enum {
	TICK_MS = 1000,
	LOOK_SHARE = 100,         /* of the time, one part is spent on looking */
	LOOK_ANYWAY_MS = 3600000, /* deletes hardly show in the log */
	BACKOFF_MAX_MS = 3600000,
};

struct upkeep {
	struct engine *engine;
	struct event *tick;
	struct upkeep_conf conf;
	engine_damage_fn *found;
	void *arg;
	struct upkeep_state state;
	struct run *run;   /* a look or a pass */
	struct run *scrub; /* which gives way to those */
	/* looking */
	int64_t next_look_ms, looked_ms, backoff_ms;
	uint64_t looked_frame_bytes, hint_bytes;
	int64_t next_scrub_ms; /* not before */
	bool scrub_turn;       /* a look was the last: a scrub that is due is next */
};

/* A chore of the engine's; outlives the upkeep. */
struct run {
	struct run *next;
	struct upkeep *u; /* NULL: gone */
	enum upkeep_chore chore;
	int64_t began_ms;
	struct engine_stats before;
};

void upkeep_conf_read(struct upkeep_conf *c, const struct conf *conf, const char *name)
{
	*c = (struct upkeep_conf){
		.name = name,
		.dead_percent = (unsigned)conf_get_u64(conf, CONF_compact_dead_percent),
		.dead_bytes = conf_get_u64(conf, CONF_compact_min),
		.look_ms = (int64_t)conf_get_u64(conf, CONF_compact_look),
		.scrub_s = (int64_t)conf_get_u64(conf, CONF_scrub_days) * 86400,
		.compact_bytes_s = conf_get_u64(conf, CONF_compact_mb_s) << 20,
		.scrub_bytes_s = conf_get_u64(conf, CONF_scrub_mb_s) << 20,
	};
}

/* ---- a chore ---- */

static const char *chore_name(enum upkeep_chore c)
{
	return c == UPKEEP_SCRUB ? "scrub" : "compact";
}

/* The next look is far enough away, and further still after a failure. */
static void look_later(struct upkeep *u, int64_t took_ms, int rc)
{
	int64_t pause = took_ms * LOOK_SHARE;

	pause = pause < u->conf.look_ms ? u->conf.look_ms : pause;
	pause = pause > LOOK_ANYWAY_MS && u->conf.look_ms < LOOK_ANYWAY_MS ? LOOK_ANYWAY_MS : pause;
	if (rc == ENGINE_OK) {
		u->backoff_ms = 0;
	} else {
		u->backoff_ms = u->backoff_ms == 0 ? u->conf.look_ms : 2 * u->backoff_ms;
		if (u->backoff_ms > BACKOFF_MAX_MS)
			u->backoff_ms = BACKOFF_MAX_MS;
		pause = pause > u->backoff_ms ? pause : u->backoff_ms;
	}
	u->next_look_ms = clock_mono_ms() + pause;
}

static void tell_pass(const struct upkeep *u, const struct run *r, const struct engine_stats *now)
{
	uint64_t moved = now->moved_bytes - r->before.moved_bytes;
	uint64_t files = now->dropped_files - r->before.dropped_files;

	log_ev(LOG_NOTICE, "upkeep.compacted", kv_s("name", u->conf.name), kv_u("bytes", moved),
	    kv_u("count", files), kv_u("lived_ms", (uint64_t)(clock_mono_ms() - r->began_ms)));
}

static void tell_scrub(const struct upkeep *u, const struct engine_stats *now)
{
	uint64_t bad = now->damaged_bodies + now->damaged_rows + now->damaged_frames;

	if (bad > 0)
		log_ev(LOG_ERR, "upkeep.damaged", kv_s("name", u->conf.name), kv_u("count", bad));
	else
		log_ev(LOG_NOTICE, "upkeep.scrubbed", kv_s("name", u->conf.name),
		    kv_u("bytes", now->scrub_bytes));
}

static void end_scrub(struct upkeep *u, int rc, const struct engine_stats *now)
{
	u->state.scrub.ended_s = clock_wall_s();
	u->state.scrub.rc = rc;
	u->state.scrub_ends++;
	u->next_scrub_ms = clock_mono_ms() + (rc == ENGINE_OK ? 0 : BACKOFF_MAX_MS);
	if (rc == ENGINE_OK)
		tell_scrub(u, now);
}

/* Of a pass, or of a look that did not lead to one. */
static void end_pass(struct upkeep *u, const struct run *r, int rc, const struct engine_stats *now)
{
	bool passed = now->compactions != r->before.compactions;
	int64_t took_ms = clock_mono_ms() - r->began_ms;

	look_later(u, passed ? 0 : took_ms, rc);
	u->hint_bytes = 0;
	u->looked_ms = clock_mono_ms();
	u->scrub_turn = true;
	u->looked_frame_bytes = now->frame_bytes;
	if (r->chore == UPKEEP_LOOK && !passed && rc == ENGINE_OK)
		return;
	u->state.compact.ended_s = clock_wall_s();
	u->state.compact.began_s = u->state.compact.ended_s - took_ms / 1000;
	u->state.compact.rc = rc;
	u->state.compact_ends++;
	if (passed)
		tell_pass(u, r, now);
}

static enum upkeep_chore runs(const struct upkeep *u)
{
	if (u->run != NULL)
		return u->run->chore;
	return u->scrub != NULL ? UPKEEP_SCRUB : UPKEEP_NONE;
}

static void on_end(void *arg, int rc)
{
	struct run *r = arg;
	struct upkeep *u = r->u;
	struct engine_stats now;

	if (u == NULL)
		return; /* see upkeep_free() */
	engine_stats(u->engine, &now);
	if (rc != ENGINE_OK)
		log_ev(LOG_WARNING, "upkeep.failed", kv_s("name", u->conf.name),
		    kv_s("what", chore_name(r->chore)), kv_s("why", engine_rc_name(rc)));
	if (r->chore == UPKEEP_SCRUB)
		end_scrub(u, rc, &now);
	else
		end_pass(u, r, rc, &now);
	if (r->chore == UPKEEP_SCRUB)
		u->scrub = NULL;
	else
		u->run = NULL;
	u->state.runs = runs(u);
	free(r);
}

static void on_damage(void *arg, const struct engine_damage *d)
{
	struct run *r = arg;

	if (r->u != NULL && r->u->found != NULL)
		r->u->found(r->u->arg, d);
}

static void begin(struct upkeep *u, enum upkeep_chore chore)
{
	struct engine_compact_when when = { u->conf.dead_percent, u->conf.dead_bytes };
	struct run *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return;
	r->u = u;
	r->chore = chore;
	r->began_ms = clock_mono_ms();
	engine_stats(u->engine, &r->before);
	if (chore == UPKEEP_SCRUB)
		u->scrub = r;
	else
		u->run = r;
	u->state.runs = runs(u);
	if (chore == UPKEEP_SCRUB) {
		u->scrub_turn = false;
		u->state.scrub_asked = false;
		u->state.scrub.began_s = clock_wall_s();
		engine_scrub(u->engine, on_damage, on_end, r);
		return;
	}
	if (chore == UPKEEP_COMPACT)
		u->state.compact_asked = false;
	engine_compact(u->engine, chore == UPKEEP_COMPACT ? NULL : &when, on_end, r);
}

/* ---- when ---- */

/* May it pay? What was written since the last look may all be dead by now, or have made so much
 * dead. */
static bool worth_a_look(const struct upkeep *u)
{
	struct engine_stats st;
	uint64_t grown, dead, all;

	engine_stats(u->engine, &st);
	if (st.measures == 0)
		return true;
	grown = st.frame_bytes - u->looked_frame_bytes;
	if (grown + u->hint_bytes > 0 && clock_mono_ms() - u->looked_ms > LOOK_ANYWAY_MS)
		return true;
	all = st.file_bytes + grown;
	dead = (st.file_bytes > st.live_bytes ? st.file_bytes - st.live_bytes : 0) + grown +
	       u->hint_bytes;
	return dead >= u->conf.dead_bytes && dead >= all / 100 * u->conf.dead_percent &&
	       grown + u->hint_bytes > 0;
}

static bool scrub_due(const struct upkeep *u)
{
	struct engine_stats st;

	if (u->conf.scrub_s == 0 || u->scrub != NULL || clock_mono_ms() < u->next_scrub_ms)
		return false;
	engine_stats(u->engine, &st);
	return st.scrubbed_s + u->conf.scrub_s <= clock_wall_s();
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct upkeep *u = arg;

	if (u->run != NULL)
		return;
	if (u->state.compact_asked)
		begin(u, UPKEEP_COMPACT);
	else if (u->state.scrub_asked && u->scrub == NULL)
		begin(u, UPKEEP_SCRUB);
	else if (clock_mono_ms() < u->next_look_ms)
		;
	else if (u->scrub_turn && scrub_due(u)) /* where much is written a look always pays */
		begin(u, UPKEEP_SCRUB);
	else if (u->conf.dead_percent > 0 && worth_a_look(u))
		begin(u, UPKEEP_LOOK);
	else if (scrub_due(u))
		begin(u, UPKEEP_SCRUB);
}

bool upkeep_ask(struct upkeep *u, enum upkeep_chore chore)
{
	bool *asked = chore == UPKEEP_SCRUB ? &u->state.scrub_asked : &u->state.compact_asked;

	if (*asked || (chore == UPKEEP_SCRUB && u->scrub != NULL) ||
	    (u->run != NULL && u->run->chore == chore))
		return false;
	*asked = true;
	on_tick(-1, 0, u);
	return true;
}

void upkeep_hint(struct upkeep *u, uint64_t dead_bytes)
{
	u->hint_bytes += dead_bytes;
}

bool upkeep_scrubs(const struct upkeep *u)
{
	return u->scrub != NULL;
}

void upkeep_state(const struct upkeep *u, struct upkeep_state *ret_s)
{
	*ret_s = u->state;
}

/* ---- life ---- */

void upkeep_set(struct upkeep *u, const struct upkeep_conf *conf)
{
	u->conf = *conf;
	engine_pace(u->engine, conf->compact_bytes_s, conf->scrub_bytes_s);
}

int upkeep_new(struct event_base *base, struct engine *e, const struct upkeep_conf *conf,
    engine_damage_fn *found, void *arg, struct upkeep **ret_u)
{
	static const struct timeval tick = { TICK_MS / 1000, TICK_MS % 1000 * 1000 };
	struct upkeep *u = calloc(1, sizeof(*u));

	if (u == NULL)
		return -ENOMEM;
	*u = (struct upkeep){ .engine = e, .found = found, .arg = arg };
	upkeep_set(u, conf);
	u->next_look_ms = clock_mono_ms() + conf->look_ms;
	u->tick = event_new(base, -1, EV_PERSIST, on_tick, u);
	if (u->tick == NULL || event_add(u->tick, &tick) != 0) {
		upkeep_free(&u);
		return -ENOMEM;
	}
	*ret_u = u;
	return 0;
}

/* The engine may answer it, and need not: two per life of a process stay. */
static void leave(struct run *r)
{
	static struct run *left;

	if (r == NULL)
		return;
	r->u = NULL;
	r->next = left;
	left = r;
}

void upkeep_free(struct upkeep **up)
{
	struct upkeep *u = *up;

	*up = NULL;
	if (u == NULL)
		return;
	leave(u->run);
	leave(u->scrub);
	if (u->tick != NULL)
		event_free(u->tick);
	free(u);
}
