/*
 * model - accounts and mailboxes out of the rows of a store, as far as they are left.
 *
 * Invariant: every mailbox that has rows is listed, once, under an account: one whose name is lost
 * has a made-up name, one whose owner is lost is of an account without one.
 */
#pragma once

#include "common/engine/raw.h"
#include "stored/keywords.h"
#include "stored/record.h"
#include "stored/runs.h"
#include "stored/salvage/names.h"
#include "stored/salvage/report.h"

struct sv_mbox {
	uint64_t id;
	struct sv_account *account;
	struct slice name;   /* owned */
	struct mbox_rec rec; /* without its name */
	bool named, has_head, doubt;
	bool deleted; /* it can be restored (docs/undelete.md) */
	struct mbox_head head;
	struct keywords keywords;
	struct uid_ranges expunged; /* these can be restored */
	/* counted while the messages are walked */
	uint32_t messages, unseen, uid_max;
	uint64_t bytes, modseq;
	uint64_t lost; /* of the messages */
	uint32_t n_expunged;
};

struct sv_account {
	uint64_t id;
	struct slice name; /* owned */
	const struct named *named;
	bool has_root;
	struct root_rec root;
	struct sv_mbox **mboxes;
	size_t n;
};

struct model {
	struct raw *raw;
	struct idmap by_id, mbox_by_id;
	struct sv_account **accounts;
	size_t n;
	uint64_t messages; /* rows of them */
};

/* The rows that a model needs (for open_raw()). */
bool model_keeps(void *arg, struct slice group, struct slice key);

/* Reports rows that say nothing any more. 0 or -ENOMEM. */
int model_load(struct model *m, struct raw *raw, const struct names *names, struct report *rep);
void model_fini(struct model *m);

uint32_t sv_mbox_validity(const struct sv_mbox *b);

struct place model_place(const struct sv_mbox *m, uint32_t uid);

/* Rows of one kind of a root group that hold names: directories, subscriptions. */
typedef int model_name_fn(void *arg, uint64_t id, struct slice name);
int model_each_name(
    const struct model *m, uint64_t account, enum record_kind k, model_name_fn *fn, void *arg);
