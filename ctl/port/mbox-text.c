#include "ctl/port/mbox-text.h"

#include "common/mail/date.h"
#include "common/mail/header.h"

enum mbox_variant mbox_variant_of(struct slice name)
{
	static const char *const names[MBOX_VARIANTS] = { "mbox", "mboxo", "mboxrd", "mboxcl",
		"mboxcl2" };

	for (unsigned i = 0; i < MBOX_VARIANTS; i++)
		if (slice_ieq(name, slice_str(names[i])))
			return (enum mbox_variant)i;
	return MBOX_VARIANTS;
}

/* ---- "From " lines ---- */

static bool one_of(struct slice word, const char *three)
{
	if (word.n != 3)
		return false;
	for (; *three != '\0'; three += 3)
		if (slice_ieq(word, slice_of(three, 3)))
			return true;
	return false;
}

enum { WORDS_MAX = 24 };

/* The words behind weekday, month, day, time: a year, and a zone before or after it. */
static bool year_and_zone(const struct slice *w, size_t n, struct slice *year, struct slice *zone)
{
	*zone = SLICE_NONE;
	*year = SLICE_NONE;
	for (size_t i = 0; i < n && i < 3; i++) {
		bool number = w[i].n == 4 && ascii_digit(w[i].p[0]);

		if (number && year->n == 0)
			*year = w[i];
		else if (zone->n == 0 &&
			 (w[i].p[0] == '+' || w[i].p[0] == '-' || ascii_alpha(w[i].p[0])))
			*zone = w[i];
		else
			break;
	}
	return year->n > 0;
}

/* "From someone@example.org Thu Nov 24 18:22:48 [+0100] 1986": the date, wherever the sender ends.
 */
static bool from_parse(struct slice line, struct mbox_message *ret)
{
	struct slice w[WORDS_MAX], year, zone;
	size_t n = 0;

	ret->has_date = ret->has_zone = false;
	line = slice_from(slice_part(line, 0, 1000), 5);
	while (line.n > 0 && n < WORDS_MAX) {
		w[n] = slice_take(&line, ' ');
		n += w[n].n > 0;
	}
	for (size_t i = 0; i + 4 < n; i++) {
		struct mail_date date;
		struct buf b = BUF_INIT(200);
		int r;

		if (!one_of(w[i], "SunMonTueWedThuFriSat") ||
		    !one_of(w[i + 1], "JanFebMarAprMayJunJulAugSepOctNovDec") ||
		    !year_and_zone(w + i + 4, n - i - 4, &year, &zone))
			continue;
		buf_printf(&b, "%.*s %.*s %.*s %.*s %.*s", SLICE_FMT(w[i + 2]), SLICE_FMT(w[i + 1]),
		    SLICE_FMT(year), SLICE_FMT(w[i + 3]), zone.n > 0 ? (int)zone.n : 5,
		    zone.n > 0 ? (const char *)zone.p : "+0000");
		r = mail_date_parse(buf_slice(&b), &date);
		buf_fini(&b);
		if (r != 0)
			continue;
		ret->date_s = date.unix_s;
		ret->has_zone = zone.n > 0;
		return ret->has_date = true;
	}
	return false;
}

static struct slice line_at(struct slice text, size_t at)
{
	struct slice rest = slice_from(text, at), line = slice_take(&rest, '\n');

	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	return line;
}

/* A "From " line with a date begins here. */
static bool from_at(struct slice text, size_t at)
{
	struct mbox_message m;

	return slice_starts(slice_from(text, at), SLICE("From ")) &&
	       from_parse(line_at(slice_part(text, 0, at + 1002), at), &m);
}

static size_t after_line(struct slice text, size_t at)
{
	const uint8_t *lf = at < text.n ? memchr(text.p + at, '\n', text.n - at) : NULL;

	return lf != NULL ? (size_t)(lf - text.p) + 1 : text.n;
}

/* Octets of the empty line that ends here: 1, 2, or 0. */
static size_t empty_before(struct slice text, size_t start, size_t at)
{
	if (at < start + 1 || text.p[at - 1] != '\n')
		return 0;
	if (at == start + 1 || text.p[at - 2] == '\n')
		return 1;
	if (text.p[at - 2] == '\r' && (at == start + 2 || text.p[at - 3] == '\n'))
		return 2;
	return 0;
}

/* ---- the fields that are not the message's ---- */

struct fields {
	size_t body; /* where the body begins */
	bool has_length;
	uint64_t length;
	unsigned length_skip;
	bool imap; /* X-IMAP: internal data of a program */
	unsigned seen;
};

enum { F_STATUS, F_XSTATUS, F_KEYWORDS, F_UID, F_LENGTH, F_BASE, F_IMAP, F_COUNT };

static const char *const field_names[F_COUNT] = { "Status", "X-Status", "X-Keywords", "X-UID",
	"Content-Length", "X-IMAPbase", "X-IMAP" };

static bool letters_only(struct slice v, const char *known)
{
	for (size_t i = 0; i < v.n; i++)
		if (strchr(known, v.p[i]) == NULL || v.p[i] == '\0')
			return false;
	return true;
}

static uint32_t letters_flags(struct slice v, const char *letters, const uint32_t *flags)
{
	uint32_t f = 0;

	for (size_t i = 0; i < v.n; i++)
		f |= flags[strchr(letters, v.p[i]) - letters];
	return f;
}

static bool base_parse(struct slice v, uint32_t *ret_validity, uint32_t *ret_last)
{
	uint64_t a, b;
	struct slice one = slice_take(&v, ' '), two;

	v = slice_trim(v);
	two = slice_take(&v, ' ');
	if (slice_u64(one, UINT32_MAX, &a) != 0 || slice_u64(two, UINT32_MAX, &b) != 0)
		return false;
	*ret_validity = (uint32_t)a;
	*ret_last = (uint32_t)b;
	return true;
}

/* Takes a field's value; false when it makes no sense as what its name says. */
static bool field_take(unsigned k, struct slice v, struct mbox_message *m, struct fields *f,
    uint32_t *validity, uint32_t *last)
{
	static const uint32_t status[] = { IPC_FLAG_SEEN, 0, 0, 0, 0 };
	static const uint32_t xstatus[] = { IPC_FLAG_ANSWERED, IPC_FLAG_FLAGGED, IPC_FLAG_DELETED,
		IPC_FLAG_DRAFT, 0, 0 };
	uint64_t n;

	switch (k) {
	case F_STATUS:
		if (!letters_only(v, "RONUr"))
			return false;
		m->flags |= letters_flags(v, "RONUr", status);
		return true;
	case F_XSTATUS:
		if (!letters_only(v, "AFDTRO"))
			return false;
		m->flags |= letters_flags(v, "AFDTRO", xstatus);
		return true;
	case F_KEYWORDS:
		m->keywords = v;
		return true;
	case F_UID:
		if (slice_u64(v, UINT32_MAX, &n) != 0)
			return false;
		m->uid = (uint32_t)n;
		return true;
	case F_LENGTH:
		if (v.n == 0)
			return true; /* ours, of a message without a body */
		f->has_length = slice_u64(v, UINT64_MAX >> 1, &f->length) == 0;
		return f->has_length;
	default:
		if (!base_parse(v, validity, last))
			return false;
		f->imap |= k == F_IMAP;
		return true;
	}
}

static void fields_parse(
    struct mbox_reader *r, struct slice text, struct mbox_message *m, struct fields *f)
{
	struct header_iter it = header_iter(text);
	struct header_field field;
	uint32_t validity = 0, last = 0;

	*f = (struct fields){ 0 };
	while (header_next(&it, &field) == 0) {
		for (unsigned k = 0; k < F_COUNT; k++) {
			/* Where lengths are not of the format, one is the message's own. */
			if ((f->seen & 1u << k) != 0 || (k == F_LENGTH && !r->lengths) ||
			    !slice_ieq(field.name, slice_str(field_names[k])))
				continue;
			if (!field_take(k, slice_trim(field.value), m, f, &validity, &last))
				continue;
			f->seen |= 1u << k;
			if (k == F_LENGTH)
				f->length_skip = m->unpack.n_skip;
			m->unpack.skip[m->unpack.n_skip].at = field.start;
			m->unpack.skip[m->unpack.n_skip++].end = field.end;
		}
	}
	f->body = it.at;
	if (r->first) {
		r->uidvalidity = validity;
		r->uidlast = last;
		m->internal = f->imap;
	}
}

/* ---- the end of a message ---- */

/* Where the body's length leads, when that is a place where a message can end; else 0. */
static size_t end_by_length(struct slice text, size_t body, uint64_t length, size_t *ret_next)
{
	size_t end, at;

	if (length > text.n - body)
		return 0;
	end = at = body + (size_t)length;
	for (int i = 0; i < 3; i++) {
		if (at == text.n || from_at(text, at)) {
			*ret_next = at;
			return end;
		}
		if (text.p[at] == '\r' && at + 1 < text.n && text.p[at + 1] == '\n')
			at++;
		else if (text.p[at] != '\n')
			return 0;
		at++;
	}
	return 0;
}

/* The next "From " line behind an empty one. */
static size_t end_by_scan(struct slice text, size_t start, size_t body, size_t *ret_next)
{
	/* An empty body: the line that ends the header stands before the next message. */
	size_t at = body > start ? body - 1 : body;

	for (;;) {
		const uint8_t *hit = memmem(text.p + at, text.n - at, "\nFrom ", 6);
		size_t from = hit != NULL ? (size_t)(hit - text.p) + 1 : text.n;

		if (hit != NULL && (empty_before(text, start, from) == 0 || !from_at(text, from))) {
			at = from;
			continue;
		}
		*ret_next = from;
		return from - empty_before(text, start, from);
	}
}

int mbox_next(struct mbox_reader *r, struct mbox_message *ret)
{
	struct slice whole = r->text;
	size_t start, end = 0, next = 0;
	struct fields f;

	if (r->at >= whole.n)
		return MBOX_END;
	*ret = (struct mbox_message){ .offset = r->at };
	from_parse(line_at(slice_part(whole, 0, r->at + 1002), r->at), ret);
	start = after_line(whole, r->at);
	fields_parse(r, slice_from(whole, start), ret, &f);
	if (r->lengths && f.has_length) {
		end = end_by_length(whole, start + f.body, f.length, &next);
		ret->lied = end == 0;
	}
	if (ret->lied) /* it stays, as it says nothing of this file */
		ret->unpack.skip[f.length_skip].end = ret->unpack.skip[f.length_skip].at;
	if (end == 0)
		end = end_by_scan(whole, start, start + f.body, &next);
	ret->text = slice_part(whole, start, end - start);
	ret->unpack.in = ret->text;
	ret->unpack.quoting = r->quoting;
	r->first = false;
	r->at = next;
	return 0;
}

/* ---- which variant ---- */

/* A body whose length is right has a "From " line as it was: nothing is quoted in this file. */
static bool has_raw_from(struct slice text)
{
	struct mbox_reader r = { .text = text, .lengths = true, .first = true };
	struct mbox_message m;

	while (mbox_next(&r, &m) == 0) {
		const uint8_t *hit = m.lied ? NULL : memmem(m.text.p, m.text.n, "\nFrom ", 6);

		for (; hit != NULL;
		     hit = memmem(hit + 1, m.text.n - (size_t)(hit + 1 - m.text.p), "\nFrom ", 6))
			if (from_at(m.text, (size_t)(hit + 1 - m.text.p)) &&
			    empty_before(m.text, 0, (size_t)(hit + 1 - m.text.p)) > 0)
				return true;
	}
	return false;
}

int mbox_begin(struct slice text, enum mbox_variant v, struct mbox_reader *ret)
{
	*ret = (struct mbox_reader){ .text = text, .first = true };
	while (ret->at < text.n && (text.p[ret->at] == '\n' || text.p[ret->at] == '\r'))
		ret->at++;
	if (ret->at < text.n && !slice_starts(slice_from(text, ret->at), SLICE("From ")))
		return MBOX_BAD;
	ret->lengths = v == MBOX_AUTO || v == MBOX_CL || v == MBOX_CL2;
	ret->quoting = v == MBOX_O ? UNPACK_ONE : v == MBOX_CL2 ? UNPACK_AS_IS : UNPACK_EACH;
	if (v == MBOX_AUTO && has_raw_from(slice_from(text, ret->at)))
		ret->quoting = UNPACK_AS_IS;
	return 0;
}
