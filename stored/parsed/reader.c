#include "stored/parsed/reader.h"

#include "common/ipc/chan.h"
#include "common/mail/threadid.h"
#include "stored/parsed/parse_core.h"

#include <event2/event.h>

struct reader {
	struct event_base *base;
	struct parse_core core;
};

static uint32_t status_of(int answer)
{
	if (answer == 0)
		return IPC_ST_OK;
	if (answer == PARSE_FULL || answer < 0)
		return IPC_ST_TRYLATER;
	return IPC_ST_BAD;
}

static void reply(
    struct ipc_chan *c, uint32_t seq, int answer, struct slice facts, struct slice header)
{
	struct ipc_parse_facts m = { .seq = seq, .status = status_of(answer) };
	uint8_t thread[THREADID_BYTES_MAX];

	if (answer == 0)
		m.facts = facts;
	if (answer == 0)
		m.header = header;
	m.thread = slice_of(thread, threadid_pack(m.facts, thread));
	ipc_send(c, IPC_parse_facts, &m, NULL);
}

static void on_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct reader *rd = arg;
	struct buf facts = BUF_INIT(FACTS_MAX), header = BUF_INIT(1 + FACTS_HEADER_MAX);
	int r;

	switch (type) {
	case IPC_parse_begin:
		r = parse_core_begin(&rd->core, m->parse_begin.seq, m->parse_begin.size);
		if (r != 0)
			reply(c, m->parse_begin.seq, r, SLICE_NONE, SLICE_NONE);
		break;
	case IPC_parse_data:
		/* Of one that was refused the rest still comes; the answer was given. */
		r = parse_core_data(&rd->core, m->parse_data.seq, m->parse_data.data);
		if (r == PARSE_SIZE)
			reply(c, m->parse_data.seq, r, SLICE_NONE, SLICE_NONE);
		break;
	case IPC_parse_end:
		r = parse_core_end(&rd->core, m->parse_end.seq, &facts, &header);
		if (r != PARSE_UNKNOWN)
			reply(c, m->parse_end.seq, r, buf_slice(&facts), buf_slice(&header));
		break;
	default:
		break;
	}
	buf_fini(&facts);
	buf_fini(&header);
}

static void on_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	struct reader *rd = arg;

	event_base_loopbreak(rd->base);
}

int reader_run(struct event_base *base, int take_fd)
{
	static const struct ipc_ops ops = { .on_msg = on_msg, .on_gone = on_gone };
	struct reader rd = { .base = base };
	struct ipc_chan *c = ipc_chan_new(base, take_fd, IPC_CH_PARSE, false, &ops, &rd);

	if (c == NULL)
		return 1;
	parse_core_init(&rd.core);
	event_base_dispatch(base);
	ipc_chan_free(&c);
	parse_core_fini(&rd.core);
	return 0;
}
