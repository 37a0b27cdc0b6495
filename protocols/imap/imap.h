/*
 * imap - the protocol core of IMAP (RFC 3501 and the extensions of docs/imap.md), driven by
 * common/front.
 *
 * Sequence numbers are those that the client was told: the view changes only in what tell.c writes.
 * A tagged OK of a command that changes something comes after the change is durable.
 */
#pragma once

#include "common/front/port.h"

enum imap_mech {
	IMAP_PLAIN = 1 << 0,
	IMAP_LOGIN = 1 << 1,
	IMAP_SCRAM_SHA_256 = 1 << 2,
};

struct imap_conf {
	unsigned mechs;      /* enum imap_mech */
	uint32_t login_ms;   /* 0: the limit's */
	uint32_t idle_ms;    /* 0: the limit's */
	uint64_t append_max; /* octets of a message; 0: the limit's */
};

extern const struct front_core imap_core;
