/*
 * checked - arithmetic on sizes that came from outside: true when the result does not fit, in which
 * case *ret must not be used.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool add_overflows(size_t a, size_t b, size_t *ret)
{
	return __builtin_add_overflow(a, b, ret);
}

static inline bool mul_overflows(size_t a, size_t b, size_t *ret)
{
	return __builtin_mul_overflow(a, b, ret);
}

static inline bool add_overflows_u64(uint64_t a, uint64_t b, uint64_t *ret)
{
	return __builtin_add_overflow(a, b, ret);
}
