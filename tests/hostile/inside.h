/*
 * inside - what the programs of an intruder who has one process of the suite share: channels that
 * send whatever the schema can encode, in any order, and remember what came back.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/wire.h"
#include "common/ipc/chan.h"

#include <event2/event.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One end of ours; a copy of what the last message said. */
struct end {
	struct ipc_chan *chan;
	bool gone;
	unsigned seen, fds, of[IPC_TYPES];
	int fd; /* the first descriptor of the last message, owned */
	enum ipc_type type;
	uint32_t status, left, handle;
};

static inline void end_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct end *e = arg;

	e->seen++;
	e->of[type]++;
	e->type = type;
	for (int i = 0; i < IPC_FDS_MAX; i++)
		e->fds += fds[i] >= 0;
	if (fds[0] >= 0) {
		fd_close(&e->fd);
		e->fd = fds[0];
		fds[0] = -1;
	}
	if (type == IPC_auth_refused) {
		e->status = m->auth_refused.why;
		e->left = m->auth_refused.left;
	} else if (type == IPC_rcpt_reply) {
		e->status = m->rcpt_reply.status;
		e->handle = m->rcpt_reply.handle;
	} else if (type == IPC_dir_reply) {
		e->status = m->dir_reply.status;
	}
}

static inline void end_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	struct end *e = arg;

	e->gone = true;
	ipc_chan_free(&e->chan);
}

static const struct ipc_ops end_ops = { end_msg, end_gone, NULL };

static inline void end_open(
    struct event_base *base, struct end *e, int take_fd, enum ipc_ch kind, bool upper)
{
	*e = (struct end){ .fd = -1 };
	e->chan = ipc_chan_new(base, take_fd, kind, upper, &end_ops, e);
	assert_non_null(e->chan);
	/* What may come when is for the victim to know. */
	ipc_chan_set_state(e->chan, IPC_IN_DIALOGUE | IPC_IN_RUN | IPC_IN_IDLE);
	ipc_chan_set_queue_max(e->chan, 256 << 20);
}

static inline void end_close(struct end *e)
{
	ipc_chan_free(&e->chan);
	fd_close(&e->fd);
}

/* Any message, all its fields zero and empty, with the descriptors the schema wants. */
static inline void end_send_any(struct end *e, enum ipc_type type)
{
	union ipc_any m;
	int fds[IPC_FDS_MAX];

	memset(&m, 0, sizeof(m));
	for (unsigned i = 0; i < ipc_desc(type)->fds; i++) {
		int sv[2];

		assert_int_equal(ipc_pair(sv), 0);
		fds[i] = sv[0];
		close(sv[1]);
	}
	if (e->chan != NULL)
		(void)ipc_send(e->chan, type, &m, fds);
}

static inline void end_send(struct end *e, enum ipc_type type, const void *m)
{
	if (e->chan != NULL)
		(void)ipc_send(e->chan, type, m, NULL);
}

static inline size_t heap_used(void)
{
	return mallinfo2().uordblks;
}

static inline void quiet(void)
{
	log_init(open("/dev/null", O_WRONLY | O_CLOEXEC), false, LOG_INFO);
}
