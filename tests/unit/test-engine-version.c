/* A store of which any part says a version that is not known is refused, and not a byte of it
 * changes. */
#include "engine-help.h"

#include "common/base/log.h"
#include "common/base/wire.h"
#include "common/engine/lmdb/lmdb-private.h"

#include <xxhash.h>

enum { ROWS = 40, NEWER = SEG_VERSION_SHARDS + 1 };

static const struct engine_conf conf = { .segment_bytes = 30000 };

/* Several segments, a body with a file of its own, an index; closed in order. */
static void make(const char *dir)
{
	struct engine *e = store_open("lmdb", dir, &conf);
	struct engine_group *g = group_open(e, "g", ENGINE_CREATE, 0);

	for (unsigned i = 0; i < ROWS; i++) {
		struct engine_batch *b = engine_batch_new(g);
		struct engine_body *body = body_make(e, i == 3 ? 1500000 : 3000, i);
		char key[16];

		snprintf(key, sizeof(key), "%06u", i);
		assert_int_equal(engine_put_body(b, slice_str(key), SLICE("row"), body), 0);
		assert_int_equal(commit(e, b), 0);
		engine_body_free(&body);
	}
	engine_group_close(&g);
	engine_close(&e);
}

static int open_rc(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;
	struct engine *e = NULL;

	r = engine_open("lmdb", fd, &conf, &e);
	close(fd);
	if (e != NULL)
		engine_close(&e);
	return r;
}

/* In a file that begins with a magic of 8 bytes and the version, and has its sum at byte 56. */
static void head_newer(const char *dir, const char *name, uint32_t version)
{
	char path[128];
	uint8_t p[64];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		fail_msg("%s: %s", path, strerror(errno));
	assert_int_equal(pread(fd, p, sizeof(p), 0), sizeof(p));
	assert_int_equal(wire_load_u32(p + 8), 1);
	wire_store_u32(p + 8, version);
	wire_store_u64(p + 56, XXH3_64bits(p, 56));
	assert_int_equal(pwrite(fd, p, sizeof(p), 0), sizeof(p));
	close(fd);
}

static void first_segment(const char *dir)
{
	head_newer(dir, "log-00000000", NEWER);
}

static void last_segment(const char *dir)
{
	char name[32] = "", path[128];

	for (unsigned i = 0; i < 100; i++) {
		snprintf(path, sizeof(path), "%s/log-%08x", dir, i);
		if (access(path, F_OK) == 0)
			snprintf(name, sizeof(name), "log-%08x", i);
	}
	assert_string_not_equal(name, "log-00000000");
	head_newer(dir, name, NEWER);
}

static void body_file(const char *dir)
{
	head_newer(dir, "body-00000000000001", 2);
}

static void running_file(const char *dir)
{
	struct engine *e = store_open("lmdb", dir, &conf);
	char cmd[200];

	snprintf(cmd, sizeof(cmd), "cp %s/running kept", dir);
	assert_int_equal(system(cmd), 0);
	engine_close(&e);
	snprintf(cmd, sizeof(cmd), "mv kept %s/running", dir);
	assert_int_equal(system(cmd), 0);
	head_newer(dir, "running", 2);
}

static void index_row_newer(const char *dir)
{
	uint8_t sealed[INDEX_META_BYTES + ROW_SUM_BYTES], stored[INDEX_META_BYTES];
	MDB_val k = { index_meta_key().n, (void *)(uintptr_t)index_meta_key().p }, v;
	MDB_env *env;
	MDB_txn *t;
	MDB_dbi dbi;
	char path[128];

	snprintf(path, sizeof(path), "./%s", dir);
	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_open(env, path, 0, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &t), 0);
	assert_int_equal(mdb_dbi_open(t, NULL, 0, &dbi), 0);
	assert_int_equal(mdb_get(t, dbi, &k, &v), 0);
	assert_int_equal(v.mv_size, sizeof(sealed));
	memcpy(stored, v.mv_data, sizeof(stored));
	assert_int_equal(wire_load_u32(stored), 1);
	wire_store_u32(stored, 2);
	row_seal(
	    index_meta_key(), slice_of(stored, sizeof(stored)), wire_load_u64(stored + 24), sealed);
	v = (MDB_val){ sizeof(sealed), sealed };
	assert_int_equal(mdb_put(t, dbi, &k, &v, 0), 0);
	assert_int_equal(mdb_txn_commit(t), 0);
	mdb_env_close(env);
}

static void test_newer_is_refused_untouched(void **state)
{
	static void (*const parts[])(const char *dir) = { first_segment, last_segment, body_file,
		running_file, index_row_newer };

	log_init(2, false, LOG_CRIT);
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		char dir[64], cmd[300];

		dir_make(dir);
		make(dir);
		parts[i](dir);
		snprintf(cmd, sizeof(cmd), "rm -rf before; cp -a %s before", dir);
		assert_int_equal(system(cmd), 0);
		for (int k = 0; k < 2; k++)
			assert_int_equal(open_rc(dir), ENGINE_VERSION);
		/* lock.mdb is who has LMDB open, nothing that lasts. */
		snprintf(cmd, sizeof(cmd),
		    "rm -f %s/lock.mdb before/lock.mdb; diff -r before %s && rm -r before", dir,
		    dir);
		assert_int_equal(system(cmd), 0);
		dir_remove(dir);
	}
}

/* One shard's is the whole's: its accounts are not told to wait for what no waiting brings. */
static void test_a_newer_shard(void **state)
{
	char dir[64], shard[80], cmd[300];
	struct engine *e;
	int fd, r;

	dir_make(dir);
	e = store_open("2*lmdb", dir, &conf);
	engine_close(&e);
	snprintf(shard, sizeof(shard), "%s/shard-1", dir);
	head_newer(shard, "log-00000000", NEWER);
	snprintf(cmd, sizeof(cmd), "rm -rf before; cp -a %s before", shard);
	assert_int_equal(system(cmd), 0);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = engine_open("2*lmdb", fd, &conf, &e);
	close(fd);
	assert_int_equal(r, ENGINE_VERSION);
	snprintf(cmd, sizeof(cmd), "diff -r before %s && rm -r before", shard);
	assert_int_equal(system(cmd), 0);
	dir_remove(dir);
}

/* What a crash leaves of a version must not look like another one. */
static void test_a_damaged_version_is_damage(void **state)
{
	char dir[64], path[128];
	uint8_t two = 2;
	int fd;

	dir_make(dir);
	make(dir);
	snprintf(path, sizeof(path), "%s/log-00000000", dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(fd, &two, 1, 8), 1); /* its sum says otherwise */
	close(fd);
	assert_int_equal(open_rc(dir), 0); /* nothing reads that header while there is an index */
	dir_remove(dir);
}

static int all(void)
{
	const struct CMUnitTest cases[] = {
		cmocka_unit_test(test_newer_is_refused_untouched),
		cmocka_unit_test(test_a_newer_shard),
		cmocka_unit_test(test_a_damaged_version_is_damage),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}

int main(void)
{
	return run_apart(all);
}
