/*
 * maildir - writes messages as Maildir++, one directory for each account: flags and keywords as
 * Dovecot writes them, its list of uids, internal dates as the files' times.
 *
 * Invariant: a message is in `cur` whole, or not at all. What is damaged goes to `damaged`, as it
 * is.
 */
#pragma once

#include "stored/salvage/out.h"
#include "stored/salvage/walk.h"

struct maildir;

/* NULL: no memory. */
struct maildir *maildir_new(struct out *o, struct model *m, struct report *rep);
struct sink maildir_sink(struct maildir *d);
void maildir_free(struct maildir **d);

/* Accounts, as `gatehousectl account import` reads them. 0 or -errno. */
int maildir_accounts(struct out *o, const struct names *names);
