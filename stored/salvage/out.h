/*
 * out - the place that a salvage writes to: an empty directory of its own.
 *
 * Invariant: until out_finish() says 0 there is a file `unfinished` in it and no `manifest.jsonl`,
 * so that nobody takes half for whole. A run that was broken off is done again in the same place;
 * what it wrote is looked at and not written twice.
 */
#pragma once

#include "stored/salvage/report.h"

#include <sys/types.h>

struct out {
	int fd;
	FILE *manifest; /* JSON lines */
	bool again;     /* a run before this one was broken off here */
};

/* `source` is told apart from other sources by its path. TOOL_FAILED after report_fail(). */
int out_begin(struct out *o, const char *path, const char *source, struct report *rep);
/* All that was written is on the disk, and then the manifest has its name. 0 or -errno. */
int out_finish(struct out *o, struct report *rep);
void out_fini(struct out *o);

struct engine;

/* A new database below, in place of what a run before this one left. 0 or -errno. */
int out_database(struct out *o, const char *name, struct engine **ret_e);
/* As root: a database's folder or file becomes the user's who opens it. */
int out_owner(int fd, const char *database);
/* The same for what an engine made in a folder, and its shards' below, after it was opened: 0 or
 * -errno. */
int out_own_files(int dir_fd);

/* A directory below, made if it is missing: its descriptor or -errno. */
int out_dir(int fd, const char *name);
/* A file below, emptied: NULL with errno. */
FILE *out_file(int fd, const char *name, mode_t mode);
