#include "common/mail/address.h"

/* Where text is put: the texts of an entry, or nowhere. */
enum place { NOWHERE = -1, NAME, ROUTE, LOCAL, DOMAIN, COMMENT };

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\0';
}

static bool is_special(uint8_t c)
{
	return memchr("()<>[]:;@\\,.\"", c, 13) != NULL;
}

void address_init(struct address_iter *it, struct slice value)
{
	it->left = value;
	it->in_group = false;
	it->count = 0;
}

static struct slice text(const struct address_iter *it, enum place which)
{
	return slice_of(it->text[which], it->n[which]);
}

static void put(struct address_iter *it, enum place which, uint8_t c)
{
	if (which != NOWHERE && c != '\r' && c != '\n' && c != '\0' &&
	    it->n[which] < ADDRESS_TEXT_MAX)
		it->text[which][it->n[which]++] = c;
}

static int peek(const struct address_iter *it)
{
	return it->left.n > 0 ? it->left.p[0] : -1;
}

static void skip(struct address_iter *it, size_t n)
{
	it->left = slice_from(it->left, n);
}

/* A comment; the last one is kept (RFC 822's way to give a name). */
static void comment(struct address_iter *it)
{
	unsigned depth = 0;

	it->n[COMMENT] = 0;
	do {
		int c = peek(it);
		bool opens = c == '(' && depth == 0;

		if (c == '(')
			depth++;
		if (c == ')')
			depth--;
		if (c == '\\' && it->left.n > 1) {
			skip(it, 1);
			c = peek(it);
		}
		if (!opens && depth > 0)
			put(it, COMMENT, (uint8_t)c);
		skip(it, 1);
	} while (depth > 0 && it->left.n > 0);
}

/* Blanks and comments; true when there were any. */
static bool skip_cfws(struct address_iter *it)
{
	bool any = false;

	while (it->left.n > 0 && (is_space(it->left.p[0]) || it->left.p[0] == '(')) {
		any = true;
		if (it->left.p[0] == '(')
			comment(it);
		else
			skip(it, 1);
	}
	return any;
}

/* Inside of a quoted string to up to two places. */
static void quoted(struct address_iter *it, enum place a, enum place b)
{
	skip(it, 1);
	while (it->left.n > 0 && it->left.p[0] != '"') {
		if (it->left.p[0] == '\\' && it->left.n > 1)
			skip(it, 1);
		put(it, a, it->left.p[0]);
		put(it, b, it->left.p[0]);
		skip(it, 1);
	}
	skip(it, 1);
}

static void atom(struct address_iter *it, enum place a, enum place b)
{
	do {
		put(it, a, it->left.p[0]);
		put(it, b, it->left.p[0]);
		skip(it, 1);
	} while (it->left.n > 0 && !is_space(it->left.p[0]) && !is_special(it->left.p[0]));
}

/*
 * Words up to a character that decides what they were. They are read as a display name (one blank
 * where there were any) into NAME and as a local part (none beside dots) into LOCAL.
 */
static void words(struct address_iter *it)
{
	bool dot = true;

	for (;;) {
		bool gap = skip_cfws(it);
		int c = peek(it);

		if (c < 0 || (c != '"' && c != '.' && c != '\\' && c != ']' && c != ')' &&
				 is_special((uint8_t)c)))
			return;
		if (gap && it->n[NAME] > 0)
			put(it, NAME, ' ');
		if (gap && it->n[LOCAL] > 0 && !dot && c != '.')
			put(it, LOCAL, ' ');
		dot = c == '.';
		if (c == '"')
			quoted(it, NAME, LOCAL);
		else
			atom(it, NAME, LOCAL);
	}
}

/* After '@': dot-atom or literal, blanks around dots dropped. */
static void domain(struct address_iter *it, enum place which)
{
	bool dot = true;

	for (;;) {
		bool gap = skip_cfws(it);
		int c = peek(it);

		if (c == '[') {
			while (c >= 0 && c != ']') {
				if (!is_space((uint8_t)c))
					put(it, which, (uint8_t)c);
				skip(it, 1);
				c = peek(it);
			}
			if (c == ']')
				put(it, which, ']');
			skip(it, 1);
			return;
		}
		if (c == '.') {
			put(it, which, '.');
			skip(it, 1);
			dot = true;
			continue;
		}
		/* A second word without a dot is not of the domain. */
		if (c < 0 || is_special((uint8_t)c) || (gap && !dot))
			return;
		atom(it, which, NOWHERE);
		it->n[COMMENT] = 0; /* one inside the domain is no name */
		dot = false;
	}
}

/* Passes what is left of a broken entry: to the ',' or ';' after it. */
static void skip_rest(struct address_iter *it)
{
	for (;;) {
		int c;

		skip_cfws(it);
		c = peek(it);
		if (c < 0 || c == ',' || c == ';')
			return;
		if (c == '"')
			quoted(it, NOWHERE, NOWHERE);
		else
			skip(it, 1);
	}
}

/* "@a,@b:" after '<'. */
static void route(struct address_iter *it)
{
	while (peek(it) == '@' || peek(it) == ',') {
		if (peek(it) == '@') {
			if (it->n[ROUTE] > 0)
				put(it, ROUTE, ',');
			put(it, ROUTE, '@');
			skip(it, 1);
			domain(it, ROUTE);
		} else {
			skip(it, 1);
		}
		skip_cfws(it);
	}
	if (peek(it) == ':')
		skip(it, 1);
}

/* What is between '<' and '>'. NAME is not touched: the words are read into LOCAL alone. */
static void angle(struct address_iter *it)
{
	size_t name_n = it->n[NAME];

	skip(it, 1);
	it->n[LOCAL] = it->n[DOMAIN] = 0;
	skip_cfws(it);
	if (peek(it) == '@')
		route(it);
	words(it);
	it->n[NAME] = name_n;
	if (peek(it) == '@') {
		skip(it, 1);
		domain(it, DOMAIN);
	}
	while (it->left.n > 0 && it->left.p[0] != '>' && it->left.p[0] != ',')
		skip(it, 1);
	if (peek(it) == '>')
		skip(it, 1);
}

static void fill(struct address_iter *it, struct address *a, enum address_kind kind)
{
	*a = (struct address){ .kind = kind };
	if (kind == ADDRESS_GROUP_END)
		return;
	while (it->n[NAME] > 0 && it->text[NAME][it->n[NAME] - 1] == ' ')
		it->n[NAME]--;
	a->name = text(it, NAME);
	if (kind == ADDRESS_GROUP)
		return;
	a->route = text(it, ROUTE);
	a->local = text(it, LOCAL);
	a->domain = text(it, DOMAIN);
}

/* a@b <c@d>: what looked like an address was meant as a name. */
static void address_to_name(struct address_iter *it)
{
	put(it, NAME, '@');
	for (size_t i = 0; i < it->n[DOMAIN]; i++)
		put(it, NAME, it->text[DOMAIN][i]);
}

/* An entry: words, and what the character after them makes of those. */
static void entry(struct address_iter *it, struct address *ret)
{
	words(it);
	if (peek(it) == ':' && !it->in_group) {
		skip(it, 1);
		it->in_group = true;
		fill(it, ret, ADDRESS_GROUP);
		return;
	}
	if (peek(it) == '@') {
		skip(it, 1);
		domain(it, DOMAIN);
		skip_cfws(it);
		if (peek(it) == '<')
			address_to_name(it);
		else
			it->n[NAME] = 0;
	} else if (peek(it) != '<') {
		it->n[NAME] = 0;
	}
	if (peek(it) == '<') {
		angle(it);
		it->n[COMMENT] = 0;
	}
	skip_rest(it);
	if (it->n[NAME] == 0) {
		memcpy(it->text[NAME], it->text[COMMENT], it->n[COMMENT]);
		it->n[NAME] = it->n[COMMENT];
	}
	fill(it, ret, ADDRESS_MAILBOX);
}

/* Passes what is between entries. True when a group ends here. */
static bool between(struct address_iter *it)
{
	for (;;) {
		skip_cfws(it);
		if (it->in_group && (peek(it) < 0 || peek(it) == ';')) {
			skip(it, 1);
			it->in_group = false;
			return true;
		}
		if (peek(it) != ',' && peek(it) != ';')
			return false;
		skip(it, 1);
	}
}

int address_next(struct address_iter *it, struct address *ret_address)
{
	if (it->count >= ADDRESS_COUNT_MAX)
		it->left = slice_from(it->left, it->left.n);
	do {
		memset(it->n, 0, sizeof(it->n));
		if (between(it)) {
			fill(it, ret_address, ADDRESS_GROUP_END);
			return 0;
		}
		if (peek(it) < 0)
			return ADDRESS_DONE;
		it->n[COMMENT] = 0;
		it->count++;
		entry(it, ret_address);
	} while (ret_address->kind == ADDRESS_MAILBOX && ret_address->local.n == 0 &&
		 ret_address->domain.n == 0 && ret_address->name.n == 0);
	return 0;
}

static bool needs_quotes(struct slice s, bool dots)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 32 || s.p[i] == 127 ||
		    (is_special(s.p[i]) && !(dots && s.p[i] == '.' && i > 0 && i + 1 < s.n)) ||
		    (dots && s.p[i] == ' '))
			return true;
	return s.n == 0;
}

static void print_text(struct slice s, bool quote, struct buf *out)
{
	if (!quote) {
		buf_put(out, s);
		return;
	}
	buf_putc(out, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_putc(out, '\\');
		buf_putc(out, s.p[i]);
	}
	buf_putc(out, '"');
}

void address_print(const struct address *a, struct buf *out)
{
	if (a->kind != ADDRESS_MAILBOX) {
		if (a->kind == ADDRESS_GROUP)
			print_text(a->name, needs_quotes(a->name, false), out);
		buf_putc(out, a->kind == ADDRESS_GROUP ? ':' : ';');
		return;
	}
	if (a->name.n > 0) {
		print_text(a->name, needs_quotes(a->name, false), out);
		buf_puts(out, " <");
	}
	print_text(a->local, needs_quotes(a->local, true), out);
	if (a->domain.n > 0) {
		buf_putc(out, '@');
		buf_put(out, a->domain);
	}
	if (a->name.n > 0)
		buf_putc(out, '>');
}
