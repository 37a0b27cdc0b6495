/*
 * Mail straight into a mailbox: routerd names one with the target. What it names is found when the
 * target is registered, and what is gone when the mail comes is the INBOX. On every engine: its
 * spec is the argument.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/stored-rig.h"

#include <stdio.h>

enum { ACCOUNT = 7, SID = 50 };

static int done(struct rig_client *s)
{
	return (int)rig_wait(s, IPC_mbox_done)->mbox_done.status;
}

static void make(struct rig_client *s, const char *name)
{
	rig_send(
	    s, IPC_mbox_create, &(struct ipc_mbox_create){ ++s->rig->seq, slice_str(name), 0 });
	assert_int_equal(done(s), IPC_ST_OK);
}

static int target(struct rig *r, uint32_t handle, const char *mailbox)
{
	struct ipc_post_target t = { .seq = ++r->seq,
		.sid = SID,
		.handle = handle,
		.account = ACCOUNT,
		.mailbox = slice_str(mailbox) };

	rig_send(r->routerd, IPC_post_target, &t);
	return (int)rig_wait(r->routerd, IPC_post_target_done)->post_target_done.status;
}

/* To these handles; every answer must be OK. */
static void deliver(struct rig_client *post, const uint32_t *handles, size_t n)
{
	static uint32_t tag;

	rig_deliver(post, ++tag, handles, n, SLICE("Subject: x\r\n\r\nx\r\n"), SLICE("facts"));
	for (size_t i = 0; i < n; i++)
		assert_int_equal(rig_wait(post, IPC_post_result)->post_result.status, IPC_ST_OK);
}

static uint32_t exists(struct rig_client *s, const char *name)
{
	struct ipc_mbox_opened o = rig_open(s, name, 0);

	assert_int_equal(o.status, IPC_ST_OK);
	rig_send(s, IPC_mbox_close, &(struct ipc_mbox_close){ ++s->rig->seq, o.mbox });
	assert_int_equal(rig_wait(s, IPC_store_done)->store_done.status, IPC_ST_OK);
	return o.exists;
}

static void mail_goes_where_its_target_says(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, ACCOUNT, 1, NULL), *post = rig_post(r, SID);
	const uint32_t all[] = { 1, 2, 3, 4, 5, 6, 2, 1 };

	make(s, "Work");
	make(s, "Work/Old");
	assert_int_equal(target(r, 1, ""), IPC_ST_OK);
	assert_int_equal(target(r, 2, "Work"), IPC_ST_OK);
	assert_int_equal(target(r, 3, "Work/Old"), IPC_ST_OK);
	assert_int_equal(target(r, 4, "inbox"), IPC_ST_OK);
	assert_int_equal(target(r, 5, "Nothing"), IPC_ST_OK);
	assert_int_equal(target(r, 6, "//"), IPC_ST_OK);
	for (uint32_t h = 1; h <= 6; h++)
		deliver(post, &h, 1);
	assert_int_equal(exists(s, "INBOX"), 4);
	assert_int_equal(exists(s, "Work"), 1);
	assert_int_equal(exists(s, "Work/Old"), 1);
	/* One message for all of them: one copy for each mailbox. */
	deliver(post, all, 8);
	assert_int_equal(exists(s, "INBOX"), 5);
	assert_int_equal(exists(s, "Work"), 2);
	assert_int_equal(exists(s, "Work/Old"), 2);
	rig_client_close(s);
	rig_restart(r);
	s = rig_session(r, ACCOUNT, 1, NULL);
	assert_int_equal(exists(s, "INBOX"), 5);
	assert_int_equal(exists(s, "Work"), 2);
}

static void a_mailbox_that_is_gone_is_the_inbox(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, ACCOUNT, 1, NULL), *post = rig_post(r, SID);
	const uint32_t both[] = { 1, 2 };

	make(s, "A");
	make(s, "B");
	assert_int_equal(target(r, 1, "A"), IPC_ST_OK);
	assert_int_equal(target(r, 2, "B"), IPC_ST_OK);
	rig_send(s, IPC_mbox_delete, &(struct ipc_mbox_delete){ ++r->seq, SLICE("A") });
	assert_int_equal(done(s), IPC_ST_OK);
	rig_send(s, IPC_mbox_rename, &(struct ipc_mbox_rename){ ++r->seq, SLICE("B"), SLICE("C") });
	assert_int_equal(done(s), IPC_ST_OK);
	make(s, "A");
	deliver(post, both, 2);
	assert_int_equal(exists(s, "INBOX"), 1);
	assert_int_equal(exists(s, "A"), 0);
	assert_int_equal(exists(s, "C"), 1);
	/* Registered anew it is the one that has the name now. */
	assert_int_equal(target(r, 1, "A"), IPC_ST_OK);
	deliver(post, both, 1);
	assert_int_equal(exists(s, "A"), 1);
	rig_client_close(post);
	rig_client_close(s);
}

/* The mail and the change of the tree meet in stored. */
static unsigned one_meeting(
    struct rig *r, struct rig_client *s, struct rig_client *post, uint32_t n)
{
	const uint32_t handles[] = { 1, 2 };
	char from[20], to[20];
	unsigned good = 0;

	snprintf(from, sizeof(from), "m%u", n);
	snprintf(to, sizeof(to), "n%u", n);
	make(s, from);
	assert_int_equal(target(r, 1, from), IPC_ST_OK);
	if (n % 2 == 0)
		rig_deliver(post, n, handles, 2, SLICE("a: b\r\n\r\n"), SLICE("f"));
	if (n % 3 == 0)
		rig_send(
		    s, IPC_mbox_delete, &(struct ipc_mbox_delete){ ++r->seq, slice_str(from) });
	else
		rig_send(s, IPC_mbox_rename,
		    &(struct ipc_mbox_rename){ ++r->seq, slice_str(from), slice_str(to) });
	if (n % 2 != 0)
		rig_deliver(post, n, handles, 2, SLICE("a: b\r\n\r\n"), SLICE("f"));
	assert_int_equal(done(s), IPC_ST_OK);
	for (int i = 0; i < 2; i++) {
		const struct ipc_post_result *p = &rig_wait(post, IPC_post_result)->post_result;

		assert_true(
		    p->status == IPC_ST_OK || (p->handle == 1 && p->status == IPC_ST_TRYLATER));
		good += p->handle == 1 && p->status == IPC_ST_OK;
	}
	if (n % 3 != 0)
		assert_int_equal(exists(s, to), good);
	return n % 3 == 0 ? good : 0;
}

static void mail_is_not_lost_beside_changes_of_the_tree(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = rig_session(r, ACCOUNT, 1, NULL), *post = rig_post(r, SID);
	enum { ROUNDS = 60 };
	unsigned deleted = 0;

	assert_int_equal(target(r, 2, ""), IPC_ST_OK);
	for (uint32_t n = 0; n < ROUNDS; n++)
		deleted += one_meeting(r, s, post, n);
	/* What came into a mailbox before it was deleted went with it; the rest is here. */
	assert_in_range(exists(s, "INBOX"), ROUNDS, ROUNDS + deleted);
	rig_client_close(post);
	rig_client_close(s);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    mail_goes_where_its_target_says, rig_setup_account, rig_teardown),
		cmocka_unit_test_setup_teardown(
		    a_mailbox_that_is_gone_is_the_inbox, rig_setup_account, rig_teardown),
		cmocka_unit_test_setup_teardown(
		    mail_is_not_lost_beside_changes_of_the_tree, rig_setup_account, rig_teardown),
	};

	if (argc > 1)
		rig_spec = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
