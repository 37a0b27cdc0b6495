/*
 * passed - listening sockets that systemd made (a socket unit of gatehouse.service).
 *
 * Such a socket serves the listener of the configuration that has the same address and port, or the
 * same path. Its name (FileDescriptorName=) is that of the program which is to have it, or says
 * nothing: then it is the name of its unit.
 */
#include "master/master.h"

#include "common/base/io.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#ifdef GH_SYSTEMD
#include <systemd/sd-daemon.h>

static int find_place(struct passed *p)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);

	if (getsockname(p->fd, (struct sockaddr *)&ss, &len) != 0)
		return -errno;
	p->addr = addr_from_sockaddr((struct sockaddr *)&ss, len);
	if (ss.ss_family == AF_UNIX)
		snprintf(p->path, sizeof(p->path), "%.*s", (int)sizeof(p->path) - 1,
		    ((struct sockaddr_un *)&ss)->sun_path);
	return 0;
}

static int take(int fd, const char *name, struct sockets *s, struct buf *why)
{
	struct passed *all = reallocarray(s->passed, s->n_passed + 1, sizeof(*all));
	struct passed *p;

	if (all == NULL)
		return -ENOMEM;
	s->passed = all;
	p = &all[s->n_passed];
	*p = (struct passed){ .fd = fd };
	snprintf(p->name, sizeof(p->name), "%s", name);
	if (sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) <= 0 || find_place(p) != 0 ||
	    p->addr.family == 0) {
		buf_printf(why, "systemd passed a socket named %s that does not listen\n", name);
		return -EINVAL;
	}
	s->n_passed++;
	return fd_nonblock(fd);
}

int passed_open(struct sockets *s, struct buf *why)
{
	char **names = NULL;
	int n = sd_listen_fds_with_names(1, &names), r = n < 0 ? n : 0;

	for (int i = 0; i < n; i++) {
		if (r == 0)
			r = take(SD_LISTEN_FDS_START + i, names[i], s, why);
		free(names[i]);
	}
	free(names);
	if (r != 0 && why->n == 0)
		buf_printf(why, "cannot take the sockets of systemd: %s\n", strerror(-r));
	return r;
}
#else
int passed_open(struct sockets *s, struct buf *why)
{
	return 0;
}
#endif

void passed_fini(struct sockets *s)
{
	for (size_t i = 0; i < s->n_passed; i++)
		fd_close(&s->passed[i].fd);
	free(s->passed);
	s->passed = NULL;
	s->n_passed = 0;
}

static bool same_place(const struct passed *p, const struct listener *l)
{
	if (p->addr.family != l->addr.family)
		return false;
	if (p->addr.family == 1)
		return strcmp(p->path, l->path) == 0;
	return addr_same_ip(&p->addr, &l->addr) && p->addr.port == l->addr.port;
}

/* The name of a unit, or of nothing, says nothing about the program. */
static bool is_name_of_program(const char *name)
{
	for (int i = 0; i < PROGRAMS; i++)
		if (strcmp(name, program_name(&programs[i])) == 0)
			return true;
	return false;
}

const struct passed *passed_find(const struct sockets *s, const struct listener *l)
{
	for (size_t i = 0; i < s->n_passed; i++) {
		const struct passed *p = &s->passed[i];

		if (same_place(p, l) &&
		    (!is_name_of_program(p->name) || strcmp(p->name, ipc_role_name(l->role)) == 0))
			return p;
	}
	return NULL;
}

/* A socket that nobody accepts on would let clients in and leave them waiting. */
int passed_check(const struct sockets *s, const struct listeners *ls, struct buf *why)
{
	int r = 0;

	for (size_t i = 0; i < s->n_passed; i++) {
		const struct passed *p = &s->passed[i];
		char ip[ADDR_TEXT_MAX];
		bool used = false;

		for (size_t j = 0; j < ls->n; j++)
			used |= passed_find(s, &ls->l[j]) == p;
		if (used)
			continue;
		if (p->addr.family == 1)
			buf_printf(why, "no listener is for the socket of systemd at %s", p->path);
		else
			buf_printf(why, "no listener is for the socket of systemd on %s port %u",
			    addr_ip_text(&p->addr, ip), p->addr.port);
		buf_printf(why, ", named %s\n", p->name);
		r = -ENOENT;
	}
	return r;
}
