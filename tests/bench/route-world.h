/*
 * route-world - what the measurements of routing are made on: domains of 100 accounts with two
 * aliases each and one local address, and a Router table. Also what both measuring
 * programs share.
 */
#pragma once

#include "routerd/directory.h"

#include <sys/types.h>

enum { WORLD_ACCOUNTS = 100, WORLD_ALIASES = 2, WORLD_RECORDS = 10000 };

uint64_t world_now_ns(void);
/* What a process has used of a processor, which other programs' load does not change. */
uint64_t world_cpu_ns(pid_t pid);
double world_rss_mib(void);
/* Ends the program with the text unless `ok`. */
void world_must(bool ok, const char *what);

/* Domains d0.example, d1.example ...; the first is the Main Domain. */
void world_fill(struct directory *d, unsigned domains);
/* `wild` of so many records have a wildcard for any domain, 9 % more one for one domain. Compiled
 * in the steps of routerd; how long the longest of them took. */
double world_table(struct directory *d, unsigned records, unsigned wild);

/* In place; the value that this part (in thousandths) of them does not exceed, in microseconds. */
void world_sort(uint32_t *ns, size_t n);
double world_us(const uint32_t *ns, size_t n, unsigned thousandths);
