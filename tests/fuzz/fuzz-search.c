/*
 * Searching a message by its facts and by its parsed structure finds the same, however it is cut.
 * The first three bytes choose a word of the message and the cut; the rest is the message.
 */
#include "common/mail/facts.h"
#include "protocols/imap/search-text.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>

struct keys {
	struct search_keys all;
	struct search_key body, text, header;
	struct search_key *lists[3];
};

static void keys_init(struct keys *k, struct slice word)
{
	*k = (struct keys){ 0 };
	k->body.kind = SEARCH_BODY;
	k->text.kind = SEARCH_TEXT;
	k->header.kind = SEARCH_HEADER;
	k->body.word.folded = k->text.word.folded = k->header.word.folded = word;
	k->header.name = SLICE("Subject");
	k->lists[0] = &k->body;
	k->lists[1] = &k->text;
	k->lists[2] = &k->header;
	k->all.bodies = &k->lists[0];
	k->all.texts = &k->lists[1];
	k->all.headers = &k->lists[2];
	k->all.n_bodies = k->all.n_texts = k->all.n_headers = 1;
}

/* What was found, as bits. */
static unsigned look(
    struct slice message, struct slice word, const struct search_ranges *ranges, size_t step)
{
	struct keys k;
	struct search_text t;
	struct search_msg m = { .uid = 1, .size = message.n, .facts_lost = true };
	unsigned found;

	keys_init(&k, word);
	if (!search_text_init(&t, &k.all))
		abort();
	search_text_begin(&t, &m, ranges);
	for (size_t at = 0; at < message.n; at += step)
		search_text_feed(&t, at, slice_part(message, at, step));
	search_text_end(&t);
	assert(m.header_known && m.text_known);
	found = (unsigned)k.body.word.found |
		(unsigned)(k.text.word.found || k.text.in_header) << 1 |
		(unsigned)k.header.word.found << 2;
	search_text_fini(&t);
	return found;
}

static bool facts_of(struct slice message, struct buf *blob, struct facts_view *ret_view)
{
	struct facts_maker *maker = facts_maker_new();

	assert(maker != NULL);
	facts_maker_feed(maker, message);
	assert(facts_maker_finish(maker, blob) == 0);
	facts_maker_free(&maker);
	return facts_view(buf_slice(blob), message.n, ret_view) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice message, word;
	struct buf blob = BUF_INIT(2 * FACTS_MAX), folded = BUF_INIT(4096);
	struct facts_view view;
	struct search_ranges ranges;
	struct mime *parsed;
	unsigned whole;

	if (n < 3)
		return 0;
	message = slice_of(data + 3, n - 3);
	word = slice_part(message, message.n * data[0] / 256, 1 + data[1] % 12);
	fold_text(word, &folded);
	parsed = mime_parse(message);
	assert(parsed != NULL && search_ranges_parsed(parsed, true, &ranges));
	whole = look(message, buf_slice(&folded), &ranges, message.n + 1);
	assert(look(message, buf_slice(&folded), &ranges, 1 + data[2]) == whole);
	free(ranges.v);
	mime_free(&parsed);
	if (facts_of(message, &blob, &view) &&
	    search_ranges_make(&view, message.n, true, true, &ranges)) {
		assert(look(message, buf_slice(&folded), &ranges, 1 + data[2]) == whole);
		free(ranges.v);
	}
	buf_fini(&blob);
	buf_fini(&folded);
	return 0;
}
