#include "routerd/bounce.h"

#include <string.h>

bool bounces_take(struct bounces *b, uint64_t account, int64_t now_s)
{
	uint16_t *mine = &b->by[account % BOUNCE_SLOTS];

	if (now_s / 60 != b->minute) {
		memset(b, 0, sizeof(*b));
		b->minute = now_s / 60;
	}
	if (*mine >= BOUNCES_PER_MINUTE || b->all >= BOUNCES_ALL_PER_MINUTE)
		return false;
	*mine += 1;
	b->all++;
	return true;
}
