/*
 * admin - what an administrator's channel may ask: who is logged in, end sessions, figures.
 */
#include "stored/lost.h"
#include "stored/maintain.h"
#include "stored/session-private.h"

#include "common/base/io.h"
#include "common/base/log.h"

#include <stdio.h>
#include <stdlib.h>

void admin_open(struct store *st, const struct ipc_store_open *q, int take_fd)
{
	struct peer *p;

	if (st->n_admins >= ADMIN_CHANNELS_MAX) {
		fd_close(&take_fd);
		return;
	}
	p = peer_new(st, take_fd, IPC_CH_ADMIN_STORE);
	if (p == NULL)
		return;
	st->n_admins++;
	ipc_chan_set_queue_max(p->chan, ADMIN_QUEUE_MAX);
	p->rights = q->rights;
	p->account = q->account;
	p->sid = q->sid;
	snprintf(p->who, sizeof(p->who), "%.*s", SLICE_FMT(q->name));
}

static void reply(struct peer *p, uint32_t seq, int status, uint32_t count, struct buf *text)
{
	struct ipc_stat_reply r = { seq, (uint32_t)status, count,
		text != NULL ? buf_slice(text) : SLICE_NONE };

	if (p->chan != NULL)
		(void)ipc_send(p->chan, IPC_stat_reply, &r, NULL);
}

static void tell_kick(const struct peer *p, const struct ipc_sess_kick *q, unsigned n)
{
	char object[40];

	if (q->sid != 0)
		snprintf(object, sizeof(object), "%llx-%llx", (unsigned long long)(q->sid >> 32),
		    (unsigned long long)(q->sid & 0xffffffff));
	else
		snprintf(object, sizeof(object), "#%llu", (unsigned long long)q->account);
	log_ev(LOG_NOTICE | LOG_AUDIT, "admin.change", kv_sid("sid", p->sid), kv_s("who", p->who),
	    kv_s("verb", "session_kick"), kv_s("object", object),
	    kv_s("result", n > 0 ? "ok" : "not-found"));
}

static void on_kick(struct peer *p, const struct ipc_sess_kick *q)
{
	struct account *a;
	unsigned n = 0;

	if (q->sid != 0) {
		n = session_kick(p->st, q->sid);
	} else if (q->account != 0) {
		a = idmap_get(&p->st->accounts, q->account);
		if (a != NULL)
			n = session_end_all(p->st, a, 0, IPC_BYE_KICKED);
		n += admin_end_all(p->st, q->account, p->sid);
	} else {
		reply(p, q->seq, IPC_ST_BAD, 0, NULL);
		return;
	}
	p->st->counts.kicked += n;
	tell_kick(p, q, n);
	reply(p, q->seq, n > 0 ? IPC_ST_OK : IPC_ST_NOTFOUND, n, NULL);
}

static void line(struct buf *b, const char *name, uint64_t value)
{
	buf_printf(b, "%s %llu\n", name, (unsigned long long)value);
}

static void whole_text(struct store *st, struct buf *b)
{
	const struct store_counts *c = &st->counts;
	struct engine_stats e;

	engine_stats(store_engine(st), &e);
	line(b, "sessions", st->n_sessions);
	line(b, "sessions-opened", c->sessions);
	line(b, "sessions-kicked", c->kicked);
	line(b, "accounts-in-memory", st->accounts.n);
	line(b, "post-channels", st->conns.n);
	line(b, "delivered", c->delivered);
	line(b, "refused", c->refused);
	line(b, "expunged", c->expunged);
	line(b, "bodies-read", c->bodies);
	line(b, "body-bytes-read", c->body_bytes);
	line(b, "peers-ended", c->bad_peers);
	line(b, "parse-queue", st->n_jobs);
	line(b, "engine-health", store_health(st));
	line(b, "engine-shards-away", shards_away(st));
	line(b, "engine-commits", e.commits);
	line(b, "engine-frames", e.frames);
	line(b, "engine-frame-bytes", e.frame_bytes);
	line(b, "engine-syncs", e.syncs);
	line(b, "engine-sync-failures", e.sync_failures);
	line(b, "engine-checkpoints", e.checkpoints);
	line(b, "engine-overlay-bytes", e.overlay_bytes);
	line(b, "engine-measures", e.measures);
	line(b, "engine-file-bytes", e.file_bytes);
	line(b, "engine-live-bytes", e.live_bytes);
	line(b, "engine-segments", e.segments);
	line(b, "engine-compactions", e.compactions);
	line(b, "engine-moved-bytes", e.moved_bytes);
	line(b, "engine-dropped-files", e.dropped_files);
}

struct stat_ask {
	struct peer *peer;
	uint32_t seq;
};

static void on_stat_account(void *arg, int status, struct account *a)
{
	struct stat_ask *q = arg;
	struct buf b = BUF_INIT(60000);
	uint64_t messages = 0, bytes = 0, lost = 0;

	for (size_t i = 0; a != NULL && i < a->n_mboxes; i++) {
		messages += a->mboxes[i]->pub.exists;
		bytes += a->mboxes[i]->pub.bytes;
	}
	if (a != NULL) {
		line(&b, "mailboxes", a->n_mboxes);
		line(&b, "messages", messages);
		line(&b, "bytes", bytes);
		line(&b, "recoverable", lost_count(a, &lost));
		line(&b, "recoverable-bytes", lost);
		line(&b, "deleted-mailboxes", a->n_lost);
		line(&b, "hold", a->rec.hold);
		line(&b, "sessions", a->n_sessions);
		line(&b, "inbox-uidvalidity", a->inbox->uidvalidity);
		line(&b, "inbox-uidnext", a->inbox->pub.uidnext);
	}
	reply(q->peer, q->seq, status, 0, &b);
	buf_fini(&b);
	peer_unref(q->peer);
	free(q);
}

static void on_stat(struct peer *p, const struct ipc_stat_ask *m)
{
	struct buf b = BUF_INIT(60000);
	struct stat_ask *q;

	if (m->account == 0) {
		whole_text(p->st, &b);
		reply(p, m->seq, IPC_ST_OK, 0, &b);
		buf_fini(&b);
		return;
	}
	q = malloc(sizeof(*q));
	if (q == NULL) {
		reply(p, m->seq, IPC_ST_TRYLATER, 0, NULL);
		return;
	}
	*q = (struct stat_ask){ p, m->seq };
	peer_ref(p);
	account_get(p->st, m->account, 0, on_stat_account, q);
}

unsigned admin_end_all(struct store *st, uint64_t account, uint64_t except_sid)
{
	struct peer *p = LIST_FIRST(&st->peers), *next;
	unsigned n = 0;

	for (; p != NULL; p = next) {
		next = LIST_NEXT(p, link);
		if (account == 0 || p->account != account || p->sid == except_sid)
			continue;
		peer_end(p);
		n++;
	}
	return n;
}

/* A session by its number, of any account to the Master, else of the own one. */
static bool session_own(const struct peer *p, uint64_t sid)
{
	const struct session *s;

	LIST_FOREACH(s, &p->st->sessions, link)
	{
		if (s->sid == sid && s->account->id == p->account)
			return true;
	}
	return false;
}

static bool may_ask(const struct peer *p, enum ipc_type type, const union ipc_any *m)
{
	uint64_t own = p->account;

	if ((p->rights & IPC_RIGHT_MASTER) != 0)
		return true;
	if (own == 0)
		return false;
	switch (type) {
	case IPC_sess_list:
		return m->sess_list.account == own;
	case IPC_sess_kick:
		return m->sess_kick.sid != 0 ? session_own(p, m->sess_kick.sid)
					     : m->sess_kick.account == own;
	case IPC_stat_ask:
		return m->stat_ask.account == own;
	default:
		return false;
	}
}

/* ---- sessions on accounts ---- */

struct open_ask {
	struct peer *peer;
	uint32_t seq;
	uint64_t quota;
	char name[400 + 1];
};

static void tell_open(const struct open_ask *q, int status)
{
	const struct peer *p = q->peer;

	log_ev(LOG_NOTICE | LOG_AUDIT, "admin.change", kv_sid("sid", p->sid), kv_s("who", p->who),
	    kv_s("verb", "session_open"), kv_s("object", q->name),
	    kv_s("result", status == IPC_ST_OK         ? "ok"
			   : status == IPC_ST_NOTFOUND ? "not-found"
						       : "failed"));
}

static void on_open_account(void *arg, int status, struct account *a)
{
	struct open_ask *q = arg;
	struct peer *p = q->peer;
	static const uint8_t local[] = { 1 }; /* packed: a Unix socket */
	struct session_args args = { .sid = p->sid,
		.quota = q->quota,
		.name = slice_str(q->name),
		.service = SLICE("ctl"),
		.peer = slice_of(local, sizeof(local)),
		.admin = true };
	int fd = -1;

	if (status == IPC_ST_OK && p->chan == NULL)
		status = IPC_ST_TRYLATER;
	if (status == IPC_ST_OK)
		status = session_new(a, &args, &fd);
	tell_open(q, status);
	if (status == IPC_ST_OK)
		(void)ipc_send(p->chan, IPC_sess_opened, &(struct ipc_sess_opened){ q->seq }, &fd);
	else
		reply(p, q->seq, status, 0, NULL);
	peer_unref(p);
	free(q);
}

static void on_open(struct peer *p, const struct ipc_sess_open *m)
{
	struct open_ask *q = malloc(sizeof(*q));

	if (q == NULL) {
		reply(p, m->seq, IPC_ST_TRYLATER, 0, NULL);
		return;
	}
	*q = (struct open_ask){ .peer = p, .seq = m->seq, .quota = m->quota };
	snprintf(q->name, sizeof(q->name), "%.*s", SLICE_FMT(m->name));
	peer_ref(p);
	account_get(p->st, m->account, 0, on_open_account, q);
}

void admin_refuse(struct peer *p, enum ipc_type type, const union ipc_any *m, int status)
{
	if (type == IPC_sess_list)
		(void)ipc_send(p->chan, IPC_sess_rows,
		    &(struct ipc_sess_rows){ .seq = m->sess_list.seq }, NULL);
	else if (type == IPC_sess_open)
		reply(p, m->sess_open.seq, status, 0, NULL);
	else if (type == IPC_sess_kick)
		reply(p, m->sess_kick.seq, status, 0, NULL);
	else if (type == IPC_stat_ask)
		reply(p, m->stat_ask.seq, status, 0, NULL);
	else if (type == IPC_upkeep_ask)
		reply(p, m->upkeep_ask.seq, status, 0, NULL);
}

void admin_do(struct peer *p, enum ipc_type type, const union ipc_any *m)
{
	if (type == IPC_sess_list)
		session_list(p->st, p, &m->sess_list);
	else if (type == IPC_sess_kick)
		on_kick(p, &m->sess_kick);
	else if (type == IPC_stat_ask)
		on_stat(p, &m->stat_ask);
	else if (type == IPC_sess_open)
		on_open(p, &m->sess_open);
	else if (type == IPC_upkeep_ask)
		maintain_ask(p, &m->upkeep_ask);
}

void admin_msg(struct peer *p, enum ipc_type type, const union ipc_any *m)
{
	if (lost_on_admin_msg(p, type, m))
		return;
	if (may_ask(p, type, m))
		admin_do(p, type, m);
	else
		admin_ask(p, type, m);
}
