/* Targets of a delivery that are joined have one fate; every other has its own; nobody two copies.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/stored-rig.h"

enum { ACCOUNTS = 6, SMALL = 5, NAMED_MAX = 10, ROUNDS = 300 };

static unsigned rnd(unsigned n)
{
	static uint64_t seed = 1;

	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % n;
}

/* Accounts from SMALL on have no room for the message. */
static bool room(uint32_t handle)
{
	return (handle & ~IPC_HANDLE_JOINED) < SMALL;
}

static void expect(const uint32_t *named, size_t n, uint32_t *ret_status)
{
	for (size_t i = 0, next; i < n; i = next) {
		bool good = room(named[i]);

		for (next = i + 1; next < n && (named[next] & IPC_HANDLE_JOINED) != 0; next++)
			good &= room(named[next]);
		for (size_t k = i; k < next; k++)
			ret_status[k] = good             ? IPC_ST_OK
					: room(named[k]) ? IPC_ST_TRYLATER
							 : IPC_ST_OVERQUOTA;
	}
}

static void deliver(
    struct rig_client *post, uint32_t tag, const uint32_t *named, size_t n, unsigned *counts)
{
	uint32_t want[NAMED_MAX];
	bool answered[NAMED_MAX] = { false }, stored[ACCOUNTS + 1] = { false };

	expect(named, n, want);
	rig_deliver(post, tag, named, n, SLICE("1234"), SLICE("f"));
	for (size_t i = 0; i < n; i++) {
		struct ipc_post_result res = rig_wait(post, IPC_post_result)->post_result;

		assert_int_equal(res.tag, tag);
		assert_true(res.index < n && !answered[res.index]);
		answered[res.index] = true;
		assert_int_equal(res.handle, named[res.index] & ~IPC_HANDLE_JOINED);
		assert_int_equal(res.status, want[res.index]);
		stored[res.handle] |= res.status == IPC_ST_OK;
	}
	for (size_t a = 1; a <= ACCOUNTS; a++)
		counts[a] += stored[a];
}

static void fates_are_joined_and_copies_are_not(void **state)
{
	struct rig r;
	struct rig_client *post;
	unsigned counts[ACCOUNTS + 1] = { 0 };

	rig_init(&r, "mem:delay_ms=1,reorder=1");
	post = rig_post(&r, 5);
	for (uint32_t a = 1; a <= ACCOUNTS; a++) {
		rig_account(&r, a, IPC_account_make);
		assert_int_equal(rig_target(&r, 5, a, a, a < SMALL ? 0 : 3), IPC_ST_OK);
	}
	for (uint32_t tag = 1; tag <= ROUNDS; tag++) {
		uint32_t named[NAMED_MAX];
		size_t n = 1 + rnd(NAMED_MAX);

		for (size_t i = 0; i < n; i++) {
			named[i] = 1 + rnd(rnd(3) > 0 ? SMALL - 1 : ACCOUNTS);
			named[i] |= i > 0 && rnd(2) > 0 ? IPC_HANDLE_JOINED : 0;
		}
		deliver(post, tag, named, n, counts);
	}
	for (uint32_t a = 1; a <= ACCOUNTS; a++) {
		struct rig_client *s = rig_session(&r, a, 100 + a, NULL);

		assert_int_equal(rig_open(s, "INBOX", 0).exists, counts[a]);
		assert_true(a < SMALL ? counts[a] > 50 : counts[a] == 0);
	}
	rig_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fates_are_joined_and_copies_are_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
