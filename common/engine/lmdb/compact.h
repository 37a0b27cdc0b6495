/*
 * compact - the thread that finds out what of the store's files is alive, and gives back the rest.
 *
 * Invariant: a file is removed only when the log from its durable beginning on, and the index, say
 * without it all that they said with it.
 */
#pragma once

#include "common/engine/lmdb/moving.h"

struct row_chunk;
struct index_reader;

/* A segment of the log, or a file of one body. */
struct container {
	enum loc_kind kind;
	uint64_t no, bytes;
	uint64_t live;   /* bytes of bodies that rows refer to */
	uint8_t *seen;   /* a bit for each GRANULE of a segment where a living body begins */
	uint8_t **small; /* pages of bits for those that are shorter; NULL: none was met */
	bool adopted;    /* a body's file: the store knows it */
	bool victim;
};

struct containers {
	struct container *v; /* by kind and number */
	size_t n, cap;
	uint64_t rows, row_bytes;         /* as they are in the log */
	uint64_t raw_bytes, stored_bytes; /* of bodies that live */
	uint64_t open;                    /* of the segments, those before this one may go */
};

struct compactor {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake; /* work, answers of the committer, fences */
	struct compact_request *queue;
	_Atomic bool stop;
	_Atomic uint64_t bytes_s, scrub_bytes_s;
	uint64_t fences_asked, fences_passed;
	/* the thread's own */
	struct index_reader *reader;
	struct row_chunk *chunk;
	struct containers files;
	struct move *move;
	int64_t debt_ns;      /* of rest that was not taken yet */
	uint64_t seen_frames; /* of users, when they were looked at last */
	int64_t busy_ms;      /* when there was a new one; 0: never */
	unsigned haste;       /* 1, or more when the dead bytes call for it */
	/* figures, under lock */
	enum engine_chore chore;
	uint64_t index_bytes;
	uint64_t chore_done, chore_total;
	uint64_t compactions_failed, scrubs, scrub_bytes, damaged_bodies, damaged_rows,
	    damaged_frames;
	uint64_t measures, file_bytes, live_bytes, live_bodies_bytes, rows, segments, body_files;
	uint64_t body_raw_bytes, body_stored_bytes;
	uint64_t compactions, moved_bytes, moved_rows, dropped_files;
};

int compactor_init(struct store *s);
void compactor_fini(struct compactor *k);
void compactor_figures(struct store *s, struct engine_stats *st);
void *compactor_main(void *arg);
void compact_ask_store(struct engine *e, struct compact_request *q);
void compact_pace_store(struct engine *e, uint64_t compact_bytes_s, uint64_t scrub_bytes_s);
/* What is being done, of how much; then so much more of it has been done. */
void chore_begin(struct compactor *k, enum engine_chore chore, uint64_t total);
void chore_step(struct compactor *k, uint64_t bytes);
/* Does something wait that is not a scrub? Under the lock. */
bool compactor_others(struct compactor *k);
/* From within a scrub: does that, if there is any. True: there was; k->chunk, k->files and the
 * store's files are others afterwards. */
bool compactor_do_others(struct store *s);

/* compact.c */
int compact_cycle(struct store *s);
int compact_note_scrub(struct store *s, int64_t at_s);

/* mark.c */
int containers_list(struct store *s, struct containers *c);
struct container *container_of_loc(const struct containers *c, enum loc_kind kind, uint64_t no);
/* Is it the first time that this place is looked at? It is marked. */
bool container_first(struct container *f, const struct loc_parts *p);
int measure(struct store *s);
/* Does giving space back pay? Of what was measured. */
bool compact_pays(const struct compactor *k, const struct engine_compact_when *when);
/* Marks which files are to go. 0, or ENGINE_FULL: there is no room for what lives in them. */
int choose_victims(struct store *s, size_t *ret_n);
void containers_fini(struct containers *c);

/* pace.c */
/* Room for others: sleeps as the pace asks for it. False: the store closes. */
bool compact_rest(struct store *s, uint64_t bytes);
/* The same after a job of the committer's: under load only few frames carry one. */
bool compact_give_way(struct store *s, uint64_t bytes);
bool scrub_rest(struct store *s, uint64_t bytes);
/* Free bytes of the disk beyond those that are left to the users. */
uint64_t compact_room(const struct store *s);

/* scrub.c */
int scrub(struct store *s, struct compact_request *q);
