/*
 * database - a daemon's engine on its loop: opened before the sandbox, started inside it.
 */
#pragma once

#include "common/engine/engine.h"
#include "common/proc/proc.h"

struct event;
struct upkeep;

struct database {
	struct engine *engine;
	struct proc *proc;
	const char *name;
	struct event *ready;
	struct upkeep *upkeep;
	struct engine_conf mend; /* before database_open(): .mend and what belongs to it */
	char shards[8];          /* before database_open(): "3*", or nothing */
	bool refused;            /* it is damaged: `engine` is an empty one in memory instead */
};

/* In warm_up: opens the engine that the configuration names in the directory `dir`. 0, or -1 after
 * proc_fail(). A damaged one is no failure, but db->refused, and left as it is: the owner goes on,
 * to say so, and must not serve what is in the empty one. */
int database_open(struct database *db, struct proc *p, const char *dir);

/* The owner's on_reload: one that was refused, or a shard that was away, may have been repaired.
 * The engine looks at its shards again; else only a new process can, and master gives us one. */
void database_on_reload(struct database *db, struct proc *p);

/* In start: threads, callbacks from the loop, and upkeep by itself. 0, or -1 after proc_fail(). */
int database_start(struct database *db, struct proc *p);

/* In on_count: says whether it was refused. */
void database_count(const struct database *db);

/* At the end: what was handed in is made durable, callbacks are dropped. */
void database_close(struct database *db);
