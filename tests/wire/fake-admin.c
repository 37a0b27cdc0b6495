/*
 * fake-admin - what an administrator's channels lead to: a directory of a few names, kept as long
 * as the connection. It answers with what it was told, so that a transcript shows how a line was
 * read.
 *
 * The Main Domain is example.test with u1 to u4 and postmaster. Names that begin with "later" are
 * answered that a server is away. Who logged in as one of the accounts may look at it and set its
 * password, but for u4, who may not.
 */
#include "tests/wire/fake-private.h"

#include "common/base/wire.h"
#include "common/settings/settings.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
#define VERB(name, ...) VERB_##name,
#include "common/ipc/verbs.def"
};

enum { NAMES_MAX = 600, LIST_MAX = 210, TEXT_MAX = 4096, SET_MAX = 100 };

struct list {
	char *item[LIST_MAX];
	size_t n;
};

static struct directory {
	char *domain[NAMES_MAX], *account[NAMES_MAX]; /* accounts with their domain */
	char quota[NAMES_MAX][24];
	bool suspended[NAMES_MAX];
	size_t domains, accounts;
	struct list aliases, domain_aliases, ips;
	char table[TEXT_MAX];
	struct {
		char holder[300], text[300]; /* scope and name; canonical, "" when it is not set */
		enum setting s;
	} set[SET_MAX];
	size_t n_set;
} dir;

struct ask {
	struct fake *f;
	uint32_t seq;
	char arg[LIST_MAX][TEXT_MAX];
	size_t n;
	struct buf items;
};

static void answer(struct ask *q, enum ipc_dir_status status)
{
	struct ipc_dir_reply r = { .seq = q->seq, .status = status, .data = buf_slice(&q->items) };

	fake_reply(q->f, FRONT_DIR, IPC_dir_reply, &r);
}

static void fail(struct ask *q, enum ipc_dir_status status, const char *why)
{
	buf_reset(&q->items);
	wire_put_bytes(&q->items, slice_str(why));
	answer(q, status);
}

static void item(struct ask *q, const char *s)
{
	wire_put_bytes(&q->items, slice_str(s));
}

static void items(struct ask *q, const struct list *l)
{
	for (size_t i = 0; i < l->n; i++)
		item(q, l->item[i]);
	answer(q, IPC_DIR_OK);
}

static void list_clear(struct list *l)
{
	while (l->n > 0)
		free(l->item[--l->n]);
}

static void list_set(struct ask *q, struct list *l)
{
	list_clear(l);
	for (size_t i = 1; i < q->n && i < LIST_MAX; i++)
		l->item[l->n++] = strdup(q->arg[i]);
	answer(q, IPC_DIR_OK);
}

static const char *full_name(const char *name)
{
	static char text[TEXT_MAX + 20];

	snprintf(
	    text, sizeof(text), "%s%s", name, strchr(name, '@') != NULL ? "" : "@example.test");
	return text;
}

static ptrdiff_t find(char *const *all, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcasecmp(all[i], name) == 0)
			return (ptrdiff_t)i;
	return -1;
}

static void make(struct ask *q, char **all, size_t *n, const char *name, const char *id)
{
	if (find(all, *n, name) >= 0) {
		fail(q, IPC_DIR_EXISTS, "an account with this name exists already");
		return;
	}
	assert(*n < NAMES_MAX);
	all[(*n)++] = strdup(name);
	if (id[0] != '\0')
		item(q, id);
	answer(q, IPC_DIR_OK);
}

static void unmake(struct ask *q, char **all, size_t *n, const char *name)
{
	ptrdiff_t i = find(all, *n, name);

	if (i < 0) {
		fail(q, IPC_DIR_NOTFOUND, "there is no such name");
		return;
	}
	free(all[i]);
	all[i] = all[--*n];
	answer(q, IPC_DIR_OK);
}

/* What the last secret_new would have been answered. */
static enum ipc_auth_status brought;

static bool settings_put(struct ask *q, bool now);

static void account_create(struct ask *q)
{
	bool secret = strcmp(q->arg[1], "secret") == 0;

	if (secret && brought != IPC_AUTH_OK) {
		fail(q, IPC_DIR_BAD,
		    brought == IPC_AUTH_SYNTAX ? "the given hash starts with {CRYPT}"
					       : "the password cannot be stored this way");
		return;
	}
	if (!settings_put(q, false))
		return;
	if (dir.accounts < NAMES_MAX)
		snprintf(dir.quota[dir.accounts], 24, "%.23s", q->n > 3 ? q->arg[3] : "0");
	make(q, dir.account, &dir.accounts, full_name(q->arg[0]), "7");
}

static void account_info(struct ask *q, ptrdiff_t i)
{
	char id[24];

	snprintf(id, sizeof(id), "%d", (int)i + 1);
	item(q, id);
	item(q, dir.account[i]);
	item(q, dir.suspended[i] ? "suspended" : "active");
	item(q, dir.quota[i]);
	answer(q, IPC_DIR_OK);
}

/* A verb about an account that must be there. */
static void on_account(struct ask *q, uint32_t verb)
{
	ptrdiff_t i = find(dir.account, dir.accounts, full_name(q->arg[0]));

	if (i < 0) {
		fail(q, IPC_DIR_NOTFOUND, "there is no such account");
		return;
	}
	switch (verb) {
	case VERB_account_info:
		account_info(q, i);
		return;
	case VERB_account_aliases:
		items(q, &dir.aliases);
		return;
	case VERB_account_set_aliases:
		list_set(q, &dir.aliases);
		return;
	default:
		unmake(q, dir.account, &dir.accounts, full_name(q->arg[0]));
		return;
	}
	answer(q, IPC_DIR_OK);
}

static void account_list(struct ask *q)
{
	const char *domain = q->arg[0][0] != '\0' ? q->arg[0] : "example.test";

	for (size_t i = 0; i < dir.accounts; i++) {
		const char *at = strchr(dir.account[i], '@');
		char name[TEXT_MAX];

		if (strcasecmp(at + 1, domain) != 0)
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)(at - dir.account[i]), dir.account[i]);
		item(q, name);
	}
	answer(q, IPC_DIR_OK);
}

/* ---- settings: kept under scope and name, whatever these are ---- */

static const char *holder(const struct ask *q)
{
	static char text[300];
	bool account = strcmp(q->arg[0], "account") == 0;

	snprintf(text, sizeof(text), "%.20s %.250s", q->arg[0],
	    account ? full_name(q->arg[1]) : q->arg[1]);
	return text;
}

static char *setting_at(const char *who, enum setting s)
{
	size_t i = 0;

	while (i < dir.n_set && (dir.set[i].s != s || strcasecmp(dir.set[i].holder, who) != 0))
		i++;
	assert(i < SET_MAX);
	if (i == dir.n_set) {
		snprintf(dir.set[dir.n_set].holder, sizeof(dir.set[0].holder), "%s", who);
		dir.set[dir.n_set++].s = s;
	}
	return dir.set[i].text;
}

static void settings_get(struct ask *q)
{
	struct buf text = BUF_INIT(SETTING_TEXT_MAX);

	for (int s = 0; s < SETTINGS; s++) {
		const char *own = setting_at(holder(q), (enum setting)s);

		buf_reset(&text);
		buf_puts(&text, own);
		if (strcmp(q->arg[2], "effective") == 0 && own[0] == '\0')
			setting_put(&text, (enum setting)s, setting_default((enum setting)s));
		if (text.n == 0)
			continue;
		item(q, setting_rows[s].name);
		wire_put_bytes(&q->items, buf_slice(&text));
	}
	buf_fini(&text);
	answer(q, IPC_DIR_OK);
}

/* Once to see whether all of it is right, once to do it. */
static bool settings_put(struct ask *q, bool now)
{
	struct buf packed = BUF_INIT(SETTING_PACKED_MAX), text = BUF_INIT(299);
	const char *why = NULL, *said = NULL;

	for (size_t i = 2; why == NULL && i + 1 < q->n; i += 2) {
		enum setting s = setting_find(slice_str(q->arg[i]));
		bool gone = strcasecmp(q->arg[i + 1], "default") == 0;

		buf_reset(&packed);
		buf_reset(&text);
		if (s == SETTINGS)
			why = "this is not a setting";
		else if (!gone && setting_parse(s, slice_str(q->arg[i + 1]), &packed, &said) != 0)
			why = said;
		else if (!gone)
			setting_put(&text, s, buf_slice(&packed));
		if (why == NULL && now)
			snprintf(setting_at(holder(q), s), 300, "%.*s", (int)text.n,
			    text.n > 0 ? (const char *)text.p : "");
	}
	buf_fini(&packed);
	buf_fini(&text);
	if (why != NULL)
		fail(q, IPC_DIR_BAD, why);
	return why == NULL;
}

static void settings_change(struct ask *q, bool whole)
{
	if (strcmp(q->arg[0], "account") == 0 &&
	    find(dir.account, dir.accounts, full_name(q->arg[1])) < 0) {
		fail(q, IPC_DIR_NOTFOUND, "there is no such account");
		return;
	}
	if (!settings_put(q, false))
		return;
	for (int s = 0; whole && s < SETTINGS; s++)
		setting_at(holder(q), (enum setting)s)[0] = '\0';
	settings_put(q, true);
	answer(q, IPC_DIR_OK);
}

static void router_table(struct ask *q)
{
	struct slice rest = slice_str(dir.table);

	while (rest.n > 0)
		wire_put_bytes(&q->items, slice_take(&rest, '\n'));
	answer(q, IPC_DIR_OK);
}

static void route(struct ask *q)
{
	bool known = find(dir.account, dir.accounts, full_name(q->arg[0])) >= 0;

	item(q, known ? "LOCAL" : "");
	item(q, "");
	item(q, known ? full_name(q->arg[0]) : "");
	item(q, known ? "ok" : "no such user here");
	item(q, q->arg[1]);
	answer(q, IPC_DIR_OK);
}

/* Name, number of addresses, addresses; settings of domains are not kept. */
static void domain_create(struct ask *q)
{
	int ips = q->n > 1 ? atoi(q->arg[1]) : 0;

	if (ips > 0 && find(dir.domain, dir.domains, q->arg[0]) < 0) {
		list_clear(&dir.ips);
		for (int i = 0; i < ips; i++)
			dir.ips.item[dir.ips.n++] = strdup(q->arg[2 + i]);
	}
	make(q, dir.domain, &dir.domains, q->arg[0], "");
}

static void run(struct ask *q, uint32_t verb)
{
	switch (verb) {
	case VERB_main_domain:
		item(q, dir.domain[0]);
		answer(q, IPC_DIR_OK);
		break;
	case VERB_domain_list:
		for (size_t i = 0; i < dir.domains; i++)
			item(q, dir.domain[i]);
		answer(q, IPC_DIR_OK);
		break;
	case VERB_domain_create:
		domain_create(q);
		break;
	case VERB_domain_delete:
		unmake(q, dir.domain, &dir.domains, q->arg[0]);
		break;
	case VERB_domain_aliases:
		items(q, &dir.domain_aliases);
		break;
	case VERB_domain_set_aliases:
		list_set(q, &dir.domain_aliases);
		break;
	case VERB_domain_ips:
		items(q, &dir.ips);
		break;
	case VERB_domain_set_ips:
		list_set(q, &dir.ips);
		break;
	case VERB_account_list:
		account_list(q);
		break;
	case VERB_account_create:
		account_create(q);
		break;
	case VERB_router_table:
		router_table(q);
		break;
	case VERB_router_set_table:
		snprintf(dir.table, sizeof(dir.table), "%s", q->arg[0]);
		answer(q, IPC_DIR_OK);
		break;
	case VERB_route:
	case VERB_login:
		route(q);
		break;
	case VERB_account_tally:
		item(q, "recipients 0");
		answer(q, IPC_DIR_OK);
		break;
	case VERB_stat:
		item(q, "directory.domains 1");
		answer(q, IPC_DIR_OK);
		break;
	case VERB_settings_get:
		settings_get(q);
		break;
	case VERB_conn_list:
		answer(q, IPC_DIR_OK);
		break;
	case VERB_later:
		if (find(dir.account, dir.accounts, full_name(q->arg[3])) < 0)
			fail(q, IPC_DIR_NOTFOUND, "there is no such account");
		else
			answer(q, IPC_DIR_OK);
		break;
	case VERB_conn_kick:
		fail(q, IPC_DIR_NOTFOUND, "there is no such connection");
		break;
	case VERB_settings_update:
	case VERB_settings_set:
		settings_change(q, verb == VERB_settings_set);
		break;
	default:
		on_account(q, verb);
	}
}

static bool own(const struct ask *q, uint32_t verb)
{
	return (verb == VERB_account_info || verb == VERB_account_aliases ||
		   verb == VERB_account_tally) &&
	       strcasecmp(full_name(q->arg[0]), dir.account[q->f->account - 1]) == 0;
}

static void dir_ask(struct fake *f, const struct ipc_dir_ask *m)
{
	struct ask *q = calloc(1, sizeof(*q));
	struct wire_reader r = wire_reader(m->args);

	assert(q != NULL);
	q->f = f;
	q->seq = m->seq;
	buf_init(&q->items, 60000);
	while (wire_left(&r) > 0 && q->n < LIST_MAX) {
		struct slice s = wire_get_bytes(&r, UINT32_MAX);

		snprintf(
		    q->arg[q->n++], TEXT_MAX, "%.*s", (int)s.n, s.n > 0 ? (const char *)s.p : "");
	}
	assert(!r.bad);
	if (f->account != 0 && strcmp(q->arg[0], "*") == 0)
		snprintf(q->arg[0], TEXT_MAX, "%s", dir.account[f->account - 1]);
	if (strncasecmp(q->arg[0], "later", 5) == 0)
		fail(q, IPC_DIR_TRYLATER, "a server is away; try again");
	else if (f->account != 0 && !own(q, m->verb))
		fail(q, IPC_DIR_DENIED, "this needs the Master right");
	else
		run(q, m->verb);
	buf_fini(&q->items);
	free(q);
}

static void begin(struct fake *f, const struct ipc_auth_admin *m)
{
	static const char *const names[] = { "postmaster", "u1", "u2", "u3", "u4" };

	for (size_t i = 0; i < dir.domains; i++)
		free(dir.domain[i]);
	for (size_t i = 0; i < dir.accounts; i++)
		free(dir.account[i]);
	list_clear(&dir.aliases);
	list_clear(&dir.domain_aliases);
	list_clear(&dir.ips);
	memset(&dir, 0, sizeof(dir));
	dir.domain[dir.domains++] = strdup("example.test");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		strcpy(dir.quota[i], "0");
		dir.account[dir.accounts++] = strdup(full_name(names[i]));
	}
	f->account = m->account;
	fake_reply(f, FRONT_AUTH, IPC_auth_admin, m);
}

/* u1 is the second account. */
void fake_admin_login(struct fake *f, struct slice name, struct slice data)
{
	struct ipc_auth_admin m = { .name = name, .account = f->user + 1, .data = data };

	begin(f, &m);
}

static void secret(struct fake *f, uint32_t seq, enum ipc_auth_status status)
{
	fake_reply(
	    f, FRONT_SECRETS, IPC_secret_done, &(struct ipc_secret_done){ seq, (uint32_t)status });
}

static enum ipc_auth_status judge(struct slice scheme, struct slice password)
{
	static const char *const known[] = { "", "plain", "yescrypt", "sha512crypt", "bcrypt",
		"scram-sha-256" };
	bool ok = false;

	if (slice_ieq(scheme, SLICE("given")))
		return slice_starts(password, SLICE("{PLAIN}")) ? IPC_AUTH_OK : IPC_AUTH_SYNTAX;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		ok |= slice_ieq(scheme, slice_str(known[i]));
	return ok ? IPC_AUTH_OK : IPC_AUTH_NOMECH;
}

static void secret_set(struct fake *f, const struct ipc_secret_set *m)
{
	if (f->account != 0 && (m->account != f->account || f->user == 4)) {
		secret(f, m->seq, IPC_AUTH_DISABLED);
		return;
	}
	if (f->account != 0 && (m->scheme.n > 0 || m->password.n == 0)) {
		secret(f, m->seq, IPC_AUTH_NOMECH);
		return;
	}
	secret(f, m->seq, judge(m->scheme, m->password));
}

static void stat_reply(struct fake *f, uint32_t seq, enum ipc_store_status status, uint32_t count)
{
	struct ipc_stat_reply m = { .seq = seq,
		.status = status,
		.count = count,
		.text = SLICE("sessions 0\nmessages 0\n") };

	fake_reply(f, FRONT_STORE, IPC_stat_reply, &m);
}

bool fake_admin_serve(struct fake *f, enum ipc_type type, const union ipc_any *m)
{
	switch (type) {
	case IPC_auth_peer:
		begin(f,
		    &(struct ipc_auth_admin){ .name = SLICE("root"), .rights = IPC_RIGHT_MASTER });
		break;
	case IPC_dir_ask:
		dir_ask(f, &m->dir_ask);
		break;
	case IPC_secret_set:
		secret_set(f, &m->secret_set);
		break;
	case IPC_secret_new:
		brought = judge(m->secret_new.scheme, m->secret_new.password);
		break;
	case IPC_secret_forget:
		break;
	case IPC_secret_tags:
		secret(f, m->secret_tags.seq, IPC_AUTH_OK);
		break;
	case IPC_secret_check:
		secret(f, m->secret_check.seq,
		    slice_eq(m->secret_check.password, SLICE("gatehouse")) ? IPC_AUTH_OK
									   : IPC_AUTH_BAD);
		break;
	case IPC_sess_list:
		fake_reply(f, FRONT_STORE, IPC_sess_rows,
		    &(struct ipc_sess_rows){ .seq = m->sess_list.seq });
		break;
	case IPC_sess_kick:
		stat_reply(f, m->sess_kick.seq, IPC_ST_NOTFOUND, 0);
		break;
	case IPC_stat_ask:
		stat_reply(f, m->stat_ask.seq, IPC_ST_OK, 0);
		break;
	default:
		return false;
	}
	return true;
}
