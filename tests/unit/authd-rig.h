/*
 * authd-rig - authd on the memory engine with its peers played by the test, and real workers. What
 * the peers answer is set in `seen`, and what they were asked is found there.
 *
 * routerd knows ann (account 7, "secret"), ben (8, no secret) and cid (9, "pencil" by SCRAM), and
 * makes an account 30 of a name that begins with "new".
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "authd/authd.h"

extern struct rig {
	struct authd a;
	struct engine *engine;
	struct gsasl_warm *warm;
	struct ipc_chan *pool_end, *routerd_end, *stored_end, *source_end;
	struct ipc_chan *door;  /* of the last connection; NULL when authd ended it */
	struct ipc_chan *admin; /* root's, to set secrets */
	bool workers_die;
} rig;

extern struct seen {
	enum ipc_type type;
	unsigned dones, failed; /* answers to administrators */
	uint32_t why, left, status, fds, changed, opened, logouts, post_status, may_asked,
	    may_status;
	uint64_t account_gone; /* routerd has it no more; 0: none */
	struct ipc_may_ask may;
	uint32_t login_flags, fail_max, fail_s, asked_flags; /* of route_login and its reply */
	uint64_t except_sid, account;
	int secrets; /* of an administrator's channels: the one to authd */
	uint64_t post_sid, post_account;
	char text[300], name[400];
	struct buf data;
	/* of an account that is made: its name, what routerd answers, and what it was asked */
	char made[400];
	bool new_there;    /* somebody else made it meanwhile */
	uint64_t leads_to; /* to which account its name leads then; 0: to that one */
	uint32_t new_status, news, provisioned, provision_status[8], creates;
	struct ipc_account_new new;
	/* of source_ask, and what is answered: by source, IPC_TYPES for nothing */
	uint32_t sources[3], source_status[3], source_seq, keep;
	char source_name[3][400], source_password[1025], source_service[33], source_peer[65];
} seen;

/* Everything that comes in on a door, or on a channel of an administrator, goes to `seen`. */
extern const struct ipc_ops rig_door_ops;

int rig_setup(void **state);
int rig_teardown(void **state);

/* One turn of the loop, and a millisecond. */
void rig_turn(void);
/* Until something has arrived at the door, at most five seconds. */
enum ipc_type rig_wait(void);
/* 1: it has a secret, 0: none at all. */
int rig_has_secret(uint64_t account);
/* Until the source has been asked `n` times, the same. */
void rig_wait_asked(enum ipc_source source, unsigned n);

/* A new connection: rig.door. */
void rig_knock(uint32_t flags, uint32_t uid, const char *service);
/* Its login by this mechanism, and the next answer; what authd says then. */
enum ipc_type rig_start(const char *mech, const void *initial, size_t n);
enum ipc_type rig_step(const void *p, size_t n);
/* By root. */
void rig_put_secret(uint64_t account, const char *scheme, const char *password);

#define CASE(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
