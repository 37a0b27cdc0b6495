/*
 * maildir-name - names of the directories of a Maildir++. Pure. Whatever a name of the store has in
 * it, what comes out is one name below a directory: no slash, no NUL, at most 255 octets.
 */
#pragma once

#include "common/base/slice.h"

/* The directory of an account. */
void maildir_account(struct slice name, char *to, size_t size);

/* "" of INBOX; else ".Work.2024", each level in modified UTF-7. A name that is too long becomes
 * ".long-" and its id. */
void maildir_folder(struct slice name, uint64_t id, char *to, size_t size);
