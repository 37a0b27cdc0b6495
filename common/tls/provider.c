#include "common/tls/provider.h"

#include "common/tls/provider-private.h"

#include <errno.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>

static const OSSL_ALGORITHM *prov_query(void *prov, int operation, int *no_cache)
{
	*no_cache = 0;
	switch (operation) {
	case OSSL_OP_KEYMGMT:
		return tls_remote_keymgmt;
	case OSSL_OP_SIGNATURE:
		return tls_remote_signature;
	default:
		return NULL;
	}
}

static const OSSL_DISPATCH prov_functions[] = {
	{ OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))prov_query },
	{ 0, NULL },
};

static int prov_init(const OSSL_CORE_HANDLE *core, const OSSL_DISPATCH *in,
    const OSSL_DISPATCH **ret_out, void **ret_prov)
{
	*ret_prov = (void *)core;
	*ret_out = prov_functions;
	return 1;
}

int tls_provider_load(void)
{
	static OSSL_PROVIDER *provs[2]; /* held until the process ends */

	if (provs[1] != NULL)
		return 0;
	if (!OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_SSL_STRINGS, NULL))
		return -ENOTSUP;
	provs[0] = OSSL_PROVIDER_load(NULL, "default");
	if (provs[0] == NULL || !OSSL_PROVIDER_add_builtin(NULL, "remote", prov_init) ||
	    !EVP_set_default_properties(NULL, "?provider=default"))
		return -ENOTSUP;
	provs[1] = OSSL_PROVIDER_load(NULL, "remote");
	return provs[1] != NULL ? 0 : -ENOTSUP;
}

static const char *remote_type(const EVP_PKEY *pub)
{
	static const char *const types[] = { "RSA", "EC", "ED25519" };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (EVP_PKEY_is_a(pub, types[i]))
			return types[i];
	}
	return NULL;
}

static EVP_PKEY *key_from_params(const char *type, OSSL_PARAM *params)
{
	EVP_PKEY_CTX *pctx = EVP_PKEY_CTX_new_from_name(NULL, type, "provider=remote");
	EVP_PKEY *key = NULL;

	if (pctx == NULL || EVP_PKEY_fromdata_init(pctx) != 1 ||
	    EVP_PKEY_fromdata(pctx, &key, EVP_PKEY_KEYPAIR, params) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(pctx);
	return key;
}

EVP_PKEY *tls_remote_key_new(const EVP_PKEY *pub)
{
	const char *type = remote_type(pub);
	uint8_t ref[TLS_KEY_REF_BYTES];
	OSSL_PARAM own[2], *public = NULL, *all = NULL;
	EVP_PKEY *key = NULL;

	if (type == NULL || tls_key_ref(pub, ref) != 0)
		return NULL;
	own[0] = OSSL_PARAM_construct_octet_string(TLS_PARAM_KEY_REF, ref, sizeof(ref));
	own[1] = OSSL_PARAM_construct_end();
	if (EVP_PKEY_todata(pub, EVP_PKEY_PUBLIC_KEY, &public) == 1)
		all = OSSL_PARAM_merge(public, own);
	if (all != NULL)
		key = key_from_params(type, all);
	OPENSSL_free(all); /* the merged array borrows its values */
	OSSL_PARAM_free(public);
	return key;
}
