/*
 * names - whose an account is: names out of the directory's database, and the stored forms of
 * passwords out of that of the secrets, each read raw. docs/names.md and docs/login.md have the
 * rows.
 */
#pragma once

#include "common/base/slice.h"
#include "common/engine/tail.h"
#include "common/base/idmap.h"

struct report;

struct named {
	uint64_t id, quota_bytes;
	bool suspended;
	char *full;   /* name@domain */
	char *secret; /* as stored, with its form; NULL: none */
};

struct names {
	struct idmap by_id; /* struct named */
	struct named **v;
	size_t n, cap;
};

/* What `directory_fd` and `secrets_fd` (-1: not there) still tell. Damage is reported; what cannot
 * be read at all is, too, and leaves the accounts without names. 0 or -ENOMEM. */
int names_load(struct names *n, int directory_fd, int secrets_fd, struct report *rep);
/* The same of databases that are in use. */
int names_load_until(
    struct names *n, const int fd[2], const struct tail_end until[2], struct report *rep);
void names_fini(struct names *n);

const struct named *names_get(const struct names *n, uint64_t account);
