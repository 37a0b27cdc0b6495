/*
 * op - work that a session asked for and that may outlive it.
 */
#include "stored/session-private.h"

#include <stdlib.h>

struct stashed {
	STAILQ_ENTRY(stashed) link;
	enum ipc_type type;
	size_t n;
	uint8_t packet[];
};

void op_begin(struct op *op, struct session *s, struct account *a, uint32_t seq, size_t held)
{
	*op = (struct op){ .session = s, .account = a, .seq = seq, .held = held };
	LIST_INSERT_HEAD(&s->ops, op, link);
	account_ref(op->account);
}

void op_begin_own(struct op *op, struct account *a)
{
	*op = (struct op){ .account = a };
	account_ref(a);
}

struct ipc_chan *op_chan(const struct op *op)
{
	return op->session != NULL ? op->session->chan : NULL;
}

void op_end(struct op *op)
{
	if (op->session != NULL) {
		LIST_REMOVE(op, link);
		op->session->outstanding--;
		op->session->held -= op->held;
	}
	account_unref(op->account);
}

/* ---- answers behind events ---- */

static bool lags(const struct session *s)
{
	for (unsigned i = 0; i < SESSION_HANDLES_MAX; i++)
		if (s->views[i] != NULL && s->views[i]->lagging)
			return true;
	return false;
}

static void stash(struct session *s, enum ipc_type type, const void *m)
{
	static struct buf packet = { .max = IPC_PACKET_MAX };
	struct stashed *w;

	buf_reset(&packet);
	if (ipc_encode(type, m, &packet) != 0)
		abort(); /* made here */
	w = malloc(sizeof(*w) + packet.n);
	if (w == NULL || s->stash_bytes + packet.n > SESSION_STASH_MAX) {
		free(w);
		store_bad_peer(s->st, "session", s->sid, "slow");
		session_end(s, IPC_BYE_PROTOCOL);
		return;
	}
	w->type = type;
	w->n = packet.n;
	memcpy(w->packet, packet.p, packet.n);
	s->stash_bytes += packet.n;
	STAILQ_INSERT_TAIL(&s->stash, w, link);
}

void session_answer(struct session *s, enum ipc_type type, const void *m)
{
	if (s->dead)
		return;
	if (!STAILQ_EMPTY(&s->stash) || lags(s))
		stash(s, type, m);
	else
		(void)ipc_send(s->chan, type, m, NULL);
}

void session_unstash(struct session *s)
{
	static union ipc_any m;
	struct stashed *w;
	enum ipc_type type;

	if (!s->dead && lags(s))
		return;
	while ((w = STAILQ_FIRST(&s->stash)) != NULL) {
		STAILQ_REMOVE_HEAD(&s->stash, link);
		s->stash_bytes -= w->n;
		if (s->chan != NULL && ipc_decode(slice_of(w->packet, w->n), &type, &m) == 0)
			(void)ipc_send(s->chan, type, &m, NULL);
		free(w);
	}
}
