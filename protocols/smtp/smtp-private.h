/*
 * smtp-private - the state of one connection, shared by the files of the core.
 *
 * Everything of one message is in struct smtp_txn and ends in smtp_txn_end(), whatever the way.
 * Replies keep the order of the commands: those behind a recipient that routerd has not answered
 * wait in `pending`.
 */
#pragma once

#include "common/front/limits.h"
#include "common/front/line.h"
#include "common/front/text.h"
#include "common/mail/facts.h"
#include "common/mail/smtp_path.h"
#include "protocols/smtp/dot.h"
#include "protocols/smtp/fixup.h"
#include "protocols/smtp/limits.h"
#include "protocols/smtp/smtp.h"

/* What the listener is for; bits, for the table of commands. */
enum smtp_mode {
	SMTP_LMTP = 1 << 0,
	SMTP_MX = 1 << 1, /* from anybody, for accounts of ours */
	SMTP_SUBMISSION = 1 << 2,
};

enum smtp_state {
	SMTP_START = 1 << 0, /* before LHLO, EHLO, HELO */
	SMTP_READY = 1 << 1,
	SMTP_MAIL = 1 << 2,     /* sender known, recipients come */
	SMTP_DATA = 1 << 3,     /* text with dots */
	SMTP_CHUNK = 1 << 4,    /* the octets of a BDAT */
	SMTP_CHUNKS = 1 << 5,   /* between two BDATs of a message */
	SMTP_RESULTS = 1 << 6,  /* waits for stored */
	SMTP_SENDER = 1 << 7,   /* waits for routerd's word on the sender */
	SMTP_AUTH = 1 << 8,     /* waits for authd, or lets a failed login wait */
	SMTP_RESPONSE = 1 << 9, /* the next line is a response, not a command */
	SMTP_ENDED = 1 << 10,
	SMTP_REPORT = 1 << 11, /* a report is on its way, then the answer */

	SMTP_IDLE = SMTP_READY | SMTP_MAIL | SMTP_CHUNKS,
	SMTP_BETWEEN = SMTP_START | SMTP_IDLE, /* the next line is a command */
	SMTP_WAITS = SMTP_RESULTS | SMTP_SENDER | SMTP_AUTH | SMTP_REPORT,
};

/* Why a body is not kept, though it is read to its end. */
enum smtp_body_fault {
	SMTP_BODY_GOOD,
	SMTP_BODY_BARE,  /* a CR or LF of its own */
	SMTP_BODY_LARGE, /* over the limit */
	SMTP_BODY_LOOP,  /* too many Received fields */
	SMTP_BODY_LOST,  /* stored is gone, or no memory */
};

/* NOTIFY of a RCPT; 0: nothing was said, which means a report of failure (RFC 3461 4.1). */
enum smtp_notify {
	SMTP_NOTIFY_SUCCESS = 1 << 0,
	SMTP_NOTIFY_NO_FAILURE = 1 << 1,
};

/* What a report says of a recipient. */
enum smtp_action { SMTP_ACTION_DELIVERED, SMTP_ACTION_EXPANDED, SMTP_ACTION_FAILED };

/* Where mail to the sender of this message leads. */
enum smtp_bounce_sender {
	BOUNCE_UNKNOWN,
	BOUNCE_ASKED,
	BOUNCE_HERE, /* to one account of ours: `handle` */
	BOUNCE_ELSEWHERE,
	BOUNCE_LATER,
};

/* Recipients whom nobody is, to be reported (bounce.c). */
struct smtp_bounce {
	unsigned n;
	enum smtp_bounce_sender sender;
	uint32_t seq, handle;
	bool full, cut;      /* RET=FULL; but there is more than we keep */
	struct buf names;    /* of the recipients, for people */
	struct buf returned; /* of the message, from its first byte */
};

struct smtp_rcpt {
	uint32_t handle; /* 0: discarded, or bounced */
	uint32_t index;  /* of the target in post_begin that it shares the fate of */
	uint32_t status; /* enum ipc_store_status */
	bool answered;
	bool joined; /* of the same RCPT as the one before it, which was for a group */
	bool bounced;
};

struct smtp_txn {
	struct smtp_path sender;
	bool utf8;
	uint64_t declared;
	struct smtp_rcpt *rcpts;
	size_t n_rcpts, cap_rcpts; /* with every member of a group */
	struct buf only_rcpt;      /* <address> of the first one */
	struct buf same_rcpts;     /* a field for each, while all lead to the same account */
	unsigned n_names;          /* of them, each once */
	bool apart;                /* they do not */
	struct buf report, envid;  /* report.c: fields of recipients; decoded */
	struct buf sending;        /* the report, what of it stored has not got */
	bool reported;             /* it has begun, if it was to */
	bool report_open;          /* between its post_begin and its post_commit */
	struct smtp_bounce bounce;

	enum smtp_body_fault fault;
	bool posting; /* between post_begin and its end */
	uint64_t size;
	struct dot dot;
	struct strict strict;
	struct facts_maker *facts;
	struct fixup fixup;
	struct buf head; /* submission: text whose header may still lack a field */
	bool holding;    /* text goes there */
};

/* A reply that may not be sent before those in front of it. */
struct smtp_pending {
	uint32_t seq; /* of rcpt_ask; 0: `reply` is all */
	struct buf address;
	struct buf reply;
	unsigned notify;  /* enum smtp_notify */
	bool bounced;     /* nobody has the name; routerd is asked where the sender is */
	bool held;        /* the same, before it is asked for the name: wish of a report */
	struct buf orcpt; /* as it was sent */
};

/* A login, from AUTH to its answer. */
struct smtp_login {
	bool done;         /* routerd knows whose connection this is */
	bool last;         /* proved; the client acknowledges the mechanism's last words */
	bool delaying;     /* `refused` is sent when the deadline passes */
	const char *fault; /* what was wrong with the client's line, while authd breaks off */
	unsigned failures;
	struct buf refused;
};

struct smtp {
	struct front_port *port;
	struct smtp_conf conf;
	enum smtp_mode mode;
	enum smtp_state state;
	struct line_reader lines;
	unsigned errors, rcpts_refused;
	bool stopping, rcpt_gone, post_gone, touched;
	bool extended; /* EHLO or LHLO, not HELO */
	uint32_t seq, tag, sender_seq, report_seq;
	unsigned notify;    /* of the RCPT that is looked at */
	struct slice orcpt; /* in its line */
	char hello[SMTP_HELLO_MAX + 1];
	struct smtp_login login;
	struct smtp_txn txn;
	struct smtp_pending pending[SMTP_PENDING_MAX];
	unsigned pending_head, pending_n;

	uint64_t chunk_left; /* octets of this BDAT still to come */
	bool chunk_last;
	enum smtp_state chunk_return; /* of a refused BDAT */
	const char *chunk_refused;    /* the answer when they are over; NULL: they count */
	struct buf chunk;             /* text on its way to stored */
	int64_t window;
};

/* smtp.c */
void smtp_reply(struct smtp *s, const char *line);
void smtp_error(struct smtp *s, const char *line);
void smtp_enter(struct smtp *s, enum smtp_state state);
void smtp_close(struct smtp *s, const char *line);
void smtp_txn_end(struct smtp *s);
/* A server is gone: closed, since a new connection gets channels to those that run by then. */
bool smtp_server_gone(struct smtp *s);
struct smtp_pending *smtp_pending_add(struct smtp *s);

/* verbs.c: the command table */
struct smtp_verb;
const struct smtp_verb *smtp_verb_find(const struct smtp *s, struct slice name);
bool smtp_verb_is_rcpt(const struct smtp_verb *v);
/* `v` may be NULL: an unknown command. */
void smtp_verb_run(struct smtp *s, const struct smtp_verb *v, struct slice arg);
/* Submission, and nobody has logged in. */
bool smtp_login_missing(const struct smtp *s);
extern const char smtp_login_first[];

/* report.c */
void smtp_report_envid(struct smtp *s, struct slice value);
/* A recipient that was taken; `p` holds what its RCPT said. False: there is no more room. */
bool smtp_report_add(struct smtp *s, const struct smtp_pending *p, enum smtp_action action);
/* The same if its success is to be reported. */
void smtp_report_success(struct smtp *s, const struct smtp_pending *p, bool group);
/* Those who can have the message have it. True: the answer comes by smtp_report_over(). */
bool smtp_report_begin(struct smtp *s);
void smtp_report_rcpt(struct smtp *s, const struct ipc_rcpt_reply *m);
void smtp_report_result(struct smtp *s, const struct ipc_post_result *m);
void smtp_report_credit(struct smtp *s);

/* result.c: the report is durable (IPC_ST_OK) or cannot be: only those who are bounced depend on
 * it. */
void smtp_report_over(struct smtp *s, uint32_t status);

/* bounce.c: recipients whom nobody is */
/* What to answer, now or, when the sender's place is known, once more: IPC_ROUTE_BOUNCED (taken),
 * _UNKNOWN, _TRYLATER. */
#define SMTP_BOUNCE_WAITS UINT32_MAX
uint32_t smtp_bounce_status(struct smtp *s, const struct smtp_pending *p);
/* NOTIFY=SUCCESS on port 25: OK, _TRYLATER, _UNKNOWN (no report can be made), or it waits. */
uint32_t smtp_bounce_wish(struct smtp *s);
/* True: this is it, ask again. */
bool smtp_bounce_told(struct smtp *s, const struct ipc_rcpt_reply *m);
void smtp_bounce_give_up(struct smtp *s);
/* A recipient that was taken; false: there is no more room for it in the report. */
bool smtp_bounce_add(struct smtp *s, const struct smtp_pending *p);
/* Text of the message, in its order. */
void smtp_bounce_keep(struct smtp *s, struct slice text);
/* What of it comes back: its header, or all. */
struct slice smtp_bounce_returned(const struct smtp *s, struct slice boundary, bool *ret_whole);
/* The answer after the message, by what became of the report (IPC_ST_...). */
const char *smtp_bounce_text(uint32_t status);

/* envelope.c: local@domain, as routerd wants it. */
void smtp_path_plain(const struct smtp_path *path, struct buf *out);

/* hello.c */
void smtp_cmd_hello(struct smtp *s, struct slice arg); /* LHLO, EHLO */
void smtp_cmd_helo(struct smtp *s, struct slice arg);
void smtp_cmd_starttls(struct smtp *s, struct slice arg);
void smtp_greet(struct smtp *s);

/* auth.c */
void smtp_cmd_auth(struct smtp *s, struct slice arg);
void smtp_auth_line(struct smtp *s, enum line_answer a, struct slice line);
void smtp_auth_msg(struct smtp *s, enum ipc_type type, const union ipc_any *m);
void smtp_auth_gone(struct smtp *s);
void smtp_auth_timeout(struct smtp *s);

/* envelope.c */
void smtp_cmd_mail(struct smtp *s, struct slice arg);
void smtp_cmd_rcpt(struct smtp *s, struct slice arg);
void smtp_sender_msg(struct smtp *s, const struct ipc_sender_reply *m);
void smtp_rcpt_msg(struct smtp *s, const struct ipc_rcpt_reply *m);
void smtp_pending_flush(struct smtp *s);
/* Answers everyone who waits for routerd: it is gone or too slow. */
void smtp_rcpt_give_up(struct smtp *s);

/* params.c: what follows the address; NULL, or the refusal */
const char *smtp_mail_params(struct smtp *s, struct slice rest);
const char *smtp_rcpt_params(struct smtp *s, struct slice rest);

/* body.c */
void smtp_cmd_data(struct smtp *s, struct slice arg);
void smtp_cmd_bdat(struct smtp *s, struct slice arg);
size_t smtp_body_feed(struct smtp *s, struct slice in);
/* stored's window is used up. */
bool smtp_body_waits(const struct smtp *s);
void smtp_body_fail(struct smtp *s, enum smtp_body_fault fault);

/* result.c: what becomes of a body */
const char *smtp_fault_text(enum smtp_body_fault fault);
/* The body has ended: answers, or waits for stored. */
void smtp_result_await(struct smtp *s);
void smtp_post_msg(struct smtp *s, enum ipc_type type, const union ipc_any *m);
void smtp_post_give_up(struct smtp *s);

/* trace.c: what goes in front of the message */
void smtp_trace_put(const struct smtp *s, struct buf *out);   /* Return-Path and Received */
void smtp_missing_put(const struct smtp *s, struct buf *out); /* Date and Message-ID */
