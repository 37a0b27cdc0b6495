/* read - values from text. */
#include "common/data/data.h"

#include "common/data/stamp.h"
#include "common/data/xml.h"

#include <stdlib.h>

struct parser {
	struct arena *mem;
	struct slice in;
	unsigned depth, values;
	const char *why;
};

static struct data *fail(struct parser *p, const char *why)
{
	if (p->why == NULL)
		p->why = why;
	return NULL;
}

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

void data_skip_blanks(struct slice *in)
{
	while (in->n > 0 && is_space(in->p[0]))
		*in = slice_from(*in, 1);
}

static bool is_atom(uint8_t c)
{
	return ascii_alpha(c) || ascii_digit(c) || c > 127 ||
	       (c != 0 && strchr("-_.@!#%:]", c) != NULL);
}

/* The next byte that is not blank; 0 at the end. */
static uint8_t peek(struct parser *p)
{
	data_skip_blanks(&p->in);
	return p->in.n > 0 ? p->in.p[0] : 0;
}

static struct data *value_new(struct parser *p, enum data_kind kind)
{
	struct data *d = p->values < DATA_VALUES_MAX ? arena_alloc(p->mem, sizeof(*d)) : NULL;

	if (d == NULL)
		return fail(p, "the value is too big");
	p->values++;
	d->kind = kind;
	return d;
}

static struct slice take_atom(struct parser *p)
{
	size_t n = 0;
	struct slice s;

	while (n < p->in.n && is_atom(p->in.p[n]))
		n++;
	s = slice_part(p->in, 0, n);
	p->in = slice_from(p->in, n);
	return s;
}

/* One escape after the backslash: the byte, or -1. */
static int take_escape(struct parser *p)
{
	uint8_t c = p->in.n > 0 ? p->in.p[0] : 0;
	uint64_t v;

	if (ascii_digit(c)) {
		if (p->in.n < 3 || slice_u64(slice_part(p->in, 0, 3), 255, &v) != 0)
			return -1;
		p->in = slice_from(p->in, 3);
		return (int)v;
	}
	p->in = slice_from(p->in, 1);
	switch (c) {
	case '"':
	case '\\':
		return c;
	case 'r':
		return '\r';
	case 'n':
	case 'e':
		return '\n';
	case 't':
		return '\t';
	default:
		return -1;
	}
}

/* The inside of one pair of quotes, appended. */
static bool take_quoted(struct parser *p, uint8_t *out, size_t *n)
{
	p->in = slice_from(p->in, 1);
	while (p->in.n > 0) {
		uint8_t c = p->in.p[0];
		int e = c;

		p->in = slice_from(p->in, 1);
		if (c == '"')
			return true;
		if (c == '\\')
			e = take_escape(p);
		if (e < 0) {
			fail(p, "an escape in a string is not known");
			return false;
		}
		out[(*n)++] = (uint8_t)e;
	}
	fail(p, "a string is not closed");
	return false;
}

/* Adjacent strings are one. What they hold is never longer than what is left of the input. */
static struct data *take_string(struct parser *p)
{
	struct data *d = value_new(p, DATA_STRING);
	struct slice ahead = p->in;
	uint8_t *out;
	size_t n = 0, end = 0;

	/* Reserve no more than up to the last quote of this run: scan once for its length. */
	for (bool inside = false; end < ahead.n; end++) {
		uint8_t c = ahead.p[end];

		if (c == '"')
			inside = !inside;
		else if (inside && c == '\\')
			end++;
		else if (!inside && !is_space(c))
			break;
	}
	out = d != NULL ? arena_alloc(p->mem, end + 1) : NULL;
	if (out == NULL)
		return fail(p, "the value is too big");
	while (peek(p) == '"')
		if (!take_quoted(p, out, &n))
			return NULL;
	d->text = slice_of(out, n);
	d->quoted = true;
	return d;
}

static struct data *take_value(struct parser *p);

static struct data *take_array(struct parser *p)
{
	struct data *d = value_new(p, DATA_ARRAY);
	struct data **tail = d != NULL ? &d->first : NULL;

	p->in = slice_from(p->in, 1);
	if (d == NULL || peek(p) == ')') {
		p->in = slice_from(p->in, 1);
		return d;
	}
	for (;;) {
		*tail = take_value(p);
		if (*tail == NULL)
			return NULL;
		tail = &(*tail)->next;
		uint8_t c = peek(p);
		p->in = slice_from(p->in, 1);
		if (c == ')')
			return d;
		if (c != ',')
			return fail(p, "an array needs ',' or ')'");
	}
}

static bool take_key(struct parser *p, struct slice *ret)
{
	struct data *k;

	if (peek(p) == '"') {
		k = take_string(p);
		if (k == NULL)
			return false;
		*ret = k->text;
		return true; /* it may be empty */
	}
	*ret = take_atom(p);
	return ret->n > 0;
}

static struct data *take_dict(struct parser *p)
{
	struct data *d = value_new(p, DATA_DICT);
	struct data **tail = d != NULL ? &d->first : NULL;
	struct slice key;

	p->in = slice_from(p->in, 1);
	while (d != NULL && peek(p) != '}') {
		if (!take_key(p, &key))
			return fail(p, "a dictionary needs a key or '}'");
		if (peek(p) != '=')
			return fail(p, "a key needs '='");
		p->in = slice_from(p->in, 1);
		*tail = take_value(p);
		if (*tail == NULL)
			return NULL;
		(*tail)->key = key;
		tail = &(*tail)->next;
		if (peek(p) != ';')
			return fail(p, "a dictionary's value needs ';' after it");
		p->in = slice_from(p->in, 1);
	}
	p->in = slice_from(p->in, 1);
	return d;
}

static int base64_value(uint8_t c)
{
	static const char set[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c != 0 ? strchr(set, c) : NULL;

	return at != NULL ? (int)(at - set) : -1;
}

/* One character of a block into what came before it; false when it cannot stand there. */
struct base64 {
	uint8_t *out;
	size_t n;
	uint32_t bits;
	unsigned have, padding;
};

static bool base64_take(struct base64 *s, uint8_t c)
{
	int v = base64_value(c);

	if (is_space(c))
		return true;
	if (c == '=')
		return ++s->padding <= 2;
	if (v < 0 || s->padding > 0)
		return false;
	s->bits = s->bits << 6 | (uint32_t)v;
	s->have += 6;
	if (s->have >= 8) {
		s->have -= 8;
		s->out[s->n++] = (uint8_t)(s->bits >> s->have);
	}
	return true;
}

/* [base64], blanks inside allowed, padding as it likes. */
static struct data *take_block(struct parser *p)
{
	struct data *d = value_new(p, DATA_BLOCK);
	ptrdiff_t end = slice_find(p->in, ']');
	struct base64 s = { 0 };

	if (end < 0)
		return fail(p, "a data block is not closed");
	s.out = d != NULL ? arena_alloc(p->mem, (size_t)end + 1) : NULL;
	if (s.out == NULL)
		return fail(p, "the value is too big");
	for (size_t i = 1; i < (size_t)end; i++)
		if (!base64_take(&s, p->in.p[i]))
			return fail(p, "a data block is not base64");
	if (s.have == 6 || (s.bits & ((1u << s.have) - 1)) != 0)
		return fail(p, "a data block is cut off");
	p->in = slice_from(p->in, (size_t)end + 1);
	d->text = slice_of(s.out, s.n);
	return d;
}

static struct data *number_of(struct parser *p, struct data *d, struct slice digits)
{
	bool negative = digits.n > 0 && digits.p[0] == '-';
	uint64_t v;

	if (slice_u64(negative ? slice_from(digits, 1) : digits, INT64_MAX, &v) != 0)
		return fail(p, "a number is malformed");
	d->kind = DATA_NUMBER;
	d->number = negative ? -(int64_t)v : (int64_t)v;
	return d;
}

/* #I[address]:port, the port or both of it may be missing. */
static struct data *take_ip(struct parser *p, struct data *d)
{
	struct slice ahead = slice_from(p->in, 1), port;
	ptrdiff_t close = slice_find(ahead, ']');
	uint64_t v = 0;

	if (close < 0)
		return fail(p, "an address is not closed");
	p->in = slice_from(ahead, (size_t)close);
	port = slice_from(take_atom(p), 1);
	d->kind = DATA_IP;
	d->text = slice_of(ahead.p + 1, (size_t)(p->in.p - ahead.p) - 1);
	if (addr_parse_ip(slice_part(ahead, 2, (size_t)close - 2), &d->addr) != 0)
		return fail(p, "this is not an IP address");
	if (port.n > 0 && (port.p[0] != ':' || slice_u64(slice_from(port, 1), 65535, &v) != 0))
		return fail(p, "a port is a number up to 65535");
	d->addr.port = (uint16_t)v;
	return d;
}

static struct data *take_marked(struct parser *p)
{
	struct data *d = value_new(p, DATA_NULL);
	struct slice atom;

	if (d == NULL)
		return NULL;
	if (slice_istarts(slice_from(p->in, 1), SLICE("I[")))
		return take_ip(p, d);
	atom = take_atom(p);
	d->text = slice_from(atom, 1);
	if (slice_ieq(atom, SLICE("#NULL#")))
		return d;
	if (atom.n > 1 && ascii_upper(atom.p[1]) == 'T') {
		d->kind = DATA_STAMP;
		d->text = slice_from(atom, 2);
		return stamp_parse(d->text, &d->number) == 0
			   ? d
			   : fail(p, "a time is #TDD-MM-YYYY_hh:mm:ss");
	}
	return number_of(p, d, d->text);
}

/* Kept as it is, looked at only to find its end. */
static struct data *take_xml(struct parser *p)
{
	struct data *d = value_new(p, DATA_XML);
	size_t n = d != NULL ? xml_length(p->in) : 0;

	if (n == 0)
		return fail(p, "XML has no end, or is malformed");
	d->text = slice_part(p->in, 0, n);
	p->in = slice_from(p->in, n);
	return d;
}

static struct data *take_value(struct parser *p)
{
	struct data *d = NULL;
	uint8_t c = peek(p);

	if (++p->depth > DATA_DEPTH_MAX)
		return fail(p, "values are nested too deeply");
	if (c == '"')
		d = take_string(p);
	else if (c == '(')
		d = take_array(p);
	else if (c == '{')
		d = take_dict(p);
	else if (c == '[')
		d = take_block(p);
	else if (c == '#')
		d = take_marked(p);
	else if (c == '<')
		d = take_xml(p);
	else if (is_atom(c) && (d = value_new(p, DATA_STRING)) != NULL)
		d->text = take_atom(p);
	else
		fail(p, c == 0 ? "a value is missing" : "a value cannot start like this");
	p->depth--;
	return p->why == NULL ? d : NULL;
}

struct data *data_parse(struct arena *a, struct slice *in, const char **ret_why)
{
	struct parser p = { .mem = a, .in = *in };
	struct data *d = take_value(&p);

	*in = p.in;
	*ret_why = p.why;
	return d;
}

struct data *data_parse_word(struct arena *a, struct slice *in, const char **ret_why)
{
	struct slice rest = *in;
	size_t n = 0;
	struct data *d;

	data_skip_blanks(&rest);
	if (rest.n == 0 || strchr("\"({[<", rest.p[0]) != NULL)
		return data_parse(a, in, ret_why);
	/* A word on a command line is taken as it stands: '*', '/' and '+' need no quotes there. */
	while (n < rest.n && !is_space(rest.p[n]))
		n++;
	*ret_why = NULL;
	d = arena_alloc(a, sizeof(*d));
	if (d == NULL) {
		*ret_why = "the command is too long";
		return NULL;
	}
	*d = (struct data){ .kind = DATA_STRING, .text = slice_part(rest, 0, n) };
	*in = slice_from(rest, n);
	return d;
}
