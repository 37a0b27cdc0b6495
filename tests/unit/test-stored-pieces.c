/*
 * Pieces of bodies, longer than an answer and than what stored reads at once. On every engine: its
 * spec is the argument.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/stored-rig.h"

#include "common/base/wire.h"

#include <stdlib.h>

static void put_piece(struct buf *b, uint64_t off, uint64_t len)
{
	wire_put_u32(b, 1);
	wire_put_u64(b, off);
	wire_put_u64(b, len);
}

/* Whatever their sizes, and however little the reader lets come at once. */
static void pieces_are_the_bytes_asked_for(void **state)
{
	enum { SIZE = 300000 };
	struct rig *r = *state;
	uint8_t *big = malloc(SIZE);
	struct buf got = BUF_INIT(2 * SIZE);
	struct rig_client *s, *other;
	struct ipc_mbox_opened o;

	assert_int_equal(rig_account(r, 7, IPC_account_make), IPC_ST_OK);
	for (size_t i = 0; i < SIZE; i++)
		big[i] = (uint8_t)(i * 2654435761u >> 13);
	rig_put(r, 7, slice_of(big, SIZE));
	s = rig_session(r, 7, 1, NULL);
	other = rig_session(r, 7, 2, NULL);
	o = rig_open(s, "INBOX", 0);
	rig_open(other, "INBOX", 0);
	srand(5);
	for (int round = 0; round < 40; round++) {
		uint32_t off = (uint32_t)rand() % SIZE, n = 1 + (uint32_t)rand() % (SIZE - off);
		struct rig_client *by = round % 3 == 0 ? other : s;
		struct buf ask = BUF_INIT(1000);
		bool last;

		if (round == 0)
			off = 0, n = SIZE;
		put_piece(&ask, off, n);
		put_piece(&ask, 7, 70000);
		buf_reset(&got);
		rig_send(by, IPC_parts_get,
		    &(struct ipc_parts_get){ ++r->seq, o.mbox, buf_slice(&ask) });
		do {
			const struct ipc_parts_are *a = &rig_wait(by, IPC_parts_are)->parts_are;
			struct wire_reader in = wire_reader(a->data);

			last = a->last;
			while (wire_left(&in) > 0) {
				assert_int_equal(wire_get_u32(&in), IPC_ST_OK);
				(void)wire_get_u32(&in);
				buf_put(&got, wire_get_bytes(&in, 61440));
			}
			assert_false(in.bad);
			rig_send(by, IPC_session_credit,
			    &(struct ipc_session_credit){ (uint32_t)a->data.n });
		} while (!last);
		assert_int_equal(got.n, n + 70000);
		assert_memory_equal(got.p, big + off, n);
		assert_memory_equal(got.p + n, big + 7, 70000);
		buf_fini(&ask);
	}
	buf_fini(&got);
	free(big);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    pieces_are_the_bytes_asked_for, rig_setup, rig_teardown),
	};

	if (argc > 1)
		rig_spec = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
