#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/database/database.h"
#include "common/database/upkeep.h"
#include "common/metrics/metrics.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <time.h>

enum { BUSY_WAIT_MS = 7000, BUSY_LOOK_MS = 20 }; /* more than an orphan has to end */

static const char damaged[] =
    "this database is damaged and left as it is; gatehousectl store rebuild makes its index anew "
    "where only that is at fault, gatehousectl store salvage gets out of it what is left; a reload "
    "or a start looks again";

static void on_progress(void *arg, uint64_t done, uint64_t of)
{
	proc_progress(arg);
}

/*
 * An answer of the engine. After the death of a master its processes end by themselves, each when
 * it sees that: one that still has the database open is waited for, since a supervisor may be quick
 * to start us again.
 */
static int open_it(struct database *db, struct proc *p, const char *dir)
{
	const struct timespec pause = { 0, BUSY_LOOK_MS * 1000000 };
	int64_t end_ms = clock_mono_ms() + BUSY_WAIT_MS;
	bool memory = conf_is_word(proc_conf(p), CONF_engine, "memory");
	struct engine_conf conf = db->mend;
	char spec[32];
	int r;

	conf.hold_threads = true;
	conf.crashes = proc_crashes(p);
	conf.progress = on_progress;
	conf.progress_arg = p;

	db->name = dir;
	snprintf(spec, sizeof(spec), "%s%s", db->shards, memory ? "mem" : "lmdb");
	for (;;) {
		r = engine_open(spec, memory ? -1 : proc_dir(p, dir), &conf, &db->engine);
		if (r != ENGINE_BUSY || clock_mono_ms() > end_ms)
			return r;
		proc_progress(p);
		nanosleep(&pause, NULL);
	}
}

static int opened(struct proc *p, int r)
{
	if (r == ENGINE_BUSY)
		proc_fail(p, "another process has this database open", EBUSY);
	else if (r == ENGINE_VERSION)
		proc_fail(p,
		    "a newer version of gatehouse wrote this database, and it is left as it is; "
		    "install that version again, or restore a backup from before it",
		    0);
	else if (r != 0)
		proc_fail(p, "the database cannot be opened", r < 0 ? -r : EIO);
	return r == 0 ? 0 : -1;
}

int database_open(struct database *db, struct proc *p, const char *dir)
{
	int r = open_it(db, p, dir);

	if (r == ENGINE_CORRUPT) {
		log_ev(LOG_ERR, "database.refused", kv_s("name", dir), kv_s("why", damaged));
		db->refused = true;
		r = engine_open("mem", -1, NULL, &db->engine);
	}
	return opened(p, r);
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct database *db = arg;

	engine_dispatch(db->engine, 0);
	if (engine_health(db->engine) != ENGINE_BROKEN)
		return;
	/* Only a new start helps: master gives us one. */
	proc_fail(db->proc, "the database needs a restart", EIO);
	proc_exit(db->proc, 1);
}

int database_start(struct database *db, struct proc *p)
{
	struct upkeep_conf conf;
	int r = engine_start(db->engine);

	upkeep_conf_read(&conf, proc_conf(p), db->name);
	db->proc = p;
	if (r == 0) {
		db->ready = event_new(
		    proc_base(p), engine_fd(db->engine), EV_READ | EV_PERSIST, on_ready, db);
		r = db->ready == NULL || event_add(db->ready, NULL) != 0 ? -ENOMEM : 0;
	}
	if (r == 0)
		r = upkeep_new(proc_base(p), db->engine, &conf, NULL, NULL, &db->upkeep);
	if (r != 0)
		proc_fail(p, "the database cannot start", -r);
	return r == 0 ? 0 : -1;
}

void database_on_reload(struct database *db, struct proc *p)
{
	bool away = false;

	for (unsigned k = 0; k < engine_shards(db->engine); k++)
		away |= engine_shard_away(db->engine, k) != NULL;
	if (!db->refused && !away)
		return;
	log_ev(LOG_NOTICE, "database.again", kv_s("name", db->name));
	if (db->refused || !engine_mend(db->engine))
		proc_exit(p, 1);
}

void database_count(const struct database *db)
{
	metric_set(METRIC_database_refused, db->name, "", db->refused);
}

void database_close(struct database *db)
{
	upkeep_free(&db->upkeep);
	if (db->ready != NULL)
		event_free(db->ready);
	db->ready = NULL;
	if (db->engine != NULL)
		engine_close(&db->engine);
}
