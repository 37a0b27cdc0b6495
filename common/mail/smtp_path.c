#include "common/mail/smtp_path.h"
#include "common/mail/utf8.h"

#include <arpa/inet.h>

struct cursor {
	const uint8_t *p, *end;
};

static int peek(const struct cursor *c)
{
	return c->p < c->end ? *c->p : -1;
}

static bool take(struct cursor *c, uint8_t want)
{
	if (peek(c) != want)
		return false;
	c->p++;
	return true;
}

/* RFC 5322 atext with RFC 6532 3.2; whether the bytes are valid UTF-8 is asked once at the end. */
static bool is_atext(int c)
{
	if (c >= 128 || (c >= 0 && (ascii_alpha((uint8_t)c) || ascii_digit((uint8_t)c))))
		return true;
	return c > 32 && memchr("!#$%&'*+-/=?^_`{|}~", c, 19) != NULL;
}

static int put(uint8_t *to, uint8_t *n, size_t max, uint8_t c)
{
	if (*n >= max)
		return SMTP_PATH_LONG;
	to[(*n)++] = c;
	return 0;
}

static int dot_string(struct cursor *c, struct smtp_path *path)
{
	int r = 0;

	do {
		if (path->local_n > 0)
			r = put(path->local, &path->local_n, SMTP_LOCAL_MAX, '.');
		if (r == 0 && !is_atext(peek(c)))
			r = SMTP_PATH_SYNTAX;
		while (r == 0 && is_atext(peek(c)))
			r = put(path->local, &path->local_n, SMTP_LOCAL_MAX, *c->p++);
	} while (r == 0 && take(c, '.'));
	return r;
}

/* Quoted-string: qtextSMTP is 32..126 without '"' and '\'; a pair is '\' and 32..126. */
static int quoted_string(struct cursor *c, struct smtp_path *path)
{
	int r = 0;

	c->p++;
	while (r == 0) {
		int b = peek(c);

		if (b < 32 || b == 127)
			return SMTP_PATH_SYNTAX;
		c->p++;
		if (b == '"')
			return path->local_n > 0 ? 0 : SMTP_PATH_SYNTAX;
		if (b == '\\') {
			b = peek(c);
			if (b < 32 || b > 126)
				return SMTP_PATH_SYNTAX;
			c->p++;
		}
		r = put(path->local, &path->local_n, SMTP_LOCAL_MAX, (uint8_t)b);
	}
	return r;
}

static bool is_label(int c)
{
	return c >= 128 || (c >= 0 && (ascii_alpha((uint8_t)c) || ascii_digit((uint8_t)c)));
}

/*
 * Domain. The underscore is not of RFC 5321, but senders with it exist and refusing them helps
 * nobody; routerd decides which domains are ours. A trailing dot is refused.
 */
static int domain_name(struct cursor *c, uint8_t *to, uint8_t *n)
{
	int r = 0;

	*n = 0;
	do {
		unsigned len = 0;

		if (*n > 0)
			r = put(to, n, SMTP_DOMAIN_MAX, '.');
		if (r == 0 && !is_label(peek(c)) && peek(c) != '_')
			r = SMTP_PATH_SYNTAX;
		while (r == 0 && (is_label(peek(c)) || peek(c) == '-' || peek(c) == '_')) {
			r = ++len > 63 ? SMTP_PATH_LONG : put(to, n, SMTP_DOMAIN_MAX, *c->p++);
		}
		if (r == 0 && to[*n - 1] == '-')
			r = SMTP_PATH_SYNTAX;
	} while (r == 0 && take(c, '.'));
	return r;
}

/* What is inside the brackets: IPv4, IPv6: and the address, or Tag:dcontent (RFC 5321 4.1.3). */
static bool literal_ok(struct slice in)
{
	uint8_t raw[16];
	char text[64];
	ptrdiff_t colon = slice_find(in, ':');
	bool six = slice_istarts(in, SLICE("IPv6:"));

	if (colon < 0 || six) {
		struct slice a = six ? slice_from(in, 5) : in;

		if (a.n >= sizeof(text) || slice_find(a, 0) >= 0)
			return false;
		memcpy(text, a.p, a.n);
		text[a.n] = '\0';
		return inet_pton(six ? AF_INET6 : AF_INET, text, raw) == 1;
	}
	if (colon == 0 || (size_t)colon + 1 == in.n || !is_label(in.p[colon - 1]))
		return false;
	for (ptrdiff_t i = 0; i < colon; i++)
		if (in.p[i] >= 128 || (!is_label(in.p[i]) && in.p[i] != '-'))
			return false;
	return true;
}

static int address_literal(struct cursor *c, struct smtp_path *path)
{
	int r = put(path->domain, &path->domain_n, SMTP_DOMAIN_MAX, *c->p++);

	while (r == 0) {
		int b = peek(c);

		if (b <= 32 || b >= 127 || b == '[' || b == '\\')
			return SMTP_PATH_SYNTAX;
		c->p++;
		r = put(path->domain, &path->domain_n, SMTP_DOMAIN_MAX, (uint8_t)b);
		if (b == ']')
			break;
	}
	if (r == 0 && !literal_ok(slice_of(path->domain + 1, path->domain_n - 2u)))
		r = SMTP_PATH_SYNTAX;
	return r;
}

/* A-d-l ":" - read for its syntax and forgotten. */
static int source_route(struct cursor *c)
{
	const uint8_t *start = c->p;
	uint8_t domain[SMTP_DOMAIN_MAX], n;
	int r;

	do {
		if (!take(c, '@'))
			return SMTP_PATH_SYNTAX;
		r = domain_name(c, domain, &n);
		if (r != 0)
			return r;
		if (c->p - start > SMTP_ROUTE_MAX)
			return SMTP_PATH_LONG;
	} while (take(c, ','));
	return take(c, ':') ? 0 : SMTP_PATH_SYNTAX;
}

static int mailbox(struct cursor *c, struct smtp_path *path)
{
	int r = peek(c) == '"' ? quoted_string(c, path) : dot_string(c, path);

	path->kind = SMTP_PATH_LOCAL;
	if (r != 0 || !take(c, '@'))
		return r;
	if (peek(c) == '[') {
		path->kind = SMTP_PATH_LITERAL;
		return address_literal(c, path);
	}
	path->kind = SMTP_PATH_DOMAIN;
	return domain_name(c, path->domain, &path->domain_n);
}

/* Bytes above 127: the flag, and whether they are UTF-8 at all. */
static int look_at_utf8(struct slice s, struct smtp_path *path)
{
	path->utf8 = false;
	for (size_t i = 0; i < s.n; i++)
		path->utf8 |= s.p[i] >= 128;
	if (path->utf8 &&
	    (!utf8_valid(smtp_path_local(path)) || !utf8_valid(smtp_path_domain(path))))
		return SMTP_PATH_SYNTAX;
	return 0;
}

int smtp_path_parse(struct slice in, struct smtp_path *ret_path, struct slice *ret_rest)
{
	struct smtp_path path = { .kind = SMTP_PATH_NULL };
	struct cursor c;
	const uint8_t *start;
	int r = 0;

	while (in.n > 0 && (in.p[0] == ' ' || in.p[0] == '\t'))
		in = slice_from(in, 1);
	c = (struct cursor){ in.p, in.p + in.n };
	if (!take(&c, '<'))
		return SMTP_PATH_SYNTAX;
	if (peek(&c) == '@')
		r = source_route(&c);
	start = c.p;
	if (r == 0 && (peek(&c) != '>' || start != in.p + 1))
		r = mailbox(&c, &path);
	if (r == 0 && !take(&c, '>'))
		r = SMTP_PATH_SYNTAX;
	if (r == 0 && c.p - start + 1 > SMTP_PATH_MAX)
		r = SMTP_PATH_LONG;
	if (r == 0)
		r = look_at_utf8(slice_of(start, (size_t)(c.p - start)), &path);
	if (r != 0)
		return r;
	*ret_path = path;
	*ret_rest = slice_of(c.p, (size_t)(c.end - c.p));
	return 0;
}

int smtp_path_parse_address(struct slice in, struct smtp_path *ret_path)
{
	struct smtp_path path = { .kind = SMTP_PATH_NULL };
	struct cursor c = { in.p, in.n > 0 ? in.p + in.n : in.p };
	int r = mailbox(&c, &path);

	if (r == 0 && (c.p != c.end || path.kind == SMTP_PATH_LOCAL))
		r = SMTP_PATH_SYNTAX;
	if (r == 0 && in.n + 2 > SMTP_PATH_MAX)
		r = SMTP_PATH_LONG;
	if (r == 0)
		r = look_at_utf8(in, &path);
	if (r == 0)
		*ret_path = path;
	return r;
}

static bool is_dot_string(struct slice s)
{
	bool dot = true;

	for (size_t i = 0; i < s.n; i++) {
		if (dot ? !is_atext(s.p[i]) : !is_atext(s.p[i]) && s.p[i] != '.')
			return false;
		dot = s.p[i] == '.';
	}
	return !dot;
}

void smtp_path_print_address(const struct smtp_path *path, struct buf *out)
{
	struct slice local = smtp_path_local(path);

	if (path->kind == SMTP_PATH_NULL)
		return;
	if (is_dot_string(local)) {
		buf_put(out, local);
	} else {
		buf_putc(out, '"');
		for (size_t i = 0; i < local.n; i++) {
			if (local.p[i] == '"' || local.p[i] == '\\')
				buf_putc(out, '\\');
			buf_putc(out, local.p[i]);
		}
		buf_putc(out, '"');
	}
	if (path->kind == SMTP_PATH_LOCAL)
		return;
	buf_putc(out, '@');
	buf_put(out, smtp_path_domain(path));
}

void smtp_path_print(const struct smtp_path *path, struct buf *out)
{
	buf_putc(out, '<');
	smtp_path_print_address(path, out);
	buf_putc(out, '>');
}
