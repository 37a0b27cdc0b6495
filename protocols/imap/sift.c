#include "protocols/imap/sift.h"

void sift_init(struct sift *s, enum sift_how how, const struct sift_names *names,
    uint64_t window_at, uint64_t window_n)
{
	s->how = how;
	s->names = names;
	s->skip = window_at;
	s->take = window_n != 0 ? window_n : UINT64_MAX;
	s->out_n = 0;
	s->nul = s->done = s->keep = false;
	s->at = 0;
	s->held_n = 0;
	s->group = 0;
	s->bits = 0;
}

bool sift_encoding(struct slice encoding, enum sift_how *ret_how)
{
	static const struct {
		const char *name;
		enum sift_how how;
	} known[] = {
		{ "7bit", SIFT_ALL },
		{ "8bit", SIFT_ALL },
		{ "binary", SIFT_ALL },
		{ "base64", SIFT_BASE64 },
		{ "quoted-printable", SIFT_QP },
	};

	*ret_how = SIFT_ALL;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (slice_ieq(encoding, slice_str(known[i].name))) {
			*ret_how = known[i].how;
			return true;
		}
	}
	return encoding.n == 0;
}

/* What came out: through the window. */
static void emit(struct sift *s, struct slice bytes, struct buf *out)
{
	size_t skip = s->skip < bytes.n ? (size_t)s->skip : bytes.n;

	s->skip -= skip;
	bytes = slice_from(bytes, skip);
	if (bytes.n > s->take)
		bytes.n = (size_t)s->take;
	if (bytes.n == 0)
		return;
	s->take -= bytes.n;
	s->out_n += bytes.n;
	s->done = s->take == 0;
	if (out != NULL)
		buf_put(out, bytes);
	if (!s->nul && s->how != SIFT_FIELDS && s->how != SIFT_FIELDS_NOT)
		s->nul = memchr(bytes.p, '\0', bytes.n) != NULL;
}

/* ---- header fields; the same lines that common/mail/header.h sees ---- */

enum {
	AT_START, /* of a line */
	AT_CR,    /* a CR began the line */
	AT_NAME,
	AT_BLANKS, /* behind the name, before the colon */
	AT_REST,
};

static bool is_named(const struct sift_names *names, struct slice name)
{
	if (!(names->lengths & 1ull << (name.n < 63 ? name.n : 63)))
		return false;
	for (unsigned i = 0; i < names->n; i++)
		if (slice_ieq(name, names->name[i]))
			return true;
	return false;
}

/* The colon was read: the name is what is held up to the blanks. */
static void decide(struct sift *s, struct buf *out)
{
	struct slice name = slice_of(s->held, s->held_n);

	while (name.n > 0 && (name.p[name.n - 1] == ' ' || name.p[name.n - 1] == '\t'))
		name.n--;
	s->keep = name.n > 0 && name.n <= HEADER_NAME_MAX &&
		  is_named(s->names, name) == (s->how == SIFT_FIELDS);
	if (s->keep) {
		emit(s, slice_of(s->held, s->held_n), out);
		emit(s, SLICE(":"), out);
	}
	s->at = AT_REST;
}

/* One byte of the start of a line. False: it belongs to the rest of the line. */
static bool line_byte(struct sift *s, uint8_t c, struct buf *out)
{
	bool blank = c == ' ' || c == '\t';

	if (s->at == AT_START)
		s->held_n = 0;
	if (c == '\n' && s->at <= AT_CR) {
		emit(s, s->at == AT_CR ? SLICE("\r\n") : SLICE("\n"), out);
		s->done = true;
		return true;
	}
	if (s->at == AT_START && blank) {
		s->at = AT_REST; /* folded: as the field before */
		return false;
	}
	if (s->at == AT_START && c == '\r') {
		s->at = AT_CR;
		return true;
	}
	if (s->at == AT_START)
		s->at = AT_NAME;
	if (c == ':' && s->at != AT_CR) {
		decide(s, out);
		return true;
	}
	if (s->at == AT_NAME && blank)
		s->at = AT_BLANKS;
	if (s->at == AT_CR || (s->at == AT_NAME && (c <= 32 || c >= 127)) ||
	    (s->at == AT_BLANKS && !blank) || s->held_n == sizeof(s->held)) {
		s->keep = false; /* no field */
		s->at = AT_REST;
		return false;
	}
	s->held[s->held_n++] = c;
	return true;
}

/*
 * Octets of a whole line at the start of `line` that is certainly none of the fields named; 0 when
 * that takes a closer look.
 */
static size_t pass_line(struct sift *s, struct slice line)
{
	const uint8_t *lf = memchr(line.p, '\n', line.n), *colon;
	size_t n = lf != NULL ? (size_t)(lf - line.p) + 1 : 0, name;

	if (n == 0 || line.p[0] <= ' ')
		return 0;
	s->keep = false;
	if (!(s->names->firsts & sift_first(line.p[0])))
		return n;
	colon = memchr(line.p, ':', n);
	name = colon != NULL ? (size_t)(colon - line.p) : 0;
	while (name > 0 && (line.p[name - 1] == ' ' || line.p[name - 1] == '\t'))
		name--;
	if (name > 0 && is_named(s->names, slice_part(line, 0, name)))
		return 0;
	return n;
}

static void feed_fields(struct sift *s, struct slice in, struct buf *out)
{
	size_t i = 0;

	while (i < in.n && !s->done) {
		const uint8_t *lf;
		size_t n;

		if (s->at == AT_START && s->how == SIFT_FIELDS) {
			n = pass_line(s, slice_from(in, i));
			i += n;
			if (n > 0)
				continue;
		}
		if (s->at != AT_REST && line_byte(s, in.p[i], out)) {
			i++;
			continue;
		}
		if (i == in.n)
			break;
		lf = memchr(in.p + i, '\n', in.n - i);
		n = lf != NULL ? (size_t)(lf - in.p) + 1 - i : in.n - i;
		if (s->keep)
			emit(s, slice_part(in, i, n), out);
		i += n;
		if (lf != NULL)
			s->at = AT_START;
	}
}

/* ---- encodings ---- */

enum { PIECE = 4096 };

/* Value of a letter + 1, 0 for what is none. */
static uint8_t base64_value(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return (uint8_t)(c - 'A' + 1);
	if (c >= 'a' && c <= 'z')
		return (uint8_t)(c - 'a' + 27);
	if (c >= '0' && c <= '9')
		return (uint8_t)(c - '0' + 53);
	return c == '+' ? 63 : c == '/' ? 64 : 0;
}

/* RFC 2045 6.8: what is no letter is passed over; padding ends a group. */
static void feed_base64(struct sift *s, struct slice in, struct buf *out)
{
	uint8_t piece[PIECE];
	size_t n = 0;

	for (size_t i = 0; i < in.n && !s->done; i++) {
		uint8_t v = base64_value(in.p[i]);

		if (in.p[i] == '=')
			s->bits = 0;
		if (v == 0)
			continue;
		s->group = (s->group << 6 | (v - 1u)) & 0xffffff;
		s->bits += 6;
		if (s->bits < 8)
			continue;
		s->bits -= 8;
		piece[n++] = (uint8_t)(s->group >> s->bits);
		if (n == sizeof(piece)) {
			emit(s, slice_of(piece, n), out);
			n = 0;
		}
	}
	emit(s, slice_of(piece, n), out);
}

static int hex_value(uint8_t c)
{
	if (ascii_digit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What was held turned out to be itself. */
static void release(struct sift *s, struct buf *out)
{
	size_t n = s->held_n;

	s->held_n = 0;
	emit(s, slice_of(s->held, n), out);
}

/*
 * A byte behind what is held: "=", "=4", "= \r", or blanks that vanish at the end of a line (RFC
 * 2045 6.7 rule 3). False: the held is out, and the byte is to be seen on its own.
 */
static bool qp_held(struct sift *s, uint8_t c, struct buf *out)
{
	bool escape = s->held[0] == '=';
	uint8_t last = s->held[s->held_n - 1];

	if (escape && s->held_n == 2 && hex_value(last) >= 0) {
		if (hex_value(c) >= 0) {
			s->held[0] = (uint8_t)(hex_value(last) << 4 | hex_value(c));
			s->held_n = 1;
			release(s, out);
			return true;
		}
		release(s, out);
		return false;
	}
	if (escape && s->held_n == 1 && hex_value(c) >= 0) {
		s->held[s->held_n++] = c;
		return true;
	}
	if (c == '\n') {
		bool cr = last == '\r';

		s->held_n = 0;
		if (!escape)
			emit(s, cr ? SLICE("\r\n") : SLICE("\n"), out);
		return true;
	}
	/* Blanks, then at most one CR. */
	if (last != '\r' && (c == ' ' || c == '\t' || c == '\r') && s->held_n < sizeof(s->held)) {
		s->held[s->held_n++] = c;
		return true;
	}
	release(s, out);
	return false;
}

static void feed_qp(struct sift *s, struct slice in, struct buf *out)
{
	size_t i = 0;

	while (i < in.n && !s->done) {
		size_t from = i;

		if (s->held_n > 0) {
			i += qp_held(s, in.p[i], out);
			continue;
		}
		while (i < in.n && in.p[i] != '=' && in.p[i] != ' ' && in.p[i] != '\t' &&
		       in.p[i] != '\r')
			i++;
		emit(s, slice_part(in, from, i - from), out);
		if (i < in.n)
			s->held[s->held_n++] = in.p[i++];
	}
}

/* ---- all ---- */

void sift_feed(struct sift *s, struct slice in, struct buf *out)
{
	if (s->done)
		return;
	switch (s->how) {
	case SIFT_ALL:
		emit(s, in, out);
		return;
	case SIFT_FIELDS:
	case SIFT_FIELDS_NOT:
		feed_fields(s, in, out);
		return;
	case SIFT_BASE64:
		feed_base64(s, in, out);
		return;
	case SIFT_QP:
		feed_qp(s, in, out);
		return;
	}
}

void sift_end(struct sift *s, struct buf *out)
{
	bool escape = s->held_n > 0 && s->held[0] == '=';

	if (s->how != SIFT_QP || s->done || s->held_n == 0)
		return;
	/* "=" at the very end is a soft line break; blanks there belong to a line's end; "=4" is
	 * itself. */
	if (escape && s->held_n > 1 && hex_value(s->held[1]) >= 0)
		release(s, out);
	else if (!escape && s->held[s->held_n - 1] == '\r' && s->held_n == 1)
		release(s, out);
	s->held_n = 0;
}
