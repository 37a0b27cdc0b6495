/* A line of the log taken apart: keys come to an end, pieces lie inside the line, values do not
 * grow. */
#include "ctl/logline.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>

static bool inside(struct slice part, struct slice whole)
{
	return part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice line = slice_of(data, n), keys, k, raw;
	struct logline l;
	size_t count = 0;

	if (!logline_parse(line, &l))
		return 0;
	assert(inside(l.time, line) && inside(l.process, line) && inside(l.sid, line));
	assert(inside(l.event, line) && inside(l.keys, line) && l.event.n > 0);
	for (keys = l.keys; logline_key(&keys, &k, &raw); count++) {
		struct buf b = BUF_INIT(n + 1);

		assert(inside(k, line) && inside(raw, line) && inside(keys, line) && count <= n);
		logline_value(raw, &b);
		assert(!b.overflow && b.n <= raw.n);
		buf_fini(&b);
	}
	logline_is(&l, "user", SLICE("ann"));
	return 0;
}
