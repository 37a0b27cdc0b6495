#include "routerd/identity.h"

#include "routerd/dirconn.h"
#include "routerd/settings.h"

/* SenderAddresses of the account: the address itself, or *@ its domain. Kept in lower case. */
static bool granted(const struct directory *d, const struct object *account, struct slice address)
{
	struct slice list = settings_effective(d, account, SETTING_SenderAddresses), item;
	ptrdiff_t at = slice_rfind(address, '@');

	while (at > 0 && setting_next(&list, &item)) {
		if (slice_ieq(item, address))
			return true;
		if (slice_starts(item, SLICE("*@")) &&
		    slice_ieq(slice_from(item, 2), slice_from(address, (size_t)at + 1)))
			return true;
	}
	return false;
}

bool identity_has(const struct directory *d, struct route *scratch, const struct object *account,
    struct slice address)
{
	route_address(d, address, ROUTE_MAIL, scratch);
	if (scratch->status == IPC_ROUTE_OK && scratch->account == account)
		return true;
	return granted(d, account, address);
}

/* A suspended account appears nowhere. */
void verb_account_identity(struct request *q)
{
	const struct directory *d = &q->rd->db.dir;
	const struct object *o = request_account(q, q->args[0]);

	if (o == NULL)
		return;
	for (size_t i = 1; i < q->n; i++) {
		if (!o->suspended && identity_has(d, &q->rd->route, o, q->args[i]))
			continue;
		reply_error(q, IPC_DIR_BAD, "the account may not appear under this address");
		return;
	}
	done(q);
}
