/* route - where names lead, and the Router's table. */
#include "ctl/ctl.h"

#include <stdlib.h>

/* module, queue, address, result, then steps. */
static int show_route(struct ctl *c, struct buf *line)
{
	static const char *const names[] = { "module", "queue", "address", "result" };
	struct reply r;
	int status = ctl_ask(c, line, &r);
	const struct data *d;
	size_t i = 0;

	if (status != 0 || r.data == NULL)
		return status;
	if (c->json) {
		print_json(r.data);
		return 0;
	}
	for (d = r.data->first; d != NULL; d = d->next, i++) {
		printf("%-8s ", i < 4 ? names[i] : "step");
		print_text(d->text);
		putchar('\n');
	}
	return 0;
}

static void line_option(struct ctl *c, struct buf *b, const char *option, const char *word)
{
	const char *value = ctl_opt(c, option);

	if (value == NULL || *value == '\0')
		return;
	line_raw(b, word);
	line_word(b, value);
}

int ctl_route_test(struct ctl *c)
{
	const char *mode = ctl_opt(c, "mode");
	struct buf b;

	if (mode != NULL && c->argc > 1)
		return CTL_USAGE;
	if (c->argc > 1)
		mode = c->argv[1];
	line_start(&b, "RouteTrace");
	line_word(&b, c->argv[0]);
	if (mode != NULL)
		line_word(&b, mode);
	line_option(c, &b, "local", "LOCAL");
	line_option(c, &b, "domain", "DOMAIN");
	return show_route(c, &b);
}

int ctl_route_show(struct ctl *c)
{
	struct buf b;

	line_start(&b, "Route");
	line_word(&b, c->argv[0]);
	if (c->argc > 1)
		line_word(&b, c->argv[1]);
	return show_route(c, &b);
}

int ctl_route_login(struct ctl *c)
{
	struct buf b;

	line_start(&b, "RouteLogin");
	line_word(&b, c->argv[0]);
	line_raw(&b, "LOCAL");
	line_word(&b, c->argv[1]);
	if (c->argc > 2) {
		line_raw(&b, "DOMAIN");
		line_word(&b, c->argv[2]);
	}
	return show_route(c, &b);
}

int ctl_router_show(struct ctl *c)
{
	struct buf b;
	struct reply r;
	int status;

	line_start(&b, "GetRouterTable");
	status = ctl_ask(c, &b, &r);
	if (status != 0 || r.data == NULL)
		return status;
	if (c->json) {
		print_json(r.data);
	} else if (r.data->text.n > 0) {
		fwrite(r.data->text.p, 1, r.data->text.n, stdout);
		putchar('\n');
	}
	return 0;
}

static bool holds_line(struct slice text, struct slice line)
{
	while (text.n > 0)
		if (slice_eq(slice_take(&text, '\n'), line))
			return true;
	return false;
}

/* Lines of `a` that are not in `b`. */
static void show_missing(struct slice a, struct slice b, char mark)
{
	while (a.n > 0) {
		struct slice line = slice_take(&a, '\n');

		if (holds_line(b, line))
			continue;
		printf("%c ", mark);
		print_text(line);
		putchar('\n');
	}
}

static int dry_set(struct ctl *c, struct slice text)
{
	struct buf b;
	struct reply r;
	int status;

	line_start(&b, "GetRouterTable");
	status = ctl_ask(c, &b, &r);
	if (status != CTL_DONE || r.data == NULL)
		return status;
	if (c->json) {
		printf("{");
		print_json_text("old", r.data->text);
		printf(", ");
		print_json_text("new", text);
		printf("}\n");
		return CTL_DONE;
	}
	show_missing(r.data->text, text, '-');
	show_missing(text, r.data->text, '+');
	return CTL_DONE;
}

int ctl_router_set(struct ctl *c)
{
	struct buf b;
	size_t n;
	uint8_t *p = read_input(c->argv[0], &n);

	if (p == NULL)
		return 1;
	if (c->dry_run) {
		int status = dry_set(c, slice_of(p, n));

		free(p);
		return status;
	}
	line_start(&b, "SetRouterTable ");
	b.max = 4 * n + 100; /* what may be escaped; the server says what is too long */
	data_put_string(&b, slice_of(p, n));
	free(p);
	if (b.overflow) {
		buf_fini(&b);
		return ctl_refuse(c, "the table is too long");
	}
	return ctl_do(c, &b);
}
