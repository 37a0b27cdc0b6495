/*
 * Any text as the manifest of a backup, as it is and with the first and the last line put around
 * it, since a sum keeps a fuzzer out: what is taken is written as a text that is taken again, as
 * the same.
 */
#include "stored/backup/backup.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

struct taken {
	struct bfiles files;
	struct tail_end end[PARTS_MAX];
	int64_t made;
	struct buf lost;
};

static bool take(struct slice text, struct taken *t)
{
	*t = (struct taken){ .lost = BUF_INIT(MANIFEST_MAX) };
	return manifest_parse(text, &t->files, t->end, &t->made, &t->lost);
}

static void drop(struct taken *t)
{
	bfiles_fini(&t->files);
	buf_fini(&t->lost);
}

static void look(struct slice text)
{
	struct buf again = BUF_INIT(MANIFEST_MAX);
	struct taken a, b;

	if (take(text, &a)) {
		manifest_put(&again, &a.files, a.end, a.made, buf_slice(&a.lost));
		assert(take(buf_slice(&again), &b));
		assert(a.files.n == b.files.n && a.made == b.made);
		assert(memcmp(a.end, b.end, sizeof(a.end)) == 0);
		assert(slice_eq(buf_slice(&a.lost), buf_slice(&b.lost)));
		for (size_t i = 0; i < a.files.n; i++) {
			const struct bfile *f = &a.files.v[i], *g = &b.files.v[i];

			assert(f->db == g->db && strcmp(f->name, g->name) == 0);
			assert(f->bytes == g->bytes && f->sum == g->sum);
		}
		drop(&b);
	} else {
		assert(a.files.n == 0);
	}
	drop(&a);
	buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct buf b = BUF_INIT(MANIFEST_MAX);

	look(slice_of(data, n));
	buf_puts(&b, "gatehouse-backup 1\n");
	buf_put(&b, slice_of(data, n));
	if (n > 0 && data[n - 1] != '\n')
		buf_putc(&b, '\n');
	buf_printf(&b, "whole %016llx\n", (unsigned long long)XXH3_64bits(b.p, b.n));
	look(buf_slice(&b));
	buf_fini(&b);
	return 0;
}
