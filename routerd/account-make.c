/*
 * account-make - accounts that come. The row on disk is the intent: CREATING, or PROMISED for one
 * that comes with a secret. Such an account is completed when authd has the secret, or taken back
 * whole; nobody finds it before that.
 */
#include "routerd/accounts-private.h"

#include "routerd/settings-ops.h"

#include <stdio.h>

static void create_active(void *arg, int rc)
{
	struct op *op = arg;
	struct object *o = directory_account(&op->rd->db.dir, op->account);
	char id[24];

	account_op_check(op, rc);
	if (rc != 0) {
		account_op_end(
		    op, IPC_DIR_TRYLATER, "the disk is full or failing; the account follows later");
		return;
	}
	o->state = STATE_ACTIVE;
	op->rd->stat.changes++;
	snprintf(id, sizeof(id), "%llu", (unsigned long long)o->id);
	account_op_end(op, IPC_DIR_OK, id);
}

/* ---- it cannot be whole ---- */

static void unmake_noted(void *arg, int rc)
{
	struct op *op = arg;
	struct object *o = directory_account(&op->rd->db.dir, op->account);

	account_op_check(op, rc);
	if (rc != 0) {
		account_op_end(op, IPC_DIR_TRYLATER, "the disk is full or failing");
		return;
	}
	o->state = STATE_DELETING;
	account_op_drop(op);
}

void account_op_secret(struct op *op, uint32_t status)
{
	op->refused = IPC_DIR_BAD;
	if (status == IPC_AUTH_NOMECH) {
		op->refusal = "the password cannot be stored this way";
	} else if (status == IPC_AUTH_SYNTAX) {
		op->refusal = "the given hash starts with {CRYPT}, {SCRAM-SHA-256} or {PLAIN}";
	} else if (status != IPC_AUTH_OK) {
		op->refused = IPC_DIR_TRYLATER;
		op->refusal = "the password cannot be kept now; try again";
	}
	/* It could not even be looked for: not known to be missing. */
	if (op->secret_sid == 0 && status != IPC_AUTH_BAD)
		op->refusal = NULL;
}

/* ---- the peers ---- */

void account_op_made(struct op *op, unsigned who, bool ok)
{
	struct object *o = directory_account(&op->rd->db.dir, op->account);

	op->waits &= ~who;
	op->failed |= ok ? 0 : who;
	if (op->waits != 0)
		return;
	if (op->refusal != NULL)
		account_op_commit_state(op, o, STATE_DELETING, unmake_noted);
	else if (op->failed != 0)
		account_op_end(
		    op, IPC_DIR_TRYLATER, "a server cannot do it now; the account follows later");
	else
		account_op_commit_state(op, o, STATE_ACTIVE, create_active);
}

void account_op_make(struct op *op)
{
	struct routerd *rd = op->rd;
	const struct object *o = directory_account(&rd->db.dir, op->account);
	struct ipc_account_make make = { .seq = op->seq,
		.account = op->account,
		.mailboxes = settings_first_mailboxes(o),
		.subscriptions = settings_first_subscriptions(o) };
	struct ipc_secret_take take = {
		.seq = op->seq, .account = op->account, .sid = op->secret_sid, .ask = op->answer.seq
	};
	bool secret = o->state == STATE_PROMISED;

	const char *away = secret ? "a server is away; try again"
				  : "a server is away; the account follows when it is back";

	if (rd->stored == NULL || (secret && rd->authd == NULL)) {
		account_op_end(op, IPC_DIR_TRYLATER, away);
		return;
	}
	op->waits = secret ? WAITS_STORED | WAITS_AUTHD : WAITS_STORED;
	if (ipc_send(rd->stored, IPC_account_make, &make, NULL) != 0 ||
	    (secret && ipc_send(rd->authd, IPC_secret_take, &take, NULL) != 0))
		account_op_end(op, IPC_DIR_TRYLATER, away);
}

/* ---- the beginning ---- */

static void create_noted(void *arg, int rc)
{
	struct op *op = arg;
	struct object *o = directory_account(&op->rd->db.dir, op->account);

	account_op_check(op, rc);
	if (rc != 0) {
		directory_remove_object(&op->rd->db.dir, o);
		account_op_end(op, IPC_DIR_TRYLATER, "the disk is full or failing");
		return;
	}
	o->state = op->secret_sid != 0 ? STATE_PROMISED : STATE_CREATING;
	account_op_make(op);
}

static int put_new(
    struct routerd *rd, const struct new_account *n, struct object *o, struct engine_batch *b)
{
	struct settings_holder h = settings_holder(&rd->db.dir, SCOPE_ACCOUNT, NULL, o);
	int rc = settings_apply_template(&rd->db.dir, o, b);

	if (rc == 0 && n->settings != NULL)
		rc = settings_ops_first(n->settings, b, &h);
	if (rc == 0 && n->real_name.n > 0)
		rc = settings_first_real_name(&rd->db.dir, o, n->real_name, b);
	if (rc == 0) {
		o->state = n->secret_sid != 0 ? STATE_PROMISED : STATE_CREATING;
		rc = db_put_object(b, o);
		o->state = STATE_NEW;
	}
	return rc == 0 ? db_put_next_id(&rd->db, b) : rc;
}

void account_create(struct routerd *rd, const struct new_account *n, struct dir_answer a)
{
	struct object *o =
	    directory_add_account(&rd->db.dir, n->domain, n->name, rd->db.dir.next_id, STATE_NEW);
	struct op *op = o != NULL ? account_op_new(rd, o, a) : NULL;
	struct engine_batch *b;
	int rc;

	if (op == NULL) {
		if (o != NULL)
			directory_remove_object(&rd->db.dir, o);
		dir_reply_status(rd, a, IPC_DIR_TRYLATER, "out of memory");
		return;
	}
	op->secret_sid = n->secret_sid;
	rd->db.dir.next_id++;
	o->quota_bytes = n->quota_bytes;
	b = db_begin(&rd->db);
	rc = b != NULL ? put_new(rd, n, o, b) : 0;
	if (b == NULL || rc != 0) {
		engine_batch_free(&b);
		create_noted(op, ENGINE_FULL);
	} else {
		engine_commit(rd->db.engine, &b, 1, create_noted, op);
	}
}
