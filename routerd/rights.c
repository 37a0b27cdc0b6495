#include "routerd/rights.h"

#include "routerd/limits.h"
#include "routerd/names.h"
#include "routerd/settings.h"

enum { LEVEL_IS_SERVER = 1, LEVEL_IS_DOMAIN = 0 };

static const struct {
	const char *name;
	bool server;
} rows[IPC_RIGHTS] = {
#define RIGHT(id, name, level, sentence) { name, LEVEL_IS_##level },
#include "common/ipc/rights.def"
};

static uint32_t level_rights(bool server)
{
	uint32_t mask = 0;

	for (unsigned i = 0; i < IPC_RIGHTS; i++)
		if (rows[i].server == server)
			mask |= (uint32_t)1 << i;
	return mask;
}

const char *rights_name(unsigned bit)
{
	return rows[bit].name;
}

void rights_put(struct buf *b, uint64_t rights)
{
	for (unsigned i = 0; i < IPC_RIGHTS; i++) {
		if ((rights >> i & 1) == 0)
			continue;
		if (b->n > 0)
			buf_putc(b, ' ');
		buf_puts(b, rows[i].name);
	}
}

uint32_t rights_find(struct slice name)
{
	for (unsigned i = 0; i < IPC_RIGHTS; i++)
		if (slice_ieq(name, slice_str(rows[i].name)))
			return (uint32_t)1 << i;
	return 0;
}

static bool is_postmaster(const struct directory *d, const struct object *o)
{
	return o->domain == d->main && slice_eq(o->name, POSTMASTER);
}

uint32_t rights_given(const struct directory *d, const struct object *o)
{
	return settings_rights(o->settings) | (is_postmaster(d, o) ? IPC_RIGHT_MASTER : 0);
}

/* What the account may as soon as it is active. */
static uint32_t rights_in_store(const struct directory *d, const struct object *o)
{
	if (o->kind != OBJECT_ACCOUNT)
		return 0;
	return o->domain == d->main ? rights_given(d, o) : rights_given(d, o) & level_rights(false);
}

uint32_t rights_of(const struct directory *d, const struct object *o)
{
	return account_live(o) ? rights_in_store(d, o) : 0;
}

bool rights_has_master(const struct directory *d, const struct object *o)
{
	return (rights_of(d, o) & IPC_RIGHT_MASTER) != 0;
}

struct actor rights_actor(const struct directory *d, uint64_t account, uint64_t given)
{
	struct object *o = account != 0 ? directory_account(d, account) : NULL;

	if (account == 0)
		return (struct actor){ .rights = (uint32_t)given & IPC_RIGHT_MASTER };
	if (!account_live(o))
		return (struct actor){ 0 };
	return (struct actor){ rights_of(d, o), o };
}

/* Everything that these rights are enough for. */
static uint32_t span(uint32_t rights)
{
	if ((rights & IPC_RIGHT_MASTER) != 0)
		return UINT32_MAX;
	return (rights & IPC_RIGHT_USERS) != 0 ? rights | level_rights(false) : rights;
}

/* Has he any of `need` over the server as a whole (dom NULL) or over the domain? */
static bool holds(
    const struct actor *who, uint32_t need, enum verb_kind kind, const struct domain *dom)
{
	uint32_t have = who->rights & level_rights(true);

	if ((who->rights & IPC_RIGHT_MASTER) != 0)
		return true;
	if (kind == LOOKS && (have & IPC_RIGHT_DOMAINS_READ) != 0 && (need & IPC_RIGHT_DOMAIN) != 0)
		return true;
	if (dom != NULL && (have & IPC_RIGHT_USERS) != 0)
		have = span(have);
	if (dom != NULL && (who->rights & IPC_RIGHT_DOMAIN) != 0 && who->account != NULL &&
	    who->account->domain == dom)
		have |= who->rights;
	return (need & have) != 0;
}

/*
 * The rights over a domain count for an object in it, unless it is an account that may do more, or
 * will when it is resumed: not rights_of(), or whoever may resume it would get them that way.
 */
static bool holds_object(const struct directory *d, const struct actor *who, uint32_t need,
    enum verb_kind kind, const struct domain *dom, const struct object *o)
{
	if (o != NULL && o->kind == OBJECT_ALIAS)
		o = o->owner;
	if (kind == LOOKS && o != NULL && o == who->account)
		return true;
	if (dom == NULL || !holds(who, need, kind, dom))
		return dom == NULL && holds(who, need, kind, NULL);
	return kind == LOOKS || o == NULL || o == who->account ||
	       (rights_in_store(d, o) & ~span(who->rights)) == 0;
}

static struct domain *domain_of(const struct directory *d, struct slice name)
{
	return name.n == 0 ? d->main : directory_domain_any(d, name);
}

/* A name that leads to no domain is left to who has its rights over all of them. */
static bool allow_name(const struct directory *d, const struct actor *who, uint32_t need,
    enum verb_kind kind, struct slice name, bool is_new)
{
	struct domain *dom = NULL;
	struct address a;

	if (!is_new && slice_eq(name, SLICE("*")))
		return holds_object(d, who, need, kind, who->account->domain, who->account);
	if (address_split(name, &a) == 0)
		dom = domain_of(d, a.domain);
	if (dom == NULL)
		return holds(who, need | IPC_RIGHT_USERS, kind, NULL);
	return holds_object(
	    d, who, need, kind, dom, is_new ? NULL : directory_object(d, dom, a.local));
}

/* By any of its names in its domain. */
static bool is_self(const struct directory *d, const struct actor *who, struct slice name)
{
	const struct object *o = NULL;
	struct address a;

	if (slice_eq(name, SLICE("*")))
		return true;
	if (address_split(name, &a) == 0 && domain_of(d, a.domain) != NULL)
		o = directory_object(d, domain_of(d, a.domain), a.local);
	if (o != NULL && o->kind == OBJECT_ALIAS)
		o = o->owner;
	return o != NULL && o == who->account;
}

static bool allow_domain(const struct directory *d, const struct actor *who, uint32_t need,
    enum verb_kind kind, struct slice name)
{
	struct domain *dom = domain_of(d, name);

	return holds(who, dom == NULL ? need | IPC_RIGHT_USERS : need, kind, dom);
}

static bool allow_scope(const struct directory *d, const struct actor *who,
    const struct verb_need *need, const struct slice *args, size_t n)
{
	switch (n > 1 ? settings_scope_find(args[0]) : SCOPES) {
	case SCOPE_DOMAIN:
	case SCOPE_ACCOUNT_DEFAULTS:
	case SCOPE_TEMPLATE:
		return allow_domain(d, who, need->rights, need->kind, args[1]);
	case SCOPE_ACCOUNT:
		return allow_name(d, who, need->rights, need->kind, args[1], false);
	default:
		return holds(who, IPC_RIGHT_SETTINGS | (need->rights & level_rights(true)),
		    need->kind, NULL);
	}
}

bool rights_allow(const struct directory *d, const struct actor *who, const struct verb_need *need,
    const struct slice *args, size_t n)
{
	struct slice first = n > 0 ? args[0] : SLICE_NONE;

	if ((who->rights & IPC_RIGHT_MASTER) != 0)
		return true;
	if (who->account == NULL)
		return false;
	switch (need->target) {
	case TARGET_ANYONE:
		return true;
	case TARGET_NOTHING:
		return who->rights != 0;
	case TARGET_DOMAIN:
		return allow_domain(d, who, need->rights, need->kind, first);
	case TARGET_NAME:
		return allow_name(d, who, need->rights, need->kind, first, true);
	case TARGET_OBJECT:
		return allow_name(d, who, need->rights, need->kind, first, false);
	case TARGET_OWN:
		return is_self(d, who, first) ||
		       allow_name(d, who, need->rights, need->kind, first, false);
	case TARGET_MOVE:
		return n > 1 && allow_name(d, who, need->rights, need->kind, first, false) &&
		       allow_name(d, who, need->rights, need->kind, args[1], true);
	case TARGET_SETTINGS:
		return allow_scope(d, who, need, args, n);
	default:
		return holds(who, need->rights, need->kind, NULL);
	}
}

bool rights_sees_domain(const struct actor *who, const struct domain *dom)
{
	return holds(
	    who, dom != NULL ? IPC_RIGHT_DOMAIN : IPC_RIGHT_DOMAIN | IPC_RIGHT_USERS, LOOKS, dom);
}

bool rights_allow_setting(const struct directory *d, const struct actor *who, uint64_t rights,
    const struct domain *dom, const struct object *o)
{
	if (dom == NULL)
		return holds(who, IPC_RIGHT_SETTINGS, CHANGES, NULL);
	return holds_object(d, who, (uint32_t)rights, CHANGES, dom, o);
}

/* ---- what authd and stored ask ---- */

static bool may_own(const struct directory *d, const struct object *o, uint32_t what)
{
	return what != IPC_MAY_SET_PASSWORD ||
	       setting_number(settings_effective(d, o, SETTING_PWDAllowed)) != 0;
}

bool rights_may(const struct directory *d, uint64_t who, uint32_t what, uint64_t target)
{
	static const struct {
		enum verb_kind kind;
		uint32_t rights;
	} needs[] = {
		[IPC_MAY_SET_PASSWORD] = { CHANGES, IPC_RIGHT_BASIC },
		[IPC_MAY_CHECK_PASSWORD] = { CHANGES, IPC_RIGHT_BASIC },
		[IPC_MAY_SEE_SESSIONS] = { LOOKS, IPC_RIGHT_DOMAIN | IPC_RIGHT_MONITORS },
		[IPC_MAY_END_SESSIONS] = { CHANGES, IPC_RIGHT_BASIC },
		[IPC_MAY_SEE_FIGURES] = { LOOKS, IPC_RIGHT_DOMAIN | IPC_RIGHT_MONITORS },
		[IPC_MAY_RESTORE] = { CHANGES, IPC_RIGHT_MAILBOXES },
		[IPC_MAY_PURGE] = { CHANGES, IPC_RIGHT_MASTER },
		[IPC_MAY_IMPERSONATE] = { CHANGES, IPC_RIGHT_IMPERSONATE },
		[IPC_MAY_UPKEEP] = { CHANGES, IPC_RIGHT_SETTINGS },
		[IPC_MAY_MAILBOXES] = { CHANGES, IPC_RIGHT_MAILBOXES },
	};
	struct actor actor = rights_actor(d, who, 0);
	struct object *o = target != 0 ? directory_account(d, target) : NULL;

	/* Whose account goes gets no secret any more. */
	if (what == IPC_MAY_SET_PASSWORD && o != NULL && o->state == STATE_DELETING)
		return false;
	if (what == IPC_MAY_HAVE_SECRET)
		return who == 0 && o != NULL && o->state != STATE_DELETING;
	if (who == 0 || actor.account == NULL || what >= sizeof(needs) / sizeof(needs[0]) ||
	    needs[what].rights == 0)
		return false;
	if (what == IPC_MAY_UPKEEP)
		return target == 0 && holds(&actor, needs[what].rights, CHANGES, NULL);
	if (target == 0)
		return needs[what].kind == LOOKS &&
		       holds(&actor,
			   what == IPC_MAY_SEE_FIGURES ? IPC_RIGHT_MONITORS
						       : IPC_RIGHT_MONITORS | IPC_RIGHT_USERS,
			   LOOKS, NULL);
	if (o == NULL)
		return false;
	if (o == actor.account && what != IPC_MAY_PURGE)
		return may_own(d, o, what);
	/* Mail to read is not the account to have: that of whoever may do more, too. */
	if (what == IPC_MAY_MAILBOXES)
		return holds(&actor, needs[what].rights, needs[what].kind, o->domain);
	return holds_object(d, &actor, needs[what].rights, needs[what].kind, o->domain, o);
}

/* ---- giving rights ---- */

const char *rights_refuse_set(
    const struct directory *d, const struct actor *who, const struct object *o, uint32_t rights)
{
	uint32_t server = level_rights(true);

	if ((rights & server) != 0 && o->domain != d->main)
		return "only accounts of the Main Domain have rights over the server";
	if (((rights ^ rights_given(d, o)) & server) != 0 && (who->rights & IPC_RIGHT_MASTER) == 0)
		return "only Master gives and takes rights over the server";
	if ((rights & IPC_RIGHT_MASTER) == 0 && is_postmaster(d, o))
		return "postmaster of the Main Domain keeps the Master right";
	return NULL;
}
