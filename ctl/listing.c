/* listing - what is in a domain, page by page; and which domains somebody may administer. */
#include "ctl/ctl.h"

enum { PAGE = 1000, COOKIE_MAX = 400 };

struct listing {
	struct ctl *c;
	bool any;
	char cookie[COOKIE_MAX]; /* of the next page; empty: there is none */
};

/* A string is an account, an array an alias with its account, one in an array a forwarder. */
static void show_object(struct listing *l, const struct data *d)
{
	const struct data *to = d->kind == DATA_ARRAY ? d->first : NULL;
	const char *kind = to == NULL ? "account" : to->kind == DATA_ARRAY ? "forwarder" : "alias";

	if (to != NULL && to->kind == DATA_ARRAY)
		to = to->first;
	if (!l->c->json) {
		print_text(d->key);
		printf("  %s", kind);
		if (to != NULL) {
			printf(kind[0] == 'a' ? " of " : " to ");
			print_text(to->text);
		}
		putchar('\n');
		return;
	}
	printf(l->any ? ",\n{" : "[\n{");
	l->any = true;
	print_json_text("Name", d->key);
	printf(", ");
	print_json_text("Kind", slice_str(kind));
	if (to != NULL) {
		printf(", ");
		print_json_text("To", to->text);
	}
	putchar('}');
}

/* Its elements: a number, the objects, two numbers, the cookie. */
static int show_page(struct listing *l, const struct data *page)
{
	const struct data *e = page->first, *objects = e != NULL ? e->next : NULL;

	for (const struct data *d = objects != NULL ? objects->first : NULL; d != NULL; d = d->next)
		show_object(l, d);
	while (e != NULL && e->next != NULL)
		e = e->next;
	if (e == NULL || e->kind != DATA_STRING || e->text.n >= COOKIE_MAX)
		return ctl_refuse(l->c, "the server's answer is not understood");
	snprintf(l->cookie, sizeof(l->cookie), "%.*s", SLICE_FMT(e->text));
	return CTL_DONE;
}

static int ask_page(struct listing *l, struct reply *ret)
{
	const char *filter = ctl_opt(l->c, "filter");
	struct buf b;

	line_start(&b, "ListDomainObjects");
	line_word(&b, l->c->argv[0]);
	if (filter != NULL)
		line_value(&b, "FILTER", filter);
	buf_printf(&b, " %d", PAGE);
	if (l->cookie[0] != '\0') {
		line_raw(&b, "COOKIE");
		line_word(&b, l->cookie);
	}
	return ctl_ask(l->c, &b, ret);
}

int ctl_domain_objects(struct ctl *c)
{
	struct listing l = { .c = c };
	struct reply r;
	int status;

	do {
		status = ask_page(&l, &r);
		if (status == CTL_DONE && r.data != NULL)
			status = show_page(&l, r.data);
	} while (status == CTL_DONE && l.cookie[0] != '\0');
	if (status == CTL_DONE && c->json)
		printf(l.any ? "]\n" : "[]\n");
	return status;
}

int ctl_domain_administered(struct ctl *c)
{
	struct buf b;

	line_start(&b, "ListAdminDomains");
	if (c->argc > 0)
		line_word(&b, c->argv[0]);
	return ctl_show(c, &b);
}

int ctl_log_write(struct ctl *c)
{
	static const char *const levels[] = { "error", "warning", "notice", "info", "debug" };
	struct buf b;

	for (int i = 0; i < 5; i++) {
		if (strcmp(c->argv[0], levels[i]) != 0)
			continue;
		line_start(&b, "WriteLog");
		buf_printf(&b, " %d", i + 1);
		line_word(&b, c->argv[1]);
		return ctl_do(c, &b);
	}
	return CTL_USAGE;
}
