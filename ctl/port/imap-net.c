#include "ctl/port/imap-net.h"

#include "common/base/io.h"
#include "common/base/secret.h"

#include <dirent.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WAIT_S = 120, RESPONSE_MAX = 64 << 20, READ_SIZE = 64 << 10 };

static int fail(const struct imap_net *n, const char *what, const char *why)
{
	(void)port_refuse(n->port, "%s: %s%s%s", n->host, what, why[0] != '\0' ? ": " : "", why);
	return -1;
}

/* ---- bytes ---- */

static int write_all(struct imap_net *n, struct slice s)
{
	if (n->ssl == NULL) {
		int r = io_write_all(n->fd, s);

		return r == 0 ? 0 : fail(n, "the connection is lost", strerror(-r));
	}
	if (SSL_write(n->ssl, s.p, (int)s.n) != (int)s.n)
		return fail(n, "the connection is lost", "");
	return 0;
}

static int read_some(struct imap_net *n)
{
	uint8_t *room = buf_room(&n->in, READ_SIZE);
	ssize_t got;

	if (room == NULL)
		return fail(n, "its response is too long", "");
	do
		got = n->ssl != NULL ? SSL_read(n->ssl, room, READ_SIZE)
				     : read(n->fd, room, READ_SIZE);
	while (got < 0 && n->ssl == NULL && errno == EINTR);
	if (got <= 0)
		return fail(n, "the server closed the connection, or says nothing any more", "");
	buf_wrote(&n->in, (size_t)got);
	return 0;
}

int imap_net_next(struct imap_net *n)
{
	size_t size = 0;
	int r;

	buf_consume(&n->in, n->used);
	n->used = 0;
	while ((r = imap_scan(&n->scan, buf_slice(&n->in), RESPONSE_MAX, &size)) == IMAP_MORE)
		if (read_some(n) != 0)
			return -1;
	if (r != 0)
		return fail(n, "its response is too long", "");
	n->used = size;
	if (imap_response_parse(slice_part(buf_slice(&n->in), 0, size), &n->r) != 0)
		return fail(n, "it does not speak IMAP", "");
	if (n->r.kind == IMAP_UNTAGGED && slice_ieq(n->r.name, SLICE("CAPABILITY"))) {
		buf_reset(&n->capability);
		buf_putc(&n->capability, ' ');
		buf_put(&n->capability, n->r.rest);
		buf_putc(&n->capability, ' ');
	}
	return n->r.kind == IMAP_TAGGED_OK ? 1 : n->r.kind == IMAP_TAGGED_NO ? 2 : 0;
}

int imap_net_send(struct imap_net *n, struct slice text)
{
	struct buf b = BUF_INIT(text.n + 40);
	int r;

	buf_printf(&b, "a%u ", ++n->tag);
	buf_put(&b, text);
	buf_puts(&b, "\r\n");
	r = write_all(n, buf_slice(&b));
	secret_wipe(b.p, b.n);
	buf_fini(&b);
	return r;
}

int imap_net_do(struct imap_net *n, struct slice text)
{
	int r = imap_net_send(n, text);

	while (r == 0)
		r = imap_net_next(n);
	return r;
}

static bool can(const struct imap_net *n, const char *what)
{
	char word[64];
	struct slice all = buf_slice(&n->capability);
	int len = snprintf(word, sizeof(word), " %s ", what);

	for (size_t i = 0; i + (size_t)len <= all.n; i++)
		if (slice_ieq(slice_part(all, i, (size_t)len), slice_of(word, (size_t)len)))
			return true;
	return false;
}

/* ---- the beginning ---- */

static int connect_to(struct imap_net *n, const char *port)
{
	const struct timeval tv = { .tv_sec = WAIT_S };
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list, *a;
	int r = getaddrinfo(n->host, port, &hints, &list), error = 0;

	if (r != 0)
		return fail(n, "it cannot be found", gai_strerror(r));
	for (a = list; a != NULL && n->fd < 0; a = a->ai_next) {
		n->fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
		if (n->fd < 0)
			continue;
		setsockopt(n->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
		setsockopt(n->fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
		if (connect(n->fd, a->ai_addr, a->ai_addrlen) != 0) {
			error = errno;
			fd_close(&n->fd);
		}
	}
	freeaddrinfo(list);
	return n->fd >= 0 ? 0 : fail(n, "it cannot be reached", strerror(error));
}

static bool is_here(const struct imap_net *n)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	if (getpeername(n->fd, (struct sockaddr *)&ss, &len) != 0)
		return false;
	if (ss.ss_family == AF_INET)
		return ntohl(((struct sockaddr_in *)&ss)->sin_addr.s_addr) >> 24 == 127;
	return ss.ss_family == AF_INET6 &&
	       IN6_IS_ADDR_LOOPBACK(&((struct sockaddr_in6 *)&ss)->sin6_addr);
}

/* OpenSSL would look for each authority's file when it is needed, and then there are none. */
static void trust_system(SSL_CTX *ctx)
{
	const char *dir = getenv(X509_get_default_cert_dir_env());
	const char *file = getenv(X509_get_default_cert_file_env());
	struct dirent *e;
	DIR *d;

	if (file == NULL)
		file = X509_get_default_cert_file();
	if (dir == NULL)
		dir = X509_get_default_cert_dir();
	if (access(file, R_OK) == 0)
		(void)SSL_CTX_load_verify_file(ctx, file);
	d = opendir(dir);
	while (d != NULL && (e = readdir(d)) != NULL) {
		struct slice name = slice_str(e->d_name);
		char path[4096];

		/* The links by hash: each certificate has one. */
		if (name.n != 10 || name.p[8] != '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		(void)SSL_CTX_load_verify_file(ctx, path);
	}
	if (d != NULL)
		closedir(d);
	ERR_clear_error();
}

static int prepare_tls(struct imap_net *n, const char *ca)
{
	n->ctx = SSL_CTX_new(TLS_client_method());
	if (n->ctx == NULL || SSL_CTX_set_min_proto_version(n->ctx, TLS1_2_VERSION) != 1)
		return fail(n, "out of memory", "");
	if (ca == NULL)
		trust_system(n->ctx);
	else if (SSL_CTX_load_verify_file(n->ctx, ca) != 1)
		return fail(n, "the certificates to trust cannot be read", ca);
	SSL_CTX_set_verify(n->ctx, SSL_VERIFY_PEER, NULL);
	return 0;
}

static int start_tls(struct imap_net *n)
{
	X509_VERIFY_PARAM *v;

	if (n->in.n > n->used)
		return fail(n, "it sent text where TLS should begin", "");
	n->ssl = SSL_new(n->ctx);
	if (n->ssl == NULL || SSL_set_fd(n->ssl, n->fd) != 1)
		return fail(n, "out of memory", "");
	v = SSL_get0_param(n->ssl);
	if (X509_VERIFY_PARAM_set1_ip_asc(v, n->host) != 1) {
		SSL_set_tlsext_host_name(n->ssl, n->host);
		if (SSL_set1_host(n->ssl, n->host) != 1)
			return fail(n, "out of memory", "");
	}
	if (SSL_connect(n->ssl) == 1)
		return 0;
	if (SSL_get_verify_result(n->ssl) != X509_V_OK)
		return fail(n, "its certificate is not trusted; --ca=FILE names another to trust",
		    X509_verify_cert_error_string(SSL_get_verify_result(n->ssl)));
	return fail(n, "TLS cannot be begun", "");
}

/* ---- who we are ---- */

static int refused(const struct imap_net *n)
{
	char text[300];

	snprintf(text, sizeof(text), "%.*s", (int)(n->r.rest.n < 200 ? n->r.rest.n : 200),
	    n->r.rest.n > 0 ? (const char *)n->r.rest.p : "");
	for (char *p = text; *p != '\0'; p++)
		if ((uint8_t)*p < 0x20 || *p == 0x7f)
			*p = '?';
	return fail(n, "the login is refused", text);
}

static int login_plain(struct imap_net *n, struct slice password)
{
	size_t user = strlen(n->user);
	struct buf plain = BUF_INIT(4096), line = BUF_INIT(8192);
	int r;

	buf_putc(&plain, '\0');
	buf_put(&plain, slice_of(n->user, user));
	buf_putc(&plain, '\0');
	buf_put(&plain, password);
	if (can(n, "SASL-IR"))
		buf_puts(&line, "AUTHENTICATE PLAIN ");
	if (plain.overflow || buf_room(&line, plain.n * 4 / 3 + 8) == NULL)
		return fail(n, "the password is too long", "");
	buf_wrote(&line, (size_t)EVP_EncodeBlock(line.p + line.n, plain.p, (int)plain.n));
	if (can(n, "SASL-IR")) {
		r = imap_net_do(n, buf_slice(&line));
	} else {
		r = imap_net_send(n, SLICE("AUTHENTICATE PLAIN"));
		while (r == 0 && (r = imap_net_next(n)) == 0 && n->r.kind != IMAP_CONTINUE)
			;
		buf_puts(&line, "\r\n");
		if (r == 0)
			r = write_all(n, buf_slice(&line));
		while (r == 0)
			r = imap_net_next(n);
	}
	secret_wipe(plain.p, plain.n);
	secret_wipe(line.p, line.n);
	buf_fini(&plain);
	buf_fini(&line);
	return r == 2 ? refused(n) : r < 0 ? -1 : 0;
}

static int login(struct imap_net *n, struct slice password)
{
	struct buf line = BUF_INIT(8192);
	int r;

	if (can(n, "AUTH=PLAIN"))
		return login_plain(n, password);
	buf_puts(&line, "LOGIN ");
	if (!imap_quote(slice_str(n->user), &line) || buf_putc(&line, ' ') != 0 ||
	    !imap_quote(password, &line))
		return fail(n, "the name or the password cannot be sent", "");
	r = imap_net_do(n, buf_slice(&line));
	secret_wipe(line.p, line.n);
	buf_fini(&line);
	return r == 2 ? refused(n) : r < 0 ? -1 : 0;
}

/* "user@host:port/": the last '@' is before the host; "%40" in the user is one, too. */
static int url_parse(struct imap_net *n, const char *url, char port[8])
{
	struct slice rest = slice_str(url), user;
	ptrdiff_t at;
	size_t k = 0;

	n->tls = slice_starts(rest, SLICE("imaps://"));
	rest = slice_from(rest, n->tls ? 8 : 7);
	while (rest.n > 0 && rest.p[rest.n - 1] == '/')
		rest.n--;
	at = slice_rfind(rest, '@');
	if (at <= 0 || (size_t)at >= sizeof(n->user))
		return fail(n, "the source is written imaps://USER@HOST[:PORT]/", "");
	user = slice_part(rest, 0, (size_t)at);
	for (size_t i = 0; i < user.n; i++) {
		bool coded = i + 2 < user.n && slice_istarts(slice_from(user, i), SLICE("%40"));

		n->user[k++] = coded ? '@' : (char)user.p[i];
		i += coded ? 2 : 0;
	}
	rest = slice_from(rest, (size_t)at + 1);
	at = slice_rfind(rest, ':');
	if (rest.n > 0 && rest.p[0] == '[' && slice_find(rest, ']') > at)
		at = -1;
	snprintf(port, 8, "%.*s", at >= 0 ? (int)(rest.n - (size_t)at - 1) : 4,
	    at >= 0  ? (const char *)rest.p + at + 1
	    : n->tls ? "993\0"
		     : "143\0");
	rest.n = at >= 0 ? (size_t)at : rest.n;
	if (rest.n > 2 && rest.p[0] == '[')
		rest = slice_part(rest, 1, rest.n - 2);
	snprintf(n->host, sizeof(n->host), "%.*s", SLICE_FMT(rest));
	return 0;
}

int imap_net_connect(struct imap_net *n, struct port *p, const char *url, const char *ca)
{
	char port[8];

	*n = (struct imap_net){ .port = p,
		.fd = -1,
		.in = BUF_INIT(RESPONSE_MAX * 2),
		.capability = BUF_INIT(64 << 10) };
	if (url_parse(n, url, port) != 0 || prepare_tls(n, ca) != 0 || connect_to(n, port) != 0)
		return -1;
	return 0;
}

int imap_net_login(struct imap_net *n, struct slice password)
{
	int r;

	if ((n->tls && start_tls(n) != 0) || imap_net_next(n) != 0)
		return -1;
	if (imap_net_do(n, SLICE("CAPABILITY")) != 1)
		return fail(n, "it does not speak IMAP", "");
	if (!n->tls && can(n, "STARTTLS")) {
		if (imap_net_do(n, SLICE("STARTTLS")) != 1 || start_tls(n) != 0)
			return fail(n, "TLS cannot be begun", "");
		n->used = n->in.n;
		if (imap_net_do(n, SLICE("CAPABILITY")) != 1)
			return -1;
	} else if (!n->tls && !is_here(n)) {
		return fail(n, "it has no TLS, and a password is not sent in the clear", "");
	}
	r = login(n, password);
	return r != 0 ? -1 : 0;
}

void imap_net_close(struct imap_net *n)
{
	if (n->ssl != NULL)
		SSL_free(n->ssl);
	if (n->ctx != NULL)
		SSL_CTX_free(n->ctx);
	fd_close(&n->fd);
	buf_fini(&n->in);
	buf_fini(&n->capability);
	n->ssl = NULL;
	n->ctx = NULL;
}
