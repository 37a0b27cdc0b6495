/* password - passwords of accounts: their own, and the tagged ones that programs log in with. */
#include "ctl/ctl.h"

#include "common/base/secret.h"

#include <stdlib.h>

/* Behind the password of SetAccountPassword. */
static void put_how(struct ctl *c, struct buf *b)
{
	const char *tag = ctl_opt(c, "tag");

	if (c->argc > 1)
		line_value(b, "METHOD", c->argv[1]);
	if (tag != NULL)
		line_value(b, "TAG", tag);
	if (ctl_opt(c, "check") != NULL)
		line_raw(b, "CHECK");
	if (ctl_opt(c, "all") != NULL)
		line_raw(b, "ALL");
}

static int with_password(struct ctl *c, const char *verb, bool sets)
{
	struct slice password;
	struct buf b;
	uint8_t *p;
	int r;

	if (!read_password(&password, &p))
		return CTL_REFUSED;
	line_start(&b, verb);
	line_word(&b, c->argv[0]);
	line_raw(&b, "PASSWORD ");
	data_put_quoted(&b, password);
	if (sets)
		put_how(c, &b);
	r = ctl_do(c, &b);
	secret_wipe(p, password.n);
	free(p);
	return r;
}

int ctl_password_set(struct ctl *c)
{
	if (c->argc > 1 && ctl_opt(c, "tag") != NULL)
		return ctl_refuse(c, "a tagged password is stored as password_hash says");
	if (ctl_opt(c, "all") != NULL && ctl_opt(c, "tag") != NULL)
		return ctl_refuse(c, "--all takes tagged passwords away, and --tag sets one");
	return with_password(c, "SetAccountPassword", true);
}

int ctl_password_check(struct ctl *c)
{
	return with_password(c, "VerifyAccountPassword", false);
}

int ctl_password_tags(struct ctl *c)
{
	struct buf b;

	line_start(&b, "ListAccountPasswords");
	line_word(&b, c->argv[0]);
	return ctl_show(c, &b);
}

int ctl_password_remove(struct ctl *c)
{
	struct buf b;

	line_start(&b, "SetAccountPassword");
	line_word(&b, c->argv[0]);
	line_raw(&b, "PASSWORD \"\" TAG");
	line_word(&b, c->argv[1]);
	return ctl_do(c, &b);
}
