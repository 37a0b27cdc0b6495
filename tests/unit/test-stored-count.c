/*
 * Figures of the store that no client can move: messages that wait to be parsed, peers that broke
 * the rules, flushes that failed and what became of the engine. The core on an LMDB store, whose
 * system calls we fail.
 *
 * Proves: parse_queue store_peers_ended store_sync_failures store_health
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/engine/lmdb/lmdb-private.h"
#include "common/metrics/metrics.h"
#include "stored-rig.h"

#include <errno.h>
#include <string.h>

static struct engine_sys real_sys;
static _Atomic int fail_sync, fail_cut;

static int sync_fails(int fd)
{
	if (fail_sync > 0) {
		fail_sync--;
		errno = EIO;
		return -1;
	}
	return real_sys.fdatasync(fd);
}

static int cut_fails(int fd, off_t size)
{
	if (fail_cut > 0) {
		errno = EIO;
		return -1;
	}
	return real_sys.ftruncate(fd, size);
}

static int setup(void **state)
{
	static struct rig r;

	real_sys = engine_sys;
	engine_sys.fdatasync = sync_fails;
	engine_sys.ftruncate = cut_fails;
	rig_init(&r, "lmdb");
	rig_account(&r, 7, IPC_account_make);
	*state = &r;
	return 0;
}

static int teardown(void **state)
{
	fail_sync = fail_cut = 0;
	rig_fini(*state);
	engine_sys = real_sys;
	return 0;
}

static int64_t figure(struct rig *r, const char *name)
{
	struct buf b = BUF_INIT(METRICS_PACKED_MAX);
	struct metric_sample s;
	struct slice rest;
	int64_t value = -1;

	store_count(r->store);
	metrics_pack(&b);
	for (rest = buf_slice(&b); metrics_unpack(&rest, &s);)
		if (slice_eq(s.name, slice_str(name)))
			value = s.value;
	buf_fini(&b);
	return value;
}

static void a_message_without_facts_waits_for_parsed(void **state)
{
	struct rig *r = *state;
	struct rig_client *post = rig_post(r, 5);
	uint32_t handle = 1;

	assert_int_equal(figure(r, "parse_queue"), 0);
	rig_target(r, 5, 1, 7, 0);
	rig_deliver(post, 1, &handle, 1, SLICE("body"), SLICE_NONE);
	assert_int_equal(rig_wait(post, IPC_post_result)->post_result.status, IPC_ST_OK);
	assert_int_equal(figure(r, "parse_queue"), 1);
}

static void a_peer_that_breaks_the_rules_is_counted(void **state)
{
	struct rig *r = *state;
	struct rig_client *post = rig_post(r, 5);

	assert_int_equal(figure(r, "store_peers_ended"), 0);
	rig_send(post, IPC_post_commit, &(struct ipc_post_commit){ 1, SLICE_NONE });
	assert_true(rig_gone(post, 5000));
	assert_int_equal(figure(r, "store_peers_ended"), 1);
}

static void a_failed_flush_is_counted_and_the_store_goes_on(void **state)
{
	struct rig *r = *state;

	assert_int_equal(figure(r, "store_sync_failures"), 0);
	fail_sync = 1;
	assert_int_not_equal(rig_put(r, 7, SLICE("lost")), IPC_ST_OK);
	assert_int_equal(figure(r, "store_sync_failures"), 1);
	assert_int_equal(figure(r, "store_health"), ENGINE_HEALTHY);
	assert_int_equal(rig_put(r, 7, SLICE("kept")), IPC_ST_OK);
}

static void a_store_that_recovers_says_so(void **state)
{
	struct rig *r = *state;

	assert_int_equal(figure(r, "store_health"), ENGINE_HEALTHY);
	fail_sync = fail_cut = 1;
	assert_int_not_equal(rig_put(r, 7, SLICE("lost")), IPC_ST_OK);
	assert_int_equal(figure(r, "store_health"), ENGINE_RECOVERING);
	fail_cut = 0;
	/* It tries again when it is asked for something. */
	for (int i = 0; i < 200 && figure(r, "store_health") != ENGINE_HEALTHY; i++) {
		(void)rig_put(r, 7, SLICE("again"));
		rig_spin(r, 50);
	}
	assert_int_equal(figure(r, "store_health"), ENGINE_HEALTHY);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_message_without_facts_waits_for_parsed),
		CASE(a_peer_that_breaks_the_rules_is_counted),
		CASE(a_failed_flush_is_counted_and_the_store_goes_on),
		CASE(a_store_that_recovers_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
