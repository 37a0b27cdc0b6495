/*
 * watch - who answers.
 *
 * Every second each process is asked; one that stays silent for watchdog_timeout is ended. systemd
 * hears that the suite lives only while our loop turns and nobody has been silent for twice that
 * time: a process that we could not end, or that never came back from the kernel, is systemd's to
 * end, with everything else.
 */
#include "master/master.h"

#include "common/base/clock.h"
#include "common/base/log.h"

#include <errno.h>
#include <event2/event.h>

enum { TICK_MS = 1000 };

static void kill_silent(struct child *c)
{
	if (!c->told_silent)
		log_ev(LOG_ERR, "master.killed", kv_s("name", program_name(c->prog)),
		    kv_s("why", "does not answer"));
	c->told_silent = true;
	child_kill(c);
}

/* False when it has been silent for so long that ending it must have failed. */
static bool answers(struct child *c, int64_t now_ms)
{
	int64_t limit_ms = (int64_t)conf_get_u64(&c->m->conf, CONF_watchdog_timeout);
	int64_t silent_ms = c->ping_at_ms == 0 ? 0 : now_ms - c->ping_at_ms;

	if (c->state != CHILD_READY || limit_ms == 0)
		return true;
	if (c->ping_at_ms == 0) {
		c->ping_at_ms = now_ms;
		/* One that closed its channel and lives on will not answer, either. */
		if (c->control != NULL)
			ipc_send(c->control, IPC_ctl_ping,
			    &(struct ipc_ctl_ping){ (uint64_t)now_ms }, NULL);
	}
	if (silent_ms > limit_ms)
		kill_silent(c);
	return silent_ms <= 2 * limit_ms;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct master *m = arg;
	int64_t now_ms = clock_mono_ms();
	bool all = true;

	for (int i = 0; i < PROGRAMS; i++)
		all &= answers(&m->children[i], now_ms);
	if (all && notify_watchdog_ms() > 0)
		notify_state("WATCHDOG=1");
}

int watch_start(struct master *m)
{
	struct timeval tv = { TICK_MS / 1000, (TICK_MS % 1000) * 1000 };

	m->ev_tick = event_new(m->base, -1, EV_PERSIST, on_tick, m);
	if (m->ev_tick == NULL || event_add(m->ev_tick, &tv) != 0)
		return -ENOMEM;
	return 0;
}
