/*
 * plan-form - the values of a file as the server would write them, so that a second run finds
 * nothing to do: 10240K is 10M, a group without Expand has Expand=YES. What the server will refuse
 * stays as it is.
 */
#include "ctl/plan.h"

#include "common/settings/settings.h"

enum { FORM_BYTES = 16 << 20 };

/* The key and the value of one setting; false: it says "default", which is what no entry says. */
static bool setting_form(struct arena *mem, struct data *d)
{
	struct buf text = BUF_INIT(SETTING_TEXT_MAX), packed = BUF_INIT(SETTING_PACKED_MAX);
	enum setting key = setting_find(d->key);
	struct data *next = d->next, *form = NULL;
	const char *why;
	struct slice in;

	if (key == SETTINGS)
		return true;
	if (d->kind == DATA_STRING && slice_ieq(d->text, SLICE("default")))
		return false;
	data_put(&text, d);
	if (setting_parse(key, buf_slice(&text), &packed, &why) == 0) {
		buf_reset(&text);
		setting_put(&text, key, buf_slice(&packed));
		in = arena_copy(mem, buf_slice(&text));
		form = in.p != NULL ? data_parse(mem, &in, &why) : NULL;
	}
	if (form != NULL) {
		*d = *form;
		d->key = slice_str(setting_rows[key].name);
		d->next = next;
	}
	buf_fini(&text);
	buf_fini(&packed);
	return true;
}

static void settings_form(struct arena *mem, struct data *dict)
{
	for (struct data **at = &dict->first; *at != NULL;) {
		if (setting_form(mem, *at))
			at = &(*at)->next;
		else
			*at = (*at)->next;
	}
}

/* ---- groups ---- */

/* A group has all of these, and Members, whatever is said of it. */
static const struct {
	const char *name, *value;
} flags[] = { { "Expand", "YES" }, { "RemoveToAndCc", "NO" }, { "FinalDelivery", "NO" },
	{ "EmailDisabled", "NO" } };

enum { FLAGS = sizeof(flags) / sizeof(flags[0]) };

static void member_form(struct arena *mem, struct data *member, struct slice group)
{
	ptrdiff_t at = slice_rfind(group, '@');
	struct buf full = BUF_INIT(2000);
	struct slice copy;

	if (member->kind != DATA_STRING || at < 0 || slice_rfind(member->text, '@') >= 0)
		return;
	buf_put(&full, member->text);
	buf_put(&full, slice_from(group, (size_t)at));
	copy = full.overflow ? SLICE_NONE : arena_copy(mem, buf_slice(&full));
	if (copy.p != NULL)
		member->text = copy;
	buf_fini(&full);
}

static void add_missing(struct arena *mem, struct data *dict, struct data what)
{
	struct data *more;

	for (const struct data *d = dict->first; d != NULL; d = d->next)
		if (slice_eq(d->key, what.key))
			return;
	more = arena_alloc(mem, sizeof(*more));
	if (more == NULL)
		return;
	*more = what;
	more->next = dict->first;
	dict->first = more;
}

static void group_form(struct arena *mem, struct data *dict, struct slice group)
{
	for (struct data *d = dict->first; d != NULL; d = d->next) {
		for (size_t i = 0; i < FLAGS; i++) {
			if (!slice_ieq(d->key, slice_str(flags[i].name)))
				continue;
			d->key = slice_str(flags[i].name);
			if (slice_ieq(d->text, SLICE("YES")) || slice_ieq(d->text, SLICE("NO")))
				d->text =
				    slice_ieq(d->text, SLICE("YES")) ? SLICE("YES") : SLICE("NO");
		}
		if (slice_ieq(d->key, SLICE("Members"))) {
			d->key = SLICE("Members");
			for (struct data *m = d->first; m != NULL; m = m->next)
				member_form(mem, m, group);
		}
	}
	for (size_t i = 0; i < FLAGS; i++)
		add_missing(mem, dict,
		    (struct data){ .kind = DATA_STRING,
			.key = slice_str(flags[i].name),
			.text = slice_str(flags[i].value) });
	add_missing(mem, dict, (struct data){ .kind = DATA_ARRAY, .key = SLICE("Members") });
}

/* ---- all ---- */

static bool part_form(struct dirfile *f, struct dir_entry *e, size_t part)
{
	struct arena mem;
	struct slice in = e->part[part];
	const char *why;
	struct data *dict;
	bool done = true;

	arena_init(&mem, FORM_BYTES * 4);
	if (in.n == 0)
		in = SLICE("{}");
	dict = data_parse(&mem, &in, &why);
	if (dict != NULL && dict->kind == DATA_DICT) {
		if (e->kind == DIR_GROUP)
			group_form(&mem, dict, e->name);
		else
			settings_form(&mem, dict);
		done = dirfile_set(f, e, part, dict);
	}
	arena_fini(&mem);
	return done;
}

bool plan_form(struct dirfile *f)
{
	for (size_t i = 0; i < f->n; i++) {
		struct dir_entry *e = &f->entries[i];
		const struct dir_part *parts = dir_parts[e->kind];

		for (size_t k = 0; e->kind != DIR_ROUTER && parts[k].key != NULL; k++)
			if (parts[k].value == 'd' && (e->part[k].n > 0 || e->kind == DIR_GROUP) &&
			    !part_form(f, e, k))
				return false;
	}
	return true;
}

/* ---- templates ---- */

void plan_put_unwanted(struct buf *b, struct slice template, struct slice settings)
{
	struct arena mem;
	struct data *dict = NULL, *wanted = NULL;
	const char *why;

	arena_init(&mem, FORM_BYTES * 4);
	if (template.n > 0)
		dict = data_parse(&mem, &template, &why);
	if (settings.n > 0)
		wanted = data_parse(&mem, &settings, &why);
	for (const struct data *d = dict != NULL ? dict->first : NULL; d != NULL; d = d->next) {
		enum setting key = setting_find(d->key);

		if (key == SETTINGS || setting_rows[key].level != LEVEL_ACCOUNT ||
		    data_get(wanted, setting_rows[key].name) != NULL)
			continue;
		buf_puts(b, setting_rows[key].name);
		buf_puts(b, "=default;");
	}
	arena_fini(&mem);
}
