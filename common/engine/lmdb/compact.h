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
	uint64_t live; /* bytes of bodies that rows refer to */
	uint8_t *seen; /* a bit for each GRANULE of a segment where a living body begins */
	bool adopted;  /* a body's file: the store knows it */
	bool victim;
};

struct containers {
	struct container *v; /* by kind and number */
	size_t n, cap;
	uint64_t rows, row_bytes; /* as they are in the log */
	uint64_t open;            /* the segment that frames went to when the measure began */
};

struct compactor {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake; /* work, answers of the committer, fences */
	struct compact_request *queue;
	_Atomic bool stop;
	uint64_t fences_asked, fences_passed;
	/* the thread's own */
	struct index_reader *reader;
	struct row_chunk *chunk;
	struct containers files;
	struct move *move;
	int64_t debt_ns; /* of rest that was not taken yet */
	uint64_t measured_frame_bytes;
	/* figures, under lock */
	uint64_t measures, file_bytes, live_bytes, live_bodies_bytes, rows, segments, body_files;
	uint64_t compactions, moved_bytes, moved_rows, dropped_files;
};

int compactor_init(struct store *s);
void compactor_fini(struct compactor *k);
void compactor_figures(struct store *s, struct engine_stats *st);
void *compactor_main(void *arg);
void compact_ask_store(struct engine *e, struct compact_request *q);
int compact_cycle(struct store *s);

/* mark.c */
int measure(struct store *s);
/* Marks which files are to go. Returns how many. */
size_t choose_victims(struct store *s);
void containers_fini(struct containers *c);
uint64_t loc_span(const struct loc_parts *p);

/* Room for others: sleeps as the pace asks for it. False: the store closes. */
bool compact_rest(struct store *s, uint64_t bytes);
