/*
 * act - somebody proved who he is and wants to be somebody else (SASL's authorization identity, RFC
 * 4422 3.4.1): routerd says which account that name means and whether he may act for it.
 *
 * What a program knows (a tagged password) lets nobody be another: that is an administrator's
 * right.
 *
 * Invariant: with a name that he may not have, the answer is the same whether it exists or not.
 */
#include "authd/dialogue-private.h"

#include "authd/limits.h"
#include "common/base/addr.h"
#include "common/base/log.h"

static void tell(struct dialogue *d, const char *result)
{
	struct addr peer = { 0 };
	char text[ADDR_TEXT_MAX];

	addr_unpack(buf_slice(&d->peer), &peer);
	log_ev(LOG_NOTICE | LOG_AUDIT, "auth.acting", kv_sid("sid", d->sid),
	    kv_s("service", d->service), kv_str("who", buf_slice(&d->name)),
	    kv_str("object", buf_slice(&d->acting)), kv_s("peer", addr_ip_text(&peer, text)),
	    kv_s("result", result));
}

static void refuse(struct dialogue *d, bool later)
{
	tell(d, later ? "unavailable" : "denied");
	if (later)
		dialogue_refuse(d, IPC_AUTH_TRYLATER, SLICE_NONE);
	else
		dialogue_refuse(
		    d, IPC_AUTH_BAD, SLICE("acting for another account is not allowed"));
}

void act_begin(struct dialogue *d)
{
	struct ipc_route_login ask = { .name = buf_slice(&d->acting),
		.domain = slice_str(d->domain),
		.local = buf_slice(&d->local),
		.service = slice_str(d->service),
		.flags = d->tls ? IPC_LOGIN_ENCRYPTED : 0 };

	if (d->a->routerd == NULL) {
		refuse(d, true);
		return;
	}
	d->state = DLG_ACT;
	ask.seq = dialogue_ask_seq(d);
	dialogue_set_deadline(d, PEER_WAIT_MS);
	ipc_send(d->a->routerd, IPC_route_login, &ask, NULL);
}

void act_on_route(struct dialogue *d, const struct ipc_route_login_reply *m)
{
	struct ipc_may_ask ask = {
		.who = d->account, .target = m->account, .what = IPC_MAY_IMPERSONATE
	};

	dialogue_ask_over(d);
	if (m->status == IPC_ROUTE_TRYLATER) {
		refuse(d, true);
		return;
	}
	if (m->status != IPC_ROUTE_OK || d->tagged)
		ask.target = 0; /* refused, and no sooner than for a name that exists */
	if (m->status == IPC_ROUTE_OK && m->account == d->account) { /* another name of his own */
		dialogue_grant(d);
		return;
	}
	if (m->status == IPC_ROUTE_OK) {
		buf_reset(&d->acting);
		buf_put(&d->acting, m->name);
	}
	d->acting_account = m->account;
	d->acting_quota = m->quota;
	ask.seq = dialogue_ask_seq(d);
	dialogue_set_deadline(d, PEER_WAIT_MS);
	ipc_send(d->a->routerd, IPC_may_ask, &ask, NULL);
}

void act_on_may(struct authd *a, const struct ipc_may_reply *m)
{
	struct dialogue *d = NULL;
	uint32_t seq = m->seq;

	HASH_FIND(hh, a->by_seq, &seq, sizeof(seq), d);
	if (d == NULL || d->state != DLG_ACT)
		return;
	dialogue_ask_over(d);
	if (m->status != IPC_DIR_OK || d->tagged || !dialogue_can_grant(d)) {
		refuse(d, m->status == IPC_DIR_TRYLATER || (m->status == IPC_DIR_OK && !d->tagged));
		return;
	}
	tell(d, "ok");
	d->account = d->acting_account;
	d->quota = d->acting_quota;
	d->rights = 0;
	buf_reset(&d->name);
	buf_put(&d->name, buf_slice(&d->acting));
	dialogue_grant(d);
}
