#include "authd/signer/signer_core.h"

#include "authd/signer/sign_text.h"

#include <stdbool.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

/* Which signature is possible for which key over which text. A PKCS#1 v1.5 signature is never made
 * in TLS 1.3 (RFC 8446 section 4.2.3), and EC keys keep to the hash of their curve in both. */
static const struct scheme_row {
	enum tls_scheme scheme;
	const char *key_type;
	int key_bits; /* 0: any */
	const char *md;
	bool pss;
	bool in_tls13;
} scheme_rows[] = {
	{ TLS_RSA_PKCS1_SHA256, "RSA", 0, "SHA256", false, false },
	{ TLS_RSA_PKCS1_SHA384, "RSA", 0, "SHA384", false, false },
	{ TLS_RSA_PKCS1_SHA512, "RSA", 0, "SHA512", false, false },
	{ TLS_RSA_PSS_SHA256, "RSA", 0, "SHA256", true, true },
	{ TLS_RSA_PSS_SHA384, "RSA", 0, "SHA384", true, true },
	{ TLS_RSA_PSS_SHA512, "RSA", 0, "SHA512", true, true },
	{ TLS_ECDSA_P256_SHA256, "EC", 256, "SHA256", false, true },
	{ TLS_ECDSA_P384_SHA384, "EC", 384, "SHA384", false, true },
	{ TLS_ED25519, "ED25519", 0, NULL, false, true },
};

static const struct scheme_row *row_find(uint32_t scheme, const EVP_PKEY *key, enum sign_text kind)
{
	for (size_t i = 0; i < sizeof(scheme_rows) / sizeof(scheme_rows[0]); i++) {
		const struct scheme_row *row = &scheme_rows[i];

		if ((uint32_t)row->scheme == scheme && EVP_PKEY_is_a(key, row->key_type) &&
		    (row->key_bits == 0 || row->key_bits == EVP_PKEY_get_bits(key)) &&
		    (row->in_tls13 || kind == SIGN_TEXT_TLS12))
			return row;
	}
	return NULL;
}

static bool padding_set(EVP_PKEY_CTX *pctx, const struct scheme_row *row)
{
	if (!row->pss)
		return EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PADDING) == 1;
	return EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1 &&
	       EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST) == 1;
}

static bool sign(EVP_PKEY *key, const struct scheme_row *row, struct slice text,
    uint8_t sig[TLS_SIG_BYTES], size_t *ret_n)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx = NULL; /* belongs to ctx */
	size_t n = TLS_SIG_BYTES;
	bool ok;

	ok = ctx != NULL &&
	     EVP_DigestSignInit_ex(ctx, &pctx, row->md, NULL, NULL, key, NULL) == 1 &&
	     (!EVP_PKEY_is_a(key, "RSA") || padding_set(pctx, row)) &&
	     EVP_DigestSign(ctx, sig, &n, text.p, text.n) == 1;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	if (ok)
		*ret_n = n;
	return ok;
}

static enum signer_status ask_answer(const struct signer_keys *keys, struct signer_channel *channel,
    const struct ipc_sign_ask *ask, uint8_t sig[TLS_SIG_BYTES], size_t *ret_n)
{
	enum sign_text kind = sign_text_classify(ask->text.p, ask->text.n);
	const struct scheme_row *row;
	EVP_PKEY *key;

	if (channel->signatures_left == 0)
		return SIGNER_REFUSED_COUNT;
	if (kind == SIGN_TEXT_OTHER)
		return SIGNER_REFUSED_TEXT;
	key = ask->key.n == TLS_KEY_REF_BYTES ? signer_keys_find(keys, ask->key.p) : NULL;
	if (key == NULL)
		return SIGNER_REFUSED_KEY;
	row = row_find(ask->alg, key, kind);
	if (row == NULL)
		return SIGNER_REFUSED_SCHEME;
	channel->signatures_left--;
	return sign(key, row, ask->text, sig, ret_n) ? SIGNER_SIGNED : SIGNER_FAULT;
}

const char *signer_status_text(uint32_t status)
{
	static const char *const texts[] = { "signed", "text", "scheme", "key", "count", "fault" };

	return status < sizeof(texts) / sizeof(texts[0]) ? texts[status] : "unknown";
}

void signer_channel_init(struct signer_channel *channel)
{
	*channel = (struct signer_channel){
		.signatures_left = SIGNER_SIGNATURES,
		.refusals_left = SIGNER_REFUSALS,
	};
}

enum signer_answer signer_core_answer(const struct signer_keys *keys,
    struct signer_channel *channel, const struct ipc_sign_ask *ask, uint8_t sig[TLS_SIG_BYTES],
    struct ipc_sign_reply *ret_reply)
{
	enum signer_status status;
	size_t n = 0;

	status = ask_answer(keys, channel, ask, sig, &n);
	ret_reply->status = status;
	ret_reply->sig = slice_of(sig, n);
	if (status == SIGNER_SIGNED)
		return SIGNER_ANSWER;
	if (channel->refusals_left > 0)
		channel->refusals_left--;
	return channel->refusals_left == 0 ? SIGNER_ANSWER_CLOSE : SIGNER_ANSWER;
}
