#include "stored/keywords.h"

#include "common/base/wire.h"
#include "stored/record.h"

#include <errno.h>
#include <stdlib.h>

enum { HEAD_BYTES = 4 };

void keywords_fini(struct keywords *k)
{
	free(k->text);
	*k = (struct keywords){ 0 };
}

static uint32_t start_of(const struct keywords *k, unsigned bit)
{
	return bit == 0 ? 0 : k->end[bit - 1];
}

static size_t text_bytes(const struct keywords *k)
{
	return start_of(k, k->n);
}

int keywords_copy(struct keywords *to, const struct keywords *from)
{
	*to = *from;
	to->text = NULL;
	if (from->n == 0)
		return 0;
	to->text = malloc(text_bytes(from));
	if (to->text == NULL) {
		*to = (struct keywords){ 0 };
		return -ENOMEM;
	}
	memcpy(to->text, from->text, text_bytes(from));
	return 0;
}

struct slice keywords_at(const struct keywords *k, unsigned bit)
{
	uint32_t from = start_of(k, bit);

	return slice_of(k->text + from, k->end[bit] - from);
}

unsigned keywords_find(const struct keywords *k, struct slice name)
{
	for (unsigned i = 0; i < k->n; i++)
		if (slice_ieq(keywords_at(k, i), name))
			return i;
	return KEYWORDS_MAX;
}

unsigned keywords_add(struct keywords *k, struct slice name)
{
	unsigned bit = keywords_find(k, name);
	size_t n = text_bytes(k);
	uint8_t *text;

	if (bit < KEYWORDS_MAX)
		return bit;
	if (name.n == 0 || name.n > KEYWORD_BYTES_MAX || k->n == KEYWORDS_MAX ||
	    n + name.n + 4 * (k->n + 1) > KEYWORDS_TEXT_MAX)
		return KEYWORDS_MAX;
	text = realloc(k->text, n + name.n);
	if (text == NULL)
		return KEYWORDS_MAX;
	memcpy(text + n, name.p, name.n);
	k->text = text;
	k->end[k->n] = (uint32_t)(n + name.n);
	return k->n++;
}

uint64_t keywords_add_all(struct keywords *k, struct slice names, bool *ret_all)
{
	uint64_t bits = 0;

	*ret_all = true;
	while (names.n > 0) {
		struct slice name = slice_take(&names, ' ');
		unsigned bit;

		if (name.n == 0)
			continue;
		bit = keywords_add(k, name);
		if (bit < KEYWORDS_MAX)
			bits |= UINT64_C(1) << bit;
		else
			*ret_all = false;
	}
	return bits;
}

void keywords_tell(const struct keywords *k, unsigned first, struct buf *out)
{
	for (unsigned i = first; i < k->n; i++)
		wire_put_bytes(out, keywords_at(k, i));
}

size_t keywords_pack(const struct keywords *k, uint8_t out[KEYWORDS_RECORD_MAX])
{
	size_t at = HEAD_BYTES;

	memset(out, 0, HEAD_BYTES);
	out[0] = RECORD_VERSION;
	out[1] = (uint8_t)k->n;
	for (unsigned i = 0; i < k->n; i++) {
		struct slice name = keywords_at(k, i);

		out[at++] = (uint8_t)name.n;
		memcpy(out + at, name.p, name.n);
		at += name.n;
	}
	return at;
}

int keywords_unpack(struct slice v, struct keywords *ret)
{
	struct keywords k = { 0 };

	if (v.n < HEAD_BYTES || v.p[0] != RECORD_VERSION)
		return 1;
	for (struct slice rest = slice_from(v, HEAD_BYTES); rest.n > 0;) {
		size_t n = rest.p[0];
		unsigned before = k.n;

		if (n + 1 > rest.n || keywords_add(&k, slice_part(rest, 1, n)) != before) {
			keywords_fini(&k);
			return 1;
		}
		rest = slice_from(rest, n + 1);
	}
	if (k.n != v.p[1]) {
		keywords_fini(&k);
		return 1;
	}
	*ret = k;
	return 0;
}
