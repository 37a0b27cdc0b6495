#include "authd/keycheck/check.h"

#include "common/tls/limits.h"
#include "common/tls/tls_ctx.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

/* All of the file, from its start, wherever its position is: at most TLS_PEM_BYTES and one more. */
static int read_chain(int fd, uint8_t **ret_p, size_t *ret_n)
{
	uint8_t *p = malloc(TLS_PEM_BYTES + 1);
	size_t n = 0;
	ssize_t got;

	if (p == NULL)
		return -ENOMEM;
	do {
		got = pread(fd, p + n, TLS_PEM_BYTES + 1 - n, (off_t)n);
		n += got > 0 ? (size_t)got : 0;
	} while (got > 0 || (got < 0 && errno == EINTR));
	if (got < 0) {
		free(p);
		return -EIO;
	}
	*ret_p = p;
	*ret_n = n;
	return 0;
}

/* What the doors will say of it; then the name of its key. */
static int chain_ref(struct slice pem, uint8_t ret_ref[TLS_KEY_REF_BYTES])
{
	struct tls_ctx *ctx = NULL;
	X509 *cert = NULL;
	size_t number;
	BIO *bio;
	int r = tls_ctx_new(&ctx);

	if (r == 0)
		r = tls_ctx_add_cert(ctx, pem, &number);
	tls_ctx_free(&ctx);
	if (r != 0)
		return r;
	bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	if (bio != NULL)
		cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	BIO_free(bio);
	ERR_clear_error();
	r = cert == NULL ? -ENOMEM : tls_key_ref(X509_get0_pubkey(cert), ret_ref);
	X509_free(cert);
	return r;
}

int check_pair(
    struct signer_keys *keys, const char *name, int chain_fd, int key_fd, struct buf *errors)
{
	uint8_t of_chain[TLS_KEY_REF_BYTES], of_key[TLS_KEY_REF_BYTES];
	uint8_t *pem = NULL;
	size_t n = 0;
	int r = read_chain(chain_fd, &pem, &n), key;

	if (r == 0)
		r = chain_ref(slice_of(pem, n), of_chain);
	free(pem);
	if (r > 0)
		buf_printf(errors, "certificate %s: its chain: %s\n", name, tls_ctx_answer_text(r));
	if (r < 0)
		return r;
	key = signer_keys_add_fd(keys, key_fd, of_key);
	if (key > 0)
		buf_printf(
		    errors, "certificate %s: its key: %s\n", name, signer_key_answer_text(key));
	if (key < 0)
		return key;
	if (r == 0 && key == 0 && memcmp(of_chain, of_key, sizeof(of_key)) != 0) {
		buf_printf(errors, "certificate %s: its key does not belong to its chain\n", name);
		r = 1;
	}
	return r != 0 || key != 0;
}
