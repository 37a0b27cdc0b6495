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
#include "protocols/smtp/limits.h"
#include "protocols/smtp/smtp.h"

enum smtp_state {
	SMTP_START = 1 << 0, /* before LHLO */
	SMTP_READY = 1 << 1,
	SMTP_MAIL = 1 << 2,    /* sender known, recipients come */
	SMTP_DATA = 1 << 3,    /* text with dots */
	SMTP_CHUNK = 1 << 4,   /* the octets of a BDAT */
	SMTP_CHUNKS = 1 << 5,  /* between two BDATs of a message */
	SMTP_RESULTS = 1 << 6, /* waits for stored */
	SMTP_ENDED = 1 << 7,
};

/* Why a body is not kept, though it is read to its end. */
enum smtp_body_fault {
	SMTP_BODY_GOOD,
	SMTP_BODY_BARE,  /* a CR or LF of its own */
	SMTP_BODY_LARGE, /* over the limit */
	SMTP_BODY_LOOP,  /* too many Received fields */
	SMTP_BODY_LOST,  /* stored is gone, or no memory */
};

struct smtp_rcpt {
	uint32_t handle; /* 0: discarded */
	uint32_t status; /* enum ipc_store_status */
	bool answered;
};

struct smtp_txn {
	struct smtp_path sender;
	bool utf8;
	uint64_t declared;
	struct smtp_rcpt *rcpts;
	size_t n_rcpts, cap_rcpts;
	struct buf only_rcpt; /* <address> of the first one */

	enum smtp_body_fault fault;
	bool posting; /* between post_begin and its end */
	uint64_t size;
	struct dot dot;
	struct strict strict;
	struct facts_maker *facts;
};

/* A reply that may not be sent before those in front of it. */
struct smtp_pending {
	uint32_t seq; /* of rcpt_ask; 0: `reply` is all */
	struct buf address;
	struct buf reply;
};

struct smtp {
	struct front_port *port;
	struct smtp_conf conf;
	enum smtp_state state;
	struct line_reader lines;
	unsigned errors;
	bool stopping, rcpt_gone, post_gone, touched;
	uint32_t seq, tag;
	char hello[SMTP_HELLO_MAX + 1];
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
struct smtp_pending *smtp_pending_add(struct smtp *s);

/* hello.c */
void smtp_cmd_lhlo(struct smtp *s, struct slice arg);
void smtp_cmd_starttls(struct smtp *s, struct slice arg);
void smtp_cmd_help(struct smtp *s, struct slice arg);

/* envelope.c */
void smtp_cmd_mail(struct smtp *s, struct slice arg);
void smtp_cmd_rcpt(struct smtp *s, struct slice arg);
void smtp_rcpt_msg(struct smtp *s, const struct ipc_rcpt_reply *m);
void smtp_pending_flush(struct smtp *s);
/* Answers everyone who waits for routerd: it is gone or too slow. */
void smtp_rcpt_give_up(struct smtp *s);

/* body.c */
void smtp_cmd_data(struct smtp *s, struct slice arg);
void smtp_cmd_bdat(struct smtp *s, struct slice arg);
size_t smtp_body_feed(struct smtp *s, struct slice in);
/* stored's window is used up. */
bool smtp_body_waits(const struct smtp *s);
void smtp_post_msg(struct smtp *s, enum ipc_type type, const union ipc_any *m);
void smtp_post_give_up(struct smtp *s);

/* trace.c: Return-Path and Received, as they go in front of the message */
void smtp_trace_put(const struct smtp *s, struct buf *out);
