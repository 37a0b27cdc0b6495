/*
 * raw - what lies in a store's directory, read without opening the store and without trust in any
 * byte of it: for a store that the engine refuses, and for looking at one that nobody has open.
 *
 * Invariant: nothing in the directory is written, made or removed. A row is told without `doubt`
 * only when a frame with a good sum has it, and nothing that is left contradicts it.
 *
 * One thread; everything blocks. The rows that `keep` lets through are held in memory.
 */
#pragma once

#include "common/engine/tail.h"

struct raw;

enum raw_what {
	RAW_GAP,        /* bytes of a segment are no frame */
	RAW_TAIL,       /* the same behind the last frame: a write that a crash cut, or damage */
	RAW_FRAMES,     /* frames are missing: first and count */
	RAW_SEGMENT,    /* a segment is missing, or cannot be read */
	RAW_HEADER,     /* a segment's header is damaged; its frames are read all the same */
	RAW_FOREIGN,    /* a segment of another store, passed over */
	RAW_INDEX,      /* the index cannot be read at all */
	RAW_INDEX_ROW,  /* a row or a page of the index is damaged */
	RAW_INDEX_ROWS, /* rows of the index are not what the log says: count */
	RAW_SHARD,      /* a shard is not there, or is refused: a word for why */
};

struct raw_finding {
	enum raw_what what;
	uint64_t segment, off, bytes; /* where it applies */
	uint64_t first, count;
	const char *why; /* a sentence, or NULL */
	unsigned shard;
};

/* Of a store that is in use: a shard behind the first. */
struct raw_shard {
	int dir_fd;
	struct tail_end until;
};

struct raw_conf {
	/* Is the row wanted? NULL: all are. */
	bool (*keep)(void *arg, struct slice group, struct slice key);
	void (*found)(void *arg, const struct raw_finding *f);
	void (*progress)(
	    void *arg, uint64_t bytes, uint64_t of_bytes); /* of the log; may be NULL */
	/* The log has a row, with changes lost behind it, and the index has another in its place,
	 * which no sum vouches for: is the index's the newer one? NULL: yes. */
	bool (*newer)(void *arg, struct slice key, struct slice of_log, struct slice of_index);
	void *arg;
	/* Only what lies before it is read, and the store is not locked: it may be in use. NULL:
	 * all. */
	const struct tail_end *until;
	/* With `until`: the other shards. Without it they are found in the directory. */
	const struct raw_shard *shards;
	unsigned n_shards;
	bool check_index; /* compare the index with the log even where the log suffices */
};

/* Reads log and index, of all shards; one that is not there is a finding. 0; ENGINE_NOTFOUND: there
 * is no store here; ENGINE_BUSY: a process has it open; ENGINE_VERSION; ENGINE_IO: the directory
 * cannot be read; -ENOMEM. `dir_fd` is duplicated. The store is locked until raw_close(), but for
 * `until`. */
int raw_open(int dir_fd, const struct raw_conf *conf, struct raw **ret_r)
    __attribute__((warn_unused_result));
void raw_close(struct raw **r);

struct raw_row {
	struct slice group, key, val; /* until raw_close() */
	struct engine_loc loc;
	bool has_loc;
	bool doubt; /* only a damaged frame or the index has it, or it may not be the last of its
		       key */
	unsigned shard; /* its group lies there */
	const void *at; /* raw's own */
};

/* The first row at or behind (group, key), in the order of groups and keys; false: none. */
bool raw_seek(struct raw *r, struct slice group, struct slice key, struct raw_row *ret_row);
/* The row behind `row`. */
bool raw_next(struct raw *r, const struct raw_row *row, struct raw_row *ret_row);
/* The row of exactly this key. */
bool raw_get(struct raw *r, struct slice group, struct slice key, struct raw_row *ret_row);

/* Nonzero stops, and is what raw_body() returns. */
typedef int raw_bytes_fn(void *arg, struct slice bytes);

/* All bytes of a body in order, in pieces, bad ones too (zeros where the disk gives nothing).
 * 0: every byte fits its sum; ENGINE_CORRUPT: not; ENGINE_NOTFOUND: no such place, nothing was
 * told; -ENOMEM. */
int raw_body(struct raw *r, const struct engine_loc *loc, raw_bytes_fn *fn, void *arg);

struct raw_stats {
	uint64_t segments, log_bytes, frames, gaps;
	uint64_t body_files, body_file_bytes;
	uint64_t index_bytes, rows;
	uint64_t last_frame;
};

/* The sums of all shards that were read; the last frame is the first shard's. */
void raw_stats(const struct raw *r, struct raw_stats *ret_s);
/* How many there are, up to the last that was read. */
unsigned raw_shards(const struct raw *r);
/* Of one of them; false: it was not read. */
bool raw_shard_stats(const struct raw *r, unsigned shard, struct raw_stats *ret_s);
