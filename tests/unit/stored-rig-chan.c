/* Ends of channels to stored, and what comes there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/stored-rig-private.h"

#include "common/base/clock.h"
#include "common/base/io.h"

#include <event2/event.h>
#include <stdlib.h>

/* As routerd would. */
static void policy_tell(struct rig_client *k, uint64_t account)
{
	const struct rig *r = k->rig;
	struct ipc_policy_is p = { .account = account,
		.quota = r->quota,
		.messages = r->messages_max,
		.notice = r->notice,
		.alert = r->alert,
		.suspend = 100,
		.restores = r->restores,
		.undelete_s = r->undelete_s,
		.compress = r->compress };

	(void)ipc_send(k->chan, IPC_policy_is, &p, NULL);
}

void rig_policy(struct rig *r, uint64_t account)
{
	policy_tell(r->routerd, account);
}

static void on_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct rig_client *k = arg;
	struct buf out = BUF_INIT(IPC_PACKET_MAX);
	struct rig_packet *p;

	if (type == IPC_post_credit)
		k->window += m->post_credit.bytes;
	if (type == IPC_append_credit)
		k->window += m->append_credit.bytes;
	if (type == IPC_policy_ask) {
		if (!k->rig->policy_waits)
			policy_tell(k, m->policy_ask.account);
		return;
	}
	if (type == IPC_alerts_ask && k->rig->on_foreign != NULL)
		return;
	if (type == IPC_foreign_ask && k->rig->on_foreign != NULL) {
		k->rig->on_foreign(k->rig, &m->foreign_ask);
		return;
	}
	if (type == IPC_append_ready)
		k->window = IPC_WINDOW_BYTES;
	assert_int_equal(ipc_encode(type, m, &out), 0);
	p = malloc(sizeof(*p) + out.n);
	assert_non_null(p);
	p->next = NULL;
	p->fd = fds[0];
	fds[0] = -1;
	p->n = out.n;
	memcpy(p->data, out.p, out.n);
	*k->tail = p;
	k->tail = &p->next;
	buf_fini(&out);
}

static void on_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	struct rig_client *k = arg;

	k->gone = true;
	ipc_chan_free(&k->chan);
}

static const struct ipc_ops client_ops = { on_msg, on_gone, NULL };

struct rig_client *rig_adopt_end(struct rig *r, int take_fd, enum ipc_ch kind, bool upper)
{
	struct rig_client *k = calloc(1, sizeof(*k));

	assert_non_null(k);
	k->rig = r;
	k->tail = &k->head;
	k->window = IPC_WINDOW_BYTES;
	k->chan = ipc_chan_new(r->base, take_fd, kind, upper, &client_ops, k);
	assert_non_null(k->chan);
	ipc_chan_set_queue_max(k->chan, 256 << 20);
	k->next = r->clients;
	r->clients = k;
	return k;
}

struct rig_client *rig_adopt(struct rig *r, int take_fd, enum ipc_ch kind)
{
	return rig_adopt_end(r, take_fd, kind, false);
}

void rig_client_close(struct rig_client *c)
{
	struct rig_client **at = &c->rig->clients;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	ipc_chan_free(&c->chan);
	while (c->head != NULL) {
		struct rig_packet *p = c->head;

		c->head = p->next;
		fd_close(&p->fd);
		free(p);
	}
	free(c->last);
	free(c);
}

static enum ipc_role peer_role(enum ipc_ch kind)
{
	if (kind == IPC_CH_AUTH_STORE)
		return IPC_ROLE_AUTHD;
	if (kind == IPC_CH_ROUTE_STORE)
		return IPC_ROLE_ROUTERD;
	return kind == IPC_CH_PARSE ? IPC_ROLE_PARSED : IPC_ROLE_SMTP;
}

struct rig_client *rig_attach(struct rig *r, enum ipc_ch kind)
{
	struct rig_client *c;
	int fds[2];

	assert_int_equal(ipc_pair(fds), 0);
	if (r->program == NULL) {
		assert_int_equal(store_attach(r->store, fds[1], kind, IPC_ROLE_NONE, 0), 0);
		return rig_adopt(r, fds[0], kind);
	}
	assert_int_equal(ipc_send(r->control->chan, IPC_ctl_peer,
			     &(struct ipc_ctl_peer){ peer_role(kind), kind, 1, 2 }, &fds[1]),
	    0);
	c = rig_adopt(r, fds[0], kind);
	assert_int_equal(
	    ipc_chan_hello(c->chan, peer_role(kind), 2, IPC_ROLE_STORED, IPC_IN_RUN), 0);
	return c;
}

void rig_send(struct rig_client *c, enum ipc_type type, const void *m)
{
	if (c->chan != NULL)
		(void)ipc_send(c->chan, type, m, NULL);
}

void rig_turn(struct rig *r, int ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	event_base_loopexit(r->base, &tv);
	event_base_loop(r->base, EVLOOP_ONCE);
}

void rig_spin(struct rig *r, int ms)
{
	int64_t until = clock_mono_ms() + ms;

	do
		rig_turn(r, 1);
	while (clock_mono_ms() < until);
}

const union ipc_any *rig_next(struct rig_client *c, int ms, enum ipc_type *ret_type, int *ret_fd)
{
	static union ipc_any m;
	int64_t until = clock_mono_ms() + ms;
	struct rig_packet *p;

	while (c->head == NULL && !c->gone && clock_mono_ms() < until)
		rig_turn(c->rig, ms < 5 ? 1 : 5);
	p = c->head;
	if (p == NULL)
		return NULL;
	c->head = p->next;
	if (c->head == NULL)
		c->tail = &c->head;
	free(c->last);
	c->last = (uint8_t *)p;
	assert_int_equal(ipc_decode(slice_of(p->data, p->n), ret_type, &m), 0);
	if (ret_fd != NULL)
		*ret_fd = p->fd;
	else
		fd_close(&p->fd);
	return &m;
}

const union ipc_any *rig_wait(struct rig_client *c, enum ipc_type type)
{
	const union ipc_any *m;
	enum ipc_type got;

	do {
		m = rig_next(c, RIG_WAIT_MS, &got, NULL);
		if (m == NULL)
			fail_msg(
			    "%s did not come%s", ipc_desc(type)->name, c->gone ? ": gone" : "");
	} while ((got == IPC_post_credit && type != IPC_post_credit) ||
		 (got == IPC_append_credit && type != IPC_append_credit));
	if (got != type)
		fail_msg("%s came, not %s", ipc_desc(got)->name, ipc_desc(type)->name);
	return m;
}

const union ipc_any *rig_answer(struct rig_client *c, enum ipc_type type)
{
	enum ipc_type got;
	const union ipc_any *m = rig_next(c, RIG_WAIT_MS, &got, NULL);

	if (m == NULL)
		fail_msg("%s did not come%s", ipc_desc(type)->name, c->gone ? ": gone" : "");
	if (got != type && got != IPC_session_bye)
		fail_msg("%s came, not %s", ipc_desc(got)->name, ipc_desc(type)->name);
	return got == type ? m : NULL;
}

int rig_done(struct rig_client *c)
{
	const union ipc_any *m = rig_answer(c, IPC_store_done);

	return m != NULL ? (int)m->store_done.status : IPC_ST_TRYLATER;
}

bool rig_gone(struct rig_client *c, int ms)
{
	int64_t until = clock_mono_ms() + ms;

	while (!c->gone && clock_mono_ms() < until)
		rig_turn(c->rig, 5);
	return c->gone;
}
