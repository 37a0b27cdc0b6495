/*
 * keep - a password that a helper has confirmed becomes the account's own, beside the login that it
 * was typed for: hashed by a worker, then stored. Sessions go on, since nothing was changed but the
 * place where the password is known. routerd is asked last: an account that went meanwhile gets no
 * secret.
 *
 * Invariant: what a helper was asked about before somebody set a password is never stored after it:
 * the helper may have taken its time, and a reset is there to end what was known before.
 */
#include "authd/admin-private.h"
#include "common/base/log.h"

#include <stdio.h>
#include <stdlib.h>

struct keep {
	LIST_ENTRY(keep) link;
	bool asking; /* routerd */
	bool first;  /* only where there is none */
	uint32_t may_seq, changes;
	struct secret form;
	struct authd *a;
	struct work *work;
	uint64_t account;
	char name[IPC_WHO_MAX + 1];
};

uint32_t keep_changes(const struct authd *a, uint64_t account)
{
	return a->change_counts[account % CHANGE_COUNTS];
}

void keep_on_change(struct authd *a, uint64_t account)
{
	a->change_counts[account % CHANGE_COUNTS]++;
}

static void keep_end(struct keep *k, const char *why)
{
	log_ev(LOG_NOTICE, "auth.kept", kv_s("user", k->name), kv_u("account", k->account),
	    kv_s("why", why));
	if (k->asking)
		LIST_REMOVE(k, link);
	work_free(&k->work);
	secret_fini(&k->form);
	free(k);
}

static void on_put(void *arg, int rc)
{
	authd_check_commit(rc);
	keep_end(arg, rc == 0 ? "ok" : "disk");
}

static void on_work_msg(void *arg, enum ipc_type type, const union ipc_any *m)
{
	struct ipc_may_ask may = { .what = IPC_MAY_HAVE_SECRET };
	struct keep *k = arg;

	if (type != IPC_work_hashed || m->work_hashed.status != IPC_AUTH_OK) {
		keep_end(k, "hash");
		return;
	}
	if (k->a->routerd == NULL || secret_init(&k->form, m->work_hashed.stored) != 0) {
		keep_end(k, "later");
		return;
	}
	work_free(&k->work);
	k->asking = true;
	k->may_seq = may.seq = ++k->a->next_seq;
	may.target = k->account;
	LIST_INSERT_HEAD(&k->a->keeps, k, link);
	ipc_send(k->a->routerd, IPC_may_ask, &may, NULL);
}

static void put(struct keep *k)
{
	struct secrets *s = &k->a->secrets;

	if (keep_changes(k->a, k->account) != k->changes)
		keep_end(k, "changed");
	else if (secrets_put(s, k->account, SLICE_NONE, secret_slice(&k->form), on_put, k) != 0)
		keep_end(k, "memory");
}

static void on_found(void *arg, int rc, struct slice stored, struct slice tagged)
{
	struct keep *k = arg;

	if (rc != 0 || stored.n > 0)
		keep_end(k, rc != 0 ? "disk" : "changed");
	else
		put(k);
}

void keep_on_may(struct authd *a, const struct ipc_may_reply *m)
{
	struct keep *k = LIST_FIRST(&a->keeps);

	while (k != NULL && k->may_seq != m->seq)
		k = LIST_NEXT(k, link);
	if (k == NULL)
		return;
	LIST_REMOVE(k, link);
	k->asking = false;
	if (m->status != IPC_DIR_OK)
		keep_end(k, "account");
	else if (k->first)
		secrets_get(&a->secrets, k->account, on_found, k);
	else
		put(k);
}

void keep_on_routerd_gone(struct authd *a)
{
	while (!LIST_EMPTY(&a->keeps))
		keep_end(LIST_FIRST(&a->keeps), "later");
}

static void on_work_lost(void *arg)
{
	keep_end(arg, "worker");
}

static const struct work_ops keep_work = { on_work_msg, on_work_lost };

static void begin(struct keep what, struct slice name, struct slice password)
{
	struct authd *a = what.a;
	struct ipc_work_hash hash = { .scheme = slice_str(a->scheme), .password = password };
	struct keep *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return;
	*k = what;
	snprintf(k->name, sizeof(k->name), "%.*s", SLICE_FMT(name));
	k->work = work_new(a, &keep_work, k);
	/* Not now, then at one of the next logins: the helper is asked until it is done. */
	if (k->work == NULL || work_send(k->work, IPC_work_hash, &hash) != 0)
		keep_end(k, "busy");
}

void keep_password(
    struct authd *a, uint64_t account, uint32_t changes, struct slice name, struct slice password)
{
	begin((struct keep){ .a = a, .account = account, .changes = changes }, name, password);
}

void keep_first_password(
    struct authd *a, uint64_t account, struct slice name, struct slice password)
{
	begin(
	    (struct keep){
		.a = a, .account = account, .changes = keep_changes(a, account), .first = true },
	    name, password);
}
