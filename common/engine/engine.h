/*
 * engine - everything persistent: groups (ordered key/value maps) and bodies, in one store.
 *
 * Invariant: a batch is visible to reads, and answered ENGINE_OK, only after it is durable; batches
 * of one group take effect in the order of their commit calls, each wholly or not at all.
 *
 * One thread, the owner, calls everything here. Work is answered by callbacks, which run only
 * inside engine_dispatch(), never inside the call that started the work; the owner calls
 * engine_dispatch() when engine_fd() is readable. The functions named _now answer at once or say
 * ENGINE_AGAIN.
 *
 * Sandbox. engine_open() needs the directory's descriptor and /proc/self/fd (LMDB opens by path,
 * only then): call it before chroot, Landlock and seccomp, with conf.hold_threads, and never fork
 * afterwards. Walls hold for one thread and those it makes: engine_start() makes the threads,
 * inside. Root opens the store in the name of the directory's owner, so that all files are his.
 * Later it works below that descriptor only (Landlock: read, write, truncate, make and remove
 * regular files in it) with openat, unlinkat, fallocate, ftruncate, fsync, fdatasync, pread64,
 * pwrite64, preadv2, pwritev, writev, fstat, newfstatat, lseek, getdents64, read, write, close,
 * fcntl, futex, mmap, munmap, mremap, madvise, mincore, brk, clock_gettime, timerfd_settime,
 * getrandom, rt_sigprocmask, sched_yield, rseq, exit. It makes no socket and no process, and no
 * thread after engine_start(), but that a store that mends its shards (conf.mend) starts the threads
 * of one that is back, and opens its index there (fchdir, fcntl's locks).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/slice.h"

/* Answers. Negative values are our own faults (-errno), already logged. */
enum engine_rc {
	ENGINE_OK = 0,
	ENGINE_NOTFOUND, /* no such group, key or body */
	ENGINE_STALE, /* another open of this group took over: drop your state, nothing was stored
		       */
	ENGINE_CANCELLED, /* an earlier batch of this group failed before this one: nothing was
			     stored */
	ENGINE_UNKNOWN,   /* stored or not: close the group, open it again, compare
			     engine_group_batch() */
	ENGINE_FULL,      /* disk, map or quota of the store: nothing was stored, try later */
	ENGINE_TOOBIG,    /* beyond engine_limits() */
	ENGINE_CORRUPT,   /* this item's bytes fail their checksum; other items are not affected */
	ENGINE_IO,    /* device error: nothing was stored; the store recovers by itself or says so
			 in engine_health() */
	ENGINE_AGAIN, /* _now: would block, ask the asynchronous twin; body_append: wait for room */
	ENGINE_VERSION, /* open: the store was written by a newer version */
	ENGINE_BUSY,    /* open: another process has this store open */
	ENGINE_REBUILD, /* open beside others: the index must be made anew first */
};

const char *engine_rc_name(int rc);

struct engine;
struct engine_group;
struct engine_batch;
struct engine_body;

/* Opaque place of a durable body; compare and keep it as bytes, in host memory and in rows alike.
 */
struct engine_loc {
	uint8_t b[24];
};

struct engine_limits {
	size_t group_id_bytes, key_bytes, value_bytes;
	size_t batch_bytes;       /* encoded, without bodies */
	size_t batch_keys;        /* operations in one batch */
	unsigned commit_batches;  /* batches in one engine_commit() */
	unsigned scan_rows;       /* rows one scan answers at most, whatever the caller's limit */
	size_t body_read_bytes;   /* bytes one body read answers at most */
	size_t body_append_bytes; /* bytes one append takes at most */
	size_t body_buffered;     /* an upload holds at most this much memory, larger ones spill */
	bool commit_atomic; /* a commit of several batches is one atom; else it takes one batch
			       (commit_batches): use intents */
	bool bodies_shared; /* a second reference shares the bytes (else they are copied) */
	bool many_nodes;    /* other machines can open the same store */
};

/* Who opens a store, of several shards: a shard. */
enum engine_how {
	ENGINE_USUAL,  /* looks at the index, and makes it anew where it must */
	ENGINE_BESIDE, /* the others do not wait for it: ENGINE_REBUILD instead */
	ENGINE_UNSEEN, /* the same, without the look, which takes a process */
	ENGINE_ANEW, /* without the look; makes the index anew for somebody else, who opens next */
};

struct engine_conf {
	unsigned readers;     /* threads for cold reads; 0 = default (2) */
	size_t segment_bytes; /* log segment; 0 = default (64 MiB) */
	size_t overlay_bytes; /* changes held in memory before a checkpoint; 0 = default (16 MiB) */
	size_t log_max_bytes; /* log since the last checkpoint; 0 = default (64 MiB) */
	unsigned
	    checkpoint_ms;    /* longest time a change waits for a checkpoint; 0 = default (5000) */
	size_t map_bytes;     /* first map of the index, grows by doubling; 0 = default (256 MiB) */
	bool hold_threads;    /* engine_start() follows, before the store is asked for anything */
	size_t map_max_bytes; /* the index is full beyond this; 0 = no bound */
	uint64_t compact_bytes_s; /* pace of compaction; 0 = default (32 MiB/s) */
	uint64_t scrub_bytes_s;   /* pace of a scrub; 0 = default (16 MiB/s) */
	unsigned crashes; /* how often in a row this process has died of a bad access to memory */
	unsigned shard;   /* its number, where a shard is opened by itself: places say it */
	bool fresh_index; /* an operator asks: the index is made anew from the log */
	enum engine_how how; /* where a shard is opened by itself */
	/* Of several shards: one but the first that is damaged does not hold up the others, nor end
	 * the process; it is away meanwhile, is repaired, and comes back by itself. So does one
	 * that was away for what may pass, which is looked at every again_ms (0 = default, 1
	 * minute). */
	bool mend;
	unsigned again_ms;
	/* Any thread, but one at a time: makes the index of this shard anew, as
	 * engine_shard_rebuild() does, however long that takes; an ENGINE_* or -errno. NULL: it is
	 * done here. cancel: soon, for the store closes. */
	int (*rebuild)(void *arg, unsigned shard);
	void (*rebuild_cancel)(void *arg);
	void *rebuild_arg;
	/* During the open, often: segments of the log that were read, of those that will be (none
	 * while the index is looked at). */
	void (*progress)(void *arg, uint64_t done, uint64_t of);
	void *progress_arg;
};

enum engine_health {
	ENGINE_HEALTHY,
	ENGINE_RECOVERING,  /* a sync failed: commits answer ENGINE_IO until the tail is verified */
	ENGINE_INDEX_STUCK, /* checkpoints fail (disk full, map full): commits go on until the
			       overlay is full */
	ENGINE_BROKEN, /* only a restart helps: reads may still work, commits answer ENGINE_IO */
};

/*
 * Shards. "3*lmdb" is a store of three shards, each an engine with threads, log and syncs of its
 * own (docs/engine.md, "Shards"). A group lies in one of them, which whoever opens it says, and
 * must know again: engine_group_open() with ENGINE_IN(number). A body lies where the first row that
 * refers to it is; a row in another shard gets a copy. One commit takes batches of one shard.
 */
enum { ENGINE_SHARDS_MAX = 16 };

/*
 * Opens the store that `spec` names: "lmdb" (below dir_fd, which is duplicated) or "mem" with
 * optional faults, "mem:delay_ms=2,unknown=50" (see engine_faults; dir_fd may be -1). Both are for
 * tests an engine that has no atom over groups with "mem:one_group=1", "lmdb:one_group=1". "N*" in
 * front: of N shards, or of as many as it has already, if those are more. `conf` may be NULL.
 * Creates an empty store where there is none. ENGINE_CORRUPT: acknowledged changes are
 * damaged, the store needs repair and is left as it is. ENGINE_VERSION, ENGINE_BUSY, ENGINE_FULL,
 * ENGINE_IO, -EINVAL (spec).
 */
int engine_open(const char *spec, int dir_fd, const struct engine_conf *conf, struct engine **ret_e)
    __attribute__((warn_unused_result));

/* After an open with hold_threads: 0 or -errno. Without it, and on a memory store, nothing happens.
 */
int engine_start(struct engine *e) __attribute__((warn_unused_result));

/* Waits for commits in flight, drops their callbacks, checkpoints, frees. Groups, batches and
 * bodies must have been freed before. Sets *e to NULL. */
void engine_close(struct engine **e);

/* Readable when engine_dispatch() has something to do. Stays owned by the engine. */
int engine_fd(const struct engine *e);

/* Runs the callbacks that are due, at most `max` (0: all that are due now). Returns how many. Not
 * to be called from a callback. */
unsigned engine_dispatch(struct engine *e, unsigned max);

const struct engine_limits *engine_limits(const struct engine *e);
enum engine_health engine_health(const struct engine *e);

/* How many shards; 1: it has none. */
unsigned engine_shards(const struct engine *e);
/* NULL: it is there. A word why it is not: then every call for its groups answers IO. Those of the
 * others go on. */
const char *engine_shard_away(const struct engine *e, unsigned shard);
/* Looks now at those that are away, if they are mended. False: only a new start does. */
bool engine_mend(struct engine *e);
/* A shard that nobody has open, in the store at `dir_fd`: its index is made anew if it is damaged,
 * from where that was left, and the shard is closed again. OK, CORRUPT (the log is damaged, or that
 * was done too often lately), FULL, IO, BUSY, NOTFOUND (it is not there). */
int engine_shard_rebuild(int dir_fd, unsigned shard, void (*progress)(void *, uint64_t, uint64_t),
    void *arg) __attribute__((warn_unused_result));
/* From now on a death by a bad access to memory says which shard's index was being read, if one
 * was: the next start makes that one anew, and trusts the others. */
void engine_blame_signals(void);
/* One of them, for engine_health(), engine_stats(), engine_peek() and all of "space" below. */
struct engine *engine_shard(const struct engine *e, unsigned shard);

/* ---- groups ---- */

typedef void engine_done_fn(void *arg, int rc);
typedef void engine_group_fn(void *arg, int rc, struct engine_group *take_group);

enum {
	ENGINE_CREATE = 1, /* open: a group without a header is an empty group, not NOTFOUND */
	ENGINE_IN_SHIFT = 8,
};
/* open: in this shard; else in the first */
#define ENGINE_IN(shard) ((unsigned)(shard) << ENGINE_IN_SHIFT)

/*
 * Opens a group for one owner. `id`: 1 to limits.group_id_bytes bytes. `epoch` of a cluster's
 * owner, 0 on one machine; lower than the stored one is ENGINE_STALE. Earlier opens of the same
 * group get ENGINE_STALE from then on. Nothing is written until the first batch. Each group handle
 * is closed by the caller.
 */
void engine_group_open(struct engine *e, struct slice id, uint64_t epoch, unsigned flags,
    engine_group_fn *done, void *arg);
int engine_group_open_now(struct engine *e, struct slice id, uint64_t epoch, unsigned flags,
    struct engine_group **ret_group) __attribute__((warn_unused_result));

/* Commits in flight go on; their callbacks still come. Reads in flight answer too. */
void engine_group_close(struct engine_group **g);

/* Header as of the last answered commit: batches ever committed, and the id of the last of them. */
uint64_t engine_group_seq(const struct engine_group *g);
uint64_t engine_group_batch(const struct engine_group *g);

/*
 * Compaction takes bodies to other places, and a row that was to refer to one of another shard gets
 * a copy. From a callback of engine_dispatch(), for a copy behind that of the commit: the row `key`
 * of this group refers to its body at `to` from now on, not at `from`. Whoever keeps places in
 * memory changes them there. A place that somebody else still holds, a copy or a read under way, is
 * good until the end of the next compaction; later it is ENGINE_NOTFOUND, from reads and commits
 * alike, and the row must be read again. Ends with the handle.
 */
typedef void engine_moved_fn(
    void *arg, struct slice key, const struct engine_loc *from, const struct engine_loc *to);
void engine_group_on_moved(struct engine_group *g, engine_moved_fn *fn, void *arg);

/* ---- batches: filled without I/O, copied bytes ---- */

/* NULL when memory is out. Freed by engine_commit() or engine_batch_free(). */
struct engine_batch *engine_batch_new(struct engine_group *g);
void engine_batch_free(struct engine_batch **b);

/* Later operations of a batch see and override earlier ones. 0, ENGINE_TOOBIG, -ENOMEM. */
int engine_put(struct engine_batch *b, struct slice key, struct slice val)
    __attribute__((warn_unused_result));
int engine_del(struct engine_batch *b, struct slice key) __attribute__((warn_unused_result));
/* Deletes from <= key < to; an empty `to` means the end of the group. */
int engine_del_range(struct engine_batch *b, struct slice from, struct slice to)
    __attribute__((warn_unused_result));

/* The whole group, header included: unless more is put into the batch, the group is gone then, and
 * an open without ENGINE_CREATE says ENGINE_NOTFOUND. */
int engine_del_group(struct engine_batch *b) __attribute__((warn_unused_result));

/* A row that refers to a body: the reference, not a counter, keeps the body alive. */
int engine_put_body(struct engine_batch *b, struct slice key, struct slice val,
    struct engine_body *body) __attribute__((warn_unused_result)); /* durable with the commit */
int engine_put_ref(
    struct engine_batch *b, struct slice key, struct slice val, const struct engine_loc *loc)
    __attribute__((warn_unused_result)); /* body_ref: already durable */

/* The batch's own id, never used again by this store: see ENGINE_UNKNOWN. */
uint64_t engine_batch_id(const struct engine_batch *b);

/*
 * Intents: one group can hold what is to be done in others. engine_note() puts a row into `into`
 * for each operation of `b`, under `prefix` (up to 32 bytes) and a number that grows from *io_n;
 * what is a reference to a body in `b` is one in the row. engine_redo() puts into a batch what such
 * a row says, and needs the length of its prefix. 0, ENGINE_TOOBIG, -ENOMEM; redo: ENGINE_CORRUPT
 * for what is no such row.
 */
struct engine_row;
int engine_note(struct engine_batch *into, struct slice prefix, uint32_t *io_n,
    const struct engine_batch *b) __attribute__((warn_unused_result));
int engine_redo(struct engine_batch *into, const struct engine_row *row, size_t prefix_n)
    __attribute__((warn_unused_result));

/* The id of its group; lives as long as the batch. */
struct slice engine_batch_group(const struct engine_batch *b);
unsigned engine_batch_shard(const struct engine_batch *b);
/* One commit may take these: limits.commit_batches allows as many, or they are of one shard. */
bool engine_may_commit(const struct engine *e, struct engine_batch *const *batches, unsigned n);
/* Nothing follows engine_del_group(). */
bool engine_batch_ends_group(const struct engine_batch *b);

/*
 * Commits n batches (each of another group), as many as engine_may_commit(), as one atom, and
 * takes them. One answer: OK, STALE, CANCELLED, UNKNOWN, FULL, TOOBIG, IO, NOTFOUND (a row refers
 * to a body that has gone), CORRUPT (to one of another shard that cannot be copied). When a batch
 * fails, every batch of its groups that was handed in before the failure's callback ran gets
 * CANCELLED; from inside that callback on, new batches are accepted. After UNKNOWN or STALE the
 * group must be closed and opened again.
 */
void engine_commit(struct engine *e, struct engine_batch **take_batches, unsigned n,
    engine_done_fn *done, void *arg);

/* ---- reads: committed state only ---- */

struct engine_row {
	struct slice key, val;
	struct engine_loc loc;
	bool has_loc;
};

/* Bytes are valid inside the callback only. `more`: the scan stopped at its limit, go on behind the
 * last key. An empty scan answers OK with n = 0. */
typedef void engine_rows_fn(void *arg, int rc, const struct engine_row *rows, size_t n, bool more);
typedef void engine_data_fn(void *arg, int rc, struct slice data);

void engine_get(struct engine_group *g, struct slice key, engine_rows_fn *done, void *arg);
/* Rows with from <= key < to in order; an empty `to` means the end. limit 0: limits.scan_rows. */
void engine_scan(struct engine_group *g, struct slice from, struct slice to, unsigned limit,
    engine_rows_fn *done, void *arg);

/* As engine_get(), from a group that somebody else may have open. */
void engine_peek(
    struct engine *e, struct slice group_id, struct slice key, engine_rows_fn *done, void *arg);

/* Answers from memory: OK, NOTFOUND, AGAIN, IO. The callback (not called on AGAIN and on a get's
 * NOTFOUND) runs inside the call; it must not call the engine. */
int engine_get_now(struct engine_group *g, struct slice key, engine_rows_fn *row, void *arg)
    __attribute__((warn_unused_result));
int engine_scan_now(struct engine_group *g, struct slice from, struct slice to, unsigned limit,
    engine_rows_fn *rows, void *arg) __attribute__((warn_unused_result));

/* ---- bodies ---- */

/*
 * An upload is begun, appended to, ended, then put into batches (any number of rows and groups,
 * also in one commit), then let go. `size_hint`: expected bytes or 0. `room` is called after an
 * append said ENGINE_AGAIN, when the next may succeed. NULL when memory is out.
 */
struct engine_body *engine_body_begin(
    struct engine *e, uint64_t size_hint, engine_done_fn *room, void *arg);

/* It will be wanted in this group, at least: a large one is written to that shard. Before the first
 * append. */
void engine_body_near(struct engine_body *b, const struct engine_group *g);

/* Takes all of `data` or nothing. AGAIN, TOOBIG (limits.body_append_bytes), FULL,
 * IO. */
int engine_body_append(struct engine_body *b, struct slice data)
    __attribute__((warn_unused_result));

/* From now on its chunks may be kept in fewer bytes, where that is worth it: a matter of the disk,
 * no read and no size changes. Before engine_body_end(). */
void engine_body_pack(struct engine_body *b);

/* No more bytes. OK: ready for batches now, `done` is not called. AGAIN: ready when `done` says OK
 * (a spilled body is being made durable, another one packed). FULL, IO. */
int engine_body_end(struct engine_body *b, engine_done_fn *done, void *arg)
    __attribute__((warn_unused_result));

uint64_t engine_body_bytes(const struct engine_body *b);

/* Where a body is, after a commit with it was answered OK. NOTFOUND before. */
int engine_body_loc(const struct engine_body *b, struct engine_loc *ret_loc)
    __attribute__((warn_unused_result));
/* The same for rows of this group: in its shard. */
int engine_body_loc_in(const struct engine_body *b, const struct engine_group *g,
    struct engine_loc *ret_loc) __attribute__((warn_unused_result));

/* Lets go of an upload in any state (batches hold their own hold on it). Cancels its callbacks. An
 * upload without a committed row leaves nothing behind, after a crash at the next open at the
 * latest. */
void engine_body_free(struct engine_body **b);

uint64_t engine_loc_bytes(const struct engine_loc *loc);
/* Bytes of the store's files, with checksums: fewer than the body has if it was packed. */
uint64_t engine_loc_stored(const struct engine_loc *loc);
bool engine_loc_packed(const struct engine_loc *loc);

/* At most limits.body_read_bytes from `off`, fewer at the end of the body; off = size answers OK
 * and no bytes. The bytes have been checked against the body's checksum: CORRUPT is this body's own
 * damage. Reads of whole multiples of 64 KiB at multiples of 64 KiB are cheapest. NOTFOUND, IO. */
void engine_body_read(struct engine *e, const struct engine_loc *loc, uint64_t off, size_t len,
    engine_data_fn *done, void *arg);
/* Into the caller's buffer, or AGAIN when the bytes are not in memory. */
int engine_body_read_now(struct engine *e, const struct engine_loc *loc, uint64_t off, void *buf,
    size_t len, size_t *ret_n) __attribute__((warn_unused_result));

/* ---- faults, memory engine only ---- */

/* "1 in N" where not said otherwise; 0 = never. All runs are reproducible by `seed`. */
struct engine_faults {
	uint64_t seed;
	unsigned delay_ms;  /* each answer waits 0..delay_ms */
	unsigned again;     /* _now calls that answer AGAIN */
	bool reorder;       /* answers of different groups overtake each other */
	unsigned unknown;   /* commits answered UNKNOWN, stored or not as the seed decides */
	unsigned full;      /* commits and appends answered FULL */
	unsigned io;        /* commits and reads answered IO */
	unsigned corrupt;   /* body reads answered CORRUPT */
	uint64_t max_bytes; /* FULL once the store holds more than this; 0 = no bound */
	/* Commits that are still tried; all later ones are answered IO, as after the death of the
	 * process the store is what the earlier ones made it. 0 = no bound. */
	uint64_t last_commits;
	bool one_group; /* at the open only: commits take one batch, limits say so */
};

/* -ENOTSUP on other engines. Takes effect on calls from now on. */
int engine_faults_set(struct engine *e, const struct engine_faults *f);

/* The part of a spec behind "mem:": "delay_ms=2,unknown=50,reorder=1". -EINVAL. */
int engine_faults_parse(const char *text, struct engine_faults *ret_f);

/* ---- space ---- */

/*
 * Walks all rows and finds out what lives: the figures of engine_stats(). OK, FULL, IO, CORRUPT;
 * CANCELLED when the store closes. One runs at a time, further requests wait.
 */
void engine_measure(struct engine *e, engine_done_fn *done, void *arg);

/* From when on giving space back pays: of both at least so much does not live. */
struct engine_compact_when {
	unsigned dead_percent; /* of the files' bytes */
	uint64_t dead_bytes;
};

/*
 * Measures, and where it pays (`when`; NULL: always) gives back the space of what does not live. In
 * the background; commits and reads go on and come first, also for the last free space of the disk.
 * The same answers; CORRUPT: a row cannot be read, and all stays as it is. A pass that was broken
 * off has lost nothing and may be asked for again.
 */
void engine_compact(
    struct engine *e, const struct engine_compact_when *when, engine_done_fn *done, void *arg);

/* What a scrub found; slices are valid inside the callback only. */
struct engine_damage {
	enum engine_damage_kind {
		ENGINE_DAMAGED_BODY, /* the row `key` of `group` refers to it */
		ENGINE_DAMAGED_ROW,  /* as far as `group` and `key` can be read */
		ENGINE_DAMAGED_LOG,  /* a frame at `off` of the log's file `no`: the next pass of
					compaction writes its rows again */
	} kind;
	struct slice group, key;
	uint64_t no, off;
};
typedef void engine_damage_fn(void *arg, const struct engine_damage *d);

/*
 * Reads everything, at its own pace: the log, all rows, all bodies that rows refer to, each against
 * its checksum. `found` is called for each damaged item, before `done`: OK (the scrub came to its
 * end, whatever it found), IO, CANCELLED.
 */
void engine_scrub(struct engine *e, engine_damage_fn *found, engine_done_fn *done, void *arg);

/* Bytes a second of compaction and of scrubs, from now on; 0: as it is. */
void engine_pace(struct engine *e, uint64_t compact_bytes_s, uint64_t scrub_bytes_s);

/* ---- figures for the operator ---- */

struct engine_stats {
	uint64_t commits, frames, frame_bytes, syncs, checkpoints, checkpoint_rows;
	uint64_t overlay_rows, overlay_bytes, replayed_frames, cut_bytes;
	uint64_t reads_now, reads_pool, sync_failures;
	uint64_t frame_largest; /* bytes: what a commit may need in memory, all at once */
	/* Checkpoints since another process began to read the index, whose freed pages wait for it;
	 * 0: nobody does. Of several shards the largest. */
	uint64_t reader_lag;
	/* Of the last measure; zeros before the first. */
	uint64_t measures, file_bytes, live_bytes, live_bodies_bytes, rows, segments, body_files;
	uint64_t body_raw_bytes, body_stored_bytes; /* of living bodies: theirs, and the files' */
	uint64_t index_damaged;  /* rows and pages of the index that were found damaged */
	uint64_t index_rebuilds; /* 1: the index was made anew when the store was opened */
	uint64_t index_bytes;
	uint64_t compactions, compactions_failed, moved_bytes, moved_rows, dropped_files;
	/* What the compactor does now, and how far it is. */
	enum engine_chore {
		ENGINE_CHORE_NONE,
		ENGINE_CHORE_MEASURE,
		ENGINE_CHORE_COMPACT,
		ENGINE_CHORE_SCRUB,
	} chore;
	uint64_t chore_done, chore_total; /* bytes; about */
	/* Of the scrub that runs, or of the last one; damaged_: how many items. */
	int64_t scrubbed_s; /* the end of the last one, wall clock, also of an earlier process */
	uint64_t scrubs, scrub_bytes, damaged_bodies, damaged_rows, damaged_frames;
};

void engine_stats(const struct engine *e, struct engine_stats *ret_s);
