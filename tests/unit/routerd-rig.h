/*
 * routerd-rig - routerd's core on the memory engine, with its peers played by the test: stored and
 * authd answer at once unless they are mute or away; one administrator, one connection with mail.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "routerd/routerd.h"

enum {
#define VERB(name, ...) VERB_##name,
#include "common/ipc/verbs.def"
	VERBS
};

enum { RIG_SID = 70 }; /* of the administrator */

extern struct rig {
	struct routerd rd;
	struct engine *engine;
	struct ipc_chan *stored_end, *authd_end, *admin_end, *rcpt_end;
	unsigned makes, drops, secret_drops, targets, changed, replies, rcpt_replies, more;
	bool stored_mute;
	unsigned stored_refuses; /* so many accounts: it cannot now */
	uint32_t status_more;             /* the last reply is not the end of its answer */
	uint32_t status, handle, members; /* of the last answers; a group: how many more handles */
	uint64_t last_account, last_off;  /* made; lost a service */
	unsigned services_off;            /* accounts that lost one */
	char off_service[33];
	struct buf first;    /* of the last account made: packed mailboxes, '|', subscriptions */
	uint64_t over_quota; /* an account that takes no mail; 1 as a quota means the same */
	/* Mail to an unknown name: what the helper behind authd says to it, and what was asked. */
	enum { HELPER_UNKNOWN, HELPER_MAKES, HELPER_MUTE } helper;
	unsigned provisions, news;
	uint32_t provision_seq;
	uint64_t new_account, new_quota;
	uint32_t new_status;
	bool new_made;
	/* Secrets of new accounts: what authd says to one that is brought, and to one that should
	 * be there. */
	unsigned takes, looks;
	uint64_t take_sid,
	    become_sid; /* who becomes somebody ends by a logout of his, but with 0 */
	uint32_t take_ask, take_status, look_status; /* IPC_AUTH_... */
	bool authd_mute;                             /* about secrets of new accounts */
	const char *new_name, *real_name;            /* in place of the one that is asked about */
	char provision_name[400];
	struct buf data; /* items of the last answer, joined by '|' */
} rig;

extern const struct ipc_ops rig_admin_ops;

int rig_setup(void **state);
int rig_teardown(void **state);
/* Until nothing happens any more. */
void rig_spin(void);

void rig_connect_stored(void);
void rig_connect_authd(void);
void rig_lose_stored(void);
void rig_lose_authd(void);

/* routerd anew on what the engine holds; its peers come back. */
void rig_restart(void);

void rig_send(uint32_t verb, const char *const *args);
/* One verb; its status. */
uint32_t rig_ask(uint32_t verb, const char *const *args);
uint32_t rig_rcpt(const char *address);
/* The same for a sender who is to get a report. */
uint32_t rig_report(const char *address);
/* The same if it is one of success. */
uint32_t rig_told(const char *address);
/* authd wants this account: rig.new_status, when it has spun. */
void rig_account_new(const char *name);
/* Of a connection for submission, rig_submit() first. */
uint32_t rig_sender(const char *address);
/* The connection with mail is one for submission from now on, with this login; it may be ended. */
void rig_submit(uint64_t account);
/* From now on this account administers; 0: root. */
void rig_become(uint64_t account);
/* The number of an account, which must be there. */
uint64_t rig_id(const char *name);

/* client1.com; accounts ann (with an alias anne), ben, info@client1.com: ids 4 to 6. */
void rig_prepare(void);
/* Where the address leads begins with `result`: "MODULE|queue|address|text". */
void rig_assert_route(const char *address, const char *mode, const char *result);

#define ask(verb, ...) \
	rig_ask(VERB_##verb, (const char *const[]){ __VA_ARGS__ __VA_OPT__(, ) NULL })
#define assert_data(text)     assert_string_equal(buf_cstr(&rig.data), text)
#define assert_data_has(text) assert_non_null(strstr(buf_cstr(&rig.data), text))
