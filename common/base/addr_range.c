#include "common/base/addr_range.h"

#include <stdio.h>

static size_t ip_bytes(uint8_t family)
{
	return family == 4 ? 4 : 16;
}

struct addr_range addr_range_one(const struct addr *a)
{
	struct addr_range r = { .family = a->family };

	memcpy(r.from, a->ip, ip_bytes(a->family));
	memcpy(r.to, r.from, sizeof(r.to));
	return r;
}

static bool bit_is_set(const uint8_t *ip, size_t i)
{
	return (ip[i / 8] & (0x80 >> i % 8)) != 0;
}

/* All addresses whose first `bits` bits are those of the range's one address. */
static void widen(struct addr_range *r, size_t bits)
{
	for (size_t i = bits; i < ip_bytes(r->family) * 8; i++) {
		r->from[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
		r->to[i / 8] |= (uint8_t)(0x80 >> i % 8);
	}
}

int addr_range_parse(struct slice text, struct addr_range *ret)
{
	struct slice rest = slice_trim(text);
	bool two = slice_find(rest, '-') >= 0, net = slice_find(rest, '/') >= 0;
	struct slice first = slice_trim(slice_take(&rest, two ? '-' : '/'));
	struct addr a, b;
	uint64_t bits;

	if (addr_parse_ip(first, &a) != 0)
		return 1;
	*ret = addr_range_one(&a);
	rest = slice_trim(rest);
	if (two) {
		if (addr_parse_ip(rest, &b) != 0 || b.family != a.family)
			return 1;
		memcpy(ret->to, b.ip, sizeof(ret->to));
		return memcmp(ret->from, ret->to, sizeof(ret->to)) > 0;
	}
	if (net) {
		if (slice_u64(rest, ip_bytes(a.family) * 8, &bits) != 0)
			return 1;
		widen(ret, bits);
	}
	return 0;
}

/* How many leading bits make the range, if it is all addresses with the same; -1: it is not. */
static int bits_of(const struct addr_range *r)
{
	size_t all = ip_bytes(r->family) * 8, bits = 0;

	while (bits < all && bit_is_set(r->from, bits) == bit_is_set(r->to, bits))
		bits++;
	for (size_t i = bits; i < all; i++)
		if (bit_is_set(r->from, i) || !bit_is_set(r->to, i))
			return -1;
	return (int)bits;
}

static const char *ip_text(const struct addr_range *r, const uint8_t *ip, char *out)
{
	struct addr a = { .family = r->family };

	memcpy(a.ip, ip, sizeof(a.ip));
	return addr_ip_text(&a, out);
}

const char *addr_range_text(const struct addr_range *r, char *out)
{
	char from[ADDR_TEXT_MAX], to[ADDR_TEXT_MAX];
	int bits = bits_of(r);

	ip_text(r, r->from, from);
	if (bits == (int)ip_bytes(r->family) * 8)
		snprintf(out, ADDR_RANGE_TEXT_MAX, "%s", from);
	else if (bits >= 0)
		snprintf(out, ADDR_RANGE_TEXT_MAX, "%s/%d", from, bits);
	else
		snprintf(out, ADDR_RANGE_TEXT_MAX, "%s-%s", from, ip_text(r, r->to, to));
	return out;
}

int addr_range_cmp(const struct addr_range *a, const struct addr_range *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->from, b->from, sizeof(a->from));
}

bool addr_range_same(const struct addr_range *a, const struct addr_range *b)
{
	return addr_range_cmp(a, b) == 0 && memcmp(a->to, b->to, sizeof(a->to)) == 0;
}

bool addr_range_meets(const struct addr_range *a, const struct addr_range *b)
{
	return a->family == b->family && memcmp(a->from, b->to, sizeof(a->from)) <= 0 &&
	       memcmp(b->from, a->to, sizeof(b->from)) <= 0;
}
