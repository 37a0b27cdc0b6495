/* page - the objects of a domain, some at a time, in the order of their names. */
#include "routerd/dirconn.h"

#include "routerd/group.h"
#include "routerd/limits.h"
#include "routerd/listing.h"
#include "routerd/names.h"

#include <stdlib.h>

struct page {
	struct slice filter, after; /* lower case */
	bool kinds[OBJECT_KINDS];
	const struct object **v; /* the first `limit` by name: a heap, the last one on top */
	size_t n, limit, counts[OBJECT_KINDS];
	bool more;
};

static bool contains(struct slice name, struct slice part)
{
	return part.n == 0 || memmem(name.p, name.n, part.p, part.n) != NULL;
}

static void swap(const struct object **a, const struct object **b)
{
	const struct object *t = *a;

	*a = *b;
	*b = t;
}

static bool less(const struct object *a, const struct object *b)
{
	return slice_cmp(a->name, b->name) < 0;
}

static void sift_down(struct page *p)
{
	for (size_t i = 0, child; (child = 2 * i + 1) < p->n; i = child) {
		if (child + 1 < p->n && less(p->v[child], p->v[child + 1]))
			child++;
		if (!less(p->v[i], p->v[child]))
			return;
		swap(&p->v[i], &p->v[child]);
	}
}

static void page_add(struct page *p, const struct object *o)
{
	if (p->n == p->limit) {
		p->more = true;
		if (p->n == 0 || !less(o, p->v[0]))
			return;
		p->v[0] = o;
		sift_down(p);
		return;
	}
	p->v[p->n] = o;
	for (size_t i = p->n++; i > 0 && less(p->v[(i - 1) / 2], p->v[i]); i = (i - 1) / 2)
		swap(&p->v[(i - 1) / 2], &p->v[i]);
}

static int cmp_objects(const void *a, const void *b)
{
	return slice_cmp(
	    (*(const struct object *const *)a)->name, (*(const struct object *const *)b)->name);
}

/* "kind name extra" */
static void item_object(struct request *q, const struct object *o)
{
	static const char *const words[OBJECT_KINDS] = { [OBJECT_ACCOUNT] = "account",
		[OBJECT_ALIAS] = "alias",
		[OBJECT_FORWARDER] = "forwarder",
		[OBJECT_GROUP] = "group",
		[OBJECT_LIST] = "list" };
	struct buf b = BUF_INIT(2 * ADDRESS_MAX_BYTES);
	const struct object *owner;

	buf_printf(&b, "%s %.*s ", words[o->kind], SLICE_FMT(o->name));
	switch (o->kind) {
	case OBJECT_ALIAS:
		buf_put(&b, o->owner->name);
		break;
	case OBJECT_FORWARDER:
		buf_puts(&b, o->address);
		break;
	case OBJECT_GROUP:
		buf_putu(&b, o->group->n);
		break;
	case OBJECT_LIST:
		owner = directory_account(&q->rd->db.dir, o->owner_id);
		if (owner != NULL)
			put_object_name(&b, owner);
		break;
	default:
		buf_puts(&b, state_word(o));
		break;
	}
	item(q, buf_slice(&b));
	buf_fini(&b);
}

static bool page_kinds(struct request *q, struct page *p)
{
	static const char *const words[LISTED_KINDS] = { "accounts", "aliases", "forwarders",
		"groups", "lists" };

	for (size_t i = 0; i < LISTED_KINDS; i++)
		p->kinds[listed_kinds[i]] = q->n == 4;
	for (size_t i = 4; i < q->n; i++) {
		size_t k = 0;

		while (k < LISTED_KINDS && !slice_ieq(q->args[i], slice_str(words[k])))
			k++;
		if (k == LISTED_KINDS)
			return false;
		p->kinds[listed_kinds[k]] = true;
	}
	return true;
}

static bool page_take(struct page *p, const struct object *o)
{
	if (o->state == STATE_ACTIVE)
		p->counts[o->kind]++;
	return o->state == STATE_ACTIVE && p->kinds[o->kind] && contains(o->name, p->filter) &&
	       (p->after.n == 0 || slice_cmp(o->name, p->after) > 0);
}

static void page_reply(struct request *q, struct page *p)
{
	qsort(p->v, p->n, sizeof(struct object *), cmp_objects);
	item(q, p->more && p->n > 0 ? p->v[p->n - 1]->name : SLICE_NONE);
	items_counts(q, p->counts);
	for (size_t i = 0; i < p->n; i++)
		item_object(q, p->v[i]);
	done(q);
}

/* A page is found by one look at all objects of the domain, whatever came and went since the last:
 * those there all the time are listed once. */
void verb_objects(struct request *q)
{
	struct domain *dom = request_domain(q, q->args[0]);
	uint8_t filter[NAME_MAX_BYTES], after[NAME_MAX_BYTES];
	struct page p = { 0 };
	uint64_t limit;
	size_t at = 0;

	if (dom == NULL)
		return;
	if (q->args[1].n > NAME_MAX_BYTES || q->args[3].n > NAME_MAX_BYTES ||
	    slice_u64(q->args[2], PAGE_OBJECTS_MAX, &limit) != 0 || !page_kinds(q, &p)) {
		reply_error(q, IPC_DIR_BAD,
		    "domain, filter, limit up to 10000, cookie, and kinds: accounts aliases "
		    "forwarders groups lists");
		return;
	}
	p.filter = name_lower(q->args[1], filter);
	p.after = name_lower(q->args[3], after);
	p.limit = limit;
	p.v = calloc(limit + 1, sizeof(*p.v));
	if (p.v == NULL) {
		reply_error(q, IPC_DIR_TRYLATER, "out of memory");
		return;
	}
	for (const struct object *o; (o = domain_next_object(dom, &at)) != NULL;)
		if (page_take(&p, o))
			page_add(&p, o);
	page_reply(q, &p);
	free(p.v);
}
