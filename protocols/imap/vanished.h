/*
 * vanished - VANISHED (EARLIER) of RFC 7162: which of the uids that a client knows went since a
 * mod-sequence. One question to stored; its answer is cut to what was asked about, and told in
 * lines as the client reads. Nothing else is told of a set, however many ranges it has.
 */
#pragma once

#include "common/ipc/types.h"
#include "protocols/imap/set.h"

struct imap;

struct vanished {
	struct set known; /* asked about, normalised: the caller's to fill, not empty */
	struct set gone;  /* as stored said it */
	struct set told;  /* of these, what the client knows */
	size_t at;        /* range of `told` */
	uint32_t seq;
	bool waiting;
};

void vanished_fini(struct vanished *v);
/* Asks for what is gone of `known` since that mod-sequence. */
void vanished_ask(struct imap *s, struct vanished *v, uint64_t since);
/* An answer with `seq`: IPC_ST_OK, or why nothing can be told. */
uint32_t vanished_take(struct vanished *v, const struct ipc_gone_are *m);
/* Writes as far as the output takes: true when all is told (at once when nothing was asked). */
bool vanished_go(struct imap *s, struct vanished *v);
