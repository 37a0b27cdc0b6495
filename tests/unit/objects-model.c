#include "tests/unit/objects-model.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int model_find(const struct model *m, int domain, const char *name)
{
	for (int i = 0; i < MODEL_OBJECTS; i++)
		if (m->objects[i].kind != M_NONE && m->objects[i].domain == domain &&
		    strcmp(m->objects[i].name, name) == 0)
			return i;
	return -1;
}

int model_add(struct model *m, enum model_kind kind, int domain, const char *name)
{
	int i = 0;

	while (m->objects[i].kind != M_NONE)
		assert(++i < MODEL_OBJECTS);
	m->objects[i] = (struct model_object){ .kind = kind, .domain = domain, .owner = -1 };
	snprintf(m->objects[i].name, sizeof(m->objects[i].name), "%s", name);
	return i;
}

void model_remove(struct model *m, int object)
{
	m->objects[object].kind = M_NONE;
	for (int i = 0; i < MODEL_OBJECTS; i++) {
		struct model_object *o = &m->objects[i];

		if (o->kind == M_ALIAS && o->owner == object)
			o->kind = M_NONE;
		for (int k = 0; o->kind == M_GROUP && k < o->n; k++)
			if (o->members[k] == object)
				o->members[k] = -1;
	}
}

bool model_owns_lists(const struct model *m, int object)
{
	for (int i = 0; i < MODEL_OBJECTS; i++)
		if (m->objects[i].kind == M_LIST && m->objects[i].owner == object)
			return true;
	return false;
}

void model_full_name(const struct model *m, const struct model_object *o, char out[64])
{
	snprintf(out, 64, "%s@%s", o->name, m->domains[o->domain].name);
}

static int cmp_names(const void *a, const void *b)
{
	return strcmp((*(const struct model_object *const *)a)->name,
	    (*(const struct model_object *const *)b)->name);
}

static void put_row(const struct model *m, const struct model_object *o, struct buf *out)
{
	char full[64], other[64] = "";

	model_full_name(m, o, full);
	if (o->owner >= 0)
		model_full_name(m, &m->objects[o->owner], other);
	switch (o->kind) {
	case M_ACCOUNT:
		buf_printf(out, "account %s %s\n%llu|%s|%s|0\n", o->name,
		    o->suspended ? "suspended" : "active", o->id, full,
		    o->suspended ? "suspended" : "active");
		break;
	case M_ALIAS:
		buf_printf(out, "alias %s %s\n", o->name, m->objects[o->owner].name);
		break;
	case M_FORWARDER:
		buf_printf(out, "forwarder %s %s\n", o->name, o->address);
		break;
	case M_LIST:
		buf_printf(out, "list %s %s\n", o->name, other);
		break;
	default:
		buf_printf(out,
		    "group %s %d\nExpand|YES|RemoveToAndCc|NO|FinalDelivery|NO|EmailDisabled|%s",
		    o->name, o->n, o->closed ? "YES" : "NO");
		for (int k = 0; k < o->n; k++) {
			if (o->members[k] < 0)
				continue;
			model_full_name(m, &m->objects[o->members[k]], full);
			buf_printf(out, "|Members|%s", full);
		}
		buf_putc(out, '\n');
		break;
	}
}

static void put_domain(const struct model *m, int domain, struct buf *out)
{
	const struct model_object *v[MODEL_OBJECTS];
	int n = 0, counts[M_LIST + 1] = { 0 };

	for (int i = 0; i < MODEL_OBJECTS; i++) {
		const struct model_object *o = &m->objects[i];

		if (o->kind == M_NONE || o->domain != domain || o->state != M_ACTIVE)
			continue;
		/* An alias of an account that is not there yet, or not any more. */
		v[n++] = o;
		counts[o->kind]++;
	}
	buf_printf(out, "%s|%s", m->domains[domain].name,
	    m->domains[domain].suspended ? "suspended" : "active");
	for (int k = M_ACCOUNT; k <= M_LIST; k++)
		buf_printf(out, "|%d", counts[k]);
	buf_putc(out, '\n');
	if (n > 0)
		qsort(v, (size_t)n, sizeof(v[0]), cmp_names);
	for (int i = 0; i < n; i++)
		put_row(m, v[i], out);
}

void model_put(const struct model *m, struct buf *out)
{
	for (int d = 0; d < MODEL_DOMAINS; d++)
		if (m->domains[d].there)
			put_domain(m, d, out);
}
