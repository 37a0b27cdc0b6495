/*
 * engine-bench - what the storage engine does per second, through its interface, on one owner
 * thread.
 *
 *   deliver N   N deliveries on their way at any time: a body of 4-8 KiB, its row, a counter row,
 * each commit in one of 1000 groups, a new upload begun when one is acknowledged get, scan   rows
 * by the _now calls body        whole bodies by engine_body_read_now() open        of an empty
 * store, of the filled one closed in order, of its crash image
 *
 *   beside        with a fourth argument, and nothing else then: deliveries alone and beside a pass
 * of compaction, in turns
 *
 * usage: engine-bench DIR [spec [seconds [beside]]]   DIR is made, and is to be removed by the
 * caller
 */
#include "common/base/clock.h"
#include "common/base/wire.h"
#include "common/engine/engine.h"

#include <assert.h>
#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { GROUPS = 1000, FLIGHT_MAX = 64, LOCS_MAX = 100000, LAT_MAX = 4 << 20, ROW_BYTES = 120 };

struct flight {
	struct bench *b;
	struct engine_body *body;
	uint64_t t0;
};

struct bench {
	struct engine *e;
	struct engine_group *groups[GROUPS];
	uint64_t uid[GROUPS];
	struct flight flights[FLIGHT_MAX];
	uint64_t done, rnd, lat[LAT_MAX];
	struct engine_loc locs[LOCS_MAX];
	size_t n_locs;
	bool stop;
	unsigned running;
	uint8_t bytes[8192];
};

static uint64_t rnd(struct bench *b)
{
	b->rnd ^= b->rnd << 13;
	b->rnd ^= b->rnd >> 7;
	b->rnd ^= b->rnd << 17;
	return b->rnd;
}

static uint64_t cpu_us(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000u +
	       (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void need(int rc, const char *what)
{
	if (rc != 0)
		errx(1, "%s: %s", what, engine_rc_name(rc));
}

static void deliver(struct flight *f);

static void on_delivered(void *arg, int rc)
{
	struct flight *f = arg;
	struct bench *b = f->b;

	need(rc, "commit");
	if (b->done < LAT_MAX)
		b->lat[b->done] = (uint64_t)clock_mono_ns() - f->t0;
	b->done++;
	need(engine_body_loc(f->body, &b->locs[b->n_locs % LOCS_MAX]), "loc");
	b->n_locs++;
	engine_body_free(&f->body);
	b->running--;
	if (!b->stop)
		deliver(f);
}

static void deliver(struct flight *f)
{
	struct bench *b = f->b;
	uint64_t r = rnd(b), g = r % GROUPS;
	struct engine_batch *batch = engine_batch_new(b->groups[g]);
	uint8_t key[9] = { 'm' }, row[ROW_BYTES] = { 0 };

	f->t0 = (uint64_t)clock_mono_ns();
	memcpy(b->bytes, &r, sizeof(r));
	f->body = engine_body_begin(b->e, 0, NULL, NULL);
	need(engine_body_append(f->body, slice_of(b->bytes, 4096 + (r >> 20) % 4096)), "append");
	need(engine_body_end(f->body, NULL, NULL), "end");
	wire_store_u64be(key + 1, ++b->uid[g]);
	need(
	    engine_put_body(batch, slice_of(key, sizeof(key)), slice_of(row, sizeof(row)), f->body),
	    "put");
	wire_store_u64(row, b->uid[g]);
	need(engine_put(batch, SLICE("h"), slice_of(row, 64)), "put");
	engine_commit(b->e, &batch, 1, on_delivered, f);
	b->running++;
}

static void turn(struct bench *b)
{
	struct pollfd p = { .fd = engine_fd(b->e), .events = POLLIN };

	if (poll(&p, 1, 1000) < 0)
		err(1, "poll");
	engine_dispatch(b->e, 0);
}

static int cmp_u64(const void *x, const void *y)
{
	uint64_t a = *(const uint64_t *)x, c = *(const uint64_t *)y;

	return a < c ? -1 : a > c;
}

static void bench_deliver(struct bench *b, unsigned n, double seconds)
{
	int64_t t0 = clock_mono_ns(), t1;
	struct engine_stats s0, s1;
	uint64_t c0 = cpu_us(), c1;
	size_t lat;

	engine_stats(b->e, &s0);
	b->done = 0;
	b->stop = false;
	for (unsigned i = 0; i < n; i++) {
		b->flights[i].b = b;
		deliver(&b->flights[i]);
	}
	while (clock_mono_ns() - t0 < (int64_t)(seconds * 1e9))
		turn(b);
	b->stop = true;
	while (b->running > 0)
		turn(b);
	t1 = clock_mono_ns();
	c1 = cpu_us();
	engine_stats(b->e, &s1);
	lat = b->done < LAT_MAX ? b->done : LAT_MAX;
	qsort(b->lat, lat, sizeof(b->lat[0]), cmp_u64);
	printf("deliver %2u  %8.0f/s  p50 %.3f ms  p99 %.3f ms  max %.1f ms  cpu %.1f us  %.1f per "
	       "sync  "
	       "%lu checkpoints\n",
	    n, (double)b->done * 1e9 / (double)(t1 - t0), (double)b->lat[lat / 2] / 1e6,
	    (double)b->lat[lat * 99 / 100] / 1e6, (double)b->lat[lat - 1] / 1e6,
	    (double)(c1 - c0) / (double)b->done,
	    (double)b->done / (double)(s1.frames - s0.frames + (s1.frames == s0.frames)),
	    (unsigned long)(s1.checkpoints - s0.checkpoints));
	fflush(stdout);
}

/* ---- beside a pass ---- */

static void on_passed(void *arg, int rc)
{
	need(rc, "pass");
	*(bool *)arg = true;
}

/* A third of all groups goes, and what they referred to. */
static void make_dead(struct bench *b, unsigned round)
{
	for (unsigned g = round % 3; g < GROUPS; g += 3) {
		struct engine_batch *batch = engine_batch_new(b->groups[g]);

		need(engine_del_range(batch, SLICE("m"), SLICE("n")), "delete");
		engine_commit(b->e, &batch, 1, NULL, NULL);
	}
}

static void bench_beside(struct bench *b, double seconds)
{
	static const unsigned flights[] = { 1, 50 };
	struct engine_stats s0, s1;

	bench_deliver(b, 50, 2 * seconds);
	for (unsigned round = 0; round < 6; round++) {
		bool passed = false;
		int64_t t0 = clock_mono_ns();

		make_dead(b, round);
		bench_deliver(b, flights[round % 2], seconds);
		engine_stats(b->e, &s0);
		engine_compact(b->e, NULL, on_passed, &passed);
		bench_deliver(b, flights[round % 2], seconds);
		engine_stats(b->e, &s1);
		printf("   beside a pass that moved %.1f MiB of bodies in that time%s\n",
		    (double)(s1.moved_bytes - s0.moved_bytes) / (1 << 20),
		    passed ? " and ended" : "");
		while (!passed)
			turn(b);
		engine_stats(b->e, &s1);
		printf("   round of %.1f s: %.1f MiB moved, %lu files dropped, %.1f MiB of %.1f "
		       "MiB live\n",
		    (double)(clock_mono_ns() - t0) / 1e9,
		    (double)(s1.moved_bytes - s0.moved_bytes) / (1 << 20),
		    (unsigned long)(s1.dropped_files - s0.dropped_files),
		    (double)s1.live_bytes / (1 << 20), (double)s1.file_bytes / (1 << 20));
	}
}

static size_t rows_seen;

static void on_rows(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	rows_seen += n;
}

static void bench_reads(struct bench *b)
{
	static uint8_t buf[8192];
	size_t n, ops = 300000, again = 0, locs = b->n_locs < LOCS_MAX ? b->n_locs : LOCS_MAX;
	int64_t t0 = clock_mono_ns();

	for (size_t i = 0; i < ops; i++) {
		uint64_t g = rnd(b) % GROUPS;
		uint8_t key[9] = { 'm' };

		wire_store_u64be(key + 1, 1 + rnd(b) % (b->uid[g] + 1));
		again +=
		    engine_get_now(b->groups[g], slice_of(key, 9), on_rows, NULL) == ENGINE_AGAIN;
	}
	printf("get         %8.0f/s  (%zu would block)\n",
	    (double)ops * 1e9 / (double)(clock_mono_ns() - t0), again);
	t0 = clock_mono_ns();
	rows_seen = again = 0;
	for (size_t i = 0; i < 3000; i++)
		again += engine_scan_now(b->groups[i % GROUPS], SLICE_NONE, SLICE_NONE, 0, on_rows,
			     NULL) == ENGINE_AGAIN;
	printf("scan        %8.0f rows/s  (%zu would block)\n",
	    (double)rows_seen * 1e9 / (double)(clock_mono_ns() - t0), again);
	t0 = clock_mono_ns();
	again = 0;
	for (size_t i = 0; i < ops / 3; i++) {
		int rc =
		    engine_body_read_now(b->e, &b->locs[rnd(b) % locs], 0, buf, sizeof(buf), &n);

		again += rc == ENGINE_AGAIN;
		if (rc != ENGINE_AGAIN)
			need(rc, "body");
	}
	printf("body        %8.0f/s  (%zu would block)\n",
	    (double)(ops / 3) * 1e9 / (double)(clock_mono_ns() - t0), again);
}

enum { LONG = 300, LONG_BYTES = 136 << 10, HEAD_BYTES = 3000, HEAD_READS = 100000 };

static void on_done(void *arg, int rc)
{
	need(rc, "commit");
	++*(unsigned *)arg;
}

/* The begin of long bodies: header fields, as a client's list of messages asks for them. */
static void bench_heads(struct bench *b)
{
	static uint8_t buf[HEAD_BYTES], piece[LONG_BYTES / 2];
	static struct engine_loc locs[LONG];
	unsigned done = 0;
	size_t n, again = 0;
	int64_t t0;

	for (unsigned i = 0; i < LONG; i++) {
		struct engine_body *body = engine_body_begin(b->e, LONG_BYTES, NULL, NULL);
		struct engine_batch *batch = engine_batch_new(b->groups[i]);

		for (size_t at = 0; at < LONG_BYTES; at += sizeof(piece))
			need(engine_body_append(body, slice_of(piece, sizeof(piece))), "append");
		need(engine_body_end(body, NULL, NULL), "end");
		need(engine_put_body(batch, SLICE("long"), SLICE_NONE, body), "put");
		engine_commit(b->e, &batch, 1, on_done, &done);
		while (done <= i)
			turn(b);
		need(engine_body_loc(body, &locs[i]), "loc");
		engine_body_free(&body);
	}
	t0 = clock_mono_ns();
	for (size_t i = 0; i < HEAD_READS; i++) {
		int rc = engine_body_read_now(b->e, &locs[rnd(b) % LONG], 0, buf, sizeof(buf), &n);

		again += rc == ENGINE_AGAIN;
		if (rc != ENGINE_AGAIN)
			need(rc, "head");
	}
	printf("head        %8.0f/s  of %u KiB  (%zu would block)\n",
	    (double)HEAD_READS * 1e9 / (double)(clock_mono_ns() - t0), LONG_BYTES >> 10, again);
}

static struct engine *timed_open(const char *spec, const char *dir, const char *what)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct engine_stats st;
	struct engine *e;
	int64_t t0;

	if (fd < 0)
		err(1, "%s", dir);
	t0 = clock_mono_ns();
	need(engine_open(spec, fd, NULL, &e), "open");
	t0 = clock_mono_ns() - t0;
	engine_stats(e, &st);
	printf("open        %8.2f ms, %s, %lu frames replayed\n", (double)t0 / 1e6, what,
	    (unsigned long)st.replayed_frames);
	close(fd);
	return e;
}

int main(int argc, char **argv)
{
	const char *dir = argc > 1 ? argv[1] : NULL, *spec = argc > 2 ? argv[2] : "lmdb";
	double seconds = argc > 3 ? atof(argv[3]) : 2;
	struct bench *b = calloc(1, sizeof(*b));
	char cmd[1024];
	int64_t t0;

	if (dir == NULL || b == NULL)
		errx(2, "usage: engine-bench DIR [spec [seconds]]");
	if (mkdir(dir, 0700) != 0)
		err(1, "%s", dir);
	b->rnd = 88172645463325252u;
	b->e = timed_open(spec, dir, "empty");
	for (uint64_t i = 0; i < GROUPS; i++)
		need(engine_group_open_now(b->e, slice_of(&i, 8), 0, ENGINE_CREATE, &b->groups[i]),
		    "group");
	if (argc > 4) {
		bench_beside(b, seconds);
		return 0;
	}
	bench_deliver(b, 1, seconds);
	bench_deliver(b, 10, seconds);
	bench_deliver(b, 50, seconds);
	bench_reads(b);
	bench_heads(b);
	if (strcmp(spec, "lmdb") == 0) {
		struct engine *e;

		snprintf(cmd, sizeof(cmd), "cp -r '%s' '%s.image'", dir, dir);
		if (system(cmd) != 0)
			errx(1, "copy");
		snprintf(cmd, sizeof(cmd), "%s.image", dir);
		e = timed_open(spec, cmd, "after a crash");
		engine_close(&e);
	}
	for (int i = 0; i < GROUPS; i++)
		engine_group_close(&b->groups[i]);
	t0 = clock_mono_ns();
	engine_close(&b->e);
	printf("close       %8.2f ms\n", (double)(clock_mono_ns() - t0) / 1e6);
	b->e = timed_open(spec, dir, "closed in order");
	engine_close(&b->e);
	free(b);
	return 0;
}
