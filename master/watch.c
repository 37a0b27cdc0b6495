/*
 * watch - who answers.
 *
 * Every second each process is asked; one that stays silent for watchdog_timeout is ended, and so
 * is one that was started and for start_timeout is neither ready nor gets on. systemd hears that
 * the suite lives only while our loop turns and nobody has been silent for twice that time: a
 * process that we could not end, or that never came back from the kernel, is systemd's to end, with
 * everything else.
 */
#include "master/master.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "master/master-private.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>

enum { TICK_MS = 1000, EXTEND_MIN_MS = 60000 };

static void kill_silent(struct child *c, const char *why)
{
	if (!c->told_silent)
		log_ev(LOG_ERR, "master.killed", kv_s("name", program_name(c->prog)),
		    kv_s("why", why));
	c->told_silent = true;
	child_kill(c);
}

void watch_on_progress(struct child *c)
{
	int64_t limit_ms = (int64_t)conf_get_u64(&c->m->conf, CONF_start_timeout);
	char text[64];

	c->moved_at_ms = clock_mono_ms();
	/* systemd's own patience with a start ends too, and it sees nothing of our processes. */
	snprintf(text, sizeof(text), "EXTEND_TIMEOUT_USEC=%lld",
	    (long long)(limit_ms > EXTEND_MIN_MS ? limit_ms : EXTEND_MIN_MS) * 2000);
	if (!c->m->ready && !c->m->stopping)
		notify_state(text);
}

/* Of a process that was started and is not ready. The three return false when the process has been
 * silent for so long that ending it must have failed. */
static bool gets_on(struct child *c, int64_t now_ms)
{
	int64_t limit_ms = (int64_t)conf_get_u64(&c->m->conf, CONF_start_timeout);
	int64_t silent_ms = now_ms - c->moved_at_ms;

	if (limit_ms == 0)
		return true;
	if (silent_ms > limit_ms) {
		/* What it said itself is what to look at first. */
		if (c->why[0] == '\0')
			snprintf(c->why, sizeof(c->why),
			    "it hangs: not ready, and no progress, for %lld s (start_timeout); "
			    "look at "
			    "its last lines, at its disk and at what it waits for",
			    (long long)silent_ms / 1000);
		kill_silent(c, "is not ready and does not get on");
	}
	return silent_ms <= 2 * limit_ms;
}

/* Of one that was told to stop, alone: child_stop() ends it in time. */
static bool ends(const struct child *c, int64_t now_ms)
{
	return c->m->stopping || now_ms - c->moved_at_ms <= 2 * (int64_t)STOP_DEADLINE_MS;
}

static bool answers(struct child *c, int64_t now_ms)
{
	int64_t limit_ms = (int64_t)conf_get_u64(&c->m->conf, CONF_watchdog_timeout);
	int64_t silent_ms = c->ping_at_ms == 0 ? 0 : now_ms - c->ping_at_ms;

	if (limit_ms == 0)
		return true;
	if (c->ping_at_ms == 0) {
		c->ping_at_ms = now_ms;
		/* One that closed its channel and lives on will not answer, either. */
		if (c->control != NULL)
			ipc_send(c->control, IPC_ctl_ping,
			    &(struct ipc_ctl_ping){ (uint64_t)now_ms }, NULL);
	}
	if (silent_ms > limit_ms)
		kill_silent(c, "does not answer");
	return silent_ms <= 2 * limit_ms;
}

static bool is_well(struct child *c, int64_t now_ms)
{
	switch (c->state) {
	case CHILD_STARTING:
		return gets_on(c, now_ms);
	case CHILD_READY:
		return answers(c, now_ms);
	case CHILD_STOPPING:
		return ends(c, now_ms);
	case CHILD_OFF:
	case CHILD_WAITING:
		break;
	}
	return true;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct master *m = arg;
	int64_t now_ms = clock_mono_ms();
	bool all = true;

	for (int i = 0; i < PROGRAMS; i++)
		all &= is_well(&m->children[i], now_ms);
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
