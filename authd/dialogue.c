/*
 * dialogue - one connection's way to its session: mechanism in a worker, name through routerd,
 * secret to that worker, session from stored, descriptor to the connection.
 */
#include "authd/dialogue-private.h"

#include "authd/limits.h"
#include "common/base/addr.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/metrics/metrics.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

void dialogue_ask_over(struct dialogue *d)
{
	if (d->in_table)
		HASH_DEL(d->a->by_seq, d);
	d->in_table = false;
}

uint32_t dialogue_ask_seq(struct dialogue *d)
{
	dialogue_ask_over(d);
	d->seq = ++d->a->next_seq;
	HASH_ADD(hh, d->a->by_seq, seq, sizeof(d->seq), d);
	d->in_table = true;
	return d->seq;
}

void dialogue_wait_over(struct dialogue *d)
{
	if (d->waits)
		TAILQ_REMOVE(&d->a->wait_client, d, wait_link);
	d->waits = false;
}

static void wait_begin(struct dialogue *d)
{
	dialogue_wait_over(d);
	d->waits = true;
	d->waits_since_ms = clock_mono_ms();
	TAILQ_INSERT_TAIL(&d->a->wait_client, d, wait_link);
}

static void dialogue_destroy(struct dialogue *d)
{
	buf_fini(&d->peer);
	buf_fini(&d->local);
	buf_fini(&d->name);
	buf_fini(&d->last);
	buf_fini(&d->acting);
	free(d);
}

static void dialogue_free(struct dialogue *d)
{
	dialogue_ask_over(d);
	dialogue_wait_over(d);
	work_free(&d->work);
	sources_over(d, IPC_AUTH_BAD);
	d->a->open[d->role]--;
	if (d->timer != NULL)
		event_free(d->timer);
	d->timer = NULL;
	ipc_chan_free(&d->chan);
	d->dead = true;
	if (d->holds == 0)
		dialogue_destroy(d);
}

void dialogue_set_deadline(struct dialogue *d, unsigned ms)
{
	struct timeval tv = { ms / 1000, (ms % 1000) * 1000 };

	if (ms > 0)
		event_add(d->timer, &tv);
	else
		event_del(d->timer);
}

/* ---- from the worker ---- */

void dialogue_ask_route(struct dialogue *d)
{
	struct ipc_route_login ask = { .name = buf_slice(&d->name),
		.domain = slice_str(d->domain),
		.local = buf_slice(&d->local),
		.service = slice_str(d->service),
		.flags = d->tls ? IPC_LOGIN_ENCRYPTED : 0 };

	if (d->a->routerd == NULL) {
		dialogue_refuse(d, IPC_AUTH_TRYLATER, SLICE_NONE);
		return;
	}
	d->state = DLG_ROUTE;
	ask.seq = dialogue_ask_seq(d);
	dialogue_set_deadline(d, PEER_WAIT_MS);
	timing_asked(d);
	ipc_send(d->a->routerd, IPC_route_login, &ask, NULL);
}

static void on_work_name(struct dialogue *d, const struct ipc_work_name *m)
{
	if (d->named) {
		/* The secret of one account, then the name of another: it would open the other. */
		dialogue_refuse(d, IPC_AUTH_TRYLATER, SLICE_NONE);
		return;
	}
	d->named = true;
	buf_reset(&d->name);
	buf_put(&d->name, m->authcid);
	buf_reset(&d->acting);
	if (!slice_ieq(m->authzid, m->authcid))
		buf_put(&d->acting, m->authzid);
	dialogue_ask_route(d);
}

/* Tagged passwords are for programs that fetch and send mail: none administers with one, nor puts
 * another in place of the own one. */
static void give_secret(struct dialogue *d, struct slice stored, struct slice tagged)
{
	struct ipc_work_secret m = { .stored = stored, .hand_over = d->sources != 0 || d->make };

	if (d->role != IPC_ROLE_PWD)
		m.tagged = tagged;
	m.known = m.stored.n + m.tagged.n > 0;
	d->own_known = m.known;
	d->state = DLG_WORKER;
	dialogue_set_deadline(d, DIALOGUE_STEP_MS);
	work_send(d->work, IPC_work_secret, &m);
}

static void on_secret(void *arg, int rc, struct slice stored, struct slice tagged)
{
	struct dialogue *d = arg;

	d->holds--;
	if (d->dead) {
		if (d->holds == 0)
			dialogue_destroy(d);
		return;
	}
	if (d->state != DLG_SECRET)
		return;
	if (rc != 0)
		dialogue_refuse(d, IPC_AUTH_TRYLATER, SLICE_NONE);
	else
		give_secret(d, stored, tagged);
}

static enum ipc_auth_status from_route(uint32_t status)
{
	switch (status) {
	case IPC_ROUTE_DISABLED:
		return IPC_AUTH_DISABLED;
	case IPC_ROUTE_TRYLATER:
		return IPC_AUTH_TRYLATER;
	default:
		return IPC_AUTH_ROUTE;
	}
}

/* Where names are not to be found out, the worker goes on as with a name that has no secret. */
static void refuse_named(struct dialogue *d, enum ipc_auth_status status, struct slice text)
{
	if (d->hide && status != IPC_AUTH_TRYLATER && d->work != NULL)
		give_secret(d, SLICE_NONE, SLICE_NONE);
	else
		dialogue_refuse(d, status, text);
}

static void take_account(struct dialogue *d, const struct ipc_route_login_reply *m)
{
	d->account = d->asked = d->guess = m->account;
	d->changes = keep_changes(d->a, m->account);
	d->sources = sources_of(d, m->flags);
	d->own = (m->flags & IPC_LOGIN_NO_PASSWORD) == 0;
	d->quota = m->quota;
	d->fail_max = m->fail_max;
	d->fail_s = m->fail_s;
	d->rights = m->rights;
	buf_reset(&d->name);
	buf_put(&d->name, m->name);
}

void dialogue_on_route(struct authd *a, const struct ipc_route_login_reply *m)
{
	struct dialogue *d = NULL;
	enum ipc_auth_status status;
	uint32_t seq = m->seq;

	HASH_FIND(hh, a->by_seq, &seq, sizeof(seq), d);
	if (d != NULL && d->state == DLG_ACT)
		act_on_route(d, m);
	if (d == NULL || d->state != DLG_ROUTE)
		return;
	dialogue_ask_over(d);
	timing_routed(d);
	d->hide = a->hide_unknown || (m->flags & IPC_LOGIN_HIDE) != 0;
	if (m->status != IPC_ROUTE_OK) {
		if (d->make && d->password.p != NULL)
			make_on_route(d, m);
		else if (make_may(d, m))
			give_secret(d, SLICE_NONE, SLICE_NONE);
		else
			refuse_named(d, from_route(m->status), m->text);
		return;
	}
	status = conditions_of_account(d, m);
	if (status != IPC_AUTH_OK) {
		refuse_named(d, status, SLICE_NONE);
		return;
	}
	take_account(d, m);
	if (d->password.p != NULL) {
		sources_made(d);
		return;
	}
	if (d->holds > 0) {
		/* The secret of a cancelled attempt would be taken for this one's. */
		dialogue_refuse(d, IPC_AUTH_TRYLATER, SLICE_NONE);
		return;
	}
	if (!d->own) {
		d->account = 0;
		give_secret(d, SLICE_NONE, SLICE_NONE);
		return;
	}
	d->state = DLG_SECRET;
	d->holds++;
	secrets_get(&a->secrets, d->account, on_secret, d);
}

/* That a password is stored in a form that this mechanism cannot use tells that the name exists. */
static enum ipc_auth_status from_worker(const struct dialogue *d, uint32_t status)
{
	if (status > IPC_AUTH_DISABLED || (d->hide && status == IPC_AUTH_NOMECH))
		return IPC_AUTH_BAD;
	return (enum ipc_auth_status)status;
}

static void on_work_done(struct dialogue *d, const struct ipc_work_done *m)
{
	enum ipc_auth_status status;

	if (m->status != IPC_AUTH_OK) {
		status = from_worker(d, m->status);
		if (status == IPC_AUTH_BAD && d->make) {
			make_begin(d, m->password);
			return;
		}
		if (status == IPC_AUTH_BAD && d->sources != 0 && m->password.n > 0) {
			sources_begin(d, m->password);
			return;
		}
		if (status == IPC_AUTH_BAD && d->asked != 0)
			failures_add(d->a, d->asked, d->fail_s);
		dialogue_refuse(d, status, SLICE_NONE);
		return;
	}
	if (d->account == 0) {
		dialogue_refuse(d, IPC_AUTH_BAD, SLICE_NONE);
		return;
	}
	buf_reset(&d->last);
	buf_put(&d->last, m->data);
	d->tagged = m->tag.n > 0;
	snprintf(
	    d->source, sizeof(d->source), m->tag.n > 0 ? "tag:%.*s" : "own", SLICE_FMT(m->tag));
	work_free(&d->work);
	dialogue_proved(d);
}

static void on_work_msg(void *arg, enum ipc_type type, const union ipc_any *m)
{
	struct dialogue *d = arg;
	struct ipc_auth_challenge challenge;

	if (d->state != DLG_WORKER) {
		/* A worker speaks when it has the word; one that does not is not to be believed. */
		dialogue_refuse(d, IPC_AUTH_TRYLATER, SLICE_NONE);
		return;
	}
	switch (type) {
	case IPC_work_name:
		on_work_name(d, &m->work_name);
		break;
	case IPC_work_challenge:
		challenge.data = m->work_challenge.data;
		d->state = DLG_CLIENT;
		wait_begin(d);
		dialogue_set_deadline(d, DIALOGUE_STEP_MS);
		ipc_send(d->chan, IPC_auth_challenge, &challenge, NULL);
		break;
	case IPC_work_done:
		on_work_done(d, &m->work_done);
		break;
	default:
		dialogue_refuse(d, IPC_AUTH_TRYLATER, SLICE_NONE);
	}
}

static void on_work_lost(void *arg)
{
	dialogue_refuse(arg, IPC_AUTH_TRYLATER, SLICE_NONE);
}

static const struct work_ops dialogue_work = { on_work_msg, on_work_lost };

void dialogue_on_peer_gone(struct authd *a)
{
	struct dialogue *d, *tmp;

	HASH_ITER(hh, a->by_seq, d, tmp)
	{
		if (((d->state == DLG_ROUTE || d->state == DLG_ACT || d->state == DLG_POST) &&
			a->routerd == NULL) ||
		    (d->state == DLG_SESSION && a->stored == NULL) ||
		    (d->state == DLG_SOURCE && a->source == NULL))
			dialogue_refuse(d, IPC_AUTH_TRYLATER, SLICE_NONE);
	}
}

/* ---- from the connection ---- */

/* With every worker taken, the client that has let one wait longest loses it. */
static struct work *get_worker(struct dialogue *d)
{
	struct dialogue *slow = TAILQ_FIRST(&d->a->wait_client);

	if (d->a->workers >= WORKERS_MAX && slow != NULL &&
	    clock_mono_ms() - slow->waits_since_ms > d->a->client_safe_ms)
		dialogue_refuse(slow, IPC_AUTH_TRYLATER, SLICE_NONE);
	return work_new(d->a, &dialogue_work, d);
}

static void on_start(struct dialogue *d, const struct ipc_auth_start *m)
{
	struct authd *a = d->a;
	struct ipc_work_start start = { .mech = m->mech,
		.service = slice_str(d->service),
		.host = slice_str(a->host),
		.has_initial = m->has_initial,
		.initial = m->initial };
	enum ipc_auth_status status;

	snprintf(d->mech, sizeof(d->mech), "%.*s", SLICE_FMT(m->mech));
	snprintf(d->domain, sizeof(d->domain), "%.*s", SLICE_FMT(m->domain));
	buf_reset(&d->name);
	d->account = d->asked = d->guess = d->confirmed = 0;
	d->sources = 0;
	d->named = d->later = d->make = d->kept = false;
	d->starts++;
	d->hide = a->hide_unknown;
	d->tls = m->tls != 0 || (d->flags & IPC_CONN_TLS) != 0;
	ipc_chan_set_state(d->chan, IPC_IN_DIALOGUE);
	status = conditions_of_start(d);
	if (status != IPC_AUTH_OK) {
		dialogue_refuse(d, status, SLICE_NONE);
		return;
	}
	d->work = get_worker(d);
	if (d->work == NULL) {
		dialogue_refuse(d, IPC_AUTH_TRYLATER, SLICE_NONE);
		return;
	}
	d->state = DLG_WORKER;
	timing_heard(d);
	dialogue_set_deadline(d, DIALOGUE_STEP_MS);
	work_send(d->work, IPC_work_start, &start);
}

static void on_step(struct dialogue *d, const struct ipc_auth_step *m)
{
	struct ipc_work_response response = { .data = m->data };

	if (d->state != DLG_CLIENT) {
		dialogue_refuse(d, IPC_AUTH_SYNTAX, SLICE_NONE);
		return;
	}
	dialogue_wait_over(d);
	d->state = DLG_WORKER;
	timing_heard(d);
	dialogue_set_deadline(d, DIALOGUE_STEP_MS);
	work_send(d->work, IPC_work_response, &response);
}

static void on_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct dialogue *d = arg;

	switch (type) {
	case IPC_auth_start:
		on_start(d, &m->auth_start);
		break;
	case IPC_auth_step:
		on_step(d, &m->auth_step);
		break;
	case IPC_auth_cancel:
		/* Answered, so that both ends agree that the dialogue is idle again. */
		if (d->state != DLG_IDLE)
			dialogue_refuse(d, IPC_AUTH_CANCELLED, SLICE_NONE);
		break;
	case IPC_auth_peer:
		dialogue_admin(d);
		break;
	default:
		break;
	}
}

static void on_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	dialogue_free(arg);
}

static const struct ipc_ops dialogue_ops = { .on_msg = on_msg, .on_gone = on_gone };

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct dialogue *d = arg;

	dialogue_refuse(
	    d, d->state == DLG_CLIENT ? IPC_AUTH_CANCELLED : IPC_AUTH_TRYLATER, SLICE_NONE);
}

void authd_init(struct authd *a)
{
	TAILQ_INIT(&a->wait_client);
	TAILQ_INIT(&a->tagging);
	TAILQ_INIT(&a->want_worker);
	LIST_INIT(&a->changes);
	LIST_INIT(&a->admins);
	LIST_INIT(&a->asking);
	a->worker_ms = WORKER_STEP_MS;
	a->client_safe_ms = CLIENT_SAFE_MS;
}

void dialogue_open(
    struct authd *a, struct ipc_chan *c, enum ipc_role role, const struct ipc_conn_new *m, int *fd)
{
	struct dialogue *d;

	if (!ipc_chan_owns_sid(c, m->sid)) {
		ipc_chan_refuse(c, IPC_conn_new, "another acceptor's connection");
		return;
	}
	d = a->open[role] < DIALOGUES_MAX ? calloc(1, sizeof(*d)) : NULL;
	if (d == NULL)
		return;
	a->open[role]++;
	*d = (struct dialogue){ .a = a,
		.role = role,
		.sid = m->sid,
		.flags = m->flags,
		.uid = m->uid,
		.peer = BUF_INIT(ADDR_PACKED_MAX),
		.local = BUF_INIT(ADDR_PACKED_MAX),
		.name = BUF_INIT(1024),
		.last = BUF_INIT(8192),
		.acting = BUF_INIT(1024) };
	snprintf(d->service, sizeof(d->service), "%.*s", SLICE_FMT(m->service));
	buf_put(&d->peer, m->peer);
	buf_put(&d->local, m->local);
	d->timer = evtimer_new(a->base, on_deadline, d);
	d->chan = ipc_chan_new(a->base, *fd, IPC_CH_DIALOGUE, true, &dialogue_ops, d);
	*fd = -1;
	if (d->timer == NULL || d->chan == NULL) {
		dialogue_free(d);
		return;
	}
	ipc_chan_set_state(d->chan, IPC_IN_IDLE);
}
