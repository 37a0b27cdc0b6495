/* conditions - what a login must keep to before a secret is looked at: configuration and settings.
 */
#include "authd/dialogue-private.h"

#include <strings.h>

static bool is_clear_text(const char *mech)
{
	return strcasecmp(mech, "PLAIN") == 0 || strcasecmp(mech, "LOGIN") == 0;
}

bool conditions_clear_text(const struct dialogue *d)
{
	return is_clear_text(d->mech);
}

static bool mech_offered(const struct authd *a, struct slice mech)
{
	struct slice list = slice_str(a->mechs);

	while (list.n > 0)
		if (slice_ieq(slice_take(&list, ' '), mech))
			return true;
	return false;
}

enum ipc_auth_status conditions_of_start(const struct dialogue *d)
{
	if (!mech_offered(d->a, slice_str(d->mech)))
		return IPC_AUTH_NOMECH;
	if (!d->tls && (d->flags & IPC_CONN_PLAIN_LOGIN) == 0 && is_clear_text(d->mech))
		return IPC_AUTH_NEEDTLS;
	return IPC_AUTH_OK;
}

enum ipc_auth_status conditions_of_account(
    struct dialogue *d, const struct ipc_route_login_reply *m)
{
	if ((m->flags & IPC_LOGIN_SECURE_ONLY) != 0 && !d->tls && is_clear_text(d->mech))
		return IPC_AUTH_NEEDTLS;
	if (failures_over(d->a, m->account, m->fail_max))
		return IPC_AUTH_LIMIT;
	return IPC_AUTH_OK;
}
