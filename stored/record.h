/*
 * record - what stored writes into the groups of the engine: keys and values, packed and unpacked.
 *
 * Pure. Every value begins with a version byte; a higher one than ours is refused, so that an older
 * program never misreads a newer store. docs/store.md describes the same bytes.
 */
#pragma once

#include "common/base/keyset.h"
#include "common/base/slice.h"

#include <stdbool.h>

enum {
	RECORD_VERSION = 1,
	RECORD_KEY_MAX = 16,
	RECORD_HEAD_BYTES = 80,
	RECORD_MSG_BYTES = 72,   /* and 2 for each keyword beyond the first 64 */
	RECORD_FLAGS_BYTES = 24, /* the same */
	RECORD_MORE_BYTES = 2 * (KEYSET_NUMBERS_MAX - KEYSET_BITS),
	RECORD_MSG_MAX = RECORD_MSG_BYTES + RECORD_MORE_BYTES,
	RECORD_FLAGS_MAX = RECORD_FLAGS_BYTES + RECORD_MORE_BYTES,
	RECORD_ROOT_BYTES = 24,
	RECORD_MBOX_BYTES = 8, /* and the name */
	RECORD_NAME_BYTES = 4, /* and the name */
	RECORD_RUN_BYTES = 32,
	RECORD_LOST_BYTES = 16, /* and the name */
	RECORD_ALLOW_BYTES = 12,
	RECORD_APPLIED_BYTES = 12,
	RECORD_INTENT_GROUPS = 64, /* that one intent is about, beside the group that it is in */
	RECORD_INTENT_MAX = 12 + RECORD_INTENT_GROUPS * (RECORD_KEY_MAX + 6),
	RECORD_CROSS_BYTES = 36, /* and 8 for each run of uids */
	RECORD_CROSSED_BYTES = 12,
	RECORD_THREAD_BYTES = 9,
	RECORD_THREADS_BYTES = 12,
};

/* First byte of a key; groups are ordered by it. */
enum record_kind {
	REC_ACCOUNT = 'a',  /* store: account -> shard */
	REC_IDS = 'i',      /* store: next block of ids */
	REC_HEAD = 'h',     /* root, mailbox, threads: the one header */
	REC_MBOX = 'b',     /* root: mailbox id -> name */
	REC_DIR = 'p',      /* root: id -> name that only holds others */
	REC_SUB = 'n',      /* root: id -> name that is subscribed */
	REC_ALLOW = 'q',    /* root: what the user restored today */
	REC_INTENT = 'j',   /* root and store: what is to be done in other groups, see intent.h */
	REC_APPLIED = 'y',  /* root and mailbox: the last intent that was carried out here */
	REC_LOST = 'z',     /* root: id -> mailbox that was deleted and can be restored */
	REC_THREAD = 'c',   /* threads: number of a message id -> thread */
	REC_DOOMED = 'd',   /* mailbox: expunged, still in a session's view */
	REC_CROSS = 'g',    /* root and mailbox: a move into another account, see cross.h */
	REC_FLAGS = 'f',    /* mailbox: flags of a message, changed since it arrived */
	REC_KEYWORDS = 'k', /* mailbox: rows of names, see keywords.h */
	REC_LOANS = 'l',    /* mailbox: facts and headers that are shared, see loans.h */
	REC_HEADER = 'o',   /* mailbox: the header section of a message */
	REC_RUN = 't',      /* mailbox: messages that were expunged and can be restored */
	REC_MSG = 'u',      /* mailbox: a message */
	REC_GONE = 'v',     /* mailbox: history of expunges */
	REC_WARNED = 'w',   /* INBOX: the day of the last message about the quota */
	REC_FACTS = 'x',    /* mailbox: facts of a message */
};

enum mbox_kind { MBOX_STORE, MBOX_EXTERNAL };

enum facts_source { FACTS_FRONT_END = 1, FACTS_PARSED = 2 };

struct rec_key {
	uint8_t p[RECORD_KEY_MAX];
	uint8_t n;
};

static inline struct slice key_slice(const struct rec_key *k)
{
	return slice_of(k->p, k->n);
}

/* ids of groups */
struct rec_key key_group_store(void);
struct rec_key key_group_root(uint64_t account);
struct rec_key key_group_mbox(uint64_t mbox);
struct rec_key key_group_threads(uint64_t account);

struct rec_key key_kind(enum record_kind k);              /* REC_HEAD, REC_IDS */
struct rec_key key_kind_end(enum record_kind k);          /* behind all keys of that kind */
struct rec_key key_u32(enum record_kind k, uint32_t uid); /* by uid */
struct rec_key key_u64(enum record_kind k, uint64_t id);  /* by id */
/* Row `row` of the names of keywords. */
struct rec_key key_keywords(unsigned row);
struct rec_key key_gone(uint64_t modseq, uint32_t first_uid); /* REC_GONE */
struct rec_key key_run(uint64_t modseq, uint32_t first_uid);  /* REC_RUN */
struct rec_key key_facts(uint32_t uid, enum facts_source source);
/* Of a generation the first one, with number 0. */
struct rec_key key_thread(uint32_t generation, uint64_t number);

/* The least key behind this one, for the next page of a scan. */
struct rec_key key_after(struct slice key);

/* The number in a key of that kind: 0, or 1 when the key is not one. */
int key_get_u32(struct slice key, enum record_kind k, uint32_t *ret_uid);
int key_get_u64(struct slice key, enum record_kind k, uint64_t *ret_id);

struct mbox_head {
	enum mbox_kind kind;
	uint32_t uidvalidity, uidnext, exists, unseen;
	uint64_t bytes, modseq;
	uint64_t account;
	uint64_t gone_floor;  /* expunges up to this modseq are no longer in the history */
	uint32_t recent_from; /* no view was told of messages from this uid on */
	uint32_t keywords;    /* how many names the dictionary has */
	uint32_t gone_rows;   /* rows of history since it was cut */
	uint32_t lost;        /* messages that can be restored, not among the above */
	uint64_t lost_bytes;
	uint32_t staged; /* rows from this uid on are of a copy that is not over; 0: none */
	bool loans; /* there may be REC_LOANS rows; if not, those that there are do not count */
};

struct msg_rec {
	uint32_t flags;         /* at arrival, and the next */
	struct keyset keywords; /* numbers of the mailbox's dictionary; into the value */
	uint64_t size, modseq, id, sum;
	int64_t date;    /* internal date, s */
	int64_t saved;   /* when it came into this mailbox, s */
	uint64_t thread; /* 0: not known yet */
};

struct flags_rec {
	uint32_t flags;
	struct keyset keywords; /* into the value */
	uint64_t modseq;
};

struct root_rec {
	uint64_t account;
	uint32_t next_uidvalidity;
	int64_t created;
	bool hold; /* nothing that can be restored is purged */
};

struct mbox_rec {
	enum mbox_kind kind;
	uint32_t uidvalidity;
	uint32_t attrs;    /* special uses: IPC_ATTR_... */
	struct slice name; /* into the value */
};

/*
 * Messages that one change expunged and that can be restored: their rows are still there. A uid in
 * several runs belongs to the oldest. Nothing else lies between the first and the last.
 */
struct run_rec {
	uint64_t modseq;
	uint32_t first, last, n;
	uint64_t bytes;
	int64_t when; /* s */
};

/* A mailbox that was deleted. */
struct lost_rec {
	struct mbox_rec mbox;
	int64_t when; /* s */
};

/* The index of threads. */
struct threads_rec {
	uint32_t generation, rows; /* that is written now, and how many it has */
};

struct allow_rec {
	uint32_t day, n; /* days since 1970; messages */
};

/* What is to be done: the rows behind it, of one group after the other. */
struct intent_rec {
	uint64_t id;
	unsigned n;
	struct {
		struct rec_key group;
		unsigned shard;
		uint32_t rows;
	} to[RECORD_INTENT_GROUPS];
};

/* In the root of the account that messages leave: by the move `id` they go from one mailbox into
 * another account's. In that one's group a row with that id says that they are there. */
struct cross_rec {
	uint64_t id, from, account, to; /* to: a mailbox of that account */
	struct slice uids;              /* pairs; into the value */
};

void head_pack(const struct mbox_head *h, uint8_t out[RECORD_HEAD_BYTES]);
/* Their bytes. */
size_t msg_pack(const struct msg_rec *m, uint8_t out[RECORD_MSG_MAX]);
size_t flags_pack(const struct flags_rec *f, uint8_t out[RECORD_FLAGS_MAX]);
void root_pack(const struct root_rec *r, uint8_t out[RECORD_ROOT_BYTES]);
/* `out` has RECORD_MBOX_BYTES + name.n bytes; returns that. */
size_t mbox_pack(const struct mbox_rec *m, uint8_t *out);
/* A directory or a subscription: RECORD_NAME_BYTES and the name. */
size_t name_pack(struct slice name, uint8_t *out);
void run_pack(const struct run_rec *r, uint8_t out[RECORD_RUN_BYTES]);
/* `out` has RECORD_LOST_BYTES + name.n bytes; returns that. */
size_t lost_pack(const struct lost_rec *l, uint8_t *out);
void thread_row_pack(uint64_t thread, uint8_t out[RECORD_THREAD_BYTES]);
void threads_pack(const struct threads_rec *t, uint8_t out[RECORD_THREADS_BYTES]);
void allow_pack(const struct allow_rec *a, uint8_t out[RECORD_ALLOW_BYTES]);
size_t intent_pack(const struct intent_rec *i, uint8_t out[RECORD_INTENT_MAX]);
void applied_pack(uint64_t intent, uint8_t out[RECORD_APPLIED_BYTES]);
/* `out` has RECORD_CROSS_BYTES + uids.n bytes; returns that. */
size_t cross_pack(const struct cross_rec *c, uint8_t *out);
void crossed_pack(uint64_t account, uint8_t out[RECORD_CROSSED_BYTES]); /* where they were */

/* All: 0, or 1 when the value is damaged or of a newer version. */
int head_unpack(struct slice v, struct mbox_head *ret);
int msg_unpack(struct slice v, struct msg_rec *ret);
int flags_unpack(struct slice v, struct flags_rec *ret);
int root_unpack(struct slice v, struct root_rec *ret);
int mbox_unpack(struct slice v, struct mbox_rec *ret);
int name_unpack(struct slice v, struct slice *ret_name);
int run_unpack(struct slice key, struct slice v, struct run_rec *ret);
int lost_unpack(struct slice v, struct lost_rec *ret);
int thread_row_unpack(struct slice v, uint64_t *ret_thread);
int threads_unpack(struct slice v, struct threads_rec *ret);
int allow_unpack(struct slice v, struct allow_rec *ret);
int intent_unpack(struct slice v, struct intent_rec *ret);
int applied_unpack(struct slice v, uint64_t *ret_intent);
int cross_unpack(struct slice v, struct cross_rec *ret);
