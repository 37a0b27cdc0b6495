/*
 * KEYMGMT of the remote provider. What is missing is missing on purpose:
 *
 * - export: EVP_DigestSignInit tries the default provider's signature first and exports our key to
 *   it; if that worked, even for the public half, signing would end there with an error.
 * - dup, gen, load, validate: libssl never asks.
 */
#include "common/tls/provider-private.h"

#include <string.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>

static void *key_new(enum remote_kind kind)
{
	struct remote_key *key = OPENSSL_zalloc(sizeof(*key));

	if (key != NULL)
		key->kind = kind;
	return key;
}

static void *rsa_new(void *prov)
{
	return key_new(REMOTE_RSA);
}

static void *ec_new(void *prov)
{
	return key_new(REMOTE_EC);
}

static void *ed25519_new(void *prov)
{
	return key_new(REMOTE_ED25519);
}

static void key_free(void *v)
{
	OPENSSL_free(v);
}

static int key_has(const void *v, int selection)
{
	const struct remote_key *key = v;

	if (key == NULL)
		return 0;
	if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0 && !key->has_ref)
		return 0;
	if ((selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY) != 0 && !key->has_pub)
		return 0;
	return 1;
}

static int key_match(const void *va, const void *vb, int selection)
{
	const struct remote_key *a = va, *b = vb;

	if (a->kind != b->kind || strcmp(a->group, b->group) != 0)
		return 0;
	if ((selection & OSSL_KEYMGMT_SELECT_KEYPAIR) == 0)
		return 1;
	return a->has_pub && b->has_pub && a->n_pub == b->n_pub &&
	       memcmp(a->pub, b->pub, a->n_pub) == 0;
}

/* RSA numbers come in the machine's byte order and may be padded; big-endian without zeros is
 * what can be compared. */
static bool rsa_add_number(struct remote_key *key, const OSSL_PARAM *p, size_t *ret_n)
{
	const uint8_t *from;
	size_t n;

	if (p == NULL || p->data_type != OSSL_PARAM_UNSIGNED_INTEGER || p->data == NULL)
		return false;
	from = p->data;
	for (n = p->data_size; n > 0 && from[n - 1] == 0; n--)
		;
	if (n == 0 || n > sizeof(key->pub) - key->n_pub)
		return false;
	for (size_t i = 0; i < n; i++)
		key->pub[key->n_pub + i] = from[n - 1 - i];
	key->n_pub += n;
	*ret_n = n;
	return true;
}

static bool rsa_import(struct remote_key *key, const OSSL_PARAM params[])
{
	size_t n, e;
	int top = 8;

	key->n_pub = 0;
	if (!rsa_add_number(key, OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_RSA_N), &n) ||
	    !rsa_add_number(key, OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_RSA_E), &e))
		return false;
	while (top > 1 && (key->pub[0] & (1 << (top - 1))) == 0)
		top--;
	key->bits = (int)(n - 1) * 8 + top;
	key->security_bits = key->bits >= 3072 ? 128 : 112;
	key->max_sig = (int)n;
	return key->bits >= 2048;
}

static bool octets_import(struct remote_key *key, const OSSL_PARAM params[])
{
	const OSSL_PARAM *p = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_PUB_KEY);

	if (p == NULL || p->data_type != OSSL_PARAM_OCTET_STRING || p->data == NULL ||
	    p->data_size == 0 || p->data_size > sizeof(key->pub))
		return false;
	memcpy(key->pub, p->data, p->data_size);
	key->n_pub = p->data_size;
	return true;
}

static bool ec_import(struct remote_key *key, const OSSL_PARAM params[])
{
	const OSSL_PARAM *p = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_GROUP_NAME);
	char *group = key->group;

	if (p == NULL || !OSSL_PARAM_get_utf8_string(p, &group, sizeof(key->group)))
		return false;
	if (strcmp(group, "prime256v1") == 0 || strcmp(group, "P-256") == 0) {
		key->bits = 256;
		key->max_sig = 72;
	} else if (strcmp(group, "secp384r1") == 0 || strcmp(group, "P-384") == 0) {
		key->bits = 384;
		key->max_sig = 104;
	} else {
		return false;
	}
	key->security_bits = key->bits / 2;
	return octets_import(key, params);
}

static bool ed25519_import(struct remote_key *key, const OSSL_PARAM params[])
{
	key->bits = 256;
	key->security_bits = 128;
	key->max_sig = 64;
	return octets_import(key, params) && key->n_pub == 32;
}

static bool pub_import(struct remote_key *key, const OSSL_PARAM params[])
{
	switch (key->kind) {
	case REMOTE_RSA:
		return rsa_import(key, params);
	case REMOTE_EC:
		return ec_import(key, params);
	case REMOTE_ED25519:
		return ed25519_import(key, params);
	}
	return false;
}

/* Serves EVP_PKEY_fromdata with our reference, and libcrypto's own transfers of a certificate's
 * public key for a comparison. Unknown parameters (EC brings six) are ignored. */
static int key_import(void *v, int selection, const OSSL_PARAM params[])
{
	struct remote_key *key = v;
	const OSSL_PARAM *ref = OSSL_PARAM_locate_const(params, TLS_PARAM_KEY_REF);

	if (!pub_import(key, params))
		return 0;
	key->has_pub = true;
	if (ref == NULL)
		return 1;
	if (ref->data_type != OSSL_PARAM_OCTET_STRING || ref->data_size != sizeof(key->ref))
		return 0;
	memcpy(key->ref, ref->data, sizeof(key->ref));
	key->has_ref = true;
	return 1;
}

static const OSSL_PARAM *key_import_types(int selection)
{
	static const OSSL_PARAM types[] = {
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
		OSSL_PARAM_octet_string(TLS_PARAM_KEY_REF, NULL, 0),
		OSSL_PARAM_END,
	};

	return types;
}

/* The group name decides about TLS 1.3 with EC and max-size about RSA-PSS: wrong answers here are
 * "handshake failure" there. Ed25519 must have no default digest; saying nothing says so. */
static int key_get_params(void *v, OSSL_PARAM params[])
{
	const struct remote_key *key = v;
	OSSL_PARAM *p;

	if ((p = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_BITS)) != NULL &&
	    !OSSL_PARAM_set_int(p, key->bits))
		return 0;
	if ((p = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_SECURITY_BITS)) != NULL &&
	    !OSSL_PARAM_set_int(p, key->security_bits))
		return 0;
	if ((p = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_MAX_SIZE)) != NULL &&
	    !OSSL_PARAM_set_int(p, key->max_sig))
		return 0;
	if (key->kind == REMOTE_EC &&
	    (p = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_GROUP_NAME)) != NULL &&
	    !OSSL_PARAM_set_utf8_string(p, key->group))
		return 0;
	return 1;
}

static const OSSL_PARAM *key_gettable_params(void *prov)
{
	static const OSSL_PARAM types[] = {
		OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_END,
	};

	return types;
}

static const char *ec_operation_name(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? "ECDSA" : NULL;
}

static const char *rsa_operation_name(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? "RSA" : NULL;
}

static const char *ed25519_operation_name(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? "ED25519" : NULL;
}

#define FN(f) ((void (*)(void))(f))
#define KEYMGMT_TABLE(name, fn_new, fn_operation_name)                             \
	static const OSSL_DISPATCH name[] = {                                      \
		{ OSSL_FUNC_KEYMGMT_NEW, FN(fn_new) },                             \
		{ OSSL_FUNC_KEYMGMT_FREE, FN(key_free) },                          \
		{ OSSL_FUNC_KEYMGMT_HAS, FN(key_has) },                            \
		{ OSSL_FUNC_KEYMGMT_MATCH, FN(key_match) },                        \
		{ OSSL_FUNC_KEYMGMT_IMPORT, FN(key_import) },                      \
		{ OSSL_FUNC_KEYMGMT_IMPORT_TYPES, FN(key_import_types) },          \
		{ OSSL_FUNC_KEYMGMT_GET_PARAMS, FN(key_get_params) },              \
		{ OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, FN(key_gettable_params) },    \
		{ OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, FN(fn_operation_name) }, \
		{ 0, NULL },                                                       \
	}

KEYMGMT_TABLE(rsa_keymgmt, rsa_new, rsa_operation_name);
KEYMGMT_TABLE(ec_keymgmt, ec_new, ec_operation_name);
KEYMGMT_TABLE(ed25519_keymgmt, ed25519_new, ed25519_operation_name);

const OSSL_ALGORITHM tls_remote_keymgmt[] = {
	{ "RSA", "provider=remote", rsa_keymgmt, "RSA key kept by the signer" },
	{ "EC", "provider=remote", ec_keymgmt, "EC key kept by the signer" },
	{ "ED25519", "provider=remote", ed25519_keymgmt, "Ed25519 key kept by the signer" },
	{ NULL, NULL, NULL, NULL },
};
