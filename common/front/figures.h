/*
 * figures - what an acceptor counts, and its end of the connections that read the figures of all.
 *
 * Counting is the acceptor's: a connection's process tells nothing about itself.
 */
#pragma once

#include "common/front/acceptor.h"

void figures_accepted(const struct acceptor *a, const struct listener *l);
/* `why`: as in conn.limit, or NULL when memory, descriptors or processes are short. */
void figures_refused(const struct listener *l, const char *why);
void figures_crashed(const struct acceptor *a);
/* Called when master asks. */
void figures_count(struct proc *p, void *arg);

/* The metrics door: our end of a connection's channel. Takes *fd by setting it to -1. */
void figures_serve(struct acceptor *a, int *fd);
/* Master's answer: one process's figures after the other, then nothing. */
void figures_scraped(struct proc *p, void *arg, struct slice packed);
