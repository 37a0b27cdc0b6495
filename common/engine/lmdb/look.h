/*
 * look - index_check() in a process of its own, which can read one file and nothing else: whatever
 * the file does to it is an answer.
 */
#pragma once

#include <stdint.h>

enum look_rc { LOOK_WHOLE, LOOK_DAMAGED, LOOK_TIME_UP, LOOK_NONE };

struct look_answer {
	enum look_rc rc; /* LOOK_NONE: there is no index */
	uint64_t rows, bytes;
	char why[64];
};

/* `dir_fd` holds data.mdb; `tick` is called about once a second while it takes time. 0 or -errno:
 * nothing could be found out. */
int look_at_index(
    int dir_fd, int budget_ms, void (*tick)(void *arg), void *arg, struct look_answer *ret);
