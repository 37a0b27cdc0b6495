/*
 * table - the Router's table: records "left = right", compiled for lookup by hash. Pure.
 *
 * Of the grammar this version takes the literal records:
 *
 *     name = other            every address of domain `name` becomes one of `other`
 *     name =                  `name` is handled as the Main Domain
 *     <user> = address        one name of the Main Domain
 *     <user@domain> = address one address
 *
 * with comments after ';'. What it does not take (wildcards, mode prefixes, relay marks) is an
 * error that names the line, never a record that is silently ignored.
 */
#pragma once

#include "common/base/slice.h"

struct table;

struct record {
	struct slice right; /* an address for an account record, a domain for a domain record */
	unsigned line;      /* from 1; earlier lines win */
	bool whole_domain;
};

/*
 * Compiles `text`, which is copied. 0 with a new table; 1 with the line and a fixed text that says
 * what is wrong with it; -ENOMEM.
 */
int table_compile(struct slice text, struct table **ret, unsigned *ret_line, const char **ret_why);
void table_free(struct table **t);

struct slice table_text(const struct table *t);
size_t table_records(const struct table *t);

/*
 * The first record for this address (lower case; empty domain = Main Domain), NULL for none. A NULL
 * table has no records.
 */
const struct record *table_find(const struct table *t, struct slice local, struct slice domain);
