#include "authd/signer/signer_keys.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

struct signer_key {
	uint8_t ref[TLS_KEY_REF_BYTES];
	EVP_PKEY *key;
};

struct signer_keys {
	struct signer_key *v; /* sorted by ref */
	size_t n;
};

int signer_heap_init(size_t n_keys, bool *ret_locked)
{
	size_t want, bytes = SIGNER_HEAP_BYTES;
	int r;

	if (n_keys > SIGNER_KEYS)
		n_keys = SIGNER_KEYS;
	for (want = bytes + 2 * n_keys * SIGNER_HEAP_KEY_BYTES; bytes < want;)
		bytes *= 2; /* OpenSSL asks for a power of two */
	if (!OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL))
		return -ENOMEM;
	r = CRYPTO_secure_malloc_init(bytes, SIGNER_HEAP_MIN_BYTES);
	if (!CRYPTO_secure_malloc_initialized())
		return -ENOMEM;
	*ret_locked = r == 1;
	return 0;
}

int signer_keys_new(struct signer_keys **ret_keys)
{
	struct signer_keys *keys = calloc(1, sizeof(*keys));

	if (keys == NULL)
		return -ENOMEM;
	*ret_keys = keys;
	return 0;
}

void signer_keys_free(struct signer_keys **keys)
{
	if (*keys == NULL)
		return;
	for (size_t i = 0; i < (*keys)->n; i++)
		EVP_PKEY_free((*keys)->v[i].key);
	free((*keys)->v);
	free(*keys);
	*keys = NULL;
}

size_t signer_keys_count(const struct signer_keys *keys)
{
	return keys->n;
}

static int ref_order(const void *ref, const void *key)
{
	return memcmp(ref, ((const struct signer_key *)key)->ref, TLS_KEY_REF_BYTES);
}

EVP_PKEY *signer_keys_find(const struct signer_keys *keys, const uint8_t ref[TLS_KEY_REF_BYTES])
{
	const struct signer_key *hit = NULL;

	if (keys->n > 0)
		hit = bsearch(ref, keys->v, keys->n, sizeof(*keys->v), ref_order);
	return hit != NULL ? hit->key : NULL;
}

static bool key_fits(const EVP_PKEY *key)
{
	char group[32] = "";

	if (EVP_PKEY_is_a(key, "ED25519"))
		return true;
	if (EVP_PKEY_is_a(key, "RSA"))
		return EVP_PKEY_get_bits(key) >= SIGNER_RSA_MIN_BITS &&
		       EVP_PKEY_get_bits(key) <= SIGNER_RSA_MAX_BITS;
	if (!EVP_PKEY_is_a(key, "EC") || !EVP_PKEY_get_group_name(key, group, sizeof(group), NULL))
		return false;
	return strcmp(group, "prime256v1") == 0 || strcmp(group, "secp384r1") == 0;
}

/* Instead of OpenSSL's own, which would ask on a terminal. */
static int no_passphrase(char *buf, int size, int writing, void *arg)
{
	return -1;
}

static int keys_insert(struct signer_keys *keys, EVP_PKEY *take_key, const uint8_t *ref)
{
	struct signer_key *bigger;
	size_t at;

	if (keys->n >= SIGNER_KEYS)
		return SIGNER_KEYS_FULL;
	bigger = reallocarray(keys->v, keys->n + 1, sizeof(*bigger));
	if (bigger == NULL)
		return -ENOMEM;
	keys->v = bigger;
	for (at = keys->n; at > 0 && ref_order(ref, &bigger[at - 1]) < 0; at--)
		bigger[at] = bigger[at - 1];
	memcpy(bigger[at].ref, ref, TLS_KEY_REF_BYTES);
	bigger[at].key = take_key;
	keys->n++;
	return 0;
}

int signer_keys_add(struct signer_keys *keys, struct slice pem, uint8_t ret_ref[TLS_KEY_REF_BYTES])
{
	BIO *bio;
	EVP_PKEY *key;
	int r = 0;

	if (pem.n > SIGNER_PEM_BYTES)
		return SIGNER_KEY_BAD;
	bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	if (bio == NULL)
		return -ENOMEM;
	key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	BIO_free(bio);
	ERR_clear_error();
	if (key == NULL)
		return SIGNER_KEY_BAD;
	if (!key_fits(key) || tls_key_ref(key, ret_ref) != 0)
		r = SIGNER_KEY_UNFIT;
	else if (signer_keys_find(keys, ret_ref) == NULL) {
		r = keys_insert(keys, key, ret_ref);
		if (r == 0)
			key = NULL;
	}
	EVP_PKEY_free(key);
	return r;
}

int signer_keys_add_fd(struct signer_keys *keys, int fd, uint8_t ret_ref[TLS_KEY_REF_BYTES])
{
	uint8_t *pem = OPENSSL_secure_malloc(SIGNER_PEM_BYTES + 1);
	size_t n = 0;
	ssize_t got;
	int r;

	if (pem == NULL)
		return -ENOMEM;
	do {
		got = pread(fd, pem + n, SIGNER_PEM_BYTES + 1 - n, (off_t)n);
		n += got > 0 ? (size_t)got : 0;
	} while (got > 0 || (got < 0 && errno == EINTR));
	r = got < 0 ? -errno : signer_keys_add(keys, (struct slice){ pem, n }, ret_ref);
	OPENSSL_secure_clear_free(pem, SIGNER_PEM_BYTES + 1);
	return r;
}

const char *signer_key_answer_text(int answer)
{
	switch (answer) {
	case SIGNER_KEY_BAD:
		return "no private key in PEM, or one with a passphrase";
	case SIGNER_KEY_UNFIT:
		return "neither RSA of 2048 to 4096 bits, P-256, P-384 nor Ed25519";
	case SIGNER_KEYS_FULL:
		return "too many keys";
	default:
		return "cannot be read";
	}
}
