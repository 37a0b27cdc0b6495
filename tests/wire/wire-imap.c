/*
 * wire-imap - the IMAP core on standard input and output, before a real stored core on the memory
 * engine; authd is played.
 *
 *     wire-imap imap [options]
 *       --tls-offered  --no-plain   what the connection is like
 *       --mail USER FILE            a message of user 1..9 before the login
 *       --quota=N                   octets that the accounts may use
 *       --split N                   feed N bytes at a time
 *       --also FD                   a further connection, on a socket; may come several times
 *       --control FD                lines of commands: timeout, stop, lose auth|session, deliver
 * USER FILE, restart, quiet on|off; each is answered by "done"
 *       --dump DIR                  taken and ignored
 */
#include "common/base/io.h"
#include "protocols/imap/imap.h"
#include "tests/wire/world.h"

#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { CONNS_MAX = 4 };

struct conn {
	struct fake *fake;
	size_t shown;
	int in, out;
};

struct wire {
	struct world world;
	struct conn conns[CONNS_MAX];
	unsigned n_conns;
	size_t split;
	int control;
};

static const struct imap_conf imap_conf = { .mechs = 7, .append_max = 100000 };

static void load_mail(struct wire *w, const char *user, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t *p;
	size_t n;

	if (fd < 0 || io_slurp(fd, 64 << 20, &p, &n) != 0)
		err(2, "%s", path);
	world_deliver(&w->world, (unsigned)atoi(user), slice_of(p, n));
	free(p);
	fd_close(&fd);
}

static const char *value(int argc, char **argv, int *i)
{
	if (*i + 1 >= argc)
		errx(2, "%s needs a value", argv[*i]);
	return argv[++*i];
}

static void conn_add(struct wire *w, const struct fake_conf *conf, int in, int out)
{
	struct fake_conf c = *conf;
	struct conn *k = &w->conns[w->n_conns++];

	if (w->n_conns > CONNS_MAX)
		errx(2, "too many connections");
	c.store = world_store(&w->world);
	*k = (struct conn){ fake_new(&c), 0, in, out };
}

static void begin(struct wire *w, int argc, char **argv)
{
	struct fake_conf conf = {
		.core = &imap_core, .core_conf = &imap_conf, .plain_login = true
	};
	int also[CONNS_MAX];
	unsigned n_also = 0;

	w->split = 1 << 20;
	w->control = -1;
	/* Every transcript runs both ways: with headers that are kept, and read from bodies. */
	for (int i = 2; i < argc; i++)
		w->world.no_headers |= strcmp(argv[i], "--split") == 0;
	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "--tls-offered") == 0)
			conf.tls_offered = true;
		else if (strcmp(argv[i], "--no-plain") == 0)
			conf.plain_login = false;
		else if (strncmp(argv[i], "--quota=", 8) == 0)
			w->world.rig.quota = strtoull(argv[i] + 8, NULL, 10);
		else if (strcmp(argv[i], "--split") == 0)
			w->split = (size_t)atoi(value(argc, argv, &i));
		else if (strcmp(argv[i], "--control") == 0)
			w->control = atoi(value(argc, argv, &i));
		else if (strcmp(argv[i], "--also") == 0 && n_also < CONNS_MAX)
			also[n_also++] = atoi(value(argc, argv, &i));
		else if (strcmp(argv[i], "--dump") == 0)
			value(argc, argv, &i);
		else if (strcmp(argv[i], "--mail") == 0 && i + 2 < argc) {
			load_mail(w, argv[i + 1], argv[i + 2]);
			i += 2;
		} else
			errx(2, "unknown option %s", argv[i]);
	}
	conn_add(w, &conf, STDIN_FILENO, STDOUT_FILENO);
	for (unsigned i = 0; i < n_also; i++)
		conn_add(w, &conf, also[i], also[i]);
}

/* What came of it, on every connection. The delay of a failed login passes at once. */
static void show(struct wire *w)
{
	for (unsigned i = 0; i < w->n_conns; i++) {
		struct conn *c = &w->conns[i];
		struct slice out;

		if (c->fake == NULL)
			continue;
		fake_run(c->fake);
		while (fake_port(c->fake)->busy && fake_deadline(c->fake) < 5000 &&
		       fake_timeout(c->fake))
			;
		out = slice_from(fake_output(c->fake), c->shown);
		c->shown += out.n;
		if (out.n > 0 && io_write_all(c->out, out) != 0)
			exit(0);
		if (!fake_closed(c->fake))
			continue;
		fake_free(&c->fake);
		if (i > 0)
			fd_close(&c->in);
		else
			close(STDOUT_FILENO);
	}
}

static void on_control(struct wire *w)
{
	char line[4096], name[32], path[4000];
	ssize_t n = read(w->control, line, sizeof(line) - 1);
	struct fake *f = w->conns[0].fake;

	if (n <= 0) {
		w->control = -1;
		return;
	}
	line[n] = '\0';
	if (strncmp(line, "timeout", 7) == 0 && f != NULL)
		fake_timeout(f);
	else if (strncmp(line, "stop", 4) == 0 && f != NULL)
		fake_event(f, FRONT_STOPPING);
	else if (sscanf(line, "lose %31s", name) == 1 && f != NULL)
		fake_lose(f, strcmp(name, "auth") == 0 ? FRONT_AUTH : FRONT_SESSION);
	else if (sscanf(line, "deliver %31s %3999s", name, path) == 2)
		load_mail(w, name, path);
	else
		errx(2, "unknown control: %s", line);
	show(w);
	if (write(w->control, "done\n", 5) != 5)
		w->control = -1;
}

static void on_input(struct wire *w, struct conn *c)
{
	uint8_t bytes[65536];
	ssize_t n = read(c->in, bytes, sizeof(bytes));
	struct slice in = slice_of(bytes, n > 0 ? (size_t)n : 0);

	while (in.n > 0 && c->fake != NULL) {
		fake_input(c->fake, slice_part(in, 0, w->split));
		in = slice_from(in, w->split < in.n ? w->split : in.n);
		if (in.n == 0 || w->split == 1)
			show(w);
	}
	if (n <= 0 && c->fake != NULL)
		fake_free(&c->fake);
}

int main(int argc, char **argv)
{
	struct wire w = { 0 };

	world_init(&w.world, "mem");
	begin(&w, argc, argv);
	show(&w);
	while (w.conns[0].fake != NULL) {
		struct pollfd p[CONNS_MAX + 1] = { { w.control, POLLIN, 0 } };

		for (unsigned i = 0; i < w.n_conns; i++)
			p[i + 1] = (struct pollfd){ w.conns[i].fake != NULL ? w.conns[i].in : -1,
				POLLIN, 0 };
		if (poll(p, w.n_conns + 1, 10000) <= 0)
			errx(2, "nothing happens");
		if (p[0].revents != 0)
			on_control(&w);
		for (unsigned i = 0; i < w.n_conns; i++)
			if (p[i + 1].revents != 0 && w.conns[i].fake != NULL)
				on_input(&w, &w.conns[i]);
	}
	for (unsigned i = 0; i < w.n_conns; i++)
		fake_free(&w.conns[i].fake);
	world_fini(&w.world);
	return 0;
}
