/*
 * directory - the names: domains, their other names and addresses, and the objects in them, held in
 * memory whole and looked up by hash. Pure: what is durable is directory-db's business.
 *
 * Invariant: only what is ACTIVE is found by routing; every other state holds the name, so that it
 * cannot be given twice, and nothing more.
 */
#pragma once

#include "common/base/addr.h"
#include "common/base/slice.h"
#include "routerd/table.h"

#include <uthash.h>

enum object_kind { OBJECT_ACCOUNT = 1, OBJECT_ALIAS = 2 };

/* Values are on disk. */
enum object_state {
	STATE_NEW = 0,      /* in memory only: its first commit is under way */
	STATE_CREATING = 1, /* durable intent: stored does not know it yet */
	STATE_ACTIVE = 2,
	STATE_DELETING = 3, /* durable intent: stored and authd are to forget it */
};

struct domain {
	struct slice name; /* lower case */
	uint64_t id;
	enum object_state state;
	size_t objects;
	UT_hash_handle hh;
};

struct domain_alias {
	struct slice name;
	struct domain *domain;
	UT_hash_handle hh;
};

struct domain_ip {
	uint8_t key[17]; /* family, then address */
	struct domain *domain;
	UT_hash_handle hh;
};

struct object {
	struct domain *domain;
	struct slice name; /* lower case */
	enum object_kind kind;
	enum object_state state;
	bool suspended;
	bool in_flow;         /* a creation or deletion is under way in this process */
	uint64_t id;          /* of an account: never reused */
	uint64_t quota_bytes; /* 0: no limit */
	struct object *owner; /* of an alias: its account */
	struct object *aliases, *next_alias;
	UT_hash_handle hh, hh_id;
};

struct directory {
	struct domain *domains;
	struct domain_alias *domain_aliases;
	struct domain_ip *ips;
	struct object *objects, *accounts; /* by domain and name; accounts by id, too */
	struct domain *main;
	struct table *table;
	uint64_t next_id;
};

void directory_init(struct directory *d);
void directory_fini(struct directory *d);

/* `name` in any case. The first looks at names alone, the second at their aliases, too. */
struct domain *directory_domain(const struct directory *d, struct slice name);
struct domain *directory_domain_any(const struct directory *d, struct slice name);
struct domain *directory_domain_by_ip(const struct directory *d, const struct addr *local);

struct object *directory_object(
    const struct directory *d, const struct domain *dom, struct slice name);
struct object *directory_account(const struct directory *d, uint64_t id);

/* New ones hold their name from now on; NULL when the name is taken or without memory. */
struct domain *directory_add_domain(
    struct directory *d, struct slice name, uint64_t id, enum object_state state);
struct object *directory_add_account(struct directory *d, struct domain *dom, struct slice name,
    uint64_t id, enum object_state state);
struct object *directory_add_alias(
    struct directory *d, struct object *owner, struct slice name, enum object_state state);

/* 0, 1 when the name belongs to another domain already, -ENOMEM. */
int directory_add_domain_alias(struct directory *d, struct domain *dom, struct slice name);
int directory_add_domain_ip(struct directory *d, struct domain *dom, const struct addr *ip);
void directory_clear_domain_aliases(struct directory *d, struct domain *dom);
void directory_clear_domain_ips(struct directory *d, struct domain *dom);

/* Frees; an account's aliases go with it, a domain must hold no objects. */
void directory_remove_object(struct directory *d, struct object *o);
void directory_remove_domain(struct directory *d, struct domain *dom);
