/*
 * state - what an import has moved so far: a text file to which lines are added, so that the same
 * command goes on where it was and nothing is stored twice.
 *
 * Before a batch goes to the store its messages are written here with the uids that they will have;
 * what was decided of it is written behind. A batch of which nothing is decided (the program was
 * ended in between) is looked for in the store by whoever opens the file next.
 */
#pragma once

#include "common/base/buf.h"

enum { STATE_HASH_BYTES = 32 };

struct state_want {
	uint32_t uid;
	uint8_t hash[STATE_HASH_BYTES]; /* of the message as stored */
	struct slice key;               /* owned */
};

struct state {
	int fd; /* -1: nothing is kept (a dry run) */
	struct buf out;
	uint64_t (*done)[2]; /* open addressing; 0, 0 is free */
	size_t n_done, cap;
	struct slice box; /* owned: the mailbox of the batch */
	uint32_t uidvalidity;
	struct state_want *want; /* the batch that is not decided */
	size_t n_want;
};

/*
 * Opens or makes the file for moving `source` into `account`, and holds it against a second run.
 * With `dry` it is only read. 0, or 1 after a message: it belongs to another import, or cannot be
 * used.
 */
int state_open(
    const char *path, struct slice source, uint64_t account, bool dry, struct state *ret);
void state_close(struct state *s);

/* Keys name messages within the source. */
bool state_has(const struct state *s, struct slice key);
/* One of `done` of another state. */
void state_know(struct state *s, const uint64_t hash[2]);

/* A batch: where it goes, its messages, then all of that on the disk. 0, or 1 after a message. */
void state_box(struct state *s, struct slice name, uint32_t uidvalidity);
int state_add(struct state *s, uint32_t uid, const uint8_t *hash, struct slice key);
int state_sync(struct state *s);
/* The batch that nothing is decided of becomes the caller's; in the file it is refused by what is
 * written next, and not before. */
void state_give(struct state *s, struct state_want **ret_want, size_t *ret_n);
/* Stored, or known not to be. */
int state_decide(struct state *s, bool stored);
