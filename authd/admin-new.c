/*
 * admin-new - passwords of accounts that are being made. The administrator brings one by
 * secret_new, routerd takes it by secret_take for the account that it makes by the dir_ask of the
 * same number; the two come by different channels, so in any order.
 *
 * Invariant: nothing is written before routerd has taken it, and routerd hears that it is durable
 * before the account is one: so there is no account without its secret, and a secret of no account
 * can only be one that routerd has dropped next.
 */
#include "authd/admin-private.h"

#include "authd/limits.h"

#include <stdio.h>
#include <stdlib.h>

static struct op *find(const struct admin *ad, uint32_t seq)
{
	struct op *op = TAILQ_FIRST(&ad->newcomers);

	while (op != NULL && op->seq != seq)
		op = TAILQ_NEXT(op, newcomer_link);
	return op;
}

static struct op *newcomer(struct admin *ad, uint32_t seq)
{
	struct op *op = op_new(ad, seq, 0);

	if (op == NULL)
		return NULL;
	op->newcomer = op->setting = true;
	op->adds = true; /* nobody is in by an older one */
	TAILQ_INSERT_TAIL(&ad->newcomers, op, newcomer_link);
	return op;
}

/* Workers of strangers' logins are not counted: they must not keep accounts from being made. */
static bool may_hash(const struct authd *a)
{
	return a->hashing < NEW_WORKERS_MAX && a->workers < WORKERS_MAX;
}

void newcomer_next(struct authd *a)
{
	struct op *op;

	while (!a->closing && may_hash(a) && (op = TAILQ_FIRST(&a->want_worker)) != NULL) {
		struct secret password = op->password;

		TAILQ_REMOVE(&a->want_worker, op, tagging_link);
		op->waits_worker = false;
		op->password = (struct secret){ 0 };
		op_set(op, slice_str(op->scheme), secret_slice(&password));
		secret_fini(&password);
	}
}

/* Without memory the channel ends, too: routerd hears that there is nothing. */
void newcomer_bring(struct admin *ad, const struct ipc_secret_new *m)
{
	struct op *op = find(ad, m->seq);

	if (op == NULL)
		op = newcomer(ad, m->seq);
	if (op == NULL || op->brought || m->password.n == 0) {
		ipc_chan_refuse(ad->chan, IPC_secret_new, "too many, twice, or nothing");
		return;
	}
	op->brought = true;
	if (may_hash(ad->a)) {
		op_set(op, m->scheme, m->password);
		return;
	}
	if (secret_init(&op->password, m->password) != 0) {
		op_end(op, IPC_AUTH_TRYLATER);
		return;
	}
	snprintf(op->scheme, sizeof(op->scheme), "%.*s", SLICE_FMT(m->scheme));
	op->waits_worker = true;
	TAILQ_INSERT_TAIL(&ad->a->want_worker, op, tagging_link);
}

void newcomer_forget(struct admin *ad, const struct ipc_secret_forget *m)
{
	struct op *op = find(ad, m->seq);

	if (op != NULL && !op->taken)
		op_free(op);
}

void newcomers_close(struct admin *ad)
{
	struct op *op, *next;

	/* A worker that is let go would begin, and may end, any of them. */
	ad->a->closing = true;
	for (op = TAILQ_FIRST(&ad->newcomers); op != NULL; op = next) {
		next = TAILQ_NEXT(op, newcomer_link);
		if (!op->taken)
			op_free(op);
		else if (!op->brought)
			op_end(op, IPC_AUTH_TRYLATER);
	}
	ad->a->closing = false;
	newcomer_next(ad->a);
}

/* ---- routerd ---- */

static void tell(struct authd *a, uint32_t seq, uint64_t account, enum ipc_auth_status status)
{
	struct ipc_secret_taken m = { .seq = seq, .account = account, .status = status };

	if (a->routerd != NULL)
		ipc_send(a->routerd, IPC_secret_taken, &m, NULL);
}

void newcomer_answer(const struct op *op, enum ipc_auth_status status)
{
	tell(op->a, op->take_seq, op->account, status);
}

struct question {
	struct authd *a;
	uint32_t seq;
	uint64_t account;
};

static void on_found(void *arg, int rc, struct slice stored, struct slice tagged)
{
	struct question *q = arg;
	enum ipc_auth_status status = stored.n > 0 ? IPC_AUTH_OK : IPC_AUTH_BAD;

	tell(q->a, q->seq, q->account, rc == 0 ? status : IPC_AUTH_TRYLATER);
	free(q);
}

/* An account from before a restart: has it what it was to have? */
static void look(struct authd *a, const struct ipc_secret_take *m)
{
	struct question *q = malloc(sizeof(*q));

	if (q == NULL) {
		tell(a, m->seq, m->account, IPC_AUTH_TRYLATER);
		return;
	}
	*q = (struct question){ a, m->seq, m->account };
	secrets_get(&a->secrets, m->account, on_found, q);
}

static void take(struct op *op)
{
	struct secret form = op->form;

	op->form = (struct secret){ 0 };
	if (op->over)
		op_end(op, op->outcome);
	else if (form.p != NULL)
		op_put(op, secret_slice(&form));
	secret_fini(&form);
}

void admin_on_secret_take(struct authd *a, const struct ipc_secret_take *m)
{
	struct admin *ad = LIST_FIRST(&a->admins);
	struct op *op = NULL;

	if (m->sid == 0) {
		look(a, m);
		return;
	}
	while (ad != NULL && ad->sid != m->sid)
		ad = LIST_NEXT(ad, link);
	if (ad != NULL)
		op = find(ad, m->ask);
	if (ad != NULL && op == NULL)
		op = newcomer(ad, m->ask);
	if (op == NULL || op->taken) {
		tell(a, m->seq, m->account, IPC_AUTH_TRYLATER);
		return;
	}
	op->taken = true;
	op->account = m->account;
	op->take_seq = m->seq;
	take(op);
}
