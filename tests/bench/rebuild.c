/*
 * rebuild - how long a shard of a store is away while its index is made anew from the log, and how
 * the other shards answer meanwhile.
 *
 * Shard 1 of three gets so many MiB of deliveries as stored makes them: a body of 6 KiB, its row,
 * facts of 500 bytes, a counter row, 50 in a commit. Its index is damaged, the store opened, and
 * one row after the other committed in shard 2, one at a time, until shard 1 is back.
 *
 * usage: rebuild DIR [MiB]   DIR is made, and is to be removed by the caller
 */
#include "common/base/clock.h"
#include "common/base/wire.h"
#include "common/engine/engine.h"

#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BODY_BYTES = 6144, FACTS_BYTES = 500, ROW_BYTES = 120, PART = 50, GROUPS = 100 };

static void need(int rc, const char *what)
{
	if (rc != 0)
		errx(1, "%s: %s", what, engine_rc_name(rc));
}

static struct engine *store(const char *dir, const struct engine_conf *conf)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct engine *e = NULL;

	if (fd < 0)
		err(1, "%s", dir);
	need(engine_open("3*lmdb", fd, conf, &e), "open");
	close(fd);
	return e;
}

static struct engine_group *group(struct engine *e, uint64_t id, unsigned shard)
{
	struct engine_group *g;

	need(engine_group_open_now(
		 e, slice_of(&id, sizeof(id)), 0, ENGINE_CREATE | ENGINE_IN(shard), &g),
	    "group");
	return g;
}

static void on_done(void *arg, int rc)
{
	need(rc, "commit");
	*(bool *)arg = true;
}

static void commit(struct engine *e, struct engine_batch *b)
{
	bool done = false;

	engine_commit(e, &b, 1, on_done, &done);
	while (!done) {
		struct pollfd p = { .fd = engine_fd(e), .events = POLLIN };

		(void)poll(&p, 1, 1000);
		engine_dispatch(e, 0);
	}
}

static void message(struct engine *e, struct engine_batch *b, uint32_t uid)
{
	static uint8_t bytes[BODY_BYTES];
	struct engine_body *body = engine_body_begin(e, 0, NULL, NULL);
	uint8_t key[5] = { 'u' };

	wire_store_u32be(key + 1, uid);
	for (size_t i = 0; i < sizeof(bytes); i += sizeof(uid))
		wire_store_u32(bytes + i, uid * 2654435761u + (uint32_t)i);
	need(engine_body_append(body, slice_of(bytes, BODY_BYTES)), "append");
	need(engine_body_end(body, NULL, NULL), "end");
	need(engine_put_body(b, slice_of(key, sizeof(key)), slice_of(bytes, ROW_BYTES), body),
	    "put");
	key[0] = 'x';
	need(engine_put(b, slice_of(key, sizeof(key)), slice_of(bytes, FACTS_BYTES)), "put");
	need(engine_put(b, SLICE("h"), slice_of(bytes, 80)), "put");
	engine_body_free(&body);
}

static void fill(const char *dir, uint64_t mib)
{
	struct engine *e = store(dir, NULL);
	struct engine_group *groups[GROUPS];
	uint64_t n = (mib << 20) / (BODY_BYTES + FACTS_BYTES + ROW_BYTES);

	for (uint64_t i = 0; i < GROUPS; i++)
		groups[i] = group(e, i, 1);
	for (uint64_t i = 0; i < n; i += PART) {
		struct engine_batch *b = engine_batch_new(groups[i / PART % GROUPS]);

		for (uint64_t k = 0; k < PART; k++)
			message(e, b, (uint32_t)(i + k));
		commit(e, b);
	}
	for (uint64_t i = 0; i < GROUPS; i++)
		engine_group_close(&groups[i]);
	engine_close(&e);
	printf("%llu messages\n", (unsigned long long)n);
}

static void spoil(const char *dir)
{
	static const uint8_t noise[64] = { 0xff, 0xff };
	char path[1024];
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "%s/shard-1/data.mdb", dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0)
		err(1, "%s", path);
	for (off_t at = 0; at < st.st_size; at += 4096)
		if (pwrite(fd, noise, sizeof(noise), at) != sizeof(noise))
			err(1, "%s", path);
	close(fd);
}

static void measure(const char *dir)
{
	const struct engine_conf mends = { .mend = true };
	int64_t begin_ns = clock_mono_ns(), slowest_ns = 0, t0, open_ns;
	struct engine *e = store(dir, &mends);
	struct engine_group *g = group(e, 1, 2);
	unsigned long n = 0;
	double gib = 0, s;

	open_ns = clock_mono_ns() - begin_ns;
	while (engine_shard_away(e, 1) != NULL) {
		struct engine_batch *b = engine_batch_new(g);

		t0 = clock_mono_ns();
		need(engine_put(b, SLICE("k"), slice_of(&n, sizeof(n))), "put");
		commit(e, b);
		if (clock_mono_ns() - t0 > slowest_ns)
			slowest_ns = clock_mono_ns() - t0;
		n++;
	}
	s = (double)(clock_mono_ns() - begin_ns) / 1e9;
	engine_group_close(&g);
	engine_close(&e);
	for (unsigned seg = 0; seg < 4096; seg++) {
		char path[1024];
		struct stat file;

		snprintf(path, sizeof(path), "%s/shard-1/log-%08x", dir, seg);
		if (stat(path, &file) == 0)
			gib += (double)file.st_size / (1 << 30);
	}
	printf("open        %8.2f ms\nrebuilt     %8.2f s, %.2f GiB of log, %.2f s/GiB\n"
	       "meanwhile   %8lu commits in another shard, the slowest %.2f ms\n",
	    (double)open_ns / 1e6, s, gib, s / gib, n, (double)slowest_ns / 1e6);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		errx(2, "usage: rebuild DIR [MiB]");
	if (mkdir(argv[1], 0700) != 0)
		err(1, "%s", argv[1]);
	fill(argv[1], argc > 2 ? strtoull(argv[2], NULL, 10) : 256);
	spoil(argv[1]);
	measure(argv[1]);
	return 0;
}
