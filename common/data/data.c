#include "common/data/data.h"

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
	} else {
		*ret = take_atom(p);
	}
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

/* [base64], blanks inside allowed. */
static struct data *take_block(struct parser *p)
{
	struct data *d = value_new(p, DATA_BLOCK);
	ptrdiff_t end = slice_find(p->in, ']');
	uint32_t bits = 0;
	unsigned have = 0;
	size_t n = 0;
	uint8_t *out;

	if (end < 0)
		return fail(p, "a data block is not closed");
	out = d != NULL ? arena_alloc(p->mem, (size_t)end + 1) : NULL;
	if (out == NULL)
		return fail(p, "the value is too big");
	for (size_t i = 1; i < (size_t)end; i++) {
		int v = base64_value(p->in.p[i]);

		if (is_space(p->in.p[i]) || p->in.p[i] == '=')
			continue;
		if (v < 0)
			return fail(p, "a data block is not base64");
		bits = bits << 6 | (uint32_t)v;
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[n++] = (uint8_t)(bits >> have);
		}
	}
	p->in = slice_from(p->in, (size_t)end + 1);
	d->text = slice_of(out, n);
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

static struct data *take_marked(struct parser *p)
{
	struct data *d = value_new(p, DATA_NULL);
	struct slice ahead = slice_from(p->in, 1), atom;
	ptrdiff_t close;

	if (d == NULL)
		return NULL;
	if (slice_istarts(ahead, SLICE("I["))) {
		close = slice_find(ahead, ']');
		if (close < 0)
			return fail(p, "an address is not closed");
		p->in = slice_from(ahead, (size_t)close);
		take_atom(p); /* the bracket, and perhaps :port */
		d->kind = DATA_IP;
		d->text = slice_of(ahead.p + 1, (size_t)(p->in.p - ahead.p) - 1);
		return d;
	}
	atom = take_atom(p);
	d->text = slice_from(atom, 1);
	if (slice_ieq(atom, SLICE("#NULL#")))
		return d;
	if (atom.n > 1 && ascii_upper(atom.p[1]) == 'T') {
		d->kind = DATA_STAMP;
		d->text = slice_from(atom, 2);
		return d;
	}
	return number_of(p, d, d->text);
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
	if (rest.n == 0 || strchr("\"({[", rest.p[0]) != NULL)
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

const struct data *data_get(const struct data *d, const char *key)
{
	if (d == NULL || d->kind != DATA_DICT)
		return NULL;
	for (const struct data *v = d->first; v != NULL; v = v->next)
		if (slice_ieq(v->key, slice_str(key)))
			return v;
	return NULL;
}

void data_put_string(struct buf *b, struct slice s)
{
	bool plain = s.n > 0;

	for (size_t i = 0; i < s.n && plain; i++)
		plain = ascii_alpha(s.p[i]) || ascii_digit(s.p[i]);
	if (plain) {
		buf_put(b, s);
		return;
	}
	buf_putc(b, '"');
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];

		if (c == '"' || c == '\\')
			buf_printf(b, "\\%c", c);
		else if (c == '\n')
			buf_puts(b, "\\e");
		else if (c == '\r')
			buf_puts(b, "\\r");
		else if (c < ' ' || c == 0x7f)
			buf_printf(b, "\\%03u", c);
		else
			buf_putc(b, c);
	}
	buf_putc(b, '"');
}

void data_put_number(struct buf *b, uint64_t v)
{
	buf_putc(b, '#');
	buf_putu(b, v);
}

void data_put_item(struct buf *b, bool *first, struct slice s)
{
	if (!*first)
		buf_putc(b, ',');
	*first = false;
	data_put_string(b, s);
}

void data_put_pair(struct buf *b, const char *key, struct slice s)
{
	data_put_string(b, slice_str(key));
	buf_putc(b, '=');
	data_put_string(b, s);
	buf_putc(b, ';');
}
