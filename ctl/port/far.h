/*
 * far - the source of an import, seen by the program that stores: behind it is a reader (reader.c),
 * a process that has nothing but files which are opened for it here, or one connection.
 *
 * Invariant: nothing in a file of a stranger is looked at on this side, and nothing above the
 * source or behind a link is opened for the reader. When it dies, that is an answer.
 */
#pragma once

#include "ctl/port/port.h"
#include "ctl/port/reader.h"
#include "ctl/port/state.h"

#include <sys/types.h>

struct far_box {
	struct slice name, path;       /* owned */
	uint32_t uidvalidity, uidnext; /* known once it is open; 0: none */
	uint64_t n;                    /* messages, 0: not known */
};

/* A message. Its bytes are kept up to FAR_KEEP_BYTES, else they are asked for again. */
enum { FAR_KEEP_BYTES = 1 << 20 };

struct far_item {
	struct slice key, keywords; /* owned */
	uint32_t uid, flags;
	uint64_t thread; /* that it had; 0: none is known */
	int64_t date_s;
	uint64_t size; /* before it is loaded: as the source has it; then: as stored */
	uint8_t hash[STATE_HASH_BYTES]; /* as stored */
	bool kept;
	struct buf text;
	struct slice ids; /* owned, with the hash: the thread of append_end */
};

void far_item_fini(struct far_item *i);

enum far_answer {
	FAR_OK,
	FAR_NOT,      /* this one not (told), or no more */
	FAR_CRASHED,  /* the reader is gone: far_why() says how; far_again() gets another */
	FAR_LOST = -1 /* nothing can be read any more: told */
};

struct far {
	struct port *port;
	struct reader_job job;
	char *file;
	uint8_t *secret;
	int top; /* the directory, or the one of the file; -1: a server */
	struct ipc_chan *chan;
	pid_t pid;
	bool starting, restarted;
	char why[120];
	/* the source */
	struct far_box *box;
	size_t n_box;
	struct slice *sub; /* subscriptions, owned */
	size_t n_sub;
	size_t next_box; /* that a new reader tells */
	/* the message that came last */
	enum ipc_type type;
	union ipc_any m;
};

/* A file, a directory, or imap:// or imaps://: CTL_DONE, or a status after a message. */
int far_open(struct port *p, const char *from, struct far *ret);
void far_close(struct far *f);
bool far_is_url(const char *from);

/* What was moved before: a server is not asked for it. FAR_... */
int far_known(struct far *f, const struct state *known);

/* The mailbox, its next message behind `skip` others, the message's bytes. FAR_... */
int far_box_open(struct far *f, size_t box);
void far_box_shut(struct far *f);
int far_next(struct far *f, uint64_t skip, struct far_item *ret);
/* With `bytes` hash, size and text are made; else the size is the source's. */
int far_load(struct far *f, struct far_item *i, bool bytes);
/* The bytes of the item that was loaded last, once more. 0, or not 0 as `put` says or after a
 * message. */
int far_bytes(struct far *f, int (*put)(void *arg, struct slice data), void *arg);

/* After FAR_CRASHED: another reader, which opens nothing yet. FAR_OK or FAR_LOST. */
int far_again(struct far *f);
const char *far_why(const struct far *f);

/* far-files.c: answers the reader's port_file_ask. 0, or 1 when it is gone. */
int far_file(struct far *f);
/* An empty directory of root's for the walls, and what to remove afterwards. -1: not root, or after
 * a message with *ret_failed. */
int far_empty_dir(char path[64], bool *ret_failed);
