/*
 * The signer as a function: one request in, one reply out. It owns no descriptor,
 * clock or thread, so the process, the unit test and the fuzzer drive the same code.
 *
 * Invariant: a signature leaves only over a text of sign_text.h, with a scheme that TLS allows for
 * that text and that key, and at most SIGNER_SIGNATURES times per channel.
 */
#pragma once

#include "authd/signer/limits.h"
#include "authd/signer/signer_keys.h"
#include "common/ipc/types.h"

#include <stddef.h>
#include <stdint.h>

/* sign_reply.status */
enum signer_status {
	SIGNER_SIGNED = 0,
	SIGNER_REFUSED_TEXT = 1,   /* not a text of a TLS server */
	SIGNER_REFUSED_SCHEME = 2, /* not for this key or this TLS version */
	SIGNER_REFUSED_KEY = 3,    /* no such key */
	SIGNER_REFUSED_COUNT = 4,  /* this channel had its share */
	SIGNER_FAULT = 5,          /* libcrypto failed */
};

/* What the signer remembers of one channel. Start with signer_channel_init. */
struct signer_channel {
	unsigned int signatures_left;
	unsigned int refusals_left;
};

enum signer_answer {
	SIGNER_ANSWER = 0,       /* send the reply */
	SIGNER_ANSWER_CLOSE = 1, /* send the reply, then close the channel */
};

/* One fixed word for the log. */
const char *signer_status_text(uint32_t status);

void signer_channel_init(struct signer_channel *channel);

/*
 * Answers ASK from CHANNEL. The reply's status is an enum signer_status; its signature is empty
 * unless that is SIGNER_SIGNED and lies in SIG, which must live as long.
 */
enum signer_answer signer_core_answer(const struct signer_keys *keys,
    struct signer_channel *channel, const struct ipc_sign_ask *ask, uint8_t sig[TLS_SIG_BYTES],
    struct ipc_sign_reply *ret_reply) __attribute__((warn_unused_result));
