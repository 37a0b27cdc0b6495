/*
 * Facts of every message can be read; every blob can be looked at. The first byte chooses: even,
 * the rest is a message; odd, it is a blob from a liar.
 */
#include "common/base/wire.h"
#include "common/mail/facts.h"
#include "common/mail/param.h"
#include "common/mail/threadid.h"
#include "common/mail/utf8.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>

/* Reads every byte, so that a sanitizer sees what lies outside. */
static void touch(struct slice s, struct slice blob)
{
	static volatile uint8_t sum;

	for (size_t i = 0; i < s.n; i++)
		sum = (uint8_t)(sum + s.p[i]);
	assert(s.n == 0 || (s.p >= blob.p && s.p + s.n <= blob.p + blob.n));
}

static void walk(const struct facts_view *v, struct slice blob)
{
	struct slice parts = v->parts, refs = v->refs, id;
	struct facts_part p;
	unsigned n = 0;

	for (unsigned i = 0; i < FACTS_FIELD_COUNT; i++)
		touch(v->field[i], blob);
	for (unsigned i = 0; i < FACTS_KEY_COUNT; i++)
		touch(v->key[i], blob);
	touch(v->preview, blob);
	touch(v->message_id, blob);
	while (facts_ref_next(&refs, &id) == 0)
		touch(id, blob);
	while (facts_part_next(&parts, &p) == 0) {
		struct slice list = p.text[MIME_PARAMS];
		struct mime_param param;
		int r;

		n++;
		assert(p.header_start <= p.body_start && p.body_start <= p.end && p.end <= v->size);
		for (unsigned i = 0; i < MIME_FIELD_COUNT; i++)
			touch(p.text[i], blob);
		while ((r = mime_param_next(&list, &param)) == 0)
			touch(param.value, blob);
		assert(r == PARAM_DONE);
	}
	assert(n == v->part_count && v->body_start <= v->size);
}

static void make_and_read(struct slice message)
{
	struct facts_maker *m = facts_maker_new();
	struct buf out = BUF_INIT(FACTS_MAX);
	struct facts_view v;
	uint8_t thread[THREADID_BYTES_MAX];
	unsigned chars = 0;
	struct slice header;
	size_t numbers;
	int r;

	assert(m != NULL);
	for (size_t at = 0; at < message.n; at += 61)
		facts_maker_feed(m, slice_part(message, at, 61));
	assert(facts_maker_finish(m, &out) == 0);
	assert(facts_view(buf_slice(&out), message.n, &v) == 0);
	assert(facts_view(buf_slice(&out), message.n, &v) == 0);
	walk(&v, buf_slice(&out));
	assert(utf8_valid(v.preview));
	for (size_t i = 0; i < v.preview.n; i++)
		chars += (v.preview.p[i] & 0xc0) != 0x80;
	assert(chars <= FACTS_PREVIEW_CHARS);
	r = facts_header(facts_maker_header(m), message.n, &header);
	assert(r == (v.body_start > FACTS_HEADER_MAX ? FACTS_LONG : 0));
	assert(r != 0 || slice_eq(header, slice_part(message, 0, v.body_start)));
	numbers = threadid_pack(buf_slice(&out), thread);
	assert(numbers >= 8 && numbers <= sizeof(thread) && numbers % 8 == 0);
	for (unsigned i = 0; i < FACTS_KEY_COUNT; i++)
		assert(utf8_valid(v.key[i]) && v.key[i].n <= FACTS_KEY_MAX);
	facts_maker_free(&m);
	buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t thread[THREADID_BYTES_MAX];
	struct facts_view v;
	struct slice in = slice_of(data, n);

	if (n == 0)
		return 0;
	in = slice_from(in, 1);
	if (data[0] % 2 == 0) {
		make_and_read(in);
	} else if (in.n >= 16 && facts_view(in, wire_load_u64(in.p + 8), &v) == 0) {
		walk(&v, in);
		assert(threadid_pack(in, thread) % 8 == 0);
	}
	return 0;
}
