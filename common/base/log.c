#include "common/base/log.h"

#include "common/base/buf.h"
#include "common/base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	LOG_LINE_MAX = 2000,
	LOG_VALUE_MAX = 400,
	LOG_RATE_PER_S = 500,
};

static struct {
	int fd, level;
	bool packets;
	uint64_t sid;
	int64_t window_s;
	unsigned in_window;
	uint64_t dropped, dropped_ever;
} lg = { .fd = STDERR_FILENO, .level = LOG_INFO };

/* Threads of a process (the engine's) log, too. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static const char *const level_names[] = {
	[LOG_EMERG] = "emergency",
	[LOG_ALERT] = "alert",
	[LOG_CRIT] = "critical",
	[LOG_ERR] = "error",
	[LOG_WARNING] = "warning",
	[LOG_NOTICE] = "notice",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
};

void log_init(int fd, bool packets, int level)
{
	lg.fd = fd;
	lg.packets = packets;
	lg.level = level;
}

int log_fd(void)
{
	return lg.fd;
}

uint64_t log_dropped(void)
{
	return lg.dropped_ever;
}

static void drop(void)
{
	lg.dropped++;
	lg.dropped_ever++;
}

void log_set_sid(uint64_t sid)
{
	lg.sid = sid;
}

const char *log_level_name(int level)
{
	return level >= 0 && level <= LOG_DEBUG ? level_names[level] : "unknown";
}

int log_level_parse(struct slice word)
{
	for (int i = 0; i <= LOG_DEBUG; i++)
		if (slice_ieq(word, slice_str(level_names[i])))
			return i;
	return -1;
}

static bool is_plain(uint8_t c)
{
	return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '=';
}

static void put_value(struct buf *b, struct slice s)
{
	bool quote = s.n == 0;
	bool cut = s.n > LOG_VALUE_MAX;

	if (cut)
		s.n = LOG_VALUE_MAX;
	for (size_t i = 0; i < s.n && !quote; i++)
		quote = !is_plain(s.p[i]);
	if (!quote) {
		buf_put(b, s);
	} else {
		buf_putc(b, '"');
		for (size_t i = 0; i < s.n; i++) {
			uint8_t c = s.p[i];

			if (c == '"' || c == '\\')
				buf_printf(b, "\\%c", c);
			else if (c < ' ' || c >= 0x7f)
				buf_printf(b, "\\x%02x", c);
			else
				buf_putc(b, c);
		}
		buf_putc(b, '"');
	}
	if (cut)
		buf_puts(b, "...");
}

static void put_kv(struct buf *b, const struct log_kv *kv)
{
	buf_printf(b, " %s=", kv->key);
	switch (kv->kind) {
	case KV_U64:
		buf_printf(b, "%llu", (unsigned long long)kv->v.u);
		break;
	case KV_SID:
		buf_printf(b, "%llx-%llx", (unsigned long long)(kv->v.u >> 32),
		    (unsigned long long)(kv->v.u & 0xffffffff));
		break;
	case KV_I64:
		buf_printf(b, "%lld", (long long)kv->v.i);
		break;
	case KV_ERRNO:
		put_value(b, slice_str(strerror(abs((int)kv->v.i))));
		break;
	default:
		put_value(b, kv->v.str);
	}
}

static void put_u64le(struct buf *b, uint64_t v)
{
	uint8_t raw[8];

	for (int i = 0; i < 8; i++)
		raw[i] = (uint8_t)(v >> (8 * i));
	buf_put(b, slice_of(raw, sizeof(raw)));
}

/*
 * A packet is one byte of level, the session id claimed (u64, little endian), then the text. The
 * sink never makes us wait: a full channel drops the line.
 */
static void emit(int level, struct slice text)
{
	struct buf out = BUF_INIT(LOG_LINE_MAX + 32);

	if (lg.packets) {
		buf_putc(&out, (uint8_t)level);
		put_u64le(&out, lg.sid);
		buf_put(&out, text);
		if (send(lg.fd, out.p, out.n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			drop();
	} else {
		buf_printf(&out, "%s ", log_level_name(level));
		buf_put(&out, text);
		buf_putc(&out, '\n');
		if (write(lg.fd, out.p, out.n) < 0)
			drop();
	}
	buf_fini(&out);
}

static bool rate_allows(int level)
{
	int64_t now_s = clock_mono_ms() / 1000;
	uint64_t dropped = lg.dropped;
	char line[64];

	if (now_s != lg.window_s) {
		lg.window_s = now_s;
		lg.in_window = 0;
		if (dropped > 0) {
			lg.dropped = 0;
			snprintf(line, sizeof(line), "log.dropped count=%llu",
			    (unsigned long long)dropped);
			emit(LOG_WARNING, slice_str(line));
		}
	}
	if (level < LOG_NOTICE || lg.in_window++ < LOG_RATE_PER_S)
		return true;
	drop();
	return false;
}

void log_event(int level, const char *event, const struct log_kv *kv)
{
	int keep = errno;
	struct buf b = BUF_INIT(LOG_LINE_MAX);
	bool audit = (level & LOG_AUDIT) != 0;

	level &= ~LOG_AUDIT;
	if (level > lg.level)
		return;
	buf_puts(&b, event);
	for (; kv->kind != KV_END; kv++)
		put_kv(&b, kv);
	pthread_mutex_lock(&lock);
	if (rate_allows(audit ? LOG_WARNING : level))
		emit(level, buf_slice(&b));
	pthread_mutex_unlock(&lock);
	buf_fini(&b);
	errno = keep;
}
