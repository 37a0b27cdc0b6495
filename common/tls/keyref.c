#include "common/tls/keyref.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

int tls_key_ref(const EVP_PKEY *key, uint8_t ret_ref[TLS_KEY_REF_BYTES])
{
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(key, &der);

	if (n <= 0)
		return -EINVAL;
	SHA256(der, (size_t)n, ret_ref);
	OPENSSL_free(der);
	return 0;
}
