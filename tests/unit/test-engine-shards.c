/* A store of several shards: bodies that cross, commits that wait for them, directories that are
 * not where they were. What every engine promises is in test-engine-contract.c. */
#include "shards-help.h"

#include "common/engine/identity.h"
#include "common/engine/lmdb/lmdb-private.h"

static const char *spec = "3*lmdb";

static int put_ref(
    struct engine *e, struct engine_group *g, const char *key, const struct engine_loc *loc)
{
	struct engine_batch *b = engine_batch_new(g);

	assert_int_equal(engine_put_ref(b, slice_str(key), SLICE("copy"), loc), 0);
	return commit(e, b);
}

/* ---- bodies ---- */

static struct engine_loc told_from, told_to;
static unsigned told;

static void on_moved(
    void *arg, struct slice key, const struct engine_loc *from, const struct engine_loc *to)
{
	assert_true(slice_eq(key, slice_str(arg)));
	told_from = *from;
	told_to = *to;
	told++;
}

/* One upload into all shards, in one turn; then a row of another shard refers to each. */
static void bodies_cross(size_t n, unsigned seed)
{
	struct engine *e = store_open(spec, dir, NULL);
	struct engine_group *g[SHARDS];
	struct answer a[SHARDS];
	struct engine_body *body = body_make(e, n, seed);
	struct engine_loc loc;
	char key[] = "ref";

	for (unsigned k = 0; k < SHARDS; k++) {
		struct engine_batch *b;

		g[k] = group_in(e, "g", k);
		b = engine_batch_new(g[k]);
		assert_int_equal(engine_batch_shard(b), k);
		assert_int_equal(engine_put_body(b, SLICE("m"), SLICE("row"), body), 0);
		commit_start(e, b, &a[k]);
	}
	for (unsigned k = 0; k < SHARDS; k++) {
		wait_for(e, &a[k].rc);
		assert_int_equal(a[k].rc, 0);
		assert_int_equal(engine_body_loc_in(body, g[k], &loc), 0);
		assert_memory_equal(&loc, &get(e, g[k], "m")->loc, sizeof(loc));
		body_expect(e, &loc, n, seed);
	}
	engine_body_free(&body);
	for (unsigned k = 0; k < SHARDS; k++) {
		struct engine_group *there = g[(k + 1) % SHARDS];

		loc = get(e, g[k], "m")->loc;
		told = 0;
		engine_group_on_moved(there, on_moved, key);
		assert_int_equal(put_ref(e, there, "ref", &loc), 0);
		assert_int_equal(told, 1);
		assert_memory_equal(&told_from, &loc, sizeof(loc));
		loc = get(e, there, "ref")->loc;
		assert_memory_equal(&told_to, &loc, sizeof(loc));
		body_expect(e, &loc, n, seed);
	}
	for (unsigned k = 0; k < SHARDS; k++)
		engine_group_close(&g[k]);
	engine_close(&e);
	if (strstr(spec, "mem") != NULL)
		return;
	/* They are in their own shard's files: the others are not asked. */
	e = store_open(spec, dir, NULL);
	for (unsigned k = 0; k < SHARDS; k++) {
		g[k] = group_in(e, "g", k);
		loc = get(e, g[k], "ref")->loc;
		body_expect(e, &loc, n, seed);
		engine_group_close(&g[k]);
	}
	engine_close(&e);
}

static void test_bodies_cross(void **state)
{
	static const size_t sizes[] = { 0, 1, 5000, 65537, 1048576, 3000001 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		bodies_cross(sizes[i], (unsigned)i);
}

/* What is handed in behind a commit that waits comes behind it, and fails with it. */
static void test_order_behind_a_copy(void **state)
{
	struct engine *e = store_open(spec, dir, NULL);
	struct engine_group *g = group_in(e, "from", 1), *h = group_in(e, "to", 2);
	struct engine_body *body = body_make(e, 2000000, 7);
	struct engine_batch *b = engine_batch_new(g);
	struct engine_loc loc, bad;
	struct answer a[3], open = { .rc = WAITING };

	assert_int_equal(engine_put_body(b, SLICE("m"), SLICE("row"), body), 0);
	assert_int_equal(commit(e, b), 0);
	engine_body_free(&body);
	loc = bad = get(e, g, "m")->loc;
	bad.b[8] ^= 0x55;
	bad.b[16] ^= 0x55;
	for (int turn = 0; turn < 2; turn++) {
		b = engine_batch_new(h);
		assert_int_equal(
		    engine_put_ref(b, SLICE("k"), SLICE("1"), turn == 0 ? &loc : &bad), 0);
		commit_start(e, b, &a[0]);
		for (int i = 1; i < 3; i++) {
			b = engine_batch_new(h);
			assert_int_equal(engine_put(b, SLICE("k"), SLICE("later")), 0);
			commit_start(e, b, &a[i]);
		}
		wait_for(e, &a[2].rc);
		for (int i = 0; i < 3; i++)
			if (turn == 0)
				assert_int_equal(a[i].rc, 0);
			else
				assert_true(i == 0 ? a[i].rc == ENGINE_CORRUPT ||
							 a[i].rc == ENGINE_NOTFOUND ||
							 a[i].rc == ENGINE_IO
						   : a[i].rc == ENGINE_CANCELLED);
		assert_string_equal(get(e, h, "k")->text, "k=later ");
		assert_int_equal(put(e, h, "after", turn == 0 ? "0" : "1"), 0);
	}
	assert_int_equal(engine_group_seq(h), 5);
	/* Who opens the group meanwhile sees what was on its way. */
	b = engine_batch_new(h);
	assert_int_equal(engine_put_ref(b, SLICE("last"), SLICE("1"), &loc), 0);
	commit_start(e, b, &a[0]);
	engine_group_open(e, SLICE("to"), 0, ENGINE_IN(2), on_group, &open);
	wait_for(e, &open.rc);
	assert_int_equal(a[0].rc, 0);
	assert_int_equal(engine_group_seq(open.group), 6);
	engine_group_close(&open.group);
	/* And the engine closes while one waits. */
	engine_group_close(&h);
	h = group_in(e, "to", 2);
	b = engine_batch_new(h);
	assert_int_equal(engine_put_ref(b, SLICE("never told"), SLICE("1"), &loc), 0);
	commit_start(e, b, &a[0]);
	engine_group_close(&g);
	engine_group_close(&h);
	engine_close(&e);
	assert_int_equal(a[0].rc, WAITING);
}

/* ---- directories ---- */

static void test_directories(void **state)
{
	struct engine *e;

	make_three();
	expect_away("3*lmdb", NULL, NULL);
	expect_away("1*lmdb", NULL, NULL); /* fewer are not possible */
	run("mv shard-1 aside");
	expect_away("3*lmdb", "missing", NULL);
	run("mkdir shard-1");
	expect_away("3*lmdb", "not-mounted", NULL);
	run("rmdir shard-1 && mv shard-2 shard-1 && mv aside shard-2");
	expect_away("3*lmdb", "other-shard", "other-shard");
	run("mv shard-2 aside && mv shard-1 shard-2 && mv aside shard-1");
	expect_away("3*lmdb", NULL, NULL);
	run("sed -i 's/^store ./store x/' shard-1/identity");
	expect_away("3*lmdb", "identity", NULL);
	run("sed 's/^store .*/store 0000000000000001/; s/shard x/shard 1/' shard-2/identity | "
	    "sed 's/^shard 2/shard 1/' >shard-1/identity");
	expect_away("3*lmdb", "other-store", NULL);
	run("sed 's/^shard 2/shard 1/' shard-2/identity >shard-1/identity");
	expect_away("3*lmdb", NULL, NULL);
	run("mkdir kept && mv shard-2/log-* kept/");
	expect_away("3*lmdb", NULL, "empty");
	run("mv kept/* shard-2/ && rmdir kept");
	expect_away("3*lmdb", NULL, NULL);
	/* A store of one becomes one of three, and keeps what it had. */
	dir_remove(dir);
	dir_make(dir);
	e = store_open("1*lmdb", dir, NULL);
	struct engine_group *g = group_in(e, "g", 0);

	assert_int_equal(engine_shards(e), 1);
	assert_int_equal(put(e, g, "k", "v"), 0);
	engine_group_close(&g);
	engine_close(&e);
	make_three();
	expect_away("3*lmdb", NULL, NULL);
}

static void expect_refused(int want)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct engine *e = NULL;

	assert_true(fd >= 0);
	assert_int_equal(engine_open("3*lmdb", fd, NULL, &e), want);
	close(fd);
}

/* Names, sizes, times and bytes of all that is there. */
static const char sums[] = "find . -printf '%P %s %T@ %C@\\n' | sort; find . -type f | sort | "
			   "xargs sha256sum";

/* Whose the first directory is, is known before anything is made or changed in it. */
static void test_the_first_directory_is_the_first(void **state)
{
	char before[256], after[300];

	make_three();
	snprintf(before, sizeof(before), "{ %s; } >../before", sums);
	snprintf(after, sizeof(after), "{ %s; } >../after; cmp ../before ../after", sums);
	run("mkdir ../kept && mv * ../kept/ && mv ../kept/shard-1/* .");
	run(before);
	expect_refused(ENGINE_CORRUPT); /* the second disk in the first one's place */
	run(after);
	run("sed -i 's/^gatehouse-shard 1/gatehouse-shard 2/' identity");
	run(before);
	expect_refused(ENGINE_VERSION);
	run(after);
	run("sed -i 's/^gatehouse-shard 2/gatehouse-shard 1/' identity && mv * ../kept/shard-1/ && "
	    "mv ../kept/* . && rmdir ../kept && rm ../before ../after");
	expect_away("3*lmdb", NULL, NULL);
}

static void test_damage_stays_in_its_shard(void **state)
{
	make_three();
	expect_away("3*lmdb", NULL, NULL); /* another frame behind the first */
	run("for f in shard-1/log-*; do printf xxxx | dd of=$f bs=1 seek=100 conv=notrunc "
	    "status=none; done; rm shard-1/data.mdb");
	expect_away("3*lmdb", "damaged", NULL);
}

/* A disk of its own that fails. */
static bool disk_fails;

static int sync_or_fail(int fd)
{
	char name[64], path[512] = "";

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	if (readlink(name, path, sizeof(path) - 1) > 0 && disk_fails &&
	    strstr(path, "/shard-1/") != NULL) {
		errno = EIO;
		return -1;
	}
	return fdatasync(fd);
}

static void test_a_failed_sync_stays_in_its_shard(void **state)
{
	struct engine_sys was = engine_sys;
	struct engine *e = store_open("3*lmdb", dir, NULL);
	struct engine_group *g[SHARDS];

	engine_sys.fdatasync = sync_or_fail;
	for (unsigned k = 0; k < SHARDS; k++) {
		g[k] = group_in(e, "g", k);
		assert_int_equal(put(e, g[k], "k", "v"), 0);
	}
	disk_fails = true;
	for (int turn = 0; turn < 3; turn++)
		for (unsigned k = 0; k < SHARDS; k++) {
			int rc = put(e, g[k], "k", "v");

			if (k != 1)
				assert_int_equal(rc, 0);
			else
				assert_true(
				    rc == ENGINE_IO || rc == ENGINE_UNKNOWN || rc == ENGINE_STALE);
		}
	assert_int_equal(engine_health(engine_shard(e, 0)), ENGINE_HEALTHY);
	assert_int_equal(engine_health(engine_shard(e, 1)), ENGINE_RECOVERING);
	assert_int_equal(engine_health(engine_shard(e, 2)), ENGINE_HEALTHY);
	assert_int_equal(engine_health(e), ENGINE_RECOVERING);
	disk_fails = false;
	/* It comes back by itself, for who asks it. */
	engine_group_close(&g[1]);
	for (int64_t end = clock_mono_ms() + 60000; g[1] == NULL;) {
		struct answer a = { .rc = WAITING };
		struct engine_group *other = group_in(e, "again", 1);

		assert_true(clock_mono_ms() < end);
		if (put(e, other, "k", "v") == 0) {
			engine_group_open(
			    e, SLICE("g"), 0, ENGINE_CREATE | ENGINE_IN(1), on_group, &a);
			wait_for(e, &a.rc);
			assert_int_equal(a.rc, 0);
			g[1] = a.group;
		} else {
			poll(NULL, 0, 50);
		}
		engine_group_close(&other);
	}
	assert_int_equal(put(e, g[1], "k", "v"), 0);
	for (unsigned k = 0; k < SHARDS; k++)
		engine_group_close(&g[k]);
	engine_close(&e);
	engine_sys = was;
}

static void test_in_memory(void **state)
{
	spec = "3*mem";
	test_bodies_cross(state);
	test_order_behind_a_copy(state);
	spec = "3*mem:delay_ms=2,reorder=1";
	test_bodies_cross(state);
	test_order_behind_a_copy(state);
	spec = "3*lmdb";
}

static void test_packed(void **state)
{
	pack_bodies = true;
	test_bodies_cross(state);
	pack_bodies = false;
}

static int tests(void)
{
	const struct CMUnitTest all[] = {
		CASE(test_bodies_cross),
		CASE(test_packed),
		CASE(test_order_behind_a_copy),
		CASE(test_directories),
		CASE(test_the_first_directory_is_the_first),
		CASE(test_damage_stays_in_its_shard),
		CASE(test_a_failed_sync_stays_in_its_shard),
		CASE(test_in_memory),
	};

	return cmocka_run_group_tests(all, NULL, NULL);
}

int main(void)
{
	return run_apart(tests);
}
