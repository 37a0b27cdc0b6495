/*
 * sender - the address that mail is from: may a login use it, and who is to get a report.
 */
#include "routerd/sender.h"

#include "common/base/clock.h"
#include "common/metrics/metrics.h"
#include "routerd/identity.h"
#include "routerd/services.h"

/* Looked up each time: an account may be suspended and an alias given away while we are connected.
 */
enum ipc_route_status sender_status(struct routerd *rd, uint64_t account, struct slice address)
{
	const struct object *login = directory_account(&rd->db.dir, account);

	if (login == NULL || login->state != STATE_ACTIVE || login->suspended ||
	    (services_of(&rd->db.dir, login) & SERVICE_RELAY) == 0)
		return IPC_ROUTE_DISABLED;
	if (address.n == 0)
		return IPC_ROUTE_OK; /* <> belongs to nobody: for reports (RFC 8098 3) */
	return identity_has(&rd->db.dir, &rd->route, login, address) ? IPC_ROUTE_OK
								     : IPC_ROUTE_REFUSED;
}

/* Where mail to the sender ends: OK with an account, NOTLOCAL, TRYLATER. */
static enum ipc_route_status find_account(
    struct routerd *rd, struct slice address, const struct object **ret_account)
{
	struct route *r = &rd->route;

	route_address(&rd->db.dir, address, ROUTE_MAIL, r);
	if (r->status != IPC_ROUTE_OK || r->account == NULL)
		return r->status == IPC_ROUTE_TRYLATER ? IPC_ROUTE_TRYLATER : IPC_ROUTE_NOTLOCAL;
	*ret_account = r->account;
	return IPC_ROUTE_OK;
}

static bool share_take(struct routerd *rd, const struct object *account)
{
	return bounces_take(&rd->bounces, account->id, clock_mono_ms() / 1000);
}

/*
 * A report is stored here or nowhere: one that a group or another server would get is none. The
 * limit costs nobody anything, as the client hears at RCPT itself what the report would have told.
 */
enum ipc_route_status sender_reported(
    struct routerd *rd, struct slice address, const struct object **ret_account)
{
	const struct object *account;
	enum ipc_route_status status = find_account(rd, address, &account);

	if (status != IPC_ROUTE_OK) {
		metric_add(METRIC_failure_reports, "sender", "", 1);
		return status;
	}
	if (!share_take(rd, account)) {
		metric_add(METRIC_failure_reports, "rate", "", 1);
		return IPC_ROUTE_REFUSED;
	}
	metric_add(METRIC_failure_reports, "ok", "", 1);
	*ret_account = account;
	return IPC_ROUTE_OK;
}

enum ipc_route_status sender_told(
    struct routerd *rd, struct slice address, uint64_t login, const struct object **ret_account)
{
	const struct object *account = NULL;
	enum ipc_route_status status = find_account(rd, address, &account);

	if (status == IPC_ROUTE_NOTLOCAL && login != 0) {
		account = directory_account(&rd->db.dir, login);
		status = account != NULL ? IPC_ROUTE_OK : IPC_ROUTE_NOTLOCAL;
	}
	if (status != IPC_ROUTE_OK)
		return status;
	if (login == 0 && !share_take(rd, account))
		return IPC_ROUTE_REFUSED;
	*ret_account = account;
	return IPC_ROUTE_OK;
}
