/*
 * clock - the two times of the suite. Deadlines use monotonic time; dates of mail use wall time.
 * Pure cores never call these: they are handed the time.
 */
#pragma once

#include <stdint.h>

/* Milliseconds (nanoseconds) since an arbitrary start, never going back. */
int64_t clock_mono_ms(void);
int64_t clock_mono_ns(void);

/* Seconds (milliseconds) since 1970-01-01 UTC. */
int64_t clock_wall_s(void);
int64_t clock_wall_ms(void);
