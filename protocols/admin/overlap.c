/*
 * overlap - commands of one kind that are under way together, so that they share the flushes of the
 * disk, and still mean the same as line by line.
 *
 * One that has a name in common with another, or very many names, waits for its turn. One that
 * fails beside others may have failed by what those before it give up: it is tried again when they
 * are done. It had changed nothing.
 */
#include "protocols/admin/admin-private.h"

/* What is the same name in some domain counts as the same. */
static struct slice local_part(struct slice name)
{
	return slice_take(&name, '@');
}

static bool holds(const struct data *d, struct slice name)
{
	if (d->kind != DATA_ARRAY)
		return d->kind == DATA_STRING && slice_ieq(local_part(d->text), name);
	for (const struct data *e = d->first; e != NULL; e = e->next)
		if (holds(e, name))
			return true;
	return false;
}

static bool have_common(const struct data *a, const struct data *b)
{
	if (a->kind != DATA_ARRAY)
		return a->kind == DATA_STRING && holds(b, local_part(a->text));
	for (const struct data *e = a->first; e != NULL; e = e->next)
		if (have_common(e, b))
			return true;
	return false;
}

static bool clash(const struct cmd *c, const struct cmd *other)
{
	for (size_t i = 0; i < c->words; i++)
		for (size_t k = 0; k < other->words; k++)
			if (have_common(c->word[i], other->word[k]))
				return true;
	return false;
}

static size_t count(const struct data *d)
{
	size_t n = 1;

	if (d->kind != DATA_ARRAY)
		return n;
	for (const struct data *e = d->first; e != NULL; e = e->next)
		n += count(e);
	return n;
}

/* Each name is compared with all of each other command: a line of them must not cost its square. */
static bool has_many(const struct cmd *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->words; i++)
		n += count(c->word[i]);
	return n > ADMIN_COMPARED_MAX;
}

bool overlap_may(const struct admin *a, const struct verb *v)
{
	size_t max = v != NULL ? v->overlaps : 0;

	if (a->conf->pwd && max > PWD_PIPELINE_MAX)
		max = PWD_PIPELINE_MAX;
	return !a->waiting && max > 0 && a->head->verb == v && a->under_way < max;
}

void overlap_run(struct cmd *c)
{
	c->beside = c->a->head != c;
	c->waits = c->beside && c->verb->again && has_many(c);
	for (const struct cmd *o = c->a->head; c->verb->again && o != c && !c->waits; o = o->next)
		c->waits = clash(c, o);
	c->a->waiting = c->waits;
	if (!c->waits)
		c->verb->run(c);
}

void overlap_first(struct cmd *c)
{
	bool failed = c->verb != NULL && (c->verb->again || c->again) && c->beside &&
		      c->status != NULL && c->status[0] == '5';

	if (c->waits)
		c->a->waiting = false;
	if (!c->waits && !failed)
		return;
	c->waits = c->beside = c->again = false;
	c->status = NULL;
	c->verb->run(c);
}
