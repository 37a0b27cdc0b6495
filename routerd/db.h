/*
 * db - the directory made durable: one engine group holds every row, memory holds it all.
 *
 * Rows (keys sort so that what is referred to comes first; integers are little endian in values,
 * big endian in keys; each value starts with its version, 1):
 *
 *     D name            domain: u64 id, u8 state, u8 is the Main Domain, u8 suspended
 *     F u64 domain name forwarder: its address
 *     G u64 domain name group: u64 id, u32 enum group_flag
 *     I family address  local addresses of a domain from this one on: u64 domain id, and the last of
 *                       them (16 bytes; missing: there is but one)
 *     M u64 group part  (u16) members in their order, each: u64 id, or 0 and an address with its
 *                       length (u32)
 *     N                 u64 next id, for domains and all objects alike
 *     O u64 domain name account: u8 state, u8 suspended, u64 id, u64 MaxAccountSize of its own in
 *                       bytes, 0: none, all ones: no limit
 *     P u64 domain name alias: u64 id of its account
 *     Q u64 domain name mailing list: u64 id, u64 id of its owner's account
 *     R, S              rights and settings (settings-db.h)
 *     T u16 part        Router table, its text in parts
 *     W scope u64 id    alerts of the server, a domain, an account: u64 time, text with its length
 *                       (u32), again and again
 *     d name            other name of a domain: u64 domain id
 *     w u64 account     newest alerts that it was shown: i64 time, of the server, domain, account
 *
 * Commits of one group keep their order, so the caller changes memory when it hands a batch in (in
 * a state that routing does not see) and makes it count when the batch is durable.
 */
#pragma once

#include "common/engine/engine.h"
#include "routerd/directory.h"
#include "routerd/group.h"

struct db {
	struct engine *engine;
	struct engine_group *group;
	struct directory dir;
	bool table_odd; /* its rows are not those that db_put_table() writes for its text */
};

/*
 * Reads the directory; waits for the engine, so it is for start-up only. A new store gets the Main
 * Domain `main_domain`, and postmaster in it, which stored makes when it is there. 0; -EUCLEAN when
 * a row makes no sense; another negative value of the engine.
 */
int db_open(struct db *db, struct engine *e, struct slice main_domain);
void db_close(struct db *db);

/* A change: rows are put, then committed as one. NULL without memory. */
struct engine_batch *db_begin(struct db *db);
int db_put_domain(struct db *db, struct engine_batch *b, const struct domain *dom);
int db_put_object(struct engine_batch *b, const struct object *o); /* a group without its members */
/* In place of those it had. */
int db_put_members(struct engine_batch *b, uint64_t group, const struct group *g);
int db_put_next_id(struct db *db, struct engine_batch *b);
/* `was`: the table that is durable, in rows that are not odd; else nothing. Only parts that differ
 * are written. */
int db_put_table(struct engine_batch *b, struct slice was, struct slice text);
/* Those of one holder in place of what it had. */
int db_put_alerts(struct engine_batch *b, const struct alerts *a);
int db_put_shown(struct engine_batch *b, const struct shown *s);
/* All other names (addresses) of the domain in place of the old ones. */
int db_put_domain_aliases(struct db *db, struct engine_batch *b, const struct domain *dom,
    const struct slice *names, size_t n);
int db_del_domain_alias(struct engine_batch *b, struct slice name);
int db_put_domain_ips(struct db *db, struct engine_batch *b, const struct domain *dom,
    const struct addr_range *ips, size_t n);
/* The object's row, with an account's aliases, a group's members. */
int db_del_object(struct engine_batch *b, const struct object *o);
/* Only the row under this name: for a rename. */
int db_del_name(struct engine_batch *b, const struct object *o);
int db_del_aliases(struct engine_batch *b, const struct object *account);
int db_del_domain_name(struct engine_batch *b, const struct domain *dom);
int db_del_domain(struct db *db, struct engine_batch *b, const struct domain *dom);
