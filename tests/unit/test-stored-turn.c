/* One session's questions do not keep others waiting. */
#include "common/base/clock.h"
#include "tests/unit/stored-rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

enum { DOUBLINGS = 16, QUESTIONS = 900, BODY = 300000 };

static void copy_all(struct rig_client *s, uint32_t mbox)
{
	uint8_t all[8] = { 1, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f };

	rig_send(s, IPC_msg_copy,
	    &(struct ipc_msg_copy){
		.seq = 1, .mbox = mbox, .to = SLICE("INBOX"), .uids = slice_of(all, 8) });
	for (;;) {
		const struct ipc_copy_done *d = &rig_wait(s, IPC_copy_done)->copy_done;

		assert_int_equal(d->status, IPC_ST_OK);
		if (d->more == 0)
			return;
	}
}

/*
 * Questions without an answer, each a walk over a large mailbox, wait behind a body whose reader
 * gives no credit; then all of them could be answered at once.
 */
static void a_session_has_its_share_of_a_turn(void **state)
{
	static uint8_t body[BODY];
	struct rig r;
	struct rig_client *a, *b;
	struct ipc_mbox_opened o;
	int64_t began_ms, b_ms;
	size_t got = 0;

	(void)state;
	memset(body, 'x', sizeof(body));
	rig_init(&r, "mem");
	assert_int_equal(rig_account(&r, 7, IPC_account_make), IPC_ST_OK);
	assert_int_equal(rig_put(&r, 7, slice_of(body, sizeof(body))), IPC_ST_OK);
	a = rig_session(&r, 7, 1, NULL);
	b = rig_session(&r, 7, 2, NULL);
	for (unsigned i = 0; i < DOUBLINGS; i++) {
		o = rig_open(a, "INBOX", 0);
		copy_all(a, o.mbox);
		rig_send(a, IPC_mbox_close, &(struct ipc_mbox_close){ .seq = 2, .mbox = o.mbox });
		rig_wait(a, IPC_store_done);
	}
	o = rig_open(a, "INBOX", 0);
	rig_send(a, IPC_body_get, &(struct ipc_body_get){ .seq = 3, .mbox = o.mbox, .uid = 1 });
	while (got < IPC_WINDOW_BYTES)
		got += rig_wait(a, IPC_body_data)->body_data.data.n;
	for (uint32_t i = 0; i < QUESTIONS; i++)
		rig_send(a, IPC_mbox_scan,
		    &(struct ipc_mbox_scan){ .seq = 4, .mbox = o.mbox, .since = UINT64_MAX });
	rig_spin(&r, 300);
	began_ms = clock_mono_ms();
	rig_send(a, IPC_session_credit, &(struct ipc_session_credit){ .bytes = IPC_WINDOW_BYTES });
	rig_send(b, IPC_quota_get, &(struct ipc_quota_get){ .seq = 1 });
	rig_wait(b, IPC_quota_is);
	b_ms = clock_mono_ms() - began_ms;
	while (got < BODY)
		got += rig_wait(a, IPC_body_data)->body_data.data.n;
	for (uint32_t i = 0; i < QUESTIONS; i++)
		rig_wait(a, IPC_mbox_rows);
	if (b_ms * 2 > clock_mono_ms() - began_ms)
		fail_msg("waited %d ms for others", (int)b_ms);
	rig_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_session_has_its_share_of_a_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
