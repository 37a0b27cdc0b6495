/*
 * check - one password, asked of PAM, in a process of its own: modules may block, leak, print, or
 * end the process.
 */
#pragma once

#include "authd/external/lines.h"

struct pam_place {
	const char *service;
	const char *confdir; /* of service files; NULL: the system's */
};

/* Never returns: the exit status is an enum line_status. */
void check_and_exit(const struct pam_place *place, struct line_question *q)
    __attribute__((noreturn));
