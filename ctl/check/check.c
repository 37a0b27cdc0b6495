#include "ctl/check/check.h"

#include "common/conf/limits.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

static const char *const result_words[] = { "ok", "warning", "failed" };

static void show_json(struct check *k, enum check_result r, const char *kind, const char *what,
    const char *text, const char *advice)
{
	printf(k->rows > 0 ? ",\n" : "[");
	printf("{\"result\": \"%s\", ", result_words[r]);
	print_json_text("check", slice_str(kind));
	printf(", ");
	print_json_text("what", slice_str(what));
	printf(", ");
	print_json_text("text", slice_str(text));
	printf(", ");
	print_json_text("advice", slice_str(advice != NULL ? advice : ""));
	printf("}");
}

void check_row(struct check *k, enum check_result r, const char *kind, const char *what,
    const char *text, const char *advice)
{
	if (k->c->json) {
		show_json(k, r, kind, what, text, advice);
	} else if (!k->c->quiet || r != CHECK_OK) {
		printf("%-8s %-13s ", result_words[r], kind);
		print_text(slice_str(what));
		printf("%s", text[0] != '\0' ? ": " : "");
		print_text(slice_str(text));
		printf("\n");
		if (advice != NULL)
			printf("%-22s -> %s\n", "", advice);
	}
	k->rows++;
	k->warnings += r == CHECK_WARNING;
	k->failures += r == CHECK_FAILED;
	fflush(stdout);
}

void check_say(struct check *k, enum check_result r, const char *kind, const char *what,
    const char *advice, const char *fmt, ...)
{
	char text[500];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	check_row(k, r, kind, what, text, advice);
}

bool check_configuration(struct check *k)
{
	struct buf errors = BUF_INIT(CONF_ERRORS_BYTES);
	struct slice rest;
	size_t n = 0;
	uint8_t *text = read_input(k->c->conf, &n);
	int r = text != NULL ? conf_parse(&k->conf, k->c->conf, slice_of(text, n), &errors) : 0;

	if (text == NULL)
		check_row(k, CHECK_FAILED, "configuration", k->c->conf, "cannot be read",
		    "name another one with --conf, or run this as root");
	else if (r == 0)
		check_row(k, CHECK_OK, "configuration", k->c->conf, "", NULL);
	rest = buf_slice(&errors);
	while (r != 0 && rest.n > 0) {
		char line[400];

		snprintf(line, sizeof(line), "%.*s", SLICE_FMT(slice_part(rest, 0, 399)));
		line[strcspn(line, "\n")] = '\0';
		slice_take(&rest, '\n');
		check_row(k, CHECK_FAILED, "configuration", line, "",
		    "docs/configuration.md has every option; a running suite keeps what it has");
	}
	buf_fini(&errors);
	free(text);
	return text != NULL && r == 0;
}

/* ---- the store ---- */

static int64_t figure(const struct data *d, const char *name)
{
	const struct data *v = data_get(d, name);

	return v != NULL && v->kind == DATA_NUMBER ? v->number : -1;
}

#define REPAIR                                                                               \
	"stop the suite; 'gatehousectl store rebuild' if the log says engine.refused, else " \
	"'gatehousectl store salvage'; a running suite looks again at a reload"

static void judge_names(struct check *k, const struct data *d)
{
	if (figure(d, "directory.refused") > 0)
		check_row(k, CHECK_FAILED, "directory", "engine",
		    "the directory is damaged, left as it is, and nothing of it is served", REPAIR);
	if (figure(d, "secrets.refused") > 0)
		check_row(k, CHECK_FAILED, "secrets", "engine",
		    "the secrets are damaged, left as they are, and no password is checked",
		    REPAIR);
}

static void judge_store(struct check *k, const struct data *d)
{
	static const char *const bad[] = { "",
		"a write to the disk failed; it reads its log's tail back",
		"its index cannot be written: the disk or the map is full",
		"it takes no more changes: a write failed and could not be verified",
		"the store is damaged, left as it is, and nothing of it is served" };
	static const char *const advice[] = { NULL,
		"look for errors of the disk ('dmesg') if this stays",
		"free some space in the data directory",
		"restart the suite; look for errors of the disk ('dmesg') first", REPAIR };
	int64_t health = figure(d, "engine-health"), failures = figure(d, "engine-sync-failures");
	int64_t away = figure(d, "engine-shards-away");

	if (away > 0)
		check_say(k, CHECK_FAILED, "store", "shards",
		    "'gatehousectl store stat' and the log (engine.away) say which, and why; a "
		    "running suite looks again at a reload",
		    "%lld shards are away, and their accounts have to wait", (long long)away);
	if (health < 0 || health > 4)
		check_row(k, CHECK_FAILED, "store", "figures", "the answer has no engine-health",
		    "gatehousectl and the server are of different versions");
	else if (health > 0)
		check_row(k, CHECK_FAILED, "store", "engine", bad[health], advice[health]);
	else if (failures > 0)
		check_say(k, CHECK_WARNING, "store", "engine",
		    "look for errors of the disk ('dmesg')",
		    "well now, but %lld writes to the disk failed since the start",
		    (long long)failures);
	else
		check_say(k, CHECK_OK, "store", "engine", NULL, "%lld accounts, %lld sessions",
		    (long long)figure(d, "directory.accounts"), (long long)figure(d, "sessions"));
}

bool check_store(struct check *k)
{
	struct buf b;
	struct reply r;

	if (client_open(&k->c->client, k->c->socket) != 0) {
		check_row(k, CHECK_FAILED, "server", k->c->socket, "not reached",
		    "start it ('systemctl start gatehouse'), or name its socket with --socket");
		return false;
	}
	check_row(k, CHECK_OK, "server", k->c->socket, "", NULL);
	line_start(&b, "ListStat");
	if (client_ask(&k->c->client, buf_slice(&b), &r) != 0 || r.data == NULL)
		check_say(k, CHECK_FAILED, "store", "figures",
		    "look at the log: 'gatehousectl log' or the lines of stored", "%.*s",
		    SLICE_FMT(r.text));
	else {
		judge_names(k, r.data);
		judge_store(k, r.data);
	}
	buf_fini(&b);
	return true;
}

/* ---- all of it ---- */

static void sum_up(const struct check *k)
{
	if (k->c->json)
		printf("%s]\n", k->rows == 0 ? "[" : "");
	else if (!k->c->quiet)
		printf(
		    "%zu looked at, %zu warnings, %zu failed\n", k->rows, k->warnings, k->failures);
}

int ctl_check(struct ctl *c)
{
	struct check k = { .c = c, .leaves = sk_X509_new_null() };
	bool reached;

	if (k.leaves == NULL || conf_init(&k.conf, NULL) != 0)
		return ctl_refuse(c, "out of memory");
	if (check_configuration(&k)) {
		check_certificates(&k);
		check_ports(&k);
		reached = check_store(&k);
		if (reached)
			check_delivery(&k);
	} else {
		reached = check_store(&k);
	}
	sum_up(&k);
	sk_X509_pop_free(k.leaves, X509_free);
	conf_fini(&k.conf);
	if (!reached)
		return CTL_UNREACHED;
	return k.failures > 0 ? CTL_REFUSED : CTL_DONE;
}
