/*
 * slice - a borrowed run of bytes.
 *
 * All input of the suite is passed as a slice. A slice owns nothing and is never NUL-terminated;
 * whoever keeps one must know that the bytes behind it live long enough.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
	const uint8_t *p;
	size_t n;
};

/* A slice of a string literal, without its NUL. */
#define SLICE(lit) ((struct slice){ (const uint8_t *)(lit), sizeof(lit) - 1 })
#define SLICE_NONE ((struct slice){ NULL, 0 })

/* printf("%.*s", SLICE_FMT(s)) */
#define SLICE_FMT(s) (int)(s).n, (const char *)(s).p

static inline struct slice slice_of(const void *p, size_t n)
{
	return (struct slice){ p, n };
}

static inline struct slice slice_str(const char *s)
{
	return (struct slice){ (const uint8_t *)s, strlen(s) };
}

/* The part from `off` of at most `n` bytes; both are clipped to the slice. */
static inline struct slice slice_part(struct slice s, size_t off, size_t n)
{
	if (off > s.n)
		off = s.n;
	if (n > s.n - off)
		n = s.n - off;
	return (struct slice){ off > 0 ? s.p + off : s.p, n }; /* NULL + 0 is not C */
}

static inline struct slice slice_from(struct slice s, size_t off)
{
	return slice_part(s, off, SIZE_MAX);
}

static inline bool slice_eq(struct slice a, struct slice b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* Bytewise order, shorter first where one is the start of the other: <0, 0, >0. */
int slice_cmp(struct slice a, struct slice b);

/* Equal without regard to the case of ASCII letters; other bytes must be the same. */
bool slice_ieq(struct slice a, struct slice b);

bool slice_starts(struct slice s, struct slice head);
bool slice_istarts(struct slice s, struct slice head);

/* Offset of the first (last) byte `c`, or -1. */
ptrdiff_t slice_find(struct slice s, uint8_t c);
ptrdiff_t slice_rfind(struct slice s, uint8_t c);

/* Without spaces and tabs at both ends. */
struct slice slice_trim(struct slice s);

/*
 * Takes the part before the first `c` off `*s` (and the `c` itself) and returns it; without a `c`
 * all of `*s` is taken.
 */
struct slice slice_take(struct slice *s, uint8_t c);

/* Digits only, no sign, at most `max`: 0, or 1 when it is not such a number. */
int slice_u64(struct slice s, uint64_t max, uint64_t *ret);

/* ASCII only: the locale has no say in protocols. */
static inline uint8_t ascii_lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

static inline uint8_t ascii_upper(uint8_t c)
{
	return c >= 'a' && c <= 'z' ? (uint8_t)(c - 32) : c;
}

static inline bool ascii_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static inline bool ascii_alpha(uint8_t c)
{
	c = ascii_lower(c);
	return c >= 'a' && c <= 'z';
}
