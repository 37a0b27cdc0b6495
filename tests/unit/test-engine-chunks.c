/* Bodies in chunks: where they end, what a part reads, how far damage goes. */
#include "engine-help.h"

#include "common/engine/engine-private.h"

enum { K = 1024 };

static void test_where_chunks_are(void **state)
{
	static const struct {
		uint64_t size;
		bool parted;
		uint64_t chunks, table;
		uint64_t at[5]; /* the last one: behind the end */
	} cases[] = {
		{ 0, false, 1, 0, { 0, 0 } },
		{ 1, false, 1, 0, { 0, 1 } },
		{ 64 * K, false, 1, 0, { 0, 64 * K } },
		{ 64 * K + 1, false, 2, 16, { 0, 64 * K, 64 * K + 1 } },
		{ 130 * K, false, 3, 24, { 0, 64 * K, 128 * K, 130 * K } },
		{ 32 * K + 1, true, 2, 16, { 0, 8 * K, 32 * K + 1 } },
		{ 64 * K, true, 2, 16, { 0, 8 * K, 64 * K } },
		{ 64 * K + 1, true, 3, 24, { 0, 8 * K, 64 * K, 64 * K + 1 } },
		{ 130 * K, true, 4, 32, { 0, 8 * K, 64 * K, 128 * K, 130 * K } },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct loc_parts p = {
			.kind = LOC_SEGMENT, .size = cases[i].size, .parted = cases[i].parted
		};
		struct engine_loc loc;

		assert_int_equal(body_chunks(&p), cases[i].chunks);
		assert_int_equal(body_table_bytes(&p), cases[i].table);
		for (uint64_t k = 0; k <= cases[i].chunks; k++) {
			assert_int_equal(body_chunk_at(&p, k), cases[i].at[k]);
			if (k < cases[i].chunks && p.size > 0) {
				assert_int_equal(body_chunk_of(&p, cases[i].at[k]), k);
				assert_int_equal(body_chunk_of(&p, cases[i].at[k + 1] - 1), k);
			}
		}
		loc_encode(&p, &loc);
		loc_decode(&loc, &p);
		assert_int_equal(p.kind, LOC_SEGMENT);
		assert_int_equal(p.parted, cases[i].parted);
		assert_int_equal(p.size, cases[i].size);
	}
}

/* Every kind in every shard; what has no kind that we know is no place. */
static void test_places_of_kinds(void **state)
{
	struct engine_loc loc = { { 0 } };
	struct loc_parts p;

	for (unsigned top = 0; top < 256; top++) {
		loc.b[7] = (uint8_t)top;
		loc_decode(&loc, &p);
		assert_int_equal(p.kind == LOC_SEGMENT, (top & 3) == 0x01);
		assert_int_equal(p.kind == LOC_FILE, (top & 3) == 0x02);
		assert_int_equal(p.shard, (top >> 2 & 3) + (top >> 6) * 4);
		/* A packed one says how much it takes; nothing is too little. */
		assert_int_equal(
		    body_place_ok(&p), (top & 0x20) == 0 && ((top & 3) == 1 || (top & 3) == 2));
		if (!body_place_ok(&p))
			continue;
		loc_encode(&p, &loc);
		assert_int_equal(loc.b[7], top);
	}
}

static void store_body(struct engine *e, size_t n, struct engine_loc *ret_loc)
{
	struct engine_group *g = group_open(e, "g", ENGINE_CREATE, 0);
	struct engine_batch *b = engine_batch_new(g);
	struct engine_body *body = body_make(e, n, 3);

	assert_int_equal(engine_put_body(b, SLICE("key"), SLICE_NONE, body), 0);
	assert_int_equal(commit(e, b), 0);
	assert_int_equal(engine_body_loc(body, ret_loc), 0);
	engine_body_free(&body);
	engine_group_close(&g);
}

static void expect_part(struct engine *e, const struct engine_loc *loc, uint64_t off, size_t len)
{
	static uint8_t now[256 * K];
	uint64_t size = engine_loc_bytes(loc);
	size_t want = len < size - off ? len : size - off, got = 0;
	struct answer *a = body_read(e, loc, off, want < KEEP_MAX - 1 ? len : KEEP_MAX - 1);
	int r;

	assert_int_equal(a->rc, 0);
	for (size_t i = 0; i < a->rows; i++)
		assert_int_equal((uint8_t)a->text[i], body_byte(off + i, 3));
	r = engine_body_read_now(e, loc, off, now, len, &got);
	if (r == ENGINE_AGAIN)
		return;
	assert_int_equal(r, 0);
	assert_int_equal(got, want);
	for (size_t i = 0; i < got; i++)
		assert_int_equal(now[i], body_byte(off + i, 3));
}

static void test_parts(void **state)
{
	static const size_t sizes[] = { 1, 8 * K, 8 * K + 1, 32 * K, 32 * K + 1, 64 * K - 1, 64 * K,
		64 * K + 1, 136 * K, 1500 * K };
	static const uint64_t offs[] = { 0, 1, 8 * K - 1, 8 * K, 8 * K + 1, 40 * K, 64 * K - 1,
		64 * K, 64 * K + 1, 128 * K - 1, 128 * K, 130 * K, 1499 * K };
	static const size_t lens[] = { 0, 1, 2, 3000, 8 * K, 8 * K + 1, 64 * K, 64 * K + 1,
		200 * K };
	struct engine_loc loc;
	struct engine *e;
	char dir[64];

	dir_make(dir);
	e = store_open("lmdb", dir, NULL);
	for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
		store_body(e, sizes[s], &loc);
		body_expect(e, &loc, sizes[s], 3);
		for (size_t o = 0; o < sizeof(offs) / sizeof(*offs); o++)
			for (size_t l = 0; offs[o] <= sizes[s] && l < sizeof(lens) / sizeof(*lens);
			     l++)
				expect_part(e, &loc, offs[o], lens[l]);
	}
	engine_close(&e);
	dir_remove(dir);
}

/* A long body's header can be read though its text is damaged, and the other way round. */
static void test_damage_stays_in_its_chunk(void **state)
{
	static const struct {
		uint64_t at;
		bool head, rest;
	} cases[] = { { 100, false, true }, { 8 * K - 1, false, true }, { 8 * K, true, false },
		{ 60 * K, true, false } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char dir[64], path[128];
		struct engine_loc loc;
		struct loc_parts p;
		struct engine *e;
		uint8_t byte;
		int fd;

		dir_make(dir);
		e = store_open("lmdb", dir, NULL);
		store_body(e, 136 * K, &loc);
		loc_decode(&loc, &p);
		assert_true(p.parted);
		snprintf(path, sizeof(path), "%s/log-%08x", dir, (unsigned)p.file);
		fd = open(path, O_RDWR | O_CLOEXEC);
		assert_int_equal(pread(fd, &byte, 1, (off_t)(p.off + cases[i].at)), 1);
		byte ^= 1;
		assert_int_equal(pwrite(fd, &byte, 1, (off_t)(p.off + cases[i].at)), 1);
		close(fd);
		assert_int_equal(
		    body_read(e, &loc, 0, 3000)->rc, cases[i].head ? 0 : ENGINE_CORRUPT);
		assert_int_equal(
		    body_read(e, &loc, 9 * K, 3000)->rc, cases[i].rest ? 0 : ENGINE_CORRUPT);
		assert_int_equal(body_read(e, &loc, 70 * K, 3000)->rc, 0);
		engine_close(&e);
		dir_remove(dir);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_where_chunks_are),
		cmocka_unit_test(test_places_of_kinds),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_damage_stays_in_its_chunk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
