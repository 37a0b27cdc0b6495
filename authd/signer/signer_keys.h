/*
 * The private keys, by name. They come once, at start, as PEM from descriptors that master opened;
 * the signer itself knows no path.
 *
 * Invariant: a key that was added is one the signer will sign with: kind and size were checked.
 */
#pragma once

#include "authd/signer/limits.h"
#include "common/base/slice.h"
#include "common/tls/keyref.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <openssl/types.h>

struct signer_keys;

enum signer_key_answer {
	SIGNER_KEY_BAD = 1, /* no PEM private key, or one with a passphrase */
	SIGNER_KEY_UNFIT,   /* not RSA 2048 to 4096, P-256, P-384 or Ed25519 */
	SIGNER_KEYS_FULL,   /* a limit of limits.h */
};

/* One fixed sentence for an answer, for whoever configures. */
const char *signer_key_answer_text(int answer);

/*
 * Makes OpenSSL's secure heap (locked, not dumped, wiped on free) large enough for N_KEYS keys and
 * as many again in a reload; once per process, before anything is read into it and before the
 * sandbox. 0, or -ENOMEM. Locking may fail for want of RLIMIT_MEMLOCK, which *ret_locked tells.
 */
int signer_heap_init(size_t n_keys, bool *ret_locked) __attribute__((warn_unused_result));

int signer_keys_new(struct signer_keys **ret_keys) __attribute__((warn_unused_result));
void signer_keys_free(struct signer_keys **keys);

/* Adds the key in PEM; a key that is there already is no error. RET_REF gets its name. 0 or an
 * answer. The caller wipes PEM. */
int signer_keys_add(struct signer_keys *keys, struct slice pem, uint8_t ret_ref[TLS_KEY_REF_BYTES])
    __attribute__((warn_unused_result));

/* The same from the whole file behind FD (borrowed), through the secure heap. Also -errno. */
int signer_keys_add_fd(struct signer_keys *keys, int fd, uint8_t ret_ref[TLS_KEY_REF_BYTES])
    __attribute__((warn_unused_result));

size_t signer_keys_count(const struct signer_keys *keys);

/* NULL when no key has this name. Borrowed. */
EVP_PKEY *signer_keys_find(const struct signer_keys *keys, const uint8_t ref[TLS_KEY_REF_BYTES]);
