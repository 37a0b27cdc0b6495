#include "routerd/table.h"

#include "routerd/limits.h"
#include "routerd/names.h"
#include "routerd/record.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <uthash.h>

struct row {
	struct record rec;
	bool whole_domain;
	struct row *next; /* a later line of the same list */
	/* Of literal records there is nothing behind this: they are the many. */
	struct pattern local, domain;
};

/* Rows in the order of their lines. */
struct rows {
	struct row *first, **last;
};

/*
 * A list of rows by its key: literal records by "local@domain" ("@domain": a whole domain), those
 * whose local part alone has wildcards by "domain".
 */
struct list {
	struct slice key;
	struct rows rows;
	unsigned modes; /* for which there is a literal record: later ones would never be reached */
	UT_hash_handle hh;
};

/* The first line that spells out this domain: any, and one for all of its addresses; 0: none. */
struct domain_line {
	struct slice domain;
	unsigned any, whole;
	UT_hash_handle hh;
};

struct table {
	struct arena mem;
	struct slice text;
	struct list *literal, *by_domain;
	struct domain_line *domains;
	/* The domain has wildcards: by the byte that the local part must begin with, if there is
	 * one. */
	struct rows any_domain, any_by_byte[256];
	size_t count, wild;
};

struct slice table_text(const struct table *t)
{
	return t != NULL ? t->text : SLICE_NONE;
}

size_t table_records(const struct table *t)
{
	return t != NULL ? t->count : 0;
}

size_t table_wild_records(const struct table *t)
{
	return t != NULL ? t->wild : 0;
}

void table_free(struct table **tp)
{
	struct table *t = *tp;

	*tp = NULL;
	if (t == NULL)
		return;
	HASH_CLEAR(hh, t->literal);
	HASH_CLEAR(hh, t->by_domain);
	HASH_CLEAR(hh, t->domains);
	arena_fini(&t->mem);
	free(t);
}

/* ---- compiling ---- */

static void rows_add(struct rows *rows, struct row *row)
{
	if (rows->first == NULL)
		rows->last = &rows->first;
	*rows->last = row;
	rows->last = &row->next;
}

static struct slice key_join(struct arena *mem, struct slice local, struct slice domain)
{
	uint8_t *p = arena_alloc(mem, local.n + 1 + domain.n);

	if (p == NULL)
		return SLICE_NONE;
	if (local.n > 0)
		memcpy(p, local.p, local.n);
	p[local.n] = '@';
	if (domain.n > 0)
		memcpy(p + local.n + 1, domain.p, domain.n);
	return slice_of(p, local.n + 1 + domain.n);
}

static struct list *list_of(struct table *t, struct list **all, struct slice key)
{
	struct list *l;

	HASH_FIND(hh, *all, key.p, key.n, l);
	if (l != NULL)
		return l;
	l = arena_alloc(&t->mem, sizeof(*l));
	if (l == NULL)
		return NULL;
	l->key = key;
	HASH_ADD_KEYPTR(hh, *all, l->key.p, l->key.n, l);
	return l;
}

static struct row *row_new(struct table *t, const struct record_line *line, bool literal)
{
	struct row *row =
	    arena_alloc(&t->mem, literal ? offsetof(struct row, local) : sizeof(*row));

	if (row == NULL)
		return NULL;
	row->rec = line->rec;
	row->whole_domain = line->whole_domain;
	row->next = NULL;
	if (!literal) {
		row->local = line->local_pattern;
		row->domain = line->domain_pattern;
	}
	return row;
}

/* For table_line_for(), which is asked about each other name of the Main Domain. */
static const char *note_domain(struct table *t, const struct row *row, struct slice domain)
{
	struct domain_line *l;

	if (domain.p == NULL || (row->whole_domain && row->rec.right.n == 0))
		return NULL;
	HASH_FIND(hh, t->domains, domain.p, domain.n, l);
	if (l == NULL) {
		l = arena_alloc(&t->mem, sizeof(*l));
		if (l == NULL)
			return "out of memory";
		*l = (struct domain_line){ .domain = domain };
		HASH_ADD_KEYPTR(hh, t->domains, l->domain.p, l->domain.n, l);
	}
	if (l->any == 0)
		l->any = row->rec.line;
	if (l->whole == 0 && row->whole_domain)
		l->whole = row->rec.line;
	return NULL;
}

static const char *row_add(struct table *t, const struct record_line *line)
{
	bool literal = !line->wild_local && !line->wild_domain;
	struct slice key = literal ? key_join(&t->mem, line->local, line->domain) : line->domain;
	struct row *row = row_new(t, line, literal);
	struct list *l;

	if (row == NULL || (literal && key.p == NULL))
		return "out of memory";
	t->count++;
	t->wild += !literal;
	if (line->wild_domain) {
		bool first = !line->whole_domain && line->local.n > 0;

		rows_add(first ? &t->any_by_byte[line->local.p[0]] : &t->any_domain, row);
		return NULL;
	}
	if (key.p == NULL)
		key = SLICE(""); /* no domain: the Main Domain */
	l = list_of(t, literal ? &t->literal : &t->by_domain, key);
	if (l == NULL)
		return "out of memory";
	if (literal && (line->rec.modes & ~l->modes) == 0)
		return NULL;
	l->modes |= literal ? line->rec.modes : 0;
	rows_add(&l->rows, row);
	return note_domain(t, row, line->domain);
}

static const char *line_compile(struct table *t, struct slice text, unsigned number)
{
	struct record_line line;
	const char *why;

	if (text.n > 0 && text.p[text.n - 1] == '\r')
		text.n--;
	if (text.n > TABLE_LINE_MAX)
		return "the line is too long";
	why = record_parse(text, &t->mem, &line);
	if (why != NULL || line.empty)
		return why;
	if (t->count == TABLE_RECORDS_MAX)
		return "too many records";
	line.rec.line = number;
	return row_add(t, &line);
}

int table_begin(struct slice text, struct table_build *ret)
{
	struct table *t = calloc(1, sizeof(*t));

	*ret = (struct table_build){ .table = t };
	if (t == NULL)
		return -ENOMEM;
	arena_init(&t->mem, TABLE_MEM_MAX);
	if (text.n > TABLE_BYTES_MAX) {
		ret->why = "the table is too long";
		return 0;
	}
	t->text = arena_copy(&t->mem, text);
	if (t->text.p == NULL && text.n > 0) {
		table_free(&ret->table);
		return -ENOMEM;
	}
	ret->rest = t->text;
	return 0;
}

int table_step(struct table_build *b, unsigned lines)
{
	while (b->why == NULL && b->rest.n > 0 && lines-- > 0) {
		struct slice line = slice_take(&b->rest, '\n');

		b->why = line_compile(b->table, line, ++b->line);
	}
	if (b->why != NULL) {
		table_free(&b->table);
		return TABLE_WRONG;
	}
	return b->rest.n > 0 ? TABLE_MORE : 0;
}

int table_compile(struct slice text, struct table **ret, unsigned *ret_line, const char **ret_why)
{
	struct table_build b;
	int rc = table_begin(text, &b);

	if (rc == 0)
		rc = table_step(&b, UINT32_MAX);
	*ret_line = b.line;
	*ret_why = b.why;
	if (rc == 0)
		*ret = b.table;
	return rc;
}

/* ---- looking up ---- */

unsigned table_line_for(const struct table *t, struct slice domain, bool whole)
{
	uint8_t low[DOMAIN_MAX_BYTES];
	struct domain_line *l = NULL;

	if (t == NULL || domain.n > sizeof(low))
		return 0;
	domain = name_lower(domain, low);
	HASH_FIND(hh, t->domains, domain.p, domain.n, l);
	if (l == NULL)
		return 0;
	return whole ? l->whole : l->any;
}

static bool better(const struct row *row, const struct subject *s, const struct table_hit *hit)
{
	return (row->rec.modes & 1u << s->mode) != 0 &&
	       (hit->rec == NULL || row->rec.line < hit->rec->line);
}

static void find_literal(const struct table *t, const struct subject *s, struct slice local,
    struct slice domain, struct table_hit *hit)
{
	uint8_t key[ADDRESS_MAX_BYTES + DOMAIN_MAX_BYTES + 2];
	struct list *l;

	if (local.n > ADDRESS_MAX_BYTES || domain.n > DOMAIN_MAX_BYTES)
		return;
	if (local.n > 0)
		memcpy(key, local.p, local.n);
	key[local.n] = '@';
	if (domain.n > 0)
		memcpy(key + local.n + 1, domain.p, domain.n);
	HASH_FIND(hh, t->literal, key, local.n + 1 + domain.n, l);
	for (struct row *row = l != NULL ? l->rows.first : NULL; row != NULL; row = row->next) {
		if (!better(row, s, hit))
			continue;
		hit->rec = &row->rec;
		hit->n = 0;
		return;
	}
}

/* Does the row catch the subject? Wildcards of the local part come first in `parts`. */
static bool catches(
    const struct row *row, const struct subject *s, struct slice domain, struct table_hit *hit)
{
	struct slice parts[2 * PATTERN_WILDS_MAX];
	size_t n = row->local.n;

	if (!row->whole_domain && !pattern_match(&row->local, s->local, parts))
		return false;
	if (!pattern_match(&row->domain, domain, parts + n))
		return false;
	hit->rec = &row->rec;
	hit->n = n + row->domain.n;
	memcpy(hit->parts, parts, hit->n * sizeof(*parts));
	return true;
}

static void find_wild(
    const struct rows *rows, const struct subject *s, struct slice domain, struct table_hit *hit)
{
	for (const struct row *row = rows->first; row != NULL; row = row->next) {
		if (hit->rec != NULL && row->rec.line > hit->rec->line)
			return;
		/* A record for domains is not for the Main Domain, whose name is taken off. */
		if (better(row, s, hit) && !(row->whole_domain && s->domain.n == 0) &&
		    catches(row, s, domain, hit))
			return;
	}
}

static void find_of_domain(
    const struct table *t, const struct subject *s, struct slice domain, struct table_hit *hit)
{
	struct list *l;

	find_literal(t, s, s->local, domain, hit);
	if (s->literal)
		return;
	HASH_FIND(hh, t->by_domain, domain.p, domain.n, l);
	if (l != NULL)
		find_wild(&l->rows, s, domain, hit);
}

bool table_find(const struct table *t, const struct subject *s, struct table_hit *ret)
{
	struct slice name = s->domain.n > 0 ? s->domain : s->main_domain;

	ret->rec = NULL;
	ret->n = 0;
	if (t == NULL || t->count == 0)
		return false;
	if (s->domain.n == 0)
		find_of_domain(t, s, SLICE(""), ret);
	else
		find_literal(t, s, SLICE_NONE, s->domain, ret);
	if (name.n > 0) {
		find_of_domain(t, s, name, ret);
		if (!s->literal) {
			find_wild(&t->any_domain, s, name, ret);
			if (s->local.n > 0)
				find_wild(&t->any_by_byte[s->local.p[0]], s, name, ret);
		}
	}
	return ret->rec != NULL;
}
