/*
 * changes - the verbs that change the directory. Each is checked wholly first; then one batch is
 * handed in; memory that routing looks at changes when the batch is durable.
 */
#include "routerd/change.h"

#include "routerd/limits.h"
#include "routerd/names.h"

#include <stdio.h>
#include <stdlib.h>

struct change *change_new(struct request *q)
{
	struct change *ch = calloc(1, sizeof(*ch));
	size_t total = 1, at = 0;

	for (size_t i = 0; i < q->n; i++)
		total += q->args[i].n;
	if (ch != NULL) {
		ch->bytes = malloc(total);
		ch->args = calloc(q->n + 1, sizeof(*ch->args));
	}
	if (ch == NULL || ch->bytes == NULL || ch->args == NULL) {
		if (ch != NULL)
			change_free(ch);
		reply_error(q, IPC_DIR_TRYLATER, "out of memory");
		return NULL;
	}
	ch->rd = q->rd;
	ch->answer = q->answer;
	for (size_t i = 0; i < q->n; i++) {
		if (q->args[i].n > 0)
			memcpy(ch->bytes + at, q->args[i].p, q->args[i].n);
		ch->args[ch->n++] = slice_of(ch->bytes + at, q->args[i].n);
		at += q->args[i].n;
	}
	return ch;
}

void change_free(struct change *ch)
{
	table_free(&ch->table);
	group_free(&ch->group);
	if (ch->alerts_future != NULL)
		alerts_clear(ch->alerts_future);
	free(ch->alerts_future);
	free(ch->args);
	free(ch->bytes);
	free(ch);
}

static void on_committed(void *arg, int rc)
{
	struct change *ch = arg;

	if (rc == ENGINE_UNKNOWN || rc == ENGINE_STALE || rc < 0)
		routerd_commit_failed(ch->rd, rc);
	ch->rd->changes_in_flight--;
	if (rc == 0) {
		ch->apply(ch);
		ch->rd->stat.changes++;
		dir_reply_status(ch->rd, ch->answer, IPC_DIR_OK, "");
	} else {
		if (ch->undo != NULL)
			ch->undo(ch);
		dir_reply_status(
		    ch->rd, ch->answer, IPC_DIR_TRYLATER, "the disk is full or failing");
	}
	change_free(ch);
}

void change_commit(struct change *ch, struct engine_batch *b, int rc)
{
	ch->rd->changes_in_flight++;
	if (b != NULL && rc == 0) {
		engine_commit(ch->rd->db.engine, &b, 1, on_committed, ch);
		return;
	}
	engine_batch_free(&b);
	on_committed(ch, ENGINE_FULL);
}

/* ---- checks ---- */

bool change_names_busy(struct request *q)
{
	if (q->rd->names_in_flight)
		reply_error(q, IPC_DIR_TRYLATER, "another change of domain names is on its way");
	return q->rd->names_in_flight;
}

void change_names_free(struct change *ch)
{
	ch->rd->names_in_flight = false;
}

void change_name_taken(struct request *q, const struct object *o)
{
	char why[80];

	snprintf(why, sizeof(why), "%s %s with this name exists already",
	    o->kind == OBJECT_ACCOUNT || o->kind == OBJECT_ALIAS ? "an" : "a",
	    object_kind_text(o->kind));
	reply_error(q, IPC_DIR_EXISTS, why);
}

bool change_name_special(struct request *q, const struct domain *dom, struct slice name)
{
	if (dom != q->rd->db.dir.main || !route_is_special(name))
		return false;
	reply_error(q, IPC_DIR_BAD,
	    "null, error and spamtrap are special names of the Main Domain: nothing else can have "
	    "them");
	return true;
}

bool change_name_free(
    struct request *q, struct slice text, struct domain **ret_domain, struct slice *ret_name)
{
	const struct object *o;
	struct address a;

	if (address_split(text, &a) != 0 || !name_valid(a.local)) {
		reply_error(q, IPC_DIR_BAD,
		    "a name has letters, digits, '_', '-' and '.', at most 128, no dot at its "
		    "ends");
		return false;
	}
	*ret_domain = request_domain(q, a.domain);
	if (*ret_domain == NULL || change_name_special(q, *ret_domain, a.local))
		return false;
	o = directory_object(&q->rd->db.dir, *ret_domain, a.local);
	if (o != NULL && o->kind == OBJECT_ACCOUNT && o->state != STATE_ACTIVE) {
		reply_error(q, IPC_DIR_TRYLATER,
		    "an account with this name comes or goes just now: try again");
		return false;
	}
	if (o != NULL) {
		change_name_taken(q, o);
		return false;
	}
	*ret_name = a.local;
	return !guard_refuses_name(q, *ret_domain, a.local);
}

struct object *change_object(struct request *q, struct slice name, enum object_kind kind)
{
	struct object *o = request_object(q, name, kind);

	if (o != NULL && (o->state != STATE_ACTIVE || o->in_flow)) {
		reply_error(q, IPC_DIR_TRYLATER, "it is being changed: try again");
		return NULL;
	}
	return o;
}

bool change_is_postmaster(struct request *q, const struct object *o)
{
	if (o->domain != q->rd->db.dir.main || !slice_eq(o->name, POSTMASTER))
		return false;
	reply_error(q, IPC_DIR_BAD, "postmaster of the Main Domain stays as it is");
	return true;
}
