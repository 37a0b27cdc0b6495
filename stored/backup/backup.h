/*
 * backup - generations of a server's data in a target directory, and a data directory made of one.
 *
 * Invariant: a generation's name without ".part" means that all of it is on the disk and, but for
 * --quick, was read back and fitted its sums. docs/backup.md tells how one instant is found.
 */
#pragma once

#include "common/base/buf.h"
#include "common/engine/raw.h"
#include "common/engine/tail.h"
#include "stored/salvage/report.h"

#include <limits.h>
#include <time.h>

enum { LOST_MAX = 64 << 20 }; /* of lines of messages that were damaged before */
/* The data directory's folders, and the store's shards behind the first. */
enum { DBS = 3, PARTS_MAX = DBS + ENGINE_SHARDS_MAX - 1 };
enum { FILE_NAME_BYTES = 32, GEN_NAME_BYTES = 64, ENGINE_GROUP_BYTES = 24 };

/* The folders, the store is the first; then "store/shard-1" and so on. */
extern const char *const db_names[PARTS_MAX];
/* Of a shard. */
static inline unsigned part_of_shard(unsigned shard)
{
	return shard == 0 ? 0 : DBS + shard - 1;
}

/* One file of a generation. */
struct bfile {
	unsigned db;
	char name[FILE_NAME_BYTES];
	uint64_t bytes, sum; /* XXH3 of them */
};

struct bfiles {
	struct bfile *v;
	size_t n, cap;
};

/* 0 or -ENOMEM. */
int bfiles_add(struct bfiles *l, const struct bfile *f);
void bfiles_fini(struct bfiles *l);
const struct bfile *bfiles_find(const struct bfiles *l, unsigned db, const char *name);

/* A data directory that is read from. */
struct source {
	unsigned n; /* parts */
	int dir_fd, db_fd[PARTS_MAX], pin_fd[PARTS_MAX];
	struct tail *tail[PARTS_MAX];
	struct tail_end end[PARTS_MAX];
	uint64_t tried;      /* instants */
	uint64_t instant_us; /* from the first look at it to the last */
};

/* Each of these: 0, or TOOL_FAILED after report_fail(). */
int source_open(struct source *s, const char *dir, struct report *rep);
/* Links every file where nobody removes it, and finds the end of all parts at one instant. */
int source_cut(struct source *s, struct report *rep);
/* The store's shards as they were at that instant, like open_raw(). */
int source_raw(struct source *s, bool (*keep)(void *arg, struct slice group, struct slice key),
    struct report *rep, struct raw **ret_r);
/* Takes the links away. */
void source_unpin(struct source *s);
void source_close(struct source *s);

/* ---- manifest.c: pure ---- */

enum { MANIFEST_MAX = 256 << 20 };

/* The text of a manifest, appended. `lost`: lines of messages that were damaged before. */
void manifest_put(struct buf *b, const struct bfiles *files, const struct tail_end end[PARTS_MAX],
    int64_t made, struct slice lost);
/* False: it is none, or not a whole one. `ret_files` is the caller's to fini. */
bool manifest_parse(struct slice text, struct bfiles *ret_files, struct tail_end ret_end[PARTS_MAX],
    int64_t *ret_made, struct buf *ret_lost);

/* ---- generation.c ---- */

/* The newest complete generation, or -1; its name and files. */
int gen_newest(
    int target_fd, char ret_name[GEN_NAME_BYTES], struct bfiles *ret_files, int64_t *ret_made);
/* Reads a generation's manifest. False: it is none, or not a complete one. */
bool gen_manifest_read(int gen_fd, struct bfiles *ret_files, struct tail_end ret_end[PARTS_MAX],
    int64_t *ret_made, struct buf *ret_lost);
/* `lost`: lines of messages that were damaged before. 0 or -errno. */
int gen_manifest_write(int gen_fd, const struct bfiles *files, const struct tail_end end[PARTS_MAX],
    int64_t made, struct slice lost);
/* What was left by runs that were broken off; 0 or -errno. */
int gen_sweep(int target_fd);
/* The time, or, where a name is not older than that, the name behind the last one: names are in the
 * order in which they were made. 0 or -errno. */
int gen_name_new(int target_fd, time_t now, char ret_name[GEN_NAME_BYTES]);
/* Removes the oldest, so that `keep` stay (0: all); never that which was just made. One that goes
 * is a ".part" first. */
int gen_trim(int target_fd, unsigned keep, const char *made, unsigned *ret_removed);
/* A directory, made where it is missing: its own name is durable, too. 0 or -errno. */
int dir_open(const char *path, int *ret_fd);
/* A directory and what is in it. 0 or -errno. */
int tree_remove(int fd, const char *name);

/* ---- copy.c ---- */

struct copying {
	struct report *rep;
	uint64_t done, of;       /* bytes */
	uint64_t copied, linked; /* files */
};

/* At most `max` bytes of a file, made durable; the sum of what was read. 0 or -errno. */
int copy_file(struct copying *c, int from_fd, const char *from, int to_fd, const char *to,
    uint64_t max, struct bfile *ret_f);

/* ---- check.c ---- */

/* Reads a generation back: every frame up to its end, every body. What was damaged in the server
 * already is reported, and `lost` gets a line of the manifest for each. 0, or TOOL_FAILED after
 * report_fail(). */
int gen_check(
    int gen_fd, struct source *src, bool last_try, struct buf *ret_lost, struct report *rep);

/* ---- online.c ---- */

/* Reads all of a running server's data at one instant; an exit status. */
int verify_online(struct source *s, unsigned mib_per_s, struct report *rep);

/* ---- restore.c ---- */

/* A new data directory of a generation, whose store has so many shards (0: as many as it had); with
 * `dry` only what would be done, and whether it can. */
int restore(const char *gen, const char *dir, unsigned shards, bool dry, struct report *rep);
/* The name of a folder that is not whole yet. */
void part_name(unsigned db, char to[GEN_NAME_BYTES]);
/* Higher uids, modseqs and ids than any that were given out since. 0 or negative. */
int restore_step_ahead(int store_fd, struct report *rep);

/* ---- mark.c ---- */

/* From the begin of a restore to its end the data directory is marked, and no server starts there.
 */
int mark_write(int dir_fd); /* of the parts that are there; 0 or -errno */
/* The folder has its name by a restore that was broken off. */
bool mark_is_ours(int dir_fd, unsigned db);
int mark_remove(int dir_fd); /* 0 or -errno */
