/* prefs - preferences of an account, and what a domain has for all its accounts. */
#include "ctl/ctl.h"

/* account NAME or domain NAME; false after a message. */
static bool start(struct ctl *c, struct buf *b, const char *verb)
{
	bool account = strcmp(c->argv[0], "account") == 0;

	if (!account && strcmp(c->argv[0], "domain") != 0) {
		fprintf(stderr, "gatehousectl: preferences are of account NAME or domain NAME\n");
		return false;
	}
	*b = BUF_INIT(64 << 10);
	buf_printf(b, "%s%s", verb, account ? "AccountPrefs" : "AccountDefaultPrefs");
	line_word(b, c->argv[1]);
	return true;
}

int ctl_prefs_show(struct ctl *c)
{
	struct buf b;

	if (ctl_opt(c, "effective") == NULL)
		return start(c, &b, "Get") ? ctl_show(c, &b) : CTL_USAGE;
	if (strcmp(c->argv[0], "account") != 0)
		return ctl_refuse(c, "what counts is asked for of one account");
	line_start(&b, "GetAccountEffectivePrefs");
	line_word(&b, c->argv[1]);
	return ctl_show(c, &b);
}

int ctl_prefs_set(struct ctl *c)
{
	struct buf b;

	return start(c, &b, "Update") ? line_settings(c, &b, 2) : CTL_USAGE;
}

int ctl_prefs_replace(struct ctl *c)
{
	struct buf b;

	return start(c, &b, "Set") ? line_settings(c, &b, 2) : CTL_USAGE;
}
