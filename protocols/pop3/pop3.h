/*
 * pop3 - the protocol core of POP3 (RFC 1939, 2449, 2595, 3206, 5034), driven by common/front.
 *
 * A session sees the mailbox as it was at login; nothing is deleted but by QUIT, and QUIT answers
 * +OK only after the deletions are durable.
 */
#pragma once

#include "common/front/sasl.h"

struct pop3_conf {
	unsigned mechs;    /* enum sasl_mech */
	uint32_t login_ms; /* 0: the limit's */
	uint32_t idle_ms;
};

extern const struct front_core pop3_core;
