/*
 * engine-private - what the parts of the engine share: handles, batches in their encoded form,
 * uploads, callbacks to come, and the table of functions that one engine fills in.
 *
 * Invariant: everything here belongs to the owner's thread, except the fields marked as the
 * committer's and struct engine_done on its way through engine_complete().
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "common/engine/engine.h"
#include "common/engine/limits.h"
#include "common/engine/pack.h"

/* One callback to come. Embedded first in a bigger struct, which run() frees. */
struct engine_done {
	struct engine_done *next;
	void (*run)(struct engine *e, struct engine_done *d);
	uint64_t due_ns; /* memory engine */
};

struct group_open;

/* One per group id that has a handle or a commit in flight. */
struct engine_core {
	struct engine_core *next;
	struct group_open *waiting; /* opens that wait for the commits in flight */
	unsigned refs, in_flight;
	bool loaded, unknown;
	uint64_t incarnation;       /* of the open that owns the group now */
	uint64_t seq, batch, epoch; /* as of the last answered commit */
	uint64_t next_seq, gen;
	uint64_t failed_gen;    /* the committer's: batches up to this gen are cancelled */
	uint64_t last_due_ns;   /* memory engine */
	uint64_t held_scan;     /* shards/held.c */
	unsigned held;          /* commits that wait for bodies of other shards */
	engine_moved_fn *moved; /* of the handle that asked for it */
	void *moved_arg;
	uint64_t moved_incarnation;
	uint8_t prefix_n; /* 1 + id bytes */
	uint8_t prefix[1 + ENGINE_GROUP_ID_MAX];
};

struct engine_group {
	struct engine *e;
	struct engine_core *core;
	uint64_t incarnation, epoch;
};

/* Place in an encoded batch that receives the loc of a body when the commit knows it. */
struct batch_patch {
	size_t at;
	size_t key_n; /* of the key, which ends at the flag before it */
	struct engine_body *body;
};

struct engine_batch {
	struct engine *e;
	struct engine_core *core;
	uint64_t incarnation, epoch, gen, id, seq;
	uint8_t *p; /* encoded, see batch.c */
	size_t n, cap;
	unsigned keys, n_patches, cap_patches;
	bool ends_group; /* nothing follows engine_del_group() */
	bool has_refs;   /* to bodies that were durable already */
	struct batch_patch *patches;
};

struct commit {
	struct engine_done d;
	struct commit *next; /* the committer's queue */
	struct engine *e;
	engine_done_fn *done;
	void *arg;
	int rc;
	bool apply; /* memory engine: UNKNOWN but stored */
	unsigned n;
	struct engine_batch *b[];
};

/* Rows with from <= key < to, keys encoded with the group's prefix. */
struct row_range {
	uint8_t from[ENGINE_KEY_ENCODED_MAX], to[ENGINE_KEY_ENCODED_MAX];
	size_t from_n, to_n, prefix_n;
	unsigned limit;
	bool exact; /* a get: only `from` */
};

struct index_reader;

/* Work for a thread of the pool; the answer is d.run() on the owner. */
struct pool_job {
	struct engine_done d;
	struct pool_job *next;
	void (*work)(struct engine *e, struct pool_job *p, struct index_reader *r);
};

/* An asynchronous read: rows are copied into `copy`, since the answer comes later. */
struct read_job {
	struct pool_job p;
	engine_rows_fn *rows_done;
	engine_data_fn *data_done;
	void *arg;
	int rc;
	bool more;
	struct row_range range;
	struct engine_row *rows;
	size_t n_rows;
	uint8_t *copy;
	size_t copy_n, copy_cap;
	struct engine_loc loc;
	uint64_t off;
	size_t len;
	struct body_file *file; /* the LMDB engine's */
	void (*done_run)(struct engine *e, struct engine_done *d);
};

/* ---- bodies ---- */

struct body_chunk {
	struct body_chunk *next;
	size_t n, cap;
	uint8_t data[];
};

struct body_spill; /* the LMDB engine's */
struct twin;       /* shards/twin.h */

struct engine_body {
	struct engine *e;
	unsigned refs;
	bool let_go, ended, ready, placed, want_room;
	int failed; /* rc of a spill that went wrong */
	uint64_t size;
	bool pack, packed; /* asked for; and it was worth it for some chunk */
	uint64_t stored;   /* once it has ended: bytes of its chunks as they go to the disk */
	size_t buffered;   /* bytes in chunks */
	struct body_chunk *first, *last;
	uint64_t *sums;          /* of each finished chunk: the table, packed or not */
	size_t n_sums, cap_sums; /* numbers in it */
	engine_done_fn *room, *done;
	void *room_arg, *done_arg;
	struct engine_loc loc; /* valid when placed */
	struct body_spill *spill;
	struct engine_body *twins, *next_twin; /* the same bytes in other shards; held */
	struct twin *twin;                     /* it is made from a body of another shard */
	uint64_t frame; /* the committer's: frame that carries it, and where */
	struct engine_loc frame_loc;
};

/* loc = kind and file, place and length, sum: see docs/engine.md */
enum loc_kind { LOC_NONE, LOC_SEGMENT, LOC_FILE, LOC_MEMORY };

struct loc_parts {
	enum loc_kind kind;
	uint64_t file;      /* segment or body file number, or index in memory: 56 bits */
	uint64_t off, size; /* in a segment both 32 bits; in a file of its own off is 0 */
	uint64_t sum;
	bool parted; /* the first chunk is a short one */
	unsigned shard;
	bool packed;   /* chunks are shorter than what is in them; then: */
	uint64_t span; /* bytes in the file, with padding and table */
};

void loc_encode(const struct loc_parts *p, struct engine_loc *ret_loc);
void loc_decode(const struct engine_loc *loc, struct loc_parts *ret_p);

uint64_t body_sum(const struct engine_body *b); /* of the whole: what the loc holds */

/*
 * Chunks: the bytes under one sum. They end at the multiples of ENGINE_BODY_CHUNK, and in a parted
 * body also at ENGINE_BODY_FIRST. With more than one, a table of their sums follows the bytes.
 */
bool body_is_parted(uint64_t size); /* of bodies that are made now */
uint64_t body_chunks(const struct loc_parts *p);
uint64_t body_chunk_at(const struct loc_parts *p, uint64_t i); /* where it begins; or the end */
uint64_t body_chunk_of(const struct loc_parts *p, uint64_t off);
size_t body_table_bytes(const struct loc_parts *p); /* 0: no table */
/* Bytes that it takes in its file, with padding and table, which is the end of them. */
uint64_t body_span(const struct loc_parts *p);
/* A place in a file that a body can have. */
bool body_place_ok(const struct loc_parts *p);
int body_sums_add(struct engine_body *b, uint64_t v); /* -ENOMEM */
void body_free_chunks(struct engine_body *b);
void body_unref(struct engine_body *b);
/* Calls back from dispatch: the spill got forward (rc), the body is durable (end). */
void body_on_spilled(struct engine_body *b, int rc, bool durable);

/* A chunk as it is stored, `at` from the body's begin in its file. */
struct body_piece {
	enum pack_kind kind;
	uint64_t at, sum;
	size_t stored, raw; /* bytes in the file, and when it is opened */
};

/* Is it the body's own table? (Empty when the body has none.) */
bool body_table_ok(const struct loc_parts *p, struct slice table);
/* Chunk i, which the body has. False: the table says what cannot be. */
bool body_piece(
    const struct loc_parts *p, struct slice table, uint64_t i, struct body_piece *ret_piece);
/* The bytes of chunk i, piece->raw of them, from the piece->stored ones that were read. 0,
 * ENGINE_CORRUPT, -ENOMEM. */
int body_piece_open(const struct body_piece *piece, const uint8_t *stored, uint8_t *to);

/* Checks bytes read from a body. `data` starts at chunk `first`, covers whole chunks or the end;
 * `table` is the body's sums (NULL when it has none). */
bool body_check(const struct loc_parts *loc, uint64_t first, struct slice data, struct slice table);

/* ---- encoded batches ---- */

enum op_kind { OP_PUT = 1, OP_DEL = 2, OP_DEL_RANGE = 3, OP_DEL_GROUP = 4 };

struct batch_reader {
	struct slice rest;
	struct slice prefix;
	uint64_t seq, epoch, id;
};

struct batch_op {
	enum op_kind kind;
	struct slice key; /* user key; OP_DEL_RANGE: from */
	struct slice val; /* stored form: flag, loc, value; OP_DEL_RANGE: to */
};

/* Takes one batch off the front of `s`. False: malformed. */
bool batch_read_begin(struct slice *s, struct batch_reader *ret_r);
/* 1 = an operation, 0 = end, -1 = malformed. */
int batch_read_op(struct batch_reader *r, struct batch_op *ret_op);
void batch_stamp(struct engine_batch *b); /* writes seq, epoch, id, length into the encoded form */
struct slice batch_ops(const struct engine_batch *b); /* also before it is stamped */
struct engine_batch *batch_alloc(struct engine *e, struct engine_core *core);
void batch_unref_bodies(struct engine_batch *b);
/* System rows: a batch without a group, for the LMDB engine's own notes. */
enum { SYS_PREFIX = 0 };

struct map;
/* Applies one well-formed batch, header row included. 0 or -ENOMEM. */
int batch_apply(struct map *m, struct slice encoded);
/* One operation of it. */
int batch_apply_op(struct map *m, struct slice prefix, const struct batch_op *op);

/* First key behind all keys with this prefix, into b (prefix.n bytes of room). Returns its length.
 */
size_t key_range_end(uint8_t *b, struct slice prefix);

/* Stored form of a value <-> row. False: malformed. */
bool row_decode(struct slice stored, struct engine_row *ret_row);

enum { HEADER_BYTES = 24 }; /* the row with an empty key: seq, epoch, batch id */

/* ---- engines ---- */

/* A call that the engine's own thread answers when it has gone through the store. */
struct compact_request {
	struct engine_done d;
	struct compact_request *next;
	engine_done_fn *done;
	engine_damage_fn *found; /* COMPACT_SCRUB */
	void *arg;
	int rc;
	enum compact_what { COMPACT_MEASURE, COMPACT_PASS, COMPACT_SCRUB } what;
	struct engine_compact_when when; /* COMPACT_PASS */
};

struct engine_ops {
	/* Ends all work and runs what is due (closing is set); frees all but *e. */
	void (*close)(struct engine *e);
	struct engine_done *(*pull)(struct engine *e); /* callbacks that are due, in order */
	void (*push_back)(struct engine *e, struct engine_done *list); /* beyond max: next time */
	void (*commit)(struct engine *e, struct commit *c);
	/* From memory or AGAIN; rows go to `fn` inside the call. */
	int (*rows_now)(struct engine *e, const struct row_range *r, engine_rows_fn *fn, void *arg);
	void (*rows)(struct engine *e, struct read_job *j);
	int (*body_now)(struct engine *e, const struct engine_loc *loc, uint64_t off, void *buf,
	    size_t len, size_t *ret_n);
	void (*body)(struct engine *e, struct read_job *j);
	/* The body holds more than it may buffer, or has ended: write, and make durable at the end.
	 */
	int (*spill)(struct engine *e, struct engine_body *b, bool end);
	void (*spill_drop)(struct engine *e, struct engine_body *b);
	/* Where a spilled upload that has ended, and was put into no batch yet, can be read. */
	void (*spill_loc)(const struct engine_body *b, struct engine_loc *ret_loc);
	/* The body has ended: AGAIN, it is told by body_on_spilled() when its chunks are packed.
	 * NULL: bodies are stored as they are. */
	int (*pack)(struct engine *e, struct engine_body *b);
	int (*faults)(struct engine *e, const struct engine_faults *f);
	void (*stats)(const struct engine *e, struct engine_stats *s);
	enum engine_health (*health)(const struct engine *e);
	int (*append_fault)(struct engine *e); /* may be NULL */
	int (*start)(struct engine *e);        /* may be NULL */
	void (*compact)(struct engine *e, struct compact_request *q);
	void (*pace)(
	    struct engine *e, uint64_t compact_bytes_s, uint64_t scrub_bytes_s); /* may be NULL */
	/* Of a whole: all its shards', NULL for one that has callbacks of its own. */
	unsigned (*dispatch)(struct engine *e, unsigned max);
};

struct engine {
	const struct engine_ops *ops;
	struct engine_limits limits;
	int fd;
	bool dispatching, closing, in_now;
	uint64_t next_batch_id, next_incarnation;
	struct engine *whole;  /* what it is a shard of; NULL: of nothing */
	unsigned shard;        /* its number there */
	struct engine **parts; /* the whole's: its shards */
	unsigned n_parts;
	struct held_commits *held; /* a shard's: shards/held.h */
	size_t twins_bytes;        /* a shard's: shards/twin.c */
	struct engine_core *cores[ENGINE_CORE_BUCKETS];
	unsigned n_handles;
};

void engine_base_init(struct engine *e, const struct engine_ops *ops);
/* From now on it has no atom over groups. */
void engine_one_group(struct engine *e);
int engine_mem_open(const char *opts, struct engine **ret_e);
/* `child` is what stands behind the "N*". */
int engine_shards_open(unsigned n, const char *child, int dir_fd, const struct engine_conf *conf,
    struct engine **ret_e);
/* The shard of a whole, or the engine itself. */
struct engine *engine_part(struct engine *e, unsigned shard);
int engine_lmdb_open(int dir_fd, const struct engine_conf *conf, struct engine **ret_e);

/* Shared by both: copy rows for an answer that comes later (an engine_rows_fn with a read_job). */
void read_copy_rows(void *job, int rc, const struct engine_row *rows, size_t n, bool more);
void read_done_run(struct engine *e, struct engine_done *d);
void commit_done_run(struct engine *e, struct engine_done *d);
/* The committer's guard: OK or CANCELLED; and its memory of a failure. */
int commit_guard(const struct commit *c);
void commit_failed(struct commit *c, int rc);

/* Tells the group's owner, if there is one that asked for it. */
void engine_tell_moved(struct engine *e, struct slice prefix, struct slice key,
    const struct engine_loc *from, const struct engine_loc *to);
void compact_done_run(struct engine *e, struct engine_done *d);

struct slice range_from(const struct row_range *r);
struct slice range_to(const struct row_range *r);
