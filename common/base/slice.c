#include "common/base/slice.h"

int slice_cmp(struct slice a, struct slice b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int r = n > 0 ? memcmp(a.p, b.p, n) : 0;

	if (r != 0)
		return r;
	return a.n < b.n ? -1 : a.n > b.n;
}

bool slice_ieq(struct slice a, struct slice b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
			return false;
	return true;
}

bool slice_starts(struct slice s, struct slice head)
{
	return s.n >= head.n && slice_eq(slice_part(s, 0, head.n), head);
}

bool slice_istarts(struct slice s, struct slice head)
{
	return s.n >= head.n && slice_ieq(slice_part(s, 0, head.n), head);
}

ptrdiff_t slice_find(struct slice s, uint8_t c)
{
	const uint8_t *p = s.n > 0 ? memchr(s.p, c, s.n) : NULL;

	return p != NULL ? p - s.p : -1;
}

ptrdiff_t slice_rfind(struct slice s, uint8_t c)
{
	const uint8_t *p = s.n > 0 ? memrchr(s.p, c, s.n) : NULL;

	return p != NULL ? p - s.p : -1;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

struct slice slice_trim(struct slice s)
{
	while (s.n > 0 && is_blank(s.p[0]))
		s = slice_from(s, 1);
	while (s.n > 0 && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

struct slice slice_take(struct slice *s, uint8_t c)
{
	ptrdiff_t at = slice_find(*s, c);
	struct slice head = *s;

	if (at < 0) {
		*s = slice_from(*s, s->n);
		return head;
	}
	head.n = (size_t)at;
	*s = slice_from(*s, (size_t)at + 1);
	return head;
}

int slice_u64(struct slice s, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;

	if (s.n == 0)
		return 1;
	for (size_t i = 0; i < s.n; i++) {
		uint8_t d = (uint8_t)(s.p[i] - '0');

		if (d > 9 || v > (UINT64_MAX - d) / 10)
			return 1;
		v = v * 10 + d;
	}
	if (v > max)
		return 1;
	*ret = v;
	return 0;
}
