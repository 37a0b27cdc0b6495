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

#include "common/base/wire.h"

#include <stdlib.h>

static const char *spec = "mem";

static int setup(void **state)
{
	struct rig *r = malloc(sizeof(*r));

	rig_init(r, spec);
	r->notice = 50;
	r->alert = 80;
	r->quota = 1000;
	rig_account(r, 7, IPC_account_make);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	rig_fini(*state);
	free(*state);
	return 0;
}

static uint8_t text[1000];

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
			return m->quota_level.percent;
		}
		assert_int_equal(type, IPC_mbox_event);
	}
}

static void each_level_is_told_once(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, 7, 1, NULL), *quiet = rig_session(r, 7, 2, NULL);
	struct ipc_mbox_opened o;

	rig_open(s, "INBOX", IPC_MBOX_EVENTS);
	rig_open(quiet, "INBOX", 0);
	assert_int_equal(comes(r, 10, 400), IPC_ST_OK);
	assert_int_equal(comes(r, 11, 200), IPC_ST_OK);
	assert_int_equal(told(s, 10000), 50);
	assert_int_equal(comes(r, 12, 100), IPC_ST_OK);
	assert_int_equal(comes(r, 13, 150), IPC_ST_OK);
	assert_int_equal(told(s, 10000), 80);
	assert_int_equal(comes(r, 14, 150), IPC_ST_OK);
	assert_int_equal(told(s, 10000), 100);
	assert_int_equal(comes(r, 15, 1), IPC_ST_OVERQUOTA);
	/* Down and up again is once more. */
	o = rig_open(quiet, "INBOX", 0);
	assert_int_equal(rig_expunge(quiet, o.mbox, 1, 2), IPC_ST_OK);
	assert_int_equal(told(s, 1), 0);
	assert_int_equal(comes(r, 16, 200), IPC_ST_OK);
	assert_int_equal(told(s, 10000), 50);
	assert_int_equal(told(quiet, 1), 0);
}

static void who_comes_later_is_told(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, 7, 1, NULL);

	assert_int_equal(comes(r, 10, 100), IPC_ST_OK);
	assert_int_equal(comes(r, 11, 800), IPC_ST_OK);
	rig_open(s, "INBOX", IPC_MBOX_EVENTS);
	assert_int_equal(told(s, 10000), 80);
	rig_open(s, "INBOX", IPC_MBOX_EVENTS);
	assert_int_equal(told(s, 1), 0);
	rig_restart(r);
	s = rig_session(r, 7, 1, NULL);
	rig_open(s, "INBOX", IPC_MBOX_EVENTS);
	assert_int_equal(comes(r, 12, 10), IPC_ST_OK);
	assert_int_equal(told(s, 1), 0);
}

static void messages_are_counted(void **state)
{
	struct rig *r = *state;
	struct rig_client *s;
	struct ipc_mbox_opened o;

	r->quota = 0;
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

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		CASE(each_level_is_told_once),
		CASE(who_comes_later_is_told),
		CASE(messages_are_counted),
	};

	if (argc > 1)
		spec = argv[1];
	return cmocka_run_group_tests_name(spec, tests, NULL, NULL);
}
