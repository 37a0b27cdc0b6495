/* Secrets of accounts that are being made: brought by an administrator, taken by routerd. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "authd/authd.h"
#include "authd/limits.h"
#include "common/base/io.h"

#include <event2/event.h>

enum { SID = 5 };

static struct rig {
	struct authd a;
	struct engine *engine;
	struct ipc_chan *routerd_end, *admin;
	unsigned taken, dropped, gone;
	struct ipc_secret_taken last;
} rig;

static void routerd_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	rig.dropped += type == IPC_secret_dropped;
	if (type != IPC_secret_taken)
		return;
	rig.taken++;
	rig.last = m->secret_taken;
}

static void authd_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	if (type == IPC_secret_take)
		admin_on_secret_take(&rig.a, &m->secret_take);
	else if (type == IPC_secret_drop)
		admin_on_secret_drop(&rig.a, &m->secret_drop);
}

static void admin_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	fail_msg("nothing is told by this channel");
}

static void no_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
}

static void admin_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	ipc_chan_free(&rig.admin);
}

static const struct ipc_ops routerd_ops = { routerd_msg, no_gone, NULL },
			    authd_ops = { authd_msg, no_gone, NULL },
			    admin_ops = { admin_msg, admin_gone, NULL };

static void spin(void)
{
	for (int i = 0; i < 40; i++) {
		event_base_loop(rig.a.base, EVLOOP_NONBLOCK);
		engine_dispatch(rig.engine, 0);
	}
}

static void open_admin(void)
{
	rig.admin = ipc_chan_new(rig.a.base, admin_open(&rig.a, SID, SLICE("root"), 0),
	    IPC_CH_ADMIN_AUTH, false, &admin_ops, NULL);
	assert_non_null(rig.admin);
}

static int setup(void **state)
{
	int sv[2];

	memset(&rig, 0, sizeof(rig));
	rig.a.base = event_base_new();
	authd_init(&rig.a);
	rig.a.scheme = "plain";
	assert_int_equal(engine_open("mem", -1, NULL, &rig.engine), 0);
	assert_int_equal(secrets_open(&rig.a.secrets, rig.engine), 0);
	assert_int_equal(ipc_pair(sv), 0);
	rig.a.routerd = ipc_chan_new(rig.a.base, sv[0], IPC_CH_AUTH_ROUTE, true, &authd_ops, NULL);
	rig.routerd_end =
	    ipc_chan_new(rig.a.base, sv[1], IPC_CH_AUTH_ROUTE, false, &routerd_ops, NULL);
	open_admin();
	return 0;
}

static int teardown(void **state)
{
	ipc_chan_free(&rig.admin);
	spin();
	assert_true(LIST_EMPTY(&rig.a.changes));
	assert_true(TAILQ_EMPTY(&rig.a.want_worker));
	ipc_chan_free(&rig.a.routerd);
	ipc_chan_free(&rig.routerd_end);
	secrets_close(&rig.a.secrets);
	engine_close(&rig.engine);
	event_base_free(rig.a.base);
	return 0;
}

static void bring(uint32_t seq, const char *scheme, const char *password)
{
	struct ipc_secret_new m = { seq, slice_str(scheme), slice_str(password) };

	assert_int_equal(ipc_send(rig.admin, IPC_secret_new, &m, NULL), 0);
}

static void take(uint64_t account, uint64_t sid, uint32_t ask)
{
	struct ipc_secret_take m = { .seq = 100 + ask, .account = account, .sid = sid, .ask = ask };

	assert_int_equal(ipc_send(rig.routerd_end, IPC_secret_take, &m, NULL), 0);
}

static void answered(unsigned count, uint64_t account, enum ipc_auth_status status)
{
	spin();
	assert_int_equal(rig.taken, count);
	assert_int_equal(rig.last.account, account);
	assert_int_equal(rig.last.status, status);
}

static void on_stored(void *arg, int rc, struct slice stored, struct slice tagged)
{
	struct buf *b = arg;

	assert_int_equal(rc, 0);
	buf_put(b, stored);
	buf_putc(b, ';');
}

static void stored_is(uint64_t account, const char *want)
{
	struct buf b = BUF_INIT(500);

	secrets_get(&rig.a.secrets, account, on_stored, &b);
	spin();
	assert_string_equal(buf_cstr(&b), want);
	buf_fini(&b);
}

static void they_come_in_any_order(void **state)
{
	bring(1, "", "one");
	spin();
	assert_int_equal(rig.taken, 0);
	stored_is(11, ";");
	take(11, SID, 1);
	answered(1, 11, IPC_AUTH_OK);
	assert_int_equal(rig.last.seq, 101);
	stored_is(11, "{PLAIN}one;");
	take(12, SID, 2);
	spin();
	assert_int_equal(rig.taken, 1);
	bring(2, "given", "{CRYPT}$y$x");
	answered(2, 12, IPC_AUTH_OK);
	stored_is(12, "{CRYPT}$y$x;");
}

static void what_cannot_be_kept_is_said(void **state)
{
	bring(1, "given", "{ODD}x");
	take(11, SID, 1);
	answered(1, 11, IPC_AUTH_SYNTAX);
	take(12, SID, 2);
	bring(2, "given", "{ODD}x");
	answered(2, 12, IPC_AUTH_SYNTAX);
	bring(3, "yescrypt", "x"); /* there are no workers */
	take(13, SID, 3);
	answered(3, 13, IPC_AUTH_TRYLATER);
	take(14, SID + 1, 3); /* nobody's */
	answered(4, 14, IPC_AUTH_TRYLATER);
}

/* As after a restart of routerd. */
static void is_it_there(void **state)
{
	take(11, 0, 1);
	answered(1, 11, IPC_AUTH_BAD);
	bring(2, "", "x");
	take(11, SID, 2);
	answered(2, 11, IPC_AUTH_OK);
	take(11, 0, 3);
	answered(3, 11, IPC_AUTH_OK);
}

static void who_goes_takes_along_what_is_not_taken(void **state)
{
	bring(1, "", "one");
	take(12, SID, 2);
	spin();
	ipc_chan_free(&rig.admin);
	answered(1, 12, IPC_AUTH_TRYLATER);
	open_admin();
	take(11, SID, 1);
	spin();
	assert_int_equal(rig.taken, 1); /* the new one has brought nothing yet */
	bring(1, "", "new");
	answered(2, 11, IPC_AUTH_OK);
	stored_is(11, "{PLAIN}new;");
}

static void one_is_forgotten(void **state)
{
	struct ipc_secret_forget m = { .seq = 1 };

	bring(1, "", "one");
	ipc_send(rig.admin, IPC_secret_forget, &m, NULL);
	spin();
	assert_true(LIST_EMPTY(&rig.a.changes));
	bring(1, "", "two");
	take(11, SID, 1);
	answered(1, 11, IPC_AUTH_OK);
	stored_is(11, "{PLAIN}two;");
}

static void a_number_is_used_once(void **state)
{
	bring(1, "", "one");
	bring(1, "", "two");
	spin();
	assert_null(rig.admin);
	take(11, SID, 1);
	answered(1, 11, IPC_AUTH_TRYLATER);
}

/* The account was given up while its password was hashed. */
static void what_is_dropped_is_not_put(void **state)
{
	struct ipc_secret_drop drop = { .seq = 9, .account = 11 };

	rig.a.hashing = NEW_WORKERS_MAX;
	bring(1, "", "one");
	take(11, SID, 1);
	spin();
	assert_int_equal(rig.taken, 0);
	ipc_send(rig.routerd_end, IPC_secret_drop, &drop, NULL);
	spin();
	assert_int_equal(rig.dropped, 1);
	rig.a.hashing = 0;
	newcomer_next(&rig.a);
	answered(1, 11, IPC_AUTH_DISABLED);
	stored_is(11, ";");
}

/* A worker that has its channel and says nothing. */
static void pool_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	*(int *)arg = fds[0];
	fds[0] = -1;
}

/* The worker of the one is free when the channel ends, and the other, which that begins, is over at
 * once. */
static void a_channel_ends_while_one_is_hashed(void **state)
{
	static const struct ipc_ops silent = { pool_msg, no_gone, NULL };
	struct ipc_chan *far;
	int sv[2], worker = -1;

	assert_int_equal(ipc_pair(sv), 0);
	rig.a.pool = ipc_chan_new(rig.a.base, sv[0], IPC_CH_WORK_POOL, true, &silent, &worker);
	far = ipc_chan_new(rig.a.base, sv[1], IPC_CH_WORK_POOL, false, &silent, &worker);
	rig.a.worker_ms = 60000;
	rig.a.hashing = NEW_WORKERS_MAX - 1;
	bring(1, "yescrypt", "x");
	spin();
	assert_int_equal(rig.a.hashing, NEW_WORKERS_MAX);
	bring(2, "given", "no known form");
	take(12, SID, 2);
	spin();
	assert_int_equal(rig.taken, 0);
	ipc_chan_free(&rig.admin);
	answered(1, 12, IPC_AUTH_SYNTAX);
	assert_int_equal(rig.a.hashing, NEW_WORKERS_MAX - 1);
	rig.a.hashing = 0;
	ipc_chan_free(&rig.a.pool);
	ipc_chan_free(&far);
	fd_close(&worker);
}

static void crowds_wait_for_workers(void **state)
{
	rig.a.hashing = NEW_WORKERS_MAX;
	for (uint32_t i = 1; i <= 100; i++) {
		bring(i, "", "x");
		take(10 + i, SID, i);
	}
	spin();
	assert_int_equal(rig.taken, 0);
	ipc_chan_free(&rig.admin); /* what is taken goes on */
	spin();
	rig.a.hashing = 0;
	newcomer_next(&rig.a);
	spin();
	assert_int_equal(rig.taken, 100);
	stored_is(110, "{PLAIN}x;");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { CASE(they_come_in_any_order),
		CASE(what_cannot_be_kept_is_said), CASE(is_it_there),
		CASE(who_goes_takes_along_what_is_not_taken), CASE(one_is_forgotten),
		CASE(a_number_is_used_once), CASE(what_is_dropped_is_not_put),
		CASE(a_channel_ends_while_one_is_hashed), CASE(crowds_wait_for_workers) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
