/* Values of the administration protocol: parsed or refused; a string that parsed prints and parses
 * to itself. */
#include "common/data/data.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice in = slice_of(data, n), again;
	struct buf b = BUF_INIT(1 << 20);
	struct arena a;
	const char *why;
	struct data *d, *e;

	arena_init(&a, 8 << 20);
	d = data_parse(&a, &in, &why);
	assert((d == NULL) == (why != NULL));
	if (d != NULL && d->kind == DATA_STRING) {
		data_put_string(&b, d->text);
		again = buf_slice(&b);
		e = data_parse(&a, &again, &why);
		assert(e != NULL && slice_eq(e->text, d->text));
	}
	buf_fini(&b);
	arena_fini(&a);
	return 0;
}
