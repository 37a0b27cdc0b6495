/* What the LMDB engine does with crashes and damage. */
#include "engine-env.h"

#include "common/base/log.h"
#include "common/base/wire.h"

#include <xxhash.h>

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
	head[8] = SEG_VERSION_SHARDS + 1;
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
	};

	log_init(-1, false, LOG_EMERG); /* most cases make errors on purpose */
	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return run_apart(all);
}
