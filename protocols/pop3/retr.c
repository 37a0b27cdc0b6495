/*
 * retr - bodies: RETR, TOP, and asking ahead of a client that takes messages in order.
 *
 * Every body asked for has a place in a ring, in the order of asking, which is the order of the
 * answers. The front place may be live: its data go to the client at once. The others hold the
 * finished reply until the client asks. Data that are held count against stored's window, data
 * that went to the client are given back when the client reads.
 */
#include "protocols/pop3/pop3-private.h"

enum { RING = sizeof(((struct pop3 *)0)->ring) / sizeof(struct pop3_fetch) };

static struct pop3_fetch *fetch_at(struct pop3 *s, unsigned i)
{
	return &s->ring[(s->ring_head + i) % RING];
}

void pop3_credit(struct pop3 *s)
{
	struct ipc_session_credit m = { .bytes = s->credit_owed };

	if (s->credit_owed < POP3_CREDIT_STEP || front_pending(s->port) >= FRONT_OUT_LOW)
		return;
	s->credit_owed = 0;
	front_send(s->port, FRONT_SESSION, IPC_session_credit, &m);
}

/* A place for a message; NULL when the ring is full or stored is gone. */
static struct pop3_fetch *fetch(struct pop3 *s, uint32_t index, uint64_t off, uint64_t len)
{
	struct pop3_fetch *f = fetch_at(s, s->ring_n);
	struct ipc_body_get m = {
		.seq = ++s->seq, .mbox = s->mbox, .uid = s->msgs[index].uid, .off = off, .len = len
	};
	struct buf held = f->held;

	if (s->ring_n == RING || front_send(s->port, FRONT_SESSION, IPC_body_get, &m) != 0)
		return NULL;
	buf_reset(&held);
	held.max = POP3_AHEAD_BYTES * 3;
	*f = (struct pop3_fetch){ .seq = m.seq, .index = index, .held = held };
	s->ring_n++;
	return f;
}

static void ring_skip(struct pop3 *s)
{
	struct pop3_fetch *f = fetch_at(s, 0);

	s->credit_owed += f->owed;
	f->owed = 0;
	s->ring_head = (s->ring_head + 1) % RING;
	s->ring_n--;
}

/* At the front there is never a place that nobody wants and whose data have all come: the front is
 * what an answer to the client takes away. */
static void ring_tidy(struct pop3 *s)
{
	while (s->ring_n > 0 && fetch_at(s, 0)->dropped && fetch_at(s, 0)->done)
		ring_skip(s);
}

static void ring_pop(struct pop3 *s)
{
	ring_skip(s);
	ring_tidy(s);
}

/* What was asked for ahead in vain: the answers will come, and are thrown away. */
static void ring_drop(struct pop3 *s)
{
	for (unsigned i = 0; i < s->ring_n; i++) {
		struct pop3_fetch *f = fetch_at(s, i);

		f->dropped = true;
		s->credit_owed += f->owed;
		f->owed = 0;
		buf_reset(&f->held);
	}
	ring_tidy(s);
}

static void fetch_failed(struct pop3 *s, struct buf *out, uint32_t status)
{
	if (status == IPC_ST_NOTFOUND)
		buf_puts(out, "-ERR the message was removed by another session\r\n");
	else if (status == IPC_ST_CORRUPT)
		buf_puts(out, "-ERR [SYS/PERM] the message is damaged\r\n");
	else
		buf_puts(out, "-ERR [SYS/TEMP] the message cannot be read now\r\n");
}

static void put_head(struct pop3 *s, struct buf *out, uint32_t index)
{
	if (s->job == POP3_TOP) {
		buf_puts(out, "+OK\r\n");
		return;
	}
	buf_puts(out, "+OK ");
	buf_putu(out, s->msgs[index].size);
	buf_puts(out, " octets\r\n");
}

/* The next messages of a client that goes on in order; more of them the longer it does. Each counts
 * once, and the sizes of all messages have a sum (drop.c). */
static void ask_ahead(struct pop3 *s)
{
	uint64_t bytes = 0;
	uint32_t next = s->next_index;

	for (unsigned i = 0; i < s->ring_n; i++) {
		struct pop3_fetch *f = fetch_at(s, i);

		if (!f->live && !f->dropped) {
			bytes += s->msgs[f->index].size;
			next = f->index + 1;
		}
	}
	while (s->ring_n <= s->ahead_depth && next < s->n_msgs) {
		bytes += s->msgs[next].size;
		if (bytes > POP3_AHEAD_BYTES || fetch(s, next, 0, 0) == NULL)
			return;
		next++;
	}
}

/* The place for message `index` at the front of what is still wanted, or a new one. */
static struct pop3_fetch *fetch_wanted(struct pop3 *s, uint32_t index)
{
	for (unsigned i = 0; i < s->ring_n; i++) {
		struct pop3_fetch *f = fetch_at(s, i);

		if (f->dropped)
			continue;
		if (f->index == index)
			return f;
		ring_drop(s);
		break;
	}
	return fetch(s, index, 0, 0);
}

static void live_end(struct pop3 *s)
{
	ring_pop(s);
	pop3_job(s, POP3_NO_JOB);
}

void pop3_cmd_retr(struct pop3 *s, struct slice arg)
{
	struct pop3_msg *msg = pop3_msg_arg(s, arg);
	uint32_t index;
	struct pop3_fetch *f;

	if (msg == NULL)
		return;
	index = (uint32_t)(msg - s->msgs);
	if (index != s->next_index)
		s->ahead_depth = 1;
	else if (s->ahead_depth < POP3_AHEAD_MAX)
		s->ahead_depth *= 2;
	s->next_index = index + 1;
	f = fetch_wanted(s, index);
	if (f == NULL && s->lost)
		return; /* ready() answers */
	if (f == NULL) {
		pop3_err(s, "[SYS/TEMP] the message cannot be read now");
		return;
	}
	s->errors = 0;
	pop3_job(s, POP3_RETR);
	f->live = true;
	buf_put(&s->port->out, buf_slice(&f->held));
	buf_reset(&f->held);
	s->credit_owed += f->owed;
	f->owed = 0;
	if (f->done)
		live_end(s);
	ask_ahead(s);
}

static void top_next(struct pop3 *s, uint64_t len)
{
	struct pop3_fetch *f = fetch(s, s->top_index, s->top_at, len);

	if (f == NULL) {
		pop3_close(s);
		return;
	}
	f->live = true;
	f->started = s->top_at > 0;
}

void pop3_cmd_top(struct pop3 *s, struct slice arg)
{
	struct slice lines = slice_trim(arg), number = slice_take(&lines, ' ');
	struct pop3_msg *msg;
	uint64_t n;

	if (slice_u64(slice_trim(lines), UINT64_MAX, &n) != 0) {
		pop3_err(s, "TOP takes a message and a number of lines");
		return;
	}
	msg = pop3_msg_arg(s, number);
	if (msg == NULL)
		return;
	ring_drop(s);
	s->errors = 0;
	s->top = (struct top_cut){ .lines = n };
	s->top_stuff = (struct stuff){ 0 };
	s->top_index = (uint32_t)(msg - s->msgs);
	s->top_at = 0;
	pop3_job(s, POP3_TOP);
	top_next(s, POP3_TOP_FIRST);
}

static void top_data(struct pop3 *s, const struct ipc_body_data *m)
{
	struct buf *out = &s->port->out;
	struct slice part = slice_part(m->data, 0, top_cut_feed(&s->top, m->data));

	stuff_put(&s->top_stuff, part, out);
	s->top_at += m->data.n;
	if (m->last == 0)
		return;
	ring_pop(s);
	if (s->top.done || s->top_at >= s->msgs[s->top_index].size || m->data.n == 0) {
		stuff_end(&s->top_stuff, out);
		pop3_job(s, POP3_NO_JOB);
	} else {
		top_next(s, POP3_TOP_NEXT);
	}
}

static void body_failed(struct pop3 *s, struct pop3_fetch *f, uint32_t status)
{
	struct buf *out = f->live ? &s->port->out : &f->held;

	f->done = true;
	f->status = status;
	if (f->started && f->live) {
		/* Half the message is out: a reply now would be taken for its text. */
		pop3_close(s);
		return;
	}
	if (f->started)
		buf_reset(out);
	fetch_failed(s, out, status);
	if (f->live)
		live_end(s);
}

static void retr_data(struct pop3 *s, struct pop3_fetch *f, const struct ipc_body_data *m)
{
	struct buf *out = f->live ? &s->port->out : &f->held;

	stuff_put(&f->stuff, m->data, out);
	f->done = m->last != 0;
	if (f->done)
		stuff_end(&f->stuff, out);
	if (f->done && f->live)
		live_end(s);
	if (!f->live && out->overflow) {
		/* Larger than its row said: asked for again when the client wants it. This may be
		 * its last piece. */
		f->dropped = true;
		s->credit_owed += f->owed;
		f->owed = 0;
		ring_tidy(s);
	}
}

void pop3_body_msg(struct pop3 *s, const struct ipc_body_data *m)
{
	struct pop3_fetch *f = NULL;

	/* Answers come in order: the first place that is not done. */
	for (unsigned i = 0; i < s->ring_n && f == NULL; i++)
		if (!fetch_at(s, i)->done)
			f = fetch_at(s, i);
	if (f == NULL || f->seq != m->seq)
		return;
	if (f->live || f->dropped)
		s->credit_owed += (uint32_t)m->data.n;
	else
		f->owed += (uint32_t)m->data.n;
	if (f->dropped) {
		f->done = m->last != 0 || m->status != IPC_ST_OK;
		ring_tidy(s);
		return;
	}
	if (m->status != IPC_ST_OK) {
		body_failed(s, f, m->status);
		return;
	}
	if (!f->started)
		put_head(s, f->live ? &s->port->out : &f->held, f->index);
	f->started = true;
	if (s->job == POP3_TOP)
		top_data(s, m);
	else
		retr_data(s, f, m);
}

void pop3_retr_fini(struct pop3 *s)
{
	for (unsigned i = 0; i < RING; i++)
		buf_fini(&s->ring[i].held);
}
