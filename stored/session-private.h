/*
 * session-private - one login's channel: its open mailboxes and the requests that wait.
 *
 * Answers with bulk (listings, bodies, facts) are made one request after the other and only while
 * the session reads: what waits for a slow reader are its requests, never their answers.
 */
#pragma once

#include "stored/store-private.h"

struct gone;

/* A request that is answered in turn. */
struct request {
	TAILQ_ENTRY(request) link;
	enum ipc_type type;
	int status; /* IPC_ST_OK, or its answer without a further look */
	/* of a listing, a status: it, or NULL: nobody's; in a session of another account its names
	 * begin with `owner` ("~name/") */
	struct account *account;
	uint8_t *owner;
	size_t n_owner;
	uint32_t seq, mbox;
	uint32_t uid, limit, mask, want; /* uid: the next of a listing; want: also IPC_FACTS_... */
	uint64_t off, len, since;
	uint64_t id;   /* of a mailbox that is not open */
	uint8_t *name; /* MBOX_NAME_MAX bytes: where a listing goes on */
	size_t n_name;
	uint8_t *prefix;
	size_t n_prefix;
	struct gone *gone; /* see reader-gone.c */
	size_t n_data, at; /* at: pair of facts, or piece */
	uint8_t data[];    /* pairs of uids, or pieces; none: all */
};

/* A body being read from the device; outlives its session. */
struct fetch {
	struct store *st;
	struct session *session; /* NULL: the session is gone, the callback frees this */
	bool busy;
};

/* Work for a session that may outlive it. Embedded in its owner's struct. */
struct op {
	LIST_ENTRY(op) link;
	struct session *session; /* NULL: nobody is answered */
	struct account *account; /* referred to */
	uint32_t seq;
	size_t held;
};

struct append;
struct stashed;

/* Another account that a session uses: it stays in memory. */
struct guest {
	LIST_ENTRY(guest) link, account_link;
	struct session *session;
	struct account *account; /* referred to */
};

/* Where a request goes: the account and its names without "~name/" in front, which is `owner`; of
 * the session's own account that is empty. Account NULL, of a listing: only subscriptions. */
struct place {
	struct account *account;
	struct slice owner;
};

struct session {
	LIST_ENTRY(session) link, account_link; /* `link`: of the living or the dead */
	struct account *account;
	struct store *st;
	struct ipc_chan *chan;
	uint64_t sid;
	int64_t since_s;
	struct slice name, service, peer; /* in `text` */
	uint32_t flags;                   /* IPC_CONN_TLS, _PROXIED */
	char *client;                     /* what its program calls itself, in ASCII; or NULL */
	uint8_t *text;
	bool dead, pumping;
	bool admin; /* of an administrator, who may place uids */
	/* Others first: its turn of the loop is used up. In the store's list meanwhile. */
	bool pump_later;
	TAILQ_ENTRY(session) pump_link;
	int64_t pumped_ns; /* since it waited for others */
	unsigned bad, outstanding;
	size_t held; /* bytes of uid lists that wait */
	size_t credit;
	struct view *views[SESSION_HANDLES_MAX];
	TAILQ_HEAD(, request) requests;
	LIST_HEAD(, op) ops;
	LIST_HEAD(, guest) guests;
	unsigned n_guests;
	LIST_HEAD(, foreign) foreigns; /* that wait for their account */
	struct append *append;         /* under way */
	STAILQ_HEAD(, stashed) stash;  /* answers that wait for events */
	size_t stash_bytes;
	struct fetch *fetch;
	/* the body that the first request sends, found in the index once */
	bool have_body;
	struct engine_loc loc;
	uint64_t body_at, body_end;
	unsigned place_asked;  /* times, for a body that was not where the index said */
	uint32_t facts_last;   /* of the facts being read: the last uid */
	uint32_t facts_shift;  /* how much less the uids of their rows are */
	struct view *facts_of; /* and where they belong to; NULL: it is gone */
};

enum {
	ANSWER_BYTES_MAX = 61440, /* of rows, uids, bytes in one answer */
	BODY_BLOCK = 64 << 10,    /* read at once; of bodies that are read whole up to: */
	BODY_READ = 256 << 10,
	PART_BYTES = 20, /* of parts_get */
	FLAGS_KNOWN = IPC_FLAG_SEEN | IPC_FLAG_ANSWERED | IPC_FLAG_FLAGGED | IPC_FLAG_DELETED |
		      IPC_FLAG_DRAFT,
};

/* tree-list.c: answered in turn, see reader.c; false: not now */
bool tree_run_list(struct session *s, struct request *q);
bool tree_run_status(struct session *s, struct request *q);
void session_mbox_done(struct session *s, uint32_t seq, int status, uint64_t id);
/* False: the message is not about names. */
bool tree_on_msg(
    struct session *s, const struct place *at, enum ipc_type type, const union ipc_any *m);

/* foreign.c: asks routerd, and the request comes back by session_do(), or is refused. False: it
 * names nothing of another account. */
bool foreign_take(struct session *s, enum ipc_type type, const union ipc_any *m);
/* The session is gone. */
void foreign_forget(struct session *s);

/* guest.c: the session uses that account from now on. NULL: it uses too many. */
struct guest *guest_take(struct session *s, struct account *a);
/* The session is gone: nobody is answered; then, behind everything else of it, they go. */
void guests_forget(struct session *s);
void guests_free(struct session *s);

/* request.c */
/* Room for one more unanswered question with so many bytes. False: the session has ended. */
bool session_admit(struct session *s, size_t bytes);
void request_free(struct request **q);
void session_on_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds);
/* A request, with its names as they are in that account. */
void session_do(
    struct session *s, const struct place *at, enum ipc_type type, const union ipc_any *m);

/* Behind the events of what it tells: store_done, copy_done, append_done. Nothing when it is dead.
 */
void session_answer(struct session *s, enum ipc_type type, const void *m);
/* The events have caught up. */
void session_unstash(struct session *s);

/* session.c. False: it is not about the client's program. */
bool session_on_client(struct session *s, enum ipc_type type, const union ipc_any *m);

/* In that account. Admitted before; op_end() gives the allowance back. */
void op_begin(struct op *op, struct session *s, struct account *a, uint32_t seq, size_t held);
/* For nobody. */
void op_begin_own(struct op *op, struct account *a);
/* The channel to answer on, or NULL. */
struct ipc_chan *op_chan(const struct op *op);
void op_end(struct op *op);
/* What a change is about: ascending and apart. */
bool pairs_good(struct slice p);

/* keyword.c, append.c, copy.c: False: the message is not theirs. */
bool keyword_on_msg(struct session *s, enum ipc_type type, const union ipc_any *m);
bool append_on_msg(
    struct session *s, const struct place *at, enum ipc_type type, const union ipc_any *m);
bool copy_on_msg(
    struct session *s, const struct place *at, enum ipc_type type, const union ipc_any *m);
/* The session is gone. */
void append_drop(struct session *s);

/* alerts.c: false: the message is not about alerts. */
bool alerts_on_session_msg(struct session *s, enum ipc_type type);
/* It ended. */
void alerts_forget(struct session *s);

/* view.c */
struct view *session_view(struct session *s, uint32_t handle);
void view_close(struct session *s, uint32_t handle);
void view_told(struct session *s, const struct ipc_mbox_told *q);

/* session.c: a senseless request: counted, and too many end the session. */
void session_bad(struct session *s, const char *why);

/* What a request says to the pump. */
enum run { RUN_DONE, RUN_WAIT, RUN_AGAIN };

/* reader.c */
/* The view with its columns in memory, or *ret_status; IPC_ST_OK and NULL: wait for them. */
struct view *view_ready(struct session *s, const struct request *q, int *ret_status);
/* Finds q->uid, q->off, q->len: have_body, loc, body_at, body_end of the session. An IPC_ST_...;
 * with IPC_ST_OK and no body the index is loading. */
int body_find(struct session *s, const struct request *q);
/* What is read is not where it was: s->loc is set anew, or will be (s->fetch->busy). False: it is
 * nowhere. */
bool body_again(struct session *s, const struct request *q);
/* The first of the requests that wait has been answered. */
void session_finish_first(struct session *s);

/* reader-rows.c */
enum run run_uids(struct session *s, struct request *q);
enum run run_scan(struct session *s, struct request *q);

/* reader-gone.c */
enum run run_gone(struct session *s, struct request *q);
void gone_free(struct gone **g);

/* reader-parts.c */
enum run run_parts(struct session *s, struct request *q);

/* reader-facts.c */
enum run run_facts(struct session *s, struct request *q);
