/*
 * record - one line of the Router's table taken apart and checked; table.c and its tests only.
 */
#pragma once

#include "routerd/table.h"

struct record_line {
	struct record rec;
	struct slice local, domain; /* of the left side, lower case, in the scratch buffers */
	bool whole_domain, empty;   /* empty: the line holds no record */
	bool wild_local, wild_domain;
	struct pattern local_pattern, domain_pattern;
};

/*
 * `line` without its end. Lower-case copies and patterns go to `mem`; rec.right stays a part of
 * `line`. NULL when fine, else a fixed text that says what is wrong.
 */
const char *record_parse(struct slice line, struct arena *mem, struct record_line *ret);
