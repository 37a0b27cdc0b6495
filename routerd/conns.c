/*
 * conns - administrators look at the connections that are no sessions of stored's, and end them:
 * those that send mail, whose channel ends here, and those by PWD, whose rights do.
 */
#include "routerd/dirconn.h"

#include "common/base/wire.h"
#include "routerd/limits.h"
#include "routerd/names.h"

#include <stdio.h>

static bool may(const struct request *q, uint32_t what, uint64_t account)
{
	return (q->actor.rights & IPC_RIGHT_MASTER) != 0 ||
	       rights_may(&q->rd->db.dir, q->account, what, account);
}

static void deny(struct request *q)
{
	reply_error(q, IPC_DIR_DENIED, "this needs a right that you do not have");
}

struct listing {
	struct request *q;
	uint64_t account;
};

static void put_row(void *arg, const struct conn_row *row)
{
	struct listing *l = arg;
	struct buf name = BUF_INIT(NAME_MAX_BYTES + 1 + DOMAIN_MAX_BYTES), b = BUF_INIT(1024);
	const struct object *o = directory_account(&l->q->rd->db.dir, row->account);

	if (l->account != 0 && l->account != row->account)
		return;
	if (o != NULL)
		put_object_name(&name, o);
	wire_put_u64(&b, row->sid);
	wire_put_u64(&b, row->account);
	wire_put_u64(&b, (uint64_t)row->since_s);
	wire_put_bytes(&b, buf_slice(&name));
	wire_put_bytes(&b, slice_str(row->service));
	wire_put_bytes(&b, row->peer);
	wire_put_u32(&b, row->flags);
	wire_put_bytes(&b, SLICE_NONE);
	item(l->q, buf_slice(&b));
	buf_fini(&name);
	buf_fini(&b);
}

void verb_conn_list(struct request *q)
{
	struct listing l = { .q = q };

	if (q->n > 0)
		slice_u64(q->args[0], UINT64_MAX, &l.account);
	if (!may(q, IPC_MAY_SEE_SESSIONS, l.account)) {
		deny(q);
		return;
	}
	rcpt_conns_each(q->rd, put_row, &l);
	dir_conns_each(q->rd, put_row, &l);
	done(q);
}

/* ---- the end of some ---- */

struct wanted {
	uint64_t sid, account;
	bool found;
};

static void look(void *arg, const struct conn_row *row)
{
	struct wanted *w = arg;

	if (row->sid != w->sid)
		return;
	w->account = row->account;
	w->found = true;
}

static unsigned kick_one(struct request *q, uint64_t sid)
{
	struct wanted w = { .sid = sid };

	rcpt_conns_each(q->rd, look, &w);
	dir_conns_each(q->rd, look, &w);
	if (!w.found || !may(q, IPC_MAY_END_SESSIONS, w.account))
		return 0; /* of others as if there were none */
	return rcpt_kick(q->rd, sid) || dir_kick(q->rd, sid, q->answer.conn);
}

void verb_conn_kick(struct request *q)
{
	uint64_t sid = 0, account = 0;
	unsigned n;
	char count[16];

	if (q->n > 0)
		slice_u64(q->args[0], UINT64_MAX, &sid);
	if (q->n > 1)
		slice_u64(q->args[1], UINT64_MAX, &account);
	if (sid != 0) {
		n = kick_one(q, sid);
	} else {
		if (account == 0 || !may(q, IPC_MAY_END_SESSIONS, account)) {
			deny(q);
			return;
		}
		n = rcpt_conns_of(q->rd, account);
		rcpt_on_logout(q->rd, account);
	}
	if (n == 0) {
		reply_error(q, IPC_DIR_NOTFOUND, "there is no such connection");
		return;
	}
	snprintf(count, sizeof(count), "%u", n);
	item(q, slice_str(count));
	done(q);
}
