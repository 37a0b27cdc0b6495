#include "routerd/services.h"

#include "common/base/wire.h"

static const struct {
	const char *name; /* of the door, as authd and stored know it */
	uint64_t bit;
	bool session; /* stored has sessions of it; else routerd has connections that send */
} doors[] = {
	{ "pop3", SERVICE_POP, true },
	{ "imap", SERVICE_IMAP, true },
	{ "smtp", SERVICE_RELAY, false },
	{ "pwd", SERVICE_PWD, true },
};

uint64_t services_of(const struct directory *d, const struct object *o)
{
	return setting_number(settings_effective(d, o, SETTING_AccessModes)) &
	       setting_number(settings_effective_domain(d, o->domain, SETTING_DomainAccessModes));
}

bool services_allow(
    const struct directory *d, const struct object *o, struct slice service, bool encrypted)
{
	uint64_t on = services_of(d, o);

	if (encrypted && (on & SERVICE_TLS) == 0)
		return false;
	for (size_t i = 0; i < sizeof(doors) / sizeof(doors[0]); i++)
		if (slice_eq(service, slice_str(doors[i].name)))
			return (on & doors[i].bit) != 0;
	return false;
}

static bool within(const struct settings_holder *h, const struct object *o)
{
	if (h->scope == SCOPE_ACCOUNT)
		return o == h->account;
	return h->domain == NULL || o->domain == h->domain;
}

/* Tells stored of accounts, as many at a time as a message holds. */
struct telling {
	struct routerd *rd;
	const char *service;
	struct buf ids;
};

static void tell(struct telling *t)
{
	struct ipc_service_off m = { .service = slice_str(t->service),
		.accounts = buf_slice(&t->ids) };

	if (t->ids.n > 0 && t->rd->stored != NULL)
		ipc_send(t->rd->stored, IPC_service_off, &m, NULL);
	buf_reset(&t->ids);
}

static void end_of(struct routerd *rd, const struct settings_holder *h, size_t door)
{
	struct telling t = { rd, doors[door].name, BUF_INIT(8 * 7000) };
	size_t at = 0;

	for (struct object *o; (o = directory_next_account(&rd->db.dir, &at)) != NULL;) {
		if (!within(h, o) || (services_of(&rd->db.dir, o) & doors[door].bit) != 0)
			continue;
		if (!doors[door].session) {
			rcpt_on_logout(rd, o->id);
			continue;
		}
		wire_put_u64(&t.ids, o->id);
		if (t.ids.n == t.ids.max)
			tell(&t);
	}
	tell(&t);
	buf_fini(&t.ids);
}

void services_lost(struct routerd *rd, const struct settings_holder *h, uint64_t lost)
{
	for (size_t i = 0; i < sizeof(doors) / sizeof(doors[0]); i++)
		if ((lost & doors[i].bit) != 0)
			end_of(rd, h, i);
}
