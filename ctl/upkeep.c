/* upkeep - the store of a server that runs: its state, compaction, scrub. */
#include "ctl/ctl.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { POLL_MS = 300, SHOW_EVERY = 3 };

static long long number(const struct data *state, const char *key)
{
	const struct data *d = data_get(state, key);

	return d != NULL ? (long long)d->number : 0;
}

static struct slice word(const struct data *state, const char *key)
{
	const struct data *d = data_get(state, key);

	return d != NULL ? d->text : SLICE_NONE;
}

static int ask(struct ctl *c, const char *verb, struct reply *ret)
{
	struct buf b;
	int status;

	line_start(&b, verb);
	status = ctl_ask(c, &b, ret);
	if (status == CTL_DONE && ret->data == NULL)
		return ctl_refuse(c, "the server does not say");
	return status;
}

/* ---- what it looks like ---- */

static void bytes_line(const char *what, long long bytes, long long all)
{
	printf("%-22s %8.1f MiB", what, (double)bytes / (1 << 20));
	if (all > 0)
		printf("  %3.0f%%", 100.0 * (double)bytes / (double)all);
	printf("\n");
}

static void last_line(const struct data *state, const char *what)
{
	char key[40], when[40];
	time_t at;
	struct tm tm;

	snprintf(key, sizeof(key), "%s-ended", what);
	at = (time_t)number(state, key);
	if (at == 0 && strcmp(what, "scrub") == 0)
		at = (time_t)number(state, "scrubbed");
	if (at == 0) {
		printf("%-22s never since the server started\n", what);
		return;
	}
	localtime_r(&at, &tm);
	strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	snprintf(key, sizeof(key), "%s-result", what);
	printf("%-22s %s %.*s\n", what, when, SLICE_FMT(word(state, key)));
}

static void show_state(const struct data *s)
{
	enum { REFUSED = 4 }; /* store_health() */
	long long all = number(s, "file-bytes");

	if (number(s, "health") == REFUSED) {
		printf("the store is damaged, left as it is, and nothing of it is served: "
		       "'gatehousectl check' says what helps\n");
		return;
	}
	bytes_line("files", all, 0);
	bytes_line("living", number(s, "live-bytes"), all);
	bytes_line("dead", number(s, "dead-bytes"), all);
	bytes_line("messages", number(s, "body-raw-bytes"), 0);
	bytes_line("messages, as stored", number(s, "body-stored-bytes"), number(s, "body-raw-bytes"));
	bytes_line("can be restored", number(s, "undelete-bytes"), all);
	bytes_line("index", number(s, "index-bytes"), 0);
	printf("%-22s %lld segments, %lld of one body each, %lld rows\n", "made of",
	    number(s, "segments"), number(s, "body-files"), number(s, "rows"));
	last_line(s, "compact");
	last_line(s, "scrub");
	printf("%-22s %lld bodies, %lld rows, %lld places in the log\n", "damaged",
	    number(s, "damaged-bodies"), number(s, "damaged-rows"), number(s, "damaged-frames"));
	printf("%-22s %.*s\n", "runs now", SLICE_FMT(word(s, "running")));
}

int upkeep_stat(struct ctl *c)
{
	struct reply r;
	int status;

	if (client_open(&c->client, c->socket) != 0)
		return CTL_UNREACHED;
	status = ask(c, "GetStoreState", &r);
	if (status != CTL_DONE)
		return status;
	if (c->json)
		print_json(r.data);
	else
		show_state(r.data);
	return CTL_DONE;
}

/* ---- to begin, and to wait ---- */

struct chore {
	const char *verb, *name;
	long long ends; /* how many had ended before */
	bool shown;
};

static bool over(const struct chore *k, const struct data *s)
{
	char key[40];
	bool waits;

	snprintf(key, sizeof(key), "%s-waits", k->name);
	waits = number(s, key) > 0;
	snprintf(key, sizeof(key), "%s-ends", k->name);
	return !waits && number(s, key) > k->ends &&
	       !slice_eq(word(s, "running"), slice_str(k->name));
}

static void show_progress(const struct ctl *c, struct chore *k, const struct data *s)
{
	long long all = number(s, "total-bytes"), done = number(s, "done-bytes");

	if (c->json || c->quiet || !isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r%-8.*s %5.1f%% of %.1f MiB ", SLICE_FMT(word(s, "running")),
	    all > 0 ? 100.0 * (double)done / (double)all : 0.0, (double)all / (1 << 20));
	k->shown = true;
}

static void pause_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

static int wait_over(struct ctl *c, struct chore *k, struct reply *r)
{
	char key[40];
	int status = CTL_DONE;

	while (status == CTL_DONE && !over(k, r->data)) {
		show_progress(c, k, r->data);
		pause_ms(POLL_MS);
		status = ask(c, "GetStoreState", r);
	}
	if (k->shown)
		fprintf(stderr, "\n");
	if (status != CTL_DONE)
		return status;
	snprintf(key, sizeof(key), "%s-result", k->name);
	if (!slice_eq(word(r->data, key), SLICE("ok")))
		return ctl_refuse(c,
		    "it was given up (%.*s); nothing is lost, and the server tries again later",
		    SLICE_FMT(word(r->data, key)));
	return CTL_DONE;
}

/* Begun, or over: 0 with the state. */
static int chore_run(struct ctl *c, struct chore *k, struct reply *r)
{
	char key[40];
	int status = ask(c, "GetStoreState", r);

	if (status != CTL_DONE)
		return status;
	snprintf(key, sizeof(key), "%s-ends", k->name);
	k->ends = number(r->data, key);
	status = ask(c, k->verb, r);
	if (status == CTL_DONE && slice_eq(word(r->data, "begun"), SLICE("NO")) && !c->json &&
	    !c->quiet)
		printf("it was asked for already\n");
	if (status == CTL_DONE && ctl_opt(c, "wait") != NULL)
		status = wait_over(c, k, r);
	return status;
}

int ctl_store_compact(struct ctl *c)
{
	struct chore k = { .verb = "CompactStore", .name = "compact" };
	struct reply r;
	int status = chore_run(c, &k, &r);

	if (status != CTL_DONE)
		return status;
	if (c->json)
		print_json(r.data);
	else if (ctl_opt(c, "wait") != NULL)
		show_state(r.data);
	return CTL_DONE;
}

static int show_damaged(struct ctl *c)
{
	static const struct column columns[] = { { "WHAT", "What", false },
		{ "ACCOUNT", "AccountID", true }, { "MAILBOX", "Mailbox", false },
		{ "UID", "UID", true }, { "SEGMENT", "Segment", true },
		{ "OFFSET", "Offset", true } };
	struct reply r;
	int status = ask(c, "ListDamaged", &r);

	if (status != CTL_DONE)
		return status;
	if (c->json)
		print_json(r.data);
	else if (r.data->first != NULL)
		print_table(r.data, columns, sizeof(columns) / sizeof(columns[0]));
	else if (!c->quiet)
		printf("the last scrub found nothing damaged\n");
	return r.data->first != NULL ? CTL_REFUSED : CTL_DONE;
}

int ctl_store_scrub(struct ctl *c)
{
	struct chore k = { .verb = "ScrubStore", .name = "scrub" };
	struct reply r;
	int status;

	if (ctl_opt(c, "list") != NULL)
		return show_damaged(c);
	status = chore_run(c, &k, &r);
	if (status != CTL_DONE)
		return status;
	if (ctl_opt(c, "wait") != NULL)
		return show_damaged(c);
	if (c->json)
		print_json(r.data);
	return CTL_DONE;
}
