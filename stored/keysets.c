#include "stored/keysets.h"

#include "common/base/wire.h"
#include "common/ipc/types.h"

#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

enum { BLOAT_MIN = 64 << 10 };

void keysets_fini(struct keysets *k)
{
	free(k->bytes);
	free(k->at);
	free(k->slot);
	*k = (struct keysets){ 0 };
}

struct keyset keysets_get(const struct keysets *k, uint64_t word)
{
	if ((word & KEYSET_LISTED) == 0)
		return (struct keyset){ .bits = word };
	return keyset_of(
	    KEYSET_LISTED | k->at[word & ~KEYSET_LISTED], slice_of(k->bytes, k->n_bytes));
}

/* ---- one of each ---- */

static struct slice entry(const struct keysets *k, uint32_t i)
{
	uint32_t end = i + 1 < k->n ? k->at[i + 1] : k->n_bytes;

	return slice_of(k->bytes + k->at[i], end - k->at[i]);
}

static uint32_t slot_of(const struct keysets *k, struct slice packed)
{
	uint32_t i = (uint32_t)XXH3_64bits(packed.p, packed.n) & (k->n_slots - 1);

	while (k->slot[i] != 0 && !slice_eq(entry(k, k->slot[i] - 1), packed))
		i = (i + 1) & (k->n_slots - 1);
	return i;
}

static int grow(struct keysets *k, size_t bytes)
{
	uint32_t n_slots = k->n_slots == 0 ? 16 : k->n_slots * 2;
	uint32_t cap = k->cap_bytes == 0 ? 256 : k->cap_bytes;
	uint32_t *at, *slot;

	while (cap - k->n_bytes < bytes && cap < 1u << 31)
		cap *= 2;
	if (cap - k->n_bytes < bytes)
		return -ENOMEM;
	if (cap != k->cap_bytes) {
		uint8_t *p = realloc(k->bytes, cap);

		if (p == NULL)
			return -ENOMEM;
		k->bytes = p;
		k->cap_bytes = cap;
	}
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
	for (uint32_t i = 0; i < k->n; i++)
		k->slot[slot_of(k, entry(k, i))] = i + 1;
	return 0;
}

int keysets_word(struct keysets *k, struct keyset set, uint64_t *ret_word)
{
	static struct buf packed = { .max = KEYSET_ENTRY_BYTES + 2 * KEYSET_NUMBERS_MAX };
	struct slice p;
	uint32_t i;

	if (set.more.n == 0 && (set.bits & KEYSET_LISTED) == 0) {
		*ret_word = set.bits;
		return 0;
	}
	buf_reset(&packed);
	keyset_put(&packed, set);
	p = buf_slice(&packed);
	if (packed.overflow || grow(k, p.n) != 0)
		return -ENOMEM;
	i = slot_of(k, p);
	if (k->slot[i] == 0) {
		k->at[k->n] = k->n_bytes;
		memcpy(k->bytes + k->n_bytes, p.p, p.n);
		k->n_bytes += (uint32_t)p.n;
		k->slot[i] = ++k->n;
	}
	*ret_word = KEYSET_LISTED | (k->slot[i] - 1);
	return 0;
}

/* ---- changes ---- */

static uint64_t bits_after(int op, uint64_t old, uint64_t with)
{
	if (op == IPC_FLAGS_SET)
		return with;
	return op == IPC_FLAGS_ADD ? old | with : old & ~with;
}

int keysets_change(struct keysets *k, int op, uint64_t old, uint64_t with, uint64_t *ret_word)
{
	/* Not on the stack: most calls do not come to them. */
	static struct keyset_map map;
	static uint8_t room[2 * KEYSET_NUMBERS_MAX];

	if (((old | with) & KEYSET_LISTED) == 0 || op == IPC_FLAGS_SET) {
		*ret_word = bits_after(op, old, with);
		return 0;
	}
	if (k->op == op && k->old == old && k->with == with && k->result != 0) {
		*ret_word = k->result;
		return 0;
	}
	map = (struct keyset_map){ 0 };
	keyset_map_add(&map, keysets_get(k, old));
	if (op == IPC_FLAGS_ADD)
		keyset_map_add(&map, keysets_get(k, with));
	else
		keyset_map_remove(&map, keysets_get(k, with));
	if (keysets_word(k, keyset_map_pack(&map, room), ret_word) != 0)
		return -ENOMEM;
	k->op = op;
	k->old = old;
	k->with = with;
	k->result = *ret_word;
	return 0;
}

bool keysets_is_bloated(const struct keysets *k)
{
	return k->n_bytes > BLOAT_MIN && k->n_bytes / 2 > k->swept;
}

/* ---- telling ---- */

bool keysets_out(struct keysets_out *o, const struct keysets *k, uint64_t word, uint64_t *ret_word)
{
	struct keyset set;

	if ((word & KEYSET_LISTED) == 0) {
		*ret_word = word;
		return true;
	}
	if (o->list->n > 0 && word == o->last) {
		*ret_word = o->last_out;
		return true;
	}
	set = keysets_get(k, word);
	if (o->list->n + keyset_entry_bytes(set) > o->list->max)
		return false;
	o->last = word;
	*ret_word = o->last_out = KEYSET_LISTED | o->list->n;
	keyset_put(o->list, set);
	return !o->list->overflow;
}
