#include "stored/salvage/args.h"

#include "common/base/slice.h"

#include <limits.h>
#include <stdio.h>

enum arg_is arg_number(const char *arg, const char *name, unsigned *ret)
{
	struct slice rest = slice_str(arg), word = slice_take(&rest, '=');
	uint64_t n;

	if (!slice_starts(word, SLICE("--")) || !slice_eq(slice_from(word, 2), slice_str(name)))
		return ARG_OTHER;
	if (slice_u64(rest, UINT_MAX, &n) != 0 || n == 0) {
		fprintf(stderr, "--%s is a number from 1 to %u\n", name, UINT_MAX);
		return ARG_BAD;
	}
	*ret = (unsigned)n;
	return ARG_GOOD;
}
