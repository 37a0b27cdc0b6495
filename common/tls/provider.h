/*
 * An OpenSSL provider inside this process whose keys are only names: a signature made with one is
 * asked of the signer (common/tls/remote.h). It offers KEYMGMT and SIGNATURE for RSA, EC and
 * Ed25519 and nothing else.
 *
 * Invariant: no function of it can hand out a private key, because it never has one.
 */
#pragma once

#include <openssl/types.h>

/*
 * Loads the default provider and then ours into the default library context, once per process;
 * later calls do nothing. The order and the preference for "provider=default" matter: without
 * them libcrypto gives the public keys of strangers' certificates to our KEYMGMT, which cannot
 * verify. No configuration file is read. 0 or -ENOTSUP.
 */
int tls_provider_load(void) __attribute__((warn_unused_result));

/*
 * A key that signs by asking the signer, made from the public key PUB of a certificate. The
 * caller frees it with EVP_PKEY_free. NULL when PUB is of a kind we do not serve.
 */
EVP_PKEY *tls_remote_key_new(const EVP_PKEY *pub) __attribute__((warn_unused_result));
