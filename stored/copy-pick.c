/*
 * copy-pick - which messages a copy or a move takes, portion by portion, and where their bodies are
 * while that goes on.
 */
#include "stored/copy-private.h"

#include "common/base/wire.h"

#include <stdlib.h>

static bool take(struct copy *c, const struct cols_walk *w)
{
	size_t cap = c->cap == 0 ? 64 : c->cap * 2;
	struct cols_row *rows;

	if (c->n_all == c->cap) {
		rows = reallocarray(c->all, cap, sizeof(*rows));
		if (rows == NULL)
			return false;
		c->all = rows;
		c->cap = cap;
	}
	c->all[c->n_all++] = cols_walk_row(w);
	return true;
}

/* Bytes that the message's row has for keywords beyond the bits. */
static size_t more_bytes(const struct copy *c, const struct cols_row *row)
{
	return keysets_get(&c->from->sets, row->keywords).more.n;
}

/* The uids of a move by steps fit into one row. */
static size_t portion_max(const struct copy *c)
{
	return c->steps ? COPY_CROSSES : COPY_PORTION;
}

/*
 * What a message's body weighs in the frame of its portion: one that is shared nothing, nor one
 * that is so long that it gets a file of its own.
 */
static uint64_t body_bytes(const struct copy *c, const struct cols_row *row)
{
	const struct engine *e = store_engine(c->op.account->st);

	if (c->from->account->shard == c->to->account->shard ||
	    row->size > engine_limits(e)->body_buffered)
		return 0;
	return row->size;
}

/* Messages for a portion of a move; of a copy all. */
static int collect(struct copy *c)
{
	uint32_t from = c->next_uid;
	uint64_t bodies = 0;
	size_t more = 0;
	struct cols_walk w;

	c->n_all = 0;
	c->next_uid = 0;
	cols_walk_from(&w, &c->from->cols, &c->see, from);
	for (size_t at = 0; at < c->n_uids; at += 8) {
		uint32_t first = wire_load_u32(c->uids + at);
		uint32_t last = wire_load_u32(c->uids + at + 4);

		if (last < from)
			continue;
		cols_walk_skip(&w, first > from ? first : from);
		while (cols_walk_peek(&w) <= last && cols_walk_next(&w)) {
			if (w.dead != NULL && c->move)
				continue; /* it is gone already */
			if (c->move && (c->n_all == portion_max(c) || more > COPY_KEYWORDS_MAX ||
					   bodies > COPY_BODIES_MAX)) {
				c->next_uid = w.uid;
				return IPC_ST_OK;
			}
			if (!c->move && c->n_all == c->op.account->st->copy_msgs_max)
				return IPC_ST_LIMIT;
			if (!take(c, &w))
				return IPC_ST_TRYLATER;
			if (!c->move)
				continue;
			more += more_bytes(c, &c->all[c->n_all - 1]);
			bodies += body_bytes(c, &c->all[c->n_all - 1]);
		}
	}
	return IPC_ST_OK;
}

/* The next portion of what a copy has collected. */
static void portion_take(struct copy *c)
{
	size_t at = (size_t)(c->rows - c->all) + c->n, left = c->n_all - at, more = 0;
	const struct store *st = c->op.account->st;
	size_t max = c->n_all <= st->copy_whole ? st->copy_whole : st->copy_portion;
	uint64_t bodies = 0;

	c->rows = c->all + at;
	c->n = 0;
	while (
	    c->n < left && c->n < max && more <= COPY_KEYWORDS_MAX && bodies <= COPY_BODIES_MAX) {
		more += more_bytes(c, &c->rows[c->n]);
		bodies += body_bytes(c, &c->rows[c->n++]);
	}
	c->next_uid = c->n < left;
	c->staged = c->staged || c->n < left;
}

/* Facts and headers of many messages are not copied, as long as what is expunged here stays. */
static bool may_lend(const struct copy *c)
{
	return !c->move && !copy_crosses(c) && c->n_all >= c->op.account->st->copy_lends &&
	       account_keeps(c->op.account);
}

int copy_collect(struct copy *c)
{
	int r = IPC_ST_OK;

	if (c->move || c->all == NULL) {
		r = collect(c);
		c->rows = c->all;
		c->n = c->move ? c->n_all : 0;
		c->lends = may_lend(c);
	}
	if (!c->move && r == IPC_ST_OK && c->n_all > 0)
		portion_take(c);
	return r;
}

/* ---- compaction takes their bodies elsewhere ---- */

static void moved(struct cols_row *row, const struct engine_loc *from, const struct engine_loc *to)
{
	if (memcmp(&row->loc, from, sizeof(*from)) == 0)
		row->loc = *to;
}

/*
 * What is still to be stored may have moved more than once when its turn comes, and a place is good
 * for one move. Of what was handed in the place is told with its new row.
 */
static void on_moved_here(
    void *arg, uint32_t uid, const struct engine_loc *from, const struct engine_loc *to)
{
	struct copy *c = arg;
	size_t lo = c->handed, n = c->n_all;

	if (c->back != NULL) {
		cols_moved(&c->back->box.cols, uid, from, to);
		return;
	}
	while (lo < n) {
		size_t mid = lo + (n - lo) / 2;

		if (c->all[mid].uid < uid)
			lo = mid + 1;
		else
			n = mid;
	}
	if (lo < c->n_all && c->all[lo].uid == uid)
		moved(&c->all[lo], from, to);
}

/* Until the last portion is durable nobody else keeps the places of those before it. */
static void on_moved_there(
    void *arg, uint32_t uid, const struct engine_loc *from, const struct engine_loc *to)
{
	struct copy *c = arg;

	if (c->staged && uid >= c->first_uid && uid - c->first_uid < c->handed)
		moved(&c->all[uid - c->first_uid], from, to);
}

/* New rows lie behind all that there are. */
static void on_moved_both(
    void *arg, uint32_t uid, const struct engine_loc *from, const struct engine_loc *to)
{
	struct copy *c = arg;

	if (c->staged && uid >= c->first_uid)
		on_moved_there(arg, uid, from, to);
	else
		on_moved_here(arg, uid, from, to);
}

/* A move looks for each portion anew. */
void copy_watch(struct copy *c, bool on)
{
	if (c->move)
		return;
	c->to->on_moved = !on ? NULL : c->from == c->to ? on_moved_both : on_moved_there;
	c->to->moved_arg = c;
	if (c->from == c->to)
		return;
	c->from->on_moved = on ? on_moved_here : NULL;
	c->from->moved_arg = c;
}
