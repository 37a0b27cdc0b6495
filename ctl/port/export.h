/*
 * export - what its files share: the mailbox that is being written, as it is at one moment.
 */
#pragma once

#include "common/base/keyset.h"
#include "ctl/port/mbox-text.h"
#include "ctl/port/port.h"

struct export_row {
	uint32_t uid, flags;
	struct keyset keywords; /* its list is owned */
	uint64_t size;
	int64_t date_s;
	uint64_t thread; /* 0: not known yet */
};

/* A file that is there from an earlier run. */
struct export_have {
	uint32_t uid;
	char *name;
};

/* A file that waits for the disk. */
struct export_wait {
	char *from, *to;
	uint64_t size;
};

struct export;

struct export_ops {
	int (*begin)(struct export *e); /* 1: told, not this mailbox */
	/* A message: is it there; else its beginning, its bytes, its end. 0, or -1 after a message.
	 */
	bool (*has)(struct export *e, const struct export_row *row);
	int (*open)(struct export *e, const struct export_row *row);
	int (*data)(struct export *e, struct slice data);
	/* `good`: all of it was read; else nothing of it may stay. */
	int (*close)(struct export *e, const struct export_row *row, bool good);
	int (*end)(struct export *e);
};

struct export
{
	struct port port;
	const struct export_ops *ops;
	enum mbox_variant variant;
	int top; /* DIR */
	/* the mailbox */
	struct slice name; /* owned */
	uint32_t uidvalidity, uidnext;
	struct slice *keywords; /* owned, in the order of their bits */
	size_t n_keywords;
	struct export_row *row;
	size_t n_row;
	struct buf subs; /* the file of subscriptions */
	/* the files */
	int dir, tmp, cur, file;
	struct export_have *have;
	size_t n_have;
	struct export_wait *wait;
	size_t n_wait;
	uint64_t wait_bytes;
	int letter[IPC_KEYWORDS_MAX]; /* of each keyword, or -1 */
	struct buf out, list;
	struct mbox_pack pack;
	uint64_t at, length_at;
	off_t began; /* the message under way, in its mbox */
	bool first;
};

/* export-box.c: the mailbox called e->name. 0; 1: told, not this one; -1: broken. */
int export_look(struct export *e);

/* export-file.c */
extern const struct export_ops export_maildir, export_eml, export_mbox;
int export_failed(const char *what); /* says errno; -1 */
/* Makes and opens the levels of a path below DIR. -1 and errno. */
int export_mkdir(int top, struct slice path);
/* A level of this path is longer than a file's name may be: the mailbox is told as left out. */
bool export_too_long(struct export *e, struct slice path);
/* A small file in one piece: written beside, synced, renamed. 0 or -1 after a message. */
int export_write(int dir, const char *name, const struct buf *text);
/* Files that wait get their names once they are on the disk. */
int export_settle(struct export *e, int from, int to);
void export_wait_for(struct export *e, const char *from, const char *to, uint64_t size);
/* So many of them wait that they should be settled. */
bool export_full(const struct export *e);
void export_have_add(struct export *e, uint32_t uid, const char *name);
void export_have_sort(struct export *e);
const struct export_have *export_have_find(const struct export *e, uint32_t uid);
void export_forget(struct export *e);
