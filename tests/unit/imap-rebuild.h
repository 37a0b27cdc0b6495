/*
 * imap-rebuild - puts a message together again from what sections of FETCH give of it: every part
 * by its number, its MIME header, and between them nothing but delimiters, preambles and epilogues.
 */
#pragma once

#include "common/mail/facts.h"

/*
 * NULL when every octet of `message` was found where it is, else a sentence. `ret_parts` counts
 * body parts.
 */
const char *imap_rebuild(struct slice message, unsigned *ret_parts);
