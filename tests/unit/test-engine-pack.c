/* Packed bodies: every part of every size reads as it was written, damage stays in its chunk, and a
 * program that does not know them refuses the store. */
#include "engine-help.h"

#include "common/base/wire.h"
#include "common/engine/lmdb/lmdb-private.h"
#include "common/engine/raw.h"

#include <xxhash.h>

enum { K = 1024, BYTES_MAX = 3000 * K };

/* Repeats itself; does not; every other chunk does; and only the long body's short first one. */
enum content { SAME, NOISE, MIXED, HEAD };

static uint8_t noise(size_t i)
{
	uint64_t z = (i + 1) * 0x9e3779b97f4a7c15u;

	return (uint8_t)((z ^ z >> 29) * 0xbf58476d1ce4e5b9u >> 55);
}

static uint8_t byte_of(enum content c, size_t i)
{
	if (c == SAME || (c == MIXED && i / (64 * K) % 2 == 0) || (c == HEAD && i < 8 * K))
		return (uint8_t)('a' + i % 23);
	return noise(i);
}

static struct engine_body *upload(struct engine *e, enum content c, size_t n, bool pack)
{
	struct answer room = { .rc = WAITING }, end = { .rc = WAITING };
	struct engine_body *b = engine_body_begin(e, n, on_done, &room);
	static uint8_t piece[40000];
	int r;

	if (pack)
		engine_body_pack(b);
	for (size_t at = 0; at < n;) {
		size_t len = n - at < sizeof(piece) ? n - at : sizeof(piece);

		for (size_t i = 0; i < len; i++)
			piece[i] = byte_of(c, at + i);
		r = engine_body_append(b, slice_of(piece, len));
		if (r == ENGINE_AGAIN) {
			wait_for(e, &room.rc);
			assert_int_equal(room.rc, 0);
			room.rc = WAITING;
			continue;
		}
		assert_int_equal(r, 0);
		at += len;
	}
	in_call = true;
	r = engine_body_end(b, on_done, &end);
	in_call = false;
	if (r == ENGINE_AGAIN) {
		wait_for(e, &end.rc);
		r = end.rc;
	}
	assert_int_equal(r, 0);
	return b;
}

static struct engine_loc store_one(
    struct engine *e, const char *key, enum content c, size_t n, bool pack)
{
	struct engine_group *g = group_open(e, "g", ENGINE_CREATE, 0);
	struct engine_batch *b = engine_batch_new(g);
	struct engine_body *body = upload(e, c, n, pack);
	struct engine_loc loc;

	assert_int_equal(engine_put_body(b, slice_str(key), SLICE_NONE, body), 0);
	assert_int_equal(commit(e, b), 0);
	assert_int_equal(engine_body_loc(body, &loc), 0);
	engine_body_free(&body);
	engine_group_close(&g);
	return loc;
}

static struct engine_loc loc_of(struct engine *e, const char *key)
{
	struct engine_group *g = group_open(e, "g", 0, 0);
	struct engine_loc loc;

	assert_int_equal(get(e, g, key)->rc, 0);
	loc = get(e, g, key)->loc;
	engine_group_close(&g);
	return loc;
}

/* ---- reading ---- */

struct part {
	int rc;
	size_t n;
	uint8_t bytes[256 * K];
};

static void on_part(void *arg, int rc, struct slice data)
{
	struct part *p = arg;

	if (data.n > 0)
		memcpy(p->bytes, data.p, data.n);
	p->n = data.n;
	p->rc = rc;
}

/* As one that comes at once, where it does, and as one that comes later. */
static int read_part(
    struct engine *e, const struct engine_loc *loc, enum content c, uint64_t off, size_t len)
{
	static struct part p, now;
	uint64_t size = engine_loc_bytes(loc);
	size_t want = len < size - off ? len : size - off;

	p.rc = WAITING;
	engine_body_read(e, loc, off, len, on_part, &p);
	wait_for(e, &p.rc);
	now.rc = engine_body_read_now(e, loc, off, now.bytes, len, &now.n);
	if (now.rc != ENGINE_AGAIN) {
		assert_int_equal(now.rc, p.rc);
		assert_true(p.rc != 0 || (now.n == p.n && memcmp(now.bytes, p.bytes, p.n) == 0));
	}
	if (p.rc != 0)
		return p.rc;
	assert_int_equal(p.n, want);
	for (size_t i = 0; i < p.n; i++)
		if (p.bytes[i] != byte_of(c, off + i))
			fail_msg("byte %zu differs", (size_t)off + i);
	return 0;
}

static void expect_whole(struct engine *e, const struct engine_loc *loc, enum content c)
{
	for (uint64_t off = 0; off < engine_loc_bytes(loc); off += 256 * K)
		assert_int_equal(read_part(e, loc, c, off, 256 * K), 0);
}

static const size_t sizes[] = { 0, 1, K - 1, K, K + 1, 8 * K, 8 * K + 1, 32 * K, 32 * K + 1,
	64 * K - 1, 64 * K, 64 * K + 1, 128 * K, 136 * K, 1000 * K, 1500 * K };

static void test_every_part(void **state)
{
	static const uint64_t offs[] = { 0, 1, 8 * K - 1, 8 * K, 40 * K, 64 * K - 1, 64 * K,
		64 * K + 1, 128 * K - 1, 130 * K, 1499 * K };
	static const size_t lens[] = { 0, 1, 1000, 8 * K + 1, 64 * K, 200 * K };
	char dir[64];
	struct engine *e;

	dir_make(dir);
	e = store_open("lmdb", dir, NULL);
	for (enum content c = SAME; c <= HEAD; c++)
		for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
			struct engine_loc loc = store_one(e, "key", c, sizes[s], true);
			uint64_t plain = engine_loc_stored(&loc);

			assert_int_equal(engine_loc_bytes(&loc), sizes[s]);
			if (c == SAME)
				assert_int_equal(engine_loc_packed(&loc), sizes[s] >= K);
			if (c == NOISE)
				assert_false(engine_loc_packed(&loc));
			if (engine_loc_packed(&loc))
				assert_true(plain < sizes[s]);
			expect_whole(e, &loc, c);
			for (size_t o = 0; o < sizeof(offs) / sizeof(*offs); o++)
				for (size_t l = 0;
				     offs[o] <= sizes[s] && l < sizeof(lens) / sizeof(*lens); l++)
					assert_int_equal(
					    read_part(e, &loc, c, offs[o], lens[l]), 0);
			assert_int_equal(read_part(e, &loc, c, sizes[s], 10), 0);
		}
	engine_close(&e);
	dir_remove(dir);
}

/* What is asked of the engine after the upload began, or is too late, changes no byte. */
static void test_asked_late(void **state)
{
	struct answer room = { .rc = WAITING }, end = { .rc = WAITING };
	struct engine_body *b;
	struct engine_batch *t;
	struct engine_group *g;
	struct engine_loc loc;
	static uint8_t all[200 * K];
	char dir[64];
	struct engine *e;

	dir_make(dir);
	e = store_open("lmdb", dir, NULL);
	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = byte_of(SAME, i);
	for (int spilled = 0; spilled < 2; spilled++) {
		b = engine_body_begin(e, 0, on_done, &room);
		for (int i = 0; i < (spilled ? 8 : 1); i++)
			while (engine_body_append(b, slice_of(all, sizeof(all))) == ENGINE_AGAIN) {
				wait_for(e, &room.rc);
				room.rc = WAITING;
			}
		engine_body_pack(b);
		end.rc = WAITING;
		assert_int_equal(engine_body_end(b, on_done, &end), ENGINE_AGAIN);
		wait_for(e, &end.rc);
		g = group_open(e, "g", ENGINE_CREATE, 0);
		t = engine_batch_new(g);
		assert_int_equal(engine_put_body(t, SLICE("k"), SLICE_NONE, b), 0);
		assert_int_equal(commit(e, t), 0);
		assert_int_equal(engine_body_loc(b, &loc), 0);
		assert_int_equal(engine_loc_packed(&loc), !spilled);
		engine_body_free(&b);
		engine_group_close(&g);
		assert_int_equal(read_part(e, &loc, SAME, 0, sizeof(all)), 0);
	}
	/* Let go of while the pool is at it. */
	for (int i = 0; i < 20; i++) {
		b = engine_body_begin(e, 0, NULL, NULL);
		engine_body_pack(b);
		assert_int_equal(engine_body_append(b, slice_of(all, sizeof(all))), 0);
		assert_int_equal(engine_body_end(b, on_done, &end), ENGINE_AGAIN);
		engine_body_free(&b);
		engine_dispatch(e, 0);
	}
	engine_close(&e);
	dir_remove(dir);
}

/* ---- versions ---- */

static uint32_t version_of(const char *dir, uint64_t segment)
{
	uint8_t head[SEG_HEAD];
	struct seg_head h;
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/log-%08x", dir, (unsigned)segment);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	assert_int_equal(pread(fd, head, sizeof(head), 0), sizeof(head));
	close(fd);
	assert_int_equal(seg_head_decode(head, &h), SEG_OK);
	return h.version;
}

static void test_the_version_says_so(void **state)
{
	struct engine_conf conf = { .segment_bytes = 200000 };
	struct engine_loc loc;
	struct loc_parts p;
	struct answer a;
	char dir[64];
	struct engine *e;

	dir_make(dir);
	e = store_open("lmdb", dir, &conf);
	store_one(e, "a", SAME, 5000, false);
	store_one(e, "b", NOISE, 5000, true); /* nothing was gained: nothing is new */
	store_one(e, "c", SAME, 500, true);
	assert_int_equal(version_of(dir, 0), SEG_VERSION);
	assert_int_equal(version_of(dir, 1), 0);
	loc = store_one(e, "d", SAME, 5000, true);
	loc_decode(&loc, &p);
	assert_int_equal(p.file, 1);
	assert_int_equal(version_of(dir, 0), SEG_VERSION);
	assert_int_equal(version_of(dir, 1), SEG_VERSION_PACKED);
	engine_close(&e);
	/* And it stays so, also when nobody packs any more, and behind a compaction. */
	e = store_open("lmdb", dir, &conf);
	store_one(e, "e", NOISE, 150000, false);
	store_one(e, "f", NOISE, 150000, false);
	assert_int_equal(version_of(dir, 2), SEG_VERSION_PACKED);
	store_one(e, "e", SAME, 500, false);
	store_one(e, "f", SAME, 500, false);
	a.rc = WAITING;
	engine_compact(e, NULL, on_done, &a);
	wait_for(e, &a.rc);
	assert_int_equal(a.rc, 0);
	assert_true(version_of(dir, 3) != 0);
	for (unsigned i = 2; i < 20; i++)
		assert_true(version_of(dir, i) != SEG_VERSION);
	loc = loc_of(e, "d");
	assert_true(engine_loc_packed(&loc));
	expect_whole(e, &loc, SAME);
	engine_close(&e);
	dir_remove(dir);
}

/* ---- damage ---- */

static void flip(const char *dir, const struct loc_parts *p, uint64_t at)
{
	char name[32], path[128];
	uint8_t byte;
	int fd;

	log_name_of(p->kind, p->file, name);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	at += p->kind == LOC_SEGMENT ? p->off : SEG_HEAD;
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
	byte ^= 4;
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
	close(fd);
}

struct told {
	uint64_t at;
	unsigned wrong[8]; /* bytes, of each 64 KiB */
	enum content c;
};

static int on_bytes(void *arg, struct slice s)
{
	struct told *t = arg;

	for (size_t i = 0; i < s.n; i++, t->at++)
		t->wrong[t->at / (64 * K)] += s.p[i] != byte_of(t->c, t->at);
	return 0;
}

static int raw_rc(const char *dir, const struct engine_loc *loc, struct told *t)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;
	struct raw_conf conf = { 0 };
	struct raw *r;

	assert_int_equal(raw_open(fd, &conf, &r), 0);
	close(fd);
	*t = (struct told){ .c = t->c };
	rc = raw_body(r, loc, on_bytes, t);
	raw_close(&r);
	return rc;
}

/* Where chunk i is stored, or the table (i beyond the last one). */
static uint64_t place_of(const char *dir, const struct loc_parts *p, uint64_t i)
{
	uint8_t table[16 * 8];
	struct body_piece c;
	char name[32], path[128];
	size_t n = body_table_bytes(p);
	uint64_t table_at = body_span(p) - n;
	int fd;

	if (i >= body_chunks(p))
		return table_at + 3;
	log_name_of(p->kind, p->file, name);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(n <= sizeof(table));
	assert_int_equal(pread(fd, table, n, (off_t)(p->off + table_at)), n);
	close(fd);
	assert_true(body_piece(p, slice_of(table, n), i, &c));
	return c.at + c.stored / 2;
}

static void test_damage_stays_in_its_chunk(void **state)
{
	static const struct {
		uint64_t chunk;
		bool head, rest, next;
	} cases[] = { { 0, false, true, true }, { 1, true, false, true }, { 2, true, true, false },
		{ 9, false, false, false } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct told t = { .c = MIXED };
		struct engine_loc loc, other;
		struct loc_parts p;
		struct engine *e;
		char dir[64];

		dir_make(dir);
		e = store_open("lmdb", dir, NULL);
		loc = store_one(e, "damaged", MIXED, 136 * K, true);
		other = store_one(e, "other", MIXED, 136 * K, true);
		loc_decode(&loc, &p);
		assert_true(p.parted && p.packed);
		flip(dir, &p, place_of(dir, &p, cases[i].chunk));
		assert_int_equal(
		    read_part(e, &loc, MIXED, 0, 3000), cases[i].head ? 0 : ENGINE_CORRUPT);
		assert_int_equal(
		    read_part(e, &loc, MIXED, 9 * K, 3000), cases[i].rest ? 0 : ENGINE_CORRUPT);
		assert_int_equal(
		    read_part(e, &loc, MIXED, 70 * K, 3000), cases[i].next ? 0 : ENGINE_CORRUPT);
		expect_whole(e, &other, MIXED);
		engine_close(&e);
		/* Salvage gives all that can be read, and tells that it is not all. */
		assert_int_equal(raw_rc(dir, &loc, &t), ENGINE_CORRUPT);
		assert_int_equal(t.at, 136 * K);
		assert_int_equal(t.wrong[0] == 0, cases[i].head && cases[i].rest);
		assert_int_equal(t.wrong[1] == 0, cases[i].next || cases[i].chunk == 9);
		assert_int_equal(t.wrong[2], 0);
		assert_int_equal(raw_rc(dir, &other, &t), 0);
		assert_int_equal(t.wrong[0] + t.wrong[1] + t.wrong[2], 0);
		dir_remove(dir);
	}
}

/* Whoever gets past the sums: a table that says what cannot be is damage, whatever it says. */
static void test_tables_that_cannot_be(void **state)
{
	struct loc_parts p = {
		.kind = LOC_SEGMENT, .size = 100 * K, .parted = true, .packed = true, .span = 50 * K
	};
	static const struct {
		const char *what;
		uint64_t kind[3], end[3];
		bool ok[3];
	} cases[] = {
		{ "as it should be", { 1, 1, 1 }, { 100, 200, 300 }, { true, true, true } },
		{ "stored as it is", { 0, 1, 1 }, { 8 * K, 8 * K + 1, 9 * K },
		    { true, true, true } },
		{ "as it is, and shorter", { 0, 1, 1 }, { 8 * K - 1, 9 * K, 10 * K },
		    { false, true, true } },
		{ "an unknown kind", { 2, 255, 1 }, { 100, 200, 300 }, { false, false, true } },
		{ "nothing", { 1, 1, 1 }, { 0, 0, 300 }, { false, false, true } },
		{ "backwards", { 1, 1, 1 }, { 300, 200, 100 }, { true, false, false } },
		{ "longer than it is", { 1, 1, 1 }, { 8 * K + 1, 9 * K, 46 * K },
		    { false, true, false } },
		{ "over the table", { 1, 1, 1 }, { 100, 20 * K, 50 * K }, { true, true, false } },
		{ "far away", { 1, 1, 1 }, { 1ull << 55, 200, 300 }, { false, false, true } },
	};
	uint8_t table[48];
	struct body_piece c;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		for (unsigned k = 0; k < 3; k++) {
			wire_store_u64(table + 16 * k, 7);
			wire_store_u64(
			    table + 16 * k + 8, cases[i].kind[k] << 56 | cases[i].end[k]);
		}
		p.sum = XXH3_64bits(table, sizeof(table));
		assert_true(body_place_ok(&p) && body_table_ok(&p, slice_of(table, sizeof(table))));
		for (unsigned k = 0; k < 3; k++)
			if (body_piece(&p, slice_of(table, sizeof(table)), k, &c) != cases[i].ok[k])
				fail_msg("%s: chunk %u", cases[i].what, k);
		assert_false(body_piece(&p, slice_of(table, sizeof(table)), 3, &c));
		assert_false(body_piece(&p, slice_of(table, 32), 0, &c));
	}
}

/* A place says how much is to be read: never much more than the body is long. */
static void test_places(void **state)
{
	static const struct {
		uint64_t size, span;
		bool ok;
	} cases[] = { { 2000, 512, true }, { 2000, 8, false }, { 2000, 2000 + 512 + 16, true },
		{ 2000, 4096, false }, { 0, 512, false }, { 1000 * K, 800, true },
		{ 1000 * K, 200, false }, { 1000 * K, 2000 * K, false } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		for (enum loc_kind kind = LOC_SEGMENT; kind <= LOC_FILE; kind++) {
			struct loc_parts p = { .kind = kind,
				.file = 0xfffffff0,
				.off = kind == LOC_SEGMENT ? 0xfffffff8 : 0,
				.size = cases[i].size,
				.sum = 5,
				.parted = true,
				.packed = true,
				.span = cases[i].span };
			struct loc_parts q;
			struct engine_loc loc;

			assert_int_equal(body_place_ok(&p), cases[i].ok);
			loc_encode(&p, &loc);
			loc_decode(&loc, &q);
			assert_true(q.kind == p.kind && q.file == p.file && q.off == p.off &&
				    q.size == p.size && q.sum == p.sum && q.parted && q.packed &&
				    q.span == p.span);
			assert_int_equal(engine_loc_bytes(&loc), p.size);
			assert_int_equal(engine_loc_stored(&loc), p.span);
		}
}

/* ---- everybody who reads ---- */

struct scrubbed {
	struct answer a; /* first: on_done() */
	unsigned n;
};

static void on_damage(void *arg, const struct engine_damage *d)
{
	((struct scrubbed *)arg)->n++;
}

static unsigned scrub_now(struct engine *e)
{
	struct scrubbed x = { .a = { .rc = WAITING } };

	engine_scrub(e, on_damage, on_done, &x);
	wait_for(e, &x.a.rc);
	assert_int_equal(x.a.rc, 0);
	return x.n;
}

/* Measured, scrubbed, moved, found again without the index and after a kill, read by salvage. */
static void test_all_readers(void **state)
{
	struct engine_conf conf = { .segment_bytes = 1 << 20 };
	struct engine_stats st;
	struct told t;
	struct answer a;
	char dir[64], key[16], cmd[200];
	struct engine_loc loc;
	struct engine *e;

	dir_make(dir);
	e = store_open("lmdb", dir, &conf);
	for (int round = 0; round < 2; round++)
		for (unsigned i = 0; i < 40; i++) {
			snprintf(key, sizeof(key), "%u", i % 30);
			store_one(
			    e, key, i % 4, i % 30 == 29 ? 2500 * K : 1000 + i * 9000, i % 5 > 0);
		}
	a.rc = WAITING;
	engine_measure(e, on_done, &a);
	wait_for(e, &a.rc);
	engine_stats(e, &st);
	assert_true(st.body_stored_bytes < st.body_raw_bytes * 9 / 10);
	assert_int_equal(scrub_now(e), 0);
	a.rc = WAITING;
	engine_compact(e, NULL, on_done, &a);
	wait_for(e, &a.rc);
	assert_int_equal(a.rc, 0);
	engine_stats(e, &st);
	assert_true(st.moved_bytes > 0);
	assert_int_equal(scrub_now(e), 0);
	snprintf(cmd, sizeof(cmd), "rm -rf killed; cp -a %s killed; rm killed/data.mdb", dir);
	assert_int_equal(system(cmd), 0);
	engine_close(&e);
	for (int killed = 0; killed < 2; killed++) {
		e = store_open("lmdb", killed ? "killed" : dir, &conf);
		for (unsigned i = 0; i < 30; i++) {
			unsigned last = i < 10 ? i + 30 : i;

			snprintf(key, sizeof(key), "%u", i);
			loc = loc_of(e, key);
			assert_int_equal(
			    engine_loc_bytes(&loc), i == 29 ? 2500 * K : 1000 + last * 9000);
			expect_whole(e, &loc, last % 4);
		}
		engine_close(&e);
	}
	e = store_open("lmdb", dir, &conf);
	loc = loc_of(e, "26"); /* MIXED, packed */
	assert_true(engine_loc_packed(&loc));
	engine_close(&e);
	t.c = MIXED;
	assert_int_equal(raw_rc(dir, &loc, &t), 0);
	assert_int_equal(t.at, engine_loc_bytes(&loc));
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(t.wrong[i], 0);
	dir_remove(dir);
	dir_remove("killed");
}

static int all(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_part),
		cmocka_unit_test(test_asked_late),
		cmocka_unit_test(test_the_version_says_so),
		cmocka_unit_test(test_damage_stays_in_its_chunk),
		cmocka_unit_test(test_tables_that_cannot_be),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_all_readers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return run_apart(all);
}
