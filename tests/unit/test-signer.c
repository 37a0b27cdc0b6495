/* authd/signer: what it signs, what it refuses, which keys it takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "authd/signer/sign_text.h"
#include "authd/signer/signer_core.h"
#include "common/base/buf.h"

#include <string.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#define SPACES    "                                                                "
#define SERVER_CV "TLS 1.3, server CertificateVerify"
#define HASH32    "0123456789abcdef0123456789abcdef"
#define HASH48    HASH32 "0123456789abcdef"
#define RANDOMS   HASH32 HASH32
#define POINT64   HASH32 HASH32

static const struct {
	const char *name;
	struct slice text;
	enum sign_text want;
} texts[] = {
	{ "TLS 1.3 with SHA-256", SLICE(SPACES SERVER_CV "\0" HASH32), SIGN_TEXT_TLS13 },
	{ "TLS 1.3 with SHA-384", SLICE(SPACES SERVER_CV "\0" HASH48), SIGN_TEXT_TLS13 },
	{ "TLS 1.2 with X25519", SLICE(RANDOMS "\3\0\x1d\x20" HASH32), SIGN_TEXT_TLS12 },
	{ "TLS 1.2 with P-256", SLICE(RANDOMS "\3\0\x17\x41\4" POINT64), SIGN_TEXT_TLS12 },
	{ "TLS 1.2 with P-384", SLICE(RANDOMS "\3\0\x18\x61\4" HASH48 HASH48), SIGN_TEXT_TLS12 },
	{ "nothing", SLICE(""), SIGN_TEXT_OTHER },
	{ "mail headers as DKIM signs them",
	    SLICE(
		"from:a <a@example.test>\r\nto:b@example.test\r\nsubject:x\r\ndate:Mon, 1 Jan 2024 "
		"00:00:00 +0000\r\ndkim-signature:v=1; a=rsa-sha256; d=example.test; s=s; b="),
	    SIGN_TEXT_OTHER },
	{ "a client's CertificateVerify",
	    SLICE(SPACES "TLS 1.3, client CertificateVerify\0" HASH32), SIGN_TEXT_OTHER },
	{ "TLS 1.3 with a tab for a space",
	    SLICE("\t"
		  "                                                               " SERVER_CV
		  "\0" HASH32),
	    SIGN_TEXT_OTHER },
	{ "TLS 1.3 without the NUL", SLICE(SPACES SERVER_CV " " HASH32), SIGN_TEXT_OTHER },
	{ "TLS 1.3 one byte short",
	    SLICE(SPACES SERVER_CV "\0"
				   "123456789abcdef0123456789abcdef"),
	    SIGN_TEXT_OTHER },
	{ "TLS 1.3 one byte long", SLICE(SPACES SERVER_CV "\0" HASH32 "x"), SIGN_TEXT_OTHER },
	{ "TLS 1.3 cut off", SLICE(SPACES "TLS 1.3"), SIGN_TEXT_OTHER },
	{ "TLS 1.2, point one byte short",
	    SLICE(RANDOMS "\3\0\x1d\x20"
			  "123456789abcdef0123456789abcdef"),
	    SIGN_TEXT_OTHER },
	{ "TLS 1.2, bytes after the point", SLICE(RANDOMS "\3\0\x1d\x20" HASH32 "x"),
	    SIGN_TEXT_OTHER },
	{ "TLS 1.2, length of another group", SLICE(RANDOMS "\3\0\x17\x20" HASH32),
	    SIGN_TEXT_OTHER },
	{ "TLS 1.2, compressed point", SLICE(RANDOMS "\3\0\x17\x41\2" POINT64), SIGN_TEXT_OTHER },
	{ "TLS 1.2, explicit curve", SLICE(RANDOMS "\1\0\x1d\x20" HASH32), SIGN_TEXT_OTHER },
	{ "TLS 1.2, group that we never offer", SLICE(RANDOMS "\3\0\x1e\x38" HASH48 "01234567"),
	    SIGN_TEXT_OTHER },
	{ "TLS 1.2, nothing after the randoms", SLICE(RANDOMS), SIGN_TEXT_OTHER },
	{ "TLS 1.2, DHE parameters", SLICE(RANDOMS "\0\x20" HASH32 "\0\1\2\0\x20" HASH32),
	    SIGN_TEXT_OTHER },
};

static void texts_are_told_apart(void **state)
{
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		enum sign_text got = sign_text_classify(texts[i].text.p, texts[i].text.n);

		if (got != texts[i].want)
			fail_msg("%s: %d instead of %d", texts[i].name, got, texts[i].want);
	}
}

enum { RSA2048, P256, P384, ED25519, KINDS };

static struct signer_keys *keys;
static EVP_PKEY *own[KINDS];
static uint8_t refs[KINDS][TLS_KEY_REF_BYTES];

static int add_pem(EVP_PKEY *key, const EVP_CIPHER *cipher, uint8_t *ret_ref)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *p;
	int r;

	assert_int_equal(PEM_write_bio_PrivateKey(bio, key, cipher, (unsigned char *)"pass",
			     cipher != NULL ? 4 : 0, NULL, NULL),
	    1);
	r = signer_keys_add(keys, slice_of(p, (size_t)BIO_get_mem_data(bio, &p)), ret_ref);
	BIO_free(bio);
	return r;
}

static int keys_set_up(void **state)
{
	own[RSA2048] = EVP_RSA_gen(2048);
	own[P256] = EVP_EC_gen("P-256");
	own[P384] = EVP_EC_gen("P-384");
	own[ED25519] = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	if (signer_keys_new(&keys) != 0)
		return -1;
	for (int i = 0; i < KINDS; i++)
		assert_int_equal(add_pem(own[i], NULL, refs[i]), 0);
	return 0;
}

static int keys_tear_down(void **state)
{
	for (int i = 0; i < KINDS; i++)
		EVP_PKEY_free(own[i]);
	signer_keys_free(&keys);
	return 0;
}

/* Checks a signature by other means than the code that made it. */
static bool verifies(int kind, uint32_t alg, struct slice text, struct slice sig)
{
	static const struct {
		uint32_t alg;
		const char *md;
		int pad;
	} how[] = {
		{ TLS_RSA_PKCS1_SHA256, "SHA256", RSA_PKCS1_PADDING },
		{ TLS_RSA_PKCS1_SHA512, "SHA512", RSA_PKCS1_PADDING },
		{ TLS_RSA_PSS_SHA256, "SHA256", RSA_PKCS1_PSS_PADDING },
		{ TLS_RSA_PSS_SHA384, "SHA384", RSA_PKCS1_PSS_PADDING },
		{ TLS_ECDSA_P256_SHA256, "SHA256", 0 },
		{ TLS_ECDSA_P384_SHA384, "SHA384", 0 },
		{ TLS_ED25519, NULL, 0 },
	};
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx;
	bool ok = false;

	for (size_t i = 0; i < sizeof(how) / sizeof(how[0]); i++) {
		if (how[i].alg != alg)
			continue;
		ok = EVP_DigestVerifyInit_ex(ctx, &pctx, how[i].md, NULL, NULL, own[kind], NULL) ==
		     1;
		if (how[i].pad != 0)
			EVP_PKEY_CTX_set_rsa_padding(pctx, how[i].pad);
		if (how[i].pad == RSA_PKCS1_PSS_PADDING)
			EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST);
		ok = ok && EVP_DigestVerify(ctx, sig.p, sig.n, text.p, text.n) == 1;
	}
	EVP_MD_CTX_free(ctx);
	return ok;
}

enum { T12, T13, DKIM };

static const struct slice sample[] = {
	[T12] = SLICE(RANDOMS "\3\0\x1d\x20" HASH32),
	[T13] = SLICE(SPACES SERVER_CV "\0" HASH48),
	[DKIM] = SLICE("from:a@example.test\r\ndkim-signature:v=1; d=example.test; b="),
};

static const struct {
	const char *name;
	int kind, text;
	uint32_t alg;
	enum signer_status want;
} asks[] = {
	{ "RSA in TLS 1.2", RSA2048, T12, TLS_RSA_PKCS1_SHA256, SIGNER_SIGNED },
	{ "RSA in TLS 1.2, SHA-512", RSA2048, T12, TLS_RSA_PKCS1_SHA512, SIGNER_SIGNED },
	{ "RSA-PSS in TLS 1.2", RSA2048, T12, TLS_RSA_PSS_SHA256, SIGNER_SIGNED },
	{ "RSA-PSS in TLS 1.3", RSA2048, T13, TLS_RSA_PSS_SHA384, SIGNER_SIGNED },
	{ "P-256 in TLS 1.2", P256, T12, TLS_ECDSA_P256_SHA256, SIGNER_SIGNED },
	{ "P-256 in TLS 1.3", P256, T13, TLS_ECDSA_P256_SHA256, SIGNER_SIGNED },
	{ "P-384 in TLS 1.2", P384, T12, TLS_ECDSA_P384_SHA384, SIGNER_SIGNED },
	{ "P-384 in TLS 1.3", P384, T13, TLS_ECDSA_P384_SHA384, SIGNER_SIGNED },
	{ "Ed25519 in TLS 1.2", ED25519, T12, TLS_ED25519, SIGNER_SIGNED },
	{ "Ed25519 in TLS 1.3", ED25519, T13, TLS_ED25519, SIGNER_SIGNED },
	{ "DKIM with RSA", RSA2048, DKIM, TLS_RSA_PKCS1_SHA256, SIGNER_REFUSED_TEXT },
	{ "DKIM with P-256", P256, DKIM, TLS_ECDSA_P256_SHA256, SIGNER_REFUSED_TEXT },
	{ "DKIM with Ed25519", ED25519, DKIM, TLS_ED25519, SIGNER_REFUSED_TEXT },
	{ "PKCS#1 v1.5 in TLS 1.3", RSA2048, T13, TLS_RSA_PKCS1_SHA256, SIGNER_REFUSED_SCHEME },
	{ "SHA-1", RSA2048, T12, 0x0201, SIGNER_REFUSED_SCHEME },
	{ "RSA-PSS with a PSS key's number", RSA2048, T13, 0x0809, SIGNER_REFUSED_SCHEME },
	{ "RSA scheme for an EC key", P256, T12, TLS_RSA_PKCS1_SHA256, SIGNER_REFUSED_SCHEME },
	{ "P-384 scheme for a P-256 key", P256, T12, TLS_ECDSA_P384_SHA384, SIGNER_REFUSED_SCHEME },
	{ "no scheme", ED25519, T13, 0, SIGNER_REFUSED_SCHEME },
};

static void asks_are_answered_by_table(void **state)
{
	for (size_t i = 0; i < sizeof(asks) / sizeof(asks[0]); i++) {
		const struct ipc_sign_ask ask = {
			.key = slice_of(refs[asks[i].kind], TLS_KEY_REF_BYTES),
			.alg = asks[i].alg,
			.text = sample[asks[i].text],
		};
		struct signer_channel channel;
		struct ipc_sign_reply reply;
		uint8_t sig[TLS_SIG_BYTES];

		signer_channel_init(&channel);
		assert_int_equal(
		    signer_core_answer(keys, &channel, &ask, sig, &reply), SIGNER_ANSWER);
		if (reply.status != asks[i].want)
			fail_msg("%s: %s", asks[i].name, signer_status_text(reply.status));
		if (reply.status != SIGNER_SIGNED && reply.sig.n != 0)
			fail_msg("%s: refused and signed", asks[i].name);
		if (reply.status == SIGNER_SIGNED &&
		    !verifies(asks[i].kind, asks[i].alg, ask.text, reply.sig))
			fail_msg("%s: the signature is wrong", asks[i].name);
	}
}

static void an_unknown_key_is_refused(void **state)
{
	static const uint8_t nobody[TLS_KEY_REF_BYTES];
	struct ipc_sign_ask ask = {
		.key = slice_of(nobody, sizeof(nobody)), .alg = TLS_ED25519, .text = sample[T13]
	};
	struct signer_channel channel;
	struct ipc_sign_reply reply;
	uint8_t sig[TLS_SIG_BYTES];

	signer_channel_init(&channel);
	assert_int_equal(signer_core_answer(keys, &channel, &ask, sig, &reply), SIGNER_ANSWER);
	assert_int_equal(reply.status, SIGNER_REFUSED_KEY);
	ask.key = slice_of(refs[ED25519], TLS_KEY_REF_BYTES - 1);
	assert_int_equal(signer_core_answer(keys, &channel, &ask, sig, &reply), SIGNER_ANSWER);
	assert_int_equal(reply.status, SIGNER_REFUSED_KEY);
}

static void a_channel_has_its_share_and_no_more(void **state)
{
	const struct ipc_sign_ask ask = { .key = slice_of(refs[ED25519], TLS_KEY_REF_BYTES),
		.alg = TLS_ED25519,
		.text = sample[T13] };
	struct signer_channel channel;
	struct ipc_sign_reply reply;
	uint8_t sig[TLS_SIG_BYTES];

	signer_channel_init(&channel);
	for (int i = 0; i < SIGNER_SIGNATURES; i++) {
		assert_int_equal(
		    signer_core_answer(keys, &channel, &ask, sig, &reply), SIGNER_ANSWER);
		assert_int_equal(reply.status, SIGNER_SIGNED);
	}
	for (int i = 1; i <= SIGNER_REFUSALS; i++) {
		assert_int_equal(signer_core_answer(keys, &channel, &ask, sig, &reply),
		    i < SIGNER_REFUSALS ? SIGNER_ANSWER : SIGNER_ANSWER_CLOSE);
		assert_int_equal(reply.status, SIGNER_REFUSED_COUNT);
		assert_int_equal(reply.sig.n, 0);
	}
}

static void only_fit_keys_are_taken(void **state)
{
	EVP_PKEY *unfit[] = { EVP_RSA_gen(1024), EVP_EC_gen("P-521"), EVP_EC_gen("secp256k1"),
		EVP_PKEY_Q_keygen(NULL, NULL, "ED448"), EVP_PKEY_Q_keygen(NULL, NULL, "X25519") };
	static const struct slice bad[] = { SLICE(""), SLICE("no key\n"),
		SLICE("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n") };
	uint8_t ref[TLS_KEY_REF_BYTES];
	static uint8_t longer[SIGNER_PEM_BYTES + 1];

	for (size_t i = 0; i < sizeof(unfit) / sizeof(unfit[0]); i++) {
		assert_non_null(unfit[i]);
		assert_int_equal(add_pem(unfit[i], NULL, ref), SIGNER_KEY_UNFIT);
		EVP_PKEY_free(unfit[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(signer_keys_add(keys, bad[i], ref), SIGNER_KEY_BAD);
	assert_int_equal(
	    signer_keys_add(keys, slice_of(longer, sizeof(longer)), ref), SIGNER_KEY_BAD);
	assert_int_equal(add_pem(own[P256], EVP_aes_128_cbc(), ref), SIGNER_KEY_BAD);
	assert_int_equal(signer_keys_count(keys), KINDS);
}

static void the_same_key_twice_is_one_key(void **state)
{
	uint8_t ref[TLS_KEY_REF_BYTES];

	assert_int_equal(add_pem(own[P256], NULL, ref), 0);
	assert_memory_equal(ref, refs[P256], sizeof(ref));
	assert_int_equal(signer_keys_count(keys), KINDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_are_told_apart),
		cmocka_unit_test(asks_are_answered_by_table),
		cmocka_unit_test(an_unknown_key_is_refused),
		cmocka_unit_test(a_channel_has_its_share_and_no_more),
		cmocka_unit_test(only_fit_keys_are_taken),
		cmocka_unit_test(the_same_key_twice_is_one_key),
	};

	return cmocka_run_group_tests(tests, keys_set_up, keys_tear_down);
}
