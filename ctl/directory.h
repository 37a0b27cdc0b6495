/*
 * directory - the server's directory as a dirfile, for dump and apply.
 */
#pragma once

#include "ctl/ctl.h"
#include "ctl/dirfile.h"

/* Everything that the server holds, sorted: CTL_DONE, or the status after a message. */
int directory_load(struct ctl *c, struct dirfile *f);
