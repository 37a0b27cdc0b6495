#include "common/tls/tls_conn.h"

#include "common/tls/remote.h"
#include "common/tls/tls-private.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

struct tls_conn {
	const struct tls_ctx *ctx;
	SSL *ssl;
	BIO *in, *out; /* memory only; the SSL owns them */
	int signer_fd;
	bool ready;           /* handshake done */
	enum tls_answer over; /* TLS_DONE while it lives */
	const char *why;
	struct tls_facts facts;
};

static int conn_attach_memory(struct tls_conn *conn)
{
	conn->in = BIO_new(BIO_s_mem());
	conn->out = BIO_new(BIO_s_mem());
	if (conn->in == NULL || conn->out == NULL) {
		BIO_free(conn->in);
		BIO_free(conn->out);
		return -ENOMEM;
	}
	BIO_set_mem_eof_return(conn->in, -1); /* empty means "later", not "end" */
	BIO_set_mem_eof_return(conn->out, -1);
	SSL_set_bio(conn->ssl, conn->in, conn->out);
	return 0;
}

int tls_conn_new(struct tls_ctx *ctx, int fd, int signer_fd, struct tls_conn **ret_conn)
{
	struct tls_conn *conn;
	int r = 0;

	conn = calloc(1, sizeof(*conn));
	if (conn == NULL)
		return -ENOMEM;
	conn->ctx = ctx;
	conn->signer_fd = signer_fd;
	conn->why = "";
	conn->ssl = SSL_new(ctx->ssl);
	if (conn->ssl == NULL)
		r = -ENOMEM;
	else if (fd == -1)
		r = conn_attach_memory(conn);
	else
		r = SSL_set_fd(conn->ssl, fd) == 1 ? 0 : -ENOMEM;
	if (r != 0) {
		tls_conn_free(&conn);
		return r;
	}
	SSL_set_accept_state(conn->ssl);
	*ret_conn = conn;
	return 0;
}

void tls_conn_free(struct tls_conn **conn)
{
	if (*conn == NULL)
		return;
	SSL_free((*conn)->ssl);
	OPENSSL_cleanse(&(*conn)->facts, sizeof((*conn)->facts));
	free(*conn);
	*conn = NULL;
}

static enum tls_answer conn_end(struct tls_conn *conn, enum tls_answer over, const char *why)
{
	conn->over = over;
	conn->why = why;
	ERR_clear_error();
	return over;
}

/* The one place where OpenSSL's result becomes an answer. */
static enum tls_answer conn_answer(struct tls_conn *conn, int r)
{
	unsigned long err;
	const char *why;

	switch (SSL_get_error(conn->ssl, r)) {
	case SSL_ERROR_NONE:
		return TLS_DONE;
	case SSL_ERROR_WANT_READ:
		return TLS_WANT_READ;
	case SSL_ERROR_WANT_WRITE:
		return TLS_WANT_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		return conn_end(conn, TLS_CLOSED, "close_notify");
	case SSL_ERROR_SYSCALL:
		return conn_end(conn, TLS_LOST, "connection lost");
	default:
		break;
	}
	err = ERR_peek_error();
	if (ERR_GET_REASON(err) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		return conn_end(conn, TLS_LOST, "connection lost");
	why = ERR_reason_error_string(err);
	return conn_end(conn, TLS_BAD, why != NULL ? why : "protocol error");
}

static void facts_set_name(struct tls_conn *conn)
{
	const char *name = SSL_get_servername(conn->ssl, TLSEXT_NAMETYPE_host_name);
	size_t i;

	for (i = 0; name != NULL && name[i] != '\0' && i < TLS_NAME_BYTES; i++)
		conn->facts.server_name[i] = (char)tolower((unsigned char)name[i]);
	conn->facts.server_name[i] = '\0';
}

static void facts_set_end_point(struct tls_conn *conn)
{
	const X509 *used = SSL_get_certificate(conn->ssl);
	struct tls_facts *f = &conn->facts;

	for (size_t i = 0; i < conn->ctx->n_certs; i++) {
		const struct tls_cert *cert = &conn->ctx->certs[i];

		if (cert->x509 != used)
			continue;
		memcpy(f->end_point, cert->end_point, cert->n_end_point);
		f->n_end_point = cert->n_end_point;
		return;
	}
}

/* RFC 9266 section 4.2: TLS 1.2 without extended master secret has no safe exporter. No context is
 * passed, as other libraries do; in TLS 1.3 that is the same as the RFC's empty one. */
static void facts_set_exporter(struct tls_conn *conn)
{
	static const char label[] = "EXPORTER-Channel-Binding";
	struct tls_facts *f = &conn->facts;

	if (SSL_version(conn->ssl) < TLS1_3_VERSION && SSL_get_extms_support(conn->ssl) != 1)
		return;
	f->has_exporter = SSL_export_keying_material(conn->ssl, f->exporter, sizeof(f->exporter),
			      label, sizeof(label) - 1, NULL, 0, 0) == 1;
}

static void facts_set(struct tls_conn *conn)
{
	struct tls_facts *f = &conn->facts;
	const SSL_CIPHER *cipher = SSL_get_current_cipher(conn->ssl);
	const char *group = OBJ_nid2sn(SSL_get_negotiated_group(conn->ssl) & 0xffff);

	f->version = SSL_get_version(conn->ssl);
	f->cipher = SSL_CIPHER_get_name(cipher);
	f->cipher_bits = SSL_CIPHER_get_bits(cipher, NULL);
	f->group = group != NULL ? group : "";
	facts_set_name(conn);
	facts_set_end_point(conn);
	facts_set_exporter(conn);
}

enum tls_answer tls_conn_handshake(struct tls_conn *conn)
{
	enum tls_answer answer;
	int r;

	if (conn->over != TLS_DONE || conn->ready)
		return conn->over;
	ERR_clear_error();
	tls_remote_use(conn->signer_fd);
	r = SSL_do_handshake(conn->ssl);
	answer = conn_answer(conn, r);
	if (answer == TLS_BAD && tls_remote_failed())
		answer = conn_end(conn, TLS_FAILED, "no signature from the signer");
	tls_remote_use(-1);
	if (answer == TLS_DONE) {
		conn->ready = true;
		facts_set(conn);
	}
	return answer;
}

enum tls_answer tls_conn_read(struct tls_conn *conn, void *p, size_t n, size_t *ret_n)
{
	enum tls_answer answer;
	int r;

	assert(n > 0);
	if (conn->over != TLS_DONE)
		return conn->over;
	assert(conn->ready);
	ERR_clear_error();
	r = SSL_read(conn->ssl, p, n > INT_MAX ? INT_MAX : (int)n);
	answer = conn_answer(conn, r);
	if (answer == TLS_DONE)
		*ret_n = (size_t)r;
	return answer;
}

enum tls_answer tls_conn_write(struct tls_conn *conn, struct slice text, size_t *ret_n)
{
	enum tls_answer answer;
	int r;

	if (conn->over != TLS_DONE)
		return conn->over;
	assert(conn->ready);
	if (text.n == 0) {
		*ret_n = 0;
		return TLS_DONE;
	}
	ERR_clear_error();
	r = SSL_write(conn->ssl, text.p, text.n > INT_MAX ? INT_MAX : (int)text.n);
	answer = conn_answer(conn, r);
	if (answer == TLS_DONE)
		*ret_n = (size_t)r;
	return answer;
}

size_t tls_conn_pending(const struct tls_conn *conn)
{
	return conn->over == TLS_DONE ? (size_t)SSL_pending(conn->ssl) : 0;
}

enum tls_answer tls_conn_shutdown(struct tls_conn *conn)
{
	int r;

	/* After a fatal error nothing may be sent (SSL_shutdown(3)); after the client's
	 * close_notify ours is still owed. */
	if (!conn->ready || (conn->over != TLS_DONE && conn->over != TLS_CLOSED))
		return conn->over != TLS_DONE ? conn->over : TLS_DONE;
	ERR_clear_error();
	r = SSL_shutdown(conn->ssl);
	if (r >= 0)
		return TLS_DONE;
	return conn_answer(conn, r);
}

const struct tls_facts *tls_conn_facts(const struct tls_conn *conn)
{
	return &conn->facts;
}

const char *tls_conn_why(const struct tls_conn *conn)
{
	return conn->why;
}

int tls_conn_feed(struct tls_conn *conn, struct slice bytes)
{
	assert(conn->in != NULL);
	if (bytes.n == 0)
		return 0;
	if (bytes.n > INT_MAX || BIO_write(conn->in, bytes.p, (int)bytes.n) != (int)bytes.n)
		return -ENOMEM;
	return 0;
}

size_t tls_conn_drain(struct tls_conn *conn, void *p, size_t n)
{
	int got;

	assert(conn->out != NULL);
	got = BIO_read(conn->out, p, n > INT_MAX ? INT_MAX : (int)n);
	return got > 0 ? (size_t)got : 0;
}
