/*
 * apply - makes the server's directory what a file says: reads both, writes down the commands that
 * lead from one to the other, in an order in which no name is given before it is free, and runs
 * them.
 */
#include "ctl/plan.h"

#include <stdlib.h>

/* ---- steps ---- */

static void add_step(
    struct plan *p, enum phase phase, const struct dir_entry *e, struct buf *take_line)
{
	struct slice command =
	    take_line->overflow ? SLICE_NONE : arena_copy(&p->want.mem, buf_slice(take_line));

	buf_fini(take_line);
	if (p->n == p->cap) {
		size_t cap = p->cap > 0 ? p->cap * 2 : 256;
		struct step *more = reallocarray(p->steps, cap, sizeof(*more));

		if (more != NULL) {
			p->steps = more;
			p->cap = cap;
		}
	}
	if (p->n == p->cap || command.p == NULL)
		p->failed = true;
	else
		p->steps[p->n++] = (struct step){ phase, e, command };
}

static void line_name(struct buf *b, const char *verb, struct slice name)
{
	*b = BUF_INIT(32 << 20);
	buf_puts(b, verb);
	if (name.n > 0) {
		buf_putc(b, ' ');
		data_put_string(b, name);
	}
}

static void put_part(struct buf *b, const struct dir_part *part, struct slice value)
{
	buf_putc(b, ' ');
	if (value.n > 0)
		buf_put(b, value);
	else
		buf_puts(b, part->value == 'd' ? "{}" : "()");
}

static void set_part(
    struct plan *p, enum phase phase, const struct dir_entry *e, size_t i, struct slice value)
{
	const struct dir_part *part = &dir_parts[e->kind][i];
	bool ips = strcmp(part->key, "IPAddresses") == 0;
	struct buf b;

	if (e->kind == DIR_DOMAIN && i == PART_SUSPENDED) {
		line_name(&b, value.n > 0 ? "SuspendDomain" : "ResumeDomain", e->name);
		add_step(p, phase, e, &b);
		return;
	}
	line_name(&b, part->set, e->name);
	if (ips)
		buf_puts(&b, " {IPAddresses=");
	put_part(&b, part, value);
	if (ips)
		buf_puts(&b, ";}");
	add_step(p, phase, e, &b);
}

/* ---- lists of names: what goes first, what comes last ---- */

static bool list_holds(const struct data *list, struct slice name)
{
	for (const struct data *d = list != NULL ? list->first : NULL; d != NULL; d = d->next)
		if (slice_eq(d->text, name))
			return true;
	return false;
}

static struct data *list_of(struct arena *mem, struct slice text)
{
	const char *why;

	return text.n > 0 ? data_parse(mem, &text, &why) : NULL;
}

/* A name that goes must go before another object gets it: first what stays, then what is wanted. */
static void change_list(
    struct plan *p, const struct dir_entry *e, size_t i, struct slice from, struct slice to)
{
	struct arena mem;
	struct data *old, *new;
	struct buf stay = BUF_INIT(16 << 20);
	bool first = true, gone = false, comes = false;

	arena_init(&mem, 64 << 20);
	old = list_of(&mem, from);
	new = list_of(&mem, to);
	buf_putc(&stay, '(');
	for (const struct data *d = old != NULL ? old->first : NULL; d != NULL; d = d->next) {
		if (list_holds(new, d->text))
			data_put_item(&stay, &first, d->text);
		else
			gone = true;
	}
	buf_putc(&stay, ')');
	for (const struct data *d = new != NULL ? new->first : NULL; d != NULL; d = d->next)
		comes |= !list_holds(old, d->text);
	if (gone)
		set_part(p, PHASE_TAKE, e, i, buf_slice(&stay));
	if (comes || !gone)
		set_part(p, PHASE_SET, e, i, to);
	buf_fini(&stay);
	arena_fini(&mem);
}

/* ---- one object ---- */

static void remove_object(struct plan *p, enum phase phase, const struct dir_entry *e)
{
	static const char *const verbs[DIR_KINDS] = { [DIR_DOMAIN] = "DeleteDomain",
		[DIR_ACCOUNT] = "DeleteAccount",
		[DIR_GROUP] = "DeleteGroup",
		[DIR_FORWARDER] = "DeleteForwarder",
		[DIR_LIST] = "DeleteList" };
	struct buf b;

	line_name(&b, verbs[e->kind], e->name);
	add_step(p, phase, e, &b);
}

/* What is made with the object, in the one change that makes it. */
static bool is_born_with(enum dir_kind kind, size_t part)
{
	return (kind == DIR_DOMAIN && (part == PART_IPS || part == PART_DOMAIN_SETTINGS)) ||
	       (kind == DIR_ACCOUNT && part == PART_ACCOUNT_SETTINGS);
}

/* What a new account begins with: its domain's template, as it is on the server now. */
static struct slice template_for(const struct plan *p, struct slice name)
{
	ptrdiff_t at = slice_rfind(name, '@');
	const struct dir_entry *domain =
	    dirfile_find(&p->have, DIR_DOMAIN, slice_from(name, (size_t)(at + 1)));

	return domain != NULL ? domain->part[PART_TEMPLATE] : SLICE_NONE;
}

static void put_born_with(const struct plan *p, struct buf *b, const struct dir_entry *e)
{
	size_t at = e->kind == DIR_DOMAIN ? PART_DOMAIN_SETTINGS : PART_ACCOUNT_SETTINGS;
	struct slice ips = e->kind == DIR_DOMAIN ? e->part[PART_IPS] : SLICE_NONE;
	struct slice settings = e->part[at];
	struct slice template = e->kind == DIR_ACCOUNT ? template_for(p, e->name) : SLICE_NONE;

	if (ips.n == 0 && settings.n == 0 && template.n == 0)
		return;
	buf_puts(b, " {");
	plan_put_unwanted(b, template, settings);
	if (ips.n > 0) {
		buf_puts(b, "IPAddresses=");
		buf_put(b, ips);
		buf_putc(b, ';');
	}
	if (settings.n > 0)
		buf_put(b, slice_from(settings, 1));
	else
		buf_putc(b, '}');
}

static void make_object(struct plan *p, const struct dir_entry *e)
{
	static const char *const verbs[DIR_KINDS] = { [DIR_DOMAIN] = "CreateDomain",
		[DIR_ACCOUNT] = "CreateAccount",
		[DIR_GROUP] = "CreateGroup",
		[DIR_FORWARDER] = "CreateForwarder",
		[DIR_LIST] = "CreateList" };
	struct buf b;

	line_name(&b, verbs[e->kind], e->name);
	if (e->kind == DIR_FORWARDER || e->kind == DIR_LIST) {
		buf_puts(&b, e->kind == DIR_LIST ? " for " : " TO ");
		buf_put(&b, e->part[0]);
	}
	if (e->kind == DIR_DOMAIN || e->kind == DIR_ACCOUNT)
		put_born_with(p, &b, e);
	add_step(p, PHASE_MAKE, e, &b);
}

static void plan_new(struct plan *p, const struct dir_entry *e)
{
	const struct dir_part *parts = dir_parts[e->kind];

	plan_show_object(p, '+', e);
	make_object(p, e);
	for (size_t i = 0; parts[i].key != NULL; i++)
		if (parts[i].set != NULL && e->part[i].n > 0 && !is_born_with(e->kind, i))
			set_part(p, PHASE_SET, e, i, e->part[i]);
}

static bool says(struct slice settings, const char *key)
{
	struct arena mem;
	const char *why;
	bool found;

	arena_init(&mem, 64 << 20);
	found = settings.n > 0 && data_get(data_parse(&mem, &settings, &why), key) != NULL;
	arena_fini(&mem);
	return found;
}

/* SetAccountSettings leaves an account suspended, and its preferences, unless it is told otherwise.
 */
static void set_settings(struct plan *p, const struct dir_entry *e, size_t i, struct slice old)
{
	bool ours = e->kind == DIR_ACCOUNT && i == PART_ACCOUNT_SETTINGS;
	bool resume = ours && says(old, "Suspended") && !says(e->part[i], "Suspended");
	bool bare = ours && says(old, "Prefs") && !says(e->part[i], "Prefs");
	struct buf b;

	if (!resume && !bare) {
		set_part(p, PHASE_SET, e, i, e->part[i]);
		return;
	}
	b = BUF_INIT(e->part[i].n + 100);
	buf_putc(&b, '{');
	buf_puts(&b, resume ? "Suspended=NO;" : "");
	buf_puts(&b, bare ? "Prefs=default;" : "");
	buf_puts(&b, e->part[i].n > 0 ? "" : "}");
	buf_put(&b, slice_from(e->part[i], 1));
	set_part(p, PHASE_SET, e, i, buf_slice(&b));
	buf_fini(&b);
}

static void plan_change(struct plan *p, const struct dir_entry *e, const struct dir_entry *old)
{
	const struct dir_part *parts = dir_parts[e->kind];

	for (size_t i = 0; parts[i].key != NULL; i++) {
		if (slice_eq(e->part[i], old->part[i]))
			continue;
		if (parts[i].value == 'l' && e->part[i].n == 0 && !p->prune)
			continue;
		plan_show_part(p, e, parts[i].key, old->part[i], e->part[i]);
		if (parts[i].set == NULL) {
			/* In one phase: the name is gone for no longer than it takes. */
			remove_object(p, PHASE_MAKE, old);
			make_object(p, e);
		} else if (parts[i].value == 'a' && strcmp(parts[i].key, "Rights") != 0) {
			change_list(p, e, i, old->part[i], e->part[i]);
		} else if (parts[i].value == 'l') {
			set_part(p, PHASE_SET, e, i, e->part[i]);
		} else {
			set_settings(p, e, i, old->part[i]);
		}
	}
}

/* ---- the whole ---- */

static void put_table(const struct dirfile *f, struct buf *b)
{
	bool first = true;

	for (size_t i = 0; i < f->n; i++) {
		if (f->entries[i].kind != DIR_ROUTER)
			continue;
		if (!first)
			buf_putc(b, '\n');
		first = false;
		buf_put(b, f->entries[i].name);
	}
}

static void plan_router(struct plan *p)
{
	struct buf have = BUF_INIT(16 << 20), want = BUF_INIT(16 << 20), b;
	const struct dir_entry *first = NULL;

	put_table(&p->have, &have);
	put_table(&p->want, &want);
	for (size_t i = 0; i < p->want.n && first == NULL; i++)
		if (p->want.entries[i].kind == DIR_ROUTER)
			first = &p->want.entries[i];
	if (!slice_eq(buf_slice(&have), buf_slice(&want)) && (first != NULL || p->prune)) {
		if (first == NULL)
			first = &p->want.entries[0];
		plan_show_table(p);
		b = BUF_INIT(32 << 20);
		buf_puts(&b, "SetRouterTable ");
		data_put_string(&b, buf_slice(&want));
		add_step(p, PHASE_ROUTER, first, &b);
	}
	buf_fini(&have);
	buf_fini(&want);
}

/* The Main Domain and its postmaster cannot go. */
static bool stays(const struct dir_entry *e, struct slice main_domain)
{
	struct slice at = e->name, local = slice_take(&at, '@');

	if (e->kind == DIR_DOMAIN)
		return slice_eq(e->name, main_domain);
	return e->kind == DIR_ACCOUNT && slice_eq(local, SLICE("postmaster")) &&
	       slice_eq(at, main_domain);
}

/* Objects before their domains, so from the end. */
static void plan_prune(struct plan *p, struct slice main_domain)
{
	for (size_t i = p->have.n; p->prune && i > 0; i--) {
		const struct dir_entry *e = &p->have.entries[i - 1];

		if (e->kind < DIR_DOMAIN || stays(e, main_domain) ||
		    dirfile_find(&p->want, e->kind, e->name) != NULL)
			continue;
		plan_show_object(p, '-', e);
		remove_object(p, PHASE_TAKE, e);
	}
}

static void plan_all(struct plan *p, struct slice main_domain)
{
	plan_prune(p, main_domain);
	for (size_t i = 0; i < p->want.n; i++) {
		const struct dir_entry *e = &p->want.entries[i], *old;

		if (e->kind == DIR_ROUTER)
			continue;
		old = dirfile_find(&p->have, e->kind, e->name);
		if (old == NULL)
			plan_new(p, e);
		else
			plan_change(p, e, old);
	}
	plan_router(p);
}

/* A copy of the Main Domain's name, in the plan's memory. */
static int main_domain(struct plan *p, struct slice *ret)
{
	struct reply r;
	struct buf b;
	int status;

	line_start(&b, "MainDomainName");
	status = ctl_ask(p->c, &b, &r);
	if (status == CTL_DONE && r.data != NULL)
		*ret = arena_copy(&p->have.mem, r.data->text);
	return status;
}

static int apply(struct plan *p)
{
	struct slice name = SLICE_NONE;
	int status = main_domain(p, &name);

	if (status == CTL_DONE)
		status = directory_load(p->c, &p->have);
	if (status != CTL_DONE)
		return status;
	if (!plan_form(&p->want))
		return ctl_refuse(p->c, "out of memory");
	plan_show_open(p);
	plan_all(p, name);
	if (p->failed)
		return ctl_refuse(p->c, "out of memory");
	if (p->c->dry_run || p->n == 0) {
		plan_show_close(p);
		return CTL_DONE;
	}
	status = plan_run(p);
	return status == CTL_DONE ? plan_tell_end(p) : status;
}

int ctl_apply(struct ctl *c)
{
	struct plan p = { .c = c, .path = c->argv[0], .prune = ctl_opt(c, "prune") != NULL };
	size_t n;
	uint8_t *text = read_input(c->argv[0], &n);
	int status = CTL_REFUSED;

	if (text == NULL)
		return CTL_REFUSED;
	dirfile_init(&p.want);
	dirfile_init(&p.have);
	if (dirfile_parse(&p.want, p.path, slice_of(text, n)))
		status = apply(&p);
	else
		status = ctl_refuse(c, "%s was not understood; nothing was changed", p.path);
	dirfile_fini(&p.want);
	dirfile_fini(&p.have);
	free(p.steps);
	free(text);
	return status;
}
