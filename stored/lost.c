#include "stored/lost.h"

#include "stored/tree.h"

#include <errno.h>
#include <stdlib.h>

uint64_t lost_count(const struct account *a, uint64_t *ret_bytes)
{
	uint64_t n = 0, bytes = 0;
	const struct mbox *m;

	for (size_t i = 0; (m = account_nth(a, i)) != NULL; i++) {
		n += m->pub.lost;
		bytes += m->pub.lost_bytes;
	}
	*ret_bytes = bytes;
	return n;
}

static bool usable(const struct mbox *m)
{
	return m->state == MBOX_READY && (m->pub.lost > 0 || m->deleted_s != 0);
}

int lost_mboxes_find(struct account *a, struct slice name, uint64_t id, struct lost_mboxes *ret)
{
	uint8_t space[MBOX_NAME_MAX];
	struct slice good = name;
	struct mbox *m;
	size_t n = 0;

	tree_reap(a);
	*ret = (struct lost_mboxes){ .account = a };
	if (name.n > 0 && !tree_name_good(name, space, &good))
		return 0;
	for (size_t i = 0; (m = account_nth(a, i)) != NULL; i++)
		n += usable(m);
	ret->v = reallocarray(NULL, n + 1, sizeof(struct mbox *));
	if (ret->v == NULL)
		return -ENOMEM;
	for (size_t i = 0; (m = account_nth(a, i)) != NULL; i++) {
		if (!usable(m) || (id != 0 && m->id != id) ||
		    (name.n > 0 && !slice_eq(m->name, good)))
			continue;
		m->pins++;
		ret->v[ret->n++] = m;
	}
	return 0;
}

struct mbox *lost_mboxes_next(struct lost_mboxes *l)
{
	while (l->at < l->n)
		if (usable(l->v[l->at++]))
			return l->v[l->at - 1];
	return NULL;
}

void lost_mboxes_fini(struct lost_mboxes *l)
{
	for (size_t i = 0; i < l->n; i++)
		l->v[i]->pins--;
	free(l->v);
	if (l->account != NULL)
		tree_reap(l->account);
	*l = (struct lost_mboxes){ 0 };
}
