/*
 * foreign - requests that name a mailbox of another account, ~name/mailbox: routerd says each time
 * whose that is and whether the session's account may, then the request goes on in that account
 * with its names as they are there.
 *
 * Invariant: what a session says is a name and no right. Who may not is answered as if there were
 * no such account, so that names cannot be tried.
 */
#include "stored/session-private.h"

#include "common/base/log.h"

#include <stdlib.h>

struct foreign {
	LIST_ENTRY(foreign) link, session_link; /* link: of the store, while routerd is asked */
	struct session *session;                /* NULL: gone, while the account is loaded */
	uint32_t seq;                           /* of the question to routerd */
	uint64_t quota;
	struct slice object; /* owned: the account's name, for the log */
	size_t n;
	uint8_t packet[];
};

/* ---- names of requests ---- */

/* Those that a message has, at most two. NULL: none that could be of another account. */
static unsigned names_of(enum ipc_type type, union ipc_any *m, struct slice *ret[2])
{
	ret[0] = type == IPC_mbox_list      ? &m->mbox_list.prefix
		 : type == IPC_mbox_create  ? &m->mbox_create.name
		 : type == IPC_mbox_delete  ? &m->mbox_delete.name
		 : type == IPC_mbox_status  ? &m->mbox_status.name
		 : type == IPC_mbox_open    ? &m->mbox_open.name
		 : type == IPC_append_begin ? &m->append_begin.name
		 : type == IPC_msg_copy     ? &m->msg_copy.to
		 : type == IPC_quota_get    ? &m->quota_get.name
		 : type == IPC_mbox_rename  ? &m->mbox_rename.from
					    : NULL;
	ret[1] = type == IPC_mbox_rename ? &m->mbox_rename.to : NULL;
	return ret[0] == NULL ? 0 : ret[1] == NULL ? 1 : 2;
}

static uint32_t seq_of(enum ipc_type type, const union ipc_any *m)
{
	return type == IPC_mbox_list      ? m->mbox_list.seq
	       : type == IPC_mbox_create  ? m->mbox_create.seq
	       : type == IPC_mbox_delete  ? m->mbox_delete.seq
	       : type == IPC_mbox_status  ? m->mbox_status.seq
	       : type == IPC_mbox_open    ? m->mbox_open.seq
	       : type == IPC_append_begin ? m->append_begin.seq
	       : type == IPC_msg_copy     ? m->msg_copy.seq
	       : type == IPC_quota_get    ? m->quota_get.seq
					  : m->mbox_rename.seq;
}

static const char *word_of(enum ipc_type type)
{
	return type == IPC_mbox_list      ? "list"
	       : type == IPC_mbox_create  ? "create"
	       : type == IPC_mbox_delete  ? "delete"
	       : type == IPC_mbox_status  ? "status"
	       : type == IPC_mbox_open    ? "open"
	       : type == IPC_append_begin ? "append"
	       : type == IPC_msg_copy     ? "copy"
	       : type == IPC_quota_get    ? "quota"
					  : "rename";
}

/* "~name/" of a name, or all of one that has no mailbox; nothing of an own one. */
static struct slice owner_of(struct slice name)
{
	ptrdiff_t at = slice_find(name, '/');

	if (name.n == 0 || name.p[0] != '~')
		return SLICE_NONE;
	return at < 0 ? name : slice_part(name, 0, (size_t)at + 1);
}

static void strip(struct slice **names, unsigned n, struct slice owner)
{
	for (unsigned i = 0; i < n; i++)
		*names[i] = slice_from(*names[i], owner.n);
}

static struct slice typed(struct slice owner)
{
	owner = slice_from(owner, 1);
	return owner.n > 0 && owner.p[owner.n - 1] == '/' ? slice_part(owner, 0, owner.n - 1)
							  : owner;
}

/* ---- answers without a look ---- */

/* What one is told who may not: nothing that would say whether there is such an account. */
static int refusal(enum ipc_type type)
{
	return type == IPC_mbox_create || type == IPC_append_begin || type == IPC_msg_copy
		   ? IPC_ST_DENIED
		   : IPC_ST_NOTFOUND;
}

static void answer(struct session *s, enum ipc_type type, uint32_t seq, int status)
{
	uint32_t st = (uint32_t)status;

	switch (type) {
	case IPC_mbox_list:
		(void)ipc_send(s->chan, IPC_mbox_list_rows,
		    &(struct ipc_mbox_list_rows){ .seq = seq, .status = st }, NULL);
		break;
	case IPC_mbox_status:
		(void)ipc_send(s->chan, IPC_mbox_status_is,
		    &(struct ipc_mbox_status_is){ .seq = seq, .status = st }, NULL);
		break;
	case IPC_mbox_open:
		(void)ipc_send(s->chan, IPC_mbox_opened,
		    &(struct ipc_mbox_opened){ .seq = seq, .status = st }, NULL);
		break;
	case IPC_append_begin:
		(void)ipc_send(s->chan, IPC_append_ready,
		    &(struct ipc_append_ready){ .seq = seq, .status = st }, NULL);
		break;
	case IPC_msg_copy:
		session_answer(
		    s, IPC_copy_done, &(struct ipc_copy_done){ .seq = seq, .status = st });
		break;
	case IPC_quota_get:
		(void)ipc_send(s->chan, IPC_quota_is,
		    &(struct ipc_quota_is){ .seq = seq, .status = st }, NULL);
		break;
	default:
		(void)ipc_send(s->chan, IPC_mbox_done,
		    &(struct ipc_mbox_done){ .seq = seq, .status = st }, NULL);
		break;
	}
}

/* Of a listing the own subscriptions are left. */
static void deny(struct session *s, enum ipc_type type, const union ipc_any *m, struct slice owner)
{
	if (type == IPC_mbox_list)
		session_do(s, &(struct place){ NULL, owner }, type, m);
	else
		answer(s, type, seq_of(type, m), refusal(type));
}

/* ---- the end of one ---- */

static void record(const struct foreign *f, enum ipc_type type, struct slice name, bool may)
{
	/* What anybody can cause is bounded by the log's own limit. */
	int audit = may ? LOG_AUDIT : 0;

	log_ev(LOG_NOTICE | audit, "stored.foreign", kv_sid("sid", f->session->sid),
	    kv_str("who", f->session->name), kv_str("object", f->object), kv_str("name", name),
	    kv_s("what", word_of(type)), kv_s("result", may ? "ok" : "refused"));
}

/* IPC_ST_OK: the request goes on in `a`. */
static int enter(struct foreign *f, struct account *a)
{
	if (guest_take(f->session, a) == NULL)
		return IPC_ST_LIMIT;
	a->quota = f->quota;
	policy_want(a);
	return IPC_ST_OK;
}

static void go_on(struct foreign *f, struct account *a, int status)
{
	struct session *s = f->session;
	struct slice *names[2], name, owner;
	union ipc_any m;
	enum ipc_type type;
	unsigned n;

	if (ipc_decode(slice_of(f->packet, f->n), &type, &m) != 0)
		abort(); /* encoded here */
	n = names_of(type, &m, names);
	name = *names[0];
	owner = owner_of(name);
	strip(names, n, owner);
	if (a != s->account && (status == IPC_ST_OK || status == IPC_ST_DENIED))
		record(f, type, name, status == IPC_ST_OK);
	if (a != s->account && status == IPC_ST_OK)
		status = enter(f, a);
	if (status == IPC_ST_OK)
		session_do(s, &(struct place){ a, owner }, type, &m);
	else if (status == IPC_ST_DENIED)
		deny(s, type, &m, owner);
	else
		answer(s, type, seq_of(type, &m), status);
	session_pump(s);
}

/* In `a`, or with another status than IPC_ST_OK not at all. Frees it. */
static void settle(struct foreign *f, struct account *a, int status)
{
	struct session *s = f->session;

	if (s != NULL) {
		LIST_REMOVE(f, session_link);
		s->outstanding--;
		s->held -= f->n;
	}
	if (s != NULL && !s->dead)
		go_on(f, a, status);
	free((void *)f->object.p);
	free(f);
}

static void on_account(void *arg, int status, struct account *a)
{
	/* It may be on its way out. */
	settle(arg, a, status == IPC_ST_NOTFOUND ? IPC_ST_DENIED : status);
}

void foreign_is(struct store *st, const struct ipc_foreign_is *m)
{
	struct foreign *f;

	LIST_FOREACH(f, &st->foreigns, link)
	if (f->seq == m->seq)
		break;
	if (f == NULL)
		return;
	LIST_REMOVE(f, link);
	f->quota = m->quota;
	if (slice_dup(m->name, &f->object) != 0)
		settle(f, NULL, IPC_ST_TRYLATER); /* nobody goes in without a line in the log */
	else if (m->status != IPC_DIR_OK)
		settle(f, NULL, m->status == IPC_DIR_TRYLATER ? IPC_ST_TRYLATER : IPC_ST_DENIED);
	else
		account_get(st, m->account, 0, on_account, f);
}

void foreign_routerd_gone(struct store *st)
{
	struct foreign *f;

	while ((f = LIST_FIRST(&st->foreigns)) != NULL) {
		LIST_REMOVE(f, link);
		settle(f, NULL, IPC_ST_TRYLATER);
	}
}

void foreign_forget(struct session *s)
{
	struct foreign *f, *next;

	for (f = LIST_FIRST(&s->foreigns); f != NULL; f = next) {
		next = LIST_NEXT(f, session_link);
		LIST_REMOVE(f, session_link);
		f->session = NULL;
	}
}

/* ---- the beginning ---- */

/* Doors whose protocol names mailboxes; a session of another has no business with others' mail. */
static bool names_others(const struct session *s)
{
	return slice_eq(s->service, SLICE("imap"));
}

static void ask(struct session *s, struct peer *to, enum ipc_type type, const union ipc_any *m,
    struct slice owner)
{
	static struct buf packet = { .max = IPC_PACKET_MAX };
	struct foreign *f;

	buf_reset(&packet);
	if (ipc_encode(type, m, &packet) != 0)
		abort(); /* it came in one */
	if (!session_admit(s, packet.n))
		return;
	f = calloc(1, sizeof(*f) + packet.n);
	if (f == NULL) {
		session_end(s, IPC_BYE_STORE);
		return;
	}
	f->session = s;
	f->seq = ++s->st->may_seq;
	f->n = packet.n;
	memcpy(f->packet, packet.p, packet.n);
	LIST_INSERT_HEAD(&s->st->foreigns, f, link);
	LIST_INSERT_HEAD(&s->foreigns, f, session_link);
	(void)ipc_send(to->chan, IPC_foreign_ask,
	    &(struct ipc_foreign_ask){ f->seq, s->account->id, typed(owner) }, NULL);
}

bool foreign_take(struct session *s, enum ipc_type type, const union ipc_any *m)
{
	union ipc_any copy = *m;
	struct peer *to = peer_routerd(s->st);
	struct slice *names[2], owner;
	unsigned n = names_of(type, &copy, names);
	bool same;

	if (n == 0 || s->admin || s->dead)
		return false;
	owner = owner_of(*names[0]);
	same = n == 1 || slice_eq(owner, owner_of(*names[1]));
	if (same && owner.n == 0)
		return false;
	/* A prefix that has no mailbox is of own subscriptions. */
	if (type == IPC_mbox_list && owner.p[owner.n - 1] != '/')
		return false;
	if (!same) {
		answer(s, type, seq_of(type, m), IPC_ST_CANNOT);
	} else if (!names_others(s) || typed(owner).n == 0) {
		strip(names, n, owner);
		deny(s, type, &copy, owner);
	} else if (to == NULL) {
		answer(s, type, seq_of(type, m), IPC_ST_TRYLATER);
	} else {
		ask(s, to, type, m, owner);
	}
	return true;
}
