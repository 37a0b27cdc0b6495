/*
 * alerts-show - alerts on their way to users: stored asks for an account that has a session, and
 * says what that showed. Every account is shown an alert once, in the session that is there first.
 *
 * Invariant: memory may know more than the disk of what was shown; after a crash in between an
 * alert is shown once more, never less.
 */
#include "routerd/alerts.h"
#include "routerd/routerd.h"

#include "common/base/wire.h"

enum { IDS_BYTES = 8 * 7000 };

/* Appends the texts that are newer; the time of the newest of them, or 0. */
static int64_t put_new(struct buf *texts, const struct alerts *a, int64_t upto)
{
	int64_t newest = 0;

	for (size_t i = 0; a != NULL && i < a->n; i++) {
		if (a->v[i].time_s <= upto)
			continue;
		wire_put_bytes(texts, slice_str(a->v[i].text));
		if (a->v[i].time_s > newest)
			newest = a->v[i].time_s;
	}
	return newest;
}

void alerts_on_ask(struct routerd *rd, struct ipc_chan *c, uint64_t account)
{
	static const struct shown nothing = { 0 };
	struct directory *d = &rd->db.dir;
	const struct object *o = directory_account(d, account);
	const struct shown *s = shown_find(d->shown, account);
	struct buf texts = BUF_INIT(ALERT_SCOPES * ALERTS_MAX * (ALERT_TEXT_MAX + 4));
	struct ipc_alerts_are m = { .account = account };

	if (o == NULL)
		return;
	s = s != NULL ? s : &nothing;
	m.server = put_new(&texts, alerts_find(d->alerts, ALERT_SERVER, 0), s->upto[0]);
	m.domain = put_new(&texts, alerts_find(d->alerts, ALERT_DOMAIN, o->domain->id), s->upto[1]);
	m.own = put_new(&texts, alerts_find(d->alerts, ALERT_ACCOUNT, o->id), s->upto[2]);
	m.texts = buf_slice(&texts);
	(void)ipc_send(c, IPC_alerts_are, &m, NULL);
	buf_fini(&texts);
}

static void on_committed(void *arg, int rc)
{
	if (rc == ENGINE_UNKNOWN || rc == ENGINE_STALE || rc < 0)
		routerd_commit_failed(arg, rc);
}

void alerts_on_told(struct routerd *rd, const struct ipc_alerts_told *m)
{
	const int64_t told[ALERT_SCOPES] = { m->server, m->domain, m->own };
	const struct object *o = directory_account(&rd->db.dir, m->account);
	struct engine_batch *b;
	struct shown *s;

	if (o == NULL || o->state != STATE_ACTIVE)
		return;
	s = shown_make(&rd->db.dir.shown, m->account);
	b = s != NULL ? db_begin(&rd->db) : NULL;
	for (size_t i = 0; s != NULL && i < ALERT_SCOPES; i++)
		if (told[i] > s->upto[i])
			s->upto[i] = told[i];
	if (b != NULL && db_put_shown(b, s) == 0)
		engine_commit(rd->db.engine, &b, 1, on_committed, rd);
	else
		engine_batch_free(&b);
}

/* ---- new ones ---- */

static void tell(struct routerd *rd, struct buf *ids)
{
	struct ipc_alerts_new m = { buf_slice(ids) };

	if (rd->stored != NULL)
		(void)ipc_send(rd->stored, IPC_alerts_new, &m, NULL);
	buf_reset(ids);
}

static void tell_domain(struct routerd *rd, const struct domain *dom)
{
	struct buf ids = BUF_INIT(IDS_BYTES);
	size_t at = 0;

	for (const struct object *o; (o = domain_next_object(dom, &at)) != NULL;) {
		if (o->kind != OBJECT_ACCOUNT)
			continue;
		wire_put_u64(&ids, o->id);
		if (ids.n == IDS_BYTES)
			tell(rd, &ids);
	}
	if (ids.n > 0)
		tell(rd, &ids);
	buf_fini(&ids);
}

void alerts_tell_new(struct routerd *rd, unsigned scope, uint64_t id)
{
	struct buf one = BUF_INIT(8);
	const struct domain *dom;

	if (scope == ALERT_DOMAIN) {
		dom = directory_domain_by_id(&rd->db.dir, id);
		if (dom != NULL)
			tell_domain(rd, dom);
		return;
	}
	if (scope == ALERT_ACCOUNT)
		wire_put_u64(&one, id);
	tell(rd, &one); /* of the server: nobody is named, which means all */
	buf_fini(&one);
}
