/*
 * The front-end's side of the channel to the signer: one question, one answer, blocking with a
 * deadline (calls go only towards the more trusted process).
 *
 * Invariant: whatever the signer answers, at most one message is outstanding per channel; after a
 * missed deadline the channel is not used again, so an old answer cannot be taken for a new one.
 */
#pragma once

#include "common/base/slice.h"
#include "common/tls/keyref.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tls_remote_answer {
	TLS_REMOTE_REFUSED = 1, /* the signer does not sign this, or does not know the key */
	TLS_REMOTE_NO_CHANNEL,  /* none was given, or it failed before */
};

struct tls_sign_ask {
	const uint8_t *key_ref; /* TLS_KEY_REF_BYTES */
	enum tls_scheme scheme;
	struct slice text; /* the whole text, not a digest */
};

/*
 * Makes a channel end fit for waiting: blocking, with deadlines. Call it where the channel is made:
 * the filter of a child does not allow it. 0 or -errno.
 */
int tls_remote_prepare(int signer_fd) __attribute__((warn_unused_result));

/*
 * Names the channel that signatures of this process go to from now on, -1 for none; borrowed.
 * A process that serves several connections calls it before each handshake step.
 */
void tls_remote_use(int signer_fd);

/* Whether a signature was wanted and not had since the last tls_remote_use. */
bool tls_remote_failed(void);

/* Asks for one signature into SIG of at most CAP bytes. Called by the provider.
 * 0, an answer, or -errno (-EAGAIN: no answer in time). */
int tls_remote_sign(const struct tls_sign_ask *ask, uint8_t *sig, size_t cap, size_t *ret_n)
    __attribute__((warn_unused_result));
