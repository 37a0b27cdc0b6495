/*
 * sasl - a core's side of a login: which mechanisms are offered, and their responses on the way to
 * authd. Passwords and mechanisms are authd's business; here they are only carried.
 *
 * A mechanism that sends a password is neither offered nor begun on a link that may not carry one.
 */
#pragma once

#include "common/front/port.h"

enum sasl_mech {
	SASL_PLAIN = 1 << 0,
	SASL_LOGIN = 1 << 1,
	SASL_APOP = 1 << 2, /* POP3's own command, never offered as a mechanism */
	SASL_SCRAM_SHA_256 = 1 << 3,
};

enum sasl_answer {
	SASL_UNKNOWN = 1, /* no such mechanism here */
	SASL_NEEDS_TLS,
	SASL_BAD_BASE64,
	SASL_CANCELLED, /* the client's line was "*" */
	SASL_GONE,      /* authd is not there */
};

/* A password may be sent as it is. */
bool sasl_clear_text(const struct front_facts *f);

/* Appends the mechanisms of `mechs` that are offered on this link, each between two texts. */
void sasl_put_mechs(const struct front_port *p, unsigned mechs, const char *before,
    const char *after, struct buf *out);

/* Begins a mechanism: 0 or SASL_GONE. */
int sasl_begin(struct front_port *p, const char *mech, bool has_initial, struct slice initial);

/*
 * USER and PASS become PLAIN: one way of checking a password, not two. Its response (RFC 4616 2)
 * into `out`, which has room for both and two more: its length. The caller wipes it.
 */
size_t sasl_plain(struct slice name, struct slice password, uint8_t *out);

/*
 * The argument of APOP, a name and a digest (RFC 1939 7), becomes a response of authd's mechanism
 * of that name: appended, 0; or 1 when it is something else.
 */
int sasl_apop(struct slice stamp, struct slice arg, struct buf *out);

/*
 * The argument of an AUTH command: a mechanism of `mechs`, and maybe the first response in base64
 * ("=": empty). 0: begun, authd's answer comes as a message.
 */
int sasl_command(struct front_port *p, unsigned mechs, struct slice arg);

/*
 * A line that answers a challenge. 0: on its way. SASL_BAD_BASE64 and SASL_CANCELLED: the mechanism
 * was broken off, which authd will confirm by auth_refused.
 */
int sasl_response(struct front_port *p, struct slice line);
