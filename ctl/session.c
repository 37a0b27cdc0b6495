/* session - who is logged in, and how to end that. */
#include "ctl/ctl.h"

#include "common/base/clock.h"

#include <stdlib.h>
#include <time.h>

static struct slice text_of(const struct data *row, const char *key)
{
	const struct data *d = data_get(row, key);

	return d != NULL ? d->text : SLICE_NONE;
}

/* By which a session is looked for: the option, the command's word, where the list has it. In the
 * command's order. */
static const struct facet {
	const char *option, *word, *key;
} facets[] = { { "peer", "ADDRESS", "Address" }, { "for", "FOR", "Address" },
	{ "service", "PROTOCOL", "Protocol" }, { "transport", "TRANSPORT", "Transport" },
	{ "client", "CLIENT", "Client" } };

enum { FACETS = sizeof(facets) / sizeof(facets[0]) };

static bool wanted(const struct ctl *c, const struct data *row)
{
	for (size_t i = 0; i < FACETS; i++) {
		const char *value = ctl_opt(c, facets[i].option);

		if (value != NULL && !slice_ieq(text_of(row, facets[i].key), slice_str(value)))
			return false;
	}
	return ctl_opt(c, "for") == NULL || text_of(row, "Proxied").n > 0;
}

/* Takes the rows that are not wanted out of the list. */
static void filter(const struct ctl *c, struct data *list)
{
	for (struct data **at = &list->first; *at != NULL;) {
		if (wanted(c, *at))
			at = &(*at)->next;
		else
			*at = (*at)->next;
	}
}

/* "07:12:40", with the day when it is not of today; and how long ago. */
static void since_text(const struct data *row, int64_t now_s, char since[40], char lasted[40])
{
	const struct data *d = data_get(row, "Since");
	time_t then = d != NULL ? (time_t)d->number : 0;
	int64_t s = now_s > then ? now_s - then : 0;
	struct tm tm;

	localtime_r(&then, &tm);
	strftime(since, 40, s < 86400 ? "%H:%M:%S" : "%Y-%m-%d %H:%M", &tm);
	if (s < 60)
		snprintf(lasted, 40, "%ds", (int)s);
	else if (s < 3600)
		snprintf(lasted, 40, "%dm", (int)(s / 60));
	else
		snprintf(lasted, 40, "%dh%02dm", (int)(s / 3600), (int)(s / 60 % 60));
}

static void show_sessions(struct ctl *c, struct data *list)
{
	static const struct column columns[] = { { "SESSION", "SID", false },
		{ "ACCOUNT", "Account", false }, { "SERVICE", "Protocol", false },
		{ "PEER", "Address", false }, { "LINK", "Transport", false },
		{ "SINCE", "from", true }, { "", "lasted", true }, { "CLIENT", "Client", false } };
	int64_t now_s = clock_wall_s();
	char since[40], lasted[40];

	for (struct data *row = list->first; row != NULL; row = row->next) {
		since_text(row, now_s, since, lasted);
		print_add(&c->client.mem, row, "from", since);
		print_add(&c->client.mem, row, "lasted", lasted);
	}
	print_table(list, columns, sizeof(columns) / sizeof(columns[0]));
}

static int list_of(struct ctl *c, const char *account, struct reply *ret)
{
	struct buf b;

	line_start(&b, "ListSessions");
	if (account != NULL)
		line_word(&b, account);
	return ctl_ask(c, &b, ret);
}

int ctl_session_list(struct ctl *c)
{
	struct reply r;
	int status = list_of(c, c->argc > 0 ? c->argv[0] : NULL, &r);

	if (status != CTL_DONE || r.data == NULL)
		return status;
	filter(c, (struct data *)r.data);
	if (c->json)
		print_json(r.data);
	else
		show_sessions(c, (struct data *)r.data);
	return CTL_DONE;
}

int ctl_session_find(struct ctl *c)
{
	struct buf b;
	struct reply r;
	int status;

	line_start(&b, "FindAccountSession");
	line_word(&b, c->argv[0]);
	for (size_t i = 0; i < FACETS; i++) {
		const char *value = ctl_opt(c, facets[i].option);

		if (value != NULL)
			line_value(&b, facets[i].word, value);
	}
	status = ctl_ask(c, &b, &r);
	if (status == CTL_DONE && r.data != NULL && c->json)
		print_json(r.data);
	else if (status == CTL_DONE && r.data != NULL)
		printf("%.*s\n", SLICE_FMT(r.data->text));
	return status;
}

/* A number, or two hexadecimal ones with '-' between: everything else is an account. */
static bool is_session(const char *word)
{
	const char *dash = strchr(word, '-');
	uint64_t id;

	if (slice_u64(slice_str(word), UINT64_MAX, &id) == 0)
		return true;
	return dash != NULL && dash > word && dash[1] != '\0' &&
	       strspn(word, "0123456789abcdefABCDEF") == (size_t)(dash - word) &&
	       strspn(dash + 1, "0123456789abcdefABCDEF") == strlen(dash + 1);
}

/* --domain: its account is of that domain. */
static bool in_domain(const struct ctl *c, const struct data *row)
{
	struct slice name = text_of(row, "Account");
	ptrdiff_t at = slice_rfind(name, '@');
	const char *domain = ctl_opt(c, "domain");

	return domain == NULL ||
	       (at >= 0 && slice_ieq(slice_from(name, (size_t)at + 1), slice_str(domain)));
}

static bool is_it(const struct ctl *c, const struct data *row, const char *word)
{
	uint64_t id = 0;

	if (slice_u64(slice_str(word), UINT64_MAX, &id) == 0)
		return id == (uint64_t)data_get(row, "ID")->number && in_domain(c, row);
	return slice_ieq(text_of(row, "SID"), slice_str(word)) && in_domain(c, row);
}

static int dry_kick(struct ctl *c, const char *word)
{
	struct reply r;
	bool one = is_session(word);
	int status = list_of(c, one ? NULL : word, &r);

	if (status != CTL_DONE || r.data == NULL)
		return status;
	for (struct data **at = (struct data **)&r.data->first; one && *at != NULL;) {
		if (is_it(c, *at, word))
			at = &(*at)->next;
		else
			*at = (*at)->next;
	}
	if (!c->json)
		printf("these would be ended:\n");
	if (c->json)
		print_json(r.data);
	else
		show_sessions(c, (struct data *)r.data);
	return CTL_DONE;
}

static void put_session(const struct ctl *c, struct buf *b)
{
	line_word(b, c->argv[0]);
	if (ctl_opt(c, "domain") == NULL)
		return;
	line_raw(b, "DOMAIN");
	line_word(b, ctl_opt(c, "domain"));
}

int ctl_session_show(struct ctl *c)
{
	struct buf b;

	line_start(&b, "GetSession");
	put_session(c, &b);
	return ctl_show(c, &b);
}

int ctl_session_kick(struct ctl *c)
{
	struct buf b;
	struct reply r;
	int status;

	if (ctl_opt(c, "domain") != NULL && !is_session(c->argv[0]))
		return ctl_refuse(c, "--domain stands with a session; an account has its own");
	if (c->dry_run)
		return dry_kick(c, c->argv[0]);
	line_start(&b, is_session(c->argv[0]) ? "KillSession" : "KillAccountSessions");
	put_session(c, &b);
	status = ctl_ask(c, &b, &r);
	if (status == CTL_DONE && c->json)
		printf("{\"done\": true, \"ended\": %lld}\n",
		    r.data != NULL ? (long long)r.data->number : 0);
	return status;
}
