/*
 * tally - how often accounts and domains were asked for: as recipients of mail, and by logins. In
 * memory alone, for those that were asked for at all; numbers of both are of one count, so one map
 * has them all.
 */
#pragma once

#include "routerd/directory.h"

struct tally {
	int64_t
	    since_s; /* wall clock: the first thing counted, or when it was begun anew; 0: never */
	uint64_t recipients, logins;
};

/* For the account and for its domain. Without memory nothing is counted. */
void tally_recipient(struct directory *d, const struct object *account);
void tally_login(struct directory *d, const struct object *account);
struct tally tally_of(const struct directory *d, uint64_t id);
/* Counts anew. 0 or -ENOMEM. */
int tally_reset(struct directory *d, uint64_t id);
void tally_forget(struct directory *d, uint64_t id);
void tallies_free_all(struct directory *d);
