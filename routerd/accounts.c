/*
 * accounts - creation and deletion span the directory, the store and the secrets. The object's
 * state on disk is the intent; every step may be repeated; start-up and the return of a peer finish
 * what was begun, and so does time where a peer could not do it just then.
 */
#include "routerd/accounts-private.h"
#include "routerd/tally.h"

#include "common/base/log.h"
#include "common/base/wire.h"
#include "routerd/limits.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

enum { ACCOUNTS_CHANGED_BYTES = 57344 }; /* of one message, see schema.def */
struct op *account_op_new(struct routerd *rd, struct object *o, struct dir_answer a)
{
	struct op *op = calloc(1, sizeof(*op));

	if (op == NULL)
		return NULL;
	*op = (struct op){ .rd = rd, .seq = ++rd->next_seq, .account = o->id, .answer = a };
	HASH_ADD(hh, rd->ops, seq, sizeof(op->seq), op);
	o->in_flow = true;
	return op;
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
	struct routerd *rd = arg;

	rd->resume_waits = false;
	account_resume_all(rd);
}

/* A server that is there said that it cannot now: nobody tells us when it can. */
static void resume_later(struct routerd *rd)
{
	unsigned ms = rd->resume_ms != 0 ? rd->resume_ms : ACCOUNT_RESUME_MS;
	struct timeval after = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	if (rd->resume_waits || rd->stored == NULL || rd->authd == NULL)
		return;
	rd->resume_waits = event_base_once(rd->base, -1, EV_TIMEOUT, on_resume, rd, &after) == 0;
}

void account_op_end(struct op *op, enum ipc_dir_status status, const char *text)
{
	struct object *o = directory_account(&op->rd->db.dir, op->account);

	if (o != NULL)
		o->in_flow = false;
	if (o != NULL && o->state != STATE_ACTIVE)
		resume_later(op->rd);
	dir_reply_status(op->rd, op->answer, status, text);
	HASH_DEL(op->rd->ops, op);
	free(op);
}

void account_op_commit(struct op *op, struct engine_batch *b, int rc, engine_done_fn *done)
{
	if (b == NULL || rc != 0) {
		engine_batch_free(&b);
		account_op_end(op, IPC_DIR_TRYLATER, "out of memory");
		return;
	}
	engine_commit(op->rd->db.engine, &b, 1, done, op);
}

void account_op_commit_state(
    struct op *op, struct object *o, enum object_state state, engine_done_fn *done)
{
	enum object_state was = o->state;
	struct engine_batch *b = db_begin(&op->rd->db);
	int rc = 0;

	if (b != NULL) {
		o->state = state;
		rc = db_put_object(b, o);
		o->state = was;
	}
	account_op_commit(op, b, rc, done);
}

void account_op_check(const struct op *op, int rc)
{
	if (rc == ENGINE_UNKNOWN || rc == ENGINE_STALE || rc < 0)
		routerd_commit_failed(op->rd, rc);
}

/* ---- deletion ---- */

static void delete_final(void *arg, int rc)
{
	struct op *op = arg;
	struct object *o = directory_account(&op->rd->db.dir, op->account);

	account_op_check(op, rc);
	if (rc != 0) {
		account_op_end(
		    op, IPC_DIR_TRYLATER, "the disk is full or failing; the rest is removed later");
		return;
	}
	op->rd->stat.changes += op->refusal == NULL;
	shown_forget(&op->rd->db.dir.shown, op->account);
	tally_forget(&op->rd->db.dir, op->account);
	directory_remove_object(&op->rd->db.dir, o);
	if (op->refusal != NULL)
		account_op_end(op, op->refused, op->refusal);
	else
		account_op_end(op, IPC_DIR_OK, "");
}

static void delete_away(struct op *op)
{
	account_op_end(
	    op, IPC_DIR_TRYLATER, "a server is away; the rest is removed when it is back");
}

/* stored may refuse it: the secrets go afterwards. */
void account_op_drop(struct op *op)
{
	struct ipc_account_drop m = { .seq = op->seq, .account = op->account };

	op->waits = WAITS_STORED;
	if (op->rd->stored == NULL || op->rd->authd == NULL)
		delete_away(op);
	else
		ipc_send(op->rd->stored, IPC_account_drop, &m, NULL);
}

static void delete_ask_authd(struct op *op)
{
	struct ipc_secret_drop m = { .seq = op->seq, .account = op->account };

	op->waits = WAITS_AUTHD;
	if (op->rd->authd == NULL)
		delete_away(op);
	else
		ipc_send(op->rd->authd, IPC_secret_drop, &m, NULL);
}

static void delete_noted(void *arg, int rc)
{
	struct op *op = arg;
	struct object *o = directory_account(&op->rd->db.dir, op->account);

	account_op_check(op, rc);
	if (rc != 0) {
		o->state = STATE_ACTIVE;
		account_op_end(op, IPC_DIR_TRYLATER, "the disk is full or failing");
		return;
	}
	account_tell_changed(op->rd, o);
	account_op_drop(op);
}

void account_delete(struct routerd *rd, struct object *o, struct dir_answer a)
{
	struct op *op = account_op_new(rd, o, a);
	struct engine_batch *b;
	int rc = 0;

	if (op == NULL) {
		dir_reply_status(rd, a, IPC_DIR_TRYLATER, "out of memory");
		return;
	}
	o->state = STATE_DELETING;
	b = db_begin(&rd->db);
	if (b != NULL)
		rc = db_put_object(b, o);
	if (b == NULL || rc != 0) {
		engine_batch_free(&b);
		delete_noted(op, ENGINE_FULL);
		return;
	}
	engine_commit(rd->db.engine, &b, 1, delete_noted, op);
}

static void delete_undone(void *arg, int rc)
{
	struct op *op = arg;
	struct object *o = directory_account(&op->rd->db.dir, op->account);

	account_op_check(op, rc);
	if (rc == 0)
		o->state = STATE_ACTIVE;
	account_op_end(op, IPC_DIR_DENIED, "the account is on hold: it cannot be deleted");
}

/* Its mail must stay: everything is as it was. */
static void delete_refused(struct op *op, struct object *o)
{
	account_op_commit_state(op, o, STATE_ACTIVE, delete_undone);
}

static void delete_dropped(struct op *op, struct object *o)
{
	struct engine_batch *b = db_begin(&op->rd->db);

	account_op_commit(op, b, b != NULL ? db_del_object(b, o) : 0, delete_final);
}

/* ---- answers of the peers ---- */

static struct op *op_waiting(struct routerd *rd, uint32_t seq, unsigned who)
{
	struct op *op = NULL;

	HASH_FIND(hh, rd->ops, &seq, sizeof(seq), op);
	return op != NULL && (op->waits & who) != 0 ? op : NULL;
}

static void delete_answered(struct op *op, struct object *o, unsigned who, bool ok)
{
	op->waits = 0;
	if (!ok)
		account_op_end(
		    op, IPC_DIR_TRYLATER, "the store cannot do it now; it follows later");
	else if (who == WAITS_STORED)
		delete_ask_authd(op);
	else
		delete_dropped(op, o);
}

void account_on_done(struct routerd *rd, const struct ipc_account_done *m)
{
	struct op *op = op_waiting(rd, m->seq, WAITS_STORED);
	struct object *o = op != NULL ? directory_account(&rd->db.dir, op->account) : NULL;

	if (op == NULL)
		return;
	if (account_coming(o)) {
		account_op_made(op, WAITS_STORED, m->status == IPC_ST_OK);
	} else if (m->status == IPC_ST_DENIED) {
		op->waits = 0;
		delete_refused(op, o);
	} else {
		delete_answered(op, o, WAITS_STORED, m->status == IPC_ST_OK);
	}
}

void account_on_secret_dropped(struct routerd *rd, const struct ipc_secret_dropped *m)
{
	struct op *op = op_waiting(rd, m->seq, WAITS_AUTHD);
	struct object *o = op != NULL ? directory_account(&rd->db.dir, op->account) : NULL;

	if (op != NULL && !account_coming(o))
		delete_answered(op, o, WAITS_AUTHD, m->status == IPC_AUTH_OK);
}

void account_on_secret_taken(struct routerd *rd, const struct ipc_secret_taken *m)
{
	struct op *op = op_waiting(rd, m->seq, WAITS_AUTHD);

	/* An answer to routerd as it was before it started anew may have any number. */
	if (op == NULL || op->account != m->account ||
	    !account_coming(directory_account(&rd->db.dir, op->account)))
		return;
	account_op_secret(op, m->status);
	account_op_made(op, WAITS_AUTHD, m->status == IPC_AUTH_OK);
}

void account_on_peer_gone(struct routerd *rd)
{
	struct op *op, *tmp;

	HASH_ITER(hh, rd->ops, op, tmp)
	{
		const struct object *o = directory_account(&rd->db.dir, op->account);
		bool promised = o != NULL && o->state == STATE_PROMISED;

		/* Without the password, which nobody has on a disk, the account goes again. */
		if (op->waits != 0)
			account_op_end(op, IPC_DIR_TRYLATER,
			    promised ? "a server went away; try again"
				     : "a server went away; it follows when it is back");
	}
}

void account_resume_all(struct routerd *rd)
{
	struct object *o;
	struct op *op;
	size_t at = 0;

	if (rd->refused)
		return;
	while ((o = directory_next_account(&rd->db.dir, &at)) != NULL) {
		if (o->in_flow || (!account_coming(o) && o->state != STATE_DELETING))
			continue;
		op = account_op_new(rd, o, (struct dir_answer){ 0 });
		if (op == NULL)
			return;
		if (account_coming(o))
			account_op_make(op);
		else
			account_op_drop(op);
	}
}

void account_tell_changed(struct routerd *rd, const struct object *o)
{
	struct ipc_account_changed m = { .account = o->id };

	if (rd->stored != NULL)
		ipc_send(rd->stored, IPC_account_changed, &m, NULL);
	dir_on_logout(rd, o->id, 0);
}

static void tell_some(struct routerd *rd, struct buf *ids)
{
	struct ipc_accounts_changed m = { .accounts = buf_slice(ids) };

	if (ids->n > 0 && rd->stored != NULL)
		ipc_send(rd->stored, IPC_accounts_changed, &m, NULL);
	buf_reset(ids);
}

void account_tell_domain_changed(struct routerd *rd, const struct domain *dom)
{
	struct buf ids = BUF_INIT(ACCOUNTS_CHANGED_BYTES);
	size_t at = 0;

	for (const struct object *o; (o = domain_next_object(dom, &at)) != NULL;) {
		if (o->kind != OBJECT_ACCOUNT)
			continue;
		wire_put_u64(&ids, o->id);
		if (ids.n == ACCOUNTS_CHANGED_BYTES)
			tell_some(rd, &ids);
	}
	tell_some(rd, &ids);
	buf_fini(&ids);
}

void routerd_commit_failed(struct routerd *rd, int rc)
{
	log_ev(LOG_ERR, "proc.fail", kv_s("name", "routerd"),
	    kv_s("why", "commit of unknown outcome"), kv_s("err", engine_rc_name(rc)));
	exit(1);
}
