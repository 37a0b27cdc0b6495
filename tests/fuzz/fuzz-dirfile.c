/*
 * Any text as a directory for `gatehousectl apply`: what is taken is printed as a text that is
 * taken again, and printed as the same.
 */
#include "ctl/dirfile.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>

static FILE *nowhere;

/* The text of what was parsed, from malloc; NULL: refused. */
static char *printed(struct slice text, size_t *ret_n)
{
	FILE *kept = stderr;
	struct dirfile f;
	char *out = NULL;
	bool good;

	dirfile_init(&f);
	/* What is wrong with a line is said there, for each. */
	stderr = nowhere;
	good = dirfile_parse(&f, "f", text);
	stderr = kept;
	if (good) {
		FILE *to = open_memstream(&out, ret_n);

		assert(to != NULL);
		dirfile_print(&f, to);
		assert(fclose(to) == 0);
		for (size_t i = 0; i < f.n; i++)
			assert(f.entries[i].kind == DIR_ROUTER ||
			       dirfile_find(&f, f.entries[i].kind, f.entries[i].name) != NULL);
	}
	dirfile_fini(&f);
	return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	size_t n1 = 0, n2 = 0;
	char *one, *two;

	if (nowhere == NULL)
		nowhere = fopen("/dev/null", "we");
	assert(nowhere != NULL);
	one = printed(slice_of(data, n), &n1);
	if (one != NULL) {
		two = printed(slice_of(one, n1), &n2);
		assert(two != NULL && slice_eq(slice_of(one, n1), slice_of(two, n2)));
		free(two);
	}
	free(one);
	return 0;
}
