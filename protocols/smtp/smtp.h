/*
 * smtp - the protocol core of mail in, driven by common/front: SMTP (RFC 5321) for mail from
 * anywhere, submission (RFC 6409) by who has logged in, LMTP (RFC 2033) behind another mail server.
 * The listener says which; the extensions are those of docs/smtp.md and docs/lmtp.md.
 *
 * 250 after the body means that the copies it speaks for are durable: of one recipient in LMTP, of
 * all of them in SMTP. Only CR LF dot CR LF ends a message; a CR or LF of its own makes us refuse
 * it, so that nobody downstream can see a different end.
 */
#pragma once

#include "common/front/sasl.h"

struct smtp_conf {
	uint64_t size_max; /* octets of a message; 0 in any of these: the limit's */
	uint32_t rcpts_max;
	uint32_t hops_max; /* Received fields */
	uint32_t idle_ms;
	unsigned mechs; /* enum sasl_mech; 0: no way to log in */
};

extern const struct front_core smtp_core;
