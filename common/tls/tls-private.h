/*
 * Shared by the context and the connection.
 *
 * Invariant: the name table is sorted and its names are lower case, so a look-up is one search.
 */
#pragma once

#include "common/tls/limits.h"
#include "common/tls/tls_conn.h"
#include "common/tls/tls_ctx.h"

#include <openssl/types.h>
#include <openssl/x509.h>

enum tls_kind {
	TLS_KIND_EC,
	TLS_KIND_RSA,
	TLS_KIND_ED25519,
	TLS_KINDS,
};

struct tls_cert {
	enum tls_kind kind;
	char name[TLS_NAME_BYTES + 3]; /* in the configuration; "" when added without */
	X509 *x509;
	STACK_OF(X509) * chain;
	EVP_PKEY *key;
	size_t n_end_point;
	uint8_t end_point[TLS_END_POINT_BYTES]; /* RFC 5929 section 4.1; none for Ed25519 */
};

struct tls_name {
	char *name;
	int cert[TLS_KINDS]; /* index of the certificate, -1 for none */
};

struct tls_ctx {
	SSL_CTX *ssl;
	struct tls_cert *certs;
	size_t n_certs;
	struct tls_name *names;
	size_t n_names;
	int fallback[TLS_KINDS];
	int only_cert; /* a trial: offer this certificate whatever the name; -1 otherwise */
};

/* Certificates for a server name as the client sent it, NULL for none sent. Never NULL. */
const int *tls_names_find(const struct tls_ctx *ctx, const char *asked);
