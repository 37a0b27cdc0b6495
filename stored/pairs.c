#include "stored/pairs.h"

#include "common/base/wire.h"

void pairs_close(struct pairs_out *o)
{
	if (o->first != 0) {
		wire_store_u32(o->p + 8 * o->n, o->first);
		wire_store_u32(o->p + 8 * o->n + 4, o->last);
		o->n++;
	}
	o->first = 0;
}

bool pairs_add(struct pairs_out *o, uint32_t first, uint32_t last)
{
	if (o->first != 0 && o->last + 1 == first) {
		o->last = last;
		return true;
	}
	pairs_close(o);
	if (o->n == PAIRS_MAX)
		return false;
	o->first = first;
	o->last = last;
	return true;
}
