/*
 * tree-private - a file or directory that mail is taken from: found by tree.c, read by the files of
 * its kinds. Paths are below the top; whoever opens them (far.c) never follows a link.
 */
#pragma once

#include "ctl/port/mbox-text.h"
#include "ctl/port/source.h"

enum tree_kind { TREE_MAILDIR, TREE_MBOX, TREE_EML };

/* A message of the mailbox that is open. */
struct tree_entry {
	struct slice name; /* owned: "cur/..." or the file's name */
	struct slice key;  /* owned: path of the mailbox and what stays the same of the name */
	uint32_t uid;
	uint64_t thread; /* 0: none is told */
};

struct tree {
	enum mbox_variant variant;
	bool local_time; /* "From " lines without a zone */
	/* the mailbox that is open */
	struct slice dir; /* owned: path of the directory with its files */
	struct tree_entry *entry;
	size_t n_entry, at;
	struct slice keywords[26]; /* of a Maildir, in `text` */
	uint8_t *text;
	struct mbox_reader mbox; /* in `map` */
	void *map;
	size_t map_n;
	void *seen; /* hashes of an mbox's messages */
};

static inline struct tree *tree_of(struct source *s)
{
	return s->impl;
}

/* "a/b", or either where the other is empty. Owned by the caller. */
struct slice tree_path(struct slice dir, struct slice name);
/* A regular file, read through a map: 0, or errno. */
int tree_map(
    struct slice dir, struct slice name, void **ret_map, size_t *ret_n, int64_t *ret_mtime);
/* The same for a message: fills map and size. 0, or 1: told by port_left. */
int tree_load(
    struct source *s, struct source_box *b, struct slice name, struct item *i, int64_t *ret_mtime);
/* A small file as a block that the caller frees: NULL without one. */
uint8_t *tree_slurp(struct slice dir, const char *name, size_t *ret_n);
struct tree_entry *tree_entry_add(struct tree *t);
void tree_entries_free(struct tree *t);

/* box-maildir.c, box-mbox.c, box-eml.c: struct source_ops of one kind. */
int maildir_open(struct source *s, struct source_box *b);
int maildir_next(struct source *s, struct source_box *b, struct item *ret);
int maildir_load(struct source *s, struct source_box *b, struct item *i);
int mboxfile_open(struct source *s, struct source_box *b);
int mboxfile_next(struct source *s, struct source_box *b, struct item *ret);
int eml_open(struct source *s, struct source_box *b);
int eml_next(struct source *s, struct source_box *b, struct item *ret);
int eml_load(struct source *s, struct source_box *b, struct item *i);
bool eml_is(struct slice name);
