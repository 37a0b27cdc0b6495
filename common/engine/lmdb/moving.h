/*
 * moving - bodies that compaction takes to another place: what the committer, the compactor and
 * readers know of them in common.
 *
 * Invariant: from MOVE_BEGIN to MOVE_END no row comes to refer to a file that is to go without the
 * committer noticing: the place is put right, or the row is remembered as late. After MOVE_END no
 * row refers to it, and none ever will.
 */
#pragma once

#include "common/base/buf.h"
#include "common/engine/engine-private.h"

#include <pthread.h>

struct store;
struct frame_head;
struct log;

enum {
	MOVE_ROWS_MAX = 128,
	MOVE_OUT_BYTES = 64 << 10,   /* rows of one job, before its last one */
	MOVE_BODY_BYTES = 256 << 10, /* bodies of one job, before its last one */
};

/* A file that is to go. */
struct victim {
	enum loc_kind kind;
	uint64_t no;
	bool keep; /* a file of its own that is in use, or a body here that cannot be read */
};

/* From place to place, open addressing. A place: segment << 32 | offset. */
struct moved_table {
	uint64_t *slots; /* pairs */
	size_t n, cap;   /* cap: a power of two, or 0 */
};

struct moving {
	pthread_mutex_t lock;
	_Atomic bool any;       /* else nothing here needs a look */
	struct victim *victims; /* by kind and number; the compactor's, NULL between cycles */
	size_t n_victims;
	struct victim *gone; /* dropped by this process; by kind and number */
	size_t n_gone, cap_gone;
	struct moved_table moved, moved_before; /* in this cycle, and in the one before */
	struct buf late; /* u16 length, key: rows that came to refer to a victim */
};

/* ---- what the owner is told ---- */

struct moved_note {
	struct engine_done d;
	struct buf b;
};

/* Makes the note when there is none yet. 0 or -ENOMEM. */
int note_add(struct moved_note **note, struct slice prefix, struct slice key,
    const struct engine_loc *from, const struct engine_loc *to);
void note_free(struct moved_note **note);
void note_run(struct engine *e, struct engine_done *d);

void moving_init(struct moving *m);
void moving_fini(struct moving *m);

/* Where the body is now. False: this process has not moved it. */
bool moving_resolve(struct moving *m, struct loc_parts *p);
bool moving_is_gone(struct moving *m, enum loc_kind kind, uint64_t no);
/* Rows already read, on their way to the owner. */
void moving_resolve_rows(struct moving *m, struct engine_row *rows, size_t n);
/* The compactor's: is the file to go, and still to be emptied? */
bool moving_is_victim(struct moving *m, enum loc_kind kind, uint64_t no);
void moving_keep(struct moving *m, enum loc_kind kind, uint64_t no);
/* Takes all late rows; the caller frees them. */
struct buf moving_take_late(struct moving *m);
void moving_abort(struct moving *m); /* nothing is to go any more */

/* The committer's: what a commit refers to is put right (and noted), or remembered as late. 0,
 * ENGINE_NOTFOUND (the body has gone), -ENOMEM. */
int moving_check(struct moving *m, struct commit *c, struct moved_note **note);
int moving_begin(struct moving *m, struct victim *victims, size_t n);
/* 0, or ENGINE_AGAIN: there are late rows. */
int moving_end(struct moving *m);
int moving_reserve(struct moving *m, size_t n); /* -ENOMEM */
void moving_add(struct moving *m, const struct loc_parts *from, const struct loc_parts *to);

/* ---- jobs of the compactor for the committer ---- */

enum move_kind { MOVE_ROWS, MOVE_BEGIN, MOVE_END };
enum move_how {
	MOVE_SAME, /* the row as it was read, its body elsewhere or not; only if it is still so */
	MOVE_SET,  /* the engine's own row, whatever was there */
	MOVE_DEL,
};

struct move_row {
	enum move_how how;
	struct slice key, val; /* with the group's prefix; stored form */
	struct slice header;   /* of its group, as it was read; none for the engine's own */
	int body;              /* in bodies[], or -1 */
	bool moved, done;      /* moved: `to` is the place from now on */
	struct engine_loc to;
};

struct move_body {
	uint8_t *p; /* with padding and table */
	size_t span;
	struct loc_parts from, to;
	bool used;
};

struct move {
	enum move_kind kind;
	int rc;
	bool finished;
	/* MOVE_ROWS */
	uint64_t freezes; /* of the overlay, when the rows were read */
	struct move_row rows[MOVE_ROWS_MAX];
	struct move_body bodies[MOVE_ROWS_MAX];
	unsigned n_rows, n_bodies, n_patches, batches;
	size_t body_bytes, out_need;
	uint8_t *out;
	size_t out_n;
	struct {
		size_t at;
		unsigned row;
	} patches[MOVE_ROWS_MAX];
	/* MOVE_BEGIN, MOVE_END */
	bool advance; /* the log is to begin with begin_seg */
	uint32_t begin_seg;
	struct victim *victims;
	size_t n_victims;
};

/* move.c, for the committer */
int move_prepare(struct store *s, struct move *m, struct frame_head *h);
int move_place(struct log *l, struct move *m, uint64_t *at, struct moved_note **note);
void move_durable(struct store *s, struct move *m);
void move_control(struct store *s, struct move *m);
void move_finish(struct store *s, struct move *m, int rc);
/* compact.c: an empty job */
void move_reset(struct move *m, enum move_kind kind);
/* for the compactor: waits for the committer; m->rc */
int move_submit(struct store *s, struct move *m);
