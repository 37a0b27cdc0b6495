/*
 * stream - a client's socket, plain or in TLS, with one way of reading and writing.
 */
#pragma once

#include "common/base/slice.h"

#include <stddef.h>

struct iovec;
struct stream_zip;
struct tls_conn;
struct tls_ctx;

enum stream_answer {
	STREAM_OK,
	STREAM_WANT_READ,
	STREAM_WANT_WRITE,
	STREAM_EOF,  /* the client has said all */
	STREAM_LOST, /* the connection is of no more use */
};

struct stream {
	int fd; /* non-blocking, owned */
	struct tls_conn *tls;
	bool shaking;           /* TLS was begun and is not there yet */
	struct stream_zip *zip; /* NULL: not compressed */
};

/* Begins TLS: then stream_handshake() until it gives STREAM_OK. 0 or -ENOMEM. */
int stream_tls(struct stream *s, struct tls_ctx *ctx, int signer_fd);
enum stream_answer stream_handshake(struct stream *s);

/* With STREAM_OK *ret_n is not 0 (reading) or what was taken (writing). */
enum stream_answer stream_read(struct stream *s, void *p, size_t n, size_t *ret_n);
enum stream_answer stream_write(struct stream *s, struct slice text, size_t *ret_n);

/* The same of several pieces in one go: only while the stream is neither encrypted nor compressed.
 */
enum stream_answer stream_write_pieces(
    struct stream *s, struct iovec *v, unsigned n, size_t *ret_n);
static inline bool stream_is_plain(const struct stream *s)
{
	return s->tls == NULL && s->zip == NULL;
}

/*
 * As stream_write(), and the descriptor goes with the first byte: to a client on a Unix socket,
 * in the clear; to any other it is lost. *take_fd is closed once it has gone, or cannot.
 */
enum stream_answer stream_pass(struct stream *s, struct slice text, int *take_fd, size_t *ret_n);

/*
 * From here on raw DEFLATE (RFC 1951) both ways, inside TLS if there is TLS. What is read is
 * bounded by the room that the reader gives, however small the compressed text. 0 or -ENOMEM.
 */
int stream_deflate(struct stream *s);
/* Compressed text that the socket did not take: STREAM_OK when all of it is out. */
enum stream_answer stream_flush(struct stream *s);

/* Says good-bye so that what was written last arrives, and closes. */
void stream_close(struct stream *s);
