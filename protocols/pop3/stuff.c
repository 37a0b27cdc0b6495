#include "protocols/pop3/stuff.h"

enum { BLOCK = 64 };

/* LF and a dot behind it, the LF in the first BLOCK bytes. A loop of fixed length over bytes, which
 * the compiler turns into a few vector instructions: memmem() takes ten times as long. */
static bool block_has_dot(const uint8_t *p)
{
	uint8_t any = 0;

	for (int i = 0; i < BLOCK; i++)
		any |= (uint8_t)((p[i] == '\n') & (p[i + 1] == '.'));
	return any != 0;
}

/* The next dot at the start of a line, or `end`. */
static const uint8_t *next_dot(const uint8_t *p, const uint8_t *end)
{
	while (end - p > BLOCK && !block_has_dot(p))
		p += BLOCK;
	for (; end - p > 1; p++)
		if (p[0] == '\n' && p[1] == '.')
			return p + 1;
	return end;
}

void stuff_put(struct stuff *st, struct slice in, struct buf *out)
{
	const uint8_t *p = in.p, *end = in.p + in.n;

	if (in.n == 0)
		return;
	if (!st->inside && *p == '.')
		buf_putc(out, '.');
	st->crlf = in.n > 1 ? end[-1] == '\n' && end[-2] == '\r'
			    : end[-1] == '\n' && st->inside && st->last == '\r';
	st->any = true;
	st->last = end[-1];
	st->inside = end[-1] != '\n';
	while (p < end) {
		const uint8_t *to = next_dot(p, end);

		buf_put(out, slice_of(p, (size_t)(to - p)));
		if (to < end)
			buf_putc(out, '.');
		p = to;
	}
}

void stuff_end(struct stuff *st, struct buf *out)
{
	if (st->any && !st->crlf)
		buf_puts(out, "\r\n");
	buf_puts(out, ".\r\n");
	*st = (struct stuff){ 0 };
}

size_t top_cut_feed(struct top_cut *t, struct slice in)
{
	size_t at = 0;

	while (at < in.n && !t->done) {
		const uint8_t *lf = memchr(in.p + at, '\n', in.n - at);
		size_t end = lf != NULL ? (size_t)(lf - in.p) + 1 : in.n;

		if (t->line_n == 0)
			t->first = in.p[at];
		t->line_n = end - at + t->line_n > 2 ? 3 : (unsigned)(end - at + t->line_n);
		at = end;
		if (lf == NULL)
			break;
		if (t->in_body)
			t->lines--;
		else
			t->in_body = t->line_n == 1 || (t->line_n == 2 && t->first == '\r');
		t->line_n = 0;
		t->done = t->in_body && t->lines == 0;
	}
	return at;
}
