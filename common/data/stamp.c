#include "common/data/stamp.h"

static const int64_t day_s = 86400;
enum { YEAR_MAX = 9999 };

/* Days since 1970-01-01 in the Gregorian calendar; years start in March here, so that the leap day
 * is the last of its year. */
static int64_t days_of(int64_t y, int64_t m, int64_t d)
{
	y -= m <= 2;
	m += m <= 2 ? 9 : -3;
	return y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + d - 1 - 719468;
}

static int64_t month_days(int64_t y, int64_t m)
{
	return days_of(m == 12 ? y + 1 : y, m == 12 ? 1 : m + 1, 1) - days_of(y, m, 1);
}

/* Digits of a fixed width off the front, then the byte `end` (0: the end of the text). */
static bool take_number(struct slice *s, size_t width, uint8_t end, uint64_t max, int64_t *ret)
{
	uint64_t v;

	if (slice_u64(slice_part(*s, 0, width), max, &v) != 0 || s->n < width)
		return false;
	*s = slice_from(*s, width);
	*ret = (int64_t)v;
	if (end == 0)
		return s->n == 0;
	if (s->n == 0 || s->p[0] != end)
		return false;
	*s = slice_from(*s, 1);
	return true;
}

int stamp_parse(struct slice s, int64_t *ret_unix_s)
{
	int64_t d, m, y, hour = 0, min = 0, sec = 0;
	bool time = s.n > 10;

	if (!take_number(&s, 2, '-', 31, &d) || !take_number(&s, 2, '-', 12, &m) ||
	    !take_number(&s, 4, time ? '_' : 0, YEAR_MAX, &y))
		return 1;
	if (time && (!take_number(&s, 2, ':', 23, &hour) || !take_number(&s, 2, ':', 59, &min) ||
			!take_number(&s, 2, 0, 59, &sec)))
		return 1;
	if (y == 0 || m == 0 || d == 0 || d > month_days(y, m))
		return 1;
	*ret_unix_s = days_of(y, m, d) * day_s + hour * 3600 + min * 60 + sec;
	return 0;
}

void stamp_put(struct buf *b, int64_t unix_s)
{
	int64_t first = days_of(1, 1, 1), last = days_of(YEAR_MAX, 12, 31);
	int64_t days = unix_s / day_s - (unix_s % day_s < 0), rest = unix_s - days * day_s;
	int64_t y, m = 1;

	if (days < first || days > last) {
		rest = days < first ? 0 : day_s - 1;
		days = days < first ? first : last;
	}
	for (y = 1970 + days * 400 / 146097; days_of(y + 1, 1, 1) <= days;)
		y++;
	while (days_of(y, 1, 1) > days)
		y--;
	while (m < 12 && days_of(y, m + 1, 1) <= days)
		m++;
	buf_printf(b, "%02d-%02d-%04d_%02d:%02d:%02d", (int)(days - days_of(y, m, 1) + 1), (int)m,
	    (int)y, (int)(rest / 3600), (int)(rest / 60 % 60), (int)(rest % 60));
}
