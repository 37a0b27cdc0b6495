/*
 * log - one event per fact: a name, then key=value.
 *
 *     log_ev(LOG_NOTICE, "auth.refused", kv_str("user", name), kv_s("why", "password"));
 *
 * Names and keys are listed in events.def. Values are escaped here, so that nothing a stranger sent
 * can forge a line. Time, process and session id are stamped by the sink at the other end of the
 * descriptor, not by the process that logs. What a stranger can cause is at most LOG_NOTICE, and
 * lines of that level are rate-limited here: the limit's victims are counted in log.dropped.
 */
#pragma once

#include "common/base/slice.h"

#include <syslog.h>

enum log_kv_kind { KV_END, KV_STR, KV_U64, KV_I64, KV_ERRNO, KV_SID };

struct log_kv {
	const char *key;
	enum log_kv_kind kind;
	union {
		struct slice str;
		uint64_t u;
		int64_t i;
	} v;
};

static inline struct log_kv kv_str(const char *key, struct slice s)
{
	return (struct log_kv){ .key = key, .kind = KV_STR, .v.str = s };
}

static inline struct log_kv kv_s(const char *key, const char *s)
{
	return kv_str(key, slice_str(s != NULL ? s : ""));
}

static inline struct log_kv kv_u(const char *key, uint64_t u)
{
	return (struct log_kv){ .key = key, .kind = KV_U64, .v.u = u };
}

static inline struct log_kv kv_i(const char *key, int64_t i)
{
	return (struct log_kv){ .key = key, .kind = KV_I64, .v.i = i };
}

/* A session id, as the sink writes them, so that one search finds all lines of a session. */
static inline struct log_kv kv_sid(const char *key, uint64_t sid)
{
	return (struct log_kv){ .key = key, .kind = KV_SID, .v.u = sid };
}

/* An errno value, positive or negative, as its text. */
static inline struct log_kv kv_err(const char *key, int err)
{
	return (struct log_kv){ .key = key, .kind = KV_ERRNO, .v.i = err };
}

/*
 * With LOG_AUDIT a line passes the limit of this process: for what administrators did. Never for
 * what a stranger can cause.
 */
enum { LOG_AUDIT = 1 << 8 };

#define log_ev(level, event, ...) \
	log_event(level, event, (const struct log_kv[]){ __VA_ARGS__ __VA_OPT__(, ){ 0 } })

/*
 * Where lines go: the SOCK_SEQPACKET channel to the sink when `packets`, else plain lines (stderr
 * of a tool or of a process before it has a channel). The fd stays the caller's. Lines above
 * `level` are not made.
 */
void log_init(int fd, bool packets, int level);
int log_fd(void);

/* Lines of this process that were left out since its start. */
uint64_t log_dropped(void);

/* The session id that goes with following lines, 0 for none. The sink checks the claim. */
void log_set_sid(uint64_t sid);

void log_event(int level, const char *event, const struct log_kv *kv);

/* "notice" for LOG_NOTICE and so on; the reverse is -1 for an unknown word. */
const char *log_level_name(int level);
int log_level_parse(struct slice word);
