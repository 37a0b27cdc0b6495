/* admin-op - a password set or checked for an administrator. */
#include "authd/admin-private.h"

#include "authd/limits.h"
#include "common/base/log.h"
#include "common/base/wire.h"
#include "common/metrics/metrics.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

struct op *op_new(struct admin *ad, uint32_t seq, uint64_t account)
{
	unsigned max = ad->account != 0 ? MAY_OPS_MAX : ADMIN_OPS_MAX;
	struct op *op = ad->ops < max ? calloc(1, sizeof(*op)) : NULL;

	if (op == NULL)
		return NULL;
	*op = (struct op){ .admin = ad, .a = ad->a, .seq = seq, .account = account };
	LIST_INSERT_HEAD(&ad->a->changes, op, change_link);
	ad->ops++;
	return op;
}

void op_answer(struct admin *ad, uint32_t seq, enum ipc_auth_status status)
{
	struct ipc_secret_done m = { .seq = seq, .status = status };

	if (!ad->gone)
		ipc_send(ad->chan, IPC_secret_done, &m, NULL);
}

static const char *verb_of(const struct op *op)
{
	if (!op->setting)
		return "password_check";
	if (op->alone)
		return "password_reset";
	return op->tag[0] != '\0' ? "password_tag" : "password_set";
}

/* The account is told by its number: names are routerd's. */
static void audit(const struct op *op, enum ipc_auth_status status)
{
	const struct admin *ad = op->admin;
	const char *result = status == IPC_AUTH_OK ? "ok" : auth_status_word(status);
	char account[24];

	snprintf(account, sizeof(account), "#%llu", (unsigned long long)op->account);
	log_ev(LOG_NOTICE | LOG_AUDIT, "admin.change", kv_sid("sid", ad->sid), kv_s("who", ad->who),
	    kv_s("verb", verb_of(op)), kv_s("object", account), kv_s("result", result));
	if (op->setting)
		metric_add(METRIC_password_changes, result, "", 1);
}

void op_asking_over(struct op *op)
{
	if (op->asking)
		LIST_REMOVE(op, asking_link);
	op->asking = false;
	if (op->deadline != NULL)
		event_free(op->deadline);
	op->deadline = NULL;
}

static struct op *first_tagging(const struct authd *a, uint64_t account)
{
	struct op *op = TAILQ_FIRST(&a->tagging);

	while (op != NULL && op->account != account)
		op = TAILQ_NEXT(op, tagging_link);
	return op;
}

static void on_tags(void *arg, int rc, struct slice stored, struct slice tagged);

/* Before the worker goes, which begins the next. */
static void work_over(struct op *op)
{
	op->a->hashing -= op->newcomer && op->work != NULL;
	work_free(&op->work);
}

void op_free(struct op *op)
{
	struct admin *ad = op->admin;
	struct authd *a = op->a;
	struct op *next = NULL;

	op_asking_over(op);
	if (op->tagging) {
		bool ran = first_tagging(a, op->account) == op;

		TAILQ_REMOVE(&a->tagging, op, tagging_link);
		next = ran ? first_tagging(a, op->account) : NULL;
	}
	if (next != NULL)
		secrets_get(&a->secrets, next->account, on_tags, next);
	if (op->newcomer)
		TAILQ_REMOVE(&ad->newcomers, op, newcomer_link);
	if (op->waits_worker)
		TAILQ_REMOVE(&a->want_worker, op, tagging_link);
	LIST_REMOVE(op, change_link);
	secret_fini(&op->password);
	secret_fini(&op->form);
	work_over(op);
	free(op);
	ad->ops--;
	admin_release(ad);
}

void op_end(struct op *op, enum ipc_auth_status status)
{
	if (op->newcomer && !op->taken) {
		work_over(op);
		op->over = true;
		op->outcome = status;
		return;
	}
	if (!op->listing)
		audit(op, status);
	if (op->newcomer)
		newcomer_answer(op, status);
	else
		op_answer(op->admin, op->seq, status);
	op_free(op);
}

void authd_commit_failed(int rc)
{
	log_ev(LOG_ERR, "proc.fail", kv_s("name", "authd"),
	    kv_s("why", "commit of unknown outcome"), kv_s("err", engine_rc_name(rc)));
	exit(1);
}

void authd_check_commit(int rc)
{
	if (rc == ENGINE_UNKNOWN || rc == ENGINE_STALE || rc < 0)
		authd_commit_failed(rc);
}

static void on_put(void *arg, int rc)
{
	struct op *op = arg;
	uint64_t self = op->admin->account == op->account ? op->admin->sid : 0;
	struct ipc_identity_changed changed = { .account = op->account, .except_sid = self };
	struct ipc_post_logout logout = { .account = op->account, .except_sid = self };

	authd_check_commit(rc);
	if (rc == 0 && !op->adds)
		admin_end_all(op->a, op->account, self);
	if (rc == 0 && !op->adds && op->a->stored != NULL)
		ipc_send(op->a->stored, IPC_identity_changed, &changed, NULL);
	if (rc == 0 && !op->adds && op->a->routerd != NULL)
		ipc_send(op->a->routerd, IPC_post_logout, &logout, NULL);
	op_end(op, rc == 0 ? IPC_AUTH_OK : IPC_AUTH_TRYLATER);
}

/* From the moment that it is handed in, and also those whose channel is closed already: what they
 * asked for before must not be put behind it. */
static void shut_others(const struct op *op)
{
	uint64_t self = op->admin->account == op->account ? op->admin->sid : 0;
	struct admin *ad;
	struct op *o;

	if (op->account == 0)
		return;
	LIST_FOREACH(o, &op->a->changes, change_link)
	if (o->admin->account == op->account && o->admin->sid != self)
		o->admin->shut = true;
	LIST_FOREACH(ad, &op->a->admins, link)
	if (ad->account == op->account && ad->sid != self)
		ad->shut = true;
}

/* The worker has done its part: its end must not end a request that waits for the disk. */
void op_put(struct op *op, struct slice stored)
{
	work_over(op);
	if (op->newcomer && !op->taken) {
		if (secret_init(&op->form, stored) != 0)
			op_end(op, IPC_AUTH_TRYLATER);
		return;
	}
	if (!op->adds && !op->admin->shut && !op->dropped) {
		shut_others(op);
		keep_on_change(op->a, op->account);
	}
	/* Who was shut out must not come back by what he had asked for before. */
	if (op->admin->shut || op->dropped)
		op_end(op, IPC_AUTH_DISABLED);
	else if (op->tag[0] != '\0' && stored.n > SECRET_TAGGED_MAX)
		op_end(op, IPC_AUTH_NOMECH);
	else if ((op->alone ? secrets_put_alone(&op->a->secrets, op->account, stored, on_put, op)
			    : secrets_put(&op->a->secrets, op->account, slice_str(op->tag), stored,
				  on_put, op)) != 0)
		op_end(op, IPC_AUTH_TRYLATER);
}

/* ---- hashing a new password ---- */

static void on_hash_msg(void *arg, enum ipc_type type, const union ipc_any *m)
{
	struct op *op = arg;

	if (type != IPC_work_hashed || m->work_hashed.status != IPC_AUTH_OK)
		op_end(op, type == IPC_work_hashed ? m->work_hashed.status : IPC_AUTH_TRYLATER);
	else
		op_put(op, m->work_hashed.stored);
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

static void set(struct op *op, struct slice scheme, struct slice password)
{
	bool given = slice_ieq(scheme, SLICE("given"));
	struct ipc_work_hash hash = { .scheme = scheme, .password = password };
	char plain[7 + SECRET_STORED_MAX];

	if (hash.scheme.n == 0)
		hash.scheme = slice_str(op->a->scheme);
	if (password.n == 0) {
		op_put(op, SLICE_NONE);
	} else if (given) {
		if (secrets_form_known(password))
			op_put(op, password);
		else
			op_end(op, IPC_AUTH_SYNTAX);
	} else if (slice_ieq(hash.scheme, SLICE("plain")) && password.n < 1024) {
		/* Nothing to compute, so no worker: many accounts are made like this in tests. */
		memcpy(plain, "{PLAIN}", 7);
		memcpy(plain + 7, password.p, password.n);
		op_put(op, slice_of(plain, 7 + password.n));
		secret_wipe(plain, sizeof(plain));
	} else {
		op->work = work_new(op->a, &hash_work, op);
		op->a->hashing += op->newcomer && op->work != NULL;
		if (op->work == NULL || work_send(op->work, IPC_work_hash, &hash) != 0)
			op_end(op, IPC_AUTH_TRYLATER);
	}
}

/* ---- tagged ones ---- */

static void on_tags(void *arg, int rc, struct slice stored, struct slice tagged)
{
	struct op *op = arg;
	struct secret password = op->password;
	size_t n;

	op->adds = !secrets_tag_find(tagged, slice_str(op->tag), &n);
	op->password = (struct secret){ 0 };
	if (rc != 0)
		op_end(op, IPC_AUTH_TRYLATER);
	else if (op->adds && password.n > 0 && n >= SECRETS_TAGS_MAX)
		op_end(op, IPC_AUTH_LIMIT);
	else
		set(op, SLICE_NONE, secret_slice(&password));
	secret_fini(&password);
}

static void set_tagged(struct op *op, struct slice scheme, struct slice password)
{
	if (scheme.n > 0 || !secrets_tag_right(slice_str(op->tag))) {
		op_end(op, IPC_AUTH_NOMECH);
		return;
	}
	if (secret_init(&op->password, password) != 0) {
		op_end(op, IPC_AUTH_TRYLATER);
		return;
	}
	TAILQ_INSERT_TAIL(&op->a->tagging, op, tagging_link);
	op->tagging = true;
	if (first_tagging(op->a, op->account) == op)
		secrets_get(&op->a->secrets, op->account, on_tags, op);
}

void op_set(struct op *op, struct slice scheme, struct slice password)
{
	if (op->tag[0] != '\0')
		set_tagged(op, scheme, password);
	else
		set(op, scheme, password);
}

static void on_list(void *arg, int rc, struct slice stored, struct slice tagged)
{
	struct op *op = arg;
	struct wire_reader r = wire_reader(tagged);
	struct buf tags = BUF_INIT(512);
	struct ipc_secret_done m = { .seq = op->seq };

	m.status = rc == 0 ? IPC_AUTH_OK : IPC_AUTH_TRYLATER;
	while (wire_left(&r) > 0 && !r.bad) {
		wire_put_bytes(&tags, wire_get_bytes(&r, SECRETS_TAG_BYTES));
		wire_get_bytes(&r, SECRET_STORED_MAX);
	}
	m.tags = buf_slice(&tags);
	if (!op->admin->gone)
		ipc_send(op->admin->chan, IPC_secret_done, &m, NULL);
	op_free(op);
	buf_fini(&tags);
}

void op_list(struct op *op)
{
	secrets_get(&op->a->secrets, op->account, on_list, op);
}

/* ---- checking one ---- */

static void on_check_msg(void *arg, enum ipc_type type, const union ipc_any *m);
static const struct work_ops check_work = { on_check_msg, on_work_lost };

/* The own password: what programs log in with is no proof of who somebody is. */
static void on_stored(void *arg, int rc, struct slice stored, struct slice tagged)
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

void op_check(struct op *op, struct slice password)
{
	struct buf initial = BUF_INIT(2048);
	struct ipc_work_start start = { .mech = SLICE("PLAIN"),
		.service = SLICE("admin"),
		.host = slice_str(op->a->host),
		.has_initial = 1 };

	buf_put(&initial, slice_of("\0-\0", 3));
	buf_put(&initial, password);
	start.initial = buf_slice(&initial);
	op->work = work_new(op->a, &check_work, op);
	if (op->work == NULL || work_send(op->work, IPC_work_start, &start) != 0)
		op_end(op, IPC_AUTH_TRYLATER);
	secret_wipe(initial.p, initial.n);
	buf_fini(&initial);
}
