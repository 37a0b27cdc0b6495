/*
 * mend-help - a store of three shards of which every row is known, and ways to damage the index of
 * the second; for tests only.
 *
 * Invariant: whoever waits for that shard asks the others all the time, and they answer.
 */
#pragma once

#include "shards-help.h"

#include "common/base/log.h"
#include "common/engine/lmdb/lmdb-private.h"

enum { ROWS = 400, BACK_MS = 60000, AGAIN_MS = 20 };

static const struct engine_conf mends = { .mend = true, .again_ms = AGAIN_MS };

/* ---- a store of which everything is known ---- */

static void row_of(unsigned k, int i, char key[16], char val[300])
{
	size_t n = 20 + (size_t)(i * 31) % 250;

	snprintf(key, 16, "%06d", i);
	for (size_t c = 0; c < n; c++)
		val[c] = (char)('a' + (c + (size_t)i + k) % 26);
	val[n] = '\0';
}

static void fill(struct engine *e)
{
	char key[16], val[300];

	for (unsigned k = 0; k < SHARDS; k++) {
		struct engine_group *g = group_in(e, "g", k);

		for (int from = 0; from < ROWS; from += 50) {
			struct engine_batch *b = engine_batch_new(g);

			for (int i = from; i < from + 50; i++) {
				row_of(k, i, key, val);
				assert_int_equal(engine_put(b, slice_str(key), slice_str(val)), 0);
			}
			assert_int_equal(commit(e, b), 0);
		}
		engine_group_close(&g);
	}
}

static void expect_rows(struct engine *e, struct engine_group *g, unsigned k)
{
	char key[16], val[300], want[400];

	for (int i = 0; i < ROWS; i += 7) {
		row_of(k, i, key, val);
		snprintf(want, sizeof(want), "%s=%s ", key, val);
		assert_string_equal(get(e, g, key)->text, want);
	}
}

static void expect_all(struct engine *e, unsigned k)
{
	struct engine_group *g = group_in(e, "g", k);

	expect_rows(e, g, k);
	assert_int_equal(put(e, g, "more", "v"), 0);
	engine_group_close(&g);
}

static void make(void)
{
	struct engine *e = store_open("3*lmdb", dir, NULL);

	fill(e);
	engine_close(&e);
}

/* The others answer at every moment of it. */
static void wait_back(struct engine *e, unsigned shard)
{
	int64_t end = clock_mono_ms() + BACK_MS;

	while (engine_shard_away(e, shard) != NULL) {
		for (unsigned k = 0; k < SHARDS; k++)
			if (k != shard)
				expect_all(e, k);
		assert_true(clock_mono_ms() < end);
	}
	assert_int_equal(engine_health(e), ENGINE_HEALTHY);
}

static void wait_word(struct engine *e, unsigned shard, const char *word)
{
	int64_t end = clock_mono_ms() + BACK_MS;

	while (
	    engine_shard_away(e, shard) == NULL || strcmp(engine_shard_away(e, shard), word) != 0) {
		engine_dispatch(e, 0);
		poll(NULL, 0, 1);
		assert_true(clock_mono_ms() < end);
	}
}

static void expect_word(const struct engine *e, unsigned shard, const char *word)
{
	const char *away = engine_shard_away(e, shard);

	assert_string_equal(away != NULL ? away : "(it is there)", word);
}

static void expect_three(struct engine *e)
{
	for (unsigned k = 0; k < SHARDS; k++)
		expect_all(e, k);
}

/* ---- damage ---- */

static const char *const damages[] = {
	"head -c 8192 /dev/urandom | dd of=shard-1/data.mdb conv=notrunc status=none",
	"head -c 4096 /dev/zero | dd of=shard-1/data.mdb conv=notrunc status=none bs=4096 seek=3",
	"for p in 2 4 5 6 7; do head -c 4096 /dev/urandom | dd of=shard-1/data.mdb conv=notrunc "
	"status=none bs=4096 seek=$p; done",
	"truncate -s 12288 shard-1/data.mdb",
	"head -c 40000 /dev/urandom >shard-1/data.mdb",
};

static void spoil_rows(void)
{
	int fd;
	char path[128], *file;
	struct stat st;

	snprintf(path, sizeof(path), "%s/shard-1/data.mdb", dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	file = malloc((size_t)st.st_size);
	assert_int_equal(pread(fd, file, (size_t)st.st_size, 0), st.st_size);
	for (off_t at = 8192; at + 8 <= st.st_size; at++)
		if (memcmp(file + at, "000007", 6) == 0) {
			uint8_t byte = (uint8_t)(file[at + 12] ^ 4);

			assert_int_equal(pwrite(fd, &byte, 1, at + 12), 1);
		}
	free(file);
	close(fd);
}
