#include "common/base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void buf_init(struct buf *b, size_t max)
{
	*b = BUF_INIT(max);
}

void buf_fini(struct buf *b)
{
	free(b->p);
	*b = BUF_INIT(b->max);
}

uint8_t *buf_room(struct buf *b, size_t n)
{
	size_t want, cap;
	uint8_t *p;

	if (n > b->max || b->n > b->max - n) {
		b->overflow = true;
		return NULL;
	}
	want = b->n + n;
	if (want <= b->cap && b->p != NULL)
		return b->p + b->n;
	cap = b->cap < 64 ? 64 : b->cap;
	while (cap < want)
		cap = cap > b->max / 2 ? b->max : cap * 2;
	if (cap > b->max)
		cap = b->max;
	if (cap == 0)
		cap = 1;
	p = realloc(b->p, cap);
	if (p == NULL) {
		b->overflow = true;
		return NULL;
	}
	b->p = p;
	b->cap = cap;
	return b->p + b->n;
}

void buf_wrote(struct buf *b, size_t n)
{
	b->n += n;
}

int buf_put(struct buf *b, struct slice s)
{
	uint8_t *p = buf_room(b, s.n);

	if (p == NULL)
		return 1;
	if (s.n > 0)
		memcpy(p, s.p, s.n);
	b->n += s.n;
	return 0;
}

int buf_putc(struct buf *b, uint8_t c)
{
	return buf_put(b, slice_of(&c, 1));
}

int buf_puts(struct buf *b, const char *s)
{
	return buf_put(b, slice_str(s));
}

int buf_putu(struct buf *b, uint64_t v)
{
	uint8_t tmp[20];
	size_t i = sizeof(tmp);

	do {
		tmp[--i] = (uint8_t)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	return buf_put(b, slice_of(tmp + i, sizeof(tmp) - i));
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	uint8_t *p;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0) {
		b->overflow = true;
		return 1;
	}
	/* vsnprintf writes a NUL, so the last byte needs a place of its own for a moment. */
	p = malloc((size_t)n + 1);
	if (p == NULL) {
		b->overflow = true;
		return 1;
	}
	va_start(ap, fmt);
	vsnprintf((char *)p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	n = buf_put(b, slice_of(p, (size_t)n));
	free(p);
	return n;
}

void buf_consume(struct buf *b, size_t n)
{
	if (n >= b->n) {
		b->n = 0;
		return;
	}
	memmove(b->p, b->p + n, b->n - n);
	b->n -= n;
}

void buf_trunc(struct buf *b, size_t n)
{
	if (n < b->n)
		b->n = n;
}

const char *buf_cstr(struct buf *b)
{
	uint8_t *p = buf_room(b, 1);

	if (p == NULL)
		return NULL;
	*p = '\0';
	return (const char *)b->p;
}
