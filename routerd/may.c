/*
 * may - what an account may who logged in by the pwd door: look at itself and change its own
 * password. What is not allowed here is refused.
 */
#include "routerd/dirconn.h"

#include "routerd/names.h"

enum {
#define VERB(name, least, most) VERB_##name,
#include "common/ipc/verbs.def"
};

static const struct object *live_account(const struct routerd *rd, uint64_t id)
{
	const struct object *o = id != 0 ? directory_account(&rd->db.dir, id) : NULL;

	return o != NULL && o->state == STATE_ACTIVE && !o->suspended ? o : NULL;
}

/* Does the name lead to this account itself, by one of its names? */
static bool names_self(const struct request *q, struct slice name, const struct object *self)
{
	const struct directory *d = &q->rd->db.dir;
	const struct domain *dom;
	const struct object *o;
	struct address a;

	if (slice_eq(name, SLICE("*")))
		return true;
	if (address_split(name, &a) != 0)
		return false;
	dom = a.domain.n == 0 ? d->main : directory_domain_any(d, a.domain);
	o = dom != NULL ? directory_object(d, dom, a.local) : NULL;
	return o == self || (o != NULL && o->owner == self);
}

bool may_run(const struct request *q, uint32_t verb)
{
	const struct object *self = live_account(q->rd, q->account);

	switch (verb) {
	case VERB_account_info:
	case VERB_account_aliases:
		return self != NULL && q->n > 0 && names_self(q, q->args[0], self);
	default:
		return false;
	}
}

enum ipc_dir_status may_secret(
    const struct routerd *rd, uint64_t who, uint64_t target, enum ipc_may what)
{
	const struct object *self = live_account(rd, who);

	if (self == NULL || target != who)
		return IPC_DIR_DENIED;
	return what == IPC_MAY_SET_PASSWORD || what == IPC_MAY_CHECK_PASSWORD ? IPC_DIR_OK
									      : IPC_DIR_DENIED;
}
