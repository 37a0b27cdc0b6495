/*
 * raw-private - the parts of raw: the log (raw-log.c), the index (raw-index.c), rows and bodies
 * (raw.c).
 *
 * Where the log has a gap before the index's checkpoint, changes may be missing in between. So rows
 * are kept in two maps: `hi` has what frames behind the last such gap said, and wins over the
 * index; `lo` has what frames before it said, and counts only where the index is lost, too.
 */
#pragma once

#include "common/engine/lmdb/lmdb-private.h"
#include "common/engine/raw.h"

struct raw {
	unsigned shard; /* its number; the first has the others */
	struct raw *part[ENGINE_SHARDS_MAX];
	unsigned n_parts; /* up to the last that was read; the first is part[0], itself */
	int dir_fd, lock_fd;
	struct raw_conf conf;
	struct raw_stats stats;
	uint64_t store_id;
	struct log_pos checkpoint; /* seq 0: not known */
	uint64_t replay_from; /* the log begins with this segment; older ones only keep bodies */
	struct map hi, lo, doubt;
	struct map strange; /* rows of the index that no frame has: value -> key */
	bool has_lo;        /* a gap before the checkpoint: the index is needed */
	bool has_index;     /* it can be read, at least in part */
	bool compared, index_damaged;
	int failed; /* -ENOMEM from inside a callback */
	/* the file that a body was read from last */
	struct body_file file;
	uint8_t *table;
	size_t table_n;
};

void raw_tell(struct raw *r, const struct raw_finding *f);
bool raw_keeps(const struct raw *r, struct slice encoded_key);
/* A row that nothing vouches for. */
int raw_put_doubt(struct raw *r, struct map *m, struct slice key, struct slice stored);

/* One shard, without others. */
int raw_open_one(int dir_fd, const struct raw_conf *conf, unsigned shard, struct raw **ret_r);
/* raw-shards.c: the others of the first. 0, ENGINE_BUSY or -ENOMEM. */
int raw_shards_open(struct raw *r);

int raw_log_read(struct raw *r);

/* raw-segment.c */
struct raw_numbers {
	uint64_t *v; /* owned, ascending */
	size_t n, cap;
};

/* A segment in memory. */
struct raw_segment {
	uint64_t no;
	uint8_t *p; /* owned; kept from one to the next */
	size_t n, cap;
	bool unreadable; /* in part: those blocks are zeros here */
	enum seg_rc head_rc;
	struct seg_head head;
};

int raw_segments_list(struct raw *r, struct raw_numbers *ret);
/* Store id and where the log begins. */
int raw_heads_read(struct raw *r, const struct raw_numbers *l);
int raw_segment_load(struct raw *r, struct raw_segment *s, uint64_t no);

int raw_index_meta(struct raw *r);    /* store id and checkpoint, where they can be read */
int raw_index_merge(struct raw *r);   /* into `hi`, after the log was read */
int raw_index_compare(struct raw *r); /* `hi` is the state at the checkpoint */
