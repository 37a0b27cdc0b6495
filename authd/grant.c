/*
 * grant - what a connection gets for a login: a session of one account, an administrator's
 * channels, or nothing but routerd's knowledge of whom it sends for.
 */
#include "authd/dialogue-private.h"

#include "authd/limits.h"
#include "common/base/addr.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/metrics/metrics.h"

#include <stdio.h>

static void log_granted(const struct dialogue *d)
{
	struct addr peer = { 0 };
	char text[ADDR_TEXT_MAX];

	addr_unpack(buf_slice(&d->peer), &peer);
	log_ev(LOG_INFO, "auth.granted", kv_sid("sid", d->sid), kv_s("service", d->service),
	    kv_s("mech", d->mech), kv_str("user", buf_slice(&d->name)), kv_u("account", d->account),
	    kv_s("source", d->source), kv_s("peer", addr_ip_text(&peer, text)));
	metric_add(METRIC_logins, d->service, "ok", 1);
}

/* How the connection came, for those who look at sessions. */
static uint32_t link_of(const struct dialogue *d)
{
	return (d->flags & IPC_CONN_PROXIED) | (d->tls ? IPC_CONN_TLS : 0);
}

static void ask_session(struct dialogue *d)
{
	struct ipc_session_open ask = { .sid = d->sid,
		.account = d->account,
		.name = buf_slice(&d->name),
		.service = slice_str(d->service),
		.peer = buf_slice(&d->peer),
		.quota = d->quota,
		.flags = link_of(d) };

	d->state = DLG_SESSION;
	ask.seq = dialogue_ask_seq(d);
	dialogue_set_deadline(d, PEER_WAIT_MS);
	ipc_send(d->a->stored, IPC_session_open, &ask, NULL);
}

/* Who sends mail needs no mailbox: a front-end that is taken over finds none in its hands. */
static void tell_post(struct dialogue *d)
{
	struct ipc_post_login m = { .sid = d->sid, .account = d->account, .flags = link_of(d) };

	d->state = DLG_POST;
	m.seq = dialogue_ask_seq(d);
	dialogue_set_deadline(d, PEER_WAIT_MS);
	ipc_send(d->a->routerd, IPC_post_login, &m, NULL);
}

bool dialogue_can_grant(const struct dialogue *d)
{
	bool dir = d->a->routerd != NULL, store = d->a->stored != NULL;

	return d->role == IPC_ROLE_SMTP ? dir : d->role == IPC_ROLE_PWD ? dir && store : store;
}

void dialogue_proved(struct dialogue *d)
{
	if (!dialogue_can_grant(d))
		dialogue_refuse(d, IPC_AUTH_TRYLATER, SLICE_NONE);
	else if (d->acting.n > 0)
		act_begin(d);
	else
		dialogue_grant(d);
}

static void give_channels(struct dialogue *d);

void dialogue_grant(struct dialogue *d)
{
	if (d->role == IPC_ROLE_SMTP)
		tell_post(d);
	else if (d->role == IPC_ROLE_PWD)
		give_channels(d);
	else
		ask_session(d);
}

static void granted(struct dialogue *d)
{
	log_granted(d);
	d->state = DLG_DONE;
	dialogue_set_deadline(d, 0);
	ipc_chan_set_state(d->chan, IPC_IN_CLOSED);
}

void dialogue_on_post(struct authd *a, const struct ipc_post_login_reply *m)
{
	struct dialogue *d = NULL;
	struct ipc_auth_post post;
	uint32_t seq = m->seq;

	HASH_FIND(hh, a->by_seq, &seq, sizeof(seq), d);
	if (d == NULL || d->state != DLG_POST)
		return;
	dialogue_ask_over(d);
	if (m->status != IPC_ROUTE_OK) {
		dialogue_refuse(d, IPC_AUTH_TRYLATER, SLICE_NONE);
		return;
	}
	post = (struct ipc_auth_post){ .name = buf_slice(&d->name), .data = buf_slice(&d->last) };
	ipc_send(d->chan, IPC_auth_post, &post, NULL);
	granted(d);
}

void dialogue_on_session(struct authd *a, uint32_t seq, int *take_fd, uint32_t status)
{
	struct dialogue *d = NULL;
	struct ipc_auth_granted m;

	HASH_FIND(hh, a->by_seq, &seq, sizeof(seq), d);
	if (d == NULL || d->state != DLG_SESSION)
		return;
	dialogue_ask_over(d);
	if (take_fd == NULL) {
		dialogue_refuse(d, IPC_AUTH_TRYLATER, SLICE_NONE);
		return;
	}
	m = (struct ipc_auth_granted){
		.account = d->account, .name = buf_slice(&d->name), .data = buf_slice(&d->last)
	};
	ipc_send(d->chan, IPC_auth_granted, &m, take_fd);
	*take_fd = -1;
	granted(d);
}

/* ---- administrators ---- */

/*
 * The three channels of an administrator, each bound to who it is: ends for the connection, or
 * false when they cannot be had now.
 */
static bool open_channels(struct dialogue *d, const struct ipc_auth_admin *m, int ret_fds[3])
{
	struct authd *a = d->a;
	struct ipc_dir_open dir = { .sid = d->sid,
		.name = m->name,
		.rights = m->rights,
		.account = m->account,
		.peer = buf_slice(&d->peer),
		.flags = link_of(d) };
	struct ipc_store_open store = { .sid = d->sid,
		.name = m->name,
		.rights = m->account != 0 ? d->rights : m->rights,
		.account = m->account };
	int dirs[2] = { -1, -1 }, stores[2] = { -1, -1 };

	ret_fds[1] = -1;
	if (a->routerd != NULL && a->stored != NULL && ipc_pair(dirs) == 0 && ipc_pair(stores) == 0)
		ret_fds[1] = admin_open(a, d->sid, m->name, m->account);
	if (ret_fds[1] < 0) {
		fd_close(&dirs[0]);
		fd_close(&dirs[1]);
		fd_close(&stores[0]);
		fd_close(&stores[1]);
		return false;
	}
	ipc_send(a->routerd, IPC_dir_open, &dir, &dirs[0]);
	ipc_send(a->stored, IPC_store_open, &store, &stores[0]);
	ret_fds[0] = dirs[1];
	ret_fds[2] = stores[1];
	return true;
}

/* Who logged in by the pwd door administers with the rights of the account, which routerd looks up.
 */
static void give_channels(struct dialogue *d)
{
	struct ipc_auth_admin grant = {
		.name = buf_slice(&d->name), .account = d->account, .data = buf_slice(&d->last)
	};
	int fds[3];

	if (!open_channels(d, &grant, fds)) {
		dialogue_refuse(d, IPC_AUTH_TRYLATER, SLICE_NONE);
		return;
	}
	ipc_send(d->chan, IPC_auth_admin, &grant, fds);
	granted(d);
}

/* Is the other end of the socket an administrator? The log gets a name for it in any case. */
static bool admin_known(struct dialogue *d, char who[33])
{
	const struct authd *a = d->a;

	for (size_t i = 0; i < a->n_admin_uids; i++) {
		if (a->admin_uids[i] != d->uid)
			continue;
		snprintf(who, 33, "%s", a->admin_names[i]);
		if (who[0] != '\0')
			return true;
	}
	snprintf(who, 33, "uid-%u", d->uid);
	buf_puts(&d->name, who);
	for (size_t i = 0; i < a->n_admin_uids; i++)
		if (a->admin_uids[i] == d->uid)
			return true;
	return false;
}

/* An administrator on this machine, known by the kernel's word about the other end of the socket.
 */
void dialogue_admin(struct dialogue *d)
{
	char who[33];
	bool known = admin_known(d, who);
	struct ipc_auth_admin grant = { .name = slice_str(who), .rights = IPC_RIGHT_MASTER };
	int fds[3];

	ipc_chan_set_state(d->chan, IPC_IN_DIALOGUE);
	snprintf(d->mech, sizeof(d->mech), "peer");
	if (!known || d->role != IPC_ROLE_ADMIN || strcmp(d->service, "admin") != 0) {
		dialogue_refuse(d, IPC_AUTH_BAD, SLICE("this user is not an administrator"));
		return;
	}
	if (!open_channels(d, &grant, fds)) {
		dialogue_refuse(d, IPC_AUTH_TRYLATER, SLICE_NONE);
		return;
	}
	log_ev(LOG_NOTICE | LOG_AUDIT, "auth.admin", kv_sid("sid", d->sid), kv_s("who", who),
	    kv_u("uid", d->uid));
	metric_add(METRIC_logins, d->service, "ok", 1);
	ipc_send(d->chan, IPC_auth_admin, &grant, fds);
	d->state = DLG_DONE;
	ipc_chan_set_state(d->chan, IPC_IN_CLOSED);
}
