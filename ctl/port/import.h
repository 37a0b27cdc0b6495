/*
 * import - what its files share: the mailbox that is being filled, and a batch of its messages.
 */
#pragma once

#include "ctl/port/port.h"
#include "ctl/port/state.h"

enum { BATCH_MSGS = 200, BATCH_BYTES = 8 << 20 };

struct batch_item {
	struct item item;
	uint8_t hash[STATE_HASH_BYTES]; /* as stored */
	uint64_t size;                  /* as stored */
	uint32_t uid;                   /* that it will have */
};

/* A batch of an earlier run that was not found when it was looked for first. */
struct suspect {
	struct slice box; /* owned */
	uint32_t uidvalidity;
	struct state_want *want; /* owned, with their keys */
	size_t n;
};

struct import {
	struct port port;
	struct source source;
	struct state state;
	struct suspect suspect;
	/* the mailbox */
	struct source_box *box;
	uint32_t uidvalidity, uidnext;
	bool keep;      /* uids are those of the source */
	uint64_t moved; /* uids that could not be */
	struct batch_item batch[BATCH_MSGS];
	size_t n_batch;
	uint64_t batch_bytes;
};

enum import_answer {
	IMPORT_OK,
	IMPORT_SKIP = 1,   /* this mailbox: told */
	IMPORT_BROKEN = -1 /* all of it: told */
};

/* import-batch.c */
/* The message's size and hash as it will be stored. */
void batch_measure(struct batch_item *b);
/* Stores what is in the batch, and empties it. IMPORT_OK or IMPORT_BROKEN. */
int batch_store(struct import *im);
/* The mailbox's next uid is at least this one. */
int batch_uidnext(struct import *im, uint32_t uidnext);
/* uidvalidity and uidnext of the mailbox as it is now. IMPORT_... */
int batch_look(struct import *im);
/* import-again.c: what the last run left undecided. 0 or IMPORT_BROKEN. */
int import_again(struct import *im);
/* Looks for it once more, as uids of its mailbox have been taken since. 0 or IMPORT_BROKEN. */
int import_suspect(struct import *im, bool *ret_stored);
void suspect_forget(struct suspect *g);
