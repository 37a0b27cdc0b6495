/* dump - reads the whole directory from the server, many questions on their way at a time. */
#include "ctl/directory.h"

#include "common/base/clock.h"

#include <stdlib.h>
#include <unistd.h>

enum { WINDOW = 100 };

/* One question: of which entry, and which of its parts. */
struct cursor {
	size_t entry, part;
};

struct loading {
	struct ctl *c;
	struct dirfile *f;
	size_t objects; /* entries that have parts to ask for */
	struct cursor ask, answer;
	size_t asked, answered;
	int64_t shown_ms;
};

static void show_progress(struct loading *l, bool last)
{
	int64_t now = clock_mono_ms();

	if (l->c->quiet || !isatty(2) || (!last && now - l->shown_ms < 200))
		return;
	l->shown_ms = now;
	fprintf(stderr, "\r%zu of %zu objects read%s", last ? l->objects : l->answer.entry,
	    l->objects, last ? "\n" : "");
}

/* From this place on; false at the end. */
static bool settle(const struct loading *l, struct cursor *at)
{
	while (at->entry < l->objects) {
		const struct dir_part *parts = dir_parts[l->f->entries[at->entry].kind];

		while (parts[at->part].key != NULL && parts[at->part].get == NULL)
			at->part++;
		if (parts[at->part].key != NULL)
			return true;
		*at = (struct cursor){ at->entry + 1, 0 };
	}
	return false;
}

static int ask_one(struct loading *l)
{
	const struct dir_entry *e = &l->f->entries[l->ask.entry];
	struct buf b;
	int r;

	line_start(&b, dir_parts[e->kind][l->ask.part].get);
	if (e->kind != DIR_SERVER) {
		buf_putc(&b, ' ');
		data_put_string(&b, e->name);
	}
	r = client_send(&l->c->client, buf_slice(&b));
	buf_fini(&b);
	l->ask.part++;
	l->asked++;
	return r != 0 ? CTL_UNREACHED : CTL_DONE;
}

/* Takes a key out of a dictionary; its value, or NULL. */
static struct data *take_key(struct data *dict, const char *key)
{
	for (struct data **at = &dict->first; *at != NULL; at = &(*at)->next) {
		struct data *found = *at;

		if (!slice_ieq(found->key, slice_str(key)))
			continue;
		*at = found->next;
		found->next = NULL;
		return found;
	}
	return NULL;
}

static bool take_answer(struct loading *l, const struct reply *r)
{
	struct dir_entry *e = &l->f->entries[l->answer.entry];
	struct data *value = (struct data *)r->data;
	size_t part = l->answer.part;

	if (e->kind == DIR_DOMAIN && strcmp(dir_parts[e->kind][part].key, "Settings") == 0 &&
	    value->kind == DATA_DICT &&
	    !dirfile_set(l->f, e, PART_IPS, take_key(value, "IPAddresses")))
		return false;
	if (e->kind == DIR_LIST)
		value = take_key(value, "Owner");
	if (dir_parts[e->kind][part].value == 'l' && value->kind == DATA_DICT)
		value->kind = DATA_ARRAY; /* the keys are times, which begin anew elsewhere */
	if (e->kind == DIR_DOMAIN && part == PART_SUSPENDED) {
		value = take_key(value, "State");
		if (value == NULL || !slice_eq(value->text, SLICE("suspended")))
			return true;
		value->text = SLICE("YES");
	}
	return dirfile_set(l->f, e, part, value);
}

static int answer_one(struct loading *l)
{
	const struct dir_entry *e = &l->f->entries[l->answer.entry];
	struct reply r;

	if (client_recv(&l->c->client, &r) != 0)
		return CTL_UNREACHED;
	if (r.data == NULL)
		return ctl_refuse(l->c, "%s of %s %.*s: %.*s",
		    dir_parts[e->kind][l->answer.part].key, dir_kind_words[e->kind],
		    SLICE_FMT(e->name), SLICE_FMT(r.text));
	if (!take_answer(l, &r))
		return ctl_refuse(l->c, "out of memory");
	l->answer.part++;
	l->answered++;
	show_progress(l, false);
	return CTL_DONE;
}

static int load_parts(struct loading *l)
{
	int status = CTL_DONE;

	l->objects = l->f->n;
	while (status == CTL_DONE) {
		if (l->asked - l->answered < WINDOW && settle(l, &l->ask))
			status = ask_one(l);
		else if (l->answered < l->asked && settle(l, &l->answer))
			status = answer_one(l);
		else
			break;
	}
	if (status == CTL_DONE)
		show_progress(l, true);
	return status;
}

/* ---- what there is ---- */

static bool add_names(
    struct dirfile *f, enum dir_kind kind, struct slice domain, const struct data *names)
{
	struct buf b = BUF_INIT(1024);

	for (const struct data *d = names->first; d != NULL; d = d->next) {
		buf_reset(&b);
		buf_put(&b, names->kind == DATA_DICT ? d->key : d->text);
		if (slice_find(buf_slice(&b), '@') < 0) {
			buf_putc(&b, '@');
			buf_put(&b, domain);
		}
		if (dirfile_add(f, kind, buf_slice(&b)) == NULL) {
			buf_fini(&b);
			return false;
		}
	}
	buf_fini(&b);
	return true;
}

static int load_names(struct ctl *c, struct dirfile *f, size_t domain)
{
	static const struct {
		enum dir_kind kind;
		const char *verb;
	} lists[] = { { DIR_ACCOUNT, "ListAccounts" }, { DIR_GROUP, "ListGroups" },
		{ DIR_FORWARDER, "ListForwarders" }, { DIR_LIST, "ListLists" } };

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		struct slice name = f->entries[domain].name;
		struct reply r;
		struct buf b;
		int status;

		line_start(&b, lists[i].verb);
		buf_putc(&b, ' ');
		data_put_string(&b, name);
		status = ctl_ask(c, &b, &r);
		if (status != CTL_DONE)
			return status;
		if (r.data == NULL || !add_names(f, lists[i].kind, name, r.data))
			return ctl_refuse(c, "the names of a domain cannot be read");
	}
	return CTL_DONE;
}

static int load_domains(struct ctl *c, struct dirfile *f)
{
	struct reply r;
	struct buf b;
	size_t first = f->n, last;
	int status;

	line_start(&b, "ListDomains");
	status = ctl_ask(c, &b, &r);
	for (const struct data *d = status == CTL_DONE && r.data != NULL ? r.data->first : NULL;
	     d != NULL; d = d->next)
		if (dirfile_add(f, DIR_DOMAIN, d->text) == NULL)
			return ctl_refuse(c, "out of memory");
	last = f->n;
	for (size_t i = first; i < last && status == CTL_DONE; i++)
		status = load_names(c, f, i);
	return status;
}

static int load_router(struct ctl *c, struct dirfile *f)
{
	struct reply r;
	struct slice text;
	struct buf b;
	unsigned line = 0;
	int status;

	line_start(&b, "GetRouterTable");
	status = ctl_ask(c, &b, &r);
	text = status == CTL_DONE && r.data != NULL ? r.data->text : SLICE_NONE;
	while (text.n > 0) {
		struct dir_entry *e = dirfile_add(f, DIR_ROUTER, slice_take(&text, '\n'));

		if (e == NULL)
			return ctl_refuse(c, "out of memory");
		e->line = ++line;
	}
	return status;
}

int directory_load(struct ctl *c, struct dirfile *f)
{
	struct loading l = { .c = c, .f = f };
	int status = dirfile_add(f, DIR_SERVER, SLICE_NONE) != NULL ? CTL_DONE : CTL_REFUSED;

	if (status == CTL_DONE)
		status = load_domains(c, f);
	if (status == CTL_DONE)
		status = load_parts(&l);
	if (status == CTL_DONE)
		status = load_router(c, f);
	dirfile_sort(f);
	return status;
}

/* The text, or for programs an array of its lines. */
static int write_text(struct ctl *c, const char *path, const char *text)
{
	bool to_stdout = strcmp(path, "-") == 0;
	FILE *to = to_stdout ? stdout : fopen(path, "we");

	if (to == NULL)
		return ctl_refuse(c, "cannot write %s: %m", path);
	if (c->json && to_stdout)
		print_json_lines(slice_str(text));
	else
		fputs(text, to);
	if ((to_stdout ? fflush(to) : fclose(to)) != 0)
		return ctl_refuse(c, "cannot write %s: %m", path);
	if (!to_stdout)
		ctl_say_done(c);
	return CTL_DONE;
}

int ctl_dump(struct ctl *c)
{
	struct dirfile f;
	char *text = NULL;
	size_t n = 0;
	FILE *to = open_memstream(&text, &n);
	int status = to != NULL ? CTL_DONE : ctl_refuse(c, "out of memory");

	dirfile_init(&f);
	if (status == CTL_DONE)
		status = directory_load(c, &f);
	if (status == CTL_DONE) {
		fprintf(to,
		    "# Gatehouse's directory; 'gatehousectl apply' makes a server like this.\n"
		    "# Passwords are not in it.\n");
		dirfile_print(&f, to);
	}
	if (to != NULL && fclose(to) != 0 && status == CTL_DONE)
		status = ctl_refuse(c, "out of memory");
	if (status == CTL_DONE)
		status = write_text(c, c->argc > 0 ? c->argv[0] : "-", text);
	free(text);
	dirfile_fini(&f);
	return status;
}
