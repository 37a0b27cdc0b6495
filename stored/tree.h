/*
 * tree - the names of an account: mailboxes, directories (names that only hold others) and
 * subscriptions, kept in the account's root group.
 *
 * Invariant: what is in memory is what is durable. Changes of the tree of one account happen one
 * after the other, each in one commit; each list is ordered so that children follow their parent.
 */
#pragma once

#include "stored/store-private.h"

/* A directory or a subscription: a name without messages. */
struct tree_name {
	uint64_t id;       /* of its row */
	struct slice name; /* owned */
};

/* Order of names: bytes, but '/' below all others. */
int tree_compare(struct slice a, struct slice b);

/*
 * The name as it is stored: INBOX in capitals where it is the first level. False when it cannot be
 * a name: empty, longer than MBOX_NAME_MAX, not UTF-8, an empty level, a control character, more
 * than TREE_LEVELS_MAX levels. `out` has MBOX_NAME_MAX bytes.
 */
bool tree_name_good(struct slice name, uint8_t *out, struct slice *ret_name);

/* First index whose name is not below; *ret_found when it is equal. */
size_t tree_names_lower(const struct tree_names *l, struct slice name, bool *ret_found);
size_t tree_mboxes_lower(const struct account *a, struct slice name, bool *ret_found);

/* It is the name, or below it. */
bool tree_name_within(struct slice name, struct slice top);
/* Something is below the name. */
bool tree_has_children(const struct account *a, struct slice name);

/* Into the account's lists, at their places. 0 or 1 without memory. */
int tree_names_add(struct tree_names *l, uint64_t id, struct slice name);
void tree_names_remove(struct tree_names *l, size_t i);
int tree_mboxes_add(struct account *a, struct mbox *take_m);
void tree_mboxes_sort(struct account *a);

/* tree-op.c: what a session asks to change; answered by mbox_done. */
void tree_create(struct session *s, struct account *a, const struct ipc_mbox_create *q);
void tree_delete(struct session *s, struct account *a, const struct ipc_mbox_delete *q);
void tree_rename(struct session *s, struct account *a, const struct ipc_mbox_rename *q);
void tree_subscribe(struct session *s, const struct ipc_mbox_subscribe *q);
void tree_place(struct session *s, const struct ipc_mbox_place *q);

/* The same for ourselves; `id` is that of a new mailbox. Called later or at once. */
typedef void tree_done_fn(void *arg, int status, uint64_t id);
/* Again what was deleted: with its special uses. */
void tree_make(struct account *a, struct slice name, uint32_t attrs, tree_done_fn *done, void *arg);
/* A subscription; it need not be a mailbox. */
void tree_want(struct account *a, struct slice name, tree_done_fn *done, void *arg);
/* A deleted mailbox that nothing is left of. IPC_ST_OK, too, when it is something else now. */
void tree_erase(struct account *a, uint64_t id, tree_done_fn *done, void *arg);
/* Nothing that can be restored is purged from now on; or it is again. */
void tree_hold(struct account *a, bool on, tree_done_fn *done, void *arg);
/* The user is about to restore so many messages: IPC_ST_LIMIT when that is too many for today. */
void tree_allow(struct account *a, size_t n, tree_done_fn *done, void *arg);
/* How many more it may be today. */
uint32_t tree_allowed(const struct account *a);
