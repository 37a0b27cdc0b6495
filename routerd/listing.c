/* listing - the verbs that show what is in the directory. Names are sorted. */
#include "routerd/listing.h"

#include "routerd/group.h"
#include "routerd/limits.h"
#include "routerd/names.h"
#include "routerd/settings.h"

#include <stdio.h>
#include <stdlib.h>

static void item_u64(struct request *q, uint64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)v);
	item(q, slice_str(text));
}

void verb_main_domain(struct request *q)
{
	item(q, q->rd->db.dir.main->name);
	done(q);
}

static int cmp_names(const void *a, const void *b)
{
	return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

/* Names collected, then sorted, then answered. */
struct names {
	struct slice *v;
	size_t n, cap;
};

static void names_add(struct names *l, struct slice s)
{
	if (l->n == l->cap) {
		size_t cap = l->cap > 0 ? l->cap * 2 : 64;
		struct slice *v = reallocarray(l->v, cap, sizeof(*v));

		if (v == NULL)
			return;
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = s;
}

static void names_reply(struct request *q, struct names *l)
{
	if (l->n > 0)
		qsort(l->v, l->n, sizeof(*l->v), cmp_names);
	for (size_t i = 0; i < l->n; i++)
		item(q, l->v[i]);
	free(l->v);
	done(q);
}

void verb_domain_list(struct request *q)
{
	struct names l = { 0 };
	struct domain *dom, *tmp;

	HASH_ITER(hh, q->rd->db.dir.domains, dom, tmp)
	{
		if (dom->state == STATE_ACTIVE)
			names_add(&l, dom->name);
	}
	names_reply(q, &l);
}

/*
 * Those that accounts of one domain may administer: of the Main Domain all, of another one itself;
 * without a name those that who asks does. Whoever may not look at a domain does not hear of it.
 */
void verb_domain_admin_list(struct request *q)
{
	struct directory *d = &q->rd->db.dir;
	struct domain *of = NULL, *dom, *tmp;
	struct names l = { 0 };

	if (q->n > 0) {
		of = directory_domain_any(d, q->args[0]);
		if (!rights_sees_domain(&q->actor, of)) {
			reply_error(q, IPC_DIR_DENIED, "this needs a right that you do not have");
			return;
		}
		if (request_domain(q, q->args[0]) == NULL)
			return;
	}
	HASH_ITER(hh, d->domains, dom, tmp)
	{
		if (dom->state == STATE_ACTIVE && (of == NULL || of == dom || of == d->main) &&
		    rights_sees_domain(&q->actor, dom))
			names_add(&l, dom->name);
	}
	names_reply(q, &l);
}

void verb_domain_aliases(struct request *q)
{
	struct domain *dom = request_domain(q, q->args[0]);
	struct domain_alias *a, *tmp;
	struct names l = { 0 };

	if (dom == NULL)
		return;
	HASH_ITER(hh, q->rd->db.dir.domain_aliases, a, tmp)
	{
		if (a->domain == dom)
			names_add(&l, a->name);
	}
	names_reply(q, &l);
}

void verb_domain_ips(struct request *q)
{
	const struct directory *d = &q->rd->db.dir;
	struct domain *dom = request_domain(q, q->args[0]);
	char text[ADDR_RANGE_TEXT_MAX];

	if (dom == NULL)
		return;
	for (size_t i = 0; i < d->n_ips; i++)
		if (d->ips[i].domain == dom)
			item(q, slice_str(addr_range_text(&d->ips[i].range, text)));
	done(q);
}

/* The names of all objects of a kind. */
static void reply_names_of(struct request *q, const struct domain *dom, enum object_kind kind)
{
	struct names l = { 0 };
	size_t at = 0;

	for (const struct object *o; (o = domain_next_object(dom, &at)) != NULL;)
		if (o->kind == kind && o->state == STATE_ACTIVE)
			names_add(&l, o->name);
	names_reply(q, &l);
}

void verb_account_list(struct request *q)
{
	struct domain *dom = request_domain(q, q->args[0]);
	if (dom != NULL)
		reply_names_of(q, dom, OBJECT_ACCOUNT);
}

const char *state_word(const struct object *o)
{
	if (account_coming(o))
		return "creating";
	if (o->state == STATE_DELETING)
		return "deleting";
	return o->suspended ? "suspended" : "active";
}

void verb_account_info(struct request *q)
{
	struct object *o = request_account(q, q->args[0]);
	struct buf name = BUF_INIT(NAME_MAX_BYTES + 1 + DOMAIN_MAX_BYTES);

	if (o == NULL)
		return;
	put_object_name(&name, o);
	item_u64(q, o->id);
	item(q, buf_slice(&name));
	item(q, slice_str(state_word(o)));
	item_u64(q, settings_quota(&q->rd->db.dir, o));
	buf_fini(&name);
	done(q);
}

void verb_account_aliases(struct request *q)
{
	struct object *o = request_account(q, q->args[0]);
	struct names l = { 0 };

	if (o == NULL)
		return;
	for (struct object *a = o->aliases; a != NULL; a = a->next_alias)
		if (a->state == STATE_ACTIVE)
			names_add(&l, a->name);
	names_reply(q, &l);
}

/* ---- domains ---- */

const enum object_kind listed_kinds[LISTED_KINDS] = { OBJECT_ACCOUNT, OBJECT_ALIAS,
	OBJECT_FORWARDER, OBJECT_GROUP, OBJECT_LIST };

void items_counts(struct request *q, const size_t counts[OBJECT_KINDS])
{
	for (size_t i = 0; i < LISTED_KINDS; i++)
		item_u64(q, counts[listed_kinds[i]]);
}

void verb_domain_info(struct request *q)
{
	struct domain *dom = request_domain(q, q->args[0]);
	size_t counts[OBJECT_KINDS] = { 0 }, at = 0;

	if (dom == NULL)
		return;
	item_u64(q, dom->id);
	item(q, dom->name);
	item(q, dom->suspended ? SLICE("suspended") : SLICE("active"));
	for (const struct object *o; (o = domain_next_object(dom, &at)) != NULL;)
		if (o->state == STATE_ACTIVE)
			counts[o->kind]++;
	items_counts(q, counts);
	done(q);
}

/* ---- groups, forwarders, lists ---- */

static void list_kind(struct request *q, enum object_kind kind)
{
	struct domain *dom = request_domain(q, q->args[0]);

	if (dom != NULL)
		reply_names_of(q, dom, kind);
}

void verb_group_list(struct request *q)
{
	list_kind(q, OBJECT_GROUP);
}

void verb_forwarder_list(struct request *q)
{
	list_kind(q, OBJECT_FORWARDER);
}

void verb_list_list(struct request *q)
{
	list_kind(q, OBJECT_LIST);
}

void verb_group_get(struct request *q)
{
	struct object *o = request_object(q, q->args[0], OBJECT_GROUP);
	struct buf name = BUF_INIT(ADDRESS_MAX_BYTES);

	if (o == NULL)
		return;
	for (size_t i = 0; i < GROUP_SETTINGS; i++) {
		item(q, slice_str(group_settings[i].name));
		item(q, slice_str(group_setting_is(o->group, i) ? "YES" : "NO"));
	}
	for (size_t i = 0; i < o->group->n; i++) {
		buf_reset(&name);
		if (!group_put_member(&q->rd->db.dir, &o->group->members[i], &name))
			continue;
		item(q, SLICE("Members"));
		item(q, buf_slice(&name));
	}
	buf_fini(&name);
	done(q);
}

void verb_forwarder_get(struct request *q)
{
	struct object *o = request_object(q, q->args[0], OBJECT_FORWARDER);

	if (o == NULL)
		return;
	item(q, slice_str(o->address));
	done(q);
}

void verb_forwarder_find(struct request *q)
{
	struct domain *dom = request_domain(q, q->args[0]);
	struct buf wanted = BUF_INIT(ADDRESS_MAX_BYTES);
	struct names l = { 0 };
	size_t at = 0;

	if (dom == NULL)
		return;
	if (put_full_address(&wanted, q->args[1], dom->name) != 0) {
		reply_error(q, IPC_DIR_BAD, "this is not an address");
		buf_fini(&wanted);
		return;
	}
	for (const struct object *o; (o = domain_next_object(dom, &at)) != NULL;)
		if (o->kind == OBJECT_FORWARDER && o->state == STATE_ACTIVE &&
		    slice_ieq(slice_str(o->address), buf_slice(&wanted)))
			names_add(&l, o->name);
	buf_fini(&wanted);
	names_reply(q, &l);
}

/* They are all in its domain. */
void verb_account_lists(struct request *q)
{
	const struct object *account = request_account(q, q->args[0]);
	struct names l = { 0 };
	size_t at = 0;

	if (account == NULL)
		return;
	for (const struct object *o; (o = domain_next_object(account->domain, &at)) != NULL;)
		if (o->kind == OBJECT_LIST && o->state == STATE_ACTIVE &&
		    o->owner_id == account->id)
			names_add(&l, o->name);
	names_reply(q, &l);
}

void verb_list_get(struct request *q)
{
	struct object *o = request_object(q, q->args[0], OBJECT_LIST);
	struct buf name = BUF_INIT(ADDRESS_MAX_BYTES);
	const struct object *owner;

	if (o == NULL)
		return;
	owner = directory_account(&q->rd->db.dir, o->owner_id);
	if (owner != NULL)
		put_object_name(&name, owner);
	item(q, SLICE("Owner"));
	item(q, buf_slice(&name));
	buf_fini(&name);
	done(q);
}
