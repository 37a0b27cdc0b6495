/*
 * tree - the ordered lists of an account's names.
 */
#include "stored/tree.h"

#include <stdlib.h>

int tree_compare(struct slice a, struct slice b)
{
	size_t n = a.n < b.n ? a.n : b.n;

	for (size_t i = 0; i < n; i++) {
		int x = a.p[i] == '/' ? -1 : a.p[i], y = b.p[i] == '/' ? -1 : b.p[i];

		if (x != y)
			return x < y ? -1 : 1;
	}
	return a.n == b.n ? 0 : a.n < b.n ? -1 : 1;
}

/* Octets of the UTF-8 character at the start (RFC 3629), 0: it is none. */
static size_t utf8_step(struct slice s)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint8_t lead = s.p[0];
	size_t n = lead < 0x80   ? 1
		   : lead < 0xc2 ? 0
		   : lead < 0xe0 ? 2
		   : lead < 0xf0 ? 3
		   : lead < 0xf5 ? 4
				 : 0;
	uint32_t c = n < 2 ? lead : lead & (0xffu >> (n + 1));

	if (n > s.n)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((s.p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s.p[i] & 0x3f);
	}
	return c < least[n] || (c >= 0xd800 && c < 0xe000) || c > 0x10ffff ? 0 : n;
}

static bool is_utf8(struct slice s)
{
	while (s.n > 0) {
		size_t n = utf8_step(s);

		if (n == 0)
			return false;
		s = slice_from(s, n);
	}
	return true;
}

bool tree_name_good(struct slice name, uint8_t *out, struct slice *ret_name)
{
	size_t level = 0, levels = 1;

	if (name.n == 0 || name.n > MBOX_NAME_MAX || !is_utf8(name))
		return false;
	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] < ' ' || name.p[i] == 0x7f)
			return false;
		level++;
		if (name.p[i] != '/')
			continue;
		if (level == 1 || ++levels > TREE_LEVELS_MAX)
			return false;
		level = 0;
	}
	if (level == 0)
		return false;
	memcpy(out, name.p, name.n);
	if (slice_istarts(name, SLICE("INBOX")) && (name.n == 5 || name.p[5] == '/'))
		memcpy(out, "INBOX", 5);
	*ret_name = slice_of(out, name.n);
	return true;
}

size_t tree_names_lower(const struct tree_names *l, struct slice name, bool *ret_found)
{
	size_t lo = 0, hi = l->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (tree_compare(l->v[mid].name, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*ret_found = lo < l->n && slice_eq(l->v[lo].name, name);
	return lo;
}

size_t tree_mboxes_lower(const struct account *a, struct slice name, bool *ret_found)
{
	size_t lo = 0, hi = a->n_mboxes;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (tree_compare(a->mboxes[mid]->name, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*ret_found = lo < a->n_mboxes && slice_eq(a->mboxes[lo]->name, name);
	return lo;
}

bool tree_name_within(struct slice name, struct slice top)
{
	return slice_starts(name, top) && (name.n == top.n || name.p[top.n] == '/');
}

static bool below(struct slice name, struct slice parent)
{
	return name.n > parent.n && name.p[parent.n] == '/' &&
	       memcmp(name.p, parent.p, parent.n) == 0;
}

bool tree_has_children(const struct account *a, struct slice name)
{
	bool found;
	size_t i = tree_mboxes_lower(a, name, &found) + found;
	size_t k = tree_names_lower(&a->dirs, name, &found);

	k += found;
	return (i < a->n_mboxes && below(a->mboxes[i]->name, name)) ||
	       (k < a->dirs.n && below(a->dirs.v[k].name, name));
}

int tree_names_add(struct tree_names *l, uint64_t id, struct slice name)
{
	bool found;
	size_t at = tree_names_lower(l, name, &found);
	struct tree_name *v = reallocarray(l->v, l->n + 1, sizeof(*v));
	uint8_t *copy = malloc(name.n);

	if (v != NULL)
		l->v = v;
	if (v == NULL || copy == NULL) {
		free(copy);
		return 1;
	}
	memcpy(copy, name.p, name.n);
	memmove(&v[at + 1], &v[at], (l->n - at) * sizeof(*v));
	v[at] = (struct tree_name){ id, slice_of(copy, name.n) };
	l->n++;
	return 0;
}

void tree_names_remove(struct tree_names *l, size_t i)
{
	free((void *)l->v[i].name.p);
	l->n--;
	memmove(&l->v[i], &l->v[i + 1], (l->n - i) * sizeof(*l->v));
}

int tree_mboxes_add(struct account *a, struct mbox *take_m)
{
	bool found;
	size_t at = tree_mboxes_lower(a, take_m->name, &found);
	struct mbox **p = reallocarray(a->mboxes, a->n_mboxes + 1, sizeof(*p));

	if (p == NULL)
		return 1;
	a->mboxes = p;
	memmove(&p[at + 1], &p[at], (a->n_mboxes - at) * sizeof(*p));
	p[at] = take_m;
	a->n_mboxes++;
	return 0;
}

static int mbox_order(const void *x, const void *y)
{
	const struct mbox *const *a = x, *const *b = y;

	return tree_compare((*a)->name, (*b)->name);
}

void tree_mboxes_sort(struct account *a)
{
	if (a->n_mboxes > 1)
		qsort(a->mboxes, a->n_mboxes, sizeof(struct mbox *), mbox_order);
}

struct mbox *account_mbox(struct account *a, struct slice name, int *ret_status)
{
	uint8_t space[MBOX_NAME_MAX];
	struct slice good;
	bool found;
	size_t i;

	*ret_status = IPC_ST_NOTFOUND;
	if (!tree_name_good(name, space, &good))
		return NULL;
	i = tree_mboxes_lower(a, good, &found);
	if (found) {
		*ret_status = IPC_ST_OK;
		return a->mboxes[i];
	}
	(void)tree_names_lower(&a->dirs, good, &found);
	if (found)
		*ret_status = IPC_ST_CANNOT;
	return NULL;
}

struct mbox *account_mbox_id(struct account *a, uint64_t id)
{
	for (size_t i = 0; i < a->n_mboxes; i++)
		if (a->mboxes[i]->id == id)
			return a->mboxes[i];
	return NULL;
}
