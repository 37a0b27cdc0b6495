/*
 * listen - the sockets on which strangers arrive. Bound here, read by their acceptor, never by us.
 */
#include "master/master.h"

#include "common/base/clock.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "master/bind/bind.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* The kernel has no addresses of that kind: nothing to listen on for "all of them". */
enum { NO_FAMILY = 1 };

enum {
	LISTENERS_MAX = 512,
	LOCAL_BACKLOG = 4096,
	BUSY_WAIT_MS = 5000, /* for all of them together: more than an orphan has to end */
	BUSY_PAUSE_MS = 20,
	BUSY_LOCAL_PAUSE_MS = 200, /* a try is a connection, which whoever lives there takes */
};

static enum ipc_role role_of(const char *name)
{
	for (int i = 0; i < PROGRAMS; i++)
		if (strcmp(program_name(&programs[i]), name) == 0)
			return programs[i].role;
	return IPC_ROLE_NONE;
}

static bool is_loopback(const struct addr *a)
{
	struct conf_net v4 = { .bits = 8 }, v6 = { .bits = 128 };

	addr_parse_ip(SLICE("127.0.0.0"), &v4.addr);
	addr_parse_ip(SLICE("::1"), &v6.addr);
	return conf_net_holds(&v4, a) || conf_net_holds(&v6, a);
}

static uint32_t flags_of(
    const struct conf *conf, const struct conf_section *s, const struct addr *a)
{
	const char *protocol = conf_section_str(s, CONF_protocol);
	const char *tls = conf_section_str(s, CONF_tls);
	uint32_t flags = 0;

	if (strcmp(tls, "yes") == 0)
		flags |= IPC_LISTEN_TLS;
	if (strcmp(tls, "starttls") == 0)
		flags |= IPC_LISTEN_STARTTLS;
	if (strcmp(protocol, "lmtp") == 0)
		flags |= IPC_LISTEN_LMTP;
	if (strcmp(protocol, "submission") == 0)
		flags |= IPC_LISTEN_SUBMISSION;
	if (conf_section_str(s, CONF_proxies)[0] != '\0')
		flags |= IPC_LISTEN_PROXY;
	if (conf_is_word(conf, CONF_plaintext_login, "always") ||
	    /* Who speaks through a proxy on this machine is not on this machine. */
	    (conf_is_word(conf, CONF_plaintext_login, "loopback") &&
		(flags & IPC_LISTEN_PROXY) == 0 && (a->family == 1 || is_loopback(a))))
		flags |= IPC_LISTEN_PLAIN_LOGIN;
	return flags;
}

static void listener_fini(struct listener *l)
{
	fd_close(&l->fd);
	free(l->clients);
	free(l->proxies);
}

static int add(struct listeners *ls, const struct conf *conf, const struct conf_section *s,
    const struct addr *a)
{
	struct listener *all =
	    ls->n < LISTENERS_MAX ? reallocarray(ls->l, ls->n + 1, sizeof(*all)) : NULL;
	struct listener *l;

	if (all == NULL)
		return -ENOMEM;
	ls->l = all;
	l = &all[ls->n++];
	*l = (struct listener){ .role = role_of(s->name),
		.addr = *a,
		.fd = -1,
		.mode = (mode_t)conf_section_u64(s, CONF_mode),
		.flags = flags_of(conf, s, a),
		.clients = strdup(conf_section_str(s, CONF_clients)),
		.proxies = strdup(conf_section_str(s, CONF_proxies)) };
	snprintf(l->path, sizeof(l->path), "%s", conf_section_str(s, CONF_socket));
	snprintf(l->owner, sizeof(l->owner), "%s", conf_section_str(s, CONF_owner));
	snprintf(l->group, sizeof(l->group), "%s", conf_section_str(s, CONF_group));
	if (a->family == 1)
		snprintf(l->name, sizeof(l->name), "%.40s-local", s->name);
	else
		snprintf(l->name, sizeof(l->name), "%.40s-%u", s->name, a->port);
	return l->clients != NULL && l->proxies != NULL ? 0 : -ENOMEM;
}

static int add_section(struct listeners *ls, const struct conf *conf, const struct conf_section *s)
{
	struct slice nets = slice_str(conf_section_str(s, CONF_address));
	struct conf_net net;
	int r = 0;

	if (conf_section_str(s, CONF_socket)[0] != '\0')
		return add(ls, conf, s, &(struct addr){ .family = 1 });
	while (r == 0 && conf_next_net(&nets, &net)) {
		net.addr.port = (uint16_t)conf_section_u64(s, CONF_port);
		r = add(ls, conf, s, &net.addr);
	}
	return r;
}

static void place_text(const struct listener *l, char out[160])
{
	char ip[ADDR_TEXT_MAX];

	if (l->addr.family == 1)
		snprintf(out, 160, "%s", l->path);
	else
		snprintf(out, 160, "%s port %u", addr_ip_text(&l->addr, ip), l->addr.port);
}

static bool same_place(const struct listener *a, const struct listener *b)
{
	if (a->addr.family == 1 || b->addr.family == 1)
		return a->addr.family == b->addr.family && strcmp(a->path, b->path) == 0;
	return addr_same_ip(&a->addr, &b->addr) && a->addr.port == b->addr.port;
}

struct source {
	const struct sockets *from;
	int asker_fd;          /* connected to from->bind_path once, when it is needed first */
	int64_t busy_until_ms; /* a place that somebody else has is tried again; 0: not at all */
};

static int open_tcp(struct listener *l, struct source *source, struct buf *why)
{
	const char *bind_path = source->from->bind_path;
	int r;

	if (bind_path == NULL)
		return bind_tcp(&l->addr, &l->fd);
	if (source->asker_fd < 0) {
		r = bind_asker_open(bind_path, &source->asker_fd);
		if (r != 0) {
			buf_printf(
			    why, "cannot ask for sockets at %s: %s\n", bind_path, strerror(-r));
			return r;
		}
	}
	return bind_ask(source->asker_fd, &l->addr, &l->fd);
}

/* A socket file that nobody listens on is what a killed suite left behind. */
static void remove_stale(const struct sockaddr_un *sun)
{
	struct stat st;
	int fd;

	if (lstat(sun->sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
		return;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) != 0 &&
	    errno == ECONNREFUSED)
		unlink(sun->sun_path);
	fd_close(&fd);
}

static int set_rights(const struct listener *l)
{
	uid_t uid = (uid_t)-1;
	gid_t gid = (gid_t)-1;

	if (l->owner[0] != '\0') {
		const struct passwd *pw = getpwnam(l->owner);

		if (pw == NULL)
			return -ENOENT;
		uid = pw->pw_uid;
	}
	if (l->group[0] != '\0') {
		const struct group *gr = getgrnam(l->group);

		if (gr == NULL)
			return -ENOENT;
		gid = gr->gr_gid;
	}
	if ((l->owner[0] != '\0' || l->group[0] != '\0') && lchown(l->path, uid, gid) != 0)
		return -errno;
	return chmod(l->path, l->mode) == 0 ? 0 : -errno;
}

static int open_local(struct listener *l)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	mode_t old;
	int r;

	memcpy(sun.sun_path, l->path, strnlen(l->path, sizeof(sun.sun_path) - 1));
	remove_stale(&sun);
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		return -errno;
	/* Nobody may connect before owner and mode are what was asked for. */
	old = umask(0777);
	r = bind(l->fd, (struct sockaddr *)&sun, sizeof(sun)) != 0 ? -errno : 0;
	umask(old);
	if (r != 0)
		fd_close(&l->fd); /* the name there is somebody else's, and stays */
	if (r == 0)
		r = set_rights(l);
	if (r == 0 && listen(l->fd, LOCAL_BACKLOG) != 0)
		r = -errno;
	return r;
}

/* What to do about it, for the errors that operators meet. */
static const char *advice(int err, bool local)
{
	if (err == EADDRINUSE)
		return local ? "; another suite listens there" : "; 'ss -ltnp' shows who has it";
	if (err == EACCES && !local)
		return "; ports below 1024 are for root";
	if (err == EADDRNOTAVAIL)
		return "; this machine has no such address";
	if (err == ENOENT && local)
		return "; its directory is missing";
	return "";
}

static bool is_any_address(const struct addr *a)
{
	static const uint8_t none[sizeof(a->ip)];

	return memcmp(a->ip, none, sizeof(none)) == 0;
}

/* Somebody else's socket, which stays theirs. */
static int share(struct listener *l, int fd, bool passed)
{
	l->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	l->passed = passed;
	if (l->fd < 0)
		return -errno;
	return l->addr.family == 1 && !passed ? set_rights(l) : 0;
}

/*
 * After kill -9 of a whole suite a process of it that was being forked may have its sockets for a
 * moment still, and a supervisor may be quick to start us again.
 */
static int open_when_free(
    struct listener *l, struct source *source, const char *place, struct buf *why)
{
	bool local = l->addr.family == 1;
	const struct timespec pause = { 0,
		(local ? BUSY_LOCAL_PAUSE_MS : BUSY_PAUSE_MS) * 1000000 };
	bool told = false;
	int r;

	for (;;) {
		r = local ? open_local(l) : open_tcp(l, source, why);
		if (r != -EADDRINUSE || clock_mono_ms() >= source->busy_until_ms)
			return r;
		if (!told)
			log_ev(LOG_WARNING, "listen.busy", kv_s("what", place));
		told = true;
		nanosleep(&pause, NULL);
	}
}

/* 0, NO_FAMILY, or -errno after a sentence. */
static int open_one(
    struct listener *l, const struct listeners *old, struct source *source, struct buf *why)
{
	const struct passed *p = passed_find(source->from, l);
	char place[160];
	int r;

	for (size_t i = 0; i < old->n; i++)
		if (same_place(l, &old->l[i]))
			return share(l, old->l[i].fd, old->l[i].passed);
	if (p != NULL)
		return share(l, p->fd, true);
	place_text(l, place);
	r = open_when_free(l, source, place, why);
	if (r == -EAFNOSUPPORT && is_any_address(&l->addr)) {
		log_ev(LOG_NOTICE, "listen.family", kv_s("what", place));
		return NO_FAMILY;
	}
	if (r != 0)
		buf_printf(why, "cannot listen on %s: %s%s\n", place, strerror(-r),
		    advice(-r, l->addr.family == 1));
	return r;
}

static int open_listeners(
    struct listeners *ls, const struct listeners *old, struct source *source, struct buf *why)
{
	size_t kept = 0;
	int r = 0;

	for (size_t i = 0; i < ls->n; i++) {
		if (r == 0)
			r = open_one(&ls->l[i], old, source, why);
		if (r != NO_FAMILY) {
			ls->l[kept++] = ls->l[i];
			continue;
		}
		listener_fini(&ls->l[i]);
		r = 0;
	}
	ls->n = kept;
	return r;
}

int listeners_open(const struct conf *conf, const struct sockets *from, struct listeners *old,
    struct listeners *ret, struct buf *why)
{
	struct listeners ls = { 0 };
	struct source source = { from, -1, old->n == 0 ? clock_mono_ms() + BUSY_WAIT_MS : 0 };
	int r = 0;

	for (size_t i = 0; i < conf->n_sections && r == 0; i++)
		if (conf->sections[i].kind == CONF_SECTION_LISTENER)
			r = add_section(&ls, conf, &conf->sections[i]);
	if (r == 0)
		r = open_listeners(&ls, old, &source, why);
	fd_close(&source.asker_fd);
	if (r == 0)
		r = passed_check(from, &ls, why);
	if (r == 0)
		*ret = ls;
	else
		listeners_fini(&ls, old);
	return r;
}

void listeners_fini(struct listeners *ls, const struct listeners *kept)
{
	for (size_t i = 0; i < ls->n; i++) {
		struct listener *l = &ls->l[i];
		bool keep = false;

		for (size_t j = 0; kept != NULL && j < kept->n; j++)
			keep |= same_place(l, &kept->l[j]);
		if (!keep && !l->passed && l->addr.family == 1 && l->fd >= 0)
			unlink(l->path);
		listener_fini(l);
	}
	free(ls->l);
	*ls = (struct listeners){ 0 };
}

static bool same(const struct listener *a, const struct listener *b)
{
	return same_place(a, b) && a->flags == b->flags && strcmp(a->clients, b->clients) == 0 &&
	       strcmp(a->proxies, b->proxies) == 0;
}

static const struct listener *next_of(const struct listeners *ls, enum ipc_role role, size_t *i)
{
	while (*i < ls->n && ls->l[*i].role != role)
		(*i)++;
	return *i < ls->n ? &ls->l[(*i)++] : NULL;
}

bool listeners_same(const struct listeners *a, const struct listeners *b, enum ipc_role role)
{
	size_t i = 0, j = 0;

	for (;;) {
		const struct listener *x = next_of(a, role, &i), *y = next_of(b, role, &j);

		if (x == NULL || y == NULL)
			return x == y;
		if (!same(x, y))
			return false;
	}
}

bool listeners_any(const struct listeners *ls, enum ipc_role role)
{
	size_t i = 0;

	return next_of(ls, role, &i) != NULL;
}
