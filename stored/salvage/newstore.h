/*
 * newstore - what is left of a store as a new data directory, which a server can be started on.
 *
 * Invariant: every mailbox goes on behind any uid and modseq that the old store can have given out;
 * headers say what is there, and the index of threads is copied as far as it is left. Facts are
 * made anew when they are asked for, expunged messages are left behind, and messages that shared a
 * body have each their own.
 */
#pragma once

#include "stored/salvage/out.h"
#include "stored/salvage/walk.h"

struct newstore;

/* Makes the folder `store` below the target. 0 or negative. */
int newstore_open(struct out *o, struct model *m, struct report *rep, struct newstore **ret_n);
struct sink newstore_sink(struct newstore *n);
/* After the walk: accounts and names. 0 or negative. */
int newstore_finish(struct newstore *n);
void newstore_free(struct newstore **n);

/* threads-copy.c: the account's index of threads, as far as it is left. 0 or negative. */
int threads_copy(struct raw *raw, uint64_t account, struct engine *e);

/* All rows of a database without bodies (directory, secrets) into a new one. 0 or negative. */
int newstore_copy(struct out *o, int from_fd, const char *name, struct report *rep);
