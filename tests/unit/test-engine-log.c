/* What the LMDB engine does with crashes, damage and failing system calls. */
#include "engine-help.h"

#include "common/base/wire.h"
#include "common/engine/lmdb/lmdb-private.h"

#include "common/base/log.h"

#include <dirent.h>
#include <xxhash.h>

enum { FRAMES = 12 };

static struct engine_sys real_sys;

struct env {
	char dir[64], image[64];
	struct engine *e;
};

static int env_open(void **state)
{
	static struct env v;

	dir_make(v.dir);
	v.e = NULL;
	v.image[0] = '\0';
	real_sys = engine_sys;
	*state = &v;
	return 0;
}

static int env_close(void **state)
{
	struct env *v = *state;
	/* A case that failed on its way has groups open: engine_close() would end the program
	 * before anybody is told what failed. */
	bool left_open = v->e != NULL && (v->e->n_handles > 0 || v->e->dispatching);

	if (!left_open)
		engine_close(&v->e);
	engine_sys = real_sys;
	dir_remove(v->dir);
	if (v->image[0] != '\0')
		dir_remove(v->image);
	return left_open ? -1 : 0;
}

/* What a crash would leave: the files as they are, while the store is open. */
static const char *image_take(struct env *v)
{
	char cmd[300];

	if (v->image[0] != '\0')
		dir_remove(v->image);
	strcpy(v->image, "engine-image");
	snprintf(cmd, sizeof(cmd), "rm -rf ./%s; cp -r ./%s ./%s", v->image, v->dir, v->image);
	assert_int_equal(system(cmd), 0);
	return v->image;
}

static int file_open(const char *dir, const char *name)
{
	char path[300];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	return fd;
}

static int open_rc(const char *dir, struct engine **ret_e)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY), r;

	assert_true(fd >= 0);
	r = engine_open("lmdb", fd, NULL, ret_e);
	close(fd);
	return r;
}

/* What a checkpoint wrote to the index is not lost by cutting the log: on a busy machine the timer
 * would strike. */
enum { NO_TIMER_MS = 3600000 };
static const struct engine_conf no_timer = { .checkpoint_ms = NO_TIMER_MS };

/* Frame i puts key i and a body of 3000 bytes. */
static void fill(struct engine *e, const char *group, int from, int to)
{
	struct engine_group *g = group_open(e, group, ENGINE_CREATE, 0);

	for (int i = from; i < to; i++) {
		struct engine_batch *b = engine_batch_new(g);
		struct engine_body *body = body_make(e, 3000, (unsigned)i);
		char key[16];

		snprintf(key, sizeof(key), "%06d", i);
		assert_int_equal(engine_put_body(b, slice_str(key), SLICE("row"), body), 0);
		assert_int_equal(commit(e, b), 0);
		engine_body_free(&body);
	}
	engine_group_close(&g);
}

/* Offsets of the frames of segment 0, and of its end. */
static size_t frames_of(const char *dir, uint64_t *off, size_t max)
{
	int fd = file_open(dir, "log-00000000");
	uint8_t head[FRAME_HEAD];
	struct frame_head h;
	size_t n = 0;

	off[0] = SEG_HEAD;
	while (pread(fd, head, sizeof(head), (off_t)off[n]) == sizeof(head) &&
	       frame_head_decode(head, &h)) {
		assert_true(n + 1 < max);
		off[n + 1] = off[n] + frame_bytes(&h);
		n++;
	}
	close(fd);
	return n;
}

/* Frames 0..want-1 are there and the store goes on. */
static void expect_frames(struct engine **e, const char *dir, size_t want)
{
	struct engine_group *g;

	for (int round = 0; round < 2; round++) {
		g = group_open(*e, "g", ENGINE_CREATE, 0);
		assert_int_equal(engine_group_seq(g), want);
		assert_int_equal(scan(*e, g, "", "", 0)->rows, want);
		if (want > 0)
			body_expect(*e, &scan(*e, g, "", "", 0)->loc, 3000, (unsigned)want - 1);
		engine_group_close(&g);
		fill(*e, "g", (int)want, (int)want + 1);
		want++;
		engine_close(e);
		*e = store_open("lmdb", dir, NULL);
	}
}

static void test_crash_replays_all(void **state)
{
	struct env *v = *state;
	struct engine_stats st;
	struct engine *e;

	v->e = store_open("lmdb", v->dir, &no_timer);
	fill(v->e, "g", 0, FRAMES);
	e = store_open("lmdb", image_take(v), NULL);
	engine_stats(e, &st);
	assert_int_equal(st.replayed_frames, FRAMES);
	assert_int_equal(st.cut_bytes, 0);
	expect_frames(&e, v->image, FRAMES);
	engine_close(&e);
}

static void test_cut_anywhere(void **state)
{
	struct env *v = *state;
	uint64_t off[FRAMES + 1];
	struct engine *e;

	v->e = store_open("lmdb", v->dir, &no_timer);
	fill(v->e, "g", 0, FRAMES);
	image_take(v);
	assert_int_equal(frames_of(v->image, off, FRAMES + 1), FRAMES);
	for (size_t i = 0; i <= FRAMES; i++)
		for (int d = -1; d < 50; d += d < 1 ? 1 : 48) {
			size_t want = d < 0 && i > 0 ? i - 1 : i;
			int fd;

			if ((i == FRAMES && d > 0) || (i == 0 && d < 0))
				continue;
			fd = file_open(image_take(v), "log-00000000");
			assert_int_equal(ftruncate(fd, (off_t)off[i] + d), 0);
			close(fd);
			e = store_open("lmdb", v->image, NULL);
			expect_frames(&e, v->image, want);
			engine_close(&e);
		}
}

/* A torn write leaves any of the last frame's blocks unwritten: zeros or older bytes in their
 * place. */
static void test_torn_last_frame(void **state)
{
	struct env *v = *state;
	uint64_t off[FRAMES + 1];
	uint8_t junk[64];
	struct engine *e;

	v->e = store_open("lmdb", v->dir, &no_timer);
	fill(v->e, "g", 0, FRAMES);
	image_take(v);
	frames_of(v->image, off, FRAMES + 1);
	for (int fillb = 0; fillb < 2; fillb++)
		for (uint64_t at = off[FRAMES - 1]; at + sizeof(junk) < off[FRAMES]; at += 509) {
			int fd = file_open(image_take(v), "log-00000000");

			memset(junk, fillb == 0 ? 0 : 0xa5, sizeof(junk));
			assert_int_equal(pwrite(fd, junk, sizeof(junk), (off_t)at), sizeof(junk));
			close(fd);
			e = store_open("lmdb", v->image, NULL);
			expect_frames(&e, v->image, FRAMES - 1);
			engine_close(&e);
		}
}

static void flip(const char *dir, const char *name, uint64_t at)
{
	int fd = file_open(dir, name);
	uint8_t b;

	assert_int_equal(pread(fd, &b, 1, (off_t)at), 1);
	b ^= 0x40;
	assert_int_equal(pwrite(fd, &b, 1, (off_t)at), 1);
	close(fd);
}

static void test_damage_before_the_end_is_not_cut(void **state)
{
	struct env *v = *state;
	uint64_t off[FRAMES + 1];
	struct engine *e = NULL;

	v->e = store_open("lmdb", v->dir, &no_timer);
	fill(v->e, "g", 0, FRAMES);
	image_take(v);
	frames_of(v->image, off, FRAMES + 1);
	for (size_t i = 0; i + 1 < FRAMES; i += 3)
		for (uint64_t d = 0; d < FRAME_HEAD + 60; d += 13) {
			flip(image_take(v), "log-00000000", off[i] + d);
			assert_int_equal(open_rc(v->image, &e), ENGINE_CORRUPT);
			/* and it stays so: nothing was changed */
			assert_int_equal(open_rc(v->image, &e), ENGINE_CORRUPT);
		}
}

static void test_damaged_body_is_one_items_error(void **state)
{
	struct env *v = *state;
	uint64_t off[FRAMES + 1];
	struct engine_group *g;
	struct engine *e;
	char key[16];

	v->e = store_open("lmdb", v->dir, &no_timer);
	fill(v->e, "g", 0, FRAMES);
	image_take(v);
	frames_of(v->image, off, FRAMES + 1);
	flip(v->image, "log-00000000", off[5] - 1000); /* in the body of frame 4 */
	e = store_open("lmdb", v->image, NULL);
	g = group_open(e, "g", 0, 0);
	for (int i = 0; i < FRAMES; i++) {
		struct engine_loc loc;
		uint8_t buf[3000];
		size_t n;

		snprintf(key, sizeof(key), "%06d", i);
		loc = get(e, g, key)->loc;
		if (i != 4) {
			body_expect(e, &loc, 3000, (unsigned)i);
			continue;
		}
		assert_int_equal(body_read(e, &loc, 0, 10)->rc, ENGINE_CORRUPT);
		assert_int_equal(
		    engine_body_read_now(e, &loc, 0, buf, sizeof(buf), &n), ENGINE_CORRUPT);
	}
	engine_group_close(&g);
	engine_close(&e);
}

static void test_junk_and_zeros_behind_the_end(void **state)
{
	struct env *v = *state;
	uint64_t off[FRAMES + 1];
	struct engine_stats st;
	struct engine *e;
	char junk[5000];
	int fd;

	v->e = store_open("lmdb", v->dir, &no_timer);
	fill(v->e, "g", 0, FRAMES);
	image_take(v);
	frames_of(v->image, off, FRAMES + 1);
	memset(junk, 'x', sizeof(junk));
	fd = file_open(v->image, "log-00000000");
	assert_int_equal(pwrite(fd, junk, sizeof(junk), (off_t)off[FRAMES] + 100), sizeof(junk));
	close(fd);
	e = store_open("lmdb", v->image, NULL);
	engine_stats(e, &st);
	assert_true(st.cut_bytes > 0);
	expect_frames(&e, v->image, FRAMES);
	engine_close(&e);
	fd = file_open(image_take(v), "log-00000000");
	assert_int_equal(ftruncate(fd, (off_t)off[FRAMES]), 0);
	assert_int_equal(ftruncate(fd, (off_t)off[FRAMES] + 3000001), 0);
	close(fd);
	e = store_open("lmdb", v->image, NULL);
	engine_stats(e, &st);
	assert_int_equal(st.cut_bytes, 0);
	expect_frames(&e, v->image, FRAMES);
	engine_close(&e);
}

static void test_newer_version_is_refused(void **state)
{
	struct env *v = *state;
	uint8_t head[SEG_HEAD];
	struct seg_head h;
	struct engine *e = NULL;
	int fd;

	v->e = store_open("lmdb", v->dir, &no_timer);
	fill(v->e, "g", 0, 2);
	fd = file_open(image_take(v), "log-00000000");
	assert_int_equal(pread(fd, head, sizeof(head), 0), sizeof(head));
	assert_int_equal(seg_head_decode(head, &h), SEG_OK);
	assert_int_equal(h.version, SEG_VERSION);
	head[8] = SEG_VERSION_PACKED + 1;
	assert_int_equal(seg_head_decode(head, &h), SEG_BAD);
	wire_store_u64(head + 56, XXH3_64bits(head, 56));
	assert_int_equal(seg_head_decode(head, &h), SEG_NEWER);
	assert_int_equal(pwrite(fd, head, sizeof(head), 0), sizeof(head));
	close(fd);
	assert_int_equal(open_rc(v->image, &e), ENGINE_VERSION);
}

static void test_rebuild_from_the_log(void **state)
{
	struct env *v = *state;
	struct engine_conf conf = { .segment_bytes = 20000, .overlay_bytes = 2000 };
	struct engine_group *g;
	struct engine_batch *b;
	struct engine_stats st;
	char cmd[300];

	v->e = store_open("lmdb", v->dir, &conf);
	fill(v->e, "g", 0, 60);
	g = group_open(v->e, "g", 0, 0);
	b = engine_batch_new(g);
	assert_int_equal(engine_del_range(b, SLICE("000010"), SLICE("000050")), 0);
	assert_int_equal(engine_put(b, SLICE("000020"), SLICE("renamed")), 0);
	assert_int_equal(commit(v->e, b), 0);
	engine_group_close(&g);
	engine_close(&v->e);
	snprintf(cmd, sizeof(cmd),
	    "rm %s/data.mdb %s/lock.mdb; ls %s/log-* | wc -l | grep -qv '^[012]$'", v->dir, v->dir,
	    v->dir);
	assert_int_equal(system(cmd), 0);
	v->e = store_open("lmdb", v->dir, &conf);
	engine_stats(v->e, &st);
	assert_int_equal(st.replayed_frames, 61);
	assert_true(st.checkpoints > 0);
	g = group_open(v->e, "g", 0, 0);
	assert_int_equal(engine_group_seq(g), 61);
	assert_int_equal(scan(v->e, g, "", "", 0)->rows, 21);
	assert_string_equal(get(v->e, g, "000020")->text, "000020=renamed ");
	body_expect(v->e, &get(v->e, g, "000055")->loc, 3000, 55);
	engine_group_close(&g);
}

/* A power cut may leave a new index its length and nothing else; the log has everything. */
static void test_unborn_index(void **state)
{
	struct env *v = *state;
	struct engine_group *g;
	char path[128];
	int fd;

	v->e = store_open("lmdb", v->dir, NULL);
	fill(v->e, "g", 0, 20);
	engine_close(&v->e);
	snprintf(path, sizeof(path), "%s/data.mdb", v->dir);
	for (unsigned zeros = 0; zeros <= 8192; zeros += 4096) {
		fd = open(path, O_RDWR | O_TRUNC);
		assert_true(fd >= 0);
		assert_int_equal(ftruncate(fd, zeros), 0);
		close(fd);
		v->e = store_open("lmdb", v->dir, NULL);
		g = group_open(v->e, "g", 0, 0);
		assert_int_equal(engine_group_seq(g), 20);
		engine_group_close(&g);
		engine_close(&v->e);
	}
	/* Nor are two pages with anything in them: there is no row yet. */
	fd = open(path, O_RDWR | O_TRUNC);
	assert_int_equal(pwrite(fd, "junk", 4, 4096), 4);
	close(fd);
	v->e = store_open("lmdb", v->dir, NULL);
	g = group_open(v->e, "g", 0, 0);
	assert_int_equal(engine_group_seq(g), 20);
	engine_group_close(&g);
	engine_close(&v->e);
	/* More pages, of which the first is something else than zeros, are damage: it goes aside.
	 */
	fd = open(path, O_RDWR);
	assert_int_equal(pwrite(fd, "junk", 4, 4096), 4);
	assert_int_equal(pwrite(fd, "junk", 4, 16), 4);
	close(fd);
	v->e = store_open("lmdb", v->dir, NULL);
	g = group_open(v->e, "g", 0, 0);
	assert_int_equal(engine_group_seq(g), 20);
	engine_group_close(&g);
}

/* A crash while a segment was being made: its header is not there, or not whole. */
static void test_unborn_segment(void **state)
{
	struct env *v = *state;
	static const struct {
		off_t bytes;
		bool header; /* as far as it goes; else zeros */
	} cases[] = { { 0, false }, { 30, false }, { 4096, false }, { 40, true } };
	uint8_t bytes[4096];
	struct engine *e;
	char cmd[256];

	v->e = store_open("lmdb", v->dir, &no_timer);
	fill(v->e, "g", 0, FRAMES);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		int fd = file_open(image_take(v), "log-00000000");

		memset(bytes, 0, sizeof(bytes));
		if (cases[i].header)
			assert_int_equal(pread(fd, bytes, 40, 0), 40);
		close(fd);
		snprintf(cmd, sizeof(cmd), "%s/log-00000001", v->image);
		fd = open(cmd, O_WRONLY | O_CREAT | O_EXCL, 0600);
		assert_true(fd >= 0);
		assert_int_equal(write(fd, bytes, (size_t)cases[i].bytes), cases[i].bytes);
		close(fd);
		e = store_open("lmdb", v->image, NULL);
		expect_frames(&e, v->image, FRAMES);
		engine_close(&e);
	}
	/* the same for the very first */
	engine_close(&v->e);
	snprintf(cmd, sizeof(cmd), "rm -r %s; mkdir -m 700 %s; : > %s/log-00000000", v->dir, v->dir,
	    v->dir);
	assert_int_equal(system(cmd), 0);
	v->e = store_open("lmdb", v->dir, &no_timer);
	expect_frames(&v->e, v->dir, 0);
}

static void test_missing_segment_is_damage(void **state)
{
	struct env *v = *state;
	struct engine_conf conf = { .segment_bytes = 20000, .checkpoint_ms = NO_TIMER_MS };
	struct engine *e = NULL;
	char cmd[300];

	v->e = store_open("lmdb", v->dir, &conf);
	fill(v->e, "g", 0, 30);
	snprintf(cmd, sizeof(cmd), "rm %s/log-00000002", image_take(v));
	assert_int_equal(system(cmd), 0);
	/* What lies behind the gap proves nothing was cut by the crash; but it is found by number
	 * only. */
	snprintf(cmd, sizeof(cmd), "cp %s/log-00000003 %s/log-00000002", v->dir, v->image);
	assert_int_equal(system(cmd), 0);
	assert_int_equal(open_rc(v->image, &e), ENGINE_CORRUPT);
}

static unsigned count_files(const char *dir, const char *prefix)
{
	DIR *d = opendir(dir);
	struct dirent *de;
	unsigned n = 0;

	while ((de = readdir(d)) != NULL)
		n += strncmp(de->d_name, prefix, strlen(prefix)) == 0;
	closedir(d);
	return n;
}

static void test_orphans_are_swept(void **state)
{
	struct env *v = *state;
	struct engine_body *kept, *left;
	struct engine_group *g;
	struct engine_batch *b;
	struct engine *e;

	v->e = store_open("lmdb", v->dir, &no_timer);
	g = group_open(v->e, "g", ENGINE_CREATE, 0);
	kept = body_make(v->e, 2000000, 1);
	left = body_make(v->e, 2000000, 2);
	b = engine_batch_new(g);
	assert_int_equal(engine_put_body(b, SLICE("k"), SLICE_NONE, kept), 0);
	assert_int_equal(commit(v->e, b), 0);
	engine_group_close(&g);
	assert_int_equal(count_files(image_take(v), "body-"), 2);
	engine_body_free(&kept);
	engine_body_free(&left);
	assert_int_equal(count_files(v->dir, "body-"), 1);
	e = store_open("lmdb", v->image, NULL);
	assert_int_equal(count_files(v->image, "body-"), 1);
	g = group_open(e, "g", 0, 0);
	body_expect(e, &get(e, g, "k")->loc, 2000000, 1);
	engine_group_close(&g);
	engine_close(&e);
}

static void test_one_opener(void **state)
{
	struct env *v = *state;
	struct engine *e = NULL;

	v->e = store_open("lmdb", v->dir, &no_timer);
	assert_int_equal(open_rc(v->dir, &e), ENGINE_BUSY);
}

/* ---- system calls that fail ---- */

static _Atomic int fail_sync, fail_write, fail_cut, fail_index; /* calls that still fail */

static int sync_fails(int fd)
{
	if (fail_sync > 0) {
		fail_sync--;
		errno = EIO;
		return -1;
	}
	return real_sys.fdatasync(fd);
}

/* Half of it is written before the disk is full. */
static ssize_t write_fails(int fd, const struct iovec *v, int n, off_t off)
{
	if (fail_write == 2) {
		struct iovec half = { v[0].iov_base, (v[0].iov_len + 1) / 2 };

		fail_write = 1;
		return real_sys.pwritev(fd, &half, 1, off);
	}
	if (fail_write > 0) {
		errno = ENOSPC;
		return -1;
	}
	return real_sys.pwritev(fd, v, n, off);
}

static int cut_fails(int fd, off_t size)
{
	if (fail_cut > 0) {
		errno = EIO;
		return -1;
	}
	return real_sys.ftruncate(fd, size);
}

static int index_fails(MDB_txn *t)
{
	if (fail_index > 0) {
		mdb_txn_abort(t);
		return ENOSPC;
	}
	return real_sys.mdb_commit(t);
}

static void faults_on(void)
{
	fail_sync = fail_write = fail_cut = fail_index = 0;
	engine_sys.pwritev = write_fails;
	engine_sys.fdatasync = sync_fails;
	engine_sys.ftruncate = cut_fails;
	engine_sys.mdb_commit = index_fails;
}

static void test_failed_sync_is_not_retried(void **state)
{
	struct env *v = *state;
	struct engine_group *g;
	struct answer a[3];
	struct engine *e;

	faults_on();
	v->e = store_open("lmdb", v->dir, &no_timer);
	fill(v->e, "g", 0, FRAMES);
	g = group_open(v->e, "g", 0, 0);
	fail_sync = 1;
	for (int i = 0; i < 3; i++) {
		struct engine_batch *b = engine_batch_new(g);

		assert_int_equal(engine_put(b, SLICE("x"), SLICE("lost")), 0);
		commit_start(v->e, b, &a[i]);
	}
	for (int i = 0; i < 3; i++)
		wait_for(v->e, &a[i].rc);
	assert_int_equal(a[0].rc, ENGINE_IO);
	for (int i = 1; i < 3; i++)
		assert_true(a[i].rc == ENGINE_IO || a[i].rc == ENGINE_CANCELLED);
	assert_int_equal(engine_health(v->e), ENGINE_HEALTHY);
	assert_int_equal(get(v->e, g, "x")->rc, ENGINE_NOTFOUND);
	engine_group_close(&g);
	e = store_open("lmdb", image_take(v), NULL);
	expect_frames(&e, v->image, FRAMES);
	engine_close(&e);
	/* goes on, in a new segment */
	expect_frames(&v->e, v->dir, FRAMES);
	assert_int_equal(count_files(v->dir, "log-"), 2);
}

static void test_outcome_unknown_until_recovered(void **state)
{
	struct env *v = *state;
	struct engine_group *g, *again;
	struct answer a;
	int64_t end;

	faults_on();
	v->e = store_open("lmdb", v->dir, &no_timer);
	fill(v->e, "g", 0, FRAMES);
	g = group_open(v->e, "g", 0, 0);
	fail_sync = 1;
	fail_cut = 1;
	commit_start(v->e, engine_batch_new(g), &a);
	wait_for(v->e, &a.rc);
	assert_int_equal(a.rc, ENGINE_UNKNOWN);
	assert_int_equal(engine_health(v->e), ENGINE_RECOVERING);
	/* The old handle is of no use; a new one waits until the outcome is known. */
	assert_int_equal(put(v->e, g, "x", "y"), ENGINE_STALE);
	group_open(v->e, "g", 0, ENGINE_IO);
	again = group_open(v->e, "other", ENGINE_CREATE, 0);
	assert_int_equal(put(v->e, again, "x", "y"), ENGINE_IO);
	fail_cut = 0;
	end = clock_mono_ms() + 5000;
	while (put(v->e, again, "x", "y") != 0)
		assert_true(clock_mono_ms() < end);
	assert_int_equal(engine_health(v->e), ENGINE_HEALTHY);
	engine_group_close(&again);
	engine_group_close(&g);
	expect_frames(&v->e, v->dir, FRAMES);
}

static void test_disk_full_is_an_answer(void **state)
{
	struct env *v = *state;
	struct engine_group *g;
	struct engine *e;

	faults_on();
	v->e = store_open("lmdb", v->dir, &no_timer);
	fill(v->e, "g", 0, FRAMES);
	g = group_open(v->e, "g", 0, 0);
	for (int i = 0; i < 5; i++) {
		fail_write = 1 + (i & 1);
		assert_int_equal(put(v->e, g, "x", "no room"), ENGINE_FULL);
		e = store_open("lmdb", image_take(v), NULL);
		fail_write = 0;
		expect_frames(&e, v->image, FRAMES);
		engine_close(&e);
	}
	engine_group_close(&g);
	expect_frames(&v->e, v->dir, FRAMES);
}

static void test_spill_meets_full_disk(void **state)
{
	struct env *v = *state;
	static uint8_t piece[500000];
	struct answer room = { .rc = WAITING }, end = { .rc = WAITING };
	struct engine_body *b;
	int r = 0;

	faults_on();
	v->e = store_open("lmdb", v->dir, &no_timer);
	b = engine_body_begin(v->e, 0, on_done, &room);
	fail_write = 1;
	for (int i = 0; i < 20 && r == 0; i++) {
		r = engine_body_append(b, slice_of(piece, sizeof(piece)));
		if (r == ENGINE_AGAIN) {
			wait_for(v->e, &room.rc);
			r = room.rc;
			room.rc = WAITING;
		}
	}
	assert_int_equal(r, ENGINE_FULL);
	assert_int_equal(engine_body_end(b, on_done, &end), ENGINE_FULL);
	engine_body_free(&b);
	assert_int_equal(count_files(v->dir, "body-"), 0);
	fail_write = 0;
	fill(v->e, "g", 0, 1);
}

static void wait_health(struct engine *e, enum engine_health want)
{
	int64_t end = clock_mono_ms() + 8000;

	while (engine_health(e) != want) {
		assert_true(clock_mono_ms() < end);
		usleep(5000);
	}
}

static void test_stuck_index(void **state)
{
	struct env *v = *state;
	struct engine_conf conf = { .overlay_bytes = 50000, .checkpoint_ms = NO_TIMER_MS };
	struct engine_group *g;
	uint8_t val[1000] = { 0 };
	int r = 0, n = 0;
	char key[16];

	faults_on();
	v->e = store_open("lmdb", v->dir, &conf);
	g = group_open(v->e, "g", ENGINE_CREATE, 0);
	fail_index = 1;
	while (r == 0) {
		struct engine_batch *b = engine_batch_new(g);

		snprintf(key, sizeof(key), "%06d", n);
		assert_int_equal(engine_put(b, slice_str(key), slice_of(val, sizeof(val))), 0);
		r = commit(v->e, b);
		n += r == 0;
		assert_true(n < 1000);
	}
	assert_int_equal(r, ENGINE_FULL);
	assert_true(n > 90);
	assert_int_equal(engine_health(v->e), ENGINE_INDEX_STUCK);
	assert_int_equal(scan(v->e, g, "", "", 0)->rows, n);
	fail_index = 0;
	wait_health(v->e, ENGINE_HEALTHY);
	assert_int_equal(put(v->e, g, "z", "z"), 0);
	engine_group_close(&g);
	engine_close(&v->e);
	v->e = store_open("lmdb", v->dir, &conf);
	g = group_open(v->e, "g", 0, 0);
	assert_int_equal(scan(v->e, g, "", "", 0)->rows, n + 1);
	engine_group_close(&g);
}

static void test_map_grows_until_it_may_not(void **state)
{
	struct env *v = *state;
	struct engine_conf conf = {
		.overlay_bytes = 100000, .map_bytes = 128 << 10, .map_max_bytes = 1 << 20
	};
	struct engine_group *g;
	uint8_t val[1000] = { 0 };
	int r = 0, n = 0;
	char key[16];

	v->e = store_open("lmdb", v->dir, &conf);
	g = group_open(v->e, "g", ENGINE_CREATE, 0);
	while (r == 0) {
		struct engine_batch *b = engine_batch_new(g);

		for (int i = 0; i < 20; i++) {
			snprintf(key, sizeof(key), "%06d", n + i);
			assert_int_equal(
			    engine_put(b, slice_str(key), slice_of(val, sizeof(val))), 0);
		}
		r = commit(v->e, b);
		n += r == 0 ? 20 : 0;
		assert_true(n < 5000);
	}
	assert_int_equal(r, ENGINE_FULL);
	assert_true(n > 500); /* more than the first map could hold */
	for (int i = 0; i < n; i += 97) {
		snprintf(key, sizeof(key), "%06d", i);
		assert_int_equal(get(v->e, g, key)->rc, 0);
	}
	engine_group_close(&g);
	/* the log has it all: a larger bound, and everything is there */
	engine_close(&v->e);
	conf.map_max_bytes = 0;
	v->e = store_open("lmdb", v->dir, &conf);
	g = group_open(v->e, "g", 0, 0);
	assert_int_equal(engine_group_seq(g), n / 20);
	assert_int_equal(put(v->e, g, "z", "z"), 0);
	engine_group_close(&g);
}

/* As when there are no addresses left: LMDB has let go of the old map by then. */
static int no_addresses(MDB_env *env, size_t bytes)
{
	return mdb_env_set_mapsize(env, (size_t)1 << 60);
}

static void test_map_that_cannot_grow(void **state)
{
	struct env *v = *state;
	struct engine_conf conf = {
		.overlay_bytes = 20000, .checkpoint_ms = NO_TIMER_MS, .map_bytes = 128 << 10
	};
	int64_t end = clock_mono_ms() + 60000;
	struct engine_group *g;
	int n = 0;

	v->e = store_open("lmdb", v->dir, &conf);
	fill(v->e, "g", 0, 50); /* into the first map */
	engine_close(&v->e);
	engine_sys.mdb_set_mapsize = no_addresses;
	v->e = store_open("lmdb", v->dir, &conf);
	g = group_open(v->e, "h", ENGINE_CREATE, 0);
	while (engine_health(v->e) != ENGINE_BROKEN) {
		char key[16], val[1000] = { 0 };

		memset(val, 'v', sizeof(val) - 1);
		snprintf(key, sizeof(key), "%06d", n);
		n += put(v->e, g, key, val) == 0;
		assert_true(clock_mono_ms() < end);
	}
	engine_group_close(&g);
	g = group_open(v->e, "g", 0, ENGINE_FULL);
	engine_close(&v->e);
	engine_sys.mdb_set_mapsize = mdb_env_set_mapsize;
	/* All that was answered is in the log. */
	v->e = store_open("lmdb", v->dir, &conf);
	g = group_open(v->e, "h", 0, 0);
	assert_int_equal(engine_group_seq(g), n);
	engine_group_close(&g);
	g = group_open(v->e, "g", 0, 0);
	engine_group_close(&g);
}

static int nothing_in_memory(void *p, size_t n, unsigned char *ret_in)
{
	memset(ret_in, 0, (n + 4095) / 4096);
	return 0;
}

/* The checkpointer looks what is in memory whenever it likes, so it must see the same each time. */
static void test_cold_reads_go_to_the_pool(void **state)
{
	struct env *v = *state;
	struct engine_conf conf = { .overlay_bytes = 2000, .checkpoint_ms = NO_TIMER_MS };
	struct engine_stats st;
	struct engine_group *g;
	struct answer a = { .rc = WAITING };
	int64_t end;

	engine_sys.mincore = nothing_in_memory;
	v->e = store_open("lmdb", v->dir, &conf);
	fill(v->e, "g", 0, 50);
	end = clock_mono_ms() + 10000;
	do {
		assert_true(clock_mono_ms() < end);
		usleep(1000);
		engine_stats(v->e, &st);
	} while (st.checkpoint_rows < 20);
	g = group_open(v->e, "g", 0, 0);
	assert_int_equal(engine_get_now(g, SLICE("000001"), on_rows_now, &a), ENGINE_AGAIN);
	assert_string_equal(get(v->e, g, "000001")->text, "000001=row ");
	assert_int_equal(scan(v->e, g, "", "", 0)->rows, 50);
	assert_int_equal(get(v->e, g, "nothing")->rc, ENGINE_NOTFOUND);
	engine_stats(v->e, &st);
	assert_true(st.reads_pool >= 3);
	engine_group_close(&g);
}

/* ---- the memory engine is the model ---- */

static uint64_t rnd_state = 42;

static uint64_t rnd(uint64_t n)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 7;
	rnd_state ^= rnd_state << 17;
	return rnd_state % n;
}

static void same_rows(
    struct engine *a, struct engine *b, struct engine_group *ga, struct engine_group *gb)
{
	static struct answer x;
	char from[16], to[16];
	unsigned limit = (unsigned)rnd(40);
	struct answer *y;

	snprintf(from, sizeof(from), "%03u", (unsigned)rnd(300));
	snprintf(to, sizeof(to), "%03u", (unsigned)rnd(400));
	if (rnd(4) == 0)
		to[0] = '\0';
	x = *scan(a, ga, from, to, limit);
	y = scan(b, gb, from, to, limit);
	assert_string_equal(x.text, y->text);
	assert_int_equal(x.more, y->more);
	for (int i = 0; i < 5; i++) {
		snprintf(from, sizeof(from), "%03u", (unsigned)rnd(300));
		x = *get(a, ga, from);
		y = get(b, gb, from);
		assert_int_equal(x.rc, y->rc);
		assert_string_equal(x.text, y->text);
	}
}

static void random_batch(struct engine_batch *b[2])
{
	for (uint64_t ops = rnd(12); ops > 0; ops--) {
		char key[16], to[16], val[64];
		uint64_t kind = rnd(20);

		snprintf(key, sizeof(key), "%03u", (unsigned)rnd(300));
		snprintf(to, sizeof(to), "%03u", (unsigned)rnd(300));
		snprintf(val, sizeof(val), "%0*u", 1 + (int)rnd(30), (unsigned)rnd(1000));
		for (int i = 0; i < 2; i++)
			if (kind == 0)
				assert_int_equal(
				    engine_del_range(b[i], slice_str(key), slice_str(to)), 0);
			else if (kind < 5)
				assert_int_equal(engine_del(b[i], slice_str(key)), 0);
			else
				assert_int_equal(
				    engine_put(b[i], slice_str(key), slice_str(val)), 0);
	}
}

static void test_same_as_the_model(void **state)
{
	struct env *v = *state;
	struct engine_conf conf = { .overlay_bytes = 3000, .segment_bytes = 30000 };
	struct engine *mem = store_open("mem", v->dir, NULL);
	struct engine_group *g[2];

	v->e = store_open("lmdb", v->dir, &conf);
	g[0] = group_open(mem, "g", ENGINE_CREATE, 0);
	g[1] = group_open(v->e, "g", ENGINE_CREATE, 0);
	for (int i = 0; i < 3000; i++) {
		struct engine_batch *b[2] = { engine_batch_new(g[0]), engine_batch_new(g[1]) };

		random_batch(b);
		assert_int_equal(commit(mem, b[0]), 0);
		assert_int_equal(commit(v->e, b[1]), 0);
		same_rows(mem, v->e, g[0], g[1]);
		if (rnd(300) != 0)
			continue;
		engine_group_close(&g[1]);
		if (rnd(2) == 0) {
			/* as after a crash: the image becomes the store */
			image_take(v);
			engine_close(&v->e);
			dir_remove(v->dir);
			dir_make(v->dir);
			assert_int_equal(rename(v->image, v->dir), 0);
			v->image[0] = '\0';
		} else {
			engine_close(&v->e);
		}
		v->e = store_open("lmdb", v->dir, &conf);
		g[1] = group_open(v->e, "g", 0, 0);
		assert_int_equal(engine_group_seq(g[1]), i + 1);
	}
	engine_group_close(&g[0]);
	engine_group_close(&g[1]);
	engine_close(&mem);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, env_open, env_close)

static int all(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(test_crash_replays_all),
		CASE(test_cut_anywhere),
		CASE(test_torn_last_frame),
		CASE(test_damage_before_the_end_is_not_cut),
		CASE(test_damaged_body_is_one_items_error),
		CASE(test_junk_and_zeros_behind_the_end),
		CASE(test_newer_version_is_refused),
		CASE(test_rebuild_from_the_log),
		CASE(test_unborn_index),
		CASE(test_unborn_segment),
		CASE(test_missing_segment_is_damage),
		CASE(test_orphans_are_swept),
		CASE(test_one_opener),
		CASE(test_failed_sync_is_not_retried),
		CASE(test_outcome_unknown_until_recovered),
		CASE(test_disk_full_is_an_answer),
		CASE(test_spill_meets_full_disk),
		CASE(test_stuck_index),
		CASE(test_map_grows_until_it_may_not),
		CASE(test_map_that_cannot_grow),
		CASE(test_cold_reads_go_to_the_pool),
		CASE(test_same_as_the_model),
	};

	log_init(-1, false, LOG_EMERG); /* most cases make errors on purpose */
	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return run_apart(all);
}
