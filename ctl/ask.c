/* ask - one question, its answer or its refusal; and the protocol itself, typed by hand. */
#include "ctl/ctl.h"

#include <stdarg.h>
#include <stdlib.h>

/* What to do next, for the refusals that people meet. */
static const struct hint {
	const char *text, *next;
} hints[] = {
	{ "there is no such account",
	    "'gatehousectl account list [DOMAIN]' shows those there are" },
	{ "there is no such domain", "'gatehousectl domain list' shows those there are" },
	{ "there is no such session", "'gatehousectl session list' shows those there are" },
	{ "a domain with this name exists", "'gatehousectl domain list' shows those there are" },
	{ "with this name exists already",
	    "'gatehousectl account info NAME' or 'route test NAME' shows what it is" },
	{ "is away; try again",
	    "a process is starting anew; 'gatehousectl check' says what is wrong if it stays so" },
	{ "the disk is full", "free some space in the data directory; nothing was changed" },
	{ "still has objects",
	    "'gatehousectl account list DOMAIN' shows accounts; delete all there is first" },
	{ "cannot be stored this way",
	    "methods are yescrypt, sha512crypt, bcrypt, scram-sha-256, plain and given" },
	{ "went away; it is not known", "look whether it was done before you try again" },
};

static const char *next_step(struct slice text)
{
	for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
		if (text.n > 0 &&
		    memmem(text.p, text.n, hints[i].text, strlen(hints[i].text)) != NULL)
			return hints[i].next;
	return NULL;
}

static int refused(const struct ctl *c, struct slice text)
{
	const char *next = next_step(text);

	fprintf(stderr, "gatehousectl: %.*s\n", SLICE_FMT(text));
	if (next != NULL)
		fprintf(stderr, "  %s\n", next);
	if (c->json)
		print_json_refusal(text);
	return CTL_REFUSED;
}

int ctl_refuse(const struct ctl *c, const char *fmt, ...)
{
	char text[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return refused(c, slice_str(text));
}

int ctl_ask(struct ctl *c, struct buf *line, struct reply *ret)
{
	int r = client_ask(&c->client, buf_slice(line), ret);

	buf_fini(line);
	if (r != 0)
		return CTL_UNREACHED;
	return ret->code == 200 || ret->code == 201 ? CTL_DONE : refused(c, ret->text);
}

void ctl_say_done(const struct ctl *c)
{
	if (c->json)
		printf("{\"done\": true}\n");
}

int ctl_do(struct ctl *c, struct buf *line)
{
	struct reply r;
	int status = ctl_ask(c, line, &r);

	if (status == CTL_DONE)
		ctl_say_done(c);
	return status;
}

int ctl_show(struct ctl *c, struct buf *line)
{
	struct reply r;
	int status = ctl_ask(c, line, &r);

	if (status != CTL_DONE)
		return status;
	if (r.data == NULL)
		ctl_say_done(c);
	else if (c->json)
		print_json(r.data);
	else
		print_plain(r.data);
	return CTL_DONE;
}

/* ---- the protocol itself ---- */

static void show_reply(const struct ctl *c, const struct reply *r)
{
	if (!c->json) {
		printf("%u %.*s\n", r->code, (int)r->text.n,
		    r->text.n > 0 ? (const char *)r->text.p : "");
	} else {
		printf("{\"code\": %u, ", r->code);
		if (r->data != NULL)
			print_json_member("data", r->data);
		else
			print_json_text("text", r->text);
		printf("}\n");
	}
	fflush(stdout);
}

int ctl_cli(struct ctl *c)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	struct reply r = { .code = 200 };
	int status = CTL_DONE;

	while ((n = getline(&line, &cap, stdin)) > 0) {
		struct slice s = slice_of(line, (size_t)n);

		while (s.n > 0 && (s.p[s.n - 1] == '\n' || s.p[s.n - 1] == '\r'))
			s.n--;
		if (s.n == 0)
			continue;
		if (client_ask(&c->client, s, &r) != 0) {
			status = CTL_UNREACHED;
			break;
		}
		show_reply(c, &r);
		if (slice_ieq(s, SLICE("QUIT")))
			break;
	}
	free(line);
	return status == CTL_DONE && r.code == 501 ? CTL_REFUSED : status;
}
