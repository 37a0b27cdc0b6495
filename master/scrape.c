/*
 * scrape - the figures of all processes, collected for the metrics door.
 *
 * Every process that is ready is asked; what comes within a deadline is handed on as it is: we do
 * not look into it. One collection at a time, so that the door can make us work no faster than the
 * slowest process answers.
 */
#include "master/master.h"

#include "common/base/clock.h"
#include "common/metrics/metrics.h"

#include <event2/event.h>

enum {
	SCRAPE_DEADLINE_MS = 2000,
	SCRAPE_PAUSE_MS = 20, /* after the last one: the door must not keep everybody busy */
};

static void pass_on(struct master *m, struct slice packed)
{
	struct child *door = master_child(m, IPC_ROLE_METRICS);

	if (door->control != NULL && packed.n > 0)
		ipc_send(door->control, IPC_ctl_scraped, &(struct ipc_ctl_scraped){ packed }, NULL);
}

static void end(struct master *m)
{
	struct child *door = master_child(m, IPC_ROLE_METRICS);

	m->scrape.open = false;
	m->scrape.ended_ms = clock_mono_ms();
	event_del(m->scrape.timer);
	if (door->control != NULL)
		ipc_send(door->control, IPC_ctl_scrape_end, &(struct ipc_ctl_scrape_end){}, NULL);
}

/* What we know ourselves. A program without a listener is not wanted and has no figures. */
static void count_self(struct master *m)
{
	int64_t mono_ms = clock_mono_ms(), wall_s = clock_wall_s();
	struct buf packed = BUF_INIT(METRICS_PACKED_MAX);

	metric_set(METRIC_build, GH_VERSION, "", 1);
	metric_set(METRIC_start_time_seconds, "", "", m->started_s);
	for (int i = 0; i < PROGRAMS; i++) {
		const struct child *c = &m->children[i];
		const char *name = program_name(c->prog);

		if (!c->started)
			continue;
		metric_set(METRIC_process_up, name, "", c->state == CHILD_READY);
		if (c->ready_at_ms != 0)
			metric_set(METRIC_process_start_time_seconds, name, "",
			    wall_s - (mono_ms - c->ready_at_ms) / 1000);
	}
	metric_add(METRIC_reloads, "ok", "", 0);
	metric_add(METRIC_reloads, "refused", "", 0);
	metrics_pack(&packed);
	pass_on(m, buf_slice(&packed));
	buf_fini(&packed);
}

static bool all_counted(const struct master *m)
{
	for (int i = 0; i < PROGRAMS; i++)
		if (m->children[i].state == CHILD_READY && !m->children[i].counted)
			return false;
	return true;
}

static bool set_timer(struct master *m, int64_t ms)
{
	const struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	return event_add(m->scrape.timer, &tv) == 0;
}

static void begin(struct master *m)
{
	if (!set_timer(m, SCRAPE_DEADLINE_MS))
		return;
	m->scrape.open = true;
	m->scrape.waits = false;
	m->scrape.seq++;
	count_self(m);
	for (int i = 0; i < PROGRAMS; i++) {
		struct child *c = &m->children[i];

		c->counted = c->control == NULL;
		if (c->state == CHILD_READY && !c->counted)
			ipc_send(c->control, IPC_ctl_count_ask,
			    &(struct ipc_ctl_count_ask){ m->scrape.seq }, NULL);
	}
}

/* The deadline of a collection, or the end of the pause before one. */
static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct master *m = arg;

	if (m->scrape.open)
		end(m);
	else if (m->scrape.waits)
		begin(m);
}

void scrape_begin(struct child *door)
{
	struct master *m = door->m;
	int64_t since_ms = clock_mono_ms() - m->scrape.ended_ms;

	if (m->scrape.open || m->scrape.waits)
		return;
	if (m->scrape.timer == NULL)
		m->scrape.timer = event_new(m->base, -1, 0, on_timer, m);
	if (m->scrape.timer == NULL)
		return;
	if (m->scrape.ended_ms == 0 || since_ms >= SCRAPE_PAUSE_MS)
		begin(m);
	else
		m->scrape.waits = set_timer(m, SCRAPE_PAUSE_MS - since_ms);
}

void scrape_on_count(struct child *c, const struct ipc_ctl_count *m)
{
	struct master *master = c->m;

	if (!master->scrape.open || m->seq != master->scrape.seq || c->counted)
		return;
	c->counted = true;
	pass_on(master, m->packed);
	if (all_counted(master))
		end(master);
}

void scrape_fini(struct master *m)
{
	if (m->scrape.timer != NULL)
		event_free(m->scrape.timer);
	m->scrape.timer = NULL;
}
