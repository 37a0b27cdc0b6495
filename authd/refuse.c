/* refuse - the end of an attempt that opened nothing: told to the client, the log and the figures.
 */
#include "authd/dialogue-private.h"

#include "authd/limits.h"
#include "common/base/addr.h"
#include "common/base/log.h"
#include "common/metrics/metrics.h"

static void log_refused(struct dialogue *d, const char *why)
{
	struct addr peer = { 0 };
	char text[ADDR_TEXT_MAX];

	addr_unpack(buf_slice(&d->peer), &peer);
	log_ev(LOG_NOTICE, "auth.refused", kv_sid("sid", d->sid), kv_s("service", d->service),
	    kv_s("mech", d->mech), kv_str("user", buf_slice(&d->name)),
	    kv_s("peer", addr_ip_text(&peer, text)), kv_s("why", why));
}

const char *auth_status_word(enum ipc_auth_status status)
{
	static const char *const words[] = { [IPC_AUTH_BAD] = "credentials",
		[IPC_AUTH_ROUTE] = "route",
		[IPC_AUTH_NOMECH] = "mechanism",
		[IPC_AUTH_SYNTAX] = "syntax",
		[IPC_AUTH_NEEDTLS] = "cleartext",
		[IPC_AUTH_TRYLATER] = "unavailable",
		[IPC_AUTH_CANCELLED] = "cancelled",
		[IPC_AUTH_DISABLED] = "disabled",
		[IPC_AUTH_LIMIT] = "limit" };

	return status < sizeof(words) / sizeof(words[0]) && words[status] != NULL ? words[status]
										  : "unknown";
}

/* Ends the attempt; what was our own failure does not count against the client. */
void dialogue_refuse(struct dialogue *d, enum ipc_auth_status status, struct slice text)
{
	struct ipc_auth_refused m = { .why = status, .text = text };

	dialogue_ask_over(d);
	dialogue_wait_over(d);
	work_free(&d->work);
	sources_over(d, status);
	dialogue_set_deadline(d, 0);
	log_refused(d, auth_status_word(status));
	metric_add(METRIC_logins, d->service, auth_status_word(status), 1);
	if (status != IPC_AUTH_TRYLATER && status != IPC_AUTH_CANCELLED)
		d->attempts++;
	m.left = d->starts < STARTS_MAX ? ATTEMPTS_MAX - d->attempts : 0;
	ipc_send(d->chan, IPC_auth_refused, &m, NULL);
	d->state = m.left > 0 ? DLG_IDLE : DLG_DONE;
	ipc_chan_set_state(d->chan, m.left > 0 ? IPC_IN_IDLE : IPC_IN_CLOSED);
}
