/*
 * stored - keeps all mail: the one process that opens the store, and the owner of every mailbox.
 *
 * Holds:    3 control channel, 4 log, the store's directory and database; channels to authd,
 *           routerd, parsed, stored-external and the smtp acceptor; one channel per session, per
 *           connection that delivers, per administrator.
 * May:      read and write files below the store's folder, threads of the engine, socket pairs.
 * May not:  open another path, make a socket, fork, exec; interpret a message or a protocol.
 *           (Before its walls are up: forks what makes the index of a damaged shard anew.)
 * Trusts:   master; authd for who a session is; routerd for who may be delivered to.
 *           Distrusts: sessions, deliveries, parsed, facts, administrators beyond their rights.
 * If taken: the intruder reads and changes all mail; no password, no key of TLS.
 */
#include "common/base/log.h"
#include "common/database/database.h"
#include "common/engine/identity.h"
#include "stored/menders.h"
#include "stored/store.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>

/* Of an account of which routerd has not spoken yet: as long as the setting is by default. */
enum { STOP_POLL_MS = 5, UNDELETE_DEFAULT_S = 14 * 86400 };

struct program {
	struct proc *proc;
	struct database db;
	struct menders menders;
	struct store *store;
	struct event *stop_poll;
};

/* Or will have some, or had more than it is to have. */
static bool has_shards(const struct proc *p)
{
	struct identity id;

	if (conf_is_word(proc_conf(p), CONF_engine, "memory"))
		return false;
	return conf_get_u64(proc_conf(p), CONF_store_shards) > 1 ||
	       identity_read(proc_dir(p, "store"), &id) != ENGINE_NOTFOUND;
}

static int warm_up(struct proc *p, void *arg)
{
	struct program *g = arg;

	g->proc = p;
	snprintf(g->db.shards, sizeof(g->db.shards), "%u*",
	    (unsigned)conf_get_u64(proc_conf(p), CONF_store_shards));
	engine_blame_signals();
	if (has_shards(p)) {
		if (menders_start(&g->menders, p, proc_dir(p, "store")) != 0)
			return -1;
		g->db.mend = (struct engine_conf){ .mend = true,
			.rebuild = menders_rebuild,
			.rebuild_cancel = menders_cancel,
			.rebuild_arg = &g->menders };
	}
	return database_open(&g->db, p, "store");
}

/* Only a new start helps: master gives us one. */
static void on_broken(void *arg)
{
	struct program *g = arg;

	proc_fail(g->proc, "the storage engine needs a restart", EIO);
	proc_exit(g->proc, 1);
}

static int start(struct proc *p, void *arg)
{
	struct program *g = arg;
	struct store_conf conf = { .base = proc_base(p),
		.engine = g->db.engine,
		.instance = proc_instance(p),
		.undelete_s = UNDELETE_DEFAULT_S,
		.refused = g->db.refused,
		.on_broken = on_broken,
		.arg = g };
	int r;

	/* Menders end by themselves, and nobody waits for another child any more. */
	signal(SIGCHLD, SIG_IGN);
	upkeep_conf_read(&conf.upkeep, proc_conf(p), "store");
	r = engine_start(g->db.engine);

	if (r == 0)
		r = store_new(&conf, &g->store);
	if (r != 0)
		proc_fail(p, "the store cannot start", r < 0 ? -r : EIO);
	return r == 0 ? 0 : -1;
}

static void on_peer(struct proc *p, void *arg, struct proc_peer *peer)
{
	struct program *g = arg;
	int fd = peer->fd;

	peer->fd = -1;
	(void)store_attach(g->store, fd, peer->kind, peer->role, peer->instance);
}

static void on_stop_poll(evutil_socket_t fd, short what, void *arg)
{
	struct program *g = arg;

	if (store_idle(g->store))
		proc_exit(g->proc, 0);
}

/* What was handed in becomes durable; sessions are told. */
static void on_stop(struct proc *p, void *arg, unsigned deadline_ms)
{
	static const struct timeval poll = { 0, STOP_POLL_MS * 1000 };
	struct program *g = arg;

	store_stop(g->store);
	g->stop_poll = event_new(proc_base(p), -1, EV_PERSIST, on_stop_poll, g);
	if (g->stop_poll == NULL || event_add(g->stop_poll, &poll) != 0)
		proc_exit(p, 0);
}

static void on_reload(struct proc *p, void *arg, const struct conf *old)
{
	database_on_reload(&((struct program *)arg)->db, p);
}

static void on_count(struct proc *p, void *arg)
{
	const struct program *g = arg;

	if (g->store != NULL)
		store_count(g->store);
	database_count(&g->db);
}

int main(int argc, char **argv)
{
	static const struct proc_ops ops = { .role = IPC_ROLE_STORED,
		.row = PROC_STORED,
		.warm_up = warm_up,
		.start = start,
		.on_peer = on_peer,
		.on_reload = on_reload,
		.on_count = on_count,
		.on_stop = on_stop };
	static struct program program = { .menders.fd = { -1, -1, -1 } };
	int r = proc_main(argc, argv, &ops, &program);

	if (program.stop_poll != NULL)
		event_free(program.stop_poll);
	if (program.store != NULL)
		store_free(&program.store);
	database_close(&program.db);
	menders_end(&program.menders);
	return r;
}
