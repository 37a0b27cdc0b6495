/* verbs - administrators' channels: requests in, replies out, and the verbs that only look. */
#include "routerd/audit.h"
#include "routerd/dirconn.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/wire.h"
#include "routerd/limits.h"
#include "routerd/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	ARGS_MAX = 2 * GROUP_MEMBERS_MAX + 16,
	REPLY_BYTES = 48 << 10,
	ADMIN_QUEUE_BYTES = 64 << 20
};

struct dir_conn {
	struct routerd *rd;
	struct ipc_chan *chan;
	uint64_t id, rights, account; /* account: with rights 0, who logged in */
	int64_t since_s;
	uint32_t flags; /* IPC_CONN_TLS, _PROXIED */
	uint8_t peer[ADDR_PACKED_MAX];
	size_t npeer;
	struct audits audits;
	struct buf items, table_parts;
	uint32_t items_seq;
	struct dir_conn *next, **prev;
};

static const struct {
	const char *name;
	size_t least, most;
	verb_fn *run;
	struct verb_need need;
} verbs[] = {
#define HAS(right) IPC_RIGHT_##right
#define VERB(name, least, most, kind, rights, target) \
	{ #name, least, most, verb_##name, { kind, rights, TARGET_##target } },
#include "common/ipc/verbs.def"
};

static struct dir_conn *conn_find(struct routerd *rd, uint64_t id)
{
	struct dir_conn *dc = rd->dir_conns;

	while (dc != NULL && dc->id != id)
		dc = dc->next;
	return dc;
}

static void send_reply(
    struct dir_conn *dc, uint32_t seq, enum ipc_dir_status status, bool more, struct slice data)
{
	struct ipc_dir_reply m = { .seq = seq, .status = status, .more = more, .data = data };

	ipc_send(dc->chan, IPC_dir_reply, &m, NULL);
}

void dir_reply_item(struct routerd *rd, struct dir_answer a, struct slice item)
{
	struct dir_conn *dc = conn_find(rd, a.conn);

	if (dc == NULL)
		return;
	if (dc->items.n + item.n + 4 > REPLY_BYTES) {
		send_reply(dc, a.seq, IPC_DIR_OK, true, buf_slice(&dc->items));
		buf_reset(&dc->items);
	}
	wire_put_bytes(&dc->items, item);
	dc->items_seq = a.seq;
}

void dir_reply_status(
    struct routerd *rd, struct dir_answer a, enum ipc_dir_status status, const char *text)
{
	struct dir_conn *dc = conn_find(rd, a.conn);
	struct buf one = BUF_INIT(TRACE_BYTES_MAX);

	if (a.conn == DIR_CONN_AUTHD)
		provision_made(rd, a.seq, status, text);
	if (dc == NULL)
		return;
	audit_end(&dc->audits, a.seq, status);
	if (dc->items.n > 0 && dc->items_seq == a.seq) {
		send_reply(dc, a.seq, status, false, buf_slice(&dc->items));
		buf_reset(&dc->items);
		return;
	}
	if (*text != '\0')
		wire_put_bytes(&one, slice_str(text));
	send_reply(dc, a.seq, status, false, buf_slice(&one));
	buf_fini(&one);
}

struct domain *request_domain(struct request *q, struct slice name)
{
	struct directory *d = &q->rd->db.dir;
	struct domain *dom = name.n == 0 ? d->main : directory_domain_any(d, name);

	if (dom == NULL || dom->state != STATE_ACTIVE) {
		reply_error(q, IPC_DIR_NOTFOUND, "there is no such domain");
		return NULL;
	}
	return dom;
}

struct object *request_account(struct request *q, struct slice name)
{
	return request_object(q, name, OBJECT_ACCOUNT);
}

struct object *request_object(struct request *q, struct slice name, enum object_kind kind)
{
	struct directory *d = &q->rd->db.dir;
	struct address a;
	struct domain *dom;
	struct object *o;
	char why[60];

	if (kind == OBJECT_ACCOUNT && slice_eq(name, SLICE("*"))) {
		o = q->account != 0 ? directory_account(d, q->account) : NULL;
		if (o == NULL)
			reply_error(q, IPC_DIR_NOTFOUND, "this login has no account of its own");
		return o;
	}
	if (address_split(name, &a) != 0) {
		reply_error(q, IPC_DIR_BAD, "this is not a valid name");
		return NULL;
	}
	dom = request_domain(q, a.domain);
	if (dom == NULL)
		return NULL;
	o = directory_object(d, dom, a.local);
	if (o != NULL && o->kind == OBJECT_ALIAS && kind == OBJECT_ACCOUNT)
		o = o->owner;
	if (o == NULL || o->kind != kind || o->state == STATE_NEW) {
		snprintf(why, sizeof(why), "there is no such %s", object_kind_text(kind));
		reply_error(q, IPC_DIR_NOTFOUND, why);
		return NULL;
	}
	return o;
}

/* ---- channels ---- */

static void on_ask(struct dir_conn *dc, const struct ipc_dir_ask *m)
{
	struct slice args[ARGS_MAX];
	struct request q = { .rd = dc->rd,
		.answer = { dc->id, m->seq },
		.args = args,
		.table_parts = &dc->table_parts,
		.account = dc->account,
		.sid = dc->audits.sid };
	struct wire_reader r = wire_reader(m->args);

	while (wire_left(&r) > 0 && !r.bad && q.n < ARGS_MAX)
		args[q.n++] = wire_get_bytes(&r, UINT32_MAX);
	q.actor = rights_actor(&dc->rd->db.dir, dc->account, dc->rights);
	if (m->verb < sizeof(verbs) / sizeof(verbs[0]) && verbs[m->verb].need.kind == CHANGES)
		audit_begin(&dc->audits, &q, verbs[m->verb].name);
	if (m->verb >= sizeof(verbs) / sizeof(verbs[0]) || !wire_done(&r))
		reply_error(&q, IPC_DIR_BAD, "malformed request");
	else if (!rights_allow(&dc->rd->db.dir, &q.actor, &verbs[m->verb].need, args, q.n))
		reply_error(&q, IPC_DIR_DENIED, "this needs a right that you do not have");
	else if (q.n < verbs[m->verb].least || q.n > verbs[m->verb].most)
		reply_error(&q, IPC_DIR_BAD, "wrong number of arguments");
	else if (dc->rd->refused && verbs[m->verb].run != verb_stat)
		reply_error(&q, IPC_DIR_TRYLATER,
		    "the directory is damaged, and nothing of it is served; 'gatehousectl check' "
		    "says what helps");
	else
		verbs[m->verb].run(&q);
}

static void on_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	if (type == IPC_dir_ask)
		on_ask(arg, &m->dir_ask);
}

/* What was under way goes on; its outcome is nobody's to tell. */
static void conn_free(struct dir_conn *dc)
{
	audits_fini(&dc->audits);
	*dc->prev = dc->next;
	if (dc->next != NULL)
		dc->next->prev = dc->prev;
	ipc_chan_free(&dc->chan);
	buf_fini(&dc->items);
	buf_fini(&dc->table_parts);
	free(dc);
}

static void on_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	conn_free(arg);
}

static const struct ipc_ops dir_ops = { .on_msg = on_msg, .on_gone = on_gone };

void dir_on_logout(struct routerd *rd, uint64_t account, uint64_t except_sid)
{
	struct dir_conn *dc = rd->dir_conns, *next;

	for (; dc != NULL; dc = next) {
		next = dc->next;
		if (dc->account == account && account != 0 && dc->audits.sid != except_sid)
			conn_free(dc);
	}
}

void dir_conns_each(struct routerd *rd, conn_fn *fn, void *arg)
{
	for (const struct dir_conn *dc = rd->dir_conns; dc != NULL; dc = dc->next)
		if (dc->account != 0)
			fn(arg, &(struct conn_row){ dc->audits.sid, dc->account, dc->since_s, "pwd",
				    slice_of(dc->peer, dc->npeer), dc->flags });
}

bool dir_kick(struct routerd *rd, uint64_t sid, uint64_t but)
{
	struct dir_conn *dc = rd->dir_conns;

	while (dc != NULL && (dc->audits.sid != sid || dc->account == 0 || dc->id == but))
		dc = dc->next;
	if (dc != NULL)
		conn_free(dc);
	return dc != NULL;
}

void dir_on_open(struct routerd *rd, const struct ipc_dir_open *m, int take_fd)
{
	static uint64_t next_id = DIR_CONN_AUTHD;
	struct dir_conn *dc = calloc(1, sizeof(*dc));

	if (dc == NULL) {
		close(take_fd);
		return;
	}
	*dc = (struct dir_conn){ .rd = rd,
		.id = ++next_id,
		.rights = m->rights,
		.account = m->account,
		.flags = m->flags,
		.since_s = clock_wall_s(),
		.npeer = m->peer.n <= sizeof(dc->peer) ? m->peer.n : 0,
		.audits = { .sid = m->sid },
		.items = BUF_INIT(2 * REPLY_BYTES),
		.table_parts = BUF_INIT(TABLE_BYTES_MAX),
		.next = rd->dir_conns,
		.prev = &rd->dir_conns };
	if (dc->npeer > 0)
		memcpy(dc->peer, m->peer.p, dc->npeer);
	snprintf(dc->audits.who, sizeof(dc->audits.who), "%.*s", SLICE_FMT(m->name));
	if (dc->next != NULL)
		dc->next->prev = &dc->next;
	rd->dir_conns = dc;
	dc->chan = ipc_chan_new(rd->base, take_fd, IPC_CH_ADMIN_DIR, true, &dir_ops, dc);
	if (dc->chan == NULL)
		conn_free(dc);
	else
		ipc_chan_set_queue_max(dc->chan, ADMIN_QUEUE_BYTES);
}
