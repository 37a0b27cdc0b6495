/*
 * send - what a process of the suite is sent: its configuration, keys, listeners, directories.
 *
 * A process that would lack something of it is not started: one that lives without its listener or
 * its channels looks well and serves nobody.
 */
#include "master/master.h"

#include "common/base/log.h"
#include "common/conf/limits.h"
#include "master/master-private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* 0 also when the process is gone already: its end is seen elsewhere. -errno of whoever made the
 * descriptor just now. */
static int send_fd(struct child *c, enum ipc_type type, const void *msg, int take_fd)
{
	if (take_fd < 0)
		return -errno;
	ipc_send(c->control, type, msg, &take_fd);
	return 0;
}

/* An open file description of its own: readers must not move each other's position. */
static int reopen(int fd)
{
	char path[64];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDONLY | O_CLOEXEC);
	if (again >= 0)
		return again;
	lseek(fd, 0, SEEK_SET);
	return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

static int send_keys(struct child *c)
{
	bool signer = c->prog->role == IPC_ROLE_SIGNER;
	int r = 0;

	for (size_t i = 0; i < c->m->keys.n && r == 0; i++) {
		const struct key_file *k = &c->m->keys.k[i];
		struct ipc_ctl_key msg = { .name = slice_str(k->name),
			.what = signer ? IPC_KEY_PRIVATE : IPC_KEY_CHAIN };

		r = send_fd(c, IPC_ctl_key, &msg, reopen(signer ? k->key_fd : k->chain_fd));
	}
	return r;
}

static bool wants_keys(const struct child *c)
{
	return c->prog->role == IPC_ROLE_SIGNER || program_is_door(c->prog);
}

void child_send_log_file(struct child *c)
{
	const struct conf *conf = &c->m->conf;
	int fd = -1;

	if (conf_is_word(conf, CONF_log_target, "file"))
		fd = open(conf_get_str(conf, CONF_log_file),
		    O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
	else
		fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		log_ev(LOG_ERR, "proc.fail", kv_s("name", "logd"), kv_s("why", "log file"),
		    kv_err("err", errno));
	send_fd(c, IPC_ctl_file, &(struct ipc_ctl_file){ SLICE("log") }, fd);
}

int child_send_conf(struct child *c, bool reload)
{
	struct buf text = BUF_INIT(CONF_SLICE_MAX);
	int r = 0;

	conf_slice_for(&c->m->conf, program_name(c->prog), &text);
	ipc_send(c->control, IPC_ctl_conf, &(struct ipc_ctl_conf){ buf_slice(&text) }, NULL);
	buf_fini(&text);
	if (wants_keys(c))
		r = send_keys(c);
	if (c->prog->role == IPC_ROLE_LOGD)
		child_send_log_file(c);
	if (reload && r == 0)
		ipc_send(c->control, IPC_ctl_reload, &(struct ipc_ctl_reload){}, NULL);
	return r;
}

static int send_listeners(struct child *c)
{
	int r = 0;

	for (size_t i = 0; i < c->m->listeners.n && r == 0; i++) {
		const struct listener *l = &c->m->listeners.l[i];
		struct buf local = BUF_INIT(ADDR_PACKED_MAX);
		struct ipc_ctl_listener msg = { .name = slice_str(l->name),
			.flags = l->flags,
			.clients = slice_str(l->clients),
			.proxies = slice_str(l->proxies) };

		if (l->role != c->prog->role)
			continue;
		addr_pack(&l->addr, &local);
		msg.local = buf_slice(&local);
		r = send_fd(c, IPC_ctl_listener, &msg, fcntl(l->fd, F_DUPFD_CLOEXEC, 0));
		buf_fini(&local);
	}
	return r;
}

static int send_dirs(struct child *c)
{
	const char *user = sandbox_rows[c->prog->row].user;
	struct buf why = BUF_INIT(512);
	int fd, r = 0;

	if (c->m->empty_fd >= 0)
		r = send_fd(c, IPC_ctl_dir, &(struct ipc_ctl_dir){ SLICE("empty") },
		    fcntl(c->m->empty_fd, F_DUPFD_CLOEXEC, 0));
	if (r != 0 || c->prog->dir == NULL)
		return r;
	fd = files_data_dir(c->m, c->prog->dir, user, &why);
	if (fd < 0) {
		snprintf(c->why, sizeof(c->why), "%s", buf_cstr(&why));
		c->why[strcspn(c->why, "\n")] = '\0';
	} else {
		send_fd(c, IPC_ctl_dir, &(struct ipc_ctl_dir){ slice_str(c->prog->dir) }, fd);
	}
	buf_fini(&why);
	return fd < 0 ? fd : 0;
}

int child_send_all(struct child *c)
{
	int r = send_dirs(c);

	if (r == 0)
		r = child_send_conf(c, false);
	if (r == 0)
		r = send_listeners(c);
	if (r == 0 && c->prog->role == IPC_ROLE_LOGD)
		r = master_attach_logs(c);
	else if (r == 0)
		r = master_attach_log(c);
	if (r == 0)
		r = peers_connect(c);
	if (r == 0)
		ipc_send(c->control, IPC_ctl_go, &(struct ipc_ctl_go){ c->crashes }, NULL);
	return r;
}
