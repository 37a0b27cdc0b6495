/*
 * link - a session of the administrator's on an account, for a program that waits for each answer.
 *
 * The admin socket's command OpenSession brings the descriptor; from then on the messages of
 * common/ipc go to stored directly and the administration connection is not needed any more.
 *
 * Invariant: one question is under way at a time. When the session has ended, why was said on
 * stderr once and every further call fails at once.
 */
#pragma once

#include "common/ipc/chan.h"
#include "ctl/ctl.h"

struct link {
	struct ipc_chan *chan; /* NULL: ended */
	uint32_t seq;
	uint64_t account;
	size_t window; /* bytes of an append that may be sent */
	size_t used;   /* bytes of bodies that were read and not given back */
	/* the last message: valid until the next call */
	enum ipc_type type;
	union ipc_any m;
	char name[401]; /* canonical name of the account */
};

/* Opens it over the command's administration connection: CTL_DONE, or a status after a message. */
int link_open(struct ctl *c, const char *account, struct link *ret_l);
void link_close(struct link *l);

/* A message on a channel without a loop: waits for its room. 0, or 1 when the other end is gone. */
int link_chan_send(struct ipc_chan *c, enum ipc_type type, const void *msg, int *take_fds);

/* Sends a message. 0, or 1 after a message to the user. */
int link_send(struct link *l, enum ipc_type type, const void *msg);
/* Waits for the answer `type`; events and credit are dealt with here. 0, or 1 after a message. */
int link_wait(struct link *l, enum ipc_type type);
/* Both; `msg` begins with its seq, which is set here. */
int link_ask(struct link *l, enum ipc_type type, void *msg, enum ipc_type answer);

/*
 * Rows of an open mailbox (IPC_ROW_BYTES each), of those that changed since a modseq: `on_rows` for
 * each answer. 0 with the status of the last one, or 1.
 */
int link_scan(struct link *l, uint32_t mbox, uint64_t since,
    void (*on_rows)(void *arg, struct slice rows), void *arg, unsigned *ret_pages,
    uint32_t *ret_status);
/* Bytes of a message; *ret_same: they have this SHA-256. 0 or 1. */
int link_body_is(
    struct link *l, uint32_t mbox, uint32_t uid, const uint8_t hash[32], bool *ret_same);

/* Some bytes of a body, parts or facts were read: gives the window back. 0 or 1. */
int link_read(struct link *l, size_t n);

/* Bytes of a message of the append under way, as the window lets them. 0 or 1. */
int link_append_data(struct link *l, struct slice data);

/* A sentence for a status of the store. */
const char *link_status_text(uint32_t status);
