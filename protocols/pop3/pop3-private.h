/*
 * pop3-private - the state of one session, shared by the files of the core.
 *
 * One state enum says which commands are legal; a `job` is work that outlives a command (a listing,
 * a body, a wait for stored) and must end before the next command is read.
 */
#pragma once

#include "common/base/secret.h"
#include "common/front/limits.h"
#include "common/front/line.h"
#include "common/front/text.h"
#include "protocols/pop3/limits.h"
#include "protocols/pop3/pop3.h"
#include "protocols/pop3/stuff.h"

enum pop3_state {
	POP3_AUTHORIZATION = 1 << 0,
	POP3_TRANSACTION = 1 << 1,
	POP3_UPDATE = 1 << 2, /* QUIT was received */
	POP3_ENDED = 1 << 3,
};

enum pop3_job {
	POP3_NO_JOB,
	POP3_SASL_SERVER, /* waits for authd */
	POP3_SASL_CLIENT, /* the next line is a response, not a command */
	POP3_SASL_LAST,   /* granted; the client acknowledges the mechanism's last words */
	POP3_DELAY,       /* a failed login is answered later */
	POP3_OPENING,     /* waits for the mailbox and its list */
	POP3_LISTING,     /* LIST or UIDL without number */
	POP3_RETR,
	POP3_TOP,
	POP3_EXPUNGING,
};

struct pop3_msg {
	uint64_t size;
	uint32_t uid;
	bool deleted;
};

/* A body that was asked for; answers come in the order of asking. */
struct pop3_fetch {
	uint32_t seq;
	uint32_t index; /* in msgs */
	bool live;      /* goes to the client; else it is held */
	bool dropped;   /* not wanted any more */
	bool started, done;
	uint32_t status;
	uint32_t owed; /* bytes of the window that it holds */
	struct stuff stuff;
	struct buf held; /* the reply as it will be sent */
};

struct pop3 {
	struct front_port *port;
	struct pop3_conf conf;
	enum pop3_state state;
	enum pop3_job job;
	struct line_reader lines;
	unsigned errors, failures;
	bool stopping, lost; /* lost: stored is gone */
	uint32_t seq;
	uint64_t timer_written; /* port->written when the deadline was set */
	bool touched;           /* something happened that starts the idle time anew */

	/* authorization */
	struct buf stamp_buf;
	struct slice stamp; /* empty after STARTTLS: the greeting held it */
	struct secret name;
	struct buf refused; /* the reply that a failed login gets after its delay */
	int64_t began_s;

	/* transaction: the mailbox as it was at login */
	uint32_t mbox, uidvalidity, uidnext;
	struct pop3_msg *msgs;
	uint32_t n_msgs, cap_msgs, n_deleted;
	uint64_t bytes, deleted_bytes;

	/* listing */
	bool listing_uidl;
	uint32_t listing_at;

	/* bodies: a ring */
	struct pop3_fetch ring[POP3_AHEAD_MAX + 2];
	unsigned ring_head, ring_n;
	uint32_t next_index; /* the message that a client in order would take next */
	unsigned ahead_depth;
	uint32_t credit_owed;

	/* TOP */
	struct top_cut top;
	struct stuff top_stuff;
	uint32_t top_index;
	uint64_t top_at;

	/* update */
	uint32_t expunge_from;
	unsigned expunge_waiting;
	bool expunge_failed;
};

/* pop3.c */
void pop3_ok(struct pop3 *s, const char *text);
void pop3_err(struct pop3 *s, const char *text);
void pop3_enter(struct pop3 *s, enum pop3_state state);
void pop3_job(struct pop3 *s, enum pop3_job job);
void pop3_close(struct pop3 *s);

/* auth.c */
void pop3_cmd_user(struct pop3 *s, struct slice arg);
void pop3_cmd_pass(struct pop3 *s, struct slice arg);
void pop3_cmd_apop(struct pop3 *s, struct slice arg);
void pop3_cmd_auth(struct pop3 *s, struct slice arg);
void pop3_cmd_stls(struct pop3 *s, struct slice arg);
void pop3_cmd_capa(struct pop3 *s, struct slice arg);
bool pop3_apop_offered(const struct pop3 *s);
void pop3_sasl_line(struct pop3 *s, struct slice line);
void pop3_auth_msg(struct pop3 *s, enum ipc_type type, const union ipc_any *m);
void pop3_auth_gone(struct pop3 *s);
void pop3_auth_delayed(struct pop3 *s);

/* drop.c: the maildrop */
void pop3_open(struct pop3 *s);
void pop3_cmd_stat(struct pop3 *s, struct slice arg);
void pop3_cmd_list(struct pop3 *s, struct slice arg);
void pop3_cmd_uidl(struct pop3 *s, struct slice arg);
void pop3_cmd_dele(struct pop3 *s, struct slice arg);
void pop3_cmd_rset(struct pop3 *s, struct slice arg);
void pop3_list_go(struct pop3 *s);
void pop3_update(struct pop3 *s);
void pop3_drop_msg(struct pop3 *s, enum ipc_type type, const union ipc_any *m);
/* The message that `arg` numbers, not deleted; else NULL, and the error was answered. */
struct pop3_msg *pop3_msg_arg(struct pop3 *s, struct slice arg);

/* retr.c */
void pop3_cmd_retr(struct pop3 *s, struct slice arg);
void pop3_cmd_top(struct pop3 *s, struct slice arg);
void pop3_body_msg(struct pop3 *s, const struct ipc_body_data *m);
void pop3_credit(struct pop3 *s);
void pop3_retr_fini(struct pop3 *s);
