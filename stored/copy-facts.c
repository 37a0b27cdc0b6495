/*
 * copy-facts - facts of the messages of a portion, then their headers, where they are copied and as
 * far as there is room for them: what is left out is made anew when somebody asks for it.
 */
#include "stored/copy-private.h"

#include "common/base/wire.h"

enum { NEAR = 64 }; /* gaps of uids that are read over */

static size_t row_find(const struct copy *c, uint32_t uid)
{
	size_t lo = c->facts_at, hi = c->facts_to;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (c->rows[mid].uid < uid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < c->facts_to && c->rows[lo].uid == uid ? lo : c->n;
}

static void on_rows(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct copy *c = arg;

	c->facts_more = rc == ENGINE_OK && more && n > 0;
	for (size_t k = 0; rc == ENGINE_OK && k < n; k++) {
		const struct engine_row *row = &rows[k];
		size_t i;

		if (row->key.n != (c->facts_headers ? 5 : 6))
			continue;
		i = row_find(c, wire_load_u32be(row->key.p + 1));
		if (i == c->n || c->facts.n + 12 + row->val.n > c->facts.max)
			continue;
		wire_put_u32(&c->facts, (uint32_t)i);
		wire_put_u32(&c->facts, c->facts_headers ? 0 : row->key.p[5]);
		wire_put_bytes(&c->facts, row->val);
	}
	if (c->facts_more) {
		c->facts_from = (struct rec_key){ .n = (uint8_t)(rows[n - 1].key.n + 1) };
		memcpy(c->facts_from.p, rows[n - 1].key.p, rows[n - 1].key.n);
	} else {
		c->facts_at = c->facts_to;
	}
}

static void facts_go(struct copy *c);

static void on_rows_later(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct copy *c = arg;

	on_rows(arg, rc, rows, n, more);
	c->op.account->st->in_flight--;
	facts_go(c);
}

static enum record_kind kind(const struct copy *c)
{
	return c->facts_headers ? REC_HEADER : REC_FACTS;
}

/* There is something to read. False: all is over. */
static bool facts_left(struct copy *c)
{
	if (c->lends || c->facts.n >= c->facts.max / 8 * 7 || c->from->group == NULL)
		return false;
	if (c->facts_at == c->n && !c->facts_headers) {
		c->facts_headers = true;
		c->facts_at = 0;
	}
	return c->facts_at < c->n;
}

/* The next scan: messages that lie close to each other. */
static void run_begin(struct copy *c)
{
	size_t i = c->facts_at;

	c->facts_from = key_u32(kind(c), c->rows[i].uid);
	while (i + 1 < c->n && c->rows[i + 1].uid - c->rows[i].uid <= NEAR)
		i++;
	c->facts_to = i + 1;
}

static void facts_go(struct copy *c)
{
	while (facts_left(c)) {
		struct rec_key to;
		int r;

		if (!c->facts_more)
			run_begin(c);
		to = key_u32(kind(c), c->rows[c->facts_to - 1].uid + 1);
		r = engine_scan_now(
		    c->from->group, key_slice(&c->facts_from), key_slice(&to), 0, on_rows, c);
		if (r == ENGINE_AGAIN) {
			c->op.account->st->in_flight++;
			engine_scan(c->from->group, key_slice(&c->facts_from), key_slice(&to), 0,
			    on_rows_later, c);
			return;
		}
		if (r != ENGINE_OK)
			break;
	}
	copy_store(c);
}

void copy_facts(struct copy *c)
{
	buf_reset(&c->facts);
	c->facts_at = 0;
	c->facts_more = c->facts_headers = false;
	facts_go(c);
}
