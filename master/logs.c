/*
 * logs - the sink's channels. Every process writes its lines into a socket whose other end the sink
 * reads; we keep a copy of that end, so that a restarted sink finds what was written meanwhile.
 */
#include "master/master.h"

#include "common/base/io.h"
#include "common/base/log.h"
#include "master/master-private.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static int own_level(const struct master *m)
{
	return log_level_parse(slice_str(conf_get_str(&m->conf, CONF_log_level)));
}

static void on_sink_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
}

static void on_sink_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	struct master *m = arg;

	ipc_chan_free(&m->sink);
}

static const struct ipc_ops sink_ops = { .on_msg = on_sink_msg, .on_gone = on_sink_gone };

/*
 * The id that goes with the channel: 0 vouches for every session; an instance alone (lower half 0)
 * for the sessions of that instance.
 */
static int attach(struct master *m, const char *name, uint64_t sid, int take_fd)
{
	struct ipc_log_attach msg = { .sid = sid, .name = slice_str(name) };

	if (take_fd < 0)
		return -errno;
	ipc_send(m->sink, IPC_log_attach, &msg, &take_fd);
	return 0;
}

int master_attach_log(struct child *c)
{
	if (c->m->sink == NULL || c->log_far_fd < 0)
		return 0; /* with the next sink */
	return attach(c->m, program_name(c->prog), c->prog->vouches_sid ? 0 : c->instance << 32,
	    fcntl(c->log_far_fd, F_DUPFD_CLOEXEC, 0));
}

/* Our own lines; kept across a restart of the sink in the same way. */
static int attach_self(struct master *m)
{
	int fds[2], r = ipc_pair(fds);

	if (r != 0)
		return r;
	attach(m, "master", 0, fds[1]);
	m->log_sink_fd = fds[0];
	log_init(m->log_sink_fd, true, own_level(m));
	return 0;
}

int master_attach_logs(struct child *logd)
{
	struct master *m = logd->m;
	int fds[2], r = ipc_pair(fds);

	if (r != 0)
		return r;
	m->sink = ipc_chan_new(m->base, fds[0], IPC_CH_ATTACH_LOG, false, &sink_ops, m);
	ipc_send(logd->control, IPC_ctl_peer,
	    &(struct ipc_ctl_peer){ IPC_ROLE_MASTER, IPC_CH_ATTACH_LOG, 1, 0 }, &fds[1]);
	if (m->sink == NULL)
		return -ENOMEM;
	ipc_chan_hello(m->sink, IPC_ROLE_MASTER, 0, IPC_ROLE_LOGD, IPC_IN_RUN);
	r = attach_self(m);
	for (int i = 0; i < PROGRAMS && r == 0; i++)
		r = master_attach_log(&m->children[i]);
	return r;
}

void master_logs_level(struct master *m)
{
	log_init(m->log_sink_fd >= 0 ? m->log_sink_fd : STDERR_FILENO, m->log_sink_fd >= 0,
	    own_level(m));
}

void master_logs_gone(struct master *m)
{
	ipc_chan_free(&m->sink);
	if (m->log_sink_fd >= 0)
		log_init(STDERR_FILENO, false, own_level(m));
	fd_close(&m->log_sink_fd);
}
