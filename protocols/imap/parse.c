/*
 * parse - the tokens that every command is made of.
 */
#include "protocols/imap/parse.h"

#include "protocols/imap/limits.h"

bool parse_refuse(struct parse *p, const char *text)
{
	p->refused |= parse_ok(p);
	return parse_fail(p, text);
}

bool parse_fail(struct parse *p, const char *text)
{
	if (p->error == NULL) {
		p->error = text;
		p->error_at = (size_t)(p->p - p->begin);
	}
	p->p = p->end; /* nothing more is taken */
	return false;
}

bool parse_end(struct parse *p)
{
	if (parse_ok(p) && p->p < p->end)
		parse_fail(p, "more than the command takes");
	return parse_ok(p);
}

uint8_t parse_peek(const struct parse *p)
{
	return p->p < p->end ? *p->p : 0;
}

bool parse_try(struct parse *p, uint8_t c)
{
	if (p->p == p->end || *p->p != c)
		return false;
	p->p++;
	return true;
}

bool parse_char(struct parse *p, uint8_t c)
{
	if (parse_try(p, c))
		return true;
	return parse_fail(p, c == ' '   ? "a blank is missing"
			     : c == '(' ? "a parenthesis is missing"
			     : c == ')' ? "a closing parenthesis is missing"
					: "not what belongs here");
}

/* ATOM-CHAR (RFC 3501 9). */
static bool is_atom_char(uint8_t c)
{
	return c > ' ' && c < 0x7f && memchr("(){%*\"\\]", c, 8) == NULL;
}

static bool is_astring_char(uint8_t c)
{
	return is_atom_char(c) || c == ']';
}

static bool is_tag_char(uint8_t c)
{
	return is_astring_char(c) && c != '+';
}

bool parse_list_char(uint8_t c)
{
	return is_astring_char(c) || c == '%' || c == '*';
}

static bool is_word_char(uint8_t c)
{
	return ascii_alpha(c) || ascii_digit(c) || c == '-' || c == '.' || c == '=' || c == '_';
}

struct slice parse_chars(struct parse *p, bool (*is)(uint8_t), const char *missing)
{
	const uint8_t *from = p->p;

	while (p->p < p->end && is(*p->p))
		p->p++;
	if (p->p == from)
		parse_fail(p, missing);
	return slice_of(from, (size_t)(p->p - from));
}

bool parse_try_word(struct parse *p, const char *word)
{
	struct slice w = slice_str(word), rest = slice_of(p->p, (size_t)(p->end - p->p));

	if (!slice_istarts(rest, w) || (rest.n > w.n && is_word_char(rest.p[w.n])))
		return false;
	p->p += w.n;
	return true;
}

struct slice parse_tag(struct parse *p)
{
	struct slice tag = parse_chars(p, is_tag_char, "a tag is missing");

	if (tag.n > IMAP_TAG_MAX)
		parse_fail(p, "the tag is too long");
	return tag;
}

struct slice parse_atom(struct parse *p)
{
	return parse_chars(p, is_atom_char, "an atom is missing");
}

struct slice parse_word(struct parse *p)
{
	return parse_chars(p, is_word_char, "a word is missing");
}

/* ---- strings -------------------------------------------------------------------------------- */

/* Behind the opening quote. What has no backslash is borrowed. */
static struct slice quoted(struct parse *p)
{
	const uint8_t *from = p->p;
	size_t escapes = 0, n = 0;
	uint8_t *to;

	while (p->p < p->end && *p->p != '"') {
		if (*p->p == '\r' || *p->p == '\n' || *p->p == '\0')
			break;
		if (*p->p == '\\') {
			p->p++;
			escapes++;
			if (p->p == p->end || (*p->p != '"' && *p->p != '\\')) {
				parse_fail(p, "a backslash before a wrong character");
				return SLICE("");
			}
		}
		p->p++;
	}
	if (p->p == p->end || *p->p != '"') {
		parse_fail(p, "a closing quote is missing");
		return SLICE("");
	}
	p->p++;
	if (escapes == 0)
		return slice_of(from, (size_t)(p->p - 1 - from));
	to = arena_alloc(p->arena, (size_t)(p->p - from));
	if (to == NULL) {
		parse_fail(p, "the command is too large");
		return SLICE("");
	}
	for (const uint8_t *at = from; at < p->p - 1; at++) {
		at += *at == '\\';
		to[n++] = *at;
	}
	return slice_of(to, n);
}

struct slice parse_literal(struct parse *p, bool binary)
{
	const uint8_t *digits;
	uint64_t n;
	struct slice text;
	bool eight = binary && parse_try(p, '~');

	if (!parse_char(p, '{'))
		return SLICE("");
	digits = p->p;
	while (ascii_digit(parse_peek(p)))
		p->p++;
	if (slice_u64(slice_of(digits, (size_t)(p->p - digits)), INT64_MAX, &n) != 0) {
		parse_fail(p, "not the size of a literal");
		return SLICE("");
	}
	parse_try(p, '+');
	if (!parse_char(p, '}') || !parse_char(p, '\r') || !parse_char(p, '\n'))
		return SLICE("");
	if (n > (uint64_t)(p->end - p->p)) {
		parse_fail(p, "a literal is cut short");
		return SLICE("");
	}
	text = slice_of(p->p, (size_t)n);
	p->p += n;
	if (!eight && n > 0 && memchr(text.p, '\0', text.n) != NULL)
		parse_fail(p, "a NUL in a literal");
	return text;
}

struct slice parse_string(struct parse *p)
{
	if (parse_try(p, '"'))
		return quoted(p);
	if (parse_peek(p) == '{')
		return parse_literal(p, false);
	parse_fail(p, "a string is missing");
	return SLICE("");
}

struct slice parse_astring(struct parse *p)
{
	uint8_t c = parse_peek(p);

	return c == '"' || c == '{' ? parse_string(p)
				    : parse_chars(p, is_astring_char, "a string is missing");
}

struct slice parse_nstring(struct parse *p)
{
	return parse_try_word(p, "NIL") ? SLICE_NONE : parse_string(p);
}

/* ---- numbers -------------------------------------------------------------------------------- */

static uint64_t number(struct parse *p, uint64_t max)
{
	const uint8_t *from = p->p;
	uint64_t n;

	while (ascii_digit(parse_peek(p)))
		p->p++;
	if (slice_u64(slice_of(from, (size_t)(p->p - from)), max, &n) == 0)
		return n;
	p->p = from;
	parse_fail(p, "a number is missing or too large");
	return 0;
}

uint32_t parse_number(struct parse *p)
{
	return (uint32_t)number(p, UINT32_MAX);
}

uint64_t parse_number64(struct parse *p)
{
	return number(p, INT64_MAX);
}

uint32_t parse_nz_number(struct parse *p)
{
	const uint8_t *from = p->p;
	uint32_t n = parse_number(p);

	if (n == 0) {
		if (parse_ok(p))
			p->p = from;
		parse_fail(p, "a number above zero is missing");
	}
	return n;
}

/* "*" is the largest number there can be: imap_resolve() knows what it means. */
static uint32_t set_number(struct parse *p, bool star)
{
	uint32_t n;

	if (star && parse_try(p, '*'))
		return UINT32_MAX;
	n = parse_nz_number(p);
	return n < UINT32_MAX ? n : UINT32_MAX - 1; /* neither of them is a message's */
}

static void ranges(struct parse *p, bool star, struct set *ret)
{
	do {
		uint32_t a = set_number(p, star), b = parse_try(p, ':') ? set_number(p, star) : a;

		if (!parse_ok(p))
			return;
		set_add(ret, a < b ? a : b, a < b ? b : a);
		if (ret->failed)
			parse_fail(p, "the set is too large");
	} while (parse_try(p, ','));
}

void parse_set(struct parse *p, struct set *ret_set, bool *ret_saved)
{
	*ret_saved = parse_try(p, '$');
	if (!*ret_saved)
		ranges(p, true, ret_set);
}

void parse_uid_set(struct parse *p, struct set *ret_set)
{
	ranges(p, false, ret_set);
	set_norm(ret_set);
}
