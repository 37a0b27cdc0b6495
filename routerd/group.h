/*
 * group - names that stand for several accounts. Pure.
 *
 * Invariant: a member that is an account or a group of this server is kept by its number, so that
 * it stays one when it is renamed and nobody inherits its place with its name; every other member
 * is an address. Either way mail to a member goes where the Router sends that name now.
 */
#pragma once

#include "routerd/limits.h"
#include "routerd/route.h"

/* Values are on disk; 0 is what a new group has. */
enum group_flag {
	GROUP_NO_EXPAND = 1 << 0,        /* groups among the members get nothing */
	GROUP_REMOVE_TO_AND_CC = 1 << 1, /* kept; without effect until messages are queued */
	GROUP_FINAL_DELIVERY = 1 << 2,   /* the same */
	GROUP_EMAIL_DISABLED = 1 << 3,   /* mail to the group is refused; it still has members */
	GROUP_FLAGS = 15,
};

struct group_member {
	uint64_t id;   /* of an account or group; 0: an address */
	char *address; /* full, with its domain */
};

struct group {
	uint32_t flags;
	size_t n;
	struct group_member *members;
};

/* Settings of a group by name, YES or NO each; Members comes besides. */
enum { GROUP_SETTINGS = 4 };
extern const struct group_setting {
	const char *name;
	enum group_flag flag;
	bool inverted; /* the flag says NO */
	bool later;    /* only NO is possible yet */
} group_settings[GROUP_SETTINGS];

bool group_setting_is(const struct group *g, size_t i);
/* 0; 1 when there is no such setting or `value` is not YES or NO. */
int group_setting_set(struct group *g, struct slice name, struct slice value);

struct group *group_new(void); /* NULL without memory */
void group_free(struct group **g);

struct actor;

/*
 * One more member, by what was typed: an address without a domain is one of `home`. What is in a
 * domain that `who` may not look at stays the text it is: kept by its number it would come back in
 * another form, and tell him that it exists and how it is called later. 0, 1 when it is no address,
 * 2 when there are too many, -ENOMEM.
 */
int group_add(struct group *g, const struct directory *d, const struct actor *who,
    const struct domain *home, struct slice text);
/* As read from the disk: id 0 and an address, or an id. 0 or as above. */
int group_add_raw(struct group *g, uint64_t id, struct slice address);

/* The member's name today; false (and nothing) when what it was is no more. */
bool group_put_member(const struct directory *d, const struct group_member *m, struct buf *out);

/* The accounts behind a group, each once, ascending. */
struct group_accounts {
	uint64_t ids[GROUP_FOLLOWED_MAX];
	size_t n;
	enum ipc_route_status status; /* OK, or why mail to the group cannot be taken */
	const char *why;              /* fixed text for the sender; may be NULL */
};

/*
 * Follows all members, members of members too, each group once, by the routes of mail. A member
 * that does not exist or is suspended is left out; one that leads away from this server, or that
 * cannot be known now, makes the status. `scratch` is overwritten.
 */
void group_expand(const struct directory *d, const struct object *group, struct route *scratch,
    struct group_accounts *ret);

/*
 * Is the account behind the group? For rights given to `#group`: members of members too, each group
 * once, unless Expand is NO; whether the group takes mail does not matter. Members are whom they
 * name, by number or as at a login, whatever becomes of their mail; who is suspended is none now.
 */
bool group_has(
    const struct directory *d, const struct object *group, uint64_t account, struct route *scratch);
