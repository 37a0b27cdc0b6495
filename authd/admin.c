/* admin - administrators set and check passwords; routerd has secrets of deleted accounts dropped.
 */
#include "authd/authd.h"

#include "authd/limits.h"
#include "common/base/log.h"
#include "common/base/secret.h"
#include "common/metrics/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct admin {
	struct authd *a;
	struct ipc_chan *chan;
	uint64_t sid;
	char who[33];
	unsigned ops; /* under way; they keep the struct */
	bool gone;
};

/* One request under way. */
struct op {
	struct admin *admin;
	struct authd *a;
	uint32_t seq;
	uint64_t account;
	struct work *work;
	bool setting; /* or checking */
	bool named;   /* the worker has asked for the secret */
	bool getting; /* the database has been asked: it answers before the request ends */
};

static void admin_release(struct admin *ad)
{
	if (!ad->gone || ad->ops > 0)
		return;
	free(ad);
}

static struct op *op_new(struct admin *ad, uint32_t seq, uint64_t account)
{
	struct op *op = ad->ops < ADMIN_OPS_MAX ? calloc(1, sizeof(*op)) : NULL;

	if (op == NULL)
		return NULL;
	*op = (struct op){ .admin = ad, .a = ad->a, .seq = seq, .account = account };
	ad->ops++;
	return op;
}

static void answer(struct admin *ad, uint32_t seq, enum ipc_auth_status status)
{
	struct ipc_secret_done m = { .seq = seq, .status = status };

	if (!ad->gone)
		ipc_send(ad->chan, IPC_secret_done, &m, NULL);
}

/* The account is told by its number: names are routerd's. */
static void audit(const struct op *op, enum ipc_auth_status status)
{
	const struct admin *ad = op->admin;
	const char *result = status == IPC_AUTH_OK ? "ok" : auth_status_word(status);
	char account[24];

	snprintf(account, sizeof(account), "#%llu", (unsigned long long)op->account);
	log_ev(LOG_NOTICE | LOG_AUDIT, "admin.change", kv_sid("sid", ad->sid), kv_s("who", ad->who),
	    kv_s("verb", op->setting ? "password_set" : "password_check"), kv_s("object", account),
	    kv_s("result", result));
	if (op->setting)
		metric_add(METRIC_password_changes, result, "", 1);
}

static void op_end(struct op *op, enum ipc_auth_status status)
{
	struct admin *ad = op->admin;

	audit(op, status);
	answer(ad, op->seq, status);
	work_free(&op->work);
	free(op);
	ad->ops--;
	admin_release(ad);
}

void authd_commit_failed(int rc)
{
	log_ev(LOG_ERR, "proc.fail", kv_s("name", "authd"),
	    kv_s("why", "commit of unknown outcome"), kv_s("err", engine_rc_name(rc)));
	exit(1);
}

static void check_commit(int rc)
{
	if (rc == ENGINE_UNKNOWN || rc == ENGINE_STALE || rc < 0)
		authd_commit_failed(rc);
}

static void on_put(void *arg, int rc)
{
	struct op *op = arg;
	struct ipc_identity_changed changed = { .account = op->account };
	struct ipc_post_logout logout = { .account = op->account };

	check_commit(rc);
	if (rc == 0 && op->a->stored != NULL)
		ipc_send(op->a->stored, IPC_identity_changed, &changed, NULL);
	if (rc == 0 && op->a->routerd != NULL)
		ipc_send(op->a->routerd, IPC_post_logout, &logout, NULL);
	op_end(op, rc == 0 ? IPC_AUTH_OK : IPC_AUTH_TRYLATER);
}

/* The worker has done its part: its end must not end a request that waits for the disk. */
static void put(struct op *op, struct slice stored)
{
	work_free(&op->work);
	if (secrets_put(&op->a->secrets, op->account, stored, on_put, op) != 0)
		op_end(op, IPC_AUTH_TRYLATER);
}

/* ---- hashing a new password ---- */

static void on_hash_msg(void *arg, enum ipc_type type, const union ipc_any *m)
{
	struct op *op = arg;

	if (type != IPC_work_hashed || m->work_hashed.status != IPC_AUTH_OK)
		op_end(op, type == IPC_work_hashed ? m->work_hashed.status : IPC_AUTH_TRYLATER);
	else
		put(op, m->work_hashed.stored);
}

static void on_work_lost(void *arg)
{
	struct op *op = arg;

	if (op->getting)
		work_free(&op->work);
	else
		op_end(op, IPC_AUTH_TRYLATER);
}

static const struct work_ops hash_work = { on_hash_msg, on_work_lost };

static void on_set(struct admin *ad, const struct ipc_secret_set *m)
{
	struct op *op = op_new(ad, m->seq, m->account);
	bool given = slice_ieq(m->scheme, SLICE("given"));
	struct ipc_work_hash hash = { .scheme = m->scheme, .password = m->password };
	char plain[7 + SECRET_STORED_MAX];

	if (op == NULL) {
		answer(ad, m->seq, IPC_AUTH_TRYLATER);
		return;
	}
	op->setting = true;
	if (hash.scheme.n == 0)
		hash.scheme = slice_str(ad->a->scheme);
	if (m->password.n == 0) {
		put(op, SLICE_NONE);
	} else if (given) {
		if (secrets_form_known(m->password))
			put(op, m->password);
		else
			op_end(op, IPC_AUTH_SYNTAX);
	} else if (slice_ieq(hash.scheme, SLICE("plain")) && m->password.n < 1024) {
		/* Nothing to compute, so no worker: many accounts are made like this in tests. */
		memcpy(plain, "{PLAIN}", 7);
		memcpy(plain + 7, m->password.p, m->password.n);
		put(op, slice_of(plain, 7 + m->password.n));
		secret_wipe(plain, sizeof(plain));
	} else {
		op->work = work_new(ad->a, &hash_work, op);
		if (op->work == NULL || work_send(op->work, IPC_work_hash, &hash) != 0)
			op_end(op, IPC_AUTH_TRYLATER);
	}
}

/* ---- checking one ---- */

static void on_check_msg(void *arg, enum ipc_type type, const union ipc_any *m);
static const struct work_ops check_work = { on_check_msg, on_work_lost };

static void on_stored(void *arg, int rc, struct slice stored)
{
	struct op *op = arg;
	struct ipc_work_secret secret = { .known = stored.n > 0, .stored = stored };

	op->getting = false;
	if (op->work == NULL || rc != 0)
		op_end(op, IPC_AUTH_TRYLATER);
	else
		work_send(op->work, IPC_work_secret, &secret);
}

/* The check is an ordinary PLAIN dialogue whose name does not matter. */
static void on_check_msg(void *arg, enum ipc_type type, const union ipc_any *m)
{
	struct op *op = arg;

	if (op->getting) {
		on_work_lost(op);
	} else if (type == IPC_work_name && !op->named) {
		op->named = true;
		op->getting = true;
		secrets_get(&op->a->secrets, op->account, on_stored, op);
	} else {
		op_end(op, type == IPC_work_done ? m->work_done.status : IPC_AUTH_TRYLATER);
	}
}

static void on_check(struct admin *ad, const struct ipc_secret_check *m)
{
	struct op *op = op_new(ad, m->seq, m->account);
	struct buf initial = BUF_INIT(2048);
	struct ipc_work_start start = { .mech = SLICE("PLAIN"),
		.service = SLICE("admin"),
		.host = slice_str(ad->a->host),
		.has_initial = 1 };

	if (op == NULL) {
		answer(ad, m->seq, IPC_AUTH_TRYLATER);
		return;
	}
	buf_put(&initial, slice_of("\0-\0", 3));
	buf_put(&initial, m->password);
	start.initial = buf_slice(&initial);
	op->work = work_new(ad->a, &check_work, op);
	if (op->work == NULL || work_send(op->work, IPC_work_start, &start) != 0)
		op_end(op, IPC_AUTH_TRYLATER);
	secret_wipe(initial.p, initial.n);
	buf_fini(&initial);
}

static void on_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	if (type == IPC_secret_set)
		on_set(arg, &m->secret_set);
	else if (type == IPC_secret_check)
		on_check(arg, &m->secret_check);
}

static void on_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	struct admin *ad = arg;

	ad->gone = true;
	ipc_chan_free(&ad->chan);
	admin_release(ad);
}

static const struct ipc_ops admin_ops = { .on_msg = on_msg, .on_gone = on_gone };

int admin_open(struct authd *a, uint64_t sid, const char *who)
{
	struct admin *ad;
	int sv[2];

	if (ipc_pair(sv) != 0)
		return -1;
	ad = calloc(1, sizeof(*ad));
	if (ad != NULL) {
		ad->a = a;
		ad->sid = sid;
		snprintf(ad->who, sizeof(ad->who), "%s", who);
		ad->chan = ipc_chan_new(a->base, sv[0], IPC_CH_ADMIN_AUTH, true, &admin_ops, ad);
	}
	if (ad == NULL || ad->chan == NULL) {
		free(ad);
		close(sv[1]);
		return -1;
	}
	return sv[1];
}

/* ---- routerd: an account is going ---- */

struct drop {
	struct authd *a;
	uint32_t seq;
};

static void on_dropped(void *arg, int rc)
{
	struct drop *d = arg;
	struct ipc_secret_dropped m = { .seq = d->seq,
		.status = rc == 0 ? IPC_AUTH_OK : IPC_AUTH_TRYLATER };

	check_commit(rc);
	if (d->a->routerd != NULL)
		ipc_send(d->a->routerd, IPC_secret_dropped, &m, NULL);
	free(d);
}

void admin_on_secret_drop(struct authd *a, const struct ipc_secret_drop *m)
{
	struct drop *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return;
	*d = (struct drop){ a, m->seq };
	if (secrets_put(&a->secrets, m->account, SLICE_NONE, on_dropped, d) != 0)
		on_dropped(d, ENGINE_FULL);
}
