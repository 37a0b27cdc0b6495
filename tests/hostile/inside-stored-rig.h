/*
 * inside-stored-rig - stored with two accounts: the intruder has what is his of one, and somebody
 * else's session on the other goes on, whatever he does.
 */
#pragma once

#include "tests/hostile/inside.h"

#include "tests/unit/stored-rig.h"

enum { MINE = 7, OTHERS = 8, MIB = 1 << 20 };

extern struct inside {
	struct rig_client *victim; /* a session of the other account */
	struct ipc_mbox_opened victim_box;
	int64_t slowest_ms;
} inside;

int inside_setup(void **state);
/* Fails when somebody else had to wait for long. */
int inside_teardown(void **state);

/* Somebody else reads and gets mail; how long that takes is remembered. */
void inside_others_go_on(struct rig *r);
/* One of the intruder's own account; with its INBOX, where ret_o is not NULL. */
struct rig_client *inside_session(struct rig *r, uint64_t sid, struct ipc_mbox_opened *ret_o);
/* What the attacker has written has left his own queue. */
void inside_flush(struct rig *r, struct rig_client *c);
/* As end_send_any(). */
void inside_send_zero(struct rig_client *c, enum ipc_type type);

#define CASE(f) cmocka_unit_test_setup_teardown(f, inside_setup, inside_teardown)
