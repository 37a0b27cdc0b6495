/*
 * bounce - how many reports of failure there may be, of one account's mail and in all. Pure.
 *
 * Invariant: in any minute of the clock no account is given more than BOUNCES_PER_MINUTE and all
 * together no more than BOUNCES_ALL_PER_MINUTE, in memory of a fixed size: accounts that fall into
 * one slot share what one may have.
 */
#pragma once

#include "routerd/limits.h"

#include <stdbool.h>
#include <stdint.h>

struct bounces {
	int64_t minute;
	unsigned all;
	uint16_t by[BOUNCE_SLOTS];
};

/* One more report to `account` at `now_s` (seconds of a clock that does not go back)? */
bool bounces_take(struct bounces *b, uint64_t account, int64_t now_s);
