/*
 * stamp - times as the administration protocol writes them: 07-11-2011_16:53:05, in UTC. What comes
 * without a time of day is its midnight.
 */
#pragma once

#include "common/base/buf.h"

/* 0 with seconds since 1970, or 1 when it is no such time. Years 1 to 9999. */
int stamp_parse(struct slice s, int64_t *ret_unix_s);

/* Of what lies outside of those years the nearest is written. */
void stamp_put(struct buf *b, int64_t unix_s);
