/*
 * SIGNATURE of the remote provider: one-shot signing only, which is all that libssl 3.0 uses. The
 * whole text goes to the signer, not a digest of it, so that the signer can see what it signs.
 */
#include "common/tls/provider-private.h"

#include "common/tls/remote.h"

#include <string.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/rsa.h>

enum remote_md {
	MD_NONE,
	MD_SHA256,
	MD_SHA384,
	MD_SHA512,
	MD_OTHER,
};

struct sign_op {
	const struct remote_key *key; /* the EVP layer holds the key while we live */
	enum remote_md md;
	bool pss;
};

static const struct {
	enum remote_kind kind;
	bool pss;
	enum remote_md md;
	int bits; /* 0: any */
	enum tls_scheme scheme;
} schemes[] = {
	{ REMOTE_RSA, false, MD_SHA256, 0, TLS_RSA_PKCS1_SHA256 },
	{ REMOTE_RSA, false, MD_SHA384, 0, TLS_RSA_PKCS1_SHA384 },
	{ REMOTE_RSA, false, MD_SHA512, 0, TLS_RSA_PKCS1_SHA512 },
	{ REMOTE_RSA, true, MD_SHA256, 0, TLS_RSA_PSS_SHA256 },
	{ REMOTE_RSA, true, MD_SHA384, 0, TLS_RSA_PSS_SHA384 },
	{ REMOTE_RSA, true, MD_SHA512, 0, TLS_RSA_PSS_SHA512 },
	{ REMOTE_EC, false, MD_SHA256, 256, TLS_ECDSA_P256_SHA256 },
	{ REMOTE_EC, false, MD_SHA384, 384, TLS_ECDSA_P384_SHA384 },
	{ REMOTE_ED25519, false, MD_NONE, 0, TLS_ED25519 },
};

static enum tls_scheme op_scheme(const struct sign_op *op)
{
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		if (schemes[i].kind == op->key->kind && schemes[i].pss == op->pss &&
		    schemes[i].md == op->md &&
		    (schemes[i].bits == 0 || schemes[i].bits == op->key->bits))
			return schemes[i].scheme;
	}
	return TLS_SCHEME_NONE;
}

/* libssl says SHA256 in one place and SHA2-256 in another. */
static enum remote_md md_from_name(const char *name)
{
	static const struct {
		const char *name;
		enum remote_md md;
	} names[] = {
		{ "SHA256", MD_SHA256 },
		{ "SHA2-256", MD_SHA256 },
		{ "SHA384", MD_SHA384 },
		{ "SHA2-384", MD_SHA384 },
		{ "SHA512", MD_SHA512 },
		{ "SHA2-512", MD_SHA512 },
	};

	if (name == NULL || name[0] == '\0')
		return MD_NONE;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (OPENSSL_strcasecmp(name, names[i].name) == 0)
			return names[i].md;
	}
	return MD_OTHER;
}

static void *sign_newctx(void *prov, const char *propq)
{
	return OPENSSL_zalloc(sizeof(struct sign_op));
}

static void sign_freectx(void *v)
{
	OPENSSL_free(v);
}

static void *sign_dupctx(void *v)
{
	return OPENSSL_memdup(v, sizeof(struct sign_op));
}

static bool pad_from_param(const OSSL_PARAM *p, struct sign_op *op)
{
	int pad = -1;

	if (p->data_type == OSSL_PARAM_UTF8_STRING) {
		if (strcmp(p->data, OSSL_PKEY_RSA_PAD_MODE_PSS) == 0)
			pad = RSA_PKCS1_PSS_PADDING;
		else if (strcmp(p->data, OSSL_PKEY_RSA_PAD_MODE_PKCSV15) == 0)
			pad = RSA_PKCS1_PADDING;
	} else if (!OSSL_PARAM_get_int(p, &pad)) {
		return false;
	}
	if (pad != RSA_PKCS1_PSS_PADDING && pad != RSA_PKCS1_PADDING)
		return false;
	op->pss = pad == RSA_PKCS1_PSS_PADDING;
	return true;
}

/* The salt of TLS is as long as the digest (RFC 8446 section 4.2.3); the signer knows no other. */
static bool salt_is_digest(const OSSL_PARAM *p)
{
	int salt;

	if (p->data_type == OSSL_PARAM_UTF8_STRING)
		return strcmp(p->data, OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST) == 0;
	return OSSL_PARAM_get_int(p, &salt) && salt == RSA_PSS_SALTLEN_DIGEST;
}

static int sign_set_ctx_params(void *v, const OSSL_PARAM params[])
{
	struct sign_op *op = v;
	const OSSL_PARAM *p;

	if (params == NULL)
		return 1;
	p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE);
	if (p != NULL && !pad_from_param(p, op))
		return 0;
	p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PSS_SALTLEN);
	if (p != NULL && !salt_is_digest(p))
		return 0;
	return 1;
}

static const OSSL_PARAM *sign_settable_ctx_params(void *v, void *prov)
{
	static const OSSL_PARAM types[] = {
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
		OSSL_PARAM_END,
	};

	return types;
}

static int sign_digest_init(void *v, const char *md_name, void *vkey, const OSSL_PARAM params[])
{
	struct sign_op *op = v;
	const struct remote_key *key = vkey != NULL ? vkey : op->key;

	if (key == NULL || !key->has_ref)
		return 0;
	op->key = key;
	op->md = md_from_name(md_name);
	op->pss = false;
	/* libssl tries each candidate here and passes on when we refuse: P-384 with SHA-256, say,
	 * which TLS 1.2 would allow and the signer does not. */
	if (op_scheme(op) == TLS_SCHEME_NONE)
		return 0;
	return sign_set_ctx_params(op, params);
}

/* The first call of each pair only asks for the length: nothing is sent for it. */
static int sign_digest_sign(
    void *v, uint8_t *sig, size_t *n_sig, size_t cap, const uint8_t *text, size_t n_text)
{
	const struct sign_op *op = v;
	struct tls_sign_ask ask;

	if (op->key == NULL)
		return 0;
	if (sig == NULL) {
		*n_sig = (size_t)op->key->max_sig;
		return 1;
	}
	ask = (struct tls_sign_ask){
		.key_ref = op->key->ref,
		.scheme = op_scheme(op),
		.text = { text, n_text },
	};
	if (ask.scheme == TLS_SCHEME_NONE)
		return 0;
	return tls_remote_sign(&ask, sig, cap, n_sig) == 0;
}

#define FN(f) ((void (*)(void))(f))

static const OSSL_DISPATCH sign_functions[] = {
	{ OSSL_FUNC_SIGNATURE_NEWCTX, FN(sign_newctx) },
	{ OSSL_FUNC_SIGNATURE_FREECTX, FN(sign_freectx) },
	{ OSSL_FUNC_SIGNATURE_DUPCTX, FN(sign_dupctx) },
	{ OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, FN(sign_digest_init) },
	{ OSSL_FUNC_SIGNATURE_DIGEST_SIGN, FN(sign_digest_sign) },
	{ OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, FN(sign_set_ctx_params) },
	{ OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, FN(sign_settable_ctx_params) },
	{ 0, NULL },
};

const OSSL_ALGORITHM tls_remote_signature[] = {
	{ "RSA", "provider=remote", sign_functions, "RSA signed by the signer" },
	{ "ECDSA", "provider=remote", sign_functions, "ECDSA signed by the signer" },
	{ "ED25519", "provider=remote", sign_functions, "Ed25519 signed by the signer" },
	{ NULL, NULL, NULL, NULL },
};
