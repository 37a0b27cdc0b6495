/*
 * policy - what stored asks: the settings of an account that are about its mail.
 */
#include "routerd/routerd.h"
#include "routerd/settings.h"

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
	(void)ipc_send(c, IPC_policy_is, &p, NULL);
}
