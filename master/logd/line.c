#include "master/logd/sink.h"

#include "common/base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

uint64_t sink_judge(uint64_t attached, uint64_t claimed)
{
	if (attached == 0)
		return claimed;
	if ((attached & 0xffffffff) != 0)
		return attached;
	return claimed >> 32 == attached >> 32 ? claimed : 0;
}

unsigned sink_lines_per_s(uint64_t attached)
{
	return (attached & 0xffffffff) != 0 ? SINK_CONN_LINES_PER_S : SINK_LINES_PER_S;
}

static void put_time(struct buf *out, int64_t wall_ms)
{
	time_t wall_s = (time_t)(wall_ms / 1000);
	struct tm tm;

	gmtime_r(&wall_s, &tm);
	buf_printf(out, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ ", tm.tm_year + 1900, tm.tm_mon + 1,
	    tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(wall_ms % 1000));
}

void sink_line(
    struct buf *out, int64_t wall_ms, const char *name, uint64_t sid, int level, struct slice text)
{
	if (wall_ms < 0)
		buf_printf(out, "<%d>", level);
	else
		put_time(out, wall_ms);
	buf_printf(out, "%s %s", name, log_level_name(level));
	if (sid != 0)
		buf_printf(out, " sid=%" PRIx64 "-%" PRIx64, sid >> 32, sid & 0xffffffff);
	buf_putc(out, ' ');
	/* An honest process escapes what it writes; this is for the others. */
	for (size_t i = 0; i < text.n; i++)
		buf_putc(out, text.p[i] >= ' ' && text.p[i] < 0x7f ? text.p[i] : '?');
	buf_putc(out, '\n');
}
