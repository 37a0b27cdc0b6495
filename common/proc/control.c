/*
 * control - what master says to a process, and when.
 */
#include "common/proc/proc-private.h"

#include "common/base/io.h"
#include "common/base/log.h"
#include "common/metrics/metrics.h"
#include "common/sandbox/sandbox.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

static void copy_text(char *out, size_t size, struct slice s)
{
	/* The schema's bound is smaller than every buffer here. */
	size_t n = s.n < size ? s.n : size - 1;

	memcpy(out, s.p != NULL ? s.p : (const uint8_t *)"", n);
	out[n] = '\0';
}

static int take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

void proc_keyring_fini(struct proc_keyring *k)
{
	for (size_t i = 0; i < k->n; i++)
		fd_close(&k->key[i].fd);
	free(k->key);
	*k = (struct proc_keyring){ 0 };
}

void proc_listeners_fini(struct proc *p)
{
	for (size_t i = 0; i < p->n_listeners; i++)
		fd_close(&p->listeners[i].fd);
	free(p->listeners);
	p->listeners = NULL;
	p->n_listeners = 0;
}

static void set_log_level(const struct proc *p)
{
	const char *word = conf_get_str(&p->conf, CONF_log_level);

	log_init(PROC_LOG_FD, true, log_level_parse(slice_str(word)));
}

static void on_conf(struct proc *p, struct slice text)
{
	struct buf errors = BUF_INIT(CONF_ERRORS_BYTES);
	struct conf *c = p->have_conf ? &p->next_conf : &p->conf;
	int r;

	if (p->have_conf && p->have_next_conf)
		conf_fini(c);
	p->have_next_conf = false;
	r = conf_init(c, ipc_role_name(p->ops->role));
	if (r == 0)
		r = conf_parse(c, "slice", text, &errors);
	if (r != 0) {
		proc_fail(p, "the configuration slice is malformed", 0);
		proc_exit(p, 1);
	} else if (p->have_conf) {
		p->have_next_conf = true;
	} else {
		p->have_conf = true;
		set_log_level(p);
	}
	buf_fini(&errors);
}

static void on_dir(struct proc *p, struct slice name, int *fd)
{
	struct proc_dir *d;

	if (p->n_dirs == PROC_DIRS_MAX)
		return;
	d = &p->dirs[p->n_dirs++];
	copy_text(d->name, sizeof(d->name), name);
	d->fd = take(fd);
}

static void on_listener(struct proc *p, const struct ipc_ctl_listener *m, int *fd)
{
	struct proc_listener *all, *l;

	if (p->running || p->n_listeners == PROC_LISTENERS_MAX)
		return;
	all = reallocarray(p->listeners, p->n_listeners + 1, sizeof(*all));
	if (all == NULL)
		return;
	p->listeners = all;
	l = &all[p->n_listeners];
	*l = (struct proc_listener){ .flags = m->flags };
	copy_text(l->name, sizeof(l->name), m->name);
	copy_text(l->clients, sizeof(l->clients), m->clients);
	copy_text(l->proxies, sizeof(l->proxies), m->proxies);
	addr_unpack(m->local, &l->local);
	l->fd = take(fd);
	p->n_listeners++;
}

static void on_key(struct proc *p, const struct ipc_ctl_key *m, int *fd)
{
	struct proc_keyring *ring = p->running ? &p->next_keys : &p->keys;
	struct proc_key *all;

	if (ring->n == PROC_KEYS_MAX)
		return;
	all = reallocarray(ring->key, ring->n + 1, sizeof(*all));
	if (all == NULL)
		return;
	ring->key = all;
	all[ring->n] = (struct proc_key){ .what = (enum ipc_key_what)m->what, .fd = take(fd) };
	copy_text(all[ring->n].name, sizeof(all[ring->n].name), m->name);
	ring->n++;
}

static void peer_give(struct proc *p, struct proc_peer *peer)
{
	if (p->ops->on_peer != NULL)
		p->ops->on_peer(p, p->arg, peer);
	fd_close(&peer->fd);
}

static void on_peer(struct proc *p, const struct ipc_ctl_peer *m, int *fd)
{
	struct proc_peer peer = { .role = (enum ipc_role)m->role,
		.kind = (enum ipc_ch)m->channel,
		.upper = m->upper != 0,
		.instance = m->instance };

	if (m->role >= IPC_ROLES || m->channel >= IPC_CHS)
		return;
	peer.fd = take(fd);
	if (p->running)
		peer_give(p, &peer);
	else if (p->n_peers < PROC_PEERS_MAX)
		p->peers[p->n_peers++] = peer;
	else
		fd_close(&peer.fd);
}

static int sandbox_on(struct proc *p)
{
	struct sandbox_env env = { .root_fd = -1 };
	int held[PROC_DIRS_MAX], r;

	env.dir_fds = held;
	for (size_t i = 0; i < p->n_dirs; i++) {
		if (strcmp(p->dirs[i].name, "empty") == 0)
			env.root_fd = take(&p->dirs[i].fd);
		else
			held[env.n_dirs++] = p->dirs[i].fd;
	}
	r = sandbox_enter(&sandbox_rows[p->ops->row], &env);
	if (r != 0)
		proc_fail(p, "the sandbox is not complete", r);
	return r;
}

static void say_ready(struct proc *p)
{
	struct ipc_ctl_ready m = { .missing = slice_str(sandbox_missing()) };

	ipc_send(p->control, IPC_ctl_ready, &m, NULL);
	ipc_chan_set_state(p->control, IPC_IN_RUN);
	log_ev(LOG_DEBUG, "proc.start", kv_s("name", ipc_role_name(p->ops->role)),
	    kv_s("version", GH_VERSION));
}

static void on_go(struct proc *p)
{
	int r = p->have_conf ? 0 : -EINVAL;

	if (p->running)
		return;
	if (r == 0 && p->ops->warm_up != NULL)
		r = p->ops->warm_up(p, p->arg);
	if (r == 0)
		r = sandbox_on(p);
	if (r == 0 && p->ops->start != NULL)
		r = p->ops->start(p, p->arg);
	if (r != 0) {
		proc_exit(p, 1);
		return;
	}
	p->running = true;
	say_ready(p);
	for (size_t i = 0; i < p->n_peers; i++)
		peer_give(p, &p->peers[i]);
	p->n_peers = 0;
}

static void on_reload(struct proc *p)
{
	struct conf old = p->conf;
	struct proc_keyring old_keys = p->keys;

	if (!p->have_next_conf)
		return;
	p->conf = p->next_conf;
	p->have_next_conf = false;
	p->keys = p->next_keys;
	p->next_keys = (struct proc_keyring){ 0 };
	set_log_level(p);
	if (p->ops->on_reload != NULL)
		p->ops->on_reload(p, p->arg, &old);
	conf_fini(&old);
	proc_keyring_fini(&old_keys);
}

static void stop(struct proc *p, unsigned deadline_ms)
{
	if (p->stopping)
		return;
	p->stopping = true;
	if (p->running && p->ops->on_stop != NULL)
		p->ops->on_stop(p, p->arg, deadline_ms);
	else
		proc_exit(p, 0);
}

static void tell_counts(struct proc *p, uint32_t seq)
{
	struct buf packed = BUF_INIT(METRICS_PACKED_MAX);
	struct ipc_ctl_count m = { .seq = seq };

	if (p->ops->on_count != NULL)
		p->ops->on_count(p, p->arg);
	metric_set(METRIC_log_lines_dropped, ipc_role_name(p->ops->role), "process",
	    (int64_t)log_dropped());
	metrics_pack(&packed);
	m.packed = buf_slice(&packed);
	ipc_send(p->control, IPC_ctl_count, &m, NULL);
	buf_fini(&packed);
}

static void on_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct proc *p = arg;
	char name[65];

	switch (type) {
	case IPC_ctl_conf:
		on_conf(p, m->ctl_conf.text);
		break;
	case IPC_ctl_dir:
		on_dir(p, m->ctl_dir.name, fds);
		break;
	case IPC_ctl_file:
		copy_text(name, sizeof(name), m->ctl_file.name);
		if (p->ops->on_file != NULL)
			p->ops->on_file(p, p->arg, name, fds);
		break;
	case IPC_ctl_listener:
		on_listener(p, &m->ctl_listener, fds);
		break;
	case IPC_ctl_key:
		on_key(p, &m->ctl_key, fds);
		break;
	case IPC_ctl_peer:
		on_peer(p, &m->ctl_peer, fds);
		break;
	case IPC_ctl_go:
		p->crashes = m->ctl_go.crashes;
		on_go(p);
		break;
	case IPC_ctl_reload:
		on_reload(p);
		break;
	case IPC_ctl_stop:
		stop(p, m->ctl_stop.deadline_ms);
		break;
	case IPC_ctl_ping:
		ipc_send(c, IPC_ctl_pong, &(struct ipc_ctl_pong){ m->ctl_ping.token }, NULL);
		break;
	case IPC_ctl_count_ask:
		tell_counts(p, m->ctl_count_ask.seq);
		break;
	case IPC_ctl_scraped:
		if (p->ops->on_scraped != NULL && m->ctl_scraped.packed.n > 0)
			p->ops->on_scraped(p, p->arg, m->ctl_scraped.packed);
		break;
	case IPC_ctl_scrape_end:
		if (p->ops->on_scraped != NULL)
			p->ops->on_scraped(p, p->arg, SLICE_NONE);
		break;
	default: /* the table lets nothing else in */
		break;
	}
}

static void on_orphan_deadline(evutil_socket_t fd, short what, void *arg)
{
	proc_exit(arg, 1);
}

/* Master is gone, or sent what it may not: either way nobody leads us any more. */
static void on_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	struct proc *p = arg;
	struct timeval tv = { .tv_sec = PROC_ORPHAN_DEADLINE_MS / 1000 };

	p->orphan_timer = event_new(p->base, -1, 0, on_orphan_deadline, p);
	if (p->orphan_timer == NULL || event_add(p->orphan_timer, &tv) != 0) {
		proc_exit(p, 1);
		return;
	}
	stop(p, PROC_ORPHAN_DEADLINE_MS);
}

static const struct ipc_ops control_ops = { .on_msg = on_msg, .on_gone = on_gone };

int proc_control_open(struct proc *p)
{
	p->control = ipc_chan_new(p->base, PROC_CONTROL_FD, IPC_CH_CONTROL, false, &control_ops, p);
	if (p->control == NULL)
		return -ENOMEM;
	return ipc_chan_hello(p->control, p->ops->role, 0, IPC_ROLE_MASTER, IPC_IN_SETUP);
}
