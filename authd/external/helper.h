/*
 * helper - our end of the connection to one helper: questions out, answers in, and what becomes of
 * them when it is slow, mute, mad or gone.
 *
 * Invariant: every question is answered exactly once, in ANSWER_WAIT_MS at most, and a password is
 * kept no longer than it takes to write it.
 */
#pragma once

#include "authd/external/lines.h"

struct event_base;
struct helper;

struct helper_ops {
	/* Once for each helper_ask(), perhaps inside of it. Of `a` only an answer's facts. */
	void (*on_answer)(void *arg, uint32_t seq, const struct line_answer *a);
	/* A new connection is wanted: helper_take(), or nothing, and this is called again. */
	void (*on_want)(void *arg);
};

struct helper_ask {
	uint32_t seq;
	bool create; /* `service` is why, and the password may be empty */
	struct slice name, service, peer, password;
};

/* `name` is for the log and stays the caller's. NULL without memory. Wants its connection soon. */
struct helper *helper_new(
    struct event_base *base, const char *name, const struct helper_ops *ops, void *arg);
void helper_free(struct helper **h); /* answers nobody any more */

/* A connected stream socket, taken in every case. */
void helper_take(struct helper *h, int take_fd);
void helper_ask(struct helper *h, const struct helper_ask *q);
/* Who asked is gone: answers to what is under way go nowhere. */
void helper_forget(struct helper *h);
/* Tests wait less. */
void helper_set_wait(struct helper *h, unsigned answer_ms);
