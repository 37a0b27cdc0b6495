/*
 * helper - connections to helpers that know passwords (docs/external.md).
 *
 * Whoever runs a helper listens at a Unix socket, and we connect: no code of an operator's is ever
 * started here, with what we hold or as a child of ours. The program that speaks to it cannot
 * connect by itself; it asks.
 */
#include "master/master.h"

#include "common/base/io.h"
#include "common/base/log.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static const enum conf_key helpers[] = { CONF_pam_helper, CONF_external_helper };

enum { HELPERS = sizeof(helpers) / sizeof(helpers[0]) };

bool helper_any(const struct conf *conf)
{
	for (int i = 0; i < HELPERS; i++)
		if (*conf_get_str(conf, helpers[i]) != '\0')
			return true;
	return false;
}

/* We never wait: one whose queue is full is one that is not there. */
static int connect_to(const char *path, int *ret_fd)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	size_t n = strlen(path);
	int fd;

	if (n >= sizeof(sun.sun_path))
		return -ENAMETOOLONG;
	memcpy(sun.sun_path, path, n);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) != 0) {
		int r = -errno;

		fd_close(&fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

void helper_connect(struct child *c, struct slice option)
{
	static int last[HELPERS]; /* told once, until it changes */

	for (int i = 0; i < HELPERS; i++) {
		const char *path = conf_get_str(&c->m->conf, helpers[i]);
		int fd = -1, r;

		if (!slice_eq(option, slice_str(conf_rows[helpers[i]].name)) || *path == '\0')
			continue;
		r = connect_to(path, &fd);
		if (r != last[i] && r != 0)
			log_ev(LOG_WARNING, "master.helper",
			    kv_s("name", conf_rows[helpers[i]].name), kv_s("what", path),
			    kv_err("err", r));
		last[i] = r;
		if (r == 0)
			ipc_send(c->control, IPC_ctl_file, &(struct ipc_ctl_file){ option }, &fd);
	}
}
