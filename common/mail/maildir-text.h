/*
 * maildir-text - what stands in the names and the small files of a Maildir: flags in file names,
 * Dovecot's dovecot-uidlist, dovecot-keywords and subscriptions, and folder names of Maildir++.
 *
 * Pure: bytes in, values out. All input is a stranger's; what makes no sense is skipped or refused,
 * never guessed at.
 */
#pragma once

#include "common/base/buf.h"
#include "common/ipc/types.h"

enum {
	MAILDIR_BAD = 1,
	MAILDIR_END = 1,
	MAILDIR_LETTERS = 26, /* keywords that a file name can tell */
};

/* ---- file names ---- */

struct maildir_name {
	struct slice base; /* before ":2,": stays as flags change */
	uint32_t flags;    /* IPC_FLAG_... */
	uint32_t letters;  /* bit n: the keyword of 'a' + n */
	bool passed;       /* flag P: sent on to others */
	/* Of a name that our export gave; else 0. Such a file holds the message byte for byte. */
	uint32_t uid, uidvalidity;
};

void maildir_name_parse(struct slice file, struct maildir_name *ret);

struct maildir_made {
	int64_t date_s;
	uint64_t size;
	uint32_t uid, uidvalidity, flags, letters;
};

/* The name that our export gives. */
void maildir_name_put(struct buf *out, const struct maildir_made *m);

/* ---- dovecot-uidlist ---- */

struct uidlist {
	struct slice rest;
	unsigned version; /* 1 or 3 */
	uint32_t uidvalidity, uidnext;
	size_t bad; /* lines that were skipped */
};

/* 0, or MAILDIR_BAD: nothing of it can be used. */
int uidlist_begin(struct slice text, struct uidlist *ret);
/* A message, by the base of its file's name. */
struct uidlist_line {
	struct slice base;
	uint32_t uid;
	uint64_t thread; /* 0: none is told */
};

/* The next one: 0, or MAILDIR_END. */
int uidlist_next(struct uidlist *l, struct uidlist_line *ret);

void uidlist_put_head(struct buf *out, uint32_t uidvalidity, uint32_t uidnext);
/*
 * A thread is our own field: T and 16 hexadecimal digits; Dovecot passes over a letter that it does
 * not know.
 */
void uidlist_put(struct buf *out, const struct uidlist_line *line);

/* ---- dovecot-keywords ---- */

/* The names by their letters; empty where there is none. They lie in `text`. */
void maildir_keywords_parse(struct slice text, struct slice ret[MAILDIR_LETTERS]);

/* ---- folders ---- */

/*
 * A folder's name as Maildir++ writes it, without the first dot ("Work.&AOQ-b"), or a path of
 * LAYOUT=fs with sep '/'. Appends it in UTF-8 with '/' between levels: 0, or MAILDIR_BAD with `out`
 * as it was. "\2e" is a dot that is no separator (Dovecot's listescape).
 */
int maildir_folder_decode(struct slice name, uint8_t sep, struct buf *out);
/* And back, for Maildir++. */
void maildir_folder_encode(struct slice utf8, struct buf *out);

/* ---- subscriptions ---- */

struct subs {
	struct slice rest;
	unsigned version; /* 1: names as folders; 2: levels with tabs between */
	uint8_t sep;
};

void subs_begin(struct slice text, uint8_t sep, struct subs *ret);
/* Appends the next name in UTF-8: 0; MAILDIR_END; -1: it is none (*ret_raw has it). */
int subs_next(struct subs *s, struct buf *out, struct slice *ret_raw);
void subs_put_head(struct buf *out);
void subs_put(struct buf *out, struct slice utf8);
