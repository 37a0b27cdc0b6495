/*
 * The quota's levels and the number of messages, as routerd says. On every engine: its spec is the
 * argument.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/stored-rig.h"

#include "common/base/clock.h"

#include <stdlib.h>
#include <string.h>

enum { K = 100 };

static int setup(void **state)
{
	struct rig *r;

	rig_setup(state);
	r = *state;
	r->notice = 50;
	r->alert = 80;
	r->quota = 1000 * K;
	rig_account(r, 7, IPC_account_make);
	return 0;
}

static uint8_t text[1000 * K];

/* Mail of so many bytes comes: its status. */
static int comes(struct rig *r, uint64_t sid, size_t bytes)
{
	struct rig_client *post = rig_post(r, sid);
	uint32_t handle = 1;
	int status = rig_target(r, sid, handle, 7, r->quota);

	if (status == IPC_ST_OK) {
		rig_deliver(post, 1, &handle, 1, slice_of(text, bytes), SLICE("facts"));
		status = (int)rig_wait(post, IPC_post_result)->post_result.status;
	}
	rig_client_close(post);
	return status;
}

static uint32_t told_kind;

/* The level that this session is told within `ms`, 0: none. */
static uint32_t told(struct rig_client *s, int ms)
{
	for (;;) {
		enum ipc_type type;
		const union ipc_any *m = rig_next(s, ms, &type, NULL);

		if (m == NULL)
			return 0;
		if (type == IPC_quota_level) {
			assert_int_equal(m->quota_level.over, m->quota_level.percent >= 100);
			told_kind = m->quota_level.kind;
			return m->quota_level.percent;
		}
		assert_int_equal(type, IPC_mbox_event);
	}
}

/* Octets of all messages, once there are `messages`. */
static uint64_t used(struct rig_client *s, uint64_t messages)
{
	const struct ipc_quota_is *q;
	int tries = 60000;

	do {
		rig_spin(s->rig, 1);
		rig_send(s, IPC_quota_get, &(struct ipc_quota_get){ 5 });
		q = &rig_wait(s, IPC_quota_is)->quota_is;
	} while (q->messages != messages && --tries > 0);
	assert_int_equal(q->messages, messages);
	return q->bytes;
}

/* QuotaAlert: mail about it once a day, whatever becomes of the account meanwhile. */
static void a_message_says_so_once_a_day(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, 7, 1, NULL);
	struct ipc_mbox_opened o;
	uint8_t *body;
	size_t n;
	int64_t day = clock_wall_s() / 86400;

	assert_int_equal(comes(r, 10, 790 * K), IPC_ST_OK);
	assert_int_equal(used(s, 1), 790 * K);
	assert_int_equal(comes(r, 11, 20 * K), IPC_ST_OK);
	assert_true(used(s, 3) > 810 * K);
	o = rig_open(s, "INBOX", 0);
	assert_int_equal(rig_body(s, o.mbox, 3, &body, &n), IPC_ST_OK);
	assert_non_null(memmem(body, n, "\r\nSubject: Your mail storage", 28));
	assert_non_null(memmem(body, n, " 81000 of the 100000 octets", 27));
	free(body);
	/* Below it and above again, with another process, too. */
	assert_int_equal(rig_expunge(s, o.mbox, 2, 3), IPC_ST_OK);
	assert_int_equal(comes(r, 12, 30 * K), IPC_ST_OK);
	rig_restart(r);
	s = rig_session(r, 7, 1, NULL);
	o = rig_open(s, "INBOX", 0);
	assert_int_equal(rig_expunge(s, o.mbox, 4, 4), IPC_ST_OK);
	assert_int_equal(comes(r, 13, 100 * K), IPC_ST_OK);
	rig_spin(r, 20);
	if (clock_wall_s() / 86400 == day)
		assert_int_equal(rig_open(s, "INBOX", 0).exists, 2);
}

static void each_level_is_told_once(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, 7, 1, NULL), *quiet = rig_session(r, 7, 2, NULL);
	struct ipc_mbox_opened o;

	rig_open(s, "INBOX", IPC_MBOX_EVENTS);
	rig_open(quiet, "INBOX", 0);
	assert_int_equal(comes(r, 10, 400 * K), IPC_ST_OK);
	assert_int_equal(comes(r, 11, 200 * K), IPC_ST_OK);
	assert_int_equal(told(s, 10000), 50);
	assert_int_equal(comes(r, 12, 100 * K), IPC_ST_OK);
	assert_int_equal(comes(r, 13, 150 * K), IPC_ST_OK);
	assert_int_equal(told(s, 10000), 80);
	/* All that is left, with the message that says so. */
	assert_int_equal(comes(r, 14, r->quota - used(quiet, 5)), IPC_ST_OK);
	assert_int_equal(told(s, 10000), 100);
	assert_int_equal(comes(r, 15, 1), IPC_ST_OVERQUOTA);
	/* Down and up again is once more. */
	o = rig_open(quiet, "INBOX", 0);
	assert_int_equal(rig_expunge(quiet, o.mbox, 1, 2), IPC_ST_OK);
	assert_int_equal(told(s, 1), 0);
	assert_int_equal(comes(r, 16, 200 * K), IPC_ST_OK);
	assert_int_equal(told(s, 10000), 50);
	assert_int_equal(told(quiet, 1), 0);
}

static void who_comes_later_is_told(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, 7, 1, NULL);

	assert_int_equal(comes(r, 10, 100 * K), IPC_ST_OK);
	assert_int_equal(comes(r, 11, 800 * K), IPC_ST_OK);
	rig_open(s, "INBOX", IPC_MBOX_EVENTS);
	assert_int_equal(told(s, 10000), 80);
	rig_open(s, "INBOX", IPC_MBOX_EVENTS);
	assert_int_equal(told(s, 1), 0);
	rig_restart(r);
	s = rig_session(r, 7, 1, NULL);
	rig_open(s, "INBOX", IPC_MBOX_EVENTS);
	assert_int_equal(comes(r, 12, 10 * K), IPC_ST_OK);
	assert_int_equal(told(s, 1), 0);
}

static void messages_are_counted(void **state)
{
	struct rig *r = *state;
	struct rig_client *s;
	struct ipc_mbox_opened o;

	r->quota = r->alert = 0;
	r->messages_max = 2;
	rig_restart(r);
	s = rig_session(r, 7, 1, NULL);
	assert_int_equal(comes(r, 10, 1), IPC_ST_OK);
	assert_int_equal(comes(r, 11, 1), IPC_ST_OK);
	assert_int_equal(comes(r, 12, 1), IPC_ST_OVERQUOTA);
	rig_send(s, IPC_quota_get, &(struct ipc_quota_get){ 5 });
	assert_int_equal(rig_wait(s, IPC_quota_is)->quota_is.messages_max, 2);
	o = rig_open(s, "INBOX", 0);
	assert_int_equal(rig_expunge(s, o.mbox, 1, 1), IPC_ST_OK);
	assert_int_equal(comes(r, 13, 1), IPC_ST_OK);
	assert_int_equal(comes(r, 14, 1), IPC_ST_OVERQUOTA);
}

/* The INBOX's message with this uid has this text. */
static bool mail_says(struct rig *r, uint32_t uid, const char *what)
{
	struct rig_client *s = rig_session(r, 7, 99, NULL);
	struct ipc_mbox_opened o = rig_open(s, "INBOX", 0);
	uint8_t *body;
	size_t n;
	bool is;

	assert_int_equal(rig_body(s, o.mbox, uid, &body, &n), IPC_ST_OK);
	is = memmem(body, n, what, strlen(what)) != NULL;
	free(body);
	rig_client_close(s);
	return is;
}

static void levels_of_messages(void **state)
{
	struct rig *r = *state;
	struct rig_client *s, *quiet;

	r->quota = 0;
	r->messages_max = 10;
	rig_restart(r);
	s = rig_session(r, 7, 1, NULL);
	quiet = rig_session(r, 7, 2, NULL);
	rig_open(s, "INBOX", IPC_MBOX_EVENTS);
	for (int i = 1; i <= 9; i++) { /* the message about it is the ninth */
		assert_int_equal(comes(r, (uint64_t)(10 + i), 1), IPC_ST_OK);
		if (i == 5 || i == 8)
			assert_int_equal(told(s, 10000), i == 5 ? 50 : 80);
		if (i == 8)
			used(quiet, 9);
	}
	assert_int_equal(told_kind, IPC_QUOTA_MESSAGES);
	assert_int_equal(told(s, 10000), 100);
	assert_true(mail_says(r, 9, "\r\nYou have 8 of the 10 messages that"));
	assert_int_equal(comes(r, 30, 1), IPC_ST_OVERQUOTA);
}

/* Of octets and messages that counts which is fuller. */
static void the_fuller_of_both(void **state)
{
	struct rig *r = *state;
	struct rig_client *s, *quiet;

	r->messages_max = 4;
	rig_restart(r);
	s = rig_session(r, 7, 1, NULL);
	quiet = rig_session(r, 7, 2, NULL);
	rig_open(s, "INBOX", IPC_MBOX_EVENTS);
	assert_int_equal(comes(r, 10, 100 * K), IPC_ST_OK);
	assert_int_equal(comes(r, 11, 100 * K), IPC_ST_OK);
	assert_int_equal(told(s, 10000), 50);
	assert_int_equal(told_kind, IPC_QUOTA_MESSAGES);
	assert_int_equal(comes(r, 12, 650 * K), IPC_ST_OK);
	assert_int_equal(told(s, 10000), 80);
	assert_int_equal(told_kind, IPC_QUOTA_OCTETS);
	used(quiet, 4);
	assert_true(mail_says(r, 4, "Your messages take 85000 of the 100000 octets"));
}

/* Mail that comes before routerd has said how much there may be. */
static void passed_before_the_settings_came(void **state)
{
	struct rig *r = *state;
	struct rig_client *s, *quiet;

	rig_restart(r);
	r->policy_waits = true;
	assert_int_equal(comes(r, 10, 400 * K), IPC_ST_OK);
	assert_int_equal(comes(r, 11, 450 * K), IPC_ST_OK);
	s = rig_session(r, 7, 1, NULL);
	quiet = rig_session(r, 7, 2, NULL);
	rig_open(s, "INBOX", IPC_MBOX_EVENTS);
	assert_int_equal(used(quiet, 2), 850 * K);
	rig_policy(r, 7);
	assert_int_equal(told(s, 10000), 80);
	assert_true(used(quiet, 3) > 850 * K);
	/* What was there when it was loaded is no news. */
	rig_restart(r);
	assert_int_equal(comes(r, 12, 1), IPC_ST_OK);
	s = rig_session(r, 7, 1, NULL);
	quiet = rig_session(r, 7, 2, NULL);
	rig_open(s, "INBOX", IPC_MBOX_EVENTS);
	rig_policy(r, 7);
	assert_int_equal(comes(r, 13, 1), IPC_ST_OK);
	used(quiet, 5);
	assert_int_equal(told(s, 1), 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, rig_teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		CASE(a_message_says_so_once_a_day),
		CASE(each_level_is_told_once),
		CASE(who_comes_later_is_told),
		CASE(messages_are_counted),
		CASE(levels_of_messages),
		CASE(the_fuller_of_both),
		CASE(passed_before_the_settings_came),
	};

	if (argc > 1)
		rig_spec = argv[1];
	return cmocka_run_group_tests_name(rig_spec, tests, NULL, NULL);
}
