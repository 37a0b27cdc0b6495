/*
 * What stored reads out of the engine, as a damage that no sum shows or a wrong program could have
 * left it. The first byte says as what; what can be read is written as bytes that are read as the
 * same.
 */
#include "stored/keywords.h"
#include "stored/loans.h"
#include "stored/record.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>

/* More than any row, its names included, which are parts of the input. */
enum { MORE_BYTES = 1 << 16 };

/* Each: what was read, written again; how many bytes, or 0 when it could not be read. */
static size_t again_head(struct slice v, uint8_t *out)
{
	struct mbox_head r;

	if (head_unpack(v, &r) != 0)
		return 0;
	head_pack(&r, out);
	return RECORD_HEAD_BYTES;
}

static size_t again_msg(struct slice v, uint8_t *out)
{
	struct msg_rec r;

	return msg_unpack(v, &r) == 0 ? msg_pack(&r, out) : 0;
}

static size_t again_flags(struct slice v, uint8_t *out)
{
	struct flags_rec r;

	return flags_unpack(v, &r) == 0 ? flags_pack(&r, out) : 0;
}

static size_t again_root(struct slice v, uint8_t *out)
{
	struct root_rec r;

	if (root_unpack(v, &r) != 0)
		return 0;
	root_pack(&r, out);
	return RECORD_ROOT_BYTES;
}

static size_t again_mbox(struct slice v, uint8_t *out)
{
	struct mbox_rec r;

	return mbox_unpack(v, &r) == 0 ? mbox_pack(&r, out) : 0;
}

static size_t again_name(struct slice v, uint8_t *out)
{
	struct slice name;

	return name_unpack(v, &name) == 0 ? name_pack(name, out) : 0;
}

static size_t again_lost(struct slice v, uint8_t *out)
{
	struct lost_rec r;

	return lost_unpack(v, &r) == 0 ? lost_pack(&r, out) : 0;
}

static size_t again_threads(struct slice v, uint8_t *out)
{
	struct threads_rec r;

	if (threads_unpack(v, &r) != 0)
		return 0;
	threads_pack(&r, out);
	return RECORD_THREADS_BYTES;
}

static size_t again_allow(struct slice v, uint8_t *out)
{
	struct allow_rec r;

	if (allow_unpack(v, &r) != 0)
		return 0;
	allow_pack(&r, out);
	return RECORD_ALLOW_BYTES;
}

static size_t again_intent(struct slice v, uint8_t *out)
{
	struct intent_rec r;

	return intent_unpack(v, &r) == 0 ? intent_pack(&r, out) : 0;
}

static size_t again_cross(struct slice v, uint8_t *out)
{
	struct cross_rec r;

	return cross_unpack(v, &r) == 0 ? cross_pack(&r, out) : 0;
}

static size_t again_keywords(struct slice v, uint8_t *out)
{
	struct keywords k = { 0 };
	size_t n = keywords_unpack(v, &k) == 0 && k.n > 0 ? keywords_pack(&k, 0, out) : 0;

	keywords_fini(&k);
	return n;
}

/* A row, and again without what was cut out of it. */
static size_t again_loans(struct slice v, uint8_t *out)
{
	struct loans l = { 0 };
	uint32_t cut = v.n > 1 ? v.p[v.n - 1] : 0;
	size_t n = 0;

	if (loans_unpack(&l, 1, v) == 0 && loans_cut(&l, cut, cut + 7) == 0)
		n = loans_pack(&l, 1, out);
	loans_fini(&l);
	return n;
}

static size_t (*const again[])(struct slice v, uint8_t *out) = { again_head, again_msg, again_flags,
	again_root, again_mbox, again_name, again_lost, again_threads, again_allow, again_intent,
	again_keywords, again_loans, again_cross };

/* The others are a number each, or lie partly in their key. */
static void numbers(struct slice v)
{
	struct run_rec run;
	uint64_t n;
	uint32_t uid;

	(void)run_unpack(slice_part(v, 0, v.n / 2), slice_from(v, v.n / 2), &run);
	(void)thread_row_unpack(v, &n);
	(void)applied_unpack(v, &n);
	(void)key_get_u32(v, REC_MSG, &uid);
	(void)key_get_u64(v, REC_THREAD, &n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice in = slice_from(slice_of(data, n), 1);
	uint8_t *one, *two;
	size_t n1, n2;

	if (n == 0 || n > MORE_BYTES / 2)
		return 0;
	numbers(in);
	one = calloc(2, MORE_BYTES);
	assert(one != NULL);
	two = one + MORE_BYTES;
	n1 = again[data[0] % (sizeof(again) / sizeof(again[0]))](in, one);
	if (n1 > 0) {
		n2 = again[data[0] % (sizeof(again) / sizeof(again[0]))](slice_of(one, n1), two);
		assert(slice_eq(slice_of(one, n1), slice_of(two, n2)));
	}
	free(one);
	return 0;
}
