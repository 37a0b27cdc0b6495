/*
 * dirfile - the directory as a text: what `dump` writes, `apply` reads and compares.
 *
 *     # a comment
 *     server {Settings={...}; DomainDefaults={...}; AccountDefaults={...};}
 *     router "<name> = address"
 *     domain "client.test" {Aliases=("c.test"); IPAddresses=(...); Settings={...}; ...}
 *     account "ann@client.test" {Aliases=(ann.b); Rights=(...); Settings={...}; Alerts=(text);}
 *     group "staff@client.test" {Members=("ann@client.test");}
 *     forwarder "old@client.test" {Address="ann@elsewhere.test";}
 *     list "news@client.test" {Owner="ann@client.test";}
 *
 * One object a line. Invariant: a text that was parsed, or read from a server, and is printed is
 * the same whatever order its objects, keys and names were in; so two directories are equal when
 * their texts are.
 */
#pragma once

#include "common/data/data.h"

#include <stdio.h>

enum dir_kind {
	DIR_SERVER,
	DIR_ROUTER, /* a line of the table; the order stays */
	DIR_DOMAIN,
	DIR_ACCOUNT,
	DIR_GROUP,
	DIR_FORWARDER,
	DIR_LIST,
	DIR_KINDS
};

enum { DIR_PARTS_MAX = 7 };

/* What an object of a kind consists of; row `kind` of dir_parts, up to the first without a key. */
struct dir_part {
	const char *key;
	/* d dictionary, s string, a array of names whose order says nothing, l list of texts, which
	 * stays as it is where the file says nothing of it */
	char value;
	const char *get; /* command that asks for it */
	const char *set; /* and that puts another in its place; NULL: of a forwarder and a list */
};

/* Of a domain: its addresses come with its settings, and its state with what is known of it. */
enum { PART_IPS = 0, PART_DOMAIN_SETTINGS = 2, PART_TEMPLATE = 4, PART_SUSPENDED = 5 };
enum { PART_ACCOUNT_SETTINGS = 1 };

extern const struct dir_part dir_parts[DIR_KINDS][DIR_PARTS_MAX + 1];
extern const char *const dir_kind_words[DIR_KINDS];

struct dir_entry {
	enum dir_kind kind;
	struct slice name;                /* lower case, with the domain; of DIR_ROUTER the line */
	struct slice part[DIR_PARTS_MAX]; /* as canonical text; empty: nothing is set */
	unsigned line;                    /* in the file */
};

struct dirfile {
	struct arena mem;
	struct dir_entry *entries;
	size_t n, cap;
};

void dirfile_init(struct dirfile *f);
void dirfile_fini(struct dirfile *f);

/* A new entry at the end; NULL without memory. `name` is copied. */
struct dir_entry *dirfile_add(struct dirfile *f, enum dir_kind kind, struct slice name);
/* Puts a value in its canonical form; one that says nothing is left out. False without memory. */
bool dirfile_set(struct dirfile *f, struct dir_entry *e, size_t part, const struct data *value);
/* In their order, by kind, domain and name; the Router's lines stay as they are. */
void dirfile_sort(struct dirfile *f);
/* Of a sorted one; NULL when it is not there. */
const struct dir_entry *dirfile_find(
    const struct dirfile *f, enum dir_kind kind, struct slice name);

/* False after having said on stderr which lines are wrong, and why. */
bool dirfile_parse(struct dirfile *f, const char *path, struct slice text);
void dirfile_print(const struct dirfile *f, FILE *to);
void dir_entry_print(const struct dir_entry *e, FILE *to);
