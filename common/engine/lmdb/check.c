#include "common/engine/lmdb/check.h"

#include "common/engine/lmdb/sums.h"

#include <errno.h>
#include <stdlib.h>

enum { PAGE_BYTES_MIN = 512, FIRST_PAGES_BYTES = 8192 };

struct check {
	struct slice file;
	struct check_room *room;
	struct check_result *result;
	struct index_meta meta;
	enum meta_rc meta_rc;
	bool has_meta;
	struct row_totals totals;
};

int check_room_init(struct check_room *r, uint64_t file_bytes)
{
	r->told_n = file_bytes / PAGE_BYTES_MIN / 8 + 1;
	r->told = calloc(1, r->told_n);
	return pages_room_init(&r->pages) != 0 || r->told == NULL ? -ENOMEM : 0;
}

void check_room_fini(struct check_room *r)
{
	pages_room_fini(&r->pages);
	free(r->told);
	r->told = NULL;
}

static int read_file(void *arg, uint64_t off, void *p, size_t n)
{
	const struct check *c = arg;

	if (off > c->file.n || n > c->file.n - off)
		return 1;
	memcpy(p, c->file.p + off, n);
	return 0;
}

/* ---- first, what seeds the sums ---- */

static bool meta_row(void *arg, struct slice key, struct slice val)
{
	struct check *c = arg;
	int order = slice_cmp(key, index_meta_key());

	if (order == 0) {
		c->has_meta = true;
		c->meta_rc = index_meta_decode(val, &c->meta);
	}
	return order < 0;
}

static void meta_damaged(void *arg, const char *why)
{
}

/* ---- then all of it ---- */

static void damaged(void *arg, const char *why)
{
	struct check *c = arg;

	if (c->result->why == NULL)
		c->result->why = why;
}

static bool sealed_row(void *arg, struct slice key, struct slice val)
{
	struct check *c = arg;
	struct slice stored;

	if (index_is_meta(key))
		return c->result->why == NULL;
	if (!row_unseal(key, val, c->meta.store_id, &stored))
		damaged(c, "a row does not fit its sum");
	row_totals_add(&c->totals, row_sum_there(val));
	return c->result->why == NULL;
}

/* A page beyond the file is not told twice: nobody has written it yet. */
static bool page(void *arg, uint64_t no, uint64_t n)
{
	struct check *c = arg;

	for (; n > 0 && no / 8 < c->room->told_n; no++, n--) {
		uint8_t bit = (uint8_t)(1u << no % 8);

		if ((c->room->told[no / 8] & bit) != 0)
			return false;
		c->room->told[no / 8] |= bit;
	}
	return true;
}

/* Not one row was synced into it yet: it counts as none, whatever a power cut left of it. */
static bool is_unborn(struct slice file)
{
	for (size_t i = 0; i < file.n && i < FIRST_PAGES_BYTES; i++)
		if (file.p[i] != 0)
			return file.n <= FIRST_PAGES_BYTES;
	return true;
}

void index_check(struct slice file, struct check_room *room, struct check_result *ret)
{
	static const struct pages_ops find = { read_file, meta_row, meta_damaged, NULL };
	static const struct pages_ops all = { read_file, sealed_row, damaged, page };
	struct check c = { .file = file, .room = room, .result = ret };

	*ret = (struct check_result){ NULL, 0 };
	if (is_unborn(file))
		return;
	if (pages_walk_in(&find, &c, file.n, &room->pages) != 0) {
		damaged(&c, "neither of the first pages can be read");
		return;
	}
	if (c.has_meta && c.meta_rc == META_NEWER)
		return;
	if (c.has_meta && c.meta_rc != META_OK) {
		damaged(&c, "the row of the checkpoint is damaged");
		return;
	}
	if (pages_walk_in(&all, &c, file.n, &room->pages) != 0)
		damaged(&c, "neither of the first pages can be read");
	if (c.totals.rows != c.meta.totals.rows || c.totals.sum != c.meta.totals.sum)
		damaged(&c, "rows are missing, or old");
	ret->rows = c.totals.rows;
}
