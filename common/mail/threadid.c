#include "common/mail/threadid.h"

#include "common/mail/facts-private.h"

#include <xxhash.h>

enum { NEWEST = THREADID_NUMBERS_MAX - 2 };

/* 0 says that there is none. */
static uint64_t number_of(struct slice id)
{
	uint64_t n = id.n > 0 ? XXH3_64bits(id.p, id.n) : 0;

	return n == 0 && id.n > 0 ? 1 : n;
}

size_t threadid_pack(struct slice facts, uint8_t out[THREADID_BYTES_MAX])
{
	struct facts_view view;
	uint64_t last[NEWEST];
	size_t count = 0, n = 0;
	struct slice id;

	if (facts.n < FACTS_HEAD ||
	    facts_view_flat(facts, wire_load_u64(facts.p + FACTS_AT_SIZE), &view) != 0)
		return 0;
	wire_store_u64(out + 8 * n++, number_of(view.message_id));
	while (facts_ref_next(&view.refs, &id) == 0) {
		if (id.n == 0)
			continue;
		if (n == 1)
			wire_store_u64(out + 8 * n++, number_of(id));
		else
			last[count++ % NEWEST] = number_of(id);
	}
	for (size_t i = count > NEWEST ? count - NEWEST : 0; i < count; i++)
		wire_store_u64(out + 8 * n++, last[i % NEWEST]);
	return 8 * n;
}
