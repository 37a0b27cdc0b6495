/*
 * account-first - a new account with the mailboxes and subscriptions that it begins with.
 *
 * The account is asked for again after a crash until it was answered, so that what is there already
 * is well; a name that cannot be is left out: it must not keep the account from coming into being.
 */
#include "stored/tree.h"

#include "common/base/wire.h"

#include <stdlib.h>

struct first {
	struct peer *peer;
	uint32_t seq;
	uint64_t account;
	struct wire_reader mailboxes, subscriptions; /* of `text`, what is left of them */
	uint8_t text[];
};

static void answer(struct peer *p, uint32_t seq, int status)
{
	struct ipc_account_done d = { seq, (uint32_t)status };

	if (p->chan != NULL)
		(void)ipc_send(p->chan, IPC_account_done, &d, NULL);
}

static void end(struct first *f, int status)
{
	answer(f->peer, f->seq, status);
	peer_unref(f->peer);
	free(f);
}

static bool settled(int status)
{
	return status == IPC_ST_OK || status == IPC_ST_EXISTS || status == IPC_ST_CANNOT ||
	       status == IPC_ST_LIMIT;
}

static void on_account(void *arg, int status, struct account *a);

/* One name is done: the next, in the account as it is then. */
static void on_name(void *arg, int status, uint64_t id)
{
	struct first *f = arg;

	if (settled(status))
		account_get(f->peer->st, f->account, 0, on_account, f);
	else
		end(f, status);
}

static bool take_name(struct wire_reader *r, struct slice *ret)
{
	if (r->bad || wire_left(r) == 0)
		return false;
	*ret = wire_get_raw(r, wire_get_u16(r));
	return !r->bad;
}

static void on_account(void *arg, int status, struct account *a)
{
	struct first *f = arg;
	struct slice name;

	if (status != IPC_ST_OK)
		end(f, status);
	else if (take_name(&f->mailboxes, &name))
		tree_make(a, name, 0, on_name, f);
	else if (take_name(&f->subscriptions, &name))
		tree_want(a, name, on_name, f);
	else
		end(f, IPC_ST_OK);
}

void account_first(struct peer *p, const struct ipc_account_make *m)
{
	size_t n = m->mailboxes.n + m->subscriptions.n;
	struct first *f = malloc(sizeof(*f) + n);

	if (f == NULL) {
		answer(p, m->seq, IPC_ST_TRYLATER);
		return;
	}
	*f = (struct first){ .peer = p, .seq = m->seq, .account = m->account };
	if (m->mailboxes.n > 0)
		memcpy(f->text, m->mailboxes.p, m->mailboxes.n);
	if (m->subscriptions.n > 0)
		memcpy(f->text + m->mailboxes.n, m->subscriptions.p, m->subscriptions.n);
	f->mailboxes = wire_reader(slice_of(f->text, m->mailboxes.n));
	f->subscriptions = wire_reader(slice_of(f->text + m->mailboxes.n, m->subscriptions.n));
	peer_ref(p);
	account_get(p->st, m->account, ACCOUNT_CREATE, on_account, f);
}
