/*
 * admin-private - what the core and its commands share.
 */
#pragma once

#include "common/base/secret.h"
#include "common/data/data.h"
#include "protocols/admin/admin.h"
#include "protocols/admin/limits.h"

struct cmd;

enum {
#define VERB(name, ...) VERB_##name,
#include "common/ipc/verbs.def"
};

enum admin_state {
	ADMIN_ASKING, /* authd is asked who this is */
	ADMIN_LOGIN,  /* nobody has logged in yet */
	ADMIN_OPEN,
	ADMIN_CLOSING,
};

/* What a login on the PWD port waits for. */
enum login_job {
	LOGIN_NO_JOB,
	LOGIN_SERVER, /* authd's answer */
	LOGIN_CLIENT, /* the next line is a response, not a command */
	LOGIN_LAST,   /* granted; the client acknowledges the mechanism's last words */
	LOGIN_DELAY,  /* a failed login is answered later */
};

struct login {
	enum login_job job;
	struct secret name;
	struct buf stamp;   /* empty after STLS: the greeting held it */
	struct buf refused; /* the reply that a failed login gets after its delay */
	unsigned failures, errors;
	bool failed; /* the last try was a guess: it gets a code of its own */
	int64_t began_s;
};

struct admin {
	struct front_port *port;
	const struct admin_conf *conf;
	enum admin_state state;
	struct cmd *head, **tail;
	size_t under_way;
	uint32_t seq;
	size_t scanned;   /* bytes of the waiting line that hold no LF */
	struct buf start; /* of a long line */
	bool inline_data;
	bool stopping;
	bool waiting; /* the last command waits for those before it */
	struct login login;
	uint64_t account; /* who logged in by the PWD port */
};

/* A message that answers this command. `type` and `m` as in front_core.on_msg. */
typedef void cmd_reply_fn(struct cmd *c, enum ipc_type type, const union ipc_any *m);

enum { FORM_VALUES_MAX = 8 };

/* One command under way, from its line to its reply. */
struct cmd {
	struct admin *a;
	const struct verb *verb;
	struct cmd *next;
	struct arena mem;   /* of the line and its words; until the reply */
	struct data **word; /* after the verb */
	size_t words;
	const struct data
	    *arg[FORM_VALUES_MAX]; /* the values of the verb's form; NULL: not there */
	uint32_t seq;              /* of the question under way */
	cmd_reply_fn *on_reply;
	struct buf ask;       /* arguments of the next question to routerd */
	struct buf data;      /* the reply's data, when it has any */
	const char *status;   /* NULL: not done yet; else "200 ..." text of the reply line */
	struct buf text;      /* text made for this reply, where status points */
	bool first, has_data; /* writing lists; the reply carries data */
	bool passes;          /* and a descriptor */
	bool beside, waits;   /* begun when others were under way; begins after them */
	bool again;           /* it failed, and by what is under way: as verb.again */
	uint64_t account, sid;
	size_t items;                /* of an answer that comes in parts */
	unsigned step;               /* of a command of many */
	void (*then)(struct cmd *c); /* the next step */
	struct slice kept;           /* what a later step needs, in mem */
};

/*
 * A row of the grammar. `form` is what stands behind the name, as form.c matches it and as people
 * are told. A command that is one question to routerd is run_dir: `before` (words that come first),
 * then the values of the form are the arguments, and `reply` makes the answer of the items.
 */
struct verb {
	const char *name, *form;
	void (*run)(struct cmd *c);
	uint32_t dir;
	cmd_reply_fn *reply;
	const char *before;
	const char *later; /* it is not here yet: what it comes with */
	unsigned overlaps; /* so many of the same verb together; 0: each alone */
	bool again;        /* what fails beside others is tried again; by overlap.c, which see */
	bool raw;          /* the rest of the line is one word as it stands, a password for one */
};

extern const struct verb admin_verbs[];
extern const size_t admin_verb_count;

/* ---- replies: each ends the command ---- */
void cmd_ok(struct cmd *c);
void cmd_error(struct cmd *c, const char *text);       /* 501; text lives for ever */
void cmd_error_made(struct cmd *c, struct slice text); /* 501; copied, made one line */
void cmd_usage(struct cmd *c);
void cmd_data(struct cmd *c); /* 200 and c->data */

/* ---- questions; the answer comes to `then` ---- */
void cmd_ask_dir(
    struct cmd *c, uint32_t verb, const struct slice *args, size_t n, cmd_reply_fn *then);
void cmd_ask(
    struct cmd *c, enum front_peer peer, enum ipc_type type, const void *msg, cmd_reply_fn *then);
uint32_t cmd_next_seq(struct cmd *c);

/* An error reply of routerd, as 501; false when it was no error. */
bool cmd_dir_failed(struct cmd *c, const union ipc_any *m);
/* The usual last step of a change: 200 or routerd's error. */
void cmd_dir_done(struct cmd *c, enum ipc_type type, const union ipc_any *m);
/* Items of a dir_reply as an array (name) or a dictionary of name -> fixed text. */
void cmd_dir_array(struct cmd *c, enum ipc_type type, const union ipc_any *m);
/* The only item, as a string. */
void cmd_dir_text(struct cmd *c, enum ipc_type type, const union ipc_any *m);

/*
 * A question in pieces: arguments one by one, then the verb. A value's argument is a string's text,
 * each element of an array, each key of a dictionary with its value as text; NULL is an empty
 * argument.
 */
void cmd_put_arg(struct cmd *c, struct slice s);
/* An array holds names, or addresses without a port: something else would be taken for a name. */
bool cmd_list_right(struct cmd *c, const struct data *list);
void cmd_put_value(struct cmd *c, const struct data *d);
void cmd_send(struct cmd *c, uint32_t verb, cmd_reply_fn *then);
/* By a number from cmd_next_seq() that another server knows already. */
void cmd_send_as(struct cmd *c, uint32_t seq, uint32_t verb, cmd_reply_fn *then);

/* Asks routerd for the account's id, then calls `then`, which finds it in c->account. */
void cmd_find_account(struct cmd *c, struct slice name, void (*then)(struct cmd *c));

/* Settings as arguments, name and value as text; but for the keys in `but`, which ends with NULL.
 */
void cmd_put_settings(struct cmd *c, const struct data *dict, const char *const *but);

/* A number as another server writes it. */
void put_digits(struct buf *b, struct slice digits);
/* The text of a string among the form's values, empty when it is missing. */
struct slice cmd_text(const struct cmd *c, size_t value);

/* ---- form.c ---- */
/* The words are of the verb's form: c->arg is set. */
bool form_match(struct cmd *c);

struct front_port *cmd_port(const struct cmd *c);
void admin_set_inline(struct cmd *c);
void admin_quit(struct cmd *c);

/* ---- login.c: the PWD port before the login ---- */
void login_start(struct admin *a);
void login_fini(struct admin *a);
/* Works on lines while nobody has logged in; how many bytes are used. */
size_t login_feed(struct admin *a, struct slice in);
void login_on_msg(struct admin *a, enum ipc_type type, const union ipc_any *m);
void login_on_gone(struct admin *a);
void login_on_event(struct admin *a, enum front_event event);

/* ---- line.c ---- */
/* The line at the start of `in` without its end, LF or CR LF; *ret_used with it. False: there is no
 * end yet. */
bool line_take_any(struct admin *a, struct slice in, struct slice *ret_line, size_t *ret_used);
/* By its name in any case, or NULL. */
const struct verb *verb_find(struct slice name);
/* The first word of a line. */
struct slice line_verb(struct slice line);
/* A command of nobody's at the end of the list, with a verb that is in no table; NULL: the end. */
struct cmd *line_own(struct admin *a, const struct verb *verb);
/* A new command at the end of the list; it runs, or is answered at once. */
void line_run(struct admin *a, struct slice line);

/* ---- overlap.c ---- */
/* May a command of this verb begin beside those under way, of which there are some? */
bool overlap_may(const struct admin *a, const struct verb *v);
/* Begins the last command, or leaves it to wait. */
void overlap_run(struct cmd *c);
/* The first command, which there are none before: begins it if it waited or is to be tried again.
 */
void overlap_first(struct cmd *c);

/* ---- alert.c ---- */
/* The answer to a login on the PWD port, with how many alerts there are for who came. */
void alerts_greet(struct admin *a);

/* ---- verbs, by file ---- */
#define ADMIN_VERB(fn) void fn(struct cmd *c)
ADMIN_VERB(run_dir);
/* The same with one name, which may be missing. */
ADMIN_VERB(run_dir_name);
ADMIN_VERB(run_create_domain);
ADMIN_VERB(run_delete_domain);
ADMIN_VERB(run_rename);
ADMIN_VERB(run_group);
ADMIN_VERB(run_objects);
ADMIN_VERB(run_get_settings);
ADMIN_VERB(run_one_setting);
ADMIN_VERB(run_put_settings);
ADMIN_VERB(run_alerts);
ADMIN_VERB(run_alert);
ADMIN_VERB(run_set_alerts);
ADMIN_VERB(run_find_session);
ADMIN_VERB(run_get_session);
ADMIN_VERB(run_stat_element);
ADMIN_VERB(run_next_stat);
ADMIN_VERB(run_account_stat);
ADMIN_VERB(run_domain_stat);
ADMIN_VERB(run_set_router_table);
ADMIN_VERB(run_route);
ADMIN_VERB(run_route_login);
ADMIN_VERB(run_create_account);
ADMIN_VERB(run_set_password);
ADMIN_VERB(run_newpass);
ADMIN_VERB(run_verify_password);
ADMIN_VERB(run_list_passwords);
ADMIN_VERB(run_verify_identity);
ADMIN_VERB(run_account_location);
ADMIN_VERB(run_get_mailbox_aliases);
ADMIN_VERB(run_set_mailbox_aliases);
ADMIN_VERB(run_router_settings);
ADMIN_VERB(run_get_account_info);
ADMIN_VERB(run_list_sessions);
ADMIN_VERB(run_kill_session);
ADMIN_VERB(run_kill_account_sessions);
ADMIN_VERB(run_list_stat);
ADMIN_VERB(run_open_session);
ADMIN_VERB(run_list_recoverable);
ADMIN_VERB(run_count_recoverable);
ADMIN_VERB(run_restore_messages);
ADMIN_VERB(run_purge_messages);
ADMIN_VERB(run_set_hold);
ADMIN_VERB(run_store_state);
ADMIN_VERB(run_compact_store);
ADMIN_VERB(run_scrub_store);
ADMIN_VERB(run_list_damaged);
ADMIN_VERB(run_blacklisted);
ADMIN_VERB(run_get_prefs);
ADMIN_VERB(run_put_prefs);
ADMIN_VERB(run_set_blacklisted);
ADMIN_VERB(run_later);
ADMIN_VERB(run_later_rule);
ADMIN_VERB(run_help);

/* ---- answers of routerd that have a form of their own, by file ---- */
#define ADMIN_REPLY(fn) void fn(struct cmd *c, enum ipc_type type, const union ipc_any *m)
/* Items are key, value, again and again; a key waits for its value: false. */
bool cmd_pair(struct cmd *c, struct slice item, struct slice *ret_key);
ADMIN_REPLY(cmd_dir_pairs);
/* The same, with values as routerd wrote them. */
ADMIN_REPLY(cmd_settings);
ADMIN_REPLY(cmd_domain_info);
ADMIN_REPLY(cmd_domain_location);
ADMIN_REPLY(cmd_group);
ADMIN_REPLY(cmd_lists);
ADMIN_REPLY(cmd_objects);
ADMIN_REPLY(cmd_settings_table);
ADMIN_REPLY(cmd_alerts);
ADMIN_REPLY(cmd_account_list);
ADMIN_REPLY(cmd_router_table);
