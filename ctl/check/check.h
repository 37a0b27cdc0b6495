/*
 * check - is the suite well? One line for each thing looked at: ok, warning or failed, with what to
 * do.
 *
 * Invariant: it changes nothing but an account of its own, which it makes for the delivery and
 * deletes.
 */
#pragma once

#include "common/conf/conf.h"
#include "ctl/ctl.h"

#include <openssl/ssl.h>

enum check_result { CHECK_OK, CHECK_WARNING, CHECK_FAILED };

struct check {
	struct ctl *c;
	struct conf conf;
	size_t rows, warnings, failures;
	STACK_OF(X509) *
	    leaves; /* of the configured certificates, to be met again at the listeners */
};

/* One line: the kind of thing, which one, how it is; `advice` may be NULL. Takes printf's form for
 * the last but one through check_say(). */
void check_row(struct check *k, enum check_result r, const char *kind, const char *what,
    const char *text, const char *advice);
void check_say(struct check *k, enum check_result r, const char *kind, const char *what,
    const char *advice, const char *fmt, ...) __attribute__((format(printf, 6, 7)));

/* The parts; each says its lines. */
bool check_configuration(struct check *k); /* false: there is none to go by */
void check_certificates(struct check *k);
void check_ports(struct check *k);
bool check_store(struct check *k); /* false: the server was not reached */
void check_delivery(struct check *k);

/* ---- net.c: a connection to one of our listeners ---- */

struct net {
	int fd;
	SSL *ssl;
	SSL_CTX *ctx;
	struct buf in;
	size_t read;     /* of `in` */
	char line[4096]; /* the last one read, without its end */
	char why[256];   /* what went wrong */
};

/* Where a listener is reached from here: an address (all addresses of a family: its loopback), or a
 * socket. */
struct place {
	struct addr addr;
	const char *path; /* not NULL: a Unix socket */
	char text[160];
	const struct conf_section *listener;
};

/* Each of these: true, or false with net->why. */
bool net_open(struct net *n, const struct place *p);
bool net_tls(struct net *n, const char *name);
bool net_line(struct net *n);
bool net_send(struct net *n, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool net_put(struct net *n, struct slice bytes);
/* Exactly `bytes` of them, appended. */
bool net_read(struct net *n, size_t bytes, struct buf *out);
/* A line sent, and one read that starts with `want`; what came instead is the reason. */
bool net_ask(struct net *n, const char *want, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
bool net_want(struct net *n, const char *want);
void net_close(struct net *n);

/* ---- talk.c: as far as each protocol goes before a login ---- */

struct door {
	const char *name;     /* the listener's, and for smtp its protocol */
	const char *greeting; /* how it starts */
	/* STARTTLS or its like, up to where TLS begins; NULL: none. */
	bool (*starttls)(struct net *n);
};

/* NULL: one that we know nothing about. */
const struct door *door_of(const struct conf_section *listener);
const char *door_name(const struct conf_section *listener);
/* Connects, greets, encrypts as the listener does. *ret_step: what was tried last. */
bool door_open(struct check *k, const struct place *p, struct net *n, const char **ret_step);

/* All places of a listener, one after the other: false when there is none left. `at` starts at 0.
 */
bool place_next(const struct conf_section *listener, size_t at, struct place *ret);
/* May this machine connect there? */
bool place_allowed(const struct place *p);

/* ---- mail.c ---- */

struct probe {
	char account[300], password[600], token[80];
	bool own; /* made for this, and to be deleted */
};

/* NULL, or why not. */
const char *mail_deliver(
    struct check *k, const struct place *p, const struct probe *pr, struct net *n);

struct fetcher {
	const char *listener; /* "pop3" */
	/* Logs in, finds the message with the token, removes it. */
	bool (*fetch)(struct net *n, const struct probe *pr);
};

/* A protocol more is a row more. */
extern const struct fetcher fetchers[];
extern const size_t fetcher_count;
