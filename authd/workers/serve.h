/*
 * serve - a forked worker's whole life: one dialogue, one check or one hash for authd, then the
 * end.
 */
#pragma once

#include "authd/workers/dialogue.h"

/* Takes the channel's descriptor; returns when the work is done or authd is gone. */
void worker_serve(const struct gsasl_warm *warm, int take_fd);
