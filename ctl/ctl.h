/*
 * ctl - gatehousectl's commands: what a person types, and the protocol line it becomes.
 */
#pragma once

#include "ctl/client.h"
#include "ctl/print.h"

struct ctl {
	const char *socket;
	bool json, quiet;
	struct client client;
	int argc; /* arguments after the command's words */
	char **argv;
};

struct command {
	const char *group, *name; /* "account", "create"; name NULL: the group alone */
	int least, most;
	int (*run)(struct ctl *c);
	const char *args, *help;
};

extern const struct command ctl_commands[];
extern const size_t ctl_command_count;

/* A line is built from a verb and words, which are quoted as they need. */
void line_start(struct buf *b, const char *verb);
void line_word(struct buf *b, const char *word);
void line_raw(struct buf *b, const char *text);
/* ( "a", "b" ) of arguments first..argc-1. */
void line_list(struct buf *b, const struct ctl *c, int first);

/* Sends the line; what a 501 says goes to stderr. 0 with the reply, or the exit status. */
int ctl_ask(struct ctl *c, struct buf *line, struct reply *ret);
/* The same for a change: says nothing when it is done. */
int ctl_do(struct ctl *c, struct buf *line);
/* The same for a question: prints the data, as JSON when asked for. */
int ctl_show(struct ctl *c, struct buf *line);
int ctl_show_table(struct ctl *c, struct buf *line, const struct column *columns, size_t n);

#define CTL(fn) int fn(struct ctl *c)
CTL(ctl_domain_list);
CTL(ctl_domain_create);
CTL(ctl_domain_delete);
CTL(ctl_domain_aliases);
CTL(ctl_domain_addresses);
CTL(ctl_account_list);
CTL(ctl_account_create);
CTL(ctl_account_delete);
CTL(ctl_account_info);
CTL(ctl_account_quota);
CTL(ctl_account_suspend);
CTL(ctl_account_resume);
CTL(ctl_account_import);
CTL(ctl_alias_list);
CTL(ctl_alias_set);
CTL(ctl_password_set);
CTL(ctl_password_check);
CTL(ctl_session_list);
CTL(ctl_session_kick);
CTL(ctl_stat);
CTL(ctl_route_test);
CTL(ctl_route_login);
CTL(ctl_router_show);
CTL(ctl_router_set);
CTL(ctl_cli);
