#include "common/base/wire.h"
#include "common/mail/charset.h"
#include "common/mail/limits.h"
#include "common/mail/param.h"

/* One name=value as written. "name*2*" gives base "name", section 2, extended. */
struct raw_param {
	struct slice name, base, value;
	int section; /* -1: no continuation */
	bool extended, quoted, used;
};

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_token(uint8_t c)
{
	return c > 32 && c < 127 && memchr("()<>@,;:\\\"/[]?=", c, 15) == NULL;
}

/* Past blanks and comments (RFC 822 3.4.3; nested, with quoted pairs). */
static struct slice skip_cfws(struct slice s)
{
	unsigned depth = 0;
	size_t i = 0;

	for (; i < s.n; i++) {
		uint8_t c = s.p[i];

		if (c == '(')
			depth++;
		else if (depth > 0 && c == ')')
			depth--;
		else if (depth > 0 && c == '\\')
			i++;
		else if (depth == 0 && !is_space(c))
			break;
	}
	return slice_from(s, i);
}

struct slice mime_token(struct slice value, struct slice *ret_rest)
{
	struct slice s = skip_cfws(value);
	size_t n = 0;

	while (n < s.n && is_token(s.p[n]))
		n++;
	*ret_rest = slice_from(s, n);
	return slice_part(s, 0, n);
}

bool mime_type(
    struct slice value, struct slice *ret_type, struct slice *ret_subtype, struct slice *ret_rest)
{
	struct slice rest, type = mime_token(value, &rest), subtype;

	rest = skip_cfws(rest);
	if (type.n == 0 || rest.n == 0 || rest.p[0] != '/')
		return false;
	subtype = mime_token(slice_from(rest, 1), &rest);
	if (subtype.n == 0 || type.n > MIME_TOKEN_MAX || subtype.n > MIME_TOKEN_MAX)
		return false;
	if (rest.n > 0 && rest.p[0] != ';' && rest.p[0] != '(' && !is_space(rest.p[0]))
		return false;
	*ret_type = type;
	*ret_subtype = subtype;
	*ret_rest = rest;
	return true;
}

/* Past everything up to the next ';' that is not in quotes or a comment; false at the end. */
static bool next_semicolon(struct slice *s)
{
	bool quoted = false;
	unsigned depth = 0;

	for (size_t i = 0; i < s->n; i++) {
		uint8_t c = s->p[i];

		if (c == '\\' && (quoted || depth > 0))
			i++;
		else if (c == '"' && depth == 0)
			quoted = !quoted;
		else if (!quoted && c == '(')
			depth++;
		else if (!quoted && c == ')' && depth > 0)
			depth--;
		else if (!quoted && depth == 0 && c == ';') {
			*s = slice_from(*s, i + 1);
			return true;
		}
	}
	*s = slice_from(*s, s->n);
	return false;
}

/*
 * An unquoted value runs to ';' although only a token is allowed: names of files with blanks and
 * boundaries with '=' are common. "x (comment)" still ends at the comment.
 */
static struct slice bare_value(struct slice s, struct slice *ret_rest)
{
	size_t n = 0;

	while (n < s.n && s.p[n] != ';' && !(s.p[n] == '(' && n > 0 && is_space(s.p[n - 1])))
		n++;
	*ret_rest = slice_from(s, n);
	while (n > 0 && is_space(s.p[n - 1]))
		n--;
	return slice_part(s, 0, n);
}

/* The inside of a quoted-string, its pairs still in it. Without an end quote it runs to the end. */
static struct slice quoted_value(struct slice s, struct slice *ret_rest)
{
	size_t n = 1;

	while (n < s.n && s.p[n] != '"')
		n += s.p[n] == '\\' ? 2 : 1;
	*ret_rest = slice_from(s, n + 1);
	return slice_part(s, 1, n - 1);
}

/* "name", "name*", "name*0", "name*0*" (RFC 2231 3, 4). */
static void split_name(struct slice name, struct raw_param *p)
{
	uint64_t section;
	ptrdiff_t star;

	p->section = -1;
	p->name = name;
	p->base = name;
	if (name.n > 1 && name.p[name.n - 1] == '*') {
		p->extended = true;
		p->base.n--;
	}
	star = slice_rfind(p->base, '*');
	if (star > 0 && slice_u64(slice_from(p->base, (size_t)star + 1), 999, &section) == 0) {
		p->section = (int)section;
		p->base.n = (size_t)star;
	}
}

static bool raw_next(struct slice *s, struct raw_param *ret)
{
	while (next_semicolon(s)) {
		struct slice rest, name = mime_token(*s, &rest);

		rest = skip_cfws(rest);
		if (name.n == 0 || name.n > MIME_TOKEN_MAX || rest.n == 0 || rest.p[0] != '=')
			continue;
		*ret = (struct raw_param){ 0 };
		split_name(name, ret);
		rest = slice_from(rest, 1);
		while (rest.n > 0 && is_space(rest.p[0]))
			rest = slice_from(rest, 1);
		ret->quoted = rest.n > 0 && rest.p[0] == '"';
		ret->value = ret->quoted ? quoted_value(rest, s) : bare_value(rest, s);
		return true;
	}
	return false;
}

static void put_byte(struct buf *out, uint8_t c)
{
	if (c != '\0' && c != '\r' && c != '\n')
		buf_putc(out, c);
}

static void put_plain(const struct raw_param *p, struct buf *out)
{
	for (size_t i = 0; i < p->value.n; i++) {
		if (p->quoted && p->value.p[i] == '\\' && i + 1 < p->value.n)
			i++;
		put_byte(out, p->value.p[i]);
	}
}

static int hex_value(uint8_t c)
{
	if (ascii_digit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void put_percent(struct slice s, struct buf *out)
{
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];

		if (c == '%' && i + 2 < s.n && hex_value(s.p[i + 1]) >= 0 &&
		    hex_value(s.p[i + 2]) >= 0) {
			c = (uint8_t)(hex_value(s.p[i + 1]) << 4 | hex_value(s.p[i + 2]));
			i += 2;
		}
		put_byte(out, c);
	}
}

/* Takes charset'language' off the first piece's value. */
static const struct charset *take_charset(struct slice *value)
{
	struct slice v = *value, charset = slice_take(&v, '\'');

	if (charset.n == value->n || slice_find(v, '\'') < 0)
		return NULL;
	slice_take(&v, '\'');
	*value = v;
	return charset_find(charset);
}

struct raw_list {
	struct raw_param p[MIME_PARAM_COUNT_MAX];
	size_t n;
	bool cut;
};

static struct raw_param *raw_find(struct raw_list *l, struct slice base, int section, bool extended)
{
	for (size_t i = 0; i < l->n; i++)
		if (!l->p[i].used && l->p[i].section == section && l->p[i].extended == extended &&
		    slice_ieq(l->p[i].base, base))
			return &l->p[i];
	return NULL;
}

/* The pieces 0, 1, 2... of `base`, or the one piece it has; extended wins over plain (RFC
 * 6266 4.3). */
static uint8_t join(struct raw_list *l, struct slice base, struct buf *out)
{
	struct buf raw = BUF_INIT(MIME_PARAM_VALUE_MAX);
	struct raw_param *p = raw_find(l, base, -1, true);
	const struct charset *charset = NULL;
	struct slice value = SLICE_NONE;
	uint8_t flags = 0;
	int section = -1;

	if (p == NULL) {
		p = raw_find(l, base, 0, true);
		p = p != NULL ? p : raw_find(l, base, 0, false);
		section = p != NULL ? 0 : -1;
	}
	if (p == NULL)
		p = raw_find(l, base, -1, false);
	if (p != NULL)
		value = p->value;
	if (p != NULL && p->extended) {
		charset = take_charset(&value);
		flags = PARAM_EXTENDED;
	}
	while (p != NULL) {
		if (p->extended)
			put_percent(value, &raw);
		else
			put_plain(p, &raw);
		p->used = true;
		p = section < 0 ? NULL : raw_find(l, base, ++section, true);
		if (p == NULL && section > 0)
			p = raw_find(l, base, section, false);
		if (p != NULL)
			value = p->value;
	}
	if (raw.overflow)
		flags |= PARAM_CUT;
	if (flags & PARAM_EXTENDED)
		charset_to_utf8(charset, buf_slice(&raw), out);
	else
		buf_put(out, buf_slice(&raw));
	buf_fini(&raw);
	return flags;
}

/* False when it does not fit; then nothing is there. */
static bool put_packed(uint8_t flags, struct slice name, struct slice value, struct buf *out)
{
	size_t before = out->n;

	wire_put_u8(out, flags);
	wire_put_u8(out, (uint8_t)name.n);
	wire_put_u16(out, (uint16_t)value.n);
	buf_put(out, name);
	buf_put(out, value);
	if (!out->overflow)
		return true;
	buf_trunc(out, before);
	out->overflow = false;
	return false;
}

/* What was written of `base`, all or none. */
static bool pack_written(const struct raw_list *l, struct slice base, struct buf *out)
{
	size_t before = out->n;

	for (size_t i = 0; i < l->n; i++) {
		struct buf value = BUF_INIT(MIME_PARAM_VALUE_MAX);
		bool fits;

		if (!slice_ieq(l->p[i].base, base))
			continue;
		put_plain(&l->p[i], &value);
		fits = !value.overflow &&
		       put_packed(PARAM_WRITTEN, l->p[i].name, buf_slice(&value), out);
		buf_fini(&value);
		if (!fits) {
			buf_trunc(out, before);
			return false;
		}
	}
	return out->n > before;
}

static bool pack_one(struct raw_list *l, struct slice base, struct buf *out)
{
	struct buf value = BUF_INIT(4 * MIME_PARAM_VALUE_MAX);
	size_t at = out->n;
	bool joined = false;
	uint8_t flags;

	for (size_t i = 0; i < l->n; i++)
		joined |=
		    slice_ieq(l->p[i].base, base) && (l->p[i].section >= 0 || l->p[i].extended);
	flags = join(l, base, &value);
	if (!put_packed(flags, base, buf_slice(&value), out))
		flags |= PARAM_CUT;
	else if (joined && pack_written(l, base, out))
		out->p[at] |= PARAM_JOINED;
	buf_fini(&value);
	return (flags & PARAM_CUT) != 0;
}

bool mime_params_pack(struct slice rest, struct buf *out)
{
	struct raw_list l = { 0 };
	struct raw_param p;
	bool cut = false;

	while (raw_next(&rest, &p)) {
		if (l.n == MIME_PARAM_COUNT_MAX) {
			cut = true;
			break;
		}
		l.p[l.n++] = p;
	}
	for (size_t i = 0; i < l.n; i++) {
		struct slice base = l.p[i].base;

		if (l.p[i].used)
			continue;
		cut |= pack_one(&l, base, out);
		/* A second one of the same name, or a piece without its first: ignored. */
		for (size_t k = i; k < l.n; k++)
			if (slice_ieq(l.p[k].base, base))
				l.p[k].used = true;
	}
	return cut;
}

int mime_param_next(struct slice *list, struct mime_param *ret_param)
{
	struct wire_reader r = wire_reader(*list);
	uint8_t flags, name_n;
	uint16_t value_n;

	if (list->n == 0)
		return PARAM_DONE;
	flags = wire_get_u8(&r);
	name_n = wire_get_u8(&r);
	value_n = wire_get_u16(&r);
	ret_param->flags = flags;
	ret_param->name = wire_get_raw(&r, name_n);
	ret_param->value = wire_get_raw(&r, value_n);
	if (r.bad)
		return PARAM_BAD;
	*list = slice_of(r.p, wire_left(&r));
	return 0;
}

bool mime_param_find(struct slice list, struct slice name, struct mime_param *ret_param)
{
	struct mime_param p;

	while (mime_param_next(&list, &p) == 0) {
		if (slice_ieq(p.name, name)) {
			*ret_param = p;
			return true;
		}
	}
	return false;
}
