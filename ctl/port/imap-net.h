/*
 * imap-net - a connection to somebody else's IMAP server: commands out, whole responses in.
 *
 * A password is sent over TLS with a certificate that was verified, or to this machine itself, and
 * nowhere else. What goes wrong was said on stderr.
 */
#pragma once

#include "ctl/port/imap-text.h"

#include <openssl/ssl.h>

struct imap_net {
	int fd;
	SSL_CTX *ctx;
	SSL *ssl;
	struct buf in, capability;
	size_t used; /* of `in`, by the response handed out last */
	struct imap_scan scan;
	unsigned tag;
	struct imap_response r; /* the last one; valid until the next call */
	char host[256], user[256];
};

/* imap://user@host:port/ or imaps://; `ca`: a file with certificates to trust, or NULL for the
 * system's. Logs in with the password. 0 or -1. */
int imap_net_open(struct imap_net *n, const char *url, const char *ca, struct slice password);
void imap_net_close(struct imap_net *n);

/* "a5 text". 0 or -1. */
int imap_net_send(struct imap_net *n, struct slice text);
/* The next response into n->r: 0; 1: it is the tagged one and OK; 2: it is NO or BAD; -1. */
int imap_net_next(struct imap_net *n);
/* Sends and waits, over what is not looked at: 1, 2 or -1 as above. */
int imap_net_do(struct imap_net *n, struct slice text);
