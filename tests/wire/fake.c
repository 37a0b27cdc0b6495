#include "tests/wire/fake-private.h"

#include <assert.h>
#include <stdlib.h>

static struct fake *of_port(struct front_port *p)
{
	return (struct fake *)((char *)p - offsetof(struct fake, port));
}

static int port_send(struct front_port *p, enum front_peer to, enum ipc_type type, const void *msg)
{
	struct fake *f = of_port(p);
	struct buf packet = BUF_INIT(IPC_PACKET_MAX);
	enum ipc_type got;
	union ipc_any m;

	if (f->lost[to])
		return 1;
	assert(ipc_encode(type, msg, &packet) == 0);
	assert(ipc_decode(buf_slice(&packet), &got, &m) == 0 && got == type);
	if (to == FRONT_SESSION && f->conf.store != NULL)
		f->conf.store->send(f->conf.store, type, &m);
	else
		fake_serve(f, type, &m);
	buf_fini(&packet);
	return 0;
}

static void port_deadline(struct front_port *p, uint32_t ms)
{
	of_port(p)->deadline_ms = ms;
}

static const struct front_port_ops port_ops = { port_send, port_deadline };

void fake_reply(struct fake *f, enum front_peer from, enum ipc_type type, const void *msg)
{
	struct fake_packet *p = calloc(1, sizeof(*p));

	assert(p != NULL);
	buf_init(&p->bytes, IPC_PACKET_MAX);
	p->from = from;
	if (type == IPC_body_data)
		p->body_bytes = ((const struct ipc_body_data *)msg)->data.n;
	assert(ipc_encode(type, msg, &p->bytes) == 0);
	*f->tail = p;
	f->tail = &p->next;
}

static struct fake_packet *packet_take(struct fake *f)
{
	struct fake_packet *p = f->head;

	/* stored holds bodies back when the window is used up. */
	if (p == NULL || (p->body_bytes > 0 && f->window < (int64_t)p->body_bytes))
		return NULL;
	f->head = p->next;
	if (f->head == NULL)
		f->tail = &f->head;
	f->window -= (int64_t)p->body_bytes;
	return p;
}

static void packet_free(struct fake_packet *p)
{
	buf_fini(&p->bytes);
	free(p);
}

static void drain(struct fake *f)
{
	struct front_port *p = &f->port;

	assert(!p->out.overflow);
	if (front_pending(p) > f->peak)
		f->peak = front_pending(p);
	if (f->not_reading)
		return;
	buf_put(&f->output, slice_from(buf_slice(&p->out), p->sent));
	p->written += front_pending(p);
	p->sent = 0;
	buf_reset(&p->out);
}

static void feed(struct fake *f)
{
	size_t used, pending = front_pending(&f->port);

	do {
		used = f->conf.core->feed(f->core, buf_slice(&f->in));
		assert(used <= f->in.n);
		buf_consume(&f->in, used);
		drain(f);
	} while (!f->port.want_close && !f->port.want_tls && used > 0 && pending > 0);
}

static void restart(struct fake *f)
{
	f->conf.core->free(f->core);
	f->facts.tls = f->facts.restarted = true;
	f->port.want_tls = f->port.busy = false;
	f->post_window = IPC_WINDOW_BYTES; /* the new core begins with that */
	f->core = f->conf.core->start(&f->port, f->conf.core_conf);
	assert(f->core != NULL);
}

static void settle(struct fake *f)
{
	size_t before;

	/* The daemon comes back to a core whose output has drained. */
	do {
		before = f->output.n + f->in.n;
		feed(f);
	} while (before != f->output.n + f->in.n && !f->port.want_close && !f->port.want_tls);
	if (f->port.want_tls && f->in.n > 0)
		f->closed = true; /* text before TLS was to be taken for text inside it */
	else if (f->port.want_tls)
		restart(f);
	f->port.want_deflate = false; /* nothing is compressed here */
	f->closed |= f->port.want_close;
}

static bool answer_one(struct fake *f)
{
	struct fake_packet *p = f->closed ? NULL : packet_take(f);
	enum ipc_type type;
	union ipc_any m;

	if (p == NULL)
		return false;
	assert(ipc_decode(buf_slice(&p->bytes), &type, &m) == 0);
	if (type == IPC_post_credit)
		f->post_window += m.post_credit.bytes; /* not before the core knows of it */
	if (!f->lost[p->from])
		f->conf.core->on_msg(f->core, p->from, type, &m);
	packet_free(p);
	settle(f);
	return true;
}

/* One message of the store that is not played. */
static bool answer_store(struct fake *f)
{
	struct fake_store *s = f->conf.store;
	const union ipc_any *m;
	enum ipc_type type;
	bool gone = false;

	if (s == NULL || f->closed || f->user == 0 || f->lost[FRONT_SESSION])
		return false;
	m = s->next(s, f->port.busy && f->deadline_ms != 0 && !f->not_reading, &type, &gone);
	if (gone) {
		f->lost[FRONT_SESSION] = true;
		f->conf.core->on_gone(f->core, FRONT_SESSION);
	} else if (m == NULL) {
		return false;
	} else {
		f->conf.core->on_msg(f->core, FRONT_SESSION, type, m);
	}
	settle(f);
	return true;
}

static void run(struct fake *f)
{
	if (!f->closed)
		settle(f);
	while (!f->conf.hold && (answer_one(f) || answer_store(f)))
		;
}

bool fake_answer(struct fake *f)
{
	return answer_one(f);
}

struct fake *fake_new(const struct fake_conf *conf)
{
	struct fake *f = calloc(1, sizeof(*f));

	assert(f != NULL);
	f->conf = *conf;
	f->tail = &f->head;
	f->window = f->post_window = IPC_WINDOW_BYTES;
	buf_init(&f->in, 64 << 20);
	buf_init(&f->output, 256 << 20);
	buf_init(&f->typed, 1024);
	buf_init(&f->post, 64 << 20);
	f->facts = (struct front_facts){ .host = SLICE("mail.example.test"),
		.peer = { .family = 4, .ip = { 192, 0, 2, 7 }, .port = 40000 },
		.local = { .family = 4, .ip = { 192, 0, 2, 1 }, .port = 110 },
		.sid = 0x100000002,
		.tls = conf->tls,
		.tls_offered = conf->tls_offered,
		.plain_login = conf->plain_login,
		.lmtp = conf->lmtp,
		.submission = conf->submission };
	f->port = (struct front_port){
		.ops = &port_ops, .facts = &f->facts, .out = BUF_INIT(2 << 20), .wall_s = 1700000000
	};
	f->core = conf->core->start(&f->port, conf->core_conf);
	assert(f->core != NULL);
	run(f);
	return f;
}

void fake_free(struct fake **fp)
{
	struct fake *f = *fp;

	*fp = NULL;
	if (f == NULL)
		return;
	f->conf.core->free(f->core);
	while (f->head != NULL) {
		struct fake_packet *p = f->head;

		f->head = p->next;
		packet_free(p);
	}
	for (unsigned u = 0; u <= FAKE_USERS; u++) {
		for (unsigned i = 0; i < f->box[u].n; i++)
			buf_fini(&f->box[u].msgs[i].body);
		free(f->box[u].msgs);
	}
	buf_fini(&f->in);
	buf_fini(&f->output);
	buf_fini(&f->typed);
	buf_fini(&f->post);
	buf_fini(&f->port.out);
	free(f);
}

void fake_input(struct fake *f, struct slice bytes)
{
	if (f->closed)
		return;
	buf_put(&f->in, bytes);
	run(f);
}

struct slice fake_output(const struct fake *f)
{
	return buf_slice(&f->output);
}

void fake_output_reset(struct fake *f)
{
	buf_reset(&f->output);
}

bool fake_closed(const struct fake *f)
{
	return f->closed;
}

void fake_stop_reading(struct fake *f, bool stop)
{
	f->not_reading = stop;
	drain(f);
	run(f);
}

void fake_run(struct fake *f)
{
	run(f);
}

bool fake_timeout(struct fake *f)
{
	if (f->deadline_ms == 0 || f->closed)
		return false;
	f->deadline_ms = 0;
	f->conf.core->on_event(f->core, FRONT_TIMEOUT);
	run(f);
	return true;
}

uint32_t fake_deadline(const struct fake *f)
{
	return f->deadline_ms;
}

void fake_event(struct fake *f, enum front_event event)
{
	f->conf.core->on_event(f->core, event);
	run(f);
}

void fake_lose(struct fake *f, enum front_peer peer)
{
	f->lost[peer] = true;
	f->conf.core->on_gone(f->core, peer);
	run(f);
}

size_t fake_output_peak(const struct fake *f)
{
	return f->peak;
}

const struct front_port *fake_port(const struct fake *f)
{
	return &f->port;
}

void fake_store_fails(struct fake *f, uint32_t status)
{
	f->store_status = status;
}

void fake_mail(struct fake *f, unsigned user, struct slice body)
{
	struct fake_box *b = &f->box[user];
	struct fake_msg *m;

	b->msgs = realloc(b->msgs, (b->n + 1) * sizeof(*b->msgs));
	assert(b->msgs != NULL);
	m = &b->msgs[b->n++];
	*m = (struct fake_msg){ .body = BUF_INIT(64 << 20), .size = body.n, .uid = b->n * 10 };
	buf_put(&m->body, body);
}

void fake_mail_size(struct fake *f, unsigned user, unsigned i, uint64_t size)
{
	f->box[user].msgs[i].size = size;
}

unsigned fake_mail_count(const struct fake *f, unsigned user)
{
	unsigned n = 0;

	for (unsigned i = 0; i < f->box[user].n; i++)
		n += !f->box[user].msgs[i].gone;
	return n;
}

unsigned fake_mail_all(const struct fake *f, unsigned user)
{
	return f->box[user].n;
}

bool fake_mail_gone(const struct fake *f, unsigned user, unsigned i)
{
	return f->box[user].msgs[i].gone;
}

struct slice fake_mail_get(const struct fake *f, unsigned user, unsigned i)
{
	return buf_slice(&f->box[user].msgs[i].body);
}

void fake_remove(struct fake *f, unsigned user, unsigned i)
{
	f->box[user].msgs[i].gone = true;
}
