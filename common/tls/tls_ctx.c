#include "common/tls/tls-private.h"
#include "common/base/io.h"
#include "common/tls/provider.h"
#include "common/tls/remote.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

/* AEAD with forward secrecy only. !kRSA: the provider cannot decrypt, and offering it would end in
 * a broken handshake instead of a clean "no shared cipher". */
#define TLS12_CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL:!kRSA"
#define TLS13_CIPHERS "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256"

/* The signer refuses a key exchange over other groups, and other signatures. */
#define TLS_GROUPS "X25519:P-256:P-384"
#define TLS_SIGALGS                                                                       \
	"ECDSA+SHA256:ed25519:RSA-PSS+SHA256:ECDSA+SHA384:RSA-PSS+SHA384:RSA-PSS+SHA512:" \
	"RSA+SHA256:RSA+SHA384:RSA+SHA512"

static int attach_cert(SSL *ssl, const struct tls_cert *cert)
{
	return SSL_use_cert_and_key(ssl, cert->x509, cert->key, cert->chain, 1);
}

/* Runs for clients without a name too, so it is the only place where certificates come from. */
static int on_server_name(SSL *ssl, int *alert, void *arg)
{
	const struct tls_ctx *ctx = arg;
	const int *use = tls_names_find(ctx, SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));

	if (ctx->only_cert >= 0)
		return attach_cert(ssl, &ctx->certs[ctx->only_cert]) == 1
			   ? SSL_TLSEXT_ERR_OK
			   : SSL_TLSEXT_ERR_ALERT_FATAL;
	for (int kind = 0; kind < TLS_KINDS; kind++) {
		if (use[kind] >= 0 && attach_cert(ssl, &ctx->certs[use[kind]]) != 1) {
			*alert = SSL_AD_INTERNAL_ERROR;
			return SSL_TLSEXT_ERR_ALERT_FATAL;
		}
	}
	return SSL_TLSEXT_ERR_OK;
}

static int ssl_ctx_set_up(SSL_CTX *ssl)
{
	SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
				     SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(ssl, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_security_level(ssl, 2);
	if (!SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) ||
	    !SSL_CTX_set_num_tickets(ssl, 0) || !SSL_CTX_set_max_early_data(ssl, 0) ||
	    !SSL_CTX_set_cipher_list(ssl, TLS12_CIPHERS) ||
	    !SSL_CTX_set_ciphersuites(ssl, TLS13_CIPHERS) ||
	    !SSL_CTX_set1_groups_list(ssl, TLS_GROUPS) ||
	    !SSL_CTX_set1_sigalgs_list(ssl, TLS_SIGALGS))
		return -ENOTSUP;
	return 0;
}

int tls_ctx_new(struct tls_ctx **ret_ctx)
{
	struct tls_ctx *ctx;
	int r = tls_provider_load();

	if (r != 0)
		return r;
	ctx = calloc(1, sizeof(*ctx));
	if (ctx == NULL)
		return -ENOMEM;
	ctx->only_cert = -1;
	for (int kind = 0; kind < TLS_KINDS; kind++)
		ctx->fallback[kind] = -1;
	ctx->ssl = SSL_CTX_new_ex(NULL, "?provider=default", TLS_server_method());
	r = ctx->ssl != NULL ? ssl_ctx_set_up(ctx->ssl) : -ENOMEM;
	if (r != 0) {
		tls_ctx_free(&ctx);
		return r;
	}
	SSL_CTX_set_tlsext_servername_callback(ctx->ssl, on_server_name);
	SSL_CTX_set_tlsext_servername_arg(ctx->ssl, ctx);
	*ret_ctx = ctx;
	return 0;
}

static void cert_fini(struct tls_cert *cert)
{
	X509_free(cert->x509);
	EVP_PKEY_free(cert->key);
	sk_X509_pop_free(cert->chain, X509_free);
}

void tls_ctx_free(struct tls_ctx **ctx)
{
	struct tls_ctx *c = *ctx;

	if (c == NULL)
		return;
	for (size_t i = 0; i < c->n_certs; i++)
		cert_fini(&c->certs[i]);
	for (size_t i = 0; i < c->n_names; i++)
		free(c->names[i].name);
	free(c->certs);
	free(c->names);
	SSL_CTX_free(c->ssl);
	free(c);
	*ctx = NULL;
}

/* RFC 5929 section 4.1: the hash of the certificate's signature, SHA-256 for MD5 and SHA-1; not
 * defined where the signature has no hash of its own (Ed25519). */
static void end_point_set(struct tls_cert *cert)
{
	int md_nid = NID_undef;
	const EVP_MD *md;
	unsigned int n = 0;

	if (!X509_get_signature_info(cert->x509, &md_nid, NULL, NULL, NULL) || md_nid == NID_undef)
		return;
	if (md_nid == NID_md5 || md_nid == NID_sha1 || md_nid == NID_md5_sha1)
		md_nid = NID_sha256;
	md = EVP_get_digestbynid(md_nid);
	if (md != NULL && (size_t)EVP_MD_get_size(md) <= sizeof(cert->end_point) &&
	    X509_digest(cert->x509, md, cert->end_point, &n))
		cert->n_end_point = n;
}

/* The certificates of PEM, first one apart. Each must be signed by the next: clients with a
 * strict reader refuse what is out of order, so we do at start. */
static int chain_read(BIO *bio, struct tls_cert *cert)
{
	X509 *last, *x;

	last = cert->x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	cert->chain = sk_X509_new_null();
	if (cert->x509 == NULL || cert->chain == NULL)
		return TLS_CTX_BAD_CERT;
	while ((x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		if (X509_check_issued(x, last) != X509_V_OK ||
		    sk_X509_num(cert->chain) + 2 > TLS_CHAIN_CERTS ||
		    !sk_X509_push(cert->chain, x)) {
			X509_free(x);
			return TLS_CTX_BAD_CERT;
		}
		last = x;
	}
	/* The reader ends with "no start line" at the end of the file and with others elsewhere. */
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		return TLS_CTX_BAD_CERT;
	return 0;
}

static int kind_of(const EVP_PKEY *pub)
{
	if (EVP_PKEY_is_a(pub, "EC"))
		return TLS_KIND_EC;
	return EVP_PKEY_is_a(pub, "RSA") ? TLS_KIND_RSA : TLS_KIND_ED25519;
}

static int cert_init(struct tls_cert *cert, struct slice pem)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	const EVP_PKEY *pub;
	int r = TLS_CTX_BAD_CERT;

	if (bio == NULL)
		return -ENOMEM;
	r = chain_read(bio, cert);
	ERR_clear_error();
	BIO_free(bio);
	if (r != 0)
		return r;
	pub = X509_get0_pubkey(cert->x509);
	cert->key = pub != NULL ? tls_remote_key_new(pub) : NULL;
	if (cert->key == NULL || X509_check_private_key(cert->x509, cert->key) != 1) {
		ERR_clear_error();
		return TLS_CTX_BAD_CERT;
	}
	cert->kind = kind_of(pub);
	end_point_set(cert);
	return 0;
}

int tls_ctx_add_cert(struct tls_ctx *ctx, struct slice pem, size_t *ret_cert)
{
	struct tls_cert cert = { 0 }, *bigger;
	int r;

	if (ctx->n_certs >= TLS_CERTS || pem.n > TLS_PEM_BYTES)
		return TLS_CTX_FULL;
	bigger = reallocarray(ctx->certs, ctx->n_certs + 1, sizeof(*bigger));
	if (bigger == NULL)
		return -ENOMEM;
	ctx->certs = bigger;
	r = cert_init(&cert, pem);
	if (r != 0) {
		cert_fini(&cert);
		return r;
	}
	if (ctx->n_certs == 0)
		ctx->fallback[cert.kind] = 0;
	*ret_cert = ctx->n_certs;
	ctx->certs[ctx->n_certs++] = cert;
	return 0;
}

int tls_ctx_add_file(struct tls_ctx *ctx, struct slice name, int fd, size_t *ret_cert)
{
	uint8_t *pem;
	size_t n;
	int r = lseek(fd, 0, SEEK_SET) == 0 ? io_slurp(fd, TLS_PEM_BYTES, &pem, &n) : -errno;

	if (r == 1)
		return TLS_CTX_FULL;
	if (r != 0)
		return r;
	r = tls_ctx_add_cert(ctx, slice_of(pem, n), ret_cert);
	free(pem);
	if (r != 0)
		return r;
	snprintf(ctx->certs[*ret_cert].name, sizeof(ctx->certs[*ret_cert].name), "%.*s",
	    SLICE_FMT(name));
	r = tls_ctx_add_own_names(ctx, *ret_cert);
	if (r == 0)
		r = tls_ctx_add_name(ctx, name, *ret_cert);
	return r == TLS_CTX_BAD_NAME ? 0 : r;
}

const char *tls_ctx_cert_name(const struct tls_ctx *ctx, size_t cert)
{
	return cert < ctx->n_certs ? ctx->certs[cert].name : "";
}

const char *tls_ctx_answer_text(int answer)
{
	switch (answer) {
	case TLS_CTX_BAD_CERT:
		return "not a certificate in PEM with its chain in order, or its key is neither "
		       "RSA of 2048 bits and more, P-256, P-384 nor Ed25519";
	case TLS_CTX_BAD_NAME:
		return "not a host name";
	case TLS_CTX_FULL:
		return "too large, or too many certificates or names";
	case TLS_CTX_NO_CERT:
		return "there is no certificate";
	case TLS_CTX_NO_SIGNATURE:
		return "the signer has no private key that fits the certificate";
	default:
		return "a failure of our own";
	}
}

void tls_ctx_after_fork(void)
{
	/* 3.0 sees a fork by getpid() alone: a child that is pid 1 of a new namespace, like its
	 * parent, would give its parent's "random" bytes again. */
	RAND_poll();
}
