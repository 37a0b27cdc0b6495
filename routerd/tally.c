#include "routerd/tally.h"

#include "common/base/clock.h"

#include <errno.h>
#include <stdlib.h>

static struct tally *tally_for(struct directory *d, uint64_t id)
{
	struct tally *t = idmap_get(&d->tallies, id);

	if (t != NULL)
		return t;
	t = calloc(1, sizeof(*t));
	if (t == NULL || idmap_add(&d->tallies, id, t) != 0) {
		free(t);
		return NULL;
	}
	t->since_s = clock_wall_s();
	return t;
}

void tally_recipient(struct directory *d, const struct object *account)
{
	struct tally *own = tally_for(d, account->id), *all = tally_for(d, account->domain->id);

	if (own != NULL)
		own->recipients++;
	if (all != NULL)
		all->recipients++;
}

void tally_login(struct directory *d, const struct object *account)
{
	struct tally *own = tally_for(d, account->id), *all = tally_for(d, account->domain->id);

	if (own != NULL)
		own->logins++;
	if (all != NULL)
		all->logins++;
}

struct tally tally_of(const struct directory *d, uint64_t id)
{
	const struct tally *t = idmap_get(&d->tallies, id);

	return t != NULL ? *t : (struct tally){ 0 };
}

int tally_reset(struct directory *d, uint64_t id)
{
	struct tally *t = tally_for(d, id);

	if (t == NULL)
		return -ENOMEM;
	*t = (struct tally){ .since_s = clock_wall_s() };
	return 0;
}

void tally_forget(struct directory *d, uint64_t id)
{
	struct tally *t = idmap_get(&d->tallies, id);

	idmap_del(&d->tallies, id);
	free(t);
}

void tallies_free_all(struct directory *d)
{
	size_t at = 0;

	for (struct tally *t; (t = idmap_next(&d->tallies, &at)) != NULL;)
		free(t);
	idmap_fini(&d->tallies);
}
