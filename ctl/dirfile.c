#include "ctl/dirfile.h"

#include "common/base/addr_range.h"

#include <stdlib.h>

enum { MEM_MAX = 1 << 30, VALUE_MAX = 16 << 20, COMPLAINTS_MAX = 50 };

const char *const dir_kind_words[DIR_KINDS] = { "server", "router", "domain", "account", "group",
	"forwarder", "list" };

/* clang-format off */
const struct dir_part dir_parts[DIR_KINDS][DIR_PARTS_MAX + 1] = {
	[DIR_SERVER] = {
		{ "Settings", 'd', "GetServerSettings", "SetServerSettings" },
		{ "DomainDefaults", 'd', "GetDomainDefaults", "SetDomainDefaults" },
		{ "AccountDefaults", 'd', "GetServerAccountDefaults", "SetServerAccountDefaults" },
		{ "Alerts", 'l', "GetServerAlerts", "SetServerAlerts" },
	},
	[DIR_DOMAIN] = {
		{ "IPAddresses", 'a', NULL, "UpdateDomainSettings" },
		{ "Aliases", 'a', "GetDomainAliases", "SetDomainAliases" },
		{ "Settings", 'd', "GetDomainSettings", "SetDomainSettings" },
		{ "AccountDefaults", 'd', "GetAccountDefaults", "SetAccountDefaults" },
		{ "Template", 'd', "GetAccountTemplate", "SetAccountTemplate" },
		{ "Suspended", 's', "GetDomainInfo", "SuspendDomain" },
		{ "Alerts", 'l', "GetDomainAlerts", "SetDomainAlerts" },
	},
	[DIR_ACCOUNT] = {
		{ "Aliases", 'a', "GetAccountAliases", "SetAccountAliases" },
		{ "Settings", 'd', "GetAccountSettings", "SetAccountSettings" },
		{ "Rights", 'a', "GetAccountRights", "SetAccountRights" },
		{ "Alerts", 'l', "GetAccountAlerts", "SetAccountAlerts" },
	},
	[DIR_GROUP] = {
		{ "Settings", 'd', "GetGroup", "SetGroup" },
	},
	[DIR_FORWARDER] = {
		{ "Address", 's', "GetForwarder", NULL },
	},
	[DIR_LIST] = {
		{ "Owner", 's', "GetList", NULL },
	},
};
/* clang-format on */

void dirfile_init(struct dirfile *f)
{
	*f = (struct dirfile){ 0 };
	arena_init(&f->mem, MEM_MAX);
}

void dirfile_fini(struct dirfile *f)
{
	arena_fini(&f->mem);
	free(f->entries);
	*f = (struct dirfile){ 0 };
}

static struct slice lower_copy(struct arena *mem, struct slice s)
{
	struct slice copy = arena_copy(mem, s);

	for (size_t i = 0; i < copy.n; i++)
		((uint8_t *)copy.p)[i] = ascii_lower(copy.p[i]);
	return copy;
}

struct dir_entry *dirfile_add(struct dirfile *f, enum dir_kind kind, struct slice name)
{
	struct dir_entry *e;

	if (f->n == f->cap) {
		size_t cap = f->cap > 0 ? f->cap * 2 : 256;
		struct dir_entry *more = reallocarray(f->entries, cap, sizeof(*more));

		if (more == NULL)
			return NULL;
		f->entries = more;
		f->cap = cap;
	}
	e = &f->entries[f->n];
	*e = (struct dir_entry){ .kind = kind };
	e->name = kind == DIR_ROUTER ? arena_copy(&f->mem, name) : lower_copy(&f->mem, name);
	if (name.n > 0 && e->name.p == NULL)
		return NULL;
	f->n++;
	return e;
}

/* ---- one form for each value ---- */

static int cmp_keys(const void *a, const void *b)
{
	const struct data *const *x = a, *const *y = b;

	return slice_cmp((*x)->key, (*y)->key);
}

static int cmp_texts(const void *a, const void *b)
{
	const struct data *const *x = a, *const *y = b;

	return slice_cmp((*x)->text, (*y)->text);
}

static void put_canonical(struct buf *b, const struct data *d, bool sorted);

static void put_children(struct buf *b, const struct data *d, bool sorted)
{
	const struct data **v;
	size_t n = 0;
	bool dict = d->kind == DATA_DICT;

	for (const struct data *e = d->first; e != NULL; e = e->next)
		n++;
	v = n > 0 ? calloc(n, sizeof(*v)) : NULL;
	if (n > 0 && v == NULL) {
		b->overflow = true;
		return;
	}
	n = 0;
	for (const struct data *e = d->first; e != NULL; e = e->next)
		v[n++] = e;
	if (n > 0 && (dict || sorted))
		qsort(v, n, sizeof(*v), dict ? cmp_keys : cmp_texts);
	for (size_t i = 0; i < n; i++) {
		if (dict) {
			data_put_string(b, v[i]->key);
			buf_putc(b, '=');
		} else if (i > 0) {
			buf_puts(b, ",");
		}
		put_canonical(b, v[i], false);
		if (dict)
			buf_putc(b, ';');
	}
	free(v);
}

static void put_canonical(struct buf *b, const struct data *d, bool sorted)
{
	if (d->kind != DATA_ARRAY && d->kind != DATA_DICT) {
		data_put(b, d);
		return;
	}
	buf_putc(b, d->kind == DATA_ARRAY ? '(' : '{');
	put_children(b, d, sorted);
	buf_putc(b, d->kind == DATA_ARRAY ? ')' : '}');
}

/* A word of the list may lie in the text that was parsed, which is not ours to write to. */
static bool lower_texts(struct arena *mem, struct data *list)
{
	for (struct data *e = list->first; e != NULL; e = e->next) {
		if (e->kind != DATA_STRING || e->text.n == 0)
			continue;
		e->text = lower_copy(mem, e->text);
		if (e->text.p == NULL)
			return false;
	}
	return true;
}

/* Addresses as the server shows them, so that other ways to write them are no difference. */
static void one_form(struct arena *mem, struct data *list)
{
	char text[ADDR_RANGE_TEXT_MAX];
	struct addr_range r;

	for (struct data *e = list->first; e != NULL; e = e->next) {
		struct slice shown = SLICE_NONE;

		if (e->kind == DATA_STRING && addr_range_parse(e->text, &r) == 0)
			shown = arena_copy(mem, slice_str(addr_range_text(&r, text)));
		if (shown.p != NULL)
			e->text = shown;
	}
}

bool dirfile_set(struct dirfile *f, struct dir_entry *e, size_t part, const struct data *value)
{
	const struct dir_part *p = &dir_parts[e->kind][part];
	struct buf b = BUF_INIT(VALUE_MAX);
	bool names = p->value == 'a' && strcmp(p->key, "Rights") != 0;

	e->part[part] = SLICE_NONE;
	if (value == NULL ||
	    ((value->kind == DATA_ARRAY || value->kind == DATA_DICT) && value->first == NULL))
		return true;
	if (names && !lower_texts(&f->mem, (struct data *)value))
		return false;
	if (strcmp(p->key, "IPAddresses") == 0)
		one_form(&f->mem, (struct data *)value);
	put_canonical(&b, value, p->value == 'a');
	if (!b.overflow)
		e->part[part] = arena_copy(&f->mem, buf_slice(&b));
	buf_fini(&b);
	return e->part[part].p != NULL;
}

/* ---- order ---- */

/* Objects by domain, then name. */
static int cmp_names(struct slice a, struct slice b)
{
	ptrdiff_t at = slice_rfind(a, '@'), bt = slice_rfind(b, '@');
	int r = slice_cmp(slice_from(a, (size_t)(at + 1)), slice_from(b, (size_t)(bt + 1)));

	return r != 0 ? r : slice_cmp(a, b);
}

static int cmp_entries(const void *a, const void *b)
{
	const struct dir_entry *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->kind == DIR_ROUTER)
		return x->line < y->line ? -1 : x->line > y->line;
	return cmp_names(x->name, y->name);
}

void dirfile_sort(struct dirfile *f)
{
	if (f->n > 0)
		qsort(f->entries, f->n, sizeof(*f->entries), cmp_entries);
}

const struct dir_entry *dirfile_find(const struct dirfile *f, enum dir_kind kind, struct slice name)
{
	struct dir_entry key = { .kind = kind, .name = name };

	return f->n > 0 ? bsearch(&key, f->entries, f->n, sizeof(*f->entries), cmp_entries) : NULL;
}

/* ---- text ---- */

struct reading {
	struct dirfile *f;
	const char *path;
	unsigned line, wrong;
	bool server;
};

static bool complain(struct reading *r, const char *why, struct slice what)
{
	if (++r->wrong > COMPLAINTS_MAX)
		return false;
	fprintf(stderr, "gatehousectl: %s:%u: %s", r->path, r->line, why);
	if (what.n > 0)
		fprintf(stderr, ": %.*s", SLICE_FMT(what));
	fputc('\n', stderr);
	return false;
}

static bool value_right(const struct dir_part *p, const struct data *v)
{
	if (p->value == 's')
		return v->kind == DATA_STRING && v->text.n > 0;
	if (p->value == 'd')
		return v->kind == DATA_DICT;
	if (v->kind != DATA_ARRAY)
		return false;
	for (const struct data *e = v->first; e != NULL; e = e->next)
		if (e->kind != DATA_STRING)
			return false;
	return true;
}

static bool take_part(struct reading *r, struct dir_entry *e, const struct data *v)
{
	const struct dir_part *parts = dir_parts[e->kind];
	size_t i = 0;

	while (parts[i].key != NULL && !slice_ieq(v->key, slice_str(parts[i].key)))
		i++;
	if (parts[i].key == NULL)
		return complain(r, "such an object has nothing of this name", v->key);
	if (!value_right(&parts[i], v))
		return complain(r,
		    parts[i].value == 'd'   ? "this is a dictionary, {key=value;}"
		    : parts[i].value == 's' ? "this is a string"
					    : "this is an array, (name, name)",
		    v->key);
	return dirfile_set(r->f, e, i, v) || complain(r, "out of memory", SLICE_NONE);
}

/* A group's dictionary is its only part. */
static bool take_dict(struct reading *r, struct dir_entry *e, const struct data *dict)
{
	bool right = true;

	if (e->kind == DIR_GROUP)
		return dirfile_set(r->f, e, 0, dict) || complain(r, "out of memory", SLICE_NONE);
	for (const struct data *v = dict->first; v != NULL; v = v->next)
		right &= take_part(r, e, v);
	if ((e->kind == DIR_FORWARDER || e->kind == DIR_LIST) && right && e->part[0].n == 0)
		return complain(r, "this is missing", slice_str(dir_parts[e->kind][0].key));
	return right;
}

static bool name_right(enum dir_kind kind, const struct data *name)
{
	if (name->kind != DATA_STRING || (name->text.n == 0 && kind != DIR_ROUTER))
		return false;
	return kind < DIR_ACCOUNT || slice_find(name->text, '@') > 0;
}

static void parse_line(struct reading *r, struct arena *mem, struct slice line)
{
	const char *why = NULL;
	struct slice word = slice_take(&line, ' ');
	struct data *name = NULL, *dict = NULL;
	struct dir_entry *e;
	int kind = 0;

	while (kind < DIR_KINDS && !slice_eq(word, slice_str(dir_kind_words[kind])))
		kind++;
	if (kind == DIR_KINDS) {
		complain(r,
		    "a line begins with server, router, domain, account, group, forwarder or list, "
		    "not",
		    word);
		return;
	}
	if (kind != DIR_SERVER)
		name = data_parse_word(mem, &line, &why);
	data_skip_blanks(&line);
	if (why == NULL && kind != DIR_ROUTER && line.n > 0)
		dict = data_parse(mem, &line, &why);
	data_skip_blanks(&line);
	if (why != NULL || line.n > 0) {
		complain(r, why != NULL ? why : "there is more behind the end", line);
		return;
	}
	if ((kind != DIR_SERVER && (name == NULL || !name_right((enum dir_kind)kind, name))) ||
	    (dict != NULL && dict->kind != DATA_DICT)) {
		complain(r, "a line is a word, a name (with its domain) and {...}", SLICE_NONE);
		return;
	}
	if (kind == DIR_SERVER && r->server) {
		complain(r, "there is one server", SLICE_NONE);
		return;
	}
	r->server |= kind == DIR_SERVER;
	e = dirfile_add(r->f, (enum dir_kind)kind, name != NULL ? name->text : SLICE_NONE);
	if (e == NULL) {
		complain(r, "out of memory", SLICE_NONE);
		return;
	}
	e->line = r->line;
	if (dict != NULL)
		take_dict(r, e, dict);
	else if (kind == DIR_FORWARDER || kind == DIR_LIST)
		complain(r, "{...} is missing", SLICE_NONE);
}

static void find_doubles(struct reading *r)
{
	for (size_t i = 1; i < r->f->n; i++) {
		const struct dir_entry *a = &r->f->entries[i - 1], *b = &r->f->entries[i];

		if (a->kind != b->kind || a->kind == DIR_ROUTER || !slice_eq(a->name, b->name))
			continue;
		r->line = b->line > a->line ? b->line : a->line;
		complain(r, "this is there already", b->name);
	}
}

bool dirfile_parse(struct dirfile *f, const char *path, struct slice text)
{
	struct reading r = { .f = f, .path = path };
	struct arena mem;

	arena_init(&mem, VALUE_MAX * 4);
	while (text.n > 0) {
		struct slice line = slice_take(&text, '\n');

		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		r.line++;
		line = slice_trim(line);
		if (line.n > 0 && line.p[0] != '#' && line.p[0] != ';')
			parse_line(&r, &mem, line);
		arena_reset(&mem);
	}
	arena_fini(&mem);
	dirfile_sort(f);
	find_doubles(&r);
	if (r.wrong > COMPLAINTS_MAX)
		fprintf(stderr, "gatehousectl: and %u more\n", r.wrong - COMPLAINTS_MAX);
	return r.wrong == 0;
}

void dir_entry_print(const struct dir_entry *e, FILE *to)
{
	const struct dir_part *parts = dir_parts[e->kind];
	struct buf b = BUF_INIT(VALUE_MAX);
	bool any = false;

	fputs(dir_kind_words[e->kind], to);
	if (e->kind != DIR_SERVER) {
		buf_putc(&b, ' ');
		data_put_string(&b, e->name);
	}
	if (e->kind == DIR_GROUP && e->part[0].n > 0) {
		buf_putc(&b, ' ');
		buf_put(&b, e->part[0]);
	}
	for (size_t i = 0; e->kind != DIR_GROUP && parts[i].key != NULL; i++) {
		if (e->part[i].n == 0)
			continue;
		buf_puts(&b, any ? " " : " {");
		any = true;
		buf_puts(&b, parts[i].key);
		buf_putc(&b, '=');
		buf_put(&b, e->part[i]);
		buf_putc(&b, ';');
	}
	if (any)
		buf_putc(&b, '}');
	fprintf(to, "%.*s\n", SLICE_FMT(buf_slice(&b)));
	buf_fini(&b);
}

void dirfile_print(const struct dirfile *f, FILE *to)
{
	for (size_t i = 0; i < f->n; i++)
		dir_entry_print(&f->entries[i], to);
}
