/*
 * pairs - lists of uids for one answer: u32 first, u32 last, ascending and apart.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PAIRS_MAX = 61440 / 8 };

/* Being collected, joined where they touch. */
struct pairs_out {
	uint8_t p[PAIRS_MAX * 8];
	size_t n;
	uint32_t first, last; /* the open one; first 0: none */
};

/* False when there is no room for it. */
bool pairs_add(struct pairs_out *o, uint32_t first, uint32_t last);
/* The last one is complete. */
void pairs_close(struct pairs_out *o);
