/*
 * salvage-world - a store of a few mailboxes whose every byte is known, written as stored writes
 * it; and its files, to be damaged.
 *
 * Invariant: `world` says what is in the store; the files' `was` is what it wrote, `is` what a
 * round made of it.
 */
#pragma once

#include "common/engine/engine.h"
#include "stored/record.h"

struct engine;
struct engine_group;

enum {
	BOXES = 3,
	MESSAGES = 60, /* of each */
	FILES_MAX = 32,
};

struct msg {
	uint32_t uid, flags;
	bool flags_changed, gone;
	uint64_t modseq, size, sum;
	int64_t date;
	struct engine_loc loc;
};

struct box {
	uint64_t id;
	char name[40];
	struct engine_group *group;
	struct mbox_head head;
	struct msg msgs[MESSAGES + 10];
	unsigned n;
};

struct world {
	struct engine *e;
	struct engine_group *root, *meta;
	struct box boxes[BOXES];
	uint64_t modseq, next_id;
};

extern struct world world;

/* A number below `below`, the same in every run. */
uint64_t rnd(uint64_t below);

/* Makes two directories below the working one: `closed` has all of it in its index, `torn` half: it
 * is what a crash would leave. */
void world_make(void);

struct file {
	char name[64];
	uint8_t *was, *is;
	size_t n;
};

struct files {
	struct file v[FILES_MAX];
	size_t n;
};

void files_load(struct files *f, const char *dir);
void files_free(struct files *f);
/* Bytes here and there, or whole pages; into the directory `damaged`. */
void files_damage(struct files *f);
/* Are these bytes as they were? False without a file. */
bool file_same(const struct file *x, uint64_t off, uint64_t n);
bool body_same(const struct files *f, const struct msg *m);
bool some_header_same(const struct files *f);
uint64_t store_id_of(const struct files *f);
