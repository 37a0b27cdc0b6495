/*
 * imap-private - the state of one session, shared by the files of the core.
 *
 * How a command plugs in: a row in command.c names it, the states in which it is legal and its
 * function in a file of its own. The function gets a cursor behind "tag SP NAME", reads its
 * arguments (parse.h), and either answers by imap_done(), or begins a job (imap_job_begin) that
 * answers later. One command runs at a time; its text, its arena and its job live until its tagged
 * reply has been written. Before that reply, tell.c tells what happened to the mailbox.
 */
#pragma once

#include "common/base/arena.h"
#include "common/base/secret.h"
#include "common/front/limits.h"
#include "common/front/line.h"
#include "common/front/text.h"
#include "common/ipc/types.h"
#include "protocols/imap/imap.h"
#include "protocols/imap/limits.h"
#include "protocols/imap/parse.h"
#include "protocols/imap/set.h"
#include "protocols/imap/view.h"
#include "protocols/imap/write.h"

enum imap_state {
	IMAP_START = 1 << 0, /* not authenticated */
	IMAP_AUTHED = 1 << 1,
	IMAP_SELECTED = 1 << 2,
	IMAP_ENDED = 1 << 3, /* nothing is read any more */
};

struct imap;
struct imap_job;

struct imap_literal {
	uint64_t size;
	bool sync;   /* the client waits for "+" */
	bool binary; /* literal8 */
	size_t at;   /* where it begins in the text */
};

struct imap_job_ops {
	/* An answer of stored's (everything but events). Of this job if its seq is. */
	void (*on_msg)(struct imap_job *j, enum ipc_type type, const union ipc_any *m);
	/*
	 * Called in every turn: the output may have drained. A job that writes much stops when
	 * imap_full() and goes on here. May be NULL.
	 */
	void (*go)(struct imap_job *j);
	/*
	 * The client's bytes, for a job that reads them itself (IDLE, AUTHENTICATE, APPEND): how
	 * many were consumed. NULL: input waits until the command is over.
	 */
	size_t (*feed)(struct imap_job *j, struct slice in);
	/* The time set by imap_job_delay is over. May be NULL. */
	void (*timeout)(struct imap_job *j);
	void (*free)(struct imap_job *j);
};

/* First member of a job's own struct. */
struct imap_job {
	const struct imap_job_ops *ops;
	struct imap *s;
	/* Half a response is out (a literal): if stored goes away now, only the end of the
	 * connection can tell. */
	bool mid_reply;
	/* The client is to act, not a server of ours. */
	bool client_turn;
};

enum imap_cond { IMAP_OK, IMAP_NO, IMAP_BAD };

enum imap_cmd_flags {
	IMAP_CMD_UID = 1 << 0,     /* "UID name" exists */
	IMAP_CMD_NO_GONE = 1 << 1, /* no EXPUNGE during the form without UID (RFC 3501 7.4.1) */
	IMAP_CMD_SECRET = 1 << 2,  /* its text is wiped */
	IMAP_CMD_QUIET = 1 << 3,   /* nothing is told (LOGOUT, CLOSE, STARTTLS ...) */
};

struct imap_cmd {
	const char *name;
	unsigned states; /* enum imap_state */
	unsigned flags;  /* enum imap_cmd_flags */
	void (*apply)(struct imap *s, struct parse *p);
	/*
	 * A literal was announced at the end of what has been gathered (APPEND: the message
	 * itself). True: the command takes it from here (a job with feed); false: gather it.
	 */
	bool (*on_literal)(struct imap *s, struct parse *p, const struct imap_literal *l);
};

/* ---- gathering a command (gather.c) ---- */

struct imap_gather {
	struct line_reader lines;
	struct buf text; /* the command so far */
	uint64_t literal_left, skip_left, skipped;
	const char *refused; /* the command will be answered by BAD: why */
};

/* ---- telling (tell.c) ---- */

enum imap_tell_step {
	IMAP_TELL_NOTHING,
	IMAP_TELL_GONE,
	IMAP_TELL_EXISTS,
	IMAP_TELL_FLAGS,
	IMAP_TELL_ASK,  /* too many changes: from stored */
	IMAP_TELL_WAIT, /* for its rows */
};

struct imap_tell {
	enum imap_tell_step step;
	struct set gone;        /* being told */
	uint64_t gone_modseq;   /* of the last of them */
	size_t gone_at;         /* range */
	uint32_t gone_done;     /* messages of it */
	uint32_t seq, from_uid; /* of the scan */
	uint64_t until;         /* modseq up to which all is told after it */
};

/* ---- the session ---- */

struct imap {
	struct front_port *port;
	struct imap_conf conf;
	enum imap_state state;
	unsigned errors, failures;
	bool stopping, lost; /* lost: stored is gone */
	bool touched;        /* something happened that starts the idle time anew */
	uint64_t timer_written;
	int64_t began_s;
	uint32_t seq;     /* of the last request to stored */
	uint32_t job_seq; /* and of the last one before the job */
	uint32_t credit_owed;
	uint32_t delay_ms; /* asked for by the job */

	/* RFC 5161: once on, on until the end */
	bool condstore, qresync, utf8;

	/* the command under way */
	struct imap_gather gather;
	struct arena arena;
	struct parse cursor;
	const struct imap_cmd *cmd; /* NULL: none */
	bool uid;                   /* it came as "UID ..." */
	struct slice tag;           /* in the gathered text */
	struct imap_job *job;       /* NULL: answered, or not begun */
	bool done;                  /* `reply` is complete: telling, then out with it */
	bool dying;                 /* BYE was said: close when written */
	bool begin_tls;             /* after the reply */
	bool begin_deflate, deflated;
	const char *bye_text; /* why the session ends, if stored said so */
	struct buf reply;
	struct imap_tell tell;

	struct view view;
	struct arena box_arena; /* of the selected mailbox: keywords */
	struct set saved;       /* SEARCHRES: uids, normalised; may hold some that are gone */
	bool idling;            /* changes are told at once */
	uint32_t quota_level;   /* per cent that the client is to be told of; 0: none */
	uint32_t quota_kind;    /* enum ipc_quota_kind */
	bool quota_over;
	struct buf alerts; /* texts that the client is to be told of, as stored sent them */
	char client[65];   /* what its program calls itself; empty: it did not say */
};

/* ---- imap.c ---- */

/*
 * Answers the command: "tag OK [code] text". `code` may be NULL. The reply goes out after what is
 * to be told; the job ends at the end of the turn.
 */
void imap_done(struct imap *s, enum imap_cond cond, const char *code, const char *text);
/* The same with a code of one's own making: begin, write code and text, end. */
struct writer imap_reply_begin(struct imap *s, enum imap_cond cond);
void imap_reply_end(struct imap *s, struct writer *w);
/* BAD with what the cursor complains of. */
void imap_bad(struct imap *s, const struct parse *p);
/* The answer to a status of stored's that is not IPC_ST_OK. */
void imap_store_failed(struct imap *s, uint32_t status);

/* Takes the job (heap, freed by its ops->free). */
void imap_job_begin(struct imap *s, struct imap_job *take_job, const struct imap_job_ops *ops);
/* ops->timeout is called in `ms`, once. */
void imap_job_delay(struct imap_job *j, uint32_t ms);

/* An untagged status response: "* OK [code] text". `code` may be NULL. */
void imap_untagged(struct imap *s, const char *word, const char *code, const char *text);
/* "* BYE text", and the end of the connection. */
void imap_bye(struct imap *s, const char *text);
/* To stored: 0, or 1 when it is gone (then the session is ended elsewhere: just return). */
int imap_send(struct imap *s, enum ipc_type type, const void *msg);
/* Bytes of bodies or facts that are done with: stored may send more. */
void imap_credit(struct imap *s, size_t bytes);
/* Stop writing until the client has read some. */
static inline bool imap_full(const struct imap *s)
{
	return front_pending(s->port) >= FRONT_OUT_HIGH;
}
void imap_enter(struct imap *s, enum imap_state state);
/* A writer on the output, for one untagged response. */
static inline struct writer imap_writer(struct imap *s)
{
	return writer(&s->port->out, s->utf8);
}

/* ---- command.c ---- */
const struct imap_cmd *imap_cmd_find(struct slice name);
/* A whole command has been gathered. */
void imap_command(struct imap *s);
/* The cursor on a command: NULL when its beginning is no command (then BAD was answered). */
const struct imap_cmd *imap_command_begin(struct imap *s, struct parse *p);

/* ---- gather.c ---- */
size_t imap_gather_feed(struct imap *s, struct slice in);
/* A literal announced at the end of `line` (`at` in it): 0; 1: there is none; 2: of no size. */
int imap_literal_find(struct slice line, struct imap_literal *ret);
void imap_gather_reset(struct imap *s);

/* id.c: stored hears what the client's program calls itself, once there is a session. */
void imap_tell_client(struct imap *s);

/* ---- alert.c ---- */
/* From stored, as in session_alerts. */
void imap_alerts_came(struct imap *s, struct slice texts);
/* A level of the quota that was passed, and administrators' alerts; each once. */
void imap_tell_texts(struct imap *s);

/* ---- tell.c ---- */
void imap_tell_begin(struct imap *s, bool gone);
/* Goes on as far as the output takes: true when all is told. */
bool imap_tell_go(struct imap *s);
void imap_tell_rows(struct imap *s, const struct ipc_mbox_rows *m);
void imap_tell_reset(struct imap *s);
/* "* FLAGS (...)" and "* OK [PERMANENTFLAGS (...)]". */
void imap_tell_keywords(struct imap *s);

/* "FLAGS (\Seen kw)" in a FETCH response; \Recent is known here. */
void imap_put_flags(
    struct imap *s, struct writer *w, uint32_t uid, uint32_t flags, struct keyset keywords);

struct imap_flags {
	uint32_t flags;
	struct keyset keywords;
	uint64_t modseq;
};
/* "* n FETCH (FLAGS (...))", with MODSEQ and UID as the session wants them (RFC 7162 3.2.4). */
void imap_put_fetch_flags(
    struct imap *s, uint32_t uid, const struct imap_flags *flags, bool with_uid, bool with_flags);

/* ---- select.c ---- */
/*
 * The messages that a set of a command means, as uids, normalised: `set` is what parse_set() gave
 * (numbers or uids by s->uid), or the saved result. 0, or 1 when a number is out of range or memory
 * is short: then BAD or NO was answered.
 */
int imap_resolve(struct imap *s, struct set *set, bool saved, struct set *ret_uids);
/* CONDSTORE is on from here on (RFC 7162 3.1.8): tells HIGHESTMODSEQ if a mailbox is selected. */
void imap_condstore_on(struct imap *s);
void imap_unselect(struct imap *s);
/* The selected mailbox was deleted; `own`: by the command under way. */
void imap_mailbox_gone(struct imap *s, bool own);

/* ---- expunge.c ---- */
/* "[HIGHESTMODSEQ n]" of the state that is told by then. */
void imap_put_modseq(struct imap *s, struct writer *w);

/* ---- auth.c ---- */
void imap_auth_msg(struct imap *s, enum ipc_type type, const union ipc_any *m);
void imap_auth_gone(struct imap *s);
/* AUTH=... of what is offered now, or LOGINDISABLED. */
void imap_put_mechs(struct imap *s, struct writer *w);

/* ---- objectid.c ---- */
/* An object id as an argument; false when it can be none of ours of that kind. */
bool parse_object_id(struct parse *p, char kind, uint64_t *ret_id);

/* ---- capability.c ---- */
/* "CAPABILITY" and what is complete in this state. */
void imap_put_capabilities(struct imap *s, struct writer *w);

/* ---- create.c ---- */
void imap_put_uses(struct writer *w, uint32_t attrs);

/* ---- change.c ---- */
/*
 * A change of names, which stored answers by mbox_done when it is durable: the seq that the message
 * to stored must have, or 0 when memory is short (then NO was answered). `text` is that of the OK;
 * with `create` MAILBOXID is told (RFC 8474 4.1).
 */
uint32_t imap_change_begin(struct imap *s, const char *text, bool create);

/* ---- commands ---- */
#define IMAP_CMD(name) void imap_cmd_##name(struct imap *s, struct parse *p)
IMAP_CMD(capability);
IMAP_CMD(noop);
IMAP_CMD(logout);
IMAP_CMD(id);
IMAP_CMD(enable);
IMAP_CMD(starttls);
IMAP_CMD(login);
IMAP_CMD(authenticate);
IMAP_CMD(select);
IMAP_CMD(examine);
IMAP_CMD(close);
IMAP_CMD(unselect);
IMAP_CMD(expunge);
IMAP_CMD(store);
IMAP_CMD(idle);
IMAP_CMD(fetch);
IMAP_CMD(search);
IMAP_CMD(sort);
IMAP_CMD(thread);
IMAP_CMD(append);
IMAP_CMD(copy);
IMAP_CMD(move);
IMAP_CMD(create);
IMAP_CMD(delete);
IMAP_CMD(rename);
IMAP_CMD(subscribe);
IMAP_CMD(unsubscribe);
IMAP_CMD(list);
IMAP_CMD(lsub);
IMAP_CMD(status);
IMAP_CMD(namespace);
IMAP_CMD(getquota);
IMAP_CMD(getquotaroot);
IMAP_CMD(compress);
bool imap_append_literal(struct imap *s, struct parse *p, const struct imap_literal *l);
