/*
 * cross-world - accounts whose users may use each other's mailboxes, with messages of one octet,
 * and what is where: for tests that move them.
 */
#pragma once

#include "tests/unit/stored-look.h"

enum { HERE = 7, THERE = 8, CROSS_STATE_MAX = 400, CROSS_WAIT_MS = 60000 };

/* The engine. */
extern const char *cross_spec;
/* Of one engine without an atom over groups: faults count all commits. */
bool cross_by_commits(void);
/* "~8/INBOX" is everybody's: for rig.on_foreign. */
void cross_routerd(struct rig *r, const struct ipc_foreign_ask *m);
/* So many accounts from HERE on: "a" to "e" are in the first, "f" to "i" in the second. */
void cross_begin(struct rig *r, unsigned accounts);
/* Asked for until it can be had; NULL: there is no such account. */
struct rig_client *cross_session(struct rig *r, uint64_t account);
/* Its number, for sessions that a test opens itself. */
uint32_t cross_sid(void);
/* The answer's status; TRYLATER when the session ends instead. */
int cross_answer(struct rig_client *s, enum ipc_type want);
/* "1=a 2=b next 3\n", appended; "none\n". */
void cross_say(struct rig *r, uint64_t account, char *state);
/* HERE and THERE, the account `first` before the other one. */
void cross_look(struct rig *r, uint64_t first, char state[CROSS_STATE_MAX]);
/* From INBOX to INBOX: its status. */
int cross_move(struct rig *r, uint64_t from, uint64_t to, uint32_t first, uint32_t last);
void cross_faults(struct rig *r, const struct engine_faults *f);
void cross_no_faults(struct rig *r);
