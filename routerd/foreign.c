/*
 * foreign - a session of stored's names the mailboxes of ~name: where that leads, by the rules of a
 * login under the name, and whether the account that the session is of may open them.
 *
 * Nothing that the session said counts but the name: stored knows whose the session is.
 */
#include "routerd/routerd.h"

#include "common/metrics/metrics.h"
#include "routerd/limits.h"
#include "routerd/rights.h"
#include "routerd/settings.h"

void foreign_on_ask(struct routerd *rd, struct ipc_chan *c, const struct ipc_foreign_ask *m)
{
	const struct directory *d = &rd->db.dir;
	const struct object *who = rd->refused ? NULL : directory_account(d, m->who);
	struct buf name = BUF_INIT(NAME_MAX_BYTES + 1 + DOMAIN_MAX_BYTES);
	struct ipc_foreign_is is = { .seq = m->seq,
		.status = rd->refused ? IPC_DIR_TRYLATER : IPC_DIR_DENIED };
	struct route *r = &rd->route;

	/* A simple name is one of his own domain, whatever address he has reached. */
	if (who != NULL) {
		route_login(d, m->name, who->domain->name, &(struct addr){ 0 }, r);
		metric_add(METRIC_route_lookups, "foreign", route_status_word(r->status), 1);
	}
	if (who != NULL && r->status == IPC_ROUTE_OK) {
		put_object_name(&name, r->account);
		is.account = r->account->id;
		is.name = buf_slice(&name);
		is.quota = settings_quota(d, r->account);
		if (rights_may(d, m->who, IPC_MAY_MAILBOXES, is.account))
			is.status = IPC_DIR_OK;
	}
	ipc_send(c, IPC_foreign_is, &is, NULL);
	buf_fini(&name);
}
