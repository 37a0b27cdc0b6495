#include "stored/salvage/report.h"

#include "common/base/clock.h"
#include "common/mail/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <unistd.h>

enum { SHOW_EVERY_MS = 100 };

static const char *const verdict_names[] = { "lost", "doubt", "note" };

void json_string(FILE *f, struct slice s)
{
	putc('"', f);
	while (s.n > 0) {
		uint32_t c;
		unsigned n = utf8_get(s, &c);

		if (n == 0)
			fputs("\\ufffd", f);
		else if (c == '"' || c == '\\')
			fprintf(f, "\\%c", (char)c);
		else if (c < ' ' || c == 0x7f)
			fprintf(f, "\\u%04x", c);
		else
			fwrite(s.p, 1, n, f);
		s = slice_from(s, n > 0 ? n : 1);
	}
	putc('"', f);
}

void json_member(FILE *f, const char *name, struct slice s)
{
	fprintf(f, "\"%s\": ", name);
	json_string(f, s);
}

/* A terminal is not steered by names. */
static void plain(FILE *f, struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < ' ' || s.p[i] == 0x7f)
			fprintf(f, "\\%03o", s.p[i]);
		else
			putc(s.p[i], f);
}

void report_init(struct report *r, const char *verb, bool json, bool quiet)
{
	*r = (struct report){ .json = json, .quiet = quiet, .verb = verb };
	if (json)
		printf("{\"items\": [");
}

static void item_json(FILE *f, enum verdict v, const struct place *at, struct slice why)
{
	fprintf(f, "{\"is\": \"%s\"", verdict_names[v]);
	if (at->account.n > 0) {
		fputs(", ", f);
		json_member(f, "account", at->account);
	}
	if (at->mailbox.n > 0) {
		fputs(", ", f);
		json_member(f, "mailbox", at->mailbox);
	}
	if (at->mailbox_id != 0)
		fprintf(f, ", \"mailbox-id\": %llu", (unsigned long long)at->mailbox_id);
	if (at->uid != 0)
		fprintf(f, ", \"uid\": %u", at->uid);
	fputs(", ", f);
	json_member(f, "why", why);
	fputc('}', f);
}

static void item_plain(enum verdict v, const struct place *at, struct slice why)
{
	printf("%s: ", verdict_names[v]);
	plain(stdout, at->account);
	if (at->mailbox.n > 0) {
		putchar(' ');
		plain(stdout, at->mailbox);
	}
	if (at->uid != 0)
		printf(" uid %u", at->uid);
	if (at->account.n > 0)
		printf(": ");
	plain(stdout, why);
	putchar('\n');
}

static void clear_line(struct report *r)
{
	if (r->shown)
		fprintf(stderr, "\r\033[K");
	r->shown = false;
}

void report_item(struct report *r, enum verdict v, const struct place *at, const char *fmt, ...)
{
	uint64_t before = r->lost + r->doubts + r->notes;
	char why[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	clear_line(r);
	if (r->held) {
		/* counted, and not said */
	} else if (r->json) {
		printf("%s\n", before > 0 ? "," : "");
		item_json(stdout, v, at, slice_str(why));
	} else {
		item_plain(v, at, slice_str(why));
	}
	if (r->items != NULL) {
		item_json(r->items, v, at, slice_str(why));
		fputc('\n', r->items);
	}
	if (r->told != NULL && !r->held)
		r->told(r->told_arg, v, at, why);
	r->lost += v == VERDICT_LOST;
	r->doubts += v == VERDICT_DOUBT;
	r->notes += v == VERDICT_NOTE;
}

void report_progress(struct report *r, const char *what, uint64_t done, uint64_t of)
{
	int64_t now;

	if (r->quiet || !isatty(2))
		return;
	now = clock_mono_ms();
	if (what == r->shown_what && now - r->shown_ms < SHOW_EVERY_MS && (of == 0 || done < of))
		return;
	r->shown_ms = now;
	r->shown_what = what;
	r->shown = true;
	if (of == 0)
		fprintf(stderr, "\r%s %s: %llu\033[K", r->verb, what, (unsigned long long)done);
	else
		fprintf(stderr, "\r%s %s: %llu of %llu (%u%%), %llu lost\033[K", r->verb, what,
		    (unsigned long long)done, (unsigned long long)of, (unsigned)(done * 100 / of),
		    (unsigned long long)r->lost);
}

static void close_items(struct report *r)
{
	if (r->json && r->verb != NULL)
		printf("]");
	r->verb = NULL;
}

void report_figure(struct report *r, const char *name, uint64_t value)
{
	clear_line(r);
	close_items(r);
	if (r->json)
		printf(", \"%s\": %llu", name, (unsigned long long)value);
	else if (!r->quiet && !r->brief)
		printf("%-24s %llu\n", name, (unsigned long long)value);
}

void report_text(struct report *r, const char *name, struct slice text)
{
	clear_line(r);
	close_items(r);
	if (r->json) {
		printf(", ");
		json_member(stdout, name, text);
	} else if (!r->quiet && !r->brief) {
		printf("%-24s %.*s\n", name, SLICE_FMT(text));
	}
}

int report_end(struct report *r)
{
	if (!r->unread) {
		report_figure(r, "messages", r->messages);
		report_figure(r, "bytes", r->bytes);
		report_figure(r, "expunged", r->expunged);
	}
	report_figure(r, "lost", r->lost);
	report_figure(r, "in-doubt", r->doubts);
	if (r->json)
		printf("}\n");
	if (fflush(stdout) != 0)
		return TOOL_FAILED;
	return r->lost + r->doubts + r->notes > 0 ? TOOL_DAMAGED : TOOL_WELL;
}

int report_fail(struct report *r, const char *fmt, ...)
{
	char why[400];
	va_list ap;

	if (r->held)
		return TOOL_FAILED;
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	clear_line(r);
	fprintf(stderr, "%s: %s\n", program_invocation_short_name, why);
	close_items(r);
	if (r->json) {
		printf(", \"done\": false, ");
		json_member(stdout, "error", slice_str(why));
		printf("}\n");
	}
	return TOOL_FAILED;
}
