/*
 * A store of three shards under stored: what was begun in two of them and not finished, while one
 * is away; where new accounts are made; how much a copy from one to another takes at a time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/stored-rig-private.h"

#include "common/engine/identity.h"
#include "stored/store-private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { SHARDS = 3, SICK = 1 };

/* ---- a disk that fails ---- */

static bool disk_fails;

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

int __wrap_fdatasync(int fd)
{
	char name[64], path[512] = "";

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	if (!disk_fails || readlink(name, path, sizeof(path) - 1) <= 0 ||
	    strstr(path, "/shard-1/") == NULL)
		return __real_fdatasync(fd);
	errno = EIO;
	return -1;
}

/* The same store without that shard, or with it again. */
static void restart_without(struct rig *r)
{
	assert_int_equal(renameat(r->dir_fd, "shard-1", r->dir_fd, "aside"), 0);
	disk_fails = false;
	rig_restart(r);
	assert_string_equal(engine_shard_away(r->engine, SICK), "missing");
}

static void restart_with(struct rig *r)
{
	assert_int_equal(renameat(r->dir_fd, "aside", r->dir_fd, "shard-1"), 0);
	rig_restart(r);
	assert_null(engine_shard_away(r->engine, SICK));
}

/* ---- what is where ---- */

static unsigned shard_of(const struct rig *r, uint64_t account)
{
	const struct account *a = idmap_get(&r->store->accounts, account);

	assert_non_null(a);
	return a->shard;
}

/* One account after the other, until one is there; the last of them is. */
static uint64_t account_in(struct rig *r, unsigned shard)
{
	uint64_t id = 0;

	do
		assert_int_equal(rig_account(r, ++id, IPC_account_make), IPC_ST_OK);
	while (shard_of(r, id) != shard);
	return id;
}

static void on_count(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	assert_int_equal(rc, ENGINE_OK);
	*(size_t *)arg = n;
}

static size_t intents(const struct rig *r)
{
	struct rec_key from = key_kind(REC_INTENT), to = key_kind_end(REC_INTENT);
	size_t n = 0;

	assert_int_equal(
	    engine_scan_now(r->store->meta, key_slice(&from), key_slice(&to), 0, on_count, &n), 0);
	return n;
}

struct opened {
	int rc;
	struct engine_group *group;
};

static void on_group(void *arg, int rc, struct engine_group *take_group)
{
	*(struct opened *)arg = (struct opened){ rc, take_group };
}

static bool has_group(struct rig *r, struct rec_key id, unsigned shard)
{
	struct opened o = { .rc = -1 };

	engine_group_open(r->engine, key_slice(&id), 0, ENGINE_IN(shard), on_group, &o);
	while (o.rc == -1)
		rig_turn(r, 10);
	assert_true(o.rc == ENGINE_OK || o.rc == ENGINE_NOTFOUND);
	engine_group_close(&o.group);
	return o.rc == ENGINE_OK;
}

static void expect_nowhere(struct rig *r, uint64_t account, uint64_t inbox)
{
	for (unsigned k = 0; k < engine_shards(r->engine); k++) {
		if (engine_shard_away(r->engine, k) != NULL)
			continue;
		assert_false(has_group(r, key_group_root(account), k));
		assert_false(has_group(r, key_group_mbox(inbox), k));
	}
}

static int session_status(struct rig *r, uint64_t account)
{
	int status = IPC_ST_OK;
	struct rig_client *s = rig_session(r, account, 1, &status);

	if (s != NULL)
		rig_client_close(s);
	return status;
}

/* All rounds of the replay that can come do. */
static void retry(struct rig *r)
{
	r->store->intent_retry_ms = 0;
	for (int i = 0; i < 5; i++) {
		intent_retry(r->store);
		while (r->store->in_flight > 0)
			rig_turn(r, 10);
	}
}

/* ---- intents ---- */

/* An account of that shard with mail is dropped, and its part there cannot be stored. */
static uint64_t drop_half(struct rig *r, uint64_t *ret_inbox)
{
	uint64_t account;

	rig_init(r, "3*lmdb");
	account = account_in(r, SICK);
	*ret_inbox = ((struct account *)idmap_get(&r->store->accounts, account))->inbox->id;
	assert_int_equal(rig_put(r, account, SLICE("mail")), IPC_ST_OK);
	assert_true(has_group(r, key_group_mbox(*ret_inbox), SICK));
	/* It was opened elsewhere, so stored's own handle is stale: it begins anew. */
	rig_restart(r);
	assert_int_equal(session_status(r, account), IPC_ST_OK);
	disk_fails = true;
	assert_int_equal(rig_account(r, account, IPC_account_drop), IPC_ST_TRYLATER);
	assert_true(intents(r) > 0);
	return account;
}

static void expect_waiting(struct rig *r, uint64_t account, uint64_t inbox)
{
	size_t rows = intents(r);

	assert_true(rows > 0);
	expect_nowhere(r, account, inbox);
	assert_int_equal(session_status(r, account), IPC_ST_TRYLATER);
	retry(r);
	assert_int_equal(intents(r), rows);
	expect_nowhere(r, account, inbox);
}

static void expect_dropped(struct rig *r, uint64_t account, uint64_t inbox)
{
	assert_int_equal(intents(r), 0);
	assert_int_equal(session_status(r, account), IPC_ST_NOTFOUND);
	expect_nowhere(r, account, inbox);
	rig_fini(r);
}

static void a_drop_waits_for_its_shard(void **state)
{
	struct rig r;
	uint64_t inbox, account = drop_half(&r, &inbox);

	restart_without(&r);
	expect_waiting(&r, account, inbox);
	restart_with(&r);
	expect_dropped(&r, account, inbox);
}

/* The first shard's identity is an older one, which counts fewer. */
static void a_drop_waits_for_a_shard_that_is_not_counted(void **state)
{
	struct rig r;
	struct identity id, fewer;
	uint64_t inbox, account = drop_half(&r, &inbox);

	assert_int_equal(identity_read(r.dir_fd, &id), 0);
	fewer = id;
	fewer.shards = 1;
	disk_fails = false;
	assert_int_equal(identity_write(r.dir_fd, &fewer), 0);
	strcpy(r.spec, "1*lmdb");
	rig_restart(&r);
	assert_int_equal(engine_shards(r.engine), 1);
	expect_waiting(&r, account, inbox);
	assert_int_equal(identity_write(r.dir_fd, &id), 0);
	strcpy(r.spec, "3*lmdb");
	rig_restart(&r);
	expect_dropped(&r, account, inbox);
}

static void an_account_that_is_made_waits_for_its_shard(void **state)
{
	uint64_t account = SHARDS + SICK + 1;
	struct rig r;

	rig_init(&r, "3*lmdb");
	for (uint64_t id = 1; id < account; id++)
		assert_int_equal(rig_account(&r, id, IPC_account_make), IPC_ST_OK);
	assert_int_equal(shard_of(&r, 1 + SICK), SICK);
	disk_fails = true;
	assert_int_equal(rig_account(&r, account, IPC_account_make), IPC_ST_TRYLATER);
	assert_true(intents(&r) > 0);
	restart_without(&r);
	/* Asked for again it is not made elsewhere. */
	assert_int_equal(rig_account(&r, account, IPC_account_make), IPC_ST_TRYLATER);
	for (unsigned k = 0; k < SHARDS; k++)
		if (k != SICK)
			assert_false(has_group(&r, key_group_root(account), k));
	retry(&r);
	assert_true(intents(&r) > 0);
	restart_with(&r);
	assert_int_equal(intents(&r), 0);
	assert_int_equal(rig_account(&r, account, IPC_account_make), IPC_ST_OK);
	assert_int_equal(shard_of(&r, account), SICK);
	assert_int_equal(rig_put(&r, account, SLICE("mail")), IPC_ST_OK);
	rig_fini(&r);
}

/* ---- new accounts ---- */

/* Makes so many; how many of them could not be, and none of the others is there. */
static unsigned make(struct rig *r, uint64_t *io_id, unsigned n)
{
	unsigned failed = 0;

	for (unsigned i = 0; i < n; i++) {
		int status = rig_account(r, ++*io_id, IPC_account_make);

		failed += status != IPC_ST_OK;
		if (status == IPC_ST_OK)
			assert_int_not_equal(shard_of(r, *io_id), SICK);
	}
	return failed;
}

/* It is healthy, and has the fewest: one is tried, and then no more for a while. */
static void new_accounts_avoid_a_full_shard(void **state)
{
	const struct engine_faults full = { .seed = 1, .full = 1 }, none = { .seed = 1 };
	struct rig r;
	uint64_t id = 0;

	rig_init(&r, "3*mem");
	while (id < SHARDS)
		assert_int_equal(rig_account(&r, ++id, IPC_account_make), IPC_ST_OK);
	assert_int_equal(engine_faults_set(engine_shard(r.engine, SICK), &full), 0);
	assert_int_equal(make(&r, &id, 12), 1);
	assert_int_equal(engine_health(engine_shard(r.engine, SICK)), ENGINE_HEALTHY);
	assert_int_equal(engine_faults_set(engine_shard(r.engine, SICK), &none), 0);
	r.store->shard_rest_ms = 0;
	assert_int_equal(rig_account(&r, ++id, IPC_account_make), IPC_ST_OK);
	assert_int_equal(shard_of(&r, id), SICK);
	rig_fini(&r);
}

static void new_accounts_avoid_a_sick_shard(void **state)
{
	struct rig r;
	uint64_t id = 0;

	rig_init(&r, "3*lmdb");
	r.store->shard_rest_ms = 0; /* its health alone */
	while (id < SHARDS)
		assert_int_equal(rig_account(&r, ++id, IPC_account_make), IPC_ST_OK);
	disk_fails = true;
	assert_int_equal(make(&r, &id, 12), 1);
	assert_int_not_equal(engine_health(engine_shard(r.engine, SICK)), ENGINE_HEALTHY);
	restart_without(&r);
	r.store->shard_rest_ms = 0;
	assert_int_equal(make(&r, &id, 12), 0);
	rig_fini(&r);
}

/* ---- a copy to another shard ---- */

enum { DOUBLINGS = 11, COPIES = 1 << DOUBLINGS, BODY = 15000, FRAME_MAX = 18 << 20 };

static void routerd(struct rig *r, const struct ipc_foreign_ask *m)
{
	rig_send(r->routerd, IPC_foreign_is,
	    &(struct ipc_foreign_is){ .seq = m->seq,
		.status = IPC_DIR_OK,
		.account = slice_eq(m->name, SLICE("one")) ? 1 : 2,
		.name = SLICE("canonical@example.test") });
}

static int copy(struct rig_client *s, uint32_t mbox, const char *to, bool move)
{
	enum ipc_type type;
	const union ipc_any *m;

	rig_send(s, IPC_msg_copy,
	    &(struct ipc_msg_copy){
		++s->rig->seq, mbox, move, slice_str(to), SLICE("\1\0\0\0\377\377\377\377") });
	do
		m = rig_next(s, 60000, &type, NULL);
	while (m != NULL && (type != IPC_copy_done || m->copy_done.more));
	return m == NULL ? IPC_ST_TRYLATER : (int)m->copy_done.status;
}

/* Of 64 values: packed, it takes three quarters. */
static void body_fill(uint8_t body[BODY])
{
	for (size_t i = 0; i < BODY; i++) {
		uint64_t z = (i + 1) * 0x9e3779b97f4a7c15u;

		body[i] = (uint8_t)(' ' + ((z ^ z >> 29) * 0xbf58476d1ce4e5b9u >> 58));
	}
}

/* So many bodies came into the shard of that account, and not at once. */
static void expect_portions(const struct rig *r, uint64_t account)
{
	struct engine_stats st;

	engine_stats(engine_shard(r->engine, shard_of(r, account)), &st);
	assert_true(st.frame_bytes > (uint64_t)COPIES * BODY);
	assert_true(st.frame_largest < FRAME_MAX);
}

/* Bodies that are short enough to stay in memory, 30 MB of them. */
static void a_copy_to_another_shard_goes_in_portions(void **state)
{
	static uint8_t body[BODY];
	struct rig_client *s;
	struct ipc_mbox_opened o;
	struct rig r;

	rig_init(&r, "3*lmdb");
	r.on_foreign = routerd;
	r.service = "imap";
	r.compress = 0;
	body_fill(body);
	for (uint64_t id = 1; id <= 2; id++)
		assert_int_equal(rig_account(&r, id, IPC_account_make), IPC_ST_OK);
	assert_int_not_equal(shard_of(&r, 1), shard_of(&r, 2));
	assert_int_equal(rig_put(&r, 1, slice_of(body, BODY)), IPC_ST_OK);
	s = rig_session(&r, 1, 1, NULL);
	for (int i = 0; i < DOUBLINGS; i++) {
		o = rig_open(s, "INBOX", 0);
		assert_int_equal(copy(s, o.mbox, "INBOX", false), IPC_ST_OK);
	}
	o = rig_open(s, "INBOX", 0);
	assert_int_equal(o.exists, COPIES);
	assert_int_equal(copy(s, o.mbox, "~two/INBOX", false), IPC_ST_OK);
	expect_portions(&r, 2);
	for (int round = 0; round < 2; round++) {
		s = rig_session(&r, 2, 2, NULL);
		o = rig_open(s, "INBOX", 0);
		assert_int_equal(o.exists, COPIES);
		assert_int_equal(o.bytes, (uint64_t)COPIES * BODY);
		for (uint32_t uid = 1; uid <= COPIES; uid += COPIES / 8 - 1) {
			uint8_t *p;
			size_t n;

			assert_int_equal(rig_body(s, o.mbox, uid, &p, &n), IPC_ST_OK);
			assert_int_equal(n, BODY);
			assert_memory_equal(p, body, n);
			free(p);
		}
		rig_restart(&r);
	}
	/* And back, as a move. */
	s = rig_session(&r, 2, 2, NULL);
	o = rig_open(s, "INBOX", 0);
	assert_int_equal(copy(s, o.mbox, "~one/INBOX", true), IPC_ST_OK);
	expect_portions(&r, 1);
	s = rig_session(&r, 1, 1, NULL);
	assert_int_equal(rig_open(s, "INBOX", 0).exists, 2 * COPIES);
	rig_fini(&r);
}

static int teardown(void **state)
{
	disk_fails = false;
	return 0;
}

int main(void)
{
#define CASE(f) cmocka_unit_test_teardown(f, teardown)
	const struct CMUnitTest tests[] = {
		CASE(a_drop_waits_for_its_shard),
		CASE(a_drop_waits_for_a_shard_that_is_not_counted),
		CASE(an_account_that_is_made_waits_for_its_shard),
		CASE(new_accounts_avoid_a_full_shard),
		CASE(new_accounts_avoid_a_sick_shard),
		CASE(a_copy_to_another_shard_goes_in_portions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
