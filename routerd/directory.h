/*
 * directory - the names: domains, their other names and addresses, and the objects in them, held in
 * memory whole and looked up by hash. Pure: what is durable is db's business.
 *
 * Invariants: one name space for a domain's objects of all kinds; only what is ACTIVE is found by
 * routing, every other state holds the name, so that it cannot be given twice, and nothing more.
 */
#pragma once

#include "common/base/addr_range.h"
#include "common/base/idmap.h"
#include "common/base/slice.h"
#include "routerd/nametab.h"
#include "routerd/alerts.h"
#include "routerd/table.h"

#include <uthash.h>

/* Of the Main Domain: it exists from the first start on and cannot be done away with. */
#define POSTMASTER SLICE("postmaster")

/* An account's own MaxAccountSize that lifts the limit of its domain. */
#define QUOTA_UNLIMITED UINT64_MAX

enum object_kind {
	OBJECT_ACCOUNT = 1,
	OBJECT_ALIAS,
	OBJECT_FORWARDER,
	OBJECT_GROUP,
	OBJECT_LIST,
	OBJECT_HELD, /* in memory only: the name is being given to something */
	OBJECT_KINDS
};

/* Values are on disk. */
enum object_state {
	STATE_NEW = 0,      /* in memory only: its first commit is under way */
	STATE_CREATING = 1, /* durable intent: stored does not know it yet */
	STATE_ACTIVE = 2,
	STATE_DELETING = 3, /* durable intent: stored and authd are to forget it */
	STATE_PROMISED = 4, /* as CREATING, with a secret: taken back when authd has none */
};

struct settings;

struct domain {
	struct slice name; /* lower case */
	uint64_t id;
	enum object_state state;
	bool suspended;
	struct nametab objects;
	struct settings *settings, *account_defaults, *account_template; /* NULL: none set */
	UT_hash_handle hh;
};

struct domain_alias {
	struct slice name;
	struct domain *domain;
	UT_hash_handle hh;
};

/* Local addresses that lead to a domain; no two have an address in common. */
struct domain_ip {
	struct addr_range range;
	struct domain *domain;
};

struct group;

/* There are many: what is added here is multiplied. Found by routing until it is removed; its
 * address changes when it is renamed, so that whatever waits keeps the id. */
struct object {
	struct domain *domain;
	struct slice name; /* lower case; the bytes lie behind the struct */
	uint32_t hash;     /* of the name */
	enum object_kind kind : 8;
	enum object_state state : 8;
	bool suspended;
	bool in_flow; /* a change is under way in this process: no other may begin */
	uint64_t id;  /* of accounts, groups, lists: never used again */
	union {
		uint64_t quota_bytes; /* of an account, its own: 0 none, or QUOTA_UNLIMITED; see
					 settings_quota() */
		char *address;        /* of a forwarder */
		struct group *group;  /* of a group: routerd/group.h */
		uint64_t owner_id;    /* of a list: the account */
	};
	struct object *owner; /* of an alias: its account */
	struct object *aliases, *next_alias;
	struct settings *settings; /* of an account, with its rights; NULL: none set */
	uint8_t bytes[];
};

struct directory {
	struct domain *domains;
	struct domain_alias *domain_aliases;
	struct domain_ip *ips; /* in order */
	size_t n_ips, cap_ips;
	struct idmap domain_ids, accounts, groups, lists;
	size_t counts[OBJECT_KINDS];
	struct domain *main;
	struct settings *settings, *domain_defaults, *account_defaults; /* of the server */
	struct table *table;
	struct alerts *alerts;
	struct shown *shown;
	struct idmap tallies; /* tally.h */
	uint64_t next_id;
	uint64_t seed; /* of the hashes of names: whoever gives names cannot choose their places */
};

void directory_init(struct directory *d);
void directory_fini(struct directory *d);

/* ---- directory.c: domains ---- */

/* `name` in any case. The first looks at names alone, the second at their aliases, too. */
struct domain *directory_domain(const struct directory *d, struct slice name);
struct domain *directory_domain_any(const struct directory *d, struct slice name);
struct domain *directory_domain_by_id(const struct directory *d, uint64_t id);

/* A new one holds its name from now on; NULL when the name is taken or without memory. */
struct domain *directory_add_domain(
    struct directory *d, struct slice name, uint64_t id, enum object_state state);
/* `name` is free; an alias of this very domain gives way to it. */
int directory_rename_domain(struct directory *d, struct domain *dom, struct slice name);
/* It must hold no objects. */
void directory_remove_domain(struct directory *d, struct domain *dom);

/* 0, 1 when the name belongs to another domain already, -ENOMEM. */
int directory_add_domain_alias(struct directory *d, struct domain *dom, struct slice name);
void directory_clear_domain_aliases(struct directory *d, struct domain *dom);

/* ---- ips.c: local addresses of domains ---- */

/* 0, also when it is there already; 1 when an address of it is taken, -ENOMEM. */
int directory_add_domain_ips(
    struct directory *d, struct domain *dom, const struct addr_range *range);
void directory_clear_domain_ips(struct directory *d, const struct domain *dom);
/* A row that has an address in common with the range and is not of `but`, or NULL. */
const struct domain_ip *directory_ips_meeting(
    const struct directory *d, const struct addr_range *range, const struct domain *but);
struct domain *directory_domain_by_ip(const struct directory *d, const struct addr *local);

/* ---- object.c: objects ---- */

/* "account", "mailing list"... */
const char *object_kind_text(enum object_kind kind);

struct object *directory_object(
    const struct directory *d, const struct domain *dom, struct slice name);
struct object *directory_account(const struct directory *d, uint64_t id);
struct object *directory_group(const struct directory *d, uint64_t id);
struct object *directory_list(const struct directory *d, uint64_t id);

/* An account that can do something now: neither it nor its domain is suspended, coming or going.
 * `o` may be NULL, or something else. */
static inline bool account_live(const struct object *o)
{
	return o != NULL && o->kind == OBJECT_ACCOUNT && o->state == STATE_ACTIVE &&
	       !o->suspended && o->domain->state == STATE_ACTIVE && !o->domain->suspended;
}

/* Its name is given, and it is not there yet. */
static inline bool account_coming(const struct object *o)
{
	return o->state == STATE_CREATING || o->state == STATE_PROMISED;
}

/* All accounts in turn, from *at = 0 on; NULL at the end. Nothing may come or go in between. */
static inline struct object *directory_next_account(const struct directory *d, size_t *at)
{
	return idmap_next(&d->accounts, at);
}

/* The same for all objects of a domain. */
static inline struct object *domain_next_object(const struct domain *dom, size_t *at)
{
	return nametab_next(&dom->objects, at);
}

/* New ones hold their name from now on; NULL when the name is taken or without memory. */
struct object *directory_add_account(struct directory *d, struct domain *dom, struct slice name,
    uint64_t id, enum object_state state);
struct object *directory_add_alias(
    struct directory *d, struct object *owner, struct slice name, enum object_state state);
struct object *directory_add_forwarder(struct directory *d, struct domain *dom, struct slice name,
    struct slice address, enum object_state state);
/* Without members. */
struct object *directory_add_group(struct directory *d, struct domain *dom, struct slice name,
    uint64_t id, enum object_state state);
struct object *directory_add_list(struct directory *d, struct domain *dom, struct slice name,
    uint64_t id, uint64_t owner, enum object_state state);

/* Only the name, for an object that is to move there. */
struct object *directory_hold(struct directory *d, struct domain *dom, struct slice name);
/* `o` is what `held` was made for: it has that name, in that domain, from now on, at the address
 * of `held`; its aliases stay where they are. Cannot fail. */
void directory_move_object(struct directory *d, struct object *o, struct object *held);

/* Frees; an account's aliases go with it. */
void directory_remove_object(struct directory *d, struct object *o);
void directory_remove_aliases(struct directory *d, struct object *account);
