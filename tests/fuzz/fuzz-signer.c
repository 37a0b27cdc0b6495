/*
 * Any question to the signer: whatever it signs has one of the two shapes, told apart here by
 * simpler and separate code. Input: one byte that chooses the key, two of the scheme, the text.
 * (fuzz-ipc looks after the packet around it.)
 */
#include "authd/signer/signer_core.h"
#include "common/ipc/codec.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <string.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

enum { KEYS = 3 };

static struct signer_keys *keys;
static uint8_t refs[KEYS][TLS_KEY_REF_BYTES];

static void keys_make(void)
{
	EVP_PKEY *made[KEYS] = { EVP_EC_gen("P-256"), EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"),
		EVP_RSA_gen(2048) };

	assert(signer_keys_new(&keys) == 0);
	for (int i = 0; i < KEYS; i++) {
		BIO *bio = BIO_new(BIO_s_mem());
		char *p;
		long n;

		assert(PEM_write_bio_PrivateKey(bio, made[i], NULL, NULL, 0, NULL, NULL) == 1);
		n = BIO_get_mem_data(bio, &p);
		assert(signer_keys_add(keys, slice_of(p, (size_t)n), refs[i]) == 0);
		BIO_free(bio);
		EVP_PKEY_free(made[i]);
	}
}

static bool may_be_signed(struct slice text)
{
	static const char tls13[] = "TLS 1.3, server CertificateVerify";

	if (text.n < 100 || text.n > 165)
		return false;
	if (text.p[64] == 3)
		return text.n == 68u + text.p[67] && text.p[65] == 0;
	for (int i = 0; i < 64; i++) {
		if (text.p[i] != ' ')
			return false;
	}
	return memcmp(text.p + 64, tls13, sizeof(tls13)) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct signer_channel channel;
	struct ipc_sign_ask ask;
	struct ipc_sign_reply reply;
	uint8_t sig[TLS_SIG_BYTES];
	struct buf out = BUF_INIT(IPC_PACKET_MAX);

	if (keys == NULL)
		keys_make();
	if (n < 3)
		return 0;
	ask.key = data[0] < KEYS ? slice_of(refs[data[0]], TLS_KEY_REF_BYTES)
				 : slice_of(data, n < TLS_KEY_REF_BYTES ? n : TLS_KEY_REF_BYTES);
	ask.alg = (uint32_t)data[1] << 8 | data[2];
	ask.text = slice_of(data + 3, n - 3);
	signer_channel_init(&channel);
	assert(signer_core_answer(keys, &channel, &ask, sig, &reply) == SIGNER_ANSWER);
	assert((reply.status == SIGNER_SIGNED) == (reply.sig.n > 0));
	assert(reply.status != SIGNER_SIGNED || may_be_signed(ask.text));
	assert(reply.status != SIGNER_FAULT);
	assert(ipc_encode(IPC_sign_reply, &reply, &out) == 0);
	buf_fini(&out);
	return 0;
}
