/*
 * reach - in the reader of an import: what it may ask the program that forked it, and what it
 * tells.
 *
 * Invariant: one question is under way at a time, and nothing else of the world is within reach:
 * the program opens what is below the source and passes it. When it is gone the reader ends.
 */
#pragma once

#include "common/ipc/chan.h"

/* Takes the reader's end of the channel. */
void reach_begin(int take_fd);

/* A regular file below the source, opened for reading: its descriptor, or -1 with errno (EINVAL: it
 * is not regular, ELOOP: a link). */
int reach_file(struct slice path, uint64_t *ret_size, int64_t *ret_mtime);
/* A temporary file without a name. A descriptor, or -1 with errno. */
int reach_temp(void);

struct reach_name {
	char *name; /* owned */
	char kind;  /* 'd', 'f', 'l' or 'o' */
};

/* What a directory below the source holds, by name. 0 or errno; the caller frees by the next. */
int reach_names(struct slice path, struct reach_name **ret_v, size_t *ret_n);
void reach_names_free(struct reach_name *v, size_t n);

/* For the user; cut to what a message may have. */
void reach_tell(enum ipc_reader_tells kind, struct slice box, struct slice what, struct slice why);

void reach_send(enum ipc_type type, const void *msg);
/* The next request; valid until the next call of any function here. */
enum ipc_type reach_next(const union ipc_any **ret_m);
