/* rights-verbs - administrators look at the rights of accounts and give them. */
#include "routerd/change.h"
#include "routerd/settings-db.h"

#include <stdlib.h>

struct rights_change {
	struct routerd *rd;
	struct dir_answer answer;
	uint64_t account;
	uint32_t rights;
};

void verb_rights_get(struct request *q)
{
	struct object *o = request_account(q, q->args[0]);

	if (o == NULL)
		return;
	for (unsigned i = 0; i < IPC_RIGHTS; i++)
		if ((rights_given(&q->rd->db.dir, o) >> i & 1) != 0)
			dir_reply_item(q->rd, q->answer, slice_str(rights_name(i)));
	dir_reply_status(q->rd, q->answer, IPC_DIR_OK, "");
}

static void on_committed(void *arg, int rc)
{
	struct rights_change *ch = arg;
	struct object *o = directory_account(&ch->rd->db.dir, ch->account);

	if (rc == ENGINE_UNKNOWN || rc == ENGINE_STALE || rc < 0)
		routerd_commit_failed(ch->rd, rc);
	ch->rd->changes_in_flight--;
	if (o != NULL)
		o->in_flow = false;
	if (rc == 0 && o != NULL) {
		rc = settings_put_rights(&o->settings, ch->rights);
		if (rc != 0)
			routerd_commit_failed(
			    ch->rd, rc); /* the disk has what memory cannot hold */
		account_tell_changed(ch->rd, o);
		ch->rd->stat.changes++;
	}
	dir_reply_status(ch->rd, ch->answer, rc == 0 ? IPC_DIR_OK : IPC_DIR_TRYLATER,
	    rc == 0 ? "" : "the disk is full or failing");
	free(ch);
}

static bool take_rights(struct request *q, uint32_t *ret)
{
	*ret = 0;
	for (size_t i = 1; i < q->n; i++) {
		uint32_t right = rights_find(q->args[i]);

		if (right == 0) {
			reply_error(q, IPC_DIR_BAD, "there is no right of this name");
			return false;
		}
		*ret |= right;
	}
	return true;
}

void verb_rights_set(struct request *q)
{
	struct object *o = change_object(q, q->args[0], OBJECT_ACCOUNT);
	struct rights_change *ch;
	struct engine_batch *b;
	const char *why;
	uint32_t rights;
	int rc;

	if (o == NULL || !take_rights(q, &rights))
		return;
	why = rights_refuse_set(&q->rd->db.dir, &q->actor, o, rights);
	if (why != NULL) {
		reply_error(q, IPC_DIR_DENIED, why);
		return;
	}
	if ((rights & IPC_RIGHT_MASTER) == 0 && change_has_postmaster(q, o))
		return;
	ch = malloc(sizeof(*ch));
	b = ch != NULL ? db_begin(&q->rd->db) : NULL;
	rc = b != NULL ? settings_db_put_rights(b, o->id, rights) : 0;
	if (b == NULL || rc != 0) {
		engine_batch_free(&b);
		free(ch);
		reply_error(q, IPC_DIR_TRYLATER, "out of memory");
		return;
	}
	o->in_flow = true;
	q->rd->changes_in_flight++;
	*ch = (struct rights_change){ q->rd, q->answer, o->id, rights };
	engine_commit(q->rd->db.engine, &b, 1, on_committed, ch);
}
