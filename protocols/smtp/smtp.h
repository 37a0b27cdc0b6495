/*
 * smtp - the protocol core of mail in, now in LMTP mode (RFC 2033 on top of 5321, with 1870, 2034,
 * 2920, 3030, 3207, 6152, 6531), driven by common/front.
 *
 * A recipient is answered 250 after the body only when its copy is durable, and each recipient has
 * an answer of its own. Only CR LF dot CR LF ends a message; a CR or LF of its own makes us refuse
 * it, so that nobody downstream can see a different end.
 */
#pragma once

#include "common/front/port.h"

struct smtp_conf {
	uint64_t size_max; /* octets of a message; 0 in any of these: the limit's */
	uint32_t rcpts_max;
	uint32_t hops_max; /* Received fields */
	uint32_t idle_ms;
};

extern const struct front_core smtp_core;
