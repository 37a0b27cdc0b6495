/*
 * ctl - gatehousectl's commands: what a person types, and the protocol lines it becomes.
 *
 * Invariant: the table in commands.c is all there is: help, manual page and completions are made
 * from it (doc.c).
 */
#pragma once

#include "common/conf/conf.h"
#include "ctl/client.h"
#include "ctl/print.h"

#include <stdio.h>

enum { CTL_OPTIONS_MAX = 8 };

/* The answers of every command, and of the program. */
enum ctl_status { CTL_DONE, CTL_REFUSED, CTL_USAGE, CTL_UNREACHED };

struct command;

struct ctl {
	const char *socket, *conf;
	bool json, quiet, dry_run;
	const struct command *command;
	struct client client;
	int argc; /* arguments after the command's words, without options */
	char **argv;
	struct {
		const char *name, *value;
	} opt[CTL_OPTIONS_MAX];
	size_t n_opt;
};

enum command_flags {
	CTL_DRY = 1 << 0,     /* knows --dry-run */
	CTL_OFFLINE = 1 << 1, /* connects by itself, if at all */
};

struct command {
	const char *group, *name; /* "account", "create"; name NULL: the group alone */
	int least, most;
	int (*run)(struct ctl *c);
	unsigned flags;
	const char *args;
	const char
	    *options; /* "service=NAME follow": '=' and what stands there, if it takes a value */
	const char *help;  /* one line */
	const char *about; /* for the manual page; may be empty */
};

extern const struct command ctl_commands[];
extern const size_t ctl_command_count;

/* The value of --name, "" for one without a value, NULL when it was not given. */
const char *ctl_opt(const struct ctl *c, const char *name);

/* A line is built from a verb and words, which are quoted as they need. */
void line_start(struct buf *b, const char *verb);
void line_word(struct buf *b, const char *word);
void line_raw(struct buf *b, const char *text);
/* A keyword and its value, which is taken for no keyword itself. */
void line_value(struct buf *b, const char *keyword, const char *value);
/* ( "a", "b" ) of arguments first..argc-1. */
void line_list(struct buf *b, const struct ctl *c, int first);
/* { KEY=VALUE; } of the same, and sends it; CTL_USAGE after a message when they are none. */
int line_settings(struct ctl *c, struct buf *b, int first);

/* Sends the line; what a 501 says goes to stderr, with what to do next. CTL_DONE with the reply, or
 * the status. */
int ctl_ask(struct ctl *c, struct buf *line, struct reply *ret);
/* The same for a change: says nothing when it is done, but for --json. */
int ctl_do(struct ctl *c, struct buf *line);
/* The same for a question: prints the data, as JSON when asked for. */
int ctl_show(struct ctl *c, struct buf *line);
/* What --json prints of a change. */
void ctl_say_done(const struct ctl *c);
/* A refusal in words of ours: to stderr, and as JSON. Returns CTL_REFUSED. */
int ctl_refuse(const struct ctl *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A whole file or standard input ("-"); NULL after a message. The caller frees. */
uint8_t *read_input(const char *path, size_t *ret_n);
/* The configuration into `conf`, which the caller has begun. False after a message. */
bool read_conf(const struct ctl *c, struct conf *conf);
/* One line of standard input, hidden when it is typed. False after a message. The caller wipes and
 * frees *ret_p. */
bool read_password(struct slice *ret, uint8_t **ret_p);

/* Becomes a program of the suite, with the common options: its exit statuses are ours. */
int ctl_become(
    struct ctl *c, const char *program, const char *verb, const char *const *words, int n);
/* restore.c: what of a backup is asked for by options, into a running server. */
int ctl_restore_part(struct ctl *c);

/* ---- doc.c ---- */
void doc_help(FILE *f);
void doc_command(FILE *f, const struct command *k);
void doc_man(void);
void doc_words(void);
/* The commands of a group, when the word names one. */
void doc_unknown(const char *group);

/* ---- grammar.c ---- */
/* A command of the protocol and the words that say it, for each that people may need. */
struct said {
	const char *verb, *words;
};

extern const struct said ctl_said[];
extern const size_t ctl_said_count;

/* ---- commands, by file ---- */
#define CTL(fn) int fn(struct ctl *c)
CTL(ctl_domain_list);
CTL(ctl_domain_create);
CTL(ctl_domain_delete);
CTL(ctl_domain_aliases);
CTL(ctl_domain_addresses);
CTL(ctl_domain_rename);
CTL(ctl_domain_suspend);
CTL(ctl_domain_resume);
CTL(ctl_domain_info);
CTL(ctl_domain_settings);
CTL(ctl_domain_location);
CTL(ctl_domain_stat);
CTL(ctl_domain_objects);
CTL(ctl_domain_administered);
CTL(ctl_group_list);
CTL(ctl_group_create);
CTL(ctl_group_show);
CTL(ctl_group_members);
CTL(ctl_group_rename);
CTL(ctl_group_delete);
CTL(ctl_forwarder_list);
CTL(ctl_forwarder_create);
CTL(ctl_forwarder_show);
CTL(ctl_forwarder_find);
CTL(ctl_forwarder_rename);
CTL(ctl_forwarder_delete);
CTL(ctl_list_list);
CTL(ctl_list_create);
CTL(ctl_list_show);
CTL(ctl_list_rename);
CTL(ctl_list_delete);
CTL(ctl_settings_show);
CTL(ctl_settings_set);
CTL(ctl_settings_table);
CTL(ctl_alert_list);
CTL(ctl_alert_post);
CTL(ctl_alert_remove);
CTL(ctl_dump);
CTL(ctl_apply);
CTL(ctl_account_rename);
CTL(ctl_account_settings);
CTL(ctl_account_rights);
CTL(ctl_account_list);
CTL(ctl_account_create);
CTL(ctl_account_delete);
CTL(ctl_account_info);
CTL(ctl_account_quota);
CTL(ctl_account_suspend);
CTL(ctl_account_resume);
CTL(ctl_account_import);
CTL(ctl_account_location);
CTL(ctl_account_type);
CTL(ctl_account_identity);
CTL(ctl_alias_list);
CTL(ctl_alias_set);
CTL(ctl_alias_mailboxes);
CTL(ctl_password_set);
CTL(ctl_password_check);
CTL(ctl_password_tags);
CTL(ctl_password_remove);
CTL(ctl_session_list);
CTL(ctl_session_find);
CTL(ctl_session_kick);
CTL(ctl_stat);
CTL(ctl_figure_set);
CTL(ctl_figure_reset);
CTL(ctl_store_export);
CTL(ctl_store_import);
CTL(ctl_undelete_list);
CTL(ctl_undelete_restore);
CTL(ctl_undelete_purge);
CTL(ctl_undelete_hold);
CTL(ctl_route_test);
CTL(ctl_route_login);
CTL(ctl_router_show);
CTL(ctl_router_set);
CTL(ctl_log);
CTL(ctl_log_write);
CTL(ctl_check);
CTL(ctl_cli);
CTL(ctl_domain_main);
CTL(ctl_account_setting);
CTL(ctl_account_stat);
CTL(ctl_group_settings);
CTL(ctl_settings_replace);
CTL(ctl_alert_set);
CTL(ctl_prefs_show);
CTL(ctl_prefs_set);
CTL(ctl_prefs_replace);
CTL(ctl_session_show);
CTL(ctl_route_show);
CTL(ctl_router_settings);
CTL(ctl_blacklist);
CTL(ctl_figure_show);
CTL(ctl_figure_next);
CTL(ctl_version);
CTL(ctl_grammar);
CTL(ctl_store_backup);
CTL(ctl_store_restore);
CTL(ctl_store_verify);
CTL(ctl_store_stat);
CTL(ctl_store_rebuild);
CTL(ctl_store_salvage);
CTL(ctl_store_compact);
CTL(ctl_store_scrub);
/* `store stat` of a server that runs */
CTL(upkeep_stat);
