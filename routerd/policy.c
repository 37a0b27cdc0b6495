/*
 * policy - what stored asks: the settings of an account that are about its mail.
 */
#include "routerd/routerd.h"
#include "routerd/settings.h"

#include "common/base/wire.h"

enum { IDS_BYTES = 8 * 7000 };

static uint64_t number(struct routerd *rd, const struct object *o, enum setting key)
{
	return setting_number(settings_effective(&rd->db.dir, o, key));
}

void policy_on_ask(struct routerd *rd, struct ipc_chan *c, uint64_t account)
{
	const struct object *o = directory_account(&rd->db.dir, account);
	struct ipc_policy_is p = { .account = account };

	if (o == NULL)
		return;
	p.quota = settings_quota(&rd->db.dir, o);
	p.messages = number(rd, o, SETTING_MaxAccountMessages);
	p.notice = (uint32_t)number(rd, o, SETTING_QuotaNotice);
	p.alert = (uint32_t)number(rd, o, SETTING_QuotaAlert);
	p.suspend = (uint32_t)number(rd, o, SETTING_QuotaSuspend);
	p.restores = (uint32_t)number(rd, o, SETTING_RestoreDailyLimit);
	p.undelete_s = number(rd, o, SETTING_UndeletePeriod);
	p.compress = (uint32_t)setting_number(
	    settings_effective_domain(&rd->db.dir, o->domain, SETTING_CompressMessages));
	(void)ipc_send(c, IPC_policy_is, &p, NULL);
}

static void tell(struct routerd *rd, struct buf *ids)
{
	if (rd->stored != NULL)
		(void)ipc_send(rd->stored, IPC_policy_stale,
		    &(struct ipc_policy_stale){ buf_slice(ids) }, NULL);
	buf_reset(ids);
}

void policy_tell_stale(struct routerd *rd, const struct settings_holder *h)
{
	struct buf ids = BUF_INIT(IDS_BYTES);
	size_t at = 0;

	if (h->scope == SCOPE_ACCOUNT) {
		wire_put_u64(&ids, h->id);
		tell(rd, &ids);
	} else if (h->scope == SCOPE_ACCOUNT_DEFAULTS || h->scope == SCOPE_DOMAIN) {
		for (const struct object *o; (o = domain_next_object(h->domain, &at)) != NULL;) {
			if (o->kind != OBJECT_ACCOUNT)
				continue;
			wire_put_u64(&ids, o->id);
			if (ids.n == IDS_BYTES)
				tell(rd, &ids);
		}
		if (ids.n > 0)
			tell(rd, &ids);
	} else if (h->scope == SCOPE_ACCOUNT_DEFAULTS_ALL || h->scope == SCOPE_DOMAIN_DEFAULTS) {
		tell(rd, &ids); /* nobody is named, which means all */
	}
	buf_fini(&ids);
}
