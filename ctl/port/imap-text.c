#include "ctl/port/imap-text.h"

#include "common/mail/date.h"
#include "common/mail/utf7.h"
#include "common/mail/utf8.h"

enum { DEPTH_MAX = 16 };

/* ---- where a response ends ---- */

/* Octets of the literal that a line announces at its end ("{12}"), or -1. */
static int64_t literal_of(struct slice line)
{
	ptrdiff_t open = slice_rfind(line, '{');
	struct slice digits;
	uint64_t n;

	if (open < 0 || line.p[line.n - 1] != '}')
		return -1;
	digits = slice_part(line, (size_t)open + 1, line.n - (size_t)open - 2);
	return slice_u64(digits, INT32_MAX, &n) == 0 ? (int64_t)n : -1;
}

int imap_scan(struct imap_scan *s, struct slice in, size_t max, size_t *ret_n)
{
	for (;;) {
		ptrdiff_t lf;
		struct slice line;
		int64_t literal;

		if (s->at > max)
			return IMAP_BAD;
		if (s->scanned < s->at)
			s->scanned = s->at;
		lf = s->scanned < in.n ? slice_find(slice_from(in, s->scanned), '\n') : -1;
		if (lf < 0) {
			s->scanned = in.n > s->scanned ? in.n : s->scanned;
			return s->scanned > max ? IMAP_BAD : IMAP_MORE;
		}
		line = slice_part(in, s->at, s->scanned + (size_t)lf - s->at);
		s->at = s->scanned = s->scanned + (size_t)lf + 1;
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		literal = line.n > 0 ? literal_of(line) : -1;
		if (literal >= 0) {
			s->at += (size_t)literal;
			continue;
		}
		*ret_n = s->at;
		*s = (struct imap_scan){ 0 };
		return *ret_n > max ? IMAP_BAD : 0;
	}
}

/* ---- words ---- */

enum token_kind { T_END, T_ATOM, T_STRING, T_OPEN, T_CLOSE, T_BAD };

struct token {
	enum token_kind kind;
	struct slice text; /* of a string: between its quotes, escapes inside */
	bool quoted;
};

static struct token literal_token(struct slice *in)
{
	ptrdiff_t lf = slice_find(*in, '\n');
	struct slice line = slice_part(*in, 0, lf >= 0 ? (size_t)lf : 0);
	struct token t = { .kind = T_BAD };
	int64_t n;

	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	n = line.n > 0 ? literal_of(line) : -1;
	if (n < 0 || (size_t)n > in->n - (size_t)lf - 1)
		return t;
	t.kind = T_STRING;
	t.text = slice_part(*in, (size_t)lf + 1, (size_t)n);
	*in = slice_from(*in, (size_t)lf + 1 + (size_t)n);
	return t;
}

static struct token quoted_token(struct slice *in)
{
	struct token t = { .kind = T_BAD, .quoted = true };
	size_t i = 1;

	while (i < in->n && in->p[i] != '"') {
		if (in->p[i] == '\\')
			i++;
		i++;
	}
	if (i >= in->n)
		return t;
	t.kind = T_STRING;
	t.text = slice_part(*in, 1, i - 1);
	*in = slice_from(*in, i + 1);
	return t;
}

static struct token token_next(struct slice *in)
{
	struct token t = { .kind = T_END };
	size_t n = 0;

	while (in->n > 0 && in->p[0] == ' ')
		*in = slice_from(*in, 1);
	if (in->n == 0)
		return t;
	switch (in->p[0]) {
	case '{':
		return literal_token(in);
	case '"':
		return quoted_token(in);
	case '(':
	case ')':
		t.kind = in->p[0] == '(' ? T_OPEN : T_CLOSE;
		*in = slice_from(*in, 1);
		return t;
	default:
		while (n < in->n && strchr(" (){\"\r\n", in->p[n]) == NULL)
			n++;
		t.kind = n > 0 ? T_ATOM : T_BAD;
		t.text = slice_part(*in, 0, n);
		*in = slice_from(*in, n);
		return t;
	}
}

static void put_text(const struct token *t, struct buf *out)
{
	for (size_t i = 0; i < t->text.n; i++) {
		if (t->quoted && t->text.p[i] == '\\' && i + 1 < t->text.n)
			i++;
		buf_putc(out, t->text.p[i]);
	}
}

/* ---- responses ---- */

int imap_response_parse(struct slice in, struct imap_response *ret)
{
	uint64_t n;

	*ret = (struct imap_response){ .kind = IMAP_UNTAGGED };
	if (in.n > 0 && in.p[in.n - 1] == '\n')
		in.n--;
	if (in.n > 0 && in.p[in.n - 1] == '\r')
		in.n--;
	ret->tag = slice_take(&in, ' ');
	if (slice_eq(ret->tag, SLICE("+"))) {
		ret->kind = IMAP_CONTINUE;
		ret->rest = in;
		return 0;
	}
	ret->name = slice_take(&in, ' ');
	if (slice_eq(ret->tag, SLICE("*")) && slice_u64(ret->name, UINT32_MAX, &n) == 0) {
		ret->number = (uint32_t)n;
		ret->name = slice_take(&in, ' ');
	}
	ret->rest = in;
	if (ret->tag.n == 0 || ret->name.n == 0)
		return IMAP_BAD;
	if (!slice_eq(ret->tag, SLICE("*")))
		ret->kind = slice_ieq(ret->name, SLICE("OK")) ? IMAP_TAGGED_OK : IMAP_TAGGED_NO;
	return 0;
}

bool imap_code_number(struct slice rest, struct slice code, uint32_t *ret)
{
	uint64_t n;
	ptrdiff_t end;

	if (rest.n == 0 || rest.p[0] != '[')
		return false;
	end = slice_find(rest, ']');
	rest = slice_part(rest, 1, end > 0 ? (size_t)end - 1 : 0);
	if (!slice_ieq(slice_take(&rest, ' '), code) || slice_u64(rest, UINT32_MAX, &n) != 0)
		return false;
	*ret = (uint32_t)n;
	return true;
}

/* ---- FETCH ---- */

/* Over a value that is not wanted, with all that is in it. */
static bool skip_value(struct slice *in)
{
	unsigned depth = 0;

	do {
		struct token t = token_next(in);

		if (t.kind == T_BAD || t.kind == T_END || (t.kind == T_CLOSE && depth == 0))
			return false;
		if (t.kind == T_OPEN && ++depth > DEPTH_MAX)
			return false;
		if (t.kind == T_CLOSE)
			depth--;
	} while (depth > 0);
	return true;
}

static const struct {
	const char *name;
	uint32_t flag;
} known[] = {
	{ "\\Seen", IPC_FLAG_SEEN },
	{ "\\Answered", IPC_FLAG_ANSWERED },
	{ "\\Flagged", IPC_FLAG_FLAGGED },
	{ "\\Deleted", IPC_FLAG_DELETED },
	{ "\\Draft", IPC_FLAG_DRAFT },
};

static bool flags_parse(struct slice *in, struct imap_fetch *f, struct buf *keywords)
{
	struct token t = token_next(in);

	if (t.kind != T_OPEN)
		return false;
	f->has_flags = true;
	while ((t = token_next(in)).kind == T_ATOM) {
		if (t.text.p[0] != '\\') {
			if (keywords->n > 0)
				buf_putc(keywords, ' ');
			buf_put(keywords, t.text);
			continue;
		}
		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			if (slice_ieq(t.text, slice_str(known[i].name)))
				f->flags |= known[i].flag;
	}
	return t.kind == T_CLOSE;
}

static bool number_parse(struct slice *in, uint64_t max, uint64_t *ret)
{
	struct token t = token_next(in);

	return t.kind == T_ATOM && slice_u64(t.text, max, ret) == 0;
}

static bool item_parse(
    struct slice name, struct slice *in, struct imap_fetch *f, struct buf *keywords)
{
	struct mail_date d;
	struct token t;
	uint64_t n;

	if (slice_ieq(name, SLICE("FLAGS")))
		return flags_parse(in, f, keywords);
	if (slice_ieq(name, SLICE("UID"))) {
		if (!number_parse(in, UINT32_MAX, &n))
			return false;
		f->uid = (uint32_t)n;
		return true;
	}
	if (slice_ieq(name, SLICE("RFC822.SIZE")))
		return f->has_size = number_parse(in, INT64_MAX, &f->size);
	if (slice_ieq(name, SLICE("INTERNALDATE"))) {
		t = token_next(in);
		f->has_date = t.kind == T_STRING && mail_date_parse_internal(t.text, &d) == 0;
		f->date_s = f->has_date ? d.unix_s : 0;
		return t.kind == T_STRING || t.kind == T_ATOM;
	}
	if (!slice_istarts(name, SLICE("BODY[]")))
		return skip_value(in);
	/* A quoted string may hold escapes: no server sends a message that way. */
	t = token_next(in);
	f->has_body = t.kind == T_STRING && (!t.quoted || slice_find(t.text, '\\') < 0);
	f->body = f->has_body ? t.text : SLICE_NONE;
	return t.kind == T_STRING || t.kind == T_ATOM;
}

int imap_fetch_parse(struct slice rest, struct imap_fetch *ret, struct buf *keywords)
{
	struct token t = token_next(&rest);

	*ret = (struct imap_fetch){ 0 };
	if (t.kind != T_OPEN)
		return IMAP_BAD;
	while ((t = token_next(&rest)).kind == T_ATOM)
		if (!item_parse(t.text, &rest, ret, keywords))
			return IMAP_BAD;
	return t.kind == T_CLOSE ? 0 : IMAP_BAD;
}

/* ---- LIST ---- */

/* Levels in UTF-7 (or UTF-8, of servers that have it so) with the server's separator between. */
static bool name_decode(struct slice raw, struct slice sep, struct buf *out)
{
	while (raw.n > 0) {
		ptrdiff_t at = sep.n == 1 ? slice_find(raw, sep.p[0]) : -1;
		struct slice level = slice_part(raw, 0, at >= 0 ? (size_t)at : raw.n);
		size_t before = out->n;

		if (level.n == 0 || (at >= 0 && (size_t)at + 1 == raw.n))
			return false;
		if (utf7_decode(level, out) != 0) {
			if (!utf8_valid(level))
				return false;
			buf_put(out, level);
		}
		if (slice_find(slice_from(buf_slice(out), before), '/') >= 0)
			return false;
		raw = slice_from(raw, at >= 0 ? (size_t)at + 1 : raw.n);
		if (raw.n > 0)
			buf_putc(out, '/');
	}
	return out->n > 0 && !out->overflow;
}

int imap_list_parse(struct slice rest, struct buf *raw, struct buf *name, bool *ret_noselect)
{
	struct token t = token_next(&rest), sep;

	*ret_noselect = false;
	if (t.kind != T_OPEN)
		return IMAP_BAD;
	while ((t = token_next(&rest)).kind == T_ATOM)
		if (slice_ieq(t.text, SLICE("\\Noselect")) ||
		    slice_ieq(t.text, SLICE("\\NonExistent")))
			*ret_noselect = true;
	if (t.kind != T_CLOSE)
		return IMAP_BAD;
	sep = token_next(&rest);
	t = token_next(&rest);
	if ((sep.kind != T_STRING && sep.kind != T_ATOM) ||
	    (t.kind != T_STRING && t.kind != T_ATOM))
		return IMAP_BAD;
	put_text(&t, raw);
	if (sep.kind == T_ATOM)
		sep.text = SLICE_NONE; /* NIL: no levels */
	else if (sep.quoted && sep.text.n == 2)
		sep.text = slice_from(sep.text, 1);
	if (slice_ieq(buf_slice(raw), SLICE("INBOX")))
		return buf_puts(name, "INBOX") == 0 ? 0 : IMAP_BAD;
	return name_decode(buf_slice(raw), sep.text, name) ? 0 : IMAP_BAD;
}

bool imap_quote(struct slice s, struct buf *out)
{
	buf_putc(out, '"');
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];

		if (c == '\0' || c == '\r' || c == '\n')
			return false;
		if (c == '"' || c == '\\')
			buf_putc(out, '\\');
		buf_putc(out, c);
	}
	buf_putc(out, '"');
	return !out->overflow;
}
