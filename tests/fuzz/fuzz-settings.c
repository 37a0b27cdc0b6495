/*
 * A setting (one byte) and a text as its value: what is taken is written so that it is taken again
 * as the same bytes, and nothing longer than the limits comes out.
 */
#include "common/settings/settings.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf packed = BUF_INIT(SETTING_PACKED_MAX), text = BUF_INIT(2 * SETTING_TEXT_MAX),
		   again = BUF_INIT(SETTING_PACKED_MAX);
	const char *why = NULL;
	enum setting s;

	if (size == 0)
		return 0;
	s = (enum setting)(data[0] % SETTINGS);
	if (setting_parse(s, slice_of(data + 1, size - 1), &packed, &why) == 0) {
		setting_put(&text, s, buf_slice(&packed));
		assert(!text.overflow);
		if (text.n <= SETTING_TEXT_MAX) {
			assert(setting_parse(s, buf_slice(&text), &again, &why) == 0);
			assert(slice_eq(buf_slice(&packed), buf_slice(&again)));
		}
	} else {
		assert(why != NULL && packed.n == 0);
	}
	buf_fini(&packed);
	buf_fini(&text);
	buf_fini(&again);
	return 0;
}
