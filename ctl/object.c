/* object - domains, groups, forwarders and mailing lists: what one line of the protocol does. */
#include "ctl/ctl.h"

static void start(struct buf *b, const char *verb, const char *name)
{
	line_start(b, verb);
	if (name != NULL)
		line_word(b, name);
}

static int show(struct ctl *c, const char *verb)
{
	struct buf b;

	start(&b, verb, c->argc > 0 ? c->argv[0] : NULL);
	return ctl_show(c, &b);
}

static int change(struct ctl *c, const char *verb)
{
	struct buf b;

	start(&b, verb, c->argv[0]);
	return ctl_do(c, &b);
}

/* NAME keyword OTHER */
static int change_to(struct ctl *c, const char *verb, const char *keyword)
{
	struct buf b;

	start(&b, verb, c->argv[0]);
	line_raw(&b, keyword);
	line_word(&b, c->argv[1]);
	return ctl_do(c, &b);
}

int ctl_domain_rename(struct ctl *c)
{
	return change_to(c, "RenameDomain", "INTO");
}

int ctl_domain_suspend(struct ctl *c)
{
	return change(c, "SuspendDomain");
}

int ctl_domain_resume(struct ctl *c)
{
	return change(c, "ResumeDomain");
}

int ctl_domain_info(struct ctl *c)
{
	return show(c, "GetDomainInfo");
}

int ctl_account_rename(struct ctl *c)
{
	return change_to(c, "RenameAccount", "INTO");
}

/* ---- groups ---- */

int ctl_group_list(struct ctl *c)
{
	return show(c, "ListGroups");
}

static int with_members(struct ctl *c, const char *verb, int first)
{
	struct buf b;

	start(&b, verb, c->argv[0]);
	line_raw(&b, "{Members=");
	line_list(&b, c, first);
	buf_puts(&b, ";}");
	return ctl_do(c, &b);
}

int ctl_group_create(struct ctl *c)
{
	return with_members(c, "CreateGroup", 1);
}

int ctl_group_show(struct ctl *c)
{
	return show(c, "GetGroup");
}

/* What else is set of the group stays: it is read first and written with the new members. */
int ctl_group_members(struct ctl *c)
{
	struct reply r;
	struct buf b;
	int status;

	start(&b, "GetGroup", c->argv[0]);
	status = ctl_ask(c, &b, &r);
	if (status != CTL_DONE || r.data == NULL)
		return status;
	start(&b, "SetGroup", c->argv[0]);
	line_raw(&b, "{");
	for (const struct data *d = r.data->first; d != NULL; d = d->next) {
		if (slice_ieq(d->key, SLICE("Members")))
			continue;
		data_put_string(&b, d->key);
		buf_putc(&b, '=');
		data_put(&b, d);
		buf_putc(&b, ';');
	}
	buf_puts(&b, "Members=");
	line_list(&b, c, 1);
	buf_puts(&b, ";}");
	return ctl_do(c, &b);
}

int ctl_group_rename(struct ctl *c)
{
	return change_to(c, "RenameGroup", "INTO");
}

int ctl_group_delete(struct ctl *c)
{
	return change(c, "DeleteGroup");
}

/* ---- forwarders ---- */

int ctl_forwarder_list(struct ctl *c)
{
	return show(c, "ListForwarders");
}

int ctl_forwarder_create(struct ctl *c)
{
	return change_to(c, "CreateForwarder", "TO");
}

int ctl_forwarder_show(struct ctl *c)
{
	return show(c, "GetForwarder");
}

int ctl_forwarder_find(struct ctl *c)
{
	struct buf b;

	start(&b, "FindForwarders", c->argv[0]);
	line_raw(&b, "TO");
	line_word(&b, c->argv[1]);
	return ctl_show(c, &b);
}

int ctl_forwarder_rename(struct ctl *c)
{
	return change_to(c, "RenameForwarder", "INTO");
}

int ctl_forwarder_delete(struct ctl *c)
{
	return change(c, "DeleteForwarder");
}

/* ---- names of mailing lists ---- */

/* Names; with --subscribers how many each has; --owner: those of an account. */
int ctl_list_list(struct ctl *c)
{
	const char *owner = ctl_opt(c, "owner");
	struct buf b;

	if (owner == NULL)
		return show(c, ctl_opt(c, "subscribers") != NULL ? "GetDomainLists" : "ListLists");
	if (c->argc > 0)
		return CTL_USAGE;
	start(&b, "GetAccountLists", owner);
	return ctl_show(c, &b);
}

int ctl_list_create(struct ctl *c)
{
	return change_to(c, "CreateList", "FOR");
}

int ctl_list_show(struct ctl *c)
{
	return show(c, "GetList");
}

int ctl_list_rename(struct ctl *c)
{
	return change_to(c, "RenameList", "INTO");
}

int ctl_list_delete(struct ctl *c)
{
	return change(c, "DeleteList");
}
