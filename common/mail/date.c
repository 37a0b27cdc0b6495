#include "common/mail/date.h"
#include "common/mail/limits.h"

static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep",
	"Oct", "Nov", "Dec" };
static const char weekdays[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };

/* RFC 5322 4.3: the zones with a meaning. */
static const struct {
	char name[4];
	int16_t zone_min;
} zones[] = {
	{ "UT", 0 },
	{ "GMT", 0 },
	{ "UTC", 0 },
	{ "Z", 0 },
	{ "EDT", -240 },
	{ "EST", -300 },
	{ "CDT", -300 },
	{ "CST", -360 },
	{ "MDT", -360 },
	{ "MST", -420 },
	{ "PDT", -420 },
	{ "PST", -480 },
};

int64_t mail_date_days(int year, int month, int day)
{
	/* Years start in March here, so that the leap day is the last one; 400 years have 146097
	 * days. */
	int64_t y = month > 2 ? year : year - 1;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t yoe = y - era * 400;
	int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

struct civil {
	int year, month, day, hour, minute, second, weekday;
};

static struct civil civil_from_unix(int64_t s)
{
	int64_t days = s >= 0 ? s / 86400 : -((86399 - s) / 86400);
	int64_t left = s - days * 86400;
	int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;
	struct civil c = {
		.day = (int)(doy - (153 * mp + 2) / 5 + 1),
		.month = (int)(mp < 10 ? mp + 3 : mp - 9),
		.hour = (int)(left / 3600),
		.minute = (int)(left / 60 % 60),
		.second = (int)(left % 60),
		.weekday = (int)(((days + 4) % 7 + 7) % 7),
	};

	c.year = (int)(yoe + era * 400 + (c.month <= 2));
	return c;
}

static int days_in_month(int year, int month)
{
	static const uint8_t n[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	if (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))
		return 29;
	return n[month - 1];
}

/* 0 and the moment, or MAIL_DATE_BAD when there is no such day or time. */
static int civil_to_date(const struct civil *c, int zone_min, struct mail_date *ret)
{
	if (c->year < 1 || c->year > 9999 || c->month < 1 || c->day < 1 ||
	    c->day > days_in_month(c->year, c->month) || c->hour > 23 || c->minute > 59 ||
	    c->second > 60)
		return MAIL_DATE_BAD;
	ret->unix_s = mail_date_days(c->year, c->month, c->day) * 86400 + c->hour * 3600 +
		      c->minute * 60 + c->second - zone_min * 60;
	ret->zone_min = (int16_t)zone_min;
	return 0;
}

static int find_name(struct slice s, const char (*names)[4], int count)
{
	if (s.n < 3)
		return -1;
	for (int i = 0; i < count; i++)
		if (slice_ieq(slice_part(s, 0, 3), slice_of(names[i], 3)))
			return i;
	return -1;
}

/* State while the words of a date go by. */
struct reading {
	struct civil c;
	bool have_time, have_zone;
	int16_t zone_min;
	bool zone_unknown;
};

/* RFC 5256 2.2: an invalid time counts as 00:00:00, an invalid zone as UTC. */
static void read_time(struct reading *rd, struct slice w)
{
	uint64_t h, m, s = 0;
	struct slice hh = slice_take(&w, ':'), mm = slice_take(&w, ':');
	ptrdiff_t dot = slice_find(w, '.');

	if (dot >= 0)
		w.n = (size_t)dot;
	if (slice_u64(hh, 23, &h) == 0 && slice_u64(mm, 59, &m) == 0 &&
	    (w.n == 0 || slice_u64(w, 60, &s) == 0)) {
		rd->c.hour = (int)h;
		rd->c.minute = (int)m;
		rd->c.second = (int)s;
	}
	rd->have_time = true;
}

static void read_zone_digits(struct reading *rd, struct slice w)
{
	uint64_t v;

	rd->have_zone = true;
	rd->zone_unknown = true;
	if (w.n != 5 || slice_u64(slice_from(w, 1), 9999, &v) != 0 || v % 100 > 59 || v > 2400)
		return;
	rd->zone_min = (int16_t)(v / 100 * 60 + v % 100);
	if (w.p[0] == '-')
		rd->zone_min = (int16_t)-rd->zone_min;
	rd->zone_unknown = w.p[0] == '-' && v == 0;
}

static int read_number(struct reading *rd, struct slice w)
{
	uint64_t v;

	if (slice_u64(w, 9999, &v) != 0)
		return MAIL_DATE_BAD;
	if (rd->c.day == 0 && w.n <= 2) {
		rd->c.day = (int)v;
		return v > 0 ? 0 : MAIL_DATE_BAD;
	}
	if (rd->c.year != 0)
		return MAIL_DATE_BAD;
	if (w.n <= 2)
		v += v < 50 ? 2000 : 1900;
	else if (w.n == 3)
		v += 1900;
	rd->c.year = (int)v;
	return 0;
}

/* A word of letters: weekday, month or zone. */
static int read_name(struct reading *rd, struct slice w)
{
	int m = find_name(w, months, 12);

	if (m >= 0 && rd->c.month == 0) {
		rd->c.month = m + 1;
		return 0;
	}
	if (!rd->have_time)
		return find_name(w, weekdays, 7) >= 0 ? 0 : MAIL_DATE_BAD;
	rd->have_zone = true;
	rd->zone_unknown = true;
	for (size_t i = 0; i < sizeof(zones) / sizeof(zones[0]); i++) {
		if (slice_ieq(w, slice_str(zones[i].name))) {
			rd->zone_min = zones[i].zone_min;
			rd->zone_unknown = false;
		}
	}
	return 0;
}

static int read_word(struct reading *rd, struct slice w)
{
	if (slice_find(w, ':') >= 0) {
		read_time(rd, w);
		return 0;
	}
	if ((w.p[0] == '+' || w.p[0] == '-') && rd->have_time) {
		read_zone_digits(rd, w);
		return 0;
	}
	return ascii_digit(w.p[0]) ? read_number(rd, w) : read_name(rd, w);
}

/* Nothing after these matters: the name of a zone without its brackets, a second date. */
static bool is_complete(const struct reading *rd)
{
	return rd->have_zone && rd->have_time && rd->c.year != 0;
}

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ',';
}

/*
 * The words with one blank between them and none beside a colon; comments are gone (RFC 5322 A.6.3
 * has them inside the time). What is longer than any date is cut.
 */
static size_t normalise(struct slice in, uint8_t *to, size_t max)
{
	unsigned depth = 0;
	size_t n = 0;

	for (size_t i = 0; i < in.n && n < max; i++) {
		uint8_t c = in.p[i];

		if (depth > 0 && c == '\\') {
			i++;
			continue;
		}
		if (c == '(')
			depth++;
		if (depth > 0) {
			depth -= c == ')';
			c = ' ';
		}
		if (is_space(c)) {
			if (n > 0 && to[n - 1] != ' ' && to[n - 1] != ':')
				to[n++] = ' ';
			continue;
		}
		if (c == ':' && n > 0 && to[n - 1] == ' ')
			n--;
		to[n++] = c;
	}
	return n;
}

/* The next word; a dash ends one too until the time was seen ("21-Nov-1997"), then it begins the
 * zone. */
static struct slice next_word(struct slice *in, bool have_time)
{
	size_t n = 0;
	struct slice w;

	while (in->n > 0 && (in->p[0] == ' ' || (in->p[0] == '-' && !have_time)))
		*in = slice_from(*in, 1);
	while (n < in->n && in->p[n] != ' ' && (in->p[n] != '-' || have_time))
		n++;
	w = slice_part(*in, 0, n);
	*in = slice_from(*in, n);
	return w;
}

int mail_date_parse(struct slice in, struct mail_date *ret_date)
{
	uint8_t text[MAIL_DATE_MAX];
	struct reading rd = { 0 };
	struct mail_date d = { 0 };
	struct slice s = slice_of(text, normalise(in, text, sizeof(text))), w;
	int r = 0;

	while (r == 0 && !is_complete(&rd) && (w = next_word(&s, rd.have_time)).n > 0)
		r = read_word(&rd, w);
	if (r != 0 || rd.c.month == 0 || rd.c.day == 0 || rd.c.year == 0)
		return MAIL_DATE_BAD;
	r = civil_to_date(&rd.c, rd.zone_min, &d);
	d.zone_unknown = rd.zone_unknown || !rd.have_zone;
	if (r == 0)
		*ret_date = d;
	return r;
}

/* What a caller may pass that no four-digit year can show is pinned to the ends. */
static struct civil printable(const struct mail_date *d, int *ret_zone)
{
	const int64_t first = -62135596800, last = 253402300799;
	int zone = d->zone_min > 1440 ? 1440 : d->zone_min < -1440 ? -1440 : d->zone_min;
	int64_t s = d->unix_s;

	if (s < first + 86400)
		s = first + 86400;
	if (s > last - 86400)
		s = last - 86400;
	*ret_zone = zone;
	return civil_from_unix(s + zone * 60);
}

static void print_time(const struct civil *c, int zone, bool unknown, struct buf *out)
{
	int z = zone < 0 ? -zone : zone;

	buf_printf(out, "%02d:%02d:%02d %c%02d%02d", c->hour, c->minute, c->second,
	    zone < 0 || unknown ? '-' : '+', z / 60, z % 60);
}

void mail_date_print(const struct mail_date *d, struct buf *out)
{
	int zone;
	struct civil c = printable(d, &zone);

	buf_printf(out, "%s, %d %s %04d ", weekdays[c.weekday], c.day, months[c.month - 1], c.year);
	print_time(&c, zone, d->zone_unknown && zone == 0, out);
}

void mail_date_print_internal(const struct mail_date *d, struct buf *out)
{
	int zone;
	struct civil c = printable(d, &zone);

	buf_printf(out, "%2d-%s-%04d ", c.day, months[c.month - 1], c.year);
	print_time(&c, zone, false, out);
}

int mail_date_parse_internal(struct slice in, struct mail_date *ret_date)
{
	uint8_t text[26];
	struct buf again = BUF_INIT(sizeof(text));
	struct mail_date d;
	bool same;

	if (in.n != sizeof(text) || mail_date_parse(in, &d) != 0)
		return MAIL_DATE_BAD;
	d.zone_unknown = false;
	/* Exactly what would be printed, but for a zero before the day, case, and the sign of no
	 * zone. */
	memcpy(text, in.p, sizeof(text));
	if (text[0] == '0')
		text[0] = ' ';
	if (d.zone_min == 0 && text[21] == '-')
		text[21] = '+';
	mail_date_print_internal(&d, &again);
	same = slice_ieq(slice_of(text, sizeof(text)), buf_slice(&again));
	buf_fini(&again);
	if (!same)
		return MAIL_DATE_BAD;
	*ret_date = d;
	return 0;
}
