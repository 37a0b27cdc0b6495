/*
 * provision - accounts that the external helper knows and the directory does not: which names may
 * be asked about, and the making of those that it wants (docs/external.md).
 *
 * Invariant: an account is made in a domain only whose settings ask the helper, and only under a
 * name that nobody has there.
 */
#include "routerd/routerd.h"

#include "routerd/limits.h"
#include "routerd/names.h"
#include "routerd/unknown.h"

#include <stdlib.h>

/* Mail that waits. */
struct provision {
	uint32_t seq;
	uint64_t sid, size;
	uint32_t rcpt_seq;
	UT_hash_handle hh;
	size_t n;
	uint8_t address[];
};

/* What of the local part would be the account's name, as in mailbox#account+detail. */
static struct slice account_part(struct slice low)
{
	ptrdiff_t hash = slice_rfind(low, '#'), plus;

	low = slice_from(low, (size_t)(hash + 1));
	plus = slice_find(low, '+');
	return plus > 0 ? slice_part(low, 0, (size_t)plus) : low;
}

enum ipc_route_status provision_name(struct routerd *rd, enum route_mode mode, struct buf *ret)
{
	const struct route *r = &rd->route;
	const struct domain *dom = r->unknown_in;
	struct slice name = account_part(buf_slice(&r->low));
	const struct object *o;

	if (dom == NULL || !name_valid(name) || !unknown_asks_helper(&rd->db.dir, dom, mode))
		return IPC_ROUTE_UNKNOWN;
	o = directory_object(&rd->db.dir, dom, name);
	/* One that is being made just now has its question at authd still, or will not have
	 * another. */
	if (o != NULL && !(o->kind == OBJECT_ACCOUNT && o->in_flow &&
			     (o->state == STATE_NEW || account_coming(o))))
		return o->state == STATE_DELETING ? IPC_ROUTE_UNKNOWN : IPC_ROUTE_TRYLATER;
	buf_put(ret, name);
	buf_putc(ret, '@');
	buf_put(ret, dom->name);
	return ret->overflow ? IPC_ROUTE_UNKNOWN : IPC_ROUTE_OK;
}

enum ipc_route_status provision_rcpt(struct routerd *rd, uint64_t sid, const struct ipc_rcpt_ask *q)
{
	struct buf name = BUF_INIT(NAME_MAX_BYTES + 1 + DOMAIN_MAX_BYTES);
	enum ipc_route_status status = provision_name(rd, ROUTE_MAIL, &name);
	struct ipc_provision_ask ask = { .name = buf_slice(&name) };
	struct provision *p = NULL;

	if (status == IPC_ROUTE_OK && rd->authd != NULL &&
	    HASH_COUNT(rd->provisions) < PROVISIONS_MAX)
		p = calloc(1, sizeof(*p) + q->address.n);
	if (p != NULL) {
		p->seq = ask.seq = ++rd->next_seq;
		p->sid = sid;
		p->size = q->size;
		p->rcpt_seq = q->seq;
		p->n = q->address.n;
		memcpy(p->address, q->address.p, p->n);
		HASH_ADD(hh, rd->provisions, seq, sizeof(p->seq), p);
		ipc_send(rd->authd, IPC_provision_ask, &ask, NULL);
	} else if (status == IPC_ROUTE_OK) {
		status = IPC_ROUTE_TRYLATER;
	}
	buf_fini(&name);
	return status;
}

static void end(struct routerd *rd, struct provision *take_p, enum ipc_route_status status)
{
	struct ipc_rcpt_ask q = { .seq = take_p->rcpt_seq,
		.address = slice_of(take_p->address, take_p->n),
		.size = take_p->size };

	HASH_DEL(rd->provisions, take_p);
	rcpt_again(rd, take_p->sid, &q, status);
	free(take_p);
}

void provision_on_reply(struct routerd *rd, const struct ipc_provision_reply *m)
{
	struct provision *p = NULL;
	uint32_t seq = m->seq;

	HASH_FIND(hh, rd->provisions, &seq, sizeof(seq), p);
	if (p != NULL)
		end(rd, p, m->status <= IPC_ROUTE_OFF ? m->status : IPC_ROUTE_TRYLATER);
}

void provision_on_authd_gone(struct routerd *rd)
{
	struct provision *p, *next;

	HASH_ITER(hh, rd->provisions, p, next)
	end(rd, p, IPC_ROUTE_TRYLATER);
}

/* ---- the account ---- */

static void new_reply(
    struct routerd *rd, uint32_t seq, enum ipc_route_status status, uint64_t account, bool made)
{
	struct ipc_account_new_reply m = {
		.seq = seq, .status = status, .account = account, .made = made
	};

	if (rd->authd != NULL)
		ipc_send(rd->authd, IPC_account_new_reply, &m, NULL);
}

void provision_made(struct routerd *rd, uint32_t seq, enum ipc_dir_status status, const char *text)
{
	uint64_t id = 0;

	if (status == IPC_DIR_OK && slice_u64(slice_str(text), UINT64_MAX, &id) == 0)
		new_reply(rd, seq, IPC_ROUTE_OK, id, true);
	else
		new_reply(rd, seq, IPC_ROUTE_TRYLATER, 0, false);
}

void provision_on_new(struct routerd *rd, const struct ipc_account_new *m)
{
	struct address a;
	struct new_account n = { .quota_bytes = m->quota, .real_name = m->real_name };
	const struct object *o;

	if (address_split(m->name, &a) == 0)
		n.domain = directory_domain(&rd->db.dir, a.domain);
	if (n.domain == NULL || n.domain->state != STATE_ACTIVE || n.domain->suspended ||
	    !name_valid(a.local) || m->quota > INT64_MAX ||
	    (!unknown_asks_helper(&rd->db.dir, n.domain, ROUTE_ACCESS) &&
		!unknown_asks_helper(&rd->db.dir, n.domain, ROUTE_MAIL))) {
		new_reply(rd, m->seq, IPC_ROUTE_UNKNOWN, 0, false);
		return;
	}
	o = directory_object(&rd->db.dir, n.domain, a.local);
	if (o == NULL) {
		n.name = a.local;
		account_create(rd, &n, (struct dir_answer){ DIR_CONN_AUTHD, m->seq });
	} else if (o->kind == OBJECT_ACCOUNT && o->state == STATE_ACTIVE) {
		new_reply(rd, m->seq, IPC_ROUTE_OK, o->id, false);
	} else {
		new_reply(rd, m->seq, IPC_ROUTE_TRYLATER, 0, false);
	}
}
