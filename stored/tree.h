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
 * a name: empty, longer than MBOX_NAME_MAX, an empty level, a control character, more than
 * TREE_LEVELS_MAX levels. `out` has MBOX_NAME_MAX bytes.
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
void tree_create(struct session *s, const struct ipc_mbox_create *q);
void tree_delete(struct session *s, const struct ipc_mbox_delete *q);
void tree_rename(struct session *s, const struct ipc_mbox_rename *q);
void tree_subscribe(struct session *s, const struct ipc_mbox_subscribe *q);
void tree_place(struct session *s, const struct ipc_mbox_place *q);
