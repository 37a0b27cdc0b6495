/*
 * admin - administrators' channels: who may set and check passwords; routerd has secrets of deleted
 * accounts dropped.
 */
#include "authd/admin-private.h"

#include "authd/limits.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void admin_release(struct admin *ad)
{
	if (!ad->gone || ad->ops > 0)
		return;
	free(ad);
}

static void admin_close(struct admin *ad)
{
	ad->gone = true;
	LIST_REMOVE(ad, link);
	ipc_chan_free(&ad->chan);
	ad->ops++; /* until the last of them is looked at */
	newcomers_close(ad);
	ad->ops--;
	admin_release(ad);
}

void admin_end_all(struct authd *a, uint64_t account, uint64_t except_sid)
{
	struct admin *ad = account != 0 ? LIST_FIRST(&a->admins) : NULL, *next;

	for (; ad != NULL; ad = next) {
		next = LIST_NEXT(ad, link);
		if (ad->account != account || ad->sid == except_sid)
			continue;
		ad->shut = true;
		admin_close(ad);
	}
}

/* ---- may this be? ---- */

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	op_end(arg, IPC_AUTH_TRYLATER);
}

/* The own password: as the suite stores passwords, and not none, which would be a way to lock
 * oneself out. */
static bool own_right(const struct op *op, struct slice scheme, struct slice password)
{
	return op->admin->account == 0 || op->account != op->admin->account || !op->setting ||
	       (scheme.n == 0 && (password.n > 0 || op->tag[0] != '\0'));
}

static void ask_may(struct op *op, struct slice scheme, struct slice password)
{
	struct authd *a = op->a;
	struct timeval tv = { PEER_WAIT_MS / 1000, 0 };
	struct ipc_may_ask m = { .seq = ++a->next_seq,
		.who = op->admin->account,
		.target = op->account,
		.what = op->setting ? IPC_MAY_SET_PASSWORD : IPC_MAY_CHECK_PASSWORD };

	if (m.who == 0)
		m.what = IPC_MAY_HAVE_SECRET;

	if (!own_right(op, scheme, password)) {
		op_end(op, IPC_AUTH_NOMECH);
		return;
	}
	op->deadline = evtimer_new(a->base, on_deadline, op);
	if (a->routerd == NULL || op->deadline == NULL ||
	    secret_init(&op->password, password) != 0) {
		op_end(op, IPC_AUTH_TRYLATER);
		return;
	}
	snprintf(op->scheme, sizeof(op->scheme), "%.*s", SLICE_FMT(scheme));
	op->may_seq = m.seq;
	op->asking = true;
	LIST_INSERT_HEAD(&a->asking, op, asking_link);
	event_add(op->deadline, &tv);
	ipc_send(a->routerd, IPC_may_ask, &m, NULL);
}

static void may_go(struct op *op)
{
	struct secret password = op->password;

	op_asking_over(op);
	op->password = (struct secret){ 0 };
	if (op->listing)
		op_list(op);
	else if (op->setting)
		op_set(op, slice_str(op->scheme), secret_slice(&password));
	else
		op_check(op, secret_slice(&password));
	secret_fini(&password);
}

void admin_on_may(struct authd *a, const struct ipc_may_reply *m)
{
	struct op *op = LIST_FIRST(&a->asking);

	while (op != NULL && op->may_seq != m->seq)
		op = LIST_NEXT(op, asking_link);
	if (op == NULL)
		return;
	if (m->status == IPC_DIR_OK)
		may_go(op);
	else
		op_end(op, m->status == IPC_DIR_TRYLATER ? IPC_AUTH_TRYLATER : IPC_AUTH_DISABLED);
}

void admin_on_routerd_gone(struct authd *a)
{
	while (!LIST_EMPTY(&a->asking))
		op_end(LIST_FIRST(&a->asking), IPC_AUTH_TRYLATER);
}

/* ---- channels ---- */

static void on_set(struct admin *ad, const struct ipc_secret_set *m)
{
	struct op *op = op_new(ad, m->seq, m->account);

	if (op == NULL) {
		op_answer(ad, m->seq, IPC_AUTH_TRYLATER);
		return;
	}
	op->setting = true;
	op->alone = slice_eq(m->tag, SLICE("*"));
	if (!op->alone)
		snprintf(op->tag, sizeof(op->tag), "%.*s", SLICE_FMT(m->tag));
	/* Also of Master by the kernel's word: is the account there still? */
	ask_may(op, m->scheme, m->password);
}

static void on_check(struct admin *ad, const struct ipc_secret_check *m)
{
	struct op *op = op_new(ad, m->seq, m->account);

	if (op == NULL)
		op_answer(ad, m->seq, IPC_AUTH_TRYLATER);
	else if (ad->account != 0)
		ask_may(op, SLICE_NONE, m->password);
	else
		op_check(op, m->password);
}

static void on_list(struct admin *ad, const struct ipc_secret_tags *m)
{
	struct op *op = op_new(ad, m->seq, m->account);

	if (op == NULL) {
		op_answer(ad, m->seq, IPC_AUTH_TRYLATER);
		return;
	}
	op->listing = true;
	if (ad->account != 0)
		ask_may(op, SLICE_NONE, SLICE_NONE);
	else
		op_list(op);
}

static void on_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	if (type == IPC_secret_tags)
		on_list(arg, &m->secret_tags);
	else if (type == IPC_secret_set)
		on_set(arg, &m->secret_set);
	else if (type == IPC_secret_check)
		on_check(arg, &m->secret_check);
	else if (type == IPC_secret_new)
		newcomer_bring(arg, &m->secret_new);
	else if (type == IPC_secret_forget)
		newcomer_forget(arg, &m->secret_forget);
}

static void on_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	admin_close(arg);
}

static const struct ipc_ops admin_ops = { .on_msg = on_msg, .on_gone = on_gone };

int admin_open(struct authd *a, uint64_t sid, struct slice who, uint64_t account)
{
	struct admin *ad;
	int sv[2];

	if (ipc_pair(sv) != 0)
		return -1;
	ad = calloc(1, sizeof(*ad));
	if (ad != NULL) {
		ad->a = a;
		ad->sid = sid;
		ad->account = account;
		TAILQ_INIT(&ad->newcomers);
		snprintf(ad->who, sizeof(ad->who), "%.*s", SLICE_FMT(who));
		ad->chan = ipc_chan_new(a->base, sv[0], IPC_CH_ADMIN_AUTH, true, &admin_ops, ad);
	}
	if (ad == NULL || ad->chan == NULL) {
		free(ad);
		close(sv[1]);
		return -1;
	}
	LIST_INSERT_HEAD(&a->admins, ad, link);
	return sv[1];
}

/* ---- routerd: an account is going ---- */

struct drop {
	struct authd *a;
	uint64_t account;
	uint32_t seq;
};

static void on_dropped(void *arg, int rc)
{
	struct drop *d = arg;
	struct ipc_secret_dropped m = { .seq = d->seq,
		.status = rc == 0 ? IPC_AUTH_OK : IPC_AUTH_TRYLATER };

	authd_check_commit(rc);
	if (rc == 0)
		admin_end_all(d->a, d->account, 0);
	if (d->a->routerd != NULL)
		ipc_send(d->a->routerd, IPC_secret_dropped, &m, NULL);
	free(d);
}

void admin_on_secret_drop(struct authd *a, const struct ipc_secret_drop *m)
{
	struct drop *d = calloc(1, sizeof(*d));
	struct op *op;

	LIST_FOREACH(op, &a->changes, change_link)
	op->dropped |= op->account == m->account;
	if (d == NULL)
		return;
	*d = (struct drop){ a, m->account, m->seq };
	if (secrets_put(&a->secrets, m->account, SLICE_NONE, SLICE_NONE, on_dropped, d) != 0)
		on_dropped(d, ENGINE_FULL);
}
