/*
 * The key object that the two halves of the provider share.
 *
 * Invariant: has_ref is set only by an import that carried our own parameter, so an object made by
 * libcrypto from a certificate alone can never sign.
 */
#pragma once

#include "common/tls/keyref.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <openssl/core.h>

#define TLS_PARAM_KEY_REF "gatehouse-key-ref"

enum remote_kind {
	REMOTE_RSA,
	REMOTE_EC,
	REMOTE_ED25519,
};

struct remote_key {
	enum remote_kind kind;
	bool has_pub;
	bool has_ref;
	int bits;
	int security_bits;
	int max_sig;
	char group[32];
	uint8_t ref[TLS_KEY_REF_BYTES];
	size_t n_pub;
	uint8_t pub[TLS_PUBLIC_KEY_BYTES];
};

extern const OSSL_ALGORITHM tls_remote_keymgmt[];
extern const OSSL_ALGORITHM tls_remote_signature[];
