/* Values of the administration protocol: parsed or refused; what parsed is written, and read again
 * as the same. */
#include "common/data/data.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice in = slice_of(data, n), again;
	struct buf b = BUF_INIT(8 << 20), c = BUF_INIT(8 << 20);
	struct arena a, more;
	const char *why;
	struct data *d, *e;

	arena_init(&a, 32 << 20);
	arena_init(&more, 64 << 20);
	d = data_parse(&a, &in, &why);
	assert((d == NULL) == (why != NULL));
	if (d != NULL) {
		data_put(&b, d);
		again = buf_slice(&b);
		e = data_parse(&more, &again, &why);
		assert(e != NULL && again.n == 0 && e->kind == d->kind && !b.overflow);
		data_put(&c, e);
		assert(slice_eq(buf_slice(&b), buf_slice(&c)));
	}
	in = slice_of(data, n);
	while (in.n > 0 && data_parse_word(&a, &in, &why) != NULL)
		data_skip_blanks(&in);
	buf_fini(&b);
	buf_fini(&c);
	arena_fini(&a);
	arena_fini(&more);
	return 0;
}
