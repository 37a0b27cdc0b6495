/*
 * plan - the commands that lead from the directory there is to the one that is wanted. apply.c
 * makes it, plan-run.c carries it out.
 *
 * Invariant: steps of one phase do not need each other, but for an object that is deleted to be
 * made anew: these two follow each other.
 */
#pragma once

#include "ctl/directory.h"

/* In this order; one that has failures ends the run, unless it is to go on. */
enum phase { PHASE_TAKE, PHASE_MAKE, PHASE_SET, PHASE_ROUTER, PHASES };

struct step {
	enum phase phase;
	const struct dir_entry *e; /* whom it is about */
	struct slice command;
};

struct plan {
	struct ctl *c;
	const char *path;
	struct dirfile want, have;
	struct step *steps;
	size_t n, cap;
	bool prune, failed;
	size_t changes; /* lines of the difference */
	size_t done, refused;
	int64_t shown_ms;
};

/* plan-form.c: a file's values as the server writes them. False without memory. */
bool plan_form(struct dirfile *f);
/* "Key=default;" for each setting that a new account would have of the template, and is not to. */
void plan_put_unwanted(struct buf *b, struct slice template, struct slice settings);

/*
 * plan-show.c: the difference as it is found. Counts `changes`; a mark is '+' made, '-' taken away.
 * With --json it is shown by --dry-run alone, between _open and _close: {"difference": [{"change",
 * "kind", "name", ...}], "changes", "done"}; _close also says it when there is nothing to do.
 */
void plan_show_open(const struct plan *p);
void plan_show_close(const struct plan *p);
void plan_show_object(struct plan *p, char mark, const struct dir_entry *e);
/* Values as canonical text; empty: there is none. */
void plan_show_part(
    struct plan *p, const struct dir_entry *e, const char *key, struct slice from, struct slice to);
/* Lines that go and come, with their numbers in the old and the new table. */
void plan_show_table(struct plan *p);

/* Runs the steps phase by phase: CTL_DONE when all were asked, whatever was answered, or the
 * status. */
int plan_run(struct plan *p);
/* Says how it ended; the status of the program. */
int plan_tell_end(struct plan *p);
