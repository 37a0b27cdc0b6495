/*
 * One TLS connection, server side. Nothing here waits for the client: every call does what it can
 * and says what it waits for, and the caller's event loop does the waiting. (The one thing that
 * does block, with a deadline, is the question to the signer inside a handshake.)
 *
 * Invariant: after any answer but DONE, WANT_READ and WANT_WRITE the connection is over; further
 * calls give the same answer and touch nothing.
 */
#pragma once

#include "common/base/slice.h"
#include "common/tls/limits.h"
#include "common/tls/tls_ctx.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tls_conn;

enum tls_answer {
	TLS_DONE = 0,
	TLS_WANT_READ = 1,
	TLS_WANT_WRITE,
	TLS_CLOSED, /* the client said close_notify: a clean end */
	TLS_LOST,   /* the transport ended without one: what came last may be cut off */
	TLS_BAD,    /* the client broke the protocol or shares no version, cipher or signature */
	TLS_FAILED, /* our side: the signer gave no signature */
};

/* What is known after the handshake. Strings belong to the connection. */
struct tls_facts {
	const char *version; /* "TLSv1.3" */
	const char *cipher;
	const char *group;
	int cipher_bits;
	char server_name[TLS_NAME_BYTES + 1]; /* as the client sent it, lower case; "" when none */
	size_t n_end_point; /* tls-server-end-point; 0: not defined for this one */
	uint8_t end_point[TLS_END_POINT_BYTES];
	bool has_exporter; /* tls-exporter; TLS 1.2 only with extended master secret (RFC 9266) */
	uint8_t exporter[TLS_EXPORTER_BYTES];
};

/*
 * A connection over FD (non-blocking, borrowed), or over memory when FD is -1: then bytes come in
 * by tls_conn_feed and go out by tls_conn_drain. SIGNER_FD is borrowed too and is used in the
 * handshake only. Nothing read before belongs to it: at STARTTLS bytes that came after the command
 * must end the connection (RFC 3207 section 4.2), they are never passed in here.
 * 0 or -ENOMEM.
 */
int tls_conn_new(struct tls_ctx *ctx, int fd, int signer_fd, struct tls_conn **ret_conn)
    __attribute__((warn_unused_result));
void tls_conn_free(struct tls_conn **conn);

enum tls_answer tls_conn_handshake(struct tls_conn *conn) __attribute__((warn_unused_result));

/* Reads at most N bytes of plain text into P. *ret_n is set with TLS_DONE and is not 0. */
enum tls_answer tls_conn_read(struct tls_conn *conn, void *p, size_t n, size_t *ret_n)
    __attribute__((warn_unused_result));

/*
 * Writes the beginning of TEXT; *ret_n is set with TLS_DONE. After WANT_READ or WANT_WRITE the
 * same bytes must be given again, at the same or another address, more may follow them.
 */
enum tls_answer tls_conn_write(struct tls_conn *conn, struct slice text, size_t *ret_n)
    __attribute__((warn_unused_result));

/* Plain bytes that a read would give without the transport: no event will announce them. */
size_t tls_conn_pending(const struct tls_conn *conn);

/* Sends close_notify; does not wait for the client's. TLS_DONE or TLS_WANT_WRITE, else over. */
enum tls_answer tls_conn_shutdown(struct tls_conn *conn) __attribute__((warn_unused_result));

/* Valid after the handshake was DONE; before that everything is empty. */
const struct tls_facts *tls_conn_facts(const struct tls_conn *conn);

/* Why it ended, for the log only: our words or OpenSSL's. Never NULL. */
const char *tls_conn_why(const struct tls_conn *conn);

/* Memory only. Feed takes all of BYTES or gives -ENOMEM; drain moves out at most N bytes of what
 * waits to be sent and returns how many. */
int tls_conn_feed(struct tls_conn *conn, struct slice bytes) __attribute__((warn_unused_result));
size_t tls_conn_drain(struct tls_conn *conn, void *p, size_t n);
