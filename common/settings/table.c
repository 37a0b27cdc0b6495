/* table - the rows of settings.def, their defaults, and packed values taken apart. */
#include "common/base/wire.h"
#include "common/ipc/types.h"
#include "common/settings/settings.h"

#include <assert.h>

#define RANGE(low, high)  (low), (high), NULL
#define LEN(most)         0, (most), NULL
#define ITEMS(most, each) (most), (each), NULL
#define WORDS(list)       0, 0, list
#define NONE              0, 0, NULL
#define SETTING(name, level, type, limits, def, right, sentence) \
	{ #name, LEVEL_##level, TYPE_##type, limits, def, IPC_RIGHT_##right, sentence },

const struct setting_row setting_rows[SETTINGS] = {
#include "common/settings/settings.def"
};

enum setting setting_find(struct slice name)
{
	for (size_t i = 0; i < SETTINGS; i++)
		if (slice_ieq(name, slice_str(setting_rows[i].name)))
			return (enum setting)i;
	return SETTINGS;
}

/* Most are a number, none is long. */
struct slice setting_default(enum setting s)
{
	static uint8_t room[SETTINGS * 32];
	static struct slice known[SETTINGS];
	static size_t used;
	struct buf b = BUF_INIT(sizeof(room));
	const char *why;

	if (known[s].p != NULL)
		return known[s];
	if (setting_parse(s, slice_str(setting_rows[s].def), &b, &why) != 0 ||
	    b.n > sizeof(room) - used)
		assert(!"a default of settings.def is no value of its setting");
	if (b.n > 0)
		memcpy(room + used, b.p, b.n);
	known[s] = slice_of(room + used, b.n);
	used += b.n;
	buf_fini(&b);
	return known[s];
}

uint64_t setting_number(struct slice packed)
{
	struct wire_reader r = wire_reader(packed);

	return wire_get_u64(&r);
}

uint64_t setting_period_s(struct slice packed)
{
	return setting_number(slice_from(packed, 8));
}

bool setting_next(struct slice *packed, struct slice *ret_item)
{
	struct wire_reader r = wire_reader(*packed);
	size_t n = wire_get_u16(&r);
	struct slice item = wire_get_raw(&r, n);

	if (r.bad)
		return false;
	*ret_item = item;
	*packed = slice_from(*packed, 2 + n);
	return true;
}
