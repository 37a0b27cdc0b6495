/*
 * buf - growing output with a maximum.
 *
 * A buf never holds more than the maximum given at init. A write that does not fit changes nothing
 * and sets `overflow`, which stays until reset: a writer may put many pieces and look once at the
 * end. Out of memory counts as overflow, too; the caller decides whose failure that is.
 */
#pragma once

#include "common/base/slice.h"

struct buf {
	uint8_t *p;
	size_t n;   /* bytes held */
	size_t cap; /* bytes allocated */
	size_t max; /* never more than this */
	bool overflow;
};

#define BUF_INIT(maximum) ((struct buf){ .max = (maximum) })

void buf_init(struct buf *b, size_t max);
void buf_fini(struct buf *b);

/* Empty again, overflow forgotten, memory kept. */
static inline void buf_reset(struct buf *b)
{
	b->n = 0;
	b->overflow = false;
}

static inline struct slice buf_slice(const struct buf *b)
{
	return (struct slice){ b->p, b->n };
}

/*
 * Room for `n` more bytes at the end, to be filled by the caller before buf_wrote(); NULL when they
 * do not fit.
 */
uint8_t *buf_room(struct buf *b, size_t n);
void buf_wrote(struct buf *b, size_t n);

/* 0, or 1 when it does not fit. The result may be ignored in favour of `overflow`. */
int buf_put(struct buf *b, struct slice s);
int buf_putc(struct buf *b, uint8_t c);
int buf_puts(struct buf *b, const char *s);
int buf_putu(struct buf *b, uint64_t v);
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Drops `n` bytes from the front (all when fewer are held). */
void buf_consume(struct buf *b, size_t n);

/* Cuts back to `n` bytes; more than held changes nothing. */
void buf_trunc(struct buf *b, size_t n);

/* Adds a NUL that is not counted, so that p is a C string; NULL when it does not fit. */
const char *buf_cstr(struct buf *b);
