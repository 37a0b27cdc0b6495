/*
 * fake - drives a protocol core without processes: authd, routerd and stored played in memory.
 *
 * Unit tests, fuzzers and the wire runner use it, so that all of them see the core that the daemon
 * runs. Every message passes the real codec in both directions; answers come after the core's call
 * has returned, never inside it. Accounts u1..u9 have the password "gatehouse"; other names stand
 * for one failure each (fake.c lists them).
 */
#pragma once

#include "common/front/port.h"

enum { FAKE_USERS = 9 };

struct fake;

/* A store that is not played: where the session's messages go and come from. */
struct fake_store {
	/* A session of this user; false: none can be had. */
	bool (*open)(struct fake_store *s, unsigned user);
	void (*send)(struct fake_store *s, enum ipc_type type, const void *msg);
	/* The next message; waits for one when the core does. NULL: nothing comes. */
	const union ipc_any *(*next)(
	    struct fake_store *s, bool wait, enum ipc_type *ret_type, bool *ret_gone);
};

struct fake_conf {
	const struct front_core *core;
	const void *core_conf;
	bool tls, tls_offered, plain_login;
	bool lmtp, submission; /* what the listener is for */
	bool admin;            /* a login is granted an administrator's channels, not a session */
	bool hold;             /* answers wait for fake_answer() */
	struct fake_store *store; /* NULL: played */
};

struct fake *fake_new(const struct fake_conf *conf);
void fake_free(struct fake **f);

/* A message of user 1..9, before the login. */
void fake_mail(struct fake *f, unsigned user, struct slice body);
/* stored lists the i-th message with this size instead of its own. */
void fake_mail_size(struct fake *f, unsigned user, unsigned i, uint64_t size);
unsigned fake_mail_count(const struct fake *f, unsigned user);
unsigned fake_mail_all(const struct fake *f, unsigned user); /* removed ones, too */
bool fake_mail_gone(const struct fake *f, unsigned user, unsigned i);
struct slice fake_mail_get(const struct fake *f, unsigned user, unsigned i);

/* Bytes from the client; then everything that follows from them. */
void fake_input(struct fake *f, struct slice bytes);
/* All output so far, and whether the core has closed the connection. */
struct slice fake_output(const struct fake *f);
void fake_output_reset(struct fake *f);
bool fake_closed(const struct fake *f);
/* The client stops (goes on) reading. */
void fake_stop_reading(struct fake *f, bool stop);

/* What others did in the store reaches the core. */
void fake_run(struct fake *f);

/* The deadline passes: false when there is none. */
bool fake_timeout(struct fake *f);
uint32_t fake_deadline(const struct fake *f);
void fake_event(struct fake *f, enum front_event event);
void fake_lose(struct fake *f, enum front_peer peer);
/* One held answer goes to the core; false when there is none. */
bool fake_answer(struct fake *f);
/* A message removed by another session. */
void fake_remove(struct fake *f, unsigned user, unsigned i);
/* Status of later expunges and posts. */
void fake_store_fails(struct fake *f, uint32_t status);
/* authd waits no longer for a response. */
void fake_auth_expires(struct fake *f);
/* Most bytes of output that waited at one time. */
size_t fake_output_peak(const struct fake *f);
const struct front_port *fake_port(const struct fake *f);
