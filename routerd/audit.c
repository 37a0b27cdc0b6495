#include "routerd/audit.h"

#include "common/base/log.h"

#include <stdio.h>
#include <stdlib.h>

struct audit {
	struct audit *next;
	uint32_t seq;
	const char *verb;
	bool part; /* of a table that is to come whole: nothing to tell yet */
	char object[256];
};

/* The first argument, of settings whose they are; an object with its domain; no Router's table. */
static void put_object(struct audit *au, const struct request *q)
{
	struct slice object = q->n > 0 ? slice_part(q->args[0], 0, 120) : SLICE_NONE;
	struct slice domain = q->rd->db.dir.main->name;

	bool named = strncmp(au->verb, "domain_", 7) != 0;

	if (strcmp(au->verb, "router_set_table") == 0) {
		au->part = q->n > 1 && !slice_ieq(q->args[0], SLICE("last"));
		object = SLICE("router");
		named = false;
	}
	if (strcmp(au->verb, "log_write") == 0)
		named = false;
	if (strncmp(au->verb, "settings_", 9) == 0 || strncmp(au->verb, "alert_", 6) == 0) {
		named = slice_ieq(object, SLICE("account"));
		if (q->n > 1 && q->args[1].n > 0)
			object = slice_part(q->args[1], 0, 120);
	}
	if (named && slice_find(object, '@') < 0)
		snprintf(au->object, sizeof(au->object), "%.*s@%.*s", SLICE_FMT(object),
		    SLICE_FMT(domain));
	else
		snprintf(au->object, sizeof(au->object), "%.*s", SLICE_FMT(object));
}

void audit_begin(struct audits *as, const struct request *q, const char *verb)
{
	struct audit *au = calloc(1, sizeof(*au));

	if (au == NULL)
		return;
	au->seq = q->answer.seq;
	au->verb = verb;
	put_object(au, q);
	au->next = as->open;
	as->open = au;
}

static void tell(const struct audits *as, struct audit *take_au, const char *result)
{
	log_ev(LOG_NOTICE | LOG_AUDIT, "admin.change", kv_sid("sid", as->sid), kv_s("who", as->who),
	    kv_s("verb", take_au->verb), kv_s("object", take_au->object), kv_s("result", result));
	free(take_au);
}

void audit_end(struct audits *as, uint32_t seq, enum ipc_dir_status status)
{
	static const char *const words[] = { [IPC_DIR_OK] = "ok",
		[IPC_DIR_NOTFOUND] = "not-found",
		[IPC_DIR_EXISTS] = "exists",
		[IPC_DIR_DENIED] = "denied",
		[IPC_DIR_BAD] = "malformed",
		[IPC_DIR_TRYLATER] = "unavailable" };

	for (struct audit **at = &as->open; *at != NULL; at = &(*at)->next) {
		struct audit *au = *at;

		if (au->seq != seq)
			continue;
		*at = au->next;
		if (au->part && status == IPC_DIR_OK)
			free(au);
		else
			tell(as, au, words[status]);
		return;
	}
}

void audits_fini(struct audits *as)
{
	while (as->open != NULL) {
		struct audit *au = as->open;

		as->open = au->next;
		tell(as, au, "unknown");
	}
}
