/*
 * The index damaged in every way: the store opens, and says what it said before.
 *
 * ENGINE_DAMAGE_ROUNDS: how many seeded damages (default 200).
 */
#include "engine-help.h"

#include "common/base/log.h"
#include "common/engine/lmdb/check.h"
#include "common/engine/lmdb/lmdb-private.h"

#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>

enum { GROUPS = 4, ROWS = 300, ROUNDS = 200, NO_TIMER_MS = 3600000 };

static const struct engine_conf no_timer = { .checkpoint_ms = NO_TIMER_MS };

struct env {
	char dir[64];
	struct engine *e;
};

static int env_open(void **state)
{
	static struct env v;

	dir_make(v.dir);
	v.e = NULL;
	*state = &v;
	return 0;
}

static int env_close(void **state)
{
	struct env *v = *state;
	bool left_open = v->e != NULL && (v->e->n_handles > 0 || v->e->dispatching);

	if (!left_open)
		engine_close(&v->e);
	dir_remove(v->dir);
	return left_open ? -1 : 0;
}

static int open_rc(const char *dir, const struct engine_conf *conf, struct engine **ret_e)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

	assert_true(fd >= 0);
	r = engine_open("lmdb", fd, conf, ret_e);
	close(fd);
	return r;
}

/* A shell command in which every % stands for the store's directory. */
static void run(const char *with, const char *dir)
{
	char cmd[300] = "";
	size_t n = 0;

	for (; *with != '\0'; with++)
		n += (size_t)snprintf(cmd + n, sizeof(cmd) - n, *with == '%' ? "%s" : "%.1s",
		    *with == '%' ? dir : with);
	assert_int_equal(system(cmd), 0);
}

/* ---- a store of which everything is known ---- */

static void row_name(int g, int i, char key[32])
{
	snprintf(key, 32, "%d-%06d", g, i * 7);
}

/* Some are long, so that they get pages of their own. */
static size_t row_value(int g, int i, unsigned age, char *val)
{
	size_t n = i % 50 == 7 ? 6000 : 20 + (size_t)(i * 31 + g) % 100;

	for (size_t k = 0; k < n; k++)
		val[k] = (char)('a' + (k + (size_t)i * 3 + (size_t)g + age) % 26);
	return n;
}

static void fill(struct engine *e, unsigned age, int from, int to)
{
	static char val[8000];

	for (int g = 0; g < GROUPS; g++) {
		char id[32], key[32];
		struct engine_group *grp;
		struct engine_batch *b;

		snprintf(id, sizeof(id), "group-%d", g);
		grp = group_open(e, id, ENGINE_CREATE, 0);
		b = engine_batch_new(grp);
		for (int i = from; i < to; i++) {
			row_name(g, i, key);
			assert_int_equal(
			    engine_put(b, slice_str(key), slice_of(val, row_value(g, i, age, val))),
			    0);
		}
		assert_int_equal(commit(e, b), 0);
		engine_group_close(&grp);
	}
}

struct seen {
	int rc, g, at;
	unsigned age;
	bool more, wrong;
	char last[32];
};

static void on_seen(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	static char val[8000];
	struct seen *s = arg;

	s->rc = rc;
	s->more = more;
	for (size_t i = 0; rc == 0 && i < n; i++, s->at++) {
		char key[32];

		row_name(s->g, s->at, key);
		s->wrong |=
		    !slice_eq(rows[i].key, slice_str(key)) ||
		    !slice_eq(rows[i].val, slice_of(val, row_value(s->g, s->at, s->age, val)));
		snprintf(s->last, sizeof(s->last), "%.*s", SLICE_FMT(rows[i].key));
	}
}

/* All of a group: 0, or what a read said first. Never another row than the one that was put. */
static int group_read(struct engine *e, int g, unsigned age)
{
	struct seen s = { .g = g, .age = age, .more = true };
	struct engine_group *grp;
	char id[32];

	snprintf(id, sizeof(id), "group-%d", g);
	grp = group_open(e, id, 0, 0);
	while (s.more && !s.wrong) {
		size_t n = strlen(s.last);

		s.rc = WAITING;
		/* behind the last one: the key and a zero */
		engine_scan(grp, slice_of(s.last, n > 0 ? n + 1 : 0), SLICE_NONE, 100, on_seen, &s);
		wait_for(e, &s.rc);
		if (s.rc != 0)
			break;
	}
	engine_group_close(&grp);
	assert_false(s.wrong);
	if (s.rc == 0)
		assert_int_equal(s.at, ROWS);
	return s.rc;
}

static void all_there(struct engine *e, unsigned age)
{
	for (int g = 0; g < GROUPS; g++)
		assert_int_equal(group_read(e, g, age), 0);
}

static void make(struct env *v)
{
	v->e = store_open("lmdb", v->dir, &no_timer);
	fill(v->e, 0, 0, ROWS);
	engine_close(&v->e);
	/* Pages that are not in use any more, and a second transaction. */
	v->e = store_open("lmdb", v->dir, &no_timer);
	fill(v->e, 1, 0, ROWS);
	engine_close(&v->e);
}

static unsigned count_of(const char *dir, const char *prefix)
{
	DIR *d = opendir(dir);
	struct dirent *de;
	unsigned n = 0;

	while ((de = readdir(d)) != NULL)
		n += strncmp(de->d_name, prefix, strlen(prefix)) == 0;
	closedir(d);
	return n;
}

/* ---- damage ---- */

static uint64_t rnd_state;

static uint64_t rnd(uint64_t below)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 7;
	rnd_state ^= rnd_state << 17;
	return rnd_state % below;
}

static off_t index_size(const char *dir)
{
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), "%s/data.mdb", dir);
	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

static int index_fd(const char *dir)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/data.mdb", dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
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

/* ---- how often ---- */

static void spoil(const char *dir)
{
	static const uint8_t noise[64] = { 0xff, 0xff };
	int fd = index_fd(dir);
	off_t size = index_size(dir);

	for (off_t at = 4096; at < size; at += 4096)
		assert_int_equal(pwrite(fd, noise, sizeof(noise), at), sizeof(noise));
	close(fd);
}

/* A new index gets its rows at once, not with the first checkpoint. */
static const struct engine_conf small_steps = { .checkpoint_ms = NO_TIMER_MS,
	.overlay_bytes = 20000 };

static const struct engine_conf asked = { .checkpoint_ms = NO_TIMER_MS, .fresh_index = true };

/* A crash leaves the files as they are: a copy of an open store's. */
static void crash_with_damage(struct env *v)
{
	v->e = store_open("lmdb", v->dir, &small_steps);
	run("cp -r % crashed", v->dir);
	engine_close(&v->e);
	run("rm -r % && mv crashed %", v->dir);
	spoil(v->dir);
}

static void test_rebuilds_are_bounded(void **state)
{
	struct env *v = *state;
	struct engine_stats st;

	make(v);
	for (int i = 0; i < 3; i++) {
		crash_with_damage(v);
		assert_int_equal(count_of(v->dir, "running"), 1);
	}
	v->e = store_open("lmdb", v->dir, &small_steps); /* the third */
	engine_stats(v->e, &st);
	assert_int_equal(st.index_rebuilds, 1);
	run("cp -r % crashed", v->dir);
	engine_close(&v->e);
	run("rm -r % && mv crashed %", v->dir);
	spoil(v->dir);
	run("cp -r % before", v->dir);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(open_rc(v->dir, &no_timer, &v->e), ENGINE_CORRUPT);
		run("diff -r before %", v->dir);
	}
	run("rm -r before", v->dir);
	/* What the operator does about it: a new index, and a stop in order, begin a new count. */
	v->e = store_open("lmdb", v->dir, &asked);
	all_there(v->e, 1);
	engine_close(&v->e);
	assert_int_equal(count_of(v->dir, "running"), 0);
	assert_int_equal(count_of(v->dir, "data.mdb.damaged-"), 1);
	v->e = store_open("lmdb", v->dir, &no_timer);
	engine_stats(v->e, &st);
	assert_int_equal(st.index_rebuilds, 0);
	all_there(v->e, 1);
}

/* What says that a store is open belongs to the one who has it open. */
static void test_in_use(void **state)
{
	struct env *v = *state;
	struct engine *e;

	make(v);
	v->e = store_open("lmdb", v->dir, &no_timer);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(open_rc(v->dir, i == 0 ? &no_timer : &asked, &e), ENGINE_BUSY);
		assert_int_equal(count_of(v->dir, "running"), 1);
	}
	all_there(v->e, 1);
}

static void test_deaths(void **state)
{
	static const struct {
		unsigned crashes, rebuilds;
	} cases[] = { { 0, 0 }, { 1, 0 }, { 2, 1 }, { 3, 0 } };
	struct env *v = *state;
	struct engine_stats st;

	make(v);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct engine_conf conf = { .crashes = cases[i].crashes };

		v->e = store_open("lmdb", v->dir, &conf);
		engine_stats(v->e, &st);
		assert_int_equal(st.index_rebuilds, cases[i].rebuilds);
		all_there(v->e, 1);
		engine_close(&v->e);
	}
}

/* The log has a gap: the index that is left is put back, and nothing else is touched. */
static void test_rebuild_that_fails(void **state)
{
	struct env *v = *state;
	struct engine_conf conf = { .checkpoint_ms = NO_TIMER_MS, .segment_bytes = 100000 };
	char path[128];
	int fd;

	v->e = store_open("lmdb", v->dir, &conf);
	for (unsigned i = 0; i < 4; i++)
		fill(v->e, i, 0, ROWS);
	engine_close(&v->e);
	snprintf(path, sizeof(path), "%s/log-00000001", v->dir);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "damage", 6, 5000), 6);
	close(fd);
	spoil(v->dir);
	run("cp -r % before", v->dir);
	assert_int_equal(open_rc(v->dir, &conf, &v->e), ENGINE_CORRUPT);
	run("rm -f %/running %/lock.mdb before/lock.mdb; diff -r before %", v->dir);
	/* The same, and what was known of it before, when an operator asked. */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(open_rc(v->dir, &asked, &v->e), ENGINE_CORRUPT);
		assert_int_equal(count_of(v->dir, "running"), i);
		run("rm -f %/lock.mdb; diff -r before %", v->dir);
		assert_int_equal(open_rc(v->dir, &conf, &v->e), ENGINE_CORRUPT); /* marks it */
		run("rm -fr %/lock.mdb before && cp -r % before", v->dir);
	}
	run("rm -r before", v->dir);
}

/* ---- somebody else's reader ---- */

/* Until it is killed. */
static void foreign_reader(const char *dir, int go, int there)
{
	char path[128], c;
	MDB_env *env;
	MDB_txn *t;

	snprintf(path, sizeof(path), "./%s", dir);
	if (read(go, &c, 1) == 1 && mdb_env_create(&env) == 0 &&
	    mdb_env_open(env, path, MDB_RDONLY, 0600) == 0 &&
	    mdb_txn_begin(env, NULL, MDB_RDONLY, &t) == 0 && write(there, "r", 1) == 1)
		pause();
	_exit(1);
}

static off_t size_after_rounds(struct env *v, unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++)
		fill(v->e, i, 0, ROWS);
	return index_size(v->dir);
}

static void test_killed_reader_holds_nothing(void **state)
{
	struct env *v = *state;
	int go[2], there[2], status;
	off_t before;
	char c;
	pid_t pid;

	make(v);
	assert_int_equal(pipe(go) | pipe(there), 0);
	pid = fork();
	if (pid == 0)
		foreign_reader(v->dir, go[0], there[1]);
	v->e = store_open("lmdb", v->dir, &small_steps);
	before = size_after_rounds(v, 20);
	assert_int_equal(write(go[1], "g", 1), 1);
	assert_int_equal(read(there[0], &c, 1), 1);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	for (int i = 0; i < 2; i++)
		close(go[i]), close(there[i]);
	assert_in_range(size_after_rounds(v, 40), 1, before + before / 2);
	engine_close(&v->e);
}

struct told {
	unsigned calls;
	uint64_t done, of;
};

static void on_progress(void *arg, uint64_t done, uint64_t of)
{
	struct told *t = arg;

	assert_true(of == 0 || done < of);
	assert_true(of == 0 || of >= t->of);
	t->calls++;
	t->done = done;
	t->of = of;
}

/* A supervisor ends who says nothing for long: not once a segment, but with every frame. */
static void test_open_says_that_it_works(void **state)
{
	struct env *v = *state;
	struct told t = { 0 };
	const struct engine_conf conf = {
		.fresh_index = true, .progress = on_progress, .progress_arg = &t
	};
	struct engine_stats st;
	unsigned calls;

	make(v);
	v->e = store_open("lmdb", v->dir, &conf);
	engine_stats(v->e, &st);
	assert_true(st.replayed_frames > 2);
	assert_in_range(t.calls, st.replayed_frames, 100 * st.replayed_frames);
	assert_int_equal(t.of, 1);
	calls = t.calls;
	fill(v->e, 1, 0, ROWS);
	engine_close(&v->e);
	assert_int_equal(t.calls, calls);
}

static int all(void)
{
	const struct CMUnitTest cases[] = {
		cmocka_unit_test_setup_teardown(test_damage_heals, env_open, env_close),
		cmocka_unit_test_setup_teardown(
		    test_damage_of_a_row_while_open, env_open, env_close),
		cmocka_unit_test_setup_teardown(test_missing_and_old_rows, env_open, env_close),
		cmocka_unit_test_setup_teardown(test_totals_follow, env_open, env_close),
		cmocka_unit_test_setup_teardown(test_rebuilds_are_bounded, env_open, env_close),
		cmocka_unit_test_setup_teardown(test_in_use, env_open, env_close),
		cmocka_unit_test_setup_teardown(test_deaths, env_open, env_close),
		cmocka_unit_test_setup_teardown(test_rebuild_that_fails, env_open, env_close),
		cmocka_unit_test_setup_teardown(
		    test_killed_reader_holds_nothing, env_open, env_close),
		cmocka_unit_test_setup_teardown(test_open_says_that_it_works, env_open, env_close),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}

int main(void)
{
	return run_apart(all);
}
