/* What a session has not been told yet: changes of flags by others and by itself. */
#include "protocols/imap/view.h"

#include "common/base/wire.h"
#include "common/ipc/types.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

enum { OWN = 7 };

static void row_of(struct view *v, uint32_t what, uint32_t uid, uint32_t flags)
{
	uint8_t row[IPC_EVENT_BYTES] = { 0 };

	wire_store_u32(row, what);
	wire_store_u32(row + 4, uid);
	wire_store_u32(row + 8, flags);
	assert_true(view_events(v, slice_of(row, sizeof(row)), SLICE_NONE));
}

static void arrive(struct view *v, uint32_t uid, uint32_t flags)
{
	row_of(v, IPC_EV_NEW, uid, flags);
}

static void event(struct view *v, uint32_t uid, uint32_t flags, uint32_t seq, uint64_t modseq)
{
	uint8_t row[IPC_EVENT_BYTES] = { 0 };

	wire_store_u32(row, IPC_EV_FLAGS);
	wire_store_u32(row + 4, uid);
	wire_store_u32(row + 8, flags);
	wire_store_u32(row + 12, seq);
	wire_store_u64(row + 24, modseq);
	assert_true(view_events(v, slice_of(row, sizeof(row)), SLICE_NONE));
}

static void own_changes_are_not_told(void **state)
{
	struct view v = { 0 };

	(void)state;
	event(&v, 5, IPC_FLAG_SEEN, OWN, 81);
	event(&v, 6, IPC_FLAG_SEEN, 0, 82);
	view_forget_own(&v, OWN);
	assert_int_equal(v.n_changes, 1);
	assert_int_equal(v.changes[0].uid, 6);
	view_fini(&v);
}

/* What the client would be told of the first change alone is wrong by then (RFC 3501 6.4.6). */
static void a_change_of_others_before_an_own_one_is_told_with_both(void **state)
{
	struct view v = { 0 };

	(void)state;
	event(&v, 4, IPC_FLAG_DRAFT, 0, 80);
	event(&v, 5, IPC_FLAG_SEEN, 0, 81);
	event(&v, 5, IPC_FLAG_SEEN | IPC_FLAG_DELETED, OWN, 82);
	view_forget_own(&v, OWN);
	assert_int_equal(v.n_changes, 2);
	assert_int_equal(v.changes[1].uid, 5);
	assert_int_equal(v.changes[1].flags, IPC_FLAG_SEEN | IPC_FLAG_DELETED);
	assert_int_equal(v.changes[1].modseq, 82);
	view_fini(&v);
}

static void what_is_told_already_is_told_again_when_it_changes(void **state)
{
	struct view v = { 0 };

	(void)state;
	event(&v, 5, IPC_FLAG_SEEN, 0, 81);
	v.change_at = 1;
	event(&v, 5, 0, 0, 82);
	assert_int_equal(v.n_changes, 2);
	event(&v, 5, IPC_FLAG_DRAFT, 0, 83);
	assert_int_equal(v.n_changes, 2);
	assert_int_equal(v.changes[1].modseq, 83);
	view_fini(&v);
}

/*
 * Two sessions open the mailbox before messages 3 and 4 come, and read the list of uids after that:
 * each message is recent where its event says so, and nowhere else (RFC 3501 2.3.2).
 */
static void a_message_that_comes_meanwhile_is_recent_once(void **state)
{
	uint8_t pair[8];
	struct view v[2] = { { .loading = true }, { .loading = true } };

	(void)state;
	wire_store_u32(pair, 1);
	wire_store_u32(pair + 4, 4);
	for (int i = 0; i < 2; i++) {
		arrive(&v[i], 3, i == 0 ? IPC_FLAG_RECENT : 0);
		assert_true(view_load(&v[i], slice_of(pair, sizeof(pair))));
		arrive(&v[i], 4, i == 1 ? IPC_FLAG_RECENT : 0);
		assert_true(view_loaded(&v[i], i == 0 ? 2 : 3, 3));
		assert_false(view_is_recent(&v[i], 1));
		assert_int_equal(view_is_recent(&v[i], 2), i == 0);
		assert_int_equal(view_is_recent(&v[i], 3), i == 0);
		assert_int_equal(view_is_recent(&v[i], 4), i == 1);
		assert_int_equal(v[i].count, 4);
		view_fini(&v[i]);
	}
}

/* "5:6" would name it to stored otherwise, and COPY bring it back. */
static void what_came_and_went_untold_is_remembered(void **state)
{
	struct view v = { 0 };

	(void)state;
	arrive(&v, 4, 0);
	arrive(&v, 5, 0);
	arrive(&v, 6, 0);
	row_of(&v, IPC_EV_EXPUNGED, 5, 0);
	assert_true(view_grow(&v));
	assert_int_equal(v.count, 2);
	assert_true(set_has(&v.ghosts, 5));
	row_of(&v, IPC_EV_EXPUNGED, 6, 0);
	assert_false(set_has(&v.ghosts, 6));
	view_fini(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_changes_are_not_told),
		cmocka_unit_test(a_change_of_others_before_an_own_one_is_told_with_both),
		cmocka_unit_test(a_message_that_comes_meanwhile_is_recent_once),
		cmocka_unit_test(what_came_and_went_untold_is_remembered),
		cmocka_unit_test(what_is_told_already_is_told_again_when_it_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
