/*
 * change - one change of the directory on its way to the disk, and what to do with memory then.
 *
 * Invariant: what the change is about is held (a new name, an object's in_flow, names_in_flight)
 * from before the batch is handed in until apply or undo: two changes never build on the same
 * state.
 */
#pragma once

#include "routerd/dirconn.h"
#include "routerd/group.h"
#include "routerd/guard.h"

struct change {
	struct routerd *rd;
	struct dir_answer answer;
	void (*apply)(struct change *ch);
	void (*undo)(struct change *ch); /* optional: the commit failed */
	struct domain *domain;
	uint64_t number;
	struct object *object; /* new, or in_flow: it stays where it is meanwhile */
	struct object *held;   /* its future name */
	struct table *table;   /* owned, as is the group */
	struct group *group;
	struct alerts *alerts, *alerts_future; /* the second owned */
	struct slice *args;                    /* copies */
	size_t n;
	uint8_t *bytes; /* behind args */
};

/* With copies of the arguments; NULL after having answered. */
struct change *change_new(struct request *q);
/* One that is not handed in after all. */
void change_free(struct change *ch);
/* Hands the batch in, or undoes: `rc` is of its filling, `b` may be NULL. Takes both. */
void change_commit(struct change *ch, struct engine_batch *b, int rc);

/* For apply and undo: the change's domain is there, or is no more. */
void change_domain_live(struct change *ch);
void change_domain_forget(struct change *ch);

/* ---- what several verbs check; each answers when it is so ---- */

/* Another change of domains' names is under way: two that are checked before either is made could
 * both win a name. */
bool change_names_busy(struct request *q);
/* For apply and undo. */
void change_names_free(struct change *ch);

/* Answers that the name is taken, and by what. */
void change_name_taken(struct request *q, const struct object *o);

/* A special name of the Main Domain, which would never lead to what is called so. */
bool change_name_special(struct request *q, const struct domain *dom, struct slice name);
/* A name for a new object, NAME or NAME@DOMAIN: valid, in a domain of ours, and free. */
bool change_name_free(
    struct request *q, struct slice text, struct domain **ret_domain, struct slice *ret_name);
/* The object of that very kind which the name means and which no change is working on; NULL after
 * having answered. An account may be named by an alias. */
struct object *change_object(struct request *q, struct slice name, enum object_kind kind);
/* The account owns mailing lists, of its domain: it stays there as long as they are. */
bool change_owns_lists(struct request *q, const struct object *account);
/* Postmaster of the Main Domain, which stays. */
bool change_is_postmaster(struct request *q, const struct object *o);
