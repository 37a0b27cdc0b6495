/*
 * wire-core - a protocol core on standard input and output, its servers played in memory (fake.h).
 *
 *     wire-core pop3|lmtp|smtp|admin|pwd [options]
 *       --tls-offered --tls --no-plain --submission   what the connection is like
 *       --mail USER FILE               a message of user 1..9 before the login
 *       --split N                      feed N bytes at a time
 *       --control FD                   lines of commands: timeout, stop, lose
 * auth|session|rcpt|post|dir|secrets|store, fail STATUS, remove USER N; each is answered by "done"
 *       --dump DIR                     at the end: each user's messages as DIR/USER.N
 */
#include "common/base/io.h"
#include "protocols/admin/admin.h"
#include "protocols/pop3/pop3.h"
#include "protocols/smtp/smtp.h"
#include "tests/wire/fake.h"

#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct wire {
	struct fake *fake;
	struct fake_conf conf;
	size_t split, shown;
	int control;
	const char *dump;
};

static const struct pop3_conf pop3_conf = { .mechs = SASL_PLAIN | SASL_LOGIN | SASL_APOP |
						     SASL_SCRAM_SHA_256 };
static const struct smtp_conf smtp_conf = { .size_max = 100000,
	.rcpts_max = 100,
	.hops_max = 50,
	.mechs = SASL_PLAIN | SASL_LOGIN | SASL_APOP | SASL_SCRAM_SHA_256 };

static const struct admin_conf admin_conf = { .idle_ms = 600000 };
static const struct admin_conf pwd_conf = { .idle_ms = 600000,
	.pwd = true,
	.mechs = SASL_PLAIN | SASL_LOGIN | SASL_APOP | SASL_SCRAM_SHA_256 };

static void load_mail(struct fake *f, const char *user, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t *p;
	size_t n;

	if (fd < 0 || io_slurp(fd, 64 << 20, &p, &n) != 0)
		err(2, "%s", path);
	fake_mail(f, (unsigned)atoi(user), slice_of(p, n));
	free(p);
	fd_close(&fd);
}

static const char *value(int argc, char **argv, int *i)
{
	if (*i + 1 >= argc)
		errx(2, "%s needs a value", argv[*i]);
	return argv[++*i];
}

static void begin(struct wire *w, int argc, char **argv)
{
	bool pop3 = argc > 1 && strcmp(argv[1], "pop3") == 0;

	w->conf = (struct fake_conf){ .core = pop3 ? &pop3_core : &smtp_core,
		.core_conf = pop3 ? (const void *)&pop3_conf : &smtp_conf,
		.plain_login = true,
		.lmtp = argc > 1 && strcmp(argv[1], "lmtp") == 0 };
	if (argc > 1 && strcmp(argv[1], "admin") == 0) {
		w->conf.core = &admin_core;
		w->conf.core_conf = &admin_conf;
	} else if (argc > 1 && strcmp(argv[1], "pwd") == 0) {
		w->conf.core = &admin_core;
		w->conf.core_conf = &pwd_conf;
		w->conf.admin = true;
	}
	w->split = 1 << 20;
	w->control = -1;
	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "--tls-offered") == 0)
			w->conf.tls_offered = true;
		else if (strcmp(argv[i], "--tls") == 0)
			w->conf.tls = true;
		else if (strcmp(argv[i], "--submission") == 0)
			w->conf.submission = true;
		else if (strcmp(argv[i], "--no-plain") == 0)
			w->conf.plain_login = false;
		else if (strcmp(argv[i], "--split") == 0)
			w->split = (size_t)atoi(value(argc, argv, &i));
		else if (strcmp(argv[i], "--control") == 0)
			w->control = atoi(value(argc, argv, &i));
		else if (strcmp(argv[i], "--dump") == 0)
			w->dump = value(argc, argv, &i);
		else if (strcmp(argv[i], "--mail") == 0)
			i += 2;
		else
			errx(2, "unknown option %s", argv[i]);
	}
	w->fake = fake_new(&w->conf);
	for (int i = 2; i + 2 < argc; i++)
		if (strcmp(argv[i], "--mail") == 0)
			load_mail(w->fake, argv[i + 1], argv[i + 2]);
}

/* The delay of a failed login passes at once. */
static void show(struct wire *w)
{
	struct slice out;

	while (fake_port(w->fake)->busy && fake_deadline(w->fake) < 5000 && fake_timeout(w->fake))
		;
	out = slice_from(fake_output(w->fake), w->shown);
	w->shown += out.n;
	if (io_write_all(STDOUT_FILENO, out) != 0)
		exit(0);
}

static enum front_peer peer_named(const char *name)
{
	return strcmp(name, "auth") == 0      ? FRONT_AUTH
	       : strcmp(name, "session") == 0 ? FRONT_SESSION
	       : strcmp(name, "rcpt") == 0    ? FRONT_RCPT
	       : strcmp(name, "dir") == 0     ? FRONT_DIR
	       : strcmp(name, "secrets") == 0 ? FRONT_SECRETS
	       : strcmp(name, "store") == 0   ? FRONT_STORE
					      : FRONT_POST;
}

static void on_control(struct wire *w)
{
	char line[256], name[32];
	unsigned a, b;
	ssize_t n = read(w->control, line, sizeof(line) - 1);

	if (n <= 0) {
		w->control = -1;
		return;
	}
	line[n] = '\0';
	if (strncmp(line, "timeout", 7) == 0)
		fake_timeout(w->fake);
	else if (strncmp(line, "stop", 4) == 0)
		fake_event(w->fake, FRONT_STOPPING);
	else if (sscanf(line, "lose %31s", name) == 1)
		fake_lose(w->fake, peer_named(name));
	else if (sscanf(line, "fail %u", &a) == 1)
		fake_store_fails(w->fake, a);
	else if (sscanf(line, "remove %u %u", &a, &b) == 2)
		fake_remove(w->fake, a, b - 1);
	else
		errx(2, "unknown control: %s", line);
	show(w);
	if (write(w->control, "done\n", 5) != 5)
		w->control = -1;
}

static bool on_input(struct wire *w)
{
	uint8_t bytes[65536];
	ssize_t n = read(STDIN_FILENO, bytes, sizeof(bytes));
	struct slice in = slice_of(bytes, n > 0 ? (size_t)n : 0);

	while (in.n > 0) {
		fake_input(w->fake, slice_part(in, 0, w->split));
		in = slice_from(in, w->split < in.n ? w->split : in.n);
		show(w);
	}
	return n > 0;
}

static void dump(struct wire *w)
{
	for (unsigned u = 1; u <= FAKE_USERS; u++) {
		for (unsigned i = 0, n = 0; i < fake_mail_all(w->fake, u); i++) {
			char path[4096];
			int fd;

			if (fake_mail_gone(w->fake, u, i))
				continue;
			snprintf(path, sizeof(path), "%s/%u.%u", w->dump, u, ++n);
			fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
			if (fd < 0 || io_write_all(fd, fake_mail_get(w->fake, u, i)) != 0)
				err(2, "%s", path);
			fd_close(&fd);
		}
	}
}

int main(int argc, char **argv)
{
	struct wire w = { 0 };
	bool open_in = true;

	begin(&w, argc, argv);
	show(&w);
	while (open_in && !fake_closed(w.fake)) {
		struct pollfd p[2] = { { STDIN_FILENO, POLLIN, 0 }, { w.control, POLLIN, 0 } };

		if (poll(p, 2, 10000) <= 0)
			errx(2, "nothing happens");
		if (p[1].revents != 0)
			on_control(&w);
		else if (p[0].revents != 0)
			open_in = on_input(&w);
	}
	if (w.dump != NULL)
		dump(&w);
	fake_free(&w.fake);
	return 0;
}
