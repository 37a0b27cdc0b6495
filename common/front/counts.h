/*
 * counts - who is connected: a number per address, and the process that serves each connection.
 *
 * An IPv6 client is counted by its /64, which is what one subscriber has. Memory grows with the
 * connections, which the caller limits.
 */
#pragma once

#include "common/base/addr.h"

struct counts;

struct counts *counts_new(void);
void counts_free(struct counts **c);

unsigned counts_total(const struct counts *c);
unsigned counts_of(const struct counts *c, const struct addr *a);

/* One more connection, known by `key` (a pid, or a session id): 0 or -ENOMEM. */
int counts_add(struct counts *c, uint64_t key, const struct addr *a);

/* The same with a tag below COUNTS_TAGS, 0 without. How many connections have a tag. */
enum { COUNTS_TAGS = 256 };
int counts_add_tagged(struct counts *c, uint64_t key, const struct addr *a, unsigned tag);
unsigned counts_tagged(const struct counts *c, unsigned tag);

/* It is over: true, or false when `key` is not known. */
bool counts_remove(struct counts *c, uint64_t key);

/* Calls `each` for every key; `each` changes nothing here. */
void counts_each(const struct counts *c, void (*each)(void *arg, uint64_t key), void *arg);
