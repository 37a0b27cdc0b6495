/*
 * Who has the private key in memory: the signer has, the acceptor and the child of a connection
 * have not, before and after handshakes. The search looks at every readable mapping of each
 * process; that it finds the key in the signer shows that it can find one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/tls/tls_conn.h"
#include "common/tls/tls_ctx.h"
#include "tests/unit/signer-run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

enum { PATTERNS = 12, PATTERN_BYTES = 24, SECRET_BYTES = 512 };

/* Under a sanitizer, larger ones are its shadow and hold none of our bytes; else there are none. */
#define MAPPING_MAX (64UL << 20)

/* Pieces of the secret numbers, in both byte orders: a BIGNUM is little-endian here, a file not. */
static struct patterns {
	uint8_t p[PATTERNS][PATTERN_BYTES];
	size_t n;
} patterns;

static void pattern_add(const uint8_t *big_endian, size_t n)
{
	assert_true(n >= PATTERN_BYTES && patterns.n + 2 <= PATTERNS);
	memcpy(patterns.p[patterns.n++], big_endian, PATTERN_BYTES);
	for (size_t i = 0; i < PATTERN_BYTES; i++)
		patterns.p[patterns.n][i] = big_endian[n - 1 - i];
	patterns.n++;
}

static void pattern_add_number(const EVP_PKEY *key, const char *name)
{
	uint8_t out[SECRET_BYTES];
	BIGNUM *bn = NULL;
	int n;

	assert_int_equal(EVP_PKEY_get_bn_param(key, name, &bn), 1);
	n = BN_bn2bin(bn, out);
	pattern_add(out, (size_t)n);
	BN_clear_free(bn);
}

static void patterns_from_file(const char *dir)
{
	struct slice pem = test_file_read(dir, "key.pem");
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	uint8_t seed[32];
	size_t n = sizeof(seed);

	assert_non_null(key);
	patterns.n = 0;
	if (EVP_PKEY_is_a(key, "RSA")) {
		pattern_add_number(key, OSSL_PKEY_PARAM_RSA_FACTOR1);
		pattern_add_number(key, OSSL_PKEY_PARAM_RSA_FACTOR2);
		pattern_add_number(key, OSSL_PKEY_PARAM_RSA_D);
	} else if (EVP_PKEY_is_a(key, "EC")) {
		pattern_add_number(key, OSSL_PKEY_PARAM_PRIV_KEY);
	} else {
		assert_int_equal(EVP_PKEY_get_raw_private_key(key, seed, &n), 1);
		pattern_add(seed, n);
	}
	/* The file's own text, less its last line: base64 is another form of the same secret. */
	memcpy(patterns.p[patterns.n++], pem.p + pem.n / 2, PATTERN_BYTES);
	EVP_PKEY_free(key);
	BIO_free(bio);
	free((void *)pem.p);
}

static bool range_has(int mem, unsigned long from, unsigned long to)
{
	size_t n = to - from, got = 0;
	uint8_t *copy = malloc(n);
	bool hit = false;

	assert_non_null(copy);
	while (got < n) {
		ssize_t r = pread(mem, copy + got, n - got, (off_t)(from + got));

		if (r <= 0)
			break;
		got += (size_t)r;
	}
	for (size_t i = 0; i < patterns.n && !hit; i++)
		hit = memmem(copy, got, patterns.p[i], PATTERN_BYTES) != NULL;
	free(copy);
	return hit;
}

/* Whether any readable mapping of PID holds a piece; *ret_bytes is how much was looked at. */
static bool process_has(pid_t pid, size_t *ret_bytes)
{
	char path[64], line[512], perm[8];
	unsigned long from, to;
	bool hit = false;
	FILE *maps;
	int mem;

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	mem = open(path, O_RDONLY | O_CLOEXEC);
	if (mem < 0)
		fail_msg("%s: %s: the search cannot run", path, strerror(errno));
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	maps = fopen(path, "r");
	assert_non_null(maps);
	*ret_bytes = 0;
	while (fgets(line, sizeof(line), maps) != NULL) {
		if (sscanf(line, "%lx-%lx %7s", &from, &to, perm) != 3 || perm[0] != 'r' ||
		    strstr(line, "[v") != NULL)
			continue;
		if (to - from > MAPPING_MAX) {
#if !defined(__SANITIZE_ADDRESS__)
			fail_msg("a mapping of %lu bytes is not searched", to - from);
#endif
			continue;
		}
		*ret_bytes += to - from;
		hit = range_has(mem, from, to) || hit;
	}
	fclose(maps);
	close(mem);
	return hit;
}

/* The child of one connection: handshake, then echo until the end. */
static void child_main(struct tls_ctx *ctx, int fd, int signer_fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct tls_conn *conn;
	enum tls_answer a;
	uint8_t byte;
	size_t n;

	tls_ctx_after_fork();
	assert_int_equal(tls_conn_new(ctx, fd, signer_fd, &conn), 0);
	while ((a = tls_conn_handshake(conn)) == TLS_WANT_READ)
		poll(&p, 1, -1);
	while (a == TLS_DONE || a == TLS_WANT_READ) {
		a = tls_conn_read(conn, &byte, 1, &n);
		if (a == TLS_DONE)
			a = tls_conn_write(conn, slice_of(&byte, 1), &n);
		else if (a == TLS_WANT_READ)
			poll(&p, 1, -1);
	}
	_exit(0);
}

/* The acceptor: prepares the context, tries the key, forks one child and tells its pid. */
static void acceptor_main(const char *dir, int fd, int signer_fd, int try_fd, int tell_fd)
{
	struct slice pem = test_file_read(dir, "cert.pem");
	struct tls_ctx *ctx;
	size_t cert;
	pid_t child;

	if (tls_ctx_new(&ctx) != 0 || tls_ctx_add_cert(ctx, pem, &cert) != 0 ||
	    tls_ctx_try(ctx, try_fd, 1, &cert) != 0)
		_exit(1);
	child = fork();
	if (child == 0)
		child_main(ctx, fd, signer_fd);
	close(fd);
	if (write(tell_fd, &child, sizeof(child)) != sizeof(child))
		_exit(1);
	waitpid(child, NULL, 0);
	_exit(0);
}

struct scene {
	struct signer_run signer;
	pid_t acceptor, child;
	SSL_CTX *ctx;
	SSL *client;
	int fd;
};

static void scene_open(struct scene *s, char *dir, int version)
{
	int pair[2], tell[2], signer_fd, try_fd;

	signer_run_start(&s->signer, &dir, 1);
	signer_fd = signer_run_channel(&s->signer);
	try_fd = signer_run_channel(&s->signer);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(pipe(tell), 0);
	assert_int_equal(fcntl(pair[1], F_SETFL, O_NONBLOCK), 0);
	fflush(NULL);
	s->acceptor = fork();
	if (s->acceptor == 0) {
		close(pair[0]);
		acceptor_main(dir, pair[1], signer_fd, try_fd, tell[1]);
	}
	close(pair[1]);
	close(tell[1]);
	close(signer_fd);
	close(try_fd);
	assert_int_equal(read(tell[0], &s->child, sizeof(s->child)), sizeof(s->child));
	close(tell[0]);
	s->fd = pair[0];
	s->ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_min_proto_version(s->ctx, version);
	SSL_CTX_set_max_proto_version(s->ctx, version);
	s->client = SSL_new(s->ctx);
	SSL_set_fd(s->client, s->fd);
}

static void scene_close(struct scene *s)
{
	int status;

	SSL_free(s->client);
	SSL_CTX_free(s->ctx);
	close(s->fd);
	assert_int_equal(waitpid(s->acceptor, &status, 0), s->acceptor);
	assert_int_equal(status, 0);
	assert_int_equal(signer_run_stop(&s->signer), 0);
}

static void look(const struct scene *s, const char *kind, const char *when)
{
	size_t bytes;

	if (!process_has(s->signer.pid, &bytes))
		fail_msg("%s, %s: the search does not find the key in the signer", kind, when);
	if (process_has(s->acceptor, &bytes) || bytes < 1 << 20)
		fail_msg("%s, %s: the acceptor has the key, or was not searched", kind, when);
	if (process_has(s->child, &bytes) || bytes < 1 << 20)
		fail_msg("%s, %s: the child has the key, or was not searched", kind, when);
}

static void only_the_signer_has_the_key(void **state)
{
	static const char *const kinds[] = { "rsa", "p256", "ed25519" };
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

	for (size_t i = 0; i < 6; i++) {
		const char *kind = kinds[i / 2];
		char *dir = test_dir_make(kind, "");
		struct scene s;
		char byte = 'x';

		/* The key comes into our own memory only after everybody was forked. */
		patterns.n = 0;
		scene_open(&s, dir, versions[i % 2]);
		patterns_from_file(dir);
		look(&s, kind, "before the handshake");
		assert_int_equal(SSL_connect(s.client), 1);
		assert_int_equal(SSL_write(s.client, &byte, 1), 1);
		assert_int_equal(SSL_read(s.client, &byte, 1), 1);
		look(&s, kind, "after the handshake");
		scene_close(&s);
		memset(&patterns, 0, sizeof(patterns));
		test_dir_remove(&dir);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(only_the_signer_has_the_key) };

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
