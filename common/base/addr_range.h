/*
 * addr_range - IP addresses of one family that follow each other, both ends included.
 *
 * Written as one address, as two with '-' between them, or as an address with so many leading bits
 * that count: 192.0.2.1  192.0.2.1-192.0.2.9  2001:db8::/64. Two texts of the same range become the
 * same value, and that is written in one form.
 */
#pragma once

#include "common/base/addr.h"

enum { ADDR_RANGE_TEXT_MAX = 2 * ADDR_TEXT_MAX };

struct addr_range {
	uint8_t family;           /* 4 or 6 */
	uint8_t from[16], to[16]; /* of IPv4 the first four bytes; the rest is 0 */
};

/* 0, or 1 when it is none of the forms, of two families, or ends before it begins. */
int addr_range_parse(struct slice text, struct addr_range *ret);

/* Of that one address, of family 4 or 6. */
struct addr_range addr_range_one(const struct addr *a);

/* The form in which it is shown; `out` has ADDR_RANGE_TEXT_MAX bytes. */
const char *addr_range_text(const struct addr_range *r, char *out);

/* Order by family, then by the first address: <0, 0, >0. */
int addr_range_cmp(const struct addr_range *a, const struct addr_range *b);

bool addr_range_same(const struct addr_range *a, const struct addr_range *b);

/* Have they an address in common? */
bool addr_range_meets(const struct addr_range *a, const struct addr_range *b);
