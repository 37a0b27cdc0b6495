#include "routerd/audit.h"

#include "common/base/log.h"

#include <stdio.h>
#include <stdlib.h>

struct audit {
	struct audit *next;
	uint32_t seq;
	const char *verb;
	int quiet; /* an end of which nothing is told, or -1 */
	char object[256];
};

/* A connection as the log names it, or an account by its number, as stored does. */
static void put_conn(struct audit *au, const struct request *q)
{
	uint64_t sid = 0, account = 0;

	slice_u64(q->n > 0 ? q->args[0] : SLICE_NONE, UINT64_MAX, &sid);
	slice_u64(q->n > 1 ? q->args[1] : SLICE_NONE, UINT64_MAX, &account);
	if (sid != 0)
		snprintf(au->object, sizeof(au->object), "%llx-%llx",
		    (unsigned long long)(sid >> 32), (unsigned long long)(sid & 0xffffffff));
	else
		snprintf(au->object, sizeof(au->object), "#%llu", (unsigned long long)account);
}

/* The first argument, of settings whose they are; an object with its domain; no Router's table. */
static void put_object(struct audit *au, const struct request *q)
{
	struct slice object = q->n > 0 ? slice_part(q->args[0], 0, 120) : SLICE_NONE;
	struct slice domain = q->rd->db.dir.main->name;

	bool named = strncmp(au->verb, "domain_", 7) != 0;

	if (strcmp(au->verb, "router_set_table") == 0) {
		if (q->n > 1 && !slice_ieq(q->args[0], SLICE("last")))
			au->quiet = IPC_DIR_OK; /* a part */
		object = SLICE("router");
		named = false;
	}
	if (strcmp(au->verb, "log_write") == 0 || strcmp(au->verb, "stat_set") == 0)
		named = false;
	if (strcmp(au->verb, "conn_kick") == 0) {
		au->quiet = IPC_DIR_NOTFOUND; /* stored is asked next */
		put_conn(au, q);
		return;
	}
	if (strncmp(au->verb, "settings_", 9) == 0 || strncmp(au->verb, "alert_", 6) == 0) {
		named = slice_ieq(object, SLICE("account"));
		if (q->n > 1 && q->args[1].n > 0)
			object = slice_part(q->args[1], 0, 120);
	}
	if (!named && object.n == 0)
		object = domain;
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
	au->quiet = -1;
	put_object(au, q);
	if (strncmp(au->object, "*@", 2) == 0)
		snprintf(au->object, sizeof(au->object), "%.255s", as->who);
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
		if (au->quiet == (int)status)
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
