#include "protocols/imap/write.h"

#include "common/base/wire.h"
#include "common/ipc/types.h"
#include "common/mail/utf8.h"
#include "common/mail/utf7.h"
#include "protocols/imap/limits.h"
#include "protocols/imap/set.h"

/* What a byte is in a string or an atom. */
enum {
	BYTE_ESCAPED = 1, /* quoted behind a backslash */
	BYTE_LITERAL = 2, /* never quoted */
	BYTE_EIGHT = 4,   /* above 127: quoted in valid UTF-8 only */
	BYTE_NO_ATOM = 8, /* no ATOM-CHAR of RFC 3501 9, and ']' is none either */
};

static const uint8_t byte_class[256] = {
	[0] = BYTE_LITERAL | BYTE_NO_ATOM,
	[1 ... 9] = BYTE_NO_ATOM,
	['\n'] = BYTE_LITERAL | BYTE_NO_ATOM,
	[11 ... 12] = BYTE_NO_ATOM,
	['\r'] = BYTE_LITERAL | BYTE_NO_ATOM,
	[14 ... ' '] = BYTE_NO_ATOM,
	['"'] = BYTE_ESCAPED | BYTE_NO_ATOM,
	['%'] = BYTE_NO_ATOM,
	['('] = BYTE_NO_ATOM,
	[')'] = BYTE_NO_ATOM,
	['*'] = BYTE_NO_ATOM,
	['\\'] = BYTE_ESCAPED | BYTE_NO_ATOM,
	[']'] = BYTE_NO_ATOM,
	['{'] = BYTE_NO_ATOM,
	[0x7f] = BYTE_NO_ATOM,
	[0x80 ... 0xff] = BYTE_EIGHT | BYTE_NO_ATOM,
};

/* All classes that occur. */
static unsigned classes(struct slice s)
{
	unsigned all = 0;

	for (size_t i = 0; i < s.n; i++)
		all |= byte_class[s.p[i]];
	return all;
}

/* Most of a response are a few octets at a time: a look at the room, then a copy. */
static inline void put(struct writer *w, const void *p, size_t n)
{
	struct buf *out = w->out;

	if (out->cap - out->n < n || out->p == NULL) {
		buf_put(out, slice_of(p, n));
		return;
	}
	memcpy(out->p + out->n, p, n);
	out->n += n;
}

static inline void put_gap(struct writer *w)
{
	if (w->gap != WRITE_NO_GAP)
		put(w, " ", 1);
	w->gap = WRITE_GAP;
}

/* ---- lines -------------------------------------------------------------------------------------
 */

void write_untagged(struct writer *w)
{
	put(w, "* ", 2);
	w->gap = WRITE_NO_GAP;
}

void write_tag(struct writer *w, struct slice tag)
{
	buf_put(w->out, tag);
	w->gap = WRITE_GAP;
}

void write_end(struct writer *w)
{
	put(w, "\r\n", 2);
	w->gap = WRITE_NO_GAP;
}

void write_count(struct writer *w, uint64_t n, const char *word)
{
	write_untagged(w);
	write_number(w, n);
	write_atom(w, word);
	write_end(w);
}

void write_continue(struct writer *w, const char *text)
{
	buf_put(w->out, SLICE("+ "));
	w->gap = WRITE_NO_GAP;
	write_text(w, slice_str(text));
	write_end(w);
}

void write_challenge(struct writer *w, struct slice base64)
{
	buf_put(w->out, SLICE("+ "));
	buf_put(w->out, base64);
	write_end(w);
}

void write_status(struct writer *w, struct slice tag, const char *word)
{
	if (tag.n > 0)
		write_tag(w, tag);
	else
		write_untagged(w);
	write_atom(w, word);
}

void write_code(struct writer *w, const char *name)
{
	put_gap(w);
	buf_putc(w->out, '[');
	w->gap = WRITE_NO_GAP;
	write_atom(w, name);
}

void write_code_end(struct writer *w)
{
	buf_putc(w->out, ']');
	w->gap = WRITE_GAP;
}

void write_text(struct writer *w, struct slice text)
{
	bool utf8 = w->utf8 && utf8_valid(text);
	uint8_t *to;
	size_t n = 0;

	put_gap(w);
	to = buf_room(w->out, text.n);
	if (to == NULL)
		return;
	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = text.p[i];

		if (c < 0x80)
			to[n++] = c >= ' ' && c < 0x7f ? c : '?';
		else if (utf8)
			to[n++] = c;
		else if ((c & 0xc0) != 0x80) /* the first octet stands for the character */
			to[n++] = '?';
	}
	/* A text that begins like a code would be read as one. */
	if (n > 0 && to[0] == '[')
		to[0] = '(';
	buf_wrote(w->out, n);
}

void write_reply(
    struct writer *w, struct slice tag, const char *word, const char *code, const char *text)
{
	write_status(w, tag, word);
	if (code != NULL) {
		write_code(w, code);
		write_code_end(w);
	}
	write_text(w, slice_str(text));
	write_end(w);
}

/* ---- tokens ------------------------------------------------------------------------------------
 */

void write_atom(struct writer *w, const char *word)
{
	put_gap(w);
	put(w, word, strlen(word));
}

void write_made(struct writer *w, struct slice tokens)
{
	put_gap(w);
	put(w, tokens.p, tokens.n);
}

static void put_number(struct writer *w, uint64_t n)
{
	uint8_t digits[20];
	size_t i = sizeof(digits);

	do {
		digits[--i] = (uint8_t)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	put(w, digits + i, sizeof(digits) - i);
}

void write_number(struct writer *w, uint64_t n)
{
	put_gap(w);
	put_number(w, n);
}

void write_nil(struct writer *w)
{
	put_gap(w);
	put(w, "NIL", 3);
}

void write_open(struct writer *w)
{
	put_gap(w);
	put(w, "(", 1);
	w->gap = WRITE_NO_GAP;
}

void write_close(struct writer *w)
{
	put(w, ")", 1);
	w->gap = WRITE_GAP;
}

void write_literal(struct writer *w, uint64_t n)
{
	put_gap(w);
	buf_putc(w->out, '{');
	buf_putu(w->out, n);
	buf_put(w->out, SLICE("}\r\n"));
}

void write_literal8(struct writer *w, uint64_t n)
{
	put_gap(w);
	buf_put(w->out, SLICE("~{"));
	buf_putu(w->out, n);
	buf_put(w->out, SLICE("}\r\n"));
}

void write_buf(struct writer *w, const struct buf *made)
{
	buf_put(w->out, buf_slice(made));
	w->out->overflow |= made->overflow;
}

void write_repeat(struct writer *w, size_t back, size_t from, size_t n)
{
	uint8_t *to;

	buf_trunc(w->out, back);
	to = buf_room(w->out, n);
	if (to == NULL)
		return;
	memcpy(to, w->out->p + from, n);
	buf_wrote(w->out, n);
}

static void put_literal(struct writer *w, struct slice s)
{
	size_t nuls = 0;

	for (size_t i = 0; i < s.n; i++)
		nuls += s.p[i] == '\0';
	write_literal(w, s.n - nuls);
	if (nuls == 0)
		put(w, s.p, s.n);
	for (size_t i = 0; nuls > 0 && i < s.n; i++)
		if (s.p[i] != '\0')
			put(w, s.p + i, 1);
}

static bool can_quote(const struct writer *w, struct slice s, unsigned all)
{
	if (s.n > IMAP_QUOTED_MAX || (all & BYTE_LITERAL) != 0)
		return false;
	return (all & BYTE_EIGHT) == 0 || (w->utf8 && utf8_valid(s));
}

static void put_quoted(struct writer *w, struct slice s, bool escapes)
{
	uint8_t *to = buf_room(w->out, 2 * s.n + 2), *end = to;

	if (to == NULL)
		return;
	*end++ = '"';
	if (!escapes && s.n > 0)
		memcpy(end, s.p, s.n);
	if (!escapes)
		end += s.n;
	for (size_t i = 0; escapes && i < s.n; i++) {
		if ((byte_class[s.p[i]] & BYTE_ESCAPED) != 0)
			*end++ = '\\';
		*end++ = s.p[i];
	}
	*end++ = '"';
	buf_wrote(w->out, (size_t)(end - to));
}

void write_string(struct writer *w, struct slice s)
{
	unsigned all;

	if (s.p == NULL) {
		write_nil(w);
		return;
	}
	all = classes(s);
	if (!can_quote(w, s, all)) {
		put_literal(w, s);
		return;
	}
	put_gap(w);
	put_quoted(w, s, (all & BYTE_ESCAPED) != 0);
}

static bool is_atom(struct slice s)
{
	return s.n > 0 && (classes(s) & BYTE_NO_ATOM) == 0;
}

void write_astring(struct writer *w, struct slice s)
{
	if (is_atom(s) && !slice_ieq(s, SLICE("NIL")))
		write_made(w, s);
	else
		write_string(w, s.p != NULL ? s : SLICE(""));
}

bool write_keyword(struct writer *w, struct slice name)
{
	if (!is_atom(name))
		return false;
	write_made(w, name);
	return true;
}

void write_flags(struct writer *w, uint32_t flags, struct keyset keywords,
    const struct slice *names, unsigned count)
{
	static const struct {
		uint32_t bit;
		struct slice name;
	} system[] = {
		{ IPC_FLAG_ANSWERED, { (const uint8_t *)"\\Answered", 9 } },
		{ IPC_FLAG_FLAGGED, { (const uint8_t *)"\\Flagged", 8 } },
		{ IPC_FLAG_DELETED, { (const uint8_t *)"\\Deleted", 8 } },
		{ IPC_FLAG_SEEN, { (const uint8_t *)"\\Seen", 5 } },
		{ IPC_FLAG_DRAFT, { (const uint8_t *)"\\Draft", 6 } },
		{ IPC_FLAG_RECENT, { (const uint8_t *)"\\Recent", 7 } },
	};

	write_open(w);
	for (size_t i = 0; i < sizeof(system) / sizeof(system[0]); i++)
		if (flags & system[i].bit)
			write_made(w, system[i].name);
	while (!keyset_is_empty(keywords)) {
		unsigned number = (unsigned)keyset_take(&keywords);

		if (number < count)
			write_keyword(w, names[number]);
	}
	write_close(w);
}

void write_flags_any(struct writer *w)
{
	if (w->out->n > 0)
		buf_trunc(w->out, w->out->n - 1);
	put(w, " \\*)", 4);
}

void write_mailbox(struct writer *w, struct slice name)
{
	struct buf text = BUF_INIT(name.n * 4 + 2);
	uint32_t c;

	if (slice_ieq(name, SLICE("INBOX"))) {
		write_atom(w, "INBOX");
		return;
	}
	if (!w->utf8) {
		utf7_encode(name, &text);
	} else {
		for (size_t i = 0; i < name.n;) {
			unsigned n = utf8_get(slice_from(name, i), &c);

			utf8_put(&text, n > 0 ? c : UTF8_REPLACEMENT);
			i += n > 0 ? n : 1;
		}
	}
	w->out->overflow |= text.overflow;
	write_astring(w, buf_slice(&text));
	buf_fini(&text);
}

static void put_two(uint8_t *to, unsigned n)
{
	to[0] = (uint8_t)('0' + n / 10 % 10);
	to[1] = (uint8_t)('0' + n % 10);
}

void write_date_time(struct writer *w, int64_t unix_s)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	const int64_t first = -62135596800 + 86400, last = 253402300799;
	int64_t s = unix_s < first ? first : unix_s > last ? last : unix_s;
	/* Seconds since 1 March of the year 0: a leap day is the last of its year. */
	uint64_t since = (uint64_t)(s + 62162035200), era, of_era, year, of_year;
	unsigned of_day = (unsigned)(since % 86400), month, day;
	uint8_t text[] = "\"00-Jan-0000 00:00:00 +0000\"";

	era = since / 86400 / 146097;
	of_era = since / 86400 % 146097;
	year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	of_year = of_era - (365 * year + year / 4 - year / 100);
	month = (unsigned)((5 * of_year + 2) / 153);
	day = (unsigned)(of_year - (153 * month + 2) / 5 + 1);
	month = month < 10 ? month + 3 : month - 9;
	year += era * 400 + (month <= 2);
	put_two(text + 1, day);
	memcpy(text + 4, months + 3 * (month - 1), 3);
	put_two(text + 8, (unsigned)year / 100);
	put_two(text + 10, (unsigned)year % 100);
	put_two(text + 13, of_day / 3600);
	put_two(text + 16, of_day / 60 % 60);
	put_two(text + 19, of_day % 60);
	if (text[1] == '0')
		text[1] = ' ';
	write_made(w, slice_of(text, sizeof(text) - 1));
}

void write_range(struct writer *w, uint32_t first, uint32_t last)
{
	if (w->gap == WRITE_RANGE)
		buf_putc(w->out, ',');
	else
		put_gap(w);
	buf_putu(w->out, first);
	if (last != first) {
		buf_putc(w->out, ':');
		buf_putu(w->out, last);
	}
	w->gap = WRITE_RANGE;
}

void write_set(struct writer *w, struct slice pairs)
{
	for (size_t i = 0; i + 8 <= pairs.n; i += 8)
		write_range(w, wire_load_u32(pairs.p + i), wire_load_u32(pairs.p + i + 4));
}

void write_ranges(struct writer *w, const struct set *set)
{
	if (w->gap == WRITE_RANGE)
		w->gap = WRITE_GAP;
	for (size_t i = 0; i < set->n; i++)
		write_range(w, set->r[i].first, set->r[i].last);
}

void write_object_id(struct writer *w, char kind, uint64_t id)
{
	static const char hex[] = "0123456789abcdef";
	char text[18] = { kind };

	for (int i = 16; i > 0; i--, id >>= 4)
		text[i] = hex[id & 15];
	write_open(w);
	write_atom(w, text);
	write_close(w);
}
