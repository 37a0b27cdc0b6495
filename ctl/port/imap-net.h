/*
 * imap-net - a connection to somebody else's IMAP server: commands out, whole responses in.
 *
 * A password is sent over TLS with a certificate that was verified, or to this machine itself, and
 * nowhere else. What goes wrong was told by port_refuse.
 */
#pragma once

#include "ctl/port/imap-text.h"
#include "ctl/port/port.h"

#include <openssl/ssl.h>

struct imap_net {
	struct port *port;
	int fd;
	bool tls; /* from the first byte */
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
 * system's. Connects, and reads the certificates; nothing that the server says. 0 or -1. */
int imap_net_connect(struct imap_net *n, struct port *p, const char *url, const char *ca);
/* TLS, and logs in with the password: needs no file and no socket any more. 0 or -1. */
int imap_net_login(struct imap_net *n, struct slice password);
void imap_net_close(struct imap_net *n);

/* "a5 text". 0 or -1. */
int imap_net_send(struct imap_net *n, struct slice text);
/* The next response into n->r: 0; 1: it is the tagged one and OK; 2: it is NO or BAD; -1. */
int imap_net_next(struct imap_net *n);
/* Sends and waits, over what is not looked at: 1, 2 or -1 as above. */
int imap_net_do(struct imap_net *n, struct slice text);
