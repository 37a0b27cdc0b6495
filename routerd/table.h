/*
 * table - the Router's table: one record a line, compiled for lookup. Pure.
 *
 *     [prefix:]... name = other        every address of the domain
 *     [prefix:]... <user> = address    one name of the Main Domain
 *     [prefix:]... <user@domain> = address
 *
 * Left sides may hold wildcards (pattern.h), right sides a `*` for what each of them took. Prefixes
 * say for which modes a record is (Mail: M: Access: A: Signal: S:, none: all) and whether strangers
 * may relay through it (Relay: NoRelay: RelayAll:). ';' starts a comment.
 *
 * The first line that fits wins. Records without wildcards are found by hash; those with wildcards
 * are tried one after the other: of those for one domain only the ones of that domain, of the
 * others only those that begin as the name does. What is no record is an error that names the line,
 * never a line that is silently ignored.
 */
#pragma once

#include "routerd/pattern.h"

enum route_mode { ROUTE_MAIL, ROUTE_ACCESS, ROUTE_SIGNAL, ROUTE_MODES };

enum relay_mark { RELAY_UNMARKED, RELAY_YES, RELAY_NO, RELAY_ALL };

struct record {
	struct slice right; /* a template; as it was written */
	unsigned line;      /* from 1; earlier lines win */
	unsigned modes;     /* 1 << enum route_mode */
	enum relay_mark relay;
	bool keeps_local; /* `right` is a domain: the local part stays */
};

/* Whose record is looked for; all in lower case. */
struct subject {
	struct slice local, domain; /* no domain: a name of the Main Domain */
	struct slice main_domain;   /* which a record may spell out */
	enum route_mode mode;
	bool literal; /* no wildcard may catch it */
};

struct table_hit {
	const struct record *rec;
	struct slice parts[2 * PATTERN_WILDS_MAX]; /* what the wildcards took, in the subject */
	size_t n;
};

struct table;

/*
 * Compiles `text`, which is copied. 0 with a new table; 1 with the line and a fixed text that says
 * what is wrong with it; -ENOMEM.
 */
int table_compile(struct slice text, struct table **ret, unsigned *ret_line, const char **ret_why);
void table_free(struct table **t);

/* The same in steps, for who has others to serve meanwhile. */
struct table_build {
	struct table *table; /* owned by who began; NULL after TABLE_WRONG */
	struct slice rest;
	unsigned line;
	const char *why; /* what is wrong in this line; line 0: with the whole */
};
enum { TABLE_WRONG = 1, TABLE_MORE = 2 };

/* 0 or -ENOMEM. `text` is copied. */
int table_begin(struct slice text, struct table_build *ret);
/* So many lines. TABLE_MORE, TABLE_WRONG; 0: it is whole. */
int table_step(struct table_build *b, unsigned lines);

struct slice table_text(const struct table *t);
size_t table_records(const struct table *t);
size_t table_wild_records(const struct table *t);

/*
 * The first line whose left side spells out this domain, or 0. With `whole` only records for every
 * address of it count. A record that makes it the Main Domain ("name =") does not.
 */
unsigned table_line_for(const struct table *t, struct slice domain, bool whole);

/* The first record for the subject, if any. A NULL table has no records. */
bool table_find(const struct table *t, const struct subject *s, struct table_hit *ret);
