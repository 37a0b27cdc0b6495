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

int keywords_copy(struct keywords *to, const struct keywords *from)
{
	uint8_t *text = from->n > 0 ? malloc(from->n_text) : NULL;

	*to = (struct keywords){ 0 };
	if (from->n == 0)
		return 0;
	if (text == NULL)
		return -ENOMEM;
	memcpy(text, from->text, from->n_text);
	*to = (struct keywords){ from->n, from->n_text, text };
	return 0;
}

/* Takes the first name off. */
static struct slice name_take(struct slice *rest)
{
	struct slice name = slice_part(*rest, 1, rest->p[0]);

	*rest = slice_from(*rest, name.n + 1);
	return name;
}

static struct slice names_of(const struct keywords *k)
{
	return slice_of(k->text, k->n_text);
}

struct slice keywords_at(const struct keywords *k, unsigned bit)
{
	struct slice rest = names_of(k);

	while (bit-- > 0)
		(void)name_take(&rest);
	return name_take(&rest);
}

unsigned keywords_find(const struct keywords *k, struct slice name)
{
	struct slice rest = names_of(k);

	for (unsigned i = 0; rest.n > 0; i++)
		if (slice_ieq(name_take(&rest), name))
			return i;
	return KEYWORDS_MAX;
}

unsigned keywords_add(struct keywords *k, struct slice name)
{
	unsigned bit = keywords_find(k, name);
	uint8_t *text;

	if (bit < KEYWORDS_MAX)
		return bit;
	/* One byte of length here, four where they are told. */
	if (name.n == 0 || name.n > KEYWORD_BYTES_MAX || k->n == KEYWORDS_MAX ||
	    k->n_text + 3 * k->n + name.n + 4 > KEYWORDS_TEXT_MAX)
		return KEYWORDS_MAX;
	text = realloc(k->text, k->n_text + 1 + name.n);
	if (text == NULL)
		return KEYWORDS_MAX;
	text[k->n_text] = (uint8_t)name.n;
	memcpy(text + k->n_text + 1, name.p, name.n);
	k->text = text;
	k->n_text += (uint32_t)name.n + 1;
	return k->n++;
}

/* An atom (RFC 3501 9), which every door can say. */
static bool is_atom(struct slice name)
{
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] <= ' ' || name.p[i] >= 0x7f ||
		    memchr("(){%*\"\\]", name.p[i], 8) != NULL)
			return false;
	return name.n > 0;
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
		bit = is_atom(name) ? keywords_add(k, name) : KEYWORDS_MAX;
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
	memset(out, 0, HEAD_BYTES);
	out[0] = RECORD_VERSION;
	out[1] = (uint8_t)k->n;
	if (k->n > 0)
		memcpy(out + HEAD_BYTES, k->text, k->n_text);
	return HEAD_BYTES + k->n_text;
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
