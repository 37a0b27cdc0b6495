/*
 * The index damaged in every way: the store opens, and says what it said before.
 *
 * ENGINE_DAMAGE_ROUNDS: how many seeded damages (default 200).
 */
#include "index-help.h"

static uint64_t rnd_state;

static uint64_t rnd(uint64_t below)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 7;
	rnd_state ^= rnd_state << 17;
	return rnd_state % below;
}

/* 1 to 1,000 bytes, or pages that are zeros, noise, or another page. */
static void damage(const char *dir, unsigned round)
{
	off_t size = index_size(dir);
	int fd = index_fd(dir);
	uint8_t page[4096];
	uint64_t n;

	rnd_state = 0x9e3779b97f4a7c15u * (round + 1);
	for (int i = 0; i < 8; i++)
		rnd(2);
	n = round % 2 == 0 ? 1 + rnd(round % 4 == 0 ? 10 : 1000) : 1 + rnd(8);
	while (n-- > 0) {
		off_t at = (off_t)rnd((uint64_t)size / 4096) * 4096;

		if (round % 2 == 0) {
			at = (off_t)rnd((uint64_t)size);
			assert_int_equal(pread(fd, page, 1, at), 1);
			page[0] ^= (uint8_t)(1 + rnd(255));
			assert_int_equal(pwrite(fd, page, 1, at), 1);
			continue;
		}
		memset(page, 0, sizeof(page));
		if (round % 3 == 1)
			for (size_t i = 0; i < sizeof(page); i++)
				page[i] = (uint8_t)rnd(256);
		else if (round % 3 == 2)
			assert_int_equal(
			    pread(fd, page, sizeof(page), (off_t)rnd((uint64_t)size / 4096) * 4096),
			    sizeof(page));
		assert_int_equal(pwrite(fd, page, sizeof(page), at), sizeof(page));
	}
	if (round % 17 == 16)
		assert_int_equal(ftruncate(fd, (off_t)rnd((uint64_t)size)), 0);
	close(fd);
}

static void test_damage_heals(void **state)
{
	const char *want = getenv("ENGINE_DAMAGE_ROUNDS");
	unsigned rounds = want != NULL ? (unsigned)atoi(want) : ROUNDS, rebuilt = 0;
	struct env *v = *state;
	struct engine_stats st;

	log_init(2, false, LOG_CRIT);
	make(v);
	run("cp %/data.mdb whole.mdb", v->dir);
	for (unsigned i = 0; i < rounds; i++) {
		run("cp whole.mdb %/data.mdb", v->dir);
		damage(v->dir, i);
		v->e = store_open("lmdb", v->dir, &no_timer);
		engine_stats(v->e, &st);
		rebuilt += st.index_rebuilds > 0;
		all_there(v->e, 1);
		engine_stats(v->e, &st);
		assert_int_equal(st.index_damaged, 0);
		engine_close(&v->e);
		/* Bytes that nobody uses are no damage; of the others one index is kept. */
		assert_true(count_of(v->dir, "data.mdb.damaged-") <= 1);
		assert_int_equal(count_of(v->dir, "running"), 0);
	}
	print_message("# %u of %u were damaged where it counts\n", rebuilt, rounds);
	assert_true(rebuilt > rounds / 2);
	assert_int_equal(unlink("whole.mdb"), 0);
}

/* Pages flip under the feet of an engine that has them mapped: told, and healed by the next start.
 */
static void test_damage_of_a_row_while_open(void **state)
{
	struct env *v = *state;
	struct engine_stats st;
	uint8_t byte;
	char key[32], *file;
	off_t size;
	int fd;

	make(v);
	v->e = store_open("lmdb", v->dir, &no_timer);
	all_there(v->e, 1);
	size = index_size(v->dir);
	fd = index_fd(v->dir);
	file = malloc((size_t)size);
	assert_int_equal(pread(fd, file, (size_t)size, 0), size);
	row_name(2, 100, key);
	/* Everywhere it stands, also where it is not in use: its value follows. */
	for (off_t at = 0; at + 40 <= size; at++) {
		if (memcmp(file + at, key, 8) != 0)
			continue;
		byte = (uint8_t)(file[at + 20] ^ 4);
		assert_int_equal(pwrite(fd, &byte, 1, at + 20), 1);
	}
	close(fd);
	free(file);
	assert_int_equal(group_read(v->e, 2, 1), ENGINE_CORRUPT);
	assert_int_equal(group_read(v->e, 1, 1), 0);
	assert_int_equal(engine_health(v->e), ENGINE_BROKEN);
	engine_stats(v->e, &st);
	assert_true(st.index_damaged > 0);
	engine_close(&v->e);
	assert_int_equal(count_of(v->dir, "running"), 1);
	v->e = store_open("lmdb", v->dir, &no_timer);
	engine_stats(v->e, &st);
	assert_int_equal(st.index_rebuilds, 1);
	all_there(v->e, 1);
	assert_int_equal(count_of(v->dir, "data.mdb.damaged-"), 1);
}

/* ---- rows that nothing is wrong with, but that are not the last ---- */

static void look(const char *dir, struct check_result *ret)
{
	off_t size = index_size(dir);
	int fd = index_fd(dir);
	void *p = malloc((size_t)size + 1);
	struct check_room room = { 0 };

	assert_int_equal(pread(fd, p, (size_t)size, 0), size);
	assert_int_equal(check_room_init(&room, (uint64_t)size), 0);
	index_check(slice_of(p, (size_t)size), &room, ret);
	check_room_fini(&room);
	free(p);
	close(fd);
}

static void test_missing_and_old_rows(void **state)
{
	struct env *v = *state;
	struct check_result r;
	MDB_env *env;
	MDB_txn *t;
	MDB_dbi dbi;
	char path[128], key[40];

	make(v);
	look(v->dir, &r);
	assert_null(r.why);
	assert_int_equal(r.rows, GROUPS * (ROWS + 1));
	for (int old = 0; old < 2; old++) {
		MDB_val k, val;
		static uint8_t sealed[8100];
		char text[8000];

		snprintf(path, sizeof(path), "./%s", v->dir);
		assert_int_equal(mdb_env_create(&env), 0);
		assert_int_equal(mdb_env_open(env, path, 0, 0600), 0);
		assert_int_equal(mdb_txn_begin(env, NULL, 0, &t), 0);
		assert_int_equal(mdb_dbi_open(t, NULL, 0, &dbi), 0);
		key[0] = 7;
		memcpy(key + 1, "group-1", 7);
		row_name(1, 33, key + 8);
		k = (MDB_val){ 8 + strlen(key + 8), key };
		assert_int_equal(mdb_get(t, dbi, &k, &val), 0);
		if (old == 0) {
			assert_int_equal(mdb_del(t, dbi, &k, NULL), 0);
		} else {
			uint8_t flagged[8000] = { 0 };
			size_t n = row_value(1, 33, 0, text);
			uint64_t id = 0;
			struct index_meta m;
			MDB_val mk = { index_meta_key().n, (void *)(uintptr_t)index_meta_key().p };

			assert_int_equal(mdb_get(t, dbi, &mk, &val), 0);
			assert_int_equal(
			    index_meta_decode(slice_of(val.mv_data, val.mv_size), &m), META_OK);
			id = m.store_id;
			memcpy(flagged + 1, text, n);
			row_seal(slice_of(key, k.mv_size), slice_of(flagged, n + 1), id, sealed);
			val = (MDB_val){ n + 1 + ROW_SUM_BYTES, sealed };
			assert_int_equal(mdb_put(t, dbi, &k, &val, 0), 0);
		}
		assert_int_equal(mdb_txn_commit(t), 0);
		mdb_env_close(env);
		look(v->dir, &r);
		assert_string_equal(r.why, "rows are missing, or old");
		v->e = store_open("lmdb", v->dir, &no_timer);
		all_there(v->e, 1);
		engine_close(&v->e);
		look(v->dir, &r);
		assert_null(r.why);
	}
}

/* Compared with counting, over everything that rows can go through. */
static void test_totals_follow(void **state)
{
	struct env *v = *state;
	struct engine_conf conf = { .checkpoint_ms = NO_TIMER_MS, .overlay_bytes = 3000 };
	struct check_result r;

	for (unsigned i = 0; i < 30; i++) {
		struct engine_group *g;
		struct engine_batch *b;

		v->e = store_open("lmdb", v->dir, &conf);
		fill(v->e, i, 0, ROWS);
		g = group_open(v->e, "group-3", 0, 0);
		b = engine_batch_new(g);
		if (i % 3 == 0)
			assert_int_equal(engine_del_group(b), 0);
		else if (i % 3 == 1)
			assert_int_equal(
			    engine_del_range(b, SLICE("3-000100"), SLICE("3-000900")), 0);
		else
			assert_int_equal(engine_del(b, SLICE("3-000007")), 0);
		assert_int_equal(commit(v->e, b), 0);
		engine_group_close(&g);
		engine_close(&v->e);
		look(v->dir, &r);
		if (r.why != NULL)
			fail_msg("%s", r.why);
	}
}

static int all(void)
{
	const struct CMUnitTest cases[] = {
		CASE(test_damage_heals),
		CASE(test_damage_of_a_row_while_open),
		CASE(test_missing_and_old_rows),
		CASE(test_totals_follow),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}

int main(void)
{
	return run_apart(all);
}
