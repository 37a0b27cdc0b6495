#include "stored/keywords.h"

#include "common/base/wire.h"
#include "stored/record.h"

#include <errno.h>
#include <stdlib.h>

enum { HEAD_BYTES = 4 };

void keywords_fini(struct keywords *k)
{
	free(k->text);
	free(k->at);
	free(k->slot);
	*k = (struct keywords){ 0 };
}

static void *dup(const void *p, size_t n)
{
	void *to = malloc(n);

	if (to != NULL)
		memcpy(to, p, n);
	return to;
}

int keywords_copy(struct keywords *to, const struct keywords *from)
{
	struct keywords k = { .n = from->n, .n_text = from->n_text, .n_slots = from->n_slots };

	*to = (struct keywords){ 0 };
	if (from->n == 0)
		return 0;
	k.text = dup(from->text, from->n_text);
	k.at = dup(from->at, from->n_slots / 2 * sizeof(*k.at));
	k.slot = dup(from->slot, from->n_slots * sizeof(*k.slot));
	if (k.text == NULL || k.at == NULL || k.slot == NULL) {
		keywords_fini(&k);
		return -ENOMEM;
	}
	*to = k;
	return 0;
}

struct slice keywords_at(const struct keywords *k, unsigned number)
{
	const uint8_t *p = k->text + k->at[number];

	return slice_of(p + 1, p[0]);
}

/* ---- by name ---- */

static uint32_t name_hash(struct slice name)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < name.n; i++)
		h = (h ^ ascii_lower(name.p[i])) * 16777619u;
	return h ^ h >> 15;
}

/* The name's slot, or the empty one where it belongs. The table is never more than half full. */
static uint32_t slot_of(const struct keywords *k, struct slice name)
{
	uint32_t i = name_hash(name) & (k->n_slots - 1);

	while (k->slot[i] != 0 && !slice_ieq(keywords_at(k, k->slot[i] - 1u), name))
		i = (i + 1) & (k->n_slots - 1);
	return i;
}

unsigned keywords_find(const struct keywords *k, struct slice name)
{
	uint32_t i;

	if (k->n == 0)
		return KEYWORDS_MAX;
	i = slot_of(k, name);
	return k->slot[i] != 0 ? k->slot[i] - 1u : KEYWORDS_MAX;
}

/* Room for one more: 0 or -ENOMEM. */
static int grow(struct keywords *k, size_t text)
{
	uint32_t n_slots = k->n_slots == 0 ? 16 : k->n_slots * 2;
	uint8_t *bytes = realloc(k->text, k->n_text + text);
	uint32_t *at;
	uint16_t *slot;

	if (bytes == NULL)
		return -ENOMEM;
	k->text = bytes;
	if (k->n < k->n_slots / 2)
		return 0;
	at = reallocarray(k->at, n_slots / 2, sizeof(*at));
	if (at == NULL)
		return -ENOMEM;
	k->at = at;
	slot = calloc(n_slots, sizeof(*slot));
	if (slot == NULL)
		return -ENOMEM;
	free(k->slot);
	k->slot = slot;
	k->n_slots = n_slots;
	for (unsigned i = 0; i < k->n; i++)
		k->slot[slot_of(k, keywords_at(k, i))] = (uint16_t)(i + 1);
	return 0;
}

unsigned keywords_add(struct keywords *k, struct slice name)
{
	unsigned number = keywords_find(k, name);

	if (number < KEYWORDS_MAX)
		return number;
	/* One byte of length here, four where they are told. */
	if (name.n == 0 || name.n > KEYWORD_BYTES_MAX || k->n == KEYWORDS_MAX ||
	    k->n_text + 3 * k->n + name.n + 4 > KEYWORDS_TEXT_MAX || grow(k, 1 + name.n) != 0)
		return KEYWORDS_MAX;
	k->slot[slot_of(k, name)] = (uint16_t)(k->n + 1);
	k->at[k->n] = k->n_text;
	k->text[k->n_text] = (uint8_t)name.n;
	memcpy(k->text + k->n_text + 1, name.p, name.n);
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

bool keywords_add_all(struct keywords *k, struct slice names, struct keyset_map *ret_set)
{
	bool all = true;

	*ret_set = (struct keyset_map){ 0 };
	while (names.n > 0) {
		struct slice name = slice_take(&names, ' ');
		unsigned number;

		if (name.n == 0)
			continue;
		number = is_atom(name) ? keywords_add(k, name) : KEYWORDS_MAX;
		if (number < KEYWORDS_MAX)
			keyset_map_set(ret_set, number);
		else
			all = false;
	}
	return all;
}

void keywords_tell(const struct keywords *k, unsigned first, struct buf *out)
{
	for (unsigned i = first; i < k->n; i++)
		wire_put_bytes(out, keywords_at(k, i));
}

/* ---- as stored ---- */

size_t keywords_pack(const struct keywords *k, unsigned row, uint8_t out[KEYWORDS_RECORD_MAX])
{
	unsigned first = row * KEYWORDS_ROW_NAMES, n = k->n - first;
	uint32_t from, to;

	if (n > KEYWORDS_ROW_NAMES)
		n = KEYWORDS_ROW_NAMES;
	memset(out, 0, HEAD_BYTES);
	out[0] = RECORD_VERSION;
	out[1] = (uint8_t)n;
	if (n == 0)
		return HEAD_BYTES;
	from = k->at[first];
	to = first + n < k->n ? k->at[first + n] : k->n_text;
	memcpy(out + HEAD_BYTES, k->text + from, to - from);
	return HEAD_BYTES + (to - from);
}

/* The names in `rest` are so many. */
static bool names_good(struct slice rest, unsigned n)
{
	for (; rest.n > 0 && n > 0; n--) {
		if (rest.p[0] + (size_t)1 > rest.n)
			return false;
		rest = slice_from(rest, rest.p[0] + (size_t)1);
	}
	return rest.n == 0 && n == 0;
}

int keywords_unpack(struct slice v, struct keywords *k)
{
	if (v.n < HEAD_BYTES || v.p[0] != RECORD_VERSION || v.p[1] > KEYWORDS_ROW_NAMES ||
	    !names_good(slice_from(v, HEAD_BYTES), v.p[1]))
		return 1;
	for (struct slice rest = slice_from(v, HEAD_BYTES); rest.n > 0;) {
		struct slice name = slice_part(rest, 1, rest.p[0]);
		unsigned before = k->n;

		if (keywords_add(k, name) != before) {
			keywords_fini(k);
			return 1;
		}
		rest = slice_from(rest, name.n + 1);
	}
	return 0;
}
