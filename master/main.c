/*
 * gatehouse - the master: starts every process of the suite, leads it, and starts it again.
 *
 * Holds:    the listening sockets, key files, the sink's ends of all log channels, a control
 * channel and a pidfd for each process; it opens data directories and passes them on. May: bind,
 * switch user, chroot, end its children (capabilities of its row in common/sandbox/table.c); as
 * ordinary user none of these. May not:  read what a stranger sent. It knows no protocol, and its
 * own configuration is parsed by a process without rights (readconf.c), which hands back checked
 * values. Trusts:   the administrator's command line.  Distrusts: every process below it; their
 * messages pass the schema's table and none of them can make it do more than note readiness or
 * failure. If taken: the machine's mail service is taken; that is why it reads so little.
 */
#include "master/master.h"

#include "common/base/io.h"
#include "common/base/log.h"
#include "common/conf/limits.h"
#include "common/sandbox/leaks.h"
#include "common/sandbox/title.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char help[] =
    "usage: gatehouse [options] [FILE]\n"
    "Runs the suite with the configuration FILE (default " GH_SYSCONFDIR
    "/gatehouse/gatehouse.conf).\n"
    "  --check          read the configuration, say everything that is wrong with it, and end\n"
    "  --libexec DIR    where the programs of the suite are (default " GH_LIBEXECDIR ")\n"
    "  --bind-socket PATH  who listens there makes the TCP sockets (systemd's units use it)\n"
    "  --ready-fd N     write \"ready\" and a line end to descriptor N when everything runs\n"
    "  --keep-stderr    leave standard error open in every process (for debuggers, sanitizers)\n"
    "  --version, --help\n"
    "SIGHUP reads the configuration again, SIGUSR1 opens the log file again, SIGTERM stops in "
    "order.\n";

enum {
	OPT_CHECK = 256,
	OPT_LIBEXEC,
	OPT_BIND_SOCKET,
	OPT_READY_FD,
	OPT_KEEP_STDERR,
	OPT_VERSION,
	OPT_HELP
};

static const struct option options[] = {
	{ "check", no_argument, NULL, OPT_CHECK },
	{ "libexec", required_argument, NULL, OPT_LIBEXEC },
	{ "bind-socket", required_argument, NULL, OPT_BIND_SOCKET },
	{ "ready-fd", required_argument, NULL, OPT_READY_FD },
	{ "keep-stderr", no_argument, NULL, OPT_KEEP_STDERR },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, OPT_HELP },
	{ 0 },
};

static int check(struct master *m)
{
	struct buf errors = BUF_INIT(CONF_ERRORS_BYTES);
	int r = readconf(m->conf_path, m->empty_fd, &m->conf, &errors);

	if (r == 0) {
		r = outside_check(&m->conf, &errors);
		if (r == 0)
			r = key_files_take(m, &m->conf, &m->keys, &errors);
		key_files_fini(&m->keys);
		if (r == 0)
			printf("%s is correct\n", m->conf_path);
		if (m->conf.n_sections == 0)
			fprintf(stderr, "note: it has no listener: nobody can connect\n");
		conf_fini(&m->conf);
	}
	fprintf(stderr, "%s", buf_cstr(&errors));
	buf_fini(&errors);
	return r == 0 ? 0 : 1;
}

static int parse_fd(const char *text)
{
	uint64_t v;

	return slice_u64(slice_str(text), 1 << 20, &v) == 0 ? (int)v : -1;
}

/* 0 to go on, else the exit status + 1. */
static int parse_args(int argc, char **argv, struct master *m, bool *ret_check)
{
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (opt) {
		case OPT_CHECK:
			*ret_check = true;
			break;
		case OPT_LIBEXEC:
			m->libexec = optarg;
			break;
		case OPT_BIND_SOCKET:
			m->sockets.bind_path = optarg;
			break;
		case OPT_READY_FD:
			m->ready_fd = parse_fd(optarg);
			if (m->ready_fd < 0 || fd_cloexec(m->ready_fd, true) != 0) {
				fprintf(stderr, "gatehouse: --ready-fd is no descriptor\n");
				return 3;
			}
			break;
		case OPT_KEEP_STDERR:
			m->keep_stderr = true;
			break;
		case OPT_VERSION:
			printf("gatehouse %s\n", GH_VERSION);
			return 1;
		case OPT_HELP:
			printf("%s", help);
			return 1;
		default:
			fprintf(stderr, "%s", help);
			return 3;
		}
	}
	if (optind + 1 < argc) {
		fprintf(stderr, "gatehouse: one configuration file, not %d\n", argc - optind);
		return 3;
	}
	if (optind < argc)
		m->conf_path = argv[optind];
	return 0;
}

/* The strings of argv are the title's memory; what we keep of them is copied. */
static void keep_strings(struct master *m)
{
	m->conf_path = strdup(m->conf_path);
	m->libexec = strdup(m->libexec);
	if (m->sockets.bind_path != NULL)
		m->sockets.bind_path = strdup(m->sockets.bind_path);
	if (m->conf_path == NULL || m->libexec == NULL)
		exit(1);
}

int main(int argc, char **argv)
{
	struct master m = { .conf_path = GH_SYSCONFDIR "/gatehouse/gatehouse.conf",
		.libexec = GH_LIBEXECDIR,
		.ready_fd = -1,
		.empty_fd = -1,
		.signal_fd = -1,
		.pid_fd = -1,
		.log_sink_fd = -1,
		.as_root = geteuid() == 0 };
	struct buf why = BUF_INIT(4096);
	bool only_check = false;
	int r = parse_args(argc, argv, &m, &only_check);

	if (r != 0)
		return r - 1;
	keep_strings(&m);
	log_init(STDERR_FILENO, false, only_check ? LOG_ERR : LOG_INFO);
	if (m.as_root && outside_check_users(&why) == 0)
		m.empty_fd = files_empty_dir(&why);
	if (m.as_root && m.empty_fd < 0) {
		fprintf(stderr, "gatehouse: %s", buf_cstr(&why));
		return 1;
	}
	buf_fini(&why);
	if (only_check)
		return check(&m);
	title_init(argc, argv);
	title_set("master");
	r = master_run(&m);
	free((char *)m.conf_path);
	free((char *)m.libexec);
	free((char *)m.sockets.bind_path);
	fd_close(&m.empty_fd);
	return r;
}
