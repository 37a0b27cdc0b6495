#include "routerd/table.h"

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "routerd/limits.h"
#include "routerd/names.h"

#include <errno.h>
#include <stdlib.h>
#include <uthash.h>

struct row {
	struct record rec;
	struct slice key; /* "local@domain", or "@domain" for a whole domain */
	UT_hash_handle hh;
};

struct table {
	struct arena mem;
	struct slice text;
	struct row *rows;
	size_t count;
};

struct slice table_text(const struct table *t)
{
	return t != NULL ? t->text : SLICE_NONE;
}

size_t table_records(const struct table *t)
{
	return t != NULL ? t->count : 0;
}

void table_free(struct table **tp)
{
	struct table *t = *tp;

	*tp = NULL;
	if (t == NULL)
		return;
	HASH_CLEAR(hh, t->rows);
	arena_fini(&t->mem);
	free(t);
}

/* The left side as a key: NULL when fine, else what is wrong. */
static const char *left_key(struct slice left, struct buf *key, bool *ret_whole)
{
	struct address a;

	if (slice_find(left, '*') >= 0 || slice_find(left, '(') >= 0)
		return "wildcards are not supported by this version";
	if (slice_find(left, ':') >= 0)
		return "prefixes are not supported by this version";
	*ret_whole = left.p[0] != '<';
	if (*ret_whole) {
		if (!domain_valid(left))
			return "the left side is not a domain name";
		buf_putc(key, '@');
		put_lower(key, left);
		return NULL;
	}
	if (left.p[left.n - 1] != '>')
		return "'>' is missing";
	left = slice_part(left, 1, left.n - 2);
	if (address_split(left, &a) != 0 || (a.domain.n > 0 && !domain_valid(a.domain)))
		return "the left side is not an address";
	put_lower(key, a.local);
	buf_putc(key, '@');
	put_lower(key, a.domain);
	return NULL;
}

static const char *right_check(struct slice right, bool whole)
{
	struct address a;

	if (slice_find(right, '*') >= 0)
		return "wildcards are not supported by this version";
	if (whole)
		return right.n == 0 || domain_valid(right) ? NULL
							   : "the right side is not a domain name";
	return address_split(right, &a) == 0 ? NULL : "the right side is not an address";
}

static const char *row_add(
    struct table *t, struct slice key, struct slice right, bool whole, unsigned line)
{
	struct row *row, *old;

	HASH_FIND(hh, t->rows, key.p, key.n, old);
	if (old != NULL)
		return NULL; /* the earlier line wins, as when tried from top to bottom */
	if (t->count == TABLE_RECORDS_MAX)
		return "too many records";
	row = arena_alloc(&t->mem, sizeof(*row));
	if (row == NULL)
		return "out of memory";
	row->key = arena_copy(&t->mem, key);
	row->rec = (struct record){
		.right = arena_copy(&t->mem, right), .line = line, .whole_domain = whole
	};
	if (row->key.p == NULL || row->rec.right.p == NULL)
		return "out of memory";
	HASH_ADD_KEYPTR(hh, t->rows, row->key.p, row->key.n, row);
	t->count++;
	return NULL;
}

static const char *line_compile(struct table *t, struct slice line, unsigned number)
{
	struct buf key = BUF_INIT(ADDRESS_MAX_BYTES + 2);
	struct slice left, rest = slice_take(&line, ';');
	const char *why;
	bool whole;

	rest = slice_trim(rest);
	if (rest.n == 0)
		return NULL;
	if (slice_find(rest, '=') < 0)
		return "'=' is missing";
	left = slice_trim(slice_take(&rest, '='));
	rest = slice_trim(rest);
	if (left.n == 0)
		return "the left side is empty";
	why = left_key(left, &key, &whole);
	if (why == NULL)
		why = right_check(rest, whole);
	if (why == NULL)
		why = key.overflow ? "the left side is too long"
				   : row_add(t, buf_slice(&key), rest, whole, number);
	buf_fini(&key);
	return why;
}

int table_compile(struct slice text, struct table **ret, unsigned *ret_line, const char **ret_why)
{
	struct table *t = calloc(1, sizeof(*t));
	struct slice rest;

	if (t == NULL)
		return -ENOMEM;
	arena_init(&t->mem, TABLE_BYTES_MAX * 8 + TABLE_RECORDS_MAX * (sizeof(struct row) + 64));
	*ret_line = 0;
	*ret_why = text.n > TABLE_BYTES_MAX ? "the table is too long" : NULL;
	if (*ret_why == NULL)
		t->text = arena_copy(&t->mem, text);
	rest = t->text;
	while (*ret_why == NULL && rest.n > 0) {
		struct slice line = slice_take(&rest, '\n');

		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		*ret_why = line_compile(t, line, ++*ret_line);
	}
	if (*ret_why != NULL) {
		table_free(&t);
		return 1;
	}
	*ret = t;
	return 0;
}

static const struct record *find_key(const struct table *t, struct slice local, struct slice domain)
{
	uint8_t key[ADDRESS_MAX_BYTES + 2];
	struct row *row;

	if (local.n + domain.n > ADDRESS_MAX_BYTES)
		return NULL;
	if (local.n > 0)
		memcpy(key, local.p, local.n);
	key[local.n] = '@';
	if (domain.n > 0)
		memcpy(key + local.n + 1, domain.p, domain.n);
	HASH_FIND(hh, t->rows, key, local.n + 1 + domain.n, row);
	return row != NULL ? &row->rec : NULL;
}

const struct record *table_find(const struct table *t, struct slice local, struct slice domain)
{
	const struct record *one, *whole;

	if (t == NULL || t->count == 0)
		return NULL;
	one = find_key(t, local, domain);
	whole = domain.n > 0 ? find_key(t, SLICE_NONE, domain) : NULL;
	if (one == NULL || whole == NULL)
		return one != NULL ? one : whole;
	return one->line < whole->line ? one : whole;
}
