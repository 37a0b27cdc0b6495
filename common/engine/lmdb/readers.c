/*
 * readers - who else has a read transaction of the index: an operator's tool, or a process that was
 * killed in the middle of one. LMDB uses no page again that was freed since the oldest of them
 * began, so the file would grow with each checkpoint.
 *
 * Our own end with each request. A dead one is forgotten before the next checkpoint; one that lives
 * cannot be ended from here, and is told of.
 */
#include "common/engine/lmdb/lmdb-private.h"

#include "common/base/log.h"

#include <stdio.h>
#include <unistd.h>

enum { LAG_TOLD = 64 }; /* checkpoints; and again each time it has doubled */

struct oldest {
	int pid;
	size_t txn;
};

/* A line of LMDB's table: pid, thread, transaction; "-" for one that does not read. */
static int on_line(const char *line, void *arg)
{
	struct oldest *o = arg;
	size_t thread, txn;
	int pid;

	if (sscanf(line, "%d %zx %zu", &pid, &thread, &txn) == 3 && pid != getpid() &&
	    (o->pid == 0 || txn < o->txn))
		*o = (struct oldest){ pid, txn };
	return 0;
}

void index_readers(struct store *s)
{
	struct oldest o = { 0 };
	MDB_envinfo info;
	int stale;

	if (s->map_lost)
		return;
	(void)mdb_reader_check(s->env, &stale);
	if (mdb_reader_list(s->env, on_line, &o) < 0 || mdb_env_info(s->env, &info) != 0)
		return;
	s->reader_lag = o.pid != 0 && info.me_last_txnid > o.txn ? info.me_last_txnid - o.txn : 0;
	if (s->reader_lag < LAG_TOLD) {
		s->lag_told = LAG_TOLD;
	} else if (s->reader_lag >= s->lag_told) {
		log_ev(LOG_WARNING, "engine.reader", kv_u("pid", (uint64_t)o.pid),
		    kv_u("lag", s->reader_lag));
		s->lag_told = 2 * s->reader_lag;
	}
}
