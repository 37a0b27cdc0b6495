/*
 * What an acceptor prepares once for all its TLS connections: one SSL_CTX, the certificates and
 * the table that leads from a server name to certificates. There is one SSL_CTX however many
 * certificates there are, because fork grows with each; the SNI callback attaches what is needed.
 *
 * Invariant: holds public data only. Keys are names (common/tls/provider.h), there are no session
 * tickets and no session cache, so what a taken child can read helps with no other connection.
 */
#pragma once

#include "common/base/slice.h"

#include <stddef.h>
#include <stdint.h>

struct tls_ctx;

enum tls_ctx_answer {
	TLS_CTX_BAD_CERT = 1, /* not PEM, no certificate, chain out of order, key kind not served */
	TLS_CTX_BAD_NAME,     /* not a host name */
	TLS_CTX_FULL,         /* a limit of limits.h */
	TLS_CTX_NO_CERT,      /* no such certificate, or none at all */
	TLS_CTX_NO_SIGNATURE, /* the signer did not sign for a certificate: key missing there? */
};

/* Loads the provider and makes an empty context. 0, -ENOMEM or -ENOTSUP. */
int tls_ctx_new(struct tls_ctx **ret_ctx) __attribute__((warn_unused_result));
void tls_ctx_free(struct tls_ctx **ctx);

/*
 * Adds the first certificate of PEM with the rest as its chain. *ret_cert numbers it, from 0. The
 * first one added is also what clients get that send no name or an unknown one. 0 or
 * TLS_CTX_BAD_CERT, TLS_CTX_FULL.
 */
int tls_ctx_add_cert(struct tls_ctx *ctx, struct slice pem, size_t *ret_cert)
    __attribute__((warn_unused_result));

/*
 * Clients that ask for NAME get CERT. "*.example.test" stands for exactly one more label. A name
 * may have several certificates, at most one of each kind of key; a later one of the same kind
 * replaces the earlier. 0 or TLS_CTX_BAD_NAME, TLS_CTX_NO_CERT, TLS_CTX_FULL.
 */
int tls_ctx_add_name(struct tls_ctx *ctx, struct slice name, size_t cert)
    __attribute__((warn_unused_result));

/* The same for every DNS name in the certificate (RFC 6125); names that are none are passed over.
 */
int tls_ctx_add_own_names(struct tls_ctx *ctx, size_t cert) __attribute__((warn_unused_result));

/*
 * Reads the PEM file behind FD (borrowed), adds it, gives it its own names and, where that is a
 * host name, NAME too: the certificate's name in the configuration. The answers of the above, or
 * -errno.
 */
int tls_ctx_add_file(struct tls_ctx *ctx, struct slice name, int fd, size_t *ret_cert)
    __attribute__((warn_unused_result));

/* The name that tls_ctx_add_file was given, "" where there is none. */
const char *tls_ctx_cert_name(const struct tls_ctx *ctx, size_t cert);

/* One fixed sentence for an answer above, for whoever configures. */
const char *tls_ctx_answer_text(int answer);

/*
 * Makes a handshake in memory with each certificate, and one more with the first. It proves that
 * the signer has the keys, which SSL_CTX_check_private_key cannot (it compares the certificate with
 * itself), and it warms up what each child would otherwise do after fork. Each uses a signature of
 * SIGNER_FD's allowance, so it wants a channel of its own and checks at most MAX_CERTS and
 * TLS_TRY_CERTS. 0, TLS_CTX_NO_CERT, or TLS_CTX_NO_SIGNATURE with *ret_cert set.
 */
int tls_ctx_try(struct tls_ctx *ctx, int signer_fd, size_t max_certs, size_t *ret_cert)
    __attribute__((warn_unused_result));

/* First call in a forked child, before its filter: new random state, see docs/tls.md. */
void tls_ctx_after_fork(void);
