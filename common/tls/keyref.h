/*
 * What the signer and its clients must agree on: how a key is named and which signatures exist.
 *
 * A key is named by the SHA-256 of its SubjectPublicKeyInfo. The name can be computed from the
 * certificate on one side and from the private key on the other, so a certificate can never be
 * paired with somebody else's key: the signer simply does not know the name.
 */
#pragma once

#include "common/tls/limits.h"

#include <stdint.h>
#include <openssl/types.h>

/* Signatures by their TLS numbers (RFC 8446 section 4.2.3). Nothing else is ever asked for. */
enum tls_scheme {
	TLS_SCHEME_NONE = 0,
	TLS_RSA_PKCS1_SHA256 = 0x0401, /* TLS 1.2 only */
	TLS_RSA_PKCS1_SHA384 = 0x0501, /* TLS 1.2 only */
	TLS_RSA_PKCS1_SHA512 = 0x0601, /* TLS 1.2 only */
	TLS_ECDSA_P256_SHA256 = 0x0403,
	TLS_ECDSA_P384_SHA384 = 0x0503,
	TLS_RSA_PSS_SHA256 = 0x0804,
	TLS_RSA_PSS_SHA384 = 0x0805,
	TLS_RSA_PSS_SHA512 = 0x0806,
	TLS_ED25519 = 0x0807,
};

/* Name of KEY, public or private. 0, or -EINVAL when libcrypto cannot encode the key. */
int tls_key_ref(const EVP_PKEY *key, uint8_t ret_ref[TLS_KEY_REF_BYTES])
    __attribute__((warn_unused_result));
