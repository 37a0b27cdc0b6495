/*
 * peers - channels between processes, made here and given to both ends.
 */
#include "master/master.h"

#include "common/base/log.h"

static bool runs(const struct child *c)
{
	return c != NULL && c->control != NULL &&
	       (c->state == CHILD_STARTING || c->state == CHILD_READY);
}

static void give_end(
    struct child *to, const struct child *peer, enum ipc_ch kind, bool upper, int take_fd)
{
	struct ipc_ctl_peer m = { .role = peer->prog->role,
		.channel = kind,
		.upper = upper,
		.instance = peer->instance };

	ipc_send(to->control, IPC_ctl_peer, &m, &take_fd);
}

static int connect_pair(struct child *lower, struct child *upper, enum ipc_ch kind)
{
	int fds[2], r = ipc_pair(fds);

	if (r != 0) {
		log_ev(LOG_ERR, "proc.fail", kv_s("name", "master"), kv_s("why", "channel"),
		    kv_err("err", r));
		return r;
	}
	give_end(lower, upper, kind, false, fds[0]);
	give_end(upper, lower, kind, true, fds[1]);
	return 0;
}

int peers_connect(struct child *c)
{
	enum ipc_role role = c->prog->role;
	int r = 0;

	for (int i = 0; i < PEER_PAIRS && r == 0; i++) {
		const struct peer_pair *pair = &peer_pairs[i];
		struct child *lower = master_child(c->m, pair->lower);
		struct child *upper = master_child(c->m, pair->upper);

		if ((pair->lower == role || pair->upper == role) && runs(lower) && runs(upper))
			r = connect_pair(lower, upper, pair->kind);
	}
	return r;
}
