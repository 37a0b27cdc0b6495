/*
 * import - what its files share: the mailbox that is being filled, and a batch of its messages.
 */
#pragma once

#include "ctl/port/far.h"

enum { BATCH_MSGS = 200, BATCH_BYTES = 8 << 20 };

struct batch_item {
	struct far_item item;
	uint32_t uid; /* that it will have */
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
	struct far far;
	struct state state;
	struct suspect suspect;
	/* the mailbox */
	struct far_box *box;
	uint32_t uidvalidity, uidnext;
	bool keep;      /* uids are those of the source */
	uint64_t moved; /* uids that could not be */
	/* what is in it, with --skip-present */
	struct present *present;
	size_t n_present;
	uint32_t present_mbox;
	bool present_is_open;
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
/* Stores what is in the batch, and empties it. IMPORT_OK or IMPORT_BROKEN. */
int batch_store(struct import *im);
/* The mailbox's next uid is at least this one. */
int batch_uidnext(struct import *im, uint32_t uidnext);
/* uidvalidity and uidnext of the mailbox as it is now. IMPORT_... */
int batch_look(struct import *im);
/* import-present.c, with --skip-present: the mailbox as it is before the import. IMPORT_... */
int present_open(struct import *im);
int present_look(struct import *im, const struct far_item *i, bool *ret_there);
int present_shut(struct import *im);
/* import-again.c: what the last run left undecided. 0 or IMPORT_BROKEN. */
int import_again(struct import *im);
/* Looks for it once more, as uids of its mailbox have been taken since. 0 or IMPORT_BROKEN. */
int import_suspect(struct import *im, bool *ret_stored);
void suspect_forget(struct suspect *g);
