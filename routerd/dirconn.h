/*
 * dirconn - what verbs.c and changes.c share: one administrator's request with its arguments.
 */
#pragma once

#include "routerd/rights.h"
#include "routerd/routerd.h"

struct request {
	struct routerd *rd;
	struct dir_answer answer;
	struct actor actor; /* who asks, with the rights of this moment */
	const struct slice *args;
	size_t n;
	struct buf *table_parts; /* of the administrator: a Router table that comes in parts */
	uint64_t account;        /* who asks; 0: Master by the kernel's word */
	uint64_t sid;            /* of his connection */
};

typedef void verb_fn(struct request *q);

#define VERB(name, ...) verb_fn verb_##name;
#include "common/ipc/verbs.def"

static inline void reply_error(struct request *q, enum ipc_dir_status status, const char *text)
{
	dir_reply_status(q->rd, q->answer, status, text);
}

/* One row of the answer; the end of an answer that is OK. */
static inline void item(struct request *q, struct slice s)
{
	dir_reply_item(q->rd, q->answer, s);
}

static inline void done(struct request *q)
{
	dir_reply_status(q->rd, q->answer, IPC_DIR_OK, "");
}

/* The account that `name` means (an alias will do); NULL after having answered NOTFOUND. */
struct object *request_account(struct request *q, struct slice name);
/* The object of that kind with this name; NULL after having answered NOTFOUND. */
struct object *request_object(struct request *q, struct slice name, enum object_kind kind);
/* The domain; NULL after having answered NOTFOUND. */
struct domain *request_domain(struct request *q, struct slice name);
