/* account - accounts one by one and many at a time. */
#include "ctl/ctl.h"

#include "common/base/clock.h"
#include "common/base/secret.h"

#include <stdlib.h>
#include <unistd.h>

enum { WINDOW = 200 };

int ctl_account_list(struct ctl *c)
{
	struct buf b;
	struct reply r;
	int status;

	line_start(&b, "ListAccounts");
	if (c->argc > 0)
		line_word(&b, c->argv[0]);
	status = ctl_ask(c, &b, &r);
	if (status != 0 || r.data == NULL)
		return status;
	if (c->json)
		print_json(r.data);
	for (const struct data *d = r.data->first; d != NULL && !c->json; d = d->next) {
		print_text(d->key);
		putchar('\n');
	}
	return 0;
}

static int dry_delete(struct ctl *c)
{
	struct buf b;
	int status;

	line_start(&b, "GetAccountInfo");
	line_word(&b, c->argv[0]);
	status = ctl_show(c, &b);
	if (status != CTL_DONE || c->json)
		return status;
	printf("it would be deleted with:\n");
	line_start(&b, "ListStat");
	line_word(&b, c->argv[0]);
	return ctl_show(c, &b);
}

int ctl_account_delete(struct ctl *c)
{
	struct buf b;

	if (c->dry_run)
		return dry_delete(c);
	line_start(&b, "DeleteAccount");
	line_word(&b, c->argv[0]);
	return ctl_do(c, &b);
}

/* ---- many accounts: a window of commands is always on its way ---- */

struct import {
	struct ctl *c;
	struct slice rest;
	struct slice names[WINDOW]; /* of the commands on their way, as a ring */
	size_t sent, done, failed, total;
	int64_t shown_ms;
};

static size_t count_lines(struct slice s)
{
	size_t n = s.n > 0 && s.p[s.n - 1] != '\n';

	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == '\n';
	return n;
}

static void show_progress(struct import *im, bool last)
{
	int64_t now = clock_mono_ms();

	if (im->c->quiet || !isatty(2) || (!last && now - im->shown_ms < 100))
		return;
	im->shown_ms = now;
	fprintf(stderr, "\r%zu of %zu accounts (%zu%%), %zu refused%s", im->done, im->total,
	    im->total > 0 ? im->done * 100 / im->total : 100, im->failed, last ? "\n" : "");
}

/* The next line's command, if it has one. 0, or 1 when the connection is lost. */
static int import_send(struct import *im)
{
	struct slice line = slice_trim(slice_take(&im->rest, '\n')), name;
	struct buf b;
	int r;

	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	if (line.n == 0 || line.p[0] == '#') {
		im->total--;
		return 0;
	}
	name = slice_take(&line, ':');
	line_start(&b, im->c->dry_run ? "GetAccountInfo " : "CreateAccount ");
	data_put_string(&b, name);
	if (line.n > 0 && !im->c->dry_run) {
		buf_puts(&b, " {PasswordHash=");
		data_put_string(&b, line);
		buf_puts(&b, ";}");
	}
	r = client_send(&im->c->client, buf_slice(&b));
	buf_fini(&b);
	im->names[im->sent++ % WINDOW] = name;
	return r;
}

static void tell_refused(struct import *im, struct slice name, struct slice why)
{
	im->failed++;
	fprintf(stderr, "gatehousectl: %.*s: %.*s\n", SLICE_FMT(name), SLICE_FMT(why));
}

/* Without doing it: a name that is free would be made, another is told. */
static void judge(struct import *im, struct slice name, const struct reply *r)
{
	static const char free_name[] = "there is no such account";

	if (r->code != 501)
		tell_refused(im, name, SLICE("there is an account of this name"));
	else if (!slice_eq(r->text, slice_str(free_name)))
		tell_refused(im, name, r->text);
}

static int import_recv(struct import *im)
{
	struct slice name = im->names[im->done % WINDOW];
	struct reply r;

	if (client_recv(&im->c->client, &r) != 0)
		return 1;
	im->done++;
	if (im->c->dry_run)
		judge(im, name, &r);
	else if (r.code != 200)
		tell_refused(im, name, r.text);
	show_progress(im, false);
	return 0;
}

int ctl_account_import(struct ctl *c)
{
	struct import im = { .c = c };
	size_t n;
	uint8_t *p = read_input(c->argv[0], &n);
	int r = 0;

	if (p == NULL)
		return 1;
	im.rest = slice_of(p, n);
	im.total = count_lines(im.rest);
	while (r == 0 && (im.rest.n > 0 || im.done < im.sent)) {
		if (im.rest.n > 0 && im.sent - im.done < WINDOW)
			r = import_send(&im);
		else
			r = import_recv(&im);
	}
	show_progress(&im, true);
	if (c->json)
		printf("{\"%s\": %zu, \"refused\": %zu}\n", c->dry_run ? "would-make" : "made",
		    im.done - im.failed, im.failed);
	else if (!c->quiet)
		printf("%zu accounts %s, %zu refused\n", im.done - im.failed,
		    c->dry_run ? "would be made" : "made", im.failed);
	secret_wipe(p, n);
	free(p);
	return r != 0 ? 3 : im.failed > 0;
}
