/*
 * rights - what administrators may do: by their row in the directory as it is now, looked up for
 * every request, so that a right taken away is gone at once.
 *
 * Nobody changes an account that may do more than himself, or will when it is resumed: its
 * password, its name, its mail would give him its rights. Invariant: what no row of verbs.def and
 * no word of enum ipc_may allows is refused.
 */
#pragma once

#include "common/ipc/types.h"
#include "routerd/directory.h"

/* Who asks. */
struct actor {
	uint32_t rights;              /* enum ipc_right; with MASTER everything */
	const struct object *account; /* NULL: root of this machine, or nobody any more */
};

enum verb_kind { LOOKS, CHANGES };

/* What a verb is about: arguments, by their numbers. */
enum verb_target {
	TARGET_ANYONE,  /* whoever logged in may; the verb looks at his rights itself */
	TARGET_NOTHING, /* every administrator may know */
	TARGET_SERVER,
	TARGET_DOMAIN,   /* the domain 0 */
	TARGET_NAME,     /* a name 0 that is to be: its domain */
	TARGET_OBJECT,   /* the object 0 and its domain */
	TARGET_OWN,      /* the same, and the account 0 itself may */
	TARGET_MOVE,     /* the object 0, and a name 1 that is to be */
	TARGET_SETTINGS, /* the scope 0, whose name is 1 */
};

/* What a verb of verbs.def needs: any of the rights, over all that it is about. */
struct verb_need {
	enum verb_kind kind;
	uint32_t rights;
	enum verb_target target;
};

/* As they were given, whatever counts; postmaster of the Main Domain has Master from the beginning.
 */
uint32_t rights_given(const struct directory *d, const struct object *o);
/* What the account may do now: nothing unless it is active; server rights in the Main Domain only.
 */
uint32_t rights_of(const struct directory *d, const struct object *o);
bool rights_has_master(const struct directory *d, const struct object *o);

/* By the account's number; 0: `given` rights, of root. */
struct actor rights_actor(const struct directory *d, uint64_t account, uint64_t given);

bool rights_allow(const struct directory *d, const struct actor *who, const struct verb_need *need,
    const struct slice *args, size_t n);

/* May he look at all that is in the domain (NULL: in every one)? */
bool rights_sees_domain(const struct actor *who, const struct domain *dom);

/* May he change a setting that needs any of `rights` there? dom NULL: of the server. */
bool rights_allow_setting(const struct directory *d, const struct actor *who, uint64_t rights,
    const struct domain *dom, const struct object *o);

/* What authd and stored ask for; enum ipc_may, target 0: the whole server. */
bool rights_may(const struct directory *d, uint64_t who, uint32_t what, uint64_t target);

/*
 * May `who` give `o` exactly these rights? NULL, or why not. Server rights are Master's to give, to
 * accounts of the Main Domain; its postmaster keeps Master.
 */
const char *rights_refuse_set(
    const struct directory *d, const struct actor *who, const struct object *o, uint32_t rights);

/* One right by its name in any case, 0 for none. */
uint32_t rights_find(struct slice name);
/* The name of bit number `bit`. */
const char *rights_name(unsigned bit);
/* All names, a blank between. */
void rights_put(struct buf *b, uint64_t rights);
