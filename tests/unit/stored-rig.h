/*
 * stored-rig - stored's core with everybody around it played by the test: authd, routerd, an
 * acceptor, connections and sessions, all by messages on one event loop.
 */
#pragma once

#include "common/engine/engine.h"
#include "common/ipc/chan.h"
#include "stored/store.h"

#include <sys/types.h>

/* What came in on one client's channel and was not looked at yet. */
struct rig_packet {
	struct rig_packet *next;
	int fd; /* -1 */
	size_t n;
	uint8_t data[];
};

struct rig_client {
	struct rig_client *next;
	struct rig *rig;
	struct ipc_chan *chan; /* NULL: the other end is gone */
	struct rig_packet *head, **tail;
	uint8_t *last;
	size_t window; /* of post and append bytes, as the schema counts them */
	bool gone;
};

struct rig {
	struct event_base *base;
	struct engine *engine;
	struct store *store;
	struct rig_client *control; /* a process of its own: our end as its master */
	const char *program;
	pid_t pid;
	struct rig_client *clients, *authd, *routerd, *acceptor;
	uint32_t seq;
	uint64_t quota;      /* of the sessions to come */
	const char *service; /* the same; NULL: "pop3" */
	/* Of stored, from its next start: 14 days, if the test does not say otherwise. */
	uint32_t compress; /* CompressMessages: 1 from the begin, so that all tests have both */
	uint64_t undelete_s;
	/* What routerd says of every account. */
	uint64_t messages_max;
	uint32_t notice, alert, restores;
	/* Answers for routerd; NULL: the test reads the question. */
	void (*on_foreign)(struct rig *r, const struct ipc_foreign_ask *m);
	bool policy_waits;   /* it says so when rig_policy() is called, not when it is asked */
	struct slice thread; /* of the messages delivered from now on (common/mail/threadid.h) */
	struct slice header; /* of the next rig_deliver(): what is kept of it */
	int dir_fd, log_fd;
	char spec[64];
};

void rig_init(struct rig *r, const char *spec);
/* The program itself, started and led by us as master would, with the LMDB engine. */
void rig_init_process(struct rig *r, const char *program);
/* kill -9, and wait for its end. */
void rig_kill(struct rig *r);
void rig_fini(struct rig *r);
/* A new stored on the same store: what was in memory only is gone. */
void rig_restart(struct rig *r);
/* The memory engine's faults end between one and the next: with .last_commits, what was handed in
 * later than these never was. */
void rig_crash(struct rig *r);
/* A new stored on the same store of the memory engine, which has these faults while it starts.
 * False: it refused to, and there is none. */
bool rig_restart_amid(struct rig *r, const struct engine_faults *f);
void rig_spin(struct rig *r, int ms);

/*
 * For cmocka: a rig for each case as *state, on the engine that rig_spec names ("mem"; a program
 * that is for every engine takes it from its argument). Empty, or with an account 7.
 */
extern const char *rig_spec;
int rig_setup(void **state);
int rig_setup_account(void **state);
int rig_teardown(void **state);

struct rig_client *rig_attach(struct rig *r, enum ipc_ch kind);
/* A client at an end of a pair that was made elsewhere. */
struct rig_client *rig_adopt(struct rig *r, int take_fd, enum ipc_ch kind);
void rig_client_close(struct rig_client *c);
void rig_send(struct rig_client *c, enum ipc_type type, const void *m);
/* The next message, which must be of this type within 10 s; valid until the next call. */
const union ipc_any *rig_wait(struct rig_client *c, enum ipc_type type);
/* The same, or another type: *ret_type. NULL when the channel is gone or nothing came. */
const union ipc_any *rig_next(struct rig_client *c, int ms, enum ipc_type *ret_type, int *ret_fd);
bool rig_gone(struct rig_client *c, int ms);

/* What it says of this account, now. */
void rig_policy(struct rig *r, uint64_t account);
int rig_account(struct rig *r, uint64_t account, enum ipc_type type); /* its status */
/* NULL and *ret_status when it was refused. */
struct rig_client *rig_session(struct rig *r, uint64_t account, uint64_t sid, int *ret_status);
struct rig_client *rig_post(struct rig *r, uint64_t sid);
int rig_target(struct rig *r, uint64_t sid, uint32_t handle, uint64_t account, uint64_t quota);

/* begin, data, commit; no waiting. */
void rig_deliver(struct rig_client *post, uint32_t tag, const uint32_t *handles, size_t n,
    struct slice body, struct slice facts);
/* One message to one account by a connection of its own: the result's status. */
int rig_put(struct rig *r, uint64_t account, struct slice body);

/* Bytes of the append's message, as the window lets them. */
void rig_append_bytes(struct rig_client *s, struct slice body);
struct ipc_mbox_opened rig_open(struct rig_client *s, const char *name, uint32_t flags);
/* Status; the rows' count; rows into out (IPC_ROW_BYTES each). */
int rig_scan(
    struct rig_client *s, uint32_t mbox, uint32_t from, uint8_t *out, size_t max, size_t *ret_n);
/* Where the words of these rows point to (common/base/keyset.h); good until the next scan. */
struct slice rig_sets(void);
/* The whole body into a heap block; its status. */
int rig_body(struct rig_client *s, uint32_t mbox, uint32_t uid, uint8_t **ret_p, size_t *ret_n);
/* Facts of one message, valid until the next call; their status. */
int rig_facts(struct rig_client *s, uint32_t mbox, uint32_t uid, struct slice *ret_facts);
/* What is kept of its header, the same way. */
int rig_header(struct rig_client *s, uint32_t mbox, uint32_t uid, struct slice *ret_header);
int rig_expunge(struct rig_client *s, uint32_t mbox, uint32_t first, uint32_t last);
/* A channel of an administrator, or of that account. */
struct rig_client *rig_admin(struct rig *r, uint64_t rights, uint64_t account);
int rig_flags(struct rig_client *s, uint32_t mbox, uint32_t first, uint32_t last, uint32_t op,
    uint32_t flags);
