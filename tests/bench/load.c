/*
 * gatehouse-load - client side of the measurements: LMTP, POP3, logins, idle connections.
 *
 * One thread and one event loop; tests/bench/run starts it and reads its JSON line. It counts and
 * checks what comes back, so that a server which answers fast and wrong does not win.
 */
#include "load.h"

#include <err.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

void load_pack_open(struct load_pack *p, const char *path)
{
	char idx[4096];
	unsigned long long at, wire, body;
	struct stat st;
	uint8_t *map;
	size_t room = 0;
	FILE *f;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0)
		err(2, "%s", path);
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (map == MAP_FAILED)
		err(2, "mmap %s", path);
	close(fd);
	snprintf(idx, sizeof(idx), "%s.idx", path);
	f = fopen(idx, "re");
	if (f == NULL)
		err(2, "%s", idx);
	*p = (struct load_pack){ 0 };
	while (fscanf(f, "%llu %llu %llu", &at, &wire, &body) == 3) {
		if (at + wire > (unsigned long long)st.st_size)
			errx(2, "%s does not fit its pack", idx);
		if (p->count == room) {
			room = room == 0 ? 256 : room * 2;
			p->msg = realloc(p->msg, room * sizeof(*p->msg));
			if (p->msg == NULL)
				errx(2, "out of memory");
		}
		p->msg[p->count++] = (struct load_msg){ map + at, (size_t)wire };
	}
	fclose(f);
	if (p->count == 0)
		errx(2, "%s holds no message", path);
}

void load_run_init(struct load_run *r, const struct load_opt *o)
{
	*r = (struct load_run){ .start_s = now_s(), .extra = "" };
	r->latency_s = calloc((size_t)o->count, sizeof(double));
	if (r->latency_s == NULL)
		errx(2, "out of memory");
}

void load_unit_done(struct load_run *r, double began_s)
{
	r->end_s = now_s();
	r->latency_s[r->latencies++] = r->end_s - began_s;
	r->done++;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double percentile_ms(struct load_run *r, int percent)
{
	return r->latencies == 0 ? 0
				 : r->latency_s[(r->latencies - 1) * (size_t)percent / 100] * 1e3;
}

int load_report(struct load_run *r, const char *kind, const struct load_opt *o)
{
	double span_s = r->end_s > r->start_s ? r->end_s - r->start_s : 1e-9;
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	qsort(r->latency_s, r->latencies, sizeof(double), by_value);
	printf("{\"kind\":\"%s\",\"count\":%llu,\"wrong\":%llu,\"seconds\":%.4f,\"per_s\":%.1f,"
	       "\"bytes\":%llu,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"load_cpu_s\":%.3f%s}\n",
	    kind, (unsigned long long)r->done, (unsigned long long)r->wrong, span_s,
	    (double)r->done / span_s, (unsigned long long)r->bytes, percentile_ms(r, 50),
	    percentile_ms(r, 99),
	    (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
		(double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6,
	    r->extra);
	fflush(stdout);
	return r->wrong == 0 && r->done == (uint64_t)o->count ? 0 : 1;
}

static const struct {
	const char *name;
	int (*run)(const struct load_opt *o);
} kinds[] = {
	{ "lmtp", load_lmtp },
	{ "pop3", load_pop3 },
	{ "login", load_login },
	{ "idle", load_idle },
};

static void usage(void)
{
	fputs("usage: gatehouse-load lmtp|pop3|login|idle --port N [--host A] [--tls] [--sessions "
	      "N]\n"
	      "         [--count N] [--accounts N] [--first-account N] [--messages PACK] [--depth "
	      "N] [--lockstep]\n"
	      "         [--user-prefix u] [--user-suffix @example.test] [--password P] [--spread]\n"
	      "         [--deadline SECONDS]\n",
	    stderr);
	exit(2);
}

static void parse_options(int argc, char **argv, struct load_opt *o)
{
	static const struct option opts[] = { { "host", 1, NULL, 'h' }, { "port", 1, NULL, 'p' },
		{ "tls", 0, NULL, 't' }, { "sessions", 1, NULL, 's' }, { "count", 1, NULL, 'c' },
		{ "accounts", 1, NULL, 'a' }, { "messages", 1, NULL, 'm' },
		{ "depth", 1, NULL, 'd' }, { "lockstep", 0, NULL, 'l' },
		{ "user-prefix", 1, NULL, 'u' }, { "user-suffix", 1, NULL, 'U' },
		{ "password", 1, NULL, 'P' }, { "spread", 0, NULL, 'S' },
		{ "deadline", 1, NULL, 'D' }, { "first-account", 1, NULL, 'F' },
		{ NULL, 0, NULL, 0 } };
	int c;

	while ((c = getopt_long(argc, argv, "", opts, NULL)) != -1) {
		switch (c) {
		case 'h':
			o->host = optarg;
			break;
		case 'p':
			o->port = atoi(optarg);
			break;
		case 't':
			o->tls = true;
			break;
		case 's':
			o->sessions = atoi(optarg);
			break;
		case 'c':
			o->count = atoi(optarg);
			break;
		case 'a':
			o->accounts = atoi(optarg);
			break;
		case 'm':
			o->messages = optarg;
			break;
		case 'd':
			o->depth = atoi(optarg);
			break;
		case 'l':
			o->lockstep = true;
			break;
		case 'u':
			o->user_prefix = optarg;
			break;
		case 'U':
			o->user_suffix = optarg;
			break;
		case 'P':
			o->password = optarg;
			break;
		case 'S':
			o->spread = true;
			break;
		case 'F':
			o->first_account = atoi(optarg);
			break;
		case 'D':
			o->deadline_s = atoi(optarg);
			break;
		default:
			usage();
		}
	}
	if (o->port <= 0 || o->sessions <= 0 || o->count <= 0 || o->accounts <= 0 || o->depth <= 0)
		usage();
}

int main(int argc, char **argv)
{
	struct load_opt o = { .host = "127.0.0.1",
		.user_prefix = "u",
		.user_suffix = "",
		.password = "gatehouse",
		.sessions = 1,
		.count = 1,
		.accounts = 1,
		.first_account = 1,
		.depth = 1,
		.deadline_s = 300 };

	if (argc < 2)
		usage();
	parse_options(argc - 1, argv + 1, &o);
	/* SIGALRM's default action ends us: a hung server must not hang the run. */
	alarm((unsigned)o.deadline_s);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].name, argv[1]) == 0)
			return kinds[i].run(&o);
	usage();
}
