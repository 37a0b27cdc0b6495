/*
 * alerts - short texts for the people of the server, a domain or one account, until an
 * administrator takes them away. Pure.
 *
 * Invariant: the times of a holder's alerts are all different, so that a time names one of them.
 * What belonged to an account or domain that is no more goes from the disk with it; in memory it
 * stays with its number, which nobody gets again, until the next start.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/wire.h"
#include "routerd/limits.h"

#include <uthash.h>

enum alert_scope { ALERT_SERVER = 1, ALERT_DOMAIN = 2, ALERT_ACCOUNT = 3 }; /* on disk */
enum { ALERT_SCOPES = 3 };

struct alert {
	int64_t time_s;
	char *text;
};

/* Those of one holder. */
struct alerts {
	uint8_t key[9]; /* enum alert_scope, u64 id big endian; the server has 0 */
	bool in_flow;   /* a change of them is on its way to the disk */
	struct alert v[ALERTS_MAX];
	size_t n;
	UT_hash_handle hh;
};

/* The holder's, NULL when it has none or without memory. */
struct alerts *alerts_find(struct alerts *all, enum alert_scope scope, uint64_t id);
struct alerts *alerts_make(struct alerts **all, enum alert_scope scope, uint64_t id);

/* One more; 0, 1 when there are too many, 2 when the text is none, -ENOMEM. */
int alerts_add(struct alerts *a, int64_t time_s, struct slice text);
/* False: there is none of this text, or of this time when it is not 0. */
bool alerts_remove(struct alerts *a, struct slice text, int64_t time_s);

/* Copies what `from` holds in place of what `to` holds; 0 or -ENOMEM. */
int alerts_copy(struct alerts *to, const struct alerts *from);
void alerts_clear(struct alerts *a);
void alerts_free_all(struct alerts **all);

/* The time of the newest, 0: there is none. */
int64_t alerts_newest(const struct alerts *a);
/* The time under which this text stands there, 0: it does not. */
int64_t alerts_time_of(const struct alerts *a, struct slice text);

/* The newest that an account was shown, by scope; what is newer it was not shown. */
struct shown {
	uint64_t account;
	int64_t upto[ALERT_SCOPES];
	UT_hash_handle hh;
};

struct shown *shown_find(struct shown *all, uint64_t account);
/* NULL without memory. */
struct shown *shown_make(struct shown **all, uint64_t account);
void shown_forget(struct shown **all, uint64_t account);
void shown_free_all(struct shown **all);

/* As a row of the directory. */
void alerts_put(const struct alerts *a, struct buf *value);
bool alerts_get(struct alerts *a, struct wire_reader *value);
