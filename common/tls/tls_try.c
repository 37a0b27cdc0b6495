/* The trial handshakes that an acceptor makes before it listens. */
#include "common/tls/tls-private.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#define TRY_STEPS 8 /* flights; a full handshake needs four */

struct trial {
	SSL *client;
	BIO *in, *out;
	struct tls_conn *server;
};

static int trial_init(struct trial *t, struct tls_ctx *ctx, SSL_CTX *client_ctx, int signer_fd)
{
	int r = tls_conn_new(ctx, -1, signer_fd, &t->server);

	if (r != 0)
		return r;
	t->client = SSL_new(client_ctx);
	t->in = BIO_new(BIO_s_mem());
	t->out = BIO_new(BIO_s_mem());
	if (t->client == NULL || t->in == NULL || t->out == NULL)
		return -ENOMEM;
	SSL_set_bio(t->client, t->in, t->out);
	SSL_set_connect_state(t->client);
	return 0;
}

static void trial_fini(struct trial *t)
{
	if (t->client == NULL || SSL_get_rbio(t->client) == NULL) {
		BIO_free(t->in);
		BIO_free(t->out);
	}
	SSL_free(t->client);
	tls_conn_free(&t->server);
}

/* Moves what each side has written to the other. */
static int to_server(struct trial *t)
{
	uint8_t chunk[4096];
	int r = 0, n;

	while (r == 0 && (n = BIO_read(t->out, chunk, sizeof(chunk))) > 0)
		r = tls_conn_feed(t->server, (struct slice){ chunk, (size_t)n });
	return r;
}

static int to_client(struct trial *t)
{
	uint8_t chunk[4096];
	size_t n;

	while ((n = tls_conn_drain(t->server, chunk, sizeof(chunk))) > 0) {
		if (BIO_write(t->in, chunk, (int)n) != (int)n)
			return -ENOMEM;
	}
	return 0;
}

static int trial_run(struct trial *t)
{
	enum tls_answer server = TLS_WANT_READ;
	int client = 0, r = 0;

	for (int step = 0; r == 0 && step < TRY_STEPS; step++) {
		client = SSL_do_handshake(t->client);
		r = to_server(t);
		if (r == 0)
			server = tls_conn_handshake(t->server);
		if (r == 0)
			r = to_client(t);
	}
	if (r == 0 && (server != TLS_DONE || client != 1))
		r = TLS_CTX_NO_SIGNATURE;
	return r;
}

/* TLS 1.3 shows what there is to know of a key; the first is tried with 1.2 too, to warm that up.
 */
static int try_cert(struct tls_ctx *ctx, SSL_CTX *client_ctx, int signer_fd, int cert)
{
	static const int versions[] = { TLS1_3_VERSION, TLS1_2_VERSION };
	size_t n = cert == 0 ? 2 : 1;
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		struct trial t = { 0 };

		if (!SSL_CTX_set_min_proto_version(client_ctx, versions[i]) ||
		    !SSL_CTX_set_max_proto_version(client_ctx, versions[i]))
			return -ENOTSUP;
		ctx->only_cert = cert;
		r = trial_init(&t, ctx, client_ctx, signer_fd);
		if (r == 0)
			r = trial_run(&t);
		ctx->only_cert = -1;
		trial_fini(&t);
		ERR_clear_error();
	}
	return r;
}

int tls_ctx_try(struct tls_ctx *ctx, int signer_fd, size_t max_certs, size_t *ret_cert)
{
	SSL_CTX *client_ctx;
	int r = 0;

	if (ctx->n_certs == 0)
		return TLS_CTX_NO_CERT;
	client_ctx = SSL_CTX_new_ex(NULL, "?provider=default", TLS_client_method());
	if (client_ctx == NULL)
		return -ENOMEM;
	SSL_CTX_set_verify(client_ctx, SSL_VERIFY_NONE, NULL); /* only the signature matters */
	for (size_t i = 0; r == 0 && i < ctx->n_certs && i < max_certs && i < TLS_TRY_CERTS; i++) {
		r = try_cert(ctx, client_ctx, signer_fd, (int)i);
		if (r == TLS_CTX_NO_SIGNATURE)
			*ret_cert = i;
	}
	SSL_CTX_free(client_ctx);
	return r;
}
