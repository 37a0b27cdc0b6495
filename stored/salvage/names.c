#include "stored/salvage/names.h"

#include "common/base/wire.h"
#include "common/engine/raw.h"
#include "stored/salvage/open.h"

#include <errno.h>
#include <stdlib.h>

enum { VALUE_VERSION = 1 };

struct domains {
	struct {
		uint64_t id;
		struct slice name;
	} * v;
	size_t n;
};

/* The rows of one kind, which is the first byte of their keys. */
static bool first_of(struct raw *r, struct slice group, char kind, struct raw_row *row)
{
	return raw_seek(r, group, slice_of(&kind, 1), row);
}

static bool is_of(const struct raw_row *row, struct slice group, char kind)
{
	return slice_eq(row->group, group) && row->key.n > 1 && row->key.p[0] == kind;
}

static int domains_load(struct raw *r, struct domains *d)
{
	struct slice group = SLICE("directory");
	struct raw_row row;

	for (bool any = first_of(r, group, 'D', &row); any && is_of(&row, group, 'D');
	     any = raw_next(r, &row, &row)) {
		struct wire_reader v = wire_reader(row.val);
		void *p = realloc(d->v, (d->n + 1) * sizeof(*d->v));

		if (p == NULL)
			return -ENOMEM;
		d->v = p;
		if (wire_get_u8(&v) != VALUE_VERSION)
			continue;
		d->v[d->n].id = wire_get_u64(&v);
		d->v[d->n].name = slice_from(row.key, 1);
		d->n += !v.bad;
	}
	return 0;
}

static struct slice domain_name(const struct domains *d, uint64_t id)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->v[i].id == id)
			return d->v[i].name;
	return SLICE("unknown");
}

static int name_add(struct names *n, struct named *take)
{
	if (n->n == n->cap) {
		size_t cap = n->cap == 0 ? 256 : 2 * n->cap;
		struct named **p = realloc(n->v, cap * sizeof(*p));

		if (p == NULL)
			return -ENOMEM;
		n->v = p;
		n->cap = cap;
	}
	if (idmap_add(&n->by_id, take->id, take) != 0)
		return -ENOMEM;
	n->v[n->n++] = take;
	return 0;
}

static void named_free(struct named *a)
{
	free(a->full);
	free(a->secret);
	free(a);
}

static int account_load(struct names *n, const struct domains *d, const struct raw_row *row)
{
	struct wire_reader v = wire_reader(row->val);
	struct named *a = calloc(1, sizeof(*a));
	struct slice domain;
	int rc = 0;

	if (a == NULL)
		return -ENOMEM;
	if (wire_get_u8(&v) == VALUE_VERSION) {
		(void)wire_get_u8(&v); /* state */
		a->suspended = wire_get_u8(&v);
		a->id = wire_get_u64(&v);
		a->quota_bytes = wire_get_u64(&v);
	}
	if (v.bad || a->id == 0 || row->key.n <= 9 || idmap_get(&n->by_id, a->id) != NULL) {
		named_free(a);
		return 0;
	}
	domain = domain_name(d, wire_load_u64be(row->key.p + 1));
	if (asprintf(&a->full, "%.*s@%.*s", SLICE_FMT(slice_from(row->key, 9)), SLICE_FMT(domain)) <
	    0)
		a->full = NULL;
	if (a->full == NULL || name_add(n, a) != 0)
		rc = -ENOMEM;
	if (rc != 0)
		named_free(a);
	return rc;
}

static int directory_load(struct names *n, struct raw *r)
{
	struct slice group = SLICE("directory");
	struct domains d = { 0 };
	struct raw_row row;
	int rc = domains_load(r, &d);

	for (bool any = first_of(r, group, 'O', &row); any && rc == 0 && is_of(&row, group, 'O');
	     any = raw_next(r, &row, &row))
		rc = account_load(n, &d, &row);
	free(d.v);
	return rc;
}

static int secrets_load(struct names *n, struct raw *r)
{
	struct slice group = SLICE("secrets");
	struct raw_row row;

	for (bool any = raw_seek(r, group, SLICE_NONE, &row); any && slice_eq(row.group, group);
	     any = raw_next(r, &row, &row)) {
		struct named *a;

		if (row.key.n != 8 || row.val.n < 2 || row.val.p[0] != VALUE_VERSION)
			continue;
		a = idmap_get(&n->by_id, wire_load_u64be(row.key.p));
		if (a == NULL || a->secret != NULL)
			continue;
		a->secret = strndup((const char *)row.val.p + 1, row.val.n - 1);
		if (a->secret == NULL)
			return -ENOMEM;
	}
	return 0;
}

static int load_one(struct names *n, int fd, const char *what, const struct tail_end *until,
    struct report *rep, int (*load)(struct names *n, struct raw *r))
{
	struct raw *r;
	int rc;

	if (fd < 0)
		return 0;
	rc = open_raw(fd, what, until, NULL, rep, &r);
	if (rc != 0)
		return rc == -ENOMEM ? rc : 0;
	rc = load(n, r);
	raw_close(&r);
	return rc;
}

static int load_both(
    struct names *n, const int fd[2], const struct tail_end *const until[2], struct report *rep)
{
	int rc;

	*n = (struct names){ 0 };
	rc = load_one(n, fd[0], "directory", until[0], rep, directory_load);
	return rc == 0 ? load_one(n, fd[1], "secrets", until[1], rep, secrets_load) : rc;
}

int names_load(struct names *n, int directory_fd, int secrets_fd, struct report *rep)
{
	static const struct tail_end *const all[2];
	const int fd[2] = { directory_fd, secrets_fd };

	return load_both(n, fd, all, rep);
}

int names_load_until(
    struct names *n, const int fd[2], const struct tail_end until[2], struct report *rep)
{
	const struct tail_end *const ends[2] = { &until[0], &until[1] };

	return load_both(n, fd, ends, rep);
}

void names_fini(struct names *n)
{
	for (size_t i = 0; i < n->n; i++)
		named_free(n->v[i]);
	free(n->v);
	idmap_fini(&n->by_id);
	*n = (struct names){ 0 };
}

const struct named *names_get(const struct names *n, uint64_t account)
{
	return idmap_get(&n->by_id, account);
}
