#include "common/base/keyset.h"

#include "common/base/wire.h"

static unsigned more_at(struct slice more, size_t i)
{
	return (unsigned)(more.p[2 * i] | more.p[2 * i + 1] << 8);
}

struct keyset keyset_of(uint64_t word, struct slice list)
{
	uint64_t at = word & ~KEYSET_LISTED;
	struct keyset k = { 0 };
	struct wire_reader r;

	if ((word & KEYSET_LISTED) == 0)
		return (struct keyset){ .bits = word };
	if (at >= list.n)
		return k;
	r = wire_reader(slice_from(list, (size_t)at));
	k.bits = wire_get_u64(&r);
	k.more = wire_get_raw(&r, 2 * (size_t)wire_get_u16(&r));
	return r.bad ? (struct keyset){ 0 } : k;
}

bool keyset_has(struct keyset k, unsigned number)
{
	size_t lo = 0, hi = k.more.n / 2;

	if (number < KEYSET_BITS)
		return (k.bits >> number & 1) != 0;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (more_at(k.more, mid) < number)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < k.more.n / 2 && more_at(k.more, lo) == number;
}

int keyset_take(struct keyset *k)
{
	int number;

	if (k->bits != 0) {
		number = __builtin_ctzll(k->bits);
		k->bits &= k->bits - 1;
		return number;
	}
	if (k->more.n < 2)
		return -1;
	number = (int)more_at(k->more, 0);
	k->more = slice_from(k->more, 2);
	return number;
}

bool keyset_is_empty(struct keyset k)
{
	return k.bits == 0 && k.more.n < 2;
}

bool keyset_is_good(struct keyset k, unsigned limit)
{
	unsigned below = KEYSET_BITS;

	if (limit < KEYSET_BITS && (k.bits >> limit) != 0)
		return false;
	if (k.more.n % 2 != 0)
		return false;
	for (size_t i = 0; i < k.more.n / 2; i++) {
		unsigned number = more_at(k.more, i);

		if (number < below || number >= limit || number >= KEYSET_NUMBERS_MAX)
			return false;
		below = number + 1;
	}
	return true;
}

void keyset_put(struct buf *list, struct keyset k)
{
	wire_put_u64(list, k.bits);
	wire_put_u16(list, (uint16_t)(k.more.n / 2));
	(void)buf_put(list, k.more);
}

size_t keyset_entry_bytes(struct keyset k)
{
	return KEYSET_ENTRY_BYTES + k.more.n;
}

void keyset_map_add(struct keyset_map *m, struct keyset k)
{
	m->v[0] |= k.bits;
	for (size_t i = 0; i < k.more.n / 2; i++)
		keyset_map_set(m, more_at(k.more, i) % KEYSET_NUMBERS_MAX);
}

void keyset_map_remove(struct keyset_map *m, struct keyset k)
{
	m->v[0] &= ~k.bits;
	for (size_t i = 0; i < k.more.n / 2; i++) {
		unsigned number = more_at(k.more, i) % KEYSET_NUMBERS_MAX;

		m->v[number / 64] &= ~(UINT64_C(1) << (number % 64));
	}
}

struct keyset keyset_map_pack(const struct keyset_map *m, uint8_t room[2 * KEYSET_NUMBERS_MAX])
{
	size_t n = 0;

	for (unsigned w = 1; w < KEYSET_NUMBERS_MAX / 64; w++)
		for (uint64_t left = m->v[w]; left != 0; left &= left - 1) {
			unsigned number = w * 64 + (unsigned)__builtin_ctzll(left);

			room[n++] = (uint8_t)number;
			room[n++] = (uint8_t)(number >> 8);
		}
	return (struct keyset){ m->v[0], slice_of(room, n) };
}
