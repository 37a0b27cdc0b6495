/*
 * place - where a message's body is now, by its row: for who kept its place for so long that
 * compaction took the body somewhere else more than once (see engine_group_on_moved()).
 */
#include "stored/store-private.h"

#include <stdlib.h>

struct place_ask {
	struct store *st;
	place_fn *fn;
	void *arg;
};

static void on_row(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct place_ask *q = arg;

	q->st->in_flight--;
	q->fn(q->arg, rc == ENGINE_OK && n == 1 && rows[0].has_loc ? &rows[0].loc : NULL);
	free(q);
}

bool place_find(struct mbox *m, uint32_t uid, bool doomed, place_fn *fn, void *arg)
{
	struct rec_key key = key_u32(doomed ? REC_DOOMED : REC_MSG, uid);
	struct place_ask *q = m->group != NULL ? malloc(sizeof(*q)) : NULL;

	if (q == NULL)
		return false;
	*q = (struct place_ask){ m->account->st, fn, arg };
	q->st->in_flight++;
	engine_get(m->group, key_slice(&key), on_row, q);
	return true;
}
