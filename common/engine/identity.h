/*
 * identity - which directory is which shard of which store, so that a disk that is not mounted, or
 * mounted in another's place, is never taken for an empty shard.
 *
 * Shard 0 is the store's directory, shard k is "shard-k" below it. Each of several holds a file
 * "identity"; that of shard 0 says how many there are. Invariant: a shard is counted there only
 * when its own directory, its identity and its log are durable.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct identity {
	uint64_t store; /* the same in all shards of a store, in no other */
	unsigned shard;
	unsigned shards; /* in shard 0; else 0 */
};

/* 0; ENGINE_NOTFOUND: it has none (a store of one shard); ENGINE_CORRUPT; ENGINE_VERSION;
 * ENGINE_IO. */
int identity_read(int dir_fd, struct identity *ret_id) __attribute__((warn_unused_result));

/* Durable when it returns 0; ENGINE_FULL, ENGINE_IO. */
int identity_write(int dir_fd, const struct identity *id) __attribute__((warn_unused_result));

enum { SHARD_NAME_MAX = 16 };
void shard_dir_name(unsigned shard, char ret_name[SHARD_NAME_MAX]);

/*
 * The directory of shard k (1 ...) of this store, looked at: *ret_fd is the caller's. Else a word
 * for why not: "missing", "not-mounted" (a directory without identity), "other-store",
 * "other-shard", "empty" (its log is gone), "owner", "identity" (damaged), "newer-version", "io".
 * `with_log` false: a new one may have no log yet.
 */
const char *shard_dir_open(
    int store_fd, const struct identity *store, unsigned shard, bool with_log, int *ret_fd);
