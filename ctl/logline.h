/*
 * logline - one line of the log taken apart: time, process, level, session, event, keys.
 *
 * Pure. Values that strangers chose are in quotes and escaped (common/base/log.h), so that a key
 * inside of one is none; nothing here takes such text for a key.
 */
#pragma once

#include "common/base/buf.h"

struct logline {
	struct slice time; /* empty when the line has none */
	struct slice process, level, sid, event;
	struct slice keys; /* the rest, for logline_key() */
};

/* False when it is no line of the suite's log (of a start that failed, of another program). */
bool logline_parse(struct slice line, struct logline *ret);

/* The next key and its value as written, quotes and escapes included; false at the end. */
bool logline_key(struct slice *keys, struct slice *ret_key, struct slice *ret_raw);

/* What a value stands for. */
void logline_value(struct slice raw, struct buf *out);

/* The value of a key is this text. */
bool logline_is(const struct logline *l, const char *key, struct slice text);
