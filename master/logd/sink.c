#include "master/logd/sink.h"

#include "common/base/clock.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/wire.h"
#include "common/metrics/metrics.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* One log channel. */
struct source {
	struct sink *sink;
	struct source *next, **prev;
	char name[SINK_NAME_MAX + 1];
	uint64_t sid; /* as attached */
	int fd;
	struct event *ev;
	int64_t window_s;
	unsigned in_window;
	uint64_t dropped;
};

/* One attach channel. */
struct attacher {
	struct sink *sink;
	enum ipc_role role;
	struct ipc_chan *chan;
};

void sink_init(struct sink *s, struct proc *p)
{
	s->p = p;
	s->journal = conf_is_word(proc_conf(p), CONF_log_target, "journal");
}

static void write_line(struct sink *s, const char *name, uint64_t sid, int level, struct slice text)
{
	struct buf line = BUF_INIT(SINK_LINE_MAX + 200);

	sink_line(&line, s->journal ? -1 : clock_wall_ms(), name, sid, level,
	    slice_part(text, 0, SINK_LINE_MAX));
	if (s->out_fd >= 0 && !line.overflow)
		io_write_all(s->out_fd, buf_slice(&line)); /* a full disk has nobody to be told */
	buf_fini(&line);
	metric_add(METRIC_log_lines, log_level_name(level), "", 1);
}

static void source_free(struct source *src)
{
	*src->prev = src->next;
	if (src->next != NULL)
		src->next->prev = src->prev;
	event_free(src->ev);
	fd_close(&src->fd);
	free(src);
}

static void tell_dropped(struct source *src)
{
	char text[64];
	int n = snprintf(
	    text, sizeof(text), "log.dropped count=%llu", (unsigned long long)src->dropped);

	src->dropped = 0;
	write_line(src->sink, src->name, 0, LOG_WARNING, slice_of(text, (size_t)n));
}

/* A process that floods the log loses its own lines, nobody else's. */
static bool rate_allows(struct source *src)
{
	int64_t now_s = clock_mono_ms() / 1000;

	if (now_s != src->window_s) {
		src->window_s = now_s;
		src->in_window = 0;
		if (src->dropped > 0)
			tell_dropped(src);
	}
	if (src->in_window++ < sink_lines_per_s(src->sid))
		return true;
	src->dropped++;
	metric_add(METRIC_log_lines_dropped, src->name, "sink", 1);
	return false;
}

/* A packet: level, session id claimed, text (common/base/log.h). */
static void on_packet(struct source *src, struct slice packet)
{
	struct wire_reader r = wire_reader(packet);
	uint8_t level = wire_get_u8(&r);
	uint64_t claimed = wire_get_u64(&r);

	if (r.bad || level > LOG_DEBUG || !rate_allows(src))
		return;
	write_line(src->sink, src->name, sink_judge(src->sid, claimed), level,
	    wire_get_raw(&r, wire_left(&r)));
}

/* At most `lines` packets: true when the channel has ended. */
static bool read_some(struct source *src, int lines)
{
	uint8_t packet[4096];

	while (lines-- > 0) {
		ssize_t got = recv(src->fd, packet, sizeof(packet), MSG_DONTWAIT);

		if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
			return true;
		if (got < 0)
			return false;
		on_packet(src, slice_of(packet, (size_t)got));
	}
	return false;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct source *src = arg;

	if (!read_some(src, SINK_TURN_LINES))
		return;
	if (src->dropped > 0)
		tell_dropped(src);
	source_free(src);
}

void sink_drain(struct sink *s)
{
	for (struct source *src = s->sources; src != NULL; src = src->next)
		read_some(src, SINK_LINES_PER_S);
}

static void source_open(struct sink *s, struct slice name, uint64_t sid, int *fd)
{
	struct source *src = calloc(1, sizeof(*src));

	if (src == NULL)
		return;
	*src = (struct source){ .sink = s, .sid = sid, .fd = *fd };
	for (size_t i = 0; i < name.n && i < SINK_NAME_MAX; i++)
		src->name[i] = (char)(name.p[i] > ' ' && name.p[i] < 0x7f ? name.p[i] : '?');
	src->ev = event_new(proc_base(s->p), src->fd, EV_READ | EV_PERSIST, on_readable, src);
	if (src->ev == NULL || event_add(src->ev, NULL) != 0) {
		free(src);
		return;
	}
	*fd = -1;
	src->next = s->sources;
	src->prev = &s->sources;
	if (src->next != NULL)
		src->next->prev = &src->next;
	s->sources = src;
}

static enum ipc_role role_named(struct slice name)
{
	for (int i = 0; i < IPC_ROLES; i++)
		if (slice_eq(name, slice_str(ipc_role_name((enum ipc_role)i))))
			return (enum ipc_role)i;
	return IPC_ROLE_NONE;
}

/* Master tells the instance of every process before that process can attach anything. */
static void on_master_attach(struct sink *s, const struct ipc_log_attach *m, int *fd)
{
	s->instance[role_named(m->name)] = m->sid >> 32;
	source_open(s, m->name, m->sid, fd);
}

/* An acceptor attaches for connections of its own life, under its own name. */
static void on_acceptor_attach(struct attacher *a, const struct ipc_log_attach *m, int *fd)
{
	uint64_t instance = a->sink->instance[a->role];

	if (instance == 0 || m->sid >> 32 != instance) {
		log_ev(LOG_WARNING, "ipc.bad", kv_s("peer", ipc_role_name(a->role)),
		    kv_s("msg", "log_attach"), kv_s("why", "a session of somebody else"));
		return;
	}
	source_open(a->sink, slice_str(ipc_role_name(a->role)), m->sid, fd);
}

static void on_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct attacher *a = arg;

	if (type != IPC_log_attach)
		return;
	if (a->role == IPC_ROLE_MASTER)
		on_master_attach(a->sink, &m->log_attach, fds);
	else
		on_acceptor_attach(a, &m->log_attach, fds);
}

static void on_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	struct attacher *a = arg;

	ipc_chan_free(&a->chan);
	free(a);
}

void sink_attacher_open(struct sink *s, struct proc_peer *peer)
{
	static const struct ipc_ops ops = { .on_msg = on_msg, .on_gone = on_gone };
	struct attacher *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return;
	*a = (struct attacher){ .sink = s, .role = peer->role };
	a->chan = proc_peer_open(s->p, peer, &ops, a);
	if (a->chan == NULL)
		free(a);
}
