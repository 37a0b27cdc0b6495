/*
 * lmdb-private - the parts of the LMDB engine: the shard's log, the overlay, the index in LMDB, the
 * pool.
 *
 * Threads: the owner (calls), the committer (log, and writes to the overlay), the checkpointer
 * (writes to LMDB), and the pool (cold reads, spilled bodies). Lock order: rows_lock, map_lock,
 * then any mutex; rows_lock guards `active`, `frozen` and `applied`, map_lock keeps transactions
 * away while the map grows.
 */
#pragma once

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/uio.h>
#include <sys/vfs.h>

#include "common/engine/engine-private.h"
#include "common/engine/lmdb/compact.h"
#include "common/engine/lmdb/frame.h"
#include "common/engine/lmdb/guard.h"
#include "common/engine/lmdb/moving.h"
#include "common/engine/lmdb/sums.h"
#include "common/engine/map.h"

/* System calls that a test may make fail, or answer what it needs. */
struct engine_sys {
	ssize_t (*pwritev)(int fd, const struct iovec *v, int n, off_t off);
	int (*fdatasync)(int fd);
	int (*ftruncate)(int fd, off_t size);
	int (*mdb_commit)(MDB_txn *t);
	int (*mincore)(void *p, size_t n, unsigned char *ret_in);
	int (*unlinkat)(int dir_fd, const char *name, int flags);
	int (*fstatfs)(int fd, struct statfs *ret_s);
	int (*mdb_set_mapsize)(MDB_env *env, size_t bytes);
};

extern struct engine_sys engine_sys;

struct log_pos {
	uint32_t seg;
	uint64_t off;
	uint64_t seq; /* of the frame that comes next */
};

struct log {
	int dir_fd, fd;
	uint64_t store_id;
	size_t segment_bytes;
	struct log_pos pos;   /* where the next frame goes */
	uint32_t replay_from; /* what the next segment's header says */
	uint32_t version;     /* the same; never lower than that of any segment before */
	uint64_t ahead;       /* the segment is filled with zeros up to here */
	bool fresh_segment;   /* the next frame begins a new one */
	int sync_rc; /* of the last sync that failed: IO, or FULL where blocks are found late */
	struct iovec *iov;
	size_t n_iov, cap_iov;
};

/* One thread's way into LMDB. */
struct index_reader {
	MDB_txn *txn;
	MDB_cursor *cur;
	struct engine_row rows[ENGINE_SCAN_ROWS_MAX];
};

/* A piece of all rows in order, as they are committed, copied. */
struct row_copy {
	struct slice key, val; /* with the group's prefix; stored form */
};

struct row_chunk {
	struct row_copy *rows;
	size_t n, bytes;
	uint8_t *p;
	struct slice header; /* of the group in whose middle it begins */
	uint64_t freezes;    /* of the overlay, at that moment */
	bool more;
	uint8_t from[ENGINE_KEY_ENCODED_MAX + 1];
};

struct store;

struct body_file {
	struct body_file *next; /* most recently used first */
	enum loc_kind kind;
	uint64_t no;
	int fd;
	unsigned refs; /* reads in flight */
	bool gone;     /* closed with the last of them */
};

struct store {
	struct engine e;
	int dir_fd, lock_fd;
	struct engine_conf conf;
	_Atomic int health;
	_Atomic bool out; /* see reopen.c */

	unsigned threads; /* committer, checkpointer: how many run */

	/* rows */
	pthread_rwlock_t rows_lock, map_lock;
	struct map *active, *frozen;
	struct log_pos applied;     /* `active` holds everything before this */
	struct log_pos frozen_pos;  /* the checkpointer's: the same of `frozen` */
	uint64_t freezes;           /* how often `active` became `frozen` */
	_Atomic uint32_t index_seg; /* a start would look for this segment first */

	/* index */
	MDB_env *env;
	MDB_dbi dbi;
	size_t map_bytes;
	_Atomic bool map_lost; /* LMDB has none any more: nobody may ask it for anything */
	uint64_t lag_told;     /* the checkpointer's: see index_readers() */
	struct guard guard;
	struct index_reader *owner_reader;
	_Atomic bool resident; /* all of data.mdb is in memory: the owner may look */

	/* committer */
	pthread_t committer;
	pthread_mutex_t commit_lock;
	pthread_cond_t commit_more;
	struct commit *queue, **queue_tail;
	struct move *move;             /* a job of the compactor */
	bool commit_stop, commit_over; /* over: there is no committer; under commit_lock */
	struct log log;
	uint8_t *rows_buf;
	size_t rows_cap;
	int64_t recover_at_ms;
	uint64_t attempt; /* names each try to write a frame */

	/* checkpointer */
	pthread_t checkpointer;
	pthread_mutex_t check_lock;
	pthread_cond_t check_wake, check_done;
	bool check_dirty, check_now, check_look, check_stop, check_stuck;
	uint64_t check_log_bytes; /* since the last checkpoint */
	_Atomic bool hurry;       /* a commit waits for the checkpoint */
	int64_t check_due_ms;     /* 0: not set */

	/* compaction */
	struct moving moving;
	struct compactor compactor;

	/* pool */
	pthread_t pool[8];
	unsigned n_pool;
	unsigned n_ready, n_working; /* under pool_lock */
	pthread_cond_t ready;
	pthread_mutex_t pool_lock;
	pthread_cond_t pool_more;
	struct pool_job *jobs, **jobs_tail;
	bool pool_stop;

	/* answers */
	pthread_mutex_t done_lock;
	struct engine_done *done, **done_tail;

	/* bodies: the owner's */
	struct body_file *files;
	unsigned n_files;
	_Atomic uint64_t next_file;
	_Atomic int64_t scrubbed_s; /* wall clock; 0: never */
	uint8_t *body_scratch;
	size_t body_scratch_n;

	uint64_t reads_since_look;
	_Atomic uint64_t n_user_frames; /* frames with commits in them */
	_Atomic uint64_t n_commits, n_frames, n_frame_bytes, n_syncs, n_checkpoints,
	    n_checkpoint_rows, n_sync_failures;
	_Atomic uint64_t frame_largest, reader_lag;
	uint64_t n_replayed, n_cut, n_reads_now, n_reads_pool;
	uint64_t segs_done, segs; /* of the replay, for conf.progress */
};

/* store.c */
void store_answer(struct engine *e, struct engine_done *d); /* any thread */
void store_wake(struct store *s);                           /* the same: the owner has a turn */
void store_thread_ready(struct store *s);                   /* says a thread of itself */
/* During the open: whoever waits for it hears that it goes on. */
void store_works(struct store *s);
int store_rc(const char *what, int err); /* logs, errno or LMDB's -> ENGINE_* */
int thread_start(pthread_t *t, void *(*fn)(void *), void *arg);

/* The part of an open that needs the directory; then the threads. */
int store_load(struct store *s);
int store_threads_start(struct store *s);
void store_threads_stop(struct store *s);
/* An index that LMDB opened, with this answer, and that turned out to be damaged: the next try does
 * without. */
bool store_without_index(const struct store *s, int rc);
struct store *lmdb_store_new(const struct engine_conf *conf);
int store_dir_take(struct store *s, int dir_fd); /* 0 or -errno */

/* log.c: 0 or ENGINE_* */
int log_segment_open(int dir_fd, uint64_t no, int flags); /* fd or -errno */
int log_segment_new(struct log *l);
int log_rotate(struct log *l);
/* The next frame goes to a segment that programs before this version refuse. */
void log_need(struct log *l, uint32_t version);
int log_begin(struct log *l, const struct frame_head *h); /* rotates; then l->pos is the place */
int log_add(struct log *l, const void *p, size_t n);
int log_write(struct log *l, const struct frame_head *h);
int log_cut(struct log *l, uint64_t off);
int log_reopen(struct log *l);
void log_body_name(uint64_t no, char ret_name[32]);
void log_name_of(enum loc_kind kind, uint64_t no, char ret_name[32]);
/* Is it the name of a segment, or of a body's file? */
bool log_name_number(const char *name, enum loc_kind kind, uint64_t *ret_no);

/* replay.c */
/* `from` of a store without an index is found out first. */
int replay(struct store *s, struct log_pos *from);
int log_verify(int fd, uint64_t off, const struct log_pos *to, uint64_t store_id);

/* commit.c */
void commit_submit(struct engine *e, struct commit *c);
void *committer_main(void *arg);

/* checkpoint.c, index.c */
int index_open(struct store *s, struct log_pos *ret_pos, uint64_t *ret_store_id);
void index_close(struct store *s);
int index_apply(struct store *s, const struct map *m, const struct log_pos *pos);
/* Forgets the readers of processes that were killed, and says who holds pages back. */
void index_readers(struct store *s);
int index_reader_new(struct store *s, struct index_reader **ret_r);
void index_reader_free(struct index_reader **r);
int index_begin(struct store *s, struct index_reader *r); /* takes map_lock for reading */
void index_end(struct store *s, struct index_reader *r);
void index_look(struct store *s);
/* The value of a row that LMDB gave: 0, or ENGINE_CORRUPT. */
int index_row(const MDB_val *k, const MDB_val *v, struct store *s, struct slice *ret_stored);
/* Of LMDB's answer; damage is taken note of. */
int index_rc(struct store *s, const char *what, int err);
int checkpoint(struct store *s);
void *checkpointer_main(void *arg);
int checkpoint_room(struct store *s); /* waits while the overlay is full: 0 or ENGINE_FULL */
/* Waits until a start would not look for segments before this one. 0, FULL, CANCELLED. */
int checkpoint_past(struct store *s, uint32_t seg);
void checkpoint_kick(struct store *s, uint64_t frame_bytes, size_t overlay_bytes);

/* rows.c */
int rows_now(struct engine *e, const struct row_range *r, engine_rows_fn *fn, void *arg);
void rows_later(struct engine *e, struct read_job *j);
int rows_find(struct store *s, struct index_reader *ir, const struct row_range *r,
    engine_rows_fn *fn, void *arg);

/* From `from` on (none: from the first), a piece. */
int rows_chunk(
    struct store *s, struct index_reader *ir, struct slice from, struct row_chunk *ret_c);
int row_chunk_init(struct row_chunk *c);
void row_chunk_fini(struct row_chunk *c);
/* Where to go on: behind its last row; at its row i. Good until the next rows_chunk(). */
struct slice row_chunk_next(struct row_chunk *c);
struct slice row_chunk_at(struct row_chunk *c, size_t i);
uint64_t rows_freezes(struct store *s);

/* pool.c */
void pool_submit(struct store *s, struct pool_job *p);
void *pool_main(void *arg);

/* bodies.c */
int body_now(struct engine *e, const struct engine_loc *loc, uint64_t off, void *buf, size_t len,
    size_t *ret_n);
void body_later(struct engine *e, struct read_job *j);
int body_verify_fd(int fd, const struct loc_parts *p); /* 0, ENGINE_CORRUPT, ENGINE_IO */
/* All of a body that lies in a segment, with padding and table: body_span() bytes, checked. */
int body_copy(struct store *s, const struct loc_parts *p, uint8_t *to);
void bodies_let_go(struct store *s); /* of files that have been dropped */
void bodies_close(struct store *s);
int bodies_sweep(struct store *s);

/* span.c: a part of a body, as whole chunks */
struct span {
	uint64_t first, end; /* chunks */
	uint64_t base;       /* where the body begins in its file */
	size_t n;            /* bytes in these chunks */
	size_t skip, want;   /* the caller's part of them */
};

/* 0, or ENGINE_NOTFOUND: there is no such place. */
int span_of(const struct loc_parts *p, uint64_t off, size_t len, struct span *ret_sp);
/* Bytes that span_read() needs besides the span's own, for tables and what is packed. */
size_t span_rest(const struct loc_parts *p, const struct span *sp);
/* The span's bytes, sp->n of them, checked, into `buf`. 0, ENGINE_AGAIN (with RWF_NOWAIT),
 * ENGINE_CORRUPT, ENGINE_IO, -ENOMEM. */
int span_read(int fd, const struct loc_parts *p, const struct span *sp, uint8_t *buf, uint8_t *rest,
    int flags);
/* preadv2(), all of it; the same answers. */
int read_flags(int fd, void *to, size_t n, uint64_t off, int flags);

/* packing.c */
int packing_start(struct engine *e, struct engine_body *b);
/* For a thread of the pool: the next chunk of memory as it is to be stored, in `out`, which has
 * room for c->n bytes; and the table's numbers for it. 0 or -ENOMEM. */
int packing_chunk(struct engine_body *b, const struct body_chunk *c, uint8_t *out, size_t *ret_n);
/* All chunks have gone through packing_chunk(). */
void packing_end(struct engine_body *b);

/* An ended upload on its way to the disk: bytes of chunks, then zeros to the table, then the table.
 */
uint64_t upload_table_at(const struct engine_body *b);
size_t upload_table_bytes(const struct engine_body *b);
struct loc_parts upload_parts(
    const struct engine_body *b, enum loc_kind kind, uint64_t file, uint64_t off);

/* spill.c */
struct body_spill {
	struct pool_job p;
	struct store *s;
	struct engine_body *b;
	struct body_chunk *chunks;
	size_t chunk_bytes;
	int fd, rc;
	uint64_t no, written;
	uint8_t *out; /* of the pool: a packed chunk */
	bool busy, end, durable, end_wanted;
};

int spill(struct engine *e, struct engine_body *b, bool end);
void spill_drop(struct engine *e, struct engine_body *b);
void spill_loc(const struct engine_body *b, struct engine_loc *ret_loc);
