#include "routerd/group.h"

#include "routerd/limits.h"
#include "routerd/names.h"
#include "routerd/rights.h"

#include <errno.h>
#include <stdlib.h>

const struct group_setting group_settings[GROUP_SETTINGS] = {
	{ "Expand", GROUP_NO_EXPAND, true },
	{ "RemoveToAndCc", GROUP_REMOVE_TO_AND_CC, .later = true },
	{ "FinalDelivery", GROUP_FINAL_DELIVERY, .later = true },
	{ "EmailDisabled", GROUP_EMAIL_DISABLED, false },
};

bool group_setting_is(const struct group *g, size_t i)
{
	return ((g->flags & group_settings[i].flag) != 0) != group_settings[i].inverted;
}

int group_setting_set(struct group *g, struct slice name, struct slice value)
{
	bool yes = slice_ieq(value, SLICE("YES"));

	if (!yes && !slice_ieq(value, SLICE("NO")))
		return 1;
	for (size_t i = 0; i < GROUP_SETTINGS; i++) {
		const struct group_setting *s = &group_settings[i];

		if (!slice_ieq(name, slice_str(s->name)))
			continue;
		if (yes && s->later)
			return 3;
		g->flags = yes != s->inverted ? g->flags | s->flag : g->flags & ~(uint32_t)s->flag;
		return 0;
	}
	return 1;
}

struct group *group_new(void)
{
	return calloc(1, sizeof(struct group));
}

void group_free(struct group **gp)
{
	struct group *g = *gp;

	*gp = NULL;
	if (g == NULL)
		return;
	for (size_t i = 0; i < g->n; i++)
		free(g->members[i].address);
	free(g->members);
	free(g);
}

int group_add_raw(struct group *g, uint64_t id, struct slice address)
{
	struct group_member *m = &(struct group_member){ .id = id };

	if (g->n >= GROUP_MEMBERS_MAX)
		return 2;
	if ((g->n & (g->n - 1)) == 0) {
		struct group_member *wider =
		    reallocarray(g->members, g->n == 0 ? 1 : g->n * 2, sizeof(*wider));

		if (wider == NULL)
			return -ENOMEM;
		g->members = wider;
	}
	if (id == 0 && (m->address = strndup((const char *)address.p, address.n)) == NULL)
		return -ENOMEM;
	g->members[g->n++] = *m;
	return 0;
}

/* An account or group whose very name this is; not what merely leads to one. */
static uint64_t id_of(const struct directory *d, const struct domain *dom, const struct address *a)
{
	const struct object *o = directory_object(d, dom, a->local);

	if (o == NULL || o->state == STATE_NEW || o->state == STATE_DELETING)
		return 0;
	return o->kind == OBJECT_ACCOUNT || o->kind == OBJECT_GROUP ? o->id : 0;
}

int group_add(struct group *g, const struct directory *d, const struct actor *who,
    const struct domain *home, struct slice text)
{
	const struct domain *dom;
	struct buf full = BUF_INIT(ADDRESS_MAX_BYTES);
	struct address a;
	int rc = 1;

	if (put_full_address(&full, text, home->name) == 0 &&
	    address_split(buf_slice(&full), &a) == 0) {
		dom = directory_domain_any(d, a.domain);
		if (dom != NULL && dom != home && !rights_sees_domain(who, dom))
			dom = NULL;
		rc = group_add_raw(g, dom != NULL ? id_of(d, dom, &a) : 0, buf_slice(&full));
	}
	buf_fini(&full);
	return rc;
}

bool group_put_member(const struct directory *d, const struct group_member *m, struct buf *out)
{
	const struct object *o = NULL;

	if (m->id == 0) {
		buf_puts(out, m->address);
		return true;
	}
	o = directory_account(d, m->id);
	if (o == NULL)
		o = directory_group(d, m->id);
	if (o == NULL || o->state == STATE_NEW)
		return false;
	put_object_name(out, o);
	return true;
}

/* ---- expansion ---- */

struct expansion {
	const struct directory *d;
	struct route *scratch;
	const struct object *groups[GROUP_NESTED_MAX]; /* seen; those from `next` on wait */
	size_t n, next, followed;
	struct group_accounts *ret;
};

/* `nested`: groups among the members are followed. */
typedef void member_fn(struct expansion *e, const struct group_member *m, bool nested);

static void refuse(struct expansion *e, enum ipc_route_status status, const char *why)
{
	/* The worst is kept: what never works before what may work later. */
	if (e->ret->status != IPC_ROUTE_OK && status == IPC_ROUTE_TRYLATER)
		return;
	e->ret->status = status;
	e->ret->why = why;
}

static void add_group(struct expansion *e, const struct object *group)
{
	for (size_t i = 0; i < e->n; i++)
		if (e->groups[i] == group)
			return;
	if (e->n == GROUP_NESTED_MAX)
		refuse(e, IPC_ROUTE_REFUSED, "too many groups in groups");
	else
		e->groups[e->n++] = group;
}

static int cmp_ids(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void sort_once(struct group_accounts *r)
{
	size_t n = 0;

	qsort(r->ids, r->n, sizeof(r->ids[0]), cmp_ids);
	for (size_t i = 0; i < r->n; i++)
		if (n == 0 || r->ids[n - 1] != r->ids[i])
			r->ids[n++] = r->ids[i];
	r->n = n;
}

/* By its name, as mail would go. */
static void follow_mail(struct expansion *e, struct slice name, bool nested)
{
	struct route *r = e->scratch;

	route_address(e->d, name, ROUTE_MAIL, r);
	if (r->group != NULL && r->status == IPC_ROUTE_OK) {
		if (nested)
			add_group(e, r->group);
		return;
	}
	switch (r->status) {
	case IPC_ROUTE_OK:
		e->ret->ids[e->ret->n++] = r->account->id;
		break;
	case IPC_ROUTE_UNKNOWN:
	case IPC_ROUTE_SYNTAX:
	case IPC_ROUTE_DISABLED:
	case IPC_ROUTE_DISCARD:
		break;
	case IPC_ROUTE_NOTLOCAL:
		refuse(e, IPC_ROUTE_REFUSED,
		    "a member of the group is not on this server, which does not send to others "
		    "yet");
		break;
	case IPC_ROUTE_TRYLATER:
		refuse(e, IPC_ROUTE_TRYLATER, NULL);
		break;
	default:
		refuse(e, IPC_ROUTE_REFUSED, "a member of the group cannot have mail");
		break;
	}
}

static void mail_to_member(struct expansion *e, const struct group_member *m, bool nested)
{
	struct buf name = BUF_INIT(ADDRESS_MAX_BYTES);

	if (group_put_member(e->d, m, &name))
		follow_mail(e, buf_slice(&name), nested);
	buf_fini(&name);
}

/*
 * Who is meant: by the number there is no question, and an address is a name as at a login. Not the
 * way that mail goes: who has his sent to somebody else does not give him his place as well.
 */
static void person_of_member(struct expansion *e, const struct group_member *m, bool nested)
{
	struct route *r = e->scratch;
	const struct object *account = directory_account(e->d, m->id);
	const struct object *group = directory_group(e->d, m->id);

	if (m->id == 0) {
		route_address(e->d, slice_str(m->address), ROUTE_ACCESS, r);
		account = r->status == IPC_ROUTE_OK ? r->account : NULL;
		group = r->group;
	}
	if (account_live(account))
		e->ret->ids[e->ret->n++] = account->id;
	if (group != NULL && nested)
		add_group(e, group);
}

static void follow_group(struct expansion *e, const struct object *group, member_fn *follow)
{
	const struct group *g = group->group;

	for (size_t i = 0; i < g->n && e->followed < GROUP_FOLLOWED_MAX; i++, e->followed++)
		follow(e, &g->members[i], (g->flags & GROUP_NO_EXPAND) == 0);
}

static void expand(struct expansion *e, const struct object *group, member_fn *follow)
{
	e->ret->n = 0;
	e->ret->status = IPC_ROUTE_OK;
	e->ret->why = NULL;
	add_group(e, group);
	while (e->next < e->n)
		follow_group(e, e->groups[e->next++], follow);
	sort_once(e->ret);
}

void group_expand(const struct directory *d, const struct object *group, struct route *scratch,
    struct group_accounts *ret)
{
	struct expansion e = { .d = d, .scratch = scratch, .ret = ret };

	expand(&e, group, mail_to_member);
	if (e.followed == GROUP_FOLLOWED_MAX || ret->n > GROUP_ACCOUNTS_MAX)
		refuse(&e, IPC_ROUTE_REFUSED, "the group has too many members");
	else if (ret->status == IPC_ROUTE_OK && ret->n == 0)
		refuse(&e, IPC_ROUTE_REFUSED, "the group has no members who can have mail");
}

bool group_has(
    const struct directory *d, const struct object *group, uint64_t account, struct route *scratch)
{
	struct group_accounts all;
	struct expansion e = { .d = d, .scratch = scratch, .ret = &all };

	expand(&e, group, person_of_member);
	return bsearch(&account, all.ids, all.n, sizeof(all.ids[0]), cmp_ids) != NULL;
}
