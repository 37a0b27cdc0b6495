/* settings - what is set for the server, domains and accounts, rights, and alerts. */
#include "ctl/ctl.h"

/* A scope as people name it, and the commands' name for it. */
static const struct scope {
	const char *word, *noun;
	bool named;
} scopes[] = {
	{ "server", "ServerSettings", false },
	{ "domain-defaults", "DomainDefaults", false },
	{ "account-defaults-all", "ServerAccountDefaults", false },
	{ "domain", "DomainSettings", true },
	{ "account-defaults", "AccountDefaults", true },
	{ "template", "AccountTemplate", true },
	{ "account", "AccountSettings", true },
};

/* The scope of argv[0]; NULL after a message. Its name, if it has one, is argv[1]. */
static const struct scope *scope_of(struct ctl *c, int *ret_used)
{
	const struct scope *s = scopes, *end = scopes + sizeof(scopes) / sizeof(scopes[0]);

	while (s < end && strcmp(s->word, c->argv[0]) != 0)
		s++;
	if (s == end) {
		fprintf(stderr,
		    "gatehousectl: %s: settings are of server, domain-defaults, "
		    "account-defaults-all, "
		    "domain, account-defaults, template or account\n",
		    c->argv[0]);
		return NULL;
	}
	*ret_used = s->named ? 2 : 1;
	if (c->argc >= *ret_used)
		return s;
	fprintf(stderr, "gatehousectl: whose? %s NAME\n", s->word);
	return NULL;
}

static void start(struct buf *b, const char *verb, const char *noun, const char *name)
{
	*b = BUF_INIT(64 << 10);
	buf_printf(b, "%s%s", verb, noun);
	if (name != NULL)
		line_word(b, name);
}

static int show_settings(struct ctl *c, const struct scope *s, const char *name)
{
	struct buf b;
	bool effective = ctl_opt(c, "effective") != NULL;

	if (effective && strcmp(s->word, "domain") == 0)
		start(&b, "Get", "DomainEffectiveSettings", name);
	else if (effective && strcmp(s->word, "account") == 0)
		start(&b, "Get", "AccountEffectiveSettings", name);
	else if (effective)
		return ctl_refuse(c, "what counts is asked for of one domain or one account");
	else
		start(&b, "Get", s->noun, name);
	return ctl_show(c, &b);
}

/* KEY=VALUE; a value that begins as an array, a dictionary or a string is one, any other is a
 * string. */
static bool put_pair(struct buf *b, const char *pair)
{
	const char *eq = strchr(pair, '=');

	if (eq == NULL || eq == pair) {
		fprintf(stderr, "gatehousectl: %s: a setting is KEY=VALUE\n", pair);
		return false;
	}
	data_put_string(b, slice_of(pair, (size_t)(eq - pair)));
	buf_putc(b, '=');
	if (eq[1] != '\0' && strchr("({\"", eq[1]) != NULL)
		buf_puts(b, eq + 1);
	else
		data_put_string(b, slice_str(eq + 1));
	buf_putc(b, ';');
	return true;
}

/* Is one of KEY=VALUE, behind the name, of this key? */
static bool is_given(const struct ctl *c, struct slice key)
{
	for (int i = 1; i < c->argc; i++) {
		struct slice pair = slice_str(c->argv[i]);

		if (slice_ieq(slice_take(&pair, '='), key))
			return true;
	}
	return false;
}

int line_settings(struct ctl *c, struct buf *b, int first)
{
	line_raw(b, "{");
	for (int i = first; i < c->argc; i++) {
		if (put_pair(b, c->argv[i]))
			continue;
		buf_fini(b);
		return CTL_USAGE;
	}
	buf_putc(b, '}');
	return ctl_do(c, b);
}

static int change_settings(struct ctl *c, const struct scope *s, const char *name, int first)
{
	struct buf b;

	if (first >= c->argc)
		return CTL_USAGE;
	start(&b, "Update", s->noun, name);
	return line_settings(c, &b, first);
}

int ctl_settings_show(struct ctl *c)
{
	int used;
	const struct scope *s = scope_of(c, &used);

	if (s == NULL || c->argc > used)
		return CTL_USAGE;
	return show_settings(c, s, s->named ? c->argv[1] : NULL);
}

int ctl_settings_set(struct ctl *c)
{
	int used;
	const struct scope *s = scope_of(c, &used);

	return s != NULL ? change_settings(c, s, s->named ? c->argv[1] : NULL, used) : CTL_USAGE;
}

/* In place of all that is set there, which may be nothing. */
int ctl_settings_replace(struct ctl *c)
{
	int used;
	const struct scope *s = scope_of(c, &used);
	struct buf b;

	if (s == NULL)
		return CTL_USAGE;
	start(&b, "Set", s->noun, s->named ? c->argv[1] : NULL);
	return line_settings(c, &b, used);
}

int ctl_router_settings(struct ctl *c)
{
	struct buf b;

	start(&b, c->argc > 0 ? "Set" : "Get", "RouterSettings", NULL);
	return c->argc > 0 ? line_settings(c, &b, 0) : ctl_show(c, &b);
}

/* What is not named stays: the group is read first, and written with the new values. */
int ctl_group_settings(struct ctl *c)
{
	struct reply r;
	struct buf b;
	int status;

	start(&b, "GetGroup", "", c->argv[0]);
	if (c->argc == 1)
		return ctl_show(c, &b);
	status = ctl_ask(c, &b, &r);
	if (status != CTL_DONE || r.data == NULL)
		return status;
	start(&b, "SetGroup", "", c->argv[0]);
	line_raw(&b, "{");
	for (const struct data *d = r.data->first; d != NULL; d = d->next) {
		if (is_given(c, d->key))
			continue;
		data_put_string(&b, d->key);
		buf_putc(&b, '=');
		data_put(&b, d);
		buf_putc(&b, ';');
	}
	for (int i = 1; i < c->argc; i++) {
		if (put_pair(&b, c->argv[i]))
			continue;
		buf_fini(&b);
		return CTL_USAGE;
	}
	buf_putc(&b, '}');
	return ctl_do(c, &b);
}

int ctl_settings_table(struct ctl *c)
{
	static const struct column columns[] = { { "SETTING", "Setting", false },
		{ "OF", "Level", false }, { "TYPE", "Type", false },
		{ "DEFAULT", "Default", false }, { "CHANGED BY", "Right", false } };
	struct reply r;
	struct buf b;
	int status;

	line_start(&b, "GetSettingsTable");
	status = ctl_ask(c, &b, &r);
	if (status != CTL_DONE || r.data == NULL)
		return status;
	if (c->json)
		print_json(r.data);
	else
		print_table(r.data, columns, sizeof(columns) / sizeof(columns[0]));
	return CTL_DONE;
}

/* "domain settings NAME [KEY=VALUE...]", and the same of an account. */
static int of_one(struct ctl *c, const char *word)
{
	const struct scope *s = scopes;

	while (strcmp(s->word, word) != 0)
		s++;
	return c->argc > 1 ? change_settings(c, s, c->argv[0], 1) : show_settings(c, s, c->argv[0]);
}

int ctl_domain_settings(struct ctl *c)
{
	return of_one(c, "domain");
}

int ctl_account_settings(struct ctl *c)
{
	return of_one(c, "account");
}

int ctl_account_rights(struct ctl *c)
{
	struct buf b;

	if (c->argc == 1) {
		start(&b, "GetAccountRights", "", c->argv[0]);
		return ctl_show(c, &b);
	}
	if (strcmp(c->argv[1], "=") != 0)
		return CTL_USAGE;
	start(&b, "SetAccountRights", "", c->argv[0]);
	line_list(&b, c, 2);
	return ctl_do(c, &b);
}

/* ---- alerts: server, domain NAME or account NAME ---- */

/* Arguments that say whose; 0 after a message. */
static int alert_holder(struct ctl *c, const char **ret_noun, const char **ret_name)
{
	static const char *const words[] = { "server", "domain", "account" };
	static const char *const nouns[] = { "Server", "Domain", "Account" };

	for (int i = 0; i < 3; i++) {
		if (strcmp(c->argv[0], words[i]) != 0)
			continue;
		*ret_noun = nouns[i];
		*ret_name = i > 0 && c->argc > 1 ? c->argv[1] : NULL;
		if (i == 0 || c->argc > 1)
			return i > 0 ? 2 : 1;
	}
	fprintf(stderr, "gatehousectl: alerts are of server, domain NAME or account NAME\n");
	return 0;
}

static void alert_line(
    struct buf *b, const char *verb, const char *noun, const char *plural, const char *name)
{
	*b = BUF_INIT(8 << 10);
	buf_printf(b, "%s%sAlert%s", verb, noun, plural);
	if (name != NULL)
		line_word(b, name);
}

int ctl_alert_list(struct ctl *c)
{
	const char *noun, *name;
	int used = alert_holder(c, &noun, &name);
	bool all = ctl_opt(c, "effective") != NULL;
	struct buf b;

	if (used == 0 || c->argc > used || (all && strcmp(noun, "Account") != 0))
		return CTL_USAGE;
	alert_line(&b, "Get", all ? "AccountEffective" : noun, "s", name);
	return ctl_show(c, &b);
}

static int alert_change(struct ctl *c, const char *verb)
{
	const char *noun, *name;
	int used = alert_holder(c, &noun, &name);
	struct buf b;

	if (used == 0 || c->argc != used + 1)
		return CTL_USAGE;
	alert_line(&b, verb, noun, "", name);
	line_raw(&b, "ALERT");
	line_word(&b, c->argv[used]);
	return ctl_do(c, &b);
}

int ctl_alert_post(struct ctl *c)
{
	return alert_change(c, "Post");
}

int ctl_alert_remove(struct ctl *c)
{
	return alert_change(c, "Remove");
}

/* The texts in place of all. */
int ctl_alert_set(struct ctl *c)
{
	const char *noun, *name;
	int used = alert_holder(c, &noun, &name);
	struct buf b;

	if (used == 0)
		return CTL_USAGE;
	alert_line(&b, "Set", noun, "s", name);
	line_list(&b, c, used);
	return ctl_do(c, &b);
}
