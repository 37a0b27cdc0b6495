/*
 * reader - the process that reads what strangers wrote, for an import.
 *
 * Forked by far.c before anything was read. Behind its walls (row ctl-reader) it has a channel to
 * the program, files below the source that this passes, or one connection to the other server.
 * If taken: the intruder has the mail of this source, which he may have written himself, and can
 * make up messages for the account that it goes to.
 */
#pragma once

#include "ctl/port/port.h"

struct reader_job {
	const char *url;  /* another server; else NULL */
	const char *file; /* one file's name; NULL: all of the directory */
	struct slice password;
	int root_fd; /* the empty directory, as root; else -1 */
};

/* In the child; `take_fd` is its end of the channel. */
_Noreturn void reader_run(struct port *p, const struct reader_job *job, int take_fd);
