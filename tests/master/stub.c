/*
 * stub - stands in for every daemon of the suite in the tests of the master: starts by common/proc,
 * connects its peers, and does nothing. Which daemon it is, it learns from its own name.
 *
 * A configuration of the tests may ask for misbehaviour by the host name, which every door
 * receives: "dies-early" ends before ready, "hangs-early" is never ready, "long-early" is ready
 * after four seconds in which it says that it gets on. With "counts" a reload makes the metrics
 * door show who is up; a reload to log_level = debug makes everybody ask for the figures of all.
 */
#include "common/proc/proc.h"

#include "common/base/log.h"
#include "common/metrics/metrics.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LONG_MS = 4000, STEP_MS = 20 };

static enum sandbox_proc row_of;

static void on_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
}

static void on_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	ipc_chan_free(&c);
}

static bool told(struct proc *p, const char *word)
{
	const struct conf *c = proc_conf(p);

	return conf_receives(CONF_host_name, c->who) &&
	       strcmp(conf_get_str(c, CONF_host_name), word) == 0;
}

static void on_peer(struct proc *p, void *arg, struct proc_peer *peer)
{
	static const struct ipc_ops ops = { .on_msg = on_msg, .on_gone = on_gone };

	proc_peer_open(p, peer, &ops, p);
}

static void on_scraped(struct proc *p, void *arg, struct slice packed)
{
	static size_t parts;
	struct metric_sample m;
	char name[32];

	parts += packed.n > 0;
	if (packed.n == 0)
		log_ev(LOG_INFO, "stub.scraped", kv_u("parts", parts));
	while (metrics_unpack(&packed, &m)) {
		if (!slice_eq(m.name, SLICE("process_up")))
			continue;
		snprintf(name, sizeof(name), "%.*s", SLICE_FMT(m.label[0]));
		log_ev(LOG_INFO, "stub.up", kv_s("name", name), kv_i("up", m.value));
	}
}

static int warm_up(struct proc *p, void *arg)
{
	for (int i = 0; told(p, "long-early") && i < LONG_MS / STEP_MS; i++) {
		proc_progress(p);
		usleep(STEP_MS * 1000);
	}
	while (told(p, "hangs-early"))
		pause();
	if (!told(p, "dies-early"))
		return 0;
	proc_fail(p, "was told to die early", 0);
	return -EINVAL;
}

static int start(struct proc *p, void *arg)
{
	size_t n_listeners, n_keys;

	proc_listeners(p, &n_listeners);
	proc_keys(p, &n_keys);
	if (told(p, "forks") && fork() == 0)
		for (;;)
			pause();
	log_ev(LOG_INFO, "stub.start", kv_u("listeners", n_listeners), kv_u("keys", n_keys));
	return 0;
}

static void on_reload(struct proc *p, void *arg, const struct conf *old)
{
	log_ev(LOG_INFO, "stub.reload", kv_s("level", conf_get_str(proc_conf(p), CONF_log_level)));
	if (strcmp(conf_get_str(proc_conf(p), CONF_log_level), "debug") == 0 ||
	    (row_of == PROC_METRICS && told(p, "counts")))
		proc_scrape(p);
}

int main(int argc, char **argv)
{
	static struct proc_ops ops = { .warm_up = warm_up,
		.start = start,
		.on_peer = on_peer,
		.on_reload = on_reload,
		.on_scraped = on_scraped };
	const char *name = basename(argv[0]);
	const struct sandbox_row *row = sandbox_row_find(name);

	if (row == NULL)
		return 2;
	row_of = ops.row = (enum sandbox_proc)(row - sandbox_rows);
	for (int i = 0; i < IPC_ROLES; i++)
		if (strcmp(ipc_role_name((enum ipc_role)i), name) == 0)
			ops.role = (enum ipc_role)i;
	return proc_main(argc, argv, &ops, NULL);
}
