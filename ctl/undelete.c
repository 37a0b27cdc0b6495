/* undelete - deleted messages: what can be restored, restoring it, holding it. */
#include "ctl/ctl.h"

#include "common/base/clock.h"

#include <stdlib.h>
#include <time.h>

/* "2025-11-22", "2025-11-22 07:30", local time; or 90m, 12h, 3d: so long ago. False: neither. */
static bool time_parse(const char *text, int64_t *ret_s)
{
	static const char units[] = "smhd";
	static const int64_t unit_s[] = { 1, 60, 3600, 86400 };
	struct tm tm = { .tm_isdst = -1 };
	char *end;
	long n = strtol(text, &end, 10);
	const char *unit = *end != '\0' ? strchr(units, *end) : NULL, *rest;

	if (end != text && n >= 0 && unit != NULL && end[1] == '\0') {
		*ret_s = clock_wall_s() - n * unit_s[unit - units];
		return true;
	}
	rest = strptime(text, "%Y-%m-%d", &tm);
	if (rest != NULL && *rest != '\0')
		rest = strptime(rest, " %H:%M", &tm);
	if (rest == NULL || *rest != '\0')
		return false;
	*ret_s = mktime(&tm);
	return *ret_s >= 0;
}

static void put_key(struct buf *b, const char *key)
{
	buf_puts(b, key);
	buf_putc(b, '=');
}

static bool put_time(struct ctl *c, struct buf *b, const char *opt, const char *key)
{
	const char *text = ctl_opt(c, opt);
	int64_t s;

	if (text == NULL)
		return true;
	if (!time_parse(text, &s)) {
		ctl_refuse(c,
		    "--%s is a time like 2025-11-22, \"2025-11-22 07:30\" or 3d (so "
		    "long ago)",
		    opt);
		return false;
	}
	put_key(b, key);
	buf_printf(b, "#%lld;", (long long)s);
	return true;
}

/* The verb, the account and what the options pick. */
static bool line_pick(struct ctl *c, struct buf *b, const char *verb)
{
	const char *mailbox = ctl_opt(c, "mailbox"), *uid = ctl_opt(c, "uid");
	bool good;

	line_start(b, verb);
	line_word(b, c->argv[0]);
	buf_puts(b, " {");
	if (mailbox != NULL) {
		put_key(b, "Mailbox");
		data_put_string(b, slice_str(mailbox));
		buf_putc(b, ';');
	}
	if (uid != NULL) {
		put_key(b, "UID");
		data_put_string(b, slice_str(uid));
		buf_putc(b, ';');
	}
	good = put_time(c, b, "since", "Since") && put_time(c, b, "until", "Until");
	buf_putc(b, '}');
	if (!good)
		buf_fini(b);
	return good;
}

static void time_text(int64_t at, char out[40])
{
	time_t then = (time_t)at;
	struct tm tm;

	localtime_r(&then, &tm);
	strftime(out, 40, "%Y-%m-%d %H:%M", &tm);
}

static void show_rows(struct ctl *c, struct data *list)
{
	static const struct column columns[] = { { "EXPUNGED", "when", false },
		{ "MAILBOX", "Mailbox", false }, { "UID", "UID", true }, { "SIZE", "Size", true },
		{ "DATE", "date", false }, { "FLAGS", "Flags", false }, { "", "note", false } };
	char text[40];

	for (struct data *row = list->first; row != NULL; row = row->next) {
		time_text(data_get(row, "Expunged")->number, text);
		print_add(&c->client.mem, row, "when", text);
		time_text(data_get(row, "Date")->number, text);
		print_add(&c->client.mem, row, "date", text);
		print_add(&c->client.mem, row, "note",
		    data_get(row, "MailboxDeleted") != NULL ? "mailbox deleted" : "");
	}
	print_table(list, columns, sizeof(columns) / sizeof(columns[0]));
}

int ctl_undelete_list(struct ctl *c)
{
	struct reply r;
	struct buf b;
	int status;

	if (!line_pick(c, &b, "ListRecoverable"))
		return CTL_USAGE;
	status = ctl_ask(c, &b, &r);
	if (status != CTL_DONE || r.data == NULL)
		return status;
	if (c->json)
		print_json(r.data);
	else
		show_rows(c, (struct data *)r.data);
	return CTL_DONE;
}

static int figures(struct ctl *c, struct buf *b, const char *what)
{
	struct reply r;
	int status = ctl_ask(c, b, &r);

	if (status != CTL_DONE || r.data == NULL)
		return status;
	if (c->json)
		print_json(r.data);
	else
		printf("%lld messages, %lld bytes %s\n",
		    (long long)data_get(r.data, "Messages")->number,
		    (long long)data_get(r.data, "Bytes")->number, what);
	return CTL_DONE;
}

int ctl_undelete_restore(struct ctl *c)
{
	struct buf b;

	if (!line_pick(c, &b, c->dry_run ? "CountRecoverable" : "RestoreMessages"))
		return CTL_USAGE;
	return figures(c, &b, c->dry_run ? "would be restored" : "restored");
}

int ctl_undelete_purge(struct ctl *c)
{
	struct buf b;

	if (!line_pick(c, &b, c->dry_run ? "CountRecoverable" : "PurgeMessages"))
		return CTL_USAGE;
	return figures(c, &b, c->dry_run ? "would be purged" : "purged");
}

int ctl_undelete_hold(struct ctl *c)
{
	const char *word = c->argc > 1 ? c->argv[1] : NULL;
	struct buf b;

	if (word != NULL && strcmp(word, "on") != 0 && strcmp(word, "off") != 0)
		return CTL_USAGE;
	line_start(&b, word != NULL ? "SetRecoveryHold" : "CountRecoverable");
	line_word(&b, c->argv[0]);
	if (word == NULL)
		return ctl_show(c, &b);
	line_raw(&b, strcmp(word, "on") == 0 ? "YES" : "NO");
	return ctl_do(c, &b);
}
